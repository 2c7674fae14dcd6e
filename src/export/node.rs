//! A YAML document under construction: values with the comments that stand beside them.

use serde_json::Value;

/// A value in a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Text, a number, `true`, `false` or null.
    Scalar(Value),
    /// A list.
    List(Vec<Item>),
    /// A map.
    Map(Vec<Member>),
}

/// A comment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comment {
    /// Words, which may be broken into lines.
    Words(String),
    /// A line of YAML, as it would stand there.
    Code(String),
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Lines before it.
    pub(super) comments: Vec<Comment>,
    /// The value; none where there are only comments.
    pub(super) value: Option<Node>,
    /// A remark after it, on its line.
    pub(super) remark: Option<String>,
}

/// A member of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Its name.
    pub(super) key: String,
    /// Lines before it.
    pub(super) comments: Vec<Comment>,
    /// The value; none where there are only comments.
    pub(super) value: Option<Node>,
    /// A remark after it, on its line.
    pub(super) remark: Option<String>,
}

impl Item {
    /// An item without comments.
    pub(super) fn of(value: Node) -> Self {
        Self { comments: Vec::new(), value: Some(value), remark: None }
    }

    /// A comment in place of an item.
    pub(super) fn comment(text: impl Into<String>) -> Self {
        Self { comments: vec![Comment::Words(text.into())], value: None, remark: None }
    }
}

impl Member {
    /// A member without comments.
    pub(super) fn of(key: impl Into<String>, value: Node) -> Self {
        Self { key: key.into(), comments: Vec::new(), value: Some(value), remark: None }
    }

    /// A comment in place of a member.
    pub(super) fn comment(text: impl Into<String>) -> Self {
        Self { key: String::new(), comments: vec![Comment::Words(text.into())], value: None, remark: None }
    }
}

impl Node {
    /// A text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Value::String(text.into()))
    }

    /// A map of one member.
    pub(super) fn pair(key: &str, value: Self) -> Self {
        Self::Map(vec![Member::of(key, value)])
    }

    /// The value without its comments.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().filter_map(|item| item.value.as_ref()).map(Self::value).collect(),
            Self::Map(members) => {
                members.iter().filter_map(|member| Some((member.key.clone(), member.value.as_ref()?.value()))).collect()
            }
        }
    }

    /// Whether there is nothing in it but comments.
    pub(super) fn is_bare(&self) -> bool {
        match self {
            Self::Scalar(_) => false,
            Self::List(items) => items.iter().all(|item| item.value.is_none()),
            Self::Map(members) => members.iter().all(|member| member.value.is_none()),
        }
    }
}
