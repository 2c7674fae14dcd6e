//! `POST /NAME` of a receiver → checked, read, handed on. What a request can cost before its signature held is one hash
//! over a body of limited size: bodies share a budget of memory, arrive within a time, and are never parsed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Event, Provider, Secret, Verified, parse, recent::Recent, verify};

/// What requests may cost.
#[derive(Debug, Clone, Copy)]
pub struct HookLimits {
    /// Bytes of one body.
    pub body: usize,
    /// Bytes of all bodies that are being received.
    pub memory: usize,
    /// How long a body may take to arrive, waiting for memory included.
    pub arrival: Duration,
    /// Genuine deliveries per minute and receiver.
    pub per_minute: u32,
    /// Deliveries that are remembered, so that a replay is recognised.
    pub remembered: usize,
}

impl Default for HookLimits {
    fn default() -> Self {
        Self {
            body: 5 * 1024 * 1024,
            memory: 16 * 1024 * 1024,
            arrival: Duration::from_secs(10),
            per_minute: 600,
            remembered: 10_000,
        }
    }
}

/// One address that a forge sends to.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The last part of its path.
    pub name: String,
    /// Who sends.
    pub provider: Provider,
    /// The secrets that hold: two while one is being replaced.
    pub secrets: Vec<Secret>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is being looked at.
    Taken,
    /// Nothing here has to do with its branch.
    Nothing,
    /// Nothing here has to do with its repository.
    Unknown,
    /// There is no room for it now.
    Busy,
}

/// Who takes events in. It must not wait: an event is a reason to look, which is done elsewhere.
pub trait Sink: Send + Sync {
    /// Takes one event of a receiver.
    fn deliver(&self, receiver: &str, event: &Event) -> Answer;
}

/// How often what came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Signatures that did not hold, or were not there.
    pub refused: u64,
    /// Bodies that were too large or too slow.
    pub oversized: u64,
    /// Genuine ones beyond the limit.
    pub limited: u64,
    /// Bodies that were parsed.
    pub parsed: u64,
    /// Deliveries that had been taken before.
    pub replayed: u64,
    /// Events that were taken.
    pub taken: u64,
}

#[derive(Default)]
struct Counters {
    refused: AtomicU64,
    oversized: AtomicU64,
    limited: AtomicU64,
    parsed: AtomicU64,
    replayed: AtomicU64,
    taken: AtomicU64,
}

/// A receiver at work.
struct Door {
    receiver: Receiver,
    /// Deliveries that may still come, and when that was counted.
    budget: Mutex<(f64, Instant)>,
}

/// Receivers and what they share.
pub struct Webhooks {
    doors: RwLock<HashMap<String, Arc<Door>>>,
    limits: HookLimits,
    memory: Arc<Semaphore>,
    recent: Mutex<Recent>,
    counters: Counters,
    sink: Arc<dyn Sink>,
}

impl Webhooks {
    /// Makes receivers that hand events to a sink. One without a secret takes nothing.
    pub fn new(receivers: Vec<Receiver>, limits: HookLimits, sink: Arc<dyn Sink>) -> Arc<Self> {
        Arc::new(Self {
            doors: RwLock::new(doors(receivers, &limits)),
            limits,
            memory: Arc::new(Semaphore::new(limits.memory.max(limits.body))),
            recent: Mutex::new(Recent::new(limits.remembered)),
            counters: Counters::default(),
            sink,
        })
    }

    /// Takes deliveries by other receivers from now on.
    pub fn change(&self, receivers: Vec<Receiver>) {
        *self.doors.write().unwrap_or_else(PoisonError::into_inner) = doors(receivers, &self.limits);
    }

