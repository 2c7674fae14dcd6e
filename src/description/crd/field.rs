//! Fields of kinds → structural schemas.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{Untyped, is_plain, rules};
use crate::description::{
    compiled::{Api, Kind},
    format::{FieldSpec, FieldType, Format, Immutable, InsideForm, Sensitivity},
    schema::{description, number},
};

const FREE: &str = "a map of your own: any JSON by key";
const UNION: &str = "text, or a sensitive value `{valueFrom: …}`";
const SOPS: &str = "a path, or a map of `file` and `key`";
const OPEN: &str = "it may have members beside the described ones";
const ANY: &str = "any JSON";
const DEFAULTS: &str = "fields of the API's kinds, whichever it is";

/// Entries at most of a list that a rule looks through.
const MAX_ENTRIES: u32 = 4096;
/// E-mail addresses.
const EMAIL: &str = r"^.*[^\s@]@[^\s@.]([^\s@]*[^\s@.])?$";
/// Absolute URLs.
const URL: &str = r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+";
/// MAC addresses: twelve digits, with or without separators.
const MAC: &str = r"^[:.-]*([0-9A-Fa-f][:.-]*){12}$";

/// A schema under construction.
pub(super) struct Draft<'a> {
    api: Option<&'a Api>,
    pub(super) untyped: Vec<Untyped>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(api: &'a Api) -> Self {
        Self { api: Some(api), untyped: Vec::new() }
    }

    pub(super) fn new_core() -> Self {
        Self { api: None, untyped: Vec::new() }
    }

    fn let_through(&mut self, path: &str, reason: &'static str) -> Value {
        self.untyped.push(Untyped { path: path.to_owned(), reason });
        json!({"x-kubernetes-preserve-unknown-fields": true})
    }

    /// The spec of a kind, or an entry inside another.
    pub(super) fn kind(&mut self, kind: &Kind, path: &str) -> Value {
        self.described(kind, path, 0)
    }

    fn described(&mut self, kind: &Kind, path: &str, depth: usize) -> Value {
        // Rules that compare with what was there before need to know which entry is which: lists of entries do, by key.
        let mut schema = self.object(&kind.spec.fields, path, false, true);
        let Some(api) = self.api else { return schema };
        // An entry cannot be inside an entry of its own kind.
        for child in api.children(&kind.name).filter(|_| depth < 4) {
            let Some(inside) = child.inside() else { continue };
            let here = format!("{path}.{}", inside.field);
            let entries = self.entries(child, inside.form, &here, depth);
            schema["properties"][&inside.field] = entries;
        }
        for conflict in &kind.spec.conflicts {
            if let Some(list) = schema["properties"].get_mut(&conflict.with) {
                list["maxItems"] = MAX_ENTRIES.into();
            }
        }
        let rules = rules::of_kind(api, kind);
        add_rules(&mut schema, rules);
        schema
    }

    fn entries(&mut self, child: &Kind, form: InsideForm, path: &str, depth: usize) -> Value {
        let mut schema = match form {
            InsideForm::Map => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            InsideForm::Variables => {
                let fields: IndexMap<String, FieldSpec> = child
                    .spec
                    .fields
                    .iter()
                    .map(|(name, field)| {
                        // Beside `valueFrom`, a value is plain text.
                        let sensitive = field.sensitive.filter(|_| name != "value");
                        (name.clone(), FieldSpec { sensitive, ..field.clone() })
                    })
                    .collect();
                let mut item = self.object(&fields, &format!("{path}[]"), false, true);
                item["properties"]["valueFrom"] = self.value_from(&format!("{path}[].valueFrom"));
                add_rules(&mut item, vec![rules::one_of(&["value", "valueFrom"])]);
                keyed(item, &child.spec.key)
            }
            InsideForm::List => {
                let mut items = self.described(child, &format!("{path}[]"), depth + 1);
                let keys: Vec<String> = child
                    .spec
                    .key
                    .iter()
                    .filter(|_| child.spec.key_fallbacks.is_empty())
                    .filter(|name| child.field(name).is_some_and(|field| field.from_file.is_none()))
                    .cloned()
                    .collect();
                let plain = |name: &String| child.field(name).is_some_and(|field| is_plain(field) && !field.nullable);
                if !keys.is_empty() && keys.len() == child.spec.key.len() && keys.iter().all(plain) {
                    keyed(items, &keys)
                } else {
                    if !keys.is_empty() {
                        items["required"] = json!(keys);
                    }
                    without_transitions(&mut items);
                    json!({"type": "array", "items": items})
                }
            }
        };
        if let Some(words) = &child.spec.description {
            schema["description"] = words.clone().into();
        }
        schema
    }

    /// An object of described members. `whole`: what its members need has to be there. `tracked`: Kubernetes can tell
    /// which object it was before.
    pub(super) fn object(
        &mut self,
        fields: &IndexMap<String, FieldSpec>,
        path: &str,
        whole: bool,
        tracked: bool,
    ) -> Value {
        let mut properties = Map::new();
        for (name, field) in fields.iter().filter(|(_, field)| field.is_declarable()) {
            properties.insert(name.clone(), self.member(field, &format!("{path}.{name}"), whole, tracked));
        }
        // Variables and parameters: `{name, value}` or `{name, valueFrom}`.
        let variable = fields.get("value").is_some_and(|field| field.sensitive.is_some());
        if variable && !properties.contains_key("valueFrom") {
            properties.insert("valueFrom".to_owned(), self.value_from(&format!("{path}.valueFrom")));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        let required: Vec<&String> = fields
            .iter()
            .filter(|(_, field)| whole && field.required && field.is_declarable())
            .map(|(name, _)| name)
            .collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        add_rules(&mut schema, rules::of_fields(fields, path.contains("[]")));
        schema
    }

    fn member(&mut self, field: &FieldSpec, path: &str, whole: bool, tracked: bool) -> Value {
        let mut schema = self.typed(field, path, whole, tracked);
        if field.nullable && schema.get("type").is_some() {
            schema["nullable"] = true.into();
            if let Some(Value::Array(words)) = schema.get_mut("enum") {
                words.push(Value::Null);
            }
        }
        if tracked && field.immutable == Some(Immutable::Refuse) && schema.get("type").is_some() {
            add_rules(&mut schema, vec![rules::immutable(path)]);
        }
        let words = description(field);
        if !words.is_empty() {
            schema["description"] = words.into();
        }
        schema
    }

    fn field(&mut self, field: &FieldSpec, path: &str, whole: bool) -> Value {
        self.member(field, path, whole, false)
    }

    fn typed(&mut self, field: &FieldSpec, path: &str, whole: bool, tracked: bool) -> Value {
        match field.sensitive.filter(|_| field.fields.is_empty()) {
            Some(Sensitivity::Always) => return self.sensitive(path),
            Some(Sensitivity::Allowed) if !matches!(field.ty, FieldType::Map | FieldType::Object | FieldType::List) => {
                return self.let_through(path, UNION);
            }
            _ => {}
        }
        if let Some(reference) = &field.reference {
            return rules::reference(field, reference);
        }
        match field.ty {
            FieldType::String => text(field, path),
            FieldType::Integer | FieldType::Number => {
                let mut schema = if field.ty == FieldType::Integer {
                    json!({"type": "integer", "format": "int64"})
                } else {
                    json!({"type": "number"})
                };
                if let Some(minimum) = field.minimum {
                    schema["minimum"] = number(minimum);
                }
                if let Some(maximum) = field.maximum {
                    schema["maximum"] = number(maximum);
                }
                if !field.allowed.is_empty() {
                    schema["enum"] = json!(field.allowed);
                }
                schema
            }
            FieldType::Boolean => json!({"type": "boolean"}),
            FieldType::Date => json!({"type": "string", "format": "date"}),
            FieldType::Datetime => json!({"type": "string", "format": "date-time"}),
            FieldType::Ref => json!({"type": "string", "minLength": 1}),
            FieldType::Object if field.fields.is_empty() => self.free(path, FREE),
            FieldType::Object => {
                let mut schema = self.object(&field.fields, path, whole, tracked);
                if field.open {
                    self.untyped.push(Untyped { path: path.to_owned(), reason: OPEN });
                    schema["x-kubernetes-preserve-unknown-fields"] = true.into();
                }
                schema
            }
            FieldType::Map => match field.items.as_deref() {
                Some(items) => {
                    let values = self.field(items, &format!("{path}.*"), false);
                    json!({"type": "object", "additionalProperties": values})
                }
                None if path == "spec.defaults" => self.free(path, DEFAULTS),
                None => self.free(path, FREE),
            },
            FieldType::List => self.list(field, path),
            FieldType::File => json!({
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "minLength": 1, "description": "Path of the file."}},
            }),
            FieldType::Sink => sink(),
            FieldType::Any => self.let_through(path, ANY),
        }
    }

    fn free(&mut self, path: &str, reason: &'static str) -> Value {
        self.untyped.push(Untyped { path: path.to_owned(), reason });
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }

    fn list(&mut self, field: &FieldSpec, path: &str) -> Value {
        let here = format!("{path}[]");
        let Some(spec) = field.items.as_deref() else {
            return json!({"type": "array", "items": self.let_through(&here, ANY)});
        };
        let items = self.field(spec, &here, field.keyed_by.is_none());
        match &field.keyed_by {
            Some(key) if spec.fields.get(key).is_some_and(is_plain) => keyed(items, std::slice::from_ref(key)),
            _ => {
                let scalar = spec.reference.is_some() || is_plain(spec);
                if field.set && scalar && !spec.nullable {
                    return json!({"type": "array", "x-kubernetes-list-type": "set", "items": items});
                }
                json!({"type": "array", "items": items})
            }
        }
    }

    /// `{valueFrom: …}`, or `{value: …}` where that is allowed.
    fn sensitive(&mut self, path: &str) -> Value {
        let from = self.value_from(&format!("{path}.valueFrom"));
        let mut schema = json!({
            "type": "object",
            "properties": {
                "valueFrom": from,
                "value": {"type": "string", "description": "The value in plain text, where the operator allows that."},
            },
        });
        add_rules(&mut schema, vec![rules::one_of(&["valueFrom", "value"])]);
        schema
    }

    fn value_from(&mut self, path: &str) -> Value {
        let mut sops = self.let_through(&format!("{path}.sops"), SOPS);
        sops["description"] = "Place in a file that SOPS encrypted.".into();
        json!({
            "type": "object",
            "description": "Where the value comes from; one of them.",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {
                "secretKeyRef": {
                    "type": "object",
                    "description": "Key of a Secret of this namespace.",
                    "required": ["name", "key"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "description": "Name of the Secret."},
                        "key": {"type": "string", "minLength": 1, "description": "Key in its data."},
                    },
                },
                "env": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Environment variable of the operator, where its configuration allows it.",
                },
                "file": {
                    "type": "string",
                    "minLength": 1,
                    "description": "File of the operator, where its configuration allows it.",
                },
                "sops": sops,
                "exec": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string"},
                    "description": "Command that prints the value; for the command line only.",
                },
            },
        })
    }
}

