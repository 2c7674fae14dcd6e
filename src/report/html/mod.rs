//! A plan → one HTML file that needs nothing else: no network, no script but a small one for filtering, which the
//! page's own policy names by its hash.

mod action;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::plan::{Action, PlanDocument, PlanNotes};

use super::{
    group::{self, Group},
    safe, words,
};

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Up to so many actions, all stand open.
const OPEN: usize = 40;

/// Draws a plan, or the report of an apply, as a page.
pub fn plan(document: &PlanDocument, notes: &PlanNotes) -> String {
    let applied = document.actions.iter().any(|action| action.outcome.is_some());
    let word = if applied { "Apply" } else { "Plan" };
    let stack = safe::line(&document.stack);
    let groups = group::by_manifest(&document.actions);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (word) " for " (stack) " · plumb" }
                style { (PreEscaped(CSS)) }
            }
            body {
                a.skip href="#actions" { "Skip to the actions" }
                header {
                    h1 { (word) " for " (stack) }
                    p.facts { (facts(document)) }
                    (counts(document))
                }
                div.columns {
                    (contents(&groups, document, notes))
                    main {
                        (diagnostics(document))
                        (actions(&groups, document))
                        (undeclared(notes))
                    }
                }
                footer {
                    p.closing { (words::plan_line(&document.summary)) }
                    p { (words::calls_line(document, notes, true)) }
                    @if !document.digest.is_empty() { p { "Digest " code { (safe::line(&document.digest)) } } }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Draws what a plan does and says, without a page around it, for a page that has this one's style.
pub fn fragment(document: &PlanDocument, notes: &PlanNotes) -> String {
    let groups = group::by_manifest(&document.actions);
    let page = html! {
        (counts(document))
        (diagnostics(document))
        (actions(&groups, document))
        (undeclared(notes))
    };
    page.into_string()
}

/// The style of plans.
pub const STYLE: &str = CSS;

/// Allows this page's own style and script, and nothing else.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(CSS),
        hash(SCRIPT)
    )
}

fn facts(document: &PlanDocument) -> Markup {
    html! {
        @if !document.observed_at.is_empty() { "Observed " time { (safe::line(&document.observed_at)) } }
        @if let Some(revision) = &document.source.revision { ", revision " code { (safe::line(revision)) } }
    }
}

fn counts(document: &PlanDocument) -> Markup {
    let summary = &document.summary;
    let card = |class: &str, sign: &str, count: usize, word: &str| {
        html! {
            li.(class).zero[count == 0] {
                span.number { (count) }
                span.sign aria-hidden="true" { (sign) } " " span.word { (word) }
            }
        }
    };
    html! {
        ul.counts aria-label="Summary" {
            @for kind in words::BY_DANGER {
                (card(kind.word(), words::sign(kind), words::count(summary, kind), kind.word()))
            }
            (card("unchanged", "=", summary.unchanged, "unchanged"))
            @if summary.drifted > 0 { (card("drifted", "!", summary.drifted, "drifted")) }
        }
    }
}

/// Every action by its kind, the most dangerous first.
fn contents(groups: &[Group<'_>], document: &PlanDocument, notes: &PlanNotes) -> Markup {
    let numbered: Vec<(usize, &Action)> = groups.iter().flat_map(Group::actions).enumerate().collect();
    html! {
        nav aria-label="Contents" {
            h2 { "Contents" }
            ul {
                @if !document.diagnostics.is_empty() {
                    li { a href="#diagnostics" { "Diagnostics (" (document.diagnostics.len()) ")" } }
                }
                @if !notes.undeclared.is_empty() {
                    li { a href="#undeclared" { "Owned and not declared (" (notes.undeclared.len()) ")" } }
                }
            }
            @for kind in words::BY_DANGER {
                @let list: Vec<_> = numbered.iter().filter(|(_, action)| action.action == kind).collect();
                @if !list.is_empty() {
                    h3.(kind.word()) { span.sign { (words::sign(kind)) } " " (kind.word()) " (" (list.len()) ")" }
                    ul {
                        @for (number, action) in list {
                            li { a href={ "#a" (number) } { code { (safe::line(&action.address)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn diagnostics(document: &PlanDocument) -> Markup {
    html! {
        @if !document.diagnostics.is_empty() {
            h2 id="diagnostics" { "Diagnostics" }
            ul.diagnostics {
                @for diagnostic in &document.diagnostics {
                    li {
                        span class={ "severity is-" (safe::line(&diagnostic.severity)) } {
                            (safe::line(&diagnostic.severity)) " " (safe::line(&diagnostic.code))
                        }
                        " " (prose(&safe::line(&diagnostic.message)))
                        @if let Some(place) = words::place(diagnostic) { " " code { (place) } }
                        @for hint in &diagnostic.hints { span.hint { "hint: " (prose(&safe::line(hint))) } }
                    }
                }
            }
        }
    }
}

fn actions(groups: &[Group<'_>], document: &PlanDocument) -> Markup {
    let few = document.actions.len() <= OPEN;
    let mut number = 0;
    html! {
        h2 id="actions" { "Actions" }
        @if groups.is_empty() {
            p.plain {
                @if document.diagnostics.iter().any(words::is_error) { (words::NOTHING_BUT_ERRORS) }
                @else { (words::NOTHING) }
            }
        } @else {
            div.tools hidden {
                input type="search" placeholder="Filter by address, kind or word" aria-label="Filter the actions";
                button type="button" { "Open all" }
                button type="button" { "Close all" }
            }
        }
        @for group in groups {
            section.group {
                @if group.own.is_empty() { p { code { (safe::line(group.manifest)) } " (itself unchanged)" } }
                @for (inside, action) in group.marked() {
                    (action::draw(action, number, inside, few))
                    ({ number += 1; "" })
                }
            }
        }
    }
}

fn undeclared(notes: &PlanNotes) -> Markup {
    html! {
        @if !notes.undeclared.is_empty() {
            h2 id="undeclared" { (words::UNDECLARED.trim_end_matches(':')) }
            ul.plain {
                @for (address, why) in &notes.undeclared {
                    li { code { (safe::line(address)) } " (" (safe::line(why)) ")" }
                }
            }
        }
    }
}

/// A sentence in which names stand between backticks: the names as code.
fn prose(text: &str) -> Markup {
    let even = text.matches('`').count().is_multiple_of(2);
    html! {
        @if even {
            @for (number, part) in text.split('`').enumerate() {
                @if number % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}
