//! Whole resources, made and changed by one call whatever their kind; what became of each is read from the answer, whose
//! status says nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
};

use serde_json::Value;

use super::{
    Shared, StepResult,
    carry::carry,
    write::{Done, Trouble},
};
use crate::{
    description::{
        Kind,
        format::{FieldSpec, FieldType, UpdateStyle},
    },
    diagnostic::Diagnostic,
    dialect::{
        self, Decoded, Encoder, Rollout, Update, apply_body, decode_row, encode_fields, named, resource_body, updates,
    },
    diff::{Sides, diff},
    http::{Answer, HttpError, Processed, Repeat},
    inventory::{Edit, Record, State},
    live::{Remote, item_vars},
    plan::{Operation, Outcome, Route, Step, apply_route, makes_version, whole},
    value::{Fields, get_path, set_path, text},
};

/// Statuses of an answer that mean that something in the body is wrong, so that its parts may go alone.
const WRONG_BODY: [u16; 4] = [400, 409, 413, 422];

/// What became of resources, by kind and name.
type ByName = HashMap<(String, String), Update>;

impl Shared<'_> {
    /// Makes and changes resources, as many at a time as are given.
    pub(super) async fn upsert(&self, remote: &Remote, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        let mut ready = Vec::new();
        for index in steps {
            match self.resource(remote, &self.plan.steps[*index]) {
                Ok(resource) => ready.push((*index, resource)),
                Err(why) => out.push((*index, Err(Trouble::known(why)))),
            }
        }
        let mut queue: Vec<Vec<(usize, Value)>> = if ready.is_empty() { Vec::new() } else { vec![ready] };
        while let Some(mut items) = queue.pop() {
            match self.send_resources(remote, &items).await {
                Ok(answer) => out.extend(self.read_updates(remote, &items, &answer).await),
                Err(HttpError::Refused { answer, .. }) if items.len() > 1 && WRONG_BODY.contains(&answer.status) => {
                    // One of them may be the culprit: it is found by halves.
                    let rest = items.split_off(items.len() / 2);
                    queue.push(rest);
                    queue.push(items);
                }
                Err(error) => {
                    let trouble =
                        Trouble { unknown: error.processed() == Processed::Maybe, ..Trouble::known(error.to_string()) };
                    out.extend(items.into_iter().map(|(index, _)| (index, Err(trouble.clone()))));
                }
            }
        }
        out
    }

    async fn send_resources(&self, remote: &Remote, items: &[(usize, Value)]) -> Result<Answer, HttpError> {
        let resources = items.iter().map(|(_, resource)| resource.clone()).collect();
        let route = items.first().map(|(index, _)| apply_route(&self.plan.steps[*index].kind));
        let route = route.unwrap_or(Route { method: "POST".into(), path: String::new() });
        // The same body again changes nothing more.
        self.send(remote, &route, Vec::new(), Some(apply_body(&remote.api, resources)), Repeat::Always, &[]).await
    }

    /// What an answer says of each resource. There may be more entries than resources, in any order.
    async fn read_updates(
        &self,
        remote: &Remote,
        items: &[(usize, Value)],
        answer: &Answer,
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let body = answer.json_if_any().ok().flatten().unwrap_or_default();
        let told = by_name(updates(&remote.api, &body));
        self.note_moved(remote, items, &told, answer.repeats_unanswered).await;
        let mut out = Vec::new();
        for (index, resource) in items {
            let step = &self.plan.steps[*index];
            let name = name_of(&step.kind, resource).unwrap_or_default();
            let result = match told.get(&(step.kind.name.clone(), name.clone())) {
                Some(update) => self.judged(remote, step, &name, update),
                None => self.looked_up(remote, step, &name).await,
            };
            out.push((*index, result));
        }
        out
    }

    fn judged(&self, remote: &Remote, step: &Step, name: &str, update: &Update) -> Result<Done, Trouble> {
        let spec = &remote.api.spec.apply;
        if !spec.done.iter().any(|word| word.eq_ignore_ascii_case(&update.status)) {
            let reason = update.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            return Err(Trouble::known(format!("the API answered `{}`{reason}", update.status)));
        }
        if let Some(reason) = &update.reason {
            let message = format!("The API took `{}` and says: {reason}", step.address());
            self.tell(Diagnostic::warning("PL0704", message).about(step.address()));
        }
        let decoded = decode_row(&step.kind, &update.resource, &self.context.seal);
        let decoded = decoded.filter(|_| update.resource.get("spec").is_some());
        Ok(Done::Present(Box::new(Decoded {
            id: name.to_owned(),
            stamp: dialect::stamp_of(&step.kind, &update.resource),
            fields: decoded.map(|decoded| decoded.fields).unwrap_or_default(),
        })))
    }

    /// An answer that does not mention a resource proves nothing: it is read.
    async fn looked_up(&self, remote: &Remote, step: &Step, name: &str) -> Result<Done, Trouble> {
        let unknown = |why: String| Trouble::unknown(format!("the answer does not say what became of it; {why}"));
        let vars = item_vars(&step.kind, name, None, Some(&step.desired));
        let found = remote.get(&step.kind, &vars, &[]).await.map_err(|error| unknown(error.to_string()))?;
        let Some((row, _)) = found else { return Err(unknown("it is not there".into())) };
        let mut decoded =
            decode_row(&step.kind, &row, &self.context.seal).ok_or_else(|| unknown("it has no name".into()))?;
        for field in step.desired.keys() {
            decoded.fields.entry(field.clone()).or_insert(Value::Null);
        }
        let desired = self.made.resolve(&step.desired);
        let sides = Sides {
            specs: step.specs(),
            desired: &desired,
            applied: Some(&desired),
            live: Some(&decoded.fields),
            ignore_drift: &[],
            prune: step.prune,
        };
        let left = diff(sides).changes;
        match left.first() {
            None => Ok(Done::Present(Box::new(decoded))),
            Some(change) => Err(unknown(format!("`{}` is not as it was sent", change.path))),
        }
    }

    /// Keeps what an answer says of objects with rollouts: those that moved along with what they use, too.
    /// That nothing changed means little where an attempt before may have changed it.
    async fn note_moved(&self, remote: &Remote, items: &[(usize, Value)], told: &ByName, unsure: bool) {
        let Some((first, _)) = items.first() else { return };
        let connection = &self.plan.steps[*first].action.connection;
        let spec = &remote.api.spec.apply;
        let says =
            |words: &[String], update: &Update| words.iter().any(|word| word.eq_ignore_ascii_case(&update.status));
        let mut edits = Vec::new();
        // What a step changes without making a version has none of plumb's own.
        let as_it_was: HashSet<Key> = items
            .iter()
            .map(|(index, _)| &self.plan.steps[*index])
            .filter(|step| step.kind.spec.rollout.as_ref().is_some_and(|rollout| !makes_version(rollout, step)))
            .map(super::rollout::key)
            .collect();
        let own: HashSet<Key> = items.iter().map(|(index, _)| super::rollout::key(&self.plan.steps[*index])).collect();
        for ((kind, name), update) in told {
            if !says(&spec.done, update) {
                continue;
            }
            let changed = !says(&spec.unchanged, update);
            if !changed && unsure {
                continue;
            }
            let key = (connection.clone(), kind.clone(), name.clone());
            let revision = remote.api.kind(kind).and_then(|kind| dialect::revision_of(kind, &update.resource));
            if let Some(revision) = &revision {
                let mut all = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(key.clone(), revision.clone());
            }
            if !changed {
                self.still.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
            }
            let rollout = remote.api.kind(kind).and_then(|kind| kind.spec.rollout.as_ref());
            let made = rollout
                .filter(|_| changed && !self.is_planned(&key) && !as_it_was.contains(&key))
                .map(|rollout| Rollout::of(rollout, &update.resource));
            if changed && !own.contains(&key) || made.is_some() {
                edits.extend(self.moved_along(&key, revision, made));
            }
            if rollout.is_none() || (!changed && self.moved_row(&key).is_some()) {
                continue;
            }
            let row = if changed { update.resource.clone() } else { Value::Null };
            self.put_moved(key, row);
        }
        if edits.is_empty() {
            return;
        }
        if let Err(error) = self.context.inventory.commit(edits).await {
            tracing::warn!("what moved along could not be recorded: {error}");
        }
    }

    /// A resource as the API takes it: what is live, with the declared fields laid over.
    pub(super) fn resource(&self, remote: &Remote, step: &Step) -> Result<Value, String> {
        let kind = &step.kind;
        let live = step.live.as_ref().filter(|_| step.operation == Operation::Update);
        let raw = live.and_then(|live| live.raw.as_ref());
        let (fields, _) = whole(step, self.context.seal).map_err(|error| error.to_string())?;
        let encoder =
            Encoder { id: &|address| self.made.id(address), open: self.context.open, read: self.context.read };
        let encoded = encode_fields(&kind.spec.fields, &fields, live.is_none(), &encoder);
        let mut encoded = encoded.map_err(|error| error.to_string())?;
        if let Some(raw) = raw {
            carry(kind, UpdateStyle::Replace, &mut encoded, kind.spec.fields.values(), raw);
        }
        let encoded = Value::Object(encoded);
        let mut out = raw.map(|raw| kept(remote, kind, raw)).unwrap_or_default();
        for spec in kind.spec.fields.values() {
            match get_path(&encoded, spec.wire_name()).map(|value| tidy(spec, value)) {
                Some(value) if !value.is_null() => set_path(&mut out, spec.wire_name(), value),
                _ => {}
            }
        }
        Ok(resource_body(&remote.api, kind, out))
    }

    /// Makes the new objects of replacements; the old ones go once nothing uses them any more.
    pub(super) async fn replace_resources(
        &self,
        remote: &Remote,
        steps: &[usize],
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let out = self.upsert(remote, steps).await;
        for (index, result) in &out {
            let old = self.plan.steps[*index].action.id.clone();
            if let (Ok(Done::Present(made)), Some(old)) = (result, old)
                && old != made.id
            {
                self.leave(*index, old);
            }
        }
        out
    }

    /// Objects that an earlier run replaced and could not delete any more.
    pub(super) fn leftovers_found(&self, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        for index in steps {
            let record = self.plan.steps[*index].record.as_ref();
            if let Some(old) = record.and_then(|(_, record)| record.replaced.clone()) {
                self.leave(*index, old);
            }
        }
        self.rollouts_begun(steps)
    }

    fn leave(&self, index: usize, old: String) {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).push((index, old));
    }

    /// The object that a step's replacement leaves to be deleted.
    pub(super) fn left_by(&self, step: &Step) -> Option<String> {
        let leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = leftovers.iter().find(|(index, _)| self.plan.steps[*index].address() == step.address());
        own.map(|(_, old)| old.clone()).or_else(|| step.record.as_ref()?.1.replaced.clone())
    }

    /// Deletes what replacements left.
    pub(super) async fn delete_leftovers(&self, results: &mut [Option<StepResult>]) {
        let leftovers = std::mem::take(&mut *self.leftovers.lock().unwrap_or_else(PoisonError::into_inner));
        for (index, old) in leftovers {
            let mut step = self.plan.steps[index].clone();
            if results[index].as_ref().is_none_or(|result| result.outcome != Outcome::Done) || self.stopped() {
                continue;
            }
            let Some(remote) = self.remote(&step.action.connection).cloned() else { continue };
            if let Some(live) = &step.live {
                step.live = Some(std::sync::Arc::new(crate::live::LiveObject { id: old.clone(), ..(**live).clone() }));
            }
            let done = match self.delete_one(&remote, &step).await {
                Ok(()) => self.forget_leftover(&step).await,
                Err(trouble) => Err(trouble.message),
            };
            if let (Err(why), Some(result)) = (done, results[index].as_mut()) {
                with_error(
                    result,
                    format!("the new one was made, and the old one, `{old}`, could not be deleted: {why}"),
                );
            }
        }
    }

    async fn forget_leftover(&self, step: &Step) -> Result<(), String> {
        let record = self.context.inventory.state().objects.get(step.address()).map(|record| Record::clone(record));
        let Some(mut record) = record else { return Ok(()) };
        record.replaced = None;
        let edit = Edit::Put(step.address().to_owned(), Box::new(record));
        self.context.inventory.commit(vec![edit]).await.map_err(|error| error.to_string())
    }

    /// Deletes many resources by one call, whatever their kind.
    pub(super) async fn delete_resources(
        &self,
        remote: &Remote,
        steps: &[usize],
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let Some(call) = remote.api.spec.apply.delete.as_ref() else { return Vec::new() };
        let id = |step: &Step| step.action.id.clone().unwrap_or_default();
        let resources =
            steps.iter().map(|index| &self.plan.steps[*index]).map(|step| named(&step.kind, &id(step))).collect();
        let route = Route { method: "POST".into(), path: call.path.clone() };
        let body = apply_body(&remote.api, resources);
        let answer = match self.send(remote, &route, Vec::new(), Some(body), Repeat::Always, &[]).await {
            Ok(answer) => answer,
            Err(HttpError::Refused { answer, .. }) if steps.len() > 1 || WRONG_BODY.contains(&answer.status) => {
                // Each goes by the call for one.
                let mut out = Vec::new();
                for index in steps {
                    out.push((*index, self.delete_one(remote, &self.plan.steps[*index]).await.map(|()| Done::Gone)));
                }
                return out;
            }
            Err(error) => {
                let trouble =
                    Trouble { unknown: error.processed() == Processed::Maybe, ..Trouble::known(error.to_string()) };
                return steps.iter().map(|index| (*index, Err(trouble.clone()))).collect();
            }
        };
        let body = answer.json_if_any().ok().flatten().unwrap_or_default();
        let told = by_name(updates(&remote.api, &body));
        let errors = dialect::error_text(&remote.api, &answer.body)
            .map(|errors| format!("; {}", answer.tell(&errors)))
            .unwrap_or_default();
        let judge = |index: &usize| {
            let step = &self.plan.steps[*index];
            let result = match told.get(&(step.kind.name.clone(), id(step))) {
                // What is not mentioned was not there.
                None => Ok(Done::Gone),
                Some(update) if call.done.iter().any(|word| word.eq_ignore_ascii_case(&update.status)) => {
                    Ok(Done::Gone)
                }
                Some(update) => {
                    let reason = update.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                    Err(Trouble::known(format!("the API answered `{}`{reason}{errors}", update.status)))
                }
            };
            (*index, result)
        };
        steps.iter().map(judge).collect()
    }

    /// Whether a step of this plan starts the rollout of an object.
    fn is_planned(&self, key: &(String, String, String)) -> bool {
        self.rolled_out.contains(key)
    }

    /// Notes what moved of an owned object, and the version of it that no step of this plan rolls out.
    fn moved_along(&self, key: &Key, revision: Option<String>, made: Option<Rollout>) -> Option<Edit> {
        let state = self.context.inventory.state();
        let address = self.owned.get(key)?;
        let mut record = Record::clone(state.objects.get(address)?);
        record.revision = revision;
        if let Some(now) = made {
            record.rollout =
                Some(crate::inventory::PendingRollout { before: None, version: now.version, hash: now.hash });
        }
        Some(Edit::Put(address.clone(), Box::new(record)))
    }
}

