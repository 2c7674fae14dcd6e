//! What can go wrong with a call, in words that name the connection and the call and never show a query or a secret.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::Method;

use super::answer::Answer;
use crate::diagnostic::Diagnostic;

/// Which call of which connection an answer or an error belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name of the connection.
    pub connection: String,
    /// Method of the call.
    pub method: Method,
    /// Path of the call with the API's version path, without prefix and query.
    pub path: String,
}

impl Site {
    /// Names a call.
    pub fn new(connection: impl Into<String>, method: Method, path: impl Into<String>) -> Self {
        let path: String = path.into();
        let path = path.split_once('?').map_or(path.clone(), |(path, _)| path.to_owned());
        Self { connection: connection.into(), method, path }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} {}` of connection `{}`", self.method, self.path, self.connection)
    }
}

/// Whether the server may have carried a failed call out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Processed {
    /// Surely not.
    No,
    /// Nobody knows.
    Maybe,
}

/// What kind of trouble an error is, and so what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The credential is not accepted.
    Auth,
    /// The credential is accepted but may not do this.
    Permission,
    /// It may pass by itself.
    Transient,
    /// The API refuses, or answers what nobody can read.
    Remote,
    /// The connection or the description is wrong.
    Config,
}

/// Why a call has no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// The call never reached the server.
    #[error("{site} could not be sent: {reason}")]
    NotSent {
        /// The call.
        site: Arc<Site>,
        /// Why.
        reason: String,
    },
    /// The call was sent and no whole answer came.
    #[error("{site} got no complete answer: {reason}")]
    Unanswered {
        /// The call.
        site: Arc<Site>,
        /// Why.
        reason: String,
    },
    /// The API does not accept the credential (401), or the login failed.
    #[error("{site} was refused: {message}")]
    Auth {
        /// The call.
        site: Arc<Site>,
        /// What came.
        message: String,
        /// The answer, where the call itself had one.
        answer: Option<Box<Answer>>,
    },
    /// The API refused the call for good (4xx), as the reader of its answer found.
    #[error("{site} was refused ({}): {message}", answer.status)]
    Refused {
        /// The call.
        site: Arc<Site>,
        /// What the API said.
        message: String,
        /// The answer.
        answer: Box<Answer>,
    },
    /// The server failed (5xx) on every attempt.
    #[error("{site} failed with status {} on {}: {message}", answer.status, attempts(answer.attempts))]
    Server {
        /// The call.
        site: Arc<Site>,
        /// What the server said.
        message: String,
        /// The last answer.
        answer: Box<Answer>,
        /// Whether any attempt may have been carried out.
        processed: Processed,
    },
    /// The API's limit is used up for longer than plumb waits.
    #[error("{site} got no turn: the API's limit is used up{}", wait.map(for_the_next).unwrap_or_default())]
    RateLimited {
        /// The call.
        site: Arc<Site>,
        /// For how long, where the API says so.
        wait: Option<Duration>,
    },
    /// The server answered with a redirect that is not followed.
    #[error("{site} was answered with status {status} and a redirect to `{to}`, which is not followed")]
    Redirected {
        /// The call.
        site: Arc<Site>,
        /// Status of the answer.
        status: u16,
        /// Where to, without query.
        to: String,
    },
    /// The answer cannot be used.
    #[error("{site} was answered with {came} where {expected} was expected")]
    Unusable {
        /// The call.
        site: Arc<Site>,
        /// What came.
        came: String,
        /// What was expected.
        expected: String,
    },
    /// The next page's link leads away from the API.
    #[error("{site} was answered with a link to the next page at `{link}`, {why}")]
    ForeignLink {
        /// The call.
        site: Arc<Site>,
        /// Where the link leads, without query.
        link: String,
        /// What is wrong with that.
        why: &'static str,
    },
    /// The call cannot be made from its path, headers and body.
    #[error("{site} cannot be made: {reason}")]
    Malformed {
        /// The call.
        site: Arc<Site>,
        /// Why.
        reason: String,
    },
    /// The run was interrupted before the call, or between two attempts.
    #[error("{site} was not sent: the run was interrupted")]
    Interrupted {
        /// The call.
        site: Arc<Site>,
        /// Whether an earlier attempt may have been carried out.
        processed: Processed,
    },
    /// The call could not be made before its deadline.
    #[error("{site} was not sent: its deadline had come")]
    Late {
        /// The call.
        site: Arc<Site>,
        /// Whether an earlier attempt may have been carried out.
        processed: Processed,
    },
}

fn attempts(count: u32) -> String {
    if count == 1 { "one attempt".into() } else { format!("each of {count} attempts") }
}

fn for_the_next(wait: Duration) -> String {
    format!(" for the next {} s", wait.as_secs_f64().ceil().max(1.0))
}

impl HttpError {
    /// The call that it is about.
    pub fn site(&self) -> &Site {
        match self {
            Self::NotSent { site, .. }
            | Self::Unanswered { site, .. }
            | Self::Auth { site, .. }
            | Self::Refused { site, .. }
            | Self::Server { site, .. }
            | Self::RateLimited { site, .. }
            | Self::Redirected { site, .. }
            | Self::Unusable { site, .. }
            | Self::ForeignLink { site, .. }
            | Self::Malformed { site, .. }
            | Self::Interrupted { site, .. }
            | Self::Late { site, .. } => site,
        }
    }

    /// Whether the server may have carried the call out all the same.
    pub fn processed(&self) -> Processed {
        match self {
            Self::Server { processed, .. } | Self::Interrupted { processed, .. } | Self::Late { processed, .. } => {
                *processed
            }
            Self::Unanswered { .. } | Self::Unusable { .. } | Self::ForeignLink { .. } | Self::Redirected { .. } => {
                Processed::Maybe
            }
            Self::NotSent { .. }
            | Self::Auth { .. }
            | Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::Malformed { .. } => Processed::No,
        }
    }

    /// The same with what the answer's body means, as its reader finds, in place of the body's beginning.
    #[must_use]
    pub fn reworded(self, words: &dyn Fn(&[u8]) -> Option<String>) -> Self {
        match self {
            Self::Auth { site, message, answer: Some(answer) } => {
                Self::Auth { message: answer.reworded(&message, words), site, answer: Some(answer) }
            }
            Self::Server { site, message, answer, processed } => {
                Self::Server { message: answer.reworded(&message, words), site, answer, processed }
            }
            other => other,
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Auth { .. } => Class::Auth,
            Self::Refused { answer, .. } => match answer.status {
                401 => Class::Auth,
                403 => Class::Permission,
                _ => Class::Remote,
            },
            Self::NotSent { .. }
            | Self::Unanswered { .. }
            | Self::Server { .. }
            | Self::RateLimited { .. }
            | Self::Interrupted { .. }
            | Self::Late { .. } => Class::Transient,
            Self::Unusable { .. } | Self::ForeignLink { .. } => Class::Remote,
            Self::Redirected { .. } | Self::Malformed { .. } => Class::Config,
        }
    }

    /// Whether the same call would be refused again, until the manifest, a secret or the description changes.
    pub fn lasts(&self) -> bool {
        const PASSING: [u16; 8] = [404, 408, 409, 410, 412, 423, 425, 429];
        match self {
            Self::Auth { .. } => true,
            Self::Refused { answer, .. } => (400..500).contains(&answer.status) && !PASSING.contains(&answer.status),
            _ => false,
        }
    }

    /// Status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { answer, .. } | Self::Server { answer, .. } => Some(answer.status),
            Self::Auth { answer, .. } => answer.as_ref().map(|answer| answer.status),
            Self::Redirected { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Stable code of the diagnostic.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "PL0420",
            Self::Unanswered { .. } => "PL0421",
            Self::Auth { .. } => "PL0422",
            Self::Refused { .. } => "PL0423",
            Self::Server { .. } => "PL0424",
            Self::RateLimited { .. } => "PL0425",
            Self::Redirected { .. } => "PL0426",
            Self::Unusable { .. } => "PL0427",
            Self::ForeignLink { .. } => "PL0428",
            Self::Malformed { .. } => "PL0429",
            Self::Interrupted { .. } | Self::Late { .. } => "PL0430",
        }
    }

    fn hint(&self) -> Option<String> {
        let connection = &self.site().connection;
        Some(match self {
            Self::NotSent { .. } => {
                format!(
                    "Check `url` of connection `{connection}`, the network and the proxy; `plumb doctor` tests them."
                )
            }
            Self::Auth { .. } => format!(
                "Check `auth` of connection `{connection}`: the credential may be wrong, expired or revoked; `plumb \
                 doctor` tests it."
            ),
            Self::Refused { answer, .. } if answer.status == 403 => format!(
                "The credential of connection `{connection}` lacks a permission, or belongs to another account or \
                 region than `url`."
            ),
            Self::Redirected { to, .. } => format!(
                "Set `url` of connection `{connection}` to where the API is now, if `{to}` is right: a credential is \
                 never sent after a redirect to another place."
            ),
            Self::Unusable { expected, .. } if expected.starts_with("JSON") => {
                format!("A proxy or a sign-in page may stand before the API; check `url` of connection `{connection}`.")
            }
            Self::RateLimited { .. } => format!(
                "Wait, or lower `limits.requests` of connection `{connection}` so that others who use the same \
                 credential find something left."
            ),
            Self::Server { processed: Processed::Maybe, .. } | Self::Unanswered { .. }
                if !matches!(self.site().method, Method::GET | Method::HEAD) =>
            {
                "Run again: what was carried out is looked up first, nothing is made twice.".into()
            }
            _ => return None,
        })
    }
}

impl From<HttpError> for Diagnostic {
    fn from(error: HttpError) -> Self {
        let mut message = error.to_string();
        if !message.ends_with(['.', '!', '?']) {
            message.push('.');
        }
        let diagnostic = Self::error(error.code(), message);
        match error.hint() {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }
}
