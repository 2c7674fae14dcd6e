//! What stands before the simulated accounts and misbehaves: it knows every secret, and puts them wherever an answer has
//! room for them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::leaks::{self, MARK};

/// Members of answers that texts of people are in.
const TEXTS: [&str; 12] = [
    "description",
    "notes",
    "note",
    "hint",
    "quick-notes",
    "alert",
    "content",
    "display-name",
    "displayName",
    "comment",
    "message",
    "events",
];

/// How the proxy behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It passes everything on.
    Honest,
    /// Texts of objects have every secret in every spelling, and so do errors.
    Repeats,
    /// Writes are refused, and reads of single objects now and then, with everything repeated.
    Refuses,
    /// No credential is good, and the answer says which it was.
    Denies,
    /// Redirects and links to another host.
    LeadsAway,
    /// What is no JSON.
    Garbles,
}

/// The proxy.
pub(super) struct Proxy {
    /// Where it is.
    pub(super) origin: String,
    state: Arc<State>,
}

struct State {
    /// Where the accounts are.
    behind: String,
    /// Another host.
    elsewhere: String,
    secrets: Vec<String>,
    manner: Mutex<Manner>,
    count: AtomicUsize,
    repeated: AtomicUsize,
    /// What other hosts were sent.
    strayed: Mutex<Vec<String>>,
    client: reqwest::Client,
}

