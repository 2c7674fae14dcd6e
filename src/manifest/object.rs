//! The `spec` of an object → typed fields, and the entries inside it.

use std::sync::Arc;

use serde_json::Value;

use super::{
    annotations,
    condition::{holds, matches},
    convert::{Convert, Known, check_conditions},
    entries::{self, Entry},
    faults::{Path, listed},
    header::Header,
    leads,
    model::Annotations,
    node::{Mark, Member},
    scalar, variants,
};
use crate::{
    description::{
        Api, Kind,
        format::{FieldSpec, FieldType},
    },
    diagnostic::{Diagnostic, nearest},
    value::{self, Fields},
};

/// What the document of an object says.
pub(super) struct Object<'n, 't> {
    pub(super) spec: Fields,
    pub(super) entries: Vec<Entry>,
    /// `spec.connection`.
    pub(super) connection: Option<&'n Member<'t>>,
    /// What tells it from others of its kind, where the manifest alone can say.
    pub(super) key: Option<String>,
    /// What no other object may be besides it.
    pub(super) exclusive: Option<String>,
}

/// Reads the `spec` of an object.
pub(super) fn read<'n, 't>(
    header: &Header<'n, 't>,
    api: &Api,
    kind: &Arc<Kind>,
    annotations: &Annotations,
    defaults: impl FnOnce(Option<&'n Member<'t>>) -> Option<Fields>,
    convert: &mut Convert<'_, 't>,
) -> Object<'n, 't> {
    let at = header.spec.map_or(header.name_at, |spec| spec.at);
    let members = match header.spec {
        None => &[],
        Some(spec) => spec.value.as_map().unwrap_or_else(|| {
            let message = format!("`spec` has to be a map of fields; it is {}.", spec.value.describe());
            convert.faults.error("PL0105", message, spec.at);
            &[]
        }),
    };
    let mut connection = None;
    let mut inside: Vec<(&Member<'t>, &Arc<Kind>)> = Vec::new();
    let known = Known { fields: &kind.spec.fields, not_fields: Some([&kind.spec.ignored, &kind.spec.excluded]) };
    let mut spec = convert.fields(members, known, &Path::Root, &mut |convert, member| {
        if member.key == "connection" {
            connection = Some(member);
        } else if let Some(entry_kind) = api.inside(&kind.name, &member.key) {
            inside.push((member, entry_kind));
        } else {
            return explain_unknown(member, api, kind, convert);
        }
        true
    });
    let entries: Vec<Entry> =
        inside.iter().flat_map(|(member, entry_kind)| entries::read(member, entry_kind, convert)).collect();
    clear(&mut spec, header, api, kind, annotations, convert);
    for (name, value) in defaults(connection).into_iter().flatten() {
        if !spec.contains_key(&name) {
            spec.insert(name, value);
        }
    }
    default_name(&mut spec, header, kind, convert);
    check_drift_paths(header, api, kind, annotations, convert);
    convert.requirements(&spec, &[], &kind.spec.fields, &Path::Root, None);
    check_conditions(&spec, &kind.spec.fields, members, convert);
    variants::check(&spec, &kind.spec.fields, members, convert);
    clear_entries(&mut spec, header, kind, annotations, convert);
    check_conflicts(&spec, &entries, members, kind, convert);
    leads::check(&spec, kind, members, convert);
    let key = if convert.faults.any_error() { None } else { natural_key(&spec, kind, at, convert) };
    let exclusive = exclusive(&spec, kind);
    Object { spec, entries, connection, key, exclusive }
}

/// A field that some entry kind of another parent has: says where it belongs.
fn explain_unknown(member: &Member<'_>, api: &Api, kind: &Kind, convert: &mut Convert<'_, '_>) -> bool {
    let inside = api.children(&kind.name).filter_map(|child| child.inside()).map(|inside| inside.field.as_str());
    let Some(near) = nearest(&member.key, inside) else { return false };
    if nearest(&member.key, kind.spec.fields.keys().map(String::as_str)).is_some() {
        return false;
    }
    let diagnostic = Diagnostic::error("PL0104", format!("There is no field `{}`.", member.key));
    convert.faults.add(diagnostic.hint(format!("Did you mean `{near}`?")), member.at);
    true
}

/// Sets the fields to null that `plumb.dev/clear` names.
fn clear(
    spec: &mut Fields,
    header: &Header<'_, '_>,
    api: &Api,
    kind: &Kind,
    annotations: &Annotations,
    convert: &mut Convert<'_, '_>,
) {
    for path in annotations.clear.iter().filter(|path| into_list(path, kind).is_none()) {
        let at = annotations::mark(header, "clear");
        let field = match find_field(path, api, kind) {
            Ok(field) => field,
            Err(diagnostic) => {
                convert.faults.add(diagnostic, at);
                continue;
            }
        };
        let declared = path.split_once('.').map_or_else(
            || spec.get(path),
            |(head, rest)| spec.get(head).and_then(|value| value::get_path(value, rest)),
        );
        if declared.is_some_and(|value| !value.is_null()) {
            let message = format!("`plumb.dev/clear` names `{path}`, which `spec` gives a value.");
            convert.faults.error("PL0119", message, at);
        } else if field.is_some_and(|field| !field.nullable || field.read_only) {
            let message = format!("`{path}` cannot be cleared: the API does not let it be null.");
            convert.faults.error("PL0119", message, at);
        } else {
            value::set_path(spec, path, Value::Null);
        }
    }
}

/// Names the entries of keyed lists that `plumb.dev/clear` takes away: `parameters.NAME`.
fn clear_entries(
    spec: &mut Fields,
    header: &Header<'_, '_>,
    kind: &Kind,
    annotations: &Annotations,
    convert: &mut Convert<'_, '_>,
) {
    for path in &annotations.clear {
        let Some((list, field, name)) = into_list(path, kind) else { continue };
        let at = annotations::mark(header, "clear");
        let Some(key) = &field.keyed_by else {
            let message = format!("`{path}` cannot be cleared: the entries of `{list}` have no names.");
            let hint = format!("Write `{list}` without the entry.");
            convert.faults.add(Diagnostic::error("PL0119", message).hint(hint), at);
            continue;
        };
        let mut entries = match value::get_path(&Value::Object(spec.clone()), list) {
            Some(Value::Array(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        if entries.iter().any(|entry| entry.get(key).and_then(value::text).as_deref() == Some(name)) {
            let message = format!("`plumb.dev/clear` names `{path}`, which `spec` gives a value.");
            convert.faults.error("PL0119", message, at);
            continue;
        }
        entries.push(value::gone(key, name));
        value::set_path(spec, list, Value::Array(entries));
    }
}

/// The list that a dotted path leads into, with its path, and the rest of the path; nothing where it leads into none.
fn into_list<'p, 'k>(path: &'p str, kind: &'k Kind) -> Option<(&'p str, &'k FieldSpec, &'p str)> {
    let mut fields = &kind.spec.fields;
    let mut start = 0;
    loop {
        let rest = &path[start..];
        let (name, after) = rest.split_once('.')?;
        let field = fields.get(name)?;
        let end = start + name.len();
        if field.ty == FieldType::List {
            return Some((&path[..end], field, after));
        }
        fields = &field.fields;
        start = end + 1;
    }
}

fn check_drift_paths(
    header: &Header<'_, '_>,
    api: &Api,
    kind: &Kind,
    annotations: &Annotations,
    convert: &mut Convert<'_, '_>,
) {
    for path in &annotations.ignore_drift {
        if let Err(diagnostic) = find_field(path, api, kind) {
            convert.faults.add(diagnostic, annotations::mark(header, "ignore-drift"));
        }
    }
}

/// The field at a dotted path; nothing where the path goes on into something without named fields.
fn find_field<'k>(path: &str, api: &'k Api, kind: &'k Kind) -> Result<Option<&'k FieldSpec>, Diagnostic> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    if api.inside(&kind.name, first).is_some() {
        return Ok(None);
    }
    let mut fields = &kind.spec.fields;
    let mut name = first;
    loop {
        let Some(field) = fields.get(name) else {
            let diagnostic = Diagnostic::error("PL0119", format!("The kind `{}` has no field `{path}`.", kind.name));
            return Err(match nearest(name, fields.keys().map(String::as_str)) {
                Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
                None => diagnostic,
            });
        };
        let Some(next) = parts.next() else { return Ok(Some(field)) };
        if field.ty != FieldType::Object || field.fields.is_empty() {
            return Ok(None);
        }
        fields = &field.fields;
        name = next;
    }
}

/// Takes `metadata.name` for a name-like key that `spec` leaves out.
fn default_name(spec: &mut Fields, header: &Header<'_, '_>, kind: &Kind, convert: &mut Convert<'_, '_>) {
    let Some(name) = &kind.spec.name_field else { return };
    let Some(field) = kind.field(name) else { return };
    let by_other_key = std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks).any(|fallback| {
        !fallback.contains(name) && fallback.iter().all(|name| spec.get(name).is_some_and(|value| !value.is_null()))
    });
    if spec.contains_key(name) || by_other_key || field.read_only {
        return;
    }
    let value = Value::String(header.name.clone());
    if let Some(wrong) = scalar::check(name, &value, field, convert.patterns) {
        let message = format!("The {name} is taken from `metadata.name`, and does not fit: {}", wrong.message);
        let diagnostic = Diagnostic { message, ..wrong };
        convert.faults.add(diagnostic.hint(format!("Write `{name}` under `spec`.")), header.name_at);
        return;
    }
    spec.insert(name.clone(), value);
}

/// Refuses declarations that contradict each other.
fn check_conflicts(
    spec: &Fields,
    entries: &[Entry],
    members: &[Member<'_>],
    kind: &Kind,
    convert: &mut Convert<'_, '_>,
) {
    for conflict in &kind.spec.conflicts {
        let declared = |name: &&String| spec.get(*name).is_some_and(|value| !value.is_null());
        let Some(name) = conflict.fields.iter().find(declared) else { continue };
        let fields = members.iter().find(|member| member.key == *name).map(|member| convert.faults.place(member.at));
        let mut inside = entries.iter().filter(|entry| entry.field == conflict.with).peekable();
        let other = if inside.peek().is_some() {
            inside
                .find(|entry| holds(&conflict.condition, &entry.spec, &entry.kind.spec.fields) == Some(true))
                .map(|entry| entry.at)
        } else {
            let value = spec.get(&conflict.with).filter(|value| matches(&conflict.condition, value));
            value.and_then(|_| members.iter().find(|member| member.key == conflict.with)).map(|member| member.at)
        };
        if let Some(at) = other {
            let message = format!("`{name}` and this contradict each other: {}", conflict.message);
            let diagnostic = Diagnostic::error("PL0118", message).see(fields, format!("`{name}` is declared here"));
            convert.faults.add(diagnostic, at);
        }
    }
}

/// A field as part of a key: references alike whether or not they say `ref:`.
fn key_part(value: &Value, field: &FieldSpec) -> String {
    let text = value::text(value).unwrap_or_else(|| value.to_string());
    match text.strip_prefix("ref:") {
        Some(name) if field.reference.is_some() => name.to_owned(),
        _ if field.key_ignores_case => text.to_lowercase(),
        _ => text,
    }
}

/// What no two objects may be at once: the rule's scope as one text, where this object fulfils the condition.
fn exclusive(spec: &Fields, kind: &Kind) -> Option<String> {
    let rule = kind.spec.at_most_one.as_ref()?;
    if holds(&rule.condition, spec, &kind.spec.fields) != Some(true) {
        return None;
    }
    let parts = rule.per.iter().map(|name| {
        let field = kind.field(name);
        field.zip(spec.get(name)).map(|(field, value)| key_part(value, field)).unwrap_or_default()
    });
    Some(parts.collect::<Vec<_>>().join("\u{1f}"))
}

/// The natural key as one text. An error where it is incomplete, nothing where only the API knows it.
fn natural_key(spec: &Fields, kind: &Kind, at: Mark, convert: &mut Convert<'_, '_>) -> Option<String> {
    if kind.spec.singleton {
        return None;
    }
    let mut alternatives = std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks).enumerate();
    let missing = |names: &[String]| -> Vec<String> {
        let absent = |name: &&String| {
            spec.get(*name).is_none_or(Value::is_null)
                && !kind.spec.key_optional.contains(name)
                && kind.field(name).is_some_and(|field| !field.read_only && field.default.is_none())
        };
        names.iter().filter(absent).cloned().collect()
    };
    let Some((number, names)) = alternatives.find(|(_, names)| missing(names).is_empty()) else {
        let all = std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks);
        let words: Vec<String> = all.map(|names| listed(missing(names))).collect();
        let message =
            format!("`{}` needs {}: it tells one object of this kind from another.", kind.name, words.join(", or "));
        convert.faults.error("PL0108", message, at);
        return None;
    };
    let plain: Vec<&String> = names
        .iter()
        .filter(|name| kind.field(name).is_some_and(|field| field.reference.is_none() && !field.read_only))
        .collect();
    if !plain.is_empty() && plain.iter().all(|name| spec.get(*name).is_none_or(Value::is_null)) {
        let words: Vec<String> = plain.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("A {} needs {}, which tells it from others.", kind.name, words.join(" or "));
        convert.faults.error("PL0108", message, at);
        return None;
    }
    let mut key = number.to_string();
    for name in names.iter().chain(kind.spec.key_extra.iter().filter(|name| spec.contains_key(*name))) {
        let field = kind.field(name)?;
        key.push('\u{1f}');
        match spec.get(name).or(field.default.as_ref()) {
            Some(value) => key.push_str(&key_part(value, field)),
            None if kind.spec.key_optional.contains(name) => {}
            None => return None,
        }
    }
    Some(key)
}
