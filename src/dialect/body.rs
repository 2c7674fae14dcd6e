//! Wire attributes → request bodies: envelopes, JSON:API documents, bulk bodies.

use serde_json::{Map, Value, json};

use crate::{
    description::{
        Api, Kind,
        format::{DialectName, IdWire},
    },
    value::{Fields, set_path},
};

/// Entries sent along in a create: their kind, the path of the body that takes them, their attributes.
pub type Embedded<'k> = (&'k Kind, &'k str, Vec<Fields>);

/// One object of a bulk body: its id, where it has one, its attributes, and what is sent along.
pub type BulkRow<'k> = (Option<String>, Fields, Vec<Embedded<'k>>);

/// A body that creates one object; `embedded` holds children's attributes by path of the body.
pub fn create_body(api: &Api, kind: &Kind, attributes: Fields, embedded: &[Embedded<'_>]) -> Value {
    match kind.dialect {
        DialectName::Jsonapi => json!({ "data": resource(kind, attributes, embedded) }),
        DialectName::Rest | DialectName::Odata | DialectName::Apply => {
            let mut attributes = attributes;
            for (_, path, rows) in embedded {
                set_path(&mut attributes, path, Value::Array(rows.iter().cloned().map(Value::Object).collect()));
            }
            wrap(api, kind.spec.create.envelope.as_deref(), Value::Object(attributes))
        }
    }
}

/// A body that updates one object.
pub fn update_body(api: &Api, kind: &Kind, attributes: Fields) -> Value {
    match kind.dialect {
        DialectName::Jsonapi => json!({ "data": resource(kind, attributes, &[]) }),
        DialectName::Rest | DialectName::Odata | DialectName::Apply => {
            wrap(api, kind.spec.update.envelope.as_deref(), Value::Object(attributes))
        }
    }
}

/// A body that creates or updates many objects; `ids` are written into updates.
pub fn bulk_body(api: &Api, kind: &Kind, rows: Vec<BulkRow<'_>>) -> Value {
    let items = rows
        .into_iter()
        .map(|(id, attributes, embedded)| {
            let attributes = with_id(kind, id, attributes);
            match kind.dialect {
                DialectName::Jsonapi => resource(kind, attributes, &embedded),
                DialectName::Rest | DialectName::Odata | DialectName::Apply => Value::Object(attributes),
            }
        })
        .collect();
    match kind.dialect {
        DialectName::Jsonapi => json!({ "data": Value::Array(items) }),
        DialectName::Rest | DialectName::Odata | DialectName::Apply => wrap(api, None, Value::Array(items)),
    }
}

/// A body that deletes many objects.
pub fn bulk_delete_body(api: &Api, kind: &Kind, ids: &[String]) -> Value {
    bulk_body(api, kind, ids.iter().map(|id| (Some(id.clone()), Fields::new(), Vec::new())).collect())
}

fn with_id(kind: &Kind, id: Option<String>, attributes: Fields) -> Fields {
    let Some(id) = id else { return attributes };
    let value = match (kind.spec.id.wire, id.parse::<u64>()) {
        (IdWire::Number, Ok(number)) => Value::from(number),
        _ => Value::String(id),
    };
    let mut out = Fields::new();
    out.insert("id".into(), value);
    out.extend(attributes);
    out
}

/// A JSON:API resource object; attributes whose path starts with `relationships.` go there.
fn resource(kind: &Kind, mut attributes: Fields, embedded: &[Embedded<'_>]) -> Value {
    let mut relationships = match attributes.remove("relationships") {
        Some(Value::Object(map)) => map.into_iter().map(|(name, value)| (name, relationship(value))).collect(),
        _ => Map::new(),
    };
    for (child, path, rows) in embedded {
        let name = path.strip_prefix("relationships.").unwrap_or(path).trim_end_matches(".data");
        let rows: Vec<Value> = rows
            .iter()
            .map(|attributes| {
                let own = child.inside().and_then(|inside| inside.embed_type.as_ref());
                json!({ "type": own.or(child.spec.wire_type.as_ref()), "attributes": attributes })
            })
            .collect();
        relationships.insert(name.to_owned(), json!({ "data": rows }));
    }
    let mut out = Map::new();
    out.insert("type".into(), json!(kind.spec.wire_type));
    out.insert("attributes".into(), Value::Object(attributes));
    if !relationships.is_empty() {
        out.insert("relationships".into(), Value::Object(relationships));
    }
    Value::Object(out)
}

/// `{"TYPE": [ids]}` as a relationship's data; what has that form already is kept.
fn relationship(value: Value) -> Value {
    match value {
        Value::Object(map) if map.contains_key("data") => Value::Object(map),
        Value::Object(map) => {
            let data: Vec<Value> = map
                .into_iter()
                .flat_map(|(word, ids)| {
                    let ids = match ids {
                        Value::Array(ids) => ids,
                        single => vec![single],
                    };
                    ids.into_iter().map(move |id| json!({ "type": word, "attributes": { "id": id } }))
                })
                .collect();
            json!({ "data": data })
        }
        other => json!({ "data": other }),
    }
}

fn wrap(api: &Api, own: Option<&str>, body: Value) -> Value {
    match own.or(api.spec.envelope.request.as_deref()).filter(|path| !path.is_empty()) {
        None => body,
        Some(path) => {
            let mut out = Fields::new();
            set_path(&mut out, path, body);
            Value::Object(out)
        }
    }
}
