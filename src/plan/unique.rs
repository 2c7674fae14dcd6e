//! Values that entries of one parent must not share: who takes one after whom, and what a live entry keeps from another.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    build::{Builder, Draft, Inputs},
    step::{Operation, Step},
};
use crate::{diagnostic::Diagnostic, manifest::locate, value::text};

impl Builder<'_> {
    /// An entry that takes a value which another gives up comes after it.
    pub(super) fn order_unique(&mut self) {
        let mut held: HashMap<(String, String, String, String), usize> = HashMap::new();
        let parent_of = |step: &Step| step.parent.clone().or_else(|| step.parent_new.clone()).unwrap_or_default();
        for (number, step) in self.out.steps.iter().enumerate() {
            let (Some(inside), Some(live)) = (step.kind.inside(), &step.live) else { continue };
            for field in &inside.unique {
                if step.send.contains(field)
                    && let Some(value) = live.fields.get(field).and_then(text)
                {
                    held.insert((step.kind.name.clone(), parent_of(step), field.clone(), value), number);
                }
            }
        }
        let mut edges: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, step) in self.out.steps.iter().enumerate() {
            let Some(inside) = step.kind.inside().filter(|_| step.operation == Operation::Create) else { continue };
            for field in &inside.unique {
                if let Some(value) = step.desired.get(field).and_then(text)
                    && let Some(holder) = held.get(&(step.kind.name.clone(), parent_of(step), field.clone(), value))
                {
                    edges.entry(number).or_default().push(*holder);
                }
            }
        }
        for (number, more) in edges {
            let list = &mut self.out.steps[number].after;
            list.extend(more);
            list.sort_unstable();
            list.dedup();
        }
    }
}

/// Where a value is held: connection, kind, id of the parent, field, value.
type Slot<'a> = (&'a str, &'a str, &'a str, &'a str, String);

/// Tells which declared entries want a value that a live one has and does not give up.
pub(super) fn taken(inputs: &Inputs<'_>, out: &mut Draft) {
    let mut wanted: HashMap<Slot<'_>, usize> = HashMap::new();
    let mut freed: HashSet<(&str, &str, &str, &str)> = HashSet::new();
    for (number, step) in out.steps.iter().enumerate() {
        let Some(inside) = step.kind.inside().filter(|inside| !inside.unique.is_empty()) else { continue };
        let connection = step.action.connection.as_str();
        if let Some(id) = step.action.id.as_deref() {
            let given_up = inside.unique.iter().filter(|field| gives_up(step, field));
            freed.extend(given_up.map(|field| (connection, step.kind.name.as_str(), id, field.as_str())));
        }
        let Some(parent) = step.parent.as_deref().filter(|_| step.object.is_some()) else { continue };
        for field in &inside.unique {
            let takes = match step.operation {
                Operation::Create | Operation::Replace => true,
                Operation::Update => step.send.contains(field),
                _ => false,
            };
            if let Some(value) = step.desired.get(field).and_then(text).filter(|_| takes) {
                wanted.insert((connection, step.kind.name.as_str(), parent, field.as_str(), value), number);
            }
        }
    }
    if wanted.is_empty() {
        return;
    }
    let mut told = Vec::new();
    for live in &inputs.observed.objects {
        let Some(inside) = live.kind.inside() else { continue };
        for field in &inside.unique {
            if freed.contains(&(&*live.connection, live.kind.name.as_str(), live.id.as_str(), field.as_str())) {
                continue;
            }
            let (Some(parent), Some(value)) = (live.parent.as_deref(), live.fields.get(field).and_then(text)) else {
                continue;
            };
            let slot = (&*live.connection, live.kind.name.as_str(), parent, field.as_str(), value);
            let Some(step) = wanted.get(&slot).map(|number| &out.steps[*number]) else { continue };
            let Some(object) = step.object.filter(|_| step.action.id.as_ref() != Some(&live.id)) else { continue };
            let object = &inputs.manifests.objects[object];
            let name = live.kind.spec.key.first().and_then(|key| live.fields.get(key)).and_then(text);
            let message = format!(
                "`{field}` of `{}` is {}, and the live {} `{}` has that already.",
                object.address,
                slot.4,
                live.kind.name,
                name.unwrap_or_else(|| live.id.clone())
            );
            told.push(
                Diagnostic::error("PL0532", message)
                    .hint("Give it another value, or declare the live one too, with another.")
                    .at(locate(inputs.sources, object.document, &format!("{}/{field}", object.pointer)))
                    .about(&object.address),
            );
        }
    }
    out.diagnostics.extend(told);
}

/// Whether a live entry has another value in a field afterwards, or is gone.
fn gives_up(step: &Step, field: &String) -> bool {
    match step.operation {
        Operation::Delete | Operation::Replace => true,
        Operation::Update => step.send.contains(field),
        _ => false,
    }
}
