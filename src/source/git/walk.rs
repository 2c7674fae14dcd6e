//! Some paths of a commit → the manifests below them, in a stable order, and what is wrong with the rest. A name or a
//! link that leads elsewhere is an error and not passed over: a source that is not whole must not look like one.

use std::collections::HashSet;

use git2::{Oid, Repository};

use super::tree::{EntryKind, GitTree, Lost, is_lfs_pointer, lookup};
use crate::{diagnostic::Diagnostic, source::MAX_FILE_BYTES};

/// Folders below each other at most.
const MAX_DEPTH: usize = 64;
/// Entries that are looked at: folders that hold one another many times over could be without end.
const MAX_ENTRIES: usize = 500_000;
/// Bytes that all manifests together may have.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// Diagnostics of one kind that are told one by one.
const MAX_TOLD: usize = 20;

/// Something that a walk comes upon.
pub(super) enum Found {
    /// A file that may hold manifests: its path and its content.
    Text(String, Vec<u8>),
    /// Something that cannot be read or is passed over.
    Problem(Diagnostic),
}

/// A walk through a commit's tree.
pub(super) struct Walk<'w> {
    repository: &'w Repository,
    root: Oid,
    tree: &'w GitTree,
    url: &'w str,
    seen: HashSet<String>,
    entries: usize,
    bytes: usize,
    told: usize,
    found: Vec<Found>,
}

impl<'w> Walk<'w> {
    pub(super) fn new(repository: &'w Repository, root: Oid, tree: &'w GitTree, url: &'w str) -> Self {
        let seen = HashSet::new();
        Self { repository, root, tree, url, seen, entries: 0, bytes: 0, told: 0, found: Vec::new() }
    }

    /// Reads what stands at the paths; a path without anything is lost.
    pub(super) fn read(mut self, paths: &[String]) -> Result<Vec<Found>, (String, Lost)> {
        let all = [String::new()];
        for path in if paths.is_empty() { &all[..] } else { paths } {
            let mut trace = Vec::new();
            let entry = lookup(self.repository, self.root, path, &mut trace).map_err(|lost| (path.clone(), lost))?;
            for (link, mode, _) in &trace {
                if mode & 0o170_000 == 0o120_000 {
                    self.tree.depend(link);
                }
            }
            self.tree.depend(&entry.real);
            match entry.kind {
                EntryKind::Folder => self.folder(entry.id, path, &entry.real, 0),
                EntryKind::File => self.file(entry.id, path, &entry.real),
                _ => return Err((path.clone(), Lost::Missing)),
            }
        }
        Ok(self.found)
    }

    fn problem(&mut self, diagnostic: Diagnostic) {
        self.told += 1;
        if self.told <= MAX_TOLD || diagnostic.is_error() && self.told <= MAX_TOLD * 10 {
            self.found.push(Found::Problem(diagnostic));
        }
    }

    fn unreadable(&mut self, path: &str, why: &str) {
        self.problem(Diagnostic::error("PL0001", format!("`{path}` cannot be read: {why}.")).in_file(path));
    }

    /// Whether there is room for one more entry; told once where there is none.
    fn room(&mut self) -> bool {
        self.entries += 1;
        if self.entries == MAX_ENTRIES + 1 {
            let message = format!("`{}` has more than {MAX_ENTRIES} files and folders below its paths.", self.url);
            self.problem(Diagnostic::error("PL0021", message).hint("Name the folders with manifests as paths."));
        }
        self.entries <= MAX_ENTRIES
    }

