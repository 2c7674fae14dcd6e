//! Paths that manifests name → the files that they may read: of this machine, as far as the policy lets them, or of the
//! commit that the manifests are from.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{policy::ResolvePolicy, text::read_text};
use crate::diagnostic::{Diagnostic, Sources};

/// What manifests may reach, and where they come from.
#[derive(Clone, Copy)]
pub(super) struct Reach<'a> {
    pub(super) policy: &'a ResolvePolicy,
    pub(super) sources: &'a Sources,
}

impl Reach<'_> {
    /// The path that a document of a folder names. What is of a commit stays within it, absolute or not, unless the
    /// configuration lists folders of the machine.
    pub(super) fn place(self, folder: &Path, path: &str) -> PathBuf {
        let joined = folder.join(path);
        match self.sources.tree(folder) {
            Some(tree) if !joined.starts_with(tree.root()) && self.policy.folders.is_none() => {
                tree.root().join("..").join(path.trim_start_matches('/'))
            }
            _ => joined,
        }
    }

    /// Refuses a path that manifests may not read. Within their own commit they may read everything.
    pub(super) fn permit(self, path: &Path) -> Result<(), Diagnostic> {
        if self.sources.tree(path).is_some() { Ok(()) } else { self.policy.permit(path) }
    }

    /// The text of a file that manifests may read.
    pub(super) fn read(self, path: &Path) -> Result<Zeroizing<String>, Diagnostic> {
        self.permit(path)?;
        read_text(self.sources, path)
    }
}