/// Owned objects that may move along with others: their addresses by connection, kind and id.
pub(super) fn owned(state: &State, remotes: &HashMap<String, Remote>) -> HashMap<Key, String> {
    let mut out = HashMap::new();
    for (address, record) in &state.objects {
        let Some(kind) = address.split('/').nth(1) else { continue };
        let described = remotes.get(&record.connection).and_then(|remote| remote.api.kind(kind));
        if described.is_some_and(|kind| kind.spec.rollout.is_some() || !kind.spec.id.revision.is_empty()) {
            out.insert((record.connection.clone(), kind.to_owned(), record.id.clone()), address.clone());
        }
    }
    out
}

/// Connection, kind and id of an object.
pub(super) type Key = (String, String, String);

/// The id that a step's object gets.
pub(super) fn client_id(step: &Step) -> Option<String> {
    step.desired.get(step.kind.spec.id.client.as_ref()?).and_then(text)
}

fn by_name(list: Vec<Update>) -> ByName {
    let mut out = ByName::new();
    for update in list {
        // The last word on a resource counts.
        out.insert((update.kind.clone(), update.name.clone()), update);
    }
    out
}

fn name_of(kind: &Kind, resource: &Value) -> Option<String> {
    kind.spec.id.path.iter().filter_map(|path| get_path(resource, path)).find_map(text)
}

