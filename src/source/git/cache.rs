//! Where fetched objects are kept: one bare repository per URL, without a work tree, without hooks, without a
//! configuration. Several processes may use one: fetches take turns, and what is read is never cleared away.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use git2::{Config, Repository, RepositoryInitOptions};

use super::{GitError, Trouble, engine::said};

/// Packs from which on a cache is made anew: each fetch adds one.
const MAX_PACKS: usize = 64;

/// The bare repository of one URL.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

/// Keeps a cache from being cleared while something is read from it.
#[derive(Debug)]
pub(super) struct Hold {
    _file: File,
}

fn unusable(folder: &Path, error: &io::Error) -> GitError {
    let message = format!("The Git cache `{}` cannot be used ({error}).", folder.display());
    GitError::new(Trouble::Setting, message).hint("Set `PLUMB_GIT_CACHE` to a folder that plumb may write to.")
}

impl Cache {
    /// The cache of a URL below a folder.
    pub(super) fn of(root: &Path, url: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, url.as_bytes());
        let name: String = hash.as_ref().iter().take(16).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        Self { folder: root.join(name) }
    }

    fn repository_folder(&self) -> PathBuf {
        self.folder.join("repository.git")
    }

    fn lock_file(&self, name: &str) -> Result<File, GitError> {
        make_private(&self.folder).map_err(|error| unusable(&self.folder, &error))?;
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join(name))
            .map_err(|error| unusable(&self.folder, &error))
    }

    /// Waits until nobody else fetches; the turn ends when the file is dropped.
    pub(super) fn turn(&self) -> Result<File, GitError> {
        let file = self.lock_file("fetch.lock")?;
        file.lock().map_err(|error| unusable(&self.folder, &error))?;
        Ok(file)
    }

    /// Holds the cache for reading.
    pub(super) fn hold(&self) -> Result<Hold, GitError> {
        let file = self.lock_file("read.lock")?;
        file.lock_shared().map_err(|error| unusable(&self.folder, &error))?;
        Ok(Hold { _file: file })
    }

    /// Opens the repository, and makes it where there is none or a broken one.
    pub(super) fn open(&self) -> Result<Repository, GitError> {
        let folder = self.repository_folder();
        let opened = if folder.join("HEAD").exists() { bare(&folder) } else { self.init() };
        match opened {
            Ok(repository) => Ok(repository),
            Err(error) if self.clear()? => {
                tracing::warn!(%error, "the Git cache was broken and is made anew");
                self.init().map_err(|error| self.broken(&error))
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, error: &git2::Error) -> GitError {
        let message = format!("The Git cache `{}` cannot be used ({}).", self.folder.display(), said(error));
        GitError::new(Trouble::Broken, message).hint("It may be deleted: it is fetched again.")
    }

    fn init(&self) -> Result<Repository, git2::Error> {
        let folder = self.repository_folder();
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).no_reinit(true);
        Repository::init_opts(&folder, &options)?;
        // Samples, which nobody needs: no hook is ever run.
        let _ = fs::remove_dir_all(folder.join("hooks"));
        bare(&folder)
    }

    /// Makes the cache anew where it has grown by many fetches and nobody reads from it.
    pub(super) fn tidy(&self) {
        let packs = fs::read_dir(self.repository_folder().join("objects/pack")).map_or(0, Iterator::count);
        if packs > MAX_PACKS * 2 {
            // What cannot be cleared now is cleared later.
            let _ = self.clear();
        }
    }

    /// Deletes what is there, unless somebody reads from it.
    pub(super) fn clear(&self) -> Result<bool, GitError> {
        let lock = self.lock_file("read.lock")?;
        match lock.try_lock() {
            Ok(()) => match fs::remove_dir_all(self.repository_folder()) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
                Err(error) => Err(unusable(&self.folder, &error)),
            },
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(unusable(&self.folder, &error)),
        }
    }
}

/// Opens a bare repository with an empty configuration: neither its own nor the machine's counts.
fn bare(folder: &Path) -> Result<Repository, git2::Error> {
    let repository = Repository::open_bare(folder)?;
    repository.set_config(&Config::new()?)?;
    Ok(repository)
}

/// Makes a folder that only its owner may look into.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
