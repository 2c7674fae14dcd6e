//! What a run did → manifests that declare its objects as they were before: the plan of an undo.
//!
//! Each object stays what its manifest says, but for the fields that the run changed; what it deleted is declared with all
//! that is known of it. Nothing else of the stack is in the plan.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use serde_json::Value;

use crate::{
    address::{Address, unescape},
    description::{
        Kind,
        format::{FieldSpec, FieldType},
    },
    diagnostic::{Diagnostic, SourceId, SourceText},
    failure::Failure,
    inventory::{Change, Inventory, Record, State},
    manifest::{Annotations, DocumentRef, Manifest, Manifests},
    secret::Vault,
    source::Snapshot,
    value::{Fields, Target, as_reference, file, has_secret, secret_hash, sink},
};

/// A run that is to be undone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undo {
    /// Its id, or the beginning of it; the last one that changed something unless given.
    pub run: Option<String>,
    /// Addresses to look at; all where empty.
    pub targets: Vec<String>,
}

/// What is to be restored.
pub(super) struct Restored {
    /// Id of the run.
    pub(super) run: String,
    /// Addresses of the objects.
    pub(super) addresses: HashSet<Address>,
}

impl Restored {
    /// The objects among all, by index.
    pub(super) fn among(&self, manifests: &Manifests) -> HashSet<usize> {
        let objects = manifests.objects.iter().enumerate();
        objects.filter(|(_, object)| self.addresses.contains(&object.address)).map(|(index, _)| index).collect()
    }
}

/// Finds the run that a text means.
pub fn find_run(state: &State, wanted: Option<&str>) -> Result<String, Failure> {
    let Some(wanted) = wanted else {
        let last = state
            .runs
            .iter()
            .rev()
            .find(|(_, run)| run.done.keys().any(|action| action != "forget") || run.ended.is_none());
        return last.map(|(id, _)| id.clone()).ok_or_else(|| {
            Failure::user("The inventory knows of no run that changed anything.")
                .hint("`plumb history` lists the runs.")
        });
    };
    let mut found = state.runs.keys().filter(|id| id.starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(run.clone()),
        (Some(run), Some(_)) if run == wanted => Ok(run.clone()),
        (Some(one), Some(other)) => {
            Err(Failure::user(format!("`{wanted}` is how several runs begin: `{one}`, `{other}`."))
                .hint("Write more of it; `plumb history` lists the runs."))
        }
        (None, _) => Err(Failure::user(format!("There is no run `{wanted}`.")).hint("`plumb history` lists the runs.")),
    }
}

/// Makes manifests of what a run updated or deleted, in place of those that declare it now.
pub(super) async fn restore(
    undo: &Undo,
    inventory: &Inventory,
    manifests: &mut Manifests,
    snapshot: &mut Snapshot,
    vault: &Vault,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Restored, Failure> {
    let state = inventory.state().clone();
    let run = find_run(&state, undo.run.as_deref())?;
    let changes = inventory.changes(&run).await.map_err(|error| super::account::inventory_failure(&error))?;
    let text = SourceText { path: format!("history of run {run}"), folder: PathBuf::new(), text: "".into() };
    let source = snapshot.sources.add(text);
    let mut restoring = Restoring {
        index: manifests.objects.iter().enumerate().map(|(at, object)| (object.address.clone(), at)).collect(),
        gone: gone(&changes),
        state: &state,
        manifests,
        vault,
        source,
        diagnostics,
    };
    let mut addresses = HashSet::new();
    let mut made = Vec::new();
    // Parents come before what is inside them.
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|change| change.address.contains('#'));
    for change in sorted {
        let Ok(address) = change.address.parse::<Address>() else { continue };
        if !is_wanted(undo, &address) {
            continue;
        }
        if change.end.as_ref().is_some_and(|end| end.outcome == "skipped") {
            continue;
        }
        match restoring.object(change, &address) {
            Ok(Some(())) => {
                addresses.insert(address);
            }
            Ok(None) => made.push(change.address.as_str()),
            Err(why) => {
                let message = format!("`{}` cannot be restored: {why}.", change.address);
                restoring.diagnostics.push(Diagnostic::warning("PL0811", message).about(&change.address));
            }
        }
    }
    if !made.is_empty() {
        let names: Vec<String> = made.iter().take(5).map(|address| format!("`{address}`")).collect();
        let more = if made.len() > 5 { format!(" and {} more", made.len() - 5) } else { String::new() };
        let message = format!(
            "The run also made or took over, or dropped from the record: {}{more}. That stays as it is.",
            names.join(", ")
        );
        restoring.diagnostics.push(
            Diagnostic::note("PL0812", message)
                .hint("Take their manifests out and apply with `--prune` to delete what was made."),
        );
    }
    Ok(Restored { run, addresses })
}

