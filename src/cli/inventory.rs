//! `plumb inventory`: what the stack owns, and mending the record of it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    args::Global,
    console::Console,
    exit::Exit,
    options,
    output::{Output, TextOrJson},
    prose::columns,
    show,
};
use crate::{
    diagnostic::{Diagnostic, nearest},
    failure::Failure,
    inventory::{IntentVerb, Inventory, InventoryError, Location, Record, State},
    manifest::DeletionPolicy,
    pipeline::{self, Options},
    plan::Mode,
    value::{is_empty, secret_hash, text, value_from},
};

/// Look into the ownership record, and mend it
#[derive(Debug, Clone, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  plumb inventory list
  plumb inventory show itglue/Organization/happy-frog
  plumb inventory rebuild                 after the record was lost: find what the manifests declare by natural key
  plumb --inventory s3://bucket/stack inventory unlock"
)]
pub struct InventoryArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,

    /// What to do with it.
    #[command(subcommand)]
    pub verb: InventoryVerb,
}

/// What to do with the ownership record.
#[derive(Debug, Clone, Subcommand)]
pub enum InventoryVerb {
    /// List the owned objects
    List,
    /// Show what is recorded of one object
    Show {
        /// Address of the object
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Find what the manifests declare by natural key, and record it as owned
    Rebuild {
        /// Record the objects as created by plumb rather than adopted: they may be deleted again
        #[arg(long)]
        as_created: bool,
    },
    /// Break the lease of a writer that died
    Unlock,
}

/// Looks into the record, or mends it.
pub(super) async fn run(global: &Global, args: &InventoryArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::base(global, console)?;
    let format = args.output.format;
    match &args.verb {
        InventoryVerb::List => list(&options, format, console).await,
        InventoryVerb::Show { address } => show_one(&options, address, format, console).await,
        InventoryVerb::Rebuild { as_created } => rebuild(&options, *as_created, format, console).await,
        InventoryVerb::Unlock => unlock(&options, console).await,
    }
}

/// Where the stack's record is, and the stack's name.
fn place(options: &Options, console: &mut Console) -> Result<(Location, String), Failure> {
    let loaded = pipeline::load(options)?;
    let mut diagnostics = loaded.snapshot.diagnostics.clone();
    diagnostics.extend(loaded.manifests.diagnostics.iter().cloned());
    // A stack that cannot be read may be another one.
    diagnostics.retain(Diagnostic::is_error);
    show::diagnostics(&diagnostics, &loaded.snapshot.sources, console);
    Ok((loaded.location(options)?, loaded.manifests.stack.name))
}

fn failure(error: &InventoryError) -> Failure {
    let told = error.diagnostic();
    let failure = if error.is_conflict() { Failure::conflict(told.message) } else { Failure::config(told.message) };
    told.hints.into_iter().fold(failure, Failure::hint)
}

async fn state(options: &Options, console: &mut Console) -> Result<(State, Location, String), Failure> {
    let (inventory, stack) = opened(options, console).await?;
    let state = inventory.state().clone();
    Ok((state, inventory.location().clone(), stack))
}

/// The stack's inventory, without a lock, and the stack's name.
pub(super) async fn opened(options: &Options, console: &mut Console) -> Result<(Inventory, String), Failure> {
    let (location, stack) = place(options, console)?;
    let inventory = Inventory::open(&location, &stack).await.map_err(|error| failure(&error))?;
    Ok((inventory, stack))
}

async fn list(options: &Options, format: TextOrJson, console: &mut Console) -> Result<Exit, Failure> {
    let (state, location, stack) = state(options, console).await?;
    if format == TextOrJson::Json {
        let objects: Vec<Value> = state.objects.iter().map(|(address, record)| value(address, record)).collect();
        console.print_json(&json!({
            "stack": stack,
            "location": location.to_string(),
            "serial": state.serial,
            "objects": objects,
            "pending": state.intents.values().map(|intent| &intent.address).collect::<Vec<_>>(),
            "deleting": state.tombstones.keys().collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Done);
    }
    if state.objects.is_empty() {
        console.say(format_args!("The stack `{stack}` owns nothing; its inventory is at {location}."));
    } else {
        let mut rows = vec![["ADDRESS", "CONNECTION", "ID", "OWNED", "POLICY"].map(str::to_owned).to_vec()];
        rows.extend(state.objects.iter().map(|(address, record)| row(address, record)));
        console.print(columns(&rows));
    }
    for intent in state.intents.values() {
        console.say(format_args!("Begun and not ended: {} of `{}`, {}.", verb(intent.verb), intent.address, intent.at));
    }
    for address in state.tombstones.keys() {
        console.say(format_args!("Being deleted by the API: `{address}`."));
    }
    Ok(Exit::Done)
}

fn verb(verb: IntentVerb) -> &'static str {
    match verb {
        IntentVerb::Create => "create",
        IntentVerb::Update => "update",
        IntentVerb::Delete => "delete",
    }
}

fn row(address: &str, record: &Record) -> Vec<String> {
    let mut policy: Vec<&str> = record.deletion_policy.map(policy).into_iter().collect();
    if record.protect {
        policy.push("protected");
    }
    let owned = if record.adopted { "adopted" } else { "created" };
    vec![address.to_owned(), record.connection.clone(), record.id.clone(), owned.to_owned(), policy.join(", ")]
}

fn policy(policy: DeletionPolicy) -> &'static str {
    match policy {
        DeletionPolicy::Delete => "delete",
        DeletionPolicy::Retain => "retain",
        DeletionPolicy::Archive => "archive",
    }
}

/// A record as JSON, without the hashes of sensitive values.
fn value(address: &str, record: &Record) -> Value {
    let mut value = json!({ "address": address });
    if let (Value::Object(out), Value::Object(fields)) = (&mut value, json!(record)) {
        out.extend(fields.into_iter().map(|(name, field)| (name, shown(&field))));
    }
    value
}

/// A value without the hashes of sensitive ones.
pub(super) fn shown(value: &Value) -> Value {
    if secret_hash(value).is_some() || value_from(value).is_some() {
        return json!({ "sensitive": true });
    }
    match value {
        Value::Object(map) => map.iter().map(|(name, member)| (name.clone(), shown(member))).collect(),
        Value::Array(items) => items.iter().map(shown).collect(),
        other => other.clone(),
    }
}

async fn show_one(
    options: &Options,
    address: &str,
    format: TextOrJson,
    console: &mut Console,
) -> Result<Exit, Failure> {
    super::args::address("ADDRESS", address)?;
    let (state, location, _) = state(options, console).await?;
    let Some(record) = state.objects.get(address) else {
        let failure = Failure::user(format!("The inventory at {location} has no `{address}`."));
        return Err(match nearest(address, state.objects.keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("Did you mean `{near}`?")),
            None => failure.hint("`plumb inventory list` lists what it has."),
        });
    };
    let value = value(address, record);
    if format == TextOrJson::Json {
        console.print_json(&value)?;
        return Ok(Exit::Done);
    }
    let mut rows = Vec::new();
    for (name, field) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != "applied") {
        let text = text(field).unwrap_or_else(|| if is_empty(field) { String::new() } else { field.to_string() });
        if !text.is_empty() {
            rows.push(vec![format!("{name}:"), text]);
        }
    }
    console.print(columns(&rows));
    console.print_line("applied:");
    let applied = value.get("applied").and_then(Value::as_object);
    let applied: Vec<Vec<String>> = applied
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let sensitive = field.get("sensitive").is_some();
            vec![format!("  {name}:"), if sensitive { "(sensitive)".to_owned() } else { field.to_string() }]
        })
        .collect();
    console.print(columns(&applied));
    Ok(Exit::Done)
}

