//! Canonical values → text on one line, or in YAML-like lines. Placeholders of secrets show as `(sensitive value)`.

use serde_json::{Map, Value};

use crate::value::{Target, as_reference, file, secret_hash, value_from};

use super::safe;

/// What stands for a value that is not shown.
pub(super) const HIDDEN: &str = "(sensitive value)";

/// Whether a value is the placeholder of a secret.
pub(super) fn is_hidden(value: &Value) -> bool {
    secret_hash(value).is_some() || value_from(value).is_some()
}

/// A value on one line.
pub(super) fn inline(value: &Value) -> String {
    if let Some(special) = special(value) {
        return special;
    }
    match value {
        Value::String(text) => safe::quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(name, value)| format!("{}: {}", key(name), inline(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// A value in lines, indented like YAML.
pub(super) fn block(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .flat_map(|item| {
                block(item)
                    .into_iter()
                    .enumerate()
                    .map(|(number, line)| if number == 0 { format!("- {line}") } else { format!("  {line}") })
            })
            .collect(),
        Value::Object(map) if !map.is_empty() && special(value).is_none() => members(map),
        value => vec![inline(value)],
    }
}

fn members(map: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::with_capacity(map.len());
    for (name, value) in map {
        match value {
            Value::String(text) if text.contains('\n') => {
                lines.push(format!("{}: |", key(name)));
                lines.extend(safe::lines(text).lines().map(|line| format!("  {line}")));
            }
            Value::Array(_) | Value::Object(_) if special(value).is_none() && !crate::value::is_empty(value) => {
                lines.push(format!("{}:", key(name)));
                lines.extend(block(value).into_iter().map(|line| format!("  {line}")));
            }
            value => lines.push(format!("{}: {}", key(name), inline(value))),
        }
    }
    lines
}

/// Text of a placeholder.
fn special(value: &Value) -> Option<String> {
    if is_hidden(value) {
        return Some(HIDDEN.to_owned());
    }
    if let Some((kind, target)) = as_reference(value) {
        return Some(match target {
            Target::New(address) => safe::line(&address).into_owned(),
            known => safe::line(&format!("{kind} {known}")).into_owned(),
        });
    }
    let file = file(value)?;
    let name = file.get("path").or_else(|| file.get("name")).and_then(Value::as_str).unwrap_or("?");
    Some(match file.get("size").and_then(Value::as_u64) {
        Some(size) => format!("file {} ({size} bytes)", safe::line(name)),
        None => format!("file {}", safe::line(name)),
    })
}

fn key(name: &str) -> String {
    let simple = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ' ');
    if !name.is_empty() && name.trim() == name && name.chars().all(simple) {
        name.to_owned()
    } else {
        safe::quoted(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_never_show_what_they_stand_for() {
        let value = json!({
            "a": {"$secret": "c0ffee"}, "b": [{"$valueFrom": {"env": "HF"}}], "c": {"$ref": "Organization/id:33"},
            "d": {"$ref": "Organization/new:itglue/Organization/x"}, "e": {"$file": {"path": "logo.png", "size": 12}},
        });
        let expected = "{a: (sensitive value), b: [(sensitive value)], c: Organization id:33, \
                        d: itglue/Organization/x, e: file logo.png (12 bytes)}";
        assert_eq!(inline(&value), expected);
    }

    #[test]
    fn blocks_read_like_yaml() {
        let value = json!([{"name": "a", "options": ["x", {"y": 1}], "none": []}, "b"]);
        assert_eq!(block(&value).join("\n"), "- name: \"a\"\n  options:\n    - \"x\"\n    - y: 1\n  none: []\n- \"b\"");
    }
}
