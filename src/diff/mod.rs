//! desired × applied × live → changes: a three-way comparison of typed values. Pure: it touches no network and is
//! tested by values alone.

mod compose;
mod hidden;
mod leads;
mod matching;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    compose::{ComposeError, compose, unshown},
    hidden::{Hidden, Whole, hidden_losses, keep_hidden},
    leads::{Lead, astray, relead},
    matching::{in_place, match_items, pair_items, unstored},
};
pub use crate::description::holds;
use crate::{
    address::escape,
    description::{
        Specs, equal,
        format::{FieldSpec, FieldType, Immutable},
        plain,
    },
    value::{Fields, gone, has_secret, is_empty, is_gone, text},
};

/// How a value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeOp {
    /// It is not there yet.
    Add,
    /// It has another value.
    Replace,
    /// It goes.
    Remove,
}

impl ChangeOp {
    /// The word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }
}

/// What is compared.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// The types of the fields.
    pub specs: &'a Specs,
    /// What the manifest says, canonical.
    pub desired: &'a Fields,
    /// What plumb last wrote.
    pub applied: Option<&'a Fields>,
    /// What the API reports; none where there is no object.
    pub live: Option<&'a Fields>,
    /// Paths (dotted) of which drift is ignored.
    pub ignore_drift: &'a [String],
    /// Entries of keyed lists that are no longer declared are removed.
    pub prune: bool,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// JSON pointer below `spec`.
    pub path: String,
    /// The top-level field.
    pub field: String,
    /// How it differs.
    pub op: ChangeOp,
    /// Live value.
    pub before: Option<Value>,
    /// Declared value.
    pub after: Option<Value>,
    /// The values must not be shown.
    pub sensitive: bool,
    /// The live value is not what plumb last wrote.
    pub drift: bool,
    /// The manifest says the same as when it was last applied.
    pub unchanged_manifest: bool,
    /// What the change of an immutable field means.
    pub immutable: Option<Immutable>,
}

/// The result of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Differences {
    /// The differences.
    pub changes: Vec<Difference>,
    /// Paths that were declared when last applied and are not any more.
    pub released: Vec<String>,
    /// Paths of what the API neither shows nor changes in place, and was never applied: nobody can tell, and nothing
    /// can be done.
    pub unknown: Vec<String>,
    /// Drift that is ignored: JSON pointers into the declared fields, with what is live there.
    pub left: Vec<(String, Value)>,
}

/// Compares what is declared with what is live.
pub fn diff(sides: Sides<'_>) -> Differences {
    let mut out = Differences::default();
    let empty = Fields::new();
    let live = sides.live.unwrap_or(&empty);
    for (name, desired) in sides.desired {
        let Some(spec) = sides.specs.get(name) else { continue };
        // What is never sent, such as the name that an entry had before, is told to plumb and not to the API.
        if spec.read_only || spec.not_sent || (sides.live.is_some() && spec.immutable == Some(Immutable::CreateOnly)) {
            continue;
        }
        if !applies(sides.specs, spec, sides.desired, live) {
            continue;
        }
        let desired = forced(sides.specs, spec, desired, sides.desired, live);
        let at = At {
            field: name,
            path: format!("/{}", escape(name)),
            place: format!("/{}", escape(name)),
            dotted: name.clone(),
            exists: sides.live.is_some(),
            immutable: spec.immutable,
        };
        let applied = sides.applied.and_then(|applied| applied.get(name));
        walk(&sides, spec, &at, desired, applied, live.get(name), &mut out);
    }
    if let Some(applied) = sides.applied {
        for name in applied.keys() {
            if !sides.desired.contains_key(name) && !sides.specs.get(name).is_some_and(|spec| spec.not_sent) {
                out.released.push(format!("/{}", escape(name)));
            }
        }
    }
    out
}

/// Whether a field exists on this object.
fn applies(specs: &Specs, spec: &FieldSpec, desired: &Fields, live: &Fields) -> bool {
    spec.when.as_ref().is_none_or(|condition| holds(specs, condition, desired, live))
}

/// The declared value, or what the server forces instead.
pub fn forced<'a>(
    specs: &'a Specs,
    spec: &'a FieldSpec,
    value: &'a Value,
    desired: &Fields,
    live: &Fields,
) -> &'a Value {
    spec.forced.iter().find(|rule| holds(specs, &rule.when, desired, live)).map_or(value, |rule| &rule.value)
}