async fn rebuild(
    options: &Options,
    as_created: bool,
    format: TextOrJson,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let rebuilding = pipeline::Rebuilding { wanted: &|_| true, as_created: &|_| as_created, without_secrets: false };
    let rebuilt = console.interrupt().or(Box::pin(pipeline::rebuild(options, &rebuilding))).await?;
    show::diagnostics(&rebuilt.diagnostics, &rebuilt.sources, console);
    let wrong = rebuilt.diagnostics.iter().any(Diagnostic::is_error);
    // Where nothing is left to do, the record is what it was.
    let left = if wrong {
        None
    } else {
        let planned = console.interrupt().or(Box::pin(pipeline::plan(options, Mode::Plan))).await?;
        Some(planned.document.actions.len())
    };
    match format {
        TextOrJson::Json => {
            let list: Vec<Value> =
                rebuilt.recorded.iter().map(|found| json!({ "address": found.address, "id": found.id })).collect();
            console.print_json(&json!({ "recorded": list, "asCreated": as_created, "actionsLeft": left }))?;
        }
        TextOrJson::Text => {
            let rows: Vec<Vec<String>> = rebuilt
                .recorded
                .iter()
                .map(|found| vec![format!("recorded `{}`", found.address), format!("id {}", found.id)])
                .collect();
            console.print(columns(&rows));
            if rows.is_empty() {
                console.say("Nothing that the manifests declare was found live and not yet owned.");
            }
        }
    }
    match left {
        None => console.say("Mend the errors and try again: the record may lack what they concern."),
        Some(0) => console.say("The plan is empty: the record is whole."),
        Some(left) => {
            let plural = if left == 1 { "" } else { "s" };
            console.say(format_args!(
                "The plan has {left} action{plural}; `plumb plan` shows what differs, or is not live any more."
            ));
        }
    }
    Ok(if wrong { Exit::Error } else { Exit::Done })
}

async fn unlock(options: &Options, console: &mut Console) -> Result<Exit, Failure> {
    let (location, stack) = place(options, console)?;
    match Inventory::break_lock(&location, &stack).await.map_err(|error| failure(&error))? {
        Some(holder) => console.print_line(format_args!("Broke the lock of {holder}.")),
        None => console.print_line(format_args!("The inventory at {location} is not locked.")),
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_shown_without_the_hashes_of_their_secrets() {
        let record = Record {
            id: "7".into(),
            applied: serde_json::from_value(json!({"name": "a", "password": {"$secret": "abc"}})).unwrap(),
            ..Record::default()
        };
        let value = value("itglue/Password/a", &record);
        assert_eq!(value["applied"], json!({"name": "a", "password": {"sensitive": true}}));
        assert!(!value.to_string().contains("abc"));
    }
}