/// A list whose entries are told apart by keys, so that server-side apply merges them one by one.
fn keyed(mut items: Value, keys: &[String]) -> Value {
    let mut required: Vec<String> = items
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    required.extend(keys.iter().filter(|key| !required.contains(*key)).cloned().collect::<Vec<_>>());
    items["required"] = json!(required);
    json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, "items": items})
}

/// Drops rules that compare with what was there before: entries without a key cannot be followed.
fn without_transitions(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let drops = match map.get_mut("x-kubernetes-validations") {
                Some(Value::Array(rules)) => {
                    rules.retain(|rule| !rule["rule"].as_str().is_some_and(|rule| rule.contains("oldSelf")));
                    rules.is_empty()
                }
                _ => false,
            };
            if drops {
                map.shift_remove("x-kubernetes-validations");
            }
            map.values_mut().for_each(without_transitions);
        }
        Value::Array(items) => items.iter_mut().for_each(without_transitions),
        _ => {}
    }
}

fn add_rules(schema: &mut Value, rules: Vec<Value>) {
    if rules.is_empty() {
        return;
    }
    match schema.get_mut("x-kubernetes-validations") {
        Some(Value::Array(known)) => known.extend(rules),
        _ => schema["x-kubernetes-validations"] = Value::Array(rules),
    }
}