/// Where a comparison stands.
struct At<'a> {
    field: &'a str,
    /// Path that is shown: entries of keyed lists go by their key.
    path: String,
    /// JSON pointer into the declared fields.
    place: String,
    dotted: String,
    exists: bool,
    immutable: Option<Immutable>,
}

impl<'a> At<'a> {
    fn member(&self, name: &str, spec: Option<&FieldSpec>) -> At<'a> {
        At {
            field: self.field,
            path: format!("{}/{}", self.path, escape(name)),
            place: format!("{}/{}", self.place, escape(name)),
            dotted: format!("{}.{name}", self.dotted),
            exists: self.exists,
            immutable: spec.and_then(|spec| spec.immutable).or(self.immutable),
        }
    }

    /// An entry of a list, by its key and its number.
    fn entry(&self, key: &str, number: usize) -> At<'a> {
        At { place: format!("{}/{number}", self.place), ..self.member(key, None) }
    }
}

fn walk(
    sides: &Sides<'_>,
    spec: &FieldSpec,
    at: &At<'_>,
    desired: &Value,
    applied: Option<&Value>,
    live: Option<&Value>,
    out: &mut Differences,
) {
    match (spec.ty, desired) {
        (FieldType::Object, Value::Object(members)) if !spec.fields.is_empty() => {
            for (name, value) in members {
                let free = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
                let member = spec.fields.get(name).unwrap_or(&free);
                if member.read_only {
                    continue;
                }
                let below = at.member(name, Some(member));
                walk(sides, member, &below, value, inside(applied, name), inside_live(live, name), out);
            }
            release_members(at, members, applied, out);
        }
        (FieldType::Map, Value::Object(members)) => {
            let free = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
            let items = spec.items.as_deref().unwrap_or(&free);
            for (name, value) in members {
                walk(sides, items, &at.member(name, None), value, inside(applied, name), inside_live(live, name), out);
            }
            release_members(at, members, applied, out);
        }
        (FieldType::List, Value::Array(entries)) if spec.keyed_by.is_some() => {
            walk_keyed(sides, spec, at, entries, applied, live, out);
        }
        (FieldType::List, Value::Array(entries)) if !spec.match_by.is_empty() => {
            walk_matched(sides, spec, at, entries, desired, applied, live, out);
        }
        _ => leaf(sides, spec, at, desired, applied, live, out),
    }
}

fn inside<'a>(value: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    value.and_then(|value| value.get(name))
}

/// A member of a live object: one that was read shows every member that it has, so that what it lacks is not there.
fn inside_live<'a>(live: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    live.map(|live| live.get(name).unwrap_or(&Value::Null))
}

fn release_members(at: &At<'_>, members: &Map<String, Value>, applied: Option<&Value>, out: &mut Differences) {
    if let Some(Value::Object(before)) = applied {
        for name in before.keys() {
            if !members.contains_key(name) {
                out.released.push(format!("{}/{}", at.path, escape(name)));
            }
        }
    }
}

/// The key of a keyed list's entry, as the API compares it.
pub(crate) fn entry_key(spec: &FieldSpec, entry: &Value) -> Option<String> {
    let name = spec.keyed_by.as_deref()?;
    let member = spec.items.as_ref()?.fields.get(name)?;
    text(entry.get(name)?).map(|words| plain(member, &words))
}

