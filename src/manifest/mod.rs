//! Bytes → checked manifests with spans. Does no I/O.

mod model;

pub use model::*;
