//! New versions → where they are used. A version is recorded as plumb's own before the write that makes it, and until its
//! rollout is started; a gate is never pushed through, and what failed or was paused is not resumed.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;

use super::{
    Shared, StepResult,
    upsert::{Key, client_id, with_error},
    write::{Done, Trouble, method},
};
use crate::{
    description::format::RolloutSpec,
    diagnostic::Diagnostic,
    dialect::{self, Decoded, Phase, Rollout},
    http::{Call, Processed, Repeat},
    inventory::{Edit, PendingRollout, Record},
    live::{Remote, fill_path, item_vars},
    plan::{Follow, Operation, Outcome, Plan, Step, is_marked, makes_version, start_path},
};

/// How often an unanswered start is sent again once it is known not to have taken effect.
const TRIES: u32 = 3;
/// Rollouts at the same time.
const AT_ONCE: usize = 8;
/// The longest pause between two looks at a rollout, in first delays of the connection.
const LONGEST_PAUSE: u32 = 10;

/// Notes, before anything is sent, which objects get a version of plumb's own.
pub(super) fn marks(plan: &Plan) -> Vec<Edit> {
    let marked = |step: &Step| {
        let spec = step.kind.spec.rollout.as_ref().filter(|_| step.rollout.is_some())?;
        let (address, record) = step.record.as_ref()?;
        let mut record = record.clone();
        let now = step.live.as_ref().and_then(|live| live.raw.as_ref()).map(|raw| Rollout::of(spec, raw));
        let known = record.rollout.take().filter(|mark| now.as_ref().is_some_and(|now| is_marked(mark, now)));
        let hash = now.as_ref().and_then(|now| now.hash.clone());
        let version = known.and_then(|mark| mark.version);
        record.rollout = Some(PendingRollout { before: now.and_then(|now| now.version), version, hash });
        Some(Edit::Put(address.clone(), Box::new(record)))
    };
    plan.steps.iter().filter_map(marked).collect()
}

/// Connection, kind and id of the object that a step leads to.
pub(super) fn key(step: &Step) -> Key {
    let id = client_id(step).or_else(|| step.action.id.clone()).unwrap_or_default();
    (step.action.connection.clone(), step.kind.name.clone(), id)
}

/// What tells a step's object from another of its id.
pub(super) fn stamp(step: &Step, id: &str, told: Option<String>) -> Option<String> {
    let live = step.live.as_ref().filter(|live| live.id == id && step.operation != Operation::Replace);
    told.or_else(|| live.and_then(|live| live.stamp.clone()))
}

/// Whether the newest version is the one that a step means: others may have moved it on since the plan.
fn is_own(step: &Step, now: &Rollout) -> bool {
    let Some((_, record)) = &step.record else { return true };
    let mark = record.rollout.as_ref().filter(|mark| mark.version.is_some());
    step.operation != Operation::Rollout || !names_version(step) || mark.is_none_or(|mark| is_marked(mark, now))
}

/// Whether a step rolls out a version that was there when it was planned.
fn names_version(step: &Step) -> bool {
    step.action.changes.iter().any(|change| change.path == "/rollout" && change.after.is_some())
}

/// What follows for the rollout of a version whose state an answer does not tell; nothing where there is no new version.
fn inferred(spec: &RolloutSpec, step: &Step, row: &Rollout) -> Option<Phase> {
    if matches!(step.operation, Operation::Create | Operation::Replace) {
        return Some(Phase::Open);
    }
    let Some(before) = step.live.as_ref().and_then(|live| live.raw.as_ref()).map(|raw| Rollout::of(spec, raw)) else {
        return Some(Phase::Unknown);
    };
    match before.phase {
        _ if before.version.is_none() => Some(Phase::Unknown),
        _ if before.version != row.version => Some(Phase::Open),
        // A draft is edited in place.
        Phase::Open => Some(Phase::Open),
        Phase::Unknown => Some(Phase::Unknown),
        _ => None,
    }
}

