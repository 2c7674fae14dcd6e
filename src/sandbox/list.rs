//! Lists: query parameters to the rows of one page, in a stable order, and what the answer says about the pages.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    answer::Refusal,
    behaviour::Documented,
    route::Call,
    shape::Shape,
    simulation::{Simulation, time_of},
    store::{Row, Store},
};
use crate::{
    description::format::{Paging, PagingStyle},
    value::text,
};

/// Objects on a page where the request says nothing.
const DEFAULT_SIZE: u64 = 50;

/// One page of a list.
pub(super) struct Page<'a> {
    pub(super) rows: Vec<&'a Row>,
    pub(super) total: u64,
    /// Rows before this page.
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A filter: the row must have one of these values.
struct Filter {
    wire: String,
    values: Vec<String>,
}

/// Which rows a list is about, and how they are ordered.
#[derive(Default)]
struct Wish {
    filters: Vec<Filter>,
    search: Option<String>,
    /// Id of an object that the rows' parents are below.
    below: Option<String>,
    sort: Vec<(String, bool)>,
    number: Option<u64>,
    offset: Option<u64>,
    size: Option<u64>,
}

/// The page that a request wants.
pub(super) fn page<'a>(
    sim: &Simulation,
    store: &'a Store,
    call: &Call,
    query: &[(String, String)],
) -> Result<Page<'a>, Refusal> {
    let shape = call.shape.as_ref();
    let paging = paging(sim, shape);
    let mut wish = wish(sim, shape, paging, query)?;
    let parent = parent(store, shape, call)?;
    for (name, id) in &call.ids {
        let above = shape.kind.chain.split_last().is_some_and(|(_, above)| above.contains(name));
        if above && shape.kind.spec.list.across.is_some() {
            wish.below = Some(id.clone());
            continue;
        }
        let Some(field) = shape.kind.field(name) else { continue };
        if let Some(kind) = field.reference.as_ref().and_then(|reference| reference.kind.as_deref())
            && store.get(kind, id).is_none()
        {
            return Err(Refusal::absent());
        }
        wish.filters.push(Filter { wire: field.wire_name().to_owned(), values: vec![id.clone()] });
    }
    if let Some(scope) = &shape.kind.spec.scope
        && scope.required
        && scope.filter.is_some()
        && let Some(wire) = &shape.scope
        && !wish.filters.iter().any(|filter| filter.wire == *wire)
    {
        return Err(Refusal::invalid(format!("`{}` is required.", scope.filter.as_deref().unwrap_or_default())));
    }
    let (offset, size) = window(sim, paging, &wish)?;
    let Some(table) = store.table(shape.name()) else { return Err(Refusal::absent()) };
    let natural = wish.sort.is_empty()
        || (table.ascending()
            && wish.sort.iter().all(|(wire, down)| !down && matches!(wire.as_str(), "id" | "created_at")));
    let all = wish.filters.is_empty() && wish.search.is_none() && wish.below.is_none();
    if natural && parent.is_none() && all {
        let rows = table.rows().skip(to_usize(offset)).take(to_usize(size)).collect();
        return Ok(Page { rows, total: table.len() as u64, offset, size });
    }
    let index = wish
        .filters
        .iter()
        .position(|filter| shape.scope.as_deref() == Some(filter.wire.as_str()) && filter.values.len() == 1);
    let candidates: Vec<&Row> = if let Some((kind, id)) = &parent {
        table.inside(kind, id).collect()
    } else if let Some(filter) = index.map(|index| wish.filters.swap_remove(index)) {
        let id = filter.values.first().map(String::as_str).unwrap_or_default();
        table.scoped(&filter.wire, id).into_iter().flatten().collect()
    } else {
        table.rows().collect()
    };
    let mut rows: Vec<&Row> = candidates.into_iter().filter(|row| wanted(row, &wish)).collect();
    if !natural {
        sort(&mut rows, &wish.sort);
    }
    let total = rows.len() as u64;
    let rows = rows.into_iter().skip(to_usize(offset)).take(to_usize(size)).collect();
    Ok(Page { rows, total, offset, size })
}

