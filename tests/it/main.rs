//! The integration tests: one program, one module a subject.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod cli;
mod custom_api;
mod report;
mod seeds;
mod wire;
