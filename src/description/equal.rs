//! When two canonical values are the same to the API, whatever their spelling: `1` and `"1"`, set order, instants,
//! trailing newlines, null and absent, what the server normalises.

use jiff::Timestamp;
use serde_json::Value;

use super::format::{Equality, FieldSpec, FieldType, Format};
use crate::value::{Target, as_reference, file, is_empty, secret_hash, text};

/// Whether two canonical values of a field are the same.
pub fn equal(spec: &FieldSpec, a: &Value, b: &Value) -> bool {
    let (a, b) = (or_default(spec, a), or_default(spec, b));
    if a == b {
        return true;
    }
    if is_empty(a) && is_empty(b) {
        return true;
    }
    // Where nothing and zero look the same in answers, they are the same.
    if spec.omitted && is_zero(a) && is_zero(b) {
        return true;
    }
    match spec.ty {
        FieldType::Boolean => flag(a) == flag(b) && flag(a).is_some(),
        FieldType::Integer | FieldType::Number => same_number(a, b),
        FieldType::List => equal_lists(spec, a, b),
        FieldType::Object => equal_objects(spec, a, b),
        FieldType::Map => match (a, b) {
            (Value::Object(x), Value::Object(y)) => {
                let any = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
                let items = spec.items.as_deref().unwrap_or(&any);
                let null = Value::Null;
                x.iter().all(|(name, value)| equal(items, value, y.get(name).unwrap_or(&null)))
                    && y.iter().all(|(name, value)| x.contains_key(name) || is_empty(value))
            }
            _ => false,
        },
        FieldType::Any => same_json(a, b) || (spec.equal.contains(&Equality::Scalars) && same_scalar(a, b)),
        FieldType::File => same_file(a, b),
        FieldType::Sink => true,
        FieldType::Datetime => same_instant(a, b),
        FieldType::Ref => same_target(spec, a, b),
        FieldType::String | FieldType::Date => same_text(spec, a, b),
    }
}

fn is_zero(value: &Value) -> bool {
    is_empty(value) || *value == Value::Bool(false) || value.as_f64() == Some(0.0)
}

fn or_default<'a>(spec: &'a FieldSpec, value: &'a Value) -> &'a Value {
    match &spec.default {
        Some(default) if is_empty(value) => default,
        _ => value,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::Bool(flag) => Some(*flag),
        Value::String(words) if words.is_empty() => Some(false),
        _ => None,
    }
}

#[expect(clippy::float_cmp, reason = "both sides are read from text: equal numbers are equal floats")]
fn same_number(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| text(value).and_then(|words| words.trim().parse::<f64>().ok());
    matches!((number(a), number(b)), (Some(x), Some(y)) if x == y)
}

fn same_scalar(a: &Value, b: &Value) -> bool {
    same_number(a, b) || matches!((text(a), text(b)), (Some(x), Some(y)) if x == y)
}

/// JSON equality that takes `1` and `1.0` for the same number.
fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => same_number(a, b),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_json(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, value)| y.get(name).is_some_and(|other| same_json(value, other)))
        }
        _ => a == b,
    }
}

fn same_file(a: &Value, b: &Value) -> bool {
    let (Some(x), Some(y)) = (file(a), file(b)) else { return false };
    let part = |value: &Value, name: &str| value.get(name).cloned().filter(|part| !part.is_null());
    let agree = |name: &str| match (part(x, name), part(y, name)) {
        (Some(x), Some(y)) => Some(text(&x) == text(&y)),
        _ => None,
    };
    agree("sha256").or_else(|| agree("size")).unwrap_or(true) && agree("name").unwrap_or(true)
}

fn same_instant(a: &Value, b: &Value) -> bool {
    let instant = |value: &Value| {
        let words = value.as_str()?.trim();
        words.parse::<Timestamp>().ok().or_else(|| {
            let civil = words.parse::<jiff::civil::DateTime>().ok()?;
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        })
    };
    matches!((instant(a), instant(b)), (Some(x), Some(y)) if x == y)
}

/// Whether two references lead to the same object. One that this run made goes by its id, which has the parents' before
/// it; read back, it goes by what names it on the wire.
fn same_target(spec: &FieldSpec, a: &Value, b: &Value) -> bool {
    let (Some((_, x)), Some((_, y))) = (as_reference(a), as_reference(b)) else { return false };
    let local = spec.reference.as_ref().is_some_and(|target| target.by.is_some() && target.depth > 0);
    match (x, y) {
        (Target::Id(id), Target::Field(_, name)) | (Target::Field(_, name), Target::Id(id)) if local => {
            id.rsplit('/').next() == Some(&*name.replace('%', "%25").replace('/', "%2F"))
        }
        (x, y) => x == y && as_reference(a).map(|(kind, _)| kind) == as_reference(b).map(|(kind, _)| kind),
    }
}

