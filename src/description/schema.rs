//! Descriptions → JSON Schema (draft 2020-12) for editors, which check manifests while they are written.
//!
//! A schema refuses nothing that plumb takes: what is needed only to create an object is said in words, because an
//! object that exists already does without it, and a connection's `defaults` may have it.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    compiled::{Api, CORE_VERSION, Kind},
    format::{ApiSpec, Condition, FieldSpec, FieldType, Format, InsideForm, Sensitivity},
    words::notes,
};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// A name that Kubernetes takes (RFC 1123 subdomain).
const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The schema of manifests of a kind.
pub fn kind_schema(api: &Api, kind: &Kind) -> Value {
    let mut spec = object_schema(api, kind, 0);
    if let Some(properties) = spec.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(
            "connection".into(),
            json!({"type": "string", "description": "Name of the connection, where the stack has several for this API."}),
        );
    }
    json!({
        "$schema": DRAFT,
        "title": format!("{} {}", api.api_version(), kind.name),
        "description": kind.spec.description,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": api.api_version()},
            "kind": {"const": kind.name},
            "metadata": metadata(kind.spec.archive.is_some()),
            "spec": spec,
            "status": {"description": "Written by Kubernetes; ignored."},
        },
        "$defs": {"sensitive": sensitive()},
    })
}

/// The schema of manifests of a kind of plumb's own.
pub fn core_schema(kind: &str, description: &str, fields: &IndexMap<String, FieldSpec>) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, field)| (name.clone(), field_schema(field))).collect();
    let required: Vec<&String> = fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
    json!({
        "$schema": DRAFT,
        "title": format!("{CORE_VERSION} {kind}"),
        "description": description,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": CORE_VERSION},
            "kind": {"const": kind},
            "metadata": metadata(false),
            "spec": {"type": "object", "required": required, "additionalProperties": false, "properties": properties},
            "status": {"description": "Written by Kubernetes; ignored."},
        },
        "$defs": {"sensitive": sensitive()},
    })
}

/// The schema of `kind: Api` manifests: the format of descriptions.
pub fn format_schema() -> Value {
    let mut spec = schemars::schema_for!(ApiSpec).to_value();
    let definitions = match &mut spec {
        Value::Object(map) => {
            map.remove("$schema");
            map.remove("$defs")
        }
        _ => None,
    };
    json!({
        "$schema": DRAFT,
        "title": "plumb.dev/v1alpha1 Api",
        "description": "The description of an API: where it is, how it speaks, and its kinds.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": CORE_VERSION},
            "kind": {"const": "Api"},
            "metadata": metadata(false),
            "spec": spec,
            "status": {"description": "Written by Kubernetes; ignored."},
        },
        "$defs": definitions.unwrap_or_else(|| json!({})),
    })
}

fn metadata(archives: bool) -> Value {
    let mut policies = vec!["delete", "retain"];
    if archives {
        policies.push("archive");
    }
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "pattern": NAME,
                "maxLength": 253,
                "description": "The manifest's handle, by which others refer to it.",
            },
            "namespace": text("Namespace, in Kubernetes."),
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {
                "type": "object",
                "properties": {
                    "plumb.dev/external-id": text("Id of the live object that this manifest is about."),
                    "plumb.dev/deletion-policy": {
                        "enum": policies,
                        "description": "What becomes of the live object when the manifest goes.",
                    },
                    "plumb.dev/reconcile": {
                        "enum": ["enforce", "observe", "disabled"],
                        "description": "Whether differences are repaired, only reported, or not looked for.",
                    },
                    "plumb.dev/depends-on": text("Addresses that come first, separated by commas."),
                    "plumb.dev/ignore-drift": text("Fields whose drift is left alone, separated by commas."),
                    "plumb.dev/clear": text("Fields to clear, separated by commas."),
                    "plumb.dev/moved-from": text("Name that the manifest had before."),
                    "plumb.dev/protect": {
                        "enum": ["true", "false"],
                        "description": "Whether deleting or replacing the object is refused.",
                    },
                    "plumb.dev/allow": text("What is allowed besides, such as `migrate`."),
                },
                "additionalProperties": {"type": "string"},
            },
        },
    })
}

