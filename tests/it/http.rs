//! The HTTP client against servers on loopback that behave as vendors and networks do.

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
use futures::future::join_all;
use plumb::{
    description::{
        Api,
        format::{ApiKeyScheme, ApiSpec, AuthScheme, BasicScheme, BearerScheme, ClientAuth, LoginScheme, OAuth2Scheme},
    },
    diagnostic::Diagnostic,
    http::{
        Answer, Budgets, Call, Class, Client, ClientSpec, HostPolicy, HttpError, Method, Pace, Processed, Repeat,
        ResolvedAuth,
    },
    manifest::ConnectionLimits,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
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
        longest_delay: Duration::from_millis(20),
        overall: Duration::from_millis(1500),
        second: 0.1,
        ..Pace::default()
    }
}

fn spec(api: Arc<Api>, url: &str, auth: Option<ResolvedAuth>) -> ClientSpec {
    ClientSpec { auth, pace: fast(), ..ClientSpec::new("prod", api, url) }
}

fn key() -> Option<ResolvedAuth> {
    Some(ResolvedAuth::ApiKey(KEY.into()))
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

#[tokio::test]
async fn requests_carry_what_the_description_and_the_call_say() {
    let server = Server::start(|_, _| reply(200, &[], json!({"data": []}))).await;
    let mut described = keyed();
    described.headers.insert("X-Tenant".into(), "42".into());
    described.query.insert("locale".into(), "en".into());
    described.query.insert("page".into(), "1".into());
    described.content_type = Some("application/vnd.api+json".into());
    for url in [server.url(), format!("{}/v1/", server.url()), format!("{}/proxy", server.url())] {
        let client = Client::new(&spec(api(described.clone()), &url, key())).unwrap();
        let call = create().query("filter[name]", "A & B").query("page", "7");
        assert_eq!(client.send(&call).await.unwrap().json().unwrap(), json!({"data": []}));
    }
    let seen = server.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/v1/things", "/v1/things", "/proxy/v1/things"]);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].query, "filter%5Bname%5D=A%20%26%20B&page=7&locale=en");
    assert_eq!(seen[0].body, r#"{"name":"a"}"#);
    assert_eq!(seen[0].header("x-api-key"), KEY);
    assert_eq!(seen[0].header("x-tenant"), "42");
    assert_eq!(seen[0].header("content-type"), "application/vnd.api+json");
    assert_eq!(seen[0].header("user-agent"), format!("plumb/{}", env!("CARGO_PKG_VERSION")));
    assert!(seen[0].header("accept-encoding").contains("gzip"));
}

#[tokio::test]
async fn fixed_credentials_go_where_the_scheme_says() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let cases = [
        (
            AuthScheme::ApiKey(ApiKeyScheme {
                header: Some("Authorization".into()),
                query: None,
                prefix: Some("Token ".into()),
            }),
            ResolvedAuth::ApiKey(format!("{KEY}\n").into()),
            ("authorization", format!("Token {KEY}"), ""),
        ),
        (
            AuthScheme::ApiKey(ApiKeyScheme { header: None, query: Some("api_key".into()), prefix: None }),
            ResolvedAuth::ApiKey("a&b=c/0123".into()),
            ("authorization", String::new(), "api_key=a%26b%3Dc%2F0123"),
        ),
        (
            AuthScheme::Bearer(BearerScheme { prefix: None }),
            ResolvedAuth::Bearer(KEY.into()),
            ("authorization", format!("Bearer {KEY}"), ""),
        ),
        (
            AuthScheme::Basic(BasicScheme {}),
            ResolvedAuth::Basic { username: "me".into(), password: "s3cret:pw".into() },
            ("authorization", "Basic bWU6czNjcmV0OnB3".to_owned(), ""),
        ),
    ];
    for (number, (scheme, auth, (header, value, query))) in cases.into_iter().enumerate() {
        let api = api(ApiSpec { auth: vec![scheme], ..keyed() });
        Client::new(&spec(api, &server.url(), Some(auth))).unwrap().send(&things()).await.unwrap();
        let seen = &server.seen()[number];
        assert_eq!((seen.header(header), seen.query.as_str()), (value.as_str(), query));
    }
}

#[tokio::test]
async fn a_way_that_the_api_does_not_offer_is_refused_before_anything_is_sent() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let auth = ResolvedAuth::Basic { username: "me".into(), password: KEY.into() };
    let fault = Client::new(&spec(api(keyed()), &server.url(), Some(auth))).unwrap_err();
    assert_eq!(fault.code, "PL0320");
    assert_eq!(fault.hints, ["It offers `apiKey`."]);
    let fault = Client::new(&spec(api(keyed()), &server.url(), Some(ResolvedAuth::ApiKey("two\nlines".into()))));
    assert_eq!(fault.unwrap_err().code, "PL0324");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_credential_goes_to_no_host_that_is_not_allowed() {
    let code = |url: &str, policy: HostPolicy| {
        let spec = ClientSpec { allowed_hosts: policy, ..spec(api(keyed()), url, key()) };
        Client::new(&spec).err().map(|fault| fault.code.into_owned())
    };
    assert_eq!(code("https://evil.example", HostPolicy::default()).as_deref(), Some("PL0321"));
    assert_eq!(code("https://evil.example", HostPolicy::new(["evil.example".into()])), None);
    assert_eq!(code("http://api.acme.example", HostPolicy::default()).as_deref(), Some("PL0322"));
    assert_eq!(code("https://api.acme.example/v1", HostPolicy::default()), None);

    let scheme = AuthScheme::Oauth2(OAuth2Scheme { token_url: Some("/token".into()), ..OAuth2Scheme::default() });
    let auth = ResolvedAuth::OAuth2 {
        client_id: "id".into(),
        client_secret: KEY.into(),
        token_url: Some("https://evil.example/token".into()),
        scopes: Vec::new(),
    };
    let spec = spec(api(ApiSpec { auth: vec![scheme], ..keyed() }), "http://127.0.0.1:9", Some(auth));
    let fault = Client::new(&spec).unwrap_err();
    assert_eq!(fault.code, "PL0321");
    assert!(fault.message.contains("`auth.oauth2.tokenUrl`"), "{}", fault.message);
}

#[tokio::test]
async fn redirects_are_followed_within_the_origin_only() {
    let elsewhere = Server::start(|_, _| reply(200, &[], "{}")).await;
    let away = format!("{}/v1/things?code=1", elsewhere.url());
    let server = Server::start(move |seen, _| match seen.path.as_str() {
        "/v1/things" => reply(302, &[("location", &away)], ""),
        "/v1/moved" => reply(307, &[("location", "/v1/here?x=1")], ""),
        "/v1/loop" => reply(301, &[("location", "/v1/loop")], ""),
        _ => reply(200, &[], json!({"query": seen.query})),
    })
    .await;
    let client = client(&server.url());
    let error = client.send(&things()).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains(&format!("`{}/v1/things`", elsewhere.url())), "{error}");
    assert!(elsewhere.seen().is_empty(), "the credential stays");

    let answer = client.send(&Call::get("/moved")).await.unwrap();
    assert_eq!(answer.json().unwrap(), json!({"query": "x=1"}));
    assert_eq!(server.seen().last().unwrap().header("x-api-key"), KEY);

    assert!(client.send(&Call::get("/loop")).await.is_err());
    assert_eq!(server.count("/v1/loop"), 4);

    let error = client.send(&Call::new(Method::POST, "/moved")).await.unwrap_err();
    assert!(matches!(error, HttpError::Redirected { status: 307, .. }), "{error}");
    assert_eq!(server.count("/v1/here"), 1);
}