fn walk_keyed(
    sides: &Sides<'_>,
    spec: &FieldSpec,
    at: &At<'_>,
    entries: &[Value],
    applied: Option<&Value>,
    live: Option<&Value>,
    out: &mut Differences,
) {
    let by_key = |list: Option<&Value>| -> IndexMap<String, Value> {
        let items = list.and_then(Value::as_array).cloned().unwrap_or_default();
        items.into_iter().filter_map(|entry| Some((entry_key(spec, &entry)?, entry))).collect()
    };
    let shown = |entry: &Value| {
        let name = spec.keyed_by.as_deref().unwrap_or_default();
        entry.get(name).and_then(text).unwrap_or_default()
    };
    let (old, now) = (by_key(applied), by_key(live));
    let items = spec.items.clone().unwrap_or_default();
    let mut declared = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let Some(key) = entry_key(spec, entry) else { continue };
        declared.push(key.clone());
        let below = at.entry(&shown(entry), number);
        let was = old.get(&key);
        if is_gone(entry) {
            out.changes.extend(now.get(&key).map(|there| Difference {
                path: below.path,
                field: at.field.to_owned(),
                op: ChangeOp::Remove,
                before: Some(there.clone()).filter(|there| !has_secret(there)),
                after: None,
                sensitive: has_secret(there) || was.is_some_and(has_secret),
                drift: was.is_some_and(is_gone),
                unchanged_manifest: was.is_some_and(is_gone),
                immutable: at.immutable,
            }));
            continue;
        }
        match (live, now.get(&key)) {
            (Some(_), Some(there)) => {
                let mut differences = Differences::default();
                walk(sides, &items, &below, entry, was, Some(there), &mut differences);
                if let Some(first) = differences.changes.first() {
                    let members: Vec<&String> = entry.as_object().map(|map| map.keys().collect()).unwrap_or_default();
                    let part: Map<String, Value> = members
                        .iter()
                        .filter_map(|name| Some(((*name).clone(), there.get(name.as_str())?.clone())))
                        .collect();
                    let sensitive = differences.changes.iter().any(|change| change.sensitive);
                    let mut after = entry.clone();
                    for (place, value) in &differences.left {
                        let inner = place.strip_prefix(&below.place).and_then(|inner| after.pointer_mut(inner));
                        if let Some(slot) = inner {
                            slot.clone_from(value);
                        }
                    }
                    out.changes.push(Difference {
                        path: below.path.clone(),
                        op: ChangeOp::Replace,
                        before: Some(Value::Object(part)).filter(|_| !sensitive),
                        after: Some(after).filter(|_| !sensitive),
                        sensitive,
                        drift: differences.changes.iter().any(|change| change.drift),
                        unchanged_manifest: differences.changes.iter().all(|change| change.unchanged_manifest),
                        ..first.clone()
                    });
                }
                out.released.extend(differences.released);
                out.left.extend(differences.left);
            }
            (Some(_), None) => {
                let before = out.left.len();
                leaf(sides, &items, &below, entry, was, Some(&Value::Null), out);
                // An entry that somebody took away, and that is to be left alone, is not sent again.
                for (_, value) in &mut out.left[before..] {
                    *value = gone(spec.keyed_by.as_deref().unwrap_or_default(), &shown(entry));
                }
            }
            (None, _) => leaf(sides, &items, &below, entry, was, None, out),
        }
    }
    for (key, entry) in &old {
        if declared.contains(key) || is_gone(entry) {
            continue;
        }
        let below = at.member(&shown(entry), None);
        match now.get(key) {
            Some(there) if sides.prune => out.changes.push(Difference {
                path: below.path,
                field: at.field.to_owned(),
                op: ChangeOp::Remove,
                before: Some(there.clone()),
                after: None,
                sensitive: has_secret(there),
                drift: false,
                unchanged_manifest: false,
                immutable: at.immutable,
            }),
            _ => out.released.push(below.path),
        }
    }
}

/// Items that are the live ones in their places are compared one by one; otherwise the list is another one.
#[expect(clippy::too_many_arguments, reason = "the three sides of a list and its items")]
fn walk_matched(
    sides: &Sides<'_>,
    spec: &FieldSpec,
    at: &At<'_>,
    entries: &[Value],
    desired: &Value,
    applied: Option<&Value>,
    live: Option<&Value>,
    out: &mut Differences,
) {
    let there = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if live.is_none() || !in_place(&match_items(spec, entries, there), there.len()) {
        leaf(sides, spec, at, desired, applied, live, out);
        return;
    }
    let old = applied.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let before = match_items(spec, entries, old);
    let items = spec.items.clone().unwrap_or_default();
    for (index, (entry, now)) in entries.iter().zip(there).enumerate() {
        let was = before[index].and_then(|index| old.get(index));
        walk(sides, &items, &at.member(&index.to_string(), None), entry, was, Some(now), out);
    }
}

