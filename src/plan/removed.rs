//! What the inventory owns and no manifest declares → deletions, forgettings, and what stays; with their limits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Action, ActionKind, Reason,
    build::{Draft, Inputs, Mode},
    show::Shown,
    step::{Operation, Step},
};
use crate::{
    address::Address,
    description::{Catalog, Kind, contained_by, format::Verb},
    diagnostic::Diagnostic,
    inventory::Record,
    live::{Container, LiveObject, each_reference, is_another, record_sources},
    manifest::{DeletionPolicy, Manifests, MaxDeletes, Reconcile},
    value::{Fields, Target, as_reference, text},
};

/// Deletions at most without `--max-deletes`.
pub const MAX_DELETES: usize = 10;
/// Share of a kind that may be deleted without `--max-deletes`, in percent, where it has over [`MAX_DELETES`] objects.
pub const MAX_SHARE: f64 = 30.0;

/// What becomes of a live object whose resource goes, as the resource itself says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Going {
    /// Its deletion policy.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether it is protected.
    pub protect: bool,
}

/// Where the steps go.
pub(super) struct Removed<'a> {
    pub(super) out: &'a mut Draft,
}

/// What becomes of an owned object whose manifest is gone.
enum Fate {
    Delete,
    Forget(String),
    Archive,
    Retain(String),
    Refuse(Diagnostic),
}

/// An owned object, and what becomes of it.
type Fated = (Address, Record, Arc<Kind>, Fate, Option<LiveObject>);

/// Adds the steps of what is no longer declared.
pub(super) fn draft(inputs: &Inputs<'_>, shown: &Shown, step_of: &HashMap<usize, usize>, to: &mut Removed<'_>) {
    let kept = undeclared_steps(inputs, shown, step_of, to);
    contents(inputs, &kept, to);
}