#[tokio::test]
async fn next_links_never_lead_to_another_host() {
    let api = api(ApiSpec {
        auth: vec![AuthScheme::ApiKey(ApiKeyScheme { query: Some("api_key".into()), ..ApiKeyScheme::default() })],
        ..keyed()
    });
    let client = Client::new(&spec(api, "http://127.0.0.1:4321", key())).unwrap();
    let error = client.resolve_next("/things", "http://127.0.0.1:9999/v1/things?page=2").unwrap_err();
    assert_eq!(Diagnostic::from(error).code, "PL0428");
    let next =
        client.resolve_next("/things", &format!("http://127.0.0.1:4321/v1/things?page=2&api_key={KEY}")).unwrap();
    assert_eq!(next, ("/things".to_owned(), vec![("page".to_owned(), "2".to_owned())]));
    assert!(client.resolve_next("/things", "/v2/things?page=2").is_err());
}

/// A vendor that gives tokens `t1`, `t2`, … and refresh tokens `r1`, `r2`, … of which each works once.
#[derive(Default)]
struct Tokens {
    given: usize,
    /// The only access token that works; 0 for none.
    valid: usize,
    /// The only refresh token that works.
    refresh: usize,
    refreshes: usize,
    logins: usize,
}

struct Vendor {
    server: Server,
    tokens: Arc<Mutex<Tokens>>,
}