fn sensitive() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "description": "A sensitive value.",
        "type": "object",
        "oneOf": [{"required": ["valueFrom"]}, {"required": ["value"]}],
        "additionalProperties": false,
        "properties": {
            "valueFrom": {
                "description": "Where the value comes from; one of them.",
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": false,
                "properties": {
                    "env": text("Name of an environment variable."),
                    "file": text("Path of a file that holds nothing but the value."),
                    "secretKeyRef": {
                        "type": "object",
                        "description": "Key of a Kubernetes Secret.",
                        "required": ["name", "key"],
                        "additionalProperties": false,
                        "properties": {
                            "name": text("Name of the Secret."),
                            "key": text("Key in its data."),
                            "namespace": text("Its namespace; that of the manifest or of the kubeconfig unless given."),
                        },
                    },
                    "sops": {
                        "description": "Value in a file that SOPS encrypted: `FILE#KEY`, or `file` and `key`.",
                        "oneOf": [
                            {"type": "string"},
                            {
                                "type": "object",
                                "required": ["file"],
                                "additionalProperties": false,
                                "properties": {
                                    "file": text("Path of the file."),
                                    "key": {
                                        "description": "Names on the way to the value, with dots between them, or as a list.",
                                        "type": ["string", "array"],
                                        "items": {"type": ["string", "integer"]},
                                    },
                                },
                            },
                        ],
                    },
                    "exec": {"description": "Command that prints the value; needs `--allow-exec`."},
                },
            },
            "value": text("The value in plain text; needs `--allow-plaintext-secrets`."),
        },
    })
}

/// The fields of a kind and the entries inside it.
fn object_schema(api: &Api, kind: &Kind, depth: usize) -> Value {
    let mut properties = Map::new();
    let mut rules = Vec::new();
    for (name, field) in &kind.spec.fields {
        if !field.is_declarable() {
            continue;
        }
        properties.insert(name.clone(), field_schema(field));
        rules.extend(field.when.as_ref().and_then(|condition| exclusion(name, condition)));
    }
    // An entry cannot be inside an entry of its own kind.
    for child in api.children(&kind.name).filter(|_| depth < 4) {
        let Some(inside) = child.inside() else { continue };
        properties.insert(inside.field.clone(), entries_schema(api, child, inside.form, depth));
    }
    let mut out = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !rules.is_empty() {
        out["allOf"] = Value::Array(rules);
    }
    out
}

fn entries_schema(api: &Api, child: &Kind, form: InsideForm, depth: usize) -> Value {
    let description = &child.spec.description;
    match form {
        InsideForm::Map => {
            json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "description": description})
        }
        InsideForm::Variables => json!({
            "type": "array",
            "description": description,
            "items": {
                "type": "object",
                "required": ["name"],
                "oneOf": [{"required": ["value"]}, {"required": ["valueFrom"]}],
                "properties": {
                    "name": {"type": "string"},
                    "value": {"type": ["string", "number", "boolean"]},
                    "valueFrom": {"$ref": "#/$defs/sensitive/properties/valueFrom"},
                },
                "additionalProperties": false,
            },
        }),
        InsideForm::List => {
            let mut items = object_schema(api, child, depth + 1);
            let needed: Vec<&String> = child
                .spec
                .key
                .iter()
                .filter(|_| child.spec.key_fallbacks.is_empty())
                .filter(|name| child.field(name).is_some_and(|field| field.from_file.is_none()))
                .collect();
            if !needed.is_empty() {
                items["required"] = json!(needed);
            }
            json!({"type": "array", "items": items, "description": description})
        }
    }
}

/// A field that exists only where another has certain values is refused where that one has others.
fn exclusion(name: &str, condition: &Condition) -> Option<Value> {
    let other = condition.field.as_ref()?;
    let shut = if condition.not_in.is_empty() {
        json!({"not": {"enum": condition.one_of}})
    } else {
        json!({"enum": condition.not_in})
    };
    Some(json!({
        "if": {"properties": {other: shut}, "required": [other]},
        "then": {"properties": {name: false}},
    }))
}

