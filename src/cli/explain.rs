//! `plumb explain`: what can be declared of a kind or a field.

use std::fmt::Write as _;

use anstyle::Style;
use clap::Args;

use super::{
    args::Global,
    catalog::{catalog_with, core, find, listed},
    console::Console,
    exit::Exit,
    output::{Output, TextOrJson},
    prose::wrap,
};
use crate::{
    description::{self, Explained, Explanation, NoField},
    failure::Failure,
    manifest::core_kind,
};

/// Explain a kind or a field: what can be declared
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb explain itglue.Password          a kind and its fields
  plumb explain Password.organization    a field
  plumb explain Connection.auth          plumb's own kinds
  plumb explain Server -f api.yaml       a kind that a manifest describes")]
pub struct ExplainArgs {
    /// Kind, with its API before it where several have it, and a field after it: `[API.]KIND[.FIELD]`
    #[arg(value_name = "KIND[.FIELD]")]
    pub subject: String,

    #[command(flatten)]
    pub output: Output<TextOrJson>,
}

/// How names are marked.
const NAME: Style = Style::new().bold();

/// Prints what there is to know of a kind or a field.
pub(super) fn run(global: &Global, args: &ExplainArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (first, path) =
        args.subject.split_once('.').map_or((args.subject.as_str(), None), |(kind, path)| (kind, Some(path)));
    if let Some((kind, (description, fields))) = core(first).and_then(|kind| Some((kind, core_kind(kind)?))) {
        let path: Vec<&str> = path.into_iter().flat_map(|path| path.split('.')).collect();
        let explanation = description::explain_core(kind, description, &fields, &path);
        return print(&explanation.map_err(|error| no_field(&error))?, args, console);
    }
    let catalog = catalog_with(&args.subject, global, console)?;
    let subject = find(&catalog, &args.subject)?;
    let explanation = description::explain(subject.api, subject.kind, &subject.path);
    print(&explanation.map_err(|error| no_field(&error))?, args, console)
}

fn print(explanation: &Explanation, args: &ExplainArgs, console: &mut Console) -> Result<Exit, Failure> {
    match args.output.format {
        TextOrJson::Json => console.print_json(explanation)?,
        TextOrJson::Text => console.print(text(explanation, console.width())),
    }
    Ok(Exit::Done)
}

fn no_field(error: &NoField) -> Failure {
    let failure = Failure::user(format!("{error}."));
    match &error.nearest {
        Some(near) => failure.hint(format!("Did you mean `{near}`?")),
        None if error.known.is_empty() => failure,
        None => failure.hint(format!("Its fields are {}.", listed(error.known.iter().map(String::as_str)))),
    }
}

fn text(explanation: &Explanation, width: usize) -> String {
    let mut out = format!("{NAME}{}{NAME:#}\n", explanation.title);
    if let Some(description) = &explanation.description {
        out.push('\n');
        out.push_str(&wrap(description, 0, width));
    }
    if !explanation.facts.is_empty() || explanation.docs.is_some() {
        out.push('\n');
    }
    for (name, fact) in &explanation.facts {
        let line = if name.is_empty() { fact.clone() } else { format!("{name}: {fact}") };
        out.push_str(&wrap(&line, 0, width));
    }
    if let Some(docs) = &explanation.docs {
        out.push_str(&wrap(&format!("Vendor's reference: {docs}"), 0, width));
    }
    if !explanation.fields.is_empty() {
        out.push_str("\nFields:\n");
        fields(&mut out, &explanation.fields, 2, width);
    }
    out
}

fn fields(out: &mut String, list: &[Explained], indent: usize, width: usize) {
    for field in list {
        let required = if field.required { ", required" } else { "" };
        let margin = " ".repeat(indent);
        let _ = writeln!(out, "{margin}{NAME}{}{NAME:#}  ({}{required})", field.name, field.ty);
        let notes: Vec<&str> =
            field.notes.iter().map(String::as_str).filter(|note| *note != "needed to create").collect();
        let mut words = field.description.clone().unwrap_or_default();
        if !notes.is_empty() {
            words = format!("{words} [{}]", notes.join("; "));
        }
        out.push_str(&wrap(&words, indent + 4, width));
        if let Some((kind, parents)) = &field.entries
            && *parents > 1
        {
            out.push_str(&wrap(&format!("See `plumb explain {kind}`."), indent + 4, width));
        } else {
            fields(out, &field.fields, indent + 4, width);
        }
    }
}