impl Vendor {
    /// `lifetime` is what the vendor says in `expires_in`. Every token works if `honest`, else none does.
    async fn start(lifetime: u64, honest: bool) -> Self {
        let tokens: Arc<Mutex<Tokens>> = Arc::default();
        let state = tokens.clone();
        let server = Server::start(move |seen, _| {
            let mut tokens = state.lock().unwrap();
            match seen.path.as_str() {
                "/v1/auth/login" => {
                    tokens.logins += 1;
                    if seen.body != r#"{"email":"me@acme.example","password":"s3cret-password"}"# {
                        return reply(403, &[], json!({"message": format!("no such login: {}", seen.body)}));
                    }
                }
                "/v1/auth/refresh" => {
                    tokens.refreshes += 1;
                    let sent: Value = serde_json::from_str(&seen.body).unwrap();
                    if sent != json!({"refresh_token": format!("r{}", tokens.refresh)}) {
                        return reply(401, &[], json!({"message": "spent"}));
                    }
                }
                _ => {
                    let valid = tokens.valid != 0 && seen.header("authorization") == format!("Bearer t{}", tokens.valid);
                    return if valid { reply(200, &[], json!({"ok": true})) } else { reply(401, &[], "") };
                }
            }
            tokens.given += 1;
            tokens.refresh = tokens.given;
            tokens.valid = if honest { tokens.given } else { 0 };
            let number = tokens.given;
            let body = json!({"access_token": format!("t{number}"), "refresh_token": format!("r{number}"), "expires_in": lifetime});
            reply(200, &[("x-delay", "50")], body)
        })
        .await;
        Self { server, tokens }
    }

    fn client(&self, password: &str) -> Client {
        let scheme = AuthScheme::Login(LoginScheme {
            path: "/auth/login".into(),
            body: [("email", "{email}"), ("password", "{password}")].map(|(a, b)| (a.into(), b.into())).into(),
            refresh_path: Some("/auth/refresh".into()),
            refresh_body: [("refresh_token".to_owned(), "{refresh_token}".to_owned())].into(),
            access_token: "access_token".into(),
            refresh_token: "refresh_token".into(),
            expires_in: "expires_in".into(),
        });
        let auth =
            ResolvedAuth::Login { email: Some("me@acme.example".into()), username: None, password: password.into() };
        Client::new(&spec(api(ApiSpec { auth: vec![scheme], ..keyed() }), &self.server.url(), Some(auth))).unwrap()
    }

    fn counts(&self) -> (usize, usize) {
        let tokens = self.tokens.lock().unwrap();
        (tokens.logins, tokens.refreshes)
    }

    fn revoke(&self) {
        self.tokens.lock().unwrap().valid = 0;
    }
}

#[tokio::test]
async fn twenty_calls_with_an_expired_token_refresh_it_once() {
    let vendor = Vendor::start(3600, true).await;
    let client = vendor.client("s3cret-password");
    let call = things();
    join_all((0..5).map(|_| client.send(&call))).await;
    assert_eq!(vendor.counts(), (1, 0), "five first calls log in once");

    vendor.revoke();
    let call = create();
    let answers = join_all((0..20).map(|_| client.send(&call))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(Answer::is_success)));
    assert_eq!(vendor.counts(), (1, 1));
    let refused = vendor.server.seen().iter().filter(|seen| seen.header("authorization") == "Bearer t1").count() - 5;
    assert_eq!(client.sent(), 5 + 20 + refused as u64, "token calls are not counted");
}

#[tokio::test]
async fn tokens_are_refreshed_before_they_expire_and_refresh_tokens_are_used_once() {
    let vendor = Vendor::start(1, true).await;
    let client = vendor.client("s3cret-password");
    for _ in 0..3 {
        client.send(&things()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(85)).await;
    }
    assert_eq!(vendor.counts(), (1, 2));
    assert!(vendor.server.seen().iter().all(|seen| seen.path != "/v1/things" || seen.header("authorization") != ""));
    assert_eq!(client.sent(), 3, "no call met an expired token");
}

