//! `plumb apply`: plan, confirm, execute, report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use super::{
    args::{Global, Limits, Selection},
    console::Console,
    execute::{Manner, check_question, execute},
    exit::Exit,
    options,
    output::{Output, PlanFormat},
};
use crate::{
    failure::Failure,
    pipeline,
    plan::{Mode, PlanDocument},
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

/// How many differences between a saved plan and the present one are told.
const TOLD: usize = 5;

/// Plans, asks, carries out and reports. A saved plan is its own yes: it says exactly what is meant.
pub(super) async fn run(global: &Global, args: &ApplyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let saved = args.plan.as_deref().map(read).transpose()?;
    let yes = args.yes || saved.is_some();
    check_question(yes, console)?;
    let mut options = options::planning(global, &args.selection, &args.limits, console)?;
    options.keep_key = true;
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Plan))).await?;
    if let Some(saved) = &saved
        && saved.digest != planned.digest()
    {
        return Err(stale(saved, &planned.document));
    }
    let manner = Manner { yes, seen: saved.is_some(), question: "Apply this?", format: args.output.format };
    execute(planned, &options, manner, global, console).await
}

/// Reads a saved plan.
fn read(path: &Path) -> Result<PlanDocument, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::user(format!("The plan `{}` cannot be read: {error}.", path.display())))?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, path: &str) -> Result<PlanDocument, Failure> {
    PlanDocument::from_saved(text).map_err(|why| {
        Failure::user(format!("`{path}` is no saved plan: {why}.")).hint("`plumb plan --out FILE` saves one.")
    })
}

/// Says how what would be done now differs from what was saved.
fn stale(saved: &PlanDocument, now: &PlanDocument) -> Failure {
    let mut failure = Failure::stale("The saved plan is stale: it is not what would be done now. Nothing was written.");
    let moved = now.moved_since(saved);
    let more = moved.len().saturating_sub(TOLD);
    for what in moved.into_iter().take(TOLD) {
        failure = failure.hint(what);
    }
    if more > 0 {
        failure = failure.hint(format!("and {more} more differences"));
    }
    failure.hint("Plan again with `--out`, review, and give `apply` the flags that `plan` had.")
}