/// Adds the steps, and gives the addresses of what stays.
#[expect(clippy::too_many_lines, reason = "one fate after another, each a rule of its own")]
fn undeclared_steps(
    inputs: &Inputs<'_>,
    shown: &Shown,
    step_of: &HashMap<usize, usize>,
    to: &mut Removed<'_>,
) -> HashSet<String> {
    let mut undeclared = undeclared(inputs);
    undeclared.retain(|(address, _)| !to.out.taken.contains(&address.to_string()));
    // What is not pruned stays.
    let all = |list: &[(Address, Record)]| list.iter().map(|(address, _)| address.to_string()).collect();
    if undeclared.is_empty() {
        return HashSet::new();
    }
    let destroy = inputs.mode == Mode::Destroy;
    if !destroy && !inputs.prune && inputs.going.is_none() {
        let kept = all(&undeclared);
        for (address, _) in undeclared {
            to.out.undeclared.push((address.to_string(), "prune is off".to_owned()));
        }
        return kept;
    }
    if let Some(why) = blocked(inputs) {
        let mut list: Vec<String> = undeclared.iter().map(|(address, _)| address.to_string()).collect();
        list.truncate(10);
        to.out.diagnostics.push(why.hint(format!("Owned and not declared: {}.", list.join(", "))));
        let kept = all(&undeclared);
        for (address, _) in undeclared {
            to.out.undeclared.push((address.to_string(), "nothing is pruned in this run".to_owned()));
        }
        return kept;
    }
    let mut made: HashMap<String, usize> = HashMap::new();
    let mut kept: HashSet<String> = HashSet::new();
    let failed: HashSet<(&str, &str)> =
        inputs.observed.failed.iter().map(|(connection, kind)| (&**connection, kind.as_str())).collect();
    let mut fates: Vec<Fated> = Vec::new();
    for (address, record) in undeclared {
        let Some(kind) = kind_of(inputs.manifests, &address) else {
            to.out.diagnostics.push(
                Diagnostic::warning(
                    "PL0607",
                    format!("`{address}` is owned, and its API or kind is not described any more: it is left alone."),
                )
                .hint(format!("`plumb forget {address}` drops it from the inventory.")),
            );
            continue;
        };
        let connection: Arc<str> = record.connection.as_str().into();
        if to.out.meant.contains(&address.to_string()) {
            to.out.undeclared.push((address.to_string(), "another manifest means it".to_owned()));
            kept.insert(address.to_string());
            continue;
        }
        if failed.contains(&(&*connection, kind.name.as_str()))
            || !inputs.manifests.connections.contains_key(&record.connection)
        {
            to.out.undeclared.push((address.to_string(), "it could not be looked at".to_owned()));
            kept.insert(address.to_string());
            continue;
        }
        let live = live_of(inputs, &connection, &address, &kind, &record).cloned();
        // What was not found counts as gone only where a whole list, or a read of its own, says so.
        let troubled = || failed.iter().any(|(other, _)| *other == &*connection);
        if live.is_none() && troubled() && !is_proven_gone(inputs, &connection, &kind, &record) {
            to.out.undeclared.push((address.to_string(), "it could not be looked at".to_owned()));
            kept.insert(address.to_string());
            continue;
        }
        let fate = fate(&address, &record, &kind, live.as_ref());
        if matches!(fate, Fate::Delete) && inside_unseen(inputs, &address, &kind, &connection, &failed) {
            to.out.undeclared.push((address.to_string(), "what it contains could not be looked at".to_owned()));
            kept.insert(address.to_string());
            continue;
        }
        fates.push((address, record, kind, fate, live));
    }
    keep_used(&mut fates);
    for (address, _, _, fate, _) in &fates {
        if matches!(fate, Fate::Retain(_) | Fate::Forget(_) | Fate::Archive | Fate::Refuse(_)) {
            kept.insert(address.to_string());
        }
    }
    let parents = |fits: fn(&Fate) -> bool| -> HashSet<String> {
        let fated = fates.iter().filter(|(address, _, _, fate, _)| address.entry.is_none() && fits(fate));
        fated.map(|(address, ..)| address.to_string()).collect()
    };
    let gone = parents(|fate| matches!(fate, Fate::Delete));
    let forgotten = parents(|fate| matches!(fate, Fate::Forget(_)));
    let staying = parents(|fate| matches!(fate, Fate::Retain(_) | Fate::Archive));
    let moved = moved(to);
    for (address, record, kind, fate, live) in fates {
        let parent = address.manifest().to_string();
        // Entries that vanish with their parent are no actions; those of one that is forgotten or stays share its fate.
        if address.entry.is_some() && gone.contains(&parent) {
            continue;
        }
        let fate = if address.entry.is_some() && moved.contains(&(parent.clone(), entry_field(&address))) {
            Fate::Forget("it goes with what changes of its parent".to_owned())
        } else if address.entry.is_some() && forgotten.contains(&parent) {
            Fate::Forget("its parent is forgotten".to_owned())
        } else if address.entry.is_some() && staying.contains(&parent) {
            Fate::Retain("its parent stays".to_owned())
        } else {
            fate
        };
        let (action, operation, note) = match fate {
            Fate::Retain(why) => {
                let told = format!("`{address}` stays, and stays owned: {why}.");
                to.out.diagnostics.push(Diagnostic::note("PL0612", told).about(&address));
                to.out.undeclared.push((address.to_string(), why));
                continue;
            }
            Fate::Refuse(told) => {
                to.out.diagnostics.push(told.about(&address));
                continue;
            }
            Fate::Forget(why) => {
                let goes = address.entry.is_some() && moved.contains(&(parent.clone(), entry_field(&address)));
                let what = if goes { "It is not deleted by plumb" } else { "The live object stays" };
                (ActionKind::Forget, Operation::Record, Some(format!("{what}: {why}.")))
            }
            Fate::Archive => {
                (ActionKind::Update, Operation::Update, Some("It is archived instead of deleted.".to_owned()))
            }
            Fate::Delete if live.is_none() => {
                (ActionKind::Forget, Operation::Record, Some("It is gone already.".to_owned()))
            }
            Fate::Delete => (
                ActionKind::Delete,
                Operation::Delete,
                kind.spec.delete_loses.as_ref().map(|loses| format!("Deleting it destroys {loses}.")),
            ),
        };
        let archive = matches!((&action, &kind.spec.archive), (ActionKind::Update, Some(_)));
        let mut desired = Fields::new();
        let mut send = Vec::new();
        let mut changes = Vec::new();
        if archive && let Some(archive) = &kind.spec.archive {
            // Where the API does not say, what was written last is taken to be there still.
            let seen = live.as_ref().and_then(|live| live.fields.get(&archive.field));
            if seen.or_else(|| record.applied.get(&archive.field)) == Some(&archive.value) {
                to.out.undeclared.push((address.to_string(), "it is archived".to_owned()));
                continue;
            }
            desired.insert(archive.field.clone(), archive.value.clone());
            send.push(archive.field.clone());
            changes.push(super::Change {
                path: format!("/{}", archive.field),
                op: crate::diff::ChangeOp::Replace,
                before: live.as_ref().and_then(|live| live.fields.get(&archive.field)).map(|value| shown.value(value)),
                after: Some(archive.value.clone()),
                sensitive: false,
                drift: false,
            });
        }
        made.insert(address.to_string(), to.out.steps.len());
        to.out.steps.push(Step {
            action: Action {
                action,
                address: address.to_string(),
                connection: record.connection.clone(),
                api: address.api.to_string(),
                kind: address.kind.to_string(),
                name: address.name.to_string(),
                id: Some(record.id.clone()),
                reason: Reason::Removed,
                depends_on: Vec::new(),
                changes,
                requests: Vec::new(),
                notes: note.into_iter().collect(),
                outcome: None,
                error: None,
                drifted: false,
            },
            operation,
            waits: None,
            object: None,
            kind,
            specs: None,
            desired,
            send,
            parent: record.parent.clone(),
            live: live.map(Arc::new),
            record: Some((address.to_string(), record)),
            parent_new: None,
            prune: true,
            archive,
            embedded: false,
            seen: Vec::new(),
            join: None,
            makes_join: false,
            after: Vec::new(),
            level: 0,
            ours: false,
            rollout: None,
            declared: Vec::new(),
        });
    }
    order(inputs, step_of, &made, to);
    limits(inputs, to);
    kept.retain(|address| !made.contains_key(address));
    kept
}

