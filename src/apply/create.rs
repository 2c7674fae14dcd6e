//! Creates, one or many at a time: what a lost or silent answer made is found before anything is sent again.

use std::time::Duration;

use serde_json::Value;

use super::{Shared, StepResult};
use crate::{
    description::Kind,
    dialect::{self, Decoded, bulk_body, create_body, decode_row},
    http::{Answer, HttpError, Processed, Repeat},
    inventory::Edit,
    live::Remote,
    plan::{Operation, Outcome, Step, bulk_of, bulk_route, create_route},
    value::Fields,
};

/// How often an unanswered create is sent again once it is known not to have taken effect.
const CREATE_TRIES: u32 = 3;

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
            match self.create_parts(remote, *index) {
                Ok(parts) => ready.push((*index, parts)),
                Err(why) => out.push((*index, Err(Trouble::known(why)))),
            }
        }
        if bulk && !ready.is_empty() {
            match self.create_bulk(remote, &ready).await {
                Ok(results) => out.extend(results),
                Err(Split) => {
                    // Nothing says that a refused bulk call did nothing at all: each is looked for before it goes alone.
                    for (index, parts) in ready {
                        let only = [(index, parts)];
                        let single = match self.found(&self.plan.steps[index]).await {
                            Ok(Some(done)) => Ok(done),
                            Ok(None) => self.create_one(remote, &only[0].1, index).await,
                            Err(trouble) => Err(trouble),
                        };
                        out.push((index, single));
                    }
                }
            }
            return out;
        }
        for (index, parts) in ready {
            out.push((index, self.create_one(remote, &parts, index).await));
        }
        out
    }

    pub(super) fn create_parts(&self, remote: &Remote, index: usize) -> Result<Parts, String> {
        let step = &self.plan.steps[index];
        let attributes = self.create_attributes(step)?;
        let mut embedded: Vec<(usize, Fields)> = Vec::new();
        for child in self.along(&[index]) {
            embedded.push((child, self.create_attributes(&self.plan.steps[child])?));
        }
        let _ = remote;
        Ok(Parts { attributes, embedded })
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

    pub(super) async fn create_bulk(
        &self,
        remote: &Remote,
        ready: &[(usize, Parts)],
    ) -> Result<Vec<(usize, Result<Done, Trouble>)>, Split> {
        let first = &self.plan.steps[ready[0].0];
        let Some(bulk) = bulk_of(&first.kind, Operation::Create) else { return Err(Split) };
        let route = bulk_route(first, bulk, Operation::Create, &|address| self.made.id(address));
        let rows = ready.iter().map(|(_, parts)| (None, parts.attributes.clone(), self.embedded(parts))).collect();
        let body = bulk_body(&remote.api, &first.kind, rows);
        let query = bulk.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let sent = self.send(remote, &route, query, Some(body), Repeat::IfNotProcessed).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(HttpError::Refused { .. }) if ready.len() > 1 => return Err(Split),
            Err(error) if error.processed() == Processed::Maybe => {
                let mut out = Vec::new();
                for (index, parts) in ready {
                    let result = match self.found(&self.plan.steps[*index]).await {
                        Ok(Some(done)) => Ok(done),
                        Ok(None) => self.create_one(remote, parts, *index).await,
                        Err(trouble) => Err(trouble),
                    };
                    out.push((*index, result));
                }
                return Ok(out);
            }
            Err(error) => {
                let message = error.to_string();
                return Ok(ready.iter().map(|(index, _)| (*index, Err(Trouble::known(message.clone())))).collect());
            }
        };
        let rows = answer.json().ok().map(|body| rows_of(&first.kind, &body)).unwrap_or_default();
        let mut out = Vec::new();
        for (number, (index, _)) in ready.iter().enumerate() {
            let step = &self.plan.steps[*index];
            let desired = self.made.resolve(&step.desired);
            let parent = self.parent_id(step);
            let by_key = self.matching(step, &desired, parent.as_deref(), &rows).unwrap_or_default();
            let by_place = || {
                let row = rows.get(number).filter(|_| rows.len() == ready.len())?;
                decode_row(&step.kind, row, &self.context.seal)
            };
            let found = if by_key.len() == 1 { by_key.into_iter().next() } else { by_place() };
            let result = match found {
                Some(decoded) => Ok(Done::Present(Box::new(decoded))),
                None => match self.found(step).await {
                    Ok(Some(done)) => Ok(done),
                    Ok(None) => Err(Trouble::unknown("the API accepted the call and does not show the object".into())),
                    Err(trouble) => Err(trouble),
                },
            };
            out.push((*index, result));
        }
        Ok(out)
    }

    pub(super) async fn create_one(&self, remote: &Remote, parts: &Parts, index: usize) -> Result<Done, Trouble> {
        let step = &self.plan.steps[index];
        let spec = &step.kind.spec.create;
        let bulk = bulk_of(&step.kind, Operation::Create).filter(|bulk| bulk.only);
        let ids = |address: &str| self.made.id(address);
        let (route, body, query) = match bulk {
            Some(bulk) => (
                bulk_route(step, bulk, Operation::Create, &ids),
                bulk_body(&remote.api, &step.kind, vec![(None, parts.attributes.clone(), self.embedded(parts))]),
                &bulk.query,
            ),
            None => (
                create_route(step, &ids),
                create_body(&remote.api, &step.kind, parts.attributes.clone(), &self.embedded(parts)),
                &spec.query,
            ),
        };
        let query: Vec<(String, String)> = query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let by_client = step.kind.spec.id.client.is_some();
        let repeat = if by_client { Repeat::Always } else { Repeat::IfNotProcessed };
        for attempt in 1..=CREATE_TRIES {
            match self.send(remote, &route, query.clone(), Some(body.clone()), repeat).await {
                Ok(answer) => return self.created(remote, step, &answer).await,
                Err(error) if error.processed() == Processed::Maybe => {
                    if let Some(done) = self.found(step).await? {
                        return Ok(done);
                    }
                    // The server may still be at it: give it a moment before absence counts.
                    tokio::time::sleep(Duration::from_millis(500 * u64::from(attempt))).await;
                    if let Some(done) = self.found(step).await? {
                        return Ok(done);
                    }
                    if !self.has_key(step) || self.stopped() || attempt == CREATE_TRIES {
                        return Err(Trouble::unknown(format!("{error}; whether it was made is not known")));
                    }
                }
                Err(error) => {
                    let conflict = match &error {
                        HttpError::Refused { answer, .. } => {
                            dialect::is_conflict(&remote.api, answer.status, &answer.body)
                        }
                        _ => false,
                    };
                    let hint = if conflict { "; it exists already: plan again to adopt it" } else { "" };
                    return Err(Trouble::known(format!("{error}{hint}")));
                }
            }
        }
        Err(Trouble::unknown("whether it was made is not known".into()))
    }

    pub(super) fn has_key(&self, step: &Step) -> bool {
        let desired = self.made.resolve(&step.desired);
        crate::live::natural_key(&step.kind, step.specs(), self.parent_id(step).as_deref().or(Some("")), &desired)
            .is_some()
    }

    /// What a create's answer says about the object, or what a look says where the answer says nothing.
    pub(super) async fn created(&self, remote: &Remote, step: &Step, answer: &Answer) -> Result<Done, Trouble> {
        if !step.kind.spec.create.answers_nothing
            && let Ok(Some(body)) = answer.json_if_any()
            && let Ok(row) = dialect::one(&remote.api, &step.kind, &body)
            && let Some(decoded) = decode_row(&step.kind, &row, &self.context.seal)
        {
            return Ok(Done::Present(Box::new(decoded)));
        }
        if step.kind.spec.id.client.is_some()
            && let Some(id) = crate::plan::var("id", step, &|_| None)
        {
            return Ok(Done::Present(Box::new(Decoded { id, fields: Fields::new() })));
        }
        if let Some(id) = answer.header("location").and_then(|location| {
            let path = location.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
            path.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
        }) {
            return Ok(Done::Present(Box::new(Decoded { id, fields: Fields::new() })));
        }
        match self.found(step).await? {
            Some(done) => Ok(done),
            None => Err(Trouble::unknown("the API accepted the call and does not show the object".into())),
        }
    }

    /// Looks for a step's object by its natural key.
    pub(super) async fn found(&self, step: &Step) -> Result<Option<Done>, Trouble> {
        match self.find(step).await {
            Ok(None) => Ok(None),
            Ok(Some(found)) => match found.len() {
                0 => Ok(None),
                1 => Ok(found.into_iter().next().map(|decoded| Done::Present(Box::new(decoded)))),
                many => {
                    let ids: Vec<String> = found.iter().map(|decoded| format!("`{}`", decoded.id)).collect();
                    Err(Trouble::unknown(format!(
                        "{many} live objects have its key (ids {}): say which is meant with `plumb.dev/external-id`",
                        ids.join(", ")
                    )))
                }
            },
            Err(error) => Err(Trouble::unknown(format!("{error}; whether it was made is not known"))),
        }
    }

    pub(super) async fn replace(&self, remote: &Remote, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        for index in steps {
            let step = &self.plan.steps[*index];
            let made = match self.create_parts(remote, *index) {
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
        for index in children {
            let step = &self.plan.steps[*index];
            let desired = self.made.resolve(&step.desired);
            let found = self.matching(step, &desired, Some(id), &rows).unwrap_or_default();
            if let Some(decoded) = found.into_iter().next() {
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

/// Attributes of one create, and of the entries sent along.
pub(super) struct Parts {
    pub(super) attributes: Fields,
    pub(super) embedded: Vec<(usize, Fields)>,
}
