//! The door of a simulated API: credentials, logins and their tokens, and the request limit.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant, SystemTime},
};

use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use crate::{
    description::{
        Api,
        format::{AuthScheme, LoginScheme},
    },
    value::{Fields, set_path},
};

/// Part of a credential that is refused everywhere.
const WRONG: &str = "wrong";
/// Part of a credential that may neither see nor set sensitive values.
const WITHOUT_SECRETS: &str = "nopasswords";
/// What issued tokens start with.
const ISSUED: &str = "sandbox-access-";

/// What the door says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// The credential is good.
    Welcome {
        /// The credential, for the request limit.
        credential: String,
        /// Whether it may see sensitive values.
        sees_secrets: bool,
    },
    /// There is none.
    Nobody,
    /// It is not valid.
    Wrong,
}

/// Credentials that are valid, and tokens that were issued.
#[derive(Debug)]
pub(super) struct Door {
    /// Only these are valid; any where none are listed.
    allowed: HashSet<String>,
    tokens: HashMap<String, Instant>,
    refresh: HashSet<String>,
    issued: u64,
    lifetime: Duration,
    limit: Option<(u32, Duration)>,
    retry_after: bool,
    windows: HashMap<String, (Instant, u32)>,
}

/// What is left of a request limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    limit: u32,
    remaining: u32,
    /// Time until the window ends.
    reset: Duration,
    exceeded: bool,
}

impl Door {
    /// A door for the given valid credentials, token lifetime and limit.
    pub(super) fn new(
        allowed: HashSet<String>,
        lifetime: Duration,
        limit: Option<(u32, Duration)>,
        retry_after: bool,
    ) -> Self {
        Self {
            allowed,
            tokens: HashMap::new(),
            refresh: HashSet::new(),
            issued: 0,
            lifetime,
            limit,
            retry_after,
            windows: HashMap::new(),
        }
    }

    /// Looks at the credential of a request.
    pub(super) fn look(&self, api: &Api, headers: &HeaderMap, query: &[(String, String)]) -> Entry {
        if api.spec.auth.is_empty() {
            return Entry::Welcome { credential: String::new(), sees_secrets: true };
        }
        let found = api.spec.auth.iter().filter_map(|scheme| credential(scheme, headers, query));
        let mut seen = false;
        for credential in found.filter(|credential| !credential.is_empty()) {
            seen = true;
            if self.is_valid(&credential) {
                let sees_secrets = !credential.contains(WITHOUT_SECRETS);
                return Entry::Welcome { credential, sees_secrets };
            }
        }
        if seen { Entry::Wrong } else { Entry::Nobody }
    }

    fn is_valid(&self, credential: &str) -> bool {
        if credential.starts_with(ISSUED) {
            return self.tokens.get(credential).is_some_and(|expires| *expires > Instant::now());
        }
        if self.allowed.is_empty() { !credential.contains(WRONG) } else { self.allowed.contains(credential) }
    }

    /// Answers the calls that give tokens; nothing where the path is none of theirs.
    pub(super) fn exchange(
        &mut self,
        api: &Api,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Option<Answer> {
        for scheme in &api.spec.auth {
            match scheme {
                AuthScheme::Login(login) if same_path(api, &login.path, path) => {
                    return Some(only(api, login.method.as_deref(), method, || self.login(api, login, body)));
                }
                AuthScheme::Login(login)
                    if login.refresh_path.as_deref().is_some_and(|at| same_path(api, at, path)) =>
                {
                    return Some(only(api, login.method.as_deref(), method, || self.renew(api, login, body)));
                }
                AuthScheme::Oauth2(scheme)
                    if scheme.token_url.as_deref().is_some_and(|at| same_path(api, at, path)) =>
                {
                    return Some(only(api, None, method, || self.grant(api, headers, body)));
                }
                _ => {}
            }
        }
        None
    }

    fn login(&mut self, api: &Api, login: &LoginScheme, body: &Bytes) -> Answer {
        let sent = if login.form {
            url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::from(&*value))).collect()
        } else {
            serde_json::from_slice::<Value>(body).unwrap_or_default()
        };
        let Value::Object(body) = sent else {
            return Refusal::new(400, "The body must be a JSON object.").answer(api);
        };
        for name in login.body.keys() {
            match crate::value::get_path(&Value::Object(body.clone()), name).and_then(Value::as_str) {
                None | Some("") => return Refusal::new(400, format!("`{name}` is required.")).answer(api),
                Some(text) if text.contains(WRONG) => {
                    return Refusal::new(401, "The credentials are not valid.").answer(api);
                }
                Some(_) => {}
            }
        }
        self.issue(login)
    }

    fn renew(&mut self, api: &Api, login: &LoginScheme, body: &Bytes) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = login.refresh_body.iter().find(|(_, text)| text.as_str() == "{refresh_token}").map(|(name, _)| name);
        let token = crate::value::get_path(&body, name.map_or("refresh_token", String::as_str)).and_then(Value::as_str);
        // A refresh token is good for one use.
        if token.is_some_and(|token| self.refresh.remove(token)) {
            self.issue(login)
        } else {
            Refusal::new(401, "The refresh token is not valid, or was used before.").answer(api)
        }
    }

    fn issue(&mut self, login: &LoginScheme) -> Answer {
        let (access, refresh) = self.pair();
        if let Some(name) = &login.cookie {
            let cookie = format!("{name}={access}; Path=/; Max-Age={}; HttpOnly", self.lifetime.as_secs());
            return Answer::empty(StatusCode::NO_CONTENT).with("set-cookie", &cookie);
        }
        let mut body = Fields::new();
        set_path(&mut body, &login.access_token, access.into());
        set_path(&mut body, &login.refresh_token, refresh.into());
        set_path(&mut body, "token_type", "Bearer".into());
        set_path(&mut body, &login.expires_in, self.lifetime.as_secs().into());
        Answer::new(StatusCode::OK, body.into())
    }

    fn grant(&mut self, api: &Api, headers: &HeaderMap, body: &Bytes) -> Answer {
        let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
            let body = json!({ "error": "unsupported_grant_type" });
            return Answer::new(StatusCode::BAD_REQUEST, body);
        }
        let client =
            basic(headers).or_else(|| Some(format!("{}:{}", form.get("client_id")?, form.get("client_secret")?)));
        match client {
            Some(client) if !client.starts_with(':') && !client.ends_with(':') && !client.contains(WRONG) => {
                let (access, _) = self.pair();
                let body = json!({
                    "access_token": access, "token_type": "Bearer", "expires_in": self.lifetime.as_secs(),
                });
                Answer::new(StatusCode::OK, body)
            }
            Some(_) => Answer::new(StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" })),
            None => Refusal::new(400, "The client's id and secret are missing.").answer(api),
        }
    }

    fn pair(&mut self) -> (String, String) {
        self.issued += 1;
        let (access, refresh) = (format!("{ISSUED}{}", self.issued), format!("sandbox-refresh-{}", self.issued));
        self.tokens.insert(access.clone(), Instant::now() + self.lifetime);
        self.refresh.insert(refresh.clone());
        (access, refresh)
    }

    /// Counts a request; nothing where there is no limit.
    pub(super) fn count(&mut self, credential: &str) -> Option<Quota> {
        let (limit, window) = self.limit?;
        let now = Instant::now();
        let (start, count) = self.windows.entry(credential.to_owned()).or_insert((now, 0));
        if now.duration_since(*start) >= window {
            (*start, *count) = (now, 0);
        }
        let exceeded = *count >= limit;
        if !exceeded {
            *count += 1;
        }
        let reset = window.saturating_sub(now.duration_since(*start));
        Some(Quota { limit, remaining: limit - (*count).min(limit), reset, exceeded })
    }

    /// The refusal of a request beyond the limit.
    pub(super) fn refuse(&self, api: &Api, quota: Quota) -> Option<Answer> {
        if !quota.exceeded {
            return None;
        }
        let answer = Refusal::new(429, "Too many requests.").answer(api);
        let seconds = quota.reset.as_secs_f64().ceil();
        Some(if self.retry_after { answer.with("retry-after", &format!("{seconds}")) } else { answer })
    }
}

