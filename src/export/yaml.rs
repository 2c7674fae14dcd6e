//! Nodes → YAML as a careful person writes it: block style, short things on one line, texts of several lines as blocks,
//! and quotes just where a reader of YAML 1.1 or 1.2 could take a text for something else.

use std::fmt::Write as _;

use serde_json::Value;

use super::node::{Comment, Item, Member, Node};

/// Columns that a line takes at most where it can be broken.
const WIDTH: usize = 100;
/// Columns of comments.
const COMMENT: usize = 96;

/// Writes one document, without the line that separates it from others.
pub(super) fn document(members: &[Member]) -> String {
    let mut out = String::new();
    for member in members {
        match &member.value {
            // Fields stand below each other, however few they are: they will become more.
            Some(Node::Map(fields))
                if member.key == "spec" && !fields.is_empty() || member.key == "metadata" && fields.len() > 1 =>
            {
                let _ = writeln!(out, "{}:", member.key);
                write_members(fields, 2, &mut out);
            }
            _ => write_members(std::slice::from_ref(member), 0, &mut out),
        }
    }
    out
}

/// Writes a document that is nothing but a comment.
pub(super) fn remark(text: &str) -> String {
    let mut out = String::new();
    comment(&Comment::Words(text.to_owned()), 0, &mut out);
    out
}

/// Writes a comment, a `#` before each line, words broken into lines.
fn comment(comment: &Comment, indent: usize, out: &mut String) {
    let text = match comment {
        Comment::Words(text) => text,
        Comment::Code(line) => {
            let line: String = line.chars().map(|letter| if is_plain(letter) { letter } else { '\u{fffd}' }).collect();
            let _ = writeln!(out, "{}# {line}", " ".repeat(indent));
            return;
        }
    };
    let room = COMMENT.saturating_sub(indent + 2).max(30);
    let mut line = String::new();
    let mut flush = |line: &mut String| {
        let _ = writeln!(out, "{}# {line}", " ".repeat(indent));
        line.clear();
    };
    for word in text.split_whitespace().map(harmless) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            flush(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        flush(&mut line);
    }
}

/// A word of a comment without what a terminal or a reader of YAML takes for more than text.
fn harmless(word: &str) -> String {
    word.chars().map(|letter| if is_plain(letter) { letter } else { '\u{fffd}' }).collect()
}

fn write_members(members: &[Member], indent: usize, out: &mut String) {
    for member in members {
        member.comments.iter().for_each(|text| comment(text, indent, out));
        let Some(value) = &member.value else { continue };
        let key = scalar(&member.key, false);
        let _ = write!(out, "{}{key}:", " ".repeat(indent));
        write_value(value, indent, indent + key.chars().count() + 1, member.remark.as_deref(), out);
    }
}

/// Writes what comes after `key:`, and ends the line.
fn write_value(value: &Node, indent: usize, column: usize, remark: Option<&str>, out: &mut String) {
    if let Some(line) = flow(value, WIDTH.saturating_sub(column + 1)) {
        let _ = write!(out, " {line}");
        end(remark, out);
        return;
    }
    match value {
        Node::Scalar(Value::String(text)) => write_block(text, indent, out),
        Node::Scalar(other) => {
            let _ = write!(out, " {other}");
            end(remark, out);
        }
        Node::List(items) => {
            end(remark, out);
            write_items(items, indent + 2, out);
        }
        Node::Map(members) => {
            end(remark, out);
            write_members(members, indent + 2, out);
        }
    }
}

fn end(remark: Option<&str>, out: &mut String) {
    if let Some(remark) = remark {
        let words: Vec<String> = remark.split_whitespace().map(harmless).collect();
        let _ = write!(out, "  # {}", words.join(" "));
    }
    out.push('\n');
}