/// How a kind's list is paged.
pub(super) fn paging<'a>(sim: &'a Simulation, shape: &'a Shape) -> &'a Paging {
    shape.kind.spec.list.paging.as_ref().unwrap_or(&sim.api.spec.paging)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The parent that the path names.
fn parent(store: &Store, shape: &Shape, call: &Call) -> Result<Option<(String, String)>, Refusal> {
    let (Some(inside), Some(id)) = (shape.kind.inside(), call.ids.get("parent")) else { return Ok(None) };
    let kind = match call.ids.get("parentPath") {
        Some(path) => inside.parents.iter().find(|(_, text)| *text == path).map(|(kind, _)| kind),
        None => inside.parents.keys().find(|kind| store.get(kind, id).is_some()),
    };
    let kind = kind.filter(|kind| store.get(kind, id).is_some()).ok_or_else(Refusal::absent)?;
    Ok(Some((kind.clone(), id.clone())))
}

/// Where the page begins, and how long it is.
fn window(sim: &Simulation, paging: &Paging, wish: &Wish) -> Result<(u64, u64), Refusal> {
    if paging.style == PagingStyle::None {
        return Ok((0, u64::MAX));
    }
    let max = u64::from(paging.max_size.unwrap_or(1000));
    let usual = if sim.is_jsonapi() { DEFAULT_SIZE } else { 20 };
    let mut size = wish.size.unwrap_or(usual.min(max));
    if size == 0 || size > max {
        let name = paging.size.as_deref().unwrap_or("page size");
        return Err(Refusal::new(400, format!("`{name}` must be between 1 and {max}.")));
    }
    if let Some(cap) = sim.page_size_cap {
        size = size.min(u64::from(cap));
    }
    let first = u64::from(paging.first.unwrap_or(1));
    let offset = match wish.number {
        Some(number) if number < first => {
            let name = paging.page.as_deref().unwrap_or("page");
            return Err(Refusal::new(400, format!("`{name}` must be at least {first}.")));
        }
        Some(number) => (number - first).saturating_mul(size),
        None => wish.offset.unwrap_or(0),
    };
    Ok((offset, size))
}

/// Reads the query parameters; an unknown one is refused.
fn wish(sim: &Simulation, shape: &Shape, paging: &Paging, query: &[(String, String)]) -> Result<Wish, Refusal> {
    let mut wish = Wish::default();
    let spec = &shape.kind.spec;
    let documented = sim.behaviour.documented(shape.name());
    // Links to the next page are the API's own affair.
    let own_links = matches!(paging.style, PagingStyle::Link | PagingStyle::NextUrl) && paging.page.is_none();
    for (name, value) in query {
        let name = name.as_str();
        if paging.size.as_deref() == Some(name) {
            wish.size = Some(number(name, value)?);
        } else if paging.page.as_deref() == Some(name) || (own_links && name == "page") {
            match paging.style {
                PagingStyle::Page | PagingStyle::Link => wish.number = Some(number(name, value)?),
                PagingStyle::Offset => wish.offset = Some(number(name, value)?),
                _ => wish.offset = Some(from_cursor(value).ok_or_else(|| bad(name))?),
            }
        } else if name == "sort" {
            wish.sort = sorts(shape, documented, value)?;
        } else if name == "include" && sim.is_jsonapi() {
            // Read where the answer is made.
        } else if name == "search" && !sim.is_jsonapi() {
            wish.search = Some(value.to_lowercase());
        } else if spec.scope.as_ref().and_then(|scope| scope.filter.as_deref()) == Some(name) {
            let wire = shape.scope.clone().unwrap_or_default();
            wish.filters.push(filter(sim, wire, value));
        } else if let Some(wire) = filtered(sim, shape, documented, name) {
            wish.filters.push(filter(sim, wire, value));
        } else if !sim.is_fixed_query(shape, name, value) {
            return Err(Refusal::new(400, format!("`{name}` is not a query parameter of this call.")));
        }
    }
    Ok(wish)
}

fn bad(name: &str) -> Refusal {
    Refusal::new(400, format!("`{name}` is not valid."))
}

fn number(name: &str, value: &str) -> Result<u64, Refusal> {
    value.parse().map_err(|_| Refusal::new(400, format!("`{name}` must be a number.")))
}

/// The attribute that a query parameter filters by.
fn filtered(sim: &Simulation, shape: &Shape, documented: Option<Documented>, name: &str) -> Option<String> {
    let inner = name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
    let wire = match inner {
        Some(inner) => inner,
        None if sim.is_jsonapi() => return None,
        None => name,
    };
    if documented.is_some_and(|documented| !documented.filters.contains(&wire)) {
        return None;
    }
    match shape.normal(wire).as_str() {
        "id" | "created-at" | "updated-at" | "psa-integration-type" => return Some(shape.normal(wire)),
        _ => {}
    }
    if let Some((_, field)) = shape.field(wire) {
        return Some(field.wire_name().to_owned());
    }
    (shape.is_ignored(wire) || documented.is_some()).then(|| shape.normal(wire))
}

/// A filter; JSON:API APIs of this kind take several values, separated by commas, and so split a value that has one.
fn filter(sim: &Simulation, wire: String, value: &str) -> Filter {
    let values = if sim.is_jsonapi() {
        value.split(',').map(|part| part.trim().to_owned()).collect()
    } else {
        vec![value.to_owned()]
    };
    Filter { wire, values }
}

fn sorts(shape: &Shape, documented: Option<Documented>, value: &str) -> Result<Vec<(String, bool)>, Refusal> {
    let mut out = Vec::new();
    for part in value.split(',').filter(|part| !part.is_empty()) {
        let (name, down) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
        let known = match documented {
            Some(documented) => documented.sorts.contains(&name),
            None => shape.has(name) || matches!(name, "id" | "created_at" | "updated_at"),
        };
        if !known {
            return Err(Refusal::new(400, format!("The list cannot be sorted by `{name}`.")));
        }
        let wire = match shape.field(name) {
            Some((_, field)) => field.wire_name().to_owned(),
            None => shape.normal(name).replace('-', "_"),
        };
        out.push((wire, down));
    }
    Ok(out)
}

fn wanted(row: &Row, wish: &Wish) -> bool {
    let searched = wish.search.as_ref().is_none_or(|search| {
        row.attributes.values().filter_map(Value::as_str).any(|text| text.to_lowercase().contains(search))
    });
    let below = |above: &String| row.key.strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/'));
    searched && wish.below.as_ref().is_none_or(below) && wish.filters.iter().all(|filter| fits(row, filter))
}

fn fits(row: &Row, filter: &Filter) -> bool {
    match filter.wire.as_str() {
        "id" => filter.values.contains(&row.id),
        "psa-integration-type" => row.synced.as_ref().is_some_and(|by| filter.values.contains(by)),
        "created-at" => in_range(row.created, &filter.values),
        "updated-at" => in_range(row.updated, &filter.values),
        wire => {
            let value = row.get(wire).and_then(text).unwrap_or_default();
            filter.values.iter().any(|wanted| *wanted == value || flag(wanted) == Some(value.as_str()))
        }
    }
}

/// `1` and `0` as the flags that they stand for.
fn flag(word: &str) -> Option<&'static str> {
    match word {
        "1" => Some("true"),
        "0" => Some("false"),
        _ => None,
    }
}

