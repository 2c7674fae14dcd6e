//! YAML and JSON as trees whose scalars have the text that a MAC is computed over: that of the values which `sops`
//! reads there, whose types are those of Go's YAML and JSON.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, StrInput};
use zeroize::Zeroizing;

use super::{SopsError, cipher::Plain};

/// Collections inside each other at most, and nodes of a file.
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;

/// A value of a file.
#[derive(Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A scalar.
#[derive(Clone)]
pub(super) struct Leaf {
    text: Zeroizing<String>,
    kind: Kind,
}

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Time,
    Text,
}

impl Leaf {
    pub(super) fn decrypted(plain: Plain) -> Self {
        Self { text: plain.text, kind: plain.kind }
    }

    /// The text as the file has it; nothing where it is null.
    pub(super) fn text(&self) -> Option<&str> {
        (self.kind != Kind::Null).then_some(self.text.as_str())
    }

    /// The text that the MAC takes.
    pub(super) fn hashed(&self) -> &str {
        match self.kind {
            Kind::Bool if self.text.eq_ignore_ascii_case("true") => "True",
            Kind::Bool => "False",
            _ => &self.text,
        }
    }

    /// The text that a manifest is given; nothing where it is null.
    pub(super) fn value(&self) -> Option<&str> {
        match self.kind {
            Kind::Null => None,
            Kind::Bool if self.text.eq_ignore_ascii_case("true") => Some("true"),
            Kind::Bool => Some("false"),
            _ => Some(&self.text),
        }
    }
}

impl Node {
    /// The member or element of this name or number.
    pub(super) fn step(&self, step: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.iter().find(|(name, _)| name == step).map(|(_, member)| member),
            Self::List(items) => items.get(step.parse::<usize>().ok()?),
            Self::Leaf(_) => None,
        }
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Map(members) = self else { return None };
        let at = members.iter().position(|(member, _)| member == name)?;
        Some(members.remove(at).1)
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.step(name)? {
            Self::Leaf(leaf) => leaf.text(),
            _ => None,
        }
    }

    /// The elements of a member that is a list.
    pub(super) fn list(&self, name: &str) -> &[Self] {
        match self.step(name) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }
}

/// Reads the documents of a text. JSON is tried first: its escapes are not those of YAML.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, SopsError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
    {
        return Ok(vec![json(value)]);
    }
    yaml(text)
}

fn json(value: serde_json::Value) -> Node {
    use serde_json::Value;
    let leaf = |text: String, kind| Node::Leaf(Leaf { text: Zeroizing::new(text), kind });
    match value {
        Value::Null => leaf(String::new(), Kind::Null),
        Value::Bool(flag) => leaf(flag.to_string(), Kind::Bool),
        // Every number of a JSON file is a float to `sops`.
        Value::Number(number) => leaf(number.as_f64().unwrap_or_default().to_string(), Kind::Float),
        Value::String(text) => leaf(text, Kind::Text),
        Value::Array(items) => Node::List(items.into_iter().map(json).collect()),
        Value::Object(members) => Node::Map(members.into_iter().map(|(name, member)| (name, json(member))).collect()),
    }
}

fn yaml(text: &str) -> Result<Vec<Node>, SopsError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::default();
    for event in parser {
        let (event, span) = event.map_err(|error| {
            let mark = error.marker();
            SopsError::Syntax(format!("line {}, column {}", mark.line(), mark.col() + 1))
        })?;
        let line = span.start.line();
        let fits = match event {
            Event::DocumentStart(..) => {
                builder.anchors.clear();
                true
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = match tag.as_deref().and_then(|tag| tag.core_suffix()) {
                    Some("str" | "binary") => false,
                    _ => matches!(style, ScalarStyle::Plain),
                };
                let leaf = if plain { scalar(&text) } else { Leaf { text: text.to_string().into(), kind: Kind::Text } };
                builder.place(Node::Leaf(leaf), anchor)
            }
            Event::Alias(id) => match builder.anchors.get(&id).cloned() {
                Some(node) => builder.place(node, 0),
                None => false,
            },
            Event::SequenceStart(_, anchor, _) => builder.begin(Open::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => builder.begin(Open::Map(OpenMap::default()), anchor),
            Event::SequenceEnd | Event::MappingEnd => builder.end(),
            _ => true,
        };
        if !fits {
            return Err(SopsError::Syntax(format!("line {line}")));
        }
    }
    Ok(builder.documents)
}

enum Open {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    members: Vec<(String, Node)>,
    key: Option<String>,
    names: HashSet<String>,
}

#[derive(Default)]
struct Builder {
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: Vec<Node>,
}

impl Builder {
    fn begin(&mut self, open: Open, anchor: usize) -> bool {
        let is_key = matches!(self.open.last(), Some((Open::Map(OpenMap { key: None, .. }), _)));
        self.open.push((open, anchor));
        !is_key && self.open.len() <= MAX_DEPTH
    }

