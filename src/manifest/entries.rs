//! Fields of a manifest that list entries inside it → the entries, each with its key.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    condition,
    convert::{Convert, Known, check_conditions},
    faults::{Path, listed},
    node::{Mark, Member, Node, Shape},
    scalar,
};
use crate::{
    address::escape,
    description::{Kind, format::InsideForm},
    diagnostic::Diagnostic,
    value::{self, Fields},
};

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Arc<Kind>,
    /// Field of the parent that lists it.
    pub(super) field: String,
    /// What tells it from its siblings.
    pub(super) key: String,
    pub(super) spec: Fields,
    /// What a create needs and it does not declare.
    pub(super) missing: Vec<String>,
    /// JSON pointer in the document.
    pub(super) pointer: String,
    pub(super) at: Mark,
}

/// Reads the entries of one field.
pub(super) fn read<'t>(member: &Member<'t>, kind: &Arc<Kind>, convert: &mut Convert<'_, 't>) -> Vec<Entry> {
    let Some(inside) = kind.inside() else { return Vec::new() };
    if member.value.is_null() {
        return Vec::new();
    }
    let path = Path::Field(&Path::Root, &member.key);
    let pointer = format!("/spec/{}", escape(&member.key));
    let mut entries = Vec::new();
    match (&member.value.shape, inside.form) {
        (Shape::Map(members), InsideForm::Map) => {
            for pair in members {
                let here = Path::Field(&path, &pair.key);
                let at = pair.value.best(pair.at);
                let pointer = format!("{pointer}/{}", escape(&pair.key));
                if let Some(spec) = pair_spec(pair, kind, &here, convert) {
                    entries.extend(finish(spec, at, pointer, kind, member, &here, convert));
                }
            }
        }
        (Shape::List(items), InsideForm::List | InsideForm::Variables) => {
            for (index, item) in items.iter().enumerate() {
                let here = Path::Item(&path, index);
                let Some(spec) = item_spec(item, kind, &here, convert) else { continue };
                let at = key_mark(item, kind);
                let pointer = format!("{pointer}/{index}");
                entries.extend(finish(spec, at, pointer, kind, member, &here, convert));
            }
        }
        (_, form) => {
            let expected = match form {
                InsideForm::Map => "a map of texts",
                InsideForm::Variables => "a list of `{name, value}` or `{name, valueFrom}`",
                InsideForm::List => "a list",
            };
            let message = format!("`{path}` has to be {expected}; it is {}.", member.value.describe());
            convert.faults.error("PL0105", message, member.at);
        }
    }
    check_siblings(&entries, kind, &path, convert);
    entries
}

fn item_spec<'t>(item: &Node<'t>, kind: &Arc<Kind>, path: &Path<'_>, convert: &mut Convert<'_, 't>) -> Option<Fields> {
    let Some(members) = item.as_map() else {
        let message = format!("`{path}` has to be a map of fields of `{}`; it is {}.", kind.name, item.describe());
        convert.faults.error("PL0105", message, item.at);
        return None;
    };
    let before = convert.faults.list.len();
    let known = Known { fields: &kind.spec.fields, not_fields: Some([&kind.spec.ignored, &kind.spec.excluded]) };
    let mut spec = convert.fields(members, known, path, &mut |_, _| false);
    for (name, field) in &kind.spec.fields {
        if let Some(file) = &field.from_file
            && !spec.contains_key(name)
            && let Some(file_name) = spec.get(file).and_then(key_text)
        {
            spec.insert(name.clone(), Value::String(file_name));
        }
    }
    check_conditions(&spec, &kind.spec.fields, members, convert);
    (convert.faults.list.len() == before).then_some(spec)
}

/// An entry of a map: the key and the value are fields of its kind.
fn pair_spec<'t>(
    pair: &Member<'t>,
    kind: &Arc<Kind>,
    path: &Path<'_>,
    convert: &mut Convert<'_, 't>,
) -> Option<Fields> {
    let key = kind.spec.key.last()?;
    let (value_name, field) = kind
        .spec
        .fields
        .iter()
        .filter(|(name, field)| *name != key && !field.read_only)
        .max_by_key(|(name, _)| *name == "value")?;
    if pair.value.is_null() {
        let message = format!("`{path}` has to be text; it is null.");
        let hint = "Leave the entry out: with prune, it is removed.";
        convert.faults.add(Diagnostic::error("PL0105", message).hint(hint), pair.at);
        return None;
    }
    let name = json!(pair.key);
    let wrong = kind.field(key).and_then(|field| scalar::check(&path.to_string(), &name, field, convert.patterns));
    if let Some(wrong) = wrong {
        convert.faults.add(wrong, pair.at);
        return None;
    }
    let value = convert.field(&pair.value, pair.at, field, path)?;
    let mut spec = Fields::new();
    spec.insert(key.clone(), name);
    spec.insert(value_name.clone(), value);
    Some(spec)
}