/// Keeps what objects use that live on although their manifests are gone: without it they would be broken, or the API
/// would refuse. What is used by an object that stays owned stays owned, too.
fn keep_used(fates: &mut [Fated]) {
    let place: HashMap<String, usize> =
        fates.iter().enumerate().map(|(place, (address, ..))| (address.to_string(), place)).collect();
    let stays = |(_, _, _, fate, live): &Fated| match fate {
        Fate::Forget(_) => live.is_some(),
        Fate::Retain(_) | Fate::Archive | Fate::Refuse(_) => true,
        Fate::Delete => false,
    };
    let mut open: Vec<usize> = (0..fates.len()).filter(|place| stays(&fates[*place])).collect();
    while let Some(user) = open.pop() {
        let (address, record, kind, fate, _) = &fates[user];
        let (record, kind) = (record.clone(), kind.clone());
        let (name, forgotten) = (address.to_string(), matches!(fate, Fate::Forget(_)));
        let manifest = address.manifest().to_string();
        let used: Vec<usize> = record.depends_on.iter().filter_map(|target| place.get(target)).copied().collect();
        for target in used {
            let needs = is_needed(&kind, &record, &fates[target]);
            let (other, _, _, fate, live) = &mut fates[target];
            // Entries that are a part of what uses them are no uses of others.
            let apart = other.manifest().to_string() != manifest;
            if !(matches!(fate, Fate::Delete) && live.is_some() && apart && needs) {
                continue;
            }
            let why = format!("`{name}`, which stays, uses it");
            *fate = if forgotten { Fate::Forget(why) } else { Fate::Retain(why) };
            open.push(target);
        }
    }
}

/// Whether an object cannot be without one that it uses, or the API does not let that go.
fn is_needed(user: &Kind, record: &Record, (_, used, kind, ..): &Fated) -> bool {
    if kind.spec.kept_while_used {
        return true;
    }
    let names = |target: Target| match target {
        Target::Id(id) => id == used.id,
        Target::Field(field, words) => match used.applied.get(&field).and_then(text) {
            Some(known) => known == words,
            None => used.id.rsplit('/').next() == Some(&*words),
        },
        Target::New(_) => false,
    };
    record.applied.iter().any(|(name, value)| {
        let mut found = false;
        if user.field(name).is_some_and(|field| field.required) {
            each_reference(value, &mut |other, target| found |= other == kind.name && names(target));
        }
        found
    })
}

/// The field that lists an entry.
fn entry_field(address: &Address) -> String {
    address.entry.as_ref().map(|(field, _)| field.to_string()).unwrap_or_default()
}