fn write_items(items: &[Item], indent: usize, out: &mut String) {
    // Items look alike: on one line each, or none of them.
    let room = WIDTH.saturating_sub(indent + 2);
    let short = items.iter().filter_map(|item| item.value.as_ref()).all(|value| flow(value, room).is_some());
    for item in items {
        item.comments.iter().for_each(|text| comment(text, indent, out));
        let Some(value) = &item.value else { continue };
        let _ = write!(out, "{}- ", " ".repeat(indent));
        match value {
            Node::Map(members) if !short && !members.is_empty() => {
                let mut inner = String::new();
                write_members(members, indent + 2, &mut inner);
                // The first member stands on the line of the dash; comments before it do not fit there.
                if inner.trim_start().starts_with('#') {
                    let _ = writeln!(out, "{}", inner.trim_start().trim_end());
                } else {
                    let _ = writeln!(out, "{}", inner.trim_start().trim_end_matches('\n'));
                }
            }
            Node::List(inner) if flow(value, room).is_none() => {
                let mut text = String::new();
                write_items(inner, indent + 2, &mut text);
                let _ = writeln!(out, "{}", text.trim_start().trim_end_matches('\n'));
            }
            _ => match flow(value, if short { room } else { usize::MAX }) {
                Some(line) => {
                    let _ = write!(out, "{line}");
                    end(item.remark.as_deref(), out);
                }
                None => {
                    if let Node::Scalar(Value::String(text)) = value {
                        // The block's mark follows the dash.
                        out.pop();
                        write_block(text, indent, out);
                    }
                }
            },
        }
    }
}

/// A value on one line, where it is short enough and has no comments; nothing else is written so.
fn flow(value: &Node, room: usize) -> Option<String> {
    let line = flow_at(value, 0)?;
    let long = line.chars().count() > room;
    // Text cannot be broken, a stub is one thing, and what is empty has one form.
    let unbroken = match value {
        Node::Scalar(_) => true,
        Node::Map(members) => members.is_empty() || matches!(&members[..], [only] if only.key == "valueFrom"),
        Node::List(items) => items.is_empty(),
    };
    (!long || unbroken).then_some(line)
}

fn flow_at(value: &Node, depth: usize) -> Option<String> {
    match value {
        Node::Scalar(Value::String(text)) => {
            (!is_block(text) || depth > 0 && !text.contains('\n')).then(|| scalar(text, depth > 0))
        }
        Node::Scalar(other) => Some(other.to_string()),
        Node::List(items) => {
            if items.iter().any(|item| !item.comments.is_empty() || item.remark.is_some()) {
                return None;
            }
            // Lists of maps are blocks, unless they are deep inside of one line.
            let has_maps = items.iter().any(|item| matches!(&item.value, Some(Node::Map(map)) if !map.is_empty()));
            if has_maps && depth == 0 {
                return None;
            }
            let parts: Option<Vec<String>> =
                items.iter().filter_map(|item| item.value.as_ref()).map(|item| flow_at(item, depth + 1)).collect();
            Some(format!("[{}]", parts?.join(", ")))
        }
        Node::Map(members) => {
            if members.iter().any(|member| !member.comments.is_empty() || member.remark.is_some()) {
                return None;
            }
            let parts: Option<Vec<String>> = members
                .iter()
                .filter_map(|member| Some((&member.key, member.value.as_ref()?)))
                .map(|(key, value)| Some(format!("{}: {}", scalar(key, true), flow_at(value, depth + 1)?)))
                .collect();
            Some(format!("{{{}}}", parts?.join(", ")))
        }
    }
}

/// Whether a text is written as a block of lines.
fn is_block(text: &str) -> bool {
    let fits = |line: &str| !line.ends_with([' ', '\t']) && line.chars().all(is_plain);
    text.trim_end_matches('\n').contains('\n')
        && text.split('\n').all(fits)
        && text.split('\n').find(|line| !line.is_empty()).is_some_and(|line| !line.starts_with([' ', '\t']))
        && !text.starts_with('\n')
        // Not more than one end of line at the end: blocks that keep more look like a mistake.
        && !text.ends_with("\n\n")
}

/// Writes a text as a block after `key:` or `-`.
fn write_block(text: &str, indent: usize, out: &mut String) {
    out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if line.is_empty() {
            out.push('\n');
        } else {
            let _ = writeln!(out, "{}{line}", " ".repeat(indent + 2));
        }
    }
}

