//! Manifests → files: one a kind, or one a kind in each folder of a tree.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;

use super::{Document, names::apart};
use crate::description::{Kind, compiled::plural};

/// Bytes of a file at most, as far as manifests go: larger ones are no pleasure, and far larger ones are not read.
const LARGEST: usize = 4 * 1024 * 1024;

/// How manifests are laid out in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// One file a kind.
    #[default]
    Kind,
    /// A folder for each object that contains others, with a file a kind in it.
    Tree,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where, from the folder of the export.
    pub path: String,
    /// What.
    pub text: String,
}

/// All manifests as one text.
pub fn stream(documents: &[Document]) -> String {
    documents.iter().map(|document| document.text.as_str()).collect::<Vec<_>>().join("---\n")
}

/// The manifests as files, in the order of the manifests.
pub fn files(documents: &[Document], layout: Layout) -> Vec<File> {
    let connections: BTreeSet<&str> = documents.iter().map(|document| document.connection.as_str()).collect();
    let several = connections.len() > 1;
    let mut out: IndexMap<String, String> = IndexMap::new();
    let mut parts: HashMap<String, usize> = HashMap::new();
    for document in documents {
        let mut path = String::new();
        if several {
            path.push_str(&document.connection);
            path.push('/');
        }
        path.push_str(&place(document, layout));
        let part = parts.entry(path.clone()).or_insert(1);
        let full = |text: &String| text.len() + document.text.len() > LARGEST;
        if out.get(&numbered(&path, *part)).is_some_and(full) {
            *part += 1;
        }
        let text = out.entry(numbered(&path, *part)).or_default();
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&document.text);
    }
    out.into_iter().map(|(path, text)| File { path, text }).collect()
}

/// The path of a part of what goes to a path: `passwords.yaml`, `passwords-2.yaml`.
fn numbered(path: &str, part: usize) -> String {
    match path.strip_suffix(".yaml") {
        Some(stem) if part > 1 => format!("{stem}-{part}.yaml"),
        _ => path.to_owned(),
    }
}

fn place(document: &Document, layout: Layout) -> String {
    if layout == Layout::Kind {
        return format!("{}.yaml", folder(&document.kind));
    }
    let mut path = String::new();
    let mut above: Option<&str> = None;
    for (kind, name) in &document.within {
        // Names say what they are in, and so does the folder.
        let own = above.and_then(|above| name.strip_prefix(above)?.strip_prefix('-')).unwrap_or(name);
        path.extend([folder(kind).as_str(), "/", own, "/"]);
        above = Some(name);
    }
    let itself = document.within.last().is_some_and(|(kind, name)| *kind == document.kind && *name == document.handle);
    let file = if itself { apart(&document.kind.name, '-') } else { folder(&document.kind) };
    format!("{path}{file}.yaml")
}

/// What a folder or file with objects of a kind is called.
fn folder(kind: &Kind) -> String {
    plural(&apart(&kind.name, '-'))
}
