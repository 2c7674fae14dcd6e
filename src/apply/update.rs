//! Updates, one or many at a time; what a refused bulk call had in it goes alone.

use serde_json::{Value, json};

use super::{Shared, encode::lock_value};
use crate::{
    description::format::{UpdateStyle, Verb},
    dialect::{
        self, Decoded, bulk_body, decode_row,
        odata::{Filter, Literal},
        update_body,
    },
    diff::{Sides, diff},
    http::{Call, HttpError, Processed, Repeat},
    live::{LiveObject, Remote, item_vars, own_headers},
    plan::{Operation, Step, bulk_of, bulk_route, guarded, reads_before_update, update_route},
    value::Fields,
};

use super::write::{Done, Split, Trouble, method, rows_of};

impl Shared<'_> {
    pub(super) async fn update(
        &self,
        remote: &Remote,
        bulk: bool,
        steps: &[usize],
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        if bulk && steps.len() > 1 {
            let mut ready = Vec::new();
            for index in steps {
                match self.known_attributes(&self.plan.steps[*index]) {
                    Ok(attributes) => ready.push((*index, attributes)),
                    Err(why) => out.push((*index, Err(Trouble::known(why)))),
                }
            }
            match self.update_bulk(remote, &ready).await {
                Ok(results) => out.extend(results),
                Err(Split) => {
                    for result in self.update_split(remote, ready).await {
                        out.push(result);
                    }
                }
            }
            return out;
        }
        for index in steps {
            let step = &self.plan.steps[*index];
            let done = match step.live {
                Some(_) => self.update_one(remote, step, None).await,
                None => self.appeared(remote, *index).await,
            };
            out.push((*index, done));
        }
        out
    }

    /// Updates an object that was to appear through another one.
    async fn appeared(&self, remote: &Remote, index: usize) -> Result<Done, Trouble> {
        let step = &self.plan.steps[index];
        let Some(Done::Present(found)) = self.found_one(index).await? else {
            return Err(Trouble::known("it did not appear".into()));
        };
        let live = LiveObject {
            kind: step.kind.clone(),
            connection: std::sync::Arc::from(step.action.connection.as_str()),
            id: found.id.clone(),
            fields: found.fields.clone(),
            stamp: found.stamp.clone(),
            made: None,
            raw: None,
            parent: self.parent_id(step),
            synced: false,
            never_delete: false,
            detailed: false,
            joins: std::collections::HashMap::new(),
        };
        let mut step = Step { live: Some(std::sync::Arc::new(live)), parent: self.parent_id(step), ..step.clone() };
        step.action.id = Some(found.id.clone());
        if self.is_as_declared(&step, &found.fields) {
            return Ok(Done::Present(found));
        }
        // It was read just now: no other look is announced.
        let attributes =
            if step.kind.guarded { Some(self.known_attributes(&step).map_err(Trouble::known)?) } else { None };
        self.update_one(remote, &step, attributes).await
    }

    pub(super) async fn update_bulk(
        &self,
        remote: &Remote,
        ready: &[(usize, Fields)],
    ) -> Result<Vec<(usize, Result<Done, Trouble>)>, Split> {
        let Some((first, _)) = ready.first() else { return Ok(Vec::new()) };
        let first = &self.plan.steps[*first];
        let Some(bulk) = bulk_of(&first.kind, Operation::Update) else { return Err(Split) };
        let route = bulk_route(first, bulk, Operation::Update, &|address| self.made.id(address));
        let rows = ready
            .iter()
            .map(|(index, attributes)| (self.plan.steps[*index].action.id.clone(), attributes.clone(), Vec::new()))
            .collect();
        let body = bulk_body(&remote.api, &first.kind, rows);
        let query = bulk.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        match self.send(remote, &route, query, Some(body), Repeat::Always, &[]).await {
            Ok(answer) => {
                let rows = answer.json().ok().map(|body| rows_of(&first.kind, &body)).unwrap_or_default();
                let mut by_id: std::collections::HashMap<String, Decoded> = rows
                    .iter()
                    .filter_map(|row| decode_row(&first.kind, row, &self.context.seal))
                    .map(|decoded| (decoded.id.clone(), decoded))
                    .collect();
                Ok(ready
                    .iter()
                    .map(|(index, _)| {
                        let id = self.plan.steps[*index].action.id.clone().unwrap_or_default();
                        let done = by_id.remove(&id).map_or(Done::Accepted, |decoded| Done::Present(Box::new(decoded)));
                        (*index, Ok(done))
                    })
                    .collect())
            }
            Err(HttpError::Refused { .. }) => Err(Split),
            Err(error) => {
                let trouble =
                    Trouble { unknown: error.processed() == Processed::Maybe, ..Trouble::known(error.to_string()) };
                Ok(ready.iter().map(|(index, _)| (*index, Err(trouble.clone()))).collect())
            }
        }
    }

    /// Sends the parts of a refused bulk update one by one. Where entries exchange values that must be unique, those
    /// that are taken go through spare ones first.
    pub(super) async fn update_split(
        &self,
        remote: &Remote,
        ready: Vec<(usize, Fields)>,
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        let unique: Vec<String> = ready
            .first()
            .and_then(|(index, _)| self.plan.steps[*index].kind.inside())
            .map(|inside| inside.unique.clone())
            .unwrap_or_default();
        for field in &unique {
            let changing: Vec<usize> = ready
                .iter()
                .map(|(index, _)| *index)
                .filter(|index| self.plan.steps[*index].send.contains(field))
                .collect();
            if changing.len() > 1 {
                self.park(remote, field, &changing).await;
            }
        }
        for (index, attributes) in ready {
            out.push((index, self.update_one(remote, &self.plan.steps[index], Some(attributes)).await));
        }
        out
    }

    /// Moves entries to spare numbers, so that the numbers which they exchange are free.
    pub(super) async fn park(&self, remote: &Remote, field: &str, steps: &[usize]) {
        let highest = self
            .plan
            .steps
            .iter()
            .filter(|step| step.kind.name == self.plan.steps[steps[0]].kind.name)
            .flat_map(|step| [step.desired.get(field), step.live.as_ref().and_then(|live| live.fields.get(field))])
            .flatten()
            .filter_map(Value::as_i64)
            .max();
        let Some(highest) = highest else { return };
        for (number, index) in steps.iter().enumerate() {
            let step = &self.plan.steps[*index];
            let Some(spec) = step.kind.field(field) else { continue };
            let mut attributes = Fields::new();
            let spare = highest + 1000 + i64::try_from(number).unwrap_or_default();
            attributes.insert(spec.wire_name().to_owned(), Value::from(spare));
            // If this is refused too, the update itself tells why.
            let _ = self.update_one(remote, step, Some(attributes)).await;
        }
    }

    pub(super) async fn update_one(
        &self,
        remote: &Remote,
        step: &Step,
        attributes: Option<Fields>,
    ) -> Result<Done, Trouble> {
        match self.update_once(remote, step, attributes).await {
            // What moved the lock may have nothing to do with what is declared: the object as it is now decides.
            Err(trouble) if trouble.locked && step.kind.spec.update.lock_again => {
                self.update_once(remote, step, None).await
            }
            other => other,
        }
    }

    async fn update_once(&self, remote: &Remote, step: &Step, attributes: Option<Fields>) -> Result<Done, Trouble> {
        let ids = |address: &str| self.made.id(address);
        let route = update_route(step, &ids);
        let spec = &step.kind.spec.update;
        let mut headers = Vec::new();
        let mut sent_lock = None;
        let is_planned = attributes.is_none();
        let attributes = match attributes {
            Some(attributes) => attributes,
            None if reads_before_update(&step.kind) => {
                let live = step.live.as_ref();
                let id = step.action.id.clone().unwrap_or_default();
                let fields = live.map(|live| &live.fields);
                let vars = item_vars(&step.kind, &id, step.parent.as_deref(), fields);
                let seen = live.and_then(|live| live.raw.clone());
                let read = match (remote.get_tagged(&step.kind, &vars, &[]).await, seen) {
                    // Who may list and write, and not read, goes by the list.
                    (Err(error), Some(row)) if error.status() == Some(403) => Ok(Some((row, Vec::new(), None))),
                    (read, _) => read,
                };
                let (row, _, tag) = read
                    .map_err(|error| Trouble::known(error.to_string()))?
                    .ok_or_else(|| Trouble::known("it is gone".into()))?;
                if spec.lock.as_deref() == Some("etag") {
                    headers.extend(tag.map(|tag| ("if-match".to_owned(), tag)));
                }
                sent_lock = lock_value(&step.kind, &row);
                self.is_as_planned(step, &row, sent_lock.as_deref())?;
                if spec.style == UpdateStyle::ReplaceFields {
                    let fields = self.all_fields(remote, step, &row).await?;
                    if self.is_as_declared(step, &fields) {
                        let id = id.clone();
                        return Ok(Done::Present(Box::new(Decoded { fields, ..Decoded::bare(id) })));
                    }
                    self.described(step, &row, &fields).map_err(Trouble::known)?
                } else if spec.style == UpdateStyle::Replace {
                    self.whole(step, &row).map_err(Trouble::known)?
                } else {
                    self.update_attributes(step).map_err(Trouble::known)?
                }
            }
            None => self.known_attributes(step).map_err(Trouble::known)?,
        };
        let mut attributes = attributes;
        for (name, value) in &spec.body {
            attributes.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if let (Some(member), Some(id)) = (&spec.id_in_body, &step.action.id) {
            attributes.insert(member.clone(), id.clone().into());
        }
        let body = styled(remote, step, attributes, &mut headers);
        let mut call = Call::new(method(&route.method), route.path.clone()).repeat(Repeat::Always).body(body);
        call.query = spec.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        call.headers = headers;
        call.headers.extend(own_headers(&spec.headers));
        let guard = if is_planned { self.guard(step) } else { None };
        call.query.extend(guard.iter().map(|guard| ("$filter".to_owned(), guard.to_string())));
        let answer = match self.send_call(remote, call, &spec.success).await {
            Ok(answer) => answer,
            Err(error) => {
                // A guarded update whose answer was lost is refused when it is repeated: look whether it was done.
                let guarded = spec.lock.is_some() && matches!(error, HttpError::Refused { .. });
                if !guarded {
                    return Err(Trouble {
                        unknown: error.processed() == Processed::Maybe,
                        ..Trouble::known(error.to_string())
                    });
                }
                let (now, done) = self.as_sent(remote, step).await;
                return match done {
                    Some(done) => Ok(done),
                    None => {
                        Err(Trouble { locked: now.is_some() && now != sent_lock, ..Trouble::known(error.to_string()) })
                    }
                };
            }
        };
        if guard.is_some() {
            return self.became(remote, step).await;
        }
        let decoded = answer
            .json_if_any()
            .ok()
            .flatten()
            .and_then(|body| dialect::one(&remote.api, &step.kind, &body).ok())
            .and_then(|row| self.decoded(step, &row))
            .filter(|decoded| Some(&decoded.id) == step.action.id.as_ref() || step.kind.spec.singleton);
        Ok(decoded.map_or(Done::Accepted, |mut decoded| {
            if let Some(id) = &step.action.id {
                decoded.id.clone_from(id);
            }
            Done::Present(Box::new(decoded))
        }))
    }
}

