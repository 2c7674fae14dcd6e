//! Diagnostics → the rustc-like text that people read, and the documents of `-o json`.

use std::collections::{HashMap, HashSet};

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use crate::{
    diagnostic::{Diagnostic, Place, Severity, SourceId, Sources},
    plan::DiagnosticDocument,
};

use super::{Style, hide, safe, words};

/// Codes of diagnostics about secrets in plain text: the source line is never drawn.
pub const HIDES_SOURCE: &[&str] =
    &["PL0130", "PL0131", "PL0132", "PL0133", "PL0134", "PL0135", "PL0136", "PL0137", "PL0138", "PL0139"];

/// Bytes of a source line that is drawn with a caret, cut to the terminal's width; of longer ones, a piece is quoted.
const LONGEST: usize = 2000;

/// Draws diagnostics by file and line, each once: severity, code, message, place, source line with a caret, hints.
pub fn diagnostics(diagnostics: &[Diagnostic], sources: &Sources, style: Style) -> String {
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.hyperlink(false).term_width(style.columns().max(80));
    let mut texts = Texts { sources, starts: HashMap::new() };
    let mut out = String::new();
    for diagnostic in sorted(diagnostics, sources) {
        if !out.is_empty() {
            out.push('\n');
        }
        let groups = draw(diagnostic, &mut texts);
        out.push_str(&renderer.render(&groups));
        out.push('\n');
    }
    out
}

/// The diagnostics as data, in the order of [`diagnostics`], each once.
pub fn to_documents(diagnostics: &[Diagnostic], sources: &Sources) -> Vec<DiagnosticDocument> {
    sorted(diagnostics, sources)
        .into_iter()
        .map(|diagnostic| DiagnosticDocument {
            severity: word(diagnostic.severity).to_owned(),
            code: diagnostic.code.clone().into_owned(),
            message: diagnostic.message.clone(),
            hints: diagnostic.hints.clone(),
            file: file(diagnostic, sources).map(str::to_owned),
            line: diagnostic.place.map(|place| place.line),
            column: diagnostic.place.map(|place| place.column),
            address: diagnostic.address.clone(),
        })
        .collect()
}

/// One line such as `2 errors, 1 warning.`, counting each diagnostic once; nothing where there is none.
pub fn counts(diagnostics: &[Diagnostic]) -> Option<String> {
    let unique: HashSet<Key<'_>> = diagnostics.iter().map(key).collect();
    let parts: Vec<String> = [
        (Severity::Refusal, "refusal"),
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ]
    .into_iter()
    .filter_map(|(severity, one)| {
        let count = unique.iter().filter(|key| key.0 == word(severity)).count();
        (count > 0).then(|| words::plural(count, one))
    })
    .collect();
    (!parts.is_empty()).then(|| format!("{}.", parts.join(", ")))
}

type Key<'d> = (&'static str, &'d str, &'d str, Option<Place>, Option<&'d str>, Option<&'d str>, &'d [String]);

fn key(diagnostic: &Diagnostic) -> Key<'_> {
    (
        word(diagnostic.severity),
        &diagnostic.code,
        &diagnostic.message,
        diagnostic.place,
        diagnostic.file.as_deref(),
        diagnostic.address.as_deref(),
        &diagnostic.hints,
    )
}

/// The word of a severity, as in JSON.
fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Refusal => "refusal",
    }
}

/// By file and line, those without a file last, each once.
fn sorted<'d>(diagnostics: &'d [Diagnostic], sources: &Sources) -> Vec<&'d Diagnostic> {
    let mut seen = HashSet::new();
    let mut list: Vec<&Diagnostic> = diagnostics.iter().filter(|diagnostic| seen.insert(key(diagnostic))).collect();
    list.sort_by_key(|diagnostic| {
        let file = file(diagnostic, sources);
        let place = diagnostic.place.map(|place| (place.line, place.column));
        (file.is_none(), file, place, std::cmp::Reverse(diagnostic.severity))
    });
    list
}

fn file<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Option<&'a str> {
    let text = diagnostic.place.and_then(|place| sources.get(place.source));
    text.map(|text| text.path.as_str()).or(diagnostic.file.as_deref())
}

