//! Tokens: got when first needed, renewed before they expire or after a 401, by one caller at a time.
//!
//! Renewals run in tasks of their own: whoever asked may go away, the new pair of tokens is stored all the same, which
//! single-use refresh tokens need.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Mutex, time::Instant};

use super::{
    answer::Answer,
    budget::Budget,
    error::{HttpError, Processed, Site},
    exchange::{Grant, Token},
    quota,
    retry::Tries,
    spec::Pace,
    turns::UsedUp,
    wire::{Failure, Raw, Stop, Wire},
};
use crate::{description::format::Limits, secret::Mask};

/// Share of a token's lifetime after which it is renewed.
const RENEW_AT: f64 = 0.8;
/// A token that was got because the one before was refused is not replaced again within this time: the API refuses
/// something else than the token.
const TRUSTED: Duration = Duration::from_secs(15);

/// What a client's tokens come from.
pub(super) struct TokenSource {
    pub(super) connection: String,
    pub(super) grant: Grant,
    pub(super) prefix: String,
    pub(super) wire: Wire,
    pub(super) budget: Arc<Budget>,
    pub(super) limits: Limits,
    pub(super) passing: Vec<u16>,
    pub(super) pace: Pace,
    pub(super) secrets: Arc<Mask>,
    pub(super) stop: Arc<Stop>,
    pub(super) state: Mutex<State>,
}

/// The token in use.
#[derive(Default)]
pub(super) struct State {
    held: Option<Held>,
    generation: u64,
    refused: Option<HttpError>,
}

struct Held {
    header: HeaderValue,
    refresh: Option<SecretString>,
    due: Option<Instant>,
    expires: Option<Instant>,
    after_refusal: Option<Instant>,
}

/// A token to send, and which one it is.
#[derive(Clone)]
pub(super) struct Bearer {
    pub(super) header: HeaderValue,
    pub(super) generation: u64,
}

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A call is about to be sent.
    Call,
    /// The token of this generation was refused; `again` if its successor was, too, and a refresh is not enough.
    Refused { generation: u64, again: bool },
}

enum Failed {
    /// The server does not give a token, for good.
    Rejected(HttpError),
    /// It may another time.
    Passing(HttpError),
}

impl TokenSource {
    /// The header that carries tokens.
    pub(super) fn carrier(&self) -> HeaderName {
        if self.grant.cookie().is_some() { COOKIE } else { AUTHORIZATION }
    }

    /// A token that is not known to be bad. Nothing is given where the refused token is as good as it gets.
    pub(super) async fn token(self: &Arc<Self>, need: Need) -> Result<Option<Bearer>, HttpError> {
        if need == Need::Call
            && let Ok(state) = self.state.try_lock()
            && let Some(bearer) = state.usable(Instant::now())
        {
            return Ok(Some(bearer));
        }
        let source = self.clone();
        match tokio::spawn(async move { source.obtain(need).await }).await {
            Ok(result) => result,
            Err(_) => Err(interrupted(&self.site(false))),
        }
    }

