//! Webhooks of forges → pushes and pull requests: the signature over the raw bytes is checked before anything of them is
//! read, and what a forged request can cost is bounded.
//!
//! [`verify`] gives a [`Verified`], which nothing else can make and which [`parse`] takes. [`router`] does both behind
//! limits and hands [`Event`]s to a [`Sink`]. Replays are harmless: an event is a prompt to look at the repository, and
//! carries nothing that is believed without looking.

mod bitbucket;
mod event;
mod generic;
mod github;
mod gitlab;
mod payload;
mod provider;
mod recent;
mod router;

pub use self::{
    event::{Change, Event, PullRequest, Push, RepositoryName},
    payload::{BadPayload, parse},
    provider::{Provider, Refusal, Secret, Verified, verify},
    router::{Answer, Counts, HookLimits, Receiver, Sink, Webhooks, router},
};
