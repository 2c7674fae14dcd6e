//! The one place that knows the texts of secrets: it gives out keyed hashes for them, and takes them out of texts.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{PoisonError, RwLock},
};

use aws_lc_rs::hmac;
use serde_json::Value;
use zeroize::Zeroizing;

use super::mask::Needles;
use crate::{inventory::HashKey, value};

/// Characters from which a secret is taken out of texts; shorter ones would make ordinary words disappear.
pub(super) const MIN_MASKED: usize = 8;

/// Keeps secrets. Threads share it.
pub struct Vault {
    key: hmac::Key,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    texts: HashMap<String, Zeroizing<String>>,
    needles: Needles,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// An empty vault whose hashes are made with a key.
    #[expect(clippy::needless_pass_by_value, reason = "the key ends here")]
    pub fn new(key: HashKey) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), inner: RwLock::default() }
    }

    /// The keyed hash of a text, in hex; the text is not kept.
    pub fn hash(&self, text: &str) -> String {
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }

    /// Keeps a secret, and gives the placeholder that stands for it everywhere else.
    pub fn seal(&self, text: &str) -> Value {
        let hash = self.hash(text);
        let placeholder = value::secret(&hash);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !inner.texts.contains_key(&hash) {
            if text.chars().count() >= MIN_MASKED {
                inner.needles.add(text);
            }
            inner.texts.insert(hash, Zeroizing::new(text.to_owned()));
        }
        placeholder
    }

    /// The secret with this hash, if it is kept here. It is never to be printed.
    pub fn open(&self, hash: &str) -> Option<Zeroizing<String>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).texts.get(hash).cloned()
    }

    /// A value with every placeholder replaced by the secret that it stands for: for request bodies, never for output.
    /// Nothing where a secret is not kept here.
    pub fn reveal(&self, sealed: &Value) -> Option<Value> {
        if let Some(hash) = value::secret_hash(sealed) {
            return self.open(hash).map(|text| Value::String(text.to_string()));
        }
        Some(match sealed {
            Value::Object(map) => {
                let pairs = map.iter().map(|(name, value)| Some((name.clone(), self.reveal(value)?)));
                Value::Object(pairs.collect::<Option<_>>()?)
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.reveal(item)).collect::<Option<_>>()?),
            other => other.clone(),
        })
    }

    /// A text with every kept secret in it replaced by `***`: as it is, and as JSON, URLs and base64 write it.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).needles.mask(text)
    }
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(u32::from(half), 16)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vault() -> Vault {
        Vault::new(HashKey::from_text("a key for the tests, long enough").unwrap())
    }

    #[test]
    fn equal_secrets_have_equal_hashes_and_open_again() {
        let vault = vault();
        let sealed = vault.seal("correct horse");
        assert_eq!(vault.seal("correct horse"), sealed);
        assert_ne!(vault.seal("battery staple"), sealed);
        let other = Vault::new(HashKey::from_text("another key for the tests, longer").unwrap());
        assert_ne!(other.seal("correct horse"), sealed);
        let hash = value::secret_hash(&sealed).unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(*vault.open(hash).unwrap(), "correct horse");
        assert!(vault.open("00").is_none());
    }

    #[test]
    fn placeholders_are_revealed_anywhere_in_a_value() {
        let vault = vault();
        let sealed = json!({"a": [vault.seal("correct horse"), 1], "b": null});
        assert_eq!(vault.reveal(&sealed), Some(json!({"a": ["correct horse", 1], "b": null})));
        assert_eq!(vault.reveal(&json!({"$secret": "00"})), None);
    }

    #[test]
    fn debug_prints_nothing() {
        let vault = vault();
        vault.seal("correct horse");
        assert_eq!(format!("{vault:?}"), "Vault");
    }

    #[test]
    fn secrets_are_masked_in_every_spelling() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let vault = vault();
        let secret = "p\"ss wörd/+&\n!";
        vault.seal(secret);
        vault.seal("short");
        for text in [
            secret.to_owned(),
            json!({"x": secret}).to_string(),
            "p%22ss%20w%C3%B6rd%2F%2B%26%0A%21".to_owned(),
            "p%22ss+w%C3%B6rd%2F%2B%26%0A%21".to_owned(),
            STANDARD.encode(secret),
            STANDARD.encode(format!("u:{secret}")),
            STANDARD.encode(format!("user:{secret}")),
            STANDARD.encode(format!("jane:{secret}x")),
        ] {
            let masked = vault.mask(&text).into_owned();
            assert!(masked.contains("***"), "{text}");
            assert!(masked.len() < text.len(), "{text} → {masked}");
        }
        assert_eq!(vault.mask("a short text"), "a short text");
        assert!(matches!(vault.mask("nothing in here"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_longest_secret_is_masked_and_neighbours_too() {
        let vault = vault();
        vault.seal("password-one");
        vault.seal("password-one-and-more");
        assert_eq!(vault.mask("(password-one-and-more)(password-one)"), "(***)(***)");
    }
}
