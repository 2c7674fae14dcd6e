//! What the command line, the agent and the operator drive: load, plan, apply.
//!
//! [`load`] is offline; [`plan`] observes and compares; [`apply`] carries out exactly what was planned.

mod account;
mod budgets;
mod claims;
mod cluster;
mod connect;
mod export;
mod frozen;
mod health;
mod hidden;
mod load;
mod needs;
mod rebuild;
mod receivers;
mod select;
mod undo;
mod unmanaged;
mod veil;
mod views;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

pub use self::{
    account::{Adopted, forget, import, inventory_failure},
    cluster::Cluster,
    connect::{Connected, connect},
    export::{Export, ExportOptions, export},
    health::{Checkup, Health, checkup},
    load::{Loaded, load, recorded},
    rebuild::{Rebuilding, Rebuilt, rebuild},
    select::{LabelTest, Selection},
    undo::{Undo, find_run},
    unmanaged::{Stray, Unmanaged, unmanaged},
    views::{Checked, check, counts},
};
use crate::{
    apply::{self, Context, Policies},
    description::format::Verb,
    diagnostic::{Diagnostic, Severity, Sources},
    failure::{Class, Failure},
    graph::{Graph, Meaning},
    http::{CallMade, Quota},
    inventory::{Account, Edit, Holder, Inventory, Run, State, outdated},
    live::{Container, ObserveOptions, Observed, Observer, Remote, Standing},
    manifest::{Auth, Manifests, MaxDeletes, StackSpec},
    plan::{self, Inputs, Mode, Outcome, Plan, PlanDocument, PlanNotes},
    progress::{Progress, ProgressEvent, Silent},
    report,
    secret::{ResolvePolicy, Vault},
    source::Snapshot,
    value,
};

/// How the codes of failed reads begin.
const OBSERVING: &str = "PL04";

/// How long an interrupted run waits for what is in flight before it gives up repeating it.
const GRACE: Duration = Duration::from_secs(15);

/// What a run is asked to do.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Paths to read manifests from, as given to `-f`.
    pub inputs: Vec<String>,
    /// What was read already, in place of the inputs: a commit that an agent watches.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Text of standard input, where `-` is among the inputs.
    pub stdin: Option<String>,
    /// Texts that are read besides, by the path that they would have.
    pub beside: Vec<(String, String)>,
    /// Inventory URL; the stack's own otherwise.
    pub inventory: Option<String>,
    /// Base URLs that replace those of connections.
    pub connections: Vec<(String, String)>,
    /// Further hosts that credentials may go to.
    pub allow_hosts: Vec<String>,
    /// `{value: …}` is accepted for sensitive fields.
    pub allow_plaintext_secrets: bool,
    /// Name of the stack where no manifest says one.
    pub stack: Option<String>,
    /// Where connections, APIs and the stack's settings come from, in place of what was read: a proposal may change
    /// objects, and never where a credential goes.
    pub settings: Option<Arc<Snapshot>>,
    /// Connections that stand for others, by name: those that may only read.
    pub stand_ins: BTreeMap<String, String>,
    /// What sensitive values may be read from.
    pub secrets: ResolvePolicy,
    /// Run against simulated APIs in this process.
    pub sandbox: bool,
    /// Which objects to look at.
    pub selection: Selection,
    /// What is owned and not declared is deleted.
    pub prune: bool,
    /// Deletion limit.
    pub max_deletes: Option<MaxDeletes>,
    /// Go on although some manifests are wrong or reads failed.
    pub keep_going: bool,
    /// Make this run's roots the stack's.
    pub adopt_roots: bool,
    /// Make the accounts that connections lead to now the stack's.
    pub adopt_accounts: bool,
    /// The plan will be saved, so that its hashes must mean something later.
    pub keep_key: bool,
    /// Who is told how it gets on.
    pub progress: Arc<dyn Progress>,
    /// Set by Ctrl-C.
    pub stop: Arc<AtomicBool>,
    /// The budgets of credentials, over all runs of this process.
    pub budgets: crate::http::Budgets,
    /// Time-outs and repeats of calls.
    pub pace: crate::http::Pace,
    /// What a run in a cluster knows besides.
    pub cluster: Option<Arc<Cluster>>,
    /// The settings of the stack, in place of what its manifests say.
    pub stack_settings: Option<StackSpec>,
    /// The end of the right to write, as it stands now.
    pub until: Option<apply::Until>,
    /// Who runs it, for the history: `user@host` unless given.
    pub who: Option<String>,
    /// The run that is to be undone.
    pub undo: Option<Undo>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            inputs: vec![".".into()],
            snapshot: None,
            stdin: None,
            beside: Vec::new(),
            inventory: None,
            connections: Vec::new(),
            allow_hosts: Vec::new(),
            allow_plaintext_secrets: false,
            stack: None,
            settings: None,
            stand_ins: BTreeMap::new(),
            secrets: ResolvePolicy::default(),
            sandbox: false,
            selection: Selection::default(),
            prune: false,
            max_deletes: None,
            keep_going: false,
            adopt_roots: false,
            adopt_accounts: false,
            keep_key: false,
            progress: Arc::new(Silent),
            stop: Arc::new(AtomicBool::new(false)),
            budgets: crate::http::Budgets::default(),
            pace: crate::http::Pace::default(),
            cluster: None,
            stack_settings: None,
            until: None,
            who: None,
            undo: None,
        }
    }
}

