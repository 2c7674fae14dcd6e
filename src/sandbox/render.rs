//! Rows to answers, as the vendor's samples spell them.

use std::{collections::HashSet, sync::Arc};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    behaviour::{Glance, View},
    list::{self, Page},
    route::Call,
    shape::{Shape, kebab, singular},
    simulation::{Reader, Simulation, time_of},
    store::{Row, Store},
};
use crate::{
    description::format::{DialectName, FieldType, IdWire, PagingStyle},
    value::{Fields, set_path, text},
};

/// Something that comes along with an object.
#[derive(Debug, Clone)]
enum Include {
    /// The entries of a kind inside it.
    Entries(String, Arc<Shape>),
    /// What a field refers to.
    Relation(String, String),
    /// Documented, but the simulation has none.
    Nothing(String),
}

/// Makes answers for one request.
pub(super) struct Renderer<'a> {
    pub(super) sim: &'a Simulation,
    pub(super) store: &'a Store,
    pub(super) reader: &'a Reader,
    pub(super) query: &'a [(String, String)],
}

impl Renderer<'_> {
    /// The answer with one object.
    pub(super) fn one(&self, shape: &Shape, row: &Row, view: View, status: StatusCode) -> Result<Answer, Refusal> {
        let includes = self.includes(shape, view)?;
        let body = if self.sim.is_jsonapi() {
            let mut along = Included::default();
            let data = self.resource(shape, row, view, &includes, &mut along);
            let mut body = json!({ "data": data });
            self.put_included(&mut body, &includes, along);
            body
        } else {
            let object = self.object(shape, row, view);
            let bare = self.sim.behaviour.is_bare(shape.name(), view);
            let whole = whole_members(shape).map(|(one, _)| one);
            let path = whole.as_deref().or(self.sim.api.spec.envelope.one.as_deref());
            match path.filter(|path| !path.is_empty() && !bare) {
                Some(path) => wrapped(path, object),
                None => object,
            }
        };
        let mut answer = Answer::new(status, body);
        if shape.kind.spec.update.lock.as_deref() == Some("etag") {
            answer = answer.with("etag", &etag(row));
        }
        Ok(answer)
    }

    /// The answer with a list.
    pub(super) fn many(&self, call: &Call, page: &Page<'_>) -> Result<Answer, Refusal> {
        let shape = call.shape.as_ref();
        let includes = self.includes(shape, View::List)?;
        let mut body;
        if self.sim.is_jsonapi() {
            let mut along = Included::default();
            let data: Vec<Value> =
                page.rows.iter().map(|row| self.resource(shape, row, View::List, &includes, &mut along)).collect();
            body = json!({ "data": data });
            self.put_included(&mut body, &includes, along);
        } else {
            let items: Vec<Value> = page.rows.iter().map(|row| self.object(shape, row, View::List)).collect();
            if !shape.kind.spec.list.columns.is_empty() {
                return Ok(Answer::new(StatusCode::OK, beside(shape, &items)));
            }
            let whole = whole_members(shape).map(|(_, many)| many);
            let member = shape.kind.spec.list.items.as_deref().or(whole.as_deref());
            let member = member.or(self.sim.api.spec.envelope.many.as_deref());
            body = match member.filter(|path| !path.is_empty()) {
                Some(path) => wrapped(path, items.into()),
                None => items.into(),
            };
        }
        let link = self.put_paging(shape, page, &mut body);
        let answer = Answer::new(StatusCode::OK, body);
        Ok(link.map_or_else(|| answer.clone(), |link| answer.clone().with("link", &link)))
    }

    /// The answer to a call on many objects.
    pub(super) fn changed(&self, shape: &Shape, rows: &[Row], status: StatusCode) -> Answer {
        let shown = rows.iter().map(|row| {
            if self.sim.is_jsonapi() {
                self.resource(shape, row, View::Written, &[], &mut Included::default())
            } else {
                self.object(shape, row, View::Written)
            }
        });
        let items: Value = shown.collect();
        let member = if self.sim.is_jsonapi() { Some("data") } else { self.sim.api.spec.envelope.many.as_deref() };
        Answer::new(status, member.map_or_else(|| items.clone(), |path| wrapped(path, items.clone())))
    }

    /// Says where the page stands; gives the `Link` header of APIs that page by it.
    fn put_paging(&self, shape: &Shape, page: &Page<'_>, body: &mut Value) -> Option<String> {
        let paging = list::paging(self.sim, shape);
        let end = page.offset.saturating_add(page.rows.len() as u64);
        let more = end < page.total && !page.rows.is_empty();
        let number = page.offset / page.size.max(1) + u64::from(paging.first.unwrap_or(1));
        let next = |name: &str, value: String| {
            let mut query: Vec<(&str, &str)> =
                self.query.iter().filter(|(given, _)| given != name).map(|(a, b)| (a.as_str(), b.as_str())).collect();
            query.push((name, &value));
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            format!("{}?{query}", self.reader.url)
        };
        let name = paging.page.as_deref().unwrap_or("page");
        if paging.style == PagingStyle::Link {
            return more.then(|| format!("<{}>; rel=\"next\"", next(name, (number + 1).to_string())));
        }
        let Value::Object(body) = body else { return None };
        let mut put = |paths: &[String], value: Value| {
            if let Some(path) = paths.first() {
                put_path(body, path, value);
            }
        };
        put(&paging.total, page.total.into());
        put(&paging.total_pages, page.total.div_ceil(page.size.max(1)).into());
        let next = match paging.style {
            PagingStyle::None | PagingStyle::Link | PagingStyle::AfterId => return None,
            PagingStyle::Page => more.then(|| Value::from(number + 1)),
            PagingStyle::Offset => more.then(|| Value::from(end)),
            PagingStyle::Cursor => more.then(|| Value::from(list::to_cursor(end))),
            PagingStyle::NextUrl => more.then(|| next(name, end.to_string()).into()),
        };
        match (next, paging.style) {
            // OData leaves the link out on the last page.
            (None, PagingStyle::NextUrl) => {}
            (next, _) => put(&paging.next, next.unwrap_or_default()),
        }
        if paging.style == PagingStyle::Page
            && let Some((meta, _)) = paging.total.first().and_then(|path| path.split_once('.'))
            && !self.sim.is_jsonapi()
        {
            let size = paging.size.as_deref().unwrap_or("per_page");
            put(&[format!("{meta}.{size}")], page.size.into());
            put(&[format!("{meta}.{name}")], number.into());
        }
        None
    }

    /// What the request wants along, refused where the vendor does not document it.
    fn includes(&self, shape: &Shape, view: View) -> Result<Vec<Include>, Refusal> {
        if !self.sim.is_jsonapi() {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        let asked = self.query.iter().filter(|(name, _)| name == "include").flat_map(|(_, value)| value.split(','));
        let asked: Vec<&str> = asked.map(str::trim).filter(|name| !name.is_empty()).collect();
        for name in self.sim.behaviour.always_related(shape.name()) {
            if !asked.iter().any(|asked| kebab(asked) == kebab(name))
                && let Some(include) = self.include(shape, View::Get, name)
            {
                out.push((false, include));
            }
        }
        for name in asked {
            match self.include(shape, view, name) {
                Some(include) => out.push((true, include)),
                None => return Err(Refusal::new(400, format!("`{name}` cannot be along."))),
            }
        }
        Ok(out.into_iter().map(|(_, include)| include).collect())
    }

    fn include(&self, shape: &Shape, view: View, name: &str) -> Option<Include> {
        let wanted = kebab(name);
        for kind in self.sim.api.children(shape.name()) {
            let Some(inside) = kind.inside() else { continue };
            if inside.include.as_deref().map(kebab).as_ref() != Some(&wanted) {
                continue;
            }
            if inside.include_on_get_only && view == View::List {
                return None;
            }
            return Some(Include::Entries(wanted, self.sim.shapes.get(&kind.name)?.clone()));
        }
        if let Some((_, field)) = shape.relations.iter().find(|(relation, _)| kebab(relation) == wanted) {
            return Some(Include::Relation(wanted, field.clone()));
        }
        let documented = self.sim.behaviour.documented(shape.name())?;
        let known =
            documented.includes.contains(&name) || (view != View::List && documented.get_includes.contains(&name));
        known.then_some(Include::Nothing(wanted))
    }

    fn put_included(&self, body: &mut Value, includes: &[Include], along: Included) {
        let asked = self.query.iter().any(|(name, value)| name == "include" && !value.is_empty());
        if asked
            && !includes.is_empty()
            && let Value::Object(body) = body
        {
            body.insert("included".into(), along.resources.into());
        }
    }

    /// A JSON:API resource.
    fn resource(&self, shape: &Shape, row: &Row, view: View, includes: &[Include], along: &mut Included) -> Value {
        let mut attributes = self.attributes(shape, row, view);
        let mut resource = Map::new();
        if self.sim.behaviour.id_among_attributes(shape.name()) {
            attributes.insert("id".into(), number_or_text(&row.id));
        } else {
            resource.insert("id".into(), row.id.clone().into());
        }
        resource.insert("type".into(), shape.wire_type().into());
        resource.insert("attributes".into(), attributes.into());
        let mut relationships = Map::new();
        for include in includes {
            let (name, data) = self.related(shape, row, include, along);
            relationships.insert(name, json!({ "data": data }));
        }
        if let Some((kind, id)) = &row.parent
            && let Some(parent) = self.sim.shape(kind).map(Shape::wire_type)
            && shape.parent_wire(&parent).is_some()
        {
            relationships.insert(singular(&parent), json!({ "data": { "id": id, "type": parent } }));
        }
        if !relationships.is_empty() {
            resource.insert("relationships".into(), relationships.into());
        }
        resource.into()
    }

    fn related(&self, shape: &Shape, row: &Row, include: &Include, along: &mut Included) -> (String, Value) {
        match include {
            Include::Nothing(name) => (name.clone(), self.sim.behaviour.linked(name, row).into()),
            Include::Entries(name, entry) => {
                let rows = self.store.inside(entry.name(), (shape.name(), &row.id));
                (name.clone(), rows.map(|row| self.pointer(entry, row, along)).collect())
            }
            Include::Relation(name, field) => {
                let Some(field) = shape.kind.field(field) else { return (name.clone(), Value::Null) };
                let target = field.ref_spec().and_then(|reference| self.sim.shape(reference.kind.as_deref()?));
                let Some(target) = target else { return (name.clone(), Value::Null) };
                let mut point = |id: &Value| {
                    let row = self.store.get(target.name(), &text(id)?)?;
                    Some(self.pointer(target, row, along))
                };
                let data = match row.get(field.wire_name()) {
                    Some(Value::Array(ids)) => ids.iter().filter_map(&mut point).collect(),
                    Some(id) => point(id).unwrap_or_default(),
                    None if field.items.is_some() => json!([]),
                    None => Value::Null,
                };
                (name.clone(), data)
            }
        }
    }

    /// The pointer to an along object, which is added once.
    fn pointer(&self, shape: &Shape, row: &Row, along: &mut Included) -> Value {
        if along.seen.insert((shape.name().to_owned(), row.key.clone())) {
            let mut resource = self.resource(shape, row, View::List, &[], &mut Included::default());
            if self.sim.behaviour.numeric_when_included(shape.name()) {
                resource["id"] = number_or_text(&row.id);
            }
            along.resources.push(resource);
        }
        json!({ "id": row.id, "type": shape.wire_type() })
    }

    /// A plain object.
    fn object(&self, shape: &Shape, row: &Row, view: View) -> Value {
        let mut object = Map::new();
        let id_path = shape.kind.spec.id.path.first().map_or("id", String::as_str);
        if shape.local_id.is_none() {
            let number = shape.kind.spec.id.wire == IdWire::Number;
            set_path(&mut object, id_path, if number { number_or_text(&row.id) } else { row.id.clone().into() });
        }
        object.extend(self.attributes(shape, row, view));
        object.into()
    }

    /// The attributes that a call shows.
    pub(super) fn attributes(&self, shape: &Shape, row: &Row, view: View) -> Fields {
        let jsonapi = self.sim.is_jsonapi();
        let mut out = Map::new();
        for field in shape.kind.spec.fields.values() {
            let related = field.read.iter().any(|path| path.starts_with("relationships."));
            let hidden = field.write_only || field.not_sent || field.path_only || field.read_by.is_some();
            if field.ty == FieldType::Sink && view == View::Created {
                let token = token(shape, row);
                set_path(&mut out, field.wire_name(), token.into());
            }
            if hidden || (related && jsonapi) {
                continue;
            }
            let written = matches!(view, View::Written | View::Created);
            if field.on_get_only && (view == View::List || (written && field.sensitive.is_some() && jsonapi)) {
                continue;
            }
            let wire = if jsonapi { kebab(field.wire_name()) } else { field.wire_name().to_owned() };
            let value = match row.get(field.wire_name()) {
                Some(value) => value.clone(),
                None if jsonapi || self.sim.api.spec.dialect == DialectName::Odata => {
                    field.default.clone().unwrap_or_default()
                }
                None => continue,
            };
            let value = match (field.list_cuts_at, &value) {
                (Some(length), Value::String(text)) if view == View::List => {
                    text.chars().take(length as usize).collect::<String>().into()
                }
                _ => value,
            };
            set_path(&mut out, &wire, value);
            let type_wire = field.reference.as_ref().and_then(|reference| reference.type_wire.as_deref());
            if let Some(wire) = type_wire {
                let shown = if jsonapi { kebab(wire) } else { wire.to_owned() };
                out.insert(shown, row.get(wire).cloned().unwrap_or_default());
            }
        }
        if let Some((kind, id)) = &row.parent
            && let Some(wire) = self.sim.shape(kind).and_then(|parent| shape.parent_wire(&parent.wire_type()))
        {
            let number = self.sim.id_wire(kind) == IdWire::Number;
            out.insert(wire, if number { number_or_text(id) } else { id.clone().into() });
        }
        for (named, field) in &shape.names {
            out.insert(named.clone(), self.name_of(shape, row, field));
        }
        self.put_own(shape, row, &mut out);
        self.sim.behaviour.show(&self.glance(shape, row, view), &mut out);
        out
    }

    fn glance<'a>(&'a self, shape: &'a Shape, row: &'a Row, view: View) -> Glance<'a> {
        Glance {
            simulation: self.sim,
            store: self.store,
            shape,
            row,
            view,
            query: self.query,
            sees_secrets: self.reader.sees_secrets,
        }
    }

    /// The attributes that are the server's own.
    fn put_own(&self, shape: &Shape, row: &Row, out: &mut Fields) {
        let stamps = [("createdAt", made(shape, row)), ("updatedAt", time_of(row.updated))];
        for (name, at) in stamps {
            let wire = shape.spell(name);
            if shape.has(&wire) {
                let shown = self.sim.behaviour.stamp(at);
                out.insert(wire, shown.unwrap_or_else(|| stamp(at, self.sim.is_jsonapi()).into()));
            }
        }
        for wire in &shape.ignored {
            if matches!(wire.as_str(), "id" | "type") || out.contains_key(wire) {
                continue;
            }
            match row.get(wire) {
                Some(value) => {
                    out.insert(wire.clone(), value.clone());
                }
                None if self.sim.is_jsonapi() && !wire.contains(['.', '*']) => {
                    out.insert(wire.clone(), Value::Null);
                }
                None => {}
            }
        }
    }

    /// The name of what a field refers to.
    fn name_of(&self, shape: &Shape, row: &Row, field: &str) -> Value {
        let named = || {
            let field = shape.kind.field(field)?;
            let target = self.sim.shape(field.reference.as_ref()?.kind.as_deref()?)?;
            let other = self.store.get(target.name(), &row.text(field.wire_name())?)?;
            target.title_of(other)
        };
        named().map_or(Value::Null, Value::from)
    }
}

