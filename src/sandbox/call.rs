//! Calls on a simulated API: lists, reads, creates, updates and deletes, of one object or many.

use std::slice;

use axum::http::StatusCode;
use serde_json::Value;

use super::{
    answer::{Answer, Refusal},
    behaviour::View,
    body::{self, Body, Item},
    desk::{Desk, local_key},
    list, patch,
    render::{Renderer, etag, stamp},
    route::{Action, Call},
    rules,
    shape::Shape,
    simulation::{Request, Simulation, time_of},
    store::{Row, Store},
};
use crate::{
    description::format::{UpdateStyle, Verb},
    value::set_path,
};

impl Simulation {
    /// Carries a call out; what it changed before it fails is taken back by the caller.
    pub(super) fn carry_out(&self, store: &mut Store, call: &Call, request: &Request<'_>) -> Result<Answer, Refusal> {
        match call.action {
            Action::List => self.list(store, call, request),
            Action::Get => {
                let row = self.row(store, call)?;
                self.check_get_query(&call.shape, request)?;
                self.renderer(store, request).one(&call.shape, &row, View::Get, StatusCode::OK)
            }
            Action::GetPart => {
                let row = self.row(store, call)?;
                Ok(self.part(call, &row, request))
            }
            Action::Create | Action::BulkCreate => self.create(store, call, request),
            Action::Update | Action::BulkUpdate => self.update(store, call, request),
            Action::Delete | Action::BulkDelete => self.delete(store, call, request),
        }
    }

    fn renderer<'a>(&'a self, store: &'a Store, request: &'a Request<'_>) -> Renderer<'a> {
        Renderer { sim: self, store, reader: &request.reader, query: &request.query }
    }

    fn list(&self, store: &mut Store, call: &Call, request: &Request<'_>) -> Result<Answer, Refusal> {
        let page = list::page(self, store, call, &request.query)?;
        let first = page.offset == 0;
        let answer = self.renderer(store, request).many(call, &page)?;
        if first && call.shape.kind.spec.deferred_delete {
            self.age_doomed(store, &call.shape);
        }
        Ok(answer)
    }

    /// Brings deferred deletions nearer, and carries out those that are due.
    fn age_doomed(&self, store: &mut Store, shape: &Shape) {
        let doomed: Vec<Row> = store.rows(shape.name()).filter(|row| row.doomed.is_some()).cloned().collect();
        let mut due = Vec::new();
        for mut row in doomed {
            let left = row.doomed.unwrap_or_default().saturating_sub(1);
            if left == 0 {
                due.push(row.key.clone());
            }
            row.doomed = Some(left);
            store.put_as_is(shape.name(), row);
        }
        if !due.is_empty() {
            Desk::new(self, store).remove(shape, &due);
        }
    }

    /// The object that a path names.
    fn row(&self, store: &mut Store, call: &Call) -> Result<Row, Refusal> {
        let shape = call.shape.as_ref();
        if shape.kind.spec.singleton {
            return self.singleton(store, call);
        }
        let mut wanted = Row { id: call.ids.get("id").cloned().unwrap_or_default(), ..Row::default() };
        for (name, id) in &call.ids {
            if let Some(field) = shape.kind.field(name) {
                set_path(&mut wanted.attributes, field.wire_name(), id.clone().into());
                if shape.local_id.as_deref() == Some(name) {
                    wanted.id.clone_from(id);
                }
            }
        }
        if let (Some(inside), Some(id)) = (shape.kind.inside(), call.ids.get("parent")) {
            let kind = match call.ids.get("parentPath") {
                Some(path) => inside.parents.iter().find(|(_, text)| *text == path).map(|(kind, _)| kind),
                None => inside.parents.keys().find(|kind| store.get(kind, id).is_some()),
            };
            wanted.parent = Some((kind.ok_or_else(Refusal::absent)?.clone(), id.clone()));
        }
        let key = if shape.local_id.is_some() { local_key(shape, &wanted) } else { wanted.id.clone() };
        let by_attributes = || {
            let named = call.ids.keys().all(|name| name != "id") && !wanted.attributes.is_empty();
            let same = |row: &&Row| wanted.attributes.keys().all(|wire| wanted.text(wire) == row.text(wire));
            store.rows(shape.name()).filter(|_| named).find(same)
        };
        let row = store.get(shape.name(), &key).or_else(by_attributes).ok_or_else(Refusal::absent)?;
        let in_place = wanted.parent.is_none() || wanted.parent == row.parent;
        let in_scope = wanted.attributes.keys().all(|wire| wanted.text(wire) == row.text(wire));
        if in_place && in_scope { Ok(row.clone()) } else { Err(Refusal::absent()) }
    }

