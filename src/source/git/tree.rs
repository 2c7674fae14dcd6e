//! The tree of one commit: files by their paths, links followed within the repository and never out of it, and a hash
//! of what stands at some paths, from ids alone.

use std::{
    collections::BTreeSet,
    io,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest;
use git2::{ObjectType, Oid, Repository};

use super::cache::{Cache, Hold};
use crate::diagnostic::FileTree;

/// Links that are followed one after the other.
const MAX_LINKS: usize = 40;
/// Bytes that the target of a link may have.
const MAX_TARGET: usize = 4096;

/// What stands at some paths of a commit: equal hashes, equal contents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreeHash(String);

impl TreeHash {
    /// The hash in hexadecimal digits, for keeping it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// A hash that was kept.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Folder,
    Link,
    Submodule,
    Other,
}

impl EntryKind {
    pub(super) fn of(mode: i32, kind: Option<ObjectType>) -> Self {
        match (mode & 0o170_000, kind) {
            (0o120_000, _) => Self::Link,
            (0o160_000, _) | (_, Some(ObjectType::Commit)) => Self::Submodule,
            (_, Some(ObjectType::Tree)) => Self::Folder,
            (_, Some(ObjectType::Blob)) => Self::File,
            _ => Self::Other,
        }
    }
}

/// What was found at a path.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub id: Oid,
    /// Where it really is, after all links.
    pub real: String,
}

/// Why nothing was found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    Missing,
    /// A link, or the path itself, leads out of the repository.
    Outside(String),
    TooManyLinks,
    Submodule(String),
    Broken(String),
}

impl Lost {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Missing => "there is no such file or folder in the commit".to_owned(),
            Self::Outside(path) => format!("`{path}` leads out of the repository"),
            Self::TooManyLinks => "its links lead round in a circle".to_owned(),
            Self::Submodule(path) => format!("`{path}` is a submodule, which plumb does not read"),
            Self::Broken(why) => format!("the repository is broken: {why}"),
        }
    }
}

/// One step of a lookup: a path, its mode and its object.
pub(super) type Step = (String, i32, Oid);

/// Finds what stands at a path, following links; every entry that decided on the answer goes to `trace`.
pub(super) fn lookup(repository: &Repository, root: Oid, path: &str, trace: &mut Vec<Step>) -> Result<Entry, Lost> {
    let broken = |error: git2::Error| Lost::Broken(error.message().to_owned());
    let mut todo: Vec<String> = parts(path).rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut ids = vec![root];
    let mut links = 0;
    let mut kind = EntryKind::Folder;
    while let Some(part) = todo.pop() {
        if part == ".." {
            if done.pop().is_none() {
                return Err(Lost::Outside(path.to_owned()));
            }
            ids.pop();
            kind = EntryKind::Folder;
            continue;
        }
        if kind != EntryKind::Folder {
            return Err(Lost::Missing);
        }
        let folder = ids.last().copied().unwrap_or(root);
        let tree = repository.find_tree(folder).map_err(broken)?;
        let Some(entry) = tree.get_name_bytes(part.as_bytes()) else { return Err(Lost::Missing) };
        let here = if done.is_empty() { part.clone() } else { format!("{}/{part}", done.join("/")) };
        let found = EntryKind::of(entry.filemode_raw(), entry.kind());
        trace.push((here.clone(), entry.filemode_raw(), entry.id()));
        match found {
            EntryKind::Submodule => return Err(Lost::Submodule(here)),
            EntryKind::Link => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Lost::TooManyLinks);
                }
                let target = target(repository, entry.id()).map_err(Lost::Broken)?;
                if target.starts_with('/') {
                    return Err(Lost::Outside(here));
                }
                let mut depth = done.len();
                for step in parts(&target) {
                    match (step, depth) {
                        ("..", 0) => return Err(Lost::Outside(here)),
                        ("..", _) => depth -= 1,
                        _ => depth += 1,
                    }
                }
                todo.extend(parts(&target).rev().map(str::to_owned));
            }
            found => {
                done.push(part);
                ids.push(entry.id());
                kind = found;
            }
        }
    }
    Ok(Entry { kind, id: ids.last().copied().unwrap_or(root), real: done.join("/") })
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// What a link leads to.
pub(super) fn target(repository: &Repository, id: Oid) -> Result<String, String> {
    let blob = repository.find_blob(id).map_err(|error| error.message().to_owned())?;
    if blob.size() > MAX_TARGET {
        return Err("the target of a link is too long".to_owned());
    }
    String::from_utf8(blob.content().to_vec()).map_err(|_| "the target of a link is no UTF-8".to_owned())
}

