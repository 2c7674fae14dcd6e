//! One run of the engine over the texts of a namespace, on a thread of its own → what is to be told of each object.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::AtomicBool},
};

use crate::{
    agent::{reconcile, view::BudgetView},
    diagnostic::{Diagnostic, Severity, Sources},
    failure::Failure,
    http::Budgets,
    inventory::State,
    live::Standing,
    manifest::Reconcile,
    pipeline::{self, Cluster, Options, Rebuilding},
    plan::{Action, Mode, RequestCounts, Watched},
    progress::Progress,
};

/// What every run of this operator is given.
#[derive(Clone)]
pub(super) struct Frame {
    /// Where inventories are; `{namespace}` stands for the namespace.
    pub(super) inventory: String,
    /// Hosts that credentials may go to besides.
    pub(super) allow_hosts: Vec<String>,
    /// Base URLs that replace those of connections.
    pub(super) connections: Vec<(String, String)>,
    /// Set when the operator is asked to stop.
    pub(super) stop: Arc<AtomicBool>,
    /// The budgets of credentials, over all runs.
    pub(super) budgets: Budgets,
    /// Hears of requests.
    pub(super) progress: Arc<dyn Progress>,
}

/// Something told, and what it is about.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) severity: Severity,
    pub(super) code: String,
    /// The sentence with its hints.
    pub(super) message: String,
    /// Path of the text that it is about.
    pub(super) source: Option<String>,
    /// Address of the manifest that it is about.
    pub(super) address: Option<String>,
}

/// What a run knows of a declared object.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) connection: String,
    pub(super) reconcile: Reconcile,
    /// Whether it could be looked at.
    pub(super) known: bool,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What ended it early.
    pub(super) failure: Option<Failure>,
    pub(super) told: Vec<Told>,
    /// What was done, with outcomes.
    pub(super) actions: Vec<Action>,
    /// Addresses of actions that were refused for good.
    pub(super) lasting: HashSet<String>,
    pub(super) watched: Vec<Watched>,
    /// Declared objects, by address; entries aside.
    pub(super) declared: BTreeMap<String, Declared>,
    /// What is owned, not declared and left, and why.
    pub(super) left: HashMap<String, String>,
    /// The inventory afterwards.
    pub(super) state: State,
    pub(super) requests: RequestCounts,
    /// It was asked to stop on the way.
    pub(super) interrupted: bool,
    /// Addresses in the graph, and what depends on what: indices of them.
    pub(super) graph: (Vec<String>, Vec<(usize, usize)>),
    /// What is left of the limits of connections.
    pub(super) budgets: BTreeMap<String, BudgetView>,
    /// Objects whose record was lost and could not be found again, by address, and why.
    pub(super) lost: HashMap<String, String>,
}

/// Code of the error that there is no object with an id.
const NO_SUCH_ID: &str = "PL0207";

impl Frame {
    /// The options of a run.
    fn options(&self, namespace: &str, texts: Vec<(String, String)>, cluster: Cluster) -> Options {
        Options {
            inputs: Vec::new(),
            beside: texts,
            inventory: Some(self.inventory.replace("{namespace}", namespace)),
            connections: self.connections.clone(),
            allow_hosts: self.allow_hosts.clone(),
            keep_going: true,
            keep_key: true,
            stop: self.stop.clone(),
            budgets: self.budgets.clone(),
            progress: self.progress.clone(),
            who: Some("plumb operator".to_owned()),
            cluster: Some(Arc::new(cluster)),
            ..Options::default()
        }
    }

    /// Runs on a thread of its own, so that a long plan keeps nothing else from its work.
    pub(super) async fn run(&self, namespace: &str, texts: Vec<(String, String)>, cluster: Cluster) -> Report {
        let options = self.options(namespace, texts, cluster);
        apart(move || async move { run(&options).await }).await
    }

    /// Finds what the inventory has lost again: each text names its object by id. Nothing is written to an API.
    pub(super) async fn regain(
        &self,
        namespace: &str,
        texts: Vec<(String, String)>,
        cluster: Cluster,
        lost: BTreeMap<String, bool>,
    ) -> Report {
        let options = self.options(namespace, texts, cluster);
        apart(move || async move { regain(&options, &lost).await }).await
    }

    /// What the inventory of a namespace has.
    pub(super) async fn state(&self, namespace: &str, cluster: Cluster) -> Result<State, Failure> {
        let options = self.options(namespace, Vec::new(), cluster);
        pipeline::recorded(&options).await
    }
}

