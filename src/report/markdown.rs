//! A plan → Markdown for the comment of a pull request, at most so many characters long.
//!
//! Whatever a user or an API wrote stands within code spans, `<code>` elements or fenced blocks whose fence is longer
//! than any run of backticks in it, so that it can neither close a block nor mention anybody.

use std::fmt::Write;

use crate::{
    diff::ChangeOp,
    plan::{Action, ActionKind, Outcome, PlanDocument, PlanNotes},
};

use super::{
    change::{self, Body, Limits, Tag},
    group::{self, Group},
    safe, words,
};

/// What GitHub allows in a comment, in characters.
pub const GITHUB_LIMIT: usize = 65_536;

/// Characters kept for the closing lines.
const RESERVE: usize = 700;

/// How much of a value is shown.
const LIMITS: Limits = Limits { room: 300, lines: 60 };

/// How a plan is shown to the readers of a pull request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown<'s> {
    /// Characters at most.
    pub limit: usize,
    /// Whether values are told, and not only the names of fields.
    pub values: bool,
    /// Where the whole plan is.
    pub link: Option<&'s str>,
    /// The stack whose comment this is, to be found again by a hidden line.
    pub marker: Option<&'s str>,
}

/// The hidden first line of a stack's comment.
pub fn marker(stack: &str) -> String {
    let name: String = stack.chars().map(|c| if c.is_alphanumeric() || "._/".contains(c) { c } else { '-' }).collect();
    format!("<!-- plumb plan {name} -->")
}

/// Draws a plan, values and all: what it does in numbers, diagnostics, then a folded block an action, deletes and
/// replaces first. What does not fit into `max_chars` characters is left out, and a closing line says how much that is.
pub fn plan(document: &PlanDocument, notes: &PlanNotes, max_chars: usize) -> String {
    comment(document, notes, &Shown { limit: max_chars, values: true, ..Shown::default() })
}

/// Draws a plan as the comment of a pull request.
pub fn comment(document: &PlanDocument, notes: &PlanNotes, shown: &Shown<'_>) -> String {
    let max_chars = shown.limit;
    let mut page = Page { text: String::new(), left: max_chars };
    if let Some(stack) = shown.marker {
        page.take(&format!("{}\n", marker(stack)));
    }
    page.take(&heading(document));
    page.take(&summary(document));
    let reserve = RESERVE.min(page.left);
    page.left -= reserve;
    let mut left_out = Vec::new();
    diagnostics(&mut page, document, &mut left_out);
    let mut groups = group::by_manifest(&document.actions);
    groups.sort_by_key(|group| !group.destroys());
    actions(&mut page, &groups, shown.values, &mut left_out);
    undeclared(&mut page, notes, &mut left_out);
    page.left += reserve;
    let mut closing = String::new();
    if document.actions.is_empty() {
        let error = document.diagnostics.iter().any(words::is_error);
        let sentence = if error { words::NOTHING_BUT_ERRORS } else { words::NOTHING };
        let _ = writeln!(closing, "{sentence}\n");
    }
    if !left_out.is_empty() {
        let whole = shown.link.map(|link| format!(" [The whole plan]({link}).")).unwrap_or_default();
        let _ =
            writeln!(closing, "**Left out, because a comment may not be longer:** {}.{whole}\n", left_out.join(", "));
    }
    let _ = writeln!(closing, "{}  ", words::plan_line(&document.summary));
    let _ = writeln!(closing, "{}", words::calls_line(document, notes, false));
    page.take(&closing);
    if page.text.is_empty() {
        return words::plan_line(&document.summary).chars().take(max_chars).collect();
    }
    page.text
}

/// A text that never grows beyond its limit.
struct Page {
    text: String,
    left: usize,
}

impl Page {
    /// Appends a piece if it fits.
    fn take(&mut self, piece: &str) -> bool {
        let count = piece.chars().count();
        let fits = count <= self.left;
        if fits {
            self.left -= count;
            self.text.push_str(piece);
        }
        fits
    }
}

fn heading(document: &PlanDocument) -> String {
    let word = if document.actions.iter().any(|action| action.outcome.is_some()) { "apply" } else { "plan" };
    let mut text = format!("## plumb {word} for {}\n\n", code(&document.stack));
    let mut facts = Vec::new();
    if let Some(revision) = &document.source.revision {
        facts.push(format!("revision {}", code(revision)));
    }
    if !document.observed_at.is_empty() {
        facts.push(format!("observed {}", code(&document.observed_at)));
    }
    if !facts.is_empty() {
        let _ = writeln!(text, "{}\n", facts.join(", "));
    }
    text
}

fn summary(document: &PlanDocument) -> String {
    let summary = &document.summary;
    let mut text = String::from("| | | objects |\n| --- | --- | ---: |\n");
    for kind in words::BY_DANGER {
        let count = words::count(summary, kind);
        if count > 0 {
            let _ = writeln!(text, "| `{}` | {} | {count} |", words::sign(kind), kind.word());
        }
    }
    let _ = writeln!(text, "| | unchanged | {} |", summary.unchanged);
    if summary.drifted > 0 {
        let _ = writeln!(text, "| `!` | changed behind plumb's back | {} |", summary.drifted);
    }
    text.push('\n');
    if summary.delete + summary.replace > 0 {
        let _ = writeln!(
            text,
            "> [!CAUTION]\n> This plan deletes {} and replaces {}. They come first below.\n",
            words::plural(summary.delete, "object"),
            words::plural(summary.replace, "object"),
        );
    }
    text
}

