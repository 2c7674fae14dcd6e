//! Answers → rows: envelopes of one and many, ids, attributes, included objects, conditions on rows, error messages.

use std::collections::HashSet;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{apply, codec::decode, odata};
use crate::{
    description::{
        Api, Kind,
        format::{Condition, DialectName, FieldType, FileSpec, Paging, Words},
    },
    value::{Fields, Target, at_path, get_path, get_path_mut, is_empty, reference, text},
};

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Value>,
    /// Rows that came along with them (JSON:API `included`).
    pub included: Vec<Value>,
    /// How many objects there are in all, where the answer says so.
    pub total: Option<u64>,
    /// How many pages there are, where the answer says so.
    pub total_pages: Option<u64>,
    /// The next cursor, URL or page number, where the answer has one.
    pub next: Option<String>,
    /// The answer says that there is no next page.
    pub last: bool,
}

/// An answer of another form than the API's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What came, in words.
    pub came: String,
    /// What was expected, in words.
    pub expected: String,
}

/// Reads a list answer.
pub fn page(api: &Api, kind: &Kind, paging: &Paging, mut body: Value) -> Result<Page, Mismatch> {
    let (_, resources) = apply::members(kind);
    let path = kind.spec.list.items.as_deref().or(match kind.dialect {
        DialectName::Jsonapi => Some("data"),
        DialectName::Rest => api.spec.envelope.many.as_deref(),
        DialectName::Odata => Some(odata::place(&body, api.spec.envelope.many.as_deref().unwrap_or_default())),
        DialectName::Apply => Some(resources.as_str()),
    });
    let is_apply = api.spec.dialect == DialectName::Apply;
    let columns = &kind.spec.list.columns;
    if !columns.is_empty() {
        return beside(kind, columns, &body);
    }
    let number = |paths: &[String]| count(paths, &body);
    let (total, total_pages) = (number(&paging.total), number(&paging.total_pages));
    let mut next = None;
    let mut ended = false;
    for path in &paging.next {
        match get_path(&body, path) {
            Some(Value::Null) => ended = true,
            Some(value) => {
                next = text(value).filter(|next| !next.is_empty());
                ended = next.is_none();
            }
            None => continue,
        }
        break;
    }
    let mut included = match body.get_mut("included").map(Value::take) {
        Some(Value::Array(included)) => included,
        _ => Vec::new(),
    };
    let there = |path: &&str| !body.is_array() && get_path(&body, path).is_some();
    let found = path.filter(there).or_else(|| Some("resources").filter(|_| is_apply).filter(there));
    // A list of whole resources is the only list that an answer has, where its rows say what they are.
    let is_own = |rows: &Value| {
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        let says = |row: &Value| {
            row.get("kind").and_then(Value::as_str).is_some_and(|word| kind.name.eq_ignore_ascii_case(word))
        };
        !rows.is_empty() && rows.iter().all(says)
    };
    let lists = body.as_object().into_iter().flatten().filter(|(_, value)| value.is_array());
    let only: Vec<(String, bool)> = lists.map(|(name, rows)| (name.clone(), is_own(rows))).take(2).collect();
    let found = found
        .or_else(|| only.first().filter(|(_, own)| is_apply && *own && only.len() == 1).map(|(name, _)| name.as_str()));
    // A bare list stands for the one that should be there if something in it shows that it is it.
    let bare = path.is_none()
        || match (&body, kind.dialect) {
            (Value::Array(_), DialectName::Apply) => is_own(&body),
            (Value::Array(rows), DialectName::Rest) => {
                !rows.is_empty() || (!is_apply && kind.spec.list.items.is_none())
            }
            (Value::Array(rows), DialectName::Jsonapi | DialectName::Odata) => !rows.is_empty(),
            _ => false,
        };
    // The rows are moved, not copied: there may be very many.
    let list = match found {
        Some(path) => get_path_mut(&mut body, path),
        None if bare => Some(&mut body),
        None => None,
    };
    let rows = match list {
        Some(Value::Array(rows)) => std::mem::take(rows),
        // Servers written in Go spell an empty list so.
        Some(Value::Null) if is_apply && found.is_some() => Vec::new(),
        // One sample of the vendor's reference shows a single object where a list is meant.
        Some(row @ Value::Object(_))
            if kind.dialect == DialectName::Jsonapi && row.get("attributes").is_some() && found.is_some() =>
        {
            vec![row.take()]
        }
        // An empty list may be null where the answer says that there is nothing, and an empty object: so the samples of
        // one reference show it.
        Some(Value::Null) if total == Some(0) => Vec::new(),
        Some(Value::Object(map))
            if map.is_empty() && found.is_some() && kind.dialect == DialectName::Rest && !is_apply =>
        {
            Vec::new()
        }
        _ => {
            let list = path.and_then(|path| get_path(&body, path));
            return Err(mismatch(path, list, &body, "a list"));
        }
    };
    for row in &rows {
        if !row.is_object() {
            let came = format!("a list with {} in it", shape(row));
            return Err(Mismatch { came, expected: "a list of objects".into() });
        }
    }
    // Some samples show `included` inside `data`.
    for row in &rows {
        if let Some(more) = row.get("included").and_then(Value::as_array) {
            included.extend(more.iter().cloned());
        }
    }
    Ok(Page { total, total_pages, rows, included, next, last: ended })
}

