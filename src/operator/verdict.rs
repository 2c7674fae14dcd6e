//! What a run found → what each resource is told: conditions, events, whether it may go, and when to try again. Pure.

use std::time::Duration;

use super::{
    engine::{Report, Told},
    status::{LastPlan, PlanChange, Status, Truth, clipped},
    world::Resource,
};
use crate::{
    diagnostic::Severity,
    failure::Class,
    manifest::Reconcile,
    plan::{Action, ActionKind, Outcome, Reason},
};

/// Code of the note that an object waits.
const HELD: &str = "PL0530";
/// Code of the note that a live object stays.
const STAYS: &str = "PL0612";
/// Codes of refusals that nothing will change: the object stays, and its resource goes.
const KEPT: [&str; 2] = ["PL0601", "PL0602"];

/// Something worth an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happening {
    pub(super) warning: bool,
    pub(super) reason: &'static str,
    pub(super) action: &'static str,
    pub(super) note: String,
}

/// Whether and how an object failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// None.
    None,
    /// It may pass.
    Passing,
    /// It lasts until something changes.
    Lasting,
}

/// What a resource is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) happenings: Vec<Happening>,
    /// Its deletion may go on.
    pub(super) release: bool,
    pub(super) trouble: Trouble,
}

/// How a condition came about.
struct Cause {
    reason: &'static str,
    message: String,
    trouble: Trouble,
}

/// What to tell an object of an API.
pub(super) fn object(resource: &Resource, address: &str, report: &Report) -> Verdict {
    let mut status = Status { observed_generation: Some(resource.generation), ..resource.status.clone() };
    let mut happenings = Vec::new();
    if let Some(record) = report.state.objects.get(address) {
        status.external_id = Some(record.id.clone());
        status.connection = Some(record.connection.clone());
        status.origin = Some(if record.adopted { "adopted" } else { "created" }.to_owned());
    }
    let own: Vec<&Action> = report.actions.iter().filter(|action| is_of(address, &action.address)).collect();
    if let Some(plan) = last_plan(&own, address) {
        status.plan(plan);
    }
    for action in own.iter().filter(|action| action.address == address || action.outcome == Some(Outcome::Done)) {
        happenings.extend(happening(action, address));
    }
    let said: Vec<&Told> = report
        .told
        .iter()
        .filter(|told| {
            told.address.as_deref() == Some(address)
                || (told.address.is_none() && told.source.as_deref() == Some(&resource.key.path()))
        })
        .collect();
    if said.iter().any(|told| told.code == HELD) {
        // It waits: what was said before holds.
        return Verdict { status: resource.status.clone(), happenings, release: false, trouble: Trouble::None };
    }
    let declared = report.declared.get(address);
    status.last_handled_reconcile_at = resource.annotation("reconcile-requested-at").map(str::to_owned);
    let cause = report.failure.as_ref().map(|failure| failed(failure.class, &failure.to_string()));
    let cause = cause.or_else(|| wrong(&said)).or_else(|| refused(&own, report)).or_else(|| unseen(address, report));
    if let Some(cause) = cause {
        let known = resource.status.condition("Ready");
        if known.is_none_or(|known| known.reason != cause.reason || known.message != clipped(&cause.message, 1024)) {
            happenings.push(Happening {
                warning: true,
                reason: cause.reason,
                action: "Reconcile",
                note: clipped(&cause.message, 1000),
            });
        }
        status.set("Ready", Truth::False, cause.reason, &cause.message);
        status.set("Synced", Truth::False, cause.reason, &cause.message);
        if cause.trouble == Trouble::Lasting {
            status.set("Stalled", Truth::True, cause.reason, &cause.message);
            status.unset("Reconciling");
        } else {
            status.set("Reconciling", Truth::True, cause.reason, &cause.message);
            status.unset("Stalled");
        }
        return Verdict { status, happenings, release: false, trouble: cause.trouble };
    }
    status.unset("Stalled");
    if let Some(waiting) = own.iter().find(|action| action.outcome == Some(Outcome::Waiting)) {
        let message = waiting.error.clone().unwrap_or_else(|| "Somebody has to act first.".to_owned());
        status.set("Ready", Truth::False, "Waiting", &message);
        status.set("Synced", Truth::True, "Waiting", &message);
        status.set("Reconciling", Truth::True, "Waiting", &message);
        return Verdict { status, happenings, release: false, trouble: Trouble::None };
    }
    status.unset("Reconciling");
    let watched: Vec<_> = report.watched.iter().filter(|watched| is_of(address, &watched.address)).collect();
    match declared.map(|declared| declared.reconcile) {
        Some(Reconcile::Disabled) => {
            let message = "It is left alone: `plumb.dev/reconcile` is `disabled`.";
            status.set("Ready", Truth::Unknown, "Disabled", message);
            status.set("Synced", Truth::Unknown, "Disabled", message);
            status.drift = None;
        }
        Some(Reconcile::Observe) if !watched.is_empty() => {
            let changes: usize = watched.iter().map(|watched| watched.changes.len()).sum();
            let gone = watched.iter().any(|watched| !watched.there);
            let message = if gone {
                "There is no live object; it is only observed, so none is made.".to_owned()
            } else {
                format!("{changes} changes would be made; it is only observed.")
            };
            let action = if gone { ActionKind::Create } else { ActionKind::Update };
            let all: Vec<crate::plan::Change> = watched
                .iter()
                .flat_map(|watched| prefixed(&watched.changes, &prefix(address, &watched.address)))
                .collect();
            status.plan(LastPlan::new(action, Reason::Drift, None, &all, ""));
            status.set("Ready", Truth::True, "Observed", &message);
            status.set("Synced", Truth::False, "OutOfSync", &message);
            status.drift = Some("Yes".to_owned());
            if resource.status.condition("Synced").is_none_or(|known| known.message != message) {
                happenings.push(Happening { warning: false, reason: "OutOfSync", action: "Observe", note: message });
            }
        }
        reconcile => {
            let reason = if reconcile == Some(Reconcile::Observe) { "Observed" } else { "Reconciled" };
            let message = "The live object is as declared.";
            if status.last_plan.as_ref().is_some_and(|plan| plan.outcome == "planned") {
                status.last_plan = None;
            }
            status.set("Ready", Truth::True, reason, message);
            status.set("Synced", Truth::True, reason, message);
            status.drift = Some("No".to_owned());
        }
    }
    Verdict { status, happenings, release: false, trouble: Trouble::None }
}

