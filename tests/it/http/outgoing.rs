//! What is sent, and where to.

use std::sync::{Arc, Mutex};

use plumb::{
    description::format::{ApiKeyScheme, ApiSpec, AuthScheme, BasicScheme, BearerScheme, OAuth2Scheme},
    diagnostic::Diagnostic,
    http::{Call, Class, Client, ClientSpec, HostPolicy, HttpError, Method, ResolvedAuth},
};
use serde_json::json;

use super::{KEY, Server, api, client, create, key, keyed, reply, spec, things};

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
        Client::new(&spec(api, &server.url(), auth)).unwrap().send(&things()).await.unwrap();
        let seen = &server.seen()[number];
        assert_eq!((seen.header(header), seen.query.as_str()), (value.as_str(), query));
    }
}

#[tokio::test]
async fn a_way_that_the_api_does_not_offer_is_refused_before_anything_is_sent() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let auth = ResolvedAuth::Basic { username: "me".into(), password: KEY.into() };
    let fault = Client::new(&spec(api(keyed()), &server.url(), auth)).unwrap_err();
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
    let spec = spec(api(ApiSpec { auth: vec![scheme], ..keyed() }), "http://127.0.0.1:9", auth);
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