#[tokio::test]
async fn a_spent_refresh_token_leads_to_a_new_login() {
    let vendor = Vendor::start(3600, true).await;
    let client = vendor.client("s3cret-password");
    client.send(&things()).await.unwrap();
    vendor.revoke();
    vendor.tokens.lock().unwrap().refresh = 99;
    client.send(&things()).await.unwrap();
    assert_eq!(vendor.counts(), (2, 1));
}

#[tokio::test]
async fn a_vendor_that_refuses_every_token_is_asked_a_few_times_and_no_more() {
    let vendor = Vendor::start(3600, false).await;
    let client = vendor.client("s3cret-password");
    let error = client.send(&things()).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert_eq!(vendor.counts(), (2, 1), "login, refresh, login again");
    assert_eq!(vendor.server.count("/v1/things"), 3);
    for _ in 0..5 {
        assert_eq!(client.send(&things()).await.unwrap_err().class(), Class::Auth);
    }
    assert_eq!(vendor.counts(), (2, 1), "the next calls do not log in again");
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_never_shown() {
    let vendor = Vendor::start(3600, true).await;
    let client = vendor.client("wrong-password");
    let call = things();
    let errors = join_all((0..5).map(|_| client.send(&call))).await;
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.class(), Class::Auth);
        let text = format!("{error} {error:?}");
        assert!(text.contains("`POST /v1/auth/login` of connection `prod`"), "{text}");
        assert!(text.contains("no such login") && !text.contains("wrong-password"), "{text}");
    }
    assert_eq!(vendor.counts(), (1, 0));
    assert_eq!(vendor.server.count("/v1/things"), 0);
}

#[tokio::test]
async fn client_credentials_give_tokens_either_way() {
    for place in [ClientAuth::Body, ClientAuth::Header] {
        let server = Server::start(|seen, _| match seen.path.as_str() {
            "/oauth/token" => reply(200, &[], json!({"access_token": "abc", "expires_in": "100"})),
            _ => reply(if seen.header("authorization") == "Bearer abc" { 200 } else { 401 }, &[], "{}"),
        })
        .await;
        let scheme = AuthScheme::Oauth2(OAuth2Scheme {
            token_url: Some("/oauth/token".into()),
            scopes: vec!["read".into(), "write".into()],
            audience: Some("things".into()),
            client_auth: place,
        });
        let auth = ResolvedAuth::OAuth2 {
            client_id: "me".into(),
            client_secret: "p:w&".into(),
            token_url: None,
            scopes: Vec::new(),
        };
        let client =
            Client::new(&spec(api(ApiSpec { auth: vec![scheme], ..keyed() }), &server.url(), Some(auth))).unwrap();
        client.send(&things()).await.unwrap();
        client.send(&things()).await.unwrap();
        assert_eq!(server.count("/oauth/token"), 1);
        let token_call = &server.seen()[0];
        let (body, header) = match place {
            ClientAuth::Body => ("client_id=me&client_secret=p%3Aw%26&", ""),
            ClientAuth::Header => ("", "Basic bWU6cCUzQXclMjY="),
        };
        assert_eq!(
            (token_call.body.as_str(), token_call.header("authorization")),
            (format!("grant_type=client_credentials&{body}scope=read+write&audience=things").as_str(), header)
        );
    }
}

#[tokio::test]
async fn a_refused_key_is_an_error_of_the_connection() {
    let server = Server::start(|_, _| reply(401, &[], json!({"message": format!("bad key {KEY}")}))).await;
    let error = client(&server.url()).send(&things()).await.unwrap_err();
    assert_eq!((error.class(), error.status(), server.seen().len()), (Class::Auth, Some(401), 1));
    assert_eq!(
        error.to_string(),
        "`GET /v1/things` of connection `prod` was refused: status 401: {\"message\":\"bad key ***\"}"
    );
    let bare = Client::new(&spec(api(keyed()), &server.url(), None)).unwrap();
    let error = bare.send(&things()).await.unwrap_err().to_string();
    assert!(error.contains("has no `auth`, of which the API takes `apiKey`"), "{error}");
}

#[tokio::test]
async fn retry_after_is_obeyed_by_every_call_of_the_credential() {
    let server = Server::start(|_, before| match before {
        0 => reply(429, &[("retry-after", "3")], ""),
        _ => reply(200, &[], "{}"),
    })
    .await;
    let client = client(&server.url());
    let (call, other) = (create(), Call::get("/others"));
    let (first, second) = tokio::join!(client.send(&call), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.send(&other).await
    });
    assert_eq!((first.unwrap().attempts, second.unwrap().attempts), (2, 1), "a create is repeated after 429");
    assert!(server.gap(0) >= Duration::from_millis(300), "{:?}", server.gap(0));
    assert_eq!(client.sent(), 3);
}

