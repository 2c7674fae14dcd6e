//! One call on its way: attempts, waits, renewed tokens and followed redirects, until there is an answer or an error.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use reqwest::{
    Method, Request,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument as _;
use url::Url;

use super::{
    answer::Answer,
    auth::{self, Credential},
    client::Inner,
    error::{HttpError, Processed, Site},
    quota,
    retry::{Setback, Tries},
    spec::{Call, Leave},
    token::{Bearer, Need},
    trail::{self, CallMade},
    turns::UsedUp,
    wire::{Failure, Raw},
};

/// What the spans of requests are known by, for whoever chooses among spans.
pub const TRACED: &str = "plumb::call";
/// Redirects that are followed for one call.
const HOPS: u32 = 3;
/// Attempts at a write that is answered with 500.
const WRITES_AFTER_500: u32 = 3;
/// How often it is asked whether an attempt may start.
const LOOK: Duration = Duration::from_millis(20);

/// A call on its way.
pub(super) struct Sending<'a> {
    inner: &'a Inner,
    call: &'a Call,
    site: Arc<Site>,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    tries: Tries<'a>,
    attempts: u32,
    /// Answers with a fault of the server's own so far.
    faults: u32,
    processed: Processed,
    hops: u32,
    renewals: u32,
}

/// What an attempt came to.
enum Step {
    Done(Answer),
    Again(Duration),
}

