//! Files that SOPS encrypted → their values: YAML and JSON, data keys for age, every value decrypted and the file's
//! MAC checked before one is given out. Nothing is ever written.
//!
//! A value is `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, authenticated with its path; which values are encrypted is a
//! rule in the file's own `sops` member, and the MAC covers all of them, or the encrypted ones alone.

mod cipher;
mod keys;
mod metadata;
mod shamir;
#[cfg(test)]
mod tests;
mod tree;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

pub(super) use self::keys::{Identities, usual_places};
use self::{
    cipher::DataKey,
    metadata::{Metadata, Rule},
    tree::{Leaf, Node},
};
use super::vault::hex;
use crate::diagnostic::nearest;

/// What a MAC over encrypted values alone begins with, so that it differs from one over all (a constant of the format).
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Why a file gives no value; none of it shows one.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum SopsError {
    #[error("is neither YAML nor JSON ({0})")]
    Syntax(String),
    #[error("was not encrypted by SOPS: it has no `sops` member")]
    Plain,
    #[error("has a `sops` member that cannot be read ({0})")]
    Metadata(String),
    #[error("has a data key for {0} alone, and plumb reads those for age")]
    OtherKeys(String),
    #[error("has a data key that none of the age keys opens: it is for {0}")]
    NoKey(String),
    #[error("cannot be decrypted, since there is no age key: it is for {0}")]
    NoIdentity(String),
    #[error("needs keys of {needed} of its key groups, and those at hand open {opened}")]
    Groups { needed: usize, opened: usize },
    #[error("has a value at `{0}` that does not decrypt: the file was changed after it was encrypted")]
    Value(String),
    #[error("has a value at `{0}` that ought to be encrypted and is not")]
    NotEncrypted(String),
    #[error("has a MAC that does not fit its values: it was changed after it was encrypted")]
    Mac,
    #[error("has no MAC")]
    NoMac,
    #[error("has nothing at `{key}`{near}")]
    Absent { key: String, near: String },
    #[error("has {at}no single value, but {what}", at = place(.0), what = .1)]
    NotOne(String, &'static str),
}

fn place(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("at `{key}` ") }
}

impl SopsError {
    /// Whether another age key would open it.
    pub(super) fn lacks_key(&self) -> bool {
        matches!(self, Self::NoIdentity(_) | Self::NoKey(_) | Self::Groups { .. })
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoIdentity(_) | Self::NoKey(_) | Self::Groups { .. } => {
                "age keys are looked for in `SOPS_AGE_KEY`, in the file of `SOPS_AGE_KEY_FILE`, and in \
                 `sops/age/keys.txt` of your configuration folder."
            }
            Self::OtherKeys(_) => "`sops updatekeys` adds an age recipient to a file.",
            Self::Mac | Self::Value(_) | Self::NoMac => "Edit such files by `sops edit` alone.",
            Self::NotOne(key, _) if key.is_empty() => "Write `sops: {file: FILE, key: database.password}`.",
            _ => return None,
        })
    }
}

/// A decrypted file, its MAC checked.
pub(super) struct Opened {
    root: Node,
}

/// Decrypts a file and checks its MAC.
pub(super) fn open(text: &str, identities: &Identities) -> Result<Opened, SopsError> {
    let mut documents = tree::parse(text)?;
    let own = documents.iter_mut().map(|document| document.take("sops")).collect::<Vec<_>>();
    let own = own.into_iter().flatten().next().ok_or(SopsError::Plain)?;
    let metadata = Metadata::read(&own)?;
    let key = keys::data_key(&metadata, identities)?;
    let mut walk = Walk { key: &key, rule: &metadata.rule, only_encrypted: metadata.mac_only_encrypted, mac: None };
    let mut mac = digest::Context::new(&digest::SHA512);
    if walk.only_encrypted {
        mac.update(&ONLY_ENCRYPTED);
    }
    walk.mac = Some(mac);
    for document in &mut documents {
        walk.node(document, &mut Vec::new())?;
    }
    let computed = walk.mac.take().map(|mac| hex(mac.finish().as_ref()).to_uppercase()).unwrap_or_default();
    let told = metadata.mac.as_deref().filter(|mac| !mac.is_empty()).ok_or(SopsError::NoMac)?;
    let told = key.decrypt(told, &metadata.last_modified).map_err(|()| SopsError::Mac)?;
    if !told.text.eq_ignore_ascii_case(&computed) {
        return Err(SopsError::Mac);
    }
    let root = documents.into_iter().next().ok_or(SopsError::Plain)?;
    Ok(Opened { root })
}

