//! Plans as JSON, and the JSON Schema that describes them.

use serde_json::Value;

use crate::plan::PlanDocument;

use super::{safe, value};

/// Writes a plan, or the report of an apply, as `-o json` prints it; ends with a line break.
pub fn plan(document: &PlanDocument) -> Result<String, serde_json::Error> {
    let mut document = document.clone();
    for change in document.actions.iter_mut().flat_map(|action| &mut action.changes) {
        if change.sensitive || [&change.before, &change.after].into_iter().flatten().any(value::is_hidden) {
            change.sensitive = true;
            (change.before, change.after) = (None, None);
        }
    }
    serde_json::to_value(document).map(|value| pretty(&value))
}

/// Writes any value indented and with a line break at the end; characters that steer a terminal are escaped.
pub fn pretty(value: &Value) -> String {
    let mut text = safe::json(&format!("{value:#}")).into_owned();
    text.push('\n');
    text
}

/// The JSON Schema (draft 2020-12) of [`plan`]'s output.
pub fn plan_schema() -> Value {
    let mut schema = schemars::schema_for!(PlanDocument);
    schema.insert("title".to_owned(), "plumb plan".into());
    schema.to_value()
}
