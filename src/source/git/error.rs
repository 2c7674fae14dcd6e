//! What can be wrong with a Git source: one kind each, a diagnostic for people, and whether it may pass by itself.

use std::fmt;

use crate::diagnostic::Diagnostic;

/// What kind of trouble a Git source has. Its word is a bounded label for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The URL, a key or a setting is wrong.
    Setting,
    /// The server cannot be reached, or broke off.
    Unreachable,
    /// The server said nothing for too long, or the fetch took too long.
    TimedOut,
    /// The server does not accept the credential, or wants one.
    Denied,
    /// The server's certificate or host key is not the one that is known.
    Identity,
    /// There is no such repository, or the credential may not see it.
    NoRepository,
    /// The repository has no commit.
    Empty,
    /// There is no such branch, tag or commit.
    NoReference,
    /// The commit has nothing at this path.
    NoPath,
    /// The server sends to another host.
    Redirected,
    /// More comes than the limits allow.
    TooLarge,
    /// The commit is not signed by somebody who is allowed to.
    Signature,
    /// What the server sent, or what the cache has, is not sound.
    Broken,
}

impl Trouble {
    /// The word for logs, states and metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::Denied => "denied",
            Self::Identity => "identity",
            Self::NoRepository => "no_repository",
            Self::Empty => "empty",
            Self::NoReference => "no_reference",
            Self::NoPath => "no_path",
            Self::Redirected => "redirected",
            Self::TooLarge => "too_large",
            Self::Signature => "signature",
            Self::Broken => "broken",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Setting => "PL0004",
            Self::Unreachable => "PL0012",
            Self::TimedOut => "PL0013",
            Self::Denied => "PL0014",
            Self::Identity => "PL0015",
            Self::NoRepository => "PL0016",
            Self::Empty => "PL0017",
            Self::NoReference => "PL0018",
            Self::NoPath => "PL0019",
            Self::Redirected => "PL0020",
            Self::TooLarge => "PL0021",
            Self::Signature => "PL0022",
            Self::Broken => "PL0023",
        }
    }

    /// Whether the same fetch may succeed later although nobody changed a setting.
    pub fn passes(self) -> bool {
        matches!(self, Self::Unreachable | Self::TimedOut | Self::Broken)
    }
}

/// Why a Git source could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct GitError {
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// What happened, in one sentence that names the repository and no credential.
    pub message: String,
    /// What to do about it, one sentence each.
    pub hints: Vec<String>,
}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl GitError {
    pub(super) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self { trouble, message: message.into(), hints: Vec::new() }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The error as a diagnostic about a source.
    pub fn diagnostic(&self, source: &str) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.trouble.code(), self.message.clone()).in_file(source);
        self.hints.iter().fold(diagnostic, crate::diagnostic::Diagnostic::hint)
    }
}
