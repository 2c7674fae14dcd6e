//! Which field of which object a test changes, to what, and what becomes of an object that goes: by the descriptions.

use std::{collections::BTreeMap, sync::Arc};

use plumb::{
    description::{
        Kind,
        format::{FieldType, Format, Sensitivity, Verb},
    },
    value::Fields,
};
use serde_json::{Value, json};

use crate::{
    conformance::{
        stage::set,
        subject::{Leaf, Meaning, leaves},
    },
    support::operator::condition,
};

/// Kinds of which nothing can be changed and read back, and why.
pub(super) const FIXED: &[(&str, &str)] = &[
    ("balena/Service", "it is its fleet and its name, and neither can be changed"),
    ("balena/SshKey", "the API has no update: another title or key is another object"),
    ("bindplane/SecretKey", "it has a name and nothing else that can be declared"),
    ("bindplane/User", "the API has no update: another address is another person"),
];

/// Changes of what only refers to others.
const CHOSEN: &[(&str, &str, &str)] = &[("cycloid/Member", "/role", "organization-member")];

/// A field that is changed.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    /// The resource as kubectl shows it.
    pub(super) resource: Value,
    pub(super) leaf: Leaf,
    pub(super) value: Value,
}

impl Edit {
    /// Kind and name, as Events and lists of resources have them.
    pub(super) fn about(&self) -> (String, String) {
        about(&self.resource)
    }

    /// The resource with the other value, as a user has it in a file.
    pub(super) fn manifest(&self) -> Value {
        let mut spec = self.resource["spec"].clone();
        set(&mut spec, &self.leaf.at, self.value.clone());
        let metadata = &self.resource["metadata"];
        json!({
            "apiVersion": self.resource["apiVersion"], "kind": self.resource["kind"], "spec": spec,
            "metadata": {"name": metadata["name"], "annotations": metadata["annotations"]},
        })
    }
}

/// Kind and name of a resource.
pub(super) fn about(resource: &Value) -> (String, String) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&resource["kind"]), word(&resource["metadata"]["name"]))
}

/// For each kind the object and the field that are changed: a plain field that names nothing, where there is one.
pub(super) fn choose(resources: &[Value], kinds: &[Arc<Kind>]) -> Vec<Edit> {
    let mut found: BTreeMap<String, (u8, Edit)> = BTreeMap::new();
    for resource in resources {
        let Some(kind) = kinds.iter().find(|kind| resource["kind"] == kind.name.as_str()) else { continue };
        let ready = condition(resource, "Ready").is_some_and(|ready| ready["status"] == "True");
        let Some(spec) = fields(&resource["spec"]).filter(|_| ready) else { continue };
        let declared = leaves(&kind.spec.fields, &spec, &Fields::new());
        // What is not declared may be from now on.
        let texts = kind.spec.fields.iter().filter(|(name, field)| field.nullable && !spec.contains_key(*name));
        let texts = texts.filter(|(_, field)| field.ty == FieldType::String && field.allowed.is_empty());
        let empty: Fields = texts.map(|(name, _)| (name.clone(), Value::String(String::new()))).collect();
        let further = leaves(&kind.spec.fields, &empty, &Fields::new());
        let places =
            declared.into_iter().map(|leaf| (leaf, &spec)).chain(further.into_iter().map(|leaf| (leaf, &empty)));
        for (mut leaf, spec) in places {
            let Some(value) = other(kind, &leaf, &Value::Object(spec.clone())) else { continue };
            let rank = rank(kind, &leaf) + if spec == &empty { 50 } else { 0 };
            as_kept(kind, &mut leaf);
            if found.get(&kind.name).is_none_or(|(best, _)| rank < *best) {
                found.insert(kind.name.clone(), (rank, Edit { resource: resource.clone(), leaf, value }));
            }
        }
    }
    found.into_values().map(|(_, edit)| edit).collect()
}

/// The API keeps the members of a hook's field, and plans name them, by short forms of their names.
fn as_kept(kind: &Kind, leaf: &mut Leaf) {
    let hook = kind.spec.hook.as_deref().and_then(plumb::description::hook::find);
    if hook.is_some_and(|hook| hook.field() == leaf.field) {
        for path in [&mut leaf.path, &mut leaf.kept] {
            *path = path.to_lowercase().replace(' ', "-");
        }
    }
}

fn fields(value: &Value) -> Option<Fields> {
    serde_json::from_value(value.clone()).ok()
}

