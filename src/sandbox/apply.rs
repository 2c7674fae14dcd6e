//! Whole resources by one call, whatever their kind: parsed strictly, taken one by one in their order, each with a
//! status of its own.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    behaviour::View,
    body::Item,
    desk::Desk,
    render::Renderer,
    shape::Shape,
    simulation::{Request, Simulation},
    store::{Row, Store},
};
use crate::{
    description::format::{ApplySpec, FieldSpec, FieldType, UpdateStyle},
    value::{Fields, get_path, set_path, text},
};

/// One resource of a body.
pub(super) struct Resource<'a> {
    pub(super) shape: &'a Shape,
    pub(super) name: String,
    pub(super) body: Value,
}

/// The word for what became of a resource, and kind and name of what moved along with it.
type Taken = (&'static str, Vec<(String, String)>);

impl Simulation {
    /// Carries out a call on whole resources; nothing where the request is another one.
    pub(super) fn applied(&self, store: &mut Store, request: &Request<'_>) -> Option<Result<Answer, Refusal>> {
        let spec = &self.api.spec.apply;
        if spec.path.is_empty() || request.method != "POST" {
            return None;
        }
        let is =
            |path: &str| path.split('/').filter(|part| !part.is_empty()).eq(request.parts.iter().map(String::as_str));
        if is(&spec.path) {
            return Some(self.apply(store, spec, request));
        }
        match &spec.delete {
            Some(call) if is(&call.path) => Some(self.delete_named(store, spec, request)),
            _ => None,
        }
    }

    fn apply(&self, store: &mut Store, spec: &ApplySpec, request: &Request<'_>) -> Result<Answer, Refusal> {
        let mut resources = Vec::new();
        for body in resources_of(spec, request)? {
            resources.push(self.parsed(spec, body)?);
        }
        self.behaviour.before_apply(store, &resources)?;
        let mut entries: Vec<(String, String, &str, Option<String>)> = Vec::new();
        for resource in resources {
            let before = store.savepoint();
            let kind = resource.shape.name().to_owned();
            let name = resource.name.clone();
            match self.take(store, &resource) {
                Ok((status, along)) => {
                    entries.push((kind, name, status, None));
                    for (kind, name) in along {
                        if !entries.iter().any(|(other, known, ..)| *other == kind && *known == name) {
                            entries.push((kind, name, "configured", None));
                        }
                    }
                }
                Err(refusal) => {
                    store.rollback_to(before);
                    let reasons: Vec<String> = refusal.faults.into_iter().map(|fault| fault.detail).collect();
                    entries.push((kind, name, "invalid", Some(reasons.join(" "))));
                }
            }
        }
        let renderer = Renderer { sim: self, store, reader: &request.reader, query: &request.query };
        let shown = entries.into_iter().map(|(kind, name, status, reason)| {
            let row = self.shape(&kind).and_then(|shape| Some((shape, store.get(&kind, &name)?)));
            let resource = match row {
                Some((shape, row)) => Value::Object(renderer.attributes(shape, row, View::Written)),
                None => json!({ "kind": kind, "metadata": { "name": name } }),
            };
            let mut entry = json!({ "resource": resource, "status": status });
            if let Some(reason) = reason {
                entry["reason"] = reason.into();
            }
            entry
        });
        let mut body = Fields::new();
        set_path(&mut body, spec.answer.as_deref().unwrap_or("updates"), shown.collect());
        Ok(Answer::new(StatusCode::ACCEPTED, body.into()))
    }

    /// Parses a resource strictly: what the whole call fails by.
    fn parsed(&self, spec: &ApplySpec, body: Value) -> Result<Resource<'_>, Refusal> {
        let wrong = |why: String| Refusal::new(400, why);
        let Some(members) = body.as_object() else { return Err(wrong("A resource must be an object.".into())) };
        let kind = members.get("kind").and_then(Value::as_str).unwrap_or_default();
        let shape = self.shape(kind).filter(|shape| shape.kind.apply.is_some() && !shape.kind.spec.lookup);
        let Some(shape) = shape else { return Err(wrong(format!("unknown kind `{kind}`"))) };
        let given = members.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let own = shape.kind.spec.fields.values().find(|field| field.wire_name() == "apiVersion");
        let prefix = own.and_then(|field| field.prefix.as_deref()).unwrap_or_default();
        let known = own.into_iter().flat_map(|field| &field.allowed).filter_map(text);
        let versions: Vec<String> =
            known.map(|word| format!("{prefix}{word}")).chain(spec.api_version.clone()).collect();
        if !versions.iter().any(|version| version == given) {
            return Err(wrong(format!("unknown apiVersion `{given}` of kind `{kind}`")));
        }
        if let Some(path) = unknown(shape, members, "") {
            return Err(wrong(format!("{kind}: unknown field `{path}`")));
        }
        let path = shape.kind.spec.id.path.first().map_or("metadata.name", String::as_str);
        let name = get_path(&body, path).and_then(text).unwrap_or_default();
        Ok(Resource { shape, name, body })
    }

    /// Makes or changes one resource: the word for what became of it, and what moved along.
    fn take(&self, store: &mut Store, resource: &Resource<'_>) -> Result<Taken, Refusal> {
        let shape = resource.shape;
        let mut attributes = resource.body.as_object().cloned().unwrap_or_default();
        attributes.shift_remove("kind");
        if !shape.has("apiVersion") {
            attributes.shift_remove("apiVersion");
        }
        for name in &shape.ignored {
            super::desk::remove_path(&mut attributes, name);
        }
        let item = Item { attributes, ..Item::default() };
        let old: Option<Row> = store.get(shape.name(), &resource.name).cloned();
        let mut desk = Desk::new(self, store);
        match &old {
            None => {
                desk.create(shape, item, &HashMap::new())?;
            }
            Some(old) => desk.update(shape, &old.key, item, UpdateStyle::Replace)?,
        }
        desk.finish()?;
        let new = store.get(shape.name(), &resource.name).cloned().ok_or_else(Refusal::absent)?;
        let status = match &old {
            None => "created",
            Some(old) if old.attributes == new.attributes => "unchanged",
            Some(_) => "configured",
        };
        let along = if status == "configured" {
            self.behaviour.moved_along(&mut Desk::new(self, store), shape, &new)
        } else {
            Vec::new()
        };
        Ok((status, along))
    }

    fn delete_named(&self, store: &mut Store, spec: &ApplySpec, request: &Request<'_>) -> Result<Answer, Refusal> {
        let mut updates = Vec::new();
        let mut errors = Vec::new();
        for body in resources_of(spec, request)? {
            let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            let shape = self.shape(&kind).filter(|shape| shape.kind.apply.is_some() && !shape.kind.spec.lookup);
            let Some(shape) = shape else { return Err(Refusal::new(400, format!("unknown kind `{kind}`"))) };
            let path = shape.kind.spec.id.path.first().map_or("metadata.name", String::as_str);
            let name = get_path(&body, path).and_then(text).unwrap_or_default();
            let Some(row) = store.get(shape.name(), &name).cloned() else { continue };
            let before = store.savepoint();
            let mut desk = Desk::new(self, store);
            let (status, reason) = match desk.delete(shape, std::slice::from_ref(&row.key)).and_then(|()| desk.finish())
            {
                Ok(()) => ("deleted", None),
                Err(refusal) => {
                    store.rollback_to(before);
                    let reasons: Vec<String> = refusal.faults.into_iter().map(|fault| fault.detail).collect();
                    errors.push(reasons.join(" "));
                    (if refusal.status == 409 { "in-use" } else { "error" }, Some(reasons.join(" ")))
                }
            };
            let mut entry = json!({ "resource": { "kind": kind, "metadata": { "name": name } }, "status": status });
            if let Some(reason) = reason {
                entry["reason"] = reason.into();
            }
            updates.push(entry);
        }
        Ok(Answer::new(StatusCode::ACCEPTED, json!({ "errors": errors, "updates": updates })))
    }
}

