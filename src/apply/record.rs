//! Intents before calls and records after them.

use std::{sync::PoisonError, time::Duration};

use jiff::SignedDuration;

use super::{Shared, StepResult, format_instant, keep::renewal, now};
use crate::{
    diagnostic::Diagnostic,
    dialect::{self, Decoded},
    diff::{Sides, diff, keep_hidden},
    inventory::{Edit, Intent, IntentVerb, Record, Tombstone},
    plan::{ActionKind, Operation, Outcome, Step},
    value::Fields,
};

use super::write::{Done, failed};

impl Shared<'_> {
    pub(super) async fn record_only(&self, steps: &[usize]) -> Vec<(usize, StepResult)> {
        let mut edits = Vec::new();
        let mut out = Vec::new();
        for index in steps {
            let step = &self.plan.steps[*index];
            let id = step.action.id.clone();
            match step.action.action {
                ActionKind::Forget => self.drop_with_entries(step.address(), &mut edits),
                _ => {
                    if let Some(live) = &step.live {
                        let decoded =
                            Decoded { id: live.id.clone(), fields: live.fields.clone(), stamp: live.stamp.clone() };
                        self.settle(step, &Done::Present(Box::new(decoded)), &mut edits);
                    }
                }
            }
            edits.extend(self.old_intents.get(step.address()).into_iter().flatten().cloned().map(Edit::End));
            edits.extend(self.keep(*index));
            let fields = step.live.as_ref().map(|live| live.fields.clone()).unwrap_or_default();
            let there = Done::Present(Box::new(Decoded { fields, ..Decoded::bare(id.clone().unwrap_or_default()) }));
            let ended = match step.action.action {
                ActionKind::Forget => StepResult { outcome: Outcome::Done, error: None, id },
                _ => match &step.waits {
                    Some(why) => StepResult { outcome: Outcome::Waiting, error: Some(why.clone()), id },
                    None => Self::ended(step, &there, id),
                },
            };
            edits.extend(self.kept(*index, &ended, &[]));
            out.push((*index, ended));
        }
        if let Err(error) = self.context.inventory.commit(edits).await {
            let why = format!("it could not be recorded: {error}");
            return steps.iter().map(|index| (*index, failed(&why))).collect();
        }
        out
    }

    /// Drops the record of an object, and those of the entries inside it.
    fn drop_with_entries(&self, address: &str, edits: &mut Vec<Edit>) {
        edits.push(Edit::Remove(address.to_owned()));
        let prefix = format!("{address}#");
        let state = self.context.inventory.state();
        let inside = state.objects.range(prefix.clone()..).take_while(|(address, _)| address.starts_with(&prefix));
        edits.extend(inside.map(|(address, _)| Edit::Remove(address.clone())));
    }

    /// Records what a step's object is now, and gives its id.
    pub(super) fn settle(&self, step: &Step, done: &Done, edits: &mut Vec<Edit>) -> Option<String> {
        let (id, fields, stamp) = match done {
            Done::Gone => {
                self.drop_with_entries(step.address(), edits);
                if step.kind.spec.deferred_delete {
                    edits.push(Edit::Bury(
                        step.address().to_owned(),
                        Tombstone {
                            connection: step.action.connection.clone(),
                            kind: step.kind.name.clone(),
                            id: step.action.id.clone().unwrap_or_default(),
                            at: now(),
                        },
                    ));
                }
                return step.action.id.clone();
            }
            Done::Accepted => (step.action.id.clone()?, Fields::new(), None),
            Done::Present(decoded) => (decoded.id.clone(), decoded.fields.clone(), decoded.stamp.clone()),
        };
        self.made.put(step.address(), &id, fields.clone());
        if step.archive {
            if let Some((address, record)) = &step.record {
                let mut record = record.clone();
                record.applied.extend(step.desired.clone());
                record.at = now();
                edits.push(Edit::Put(address.clone(), Box::new(record)));
            }
            return Some(id);
        }
        let before = step.record.as_ref().map(|(_, record)| record);
        let (deletion_policy, protect, depends_on) = self.manifest_policy(step);
        let applied = crate::plan::stored(&self.made.resolve(&step.as_declared()));
        let is_new = matches!(step.action.action, ActionKind::Create | ActionKind::Replace);
        let unshown = before
            .filter(|_| !is_new)
            .map(|record| keep_hidden(step.specs(), &record.applied, &record.unshown, &applied));
        let record = Record {
            connection: step.action.connection.clone(),
            id: id.clone(),
            parent: self.parent_id(step),
            inside: step.kind.inside().map(|_| step.address().split('#').next().unwrap_or_default().to_owned()),
            applied,
            unshown: unshown.unwrap_or_default(),
            key: crate::live::shown_key(&step.kind, &fields, &|_, _| None),
            adopted: match step.action.action {
                ActionKind::Adopt => !step.ours,
                ActionKind::Create | ActionKind::Replace => false,
                _ => before.is_some_and(|record| record.adopted),
            },
            deletion_policy,
            protect,
            depends_on,
            at: now(),
            stamp: super::rollout::stamp(step, &id, stamp),
            revision: self.revision(step),
            rollout: self.mark(step),
            replaced: self.left_by(step),
        };
        if let Some((from, _)) = &step.record
            && from != step.address()
            // Who takes its name at the same time has its record there.
            && !self.by_address.contains(from.as_str())
        {
            edits.push(Edit::Remove(from.clone()));
        }
        edits.push(Edit::Put(step.address().to_owned(), Box::new(record)));
        Some(id)
    }

    /// What moves with each change of a step's object, as the step leaves it; nothing where its answer did not say.
    fn revision(&self, step: &Step) -> Option<String> {
        let told =
            self.revisions.lock().unwrap_or_else(PoisonError::into_inner).get(&super::rollout::key(step)).cloned();
        let unwritten = matches!(step.operation, Operation::Record | Operation::Rollout | Operation::Leftover);
        let raw = step.live.as_ref().filter(|_| unwritten).and_then(|live| live.raw.as_ref());
        told.or_else(|| dialect::revision_of(&step.kind, raw?))
    }

    /// Tells where the API answers with something else than it was sent.
    pub(super) fn verify(&self, step: &Step, decoded: &Decoded) {
        let desired = self.made.resolve(&step.desired);
        let relevant: Fields = match step.operation {
            Operation::Update => desired.into_iter().filter(|(name, _)| step.send.contains(name)).collect(),
            _ => desired,
        };
        let relevant: Fields = relevant
            .into_iter()
            .filter(|(name, value)| {
                decoded.fields.contains_key(name)
                    && !crate::value::has_secret(value)
                    && !step.kind.spec.hook.as_deref().is_some_and(|_| step.specs.is_some() && value.is_object())
            })
            .collect();
        let found = diff(Sides {
            specs: step.specs(),
            desired: &relevant,
            applied: None,
            live: Some(&decoded.fields),
            ignore_drift: &[],
            prune: false,
        });
        for change in found.changes {
            if step.specs().get(&change.field).is_some_and(|spec| spec.list_cuts_at.is_some() || spec.write_only) {
                continue;
            }
            self.tell(
                Diagnostic::warning(
                    "PL0703",
                    format!(
                        "The API accepted `{}` of `{}`, and answers with another value.",
                        change.path,
                        step.address()
                    ),
                )
                .hint("The next plan shows whether it took effect.")
                .about(step.address()),
            );
        }
    }

    pub(super) fn intent_id(&self, index: usize) -> String {
        format!("{}-{index}", self.run)
    }

    /// The intent of a step that was begun at an instant, as it is known now.
    pub(super) fn intent(&self, index: usize, begun: jiff::Timestamp) -> Edit {
        let step = &self.plan.steps[index];
        let settle = self.remote(&step.action.connection).map_or(Duration::ZERO, |remote| remote.client.settle());
        let deadline =
            SignedDuration::try_from(renewal(settle, self.context.inventory.safe_until().is_some()) + settle)
                .unwrap_or_default();
        Edit::Begin(
            self.intent_id(index),
            Intent {
                address: step.address().to_owned(),
                verb: match step.operation {
                    Operation::Create | Operation::Replace | Operation::Record => IntentVerb::Create,
                    Operation::Update | Operation::Rollout | Operation::Apply => IntentVerb::Update,
                    Operation::Delete | Operation::Leftover => IntentVerb::Delete,
                },
                connection: step.action.connection.clone(),
                kind: step.kind.name.clone(),
                id: step.action.id.clone(),
                parent: self.parent_id(step),
                sent: crate::plan::stored(&self.made.resolve(&step.desired)),
                seen: step.seen.clone(),
                at: format_instant(begun),
                deadline: (jiff::Timestamp::now() + deadline).to_string(),
            },
        )
    }
}
