//! The client: one connection's calls, each sent until it has an answer or nothing more can be done.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use reqwest::{
    Method,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;

use super::{
    answer::Answer,
    auth::{self, Credential, Prepared, ResolvedAuth},
    base::{self, Base},
    budget::{Budget, Model},
    error::{HttpError, Site},
    hosts::is_loopback,
    quota::{self, Quota},
    send::Sending,
    spec::{Call, ClientSpec, Pace, Throttled},
    token::TokenSource,
    trail::{Called, Words},
    wire::{Stop, Wire},
};
use crate::{description::Api, diagnostic::Diagnostic, secret::Mask};

/// The longest link that is shown, in characters.
const LINK: usize = 120;

/// A client for one connection; clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What all clones share.
pub(super) struct Inner {
    pub(super) connection: String,
    pub(super) api: Arc<Api>,
    pub(super) base: Base,
    pub(super) credential: Credential,
    pub(super) wire: Wire,
    pub(super) budget: Arc<Budget>,
    pub(super) model: Model,
    pub(super) pace: Pace,
    pub(super) secrets: Arc<Mask>,
    pub(super) stop: Arc<Stop>,
    /// Headers of every request.
    pub(super) headers: HeaderMap,
    pub(super) sent: AtomicU64,
    /// Told of waits for the budget, in seconds.
    pub(super) throttled: Throttled,
    /// Told of every request.
    pub(super) called: Option<Called>,
    /// The words of the API's paths, once they are asked for.
    pub(super) words: OnceLock<Words>,
    pub(super) clock: Mutex<Option<ServerDate>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({} at {})", self.inner.connection, self.inner.base.text())
    }
}

/// The server's clock beside the local one, when an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerDate {
    /// The answer's `Date`, in whole seconds.
    pub server: SystemTime,
    /// The local clock at that time.
    pub local: SystemTime,
}

impl ServerDate {
    /// Seconds that the server's clock is ahead of the local one; negative if behind.
    pub fn skew_seconds(&self) -> f64 {
        match self.server.duration_since(self.local) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        }
    }
}

