//! JSON Schemas of Rust types → structural schemas: references replaced by what they refer to, choices by what
//! Kubernetes has for them.

use serde_json::{Map, Value, json};

use super::Untyped;

const RECURSIVE: &str = "it contains itself, and a structural schema cannot";
const ANY: &str = "any JSON";

/// Turns a schema with definitions into a structural one, and says what it lets through.
pub(super) fn structural(schema: &Value, path: &str) -> (Value, Vec<Untyped>) {
    let mut maker = Maker { definitions: schema.get("$defs"), open: Vec::new(), untyped: Vec::new() };
    (maker.make(schema, path), maker.untyped)
}

struct Maker<'s> {
    definitions: Option<&'s Value>,
    /// Definitions that are being replaced.
    open: Vec<&'s str>,
    untyped: Vec<Untyped>,
}

impl<'s> Maker<'s> {
    fn let_through(&mut self, path: &str, reason: &'static str) -> Value {
        self.untyped.push(Untyped { path: path.to_owned(), reason });
        json!({"x-kubernetes-preserve-unknown-fields": true})
    }

    fn make(&mut self, schema: &'s Value, path: &str) -> Value {
        let mut out = self.bare(schema, path);
        if let Some(words) = schema.get("description").and_then(Value::as_str)
            && let Some(out) = out.as_object_mut()
        {
            out.insert("description".into(), one_line(words).into());
        }
        out
    }

    fn bare(&mut self, schema: &'s Value, path: &str) -> Value {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/")) {
            let Some(found) = self.definitions.and_then(|definitions| definitions.get(name)) else {
                return self.let_through(path, ANY);
            };
            if self.open.contains(&name) {
                return self.let_through(path, RECURSIVE);
            }
            self.open.push(name);
            let out = self.make(found, path);
            self.open.pop();
            return out;
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            if let Some(choices) = schema.get(word).and_then(Value::as_array) {
                return self.choice(choices, path);
            }
        }
        let ty = match schema.get("type") {
            Some(Value::String(ty)) => Some(ty.as_str()),
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).find(|ty| *ty != "null"),
            _ => None,
        };
        match ty {
            Some("object") => self.object(schema, path),
            Some("array") => {
                let items = match schema.get("items") {
                    Some(items) if items.is_object() => self.make(items, &format!("{path}[]")),
                    _ => self.let_through(&format!("{path}[]"), ANY),
                };
                let mut out = json!({"type": "array", "items": items});
                copy(
                    schema,
                    &mut out,
                    &["minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"],
                );
                out
            }
            Some(ty) => {
                let mut out = json!({"type": ty});
                copy(schema, &mut out, &["enum", "pattern", "minLength", "maxLength", "minimum", "maximum"]);
                match schema.get("format").and_then(Value::as_str) {
                    Some("date-time") => out["format"] = "date-time".into(),
                    _ if ty == "integer" => out["format"] = "int64".into(),
                    _ => {}
                }
                out
            }
            None if schema.get("const").is_some() => json!({"type": "string", "enum": [schema["const"]]}),
            None => self.let_through(path, ANY),
        }
    }

    fn object(&mut self, schema: &'s Value, path: &str) -> Value {
        let mut out = json!({"type": "object"});
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            let mut properties = Map::new();
            for (name, member) in members {
                properties.insert(name.clone(), self.make(member, &format!("{path}.{name}")));
            }
            out["properties"] = Value::Object(properties);
        } else if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            out["additionalProperties"] = self.make(values, &format!("{path}.*"));
        } else if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            self.untyped.push(Untyped { path: path.to_owned(), reason: ANY });
            out["x-kubernetes-preserve-unknown-fields"] = true.into();
        }
        copy(schema, &mut out, &["required"]);
        out
    }

    /// A choice: something or nothing, one of several words, or one of several members.
    fn choice(&mut self, choices: &'s [Value], path: &str) -> Value {
        let choices: Vec<&Value> =
            choices.iter().filter(|choice| choice.get("type").and_then(Value::as_str) != Some("null")).collect();
        if let [only] = choices.as_slice() {
            return self.make(only, path);
        }
        let words: Option<Vec<Value>> = choices
            .iter()
            .map(|choice| {
                let many = choice.get("enum").and_then(Value::as_array).cloned();
                many.or_else(|| choice.get("const").map(|word| vec![word.clone()]))
            })
            .collect::<Option<Vec<_>>>()
            .map(|words| words.into_iter().flatten().collect());
        if let Some(words) = words {
            return json!({"type": "string", "enum": words});
        }
        let members: Vec<(&String, &Value)> =
            choices.iter().filter_map(|choice| choice.get("properties").and_then(Value::as_object)).flatten().collect();
        if members.len() != choices.len() {
            return self.let_through(path, ANY);
        }
        let mut properties = Map::new();
        for (name, member) in members {
            properties.insert(name.clone(), self.make(member, &format!("{path}.{name}")));
        }
        json!({"type": "object", "minProperties": 1, "maxProperties": 1, "properties": properties})
    }
}

fn copy(from: &Value, to: &mut Value, names: &[&str]) {
    for name in names {
        if let Some(value) = from.get(*name) {
            to[*name] = value.clone();
        }
    }
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_and_what_contains_itself_become_what_kubernetes_takes() {
        let schema = json!({
            "type": "object",
            "properties": {
                "word": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                "maybe": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
                "one": {"oneOf": [
                    {"type": "object", "properties": {"x": {"type": "string"}}},
                    {"type": "object", "properties": {"y": {"type": "integer", "format": "uint32"}}},
                ]},
            },
            "$defs": {"Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}}},
        });
        let (out, untyped) = structural(&schema, "spec");
        assert_eq!(out["properties"]["word"], json!({"type": "string", "enum": ["a", "b"]}));
        assert_eq!(out["properties"]["one"]["maxProperties"], 1);
        assert_eq!(out["properties"]["one"]["properties"]["y"], json!({"type": "integer", "format": "int64"}));
        assert_eq!(untyped, [Untyped { path: "spec.maybe.child".into(), reason: RECURSIVE }]);
    }
}