impl Shared<'_> {
    /// What an answer said of an object with rollouts; null where it did not change.
    pub(super) fn moved_row(&self, key: &(String, String, String)) -> Option<Value> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn put_moved(&self, key: (String, String, String), row: Value) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).insert(key, row);
    }

    /// The version of a step's object that is not rolled out yet, to be recorded with it.
    pub(super) fn mark(&self, step: &Step) -> Option<PendingRollout> {
        let spec = step.kind.spec.rollout.as_ref()?;
        let row = self.moved_row(&key(step));
        let known = {
            let state = self.context.inventory.state();
            let address = step.record.as_ref().map_or(step.address(), |(address, _)| address);
            state.objects.get(address).and_then(|record| record.rollout.clone())
        };
        match row {
            Some(Value::Null) if step.operation != Operation::Rollout => None,
            Some(row) if !row.is_null() => {
                let now = Rollout::of(spec, &row);
                let before = step.live.as_ref().and_then(|live| live.raw.as_ref()).map(|raw| Rollout::of(spec, raw));
                // A version that was there before, and that this write did not touch, is as much ours as it was.
                if step.rollout.is_none()
                    && !makes_version(spec, step)
                    && before.is_some_and(|before| before.version == now.version)
                {
                    return known;
                }
                let phase = match now.phase {
                    Phase::Unknown => inferred(spec, step, &now),
                    phase => Some(phase),
                };
                // Where it is not known, the step's own rollout looks.
                let is_new = phase == Some(Phase::Open) || step.rollout.is_some();
                let before = known.and_then(|mark| mark.before);
                is_new.then_some(PendingRollout { before, version: now.version, hash: now.hash })
            }
            _ => known.or_else(|| step.rollout.map(|_| PendingRollout::default())),
        }
    }

    /// Steps that do nothing but start a rollout: their objects are as they are.
    pub(super) fn rollouts_begun(&self, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let begun = |index: &usize| {
            let done = self.plan.steps[*index].live.as_ref().map_or(Done::Accepted, |live| {
                let decoded = Decoded { id: live.id.clone(), fields: live.fields.clone(), stamp: live.stamp.clone() };
                Done::Present(Box::new(decoded))
            });
            (*index, Ok(done))
        };
        steps.iter().map(begun).collect()
    }

    /// The record of a step's object without the mark that this run made, where its write was refused.
    pub(super) fn unmark(&self, index: usize) -> Option<Edit> {
        let step = &self.plan.steps[index];
        step.rollout?;
        if self.moved_row(&key(step)).is_some_and(|row| !row.is_null()) {
            return None;
        }
        let (address, record) = step.record.as_ref()?;
        Some(Edit::Put(address.clone(), Box::new(record.clone())))
    }

    /// Takes back the marks of objects that nothing moved.
    pub(super) async fn unmark_unmoved(&self, results: &[Option<StepResult>]) {
        let outcome = |index: usize| results[index].as_ref().map(|result| result.outcome);
        let mut edits = Vec::new();
        for (index, step) in self.plan.steps.iter().enumerate().filter(|(_, step)| step.rollout.is_some()) {
            let untried = matches!(outcome(index), None | Some(Outcome::Skipped));
            if untried && !step.after.iter().any(|other| matches!(outcome(*other), Some(Outcome::Done))) {
                edits.extend(self.unmark(index));
            }
        }
        if !edits.is_empty()
            && let Err(error) = self.context.inventory.commit(edits).await
        {
            tracing::warn!("what was not rolled out could not be recorded: {error}");
        }
    }

    /// Starts the rollouts that follow what is done, and waits for those that are to be waited for.
    pub(super) async fn roll_out(&self, remote: &Remote, done: &mut [(usize, StepResult)]) {
        let due: Vec<(usize, usize)> = done
            .iter()
            .enumerate()
            .filter(|(_, (index, result))| result.outcome == Outcome::Done && self.plan.steps[*index].rollout.is_some())
            .map(|(place, (index, _))| (place, *index))
            .collect();
        let results: Vec<(usize, Result<(), String>)> = stream::iter(due)
            .map(|(place, index)| {
                async move { (place, self.roll_out_one(remote, &self.plan.steps[index]).await) }.boxed()
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (place, result) in results {
            if let (Err(why), Some((_, slot))) = (result, done.get_mut(place)) {
                with_error(slot, why);
            }
        }
    }

    async fn roll_out_one(&self, remote: &Remote, step: &Step) -> Result<(), String> {
        let (Some(spec), Some(follow)) = (&step.kind.spec.rollout, step.rollout) else { return Ok(()) };
        if self.stopped() {
            return Err("the run was interrupted before its rollout was started: the next run starts it".into());
        }
        let told = self.moved_row(&key(step));
        if told.as_ref().is_some_and(Value::is_null) && step.operation != Operation::Rollout {
            return self.clear(step).await;
        }
        let mut now = told.filter(|row| !row.is_null()).map(|row| Rollout::of(spec, &row));
        if let Some(row) = now.as_mut().filter(|row| row.phase == Phase::Unknown && row.version.is_some()) {
            match inferred(spec, step, row) {
                Some(phase) => row.phase = phase,
                None => return self.clear(step).await,
            }
        }
        if now.as_ref().is_none_or(|now| now.phase == Phase::Unknown) {
            now = self.look(remote, spec, step).await.map_err(|why| format!("its rollout was not started: {why}"))?;
        }
        let Some(now) = now else { return Err("its rollout was not started: it is gone".into()) };
        if now.phase == Phase::Open && !self.is_by_this_run(spec, step, &now) {
            return self.clear(step).await;
        }
        match now.phase {
            Phase::Open | Phase::Unknown if is_own(step, &now) => {}
            Phase::Started => {}
            Phase::Paused | Phase::Failed => {
                self.clear(step).await?;
                return self.judge(step, &now).unwrap_or(Ok(()));
            }
            _ => {
                // It is where it is used, waits at a gate, or is not plumb's own any more.
                self.clear(step).await?;
                return self.judge(step, &now).unwrap_or(Ok(()));
            }
        }
        let mut last = now;
        if last.phase != Phase::Started {
            last = self.start(remote, spec, step, &last).await?;
        }
        self.clear(step).await?;
        match self.judge(step, &last) {
            Some(result) => result,
            None => self.wait(remote, spec, step, follow, last).await,
        }
    }

    /// Whether a version that is open is what this run, or one before it that is known, made of the object.
    fn is_by_this_run(&self, spec: &RolloutSpec, step: &Step, now: &Rollout) -> bool {
        let live = step.live.as_ref().filter(|_| step.operation != Operation::Replace);
        let Some(before) = live.and_then(|live| live.raw.as_ref()).map(|raw| Rollout::of(spec, raw)) else {
            return true;
        };
        let mark = step.record.as_ref().and_then(|(_, record)| record.rollout.as_ref());
        if names_version(step) || mark.is_some_and(|mark| mark.version.is_some() && is_marked(mark, now)) {
            return true;
        }
        // Where nothing tells, it is new unless all that could have moved it was as it is.
        now.has_moved(&before).unwrap_or_else(|| {
            step.operation != Operation::Rollout || step.after.iter().any(|cause| !self.stood_still(*cause))
        })
    }

    /// Whether the API said of a step's object that the write changed nothing in it.
    fn stood_still(&self, index: usize) -> bool {
        self.still.lock().unwrap_or_else(PoisonError::into_inner).contains(&key(&self.plan.steps[index]))
    }

    /// Sends the start. One without an answer is looked for before it is sent again: a second one might push a gate.
    async fn start(
        &self,
        remote: &Remote,
        spec: &RolloutSpec,
        step: &Step,
        before: &Rollout,
    ) -> Result<Rollout, String> {
        let mut named = step.clone();
        named.action.id = Some(key(step).2);
        let path = start_path(&named).ok_or("its rollout has no path")?;
        let verb = method(spec.start.method.as_deref().unwrap_or("POST"));
        let mut call = Call::new(verb, path).repeat(Repeat::IfNotProcessed).body(spec.body.clone());
        call.query = spec.start.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut attempt = 1;
        loop {
            match self.send_call(remote, call.clone(), &spec.start.success).await {
                Ok(answer) => {
                    let body = answer.json_if_any().ok().flatten();
                    let row = body.and_then(|body| dialect::one(&remote.api, &step.kind, &body).ok());
                    let now = row.map(|row| Rollout::of(spec, &row));
                    let started = Rollout { phase: Phase::Started, ..before.clone() };
                    return Ok(now.filter(|now| !matches!(now.phase, Phase::Unknown | Phase::Open)).unwrap_or(started));
                }
                Err(error) if error.processed() == Processed::Maybe => {
                    tokio::time::sleep(remote.client.first_delay() * attempt).await;
                    match self.look(remote, spec, step).await? {
                        Some(now) if now.phase == Phase::Open && attempt < TRIES && !self.stopped() => attempt += 1,
                        Some(now) if !matches!(now.phase, Phase::Open | Phase::Unknown) => return Ok(now),
                        _ => return Err(format!("whether its rollout was started is not known: {error}")),
                    }
                }
                Err(error) => return Err(format!("its rollout was not started: {error}")),
            }
        }
    }

    /// What a state means for the action; nothing while it goes on.
    fn judge(&self, step: &Step, now: &Rollout) -> Option<Result<(), String>> {
        let version = now.version.as_deref().unwrap_or("?");
        let progress = Some(now.progress_words()).filter(|words| !words.is_empty());
        let so_far = progress.map(|words| format!(" ({words})")).unwrap_or_default();
        match now.phase {
            Phase::Stable => Some(Ok(())),
            Phase::Gate => {
                let message = format!(
                    "The rollout of version {version} of `{}` waits at a gate after stage {}{so_far}.",
                    step.address(),
                    now.stage
                );
                let told = Diagnostic::note("PL0705", message).about(step.address());
                self.tell(told.hint("plumb pushes no gate: let it go on by hand."));
                Some(Ok(()))
            }
            Phase::Failed => Some(Err(format!("the rollout of version {version} failed{so_far}"))),
            Phase::Paused => Some(Err(format!("the rollout of version {version} is paused{so_far}"))),
            Phase::Replaced => {
                Some(Err(format!("the rollout of version {version} was replaced by a newer one{so_far}")))
            }
            Phase::Open | Phase::Started | Phase::Unknown => None,
        }
    }

    async fn wait(
        &self,
        remote: &Remote,
        spec: &RolloutSpec,
        step: &Step,
        follow: Follow,
        first: Rollout,
    ) -> Result<(), String> {
        let Some(limit) = follow.wait else { return Ok(()) };
        let end = Instant::now() + Duration::from_secs(limit);
        let mut pause = remote.client.first_delay();
        let longest = pause * LONGEST_PAUSE;
        let mut last = first;
        loop {
            if self.stopped() {
                return Err("the run was interrupted while its rollout goes on".into());
            }
            if Instant::now() >= end {
                let words = last.progress_words();
                let so_far = if words.is_empty() { String::new() } else { format!(" ({words})") };
                return Err(format!("its rollout is not done after {limit} s{so_far}; it goes on"));
            }
            tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(longest);
            let now =
                self.look(remote, spec, step).await.map_err(|why| format!("its rollout goes on unseen: {why}"))?;
            let Some(now) = now else { return Err("it is gone while its rollout goes on".into()) };
            (self.context.rolling)(step.address(), &now.progress_words());
            if let Some(result) = self.judge(step, &now) {
                return result;
            }
            last = now;
        }
    }

    /// Reads how far a rollout is.
    async fn look(&self, remote: &Remote, spec: &RolloutSpec, step: &Step) -> Result<Option<Rollout>, String> {
        let id = key(step).2;
        let vars = item_vars(&step.kind, &id, None, Some(&step.desired));
        let path = fill_path(spec.status.path.as_deref().unwrap_or_default(), &vars).unwrap_or_default();
        let answer = remote.send(&Call::get(path)).await.map_err(|error| error.to_string())?;
        if remote.api.spec.errors.absent.contains(&answer.status) {
            // A server without this read shows the same at the object itself.
            let found = remote.get(&step.kind, &vars, &[]).await.map_err(|error| error.to_string())?;
            return Ok(found.map(|(row, _)| Rollout::of(spec, &row)));
        }
        let answer = remote.successful(answer).map_err(|error| error.to_string())?;
        let body = answer.json().map_err(|error| error.to_string())?;
        let row = dialect::one(&remote.api, &step.kind, &body).map_err(|wrong| wrong.came)?;
        let now = Rollout::of(spec, &row);
        if now.phase != Phase::Unknown {
            return Ok(Some(now));
        }
        // The answer may be the rollout itself.
        let Some((above, _)) = spec.state.rsplit_once('.') else { return Ok(Some(now)) };
        let mut wrapped = crate::value::Fields::new();
        crate::value::set_path(&mut wrapped, above, row);
        Ok(Some(Rollout::of(spec, &Value::Object(wrapped))))
    }

    /// Notes that nothing of a step's object is left to be started.
    async fn clear(&self, step: &Step) -> Result<(), String> {
        let edit = {
            let state = self.context.inventory.state();
            state.objects.get(step.address()).filter(|record| record.rollout.is_some()).map(|record| {
                let mut record = Record::clone(record);
                record.rollout = None;
                Edit::Put(step.address().to_owned(), Box::new(record))
            })
        };
        let Some(edit) = edit else { return Ok(()) };
        let done = self.context.inventory.commit(vec![edit]).await;
        done.map_err(|error| format!("its rollout was started, and that could not be recorded: {error}"))
    }
}