fn draw<'a>(diagnostic: &'a Diagnostic, texts: &mut Texts<'_>) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
        Severity::Refusal => Level::ERROR.with_name("refused"),
    };
    let hides = HIDES_SOURCE.contains(&&*diagnostic.code);
    let title = level.primary_title(safe::lines(&diagnostic.message)).id(safe::line(&diagnostic.code));
    let mut main = Group::with_title(title);
    if let Some(place) = diagnostic.place {
        main = main.elements(texts.draw(place, hides, AnnotationKind::Primary));
    } else if let Some(file) = &diagnostic.file {
        main = main.element(Origin::path(safe::line(file)));
    }
    if let Some(address) = diagnostic.address.as_deref().filter(|address| !diagnostic.message.contains(address)) {
        main = main.element(Level::NOTE.with_name("object").message(safe::line(address)));
    }
    for hint in &diagnostic.hints {
        main = main.element(Level::HELP.with_name("hint").message(safe::lines(hint)));
    }
    let mut groups = vec![main];
    for (place, why) in &diagnostic.related {
        let group = Group::with_title(Level::NOTE.secondary_title(safe::lines(why)));
        groups.push(group.elements(texts.draw(*place, hides, AnnotationKind::Primary)));
    }
    groups
}

/// The texts, with the starts of their lines once somebody asked for one.
struct Texts<'s> {
    sources: &'s Sources,
    starts: HashMap<SourceId, Vec<usize>>,
}

impl Texts<'_> {
    /// A place with its source line, unless that may hold a secret.
    fn draw<'a>(&mut self, place: Place, hides: bool, kind: AnnotationKind) -> Vec<Element<'a>> {
        let Some(source) = self.sources.get(place.source) else { return Vec::new() };
        let (line, column) = (place.line.max(1) as usize, place.column.max(1) as usize);
        let path = safe::line(&source.path).into_owned();
        let origin = Origin::path(path.clone()).line(line).char_column(column);
        let starts = self.starts.entry(place.source).or_insert_with(|| {
            std::iter::once(0).chain(source.text.match_indices('\n').map(|(at, _)| at + 1)).collect()
        });
        let line_at = |index: usize| {
            let start = *starts.get(index)?;
            let end = starts.get(index + 1).map_or(source.text.len(), |next| next - 1);
            source.text.get(start..end).map(|line| line.strip_suffix('\r').unwrap_or(line))
        };
        let Some(text) = line_at(line - 1) else { return vec![origin.into()] };
        if hides || hide::may_hold_secret(line_at, line - 1) {
            let note = Level::NOTE.message("the line is not shown, because it may hold a secret");
            return vec![origin.into(), note.into()];
        }
        if text.len() > LONGEST {
            let near = Level::NOTE.message(format!("a long line; here it reads {}", around(text, column - 1)));
            return vec![origin.into(), near.into()];
        }
        let shown = safe::same_columns(text);
        let span = span(&shown, column - 1, place.length as usize);
        let snippet = Snippet::source(shown).line_start(line).path(path).annotation(kind.span(span));
        vec![snippet.into()]
    }
}

/// The bytes of some characters of a line; the end of the line where they are beyond it.
fn span(line: &str, column: usize, length: usize) -> std::ops::Range<usize> {
    let mut offsets = line.char_indices().map(|(offset, _)| offset).skip(column);
    let start = offsets.next().unwrap_or(line.len());
    let end = offsets.nth(length.max(1) - 1).unwrap_or(line.len());
    start..end
}

/// Some characters of a long line, from a little before a column on, in quotes.
fn around(line: &str, column: usize) -> String {
    let shown: String = line.chars().skip(column.saturating_sub(16)).take(48).collect();
    safe::quoted(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_counted_in_characters_and_stay_within_the_line() {
        assert_eq!(span("äbc", 1, 1), 2..3);
        assert_eq!(span("äbc", 0, 0), 0..2);
        assert_eq!(span("äbc", 1, 99), 2..4);
        assert_eq!(span("ab", 9, 1), 2..2);
    }

    #[test]
    fn a_very_long_line_is_quoted_around_the_place() {
        let line = format!("{}needle{}", "a".repeat(5000), "b".repeat(5000));
        assert_eq!(around(&line, 5000), format!("\"{}needle{}\"", "a".repeat(16), "b".repeat(26)));
    }
}
