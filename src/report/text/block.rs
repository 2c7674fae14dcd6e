//! One action → its block of text: sign, word, address, why, then its changes, notes and calls.

use std::{collections::HashSet, fmt::Write};

use unicode_width::UnicodeWidthStr;

use crate::{
    diff::ChangeOp,
    plan::{Action, Change},
};

use super::super::{
    change::{self, Body, Limits, Line, Tag, View},
    group, safe,
    style::{Ink, Style},
    words,
};

/// Columns up to which paths are aligned.
const ALIGNED: usize = 28;

/// Draws the blocks of one report.
pub(super) struct Blocks {
    style: Style,
    /// Whether the connection of an action has to be told.
    connections: bool,
    /// What is said of a manifest that is shown for its entries only.
    bystander: &'static str,
}

impl Blocks {
    /// Looks at all actions that will be drawn.
    pub(super) fn new<'a>(
        actions: impl IntoIterator<Item = &'a Action>,
        bystander: &'static str,
        style: Style,
    ) -> Self {
        let names: HashSet<&str> = actions.into_iter().map(|action| action.connection.as_str()).collect();
        Self { style, connections: names.len() > 1, bystander }
    }

    /// Draws actions grouped by manifest, those on entries indented below it.
    pub(super) fn draw<'a>(&self, out: &mut String, actions: impl IntoIterator<Item = &'a Action>) {
        for group in group::by_manifest(actions) {
            for action in &group.own {
                self.action(out, action, 0);
            }
            if group.own.is_empty() {
                let words = self.style.paint(Ink::Dim, self.bystander);
                let _ = writeln!(out, "    {:<7}  {}{words}", "", safe::line(group.manifest));
            }
            for action in &group.entries {
                self.action(out, action, 4);
            }
            out.push('\n');
        }
    }

    fn action(&self, out: &mut String, action: &Action, indent: usize) {
        let ink = Ink::Action(action.action);
        let head = format!("{:>3} {:<7}", words::sign(action.action), action.action.word());
        let address = self.style.paint(Ink::Strong, &safe::line(&action.address));
        let _ = write!(out, "{:indent$}{}  {address}", "", self.style.paint(ink, &head));
        if let Some(id) = &action.id {
            let _ = write!(out, "{}", self.style.paint(Ink::Dim, &format!("  id {}", safe::line(id))));
        }
        if self.connections && indent == 0 {
            let via = format!("  via {}", safe::line(&action.connection));
            let _ = write!(out, "{}", self.style.paint(Ink::Dim, &via));
        }
        let why = if words::is_drift(action) { Ink::Drift } else { Ink::Dim };
        let _ = writeln!(out, "  {}", self.style.paint(why, &format!("({})", words::reason(action))));
        self.changes(out, action, indent + 8);
        for note in &action.notes {
            let _ =
                writeln!(out, "{:1$}{2} {3}", "", indent + 8, self.style.paint(Ink::Warn, "note:"), safe::line(note));
        }
        if self.style.verbose {
            self.calls(out, action, indent + 8);
        }
    }

    fn changes(&self, out: &mut String, action: &Action, indent: usize) {
        let views: Vec<View> =
            action.changes.iter().map(|change| change::view(change, self.limits(change, indent))).collect();
        let aligned = |view: &&View| !matches!(view.body, Body::Lines(_));
        let widths = views.iter().filter(aligned).map(|view| view.path.width()).filter(|width| *width <= ALIGNED);
        let column = widths.max().unwrap_or(0);
        for view in &views {
            self.change(out, view, indent, column);
        }
    }

    fn limits(&self, change: &Change, indent: usize) -> Limits {
        if self.style.verbose {
            return Limits { room: usize::MAX, lines: usize::MAX };
        }
        let taken = indent + 4 + change.path.width().min(ALIGNED) + if change.drift { 8 } else { 0 };
        Limits { room: self.style.columns().saturating_sub(taken).max(24), lines: 40 }
    }

    fn change(&self, out: &mut String, view: &View, indent: usize, column: usize) {
        let ink = match view.op {
            ChangeOp::Add => Ink::Added,
            ChangeOp::Replace => Ink::Warn,
            ChangeOp::Remove => Ink::Removed,
        };
        let _ = write!(out, "{:indent$}{} {}:", "", self.style.paint(ink, change::sign(view.op)), view.path);
        let padding = column.saturating_sub(view.path.width());
        match &view.body {
            Body::Hidden(words) => {
                let _ = write!(out, "{:padding$} {}", "", self.style.paint(Ink::Dim, words));
            }
            Body::One(value) => {
                let _ = write!(out, "{:padding$} {}", "", self.style.paint(ink, value));
            }
            Body::Two(before, after) => {
                let (before, after) = (self.style.paint(Ink::Removed, before), self.style.paint(Ink::Added, after));
                let _ = write!(out, "{:padding$} {before} -> {after}", "");
            }
            Body::Lines(_) => {}
        }
        if view.drift {
            let _ = write!(out, " {}", self.style.paint(Ink::Drift, "(drift)"));
        }
        out.push('\n');
        if let Body::Lines(lines) = &view.body {
            for line in lines {
                self.line(out, line, indent + 4);
            }
        }
    }

    fn line(&self, out: &mut String, line: &Line, indent: usize) {
        let (sign, ink, changed) = match line.tag {
            Tag::Same => ("  ", None, Ink::Strong),
            Tag::Added => ("+ ", Some(Ink::Added), Ink::AddedWord),
            Tag::Removed => ("- ", Some(Ink::Removed), Ink::RemovedWord),
            Tag::Gap => ("", Some(Ink::Dim), Ink::Dim),
        };
        let paint =
            |ink: Option<Ink>, text: &str| ink.map_or_else(|| text.to_owned(), |ink| self.style.paint(ink, text));
        let mut row = format!("{:indent$}{}", "", paint(ink, sign));
        for (is_changed, text) in &line.parts {
            row.push_str(&paint(if *is_changed { Some(changed) } else { ink }, text));
        }
        out.push_str(row.trim_end_matches(' '));
        out.push('\n');
    }

    fn calls(&self, out: &mut String, action: &Action, indent: usize) {
        for request in &action.requests {
            let call = format!("call: {}", words::request(request));
            let _ = writeln!(out, "{:indent$}{}", "", self.style.paint(Ink::Dim, &call));
        }
        for dependency in &action.depends_on {
            let after = format!("after: {}", safe::line(dependency));
            let _ = writeln!(out, "{:indent$}{}", "", self.style.paint(Ink::Dim, &after));
        }
    }
}