    async fn obtain(&self, need: Need) -> Result<Option<Bearer>, HttpError> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(error) = &state.refused {
            return Err(error.clone());
        }
        let mut refresh = state.held.as_mut().and_then(|held| held.refresh.clone());
        if let Need::Refused { generation, again } = need {
            if state.generation != generation {
                return Ok(state.bearer());
            }
            let renewed = state.held.as_ref().and_then(|held| held.after_refusal);
            if renewed.is_some_and(|at| now.duration_since(at) < self.pace.scaled(TRUSTED)) {
                return Ok(None);
            }
            refresh = refresh.filter(|_| !again);
        } else if let Some(bearer) = state.usable(now) {
            return Ok(Some(bearer));
        }
        if let Some(refresh) = refresh.filter(|_| self.grant.can_refresh()) {
            match self.exchange(Some(&refresh)).await {
                Ok(mut token) => {
                    token.refresh = token.refresh.or(Some(refresh));
                    return self.store(&mut state, token, None).map(Some);
                }
                Err(Failed::Rejected(_)) => {}
                Err(Failed::Passing(error)) => {
                    // The refresh token may be spent; the access token is good for a while yet.
                    if let Some(held) = &mut state.held {
                        held.refresh = None;
                        held.due = held.expires;
                    }
                    if need == Need::Call
                        && let Some(bearer) = state.usable(Instant::now())
                    {
                        tracing::debug!(connection = self.connection, "the token could not be refreshed: {error}");
                        return Ok(Some(bearer));
                    }
                }
            }
        }
        match self.exchange(None).await {
            Ok(token) => {
                let refused = matches!(need, Need::Refused { .. }).then(Instant::now);
                self.store(&mut state, token, refused).map(Some)
            }
            Err(Failed::Passing(error)) => Err(error),
            Err(Failed::Rejected(error)) => {
                state.refused = Some(error.clone());
                Err(error)
            }
        }
    }

    fn store(&self, state: &mut State, token: Token, after_refusal: Option<Instant>) -> Result<Bearer, HttpError> {
        let text = match self.grant.cookie() {
            Some(name) => format!("{name}={}", token.access.expose_secret()),
            None => format!("{}{}", self.prefix, token.access.expose_secret()),
        };
        let mut header = HeaderValue::try_from(text)
            .map_err(|_| self.rejected(&self.site(false), "the token has a character that no header can carry"))?;
        header.set_sensitive(true);
        let now = Instant::now();
        let lifetime = token.lifetime.map(|lifetime| self.pace.scaled(lifetime));
        self.secrets.learn(token.access.expose_secret());
        if let Some(refresh) = &token.refresh {
            self.secrets.learn(refresh.expose_secret());
        }
        state.generation += 1;
        state.held = Some(Held {
            header: header.clone(),
            refresh: token.refresh,
            due: lifetime.map(|lifetime| now + lifetime.mul_f64(RENEW_AT)),
            expires: lifetime.map(|lifetime| now + lifetime),
            after_refusal,
        });
        Ok(Bearer { header, generation: state.generation })
    }

    /// One token call, repeated while it is safe to. A refresh whose answer is lost may have spent its token.
    async fn exchange(&self, refresh: Option<&SecretString>) -> Result<Token, Failed> {
        let site = self.site(refresh.is_some());
        let turns = &self.budget.turns;
        let mut tries = Tries::new(&self.pace, turns.window());
        let mut attempts = 0;
        loop {
            let request =
                self.grant.request(refresh).map_err(|reason| Failed::Rejected(self.rejected(&site, reason)))?;
            let turn = self.stop.unless(turns.take()).await;
            let flight = match turn.ok_or_else(|| Failed::Passing(interrupted(&site)))? {
                Ok(flight) => flight,
                Err(UsedUp(wait)) => {
                    return Err(Failed::Passing(HttpError::RateLimited { site: Arc::new(site), wait: Some(wait) }));
                }
            };
            attempts += 1;
            let started = Instant::now();
            let outcome = self.wire.fetch(request, None).await;
            tracing::debug!(
                connection = self.connection,
                status = outcome.as_ref().map_or(0, |raw| raw.status),
                ms = started.elapsed().as_millis(),
                attempt = attempts,
                "POST {} (token)",
                site.path,
            );
            let (error, next) = match outcome {
                Ok(raw) => {
                    let (quota, reset) = quota::read(&self.limits, &raw.headers, SystemTime::now());
                    turns.told(quota, reset.map(|reset| self.pace.scaled(reset)));
                    match self.judge(&site, raw, attempts, refresh.is_some(), &mut tries) {
                        Ok(token) => return Ok(token),
                        Err((Failed::Rejected(error), _)) => return Err(Failed::Rejected(error)),
                        Err((Failed::Passing(error), next)) => (error, next),
                    }
                }
                Err(Failure::TooLarge) => {
                    return Err(Failed::Rejected(self.rejected(&site, "the answer is too long")));
                }
                Err(Failure::NotSent { reason, lasting }) => {
                    let error = HttpError::NotSent {
                        site: Arc::new(site.clone()),
                        reason: self.secrets.apply(&reason).into_owned(),
                    };
                    (error, if lasting { None } else { tries.next(false, None) })
                }
                Err(Failure::Unanswered { reason, .. }) => {
                    let reason = self.secrets.apply(&reason).into_owned();
                    let error = HttpError::Unanswered { site: Arc::new(site.clone()), reason };
                    (error, if refresh.is_some() { None } else { tries.next(false, None) })
                }
            };
            drop(flight);
            let Some(delay) = next else { return Err(Failed::Passing(error)) };
            if self.stop.unless(tokio::time::sleep(delay)).await.is_none() {
                return Err(Failed::Passing(interrupted(&site)));
            }
        }
    }

    /// Sorts the answer to a token call: the token, or the error and the delay to another attempt.
    fn judge(
        &self,
        site: &Site,
        raw: Raw,
        attempts: u32,
        refreshing: bool,
        tries: &mut Tries<'_>,
    ) -> Result<Token, (Failed, Option<Duration>)> {
        let asked = quota::retry_after(&raw.headers, SystemTime::now()).map(|wait| self.pace.scaled(wait));
        let status = raw.status;
        let site = Arc::new(site.clone());
        let answer = Answer::made(site.clone(), self.secrets.clone(), status, raw.headers, raw.body, attempts);
        // A login that gives a cookie often leads on to a page.
        if answer.is_success() || (self.grant.cookie().is_some() && (300..400).contains(&status)) {
            return self.grant.read(&answer).map_err(|why| (Failed::Rejected(self.rejected(&site, why)), None));
        }
        if status == 429 {
            let delay = tries.next(true, asked);
            if let Some(wait) = asked.or(delay) {
                self.budget.turns.pause(wait);
            }
            return Err((Failed::Passing(HttpError::RateLimited { site, wait: asked }), delay));
        }
        if status >= 500 || self.passing.contains(&status) {
            if let Some(wait) = asked {
                self.budget.turns.pause(wait);
            }
            let repeat = !refreshing || (status == 503 && asked.is_some());
            let delay = if repeat { tries.next(false, asked) } else { None };
            let message = answer.excerpt();
            let answer = Box::new(answer);
            return Err((
                Failed::Passing(HttpError::Server { site, message, answer, processed: Processed::No }),
                delay,
            ));
        }
        let excerpt = answer.excerpt();
        let why = if excerpt.is_empty() { format!("status {status}") } else { format!("status {status}, {excerpt}") };
        Err((Failed::Rejected(self.rejected(&site, why)), None))
    }

    fn site(&self, refreshing: bool) -> Site {
        Site::new(&self.connection, self.grant.method(), &self.grant.endpoint(refreshing).shown)
    }

    fn rejected(&self, site: &Site, why: impl AsRef<str>) -> HttpError {
        let message = format!("no token was given ({})", self.secrets.apply(why.as_ref()));
        HttpError::Auth { site: Arc::new(site.clone()), message, answer: None }
    }
}

fn interrupted(site: &Site) -> HttpError {
    HttpError::Interrupted { site: Arc::new(site.clone()), processed: Processed::No }
}

impl State {
    fn bearer(&self) -> Option<Bearer> {
        self.held.as_ref().map(|held| Bearer { header: held.header.clone(), generation: self.generation })
    }

    /// The token, if it is not due for renewal.
    fn usable(&self, now: Instant) -> Option<Bearer> {
        let held = self.held.as_ref()?;
        if held.due.is_some_and(|due| due <= now) { None } else { self.bearer() }
    }
}