#[tokio::test]
async fn retry_after_may_be_a_date_and_reset_may_have_any_style() {
    type Headers = fn(SystemTime) -> Vec<(&'static str, String)>;
    let cases: [Headers; 5] = [
        |at| vec![("retry-after", httpdate::fmt_http_date(at))],
        |at| vec![("x-ratelimit-reset", epoch(at).as_secs().to_string())],
        |at| vec![("x-ratelimit-reset", epoch(at).as_millis().to_string())],
        |at| vec![("x-ratelimit-reset", httpdate::fmt_http_date(at))],
        |_| vec![("x-ratelimit-reset", "3".to_owned()), ("x-ratelimit-remaining", "0".to_owned())],
    ];
    let servers = join_all(cases.map(|headers| async move {
        let server = Server::start(move |_, before| {
            if before > 0 {
                return reply(200, &[], "{}");
            }
            let headers = headers(SystemTime::now() + Duration::from_secs(3));
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            reply(429, &headers, "")
        })
        .await;
        client(&server.url()).send(&things()).await.unwrap();
        server.gap(0)
    }))
    .await;
    // A tenth of three seconds; dates are cut to whole seconds.
    for (number, gap) in servers.into_iter().enumerate() {
        assert!((Duration::from_millis(200)..Duration::from_millis(800)).contains(&gap), "{number}: {gap:?}");
    }
}

#[tokio::test]
async fn calls_stop_before_the_announced_limit_is_overrun() {
    let start = Instant::now();
    let server = Server::start(move |_, before| {
        let window_is_over = start.elapsed() > Duration::from_millis(290);
        let remaining = 4_usize.saturating_sub(before).to_string();
        match before {
            0..=4 => reply(
                200,
                &[("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", &remaining), ("x-ratelimit-reset", "3")],
                "{}",
            ),
            _ if window_is_over => reply(200, &[], "{}"),
            _ => reply(429, &[], ""),
        }
    })
    .await;
    let client = client(&server.url());
    client.send(&things()).await.unwrap();
    let quota = client.quota();
    assert_eq!((quota.limit, quota.remaining), (Some(5), Some(4)));
    let call = things();
    let answers = join_all((0..8).map(|_| client.send(&call))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.attempts == 1)), "no 429 was met");
    assert!(server.gap(4) >= Duration::from_millis(200), "{:?}", server.gap(4));
}

#[tokio::test]
async fn no_window_sees_more_calls_than_the_budget_leaves() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let limits = ConnectionLimits { requests: Some(10), window: Some(2), ..ConnectionLimits::default() };
    let budgets = Budgets::default();
    let spec = ClientSpec { limits, budgets, ..spec(api(keyed()), &server.url(), key()) };
    let (one, other) = (Client::new(&spec).unwrap(), Client::new(&spec).unwrap());
    assert!((one.seconds_for(17) - 4.2).abs() < 1e-9, "{}", one.seconds_for(17));
    let calls: Vec<Call> = (0..20).map(|_| things()).collect();
    join_all(calls.iter().enumerate().map(|(n, call)| if n % 2 == 0 { one.send(call) } else { other.send(call) }))
        .await;
    let mut times: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    times.sort();
    assert_eq!(times.len(), 20);
    // Eight of ten (a share is left for people) in 200 ms, less what the way to the server may vary.
    for pair in times.windows(9) {
        assert!(pair[8] - pair[0] > Duration::from_millis(150), "{:?}", pair[8] - pair[0]);
    }
}

