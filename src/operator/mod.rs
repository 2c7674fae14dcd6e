//! `plumb operator`: custom resources as desired state. A namespace is one stack: its resources are gathered, planned
//! and applied together by the same engine as everywhere, and each is told in its status what came of it.

pub mod crds;
mod engine;
mod gather;
mod hooks;
mod lease;
mod regain;
mod schedule;
mod secrets;
mod serve;
mod show;
mod space;
mod stacks;
pub mod status;
mod tell;
mod verdict;
mod watch;
mod world;

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kube::Client;
use secrecy::SecretString;
use tokio::sync::mpsc::unbounded_channel;
use zeroize::Zeroizing;

use self::{
    engine::Frame,
    lease::{Election, Right},
    schedule::{Debounce, Schedule, Scope},
    secrets::Store,
    serve::Gauges,
    space::{Next, Worker},
    stacks::Stacks,
    tell::Teller,
    watch::{News, Watches},
    world::World,
};
use crate::{
    agent::metrics::Listener,
    failure::Failure,
    secret::{AgeKeys, ResolvePolicy},
};

/// Namespaces that are worked on at the same time.
const CONCURRENCY: usize = 4;
/// How long calls in flight may take once the operator is asked to stop.
const GRACE: Duration = Duration::from_secs(25);

/// How the operator runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Namespaces to look at; all where empty.
    pub namespaces: Vec<String>,
    /// Where inventories are; `{namespace}` stands for the namespace.
    pub inventory: String,
    /// Key of the hashes of a remote inventory.
    pub key: Option<Arc<Zeroizing<String>>>,
    /// Hosts that credentials may go to besides.
    pub allow_hosts: Vec<String>,
    /// Base URLs that replace those of connections.
    pub connections: Vec<(String, String)>,
    /// Variables that manifests may read.
    pub variables: Vec<String>,
    /// Folders whose files manifests may read.
    pub folders: Vec<PathBuf>,
    /// Secrets that manifests may read, `*` at the end for anything.
    pub secrets: Vec<String>,
    /// How often a connection is swept that does not say so itself.
    pub interval: Duration,
    /// For how long nothing has to change before a run.
    pub debounce: Duration,
    /// How long a deletion waits for what may go away, before the live object is left behind.
    pub release_after: Duration,
    /// Entries inside that are not declared any more are deleted.
    pub prune_entries: bool,
    /// Where probes, metrics and the status page are served.
    pub listen: Option<SocketAddr>,
    /// What the status page asks for; without one, it is shown to this machine alone.
    pub token: Option<SecretString>,
    /// Where repositories of stacks are kept; nothing is lost with it.
    pub cache: PathBuf,
    /// Files with age keys that open SOPS files.
    pub age_keys: Vec<PathBuf>,
    /// Forges whose webhooks are taken, and the file with the secret of each.
    pub webhooks: Vec<(String, PathBuf)>,
    /// Namespace and name of the lease; no election without.
    pub lease: Option<(String, String)>,
    /// What this replica is called.
    pub identity: String,
}

