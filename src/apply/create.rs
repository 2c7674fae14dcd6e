//! Creates, one or many at a time: what a lost or silent answer made is found before anything is sent again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{
    Shared, StepResult,
    find::{Shelf, types_of},
};
use crate::{
    description::{Kind, format::FieldType},
    dialect::{self, Decoded, bulk_body, create_body, decode_row},
    http::{Answer, Call, HttpError, Processed, Repeat},
    inventory::Edit,
    live::{ListQuery, Remote, is_waited_for, own_headers},
    plan::{Operation, Outcome, Step, bulk_of, bulk_route, create_route, follows},
    secret::{Cluster, sink::Sink},
    value::{Fields, text},
};

/// How often an unanswered create is sent again once it is known not to have taken effect.
pub(super) const CREATE_TRIES: u32 = 3;
const NOT_KNOWN: &str = "whether it was made is not known";

use super::write::{Done, Split, Trouble, failed, rows_of};

impl Shared<'_> {
    pub(super) async fn create(
        &self,
        remote: &Remote,
        bulk: bool,
        steps: &[usize],
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        let mut ready = Vec::new();
        for index in steps {
            if let Err(trouble) = self.join(remote, &self.plan.steps[*index]).await {
                out.push((*index, Err(trouble)));
                continue;
            }
            match self.create_parts(remote, *index).await {
                Ok(parts) => ready.push((*index, parts)),
                Err(why) => out.push((*index, Err(Trouble::known(why)))),
            }
        }
        if bulk && !ready.is_empty() {
            if let Ok(results) = self.create_bulk(remote, &ready).await {
                out.extend(results);
                return out;
            }
            // Nothing says that a refused bulk call did nothing at all: what it made is not sent again.
            let steps: Vec<usize> = ready.iter().map(|(index, _)| *index).collect();
            let mut found = self.found(&steps).await;
            for (index, parts) in ready {
                let single = match found.remove(&index) {
                    Some(Ok(Some(done))) => Ok(done),
                    Some(Err(trouble)) => Err(trouble),
                    Some(Ok(None)) | None => self.create_one(remote, &parts, index).await,
                };
                out.push((index, single));
            }
            return out;
        }
        for (index, parts) in ready {
            out.push((index, self.create_one(remote, &parts, index).await));
        }
        out
    }

    pub(super) async fn create_parts(&self, remote: &Remote, index: usize) -> Result<Parts, String> {
        let step = &self.plan.steps[index];
        let attributes = self.create_attributes(step)?;
        let mut embedded: Vec<(usize, Fields)> = Vec::new();
        for child in self.along(&[index]) {
            embedded.push((child, self.create_attributes(&self.plan.steps[child])?));
        }
        let _ = remote;
        Ok(Parts { attributes, embedded, sinks: Mutex::new(sinks(step, self.context.cluster).await?) })
    }

    pub(super) fn embedded<'s>(&'s self, parts: &'s Parts) -> Vec<(&'s Kind, &'s str, Vec<Fields>)> {
        let mut groups: Vec<(&Kind, &str, Vec<Fields>)> = Vec::new();
        for (child, attributes) in &parts.embedded {
            let kind: &Kind = &self.plan.steps[*child].kind;
            let Some(path) = kind.inside().and_then(|inside| inside.embed.as_deref()) else { continue };
            match groups.iter_mut().find(|(known, ..)| known.name == kind.name) {
                Some((_, _, rows)) => rows.push(attributes.clone()),
                None => groups.push((kind, path, vec![attributes.clone()])),
            }
        }
        groups
    }

    /// Creates many objects by one call. What an unanswered call made is found; the rest goes again once it is known not
    /// to have been made.
    async fn create_bulk(
        &self,
        remote: &Remote,
        ready: &[(usize, Parts)],
    ) -> Result<Vec<(usize, Result<Done, Trouble>)>, Split> {
        let mut out = Vec::new();
        let mut open: Vec<&(usize, Parts)> = ready.iter().collect();
        for attempt in 1..=CREATE_TRIES {
            let error = match self.send_bulk(remote, &open).await? {
                Ok(answer) => {
                    out.extend(self.created_bulk(&open, &answer).await);
                    return Ok(out);
                }
                Err(HttpError::Refused { .. }) if open.len() > 1 => return Err(Split),
                Err(error) => error,
            };
            if error.processed() == Processed::No {
                out.extend(open.iter().map(|(index, _)| (*index, Err(Trouble::known(error.to_string())))));
                return Ok(out);
            }
            self.take_found(&mut open, &mut out).await;
            // The server may still be at it: it is given time before absence counts.
            for pause in pauses(remote, &error) {
                if !open.is_empty() {
                    self.pause(pause).await;
                    self.take_found(&mut open, &mut out).await;
                }
            }
            let keyed = open.iter().all(|(index, _)| self.has_key(&self.plan.steps[*index]));
            if open.is_empty() || !keyed || self.stopped() || attempt == CREATE_TRIES {
                let why = format!("{error}; {NOT_KNOWN}");
                out.extend(open.iter().map(|(index, _)| (*index, Err(Trouble::unknown(why.clone())))));
                return Ok(out);
            }
        }
        Ok(out)
    }

    async fn send_bulk(&self, remote: &Remote, open: &[&(usize, Parts)]) -> Result<Result<Answer, HttpError>, Split> {
        let Some((first, _)) = open.first() else { return Err(Split) };
        let first = &self.plan.steps[*first];
        let Some(bulk) = bulk_of(&first.kind, Operation::Create) else { return Err(Split) };
        let route = bulk_route(first, bulk, Operation::Create, &|address| self.made.id(address));
        let rows = open.iter().map(|(_, parts)| (None, parts.attributes.clone(), self.embedded(parts))).collect();
        let body = bulk_body(&remote.api, &first.kind, rows);
        let query = bulk.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(self.send(remote, &route, query, Some(body), Repeat::IfNotProcessed, &[]).await)
    }

    /// Moves what is found, or cannot be looked for, from what is open to what is done with.
    async fn take_found(&self, open: &mut Vec<&(usize, Parts)>, out: &mut Vec<(usize, Result<Done, Trouble>)>) {
        let steps: Vec<usize> = open.iter().map(|(index, _)| *index).collect();
        let mut found = self.found(&steps).await;
        open.retain(|(index, _)| {
            let result = match found.remove(index) {
                Some(Ok(None)) | None => return true,
                Some(Ok(Some(done))) => Ok(done),
                Some(Err(trouble)) => Err(trouble),
            };
            out.push((*index, result));
            false
        });
    }

    /// What the answer to a bulk create says about each object, or what a look says where the answer says nothing.
    async fn created_bulk(&self, open: &[&(usize, Parts)], answer: &Answer) -> Vec<(usize, Result<Done, Trouble>)> {
        let Some(first) = open.first().map(|(index, _)| &self.plan.steps[*index]) else { return Vec::new() };
        let rows = answer.json().ok().map(|body| rows_of(&first.kind, &body)).unwrap_or_default();
        let mut shelves: HashMap<(Option<String>, usize), Shelf> = HashMap::new();
        let mut out = Vec::new();
        let mut silent = Vec::new();
        for (number, (index, _)) in open.iter().enumerate() {
            let step = &self.plan.steps[*index];
            let parent = self.parent_id(step);
            let shelf = shelves
                .entry((parent.clone(), types_of(step)))
                .or_insert_with(|| self.shelve(step, parent.as_deref(), &rows));
            let mut found = self.on_shelf(shelf, step, parent.as_deref());
            let one = if found.len() == 1 {
                found.pop()
            } else {
                // The answer has one row for each object, in the order of the request.
                let row = rows.get(number).filter(|_| rows.len() == open.len());
                row.and_then(|row| self.decoded(step, row))
            };
            match one {
                Some(decoded) => out.push((*index, Ok(Done::Present(Box::new(decoded))))),
                None => silent.push(*index),
            }
        }
        for (index, found) in self.found(&silent).await {
            out.push((index, found.and_then(|found| found.ok_or_else(|| not_shown(answer)))));
        }
        out
    }

    pub(super) async fn create_one(&self, remote: &Remote, parts: &Parts, index: usize) -> Result<Done, Trouble> {
        let step = &self.plan.steps[index];
        let done = self.create_alone(remote, parts, index).await?;
        let fields = follows(step);
        if fields.is_empty() {
            return Ok(done);
        }
        self.follow(remote, step, done, fields).await
    }

    async fn create_alone(&self, remote: &Remote, parts: &Parts, index: usize) -> Result<Done, Trouble> {
        let step = &self.plan.steps[index];
        let spec = &step.kind.spec.create;
        let bulk = bulk_of(&step.kind, Operation::Create).filter(|bulk| bulk.only);
        let ids = |address: &str| self.made.id(address);
        let (route, body, query) = match bulk {
            Some(bulk) => (
                bulk_route(step, bulk, Operation::Create, &ids),
                bulk_body(&remote.api, &step.kind, vec![(None, parts.attributes.clone(), self.embedded(parts))]),
                bulk.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            ),
            None => (
                create_route(step, &ids),
                create_body(&remote.api, &step.kind, parts.attributes.clone(), &self.embedded(parts)),
                self.create_query(step),
            ),
        };
        let by_client = step.kind.spec.id.client.is_some();
        // The key lets the API tell a repeated create from a new one; it is looked for all the same before it is repeated.
        let keyed = remote.api.spec.limits.idempotency_header.as_ref();
        let repeat = if by_client { Repeat::Always } else { Repeat::IfNotProcessed };
        for attempt in 1..=CREATE_TRIES {
            let mut call =
                Call::new(super::write::method(&route.method), route.path.clone()).repeat(repeat).body(body.clone());
            call.query.clone_from(&query);
            call.headers = own_headers(&spec.headers);
            if let Some(header) = keyed {
                call.headers.push((header.clone(), self.intent_id(index)));
            }
            let sent = match self.send_call(remote, call, &spec.success).await {
                Ok(answer) if spec.poll => remote.settled(&route.path, answer).await,
                other => other,
            };
            match sent {
                Ok(answer) => {
                    self.fill_sinks(remote, parts, step, &answer).await?;
                    return self.created(remote, index, &answer).await;
                }
                Err(error) if error.processed() == Processed::Maybe => {
                    if let Some(done) = self.found_one(index).await? {
                        return with_its_values(parts, done);
                    }
                    // The server may still be at it: it is given time before absence counts.
                    for pause in pauses(remote, &error) {
                        self.pause(pause).await;
                        if let Some(done) = self.found_one(index).await? {
                            return with_its_values(parts, done);
                        }
                    }
                    if !self.has_key(step) || self.stopped() || attempt == CREATE_TRIES {
                        return Err(Trouble::unknown(format!("{error}; {NOT_KNOWN}")));
                    }
                }
                Err(error) => {
                    let conflict = match &error {
                        HttpError::Refused { answer, .. } => {
                            dialect::is_conflict(&remote.api, answer.status, &answer.body)
                        }
                        _ => false,
                    };
                    if conflict
                        && spec.upsert
                        && let Some(found) = self.found_one(index).await?
                    {
                        return self.bring_in_line(remote, index, found).await;
                    }
                    let hint = if conflict { "; it exists already: plan again to adopt it" } else { "" };
                    if let Some(why) = self.waits(remote, step, &error).await {
                        return Err(Trouble::waiting(why));
                    }
                    return Err(Trouble::known(format!("{error}{hint}")));
                }
            }
        }
        Err(Trouble::unknown(NOT_KNOWN.into()))
    }

    /// Why a refused create waits, where it waits for somebody: what it needs is there, and not ready yet.
    async fn waits(&self, remote: &Remote, step: &Step, error: &HttpError) -> Option<String> {
        let waits = step.kind.spec.create.waits.as_ref()?;
        if !matches!(error, HttpError::Refused { .. }) {
            return None;
        }
        let kind = remote.api.kind(&waits.kind)?;
        let parent = self.parent_id(step)?;
        let mut asked = ListQuery::default();
        if let Some(scope) = &kind.spec.scope {
            let known = |name: &str| (step.kind.chain.last().map(String::as_str) == Some(name)).then(|| parent.clone());
            asked.vars.push((scope.field.clone(), step.kind.path_part(&scope.field, &known)?));
        }
        let rows = remote.list(kind, &asked).await.ok()?.rows;
        let rows: Vec<_> = rows.iter().filter_map(|row| decode_row(kind, row, &self.context.seal)).collect();
        let found = is_waited_for(waits, kind, rows.iter().map(|there| &there.fields), &step.desired);
        found.then(|| waits.message.clone())
    }

    /// Puts what the answer to a create has once where the manifest says; it is known to be a secret from then on.
    async fn fill_sinks(&self, remote: &Remote, parts: &Parts, step: &Step, answer: &Answer) -> Result<(), Trouble> {
        let sinks = std::mem::take(&mut *parts.sinks.lock().unwrap_or_else(PoisonError::into_inner));
        if sinks.is_empty() {
            return Ok(());
        }
        let body = answer.json_if_any().ok().flatten();
        let row = body.as_ref().and_then(|body| dialect::one(&remote.api, &step.kind, body).ok());
        let lost = |why: String| Trouble::unknown(format!("it was made, and {why}; the next apply makes it anew"));
        for (name, sink) in sinks {
            let wire = step.kind.field(&name).map(crate::description::format::FieldSpec::wire_name).unwrap_or_default();
            // Without a name, the answer is the value.
            let value = match wire {
                "" => body.as_ref().and_then(text),
                wire => row.as_ref().and_then(|row| text(&dialect::attribute(&step.kind, row, wire)?)),
            };
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return Err(lost(format!("the answer has no `{wire}`, which the API shows once")));
            };
            let _ = (self.context.seal)(&value);
            sink.write(&value).await.map_err(|why| lost(format!("its `{wire}` is lost: {why}")))?;
        }
        Ok(())
    }

    pub(super) fn has_key(&self, step: &Step) -> bool {
        let desired = self.made.resolve(&step.desired);
        crate::live::natural_key(&step.kind, step.specs(), self.parent_id(step).as_deref().or(Some("")), &desired)
            .is_some()
    }

    /// What a create's answer says about the object, or what a look says where the answer says nothing.
    pub(super) async fn created(&self, remote: &Remote, index: usize, answer: &Answer) -> Result<Done, Trouble> {
        let step = &self.plan.steps[index];
        if !step.kind.spec.create.answers_nothing
            && let Ok(Some(body)) = answer.json_if_any()
            && let Ok(row) = dialect::one(&remote.api, &step.kind, &body)
            && let Some(decoded) = self.decoded(step, &row)
        {
            return Ok(Done::Present(Box::new(decoded)));
        }
        if step.kind.spec.id.client.is_some()
            && let Some(id) = crate::plan::var("id", step, &|_| None)
        {
            return Ok(Done::Present(Box::new(Decoded::bare(id))));
        }
        if let Some(id) = answer.header("location").and_then(|location| dialect::located(&step.kind, location)) {
            let id = step.kind.full_id(self.parent_id(step).as_deref(), &id);
            return Ok(Done::Present(Box::new(Decoded::bare(id))));
        }
        self.found_one(index).await?.ok_or_else(|| not_shown(answer))
    }

    /// Looks for a step's object by its natural key.
    pub(super) async fn found_one(&self, index: usize) -> Result<Option<Done>, Trouble> {
        self.found(&[index]).await.remove(&index).unwrap_or(Ok(None))
    }

    /// Looks for the objects of steps by their natural keys.
    async fn found(&self, steps: &[usize]) -> HashMap<usize, Result<Option<Done>, Trouble>> {
        let one = |found: Result<Vec<Decoded>, Arc<HttpError>>| match found {
            Err(error) => Err(Trouble::unknown(format!("{error}; {NOT_KNOWN}"))),
            Ok(found) if found.len() > 1 => {
                let ids: Vec<String> = found.iter().map(|decoded| format!("`{}`", decoded.id)).collect();
                Err(Trouble::unknown(format!(
                    "{} live objects have its key (ids {}): say which is meant with `plumb.dev/external-id`",
                    ids.len(),
                    ids.join(", ")
                )))
            }
            Ok(found) => Ok(found.into_iter().next().map(|decoded| Done::Present(Box::new(decoded)))),
        };
        self.find(steps).await.into_iter().map(|(index, found)| (index, one(found))).collect()
    }

    pub(super) async fn replace(&self, remote: &Remote, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        if steps.iter().any(|index| self.plan.steps[*index].kind.apply.is_some()) {
            return self.replace_resources(remote, steps).await;
        }
        for index in steps {
            let step = &self.plan.steps[*index];
            if let Err(trouble) = self.join(remote, step).await {
                out.push((*index, Err(trouble)));
                continue;
            }
            let made = match self.create_parts(remote, *index).await {
                Err(why) => Err(Trouble::known(why)),
                Ok(parts) => match self.delete_one(remote, step).await {
                    Ok(()) => self.create_one(remote, &parts, *index).await,
                    Err(trouble) => Err(trouble),
                },
            };
            out.push((*index, made));
        }
        out
    }

    /// Learns the ids of entries that were sent along in their parent's create.
    pub(super) async fn learn_embedded(
        &self,
        remote: &Remote,
        parent: usize,
        id: &str,
        children: &[usize],
        known: Option<Vec<Value>>,
    ) -> Vec<(usize, StepResult)> {
        let parent_kind = self.plan.steps[parent].kind.name.clone();
        let child_kind = self.plan.steps[children[0]].kind.clone();
        let looked = match known {
            Some(rows) => Ok(Some(rows)),
            None => self.children(remote, &child_kind, &parent_kind, id).await,
        };
        let rows = match looked {
            Ok(rows) => rows.unwrap_or_default(),
            Err(error) => {
                let why = format!("it was sent along with its parent, and could not be looked up: {error}");
                return children.iter().map(|index| (*index, failed(&why))).collect();
            }
        };
        let mut edits = Vec::new();
        let mut out = Vec::new();
        let mut shelf = None;
        for index in children {
            let step = &self.plan.steps[*index];
            let shelf = shelf.get_or_insert_with(|| self.shelve(step, Some(id), &rows));
            if let Some(decoded) = self.on_shelf(shelf, step, Some(id)).into_iter().next() {
                self.verify(step, &decoded);
                let id = self.settle(step, &Done::Present(Box::new(decoded)), &mut edits);
                edits.push(Edit::End(self.intent_id(*index)));
                edits.extend(self.old_intents.get(step.address()).into_iter().flatten().cloned().map(Edit::End));
                out.push((*index, StepResult { outcome: Outcome::Done, error: None, id }));
            } else {
                edits.push(Edit::End(self.intent_id(*index)));
                out.push((*index, failed("it was sent along with its parent, and the API did not make it")));
            }
        }
        if let Err(error) = self.context.inventory.commit(edits).await {
            let why = format!("it was done, and could not be recorded: {error}");
            return children.iter().map(|index| (*index, failed(&why))).collect();
        }
        out
    }
}

