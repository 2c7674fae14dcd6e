//! What is measured, by the usual conventions of Prometheus. Every label takes its values from a small set: stacks,
//! connections, kinds, methods and statuses, never objects or paths.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use super::{
    reconcile::Found,
    view::{Board, StackState, now},
};
use crate::{
    http::CallMade,
    progress::{Progress, ProgressEvent},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStack {
    stack: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRun {
    stack: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByObject {
    kind: String,
    connection: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    connection: String,
    api: String,
    method: String,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByConnection {
    connection: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAction {
    stack: String,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    stack: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWebhook {
    webhook: String,
    result: &'static str,
}

type Seconds = Family<ByRun, Histogram, fn() -> Histogram>;
type SecondsWaited = Family<ByConnection, Counter<f64, AtomicU64>>;

/// The measures of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    duration: Seconds,
    objects: Family<ByObject, Gauge>,
    drift_age: Family<ByStack, Gauge>,
    requests: Family<ByCall, Counter>,
    remaining: Family<ByConnection, Gauge>,
    throttled: SecondsWaited,
    changes: Family<ByAction, Gauge>,
    prune_blocked: Family<ByStack, Counter>,
    last_success: Family<ByStack, Gauge>,
    states: Family<ByState, Gauge>,
    suspended: Family<ByStack, Gauge>,
    webhooks: Family<ByWebhook, Counter>,
    feedback_failures: Counter,
    config_errors: Gauge<u64, AtomicU64>,
    /// One text at a time: what is looked up on the board is replaced whole.
    turn: Mutex<()>,
}

const ACTIONS: [&str; 6] = ["create", "adopt", "update", "replace", "delete", "forget"];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let histogram: fn() -> Histogram =
            || Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0]);
        let mut metrics = Self {
            registry: Registry::default(),
            duration: Family::new_with_constructor(histogram),
            objects: Family::default(),
            drift_age: Family::default(),
            requests: Family::default(),
            remaining: Family::default(),
            throttled: Family::default(),
            changes: Family::default(),
            prune_blocked: Family::default(),
            last_success: Family::default(),
            states: Family::default(),
            suspended: Family::default(),
            webhooks: Family::default(),
            feedback_failures: Counter::default(),
            config_errors: Gauge::default(),
            turn: Mutex::new(()),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        // The usual name has no second `_info`; the crate adds one.
        registry.register("plumb_build", "The build of plumb that runs", build);
        registry.register_with_unit(
            "plumb_reconcile_duration",
            "How long reconciling a stack took",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register("plumb_objects", "Objects by their state", self.objects.clone());
        registry.register_with_unit(
            "plumb_drift_age",
            "For how long a stack has drifted; 0 where nothing has",
            Unit::Seconds,
            self.drift_age.clone(),
        );
        registry.register("plumb_api_requests", "Requests to APIs, repeats included", self.requests.clone());
        registry.register(
            "plumb_api_rate_limit_remaining",
            "Requests left in the API's window, as its last answer told",
            self.remaining.clone(),
        );
        registry.register_with_unit(
            "plumb_api_throttle_wait",
            "Time that calls waited for a rate limit",
            Unit::Seconds,
            self.throttled.clone(),
        );
        registry.register("plumb_plan_changes", "Changes in the last plan of a stack", self.changes.clone());
        registry.register(
            "plumb_prune_blocked",
            "Runs in which deletions were held back for safety",
            self.prune_blocked.clone(),
        );
        registry.register_with_unit(
            "plumb_last_success_timestamp",
            "When a stack last came out as declared",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register("plumb_stack_state", "1 for the state that a stack is in", self.states.clone());
        registry.register("plumb_stack_suspended", "1 where a stack is suspended", self.suspended.clone());
        registry.register("plumb_webhook_deliveries", "What became of webhooks", self.webhooks.clone());
        registry.register(
            "plumb_feedback_failures",
            "Commit statuses, comments and notifications that could not be delivered",
            self.feedback_failures.clone(),
        );
        registry.register(
            "plumb_config_errors",
            "Errors in the configuration that was read last; the one before stays in force",
            self.config_errors.clone(),
        );
    }

    /// Takes a run in.
    pub fn ran(&self, stack: &str, found: &Found) {
        let result = match found.class {
            Some(class) => class.word(),
            None => "success",
        };
        self.duration.get_or_create(&ByRun { stack: stack.to_owned(), result }).observe(found.seconds);
        self.prune_blocked.get_or_create(&ByStack { stack: stack.to_owned() }).inc_by(found.prune_blocked.into());
        for (connection, budget) in &found.budgets {
            // What is nought so far is told as well.
            drop(self.throttled.get_or_create(&ByConnection { connection: connection.clone() }));
            if let Some(remaining) = budget.remaining {
                let label = ByConnection { connection: connection.clone() };
                self.remaining.get_or_create(&label).set(i64::try_from(remaining).unwrap_or(i64::MAX));
            }
        }
    }

    /// Takes a webhook in.
    pub fn webhook(&self, webhook: &str, result: &'static str) {
        self.webhooks.get_or_create(&ByWebhook { webhook: webhook.to_owned(), result }).inc();
    }

    /// Notes that a status, comment or notification could not be delivered.
    pub fn feedback_failed(&self) {
        self.feedback_failures.inc();
    }

    /// Notes how many errors the configuration has that was read last.
    pub fn config_errors(&self, errors: u64) {
        self.config_errors.set(errors);
    }

    fn called(&self, call: &CallMade) {
        let status = call.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let label =
            ByCall { connection: call.connection.clone(), api: call.api.clone(), method: call.method.clone(), status };
        self.requests.get_or_create(&label).inc();
    }

    fn waited(&self, connection: &str, seconds: f64) {
        self.throttled.get_or_create(&ByConnection { connection: connection.to_owned() }).inc_by(seconds);
    }

    /// Everything in the text form that Prometheus reads. What is known of stacks is looked up on the board.
    pub fn text(&self, board: &Board) -> String {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.objects.clear();
        self.drift_age.clear();
        self.changes.clear();
        self.states.clear();
        self.suspended.clear();
        self.last_success.clear();
        let now = now();
        board.each(|stack| {
            let by = || ByStack { stack: stack.name.clone() };
            for object in stack.objects.iter() {
                let label = ByObject {
                    kind: object.kind.to_string(),
                    connection: object.connection.to_string(),
                    state: object.state.word(),
                };
                self.objects.get_or_create(&label).inc();
            }
            self.drift_age.get_or_create(&by()).set(stack.drift_since.map_or(0, |since| (now - since).max(0)));
            self.suspended.get_or_create(&by()).set(i64::from(stack.suspended));
            if let Some(at) = stack.last_success {
                self.last_success.get_or_create(&by()).set(at);
            }
            let summary = &stack.summary;
            let counts =
                [summary.create, summary.adopt, summary.update, summary.replace, summary.delete, summary.forget];
            for (action, number) in ACTIONS.into_iter().zip(counts) {
                let label = ByAction { stack: stack.name.clone(), action };
                self.changes.get_or_create(&label).set(i64::try_from(number).unwrap_or(i64::MAX));
            }
            for state in StackState::ALL {
                let label = ByState { stack: stack.name.clone(), state: state.word() };
                self.states.get_or_create(&label).set(i64::from(stack.state == state));
            }
        });
        let mut text = String::new();
        // A text takes whatever is written to it.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Hears of requests and waits for the measures.
pub struct Listener(pub Arc<Metrics>);

impl Progress for Listener {
    fn event(&self, event: &ProgressEvent<'_>) {
        match *event {
            ProgressEvent::Called(call) => self.0.called(call),
            ProgressEvent::Throttled { connection, seconds } => self.0.waited(connection, seconds),
            _ => {}
        }
    }
}
