//! HTTP requests to answers: faults, the door, the call, the log.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Request as HttpRequest, Response, StatusCode, header},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{
    answer::{Answer, Refusal},
    connection::Scissors,
    control,
    door::{Door, Entry},
    faults::{Dice, FaultKind, Faults, RetryAfter},
    simulation::{Reader, Request, Simulation},
};
use crate::description::format::AuthScheme;

/// Largest body that is read, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// Requests that the log keeps.
const MAX_LOG: usize = 100_000;
/// Part of a credential that may not write, where the API knows such.
const READ_ONLY: &str = "readonly";
/// What stands for a value that must not be seen.
pub(super) const MASK: &str = "********";

/// One request as it was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// When it came.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// HTTP method.
    pub method: String,
    /// Name of the API.
    pub api: String,
    /// Path within the API, its version path included.
    pub path: String,
    /// Query as sent, a key in it masked.
    pub query: String,
    /// Status of the answer; 0 where the connection was cut instead.
    pub status: u16,
    /// Body of the request, sensitive values masked.
    pub body: Option<Value>,
    /// Whether the credential was there and valid.
    pub credential_ok: bool,
    /// The fault that struck.
    pub fault: Option<String>,
    /// When its answer was ready.
    #[serde(serialize_with = "as_text")]
    pub answered: Timestamp,
    /// Where the answer had a `Retry-After`: no request may come before this.
    #[serde(serialize_with = "as_text_if_any")]
    pub not_before: Option<Timestamp>,
    /// What tells the requests of one credential from those of others, without telling the credential.
    pub caller: String,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[expect(clippy::ref_option, reason = "serde gives it so")]
fn as_text_if_any<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// One API with its door.
pub(super) struct Site {
    pub(super) sim: Simulation,
    door: Mutex<Door>,
    /// Answers to calls with an idempotency key, by path and key.
    keyed: Mutex<HashMap<(String, String), Answer>>,
}

impl Site {
    /// Puts a door before a simulation.
    pub(super) fn new(sim: Simulation, door: Door) -> Self {
        Self { sim, door: Mutex::new(door), keyed: Mutex::default() }
    }

    /// Answers a call; one with the idempotency key of an earlier one as that was answered.
    fn once(&self, headers: &HeaderMap, path: &str, answer: impl FnOnce() -> Answer) -> Answer {
        let header = self.sim.api.spec.limits.idempotency_header.as_ref();
        let Some(key) = header.and_then(|header| headers.get(header)?.to_str().ok()) else { return answer() };
        let slot = (path.to_owned(), key.to_owned());
        if let Some(known) = self.keyed.lock().unwrap_or_else(PoisonError::into_inner).get(&slot) {
            return known.clone();
        }
        let answer = answer();
        if answer.status.is_success() {
            self.keyed.lock().unwrap_or_else(PoisonError::into_inner).insert(slot, answer.clone());
        }
        answer
    }
}

/// All that is served on one port.
pub(super) struct Hub {
    pub(super) sites: IndexMap<String, Site>,
    pub(super) address: String,
    latency: Duration,
    dice: Mutex<Dice>,
    log: Mutex<Vec<LogEntry>>,
    seed: u64,
    /// Requests that are being answered, and the most there ever were at once.
    busy: (AtomicUsize, AtomicUsize),
}

impl Hub {
    /// Joins sites, answered after `latency`, with faults.
    pub(super) fn new(
        sites: IndexMap<String, Site>,
        address: String,
        latency: Duration,
        faults: Faults,
        seed: u64,
    ) -> Self {
        Self {
            sites,
            address,
            latency,
            dice: Mutex::new(Dice::new(faults, seed)),
            log: Mutex::new(Vec::new()),
            seed,
            busy: (AtomicUsize::new(0), AtomicUsize::new(0)),
        }
    }

    /// The requests so far.
    pub(super) fn log(&self) -> Vec<LogEntry> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests there were so far.
    pub(super) fn requests(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets the requests so far.
    pub(super) fn clear_log(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.busy.1.store(0, Ordering::SeqCst);
    }

    /// Orders other faults from now on.
    pub(super) fn set_faults(&self, faults: Faults) {
        *self.dice.lock().unwrap_or_else(PoisonError::into_inner) = Dice::new(faults, self.seed);
    }

    /// The most requests that were under way at the same time.
    pub(super) fn most_at_once(&self) -> usize {
        self.busy.1.load(Ordering::SeqCst)
    }

    fn note(&self, entry: LogEntry) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < MAX_LOG {
            log.push(entry);
        }
    }
}

/// The service of all sites.
pub(super) fn router(hub: Arc<Hub>) -> Router {
    Router::new().fallback(serve).with_state(hub)
}

