//! Refuses what would lock plumb, or everybody, out: the caller's own membership, the last owner.

use std::collections::{BTreeSet, HashMap};

use super::{
    build::Inputs,
    step::{Operation, Step},
};
use crate::{
    diagnostic::Diagnostic,
    diff::holds,
    value::{Fields, Target, as_reference, text},
};

/// Connections whose caller must be known, because a step takes a membership or the like away.
pub fn needs_caller(steps: &[Step]) -> BTreeSet<String> {
    steps
        .iter()
        .filter(|step| matches!(step.operation, Operation::Delete | Operation::Replace))
        .filter(|step| step.kind.spec.lockout.as_ref().is_some_and(|lockout| lockout.caller.is_some()))
        .map(|step| step.action.connection.clone())
        .collect()
}

/// Refusals for steps that take something away which must stay. `callers` has the id of each connection's caller.
#[expect(clippy::implicit_hasher, reason = "the program has one kind of map")]
pub fn refusals(inputs: &Inputs<'_>, steps: &[Step], callers: &HashMap<String, String>) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let mut parents: HashMap<(String, String, String), (usize, String)> = HashMap::new();
    for step in steps {
        let Some(lockout) = &step.kind.spec.lockout else { continue };
        let Some(live) = &step.live else { continue };
        if step.operation == Operation::Record || step.operation == Operation::Create {
            continue;
        }
        if let Some(field) = &lockout.caller
            && matches!(step.operation, Operation::Delete | Operation::Replace)
            && let Some(caller) = callers.get(&step.action.connection)
            && id_in(&live.fields, field).as_ref() == Some(caller)
        {
            out.push(
                Diagnostic::refusal(
                    "PL0610",
                    format!(
                        "`{}` is the user that plumb runs as: taking it away would lock plumb out.",
                        step.action.address
                    ),
                )
                .about(&step.action.address)
                .hint("Run plumb as another user for this change."),
            );
        }
        if let Some(last) = &lockout.last {
            let specs = &step.kind.spec.fields;
            let was = holds(specs, last, &Fields::new(), &live.fields);
            let stays = step.operation != Operation::Delete && holds(specs, last, &step.desired, &live.fields);
            if was && !stays {
                let slot =
                    (step.action.connection.clone(), step.kind.name.clone(), step.parent.clone().unwrap_or_default());
                let entry = parents.entry(slot).or_insert((0, step.action.address.clone()));
                entry.0 += 1;
            }
        }
    }
    for ((connection, kind, parent), (lost, address)) in parents {
        let there = inputs
            .observed
            .objects
            .iter()
            .filter(|live| {
                *live.connection == *connection && live.kind.name == kind && live.parent.as_deref() == Some(&parent)
            })
            .filter(|live| {
                live.kind
                    .spec
                    .lockout
                    .as_ref()
                    .and_then(|lockout| lockout.last.as_ref())
                    .is_some_and(|last| holds(&live.kind.spec.fields, last, &Fields::new(), &live.fields))
            })
            .count();
        let gained = steps
            .iter()
            .filter(|step| {
                step.operation == Operation::Create && step.kind.name == kind && step.parent.as_deref() == Some(&parent)
            })
            .filter(|step| {
                step.kind
                    .spec
                    .lockout
                    .as_ref()
                    .and_then(|lockout| lockout.last.as_ref())
                    .is_some_and(|last| holds(&step.kind.spec.fields, last, &step.desired, &Fields::new()))
            })
            .count();
        if there + gained <= lost {
            out.push(
                Diagnostic::refusal(
                    "PL0611",
                    format!(
                        "`{address}` is the last of its kind that its parent needs: nobody would be left to manage it."
                    ),
                )
                .about(&address)
                .hint("Add another one first."),
            );
        }
    }
    out
}

fn id_in(fields: &Fields, field: &str) -> Option<String> {
    let value = fields.get(field)?;
    match as_reference(value) {
        Some((_, Target::Id(id) | Target::Field(_, id))) => Some(id),
        _ => text(value),
    }
}