    /// The one object of a kind (of a scope, where the path has one); it is there from the beginning.
    fn singleton(&self, store: &mut Store, call: &Call) -> Result<Row, Refusal> {
        let shape = call.shape.as_ref();
        let found = store.rows(shape.name()).find(|row| {
            call.ids.iter().all(|(name, id)| {
                shape.kind.field(name).is_none_or(|field| row.text(field.wire_name()).as_deref() == Some(id))
            })
        });
        if let Some(row) = found {
            return Ok(row.clone());
        }
        // One that can be made is not there until it is written.
        if shape.kind.can(Verb::Create) && call.action == Action::Get {
            return Err(Refusal::absent());
        }
        let mut row = Row::default();
        for (name, id) in &call.ids {
            let Some(field) = shape.kind.field(name) else { continue };
            let target = field.reference.as_ref().and_then(|reference| reference.kind.as_deref());
            if target.is_some_and(|kind| store.get(kind, id).is_none()) {
                return Err(Refusal::absent());
            }
            set_path(&mut row.attributes, field.wire_name(), id.clone().into());
        }
        rules::complete(shape, &mut row, true);
        let number = store.next_number(shape.name());
        row.id =
            self.behaviour.id_prefix(shape.name()).map_or_else(|| number.to_string(), |id| format!("{id}{number}"));
        row.key.clone_from(&row.id);
        row.seq = store.put(shape.name(), row.clone());
        Ok(row)
    }

    /// The answer to the read of fields that have one of their own.
    fn part(&self, call: &Call, row: &Row, request: &Request<'_>) -> Answer {
        let last = request.parts.last().map(String::as_str).unwrap_or_default();
        let mut body = Value::Null;
        for field in call.shape.kind.spec.fields.values() {
            let Some(read) = field.read_by.as_ref().filter(|read| read.path.rsplit('/').next() == Some(last)) else {
                continue;
            };
            let value = row.get(field.wire_name()).cloned();
            match &read.value {
                None => body = value.unwrap_or_else(|| serde_json::json!({})),
                Some(path) => {
                    let mut members = body.as_object().cloned().unwrap_or_default();
                    set_path(&mut members, path, value.unwrap_or_else(|| "".into()));
                    body = Value::Object(members);
                }
            }
        }
        match self.api.spec.envelope.one.as_deref() {
            Some(path) => {
                let mut wrapped = serde_json::Map::new();
                set_path(&mut wrapped, path, body);
                Answer::new(StatusCode::OK, Value::Object(wrapped))
            }
            None => Answer::new(StatusCode::OK, body),
        }
    }

    fn check_get_query(&self, shape: &Shape, request: &Request<'_>) -> Result<(), Refusal> {
        for (name, value) in &request.query {
            let by_query = request.method == "POST"
                && shape.kind.spec.fields.values().any(|field| field.query.as_ref() == Some(name));
            let known = by_query
                || (name == "include" && self.is_jsonapi())
                || self.is_fixed_query(shape, name, value)
                || self.behaviour.takes_query(shape.name(), name);
            if !known {
                return Err(Refusal::new(400, format!("`{name}` is not a query parameter of this call.")));
            }
        }
        Ok(())
    }

    fn read_body(&self, call: &Call, request: &Request<'_>) -> Result<Body, Refusal> {
        self.check_media(request)?;
        let spec = &call.shape.kind.spec;
        let envelope = match call.action {
            Action::Create | Action::BulkCreate => spec.create.envelope.as_deref(),
            Action::Update | Action::BulkUpdate => spec.update.envelope.as_deref(),
            _ => None,
        };
        body::read(&self.api, &call.shape, envelope, &request.body)
    }

