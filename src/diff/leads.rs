//! What leads to items of an object's own lists by their ids: it is not sent back where the items go, or where it led to
//! all of them and there are new ones.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::match_items;
use crate::{
    description::{Specs, format::FieldType},
    value::{Fields, is_empty, text},
};

/// What became of ways that the manifest leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// It is not sent back, so that the server makes it anew: its path.
    Anew(String),
    /// What led to items that go is not sent back: its path and those items.
    Without(String, Vec<String>),
    /// Nothing leads to a new item: its path.
    Nowhere(String),
}

/// Ids of an object's items, by list; an item without an id has none here.
struct Items<'a> {
    by_list: HashMap<&'a str, HashSet<String>>,
    /// Every item has an id.
    all_known: bool,
}

impl<'a> Items<'a> {
    fn of(specs: &'a Specs, fields: &Fields) -> Self {
        let mut out = Self { by_list: HashMap::new(), all_known: true };
        for (name, _) in specs.iter().filter(|(_, spec)| spec.ty == FieldType::List && !spec.match_by.is_empty()) {
            let ids = out.by_list.entry(name).or_default();
            for item in fields.get(name).and_then(Value::as_array).into_iter().flatten() {
                match item.get("id").and_then(text) {
                    Some(id) => ids.extend([id]),
                    None => out.all_known = false,
                }
            }
        }
        out
    }

    /// Whether a `LIST/ID` names an item; one of a list that is not known is taken to be there.
    fn has(&self, target: &str) -> bool {
        let Some((list, id)) = target.split_once('/') else { return true };
        self.by_list.get(list).is_none_or(|ids| ids.contains(id))
    }
}

/// Declared ways of a whole object that lead to items which it will not have: their paths, and those items.
pub fn astray(specs: &Specs, desired: &Fields, whole: &Fields) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    let items = Items::of(specs, whole);
    // The server gives ids to items that have none.
    let known = |name: &str| {
        let items = whole.get(name).and_then(Value::as_array).into_iter().flatten();
        !items.into_iter().any(|item| item.get("id").and_then(text).is_none())
    };
    for (name, spec) in specs {
        let Some((member, leads)) = spec.items.as_ref().and_then(|items| items.ways()) else { continue };
        for (index, item) in desired.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some(ways) = item.get(member).filter(|ways| !is_empty(ways)) else { continue };
            let targets = leads.targets(ways).into_iter();
            let lost =
                |target: &String| !items.has(target) && target.split_once('/').is_some_and(|(list, _)| known(list));
            let mut gone: Vec<String> = targets.filter(lost).collect();
            gone.sort_unstable();
            gone.dedup();
            if !gone.is_empty() {
                out.push((format!("{name}/{index}/{member}"), gone));
            }
        }
    }
    out
}

/// Takes out of a whole object what is not declared and leads to items that it has no more, and what led to all items
/// where there are new ones.
pub fn relead(specs: &Specs, desired: &Fields, live: &Fields, whole: &mut Fields) -> Vec<Lead> {
    let mut out = Vec::new();
    let Some(leads) = specs.values().find_map(|spec| spec.items.as_ref()?.ways().map(|(_, leads)| leads)) else {
        return out;
    };
    let (before, now) = (Items::of(specs, live), Items::of(specs, whole));
    let Some(all) = specs.get(&leads.all) else { return out };
    let list = |fields: &Fields, name: &str| fields.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (there, wanted) = (list(live, &leads.all), list(whole, &leads.all));
    let matched = match_items(all, &wanted, &there);
    let new: Vec<usize> = (0..wanted.len()).filter(|index| matched[*index].is_none()).collect();
    let lost = there.len() + new.len() > wanted.len();
    let every: HashSet<String> =
        there.iter().filter_map(|item| Some(format!("{}/{}", leads.all, text(item.get("id")?)?))).collect();
    for (name, spec) in specs {
        let Some((member, leads)) = spec.items.as_ref().and_then(|items| items.ways()) else { continue };
        let declared = list(desired, name);
        let Some(Value::Array(items)) = whole.get_mut(name) else { continue };
        for (index, item) in items.iter_mut().enumerate() {
            let own = declared.get(index).and_then(|entry| entry.get(member)).filter(|own| !is_empty(own));
            let Some(ways) = item.get_mut(member).filter(|ways| !is_empty(ways)) else { continue };
            let targets: HashSet<String> = leads.targets(ways).into_iter().collect();
            let path = format!("{name}/{index}/{member}");
            let dangling: Vec<String> = if before.all_known {
                let mut gone: Vec<String> =
                    targets.iter().filter(|to| before.has(to) && !now.has(to)).cloned().collect();
                gone.sort_unstable();
                gone
            } else {
                Vec::new()
            };
            let leads_to_all = !every.is_empty() && every.is_subset(&targets);
            let unsure = !before.all_known && (lost || !new.is_empty());
            if own.is_none() && (unsure || (leads_to_all && !new.is_empty())) {
                drop_member(item, member);
                out.push(Lead::Anew(path));
                continue;
            }
            if dangling.is_empty() {
                continue;
            }
            strip(ways, own, &leads.by, &dangling);
            if own.is_none() && is_empty(ways) {
                drop_member(item, member);
                out.push(Lead::Anew(path));
            } else {
                out.push(Lead::Without(path, dangling));
            }
        }
    }
    if there.is_empty() || out.iter().any(|lead| matches!(lead, Lead::Anew(_))) {
        return out;
    }
    let mut targets: HashSet<String> = HashSet::new();
    for (name, _) in specs.iter().filter(|(_, spec)| spec.items.as_ref().and_then(|items| items.ways()).is_some()) {
        let items = whole.get(name).and_then(Value::as_array).into_iter().flatten();
        targets.extend(items.flat_map(|item| leads.targets(item)));
    }
    // Where nothing leads anywhere, the server makes it all.
    if targets.is_empty() {
        return out;
    }
    for index in new {
        let id = wanted[index].get("id").and_then(text);
        if id.is_none_or(|id| !targets.contains(&format!("{}/{id}", leads.all))) {
            out.push(Lead::Nowhere(format!("{}/{index}", leads.all)));
        }
    }
    out
}

fn drop_member(item: &mut Value, member: &str) {
    if let Value::Object(members) = item {
        members.shift_remove(member);
    }
}

/// Takes what leads to some targets out of ways, but for those that are declared; what leads nowhere then goes, too.
fn strip(ways: &mut Value, own: Option<&Value>, by: &str, gone: &[String]) {
    let Value::Object(kinds) = ways else { return };
    kinds.retain(|name, routes| {
        if own.is_some_and(|own| own.get(name).is_some()) {
            return true;
        }
        let Value::Array(routes) = routes else { return true };
        routes.retain_mut(|route| {
            let Some(Value::Array(targets)) = route.get_mut(by) else { return true };
            targets.retain(|target| text(target).is_none_or(|target| !gone.contains(&target)));
            !targets.is_empty()
        });
        !routes.is_empty()
    });
}
