//! Members that an object has by the value of another field, such as the secrets of each type of credential.

use indexmap::IndexMap;
use serde_json::Value;

use super::{convert::Convert, faults::listed, node::Member};
use crate::{
    description::format::{FieldSpec, Variant},
    diagnostic::{Diagnostic, nearest},
    value::{self, Fields},
};

/// Refuses members that the object does not have, and tells of those that it needs.
pub(super) fn check(
    declared: &Fields,
    fields: &IndexMap<String, FieldSpec>,
    members: &[Member<'_>],
    convert: &mut Convert<'_, '_>,
) {
    for member in members {
        let Some(variants) = fields.get(&*member.key).and_then(|field| field.variants.as_ref()) else { continue };
        let Some(Value::Object(object)) = declared.get(&*member.key) else { continue };
        let own = variants.member.as_deref();
        let decides = variants.field.as_deref().or(own).unwrap_or_default();
        let decided = match own {
            Some(own) => object.get(own),
            None => declared.get(decides),
        };
        let Some(word) = decided.and_then(value::text) else { continue };
        let Some(variant) = variants.of.get(&word) else { continue };
        let title = format!("`{}` where `{decides}` is `{word}`", member.key);
        let known = names(variant);
        for inner in member.value.as_map().unwrap_or_default() {
            let name = &*inner.key;
            if own == Some(name) || known.contains(&name) || !fields[&*member.key].fields.contains_key(name) {
                continue;
            }
            let mut told = Diagnostic::error("PL0141", format!("{title} has no `{name}`."));
            told = match nearest(name, known.iter().copied()) {
                Some(near) => told.hint(format!("Did you mean `{near}`?")),
                None => told.hint(format!("It has {}.", listed(known.iter().copied()))),
            };
            convert.faults.add(told, inner.at);
        }
        let has = |name: &String| object.get(name).is_some_and(|value| !value.is_null());
        let missing: Vec<&str> = variant.required.iter().filter(|name| !has(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            let told = Diagnostic::error("PL0108", format!("{title} needs {}.", listed(missing)));
            convert.faults.add(told, member.at);
        }
        if !variant.one_of.is_empty() && !variant.one_of.iter().any(|group| group.iter().all(has)) {
            let groups: Vec<String> =
                variant.one_of.iter().map(|group| listed(group.iter().map(String::as_str))).collect();
            let told = Diagnostic::error("PL0108", format!("{title} needs {}.", groups.join(", or ")));
            convert.faults.add(told, member.at);
        }
    }
}

/// All members of a variant.
fn names(variant: &Variant) -> Vec<&str> {
    let mut names: Vec<&str> = variant
        .required
        .iter()
        .chain(&variant.optional)
        .chain(variant.one_of.iter().flatten())
        .map(String::as_str)
        .collect();
    names.dedup();
    names
}