/// Does work on a thread of its own.
async fn apart<F>(work: impl FnOnce() -> F + Send + 'static) -> Report
where
    F: Future<Output = Report> + 'static,
{
    let (give, take) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("plumb-run".to_owned()).spawn(move || {
        let report = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(work()),
            Err(error) => failed(Failure::config(format!("No threads can be started: {error}."))),
        };
        // The operator that asked may have stopped.
        let _ = give.send(report);
    });
    match spawned {
        Ok(_) => take.await.unwrap_or_else(|_| failed(Failure::internal("A run ended without a report."))),
        Err(error) => failed(Failure::config(format!("No threads can be started: {error}."))),
    }
}

fn failed(failure: Failure) -> Report {
    Report { failure: Some(failure), ..Report::default() }
}

async fn regain(options: &Options, lost: &BTreeMap<String, bool>) -> Report {
    let of = |address: &str| lost.get(address.split('#').next().unwrap_or_default()).copied();
    let rebuilding = Rebuilding {
        wanted: &|address| of(address).is_some(),
        as_created: &|address| of(address).unwrap_or_default(),
        without_secrets: true,
    };
    let rebuilt = match pipeline::rebuild(options, &rebuilding).await {
        Ok(rebuilt) => rebuilt,
        Err(failure) => return failed(failure),
    };
    let told = told(&rebuilt.diagnostics, &rebuilt.sources);
    let said: HashMap<&str, &Told> = told
        .iter()
        .filter(|told| told.severity >= Severity::Error)
        .filter_map(|told| Some((told.address.as_deref()?, told)))
        .collect();
    let absent: HashSet<&str> = rebuilt.absent.iter().map(String::as_str).collect();
    let general = told.iter().find(|told| told.severity >= Severity::Error && told.address.is_none());
    let missing = lost.keys().filter(|address| !rebuilt.state.objects.contains_key(*address)).filter_map(|address| {
        let said = said.get(address.as_str()).copied();
        // It is known to be gone: nothing is left to own.
        if absent.contains(address.as_str()) || said.is_some_and(|told| told.code == NO_SUCH_ID) {
            return None;
        }
        let why = said.or(general).map_or_else(|| "it could not be looked at".to_owned(), |told| told.message.clone());
        Some((address.clone(), why))
    });
    let lost = missing.collect();
    Report { state: rebuilt.state, told, lost, ..Report::default() }
}

async fn run(options: &Options) -> Report {
    let planned = match pipeline::plan(options, Mode::Plan).await {
        Ok(planned) => planned,
        Err(failure) => return failed(failure),
    };
    let mut report = Report {
        watched: planned.plan.watched.clone(),
        left: planned.plan.undeclared.iter().cloned().collect(),
        state: planned.state().clone(),
        ..Report::default()
    };
    for (index, object) in planned.manifests.objects.iter().enumerate().filter(|(_, object)| object.parent.is_none()) {
        let known = matches!(planned.observed.standing.get(index), Some(Standing::Known(_)));
        let declared =
            Declared { connection: object.connection.clone(), reconcile: object.annotations.reconcile, known };
        report.declared.insert(object.address.to_string(), declared);
    }
    let view = planned.graph_view();
    report.graph = (view.nodes.into_iter().map(|node| node.address).collect(), view.edges);
    report.budgets = reconcile::budgets(&planned, &planned.quotas());
    if planned.is_idle() {
        report.told = told(&planned.diagnostics, &planned.sources);
        report.requests = planned.document.requests;
        return report;
    }
    match pipeline::apply(planned, options).await {
        Ok(applied) => {
            report.told = told(&applied.diagnostics, &applied.sources);
            report.actions = applied.document.actions;
            report.requests = applied.document.requests;
            report.lasting = applied.lasting;
            report.state = applied.state;
            report.interrupted = applied.interrupted;
        }
        Err(failure) => report.failure = Some(failure),
    }
    report
}

fn told(diagnostics: &[Diagnostic], sources: &Sources) -> Vec<Told> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let mut message = diagnostic.message.clone();
            for hint in &diagnostic.hints {
                message.push(' ');
                message.push_str(hint);
            }
            let source = diagnostic.place.and_then(|place| sources.get(place.source)).map(|source| source.path.clone());
            let manifest = |address: &String| address.split('#').next().unwrap_or_default().to_owned();
            Told {
                severity: diagnostic.severity,
                code: diagnostic.code.to_string(),
                message,
                source: source.or_else(|| diagnostic.file.clone()),
                address: diagnostic.address.as_ref().map(manifest),
            }
        })
        .collect()
}
