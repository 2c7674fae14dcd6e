//! Where the agent listens: health, metrics, webhooks, commands and the status page.
//!
//! Commands need the token. The page needs it too, or else is shown to this machine only: without a token it answers
//! requests alone that come by a loopback address and name one as the host.

mod commands;
mod data;
mod exposition;
mod guard;
mod page;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;

pub use self::{guard::Guard, page::router as page_router};
use super::{
    config::{Config, Endpoint},
    metrics::Metrics,
    supervisor::Agent,
    view::Board,
};
use crate::{
    failure::Failure,
    webhook::{self, HookLimits, Provider, Receiver, Secret, Webhooks},
};

/// What readiness asks.
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

/// What gives further measures.
pub type More = Arc<dyn Fn() -> String + Send + Sync>;

/// What the page and the measures need of whoever serves them.
#[derive(Clone)]
pub struct Served {
    /// What is known of stacks.
    pub board: Arc<Board>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Whether everything was looked at.
    pub ready: Ready,
    /// Who may look.
    pub guard: Arc<Guard>,
    /// Further measures, in the text form of Prometheus.
    pub more: Option<More>,
}

/// The routes that the agent and the operator have in common: health, readiness, metrics, and the page where it is
/// served.
pub fn common(served: &Served, page: bool) -> Router {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(served.clone());
    if page { router.merge(page::router(served)) } else { router }
}

async fn readyz(State(served): State<Served>) -> Response {
    if (served.ready)() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not every stack was looked at yet\n").into_response()
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    let mut text = served.metrics.text(&served.board);
    if let Some(more) = &served.more {
        // The end mark stays at the end.
        let end = text.rfind("# EOF").unwrap_or(text.len());
        text.insert_str(end, &more());
    }
    let (kind, text) = exposition::answer(&headers, text);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// The receivers of webhooks.
fn receivers(config: &Config) -> Vec<Receiver> {
    let one = |(name, webhook): (&String, &super::config::WebhookConfig)| {
        let provider = Provider::from_name(&webhook.provider)?;
        let secret = Secret::new(webhook.secret.expose_secret())?;
        Some(Receiver { name: name.clone(), provider, secrets: vec![secret] })
    };
    config.webhooks.iter().filter_map(one).collect()
}

/// What decides who comes in by an open door. Other settings reach it while it is open.
pub struct Locks {
    guard: Arc<Guard>,
    webhooks: Arc<Webhooks>,
}

impl Locks {
    /// Puts other settings in force.
    pub fn change(&self, config: &Config) {
        if let Some(endpoint) = &config.endpoint {
            self.guard.change(endpoint.token.as_ref(), is_secure(endpoint));
        }
        self.webhooks.change(receivers(config));
    }
}

/// Whether people reach the page by TLS.
fn is_secure(endpoint: &Endpoint) -> bool {
    let own = endpoint.url.as_deref().and_then(|url| url::Url::parse(url).ok());
    own.is_some_and(|url| url.scheme() == "https")
}

/// The doors of an agent, open.
pub struct Doors {
    /// Where it listens.
    pub address: SocketAddr,
    main: (TcpListener, Router),
    hooks: Option<(TcpListener, Router)>,
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::config(format!("The agent cannot listen on `{address}`: {error}."))
            .hint("Choose another port as `endpoint.listen`, or end whatever listens there.")
    })
}

/// Opens the doors that the configuration names; nothing where it names none.
pub async fn open(agent: &Arc<Agent>) -> Result<Option<Doors>, Failure> {
    let config = agent.shared.settings();
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let listener = bind(endpoint.listen).await?;
    let address = listener.local_addr().map_err(|error| Failure::config(error.to_string()))?;
    let guard = Arc::new(Guard::new(endpoint.token.as_ref(), address.ip().is_loopback(), is_secure(endpoint)));
    let webhooks = Webhooks::new(receivers(&config), HookLimits::default(), agent.clone());
    agent.has_locks(Locks { guard: guard.clone(), webhooks: webhooks.clone() });
    let ready = agent.clone();
    let served = Served {
        board: agent.shared.board.clone(),
        metrics: agent.shared.metrics.clone(),
        ready: Arc::new(move || ready.is_ready()),
        guard,
        more: None,
    };
    // Whom it is shown to, the guard decides.
    let mut router = common(&served, endpoint.status_page).merge(commands::router(agent, &served.guard));
    let hooks = Router::new().nest("/webhooks", webhook::router(webhooks));
    let hooks = if let Some(address) = endpoint.webhooks {
        Some((bind(address).await?, hooks))
    } else {
        router = router.merge(hooks);
        None
    };
    Ok(Some(Doors { address, main: (listener, router), hooks }))
}

impl Doors {
    /// Serves until the agent ends.
    pub async fn serve(self, agent: &Agent) -> Result<(), Failure> {
        let serve = |(listener, router): (TcpListener, Router)| {
            let mut end = agent.shared.ending.subscribe();
            axum::serve(listener, router.into_make_service()).with_graceful_shutdown(async move {
                // The sender lives as long as the agent.
                let _ = end.wait_for(|end| *end).await;
            })
        };
        let main = serve(self.main).into_future();
        let failed = |error: std::io::Error| Failure::config(format!("The agent's endpoint failed: {error}."));
        match self.hooks {
            Some(hooks) => {
                futures::future::try_join(main, serve(hooks).into_future()).await.map(|_| ()).map_err(failed)
            }
            None => main.await.map_err(failed),
        }
    }
}