/// When to look again for what a call may have made: in all, as long as a server may still be at what it did not answer,
/// or what a gateway before it gave up on. A server that answered with an error of its own is at its end.
pub(super) fn pauses(remote: &Remote, error: &HttpError) -> Vec<Duration> {
    match error.status() {
        None | Some(502 | 504) => [0.1, 0.3, 0.6].map(|share| remote.client.settle().mul_f64(share)).to_vec(),
        Some(_) => vec![remote.client.first_delay()],
    }
}

impl Shared<'_> {
    /// Waits, unless the run is interrupted: what became of the call is then for the next one to find out.
    pub(super) async fn pause(&self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while !self.stopped() && tokio::time::Instant::now() < until {
            tokio::time::sleep(time.min(Duration::from_millis(50))).await;
        }
    }
}

/// The API accepted a create, and the object is neither in its answer nor in its list.
fn not_shown(answer: &Answer) -> Trouble {
    let came = match answer.json_if_any() {
        Ok(Some(Value::Object(members))) => {
            let names: Vec<String> = members.keys().take(5).map(|name| format!("`{name}`")).collect();
            format!("an object with {}", names.join(", "))
        }
        _ => format!("status {}", answer.status),
    };
    let error = answer.unusable(came, "the new object");
    Trouble::unknown(format!("{error}, and its list does not have it either; {NOT_KNOWN}"))
}

/// Attributes of one create, and of the entries sent along; where values go that its answer has once.
pub(super) struct Parts {
    pub(super) attributes: Fields,
    pub(super) embedded: Vec<(usize, Fields)>,
    sinks: Mutex<Vec<(String, Sink)>>,
}

/// The sinks of a step's object, each ready before anything is sent.
async fn sinks(step: &Step, cluster: &Cluster) -> Result<Vec<(String, Sink)>, String> {
    let mut out = Vec::new();
    for (name, _) in step.kind.spec.fields.iter().filter(|(_, spec)| spec.ty == FieldType::Sink) {
        if let Some(place) = step.desired.get(name).filter(|place| !place.is_null()) {
            out.push((name.clone(), Sink::open(place, cluster).await?));
        }
    }
    Ok(out)
}

/// An object that was made, if nothing of it went down with the answer.
fn with_its_values(parts: &Parts, done: Done) -> Result<Done, Trouble> {
    match parts.sinks.lock().unwrap_or_else(PoisonError::into_inner).first() {
        None => Ok(done),
        Some((name, _)) => Err(Trouble::unknown(format!(
            "it was made, and what goes to `{name}` was lost with the answer; the next apply makes it anew"
        ))),
    }
}
