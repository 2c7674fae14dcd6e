//! OData requests on a simulated API: sets, keys, query options, writes by key or by filter.
//!
//! As observed of the public server: what names nothing is 500 without a body, a write that matches nothing is 200, and
//! a write that has neither key nor filter is carried out on every row.

mod filter;
mod query;
mod view;

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use self::{query::Options, view::View};
use super::{
    answer::{Answer, Refusal},
    body::Item,
    desk::Desk,
    shape::Shape,
    simulation::{Request, Simulation},
    store::{Row, Store},
};
use crate::{
    description::format::{FieldSpec, FieldType, UpdateStyle},
    value::{Fields, text},
};

/// Longest line and headers of a request.
const LONGEST: usize = 16 * 1024;

/// What is wrong with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadQuery {
    /// It cannot be parsed: 400.
    Syntax,
    /// It names what is not there: 500.
    Name,
}

/// Answers a request; what it changed before it fails is taken back by the caller.
pub(super) fn answer(sim: &Simulation, store: &mut Store, request: &Request<'_>) -> Result<Answer, Refusal> {
    let stranger = request.reader.stranger;
    let length: usize = request.query.iter().map(|(name, value)| name.len() + value.len() * 2).sum();
    if length > LONGEST {
        return Err(Refusal::silent(431));
    }
    let (set, key) = address(&request.parts.first().cloned().unwrap_or_default());
    let Some(shape) = sim.shapes.values().find(|shape| View::set(shape) == set).cloned() else {
        return Err(Refusal::silent(401));
    };
    let is_read = request.method == "GET";
    if stranger && (!is_read || !sim.behaviour.has_public(shape.name())) {
        return Err(Refusal::silent(401));
    }
    if !is_read && request.reader.read_only {
        return Err(Refusal::silent(401));
    }
    let pairs = || request.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let malformed = |bad: BadQuery| match bad {
        BadQuery::Name => Refusal::silent(500),
        BadQuery::Syntax => Refusal::new(400, format!("Malformed url: '/{}'", request.parts.join("/"))),
    };
    let options = Options::read(pairs()).map_err(malformed)?;
    let view = View { sim, store, shape: &shape, stranger };
    options.check(view).map_err(malformed)?;
    if request.method == "POST" {
        return create(sim, store, &shape, request);
    }
    let rows: Vec<&Row> = match &key {
        Some(key) => keyed(view, key).ok_or_else(|| Refusal::silent(500))?,
        None => store.rows(shape.name()).collect(),
    };
    let rows = rows.into_iter().filter(|row| view.is_visible(row)).collect();
    let rows = options.pick(view, rows).map_err(malformed)?;
    match request.method {
        "GET" => {
            let d: Value = match &request.parts.iter().skip(1).map(String::as_str).collect::<Vec<_>>()[..] {
                [] => {
                    let shown = rows.iter().map(|row| options.show(view, row).map(Value::Object));
                    shown.collect::<Result<Vec<_>, _>>().map_err(malformed)?.into()
                }
                ["$count"] if key.is_none() => rows.len().into(),
                ["$links", name] => rows.iter().map(|row| view.entity(row, Some(&[(*name).to_owned()]))).collect(),
                _ => return Err(Refusal::new(400, format!("Malformed url: '/{}'", request.parts.join("/")))),
            };
            Ok(Answer::new(StatusCode::OK, json!({ "d": d })))
        }
        "PATCH" | "MERGE" => {
            let keys: Vec<String> = rows.into_iter().map(|row| row.key.clone()).collect();
            update(sim, store, &shape, &keys, request)
        }
        "DELETE" => {
            let keys: Vec<String> = rows.into_iter().map(|row| row.key.clone()).collect();
            if keys.is_empty()
                && key.is_some()
                && let Some(refusal) = sim.behaviour.nothing_deleted(shape.name())
            {
                return Err(refusal);
            }
            let mut desk = Desk::new(sim, store);
            desk.delete(&shape, &keys)?;
            desk.finish()?;
            Ok(Answer::empty(StatusCode::OK))
        }
        _ => Err(Refusal::silent(500)),
    }
}

/// `set(key)` as set and key.
fn address(part: &str) -> (String, Option<String>) {
    match part.split_once('(') {
        Some((set, rest)) => (set.to_owned(), Some(rest.strip_suffix(')').unwrap_or(rest).to_owned())),
        None => (part.to_owned(), None),
    }
}

/// The rows that a key names; nothing where it is no key of the set.
fn keyed<'a>(view: View<'a>, key: &str) -> Option<Vec<&'a Row>> {
    let literal = |word: &str| match word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(text) => Some(text.replace("''", "'")),
        None => word.bytes().all(|letter| letter.is_ascii_digit()).then(|| word.to_owned()),
    };
    let all = view.store.rows(view.shape.name());
    if !key.contains('=') || key.starts_with('\'') {
        let id = literal(key).filter(|id| !id.is_empty())?;
        return Some(all.filter(|row| row.id == id).collect());
    }
    let mut wanted: Vec<(String, String)> = Vec::new();
    for part in query::split(key, ',') {
        let (name, word) = part.split_once('=')?;
        if name.contains(' ') || !view.has(name) {
            return None;
        }
        wanted.push((name.to_owned(), literal(word)?));
    }
    let mut names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if !unique(view.shape).contains(&names) {
        return None;
    }
    let fits = |row: &&Row| {
        wanted.iter().all(|(name, value)| view.property(row, name).as_ref().and_then(text).as_deref() == Some(value))
    };
    Some(all.filter(fits).collect())
}

