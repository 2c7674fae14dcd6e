//! The calls of one batch, and what is recorded of them.

use std::sync::PoisonError;

use serde_json::Value;

use super::{Shared, StepResult, past};
use crate::{
    description::Kind,
    dialect::Decoded,
    diff::holds,
    http::{Answer, Call, HttpError, Method, Repeat},
    inventory::Edit,
    live::Remote,
    plan::{Batch, Operation, Outcome, Route, Step},
    value::Fields,
};

/// What a call did to one step's object.
pub(super) enum Done {
    /// It is there, with this id and these fields.
    Present(Box<Decoded>),
    /// It is gone.
    Gone,
    /// The API accepted the change and said nothing more.
    Accepted,
}

impl Shared<'_> {
    /// Carries out one batch.
    pub(super) async fn write(&self, batch: &Batch, steps: &[usize]) -> Vec<(usize, StepResult)> {
        let Some(first) = steps.first().map(|index| &self.plan.steps[*index]) else { return Vec::new() };
        let Some(remote) = self.remote(&first.action.connection).cloned() else {
            return steps.iter().map(|index| (*index, failed("its connection is not there"))).collect();
        };
        if batch.operation == Operation::Record {
            return self.record_only(steps).await;
        }
        let along = self.along(steps);
        let begun: Vec<usize> = steps.iter().chain(&along).copied().collect();
        let at = jiff::Timestamp::now();
        let mut intents: Vec<Edit> = begun.iter().map(|index| self.intent(*index, at)).collect();
        intents.extend(begun.iter().flat_map(|index| self.keep(*index)));
        if let Err(error) = self.context.inventory.commit(intents).await {
            let why = format!("the intent could not be recorded, so nothing was sent: {error}");
            return steps.iter().chain(&along).map(|index| (*index, failed(&why))).collect();
        }
        let work = async {
            let (unmoved, mut results) = self.unmoved(&remote, batch, steps).await;
            if !unmoved.is_empty() {
                results.extend(self.calls(&remote, batch, &unmoved).await);
            }
            results
        };
        let (results, requests) = Box::pin(past::noting(self.keeping(&remote, &begun, at, work))).await;
        let mut out = Vec::new();
        let mut edits = Vec::new();
        let mut embedded = Vec::new();
        for (index, result) in results {
            let step = &self.plan.steps[index];
            match result.and_then(|done| self.is_new(step, done)) {
                Ok(done) => {
                    let id = self.settle(step, &done, &mut edits);
                    if let (Done::Present(decoded), Operation::Create | Operation::Replace | Operation::Update) =
                        (&done, step.operation)
                    {
                        self.verify(step, decoded);
                    }
                    edits.push(Edit::End(self.intent_id(index)));
                    edits.extend(self.old_intents.get(step.address()).into_iter().flatten().cloned().map(Edit::End));
                    if let Some(id) = &id {
                        embedded.push((index, id.clone()));
                    }
                    out.push((index, Self::ended(step, &done, id)));
                }
                Err(Trouble { message, waiting: true, .. }) => {
                    edits.push(Edit::End(self.intent_id(index)));
                    out.push((index, StepResult { outcome: Outcome::Waiting, error: Some(message), id: None }));
                }
                Err(Trouble { message, unknown, .. }) => {
                    // What became of it is not known: the intent stays, and the next run looks.
                    if !unknown {
                        edits.extend(self.unmark(index));
                        edits.push(Edit::End(self.intent_id(index)));
                        edits.extend(self.children_of(index, &along).map(|child| Edit::End(self.intent_id(child))));
                    }
                    for child in self.children_of(index, &along) {
                        out.push((child, skipped(&format!("`{}` failed", step.address()))));
                    }
                    out.push((index, failed(&message)));
                }
            }
        }
        edits.extend(out.iter().filter_map(|(index, result)| self.kept(*index, result, &requests)));
        if let Err(error) = self.context.inventory.commit(edits).await {
            let why = format!("it was done, and could not be recorded: {error}");
            for (_, result) in &mut out {
                if result.outcome == Outcome::Done {
                    result.outcome = Outcome::Failed;
                    result.error = Some(why.clone());
                }
            }
            return out;
        }
        out.extend(self.learn(&remote, embedded, &along).await);
        self.roll_out(&remote, &mut out).await;
        out
    }

    async fn calls(&self, remote: &Remote, batch: &Batch, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        match batch.operation {
            Operation::Apply => self.upsert(remote, steps).await,
            Operation::Rollout => self.rollouts_begun(steps),
            Operation::Leftover => self.leftovers_found(steps),
            Operation::Create => self.create(remote, batch.bulk, steps).await,
            Operation::Update => self.update(remote, batch.bulk, steps).await,
            Operation::Delete => self.delete(remote, batch.bulk, steps).await,
            Operation::Replace => self.replace(remote, steps).await,
            Operation::Record => Vec::new(),
        }
    }

    /// How a step that went well ended: it is done, or a person has to act.
    pub(super) fn ended(step: &Step, done: &Done, id: Option<String>) -> StepResult {
        let pending = step.kind.spec.pending.as_ref().filter(|pending| {
            let Done::Present(decoded) = done else { return false };
            // The answer to a create that does not say is of something that was only begun.
            let silent = pending.when.field.as_ref().is_some_and(|field| !decoded.fields.contains_key(field));
            let begun = matches!(step.operation, Operation::Create | Operation::Replace) && silent;
            begun
                || (step.operation != Operation::Delete
                    && holds(&step.kind.spec.fields, &pending.when, &Fields::new(), &decoded.fields))
        });
        match pending {
            Some(pending) => StepResult { outcome: Outcome::Waiting, error: Some(pending.message.clone()), id },
            None => StepResult { outcome: Outcome::Done, error: None, id },
        }
    }

    /// Learns the ids of entries that were sent along: of one parent by its own list, of many by one list of the
    /// parents that brings their entries.
    async fn learn(&self, remote: &Remote, parents: Vec<(usize, String)>, along: &[usize]) -> Vec<(usize, StepResult)> {
        let mut groups: Vec<(usize, String, Vec<usize>)> = Vec::new();
        for (index, id) in parents {
            let children: Vec<usize> = self.children_of(index, along).collect();
            if !children.is_empty() {
                groups.push((index, id, children));
            }
        }
        let mut rows = match &groups[..] {
            [first, _, ..] => {
                self.all_children(remote, &self.plan.steps[first.0], &self.plan.steps[first.2[0]].kind).await
            }
            _ => None,
        };
        let mut out = Vec::new();
        for (index, id, children) in groups {
            let known = rows.as_mut().and_then(|rows| rows.remove(&id));
            out.extend(self.learn_embedded(remote, index, &id, &children, known).await);
        }
        out
    }

    /// Steps that are sent along in the creates of these.
    pub(super) fn along(&self, steps: &[usize]) -> Vec<usize> {
        steps
            .iter()
            .map(|index| &self.plan.steps[*index])
            .filter(|step| step.operation == Operation::Create)
            .filter_map(|step| self.embedded_in.get(step.address()))
            .flatten()
            .copied()
            .collect()
    }

    pub(super) fn children_of<'s>(&'s self, index: usize, along: &'s [usize]) -> impl Iterator<Item = usize> + 's {
        let parent = self.plan.steps[index].address();
        along.iter().copied().filter(move |child| self.plan.steps[*child].parent_new.as_deref() == Some(parent))
    }

    pub(super) async fn send(
        &self,
        remote: &Remote,
        route: &Route,
        query: Vec<(String, String)>,
        body: Option<Value>,
        repeat: Repeat,
        success: &[u16],
    ) -> Result<Answer, HttpError> {
        let mut call = Call::new(method(&route.method), route.path.clone()).repeat(repeat);
        call.query = query;
        call.body = body;
        self.send_call(remote, call, success).await
    }
}

