//! One action → its fold of the page.

use maud::{Markup, html};

use super::prose;
use crate::{
    diff::ChangeOp,
    plan::{Action, ActionKind, Outcome},
    report::{
        change::{self, Body, Limits, Line, Tag, View},
        safe, words,
    },
};

/// How much of a value is shown.
const LIMITS: Limits = Limits { room: 2000, lines: 400 };

/// Draws an action: a summary line, then its notes, changes and calls.
pub(super) fn draw(action: &Action, number: usize, inside: bool, open: bool) -> Markup {
    let destroys = matches!(action.action, ActionKind::Delete | ActionKind::Replace);
    let place = if inside { " inside" } else { "" };
    html! {
        details class={ "action of-" (action.action.word()) (place) } id={ "a" (number) } open[open || destroys] {
            summary {
                span.sign { (format!("{:>3}", words::sign(action.action))) } " "
                span.verb { (word(action)) } " "
                code.address { (safe::line(&action.address)) } " "
                @if let Some(id) = &action.id { span.id { "id " (safe::line(id)) } " " }
                span.why { "(" (words::reason(action)) ")" }
                @if words::is_drift(action) { " " span.badge.drift { "drift" } }
                @if let Some(outcome) = action.outcome {
                    " " span class={ "badge " (words::outcome(outcome)) } { (words::outcome(outcome)) }
                }
            }
            div.body {
                @for note in &action.notes { p.note { (prose(&safe::line(note))) } }
                @if let Some(error) = &action.error { p.error { (prose(&safe::lines(error))) } }
                @if !action.changes.is_empty() {
                    dl {
                        @for change in &action.changes { (difference(&change::view(change, LIMITS))) }
                    }
                }
                @if !action.requests.is_empty() {
                    p.calls {
                        @for (number, request) in action.requests.iter().enumerate() {
                            @if number > 0 { ", " }
                            code { (words::request(request)) }
                        }
                        " by connection " code { (safe::line(&action.connection)) }
                    }
                }
            }
        }
    }
}

fn word(action: &Action) -> &'static str {
    match action.outcome {
        Some(Outcome::Done) => words::past(action.action),
        _ => action.action.word(),
    }
}

fn difference(view: &View) -> Markup {
    let wide = matches!(view.body, Body::Lines(_));
    html! {
        dt {
            span.sign { (change::sign(view.op)) } " " code { (view.path) }
            @if view.drift { " " span.badge.drift { "drift" } }
        }
        dd.wide[wide] {
            @match &view.body {
                Body::Hidden(words) => em { (words) },
                Body::One(value) => {
                    @if view.op == ChangeOp::Remove { del { code { (value) } } } @else { ins { code { (value) } } }
                },
                Body::Two(before, after) => {
                    del { code { (before) } } " → " ins { code { (after) } }
                },
                Body::Lines(lines) => {
                    pre.diff { @for line in lines { (row(line)) } }
                },
            }
        }
    }
}

fn row(line: &Line) -> Markup {
    let (class, sign) = match line.tag {
        Tag::Same => ("same", "  "),
        Tag::Added => ("added", "+ "),
        Tag::Removed => ("removed", "- "),
        Tag::Gap => ("gap", ""),
    };
    html! {
        span.(class) {
            (sign)
            @for (changed, text) in &line.parts {
                @match (*changed, line.tag) {
                    (true, Tag::Added) => ins { (text) },
                    (true, Tag::Removed) => del { (text) },
                    _ => (text),
                }
            }
        }
    }
}
