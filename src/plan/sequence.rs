//! What must come before what, among the steps of declared objects; what nothing makes is dropped.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{
    build::Builder,
    step::{Operation, Step},
};
use crate::{
    diagnostic::Diagnostic,
    diff::holds,
    graph::Meaning,
    value::{Fields, Target, as_reference, text},
};

impl Builder<'_> {
    /// Drops steps that refer to an object which nothing makes in this run.
    pub(super) fn drop_dangling(&mut self) {
        loop {
            let made: HashSet<&str> = self
                .out
                .steps
                .iter()
                .filter(|step| {
                    // What appears through another object is there in its turn.
                    let appears = step.operation == Operation::Update && step.live.is_none();
                    appears || matches!(step.operation, Operation::Create | Operation::Replace)
                })
                .map(Step::address)
                .collect();
            let dangling: Vec<(usize, String)> = self
                .out
                .steps
                .iter()
                .enumerate()
                .filter_map(|(number, step)| {
                    let missing = pending(&step.desired)
                        .into_iter()
                        .chain(step.parent_new.clone())
                        .find(|address| !made.contains(address.as_str()))?;
                    Some((number, missing))
                })
                .collect();
            if dangling.is_empty() {
                return;
            }
            for (number, missing) in &dangling {
                let Some(index) = self.out.steps[*number].object else { continue };
                let object = &self.inputs.manifests.objects[index];
                let told = Diagnostic::error(
                    "PL0517",
                    format!(
                        "`{}` needs `{missing}`, which does not exist and is not made in this run.",
                        object.address
                    ),
                )
                .hint("Take it into the run too, or see why it is left out.");
                self.tell(object, "", told);
            }
            let gone: HashSet<usize> = dangling.into_iter().map(|(number, _)| number).collect();
            let steps = std::mem::take(&mut self.out.steps);
            self.step_of.clear();
            for (number, step) in steps.into_iter().enumerate() {
                if gone.contains(&number) {
                    continue;
                }
                if let Some(index) = step.object {
                    self.step_of.insert(index, self.out.steps.len());
                }
                self.out.steps.push(step);
            }
        }
    }

    /// What must come before what, among the declared objects.
    pub(super) fn order_declared(&mut self) {
        let inputs = self.inputs;
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); self.out.steps.len()];
        for (index, step) in &self.step_of {
            let graph = inputs.graph;
            let mut to: Vec<usize> = graph.extra.get(*index).into_iter().flatten().copied().collect();
            for found in graph.uses.get(*index).into_iter().flatten() {
                if let Meaning::Declared(target) = found.target {
                    to.push(target);
                }
            }
            to.extend(inputs.observed.late.get(index).into_iter().flatten());
            to.extend(self.moving.get(index).into_iter().flatten());
            let list: BTreeSet<usize> = to
                .iter()
                .filter_map(|target| self.step_of.get(target).copied())
                .filter(|other| other != step)
                .collect();
            after[*step] = list.into_iter().collect();
        }
        for (step, list) in self.out.steps.iter_mut().zip(after) {
            step.after = list;
        }
        self.order_locked();
        self.embed_what_must();
        self.order_unique();
        self.order_only();
        self.order_waits();
    }

    /// What is below an object that is updated under a lock comes after that, because it may move the lock.
    fn order_locked(&mut self) {
        let steps = &self.out.steps;
        let is_locked = |step: &Step| step.operation == Operation::Update && step.kind.spec.update.lock.is_some();
        let locked: Vec<(usize, usize)> = self
            .step_of
            .iter()
            .map(|(object, step)| (*object, *step))
            .filter(|(_, step)| is_locked(&steps[*step]))
            .collect();
        if locked.is_empty() {
            return;
        }
        let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, uses) in self.inputs.graph.uses.iter().enumerate() {
            for found in uses {
                if let Meaning::Declared(target) = found.target {
                    users.entry(target).or_default().push(index);
                }
            }
        }
        for (object, lock) in locked {
            // Up to the first steps: what is below those comes after them already.
            let mut next = vec![object];
            let mut known: HashSet<usize> = HashSet::from([object]);
            while let Some(user) = next.pop() {
                for below in users.get(&user).into_iter().flatten().filter(|below| known.insert(**below)) {
                    match self.step_of.get(below) {
                        Some(step) if *step != lock => self.out.steps[*step].after.push(lock),
                        Some(_) => {}
                        None => next.push(*below),
                    }
                }
            }
        }
        for step in &mut self.out.steps {
            step.after.sort_unstable();
            step.after.dedup();
        }
    }

    /// What may have to wait for an object of another kind comes after that.
    fn order_waits(&mut self) {
        let spoken = |fields: &Fields, name: &str| {
            let value = fields.get(name)?;
            let words = match as_reference(value) {
                Some((_, Target::Field(_, words))) => Some(words),
                Some(_) => None,
                None => text(value),
            };
            words.map(|words| words.to_lowercase())
        };
        let waiting = self.out.steps.iter().filter_map(|step| step.kind.spec.create.waits.as_ref());
        let kinds: HashSet<String> = waiting.map(|waits| waits.kind.clone()).collect();
        let mut waited: HashMap<(String, String, String), usize> = HashMap::new();
        for (number, step) in self.out.steps.iter().enumerate() {
            if step.operation != Operation::Create || !kinds.contains(&step.kind.name) {
                continue;
            }
            for name in step.desired.keys() {
                let value = spoken(&step.desired, name).map(|value| (step.kind.name.clone(), name.clone(), value));
                waited.extend(value.map(|value| (value, number)));
            }
        }
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (number, step) in self.out.steps.iter().enumerate() {
            let Some(waits) = step.kind.spec.create.waits.as_ref() else { continue };
            for (own, theirs) in &waits.by {
                let Some(value) = spoken(&step.desired, own) else { continue };
                let other = waited.get(&(waits.kind.clone(), theirs.clone(), value));
                edges.extend(other.filter(|other| **other != number).map(|other| (number, *other)));
            }
        }
        for (number, other) in edges {
            // What is begun there is not done before a person acts.
            let pends = self.out.steps[other].kind.spec.pending.is_some();
            let step = &mut self.out.steps[number];
            if pends && step.waits.is_none() && step.operation == Operation::Create {
                let why = step.kind.spec.create.waits.as_ref().map(|waits| waits.message.clone()).unwrap_or_default();
                step.operation = Operation::Record;
                step.embedded = false;
                step.action.notes.push(why.clone());
                step.waits = Some(why);
            }
            step.after.push(other);
            step.after.sort_unstable();
            step.after.dedup();
        }
    }

    /// What only one object of a scope may be, the new one becomes before the old one stops being it.
    fn order_only(&mut self) {
        type Slot = (String, String, Vec<String>);
        let mut gains: HashMap<Slot, Vec<usize>> = HashMap::new();
        let mut loses: Vec<(Slot, usize)> = Vec::new();
        let nothing = Fields::new();
        for (number, step) in self.out.steps.iter().enumerate() {
            let Some(rule) = step.kind.spec.at_most_one.as_ref().filter(|rule| rule.moves) else { continue };
            let live = step.live.as_ref().map_or(&nothing, |live| &live.fields);
            let per = rule.per.iter().map(|name| {
                step.desired.get(name).or_else(|| live.get(name)).map(Value::to_string).unwrap_or_default()
            });
            let slot = (step.action.connection.clone(), step.kind.name.clone(), per.collect());
            let was = holds(step.specs(), &rule.condition, &nothing, live);
            let will = holds(step.specs(), &rule.condition, &step.desired, live);
            match (was, will, step.operation) {
                (_, true, Operation::Create) | (false, true, Operation::Update) => {
                    gains.entry(slot).or_default().push(number);
                }
                (true, false, Operation::Update) => loses.push((slot, number)),
                _ => {}
            }
        }
        for (slot, number) in loses {
            let Some(before) = gains.get(&slot) else { continue };
            let list = &mut self.out.steps[number].after;
            list.extend(before);
            list.sort_unstable();
            list.dedup();
        }
    }

    /// A parent that cannot be made without an entry takes those along that only wait for others; it then waits too.
    pub(super) fn embed_what_must(&mut self) {
        let mut entries: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, step) in self.out.steps.iter().enumerate() {
            let required = step.kind.inside().is_some_and(|inside| inside.embed_required);
            if let Some(parent) = step.parent_new.clone().filter(|_| required && step.operation == Operation::Create) {
                entries.entry(parent).or_default().push(number);
            }
        }
        for number in 0..self.out.steps.len() {
            let parent = self.out.steps[number].action.address.clone();
            let Some(list) = entries.get(&parent) else { continue };
            if self.out.steps[number].operation != Operation::Create
                || list.iter().any(|entry| self.out.steps[*entry].embedded)
            {
                continue;
            }
            let mut waits = Vec::new();
            for entry in list {
                let step = &mut self.out.steps[*entry];
                if !pending(&step.desired).contains(&parent) {
                    step.embedded = true;
                    waits.extend(step.after.iter().copied().filter(|other| *other != number));
                }
            }
            let after = &mut self.out.steps[number].after;
            after.extend(waits);
            after.sort_unstable();
            after.dedup();
        }
    }
}

/// Addresses of objects that fields refer to and that are not there yet.
pub(super) fn pending(fields: &Fields) -> Vec<String> {
    pub(super) fn collect(value: &Value, out: &mut Vec<String>) {
        if let Some((_, Target::New(address))) = as_reference(value) {
            out.push(address);
            return;
        }
        match value {
            Value::Object(map) => map.values().for_each(|value| collect(value, out)),
            Value::Array(items) => items.iter().for_each(|value| collect(value, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    fields.values().for_each(|value| collect(value, &mut out));
    out
}
