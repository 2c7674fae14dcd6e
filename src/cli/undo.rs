//! `plumb undo`: a plan that restores what a run updated or deleted, and its execution.

use clap::{Args, builder::FalseyValueParser};

use super::{
    args::{Global, address},
    console::Console,
    execute::{Manner, check_question, execute},
    exit::Exit,
    options,
    output::{Output, PlanFormat},
    show,
};
use crate::{
    failure::Failure,
    pipeline::{self, Undo},
    plan::Mode,
};

/// Restore what a run updated or deleted, after a question
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb undo --dry-run                   what would restore what the last run changed
  plumb undo                             plan, ask, restore
  plumb undo 20261125-094500-123a4f --yes  another run, without the question
  plumb undo --target itglue/Password/happy-frog-admin

What cannot be restored, such as secrets, is told. The manifests stay as they are: take the change back there too, or the
next apply makes it again.

Exit codes: 0 done, 1 error or a failed action, 3 refused for safety, 130 interrupted.")]
pub struct UndoArgs {
    /// Id of the run, or how it begins [default: the last one that changed something]
    #[arg(value_name = "RUN")]
    pub run: Option<String>,

    /// Ask no question; required where there is no terminal
    #[arg(short = 'y', long)]
    pub yes: bool,

    /// Show the plan, and write nothing
    #[arg(long, env = "PLUMB_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: Output<PlanFormat>,

    /// Restore only this object; may be repeated
    #[arg(long, value_name = "ADDRESS", env = "PLUMB_TARGET")]
    pub target: Vec<String>,

    /// Go on with the objects that an error does not concern
    #[arg(long, env = "PLUMB_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub keep_going: bool,
}

/// Plans, asks, restores and reports.
pub(super) async fn run(global: &Global, args: &UndoArgs, console: &mut Console) -> Result<Exit, Failure> {
    for target in &args.target {
        address("--target", target)?;
    }
    if !args.dry_run {
        check_question(args.yes, console)?;
    }
    let mut options = options::base(global, console)?;
    options.keep_key = !args.dry_run;
    options.keep_going = args.keep_going;
    options.undo = Some(Undo { run: args.run.clone(), targets: args.target.clone() });
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Plan))).await?;
    if args.dry_run {
        show::diagnostics(&planned.diagnostics, &planned.sources, console);
        show::plan(&planned.document, &planned.notes, args.output.format, global, console)?;
        return Ok(if planned.has_errors() { Exit::Error } else { Exit::Done });
    }
    let manner = Manner { yes: args.yes, seen: false, question: "Restore all of this?", format: args.output.format };
    execute(planned, &options, manner, global, console).await
}
