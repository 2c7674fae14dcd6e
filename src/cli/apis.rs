//! `plumb apis`: the described APIs and their kinds.

use clap::Args;

use super::output::{Output, TextOrJson};

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
