//! Bytes → checked manifests with spans. Does no I/O.

mod accounts;
mod annotations;
mod api;
mod claims;
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
mod settings;
mod stack;
mod variants;

pub use self::{
    accounts::connection_example,
    load::{LoadOptions, load},
    model::*,
    scalar::Fitting,
    settings::{Settings, settings},
};
use crate::{
    description::{
        Specs,
        format::{FieldSpec, FieldType},
    },
    diagnostic::{Place, Sources},
};

/// A sentence about a kind of plumb's own, `Connection` or `Stack`, and the fields of its `spec`.
pub fn core_kind(name: &str) -> Option<(&'static str, Specs)> {
    match name {
        "Connection" => {
            let mut fields = connection::fields();
            let description = Some("Fields of every manifest of this connection.".to_owned());
            let defaults = FieldSpec { ty: FieldType::Map, description, ..FieldSpec::default() };
            fields.insert("defaults".to_owned(), defaults);
            Some(("One account of one API: where it is and how to authenticate.", fields))
        }
        "Stack" => Some(("Settings of the manifests that are reconciled together.", stack::fields())),
        _ => None,
    }
}

/// Finds the place of a JSON pointer in a document, or of its nearest ancestor that is there.
pub fn locate(sources: &Sources, document: DocumentRef, pointer: &str) -> Option<Place> {
    let text = &sources.get(document.source)?.text;
    let start = document.item.unwrap_or(document.index) as usize;
    let mut place = parse::locate(text, document.source, start, pointer)?;
    place.line = place.line.saturating_add(u32::try_from(sources.lines_before(document.source, start)).unwrap_or(0));
    Some(place)
}

#[cfg(test)]
mod tests;