/// Rows from lists that stand beside one another. One that nothing tells from others is no object.
fn beside(kind: &Kind, columns: &IndexMap<String, Vec<String>>, body: &Value) -> Result<Page, Mismatch> {
    if !body.is_object() || !columns.values().flatten().any(|path| get_path(body, path).is_some()) {
        return Err(mismatch(None, None, body, "lists beside one another"));
    }
    let mut rows: Vec<Fields> = Vec::new();
    for (name, paths) in columns {
        let values = paths.iter().filter_map(|path| get_path(body, path)).flat_map(|value| match value {
            Value::Array(values) => values.clone(),
            Value::Null => Vec::new(),
            single => vec![single.clone()],
        });
        for (place, value) in values.enumerate() {
            if rows.len() <= place {
                rows.push(Fields::new());
            }
            rows[place].insert(name.clone(), value);
        }
    }
    let rows = rows.into_iter().map(Value::Object).filter(|row| id_of(kind, row).is_some()).collect();
    Ok(Page { rows, ..Page::default() })
}

/// Drops the attributes of a row that nobody asks for: all but those whose wire names, dashes read as underscores, are
/// to be kept.
pub fn slim<S: std::hash::BuildHasher>(kind: &Kind, row: &mut Value, keep: &HashSet<String, S>) {
    let attributes = match kind.dialect {
        DialectName::Jsonapi => row.get_mut("attributes").and_then(Value::as_object_mut),
        DialectName::Rest | DialectName::Odata | DialectName::Apply => row.as_object_mut(),
    };
    if let Some(attributes) = attributes {
        attributes
            .retain(|name, _| keep.contains(name) || name.contains('-') && keep.contains(&name.replace('-', "_")));
        // Room that is not used any more is given back.
        let kept = std::mem::take(attributes);
        *attributes = kept.into_iter().collect();
    }
}

