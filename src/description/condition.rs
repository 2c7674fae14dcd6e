//! Conditions of descriptions, judged by values.

use serde_json::Value;

use super::{Specs, equal, format::Condition};
use crate::value::{Fields, Target, as_reference, is_empty, text};

/// Whether a condition on fields holds for what is declared, and for what is live where nothing is declared.
pub fn holds(specs: &Specs, condition: &Condition, desired: &Fields, live: &Fields) -> bool {
    let Some(name) = &condition.field else { return true };
    let null = Value::Null;
    let value = desired.get(name).or_else(|| live.get(name)).unwrap_or(&null);
    let spec = specs.get(name).cloned().unwrap_or_default();
    // A reference is compared by what names its target on the wire.
    if let Some((_, Target::Field(_, words) | Target::Id(words))) = as_reference(value) {
        let among = |list: &[Value]| list.iter().any(|other| text(other).as_ref() == Some(&words));
        return (condition.one_of.is_empty() || among(&condition.one_of)) && !among(&condition.not_in);
    }
    (condition.one_of.is_empty() || condition.one_of.iter().any(|other| equal(&spec, other, value)))
        && (condition.not_in.is_empty() || !condition.not_in.iter().any(|other| equal(&spec, other, value)))
        && (!condition.present || !is_empty(value))
}