async fn serve(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: HttpRequest<Body>,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let (first, rest) = path.trim_start_matches('/').split_once('/').map_or_else(
        || (path.trim_start_matches('/').to_owned(), "/".to_owned()),
        |(first, rest)| (first.to_owned(), format!("/{rest}")),
    );
    if first == "_sandbox" {
        return respond(&control::answer(&hub, request, &rest).await);
    }
    let Some(site) = hub.sites.get(&first) else {
        let names: Vec<&str> = hub.sites.keys().map(String::as_str).collect();
        let text = format!("No API is simulated here. There are: {}.", names.join(", "));
        return respond(&Answer::new(StatusCode::NOT_FOUND, serde_json::json!({ "error": text })));
    };
    let now = hub.busy.0.fetch_add(1, Ordering::SeqCst) + 1;
    hub.busy.1.fetch_max(now, Ordering::SeqCst);
    let response = visit(&hub, site, &rest, request, &scissors).await;
    hub.busy.0.fetch_sub(1, Ordering::SeqCst);
    response
}

/// One request to a site.
async fn visit(hub: &Hub, site: &Site, path: &str, request: HttpRequest<Body>, scissors: &Scissors) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let (fault, slow) = hub.dice.lock().unwrap_or_else(PoisonError::into_inner).roll(&method, path);
    let mut entry = LogEntry {
        at: Timestamp::now(),
        method: method.clone(),
        api: site.sim.api.name.clone(),
        path: path.to_owned(),
        query: masked_query(site, parts.uri.query().unwrap_or_default()),
        status: 0,
        body: None,
        credential_ok: false,
        fault: fault.map(|fault| format!("{fault:?}")),
        answered: Timestamp::now(),
        not_before: None,
        caller: String::new(),
    };
    if !(hub.latency + slow).is_zero() {
        tokio::time::sleep(hub.latency + slow).await;
    }
    if fault == Some(FaultKind::Reset) {
        hub.note(entry);
        scissors.cut();
        return Response::new(Body::empty());
    }
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY).await else {
        entry.status = 413;
        hub.note(entry);
        return respond(&Refusal::new(413, "The body is too large.").answer(&site.sim.api));
    };
    let answer = enter(hub, site, path, &parts, bytes, fault, &mut entry);
    entry.status = answer.status.as_u16();
    entry.answered = Timestamp::now();
    let later = answer.headers.iter().find(|(name, _)| *name == header::RETRY_AFTER);
    entry.not_before = later.and_then(|(_, text)| not_before(text, entry.answered));
    if fault == Some(FaultKind::Lost) {
        entry.status = 0;
    }
    hub.note(entry);
    match fault {
        Some(FaultKind::Lost) => {
            scissors.cut();
            Response::new(Body::empty())
        }
        Some(FaultKind::Truncate) => truncated(&answer),
        _ => respond(&answer),
    }
}

/// Passes the door and carries out the call.
fn enter(
    hub: &Hub,
    site: &Site,
    path: &str,
    parts: &axum::http::request::Parts,
    body: Bytes,
    fault: Option<FaultKind>,
    entry: &mut LogEntry,
) -> Answer {
    let api = &site.sim.api;
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    match fault {
        Some(FaultKind::Status(status)) => return Refusal::new(status, "A fault was ordered.").answer(api),
        Some(FaultKind::Later(status, after)) => {
            let answer = Refusal::new(status, "A fault was ordered.").answer(api);
            return answer.with("retry-after", &written(after));
        }
        _ => {}
    }
    let mut door = site.door.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(answer) = door.exchange(api, parts.method.as_str(), path, &parts.headers, &body) {
        entry.credential_ok = answer.status.is_success();
        return answer;
    }
    let looked = door.look(api, &parts.headers, &query);
    let quota = door.count(if let Entry::Welcome { credential, .. } = &looked { credential } else { "" });
    let refused = quota.and_then(|quota| door.refuse(api, quota));
    drop(door);
    let answer = match (refused, looked) {
        (Some(refused), _) => refused,
        (None, Entry::Nobody | Entry::Wrong) if site.sim.behaviour.serves_strangers() => {
            let reader = Reader { stranger: true, ..Reader::default() };
            carry_in(hub, site, path, parts, query, body, &reader)
        }
        (None, Entry::Nobody) => Refusal::new(401, "A credential is needed.").answer(api),
        (None, Entry::Wrong) => {
            Refusal::new(site.sim.behaviour.wrong_credential(), "The credential is not valid.").answer(api)
        }
        (None, Entry::Welcome { sees_secrets, credential }) => {
            entry.credential_ok = true;
            entry.caller = mark(&credential);
            entry.body = logged_body(site, &body);
            let reader = Reader { sees_secrets, read_only: credential.contains(READ_ONLY), ..Reader::default() };
            carry_in(hub, site, path, parts, query, body, &reader)
        }
    };
    match quota {
        Some(quota) => quota.label(api, answer),
        None => answer,
    }
}

