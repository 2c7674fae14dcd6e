//! Ownership by hand: `import` and `forget`.

use serde_json::Value;

use super::{Options, Planned, load, plan};
use crate::{
    address::Address,
    description::format::{FieldSpec, FieldType},
    diff::{entry_key, match_items},
    failure::{Class, Failure},
    inventory::{Edit, InventoryError, Record},
    plan::Mode,
    value::{has_secret, secret_hash, text},
};

/// What an import took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Address of the manifest.
    pub address: String,
    /// Id of the live object.
    pub id: String,
}

/// Why an inventory cannot be used, as a failure.
pub fn inventory_failure(error: &InventoryError) -> Failure {
    let told = error.diagnostic();
    let class = if error.is_conflict() { Class::Conflict } else { Class::Config };
    Failure { class, message: told.message, hints: told.hints }
}

/// Records the live object with an id as owned by a manifest, without writing anything to the API: what differs is
/// drift in the next plan, and write-only values are recorded as they are declared.
pub async fn import(options: &Options, address: &str, id: &str) -> Result<Adopted, Failure> {
    let wanted: Address =
        address.parse().map_err(|error: crate::address::BadAddress| Failure::user(format!("{error}.")))?;
    let options = Options { keep_key: true, ..options.clone() };
    let planned = plan(&options, Mode::Plan).await?;
    let Some(index) = planned.graph.names.address(&wanted) else {
        return Err(Failure::user(format!("`{address}` is not declared in this stack."))
            .hint("Write its manifest first: an import joins a manifest with a live object."));
    };
    let object = &planned.manifests.objects[index];
    let state = planned.inventory.state().clone();
    if let Some(record) = state.objects.get(address) {
        return Err(Failure::user(format!("`{address}` owns the live object `{}` already.", record.id))
            .hint(format!("`plumb forget {address}` first.")));
    }
    let found = planned.observed.objects.iter().find(|live| {
        live.kind == object.kind
            && *live.connection == *object.connection
            && (live.id == object.kind.spoken_id(planned.observed.parents[index].as_deref(), id)
                || is_key(&crate::live::shown_key(&live.kind, &live.fields, &|_, _| None), id))
            && (object.parent.is_none() || live.parent == planned.observed.parents[index])
    });
    let (live_id, fields, parent) = match found {
        Some(live) => (live.id.clone(), live.fields.clone(), live.parent.clone()),
        None => by_get(&planned, index, id).await?,
    };
    if let Some((owner, _)) = state.objects.iter().find(|(owner, record)| {
        record.connection == object.connection
            && record.id == live_id
            && owner.parse::<Address>().is_ok_and(|owner| {
                owner.kind == wanted.kind
                    && owner.entry.as_ref().map(|(field, _)| field) == wanted.entry.as_ref().map(|(field, _)| field)
            })
            && (object.parent.is_none() || record.parent == parent)
    }) {
        return Err(Failure::user(format!("The live object `{live_id}` is owned by `{owner}`.")));
    }
    if planned.observed.canonical.get(index).is_some_and(|fields| fields.values().any(crate::value::has_unresolved)) {
        return Err(Failure::user(format!("A secret of `{address}` is not known, and so what was applied is not."))
            .hint("`plumb plan` says which variable or file is missing."));
    }
    let Some(record) = record(&planned, index, live_id.clone(), &fields, parent) else {
        return Err(Failure::internal(format!("`{address}` was planned and is not declared.")));
    };
    let mut inventory = planned.inventory;
    inventory.lock("plumb import").await.map_err(|error| inventory_failure(&error))?;
    let written = inventory.commit(vec![Edit::Put(address.to_owned(), Box::new(record))]).await;
    inventory.unlock().await;
    written.map_err(|error| inventory_failure(&error))?;
    Ok(Adopted { address: address.to_owned(), id: live_id })
}

/// Whether a text is a natural key; a slash in a part may go without its backslash.
fn is_key(key: &str, text: &str) -> bool {
    key == text || key.replace("\\/", "/") == text
}

/// The record of a live object that was there before plumb and is as it is: what the API shows is recorded as it is
/// live, what it never shows as it is declared.
pub(super) fn record(
    planned: &Planned,
    index: usize,
    id: String,
    fields: &crate::value::Fields,
    parent: Option<String>,
) -> Option<Record> {
    let object = planned.manifests.objects.get(index)?;
    let declared = planned.observed.canonical.get(index)?;
    let specs = planned.observed.specs(index, &object.kind);
    let free = FieldSpec::default();
    let seal = |text: &str| planned.vault.seal(text);
    let shown = |(name, value): (&String, &Value)| {
        let spec = specs.get(name).unwrap_or(&free);
        (name.clone(), fields.get(name).map_or_else(|| value.clone(), |live| as_shown(spec, value, live, &seal)))
    };
    let inside = object.parent.and_then(|parent| planned.manifests.objects.get(parent));
    Some(Record {
        connection: object.connection.clone(),
        id,
        parent,
        inside: inside.map(|parent| parent.address.to_string()),
        key: crate::live::shown_key(&object.kind, fields, &|_, _| None),
        applied: declared.iter().map(shown).collect(),
        adopted: true,
        deletion_policy: object.annotations.deletion_policy,
        protect: object.annotations.protect,
        depends_on: Vec::new(),
        at: crate::apply::now(),
        ..Record::default()
    })
}