/// Manifests whose entries in a field go with what else changes of the object.
fn moved(to: &Removed<'_>) -> HashSet<(String, String)> {
    let mut out = HashSet::new();
    for step in &to.out.steps {
        let effects = step.send.iter().filter_map(|name| step.kind.field(name)?.effect.as_ref());
        for field in effects.flat_map(|effect| &effect.destroys) {
            if super::effects::destroys(step, field) {
                out.insert((step.action.address.clone(), field.clone()));
            }
        }
    }
    out
}

/// Owned objects that this run's manifests do not declare, and that it may look at.
fn undeclared(inputs: &Inputs<'_>) -> Vec<(Address, Record)> {
    let mut declared: HashSet<String> = HashSet::new();
    if inputs.mode != Mode::Destroy {
        for object in &inputs.manifests.objects {
            declared.insert(object.address.to_string());
            declared.extend(record_sources(object, inputs.manifests));
        }
        declared.extend(inputs.manifests.broken.iter().map(ToString::to_string));
    }
    let broken: HashSet<String> =
        inputs.manifests.broken.iter().map(|address| address.manifest().to_string()).collect();
    let disabled: HashSet<String> = inputs
        .manifests
        .objects
        .iter()
        .filter(|object| object.annotations.reconcile != Reconcile::Enforce)
        .map(|object| object.address.manifest().to_string())
        .collect();
    // A selection narrows a `destroy` to the declared objects that it chose.
    let selected: Option<HashSet<String>> = inputs
        .only
        .filter(|_| inputs.mode == Mode::Destroy)
        .map(|only| only.iter().map(|index| inputs.manifests.objects[*index].address.to_string()).collect());
    inputs
        .state
        .objects
        .iter()
        .filter(|(address, _)| !declared.contains(*address))
        .filter_map(|(address, record)| Some((address.parse::<Address>().ok()?, Record::clone(record))))
        .filter(|(address, _)| {
            let manifest = address.manifest().to_string();
            !broken.contains(&manifest)
                && !disabled.contains(&manifest)
                && selected.as_ref().is_none_or(|selected| selected.contains(&address.to_string()))
        })
        .filter_map(|(address, record)| match inputs.going {
            Some(going) => goes(going, inputs.prune_entries, &declared, address, record),
            None => Some((address, record)),
        })
        .collect()
}

/// An owned object as the resource that goes says of it; nothing where it does not go.
fn goes(
    going: &BTreeMap<String, Going>,
    prune_entries: bool,
    declared: &HashSet<String>,
    address: Address,
    mut record: Record,
) -> Option<(Address, Record)> {
    let manifest = address.manifest().to_string();
    if let Some(said) = going.get(&manifest) {
        record.deletion_policy = said.deletion_policy;
        record.protect = said.protect;
        return Some((address, record));
    }
    (prune_entries && address.entry.is_some() && declared.contains(&manifest)).then_some((address, record))
}

/// Why nothing may be pruned in this run at all.
fn blocked(inputs: &Inputs<'_>) -> Option<Diagnostic> {
    // What goes in a cluster was deleted there one by one, whatever else can be read.
    if inputs.mode == Mode::Destroy || inputs.going.is_some() {
        return None;
    }
    if inputs.only.is_some() {
        return Some(Diagnostic::note(
            "PL0606",
            "Nothing is pruned in a run that looks at a part of the stack only (`--target`, `--exclude`, `-l`).",
        ));
    }
    if inputs.empty_source {
        return Some(
            Diagnostic::refusal("PL0604", "The source has no manifests at all: an empty source never prunes.")
                .hint("If everything is to go, use `plumb destroy`."),
        );
    }
    if inputs.manifests.incomplete {
        return Some(Diagnostic::warning(
            "PL0608",
            "Some manifests could not be read: nothing is pruned, because what is missing may be declared there.",
        ));
    }
    let missing: Vec<String> =
        inputs.state.roots.iter().filter(|root| !inputs.roots.contains(root)).map(|root| format!("`{root}`")).collect();
    if !missing.is_empty() {
        return Some(
            Diagnostic::refusal("PL0605", format!("The stack was applied from {} too, which this run does not read: nothing is pruned.", missing.join(", ")))
                .hint("Give all of them with `-f`. If the manifests moved for good, apply once without `--prune` and with `--adopt-roots`, which makes this run's roots the stack's."),
        );
    }
    if is_another_stack(inputs) {
        let told = "Nothing that the stack owns is declared in this run: the manifests look like another stack's, and nothing is pruned.";
        return Some(Diagnostic::refusal("PL0605", told).hint(
            "Give stacks that share an inventory names of their own (`kind: Stack`). If these manifests do take the place of all that the stack owned, apply them once without `--prune`.",
        ));
    }
    None
}

