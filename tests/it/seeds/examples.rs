//! Samples ↔ fields: every attribute that a vendor prints is a field or ignored for a reason.

use std::collections::BTreeSet;

use plumb::{
    description::{
        Kind,
        format::{DialectName, FieldType},
    },
    dialect::{decode_row, one, page},
    value::secret,
};
use serde::Deserialize;
use serde_json::Value;

use super::{REFERENCES, api, assert_known, kind_of, leaves, read, snake};

#[derive(Deserialize)]
struct Example {
    id: String,
    endpoint: Option<String>,
    direction: String,
    json: Value,
}

impl Example {
    /// The resource that an endpoint is about: the last word of its path.
    fn resource(&self) -> Option<&str> {
        let path = self.endpoint.as_deref()?.trim_end_matches("/:id").trim_end_matches("/{id}");
        match path.rsplit('/').next()? {
            "me" => Some("users-me"),
            word => Some(word),
        }
    }
}

/// Attributes of requests' samples that are no fields: the line and why.
const ODD_REQUESTS: &[(&str, u32, &str)] = &[
    ("contacts location-name", 2771, "the name goes along with the id and is read-only"),
    ("locations City", 5890, "spelled so in the sample only; the table has `city`"),
    ("passwords otpSecret", 8101, "spelled so in the sample only; the table has `otp_secret`"),
    ("passwords password-category-name", 8105, "the name goes along with the id and is read-only"),
];

/// Objects of samples that are no kinds.
const NO_KINDS: [&str; 5] = ["exports", "expirations", "logs", "rmm-records", "user-metrics"];

/// Objects of a JSON:API document, wherever they are.
fn objects<'a>(value: &'a Value, out: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            if map.get("type").is_some_and(Value::is_string) && map.get("attributes").is_some_and(Value::is_object) {
                out.push(value);
            }
            map.values().for_each(|value| objects(value, out));
        }
        Value::Array(items) => items.iter().for_each(|value| objects(value, out)),
        _ => {}
    }
}

/// Attributes that are neither fields nor ignored, dotted.
fn unknown(kind: &Kind, attributes: &Value, request: bool) -> Vec<String> {
    let leaves = leaves(kind);
    let same = |wire: &str, path: &str| if request { snake(wire) == snake(path) } else { wire == path };
    let mut out = Vec::new();
    for (name, value) in attributes.as_object().into_iter().flatten() {
        let leaf = leaves.iter().find(|leaf| same(&leaf.wire, name));
        let ignored = !request && kind.spec.ignored.contains_key(name);
        if leaf.is_none() && !ignored && name != "id" {
            out.push(name.clone());
        }
        if leaf.is_some_and(|leaf| matches!(leaf.spec.ty, FieldType::Map | FieldType::File)) {
            continue;
        }
        let members = value.as_array().into_iter().flatten().chain(value.is_object().then_some(value));
        for member in members.filter_map(Value::as_object).flat_map(|map| map.keys()) {
            let path = format!("{name}.{member}");
            if !leaves.iter().any(|leaf| same(&leaf.wire, &path)) && !kind.spec.ignored.contains_key(&path) {
                out.push(path);
            }
        }
    }
    out
}

#[test]
fn every_attribute_of_an_answer_is_a_field_or_ignored() {
    let mut seen = BTreeSet::new();
    for reference in REFERENCES {
        let api = api(reference);
        for example in read::<Example>(reference, "examples.json") {
            if example.direction != "response" {
                continue;
            }
            let mut found = Vec::new();
            if api.spec.dialect == DialectName::Jsonapi {
                let mut rows = Vec::new();
                objects(&example.json, &mut rows);
                for row in rows {
                    let word = row["type"].as_str().unwrap();
                    if let Some(kind) = kind_of(&api, word) {
                        found.extend(unknown(kind, &row["attributes"], false));
                        seen.insert(kind.name.clone());
                    } else {
                        assert!(NO_KINDS.contains(&word), "{}: `{word}` is no kind", example.id);
                    }
                }
            } else if let Some(kind) = example.resource().and_then(|resource| kind_of(&api, resource)) {
                let data = &example.json["data"];
                for row in data.as_array().into_iter().flatten().chain(data.is_object().then_some(data)) {
                    found.extend(unknown(kind, row, false));
                }
            }
            assert!(found.is_empty(), "{}: {found:?}", example.id);
        }
    }
    // Related items have no sample of an answer.
    assert_eq!(seen.len(), api("itglue").kinds.len() - 1);
}

#[test]
fn every_attribute_of_a_request_is_a_field() {
    let mut found = BTreeSet::new();
    let api = api("itglue");
    for example in read::<Example>("itglue", "examples.json") {
        let mut rows = Vec::new();
        objects(&example.json, &mut rows);
        for row in rows.into_iter().filter(|_| example.direction == "request") {
            let word = row["type"].as_str().unwrap();
            let Some(kind) = kind_of(&api, word).filter(|kind| !kind.spec.lookup) else { continue };
            found.extend(unknown(kind, &row["attributes"], true).iter().map(|name| format!("{word} {name}")));
        }
    }
    assert_known(&found, ODD_REQUESTS);
}

#[test]
fn every_answer_is_read_whole() {
    let mut rows_read = 0;
    for reference in REFERENCES {
        let api = api(reference);
        for example in read::<Example>(reference, "examples.json") {
            let kind = example.resource().and_then(|resource| kind_of(&api, resource));
            let Some(kind) = kind.filter(|_| example.direction == "response" && !example.json.is_null()) else {
                continue;
            };
            let rows = if example.id.contains("-index-") {
                page(&api, kind, &api.spec.paging, example.json.clone()).unwrap().rows
            } else {
                vec![one(&api, kind, &example.json).unwrap()]
            };
            assert!(!rows.is_empty(), "{}", example.id);
            for row in rows {
                let decoded = decode_row(kind, &row, &|_| secret("hash"));
                let decoded = decoded.unwrap_or_else(|| panic!("{}: no id in {row}", example.id));
                for name in kind.spec.key.iter().filter(|name| !kind.spec.key_optional.contains(name)) {
                    // No answer shows which manufacturer a model is of; the list's path does.
                    assert!(
                        decoded.fields.contains_key(name) || (kind.name == "Model" && name == "manufacturer"),
                        "{}: `{name}` of the key is not read",
                        example.id
                    );
                }
                rows_read += 1;
            }
        }
    }
    assert!(rows_read > 80, "{rows_read}");
}
