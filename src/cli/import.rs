//! `plumb import`: records that manifests own live objects, without writing anything to the API.

use clap::Args;

use super::{
    args::{Global, address},
    console::Console,
    exit::Exit,
    options,
    prose::columns,
    show,
};
use crate::{
    diagnostic::{Diagnostic, nearest},
    export::matches,
    failure::Failure,
    pipeline::{self, Options, Rebuilt},
};

/// How many addresses a list names before it says how many there are besides.
const LISTED: usize = 10;

/// Record that manifests own live objects, without changing them
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb import                                            all that the manifests declare and is live
  plumb import 'itglue/Location/happy-*'                  those that match
  plumb import itglue/Organization/happy-frog             one, found by its natural key
  plumb import itglue/Organization/happy-frog 1234        one, by its id
  plumb import itglue/Organization/happy-frog 'key:Happy Frog'

Objects are found by natural key or by `plumb.dev/external-id`. The next plan shows what differs. A sensitive value counts
as applied, without being written.")]
pub struct ImportArgs {
    /// Address of a manifest, or a pattern of addresses with `*` and `?`; all manifests where there is none
    #[arg(value_name = "ADDRESS")]
    pub address: Option<String>,

    /// Id of the live object, or its natural key: `33`, `id:33` or `key:Happy Frog/Email`
    #[arg(value_name = "ID|KEY", requires = "address")]
    pub object: Option<String>,
}

/// Records the ownership.
pub(super) async fn run(global: &Global, args: &ImportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::base(global, console)?;
    match (&args.address, &args.object) {
        (Some(text), Some(object)) => one(&options, text, object, console).await,
        (wanted, _) => many(&options, wanted.as_deref(), console).await,
    }
}

async fn one(options: &Options, text: &str, object: &str, console: &mut Console) -> Result<Exit, Failure> {
    address("ADDRESS", text)?;
    let object = object.strip_prefix("id:").or_else(|| object.strip_prefix("key:")).unwrap_or(object);
    let adopted = console.interrupt().or(Box::pin(pipeline::import(options, text, object))).await?;
    console.print_line(format_args!("Imported `{}`: it owns the live object `{}`.", adopted.address, adopted.id));
    Ok(Exit::Done)
}

async fn many(options: &Options, wanted: Option<&str>, console: &mut Console) -> Result<Exit, Failure> {
    let pattern = wanted.unwrap_or("*");
    if !pattern.contains(['*', '?']) {
        address("ADDRESS", pattern)?;
    }
    // Entries come along with their manifests.
    let is_wanted = |address: &str| {
        matches(pattern, address) || address.split_once('#').is_some_and(|(manifest, _)| matches(pattern, manifest))
    };
    let rebuilding = pipeline::Rebuilding { wanted: &is_wanted, as_created: &|_| false, without_secrets: false };
    let rebuilt = console.interrupt().or(Box::pin(pipeline::rebuild(options, &rebuilding))).await?;
    show::diagnostics(&rebuilt.diagnostics, &rebuilt.sources, console);
    if !pattern.contains(['*', '?']) && !rebuilt.declared.iter().any(|address| is_wanted(address)) {
        let failure = Failure::user(format!("No manifest declares `{pattern}`."));
        return Err(match nearest(pattern, rebuilt.declared.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("Did you mean `{near}`?")),
            None => failure,
        });
    }
    let rows: Vec<Vec<String>> = rebuilt
        .recorded
        .iter()
        .map(|found| vec![format!("imported `{}`", found.address), format!("id {}", found.id)])
        .collect();
    console.print(columns(&rows));
    tell(&rebuilt, wanted, console);
    let failed = rebuilt.diagnostics.iter().any(Diagnostic::is_error) || !rebuilt.unknown.is_empty();
    Ok(if failed { Exit::Error } else { Exit::Done })
}

/// Says what was not imported.
fn tell(rebuilt: &Rebuilt, wanted: Option<&str>, console: &mut Console) {
    if rebuilt.recorded.is_empty() {
        let of = wanted.map(|wanted| format!(" of `{wanted}`")).unwrap_or_default();
        console.say(format_args!("Nothing{of} that the manifests declare was found live and not yet owned."));
    }
    if !rebuilt.unknown.is_empty() {
        console.say(format_args!("Not imported, because a secret is not known: {}.", listed(&rebuilt.unknown)));
    }
    if !rebuilt.absent.is_empty() {
        console.say(format_args!("Not live, so that an apply would make it: {}.", listed(&rebuilt.absent)));
    }
}

/// Addresses in a sentence, and how many there are besides.
fn listed(addresses: &[String]) -> String {
    let names: Vec<String> = addresses.iter().take(LISTED).map(|address| format!("`{address}`")).collect();
    match addresses.len().checked_sub(LISTED).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", names.join(", ")),
        None => names.join(", "),
    }
}
