//! `plumb validate`: syntax, schema, references and cycles, without a network call.

use clap::Args;

use super::output::{Output, TextOrJson};

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