/// A plan, with everything that carrying it out needs.
pub struct Planned {
    /// What people and programs see.
    pub document: PlanDocument,
    /// What text and Markdown tell besides.
    pub notes: PlanNotes,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
    /// The stack's manifests.
    pub manifests: Manifests,
    /// Their references.
    pub graph: Graph,
    /// What is live.
    pub observed: Observed,
    /// The steps.
    pub plan: Plan,
    /// The mode that it was made in.
    pub mode: Mode,
    connected: Connected,
    inventory: Inventory,
    vault: Arc<Vault>,
    state: State,
    roots: Vec<String>,
    /// When what is live was read; none once a person took their time over the plan.
    observed_from: Option<std::time::Instant>,
    /// Where each connection leads that is known to be the stack's account.
    accounts: HashMap<String, String>,
    /// The run that it undoes.
    undoes: Option<String>,
    _scratch: std::sync::OnceLock<load::Scratch>,
}

/// What came of an apply.
pub struct Applied {
    /// The plan's document with outcomes and the real request counts.
    pub document: PlanDocument,
    /// What text tells besides.
    pub notes: PlanNotes,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
    /// It was interrupted.
    pub interrupted: bool,
    /// Whether any action failed or was skipped.
    pub failed: bool,
    /// Addresses of actions that the API refused for good: nothing is gained by trying again as it is.
    pub lasting: HashSet<String>,
    /// The inventory, with what was done.
    pub state: State,
    /// The requests that were made for each action, by address.
    pub calls: HashMap<String, Arc<[CallMade]>>,
    /// What is left of each connection's limit, as its last answer told it.
    pub quotas: BTreeMap<String, Quota>,
}

