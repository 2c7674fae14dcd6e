//! `plumb validate`: syntax, schema, references and cycles, without a network call.

use clap::Args;
use serde_json::json;

use super::{
    args::Global,
    console::Console,
    exit::Exit,
    options,
    output::{Output, TextOrJson},
    show,
};
use crate::{diagnostic::Diagnostic, failure::Failure, pipeline, report};

/// Check manifests offline: syntax, schema, references, cycles
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb validate                    check the manifests of this folder
  kustomize build . | plumb validate -f -
  plumb validate -f stack/ -o json  the diagnostics, for an editor or a CI annotation

Exit codes: 0 no errors, 1 errors.")]
pub struct ValidateArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,
}

/// Checks manifests offline.
pub(super) fn run(global: &Global, args: &ValidateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let checked = pipeline::check(&options::base(global, console)?)?;
    let valid = !checked.diagnostics.iter().any(Diagnostic::is_error);
    show::diagnostics(&checked.diagnostics, &checked.sources, console);
    match args.output.format {
        TextOrJson::Json => console.print_json(&json!({
            "valid": valid,
            "diagnostics": report::to_documents(&checked.diagnostics, &checked.sources),
        }))?,
        TextOrJson::Text if valid => {
            console.print_line(format_args!("Valid: {}.", pipeline::counts(&checked.manifests)));
        }
        TextOrJson::Text => {}
    }
    Ok(if valid { Exit::Done } else { Exit::Error })
}
