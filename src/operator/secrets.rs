//! Secrets of the cluster: those that resources refer to and that may be read, each read once and again when it changes.
//! Only their metadata is watched; nobody else's content ever gets here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tokio::{sync::mpsc::UnboundedSender, task::AbortHandle};
use zeroize::Zeroizing;

use super::watch::News;
use crate::{diagnostic::Diagnostic, secret::Secrets};

/// Secrets that are read at the same time.
const CONCURRENCY: usize = 16;

/// Which Secret: namespace and name.
pub(super) type Name = (String, String);

type Data = Arc<BTreeMap<String, Zeroizing<String>>>;

/// What is known of one Secret.
#[derive(Default)]
struct Entry {
    /// What it has; nothing where it is not there.
    data: Option<Data>,
    /// What it had when it was last there: for deletions, whose credentials may go first.
    last: Option<Data>,
    /// Why it could not be read.
    trouble: Option<String>,
    version: Option<String>,
    /// It has to be read again.
    stale: bool,
    watch: Option<AbortHandle>,
}

/// The Secrets that resources refer to.
#[derive(Clone)]
pub(super) struct Store {
    client: Client,
    news: UnboundedSender<News>,
    /// Names that may be read, `*` at the end stands for anything.
    allowed: Arc<[String]>,
    entries: Arc<Mutex<HashMap<Name, Entry>>>,
    /// Which Secrets the resources of each namespace refer to.
    users: Arc<Mutex<HashMap<String, BTreeSet<Name>>>>,
    /// Clients by their own namespace.
    clients: Arc<Mutex<HashMap<String, Client>>>,
}

impl Store {
    pub(super) fn new(client: Client, news: UnboundedSender<News>, allowed: &[String]) -> Self {
        Self {
            client,
            news,
            allowed: allowed.into(),
            entries: Arc::default(),
            users: Arc::default(),
            clients: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_read(&self, name: &str) -> bool {
        self.allowed.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => allowed == name,
        })
    }

    /// Reads what is not known or has changed.
    pub(super) async fn read(&self, names: &BTreeSet<Name>) {
        let wanted: Vec<Name> = {
            let entries = self.lock();
            let fresh = |name: &&Name| entries.get(*name).is_none_or(|entry| entry.stale);
            names.iter().filter(|(_, name)| self.may_read(name)).filter(fresh).cloned().collect()
        };
        stream::iter(wanted).for_each_concurrent(CONCURRENCY, |name| self.read_one(name)).await;
    }

