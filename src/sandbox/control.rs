//! The control calls below `/_sandbox`: what a test or a demonstration does behind the clients' back.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    behaviour::View,
    desk::Desk,
    patch,
    server::{Hub, mask},
    simulation::Simulation,
    store::Row,
};
use crate::value::Fields;

/// Answers a control call.
pub(super) async fn answer(hub: &Hub, request: Request<Body>, path: &str) -> Answer {
    let method = request.method().clone();
    let Ok(body) = axum::body::to_bytes(request.into_body(), 1 << 24).await else {
        return bad("The body cannot be read.");
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["health"]) => Answer::new(StatusCode::OK, json!({ "apis": hub.sites.keys().collect::<Vec<_>>() })),
        ("GET", ["log"]) => Answer::new(StatusCode::OK, json!({ "requests": hub.log() })),
        ("DELETE", ["log"]) => {
            hub.clear_log();
            Answer::empty(StatusCode::NO_CONTENT)
        }
        ("POST", ["flush"]) => {
            for site in hub.sites.values() {
                site.sim.flush();
            }
            Answer::empty(StatusCode::NO_CONTENT)
        }
        ("POST", ["faults"]) => {
            let given: Value = serde_json::from_slice(&body).unwrap_or_default();
            match given.get("faults").and_then(Value::as_str).unwrap_or_default().parse() {
                Ok(faults) => {
                    hub.set_faults(faults);
                    Answer::empty(StatusCode::NO_CONTENT)
                }
                Err(error) => bad(&format!("{error}.")),
            }
        }
        (method, ["objects", api, kind, rest @ ..]) => {
            let Some(sim) = hub.sites.get(*api).map(|site| &site.sim).filter(|sim| sim.shape(kind).is_some()) else {
                return nothing();
            };
            let given = serde_json::from_slice(&body).unwrap_or_default();
            match (method, rest) {
                ("GET", []) => {
                    let mut found = json!({ "objects": objects(sim, kind) });
                    mask(&mut found, &secrets(sim));
                    Answer::new(StatusCode::OK, found)
                }
                ("POST", []) => match add(sim, kind, &given) {
                    Ok(id) => Answer::new(StatusCode::CREATED, json!({ "id": id })),
                    Err(message) => bad(&message),
                },
                ("PATCH", key) if mutate(sim, kind, &key.join("/"), &given) => Answer::empty(StatusCode::NO_CONTENT),
                ("DELETE", key) if remove(sim, kind, &key.join("/")) => Answer::empty(StatusCode::NO_CONTENT),
                _ => nothing(),
            }
        }
        _ => nothing(),
    }
}

fn bad(message: &str) -> Answer {
    Answer::new(StatusCode::BAD_REQUEST, json!({ "error": message }))
}

fn nothing() -> Answer {
    Answer::new(StatusCode::NOT_FOUND, json!({ "error": "There is no such control call or object." }))
}

fn secrets(sim: &Simulation) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for shape in sim.shapes.values() {
        names.extend(shape.secrets().filter(|wire| *wire != "traits").map(|wire| shape.normal(wire)));
    }
    names.extend(sim.behaviour.secret_names(&sim.store()));
    names
}

/// All objects of a kind as they are kept, sensitive values included.
pub(super) fn objects(sim: &Simulation, kind: &str) -> Vec<Value> {
    sim.store().rows(kind).map(kept).collect()
}

/// A row as it is kept.
fn kept(row: &Row) -> Value {
    let mut object = Fields::new();
    object.insert("id".into(), row.id.clone().into());
    if row.key != row.id {
        object.insert("key".into(), row.key.clone().into());
    }
    if let Some((kind, id)) = &row.parent {
        object.insert("parent".into(), format!("{kind}/{id}").into());
    }
    if let Some(by) = &row.synced {
        object.insert("synced".into(), by.clone().into());
    }
    if row.doomed.is_some() {
        object.insert("doomed".into(), true.into());
    }
    object.insert("attributes".into(), row.attributes.clone().into());
    object.into()
}

/// Changes an object past all rules: attributes of `change` are merged into it, `synced` marks it.
pub(super) fn mutate(sim: &Simulation, kind: &str, key: &str, change: &Value) -> bool {
    let mut store = sim.store();
    let (Some(mut row), Some(shape)) = (store.get(kind, key).cloned(), sim.shape(kind)) else { return false };
    store.advance();
    let Value::Object(change) = change else { return false };
    for (name, value) in change {
        if name == "synced" {
            row.synced = value.as_str().map(str::to_owned);
            continue;
        }
        let wire = shape.field(name).map_or(name.clone(), |(_, field)| field.wire_name().to_owned());
        let mut merged = row.get(&wire).cloned().unwrap_or_default();
        patch::merge(&mut merged, value);
        crate::value::set_path(&mut row.attributes, &wire, merged);
    }
    store.put(kind, row);
    store.commit();
    true
}

/// Deletes an object past all rules.
pub(super) fn remove(sim: &Simulation, kind: &str, key: &str) -> bool {
    let mut store = sim.store();
    let Some(shape) = sim.shape(kind).filter(|_| store.get(kind, key).is_some()) else { return false };
    store.advance();
    Desk::new(sim, &mut store).remove(shape, &[key.to_owned()]);
    store.commit();
    true
}

/// Adds an object in the form of seeds; gives its id.
pub(super) fn add(sim: &Simulation, kind: &str, object: &Value) -> Result<String, String> {
    let before = sim.store().rows(kind).map(|row| row.seq).max().unwrap_or(0);
    super::seed::plant(sim, &json!({ kind: [object] })).map_err(|error| error.to_string())?;
    let store = sim.store();
    let added = store.rows(kind).find(|row| row.seq > before);
    added.map(|row| row.id.clone()).ok_or_else(|| "nothing was added".to_owned())
}

/// The attributes of an object as a read of it shows them.
pub(super) fn shown(sim: &Simulation, kind: &str, key: &str) -> Option<Value> {
    let store = sim.store();
    let (shape, row) = (sim.shape(kind)?, store.get(kind, key)?);
    let reader = super::simulation::Reader { sees_secrets: true, ..Default::default() };
    let renderer = super::render::Renderer { sim, store: &store, reader: &reader, query: &[] };
    Some(renderer.attributes(shape, row, View::Get).into())
}