    /// Bodies have the API's media type.
    fn check_media(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let usual = if self.is_jsonapi() { "application/vnd.api+json" } else { "application/json" };
        let wanted = self.api.spec.content_type.as_deref().unwrap_or(usual);
        let given = request.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let plain_json = !self.is_jsonapi() && given.ends_with("json");
        if given.eq_ignore_ascii_case(wanted) || plain_json {
            return Ok(());
        }
        Err(Refusal::new(415, format!("The Content-Type must be `{wanted}`.")))
    }

    fn create(&self, store: &mut Store, call: &Call, request: &Request<'_>) -> Result<Answer, Refusal> {
        let shape = call.shape.as_ref();
        self.check_get_query(shape, request)?;
        let body = self.read_body(call, request)?;
        let many = call.action == Action::BulkCreate || call.also == Some(Action::BulkCreate);
        let one = call.action == Action::Create || call.also == Some(Action::Create);
        let items = match body {
            Body::One(item) => {
                if !one && !self.is_jsonapi() {
                    return Err(Refusal::new(400, "The body must be an Array."));
                }
                if call.ids.contains_key("id") && self.row(store, call).is_ok() {
                    return self.update(store, &Call { action: Action::Update, ..call.clone() }, request);
                }
                let key = self.create_one(store, call, item, &request.query)?;
                let usual = StatusCode::from_u16(self.behaviour.created()).unwrap_or(StatusCode::CREATED);
                let status = status(&shape.kind.spec.create.success, usual);
                if shape.kind.spec.create.answers_nothing {
                    return Ok(Answer::empty(StatusCode::NO_CONTENT));
                }
                let row = store.get(shape.name(), &key).cloned().ok_or_else(Refusal::absent)?;
                let answer = self.renderer(store, request).one(shape, &row, View::Created, status)?;
                return Ok(polled(shape.kind.spec.create.poll, answer, &format!("{}/{}", request.reader.url, row.id)));
            }
            Body::Many(items) if many => items,
            Body::Many(_) => return Err(Refusal::new(400, "The body must be one object, not an Array.")),
        };
        let max = shape.kind.spec.bulk.create.as_ref().and_then(|bulk| bulk.max);
        check_count(items.len(), max)?;
        let mut desk = Desk::new(self, store);
        let mut keys = Vec::new();
        for item in items {
            keys.push(desk.create(shape, item, &call.ids)?);
        }
        desk.finish()?;
        let rows: Vec<Row> = keys.iter().filter_map(|key| store.get(shape.name(), key).cloned()).collect();
        Ok(self.renderer(store, request).changed(shape, &rows, StatusCode::CREATED))
    }

    fn create_one(
        &self,
        store: &mut Store,
        call: &Call,
        item: Item,
        query: &[(String, String)],
    ) -> Result<String, Refusal> {
        let mut desk = Desk::new(self, store);
        let key = desk.create(&call.shape, item, &call.ids)?;
        desk.finish()?;
        let by_query: Vec<(&str, &String)> = call
            .shape
            .kind
            .spec
            .fields
            .values()
            .filter_map(|field| {
                let name = field.query.as_ref()?;
                query.iter().find(|(given, _)| given == name).map(|(_, value)| (field.wire_name(), value))
            })
            .collect();
        if !by_query.is_empty()
            && let Some(mut row) = store.get(call.shape.name(), &key).cloned()
        {
            for (wire, value) in by_query {
                set_path(&mut row.attributes, wire, value.clone().into());
            }
            store.put_as_is(call.shape.name(), row);
        }
        Ok(key)
    }

