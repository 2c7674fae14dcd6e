//! Keys spoken in references → live objects: short keys completed from sibling fields, aliases, candidates for errors.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::LiveObject;
use crate::{
    description::{Kind, format::FieldSpec, plain},
    value::{Fields, Target, as_reference, text},
};

/// Live objects of each kind by the last field of their key and by their aliases.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    by_name: HashMap<(Arc<str>, String), Names>,
}

/// Objects of one kind by name, as it is spelled and in lower case.
#[derive(Debug, Default)]
struct Names {
    spelled: HashMap<String, Vec<usize>>,
    lower: OnceLock<HashMap<String, Vec<usize>>>,
    /// Those of keys with several parts by the name in lower case, one of the other parts, and its value (nothing where
    /// the API does not show it); each with its name as it is spelled.
    parts: HashMap<Part, Vec<(usize, String)>>,
}

/// A name in lower case, one of the other parts of the key, and its value.
type Part = (String, String, Option<String>);

impl NameIndex {
    pub(super) fn add(&mut self, object: &LiveObject, index: usize) {
        let kind = &object.kind;
        let names = kind.spec.key.last().into_iter().chain(&kind.spec.aliases);
        let heads = kind.spec.key.split_last().map_or(&[][..], |(_, heads)| heads);
        let slot = self.by_name.entry((object.connection.clone(), kind.name.clone())).or_default();
        for field in names {
            let Some(words) = object.fields.get(field).and_then(text) else { continue };
            let spelled = plain(&kind.field(field).cloned().unwrap_or_default(), &words);
            slot.lower.take();
            for head in heads {
                let value = object.fields.get(head).map(Value::to_string);
                let list = slot.parts.entry((spelled.to_lowercase(), head.clone(), value)).or_default();
                list.push((index, spelled.clone()));
            }
            let list = slot.spelled.entry(spelled).or_default();
            if list.last() != Some(&index) {
                list.push(index);
            }
        }
    }

    /// Objects whose last key field or an alias has this value, and whose other key field may have that one.
    pub(super) fn find_with(
        &self,
        connection: &Arc<str>,
        kind: &Kind,
        name: &str,
        part: &(String, Value),
    ) -> Vec<usize> {
        let Some(slot) = self.by_name.get(&(connection.clone(), kind.name.clone())) else { return Vec::new() };
        let spec = kind.spec.key.last().and_then(|field| kind.field(field)).cloned().unwrap_or_default();
        let spelled = plain(&spec, name);
        let of = |value: Option<String>| {
            let found = slot.parts.get(&(spelled.to_lowercase(), part.0.clone(), value));
            found.into_iter().flatten()
        };
        let all: Vec<&(usize, String)> = of(Some(part.1.to_string())).chain(of(None)).collect();
        let exact = all.iter().any(|(_, known)| *known == spelled);
        let mut found: Vec<usize> =
            all.into_iter().filter(|(_, known)| !exact || *known == spelled).map(|(index, _)| *index).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Objects whose last key field or an alias has this value.
    pub(super) fn find(&self, connection: &Arc<str>, kind: &Kind, name: &str) -> Vec<usize> {
        let Some(slot) = self.by_name.get(&(connection.clone(), kind.name.clone())) else { return Vec::new() };
        let spec = kind.spec.key.last().and_then(|field| kind.field(field)).cloned().unwrap_or_default();
        if let Some(found) = slot.spelled.get(&plain(&spec, name)) {
            return found.clone();
        }
        // Nothing is spelled exactly so: letter case may differ if only one object then fits.
        let lower = slot.lower.get_or_init(|| {
            let mut lower: HashMap<String, Vec<usize>> = HashMap::new();
            for (known, list) in &slot.spelled {
                lower.entry(known.to_lowercase()).or_default().extend(list);
            }
            lower
        });
        let mut found = lower.get(&name.to_lowercase()).cloned().unwrap_or_default();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether there is any object of a kind.
    pub(super) fn has_any(&self, connection: &Arc<str>, kind: &Kind) -> bool {
        self.by_name.contains_key(&(connection.clone(), kind.name.clone()))
    }

    /// Names that look like this one, for suggestions.
    pub(super) fn near(&self, connection: &Arc<str>, kind: &Kind, name: &str) -> Vec<String> {
        let Some(slot) = self.by_name.get(&(connection.clone(), kind.name.clone())) else { return Vec::new() };
        let lower = name.to_lowercase();
        let mut scored: Vec<(usize, &String)> = slot
            .spelled
            .keys()
            .map(|known| {
                let other = known.to_lowercase();
                let distance = strsim::damerau_levenshtein(&lower, &other);
                (if other.contains(&lower) || lower.contains(&other) { distance.min(2) } else { distance }, known)
            })
            .filter(|(distance, known)| *distance <= 2 + known.chars().count() / 3)
            .collect();
        scored.sort();
        scored.into_iter().take(5).map(|(_, known)| known.clone()).collect()
    }
}

/// A part of a key that narrows candidates down: the field of the target, and what it must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Narrow {
    /// The same canonical value as a sibling field of the referring object.
    Same(String, Value),
    /// A text: a scalar, or the key of the object that a reference names.
    Text(String, String),
}

/// Splits a spoken key into the last part and what narrows it down. `siblings` are the referring object's fields,
/// references resolved as far as they are.
pub(super) fn narrow(
    kind: &Kind,
    spec: Option<&FieldSpec>,
    parts: &[String],
    siblings: &Fields,
) -> (String, Vec<Narrow>) {
    let key = &kind.spec.key;
    let last = parts.last().cloned().unwrap_or_default();
    let given = parts.len().saturating_sub(1);
    let mut narrows = Vec::new();
    let heads = key.len().saturating_sub(1);
    for (number, field) in key.iter().take(heads).enumerate() {
        let from_end = heads - number;
        if from_end <= given {
            narrows.push(Narrow::Text(field.clone(), parts[given - from_end].clone()));
            continue;
        }
        let target = spec.and_then(|spec| spec.reference.as_ref());
        if let Some(value) = target.and_then(|target| target.fixed.get(field)) {
            narrows.push(Narrow::Same(field.clone(), value.clone()));
            continue;
        }
        let own = spec
            .and_then(|spec| spec.reference.as_ref())
            .and_then(|target| target.complete.get(field))
            .unwrap_or(field);
        if let Some(value) = siblings.get(own).filter(|value| !value.is_null()) {
            narrows.push(Narrow::Same(field.clone(), value.clone()));
        }
    }
    (last, narrows)
}

/// Whether an object fits what narrows the candidates down. `named` tells whether a reference's target goes by a text.
pub(super) fn fits(object: &LiveObject, narrows: &[Narrow], named: &dyn Fn(&str, &Target, &str) -> bool) -> bool {
    narrows.iter().all(|narrow| match narrow {
        Narrow::Same(field, value) => match object.fields.get(field) {
            // What the API does not say cannot rule it out.
            None => true,
            Some(there) => there == value,
        },
        Narrow::Text(field, words) => match object.fields.get(field) {
            None => true,
            Some(there) => match as_reference(there) {
                Some((kind, target)) => named(kind, &target, words),
                None => text(there).as_deref() == Some(words),
            },
        },
    })
}
