//! Tokens: got, renewed, refused.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use plumb::{
    description::format::{ApiSpec, AuthScheme, ClientAuth, LoginScheme, OAuth2Scheme},
    http::{Answer, Class, Client, ResolvedAuth},
};
use serde_json::{Value, json};

use super::{Server, api, create, keyed, reply, spec, things};

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
            ..LoginScheme::default()
        });
        let auth =
            ResolvedAuth::Login { email: Some("me@acme.example".into()), username: None, password: password.into() };
        Client::new(&spec(api(ApiSpec { auth: vec![scheme], ..keyed() }), &self.server.url(), auth)).unwrap()
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
    assert!(
        vendor.server.seen().iter().all(|seen| seen.path != "/v1/things" || !seen.header("authorization").is_empty())
    );
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
        let client = Client::new(&spec(api(ApiSpec { auth: vec![scheme], ..keyed() }), &server.url(), auth)).unwrap();
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

/// A vendor whose login answers with a page and a cookie, good for two calls.
async fn session_vendor(status: u16) -> Server {
    let sessions = Arc::new(Mutex::new((0_usize, 0_usize)));
    Server::start(move |seen, _| {
        let mut sessions = sessions.lock().unwrap();
        if seen.path == "/v1/login" {
            if seen.body != "user=me&pass=s3cret+%26+more" {
                return reply(403, &[], json!({"message": format!("no such login: {}", seen.body)}));
            }
            *sessions = (sessions.0 + 1, 2);
            let cookie = format!("sid=s{}; Path=/; Max-Age=3600; HttpOnly", sessions.0);
            return reply(
                status,
                &[("set-cookie", "lang=en"), ("set-cookie", cookie.as_str()), ("location", "/home")],
                "",
            );
        }
        let fresh = sessions.1 > 0 && seen.header("cookie") == format!("sid=s{}", sessions.0);
        sessions.1 = sessions.1.saturating_sub(1);
        if fresh { reply(200, &[], json!({"ok": true})) } else { reply(401, &[], "") }
    })
    .await
}

#[tokio::test]
async fn a_session_is_kept_by_its_cookie_and_opened_anew_when_it_ended() {
    for status in [200, 204, 302] {
        let server = session_vendor(status).await;
        let scheme = AuthScheme::Login(LoginScheme {
            path: "/login".into(),
            body: [("user", "{username}"), ("pass", "{password}")].map(|(a, b)| (a.into(), b.into())).into(),
            form: true,
            cookie: Some("sid".into()),
            ..LoginScheme::default()
        });
        let login = ResolvedAuth::Login { email: None, username: Some("me".into()), password: "s3cret & more".into() };
        let described = ApiSpec { auth: vec![scheme], ..keyed() };
        let client = Client::new(&spec(api(described), &server.url(), login)).unwrap();
        for _ in 0..3 {
            assert_eq!(client.send(&things()).await.unwrap().status, 200);
        }
        let seen = server.seen();
        let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
        let things = "/v1/things";
        assert_eq!(paths, ["/v1/login", things, things, things, "/v1/login", things]);
        assert_eq!(seen[5].header("cookie"), "sid=s2");
        assert_eq!(seen[5].header("authorization"), "");
    }
}
