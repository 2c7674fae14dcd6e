//! A declared object → the inventory's record of it, whatever its address was before.

use crate::{
    inventory::{Record, State},
    manifest::{Manifest, Manifests},
    value::text,
};

/// The inventory's record of an object: under its address, or the one that it moved from.
pub fn record_of<'s>(state: &'s State, object: &Manifest, manifests: &Manifests) -> Option<(String, &'s Record)> {
    let own = object.address.to_string();
    if let Some(record) = state.objects.get(&own) {
        return Some((own, &**record));
    }
    record_sources(object, manifests)
        .into_iter()
        .find_map(|address| state.objects.get(&address).map(|record| (address, &**record)))
}

/// Addresses that an object may have had before, by `plumb.dev/moved-from` and the entry's own former key.
pub fn record_sources(object: &Manifest, manifests: &Manifests) -> Vec<String> {
    let mut candidates = Vec::new();
    let manifest = object.parent.and_then(|parent| manifests.objects.get(parent)).unwrap_or(object);
    let base = match &manifest.annotations.moved_from {
        Some(name) => crate::address::Address { name: name.as_str().into(), ..object.address.clone() },
        None => object.address.clone(),
    };
    if base != object.address {
        candidates.push(base.to_string());
    }
    if let Some(inside) = object.kind.inside()
        && let Some(field) = &inside.renamed_from
        && let Some(old) = object.spec.get(field).and_then(text)
        && let Some((list, _)) = &object.address.entry
    {
        candidates.push(object.address.entry(list, &old).to_string());
        candidates.push(base.entry(list, &old).to_string());
    }
    candidates
}