    fn folder(&mut self, id: Oid, shown: &str, real: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return self.unreadable(shown, &format!("it is more than {MAX_DEPTH} folders deep"));
        }
        if !self.seen.insert(format!("{real}/")) {
            return;
        }
        let tree = match self.repository.find_tree(id) {
            Ok(tree) => tree,
            Err(error) => return self.unreadable(shown, &format!("the repository is broken: {}", error.message())),
        };
        let mut entries: Vec<(Vec<u8>, EntryKind, Oid)> = tree
            .iter()
            .map(|entry| {
                let kind = EntryKind::of(entry.filemode_raw(), entry.kind());
                (entry.name_bytes().to_vec(), kind, entry.id())
            })
            .collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind, id) in entries {
            if !self.room() {
                return;
            }
            self.entry(&name, kind, id, shown, real, depth);
        }
    }

    fn entry(&mut self, name: &[u8], kind: EntryKind, id: Oid, shown: &str, real: &str, depth: usize) {
        let Ok(name) = std::str::from_utf8(name) else {
            let lossy = String::from_utf8_lossy(name);
            if kind == EntryKind::File && !wanted(&lossy) {
                return;
            }
            let path = join(shown, &lossy);
            let message = format!("The name `{path}` is not UTF-8.");
            return self.problem(Diagnostic::error("PL0025", message).hint("Rename it.").in_file(path));
        };
        let dangerous = name == "." || name == ".." || name.is_empty() || name.contains(['/', '\\', '\0']);
        if dangerous {
            let path = join(shown, name);
            let message = format!("The commit has an entry `{path}`, whose name leads to another place.");
            return self.problem(
                Diagnostic::error("PL0025", message).hint("No Git client makes such a name: find out who pushed it."),
            );
        }
        if name.starts_with('.') {
            return;
        }
        let (shown, real) = (join(shown, name), join(real, name));
        match kind {
            EntryKind::Folder => self.folder(id, &shown, &real, depth + 1),
            EntryKind::File if wanted(name) => self.file(id, &shown, &real),
            EntryKind::Link => self.link(&shown, &real, wanted(name), depth),
            EntryKind::Submodule => self.problem(
                Diagnostic::note("PL0026", format!("`{shown}` is a submodule and was not read."))
                    .hint("Give its repository with a `-f`, or as a source, of its own.")
                    .in_file(shown),
            ),
            EntryKind::File | EntryKind::Other => {}
        }
    }

    fn link(&mut self, shown: &str, real: &str, wanted: bool, depth: usize) {
        let mut trace = Vec::new();
        let found = lookup(self.repository, self.root, real, &mut trace);
        for (path, ..) in trace.iter().filter(|(_, mode, _)| mode & 0o170_000 == 0o120_000) {
            self.tree.depend(path);
        }
        match found {
            Ok(entry) => {
                let folder = entry.kind == EntryKind::Folder;
                if folder || wanted {
                    self.tree.depend(&entry.real);
                }
                match entry.kind {
                    EntryKind::Folder => self.folder(entry.id, shown, &entry.real, depth + 1),
                    EntryKind::File if wanted => self.file(entry.id, shown, &entry.real),
                    _ => {}
                }
            }
            Err(Lost::Outside(_)) => self.problem(
                Diagnostic::error("PL0024", format!("The link `{shown}` leads out of the repository."))
                    .hint("Put the file itself there.")
                    .in_file(shown),
            ),
            Err(lost) if wanted => self.unreadable(shown, &lost.reason()),
            Err(_) => {}
        }
    }

    fn file(&mut self, id: Oid, shown: &str, real: &str) {
        if !self.seen.insert(real.to_owned()) {
            return;
        }
        let broken = |error: &git2::Error| format!("the repository is broken: {}", error.message());
        let size = match self.repository.odb().and_then(|odb| odb.read_header(id)) {
            Ok((size, _)) => size,
            Err(error) => return self.unreadable(shown, &broken(&error)),
        };
        if size as u64 > MAX_FILE_BYTES {
            let limit = MAX_FILE_BYTES / 1024 / 1024;
            let message = format!("`{shown}` is larger than {limit} MiB.");
            return self
                .problem(Diagnostic::error("PL0003", message).hint("Split it into several files.").in_file(shown));
        }
        self.bytes += size;
        if self.bytes > MAX_BYTES {
            if self.bytes - size <= MAX_BYTES {
                let message =
                    format!("The manifests of `{}` have more than {} MiB.", self.url, MAX_BYTES / 1024 / 1024);
                self.problem(Diagnostic::error("PL0021", message).hint("Name the folders with manifests as paths."));
            }
            return;
        }
        match self.repository.find_blob(id) {
            Ok(blob) if is_lfs_pointer(blob.content()) => self.problem(
                Diagnostic::error(
                    "PL0027",
                    format!("The content of `{shown}` is kept by Git LFS, which plumb does not read."),
                )
                .hint("Manifests belong into Git itself: `git lfs untrack` them, or name paths without this file.")
                .in_file(shown),
            ),
            Ok(blob) => self.found.push(Found::Text(shown.to_owned(), blob.content().to_vec())),
            Err(error) => self.unreadable(shown, &broken(&error)),
        }
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a file of this name may hold manifests.
fn wanted(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
}
