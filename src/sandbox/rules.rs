//! Rules of a description that look at whole objects: conditions, requirements, uniqueness, entries inside.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    answer::{Fault, Refusal},
    field::decode,
    shape::Shape,
    simulation::Simulation,
    store::{Row, Store},
};
use crate::{
    description::format::{Condition, FieldSpec},
    value::{is_empty, text},
};

/// Whether a row fulfils a condition.
pub(super) fn holds(shape: &Shape, row: &Row, condition: &Condition) -> bool {
    let value = if let Some(name) = &condition.field {
        shape.kind.field(name).map(|field| {
            let kept = row.get(field.wire_name()).filter(|value| !value.is_null());
            kept.map_or_else(|| field.default.clone().unwrap_or(Value::Null), |value| decode(field, value))
        })
    } else if let Some(path) = &condition.wire {
        row.get(path.strip_prefix("attributes.").unwrap_or(path)).cloned()
    } else {
        return true;
    };
    let value = value.unwrap_or(Value::Null);
    let among =
        |list: &[Value]| list.iter().any(|one| *one == value || (text(one).is_some() && text(one) == text(&value)));
    (condition.one_of.is_empty() || among(&condition.one_of))
        && (condition.not_in.is_empty() || !among(&condition.not_in))
        && (!condition.present || !is_empty(&value))
}

/// Lays down what the server fills in and forces.
pub(super) fn complete(shape: &Shape, row: &mut Row, creates: bool) {
    if creates {
        for field in shape.kind.spec.fields.values() {
            if let Some(default) = &field.default
                && row.get(field.wire_name()).is_none()
                && field.when.as_ref().is_none_or(|when| holds(shape, row, when))
            {
                let value = super::field::encode(field, default);
                crate::value::set_path(&mut row.attributes, field.wire_name(), value);
            }
        }
    }
    for field in shape.kind.spec.fields.values() {
        for forced in &field.forced {
            if holds(shape, row, &forced.when) {
                crate::value::set_path(&mut row.attributes, field.wire_name(), forced.value.clone());
            }
        }
    }
}

/// What a new row lacks.
pub(super) fn missing(shape: &Shape, row: &Row) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in shape.kind.spec.fields.values().filter(|field| !field.read_only && !field.not_sent) {
        // What creates do not take is there by itself.
        if field.update_only || field.create_wire.as_deref() == Some("") {
            continue;
        }
        let needed = field.required || field.required_when.as_ref().is_some_and(|when| holds(shape, row, when));
        let given = row.get(field.wire_name()).is_some_and(|value| {
            !value.is_null() && (value.as_str() != Some("") || field.nullable || field.fill.is_some())
        });
        if needed && !given {
            faults.push(Fault {
                detail: format!("`{}` is required.", field.wire_name()),
                pointer: Some(pointer(shape, field.wire_name())),
            });
        }
    }
    faults
}

/// Where an attribute is in a body, as a JSON pointer.
pub(super) fn pointer(shape: &Shape, wire: &str) -> String {
    if shape.is_jsonapi() { format!("/data/attributes/{wire}") } else { format!("/{}", wire.replace('.', "/")) }
}

/// Refuses a row whose key another one of its container has.
pub(super) fn unique_key(sim: &Simulation, store: &Store, shape: &Shape, row: &Row) -> Result<(), Refusal> {
    let spec = &shape.kind.spec;
    if spec.key_not_unique || spec.singleton || spec.key.is_empty() || !sim.behaviour.keys_are_unique() {
        return Ok(());
    }
    let twins = store.table(shape.name()).into_iter().flat_map(|table| table.twins(row));
    if twins.into_iter().any(|other| other.doomed.is_none()) {
        return Err(Refusal::new(
            conflict_status(sim),
            format!("`{}` has already been taken.", spec.key.join("` and `")),
        ));
    }
    Ok(())
}

/// Status of a refusal because something exists already.
pub(super) fn conflict_status(sim: &Simulation) -> u16 {
    let errors = &sim.api.spec.errors;
    let words = errors.conflict_words.as_ref().and_then(|words| words.statuses.first());
    words.or(errors.conflict.first()).copied().unwrap_or(409)
}

/// Checks the rules over all entries inside a parent.
pub(super) fn entries(store: &Store, shape: &Shape, parent: (&str, &str)) -> Result<(), Refusal> {
    let Some(inside) = shape.kind.inside() else { return Ok(()) };
    if store.get(parent.0, parent.1).is_none() {
        return Ok(());
    }
    let rows: Vec<&Row> = store.inside(shape.name(), parent).collect();
    for name in &inside.unique {
        let Some(wire) = shape.kind.field(name).map(FieldSpec::wire_name) else { continue };
        let mut seen = HashSet::new();
        for row in &rows {
            if let Some(value) = row.text(wire)
                && !seen.insert(value.clone())
            {
                return Err(Refusal::at(pointer(shape, wire), format!("`{wire}` `{value}` has already been taken.")));
            }
        }
    }
    if let Some(condition) = &inside.at_least_one
        && !rows.iter().any(|row| holds(shape, row, condition))
    {
        let what = condition.field.as_deref().or(condition.wire.as_deref()).unwrap_or("the condition");
        let wire = shape.kind.field(what).map_or(what, |field| field.wire_name());
        return Err(Refusal::at(pointer(shape, wire), format!("At least one must have `{wire}` set.")));
    }
    if inside.embed_required && rows.is_empty() {
        return Err(Refusal::invalid(format!("At least one of `{}` is required.", inside.field)));
    }
    Ok(())
}
