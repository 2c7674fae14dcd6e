//! One stack's step: manifests → plan → apply where that is allowed → what came of it. It knows neither Git nor HTTP;
//! the agent and the operator tell it what to read and take in what it found.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use super::view::{BudgetView, ObjectView, StackState, now};
use crate::{
    diagnostic::Severity,
    failure::{Class, Failure},
    http::{CallMade, Quota},
    live::Standing,
    pipeline::{self, Applied, Options, Planned},
    plan::{self, ActionKind, Outcome, PlanDocument, PlanNotes, Reason},
    secret::{mask_leaves, masked},
};

/// What may be done with a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// It is carried out.
    Apply,
    /// It is shown.
    Show,
    /// Only what changed behind plumb's back is shown.
    DriftOnly,
    /// It would be carried out, but not now: why.
    Closed(String),
    /// It is carried out if it has this digest, which somebody approved; where there is none, nobody has yet.
    Approved(Option<String>),
}

/// What came of a step.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Found {
    /// How the stack is.
    pub state: StackState,
    /// Why, in a sentence.
    pub message: String,
    /// What can be done about it.
    pub hints: Vec<String>,
    /// The class of what went wrong.
    pub class: Option<Class>,
    /// The plan, or the report of the apply; nothing where it did not come that far.
    pub document: Option<PlanDocument>,
    /// What comments tell besides.
    pub notes: PlanNotes,
    /// Objects with their states.
    pub objects: Vec<ObjectView>,
    /// What depends on what: indices of objects.
    pub edges: Vec<(usize, usize)>,
    /// What is left of the limits of connections.
    pub budgets: BTreeMap<String, BudgetView>,
    /// Whether anything was written, or tried.
    pub applied: bool,
    /// It was interrupted.
    pub interrupted: bool,
    /// Whether the manifests could be used at all: only then is their revision a good one.
    pub usable: bool,
    /// Deletions that were held back for safety.
    pub prune_blocked: bool,
    /// The requests that were made for each action.
    pub calls: HashMap<String, Arc<[CallMade]>>,
    /// What the API refused for good, each with what was asked of it: nothing is gained by asking again.
    pub lasting: BTreeMap<String, String>,
    /// Addresses of what was not tried again, because the API refused the very same for good.
    pub held: BTreeSet<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The codes of refusals that hold deletions back.
const PRUNE: [&str; 3] = ["PL0603", "PL0604", "PL0605"];

/// Plans, and applies where that is allowed. `refused` is what the API refused for good the last time; the same is not
/// asked of it again.
pub async fn step(options: &Options, gate: &Gate, refused: &BTreeMap<String, String>) -> Found {
    let began = Instant::now();
    let mut found = match Box::pin(work(options, gate, refused)).await {
        Ok(found) => found,
        Err(failure) => failed(&failure),
    };
    found.seconds = began.elapsed().as_secs_f64();
    veil(&mut found);
    found
}

/// Masks what is a secret anywhere in this process, be it of another stack: what is found here is shown and sent on.
fn veil(found: &mut Found) {
    let veil = |text: &mut String| {
        if let Cow::Owned(veiled) = masked(text) {
            *text = veiled;
        }
    };
    veil(&mut found.message);
    found.hints.iter_mut().for_each(veil);
    found.objects.iter_mut().filter_map(|object| object.why.as_mut()).for_each(veil);
    let Some(document) = &mut found.document else { return };
    for action in &mut document.actions {
        for change in &mut action.changes {
            [&mut change.before, &mut change.after].into_iter().flatten().for_each(mask_leaves);
        }
        action.notes.iter_mut().chain(&mut action.error).for_each(veil);
    }
    for told in &mut document.diagnostics {
        veil(&mut told.message);
        told.hints.iter_mut().for_each(veil);
    }
}

/// What is known after a failure that left no plan.
fn failed(failure: &Failure) -> Found {
    Found {
        state: StackState::Failed,
        message: failure.message.clone(),
        hints: failure.hints.clone(),
        class: Some(failure.class),
        interrupted: failure.class == Class::Interrupted,
        ..Found::default()
    }
}

