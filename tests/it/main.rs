//! All integration tests, as one program.

mod http;
mod cli;
mod custom_api;
mod flow;
mod inventory;
mod report;
mod seeds;
mod support;
mod wire;
