//! The resources of a namespace → the texts of one stack: what is declared, what goes, and which Secrets that takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{
    secrets::{Name, referenced},
    world::{Resource, World},
};
use crate::{description::compiled::VERSION, inventory::State, manifest::DeletionPolicy, plan::Going};

/// What a run is about.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Resources of the namespace.
    pub(super) resources: Vec<Resource>,
    /// Texts, by the path that they have in diagnostics.
    pub(super) texts: Vec<(String, String)>,
    /// Addresses whose resources go.
    pub(super) going: BTreeMap<String, Going>,
    /// Secrets that the texts refer to.
    pub(super) secrets: BTreeSet<Name>,
    /// Those of them that connections need.
    pub(super) credentials: BTreeSet<Name>,
    /// The connections, by name: how often each is swept, and what a refusal depends on.
    pub(super) connections: HashMap<String, ConnectionInfo>,
    /// Secrets by the resource's address.
    pub(super) uses: HashMap<String, BTreeSet<Name>>,
    /// Addresses whose status names a live object that the inventory does not know, and whether plumb made it.
    pub(super) lost: BTreeMap<String, bool>,
    /// What owns the Secrets that are made for a text, by its path.
    pub(super) owners: HashMap<String, Value>,
}

/// What a namespace is gathered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its objects are made true.
    Reconcile,
    /// What the inventory has lost is found again by the ids in statuses: objects that go are looked at too.
    Regain,
}

/// What is to know of a connection besides its text.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionInfo {
    /// How often it is swept, where it says so.
    pub(super) interval: Option<std::time::Duration>,
    /// Changes with the connection.
    pub(super) mark: u64,
    /// Secrets that it needs.
    pub(super) secrets: BTreeSet<Name>,
}

/// Gathers a namespace. `state` is what the inventory knows.
pub(super) fn gather(world: &World, namespace: &str, state: &State, purpose: Purpose) -> Gathered {
    let resources = world.space(namespace);
    let shared = shared(world, namespace, &resources);
    let mut out = Gathered::default();
    let begun: BTreeSet<&str> = state.intents.values().filter_map(|intent| intent.address.split('#').next()).collect();
    for resource in resources.iter().chain(&shared) {
        let address = resource.key.address();
        // A create that was begun and whose end is not known: it is looked for first, and deleted then.
        let unsettled =
            address.as_deref().is_some_and(|address| begun.contains(address) && !state.objects.contains_key(address));
        let lost = address
            .as_deref()
            .filter(|address| !unsettled && !state.objects.contains_key(*address))
            .and_then(|address| Some((address, resource.status.external_id.as_deref()?)));
        if let Some((address, _)) = lost {
            out.lost.insert(address.to_owned(), resource.status.origin.as_deref() == Some("created"));
        }
        let by_id = lost.map(|(_, id)| id).filter(|_| purpose == Purpose::Regain);
        if let Some(address) = address.as_ref().filter(|_| resource.is_going() && !unsettled && by_id.is_none()) {
            out.going.insert(address.clone(), going(resource));
            continue;
        }
        if resource.key.is_core("Stack") {
            continue;
        }
        let mut names = BTreeSet::new();
        if let Some(spec) = resource.manifest.get("spec") {
            referenced(spec, &mut names);
        }
        let names: BTreeSet<Name> = names.into_iter().map(|name| (resource.key.namespace.clone(), name)).collect();
        out.secrets.extend(names.iter().cloned());
        if resource.key.is_core("Connection") {
            out.credentials.extend(names.iter().cloned());
            let interval =
                resource.manifest.pointer("/spec/interval").and_then(Value::as_str).and_then(crate::manifest::span);
            let info = ConnectionInfo { interval, mark: resource.mark(), secrets: names };
            out.connections.insert(resource.key.name.clone(), info);
        } else if let Some(address) = address {
            out.uses.insert(address, names);
        }
        if resource.manifest.get("spec").is_some_and(has_secret_sink) {
            out.owners.insert(resource.key.path(), owner(resource));
        }
        out.texts.push((resource.key.path(), text(resource, by_id)));
    }
    out.resources = resources;
    out
}

/// Connections of other namespaces that serve this one: those that a resource names, or whose API has none here.
fn shared(world: &World, namespace: &str, own: &[Resource]) -> Vec<Resource> {
    let api_of =
        |resource: &Resource| resource.manifest.pointer("/spec/api").and_then(Value::as_str).map(str::to_owned);
    let connections: Vec<&Resource> = own.iter().filter(|resource| resource.key.is_core("Connection")).collect();
    let names: BTreeSet<&str> = connections.iter().map(|resource| resource.key.name.as_str()).collect();
    let apis: BTreeSet<String> = connections.iter().filter_map(|resource| api_of(resource)).collect();
    let named: BTreeSet<&str> = own
        .iter()
        .filter_map(|resource| {
            let declared = resource.manifest.pointer("/spec/connection").and_then(Value::as_str);
            declared.or(resource.status.connection.as_deref())
        })
        .collect();
    let mut found: BTreeMap<String, Resource> = BTreeMap::new();
    for connection in world.of_core("Connection") {
        if connection.key.namespace == namespace || names.contains(connection.key.name.as_str()) {
            continue;
        }
        let serves = connection.manifest.pointer("/spec/namespaces").and_then(Value::as_array);
        if !serves.is_some_and(|list| list.iter().any(|item| item.as_str() == Some(namespace))) {
            continue;
        }
        let wanted =
            named.contains(connection.key.name.as_str()) || api_of(&connection).is_some_and(|api| !apis.contains(&api));
        if wanted {
            // Of two with one name the first namespace's counts, in every run.
            let slot = found.entry(connection.key.name.clone()).or_insert_with(|| connection.clone());
            if connection.key.namespace < slot.key.namespace {
                *slot = connection;
            }
        }
    }
    found.into_values().collect()
}