/// The lower, the less else depends on the field.
fn rank(kind: &Kind, leaf: &Leaf) -> u8 {
    let keys = kind.spec.key.iter().chain(kind.spec.key_fallbacks.iter().flatten()).chain(&kind.spec.key_extra);
    let named = u8::from(keys.into_iter().any(|name| *name == leaf.field)) * 100;
    let deep = u8::try_from(leaf.at.matches('/').count() - 1).unwrap_or(20) * 10;
    let plain = match leaf.spec.ty {
        FieldType::String if leaf.spec.allowed.is_empty() && leaf.spec.format.is_none() => 0,
        FieldType::String => 3,
        FieldType::Integer | FieldType::Number => 1,
        FieldType::Boolean => 2,
        _ => 5,
    };
    named + deep + plain + u8::from(leaf.spec.effect.is_some()) * 4
}

/// Another value of a field that an update can send and an answer shows; nothing where it is none of those.
fn other(kind: &Kind, leaf: &Leaf, spec: &Value) -> Option<Value> {
    let field = &leaf.spec;
    let title = format!("{}/{}", kind.api, kind.name);
    if let Some((_, _, word)) = CHOSEN.iter().find(|(kind, at, _)| *kind == title && *at == leaf.at) {
        return Some((*word).into());
    }
    let shown = leaf.is_described_readable(kind) && field.reference.is_none();
    let shown = shown && field.sensitive != Some(Sensitivity::Always);
    if leaf.meaning(kind) != Meaning::Update || !shown || field.file.is_some() || field.consent.is_some() {
        return None;
    }
    let now = spec.pointer(&leaf.at)?;
    if !field.allowed.is_empty() {
        return field.allowed.iter().find(|value| *value != now).cloned();
    }
    match (field.ty, now) {
        (FieldType::Boolean, Value::Bool(flag)) => Some((!flag).into()),
        (FieldType::Integer | FieldType::Number, Value::Number(number)) => {
            let number = number.as_f64()?;
            let fits = |value: &f64| {
                field.maximum.is_none_or(|most| *value <= most) && field.minimum.is_none_or(|least| *value >= least)
            };
            let value = [number + 1.0, number - 1.0].into_iter().find(fits)?;
            #[expect(clippy::cast_possible_truncation, reason = "it is a small whole number")]
            Some(if value.fract() == 0.0 { Value::from(value as i64) } else { Value::from(value) })
        }
        (FieldType::String | FieldType::Any, Value::String(text)) => {
            let texts = match field.format {
                Some(Format::Url) => vec![format!("{text}/edited")],
                Some(Format::Email) => vec![format!("edited.{text}")],
                Some(Format::Ip | Format::Mac) => return None,
                None => vec![
                    format!("{text} edited"),
                    format!("{text}-edited"),
                    format!("{text}edited"),
                    format!("{text}1"),
                ],
            };
            let pattern =
                field.pattern.as_deref().map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")).unwrap());
            texts
                .into_iter()
                .find(|text| {
                    field.max_length.is_none_or(|most| text.chars().count() <= most as usize)
                        && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
                })
                .map(Value::String)
        }
        (FieldType::List, Value::Array(items)) if items.len() > 1 => Some(items[..items.len() - 1].to_vec().into()),
        _ => None,
    }
}

/// What becomes of a live object whose resource goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Deleted,
    Forgotten,
    Retained,
}

/// What the description of its kind says about the deletion of an object.
pub(super) fn fate(kind: &Kind, resource: &Value) -> Fate {
    let adopted = resource["status"]["origin"] == "adopted";
    match resource.pointer("/metadata/annotations/plumb.dev~1deletion-policy").and_then(Value::as_str) {
        Some("retain" | "archive") => return Fate::Retained,
        Some(_) if kind.can(Verb::Delete) => return Fate::Deleted,
        _ => {}
    }
    let spec = &kind.spec;
    if !kind.can(Verb::Delete) {
        return if adopted || spec.singleton { Fate::Forgotten } else { Fate::Retained };
    }
    if adopted || spec.contains || spec.delete_loses.is_some() { Fate::Forgotten } else { Fate::Deleted }
}

/// The row of the sandbox that has an id; ids with the parents before them are plumb's own.
pub(super) fn row(rows: Vec<Value>, kind: &Kind, id: &str) -> Option<Value> {
    let rows: Vec<Value> = rows.into_iter().filter(|row| row.get("doomed").is_none()).collect();
    let is = |row: &&Value| row["id"] == id || row["key"] == id;
    let last = |row: &&Value| kind.spec.id.local && row["id"].as_str() == id.rsplit('/').next();
    let scope = kind.spec.scope.as_ref().filter(|_| kind.spec.singleton).and_then(|scope| kind.field(&scope.field));
    let of = |row: &&Value| {
        scope.is_some_and(|scope| row["attributes"][scope.wire_name()].as_str() == id.rsplit('/').next_back())
    };
    rows.iter().find(is).or_else(|| rows.iter().find(last)).or_else(|| rows.iter().find(of)).cloned()
}
