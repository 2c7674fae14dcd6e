//! One difference of a plan → what every report shows of it. This is where sensitive values stop.

use std::time::{Duration, Instant};

use serde_json::Value;
use similar::{ChangeTag, DiffTag, TextDiff};

use crate::{diff::ChangeOp, plan::Change, value::has_secret};

use super::{safe, value};

/// Time for the diff of one text; what is not found by then shows as removed and added.
const PATIENCE: Duration = Duration::from_millis(300);

/// Characters of a list or map that may stand on one line.
const INLINE: usize = 60;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// How much of a value is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Characters of a line.
    pub(super) room: usize,
    /// Lines of one change.
    pub(super) lines: usize,
}

/// What is shown of a difference; its texts are safe to print.
#[derive(Debug)]
pub(super) struct View {
    pub(super) op: ChangeOp,
    pub(super) path: String,
    pub(super) body: Body,
    pub(super) drift: bool,
}

/// The values of a difference.
#[derive(Debug)]
pub(super) enum Body {
    /// Words in place of values.
    Hidden(&'static str),
    /// The value that is added or removed.
    One(String),
    /// The value before and after.
    Two(String, String),
    /// A diff.
    Lines(Vec<Line>),
}

/// One line of a diff.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) tag: Tag,
    /// Pieces; true for those that differ within a changed line.
    pub(super) parts: Vec<(bool, String)>,
}

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Same,
    Added,
    Removed,
    /// Words in place of lines that are not shown.
    Gap,
}

impl Line {
    fn new(tag: Tag, text: impl Into<String>) -> Self {
        Self { tag, parts: vec![(false, text.into())] }
    }

    fn characters(&self) -> usize {
        self.parts.iter().map(|(_, text)| text.chars().count()).sum()
    }
}

/// The sign of a difference.
pub(super) fn sign(op: ChangeOp) -> &'static str {
    match op {
        ChangeOp::Add => "+",
        ChangeOp::Replace => "~",
        ChangeOp::Remove => "-",
    }
}

/// What is shown of a difference.
pub(super) fn view(change: &Change, limits: Limits) -> View {
    let path = safe::line(change.path.strip_prefix('/').unwrap_or(&change.path)).into_owned();
    View { op: change.op, path, body: body(change, limits), drift: change.drift }
}

fn body(change: &Change, limits: Limits) -> Body {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    if change.sensitive || before.is_some_and(value::is_hidden) || after.is_some_and(value::is_hidden) {
        return Body::Hidden(match change.op {
            ChangeOp::Add => "(sensitive value is set)",
            ChangeOp::Replace => "(sensitive value changes)",
            ChangeOp::Remove => "(sensitive value is removed)",
        });
    }
    match (change.op, before, after) {
        (ChangeOp::Replace, Some(before), Some(after)) => two(before, after, limits),
        (ChangeOp::Replace | ChangeOp::Add, _, Some(after)) => one(after, Tag::Added, limits),
        (ChangeOp::Replace | ChangeOp::Remove, Some(before), _) => one(before, Tag::Removed, limits),
        (ChangeOp::Add, _, None) => Body::Hidden("(set)"),
        (ChangeOp::Replace, None, None) => Body::Hidden("(changed)"),
        (ChangeOp::Remove, None, _) => Body::Hidden("(removed)"),
    }
}

fn one(value: &Value, tag: Tag, limits: Limits) -> Body {
    match value {
        Value::String(text) if text.contains('\n') => {
            let text = safe::lines(text);
            Body::Lines(cut_lines(text.lines().map(|line| Line::new(tag, line)).collect(), limits))
        }
        Value::Array(_) | Value::Object(_) => {
            let line = value::inline(value);
            if fits(&line, limits.room.min(INLINE)) {
                return Body::One(line);
            }
            let lines = value::block(value).into_iter().map(|line| Line::new(tag, line)).collect();
            Body::Lines(cut_lines(lines, limits))
        }
        scalar => Body::One(cut(&value::inline(scalar), limits.room)),
    }
}

