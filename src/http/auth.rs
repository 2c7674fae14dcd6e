//! Credentials: the connection's way to authenticate, matched with those that the API offers.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{
    base::{self, Base},
    exchange::{Endpoint, Grant, login_template},
    hosts::is_loopback,
    spec::ClientSpec,
    token::TokenSource,
};
use crate::{
    description::format::{ApiKeyScheme, AuthScheme, LoginScheme, OAuth2Scheme},
    diagnostic::Diagnostic,
};

/// How a connection authenticates, its secrets resolved.
#[derive(Debug, Clone)]
pub enum ResolvedAuth {
    /// A key.
    ApiKey(SecretString),
    /// A bearer token.
    Bearer(SecretString),
    /// HTTP basic authentication.
    Basic {
        /// User name.
        username: SecretString,
        /// Password.
        password: SecretString,
    },
    /// A login.
    Login {
        /// E-mail address.
        email: Option<SecretString>,
        /// User name, where the API logs in by that.
        username: Option<SecretString>,
        /// Password.
        password: SecretString,
    },
    /// OAuth 2.0 client credentials.
    OAuth2 {
        /// Client id.
        client_id: SecretString,
        /// Client secret.
        client_secret: SecretString,
        /// Token URL, where it is not the API's.
        token_url: Option<String>,
        /// Scopes, where they are not the API's.
        scopes: Vec<String>,
    },
}

impl ResolvedAuth {
    /// The way's name in manifests.
    fn way(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "apiKey",
            Self::Bearer(_) => "bearer",
            Self::Basic { .. } => "basic",
            Self::Login { .. } => "login",
            Self::OAuth2 { .. } => "oauth2",
        }
    }

    /// The texts that must not be seen.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::ApiKey(secret) | Self::Bearer(secret) => vec![secret.clone()],
            Self::Basic { username, password } => vec![password.clone(), basic(username, password).into()],
            Self::Login { password, .. } => vec![password.clone()],
            Self::OAuth2 { client_secret, .. } => vec![client_secret.clone()],
        }
    }

    /// Tells credentials apart without giving them away.
    pub(super) fn fingerprint(auth: Option<&Self>, origin: &str) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut add = |text: &str| {
            context.update(text.as_bytes());
            context.update(&[0]);
        };
        add(origin);
        match auth {
            None => {}
            Some(Self::ApiKey(secret) | Self::Bearer(secret)) => add(secret.expose_secret()),
            Some(Self::Basic { username: name, password: secret }) => {
                add(name.expose_secret());
                add(secret.expose_secret());
            }
            Some(Self::Login { email, username, password }) => {
                for part in [email.as_ref(), username.as_ref(), Some(password)].into_iter().flatten() {
                    add(part.expose_secret());
                }
            }
            Some(Self::OAuth2 { client_id, client_secret, .. }) => {
                add(client_id.expose_secret());
                add(client_secret.expose_secret());
            }
        }
        context.finish().as_ref().to_vec()
    }
}

/// What goes along with every request.
pub(super) enum Credential {
    /// Nothing.
    None,
    /// A header.
    Header(HeaderName, HeaderValue),
    /// A query parameter.
    Query(String, SecretString),
    /// A token that is got, and renewed.
    Token(Arc<TokenSource>),
}

/// A credential before the client is set up.
pub(super) enum Prepared {
    /// Ready as it is.
    Fixed(Credential),
    /// A token's source, and the text before tokens.
    Exchange(Box<Grant>, String),
}

impl Prepared {
    /// Whether any token call goes beyond loopback.
    pub(super) fn leaves_loopback(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Exchange(grant, _) => !is_loopback(&grant.endpoint(false).url),
        }
    }

    /// Whether any token call speaks TLS.
    pub(super) fn needs_tls(&self) -> bool {
        matches!(self, Self::Exchange(grant, _) if grant.endpoint(false).url.scheme() == "https")
    }
}

