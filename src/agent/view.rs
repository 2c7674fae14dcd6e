//! What is known of each stack, for whoever looks: the status page, the metrics and the commands. The agent and the
//! operator write it, and nothing in it is secret.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::plan::{PlanDocument, Summary};

/// Runs that are remembered of each stack.
pub const RUNS: usize = 50;

/// How a stack is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StackState {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// Everything is as declared.
    Synced,
    /// There are changes that nobody has applied.
    Pending,
    /// Something changed behind plumb's back.
    Drifted,
    /// A person must act, such as accept an invitation.
    Waiting,
    /// It failed, or was refused for safety.
    Failed,
}

impl StackState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Unknown, Self::Synced, Self::Pending, Self::Drifted, Self::Waiting, Self::Failed];

    /// The word for labels and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Synced => "synced",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// How one object is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectView {
    /// Its address.
    pub address: String,
    /// Its connection.
    pub connection: Arc<str>,
    /// API and kind, such as `itglue/Organization`.
    pub kind: Arc<str>,
    /// How it is.
    pub state: StackState,
    /// What the plan does to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Id of the live object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Since when it differs from what plumb wrote, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The commit that a stack is at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its id, or a hash of the files.
    pub commit: String,
    /// What led to it, such as `main`.
    #[serde(default)]
    pub called: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// First line of its message.
    #[serde(default)]
    pub title: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Which one it was.
    pub run: String,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Why it ran: `push`, `drift`, `request`, `start`, `retry` or `window`.
    pub cause: String,
    /// What it came to.
    pub state: StackState,
    /// Whether anything was applied.
    pub applied: bool,
    /// The commit.
    pub commit: String,
    /// What it did, or would do, in numbers.
    pub summary: Summary,
    /// What went wrong, or what it did, in a sentence.
    pub message: String,
}

/// What is left of a connection's limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetView {
    /// The API.
    pub api: String,
    /// Requests allowed in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Requests left in this window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// When the window ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<i64>,
}

/// A pull request's plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullView {
    /// Its number.
    pub number: u64,
    /// The commit that was planned.
    pub head: String,
    /// The plan, with values where those may be told.
    pub plan: Arc<PlanDocument>,
}

/// One stack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StackView {
    /// Counts its changes since the start.
    #[serde(skip)]
    pub version: u64,
    /// Its name.
    pub name: String,
    /// What is done with its plan.
    pub mode: String,
    /// Where its manifests are, without credentials.
    pub source: String,
    /// How it is.
    pub state: StackState,
    /// Why, in a sentence.
    pub message: String,
    /// What can be done about it.
    pub hints: Vec<String>,
    /// Why the source cannot be read; what was read before stays in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_trouble: Option<String>,
    /// Nothing is done until it is lifted.
    pub suspended: bool,
    /// It is at work.
    pub busy: bool,
    /// When it may apply again, where it may not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// The commit that it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionView>,
    /// When it last came out as declared, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<i64>,
    /// When it was last compared, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<i64>,
    /// When it will be compared next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<i64>,
    /// Since when anything of it has drifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_since: Option<i64>,
    /// The last plan in numbers.
    pub summary: Summary,
    /// Its objects.
    pub objects: Arc<Vec<ObjectView>>,
    /// What depends on what: indices of objects.
    pub edges: Arc<Vec<(usize, usize)>>,
    /// The last plan, or the report of the last apply.
    pub plan: Option<Arc<PlanDocument>>,
    /// What is left of the limits of its connections.
    pub budgets: BTreeMap<String, BudgetView>,
    /// The last runs, the newest first.
    pub runs: Vec<RunView>,
    /// The pull requests that were planned.
    pub pulls: Vec<PullView>,
}

impl StackView {
    /// Remembers a run.
    pub fn remember(&mut self, run: RunView) {
        self.runs.insert(0, run);
        self.runs.truncate(RUNS);
    }
}

/// All stacks, and whether anything about them changed.
#[derive(Debug)]
pub struct Board {
    stacks: Mutex<BTreeMap<String, StackView>>,
    changed: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { stacks: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StackView>> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a stack, which is made where it is new.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut StackView)) {
        {
            let mut stacks = self.lock();
            let stack = stacks
                .entry(name.to_owned())
                .or_insert_with(|| StackView { name: name.to_owned(), ..StackView::default() });
            change(stack);
            stack.version = self.changed.borrow().wrapping_add(1);
        }
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Forgets a stack.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Looks at one stack.
    pub fn stack<T>(&self, name: &str, look: impl FnOnce(&StackView) -> T) -> Option<T> {
        self.lock().get(name).map(look)
    }

    /// Looks at all stacks, in the order of their names.
    pub fn each<T>(&self, look: impl FnMut(&StackView) -> T) -> Vec<T> {
        self.lock().values().map(look).collect()
    }

    /// Tells of changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// Now, in seconds since 1970.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
