//! Git repositories → snapshots: what a commit holds below some paths, read from a bare cache. There is no work tree,
//! and nothing of a repository is run: no hook, no filter, no configuration of its own.
//!
//! [`Repositories`] gives one [`Repository`] per URL and credential, shared by all who read it. Its `revision` asks the
//! remote at most once for everybody who asked after the same moment, and fetches what is missing; `snapshot` reads the
//! manifests of a [`Revision`], and `tree_hash` tells from tree ids alone whether anything below some paths changed. All
//! of it blocks: call it from `spawn_blocking`. A [`GitError`] has a kind that passes or not; [`LastGood`] keeps what held.

mod access;
mod cache;
mod command;
mod engine;
mod error;
mod gateway;
mod known_hosts;
mod last_good;
mod location;
mod reference;
mod repository;
mod signature;
mod tree;
mod tunnel;
mod walk;

pub use self::{
    access::{Access, Limits, Login, SshKey},
    command::CommandLine,
    engine::{GitRemote, Head, Libgit2, Want},
    error::{GitError, Trouble},
    gateway::Gateway,
    known_hosts::KnownHosts,
    last_good::LastGood,
    location::{Location, Scheme},
    reference::Reference,
    repository::{Counters, Repositories, Repository, Revision, ago},
    signature::{AllowedSigners, Signature},
    tree::{GitTree, TreeHash},
};