/// Matches the connection's way with those of the API.
pub(super) fn prepare(spec: &ClientSpec, base: &Base) -> Result<Prepared, Diagnostic> {
    let Some(auth) = &spec.auth else { return Ok(Prepared::Fixed(Credential::None)) };
    let offered = || spec.api.spec.auth.iter();
    let prefix = offered().find_map(|scheme| match scheme {
        AuthScheme::Bearer(scheme) => scheme.prefix.clone(),
        _ => None,
    });
    let prefix = prefix.unwrap_or_else(|| "Bearer ".into());
    let found = match auth {
        ResolvedAuth::ApiKey(key) => offered().find_map(|scheme| match scheme {
            AuthScheme::ApiKey(scheme) => Some(api_key(spec, scheme, key).map(Prepared::Fixed)),
            _ => None,
        }),
        ResolvedAuth::Bearer(token) => offered().find_map(|scheme| match scheme {
            AuthScheme::Bearer(_) => {
                Some(header(spec, AUTHORIZATION, &format!("{prefix}{}", trimmed(token))).map(Prepared::Fixed))
            }
            _ => None,
        }),
        ResolvedAuth::Basic { username, password } => offered().find_map(|scheme| match scheme {
            AuthScheme::Basic(_) => {
                Some(header(spec, AUTHORIZATION, &format!("Basic {}", basic(username, password))).map(Prepared::Fixed))
            }
            _ => None,
        }),
        ResolvedAuth::Login { email, username, password } => offered().find_map(|scheme| match scheme {
            AuthScheme::Login(scheme) => {
                let grant = login(spec, base, scheme, [email.as_ref(), username.as_ref()], password);
                Some(grant.map(|grant| Prepared::Exchange(Box::new(grant), prefix.clone())))
            }
            _ => None,
        }),
        ResolvedAuth::OAuth2 { .. } => offered().find_map(|scheme| match scheme {
            AuthScheme::Oauth2(scheme) => {
                let grant = client(spec, base, scheme, auth);
                Some(grant.map(|grant| Prepared::Exchange(Box::new(grant), prefix.clone())))
            }
            _ => None,
        }),
    };
    found.unwrap_or_else(|| Err(not_offered(spec, auth)))
}

fn not_offered(spec: &ClientSpec, auth: &ResolvedAuth) -> Diagnostic {
    let ways = ways(&spec.api.spec.auth);
    let diagnostic = Diagnostic::error(
        "PL0320",
        format!(
            "Connection `{}` authenticates by `{}`, which API `{}` does not offer.",
            spec.connection,
            auth.way(),
            spec.api.name
        ),
    );
    if ways.is_empty() {
        diagnostic.hint("The API takes no credential: leave `auth` out.")
    } else {
        diagnostic.hint(format!("It offers `{}`.", ways.join("`, `")))
    }
}

/// The names of the ways that an API offers, as manifests write them.
pub(super) fn ways(offered: &[AuthScheme]) -> Vec<&'static str> {
    let names = offered.iter().map(|scheme| match scheme {
        AuthScheme::ApiKey(_) => "apiKey",
        AuthScheme::Bearer(_) => "bearer",
        AuthScheme::Basic(_) => "basic",
        AuthScheme::Oauth2(_) => "oauth2",
        AuthScheme::Login(_) => "login",
    });
    names.collect()
}

fn api_key(spec: &ClientSpec, scheme: &ApiKeyScheme, key: &SecretString) -> Result<Credential, Diagnostic> {
    let prefix = scheme.prefix.as_deref().unwrap_or_default();
    let text = format!("{prefix}{}", trimmed(key));
    match (&scheme.header, &scheme.query) {
        (None, Some(query)) => Ok(Credential::Query(query.clone(), text.into())),
        (name, _) => {
            let name = name.as_deref().unwrap_or("x-api-key");
            let Ok(name) = HeaderName::try_from(name) else {
                return Err(Diagnostic::error(
                    "PL0320",
                    format!(
                        "API `{}` names `{name}` as the header of its key, which is no header name.",
                        spec.api.name
                    ),
                ));
            };
            header(spec, name, &text)
        }
    }
}

