//! A folder → the files below it that may hold manifests, sorted.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{input::shown, unreadable};
use crate::diagnostic::Diagnostic;

/// Folders below each other at most; deeper ones are not looked into.
const MAX_DEPTH: usize = 64;

/// Something that a walk comes upon.
pub(super) enum Found {
    /// A file that may hold manifests, and where it really is.
    File(PathBuf, PathBuf),
    /// Something that cannot be read or is passed over.
    Problem(Diagnostic),
}

/// Walks a folder. Hidden files and folders are passed over; links are followed where they stay below the root.
pub(super) fn walk(root: &Path) -> Vec<Found> {
    let mut walk = Walk { real_root: fs::canonicalize(root).ok(), seen: HashSet::new(), found: Vec::new() };
    walk.folder(root, 0);
    walk.found
}

struct Walk {
    real_root: Option<PathBuf>,
    /// Folders that were walked: each is read once, however many links lead to it.
    seen: HashSet<PathBuf>,
    found: Vec<Found>,
}

impl Walk {
    fn problem(&mut self, path: &Path, error: &io::Error) {
        self.found.push(Found::Problem(unreadable(&shown(path), error)));
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            return self.problem(folder, &io::Error::other(format!("it is more than {MAX_DEPTH} folders deep")));
        }
        let real = match fs::canonicalize(folder) {
            Ok(real) => real,
            Err(error) => return self.problem(folder, &error),
        };
        if !self.seen.insert(real.clone()) {
            return;
        }
        match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(mut entries) => {
                entries.sort_by_key(fs::DirEntry::file_name);
                for entry in entries {
                    self.entry(&entry, &real, depth);
                }
            }
            Err(error) => self.problem(folder, &error),
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry, folder: &Path, depth: usize) {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            return;
        }
        let path = match entry.path() {
            path if path.starts_with("./") => path.strip_prefix("./").map(Path::to_path_buf).unwrap_or(path),
            path => path,
        };
        let wanted = path
            .extension()
            .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known)));
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return self.problem(&path, &error),
        };
        if kind.is_dir() {
            self.folder(&path, depth + 1);
        } else if kind.is_symlink() {
            self.link(&path, wanted, depth);
        } else if kind.is_file() && wanted {
            self.found.push(Found::File(path, folder.join(name)));
        }
    }

    fn link(&mut self, path: &Path, wanted: bool, depth: usize) {
        match fs::canonicalize(path) {
            Ok(target) => {
                let folder = target.is_dir();
                if !folder && !wanted {
                    return;
                }
                if self.real_root.as_ref().is_some_and(|root| target.starts_with(root)) {
                    if folder {
                        self.folder(path, depth + 1);
                    } else if target.is_file() {
                        self.found.push(Found::File(path.to_path_buf(), target));
                    }
                } else {
                    let path = shown(path);
                    self.found.push(Found::Problem(
                        Diagnostic::note(
                            "PL0006",
                            format!("The link `{path}` leads out of its folder and was not followed."),
                        )
                        .hint("Pass the file or folder that it leads to with a `-f` of its own.")
                        .in_file(path),
                    ));
                }
            }
            Err(error) if wanted => self.problem(path, &error),
            Err(_) => {}
        }
    }
}
