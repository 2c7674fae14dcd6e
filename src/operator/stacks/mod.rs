//! `Stack` resources with a Git source: each is a stack of its own, planned and applied by the same step as the agent's,
//! and told of in its status, in a `ConfigMap` with the whole plan, and on the status page.

mod destroy;
mod reconcile;
mod source;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::unbounded_channel;

pub(super) use self::source::is_fed;
use super::{
    schedule::{back_off, jittered},
    secrets::Name,
    space::Worker,
    world::{Key, Resource},
};
use crate::{
    agent::{metrics::Metrics, view::Board},
    failure::Failure,
    source::git::Repositories,
};

/// Stacks that are planned or applied at the same time.
const CONCURRENCY: usize = 4;
/// How often it is looked whether anything is due.
const TICK: Duration = Duration::from_millis(300);
/// How soon a stack that waits for another is looked at again.
const DEPENDENT: Duration = Duration::from_secs(2);
/// The first wait after a failure that may pass, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));

/// What reconciles stacks.
pub(super) struct Stacks {
    pub(super) worker: Arc<Worker>,
    pub(super) repositories: Repositories,
    pub(super) board: Arc<Board>,
    pub(super) metrics: Arc<Metrics>,
}

/// What is remembered of a stack from one run to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Hash of what was last read from Git.
    tree: Option<String>,
    /// What the API refused for good, with what was asked of it.
    refused: BTreeMap<String, String>,
    /// Paths beside the stack's own that matter too.
    beside: Vec<String>,
    /// Names of the Secrets that its manifests refer to.
    secrets: BTreeSet<String>,
    /// What the `ConfigMap` tells.
    written: Option<String>,
    /// Since when each object has drifted.
    drift: BTreeMap<String, i64>,
}

impl Memory {
    /// The Secrets that a stack's source and its manifests need.
    fn uses(&self, stack: &Resource) -> BTreeSet<Name> {
        let own = self.secrets.iter().map(|name| (stack.key.namespace.clone(), name.clone()));
        own.chain(source::secrets(stack)).collect()
    }
}

/// When a stack is looked at again.
enum Again {
    /// After its interval.
    Later(Duration),
    /// Soon: it failed, and that may pass.
    Retry(Duration),
    /// Soon: it waits for another.
    Dependent,
}

#[derive(Default)]
struct Known {
    mark: Option<u64>,
    began: Option<Instant>,
    next: Option<Instant>,
    running: bool,
    failures: u32,
    memory: Memory,
}

impl Stacks {
    pub(super) fn new(
        worker: Arc<Worker>,
        cache: PathBuf,
        board: Arc<Board>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let repositories = Repositories::new(cache).map_err(|error| Failure::config(error.message))?;
        Ok(Self { worker, repositories, board, metrics })
    }

    /// Works until it is asked to stop, and what is under way has come to its end.
    pub(super) async fn run(self: Arc<Self>) {
        let mut known: HashMap<Key, Known> = HashMap::new();
        let (give, mut done) = unbounded_channel::<(Key, Memory, Again)>();
        let mut running = 0_usize;
        loop {
            while let Ok((key, memory, again)) = done.try_recv() {
                running -= 1;
                if let Some(entry) = known.get_mut(&key) {
                    entry.running = false;
                    entry.memory = memory;
                    entry.rest(&again);
                }
            }
            let stopping = self.worker.frame.stop.load(Ordering::SeqCst) || !self.worker.right.is_held();
            if stopping && running == 0 {
                return;
            }
            if !stopping {
                let stacks: Vec<Resource> = self
                    .worker
                    .world
                    .of_core("Stack")
                    .into_iter()
                    .filter(|stack| is_fed(stack) && (!stack.is_going() || stack.is_held()))
                    .collect();
                self.forget(&mut known, &stacks);
                for stack in stacks {
                    let entry = known.entry(stack.key.clone()).or_default();
                    if running < CONCURRENCY && entry.is_due(&stack, &self.worker) {
                        running += 1;
                        entry.running = true;
                        entry.begin(&stack);
                        let (this, give) = (self.clone(), give.clone());
                        let mut memory = entry.memory.clone();
                        tokio::spawn(async move {
                            let again = this.reconcile(&stack, &mut memory).await;
                            // The loop that waits for it may have come to its end.
                            let _ = give.send((stack.key, memory, again));
                        });
                    }
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Forgets what is gone, or reads nothing from Git any more.
    fn forget(&self, known: &mut HashMap<Key, Known>, stacks: &[Resource]) {
        known.retain(|key, entry| {
            let stays = entry.running || stacks.iter().any(|stack| stack.key == *key);
            if !stays {
                self.worker.secrets.keep(&key.path(), &BTreeSet::new());
                self.board.remove(&shown(key));
            }
            stays
        });
    }
}

/// What a stack is called on the status page, in measures and in the inventory; no namespace has a full stop in its name.
pub(super) fn shown(key: &Key) -> String {
    format!("{}.{}", key.namespace, key.name)
}

impl Known {
    fn is_due(&self, stack: &Resource, worker: &Worker) -> bool {
        !self.running
            && (self.mark != Some(stack.mark())
                || self.next.is_none_or(|next| next <= Instant::now())
                || (self.began.is_none_or(|began| began.elapsed() > DEPENDENT)
                    && worker.secrets.is_stale(&self.memory.uses(stack))))
    }

    fn begin(&mut self, stack: &Resource) {
        self.began = Some(Instant::now());
        if self.mark != Some(stack.mark()) {
            self.mark = Some(stack.mark());
            self.failures = 0;
            // What was refused may be taken now.
            self.memory.refused.clear();
        }
    }

    fn rest(&mut self, again: &Again) {
        let wait = match again {
            Again::Later(interval) => {
                self.failures = 0;
                jittered(*interval)
            }
            Again::Retry(interval) => {
                self.failures += 1;
                back_off(self.failures, WAITS.0, WAITS.1.min((*interval).max(WAITS.0)))
            }
            Again::Dependent => DEPENDENT,
        };
        self.next = Some(Instant::now() + wait);
    }
}
