//! Changes → ordered actions, limits, cost. Pure.

mod model;

pub use model::*;
