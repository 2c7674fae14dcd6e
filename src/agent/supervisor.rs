//! All stacks: one worker each, a bounded number of them at work, settings that are read anew when they change, and an
//! end that waits for what is under way.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    changelog::ChangeLog,
    config::{self, Config, Source},
    forge::{Forge, Pulls},
    metrics::Metrics,
    notify::Notifier,
    server::Locks,
    state::StateFolder,
    view::Board,
    worker::{Nudge, Worker},
};
use crate::{
    failure::Failure,
    http::{Budgets, Pace},
    source::git::Repositories,
    webhook::{Answer, Event, Sink},
};

/// Nudges that a worker need not have taken yet; more say nothing new.
const NUDGES: usize = 16;
/// Sources that are asked at the same time.
const POLLS: usize = 8;
/// How often the configuration file is looked at.
const WATCH: Duration = Duration::from_secs(2);
/// How long messages under way may take once the agent ends.
const GRACE: Duration = Duration::from_secs(5);

/// What all workers share.
pub struct Shared {
    /// What is known of stacks.
    pub board: Arc<Board>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// What survives a restart.
    pub state: StateFolder,
    /// The change log.
    pub log: ChangeLog,
    pub(super) repositories: Repositories,
    pub(super) runs: Semaphore,
    pub(super) polls: Semaphore,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) ending: watch::Sender<bool>,
    pub(super) notifier: Notifier,
    pub(super) tasks: TaskTracker,
    pub(super) pace: Pace,
    pub(super) budgets: Budgets,
    pub(super) pulls: Pulls,
    config: RwLock<Arc<Config>>,
    forges: Mutex<HashMap<String, Forge>>,
}

impl Shared {
    /// The settings now.
    pub fn settings(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A forge by its name.
    pub(super) fn forge(&self, name: &str) -> Option<Forge> {
        let mut forges = self.forges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = forges.get(name) {
            return Some(known.clone());
        }
        let made = Forge::new(self.settings().forges.get(name)?.clone(), self.ending.subscribe()).ok()?;
        forges.insert(name.to_owned(), made.clone());
        Some(made)
    }
}

/// A worker at work.
struct Hand {
    nudges: mpsc::Sender<Nudge>,
    task: JoinHandle<()>,
}

/// The agent.
pub struct Agent {
    /// What all workers share.
    pub shared: Arc<Shared>,
    path: PathBuf,
    hands: Mutex<BTreeMap<String, Hand>>,
    locks: OnceLock<Locks>,
}

impl Agent {
    /// Prepares an agent; `path` is the configuration's, for reading it anew.
    pub fn new(config: Config, path: &Path, stop: Arc<AtomicBool>, pace: Pace) -> Result<Arc<Self>, Failure> {
        let state = StateFolder::open(&config.state).map_err(|error| {
            Failure::config(format!("The state folder `{}` cannot be used: {error}.", config.state.display()))
                .hint("Make it, and give it to the user that the agent runs as.")
        })?;
        let metrics = Arc::new(Metrics::new());
        let notifier = Notifier::new(metrics.clone())
            .map_err(|error| Failure::config(format!("No HTTP client can be set up: {error}.")))?;
        let budgets = Budgets::shared(Some(state.budgets()));
        let repositories = Repositories::new(state.git())
            .map_err(|error| error.hints.iter().fold(Failure::config(error.message.clone()), Failure::hint))?;
        let shared = Shared {
            board: Arc::default(),
            metrics,
            log: ChangeLog::new(config.change_log.clone()),
            state,
            repositories,
            runs: Semaphore::new(config.workers),
            polls: Semaphore::new(POLLS),
            stop,
            ending: watch::Sender::new(false),
            notifier,
            tasks: TaskTracker::new(),
            pace,
            budgets,
            pulls: Pulls::default(),
            config: RwLock::new(Arc::new(config)),
            forges: Mutex::default(),
        };
        Ok(Arc::new(Self {
            shared: Arc::new(shared),
            path: path.to_path_buf(),
            hands: Mutex::default(),
            locks: OnceLock::new(),
        }))
    }

    fn hands(&self) -> MutexGuard<'_, BTreeMap<String, Hand>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker for every stack.
    pub fn start(&self) {
        for config in self.shared.settings().stacks.values() {
            self.hire(config);
        }
    }

