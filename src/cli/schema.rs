//! `plumb schema`: JSON Schema of manifests, for editors.

use clap::Args;

/// Print the JSON Schema of manifests, for editors
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb schema > plumb.schema.json    every kind, chosen by apiVersion and kind
  plumb schema itglue.Password        one kind
  plumb schema plan                   the plan of `-o json`")]
pub struct SchemaArgs {
    /// Kind, with its API before it where several have it; `plan` for the plan as JSON
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
}
