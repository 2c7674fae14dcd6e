//! Headers and raw bytes of a request → proof that it comes from somebody who knows the secret. Comparisons take the
//! same time wherever the difference is, and all secrets are tried, so that one can be replaced without a gap.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

/// Seconds by which the clock of a forge that signs the time may differ.
const MAX_SKEW: i64 = 300;

/// A forge, by how it signs and what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// GitHub: `X-Hub-Signature-256`.
    GitHub,
    /// GitLab: `X-Gitlab-Token`, or `webhook-signature` with a signing token (`whsec_…`).
    GitLab,
    /// Gitea and Forgejo: `X-Gitea-Signature`, `X-Forgejo-Signature` or `X-Hub-Signature-256`.
    Gitea,
    /// Bitbucket Cloud: `X-Hub-Signature`.
    Bitbucket,
    /// Anybody who signs with HMAC: `X-Signature` or `X-Hub-Signature-256`.
    Generic,
}

impl Provider {
    /// The forge of a name in a configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "github" => Self::GitHub,
            "gitlab" => Self::GitLab,
            "gitea" | "forgejo" => Self::Gitea,
            "bitbucket" => Self::Bitbucket,
            "generic" => Self::Generic,
            _ => return None,
        })
    }
}

/// A webhook's secret, ready for use; it prints nothing.
#[derive(Clone)]
pub struct Secret {
    /// For signatures.
    key: hmac::Key,
    /// The secret hashed with a key of this process, for comparing a token that is sent as it is.
    token: hmac::Tag,
    token_key: hmac::Key,
    /// For signatures of the form `v1,…`: the key inside `whsec_…`.
    signing: Option<hmac::Key>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Takes a secret; none where it is empty, since anybody could sign with that.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return None;
        }
        let mut random = [0u8; 32];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        let token_key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        let signing = match text.strip_prefix("whsec_") {
            Some(encoded) => Some(hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(encoded).ok()?)),
            None => None,
        };
        Some(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()),
            token: hmac::sign(&token_key, text.as_bytes()),
            token_key,
            signing,
        })
    }

    fn signed(&self, body: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, body, tag).is_ok()
    }

    fn is(&self, token: &[u8]) -> bool {
        self.signing.is_none() && hmac::verify(&self.token_key, token, self.token.as_ref()).is_ok()
    }
}

/// Why a request was not let in. Whoever sent it learns no more than that it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not signed in the forge's way.
    #[error("the request is not signed")]
    Unsigned,
    /// The signature is none of ours.
    #[error("the signature does not hold")]
    Forged,
    /// It was signed too long ago.
    #[error("the signature is too old, or the clocks differ")]
    Old,
}

/// A request that was signed with the secret. Only [`verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(super) provider: Provider,
    pub(super) event: String,
    pub(super) body: Bytes,
    delivery: String,
}

impl Verified {
    /// What tells this delivery from others.
    pub fn delivery(&self) -> &str {
        &self.delivery
    }
}

