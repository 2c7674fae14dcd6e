//! `plumb plan`: observe, diff, print.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint, builder::FalseyValueParser};

use super::{
    args::{Global, Limits, Selection},
    console::Console,
    exit::Exit,
    generate::write,
    options,
    output::{Output, PlanFormat},
    show,
};
use crate::{failure::Failure, pipeline, plan::Mode};

/// Show what would change
#[derive(Debug, Clone, Default, Args)]
#[command(
    visible_alias = "diff",
    after_help = "\
Examples:
  plumb plan -f stack/                  what would change
  plumb plan --detailed-exitcode        exit code 2 if anything would
  plumb plan --out plan.json            save it for `plumb apply plan.json`
  plumb plan -o markdown > comment.md   for a pull request
  plumb plan -l 'team=web,env in (prod,test)'
  plumb plan --target itglue/Organization/happy-frog

Exit codes: 0 planned, 1 error, 2 changes pending (with --detailed-exitcode)."
)]
pub struct PlanArgs {
    #[command(flatten)]
    pub output: Output<PlanFormat>,

    /// Save the plan to a file
    #[arg(long, value_name = "FILE", env = "PLUMB_OUT", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,

    /// What Markdown tells of changes: the names of fields, or their values as well
    #[arg(long, value_name = "DETAIL", env = "PLUMB_PLAN_DETAIL", default_value = "names")]
    pub plan_detail: PlanDetail,

    /// Exit with 2 if changes are pending
    #[arg(long, env = "PLUMB_DETAILED_EXITCODE", value_parser = FalseyValueParser::new())]
    pub detailed_exitcode: bool,

    #[command(flatten)]
    pub selection: Selection,

    #[command(flatten)]
    pub limits: Limits,
}

/// What a comment tells of changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanDetail {
    /// The names of fields
    #[default]
    Names,
    /// Their values as well
    Values,
}

/// Plans and prints.
pub(super) async fn run(global: &Global, args: &PlanArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut options = options::planning(global, &args.selection, &args.limits, console)?;
    options.keep_key = args.out.is_some();
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Plan))).await?;
    show::diagnostics(&planned.diagnostics, &planned.sources, console);
    if args.output.format == PlanFormat::Markdown {
        show::comment(&planned.document, &planned.notes, args.plan_detail == PlanDetail::Values, console);
    } else {
        show::plan(&planned.document, &planned.notes, args.output.format, global, console)?;
    }
    if let Some(path) = &args.out {
        write(path, &show::json(&planned.document)?)?;
        console.say(format_args!("Saved the plan to `{}`.", path.display()));
    }
    Ok(if planned.has_errors() {
        Exit::Error
    } else if args.detailed_exitcode && !planned.document.actions.is_empty() {
        Exit::Pending
    } else {
        Exit::Done
    })
}
