//! `plumb unmanaged`: lists what is live in the kinds that the stack uses and in no manifest.

use clap::Args;
use serde_json::{Value, json};

use super::{
    args::Global,
    console::Console,
    exit::Exit,
    export::wanted,
    options,
    output::{Output, TextOrJson},
    prose::columns,
    show,
};
use crate::{
    diagnostic::Diagnostic,
    failure::Failure,
    pipeline::{self, Stray, Unmanaged},
    report::one_line,
};

/// List what is live in the kinds that the stack uses and in no manifest; nothing of it is touched
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  plumb unmanaged
  plumb unmanaged Organization 'Password/*admin*'
  plumb unmanaged -o json
  plumb export --unmanaged --to stack/new/     write manifests of it")]
pub struct UnmanagedArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,

    /// Kinds to look at, each with a pattern of names or without one; all that the stack uses where none is given
    #[arg(value_name = "KIND[/PATTERN]")]
    pub wanted: Vec<String>,
}

/// Lists what no manifest declares.
pub(super) async fn run(global: &Global, args: &UnmanagedArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::base(global, console)?;
    let asked = args.wanted.iter().map(|text| wanted(text)).collect::<Result<Vec<_>, _>>()?;
    let found = console.interrupt().or(Box::pin(pipeline::unmanaged(&options, &asked))).await?;
    show::diagnostics(&found.diagnostics, &found.sources, console);
    match args.output.format {
        TextOrJson::Json => console.print_json(&document(&found))?,
        TextOrJson::Text => {
            if !found.objects.is_empty() {
                let heads = ["CONNECTION", "KIND", "ID", "NAME", ""].map(str::to_owned).to_vec();
                let rows: Vec<Vec<String>> = std::iter::once(heads).chain(found.objects.iter().map(row)).collect();
                console.print(columns(&rows));
            }
            console.say(format_args!("{}", summary(&found)));
        }
    }
    let failed = found.diagnostics.iter().any(Diagnostic::is_error);
    Ok(if failed { Exit::Error } else { Exit::Done })
}

fn row(stray: &Stray) -> Vec<String> {
    let note = match (&stray.inside, &stray.owned, &stray.synced) {
        (Some(address), ..) => format!("inside {address}"),
        (None, Some(address), _) => format!("owned as {address}, whose manifest is gone"),
        (None, None, Some(by)) => format!("kept by {by}"),
        (None, None, None) => String::new(),
    };
    vec![
        stray.connection.clone(),
        stray.kind.clone(),
        one_line(&stray.id).into_owned(),
        one_line(&stray.key).into_owned(),
        note,
    ]
}

fn summary(found: &Unmanaged) -> String {
    let (objects, kinds) = (found.objects.len(), found.places.len());
    if kinds == 0 {
        return "The stack declares nothing of these kinds, so that nothing was looked at.".into();
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "{objects} object{} in no manifest, of {kinds} kind{} that the stack uses ({} requests).",
        plural(objects),
        plural(kinds),
        found.requests
    )
}

fn document(found: &Unmanaged) -> Value {
    let kinds: Vec<Value> =
        found.places.iter().map(|(connection, kind)| json!({ "connection": connection, "kind": kind })).collect();
    let objects: Vec<Value> = found
        .objects
        .iter()
        .map(|stray| {
            json!({
                "connection": stray.connection,
                "api": stray.api,
                "kind": stray.kind,
                "id": stray.id,
                "key": stray.key,
                "synced": stray.synced.is_some(),
                "owned": stray.owned,
                "inside": stray.inside,
            })
        })
        .collect();
    json!({ "stack": found.stack, "kinds": kinds, "objects": objects, "requests": found.requests })
}
