//! Values between canonical and wire form, field by field.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use super::odata;
use crate::{
    description::{
        format::{Encoding, FieldSpec, FieldType, IdWire, RefSpec},
        without_version,
    },
    value::{Fields, Target, as_reference, file, is_gone, reference, secret_hash, set_path, text, value_from},
};

/// Reads a wire value into canonical form. What does not fit the field's type is kept as it is: it then differs.
pub fn decode(field: &FieldSpec, wire: &Value, seal: &dyn Fn(&str) -> Value) -> Value {
    if wire.is_null() {
        return Value::Null;
    }
    if let Some(encoding) = field.encode {
        return decode_encoded(field, encoding, wire);
    }
    match field.ty {
        FieldType::String => {
            if let Some(rest) = field.prefix.as_deref().and_then(|prefix| wire.as_str()?.strip_prefix(prefix)) {
                return Value::String(rest.to_owned());
            }
            if field.reference.is_some()
                && let Some(value) = decode_prefixed(field, wire)
            {
                return value;
            }
            match text(wire) {
                Some(words) if field.always_sensitive() => {
                    if words.is_empty() {
                        Value::Null
                    } else {
                        seal(&words)
                    }
                }
                Some(words) => Value::String(words),
                None => wire.clone(),
            }
        }
        FieldType::Integer | FieldType::Number => match wire {
            Value::String(words) => words.trim().parse::<Number>().map_or_else(|_| wire.clone(), Value::Number),
            other => other.clone(),
        },
        FieldType::Boolean => match text(wire).as_deref() {
            Some("true" | "1") => Value::Bool(true),
            Some("false" | "0") => Value::Bool(false),
            _ => wire.clone(),
        },
        FieldType::Date => match wire {
            Value::String(words) if words.len() >= 10 && words.is_char_boundary(10) => words[..10].into(),
            Value::String(words) if words.is_empty() => Value::Null,
            other => other.clone(),
        },
        FieldType::Ref => field.reference.as_ref().map_or_else(|| wire.clone(), |target| decode_ref(target, wire)),
        FieldType::List => decode_list(field, wire, seal),
        FieldType::Object => match wire {
            Value::Object(map) => decode_object(field, map, seal),
            other => other.clone(),
        },
        FieldType::Map => match (wire, &field.items) {
            (Value::Object(map), Some(items)) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), decode(items, value, seal))).collect())
            }
            (other, _) => other.clone(),
        },
        FieldType::Datetime | FieldType::File | FieldType::Sink | FieldType::Any => wire.clone(),
    }
}

fn decode_object(field: &FieldSpec, map: &Map<String, Value>, seal: &dyn Fn(&str) -> Value) -> Value {
    let mut out = Map::new();
    for (name, member) in &field.fields {
        let wire_name = member.wire_name();
        let swapped = wire_name.replace('-', "_");
        let found = map.get(wire_name).or_else(|| map.get(&swapped)).or_else(|| map.get(name));
        if let Some(value) = found
            && !member.write_only
        {
            out.insert(name.clone(), decode(member, value, seal));
        }
    }
    if field.open || field.carries == Some(true) {
        let known = |name: &String| field.fields.iter().any(|(own, member)| own == name || member.wire_name() == name);
        out.extend(map.iter().filter(|(name, _)| !known(name)).map(|(name, value)| (name.clone(), value.clone())));
    }
    Value::Object(out)
}

fn decode_list(field: &FieldSpec, wire: &Value, seal: &dyn Fn(&str) -> Value) -> Value {
    let Some(items) = &field.items else { return wire.clone() };
    // A list of references may be read as `{"type": …, "values": [{"id": …}]}` or as one bare id.
    let list = match wire {
        Value::Array(list) => list.clone(),
        Value::Object(map) => match map.get("values") {
            Some(Value::Array(list)) => list.clone(),
            Some(Value::Null) => Vec::new(),
            Some(single) => vec![single.clone()],
            None => vec![wire.clone()],
        },
        Value::String(words) if words.is_empty() => Vec::new(),
        scalar => vec![scalar.clone()],
    };
    Value::Array(list.iter().map(|item| decode(items, item, seal)).collect())
}

fn decode_ref(target: &RefSpec, wire: &Value) -> Value {
    let by = target.by.as_deref();
    // OData expands a reference to one object as an array of one.
    let one = odata::single(wire);
    if one.is_null() {
        return Value::Null;
    }
    let value = match &one {
        Value::Object(map) => {
            map.get(by.unwrap_or("id")).or_else(|| map.get("id")).or_else(|| map.get("__id")).unwrap_or(&one)
        }
        other => other,
    };
    let Some(words) = text(value) else { return wire.clone() };
    if words.is_empty() {
        return Value::Null;
    }
    let words = without_version(target.version_mark.as_deref(), &words).to_owned();
    let kind = target.kind.as_deref().unwrap_or_default();
    match by {
        None => reference(kind, &Target::Id(words)),
        Some(field) => reference(kind, &Target::Field(field.to_owned(), words)),
    }
}

