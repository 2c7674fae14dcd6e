//! Keeps the accounts that people have at other people's services true to what Git declares.
//!
//! `source → manifest → graph → live → diff → plan → apply → report`: one module a stage, in this order. A stage uses
//! the types of earlier stages only. `manifest`, `graph`, `diff`, `plan` and `report` do no I/O.
//! `export` goes the other way: `live → manifests`.

// What every stage speaks of.
pub mod address;
pub mod description;
pub mod diagnostic;
pub mod failure;
pub mod progress;
pub mod value;

// The APIs and how to talk to them.
pub mod apis;
pub mod dialect;
pub mod http;
pub mod secret;

// The stages.
// rustfmt keeps groups apart.
pub mod apply;
pub mod diff;
pub mod export;
pub mod graph;
pub mod inventory;
pub mod live;
pub mod manifest;
pub mod plan;
pub mod report;
pub mod source;

// What drives them.
pub mod agent;
pub mod cli;
pub mod operator;
pub mod pipeline;
pub mod sandbox;
pub mod webhook;