async fn work(options: &Options, gate: &Gate, refused: &BTreeMap<String, String>) -> Result<Found, Failure> {
    let mut planned = Box::pin(pipeline::plan(options, plan::Mode::Plan)).await?;
    let gate = &match gate {
        Gate::Approved(Some(digest)) if planned.digest() == digest => Gate::Apply,
        Gate::Approved(Some(_)) => {
            Gate::Closed(format!("The plan that was approved is another one; approve `{}`.", planned.digest()))
        }
        Gate::Approved(None) => Gate::Closed(format!("It waits until `{}` is approved.", planned.digest())),
        other => other.clone(),
    };
    let mut found = Found { usable: usable(&planned), ..Found::default() };
    found.prune_blocked = planned.diagnostics.iter().any(|told| PRUNE.contains(&&*told.code));
    if *gate == Gate::Apply && !refused.is_empty() {
        let asked = prints(&planned.document);
        found.held = refused
            .iter()
            .filter(|(address, print)| asked.get(*address) == Some(*print))
            .map(|(address, _)| address.clone())
            .collect();
    }
    let all_held = !found.held.is_empty()
        && planned.document.actions.iter().all(|action| waits_for(action, &planned.document, &found.held));
    found.budgets = budgets(&planned, &planned.quotas());
    (found.objects, found.edges) = objects(&planned);
    found.notes = planned.notes.clone();
    if *gate == Gate::DriftOnly {
        only_drift(&mut planned.document, &mut found);
    }
    let barrier = planned.barrier(options);
    if *gate != Gate::Apply || planned.document.actions.is_empty() || barrier.is_err() || all_held {
        conclude(&mut found, &planned, gate, barrier.err());
        found.document = Some(planned.document);
        if all_held {
            tell_held(&mut found, refused);
        }
        return Ok(found);
    }
    if !found.held.is_empty() {
        // The rest goes on without what was refused; what is left out is looked at with it.
        let mut options = options.clone();
        options.selection.excludes.extend(found.held.iter().cloned());
        options.prune = false;
        drop(planned);
        let planned = Box::pin(pipeline::plan(&options, plan::Mode::Plan)).await?;
        return Ok(carry_out(planned, &options, found, refused).await);
    }
    Ok(carry_out(planned, options, found, refused).await)
}

async fn carry_out(planned: Planned, options: &Options, mut found: Found, refused: &BTreeMap<String, String>) -> Found {
    let document = planned.document.clone();
    let prints = prints(&document);
    let apis: BTreeMap<String, String> =
        found.budgets.iter().map(|(name, budget)| (name.clone(), budget.api.clone())).collect();
    match Box::pin(pipeline::apply(planned, options)).await {
        Ok(applied) => {
            found.applied = true;
            found.interrupted = applied.interrupted;
            found.calls.clone_from(&applied.calls);
            found.lasting = prints.into_iter().filter(|(address, _)| applied.lasting.contains(address)).collect();
            for (name, quota) in &applied.quotas {
                if let Some(api) = apis.get(name) {
                    found.budgets.insert(name.clone(), budget(api, quota));
                }
            }
            finish(&mut found, applied);
        }
        Err(failure) => {
            let Found { state, message, hints, class, interrupted, .. } = failed(&failure);
            found = Found { state, message, hints, class, interrupted, document: Some(document), ..found };
        }
    }
    if !found.held.is_empty() {
        tell_held(&mut found, refused);
    }
    found
}

/// Whether the manifests could be read, so that their revision is one to go back to.
fn usable(planned: &Planned) -> bool {
    !planned.diagnostics.iter().any(|told| {
        told.severity == Severity::Error
            && (told.code.starts_with("PL00") || told.code.starts_with("PL01") || told.code.starts_with("PL02"))
    })
}