fn decode_prefixed(field: &FieldSpec, wire: &Value) -> Option<Value> {
    let target = field.reference.as_ref()?;
    let prefix = target.wire_prefix.as_deref()?;
    let words = wire.as_str()?;
    let rest = words.strip_prefix(prefix.trim_end())?;
    Some(reference(target.kind.as_deref()?, &Target::Id(rest.trim().to_owned())))
}

fn decode_encoded(field: &FieldSpec, encoding: Encoding, wire: &Value) -> Value {
    match (encoding, wire) {
        (Encoding::Lines, Value::String(words)) => Value::Array(
            words
                .split('\n')
                .map(|line| line.trim_end_matches('\r'))
                .filter(|line| !line.is_empty())
                .map(Value::from)
                .collect(),
        ),
        (Encoding::BoolString, _) => match text(wire).as_deref() {
            Some("true" | "1") => Value::Bool(true),
            Some("false" | "0") => Value::Bool(false),
            _ => wire.clone(),
        },
        (Encoding::NumberString, Value::String(words)) => {
            words.parse::<Number>().map_or_else(|_| wire.clone(), Value::Number)
        }
        (Encoding::EpochSeconds, _) => text(wire)
            .and_then(|words| words.parse::<i64>().ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .map_or_else(|| wire.clone(), |instant| Value::String(instant.to_string())),
        (Encoding::JsonString, Value::String(words)) => serde_json::from_str(words).unwrap_or_else(|_| wire.clone()),
        _ => {
            let _ = field;
            wire.clone()
        }
    }
}

/// A value that cannot be written yet, or at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A reference to an object that was not made.
    #[error("`{0}` does not exist yet")]
    Unresolved(String),
    /// A secret whose text is not known to this process.
    #[error("the value of a secret is not known")]
    SecretUnknown,
    /// A file that cannot be read, or is not the one that was planned.
    #[error("{0}")]
    File(String),
}

/// Reads a file's content, by path and expected SHA-256; the error says what is wrong.
pub type ReadFile = dyn Fn(&str, &str) -> Result<Vec<u8>, String> + Sync;

/// What encoding needs to know.
pub struct Encoder<'a> {
    /// The id of an object made in this run, by address.
    pub id: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a secret, by hash.
    pub open: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file, by path and expected SHA-256.
    pub read: &'a ReadFile,
}

/// Writes a canonical value in wire form.
pub fn encode_value(field: &FieldSpec, value: &Value, encoder: &Encoder<'_>) -> Result<Value, EncodeError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if let Some(hash) = secret_hash(value) {
        return (encoder.open)(hash).map(Value::String).ok_or(EncodeError::SecretUnknown);
    }
    if value_from(value).is_some() {
        return Err(EncodeError::SecretUnknown);
    }
    if let Some(upload) = file(value) {
        return encode_file(upload, encoder);
    }
    if let Some((_, target)) = as_reference(value) {
        return encode_ref(field.ref_spec(), &target, encoder);
    }
    if let Some(encoding) = field.encode {
        return Ok(encode_encoded(encoding, value));
    }
    Ok(match (field.ty, value) {
        (FieldType::List, Value::Array(items)) => {
            let spec = field.items.as_deref();
            let list: Result<Vec<Value>, _> = items
                .iter()
                .filter(|item| !is_gone(item))
                .map(|item| spec.map_or_else(|| Ok(item.clone()), |spec| encode_value(spec, item, encoder)))
                .collect();
            Value::Array(list?)
        }
        (FieldType::List, single) => {
            field.items.as_deref().map_or_else(|| Ok(single.clone()), |spec| encode_value(spec, single, encoder))?
        }
        (FieldType::Object, Value::Object(map)) => {
            let mut out = Map::new();
            for (name, value) in map {
                match field.fields.get(name) {
                    Some(member) if (member.read_only && member.carries != Some(true)) || member.not_sent => {}
                    Some(member) => {
                        out.insert(member.wire_name().to_owned(), encode_value(member, value, encoder)?);
                    }
                    None => {
                        out.insert(name.clone(), encode_free(value, encoder)?);
                    }
                }
            }
            Value::Object(out)
        }
        (FieldType::Map, Value::Object(map)) => {
            let mut out = Map::new();
            for (name, value) in map {
                let wire = match field.items.as_deref() {
                    Some(spec) => encode_value(spec, value, encoder)?,
                    None => encode_free(value, encoder)?,
                };
                out.insert(name.clone(), wire);
            }
            Value::Object(out)
        }
        (FieldType::Any, value) => encode_free(value, encoder)?,
        (FieldType::String, Value::String(words)) if field.prefix.is_some() => {
            Value::String(format!("{}{words}", field.prefix.as_deref().unwrap_or_default()))
        }
        (_, value) => value.clone(),
    })
}

