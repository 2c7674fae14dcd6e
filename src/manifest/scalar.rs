//! One scalar → a typed value, checked against what the description says of its type, length, range and form.

use std::{collections::HashMap, net::IpAddr};

use regex::Regex;
use serde_json::Value;

use super::node::{Resolved, Scalar};
use crate::{
    description::format::{FieldSpec, FieldType, Format},
    diagnostic::{Diagnostic, nearest},
    value,
};

/// Regular expressions of descriptions, compiled once each.
#[derive(Debug, Default)]
pub(super) struct Patterns(HashMap<String, Option<Regex>>);

impl Patterns {
    /// Whether a whole text matches; an expression that does not compile is a description's fault and matches all.
    pub(super) fn matches(&mut self, pattern: &str, text: &str) -> bool {
        if !self.0.contains_key(pattern) {
            self.0.insert(pattern.to_owned(), Regex::new(&format!("^(?:{pattern})$")).ok());
        }
        self.0.get(pattern).and_then(Option::as_ref).is_none_or(|regex| regex.is_match(text))
    }
}

/// Tells whether values from elsewhere could stand in a manifest.
#[derive(Debug, Default)]
pub struct Fitting(Patterns);

impl Fitting {
    /// Whether a text from elsewhere has the length and the form that a field asks for.
    pub fn takes(&mut self, text: &str, field: &FieldSpec) -> bool {
        field.max_length.is_none_or(|most| text.chars().count() <= most as usize)
            && field.pattern.as_ref().is_none_or(|pattern| self.0.matches(pattern, text))
            && !field.not_pattern.as_ref().is_some_and(|pattern| self.0.matches(pattern, text))
    }

    /// Why a manifest could not have this scalar in a field, in a sentence.
    pub fn misfit(&mut self, name: &str, value: &Value, field: &FieldSpec) -> Option<String> {
        let fits = match (field.ty, value) {
            (FieldType::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (FieldType::Boolean, Value::Bool(_))
            | (FieldType::Number, Value::Number(_))
            | (FieldType::String | FieldType::Ref, Value::String(_))
            | (FieldType::Any, _) => true,
            (FieldType::Date, Value::String(text)) => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            (FieldType::Datetime, Value::String(text)) => text.parse::<jiff::Timestamp>().is_ok(),
            _ => false,
        };
        if !fits {
            return Some(format!("`{name}` has a value of another type than the description says."));
        }
        check(name, value, field, &mut self.0).map(|wrong| wrong.message)
    }
}

/// The typed value of a scalar that is not null. Says what was expected where it has the wrong type.
pub(super) fn convert(scalar: &Scalar<'_>, ty: FieldType) -> Result<Value, &'static str> {
    let text = &*scalar.text;
    match ty {
        FieldType::Integer => match scalar.resolve() {
            Resolved::Integer(number) => Ok(Value::Number(number)),
            _ => Err("a whole number"),
        },
        FieldType::Number => match scalar.resolve() {
            Resolved::Integer(number) | Resolved::Float(number) => Ok(Value::Number(number)),
            _ => Err("a number"),
        },
        FieldType::Boolean => match scalar.resolve() {
            Resolved::Bool(flag) => Ok(Value::Bool(flag)),
            _ => Err("`true` or `false`"),
        },
        FieldType::Date => match text.parse::<jiff::civil::Date>() {
            Ok(_) if text.len() == 10 => Ok(Value::String(text.to_owned())),
            _ => Err("a day such as `2026-03-31`"),
        },
        FieldType::Datetime => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Value::String(text.to_owned())),
            Err(_) => Err("an instant such as `2026-03-31T12:00:00Z`"),
        },
        FieldType::Map | FieldType::Object => Err("a map"),
        FieldType::List => Err("a list"),
        FieldType::File => Err("a file such as `{file: PATH}`"),
        FieldType::Sink => Err("where to put it, such as `{file: PATH}`"),
        FieldType::Any => match scalar.resolve() {
            Resolved::TooLarge => Err("a number that 64 bits can hold, or text in quotes"),
            _ => Ok(scalar.to_json()),
        },
        FieldType::String | FieldType::Ref => Ok(Value::String(text.to_owned())),
    }
}

/// Checks a value of a field that is no secret; says what is wrong with it.
pub(super) fn check(name: &str, value: &Value, field: &FieldSpec, patterns: &mut Patterns) -> Option<Diagnostic> {
    if !field.allowed.is_empty() && !field.allowed.iter().any(|allowed| same(allowed, value)) {
        return Some(not_allowed(name, value, field));
    }
    if let Value::String(text) = value {
        let length = text.chars().count();
        if let Some(most) = field.max_length
            && length > most as usize
        {
            return Some(Diagnostic::error(
                "PL0107",
                format!("`{name}` has {length} characters; the API takes at most {most}."),
            ));
        }
        if let Some(pattern) = &field.pattern
            && !patterns.matches(pattern, text)
        {
            return Some(Diagnostic::error("PL0107", format!("`{name}` has to match `{pattern}`; `{text}` does not.")));
        }
        if let Some(pattern) = &field.not_pattern
            && patterns.matches(pattern, text)
        {
            return Some(Diagnostic::error(
                "PL0107",
                format!("`{name}` cannot be `{text}`: what matches `{pattern}` is reserved."),
            ));
        }
        if let Some(format) = field.format
            && let Some(expected) = misformed(text, format)
        {
            return Some(Diagnostic::error("PL0107", format!("`{name}` has to be {expected}; `{text}` is not.")));
        }
    }
    if let Some(number) = value.as_f64() {
        if let Some(least) = field.minimum
            && number < least
        {
            return Some(Diagnostic::error("PL0107", format!("`{name}` has to be {least} or more; it is {value}.")));
        }
        if let Some(most) = field.maximum
            && number > most
        {
            return Some(Diagnostic::error("PL0107", format!("`{name}` has to be {most} or less; it is {value}.")));
        }
    }
    None
}

fn not_allowed(name: &str, value: &Value, field: &FieldSpec) -> Diagnostic {
    let allowed: Vec<String> = field.allowed.iter().filter_map(value::text).collect();
    let written = value::text(value).unwrap_or_default();
    let diagnostic = Diagnostic::error(
        "PL0106",
        format!("`{name}` cannot be `{written}`: expected one of {}.", super::faults::listed(&allowed)),
    );
    match nearest(&written, allowed.iter().map(String::as_str)) {
        Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// Whether two scalars are the same whatever their JSON type.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((value::text(a), value::text(b)), (Some(a), Some(b)) if a == b)
}

/// What was expected of a text that does not have the form.
fn misformed(text: &str, format: Format) -> Option<&'static str> {
    let (good, expected) = match format {
        Format::Email => (is_email(text), "an e-mail address"),
        Format::Ip => (text.parse::<IpAddr>().is_ok(), "an IPv4 or IPv6 address"),
        Format::Mac => (is_mac(text), "a MAC address such as `00:1a:2b:3c:4d:5e`"),
        Format::Url => (is_url(text), "an absolute URL such as `https://host.example/path`"),
    };
    (!good).then_some(expected)
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else { return false };
    let clean = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    clean(name) && clean(domain) && !domain.starts_with('.') && !domain.ends_with('.')
}

fn is_mac(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    digits == 12 && text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '-' | '.'))
}

/// Whether a text is an absolute http(s) URL, or one of another scheme that names a host.
pub(super) fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.has_host())
}
