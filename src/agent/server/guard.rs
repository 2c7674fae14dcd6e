//! Who may command and who may look. Tokens are compared in constant time by their keyed hashes; a browser that gave the
//! token once has a cookie that is worth nothing to anybody else's agent.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret as _, SecretString};

/// Name of the page's cookie.
const COOKIE: &str = "plumb_session";

/// Decides who may do what.
pub struct Guard {
    key: hmac::Key,
    is_random: bool,
    loopback: bool,
    asks: RwLock<Asks>,
}

/// What is asked for.
#[derive(Clone)]
struct Asks {
    token: Option<hmac::Tag>,
    session: String,
    secure: bool,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("token", &self.has_token()).finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

impl Guard {
    /// A guard with a token, or without one where only this machine can connect.
    pub fn new(token: Option<&SecretString>, loopback: bool, secure: bool) -> Self {
        let mut random = [0_u8; 32];
        let is_random = aws_lc_rs::rand::fill(&mut random).is_ok();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        let asks = RwLock::new(Asks { token: None, session: String::new(), secure });
        let guard = Self { key, is_random, loopback, asks };
        guard.change(token, secure);
        guard
    }

    /// Asks for another token from now on; cookies that were given for the one before are worth nothing then.
    pub fn change(&self, token: Option<&SecretString>, secure: bool) {
        let token = token.map(|token| hmac::sign(&self.key, token.expose_secret().as_bytes()));
        // Without randomness no cookie would be safe, and none is given.
        let session = token
            .as_ref()
            .filter(|_| self.is_random)
            .map(|tag| hex(hmac::sign(&self.key, tag.as_ref()).as_ref()))
            .unwrap_or_default();
        *self.asks.write().unwrap_or_else(PoisonError::into_inner) = Asks { token, session, secure };
    }

    fn asks<T>(&self, look: impl FnOnce(&Asks) -> T) -> T {
        look(&self.asks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is a token at all.
    pub fn has_token(&self) -> bool {
        self.asks(|asks| asks.token.is_some())
    }

    /// Whether a text is the token.
    pub fn is_token(&self, text: &str) -> bool {
        let holds = |tag: &hmac::Tag| hmac::verify(&self.key, text.as_bytes(), tag.as_ref()).is_ok();
        self.asks(|asks| asks.token.as_ref().is_some_and(holds))
    }

    /// Whether a request may command: it carries the token itself, which no page of another site can make a browser do.
    pub fn may_command(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|token| self.is_token(token))
    }

    /// Whether a request may look.
    pub fn may_look(&self, headers: &HeaderMap) -> bool {
        if !self.has_token() {
            return self.loopback && names_loopback(headers);
        }
        self.may_command(headers) || cookie(headers).is_some_and(|cookie| self.is_session(cookie))
    }

    fn is_session(&self, text: &str) -> bool {
        let session = self.asks(|asks| asks.session.clone());
        let expected = hmac::sign(&self.key, session.as_bytes());
        !session.is_empty() && hmac::verify(&self.key, text.as_bytes(), expected.as_ref()).is_ok()
    }

    /// The cookie for a browser that gave the token.
    pub fn cookie(&self) -> String {
        let Asks { session, secure, .. } = self.asks(Asks::clone);
        let secure = if secure { "; Secure" } else { "" };
        format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800{secure}")
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Whether a request was meant for this machine: a page of another site that has its own name lead here names that.
fn names_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a method only reads.
pub(super) fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn without_a_token_only_this_machine_may_look_and_nobody_may_command() {
        let guard = Guard::new(None, true, false);
        for (host, may) in [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("[::1]:8080", true),
            ("attacker.example", false),
            ("10.0.0.1:80", false),
        ] {
            assert_eq!(guard.may_look(&headers(&[(header::HOST, host)])), may, "{host}");
        }
        assert!(!guard.may_command(&headers(&[(header::AUTHORIZATION, "Bearer ")])));
        assert!(!Guard::new(None, false, false).may_look(&headers(&[(header::HOST, "127.0.0.1")])));
    }

    #[test]
    fn the_token_lets_in_and_a_cookie_lets_look_only() {
        let guard = Guard::new(Some(&"a-long-token".into()), false, true);
        let cookie = guard.cookie();
        let pair = cookie.split(';').next().unwrap();
        let with_cookie = headers(&[(header::COOKIE, pair)]);
        assert!(guard.may_look(&with_cookie) && !guard.may_command(&with_cookie));
        let with_token = headers(&[(header::AUTHORIZATION, "Bearer a-long-token")]);
        assert!(guard.may_look(&with_token) && guard.may_command(&with_token));
        assert!(!guard.may_look(&headers(&[(header::COOKIE, "plumb_session=")])));
        assert!(!guard.may_command(&headers(&[(header::AUTHORIZATION, "Bearer a-long-toke")])));
        assert!(!cookie.contains("a-long-token") && cookie.contains("Secure") && cookie.contains("HttpOnly"));
        assert_ne!(Guard::new(Some(&"a-long-token".into()), false, true).cookie(), cookie);
        guard.change(Some(&"another-token".into()), true);
        assert!(!guard.may_look(&with_cookie) && !guard.may_look(&with_token));
        assert!(guard.may_command(&headers(&[(header::AUTHORIZATION, "Bearer another-token")])));
    }
}
