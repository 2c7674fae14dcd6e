//! `kind: Stack` → name, inventory, prune, limits and history of the stack.

use std::str::FromStr;

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    convert::{Convert, Known},
    faults::Path,
    model::{MaxDeletes, Retention, StackSpec},
    node::{Mark, Member},
};
use crate::description::format::{FieldSpec, FieldType};

/// Reads a stack.
pub(super) fn read<'t>(name: &str, spec: Option<&Member<'t>>, at: Mark, convert: &mut Convert<'_, 't>) -> StackSpec {
    let members = spec.and_then(|spec| spec.value.as_map()).unwrap_or_default();
    let fields = fields();
    let values = convert.fields(members, Known::from(&fields), &Path::Root, &mut |_, _| false);
    let max_deletes = values.get("limits").and_then(|limits| limits.get("maxDeletes")).and_then(Value::as_str);
    let max_deletes = max_deletes.and_then(|text| match MaxDeletes::from_str(text) {
        Ok(limit) => Some(limit),
        Err(wrong) => {
            let limits = members.iter().find(|member| member.key == "limits");
            let at = limits.and_then(|limits| limits.value.member("maxDeletes")).map_or(at, |m| m.value.best(m.at));
            convert.faults.error("PL0122", format!("`limits.maxDeletes`: {wrong}."), at);
            None
        }
    });
    let whole = |name: &str| values.get("history").and_then(|history| history.get(name)).and_then(Value::as_u64);
    let usual = Retention::default();
    let history = Retention {
        runs: whole("runs").and_then(|runs| usize::try_from(runs).ok()).unwrap_or(usual.runs),
        days: whole("days").and_then(|days| u32::try_from(days).ok()).unwrap_or(usual.days),
    };
    StackSpec {
        name: name.to_owned(),
        inventory: values.get("inventory").and_then(Value::as_str).map(str::to_owned),
        prune: values.get("prune").and_then(Value::as_bool).unwrap_or_default(),
        max_deletes,
        history,
    }
}

/// The fields of a stack's `spec`.
pub(super) fn fields() -> IndexMap<String, FieldSpec> {
    let text = |description: &str| FieldSpec { description: Some(description.to_owned()), ..FieldSpec::default() };
    let max_deletes = text("How much a run may delete: a number, or a share of each kind such as `50%`.");
    let limits = FieldSpec {
        ty: FieldType::Object,
        fields: [("maxDeletes".to_owned(), max_deletes)].into_iter().collect(),
        ..text("Limits of a run.")
    };
    let prune =
        FieldSpec { ty: FieldType::Boolean, ..text("Whether what is owned and no longer declared is deleted.") };
    let number = |most: f64, description: &str| FieldSpec {
        ty: FieldType::Integer,
        minimum: Some(0.),
        maximum: Some(most),
        ..text(description)
    };
    let runs = number(100_000., "How many of the last runs are kept; 100 unless given, and none where it is 0.");
    let days = number(36_500., "For how many days a run is kept; 90 unless given.");
    let history = FieldSpec {
        ty: FieldType::Object,
        fields: [("runs".to_owned(), runs), ("days".to_owned(), days)].into_iter().collect(),
        ..text("How long runs are kept in the inventory, for `history` and `undo`.")
    };
    [
        ("inventory", text("Where the ownership record is: a path or a URL.")),
        ("prune", prune),
        ("limits", limits),
        ("history", history),
    ]
    .into_iter()
    .map(|(name, field)| (name.to_owned(), field))
    .collect()
}
