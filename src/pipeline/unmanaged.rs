//! What is live in the kinds that a stack uses and that no manifest declares. Nothing of it is touched.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Options,
    connect::connect_to,
    export::{declared, survey},
    load::Loaded,
};
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Sources},
    export::{Wanted, matches},
    failure::Failure,
    inventory::{HashKey, State},
    live::{Depth, Place, shown_key},
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
    let secrets = loaded.resolve_secrets(&vault, options);
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
    super::mask(&mut diagnostics, &vault);
    let managed = declared(&loaded, &surveyed);
    let owners = owners(&state);
    let titles = Titles { observed: &surveyed.observed };
    let mut objects: Vec<Stray> = surveyed
        .observed
        .objects
        .iter()
        .enumerate()
        .filter(|(index, live)| {
            !managed.contains_key(index)
                && live.kind.inside().is_none()
                && places.contains(&(live.connection.to_string(), live.kind.name.clone()))
        })
        .map(|(_, live)| Stray {
            connection: live.connection.to_string(),
            api: live.kind.api.clone(),
            kind: live.kind.name.clone(),
            id: live.id.clone(),
            key: shown_key(&live.kind, &live.fields, &|kind, target| titles.of(&live.connection, kind, target)),
            synced: live.synced.then(|| {
                let by = live.kind.spec.synced.as_ref().and_then(|synced| synced.by.clone());
                by.unwrap_or_else(|| "another system".into())
            }),
            owned: owners.get(&(live.connection.to_string(), live.kind.name.clone(), live.id.clone())).cloned(),
        })
        .filter(|stray| {
            wanted.is_empty() || wanted.iter().any(|one| {
                one.kind == stray.kind && one.pattern.as_ref().is_none_or(|pattern| matches(pattern, &stray.key))
            })
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
    let declared = declared.map(|object| (object.connection.clone(), object.kind.api.clone(), object.kind.name.clone()));
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

/// Names of objects that keys refer to.
struct Titles<'o> {
    observed: &'o crate::live::Observed,
}

impl Titles<'_> {
    fn of(&self, connection: &Arc<str>, kind: &str, target: &Target) -> Option<String> {
        let Target::Id(id) = target else { return None };
        let live = self.observed.by_id(connection, kind, id)?;
        let key = shown_key(&live.kind, &live.fields, &|_, _| None);
        (!key.is_empty()).then_some(key)
    }
}
