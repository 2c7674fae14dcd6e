//! The writer lock of a local inventory: a lock of the operating system on a file beside it, free when its holder dies.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use crate::inventory::{Holder, private::private_file};

/// How often a lock without a holder's name is tried, and the time in between.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct FileLock(File);

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// Somebody has it.
    Held(Box<Holder>),
    /// The file cannot be used.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FileLock {
    /// Takes the lock at `path` for `holder`, or tells at once who has it. A lock without a name is just being taken or
    /// given back (a process that is being started may have it for an instant longer), so that a moment is waited.
    pub(super) fn take(path: &Path, holder: &Holder) -> Result<Self, Refused> {
        let mut file = private_file().read(true).write(true).create(true).truncate(false).open(path)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => match written(&mut file) {
                    None if attempt < ATTEMPTS => thread::sleep(PAUSE),
                    found => return Err(Refused::Held(Box::new(found.unwrap_or_else(unknown)))),
                },
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        let text = serde_json::to_vec(holder).map_err(io::Error::other)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&text)?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    /// The file stays: removing it would let two processes lock two files of one name.
    fn drop(&mut self) {
        if let Err(error) = self.0.set_len(0) {
            tracing::debug!(%error, "the holder's name stays in the lock file");
        }
    }
}

/// What the holder wrote; nothing while it is about to write, or wipes it out again.
fn written(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn unknown() -> Holder {
    Holder {
        who: "another process".into(),
        user: "unknown".into(),
        host: "this machine".into(),
        since: "just now".into(),
        ..Holder::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_holder_and_a_drop_frees() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.lock");
        let lock = FileLock::take(&path, &Holder::here("plumb apply")).unwrap();
        let Err(Refused::Held(holder)) = FileLock::take(&path, &Holder::here("plumb destroy")) else { panic!() };
        assert_eq!((holder.who.as_str(), holder.pid), ("plumb apply", std::process::id()));
        drop(lock);
        FileLock::take(&path, &Holder::here("plumb destroy")).unwrap();
    }
}
