//! `plumb explain`: what can be declared of a kind or a field.

use clap::Args;

use super::output::{Output, TextOrJson};

/// Explain a kind or a field: what can be declared
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb explain itglue.Password          a kind and its fields
  plumb explain Password.organization    a field
  plumb explain Organization             where several APIs have it, the candidates")]
pub struct ExplainArgs {
    /// Kind, with its API before it where several have it, and a field after it: `[API.]KIND[.FIELD]`
    #[arg(value_name = "KIND[.FIELD]")]
    pub subject: String,

    #[command(flatten)]
    pub output: Output<TextOrJson>,
}
