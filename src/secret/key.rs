//! The key of secrets' hashes: random, from a file beside the inventory, or from a variable.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Bytes of a key that plumb makes.
const BYTES: usize = 32;
/// Characters that a key of the user's own has at least.
const MIN_LENGTH: usize = 16;

/// A key that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is too short.
    #[error("the key of the secrets' hashes in {0} is too short: it has to have at least {MIN_LENGTH} characters")]
    TooShort(String),
    /// Its file cannot be read or made.
    #[error("the key file `{path}` cannot be read or made")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The key of secrets' hashes.
#[derive(Clone)]
pub struct HashKey(Zeroizing<Vec<u8>>);

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// Name of the variable with the key of a remote inventory.
    pub const VARIABLE: &'static str = "PLUMB_INVENTORY_KEY";

    /// A new key, for runs without an inventory.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new(vec![0; BYTES]);
        SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
        Ok(Self(bytes))
    }

    /// A key that somebody chose, such as hex or base64 of random bytes; `origin` names it in the error.
    pub fn from_text(text: &str, origin: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.chars().count() < MIN_LENGTH {
            return Err(KeyError::TooShort(origin.to_owned()));
        }
        Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// The key of `PLUMB_INVENTORY_KEY`, where that is set.
    pub fn from_variable() -> Result<Option<Self>, KeyError> {
        match std::env::var(Self::VARIABLE).map(Zeroizing::new) {
            Ok(text) if !text.is_empty() => Self::from_text(&text, &format!("`{}`", Self::VARIABLE)).map(Some),
            _ => Ok(None),
        }
    }

    /// The key in a file, which is made, for its owner alone, where it is not there.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_path_buf(), source };
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => Self::from_text(&text, &format!("`{}`", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
                Self::from_text(&text, &format!("`{}`", path.display()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes a key file; one that appears meanwhile stays.
fn make(path: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_path_buf(), source };
    let text = {
        let key = HashKey::random()?;
        Zeroizing::new(key.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // A link, other than a renaming, never replaces what another process has made by now.
    let placed = written.and_then(|()| fs::hard_link(&draft, path)).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => fs::rename(&draft, path).map_err(|_| error),
    });
    let _ = fs::remove_file(&draft);
    placed.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/key");
        let first = HashKey::from_file(&path).unwrap();
        assert_eq!(HashKey::from_file(&path).unwrap().bytes(), first.bytes());
        assert!(first.bytes().len() >= BYTES);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_short_key_is_refused_without_showing_it() {
        let error = HashKey::from_text("hunter2", "`X`").unwrap_err().to_string();
        assert!(error.contains("`X`") && !error.contains("hunter2"), "{error}");
        assert!(HashKey::from_text("0123456789abcdef\n", "`X`").is_ok());
        assert_eq!(format!("{:?}", HashKey::random().unwrap()), "HashKey");
    }
}
