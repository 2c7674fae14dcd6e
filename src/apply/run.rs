//! Runs the batches of a plan with as much concurrency as their order allows.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::Ordering,
};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};

use super::{Context, Made, Report, Shared, StepResult, keep, write};
use crate::{
    http::trailed,
    inventory::Edit,
    manifest::DeletionPolicy,
    plan::{Outcome, Plan, Step},
};

/// Batches at the same time; the client's own limits are tighter where the API's are.
const CONCURRENCY: usize = 16;

/// Why nothing more is written once the lease of a remote inventory is lost.
const LEASE_LOST: &str = "the lease of the inventory ended before its turn came: another run may be at work, so that nothing \
                          more is written";

/// What manifests say about deletion, by address: policy, protection, what it depends on.
pub type Policies = HashMap<String, (Option<DeletionPolicy>, bool, Vec<String>)>;

/// Carries out a plan.
pub async fn apply(plan: &Plan, policies: &Policies, context: &Context<'_>) -> Report {
    let mut old_intents: HashMap<String, Vec<String>> = HashMap::new();
    let mut first_edits = Vec::new();
    {
        let state = context.inventory.state();
        let stepped: BTreeSet<&str> = plan.steps.iter().map(Step::address).collect();
        for (id, intent) in &state.intents {
            if stepped.contains(intent.address.as_str()) {
                old_intents.entry(intent.address.clone()).or_default().push(id.clone());
            } else {
                // Nothing is to be done about its object: what was begun came to its end.
                first_edits.push(Edit::End(id.clone()));
            }
        }
    }
    for (address, record, from) in &plan.moved {
        if from != address {
            first_edits.push(Edit::Remove(from.clone()));
        }
        first_edits.push(Edit::Put(address.clone(), Box::new(record.clone())));
    }
    first_edits.extend(plan.unbury.iter().cloned().map(Edit::Unbury));
    first_edits.extend(super::rollout::marks(plan));
    first_edits.extend(super::past::begin(context.run, plan));
    let mut embedded_in: HashMap<String, Vec<usize>> = HashMap::new();
    let mut entries_of: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if step.kind.inside().is_none() {
            continue;
        }
        if let Some(parent) = step.parent_new.clone().filter(|_| step.embedded) {
            embedded_in.entry(parent).or_default().push(index);
        }
        if let Some(parent) = step.parent_new.clone().or_else(|| step.parent.clone()) {
            entries_of.entry(parent).or_default().push(index);
        }
    }
    let shared = Shared {
        context,
        embedded_in,
        entries_of,
        joins: super::join::Joins::default(),
        plan,
        policies,
        made: Made::default(),
        diagnostics: std::sync::Mutex::default(),
        lasting: std::sync::Mutex::default(),
        calls: std::sync::Mutex::default(),
        old_intents,
        moved: std::sync::Mutex::default(),
        revisions: std::sync::Mutex::default(),
        still: std::sync::Mutex::default(),
        rolled_out: plan.steps.iter().filter(|step| step.rollout.is_some()).map(super::rollout::key).collect(),
        owned: super::upsert::owned(&context.inventory.state(), context.remotes),
        leftovers: std::sync::Mutex::default(),
        fresh: keep::Fresh::default(),
        addresses: std::sync::OnceLock::new(),
        vanished: std::sync::atomic::AtomicUsize::new(0),
        new: std::sync::Mutex::default(),
        looks: super::compare::Looks::default(),
        by_address: plan.steps.iter().map(Step::address).collect(),
        run: format!("{:x}{:08x}", jiff::Timestamp::now().as_microsecond(), fastrand::u32(..)),
    };
    let mut report = Report::default();
    if !first_edits.is_empty()
        && let Err(error) = context.inventory.commit(first_edits).await
    {
        let why = format!("the inventory cannot be written, so nothing was sent: {error}");
        report.results = plan.steps.iter().map(|_| write::failed(&why)).collect();
        return report;
    }
    let mut results = run(&shared).await;
    shared.delete_leftovers(&mut results).await;
    shared.unmark_unmoved(&results).await;
    report.interrupted = shared.stopped();
    let why = if lease_ends(&shared) { LEASE_LOST } else { why_not(report.interrupted) };
    report.results = results.into_iter().map(|result| result.unwrap_or_else(|| write::skipped(why))).collect();
    shared.end(&report.results).await;
    report.lasting = shared.lasting.into_inner().unwrap_or_default();
    report.calls = shared.calls.into_inner().unwrap_or_default();
    report.diagnostics = shared.diagnostics.into_inner().unwrap_or_default();
    report
}

