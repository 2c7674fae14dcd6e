//! OData URLs: sets, keys, `$select`, `$filter`, `$expand` and the rest as text.
//!
//! An OData server applies a write without a key and without a filter to every row: [`has_key`] tells such paths.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::{
    description::format::{FieldSpec, FieldType, IdWire},
    value::text,
};

/// What a segment of a path may not have unescaped, a key in it included.
pub const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\');

/// A value in a key or a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A number, as it is written.
    Number(String),
    /// A text: in single quotes, those in it doubled.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

impl Literal {
    /// A number where the text is one, else the text.
    pub fn of(value: &str) -> Self {
        let number = !value.is_empty() && value.len() < 20 && value.bytes().all(|letter| letter.is_ascii_digit());
        if number { Self::Number(value.to_owned()) } else { Self::Text(value.to_owned()) }
    }

    /// A value as bodies have it; nothing for what a filter cannot name.
    pub fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Number(number) => Some(Self::Number(number.to_string())),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The value of a field, as its type says.
    pub fn of_field(field: Option<&FieldSpec>, value: &str) -> Self {
        match field {
            Some(field) if field.ty == FieldType::Boolean => Self::Bool(value == "true"),
            Some(field) if matches!(field.ty, FieldType::Integer | FieldType::Number) => Self::of(value),
            Some(field) if field.reference.as_ref().is_some_and(|target| target.wire == Some(IdWire::Number)) => {
                Self::of(value)
            }
            Some(_) => Self::Text(value.to_owned()),
            None => Self::of(value),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// What tells one object of a set from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Its id: `set(12)`.
    Id(Literal),
    /// Properties that are unique together: `set(uuid='…')`, `set(device=1,tag_key='…')`.
    Unique(Vec<(String, Literal)>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "({id})"),
            Self::Unique(parts) => {
                let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "({})", parts.join(","))
            }
        }
    }
}

