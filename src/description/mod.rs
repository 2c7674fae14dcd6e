//! API descriptions: the format that they are written in, and what is derived from them.

mod check;
pub mod compiled;
mod condition;
pub mod crd;
mod equal;
mod explain;
pub mod format;
pub mod hook;
mod reference;
mod schema;
mod sense;
mod words;

pub use compiled::{Api, Catalog, Fault, Kind, camel, contained_by};
pub use condition::holds;
pub(crate) use equal::canonical_text;
pub use equal::{equal, plain, without_version};
pub use explain::{Explained, Explanation, NoField, explain, explain_core};
pub use reference::reference_page;
pub use schema::{core_schema, format_schema, kind_schema};

/// The fields of an object: of its kind, with what hooks know about this very object.
pub type Specs = indexmap::IndexMap<String, format::FieldSpec>;