impl Proxy {
    /// Starts before an origin, with secrets that it knows from the beginning.
    pub(super) async fn start(behind: &str, secrets: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            behind: behind.to_owned(),
            elsewhere: format!("http://localhost:{}", other.local_addr().unwrap().port()),
            secrets,
            manner: Mutex::new(Manner::Honest),
            count: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
            strayed: Mutex::default(),
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap(),
        });
        let own = state.clone();
        let router = Router::new().fallback(move |request: Request| {
            let state = own.clone();
            async move { state.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let own = state.clone();
        let router = Router::new().fallback(move |request: Request| {
            own.strayed.lock().unwrap().push(format!("{} {} {:?}", request.method(), request.uri(), request.headers()));
            async { StatusCode::OK }
        });
        tokio::spawn(async move { axum::serve(other, router).await.unwrap() });
        Self { origin, state }
    }

    /// Behaves otherwise from now on.
    pub(super) fn set(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// Requests that reached the other host.
    pub(super) fn elsewhere(&self) -> Vec<String> {
        self.state.strayed.lock().unwrap().clone()
    }

    /// Answers that had a secret.
    pub(super) fn repeated(&self) -> usize {
        self.state.repeated.load(Ordering::Relaxed)
    }
}

impl State {
    async fn answer(&self, request: Request) -> Response {
        let manner = *self.manner.lock().unwrap();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let login = path.contains("/auth/");
        let echo = self.everything(&parts.headers, &body, &path);
        let response = match manner {
            Manner::Refuses if !login && (parts.method != Method::GET || number.is_multiple_of(7)) => {
                refusal([422, 400, 409, 403][number % 4], number, &echo)
            }
            Manner::Denies => refusal(if number.is_multiple_of(2) { 401 } else { 403 }, number, &echo),
            Manner::LeadsAway if !login && number.is_multiple_of(2) => {
                let status = [301, 302, 303, 307, 308][number / 2 % 5];
                let place =
                    format!("{}{path}?key={}", self.elsewhere, percent(&self.secrets[number % self.secrets.len()]));
                (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, place)], echo.clone()).into_response()
            }
            Manner::Garbles if !login && number.is_multiple_of(3) => format!("{{\"data\": [ {echo}").into_response(),
            Manner::Garbles if !login && number % 3 == 1 => {
                format!("\"{}\"", echo.replace(['"', '\\'], "")).into_response()
            }
            _ => self.pass(&parts.method, &path, parts.headers, body, (manner, &echo)).await,
        };
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
        if leaks::found(&bytes).is_some() {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
        Response::from_parts(head, Body::from(bytes))
    }

    /// Passes a request on. Tokens that the accounts give out get the mark, which is taken off again on the way back.
    async fn pass(
        &self,
        method: &Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        (manner, echo): (Manner, &str),
    ) -> Response {
        let unmark = |text: &str| text.replace(&format!("{MARK}.sandbox-"), "sandbox-");
        let mut call = self.client.request(method.clone(), format!("{}{}", self.behind, unmark(path)));
        for (name, value) in &headers {
            if !matches!(name.as_str(), "host" | "content-length" | "accept-encoding") {
                call = call.header(name, unmark(value.to_str().unwrap_or_default()));
            }
        }
        let body = std::str::from_utf8(&body).map(|text| Bytes::from(unmark(text))).unwrap_or(body);
        // What is lost behind is lost before.
        let Ok(answer) = call.body(body).send().await else { return StatusCode::BAD_GATEWAY.into_response() };
        let (status, mut head) = (answer.status(), answer.headers().clone());
        let Ok(bytes) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONTENT_ENCODING] {
            head.remove(name);
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut bytes = bytes.clone();
        if ["sandbox-access-", "sandbox-refresh-", "sandbox-key-", "sandbox-token-"]
            .iter()
            .any(|kind| text.contains(kind))
        {
            bytes = text.replace("sandbox-", &format!("{MARK}.sandbox-")).into();
        }
        if let Ok(mut json) = serde_json::from_slice::<Value>(&bytes) {
            let foreign = format!("{}/next?key={}", self.elsewhere, percent(&self.secrets[0]));
            match manner {
                Manner::Repeats => repeat(&mut json, echo, !status.is_success()),
                Manner::LeadsAway if json.is_object() => {
                    head.insert(header::LINK, format!("<{foreign}>; rel=\"next\"").parse().unwrap());
                    json["links"] = json!({ "next": foreign });
                    json["@odata.nextLink"] = foreign.into();
                }
                _ => {}
            }
            bytes = json.to_string().into();
        }
        (status, head, bytes).into_response()
    }

    /// Every secret in every spelling, and the request itself.
    fn everything(&self, headers: &HeaderMap, body: &[u8], path: &str) -> String {
        let mut out = format!("You sent {path} with {}; ", String::from_utf8_lossy(body));
        for (name, value) in headers {
            out.push_str(&format!("{name}: {}; ", value.to_str().unwrap_or_default()));
        }
        let mut all = self.secrets.clone();
        all.extend(
            headers
                .get("authorization")
                .and_then(|value| value.to_str().ok())
                .map(|value| value.split_once(' ').map_or(value, |(_, token)| token).to_owned()),
        );
        for secret in &all {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            let spellings: BTreeMap<&str, String> = BTreeMap::from([
                ("plain", secret.clone()),
                ("json", json!(secret).to_string()),
                ("base64", STANDARD.encode(secret)),
                ("basic", STANDARD.encode(format!("user@example.com:{secret}"))),
                ("in json", STANDARD.encode(json!({ "password": secret }).to_string())),
                ("upper hex", hex.to_uppercase()),
                ("hex", hex),
                ("url", percent(secret)),
                ("form", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
            ]);
            for (name, text) in &spellings {
                out.push_str(&format!("{name} {text} "));
            }
        }
        out
    }
}

/// A refusal in one of the forms that servers have.
fn refusal(status: u16, number: usize, echo: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    match number % 3 {
        0 => (status, [(header::CONTENT_TYPE, "text/html")], format!("<html><title>{echo}</title>{echo}</html>"))
            .into_response(),
        1 => (status, [("x-echo", "1")], echo.to_owned()).into_response(),
        _ => {
            let body = json!({
                "errors": [{"title": echo, "detail": echo, "code": echo, "status": status.as_u16().to_string(),
                    "source": {"pointer": echo}, "message": echo, "details": [echo]}],
                "error": {"code": echo, "message": echo, "fields": {"name": [echo]}},
                "message": echo,
            });
            (status, axum::Json(body)).into_response()
        }
    }
}

/// Puts a text wherever people write; into every text where it is an error.
fn repeat(value: &mut Value, echo: &str, everywhere: bool) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| match value {
            Value::String(text) if everywhere || TEXTS.contains(&name.as_str()) => echo.clone_into(text),
            other => repeat(other, echo, everywhere),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| repeat(item, echo, everywhere)),
        _ => {}
    }
}

fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%2D", "-")
}
