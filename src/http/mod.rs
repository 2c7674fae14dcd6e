//! The vendor HTTP client: relative paths and JSON bodies in, status, headers and bodies out.
//!
//! It authenticates, keeps the budget of its credential, repeats what is safe to repeat, and sends a credential to
//! nobody but the API. It knows nothing of envelopes, paging or kinds.

mod answer;
mod auth;
mod base;
mod budget;
mod client;
mod error;
mod exchange;
mod hosts;
mod ledger;
mod quota;
mod retry;
mod send;
mod shares;
mod spec;
mod token;
mod trail;
mod turns;
mod wire;

pub use reqwest::{Method, header::HeaderMap};
pub use secrecy::SecretString;

pub use self::{
    answer::Answer,
    auth::ResolvedAuth,
    budget::{Budgets, Naming},
    client::{Client, ServerDate},
    error::{Class, HttpError, Processed, Site},
    hosts::HostPolicy,
    quota::Quota,
    send::TRACED,
    shares::{Board, Posted},
    spec::{Call, ClientSpec, Leave, Pace, Repeat, Terms, Throttled, Transport},
    trail::{CallMade, Called, trailed},
};
