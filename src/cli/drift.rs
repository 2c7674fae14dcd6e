//! `plumb drift`: what changed behind plumb's back.

use clap::Args;

use super::{
    args::Selection,
    output::{Output, PlanFormat},
};

/// Report what changed behind plumb's back
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb drift              what somebody changed by hand
  plumb drift -o json      the drifted actions of the plan only
  plumb drift || notify    exit code 2 if anything drifted

Exit codes: 0 no drift, 1 error, 2 drift.")]
pub struct DriftArgs {
    #[command(flatten)]
    pub output: Output<PlanFormat>,

    #[command(flatten)]
    pub selection: Selection,
}
