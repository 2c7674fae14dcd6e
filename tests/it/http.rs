//! The HTTP client against servers on loopback that behave as vendors and networks do.

mod limits;
mod outgoing;
mod repeats;
mod tls;
mod tokens;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Response},
};
use plumb::{
    description::{
        Api,
        format::{ApiKeyScheme, ApiSpec, AuthScheme},
    },
    http::{Call, Client, ClientSpec, Method, Pace, ResolvedAuth},
};
use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

const KEY: &str = "key-0123456789";

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
    at: Instant,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that answers by a function of the request and of how many came before, `x-delay` milliseconds later.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Seen, usize) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, answer) = (seen.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |request: axum::extract::Request| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap();
                let seen = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                    at: Instant::now(),
                };
                let before = {
                    let mut log = log.lock().unwrap();
                    log.push(seen.clone());
                    log.len() - 1
                };
                let response = answer(&seen, before);
                if let Some(delay) = response.headers().get("x-delay") {
                    tokio::time::sleep(Duration::from_millis(delay.to_str().unwrap().parse().unwrap())).await;
                }
                response
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }

    /// Time between two requests.
    fn gap(&self, first: usize) -> Duration {
        let seen = self.seen();
        seen[first + 1].at - seen[first].at
    }
}

/// A server below HTTP: what it does with each connection is up to the function. It counts connections.
async fn raw_server<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> (String, Arc<Mutex<usize>>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(Mutex::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let before = {
                let mut count = counter.lock().unwrap();
                *count += 1;
                *count - 1
            };
            tokio::spawn(serve(stream, before));
        }
    });
    (url, count)
}

async fn read_request(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer).await.unwrap();
}

#[expect(clippy::needless_pass_by_value, reason = "callers make the body where they give it")]
fn reply(status: u16, headers: &[(&str, &str)], body: impl ToString) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

fn api(spec: ApiSpec) -> Arc<Api> {
    Arc::new(Api::compile("acme", spec).unwrap())
}

fn keyed() -> ApiSpec {
    ApiSpec {
        url: Some("https://api.acme.example".into()),
        version_path: Some("/v1".into()),
        auth: vec![AuthScheme::ApiKey(ApiKeyScheme { header: Some("x-api-key".into()), ..ApiKeyScheme::default() })],
        ..ApiSpec::default()
    }
}

fn fast() -> Pace {
    Pace {
        total: Duration::from_secs(2),
        first_delay: Duration::from_millis(4),
        settle: Duration::from_millis(30),
        longest_delay: Duration::from_millis(20),
        overall: Duration::from_millis(1500),
        second: 0.1,
        ..Pace::default()
    }
}

fn spec(api: Arc<Api>, url: &str, auth: impl Into<Option<ResolvedAuth>>) -> ClientSpec {
    ClientSpec { auth: auth.into(), pace: fast(), ..ClientSpec::new("prod", api, url) }
}

fn key() -> ResolvedAuth {
    ResolvedAuth::ApiKey(KEY.into())
}

fn epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// A client of the API with a key in a header.
fn client(url: &str) -> Client {
    Client::new(&spec(api(keyed()), url, key())).unwrap()
}

fn things() -> Call {
    Call::get("/things")
}

fn create() -> Call {
    Call::new(Method::POST, "/things").body(json!({"name": "a"}))
}