#[derive(Debug, Default)]
struct Included {
    seen: HashSet<(String, String)>,
    resources: Vec<Value>,
}

/// Rows as lists that stand beside one another: what has a place of its own comes first.
fn beside(shape: &Shape, items: &[Value]) -> Value {
    let mut out = Map::new();
    for (name, paths) in &shape.kind.spec.list.columns {
        let mut values: Vec<Value> = items.iter().map(|item| item.get(name).cloned().unwrap_or_default()).collect();
        let Some((last, alone)) = paths.split_last() else { continue };
        for path in alone {
            let first = if values.is_empty() { Value::Null } else { values.remove(0) };
            put_path(&mut out, path, first);
        }
        put_path(&mut out, last, values.into());
    }
    out.into()
}

/// The members of answers that hold one object and a list of them, of kinds that go as whole resources.
fn whole_members(shape: &Shape) -> Option<(String, String)> {
    shape.kind.apply.as_ref()?;
    let mut letters = shape.name().chars();
    let one: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    let many = format!("{one}s");
    Some((shape.kind.spec.answer.clone().unwrap_or(one), many))
}

fn wrapped(path: &str, value: Value) -> Value {
    let mut out = Map::new();
    put_path(&mut out, path, value);
    out.into()
}

/// Puts a value at a path; a name such as `@odata.nextLink` is no path.
fn put_path(target: &mut Fields, path: &str, value: Value) {
    if path.starts_with('@') {
        target.insert(path.to_owned(), value);
    } else {
        set_path(target, path, value);
    }
}

fn number_or_text(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| id.into(), Value::from)
}

/// The token that the answer to a create shows.
pub(super) fn token(shape: &Shape, row: &Row) -> String {
    format!("sandbox-token-of-{}-{:07}", shape.name().to_lowercase(), row.seq)
}

/// A time on the wire.
pub(super) fn stamp(at: Timestamp, millis: bool) -> String {
    let pattern = if millis { "%Y-%m-%dT%H:%M:%S.000Z" } else { "%Y-%m-%dT%H:%M:%SZ" };
    at.strftime(pattern).to_string()
}

/// When a row was created: by the real clock where its kind makes use of that.
pub(super) fn made(shape: &Shape, row: &Row) -> Timestamp {
    if shape.kind.spec.id.made.is_some() { row.born } else { time_of(row.created) }
}

/// The entity tag of a row.
pub(super) fn etag(row: &Row) -> String {
    format!("\"{}-{}\"", row.seq, row.updated)
}
