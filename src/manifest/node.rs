//! The tree of one YAML document: scalars with their source text, and the mark where each node stands.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::{
    address::unescape,
    diagnostic::{Place, SourceId},
};

/// Where a node stands in its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Line, from 1.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
    /// First byte.
    pub(super) start: u32,
    /// Byte after the last; `start` for collections.
    pub(super) end: u32,
}

impl Mark {
    /// The place in a text; its length ends with the line.
    pub(super) fn place(self, source: SourceId, text: &str) -> Place {
        let written = text.get(self.start as usize..self.end as usize).unwrap_or_default();
        let length = written.lines().next().unwrap_or_default().chars().count();
        Place { source, line: self.line, column: self.column, length: u32::try_from(length).unwrap_or(0) }
    }
}

/// One value of a document.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) at: Mark,
    pub(super) shape: Shape<'a>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Shape<'a> {
    Scalar(Scalar<'a>),
    List(Vec<Node<'a>>),
    Map(Vec<Member<'a>>),
}

/// A scalar as it was written.
#[derive(Debug, Clone)]
pub(super) struct Scalar<'a> {
    pub(super) text: Cow<'a, str>,
    /// It has no quotes, so that its type follows from its text.
    pub(super) plain: bool,
}

/// One key of a map, and its value.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) at: Mark,
    pub(super) value: Node<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.shape, Shape::Scalar(scalar) if scalar.is_null())
    }

    pub(super) fn as_map(&self) -> Option<&[Member<'a>]> {
        match &self.shape {
            Shape::Map(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Node<'a>]> {
        match &self.shape {
            Shape::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a scalar that is not null, whatever its type.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// The text of a scalar that is a string.
    pub(super) fn as_string(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(scalar) if matches!(scalar.resolve(), Resolved::Text) => Some(&scalar.text),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.member(key).map(|member| &member.value)
    }

    pub(super) fn member(&self, key: &str) -> Option<&Member<'a>> {
        self.as_map()?.iter().find(|member| member.key == key)
    }

    /// What it is, for messages: never its value.
    pub(super) fn describe(&self) -> &'static str {
        match &self.shape {
            Shape::List(_) => "a list",
            Shape::Map(_) => "a map",
            Shape::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "null",
                Resolved::Bool(_) => "a boolean",
                Resolved::Integer(_) => "a whole number",
                Resolved::Float(_) => "a number",
                Resolved::Text | Resolved::TooLarge => "text",
            },
        }
    }

    /// The value as JSON, types by YAML 1.2's core schema; numbers that JSON cannot carry stay text.
    pub(super) fn to_json(&self) -> Value {
        match &self.shape {
            Shape::Scalar(scalar) => scalar.to_json(),
            Shape::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Shape::Map(members) => Value::Object(
                members.iter().map(|member| (member.key.to_string(), member.value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Where a JSON pointer leads, or its nearest ancestor that exists.
    pub(super) fn locate(&self, pointer: &str) -> Mark {
        let mut node = self;
        let mut mark = self.at;
        for segment in pointer.split('/').skip(1) {
            let segment = unescape(segment);
            let found = match &node.shape {
                Shape::Map(_) => node.member(&segment).map(|member| (member.at, &member.value)),
                Shape::List(items) => {
                    segment.parse().ok().and_then(|index: usize| items.get(index)).map(|item| (item.at, item))
                }
                Shape::Scalar(_) => None,
            };
            let Some((key, next)) = found else { break };
            node = next;
            mark = node.best(key);
        }
        mark
    }

    /// How many nodes it has, and how many collections are inside each other.
    pub(super) fn size(&self) -> (usize, usize) {
        let children: Box<dyn Iterator<Item = &Node<'_>> + '_> = match &self.shape {
            Shape::Scalar(_) => return (1, 0),
            Shape::List(items) => Box::new(items.iter()),
            Shape::Map(members) => Box::new(members.iter().map(|member| &member.value)),
        };
        let (nodes, depth) = children.map(Node::size).fold((0, 0), |all, one| (all.0 + one.0, all.1.max(one.1)));
        (nodes + 1, depth + 1)
    }

    /// Where to point at a value: at itself if it is a scalar that is written, else at its key.
    pub(super) fn best(&self, key: Mark) -> Mark {
        match &self.shape {
            Shape::Scalar(_) if self.at.end > self.at.start => self.at,
            _ => key,
        }
    }
}

/// A scalar by YAML 1.2's core schema. Numbers with leading zeros are text, as are numbers that JSON cannot carry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Integer(Number),
    Float(Number),
    /// A number beyond what 64 bits hold.
    TooLarge,
    Text,
}

impl Scalar<'_> {
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    pub(super) fn resolve(&self) -> Resolved {
        if self.is_null() {
            return Resolved::Null;
        }
        if !self.plain {
            return Resolved::Text;
        }
        match &*self.text {
            "true" | "True" | "TRUE" => Resolved::Bool(true),
            "false" | "False" | "FALSE" => Resolved::Bool(false),
            text => number(text),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self.resolve() {
            Resolved::Null => Value::Null,
            Resolved::Bool(flag) => Value::Bool(flag),
            Resolved::Integer(number) | Resolved::Float(number) => Value::Number(number),
            Resolved::Text | Resolved::TooLarge => Value::String(self.text.to_string()),
        }
    }
}

fn number(text: &str) -> Resolved {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Resolved::Text;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return match u64::from_str_radix(digits, radix) {
                Ok(value) if !digits.starts_with('+') => Resolved::Integer(value.into()),
                _ => Resolved::Text,
            };
        }
    }
    let whole = unsigned.split(['.', 'e', 'E']).next().unwrap_or_default();
    if whole.len() > 1 && whole.starts_with('0') {
        return Resolved::Text;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        return match (signed.parse::<i64>(), signed.parse::<u64>()) {
            (Ok(value), _) => Resolved::Integer(value.into()),
            (_, Ok(value)) => Resolved::Integer(value.into()),
            _ => Resolved::TooLarge,
        };
    }
    let looks_like_one = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(value) if looks_like_one => Number::from_f64(value).map_or(Resolved::TooLarge, Resolved::Float),
        _ => Resolved::Text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(text: &str) -> Value {
        Scalar { text: text.into(), plain: true }.to_json()
    }

    #[test]
    fn plain_scalars_have_the_types_of_the_core_schema() {
        assert_eq!(plain("true"), json!(true));
        assert_eq!(plain("~"), json!(null));
        assert_eq!(plain("-12"), json!(-12));
        assert_eq!(plain("+12"), json!(12));
        assert_eq!(plain("0x1F"), json!(31));
        assert_eq!(plain("1.10"), json!(1.1));
        assert_eq!(plain("1e3"), json!(1000.0));
        assert_eq!(plain("18446744073709551615"), json!(u64::MAX));
    }

    #[test]
    fn what_older_yaml_would_change_stays_text() {
        for text in
            ["yes", "on", "0755", "1_000", "1:30", ".inf", "-", ".", "1.2.3", "12e", "184467440737095516150", "+0x1"]
        {
            assert_eq!(plain(text), json!(text));
        }
    }
}