/// Carries out the call of somebody whom the door let in.
fn carry_in(
    hub: &Hub,
    site: &Site,
    path: &str,
    parts: &axum::http::request::Parts,
    query: Vec<(String, String)>,
    body: Bytes,
    reader: &Reader,
) -> Answer {
    let api = &site.sim.api;
    let version = api.spec.version_path.as_deref().unwrap_or_default().trim_end_matches('/');
    let below = path.strip_prefix(version).filter(|rest| rest.starts_with('/'));
    let segments = below.unwrap_or(path).split('/').filter(|part| !part.is_empty());
    let request = Request {
        method: parts.method.as_str(),
        parts: segments.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect(),
        query: without_keys(site, query),
        if_match: parts.headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok()),
        content_type: parts.headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()),
        body,
        reader: Reader { url: format!("{}/{}{path}", hub.address, api.name), ..reader.clone() },
    };
    if below.is_none() {
        return site.sim.behaviour.outside(&site.sim, &request).unwrap_or_else(|| Refusal::absent().answer(api));
    }
    site.once(&parts.headers, path, || site.sim.answer(&request))
}

/// The text of a `Retry-After`.
fn written(after: RetryAfter) -> String {
    match after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(seconds) => {
            httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(u64::from(seconds)))
        }
    }
}

/// When requests may come again after a `Retry-After` of an answer of this time.
fn not_before(text: &header::HeaderValue, now: Timestamp) -> Option<Timestamp> {
    let text = text.to_str().ok()?;
    match text.parse() {
        Ok(seconds) => now.checked_add(SignedDuration::from_secs(seconds)).ok(),
        Err(_) => Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok(),
    }
}

/// A few digits of a credential's hash.
fn mark(credential: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, credential.as_bytes());
    hash.as_ref().first_chunk().map(|bytes| format!("{:08x}", u32::from_be_bytes(*bytes))).unwrap_or_default()
}

/// Names of query parameters that carry a key.
fn key_parameters(site: &Site) -> impl Iterator<Item = &str> {
    site.sim.api.spec.auth.iter().filter_map(|scheme| match scheme {
        AuthScheme::ApiKey(key) => key.query.as_deref(),
        _ => None,
    })
}

fn without_keys(site: &Site, query: Vec<(String, String)>) -> Vec<(String, String)> {
    query.into_iter().filter(|(name, _)| !key_parameters(site).any(|key| key == name)).collect()
}

fn masked_query(site: &Site, query: &str) -> String {
    if !key_parameters(site).any(|key| query.contains(key)) {
        return query.to_owned();
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| {
        let masked = key_parameters(site).any(|key| key == name);
        let value = if masked { MASK.to_owned() } else { value.into_owned() };
        (name.into_owned(), value)
    });
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn logged_body(site: &Site, body: &Bytes) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let mut names: Vec<String> =
        ["password", "refresh_token", "access_token", "client_secret", "content"].map(str::to_owned).to_vec();
    for shape in site.sim.shapes.values() {
        names.extend(shape.secrets().filter(|wire| *wire != "traits").map(|wire| shape.normal(wire)));
    }
    names.extend(site.sim.behaviour.secret_names(&site.sim.store()));
    names.sort();
    names.dedup();
    mask(&mut value, &names);
    Some(value)
}

/// Masks the members with these names.
pub(super) fn mask(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                let spelled = name.replace('_', "-").to_ascii_lowercase();
                if !member.is_null() && names.iter().any(|secret| *secret == *name || *secret == spelled) {
                    *member = MASK.into();
                } else {
                    mask(member, names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, names)),
        _ => {}
    }
}

/// An answer as HTTP.
fn respond(answer: &Answer) -> Response<Body> {
    let body = answer.body.as_ref().map(|body| serde_json::to_vec(body).unwrap_or_default());
    let mut response = Response::new(body.map_or_else(Body::empty, Body::from));
    *response.status_mut() = answer.status;
    fill_headers(answer, &mut response);
    response
}

fn fill_headers(answer: &Answer, response: &mut Response<Body>) {
    for (name, value) in &answer.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    if answer.body.is_some() && !response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    }
}

/// An answer that breaks off in the middle.
fn truncated(answer: &Answer) -> Response<Body> {
    let bytes = answer.body.as_ref().map(|body| serde_json::to_vec(body).unwrap_or_default()).unwrap_or_default();
    let half = Bytes::copy_from_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
    // The break comes after the first half has left, else nothing at all would be sent.
    let broken = stream::once(async move { Ok(half) }).chain(stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err::<Bytes, io::Error>(io::ErrorKind::ConnectionReset.into())
    }));
    let mut response = Response::new(Body::from_stream(broken));
    *response.status_mut() = answer.status;
    fill_headers(answer, &mut response);
    response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
    response
}
