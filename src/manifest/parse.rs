//! Text → documents: YAML events become trees with marks. What is wrong in one document does not hide the others.
//!
//! Documents that would grow without bound (aliases of aliases, deep nesting) are refused.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::node::{Mark, Member, Node, Scalar, Shape};
use crate::diagnostic::{Diagnostic, Place, SourceId};

/// Collections inside each other at most.
const MAX_DEPTH: usize = 64;
/// Nodes that aliases may copy within one text.
const MAX_COPIES: usize = 100_000;
/// Keys from which duplicates are looked for by hash.
const MANY_KEYS: usize = 16;

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    /// Its documents, but for empty ones.
    pub(super) documents: Vec<Document<'a>>,
    /// What is wrong with the YAML.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// A document could not be read at all.
    pub(super) lost: bool,
}

/// One document.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) root: Node<'a>,
    /// Something in it is wrong, and reported.
    pub(super) broken: bool,
}

/// Reads all documents of a text.
pub(super) fn documents(text: &str, source: SourceId) -> Parsed<'_> {
    let mut builder = Builder::new(text, source);
    let mut parser = Parser::new_from_str_with_options(text, options());
    let mut parsed = Parsed::default();
    loop {
        match builder.next(&mut parser) {
            Ok(Some(root)) => {
                let broken = !builder.diagnostics.is_empty();
                parsed.diagnostics.append(&mut builder.diagnostics);
                if !root.is_null() {
                    parsed.documents.push(Document { root, broken });
                }
            }
            Ok(None) => break,
            Err(fatal) => {
                parsed.lost = true;
                parsed.diagnostics.append(&mut builder.diagnostics);
                parsed.diagnostics.push(*fatal);
                builder.reset();
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    parsed
}

/// Finds the place of a JSON pointer, or of its nearest ancestor, within the value that starts at a byte of a text; lines
/// are counted from the one that the value starts in.
pub(super) fn locate(text: &str, source: SourceId, start: usize, pointer: &str) -> Option<Place> {
    let before = text.get(..start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    // The value may be indented, or stand after `- `: as far as YAML is concerned, blanks do as well.
    let indent = before.get(line_start..)?.chars().count();
    let rest = text.get(start..)?;
    let end = rest.find("\n---").unwrap_or(rest.len());
    let padded = format!("{}{}", " ".repeat(indent), rest.get(..end)?);
    let mut builder = Builder::new(&padded, source);
    let mut parser = Parser::new_from_str_with_options(&padded, options());
    let root = builder.next(&mut parser).ok().flatten()?;
    Some(root.locate(pointer).place(source, &padded))
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    options
}

type Fatal = Box<Diagnostic>;

/// Puts the nodes of one document together.
struct Builder<'a> {
    text: &'a str,
    source: SourceId,
    open: Vec<Open<'a>>,
    anchors: HashMap<usize, Anchor<'a>>,
    copies: usize,
    diagnostics: Vec<Diagnostic>,
}

/// A collection whose end was not seen yet.
struct Open<'a> {
    at: Mark,
    anchor: usize,
    content: Content<'a>,
}

enum Content<'a> {
    List(Vec<Node<'a>>),
    Map(OpenMap<'a>),
}

#[derive(Default)]
struct OpenMap<'a> {
    members: Vec<Member<'a>>,
    /// The key whose value comes next.
    key: Option<Key<'a>>,
    /// Values of merge keys (`<<`).
    merges: Vec<Node<'a>>,
}

struct Key<'a> {
    text: Cow<'a, str>,
    plain: bool,
    at: Mark,
}

/// The keys of a map so far: looked through while they are few, hashed once they are many.
#[derive(Default)]
struct Keys {
    many: bool,
    seen: HashSet<String>,
}

