//! What a change brings about besides: entries that go with a move, fields that are cleared, objects that entries hang on.

use std::collections::{BTreeSet, HashSet};

use super::{
    ActionKind, Reason,
    build::{Builder, Draft},
    show::Shown,
    step::{Operation, Step},
};
use crate::{
    description::{Specs, format::Effect},
    diff::{Sides, diff},
    inventory::Record,
    live::{LiveObject, Observed, shown_key},
    manifest::Manifest,
    value::{Fields, Target, as_reference, is_empty},
};

/// Entries that a note names at most.
const NAMED: usize = 10;

impl Builder<'_> {
    /// Makes an entry anew that goes when its parent changes.
    pub(super) fn recreated(
        &mut self,
        index: usize,
        object: &Manifest,
        specs: &Specs,
        desired: Fields,
        live: &LiveObject,
        record: Option<(String, Record)>,
    ) {
        let differences =
            diff(Sides { specs, desired: &desired, applied: None, live: None, ignore_drift: &[], prune: false });
        let action = if record.is_some() { ActionKind::Replace } else { ActionKind::Create };
        let mut step = self.step(index, object, action, Reason::Dependency, &differences, desired, None, record);
        step.action.id = (action == ActionKind::Replace).then(|| live.id.clone());
        step.action.notes.push("The one that is there goes with what changes of its parent.".to_owned());
        // The API deletes the old one by itself.
        step.operation = Operation::Create;
        step.seen = Vec::new();
        self.push(index, step);
    }
}

/// Whether the entries in a field of an object's parent go because of what else changes of the parent.
pub(super) fn is_destroyed(parent: Option<&Step>, object: &Manifest) -> bool {
    let field = object.kind.inside().map(|inside| inside.field.as_str());
    parent.is_some_and(|step| field.is_some_and(|field| destroys(step, field)))
}

/// Whether the entries in a field go with what a step sends.
pub(super) fn destroys(step: &Step, field: &str) -> bool {
    effects(step).any(|(_, effect)| effect.destroys.iter().any(|other| other == field))
}

fn effects(step: &Step) -> impl Iterator<Item = (&str, &Effect)> {
    let updates = step.operation == Operation::Update && !step.archive;
    step.send.iter().filter(move |_| updates).filter_map(|name| {
        let effect = step.kind.field(name)?.effect.as_ref()?;
        Some((name.as_str(), effect))
    })
}

/// What a step brings about besides, in sentences.
pub(super) fn notes(step: &Step, observed: &Observed, shown: &Shown) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(live) = &step.live else { return notes };
    for (name, effect) in effects(step) {
        notes.extend(effect.note.clone());
        let cleared: Vec<String> = effect
            .clears
            .iter()
            .filter(|other| !step.desired.contains_key(*other))
            .filter(|other| live.fields.get(*other).is_some_and(|value| !is_empty(value)))
            .map(|other| format!("`{other}`"))
            .collect();
        if !cleared.is_empty() {
            notes.push(format!("A change of `{name}` clears {}.", cleared.join(", ")));
        }
        for field in &effect.destroys {
            let gone: BTreeSet<String> = observed
                .objects
                .iter()
                .filter(|entry| entry.connection == live.connection && entry.parent.as_deref() == Some(&*live.id))
                .filter(|entry| {
                    entry
                        .kind
                        .inside()
                        .is_some_and(|inside| inside.field == *field && inside.parents.contains_key(&live.kind.name))
                })
                .map(|entry| shown_key(&entry.kind, &entry.fields, &|kind, target| Some(shown.name(kind, target))))
                .collect();
            if !gone.is_empty() {
                let mut names: Vec<String> = gone.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
                if gone.len() > NAMED {
                    names.push(format!("{} more", gone.len() - NAMED));
                }
                notes.push(format!("A change of `{name}` deletes the {field} {}.", names.join(", ")));
            }
        }
    }
    notes
}

/// Finds the objects that new entries hang on, and which entry makes those that are not there.
pub(super) fn join(draft: &mut Draft, parents: &Parents<'_>) {
    let mut made: HashSet<(String, String, String)> = HashSet::new();
    for number in 0..draft.steps.len() {
        let step = &draft.steps[number];
        let Some(through) = step.kind.inside().and_then(|inside| inside.through.as_ref()) else { continue };
        if !matches!(step.operation, Operation::Create | Operation::Replace) {
            continue;
        }
        let target = step.desired.get(&through.field).and_then(as_reference).map(|(_, target)| target);
        let parent = step.object.and_then(|object| parents.of(object));
        let known = match (&target, parent) {
            (Some(Target::Id(other)), Some((live, change)))
                if change.is_none_or(|change| {
                    let field = step.kind.inside().map(|inside| inside.field.as_str()).unwrap_or_default();
                    !draft.steps.get(change).is_some_and(|change| destroys(change, field))
                }) =>
            {
                live.joins.get(&(step.kind.name.clone(), other.clone())).cloned()
            }
            _ => None,
        };
        let other = target.map(|target| target.to_string()).unwrap_or_default();
        let owner = step.parent_new.clone().or_else(|| step.parent.clone()).unwrap_or_default();
        let first = known.is_none() && made.insert((step.action.connection.clone(), owner, other));
        let step = &mut draft.steps[number];
        step.join = known;
        step.makes_join = first;
    }
}

/// The live parents of entries, and the steps that change them.
pub(super) struct Parents<'a> {
    pub(super) manifests: &'a crate::manifest::Manifests,
    pub(super) observed: &'a Observed,
    pub(super) step_of: &'a std::collections::HashMap<usize, usize>,
}

impl Parents<'_> {
    fn of(&self, entry: usize) -> Option<(&LiveObject, Option<usize>)> {
        let parent = self.manifests.objects.get(entry)?.parent?;
        Some((self.observed.live(parent)?, self.step_of.get(&parent).copied()))
    }
}
