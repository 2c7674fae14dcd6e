//! One stack's worker: it waits until there is a reason to look, looks whether anything concerns the stack, and has it
//! reconciled. One thing at a time, so that nothing of a stack ever runs twice at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    changelog::Who,
    config::{Mode, Source, StackConfig, gate},
    feedback,
    forge::Verdict,
    metrics::Listener,
    reconcile::{self, Found, Gate},
    source::{Feed, Newest, SourceError},
    state::StackMemory,
    supervisor::Shared,
    view::{RevisionView, RunView, StackState, now},
};
use crate::{
    http::TRACED,
    pipeline::Options,
    secret::{ResolvePolicy, masked},
    source::Snapshot,
};

/// The first wait after a failure that may pass; it doubles.
const RETRY: Duration = Duration::from_secs(10);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_mins(15);
/// How often pull requests are asked for at most, where no webhook tells.
const PULLS: Duration = Duration::from_mins(1);

/// A reason to look.
#[derive(Debug, Clone)]
pub enum Nudge {
    /// Something was pushed, at this time or before.
    Push(Instant),
    /// A pull request changed, at this time or before.
    Pull(Instant),
    /// Somebody wants it reconciled now.
    Request,
    /// Somebody suspends or resumes it.
    Suspend(bool),
    /// Its settings changed.
    Configure(Arc<StackConfig>),
}

/// Why a run runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Start,
    Push,
    Drift,
    Request,
    Retry,
    Window,
    Settings,
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Push => "push",
            Self::Drift => "drift",
            Self::Request => "request",
            Self::Retry => "retry",
            Self::Window => "window",
            Self::Settings => "settings",
        }
    }
}

/// A worker.
pub struct Worker {
    pub(super) config: Arc<StackConfig>,
    pub(super) shared: Arc<Shared>,
    pub(super) feed: Feed,
    pub(super) memory: StackMemory,
    nudges: mpsc::Receiver<Nudge>,
    next_look: Instant,
    next_drift: Instant,
    next_pulls: Instant,
    retry: Option<Instant>,
    opens: Option<Instant>,
    /// Looks that failed in a row.
    lost: u32,
    /// The newest state was found, and its texts were not to be had.
    unreadable: bool,
    asked: Option<Cause>,
    /// The status that a commit is being worked at, on its way.
    pub(super) begun: Option<tokio::task::JoinHandle<()>>,
    /// A status that could not be set: of which commit, and what it says.
    pub(super) untold: Option<(String, Verdict, String)>,
    /// Since when the source may be another than the one that was found.
    fresh: Option<Instant>,
    /// Since when pull requests may be others than those that were listed.
    pulls: Option<Instant>,
}

/// A random share of a time: what many do at the same interval is spread.
fn some_of(time: Duration) -> Duration {
    time.mul_f64(fastrand::f64())
}

impl Worker {
    /// Prepares a worker, with what is remembered of its stack.
    pub fn new(config: Arc<StackConfig>, shared: Arc<Shared>, nudges: mpsc::Receiver<Nudge>) -> Self {
        let feed = Feed::new(&config.source, &shared.repositories);
        let memory = shared.state.read(&config.name);
        let start = Instant::now() + some_of((config.interval / 10).min(Duration::from_secs(2)));
        let mut worker = Self {
            feed,
            memory,
            nudges,
            next_look: start,
            next_drift: start,
            next_pulls: start,
            retry: None,
            opens: None,
            lost: 0,
            unreadable: false,
            asked: None,
            begun: None,
            untold: None,
            fresh: None,
            pulls: None,
            config,
            shared,
        };
        worker.recall();
        worker
    }

