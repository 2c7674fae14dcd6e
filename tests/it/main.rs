//! All integration tests, as one program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod cli;
mod custom_api;
mod docs;
mod examples;
mod flow;
mod http;
mod inventory;
mod layers;
mod properties;
mod report;
mod sandbox;
mod seeds;
mod support;
mod verbs;
mod wire;
