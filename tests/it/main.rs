//! All integration tests, as one program.

mod bad_input;
mod cli;
mod custom_api;
mod flow;
mod http;
mod inventory;
mod report;
mod sandbox;
mod seeds;
mod support;
mod wire;
