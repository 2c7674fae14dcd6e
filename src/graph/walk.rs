//! Finds the references in an object's fields, and puts something else in their places.

use serde_json::Value;

use crate::{
    address::escape,
    description::{
        Specs,
        format::{FieldSpec, FieldType},
    },
    value::{Fields, text},
};

/// One place of an object where a reference stands.
#[derive(Debug, Clone)]
pub struct RefSite<'a> {
    /// JSON pointer below `spec`.
    pub pointer: String,
    /// The field.
    pub spec: &'a FieldSpec,
    /// What is written.
    pub text: String,
}

/// All references of an object.
pub fn references<'a>(specs: &'a Specs, fields: &Fields) -> Vec<RefSite<'a>> {
    let mut out = Vec::new();
    for (name, value) in fields {
        if let Some(spec) = specs.get(name) {
            collect(spec, value, format!("/{}", escape(name)), &mut out);
        }
    }
    out
}

fn collect<'a>(spec: &'a FieldSpec, value: &Value, pointer: String, out: &mut Vec<RefSite<'a>>) {
    if spec.reference.is_some() {
        if let Some(text) = text(value) {
            out.push(RefSite { pointer, spec, text });
        }
        return;
    }
    match (spec.ty, value) {
        (FieldType::List, Value::Array(items)) => {
            if let Some(item) = spec.items.as_deref() {
                for (index, value) in items.iter().enumerate() {
                    collect(item, value, format!("{pointer}/{index}"), out);
                }
            }
        }
        (FieldType::List, single) => {
            if let Some(item) = spec.items.as_deref() {
                collect(item, single, pointer, out);
            }
        }
        (FieldType::Object, Value::Object(members)) => {
            for (name, value) in members {
                if let Some(member) = spec.fields.get(name) {
                    collect(member, value, format!("{pointer}/{}", escape(name)), out);
                }
            }
        }
        (FieldType::Map, Value::Object(members)) => {
            if let Some(item) = spec.items.as_deref() {
                for (name, value) in members {
                    collect(item, value, format!("{pointer}/{}", escape(name)), out);
                }
            }
        }
        _ => {}
    }
}

/// Copies an object's fields with every reference replaced by what `put` gives for its pointer; where it gives
/// nothing, the text stays.
pub fn map_references(specs: &Specs, fields: &Fields, put: &dyn Fn(&str) -> Option<Value>) -> Fields {
    fields
        .iter()
        .map(|(name, value)| {
            let mapped = match specs.get(name) {
                Some(spec) => replace(spec, value, &format!("/{}", escape(name)), put),
                None => value.clone(),
            };
            (name.clone(), mapped)
        })
        .collect()
}

fn replace(spec: &FieldSpec, value: &Value, pointer: &str, put: &dyn Fn(&str) -> Option<Value>) -> Value {
    if spec.reference.is_some() {
        return text(value).and_then(|_| put(pointer)).unwrap_or_else(|| value.clone());
    }
    match (spec.ty, value) {
        (FieldType::List, Value::Array(items)) => match spec.items.as_deref() {
            Some(item) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, value)| replace(item, value, &format!("{pointer}/{index}"), put))
                    .collect(),
            ),
            None => value.clone(),
        },
        (FieldType::List, single) => {
            spec.items.as_deref().map_or_else(|| single.clone(), |item| replace(item, single, pointer, put))
        }
        (FieldType::Object | FieldType::Map, Value::Object(members)) => Value::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let member = match spec.ty {
                        FieldType::Object => spec.fields.get(name),
                        _ => spec.items.as_deref(),
                    };
                    let below = format!("{pointer}/{}", escape(name));
                    let mapped = member.map_or_else(|| value.clone(), |member| replace(member, value, &below, put));
                    (name.clone(), mapped)
                })
                .collect(),
        ),
        _ => value.clone(),
    }
}