/// Decrypts in place, in the order in which the MAC takes the values.
struct Walk<'k> {
    key: &'k DataKey,
    rule: &'k Rule,
    only_encrypted: bool,
    mac: Option<digest::Context>,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut Node, path: &mut Vec<String>) -> Result<(), SopsError> {
        match node {
            Node::Leaf(leaf) => self.leaf(leaf, path),
            Node::List(items) => items.iter_mut().try_for_each(|item| self.node(item, path)),
            Node::Map(members) => members.iter_mut().try_for_each(|(name, member)| {
                path.push(name.clone());
                let done = self.node(member, path);
                path.pop();
                done
            }),
        }
    }

    fn leaf(&mut self, leaf: &mut Leaf, path: &[String]) -> Result<(), SopsError> {
        let Some(text) = leaf.text() else { return Ok(()) };
        let looks_encrypted = cipher::is_encrypted(text);
        let encrypted = self.rule.covers(path).unwrap_or(looks_encrypted);
        if encrypted && !text.is_empty() {
            if !looks_encrypted {
                return Err(SopsError::NotEncrypted(path.join(".")));
            }
            // Elements of lists have the list's path.
            let place = Zeroizing::new(path.iter().fold(String::new(), |all, one| all + one + ":"));
            let plain = self.key.decrypt(text, &place).map_err(|()| SopsError::Value(path.join(".")))?;
            *leaf = Leaf::decrypted(plain);
        }
        if let Some(mac) = &mut self.mac
            && (encrypted || !self.only_encrypted)
        {
            mac.update(leaf.hashed().as_bytes());
        }
        Ok(())
    }
}

impl Opened {
    /// The value at a key; without one, what a file that was encrypted as a whole holds.
    pub(super) fn get(&self, key: Option<&Key>) -> Result<Zeroizing<String>, SopsError> {
        let whole = Key::Path(vec!["data".to_owned()]);
        let key = match (key, &self.root) {
            (Some(key), _) => key,
            (None, Node::Map(members)) if matches!(members.as_slice(), [(name, _)] if name == "data") => &whole,
            (None, _) => return Err(SopsError::NotOne(String::new(), "many: name one by `key`")),
        };
        match key.find(&self.root) {
            Ok(Node::Leaf(leaf)) => leaf
                .value()
                .map(|text| Zeroizing::new(text.to_owned()))
                .ok_or_else(|| SopsError::NotOne(key.to_string(), "null")),
            Ok(Node::List(_)) => Err(SopsError::NotOne(key.to_string(), "a list")),
            Ok(Node::Map(_)) => Err(SopsError::NotOne(key.to_string(), "a map")),
            Err(near) => {
                let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
                Err(SopsError::Absent { key: key.to_string(), near })
            }
        }
    }
}

/// Which value of a file is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Names with dots between them, of which some may be part of a name.
    Dotted(String),
    /// One name or number a step.
    Path(Vec<String>),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dotted(text) => f.write_str(text),
            Self::Path(steps) => f.write_str(&steps.join(".")),
        }
    }
}

impl Key {
    /// Reads a key: `a.b.0`, `/a/b/0`, or `["a"]["b"][0]` as the `sops` program takes it.
    pub(super) fn parse(text: &str) -> Self {
        if let Some(rest) = text.strip_prefix('/') {
            return Self::Path(rest.split('/').map(crate::address::unescape).collect());
        }
        if text.starts_with('[')
            && let Ok(serde_json::Value::Array(steps)) =
                serde_json::from_str(&text.replace("][", ",").replace('\'', "\""))
        {
            return Self::Path(steps.iter().filter_map(crate::value::text).collect());
        }
        Self::Dotted(text.to_owned())
    }

    /// What it leads to, or else the nearest right spelling of the step that leads nowhere.
    fn find<'n>(&self, root: &'n Node) -> Result<&'n Node, Option<String>> {
        match self {
            Self::Dotted(text) => dotted(root, text).ok_or_else(|| {
                let mut node = root;
                for step in text.split('.') {
                    match node.step(step) {
                        Some(next) => node = next,
                        None => return near(node, step),
                    }
                }
                None
            }),
            Self::Path(steps) => {
                steps.iter().try_fold(root, |node, step| node.step(step).ok_or_else(|| near(node, step)))
            }
        }
    }
}

fn near(node: &Node, step: &str) -> Option<String> {
    let Node::Map(members) = node else { return None };
    nearest(step, members.iter().map(|(name, _)| name.as_str())).map(str::to_owned)
}

fn dotted<'n>(node: &'n Node, text: &str) -> Option<&'n Node> {
    if let Some(found) = node.step(text) {
        return Some(found);
    }
    text.match_indices('.').find_map(|(at, _)| dotted(node.step(text.get(..at)?)?, text.get(at + 1..)?))
}
