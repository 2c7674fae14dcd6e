//! What a run tells while it is under way: events from the pipeline to whoever shows them.

use crate::{
    http::CallMade,
    plan::{ActionKind, Outcome},
};

/// Somebody who is told how a run gets on. Called from many tasks at once, and never waited for.
pub trait Progress: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: &ProgressEvent<'_>);
}

/// One step of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ProgressEvent<'a> {
    /// A collection is being listed.
    Observing {
        /// Name of the connection.
        connection: &'a str,
        /// Kind of the objects.
        kind: &'a str,
        /// Pages read so far.
        pages: u64,
        /// Pages in all, once the API told.
        total: Option<u64>,
    },
    /// A collection is listed.
    Observed {
        /// Name of the connection.
        connection: &'a str,
        /// Kind of the objects.
        kind: &'a str,
        /// Objects found.
        objects: usize,
    },
    /// Everything is observed; differences are being worked out.
    Planning,
    /// An apply begins.
    Applying {
        /// Number of its actions.
        actions: usize,
    },
    /// An action begins.
    ActionStarted {
        /// Address of its object.
        address: &'a str,
        /// What is done.
        action: ActionKind,
    },
    /// An action ended.
    ActionDone {
        /// Address of its object.
        address: &'a str,
        /// What was done.
        action: ActionKind,
        /// What came of it.
        outcome: Outcome,
    },
    /// A rollout that is waited for goes on.
    RollingOut {
        /// Address of its object.
        address: &'a str,
        /// How far it is, in words.
        how_far: &'a str,
    },
    /// Calls wait for a budget.
    Throttled {
        /// Name of the connection.
        connection: &'a str,
        /// For how long, in seconds.
        seconds: f64,
    },
    /// A request was made.
    Called(&'a CallMade),
    /// The run is over.
    Finished,
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &ProgressEvent<'_>) {}
}