/// The wire names, dashes as underscores, of the attributes that these fields of a kind are read from, with all that
/// rows are judged by; for [`slim`].
pub fn read_from<S: std::hash::BuildHasher>(kind: &Kind, fields: &HashSet<String, S>) -> HashSet<String> {
    let spec = &kind.spec;
    let mut paths: Vec<&str> = spec.id.path.iter().map(String::as_str).collect();
    paths.extend(spec.id.stamp.as_deref());
    paths.extend(spec.id.revision.iter().map(String::as_str));
    paths.extend(spec.id.made.as_deref());
    paths.extend(["id", "type", "included", "attributes", "relationships", "meta", "links"]);
    for (name, field) in &spec.fields {
        if !fields.contains(name) {
            continue;
        }
        paths.push(field.wire_name());
        paths.extend(field.read.iter().map(String::as_str));
        let told = field.file.iter().flat_map(|told| [&told.name, &told.size]).flatten();
        paths.extend(told.map(String::as_str));
        paths.extend(field.reference.iter().filter_map(|target| target.type_wire.as_deref()));
        paths.extend(field.when.iter().filter_map(|condition| condition.wire.as_deref()));
    }
    paths.extend(spec.list.across.iter().flat_map(|across| across.parents.iter().flatten()).map(String::as_str));
    let synced = spec.synced.iter().flat_map(|synced| &synced.detect);
    let judged = spec.not_ours.iter().chain(&spec.never_delete).chain(synced);
    paths.extend(judged.filter_map(|condition| condition.wire.as_deref()));
    let head = |path: &str| {
        let path = path.strip_prefix("attributes.").unwrap_or(path);
        path.split(['.', '[']).next().unwrap_or_default().replace('-', "_")
    };
    // A name may have dots of its own.
    paths.iter().flat_map(|path| [head(path), path.replace('-', "_")]).collect()
}

/// The number at the first of some paths that has one.
fn count(paths: &[String], body: &Value) -> Option<u64> {
    paths.iter().filter_map(|path| get_path(body, path)).find_map(|value| text(value)?.parse::<u64>().ok())
}

/// Reads an answer that holds one object.
pub fn one(api: &Api, kind: &Kind, body: &Value) -> Result<Value, Mismatch> {
    let (resource, _) = apply::members(kind);
    let path = match kind.dialect {
        DialectName::Jsonapi => Some("data"),
        DialectName::Rest => kind.spec.answer.as_deref().or(api.spec.envelope.one.as_deref()),
        // One object is a list of one, but for the bare answer to a create.
        DialectName::Odata => kind.spec.answer.as_deref().or(api.spec.envelope.many.as_deref()),
        DialectName::Apply => {
            let own = kind.spec.answer.as_deref().unwrap_or(&resource);
            Some(if body.get(own).is_some() { own } else { "resource" })
        }
    };
    let found = match (kind.dialect, path) {
        (DialectName::Odata, Some(path)) => odata::rows(body, path).or_else(|| body.get(path)).unwrap_or(body),
        _ => path.and_then(|path| get_path(body, path)).unwrap_or(body),
    };
    match found {
        Value::Object(_) => Ok(found.clone()),
        Value::Array(items) if items.len() == 1 && items[0].is_object() => Ok(items[0].clone()),
        _ => Err(mismatch(path, path.and_then(|path| get_path(body, path)), body, "one object")),
    }
}

/// Whether an answer says by an empty list that there is no such object, as OData does.
pub fn has_no_rows(api: &Api, kind: &Kind, body: &Value) -> bool {
    kind.dialect == DialectName::Odata
        && odata::rows(body, api.spec.envelope.many.as_deref().unwrap_or_default())
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
}

/// The id of a new object in the `Location` of the answer to its create.
pub fn located(kind: &Kind, location: &str) -> Option<String> {
    if kind.dialect == DialectName::Odata {
        return odata::located(location);
    }
    let path = location.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
}

fn mismatch(path: Option<&str>, found: Option<&Value>, body: &Value, wanted: &str) -> Mismatch {
    let came = match (path, found) {
        (Some(path), Some(found)) => format!("{} under `{path}`", shape(found)),
        _ => shape(body),
    };
    Mismatch { came, expected: path.map_or_else(|| wanted.to_owned(), |path| format!("{wanted} under `{path}`")) }
}

fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Number(_) => "a number".into(),
        Value::String(_) => "a text".into(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(map) => {
            let names: Vec<String> = map.keys().take(5).map(|name| format!("`{name}`")).collect();
            if names.is_empty() { "an empty object".into() } else { format!("an object with {}", names.join(", ")) }
        }
    }
}

