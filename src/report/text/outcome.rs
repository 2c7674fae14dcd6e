//! What came of an apply → text: what was done, then what was not and why, then one closing line.

use std::fmt::Write;

use crate::plan::{Action, Outcome, PlanDocument, PlanNotes};

use super::super::{
    safe,
    style::{Ink, Style},
    words,
};

/// Draws what came of every action; failures stand last, next to the closing line.
pub fn outcome(document: &PlanDocument, notes: &PlanNotes, style: Style) -> String {
    let mut out = super::heading(document, style);
    let order = [Some(Outcome::Done), Some(Outcome::Waiting), None, Some(Outcome::Skipped), Some(Outcome::Failed)];
    for wanted in order {
        let mut any = false;
        for action in document.actions.iter().filter(|action| action.outcome == wanted) {
            draw(&mut out, action, style);
            any = true;
        }
        if any {
            out.push('\n');
        }
    }
    super::undeclared(&mut out, notes, style);
    if document.actions.is_empty() {
        out.push_str(super::nothing(document));
        out.push_str("\n\n");
    }
    let _ = writeln!(out, "{}", style.paint(Ink::Strong, &closing(document)));
    out
}

fn draw(out: &mut String, action: &Action, style: Style) {
    let (state, ink) = match action.outcome {
        Some(Outcome::Done) => ("done", Ink::Good),
        Some(Outcome::Failed) => ("failed", Ink::Bad),
        Some(Outcome::Skipped) => ("skipped", Ink::Warn),
        Some(Outcome::Waiting) => ("waiting", Ink::Warn),
        None => ("not tried", Ink::Warn),
    };
    let word = match action.outcome {
        Some(Outcome::Done) => words::past(action.action),
        _ => action.action.word(),
    };
    let head = format!("{:>3} {word:<9}", words::sign(action.action));
    let _ = write!(
        out,
        "{}  {}  {}",
        style.paint(ink, &format!("{state:<9}")),
        style.paint(Ink::Action(action.action), &head),
        style.paint(Ink::Strong, &safe::line(&action.address)),
    );
    if let Some(id) = &action.id {
        let _ = write!(out, "{}", style.paint(Ink::Dim, &format!("  id {}", safe::line(id))));
    }
    out.push('\n');
    if let Some(error) = &action.error {
        for line in safe::lines(error).lines() {
            let _ = writeln!(out, "{:26}{}", "", style.paint(ink, line));
        }
    }
    if style.verbose {
        for request in &action.requests {
            let call = format!("call: {}", words::request(request));
            let _ = writeln!(out, "{:26}{}", "", style.paint(Ink::Dim, &call));
        }
    }
}

fn closing(document: &PlanDocument) -> String {
    let mut done = [0_usize; words::IN_ORDER.len()];
    let (mut waiting, mut failed, mut skipped) = (0, 0, 0);
    for action in &document.actions {
        match action.outcome {
            Some(Outcome::Done) => {
                let places = words::IN_ORDER.iter().zip(&mut done);
                places.filter(|(kind, _)| **kind == action.action).for_each(|(_, count)| *count += 1);
            }
            Some(Outcome::Waiting) => waiting += 1,
            Some(Outcome::Failed) => failed += 1,
            Some(Outcome::Skipped) | None => skipped += 1,
        }
    }
    let parts: Vec<String> =
        words::IN_ORDER.iter().zip(done).map(|(kind, count)| format!("{count} {}", words::past(*kind))).collect();
    format!("Apply: {}, {waiting} waiting, {failed} failed, {skipped} skipped", parts.join(", "))
}