impl Keys {
    /// Whether a key is new.
    fn add(&mut self, key: &str, so_far: &[Member<'_>]) -> bool {
        if self.many { self.seen.insert(key.to_owned()) } else { so_far.iter().all(|member| member.key != key) }
    }
}

struct Anchor<'a> {
    node: Node<'a>,
    nodes: usize,
    depth: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, source: SourceId) -> Self {
        Self { text, source, open: Vec::new(), anchors: HashMap::new(), copies: 0, diagnostics: Vec::new() }
    }

    fn reset(&mut self) {
        self.open.clear();
        self.anchors.clear();
    }

    /// The next document's root, or nothing at the end.
    fn next(&mut self, parser: &mut Parser<'a, StrInput<'a>>) -> Result<Option<Node<'a>>, Fatal> {
        for event in parser.by_ref() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            let done = match event {
                Event::DocumentStart(..) => {
                    self.reset();
                    None
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let at = mark(&span);
                    let plain = self.is_plain(style, tag.as_deref(), at);
                    self.place(Node { at, shape: Shape::Scalar(Scalar { text, plain }) }, anchor)?
                }
                Event::Alias(id) => {
                    let node = self.copy(id, mark(&span))?;
                    self.place(node, 0)?
                }
                Event::UnresolvedAlias(name) => {
                    let at = mark(&span);
                    self.problem("PL0010", format!("There is no anchor `&{name}` before this alias."), at);
                    self.place(Node { at, shape: Shape::Scalar(Scalar { text: name, plain: false }) }, 0)?
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.begin(Content::List(Vec::new()), anchor, tag.as_deref(), &span)?;
                    None
                }
                Event::MappingStart(_, anchor, tag) => {
                    self.begin(Content::Map(OpenMap::default()), anchor, tag.as_deref(), &span)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                _ => None,
            };
            if done.is_some() {
                return Ok(done);
            }
        }
        Ok(None)
    }

    fn begin(&mut self, content: Content<'a>, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), Fatal> {
        let mut at = mark(span);
        at.end = at.start;
        if let Some(Open { content: Content::Map(OpenMap { key: None, .. }), .. }) = self.open.last() {
            return Err(self.wrong_key(at));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        if let Some(tag) = tag
            && !matches!(tag.core_suffix(), Some("seq" | "map"))
        {
            self.unknown_tag(tag, at);
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Node<'a>>, Fatal> {
        let Some(open) = self.open.pop() else { return Ok(None) };
        let shape = match open.content {
            Content::List(items) => Shape::List(items),
            Content::Map(map) => Shape::Map(self.finish_map(map)),
        };
        self.place(Node { at: open.at, shape }, open.anchor)
    }

    /// Puts a finished node where it belongs; gives it back where it is the root.
    fn place(&mut self, node: Node<'a>, anchor: usize) -> Result<Option<Node<'a>>, Fatal> {
        if anchor != 0 {
            let (nodes, depth) = node.size();
            self.anchors.insert(anchor, Anchor { node: node.clone(), nodes, depth });
        }
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map(map) => match (map.key.take(), node.shape) {
                (Some(key), shape) => {
                    let value = Node { at: node.at, shape };
                    if key.plain && key.text == "<<" {
                        map.merges.push(value);
                    } else {
                        map.members.push(Member { key: key.text, at: key.at, value });
                    }
                }
                (None, Shape::Scalar(scalar)) => {
                    map.key = Some(Key { text: scalar.text, plain: scalar.plain, at: node.at });
                }
                (None, _) => {
                    return Err(self.wrong_key(node.at));
                }
            },
        }
        Ok(None)
    }

    fn copy(&mut self, id: usize, at: Mark) -> Result<Node<'a>, Fatal> {
        let Some(anchor) = self.anchors.get(&id) else {
            return Err(self.fatal("PL0010", "The value that this alias stands for contains the alias itself.", at));
        };
        self.copies += anchor.nodes;
        if self.copies > MAX_COPIES {
            let message = format!("The aliases of this file stand for more than {MAX_COPIES} values.");
            return Err(self.fatal("PL0009", message, at));
        }
        if self.open.len() + anchor.depth > MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        Ok(anchor.node.clone())
    }

    /// Refuses duplicate keys and resolves merge keys (`<<`).
    fn finish_map(&mut self, map: OpenMap<'a>) -> Vec<Member<'a>> {
        let mut keys = Keys { many: map.members.len() > MANY_KEYS || !map.merges.is_empty(), ..Keys::default() };
        let mut out: Vec<Member<'a>> = Vec::with_capacity(map.members.len());
        for member in map.members {
            if keys.add(&member.key, &out) {
                out.push(member);
            } else {
                let first = out.iter().find(|other| other.key == member.key).map(|other| self.at(other.at));
                let diagnostic = Diagnostic::error("PL0008", format!("The key `{}` is there twice.", member.key))
                    .hint("Keep one of the two.")
                    .at(Some(self.at(member.at)))
                    .see(first, "it is here first");
                self.diagnostics.push(diagnostic);
            }
        }
        for value in map.merges {
            let at = value.at;
            let maps = match value.shape {
                Shape::List(items) => items,
                shape => vec![Node { at, shape }],
            };
            for map in maps {
                let Shape::Map(members) = map.shape else {
                    self.problem("PL0010", "A merge key `<<` takes a map, or a list of maps.".to_owned(), at);
                    continue;
                };
                for member in members {
                    if keys.add(&member.key, &out) {
                        out.push(member);
                    }
                }
            }
        }
        out
    }

    fn is_plain(&mut self, style: ScalarStyle, tag: Option<&Tag>, at: Mark) -> bool {
        match tag.map(|tag| (tag, tag.core_suffix())) {
            None => matches!(style, ScalarStyle::Plain),
            Some((_, Some("str"))) => false,
            Some((_, Some("int" | "float" | "bool" | "null"))) => true,
            Some((tag, _)) => {
                if tag.original() != "!" {
                    self.unknown_tag(tag, at);
                }
                false
            }
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, at: Mark) {
        let message = format!("The tag `{}` means nothing here.", tag.original());
        self.problem("PL0010", message, at);
    }

    fn at(&self, mark: Mark) -> Place {
        mark.place(self.source, self.text)
    }

    fn problem(&mut self, code: &'static str, message: String, at: Mark) {
        let diagnostic = Diagnostic::error(code, message).at(Some(self.at(at)));
        self.diagnostics.push(diagnostic);
    }

    /// The line that a mark is on.
    fn line(&self, at: Mark) -> &str {
        let (before, after) = self.text.split_at_checked(at.start as usize).unwrap_or((self.text, ""));
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let end = before.len() + after.find('\n').unwrap_or(after.len());
        self.text.get(start..end).unwrap_or_default()
    }

    fn fatal(&self, code: &'static str, message: impl Into<String>, at: Mark) -> Fatal {
        Box::new(Diagnostic::error(code, message).at(Some(self.at(at))))
    }

    fn wrong_key(&self, at: Mark) -> Fatal {
        let fatal = self.fatal("PL0010", "The key of a map has to be text, not a list or a map.", at);
        if is_template(self.line(at)) { Box::new(fatal.hint(TEMPLATE)) } else { fatal }
    }

    fn too_deep(&self, at: Mark) -> Fatal {
        self.fatal("PL0009", format!("Lists and maps are nested more than {MAX_DEPTH} deep."), at)
    }

    fn syntax(&self, error: &ScanError) -> Fatal {
        let marker = error.marker();
        let start = marker.byte_offset().map_or(0, small);
        let at = Mark { line: small(marker.line()), column: small(marker.col() + 1), start, end: start };
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return self.too_deep(at);
        }
        let line = self.line(at);
        let message = error.kind().to_string();
        let hint = if is_template(line) {
            Some(TEMPLATE)
        } else if line.trim_start_matches(' ').starts_with('\t') {
            Some("Indent with blanks: YAML takes no tabs there.")
        } else if message.contains("mapping values") && line.matches(": ").count() > 1 {
            Some("Put a value that contains `: ` in quotes.")
        } else if message.contains("expected ','") {
            Some("Before this, a comma or a closing bracket is missing.")
        } else {
            None
        };
        let diagnostic = Diagnostic::error("PL0007", format!("This is not YAML: {message}.")).at(Some(self.at(at)));
        Box::new(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        })
    }
}

