//! API descriptions: the format that they are written in, and what is derived from them.

mod check;
pub mod compiled;
pub mod format;
pub mod hook;

pub use compiled::{Api, Catalog, Fault, Kind};

/// The fields of an object: of its kind, with what hooks know about this very object.
pub type Specs = indexmap::IndexMap<String, format::FieldSpec>;
