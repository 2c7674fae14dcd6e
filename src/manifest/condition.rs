//! Conditions of descriptions, judged by what a manifest declares.

use indexmap::IndexMap;
use serde_json::Value;

use super::scalar::same;
use crate::{
    description::format::{Condition, FieldSpec},
    value::{self, Fields},
};

/// Whether a condition holds for declared fields; nothing where only the live object can tell.
pub(super) fn holds(condition: &Condition, declared: &Fields, fields: &IndexMap<String, FieldSpec>) -> Option<bool> {
    let name = condition.field.as_deref()?;
    let value = match declared.get(name) {
        Some(value) => value,
        None => fields.get(name)?.default.as_ref()?,
    };
    Some(matches(condition, value))
}

/// Whether a value fulfils a condition.
pub(super) fn matches(condition: &Condition, value: &Value) -> bool {
    (condition.one_of.is_empty() || condition.one_of.iter().any(|one| same(one, value)))
        && !condition.not_in.iter().any(|one| same(one, value))
        && (!condition.present || !value::is_empty(value))
}

/// A condition in words.
pub(super) fn describe(condition: &Condition) -> String {
    let name = condition.field.as_deref().unwrap_or_default();
    let words = |values: &[Value]| super::faults::listed(values.iter().filter_map(value::text));
    if !condition.one_of.is_empty() {
        format!("`{name}` is {}", words(&condition.one_of))
    } else if !condition.not_in.is_empty() {
        format!("`{name}` is not {}", words(&condition.not_in))
    } else {
        format!("`{name}` is set")
    }
}