fn login(
    spec: &ClientSpec,
    base: &Base,
    scheme: &LoginScheme,
    [email, username]: [Option<&SecretString>; 2],
    password: &SecretString,
) -> Result<Grant, Diagnostic> {
    let template = login_template(scheme, email.is_some());
    let wants = |placeholder: &str| template.values().any(|text| text.contains(placeholder));
    for (name, given) in [("email", email), ("username", username)] {
        if given.is_some() && !wants(&format!("{{{name}}}")) {
            let other = if name == "email" { "username" } else { "email" };
            return Err(Diagnostic::error(
                "PL0320",
                format!(
                    "Connection `{}` logs in by `{name}`, which API `{}` does not take.",
                    spec.connection, spec.api.name
                ),
            )
            .hint(format!("Write `{other}` instead.")));
        }
    }
    let endpoint = |path: &str| -> Result<Endpoint, Diagnostic> {
        let url = base.join(path, []).map_err(|reason| bad_path(spec, path, &reason))?;
        Ok(Endpoint { url, shown: base.shown(path) })
    };
    Ok(Grant::Login {
        login: endpoint(&scheme.path)?,
        refresh: scheme.refresh_path.as_deref().map(endpoint).transpose()?,
        scheme: Box::new(scheme.clone()),
        email: email.cloned(),
        username: username.cloned(),
        password: password.clone(),
    })
}

fn client(spec: &ClientSpec, base: &Base, scheme: &OAuth2Scheme, auth: &ResolvedAuth) -> Result<Grant, Diagnostic> {
    let ResolvedAuth::OAuth2 { client_id, client_secret, token_url, scopes } = auth else {
        return Err(not_offered(spec, auth));
    };
    let Some(text) = token_url.as_deref().or(scheme.token_url.as_deref()) else {
        return Err(Diagnostic::error(
            "PL0320",
            format!("Connection `{}` has no token URL, and API `{}` names none.", spec.connection, spec.api.name),
        )
        .hint("Write it as `auth.oauth2.tokenUrl`."));
    };
    let url = if text.starts_with('/') {
        base.join_root(text).map_err(|reason| bad_path(spec, text, &reason))?
    } else {
        base::parse(&spec.connection, "auth.oauth2.tokenUrl", text)?
    };
    spec.allowed_hosts.check(&spec.connection, &spec.api, "auth.oauth2.tokenUrl", &url)?;
    let scopes = if scopes.is_empty() { &scheme.scopes } else { scopes };
    Ok(Grant::Client {
        endpoint: Endpoint { shown: url.path().to_owned(), url },
        id: client_id.clone(),
        secret: client_secret.clone(),
        scope: scopes.join(" "),
        audience: scheme.audience.clone(),
        place: scheme.client_auth,
    })
}

fn bad_path(spec: &ClientSpec, path: &str, reason: &str) -> Diagnostic {
    Diagnostic::error("PL0320", format!("The token call `{path}` of API `{}` cannot be made: {reason}.", spec.api.name))
}

fn header(spec: &ClientSpec, name: HeaderName, text: &str) -> Result<Credential, Diagnostic> {
    let Ok(mut header) = HeaderValue::try_from(text) else {
        return Err(Diagnostic::error(
            "PL0324",
            format!("The credential of connection `{}` has a character that no header can carry.", spec.connection),
        )
        .hint("Check where it comes from: it may have more than one line."));
    };
    header.set_sensitive(true);
    Ok(Credential::Header(name, header))
}

/// A secret without the line end that files have.
fn trimmed(secret: &SecretString) -> &str {
    secret.expose_secret().trim_end_matches(['\r', '\n'])
}

fn basic(username: &SecretString, password: &SecretString) -> String {
    BASE64_STANDARD.encode(format!("{}:{}", trimmed(username), trimmed(password)))
}
