//! What probes, Prometheus and people ask: whether the operator lives and is ready, what it measures, and the status page
//! that the agent serves too.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use secrecy::SecretString;

use super::lease::Right;
use crate::{
    agent::{
        metrics::Metrics,
        server::{Guard, Served, common},
        view::Board,
    },
    failure::Failure,
};

/// Counters and flags of the process.
#[derive(Default)]
pub(super) struct Gauges {
    /// Everything was listed once.
    pub(super) ready: AtomicBool,
    /// Runs so far, and those that something failed in.
    pub(super) runs: AtomicU64,
    /// Writes to the API server.
    pub(super) writes: AtomicU64,
    /// Requests to the described APIs.
    pub(super) requests: AtomicU64,
    /// What is known of namespaces and stacks.
    pub(super) board: Arc<Board>,
    /// What is measured of them.
    pub(super) metrics: Arc<Metrics>,
}

/// Serves until the process ends; returns the address that it listens at.
pub(super) async fn serve(
    at: SocketAddr,
    gauges: Arc<Gauges>,
    right: Right,
    token: Option<&SecretString>,
    hooks: Option<axum::Router>,
) -> Result<SocketAddr, Failure> {
    let wrong = |error: std::io::Error| Failure::config(format!("Nothing can be served at `{at}`: {error}."));
    let listener = tokio::net::TcpListener::bind(at).await.map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    let (ready, measured) = (gauges.clone(), gauges.clone());
    let served = Served {
        board: gauges.board.clone(),
        metrics: gauges.metrics.clone(),
        ready: Arc::new(move || ready.ready.load(Ordering::SeqCst)),
        guard: Arc::new(Guard::new(token, address.ip().is_loopback(), false)),
        more: Some(Arc::new(move || metrics(&measured, &right))),
    };
    let page = token.is_some() || address.ip().is_loopback();
    let router = common(&served, page).merge(hooks.unwrap_or_default());
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("probes are not served any more: {error}");
        }
    });
    Ok(address)
}

/// What only the operator measures, in the text form of Prometheus.
fn metrics(gauges: &Gauges, right: &Right) -> String {
    let mut out = String::new();
    let leader = u64::from(right.is_held());
    let _ = writeln!(
        out,
        "# HELP plumb_operator_leader Whether this replica works.\n# TYPE plumb_operator_leader gauge\n\
         plumb_operator_leader {leader}"
    );
    for (name, help, value) in [
        ("runs", "Runs over a namespace.", &gauges.runs),
        ("writes", "Writes of statuses and finalizers.", &gauges.writes),
        ("requests", "Requests to the described APIs.", &gauges.requests),
    ] {
        let value = value.load(Ordering::SeqCst);
        let _ = writeln!(
            out,
            "# HELP plumb_operator_{name} {help}\n# TYPE plumb_operator_{name} counter\n\
             plumb_operator_{name}_total {value}"
        );
    }
    out
}
