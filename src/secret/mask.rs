//! Takes known secrets out of texts: one pass over the text, however many secrets there are.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Bytes of a spelling that it is found by.
const HEAD: usize = 8;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The spellings to take out, found by a hash of their first bytes.
#[derive(Default)]
pub(super) struct Needles {
    hasher: RandomState,
    spellings: Vec<Zeroizing<String>>,
    by_head: HashMap<u64, Vec<usize>>,
    /// Which pairs of first bytes there are: most places of a text end the search here.
    starts: Starts,
}

struct Starts(Box<[u64]>);

impl Default for Starts {
    fn default() -> Self {
        Self(vec![0; 1024].into_boxed_slice())
    }
}

impl Starts {
    fn place(head: &[u8]) -> Option<(usize, u64)> {
        let [first, second, ..] = *head else { return None };
        let pair = usize::from(first) << 8 | usize::from(second);
        Some((pair >> 6, 1 << (pair & 63)))
    }

    fn add(&mut self, head: &[u8]) {
        if let Some((word, bit)) = Self::place(head)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }

    fn may_start(&self, head: &[u8]) -> bool {
        Self::place(head).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }
}

impl Needles {
    /// Adds a secret in all its spellings.
    pub(super) fn add(&mut self, secret: &str) {
        let mut spellings = vec![Zeroizing::new(secret.to_owned())];
        let json = Zeroizing::new(serde_json::Value::from(secret).to_string());
        spellings.push(Zeroizing::new(json.get(1..json.len() - 1).unwrap_or_default().to_owned()));
        spellings.push(Zeroizing::new(utf8_percent_encode(secret, UNRESERVED).to_string()));
        spellings.push(Zeroizing::new(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()));
        spellings.extend(base64_spellings(secret.as_bytes()));
        for spelling in spellings {
            self.add_spelling(spelling);
        }
    }

    fn add_spelling(&mut self, spelling: Zeroizing<String>) {
        let Some(head) = spelling.as_bytes().get(..HEAD) else { return };
        let hash = self.hasher.hash_one(head);
        let same_head = self.by_head.entry(hash).or_default();
        if same_head.iter().any(|index| self.spellings.get(*index).is_some_and(|known| *known == spelling)) {
            return;
        }
        self.starts.add(head);
        same_head.push(self.spellings.len());
        self.spellings.push(spelling);
    }

    pub(super) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let mut out = String::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + HEAD) {
            match self.longest(head, text.get(at..)) {
                Some(length) => {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    out.push_str("***");
                    at += length;
                    copied = at;
                }
                None => at += 1,
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Length of the longest spelling that a text starts with.
    fn longest(&self, head: &[u8], rest: Option<&str>) -> Option<usize> {
        if !self.starts.may_start(head) {
            return None;
        }
        let rest = rest?;
        let found = self.by_head.get(&self.hasher.hash_one(head))?;
        found
            .iter()
            .filter_map(|index| self.spellings.get(*index))
            .filter(|spelling| rest.starts_with(spelling.as_str()))
            .map(|spelling| spelling.len())
            .max()
    }
}

/// A secret in base64: by itself, and as it looks within a longer text, whatever comes before and after it.
fn base64_spellings(secret: &[u8]) -> Vec<Zeroizing<String>> {
    let mut out = Vec::new();
    for before in 0..3_usize {
        let mut padded = Zeroizing::new(vec![0; before]);
        padded.extend_from_slice(secret);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(engine.encode(&*padded));
            // Digits that hold bits of what is before or after the secret are not its own.
            let first = (before * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            out.push(Zeroizing::new(encoded.get(first..last).unwrap_or_default().to_owned()));
        }
    }
    out
}
