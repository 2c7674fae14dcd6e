//! All integration tests, as one program.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by a panic and talks to whoever runs it"
)]

mod cli;
mod custom_api;
mod inventory;
mod report;
mod seeds;
mod support;
mod wire;