/// A text as a scalar on one line.
pub(super) fn scalar(text: &str, in_flow: bool) -> String {
    if is_bare(text, in_flow) {
        return text.to_owned();
    }
    let escapes = text.chars().any(|letter| !is_plain(letter));
    if !escapes && text.contains(['"', '\\']) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if is_plain(letter) => out.push(letter),
            letter if (letter as u32) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", letter as u32);
            }
            letter if (letter as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", letter as u32);
            }
            letter => {
                let _ = write!(out, "\\U{:08x}", letter as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Whether a letter may stand in YAML as it is, and neither moves what a terminal shows nor hides.
fn is_plain(letter: char) -> bool {
    !matches!(
        letter,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether a text can stand without quotes and is a text to every reader.
fn is_bare(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    // What begins like a number, a date or a time is quoted, but for words with letters in them.
    let dotted = text.bytes().filter(|byte| *byte == b'.').count() > 1;
    let words = first.is_alphabetic()
        || first == '/' && !in_flow
        || first.is_ascii_digit()
            && (has_word(text) || dotted && text.bytes().all(|b| b == b'.' || b.is_ascii_digit()));
    let reserved = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "nan" | "inf"
    );
    words
        && !reserved
        && text.chars().all(is_plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !(in_flow && text.contains([',', '[', ']', '{', '}', '"', '\'']))
}

/// Whether a text that begins with a digit is clearly no number: it has a letter other than those of numbers.
fn has_word(text: &str) -> bool {
    text.chars().any(|letter| {
        letter.is_alphabetic() && !matches!(letter.to_ascii_lowercase(), 'a'..='f' | 'o' | 'x' | 't' | 'z')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn node(value: &Value) -> Node {
        match value {
            Value::Array(items) => Node::List(items.iter().map(|item| Item::of(node(item))).collect()),
            Value::Object(map) => Node::Map(map.iter().map(|(name, value)| Member::of(name, node(value))).collect()),
            scalar => Node::Scalar(scalar.clone()),
        }
    }

    fn written(value: &Value) -> String {
        document(&[Member::of("a", node(value)), Member::of("z", Node::text("end"))])
    }

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn it_looks_as_a_person_writes_it() {
        let value = json!({
            "name": "Happy Frog", "address": "12, Pond Street", "version": "1.10", "flag": "true", "count": 3, "on": true,
            "notes": "one\n  two\n\nthree", "tags": ["a", "b"], "list": [{"name": "x", "value": 1}],
            "empty": {}, "none": [], "quote": "say \"hi\"", "quotes": "\"hi\", \"ho\"", "url": "https://a.example/b?c=d#e", "phone": "3135552015",
            "day": "2026-03-31", "id": "12ab", "dash": "- no", "lead": " x", "ratio": "1:20", "key: x": "a: b",
        });
        let text = written(&value);
        assert_eq!(
            text,
            r#"a:
  name: Happy Frog
  address: 12, Pond Street
  version: "1.10"
  flag: "true"
  count: 3
  "on": true
  notes: |-
    one
      two

    three
  tags: [a, b]
  list:
    - {name: x, value: 1}
  empty: {}
  none: []
  quote: say "hi"
  quotes: '"hi", "ho"'
  url: https://a.example/b?c=d#e
  phone: "3135552015"
  day: "2026-03-31"
  id: "12ab"
  dash: "- no"
  lead: " x"
  ratio: "1:20"
  "key: x": "a: b"
z: end
"#
        );
        assert_eq!(read(&text)["a"], value);
    }

    #[test]
    fn comments_stand_above_and_beside() {
        let stub = Node::pair("valueFrom", Node::pair("env", Node::text("X")));
        let members = [
            Member { comments: vec![Comment::Words("Fill it in.".into())], ..Member::of("password", stub) },
            Member { remark: Some("Happy\nFrog".into()), ..Member::of("organization", Node::text("id:33")) },
            Member::comment("Nothing to see."),
        ];
        assert_eq!(
            document(&members),
            "# Fill it in.\npassword: {valueFrom: {env: X}}\norganization: id:33  # Happy Frog\n# Nothing to see.\n"
        );
    }

    #[test]
    fn what_moves_the_cursor_or_hides_is_escaped() {
        let text = "a\u{1b}[31m\u{202e}b";
        let written = written(&json!(text));
        assert!(!written.contains('\u{1b}') && !written.contains('\u{202e}'), "{written}");
        assert_eq!(read(&written)["a"], json!(text));
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,20}",
            "[ \\n\\t#:,\\[\\]{}\"'&*!|>%@`a-zA-Z0-9.+~=<-]{0,24}",
            "(a\\n| a\\n|\\n|b |#){0,6}",
            "[0-9._:exobTZ+-]{1,10}",
            proptest::collection::vec(any::<char>(), 0..8).prop_map(|letters| letters.into_iter().collect()),
        ]
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any_text().prop_map(Value::String),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
            (-1.0e9..1.0e9f64).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((any_text(), inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back_the_same(value in any_json()) {
            let text = written(&value);
            prop_assert_eq!(&read(&text)["a"], &value, "{}", text);
        }
    }
}