/// The resources of a body.
fn resources_of(spec: &ApplySpec, request: &Request<'_>) -> Result<Vec<Value>, Refusal> {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, format!("The body is not valid JSON: {error}.")))?;
    let name = spec.request.as_deref().unwrap_or("resources");
    match get_path(&body, name) {
        Some(Value::Array(resources)) => Ok(resources.clone()),
        _ => Err(Refusal::new(400, format!("`{name}` must be a list of resources."))),
    }
}

/// The first member of a resource that its kind does not know.
fn unknown(shape: &Shape, members: &Fields, before: &str) -> Option<String> {
    members.iter().find_map(|(name, value)| {
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        if let Some((_, field)) = shape.field(&path) {
            return unknown_in(field, value).map(|inner| format!("{path}.{inner}"));
        }
        if matches!(path.as_str(), "apiVersion" | "kind") || shape.is_ignored(&path) {
            return None;
        }
        match value {
            Value::Object(inner) if shape.leads_on(&path) => unknown(shape, inner, &path),
            _ => Some(path),
        }
    })
}

fn unknown_in(field: &FieldSpec, value: &Value) -> Option<String> {
    match (field.ty, value) {
        (FieldType::Object, Value::Object(members)) if !field.fields.is_empty() => {
            members.iter().find_map(|(name, value)| {
                match field.fields.values().find(|member| member.wire_name() == name) {
                    Some(member) => unknown_in(member, value).map(|inner| format!("{name}.{inner}")),
                    None if field.open => None,
                    None => Some(name.clone()),
                }
            })
        }
        (FieldType::List, Value::Array(items)) => {
            let spec = field.items.as_deref()?;
            items.iter().find_map(|item| unknown_in(spec, item))
        }
        _ => None,
    }
}