impl Shared<'_> {
    /// Refuses what somebody else changed since the plan, by its lock and by its fields.
    fn is_as_planned(&self, step: &Step, row: &Value, lock: Option<&str>) -> Result<(), Trouble> {
        let seen = step.live.as_ref().and_then(|live| lock_value(&step.kind, live.raw.as_ref()?));
        let locked = lock.zip(seen.as_deref()).is_some_and(|(now, then)| now != then);
        if locked && !step.kind.spec.update.lock_again {
            return Err(Trouble::known("it was changed by somebody else since the plan: plan again".into()));
        }
        let moved = self.decoded(step, row).and_then(|now| self.moved(step, &now.fields));
        moved.map_or(Ok(()), |moved| Err(Trouble::known(moved)))
    }

    /// What an update's call names besides the key: the values that it replaces.
    fn guard(&self, step: &Step) -> Option<Filter> {
        let live = step.live.as_ref()?;
        let then: Fields = guarded(step)
            .into_iter()
            .map(|name| (name.to_owned(), live.fields.get(name).cloned().unwrap_or_default()))
            .collect();
        // A null is no value to encode.
        let (nulls, values): (Fields, Fields) = then.into_iter().partition(|(_, value)| value.is_null());
        let wire = |name: &String| step.kind.field(name).map(|field| field.wire_name().to_owned());
        let absent = nulls.keys().filter_map(wire).map(|name| Filter::eq(name, Literal::Null));
        let encoded = self.encode(step.specs(), &values, false).ok()?;
        let there = encoded.into_iter().filter_map(|(name, value)| Some(Filter::eq(name, Literal::of_value(&value)?)));
        Filter::all(absent.chain(there).collect())
    }

    /// What became of a guarded update: its answer is the same where it changed nothing.
    async fn became(&self, remote: &Remote, step: &Step) -> Result<Done, Trouble> {
        let id = step.action.id.clone().unwrap_or_default();
        let vars = item_vars(&step.kind, &id, step.parent.as_deref(), step.live.as_ref().map(|live| &live.fields));
        match remote.get(&step.kind, &vars, &[]).await {
            Ok(Some((row, _))) => self.if_as_sent(step, &row).ok_or_else(|| {
                Trouble::known("it was changed by somebody else since the plan, and is left alone: plan again".into())
            }),
            Ok(None) => Err(Trouble::known("it is gone since the plan: plan again".into())),
            Err(error) => Err(Trouble::unknown(format!("what became of its update could not be read: {error}"))),
        }
    }

    /// What the lock of an object is now, and the object, if it is as an update was to make it.
    async fn as_sent(&self, remote: &Remote, step: &Step) -> (Option<String>, Option<Done>) {
        if !step.kind.can(Verb::Get) {
            return (None, None);
        }
        let id = step.action.id.clone().unwrap_or_default();
        let vars = item_vars(&step.kind, &id, step.parent.as_deref(), step.live.as_ref().map(|live| &live.fields));
        let Ok(Some((row, _))) = remote.get(&step.kind, &vars, &[]).await else { return (None, None) };
        (lock_value(&step.kind, &row), self.if_as_sent(step, &row))
    }

    fn if_as_sent(&self, step: &Step, row: &Value) -> Option<Done> {
        let decoded = self.decoded(step, row)?;
        let desired = self.made.resolve(&step.desired);
        let sent = desired.into_iter().filter(|(name, _)| step.send.contains(name)).collect();
        let sides = Sides {
            specs: step.specs(),
            desired: &sent,
            applied: None,
            live: Some(&decoded.fields),
            ignore_drift: &[],
            prune: step.prune,
        };
        diff(sides).changes.is_empty().then(|| Done::Present(Box::new(decoded)))
    }
}

