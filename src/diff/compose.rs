//! The value of a field as an update must send it: what is declared, laid over what is live where the API replaces
//! the whole.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{entry_key, match_items};
use crate::{
    description::format::{FieldSpec, FieldType, UpdateStyle},
    value::{is_empty, is_gone, text},
};

/// A value that cannot be sent without losing something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// The API shows a mask instead of a value that would have to be sent back.
    #[error("`{0}` is shown masked by the API, and every update must send it again: declare it, or it would be lost")]
    Masked(String),
    /// The API does not show a value that would have to be sent back.
    #[error("the API does not show `{0}`, and every update must send it again: declare it, or it would be lost")]
    Hidden(String),
    /// A value stands for one that is stored, and none is.
    #[error("`{0}` stands for a value that is stored, and none is stored there: declare the value itself")]
    Unstored(String),
}

/// Lays the declared value of a field over the live one. `raw` is the live value as the API sent it, for members that
/// have no canonical form. `prune` drops entries of keyed lists that were applied and are no longer declared.
pub fn compose(
    spec: &FieldSpec,
    style: UpdateStyle,
    desired: &Value,
    applied: Option<&Value>,
    live: Option<&Value>,
    raw: Option<&Value>,
    prune: bool,
) -> Result<Value, ComposeError> {
    let merge = style == UpdateStyle::MergePatch && !spec.whole;
    if !merge
        && spec.write_only
        && let (Value::Object(members), Some(Value::Object(was))) = (desired, applied)
        && let Some((name, _)) = was.iter().find(|(name, value)| !members.contains_key(*name) && !is_empty(value))
    {
        return Err(ComposeError::Hidden(name.clone()));
    }
    match (spec.ty, desired) {
        (FieldType::Any, _) if merge => Ok(patch(desired, live)),
        (FieldType::Object, Value::Object(_)) if merge && spec.fields.is_empty() => Ok(patch(desired, live)),
        (FieldType::Object, Value::Object(members)) => {
            let mut out = Map::new();
            // What belongs to another variant goes with it.
            let decides = spec.variants.as_ref().and_then(|variants| variants.member.as_deref());
            let same = |name: &str| match (members.get(name), live.and_then(|live| live.get(name))) {
                (Some(now), Some(then)) => text(now) == text(then),
                _ => true,
            };
            if !merge && decides.is_none_or(same) {
                keep_live(spec, members, applied, live, raw, &mut out)?;
            }
            for (name, value) in members {
                let free = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
                let member = spec.fields.get(name).unwrap_or(&free);
                let below = |side: Option<&Value>| side.and_then(|side| side.get(name)).cloned();
                let (applied, live) = (below(applied), below(live));
                let value = compose(member, style, value, applied.as_ref(), live.as_ref(), None, prune)?;
                out.insert(name.clone(), value);
            }
            Ok(Value::Object(out))
        }
        (FieldType::Map, Value::Object(members)) => {
            let mut out = Map::new();
            if !merge && let Some(Value::Object(there)) = live {
                out.clone_from(there);
            }
            let free = FieldSpec { ty: FieldType::Any, whole: spec.whole, ..FieldSpec::default() };
            let items = spec.items.as_deref().unwrap_or(&free);
            for (name, value) in members {
                let below = |side: Option<&Value>| side.and_then(|side| side.get(name)).cloned();
                let (applied, live) = (below(applied), below(live));
                let value = compose(items, style, value, applied.as_ref(), live.as_ref(), None, prune)?;
                out.insert(name.clone(), value);
            }
            Ok(Value::Object(out))
        }
        (FieldType::List, Value::Array(entries)) if spec.keyed_by.is_some() => {
            Ok(Value::Array(keyed(spec, entries, applied, live, prune)?))
        }
        (FieldType::List, Value::Array(entries)) if !spec.match_by.is_empty() => {
            let list = |side: Option<&Value>| side.and_then(Value::as_array).cloned().unwrap_or_default();
            let (was, there) = (list(applied), list(live));
            let (before, now) = (match_items(spec, entries, &was), match_items(spec, entries, &there));
            let items = spec.items.clone().unwrap_or_default();
            let mut out = Vec::with_capacity(entries.len());
            for (entry, (before, now)) in entries.iter().zip(before.into_iter().zip(now)) {
                let (was, live) = (before.and_then(|index| was.get(index)), now.and_then(|index| there.get(index)));
                out.push(compose(&items, UpdateStyle::Fields, entry, was, live, None, prune)?);
            }
            Ok(Value::Array(out))
        }
        _ => Ok(desired.clone()),
    }
}