fn two(before: &Value, after: &Value, limits: Limits) -> Body {
    let (short_before, short_after) = (value::inline(before), value::inline(after));
    if short_before == short_after && (has_secret(before) || has_secret(after)) {
        return Body::Hidden("(sensitive value changes)");
    }
    let composite = before.is_array() || before.is_object() || after.is_array() || after.is_object();
    let multiline = |value: &Value| value.as_str().is_some_and(|text| text.trim_end_matches('\n').contains('\n'));
    if multiline(before) || multiline(after) {
        return Body::Lines(cut_lines(diff(&text_lines(before), &text_lines(after)), limits));
    }
    let room = if composite { limits.room.min(INLINE) } else { limits.room };
    if short_before.chars().count() + short_after.chars().count() + 4 <= room {
        return Body::Two(short_before, short_after);
    }
    if composite {
        let join = |value: &Value| value::block(value).into_iter().map(|line| line + "\n").collect::<String>();
        return Body::Lines(cut_lines(diff(&join(before), &join(after)), limits));
    }
    let mut lines = diff(&(short_before.clone() + "\n"), &(short_after.clone() + "\n"));
    let common = short_before.chars().zip(short_after.chars()).take_while(|(a, b)| a == b).count();
    for line in &mut lines {
        focus(line, common, limits.room);
    }
    Body::Lines(cut_lines(lines, limits))
}

/// The lines of a text, or of a value that takes a text's place; ends in a line break unless it is empty.
fn text_lines(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value::inline(value), |text| safe::lines(text).into_owned());
    if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" }
}

fn diff(before: &str, after: &str) -> Vec<Line> {
    if before == after {
        return vec![Line::new(Tag::Gap, "only line breaks differ")];
    }
    let deadline = Instant::now() + PATIENCE;
    let diff = TextDiff::configure().deadline(deadline).diff_lines(before, after);
    let mut lines = Vec::new();
    for (number, hunk) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        let start = hunk.first().map_or(0, |op| op.new_range().start);
        if number > 0 || start > 0 {
            lines.push(Line::new(Tag::Gap, format!("@@ line {} @@", start + 1)));
        }
        for op in hunk {
            let inline = op.tag() == DiffTag::Replace;
            if inline {
                lines.extend(
                    diff.iter_inline_changes_deadline(op, Some(deadline))
                        .map(|change| Line { tag: tag(change.tag()), parts: merge(change.values()) }),
                );
            } else {
                lines.extend(
                    diff.iter_changes(op)
                        .map(|change| Line::new(tag(change.tag()), change.value().trim_end_matches('\n'))),
                );
            }
        }
    }
    lines
}

fn tag(tag: ChangeTag) -> Tag {
    match tag {
        ChangeTag::Equal => Tag::Same,
        ChangeTag::Insert => Tag::Added,
        ChangeTag::Delete => Tag::Removed,
    }
}

/// Joins neighbours of one kind.
fn merge(values: &[(bool, &str)]) -> Vec<(bool, String)> {
    let mut parts: Vec<(bool, String)> = Vec::new();
    for (changed, text) in values {
        let text = text.trim_end_matches('\n');
        match parts.last_mut() {
            Some((last, joined)) if last == changed => joined.push_str(text),
            _ if text.is_empty() => {}
            _ => parts.push((*changed, text.to_owned())),
        }
    }
    parts
}

/// Takes from a long line what is the same before and after, so that what differs is seen.
fn focus(line: &mut Line, common: usize, room: usize) {
    const KEPT: usize = 16;
    if line.characters() <= room {
        return;
    }
    if !line.parts.iter().any(|(changed, _)| *changed) {
        let text: String = line.parts.iter().map(|(_, text)| text.as_str()).collect();
        let skipped = common.saturating_sub(KEPT);
        if skipped > KEPT {
            line.parts = vec![(false, std::iter::once('…').chain(text.chars().skip(skipped)).collect())];
        }
        return;
    }
    let last = line.parts.len() - 1;
    for (number, (changed, text)) in line.parts.iter_mut().enumerate() {
        let count = text.chars().count();
        let (head, tail) = (if number == 0 { 0 } else { KEPT }, if number == last { 0 } else { KEPT });
        if !*changed && count > head + tail + KEPT {
            let start: String = text.chars().take(head).collect();
            let end: String = text.chars().skip(count - tail).collect();
            *text = format!("{start}…{end}");
        }
    }
}

fn cut_lines(mut lines: Vec<Line>, limits: Limits) -> Vec<Line> {
    let count = lines.len();
    if count > limits.lines {
        lines.truncate(limits.lines.saturating_sub(1));
        lines.push(Line::new(Tag::Gap, format!("… {} more lines", count - lines.len())));
    }
    for line in &mut lines {
        cut_line(line, limits.room);
    }
    lines
}

