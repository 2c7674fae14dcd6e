//! Repositories that are shared: one cache, one connection at a time, and one fetch for all who ask after the same
//! moment. What fails is kept as long as what succeeds, so that fifty stacks do not wait for one dead server fifty times.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use git2::Oid;

use super::{
    Access, AllowedSigners, Gateway, GitError, GitRemote, GitTree, Head, Libgit2, Location, Reference, Signature,
    TreeHash, Trouble, Want,
    cache::Cache,
    reference::Found,
    signature, tree,
    walk::{self, Walk},
};
use crate::source::{Reading, Snapshot};

/// Connections that did not bring what the remote listed before it is taken for broken.
const ATTEMPTS: usize = 3;

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its whole id.
    pub commit: String,
    /// What led to it, for people: `main`, `v1.2.0`, or the id.
    pub called: String,
    /// Name of who wrote it.
    pub author: String,
    /// Mail address of who wrote it.
    pub email: String,
    /// First line of its message.
    pub title: String,
    /// When it was committed, in seconds since 1970.
    pub seconds: i64,
    id: Oid,
    tree: Oid,
}

/// What a repository has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections to the remote.
    pub connections: u64,
    /// Those that brought something.
    pub fetches: u64,
    /// Bytes that came.
    pub bytes: u64,
}

/// The names of a remote, or why they could not be had.
type Heads = Result<Arc<Vec<Head>>, GitError>;

/// What the last connections told.
#[derive(Default)]
struct State {
    /// The names of the remote as they were at a moment, or why they could not be had.
    listing: Option<(Instant, Heads)>,
    /// Commits that could not be fetched, when, and why.
    failed: HashMap<Oid, (Instant, GitError)>,
}

/// One remote repository with its cache.
pub struct Repository {
    url: String,
    remote: Box<dyn GitRemote>,
    cache: Cache,
    state: Mutex<State>,
    connections: AtomicU64,
    fetches: AtomicU64,
    bytes: AtomicU64,
}

impl Repository {
    /// Makes a repository of a remote, with a cache below a folder.
    pub fn new(url: impl Into<String>, remote: Box<dyn GitRemote>, root: &Path) -> Self {
        let url = url.into();
        let cache = Cache::of(root, &url);
        let (connections, fetches, bytes) = Default::default();
        Self { url, remote, cache, state: Mutex::default(), connections, fetches, bytes }
    }

