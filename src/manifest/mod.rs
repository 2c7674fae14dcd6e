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
mod leads;
mod load;
mod model;
mod node;
mod object;
mod parse;
mod place;
mod reference;
mod scalar;
mod sensitive;
mod settings;
mod stack;
mod variants;

use std::time::Duration;

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

/// A span of time such as `30s`, `10m` or `1h30m`; nothing where the text is none.
pub fn span(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.get(digits..digits + 1)? {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(digits + 1..)?;
    }
    Some(Duration::from_secs(seconds))
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
