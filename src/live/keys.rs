//! Natural keys: texts that tell one object of a kind from another.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use crate::{
    description::{Kind, Specs, format::FieldSpec, plain},
    value::{Fields, Target, as_reference, file, is_empty, text},
};

/// Between the parts of a key.
const JOIN: char = '\u{1f}';

/// Live objects by key.
#[derive(Debug, Default)]
pub struct KeyIndex {
    by_key: HashMap<(Arc<str>, String, String), Vec<usize>>,
}

impl KeyIndex {
    /// Adds an object under each key that it has.
    pub fn add(&mut self, connection: &Arc<str>, kind: &Kind, parent: Option<&str>, fields: &Fields, index: usize) {
        for key in all_keys(kind, &kind.spec.fields, parent, fields) {
            self.by_key.entry((connection.clone(), kind.name.clone(), key)).or_default().push(index);
        }
    }

    /// The objects with this key.
    pub fn get(&self, connection: &Arc<str>, kind: &str, key: &str) -> &[usize] {
        self.by_key.get(&(connection.clone(), kind.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// Every key that an object has: its kind's, and each fallback whose fields it has.
pub(super) fn all_keys(kind: &Kind, specs: &Specs, parent: Option<&str>, fields: &Fields) -> Vec<String> {
    variants(kind)
        .enumerate()
        .filter_map(|(number, names)| key_of(number, names, kind, specs, parent, fields))
        .collect()
}

/// The key that an object goes by: the first that it has all fields of.
pub(super) fn own_key(kind: &Kind, specs: &Specs, parent: Option<&str>, fields: &Fields) -> Option<String> {
    variants(kind).enumerate().find_map(|(number, names)| key_of(number, names, kind, specs, parent, fields))
}

fn variants(kind: &Kind) -> impl Iterator<Item = &Vec<String>> {
    std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks)
}

fn key_of(
    number: usize,
    names: &[String],
    kind: &Kind,
    specs: &Specs,
    parent: Option<&str>,
    fields: &Fields,
) -> Option<String> {
    if names.is_empty() && !kind.spec.singleton {
        return None;
    }
    let mut key = number.to_string();
    if kind.spec.inside.is_some() {
        key.push(JOIN);
        key.push_str(parent?);
    }
    let only = names.len() == 1 && kind.spec.inside.is_some();
    let mut told = kind.spec.singleton;
    // What has another key to go by goes by a whole one.
    let whole = |name: &String| !kind.spec.key_fallbacks.is_empty() && !kind.spec.key_optional.contains(name);
    for name in names {
        let spec = specs.get(name)?;
        key.push(JOIN);
        match fields.get(name) {
            // What absence reads as is no part of the key.
            Some(value) if spec.default.as_ref() == Some(value) && !spec.required => {}
            Some(value) if !is_empty(value) => {
                key.push_str(&part(spec, value)?);
                told = true;
            }
            // A part may be empty, such as a first name; the whole key may not.
            _ if only || spec.required || whole(name) => return None,
            _ => {}
        }
    }
    told.then_some(key)
}

/// A value as a part of a key.
pub(super) fn part(spec: &FieldSpec, value: &Value) -> Option<String> {
    if let Some((kind, target)) = as_reference(value) {
        return Some(match target {
            Target::Id(id) => format!("{kind}/{id}"),
            other => format!("{kind}/{other}"),
        });
    }
    if let Some(upload) = file(value) {
        return upload.get("name").and_then(text);
    }
    if let Some(name) = value.get("name").and_then(text) {
        return Some(name);
    }
    text(value).map(|words| plain(spec, &words))
}

/// A key for people: its parts joined by `/`.
pub fn shown_key(kind: &Kind, fields: &Fields, name: &dyn Fn(&str, &Target) -> Option<String>) -> String {
    variants(kind)
        .map(|names| {
            names
                .iter()
                .filter_map(|field| {
                    let value = fields.get(field)?;
                    if let Some((kind, target)) = as_reference(value) {
                        return name(kind, &target).or_else(|| Some(target.to_string()));
                    }
                    text(value).or_else(|| file(value)?.get("name").and_then(text))
                })
                .map(|part| part.replace('/', "\\/"))
                .collect::<Vec<_>>()
                .join("/")
        })
        .find(|key| !key.is_empty())
        .unwrap_or_default()
}

/// The natural key of an object, hooks included: what tells it from others of its kind.
pub fn natural_key(kind: &Kind, specs: &Specs, parent: Option<&str>, fields: &Fields) -> Option<String> {
    match kind.spec.hook.as_deref().and_then(crate::description::hook::find) {
        None => own_key(kind, &kind.spec.fields, parent, fields),
        Some(hook) => {
            let null = Value::Null;
            let refined = specs.get(hook.field())?;
            let parts = hook.key(refined, fields.get(hook.field()).unwrap_or(&null))?;
            hook_key(kind, fields, &parts)
        }
    }
}

/// Every natural key of an object, hooks included: the one that it goes by, and each other whose fields it has.
pub fn natural_keys(kind: &Kind, specs: &Specs, parent: Option<&str>, fields: &Fields) -> Vec<String> {
    match kind.spec.hook {
        None => all_keys(kind, &kind.spec.fields, parent, fields),
        Some(_) => natural_key(kind, specs, parent, fields).into_iter().collect(),
    }
}

/// A hook's key: the references among the kind's own key fields, and the parts from the hook.
pub(super) fn hook_key(kind: &Kind, fields: &Fields, parts: &[String]) -> Option<String> {
    if parts.iter().all(String::is_empty) {
        return None;
    }
    let mut key = String::new();
    for name in &kind.spec.key {
        let spec = kind.field(name)?;
        if let Some(value) = fields.get(name).filter(|value| as_reference(value).is_some()) {
            key.push_str(&part(spec, value)?);
        }
        key.push(JOIN);
    }
    key.push_str(&parts.join("\u{1f}"));
    Some(key)
}
