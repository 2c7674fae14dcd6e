//! `plumb apis`: the described APIs and their kinds.

use anstyle::Style;
use clap::Args;
use serde_json::json;

use super::{
    args::Global,
    catalog::catalog,
    console::Console,
    exit::Exit,
    output::{Output, TextOrJson},
    prose::wrap,
};
use crate::{
    description::{Api, Kind},
    failure::Failure,
};

/// List the described APIs and their kinds
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb apis             the built-in APIs, and those that the manifests of this folder describe
  plumb apis -o json")]
pub struct ApisArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,
}

/// How names are marked.
const NAME: Style = Style::new().bold();

/// Lists the APIs.
pub(super) fn run(global: &Global, args: &ApisArgs, console: &mut Console) -> Result<Exit, Failure> {
    let catalog = catalog(global, console)?;
    match args.output.format {
        TextOrJson::Json => {
            let apis: Vec<_> = catalog.apis.values().map(|api| value(api)).collect();
            console.print_json(&apis)?;
        }
        TextOrJson::Text => {
            let width = console.width();
            let texts: Vec<String> = catalog.apis.values().map(|api| text(api, width)).collect();
            console.print(texts.join("\n"));
        }
    }
    Ok(Exit::Done)
}

/// What a kind is to manifests.
fn role(kind: &Kind) -> &'static str {
    if kind.inside().is_some() {
        "inside"
    } else if kind.spec.lookup {
        "lookup"
    } else {
        "declarable"
    }
}

fn value(api: &Api) -> serde_json::Value {
    json!({
        "name": api.name,
        "apiVersion": api.api_version(),
        "title": api.spec.title,
        "description": api.spec.description,
        "docs": api.spec.docs,
        "kinds": api.kinds.values().map(|kind| json!({
            "kind": kind.name,
            "role": role(kind),
            "description": kind.spec.description,
            "key": kind.spec.key,
            "inside": kind.inside().map(|inside| inside.parents.keys().collect::<Vec<_>>()),
        })).collect::<Vec<_>>(),
    })
}

fn text(api: &Api, width: usize) -> String {
    let title = api.spec.title.as_deref().unwrap_or_default();
    let mut out = format!("{NAME}{}{NAME:#}  {}  {title}\n", api.name, api.api_version());
    for (role_of, heading) in [("declarable", ""), ("inside", "inside others: "), ("lookup", "to refer to: ")] {
        let names: Vec<&str> =
            api.kinds.values().filter(|kind| role(kind) == role_of).map(|kind| kind.name.as_str()).collect();
        if !names.is_empty() {
            out.push_str(&wrap(&format!("{heading}{}", names.join(", ")), 2, width));
        }
    }
    out
}
