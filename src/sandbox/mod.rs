//! The sandbox: the described APIs simulated on loopback, in memory, as strict as their vendors document them.
//!
//! A description becomes routes, rows and rules ([`Sandbox::start`]); what data cannot say about one API is in a module
//! of its own. Each API is served below its name: `http://127.0.0.1:PORT/itglue`. Below `/_sandbox` are control calls.

mod answer;
mod apply;
mod balena;
mod behaviour;
mod bindplane;
mod body;
mod call;
mod connection;
mod control;
mod cycloid;
mod desk;
mod documented;
mod door;
mod faults;
mod field;
mod interfaces;
mod itglue;
mod links;
mod list;
mod odata;
mod patch;
mod removal;
mod render;
mod rest;
mod route;
mod rules;
mod seed;
mod server;
mod shape;
mod simulation;
mod store;
mod traits;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use faults::{BadFault, FaultKind, Faults, RetryAfter};
pub use seed::{BadSeed, parse as parse_seed};
pub use server::LogEntry;

use self::{
    connection::{Cuttable, Scissors},
    door::Door,
    server::{Hub, Site},
    simulation::Simulation,
};
use crate::description::Catalog;

/// Port that `plumb sandbox` listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 8700;

/// How a sandbox behaves.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Time before every answer.
    pub latency: Duration,
    /// Requests that a credential may make in a time; no limit where none.
    pub rate: Option<(u32, Duration)>,
    /// Whether an answer of 429 says when to come again.
    pub retry_after: bool,
    /// What goes wrong.
    pub faults: Faults,
    /// Objects besides the built-in ones: by API, by kind, as manifests write them.
    pub seed: Option<Value>,
    /// Whether the built-in objects (countries, users and the like) are there.
    pub builtin_seed: bool,
    /// Port to listen on; 0 for any free one.
    pub port: u16,
    /// What makes faults repeat.
    pub rng_seed: u64,
    /// Objects on a page at most, whatever a request asks for.
    pub page_size_cap: Option<u32>,
    /// List calls that an object still appears in after a deferred deletion.
    pub deferred_lists: u32,
    /// Time that tokens of a login are valid.
    pub token_lifetime: Duration,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            rate: None,
            retry_after: false,
            faults: Faults::default(),
            seed: None,
            builtin_seed: true,
            port: 0,
            rng_seed: 1,
            page_size_cap: None,
            deferred_lists: 2,
            token_lifetime: Duration::from_hours(1),
        }
    }
}

/// The query parameters that a simulated API takes because its vendor lists them: by kind, `filter NAME`, `sort NAME`
/// and `include NAME`.
pub fn documented_parameters(api: &str) -> BTreeMap<String, BTreeSet<String>> {
    let behaviour = behaviour::of(api);
    let kinds = crate::apis::builtin().api(api).into_iter().flat_map(|api| api.kinds.keys());
    kinds
        .filter_map(|kind| {
            let documented = behaviour.documented(kind)?;
            let named = |word: &'static str, names: &'static [&'static str]| {
                names.iter().map(move |name| format!("{word} {name}"))
            };
            let all = named("filter", documented.filters)
                .chain(named("sort", documented.sorts))
                .chain(named("include", documented.includes))
                .chain(named("include", documented.get_includes));
            Some((kind.clone(), all.collect()))
        })
        .collect()
}

/// Simulated APIs on loopback; they end with this value.
pub struct Sandbox {
    hub: Arc<Hub>,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Starts to serve all APIs of a catalog.
    ///
    /// # Errors
    ///
    /// Fails where the port is taken or the seed cannot be used.
    pub async fn start(catalog: &Catalog, options: SandboxOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let mut sites = IndexMap::new();
        for (name, api) in &catalog.apis {
            let sim = Simulation::new(api, &options);
            let own = options.seed.as_ref().and_then(|seed| seed.get(name)).unwrap_or(&Value::Null);
            if options.builtin_seed
                && let Some(text) = crate::apis::sandbox_seed(name)
            {
                seed::plant(&sim, &parse_seed(text).map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
            seed::plant(&sim, own).map_err(io::Error::other)?;
            let allowed = seed::credentials(own).into_iter().collect();
            let door = Door::new(allowed, options.token_lifetime, options.rate, options.retry_after);
            sites.insert(name.clone(), Site::new(sim, door));
        }
        let hub = Arc::new(Hub::new(sites, address, options.latency, options.faults, options.rng_seed));
        let service = server::router(hub.clone()).into_make_service_with_connect_info::<Scissors>();
        let (end, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            axum::serve(Cuttable(listener), service)
                .with_graceful_shutdown(async {
                    let _ = ended.await;
                })
                .await
        });
        Ok(Self { hub, end: Some(end), task })
    }

    /// The base URL of an API, without its version path.
    pub fn url(&self, api: &str) -> String {
        format!("{}/{api}", self.hub.address)
    }

    /// The address that everything is below.
    pub fn address(&self) -> &str {
        &self.hub.address
    }

    /// A credential that every simulated API takes, unless a seed lists others.
    pub fn token() -> &'static str {
        "sandbox"
    }

    /// The requests so far, in the order of their answers.
    pub fn log(&self) -> Vec<LogEntry> {
        self.hub.log()
    }

    /// How many requests there were so far.
    pub fn requests(&self) -> usize {
        self.hub.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.hub.clear_log();
    }

    /// The most requests that were under way at the same time.
    pub fn most_at_once(&self) -> usize {
        self.hub.most_at_once()
    }

    /// Orders other faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.hub.set_faults(faults);
    }

    /// The objects of a kind as they are kept, write-only values included: `{id, parent?, attributes}`.
    pub fn objects(&self, api: &str, kind: &str) -> Vec<Value> {
        self.sim(api).map(|sim| control::objects(sim, kind)).unwrap_or_default()
    }

    /// The attributes of an object as a read of it shows them.
    pub fn shown(&self, api: &str, kind: &str, id: &str) -> Option<Value> {
        control::shown(self.sim(api)?, kind, id)
    }

    /// Changes an object behind the clients' back, past all rules: wire attributes are merged into it.
    ///
    /// Tells whether there is such an object. An id that is unique within its parent only is written `PARENT/ID`.
    pub fn mutate(&self, api: &str, kind: &str, id: &str, change: &Value) -> bool {
        self.sim(api).is_some_and(|sim| control::mutate(sim, kind, id, change))
    }

    /// Deletes an object behind the clients' back; tells whether there was one.
    pub fn remove(&self, api: &str, kind: &str, id: &str) -> bool {
        self.sim(api).is_some_and(|sim| control::remove(sim, kind, id))
    }

    /// Adds an object in the form of seeds, past all rules; gives its id.
    ///
    /// # Errors
    ///
    /// Says why the object cannot be read.
    pub fn add(&self, api: &str, kind: &str, object: &Value) -> Result<String, String> {
        let sim = self.sim(api).ok_or_else(|| format!("`{api}` is not simulated"))?;
        control::add(sim, kind, object)
    }

    /// Carries out the deletions that the APIs put off.
    pub fn flush(&self) {
        for site in self.hub.sites.values() {
            site.sim.flush();
        }
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    ///
    /// Fails where the server does.
    pub async fn wait(mut self) -> io::Result<()> {
        (&mut self.task).await.map_err(io::Error::other)?
    }

    /// Stops to serve.
    pub async fn stop(mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        // Connections that clients keep open are not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(100), &mut self.task).await;
        self.task.abort();
    }

    fn sim(&self, api: &str) -> Option<&Simulation> {
        self.hub.sites.get(api).map(|site| &site.sim)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}