    /// Shows what was known before a restart, and works out when the next run is due.
    fn recall(&mut self) {
        let same = self.memory.config == self.config.text;
        match self.memory.view.last_run {
            Some(last) if same => {
                let ago = Duration::from_secs(u64::try_from(now() - last).unwrap_or(0));
                self.next_drift =
                    Instant::now() + self.config.drift_interval.saturating_sub(ago) + some_of(Duration::from_secs(1));
                // What waited for its window waits anew, for another one may have opened meanwhile.
                if self.memory.view.state == StackState::Failed || self.memory.view.closed.is_some() {
                    self.asked = Some(Cause::Start);
                }
            }
            _ => self.asked = Some(Cause::Start),
        }
        let mut view = self.memory.view.clone();
        view.name.clone_from(&self.config.name);
        self.config.mode.word().clone_into(&mut view.mode);
        view.source = self.feed.shown();
        view.suspended = self.is_suspended();
        view.busy = false;
        view.next_run = Some(now() + seconds(self.next_drift));
        self.shared.board.change(&self.config.name, |stack| *stack = view);
    }

    fn is_suspended(&self) -> bool {
        self.memory.suspended.unwrap_or(self.config.suspend)
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::SeqCst)
    }

    /// Works until the agent ends or the stack is taken out of the configuration.
    pub async fn run(mut self) {
        let mut end = self.shared.ending.subscribe();
        loop {
            let due = self.due();
            let nudge = tokio::select! {
                biased;
                _ = end.wait_for(|end| *end) => break,
                nudge = self.nudges.recv() => match nudge {
                    Some(nudge) => Some(nudge),
                    None => break,
                },
                () = tokio::time::sleep_until(due) => None,
            };
            let mut nudge = nudge;
            while let Some(one) = nudge {
                self.take(one);
                nudge = self.nudges.try_recv().ok();
            }
            if self.stopping() {
                break;
            }
            if self.is_suspended() {
                self.next_look = Instant::now() + self.config.interval;
                self.next_drift = self.next_drift.max(self.next_look);
                (self.retry, self.opens) = (None, None);
                continue;
            }
            self.turn().await;
        }
    }

    fn due(&self) -> Instant {
        if self.asked.is_some() && !self.is_suspended() {
            return self.next_look.min(Instant::now());
        }
        let mut due = self.next_look.min(self.next_drift);
        for other in [self.retry, self.opens].into_iter().flatten() {
            due = due.min(other);
        }
        due
    }

    fn take(&mut self, nudge: Nudge) {
        match nudge {
            Nudge::Push(at) => {
                self.fresh = self.fresh.max(Some(at));
                self.next_look = Instant::now();
            }
            Nudge::Pull(at) => {
                (self.fresh, self.pulls) = (self.fresh.max(Some(at)), self.pulls.max(Some(at)));
                self.next_look = Instant::now();
            }
            Nudge::Request => {
                let now = Some(Instant::now());
                (self.fresh, self.pulls) = (now, now);
                self.memory.refused.clear();
                self.asked = Some(Cause::Request);
                self.next_look = Instant::now();
            }
            Nudge::Suspend(suspended) => {
                self.memory.suspended = (suspended != self.config.suspend).then_some(suspended);
                if !suspended {
                    self.asked = Some(Cause::Request);
                    self.next_look = Instant::now();
                }
                self.shared.board.change(&self.config.name, |stack| stack.suspended = suspended);
                self.save();
            }
            Nudge::Configure(config) => {
                if config.suspend != self.config.suspend {
                    self.memory.suspended = None;
                }
                self.feed = Feed::new(&config.source, &self.shared.repositories);
                self.config = config;
                // What was refused may be let in now: a secret or a setting may be another.
                self.memory.refused.clear();
                self.asked = Some(Cause::Settings);
                self.next_look = Instant::now();
                let (mode, source, suspended) = (self.config.mode.word(), self.feed.shown(), self.is_suspended());
                self.shared.board.change(&self.config.name, |stack| {
                    mode.clone_into(&mut stack.mode);
                    stack.source = source;
                    stack.suspended = suspended;
                });
            }
        }
    }

    /// Looks whether there is anything to do, and does it.
    async fn turn(&mut self) {
        let newest = self.look().await;
        if self.stopping() {
            return;
        }
        let changed = newest.as_ref().is_some_and(|newest| self.memory.tree.as_deref() != Some(newest.tree.as_str()));
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
        let cause = match self.asked.take() {
            Some(asked) => Some(asked),
            None if changed => Some(Cause::Push),
            None if due(self.retry) => Some(Cause::Retry),
            None if due(self.opens) => Some(Cause::Window),
            None if due(Some(self.next_drift)) => Some(Cause::Drift),
            None => None,
        };
        if let Some(cause) = cause {
            (self.retry, self.opens) = (None, None);
            self.next_drift = Instant::now() + self.config.drift_interval + some_of(self.config.drift_interval / 20);
            self.reconcile(cause, newest.clone()).await;
        } else if self.untold.is_some() {
            feedback::tell_again(self).await;
        }
        if let Some(newest) = newest
            && self.config.plan_pulls
            && (self.pulls.is_some() || Instant::now() >= self.next_pulls)
            && !self.stopping()
        {
            let every = self.config.interval.max(PULLS);
            self.next_pulls = Instant::now() + every;
            // What another stack of the repository asked a moment ago will do, unless a webhook told of news.
            let now = Instant::now();
            let since = self.pulls.take().or_else(|| now.checked_sub(every.mul_f64(0.9))).unwrap_or(now);
            feedback::pulls(self, &newest, since).await;
        }
    }

    /// What a reader that blocks comes to; nothing once the agent ends, whatever the reader waits for.
    pub(super) async fn read<T: Send + 'static>(&self, reader: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut end = self.shared.ending.subscribe();
        let task = tokio::task::spawn_blocking(reader);
        tokio::select! {
            biased;
            _ = end.wait_for(|end| *end) => None,
            // A reader that panicked is a defect, and the next one may go well.
            read = task => read.ok(),
        }
    }

    /// Asks the source for its newest state; what is wrong with it is shown, and what was good stays in force.
    async fn look(&mut self) -> Option<Newest> {
        let (fresh, interval) = (self.fresh.take(), self.config.interval);
        let shared = self.shared.clone();
        let Ok(_turn) = shared.polls.acquire().await else { return None };
        let (feed, beside) = (self.feed.clone(), self.memory.beside.clone());
        // What another stack of the repository fetched since is new enough.
        let age = move || fresh.map_or_else(|| interval.mul_f64(0.9), |at| at.elapsed());
        let answer = self.read(move || feed.newest(age(), &beside)).await;
        self.next_look = Instant::now() + self.config.interval + some_of(self.config.interval / 10);
        match answer? {
            Ok(newest) => {
                if self.lost > 0 {
                    self.lost = 0;
                    self.source_is_back();
                }
                Some(newest)
            }
            Err(error) => {
                self.lost += 1;
                if self.lost == 1 {
                    tracing::warn!(stack = self.config.name, %error, "the source cannot be read; what was read before stays in force");
                    self.source_is_lost(&error);
                } else {
                    tracing::debug!(stack = self.config.name, %error, "the source still cannot be read");
                    self.show_trouble(&error);
                }
                None
            }
        }
    }

    /// Whether the source's newest state is not to be had, so that an older one is in force.
    pub(super) fn is_without_source(&self) -> bool {
        self.lost > 0 || self.unreadable
    }

    /// Shows what is wrong with the source now, which may be another thing than before.
    fn show_trouble(&self, error: &SourceError) {
        let why = Some(masked(&error.message).into_owned());
        if self.shared.board.stack(&self.config.name, |stack| stack.source_trouble != why).unwrap_or(true) {
            self.shared.board.change(&self.config.name, |stack| stack.source_trouble = why);
        }
    }

    fn source_is_lost(&mut self, error: &SourceError) {
        self.show_trouble(error);
        feedback::source_lost(self, error);
    }

    fn source_is_back(&mut self) {
        if !self.is_without_source() {
            self.shared.board.change(&self.config.name, |stack| stack.source_trouble = None);
            feedback::source_found(self);
        }
    }

    /// The texts to reconcile from: the newest, else those that were last good.
    ///
    /// Also tells whether they stand in for newer ones that cannot be used.
    async fn texts(&mut self, newest: Option<Newest>, cause: Cause) -> Option<(Newest, Arc<Snapshot>, bool)> {
        let feed = self.feed.clone();
        let (good, beside) = (self.memory.good.clone(), self.memory.beside.clone());
        // What cannot be used was told when it came: until there is news, what was good is kept true.
        let known_bad = newest.as_ref().is_some_and(|newest| self.memory.bad.as_ref() == Some(&newest.tree));
        let use_good = known_bad && !matches!(cause, Cause::Request | Cause::Push | Cause::Settings);
        let asked = newest.clone();
        let read = self.read(move || {
            let recalled = || good.as_deref().and_then(|good| feed.recall(good, &beside));
            let (newest, old) = match newest {
                Some(newest) if !use_good => (newest, false),
                Some(newest) => recalled().map_or((newest, false), |good| (good, true)),
                None => (recalled()?, true),
            };
            Some(feed.snapshot(&newest).map(|snapshot| (newest, snapshot, old)))
        });
        match read.await?? {
            Ok((newest, snapshot, old)) => {
                if !old && std::mem::take(&mut self.unreadable) {
                    self.source_is_back();
                }
                Some((newest, snapshot, old && self.memory.bad.is_some()))
            }
            Err(error) => {
                tracing::warn!(stack = self.config.name, %error, "the source cannot be read");
                self.unreadable = true;
                if let Some(asked) = asked {
                    feedback::unreadable(self, &asked.revision, &error).await;
                    if !error.passes {
                        // Until there is news, what was good is kept true.
                        self.memory.tree = Some(asked.tree.clone());
                        self.memory.bad = Some(asked.tree);
                        self.memory.bad_why = masked(&error.message).into_owned();
                    }
                }
                self.source_is_lost(&error);
                None
            }
        }
    }

    /// What a run is asked to do.
    pub(super) fn options(&self, snapshot: Arc<Snapshot>) -> Options {
        let settings = self.shared.settings();
        let config = &self.config;
        let folder = self.shared.state.stack(&config.name).unwrap_or_default();
        let urls = config.connections.iter().filter_map(|(name, known)| Some((name.clone(), known.url.clone()?)));
        Options {
            // Its folder is where the inventory is, unless something else is said.
            inputs: vec![folder.to_string_lossy().into_owned()],
            snapshot: Some(snapshot),
            stack: Some(config.name.clone()),
            inventory: config.inventory.clone(),
            connections: urls.collect(),
            allow_hosts: settings.allow_hosts.clone(),
            secrets: ResolvePolicy { allow_exec: false, ..settings.policy.clone() },
            prune: config.prune,
            max_deletes: config.max_deletes,
            keep_going: config.keep_going,
            keep_key: true,
            progress: Arc::new(Listener(self.shared.metrics.clone())),
            stop: self.shared.stop.clone(),
            budgets: self.shared.budgets.clone(),
            pace: self.shared.pace,
            ..Options::default()
        }
    }

    fn gate(&mut self) -> Gate {
        match self.config.mode {
            Mode::Plan => Gate::Show,
            Mode::Observe => Gate::DriftOnly,
            Mode::Enforce => match gate(&self.config.windows, jiff::Timestamp::now()) {
                Ok(()) => Gate::Apply,
                Err(next) => {
                    let wait = next.map(|next| next.duration_since(jiff::Timestamp::now()).unsigned_abs());
                    self.opens = wait.map(|wait| Instant::now() + wait + Duration::from_secs(1));
                    let when = next.map_or_else(|| "at no time".to_owned(), |next| format!("from {next} on"));
                    Gate::Closed(format!("It may be applied {when}."))
                }
            },
        }
    }

    async fn reconcile(&mut self, cause: Cause, newest: Option<Newest>) {
        let Some((mut newest, snapshot, instead)) = self.texts(newest, cause).await else { return };
        let news = !instead && self.memory.tree.as_deref() != Some(newest.tree.as_str());
        if news {
            self.memory.refused.clear();
        }
        let shared = self.shared.clone();
        let Ok(_turn) = shared.runs.acquire().await else { return };
        if self.stopping() {
            return;
        }
        let gate = self.gate();
        let began = now();
        let run = format!("{:x}{:04x}", jiff::Timestamp::now().as_millisecond(), fastrand::u16(..));
        let (name, revision) = (self.config.name.clone(), newest.revision.clone());
        self.shared.board.change(&name, |stack| {
            stack.busy = true;
            stack.closed = match &gate {
                Gate::Closed(why) => Some(why.clone()),
                _ => None,
            };
        });
        if news || matches!(cause, Cause::Request | Cause::Start) {
            self.memory.concerned = Some(revision.commit.clone());
            feedback::begun(self, &revision);
        }
        tracing::info!(stack = name, cause = cause.word(), commit = revision.commit, "reconciling");
        let options = self.options(snapshot.clone());
        let span = tracing::info_span!(
            target: TRACED,
            "reconcile",
            otel.name = "reconcile",
            plumb.stack = name,
            plumb.cause = cause.word(),
            vcs.ref.head.revision = revision.commit,
        );
        let refused = std::mem::take(&mut self.memory.refused);
        let found = tracing::Instrument::instrument(reconcile::step(&options, &gate, &refused), span).await;
        if found.interrupted && !found.applied {
            self.memory.refused = refused;
            self.shared.board.change(&name, |stack| stack.busy = false);
            return;
        }
        let mut beside = snapshot.sources.dependencies();
        beside.sort();
        beside.dedup();
        if beside != self.memory.beside {
            // What was planned is known by all that it depends on from now on.
            let (feed, commit) = (self.feed.clone(), newest.revision.commit.clone());
            self.memory.beside.clone_from(&beside);
            if let Some(Some(whole)) = self.read(move || feed.recall(&commit, &beside)).await {
                newest.tree = whole.tree;
            }
        }
        self.note(cause, &newest, instead, &run, began, found).await;
    }

    /// Takes in what a run found, and tells everybody.
    async fn note(&mut self, cause: Cause, newest: &Newest, instead: bool, run: &str, began: i64, mut found: Found) {
        let name = self.config.name.clone();
        self.shared.metrics.ran(&name, &found);
        let who = Who {
            agent: self.shared.settings().name.clone(),
            author: newest.revision.author.clone(),
            cause: cause.word().to_owned(),
        };
        if let Err(error) = self.shared.log.append(&who, &name, run, &found) {
            tracing::error!(stack = name, %error, "the change log cannot be written");
        }
        self.memory.refused = std::mem::take(&mut found.lasting);
        reconcile::date_drift(&mut found.objects, &mut self.memory.drift);
        let passes = found.class.is_some_and(crate::failure::Class::passes);
        if found.state == StackState::Failed && passes {
            let wait = RETRY
                .saturating_mul(1 << self.memory.attempts.min(10))
                .min(LONGEST_RETRY)
                .min(self.config.drift_interval);
            self.memory.attempts = self.memory.attempts.saturating_add(1);
            self.retry = Some(Instant::now() + wait / 2 + some_of(wait / 2));
        } else {
            self.memory.attempts = 0;
        }
        // A plan that holds nothing but what waits for its window waits for nothing once it is empty.
        if matches!(found.state, StackState::Synced) {
            self.opens = None;
        }
        // What was interrupted goes on at the next start, which takes it for a stack that is new to it.
        self.memory.config = if found.interrupted { String::new() } else { self.config.text.clone() };
        if instead {
            found.state = StackState::Failed;
            found.class = found.class.or(Some(crate::failure::Class::User));
            found.message = format!("{} What was good before is kept true.", self.memory.bad_why);
        } else if found.usable {
            self.memory.tree = Some(newest.tree.clone());
            self.memory.good = Some(newest.revision.commit.clone());
            self.memory.bad = None;
        } else if found.document.is_some() {
            self.memory.tree = Some(newest.tree.clone());
            self.memory.bad = Some(newest.tree.clone());
            self.memory.bad_why.clone_from(&found.message);
        }
        self.show(cause, &newest.revision, run, began, &mut found);
        if !instead {
            feedback::ended(self, &newest.revision, &found).await;
        }
        self.save();
    }

    fn show(&mut self, cause: Cause, revision: &RevisionView, run: &str, began: i64, found: &mut Found) {
        let summary = found.document.as_ref().map(|document| document.summary).unwrap_or_default();
        let next = now() + seconds(self.next_drift);
        let drift_since = self.memory.drift.values().min().copied();
        let applied = found.applied;
        let remembered = RunView {
            run: run.to_owned(),
            began,
            seconds: found.seconds,
            cause: cause.word().to_owned(),
            state: found.state,
            applied,
            commit: revision.commit.clone(),
            summary,
            message: found.message.clone(),
        };
        let plan = found.document.clone().map(Arc::new);
        let objects = Arc::new(std::mem::take(&mut found.objects));
        let edges = Arc::new(std::mem::take(&mut found.edges));
        let mut shown = None;
        self.shared.board.change(&self.config.name, |stack| {
            stack.busy = false;
            stack.state = found.state;
            stack.message.clone_from(&found.message);
            stack.hints.clone_from(&found.hints);
            stack.last_run = Some(began);
            stack.next_run = Some(next);
            stack.drift_since = drift_since;
            if found.state == StackState::Synced {
                stack.last_success = Some(now());
                stack.closed = None;
            }
            if plan.is_some() {
                stack.revision = Some(revision.clone());
                stack.plan = plan;
                stack.objects = objects;
                stack.edges = edges;
                stack.budgets.extend(std::mem::take(&mut found.budgets));
                stack.summary = pending(&summary, applied, stack.plan.as_deref());
            }
            // A run that found what the last one found is no news.
            let same = stack.runs.first().is_some_and(|last| {
                !applied
                    && last.state == remembered.state
                    && last.commit == remembered.commit
                    && last.message == remembered.message
                    && cause == Cause::Drift
            });
            if !same {
                stack.remember(remembered);
            }
            shown = Some(stack.clone());
        });
        self.memory.view = shown.unwrap_or_default();
    }

    /// Keeps what is known for the time after a restart.
    pub(super) fn save(&self) {
        if let Err(error) = self.shared.state.write(&self.config.name, &self.memory) {
            tracing::error!(stack = self.config.name, %error, "the state folder cannot be written");
        }
    }

    /// The branch that the stack follows, as far as that is known.
    pub(super) fn branch(&self, newest: &Newest) -> Option<String> {
        match &self.config.source {
            Source::Git(_) => {
                let called = &newest.revision.called;
                Some(called.strip_prefix("refs/heads/").unwrap_or(called).to_owned())
            }
            Source::Folder(_) => None,
        }
    }
}