fn finish<'t>(
    spec: Fields,
    at: Mark,
    pointer: String,
    kind: &Arc<Kind>,
    member: &Member<'t>,
    path: &Path<'_>,
    convert: &mut Convert<'_, 't>,
) -> Option<Entry> {
    let Some(key) = key(kind, &spec) else {
        let alternatives = std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks);
        let words: Vec<String> = alternatives.map(listed).collect();
        let message = format!("`{path}` needs {}: it tells one entry from another.", words.join(", or "));
        convert.faults.error("PL0108", message, at);
        return None;
    };
    let around = std::mem::take(&mut convert.missing);
    convert.requirements(&spec, &[], &kind.spec.fields, &Path::Root, None);
    let missing = std::mem::replace(&mut convert.missing, around);
    let field = member.key.to_string();
    Some(Entry { kind: kind.clone(), field, key, spec, missing, pointer, at })
}

/// The key of an entry: of the first set of key fields that it declares all of.
fn key(kind: &Kind, spec: &Fields) -> Option<String> {
    std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks).find_map(|names| {
        let parts: Option<Vec<String>> = names
            .iter()
            .filter(|name| kind.field(name).is_some_and(|field| !field.read_only))
            .map(|name| spec.get(name).and_then(key_text))
            .collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
    })
}

/// A key field as text: a file by its name.
fn key_text(value: &Value) -> Option<String> {
    match value::file(value) {
        Some(file) => {
            let path = file.get("path")?.as_str()?;
            std::path::Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned())
        }
        None => value::text(value).filter(|text| !text.is_empty()),
    }
}

fn key_mark(item: &Node<'_>, kind: &Kind) -> Mark {
    let names = kind.spec.key.iter().chain(kind.spec.key_fallbacks.iter().flatten());
    names.filter_map(|name| item.member(name)).map(|member| member.value.best(member.at)).next().unwrap_or(item.at)
}

/// Checks what entries of one parent may not have in common, and what one of them has to have.
fn check_siblings(entries: &[Entry], kind: &Kind, path: &Path<'_>, convert: &mut Convert<'_, '_>) {
    let Some(inside) = kind.inside() else { return };
    let mut keys: HashMap<&str, Mark> = HashMap::with_capacity(entries.len());
    for entry in entries {
        if let Some(first) = keys.insert(&entry.key, entry.at) {
            let first = convert.faults.place(first);
            let message = format!("`{path}` has two entries `{}`.", entry.key);
            convert.faults.add(Diagnostic::error("PL0116", message).see(Some(first), "it is here first"), entry.at);
        }
    }
    for name in inside.unique.iter().filter(|name| kind.spec.key.as_slice() != [(*name).clone()]) {
        let mut seen: HashMap<String, Mark> = HashMap::with_capacity(entries.len());
        for entry in entries {
            let Some(text) = entry.spec.get(name).and_then(value::text) else { continue };
            if let Some(first) = seen.get(&text) {
                let first = convert.faults.place(*first);
                let message = format!("`{path}` has two entries with the {name} `{text}`.");
                let diagnostic = Diagnostic::error("PL0117", message).see(Some(first), "it is here first");
                convert.faults.add(diagnostic, entry.at);
            } else {
                seen.insert(text, entry.at);
            }
        }
    }
    if let Some(needed) = &inside.at_least_one
        && inside.embed_required
        && let Some(first) = entries.first()
        && entries.iter().all(|entry| condition::holds(needed, &entry.spec, &kind.spec.fields) == Some(false))
    {
        let message = format!("At least one entry of `{path}` is needed whose {}.", condition::describe(needed));
        convert.faults.error("PL0117", message, first.at);
    }
}
