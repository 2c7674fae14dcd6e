//! The diagnostics of one document while it is checked, and the names of the fields that they are about.

use std::fmt;

use super::node::Mark;
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Place, SourceId},
};

/// Collects the diagnostics of one document.
#[derive(Debug)]
pub(super) struct Faults<'t> {
    pub(super) source: SourceId,
    pub(super) text: &'t str,
    /// What they are about, once that is known.
    pub(super) address: Option<Address>,
    pub(super) list: Vec<Diagnostic>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(source: SourceId, text: &'t str) -> Self {
        Self { source, text, address: None, list: Vec::new() }
    }

    /// Says what the diagnostics are about, those so far too.
    pub(super) fn about(&mut self, address: &Address) {
        for diagnostic in &mut self.list {
            diagnostic.address.get_or_insert_with(|| address.to_string());
        }
        self.address = Some(address.clone());
    }

    pub(super) fn place(&self, at: Mark) -> Place {
        at.place(self.source, self.text)
    }

    /// Adds a diagnostic about a place of the document.
    pub(super) fn add(&mut self, diagnostic: Diagnostic, at: Mark) {
        let mut diagnostic = diagnostic.at(Some(self.place(at)));
        if let (None, Some(address)) = (&diagnostic.address, &self.address) {
            diagnostic.address = Some(address.to_string());
        }
        self.list.push(diagnostic);
    }

    /// Adds an error.
    pub(super) fn error(&mut self, code: &'static str, message: impl Into<String>, at: Mark) {
        self.add(Diagnostic::error(code, message), at);
    }

    /// Whether there is an error among them.
    pub(super) fn any_error(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }
}

/// Where in a document a value is, for messages: printed only when something is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'p> {
    /// `spec`, or what stands for it.
    Root,
    /// A member of a map.
    Field(&'p Path<'p>, &'p str),
    /// An item of a list.
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    /// The name of the innermost field.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Root => "spec",
            Self::Field(_, name) => name,
            Self::Item(parent, _) => parent.name(),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("spec"),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// `a`, `b` and `c`: names for a message, cut where they are many.
pub(super) fn listed<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 12;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= MOST => format!("{} and {last}", first.join(", ")),
        many => {
            let shown: Vec<&str> = many.iter().take(MOST).map(String::as_str).collect();
            format!("{} and {} more", shown.join(", "), many.len() - MOST)
        }
    }
}