    fn update(&self, store: &mut Store, call: &Call, request: &Request<'_>) -> Result<Answer, Refusal> {
        let shape = call.shape.as_ref();
        let spec = &shape.kind.spec;
        if call.action == Action::BulkUpdate {
            return self.bulk_update(store, call, request);
        }
        self.check_get_query(shape, request)?;
        let mut call = call.clone();
        if let Some(member) = &spec.update.id_in_body {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            call.ids.extend(body.get(member).and_then(crate::value::text).map(|id| ("id".to_owned(), id)));
        }
        let call = &call;
        let row = self.row(store, call)?;
        let item = if spec.update.style == UpdateStyle::JsonPatch {
            self.patched(store, call, request, &row)?
        } else {
            match self.read_body(call, request)? {
                Body::One(item) => item,
                Body::Many(_) => return Err(Refusal::new(400, "The body must be one object, not an Array.")),
            }
        };
        if item.id.as_ref().is_some_and(|id| *id != row.id && shape.local_id.is_none()) {
            return Err(Refusal::new(409, "The id of the body is not that of the path."));
        }
        self.check_lock(shape, &row, &item, request)?;
        let mut desk = Desk::new(self, store);
        desk.update(shape, &row.key, item, spec.update.style)?;
        desk.finish()?;
        if spec.update.answers_nothing {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
        let row = store.rows(shape.name()).find(|other| other.seq == row.seq).cloned().ok_or_else(Refusal::absent)?;
        self.renderer(store, request).one(shape, &row, View::Written, status(&spec.update.success, StatusCode::OK))
    }

    /// The attributes that a JSON patch leads to.
    fn patched(&self, store: &Store, call: &Call, request: &Request<'_>, row: &Row) -> Result<Item, Refusal> {
        let operations: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::new(400, format!("The body is not valid JSON: {error}.")))?;
        let mut document = Value::Object(self.renderer(store, request).attributes(&call.shape, row, View::Get));
        let before = document.clone();
        patch::operate(&mut document, &operations)?;
        let (Value::Object(after), Value::Object(before)) = (document, before) else { return Err(Refusal::absent()) };
        let mut item = Item::default();
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            item.attributes.insert(name.clone(), Value::Null);
        }
        for (name, value) in after {
            let Some(old) = before.get(&name).filter(|old| **old != value) else {
                if !before.contains_key(&name) {
                    item.attributes.insert(name, value);
                }
                continue;
            };
            let value = if call.shape.leads_on(&name) { with_nulls(old, value) } else { value };
            item.attributes.insert(name, value);
        }
        Ok(item)
    }

    fn bulk_update(&self, store: &mut Store, call: &Call, request: &Request<'_>) -> Result<Answer, Refusal> {
        let shape = call.shape.as_ref();
        Self::refuse_filters(request)?;
        let Body::Many(items) = self.read_body(call, request)? else {
            return Err(Refusal::new(400, "The body must be an Array of nested elements."));
        };
        let bulk = shape.kind.spec.bulk.update.as_ref();
        check_count(items.len(), bulk.and_then(|bulk| bulk.max))?;
        let mut desk = Desk::new(self, store);
        let mut keys = Vec::new();
        for mut item in items {
            let id = item.id.take().ok_or_else(|| Refusal::at("/data/attributes/id", "`id` is required."))?;
            for name in bulk.iter().flat_map(|bulk| &bulk.except) {
                let wire = shape.kind.field(name).map(|field| field.wire_name().to_owned()).unwrap_or_default();
                if item.take(shape, &wire).is_some() {
                    return Err(Refusal::invalid(format!("`{wire}` cannot be changed in bulk.")));
                }
            }
            desk.update(shape, &id, item, shape.kind.spec.update.style)?;
            keys.push(id);
        }
        desk.finish()?;
        let rows: Vec<Row> = keys.iter().filter_map(|key| store.get(shape.name(), key).cloned()).collect();
        Ok(self.renderer(store, request).changed(shape, &rows, StatusCode::OK))
    }

    fn delete(&self, store: &mut Store, call: &Call, request: &Request<'_>) -> Result<Answer, Refusal> {
        let shape = call.shape.as_ref();
        if call.action == Action::Delete {
            let row = self.row(store, call)?;
            self.check_lock(shape, &row, &Item::default(), request)?;
            let mut desk = Desk::new(self, store);
            desk.delete(shape, slice::from_ref(&row.key))?;
            desk.finish()?;
            let answer = Answer::empty(status(&shape.kind.spec.delete.success, StatusCode::NO_CONTENT));
            return Ok(polled(shape.kind.spec.delete.poll, answer, &request.reader.url));
        }
        Self::refuse_filters(request)?;
        let Body::Many(items) = self.read_body(call, request)? else {
            return Err(Refusal::new(400, "The body must be an Array of nested elements."));
        };
        check_count(items.len(), shape.kind.spec.bulk.delete.as_ref().and_then(|bulk| bulk.max))?;
        let mut rows = Vec::new();
        for item in items {
            let id = item.id.ok_or_else(|| Refusal::at("/data/attributes/id", "`id` is required."))?;
            let row = store.get(shape.name(), &id).ok_or_else(Refusal::absent)?;
            let parent = call.ids.get("parent");
            if parent.is_some() && row.parent.as_ref().map(|(_, id)| id) != parent {
                return Err(Refusal::absent());
            }
            rows.push(row.clone());
        }
        let answer = self.renderer(store, request).changed(shape, &rows, StatusCode::OK);
        let keys: Vec<String> = rows.into_iter().map(|row| row.key).collect();
        let mut desk = Desk::new(self, store);
        desk.delete(shape, &keys)?;
        desk.finish()?;
        Ok(answer)
    }

    /// A filter on a write would change all that matches: no client of ours means that.
    fn refuse_filters(request: &Request<'_>) -> Result<(), Refusal> {
        match request.query.iter().find(|(name, _)| name.starts_with("filter")) {
            Some((name, _)) => Err(Refusal::new(400, format!("`{name}` cannot be combined with a list of objects."))),
            None => Ok(()),
        }
    }
}

