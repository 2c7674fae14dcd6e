//! Items of a list that is neither keyed nor a set → the live ones that they are: by what tells them apart, and in order.

use std::collections::HashMap;

use serde_json::Value;

use super::{drifted, entry_key};
use crate::{
    description::{
        canonical_text,
        format::{FieldSpec, FieldType},
    },
    value::{is_empty, text},
};

/// For each item, the index of the live one that it is; nothing for one that is new. An item that is as it was is never
/// taken for another.
pub fn match_items(spec: &FieldSpec, wanted: &[Value], there: &[Value]) -> Vec<Option<usize>> {
    let mut out = vec![None; wanted.len()];
    let mut taken = vec![false; there.len()];
    let items = spec.items.as_deref().cloned().unwrap_or_default();
    let mut earlier: Vec<&Vec<String>> = Vec::new();
    for names in &spec.match_by {
        let mut groups: HashMap<String, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for (index, item) in wanted.iter().enumerate().filter(|(index, _)| out[*index].is_none()) {
            if let Some(identity) = identity(names, item) {
                groups.entry(identity).or_default().0.push(index);
            }
        }
        for (index, item) in there.iter().enumerate().filter(|(index, _)| !taken[*index]) {
            let Some(identity) = identity(names, item) else { continue };
            if let Some((_, live)) = groups.get_mut(&identity) {
                live.push(index);
            }
        }
        // A rule that looks at less than one before it only tells which the only one left is.
        let is_last_resort = earlier.iter().any(|before| before.len() > names.len() && before.starts_with(names));
        for (mine, live) in groups.into_values() {
            if is_last_resort && (mine.len() != 1 || live.len() != 1) {
                continue;
            }
            // One that names another than this live one by something stronger is not it.
            let may_be = |mine: usize, live: usize| {
                earlier
                    .iter()
                    .filter(|before| !(is_last_resort && before.starts_with(names)))
                    .all(|names| identity(names, &wanted[mine]).is_none() || identity(names, &there[live]).is_none())
            };
            for exact in [true, false] {
                for index in &mine {
                    if out[*index].is_some() {
                        continue;
                    }
                    let same = |live: &usize| !exact || !drifted(&items, &wanted[*index], &there[*live]);
                    let found = live.iter().copied().find(|live| !taken[*live] && may_be(*index, *live) && same(live));
                    if let Some(live) = found {
                        out[*index] = Some(live);
                        taken[live] = true;
                    }
                }
            }
        }
        earlier.push(names);
    }
    out
}

/// For each item of a list of any sort, the index of the live one that it is: by its key, by what tells items apart, or by
/// being equal to it.
pub fn pair_items(spec: &FieldSpec, wanted: &[Value], there: &[Value]) -> Vec<Option<usize>> {
    if !spec.match_by.is_empty() {
        return match_items(spec, wanted, there);
    }
    let items = spec.items.as_deref().cloned().unwrap_or_default();
    let identity = |item: &Value| match spec.keyed_by {
        Some(_) => entry_key(spec, item),
        None => Some(canonical_text(&items, item)),
    };
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, item) in there.iter().enumerate().rev() {
        if let Some(identity) = identity(item) {
            places.entry(identity).or_default().push(index);
        }
    }
    wanted.iter().map(|item| places.get_mut(&identity(item)?)?.pop()).collect()
}

/// Whether each item is the live one in its place, and there are no others.
pub fn in_place(matched: &[Option<usize>], there: usize) -> bool {
    matched.len() == there && matched.iter().enumerate().all(|(index, found)| *found == Some(index))
}

/// What the members say together; nothing where the first of them says nothing.
fn identity(names: &[String], item: &Value) -> Option<String> {
    let part = |name: &String| item.get(name).filter(|value| !is_empty(value));
    part(names.first()?)?;
    let words = |name: &String| part(name).map(|value| text(value).unwrap_or_else(|| value.to_string()));
    Some(names.iter().map(|name| words(name).unwrap_or_default()).collect::<Vec<_>>().join("\u{1f}"))
}