/// What is kept of a live resource besides its fields: members that are not described, and what is carried along.
fn kept(remote: &Remote, kind: &Kind, raw: &Value) -> Fields {
    let mut out = Fields::new();
    let described =
        |name: &str| kind.spec.fields.values().any(|field| field.wire_name().split('.').next() == Some(name));
    for (name, value) in raw.as_object().into_iter().flatten() {
        if kind.spec.ignored.contains_key(name) || matches!(name.as_str(), "kind" | "metadata") {
            continue;
        }
        if name == "apiVersion" || described(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    for field in kind.spec.fields.values().filter(|field| field.wire_name() != "apiVersion") {
        remove_path(&mut out, field.wire_name());
    }
    for path in &remote.api.spec.apply.carried {
        if let Some(value) = get_path(raw, path).filter(|value| !value.is_null()) {
            set_path(&mut out, path, value.clone());
        }
    }
    out
}

fn remove_path(target: &mut Fields, path: &str) {
    match path.split_once('.') {
        None => {
            target.shift_remove(path);
        }
        Some((head, rest)) => {
            if let Some(Value::Object(inner)) = target.get_mut(head) {
                remove_path(inner, rest);
            }
        }
    }
}

/// A value without the members that are cleared: what a whole resource leaves out is not there.
fn tidy(spec: &FieldSpec, value: &Value) -> Value {
    match (spec.ty, value) {
        (FieldType::Map, Value::Object(members)) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let value = spec.items.as_deref().map_or_else(|| value.clone(), |items| tidy(items, value));
                (name.clone(), value)
            })
            .collect(),
        (FieldType::Object, Value::Object(members)) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let member = spec.fields.values().find(|member| member.wire_name() == name);
                (name.clone(), member.map_or_else(|| value.clone(), |member| tidy(member, value)))
            })
            .collect(),
        (FieldType::List, Value::Array(entries)) => match spec.items.as_deref() {
            Some(items) => Value::Array(entries.iter().map(|entry| tidy(items, entry)).collect()),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

/// An outcome that a rollout changed.
pub(super) fn with_error(result: &mut StepResult, why: String) {
    result.outcome = Outcome::Failed;
    result.error = Some(why);
}
