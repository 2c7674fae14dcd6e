//! Values of bodies, checked against their field and brought into the form that the server keeps.

use std::net::IpAddr;

use base64::Engine;
use jiff::{Timestamp, civil::Date};
use serde_json::{Map, Number, Value, json};

use super::{
    answer::Fault,
    shape::{Shape, normal},
    store::Store,
};
use crate::{
    description::{
        format::{Encoding, Equality, FieldSpec, FieldType, Format, IdWire, RefSpec},
        without_version,
    },
    value::text,
};

/// Checks values; what is wrong is collected, so that an answer names it all.
pub(super) struct Checker<'a> {
    pub(super) store: &'a Store,
    pub(super) shape: &'a Shape,
    /// Id of the parent that the object is below, where ids of what it refers to may be local to it.
    pub(super) above: Option<String>,
    /// How the ids of a kind are written.
    pub(super) id_wire: &'a dyn Fn(&str) -> IdWire,
    pub(super) faults: Vec<Fault>,
}

impl Checker<'_> {
    /// The value as the server keeps it.
    pub(super) fn value(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        if value.is_null() {
            if !field.nullable {
                self.fault(at, "must not be null");
            }
            return Value::Null;
        }
        if let Some(encoding) = field.encode {
            return self.encoded(field, encoding, value, at);
        }
        if let Some(prefix) = &field.prefix {
            let word = value.as_str().and_then(|words| words.strip_prefix(prefix.as_str()));
            if word.is_none_or(|word| !field.allowed.iter().any(|one| one.as_str() == Some(word))) {
                self.fault(at, "is not an allowed value");
            }
            return value.clone();
        }
        let kept = match field.ty {
            FieldType::String => self.string(field, value, at),
            FieldType::Integer | FieldType::Number => self.number(field, value, at),
            FieldType::Boolean => self.boolean(value, at),
            FieldType::Date => self.date(value, at),
            FieldType::Datetime => self.instant(value, at),
            FieldType::Object => self.object(field, value, at),
            FieldType::Map => self.map(field, value, at),
            FieldType::List => self.list(field, value, at),
            FieldType::Ref => self.reference(field, value, at),
            FieldType::File => self.file(value, at),
            FieldType::Sink | FieldType::Any => value.clone(),
        };
        if !field.allowed.is_empty() && field.reference.is_none() && !field.allowed.contains(&kept) {
            let allowed: Vec<String> = field.allowed.iter().filter_map(text).collect();
            self.fault(at, &format!("must be one of: {}", allowed.join(", ")));
        }
        kept
    }

    fn fault(&mut self, at: &str, what: &str) {
        let name = at.rsplit('/').next().unwrap_or(at);
        self.faults.push(Fault { detail: format!("`{name}` {what}."), pointer: Some(at.to_owned()) });
    }

    fn string(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        let Some(given) = value.as_str() else {
            self.fault(at, "must be a String");
            return value.clone();
        };
        let mut kept = given.to_owned();
        for rule in &field.equal {
            kept = match rule {
                Equality::Digits => kept.chars().filter(char::is_ascii_digit).collect(),
                Equality::Mac => respell_mac(&kept).unwrap_or(kept),
                Equality::Blanks => kept.trim().to_owned(),
                Equality::Case
                | Equality::Ip
                | Equality::Html
                | Equality::Document
                | Equality::Duration
                | Equality::Scalars => kept,
            };
        }
        if let Some(max) = field.max_length
            && given.chars().count() > max as usize
        {
            self.fault(at, &format!("is too long (maximum is {max} characters)"));
        }
        if let Some(pattern) = &field.pattern
            && self.shape.patterns.get(pattern).is_some_and(|regex| !regex.is_match(given))
        {
            self.fault(at, &format!("must match `{pattern}`"));
        }
        if let Some(pattern) = &field.not_pattern
            && self.shape.patterns.get(pattern).is_some_and(|regex| regex.is_match(given))
        {
            self.fault(at, "is reserved");
        }
        if let Some(format) = field.format
            && !given.is_empty()
        {
            self.format(format, given, at);
        }
        kept.into()
    }

    fn format(&mut self, format: Format, given: &str, at: &str) {
        let (right, what) = match format {
            Format::Email => (is_email(given), "must be a valid email address"),
            Format::Ip => (given.parse::<IpAddr>().is_ok(), "must be a valid IP address"),
            Format::Mac => (respell_mac(given).is_some(), "must be a valid MAC address"),
            Format::Url => (url::Url::parse(given).is_ok(), "must be a valid URL"),
        };
        if !right {
            self.fault(at, what);
        }
    }

    fn number(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        let number = match value {
            Value::Number(number) => Some(number.clone()),
            Value::String(text) if self.shape.is_jsonapi() => text.parse::<Number>().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.fault(at, "must be a number");
            return value.clone();
        };
        if field.ty == FieldType::Integer && number.as_i64().is_none() && number.as_u64().is_none() {
            self.fault(at, "must be a whole number");
        }
        let size = number.as_f64().unwrap_or_default();
        if field.minimum.is_some_and(|minimum| size < minimum) || field.maximum.is_some_and(|maximum| size > maximum) {
            self.fault(at, "is out of range");
        }
        Value::Number(number)
    }

    fn boolean(&mut self, value: &Value, at: &str) -> Value {
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) if self.shape.is_jsonapi() => match number.as_i64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Value::String(word) if self.shape.is_jsonapi() => match word.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        let Some(flag) = flag else {
            self.fault(at, "must be one of: true, false, 1, 0");
            return value.clone();
        };
        flag.into()
    }

    fn date(&mut self, value: &Value, at: &str) -> Value {
        let day = value.as_str().and_then(|text| {
            text.parse::<Date>()
                .ok()
                .or_else(|| Some(text.parse::<Timestamp>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).date()))
        });
        let Some(day) = day else {
            self.fault(at, "must be a date, YYYY-MM-DD");
            return value.clone();
        };
        day.to_string().into()
    }

    fn instant(&mut self, value: &Value, at: &str) -> Value {
        let given = value.as_str().unwrap_or_default();
        let instant = given.parse::<Timestamp>().ok().or_else(|| {
            given.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        });
        match instant {
            Some(instant) if self.shape.is_jsonapi() => instant.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string().into(),
            Some(_) => value.clone(),
            None => {
                self.fault(at, "must be an RFC 3339 date and time");
                value.clone()
            }
        }
    }

    fn object(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        let Some(members) = value.as_object() else {
            self.fault(at, "must be a Hash");
            return value.clone();
        };
        if field.fields.is_empty() {
            return value.clone();
        }
        let naming = self.shape.naming;
        let mut kept = Map::new();
        for (name, member) in members {
            let wanted = normal(name, naming);
            let found = field.fields.values().find(|spec| normal(spec.wire_name(), naming) == wanted);
            let at = format!("{at}/{name}");
            match found {
                Some(spec) if spec.read_only => {}
                // The samples send `"extension": null` where the table allows none.
                Some(spec) if member.is_null() && !spec.required => {}
                Some(spec) => {
                    let value = self.value(spec, member, &at);
                    kept.insert(spec.wire_name().to_owned(), value);
                }
                None if field.open => {
                    kept.insert(name.clone(), member.clone());
                }
                None => self.fault(&at, "is not a known attribute"),
            }
        }
        for spec in field.fields.values() {
            if kept.contains_key(spec.wire_name()) {
                continue;
            }
            if spec.required && !spec.read_only {
                self.fault(&format!("{at}/{}", spec.wire_name()), "is required");
            } else if let Some(default) = &spec.default {
                kept.insert(spec.wire_name().to_owned(), default.clone());
            }
        }
        Value::Object(kept)
    }

    fn map(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        let Some(members) = value.as_object() else {
            self.fault(at, "must be a Hash");
            return value.clone();
        };
        let Some(items) = &field.items else { return value.clone() };
        members
            .iter()
            .map(|(name, member)| (name.clone(), self.value(items, member, &format!("{at}/{name}"))))
            .collect()
    }

    fn list(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        let Some(elements) = value.as_array() else {
            self.fault(at, "must be an Array");
            return value.clone();
        };
        let Some(items) = &field.items else { return value.clone() };
        let kept = elements.iter().enumerate().map(|(index, item)| self.value(items, item, &format!("{at}/{index}")));
        Value::Array(kept.collect())
    }

    fn file(&mut self, value: &Value, at: &str) -> Value {
        let content = value.get("content").and_then(Value::as_str);
        let name = value.get("file_name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let bytes = content.and_then(|content| base64::engine::general_purpose::STANDARD.decode(content).ok());
        let (Some(bytes), Some(name)) = (bytes, name) else {
            self.fault(at, "must be a Hash of `content` (strict Base64) and `file_name`");
            return value.clone();
        };
        json!({ "file_name": name, "size": bytes.len() })
    }

    fn reference(&mut self, field: &FieldSpec, value: &Value, at: &str) -> Value {
        let Some(reference) = &field.reference else { return value.clone() };
        if !field.allowed.is_empty() && field.allowed.contains(value) {
            return value.clone();
        }
        if let Some(prefix) = &reference.wire_prefix {
            let id = value.as_str().and_then(|text| text.strip_prefix(prefix.as_str())).map(str::trim);
            let kind = reference.kind.as_deref().or_else(|| reference.kinds.values().next().map(String::as_str));
            return match (id, kind) {
                (Some(id), Some(kind)) if self.store.get(kind, id).is_some() => format!("{prefix}{id}").into(),
                _ => {
                    self.fault(at, "is not an allowed value");
                    value.clone()
                }
            };
        }
        let wire = self.id_form(reference);
        let strict = !self.shape.is_jsonapi();
        let given = match (value, wire) {
            (Value::Object(map), _) => map.get("id").and_then(text),
            (Value::Number(_), IdWire::String) | (Value::String(_), IdWire::Number) if strict => None,
            _ => text(value),
        };
        let Some(given) = given.filter(|given| wire == IdWire::String || given.parse::<u64>().is_ok()) else {
            self.fault(at, if wire == IdWire::Number { "must be a number" } else { "must be an id" });
            return value.clone();
        };
        let given = without_version(reference.version_mark.as_deref(), &given).to_owned();
        if let Some(kind) = &reference.kind
            && !self.is_below(kind, reference, &given)
            && !exists(self.store, kind, reference, &given)
        {
            self.fault(at, &format!("refers to no existing {kind}"));
        }
        match wire {
            IdWire::Number => given.parse::<u64>().map_or_else(|_| value.clone(), Into::into),
            IdWire::String => given.into(),
        }
    }

    /// Whether a kind whose ids are local has this one below the same parent.
    fn is_below(&self, kind: &str, reference: &RefSpec, given: &str) -> bool {
        let Some(above) = self.above.as_deref().filter(|_| reference.depth > 0) else { return false };
        let parents: Vec<&str> = above.split('/').take(reference.depth).collect();
        let local = given.replace('%', "%25").replace('/', "%2F");
        parents.len() == reference.depth && self.store.get(kind, &format!("{}/{local}", parents.join("/"))).is_some()
    }

    fn id_form(&self, reference: &RefSpec) -> IdWire {
        if reference.by.is_some() {
            return IdWire::String;
        }
        reference.wire.unwrap_or_else(|| {
            let kind = reference
                .kind
                .as_deref()
                .or_else(|| reference.kinds.values().find(|kind| !kind.is_empty()).map(String::as_str));
            kind.map_or(IdWire::String, self.id_wire)
        })
    }

    fn encoded(&mut self, field: &FieldSpec, encoding: Encoding, value: &Value, at: &str) -> Value {
        let (right, what) = match encoding {
            Encoding::Lines => (value.is_string(), "must be a String"),
            Encoding::BoolString => (matches!(value.as_str(), Some("true" | "false")), "must be `true` or `false`"),
            Encoding::NumberString => {
                (value.as_str().is_some_and(|text| text.parse::<f64>().is_ok()), "must be a number")
            }
            Encoding::EpochSeconds => (value.is_i64() || value.is_u64(), "must be seconds since 1970"),
            Encoding::JsonString => (
                value.as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok()),
                "must be JSON as a String",
            ),
        };
        if !right {
            self.fault(at, what);
        } else if let (Some(max), Some(text)) = (field.max_length, value.as_str())
            && text.chars().count() > max as usize
        {
            self.fault(at, "is too long");
        }
        value.clone()
    }
}

