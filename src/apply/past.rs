//! What a run does, for its history: each object as it was, kept with the intent, before anything is sent; what came of
//! it, with the ids of its calls, after. No secret goes into it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    future::Future,
    sync::atomic::Ordering,
};

use serde_json::Value;

use super::{Shared, StepResult, now};
use crate::{
    description::format::{FieldSpec, Sensitivity},
    diff::entry_key,
    http::{Answer, HttpError},
    inventory::{Change, Edit, End, FieldChange, Record, Run, Sent},
    plan::{ActionKind, Outcome, Plan, Step},
    value::{Fields, file, secret, secret_hash, text, without_places},
};

tokio::task_local! {
    /// The writes of the batch that is under way.
    static SENT: RefCell<Vec<Sent>>;
}

/// Headers by which APIs tell the id that they gave a request; the first that an answer has counts.
const REQUEST_IDS: [&str; 8] = [
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-ms-request-id",
    "x-trace-id",
    "cf-ray",
];

/// The longest request id that is kept, in characters.
const LONGEST_ID: usize = 128;

/// A run whose history is kept.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// Its id, which sorts by time.
    pub id: String,
    /// What is known of it when it begins.
    pub head: Run,
    /// Runs that are kept no longer.
    pub outdated: Vec<String>,
}

impl RunInfo {
    /// A run that begins now, and comes after the last one even where the clock of that one's machine was ahead.
    pub fn now(head: Run, outdated: Vec<String>, last: Option<&str>) -> Self {
        let now = jiff::Timestamp::now();
        let after =
            last.and_then(instant_of).and_then(|last| last.checked_add(jiff::SignedDuration::from_millis(1)).ok());
        let at = after
            .filter(|after| after.duration_since(now).as_hours() < LONGEST_LEAD)
            .map_or(now, |after| after.max(now));
        let id = format!(
            "{}-{:03}{:03x}",
            at.strftime("%Y%m%d-%H%M%S"),
            at.as_millisecond().rem_euclid(1000),
            fastrand::u16(..) & 0xfff
        );
        Self { id, head: Run { at: super::format_instant(now), ..head }, outdated }
    }
}

/// The instant in the id of a run.
fn instant_of(id: &str) -> Option<jiff::Timestamp> {
    let at =
        jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", id.get(..15)?).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    at.timestamp().checked_add(jiff::SignedDuration::from_millis(id.get(16..19)?.parse().ok()?)).ok()
}

/// The furthest that a clock may be ahead, in hours: a hundred years.
const LONGEST_LEAD: i64 = 24 * 365 * 100;

/// What begins a run: none where there is nothing to do.
pub(super) fn begin(run: Option<&RunInfo>, plan: &Plan) -> Vec<Edit> {
    let Some(run) = run.filter(|_| !plan.steps.is_empty()) else { return Vec::new() };
    let outdated = run.outdated.iter().cloned().map(Edit::DropRun);
    outdated.chain([Edit::Run(run.id.clone(), Box::new(run.head.clone()))]).collect()
}

/// Does something, and gives the writes that were sent meanwhile.
pub(super) async fn noting<T>(work: impl Future<Output = T>) -> (T, Vec<Sent>) {
    let noting = async {
        let done = work.await;
        (done, SENT.with(RefCell::take))
    };
    SENT.scope(RefCell::default(), noting).await
}

/// Notes what came of a write.
pub(super) fn note(result: &Result<Answer, HttpError>, mask: &dyn Fn(&str) -> String) {
    let (answer, site) = match result {
        Ok(answer) => (Some(answer), &**answer.site()),
        Err(error) => match error {
            HttpError::Refused { answer, .. } => (Some(&**answer), error.site()),
            other => (None, other.site()),
        },
    };
    let id = answer.and_then(|answer| REQUEST_IDS.iter().find_map(|name| answer.header(name)));
    let sent = Sent {
        method: site.method.to_string(),
        path: mask(&site.path),
        status: answer.map(|answer| answer.status),
        request_id: id.map(|id| mask(&id.chars().take(LONGEST_ID).collect::<String>())),
    };
    // Outside of a batch, nobody asks for it.
    let _ = SENT.try_with(|all| all.borrow_mut().push(sent));
}

