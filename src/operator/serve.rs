//! What probes and Prometheus ask: whether the operator lives, whether it is ready, and its counters.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use super::lease::Right;
use crate::failure::Failure;

/// Counters and flags of the process.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// Everything was listed once.
    pub(super) ready: AtomicBool,
    /// Runs so far, and those that something failed in.
    pub(super) runs: AtomicU64,
    /// Writes to the API server.
    pub(super) writes: AtomicU64,
    /// Requests to the described APIs.
    pub(super) requests: AtomicU64,
}

#[derive(Clone)]
struct Shared {
    gauges: Arc<Gauges>,
    right: Right,
}

/// Serves until the process ends; returns the address that it listens at.
pub(super) async fn serve(at: SocketAddr, gauges: Arc<Gauges>, right: Right) -> Result<SocketAddr, Failure> {
    let wrong = |error: std::io::Error| Failure::config(format!("Nothing can be served at `{at}`: {error}."));
    let listener = tokio::net::TcpListener::bind(at).await.map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Shared { gauges, right });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("probes are not served any more: {error}");
        }
    });
    Ok(address)
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.gauges.ready.load(Ordering::SeqCst) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not everything was listed yet\n")
    }
}

async fn metrics(State(shared): State<Shared>) -> String {
    let gauges = &shared.gauges;
    let count = |value: &AtomicU64| value.load(Ordering::SeqCst);
    format!(
        "# HELP plumb_operator_leader Whether this replica works.\n# TYPE plumb_operator_leader gauge\n\
         plumb_operator_leader {}\n\
         # HELP plumb_operator_runs_total Runs over a namespace.\n# TYPE plumb_operator_runs_total counter\n\
         plumb_operator_runs_total {}\n\
         # HELP plumb_operator_writes_total Writes of statuses and finalizers.\n\
         # TYPE plumb_operator_writes_total counter\nplumb_operator_writes_total {}\n\
         # HELP plumb_operator_requests_total Requests to the described APIs.\n\
         # TYPE plumb_operator_requests_total counter\nplumb_operator_requests_total {}\n",
        u8::from(shared.right.is_held()),
        count(&gauges.runs),
        count(&gauges.writes),
        count(&gauges.requests),
    )
}