const TEMPLATE: &str = "It looks like a template: render it first and pipe the result to `-f -`.";

fn is_template(line: &str) -> bool {
    line.contains("{{") || line.contains("{%")
}

fn mark(span: &Span) -> Mark {
    let start = span.start.byte_offset().map_or(0, small);
    let end = span.end.byte_offset().map_or(start, small).max(start);
    Mark { line: small(span.start.line()), column: small(span.start.col() + 1), start, end }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> (Vec<Value>, Vec<String>) {
        let parsed = documents(text, SourceId(0));
        let values = parsed.documents.iter().map(|document| document.root.to_json()).collect();
        let faults = parsed.diagnostics.iter().map(|fault| {
            let place = fault.place.unwrap();
            format!("{}:{} {}", place.line, place.column, fault.code)
        });
        (values, faults.collect())
    }

    #[test]
    fn a_broken_document_does_not_hide_the_next() {
        let (values, faults) = read("a: 1\n---\nb: [1, 2\n---\nc: 3\n---\n---\nd: 4\n");
        assert_eq!(values, [json!({"a": 1}), json!({"c": 3}), json!({"d": 4})]);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].ends_with("PL0007"), "{faults:?}");
    }

    #[test]
    fn aliases_and_merge_keys_are_filled_in() {
        let (values, faults) = read("base: &base {x: 1, y: 2}\nmine: {<<: *base, y: 3}\nsame: *base\n'<<': text\n");
        assert_eq!(
            values,
            [json!({"base": {"x": 1, "y": 2}, "mine": {"y": 3, "x": 1}, "same": {"x": 1, "y": 2}, "<<": "text"})]
        );
        assert!(faults.is_empty());
    }

    #[test]
    fn duplicate_keys_are_found_in_small_and_large_maps() {
        assert_eq!(read("a: 1\nb: 2\na: 3\n").1, ["3:1 PL0008"]);
        let mut many = String::new();
        for index in 0..100 {
            writeln!(many, "k{index}: 1").unwrap();
        }
        assert_eq!(read(&format!("{many}k7: 1\n")).1, ["101:1 PL0008"]);
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let item = format!("*a{}", level - 1);
            writeln!(bomb, "a{level}: &a{level} [{}]", vec![item; 9].join(", ")).unwrap();
        }
        assert_eq!(read(&bomb).1.len(), 1);
        assert!(read(&bomb).1[0].ends_with("PL0009"));
        for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
            let (values, faults) = read(&deep);
            assert!(values.is_empty());
            assert!(faults[0].ends_with("PL0009"), "{faults:?}");
        }
        let mut chain = String::from("a0: &a0 [x]\n");
        for level in 1..100 {
            writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
        }
        assert!(read(&chain).1[0].ends_with("PL0009"));
    }

    #[test]
    fn what_yaml_can_say_and_manifests_cannot_is_refused() {
        assert_eq!(read("a: &a [*a]\n").1, ["1:8 PL0010"]);
        assert_eq!(read("a: *none\n").1, ["1:4 PL0010"]);
        assert_eq!(read("a: !secret x\n").1, ["1:12 PL0010"]);
        assert_eq!(read("[a, b]: 1\n").1, ["1:1 PL0010"]);
        assert_eq!(read("a: !!str 8080\nb: !!int 7\nc: ! 8\n").0, [json!({"a": "8080", "b": 7, "c": "8"})]);
    }

    #[test]
    fn json_is_read_with_its_escapes_and_tabs() {
        let (values, faults) =
            read("{\n\t\"a\": \"\\u00e9\\ud83d\\ude00\\/\\n\",\r\n\t\"b\":[1,2.5,null,true,\"x\"]\n}\n");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(values, [json!({"a": "é😀/\n", "b": [1, 2.5, null, true, "x"]})]);
    }

    #[test]
    fn places_are_found_again_from_a_start() {
        let text = "x: 1\n---\nkind: List\nitems:\n- a: 1\n  spec:\n    name: ü\n    list: [p, q]\n- a: 2\n";
        let start = text.find("a: 1").unwrap();
        let place = |pointer: &str| {
            let place = locate(text, SourceId(0), start, pointer).unwrap();
            (place.line, place.column, place.length)
        };
        assert_eq!(place("/spec/name"), (3, 11, 1));
        assert_eq!(place("/spec/list/1"), (4, 15, 1));
        assert_eq!(place("/spec/list/9"), (4, 5, 4));
        assert_eq!(place("/spec/none/x"), (2, 3, 4));
        assert_eq!(place("/a"), (1, 6, 1));
    }
}
