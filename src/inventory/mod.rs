//! The ownership record.

mod model;

pub use model::*;
