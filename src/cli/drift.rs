//! `plumb drift`: what changed behind plumb's back.

use clap::Args;

use super::{
    args::{Global, Limits, Selection},
    console::Console,
    exit::Exit,
    options,
    output::{Output, PlanFormat},
    show,
};
use crate::{failure::Failure, pipeline, plan::Mode, report};

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

/// Reports drift.
pub(super) async fn run(global: &Global, args: &DriftArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::planning(global, &args.selection, &Limits::default(), console)?;
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Drift))).await?;
    show::diagnostics(&planned.diagnostics, &planned.sources, console);
    if args.output.format == PlanFormat::Text {
        let text = report::text::drift(&planned.document, show::style(global, console));
        console.print(text);
    } else {
        show::plan(&planned.document, &planned.notes, args.output.format, global, console)?;
    }
    Ok(if planned.has_errors() {
        Exit::Error
    } else if planned.document.actions.is_empty() {
        Exit::Done
    } else {
        Exit::Pending
    })
}
