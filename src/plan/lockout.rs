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
        .filter(|step| takes_away(step))
        .filter(|step| step.kind.spec.lockout.as_ref().is_some_and(|lockout| lockout.caller.is_some()))
        .map(|step| step.action.connection.clone())
        .collect()
}

/// Whether a step takes an object away, or what makes it one of those of which a parent needs the last.
fn takes_away(step: &Step) -> bool {
    matches!(step.operation, Operation::Delete | Operation::Replace) || shift(step) == Some(Shift::Loses)
}

/// Refusals for steps that take something away which must stay. `callers` has the id of each connection's caller,
/// `is_own_key` tells whether a connection's own key ends so.
#[expect(clippy::implicit_hasher, reason = "the program has one kind of map")]
pub fn refusals(
    inputs: &Inputs<'_>,
    steps: &[Step],
    callers: &HashMap<String, String>,
    is_own_key: &dyn Fn(&str, &str) -> bool,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let mut parents: HashMap<(String, String, String), (usize, String)> = HashMap::new();
    for step in steps {
        let Some(lockout) = &step.kind.spec.lockout else { continue };
        let Some(live) = &step.live else { continue };
        if matches!(step.operation, Operation::Record | Operation::Create | Operation::Rollout | Operation::Leftover) {
            continue;
        }
        if let Some(field) = &lockout.caller
            && takes_away(step)
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
        if let Some(field) = &lockout.key_end
            && matches!(step.operation, Operation::Delete | Operation::Replace)
            && let Some(end) = live.fields.get(field).and_then(text).filter(|end| end.chars().count() > 3)
            && is_own_key(&step.action.connection, &end)
        {
            out.push(
                Diagnostic::refusal(
                    "PL0610",
                    format!(
                        "`{}` is the key that plumb runs with: taking it away would lock plumb out.",
                        step.action.address
                    ),
                )
                .about(&step.action.address)
                .hint("Run plumb with another key for this change."),
            );
        }
        if let Some(what) = &lockout.untold
            && matches!(step.operation, Operation::Delete | Operation::Replace)
        {
            let message = format!("`{}` is taken away, and {what}.", step.action.address);
            let told = Diagnostic::warning("PL0614", message).about(&step.action.address);
            out.push(told.hint("Make sure that it is another one's, or that another key is at hand."));
        }
        if shift(step) == Some(Shift::Loses) {
            let entry = parents.entry(slot(step)).or_insert((0, step.action.address.clone()));
            entry.0 += 1;
        }
    }
    for ((connection, kind, parent), (lost, address)) in parents {
        let there = inputs
            .observed
            .objects
            .iter()
            .filter(|live| {
                *live.connection == *connection
                    && live.kind.name == kind
                    && live.parent.as_deref().unwrap_or_default() == parent
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
        let own = (connection, kind, parent);
        let gained = steps.iter().filter(|step| shift(step) == Some(Shift::Gains) && slot(step) == own).count();
        if there + gained <= lost {
            let who = if own.2.is_empty() {
                "the last one that there is"
            } else {
                "the last of its kind that its parent needs"
            };
            out.push(
                Diagnostic::refusal(
                    "PL0611",
                    format!("`{address}` is {who}: nobody would be left to manage what it is for."),
                )
                .about(&address)
                .hint("Add another one first."),
            );
        }
    }
    out
}

/// What a step does to the number of objects of which a parent needs the last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shift {
    Gains,
    Loses,
}

fn shift(step: &Step) -> Option<Shift> {
    let last = step.kind.spec.lockout.as_ref()?.last.as_ref()?;
    let specs = &step.kind.spec.fields;
    let nothing = Fields::new();
    let live = step.live.as_ref().map(|live| &live.fields);
    let was = live.is_some_and(|live| holds(specs, last, &nothing, live));
    let is = match step.operation {
        Operation::Delete => false,
        // It goes before the new one comes, and plumb may go with it.
        Operation::Replace if step.kind.spec.lockout.as_ref().is_some_and(|lockout| lockout.untold.is_some()) => false,
        Operation::Record | Operation::Rollout | Operation::Leftover | Operation::Apply => was,
        Operation::Create | Operation::Update | Operation::Replace => {
            holds(specs, last, &step.desired, live.unwrap_or(&nothing))
        }
    };
    match (was, is) {
        (false, true) => Some(Shift::Gains),
        (true, false) => Some(Shift::Loses),
        _ => None,
    }
}

/// Connection, kind and parent of a step's object.
fn slot(step: &Step) -> (String, String, String) {
    (step.action.connection.clone(), step.kind.name.clone(), step.parent.clone().unwrap_or_default())
}

/// Has another owner, or the like, be there before one is taken away.
pub(super) fn order(steps: &mut [Step]) {
    let mut gains: HashMap<(String, String, String), Vec<usize>> = HashMap::new();
    for (number, step) in steps.iter().enumerate() {
        if shift(step) == Some(Shift::Gains) {
            gains.entry(slot(step)).or_default().push(number);
        }
    }
    if gains.is_empty() {
        return;
    }
    for step in steps.iter_mut().filter(|step| shift(step) == Some(Shift::Loses)) {
        if let Some(before) = gains.get(&slot(step)) {
            step.after.extend(before);
            step.after.sort_unstable();
            step.after.dedup();
        }
    }
}

fn id_in(fields: &Fields, field: &str) -> Option<String> {
    let value = fields.get(field)?;
    match as_reference(value) {
        Some((_, Target::Id(id) | Target::Field(_, id))) => Some(id),
        _ => text(value),
    }
}
