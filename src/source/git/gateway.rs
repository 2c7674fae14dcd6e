//! HTTP for the engine: a door on loopback that passes the calls of a fetch on to one server, over TLS, with the
//! credential, with time-outs, and to no other host. The engine itself speaks to loopback only and knows no credential.

use std::{
    collections::HashMap,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, runtime, sync::oneshot};
use url::Url;

use super::{Access, GitError, Location, Login, Trouble};

/// Bytes that the engine may ask with: what it wants and has.
const MAX_QUESTION: usize = 16 * 1024 * 1024;
/// Redirects that are followed one after the other.
const MAX_REDIRECTS: usize = 5;

type Routes = Arc<Mutex<HashMap<String, Arc<Upstream>>>>;

/// The threads behind fetches: one for all repositories of a process.
pub struct Gateway {
    address: SocketAddr,
    routes: Routes,
    pub(super) handle: runtime::Handle,
    stop: Mutex<Option<oneshot::Sender<()>>>,
}

impl Gateway {
    /// Opens the door.
    pub fn start() -> Result<Arc<Self>, GitError> {
        let failed = |error: std::io::Error| {
            GitError::new(Trouble::Setting, format!("No port on loopback can be opened for fetches ({error})."))
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let routes = Routes::default();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let router = Router::new().fallback(pass).with_state(routes.clone());
        thread::Builder::new()
            .name("git-gateway".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    let server = axum::serve(listener, router).into_future();
                    futures::future::select(std::pin::pin!(server), stopped).await;
                });
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Arc::new(Self { address, routes, handle, stop: Mutex::new(Some(stop)) }))
    }

    /// Lets one fetch through until the route is dropped.
    pub(super) fn route(
        &self,
        location: &Location,
        access: &Access,
        client: reqwest::Client,
    ) -> Result<Route, GitError> {
        let server = location.url();
        let base = Url::parse(&server)
            .map_err(|error| GitError::new(Trouble::Setting, format!("`{server}` is no valid URL ({error}).")))?;
        let upstream = Arc::new(Upstream {
            client,
            server,
            base: Mutex::new(base),
            login: login_of(location, access)?,
            bearer: Mutex::new(false),
            until: tokio::time::Instant::from_std(Instant::now() + access.limits.total),
            limit: access.limits.bytes,
            fault: Mutex::new(None),
        });
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let url = format!("http://{}/{token}", self.address);
        lock(&self.routes).insert(token.clone(), upstream.clone());
        Ok(Route { routes: self.routes.clone(), token, url, upstream })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(stop) = lock(&self.stop).take() {
            // Nobody listens any more where the thread ended before.
            let _ = stop.send(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the client of one repository: redirects are ours to judge.
pub(super) fn client(access: &Access) -> Result<reqwest::Client, GitError> {
    let limits = access.limits;
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("git/2.0 (plumb ", env!("CARGO_PKG_VERSION"), ")"))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(limits.connect)
        .read_timeout(limits.idle)
        .timeout(limits.total);
    if let Some(pem) = &access.ca {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
        if certificates.is_empty() {
            let message = "The certificates that were given for the Git server are not in PEM form.";
            return Err(GitError::new(Trouble::Setting, message));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder
        .build()
        .map_err(|error| GitError::new(Trouble::Setting, format!("No HTTP client can be made ({}).", reasons(&error))))
}

/// The credential for a URL: nothing goes unencrypted to another machine.
fn login_of(location: &Location, access: &Access) -> Result<Option<(String, secrecy::SecretString)>, GitError> {
    let login = match &access.login {
        Login::Anonymous => return Ok(None),
        Login::Token(token) => {
            let user = location.user.clone().unwrap_or_else(|| match location.host.as_str() {
                "bitbucket.org" => "x-token-auth".to_owned(),
                "gitlab.com" => "oauth2".to_owned(),
                _ => "x-access-token".to_owned(),
            });
            (user, token.clone())
        }
        Login::Basic { username, password } => (username.clone(), password.clone()),
    };
    if location.scheme == super::Scheme::Http && !location.is_loopback() {
        let message = format!("The credential for `{}` would travel unencrypted.", location.url());
        return Err(GitError::new(Trouble::Setting, message).hint("Write `https://`."));
    }
    Ok(Some(login))
}

/// One fetch's way through the door.
pub(super) struct Route {
    routes: Routes,
    token: String,
    /// What the engine takes for the repository.
    pub url: String,
    upstream: Arc<Upstream>,
}

impl Route {
    /// What went wrong on the way, which the engine knows nothing of.
    pub(super) fn fault(&self) -> Option<GitError> {
        lock(&self.upstream.fault).clone()
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        lock(&self.routes).remove(&self.token);
    }
}

/// The server of one fetch.
struct Upstream {
    client: reqwest::Client,
    server: String,
    base: Mutex<Url>,
    login: Option<(String, secrecy::SecretString)>,
    bearer: Mutex<bool>,
    until: tokio::time::Instant,
    limit: u64,
    fault: Mutex<Option<GitError>>,
}

async fn pass(State(routes): State<Routes>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let Some((token, rest)) = path.split_once('/') else { return StatusCode::NOT_FOUND.into_response() };
    let Some(upstream) = lock(&routes).get(token).cloned() else { return StatusCode::NOT_FOUND.into_response() };
    let call = match (request.method(), rest, request.uri().query()) {
        (&Method::GET, "info/refs", Some("service=git-upload-pack")) => "info/refs?service=git-upload-pack",
        (&Method::POST, "git-upload-pack", None) => "git-upload-pack",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let method = request.method().clone();
    let headers = request.headers().clone();
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_QUESTION).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match upstream.pass(method, call, &headers, body).await {
        Ok(response) => response,
        Err(error) => upstream.failed(error),
    }
}

impl Upstream {
    fn failed(&self, error: GitError) -> Response {
        lock(&self.fault).get_or_insert(error);
        StatusCode::BAD_GATEWAY.into_response()
    }

    fn timed_out(&self) -> GitError {
        GitError::new(Trouble::TimedOut, format!("The fetch from `{}` took too long and was given up.", self.server))
    }

    async fn pass(
        self: &Arc<Self>,
        method: Method,
        call: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, GitError> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&method, call, headers, body.clone()).await?;
            let status = response.status();
            if status.is_redirection() && method == Method::GET {
                self.follow(&response)?;
                continue;
            }
            if status == StatusCode::UNAUTHORIZED && self.wants_bearer(&response) {
                continue;
            }
            return self.answer(response, call);
        }
        let message = format!("`{}` redirects more than {MAX_REDIRECTS} times.", self.server);
        Err(GitError::new(Trouble::Redirected, message))
    }

    async fn send(
        &self,
        method: &Method,
        call: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Response, GitError> {
        let base = lock(&self.base).clone();
        let mut request =
            self.client.request(method.clone(), format!("{}/{call}", base.as_str().trim_end_matches('/')));
        for name in [header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        if let Some((user, secret)) = &self.login {
            request = if *lock(&self.bearer) {
                request.bearer_auth(secret.expose_secret())
            } else {
                request.basic_auth(user, Some(secret.expose_secret()))
            };
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        match tokio::time::timeout_at(self.until, request.send()).await {
            Ok(sent) => sent.map_err(|error| self.unanswered(&error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Whether a server that refused the user's name wants the token alone; it is asked so once.
    fn wants_bearer(&self, response: &reqwest::Response) -> bool {
        let asks = response.headers().get_all(header::WWW_AUTHENTICATE).iter().any(|value| {
            value
                .to_str()
                .is_ok_and(|value| value.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("bearer")))
        });
        let mut bearer = lock(&self.bearer);
        asks && self.login.is_some() && !std::mem::replace(&mut *bearer, true)
    }

    /// Takes a redirect within the host, as after a repository was renamed; one to another host is refused.
    fn follow(&self, response: &reqwest::Response) -> Result<(), GitError> {
        let to = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut base = lock(&self.base);
        let target = response.url().join(to).ok();
        let Some(mut target) = target.filter(|target| target.path().ends_with("/info/refs")) else {
            let message = format!("`{}` redirects to something that is no Git repository.", self.server);
            return Err(GitError::new(Trouble::Redirected, message).hint("Check the URL."));
        };
        let same_door =
            target.port_or_known_default() == base.port_or_known_default() && target.scheme() == base.scheme();
        let safer =
            base.scheme() == "http" && target.scheme() == "https" && base.port().is_none() && target.port().is_none();
        if target.host_str() != base.host_str() || !(same_door || safer) {
            let host = target.host_str().unwrap_or_default();
            let message = format!("`{}` redirects to `{host}`, and is not followed there.", self.server);
            return Err(GitError::new(Trouble::Redirected, message)
                .hint("If the repository has moved, set its new URL; a credential never goes to another host."));
        }
        target.set_query(None);
        let path = target.path().trim_end_matches("/info/refs").to_owned();
        target.set_path(&path);
        *base = target;
        Ok(())
    }

    fn unanswered(&self, error: &reqwest::Error) -> GitError {
        let server = &self.server;
        let why = reasons(error);
        if error.is_timeout() {
            return GitError::new(
                Trouble::TimedOut,
                format!("`{server}` does not answer: it said nothing for too long."),
            );
        }
        if why.to_ascii_lowercase().contains("certificate") {
            return GitError::new(Trouble::Identity, format!("The certificate of `{server}` is not accepted ({why})."))
                .hint("If it is signed by an authority of your own, name that one's certificate.");
        }
        GitError::new(Trouble::Unreachable, format!("`{server}` cannot be reached ({why})."))
    }

    /// Passes an answer on, or says what is wrong with it.
    fn answer(self: &Arc<Self>, response: reqwest::Response, call: &str) -> Result<Response, GitError> {
        let server = &self.server;
        let status = response.status();
        let who = if self.login.is_some() { "does not accept the credential" } else { "wants a credential" };
        match status.as_u16() {
            200 => {}
            401 => {
                return Err(GitError::new(Trouble::Denied, format!("`{server}` {who} (401)."))
                    .hint("Give a token or a user name and a password that may read the repository."));
            }
            403 => {
                let message = format!("`{server}` does not let this credential read the repository (403).");
                return Err(GitError::new(Trouble::Denied, message).hint("The token may lack the right to read it."));
            }
            404 | 410 => {
                let message =
                    format!("There is no repository at `{server}`, or the credential may not see it ({status}).");
                return Err(GitError::new(Trouble::NoRepository, message).hint("Check the URL and the token."));
            }
            300..=399 => {
                let message = format!("`{server}` redirects in the middle of a fetch ({status}).");
                return Err(GitError::new(Trouble::Redirected, message));
            }
            _ => {
                return Err(GitError::new(Trouble::Unreachable, format!("`{server}` answered with {status}.")));
            }
        }
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let git = if call == "git-upload-pack" { "result" } else { "advertisement" };
        if !kind.starts_with("application/x-git-upload-pack-") || !kind.contains(git) {
            let message =
                format!("What answers at `{server}` is no Git server that speaks the smart protocol (`{kind}`).");
            return Err(GitError::new(Trouble::NoRepository, message)
                .hint("Check the URL: it may be a web page or a plain file server."));
        }
        let kind = kind.to_owned();
        let body = futures::stream::try_unfold(
            (response, self.clone(), 0u64),
            |(mut response, upstream, mut seen)| async move {
                let next = tokio::time::timeout_at(upstream.until, response.chunk()).await;
                let error = match next {
                    Ok(Ok(None)) => return Ok(None),
                    Ok(Ok(Some(chunk))) => {
                        seen += chunk.len() as u64;
                        if seen <= upstream.limit {
                            return Ok(Some((chunk, (response, upstream, seen))));
                        }
                        let message = format!("`{}` sends more than {} bytes.", upstream.server, upstream.limit);
                        GitError::new(Trouble::TooLarge, message)
                    }
                    Ok(Err(error)) if error.is_timeout() => {
                        let message = format!(
                            "`{}` hangs in the middle of its answer: it said nothing for too long.",
                            upstream.server
                        );
                        GitError::new(Trouble::TimedOut, message)
                    }
                    Ok(Err(error)) => {
                        let message = format!(
                            "`{}` broke off in the middle of its answer ({}).",
                            upstream.server,
                            reasons(&error)
                        );
                        GitError::new(Trouble::Unreachable, message)
                    }
                    Err(_) => upstream.timed_out(),
                };
                lock(&upstream.fault).get_or_insert(error);
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
            },
        );
        let mut answer = Response::new(Body::from_stream(body));
        if let Ok(kind) = kind.parse() {
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Ok(answer)
    }
}

/// An error and what is behind it, without the URL that it was about.
fn reasons(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    if texts.is_empty() { "no reason given".to_owned() } else { texts.join(": ") }
}
