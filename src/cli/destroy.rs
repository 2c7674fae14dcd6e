//! `plumb destroy`: a plan that deletes what the stack owns, and its execution.

use clap::{Args, builder::FalseyValueParser};

use super::{
    args::{DeleteLimit, Global, Selection},
    console::Console,
    execute::{Manner, check_question, execute},
    exit::Exit,
    options,
    output::{Output, PlanFormat},
};
use crate::{failure::Failure, pipeline, plan::Mode};

/// Delete what the stack owns, after a question
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb destroy                      plan the deletions, ask, delete
  plumb destroy --max-deletes 100%   more than 10 objects, or than 30 % of a kind
  plumb destroy --target itglue/Password/happy-frog-admin

What was adopted, contains others, or is protected stays, and is listed.

Exit codes: 0 done, 1 error or a failed action, 3 refused for safety, 130 interrupted.")]
pub struct DestroyArgs {
    /// Ask no question; required where there is no terminal
    #[arg(short = 'y', long)]
    pub yes: bool,

    #[command(flatten)]
    pub output: Output<PlanFormat>,

    #[command(flatten)]
    pub selection: Selection,

    #[command(flatten)]
    pub deletes: DeleteLimit,

    /// Go on with the objects that an error does not concern
    #[arg(long, env = "PLUMB_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub keep_going: bool,
}

/// Plans the deletions, asks, and carries them out.
pub(super) async fn run(global: &Global, args: &DestroyArgs, console: &mut Console) -> Result<Exit, Failure> {
    check_question(args.yes, console)?;
    let mut options = options::destroying(global, &args.selection, &args.deletes, args.keep_going, console)?;
    options.keep_key = true;
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Destroy))).await?;
    let question = "Delete all of this?";
    let manner = Manner { yes: args.yes, seen: false, question, format: args.output.format };
    execute(planned, &options, manner, global, console).await
}
