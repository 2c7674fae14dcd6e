//! Texts of users and APIs → texts that neither steer a terminal nor reorder or hide what a reader sees.

use std::{borrow::Cow, fmt::Write};

/// Makes a text fit for one line: line breaks, tabs, control, direction and invisible characters become escapes such
/// as `\n` and `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut previous = ' ';
    for c in text.chars() {
        push(&mut safe, previous, c);
        previous = c;
    }
    Cow::Owned(safe)
}

/// Makes a text of several lines fit to be shown: keeps its line breaks, escapes the rest as [`line`] does.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for (number, part) in text.split('\n').enumerate() {
        if number > 0 {
            safe.push('\n');
        }
        safe.push_str(&line(part.strip_suffix('\r').unwrap_or(part)));
    }
    Cow::Owned(safe)
}

/// Replaces each character that must not be shown by one that may, so that columns stay true; tabs stay.
pub(super) fn same_columns(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|c| {
            let shown = match c {
                '\t' => '\t',
                '\u{7f}' => '\u{2421}',
                c if c < ' ' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
                c if is_hostile(previous, c) => '\u{fffd}',
                c => c,
            };
            previous = c;
            shown
        })
        .collect()
}

/// A text in quotes, on one line, with `"` and `\` escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 2);
    safe.push('"');
    let mut previous = ' ';
    for c in text.chars() {
        match c {
            '"' => safe.push_str("\\\""),
            '\\' => safe.push_str("\\\\"),
            c => push(&mut safe, previous, c),
        }
        previous = c;
    }
    safe.push('"');
    safe
}

/// Escapes what serialised JSON leaves raw within its strings; what it gets must be JSON.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let raw = |previous, c| c != '\n' && is_hostile(previous, c);
    let mut previous = ' ';
    let clean = text.is_ascii() && !text.contains('\u{7f}')
        || text.chars().all(|c| {
            let fine = !raw(previous, c);
            previous = c;
            fine
        });
    if clean {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut previous = ' ';
    let mut units = [0; 2];
    for c in text.chars() {
        if raw(previous, c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
        previous = c;
    }
    Cow::Owned(safe)
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn push(safe: &mut String, previous: char, c: char) {
    match c {
        '\n' => safe.push_str("\\n"),
        '\t' => safe.push_str("\\t"),
        '\r' => safe.push_str("\\r"),
        c if is_hostile(previous, c) => {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        }
        c => safe.push(c),
    }
}

/// Whether a character acts on what shows it, or hides: controls, direction marks, invisible and tag characters. Joiners
/// are needed within scripts and emoji, so they count only after ASCII.
fn is_hostile(previous: char, c: char) -> bool {
    match c {
        '\u{200c}' | '\u{200d}' => previous.is_ascii(),
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31mb\u{0}c\u{9b}d\u{202e}e\u{2066}f\u{feff}g\u{7f}h\ni\tj\rk";

    #[test]
    fn nothing_hostile_stays_raw() {
        for safe in [line(HOSTILE).into_owned(), quoted(HOSTILE), same_columns(HOSTILE).replace('\t', "")] {
            assert!(safe.chars().all(|c| !is_hostile(' ', c)), "{safe:?}");
        }
        assert_eq!(lines("a\u{1b}\r\nb"), "a\\u{1b}\nb");
        assert_eq!(same_columns(HOSTILE).chars().count(), HOSTILE.chars().count());
    }

    #[test]
    fn scripts_and_emoji_that_need_joiners_keep_them() {
        assert_eq!(line("\u{1f469}\u{200d}\u{1f4bb}"), "\u{1f469}\u{200d}\u{1f4bb}");
        assert_eq!(line("pay\u{200d}pal"), "pay\\u{200d}pal");
    }

    #[test]
    fn json_means_the_same_after_it_was_made_safe() {
        let value = serde_json::json!({ "a\u{202e}": HOSTILE, "tag": "\u{e0041}" });
        let text = value.to_string();
        let safe = json(&text);
        assert!(!safe.contains(['\u{202e}', '\u{9b}', '\u{7f}', '\u{e0041}']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
