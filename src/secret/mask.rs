//! Takes known secrets out of texts: one pass over the text, however many secrets there are. A secret is known by keyed
//! hashes of its spellings alone, so that what masks it does not hold it.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    sync::{LazyLock, PoisonError, RwLock},
};

use serde_json::Value;

use super::spell::spellings;

/// Characters from which a secret is taken out of texts; shorter ones would make ordinary words disappear.
pub(super) const MIN_MASKED: usize = 8;
/// Bytes of a spelling that it is found by.
const HEAD: usize = 8;

/// What is masked in all that this process logs, and in its panics, whatever run it belongs to.
static PROCESS: LazyLock<Mask> = LazyLock::new(Mask::default);

/// Secrets to be taken out of texts. Threads share it.
#[derive(Default)]
pub struct Mask {
    needles: RwLock<Needles>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Has a secret taken out from now on, here and in the process's logs; one of fewer than 8 characters is not.
    pub fn learn(&self, secret: &str) {
        if secret.chars().count() >= MIN_MASKED {
            let spelled = spellings(secret);
            for mask in [self, &*PROCESS] {
                let mut needles = mask.needles.write().unwrap_or_else(PoisonError::into_inner);
                for spelling in &*spelled {
                    needles.add(spelling.as_bytes());
                }
            }
        }
        let trimmed = secret.trim();
        if trimmed.len() < secret.len() {
            self.learn(trimmed);
        }
    }

    /// A text with every known secret in it replaced by `***`: as it is, and as JSON, URLs, HTML, hex and base64 write
    /// it.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.needles.read().unwrap_or_else(PoisonError::into_inner).mask(text)
    }

    /// A text with every byte of a secret overwritten, but for line ends, so that all else stays where it is; nothing
    /// where it has no secret.
    pub fn overwrite(&self, text: &str) -> Option<String> {
        let needles = self.needles.read().unwrap_or_else(PoisonError::into_inner);
        let blank = needles.replace(text, &mut |secret, out| {
            out.extend(secret.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { 'x' }));
        });
        matches!(blank, Cow::Owned(_)).then(|| blank.into_owned())
    }

    /// Masks the string leaves of a value, so that what holds them together stays whole.
    pub fn apply_to_leaves(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.apply(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply_to_leaves(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.apply_to_leaves(item)),
            _ => {}
        }
    }
}

/// What is masked in all that this process logs.
pub(super) fn of_process() -> &'static Mask {
    &PROCESS
}

/// A text with every secret of this process masked; nothing where that would have to wait, as in a panic it must not.
pub(super) fn at_once(text: &str) -> Option<String> {
    PROCESS.needles.try_read().ok().map(|needles| needles.mask(text).into_owned())
}

/// The spellings to take out, found by a hash of their first bytes.
#[derive(Default)]
struct Needles {
    hasher: RandomState,
    /// Lengths of the spellings that begin so, the longest first.
    lengths: HashMap<u64, Vec<usize>>,
    known: HashSet<u64>,
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
    fn add(&mut self, spelling: &[u8]) {
        let Some(head) = spelling.get(..HEAD) else { return };
        if !self.known.insert(self.hasher.hash_one(spelling)) {
            return;
        }
        self.starts.add(head);
        let lengths = self.lengths.entry(self.hasher.hash_one(head)).or_default();
        if let Err(place) = lengths.binary_search_by(|length| spelling.len().cmp(length)) {
            lengths.insert(place, spelling.len());
        }
    }

    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replace(text, &mut |_, out| out.push_str("***"))
    }

    /// A text with something else in the place of each secret.
    fn replace<'t>(&self, text: &'t str, put: &mut dyn FnMut(&str, &mut String)) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let mut out = String::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + HEAD) {
            match self.longest(head, bytes.get(at..)) {
                Some(length) if text.is_char_boundary(at) && text.is_char_boundary(at + length) => {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    put(text.get(at..at + length).unwrap_or_default(), &mut out);
                    at += length;
                    copied = at;
                }
                _ => at += 1,
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Length of the longest spelling that a text starts with.
    fn longest(&self, head: &[u8], rest: Option<&[u8]>) -> Option<usize> {
        if !self.starts.may_start(head) {
            return None;
        }
        let rest = rest?;
        let lengths = self.lengths.get(&self.hasher.hash_one(head))?;
        let fits = |length: &&usize| {
            rest.get(..**length).is_some_and(|spelling| self.known.contains(&self.hasher.hash_one(spelling)))
        };
        lengths.iter().find(fits).copied()
    }
}