/// Which objects of a set are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `path op value`
    Compare(String, &'static str, Literal),
    /// `path in (a,b)`; of one value, `path eq a`. An empty list is no filter and cannot be made.
    In(String, Literal, Vec<Literal>),
    /// All of them.
    All(Vec<Filter>),
    /// `nav/any(v:…)`, whose inner paths start with `v/`; without an inner filter, that there is anything at all.
    Any(String, &'static str, Option<Box<Filter>>),
    /// A filter as a description writes it.
    Text(String),
}

impl Filter {
    /// `path eq value`
    pub fn eq(path: impl Into<String>, value: Literal) -> Self {
        Self::Compare(path.into(), "eq", value)
    }

    /// `path in (…)`; nothing where there are no values, which OData cannot say.
    pub fn among(path: impl Into<String>, values: impl IntoIterator<Item = Literal>) -> Option<Self> {
        let mut values = values.into_iter();
        let first = values.next()?;
        Some(Self::In(path.into(), first, values.collect()))
    }

    /// All of these; nothing where there are none.
    pub fn all(mut filters: Vec<Self>) -> Option<Self> {
        if filters.len() > 1 { Some(Self::All(filters)) } else { filters.pop() }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(path, op, value) => write!(f, "{path} {op} {value}"),
            Self::In(path, only, more) if more.is_empty() => write!(f, "{path} eq {only}"),
            Self::In(path, first, more) => {
                write!(f, "{path} in ({first}")?;
                more.iter().try_for_each(|value| write!(f, ",{value}"))?;
                f.write_str(")")
            }
            Self::All(filters) => {
                for (number, filter) in filters.iter().enumerate() {
                    if number > 0 {
                        f.write_str(" and ")?;
                    }
                    // What a description writes may have an `or` in it.
                    if matches!(filter, Self::Text(text) if text.contains(" or ")) {
                        write!(f, "({filter})")?;
                    } else {
                        write!(f, "{filter}")?;
                    }
                }
                Ok(())
            }
            Self::Any(nav, letter, None) => write!(f, "{nav}/any({letter}:true)"),
            Self::Any(nav, letter, Some(inner)) => write!(f, "{nav}/any({letter}:{inner})"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What comes along with each object: `nav($select=…;$expand=…)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expand {
    /// The navigation property.
    pub nav: String,
    /// What is asked for.
    pub query: Query,
}

impl fmt::Display for Expand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.nav)?;
        let options = self.query.options();
        if options.is_empty() {
            return Ok(());
        }
        let options: Vec<String> = options.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, "({})", options.join(";"))
    }
}

/// What is asked of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Properties; all where none.
    pub select: Vec<String>,
    /// Which objects.
    pub filter: Option<Filter>,
    /// What comes along.
    pub expand: Vec<Expand>,
    /// Properties to sort by. The direction is always written: without one, some servers sort downwards.
    pub orderby: Vec<String>,
    /// Objects at most.
    pub top: Option<u32>,
    /// Objects to pass over.
    pub skip: Option<u64>,
}

impl Query {
    /// The query options, not encoded.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let joined = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(","));
        let sorted = self.orderby.iter().map(|property| format!("{property} asc")).collect();
        let options = [
            ("$select", joined(self.select.clone())),
            ("$filter", self.filter.as_ref().map(ToString::to_string)),
            ("$expand", joined(self.expand.iter().map(ToString::to_string).collect())),
            ("$orderby", joined(sorted)),
            ("$top", self.top.map(|top| top.to_string())),
            ("$skip", self.skip.map(|skip| skip.to_string())),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The path of a set, or of an object in it.
pub fn path(set: &str, key: Option<&Key>) -> String {
    let set = set.trim_matches('/');
    match key {
        None => format!("/{set}"),
        Some(key) => format!("/{set}{}", utf8_percent_encode(&key.to_string(), SEGMENT)),
    }
}

/// A value in the place of a template in a path: bare between quotes of the description's own, else a literal.
pub(crate) fn in_path(value: &str, quoted: bool) -> String {
    let literal = if quoted { value.replace('\'', "''") } else { Literal::of(value).to_string() };
    utf8_percent_encode(&literal, SEGMENT).to_string()
}

/// Whether a path names one object: its last part ends with a key.
pub fn has_key(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.strip_suffix(')').and_then(|rest| rest.split_once('(')).is_some_and(|(set, key)| {
        !set.is_empty() && !matches!(key.trim(), "" | "''") && !key.contains(['{', '}']) && !key.contains("%7B")
    })
}

/// The id in the `Location` of a new object: `/v7/set(12)`, or `/v7/set(@id)?@id=12`.
pub fn located(location: &str) -> Option<String> {
    let (path, query) = location.split_once('?').unwrap_or((location, ""));
    let by_name = |name: &str| {
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(given, _)| *given == name)).map(|(_, id)| id)
    };
    let key = path.trim_end_matches('/').strip_suffix(')')?.rsplit_once('(')?.1;
    let id = if key.starts_with('@') { by_name(key)? } else { key };
    let id = id.trim_matches('\'');
    (!id.is_empty()).then(|| id.to_owned())
}

/// Where an answer has its rows: the description's own place, or another that OData knows.
pub(super) fn place<'m>(body: &Value, many: &'m str) -> &'m str {
    let there = |path: &&str| crate::value::get_path(body, path).is_some_and(Value::is_array);
    [many, "d", "d.results", "value"].into_iter().find(there).unwrap_or(many)
}

/// The rows of an answer, or the bare list.
pub(super) fn rows<'b>(body: &'b Value, many: &str) -> Option<&'b Value> {
    crate::value::get_path(body, place(body, many)).or(Some(body)).filter(|list| list.is_array())
}

/// A reference as answers write it: `{"__id": 1}`, an array of the one expanded object, or the bare id.
pub(super) fn single(wire: &Value) -> Value {
    match wire {
        Value::Array(items) => items.first().cloned().unwrap_or(Value::Null),
        Value::Object(map) if map.len() == 1 && map.contains_key("__deferred") => Value::Null,
        other => other.clone(),
    }
}

/// The id that a reference in an answer names.
pub fn reference_id(wire: &Value) -> Option<String> {
    let wire = single(wire);
    text(&wire).or_else(|| wire.get("__id").or_else(|| wire.get("id")).and_then(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_quoted_and_numbers_are_not() {
        assert_eq!(Filter::eq("name", Literal::of("it's")).to_string(), "name eq 'it''s'");
        assert_eq!(Filter::eq("application", Literal::of("2")).to_string(), "application eq 2");
        assert_eq!(path("device", Some(&Key::Id(Literal::of("12")))), "/device(12)");
        let key =
            Key::Unique(vec![("device".into(), Literal::of("1")), ("tag_key".into(), Literal::Text("a/b'c".into()))]);
        assert_eq!(path("/device_tag", Some(&key)), "/device_tag(device=1,tag_key='a%2Fb''c')");
    }

    #[test]
    fn a_list_of_one_is_a_comparison_and_of_none_no_filter() {
        let among = |ids: &[&str]| Filter::among("id", ids.iter().map(|id| Literal::of(id)));
        assert_eq!(among(&[]), None);
        assert_eq!(among(&["1"]).unwrap().to_string(), "id eq 1");
        assert_eq!(among(&["1", "2"]).unwrap().to_string(), "id in (1,2)");
        let both = Filter::all(vec![Filter::Text("a eq 1 or b eq 2".into()), among(&["3"]).unwrap()]).unwrap();
        assert_eq!(both.to_string(), "(a eq 1 or b eq 2) and id eq 3");
    }

    #[test]
    fn a_direction_is_always_written() {
        let query = Query { orderby: vec!["id".into()], top: Some(5), ..Query::default() };
        assert_eq!(query.options(), [("$orderby", "id asc".to_owned()), ("$top", "5".to_owned())]);
    }

    #[test]
    fn locations_tell_the_id() {
        assert_eq!(located("/v7/application(@id)?@id=12").as_deref(), Some("12"));
        assert_eq!(located("https://h/v7/application(12)").as_deref(), Some("12"));
        assert_eq!(located("/v7/application"), None);
    }

    #[test]
    fn only_a_path_with_a_key_names_one_object() {
        assert!(has_key("/application(12)") && has_key("/device(uuid='a')"));
        for path in ["/application", "/application()", "/application('')", "/application({id})", "/application(1)/x"] {
            assert!(!has_key(path), "{path}");
        }
    }

    #[test]
    fn references_are_read_in_every_form() {
        for wire in [json!({"__id": 1}), json!([{"id": 1}]), json!([{"__id": 1}]), json!(1), json!("1")] {
            assert_eq!(reference_id(&wire).as_deref(), Some("1"), "{wire}");
        }
        for wire in [json!([]), json!(null), json!({"__deferred": {"uri": "/x"}})] {
            assert_eq!(reference_id(&wire), None, "{wire}");
        }
    }
}
