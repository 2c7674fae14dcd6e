//! Diagnostics: what is wrong, where, and what to do about it, as data. `report` draws them.

use std::{
    borrow::Cow,
    fmt, io,
    path::Path,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant.
    Warning,
    /// Nothing is applied.
    Error,
    /// Refused for safety (exit code 3): the whole apply stops before its first write.
    Refusal,
}

/// Number of a text within [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SourceId(pub u32);

/// One text that manifests were read from.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// Path as the user would write it; `<stdin>` for standard input.
    pub path: String,
    /// Folder that relative paths in its manifests start from.
    pub folder: std::path::PathBuf,
    /// The text.
    pub text: Arc<str>,
}

/// All texts of a run, for drawing the source line of a diagnostic.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The texts; a [`SourceId`] is an index.
    pub texts: Vec<SourceText>,
    /// Where the lines of each end, found when first asked for.
    ends: Vec<OnceLock<Vec<usize>>>,
    /// What is beside the texts that are not on this machine's disk.
    trees: Vec<Arc<dyn FileTree>>,
}

/// The files beside texts that are not on this machine's disk, such as those of a commit.
pub trait FileTree: fmt::Debug + Send + Sync {
    /// What the paths of its files start with; no file of the machine does.
    fn root(&self) -> &Path;

    /// Reads a file of at most so many bytes; never one outside of the tree.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// What was looked at outside of the paths that were asked for, by links or as files that texts refer to.
    fn dependencies(&self) -> Vec<String>;
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, text: SourceText) -> SourceId {
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text);
        self.ends.push(OnceLock::new());
        SourceId(id)
    }

    /// Adds the texts of others, with the files beside them.
    pub fn append(&mut self, others: &Self) {
        for text in &others.texts {
            self.add(text.clone());
        }
        self.trees.extend(others.trees.iter().cloned());
    }

    /// Adds the files beside some texts.
    pub fn add_tree(&mut self, tree: Arc<dyn FileTree>) {
        self.trees.push(tree);
    }

    /// The tree that a path belongs to; none for a path of the machine.
    pub fn tree(&self, path: &Path) -> Option<&Arc<dyn FileTree>> {
        self.trees.iter().find(|tree| path.starts_with(tree.root()))
    }

    /// What the texts depend on outside of the paths that were asked for, as far as it was looked at: whoever decides by
    /// a tree hash whether anything changed hashes these paths too.
    pub fn dependencies(&self) -> Vec<String> {
        self.trees.iter().flat_map(|tree| tree.dependencies()).collect()
    }

    /// How many lines of a text end before a byte.
    pub fn lines_before(&self, id: SourceId, byte: usize) -> usize {
        let (Some(text), Some(ends)) = (self.get(id), self.ends.get(id.0 as usize)) else { return 0 };
        let ends = ends.get_or_init(|| {
            let bytes = text.text.bytes().enumerate();
            bytes.filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
        });
        ends.partition_point(|end| *end < byte)
    }

    /// The text with this number.
    pub fn get(&self, id: SourceId) -> Option<&SourceText> {
        self.texts.get(id.0 as usize)
    }
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Which text.
    pub source: SourceId,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters; 0 where unknown.
    pub length: u32,
}

/// One thing to tell the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code, such as `PL0102`; every one has a paragraph in `docs/diagnostics.md`.
    pub code: Cow<'static, str>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do: printed as `hint: …`, one line each.
    pub hints: Vec<String>,
    /// Where.
    pub place: Option<Place>,
    /// A file that has no readable text, or whose place is unknown.
    pub file: Option<String>,
    /// Address of the object that it is about.
    pub address: Option<String>,
    /// Other places that matter, each with a word on why.
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code: Cow::Borrowed(code),
            message: message.into(),
            hints: Vec::new(),
            place: None,
            file: None,
            address: None,
            related: Vec::new(),
        }
    }

    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A note.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    /// A refusal.
    pub fn refusal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Refusal, code, message)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the place, where there is one.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place.or(self.place);
        self
    }

    /// Sets the file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Sets the object's address.
    #[must_use]
    pub fn about(mut self, address: impl fmt::Display) -> Self {
        self.address = Some(address.to_string());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn see(mut self, place: Option<Place>, why: impl Into<String>) -> Self {
        if let Some(place) = place {
            self.related.push((place, why.into()));
        }
        self
    }

    /// Whether it stops an apply.
    pub fn is_error(&self) -> bool {
        self.severity >= Severity::Error
    }
}

/// Diagnostics from which on no similar names are looked for: among many names that takes its time, and the first
/// suggestions serve as well as all.
pub const SUGGESTIONS: usize = 100;

/// The nearest of `candidates` to a mistyped `word`, if one is near enough to propose.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count().min(word.chars().count()) / 4)
        .min_by_key(|(distance, candidate)| (*distance, candidate.len()))
        .map(|(_, candidate)| candidate)
}
