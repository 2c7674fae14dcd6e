//! age keys, where `sops` looks for them, and the data keys that they open.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use age::{Decryptor, Identity, armor::ArmoredReader, x25519};
use zeroize::Zeroizing;

use super::{
    SopsError,
    cipher::DataKey,
    metadata::{Group, Metadata},
    shamir,
};

/// Bytes that a data key, or a part of one, has at most.
const MAX_KEY: u64 = 1024;

/// age keys at hand. They never print.
#[derive(Default)]
pub(in crate::secret) struct Identities {
    keys: Vec<x25519::Identity>,
}

impl Identities {
    /// Takes the keys of a text as `age-keygen` writes it: one a line, comments aside. Says which line is none.
    pub(in crate::secret) fn add(&mut self, text: &str) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.parse() {
                Ok(key) => self.keys.push(key),
                Err(_) if line.starts_with("AGE-PLUGIN-") => {
                    return Err(format!("line {} is a key of an age plugin, which plumb does not run", index + 1));
                }
                Err(_) => return Err(format!("line {} is no age key (`AGE-SECRET-KEY-1…`)", index + 1)),
            }
        }
        Ok(())
    }
}

/// Where `sops` looks for age keys besides its variables: `keys.txt` in the user's configuration.
pub(in crate::secret) fn usual_places(environment: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let set = |name: &str| environment(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    let mut folders = Vec::new();
    folders.extend(set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config"))));
    if cfg!(target_os = "macos") {
        folders.extend(set("HOME").map(|home| home.join("Library/Application Support")));
    }
    folders.iter().map(|folder| folder.join(Path::new("sops/age/keys.txt"))).collect()
}

/// The key of a file's values.
pub(super) fn data_key(metadata: &Metadata, identities: &Identities) -> Result<DataKey, SopsError> {
    let recipients = || {
        let all = metadata.groups.iter().flat_map(|group| &group.age).map(|key| format!("`{}`", key.recipient));
        all.collect::<Vec<_>>().join(", ")
    };
    if metadata.groups.iter().all(|group| group.age.is_empty()) {
        let others = metadata.groups.iter().flat_map(|group| group.others.iter().copied());
        return Err(SopsError::OtherKeys(others.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")));
    }
    if identities.keys.is_empty() {
        return Err(SopsError::NoIdentity(recipients()));
    }
    let parts: Vec<Zeroizing<Vec<u8>>> = metadata.groups.iter().filter_map(|group| part(group, identities)).collect();
    let needed = if metadata.groups.len() == 1 { 1 } else { metadata.threshold.min(metadata.groups.len()) };
    if parts.len() < needed {
        return Err(match needed {
            1 => SopsError::NoKey(recipients()),
            _ => SopsError::Groups { needed, opened: parts.len() },
        });
    }
    let key = match (parts.as_slice(), metadata.groups.len()) {
        ([whole], 1) => DataKey::new(whole),
        (parts, _) => shamir::combine(parts).and_then(|key| DataKey::new(&key)),
    };
    key.ok_or_else(|| SopsError::Metadata("its data key has not 32 bytes".to_owned()))
}

/// What a group's keys hold, by the first of them that opens.
fn part(group: &Group, identities: &Identities) -> Option<Zeroizing<Vec<u8>>> {
    group.age.iter().find_map(|key| {
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(key.encrypted.as_bytes())).ok()?;
        let mut reader = decryptor.decrypt(identities.keys.iter().map(|key| key as &dyn Identity)).ok()?;
        let mut bytes = Zeroizing::new(Vec::new());
        reader.by_ref().take(MAX_KEY).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    })
}
