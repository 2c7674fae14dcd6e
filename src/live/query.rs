//! What a list or a read asks of an OData API: the wanted properties, the parents in use, the entries that come along.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::remote::ListQuery;
use crate::{
    description::{Api, Kind, format::Condition},
    dialect::odata::{Expand, Filter, Literal, Query},
    value::{get_path, text},
};

/// The fields that a run asks of each kind, by API and kind; kinds that are not there are asked for whole.
pub type Wanted = HashMap<(String, String), HashSet<String>>;

/// Characters of a list of values in a URL: servers take lines of 8 KiB at least.
const ROOM: usize = 6000;

/// The query of a list. Pairs of `asked` whose name is no query option limit it to rows with one of these values.
pub(super) fn list_query(api: &Api, kind: &Kind, asked: &ListQuery, wanted: &Wanted, caller: Option<&Value>) -> Query {
    let mut filters: Vec<Filter> = Vec::new();
    let mut limits: Vec<(&str, Vec<Literal>)> = Vec::new();
    for (name, value) in &asked.query {
        if name == "$filter" {
            filters.push(Filter::Text(value.clone()));
            continue;
        }
        let field = kind.spec.fields.values().find(|field| field.wire_name() == name);
        let literal = Literal::of_field(field, value);
        match limits.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(literal),
            None => limits.push((name, vec![literal])),
        }
    }
    if let Some(text) = kind.spec.list.query.get("$filter") {
        filters.push(Filter::Text(text.clone()));
    }
    if let Some(scope) = kind.spec.scope.as_ref().filter(|_| limits.is_empty())
        && let Some(text) = scope.unlimited.get("$filter")
    {
        filters.push(Filter::Text(text.clone()));
    }
    filters.extend(limits.into_iter().filter_map(|(name, values)| Filter::among(name, values)));
    // Entries of one parent: the description names the attribute, the path has no place for it.
    if let (Some(wire), Some((_, id))) = (
        kind.inside().and_then(|inside| inside.parent_wire.as_deref()),
        asked.vars.iter().find(|(name, _)| name == "parent"),
    ) {
        filters.push(Filter::eq(wire, Literal::of(id)));
    }
    if let Some(mine) = &kind.spec.mine
        && let Some(id) = caller.and_then(|caller| get_path(caller, &mine.caller)).and_then(text)
    {
        filters.push(Filter::eq(&mine.wire, Literal::of(&id)));
    }
    let query = item_query(api, kind, &asked.include, wanted);
    let select = if asked.on_demand { select(kind, None, true) } else { query.select };
    Query { filter: Filter::all(filters), select, ..query }
}

/// The query of the read of one object: what is wanted of it, and the entries that come along.
pub(super) fn item_query(api: &Api, kind: &Kind, include: &[String], wanted: &Wanted) -> Query {
    let fields = wanted.get(&(kind.api.clone(), kind.name.clone()));
    let children: Vec<&Kind> = api
        .children(&kind.name)
        .map(AsRef::as_ref)
        .filter(|child| {
            child.inside().and_then(|inside| inside.include.as_ref()).is_some_and(|name| include.contains(name))
        })
        .collect();
    Query {
        select: select(kind, fields, false),
        expand: children.into_iter().map(|child| expand(api, child)).collect(),
        ..Query::default()
    }
}

fn expand(api: &Api, child: &Kind) -> Expand {
    let inside = child.inside();
    let nav = inside.and_then(|inside| inside.include.clone()).unwrap_or_default();
    let through = inside.and_then(|inside| inside.through.as_ref());
    let other = through.and_then(|through| Some(api.kind(&through.kind)?.field(&through.field)?.wire_name()));
    let mut own = select(child, None, false);
    own.retain(|name| Some(name.as_str()) != other);
    let entries = Expand { nav, query: Query { select: own, ..Query::default() } };
    match through {
        None => entries,
        Some(through) => Expand {
            nav: through.include.clone(),
            query: Query {
                select: std::iter::once("id").chain(other).map(str::to_owned).collect(),
                expand: vec![entries],
                ..Query::default()
            },
        },
    }
}

/// The properties to ask for: the id, and those of the wanted fields; `whole` are those too that not every server has.
fn select(kind: &Kind, wanted: Option<&HashSet<String>>, whole: bool) -> Vec<String> {
    let spec = &kind.spec;
    let mut out: Vec<String> = Vec::new();
    let mut add = |path: &str| {
        let name = path.split(['.', '[']).next().unwrap_or(path).to_owned();
        if !name.is_empty() && !out.contains(&name) {
            out.push(name);
        }
    };
    spec.id.path.iter().take(1).for_each(|path| add(path));
    spec.id.made.iter().for_each(|path| add(path));
    for (name, field) in &spec.fields {
        let asked = match wanted {
            Some(wanted) => wanted.contains(name),
            None => whole || !field.on_demand,
        };
        if asked && !field.write_only {
            add(field.wire_name());
        }
    }
    let mut looks = |conditions: &[Condition]| {
        conditions.iter().filter_map(|condition| condition.wire.as_deref()).for_each(&mut add);
    };
    looks(&spec.not_ours);
    looks(&spec.never_delete);
    if let Some(synced) = &spec.synced {
        looks(&synced.detect);
    }
    out
}

/// Splits values into as many lists as URLs have room for.
pub(super) fn chunks(values: Vec<String>) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for value in values {
        // A text has quotes, and its letters may be escaped.
        let digits = value.bytes().all(|letter| letter.is_ascii_digit());
        let length = if digits { value.len() + 1 } else { 3 * value.len() + 7 };
        match out.last_mut() {
            Some(list) if length <= room => {
                list.push(value);
                room -= length;
            }
            _ => {
                out.push(vec![value]);
                room = ROOM.saturating_sub(length);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_values_fit_into_urls() {
        let lists = chunks((1_000_000..1_002_000).map(|id| id.to_string()).collect());
        assert_eq!(lists.iter().map(Vec::len).sum::<usize>(), 2000);
        assert_eq!(lists.len(), 3);
        assert!(lists.iter().all(|list| list.join(",").len() <= ROOM));
        assert_eq!(chunks(Vec::new()), Vec::<Vec<String>>::new());
    }
}