impl<'a> Sending<'a> {
    pub(super) fn new(inner: &'a Inner, call: &'a Call) -> Result<Self, HttpError> {
        let site = inner.site(&call.method, &call.path);
        let malformed = |reason: String| HttpError::Malformed { site: site.clone(), reason };
        let own = call.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let described = inner.api.spec.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let missing = described.filter(|(name, _)| call.query.iter().all(|(own, _)| own != name));
        let url = inner.base.join(&call.path, own.chain(missing)).map_err(malformed)?;
        let mut headers = inner.headers.clone();
        let body = match &call.body {
            None => None,
            Some(body) => {
                let kind = inner.api.spec.content_type.as_deref().unwrap_or("application/json");
                let kind =
                    HeaderValue::try_from(kind).map_err(|_| malformed("its content type is not valid".into()))?;
                headers.insert(CONTENT_TYPE, kind);
                let bytes = serde_json::to_vec(body).map_err(|_| malformed("its body is not valid".into()))?;
                Some(Bytes::from(bytes))
            }
        };
        for (name, value) in &call.headers {
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
                return Err(malformed(format!("its header `{name}` is not valid")));
            };
            headers.insert(name, value);
        }
        let tries = Tries::new(&inner.pace, inner.budget.turns.window());
        Ok(Self {
            inner,
            call,
            site,
            url,
            headers,
            body,
            tries,
            attempts: 0,
            faults: 0,
            processed: Processed::No,
            hops: 0,
            renewals: 0,
        })
    }

    /// Attempts until there is an answer or an error.
    pub(super) async fn run(mut self) -> Result<Answer, HttpError> {
        loop {
            match self.attempt().await {
                Ok(Step::Done(answer)) => return Ok(answer),
                Ok(Step::Again(delay)) => {
                    if !delay.is_zero() {
                        self.patiently(sleep(delay)).await?;
                    }
                }
                Err(error) => return Err(self.final_error(error)),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Step, HttpError> {
        let inner = self.inner;
        let turns = &inner.budget.turns;
        let permit = self.patiently(inner.budget.permit()).await?;
        self.patiently(turns.slot_comes(&*inner.throttled)).await?;
        let bearer = match &inner.credential {
            Credential::Token(source) => self.patiently(source.token(Need::Call)).await??,
            _ => None,
        };
        let flight = self
            .patiently(turns.depart(&*inner.throttled))
            .await?
            .map_err(|UsedUp(wait)| HttpError::RateLimited { site: self.site.clone(), wait: Some(wait) })?;
        let request = self.request(bearer.as_ref());
        self.patiently(self.fresh()).await?;
        let end = self.call.leave.as_ref().and_then(|leave| leave.terms().end_by);
        let limit = end.map(|end| Instant::from_std(end).duration_since(Instant::now()));
        if limit.is_some_and(|limit| limit.is_zero()) {
            return Err(HttpError::Late { site: self.site.clone(), processed: self.processed });
        }
        let sent = Instant::now();
        self.attempts += 1;
        inner.sent.fetch_add(1, Ordering::Relaxed);
        let span = self.span();
        let outcome = inner.wire.fetch(request, limit).instrument(span.clone()).await;
        self.log(sent, &outcome);
        self.tell(sent, &outcome, &span);
        if let Ok(raw) = &outcome {
            inner.note(&raw.headers);
        }
        drop(flight);
        drop(permit);
        match outcome {
            Ok(raw) => self.judge(raw, bearer.as_ref(), sent).await,
            Err(failure) => self.failed(failure, sent),
        }
    }

    /// Waits until an attempt may start.
    async fn fresh(&self) {
        let stale = |leave: &Leave| leave.terms().start_by.is_some_and(|start| start <= std::time::Instant::now());
        while self.call.leave.as_ref().is_some_and(stale) {
            sleep(LOOK).await;
        }
    }

    /// Waits until the call would have to have ended; it may be given more time meanwhile.
    async fn late(&self) {
        while let Some(end) = self.call.leave.as_ref().and_then(|leave| leave.terms().end_by) {
            let end = Instant::from_std(end);
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
        std::future::pending::<()>().await;
    }

    /// Waits for something, unless the run is interrupted or the call's deadline comes.
    async fn patiently<T>(&self, future: impl Future<Output = T>) -> Result<T, HttpError> {
        let (site, processed) = (self.site.clone(), self.processed);
        let late = self.late();
        let waited = self.inner.stop.unless(async {
            tokio::select! {
                biased;
                () = late => None,
                value = future => Some(value),
            }
        });
        match waited.await {
            None => Err(HttpError::Interrupted { site, processed }),
            Some(None) => Err(HttpError::Late { site, processed }),
            Some(Some(value)) => Ok(value),
        }
    }

    fn request(&self, bearer: Option<&Bearer>) -> Request {
        let mut url = self.url.clone();
        let mut headers = self.headers.clone();
        match &self.inner.credential {
            Credential::Header(name, value) => {
                headers.insert(name, value.clone());
            }
            Credential::Query(name, secret) => {
                url.query_pairs_mut().append_pair(name, secret.expose_secret());
            }
            Credential::Token(source) => {
                if let Some(bearer) = bearer {
                    headers.insert(source.carrier(), bearer.header.clone());
                }
            }
            Credential::None => {}
        }
        let mut request = Request::new(self.call.method.clone(), url);
        *request.headers_mut() = headers;
        *request.body_mut() = self.body.clone().map(Into::into);
        request
    }

    /// The request's span, by the names of OpenTelemetry; it costs nothing where nobody traces.
    fn span(&self) -> tracing::Span {
        let span = tracing::info_span!(
            target: TRACED,
            "request",
            otel.name = tracing::field::Empty,
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            http.request.method = %self.call.method,
            http.request.resend_count = self.attempts.saturating_sub(1),
            http.response.status_code = tracing::field::Empty,
            server.address = self.url.host_str().unwrap_or_default(),
            url.template = tracing::field::Empty,
            plumb.connection = self.inner.connection,
            plumb.api = self.inner.api.name,
        );
        if !span.is_disabled() {
            let route = self.inner.route(&self.site.path);
            span.record("otel.name", format!("{} {route}", self.call.method));
            span.record("url.template", route);
        }
        span
    }

    /// Tells whoever listens what became of a request.
    fn tell(&self, sent: Instant, outcome: &Result<Raw, Failure>, span: &tracing::Span) {
        let status = outcome.as_ref().ok().map(|raw| raw.status);
        if !span.is_disabled() {
            match status {
                Some(status) => span.record("http.response.status_code", status),
                None => span.record("otel.status_code", "ERROR"),
            };
        }
        let Some(called) = &self.inner.called else { return };
        let call = CallMade {
            connection: self.inner.connection.clone(),
            api: self.inner.api.name.clone(),
            method: self.call.method.to_string(),
            route: self.inner.route(&self.site.path),
            path: self.site.path.clone(),
            status,
            seconds: sent.elapsed().as_secs_f64(),
            request_id: outcome
                .as_ref()
                .ok()
                .and_then(|raw| trail::request_id(&raw.headers))
                .map(|id| self.inner.secrets.apply(&id).into_owned()),
        };
        called(&call);
        trail::note(&call);
    }

    fn log(&self, sent: Instant, outcome: &Result<Raw, Failure>) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        tracing::debug!(
            connection = self.inner.connection,
            status = outcome.as_ref().map_or(0, |raw| raw.status),
            ms = sent.elapsed().as_millis(),
            attempt = self.attempts,
            "{} {}{}",
            self.call.method,
            self.site.path,
            self.inner.secrets.apply(&query),
        );
    }

    /// Decides what an answer means.
    async fn judge(&mut self, raw: Raw, bearer: Option<&Bearer>, sent: Instant) -> Result<Step, HttpError> {
        let status = raw.status;
        let asked = quota::retry_after(&raw.headers, SystemTime::now());
        let secrets = self.inner.secrets.clone();
        let mut answer = Answer::made(self.site.clone(), secrets, status, raw.headers, raw.body, self.attempts);
        answer.repeats_unanswered = self.processed == Processed::Maybe;
        match status {
            _ if status == 401 || self.inner.api.spec.errors.auth.contains(&status) => {
                self.unauthorized(answer, bearer).await
            }
            301 | 302 | 303 | 307 | 308 => self.redirected(&answer),
            429 | 500.. => self.set_back(answer, asked, sent),
            _ if self.inner.api.spec.errors.retry.contains(&status) => self.set_back(answer, asked, sent),
            _ => {
                self.inner.budget.grow();
                Ok(Step::Done(answer))
            }
        }
    }

    fn set_back(&mut self, answer: Answer, asked: Option<Duration>, sent: Instant) -> Result<Step, HttpError> {
        let inner = self.inner;
        let status = answer.status;
        let limited = status == 429;
        self.faults += u32::from(status >= 500);
        let setback = Setback::Status { status, dated: asked.is_some() };
        if setback.maybe_processed() {
            self.processed = Processed::Maybe;
        }
        if matches!(status, 429 | 503) {
            inner.budget.shrink(sent);
        }
        // Without `Retry-After`, a used-up limit comes back when its headers say.
        let asked = asked.or_else(|| {
            let (quota, reset) = quota::read(&inner.api.spec.limits, &answer.headers, SystemTime::now());
            reset.filter(|_| limited && quota.remaining.is_none_or(|remaining| remaining == 0))
        });
        let asked = asked.map(|wait| inner.pace.scaled(wait));
        if let Some(wait) = asked {
            inner.budget.turns.pause(wait);
        }
        // A write that the server stumbles over each time is no passing fault.
        let enough = (inner.api.spec.errors.once.contains(&status) && self.faults > 1)
            || (status == 500 && !self.is_read() && self.faults >= WRITES_AFTER_500);
        if !enough
            && setback.may_repeat(self.call.repeat, &inner.api.spec.errors.retry)
            && let Some(delay) = self.tries.next(limited, asked)
        {
            if limited && asked.is_none() {
                inner.budget.turns.pause(delay);
            }
            return Ok(Step::Again(delay));
        }
        if limited {
            return Err(HttpError::RateLimited { site: self.site.clone(), wait: asked });
        }
        if status < 500 {
            return Ok(Step::Done(answer));
        }
        let excerpt = answer.excerpt();
        let message = if excerpt.is_empty() { "it gave no explanation".into() } else { excerpt };
        let (site, processed) = (self.site.clone(), self.processed);
        Err(HttpError::Server { site, message, answer: Box::new(answer), processed })
    }

    fn failed(&mut self, failure: Failure, sent: Instant) -> Result<Step, HttpError> {
        let site = self.site.clone();
        let (setback, error, lasting) = match failure {
            Failure::NotSent { reason, lasting } => {
                self.attempts -= 1;
                self.inner.sent.fetch_sub(1, Ordering::Relaxed);
                let reason = self.inner.secrets.apply(&reason).into_owned();
                (Setback::NotSent, HttpError::NotSent { site, reason }, lasting)
            }
            Failure::Unanswered { reason, slow } => {
                if slow {
                    self.inner.budget.shrink(sent);
                }
                let reason = self.inner.secrets.apply(&reason).into_owned();
                (Setback::Unanswered, HttpError::Unanswered { site, reason }, false)
            }
            Failure::TooLarge => {
                let most = self.inner.pace.largest_body / (1024 * 1024);
                let (came, expected) = (format!("more than {most} MiB"), "a body of sensible length".into());
                (Setback::Unanswered, HttpError::Unusable { site, came, expected }, true)
            }
        };
        if setback.maybe_processed() {
            self.processed = Processed::Maybe;
        }
        if !lasting
            && setback.may_repeat(self.call.repeat, &[])
            && let Some(delay) = self.tries.next(false, None)
        {
            return Ok(Step::Again(delay));
        }
        Err(error)
    }

    /// Renews a refused token and repeats the call: first by a refresh, then by a login, then no more.
    async fn unauthorized(&mut self, answer: Answer, bearer: Option<&Bearer>) -> Result<Step, HttpError> {
        if let (Credential::Token(source), Some(bearer)) = (&self.inner.credential, bearer)
            && self.renewals < 2
        {
            let need = Need::Refused { generation: bearer.generation, again: self.renewals > 0 };
            self.renewals += 1;
            if self.patiently(source.token(need)).await??.is_some() {
                return Ok(Step::Again(Duration::ZERO));
            }
        }
        let (excerpt, status) = (answer.excerpt(), answer.status);
        let said = if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") };
        let message = match &self.inner.credential {
            Credential::None => {
                let ways = auth::ways(&self.inner.api.spec.auth).join("` or `");
                let wanted = if ways.is_empty() { String::new() } else { format!(", of which the API takes `{ways}`") };
                format!("status {status}, and the connection has no `auth`{wanted}{said}")
            }
            _ => format!("status {status}{said}"),
        };
        Err(HttpError::Auth { site: self.site.clone(), message, answer: Some(Box::new(answer)) })
    }

    /// Follows a redirect of a read within the same origin; the credential goes nowhere else.
    fn redirected(&mut self, answer: &Answer) -> Result<Step, HttpError> {
        let target = answer.header(LOCATION.as_str()).and_then(|location| self.url.join(location).ok());
        if let Some(target) = &target
            && self.is_read()
            && self.hops < HOPS
            && self.inner.base.is_origin_of(target)
            && target.username().is_empty()
            && target.password().is_none()
        {
            self.hops += 1;
            self.url = target.clone();
            return Ok(Step::Again(Duration::ZERO));
        }
        let to = target
            .map_or_else(|| "nowhere".into(), |url| format!("{}{}", url.origin().ascii_serialization(), url.path()));
        let to = self.inner.secrets.apply(&to).into_owned();
        Err(HttpError::Redirected { site: self.site.clone(), status: answer.status, to })
    }

    fn is_read(&self) -> bool {
        self.call.method == Method::GET || self.call.method == Method::HEAD
    }

    /// An error that says "not sent" would hide an earlier attempt that may have been carried out.
    fn final_error(&self, error: HttpError) -> HttpError {
        if self.processed == Processed::Maybe
            && matches!(error, HttpError::NotSent { .. } | HttpError::RateLimited { .. })
        {
            let reason = format!("an earlier attempt had none; now {error}");
            return HttpError::Unanswered { site: self.site.clone(), reason };
        }
        error
    }
}
