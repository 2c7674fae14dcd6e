//! API descriptions: the format that they are written in, and what is derived from them.

mod check;
pub mod compiled;
pub mod format;

pub use compiled::{Api, Catalog, Fault, Kind};
