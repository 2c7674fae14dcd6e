//! Entries that a type defines: what another type does not know goes with the old one.

use std::collections::HashSet;

use serde_json::Value;

use super::build::Builder;
use crate::{
    description::{Specs, equal, format::DefinedBy},
    dialect::attribute,
    live::LiveObject,
    manifest::Manifest,
    value::{Fields, Target, as_reference, gone, text},
};

impl Builder<'_> {
    /// Declared fields with the entries marked to go that are not declared and that the new type of the object, where it
    /// gets another one, does not define.
    pub(super) fn without_undefined(
        &self,
        object: &Manifest,
        specs: &Specs,
        mut desired: Fields,
        live: &LiveObject,
    ) -> Fields {
        for (name, spec) in specs {
            let (Some(by), Some(key), Some(raw)) = (&spec.defined_by, &spec.keyed_by, &live.raw) else { continue };
            let (Some(source), Some(wanted)) = (specs.get(&by.source), desired.get(&by.source)) else { continue };
            if live.fields.get(&by.source).is_none_or(|there| there.is_null() || equal(source, wanted, there)) {
                continue;
            }
            let Some(defined) = self.defined(object, by, wanted) else { continue };
            let declared: Vec<Value> = desired.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let key_of = |entry: &Value| entry.get(key).and_then(text);
            let known: HashSet<String> = declared.iter().filter_map(key_of).chain(defined).collect();
            let there = attribute(&object.kind, raw, spec.wire_name());
            let undefined = there.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(key_of);
            let going: Vec<Value> =
                undefined.filter(|name| !known.contains(name)).map(|name| gone(key, &name)).collect();
            if !going.is_empty() {
                desired.insert(name.clone(), declared.into_iter().chain(going).collect());
            }
        }
        desired
    }

    /// Keys of the entries that a type defines; nothing where its definition is not known.
    fn defined(&self, object: &Manifest, by: &DefinedBy, source: &Value) -> Option<HashSet<String>> {
        let inputs = self.inputs;
        let (kind, target) = as_reference(source)?;
        let list = match target {
            Target::Id(id) => {
                let connection = object.connection.as_str().into();
                inputs.observed.by_id(&connection, kind, &id)?.fields.get(&by.field)?
            }
            Target::New(address) => {
                let index = inputs.graph.names.address(&address.parse().ok()?)?;
                inputs.manifests.objects.get(index)?.spec.get(&by.field)?
            }
            Target::Field(..) => return None,
        };
        let keys = list.as_array()?.iter().filter_map(|definition| definition.get(&by.key).and_then(text));
        Some(keys.collect())
    }
}
