//! The calls that give tokens: a vendor's login and refresh, and OAuth 2.0 client credentials (RFC 6749 section 4.4).

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use indexmap::IndexMap;
use reqwest::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::answer::Answer;
use crate::{
    description::format::{ClientAuth, LoginScheme},
    value,
};

/// How tokens are got.
#[derive(Debug)]
pub(super) enum Grant {
    /// By a vendor's login.
    Login {
        /// The described exchange.
        scheme: Box<LoginScheme>,
        /// Where to log in.
        login: Endpoint,
        /// Where to refresh.
        refresh: Option<Endpoint>,
        /// E-mail address.
        email: Option<SecretString>,
        /// User name.
        username: Option<SecretString>,
        /// Password.
        password: SecretString,
    },
    /// By a client's credentials.
    Client {
        /// Token endpoint.
        endpoint: Endpoint,
        /// Client id.
        id: SecretString,
        /// Client secret.
        secret: SecretString,
        /// Scopes, joined.
        scope: String,
        /// The `audience` parameter.
        audience: Option<String>,
        /// Where id and secret go.
        place: ClientAuth,
    },
}

/// Where a token call goes, and its path for messages.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) shown: String,
}

/// What a token call gave.
pub(super) struct Token {
    pub(super) access: SecretString,
    pub(super) refresh: Option<SecretString>,
    pub(super) lifetime: Option<Duration>,
}

impl Grant {
    /// Whether tokens can be refreshed.
    pub(super) fn can_refresh(&self) -> bool {
        matches!(self, Self::Login { refresh: Some(_), .. })
    }

    /// Where the call goes that starts afresh, or refreshes.
    pub(super) fn endpoint(&self, refreshing: bool) -> &Endpoint {
        match self {
            Self::Login { refresh: Some(refresh), .. } if refreshing => refresh,
            Self::Login { login, .. } => login,
            Self::Client { endpoint, .. } => endpoint,
        }
    }

    /// The method of these calls.
    pub(super) fn method(&self) -> Method {
        let word = match self {
            Self::Login { scheme, .. } => scheme.method.as_deref(),
            Self::Client { .. } => None,
        };
        word.and_then(|word| word.to_ascii_uppercase().parse().ok()).unwrap_or(Method::POST)
    }

    /// The request that starts afresh, or refreshes with a refresh token.
    pub(super) fn request(&self, refresh: Option<&SecretString>) -> Result<Request, String> {
        let endpoint = self.endpoint(refresh.is_some());
        let mut request = Request::new(self.method(), endpoint.url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let (kind, body) = match (self, refresh) {
            (Self::Login { scheme, .. }, Some(token)) => {
                let body = fill(&refresh_template(scheme), &[("{refresh_token}", Some(token))]);
                ("application/json", Value::Object(body).to_string())
            }
            (Self::Login { scheme, email, username, password, .. }, None) => {
                let values =
                    [("{email}", email.as_ref()), ("{username}", username.as_ref()), ("{password}", Some(password))];
                let body = fill(&login_template(scheme, email.is_some()), &values);
                if scheme.form {
                    let mut form = form_urlencoded::Serializer::new(String::new());
                    form.extend_pairs(body.iter().map(|(name, value)| (name, value.as_str().unwrap_or_default())));
                    ("application/x-www-form-urlencoded", form.finish())
                } else {
                    ("application/json", Value::Object(body).to_string())
                }
            }
            (Self::Client { id, secret, scope, audience, place, .. }, _) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.append_pair("grant_type", "client_credentials");
                match place {
                    ClientAuth::Body => {
                        form.append_pair("client_id", id.expose_secret());
                        form.append_pair("client_secret", secret.expose_secret());
                    }
                    ClientAuth::Header => {
                        request.headers_mut().insert(AUTHORIZATION, client_header(id, secret)?);
                    }
                }
                if !scope.is_empty() {
                    form.append_pair("scope", scope);
                }
                if let Some(audience) = audience {
                    form.append_pair("audience", audience);
                }
                ("application/x-www-form-urlencoded", form.finish())
            }
        };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    /// The cookie that carries the token, where none but a cookie does.
    pub(super) fn cookie(&self) -> Option<&str> {
        match self {
            Self::Login { scheme, .. } => scheme.cookie.as_deref(),
            Self::Client { .. } => None,
        }
    }

    /// Reads the tokens out of an answer.
    pub(super) fn read(&self, answer: &Answer) -> Result<Token, String> {
        if let Some(name) = self.cookie() {
            let cookie = answer.cookie(name).filter(|cookie| !cookie.value.is_empty());
            let cookie = cookie.ok_or_else(|| format!("the answer sets no cookie `{name}`"))?;
            return Ok(Token { access: cookie.value.into(), refresh: None, lifetime: cookie.lifetime });
        }
        let (access, refresh, expires) = match self {
            Self::Login { scheme, .. } => {
                (scheme.access_token.as_str(), scheme.refresh_token.as_str(), scheme.expires_in.as_str())
            }
            Self::Client { .. } => ("access_token", "refresh_token", "expires_in"),
        };
        let body = answer.json().map_err(|_| "the answer is not JSON".to_owned())?;
        let text = |path: &str| {
            value::at_path(&body, path).and_then(|value| value::text(&value)).filter(|text| !text.is_empty())
        };
        let token = text(access).ok_or_else(|| format!("the answer has no token at `{access}`"))?;
        let lifetime = text(expires)
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
            .map(|seconds| Duration::from_secs_f64(seconds.min(1e9)));
        Ok(Token { access: token.into(), refresh: text(refresh).map(Into::into), lifetime })
    }
}

/// The body of the login call: the described one, or the two customary members.
pub(super) fn login_template(scheme: &LoginScheme, by_email: bool) -> IndexMap<String, String> {
    if !scheme.body.is_empty() {
        return scheme.body.clone();
    }
    let name = if by_email { "email" } else { "username" };
    [name, "password"].into_iter().map(|name| (name.to_owned(), format!("{{{name}}}"))).collect()
}

fn refresh_template(scheme: &LoginScheme) -> IndexMap<String, String> {
    if !scheme.refresh_body.is_empty() {
        return scheme.refresh_body.clone();
    }
    IndexMap::from([("refresh_token".to_owned(), "{refresh_token}".to_owned())])
}

/// Fills a body's template in; members whose value the connection does not give are left out.
fn fill(template: &IndexMap<String, String>, values: &[(&str, Option<&SecretString>)]) -> Map<String, Value> {
    let mut body = Map::new();
    for (path, text) in template {
        let text = match values.iter().find(|(placeholder, _)| text.contains(placeholder)) {
            None => text.clone(),
            Some((_, None)) => continue,
            Some((placeholder, Some(secret))) => text.replace(placeholder, secret.expose_secret()),
        };
        value::set_path(&mut body, path, Value::String(text));
    }
    body
}

/// `Authorization: Basic`, id and secret form-encoded first (RFC 6749 section 2.3.1).
fn client_header(id: &SecretString, secret: &SecretString) -> Result<HeaderValue, String> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id.expose_secret()), encode(secret.expose_secret()));
    let mut header = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        .map_err(|_| "the client's id or secret cannot be sent in a header".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