/// Whether a spec has a value put into a Secret.
fn has_secret_sink(spec: &Value) -> bool {
    spec.as_object().is_some_and(|spec| {
        spec.values().any(|value| value.get("secretRef").is_some_and(|place| place.get("key").is_some()))
    })
}

/// The owner of Secrets that are made for a resource: they go with it.
fn owner(resource: &Resource) -> Value {
    json!({
        "apiVersion": format!("{}/{VERSION}", resource.key.group),
        "kind": resource.key.kind,
        "name": resource.key.name,
        "uid": resource.uid,
    })
}

/// What a resource that goes says of its live object.
fn going(resource: &Resource) -> Going {
    let deletion_policy = match resource.annotation("deletion-policy") {
        Some("delete") => Some(DeletionPolicy::Delete),
        Some("archive") => Some(DeletionPolicy::Archive),
        // `retain`; and what cannot be understood deletes nothing.
        Some(_) => Some(DeletionPolicy::Retain),
        None => None,
    };
    Going { deletion_policy, protect: resource.annotation("protect").is_some_and(|word| word != "false") }
}

/// A resource's manifest. One that has a live object keeps the connection that it was made by; `by_id` is the id that the
/// object is to be found by.
fn text(resource: &Resource, by_id: Option<&str>) -> String {
    let mut manifest = Value::clone(&resource.manifest);
    if let (Some(connection), Some(_)) = (&resource.status.connection, &resource.status.external_id)
        && let Some(spec) = manifest.get_mut("spec").and_then(Value::as_object_mut)
        && resource.key.address().is_some()
        && spec.get("connection").is_none_or(Value::is_null)
    {
        spec.insert("connection".to_owned(), connection.clone().into());
    }
    if let Some(id) = by_id {
        let annotations = &mut manifest["metadata"]["annotations"];
        if annotations.is_null() {
            *annotations = Value::Object(serde_json::Map::new());
        }
        annotations["plumb.dev/external-id"] = id.into();
        // Only to be found: nothing of it is written.
        annotations["plumb.dev/reconcile"] = "enforce".into();
    }
    serde_json::to_string_pretty(&manifest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(world: &World, namespace: &str, kind: &str, name: &str, value: &Value) {
        let (group, plural) =
            if kind == "Connection" { ("plumb.dev", "connections") } else { ("itglue.plumb.dev", "x") };
        let mut value = value.clone();
        value["kind"] = kind.into();
        value["apiVersion"] = format!("{group}/v1alpha1").into();
        value["metadata"]["name"] = name.into();
        value["metadata"]["namespace"] = namespace.into();
        world.put(Resource::read(group, kind, plural, &value).unwrap());
    }

    #[test]
    fn a_connection_serves_other_namespaces_only_where_it_lists_them() {
        let world = World::default();
        let shared = json!({"metadata": {}, "spec": {"api": "itglue", "namespaces": ["team"]}});
        put(&world, "infra", "Connection", "main", &shared);
        put(&world, "team", "Organization", "a", &json!({"metadata": {}, "spec": {}}));
        put(&world, "other", "Organization", "a", &json!({"metadata": {}, "spec": {}}));
        assert!(gather(&world, "team", &State::default(), Purpose::Reconcile).connections.contains_key("main"));
        assert!(gather(&world, "other", &State::default(), Purpose::Reconcile).connections.is_empty());
        put(&world, "team", "Connection", "own", &json!({"metadata": {}, "spec": {"api": "itglue"}}));
        let now = gather(&world, "team", &State::default(), Purpose::Reconcile);
        assert_eq!(now.connections.keys().collect::<Vec<_>>(), ["own"], "its own comes first");
    }

    #[test]
    fn what_goes_is_not_declared_and_keeps_what_it_says_of_its_object() {
        let world = World::default();
        let going = json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "annotations": {"plumb.dev/deletion-policy": "keep"}},
            "spec": {},
        });
        put(&world, "team", "Organization", "a", &going);
        let gathered = gather(&world, "team", &State::default(), Purpose::Reconcile);
        assert!(gathered.texts.is_empty());
        let said = gathered.going["itglue/Organization/a"];
        assert_eq!(said.deletion_policy, Some(DeletionPolicy::Retain), "a word that is none deletes nothing");
    }

    #[test]
    fn what_the_inventory_lost_is_looked_for_by_the_id_in_its_status_also_where_it_goes() {
        let world = World::default();
        let going = json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {}, "status": {"connection": "main", "externalId": "7", "origin": "created"},
        });
        put(&world, "team", "Organization", "a", &going);
        let gathered = gather(&world, "team", &State::default(), Purpose::Reconcile);
        assert!(gathered.texts.is_empty() && gathered.lost["itglue/Organization/a"]);
        let gathered = gather(&world, "team", &State::default(), Purpose::Regain);
        assert!(gathered.going.is_empty() && gathered.texts[0].1.contains("\"plumb.dev/external-id\": \"7\""));
        let mut state = State::default();
        state.objects.insert("itglue/Organization/a".to_owned(), crate::inventory::Record::default().into());
        assert!(gather(&world, "team", &state, Purpose::Reconcile).lost.is_empty());
    }

    #[test]
    fn an_object_stays_with_the_connection_that_it_was_made_by() {
        let world = World::default();
        let made = json!({"metadata": {}, "spec": {"name": "A"}, "status": {"connection": "old", "externalId": "1"}});
        put(&world, "team", "Organization", "a", &made);
        let gathered = gather(&world, "team", &State::default(), Purpose::Reconcile);
        assert!(gathered.texts[0].1.contains("\"connection\": \"old\""));
    }
}
