//! What `apply` and `destroy` share: show the plan, ask, carry it out, report.

use super::{args::Global, console::Console, exit::Exit, output::PlanFormat, show};
use crate::{
    failure::Failure,
    pipeline::{self, Applied, Options, Planned},
    report,
};

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    /// No question is asked.
    pub(super) yes: bool,
    /// The plan was seen already, so that it is not shown again.
    pub(super) seen: bool,
    /// The question.
    pub(super) question: &'a str,
    /// How the report is printed.
    pub(super) format: PlanFormat,
}

/// Refuses before anything is done where nobody is there to be asked.
pub(super) fn check_question(yes: bool, console: &Console) -> Result<(), Failure> {
    if yes || console.is_interactive() {
        return Ok(());
    }
    Err(Failure::user("There is no terminal to ask whether to go on.")
        .hint("Read the plan with `plumb plan`, then repeat this command with `--yes`."))
}

/// Shows a plan, asks, carries it out and reports.
pub(super) async fn execute(
    mut planned: Planned,
    options: &Options,
    manner: Manner<'_>,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    show::diagnostics(&planned.diagnostics, &planned.sources, console);
    let nothing = planned.document.actions.is_empty();
    let text = manner.format == PlanFormat::Text;
    if text && (nothing || !manner.seen) {
        show::plan(&planned.document, &planned.notes, PlanFormat::Text, global, console)?;
        if !nothing {
            console.print("\n");
        }
    } else if !text && !manner.yes && !nothing {
        let style = report::Style { color: console.is_talk_colored(), ..show::style(global, console) };
        console.tell(report::text::plan(&planned.document, &planned.notes, style));
    }
    if let Err(failure) = planned.barrier(options) {
        if !text {
            show::outcome(&planned.document.stopped(), &planned.notes, manner.format, global, console)?;
        }
        return Err(failure);
    }
    if !manner.yes && !nothing && !console.confirm(manner.question).await? {
        return Err(Failure::user("Nothing was written, because the answer was not `yes`."));
    }
    if !manner.yes {
        planned.was_read();
    }
    let applied = carry_out(planned, options, console).await?;
    report(&applied, nothing, manner.format, global, console)
}

/// Carries a plan out. The first interruption lets the calls in flight come to an end, the second does not wait.
async fn carry_out(planned: Planned, options: &Options, console: &mut Console) -> Result<Applied, Failure> {
    let interrupt = console.interrupt();
    let mut run = Box::pin(pipeline::apply(planned, options));
    tokio::select! {
        biased;
        result = &mut run => return result,
        () = interrupt.raised(1) => {}
    }
    options.progress.event(&crate::progress::ProgressEvent::Finished);
    console.tell("Interrupted: waiting for the calls in flight, to record them. Interrupt again to leave at once.");
    tokio::select! {
        biased;
        result = &mut run => result,
        () = interrupt.raised(2) => Err(Failure::interrupted("Left before every call in flight was recorded.")
            .hint("The inventory knows what was begun: the next run looks what became of it.")),
    }
}

fn report(
    applied: &Applied,
    nothing: bool,
    format: PlanFormat,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if !nothing || format != PlanFormat::Text {
        show::outcome(&applied.document, &applied.notes, format, global, console)?;
    }
    if applied.interrupted {
        return Err(Failure::interrupted("Interrupted; every call that was made is recorded.")
            .hint("The next run goes on from there."));
    }
    let errors = applied.diagnostics.iter().any(crate::diagnostic::Diagnostic::is_error);
    Ok(if applied.failed || errors { Exit::Error } else { Exit::Done })
}
