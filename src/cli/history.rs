//! `plumb history`: what runs changed, and how things were before.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::{
    args::Global,
    console::Console,
    exit::Exit,
    inventory::{opened, shown},
    options,
    output::{Output, TextOrJson},
    prose::columns,
};
use crate::{
    failure::Failure,
    inventory::{Change, FieldChange, Run, State},
    pipeline::{self, find_run},
    report,
};

/// Show what each run changed
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb history                          the runs, the last one first
  plumb history 20261125-094500-123a4f     what that run did to each object, field by field
  plumb history 20261125                 the beginning of an id will do, if it is the only one
  plumb history 20261125 -o json         with how each object was before, and the ids of the calls

Runs are kept as long as the Stack's `history` says: the last 100, for 90 days.")]
pub struct HistoryArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,

    /// Id of a run, or how it begins
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
}

/// Prints the runs, or what one did.
pub(super) async fn run(global: &Global, args: &HistoryArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::base(global, console)?;
    let (inventory, stack) = opened(&options, console).await?;
    let state = inventory.state().clone();
    let Some(wanted) = &args.run else {
        return list(&state, &stack, args.output.format, console);
    };
    let id = find_run(&state, Some(wanted))?;
    let run = state.runs.get(&id).cloned().unwrap_or_default();
    let changes = inventory.changes(&id).await.map_err(|error| pipeline::inventory_failure(&error))?;
    if args.output.format == TextOrJson::Json {
        let changes: Vec<Value> = changes.iter().map(as_json).collect();
        console.print_json(&json!({ "stack": stack, "run": head(&id, &run), "changes": changes }))?;
        return Ok(Exit::Done);
    }
    console.print(one(&id, &run, &changes));
    Ok(Exit::Done)
}

fn list(state: &State, stack: &str, format: TextOrJson, console: &mut Console) -> Result<Exit, Failure> {
    if format == TextOrJson::Json {
        let runs: Vec<Value> = state.runs.iter().rev().map(|(id, run)| head(id, run)).collect();
        console.print_json(&json!({ "stack": stack, "runs": runs }))?;
        return Ok(Exit::Done);
    }
    if state.runs.is_empty() {
        console.say(format_args!("No run of the stack `{stack}` is recorded."));
        return Ok(Exit::Done);
    }
    let mut rows = vec![["RUN", "AT", "WHO", "COMMAND", "REVISION", "CHANGES"].map(str::to_owned).to_vec()];
    rows.extend(state.runs.iter().rev().map(|(id, run)| {
        let revision = run.revision.as_deref().unwrap_or_default();
        let command = match &run.undoes {
            Some(other) => format!("{} of {other}", run.command),
            None => run.command.clone(),
        };
        let cells =
            [id.clone(), run.at.clone(), run.who.clone(), command, revision.chars().take(12).collect(), told(run)];
        cells.iter().map(|cell| report::one_line(cell).into_owned()).collect()
    }));
    console.print(columns(&rows));
    Ok(Exit::Done)
}

/// What a run did, in few words.
fn told(run: &Run) -> String {
    let mut parts: Vec<String> = run.done.iter().map(|(action, count)| format!("{count} {action}")).collect();
    if run.failed > 0 {
        parts.push(format!("{} failed", run.failed));
    }
    if run.ended.is_none() {
        parts.push("not ended".into());
    }
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn head(id: &str, run: &Run) -> Value {
    let mut value = json!({ "id": id });
    if let (Value::Object(out), Value::Object(fields)) = (&mut value, json!(run)) {
        out.extend(fields);
    }
    value
}

/// A change as JSON, without the hashes of sensitive values and the bookkeeping of the record.
fn as_json(change: &Change) -> Value {
    let mut value = shown(&json!(change));
    if let Value::Object(members) = &mut value {
        members.shift_remove("record");
    }
    value
}

fn one(id: &str, run: &Run, changes: &[Change]) -> String {
    let mut rows = vec![
        vec!["run:".to_owned(), id.to_owned()],
        vec!["at:".to_owned(), run.at.clone()],
        vec!["ended:".to_owned(), run.ended.clone().unwrap_or_else(|| "no, or it was cut off".into())],
        vec!["who:".to_owned(), run.who.clone()],
        vec!["command:".to_owned(), run.command.clone()],
    ];
    rows.extend(run.revision.iter().map(|revision| vec!["revision:".to_owned(), revision.clone()]));
    rows.extend(run.undoes.iter().map(|other| vec!["undoes:".to_owned(), other.clone()]));
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| report::one_line(cell).into_owned()).collect()).collect();
    let mut out = columns(&rows);
    for change in changes {
        out.push('\n');
        let outcome = match &change.end {
            Some(end) if end.outcome == "done" => String::new(),
            Some(end) => format!(": {}", end.outcome),
            None => ": not known what came of it".to_owned(),
        };
        let id = change.end.as_ref().and_then(|end| end.id.as_ref()).or(change.id.as_ref());
        let id = id.map(|id| format!(" (id {id})")).unwrap_or_default();
        out.push_str(&report::one_line(&format!("{} {}{id}{outcome}", change.action, change.address)));
        out.push('\n');
        for field in &change.fields {
            let _ = writeln!(out, "    {}", report::one_line(&difference(field)));
        }
        if !change.withheld.is_empty() && change.before.is_some() {
            let _ = writeln!(out, "    not kept: {}", report::one_line(&change.withheld.join(", ")));
        }
        let end = change.end.iter();
        if let Some(error) = end.clone().find_map(|end| end.error.as_ref()) {
            let _ = writeln!(out, "    {}", report::one_line(error));
        }
        for sent in end.flat_map(|end| &end.requests) {
            let status = sent.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let request = sent.request_id.as_ref().map(|id| format!(", request id {id}")).unwrap_or_default();
            let _ =
                writeln!(out, "    {}", report::one_line(&format!("{} {}: {status}{request}", sent.method, sent.path)));
        }
    }
    out
}

fn difference(field: &FieldChange) -> String {
    let side = |value: &Option<Value>| match value {
        Some(value) => value.to_string(),
        None => "(nothing)".to_owned(),
    };
    if field.sensitive {
        return format!("{}: (sensitive)", field.path);
    }
    match field.op.as_str() {
        "add" => format!("{}: {}", field.path, side(&field.after)),
        "remove" => format!("{}: {} → (nothing)", field.path, side(&field.before)),
        _ => format!("{}: {} → {}", field.path, side(&field.before), side(&field.after)),
    }
}