    fn hire(&self, config: &Arc<config::StackConfig>) {
        let (sender, nudges) = mpsc::channel(NUDGES);
        let worker = Worker::new(config.clone(), self.shared.clone(), nudges);
        let (shared, name) = (self.shared.clone(), config.name.clone());
        let task = tokio::spawn(async move {
            let run = std::panic::AssertUnwindSafe(worker.run());
            if run.catch_unwind().await.is_err() {
                tracing::error!(stack = name, "the worker of a stack ended unexpectedly, which is a defect of plumb");
                shared.board.change(&name, |stack| {
                    stack.busy = false;
                    stack.state = super::view::StackState::Failed;
                    "The worker of this stack ended unexpectedly; restart the agent.".clone_into(&mut stack.message);
                });
            }
        });
        self.hands().insert(config.name.clone(), Hand { nudges: sender, task });
    }

    /// Reads the configuration anew. One with errors changes nothing, and is told.
    pub fn reload(&self) -> bool {
        let read = config::read(&self.path);
        let errors = read.diagnostics.iter().filter(|told| told.is_error()).count();
        self.shared.metrics.config_errors(u64::try_from(errors).unwrap_or(u64::MAX));
        let Some(config) = read.config else {
            let style = crate::report::Style { color: false, width: 100, verbose: false };
            let text = crate::report::diagnostics(&read.diagnostics, &read.sources, style);
            tracing::error!("the configuration has errors, and the one before stays in force:\n{text}");
            return false;
        };
        self.adopt(config);
        tracing::info!("the configuration was read anew");
        true
    }

    /// Names what decides who comes in, so that other settings reach it.
    pub(super) fn has_locks(&self, locks: Locks) {
        // There is one endpoint only.
        let _ = self.locks.set(locks);
    }

    /// Puts other settings in force. The state folder and the address stay until a restart.
    fn adopt(&self, config: Config) {
        let before = self.shared.settings();
        if before.state != config.state || before.workers != config.workers {
            tracing::warn!("`state` and `workers` change with the next start of the agent");
        }
        let addresses = |config: &Config| {
            config.endpoint.as_ref().map(|endpoint| (endpoint.listen, endpoint.webhooks, endpoint.status_page))
        };
        if addresses(&before) != addresses(&config) {
            tracing::warn!("the addresses of `endpoint`, and `statusPage`, change with the next start of the agent");
        }
        if let Some(locks) = self.locks.get() {
            locks.change(&config);
        }
        let config = Arc::new(config);
        *self.shared.config.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
        self.shared.forges.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.pulls.clear();
        let gone: Vec<(String, Hand)> = {
            let mut hands = self.hands();
            let names: Vec<String> = hands.keys().filter(|name| !config.stacks.contains_key(*name)).cloned().collect();
            names.into_iter().filter_map(|name| hands.remove_entry(&name)).collect()
        };
        for (name, hand) in gone {
            // Its worker ends once nobody can nudge it any more; what it does now is done first.
            let Hand { nudges, task } = hand;
            drop(nudges);
            let shared = self.shared.clone();
            self.shared.tasks.spawn(async move {
                if task.await.is_err() {
                    tracing::error!(stack = name, "the worker of a stack ended unexpectedly");
                }
                shared.board.remove(&name);
            });
        }
        for stack in config.stacks.values() {
            let known = before.stacks.get(&stack.name);
            // A secret in a file may have changed though no setting did: every stack takes its settings anew.
            let same = known.is_some_and(|known| known.text == stack.text && !differs(known, stack));
            let nudges = self.hands().get(&stack.name).map(|hand| hand.nudges.clone());
            match nudges {
                Some(_) if same => {}
                Some(nudges) => {
                    let stack = stack.clone();
                    self.shared.tasks.spawn(async move {
                        // A worker that is gone needs no settings.
                        let _ = nudges.send(Nudge::Configure(stack)).await;
                    });
                }
                None => self.hire(stack),
            }
        }
        self.shared.repositories.release();
    }

