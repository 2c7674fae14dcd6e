//! One run over one namespace: gather, hold, plan and apply, and tell every resource what came of it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use zeroize::Zeroizing;

use super::{
    engine::{Frame, Report},
    gather::{Gathered, Purpose, gather},
    lease::Right,
    schedule::{Scope, back_off, jittered},
    secrets::{Name, Store},
    stacks::is_fed,
    tell::Teller,
    verdict::{self, Trouble, Verdict},
    world::{Resource, World},
};
use crate::{
    agent::{metrics::Metrics, view::Board},
    failure::Failure,
    inventory::State,
    pipeline::Cluster,
    plan::Outcome,
    secret::ResolvePolicy,
};

/// Resources that are written to at the same time.
const CONCURRENCY: usize = 16;
/// The first wait after a failure, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));

/// What every run needs.
pub(super) struct Worker {
    pub(super) world: World,
    pub(super) secrets: Store,
    pub(super) teller: Teller,
    pub(super) frame: Frame,
    pub(super) right: Right,
    pub(super) policy: ResolvePolicy,
    pub(super) key: Option<Arc<Zeroizing<String>>>,
    pub(super) interval: Duration,
    pub(super) patience: Duration,
    pub(super) prune_entries: bool,
    pub(super) memory: Mutex<HashMap<String, Memory>>,
    pub(super) board: Arc<Board>,
    pub(super) metrics: Arc<Metrics>,
}

/// What is remembered of a namespace from one run to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// The inventory, once it was read.
    state: Option<State>,
    /// Objects that failed, by address.
    troubles: HashMap<String, Hold>,
    /// Connection of each object, by address.
    connections: HashMap<String, String>,
}

/// An object that failed.
#[derive(Debug, Clone)]
struct Hold {
    /// What it depended on when it failed: it is tried again once that changes.
    mark: u64,
    failures: u32,
    /// When it is tried again in any case; never, where the API refused it for good.
    until: Option<Instant>,
    /// Nothing of it is written meanwhile.
    barred: bool,
    why: String,
}

/// When a namespace is looked at again.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) namespace: String,
    pub(super) retry: Option<Duration>,
    pub(super) sweeps: HashMap<String, Duration>,
    /// Writes to the API server, and requests to the APIs.
    pub(super) written: usize,
    pub(super) requests: u64,
}

impl Worker {
    fn remembered(&self, namespace: &str) -> Memory {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned().unwrap_or_default()
    }

    fn remember(&self, namespace: &str, memory: Option<Memory>) {
        let mut all = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match memory {
            Some(memory) => all.insert(namespace.to_owned(), memory),
            None => all.remove(namespace),
        };
    }

    /// Forgets what was remembered: another replica may have worked meanwhile.
    pub(super) fn forget(&self) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Runs over a namespace.
    pub(super) async fn run(&self, namespace: &str, scope: Scope) -> Next {
        let mut next = Next { namespace: namespace.to_owned(), ..Next::default() };
        let mut memory = self.remembered(namespace);
        let known = memory.state.take();
        let first = known.is_none();
        let mut state = match known {
            Some(state) => state,
            None => match self.frame.state(namespace, self.cluster(namespace, &Gathered::default(), &Scope::All)).await
            {
                Ok(state) => state,
                Err(failure) => {
                    self.all_fail(namespace, &failure, &mut next).await;
                    return next;
                }
            },
        };
        let lost = self.regain(namespace, &mut state, first).await;
        let mut gathered = gather(&self.world, namespace, &state, Purpose::Reconcile);
        if gathered.resources.is_empty() {
            self.board.remove(namespace);
            self.remember(namespace, None);
            self.secrets.keep(namespace, &BTreeSet::new());
            return next;
        }
        self.hold_all(&mut gathered, &mut next).await;
        self.secrets.keep(namespace, &gathered.secrets);
        self.secrets.read(&gathered.secrets).await;
        let now = Instant::now();
        let marks: HashMap<String, u64> = self.marks(&gathered, &memory);
        memory.troubles.retain(|address, hold| marks.get(address) == Some(&hold.mark));
        let mut cluster = self.cluster(namespace, &gathered, &scope);
        for (address, hold) in &memory.troubles {
            if hold.barred && hold.until.is_none_or(|until| until > now) {
                cluster.held.insert(address.clone(), hold.why.clone());
            }
        }
        let held: HashSet<String> = cluster.held.keys().cloned().collect();
        let began = Instant::now();
        let mut report = self.frame.run(namespace, std::mem::take(&mut gathered.texts), cluster).await;
        report.lost = lost;
        next.requests = report.requests.observe + report.requests.apply;
        if let Some(failure) = &report.failure {
            tracing::warn!("namespace `{namespace}`: {failure}");
        }
        for (address, declared) in &report.declared {
            memory.connections.insert(address.clone(), declared.connection.clone());
        }
        // Only now is it known which connection each new object belongs to.
        let marks = self.marks(&gathered, &memory);
        self.tell_all(&gathered, &report, &scope, &mut memory, &marks, &held, &mut next).await;
        self.show(namespace, &report, began.elapsed());
        memory.connections.retain(|address, _| marks.contains_key(address));
        let used: BTreeSet<&String> = memory.connections.values().collect();
        for (name, info) in gathered.connections.iter().filter(|(name, _)| used.contains(name)) {
            let swept = match &scope {
                Scope::All => true,
                Scope::Connections(names) => names.contains(name),
            };
            if swept {
                next.sweeps.insert(name.clone(), jittered(info.interval.unwrap_or(self.interval)));
            }
        }
        // What the inventory has is known where the run came to its end.
        memory.state = Some(report.state).filter(|_| report.failure.is_none() && !report.interrupted);
        self.remember(namespace, Some(memory));
        next
    }