    fn end(&mut self) -> bool {
        match self.open.pop() {
            Some((Open::List(items), anchor)) => self.place(Node::List(items), anchor),
            Some((Open::Map(OpenMap { members, key: None, .. }), anchor)) => self.place(Node::Map(members), anchor),
            _ => false,
        }
    }

    /// Puts a node where it belongs; false where it cannot be there.
    fn place(&mut self, node: Node, anchor: usize) -> bool {
        self.nodes += if matches!(node, Node::Leaf(_)) { 1 } else { size(&node) };
        if self.nodes > MAX_NODES {
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some((Open::List(items), _)) => items.push(node),
            Some((Open::Map(map), _)) => match (map.key.take(), node) {
                (Some(key), node) => map.members.push((key, node)),
                (None, Node::Leaf(leaf)) if map.names.insert(leaf.text.to_string()) => {
                    map.key = Some(leaf.text.to_string());
                }
                _ => return false,
            },
        }
        true
    }
}

fn size(node: &Node) -> usize {
    match node {
        Node::Leaf(_) => 1,
        Node::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Node::Map(members) => 1 + members.iter().map(|(_, member)| size(member)).sum::<usize>(),
    }
}

/// A scalar without quotes by the rules of Go's YAML, in the text that Go prints it in.
fn scalar(text: &str) -> Leaf {
    let leaf = |text: String, kind| Leaf { text: Zeroizing::new(text), kind };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return leaf(String::new(), Kind::Null),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return leaf(text.to_owned(), Kind::Bool),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return leaf("+Inf".to_owned(), Kind::Float),
        "-.inf" | "-.Inf" | "-.INF" => return leaf("-Inf".to_owned(), Kind::Float),
        ".nan" | ".NaN" | ".NAN" => return leaf("NaN".to_owned(), Kind::Float),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return leaf(text.to_owned(), Kind::Text);
    }
    if let Some(time) = time(text) {
        return leaf(time, Kind::Time);
    }
    let plain = text.replace('_', "");
    if let Some(number) = integer(&plain) {
        return leaf(number.to_string(), Kind::Int);
    }
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let is_float = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && digits.bytes().any(|byte| byte.is_ascii_digit());
    match plain.parse::<f64>() {
        Ok(number) if is_float && number.is_finite() => leaf(number.to_string(), Kind::Float),
        _ => leaf(text.to_owned(), Kind::Text),
    }
}

fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (lower.get(2..)?, 16),
        Some("0o") => (lower.get(2..)?, 8),
        Some("0b") => (lower.get(2..)?, 2),
        _ if lower.len() > 1 && lower.starts_with('0') => (lower.get(1..)?, 8),
        _ => (lower.as_str(), 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?.checked_mul(sign)?;
    (number >= i128::from(i64::MIN) && number <= i128::from(u64::MAX)).then_some(number)
}

/// A date or a time in the form that `sops` writes; dates are midnight in UTC.
fn time(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || !bytes.iter().take(4).all(u8::is_ascii_digit) {
        return None;
    }
    if text.len() <= 10 {
        return text.parse::<jiff::civil::Date>().ok().map(|date| format!("{date}T00:00:00Z"));
    }
    let is_time = text.contains(['T', 't']) && text.parse::<jiff::Timestamp>().is_ok();
    is_time.then(|| text.replace('t', "T").replace('z', "Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_what_go_reads() {
        for (text, kind, hashed) in [
            ("null", Kind::Null, ""),
            ("yes", Kind::Text, "yes"),
            ("True", Kind::Bool, "True"),
            ("false", Kind::Bool, "False"),
            ("0755", Kind::Int, "493"),
            ("0o17", Kind::Int, "15"),
            ("0x1F", Kind::Int, "31"),
            ("-0b11", Kind::Int, "-3"),
            ("1_000", Kind::Int, "1000"),
            ("089", Kind::Float, "89"),
            ("1.50", Kind::Float, "1.5"),
            ("1e3", Kind::Float, "1000"),
            (".5", Kind::Float, "0.5"),
            ("1e-7", Kind::Float, "0.0000001"),
            ("1.2.3", Kind::Text, "1.2.3"),
            ("-", Kind::Text, "-"),
            ("2024-02-29", Kind::Time, "2024-02-29T00:00:00Z"),
            ("2024-02-29T12:30:00.5+02:00", Kind::Time, "2024-02-29T12:30:00.5+02:00"),
            ("2024-02-30", Kind::Text, "2024-02-30"),
        ] {
            let leaf = scalar(text);
            assert_eq!((leaf.kind, leaf.hashed()), (kind, hashed), "{text}");
        }
    }

    #[test]
    fn aliases_of_aliases_do_not_grow_without_bound() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let all = vec![format!("*a{}", level - 1); 10].join(", ");
            let _ = std::fmt::Write::write_fmt(&mut bomb, format_args!("a{level}: &a{level} [{all}]\n"));
        }
        assert!(matches!(parse(&bomb), Err(SopsError::Syntax(_))));
        assert!(matches!(parse("a: [b"), Err(SopsError::Syntax(_))));
        assert!(matches!(parse("a: 1\na: 2\n"), Err(SopsError::Syntax(_))));
    }
}
