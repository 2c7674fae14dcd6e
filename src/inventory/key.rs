//! The key of the inventory's hashes, which lives outside of the inventory: a 0600 file beside a local one, a variable
//! for a remote one.

use std::{
    fmt, fs,
    io::{self, Write},
    path::Path,
};

use aws_lc_rs::{digest, rand};
use zeroize::Zeroizing;

use crate::inventory::{
    InventoryError,
    location::beside,
    private::{create_folder, private_file},
};

/// Length of a key in bytes.
pub const HASH_KEY_LENGTH: usize = 32;

/// A key of hashes; never prints itself.
#[derive(Clone)]
pub struct HashKey(Zeroizing<[u8; HASH_KEY_LENGTH]>);

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

impl HashKey {
    /// The key that a text stands for, whether it comes from a file or from a variable; `None` if the text has fewer
    /// than 32 characters.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.chars().count() < HASH_KEY_LENGTH {
            return None;
        }
        let mut key = Zeroizing::new([0; HASH_KEY_LENGTH]);
        key.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Some(Self(key))
    }

    /// Reads a key file; `None` if there is none. Fails if others than its owner can read it.
    pub fn read(path: &Path) -> Result<Option<Self>, InventoryError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, error.to_string())),
        };
        if let Some(mode) = open_to_others(path) {
            return Err(unusable(
                path,
                format!("its mode is {mode:04o}, so others than its owner can use it; set it to 0600"),
            ));
        }
        match Self::from_text(&text) {
            Some(key) => Ok(Some(key)),
            None => Err(unusable(path, format!("it holds no text of {HASH_KEY_LENGTH} characters or more"))),
        }
    }

    /// Makes a key for a run that keeps nothing.
    pub fn random() -> io::Result<Self> {
        let mut random = Zeroizing::new([0; HASH_KEY_LENGTH]);
        rand::fill(&mut *random).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        Ok(Self(random))
    }

    /// Reads a key file, or makes one with a random key.
    pub fn read_or_create(path: &Path) -> Result<Self, InventoryError> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        create(path).map_err(|error| unusable(path, error.to_string()))?;
        Self::read(path)?.ok_or_else(|| unusable(path, "it vanished right after it was made".into()))
    }

    /// The key.
    pub fn as_bytes(&self) -> &[u8; HASH_KEY_LENGTH] {
        &self.0
    }
}

/// Makes a whole file or none, and leaves alone one that somebody else made meanwhile.
fn create(path: &Path) -> io::Result<()> {
    let random = HashKey::random()?;
    let mut text = Zeroizing::new(String::with_capacity(2 * HASH_KEY_LENGTH + 1));
    for byte in random.as_bytes() {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
        }
    }
    text.push('\n');
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        create_folder(folder)?;
    }
    let draft = beside(path, &format!("{}.draft", std::process::id()));
    let mut file = private_file().create_new(true).write(true).open(&draft)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;

    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<u32> {
    None
}

fn unusable(path: &Path, message: String) -> InventoryError {
    InventoryError::Key { path: path.display().to_string(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".plumb/inventory.key");
        assert!(HashKey::read(&path).unwrap().is_none());
        assert!(!path.exists(), "reading makes nothing");
        let key = HashKey::read_or_create(&path).unwrap();
        assert_eq!(HashKey::read_or_create(&path).unwrap().as_bytes(), key.as_bytes());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "the key and `.gitignore`");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(HashKey::from_text(text.trim()).unwrap().as_bytes(), key.as_bytes(), "the file's text can move");
        assert!(!format!("{key:?}").contains(text.trim()));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.key");
        HashKey::read_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(HashKey::read(&path).unwrap_err().to_string().contains("0640"));
    }

    #[test]
    fn a_short_text_is_no_key() {
        assert!(HashKey::from_text("0123456789012345678901234567890 ").is_none());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.key");
        private(&path, "short");
        assert!(matches!(HashKey::read_or_create(&path), Err(InventoryError::Key { .. })));
    }

    fn private(path: &Path, text: &str) {
        private_file().create(true).truncate(true).write(true).open(path).unwrap();
        fs::write(path, text).unwrap();
    }
}
