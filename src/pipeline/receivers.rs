//! How many there are that a rollout would reach: told with the plan, by one list for each connection.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Connected;
use crate::{
    description::format::Receivers,
    live::ListQuery,
    plan::{Plan, Step},
    value::{get_path, text},
};

/// Adds to each action that starts a rollout how many get it.
pub(super) async fn count(connected: &Connected, plan: &mut Plan) {
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for step in plan.steps.iter().filter(|step| step.rollout.is_some()) {
        if let Some(receivers) = receivers(step) {
            wanted.insert((step.action.connection.clone(), receivers.kind.clone()));
        }
    }
    let mut rows: BTreeMap<(String, String), Result<Vec<Value>, String>> = BTreeMap::new();
    for (connection, kind) in wanted {
        let Some(remote) = connected.remotes.get(&connection) else { continue };
        let Some(described) = remote.api.kind(&kind) else { continue };
        let found = remote.list(described, &ListQuery::default()).await;
        rows.insert((connection, kind), found.map(|listing| listing.rows).map_err(|error| error.to_string()));
    }
    for step in &mut plan.steps {
        if step.rollout.is_none() {
            continue;
        }
        let Some(receivers) = receivers(step).cloned() else { continue };
        let note = match rows.get(&(step.action.connection.clone(), receivers.kind.clone())) {
            Some(Ok(rows)) => {
                let count = rows.iter().filter(|row| reaches(step, &receivers, row)).count();
                format!("It reaches {count} {}.", receivers.called)
            }
            Some(Err(why)) => format!("How many {} it reaches is not known: {why}.", receivers.called),
            None => continue,
        };
        step.action.notes.push(note);
    }
}

fn receivers(step: &Step) -> Option<&Receivers> {
    step.kind.spec.rollout.as_ref()?.receivers.as_ref()
}

/// Whether a rollout of a step's object reaches a row: the label that names the object wins over its selector.
fn reaches(step: &Step, receivers: &Receivers, row: &Value) -> bool {
    let labels = get_path(row, &receivers.labels);
    let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(text).filter(|word| !word.is_empty());
    let id = step.action.id.clone().or_else(|| {
        let field = step.kind.spec.id.client.as_ref()?;
        step.desired.get(field).and_then(text)
    });
    if let Some(named) = label(&receivers.label) {
        return Some(named) == id;
    }
    let selector = step.kind.spec.fields.iter().find_map(|(name, field)| {
        let rest = receivers.selector.strip_prefix(field.wire_name())?;
        get_path(step.desired.get(name)?, rest.trim_start_matches('.')).cloned()
    });
    let live = || get_path(step.live.as_ref()?.raw.as_ref()?, &receivers.selector).cloned();
    let Some(Value::Object(selector)) = selector.or_else(live) else { return false };
    !selector.is_empty() && selector.iter().all(|(name, value)| label(name) == text(value))
}