/// What to tell an object whose deletion was asked for. `patience`: how long obstacles are waited for that may go away.
pub(super) fn going(resource: &Resource, address: &str, report: &Report, patience: Duration) -> Verdict {
    let mut status = Status { observed_generation: Some(resource.generation), ..resource.status.clone() };
    let own: Vec<&Action> = report.actions.iter().filter(|action| is_of(address, &action.address)).collect();
    let mut happenings: Vec<Happening> =
        own.iter().filter(|action| action.address == address).filter_map(|action| happening(action, address)).collect();
    let waited = resource.going_since.map_or(Duration::ZERO, |since| {
        let waited = jiff::Timestamp::now().duration_since(since);
        if waited.is_negative() { Duration::ZERO } else { waited.unsigned_abs() }
    });
    let told = report.told.iter().find(|told| {
        told.address.as_deref() == Some(address) && (told.severity >= Severity::Error || told.code == STAYS)
    });
    let unsettled = report.state.intents.values().any(|intent| is_of(address, &intent.address));
    let release = |mut happenings: Vec<Happening>, happening: Option<Happening>, status: Status| {
        happenings.extend(happening);
        Verdict { status, happenings, release: true, trouble: Trouble::None }
    };
    let kept =
        |note: String| Happening { warning: true, reason: "Retained", action: "Delete", note: clipped(&note, 1000) };
    if let Some(failure) = &report.failure {
        let message = format!("The live object is not deleted yet: {failure}");
        return held_up(status, resource, "DeletionFailed", message, happenings);
    }
    if report.declared.contains_key(address) || unsettled {
        let message = "What an earlier run began is looked at first.".to_owned();
        return held_up(status, resource, "Deleting", message, happenings);
    }
    if let Some(why) = report.lost.get(address).filter(|_| !report.state.objects.contains_key(address)) {
        let id = resource.status.external_id.as_deref().unwrap_or_default();
        let message = format!("The inventory does not know the live object `{id}`, and it cannot be looked for: {why}");
        if waited >= patience {
            let note = format!("{message} It stays, and its resource goes.");
            return release(happenings, Some(kept(note)), status);
        }
        return held_up(status, resource, "DeletionBlocked", message, happenings);
    }
    if !report.state.objects.contains_key(address) {
        return release(happenings, None, status);
    }
    if let Some(told) = told {
        if told.code == STAYS {
            let stays =
                Happening { warning: false, reason: "Retained", action: "Delete", note: clipped(&told.message, 1000) };
            return release(happenings, Some(stays), status);
        }
        if KEPT.contains(&told.code.as_str()) || waited >= patience {
            let note = format!("The live object stays, and its resource goes: {}", told.message);
            return release(happenings, Some(kept(note)), status);
        }
        return held_up(status, resource, "DeletionBlocked", told.message.clone(), happenings);
    }
    let failed = own.iter().find(|action| matches!(action.outcome, Some(Outcome::Failed | Outcome::Skipped)));
    if let Some(action) = failed {
        let error = action.error.clone().unwrap_or_default();
        if report.lasting.contains(&action.address) && waited >= patience {
            let note = format!("The live object stays, and its resource goes: {error}");
            return release(happenings, Some(kept(note)), status);
        }
        happenings.retain(|happening| {
            !happening.warning || resource.status.condition("Ready").is_none_or(|known| !known.message.contains(&error))
        });
        return held_up(
            status,
            resource,
            "DeletionFailed",
            format!("The live object is not deleted yet: {error}"),
            happenings,
        );
    }
    if own.iter().any(|action| action.address == address && action.outcome == Some(Outcome::Done)) {
        // Archived, or deleted later by the API.
        return release(happenings, None, status);
    }
    let why = report.left.get(address).cloned().unwrap_or_else(|| "it could not be looked at".to_owned());
    let because = report
        .told
        .iter()
        .find(|told| told.severity == Severity::Error && told.address.is_none())
        .map(|told| format!(": {}", told.message))
        .unwrap_or_default();
    let message = format!("The live object is not deleted: {why}{because}");
    let passing = report.told.iter().any(|told| is_passing(&told.code));
    if waited >= patience && !passing {
        status.last_handled_reconcile_at = None;
        return release(happenings, Some(kept(format!("{message} It stays, and its resource goes."))), status);
    }
    held_up(status, resource, "DeletionBlocked", message, happenings)
}