fn same_text(spec: &FieldSpec, a: &Value, b: &Value) -> bool {
    if secret_hash(a).is_some() || secret_hash(b).is_some() {
        return false;
    }
    if as_reference(a).is_some() || as_reference(b).is_some() {
        return as_reference(a) == as_reference(b);
    }
    let (Some(x), Some(y)) = (text(a), text(b)) else { return false };
    plain(spec, &x) == plain(spec, &y)
}

/// A document with the members of its objects in one order.
fn sorted(document: &Value) -> Value {
    match document {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            names.into_iter().filter_map(|name| Some((name.clone(), sorted(members.get(name)?)))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A text as the API would compare it.
pub fn plain(spec: &FieldSpec, words: &str) -> String {
    let mut out = words.replace("\r\n", "\n");
    out.truncate(out.trim_end_matches('\n').len());
    if spec.ty == FieldType::Date
        && let Some(day) = out.get(..10)
    {
        return day.to_owned();
    }
    let rules = spec.equal.iter().copied().chain(match spec.format {
        Some(Format::Ip) => Some(Equality::Ip),
        Some(Format::Mac) => Some(Equality::Mac),
        _ => None,
    });
    for rule in rules {
        out = match rule {
            Equality::Case => out.to_lowercase(),
            Equality::Blanks => out.trim().to_owned(),
            Equality::Digits => out
                .chars()
                .filter(|letter| letter.is_ascii_digit() || (*letter == '+' && out.starts_with('+')))
                .collect(),
            Equality::Mac => {
                let hex: String = out.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
                if hex.len() == 12 { hex } else { out }
            }
            Equality::Ip => out.parse::<std::net::IpAddr>().map_or(out, |address| address.to_string()),
            Equality::Scalars => out,
            Equality::Duration => duration(&out).unwrap_or(out),
            Equality::Html => out.split_whitespace().collect::<Vec<_>>().join(" ").replace("> <", "><"),
            Equality::Document => match serde_saphyr::from_str::<Value>(&out) {
                Ok(document) => sorted(&document).to_string(),
                Err(_) => out,
            },
        };
    }
    out
}

/// A duration in seconds, however it is written: `90s`, `1m30s`, `PT1M30S`, or a number of seconds.
fn duration(words: &str) -> Option<String> {
    let words = words.trim();
    if let Ok(seconds) = words.parse::<f64>() {
        return seconds.is_finite().then(|| seconds.to_string());
    }
    let parsed: jiff::SignedDuration = words.parse().ok()?;
    Some(parsed.as_secs_f64().to_string())
}

/// A name without the version that a mark sets off.
pub fn without_version<'n>(mark: Option<&str>, name: &'n str) -> &'n str {
    match mark.filter(|mark| !mark.is_empty()).and_then(|mark| name.split_once(mark)) {
        Some((bare, _)) if !bare.is_empty() => bare,
        _ => name,
    }
}

fn as_list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        single => vec![single],
    }
}