/// Whether a time is within `start, end`, where `*` is open.
fn in_range(tick: u64, bounds: &[String]) -> bool {
    let time = time_of(tick);
    let bound = |index: usize| bounds.get(index).and_then(|text| text.parse::<Timestamp>().ok());
    bound(0).is_none_or(|start| time >= start) && bound(1).is_none_or(|end| time <= end)
}

fn sort(rows: &mut [&Row], keys: &[(String, bool)]) {
    rows.sort_by(|a, b| {
        for (wire, down) in keys {
            let order = match wire.as_str() {
                "id" => compare_text(&a.id, &b.id),
                "created_at" => a.created.cmp(&b.created),
                "updated_at" => a.updated.cmp(&b.updated),
                wire => compare(a.get(wire), b.get(wire)),
            };
            let order = if *down { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.seq.cmp(&b.seq)
    });
}

fn compare_text(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (a, b) => {
            let lower = |value: Option<&Value>| value.and_then(text).map(|text| text.to_lowercase());
            lower(a).cmp(&lower(b))
        }
    }
}

/// The opaque cursor of a place in the list.
pub(super) fn to_cursor(offset: u64) -> String {
    format!("c{:x}", offset.wrapping_mul(0x9e37).wrapping_add(7))
}

fn from_cursor(cursor: &str) -> Option<u64> {
    if let Ok(offset) = cursor.parse() {
        return Some(offset);
    }
    let number = u64::from_str_radix(cursor.strip_prefix('c')?, 16).ok()?;
    let offset = number.checked_sub(7)?;
    (offset % 0x9e37 == 0).then_some(offset / 0x9e37)
}
