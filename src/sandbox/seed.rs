//! Seed files to rows: objects as manifests write them, references by natural key.
//!
//! ```yaml
//! itglue:
//!   credentials: [ITG.demo]          # optional: only these are valid
//!   Organization:
//!     - {id: 2, name: Happy Frog, organizationType: Customer, synced: manage}
//! ```
//!
//! Entries inside an object are written in its field, or by themselves with `parent: Kind/ID`.

use serde_json::{Map, Value, json};

use super::{
    desk::{Desk, local_key},
    field::encode,
    rules,
    shape::{Shape, holds_references},
    simulation::Simulation,
    store::{Row, Store},
};
use crate::{
    description::{
        Kind,
        format::{FieldSpec, FieldType, IdWire, RefSpec},
    },
    value::{set_path, text},
};

/// Why a seed cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSeed {
    /// The text is no YAML.
    #[error("the seed cannot be read: {0}")]
    Yaml(String),
    /// The API has no such kind.
    #[error("the seed names `{kind}`, but `{api}` has no such kind")]
    Kind {
        /// Name of the API.
        api: String,
        /// What the seed names.
        kind: String,
    },
    /// The kind has no such field.
    #[error("the seed gives `{kind}` a field `{field}`, but there is none")]
    Field {
        /// Name of the kind.
        kind: String,
        /// What the seed names.
        field: String,
    },
    /// A reference leads nowhere.
    #[error("`{field}: {value}` of a {kind} in the seed leads nowhere")]
    Reference {
        /// Name of the kind.
        kind: String,
        /// The field.
        field: String,
        /// What it says.
        value: String,
    },
    /// The API's own rules refuse an object.
    #[error("a {kind} of the seed is not possible: {reason}")]
    Refused {
        /// Name of the kind.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something has the wrong form.
    #[error("the seed's `{0}` must be a list of objects")]
    Form(String),
}

/// Reads a seed file.
pub fn parse(source: &str) -> Result<Value, BadSeed> {
    serde_saphyr::from_str(source).map_err(|error| BadSeed::Yaml(error.to_string()))
}

/// Entries as a list: those of a map have a key and one field more.
fn listed(kind: &Kind, value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let key = kind.spec.key.last().map(String::as_str).unwrap_or_default();
    let other = kind.spec.fields.iter().find(|(name, field)| name.as_str() != key && !field.read_only);
    let Some((other, _)) = other else { return value.clone() };
    map.iter().map(|(name, value)| json!({ (key): name, (other.as_str()): value })).collect()
}

/// The credentials that a seed lists for an API.
pub(super) fn credentials(seed: &Value) -> Vec<String> {
    seed.get("credentials").and_then(Value::as_array).into_iter().flatten().filter_map(text).collect()
}

/// A row whose references are still to be found.
struct Planted {
    kind: String,
    key: String,
    references: Vec<(String, Value)>,
}

/// Adds the objects that a seed has for an API.
pub(super) fn plant(sim: &Simulation, seed: &Value) -> Result<(), BadSeed> {
    let Some(kinds) = seed.as_object() else { return Ok(()) };
    let mut store = sim.store();
    store.advance();
    for kind in kinds.keys().filter(|kind| *kind != "credentials") {
        if sim.shape(kind).is_none() {
            return Err(BadSeed::Kind { api: sim.api.name.clone(), kind: kind.clone() });
        }
    }
    let mut planted = Vec::new();
    for kind in sim.api.kinds.keys() {
        let (Some(objects), Some(shape)) = (kinds.get(kind), sim.shape(kind)) else { continue };
        for object in objects.as_array().ok_or_else(|| BadSeed::Form(kind.clone()))? {
            sow(sim, &mut store, shape, object, None, &mut planted)?;
        }
    }
    // References of references (a region within its country) come to rest within a few rounds.
    let mut grown = Vec::new();
    for round in 0.. {
        let mut open = Vec::new();
        let before = planted.len();
        for one in planted {
            let one = settle(sim, &mut store, one);
            if one.references.is_empty() {
                grown.push((one.kind, one.key));
            } else {
                open.push(one);
            }
        }
        planted = open;
        if planted.is_empty() || (planted.len() == before && round > 0) {
            break;
        }
    }
    if let Some(one) = planted.into_iter().next() {
        store.rollback();
        let (field, value) = one.references.into_iter().next().unwrap_or_default();
        let value = text(&value).unwrap_or_else(|| value.to_string());
        return Err(BadSeed::Reference { kind: one.kind, field, value });
    }
    let mut desk = Desk::new(sim, &mut store);
    for (kind, key) in grown {
        let Some(shape) = sim.shape(&kind) else { continue };
        if let Err(refusal) = sim.behaviour.ripen(&mut desk, shape, &key) {
            store.rollback();
            let reasons: Vec<String> = refusal.faults.into_iter().map(|fault| fault.detail).collect();
            return Err(BadSeed::Refused { kind, reason: reasons.join(" ") });
        }
    }
    store.commit();
    Ok(())
}