/// Whether a run declares objects, and none of several that the stack owns: another folder of the same name does.
fn is_another_stack(inputs: &Inputs<'_>) -> bool {
    let owned: Vec<&String> = inputs.state.objects.keys().filter(|address| !address.contains('#')).collect();
    if !inputs.shared_inventory || owned.len() < 2 || inputs.manifests.objects.is_empty() {
        return false;
    }
    let declared: HashSet<String> = inputs
        .manifests
        .objects
        .iter()
        .filter(|object| object.parent.is_none())
        .flat_map(|object| {
            let own = object.address.to_string();
            record_sources(object, inputs.manifests).into_iter().chain([own])
        })
        .chain(inputs.manifests.broken.iter().map(|address| address.manifest().to_string()))
        .collect();
    !owned.iter().any(|address| declared.contains(*address))
}

fn kind_of(manifests: &Manifests, address: &Address) -> Option<Arc<Kind>> {
    let api = manifests.catalog.api(&address.api)?;
    match &address.entry {
        Some((field, _)) => api.inside(&address.kind, field).cloned(),
        None => api.kind(&address.kind).cloned(),
    }
}

/// Whether an object that was not found is known not to be there, although other reads of its connection failed.
fn is_proven_gone(inputs: &Inputs<'_>, connection: &Arc<str>, kind: &Kind, record: &Record) -> bool {
    let observed = inputs.observed;
    observed.complete.contains(&(connection.clone(), kind.name.clone()))
        || observed.gone.contains(&(connection.clone(), kind.name.clone(), record.id.clone()))
}

/// Whether a read failed of a kind whose objects an object of this one contains: deleting it might delete them.
fn inside_unseen(
    inputs: &Inputs<'_>,
    address: &Address,
    kind: &Kind,
    connection: &str,
    failed: &HashSet<(&str, &str)>,
) -> bool {
    let Some(api) = inputs.manifests.catalog.api(&address.api) else { return false };
    api.kinds
        .values()
        .filter(|inner| !contained_by(inner, &kind.name).is_empty())
        .any(|inner| failed.contains(&(connection, inner.name.as_str())))
}

fn live_of<'o>(
    inputs: &'o Inputs<'_>,
    connection: &Arc<str>,
    address: &Address,
    kind: &Kind,
    record: &Record,
) -> Option<&'o LiveObject> {
    let id = if kind.inside().is_some() && !kind.spec.id.local {
        // An entry's address names its parent's kind.
        format!("{}/{}", kind.among(&address.kind, record.parent.as_deref().unwrap_or_default()), record.id)
    } else {
        record.id.clone()
    };
    inputs.observed.by_id(connection, &kind.name, &id)
}

fn fate(address: &Address, record: &Record, kind: &Kind, live: Option<&LiveObject>) -> Fate {
    let explicit = record.deletion_policy;
    if record.protect {
        return Fate::Refuse(
            Diagnostic::refusal("PL0601", format!("`{address}` is no longer declared, and is protected."))
                .hint("Declare it again without `plumb.dev/protect`, apply that, and then take it away; or `plumb forget` it."),
        );
    }
    if live.is_some_and(|live| is_another(live, record)) {
        return Fate::Forget("it was deleted, and somebody made another under its name".to_owned());
    }
    if live.is_some_and(|live| live.never_delete) {
        return Fate::Refuse(Diagnostic::refusal(
            "PL0602",
            format!("`{address}` must never be deleted: it is the account's own {}.", kind.name),
        ));
    }
    match explicit {
        Some(DeletionPolicy::Retain) => return Fate::Retain("its deletion policy is `retain`".to_owned()),
        Some(DeletionPolicy::Archive) if kind.spec.archive.is_some() => return Fate::Archive,
        Some(DeletionPolicy::Archive) => {
            return Fate::Retain("its deletion policy is `archive`, which the API cannot".to_owned());
        }
        Some(DeletionPolicy::Delete) | None => {}
    }
    if !kind.can(Verb::Delete) {
        return if record.adopted || kind.spec.singleton {
            Fate::Forget("it was there before plumb and the API cannot delete it".to_owned())
        } else {
            Fate::Retain("the API cannot delete it".to_owned())
        };
    }
    if explicit == Some(DeletionPolicy::Delete) {
        return Fate::Delete;
    }
    if let Some(why) = kind.spared(record.adopted) {
        return Fate::Forget(why);
    }
    Fate::Delete
}