/// What is still to do after a run: of an apply, what was not done.
fn pending(
    summary: &crate::plan::Summary,
    applied: bool,
    plan: Option<&crate::plan::PlanDocument>,
) -> crate::plan::Summary {
    if !applied {
        return *summary;
    }
    let mut left = crate::plan::Summary { unchanged: summary.unchanged, ..Default::default() };
    for action in plan.into_iter().flat_map(|plan| &plan.actions) {
        if action.outcome == Some(crate::plan::Outcome::Done) {
            left.unchanged += 1;
            continue;
        }
        *match action.action {
            crate::plan::ActionKind::Create => &mut left.create,
            crate::plan::ActionKind::Adopt => &mut left.adopt,
            crate::plan::ActionKind::Update => &mut left.update,
            crate::plan::ActionKind::Replace => &mut left.replace,
            crate::plan::ActionKind::Delete => &mut left.delete,
            crate::plan::ActionKind::Forget => &mut left.forget,
        } += 1;
        left.drifted += usize::from(action.drifted);
    }
    left
}

fn seconds(at: Instant) -> i64 {
    i64::try_from(at.saturating_duration_since(Instant::now()).as_secs()).unwrap_or(i64::MAX)
}

/// Connections that stand for others while a pull request is planned.
pub(super) fn stand_ins(config: &StackConfig) -> BTreeMap<String, String> {
    let named =
        config.connections.iter().filter_map(|(name, known)| Some((name.clone(), known.plan_connection.clone()?)));
    named.collect()
}