/// What each action asks for, as a text that is the same as long as the same is asked.
fn prints(document: &PlanDocument) -> BTreeMap<String, String> {
    let print = |action: &plan::Action| {
        let asked = serde_json::json!([action.action, action.changes, action.requests, document.source.revision]);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, asked.to_string().as_bytes());
        hash.as_ref().iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    };
    document.actions.iter().map(|action| (action.address.clone(), print(action))).collect()
}

/// Whether an action is held, or waits for one that is.
fn waits_for(action: &plan::Action, document: &PlanDocument, held: &BTreeSet<String>) -> bool {
    held.contains(&action.address)
        || action.depends_on.iter().any(|other| {
            held.contains(other) || {
                let other = document.actions.iter().find(|action| action.address == *other);
                other.is_some_and(|other| other.depends_on.iter().any(|far| held.contains(far)))
            }
        })
}

fn tell_held(found: &mut Found, refused: &BTreeMap<String, String>) {
    for address in &found.held {
        if let Some(print) = refused.get(address) {
            found.lasting.insert(address.clone(), print.clone());
        }
        if let Some(object) = found.objects.iter_mut().find(|object| object.address == *address) {
            object.state = StackState::Failed;
            object.why.get_or_insert_with(|| {
                "the API refused it for good; it is tried again when the manifest changes".to_owned()
            });
        }
    }
    if found.state != StackState::Failed {
        found.state = StackState::Failed;
        found.class = Some(Class::User);
        found.message =
            format!("{} refused by the API for good.", count(found.held.len(), "action was", "actions were"));
        found.hints = vec![
            "They are tried again when the manifests, the secrets or the agent's settings change, or on request."
                .to_owned(),
        ];
    }
}

fn only_drift(document: &mut PlanDocument, found: &mut Found) {
    document.actions.retain(|action| action.reason == Reason::Drift || action.drifted);
    let drifted: BTreeSet<&str> = document.actions.iter().map(|action| action.address.as_str()).collect();
    // What is declared anew and not made is no drift, and not in step either.
    for object in &mut found.objects {
        if drifted.contains(object.address.as_str()) {
            if object.state != StackState::Failed {
                object.state = StackState::Drifted;
            }
        } else {
            object.action = None;
        }
    }
}

/// What is left of the limits of a plan's connections.
pub fn budgets(planned: &Planned, quotas: &BTreeMap<String, Quota>) -> BTreeMap<String, BudgetView> {
    let api = |name: &str| planned.manifests.connections.get(name).map_or_else(String::new, |known| known.api.clone());
    quotas.iter().map(|(name, quota)| (name.clone(), budget(&api(name), quota))).collect()
}

fn budget(api: &str, quota: &Quota) -> BudgetView {
    let reset = quota.reset.and_then(|reset| reset.duration_since(std::time::UNIX_EPOCH).ok());
    let reset = reset.and_then(|since| i64::try_from(since.as_secs()).ok());
    BudgetView { api: api.to_owned(), limit: quota.limit, remaining: quota.remaining, reset }
}

/// The objects of a plan with their states, and what depends on what.
fn objects(planned: &Planned) -> (Vec<ObjectView>, Vec<(usize, usize)>) {
    let actions: HashMap<&str, &plan::Action> =
        planned.document.actions.iter().map(|action| (action.address.as_str(), action)).collect();
    let mut words: HashMap<String, Arc<str>> = HashMap::new();
    let mut word = |text: &str| words.entry(text.to_owned()).or_insert_with(|| text.into()).clone();
    let wrong: HashMap<&str, &str> = planned
        .diagnostics
        .iter()
        .filter(|told| told.is_error())
        .filter_map(|told| Some((told.address.as_deref()?, told.message.as_str())))
        .collect();
    let view = planned.graph_view();
    let declared = planned.manifests.objects.len();
    let mut out: Vec<ObjectView> = Vec::with_capacity(view.nodes.len());
    for (index, node) in view.nodes.iter().enumerate() {
        let action = actions.get(node.address.as_str()).copied();
        let manifest = planned.manifests.objects.get(index);
        let connection =
            manifest.map(|manifest| manifest.connection.as_str()).or(action.map(|action| action.connection.as_str()));
        let blocked = index < declared && matches!(planned.observed.standing.get(index), Some(Standing::Blocked));
        let why = wrong.get(node.address.as_str()).map(|why| (*why).to_owned());
        let state = match action {
            _ if blocked || why.is_some() => StackState::Failed,
            Some(action) if action.drifted || action.reason == Reason::Drift => StackState::Drifted,
            Some(_) => StackState::Pending,
            None => StackState::Synced,
        };
        let live = (index < declared).then(|| planned.observed.live(index)).flatten();
        out.push(ObjectView {
            address: node.address.clone(),
            connection: word(connection.unwrap_or_default()),
            kind: word(&node.group),
            state,
            action: action.map(|action| action.action.word().to_owned()),
            id: live.map(|live| live.id.clone()).or_else(|| action.and_then(|action| action.id.clone())),
            since: None,
            why,
        });
    }
    (out, view.edges)
}