    /// The URL, without credentials, path and reference.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has cost so far.
    pub fn counters(&self) -> Counters {
        Counters {
            connections: self.connections.load(Ordering::Relaxed),
            fetches: self.fetches.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Finds the commit that a reference means, as the remote had it at `newer_than` or later, and has it fetched.
    pub fn revision(&self, reference: &Reference, newer_than: Instant) -> Result<Revision, GitError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Reference::Commit(id) = reference
            && let Some(kept) = self.kept(id)?
        {
            return Ok(kept);
        }
        for attempt in 0..ATTEMPTS {
            if attempt > 0 || state.listing.as_ref().is_none_or(|(at, _)| *at < newer_than) {
                self.connect(&mut state, reference);
            }
            let Some((_, listed)) = &state.listing else { break };
            let found = self.find(reference, listed.as_ref().map_err(Clone::clone)?)?;
            if let Some(revision) = self.read(&found)? {
                return Ok(revision);
            }
            if let Some((at, error)) = state.failed.get(&found.commit)
                && *at >= newer_than
            {
                return Err(error.clone());
            }
        }
        let message = format!("The repository `{}` lists a commit that it does not send.", self.url);
        Err(GitError::new(Trouble::Broken, message).hint("Try again; if that does not help, check it with `git fsck`."))
    }

    /// Finds a commit by a reference; a commit that no name is known of may still be fetched by its id.
    fn find(&self, reference: &Reference, heads: &[Head]) -> Result<Found, GitError> {
        let missing = match reference.find(heads, &self.url) {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        let (Reference::Commit(id) | Reference::Name(id)) = reference else { return Err(missing) };
        match Oid::from_str(id) {
            Ok(commit) if id.len() == 40 && missing.trouble != Trouble::Empty => {
                Ok(Found { name: None, called: id.clone(), commit })
            }
            _ => Err(missing),
        }
    }

    /// One connection: the remote's names, and what a reference means among them, if the cache has it not.
    fn connect(&self, state: &mut State, reference: &Reference) {
        let at = Instant::now();
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (mut listed, mut wanted) = (None, None);
        let answer = self.sync(reference, &mut listed, &mut wanted);
        if let Err(error) = &answer {
            tracing::debug!(url = %self.url, %error, "a Git remote could not be read");
        }
        state.failed.retain(|_, (failed, _)| failed.elapsed() < Duration::from_hours(1));
        match (answer, listed) {
            (Ok(()), Some(heads)) => state.listing = Some((at, Ok(heads))),
            (Err(error), Some(heads)) => {
                // The names came, and the commit did not: that concerns only who asked for it.
                state.listing = Some((at, Ok(heads)));
                if let Some(commit) = wanted {
                    state.failed.insert(commit, (at, error));
                }
            }
            (Err(error), None) => state.listing = Some((at, Err(error))),
            (Ok(()), None) => state.listing = None,
        }
    }

    fn sync(
        &self,
        reference: &Reference,
        listed: &mut Option<Arc<Vec<Head>>>,
        wanted: &mut Option<Oid>,
    ) -> Result<(), GitError> {
        let _turn = self.cache.turn()?;
        self.cache.tidy();
        let cache = self.cache.open()?;
        let mut choose = |heads: &[Head]| {
            *listed = Some(Arc::new(heads.to_vec()));
            let found = self.find(reference, heads).ok().filter(|found| !complete(&cache, found.commit));
            *wanted = found.as_ref().map(|found| found.commit);
            found.map(|found| Want { name: found.name, commit: found.commit }).into_iter().collect()
        };
        let bytes = self.remote.sync(&cache, &mut choose)?;
        if wanted.is_some() {
            self.fetches.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn kept(&self, id: &str) -> Result<Option<Revision>, GitError> {
        let Ok(commit) = Oid::from_str(id) else { return Ok(None) };
        self.read(&Found { name: None, called: id.to_owned(), commit })
    }

    /// Reads a commit from the cache, if it is there.
    fn read(&self, found: &Found) -> Result<Option<Revision>, GitError> {
        let cache = self.cache.open()?;
        let Ok(object) = cache.find_object(found.commit, None) else { return Ok(None) };
        let Ok(commit) = object.peel_to_commit() else {
            let message = format!("`{}` of `{}` is no commit.", found.called, self.url);
            return Err(GitError::new(Trouble::NoReference, message));
        };
        if cache.find_tree(commit.tree_id()).is_err() {
            return Ok(None);
        }
        let author = commit.author();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Some(Revision {
            commit: commit.id().to_string(),
            called: found.called.clone(),
            author: text(author.name_bytes()),
            email: text(author.email_bytes()),
            title: text(commit.message_bytes()).lines().next().unwrap_or_default().to_owned(),
            seconds: commit.time().seconds(),
            id: commit.id(),
            tree: commit.tree_id(),
        }))
    }

    /// A revision that was fetched before, as after a restart; nothing where the cache has it no more.
    pub fn recall(&self, commit: &str) -> Option<Revision> {
        self.kept(commit).ok().flatten()
    }

    /// Checks who signed a commit.
    pub fn verify(&self, revision: &Revision, allowed: &AllowedSigners) -> Result<Signature, GitError> {
        let cache = self.cache.open()?;
        signature::verify(&cache, revision.id, revision.seconds, allowed)
    }

    /// Hashes what stands at some paths of a commit, from ids alone: equal hashes mean that nothing below them changed.
    pub fn tree_hash(&self, revision: &Revision, paths: &[String]) -> Result<TreeHash, GitError> {
        let _hold = self.cache.hold()?;
        Ok(tree::hash(&self.cache.open()?, revision.tree, paths))
    }

    /// Reads the manifests below some paths of a commit, and whatever they refer to in the repository later.
    pub fn snapshot(&self, revision: &Revision, paths: &[String]) -> Result<Snapshot, GitError> {
        let mut reading = Reading::default();
        self.read_into(&mut reading, revision, paths)?;
        Ok(reading.finish())
    }

    /// Reads the manifests below some paths of a commit besides what was read already; gives the tree that they are of.
    pub(in crate::source) fn read_into(
        &self,
        reading: &mut Reading,
        revision: &Revision,
        paths: &[String],
    ) -> Result<Arc<GitTree>, GitError> {
        let hold = self.cache.hold()?;
        let cache = self.cache.open()?;
        let short = revision.commit.get(..12).unwrap_or(&revision.commit);
        let root = PathBuf::from(format!("{}@{short}", self.url));
        let tree = Arc::new(GitTree::new(self.cache.clone(), root.clone(), revision.tree, paths.to_vec(), hold));
        let found = Walk::new(&cache, revision.tree, &tree, &self.url).read(paths).map_err(|(path, lost)| {
            let message =
                format!("`{path}` of `{}` at {} cannot be read: {}.", self.url, revision.called, lost.reason());
            let trouble = if matches!(lost, tree::Lost::Broken(_)) { Trouble::Broken } else { Trouble::NoPath };
            GitError::new(trouble, message).hint("The path after `//` starts from the root of the repository.")
        })?;
        for found in found {
            match found {
                walk::Found::Text(path, bytes) => {
                    let folder = root.join(path.rsplit_once('/').map_or("", |(folder, _)| folder));
                    reading.text(path, folder, bytes);
                }
                walk::Found::Problem(diagnostic) => reading.problem(diagnostic),
            }
        }
        let mut location = Location::parse(&self.url)?;
        location.paths = paths.to_vec();
        reading.commit(&revision.commit, location.root(), tree.clone());
        Ok(tree)
    }
}

/// Whether a cache has a commit and its tree.
fn complete(cache: &git2::Repository, id: Oid) -> bool {
    let commit = cache.find_object(id, None).and_then(|object| object.peel_to_commit());
    commit.is_ok_and(|commit| cache.find_tree(commit.tree_id()).is_ok())
}

/// Repositories by URL and the hash of what they are reached with.
type Known = HashMap<(String, [u8; 32]), Arc<Repository>>;

/// All repositories of a process, each shared by those who use the same URL and credential.
pub struct Repositories {
    root: PathBuf,
    gateway: Arc<Gateway>,
    known: Mutex<Known>,
}

impl Repositories {
    /// Starts with caches below a folder, which is made when it is needed.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, GitError> {
        Ok(Self { root: root.into(), gateway: Gateway::start()?, known: Mutex::default() })
    }

    /// The repository of a location, whose paths and reference do not matter.
    pub fn open(&self, location: &Location, access: &Access) -> Arc<Repository> {
        let location = Location { paths: Vec::new(), reference: Reference::Default, ..location.clone() };
        let url = location.url();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry((url.clone(), access.fingerprint()))
            .or_insert_with(|| {
                let remote = Libgit2::new(location, access.clone(), self.gateway.clone());
                Arc::new(Repository::new(url, Box::new(remote), &self.root))
            })
            .clone()
    }

    /// Forgets repositories that nobody uses any more, as after a configuration was read anew.
    pub fn release(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, repository| Arc::strong_count(repository) > 1);
    }
}

/// The moment that lies this long ago, for [`Repository::revision`]; the oldest that the clock knows otherwise.
pub fn ago(age: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}
