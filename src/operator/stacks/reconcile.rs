//! One run over one stack: its source, the plan, and what may be done with it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Again, Memory, Stacks, shown, source, told};
use crate::{
    agent::{
        metrics::Listener,
        reconcile::{self, Gate},
        source::{Feed, Newest, SourceError},
    },
    apis,
    inventory::Location,
    manifest::{self, LoadOptions, StackFeed, StackMode, StackSpec},
    operator::{
        secrets::Name,
        status::{Status, Truth},
        world::Resource,
    },
    pipeline::Options,
    secret::{Cluster, ResolvePolicy},
    source::Snapshot,
};

/// How often a repository is asked where neither the stack nor the operator says.
const SLOWEST: Duration = Duration::from_hours(24);

impl Stacks {
    /// Runs over a stack; when it is looked at again.
    pub(super) async fn reconcile(&self, stack: &Resource, memory: &mut Memory) -> Again {
        if stack.is_going() {
            return self.destroy(stack, memory).await;
        }
        if !self.hold(stack).await {
            return Again::Dependent;
        }
        let mut status = Status { observed_generation: Some(stack.generation), ..stack.status.clone() };
        status.last_handled_reconcile_at = stack.annotation("reconcile-requested-at").map(str::to_owned);
        let names = memory.uses(stack);
        if self.worker.secrets.is_stale(&names) {
            // What was refused may be taken with another secret.
            memory.refused.clear();
        }
        self.watch(stack, &names).await;
        let (spec, feed) = match source::read(stack) {
            Ok(read) => read,
            Err(wrong) => return self.stalled(stack, status, wrong.reason, &wrong.message).await,
        };
        let interval = feed.interval.unwrap_or(self.worker.interval).min(SLOWEST);
        if feed.suspend {
            status.set("Ready", Truth::Unknown, "Suspended", "Nothing is done until `suspend` is lifted.");
            status.unset("Reconciling");
            status.unset("Stalled");
            self.tell(stack, &status, Vec::new()).await;
            self.board.change(&shown(&stack.key), |view| view.suspended = true);
            return Again::Later(interval);
        }
        if let Some(other) = self.waits_for(stack, &feed) {
            let message = format!("It waits until the stack `{other}` is ready.");
            status.set("Ready", Truth::False, "DependencyNotReady", &message);
            status.set("Reconciling", Truth::True, "DependencyNotReady", &message);
            self.tell(stack, &status, Vec::new()).await;
            return Again::Dependent;
        }
        let git = match source::source(stack, &feed, &self.worker.secrets) {
            Ok(git) => git,
            Err(wrong) => return self.stalled(stack, status, wrong.reason, &wrong.message).await,
        };
        let reader = Feed::new(&git, &self.repositories);
        let view = Feed::shown(&reader);
        self.board.change(&shown(&stack.key), |board| {
            board.source = view;
            board.suspended = false;
            word(feed.mode).clone_into(&mut board.mode);
        });
        let (newest, snapshot) = match fetch(reader, memory.beside.clone()).await {
            Ok(read) => read,
            Err(error) => {
                let message =
                    std::iter::once(error.message.clone()).chain(error.hints.clone()).collect::<Vec<_>>().join(" ");
                self.board.change(&shown(&stack.key), |board| board.source_trouble = Some(message.clone()));
                if !error.passes {
                    return self.stalled(stack, status, "SourceUnavailable", &message).await;
                }
                let happening = told::warning(stack, "SourceUnavailable", &message);
                status.set("Ready", Truth::False, "SourceUnavailable", &message);
                status.set("Reconciling", Truth::True, "SourceUnavailable", &message);
                status.unset("Stalled");
                self.tell(stack, &status, happening.into_iter().collect()).await;
                return Again::Retry(interval);
            }
        };
        if memory.tree.as_ref() != Some(&newest.tree) {
            memory.refused.clear();
            memory.tree = Some(newest.tree.clone());
        }
        memory.beside = snapshot.sources.dependencies();
        memory.secrets = source::in_manifests(&snapshot, &self.connections(stack, &snapshot));
        self.watch(stack, &memory.uses(stack)).await;
        let options = match self.options(stack, spec, &snapshot).await {
            Ok(options) => options,
            Err(message) => {
                status.set("Ready", Truth::False, "ReconcileFailed", &message);
                self.tell(stack, &status, Vec::new()).await;
                return Again::Retry(interval);
            }
        };
        self.board.change(&shown(&stack.key), |board| board.busy = true);
        let gate = gate(&feed);
        let refused = std::mem::take(&mut memory.refused);
        let mut found = apart(options, gate, refused.clone()).await;
        if found.interrupted && !found.applied {
            memory.refused = refused;
            return Again::Retry(interval);
        }
        memory.refused = std::mem::take(&mut found.lasting);
        reconcile::date_drift(&mut found.objects, &mut memory.drift);
        self.metrics.ran(&shown(&stack.key), &found);
        self.conclude(stack, status, &newest.revision, &feed, memory, found, interval).await
    }

    /// Reads the Secrets that a stack needs, and is told when one changes.
    async fn watch(&self, stack: &Resource, names: &BTreeSet<Name>) {
        self.worker.secrets.keep(&stack.key.path(), names);
        self.worker.secrets.read(names).await;
    }