/// The schema of one field, in the form that manifests have it.
fn field_schema(field: &FieldSpec) -> Value {
    // Of an object, each member says for itself.
    let mut schema = match field.sensitive.filter(|_| field.fields.is_empty()) {
        Some(Sensitivity::Always) => json!({"$ref": "#/$defs/sensitive"}),
        Some(Sensitivity::Allowed) if !matches!(field.ty, FieldType::Map | FieldType::Object | FieldType::List) => {
            json!({"anyOf": [plain_schema(field), {"$ref": "#/$defs/sensitive"}]})
        }
        _ => plain_schema(field),
    };
    if field.nullable {
        schema = or_null(schema);
    }
    let words = description(field);
    if !words.is_empty()
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("description".into(), words.into());
    }
    schema
}

pub(super) fn description(field: &FieldSpec) -> String {
    let mut words = field.description.clone().unwrap_or_default();
    let notes = notes(field).join("; ");
    if let Some(first) = notes.chars().next() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.extend(first.to_uppercase());
        words.push_str(&notes[first.len_utf8()..]);
        words.push('.');
    }
    words
}

fn or_null(mut schema: Value) -> Value {
    if let Some(Value::String(ty)) = schema.get("type").cloned() {
        schema["type"] = json!([ty, "null"]);
    } else if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.push("null".into());
    } else {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}

fn plain_schema(field: &FieldSpec) -> Value {
    if let Some(reference) = &field.reference {
        let kinds = |names: Vec<&String>| -> Value {
            let names: Vec<String> = names.into_iter().map(|name| regex::escape(name)).collect();
            json!({"type": "string", "pattern": format!("^({})/.", names.join("|"))})
        };
        if !reference.kinds.is_empty() {
            let names = reference.kinds.iter().map(|(word, kind)| if kind.is_empty() { word } else { kind }).collect();
            return kinds(names);
        }
        if reference.wire_prefix.is_some() {
            let named = kinds(reference.kind.iter().collect());
            return json!({"anyOf": [{"enum": field.allowed}, named]});
        }
        return json!({"type": "string", "minLength": 1});
    }
    match field.ty {
        FieldType::String => string_schema(field),
        FieldType::Integer | FieldType::Number => {
            let mut schema = json!({"type": if field.ty == FieldType::Integer { "integer" } else { "number" }});
            if let Some(minimum) = field.minimum {
                schema["minimum"] = number(minimum);
            }
            if let Some(maximum) = field.maximum {
                schema["maximum"] = number(maximum);
            }
            schema
        }
        FieldType::Boolean => json!({"type": "boolean"}),
        FieldType::Date => json!({"type": "string", "format": "date"}),
        FieldType::Datetime => json!({"type": "string", "format": "date-time"}),
        FieldType::Object => {
            let properties: Map<String, Value> = field
                .fields
                .iter()
                .filter(|(_, member)| member.is_declarable())
                .map(|(name, member)| (name.clone(), field_schema(member)))
                .collect();
            json!({"type": "object", "properties": properties, "additionalProperties": field.open})
        }
        FieldType::Map => match field.items.as_deref() {
            Some(items) => json!({"type": "object", "additionalProperties": field_schema(items)}),
            None => json!({"type": "object"}),
        },
        FieldType::List => {
            let mut items = field.items.as_deref().map_or_else(|| json!(true), field_schema);
            if let Some(key) = &field.keyed_by
                && items.is_object()
            {
                items["required"] = json!([key]);
            }
            json!({"type": "array", "items": items, "uniqueItems": field.set})
        }
        FieldType::Ref => json!({"type": "string", "minLength": 1}),
        FieldType::File => json!({
            "type": "object",
            "required": ["file"],
            "additionalProperties": false,
            "properties": {"file": {"type": "string", "description": "Path of the file, from the manifest's folder."}},
        }),
        FieldType::Sink => json!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
            "properties": {
                "file": {"type": "string", "description": "Path of the file to write, from the manifest's folder."},
                "secretRef": {
                    "type": "object",
                    "description": "Key of a Kubernetes Secret, which is made if it is not there.",
                    "required": ["name", "key"],
                    "additionalProperties": false,
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "description": "Name of the Secret."},
                        "key": {"type": "string", "minLength": 1, "description": "Key in its data."},
                    },
                },
            },
        }),
        FieldType::Any => json!({}),
    }
}