fn leaf(
    sides: &Sides<'_>,
    spec: &FieldSpec,
    at: &At<'_>,
    desired: &Value,
    applied: Option<&Value>,
    live: Option<&Value>,
    out: &mut Differences,
) {
    let unchanged_manifest = applied.is_some_and(|applied| equal(spec, desired, applied));
    let live = if spec.write_only { None } else { live };
    let shown = live;
    let masked = spec.mask.as_deref().is_some_and(|mask| live.and_then(Value::as_str) == Some(mask));
    if masked && desired == live.unwrap_or(&Value::Null) {
        return;
    }
    let live = live.filter(|_| !masked);
    if at.exists {
        let same = match live {
            Some(live) => equal(spec, desired, live),
            // The API does not say: what was applied is taken to be there still.
            None => unchanged_manifest || spec.default.as_ref().is_some_and(|default| equal(spec, desired, default)),
        };
        if same {
            return;
        }
        let fixed = matches!(at.immutable, Some(Immutable::Replace | Immutable::Refuse));
        if fixed && live.is_none() && sides.applied.is_none() {
            out.unknown.push(at.path.clone());
            return;
        }
    } else if desired.is_null() {
        return;
    }
    let drift = live.is_some_and(|live| applied.is_some_and(|applied| drifted(spec, applied, live)));
    if drift && unchanged_manifest && sides.ignore_drift.iter().any(|path| covers(path, &at.dotted)) {
        out.left.extend(live.map(|live| (at.place.clone(), live.clone())));
        return;
    }
    let sensitive = spec.sensitive == Some(crate::description::format::Sensitivity::Always)
        || masked
        || has_secret(desired)
        || applied.is_some_and(has_secret)
        || live.is_some_and(has_secret);
    // Where the API does not say, what was applied is the last that is known.
    let there = shown.or(applied.filter(|_| at.exists)).filter(|value| !is_empty(value));
    out.changes.push(Difference {
        path: at.path.clone(),
        field: at.field.to_owned(),
        op: match (there, desired) {
            (_, Value::Null) => ChangeOp::Remove,
            (None, _) => ChangeOp::Add,
            (Some(_), _) => ChangeOp::Replace,
        },
        before: there.filter(|_| !sensitive).cloned(),
        after: Some(desired).filter(|desired| !sensitive && !desired.is_null()).cloned(),
        sensitive,
        drift,
        unchanged_manifest,
        immutable: at.immutable,
    });
}

/// Whether a live value is not what was applied; of maps and objects only what was declared counts.
fn drifted(spec: &FieldSpec, applied: &Value, live: &Value) -> bool {
    if spec.mask.as_deref().is_some_and(|mask| live.as_str() == Some(mask)) {
        return false;
    }
    match (spec.ty, applied) {
        (FieldType::List, Value::Array(entries)) if spec.keyed_by.is_some() => {
            let items = spec.items.clone().unwrap_or_default();
            let there = live.as_array().map(Vec::as_slice).unwrap_or_default();
            let of = |entry: &Value| there.iter().find(|other| entry_key(spec, other) == entry_key(spec, entry));
            entries.iter().any(|entry| match of(entry) {
                Some(other) => is_gone(entry) || drifted(&items, entry, other),
                None => !is_gone(entry),
            })
        }
        (FieldType::List, Value::Array(entries)) if !spec.match_by.is_empty() => {
            let items = spec.items.clone().unwrap_or_default();
            let there = live.as_array().map(Vec::as_slice).unwrap_or_default();
            !in_place(&match_items(spec, entries, there), there.len())
                || entries.iter().zip(there).any(|(entry, other)| drifted(&items, entry, other))
        }
        (FieldType::Map | FieldType::Object, Value::Object(members)) => {
            let free = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
            members.iter().any(|(name, value)| {
                let member = match spec.ty {
                    FieldType::Object => spec.fields.get(name),
                    _ => spec.items.as_deref(),
                };
                drifted(member.unwrap_or(&free), value, live.get(name).unwrap_or(&Value::Null))
            })
        }
        _ => !equal(spec, applied, live),
    }
}

/// Whether an `ignore-drift` path names a field or something above it; an empty one names everything.
fn covers(path: &str, dotted: &str) -> bool {
    let path = path.strip_prefix("spec.").unwrap_or(path);
    path.is_empty() || dotted == path || dotted.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests;