/// The id of a row.
pub fn id_of(kind: &Kind, row: &Value) -> Option<String> {
    let paths = kind.spec.id.path.iter().map(String::as_str);
    let more = (kind.dialect == DialectName::Jsonapi).then_some("attributes.id");
    paths.chain(more).filter_map(|path| get_path(row, path)).find_map(text).filter(|id| !id.is_empty())
}

/// What tells a row from another that had its id before.
pub fn stamp_of(kind: &Kind, row: &Value) -> Option<String> {
    get_path(row, kind.spec.id.stamp.as_deref()?).and_then(text).filter(|stamp| !stamp.is_empty())
}

/// When a row's object was made, where its kind says so.
pub fn made_at(kind: &Kind, row: &Value) -> Option<Timestamp> {
    let words = attribute(kind, row, kind.spec.id.made.as_deref()?).as_ref().and_then(text)?;
    match words.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => words.parse().ok(),
    }
}

/// What moves with each change of an object.
pub fn revision_of(kind: &Kind, row: &Value) -> Option<String> {
    let parts: Vec<String> =
        kind.spec.id.revision.iter().filter_map(|path| get_path(row, path).and_then(text)).collect();
    Some(parts.join("/")).filter(|words| !words.is_empty())
}

/// The wire value of an attribute; nothing where the row does not have it at all. JSON:API attributes may be spelled
/// with dashes or underscores; a path that starts with `attributes.`, `relationships.` or `meta.` is taken as it is.
pub fn attribute(kind: &Kind, row: &Value, wire: &str) -> Option<Value> {
    if kind.dialect != DialectName::Jsonapi {
        return at_path(row, wire);
    }
    if ["attributes.", "relationships.", "meta.", "links."].iter().any(|start| wire.starts_with(start)) || wire == "id"
    {
        return at_path(row, wire).or_else(|| at_path(row, &swap_dashes(wire)));
    }
    let attributes = row.get("attributes")?;
    at_path(attributes, wire).or_else(|| at_path(attributes, &swap_dashes(wire)))
}

fn swap_dashes(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            '-' => '_',
            '_' => '-',
            other => other,
        })
        .collect()
}

/// Whether a row fulfils a condition on the wire.
pub fn wire_condition(kind: &Kind, row: &Value, condition: &Condition) -> bool {
    let Some(wire) = &condition.wire else { return false };
    let value = attribute(kind, row, wire).unwrap_or(Value::Null);
    let same = |other: &Value| other == &value || matches!((text(other), text(&value)), (Some(a), Some(b)) if a == b);
    (condition.one_of.is_empty() || condition.one_of.iter().any(same))
        && (condition.not_in.is_empty() || !condition.not_in.iter().any(same))
        && (!condition.present || !(is_empty(&value) || value == Value::Bool(false)))
}

/// A row in canonical form.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Its id.
    pub id: String,
    /// The fields that the row has; what it does not have at all is not here.
    pub fields: Fields,
    /// What tells it from another that had its id before, where its kind has that.
    pub stamp: Option<String>,
}

impl Decoded {
    /// An object of which nothing but the id is known.
    pub fn bare(id: String) -> Self {
        Self { id, fields: Fields::new(), stamp: None }
    }
}

/// The id that an object goes by: its row's own, a singleton's kind, or the key of an entry that has no id.
pub fn row_id(kind: &Kind, row: &Value) -> Option<String> {
    match (kind.spec.singleton, id_of(kind, row)) {
        (true, _) if kind.spec.id.local => Some(kind.name.clone()),
        (_, Some(id)) => Some(id),
        (true, None) => Some(kind.name.clone()),
        (false, None) => kind.inside().and_then(|_| key_as_id(kind, row)),
    }
}

