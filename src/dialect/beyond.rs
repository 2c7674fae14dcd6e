//! What rows have that no description names, inside of what it names: it is sent back where an update replaces what it is
//! in.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{attribute, decode};
use crate::{
    description::{
        Kind,
        format::{DialectName, FieldSpec, FieldType, UpdateStyle},
    },
    value::{get_path, is_empty, text},
};

/// Whether a row has something that an update of the object would have to send back and that its fields do not say.
pub fn has_beyond<S: std::hash::BuildHasher>(kind: &Kind, row: &Value, wanted: Option<&HashSet<String, S>>) -> bool {
    kind.spec
        .fields
        .iter()
        .filter(|(name, spec)| wanted.is_none_or(|wanted| wanted.contains(*name)) && !spec.read_only && !spec.not_sent)
        .any(|(_, spec)| {
            let wire = spec.wire_name();
            let inside = container(kind, wire).and_then(|head| get_path(row, head)).and_then(Value::as_object);
            inside.is_some_and(|members| members.len() > 1)
                || attribute(kind, row, wire).is_some_and(|value| is_beyond(kind, spec, wire, &value))
        })
}

/// The attribute that an update of a field with a dotted path sends whole, where it does.
pub fn container<'w>(kind: &Kind, wire: &'w str) -> Option<&'w str> {
    let whole = matches!(kind.spec.update.style, UpdateStyle::Fields | UpdateStyle::Replace);
    let (head, _) = wire.split_once('.').filter(|_| whole && kind.dialect == DialectName::Rest)?;
    Some(head)
}

/// Whether something in a value is not in its canonical form.
fn is_beyond(kind: &Kind, spec: &FieldSpec, path: &str, value: &Value) -> bool {
    match (spec.ty, value) {
        (FieldType::Object, Value::Object(members)) => {
            members.iter().any(|(name, value)| returns(kind, spec, path, name, value))
                || spec.fields.values().any(|member| {
                    let wire = member.wire_name();
                    members.get(wire).is_some_and(|value| is_beyond(kind, member, &format!("{path}.{wire}"), value))
                })
        }
        (FieldType::Map, Value::Object(members)) => {
            let Some(items) = spec.items.as_deref() else { return false };
            members.values().any(|value| is_beyond(kind, items, path, value))
        }
        (FieldType::List, Value::Array(entries)) => {
            let Some(items) = spec.items.as_deref() else { return false };
            entries.iter().any(|entry| is_beyond(kind, items, path, entry))
        }
        _ => false,
    }
}

/// Whether a member of a live object goes back although no manifest says it: one that is not described, and a shown value
/// of one that is usually not.
pub fn returns(kind: &Kind, spec: &FieldSpec, path: &str, name: &str, value: &Value) -> bool {
    let swapped = name.replace('_', "-");
    match spec.fields.iter().find(|(own, member)| {
        let wire = member.wire_name();
        wire == name || *own == name || wire == swapped || wire.split('.').next() == Some(name)
    }) {
        Some((_, member)) => member.write_only && !is_empty(value) && !is_mask(value),
        None => {
            spec.carries != Some(false)
                && ![name, &swapped].iter().any(|name| kind.spec.ignored.contains_key(&format!("{path}.{name}")))
                && !(spec.whole && is_empty(value))
        }
    }
}

/// Whether a text is no value, but tells that there is one.
pub fn is_mask(value: &Value) -> bool {
    text(value).is_some_and(|words| !words.is_empty() && words.chars().all(|letter| matches!(letter, '*' | '•')))
}

/// The canonical forms of wire values that are only compared.
pub fn compared(spec: &FieldSpec, values: &[Value]) -> Vec<Value> {
    values.iter().map(|value| decode(spec, value, &|words| Value::String(words.to_owned()))).collect()
}

/// The members of a live object that no field has, put beside those that an update sends of it.
pub fn beside(kind: &Kind, sent: &mut Map<String, Value>, there: &Map<String, Value>, path: &str) {
    for (name, value) in there {
        let path = format!("{path}.{name}");
        let below = format!("{path}.");
        let described = kind.spec.fields.values().find(|spec| spec.wire_name() == path);
        let leads_on = kind.spec.fields.values().any(|spec| spec.wire_name().starts_with(&below));
        let is_own = kind.spec.id.path.contains(&path) || kind.spec.update.lock.as_ref() == Some(&path);
        match (sent.get_mut(name), value) {
            (Some(Value::Object(sent)), Value::Object(there)) if leads_on => beside(kind, sent, there, &path),
            (Some(_), _) => {}
            (None, _) if is_own || kind.spec.ignored.contains_key(&path) => {}
            (None, _) if described.is_some_and(|spec| spec.read_only || spec.not_sent) => {}
            (None, Value::Object(there)) if leads_on => {
                let mut inner = Map::new();
                beside(kind, &mut inner, there, &path);
                if !inner.is_empty() {
                    sent.insert(name.clone(), Value::Object(inner));
                }
            }
            (None, value) => {
                sent.insert(name.clone(), value.clone());
            }
        }
    }
}
