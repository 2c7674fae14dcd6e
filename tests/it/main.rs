//! All integration tests, as one program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test that cannot run says why")]
#![expect(clippy::format_push_string, clippy::format_collect, reason = "texts of tests are short")]
#![expect(clippy::large_futures, reason = "tests are not deep")]
#![expect(clippy::struct_excessive_bools, reason = "switches of a simulated server")]
#![expect(clippy::match_same_arms, clippy::single_match_else, reason = "a table of cases reads row by row")]

mod agent;
mod answers;
mod bad_input;
mod balena;
mod bindplane;
mod ci_flow;
mod cli;
mod codes;
mod conformance;
mod custom_api;
mod custom_updates;
mod cycloid;
mod docs;
mod examples;
mod export;
mod flow;
mod git_source;
mod history;
mod http;
mod inventory;
mod layers;
mod leaks;
mod operator;
mod properties;
mod references;
mod release;
mod reliability;
mod report;
mod requests;
mod sandbox;
mod secrets;
mod seeds;
mod servers;
mod support;
mod tutorials;
mod verbs;
mod webhooks;
mod wire;