    pub(super) fn cluster(&self, namespace: &str, gathered: &Gathered, scope: &Scope) -> Cluster {
        let lenient: BTreeSet<Name> =
            if gathered.going.is_empty() { BTreeSet::new() } else { gathered.credentials.clone() };
        let right = self.right.clone();
        Cluster {
            stack: namespace.to_owned(),
            going: gathered.going.clone(),
            prune_entries: self.prune_entries,
            held: HashMap::new(),
            connections: match scope {
                Scope::All => None,
                Scope::Connections(names) => Some(names.clone()),
            },
            secrets: Arc::new(self.secrets.view(lenient, gathered.owners.clone())),
            policy: self.policy.clone(),
            until: Arc::new(move || Some(right.until())),
            key: self.key.clone(),
        }
    }

    /// Makes sure that nothing which may get a live object, or is needed to delete one, goes without being asked.
    async fn hold_all(&self, gathered: &mut Gathered, next: &mut Next) {
        let wanting: Vec<Resource> = gathered
            .resources
            .iter()
            .filter(|resource| !resource.is_going() && !resource.is_held())
            .filter(|resource| {
                let watched = matches!(resource.annotation("reconcile"), Some("observe" | "disabled"));
                let object = resource.key.address().is_some() && (!watched || resource.status.external_id.is_some());
                object || resource.key.is_core("Connection")
            })
            .cloned()
            .collect();
        let results: Vec<(Resource, bool)> = stream::iter(wanting)
            .map(|resource| async move {
                let held = match self.teller.hold(&resource, true).await {
                    Ok(there) => there,
                    Err(error) => {
                        tracing::debug!("`{}` cannot be held: {error}", resource.key.path());
                        false
                    }
                };
                (resource, held)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let mut lost: HashSet<String> = HashSet::new();
        for (resource, held) in results {
            next.written += 1;
            if !held && resource.key.address().is_some() {
                lost.insert(resource.key.path());
            }
        }
        if !lost.is_empty() {
            // It changed or went just now: the next run sees it as it is then.
            next.retry = Some(Duration::from_secs(1));
            gathered.texts.retain(|(path, _)| !lost.contains(path));
            gathered.resources.retain(|resource| !lost.contains(&resource.key.path()));
        }
        // The world knows their new versions.
        let namespace = next.namespace.clone();
        let fresh: HashMap<_, _> =
            self.world.space(&namespace).into_iter().map(|resource| (resource.key.clone(), resource)).collect();
        for resource in &mut gathered.resources {
            if let Some(now) = fresh.get(&resource.key).filter(|now| now.uid == resource.uid) {
                resource.finalizers.clone_from(&now.finalizers);
                resource.version.clone_from(&now.version);
            }
        }
    }

    /// What the success of each object depends on.
    fn marks(&self, gathered: &Gathered, memory: &Memory) -> HashMap<String, u64> {
        let described: Vec<u64> =
            gathered.resources.iter().filter(|resource| resource.key.is_core("Api")).map(Resource::mark).collect();
        let mut out = HashMap::new();
        for resource in &gathered.resources {
            let Some(address) = resource.key.address() else { continue };
            let mut hasher = DefaultHasher::new();
            resource.mark().hash(&mut hasher);
            described.hash(&mut hasher);
            if let Some(names) = gathered.uses.get(&address) {
                self.secrets.mark(names).hash(&mut hasher);
            }
            let connection = memory.connections.get(&address).and_then(|name| gathered.connections.get(name));
            if let Some(info) = connection {
                info.mark.hash(&mut hasher);
                self.secrets.mark(&info.secrets).hash(&mut hasher);
            }
            out.insert(address, hasher.finish());
        }
        out
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one run")]
    async fn tell_all(
        &self,
        gathered: &Gathered,
        report: &Report,
        scope: &Scope,
        memory: &mut Memory,
        marks: &HashMap<String, u64>,
        held: &HashSet<String>,
        next: &mut Next,
    ) {
        let mut verdicts: Vec<(Resource, Verdict)> = Vec::new();
        for resource in &gathered.resources {
            let verdict = match resource.key.address() {
                Some(address) if resource.is_going() => {
                    if !resource.is_held() {
                        continue;
                    }
                    verdict::going(resource, &address, report, self.patience)
                }
                Some(address) => {
                    let elsewhere = match scope {
                        Scope::All => false,
                        Scope::Connections(names) => {
                            report.declared.get(&address).is_none_or(|declared| !names.contains(&declared.connection))
                        }
                    };
                    if elsewhere {
                        continue;
                    }
                    verdict::object(resource, &address, report)
                }
                None if resource.key.is_core("Connection") || resource.key.is_core("Api") => {
                    let mut verdict = verdict::core(resource, report);
                    verdict.release = resource.is_going() && resource.is_held() && !self.is_used(resource, report);
                    verdict
                }
                None if is_fed(resource) => continue,
                None => verdict::stack(resource),
            };
            if let Some(address) = resource.key.address() {
                self.note_trouble(&address, &verdict, report, memory, marks, held, next);
            }
            verdicts.push((resource.clone(), verdict));
        }
        let written: Vec<usize> = stream::iter(verdicts)
            .map(|(resource, verdict)| self.tell(resource, verdict))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        next.written += written.into_iter().sum::<usize>();
    }

    /// Remembers that an object failed, and when it is tried again.
    #[expect(clippy::too_many_arguments, reason = "the parts of one run")]
    fn note_trouble(
        &self,
        address: &str,
        verdict: &Verdict,
        report: &Report,
        memory: &mut Memory,
        marks: &HashMap<String, u64>,
        held: &HashSet<String>,
        next: &mut Next,
    ) {
        if held.contains(address) && verdict.trouble == Trouble::None {
            if let Some(until) = memory.troubles.get(address).and_then(|hold| hold.until) {
                sooner(&mut next.retry, until.saturating_duration_since(Instant::now()));
            }
            return;
        }
        if verdict.trouble == Trouble::None || verdict.release {
            memory.troubles.remove(address);
            return;
        }
        let failures = memory.troubles.get(address).map_or(0, |hold| hold.failures) + 1;
        let wait = back_off(failures, WAITS.0, WAITS.1.min(self.interval.max(WAITS.0)));
        let barred = report
            .actions
            .iter()
            .any(|action| action.outcome == Some(Outcome::Failed) && action.address.split('#').next() == Some(address));
        let until = match verdict.trouble {
            Trouble::Lasting => None,
            _ => Some(Instant::now() + wait),
        };
        if until.is_some() {
            sooner(&mut next.retry, wait);
        }
        let why = verdict.status.condition("Ready").map(|ready| ready.message.clone()).unwrap_or_default();
        let mark = marks.get(address).copied().unwrap_or_default();
        memory.troubles.insert(address.to_owned(), Hold { mark, failures, until, barred, why });
    }

    async fn tell(&self, resource: Resource, verdict: Verdict) -> usize {
        let mut written = 0;
        for happening in &verdict.happenings {
            self.teller.event(&resource, happening).await;
        }
        if verdict.release {
            match self.teller.hold(&resource, false).await {
                Ok(_) => return 1,
                Err(error) => tracing::warn!("`{}` cannot be released: {error}", resource.key.path()),
            }
        }
        match self.teller.status(&resource, &verdict.status).await {
            Ok(true) => written += 1,
            Ok(false) => {}
            Err(error) => tracing::warn!("the status of `{}` cannot be written: {error}", resource.key.path()),
        }
        written
    }

    /// Whether a connection is needed by anything that has, or may have, a live object.
    fn is_used(&self, connection: &Resource, report: &Report) -> bool {
        let name = connection.key.name.as_str();
        let listed = connection.manifest.pointer("/spec/namespaces").and_then(serde_json::Value::as_array);
        let mut spaces: Vec<String> = vec![connection.key.namespace.clone()];
        spaces.extend(listed.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)));
        spaces.iter().flat_map(|space| self.world.space(space)).any(|resource| {
            let Some(address) = resource.key.address() else { return false };
            let here = resource.key.namespace == connection.key.namespace;
            let declared = report.declared.get(&address).filter(|_| here).map(|declared| declared.connection.as_str());
            resource.is_held() && (resource.status.connection.as_deref() == Some(name) || declared == Some(name))
        })
    }

    /// Tells every resource of a namespace whose inventory cannot be read.
    async fn all_fail(&self, namespace: &str, failure: &Failure, next: &mut Next) {
        tracing::warn!("namespace `{namespace}`: {failure}");
        let report = Report { failure: Some(failure.clone()), ..Report::default() };
        for resource in self.world.space(namespace) {
            let Some(address) = resource.key.address() else { continue };
            let verdict = if resource.is_going() {
                if !resource.is_held() {
                    continue;
                }
                verdict::going(&resource, &address, &report, self.patience)
            } else {
                verdict::object(&resource, &address, &report)
            };
            next.written += self.tell(resource, verdict).await;
        }
        next.retry = Some(back_off(2, WAITS.0, WAITS.1));
    }
}

fn sooner(known: &mut Option<Duration>, at: Duration) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}