/// Members of a field that is sent whole which are not declared and never shown, and of which the API shows nothing.
pub fn unshown<'s>(
    spec: &'s FieldSpec,
    members: &'s Map<String, Value>,
    raw: Option<&'s Value>,
) -> impl Iterator<Item = &'s str> {
    spec.fields
        .iter()
        .filter(move |(name, member)| spec.whole && member.write_only && !members.contains_key(*name))
        .filter(move |(_, member)| raw.and_then(|raw| raw.get(member.wire_name())).is_none_or(is_empty))
        .map(|(name, _)| name.as_str())
}

/// A merge patch that makes a live value the desired one: what goes is null.
fn patch(desired: &Value, live: Option<&Value>) -> Value {
    let (Value::Object(members), Some(Value::Object(there))) = (desired, live) else { return desired.clone() };
    let gone = there.keys().filter(|name| !members.contains_key(*name));
    let mut out: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    out.extend(members.iter().map(|(name, value)| (name.clone(), patch(value, there.get(name)))));
    Value::Object(out)
}

fn keep_live(
    spec: &FieldSpec,
    members: &Map<String, Value>,
    applied: Option<&Value>,
    live: Option<&Value>,
    raw: Option<&Value>,
    out: &mut Map<String, Value>,
) -> Result<(), ComposeError> {
    if let Some(Value::Object(there)) = live {
        for (name, value) in there {
            let read_only =
                spec.fields.get(name).is_some_and(|member| member.read_only && member.carries != Some(true));
            if !(read_only || spec.whole && is_empty(value)) {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    // What plumb wrote, the manifest leaves out now and the API does not show can be sent by nobody.
    if let Some(name) = unshown(spec, members, raw)
        .find(|name| applied.and_then(|applied| applied.get(*name)).is_some_and(|value| !is_empty(value)))
    {
        return Err(ComposeError::Hidden(name.to_owned()));
    }
    // What has no canonical form (passwords, uploads) is sent back as it was read.
    if let Some(Value::Object(raw)) = raw
        && spec.whole
    {
        for (name, member) in &spec.fields {
            let Some(value) = raw.get(member.wire_name()).filter(|value| !is_empty(value)) else { continue };
            if !member.write_only || members.contains_key(name) {
                continue;
            }
            if text(value).is_some_and(|words| words.chars().all(|letter| matches!(letter, '*' | '•'))) {
                return Err(ComposeError::Masked(name.clone()));
            }
            out.insert(name.clone(), value.clone());
        }
        for (name, value) in raw {
            if !spec.fields.values().any(|member| member.wire_name() == name) && !is_empty(value) {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

fn keyed(
    spec: &FieldSpec,
    entries: &[Value],
    applied: Option<&Value>,
    live: Option<&Value>,
    prune: bool,
) -> Result<Vec<Value>, ComposeError> {
    let key = |entry: &Value| entry_key(spec, entry);
    let list = |side: Option<&Value>| side.and_then(Value::as_array).cloned().unwrap_or_default();
    let (old, there) = (list(applied), list(live));
    let was: HashMap<String, &Value> = old.iter().filter_map(|entry| Some((key(entry)?, entry))).collect();
    let declared: HashMap<String, &Value> = entries.iter().filter_map(|entry| Some((key(entry)?, entry))).collect();
    let items = spec.items.as_deref().cloned().unwrap_or_default();
    let mut out: Vec<Value> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for there in there {
        let name = key(&there);
        match name.as_ref().and_then(|name| declared.get(name)) {
            Some(entry) if is_gone(entry) => seen.extend(name),
            Some(entry) => {
                let was = name.as_ref().and_then(|name| was.get(name).copied());
                // Lists are sent whole, and so are their entries.
                out.push(compose(&items, UpdateStyle::Fields, entry, was, Some(&there), None, prune)?);
                seen.extend(name);
            }
            None if prune && name.as_ref().is_some_and(|name| was.contains_key(name)) => {}
            None => out.push(there),
        }
    }
    let is_new = |entry: &&Value| !is_gone(entry) && key(entry).is_none_or(|name| !seen.contains(&name));
    out.extend(entries.iter().filter(is_new).cloned());
    Ok(out)
}
