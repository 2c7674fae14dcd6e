//! What came of a stack's run → its status, Events, the `ConfigMap` with the whole plan, and the status page.

use std::time::Duration;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::api::ObjectMeta;

use super::{Again, Memory, Stacks, reconcile::word, shown};
use crate::{
    agent::{
        reconcile::{Found, told},
        view::{RevisionView, RunView, StackState, now},
    },
    description::compiled::VERSION,
    failure::Class,
    manifest::{StackFeed, StackMode},
    operator::{
        status::{PlannedAction, StackPlan, Status, Truth, clipped},
        verdict::Happening,
        world::{CORE_GROUP, Resource},
    },
    plan::{Outcome, PlanDocument},
    report::{self, Style},
};

/// Bytes of a plan that go into a `ConfigMap`, which takes 1 MiB.
const LONGEST: usize = 900 * 1024;

/// A warning, where it is news.
pub(super) fn warning(stack: &Resource, reason: &'static str, message: &str) -> Option<Happening> {
    let known = stack.status.condition("Ready");
    let same = known.is_some_and(|known| known.reason == reason && known.message == clipped(message, 1024));
    (!same).then(|| Happening { warning: true, reason, action: "Reconcile", note: clipped(message, 1000) })
}

impl Stacks {
    /// Tells what a run found.
    #[expect(clippy::too_many_arguments, reason = "the parts of one run")]
    pub(super) async fn conclude(
        &self,
        stack: &Resource,
        mut status: Status,
        revision: &RevisionView,
        feed: &StackFeed,
        memory: &mut Memory,
        found: Found,
        interval: Duration,
    ) -> Again {
        let mut happenings = Vec::new();
        status.revision = Some(revision.commit.clone());
        if let Some(document) = found.document.as_ref().filter(|document| !document.actions.is_empty()) {
            let key = key(document, &found);
            if memory.written.as_ref() != Some(&key) {
                match self.worker.teller.config_map(&stack.key.namespace, &config_map(stack, document, &found)).await {
                    Ok(()) => memory.written = Some(key),
                    Err(error) => tracing::warn!("the plan of `{}` cannot be kept: {error}", stack.key.path()),
                }
            }
            status.plan_config_map = Some(plan_name(stack));
            status.plan_digest = Some(document.digest.clone());
            status.stack_plan(plan(document, revision, &found));
        }
        if let Some(document) = &found.document {
            status.drift = Some(if document.summary.drifted > 0 && !found.applied { "Yes" } else { "No" }.to_owned());
        }
        let again = self.condition(stack, &mut status, feed, &found, &mut happenings, interval);
        self.show(stack, revision, feed, found);
        self.tell(stack, &status, happenings).await;
        again
    }

    #[expect(clippy::unused_self, reason = "it is told on behalf of the stacks")]
    fn condition(
        &self,
        stack: &Resource,
        status: &mut Status,
        feed: &StackFeed,
        found: &Found,
        happenings: &mut Vec<Happening>,
        interval: Duration,
    ) -> Again {
        let message = std::iter::once(&found.message).chain(&found.hints).cloned().collect::<Vec<_>>().join(" ");
        let done = found.document.as_ref().filter(|document| {
            found.applied && document.actions.iter().any(|action| action.outcome == Some(Outcome::Done))
        });
        if let Some(document) = done {
            status.applied_revision.clone_from(&status.revision);
            let note = clipped(&told(document), 1000);
            happenings.push(Happening { warning: false, reason: "Applied", action: "Apply", note });
        }
        match found.state {
            StackState::Failed => {
                let (reason, lasts) = failed(found);
                happenings.extend(warning(stack, reason, &message));
                status.set("Ready", Truth::False, reason, &message);
                status.set("Synced", Truth::False, reason, &message);
                if lasts {
                    status.set("Stalled", Truth::True, reason, &message);
                    status.unset("Reconciling");
                    return Again::Later(interval);
                }
                status.set("Reconciling", Truth::True, reason, &message);
                status.unset("Stalled");
                return Again::Retry(interval);
            }
            StackState::Waiting => {
                status.set("Ready", Truth::False, "Waiting", &message);
                status.set("Synced", Truth::True, "Waiting", &message);
                status.set("Reconciling", Truth::True, "Waiting", &message);
            }
            StackState::Pending | StackState::Drifted => {
                let waits = feed.mode == StackMode::Enforce
                    || feed.approve_plan.as_deref().is_some_and(|digest| digest != "auto");
                let (ready, reason) = match feed.mode {
                    StackMode::Observe => (Truth::True, "Observed"),
                    _ if waits => (Truth::False, "ApprovalNeeded"),
                    _ => (Truth::True, "Planned"),
                };
                let news =
                    stack.status.condition("Synced").is_none_or(|known| known.message != clipped(&message, 1024));
                if news {
                    let reason = if found.state == StackState::Drifted { "Drifted" } else { reason };
                    happenings.push(Happening {
                        warning: false,
                        reason,
                        action: "Plan",
                        note: clipped(&message, 1000),
                    });
                }
                status.set("Ready", ready, reason, &message);
                status.set("Synced", Truth::False, "OutOfSync", &message);
                status.unset("Reconciling");
            }
            StackState::Synced | StackState::Unknown => {
                // What was done just now is told by an Event; the condition says how things are.
                let message = "Everything is as declared.";
                status.set("Ready", Truth::True, "Reconciled", message);
                status.set("Synced", Truth::True, "Reconciled", message);
                status.unset("Reconciling");
            }
        }
        status.unset("Stalled");
        Again::Later(interval)
    }

