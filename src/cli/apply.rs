//! `plumb apply`: plan, confirm, execute, report.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{
    args::{Limits, Selection},
    output::{Output, PlanFormat},
};

/// Change what the plan says, after a question
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb apply -f stack/         plan, ask, apply
  plumb apply --yes             without the question, as in CI
  plumb apply plan.json         only if the plan is still what was saved; give the flags that it was made with
  plumb apply --prune --yes     delete as well what no manifest declares any more

Exit codes: 0 done, 1 error or a failed action, 3 refused for safety, 4 stale plan, 130 interrupted.")]
pub struct ApplyArgs {
    /// A plan saved by `plan --out`: it is planned again, and applied only if the digest is the same
    #[arg(value_name = "PLANFILE", value_hint = ValueHint::FilePath)]
    pub plan: Option<PathBuf>,

    /// Ask no question; required where there is no terminal
    #[arg(short = 'y', long)]
    pub yes: bool,

    #[command(flatten)]
    pub output: Output<PlanFormat>,

    #[command(flatten)]
    pub selection: Selection,

    #[command(flatten)]
    pub limits: Limits,
}