/// The properties of each unique constraint, sorted.
fn unique(shape: &Shape) -> Vec<Vec<&str>> {
    let spec = &shape.kind.spec;
    let wire = |name: &String| shape.kind.field(name).map(FieldSpec::wire_name);
    let mut out = Vec::new();
    for names in std::iter::once(&spec.key).chain(&spec.key_fallbacks) {
        let mut key: Vec<&str> = names.iter().filter_map(wire).collect();
        if let Some(inside) = shape.kind.inside() {
            if let Some(through) = &inside.through {
                key.retain(|name| Some(*name) != shape.kind.field(&through.field).map(FieldSpec::wire_name));
                key.push(&through.wire);
            }
            key.extend(inside.parent_wire.as_deref());
        }
        key.sort_unstable();
        out.push(key);
    }
    out.extend(spec.fields.get("uuid").map(|_| vec!["uuid"]));
    out
}

/// Reads a body into attributes: a number as text or a flag as a number is what it stands for.
fn item(shape: &Shape, request: &Request<'_>) -> Result<(Item, Fields), Refusal> {
    if !request.content_type.unwrap_or_default().starts_with("application/json") {
        // The body is ignored, which then fails like a missing field.
        return Err(Refusal::silent(500));
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| Refusal::silent(400))?;
    let Value::Object(body) = body else { return Err(Refusal::silent(400)) };
    let through = shape.kind.inside().and_then(|inside| inside.through.as_ref());
    let mut kept = Fields::new();
    let mut rest = Fields::new();
    for (name, value) in body {
        let Some((own, field)) = shape.field(&name) else {
            rest.insert(name, value);
            continue;
        };
        if through.is_some_and(|through| through.field == own) || field.read_only {
            continue;
        }
        let value = match (field.ty, &value) {
            (_, Value::Null) if !field.nullable => return Err(Refusal::silent(400)),
            (FieldType::Ref, Value::String(id)) => id.parse::<u64>().map_err(|_| Refusal::silent(400))?.into(),
            (FieldType::Boolean, _) => match text(&value).as_deref() {
                Some("1") => true.into(),
                Some("0") => false.into(),
                Some("true" | "false") if value.is_boolean() => value,
                _ => return Err(Refusal::silent(400)),
            },
            (FieldType::String, Value::String(_))
            | (FieldType::Ref, Value::Number(_))
            | (FieldType::Datetime | FieldType::Any, _)
            | (_, Value::Null) => value,
            _ => return Err(Refusal::silent(400)),
        };
        kept.insert(name, value);
    }
    Ok((Item { id: None, attributes: kept, relationships: Map::new() }, rest))
}

fn create(sim: &Simulation, store: &mut Store, shape: &Shape, request: &Request<'_>) -> Result<Answer, Refusal> {
    if sim.behaviour.is_made_elsewhere(shape.name()) {
        return Err(Refusal::silent(401));
    }
    let (mut item, rest) = item(shape, request)?;
    let mut ids = HashMap::new();
    let mut join = None;
    if let Some(inside) = shape.kind.inside() {
        if let Some(through) = &inside.through {
            let id = rest.get(&through.wire).and_then(text).ok_or_else(|| Refusal::silent(500))?;
            let above = store.get(&through.kind, &id).cloned();
            let above = above.ok_or_else(|| referenced(&through.wire))?;
            let joins = sim.shape(&through.kind);
            let wire = |field: &str| joins.and_then(|shape| shape.kind.field(field)).map(FieldSpec::wire_name);
            let side = |field: &str| wire(field).and_then(|wire| above.text(wire)).unwrap_or_default();
            ids.insert("parent".to_owned(), side(&through.parent));
            if let Some(field) = shape.kind.field(&through.field) {
                let other = side(&through.field).parse::<u64>().map_or(Value::Null, Value::from);
                item.attributes.insert(field.wire_name().to_owned(), other);
            }
            join = Some((through.wire.clone(), id));
        } else if let Some(wire) = &inside.parent_wire {
            let id = rest.get(wire).and_then(text).ok_or_else(|| Refusal::silent(500))?;
            let exists = inside.parents.keys().any(|kind| store.get(kind, &id).is_some());
            if !exists {
                return Err(referenced(wire));
            }
            ids.insert("parent".to_owned(), id);
        }
    }
    let mine = shape.kind.spec.mine.as_ref().map(|mine| (mine.wire.clone(), rest.get(&mine.wire).cloned()));
    if let Some((_, given)) = &mine
        && !sim.behaviour.is_caller(shape.name(), given.as_ref().unwrap_or(&Value::Null))
    {
        return Err(Refusal::silent(if given.is_some() { 401 } else { 500 }));
    }
    // A lookup's rows are made by the server, but for those that join others.
    let spec = &shape.kind.spec;
    let joins = spec.lookup.then(|| {
        let pairs = spec.key.iter().filter_map(|name| shape.kind.field(name)).map(|field| {
            let wire = field.wire_name().to_owned();
            let value = serde_json::from_slice::<Value>(&request.body).ok().and_then(|body| body.get(&wire).cloned());
            (wire, value)
        });
        pairs.collect::<Vec<_>>()
    });
    let key = if let Some(sides) = joins {
        joined(sim, store, shape, sides)?
    } else {
        let mut desk = Desk::new(sim, store);
        let key = desk.create(shape, item, &ids).map_err(|refusal| reworded(shape, refusal))?;
        desk.finish()?;
        key
    };
    let mut row = store.get(shape.name(), &key).cloned().ok_or_else(|| Refusal::silent(500))?;
    if let Some((wire, id)) = join {
        row.attributes.insert(wire, id.parse::<u64>().map_or(Value::Null, Value::from));
        store.put_as_is(shape.name(), row.clone());
    }
    if let Some((wire, Some(value))) = mine {
        row.attributes.insert(wire, value);
        store.put_as_is(shape.name(), row.clone());
    }
    let view = View { sim, store, shape, stranger: false };
    let whole = !request.query.iter().any(|(name, value)| name == "returnResource" && value == "false");
    let body = if whole { view.entity(&row, None) } else { view.entity(&row, Some(&["id".to_owned()])) };
    let location = format!("{}(@id)?@id={}", spec.path, row.id);
    Ok(Answer::new(StatusCode::CREATED, Value::Object(body)).with("location", &location))
}

