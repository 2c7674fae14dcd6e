//! Custom resources as they were last seen, and which of what happens to them is news.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::status::Status;
use crate::description::compiled::GROUP_SUFFIX;

/// The finalizer of every resource that may have a live object.
pub(super) const FINALIZER: &str = "plumb.dev/live-object";
/// Group of plumb's own kinds.
pub(super) const CORE_GROUP: &str = "plumb.dev";
/// What kubectl keeps of its own in an annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Which resource it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) name: String,
}

impl Key {
    /// Its address in the stack of its namespace; none of plumb's own kinds.
    pub(super) fn address(&self) -> Option<String> {
        let api = self.group.strip_suffix(GROUP_SUFFIX)?;
        Some(format!("{api}/{}/{}", self.kind, self.name))
    }

    /// What its text is called in diagnostics: the namespace first.
    pub(super) fn path(&self) -> String {
        format!("{}/{}.{}/{}", self.namespace, self.kind.to_lowercase(), self.group, self.name)
    }

    /// Whether it is of this kind of plumb's own.
    pub(super) fn is_core(&self, kind: &str) -> bool {
        self.group == CORE_GROUP && self.kind == kind
    }
}

/// A resource as it was last seen.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) key: Key,
    pub(super) plural: String,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) generation: i64,
    /// When its deletion was asked for.
    pub(super) going_since: Option<jiff::Timestamp>,
    pub(super) finalizers: Vec<String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// What manifests have: apiVersion, kind, name, labels, annotations and spec.
    pub(super) manifest: Arc<Value>,
    pub(super) status: Status,
    /// Changes with whatever a run depends on.
    mark: u64,
}

impl Resource {
    /// Reads a resource as the API server has it; nothing where it has no name or namespace.
    pub(super) fn read(group: &str, kind: &str, plural: &str, value: &Value) -> Option<Self> {
        let metadata = value.get("metadata")?;
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        let (name, namespace) = (text("name")?, text("namespace")?);
        let map = |name: &str| -> BTreeMap<String, String> {
            let members = metadata.get(name).and_then(Value::as_object);
            let members = members.into_iter().flatten().filter(|(name, _)| *name != LAST_APPLIED);
            members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        let (labels, annotations) = (map("labels"), map("annotations"));
        let mut head = json!({"name": name});
        if !labels.is_empty() {
            head["labels"] = json!(labels);
        }
        if !annotations.is_empty() {
            head["annotations"] = json!(annotations);
        }
        let mut manifest = json!({
            "apiVersion": value.get("apiVersion"),
            "kind": value.get("kind"),
            "metadata": head,
        });
        if let Some(spec) = value.get("spec") {
            manifest["spec"] = spec.clone();
        }
        let going = text("deletionTimestamp");
        let mut hasher = DefaultHasher::new();
        manifest.to_string().hash(&mut hasher);
        going.hash(&mut hasher);
        text("uid").hash(&mut hasher);
        Some(Self {
            key: Key { namespace: namespace.into(), group: group.into(), kind: kind.into(), name: name.into() },
            plural: plural.to_owned(),
            uid: text("uid").unwrap_or_default().to_owned(),
            version: text("resourceVersion").unwrap_or_default().to_owned(),
            generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
            going_since: going.map(|text| text.parse().unwrap_or_else(|_| jiff::Timestamp::now())),
            finalizers: metadata
                .get("finalizers")
                .and_then(Value::as_array)
                .map(|list| list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
            annotations,
            manifest: Arc::new(manifest),
            status: Status::of(value),
            mark: hasher.finish(),
        })
    }

    /// Whether its deletion was asked for.
    pub(super) fn is_going(&self) -> bool {
        self.going_since.is_some()
    }

    /// Whether it holds its deletion up.
    pub(super) fn is_held(&self) -> bool {
        self.finalizers.iter().any(|name| name == FINALIZER)
    }

    /// An annotation of plumb's, without its prefix.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(&format!("plumb.dev/{name}")).map(String::as_str)
    }

    /// What a refusal of the API depends on, on the resource's side.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }
}

/// Versions of resources are whole numbers that grow.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or_default()
}

/// All resources, by namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct World(Arc<Mutex<HashMap<String, BTreeMap<Key, Resource>>>>);

