//! The agent: watches Git, keeps stacks true to it, and tells about it.
//!
//! `reconcile` is one stack's step, and knows neither Git nor HTTP; `view` is what is known of stacks. The operator uses
//! both, and the page and the measures of `server`. `worker` and `supervisor` are the agent's own loop.

pub mod changelog;
pub mod config;
mod feedback;
pub mod forge;
pub mod metrics;
pub mod notify;
pub mod reconcile;
pub mod server;
pub mod source;
pub mod state;
pub mod supervisor;
pub mod view;
pub mod worker;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

pub use self::supervisor::Agent;
use crate::{failure::Failure, http::Pace};

/// Runs an agent until `end` comes.
pub async fn run(
    config: config::Config,
    path: &Path,
    stop: Arc<AtomicBool>,
    pace: Pace,
    listening: impl FnOnce(std::net::SocketAddr),
    end: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let agent = Agent::new(config, path, stop, pace)?;
    let doors = server::open(&agent).await?;
    if let Some(doors) = &doors {
        listening(doors.address);
    }
    agent.start();
    let watching = tokio::spawn(agent.clone().watch());
    let serving = {
        let agent = agent.clone();
        tokio::spawn(async move {
            match doors {
                Some(doors) => doors.serve(&agent).await,
                None => std::future::pending().await,
            }
        })
    };
    let mut serving = std::pin::pin!(serving);
    let failed = tokio::select! {
        () = end => None,
        ended = &mut serving => ended.ok().and_then(Result::err),
    };
    agent.finish().await;
    watching.abort();
    match failed {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
