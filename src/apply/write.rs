//! The calls of one batch, and what is recorded of them.

use std::time::Duration;

use serde_json::Value;

use super::{SETTLE_SECONDS, Shared, StepResult, encode::lock_value, format_instant, now};
use crate::{
    description::{
        Kind,
        format::{UpdateStyle, Verb},
    },
    diagnostic::Diagnostic,
    dialect::{self, Decoded, bulk_body, bulk_delete_body, create_body, decode_row, update_body},
    diff::{Sides, diff},
    http::{Answer, HttpError, Method, Processed, Repeat},
    inventory::{Edit, Intent, IntentVerb, Record, Tombstone},
    live::{Remote, item_vars},
    plan::{
        ActionKind, Batch, Operation, Outcome, Route, Step, bulk_of, bulk_route, create_route, delete_route, update_route,
    },
    value::Fields,
};

/// How often an unanswered create is sent again once it is known not to have taken effect.
const CREATE_TRIES: u32 = 3;

/// What a call did to one step's object.
enum Done {
    /// It is there, with this id and these fields.
    Present(Box<Decoded>),
    /// It is gone.
    Gone,
    /// The API accepted the change and said nothing more.
    Accepted,
}

impl Shared<'_> {
    /// Carries out one batch.
    pub(super) async fn write(&self, batch: &Batch, steps: &[usize]) -> Vec<(usize, StepResult)> {
        let Some(first) = steps.first().map(|index| &self.plan.steps[*index]) else { return Vec::new() };
        let Some(remote) = self.remote(&first.action.connection).cloned() else {
            return steps.iter().map(|index| (*index, failed("its connection is not there"))).collect();
        };
        if batch.operation == Operation::Record {
            return self.record_only(steps).await;
        }
        let along = self.along(steps);
        let mut intents = Vec::new();
        for index in steps.iter().chain(&along) {
            intents.push(self.intent(*index));
        }
        if let Err(error) = self.context.inventory.commit(intents).await {
            let why = format!("the intent could not be recorded, so nothing was sent: {error}");
            return steps.iter().chain(&along).map(|index| (*index, failed(&why))).collect();
        }
        let results = match batch.operation {
            Operation::Create => self.create(&remote, batch.bulk, steps).await,
            Operation::Update => self.update(&remote, batch.bulk, steps).await,
            Operation::Delete => self.delete(&remote, batch.bulk, steps).await,
            Operation::Replace => self.replace(&remote, steps).await,
            Operation::Record => Vec::new(),
        };
        let mut out = Vec::new();
        let mut edits = Vec::new();
        let mut embedded = Vec::new();
        for (index, result) in results {
            let step = &self.plan.steps[index];
            match result {
                Ok(done) => {
                    let id = self.settle(step, &done, &mut edits);
                    if let (Done::Present(decoded), Operation::Create | Operation::Replace | Operation::Update) = (&done, step.operation) {
                        self.verify(step, decoded);
                    }
                    edits.push(Edit::End(self.intent_id(index)));
                    edits.extend(self.old_intents.get(step.address()).into_iter().flatten().cloned().map(Edit::End));
                    if let Some(id) = &id {
                        embedded.push((index, id.clone()));
                    }
                    out.push((index, StepResult { outcome: Outcome::Done, error: None, id }));
                }
                Err(Trouble { message, unknown }) => {
                    // What became of it is not known: the intent stays, and the next run looks.
                    if !unknown {
                        edits.push(Edit::End(self.intent_id(index)));
                        edits.extend(self.children_of(index, &along).map(|child| Edit::End(self.intent_id(child))));
                    }
                    for child in self.children_of(index, &along) {
                        out.push((child, skipped(&format!("`{}` failed", step.address()))));
                    }
                    out.push((index, failed(&message)));
                }
            }
        }
        if let Err(error) = self.context.inventory.commit(edits).await {
            let why = format!("it was done, and could not be recorded: {error}");
            for (_, result) in &mut out {
                if result.outcome == Outcome::Done {
                    result.outcome = Outcome::Failed;
                    result.error = Some(why.clone());
                }
            }
            return out;
        }
        for (index, id) in embedded {
            let children: Vec<usize> = self.children_of(index, &along).collect();
            if !children.is_empty() {
                out.extend(self.learn_embedded(&remote, index, &id, &children).await);
            }
        }
        out
    }

    /// Steps that are sent along in the creates of these.
    fn along(&self, steps: &[usize]) -> Vec<usize> {
        let parents: Vec<&str> = steps.iter().map(|index| self.plan.steps[*index].address()).collect();
        if !steps.iter().any(|index| self.plan.steps[*index].operation == Operation::Create) {
            return Vec::new();
        }
        self.plan
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.embedded && step.parent_new.as_deref().is_some_and(|parent| parents.contains(&parent)))
            .map(|(index, _)| index)
            .collect()
    }

    fn children_of<'s>(&'s self, index: usize, along: &'s [usize]) -> impl Iterator<Item = usize> + 's {
        let parent = self.plan.steps[index].address();
        along.iter().copied().filter(move |child| self.plan.steps[*child].parent_new.as_deref() == Some(parent))
    }

    fn intent_id(&self, index: usize) -> String {
        format!("{}-{index}", self.run)
    }

    fn intent(&self, index: usize) -> Edit {
        let step = &self.plan.steps[index];
        let begun = jiff::Timestamp::now();
        let deadline = begun + jiff::SignedDuration::from_secs(SETTLE_SECONDS);
        Edit::Begin(
            self.intent_id(index),
            Intent {
                address: step.address().to_owned(),
                verb: match step.operation {
                    Operation::Create | Operation::Replace | Operation::Record => IntentVerb::Create,
                    Operation::Update => IntentVerb::Update,
                    Operation::Delete => IntentVerb::Delete,
                },
                connection: step.action.connection.clone(),
                kind: step.kind.name.clone(),
                id: step.action.id.clone(),
                parent: self.parent_id(step),
                sent: self.made.resolve(&step.desired),
                seen: step.seen.clone(),
                at: format_instant(begun),
                deadline: format_instant(deadline),
            },
        )
    }

    async fn record_only(&self, steps: &[usize]) -> Vec<(usize, StepResult)> {
        let mut edits = Vec::new();
        let mut out = Vec::new();
        for index in steps {
            let step = &self.plan.steps[*index];
            let id = step.action.id.clone();
            match step.action.action {
                ActionKind::Forget => edits.push(Edit::Remove(step.address().to_owned())),
                _ => {
                    if let Some(live) = &step.live {
                        let decoded = Decoded { id: live.id.clone(), fields: live.fields.clone() };
                        self.settle(step, &Done::Present(Box::new(decoded)), &mut edits);
                    }
                }
            }
            edits.extend(self.old_intents.get(step.address()).into_iter().flatten().cloned().map(Edit::End));
            out.push((*index, StepResult { outcome: Outcome::Done, error: None, id }));
        }
        if let Err(error) = self.context.inventory.commit(edits).await {
            let why = format!("it could not be recorded: {error}");
            return steps.iter().map(|index| (*index, failed(&why))).collect();
        }
        out
    }

    /// Records what a step's object is now, and gives its id.
    fn settle(&self, step: &Step, done: &Done, edits: &mut Vec<Edit>) -> Option<String> {
        let (id, fields) = match done {
            Done::Gone => {
                edits.push(Edit::Remove(step.address().to_owned()));
                if step.kind.spec.deferred_delete {
                    edits.push(Edit::Bury(
                        step.address().to_owned(),
                        Tombstone {
                            connection: step.action.connection.clone(),
                            kind: step.kind.name.clone(),
                            id: step.action.id.clone().unwrap_or_default(),
                            at: now(),
                        },
                    ));
                }
                // Entries go with their parent.
                let prefix = format!("{}#", step.address());
                let state = self.context.inventory.state();
                edits.extend(state.objects.keys().filter(|address| address.starts_with(&prefix)).cloned().map(Edit::Remove));
                return step.action.id.clone();
            }
            Done::Accepted => (step.action.id.clone()?, Fields::new()),
            Done::Present(decoded) => (decoded.id.clone(), decoded.fields.clone()),
        };
        self.made.put(step.address(), &id, fields.clone());
        if step.archive {
            return Some(id);
        }
        let before = step.record.as_ref().map(|(_, record)| record);
        let (deletion_policy, protect, depends_on) = self.manifest_policy(step);
        let record = Record {
            connection: step.action.connection.clone(),
            id: id.clone(),
            parent: self.parent_id(step),
            inside: step.kind.inside().map(|_| step.address().split('#').next().unwrap_or_default().to_owned()),
            applied: self.made.resolve(&step.desired),
            key: crate::live::shown_key(&step.kind, &fields, &|_, _| None),
            adopted: match step.action.action {
                ActionKind::Adopt => !step.ours,
                ActionKind::Create | ActionKind::Replace => false,
                _ => before.is_some_and(|record| record.adopted),
            },
            deletion_policy,
            protect,
            depends_on,
            at: now(),
        };
        if let Some((from, _)) = &step.record
            && from != step.address()
        {
            edits.push(Edit::Remove(from.clone()));
        }
        edits.push(Edit::Put(step.address().to_owned(), Box::new(record)));
        Some(id)
    }

    /// Tells where the API answers with something else than it was sent.
    fn verify(&self, step: &Step, decoded: &Decoded) {
        let desired = self.made.resolve(&step.desired);
        let relevant: Fields = match step.operation {
            Operation::Update => desired.into_iter().filter(|(name, _)| step.send.contains(name)).collect(),
            _ => desired,
        };
        let relevant: Fields = relevant
            .into_iter()
            .filter(|(name, value)| decoded.fields.contains_key(name) && !crate::value::has_secret(value) && !step.kind.spec.hook.as_deref().is_some_and(|_| step.specs.is_some() && value.is_object()))
            .collect();
        let found = diff(Sides {
            specs: step.specs(),
            desired: &relevant,
            applied: None,
            live: Some(&decoded.fields),
            ignore_drift: &[],
            prune: false,
        });
        for change in found.changes {
            if step.specs().get(&change.field).is_some_and(|spec| spec.list_cuts_at.is_some() || spec.write_only) {
                continue;
            }
            self.tell(
                Diagnostic::warning("PL0703", format!("The API accepted `{}` of `{}`, and answers with another value.", change.path, step.address()))
                    .hint("The next plan shows whether it took effect.")
                    .about(step.address()),
            );
        }
    }

    async fn create(&self, remote: &Remote, bulk: bool, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
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

    fn create_parts(&self, remote: &Remote, index: usize) -> Result<Parts, String> {
        let step = &self.plan.steps[index];
        let attributes = self.create_attributes(step)?;
        let mut embedded: Vec<(usize, Fields)> = Vec::new();
        for child in self.along(&[index]) {
            embedded.push((child, self.create_attributes(&self.plan.steps[child])?));
        }
        let _ = remote;
        Ok(Parts { attributes, embedded })
    }

    fn embedded<'s>(&'s self, parts: &'s Parts) -> Vec<(&'s Kind, &'s str, Vec<Fields>)> {
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

    async fn create_bulk(&self, remote: &Remote, ready: &[(usize, Parts)]) -> Result<Vec<(usize, Result<Done, Trouble>)>, Split> {
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

    async fn create_one(&self, remote: &Remote, parts: &Parts, index: usize) -> Result<Done, Trouble> {
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
                        HttpError::Refused { answer, .. } => dialect::is_conflict(&remote.api, answer.status, &answer.body),
                        _ => false,
                    };
                    let hint = if conflict { "; it exists already: plan again to adopt it" } else { "" };
                    return Err(Trouble::known(format!("{error}{hint}")));
                }
            }
        }
        Err(Trouble::unknown("whether it was made is not known".into()))
    }

    fn has_key(&self, step: &Step) -> bool {
        let desired = self.made.resolve(&step.desired);
        crate::live::natural_key(&step.kind, step.specs(), self.parent_id(step).as_deref().or(Some("")), &desired).is_some()
    }

    /// What a create's answer says about the object, or what a look says where the answer says nothing.
    async fn created(&self, remote: &Remote, step: &Step, answer: &Answer) -> Result<Done, Trouble> {
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
    async fn found(&self, step: &Step) -> Result<Option<Done>, Trouble> {
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

    async fn update(&self, remote: &Remote, bulk: bool, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        if bulk && steps.len() > 1 {
            let mut ready = Vec::new();
            for index in steps {
                match self.update_attributes(&self.plan.steps[*index]) {
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
            out.push((*index, self.update_one(remote, &self.plan.steps[*index], None).await));
        }
        out
    }

    async fn update_bulk(&self, remote: &Remote, ready: &[(usize, Fields)]) -> Result<Vec<(usize, Result<Done, Trouble>)>, Split> {
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
        match self.send(remote, &route, query, Some(body), Repeat::Always).await {
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
                let trouble = Trouble { unknown: error.processed() == Processed::Maybe, message: error.to_string() };
                Ok(ready.iter().map(|(index, _)| (*index, Err(trouble.clone()))).collect())
            }
        }
    }

    /// Sends the parts of a refused bulk update one by one. Where entries exchange values that must be unique, those
    /// that are taken go through spare ones first.
    async fn update_split(&self, remote: &Remote, ready: Vec<(usize, Fields)>) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::new();
        let unique: Vec<String> = ready
            .first()
            .and_then(|(index, _)| self.plan.steps[*index].kind.inside())
            .map(|inside| inside.unique.clone())
            .unwrap_or_default();
        for field in &unique {
            let changing: Vec<usize> =
                ready.iter().map(|(index, _)| *index).filter(|index| self.plan.steps[*index].send.contains(field)).collect();
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
    async fn park(&self, remote: &Remote, field: &str, steps: &[usize]) {
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

    async fn update_one(&self, remote: &Remote, step: &Step, attributes: Option<Fields>) -> Result<Done, Trouble> {
        let ids = |address: &str| self.made.id(address);
        let route = update_route(step, &ids);
        let spec = &step.kind.spec.update;
        let query: Vec<(String, String)> = spec.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut headers = Vec::new();
        let attributes = match attributes {
            Some(attributes) => attributes,
            None if spec.style == UpdateStyle::Replace && step.kind.can(Verb::Get) => {
                let live = step.live.as_ref();
                let id = step.action.id.clone().unwrap_or_default();
                let fields = live.map(|live| &live.fields);
                let vars = item_vars(&step.kind, &id, step.parent.as_deref(), fields);
                let row = remote
                    .get(&step.kind, &vars, &[])
                    .await
                    .map_err(|error| Trouble::known(error.to_string()))?
                    .map(|(row, _)| row)
                    .ok_or_else(|| Trouble::known("it is gone".into()))?;
                if let (Some(now), Some(then)) = (lock_value(&step.kind, &row), live.and_then(|live| lock_value(&step.kind, live.raw.as_ref()?)))
                    && now != then
                {
                    return Err(Trouble::known("it was changed by somebody else since the plan: plan again".into()));
                }
                self.whole(step, &row).map_err(Trouble::known)?
            }
            None => self.update_attributes(step).map_err(Trouble::known)?,
        };
        let body = match spec.style {
            UpdateStyle::JsonPatch => {
                headers.push(("content-type".to_owned(), "application/json-patch+json".to_owned()));
                json_patch(&attributes)
            }
            UpdateStyle::MergePatch => {
                headers.push(("content-type".to_owned(), "application/merge-patch+json".to_owned()));
                update_body(&remote.api, &step.kind, attributes)
            }
            _ => update_body(&remote.api, &step.kind, attributes),
        };
        let method = method(&route.method);
        let mut call = crate::http::Call::new(method, route.path.clone()).repeat(Repeat::Always).body(body);
        call.query = query;
        call.headers = headers;
        let answer = remote
            .client
            .send(&call)
            .await
            .and_then(|answer| remote.successful(answer))
            .map_err(|error| Trouble { unknown: error.processed() == Processed::Maybe, message: error.to_string() })?;
        let decoded = answer
            .json_if_any()
            .ok()
            .flatten()
            .and_then(|body| dialect::one(&remote.api, &step.kind, &body).ok())
            .and_then(|row| decode_row(&step.kind, &row, &self.context.seal))
            .filter(|decoded| Some(&decoded.id) == step.action.id.as_ref() || step.kind.spec.singleton);
        Ok(decoded.map_or(Done::Accepted, |mut decoded| {
            if let Some(id) = &step.action.id {
                decoded.id.clone_from(id);
            }
            Done::Present(Box::new(decoded))
        }))
    }

    async fn delete(&self, remote: &Remote, bulk: bool, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        if bulk {
            return self.delete_bulk(remote, steps).await;
        }
        let mut out = Vec::new();
        for index in steps {
            out.push((*index, self.delete_one(remote, &self.plan.steps[*index]).await.map(|()| Done::Gone)));
        }
        out
    }

    async fn delete_bulk(&self, remote: &Remote, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let Some(first) = steps.first().map(|index| &self.plan.steps[*index]) else { return Vec::new() };
        match self.delete_many(remote, first, steps).await {
            Ok(()) => steps.iter().map(|index| (*index, Ok(Done::Gone))).collect(),
            Err(trouble) if steps.len() == 1 => vec![(steps[0], Err(trouble))],
            Err(_) => {
                // One of them may be the culprit: each goes alone.
                let mut out = Vec::new();
                for index in steps {
                    let step = &self.plan.steps[*index];
                    out.push((*index, self.delete_many(remote, step, &[*index]).await.map(|()| Done::Gone)));
                }
                out
            }
        }
    }

    async fn delete_many(&self, remote: &Remote, first: &Step, steps: &[usize]) -> Result<(), Trouble> {
        let Some(bulk) = bulk_of(&first.kind, Operation::Delete) else {
            return Err(Trouble::known("the API cannot delete it".into()));
        };
        let route = bulk_route(first, bulk, Operation::Delete, &|address| self.made.id(address));
        let ids: Vec<String> = steps.iter().filter_map(|index| self.plan.steps[*index].action.id.clone()).collect();
        let body = bulk_delete_body(&remote.api, &first.kind, &ids);
        let query = bulk.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        match self.send(remote, &route, query, Some(body), Repeat::Always).await {
            Ok(_) => Ok(()),
            Err(error) if gone(remote, &error) && ids.len() == 1 => Ok(()),
            Err(error) => {
                // A repeated bulk delete is refused for what is gone already: look.
                if ids.len() == 1 && self.is_gone(remote, &self.plan.steps[steps[0]]).await {
                    return Ok(());
                }
                Err(Trouble { unknown: error.processed() == Processed::Maybe, message: error.to_string() })
            }
        }
    }

    async fn is_gone(&self, remote: &Remote, step: &Step) -> bool {
        if !step.kind.can(Verb::Get) || step.kind.spec.deferred_delete {
            return false;
        }
        let id = step.action.id.clone().unwrap_or_default();
        let fields = step.live.as_ref().map(|live| &live.fields);
        let vars = item_vars(&step.kind, &id, step.parent.as_deref(), fields);
        matches!(remote.get(&step.kind, &vars, &[]).await, Ok(None))
    }

    async fn delete_one(&self, remote: &Remote, step: &Step) -> Result<(), Trouble> {
        if let Some(bulk) = bulk_of(&step.kind, Operation::Delete)
            && (bulk.only || step.kind.spec.lacks.contains(&Verb::Delete))
        {
            let ids: Vec<String> = step.action.id.clone().into_iter().collect();
            let route = bulk_route(step, bulk, Operation::Delete, &|address| self.made.id(address));
            let body = bulk_delete_body(&remote.api, &step.kind, &ids);
            return match self.send(remote, &route, Vec::new(), Some(body), Repeat::Always).await {
                Ok(_) => Ok(()),
                Err(error) if gone(remote, &error) => Ok(()),
                Err(error) => Err(Trouble { unknown: error.processed() == Processed::Maybe, message: error.to_string() }),
            };
        }
        let route = delete_route(step, &|address| self.made.id(address));
        let query = step.kind.spec.delete.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        match self.send(remote, &route, query, None, Repeat::Always).await {
            Ok(_) => Ok(()),
            Err(error) if gone(remote, &error) => Ok(()),
            Err(error) => Err(Trouble { unknown: error.processed() == Processed::Maybe, message: error.to_string() }),
        }
    }

    async fn replace(&self, remote: &Remote, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
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
    async fn learn_embedded(&self, remote: &Remote, parent: usize, id: &str, children: &[usize]) -> Vec<(usize, StepResult)> {
        let parent_kind = self.plan.steps[parent].kind.name.clone();
        let child_kind = self.plan.steps[children[0]].kind.clone();
        let rows = match self.children(remote, &child_kind, &parent_kind, id).await {
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
            match found.into_iter().next() {
                Some(decoded) => {
                    self.verify(step, &decoded);
                    let id = self.settle(step, &Done::Present(Box::new(decoded)), &mut edits);
                    edits.push(Edit::End(self.intent_id(*index)));
                    edits.extend(self.old_intents.get(step.address()).into_iter().flatten().cloned().map(Edit::End));
                    out.push((*index, StepResult { outcome: Outcome::Done, error: None, id }));
                }
                None => {
                    edits.push(Edit::End(self.intent_id(*index)));
                    out.push((*index, failed("it was sent along with its parent, and the API did not make it")));
                }
            }
        }
        if let Err(error) = self.context.inventory.commit(edits).await {
            let why = format!("it was done, and could not be recorded: {error}");
            return children.iter().map(|index| (*index, failed(&why))).collect();
        }
        out
    }

    async fn send(
        &self,
        remote: &Remote,
        route: &Route,
        query: Vec<(String, String)>,
        body: Option<Value>,
        repeat: Repeat,
    ) -> Result<Answer, HttpError> {
        let answer = remote.write(method(&route.method), route.path.clone(), query, body, repeat).await?;
        remote.successful(answer)
    }
}

/// Attributes of one create, and of the entries sent along.
struct Parts {
    attributes: Fields,
    embedded: Vec<(usize, Fields)>,
}

/// A bulk call was refused: its parts go alone.
struct Split;

/// Why a step failed.
#[derive(Debug, Clone)]
struct Trouble {
    message: String,
    /// What became of the object is not known.
    unknown: bool,
}

impl Trouble {
    fn known(message: String) -> Self {
        Self { message, unknown: false }
    }

    fn unknown(message: String) -> Self {
        Self { message, unknown: true }
    }
}

fn method(word: &str) -> Method {
    Method::from_bytes(word.to_ascii_uppercase().as_bytes()).unwrap_or(Method::POST)
}

fn gone(remote: &Remote, error: &HttpError) -> bool {
    error.status().is_some_and(|status| remote.api.spec.errors.absent.contains(&status))
}

fn rows_of(kind: &Kind, body: &Value) -> Vec<Value> {
    let _ = kind;
    let list = body.get("data").unwrap_or(body);
    match list {
        Value::Array(rows) => rows.clone(),
        row @ Value::Object(_) => vec![row.clone()],
        _ => Vec::new(),
    }
}

fn json_patch(attributes: &Fields) -> Value {
    Value::Array(
        attributes
            .iter()
            .map(|(name, value)| {
                let path = format!("/{}", crate::address::escape(name));
                if value.is_null() {
                    serde_json::json!({ "op": "remove", "path": path })
                } else {
                    serde_json::json!({ "op": "add", "path": path, "value": value })
                }
            })
            .collect(),
    )
}

pub(super) fn failed(why: &str) -> StepResult {
    StepResult { outcome: Outcome::Failed, error: Some(why.to_owned()), id: None }
}

pub(super) fn skipped(why: &str) -> StepResult {
    StepResult { outcome: Outcome::Skipped, error: Some(why.to_owned()), id: None }
}