fn sink() -> Value {
    json!({
        "type": "object",
        "description": "Where the value goes; one of them.",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "secretRef": {
                "type": "object",
                "description": "Key of a Secret of this namespace; the Secret is made if it is not there.",
                "required": ["name", "key"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "description": "Name of the Secret."},
                    "key": {"type": "string", "minLength": 1, "description": "Key in its data."},
                },
            },
            "file": {"type": "string", "minLength": 1, "description": "Path of a file, in a folder that the operator allows."},
        },
    })
}

/// Text, in quotes where YAML would take it for something else: by the time that Kubernetes sees an unquoted `007`, it is
/// 7, and nobody can tell what was written.
fn text(field: &FieldSpec, path: &str) -> Value {
    let mut schema = json!({"type": "string"});
    if !field.allowed.is_empty() {
        let words: Vec<String> = field.allowed.iter().filter_map(crate::value::text).collect();
        schema["enum"] = json!(words);
        return schema;
    }
    if let Some(length) = field.max_length {
        schema["maxLength"] = length.into();
    }
    // A rule says what was expected; in lists, of which nobody knows the length, rules cost more than Kubernetes gives.
    let listed = path.contains("[]");
    match field.format {
        Some(Format::Mac) => schema["pattern"] = MAC.into(),
        Some(Format::Email) => schema["pattern"] = EMAIL.into(),
        Some(Format::Url) if listed => schema["pattern"] = URL.into(),
        Some(Format::Ip) if listed => schema["anyOf"] = json!([{"format": "ipv4"}, {"format": "ipv6"}]),
        Some(Format::Url) => add_rules(&mut schema, vec![rules::url()]),
        Some(Format::Ip) => add_rules(&mut schema, vec![rules::ip()]),
        None => {}
    }
    if let Some(pattern) = &field.pattern {
        let pattern = format!("^(?:{pattern})$");
        if schema.get("pattern").is_some() {
            schema["allOf"] = json!([{ "pattern": pattern }]);
        } else {
            schema["pattern"] = pattern.into();
        }
    }
    if let Some(pattern) = &field.not_pattern {
        if listed {
            schema["not"] = json!({"pattern": format!("^(?:{pattern})$")});
        } else {
            add_rules(&mut schema, vec![rules::reserved(pattern)]);
        }
    }
    schema
}