/// The key field that a row of a list does not show in any form that can be read, so that whose row it is cannot be told.
pub fn keyless<'k>(kind: &'k Kind, row: &Value) -> Option<&'k str> {
    let spec = &kind.spec;
    if spec.list.partial || !spec.key_fallbacks.is_empty() {
        return None;
    }
    if spec.not_ours.iter().any(|condition| wire_condition(kind, row, condition)) {
        return None;
    }
    let unread = |name: &&String| {
        let Some(field) = kind.field(name) else { return false };
        let plain =
            matches!(field.ty, FieldType::String | FieldType::Integer) && field.required && field.when.is_none();
        let elsewhere =
            field.write_only || field.path_only || field.read_by.is_some() || field.on_get_only || field.omitted;
        let found = attribute(kind, row, field.wire_name())
            .or_else(|| field.read.iter().find_map(|path| attribute(kind, row, path)));
        plain && !elsewhere && found.is_none_or(|value| value.is_object() || value.is_array())
    };
    spec.key.iter().find(unread).map(String::as_str)
}

/// Reads a row into canonical fields. `seal` turns the text of a sensitive value into its placeholder.
pub fn decode_row(kind: &Kind, row: &Value, seal: &dyn Fn(&str) -> Value) -> Option<Decoded> {
    let id = row_id(kind, row)?;
    let mut fields = Fields::new();
    for (name, field) in &kind.spec.fields {
        if field.write_only || field.path_only || field.read_by.is_some() {
            continue;
        }
        if field.ty == FieldType::Ref
            && let Some(target) = field.reference.as_ref().filter(|target| !target.kinds.is_empty())
        {
            if let Some(value) = decode_typed_ref(kind, row, field.wire_name(), target) {
                fields.insert(name.clone(), value);
            }
            continue;
        }
        if let Some(told) = &field.file {
            fields.extend(decode_file(kind, row, told).map(|value| (name.clone(), value)));
            continue;
        }
        let found = attribute(kind, row, field.wire_name())
            .or_else(|| field.read.iter().find_map(|path| attribute(kind, row, path)));
        let Some(wire) = found else { continue };
        if let Some(condition) = &field.when
            && !field_condition_on_row(kind, row, condition)
        {
            continue;
        }
        fields.insert(name.clone(), decode(field, &wire, seal));
    }
    Some(Decoded { id, fields, stamp: stamp_of(kind, row) })
}

/// Puts in what a whole object leaves out because it has no value. `by_get` is for the read of one object, which has
/// what lists do not.
pub fn fill_omitted(kind: &Kind, by_get: bool, fields: &mut Fields) {
    for (name, field) in &kind.spec.fields {
        let elsewhere = field.write_only
            || field.path_only
            || field.not_sent
            || field.read_by.is_some()
            || matches!(field.ty, FieldType::File | FieldType::Sink)
            || (!by_get && (field.on_get_only || kind.spec.list.partial));
        if !field.omitted || elsewhere || fields.contains_key(name) {
            continue;
        }
        fields.insert(name.clone(), field.default.clone().unwrap_or_default());
    }
}

/// What a row tells about an uploaded file, as far as it does.
fn decode_file(kind: &Kind, row: &Value, told: &FileSpec) -> Option<Value> {
    let mut parts = Fields::new();
    for (part, wire) in [("name", &told.name), ("size", &told.size)] {
        let value = wire.as_ref().and_then(|wire| attribute(kind, row, wire)).filter(|value| !value.is_null());
        parts.extend(value.map(|value| (part.to_owned(), value)));
    }
    (!parts.is_empty()).then(|| json!({ "$file": parts }))
}

/// The id of an entry that is known by its key only, such as a member by its user.
fn key_as_id(kind: &Kind, row: &Value) -> Option<String> {
    let field = kind.spec.fields.get(kind.spec.key.last()?)?;
    let value = attribute(kind, row, field.wire_name())
        .or_else(|| field.read.iter().find_map(|path| attribute(kind, row, path)))?;
    odata::reference_id(&value)
}

