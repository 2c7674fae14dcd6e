//! What is known of stacks → the JSON of `/api/v1`.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    agent::view::{Board, StackView},
    plan::PlanDocument,
};

/// A stack in a list: without objects and plan.
fn brief(stack: &StackView) -> Value {
    let mut counts = serde_json::Map::new();
    for object in stack.objects.iter() {
        let count = counts.entry(object.state.word()).or_insert_with(|| json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
    }
    json!({
        "name": stack.name,
        "mode": stack.mode,
        "source": stack.source,
        "state": stack.state,
        "message": stack.message,
        "hints": stack.hints,
        "sourceTrouble": stack.source_trouble,
        "suspended": stack.suspended,
        "busy": stack.busy,
        "closed": stack.closed,
        "revision": stack.revision,
        "lastSuccess": stack.last_success,
        "lastRun": stack.last_run,
        "nextRun": stack.next_run,
        "driftSince": stack.drift_since,
        "summary": stack.summary,
        "objects": counts,
        "pulls": stack.pulls.iter().map(|pull| json!({
            "number": pull.number, "head": pull.head, "summary": pull.plan.summary,
        })).collect::<Vec<_>>(),
    })
}

/// All stacks, and what is left of each connection's limit.
pub(super) fn overview(board: &Board) -> Value {
    let stacks = board.each(|stack| (brief(stack), stack.budgets.clone()));
    let mut budgets = serde_json::Map::new();
    for (_, own) in &stacks {
        for (name, budget) in own {
            // Of a connection that several stacks use, the least is what matters.
            let less = budgets.get(name).is_none_or(|known: &Value| {
                known["remaining"].as_u64().unwrap_or(u64::MAX) > budget.remaining.unwrap_or(u64::MAX)
            });
            if less {
                budgets.insert(name.clone(), to_value(budget));
            }
        }
    }
    json!({
        "stacks": stacks.into_iter().map(|(stack, _)| stack).collect::<Vec<_>>(),
        "budgets": budgets,
        "now": crate::agent::view::now(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// One stack with its objects and runs; objects as rows, for there may be many.
pub(super) fn stack(stack: &StackView) -> Value {
    let rows: Vec<Value> = stack
        .objects
        .iter()
        .map(|object| {
            json!([
                object.address,
                object.kind,
                object.connection,
                object.state,
                object.action,
                object.id,
                object.since,
                object.why
            ])
        })
        .collect();
    let mut value = brief(stack);
    value["rows"] = json!(rows);
    value["runs"] = to_value(&stack.runs);
    value["budgets"] = to_value(&stack.budgets);
    value["now"] = json!(crate::agent::view::now());
    value
}

/// The plan as JSON.
pub(super) fn plan(document: &PlanDocument) -> Value {
    to_value(document)
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
