//! All integration tests, as one program.

mod cli;
mod inventory;
mod seeds;
mod report;