fn field_condition_on_row(kind: &Kind, row: &Value, condition: &Condition) -> bool {
    let Some(name) = &condition.field else { return wire_condition(kind, row, condition) };
    let Some(field) = kind.spec.fields.get(name) else { return true };
    let spelled = |words: &[Value]| -> Vec<Value> {
        let prefix = field.prefix.as_deref().unwrap_or_default();
        words
            .iter()
            .map(|word| text(word).map_or_else(|| word.clone(), |word| format!("{prefix}{word}").into()))
            .collect()
    };
    let (one_of, not_in) = if field.prefix.is_some() {
        (spelled(&condition.one_of), spelled(&condition.not_in))
    } else {
        (condition.one_of.clone(), condition.not_in.clone())
    };
    let wire = Some(field.wire_name().to_owned());
    let on_wire = Condition { wire, one_of, not_in, present: condition.present, ..Condition::default() };
    wire_condition(kind, row, &on_wire)
}

fn decode_typed_ref(
    kind: &Kind,
    row: &Value,
    id_wire: &str,
    target: &crate::description::format::RefSpec,
) -> Option<Value> {
    let type_wire = target.type_wire.as_deref()?;
    let id = attribute(kind, row, id_wire)?;
    let word = attribute(kind, row, type_wire)?;
    let (Some(id), Some(word)) = (text(&id), text(&word)) else { return Some(Value::Null) };
    // The type may be spelled as a word of the field, or as a JSON:API type: `SSL Certificate`, `ssl-certificates`.
    let plain = |word: &str| word.to_lowercase().replace(['-', '_', ' '], "").trim_end_matches('s').to_owned();
    let (word, target_kind) = target.kinds.iter().find(|(known, _)| plain(known) == plain(&word))?;
    let name = if target_kind.is_empty() { word } else { target_kind };
    Some(reference(name, &Target::Id(id)))
}

/// The entries of a child kind that came along with their parent's row; nothing where they did not. `other` is the
/// attribute of the objects that the entries hang on which names the other side, where they hang on such.
pub fn entries<S: std::hash::BuildHasher>(
    parent: &Kind,
    child: &Kind,
    row: &Value,
    other: Option<&str>,
    along: &std::collections::HashMap<(String, String), &Value, S>,
) -> Option<Vec<Value>> {
    let inside = child.inside()?;
    let include = inside.include.as_deref()?;
    if parent.dialect == DialectName::Jsonapi {
        return included(parent, child, row, include, along).map(|rows| rows.into_iter().cloned().collect());
    }
    let Some(through) = &inside.through else { return row.get(include)?.as_array().cloned() };
    let mut out = Vec::new();
    for join in row.get(&through.include)?.as_array()? {
        for entry in join.get(include)?.as_array()? {
            let mut entry = entry.as_object()?.clone();
            entry.insert(through.wire.clone(), join.get("id").cloned().unwrap_or_default());
            if let Some(other) = other {
                entry.insert(other.to_owned(), join.get(other).cloned().unwrap_or_default());
            }
            out.push(Value::Object(entry));
        }
    }
    Some(out)
}

/// The included rows that a row's relationships name, by included type and id, for a child kind.
fn included<'a, S: std::hash::BuildHasher>(
    parent: &Kind,
    child: &Kind,
    row: &Value,
    include: &str,
    included: &'a std::collections::HashMap<(String, String), &'a Value, S>,
) -> Option<Vec<&'a Value>> {
    let data = attribute(parent, row, &format!("relationships.{}.data", include.replace('_', "-")))
        .or_else(|| attribute(parent, row, &format!("relationships.{include}.data")))?;
    let links = match data {
        Value::Array(links) => links,
        Value::Null => Vec::new(),
        link => vec![link],
    };
    let mut rows = Vec::new();
    for link in &links {
        let id = link.get("id").and_then(text).or_else(|| text(get_path(link, "attributes.id")?))?;
        let word = link.get("type").and_then(text).or_else(|| child.spec.wire_type.clone())?.replace('_', "-");
        rows.push(*included.get(&(word, id))?);
    }
    Some(rows)
}

