//! Bytes → checked manifests with spans. Does no I/O.

mod annotations;
mod api;
mod condition;
mod connection;
mod convert;
mod entries;
mod faults;
mod header;
mod load;
mod model;
mod node;
mod object;
mod parse;
mod reference;
mod scalar;
mod sensitive;
mod stack;

pub use self::{
    load::{LoadOptions, load},
    model::*,
};
use crate::diagnostic::{Place, Sources};

/// Finds the place of a JSON pointer in a document, or of its nearest ancestor that is there.
pub fn locate(sources: &Sources, document: DocumentRef, pointer: &str) -> Option<Place> {
    let text = &sources.get(document.source)?.text;
    parse::locate(text, document.source, document.item.unwrap_or(document.index) as usize, pointer)
}

#[cfg(test)]
mod tests;
