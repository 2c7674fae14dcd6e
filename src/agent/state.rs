//! What survives a restart: a folder with a document for each stack, replaced whole, so that a kill at any instant
//! leaves the old one or the new one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::view::{StackState, StackView};

/// What is kept of one stack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StackMemory {
    /// Somebody suspended it, or resumed what the configuration suspends.
    pub suspended: Option<bool>,
    /// Hash of what was last planned.
    pub tree: Option<String>,
    /// Paths beside the stack's own that its manifests refer to.
    pub beside: Vec<String>,
    /// Hash of what cannot be used, while what was good before stays in force.
    pub bad: Option<String>,
    /// Why it cannot be used.
    pub bad_why: String,
    /// The commit that was last good.
    pub good: Option<String>,
    /// What the API refused for good, by address.
    pub refused: BTreeMap<String, String>,
    /// Since when objects have drifted, by address.
    pub drift: BTreeMap<String, i64>,
    /// The state that was last told.
    pub notified: Option<StackState>,
    /// The commit that concerned the stack last: what becomes of the stack is told of it.
    pub concerned: Option<String>,
    /// The statuses that were last set, by commit.
    pub status: Option<(String, String)>,
    /// The pull requests that were planned: head and target as they were.
    pub pulls: BTreeMap<u64, (String, String)>,
    /// Those that have a comment.
    pub commented: BTreeSet<u64>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// What the configuration said when it last ran.
    pub config: String,
    /// What was shown of it.
    pub view: StackView,
}

/// The folder.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

impl StateFolder {
    /// Opens the folder, which is made where it is not there, for its owner alone.
    pub fn open(root: &Path) -> io::Result<Self> {
        let out = Self { root: root.to_path_buf() };
        private_folder(root)?;
        private_folder(&root.join("stacks"))?;
        Ok(out)
    }

    /// The folder of one stack, which is made where it is not there.
    pub fn stack(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.root.join("stacks").join(name);
        private_folder(&folder)?;
        Ok(folder)
    }

    /// The folder of Git caches.
    pub fn git(&self) -> PathBuf {
        self.root.join("git")
    }

    /// The folder in which budgets are shared.
    pub fn budgets(&self) -> PathBuf {
        self.root.join("budgets")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join("stacks").join(name).join("agent.json")
    }

    /// What is known of a stack; nothing where there is nothing, or nothing that can be read.
    pub fn read(&self, name: &str) -> StackMemory {
        let path = self.file(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return StackMemory::default(),
            Err(error) => {
                tracing::warn!("`{}` cannot be read ({error}); the stack starts anew", path.display());
                return StackMemory::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!("`{}` cannot be understood ({error}); the stack starts anew", path.display());
            StackMemory::default()
        })
    }

    /// Keeps what is known of a stack.
    pub fn write(&self, name: &str, memory: &StackMemory) -> io::Result<()> {
        let folder = self.stack(name)?;
        let text = serde_json::to_vec(memory)?;
        let new = folder.join("agent.json.new");
        let mut file = private_file(&new)?;
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&new, self.file(name))
    }
}

#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Makes a file that its owner alone may read.
fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_broken_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("state")).unwrap();
        let memory = StackMemory { tree: Some("t".into()), suspended: Some(true), ..StackMemory::default() };
        state.write("a", &memory).unwrap();
        assert_eq!(state.read("a"), memory);
        assert_eq!(state.read("b"), StackMemory::default());
        fs::write(state.file("a"), "{").unwrap();
        assert_eq!(state.read("a"), StackMemory::default());
    }
}
