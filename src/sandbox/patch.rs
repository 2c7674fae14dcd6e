//! Patches of JSON values: merge patches (RFC 7386) and patches by operations (RFC 6902).

use serde_json::{Map, Value};

use super::{answer::Refusal, shape::Shape, store::Row};
use crate::value::Fields;

/// Merges a patch into a value: nulls delete members.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.shift_remove(name);
            } else {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

/// Turns the attributes of a merge patch into whole values.
pub(super) fn merge_items(shape: &Shape, old: &Row, attributes: &mut Fields) {
    for (name, value) in attributes.iter_mut() {
        if value.is_object()
            && let Some(kept) = shape.field(name).and_then(|(_, field)| old.get(field.wire_name()))
        {
            let mut whole = kept.clone();
            merge(&mut whole, value);
            *value = whole;
        }
    }
}

/// Carries out the operations of a patch on a document.
pub(super) fn operate(document: &mut Value, operations: &Value) -> Result<(), Refusal> {
    let operations = operations.as_array().ok_or_else(|| Refusal::new(400, "A JSON patch is an Array."))?;
    for operation in operations {
        let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let path = text("path");
        let value = operation.get("value").cloned().unwrap_or_default();
        match text("op") {
            "add" => add(document, path, value)?,
            "replace" => *document.pointer_mut(path).ok_or_else(|| nowhere(path))? = value,
            "remove" => {
                remove(document, path)?;
            }
            "test" if document.pointer(path) == Some(&value) => {}
            "test" => return Err(Refusal::new(409, format!("The test of `{path}` failed."))),
            "move" => {
                let moved = remove(document, text("from"))?;
                add(document, path, moved)?;
            }
            "copy" => {
                let copied = document.pointer(text("from")).cloned().ok_or_else(|| nowhere(text("from")))?;
                add(document, path, copied)?;
            }
            other => return Err(Refusal::new(400, format!("`{other}` is no operation of a JSON patch."))),
        }
    }
    Ok(())
}

fn nowhere(path: &str) -> Refusal {
    Refusal::invalid(format!("`{path}` leads nowhere."))
}

fn split(path: &str) -> Result<(&str, String), Refusal> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| nowhere(path))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), Refusal> {
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(last, value);
        }
        Some(Value::Array(items)) if last == "-" => items.push(value),
        Some(Value::Array(items)) => {
            let index: usize = last.parse().map_err(|_| nowhere(path))?;
            if index > items.len() {
                return Err(nowhere(path));
            }
            items.insert(index, value);
        }
        _ => return Err(nowhere(path)),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, Refusal> {
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&last).ok_or_else(|| nowhere(path)),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => Ok(items.remove(index)),
            _ => Err(nowhere(path)),
        },
        _ => Err(nowhere(path)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patches_delete_by_null_and_keep_the_rest() {
        let mut value = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut value, &json!({"a": {"b": null, "e": 4}}));
        assert_eq!(value, json!({"a": {"c": 2, "e": 4}, "d": 3}));
    }

    #[test]
    fn operations_are_carried_out_in_order_and_failed_tests_stop() {
        let mut value = json!({"a": ["x"], "b": 1});
        let patch = json!([
            {"op": "test", "path": "/b", "value": 1},
            {"op": "add", "path": "/a/-", "value": "y"},
            {"op": "move", "from": "/b", "path": "/c"},
            {"op": "remove", "path": "/a/0"},
        ]);
        operate(&mut value, &patch).unwrap();
        assert_eq!(value, json!({"a": ["y"], "c": 1}));
        let stale = operate(&mut value, &json!([{"op": "test", "path": "/c", "value": 2}]));
        assert_eq!(stale.unwrap_err().status, 409);
    }
}