fn cut_line(line: &mut Line, room: usize) {
    let count = line.characters();
    if count <= room {
        return;
    }
    let mut left = room;
    for (_, text) in &mut line.parts {
        let kept: String = text.chars().take(left).collect();
        left -= kept.chars().count();
        *text = kept;
    }
    line.parts.retain(|(_, text)| !text.is_empty());
    line.parts.push((false, more(count - room)));
}

/// A text of at most `room` characters, and how many more there are.
fn cut(text: &str, room: usize) -> String {
    if fits(text, room) {
        return text.to_owned();
    }
    let count = text.chars().count();
    text.chars().take(room).collect::<String>() + &more(count - room)
}

fn more(count: usize) -> String {
    format!("… (+{count} characters)")
}

fn fits(text: &str, room: usize) -> bool {
    text.len() <= room || text.chars().count() <= room
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: Limits = Limits { room: 60, lines: 12 };

    fn change(before: Value, after: Value) -> Change {
        Change {
            path: "/a".into(),
            op: ChangeOp::Replace,
            before: Some(before),
            after: Some(after),
            sensitive: false,
            drift: false,
        }
    }

    fn row(line: &Line) -> String {
        let mut row = String::from(match line.tag {
            Tag::Same => " ",
            Tag::Added => "+",
            Tag::Removed => "-",
            Tag::Gap => "@",
        });
        for (changed, text) in &line.parts {
            let (open, close) = if *changed { ("«", "»") } else { ("", "") };
            row.extend([open, text, close]);
        }
        row
    }

    fn drawn(before: Value, after: Value) -> String {
        match body(&change(before, after), LIMITS) {
            Body::Hidden(words) => words.to_owned(),
            Body::One(value) => value,
            Body::Two(before, after) => format!("{before} -> {after}"),
            Body::Lines(lines) => lines.iter().map(row).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn short_values_stand_on_one_line() {
        assert_eq!(drawn(json!("a"), json!(1)), "\"a\" -> 1");
        assert_eq!(drawn(json!(["a"]), json!(["a", "b"])), "[\"a\"] -> [\"a\", \"b\"]");
    }

    #[test]
    fn a_long_value_shows_what_differs_in_it() {
        let text = |word: &str| json!(format!("{} {word} {}", "same old words ".repeat(9), "and the rest ".repeat(9)));
        insta::assert_snapshot!(drawn(text("before"), text("after")), @r#"
        -…same old words  «before» and the rest an…
        +…same old words  «after» and the rest an…
        "#);
    }

    #[test]
    fn texts_are_diffed_by_line_and_word() {
        let before = "one\ntwo\nthree four five\nsix\n";
        let after = "one\ntwo\nthree 4 five\nsix\nseven";
        insta::assert_snapshot!(drawn(json!(before), json!(after)), @r"
         one
         two
        -three «four» five
        +three «4» five
         six
        +seven
        ");
    }

    #[test]
    fn long_lists_are_diffed_by_element() {
        let list = |last: &str| json!(["Exchange 2016", "Exchange 2019", "Office 365", "Google Workspace", last]);
        insta::assert_snapshot!(drawn(list("Other"), list("None")), @r#"
        @@@ line 2 @@
         - "Exchange 2019"
         - "Office 365"
         - "Google Workspace"
        -- "«Other»"
        +- "«None»"
        "#);
    }

    #[test]
    fn secrets_within_a_value_are_said_to_change_and_not_shown() {
        let hidden = |hash: &str| json!({"name": "a", "value": {"$secret": hash}});
        assert_eq!(drawn(hidden("h1"), hidden("h2")), "(sensitive value changes)");
        let mistaken = Change { sensitive: true, ..change(json!("hunter2"), json!("hunter3")) };
        assert!(matches!(body(&mistaken, LIMITS), Body::Hidden(_)));
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let long = "x".repeat(100);
        assert_eq!(cut(&long, 10), "xxxxxxxxxx… (+90 characters)");
        let lines = cut_lines((0..20).map(|n| Line::new(Tag::Added, n.to_string())).collect(), LIMITS);
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[11], Line::new(Tag::Gap, "… 9 more lines"));
    }

    #[test]
    fn texts_without_anything_in_common_are_diffed_in_time() {
        let line = |word: &str, n: usize| format!("{word} {}", n * 7919 % 20_011);
        let many = |word: &str| json!((0..20_000).map(|n| line(word, n)).collect::<Vec<_>>().join("\n"));
        let started = Instant::now();
        drawn(many("a"), many("b"));
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