/// Runs until it is asked to stop, or another replica takes over.
pub async fn run(settings: Settings, stop: Arc<AtomicBool>) -> Result<(), Failure> {
    let client = Client::try_default()
        .await
        .map_err(|error| Failure::config(format!("There is no way to a cluster: {error}.")))?;
    let world = World::default();
    let (give_news, mut news) = unbounded_channel();
    let right = if settings.lease.is_some() { Right::default() } else { Right::unlimited() };
    let gauges = Arc::new(Gauges::default());
    if let Some(listen) = settings.listen {
        let hooks = hooks::router(&settings.webhooks, world.clone(), client.clone())?;
        let at = serve::serve(listen, gauges.clone(), right.clone(), settings.token.as_ref(), hooks).await?;
        tracing::info!("probes, metrics and the status page are served at http://{at}");
    }
    let waiting = Arc::new(AtomicUsize::new(0));
    let watches = Watches {
        client: client.clone(),
        namespaces: settings.namespaces.clone(),
        world: world.clone(),
        news: give_news.clone(),
        waiting: waiting.clone(),
    };
    let (give_found, found) = tokio::sync::watch::channel(false);
    let watching = tokio::spawn(watches.run(give_found));
    let listed = || *found.borrow() && waiting.load(Ordering::SeqCst) == 0;
    while !listed() && !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gauges.ready.store(true, Ordering::SeqCst);
    let election = settings
        .lease
        .as_ref()
        .map(|(namespace, name)| Arc::new(Election::new(client.clone(), namespace, name, &settings.identity)));
    if let Some(election) = &election
        && election.win(&right, &stop).await.is_none()
    {
        watching.abort();
        return Ok(());
    }
    let renewing = election.clone().map(|election| {
        let (right, stop) = (right.clone(), stop.clone());
        tokio::spawn(async move { election.keep(&right, &stop).await })
    });
    let worker = Arc::new(Worker {
        world: world.clone(),
        secrets: Store::new(client.clone(), give_news, &settings.secrets),
        teller: Teller::new(client, world.clone(), right.clone(), &settings.identity),
        frame: Frame {
            inventory: settings.inventory.clone(),
            allow_hosts: settings.allow_hosts.clone(),
            connections: settings.connections.clone(),
            stop: stop.clone(),
            budgets: crate::http::Budgets::default(),
            progress: Arc::new(Listener(gauges.metrics.clone())),
        },
        right: right.clone(),
        policy: ResolvePolicy {
            variables: Some(settings.variables.clone()),
            folders: Some(settings.folders.clone()),
            age_keys: AgeKeys::Listed { files: settings.age_keys.clone(), texts: Vec::new() },
            ..ResolvePolicy::closed()
        },
        key: settings.key.clone(),
        interval: settings.interval,
        patience: settings.release_after,
        prune_entries: settings.prune_entries,
        memory: Mutex::new(HashMap::new()),
        board: gauges.board.clone(),
        metrics: gauges.metrics.clone(),
    });
    worker.forget();
    let mut schedule = Schedule::new(Debounce { quiet: settings.debounce, most: settings.debounce * 10 });
    let began = Instant::now();
    for namespace in world.namespaces() {
        schedule.changed(&namespace, began);
    }
    let stacks = Stacks::new(worker.clone(), settings.cache, gauges.board.clone(), gauges.metrics.clone())?;
    let stacks = tokio::spawn(Arc::new(stacks).run());
    let lost = work(&mut schedule, &worker, &mut news, &gauges, &right, &stop).await;
    // Whatever is in flight comes to its end and is recorded.
    if tokio::time::timeout(GRACE, stacks).await.is_err() {
        tracing::warn!("a stack's run did not come to its end in time: what it began is recorded");
    }
    watching.abort();
    if let Some(renewing) = renewing {
        renewing.abort();
    }
    if lost {
        return Err(Failure::conflict("Another replica holds the lease now.").hint("This one starts anew and waits."));
    }
    if let Some(election) = &election {
        election.release(&right).await;
    }
    Ok(())
}

/// Works until it is asked to stop; whether the right to work was lost.
async fn work(
    schedule: &mut Schedule,
    worker: &Arc<Worker>,
    news: &mut tokio::sync::mpsc::UnboundedReceiver<News>,
    gauges: &Arc<Gauges>,
    right: &Right,
    stop: &AtomicBool,
) -> bool {
    let (give_done, mut done) = unbounded_channel::<Next>();
    let mut running = 0_usize;
    let mut ending: Option<Instant> = None;
    loop {
        if ending.is_none() && (stop.load(Ordering::SeqCst) || !right.is_held()) {
            // Runs look at the same flag, and end as soon as they may.
            stop.store(true, Ordering::SeqCst);
            ending = Some(Instant::now());
        }
        if let Some(since) = ending
            && (running == 0 || since.elapsed() > GRACE)
        {
            return !right.is_held();
        }
        let now = Instant::now();
        while ending.is_none()
            && running < CONCURRENCY
            && let Some((namespace, scope)) = schedule.take(now)
        {
            running += 1;
            start(worker.clone(), namespace, scope, give_done.clone());
        }
        let next = schedule.next().filter(|_| running < CONCURRENCY && ending.is_none());
        let wait = next
            .map_or(Duration::from_millis(200), |at| at.saturating_duration_since(now).min(Duration::from_millis(200)));
        tokio::select! {
            Some(happened) = news.recv() => take_news(happened, schedule, worker),
            Some(next) = done.recv() => {
                running -= 1;
                gauges.runs.fetch_add(1, Ordering::SeqCst);
                gauges.writes.fetch_add(next.written as u64, Ordering::SeqCst);
                gauges.requests.fetch_add(next.requests, Ordering::SeqCst);
                finish(&next, schedule);
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn start(worker: Arc<Worker>, namespace: String, scope: Scope, done: tokio::sync::mpsc::UnboundedSender<Next>) {
    tokio::spawn(async move {
        let next = worker.run(&namespace, scope).await;
        // The loop that waits for it may have come to its end.
        let _ = done.send(next);
    });
}

fn take_news(news: News, schedule: &mut Schedule, worker: &Worker) {
    let now = Instant::now();
    match news {
        News::Changed(namespace) => schedule.changed(&namespace, now),
        News::Everywhere => worker.world.namespaces().iter().for_each(|namespace| schedule.changed(namespace, now)),
    }
}

fn finish(next: &Next, schedule: &mut Schedule) {
    let now = Instant::now();
    schedule.done(&next.namespace);
    if let Some(retry) = next.retry {
        schedule.retry(&next.namespace, now + retry);
    }
    for (connection, span) in &next.sweeps {
        schedule.sweep(&next.namespace, connection, now + *span);
    }
    let swept: BTreeSet<String> = next.sweeps.keys().cloned().collect();
    tracing::debug!(
        "namespace `{}`: {} writes, {} requests, {swept:?} again",
        next.namespace,
        next.written,
        next.requests
    );
}