/// Stores a row that joins two others.
fn joined(
    sim: &Simulation,
    store: &mut Store,
    shape: &Shape,
    sides: Vec<(String, Option<Value>)>,
) -> Result<String, Refusal> {
    let mut row = Row::default();
    for (wire, value) in sides {
        let id = value.as_ref().and_then(text).ok_or_else(|| Refusal::silent(500))?;
        let kind = shape.field(&wire).and_then(|(_, field)| field.reference.as_ref()?.kind.clone()).unwrap_or_default();
        if store.get(&kind, &id).is_none() {
            return Err(referenced(&wire));
        }
        row.attributes.insert(wire, id.parse::<u64>().map_or(Value::Null, Value::from));
    }
    super::rules::unique_key(sim, store, shape, &row).map_err(|refusal| reworded(shape, refusal))?;
    row.id = store.next_number(shape.name()).to_string();
    row.key.clone_from(&row.id);
    let key = row.key.clone();
    store.put(shape.name(), row);
    Ok(key)
}

fn update(
    sim: &Simulation,
    store: &mut Store,
    shape: &Shape,
    keys: &[String],
    request: &Request<'_>,
) -> Result<Answer, Refusal> {
    let (item, rest) = item(shape, request)?;
    if item.attributes.is_empty() {
        return Err(if rest.is_empty() { Refusal::new(400, "No fields to update") } else { Refusal::silent(500) });
    }
    let mut desk = Desk::new(sim, store);
    for key in keys {
        desk.update(shape, key, item.clone(), UpdateStyle::Fields).map_err(|refusal| reworded(shape, refusal))?;
    }
    desk.finish()?;
    // Every update moves the time of change, also one with equal values.
    for key in keys {
        if let Some(row) = store.get(shape.name(), key).cloned() {
            store.put(shape.name(), row);
        }
    }
    Ok(Answer::empty(StatusCode::OK))
}

fn referenced(wire: &str) -> Refusal {
    Refusal::new(409, format!("Data is referenced by {}.", wire.replace('_', " ")))
}

/// A refusal in the words, and with the silences, of the public server.
fn reworded(shape: &Shape, refusal: Refusal) -> Refusal {
    let Some(fault) = refusal.faults.first() else { return refusal };
    let detail = fault.detail.as_str();
    let wire = detail.split('`').nth(1).unwrap_or_default();
    if refusal.status == 409 {
        let names: Vec<String> =
            unique(shape).first().into_iter().flatten().map(|name| format!("\"{}\"", name.replace('_', " "))).collect();
        return Refusal::new(409, format!("{} must be unique.", names.join(" and ")));
    }
    if refusal.status != super::answer::INVALID {
        return refusal;
    }
    if detail.ends_with("is required.") {
        return Refusal::silent(500);
    }
    if detail.contains("refers to no existing") {
        return referenced(wire);
    }
    if detail.contains("must be a") || detail.contains("must not be null") {
        return Refusal::silent(400);
    }
    if detail.contains("must be one of") {
        return Refusal::new(400, "Check constraint violated");
    }
    let noun = View::set(shape).replace('_', " ");
    Refusal::new(400, format!("It is necessary that each {noun} has a {} that {detail}", wire.replace('_', " ")))
}
