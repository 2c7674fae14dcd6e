//! Canonical values as people read them: references by name, files by path, secrets not at all.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::step::Step;
use crate::{
    description::format::FieldSpec,
    live::Observed,
    manifest::Manifests,
    value::{Target, as_reference, file, secret_hash, text, value_from},
};

/// Names for live ids.
#[derive(Debug, Default)]
pub struct Shown {
    names: HashMap<(String, String), String>,
    /// Kinds whose ids are names that people give.
    named: HashSet<String>,
    /// Names that objects get by being made anew, by address.
    renamed: HashMap<String, String>,
}

impl Shown {
    /// Learns the handles of declared objects and the names of other live ones.
    pub fn new(manifests: &Manifests, observed: &Observed) -> Self {
        let mut names = HashMap::new();
        for live in &observed.objects {
            let name = live.kind.spec.key.last().and_then(|field| live.fields.get(field)).and_then(text);
            if let Some(name) = name {
                names.insert((live.kind.name.clone(), live.id.clone()), name);
            }
        }
        for (index, object) in manifests.objects.iter().enumerate() {
            if let Some(live) = observed.live(index)
                && object.parent.is_none()
            {
                names.insert((object.kind.name.clone(), live.id.clone()), object.address.name.to_string());
            }
        }
        let kinds = manifests.catalog.apis.values().flat_map(|api| api.kinds.values());
        let by_name = kinds.filter(|kind| {
            let own = kind.spec.key.last().and_then(|field| kind.field(field)).map(FieldSpec::wire_name);
            own.is_some() && kind.spec.id.path.first().map(String::as_str) == own
        });
        Self { names, named: by_name.map(|kind| kind.name.clone()).collect(), renamed: HashMap::new() }
    }

    /// Has an object that is made anew under another name go by its names from now on, the old one by the old one.
    pub(super) fn note_rename(&mut self, step: &Step) {
        let Some((live, field)) = step.live.as_ref().zip(step.kind.spec.key.last()) else { return };
        let (old, new) = (live.fields.get(field).and_then(text), step.desired.get(field).and_then(text));
        if let (Some(old), Some(new)) = (old, new)
            && old != new
        {
            self.names.insert((step.kind.name.clone(), live.id.clone()), old);
            self.renamed.insert(step.action.address.clone(), new);
        }
    }

    /// The name that a reference goes by.
    pub fn name(&self, kind: &str, target: &Target) -> String {
        match target {
            Target::Id(id) => {
                let known = self.names.get(&(kind.to_owned(), id.clone())).cloned();
                let is_name = self.named.contains(kind) && id.parse::<u64>().is_err();
                known.unwrap_or_else(|| if is_name { id.clone() } else { format!("id:{id}") })
            }
            Target::New(address) if self.renamed.contains_key(address) => self.renamed[address].clone(),
            Target::New(address) => {
                address.rsplit('/').next().unwrap_or(address).split('#').next().unwrap_or_default().to_owned()
            }
            Target::Field(_, value) => value.clone(),
        }
    }

    /// A value as people read it.
    pub fn value(&self, value: &Value) -> Value {
        if secret_hash(value).is_some() || value_from(value).is_some() {
            return Value::String("(sensitive)".into());
        }
        if let Some((kind, target)) = as_reference(value) {
            return Value::String(self.name(kind, &target));
        }
        if let Some(upload) = file(value) {
            let part = |name: &str| upload.get(name).and_then(text);
            return json!({ "file": part("name").or_else(|| part("path")).unwrap_or_default() });
        }
        if let Some(place) = crate::value::sink(value) {
            return match place.get("secretRef") {
                Some(secret) => json!({ "secretRef": { "name": secret.get("name"), "key": secret.get("key") } }),
                None => place.clone(),
            };
        }
        match value {
            Value::Object(map) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), self.value(value))).collect::<Map<_, _>>())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            other => other.clone(),
        }
    }
}