/// What a plan that was not carried out says of the stack.
fn conclude(found: &mut Found, planned: &Planned, gate: &Gate, barrier: Option<Failure>) {
    let document = &planned.document;
    let drifted = document.summary.drifted > 0;
    // What is wrong says more than that nothing was written because of it, or that a source that cannot be read has nothing.
    let refusal = barrier.as_ref().filter(|failure| failure.class == Class::Refused).cloned();
    let first = if found.usable { refusal.or_else(|| errors(planned)) } else { errors(planned).or(refusal) };
    if let Some(failure) = first.or(barrier) {
        found.state = StackState::Failed;
        found.class = Some(failure.class);
        found.message = failure.message;
        found.hints = failure.hints;
        // Drift that may not be mended is drift all the same; the refusal is what a person has to know of first.
        return;
    }
    let pending =
        document.actions.iter().any(|action| action.reason != Reason::Appears || action.action != ActionKind::Adopt);
    (found.state, found.message) = match gate {
        Gate::DriftOnly if drifted => (
            StackState::Drifted,
            format!("{} changed behind plumb's back.", count(document.summary.drifted, "object was", "objects were")),
        ),
        Gate::DriftOnly => (StackState::Synced, "Nothing has drifted.".to_owned()),
        _ if !pending => (StackState::Synced, "Everything is as declared.".to_owned()),
        Gate::Closed(why) => {
            (if drifted { StackState::Drifted } else { StackState::Pending }, format!("{} {why}", told(document)))
        }
        _ => (if drifted { StackState::Drifted } else { StackState::Pending }, told(document)),
    };
}

/// The first thing that is wrong although a plan was made.
fn errors(planned: &Planned) -> Option<Failure> {
    let first = planned.diagnostics.iter().find(|told| told.is_error())?;
    let more = planned.diagnostics.iter().filter(|told| told.is_error()).count() - 1;
    let class = if first.code.starts_with("PL04") { Class::Remote } else { Class::User };
    let place = first.place.and_then(|place| Some((&planned.sources.get(place.source)?.path, place.line)));
    let at = place.map(|(path, line)| format!("{path}:{line}: ")).unwrap_or_default();
    let rest = if more > 0 { format!(" There are {more} more errors.") } else { String::new() };
    let message = format!("{at}{}{rest}", first.message);
    Some(Failure { class, message, hints: first.hints.clone() })
}

