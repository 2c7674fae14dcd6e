//! What is live in the kinds that a stack uses and that no manifest declares. Nothing of it is touched.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{Options, connect::connect_to, export::survey, load::Loaded};
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Sources},
    export::{Wanted, matches},
    failure::Failure,
    inventory::{HashKey, State},
    live::{Depth, LiveObject, Observed, Place, Standing, Surveyed, shown_key},
    progress::ProgressEvent,
    secret::Vault,
    value::Target,
};

/// A live object that no manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Name of the connection.
    pub connection: String,
    /// Name of the API.
    pub api: String,
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its natural key, for people.
    pub key: String,
    /// Who keeps it, where another system does.
    pub synced: Option<String>,
    /// The address under which the inventory has it: its manifest is gone.
    pub owned: Option<String>,
    /// Address of the manifest of the object that it is inside.
    pub inside: Option<String>,
}

/// What no manifest declares.
pub struct Unmanaged {
    /// Name of the stack.
    pub stack: String,
    /// The kinds that were looked at, by connection.
    pub places: BTreeSet<Place>,
    /// The objects.
    pub objects: Vec<Stray>,
    /// Requests that were sent.
    pub requests: u64,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
}

/// Lists the kinds that the stack uses, and tells what of them no manifest declares; of these kinds and names only, where
/// some are wanted.
pub async fn unmanaged(options: &Options, wanted: &[Wanted]) -> Result<Unmanaged, Failure> {
    let mut loaded = super::load(options)?;
    let inventory = loaded.open_inventory(options).await?;
    let state = inventory.state().clone();
    let key =
        HashKey::random().map_err(|error| Failure::config(format!("The system gives no random numbers: {error}.")))?;
    let vault = Arc::new(Vault::new(key));
    let mut diagnostics = loaded.snapshot.diagnostics.clone();
    diagnostics.extend(loaded.manifests.diagnostics.iter().cloned());
    // Of objects, only the names matter.
    let secrets = loaded.resolve_secrets(&vault, options).await;
    diagnostics.extend(secrets.into_iter().filter(|diagnostic| diagnostic.address.is_none()));
    let places = used(&loaded, &state, wanted);
    let connections = places.iter().map(|(connection, _)| connection.as_str());
    let all: BTreeSet<&str> =
        loaded.manifests.objects.iter().map(|object| object.connection.as_str()).chain(connections).collect();
    let connected = connect_to(all, &loaded, &vault, options, &mut diagnostics).await?;
    let surveyed =
        survey(&loaded, &state, &connected.remotes, &vault, options, &places, Depth::Names, &mut diagnostics).await;
    options.progress.event(&ProgressEvent::Finished);
    diagnostics.extend(surveyed.observed.diagnostics.iter().cloned());
    super::veil::diagnostics(&mut diagnostics, &vault);
    let managed = Managed::of(&loaded, &surveyed);
    let owners = owners(&state);
    let mut objects: Vec<Stray> = surveyed
        .observed
        .objects
        .iter()
        .enumerate()
        .filter(|(index, _)| !managed.live.contains(index) && !surveyed.parts.contains(index))
        .filter_map(|(index, live)| {
            let inside = match live.kind.inside() {
                // What is inside an object that no manifest declares goes with it.
                Some(_) => Some(managed.parent(live, surveyed.observed.parent_kinds.get(&index)?)?.to_owned()),
                None if places.contains(&(live.connection.to_string(), live.kind.name.clone())) => None,
                None => return None,
            };
            let mut stray = stray(&surveyed.observed, live, inside, &owners);
            super::veil::texts([&mut stray.id, &mut stray.key], &vault);
            Some(stray)
        })
        .filter(|stray| {
            let fits = |one: &Wanted| one.pattern.as_ref().is_none_or(|pattern| matches(pattern, &stray.key));
            wanted.is_empty() || wanted.iter().any(|one| one.kind == stray.kind && fits(one))
        })
        .collect();
    objects.sort_by(|a, b| (&a.connection, &a.kind, &a.key, &a.id).cmp(&(&b.connection, &b.kind, &b.key, &b.id)));
    Ok(Unmanaged {
        stack: loaded.manifests.stack.name.clone(),
        places,
        objects,
        requests: connected.sent(),
        diagnostics,
        sources: loaded.snapshot.sources,
    })
}

