//! What ends a run: one class, one sentence, and what to do about it. The class alone decides the exit code of the
//! command line, whether an agent tries again, and the label of a metric.

use std::fmt;

use serde::Serialize;

/// What kind of trouble ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The arguments or the manifests are wrong.
    User,
    /// The machine is not set up for it: a file, a variable, a folder, an inventory that cannot be opened.
    Config,
    /// An API or a remote inventory did not answer as it should.
    Remote,
    /// Somebody else is at work on the same stack.
    Conflict,
    /// Refused for safety.
    Refused,
    /// The saved plan is not what would be done now.
    Stale,
    /// Interrupted, after the calls in flight were recorded.
    Interrupted,
    /// A defect of plumb.
    Internal,
}

impl Class {
    /// The word for logs, events and metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Config => "config",
            Self::Remote => "remote",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }

    /// Whether the same run may succeed later although nobody changed anything.
    pub fn passes(self) -> bool {
        matches!(self, Self::Remote | Self::Conflict | Self::Interrupted)
    }
}

/// The reason why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Failure {
    /// What kind of trouble it is.
    pub class: Class,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do about it, one sentence each.
    pub hints: Vec<String>,
}

impl Failure {
    /// Makes a failure of a class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hints: Vec::new() }
    }

    /// Makes a failure of wrong arguments or manifests.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Class::User, message)
    }

    /// Makes a failure of the machine's set-up.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Class::Config, message)
    }

    /// Makes a failure of an API or a remote inventory.
    pub fn remote(message: impl Into<String>) -> Self {
        Self::new(Class::Remote, message)
    }

    /// Makes a failure for a stack that somebody else works on.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Class::Conflict, message)
    }

    /// Makes a refusal.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Class::Refused, message)
    }

    /// Makes a failure of a saved plan that no longer holds.
    pub fn stale(message: impl Into<String>) -> Self {
        Self::new(Class::Stale, message)
    }

    /// Makes the failure of an interrupted run.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Class::Interrupted, message)
    }

    /// Makes a failure that is a defect of plumb.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Class::Internal, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
