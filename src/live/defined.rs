//! Values that are sensitive because the type of what they belong to says so: sealed before anything compares or shows
//! them.

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;

use super::observe::Observer;
use crate::{
    description::{
        Specs,
        format::{DefinedBy, FieldSpec, FieldType},
    },
    value::{Fields, Target, as_reference, get_path, is_empty, secret_hash, text, value_from},
};

impl Observer<'_> {
    /// Fields with the values sealed that definitions make sensitive.
    pub(super) fn seal_defined(&self, connection: &Arc<str>, specs: &Specs, fields: Fields) -> Fields {
        if specs.values().any(is_defined) { self.seal_members(connection, specs, fields) } else { fields }
    }

    fn seal_members(&self, connection: &Arc<str>, specs: &Specs, fields: Fields) -> Fields {
        let beside = fields.clone();
        let seal = |(name, value): (String, Value)| {
            let sealed = match specs.get(&name) {
                Some(spec) if is_defined(spec) => self.seal_value(connection, spec, &beside, value),
                _ => value,
            };
            (name, sealed)
        };
        fields.into_iter().map(seal).collect()
    }

    fn seal_value(&self, connection: &Arc<str>, spec: &FieldSpec, beside: &Fields, value: Value) -> Value {
        match (spec.ty, value) {
            (FieldType::Object, Value::Object(members)) => {
                Value::Object(self.seal_members(connection, &spec.fields, members))
            }
            (FieldType::List, Value::Array(mut entries)) => {
                if let Some(by) = &spec.defined_by {
                    let sensitive = self.sensitive_entries(connection, by, beside);
                    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                        let key = spec.keyed_by.as_ref().and_then(|key| entry.get(key)).and_then(text);
                        if key.is_some_and(|key| sensitive.contains(&key))
                            && let Some(value) = entry.get_mut(&by.member)
                        {
                            self.seal_scalar(spec, by, value);
                        }
                    }
                    return Value::Array(entries);
                }
                let Some(items) = spec.items.as_deref() else { return Value::Array(entries) };
                Value::Array(
                    entries.into_iter().map(|entry| self.seal_value(connection, items, beside, entry)).collect(),
                )
            }
            (_, value) => value,
        }
    }

    fn seal_scalar(&self, spec: &FieldSpec, by: &DefinedBy, value: &mut Value) {
        let member = spec.items.as_ref().and_then(|items| items.fields.get(&by.member));
        let masked = member.and_then(|member| member.mask.as_deref()) == value.as_str() && value.is_string();
        if masked || is_empty(value) || secret_hash(value).is_some() || value_from(value).is_some() {
            return;
        }
        if let Some(words) = text(value) {
            *value = (self.seal)(&words);
        }
    }

    /// Keys of the entries that the definitions make sensitive.
    fn sensitive_entries(&self, connection: &Arc<str>, by: &DefinedBy, beside: &Fields) -> HashSet<String> {
        let Some((kind, target)) = beside.get(&by.source).and_then(as_reference) else { return HashSet::new() };
        let definitions = match target {
            Target::Id(id) => self
                .out
                .by_id
                .get(&(connection.clone(), kind.to_owned(), id))
                .and_then(|index| self.out.objects.get(*index)?.fields.get(&by.field).cloned()),
            Target::New(address) => {
                let index = address.parse().ok().and_then(|address| self.graph.names.address(&address));
                index.and_then(|index| self.manifests.objects.get(index)?.spec.get(&by.field).cloned())
            }
            Target::Field(..) => None,
        };
        let list = definitions.as_ref().and_then(Value::as_array);
        let is_sensitive =
            |definition: &&Value| get_path(definition, &by.sensitive).and_then(text).as_deref() == Some("true");
        list.into_iter()
            .flatten()
            .filter(is_sensitive)
            .filter_map(|definition| definition.get(&by.key).and_then(text))
            .collect()
    }
}

/// Whether definitions make anything in a field sensitive.
fn is_defined(spec: &FieldSpec) -> bool {
    spec.defined_by.is_some() || spec.items.as_deref().is_some_and(is_defined) || spec.fields.values().any(is_defined)
}
