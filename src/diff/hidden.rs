//! Values that the API never shows, and that an update would take away because it sends what they are in without them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{applies, entry_key, pair_items};
use crate::{
    address::escape,
    description::{
        Specs,
        format::{FieldSpec, FieldType, UpdateStyle},
    },
    dialect::{compared, is_mask},
    value::{Fields, is_empty, is_gone, text},
};

/// A value that an update would take away, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// JSON pointer below `spec`; entries of keyed lists go by their key.
    pub path: String,
    /// There is one, or there may be a secret that somebody else put there.
    pub refused: bool,
}

/// An update, as far as it matters to what the API never shows.
pub struct Whole<'a> {
    /// The types of the fields.
    pub specs: &'a Specs,
    /// What the update sends.
    pub style: UpdateStyle,
    /// The fields that it sends, where not all.
    pub send: &'a [String],
    /// What the manifest says.
    pub desired: &'a Fields,
    /// What plumb last wrote.
    pub applied: Option<&'a Fields>,
    /// Pointers of values that plumb wrote once and that no manifest has declared since.
    pub once: &'a [String],
    /// The object was made by plumb, so that what was not applied is not there, unless somebody put it there.
    pub made: bool,
    /// What the API reports.
    pub live: &'a Fields,
    /// The value of a wire attribute, as the API sent it.
    pub raw: &'a dyn Fn(&str) -> Option<Value>,
    /// A field that something else looks after.
    pub except: Option<&'a str>,
}

/// The values that an update would take away.
pub fn hidden_losses(update: &Whole<'_>) -> Vec<Hidden> {
    let all = matches!(update.style, UpdateStyle::Replace | UpdateStyle::ReplaceFields);
    let merges = update.style == UpdateStyle::MergePatch;
    let mut out = Vec::new();
    for (name, spec) in update.specs {
        let sent = !spec.read_only && !spec.not_sent && !spec.path_only && spec.query.is_none();
        let concerned = sent && update.except != Some(name) && (all || update.send.contains(name));
        if !concerned || !applies(update.specs, spec, update.desired, update.live) {
            continue;
        }
        let sides = Around {
            desired: update.desired.get(name),
            applied: update.applied.and_then(|applied| applied.get(name)),
            known: update.made,
            once: update.once,
        };
        let path = format!("/{}", escape(name));
        let raw = (update.raw)(spec.wire_name());
        if spec.write_only {
            if all {
                // Updates that send the described fields do not send back what is not decoded.
                let shown = raw.as_ref().filter(|_| update.style == UpdateStyle::Replace);
                judge(spec, &path, sides, shown, &mut out);
            }
            continue;
        }
        let there = raw.map_or_else(
            || update.live.get(name).cloned(),
            |raw| compared(spec, std::slice::from_ref(&raw)).pop().map(|there| with_raw(spec, there, &raw)),
        );
        if let Some(there) = there {
            walk(spec, &path, sides, &there, merges && !spec.whole, &mut out);
        }
    }
    out
}

/// The sides of a value beside the live one.
#[derive(Clone, Copy)]
struct Around<'a> {
    desired: Option<&'a Value>,
    applied: Option<&'a Value>,
    /// What was not applied is not there.
    known: bool,
    once: &'a [String],
}

impl<'a> Around<'a> {
    fn inside(self, name: &str) -> Self {
        let below = |side: Option<&'a Value>| side.and_then(|side| side.get(name));
        Around { desired: below(self.desired), applied: below(self.applied), ..self }
    }
}

/// What was shown all the same, among the members that are not decoded.
fn with_raw(spec: &FieldSpec, mut there: Value, raw: &Value) -> Value {
    match (spec.ty, &mut there, raw) {
        (FieldType::Object, Value::Object(there), Value::Object(raw)) => {
            for (name, member) in &spec.fields {
                let Some(shown) = raw.get(member.wire_name()) else { continue };
                if member.write_only {
                    there.insert(name.clone(), shown.clone());
                } else if let Some(value) = there.get_mut(name) {
                    *value = with_raw(member, value.take(), shown);
                }
            }
        }
        (FieldType::Map, Value::Object(there), Value::Object(raw)) => {
            let Some(items) = spec.items.as_deref() else { return Value::Object(std::mem::take(there)) };
            for (name, value) in there.iter_mut() {
                if let Some(shown) = raw.get(name) {
                    *value = with_raw(items, value.take(), shown);
                }
            }
        }
        (FieldType::List, Value::Array(there), Value::Array(raw)) => {
            let Some(items) = spec.items.as_deref() else { return Value::Array(std::mem::take(there)) };
            for (value, shown) in there.iter_mut().zip(raw) {
                *value = with_raw(items, value.take(), shown);
            }
        }
        _ => {}
    }
    there
}

fn judge(spec: &FieldSpec, path: &str, sides: Around<'_>, shown: Option<&Value>, out: &mut Vec<Hidden>) {
    let stays = spec.kept_if_omitted || spec.read_only || spec.not_sent || spec.immutable.is_some();
    if stays || sides.desired.is_some() {
        return;
    }
    let shown = shown.filter(|shown| !is_empty(shown));
    if shown.is_some_and(|shown| !is_mask(shown)) {
        return;
    }
    // The server takes its own mask for what it has.
    if shown.is_some_and(|shown| spec.mask.as_deref() == shown.as_str()) {
        return;
    }
    let certain = shown.is_some() || sides.once.iter().any(|once| once == path);
    let refused = match sides.applied {
        Some(applied) => certain || !is_empty(applied),
        None => certain || (!sides.known && spec.always_sensitive()),
    };
    // What plumb cleared is not there.
    if refused || sides.applied.is_none() {
        out.push(Hidden { path: path.to_owned(), refused });
    }
}

