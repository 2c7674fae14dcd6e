//! Plans, outcomes and diagnostics on a console, in the format that was asked for.

use super::{args::Global, console::Console, output::PlanFormat};
use crate::{
    diagnostic::{Diagnostic, Severity, Sources},
    failure::Failure,
    plan::{PlanDocument, PlanNotes},
    report::{self, Style},
};

/// Writes diagnostics as talk; of a quiet run, errors only.
pub(super) fn diagnostics(list: &[Diagnostic], sources: &Sources, console: &mut Console) {
    let list: Vec<Diagnostic> =
        list.iter().filter(|diagnostic| !console.is_quiet() || diagnostic.is_error()).cloned().collect();
    if list.is_empty() {
        return;
    }
    if console.logs_json() {
        for document in report::to_documents(&list, sources) {
            console.log_diagnostic(&document);
        }
        return;
    }
    let style = Style { color: console.is_talk_colored(), width: console.width(), verbose: false };
    let text = report::diagnostics(&list, sources, style);
    console.complain(&format!("{text}\n"));
    if list.iter().any(|diagnostic| diagnostic.severity > Severity::Note)
        && let Some(counts) = report::counts(&list)
    {
        console.complain(&format!("{counts}\n\n"));
    }
}

/// How results are dressed.
pub(super) fn style(global: &Global, console: &Console) -> Style {
    Style { color: console.is_colored(), width: console.width(), verbose: global.verbose > 0 }
}

/// Writes a plan as the result.
pub(super) fn plan(
    document: &PlanDocument,
    notes: &PlanNotes,
    format: PlanFormat,
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    let text = match format {
        PlanFormat::Text => report::text::plan(document, notes, style(global, console)),
        PlanFormat::Json => json(document)?,
        PlanFormat::Markdown => report::markdown::plan(document, notes, report::markdown::GITHUB_LIMIT),
        PlanFormat::Html => report::html::plan(document, notes),
    };
    console.print(text);
    Ok(())
}

/// Writes a plan as the comment of a pull request: the very text that an agent writes.
pub(super) fn comment(document: &PlanDocument, notes: &PlanNotes, values: bool, console: &mut Console) {
    let limit = report::markdown::GITHUB_LIMIT;
    let shown = report::markdown::Shown { limit, values, link: None, marker: Some(&document.stack) };
    console.print(report::markdown::comment(document, notes, &shown));
}

/// Writes what came of an apply as the result.
pub(super) fn outcome(
    document: &PlanDocument,
    notes: &PlanNotes,
    format: PlanFormat,
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    match format {
        PlanFormat::Text => {
            let text = report::text::outcome(document, notes, style(global, console));
            console.print(text);
            Ok(())
        }
        _ => plan(document, notes, format, global, console),
    }
}

/// A plan as JSON.
pub(super) fn json(document: &PlanDocument) -> Result<String, Failure> {
    report::json::plan(document)
        .map_err(|error| Failure::internal(format!("The plan cannot be written as JSON: {error}.")))
}
