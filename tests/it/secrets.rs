//! Secrets: where they come from, what a new value re-applies, and what a process does not give away.

mod process;
mod rotation;
mod sources;