impl Shared<'_> {
    /// What is kept of a step before it is begun.
    pub(super) fn keep(&self, index: usize) -> Vec<Edit> {
        let Some(run) = self.context.run else { return Vec::new() };
        let step = &self.plan.steps[index];
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let mut edits = vec![Edit::Keep(run.id.clone(), number, Box::new(self.change(step)))];
        if step.action.action == ActionKind::Delete && !step.archive {
            edits.extend(self.keep_inside(run, step));
        }
        edits
    }

    /// What is kept of the entries that vanish with an object: what was applied to them.
    fn keep_inside(&self, run: &RunInfo, step: &Step) -> Vec<Edit> {
        let prefix = format!("{}#", step.address());
        let steps =
            self.addresses.get_or_init(|| self.plan.steps.iter().map(|step| step.address().to_owned()).collect());
        let state = self.context.inventory.state();
        let inside = state.objects.range(prefix.clone()..).take_while(|(address, _)| address.starts_with(&prefix));
        inside
            .filter(|(address, _)| !steps.contains(*address))
            .map(|(address, record)| {
                let number = self.vanished.fetch_add(1, Ordering::Relaxed) + self.plan.steps.len();
                Edit::Keep(
                    run.id.clone(),
                    u32::try_from(number).unwrap_or(u32::MAX),
                    Box::new(vanished(step, address, record)),
                )
            })
            .collect()
    }

    fn change(&self, step: &Step) -> Change {
        let record = step.record.as_ref().map(|(_, record)| record);
        let mut withheld = Vec::new();
        let before = step.live.as_ref().map(|live| {
            let mut out = Fields::new();
            for (name, value) in &live.fields {
                let free = FieldSpec::default();
                let spec = step.specs().get(name).unwrap_or(&free);
                let applied = record.and_then(|record| record.applied.get(name));
                let path = format!("/{}", crate::address::escape(name));
                let value = self.harmless(spec, spec.sensitive, value, applied, &path, &mut withheld);
                out.insert(name.clone(), value);
            }
            out
        });
        let fields = step.action.changes.iter().map(|change| {
            let touches = |path: &String| path.starts_with(&change.path) || change.path.starts_with(path.as_str());
            let hidden = change.sensitive || withheld.iter().any(touches);
            FieldChange {
                path: change.path.clone(),
                op: change.op.word().to_owned(),
                before: change.before.as_ref().filter(|_| !hidden).map(|value| self.masked(value)),
                after: change.after.as_ref().filter(|_| !change.sensitive).map(|value| self.masked(value)),
                sensitive: change.sensitive,
            }
        });
        Change {
            address: step.address().to_owned(),
            action: step.action.action.word().to_owned(),
            reason: step.action.reason.word().to_owned(),
            connection: step.action.connection.clone(),
            kind: step.kind.name.clone(),
            id: step.action.id.as_deref().map(|id| (self.context.mask)(id)),
            parent: self.former_parent(step),
            fields: fields.collect(),
            before,
            withheld,
            record: record.cloned(),
            end: None,
        }
    }

    /// A live value without what is a secret or may be one: its keyed hash stands for it, and its path is told. What a
    /// field that may be sensitive had from a manifest in plain text is none.
    fn harmless(
        &self,
        spec: &FieldSpec,
        sensitive: Option<Sensitivity>,
        value: &Value,
        applied: Option<&Value>,
        path: &str,
        withheld: &mut Vec<String>,
    ) -> Value {
        if value.is_null() {
            return Value::Null;
        }
        if secret_hash(value).is_some() {
            withheld.push(path.to_owned());
            return value.clone();
        }
        if file(value).is_some() {
            withheld.push(path.to_owned());
            return without_places(value);
        }
        if spec.mask.is_some() && spec.mask.as_deref() == value.as_str() {
            withheld.push(path.to_owned());
            return Value::Null;
        }
        match value {
            Value::Object(members) => {
                let free = FieldSpec::default();
                let member = |(name, value): (&String, &Value)| {
                    let own = spec.fields.get(name).or(spec.items.as_deref()).unwrap_or(&free);
                    let applied = applied.and_then(|applied| applied.get(name));
                    let path = format!("{path}/{}", crate::address::escape(name));
                    let inherited = own.sensitive.or(sensitive);
                    (name.clone(), self.harmless(own, inherited, value, applied, &path, withheld))
                };
                Value::Object(members.iter().map(member).collect())
            }
            Value::Array(items) => {
                let free = FieldSpec::default();
                let own = spec.items.as_deref().unwrap_or(&free);
                let applied = applied.and_then(Value::as_array);
                let mut out = Vec::new();
                for (place, item) in items.iter().enumerate() {
                    let key = spec.keyed_by.as_ref().and_then(|_| entry_key(spec, item));
                    let counterpart = match &key {
                        Some(key) => {
                            applied.and_then(|all| all.iter().find(|one| entry_key(spec, one).as_ref() == Some(key)))
                        }
                        None => applied.and_then(|all| all.get(place)),
                    };
                    let inherited = own.sensitive.or(sensitive);
                    out.push(self.harmless(own, inherited, item, counterpart, &format!("{path}/{place}"), withheld));
                }
                Value::Array(out)
            }
            leaf => {
                let words = text(leaf).unwrap_or_default();
                let hidden = match sensitive {
                    Some(Sensitivity::Always) => true,
                    Some(Sensitivity::Allowed) => applied != Some(leaf) && !words.is_empty(),
                    None => false,
                };
                if !hidden && (self.context.mask)(&words) == words {
                    return leaf.clone();
                }
                withheld.push(path.to_owned());
                secret(&(self.context.hash)(&words))
            }
        }
    }

    fn masked(&self, value: &Value) -> Value {
        match value {
            Value::String(words) => Value::String((self.context.mask)(words)),
            Value::Array(items) => items.iter().map(|item| self.masked(item)).collect(),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), self.masked(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// What came of a step.
    pub(super) fn kept(&self, index: usize, result: &StepResult, requests: &[Sent]) -> Option<Edit> {
        let run = self.context.run?;
        let end = End {
            outcome: result.outcome.word().to_owned(),
            error: result.error.as_ref().map(|error| (self.context.mask)(error)),
            id: result.id.as_ref().map(|id| (self.context.mask)(id)),
            requests: requests.to_vec(),
        };
        Some(Edit::Kept(run.id.clone(), u32::try_from(index).unwrap_or(u32::MAX), Box::new(end)))
    }

    /// Ends the run.
    pub(super) async fn end(&self, results: &[StepResult]) {
        let Some(run) = self.context.run.filter(|_| !self.plan.steps.is_empty()) else { return };
        let mut done: BTreeMap<String, usize> = BTreeMap::new();
        let mut failed = 0;
        for (step, result) in self.plan.steps.iter().zip(results) {
            match result.outcome {
                Outcome::Done | Outcome::Waiting => *done.entry(step.action.action.word().to_owned()).or_default() += 1,
                Outcome::Failed | Outcome::Skipped => failed += 1,
            }
        }
        let head = Run { ended: Some(now()), done, failed, ..run.head.clone() };
        if let Err(error) = self.context.inventory.commit(vec![Edit::Run(run.id.clone(), Box::new(head))]).await {
            tracing::warn!("the end of the run could not be recorded: {error}");
        }
    }
}

/// An entry that vanishes with its parent.
fn vanished(parent: &Step, address: &str, record: &Record) -> Change {
    Change {
        address: address.to_owned(),
        action: ActionKind::Delete.word().to_owned(),
        reason: "dependency".to_owned(),
        connection: record.connection.clone(),
        id: Some(record.id.clone()),
        parent: parent.action.id.clone(),
        before: Some(record.applied.clone()),
        withheld: Vec::new(),
        record: Some(record.clone()),
        ..Change::default()
    }
}

/// Addresses of the steps of a plan.
pub(super) type Addresses = HashSet<String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_runs_sort_by_time_whatever_a_clock_says() {
        let mut last: Option<String> = None;
        for _ in 0..500 {
            let run = RunInfo::now(Run::default(), Vec::new(), last.as_deref());
            assert!(last.is_none_or(|last| run.id > last));
            last = Some(run.id);
        }
        let ahead = RunInfo::now(Run::default(), Vec::new(), Some("20990101-000000-000abc"));
        assert!(ahead.id.as_str() > "20990101-000000-000abc" && ahead.head.at.as_str() < "2099");
    }
}