/// What counts as applied of a declared value: what the API shows of it, by its hash where a secret is declared, and what
/// it never shows as it is declared.
fn as_shown(spec: &FieldSpec, declared: &Value, live: &Value, seal: &dyn Fn(&str) -> Value) -> Value {
    let free = FieldSpec::default();
    match (declared, live) {
        _ if spec.write_only => declared.clone(),
        // What stands for a stored value says nothing about it.
        _ if spec.mask.is_some() && spec.mask.as_deref() == live.as_str() => declared.clone(),
        _ if secret_hash(declared).is_some() && secret_hash(live).is_none() => {
            text(live).filter(|words| !words.is_empty()).map_or(Value::Null, |words| seal(&words))
        }
        (Value::Object(members), Value::Object(there))
            if matches!(spec.ty, FieldType::Object | FieldType::Map) || has_secret(declared) =>
        {
            members
                .iter()
                .filter_map(|(name, value)| {
                    let member = spec.fields.get(name).or(spec.items.as_deref()).unwrap_or(&free);
                    let value = match there.get(name) {
                        Some(live) => as_shown(member, value, live, seal),
                        None if member.write_only => value.clone(),
                        None => return None,
                    };
                    Some((name.clone(), value))
                })
                .collect()
        }
        (Value::Array(entries), Value::Array(there)) if spec.keyed_by.is_some() => {
            let items = spec.items.as_deref().unwrap_or(&free);
            let entry = |entry: &Value| {
                let key = entry_key(spec, entry)?;
                let live = there.iter().find(|live| entry_key(spec, live).as_ref() == Some(&key))?;
                Some(as_shown(items, entry, live, seal))
            };
            entries.iter().filter_map(entry).collect()
        }
        (Value::Array(entries), Value::Array(there)) if !spec.match_by.is_empty() => {
            let items = spec.items.as_deref().unwrap_or(&free);
            let entry =
                |(entry, place): (&Value, Option<usize>)| Some(as_shown(items, entry, there.get(place?)?, seal));
            entries.iter().zip(match_items(spec, entries, there)).filter_map(entry).collect()
        }
        (Value::Array(items), Value::Array(there)) if has_secret(declared) && items.len() == there.len() => {
            let spec = spec.items.as_deref().unwrap_or(&free);
            items.iter().zip(there).map(|(item, live)| as_shown(spec, item, live, seal)).collect()
        }
        // Where they are not alike, nobody can tell which is which: no secret goes into the record.
        _ if has_secret(declared) => declared.clone(),
        _ => live.clone(),
    }
}

async fn by_get(
    planned: &Planned,
    index: usize,
    id: &str,
) -> Result<(String, crate::value::Fields, Option<String>), Failure> {
    let object = &planned.manifests.objects[index];
    let nothing = || {
        Failure::user(format!("There is no live {} with the id or key `{id}`.", object.kind.name))
            .hint("`plumb plan` shows what is there; ids are those of the API.")
    };
    let Some(remote) = planned.connected.remotes.get(&object.connection) else {
        return Err(Failure::remote(format!("Connection `{}` cannot be used.", object.connection)));
    };
    if !object.kind.can(crate::description::format::Verb::Get) {
        return Err(nothing());
    }
    let parent = planned.observed.parents[index].clone();
    let whole = object.kind.spoken_id(parent.as_deref(), id);
    let vars = crate::live::item_vars(&object.kind, &whole, parent.as_deref(), None);
    let found = remote.get(&object.kind, &vars, &[]).await.map_err(|error| Failure::remote(error.to_string()))?;
    let (row, _) = found.ok_or_else(nothing)?;
    drop(vars);
    let vault = planned.vault.clone();
    let mut decoded = crate::dialect::decode_row(&object.kind, &row, &|text| vault.seal(text)).ok_or_else(nothing)?;
    crate::dialect::fill_omitted(&object.kind, true, &mut decoded.fields);
    Ok((object.kind.full_id(parent.as_deref(), &decoded.id), decoded.fields, parent))
}

/// Drops objects from the inventory; the live ones stay. Entries go with their manifest.
pub async fn forget(options: &Options, addresses: &[String]) -> Result<Vec<String>, Failure> {
    let loaded = load(options)?;
    let mut inventory = loaded.open_inventory(options).await?;
    inventory.lock("plumb forget").await.map_err(|error| inventory_failure(&error))?;
    let state = inventory.state().clone();
    let mut gone = Vec::new();
    let mut edits = Vec::new();
    for address in addresses {
        let prefix = format!("{address}#");
        let found: Vec<String> =
            state.objects.keys().filter(|known| *known == address || known.starts_with(&prefix)).cloned().collect();
        if found.is_empty() {
            inventory.unlock().await;
            let mut failure = Failure::user(format!("The inventory has no `{address}`."));
            if let Some(near) = crate::diagnostic::nearest(address, state.objects.keys().map(String::as_str)) {
                failure = failure.hint(format!("Did you mean `{near}`?"));
            }
            return Err(failure);
        }
        for known in found {
            edits.push(Edit::Remove(known.clone()));
            gone.push(known);
        }
    }
    let written = inventory.commit(edits).await;
    inventory.unlock().await;
    written.map_err(|error| inventory_failure(&error))?;
    Ok(gone)
}