    async fn read_one(&self, name: Name) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &name.0);
        let answer = api.get_opt(&name.1).await;
        let mut entries = self.lock();
        let entry = entries.entry(name.clone()).or_default();
        match answer {
            Ok(found) => {
                entry.version = found.as_ref().and_then(|secret| secret.metadata.resource_version.clone());
                entry.data = found.map(|secret| Arc::new(texts(secret)));
                entry.last = entry.data.clone().or_else(|| entry.last.take());
                entry.trouble = None;
                entry.stale = false;
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                entry.trouble = Some("the operator may not read it".to_owned());
                entry.data = None;
            }
            Err(error) => entry.trouble = Some(format!("the API server did not answer: {error}")),
        }
        if entry.watch.is_none() {
            let task = watch(self.clone(), name);
            entry.watch = Some(tokio::spawn(task).abort_handle());
        }
    }

    /// Drops what nobody refers to any more, now that the resources of a namespace refer to these.
    pub(super) fn keep(&self, namespace: &str, wanted: &BTreeSet<Name>) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.insert(namespace.to_owned(), wanted.clone());
        self.lock().retain(|name, entry| {
            let stays = users.values().any(|names| names.contains(name));
            if !stays && let Some(task) = entry.watch.take() {
                task.abort();
            }
            stays
        });
    }

    /// Whether any of these has to be read again.
    pub(super) fn is_stale(&self, names: &BTreeSet<Name>) -> bool {
        let entries = self.lock();
        names.iter().any(|name| entries.get(name).is_some_and(|entry| entry.stale))
    }

    /// A client whose own namespace is this one.
    pub(super) async fn client_of(&self, namespace: &str) -> Result<Client, String> {
        let known = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let wrong = |error: &dyn std::fmt::Display| format!("There is no way to the cluster: {error}.");
        let mut config = kube::Config::infer().await.map_err(|error| wrong(&error))?;
        namespace.clone_into(&mut config.default_namespace);
        let client = Client::try_from(config).map_err(|error| wrong(&error))?;
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned(), client.clone());
        Ok(client)
    }

    /// The Secrets of a namespace that may be read, in the words of a policy.
    pub(super) fn allowed_in(&self, namespace: &str) -> Vec<String> {
        self.allowed.iter().map(|allowed| format!("{namespace}/{allowed}")).collect()
    }

    /// The text under a key of a Secret that was read before.
    pub(super) fn text(&self, id: &Name, key: &str) -> Result<Zeroizing<String>, Diagnostic> {
        self.find(id, key, false)
    }

    fn find(&self, id: &Name, key: &str, lenient: bool) -> Result<Zeroizing<String>, Diagnostic> {
        let name = &id.1;
        if !self.may_read(name) {
            return Err(Diagnostic::error("PL0310", format!("The Secret `{name}` may not be read here"))
                .hint("The configuration of the operator lists the Secrets that manifests may read."));
        }
        let entries = self.lock();
        let entry = entries.get(id);
        if let Some(why) = entry.and_then(|entry| entry.trouble.as_ref()) {
            return Err(Diagnostic::error("PL0330", format!("The Secret `{name}` cannot be read: {why}")));
        }
        let last = || entry.and_then(|entry| entry.last.as_ref()).filter(|_| lenient);
        let Some(data) = entry.and_then(|entry| entry.data.as_ref()).or_else(last) else {
            return Err(Diagnostic::error("PL0330", format!("There is no Secret `{name}` in this namespace")));
        };
        match data.get(key) {
            Some(text) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(Diagnostic::error("PL0330", format!("The key `{key}` of the Secret `{name}` is empty"))),
            None => {
                let keys: Vec<String> = data.keys().map(|key| format!("`{key}`")).collect();
                let told = Diagnostic::error("PL0330", format!("The Secret `{name}` has no key `{key}`"));
                Err(if keys.is_empty() { told } else { told.hint(format!("It has {}.", keys.join(", "))) })
            }
        }
    }

    /// Changes with the versions of these Secrets.
    pub(super) fn mark(&self, names: &BTreeSet<Name>) -> u64 {
        let entries = self.lock();
        let mut hasher = DefaultHasher::new();
        for name in names {
            entries.get(name).and_then(|entry| entry.version.as_ref()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The Secrets as they are now, for a run. `lenient`: namespaces and names of those whose last content counts where
    /// they are gone.
    /// `owners`: what owns the Secrets that are made for each text.
    pub(super) fn view(&self, lenient: BTreeSet<Name>, owners: HashMap<String, Value>) -> View {
        View { store: self.clone(), lenient, owners }
    }
}

fn texts(secret: Secret) -> BTreeMap<String, Zeroizing<String>> {
    let mut out = BTreeMap::new();
    for (key, bytes) in secret.data.unwrap_or_default() {
        // What is no text is of no use to anybody here.
        if let Ok(text) = String::from_utf8(bytes.0) {
            out.insert(key, Zeroizing::new(text));
        }
    }
    out
}

/// Watches the metadata of one Secret, and tells when it is not what was read.
async fn watch(store: Store, name: Name) {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(store.client.clone(), &name.0);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.1));
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut seen = None;
    loop {
        match events.try_next().await {
            Ok(Some(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret))) => {
                seen = secret.metadata.resource_version;
                compare(&store, &name, seen.as_ref());
            }
            Ok(Some(watcher::Event::Delete(_))) => {
                seen = None;
                compare(&store, &name, None);
            }
            Ok(Some(watcher::Event::Init)) => seen = None,
            Ok(Some(watcher::Event::InitDone)) => compare(&store, &name, seen.as_ref()),
            Ok(None) => return,
            Err(error) => tracing::debug!("the Secret `{}/{}` cannot be watched: {error}", name.0, name.1),
        }
    }
}

fn compare(store: &Store, name: &Name, version: Option<&String>) {
    let mut entries = store.lock();
    let Some(entry) = entries.get_mut(name) else { return };
    if entry.version.as_ref() != version && !entry.stale {
        entry.stale = true;
        // Nobody listens any more once the operator stops. A connection of other namespaces may use it.
        let _ = store.news.send(News::Everywhere);
    }
}

/// The Secrets of a run.
pub(super) struct View {
    store: Store,
    lenient: BTreeSet<Name>,
    owners: HashMap<String, Value>,
}

impl Secrets for View {
    fn text(&self, source: &str, name: &str, key: &str) -> Result<Zeroizing<String>, Diagnostic> {
        let id = (self.namespace(source).to_owned(), name.to_owned());
        self.store.find(&id, key, self.lenient.contains(&id))
    }

    fn namespace<'s>(&self, source: &'s str) -> &'s str {
        source.split('/').next().unwrap_or_default()
    }

    fn sink(&self, source: &str, name: &str) -> Result<Option<Value>, Diagnostic> {
        if self.store.may_read(name) {
            return Ok(self.owners.get(source).cloned());
        }
        Err(Diagnostic::error("PL0310", format!("The Secret `{name}` may not be written here"))
            .hint("The configuration of the operator lists the Secrets that manifests may use."))
    }

    fn client(&self) -> Option<Client> {
        Some(self.store.client.clone())
    }
}

/// The names of the Secrets that a value refers to by `valueFrom: {secretKeyRef: …}`.
pub(super) fn referenced(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let name = map.get("valueFrom").and_then(|from| from.pointer("/secretKeyRef/name")).and_then(Value::as_str);
            out.extend(name.map(str::to_owned));
            map.values().for_each(|value| referenced(value, out));
        }
        Value::Array(items) => items.iter().for_each(|value| referenced(value, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_referred_to_is_named() {
        let mut names = BTreeSet::new();
        let spec = json!({
            "auth": {"apiKey": {"valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}},
            "list": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}],
            "secretKeyRef": {"name": "not-this"},
        });
        referenced(&spec, &mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["key", "other"]);
    }
}