/// A whole number without a fraction, which some editors take for another type.
pub(super) fn number(value: f64) -> Value {
    let whole = value.trunc();
    #[expect(clippy::cast_possible_truncation, reason = "compared before it is used")]
    let integer = whole as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared before it is used")]
    let back = integer as f64;
    if (back - value).abs() < f64::EPSILON { json!(integer) } else { json!(value) }
}

/// Text; where nothing restricts it, also what YAML takes for a number or a boolean: its source text counts.
fn string_schema(field: &FieldSpec) -> Value {
    if !field.allowed.is_empty() {
        return json!({"enum": field.allowed, "type": "string"});
    }
    let mut schema = json!({"type": ["string", "number", "boolean"]});
    match field.format {
        Some(Format::Email) => schema["format"] = "email".into(),
        Some(Format::Url) => schema["format"] = "uri".into(),
        Some(Format::Ip | Format::Mac) | None => {}
    }
    if field.format.is_some() || field.pattern.is_some() {
        schema["type"] = "string".into();
    }
    if let Some(pattern) = &field.pattern {
        schema["pattern"] = format!("^(?:{pattern})$").into();
    }
    if let Some(length) = field.max_length {
        schema["maxLength"] = length.into();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(kind: &str) -> Value {
        let api = crate::apis::builtin().api("itglue").unwrap();
        kind_schema(api, api.kind(kind).unwrap())
    }

    #[test]
    fn entries_inside_are_checked_in_place_and_need_their_key() {
        let schema = schema("FlexibleAssetType");
        let entry = &schema["properties"]["spec"]["properties"]["fields"]["items"];
        assert_eq!(entry["required"], json!(["name"]));
        assert_eq!(entry["properties"]["decimals"]["minimum"], json!(0));
        assert!(entry["properties"].get("nameKey").is_none(), "the server owns it");
        let kinds = json!({"not": {"enum": ["Select"]}});
        let rule = json!({
            "if": {"properties": {"kind": kinds}, "required": ["kind"]},
            "then": {"properties": {"options": false}},
        });
        assert!(entry["allOf"].as_array().unwrap().contains(&rule));
    }

    #[test]
    fn sensitive_fields_take_no_plain_text_and_references_name_their_kind() {
        let schema = schema("Password");
        let spec = &schema["properties"]["spec"]["properties"];
        assert_eq!(spec["password"]["$ref"], "#/$defs/sensitive");
        assert!(schema["$defs"]["sensitive"]["properties"].get("valueFrom").is_some());
        let embedded = regex::Regex::new(spec["embeddedIn"]["pattern"].as_str().unwrap()).unwrap();
        assert!(embedded.is_match("Configuration/hf-dc01") && embedded.is_match("FlexibleAsset/key:Happy Frog/Email"));
        assert!(!embedded.is_match("Organization/happy-frog") && !embedded.is_match("hf-dc01"));
        assert_eq!(spec["embeddedIn"]["type"], json!(["string", "null"]));
    }

    #[test]
    fn what_is_needed_to_create_is_not_needed_to_adopt() {
        for kind in crate::apis::builtin().apis.values().flat_map(|api| api.kinds.values().map(move |kind| (api, kind)))
        {
            assert_eq!(kind_schema(kind.0, kind.1)["properties"]["spec"].get("required"), None);
        }
    }

    #[test]
    fn descriptions_are_checked_by_the_schema_of_the_format() {
        let schema = format_schema();
        assert_eq!(schema["properties"]["spec"]["properties"]["kinds"]["items"]["$ref"], "#/$defs/KindSpec");
        assert_eq!(schema["$defs"]["KindSpec"]["additionalProperties"], json!(false));
        assert!(schema["$defs"]["FieldSpec"]["properties"].get("enum").is_some(), "names as they are written");
    }
}