#[expect(clippy::needless_pass_by_value, reason = "all callers make the text for it")]
fn held_up(
    mut status: Status,
    resource: &Resource,
    reason: &'static str,
    message: String,
    mut happenings: Vec<Happening>,
) -> Verdict {
    if reason != "Deleting"
        && resource.status.condition("Ready").is_none_or(|known| known.message != clipped(&message, 1024))
    {
        let note = clipped(&message, 1000);
        happenings.push(Happening { warning: true, reason, action: "Delete", note });
    }
    status.set("Ready", Truth::False, reason, &message);
    status.set("Reconciling", Truth::True, reason, &message);
    status.unset("Stalled");
    Verdict { status, happenings, release: false, trouble: Trouble::Passing }
}

/// What to tell a connection, or the description of an API: whether its manifest is right and what it needs is there.
pub(super) fn core(resource: &Resource, report: &Report) -> Verdict {
    let mut status = Status { observed_generation: Some(resource.generation), ..resource.status.clone() };
    status.last_handled_reconcile_at = resource.annotation("reconcile-requested-at").map(str::to_owned);
    let mut happenings = Vec::new();
    let path = resource.key.path();
    let mention = format!("of connection `{}`", resource.key.name);
    let is_connection = resource.key.is_core("Connection");
    let said: Vec<&Told> = report
        .told
        .iter()
        .filter(|told| {
            let here = told.source.as_deref() == Some(path.as_str());
            here || (is_connection && told.code.starts_with("PL042") && told.message.contains(&mention))
        })
        .collect();
    let trouble = match wrong(&said) {
        Some(cause) => {
            if resource.status.condition("Ready").is_none_or(|known| known.message != clipped(&cause.message, 1024)) {
                let note = clipped(&cause.message, 1000);
                happenings.push(Happening { warning: true, reason: cause.reason, action: "Reconcile", note });
            }
            status.set("Ready", Truth::False, cause.reason, &cause.message);
            if cause.trouble == Trouble::Lasting {
                status.set("Stalled", Truth::True, cause.reason, &cause.message);
                status.unset("Reconciling");
            } else {
                status.set("Reconciling", Truth::True, cause.reason, &cause.message);
                status.unset("Stalled");
            }
            cause.trouble
        }
        None if report.failure.is_some() => {
            return Verdict { status: resource.status.clone(), happenings, release: false, trouble: Trouble::Passing };
        }
        None => {
            let message = if is_connection { "It can be used." } else { "The description can be used." };
            status.set("Ready", Truth::True, "Valid", message);
            status.unset("Stalled");
            status.unset("Reconciling");
            Trouble::None
        }
    };
    Verdict { status, happenings, release: false, trouble }
}