/// The kinds that manifests declare or the inventory has objects of.
fn used(loaded: &Loaded, state: &State, wanted: &[Wanted]) -> BTreeSet<Place> {
    let declared = loaded.manifests.objects.iter().filter(|object| object.parent.is_none());
    let declared =
        declared.map(|object| (object.connection.clone(), object.kind.api.clone(), object.kind.name.clone()));
    let owned = state.objects.iter().filter_map(|(address, record)| {
        let address: Address = address.parse().ok().filter(|address: &Address| address.entry.is_none())?;
        Some((record.connection.clone(), address.api.to_string(), address.kind.to_string()))
    });
    declared
        .chain(owned)
        .filter(|(connection, api, kind)| {
            !connection.is_empty()
                && (wanted.is_empty()
                    || wanted.iter().any(|one| one.kind == *kind && one.api.as_ref().is_none_or(|name| name == api)))
        })
        .map(|(connection, _, kind)| (connection, kind))
        .collect()
}

/// Addresses by connection, kind and id.
fn owners(state: &State) -> HashMap<(String, String, String), String> {
    state
        .objects
        .iter()
        .filter_map(|(address, record)| {
            let parsed: Address = address.parse().ok()?;
            let slot = (record.connection.clone(), parsed.kind.to_string(), record.id.clone());
            parsed.entry.is_none().then(|| (slot, address.clone()))
        })
        .collect()
}

/// The live objects that manifests declare.
struct Managed {
    /// Objects and entries, by live object.
    live: HashSet<usize>,
    /// Addresses of manifests, by connection, kind and id.
    addresses: HashMap<(Arc<str>, String, String), String>,
}

impl Managed {
    fn of(loaded: &Loaded, surveyed: &Surveyed) -> Self {
        let mut out = Self { live: HashSet::new(), addresses: HashMap::new() };
        for (index, standing) in surveyed.observed.standing.iter().enumerate() {
            let Standing::Known(Some(found)) = standing else { continue };
            let (Some(object), Some(live)) =
                (loaded.manifests.objects.get(index), surveyed.observed.objects.get(*found))
            else {
                continue;
            };
            out.live.insert(*found);
            if object.parent.is_none() {
                let slot = (live.connection.clone(), live.kind.name.clone(), live.id.clone());
                out.addresses.insert(slot, object.address.to_string());
            }
        }
        out
    }

    /// The manifest of the object that an entry is inside.
    fn parent(&self, entry: &LiveObject, kind: &str) -> Option<&str> {
        self.addresses.get(&(entry.connection.clone(), kind.to_owned(), entry.parent.clone()?)).map(String::as_str)
    }
}

/// The natural key of an object for people, with those of its parents in it.
fn whole_key(observed: &Observed, live: &LiveObject, depth: usize) -> String {
    let named = |kind: &str, target: &Target| {
        let Target::Id(id) = target else { return None };
        let other = observed.by_id(&live.connection, kind, id).filter(|_| depth < 8)?;
        Some(whole_key(observed, other, depth + 1)).filter(|key| !key.is_empty())
    };
    shown_key(&live.kind, &live.fields, &named)
}

fn stray(
    observed: &Observed,
    live: &LiveObject,
    inside: Option<String>,
    owners: &HashMap<(String, String, String), String>,
) -> Stray {
    let by = || live.kind.spec.synced.as_ref().and_then(|synced| synced.by.clone());
    let slot = (live.connection.to_string(), live.kind.name.clone(), live.id.clone());
    Stray {
        connection: live.connection.to_string(),
        api: live.kind.api.clone(),
        kind: live.kind.name.clone(),
        id: live.id.clone(),
        key: whole_key(observed, live, 0),
        synced: live.synced.then(|| by().unwrap_or_else(|| "another system".into())),
        owned: owners.get(&slot).filter(|_| inside.is_none()).cloned(),
        inside,
    }
}