impl Client {
    /// Checks the specification and sets the client up; sends nothing. A host that no credential may be sent to, a way
    /// to authenticate that the API does not offer, or a bad URL is an error.
    pub fn new(spec: &ClientSpec) -> Result<Self, Diagnostic> {
        let base = Base::new(&spec.connection, &spec.api, &spec.url)?;
        spec.allowed_hosts.check(&spec.connection, &spec.api, "url", base.url())?;
        let prepared = auth::prepare(spec, &base)?;
        if let Some(proxy) = &spec.transport.proxy {
            let url = base::parse(&spec.connection, "proxy", proxy)?;
            spec.allowed_hosts.check(&spec.connection, &spec.api, "proxy", &url)?;
        }
        let only_loopback = is_loopback(base.url()) && !prepared.leaves_loopback();
        let only_plain = base.url().scheme() == "http" && !prepared.needs_tls();
        let wire = Wire::new(&spec.pace, &spec.transport, only_loopback, only_plain).map_err(|reason| {
            Diagnostic::error(
                "PL0325",
                format!("No client can be set up for connection `{}`: {reason}.", spec.connection),
            )
            .hint("Look at `tls` and `proxy` of the connection; the machine's CA certificates may be missing, too.")
        })?;
        let model = Model::new(&spec.api.spec.limits, &spec.limits);
        let origin = base.url().origin().ascii_serialization();
        let budget = spec.budgets.of(
            ResolvedAuth::fingerprint(spec.auth.as_ref(), &origin),
            model,
            &spec.pace,
            spec.board.as_ref(),
        );
        let secrets = spec.secrets.clone();
        for secret in spec.auth.as_ref().map(ResolvedAuth::secrets).unwrap_or_default() {
            secrets.learn(secret.expose_secret());
        }
        let stop = Arc::new(Stop::default());
        let credential = match prepared {
            Prepared::Fixed(credential) => credential,
            Prepared::Exchange(grant, prefix) => Credential::Token(Arc::new(TokenSource {
                connection: spec.connection.clone(),
                grant: *grant,
                prefix,
                wire: wire.clone(),
                budget: budget.clone(),
                limits: spec.api.spec.limits.clone(),
                passing: spec.api.spec.errors.retry.clone(),
                pace: spec.pace,
                secrets: secrets.clone(),
                stop: stop.clone(),
                state: tokio::sync::Mutex::default(),
            })),
        };
        let inner = Inner {
            connection: spec.connection.clone(),
            api: spec.api.clone(),
            headers: headers(spec)?,
            base,
            credential,
            wire,
            budget,
            model,
            pace: spec.pace,
            secrets,
            stop,
            sent: AtomicU64::new(0),
            throttled: spec.throttled.clone(),
            called: spec.called.clone(),
            words: OnceLock::new(),
            clock: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sends a call until it has a final answer. A status from 200 to 499 is an answer like any other, but for 401 and
    /// 429; what is no answer is an error that tells whether the call may have been carried out.
    pub async fn send(&self, call: &Call) -> Result<Answer, HttpError> {
        Sending::new(&self.inner, call)?.run().await
    }

    /// Turns the next page's link in the answer to a call to `from` (a path below the version path) into path and
    /// query of the next call. A link that leads away from the API is an error.
    pub fn resolve_next(&self, from: &str, link: &str) -> Result<(String, Vec<(String, String)>), HttpError> {
        let inner = &self.inner;
        let (path, mut query) =
            inner.base.next(&inner.api, from, link).map_err(|(link, why)| HttpError::ForeignLink {
                site: inner.site(&Method::GET, from),
                // What is cut off would not be known for a secret.
                link: inner.secrets.apply(&link).chars().take(LINK).collect(),
                why,
            })?;
        // A server may repeat the credential in its links; it is added to every request anyway.
        if let Credential::Query(name, _) = &inner.credential {
            query.retain(|(key, _)| key != name);
        }
        Ok((path, query))
    }

    /// Requests that were sent, repeats included, token calls aside.
    pub fn sent(&self) -> u64 {
        self.inner.sent.load(Ordering::Relaxed)
    }

    /// Seconds that this many calls need under the connection's limits, from now on.
    pub fn seconds_for(&self, calls: u64) -> f64 {
        let (free, wait) = self.inner.budget.turns.at_hand();
        let wait = if calls > 0 { wait.as_secs_f64() } else { 0.0 };
        wait + self.inner.model.seconds_for(calls, free)
    }

    /// The first delay between attempts at a call that fails.
    pub fn first_delay(&self) -> Duration {
        self.inner.pace.first_delay
    }

    /// For how long the server may still be at a call that it did not answer.
    pub fn settle(&self) -> Duration {
        self.inner.pace.settle
    }

    /// The most calls that are under way at the same time.
    pub fn concurrency(&self) -> u32 {
        self.inner.model.concurrency
    }

    /// The base URL with the version path, without a slash at the end.
    pub fn base_url(&self) -> &str {
        self.inner.base.text()
    }

    /// Name of the connection.
    pub fn connection(&self) -> &str {
        &self.inner.connection
    }

    /// The API.
    pub fn api(&self) -> &Arc<Api> {
        &self.inner.api
    }

    /// The API's limit as its last answer told it.
    pub fn quota(&self) -> Quota {
        self.inner.budget.turns.quota()
    }

    /// The server's clock as its last answer told it.
    pub fn server_date(&self) -> Option<ServerDate> {
        *self.inner.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text with the connection's secrets masked.
    pub fn mask(&self, text: &str) -> String {
        self.inner.secrets.apply(text).into_owned()
    }

    /// Lets no further call start; those under way finish.
    pub fn stop(&self) {
        self.inner.stop.set();
    }
}

impl Inner {
    pub(super) fn site(&self, method: &Method, path: &str) -> Arc<Site> {
        Arc::new(Site::new(&self.connection, method.clone(), self.base.shown(path)))
    }

    /// The path of a call with `{id}` for everything that differs from object to object.
    pub(super) fn route(&self, path: &str) -> String {
        self.words.get_or_init(|| Words::of(&self.api)).route(path)
    }

    /// Notes what an answer's headers say of clock and limit.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let now = SystemTime::now();
        if let Some(server) = quota::server_time(headers) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(ServerDate { server, local: now });
        }
        let (quota, reset) = quota::read(&self.api.spec.limits, headers, now);
        self.budget.turns.told(quota, reset.map(|reset| self.pace.scaled(reset)));
    }
}

/// The headers of every request: the customary ones, then the description's.
fn headers(spec: &ClientSpec) -> Result<HeaderMap, Diagnostic> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &spec.api.spec.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(Diagnostic::error(
                "PL0325",
                format!("API `{}` describes the header `{name}`, which cannot be sent.", spec.api.name),
            ));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}