fn is_wanted(undo: &Undo, address: &Address) -> bool {
    let own = address.to_string();
    let manifest = address.manifest().to_string();
    undo.targets.is_empty() || undo.targets.iter().any(|target| *target == own || *target == manifest)
}

/// Addresses of what the run deleted, by connection, kind and id: what refers to it refers to what is made anew.
fn gone(changes: &[Change]) -> HashMap<(String, String, String), String> {
    changes
        .iter()
        .filter(|change| matches!(change.action.as_str(), "delete" | "replace"))
        .filter_map(|change| {
            Some(((change.connection.clone(), change.kind.clone(), change.id.clone()?), change.address.clone()))
        })
        .collect()
}

struct Restoring<'a> {
    manifests: &'a mut Manifests,
    index: HashMap<Address, usize>,
    gone: HashMap<(String, String, String), String>,
    state: &'a State,
    vault: &'a Vault,
    source: SourceId,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Restoring<'_> {
    /// Declares an object as it was before; nothing where there is nothing to bring back.
    fn object(&mut self, change: &Change, address: &Address) -> Result<Option<()>, String> {
        let was_there = change.before.is_some();
        match change.action.as_str() {
            "update" | "replace" | "delete" if was_there => {}
            // What an adoption changed was an update of what was there.
            "adopt" if was_there && !change.fields.is_empty() => {}
            "create" | "adopt" | "forget" => return Ok(None),
            _ => return Err("how it was before is not known".into()),
        }
        if !self.manifests.connections.contains_key(&change.connection) {
            return Err(format!("its connection `{}` is not declared any more", change.connection));
        }
        let kind = self.kind(change, address)?;
        let at = match self.index.get(address) {
            Some(at) => *at,
            None => self.declare(address, &kind, change)?,
        };
        let before = change.before.clone().unwrap_or_default();
        let deleted = change.action == "delete" && !self.is_archived(address);
        let own = &self.manifests.objects[at];
        let mut spec = own.spec.clone();
        if deleted {
            spec = self.whole(&kind, &before, change, &spec)?;
        } else {
            let changed: BTreeSet<String> =
                change.fields.iter().filter_map(|field| Some(unescape(field.path.split('/').nth(1)?))).collect();
            for name in changed {
                self.set_back(&kind, &name, &before, change, &mut spec)?;
            }
        }
        let own = &mut self.manifests.objects[at];
        own.spec = spec;
        own.missing.clear();
        own.annotations.ignore_drift.clear();
        own.annotations.clear.clear();
        if deleted && let Some(record) = &change.record {
            own.annotations.deletion_policy = record.deletion_policy;
            own.annotations.protect |= record.protect;
        }
        Ok(Some(()))
    }

    fn is_archived(&self, address: &Address) -> bool {
        self.state.objects.contains_key(&address.to_string())
    }

    fn kind(&self, change: &Change, address: &Address) -> Result<Arc<Kind>, String> {
        let api = self.manifests.catalog.api(&address.api);
        let kind = api.and_then(|api| match &address.entry {
            Some((field, _)) => api.inside(&address.kind, field).cloned(),
            None => api.kind(&address.kind).cloned(),
        });
        kind.ok_or_else(|| format!("the kind `{}` is not described any more", change.kind))
    }

    /// Adds a manifest for what is not declared any more; that of its parent too.
    fn declare(&mut self, address: &Address, kind: &Arc<Kind>, change: &Change) -> Result<usize, String> {
        let recorded = self.state.objects.get(&address.to_string()).cloned();
        let record = recorded.as_deref().or(change.record.as_ref());
        let parent = match address.entry {
            None => None,
            Some(_) => Some(self.parent_of(address)?),
        };
        Ok(self.add(address, kind, &change.connection, record, parent))
    }

    /// The manifest that an entry is inside.
    fn parent_of(&mut self, address: &Address) -> Result<usize, String> {
        let own = address.manifest();
        if let Some(at) = self.index.get(&own) {
            return Ok(*at);
        }
        let api = self.manifests.catalog.api(&own.api);
        let kind = api.and_then(|api| api.kind(&own.kind)).cloned();
        let record = self.state.objects.get(&own.to_string()).cloned();
        match (kind, record) {
            (Some(kind), Some(record)) => Ok(self.add(&own, &kind, &record.connection.clone(), Some(&record), None)),
            _ => Err(format!("`{own}`, which it is inside, is neither declared nor owned any more")),
        }
    }

    fn add(
        &mut self,
        address: &Address,
        kind: &Arc<Kind>,
        connection: &str,
        record: Option<&Record>,
        parent: Option<usize>,
    ) -> usize {
        let applied = record.map(|record| record.applied.clone()).unwrap_or_default();
        let spec = applied
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), self.spoken(kind.field(name)?, value, connection))))
            .filter(|(_, value)| self.is_known(value))
            .collect();
        let annotations = Annotations {
            deletion_policy: record.and_then(|record| record.deletion_policy),
            protect: record.is_some_and(|record| record.protect),
            ..Annotations::default()
        };
        let at = self.manifests.objects.len();
        self.manifests.objects.push(Manifest {
            address: address.clone(),
            kind: kind.clone(),
            connection: connection.to_owned(),
            spec,
            parent,
            labels: BTreeMap::new(),
            annotations,
            document: DocumentRef { source: self.source, index: 0, item: None },
            pointer: "/spec".into(),
            missing: Vec::new(),
        });
        self.index.insert(address.clone(), at);
        at
    }

    /// All that is known of an object that was deleted.
    fn whole(&mut self, kind: &Kind, before: &Fields, change: &Change, declared: &Fields) -> Result<Fields, String> {
        let applied = change.record.as_ref().map(|record| &record.applied);
        let mut spec = Fields::new();
        let mut lost = Vec::new();
        for (name, field) in &kind.spec.fields {
            if field.read_only || field.not_sent {
                continue;
            }
            let live = before.get(name).filter(|value| !value.is_null());
            let recorded = applied.and_then(|applied| applied.get(name));
            // What the API never shows is known from what was applied, by its hash.
            let Some(value) = live.or(recorded) else { continue };
            let is_declared = recorded.is_some() || declared.contains_key(name);
            if !is_declared && (field.update_only || is_usual(field, value)) {
                continue;
            }
            match self.harmless(value) {
                Some(value) => {
                    let value = self.spoken(field, &value, &change.connection);
                    spec.insert(name.clone(), value);
                }
                None if declared.contains_key(name) && self.is_known(&declared[name]) => {
                    spec.insert(name.clone(), declared[name].clone());
                }
                None => lost.push(name.clone()),
            }
        }
        for (name, value) in declared {
            if !lost.contains(name) && !spec.contains_key(name) {
                spec.insert(name.clone(), value.clone());
            }
        }
        let needed: Vec<String> = kind
            .spec
            .fields
            .iter()
            .filter(|(name, field)| field.required && field.default.is_none() && !spec.contains_key(*name))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !needed.is_empty() {
            return Err(format!(
                "to create it the API needs {}, and the history has no secrets and no files",
                needed.join(", ")
            ));
        }
        if !lost.is_empty() {
            let names: Vec<String> = lost.iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "`{}` is restored without {}: the history has no secrets and no files.",
                change.address,
                names.join(", ")
            );
            self.diagnostics.push(
                Diagnostic::warning("PL0811", message)
                    .about(&change.address)
                    .hint("Declare it again, with its secrets, and apply that."),
            );
        }
        Ok(spec)
    }

    /// Declares a field as it was before.
    fn set_back(
        &mut self,
        kind: &Kind,
        name: &str,
        before: &Fields,
        change: &Change,
        spec: &mut Fields,
    ) -> Result<(), String> {
        let free = FieldSpec::default();
        let field = kind.field(name).unwrap_or(&free);
        if field.write_only {
            return Err(format!("`{name}` is never shown by the API, and the history has no secrets"));
        }
        // What no answer shows is known from what was applied.
        let recorded = || change.record.as_ref()?.applied.get(name);
        let live = before.get(name).or_else(recorded).unwrap_or(&Value::Null);
        let Some(value) = self.harmless(live) else {
            return Err(format!("`{name}` is a secret or may be one, or a file, and the history has none"));
        };
        let value = self.spoken(field, &value, &change.connection);
        // Of maps only the members that were changed are the run's.
        if matches!(field.ty, FieldType::Map)
            && let Value::Object(then) = &value
            && spec.get(name).is_some_and(Value::is_object)
        {
            let prefix = format!("/{}/", crate::address::escape(name));
            let applied = recorded();
            for path in change.fields.iter().filter_map(|field| field.path.strip_prefix(&prefix)) {
                let key = unescape(path.split('/').next().unwrap_or(path));
                // What no answer shows is known from what was applied; what neither has was not there.
                let old = then.get(&key).or_else(|| applied?.get(&key)).unwrap_or(&Value::Null);
                let Some(old) = self.harmless(old) else {
                    return Err(format!("`{name}.{key}` is a secret or a file, and the history has none"));
                };
                let old = self.spoken(field, &old, &change.connection);
                if let Some(Value::Object(now)) = spec.get_mut(name) {
                    now.insert(key, old);
                }
            }
            return Ok(());
        }
        if value.is_null() && field.required {
            return Err(format!("`{name}` had no value, and the API takes none"));
        }
        spec.insert(name.to_owned(), value);
        Ok(())
    }

    /// A value, if it has no secret that is not known now, and no file.
    fn harmless(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(members) => {
                if secret_hash(value).is_some() {
                    return Some(value.clone()).filter(|value| self.is_known(value));
                }
                if file(value).is_some() || sink(value).is_some() {
                    return None;
                }
                members
                    .iter()
                    .map(|(name, value)| Some((name.clone(), self.harmless(value)?)))
                    .collect::<Option<_>>()
                    .map(Value::Object)
            }
            Value::Array(items) => {
                items.iter().map(|item| self.harmless(item)).collect::<Option<_>>().map(Value::Array)
            }
            other => Some(other.clone()),
        }
    }

    fn is_known(&self, value: &Value) -> bool {
        match value {
            _ if !has_secret(value) => file(value).is_none() && sink(value).is_none(),
            Value::Object(members) => match secret_hash(value) {
                Some(hash) => self.vault.open(hash).is_some(),
                None => members.values().all(|value| self.is_known(value)),
            },
            Value::Array(items) => items.iter().all(|item| self.is_known(item)),
            _ => true,
        }
    }

    /// A canonical value as a manifest has it. References to what the run deleted are words again, since that is made
    /// anew; all others are known already.
    fn spoken(&self, field: &FieldSpec, value: &Value, connection: &str) -> Value {
        if let Some((kind, target)) = as_reference(value) {
            return self.reference(field, kind, &target, connection).map_or_else(|| value.clone(), Value::String);
        }
        let free = FieldSpec::default();
        match value {
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    let own = field.fields.get(name).or(field.items.as_deref()).unwrap_or(&free);
                    (name.clone(), self.spoken(own, value, connection))
                };
                Value::Object(members.iter().map(member).collect())
            }
            Value::Array(items) => {
                let own = field.items.as_deref().unwrap_or(&free);
                items.iter().map(|item| self.spoken(own, item, connection)).collect()
            }
            other => other.clone(),
        }
    }

    fn reference(&self, field: &FieldSpec, kind: &str, target: &Target, connection: &str) -> Option<String> {
        let several = field.reference.as_ref().is_some_and(|one| !one.kinds.is_empty() || one.wire_prefix.is_some());
        let address = match target {
            Target::Id(id) => {
                self.gone.get(&(connection.to_owned(), kind.to_owned(), id.clone()))?.parse::<Address>().ok()?
            }
            Target::New(address) => address.parse().ok()?,
            Target::Field(..) => return None,
        };
        let words = address.entry.is_none().then(|| format!("ref:{}", address.name))?;
        Some(if several { format!("{kind}/{words}") } else { words })
    }
}

/// Whether a value is what the server fills in anyway.
fn is_usual(field: &FieldSpec, value: &Value) -> bool {
    crate::value::is_empty(value) || field.default.as_ref() == Some(value)
}
