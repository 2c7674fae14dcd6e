//! The one place that knows the texts of secrets: it gives out keyed hashes for them, and takes them out of texts.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::hmac;
use serde_json::Value;
use zeroize::Zeroizing;

use super::mask::Mask;
use crate::{inventory::HashKey, value};

/// Keeps secrets. Threads share it.
pub struct Vault {
    key: hmac::Key,
    texts: RwLock<HashMap<String, Zeroizing<String>>>,
    secrets: Arc<Mask>,
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
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
            texts: RwLock::default(),
            secrets: Arc::default(),
        }
    }

    /// The keyed hash of a text, in hex; the text is not kept.
    pub fn hash(&self, text: &str) -> String {
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }

    /// Keeps a secret, and gives the placeholder that stands for it everywhere else.
    pub fn seal(&self, text: &str) -> Value {
        let hash = self.hash(text);
        let placeholder = value::secret(&hash);
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        texts.entry(hash).or_insert_with(|| {
            self.secrets.learn(text);
            Zeroizing::new(text.to_owned())
        });
        placeholder
    }

    /// The secret with this hash, if it is kept here. It is never to be printed.
    pub fn open(&self, hash: &str) -> Option<Zeroizing<String>> {
        self.texts.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
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

    /// A text with every kept secret in it replaced by `***`, in whatever spelling.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.secrets.apply(text)
    }

    /// What masks the kept secrets: whoever gets to know another one of the same run, such as a token, adds it.
    pub fn secrets(&self) -> &Arc<Mask> {
        &self.secrets
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
        use base64::{
            Engine,
            engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
        };
        let vault = vault();
        let secret = "p\"ss wörd/+&\n!";
        vault.seal(secret);
        vault.seal("short");
        for text in [
            secret.to_owned(),
            json!({"x": secret}).to_string(),
            "p%22ss%20w%C3%B6rd%2F%2B%26%0A%21".to_owned(),
            "p%22ss+w%C3%B6rd%2F%2B%26%0A%21".to_owned(),
            "p%22ss%20w%c3%b6rd%2f%2b%26%0a%21".to_owned(),
            "p%22ss%20w%C3%B6rd%2F%2B%26%0A!".to_owned(),
            hex(secret.as_bytes()),
            hex(secret.as_bytes()).to_uppercase(),
            json!({"x": json!({"x": secret}).to_string()}).to_string(),
            "p\\\"ss w\\u00f6rd/+&\\n!".to_owned(),
            "p&quot;ss wörd/+&amp;\n!".to_owned(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            URL_SAFE.encode(format!("{{\"k\":\"{secret}\"}}")),
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
    fn lines_of_a_key_are_masked_by_themselves() {
        let vault = vault();
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        vault.seal(&format!("-----BEGIN PRIVATE KEY-----\n{line}\nMzEfYyjiWA4R\n-----END PRIVATE KEY-----\n"));
        assert_eq!(vault.mask(&format!("offset 3: {line}")), "offset 3: ***");
        assert!(matches!(vault.mask("-----BEGIN PRIVATE KEY-----"), Cow::Borrowed(_)));
    }

    #[test]
    fn overwriting_moves_nothing() {
        let vault = vault();
        vault.seal("pässword\none");
        assert_eq!(vault.secrets().overwrite("a: pässword\none # ä"), Some("a: xxxxxxxxx\nxxx # ä".to_owned()));
        assert_eq!(vault.secrets().overwrite("a: b"), None);
    }

    #[test]
    fn many_secrets_that_begin_alike_are_found_as_fast_as_one() {
        let vault = vault();
        for number in 0..2000 {
            vault.seal(&format!("secret of the variable NUMBER_{number}"));
        }
        assert_eq!(vault.mask("secret of the variable NUMBER_1999!"), "***!");
        assert_eq!(vault.mask("secret of the variable NUMBER_2000!"), "***0!", "its beginning is one");
    }

    #[test]
    fn the_longest_secret_is_masked_and_neighbours_too() {
        let vault = vault();
        vault.seal("password-one");
        vault.seal("password-one-and-more");
        assert_eq!(vault.mask("(password-one-and-more)(password-one)"), "(***)(***)");
    }
}