fn walk(spec: &FieldSpec, path: &str, sides: Around<'_>, there: &Value, merges: bool, out: &mut Vec<Hidden>) {
    match (spec.ty, there) {
        (FieldType::Object, Value::Object(there)) => {
            if sides.desired.is_some_and(|desired| !desired.is_object() || is_another(spec, desired, there)) {
                return;
            }
            for (name, member) in &spec.fields {
                let (path, below) = (format!("{path}/{}", escape(name)), sides.inside(name));
                if member.write_only {
                    if !merges {
                        judge(member, &path, below, there.get(name), out);
                    }
                } else if let Some(there) = there.get(name)
                    && (!merges || below.desired.is_some())
                {
                    walk(member, &path, below, there, merges, out);
                }
            }
        }
        (FieldType::Map, Value::Object(there)) => {
            let Some(items) = spec.items.as_deref() else { return };
            for (name, there) in there {
                let below = sides.inside(name);
                if !merges || below.desired.is_some() {
                    walk(items, &format!("{path}/{}", escape(name)), below, there, merges, out);
                }
            }
        }
        (FieldType::List, Value::Array(there)) => list(spec, path, sides, there, out),
        _ => {}
    }
}

/// A list goes whole, whatever the style. Items that are not declared stay where lists are managed by item.
fn list(spec: &FieldSpec, path: &str, sides: Around<'_>, there: &[Value], out: &mut Vec<Hidden>) {
    let Some(items) = spec.items.as_deref() else { return };
    let array = |side: Option<&Value>| side.and_then(Value::as_array).cloned();
    let (wanted, was) = (array(sides.desired), array(sides.applied).unwrap_or_default());
    let mine = wanted.as_ref().map(|wanted| pair_items(spec, there, wanted));
    let before = pair_items(spec, there, &was);
    for (index, now) in there.iter().enumerate() {
        let found = mine.as_ref().and_then(|mine| mine[index]);
        let desired = found.and_then(|found| wanted.as_ref()?.get(found));
        let goes = desired.is_some_and(is_gone) || (wanted.is_some() && desired.is_none() && spec.keyed_by.is_none());
        if goes {
            continue;
        }
        let applied = before[index].and_then(|index| was.get(index));
        let key = spec.keyed_by.as_ref().and_then(|name| text(now.get(name)?)).unwrap_or_else(|| index.to_string());
        let below = Around { desired, applied, known: sides.known && applied.is_some(), ..sides };
        walk(items, &format!("{path}/{}", escape(&key)), below, now, false, out);
    }
}

/// Whether the member that decides what else an object has is another one: what belonged to the former goes.
fn is_another(spec: &FieldSpec, desired: &Value, there: &Map<String, Value>) -> bool {
    let Some(member) = spec.variants.as_ref().and_then(|variants| variants.member.as_ref()) else { return false };
    match (desired.get(member), there.get(member)) {
        (Some(now), Some(then)) => text(now) != text(then),
        _ => false,
    }
}

/// Pointers of values that plumb wrote, that the API never shows and that are not declared any more.
pub fn keep_hidden(specs: &Specs, applied: &Fields, once: &[String], now: &Fields) -> Vec<String> {
    let (mut written, mut declared) = (BTreeSet::new(), BTreeSet::new());
    for (name, spec) in specs {
        let path = format!("/{}", escape(name));
        for (fields, all, out) in [(applied, false, &mut written), (now, true, &mut declared)] {
            if let Some(value) = fields.get(name) {
                never_shown(spec, &path, value, all, out);
            }
        }
    }
    written.extend(once.iter().cloned());
    written.difference(&declared).cloned().collect()
}

/// Pointers of values that the API never shows: of all that are declared, or of those only that are not empty.
fn never_shown(spec: &FieldSpec, path: &str, value: &Value, all: bool, out: &mut BTreeSet<String>) {
    if spec.write_only {
        if all || !is_empty(value) {
            out.insert(path.to_owned());
        }
        return;
    }
    match (spec.ty, value) {
        (FieldType::Object, Value::Object(members)) => {
            for (name, value) in members {
                if let Some(member) = spec.fields.get(name) {
                    never_shown(member, &format!("{path}/{}", escape(name)), value, all, out);
                }
            }
        }
        (FieldType::Map, Value::Object(members)) => {
            let Some(items) = spec.items.as_deref() else { return };
            for (name, value) in members {
                never_shown(items, &format!("{path}/{}", escape(name)), value, all, out);
            }
        }
        (FieldType::List, Value::Array(entries)) => {
            let Some(items) = spec.items.as_deref() else { return };
            for (index, entry) in entries.iter().enumerate() {
                let key = spec.keyed_by.as_ref().and_then(|name| text(entry.get(name)?));
                let key = key.or_else(|| entry_key(spec, entry)).unwrap_or_else(|| index.to_string());
                never_shown(items, &format!("{path}/{}", escape(&key)), entry, all, out);
            }
        }
        _ => {}
    }
}
