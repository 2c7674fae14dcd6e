//! Steps → levels, batches and the calls that they announce.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    ActionKind, RequestInfo,
    rollout::start_path,
    step::{Batch, Operation, Step},
};
use crate::{
    description::{
        Kind,
        compiled::{DEFAULT_BULK, full_path},
        format::{BulkSpec, FieldType, IdWire, UpdateStyle, Verb},
    },
    graph::topological,
    live::{fill_path, item_path},
    value::{Fields, Target, as_reference, text},
};

/// Steps that are only recorded, by one write of the inventory.
const RECORDS: usize = 1000;

/// Puts the steps in the order in which they are carried out. Gives the indices of a circle where there is one.
pub(super) fn order(steps: Vec<Step>) -> Result<Vec<Step>, Vec<usize>> {
    let edges: Vec<Vec<usize>> = steps.iter().map(|step| step.after.clone()).collect();
    let sorted = topological(&edges)?;
    let mut position = vec![0; steps.len()];
    for (place, step) in sorted.iter().enumerate() {
        position[*step] = place;
    }
    let mut slots: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut out: Vec<Step> = Vec::with_capacity(slots.len());
    for index in sorted {
        let Some(mut step) = slots.get_mut(index).and_then(Option::take) else { continue };
        step.after = step.after.iter().map(|other| position[*other]).collect();
        step.after.sort_unstable();
        step.level = step.after.iter().map(|other| out[*other].level + 1).max().unwrap_or(0);
        out.push(step);
    }
    for index in 0..out.len() {
        let names = out[index].after.iter().map(|other| out[*other].action.address.clone()).collect();
        out[index].action.depends_on = names;
    }
    Ok(out)
}

/// A call's method and path, with templates that are not known yet left in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// HTTP method.
    pub method: String,
    /// Path below the version path.
    pub path: String,
}

