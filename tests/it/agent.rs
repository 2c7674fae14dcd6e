//! The agent as a process, with simulated APIs behind it, and a small forge that records what it is told.

mod config;
mod feedback;
mod forge;
mod forges;
mod host;
mod page;
mod printed;
mod prometheus;
mod stacks;
mod traces;