#[tokio::test]
async fn a_limit_that_is_used_up_for_long_is_an_error_at_once() {
    let server = Server::start(|_, _| reply(429, &[("retry-after", "36000")], "")).await;
    let client = client(&server.url());
    let start = Instant::now();
    for _ in 0..2 {
        let error = client.send(&things()).await.unwrap_err();
        assert!(matches!(error, HttpError::RateLimited { wait: Some(_), .. }), "{error}");
        assert_eq!((error.class(), error.processed()), (Class::Transient, Processed::No));
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(server.seen().len(), 1, "the second call is not sent");
}

#[tokio::test]
async fn a_create_is_not_repeated_after_a_reset_and_a_read_is() {
    let (url, connections) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
    })
    .await;
    let client = client(&url);
    let error = client.send(&create()).await.unwrap_err();
    assert_eq!((error.class(), error.processed()), (Class::Transient, Processed::Maybe));
    assert_eq!(*connections.lock().unwrap(), 1);
    assert!(client.send(&things()).await.is_err());
    assert_eq!(*connections.lock().unwrap(), 1 + 6);
    client.send(&create().repeat(Repeat::Always)).await.unwrap_err();
    assert_eq!(*connections.lock().unwrap(), 1 + 6 + 6);
    assert_eq!(client.sent(), 13);
}

#[tokio::test]
async fn a_read_survives_a_few_resets() {
    let (url, _) = raw_server(|mut stream, before| async move {
        read_request(&mut stream).await;
        if before >= 2 {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
    })
    .await;
    assert_eq!(client(&url).send(&things()).await.unwrap().attempts, 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_has_processed_nothing() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let client = client(&url);
    let error = client.send(&create()).await.unwrap_err();
    assert!(matches!(error, HttpError::NotSent { .. }), "{error}");
    assert_eq!((error.processed(), client.sent()), (Processed::No, 0));
    assert!(error.to_string().contains("refused"), "{error}");
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.code, "PL0420");
    assert!(diagnostic.message.contains("`POST /v1/things` of connection `prod`"), "{}", diagnostic.message);
    assert_eq!(diagnostic.hints.len(), 1);
}

#[tokio::test]
async fn a_server_that_always_fails_is_asked_a_bounded_number_of_times() {
    let server = Server::start(|_, _| reply(503, &[], format!("<html><title>Down</title>{KEY}"))).await;
    let client = client(&server.url());
    let error = client.send(&things()).await.unwrap_err();
    assert_eq!(server.seen().len(), 6);
    assert_eq!(
        error.to_string(),
        "`GET /v1/things` of connection `prod` failed with status 503 on each of 6 attempts: Down"
    );
    let error = client.send(&create()).await.unwrap_err();
    assert_eq!((error.processed(), error.class(), server.seen().len()), (Processed::Maybe, Class::Transient, 7));
}

#[tokio::test]
async fn what_the_server_surely_did_not_do_is_repeated_and_what_it_refuses_is_not() {
    let server = Server::start(|seen, before| match (seen.method.as_str(), before) {
        ("POST", 0) => reply(503, &[("retry-after", "0")], ""),
        ("GET", 2) => reply(500, &[], ""),
        ("DELETE", _) => reply(500, &[], ""),
        ("PATCH", _) => reply(422, &[], json!({"errors": ["bad"]})),
        _ => reply(200, &[], "{}"),
    })
    .await;
    let client = client(&server.url());
    assert_eq!(client.send(&create()).await.unwrap().attempts, 2);
    assert_eq!(client.send(&things()).await.unwrap().attempts, 2);
    assert!(client.send(&Call::new(Method::DELETE, "/things/1")).await.is_err());
    assert_eq!(server.seen().len(), 5, "a delete that met 500 is not repeated");
    let answer = client.send(&Call::new(Method::PATCH, "/things/1")).await.unwrap();
    assert_eq!((answer.status, answer.attempts), (422, 1));
    let error = answer.refused("bad");
    assert_eq!((error.class(), error.processed(), error.status()), (Class::Remote, Processed::No, Some(422)));
}

#[tokio::test]
async fn a_page_of_html_is_no_answer() {
    let page = "<!doctype html><html><head><title>Corporate sign-in</title></head></html>";
    let server = Server::start(move |_, _| reply(200, &[("content-type", "text/html")], page)).await;
    let error = client(&server.url()).send(&things()).await.unwrap().json().unwrap_err();
    assert_eq!(error.class(), Class::Remote);
    assert_eq!(
        error.to_string(),
        "`GET /v1/things` of connection `prod` was answered with a page of HTML titled `Corporate sign-in` where JSON \
         was expected"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer() {
    let (url, connections) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\": [").await.unwrap();
    })
    .await;
    let client = client(&url);
    let error = client.send(&things()).await.unwrap_err();
    assert!(error.to_string().contains("broke off after 10 bytes"), "{error}");
    assert_eq!(*connections.lock().unwrap(), 6);
    let error = client.send(&create()).await.unwrap_err();
    assert_eq!((error.processed(), *connections.lock().unwrap()), (Processed::Maybe, 7));
}