/// Deletions go in reverse order, and after every change that takes a use of the deleted object away.
fn order(inputs: &Inputs<'_>, step_of: &HashMap<usize, usize>, made: &HashMap<String, usize>, to: &mut Removed<'_>) {
    let mut users: HashMap<&str, Vec<usize>> = HashMap::new();
    let declared: HashMap<String, usize> =
        step_of.iter().map(|(object, step)| (inputs.manifests.objects[*object].address.to_string(), *step)).collect();
    for (address, record) in &inputs.state.objects {
        let step = made.get(address).or_else(|| declared.get(address));
        if let Some(step) = step {
            for target in &record.depends_on {
                users.entry(target.as_str()).or_default().push(*step);
            }
        }
    }
    // An entry that takes a value which a removed one holds comes after it, or the API refuses it.
    let mut freed: HashMap<(String, String, String, String), usize> = HashMap::new();
    for step in made.values() {
        let gone = &to.out.steps[*step];
        let (Some(inside), Some(live)) = (gone.kind.inside(), &gone.live) else { continue };
        if gone.operation != Operation::Delete {
            continue;
        }
        for field in &inside.unique {
            if let Some(value) = live.fields.get(field).and_then(crate::value::text) {
                freed.insert(
                    (gone.kind.name.clone(), gone.parent.clone().unwrap_or_default(), field.clone(), value),
                    *step,
                );
            }
        }
    }
    let mut edges: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for step in step_of.values() {
        let taking = &to.out.steps[*step];
        let Some(inside) = taking.kind.inside() else { continue };
        for field in &inside.unique {
            let Some(value) = taking.desired.get(field).and_then(crate::value::text) else { continue };
            let slot = (taking.kind.name.clone(), taking.parent.clone().unwrap_or_default(), field.clone(), value);
            if let Some(freeing) = freed.get(&slot) {
                edges.entry(*step).or_default().push(*freeing);
            }
        }
    }
    let early: HashSet<usize> = edges.values().flatten().copied().collect();
    for (address, step) in made {
        if early.contains(step) {
            continue;
        }
        let list = edges.entry(*step).or_default();
        list.extend(users.get(address.as_str()).into_iter().flatten().copied().filter(|user| user != step));
    }
    for (step, mut list) in edges {
        let after = &mut to.out.steps[step].after;
        after.append(&mut list);
        after.sort_unstable();
        after.dedup();
    }
}

/// Refuses to delete, and to make anew, what contains live objects that the stack does not own, or that stay.
fn contents(inputs: &Inputs<'_>, kept: &HashSet<String>, to: &mut Removed<'_>) {
    let mut refused = Vec::new();
    let mut owned: HashMap<(&str, String, &str), &str> = HashMap::new();
    for (address, record) in &inputs.state.objects {
        let kind: String = address.split('/').nth(1).unwrap_or_default().to_owned();
        owned.insert((record.connection.as_str(), kind, record.id.as_str()), address.as_str());
    }
    let deleted: HashMap<(Arc<str>, String, String), usize> = to
        .out
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| matches!(step.operation, Operation::Delete | Operation::Replace))
        .filter_map(|(number, step)| {
            let id = match step.operation {
                Operation::Replace => step.live.as_ref()?.id.clone(),
                _ => step.action.id.clone().unwrap_or_default(),
            };
            Some(((Arc::from(step.action.connection.as_str()), step.kind.name.clone(), id), number))
        })
        .collect();
    if deleted.is_empty() {
        return;
    }
    let mut strangers: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for live in &inputs.observed.objects {
        if !live.kind.is_declarable() {
            continue;
        }
        let targets: BTreeSet<(String, String)> = live
            .kind
            .spec
            .key
            .iter()
            .chain(live.kind.spec.scope.as_ref().map(|scope| &scope.field))
            .filter_map(|field| match as_reference(live.fields.get(field)?)? {
                (container, Target::Id(id)) if id != live.id || container != live.kind.name => {
                    Some((container.to_owned(), id))
                }
                _ => None,
            })
            .collect();
        for (container, id) in targets {
            let Some(step) = deleted.get(&(live.connection.clone(), container, id)) else { continue };
            let keeper = owned.get(&(&*live.connection, live.kind.name.clone(), live.id.as_str()));
            let goes = keeper.is_some_and(|owner| !kept.contains(*owner));
            if !goes {
                let mut named = live.kind.spec.name_field.iter().map(String::as_str).chain(["name"]);
                let name = named.find_map(|name| live.fields.get(name)?.as_str()).unwrap_or(&live.id);
                strangers.entry(*step).or_default().push(format!("{} `{name}`", live.kind.name));
            }
        }
    }
    for (step, mut list) in strangers {
        let count = list.len();
        list.sort();
        list.truncate(20);
        let gone = &to.out.steps[step];
        let verb = if gone.operation == Operation::Replace { "would be made anew, and contains" } else { "contains" };
        let objects = if count == 1 { "object" } else { "objects" };
        refused.push(
            Diagnostic::refusal(
                "PL0609",
                format!(
                    "`{}` {verb} {count} live {objects} that this stack does not own: {}.",
                    gone.action.address,
                    list.join(", ")
                ),
            )
            .about(&gone.action.address)
            .hint("Delete or move them by hand, or declare them in this stack first."),
        );
    }
    to.out.diagnostics.extend(refused);
}

