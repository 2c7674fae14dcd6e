//! Request bodies to items: JSON:API resources or plain objects, one or many.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{answer::Refusal, shape::Shape};
use crate::{
    description::{Api, format::DialectName},
    value::Fields,
};

/// What a body says about one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// The id, where the body has one.
    pub(super) id: Option<String>,
    pub(super) attributes: Fields,
    pub(super) relationships: Fields,
}

/// A body: one object or many.
#[derive(Debug, Clone)]
pub(super) enum Body {
    One(Item),
    Many(Vec<Item>),
}

impl Item {
    /// Reads one element of a body.
    pub(super) fn entry(shape: &Shape, value: Value) -> Result<Self, Refusal> {
        let Value::Object(mut map) = value else {
            return Err(Refusal::new(400, "Every element must be a Hash."));
        };
        if !shape.is_jsonapi() {
            let id = map.get("id").and_then(crate::value::text);
            return Ok(Self { id, attributes: map, relationships: Fields::new() });
        }
        let given = map.get("type").and_then(Value::as_str).unwrap_or_default();
        if super::shape::kebab(given) != shape.wire_type() {
            let wanted = shape.wire_type();
            return Err(Refusal::at("/data/type", format!("The type must be one of: {wanted}.")).with_status(400));
        }
        if let Some(name) =
            map.keys().find(|name| !matches!(name.as_str(), "type" | "id" | "attributes" | "relationships"))
        {
            return Err(Refusal::at(format!("/data/{name}"), format!("`{name}` is not a member of a resource.")));
        }
        let attributes = match map.remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            None => Map::new(),
            Some(_) => return Err(Refusal::at("/data/attributes", "Attributes must be a Hash.").with_status(400)),
        };
        let relationships = match map.remove("relationships") {
            Some(Value::Object(relationships)) => relationships,
            None => Map::new(),
            Some(_) => return Err(Refusal::at("/data/relationships", "Relationships must be a Hash.").with_status(400)),
        };
        let id = map.get("id").or_else(|| attributes.get("id")).and_then(crate::value::text);
        Ok(Self { id, attributes, relationships })
    }

    /// Takes an attribute out, whatever its spelling.
    pub(super) fn take(&mut self, shape: &Shape, wire: &str) -> Option<Value> {
        take(&mut self.attributes, shape, wire)
    }

    /// Takes out what is at a path of the create body, such as `relationships.fields.data`.
    pub(super) fn take_path(&mut self, shape: &Shape, path: &str) -> Option<Value> {
        let path = path.strip_prefix("data.").unwrap_or(path);
        if let Some(rest) = path.strip_prefix("relationships.") {
            let name = rest.strip_suffix(".data").unwrap_or(rest);
            let mut relationship = take(&mut self.relationships, shape, name)?;
            return relationship.get_mut("data").map(Value::take);
        }
        let path = path.strip_prefix("attributes.").unwrap_or(path);
        let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
        let value = take(&mut self.attributes, shape, head)?;
        match rest {
            Some(rest) => crate::value::get_path(&value, rest).cloned(),
            None => Some(value),
        }
    }

    /// The attributes, those of nested members by their dotted path where a field has such a path.
    pub(super) fn leaves(&self, shape: &Shape) -> Vec<(String, Value)> {
        let mut out = Vec::with_capacity(self.attributes.len());
        leaves(shape, &self.attributes, "", &mut out);
        out
    }
}

fn take(map: &mut Fields, shape: &Shape, name: &str) -> Option<Value> {
    let wanted = shape.normal(name);
    let found = map.keys().find(|name| shape.normal(name) == wanted)?.clone();
    map.shift_remove(&found)
}

fn leaves(shape: &Shape, map: &Fields, before: &str, out: &mut Vec<(String, Value)>) {
    for (name, value) in map {
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        match value {
            Value::Object(inner) if shape.field(&path).is_none() && shape.leads_on(&path) => {
                leaves(shape, inner, &path, out);
            }
            _ => out.push((path, value.clone())),
        }
    }
}

/// Reads a body; `envelope` is the member that plain objects are put under.
pub(super) fn read(api: &Api, shape: &Shape, envelope: Option<&str>, bytes: &Bytes) -> Result<Body, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::new(400, "The request has no body."));
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::new(400, format!("The body is not valid JSON: {error}.")))?;
    let inner = match api.spec.dialect {
        DialectName::Jsonapi => Some("data"),
        DialectName::Rest | DialectName::Odata | DialectName::Apply => {
            envelope.or(api.spec.envelope.request.as_deref()).filter(|name| !name.is_empty())
        }
    };
    let value = match inner {
        None => value,
        Some(path) => crate::value::get_path(&value, path)
            .cloned()
            .ok_or_else(|| Refusal::at(format!("/{path}"), format!("`{path}` is missing.")).with_status(400))?,
    };
    match value {
        Value::Array(items) => {
            let items: Vec<Item> = items.into_iter().map(|item| Item::entry(shape, item)).collect::<Result<_, _>>()?;
            Ok(Body::Many(items))
        }
        value => Ok(Body::One(Item::entry(shape, value)?)),
    }
}