    /// Writes the status and publishes Events.
    pub(super) async fn tell(&self, stack: &Resource, status: &Status, happenings: Vec<Happening>) {
        for happening in &happenings {
            self.worker.teller.event(stack, happening).await;
        }
        if let Err(error) = self.worker.teller.status(stack, status).await {
            tracing::warn!("the status of `{}` cannot be written: {error}", stack.key.path());
        }
    }

    fn show(&self, stack: &Resource, revision: &RevisionView, feed: &StackFeed, found: Found) {
        let ran = now();
        self.board.change(&shown(&stack.key), |view| {
            view.busy = false;
            view.source_trouble = None;
            word(feed.mode).clone_into(&mut view.mode);
            view.state = found.state;
            view.message.clone_from(&found.message);
            view.hints.clone_from(&found.hints);
            view.last_run = Some(ran);
            if found.state == StackState::Synced {
                view.last_success = Some(ran);
            }
            view.drift_since = found.objects.iter().filter_map(|object| object.since).min();
            view.revision = Some(revision.clone());
            view.budgets.extend(found.budgets);
            if let Some(document) = found.document {
                let summary = document.summary;
                if found.applied || view.runs.first().is_none_or(|last| last.message != found.message) {
                    view.remember(RunView {
                        run: format!("{:x}", jiff::Timestamp::now().as_millisecond()),
                        began: ran,
                        seconds: found.seconds,
                        cause: "drift".to_owned(),
                        state: found.state,
                        applied: found.applied,
                        commit: revision.commit.clone(),
                        summary,
                        message: found.message.clone(),
                    });
                }
                view.summary = if found.applied { crate::plan::Summary::default() } else { summary };
                view.plan = Some(document.into());
                view.objects = found.objects.into();
                view.edges = found.edges.into();
            }
        });
    }
}

/// The reason of a failure, and whether it lasts until somebody does something.
fn failed(found: &Found) -> (&'static str, bool) {
    match found.class {
        Some(Class::User) if found.applied => ("Refused", true),
        Some(Class::User) => ("InvalidManifests", true),
        Some(Class::Refused | Class::Stale) => ("Refused", true),
        Some(Class::Conflict) => ("Busy", false),
        Some(Class::Remote) => ("ApplyFailed", false),
        Some(Class::Interrupted) => ("Interrupted", false),
        Some(Class::Config | Class::Internal) | None => ("ReconcileFailed", false),
    }
}

/// What tells one plan, or report, from the next.
fn key(document: &PlanDocument, found: &Found) -> String {
    let outcomes: Vec<&str> = document
        .actions
        .iter()
        .map(|action| match action.outcome {
            None => "-",
            Some(Outcome::Done) => "d",
            Some(Outcome::Failed) => "f",
            Some(Outcome::Skipped) => "s",
            Some(Outcome::Waiting) => "w",
        })
        .collect();
    format!("{} {} {}", document.digest, found.applied, outcomes.concat())
}

fn plan_name(stack: &Resource) -> String {
    format!("{}-plan", stack.key.name)
}

fn plan(document: &PlanDocument, revision: &RevisionView, found: &Found) -> StackPlan {
    let summary = &document.summary;
    StackPlan {
        digest: document.digest.clone(),
        revision: revision.commit.clone(),
        outcome: match (found.applied, found.state) {
            (false, _) => "planned",
            (true, StackState::Failed) => "failed",
            (true, StackState::Waiting) => "waiting",
            (true, _) => "applied",
        }
        .to_owned(),
        at: crate::operator::status::now(),
        create: summary.create as u64,
        adopt: summary.adopt as u64,
        update: summary.update as u64,
        replace: summary.replace as u64,
        delete: summary.delete as u64,
        forget: summary.forget as u64,
        unchanged: summary.unchanged as u64,
        drifted: summary.drifted as u64,
        actions: document
            .actions
            .iter()
            .take(crate::operator::status::MAX_CHANGES)
            .map(|action| PlannedAction {
                action: action.action.word().to_owned(),
                address: action.address.clone(),
                reason: action.reason.word().to_owned(),
            })
            .collect(),
    }
}

/// The whole plan. Sensitive values were taken out of it when it was made.
fn config_map(stack: &Resource, document: &PlanDocument, found: &Found) -> ConfigMap {
    let text = report::text::plan(document, &found.notes, Style::default());
    let json = report::json::plan(document).unwrap_or_default();
    let mut data: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    data.insert("digest".to_owned(), document.digest.clone());
    if json.len() <= LONGEST / 2 {
        data.insert("plan.json".to_owned(), json);
    }
    let mut text = text;
    if text.len() > LONGEST / 2 {
        let mut end = LONGEST / 2;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n… it goes on: `plumb plan` shows all of it.\n");
    }
    data.insert("plan.txt".to_owned(), text);
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(plan_name(stack)),
            namespace: Some(stack.key.namespace.clone()),
            labels: Some(
                [("app.kubernetes.io/managed-by", "plumb"), ("plumb.dev/stack", stack.key.name.as_str())]
                    .map(|(name, value)| (name.to_owned(), clipped(value, 63)))
                    .into(),
            ),
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{CORE_GROUP}/{VERSION}"),
                kind: stack.key.kind.clone(),
                name: stack.key.name.clone(),
                uid: stack.uid.clone(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}
