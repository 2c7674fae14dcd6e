//! What a client is made from, and what it is asked to send.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::{
    auth::ResolvedAuth,
    budget::{Budgets, Naming},
    hosts::HostPolicy,
    shares::Board,
};
use crate::{description::Api, manifest::ConnectionLimits, secret::Mask};

/// Everything that a client needs to know.
#[derive(Clone)]
pub struct ClientSpec {
    /// Name of the connection, for messages.
    pub connection: String,
    /// The API.
    pub api: Arc<Api>,
    /// Base URL, with or without the API's version path.
    pub url: String,
    /// The credential; none where the API wants none.
    pub auth: Option<ResolvedAuth>,
    /// Limits that replace the API's.
    pub limits: ConnectionLimits,
    /// Hosts that may be called.
    pub allowed_hosts: HostPolicy,
    /// The secrets that texts of errors and log lines must not have; the client adds its credential and tokens.
    pub secrets: Arc<Mask>,
    /// Time-outs and the pace of repeats.
    pub pace: Pace,
    /// TLS and proxy, where the usual does not do.
    pub transport: Transport,
    /// Budgets of credentials that other clients of this process use too.
    pub budgets: Budgets,
    /// Where machines share the budget, and how its name is made there.
    pub board: Option<(Arc<dyn Board>, Naming)>,
    /// Told of waits for the budget, in seconds.
    pub throttled: Throttled,
    /// Told of every request.
    pub called: Option<super::Called>,
}

/// Told of waits for a budget: how many seconds they take.
pub type Throttled = Arc<dyn Fn(f64) + Send + Sync>;

impl ClientSpec {
    /// A specification with defaults: no credential, no further hosts, no other secrets.
    pub fn new(connection: impl Into<String>, api: Arc<Api>, url: impl Into<String>) -> Self {
        Self {
            connection: connection.into(),
            api,
            url: url.into(),
            auth: None,
            limits: ConnectionLimits::default(),
            allowed_hosts: HostPolicy::default(),
            secrets: Arc::default(),
            pace: Pace::default(),
            transport: Transport::default(),
            budgets: Budgets::default(),
            board: None,
            throttled: Arc::new(|_| ()),
            called: None,
        }
    }
}

impl fmt::Debug for ClientSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientSpec({} at {})", self.connection, self.url)
    }
}

/// TLS and proxy of a connection, its secrets resolved.
#[derive(Clone, Default)]
pub struct Transport {
    /// Certificates (PEM) that servers may be signed by, besides the machine's.
    pub ca: Vec<SecretString>,
    /// The client's certificate and key (PEM).
    pub identity: Option<(SecretString, SecretString)>,
    /// Server certificates are not checked.
    pub insecure_skip_verify: bool,
    /// URL of the HTTP proxy.
    pub proxy: Option<String>,
}

/// Time-outs, the pace of repeats, and how much of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Longest time to connect.
    pub connect: Duration,
    /// Longest silence while an answer is read.
    pub silence: Duration,
    /// Longest time of one attempt, its answer's body included.
    pub total: Duration,
    /// Attempts at a call that fails.
    pub attempts: u32,
    /// The first delay between attempts is random up to this; it doubles from attempt to attempt.
    pub first_delay: Duration,
    /// The longest delay between attempts.
    pub longest_delay: Duration,
    /// Longest time from the first attempt to the last, and longest wait for an API's limit to come back.
    pub overall: Duration,
    /// Length of a second in windows and in what servers ask for, in seconds; 1 but in tests.
    pub second: f64,
    /// For how long a server may still be at a call that it did not answer.
    pub settle: Duration,
    /// The largest body that is read, in bytes.
    pub largest_body: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_mins(1),
            total: Duration::from_mins(2),
            attempts: 6,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
            overall: Duration::from_mins(5),
            second: 1.0,
            settle: Duration::from_secs(10),
            largest_body: 64 * 1024 * 1024,
        }
    }
}

impl Pace {
    /// A time that was told in seconds, at this pace.
    pub(super) fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.second.max(0.0))
    }
}

/// When a call may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// After any passing fault: twice is the same as once (GET, PUT, DELETE, a merge of the same values).
    Always,
    /// Only when the server surely did not carry it out: it was not connected, or answered 429, or 503 with
    /// `Retry-After` (a create).
    IfNotProcessed,
}

/// One call.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path below the version path, percent-encoded, such as `/organizations/3`.
    pub path: String,
    /// Query parameters, not encoded.
    pub query: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<Value>,
    /// When it may be sent again.
    pub repeat: Repeat,
    /// Further headers; a `content-type` replaces the description's.
    pub headers: Vec<(String, String)>,
    /// When its attempts may start, and until when they have to have ended.
    pub leave: Option<Leave>,
}

/// Between which instants the attempts of a call may be under way, as it stands at the moment of asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// An attempt waits while this lies in the past.
    pub start_by: Option<Instant>,
    /// No attempt starts after this instant or goes on past it.
    pub end_by: Option<Instant>,
}

/// Tells the terms of a call each time that an attempt waits or starts; they may change meanwhile.
#[derive(Clone)]
pub struct Leave(Arc<dyn Fn() -> Terms + Send + Sync>);

impl Leave {
    /// Terms that are worked out by a function.
    pub fn new(terms: impl Fn() -> Terms + Send + Sync + 'static) -> Self {
        Self(Arc::new(terms))
    }

    /// A fixed end.
    pub fn until(end: Instant) -> Self {
        Self::new(move || Terms { start_by: None, end_by: Some(end) })
    }

    /// The terms now.
    pub(super) fn terms(&self) -> Terms {
        (self.0)()
    }
}

impl PartialEq for Leave {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {}, {:?})", self.method, self.path, self.repeat)
    }
}

impl Call {
    /// A call without query and body; POST and PATCH are repeated only if not processed, all else always.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let repeat =
            if method == Method::POST || method == Method::PATCH { Repeat::IfNotProcessed } else { Repeat::Always };
        Self { method, path: path.into(), query: Vec::new(), body: None, repeat, headers: Vec::new(), leave: None }
    }

    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets when it may be sent again.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}