fn encode_free(value: &Value, encoder: &Encoder<'_>) -> Result<Value, EncodeError> {
    if let Some(hash) = secret_hash(value) {
        return (encoder.open)(hash).map(Value::String).ok_or(EncodeError::SecretUnknown);
    }
    if let Some(upload) = file(value) {
        return encode_file(upload, encoder);
    }
    Ok(match value {
        Value::Object(map) => {
            let out: Result<Map<String, Value>, EncodeError> =
                map.iter().map(|(name, value)| Ok((name.clone(), encode_free(value, encoder)?))).collect();
            Value::Object(out?)
        }
        Value::Array(items) => {
            let out: Result<Vec<Value>, EncodeError> = items.iter().map(|item| encode_free(item, encoder)).collect();
            Value::Array(out?)
        }
        other => other.clone(),
    })
}

fn encode_file(upload: &Value, encoder: &Encoder<'_>) -> Result<Value, EncodeError> {
    let part = |name: &str| upload.get(name).and_then(Value::as_str).unwrap_or_default();
    let content = (encoder.read)(part("path"), part("sha256")).map_err(EncodeError::File)?;
    let name = match part("name") {
        "" => part("path").rsplit(['/', '\\']).next().unwrap_or_default(),
        name => name,
    };
    Ok(json!({ "content": STANDARD.encode(content), "file_name": name }))
}

fn encode_ref(spec: Option<&RefSpec>, target: &Target, encoder: &Encoder<'_>) -> Result<Value, EncodeError> {
    let id = match target {
        Target::Id(id) | Target::Field(_, id) => id.clone(),
        Target::New(address) => (encoder.id)(address).ok_or_else(|| EncodeError::Unresolved(address.clone()))?,
    };
    // The parent's id before it is plumb's own.
    let id = match (spec.is_some_and(|spec| spec.depth > 0), target) {
        (true, Target::Id(_) | Target::New(_)) => {
            id.rsplit('/').next().unwrap_or_default().replace("%2F", "/").replace("%25", "%")
        }
        _ => id,
    };
    if let Some(prefix) = spec.and_then(|spec| spec.wire_prefix.as_deref()) {
        return Ok(Value::String(format!("{prefix}{id}")));
    }
    if matches!(target, Target::Field(..)) {
        return Ok(Value::String(id));
    }
    let wire = spec.and_then(|spec| spec.wire).unwrap_or_default();
    Ok(match (wire, id.parse::<u64>()) {
        (IdWire::Number, Ok(number)) => Value::from(number),
        _ => Value::String(id),
    })
}

fn encode_encoded(encoding: Encoding, value: &Value) -> Value {
    match (encoding, value) {
        (Encoding::Lines, Value::Array(lines)) => {
            Value::String(lines.iter().filter_map(text).collect::<Vec<_>>().join("\n"))
        }
        (Encoding::BoolString | Encoding::NumberString, scalar) => text(scalar).map_or(Value::Null, Value::String),
        (Encoding::EpochSeconds, Value::String(words)) => {
            words.parse::<Timestamp>().map_or_else(|_| value.clone(), |instant| Value::from(instant.as_second()))
        }
        (Encoding::JsonString, any) => Value::String(any.to_string()),
        (_, other) => other.clone(),
    }
}