    /// How often what came.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            refused: read(&self.counters.refused),
            oversized: read(&self.counters.oversized),
            limited: read(&self.counters.limited),
            parsed: read(&self.counters.parsed),
            replayed: read(&self.counters.replayed),
            taken: read(&self.counters.taken),
        }
    }

    async fn receive(&self, name: &str, request: Request) -> Result<StatusCode, Rejection> {
        let door = self.doors.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let door = door.ok_or(Rejection::Unknown)?;
        let (parts, body) = request.into_parts();
        let (body, _memory) = self.body(&parts.headers, body).await?;
        let receiver = &door.receiver;
        let now = jiff::Timestamp::now().as_second();
        let verified = verify(receiver.provider, &receiver.secrets, &parts.headers, &body, now).map_err(|refusal| {
            count(&self.counters.refused);
            tracing::debug!(receiver = name, %refusal, "a webhook was refused");
            Rejection::Refused
        })?;
        self.take(&door, &verified)
    }

    /// Receives a body, as much of it as fits and as fast as it must come.
    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Rejection> {
        let too_large = || {
            count(&self.counters.oversized);
            Rejection::TooLarge
        };
        let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let limit = self.limits.body as u64;
        if said.is_some_and(|length| length > limit) || body.size_hint().lower() > limit {
            return Err(too_large());
        }
        let receive = async {
            let mut stream = body.into_data_stream();
            let mut memory: Option<OwnedSemaphorePermit> = None;
            let mut received = Vec::new();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|_| Rejection::BrokenOff)?;
                if received.len() + chunk.len() > self.limits.body {
                    return Err(too_large());
                }
                let room = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                let more = self.memory.clone().acquire_many_owned(room).await.map_err(|_| Rejection::Busy)?;
                match &mut memory {
                    Some(memory) => memory.merge(more),
                    None => memory = Some(more),
                }
                received.extend_from_slice(&chunk);
            }
            Ok((Bytes::from(received), memory))
        };
        tokio::time::timeout(self.limits.arrival, receive).await.unwrap_or_else(|_| {
            count(&self.counters.oversized);
            Err(Rejection::TooSlow)
        })
    }

    /// Takes what was signed: once, and not too often.
    fn take(&self, door: &Door, verified: &Verified) -> Result<StatusCode, Rejection> {
        let name = format!("{}/{}", door.receiver.name, verified.delivery());
        if self.recent.lock().unwrap_or_else(PoisonError::into_inner).has(&name) {
            count(&self.counters.replayed);
            return Ok(StatusCode::OK);
        }
        if !door.spend(self.limits.per_minute) {
            count(&self.counters.limited);
            return Err(Rejection::Limited);
        }
        count(&self.counters.parsed);
        let events = parse(verified).map_err(|error| {
            tracing::warn!(receiver = door.receiver.name, %error, "a webhook cannot be read");
            Rejection::BadPayload
        })?;
        let mut answers = Vec::new();
        for event in &events {
            if event.repository().is_some() {
                answers.push(self.sink.deliver(&door.receiver.name, event));
            }
        }
        if answers.contains(&Answer::Busy) {
            return Err(Rejection::Busy);
        }
        let taken = answers.iter().filter(|answer| **answer == Answer::Taken).count() as u64;
        self.counters.taken.fetch_add(taken, Ordering::Relaxed);
        if !answers.is_empty() && answers.iter().all(|answer| *answer == Answer::Unknown) {
            return Err(Rejection::Unknown);
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).add(name);
        Ok(if taken > 0 { StatusCode::ACCEPTED } else { StatusCode::OK })
    }
}

fn doors(receivers: Vec<Receiver>, limits: &HookLimits) -> HashMap<String, Arc<Door>> {
    let usable = receivers.into_iter().filter(|receiver| !receiver.secrets.is_empty());
    usable
        .map(|receiver| {
            let budget = Mutex::new((f64::from(limits.per_minute), Instant::now()));
            (receiver.name.clone(), Arc::new(Door { receiver, budget }))
        })
        .collect()
}

impl Door {
    fn spend(&self, per_minute: u32) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let most = f64::from(per_minute);
        let (left, at) = *budget;
        let left = (left + at.elapsed().as_secs_f64() * most / 60.0).min(most);
        let enough = left >= 1.0;
        *budget = (if enough { left - 1.0 } else { left }, Instant::now());
        enough
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Why a request was turned away. It is told by the status alone.
enum Rejection {
    Unknown,
    Refused,
    TooLarge,
    TooSlow,
    BrokenOff,
    Limited,
    Busy,
    BadPayload,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Refused => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenOff | Self::BadPayload => StatusCode::BAD_REQUEST,
            Self::Limited => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        match self {
            Self::Limited | Self::Busy => (status, [(header::RETRY_AFTER, "10")]).into_response(),
            // What is left of a body that nobody wants is not waited for.
            Self::TooLarge | Self::TooSlow => (status, [(header::CONNECTION, "close")]).into_response(),
            _ => status.into_response(),
        }
    }
}

/// The routes: `POST /NAME` for each receiver.
pub fn router(webhooks: Arc<Webhooks>) -> Router {
    Router::new().route("/{name}", post(handle)).with_state(webhooks)
}

async fn handle(State(webhooks): State<Arc<Webhooks>>, Path(name): Path<String>, request: Request) -> Response {
    match webhooks.receive(&name, request).await {
        Ok(status) => status.into_response(),
        Err(rejection) => rejection.into_response(),
    }
}