/// Draws diagnostics, errors first.
fn diagnostics(page: &mut Page, document: &PlanDocument, left_out: &mut Vec<String>) {
    let mut list: Vec<_> = document.diagnostics.iter().collect();
    list.sort_by_key(|diagnostic| !words::is_error(diagnostic));
    let budget = page.left / 3;
    let (mut lines, mut used, mut shown) = (String::new(), 0, 0);
    for diagnostic in &list {
        let text = words::diagnostic(diagnostic);
        let count = text.chars().count();
        if used + count > budget {
            break;
        }
        used += count;
        shown += 1;
        lines.push_str(&text);
    }
    if shown > 0 && !page.take(&format!("### Diagnostics\n\n{}\n", fenced("text", &lines))) {
        shown = 0;
    }
    if shown < list.len() {
        left_out.push(words::plural(list.len() - shown, "diagnostic"));
    }
}

/// Draws all actions, those that do not fit without their changes.
fn actions(page: &mut Page, groups: &[Group<'_>], values: bool, left_out: &mut Vec<String>) {
    let (mut gone, mut short) = (0, 0);
    let total: usize = groups.iter().map(|group| group.own.len() + group.entries.len()).sum();
    let mut heading = if total > 0 { "### Actions\n\n" } else { "" };
    for group in groups {
        for action in group.actions() {
            let head = format!("<summary>{}</summary>", title(action));
            let body = body(action, values);
            let block = if body.is_empty() { String::new() } else { fenced("diff", &body) + "\n" };
            let full = format!("{heading}<details>{head}\n\n{block}</details>\n\n");
            let brief = || format!("{heading}<details>{head}\n\n</details>\n\n");
            if page.take(&full) {
                heading = "";
            } else if page.take(&brief()) {
                heading = "";
                short += 1;
            } else {
                gone += 1;
            }
        }
    }
    if gone > 0 {
        left_out.push(words::plural(gone, "action"));
    }
    if short > 0 {
        left_out.push(format!("the changes of {}", words::plural(short, "action")));
    }
}

fn title(action: &Action) -> String {
    let mut text = format!(
        "<code>{}</code> {} <code>{}</code> ({})",
        html(words::sign(action.action)),
        match action.outcome {
            Some(Outcome::Done) => words::past(action.action),
            _ => action.action.word(),
        },
        html(&safe::line(&action.address)),
        html(&words::reason(action)),
    );
    if let Some(outcome) = action.outcome {
        let _ = write!(text, " <b>{}</b>", words::outcome(outcome));
    }
    if matches!(action.action, ActionKind::Delete | ActionKind::Replace) {
        text = format!("<b>{text}</b>");
    }
    text
}

/// The changes, as the lines of a diff.
fn body(action: &Action, values: bool) -> String {
    let mut text = String::new();
    for note in &action.notes {
        let _ = writeln!(text, "! note: {}", safe::line(note));
    }
    if let Some(error) = &action.error {
        for line in safe::lines(error).lines() {
            let _ = writeln!(text, "! {line}");
        }
    }
    for change in &action.changes {
        let view = change::view(change, LIMITS);
        let drift = if view.drift { " (drift)" } else { "" };
        let path = &view.path;
        if !values && !matches!(view.body, Body::Hidden(_)) {
            let sign = match view.op {
                ChangeOp::Add => "+",
                ChangeOp::Remove => "-",
                ChangeOp::Replace => "!",
            };
            let _ = writeln!(text, "{sign} {path}{drift}");
            continue;
        }
        match view.body {
            Body::Hidden(words) => {
                let _ = writeln!(text, "! {path}: {words}{drift}");
            }
            Body::One(value) => {
                let sign = if view.op == ChangeOp::Remove { "-" } else { "+" };
                let _ = writeln!(text, "{sign} {path}: {value}{drift}");
            }
            Body::Two(before, after) => {
                let _ = writeln!(text, "- {path}: {before}{drift}\n+ {path}: {after}");
            }
            Body::Lines(lines) => {
                let _ = writeln!(text, "@@ {path}{drift} @@");
                for line in lines {
                    let sign = match line.tag {
                        Tag::Same | Tag::Gap => " ",
                        Tag::Added => "+",
                        Tag::Removed => "-",
                    };
                    let row: String = line.parts.iter().map(|(_, text)| text.as_str()).collect();
                    let _ = writeln!(text, "{}", format!("{sign} {row}").trim_end());
                }
            }
        }
    }
    for request in &action.requests {
        let _ = writeln!(text, "# {}", words::request(request));
    }
    text
}

fn undeclared(page: &mut Page, notes: &PlanNotes, left_out: &mut Vec<String>) {
    if notes.undeclared.is_empty() {
        return;
    }
    let mut lines = String::new();
    for (address, why) in &notes.undeclared {
        let _ = writeln!(lines, "{} ({})", safe::line(address), safe::line(why));
    }
    let summary = format!("{} {}", words::UNDECLARED, words::plural(notes.undeclared.len(), "object"));
    let block = format!("<details><summary>{summary}</summary>\n\n{}\n</details>\n\n", fenced("text", &lines));
    if !page.take(&block) {
        left_out
            .push(format!("the list of {} owned and not declared", words::plural(notes.undeclared.len(), "object")));
    }
}

/// A code span that its content cannot leave, on one line.
fn code(text: &str) -> String {
    let text = safe::line(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A fenced block that its content cannot leave.
fn fenced(language: &str, content: &str) -> String {
    let fence = "`".repeat(longest_run(content).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", content.trim_end_matches('\n'))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_code() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``"), "``` `` ```");
        assert!(fenced("diff", "x\n```\n@team").starts_with("````diff\n"));
        assert_eq!(html("</details>&"), "&lt;/details&gt;&amp;");
    }
}