    /// Nudges one stack; tells whether there is such a stack.
    pub fn nudge(&self, stack: &str, nudge: Nudge) -> bool {
        let Some(nudges) = self.hands().get(stack).map(|hand| hand.nudges.clone()) else { return false };
        if let Err(mpsc::error::TrySendError::Full(nudge)) = nudges.try_send(nudge)
            && !matches!(nudge, Nudge::Push(_) | Nudge::Pull(_))
        {
            self.shared.tasks.spawn(async move {
                let _ = nudges.send(nudge).await;
            });
        }
        true
    }

    /// Reads the configuration anew on SIGHUP and when the file changes, until the agent ends.
    pub async fn watch(self: Arc<Self>) {
        let mut end = self.shared.ending.subscribe();
        let mut seen = stamp(&self.path);
        let mut signals = Hangups::new();
        loop {
            tokio::select! {
                biased;
                _ = end.wait_for(|end| *end) => return,
                () = signals.next() => {
                    seen = stamp(&self.path);
                    self.reload();
                }
                () = tokio::time::sleep(WATCH) => {
                    let now = stamp(&self.path);
                    if now != seen {
                        seen = now;
                        self.reload();
                    }
                }
            }
        }
    }

    /// Lets everything come to an end: no run begins, calls under way are recorded.
    pub async fn finish(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.ending.send_replace(true);
        let hands = std::mem::take(&mut *self.hands());
        for (name, hand) in hands {
            drop(hand.nudges);
            if hand.task.await.is_err() {
                tracing::error!(stack = name, "the worker of a stack ended unexpectedly");
            }
        }
        self.shared.budgets.release().await;
        self.shared.tasks.close();
        if tokio::time::timeout(GRACE, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("messages under way were given up");
        }
    }

    /// Whether every stack was looked at, so that what is shown means something.
    pub fn is_ready(&self) -> bool {
        let known = self
            .shared
            .board
            .each(|stack| stack.last_run.is_some() || stack.suspended || stack.source_trouble.is_some());
        known.len() >= self.shared.settings().stacks.len() && known.into_iter().all(|known| known)
    }

    /// The stacks of a repository, and whether an event concerns their branch.
    fn concerned(&self, event: &Event) -> (bool, Vec<(String, Nudge)>) {
        let mut known = false;
        // One time for all stacks: what one of them asks the forge is new enough for the others.
        let now = Instant::now();
        let mut nudges = Vec::new();
        for stack in self.shared.settings().stacks.values() {
            let Source::Git(git) = &stack.source else { continue };
            if !event.repository().is_some_and(|repository| repository.is(&git.location)) {
                continue;
            }
            known = true;
            match event {
                Event::Push(push) if git.location.reference.may_mean(&push.reference) => {
                    nudges.push((stack.name.clone(), Nudge::Push(now)));
                }
                Event::PullRequest(_) => nudges.push((stack.name.clone(), Nudge::Pull(now))),
                _ => {}
            }
        }
        (known, nudges)
    }
}

impl Sink for Agent {
    fn deliver(&self, receiver: &str, event: &Event) -> Answer {
        if event.repository().is_none() {
            return Answer::Nothing;
        }
        let (known, nudges) = self.concerned(event);
        let answer = match (known, nudges.is_empty()) {
            (false, _) => Answer::Unknown,
            (true, true) => Answer::Nothing,
            (true, false) => Answer::Taken,
        };
        for (stack, nudge) in nudges {
            self.nudge(&stack, nudge);
        }
        let word = match answer {
            Answer::Taken => "taken",
            Answer::Unknown => "unknown",
            _ => "ignored",
        };
        self.shared.metrics.webhook(receiver, word);
        answer
    }
}

/// Whether what settings mean differs though their text does not: credentials and signers in files.
fn differs(before: &config::StackConfig, now: &config::StackConfig) -> bool {
    match (&before.source, &now.source) {
        (Source::Git(before), Source::Git(now)) => {
            before.location != now.location || !before.access.is_same(&now.access) || before.signers != now.signers
        }
        (Source::Folder(before), Source::Folder(now)) => before != now,
        _ => true,
    }
}

/// What tells whether a file changed.
fn stamp(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// SIGHUP, where there is such a thing.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    #[cfg(unix)]
    fn new() -> Self {
        Self { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok() }
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        let came = match &mut self.signal {
            Some(signal) => signal.recv().await.is_some(),
            None => false,
        };
        if !came {
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        std::future::pending().await
    }
}