/// Checks the signature of a request over its raw bytes.
pub fn verify(
    provider: Provider,
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &Bytes,
    now: i64,
) -> Result<Verified, Refusal> {
    match provider {
        Provider::GitHub => hexadecimal(secrets, headers, body, &["x-hub-signature-256"])?,
        Provider::Gitea => {
            let names = ["x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256", "x-gogs-signature"];
            hexadecimal(secrets, headers, body, &names)?;
        }
        Provider::Bitbucket => hexadecimal(secrets, headers, body, &["x-hub-signature"])?,
        Provider::Generic => {
            hexadecimal(secrets, headers, body, &["x-signature", "x-signature-256", "x-hub-signature-256"])?;
        }
        Provider::GitLab => gitlab(secrets, headers, body, now)?,
    }
    let text = |names: &[&str]| names.iter().find_map(|name| header(headers, name)).unwrap_or_default().to_owned();
    let (event, delivery) = match provider {
        Provider::GitHub => (text(&["x-github-event"]), text(&["x-github-delivery"])),
        Provider::Gitea => (
            text(&["x-forgejo-event", "x-gitea-event", "x-github-event"]),
            text(&["x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery"]),
        ),
        Provider::GitLab => {
            (text(&["x-gitlab-event"]), text(&["webhook-id", "idempotency-key", "x-gitlab-event-uuid"]))
        }
        Provider::Bitbucket => (text(&["x-event-key"]), text(&["x-request-uuid"])),
        Provider::Generic => (text(&["x-event"]), text(&["x-delivery", "x-request-id"])),
    };
    // Headers are not signed: an id stands for a delivery only together with what was delivered.
    let hash = digest::digest(&digest::SHA256, body);
    let hash = hash.as_ref().iter().take(12).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let id: String = delivery.chars().take(128).collect();
    Ok(Verified { provider, event, body: body.clone(), delivery: format!("{id}/{hash}") })
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// `sha256=HEX`, or the bare digits, in the first of these headers that is there.
fn hexadecimal(secrets: &[Secret], headers: &HeaderMap, body: &[u8], names: &[&str]) -> Result<(), Refusal> {
    let text = names.iter().find_map(|name| header(headers, name)).ok_or(Refusal::Unsigned)?;
    let digits = text.strip_prefix("sha256=").unwrap_or(text);
    let tag = unhex(digits).filter(|tag| tag.len() == digest::SHA256_OUTPUT_LEN).ok_or(Refusal::Forged)?;
    any(secrets.iter().map(|secret| secret.signed(body, &tag)))
}

/// `v1,BASE64` over id, time and body where a signing token is set; the token itself otherwise.
fn gitlab(secrets: &[Secret], headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Refusal> {
    let signatures = header(headers, "webhook-signature");
    if let (Some(signatures), true) = (signatures, secrets.iter().any(|secret| secret.signing.is_some())) {
        let id = header(headers, "webhook-id").ok_or(Refusal::Unsigned)?;
        let time = header(headers, "webhook-timestamp").ok_or(Refusal::Unsigned)?;
        let mut signed = format!("{id}.{time}.").into_bytes();
        signed.extend_from_slice(body);
        let tags: Vec<Vec<u8>> = signatures
            .split_whitespace()
            .take(8)
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .collect();
        let keys = secrets.iter().filter_map(|secret| secret.signing.as_ref());
        any(keys.flat_map(|key| tags.iter().map(|tag| hmac::verify(key, &signed, tag).is_ok())))?;
        let time: i64 = time.parse().map_err(|_| Refusal::Forged)?;
        return if time.abs_diff(now) <= MAX_SKEW.unsigned_abs() { Ok(()) } else { Err(Refusal::Old) };
    }
    let token = headers.get("x-gitlab-token").ok_or(Refusal::Unsigned)?.as_bytes();
    any(secrets.iter().map(|secret| secret.is(token)))
}

/// Whether one holds; all are looked at.
fn any(holds: impl Iterator<Item = bool>) -> Result<(), Refusal> {
    if holds.fold(false, |any, one| any | one) { Ok(()) } else { Err(Refusal::Forged) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 128 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn try_out(
        provider: Provider,
        secrets: &[&str],
        pairs: &[(&'static str, &str)],
        body: &'static str,
    ) -> Result<(), Refusal> {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(text).unwrap()).collect();
        verify(provider, &secrets, &headers(pairs), &Bytes::from_static(body.as_bytes()), 1_700_000_000).map(|_| ())
    }

    #[test]
    fn github_signs_as_its_documentation_shows() {
        let secret = "It's a Secret to Everybody";
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let body = "Hello, World!";
        let name = "x-hub-signature-256";
        assert_eq!(try_out(Provider::GitHub, &["old", secret], &[(name, good)], body), Ok(()));
        assert_eq!(try_out(Provider::GitHub, &[secret], &[(name, good)], "Hello, World"), Err(Refusal::Forged));
        assert_eq!(try_out(Provider::GitHub, &["other"], &[(name, good)], body), Err(Refusal::Forged));
        assert_eq!(try_out(Provider::GitHub, &[secret], &[(name, "sha256=7571")], body), Err(Refusal::Forged));
        assert_eq!(try_out(Provider::GitHub, &[secret], &[("x-hub-signature", good)], body), Err(Refusal::Unsigned));
        assert_eq!(try_out(Provider::Bitbucket, &[secret], &[("x-hub-signature", good)], body), Ok(()));
        for name in ["x-gitea-signature", "x-forgejo-signature"] {
            let bare = good.strip_prefix("sha256=").unwrap();
            assert_eq!(try_out(Provider::Gitea, &[secret], &[(name, bare)], body), Ok(()));
        }
        assert_eq!(try_out(Provider::Generic, &[secret], &[("x-signature", good)], body), Ok(()));
    }

    #[test]
    fn a_bad_signature_is_not_rescued_by_another_header() {
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let bad = "00".repeat(32);
        let pairs = [("x-forgejo-signature", bad.as_str()), ("x-hub-signature-256", good)];
        let secret = "It's a Secret to Everybody";
        assert_eq!(try_out(Provider::Gitea, &[secret], &pairs, "Hello, World!"), Err(Refusal::Forged));
    }

    #[test]
    fn gitlab_sends_its_token_or_signs_with_one() {
        assert_eq!(try_out(Provider::GitLab, &["a", "b"], &[("x-gitlab-token", "b")], "{}"), Ok(()));
        assert_eq!(try_out(Provider::GitLab, &["a"], &[("x-gitlab-token", "ab")], "{}"), Err(Refusal::Forged));
        assert_eq!(try_out(Provider::GitLab, &["a"], &[], "{}"), Err(Refusal::Unsigned));
        let raw = [9u8; 32];
        let secret = format!("whsec_{}", STANDARD.encode(raw));
        let sign = |time: &str| {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &raw), format!("id-1.{time}.{{}}").as_bytes());
            format!("v1,{}", STANDARD.encode(tag))
        };
        let (now, old) = (sign("1700000100"), sign("1600000000"));
        let send = |time: &str, signature: &str| {
            let pairs = [("webhook-id", "id-1"), ("webhook-timestamp", time), ("webhook-signature", signature)];
            try_out(Provider::GitLab, &[&secret], &pairs, "{}")
        };
        assert_eq!(send("1700000100", &format!("v1,AAAA {now}")), Ok(()));
        assert_eq!(send("1700000101", &now), Err(Refusal::Forged));
        assert_eq!(send("1600000000", &old), Err(Refusal::Old));
        // The signing token itself is never sent, so it is no password.
        assert_eq!(try_out(Provider::GitLab, &[&secret], &[("x-gitlab-token", &secret)], "{}"), Err(Refusal::Forged));
    }

    #[test]
    fn an_empty_secret_is_none() {
        assert!(Secret::new("\n").is_none());
        assert!(!format!("{:?}", Secret::new("very-secret").unwrap()).contains("very"));
    }
}