    /// What a run is asked to do.
    pub(super) async fn options(
        &self,
        stack: &Resource,
        spec: StackSpec,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Options, String> {
        let worker = &self.worker;
        let namespace = &stack.key.namespace;
        let name = shown(&stack.key);
        let shared = worker.frame.inventory.replace("{namespace}", namespace);
        // A file has one writer at a time; other places have one for each stack.
        let is_file = Location::parse(Some(&shared), std::path::Path::new(".")).is_ok_and(|place| !place.is_remote());
        let inventory = if is_file { worker.frame.inventory.replace("{namespace}", &name) } else { shared };
        let client = worker.secrets.client_of(namespace).await?;
        let right = worker.right.clone();
        Ok(Options {
            inputs: Vec::new(),
            snapshot: Some(snapshot.clone()),
            beside: self.connections(stack, snapshot),
            stack_settings: Some(StackSpec { name, inventory: None, ..spec }),
            inventory: Some(inventory),
            connections: worker.frame.connections.clone(),
            allow_hosts: worker.frame.allow_hosts.clone(),
            secrets: ResolvePolicy {
                allow_exec: false,
                cluster: Cluster::Client(client),
                secrets: Some(worker.secrets.allowed_in(namespace)),
                ..worker.policy.clone()
            },
            keep_key: true,
            progress: Arc::new(Listener(self.metrics.clone())),
            stop: worker.frame.stop.clone(),
            until: Some(Arc::new(move || Some(right.until()))),
            who: Some(format!("plumb operator for stack {}/{}", stack.key.namespace, stack.key.name)),
            budgets: worker.frame.budgets.clone(),
            ..Options::default()
        })
    }

    /// Connections of the namespace, for the APIs that the repository has no connection of.
    fn connections(&self, stack: &Resource, snapshot: &Arc<Snapshot>) -> Vec<(String, String)> {
        let own: Vec<Resource> = self
            .worker
            .world
            .of_core("Connection")
            .into_iter()
            .filter(|connection| connection.key.namespace == stack.key.namespace && !connection.is_going())
            .collect();
        if own.is_empty() {
            return Vec::new();
        }
        let declared = manifest::load(&mut Snapshot::clone(snapshot), apis::builtin(), &LoadOptions::default());
        let text = |connection: &Resource, name: &str| {
            connection.manifest.pointer(name).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        own.iter()
            .filter(|connection| {
                let api = text(connection, "/spec/api").unwrap_or_default();
                !declared.connections.contains_key(&connection.key.name)
                    && declared.connections.values().all(|known| known.api != api)
            })
            .map(|connection| {
                (connection.key.path(), serde_json::to_string_pretty(&*connection.manifest).unwrap_or_default())
            })
            .collect()
    }

    /// A stack that this one depends on and that is not ready.
    fn waits_for(&self, stack: &Resource, feed: &StackFeed) -> Option<String> {
        let others = self.worker.world.of_core("Stack");
        feed.depends_on
            .iter()
            .find(|name| {
                let other =
                    others.iter().find(|other| other.key.namespace == stack.key.namespace && other.key.name == **name);
                let ready = |other: &Resource| {
                    other.status.is("Ready") && other.status.observed_generation == Some(other.generation)
                };
                !other.is_some_and(ready)
            })
            .cloned()
    }
}

fn gate(feed: &StackFeed) -> Gate {
    match (feed.mode, feed.approve_plan.as_deref()) {
        (StackMode::Observe, _) => Gate::DriftOnly,
        (StackMode::Plan, None | Some("auto")) => Gate::Show,
        (StackMode::Enforce, None | Some("auto")) => Gate::Apply,
        (StackMode::Plan | StackMode::Enforce, Some(digest)) => Gate::Approved(Some(digest.to_owned())),
    }
}

pub(super) fn word(mode: StackMode) -> &'static str {
    match mode {
        StackMode::Enforce => "enforce",
        StackMode::Plan => "plan",
        StackMode::Observe => "observe",
    }
}

/// The newest state of a source and its texts; Git blocks.
pub(super) async fn fetch(feed: Feed, beside: Vec<String>) -> Result<(Newest, Arc<Snapshot>), SourceError> {
    let read = tokio::task::spawn_blocking(move || {
        let newest = feed.newest(Duration::ZERO, &beside)?;
        let snapshot = feed.snapshot(&newest)?;
        Ok((newest, snapshot))
    });
    read.await.unwrap_or_else(|_| {
        let message = "The repository could not be read: its reader failed.".to_owned();
        Err(SourceError { message, hints: Vec::new(), passes: true })
    })
}

/// The step, on a thread of its own, so that a long plan keeps nothing else from its work.
async fn apart(options: Options, gate: Gate, refused: std::collections::BTreeMap<String, String>) -> reconcile::Found {
    let failed = |message: String| reconcile::Found {
        state: crate::agent::view::StackState::Failed,
        message,
        class: Some(crate::failure::Class::Internal),
        ..reconcile::Found::default()
    };
    let (give, take) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("plumb-stack".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let found = runtime.map(|runtime| runtime.block_on(reconcile::step(&options, &gate, &refused)));
        // The operator that asked may have stopped.
        let _ = give.send(found);
    });
    match spawned {
        Ok(_) => match take.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => failed(format!("No threads can be started: {error}.")),
            Err(_) => failed("A run ended without a report.".to_owned()),
        },
        Err(error) => failed(format!("No threads can be started: {error}.")),
    }
}

impl Stacks {
    /// Somebody has to do something.
    async fn stalled(&self, stack: &Resource, mut status: Status, reason: &'static str, message: &str) -> Again {
        let happening = told::warning(stack, reason, message);
        status.set("Ready", Truth::False, reason, message);
        status.set("Stalled", Truth::True, reason, message);
        status.unset("Reconciling");
        self.tell(stack, &status, happening.into_iter().collect()).await;
        let names: BTreeSet<_> = source::secrets(stack);
        // A Secret that appears is told of; what else may mend it is looked at seldom.
        if names.is_empty() { Again::Later(SLOWEST) } else { Again::Retry(self.worker.interval) }
    }
}