/// Refuses more deletions than a careful person would expect.
fn limits(inputs: &Inputs<'_>, to: &mut Removed<'_>) {
    if inputs.going.is_some() {
        return;
    }
    let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
    for step in to.out.steps.iter().filter(|step| step.action.action == ActionKind::Delete) {
        *by_kind.entry(list_name(&step.action.address)).or_default() += 1;
    }
    let mut owned: BTreeMap<String, usize> = BTreeMap::new();
    for address in inputs.state.objects.keys() {
        *owned.entry(list_name(address)).or_default() += 1;
    }
    let total: usize = by_kind.values().sum();
    let mut over: Vec<String> = Vec::new();
    match inputs.max_deletes {
        Some(MaxDeletes::Count(limit)) => {
            if total > limit {
                over.push(format!("{total} objects, and the limit is {limit}"));
            }
        }
        Some(MaxDeletes::Percent(limit)) => {
            for (kind, count) in &by_kind {
                let of = owned.get(kind).copied().unwrap_or(*count);
                if share(*count, of) > limit {
                    over.push(format!("{count} of {of} {kind}, and the limit is {limit} %"));
                }
            }
        }
        None => {
            if total > MAX_DELETES {
                over.push(format!("{total} objects, and the limit is {MAX_DELETES}"));
            }
            for (kind, count) in &by_kind {
                let of = owned.get(kind).copied().unwrap_or(*count);
                if of > MAX_DELETES && share(*count, of) > MAX_SHARE {
                    over.push(format!("{count} of {of} {kind}, and the limit is {MAX_SHARE} %"));
                }
            }
        }
    }
    if !over.is_empty() {
        to.out.diagnostics.push(
            Diagnostic::refusal("PL0603", format!("The plan would delete {}.", over.join("; ")))
                .hint(format!("If that is meant, allow it with `--max-deletes {total}`.")),
        );
    }
}

/// What an address names, without the name: `api/Kind`, with the field of an entry.
pub(super) fn list_name(address: &str) -> String {
    let head: Vec<&str> = address.splitn(3, '/').take(2).collect();
    match address.split_once('#').and_then(|(_, entry)| entry.split_once('/')) {
        Some((field, _)) => format!("{}#{field}", head.join("/")),
        None => head.join("/"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of objects are far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Live objects that a plan makes anew and that may contain others.
pub fn emptied(steps: &[Step], catalog: &Catalog) -> Vec<Container> {
    let replaced = steps.iter().filter(|step| step.operation == Operation::Replace);
    let container = |step: &Step| {
        let live = step.live.as_ref()?;
        let api = catalog.api(&live.kind.api)?;
        let contains =
            api.kinds.values().any(|kind| kind.is_declarable() && !contained_by(kind, &live.kind.name).is_empty());
        contains.then(|| Container {
            connection: live.connection.clone(),
            kind: live.kind.clone(),
            id: live.id.clone(),
            parent: live.parent.clone(),
        })
    };
    replaced.filter_map(container).collect()
}