impl World {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<Key, Resource>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a resource in; whether a run would see a difference.
    pub(super) fn put(&self, resource: Resource) -> bool {
        let mut spaces = self.lock();
        let space = spaces.entry(resource.key.namespace.clone()).or_default();
        let known = space.get(&resource.key).filter(|known| known.uid == resource.uid);
        // What was written a moment ago may be newer than what a watch still has to tell.
        if known.is_some_and(|known| number(&known.version) > number(&resource.version)) {
            return false;
        }
        let news = known.is_none_or(|known| known.mark != resource.mark);
        space.insert(resource.key.clone(), resource);
        news
    }

    /// Takes in what was just written: status and finalizers. Whatever else changed is for the watch to tell.
    pub(super) fn refresh(&self, written: Resource) {
        let mut spaces = self.lock();
        let known = spaces.get_mut(&written.key.namespace).and_then(|space| space.get_mut(&written.key));
        if let Some(known) = known.filter(|known| known.uid == written.uid) {
            known.status = written.status;
            known.finalizers = written.finalizers;
            if known.mark == written.mark {
                known.version = written.version;
            }
        }
    }

    /// Drops a resource; whether it was there.
    pub(super) fn remove(&self, key: &Key) -> bool {
        let mut spaces = self.lock();
        let Some(space) = spaces.get_mut(&key.namespace) else { return false };
        let there = space.remove(key).is_some();
        if space.is_empty() {
            spaces.remove(&key.namespace);
        }
        there
    }

    /// The keys of a kind, of one namespace or of all.
    pub(super) fn keys_of(&self, group: &str, kind: &str, namespace: Option<&str>) -> Vec<Key> {
        let spaces = self.lock();
        let wanted = spaces.iter().filter(|(name, _)| namespace.is_none_or(|namespace| namespace == *name));
        wanted
            .flat_map(|(_, space)| space.keys())
            .filter(|key| key.group == group && key.kind == kind)
            .cloned()
            .collect()
    }

    /// The resources of a namespace, in a stable order.
    pub(super) fn space(&self, namespace: &str) -> Vec<Resource> {
        self.lock().get(namespace).map(|space| space.values().cloned().collect()).unwrap_or_default()
    }

    /// The namespaces that have resources.
    pub(super) fn namespaces(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// All resources of one kind of plumb's own.
    pub(super) fn of_core(&self, kind: &str) -> Vec<Resource> {
        let spaces = self.lock();
        let mut out = Vec::new();
        for (namespace, space) in spaces.iter() {
            let first = Key {
                namespace: namespace.clone(),
                group: CORE_GROUP.to_owned(),
                kind: kind.to_owned(),
                name: String::new(),
            };
            let own = space.range(first..).take_while(|(key, _)| key.is_core(kind));
            out.extend(own.map(|(_, resource)| resource.clone()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: &Value, extra: &Value) -> Resource {
        let mut value = json!({
            "apiVersion": "itglue.plumb.dev/v1alpha1", "kind": "Organization",
            "metadata": {"name": "a", "namespace": "team", "uid": "1", "resourceVersion": "7", "generation": 1},
            "spec": spec,
        });
        if let (Some(metadata), Some(extra)) = (value["metadata"].as_object_mut(), extra.as_object()) {
            metadata.extend(extra.clone());
        }
        Resource::read("itglue.plumb.dev", "Organization", "organizations", &value).unwrap()
    }

    #[test]
    fn a_status_or_a_finalizer_is_no_news_and_a_spec_an_annotation_or_a_deletion_is() {
        let world = World::default();
        assert!(world.put(read(&json!({"name": "A"}), &json!({}))));
        assert!(!world.put(read(&json!({"name": "A"}), &json!({"finalizers": [FINALIZER], "resourceVersion": "8"}))));
        let last_applied = json!({"annotations": {LAST_APPLIED: "{}"}, "resourceVersion": "9"});
        assert!(!world.put(read(&json!({"name": "A"}), &last_applied)), "kubectl's own note");
        assert!(!world.put(read(&json!({"name": "B"}), &json!({}))), "older than what is known");
        let later = |version: &str| json!({"resourceVersion": version});
        assert!(world.put(read(&json!({"name": "B"}), &later("10"))));
        let protected = json!({"annotations": {"plumb.dev/protect": "true"}, "resourceVersion": "11"});
        assert!(world.put(read(&json!({"name": "B"}), &protected)));
        let deleted = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "12"});
        assert!(world.put(read(&json!({"name": "B"}), &deleted)));
    }

    #[test]
    fn texts_and_addresses_tell_where_a_resource_is() {
        let key = read(&json!({}), &json!({})).key;
        assert_eq!(key.address().as_deref(), Some("itglue/Organization/a"));
        assert_eq!(key.path(), "team/organization.itglue.plumb.dev/a");
    }
}