/// Stores one object without its references.
fn sow(
    sim: &Simulation,
    store: &mut Store,
    shape: &Shape,
    object: &Value,
    parent: Option<(String, String)>,
    planted: &mut Vec<Planted>,
) -> Result<(), BadSeed> {
    let Value::Object(object) = object else { return Err(BadSeed::Form(shape.name().to_owned())) };
    let mut row = Row { parent, ..Row::default() };
    let (mut references, mut entries) = (Vec::new(), Vec::new());
    for (name, value) in object {
        if let Some(field) = shape.kind.field(name) {
            if holds_references(field) && !is_word(field, value) {
                references.push((name.clone(), value.clone()));
            } else {
                set_path(&mut row.attributes, field.wire_name(), encode(field, &spelled(field, value)));
            }
        } else if name == "synced" {
            row.synced = value.as_str().map(str::to_owned);
        } else if let Some(inside) = sim.api.inside(shape.name(), name) {
            entries.push((inside.name.clone(), listed(inside, value)));
        } else if shape.is_ignored(&shape.spell(name)) {
            row.attributes.insert(shape.spell(name), value.clone());
        } else if let (true, Some((kind, id))) =
            (name == "parent" && shape.kind.inside().is_some(), value.as_str().and_then(|text| text.split_once('/')))
        {
            row.parent = Some((kind.to_owned(), id.to_owned()));
        } else if name != "id" {
            return Err(BadSeed::Field { kind: shape.name().to_owned(), field: name.clone() });
        }
    }
    rules::complete(shape, &mut row, true);
    let local = shape.local_id.as_deref().and_then(|name| shape.kind.field(name));
    row.id = match (object.get("id").and_then(text), local) {
        (Some(id), _) => id,
        (None, Some(field)) => row.text(field.wire_name()).unwrap_or_default(),
        (None, None) => {
            let number = store.next_number(shape.name());
            sim.behaviour
                .id_prefix(shape.name())
                .map_or_else(|| number.to_string(), |prefix| format!("{prefix}{number}"))
        }
    };
    row.key = if local.is_some() { local_key(shape, &row) } else { row.id.clone() };
    // An id made of a reference is known only when that is found.
    if row.id.is_empty() {
        row.key = format!("seed-{}", planted.len());
    }
    let key = row.key.clone();
    let id = if shape.kind.spec.id.local { row.key.clone() } else { row.id.clone() };
    store.put(shape.name(), row);
    planted.push(Planted { kind: shape.name().to_owned(), key, references });
    for (kind, list) in entries {
        let Some(entry) = sim.shape(&kind) else { continue };
        for object in list.as_array().ok_or_else(|| BadSeed::Form(kind.clone()))? {
            sow(sim, store, entry, object, Some((shape.name().to_owned(), id.clone())), planted)?;
        }
    }
    Ok(())
}

/// Whether a value of a reference field is one of its plain words.
fn is_word(field: &FieldSpec, value: &Value) -> bool {
    value.is_null() || field.allowed.contains(value)
}