fn status(success: &[u16], usual: StatusCode) -> StatusCode {
    success.first().and_then(|code| StatusCode::from_u16(*code).ok()).unwrap_or(usual)
}

/// Answers that work is under way, where the description says so: the object itself tells when it is done.
fn polled(polls: bool, answer: Answer, url: &str) -> Answer {
    if polls { Answer::empty(StatusCode::ACCEPTED).with("location", url).with("retry-after", "0") } else { answer }
}

/// An object with null for the members that it has no more.
fn with_nulls(before: &Value, after: Value) -> Value {
    let (Value::Object(before), Value::Object(mut after)) = (before, after.clone()) else { return after };
    for (name, old) in before {
        match after.get_mut(name) {
            Some(value) => *value = with_nulls(old, value.take()),
            None => {
                after.insert(name.clone(), Value::Null);
            }
        }
    }
    after.into()
}

fn check_count(count: usize, max: Option<u32>) -> Result<(), Refusal> {
    if count == 0 {
        return Err(Refusal::new(400, "The Array has no elements."));
    }
    match max {
        Some(max) if count > max as usize => Err(Refusal::new(400, format!("{max} elements at most are possible."))),
        _ => Ok(()),
    }
}

impl Simulation {
    /// Refuses a write that was made from an outdated reading.
    fn check_lock(&self, shape: &Shape, row: &Row, item: &Item, request: &Request<'_>) -> Result<(), Refusal> {
        let update = &shape.kind.spec.update;
        let Some(lock) = update.lock.as_deref() else { return Ok(()) };
        if lock == "etag" {
            return match request.if_match {
                Some(tag) if tag != "*" && tag != etag(row) => {
                    Err(Refusal::new(412, "The object has changed in the meantime."))
                }
                _ => Ok(()),
            };
        }
        let invalid = self.api.spec.errors.invalid.unwrap_or(409);
        let Some(given) = item.attributes.get(lock) else {
            if update.lock_again && request.method == "PUT" {
                return Err(Refusal::new(invalid, format!("`{lock}` is required.")));
            }
            return Ok(());
        };
        let at = time_of(row.updated);
        let stamped = self.behaviour.stamp(at).unwrap_or_else(|| Value::from(stamp(at, shape.is_jsonapi())));
        let current = row.get(lock).unwrap_or(&stamped);
        if given == current { Ok(()) } else { Err(Refusal::new(invalid, "The object has changed in the meantime.")) }
    }
}
