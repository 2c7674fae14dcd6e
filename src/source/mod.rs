//! Inputs (files, folders, standard input, Git) → one snapshot of texts, in a stable order and with a revision.

mod folder;
pub mod git;
mod input;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest;

pub use self::input::Input;
use crate::diagnostic::{Diagnostic, FileTree, SourceId, SourceText, Sources};

/// Bytes that one file may have at most.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// What standard input is called in diagnostics.
pub const STDIN: &str = "<stdin>";

/// All texts that a run reads, as they were at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The commit, where all is of one; else a hash of paths and texts; nothing where nothing was read.
    pub revision: Option<String>,
    /// The inputs as they were given, in one spelling: relative to the current folder where they are below it.
    pub roots: Vec<String>,
    /// The texts, sorted by path within each input.
    pub sources: Sources,
    /// What could not be read, and why.
    pub diagnostics: Vec<Diagnostic>,
    /// Nothing but blanks was read.
    pub empty: bool,
}

impl Snapshot {
    /// A snapshot of texts that are at hand, by their paths.
    pub fn of<P: Into<String>, T: Into<String>>(texts: impl IntoIterator<Item = (P, T)>) -> Self {
        let mut reading = Reading::default();
        for (path, text) in texts {
            let (path, text) = (path.into(), text.into());
            let folder = Path::new(&path).parent().unwrap_or(Path::new("")).to_path_buf();
            reading.snapshot.roots.push(path.clone());
            reading.text(path, folder, text.into_bytes());
        }
        reading.finish()
    }

    /// Adds the texts of another snapshot behind the own ones, and gives the first of them.
    pub fn lay_under(&mut self, other: &Self) -> SourceId {
        let first = SourceId(u32::try_from(self.sources.texts.len()).unwrap_or(u32::MAX));
        self.sources.append(&other.sources);
        first
    }

    /// Whether everything that was asked for could be read.
    pub fn is_complete(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads all inputs. What cannot be read is an error in [`Snapshot::diagnostics`].
pub fn read(inputs: &[Input]) -> Snapshot {
    read_with(inputs, &mut io::stdin())
}

/// Reads all inputs, with another standard input.
pub fn read_with(inputs: &[Input], stdin: &mut dyn Read) -> Snapshot {
    let mut reading = Reading::default();
    let mut git = git::CommandLine::new(inputs.iter().filter_map(Input::git));
    for input in inputs {
        let root = input.root();
        if !reading.snapshot.roots.contains(&root) {
            reading.snapshot.roots.push(root.clone());
        }
        match input {
            Input::Stdin => reading.stdin(stdin),
            Input::Git(url) => {
                if let Err(error) = git.read(url, &mut reading) {
                    reading.problem(error.diagnostic(&root));
                }
            }
            Input::Path(path) if path.is_dir() => reading.folder(path),
            Input::Path(path) => reading.file(path, fs::canonicalize(path).unwrap_or_default()),
        }
    }
    reading.finish()
}

/// A snapshot under construction.
#[derive(Default)]
struct Reading {
    snapshot: Snapshot,
    seen: HashSet<PathBuf>,
    /// The commits that were read.
    commits: Vec<String>,
    /// Texts that are of no commit.
    loose: usize,
}

impl Reading {
    fn problem(&mut self, diagnostic: Diagnostic) {
        self.snapshot.diagnostics.push(diagnostic);
    }

    fn folder(&mut self, root: &Path) {
        for found in folder::walk(root) {
            match found {
                folder::Found::File(path, real) => self.file(&path, real),
                folder::Found::Problem(diagnostic) => self.problem(diagnostic),
            }
        }
    }

    fn file(&mut self, path: &Path, real: PathBuf) {
        let shown = input::shown(path);
        if path.exists() && !self.seen.insert(real) {
            return;
        }
        let opened = File::open(path).and_then(|file| match file.metadata() {
            Ok(metadata) if metadata.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(_) => read_limited(file),
            Err(error) => Err(error),
        });
        self.loose += 1;
        match opened {
            Ok(bytes) => {
                let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
                self.text(shown, folder, bytes);
            }
            Err(error) => self.problem(unreadable(&shown, &error)),
        }
    }

    fn stdin(&mut self, stdin: &mut dyn Read) {
        if !self.seen.insert(PathBuf::from(STDIN)) {
            return;
        }
        self.loose += 1;
        match read_limited(stdin) {
            Ok(bytes) => self.text(STDIN.to_owned(), PathBuf::new(), bytes),
            Err(error) => self.problem(unreadable(STDIN, &error)),
        }
    }

    fn text(&mut self, path: String, folder: PathBuf, bytes: Vec<u8>) {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            let limit = MAX_FILE_BYTES / 1024 / 1024;
            return self.problem(
                Diagnostic::error("PL0003", format!("`{path}` is larger than {limit} MiB."))
                    .hint("Split it into several files.")
                    .in_file(path),
            );
        }
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
                self.snapshot.sources.add(SourceText { path, folder, text });
            }
            _ => self.problem(
                Diagnostic::error("PL0002", format!("`{path}` is not UTF-8 text."))
                    .hint("Save it as UTF-8, or keep files that are no YAML out of the folder.")
                    .in_file(path),
            ),
        }
    }

    /// Notes that everything since the last note is of a commit.
    fn commit(&mut self, commit: &str, root: String, tree: Arc<dyn FileTree>) {
        if !self.commits.iter().any(|known| known == commit) {
            self.commits.push(commit.to_owned());
        }
        if !self.snapshot.roots.contains(&root) {
            self.snapshot.roots.push(root);
        }
        self.snapshot.sources.add_tree(tree);
    }

    fn finish(mut self) -> Snapshot {
        let texts = &self.snapshot.sources.texts;
        self.snapshot.empty = texts.iter().all(|text| text.text.trim().is_empty());
        self.snapshot.revision = match &self.commits[..] {
            [commit] if self.loose == 0 => Some(commit.clone()),
            _ => revision(texts),
        };
        if self.snapshot.empty && self.snapshot.is_complete() {
            self.problem(nothing_in(&self.snapshot.roots));
        }
        self.snapshot
    }
}