fn equal_lists(spec: &FieldSpec, a: &Value, b: &Value) -> bool {
    let (x, y) = (as_list(a), as_list(b));
    let any = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
    let items = spec.items.as_deref().unwrap_or(&any);
    if !spec.set {
        return x.len() == y.len() && x.iter().zip(&y).all(|(x, y)| equal(items, x, y));
    }
    let names = |list: &[&Value]| {
        let mut names: Vec<String> = list.iter().map(|item| canonical_text(items, item)).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    names(&x) == names(&y)
}

/// A text that equal items share.
pub(crate) fn canonical_text(spec: &FieldSpec, value: &Value) -> String {
    match (spec.ty, value) {
        // What is empty reads as what is not there; the server's own members tell nothing.
        (FieldType::Object, Value::Object(members)) if !spec.fields.is_empty() => {
            let told = spec.fields.iter().filter(|(_, member)| !member.read_only).filter_map(|(name, member)| {
                let value = or_default(member, members.get(name).unwrap_or(&Value::Null));
                (!is_empty(value)).then(|| format!("{name}={}", canonical_text(member, value)))
            });
            told.collect::<Vec<_>>().join("\u{1f}")
        }
        (FieldType::List, Value::Array(items)) => {
            let any = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
            let inner = spec.items.as_deref().unwrap_or(&any);
            let mut texts: Vec<String> = items.iter().map(|item| canonical_text(inner, item)).collect();
            if spec.set {
                texts.sort_unstable();
                texts.dedup();
            }
            format!("[{}]", texts.join("\u{1e}"))
        }
        _ => match text(value) {
            Some(words) => plain(spec, &words),
            None => value.to_string(),
        },
    }
}

fn equal_objects(spec: &FieldSpec, a: &Value, b: &Value) -> bool {
    let empty = serde_json::Map::new();
    let map = |value: &Value| value.as_object().cloned().unwrap_or_else(|| empty.clone());
    if !(a.is_object() || a.is_null()) || !(b.is_object() || b.is_null()) {
        return false;
    }
    let (x, y) = (map(a), map(b));
    let null = Value::Null;
    spec.fields
        .iter()
        .filter(|(_, member)| !member.read_only)
        // What the server fills in says nothing where one side leaves it out.
        .filter(|(name, member)| !member.filled || (x.contains_key(*name) && y.contains_key(*name)))
        .all(|(name, member)| equal(member, x.get(name).unwrap_or(&null), y.get(name).unwrap_or(&null)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(ty: FieldType) -> FieldSpec {
        FieldSpec { ty, ..FieldSpec::default() }
    }

    #[test]
    fn durations_are_equal_however_they_are_written() {
        let spec = FieldSpec { equal: vec![Equality::Duration], ..FieldSpec::default() };
        for other in ["90s", "1m30s", "1m 30s", "PT1M30S", "90", "90000ms"] {
            assert!(equal(&spec, &json!("1m30s"), &json!(other)), "{other}");
        }
        assert!(equal(&spec, &json!("90s"), &json!(90)));
        for other in ["91s", "soon", "", "1h30m"] {
            assert!(!equal(&spec, &json!("90s"), &json!(other)), "{other}");
        }
    }

    #[test]
    fn a_set_of_objects_is_compared_by_what_they_say() {
        let rules = FieldSpec {
            ty: FieldType::List,
            set: true,
            items: Some(Box::new(FieldSpec {
                fields: [
                    ("action".to_owned(), of(FieldType::String)),
                    ("on".to_owned(), FieldSpec { set: true, items: Some(Box::default()), ..of(FieldType::List) }),
                ]
                .into(),
                ..of(FieldType::Object)
            })),
            ..FieldSpec::default()
        };
        let declared = json!([{"action": "read", "on": ["a", "b"]}, {"action": "write"}]);
        assert!(equal(
            &rules,
            &declared,
            &json!([{"action": "write", "on": []}, {"on": ["b", "a"], "action": "read"}])
        ));
        assert!(!equal(
            &rules,
            &declared,
            &json!([{"action": "write", "on": ["a"]}, {"on": ["b", "a"], "action": "read"}])
        ));
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        assert!(equal(&of(FieldType::String), &json!("1"), &json!(1)));
        assert!(equal(&of(FieldType::String), &json!("a\n"), &json!("a")));
        assert!(equal(&of(FieldType::String), &json!(""), &Value::Null));
        assert!(equal(&of(FieldType::Boolean), &json!(false), &Value::Null));
        assert!(!equal(&of(FieldType::Boolean), &json!(true), &Value::Null));
        assert!(equal(&of(FieldType::Number), &json!(1), &json!("1.0")));
        assert!(equal(
            &of(FieldType::Datetime),
            &json!("2025-01-01T00:00:00Z"),
            &json!("2025-01-01T01:00:00.000+01:00")
        ));
        assert!(equal(&of(FieldType::Date), &json!("2025-01-01"), &json!("2025-01-01T00:00:00.000Z")));
        let phone = FieldSpec { equal: vec![Equality::Digits], ..FieldSpec::default() };
        assert!(equal(&phone, &json!("(313) 555-2015"), &json!("3135552015")));
        let mac = FieldSpec { format: Some(Format::Mac), ..FieldSpec::default() };
        assert!(equal(&mac, &json!("00-11-22-AA-BB-CC"), &json!("00:11:22:aa:bb:cc")));
        assert!(!equal(&of(FieldType::String), &json!("a"), &json!("A")));
    }

    #[test]
    fn sets_ignore_order_and_lists_do_not() {
        let list = FieldSpec { items: Some(Box::new(of(FieldType::String))), ..of(FieldType::List) };
        let set = FieldSpec { set: true, ..list.clone() };
        assert!(equal(&set, &json!(["a", "b"]), &json!(["b", "a"])));
        assert!(!equal(&set, &json!(["a", "b"]), &json!(["a"])));
        assert!(!equal(&list, &json!(["a", "b"]), &json!(["b", "a"])));
    }

    #[test]
    fn a_server_default_equals_its_absence() {
        let decimals = FieldSpec { default: Some(json!(0)), ..of(FieldType::Integer) };
        assert!(equal(&decimals, &Value::Null, &json!(0)));
        assert!(!equal(&decimals, &Value::Null, &json!(2)));
    }
}
