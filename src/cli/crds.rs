//! `plumb crds`: the `CustomResourceDefinitions` of the described kinds.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{args::Global, catalog::catalog, console::Console, exit::Exit, generate};
use crate::{apis, description::crd::Crd, diagnostic::nearest, failure::Failure, operator::crds};

/// Print the custom resource definitions of the described kinds
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb crds | kubectl apply --server-side -f -      all of them
  plumb crds plumb itglue                            plumb's own kinds and those of one API
  plumb crds -f api.yaml                             those of an API that a manifest describes
  plumb crds --to crds                               a file each")]
pub struct CrdsArgs {
    /// APIs, and `plumb` for plumb's own kinds; with `-f`, all that the manifests describe [default: all]
    #[arg(value_name = "API")]
    pub apis: Vec<String>,

    /// Folder to write a file each to
    #[arg(long, value_name = "DIR", env = "PLUMB_TO", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
}

/// Prints definitions.
pub(super) fn run(global: &Global, args: &CrdsArgs, console: &mut Console) -> Result<Exit, Failure> {
    let found = chosen(global, args, console)?;
    for (index, crd) in found.iter().enumerate() {
        let text = crds::yaml(crd)?;
        if let Some(folder) = &args.to {
            generate::write(&folder.join(crds::file(crd)), &text)?;
        } else {
            console.print(if index == 0 { "" } else { "---\n" });
            console.print(&text);
        }
    }
    Ok(Exit::Done)
}

fn chosen(global: &Global, args: &CrdsArgs, console: &mut Console) -> Result<Vec<Crd>, Failure> {
    let builtin = apis::builtin();
    if global.file.is_empty() && args.apis.is_empty() {
        return Ok(crds::all(builtin));
    }
    let catalog = if global.file.is_empty() { builtin.clone() } else { catalog(global, console)? };
    if args.apis.is_empty() {
        let described: Vec<Crd> = catalog
            .apis
            .values()
            .filter(|api| builtin.api(&api.name).is_none_or(|known| !std::sync::Arc::ptr_eq(known, api)))
            .flat_map(|api| crds::of_api(api))
            .collect();
        if described.is_empty() {
            return Err(Failure::user("No manifest describes an API.")
                .hint("`plumb crds` without `-f` prints the definitions of the built-in APIs."));
        }
        return Ok(described);
    }
    let mut out = Vec::new();
    for name in &args.apis {
        if name == "plumb" {
            out.extend(crds::core());
            continue;
        }
        let Some(api) = catalog.api(name) else {
            let mut failure = Failure::user(format!("No API is called `{name}`."));
            if let Some(near) = nearest(name, catalog.apis.keys().map(String::as_str)) {
                failure = failure.hint(format!("Did you mean `{near}`?"));
            }
            return Err(failure);
        };
        out.extend(crds::of_api(api));
    }
    Ok(out)
}
