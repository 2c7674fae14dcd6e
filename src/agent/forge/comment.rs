//! A plan → the text of a pull request's comment: found again by a hidden marker, deletes first, cut to what the forge
//! takes.

use crate::{
    agent::config::ForgeKind,
    plan::{PlanDocument, PlanNotes},
    report::markdown,
};

/// What a comment is made of.
#[derive(Debug, Clone, Copy)]
pub struct Text<'t> {
    /// The stack.
    pub stack: &'t str,
    /// Whether values are told.
    pub values: bool,
    /// Where the whole plan is.
    pub link: Option<&'t str>,
    /// Which forge it is for.
    pub kind: ForgeKind,
}

/// The first line of a stack's comment, by which it is found again.
pub fn marker(stack: &str) -> String {
    markdown::marker(stack)
}

/// The characters that a comment may have.
pub fn limit(kind: ForgeKind) -> usize {
    match kind {
        ForgeKind::Gitlab => 1_000_000,
        ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Bitbucket => markdown::GITHUB_LIMIT,
    }
}

/// The comment.
pub fn text(document: &PlanDocument, notes: &PlanNotes, of: &Text<'_>) -> String {
    let shown = markdown::Shown { limit: limit(of.kind), values: of.values, link: of.link, marker: Some(of.stack) };
    markdown::comment(document, notes, &shown)
}