/// The call that creates one object.
pub fn create_route(step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Route {
    let made = as_new(step);
    let step = made.as_ref().unwrap_or(step);
    let kind = &step.kind;
    let by_client = kind.spec.id.client.is_some();
    let nothing = Fields::new();
    let holds =
        |when: &crate::description::format::Condition| crate::diff::holds(step.specs(), when, &step.desired, &nothing);
    let instead =
        kind.spec.create.instead.iter().find(|instead| holds(&instead.when)).map(|instead| instead.path.clone());
    let template = instead.or_else(|| kind.spec.create.path.clone()).unwrap_or_else(|| {
        if by_client { format!("{}/{{id}}", kind.spec.path.trim_end_matches('/')) } else { kind.spec.path.clone() }
    });
    let method =
        kind.spec.create.method.clone().unwrap_or_else(|| if by_client { "PUT".into() } else { "POST".into() });
    Route { method, path: fill(&template, step, ids) }
}

/// The step of an object that is made anew, for which the one that is there does not count; nothing where none is.
fn as_new(step: &Step) -> Option<Step> {
    step.live.is_some().then(|| {
        let mut made = step.clone();
        made.live = None;
        made.action.id = None;
        made
    })
}

/// The call that updates one object.
pub fn update_route(step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Route {
    let spec = &step.kind.spec.update;
    let whole = matches!(spec.style, UpdateStyle::Replace | UpdateStyle::ReplaceFields);
    let usual = if whole { "PUT" } else { "PATCH" };
    let template = item_path(&step.kind, spec.path.as_deref());
    Route { method: spec.method.clone().unwrap_or_else(|| usual.to_owned()), path: fill(&template, step, ids) }
}

/// The call that deletes one object.
pub fn delete_route(step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Route {
    let spec = &step.kind.spec.delete;
    let template = item_path(&step.kind, spec.path.as_deref());
    Route { method: spec.method.clone().unwrap_or_else(|| "DELETE".into()), path: fill(&template, step, ids) }
}

/// The call that creates, updates or deletes many objects.
pub fn bulk_route(step: &Step, bulk: &BulkSpec, operation: Operation, ids: &dyn Fn(&str) -> Option<String>) -> Route {
    let usual = match operation {
        Operation::Create | Operation::Replace | Operation::Record | Operation::Rollout | Operation::Apply => "POST",
        Operation::Update => "PATCH",
        Operation::Delete | Operation::Leftover => "DELETE",
    };
    let template = bulk.path.as_deref().unwrap_or(&step.kind.spec.path);
    let made = if operation == Operation::Create { as_new(step) } else { None };
    let step = made.as_ref().unwrap_or(step);
    Route { method: bulk.method.clone().unwrap_or_else(|| usual.to_owned()), path: fill(template, step, ids) }
}

/// The bulk call of an operation.
pub fn bulk_of(kind: &Kind, operation: Operation) -> Option<&BulkSpec> {
    match operation {
        Operation::Create => kind.spec.bulk.create.as_ref(),
        Operation::Update => kind.spec.bulk.update.as_ref(),
        Operation::Delete => kind.spec.bulk.delete.as_ref(),
        Operation::Replace | Operation::Record | Operation::Rollout | Operation::Leftover | Operation::Apply => None,
    }
}

fn fill(template: &str, step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> String {
    let known = |name: &str| var(name, step, ids);
    let vars = |name: &str| Some(step.kind.path_part(name, &known).unwrap_or_else(|| "{id}".to_owned()));
    let filled = fill_path(template, &vars).unwrap_or_else(|_| template.to_owned());
    // A template that has no value yet stays readable.
    filled.replace("%7Bid%7D", "{id}")
}

/// The value of a path's template for a step.
pub fn var(name: &str, step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match name {
        "id" => {
            if let Some(live) = &step.live {
                return Some(live.id.clone());
            }
            if let Some(field) = &step.kind.spec.id.client
                && let Some(value) = step.desired.get(field)
            {
                return text(value);
            }
            step.action.id.clone()
        }
        "parent" => match &step.parent_new {
            Some(address) => ids(address),
            None => step.parent.clone().or_else(|| reference_var(&step.desired, name, ids)),
        },
        "parentPath" => {
            let parents = &step.kind.inside()?.parents;
            parents.get(&step.action.kind).cloned()
        }
        // An object that is there is reached where it is, not where it is to be.
        field => step
            .live
            .as_ref()
            .and_then(|live| reference_var(&live.fields, field, ids))
            .or_else(|| reference_var(&step.desired, field, ids))
            .or_else(|| step.kind.spec.scope.as_ref().filter(|scope| scope.field == field).and(step.parent.clone()))
            .or_else(|| {
                (step.kind.spec.key.last().map(String::as_str) == Some(field)).then(|| step.action.id.clone())?
            }),
    }
}

fn reference_var(fields: &Fields, field: &str, ids: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let value = fields.get(field)?;
    match as_reference(value) {
        Some((_, Target::Id(id) | Target::Field(_, id))) => Some(id),
        Some((_, Target::New(address))) => ids(&address),
        None => text(value),
    }
}

/// Which batch a step belongs to; none for a batch of its own.
fn group(step: &Step) -> Option<(String, String, Operation, usize, String)> {
    if step.embedded {
        return None;
    }
    if step.operation == Operation::Record {
        return Some((String::new(), String::new(), step.operation, step.level, String::new()));
    }
    if let Some(apply) = &step.kind.apply {
        let (operation, path) = match step.operation {
            Operation::Create | Operation::Update => (Operation::Apply, apply.path.clone()),
            Operation::Delete => (Operation::Delete, apply.delete.as_ref()?.path.clone()),
            _ => return None,
        };
        return Some((step.action.connection.clone(), String::new(), operation, step.level, path));
    }
    let bulk = bulk_of(&step.kind, step.operation)?;
    if step.send.iter().any(|field| bulk.except.contains(field)) && step.operation == Operation::Update {
        return None;
    }
    if step.operation == Operation::Create && step.desired.keys().any(|field| bulk.except.contains(field)) {
        return None;
    }
    let pending = |address: &str| Some(format!("new:{address}"));
    let route = bulk_route(step, bulk, step.operation, &pending);
    Some((step.action.connection.clone(), step.kind.name.clone(), step.operation, step.level, route.path))
}

/// Groups the steps, which are in order, into calls, and writes into each action the calls that it makes.
pub(super) fn batches(steps: &mut [Step]) -> Vec<Batch> {
    let mut groups: BTreeMap<(usize, usize), Batch> = BTreeMap::new();
    let mut open: HashMap<(String, String, Operation, usize, String), usize> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        if step.embedded {
            continue;
        }
        if let Some(key) = group(step) {
            let bulk = bulk_of(&step.kind, step.operation);
            let applied = step.kind.apply.as_ref().map(|apply| apply.max);
            let max = match (step.operation, bulk) {
                (Operation::Record, _) => RECORDS,
                _ if applied.is_some() => applied.flatten().unwrap_or(DEFAULT_BULK).max(1) as usize,
                (_, bulk) => bulk.and_then(|bulk| bulk.max).unwrap_or(DEFAULT_BULK).max(1) as usize,
            };
            if let Some(first) = open.get(&key)
                && let Some(batch) = groups.get_mut(&(step.level, *first))
                && batch.steps.len() < max
            {
                batch.steps.push(index);
                continue;
            }
            open.insert(key, index);
        }
        let only = bulk_of(&step.kind, step.operation)
            .is_some_and(|bulk| bulk.only || step.kind.spec.lacks.contains(&verb(step.operation)));
        groups.insert(
            (step.level, index),
            Batch { steps: vec![index], operation: of_batch(step), bulk: only, level: step.level },
        );
    }
    let mut out: Vec<Batch> = groups.into_values().collect();
    for batch in &mut out {
        batch.bulk |= batch.steps.len() > 1;
    }
    announce(steps, &out);
    out
}

/// What a batch does that a step is in.
fn of_batch(step: &Step) -> Operation {
    match step.operation {
        Operation::Create | Operation::Update if step.kind.apply.is_some() => Operation::Apply,
        other => other,
    }
}

fn verb(operation: Operation) -> Verb {
    match operation {
        Operation::Create | Operation::Replace => Verb::Create,
        Operation::Update | Operation::Record | Operation::Rollout | Operation::Apply => Verb::Update,
        Operation::Delete | Operation::Leftover => Verb::Delete,
    }
}

fn announce(steps: &mut [Step], batches: &[Batch]) {
    let unknown = |_: &str| None;
    for batch in batches {
        let Some(first) = batch.steps.first().copied() else { continue };
        let leader = steps[first].action.address.clone();
        for (number, index) in batch.steps.iter().enumerate() {
            let step = &steps[*index];
            let routes = match (batch.operation, batch.bulk) {
                (Operation::Record | Operation::Rollout, _) => Vec::new(),
                _ if number > 0 => {
                    steps[*index].action.requests = vec![RequestInfo::Shared { shared_with: leader.clone() }];
                    announce_rollout(&mut steps[*index]);
                    continue;
                }
                (Operation::Apply, _) => vec![apply_route(&step.kind)],
                (Operation::Leftover, _) => leftover_route(step).into_iter().collect(),
                (Operation::Delete, true) if step.kind.apply.is_some() => {
                    let path = step.kind.apply.as_ref().and_then(|apply| apply.delete.as_ref()).map(|call| &call.path);
                    path.map(|path| Route { method: "POST".into(), path: path.clone() }).into_iter().collect()
                }
                (operation, true) => bulk_of(&step.kind, operation)
                    .map(|bulk| bulk_route(step, bulk, operation, &unknown))
                    .into_iter()
                    .collect(),
                (Operation::Create, false) => create_routes(step, &unknown),
                (Operation::Update, false) => vec![update_route(step, &unknown)],
                (Operation::Delete, false) => vec![delete_route(step, &unknown)],
                (Operation::Replace, false) => replace_routes(step, &unknown),
            };
            let version = step.kind.version_path.clone();
            steps[*index].action.requests = routes
                .into_iter()
                .map(|route| RequestInfo::Call { method: route.method, path: full_path(&version, &route.path) })
                .collect();
            announce_rollout(&mut steps[*index]);
        }
    }
    let leaders: Vec<Option<String>> =
        steps.iter().map(|step| step.parent_new.clone().filter(|_| step.embedded)).collect();
    for (step, leader) in steps.iter_mut().zip(leaders) {
        if let Some(shared_with) = leader {
            step.action.requests = vec![RequestInfo::Shared { shared_with }];
        }
    }
}

/// The call that makes and changes whole resources.
pub fn apply_route(kind: &Kind) -> Route {
    let path = kind.apply.as_ref().map(|apply| apply.path.clone()).unwrap_or_default();
    Route { method: "POST".into(), path }
}

/// The call that deletes what an earlier run replaced.
fn leftover_route(step: &Step) -> Option<Route> {
    let (old, live) = (step.record.as_ref()?.1.replaced.clone()?, step.live.as_ref()?);
    let mut step = step.clone();
    step.live = Some(std::sync::Arc::new(crate::live::LiveObject { id: old, ..(**live).clone() }));
    Some(delete_route(&step, &|_| None))
}

/// Adds the call that starts the rollout which follows a step.
fn announce_rollout(step: &mut Step) {
    if step.rollout.is_some_and(|follow| !follow.begun)
        && let Some(path) = start_path(step)
    {
        let path = format!("{}{path}", step.kind.version_path);
        step.action.requests.push(RequestInfo::Call { method: "POST".into(), path });
    }
}

/// The two calls of a replacement.
pub fn replace_routes(step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Vec<Route> {
    // What others use is made first, and deleted once they use the new one.
    if step.kind.apply.is_some() {
        return vec![apply_route(&step.kind), delete_route(step, ids)];
    }
    let delete = match step.kind.spec.bulk.delete.as_ref() {
        Some(bulk) if bulk.only || step.kind.spec.lacks.contains(&Verb::Delete) => {
            bulk_route(step, bulk, Operation::Delete, ids)
        }
        _ => delete_route(step, ids),
    };
    let create = match step.kind.spec.bulk.create.as_ref() {
        Some(bulk) if bulk.only => bulk_route(step, bulk, Operation::Create, ids),
        _ => create_route(step, ids),
    };
    let after = (!follows(step).is_empty()).then(|| follow_route(step, ids));
    [delete, create].into_iter().chain(after).collect()
}

/// The calls of a create: that which makes the object that it hangs on, the create itself, and the update that sets
/// what creates do not take.
fn create_routes(step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Vec<Route> {
    let mut routes = Vec::new();
    if step.makes_join
        && let Some(through) = step.kind.inside().and_then(|inside| inside.through.as_ref())
    {
        routes.push(Route { method: "POST".into(), path: through.path.clone() });
    }
    routes.push(create_route(step, ids));
    routes.extend((!follows(step).is_empty()).then(|| follow_route(step, ids)));
    routes
}

/// The update that follows a create.
fn follow_route(step: &Step, ids: &dyn Fn(&str) -> Option<String>) -> Route {
    update_route(as_new(step).as_ref().unwrap_or(step), ids)
}

/// Whether an object is read before it is updated: because the update replaces it whole, or for its entity tag.
pub fn reads_before_update(kind: &Kind) -> bool {
    let update = &kind.spec.update;
    if kind.apply.is_some() {
        return false;
    }
    let whole = matches!(update.style, UpdateStyle::Replace | UpdateStyle::ReplaceFields);
    (whole || update.lock.as_deref() == Some("etag")) && kind.can(Verb::Get)
}

/// The longest value that a guard names, in characters: it stands in a URL.
const GUARDED: usize = 200;

/// Fields of an update whose call names the values that it replaces: plain texts, numbers, flags, and references by
/// number, as they were read. What is or may be a secret is in no URL, and what servers write in more than one way, as
/// times and fractions, may not be what they compare with.
pub fn guarded(step: &Step) -> Vec<&str> {
    // What was just made is nobody else's yet.
    let is_new = matches!(step.action.action, ActionKind::Create | ActionKind::Replace);
    let Some(live) = step.live.as_ref().filter(|_| step.kind.guarded && step.kind.can(Verb::Get) && !is_new) else {
        return Vec::new();
    };
    let plain = |name: &&String| {
        let Some(spec) = step.kind.field(name) else { return false };
        let by_number = spec.reference.as_ref().is_some_and(|to| to.wire == Some(IdWire::Number) && to.by.is_none());
        let is_reference = spec.ty == FieldType::Ref && by_number;
        let simple = is_reference || matches!(spec.ty, FieldType::String | FieldType::Integer | FieldType::Boolean);
        let shown =
            !spec.write_only && spec.sensitive.is_none() && spec.read_by.is_none() && spec.list_cuts_at.is_none();
        let then = match live.fields.get(*name) {
            None => return false,
            Some(Value::String(text)) => text.len() <= GUARDED && !text.chars().any(char::is_control),
            Some(value) if is_reference => value.is_null() || matches!(as_reference(value), Some((_, Target::Id(_)))),
            Some(value) => value.is_null() || value.is_boolean() || value.is_i64() || value.is_u64(),
        };
        let now = is_reference || step.desired.get(*name).is_none_or(|value| !value.is_object() && !value.is_array());
        simple && shown && then && now && !spec.wire_name().contains('.')
    };
    step.send.iter().filter(plain).map(String::as_str).collect()
}

/// Fields of a new object that its create does not take: an update follows.
pub fn follows(step: &Step) -> Vec<String> {
    let wanted = |(name, value): &(&String, &Value)| {
        let Some(spec) = step.kind.field(name).filter(|spec| spec.update_only) else { return false };
        !value.is_null()
            && !spec.default.as_ref().is_some_and(|default| crate::description::equal(spec, default, value))
    };
    step.desired.iter().filter(wanted).map(|(name, _)| name.clone()).collect()
}

/// Reads of their own that an object's fields are in.
fn read_by(kind: &Kind) -> u64 {
    let paths: BTreeSet<&str> =
        kind.spec.fields.values().filter_map(|field| field.read_by.as_ref()).map(|read| read.path.as_str()).collect();
    paths.len() as u64
}

/// Reads that carrying a step out needs besides the calls that it announces: the ids of what was sent along, what a
/// silent create made, the object as it is where an update replaces it whole, what became of an accepted call.
pub(super) fn lookups(step: &Step) -> u64 {
    let spec = &step.kind.spec;
    let after_create = matches!(step.operation, Operation::Create | Operation::Replace)
        && spec.create.answers_nothing
        && !step.embedded;
    // What appears through another object is looked for first.
    let appears = u64::from(step.operation == Operation::Update && step.live.is_none());
    let before_update = step.operation == Operation::Update && reads_before_update(&step.kind);
    let creates = matches!(step.operation, Operation::Create | Operation::Replace) && !step.embedded;
    let deletes = matches!(step.operation, Operation::Delete | Operation::Replace);
    let polls = u64::from(creates && spec.create.poll) + u64::from(deletes && spec.delete.poll);
    let follow = creates && !follows(step).is_empty() && reads_before_update(&step.kind);
    // What became of a call that may have changed nothing.
    let after_update = step.operation == Operation::Update && !guarded(step).is_empty();
    let more = if before_update || after_update || follow { read_by(&step.kind) } else { 0 };
    let waits = u64::from(step.rollout.is_some_and(|follow| follow.wait.is_some()));
    // A version that is known when the plan is made is looked at again before it is started.
    let known = |change: &super::Change| change.path == "/rollout" && change.after.is_some();
    let looks = u64::from(step.operation == Operation::Rollout && step.action.changes.iter().any(known));
    u64::from(after_create)
        + u64::from(before_update)
        + u64::from(after_update)
        + u64::from(follow)
        + appears
        + more
        + polls
        + waits
        + looks
}