#[tokio::test]
async fn an_answer_that_drips_or_floods_is_given_up() {
    let (url, connections) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let pace = Pace { total: Duration::from_millis(150), attempts: 2, largest_body: 1 << 20, ..fast() };
    let client_at = |url: &str| Client::new(&ClientSpec { pace, ..spec(api(keyed()), url, key()) }).unwrap();
    let start = Instant::now();
    let error = client_at(&url).send(&things()).await.unwrap_err();
    assert!(matches!(error, HttpError::Unanswered { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(*connections.lock().unwrap(), 2);

    let server = Server::start(|_, _| reply(200, &[], "x".repeat((1 << 20) + 1))).await;
    let error = client_at(&server.url()).send(&things()).await.unwrap_err();
    assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_interruption_lets_calls_under_way_finish_and_none_begin() {
    let (url, _) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    })
    .await;
    let client = client(&url);
    let call = create();
    let (under_way, ()) = tokio::join!(client.send(&call), async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        client.clone().stop();
    });
    assert!(under_way.is_ok());
    let error = client.send(&things()).await.unwrap_err();
    assert!(matches!(error, HttpError::Interrupted { processed: Processed::No, .. }), "{error}");
    assert_eq!(client.sent(), 1);
}

#[tokio::test]
async fn no_attempt_outlives_the_deadline() {
    let server = Server::start(|_, _| reply(429, &[("retry-after", "5")], "")).await;
    let client = client(&server.url());
    let start = Instant::now();
    let call = Call { deadline: Some(start + Duration::from_millis(150)), ..create() };
    let error = client.send(&call).await.unwrap_err();
    assert!(matches!(error, HttpError::Late { processed: Processed::No, .. }), "{error}");
    assert!(start.elapsed() < Duration::from_millis(400));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_behind_the_times_is_noticed() {
    let server = Server::start(|_, _| reply(200, &[("date", "Fri, 15 Jan 2021 08:00:00 GMT")], "{}")).await;
    let client = client(&server.url());
    client.send(&things()).await.unwrap();
    assert!(client.server_date().unwrap().skew_seconds() < -3600.0);
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn log_lines_name_the_call_and_no_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_env_filter("plumb=debug")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|_, _| reply(200, &[], "body-0123456789")).await;
    let scheme = ApiKeyScheme { query: Some("api_key".into()), ..ApiKeyScheme::default() };
    let api = api(ApiSpec { auth: vec![AuthScheme::ApiKey(scheme)], ..keyed() });
    let call = create().body(json!({"password": "hunter2-hunter2"})).query("filter[name]", "a").query("echo", KEY);
    Client::new(&spec(api, &server.url(), key())).unwrap().send(&call).await.unwrap();
    assert!(server.seen()[0].query.ends_with(&format!("api_key={KEY}")));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("POST /v1/things?filter%5Bname%5D=a&echo=***").count(), 1, "{text}");
    assert!(text.contains("status=200") && text.contains("attempt=1"), "{text}");
    for secret in [KEY, "hunter2", "body-", "api_key"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_login_survives_a_passing_fault_and_a_caller_that_goes_away() {
    let vendor = Vendor::start(3600, true).await;
    let client = vendor.client("s3cret-password");
    client.send(&things()).await.unwrap();
    vendor.revoke();
    // The caller goes away while its token is refreshed: the new pair must not be lost with it.
    assert!(tokio::time::timeout(Duration::from_millis(25), client.send(&things())).await.is_err());
    client.send(&things()).await.unwrap();
    assert_eq!(vendor.counts(), (1, 1));

    let server = Server::start(|seen, before| match (seen.path.as_str(), before) {
        ("/v1/auth/login", 0) => reply(502, &[], ""),
        ("/v1/auth/login", 1) => reply(429, &[("retry-after", "1")], ""),
        ("/v1/auth/login", _) => reply(200, &[], json!({"access_token": "t"})),
        _ => reply(200, &[], "{}"),
    })
    .await;
    let other = Vendor { server, tokens: Arc::default() };
    other.client("s3cret-password").send(&things()).await.unwrap();
    let paths: Vec<_> = other.server.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, ["/v1/auth/login", "/v1/auth/login", "/v1/auth/login", "/v1/things"]);
    assert!(other.server.gap(1) >= Duration::from_millis(100));
}
