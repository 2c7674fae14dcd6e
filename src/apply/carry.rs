//! What a live object has and no manifest can say, put back into what an update sends whole.

use serde_json::{Map, Value};

use crate::{
    description::{
        Kind,
        format::{FieldSpec, FieldType, UpdateStyle},
    },
    dialect::{self, attribute, compared},
    diff::pair_items,
    plan::Step,
    value::{Fields, get_path_mut, text},
};

/// Puts what is live and not described beside what is sent of these fields.
pub(super) fn carry<'s>(
    kind: &Kind,
    style: UpdateStyle,
    sent: &mut Fields,
    fields: impl Iterator<Item = &'s FieldSpec>,
    row: &Value,
) {
    for spec in fields {
        let wire = spec.wire_name();
        let Some(there) = attribute(kind, row, wire) else { continue };
        let carried = Carried { kind, merges: style == UpdateStyle::MergePatch && !spec.whole };
        if let Some(value) = get_path_mut_of(sent, wire) {
            carried.put(spec, wire, value, &there);
        }
        if let Some(head) = dialect::container(kind, wire)
            && let (Some(Value::Object(sent)), Some(Value::Object(there))) = (sent.get_mut(head), row.get(head))
        {
            dialect::beside(kind, sent, there, head);
        }
    }
}

/// The live fields that go with those that an update sends, because they are in the same attribute.
pub(super) fn together<'s>(step: &'s Step, sent: &Fields) -> Vec<(&'s String, &'s Value)> {
    let kind = &step.kind;
    let head = |name: &String| dialect::container(kind, kind.spec.fields.get(name)?.wire_name());
    let heads: Vec<&str> = sent.keys().filter_map(head).collect();
    let Some(live) = step.live.as_ref().filter(|_| !heads.is_empty()) else { return Vec::new() };
    let goes = |name: &String| !sent.contains_key(name) && head(name).is_some_and(|head| heads.contains(&head));
    live.fields.iter().filter(|(name, value)| goes(name) && !value.is_null()).collect()
}

fn get_path_mut_of<'f>(fields: &'f mut Fields, path: &str) -> Option<&'f mut Value> {
    if fields.contains_key(path) {
        return fields.get_mut(path);
    }
    let (head, rest) = path.split_once('.')?;
    get_path_mut(fields.get_mut(head)?, rest)
}

struct Carried<'a> {
    kind: &'a Kind,
    /// What an update leaves out of an object stays there.
    merges: bool,
}

impl Carried<'_> {
    fn put(&self, spec: &FieldSpec, path: &str, sent: &mut Value, there: &Value) {
        match (spec.ty, sent, there) {
            (FieldType::Object, Value::Object(sent), Value::Object(there)) => {
                if !self.merges && same_variant(spec, sent, there) {
                    for (name, value) in there {
                        if !sent.contains_key(name) && dialect::returns(self.kind, spec, path, name, value) {
                            sent.insert(name.clone(), value.clone());
                        }
                    }
                }
                for member in spec.fields.values() {
                    let wire = member.wire_name();
                    if let (Some(sent), Some(there)) = (sent.get_mut(wire), there.get(wire)) {
                        self.put(member, &format!("{path}.{wire}"), sent, there);
                    }
                }
            }
            (FieldType::Map, Value::Object(sent), Value::Object(there)) => {
                let Some(items) = spec.items.as_deref() else { return };
                for (name, value) in sent {
                    if let Some(there) = there.get(name) {
                        self.put(items, path, value, there);
                    }
                }
            }
            (FieldType::List, Value::Array(sent), Value::Array(there)) => {
                let Some(items) = spec.items.as_deref() else { return };
                if !matches!(items.ty, FieldType::Object | FieldType::Map | FieldType::List) {
                    return;
                }
                let pairs = pair_items(spec, &compared(items, sent), &compared(items, there));
                // A list is sent whole, whatever the style.
                let whole = Carried { kind: self.kind, merges: false };
                for (sent, found) in sent.iter_mut().zip(pairs) {
                    if let Some(there) = found.and_then(|index| there.get(index)) {
                        whole.put(items, path, sent, there);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether the member that decides what else an object has is as it was.
fn same_variant(spec: &FieldSpec, sent: &Map<String, Value>, there: &Map<String, Value>) -> bool {
    let decides = spec.variants.as_ref().and_then(|variants| spec.fields.get(variants.member.as_ref()?));
    decides.is_none_or(|member| {
        let wire = member.wire_name();
        match (sent.get(wire), there.get(wire)) {
            (Some(now), Some(then)) => text(now) == text(then),
            _ => true,
        }
    })
}