/// Hashes what stands at some paths, links included; what is not there counts too.
pub(super) fn hash(repository: &Repository, root: Oid, paths: &[String]) -> TreeHash {
    let mut sorted: Vec<&str> = paths.iter().map(String::as_str).collect();
    if sorted.is_empty() {
        sorted.push("");
    }
    sorted.sort_unstable();
    sorted.dedup();
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    for path in sorted {
        let mut trace = Vec::new();
        let found = lookup(repository, root, path, &mut trace);
        part(path.as_bytes());
        // Folders on the way change with everything else in them: only links and what stands at the end count.
        for (path, mode, id) in &trace {
            if mode & 0o170_000 == 0o120_000 {
                part(path.as_bytes());
                part(id.as_bytes());
            }
        }
        match found {
            Ok(entry) => {
                let mode = trace.last().map_or(0o040_000, |(_, mode, _)| *mode);
                part(&mode.to_be_bytes());
                part(entry.id.as_bytes());
            }
            Err(lost) => part(lost.reason().as_bytes()),
        }
    }
    let hex = hash.finish().as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    TreeHash(hex)
}

/// The first line of what Git LFS puts in a file's place.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Whether a file's content is kept elsewhere by Git LFS.
pub(super) fn is_lfs_pointer(content: &[u8]) -> bool {
    content.len() < 1024 && content.starts_with(LFS)
}

/// The files of a commit, for what manifests refer to.
#[derive(Debug)]
pub struct GitTree {
    cache: Cache,
    root: PathBuf,
    tree: Oid,
    /// What was looked at outside of the stack's own paths.
    beside: Mutex<BTreeSet<String>>,
    paths: Vec<String>,
    _hold: Hold,
}

impl GitTree {
    pub(super) fn new(cache: Cache, root: PathBuf, tree: Oid, paths: Vec<String>, hold: Hold) -> Self {
        Self { cache, root, tree, beside: Mutex::default(), paths, _hold: hold }
    }

    /// Notes that the content at a path matters.
    pub(super) fn depend(&self, path: &str) {
        let within = |own: &String| {
            own.is_empty() || path == own || path.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'))
        };
        if !self.paths.is_empty() && !self.paths.iter().any(within) {
            self.beside.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        }
    }

    fn relative(&self, path: &Path) -> io::Result<String> {
        let outside = || io::Error::other("it is outside of the repository");
        let below = path.strip_prefix(&self.root).map_err(|_| outside())?;
        let mut parts: Vec<&str> = Vec::new();
        for part in below.components() {
            match part {
                Component::Normal(name) => parts.push(name.to_str().ok_or_else(outside)?),
                Component::ParentDir => {
                    parts.pop().ok_or_else(outside)?;
                }
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(parts.join("/"))
    }
}

impl FileTree for GitTree {
    fn root(&self) -> &Path {
        &self.root
    }

    fn dependencies(&self) -> Vec<String> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let path = self.relative(path)?;
        let repository = self.cache.open().map_err(|error| io::Error::other(error.message))?;
        let mut trace = Vec::new();
        self.depend(&path);
        let found = lookup(&repository, self.tree, &path, &mut trace);
        for (path, ..) in trace.iter().filter(|(_, mode, _)| mode & 0o170_000 == 0o120_000) {
            self.depend(path);
        }
        let entry = found.map_err(|lost| match lost {
            Lost::Missing => io::Error::from(io::ErrorKind::NotFound),
            lost => io::Error::other(lost.reason()),
        })?;
        self.depend(&entry.real);
        if entry.kind != EntryKind::File {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let broken = |error: git2::Error| io::Error::other(error.message().to_owned());
        let (size, _) = repository.odb().and_then(|odb| odb.read_header(entry.id)).map_err(broken)?;
        if size as u64 > limit {
            return Err(io::Error::other(format!("it is larger than {} MiB", limit / 1024 / 1024)));
        }
        let blob = repository.find_blob(entry.id).map_err(broken)?;
        if is_lfs_pointer(blob.content()) {
            return Err(io::Error::other("its content is kept by Git LFS, which plumb does not read"));
        }
        Ok(blob.content().to_vec())
    }
}
