//! Lists of endpoints ↔ calls, and their query parameters.

use std::collections::{BTreeMap, BTreeSet};

use plumb::description::{
    Kind,
    format::{BulkSpec, Verb},
};
use serde::Deserialize;
use serde_json::Value;

use super::{REFERENCES, api, assert_known, kind_of, read};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(rename = "endpoint")]
    call: String,
    also_at: Vec<String>,
    resource: String,
    action: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    endpoint: String,
    also_at: Vec<String>,
    param: String,
    place: String,
    allowed: Option<Vec<Value>>,
}

/// Calls of the reference that the descriptions leave out: the line and why.
const UNUSED: &[(&str, u32, &str)] =
    &[("rest webhooks test", 322, "it sends a test event, which is no state that could be kept")];

/// `GET /a/:id` and `GET /a/{parent}` alike as `GET /a/{}`.
fn template(call: &str) -> String {
    let parts: Vec<&str> =
        call.split('/').map(|part| if part.starts_with(':') || part.starts_with('{') { "{}" } else { part }).collect();
    parts.join("/")
}

/// Every call that the engine may make for a kind.
fn calls(kind: &Kind) -> Vec<String> {
    let spec = &kind.spec;
    let collection = |own: &Option<String>| own.clone().unwrap_or_else(|| spec.path.clone());
    let member = |own: &Option<String>| {
        let usual = if spec.singleton { spec.path.clone() } else { format!("{}/{{id}}", spec.path) };
        own.clone().unwrap_or(usual)
    };
    let alone = |call: &Option<BulkSpec>| call.as_ref().is_none_or(|call| !call.only);
    let mut out = Vec::new();
    let can = |verb| !spec.lacks.contains(&verb);
    if can(Verb::List) {
        out.push(format!("GET {}", collection(&spec.list.path)));
    }
    if can(Verb::Get) {
        out.push(format!("GET {}", member(&spec.get.path)));
    }
    if !spec.lookup {
        if can(Verb::Create) && alone(&spec.bulk.create) {
            out.push(format!("POST {}", collection(&spec.create.path)));
        }
        if can(Verb::Update) {
            out.push(format!("PATCH {}", member(&spec.update.path)));
        }
        if can(Verb::Delete) && alone(&spec.bulk.delete) {
            out.push(format!("DELETE {}", member(&spec.delete.path)));
        }
        for (method, call) in [("POST", &spec.bulk.create), ("PATCH", &spec.bulk.update), ("DELETE", &spec.bulk.delete)]
        {
            if let Some(call) = call {
                out.push(format!("{method} {}", collection(&call.path)));
            }
        }
    }
    out
}

#[test]
fn every_call_is_documented() {
    for reference in REFERENCES {
        let documented: BTreeSet<String> = read::<Endpoint>(reference, "endpoints.json")
            .iter()
            .flat_map(|endpoint| std::iter::once(&endpoint.call).chain(&endpoint.also_at))
            .map(|call| template(call))
            .collect();
        for kind in api(reference).kinds.values() {
            for call in calls(kind) {
                assert!(
                    documented.contains(&template(&call)),
                    "{} {}: `{call}` is not documented",
                    reference,
                    kind.name
                );
            }
        }
    }
}

#[test]
fn every_documented_action_on_a_kind_is_used() {
    let mut found = BTreeSet::new();
    for reference in REFERENCES {
        let api = api(reference);
        for endpoint in read::<Endpoint>(reference, "endpoints.json") {
            let Some(kind) = kind_of(&api, &endpoint.resource) else { continue };
            let spec = &kind.spec;
            let lacks = |verb| spec.lacks.contains(&verb);
            let used = match endpoint.action.as_str() {
                "index" => !lacks(Verb::List),
                "show" => !lacks(Verb::Get),
                _ if spec.lookup => true,
                "create" => kind.can(Verb::Create),
                "update" => kind.can(Verb::Update),
                "destroy" => !lacks(Verb::Delete),
                "bulk-update" => spec.bulk.update.is_some(),
                "bulk-destroy" => spec.bulk.delete.is_some(),
                _ => false,
            };
            if !used {
                found.insert(format!("{reference} {} {}", endpoint.resource, endpoint.action));
            }
        }
    }
    assert_known(&found, UNUSED);
}

/// Query parameters by call, with their allowed values.
fn parameters() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut out: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for row in read::<Row>("itglue", "params.json").into_iter().filter(|row| row.place != "body") {
        let allowed: Vec<String> =
            row.allowed.iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect();
        for call in std::iter::once(&row.endpoint).chain(&row.also_at) {
            out.entry(template(call)).or_default().insert(row.param.clone(), allowed.clone());
        }
    }
    out
}

#[test]
fn lists_are_sorted_filtered_and_widened_as_documented() {
    let api = api("itglue");
    let parameters = parameters();
    let none = BTreeMap::new();
    for kind in api.kinds.values() {
        let list = template(&format!("GET {}", kind.spec.list.path.as_ref().unwrap_or(&kind.spec.path)));
        let known = parameters.get(&list).unwrap_or(&none);
        let takes = |param: &str, word: &str| known.get(param).is_some_and(|words| words.iter().any(|one| one == word));
        if !kind.spec.lacks.contains(&Verb::List) {
            let sort = kind.spec.list.query.get("sort");
            let sort = sort.unwrap_or_else(|| panic!("{} has no stable order", kind.name));
            assert!(takes("sort", sort), "{}: sort={sort}", kind.name);
            assert!(known.contains_key("page[size]"), "{}: page[size]", kind.name);
        }
        for include in &kind.spec.list.include {
            assert!(takes("include", include), "{}: include={include}", kind.name);
        }
        if let Some(filter) = kind.spec.scope.as_ref().and_then(|scope| scope.filter.as_ref()) {
            assert!(known.contains_key(filter), "{}: {filter}", kind.name);
        }
        for child in api.children(&kind.name) {
            let inside = child.spec.inside.as_ref().unwrap();
            let include = inside.include.as_ref().unwrap();
            let one = template(&format!("GET {}/{{id}}", kind.spec.path));
            let by_one = parameters.get(&one).and_then(|known| known.get("include"));
            let on_get = by_one.is_some_and(|words| words.contains(include));
            let on_list = takes("include", include);
            assert!(on_list || on_get, "{} of {}: include={include}", child.name, kind.name);
            assert_eq!(inside.include_on_get_only, !on_list, "{} of {}: include={include}", child.name, kind.name);
            let parent_path = &inside.parents[&kind.name];
            if !parent_path.is_empty() {
                let create = &parameters[&template(&format!("POST {}", child.spec.path))];
                assert!(create["resource_type"].contains(parent_path), "{parent_path}");
            }
        }
    }
}
