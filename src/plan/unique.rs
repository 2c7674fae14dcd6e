//! Values that entries of one parent must not share: what a live one keeps, another cannot take.

use std::collections::{HashMap, HashSet};

use super::{
    build::{Draft, Inputs},
    step::{Operation, Step},
};
use crate::{diagnostic::Diagnostic, manifest::locate, value::text};

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