/// Where a value stands for one that is stored, although nothing is stored there: the way to it, in words.
pub fn unstored(spec: &FieldSpec, wanted: &Value, live: Option<&Value>) -> Option<String> {
    if let Some(mask) = &spec.mask
        && wanted.as_str() == Some(mask)
    {
        return (live.and_then(Value::as_str) != Some(mask)).then(String::new);
    }
    let below = |name: &str, way: String| if way.is_empty() { name.to_owned() } else { format!("{name}/{way}") };
    match (spec.ty, wanted) {
        (FieldType::Object, Value::Object(members)) => members.iter().find_map(|(name, value)| {
            let member = spec.fields.get(name)?;
            Some(below(name, unstored(member, value, live.and_then(|live| live.get(name)))?))
        }),
        (FieldType::List, Value::Array(entries)) => {
            let items = spec.items.as_deref()?;
            let there = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if let Some(key) = &spec.keyed_by {
                return entries.iter().find_map(|entry| {
                    let found = there.iter().find(|live| live.get(key) == entry.get(key));
                    let name = entry.get(key).and_then(text).unwrap_or_default();
                    Some(below(&name, unstored(items, entry, found)?))
                });
            }
            let matched = if spec.match_by.is_empty() {
                (0..entries.len()).map(|index| (index < there.len()).then_some(index)).collect()
            } else {
                match_items(spec, entries, there)
            };
            entries.iter().zip(matched).enumerate().find_map(|(index, (entry, found))| {
                Some(below(&index.to_string(), unstored(items, entry, found.and_then(|found| there.get(found)))?))
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn components() -> FieldSpec {
        let parameter = FieldSpec {
            ty: FieldType::Object,
            fields: [
                ("name".to_owned(), FieldSpec::default()),
                (
                    "value".to_owned(),
                    FieldSpec { ty: FieldType::Any, mask: Some("(sensitive)".into()), ..FieldSpec::default() },
                ),
            ]
            .into_iter()
            .collect(),
            ..FieldSpec::default()
        };
        let parameters = FieldSpec {
            ty: FieldType::List,
            keyed_by: Some("name".into()),
            items: Some(Box::new(parameter)),
            ..FieldSpec::default()
        };
        let component = FieldSpec {
            ty: FieldType::Object,
            fields: [
                ("id".to_owned(), FieldSpec { filled: true, ..FieldSpec::default() }),
                ("type".to_owned(), FieldSpec::default()),
                ("displayName".to_owned(), FieldSpec::default()),
                ("parameters".to_owned(), parameters),
            ]
            .into_iter()
            .collect(),
            ..FieldSpec::default()
        };
        FieldSpec {
            ty: FieldType::List,
            items: Some(Box::new(component)),
            match_by: vec![vec!["id".into()], vec!["type".into(), "displayName".into()]],
            ..FieldSpec::default()
        }
    }

    fn found(wanted: &Value, there: &Value) -> Vec<Option<usize>> {
        match_items(&components(), wanted.as_array().unwrap(), there.as_array().unwrap())
    }

    #[test]
    fn what_is_as_it_was_keeps_its_place_whatever_comes_before_it() {
        let with = |value: &str| json!({"type": "filter", "parameters": [{"name": "match", "value": value}]});
        let live = json!([
            {"id": "01A", "type": "filter", "parameters": [{"name": "match", "value": "a"}]},
            {"id": "01B", "type": "filter", "parameters": [{"name": "match", "value": "b"}]},
        ]);
        assert_eq!(found(&json!([with("new"), with("a"), with("b")]), &live), [None, Some(0), Some(1)]);
        assert_eq!(found(&json!([with("b"), with("changed")]), &live), [Some(1), Some(0)]);
    }

    #[test]
    fn the_only_one_of_a_type_left_on_both_sides_is_the_same() {
        let mut spec = components();
        spec.match_by.push(vec!["type".into()]);
        let found =
            |wanted: &Value, there: &Value| match_items(&spec, wanted.as_array().unwrap(), there.as_array().unwrap());
        let one = |id: &str, ty: &str, name: &str| json!({"id": id, "type": ty, "displayName": name});
        let new = |ty: &str, name: &str| json!({"type": ty, "displayName": name});
        let live = json!([one("1", "lookup", "x"), one("2", "batch", "")]);
        assert_eq!(found(&json!([new("lookup", "y"), new("batch", "")]), &live), [Some(0), Some(1)]);
        // Two that are left could be either.
        let live = json!([one("1", "lookup", "x"), one("2", "lookup", "y"), one("3", "lookup", "z")]);
        assert_eq!(found(&json!([new("lookup", "a"), new("lookup", "b")]), &live), [None, None]);
        assert_eq!(found(&json!([new("lookup", "z"), new("lookup", "a")]), &live), [Some(2), None]);
        assert_eq!(
            found(&json!([new("lookup", "z"), new("lookup", "x"), new("lookup", "a")]), &live),
            [Some(2), Some(0), Some(1)]
        );
        // An id of its own says that it is another.
        let other = json!([{"id": "9", "type": "lookup", "displayName": "a"}]);
        assert_eq!(found(&other, &json!([one("1", "lookup", "x")])), [None]);
    }

    #[test]
    fn an_id_that_is_given_is_the_one_that_counts() {
        let live = json!([{"id": "one", "type": "batch"}, {"id": "two", "type": "batch"}]);
        assert_eq!(found(&json!([{"id": "two", "type": "batch"}]), &live), [Some(1)]);
        assert_eq!(found(&json!([{"id": "other", "type": "batch"}]), &live), [None]);
        assert_eq!(found(&json!([{"id": "own", "type": "batch"}]), &json!([{"type": "batch"}])), [Some(0)]);
    }

    #[test]
    fn what_stands_for_a_stored_value_needs_one() {
        let masked = json!([{"type": "splunk", "parameters": [{"name": "token", "value": "(sensitive)"}]}]);
        assert_eq!(unstored(&components(), &masked, Some(&masked)), None);
        assert_eq!(unstored(&components(), &masked, None).as_deref(), Some("0/parameters/token/value"));
        let other = json!([{"type": "batch", "parameters": [{"name": "token", "value": "(sensitive)"}]}]);
        assert_eq!(unstored(&components(), &masked, Some(&other)).as_deref(), Some("0/parameters/token/value"));
    }
}
