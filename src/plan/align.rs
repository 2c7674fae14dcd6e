//! Live values beside declared secrets: compared by hash, wherever in an object they stand.

use serde_json::Value;

use crate::{
    description::{
        Specs,
        format::{FieldSpec, FieldType},
    },
    diff::match_items,
    value::{Fields, secret_hash, text},
};

/// Fields with the hash in place of live texts that stand where a secret is declared.
pub(super) fn aligned(specs: &Specs, desired: &Fields, live: &Fields, seal: &dyn Fn(&str) -> Value) -> Fields {
    let (null, any) = (Value::Null, any());
    live.iter()
        .map(|(name, value)| {
            let spec = specs.get(name).unwrap_or(&any);
            (name.clone(), align(spec, desired.get(name).unwrap_or(&null), value, seal))
        })
        .collect()
}

fn any() -> FieldSpec {
    FieldSpec { ty: FieldType::Any, ..FieldSpec::default() }
}

fn align(spec: &FieldSpec, desired: &Value, live: &Value, seal: &dyn Fn(&str) -> Value) -> Value {
    if secret_hash(desired).is_some() {
        let masked = spec.mask.is_some() && spec.mask.as_deref() == live.as_str();
        return match text(live).filter(|words| !words.is_empty() && !masked) {
            Some(words) => seal(&words),
            None => live.clone(),
        };
    }
    let any = any();
    match (desired, live) {
        (Value::Object(d), Value::Object(l)) => {
            let null = Value::Null;
            Value::Object(
                l.iter()
                    .map(|(name, value)| {
                        let member = spec.fields.get(name).or(spec.items.as_deref()).unwrap_or(&any);
                        (name.clone(), align(member, d.get(name).unwrap_or(&null), value, seal))
                    })
                    .collect(),
            )
        }
        (Value::Array(d), Value::Array(l)) => {
            let items = spec.items.as_deref().unwrap_or(&any);
            let mut out = l.clone();
            for (entry, place) in d.iter().zip(places(spec, d, l)) {
                if let Some(there) = place.and_then(|place| out.get_mut(place)) {
                    *there = align(items, entry, there, seal);
                }
            }
            Value::Array(out)
        }
        _ => live.clone(),
    }
}

/// The place of each declared entry in the live list.
fn places(spec: &FieldSpec, desired: &[Value], live: &[Value]) -> Vec<Option<usize>> {
    if let Some(key) = &spec.keyed_by {
        let key_of = |entry: &Value| entry.get(key).and_then(text);
        return desired.iter().map(|entry| live.iter().position(|there| key_of(there) == key_of(entry))).collect();
    }
    if !spec.match_by.is_empty() {
        return match_items(spec, desired, live);
    }
    (0..desired.len()).map(|index| (desired.len() == live.len()).then_some(index)).collect()
}