/// Writes an object's fields as wire attributes. `creating` uses the places that creates have.
pub fn encode_fields(
    specs: &indexmap::IndexMap<String, FieldSpec>,
    fields: &Fields,
    creating: bool,
    encoder: &Encoder<'_>,
) -> Result<Fields, EncodeError> {
    let mut out = Fields::new();
    let mut places: Vec<(&str, &FieldSpec, &Value)> = Vec::new();
    for (name, value) in fields {
        let Some(spec) = specs.get(name) else { continue };
        if spec.not_sent || spec.read_only || spec.path_only || spec.query.is_some() {
            continue;
        }
        let wire_name = match (&spec.create_wire, creating) {
            (Some(place), true) if place.is_empty() => continue,
            (Some(place), true) => place.as_str(),
            _ => spec.wire_name(),
        };
        places.push((wire_name, spec, value));
    }
    // A member's own value goes over that of the object that it is in.
    places.sort_by_key(|(place, ..)| place.matches('.').count());
    for (wire_name, spec, value) in places {
        let wire = encode_value(spec, value, encoder)?;
        if let Some(target) = spec.reference.as_ref().filter(|target| !target.kinds.is_empty())
            && let Some(type_wire) = &target.type_wire
        {
            let word = as_reference(value).and_then(|(kind, _)| {
                target
                    .kinds
                    .iter()
                    .find(|(word, known)| *known == kind || (known.is_empty() && *word == kind))
                    .map(|(word, _)| Value::String(word.clone()))
            });
            set_path(&mut out, type_wire, word.unwrap_or(Value::Null));
        }
        set_path(&mut out, wire_name, wire);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder_with<T>(test: impl FnOnce(&Encoder<'_>) -> T) -> T {
        test(&Encoder {
            id: &|address| (address == "a/B/c").then(|| "7".to_owned()),
            open: &|hash| (hash == "h").then(|| "s3cret".to_owned()),
            read: &|_, _| Ok(b"hi".to_vec()),
        })
    }

    fn seal(_: &str) -> Value {
        crate::value::secret("h")
    }

    #[test]
    fn tag_lists_read_as_values_and_write_as_ids() {
        let field = FieldSpec {
            ty: FieldType::List,
            items: Some(Box::new(FieldSpec {
                ty: FieldType::Ref,
                reference: Some(RefSpec {
                    kind: Some("Configuration".into()),
                    wire: Some(IdWire::Number),
                    ..RefSpec::default()
                }),
                ..FieldSpec::default()
            })),
            ..FieldSpec::default()
        };
        let read = decode(&field, &json!({"type": "Configurations", "values": [{"id": 3, "name": "x"}]}), &seal);
        assert_eq!(read, json!([{"$ref": "Configuration/id:3"}]));
        encoder_with(|encoder| {
            assert_eq!(encode_value(&field, &read, encoder), Ok(json!([3])));
            let one = reference("Configuration", &Target::New("a/B/c".into()));
            assert_eq!(encode_value(&field, &one, encoder), Ok(json!(7)));
        });
    }

    #[test]
    fn prefixed_references_and_lines_go_both_ways() {
        let tag = FieldSpec {
            reference: Some(RefSpec {
                kind: Some("FlexibleAssetType".into()),
                wire_prefix: Some("FlexibleAssetType: ".into()),
                ..RefSpec::default()
            }),
            ..FieldSpec::default()
        };
        let read = decode(&tag, &json!("FlexibleAssetType: 33"), &seal);
        assert_eq!(read, json!({"$ref": "FlexibleAssetType/id:33"}));
        assert_eq!(decode(&tag, &json!("Configurations"), &seal), json!("Configurations"));
        let lines = FieldSpec { ty: FieldType::List, encode: Some(Encoding::Lines), ..FieldSpec::default() };
        assert_eq!(decode(&lines, &json!("a\nb"), &seal), json!(["a", "b"]));
        encoder_with(|encoder| {
            assert_eq!(encode_value(&tag, &read, encoder), Ok(json!("FlexibleAssetType: 33")));
            assert_eq!(encode_value(&lines, &json!(["a", "b"]), encoder), Ok(json!("a\nb")));
        });
    }

    #[test]
    fn an_open_object_keeps_members_that_are_not_described() {
        let profile = crate::apis::builtin().kind("rest", "UserProfile").unwrap().field("profile").unwrap();
        let wire = json!({"first_name": "Jane", "motto": "Onwards"});
        let read = decode(profile, &wire, &seal);
        assert_eq!(read, json!({"firstName": "Jane", "motto": "Onwards"}));
        encoder_with(|encoder| assert_eq!(encode_value(profile, &read, encoder), Ok(wire)));
    }

    #[test]
    fn a_secret_is_opened_only_when_written() {
        let field =
            FieldSpec { sensitive: Some(crate::description::format::Sensitivity::Always), ..FieldSpec::default() };
        assert_eq!(decode(&field, &json!("s3cret"), &seal), json!({"$secret": "h"}));
        encoder_with(|encoder| {
            assert_eq!(encode_value(&field, &json!({"$secret": "h"}), encoder), Ok(json!("s3cret")));
            assert_eq!(encode_value(&field, &json!({"$secret": "other"}), encoder), Err(EncodeError::SecretUnknown));
        });
    }
}