/// Observes and compares.
#[expect(clippy::too_many_lines, reason = "the flow from one stage to the next, in one place")]
pub async fn plan(options: &Options, mode: Mode) -> Result<Planned, Failure> {
    let mut loaded = load(options)?;
    let inventory = loaded.open_inventory(options).await?;
    let hashes_kept = options.keep_key || inventory.key_file().is_none_or(|file| file.exists());
    let key = Loaded::hash_key(&inventory, options)?;
    let vault = Arc::new(Vault::new(key));
    let mut diagnostics = loaded.resolve_secrets(&vault, options).await;
    let restored = match &options.undo {
        Some(undo) => {
            let Loaded { snapshot, manifests, .. } = &mut loaded;
            Some(undo::restore(undo, &inventory, manifests, snapshot, &vault, &mut diagnostics).await?)
        }
        None => None,
    };
    let (graph, wrong) = crate::graph::build(&loaded.manifests, &loaded.snapshot.sources);
    diagnostics.extend(wrong);
    let state = inventory.state().clone();
    settle(&state, &loaded, options).await;
    let connected = connect(&loaded, &state, &vault, options, &mut diagnostics).await?;
    let Loaded { mut snapshot, manifests, scratch } = loaded;
    let prune = match &options.cluster {
        Some(cluster) => cluster.prune_entries,
        None => options.prune || manifests.stack.prune,
    };
    let cluster = options.cluster.as_deref();
    let only = match (cluster, &restored) {
        (_, Some(restored)) => Some(restored.among(&manifests)),
        (Some(cluster), None) => cluster.chosen(&manifests),
        (None, None) => options.selection.indices(&manifests, &graph, &mut diagnostics)?,
    };
    let seal_vault = vault.clone();
    let seal = move |text: &str| seal_vault.seal(text);
    let progress = options.progress.clone();
    let tell = move |connection: &str, kind: &str, found: Option<usize>| match found {
        None => progress.event(&ProgressEvent::Observing { connection, kind, pages: 0, total: None }),
        Some(objects) => progress.event(&ProgressEvent::Observed { connection, kind, objects }),
    };
    let observed_at = apply::now();
    let going = cluster.map(|cluster| &cluster.going);
    let undeclared = mode == Mode::Destroy
        || (prune && only.is_none())
        || cluster.is_some_and(|cluster| !cluster.going.is_empty() || cluster.prune_entries);
    let looked_at = only.as_ref().and_then(|only| {
        let looked_at = select::with_dependencies(only, &graph, &manifests);
        // What a hook's fields refer to is known once they are looked at: anything.
        let hooked =
            looked_at.iter().any(|index| manifests.objects.get(*index).is_some_and(|it| it.kind.spec.hook.is_some()));
        (!hooked).then_some(looked_at)
    });
    let observe = async |emptied: Vec<Container>| {
        let looks = ObserveOptions { undeclared, only: looked_at.clone(), emptied, ..ObserveOptions::default() };
        let (remotes, sources) = (&connected.remotes, &snapshot.sources);
        let observer = Observer::new(&manifests, sources, &graph, &state, remotes, &seal, looks, &tell);
        let mut observed = Box::pin(observer.run()).await;
        connect::fail_unusable(&manifests, &connected, &mut observed);
        observed
    };
    let observed = observe(Vec::new()).await;
    let observed_from = std::time::Instant::now();
    options.progress.event(&ProgressEvent::Planning);
    let mut too_new = needs::lacking(&connected, &manifests, &mut diagnostics).await;
    too_new.extend(cluster.map(|cluster| cluster.held(&manifests)).unwrap_or_default());
    let inputs = Inputs {
        manifests: &manifests,
        sources: &snapshot.sources,
        graph: &graph,
        state: &state,
        observed: &observed,
        mode,
        prune,
        max_deletes: options.max_deletes.or(manifests.stack.max_deletes),
        only: only.as_ref(),
        roots: &snapshot.roots,
        shared_inventory: options.inventory.is_some() || manifests.stack.inventory.is_some(),
        empty_source: manifests.objects.is_empty() && manifests.broken.is_empty(),
        hashes_kept,
        barred: &too_new,
        going,
        prune_entries: cluster.is_some_and(|cluster| cluster.prune_entries),
        restores: restored.is_some(),
        seal: &seal,
    };
    let mut plan = plan::plan(&inputs);
    // What is made anew goes first, with all that it contains.
    let emptied = plan::emptied(&plan.steps, &manifests.catalog);
    let again = if emptied.is_empty() { None } else { Some(observe(emptied).await) };
    let inputs = Inputs { observed: again.as_ref().unwrap_or(&observed), ..inputs };
    if again.is_some() {
        plan = plan::plan(&inputs);
    }
    let mut barred = hidden::losses(&connected, &plan, &mut diagnostics).await;
    barred.extend(frozen::changes(&connected, &plan, &mut diagnostics).await);
    barred.extend(claims::owned_elsewhere(&plan, &connected, &inventory).await?);
    barred.extend(cluster.map(|_| Cluster::refused(&plan, &manifests)).unwrap_or_default());
    let more = !barred.is_empty();
    barred.extend(too_new.iter().map(|(index, told)| (*index, told.clone())));
    if more {
        plan = plan::plan(&Inputs { barred: &barred, ..inputs });
    }
    let inputs = Inputs { barred: &barred, ..inputs };
    let callers = connect::callers(&connected, &plan::needs_caller(&plan.steps), &mut diagnostics).await;
    let ends = |connection: &str, end: &str| {
        let auth = manifests.connections.get(connection).and_then(|connection| connection.auth.as_ref());
        let key = match auth {
            Some(Auth::ApiKey(key) | Auth::Bearer(key)) => value::secret_hash(key).and_then(|hash| vault.open(hash)),
            _ => None,
        };
        key.is_some_and(|key| key.ends_with(end))
    };
    let lockouts = plan::lockouts(&inputs, &plan.steps, &callers, &ends);
    let (lockouts, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) =
        lockouts.into_iter().partition(|told| told.severity == Severity::Refusal);
    // Where each object stands for itself, what would lock plumb out is left out of the plan, and told.
    let mut without = barred.clone();
    if cluster.is_some() && !lockouts.is_empty() {
        plan.diagnostics = lockouts;
        without.extend(Cluster::refused(&plan, &manifests));
        plan = plan::plan(&Inputs { barred: &without, ..inputs });
    } else {
        plan.diagnostics.extend(lockouts);
    }
    plan.diagnostics.extend(warnings);
    let inputs = Inputs { barred: &without, ..inputs };
    let accounts = known_accounts(&inputs, &connected, options, &mut plan);
    receivers::count(&connected, &mut plan).await;
    let mut all = snapshot.diagnostics.clone();
    all.extend(manifests.diagnostics.iter().cloned());
    all.append(&mut diagnostics);
    all.extend(inputs.observed.diagnostics.iter().cloned());
    all.extend(plan.diagnostics.iter().cloned());
    veil::diagnostics(&mut all, &vault);
    veil::sources(&mut snapshot.sources, &all, &vault);
    let observe = connected.sent();
    let mut document = plan.document(
        &manifests.stack.name,
        &observed_at,
        snapshot.revision.clone(),
        observe,
        report::to_documents(&all, &snapshot.sources),
    );
    veil::document(&mut document, &vault);
    let notes = notes(&plan, &connected.remotes);
    options.progress.event(&ProgressEvent::Finished);
    Ok(Planned {
        document,
        notes,
        diagnostics: all,
        sources: snapshot.sources,
        roots: snapshot.roots,
        manifests,
        graph,
        observed: again.unwrap_or(observed),
        plan,
        mode,
        connected,
        inventory,
        vault,
        state,
        accounts,
        observed_from: Some(observed_from),
        undoes: restored.map(|restored| restored.run),
        _scratch: scratch,
    })
}