/// Says that there is nothing to read in these inputs.
pub(crate) fn nothing_in(roots: &[String]) -> Diagnostic {
    Diagnostic::note("PL0005", format!("There are no manifests in `{}`.", roots.join("`, `")))
}

/// Reads a file that a manifest refers to, of at most so many bytes: of the commit that the manifest is of, or of the
/// machine.
pub fn read_file(sources: &Sources, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if let Some(tree) = sources.tree(path) {
        return tree.read(path, limit);
    }
    let file = File::open(path)?;
    if file.metadata()?.len() > limit {
        return Err(io::Error::other(format!("it is larger than {} MiB", limit / 1024 / 1024)));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &str, error: &io::Error) -> Diagnostic {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        _ => error.to_string(),
    };
    Diagnostic::error("PL0001", format!("`{path}` cannot be read: {reason}.")).in_file(path)
}

/// First 12 hex digits of the SHA-256 over sorted paths and texts.
fn revision(texts: &[SourceText]) -> Option<String> {
    if texts.is_empty() {
        return None;
    }
    let mut sorted: Vec<&SourceText> = texts.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = digest::Context::new(&digest::SHA256);
    for text in sorted {
        for part in [text.path.as_bytes(), text.text.as_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    let halves = hash.finish().as_ref().iter().take(6).flat_map(|byte| [byte >> 4, byte & 15]).collect::<Vec<_>>();
    Some(halves.into_iter().filter_map(|half| char::from_digit(u32::from(half), 16)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(snapshot: &Snapshot) -> Vec<String> {
        snapshot
            .sources
            .texts
            .iter()
            .map(|text| text.path.rsplit_once("/tree/").map_or(text.path.clone(), |(_, path)| path.to_owned()))
            .collect()
    }

    fn codes(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.diagnostics.iter().map(|diagnostic| diagnostic.code.as_ref()).collect()
    }

    fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("tree");
        fs::create_dir(&root).unwrap();
        for (path, bytes) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        (temporary, root)
    }

    #[test]
    fn folders_are_read_in_order_without_what_is_hidden_or_no_manifest() {
        let (_temporary, root) = tree(&[
            ("b.yaml", b"b: 1"),
            ("a/z.yml", b"z: 1"),
            ("a/y.json", b"{}"),
            (".git/config.yaml", b"x: 1"),
            (".plumb/inventory.yaml", b"x: 1"),
            ("README.md", b"#"),
        ]);
        let snapshot = read(&[Input::Path(root)]);
        assert_eq!(paths(&snapshot), ["a/y.json", "a/z.yml", "b.yaml"]);
        assert!(snapshot.diagnostics.is_empty());
        assert!(!snapshot.empty);
    }

    #[test]
    fn the_revision_follows_the_texts_and_not_the_order_of_inputs() {
        let (_temporary, root) = tree(&[("a.yaml", b"a: 1"), ("b.yaml", b"b: 1")]);
        let (a, b) = (Input::Path(root.join("a.yaml")), Input::Path(root.join("b.yaml")));
        let first = read(&[a.clone(), b.clone()]).revision;
        assert!(first.is_some());
        assert_eq!(read(&[b.clone(), a.clone()]).revision, first);
        fs::write(root.join("a.yaml"), "a: 2").unwrap();
        assert_ne!(read(&[a, b]).revision, first);
    }

    #[test]
    fn a_file_that_two_inputs_name_is_read_once() {
        let (_temporary, root) = tree(&[("a.yaml", b"a: 1")]);
        let snapshot = read(&[Input::Path(root.join("./a.yaml")), Input::Path(root)]);
        assert_eq!(snapshot.sources.texts.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_each() {
        let (_temporary, root) =
            tree(&[("binary.yaml", b"\xff\xfe\x00"), ("nul.yaml", b"a\0b"), ("good.yaml", b"a: 1")]);
        let snapshot =
            read(&[Input::Path(root.clone()), Input::Path(root.join("missing")), Input::parse("https://host.example")]);
        assert_eq!(codes(&snapshot), ["PL0002", "PL0002", "PL0001", "PL0004"]);
        assert_eq!(paths(&snapshot), ["good.yaml"]);
        assert!(!snapshot.is_complete());
    }

    #[test]
    fn a_file_beyond_the_budget_is_refused() {
        let (_temporary, root) = tree(&[]);
        let path = root.join("big.yaml");
        File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        assert_eq!(codes(&read(&[Input::Path(path)])), ["PL0003"]);
    }

    #[test]
    fn nothing_at_all_is_noted_and_marked() {
        let (_temporary, root) = tree(&[("empty.yaml", b""), ("blank.yaml", b" \n")]);
        let snapshot = read(&[Input::Path(root)]);
        assert!(snapshot.empty);
        assert_eq!(codes(&snapshot), ["PL0005"]);
        assert!(snapshot.is_complete());
    }

    #[test]
    fn standard_input_is_read_and_a_byte_order_mark_dropped() {
        let snapshot = read_with(&[Input::parse("-")], &mut "\u{feff}a: 1\r\n".as_bytes());
        assert_eq!(snapshot.sources.texts[0].path, STDIN);
        assert_eq!(&*snapshot.sources.texts[0].text, "a: 1\r\n");
        assert_eq!(snapshot.roots, ["-"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_within_the_root_only() {
        use std::os::unix::fs::symlink;
        let (temporary, root) = tree(&[("..data/real.yaml", b"a: 1"), ("sub/x.yaml", b"x: 1")]);
        fs::write(temporary.path().join("outside.yaml"), "o: 1").unwrap();
        symlink("..data/real.yaml", root.join("inner.yaml")).unwrap();
        symlink(temporary.path().join("outside.yaml"), root.join("outer.yaml")).unwrap();
        symlink(&root, root.join("sub/loop")).unwrap();
        symlink(root.join("nowhere.yaml"), root.join("dangling.yaml")).unwrap();
        let snapshot = read(&[Input::Path(root)]);
        assert_eq!(paths(&snapshot), ["inner.yaml", "sub/x.yaml"]);
        assert_eq!(codes(&snapshot), ["PL0001", "PL0006"]);
    }
}
