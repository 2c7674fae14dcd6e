//! `plumb doctor`: whether each connection is reachable, its key valid, the clock right, and what quota is left.

use clap::Args;

use super::output::{Output, TextOrJson};

/// Check each connection: reachable, key valid, clock, quota left
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb doctor -f stack/
  plumb doctor -o json

Exit codes: 0 all is well, 1 something is not.")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,
}
