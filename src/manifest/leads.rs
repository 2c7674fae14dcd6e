//! What leads to items of an object's own lists by their ids: checked as far as the manifest alone can tell.

use std::collections::HashSet;

use serde_json::Value;

use super::{condition::holds, convert::Convert, node::Member};
use crate::{
    description::{Kind, format::FieldType},
    diagnostic::Diagnostic,
    value::{Fields, text},
};

/// Refuses two items of one id, ways that lead to items that there are not, and ways in an object that has none.
pub(super) fn check(spec: &Fields, kind: &Kind, members: &[Member<'_>], convert: &mut Convert<'_, '_>) {
    let fields = &kind.spec.fields;
    for (name, field) in fields {
        let Some((ways, leads)) = field.items.as_ref().and_then(|items| items.ways()) else { continue };
        if kind.field(&leads.all).is_none() {
            continue;
        }
        let (Some(items), Some(member)) =
            (spec.get(name).and_then(Value::as_array), members.iter().find(|member| member.key == *name))
        else {
            continue;
        };
        let mut seen = HashSet::new();
        for id in items.iter().filter_map(id_of) {
            if seen.contains(&id) {
                let message = format!("Two items of `{name}` have the id `{id}`: what leads to it could mean either.");
                convert.faults.error("PL0118", message, member.at);
            }
            seen.insert(id);
        }
        for (index, item) in items.iter().enumerate() {
            let Some(own) = item.get(ways).filter(|own| !own.is_null()) else { continue };
            if let Some(when) = leads.when.as_ref().filter(|when| holds(when, spec, fields) == Some(false)) {
                let message =
                    format!("`{name}[{index}].{ways}` is only there where {}.", super::condition::describe(when));
                convert.faults.error("PL0115", message, member.at);
                continue;
            }
            for target in leads.targets(own) {
                if let Some(why) = astray(&target, spec, kind) {
                    let message = format!("`{name}[{index}].{ways}` leads to `{target}`, and {why}.");
                    let told = Diagnostic::error("PL0118", message);
                    convert.faults.add(told.hint("Write `LIST/ID`, with the `id` of an item of that list."), member.at);
                }
            }
        }
    }
}

fn id_of(item: &Value) -> Option<String> {
    item.get("id").and_then(text)
}

/// Why a target cannot be there; nothing where it may be.
fn astray(target: &str, spec: &Fields, kind: &Kind) -> Option<String> {
    let Some((list, id)) = target.split_once('/') else { return Some("that names no list".into()) };
    if kind.field(list).is_none_or(|field| field.ty != FieldType::List) {
        return Some(format!("there is no list `{list}`"));
    }
    // The server gives ids to those that have none.
    let items = spec.get(list)?.as_array()?;
    let ids: Option<Vec<String>> = items.iter().map(id_of).collect();
    ids.filter(|ids| !ids.iter().any(|known| known == id)).map(|_| format!("no item of `{list}` has that id"))
}