impl Quota {
    /// Adds the headers that the description names.
    pub(super) fn label(self, api: &Api, mut answer: Answer) -> Answer {
        let limits = &api.spec.limits;
        let end = SystemTime::now() + self.reset;
        let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64().ceil();
        for (name, value) in [
            (&limits.limit_header, self.limit.to_string()),
            (&limits.remaining_header, self.remaining.to_string()),
            (&limits.reset_header, format!("{end}")),
        ] {
            if let Some(name) = name {
                answer = answer.with(name, &value);
            }
        }
        answer
    }
}

fn only(api: &Api, described: Option<&str>, method: &str, answer: impl FnOnce() -> Answer) -> Answer {
    let described = described.unwrap_or("POST").to_ascii_uppercase();
    if method == described {
        answer()
    } else {
        Refusal::new(405, format!("Only {described} is possible here.")).answer(api)
    }
}

/// Whether a path is the one of an exchange, with or without the version path, given as a path or as a URL.
fn same_path(api: &Api, given: &str, path: &str) -> bool {
    let given = url::Url::parse(given).map_or_else(|_| given.to_owned(), |url| url.path().to_owned());
    let version = api.spec.version_path.as_deref().unwrap_or_default().trim_end_matches('/');
    let bare = |path: &str| path.strip_prefix(version).unwrap_or(path).trim_matches('/').to_owned();
    bare(&given) == bare(path)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn basic(headers: &HeaderMap) -> Option<String> {
    let text = header(headers, "authorization")?.strip_prefix("Basic ")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// The credential that a request carries by one scheme.
fn credential(scheme: &AuthScheme, headers: &HeaderMap, query: &[(String, String)]) -> Option<String> {
    let bearer =
        |prefix: &str| header(headers, "authorization")?.strip_prefix(prefix).map(|token| token.trim().to_owned());
    match scheme {
        AuthScheme::ApiKey(key) => {
            let prefix = key.prefix.as_deref().unwrap_or_default();
            if let Some(name) = &key.header {
                return header(headers, name)?.strip_prefix(prefix).map(str::to_owned);
            }
            let name = key.query.as_deref()?;
            let value = query.iter().find(|(given, _)| given == name).map(|(_, value)| value)?;
            value.strip_prefix(prefix).map(str::to_owned)
        }
        AuthScheme::Bearer(scheme) => bearer(scheme.prefix.as_deref().unwrap_or("Bearer ")),
        AuthScheme::Login(login) if let Some(name) = &login.cookie => {
            let cookies = header(headers, "cookie")?.split(';').filter_map(|cookie| cookie.trim().split_once('='));
            cookies.into_iter().find(|(given, _)| given == name).map(|(_, value)| value.to_owned())
        }
        AuthScheme::Login(_) | AuthScheme::Oauth2(_) => bearer("Bearer "),
        AuthScheme::Basic(_) => basic(headers).filter(|pair| !pair.starts_with(':') && !pair.ends_with(':')),
    }
}
