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
        let taken = renamed_into_place(state, object, manifests);
        return taken.or_else(|| Some((own, &**record)));
    }
    record_sources(object, manifests)
        .into_iter()
        .find_map(|address| state.objects.get(&address).map(|record| (address, &**record)))
}

/// The record of an entry whose name another entry had, which was renamed at the same time (they exchange names, or each
/// takes the next one's): the one under its former name, until the renaming is done.
fn renamed_into_place<'s>(state: &'s State, object: &Manifest, manifests: &Manifests) -> Option<(String, &'s Record)> {
    let field = object.kind.inside()?.renamed_from.as_ref()?;
    let from = object.spec.get(field).and_then(text)?;
    let (list, key) = object.address.entry.as_ref()?;
    let before = object.address.entry(list, &from).to_string();
    let record = state.objects.get(&before)?;
    // Whoever takes this entry's record leaves it that of its former name, unless that was done by an earlier run.
    let moves_on = |other: &Manifest| {
        let takes = other.parent == object.parent
            && other.kind == object.kind
            && other.spec.get(field).and_then(text).as_deref() == Some(&**key);
        let known = state.objects.get(&other.address.to_string()).filter(|_| takes);
        takes && known.is_none_or(|known| known.applied.get(field).and_then(text).as_deref() != Some(&**key))
    };
    manifests.objects.iter().any(moves_on).then_some((before, &**record))
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
