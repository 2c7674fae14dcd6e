//! Watches every kind of every described API that the cluster serves, and tells which namespaces have news. Kinds whose
//! definitions are installed later are found without a restart.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tokio::{sync::mpsc::UnboundedSender, task::AbortHandle};

use super::world::{CORE_GROUP, Key, Resource, World};
use crate::description::compiled::{GROUP_SUFFIX, VERSION};

/// How often new kinds are looked for.
const DISCOVERY: Duration = Duration::from_secs(5);

/// What watches have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// Something changed in a namespace.
    Changed(String),
    /// An `Api`, a `Connection` that others may use, or a Secret of one changed: all that may use it are told.
    Everywhere,
}

/// Watches resources.
pub(super) struct Watches {
    pub(super) client: Client,
    /// Namespaces to look at; all where empty.
    pub(super) namespaces: Vec<String>,
    pub(super) world: World,
    pub(super) news: UnboundedSender<News>,
    /// Watches that have not listed everything yet.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Watches {
    /// Looks for kinds again and again, and watches each.
    pub(super) async fn run(self, found: tokio::sync::watch::Sender<bool>) {
        let mut running: BTreeMap<(String, String), Vec<AbortHandle>> = BTreeMap::new();
        loop {
            match discover(&self.client).await {
                Ok(kinds) => {
                    let served: HashSet<(String, String)> =
                        kinds.iter().map(|kind| (kind.group.clone(), kind.plural.clone())).collect();
                    running.retain(|kind, tasks| {
                        let stays = served.contains(kind);
                        if !stays {
                            tasks.iter().for_each(AbortHandle::abort);
                        }
                        stays
                    });
                    for kind in kinds {
                        let name = (kind.group.clone(), kind.plural.clone());
                        running.entry(name).or_insert_with(|| self.watch(&kind));
                    }
                    found.send_replace(true);
                }
                Err(error) => tracing::warn!("the API server does not say which kinds it serves: {error}"),
            }
            tokio::time::sleep(DISCOVERY).await;
        }
    }

    fn watch(&self, kind: &ApiResource) -> Vec<AbortHandle> {
        let scopes: Vec<Option<String>> = match self.namespaces.as_slice() {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        tracing::debug!("watching `{}.{}`", kind.plural, kind.group);
        scopes
            .into_iter()
            .map(|scope| {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let one = One {
                    client: self.client.clone(),
                    kind: kind.clone(),
                    scope,
                    world: self.world.clone(),
                    news: self.news.clone(),
                    waiting: self.waiting.clone(),
                };
                tokio::spawn(one.run()).abort_handle()
            })
            .collect()
    }
}

/// The watch of one kind in one scope.
struct One {
    client: Client,
    kind: ApiResource,
    scope: Option<String>,
    world: World,
    news: UnboundedSender<News>,
    waiting: Arc<AtomicUsize>,
}

impl One {
    async fn run(self) {
        let api: Api<DynamicObject> = match &self.scope {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &self.kind),
            None => Api::all_with(self.client.clone(), &self.kind),
        };
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        let mut listed: HashSet<Key> = HashSet::new();
        let mut counted = true;
        let done = |counted: &mut bool| {
            if std::mem::take(counted) {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        };
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Apply(object))) => {
                    self.take(&object);
                }
                Ok(Some(watcher::Event::Delete(object))) => {
                    if let Some(resource) = self.read(&object)
                        && self.world.remove(&resource.key)
                    {
                        self.tell(&resource.key);
                    }
                }
                Ok(Some(watcher::Event::Init)) => listed.clear(),
                Ok(Some(watcher::Event::InitApply(object))) => listed.extend(self.take(&object)),
                Ok(Some(watcher::Event::InitDone)) => {
                    for key in self.world.keys_of(&self.kind.group, &self.kind.kind, self.scope.as_deref()) {
                        if !listed.contains(&key) && self.world.remove(&key) {
                            self.tell(&key);
                        }
                    }
                    done(&mut counted);
                }
                Ok(None) => break,
                // One kind that cannot be watched does not stop the others.
                Err(error) => {
                    tracing::warn!("`{}.{}` cannot be watched: {error}", self.kind.plural, self.kind.group);
                    done(&mut counted);
                }
            }
        }
    }

    fn read(&self, object: &DynamicObject) -> Option<Resource> {
        let mut value = serde_json::to_value(object).ok()?;
        value["apiVersion"] = Value::String(self.kind.api_version.clone());
        value["kind"] = Value::String(self.kind.kind.clone());
        Resource::read(&self.kind.group, &self.kind.kind, &self.kind.plural, &value)
    }

    fn take(&self, object: &DynamicObject) -> Option<Key> {
        let resource = self.read(object)?;
        let key = resource.key.clone();
        if self.world.put(resource) {
            self.tell(&key);
        }
        Some(key)
    }

    fn tell(&self, key: &Key) {
        // A connection may serve other namespaces.
        let news = if key.is_core("Connection") { News::Everywhere } else { News::Changed(key.namespace.clone()) };
        // Nobody listens any more once the operator stops.
        let _ = self.news.send(news);
    }
}

/// The kinds of plumb's groups that the cluster serves.
async fn discover(client: &Client) -> Result<Vec<ApiResource>, kube::Error> {
    let groups = client.list_api_groups().await?;
    let ours = groups.groups.iter().filter(|group| group.name == CORE_GROUP || group.name.ends_with(GROUP_SUFFIX));
    let mut kinds = Vec::new();
    for group in ours.filter(|group| group.versions.iter().any(|version| version.version == VERSION)) {
        let api_version = format!("{}/{VERSION}", group.name);
        let resources = match client.list_api_group_resources(&api_version).await {
            Ok(resources) => resources,
            // A group that goes at this moment.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => return Err(error),
        };
        for resource in resources.resources {
            if resource.namespaced && !resource.name.contains('/') && resource.verbs.iter().any(|verb| verb == "watch")
            {
                kinds.push(ApiResource {
                    group: group.name.clone(),
                    version: VERSION.to_owned(),
                    api_version: api_version.clone(),
                    kind: resource.kind,
                    plural: resource.name,
                });
            }
        }
    }
    Ok(kinds)
}
