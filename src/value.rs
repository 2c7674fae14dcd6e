//! Canonical values: JSON in which secrets, references and files stand as placeholders, so that nothing that prints,
//! stores or compares a value can meet a secret.
//!
//! - `{"$secret": HASH}`: a sensitive value, by its keyed hash; equal secrets have equal hashes. [`crate::secret::Vault`]
//!   alone knows the text.
//! - `{"$valueFrom": {…}}`: a sensitive value that is not resolved yet.
//! - `{"$ref": "Kind/id:33"}`: a reference; also `Kind/new:ADDRESS` (made in this run) and `Kind/FIELD:VALUE`.
//! - `{"$file": {"path", "name", "size", "sha256"}}`: a file to upload.
//! - `{"$sink": {"file"}}` or `{"$sink": {"secretRef"}}`: where a value goes that the answer to a create has once.

use std::fmt;

use serde_json::{Map, Value, json};

/// An object's fields.
pub type Fields = Map<String, Value>;

/// Makes the placeholder of a secret.
pub fn secret(hash: &str) -> Value {
    json!({ "$secret": hash })
}

/// The hash of a secret's placeholder.
pub fn secret_hash(value: &Value) -> Option<&str> {
    value.as_object().filter(|map| map.len() == 1)?.get("$secret")?.as_str()
}

/// The description of a sensitive value that is not resolved yet.
pub fn value_from(value: &Value) -> Option<&Value> {
    value.as_object().filter(|map| map.len() == 1)?.get("$valueFrom")
}

/// The description of a file to upload.
pub fn file(value: &Value) -> Option<&Value> {
    value.as_object().filter(|map| map.len() == 1)?.get("$file")
}

/// Where a value goes that the answer to a create has once.
pub fn sink(value: &Value) -> Option<&Value> {
    value.as_object().filter(|map| map.len() == 1)?.get("$sink")
}

/// An entry of a keyed list that is to go: its key, and nothing else.
pub fn gone(key: &str, name: &str) -> Value {
    json!({ "$gone": true, key: name })
}

/// Whether an entry of a keyed list is to go.
pub fn is_gone(entry: &Value) -> bool {
    entry.get("$gone") == Some(&Value::Bool(true))
}

/// A value without the places of files, which differ from one machine to another; their names and hashes stay.
pub fn without_places(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let is_file = file(value).is_some() || sink(value).is_some();
            Value::Object(
                map.iter()
                    .map(|(name, inner)| {
                        let mut inner = without_places(inner);
                        if is_file && let Value::Object(upload) = &mut inner {
                            upload.shift_remove("path");
                            upload.shift_remove("file");
                            upload.shift_remove("secretRef");
                        }
                        (name.clone(), inner)
                    })
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(without_places).collect()),
        other => other.clone(),
    }
}

/// Whether a secret, resolved or not, is anywhere in a value.
pub fn has_secret(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            secret_hash(value).is_some() || value_from(value).is_some() || map.values().any(has_secret)
        }
        Value::Array(items) => items.iter().any(has_secret),
        _ => false,
    }
}

/// Whether a sensitive value that is not resolved is anywhere in a value.
pub fn has_unresolved(value: &Value) -> bool {
    match value {
        Value::Object(map) => value_from(value).is_some() || map.values().any(has_unresolved),
        Value::Array(items) => items.iter().any(has_unresolved),
        _ => false,
    }
}

/// What a reference points to, once it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A live object, by its id.
    Id(String),
    /// An object that this run makes, by its address.
    New(String),
    /// An object that the API names by one of its fields.
    Field(String, String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id:{id}"),
            Self::New(address) => write!(f, "new:{address}"),
            Self::Field(field, value) => write!(f, "{field}:{value}"),
        }
    }
}

/// Makes the placeholder of a reference.
pub fn reference(kind: &str, target: &Target) -> Value {
    json!({ "$ref": format!("{kind}/{target}") })
}

/// Kind and target of a reference's placeholder.
pub fn as_reference(value: &Value) -> Option<(&str, Target)> {
    let text = value.as_object().filter(|map| map.len() == 1)?.get("$ref")?.as_str()?;
    let (kind, rest) = text.split_once('/')?;
    let (word, rest) = rest.split_once(':')?;
    let target = match word {
        "id" => Target::Id(rest.to_owned()),
        "new" => Target::New(rest.to_owned()),
        field => Target::Field(field.to_owned(), rest.to_owned()),
    };
    Some((kind, target))
}

/// Finds what is at a dotted path: `a.b`, and `a[*].b` for `b` of every element. Members whose names have dots cannot
/// be named. Returns nothing where the path leads nowhere; a `[*]` path gives a list.
pub fn at_path(value: &Value, path: &str) -> Option<Value> {
    if path.is_empty() {
        return Some(value.clone());
    }
    // A member's own name may have dots (`@odata.nextLink`).
    if let Some(whole) = value.get(path) {
        return Some(whole.clone());
    }
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    if let Some(name) = head.strip_suffix("[*]") {
        let list = if name.is_empty() { value } else { value.get(name)? };
        let items = list.as_array()?;
        return Some(Value::Array(match rest {
            Some(rest) => items.iter().filter_map(|item| at_path(item, rest)).collect(),
            None => items.clone(),
        }));
    }
    let next = value.get(head)?;
    match rest {
        Some(rest) => at_path(next, rest),
        None => Some(next.clone()),
    }
}

/// Borrows what is at a dotted path without `[*]`.
pub fn get_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    // A member's own name may have dots (`@odata.nextLink`).
    if let Some(whole) = value.get(path) {
        return Some(whole);
    }
    let (head, rest) = path.split_once('.')?;
    get_path(value.get(head)?, rest)
}

/// Like [`get_path`], to change what is there.
pub fn get_path_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    if value.get(path).is_some() {
        return value.get_mut(path);
    }
    let (head, rest) = path.split_once('.')?;
    get_path_mut(value.get_mut(head)?, rest)
}

/// Puts a value at a dotted path, making the objects on the way.
pub fn set_path(target: &mut Fields, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            target.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let next = target.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            if let Value::Object(map) = next {
                set_path(map, rest, value);
            }
        }
    }
}

/// A scalar as text: how ids, keys and map values are compared whatever their JSON type.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether a value says nothing: null, the empty text, list or object.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_members_and_elements() {
        let value = json!({"relationships": {"users": {"data": [{"id": "1"}, {"id": "2"}]}}, "meta": {"total": 3}});
        assert_eq!(at_path(&value, "relationships.users.data[*].id"), Some(json!(["1", "2"])));
        assert_eq!(at_path(&value, "meta.total"), Some(json!(3)));
        assert_eq!(at_path(&value, "meta.none"), None);
        assert_eq!(get_path(&json!({"@odata.nextLink": "x"}), "@odata.nextLink"), Some(&json!("x")));
        let mut fields = Fields::new();
        set_path(&mut fields, "profile.first_name", json!("Jane"));
        assert_eq!(Value::Object(fields), json!({"profile": {"first_name": "Jane"}}));
    }

    #[test]
    fn references_read_back_as_they_were_made() {
        for target in [
            Target::Id("33".into()),
            Target::New("itglue/Organization/a".into()),
            Target::Field("slug".into(), "a:b".into()),
        ] {
            assert_eq!(as_reference(&reference("Organization", &target)), Some(("Organization", target)));
        }
    }
}
