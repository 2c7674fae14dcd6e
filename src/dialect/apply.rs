//! Whole resources, whatever their kind: the bodies of the calls that make, change and delete them, and what the answers
//! say of each.

use serde_json::{Value, json};

use crate::{
    description::{Api, Kind, without_version},
    value::{Fields, get_path, set_path, text},
};

/// What became of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Its kind.
    pub kind: String,
    /// Its name, which is its id.
    pub name: String,
    /// The word that says what became of it.
    pub status: String,
    /// Why, in words.
    pub reason: Option<String>,
    /// The resource, as far as the answer has it.
    pub resource: Value,
}

/// A resource as the API takes it, from its attributes.
pub fn resource_body(api: &Api, kind: &Kind, attributes: Fields) -> Value {
    let mut out = Fields::new();
    let own = attributes.get("apiVersion").filter(|version| !version.is_null()).cloned();
    out.insert("apiVersion".into(), own.unwrap_or_else(|| json!(api.spec.apply.api_version)));
    out.insert("kind".into(), json!(kind.name));
    out.extend(attributes.into_iter().filter(|(name, _)| name != "apiVersion" && name != "kind"));
    // A resource has both, whatever there is to say in them.
    for part in ["metadata", "spec"] {
        out.entry(part).or_insert_with(|| json!({}));
    }
    Value::Object(out)
}

/// The body of a call on many resources.
pub fn apply_body(api: &Api, resources: Vec<Value>) -> Value {
    let mut out = Fields::new();
    set_path(&mut out, api.spec.apply.request.as_deref().unwrap_or("resources"), Value::Array(resources));
    Value::Object(out)
}

/// What names a resource that is to be deleted.
pub fn named(kind: &Kind, id: &str) -> Value {
    let mut out = Fields::new();
    out.insert("kind".into(), json!(kind.name));
    let path = kind.spec.id.path.first().map_or("metadata.name", String::as_str);
    set_path(&mut out, path, json!(id));
    Value::Object(out)
}

/// What an answer says of each resource; there may be more of them than were sent.
pub fn updates(api: &Api, body: &Value) -> Vec<Update> {
    let spec = &api.spec.apply;
    let word = |name: &Option<String>, entry: &Value| {
        get_path(entry, name.as_deref().unwrap_or_default()).and_then(text).filter(|word| !word.is_empty())
    };
    let list = get_path(body, spec.answer.as_deref().unwrap_or("updates")).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|entry| {
            let resource = get_path(entry, spec.resource.as_deref().unwrap_or("resource")).unwrap_or(entry);
            let kind = get_path(resource, "kind").and_then(text)?;
            let known = api.kinds.values().find(|known| known.name.eq_ignore_ascii_case(&kind));
            let paths = known.map(|known| &known.spec.id.path[..]).unwrap_or_default();
            let paths = paths.iter().map(String::as_str).chain(["metadata.name", "name"]);
            let name = paths.filter_map(|path| get_path(resource, path)).find_map(text)?;
            Some(Update {
                kind: known.map_or(kind, |known| known.name.clone()),
                name: without_version(Some(":"), &name).to_owned(),
                status: word(&spec.status, entry).unwrap_or_default(),
                reason: word(&spec.reason, entry),
                resource: resource.clone(),
            })
        })
        .collect()
}

/// The member of answers that holds one object of a kind (`sourceType`), and the one that holds a list of them.
pub(super) fn members(kind: &Kind) -> (String, String) {
    let mut letters = kind.name.chars();
    let one: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    let many = format!("{one}s");
    (one, many)
}
