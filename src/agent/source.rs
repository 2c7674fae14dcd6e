//! Where a stack's manifests come from, for a worker: what is newest, whether that concerns the stack, and its texts.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{config::Source, view::RevisionView};
use crate::source::{
    self, Input, Snapshot,
    git::{GitError, Reference, Repositories, Repository, Revision, ago},
};

/// Why a source cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Whether it may pass by itself.
    pub passes: bool,
}

impl From<GitError> for SourceError {
    fn from(error: GitError) -> Self {
        Self { passes: error.trouble.passes(), message: error.message, hints: error.hints }
    }
}

fn broken(what: &str) -> SourceError {
    SourceError { message: format!("{what} cannot be read."), hints: Vec::new(), passes: true }
}

/// The newest state of a source.
#[derive(Debug, Clone)]
pub struct Newest {
    /// What it is, for people.
    pub revision: RevisionView,
    /// Hash of what concerns the stack.
    pub tree: String,
    held: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Folder(Arc<Snapshot>),
    Git(Box<Revision>),
}

/// A stack's source at work.
#[derive(Clone)]
pub struct Feed {
    source: Source,
    repository: Option<Arc<Repository>>,
}

impl Feed {
    /// Prepares a source; repositories are shared.
    pub fn new(source: &Source, repositories: &Repositories) -> Self {
        let repository = match source {
            Source::Git(git) => Some(repositories.open(&git.location, &git.access)),
            Source::Folder(_) => None,
        };
        Self { source: source.clone(), repository }
    }

    /// Where it is, for people: without credentials.
    pub fn shown(&self) -> String {
        match &self.source {
            Source::Folder(path) => path.display().to_string(),
            Source::Git(git) => git.location.root(),
        }
    }

    /// Looks for the newest state; what others asked within `age` will do. `beside` are paths outside of the stack's
    /// own that matter too. Blocks.
    pub fn newest(&self, age: Duration, beside: &[String]) -> Result<Newest, SourceError> {
        match &self.source {
            Source::Folder(path) => folder(path),
            Source::Git(git) => {
                let since = if age.is_zero() { Instant::now() } else { ago(age) };
                let repository = self.repository()?;
                let revision = repository.revision(&git.location.reference, since)?;
                if let Some(signers) = &git.signers {
                    repository.verify(&revision, signers)?;
                }
                self.held(revision, beside)
            }
        }
    }

    /// The state at a commit that was fetched before; nothing where it is not at hand.
    pub fn recall(&self, commit: &str, beside: &[String]) -> Option<Newest> {
        let revision = self.repository.as_ref()?.recall(commit)?;
        self.held(revision, beside).ok()
    }

    /// The head of a pull request: by its name in the target repository, else by its commit.
    pub fn head(&self, commit: &str, reference: Option<&str>) -> Result<Newest, SourceError> {
        let repository = self.repository()?;
        if let Some(known) = repository.recall(commit) {
            return self.held(known, &[]);
        }
        let named = reference.map(|name| Reference::Name(name.to_owned()));
        let revision = match named.and_then(|named| repository.revision(&named, Instant::now()).ok()) {
            Some(found) if found.commit == commit => found,
            _ => repository.revision(&Reference::Commit(commit.to_owned()), Instant::now())?,
        };
        self.held(revision, &[])
    }

    fn repository(&self) -> Result<&Arc<Repository>, SourceError> {
        self.repository.as_ref().ok_or_else(|| broken("A folder has no commits: the repository"))
    }

    fn held(&self, revision: Revision, beside: &[String]) -> Result<Newest, SourceError> {
        let mut paths = self.paths().to_vec();
        if !paths.is_empty() {
            paths.extend(beside.iter().cloned());
        }
        let tree = self.repository()?.tree_hash(&revision, &paths)?;
        Ok(Newest {
            revision: RevisionView {
                commit: revision.commit.clone(),
                called: revision.called.clone(),
                author: revision.author.clone(),
                title: revision.title.clone(),
            },
            tree: tree.text().to_owned(),
            held: Held::Git(Box::new(revision)),
        })
    }

    fn paths(&self) -> &[String] {
        match &self.source {
            Source::Git(git) => &git.location.paths,
            Source::Folder(_) => &[],
        }
    }

    /// The texts of a state. Blocks.
    pub fn snapshot(&self, newest: &Newest) -> Result<Arc<Snapshot>, SourceError> {
        match &newest.held {
            Held::Folder(snapshot) => Ok(snapshot.clone()),
            Held::Git(revision) => Ok(Arc::new(self.repository()?.snapshot(revision, self.paths())?)),
        }
    }
}

fn folder(path: &Path) -> Result<Newest, SourceError> {
    if !path.is_dir() {
        let message = format!("The folder `{}` is not there.", path.display());
        return Err(SourceError { message, hints: Vec::new(), passes: true });
    }
    let snapshot = source::read(&[Input::Path(path.to_path_buf())]);
    let tree = snapshot.revision.clone().unwrap_or_default();
    let revision = RevisionView { commit: tree.clone(), ..RevisionView::default() };
    Ok(Newest { revision, tree, held: Held::Folder(Arc::new(snapshot)) })
}
