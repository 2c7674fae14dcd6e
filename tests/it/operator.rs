//! The operator against a real Kubernetes API server and the simulated APIs: every kind of every API, what happens to
//! them, and what must not.

mod chart;
mod deletion;
mod edits;
mod kinds;
mod leaders;
mod lifecycle;
mod scale;
mod schema;
mod sharing;
mod stacks;
mod trouble;
mod tutorial;