async fn run(shared: &Shared<'_>) -> Vec<Option<StepResult>> {
    let plan = shared.plan;
    let mut batch_of = vec![usize::MAX; plan.steps.len()];
    for (number, batch) in plan.batches.iter().enumerate() {
        for step in &batch.steps {
            batch_of[*step] = number;
        }
    }
    let by_address: HashMap<&str, usize> =
        plan.steps.iter().enumerate().map(|(index, step)| (step.address(), index)).collect();
    // What is sent along with its parent goes in the parent's batch.
    for (index, step) in plan.steps.iter().enumerate() {
        if step.embedded
            && let Some(parent) = step.parent_new.as_deref().and_then(|address| by_address.get(address))
        {
            batch_of[index] = batch_of[*parent];
        }
    }
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); plan.batches.len()];
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); plan.batches.len()];
    for (index, step) in plan.steps.iter().enumerate() {
        let own = batch_of[index];
        for other in &step.after {
            let other = batch_of[*other];
            if other != own && own != usize::MAX && other != usize::MAX && needs[own].insert(other) {
                needed_by[other].push(own);
            }
        }
    }
    let mut waiting: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut ready: std::collections::VecDeque<usize> =
        (0..plan.batches.len()).filter(|number| waiting[*number] == 0).collect();
    let mut results: Vec<Option<StepResult>> = vec![None; plan.steps.len()];
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < CONCURRENCY
            && let Some(number) = ready.pop_front()
        {
            let batch = &plan.batches[number];
            let mut steps = Vec::new();
            for index in &batch.steps {
                match blocked_by(shared, *index, &results, &batch_of, number) {
                    Some(why) => results[*index] = Some(write::skipped(&why)),
                    None => steps.push(*index),
                }
            }
            let run = async move {
                if steps.is_empty() || shared.stopped() || lease_ends(shared) {
                    return (number, Vec::new());
                }
                for index in &steps {
                    (shared.context.tell)(plan.steps[*index].address(), None);
                }
                let (done, calls) = trailed(Box::pin(shared.write(batch, &steps))).await;
                shared.note_calls(&steps, calls);
                (number, done)
            };
            running.push(run.boxed());
        }
        let Some((number, done)) = running.next().await else { break };
        for (index, result) in done {
            (shared.context.tell)(plan.steps[index].address(), Some(result.outcome));
            results[index] = Some(result);
        }
        for other in &needed_by[number] {
            waiting[*other] -= 1;
            if waiting[*other] == 0 {
                ready.push_back(*other);
            }
        }
    }
    // What goes along with a parent that was skipped is skipped with it.
    for (index, step) in plan.steps.iter().enumerate() {
        if results[index].is_none() && step.embedded && !shared.context.stop.load(Ordering::SeqCst) {
            let parent = step.parent_new.clone().unwrap_or_default();
            results[index] = Some(write::skipped(&format!("`{parent}` was not made")));
        }
    }
    results
}

fn why_not(interrupted: bool) -> &'static str {
    if interrupted { "the run was interrupted" } else { "what it waits for waits for it" }
}

/// Why a step cannot go: something that it needs failed or was skipped.
fn blocked_by(
    shared: &Shared<'_>,
    index: usize,
    results: &[Option<StepResult>],
    batch_of: &[usize],
    own: usize,
) -> Option<String> {
    let step = &shared.plan.steps[index];
    step.after.iter().find_map(|other| {
        if batch_of[*other] == own {
            return None;
        }
        let needed = shared.plan.steps[*other].address();
        match results[*other].as_ref().map(|result| result.outcome) {
            Some(Outcome::Done | Outcome::Waiting) => None,
            Some(Outcome::Failed) => Some(format!("`{needed}` failed")),
            Some(Outcome::Skipped) => Some(format!("`{needed}` was skipped")),
            None => Some(why_not(shared.stopped()).to_owned()),
        }
    })
}

/// Whether the lease of a remote inventory would not outlive a call started now.
fn lease_ends(shared: &Shared<'_>) -> bool {
    shared.until().is_some_and(|until| until <= std::time::Instant::now())
}

impl Shared<'_> {
    /// Deletion policy, protection and dependencies to record for a step's object.
    pub(super) fn manifest_policy(&self, step: &Step) -> (Option<DeletionPolicy>, bool, Vec<String>) {
        self.policies.get(step.address()).cloned().unwrap_or_else(|| {
            let record = step.record.as_ref().map(|(_, record)| record);
            (
                record.and_then(|record| record.deletion_policy),
                record.is_some_and(|record| record.protect),
                record.map(|record| record.depends_on.clone()).unwrap_or_default(),
            )
        })
    }
}
