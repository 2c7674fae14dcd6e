//! Masks secrets in texts: what the caller knows to be secret, the connection's credential, and tokens got with it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};

/// Replaces secrets in a text.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Texts shorter than this are too common to be masked.
const SHORTEST: usize = 8;
/// How many tokens are remembered besides the credential.
const TOKENS: usize = 8;

/// The caller's mask and the secrets that this client holds.
#[derive(Default)]
pub(super) struct Masker {
    outer: Option<Mask>,
    fixed: Vec<SecretString>,
    tokens: Mutex<VecDeque<SecretString>>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker")
    }
}

impl Masker {
    pub(super) fn new(outer: Mask, fixed: Vec<SecretString>) -> Self {
        Self { outer: Some(outer), fixed, tokens: Mutex::default() }
    }

    /// Remembers a token.
    pub(super) fn learn(&self, token: SecretString) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS {
            tokens.pop_front();
        }
        tokens.push_back(token);
    }

    /// The text with every secret masked.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = self.outer.as_ref().map_or_else(|| text.to_owned(), |outer| outer(text));
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in self.fixed.iter().chain(tokens.iter()) {
            let secret = secret.expose_secret();
            if secret.len() >= SHORTEST && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}
