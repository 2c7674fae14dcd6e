//! Plans, drift and what came of an apply → text for people, readable without colour.

mod block;
mod outcome;

use std::fmt::Write;

use crate::plan::{Action, PlanDocument, PlanNotes};

use self::block::Blocks;
use super::{
    group, safe,
    style::{Ink, Style},
    words,
};

pub use outcome::outcome;

/// Draws a plan: a block an action, grouped by manifest, then what is owned and not declared, then the closing lines.
pub fn plan(document: &PlanDocument, notes: &PlanNotes, style: Style) -> String {
    let mut out = heading(document, style);
    let blocks = Blocks::new(&document.actions, "  (itself unchanged)", style);
    blocks.draw(&mut out, &document.actions);
    undeclared(&mut out, notes, style);
    if document.actions.is_empty() {
        out.push_str(nothing(document));
        out.push_str("\n\n");
    } else if document.summary.drifted > 0 {
        let drifted = words::plural(document.summary.drifted, "object");
        let _ = writeln!(out, "Drift: {drifted} changed behind plumb's back.\n");
    }
    let _ = writeln!(out, "{}", style.paint(Ink::Strong, &words::plan_line(&document.summary)));
    let _ = writeln!(out, "{}", words::calls_line(document, notes, style.verbose));
    out
}

/// Draws what changed behind plumb's back, and nothing else of the plan.
pub fn drift(document: &PlanDocument, style: Style) -> String {
    let drifted: Vec<&Action> = document.actions.iter().filter(|action| words::is_drift(action)).collect();
    if drifted.is_empty() {
        let unseen = document.diagnostics.iter().any(|told| told.code == "PL0527");
        let sentence = if has_errors(document) {
            "No drift in what could be observed; see the errors for the rest."
        } else if unseen {
            "No drift in what the APIs show; see the notes for the rest."
        } else {
            "No drift: everything that plumb wrote is as plumb left it."
        };
        return format!("{sentence}\n");
    }
    let mut out = heading(document, style);
    let blocks = Blocks::new(drifted.iter().copied(), "", style);
    blocks.draw(&mut out, drifted.iter().copied());
    let count = words::plural(drifted.len(), "object");
    let _ = writeln!(out, "Each line shows what is live now -> what plumb would restore.\n");
    let line = format!("Drift: {count} changed behind plumb's back.");
    let _ = writeln!(out, "{}", style.paint(Ink::Strong, &line));
    out
}

/// The sentence for a plan without an action, which does not say that all is well where something could not be planned.
fn nothing(document: &PlanDocument) -> &'static str {
    if has_errors(document) { words::NOTHING_BUT_ERRORS } else { words::NOTHING }
}

fn has_errors(document: &PlanDocument) -> bool {
    document.diagnostics.iter().any(words::is_error)
}

fn heading(document: &PlanDocument, style: Style) -> String {
    let mut line = format!("Stack `{}`", safe::line(&document.stack));
    if !document.observed_at.is_empty() {
        let _ = write!(line, ", observed {}", safe::line(&document.observed_at));
    }
    if let Some(revision) = &document.source.revision {
        let _ = write!(line, ", revision {}", safe::line(revision));
    }
    format!("{}\n\n", style.paint(Ink::Dim, &line))
}

fn undeclared(out: &mut String, notes: &PlanNotes, style: Style) {
    if notes.undeclared.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", words::UNDECLARED);
    let mut parent = None;
    for (address, why) in &notes.undeclared {
        let manifest = group::manifest(address);
        let indent = if parent == Some(manifest) && manifest != address { "      " } else { "    " };
        parent = Some(manifest);
        let why = style.paint(Ink::Dim, &format!("({})", safe::line(why)));
        let _ = writeln!(out, "{indent}{} {why}", safe::line(address));
    }
    out.push('\n');
}