/// The errors that an answer of success has in place of data; nothing where it has none.
pub fn errors_in_success(api: &Api, body: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"errors\"";
    // Such an answer is short; a whole list is not read twice.
    if body.len() > 16 * 1024 || !body.windows(NAME.len()).any(|part| part == NAME) {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    let errors = value.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty());
    let listed =
        Some(api.spec.apply.answer.as_deref().unwrap_or("updates")).filter(|_| !api.spec.apply.path.is_empty());
    let data = ["data"].into_iter().chain(listed).any(|name| value.get(name).is_some_and(|data| !data.is_null()));
    if errors && !data { error_text(api, body) } else { None }
}

/// What an error answer says, as it says it: a secret that it repeats can be told only while it is whole. Nothing where
/// it says nothing that can be read.
pub fn error_text(api: &Api, body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let mut parts: Vec<String> = Vec::new();
    // Some servers say what is wrong in a bare text.
    parts.extend(value.as_str().filter(|words| !words.is_empty()).map(str::to_owned));
    if let Some(errors) = value.get("errors").and_then(Value::as_array) {
        for error in errors {
            let title = error.get("title").or_else(|| error.get("message")).and_then(text);
            let details = error.get("details").and_then(Value::as_array).into_iter().flatten().filter_map(text);
            let details = Some(details.collect::<Vec<_>>().join("; ")).filter(|words| !words.is_empty());
            let detail = error.get("detail").and_then(text).or(details).or_else(|| text(error));
            let pointer = get_path(error, "source.pointer").and_then(text);
            let said = match (title, detail) {
                (Some(title), Some(detail)) if title != detail => format!("{title}: {detail}"),
                (_, Some(words)) | (Some(words), None) => words,
                (None, None) => continue,
            };
            parts.push(pointer.map_or(said.clone(), |pointer| format!("{said} (at {pointer})")));
        }
    }
    let known = ["message", "error.message", "error_description", "error", "detail", "title"];
    let paths = api.spec.errors.message.iter().map(String::as_str).chain(known);
    for path in paths {
        if parts.is_empty()
            && let Some(words) = at_path(&value, path).as_ref().and_then(text)
        {
            parts.push(words);
        }
    }
    if let Some(code) = error_code(api, &value)
        && !parts.iter().any(|part| part.contains(&code))
    {
        parts.push(format!("code `{code}`"));
    }
    let said = parts.join("; ");
    (!said.is_empty()).then_some(said)
}

fn error_code(api: &Api, value: &Value) -> Option<String> {
    let known = ["code", "error.code"];
    api.spec
        .errors
        .code
        .iter()
        .map(String::as_str)
        .chain(known)
        .find_map(|path| at_path(value, path).as_ref().and_then(text))
}

/// Whether an error answer means that there is no such object.
pub fn is_absence(api: &Api, status: u16, body: &[u8]) -> bool {
    api.spec.errors.absent.contains(&status) || says(api, api.spec.errors.absent_words.as_ref(), status, body)
}

/// Whether a refusal has one of some words in its message.
fn says(api: &Api, words: Option<&Words>, status: u16, body: &[u8]) -> bool {
    let Some(words) = words.filter(|words| words.statuses.contains(&status)) else { return false };
    // Some servers say it in a text that is no JSON.
    let plain = || String::from_utf8_lossy(body).into_owned();
    let said = error_text(api, body).unwrap_or_else(plain).to_lowercase();
    words.words.iter().any(|word| said.contains(&word.to_lowercase()))
}

/// Whether an error answer means that the object exists already.
pub fn is_conflict(api: &Api, status: u16, body: &[u8]) -> bool {
    let errors = &api.spec.errors;
    let worded = errors.conflict_words.as_ref();
    let by_status = errors.conflict.contains(&status) && worded.is_none_or(|words| !words.statuses.contains(&status));
    if by_status || says(api, worded, status, body) {
        return true;
    }
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| error_code(api, &value))
        .is_some_and(|code| api.spec.errors.conflict_codes.contains(&code))
}