impl Shared<'_> {
    /// Sends a write; it does not outlive the lease of a remote inventory. `success` has the statuses that mean
    /// success, where not all from 200 to 299 do.
    pub(super) async fn send_call(
        &self,
        remote: &Remote,
        mut call: Call,
        success: &[u16],
    ) -> Result<Answer, HttpError> {
        call.leave = Some(self.terms());
        let note = |error: &HttpError| {
            if error.lasts() {
                self.lasting.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
            }
        };
        let sent = remote.send(&call).await;
        past::note(&sent, &self.context.mask);
        let answer = sent.inspect_err(note)?;
        if success.contains(&answer.status) {
            return Ok(answer);
        }
        let answer = remote.successful(answer).inspect_err(note)?;
        if success.is_empty() {
            return Ok(answer);
        }
        let came = format!("status {}", answer.status);
        Err(answer.unusable(came, "a status that the description counts as success"))
    }
}

/// A bulk call was refused: its parts go alone.
pub(super) struct Split;

/// Why a step failed.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) message: String,
    /// What became of the object is not known.
    pub(super) unknown: bool,
    /// Somebody has to act first.
    pub(super) waiting: bool,
    /// The object moved since it was read.
    pub(super) locked: bool,
}

impl Trouble {
    pub(super) fn known(message: String) -> Self {
        Self { message, unknown: false, waiting: false, locked: false }
    }

    pub(super) fn unknown(message: String) -> Self {
        Self { unknown: true, ..Self::known(message) }
    }

    pub(super) fn waiting(message: String) -> Self {
        Self { waiting: true, ..Self::known(message) }
    }
}

pub(super) fn method(word: &str) -> Method {
    Method::from_bytes(word.to_ascii_uppercase().as_bytes()).unwrap_or(Method::POST)
}

pub(super) fn rows_of(kind: &Kind, body: &Value) -> Vec<Value> {
    let _ = kind;
    let list = body.get("data").unwrap_or(body);
    match list {
        Value::Array(rows) => rows.clone(),
        row @ Value::Object(_) => vec![row.clone()],
        _ => Vec::new(),
    }
}

pub(super) fn failed(why: &str) -> StepResult {
    StepResult { outcome: Outcome::Failed, error: Some(why.to_owned()), id: None }
}

pub(super) fn skipped(why: &str) -> StepResult {
    StepResult { outcome: Outcome::Skipped, error: Some(why.to_owned()), id: None }
}