/// What an apply says of the stack.
fn finish(found: &mut Found, applied: Applied) {
    let mut waiting = false;
    let mut failures = 0;
    let mut skipped = 0;
    let mut first = None;
    let places: HashMap<String, usize> =
        found.objects.iter().enumerate().map(|(index, object)| (object.address.clone(), index)).collect();
    for action in &applied.document.actions {
        let object = places.get(&action.address).and_then(|index| found.objects.get_mut(*index));
        let state = match action.outcome {
            Some(Outcome::Done) => StackState::Synced,
            Some(Outcome::Waiting) => {
                waiting = true;
                StackState::Waiting
            }
            Some(Outcome::Failed) => {
                failures += 1;
                first.get_or_insert_with(|| (action.address.clone(), action.error.clone().unwrap_or_default()));
                StackState::Failed
            }
            Some(Outcome::Skipped) => {
                skipped += 1;
                StackState::Pending
            }
            None => StackState::Pending,
        };
        if let Some(object) = object {
            object.state = state;
            object.why.clone_from(&action.error);
            object.id = action.id.clone().or(object.id.take());
            if state == StackState::Synced {
                object.action = None;
            }
        }
    }
    let done: BTreeSet<&str> = applied
        .document
        .actions
        .iter()
        .filter(|action| {
            matches!(action.action, ActionKind::Delete | ActionKind::Forget) && action.outcome == Some(Outcome::Done)
        })
        .map(|action| action.address.as_str())
        .collect();
    if !done.is_empty() {
        drop_objects(found, &done);
    }
    let refused = applied.diagnostics.iter().find(|told| told.is_error());
    (found.state, found.class, found.message) = match (first, refused) {
        (Some((address, why)), _) => (
            StackState::Failed,
            Some(if applied.lasting.is_empty() { Class::Remote } else { Class::User }),
            format!(
                "{} failed{}. `{address}`: {why}",
                count(failures, "action", "actions"),
                if skipped > 0 { format!(" and {skipped} were skipped") } else { String::new() }
            ),
        ),
        (None, Some(told)) => (StackState::Failed, Some(Class::Remote), told.message.clone()),
        (None, None) if applied.interrupted => (
            StackState::Pending,
            Some(Class::Interrupted),
            "Interrupted; every call that was made is recorded.".to_owned(),
        ),
        (None, None) if waiting => {
            (StackState::Waiting, None, format!("{} A person must act.", told(&applied.document)))
        }
        (None, None) => (StackState::Synced, None, told(&applied.document)),
    };
    if found.state == StackState::Failed && found.class == Some(Class::User) {
        found.hints = vec![
            "It is tried again when the manifests, the secrets or the agent's settings change, or on request."
                .to_owned(),
        ];
    }
    found.document = Some(applied.document);
    found.notes = applied.notes;
}

/// Takes what is gone out of the list, and mends the edges.
fn drop_objects(found: &mut Found, gone: &BTreeSet<&str>) {
    let mut places = Vec::with_capacity(found.objects.len());
    let mut kept = 0;
    for object in &found.objects {
        let stays = !gone.contains(object.address.as_str());
        places.push(stays.then_some(kept));
        kept += usize::from(stays);
    }
    let place = |index: usize| places.get(index).copied().flatten();
    found.edges = found.edges.iter().filter_map(|(from, to)| Some((place(*from)?, place(*to)?))).collect();
    found.objects.retain(|object| !gone.contains(object.address.as_str()));
}

/// What was done, or would be, in numbers: `2 created, 1 updated, 97 unchanged.`
pub fn told(document: &PlanDocument) -> String {
    let applied = document.actions.iter().any(|action| action.outcome.is_some());
    let summary = &document.summary;
    let words = [
        (summary.create, "created", "to create"),
        (summary.adopt, "adopted", "to adopt"),
        (summary.update, "updated", "to update"),
        (summary.replace, "replaced", "to replace"),
        (summary.delete, "deleted", "to delete"),
        (summary.forget, "forgotten", "to forget"),
    ];
    let mut parts: Vec<String> = words
        .iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, past, future)| format!("{number} {}", if applied { past } else { future }))
        .collect();
    parts.push(format!("{} unchanged", summary.unchanged));
    format!("{}.", parts.join(", "))
}

/// `1 object`, `2 objects`.
pub(super) fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// Dates drift: what drifted before keeps its date, what has not drifted has none.
pub fn date_drift(objects: &mut [ObjectView], known: &mut BTreeMap<String, i64>) {
    let now = now();
    let mut kept = BTreeMap::new();
    for object in objects.iter_mut().filter(|object| object.state == StackState::Drifted) {
        let since = known.get(&object.address).copied().unwrap_or(now);
        object.since = Some(since);
        kept.insert(object.address.clone(), since);
    }
    *known = kept;
}