/// The body of an update, and the header that tells what it is.
fn styled(remote: &Remote, step: &Step, attributes: Fields, headers: &mut Vec<(String, String)>) -> Value {
    let mut told = |kind: &str| headers.push(("content-type".to_owned(), kind.to_owned()));
    match step.kind.spec.update.style {
        UpdateStyle::JsonPatch => {
            told("application/json-patch+json");
            return json_patch(step, &attributes);
        }
        UpdateStyle::MergePatch => told("application/merge-patch+json"),
        UpdateStyle::Fields | UpdateStyle::Replace | UpdateStyle::ReplaceFields => {}
    }
    update_body(&remote.api, &step.kind, attributes)
}

/// A JSON patch that sets attributes: those that stand below another one by themselves, so that what is beside them
/// stays.
fn json_patch(step: &Step, attributes: &Fields) -> Value {
    let mut operations = Vec::new();
    for (name, value) in attributes {
        operate(step, name, &format!("/{}", crate::address::escape(name)), value, &mut operations);
    }
    Value::Array(operations)
}

fn operate(step: &Step, wire: &str, path: &str, value: &Value, operations: &mut Vec<Value>) {
    let live = step.live.as_ref().map(|live| &live.fields);
    let there = step.specs().iter().any(|(name, spec)| {
        let below = spec.wire_name().strip_prefix(wire).is_some_and(|rest| rest.starts_with('.'));
        below && live.is_some_and(|live| live.contains_key(name))
    });
    match value {
        Value::Object(members) if there => {
            for (name, value) in members {
                let path = format!("{path}/{}", crate::address::escape(name));
                operate(step, &format!("{wire}.{name}"), &path, value, operations);
            }
        }
        Value::Null => operations.push(json!({ "op": "remove", "path": path })),
        value => operations.push(json!({ "op": "add", "path": path, "value": value })),
    }
}