/// Whether what a reference names is there.
pub(super) fn exists(store: &Store, kind: &str, reference: &RefSpec, given: &str) -> bool {
    match &reference.by {
        None => {
            let local = reference.depth > 0 && store.rows(kind).any(|row| row.id == given);
            local || store.get(kind, given).is_some()
        }
        Some(by) => {
            store.get(kind, given).is_some_and(|row| row.text(by).is_some_and(|text| text == given))
                || store.rows(kind).any(|row| row.text(by).is_some_and(|text| text == given))
        }
    }
}

/// A MAC address in the spelling that the server keeps.
fn respell_mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|letter| !matches!(letter, ':' | '-' | '.')).collect();
    if digits.len() != 12 || !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs: Vec<String> = digits
        .to_ascii_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect();
    Some(pairs.join(":"))
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !text.contains(char::is_whitespace)
    })
}

/// The natural form of what is kept, for conditions.
pub(super) fn decode(field: &FieldSpec, value: &Value) -> Value {
    match (field.encode, value) {
        (Some(Encoding::Lines), Value::String(text)) => text.lines().map(Value::from).collect(),
        (Some(Encoding::BoolString), Value::String(text)) => (text == "true").into(),
        (Some(Encoding::NumberString | Encoding::JsonString), Value::String(text)) => {
            serde_json::from_str(text).unwrap_or(Value::Null)
        }
        (None, Value::String(words)) if field.prefix.is_some() => {
            words.strip_prefix(field.prefix.as_deref().unwrap_or_default()).unwrap_or(words).into()
        }
        _ => value.clone(),
    }
}

/// The wire form of a natural value, for seeds.
pub(super) fn encode(field: &FieldSpec, value: &Value) -> Value {
    match (field.encode, value) {
        (Some(Encoding::Lines), Value::Array(lines)) => {
            lines.iter().filter_map(text).collect::<Vec<_>>().join("\n").into()
        }
        (Some(Encoding::BoolString | Encoding::NumberString), value) => text(value).map_or(Value::Null, Value::from),
        (Some(Encoding::JsonString), value) if !value.is_string() => value.to_string().into(),
        (None, Value::String(words)) if field.prefix.is_some() => {
            format!("{}{words}", field.prefix.as_deref().unwrap_or_default()).into()
        }
        _ => value.clone(),
    }
}