/// A natural value with the members of its objects spelled as on the wire.
fn spelled(field: &FieldSpec, value: &Value) -> Value {
    match (field.ty, value) {
        (FieldType::Object, Value::Object(members)) => {
            let mut out = Map::new();
            for (name, member) in members {
                match field.fields.get(name) {
                    Some(spec) => out.insert(spec.wire_name().to_owned(), encode(spec, &spelled(spec, member))),
                    None => out.insert(name.clone(), member.clone()),
                };
            }
            for spec in field.fields.values() {
                if let (Some(default), false) = (&spec.default, out.contains_key(spec.wire_name())) {
                    out.insert(spec.wire_name().to_owned(), default.clone());
                }
            }
            out.into()
        }
        (FieldType::List, Value::Array(items)) => match &field.items {
            Some(spec) => items.iter().map(|item| spelled(spec, item)).collect(),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Finds the references of a row; gives back what is still open.
fn settle(sim: &Simulation, store: &mut Store, mut planted: Planted) -> Planted {
    let (Some(shape), Some(mut row)) = (sim.shape(&planted.kind), store.get(&planted.kind, &planted.key).cloned())
    else {
        return planted;
    };
    let mut open = Vec::new();
    let mut moved = false;
    for (name, value) in std::mem::take(&mut planted.references) {
        let Some(field) = shape.kind.field(&name) else { continue };
        match resolve(sim, store, shape, &row, field, &value) {
            Some((found, word)) => {
                if let (Some(word), Some(wire)) =
                    (word, field.reference.as_ref().and_then(|one| one.type_wire.as_ref()))
                {
                    row.attributes.insert(wire.clone(), word.into());
                }
                set_path(&mut row.attributes, field.wire_name(), found);
                moved = true;
            }
            None => open.push((name, value)),
        }
    }
    if moved {
        if let Some(field) = shape.local_id.as_deref().and_then(|name| shape.kind.field(name))
            && let Some(id) = row.text(field.wire_name())
        {
            row.id = id;
            row.key = local_key(shape, &row);
            planted.key.clone_from(&row.key);
        }
        store.put_as_is(&planted.kind, row);
    }
    planted.references = open;
    planted
}

/// The wire form of a reference, and the type beside it where there is one.
fn resolve(
    sim: &Simulation,
    store: &Store,
    shape: &Shape,
    row: &Row,
    field: &FieldSpec,
    value: &Value,
) -> Option<(Value, Option<String>)> {
    if let (Some(items), Value::Array(values)) = (&field.items, value) {
        let found = values.iter().map(|value| resolve(sim, store, shape, row, items, value).map(|(found, _)| found));
        return Some((found.collect::<Option<Vec<_>>>()?.into(), None));
    }
    let reference = field.reference.as_ref()?;
    let text = text(value)?;
    let (kind, written, word) = if let Some(kind) = &reference.kind {
        (kind.as_str(), text.strip_prefix(&format!("{kind}/")).unwrap_or(&text), None)
    } else {
        let (kind, rest) = text.split_once('/')?;
        let word = reference.kinds.iter().find(|(_, target)| *target == kind).map(|(word, _)| word.clone());
        (kind, rest, word)
    };
    let target = seek(sim, store, kind, reference, shape, row, written)?;
    let id = match &reference.by {
        Some(by) => target.text(sim.shape(kind)?.kind.field(by)?.wire_name())?,
        None if field.path_only => target.key.clone(),
        None => target.id.clone(),
    };
    if let Some(prefix) = &reference.wire_prefix {
        return Some((format!("{prefix}{id}").into(), None));
    }
    let number = reference.wire.unwrap_or_else(|| sim.id_wire(kind)) == IdWire::Number && reference.by.is_none();
    let value = if number { id.parse::<u64>().map_or_else(|_| id.clone().into(), Value::from) } else { id.into() };
    Some((value, word))
}

/// The object that a reference names: by id, by an alias, or by its natural key, parts joined by `/`.
fn seek<'a>(
    sim: &Simulation,
    store: &'a Store,
    kind: &str,
    reference: &RefSpec,
    shape: &Shape,
    row: &Row,
    written: &str,
) -> Option<&'a Row> {
    if let Some(id) = written.strip_prefix("id:") {
        return store.get(kind, id);
    }
    let target = sim.shape(kind)?;
    let written = written.strip_prefix("key:").unwrap_or(written);
    let parts: Vec<&str> = written.split('/').collect();
    let wire = |name: &String| target.kind.field(name).map(FieldSpec::wire_name);
    let last: Vec<&str> =
        target.kind.spec.key.last().into_iter().chain(&target.kind.spec.aliases).filter_map(wire).collect();
    let beside = |other: &Row| {
        reference.complete.iter().all(|(theirs, ours)| {
            let ours = shape.kind.field(ours).and_then(|field| row.text(field.wire_name()));
            let theirs = target.kind.field(theirs).and_then(|field| other.text(field.wire_name()));
            ours.is_none() || ours == theirs
        })
    };
    let named = |name: &str, other: &Row| last.iter().any(|wire| other.text(wire).as_deref() == Some(name));
    let fits = |other: &Row| {
        (named(written, other) && beside(other))
            || (parts.len() == target.kind.spec.key.len()
                && parts.len() > 1
                && parts.last().is_some_and(|name| named(name, other))
                && target.kind.spec.key.iter().zip(&parts).rev().skip(1).all(|(name, part)| {
                    let Some(field) = target.kind.field(name) else { return false };
                    let Some(value) = other.text(field.wire_name()) else { return false };
                    let above = field.reference.as_ref().and_then(|reference| reference.kind.as_deref());
                    match above {
                        Some(kind) => store.get(kind, &value).is_some_and(|above| {
                            sim.shape(kind).and_then(|shape| shape.title_of(above)).as_deref() == Some(*part)
                        }),
                        None => value == *part,
                    }
                }))
    };
    store.rows(kind).find(|other| fits(other)).or_else(|| store.get(kind, written))
}