/// Waits until writes that an earlier run began cannot take effect any more, so that absence means something.
async fn settle(state: &State, loaded: &Loaded, options: &Options) {
    let now = jiff::Timestamp::now();
    let left = state.intents.values().filter_map(|intent| {
        let left = intent.deadline.parse::<jiff::Timestamp>().ok()?.duration_since(now);
        // Another machine's clock may be ahead: no wait is longer than a call of this connection's may take.
        let settle = connect::settles(loaded, &intent.connection, options.pace);
        Some(left.unsigned_abs().min(apply::RENEWAL + settle)).filter(|_| left.is_positive())
    });
    if let Some(left) = left.max() {
        tracing::info!("an earlier run was cut short: waiting until its calls have come to an end");
        let until = tokio::time::Instant::now() + left;
        while tokio::time::Instant::now() < until && !options.stop.load(std::sync::atomic::Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn notes(plan: &Plan, remotes: &HashMap<String, Remote>) -> PlanNotes {
    let seconds = plan
        .calls
        .iter()
        .filter_map(|(connection, calls)| Some(remotes.get(connection)?.client.seconds_for(*calls)))
        .fold(0.0, f64::max);
    PlanNotes { seconds, undeclared: plan.undeclared.clone(), calls: plan.calls.clone() }
}

impl Planned {
    /// Notes that a person read the plan: what is live is looked at again before it is changed.
    pub fn was_read(&mut self) {
        self.observed_from = None;
    }

    /// Whether anything would be refused for safety.
    pub fn refusal(&self) -> Option<&Diagnostic> {
        self.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Refusal)
    }

    /// Whether anything is wrong.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The stack's graph, with what is planned for each object.
    pub fn graph_view(&self) -> report::graph::GraphView {
        views::graph_view(&self.manifests, &self.graph, &self.observed, Some(&self.plan))
    }

    /// Digest of the plan.
    pub fn digest(&self) -> &str {
        &self.plan.digest
    }

    /// What is left of each connection's limit, as its last answer told it.
    pub fn quotas(&self) -> BTreeMap<String, Quota> {
        self.connected.quotas()
    }

    /// The secrets' guard: masks texts before they are shown.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Whether carrying it out would change nothing, the inventory included.
    pub fn is_idle(&self) -> bool {
        let plan = &self.plan;
        plan.is_empty() && plan.moved.is_empty() && plan.unbury.is_empty() && self.state.intents.is_empty()
    }

    /// The inventory as it was read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Why nothing of this plan may be written.
    pub fn barrier(&self, options: &Options) -> Result<(), Failure> {
        // In a cluster each object stands for itself: what is refused is not in the plan.
        if options.cluster.is_some() {
            return Ok(());
        }
        if let Some(refusal) = self.refusal() {
            let mut failure = Failure::refused(format!("Refused for safety: {}", refusal.message));
            failure.hints.clone_from(&refusal.hints);
            return Err(failure);
        }
        // A read that failed stops what depends on it, and nothing else: that is not in the plan.
        let barred = self
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error && !diagnostic.code.starts_with(OBSERVING));
        if barred && !options.keep_going {
            return Err(Failure::user("Nothing was written, because there are errors.")
                .hint("Mend them, or apply what is not touched by them with `--keep-going`."));
        }
        Ok(())
    }
}

/// Carries a plan out.
pub async fn apply(mut planned: Planned, options: &Options) -> Result<Applied, Failure> {
    planned.barrier(options)?;
    let claimed = begin(&mut planned, options).await?;
    let before = planned.connected.sent();
    let policies = policies(&planned);
    let vault = planned.vault.clone();
    let run = run_info(&planned, options);
    let hash_vault = vault.clone();
    let hash = move |text: &str| hash_vault.hash(text);
    let mask_vault = vault.clone();
    let mask = move |text: &str| mask_vault.mask(text).into_owned();
    let open_vault = vault.clone();
    let open = move |hash: &str| open_vault.open(hash).map(|text| text.to_string());
    let seal_vault = vault.clone();
    let seal = move |text: &str| seal_vault.seal(text);
    let kinds: HashMap<String, plan::ActionKind> =
        planned.plan.steps.iter().map(|step| (step.action.address.clone(), step.action.action)).collect();
    let told = options.progress.clone();
    let rolling = move |address: &str, how_far: &str| told.event(&ProgressEvent::RollingOut { address, how_far });
    let progress = options.progress.clone();
    progress.event(&ProgressEvent::Applying { actions: planned.plan.steps.len() });
    let tell = move |address: &str, outcome: Option<Outcome>| {
        let Some(action) = kinds.get(address).copied() else { return };
        match outcome {
            None => progress.event(&ProgressEvent::ActionStarted { address, action }),
            Some(outcome) => progress.event(&ProgressEvent::ActionDone { address, action, outcome }),
        }
    };
    let until = until(options);
    let live = how_many(&planned.observed);
    let secrets = load::cluster_of(options);
    let report = {
        let context = Context {
            remotes: &planned.connected.remotes,
            inventory: &planned.inventory,
            observed: planned.observed_from,
            live: &live,
            open: &open,
            seal: &seal,
            read: &load::reader(&planned.sources),
            stop: &options.stop,
            tell: &tell,
            rolling: &rolling,
            until,
            run: run.as_ref(),
            hash: &hash,
            mask: &mask,
            cluster: &secrets,
        };
        let work = Box::pin(apply::apply(&planned.plan, &policies, &context));
        let patience = std::pin::pin!(give_up(&planned.connected.remotes, &options.stop));
        match futures::future::select(work, patience).await {
            futures::future::Either::Left((report, _)) => report,
            futures::future::Either::Right((never, _)) => match never {},
        }
    };
    if claimed && let Err(error) = planned.inventory.unclaim().await {
        tracing::warn!("what this run claimed could not be given back, and is with the next run: {error}");
    }
    planned.inventory.unlock().await;
    let state = planned.inventory.state().clone();
    options.progress.event(&ProgressEvent::Finished);
    let mut diagnostics = planned.diagnostics;
    let mut more = report.diagnostics;
    veil::diagnostics(&mut more, &vault);
    diagnostics.extend(more);
    let mut document = planned.document;
    tell_outcomes(&mut document, &report.results, &vault);
    let lasts = |error: &String| report.lasting.iter().any(|refusal| error.contains(refusal));
    let lasting = document
        .actions
        .iter()
        .zip(&report.results)
        .filter(|(_, result)| result.outcome == Outcome::Failed && result.error.as_ref().is_some_and(lasts))
        .map(|(action, _)| action.address.clone())
        .collect();
    let step =
        |(index, action): (usize, &plan::Action)| Some((action.address.clone(), report.calls.get(&index)?.clone()));
    let calls = document.actions.iter().enumerate().filter_map(step).collect();
    document.requests.apply = planned.connected.sent().saturating_sub(before);
    veil::document(&mut document, &vault);
    let mut sources = planned.sources;
    veil::sources(&mut sources, &diagnostics, &vault);
    document.diagnostics = report::to_documents(&diagnostics, &sources);
    let failed = report.results.iter().any(|result| matches!(result.outcome, Outcome::Failed | Outcome::Skipped));
    Ok(Applied {
        document,
        notes: planned.notes,
        diagnostics,
        sources,
        interrupted: report.interrupted,
        failed,
        lasting,
        state,
        calls,
        quotas: planned.connected.quotas(),
    })
}

/// The end of the right to write, as it stands whenever somebody asks.
fn until(options: &Options) -> apply::Until {
    match &options.cluster {
        Some(cluster) => cluster.until.clone(),
        None => options.until.clone().unwrap_or_else(|| Arc::new(|| None)),
    }
}

/// How many objects are live, by API and kind.
fn how_many(observed: &Observed) -> HashMap<(String, String), usize> {
    let mut out: HashMap<(String, String), usize> = HashMap::new();
    for object in &observed.objects {
        *out.entry((object.kind.api.clone(), object.kind.name.clone())).or_default() += 1;
    }
    out
}

/// Takes the lock, notes what there is to note before anything is sent, and claims what the plan takes over; tells whether
/// there was anything to claim.
async fn begin(planned: &mut Planned, options: &Options) -> Result<bool, Failure> {
    let who = format!("plumb apply of stack {}", planned.document.stack);
    planned.inventory.lock(&who).await.map_err(|error| account::inventory_failure(&error))?;
    let begun = noted(planned, options).await;
    if begun.is_err() {
        planned.inventory.unlock().await;
    }
    begun
}

async fn noted(planned: &Planned, options: &Options) -> Result<bool, Failure> {
    if planned.inventory.state().serial != planned.state.serial {
        return Err(Failure::new(Class::Conflict, "Another run changed the inventory since this plan was made.")
            .hint("Plan and apply again."));
    }
    let mut edits = accounts(planned);
    let roots = merged_roots(&planned.state.roots, &planned.roots, options);
    let whole = options.selection.is_everything() && options.undo.is_none();
    if roots != planned.state.roots && planned.mode == Mode::Plan && whole {
        edits.push(Edit::Roots(roots));
    }
    if !edits.is_empty() {
        planned.inventory.commit(edits).await.map_err(|error| account::inventory_failure(&error))?;
    }
    claims::claim(planned).await
}

/// What the history says of a run; none is kept where the stack says so.
fn run_info(planned: &Planned, options: &Options) -> Option<apply::RunInfo> {
    let kept = planned.manifests.stack.history;
    if kept.runs == 0 {
        return None;
    }
    let here = Holder::here("");
    let command = match planned.mode {
        Mode::Destroy => "destroy",
        _ if options.undo.is_some() => "undo",
        _ => "apply",
    };
    let head = Run {
        who: options.who.clone().unwrap_or_else(|| format!("{}@{}", here.user, here.host)),
        command: command.to_owned(),
        revision: planned.document.source.revision.clone(),
        undoes: planned.undoes.clone(),
        ..Run::default()
    };
    let old = outdated(kept, &planned.state.runs, jiff::Timestamp::now());
    let last = planned.state.runs.keys().next_back().map(String::as_str);
    Some(apply::RunInfo::now(head, old, last))
}

/// Adds to each action what became of it.
fn tell_outcomes(document: &mut PlanDocument, results: &[apply::StepResult], vault: &Vault) {
    for (action, result) in document.actions.iter_mut().zip(results) {
        action.outcome = Some(result.outcome);
        action.error = result.error.as_ref().map(|error| vault.mask(error).into_owned());
        if let Some(id) = &result.id {
            action.id = Some(id.clone());
        }
    }
}

/// Ends calls that still wait or repeat some time after the run was interrupted; never returns.
async fn give_up(remotes: &HashMap<String, Remote>, stop: &AtomicBool) -> Infallible {
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    tokio::time::sleep(GRACE).await;
    for remote in remotes.values() {
        remote.client.stop();
    }
    std::future::pending().await
}

/// Refuses what must not be done in an account that is not the stack's, and gives those that are.
fn known_accounts(
    inputs: &Inputs<'_>,
    connected: &Connected,
    options: &Options,
    plan: &mut Plan,
) -> HashMap<String, String> {
    let urls: HashMap<String, String> =
        connected.remotes.iter().map(|(name, remote)| (name.clone(), remote.client.base_url().to_owned())).collect();
    // The simulated APIs of this process are elsewhere each time.
    if options.sandbox || options.adopt_accounts {
        return urls;
    }
    let presence = plan::presence(inputs);
    plan.diagnostics.extend(plan::strange_accounts(inputs, &plan.steps, &urls, &presence));
    let is_known = |name: &str, url: &str| {
        let seen = presence.get(name).copied().unwrap_or_default();
        seen.owned == 0 || seen.there > seen.strangers || !plan::leads_elsewhere(inputs, name, url)
    };
    urls.into_iter().filter(|(name, url)| is_known(name, url)).collect()
}

/// Notes which account each connection is, where that is news.
fn accounts(planned: &Planned) -> Vec<Edit> {
    let known = &planned.state.accounts;
    let mut edits: Vec<(String, Edit)> = planned
        .accounts
        .iter()
        .filter(|(name, url)| known.get(*name).is_none_or(|account| account.url != **url))
        .map(|(name, url)| (name.clone(), Edit::Account(name.clone(), Account { url: url.clone(), identity: None })))
        .collect();
    edits.sort_by(|a, b| a.0.cmp(&b.0));
    edits.into_iter().map(|(_, edit)| edit).collect()
}

fn merged_roots(known: &[String], now: &[String], options: &Options) -> Vec<String> {
    let mut roots: Vec<String> = if options.adopt_roots { Vec::new() } else { known.to_vec() };
    roots.extend(now.iter().cloned());
    roots.sort();
    roots.dedup();
    roots
}

/// What the manifests say about deletion, to be recorded with each object.
fn policies(planned: &Planned) -> Policies {
    let addresses: Vec<String> = planned.manifests.objects.iter().map(|object| object.address.to_string()).collect();
    let mut out = BTreeMap::new();
    for (index, object) in planned.manifests.objects.iter().enumerate() {
        let graph = &planned.graph;
        let mut to: Vec<usize> = graph.extra.get(index).into_iter().flatten().copied().collect();
        to.extend(graph.uses.get(index).into_iter().flatten().filter_map(|found| match found.target {
            Meaning::Declared(target) => Some(target),
            Meaning::Live(_) => None,
        }));
        to.extend(planned.observed.late.get(&index).into_iter().flatten());
        to.sort_unstable();
        to.dedup();
        let depends_on = to.into_iter().filter_map(|target| addresses.get(target).cloned()).collect();
        let annotations = &object.annotations;
        out.insert(addresses[index].clone(), (annotations.deletion_policy, annotations.protect, depends_on));
    }
    out.into_iter().collect()
}

/// Whether every object that a run looked at stands somewhere.
pub fn unresolved(observed: &Observed) -> usize {
    observed.standing.iter().filter(|standing| !matches!(standing, Standing::Known(_))).count()
}

/// Whether any kind of a stack can be listed at all.
pub fn listable(manifests: &Manifests) -> bool {
    manifests.objects.iter().any(|object| object.kind.can(Verb::List))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    /// The agent and the operator run many stacks on one pool of threads.
    #[test]
    fn runs_can_move_between_threads() {
        let options = Options::default();
        let run = async {
            let planned = plan(&options, Mode::Plan).await?;
            apply(planned, &options).await
        };
        is_send(&run);
    }
}