/// What to tell a `Stack` that names no source: in a cluster, the namespace is the stack.
pub(super) fn stack(resource: &Resource) -> Verdict {
    let mut status = Status { observed_generation: Some(resource.generation), ..resource.status.clone() };
    let message = "It sets nothing here: the resources of the namespace are one stack.";
    status.set("Ready", Truth::Unknown, "NoSource", message);
    Verdict { status, happenings: Vec::new(), release: false, trouble: Trouble::None }
}

/// Whether an address is the object's own or that of an entry inside it.
fn is_of(address: &str, other: &str) -> bool {
    other.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// The path that an entry's changes have in its object.
fn prefix(address: &str, of: &str) -> String {
    of.strip_prefix(address).and_then(|rest| rest.strip_prefix('#')).map(|rest| format!("/{rest}")).unwrap_or_default()
}

fn prefixed(changes: &[crate::plan::Change], prefix: &str) -> Vec<crate::plan::Change> {
    changes
        .iter()
        .map(|change| crate::plan::Change { path: format!("{prefix}{}", change.path), ..change.clone() })
        .collect()
}

fn last_plan(own: &[&Action], address: &str) -> Option<LastPlan> {
    let first = own.iter().find(|action| action.address == address).or(own.first())?;
    let mut plan = LastPlan::new(first.action, first.reason, first.outcome, &[], "");
    if first.address != address {
        "update".clone_into(&mut plan.action);
    }
    let mut changes: Vec<PlanChange> = Vec::new();
    for action in own {
        let below = prefix(address, &action.address);
        let more = LastPlan::new(action.action, action.reason, action.outcome, &action.changes, &below);
        changes.extend(more.changes);
        if action.outcome == Some(Outcome::Failed) {
            "failed".clone_into(&mut plan.outcome);
        }
    }
    changes.truncate(20);
    plan.changes = changes;
    Some(plan)
}

/// The Event of an action that was carried out.
fn happening(action: &Action, address: &str) -> Option<Happening> {
    let entry = prefix(address, &action.address);
    let what = if entry.is_empty() {
        "the live object".to_owned()
    } else {
        format!("its entry `{}`", entry.trim_start_matches('/'))
    };
    let paths: Vec<String> = action.changes.iter().take(10).map(|change| format!("`{}`", change.path)).collect();
    let at = if paths.is_empty() { String::new() } else { format!(" ({})", paths.join(", ")) };
    let id = action.id.as_ref().map(|id| format!(" `{id}`")).unwrap_or_default();
    if action.outcome != Some(Outcome::Done) {
        return None;
    }
    let drifted = action.drifted || action.reason == Reason::Drift;
    let (reason, verb, note) = match action.action {
        ActionKind::Create if drifted => ("DriftRepaired", "Create", format!("Made {what}{id} anew: it was gone.")),
        ActionKind::Create => ("Created", "Create", format!("Made {what}{id}.")),
        ActionKind::Adopt => ("Adopted", "Adopt", format!("Took over {what}{id}{at}.")),
        ActionKind::Update if drifted => ("DriftRepaired", "Update", format!("Repaired {what}{id}{at}.")),
        ActionKind::Update => ("Updated", "Update", format!("Changed {what}{id}{at}.")),
        ActionKind::Replace => ("Replaced", "Replace", format!("Deleted {what} and made it anew{at}.")),
        ActionKind::Delete => ("Deleted", "Delete", format!("Deleted {what}{id}.")),
        ActionKind::Forget => ("Forgotten", "Forget", format!("No longer own {what}{id}. {}", action.notes.join(" "))),
    };
    Some(Happening { warning: false, reason, action: verb, note: clipped(note.trim(), 1000) })
}

fn failed(class: Class, message: &str) -> Cause {
    let reason = match class {
        Class::User => "InvalidSpec",
        Class::Config | Class::Internal => "ReconcileFailed",
        Class::Remote => "InventoryUnavailable",
        Class::Conflict => "Busy",
        Class::Refused | Class::Stale => "Refused",
        Class::Interrupted => "Interrupted",
    };
    Cause { reason, message: message.to_owned(), trouble: Trouble::Passing }
}

/// Codes of what may pass by itself.
fn is_passing(code: &str) -> bool {
    matches!(code, "PL0420" | "PL0421" | "PL0424" | "PL0425" | "PL0429")
}

/// What is wrong with an object before anything is done about it.
fn wrong(said: &[&Told]) -> Option<Cause> {
    let told = said.iter().filter(|told| told.severity >= Severity::Error).max_by_key(|told| rank(&told.code))?;
    let messages: Vec<&str> = said
        .iter()
        .filter(|other| other.severity >= Severity::Error && rank(&other.code) == rank(&told.code))
        .map(|told| told.message.as_str())
        .collect();
    let (reason, trouble) = match told.code.as_str() {
        code if code.starts_with("PL030") && matches!(code, "PL0301" | "PL0302" | "PL0303") => {
            ("NoConnection", Trouble::Lasting)
        }
        "PL0308" | "PL0309" | "PL0310" | "PL0311" | "PL0313" | "PL0314" | "PL0315" | "PL0316" | "PL0317" | "PL0318"
        | "PL0330" => ("SecretUnavailable", Trouble::Lasting),
        code if code.starts_with("PL01") || code.starts_with("PL03") || code.starts_with("PL09") => {
            ("InvalidSpec", Trouble::Lasting)
        }
        "PL0203" => ("InvalidSpec", Trouble::Lasting),
        code if code.starts_with("PL02") => ("ReferenceNotFound", Trouble::Passing),
        "PL0422" => ("CredentialRefused", Trouble::Lasting),
        code if code.starts_with("PL04") => ("ObserveFailed", Trouble::Passing),
        "PL0501" => ("InvalidSpec", Trouble::Lasting),
        code if code.starts_with("PL06") || told.severity == Severity::Refusal => {
            let _ = code;
            ("Refused", Trouble::Lasting)
        }
        _ => ("ReconcileFailed", Trouble::Passing),
    };
    Some(Cause { reason, message: messages.join(" "), trouble })
}

/// What a person has to mend comes first.
fn rank(code: &str) -> u8 {
    match code.get(..4) {
        Some("PL01" | "PL03" | "PL09") => 3,
        Some("PL05" | "PL06") => 2,
        Some("PL02") => 1,
        _ => 0,
    }
}

/// What the API refused, or what an action waited for in vain.
fn refused(own: &[&Action], report: &Report) -> Option<Cause> {
    let failed = own.iter().find(|action| action.outcome == Some(Outcome::Failed));
    if let Some(action) = failed {
        let error = action.error.clone().unwrap_or_default();
        let lasts = report.lasting.contains(&action.address);
        let (reason, trouble) = if lasts { ("Refused", Trouble::Lasting) } else { ("ApplyFailed", Trouble::Passing) };
        return Some(Cause { reason, message: format!("The API did not take it: {error}"), trouble });
    }
    let skipped = own.iter().find(|action| action.outcome == Some(Outcome::Skipped))?;
    let why = skipped.error.clone().unwrap_or_default();
    Some(Cause { reason: "DependencyNotReady", message: format!("It waits: {why}."), trouble: Trouble::Passing })
}

/// An object that could not be looked at.
fn unseen(address: &str, report: &Report) -> Option<Cause> {
    let declared = report.declared.get(address);
    if declared.is_some_and(|declared| declared.known) {
        return None;
    }
    let about = declared.map(|declared| declared.connection.as_str()).unwrap_or_default();
    if about.is_empty() {
        let reason = "NoConnection";
        let message = "There is no connection for its API here, or several and it names none.".to_owned();
        return Some(Cause { reason, message, trouble: Trouble::Lasting });
    }
    let mention = format!("`{about}`");
    let why =
        report.told.iter().filter(|told| told.severity == Severity::Error && told.address.is_none()).find(|told| {
            told.message.contains(&mention)
                || told.source.as_deref().is_some_and(|source| source.ends_with(&format!("/{about}")))
        });
    let (reason, trouble) = match why.map(|told| told.code.as_str()) {
        Some("PL0422") => ("CredentialRefused", Trouble::Lasting),
        Some(code) if code.starts_with("PL03") || code.starts_with("PL01") => ("ConnectionNotReady", Trouble::Lasting),
        _ => ("ObserveFailed", Trouble::Passing),
    };
    let message = why.map_or_else(|| "It could not be looked at.".to_owned(), |told| told.message.clone());
    Some(Cause { reason, message, trouble })
}
