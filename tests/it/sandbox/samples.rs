//! The vendors' own sample requests, carried out against the sandbox.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use plumb::description::{Kind, format::FieldType};
use serde_json::{Map, Value, json};

use super::{World, details};

/// Samples that cannot be carried out, and why.
const UNDESCRIBED: &[&str] = &["users", "documents", "exports", "auth-register"];

/// Samples that contradict their own table, each with the reason of the refusal.
const CONTRADICTIONS: &[(&str, &str)] = &[
    // The table of the bulk update lacks the members.
    ("groups-bulk-update-1", "`accounts_user_ids` cannot be changed in bulk."),
    // The name stands beside the type instead of among the attributes.
    ("passwords-update-1", "`name` is not a member of a resource."),
];

/// Attributes in which answers differ from the samples of reads, each with the reason.
const BESIDE_THE_SAMPLES: &[(&str, &str, &[&str])] = &[
    // The samples of answers to a create and an update have them.
    ("index", "groups", &["description", "hide-from-my-glue", "my-glue", "my-glue-account-id"]),
    ("show", "groups", &["description", "hide-from-my-glue", "my-glue", "my-glue-account-id"]),
    // One of the passwords in the sample of the list has its value; the text promises it to the read only.
    ("index", "passwords", &["password"]),
];

fn all(api: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(api).join("examples.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn samples(api: &str) -> Vec<(String, String, Value)> {
    let wanted = all(api).into_iter().filter(|sample| sample["direction"] == "request" && sample["elided"] == false);
    wanted
        .map(|sample| {
            let text = |name: &str| sample[name].as_str().unwrap().to_owned();
            (text("id"), text("endpoint"), sample["json"].clone())
        })
        .filter(|(id, ..)| !UNDESCRIBED.iter().any(|name| id.starts_with(name) && !id.starts_with("users-me")))
        .collect()
}

/// Makes sure that an object with this id exists.
fn ensure(world: &World, kind: &Kind, id: &str) {
    let there = world.sandbox.objects(world.api, &kind.name);
    if there.iter().any(|object| object["id"] == *id) {
        return;
    }
    let mut object = Map::from_iter([("id".to_owned(), json!(id))]);
    let catalog = plumb::apis::builtin();
    for (name, field) in &kind.spec.fields {
        if !field.required {
            continue;
        }
        let value = match (field.ty, &field.reference) {
            (FieldType::Ref, Some(reference)) => {
                let target = reference.kind.clone().unwrap_or_default();
                ensure(world, catalog.kind(world.api, &target).unwrap(), "2");
                json!("id:2")
            }
            (FieldType::Integer, _) => json!(id.parse::<u64>().unwrap()),
            (FieldType::Map, _) => json!({}),
            (FieldType::List, _) => json!(["resource.created"]),
            _ => match field.allowed.first() {
                Some(first) if *name != "kind" => first.clone(),
                Some(_) => json!("Text"),
                None => json!(format!("{} {id}", kind.name)),
            },
        };
        object.insert(name.clone(), value);
    }
    world.sandbox.add(world.api, &kind.name, &Value::Object(object)).unwrap();
}

/// Adds what the attributes of a sample refer to.
fn ensure_targets(world: &World, kind: &Kind, attributes: &Value) {
    let Some(attributes) = attributes.as_object() else { return };
    for (name, value) in attributes {
        let spelled = name.replace('_', "-");
        let field = kind.spec.fields.values().find(|field| field.wire_name().replace('_', "-") == spelled);
        let target = field.and_then(|field| field.ref_spec()).and_then(|reference| reference.kind.as_deref());
        let Some(target) = target.and_then(|target| plumb::apis::builtin().kind(world.api, target)) else { continue };
        let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for id in list.iter().filter(|id| !id.is_null()) {
            ensure(world, target, &id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        }
    }
}

fn resources(body: &Value) -> Vec<Value> {
    let data = body.get("data").unwrap_or(body);
    data.as_array().cloned().unwrap_or_else(|| vec![data.clone()])
}

#[tokio::test]
async fn every_sample_request_of_it_glue_is_taken() {
    let world = World::new("itglue").await;
    let catalog = plumb::apis::builtin();
    email_type(&world);
    let configuration = world.sandbox.add(
        "itglue",
        "Configuration",
        &json!({"id": 1, "organization": "id:2", "name": "SRV", "configurationType": "Switch"}),
    );
    assert_eq!(configuration.unwrap(), "1");
    let mut refused = BTreeSet::new();
    let mut count = 0;
    for (id, endpoint, body) in samples("itglue") {
        let (method, path) = endpoint.split_once(' ').unwrap();
        let collection = path.split('/').rfind(|part| !part.starts_with(':')).unwrap();
        let kind = catalog
            .api("itglue")
            .unwrap()
            .kinds
            .values()
            .find(|kind| kind.spec.path.rsplit('/').find(|part| !part.starts_with('{')) == Some(collection))
            .unwrap_or_else(|| panic!("no kind for {endpoint}"));
        let bulk = body["data"].is_array();
        // The reference writes nested and flat routes as one; what it leaves out of the body is in the path then.
        let mut path = path.replace("/:resource_type/:resource_id/", "/configurations/1/");
        let nested = bulk && method == "POST" || body["data"]["attributes"].get("organization-id").is_none();
        if method == "POST" && nested && kind.field("organization").is_some_and(|field| field.required) {
            path = format!("/organizations/2/relationships/{collection}");
        }
        if method == "POST" && kind.inside().is_some() && path.matches('/').count() == 1 {
            path = match collection {
                "flexible_asset_fields" => format!("/flexible_asset_types/901/relationships/{collection}"),
                _ => format!("/configurations/1/relationships/{collection}"),
            };
        }
        if method == "POST" && collection == "models" {
            path = format!("/manufacturers/60/relationships/{collection}");
        }
        for resource in resources(&body) {
            ensure_targets(&world, kind, &resource["attributes"]);
            for (name, relationship) in resource["relationships"].as_object().into_iter().flatten() {
                let target = match name.as_str() {
                    "users" => "User",
                    "organizations" => "Organization",
                    _ => continue,
                };
                for one in relationship["data"].as_array().unwrap() {
                    ensure(&world, catalog.kind("itglue", target).unwrap(), &one["attributes"]["id"].to_string());
                }
            }
            let id = &resource["attributes"]["id"];
            if !id.is_null() {
                prepare(&world, kind, id.as_str().map_or_else(|| id.to_string(), str::to_owned).as_str());
            }
        }
        if path.ends_with("/:id") {
            prepare(&world, kind, "777");
            path = path.replace(":id", "777");
        }
        let (status, answer) = world.send(method, &path, &body).await;
        count += 1;
        if let Some((_, reason)) = CONTRADICTIONS.iter().find(|(name, _)| *name == id) {
            assert_eq!((status, details(&answer).as_str()), (422, *reason), "{id}");
        } else if !(200..300).contains(&status) {
            refused.insert(format!("{id}: {method} {path}: {status} {answer}"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(count > 50, "{count} samples");
}

/// An object for a sample to work on; entries have the parents that the samples' paths name.
fn prepare(world: &World, kind: &Kind, id: &str) {
    let mut object = match kind.name.as_str() {
        "ConfigurationInterface" => json!({"parent": "Configuration/1", "name": "LAN"}),
        "FlexibleAssetField" => {
            let order = id.parse::<u64>().unwrap();
            json!({"parent": "FlexibleAssetType/900", "name": format!("f{id}"), "kind": "Text", "order": order, "showInList": true})
        }
        "Attachment" => json!({"parent": "Configuration/1", "name": "a.png"}),
        "RelatedItem" => json!({"parent": "Configuration/1", "target": "Organization/id:2"}),
        "FlexibleAsset" => {
            json!({"organization": "id:2", "flexibleAssetType": "id:33", "traits": {"name-field": "x"}})
        }
        _ => return ensure(world, kind, id),
    };
    if world.sandbox.objects("itglue", &kind.name).iter().any(|object| object["id"] == *id) {
        return;
    }
    object["id"] = json!(id);
    world.sandbox.add("itglue", &kind.name, &object).unwrap();
}

/// The type that the samples of flexible assets are of, with the objects that they tag.
fn email_type(world: &World) {
    ensure(world, plumb::apis::builtin().kind("itglue", "Organization").unwrap(), "2");
    let seed = json!({"id": 33, "name": "Mail", "fields": [
        {"name": "Domains", "kind": "Tag", "order": 11, "tagType": "Domains", "showInList": true},
        {"name": "Type", "kind": "Select", "order": 12, "options": ["Exchange 2013", "Exchange 2016"], "useForTitle": true},
        {"name": "Email Servers", "kind": "Tag", "order": 13, "tagType": "Configurations"},
        {"name": "Location", "kind": "Select", "order": 14, "options": ["On-Premises"]},
        {"name": "Inbound Delivery", "kind": "Select", "order": 15, "options": ["Office 365"]},
        {"name": "Webmail URL", "kind": "Text", "order": 16},
        {"name": "name field", "kind": "Text", "order": 17},
        {"name": "trait1", "kind": "Text", "order": 18},
        {"name": "trait2", "kind": "Text", "order": 19},
    ]});
    world.sandbox.add("itglue", "FlexibleAssetType", &seed).unwrap();
    let small = json!({"id": 23, "name": "Small", "fields": [
        {"name": "trait1", "kind": "Text", "order": 1, "showInList": true}, {"name": "trait2", "kind": "Text", "order": 2},
    ]});
    world.sandbox.add("itglue", "FlexibleAssetType", &small).unwrap();
    for id in [900, 901] {
        let fields = json!([{"name": "a", "kind": "Text", "order": 1, "showInList": true}]);
        let other = json!({"id": id, "name": format!("Other {id}"), "fields": fields});
        world.sandbox.add("itglue", "FlexibleAssetType", &other).unwrap();
    }
    world.sandbox.add("itglue", "Domain", &json!({"id": 569, "organization": "id:2", "name": "a.example"})).unwrap();
    for id in [457, 676] {
        let server = json!({"id": id, "organization": "id:2", "name": format!("S{id}"), "configurationType": "Switch"});
        world.sandbox.add("itglue", "Configuration", &server).unwrap();
    }
}

/// Attributes of sample answers by resource, from the reads of lists and of single objects.
fn answers(api: &str, action: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in all(api) {
        let endpoint = sample["endpoint"].as_str().unwrap_or_default();
        let shows = endpoint.ends_with("/:id") == (action == "show");
        if sample["direction"] != "response" || !endpoint.starts_with("GET ") || !shows {
            continue;
        }
        for resource in resources(&sample["json"]) {
            let (Some(kind), Some(attributes)) = (resource["type"].as_str(), resource["attributes"].as_object()) else {
                continue;
            };
            out.entry(kind.to_owned()).or_default().extend(attributes.keys().cloned());
        }
    }
    out
}

#[tokio::test]
async fn answers_have_the_attributes_of_the_sample_answers_and_no_others() {
    let world = World::new("itglue").await;
    let catalog = plumb::apis::builtin();
    email_type(&world);
    let asset = json!({"organization": "id:2", "flexibleAssetType": "id:33", "traits": {"type": "Exchange 2013"}});
    world.sandbox.add("itglue", "FlexibleAsset", &asset).unwrap();
    let interface = json!({"parent": "Configuration/457", "name": "LAN"});
    world.sandbox.add("itglue", "ConfigurationInterface", &interface).unwrap();
    let mut wrong = Vec::new();
    for action in ["index", "show"] {
        for (resource, wanted) in answers("itglue", action) {
            let kinds = &catalog.api("itglue").unwrap().kinds;
            let Some(kind) = kinds.values().find(|kind| {
                kind.spec.wire_type.as_deref().map(|name| name.replace('_', "-")).as_deref() == Some(resource.as_str())
            }) else {
                continue;
            };
            if world.sandbox.objects("itglue", &kind.name).is_empty() {
                ensure(&world, kind, "2");
            }
            let object = world.sandbox.objects("itglue", &kind.name)[0].clone();
            let id = object["id"].as_str().unwrap();
            let collection = kind.spec.path.rsplit('/').next().unwrap();
            let path = match (action, collection) {
                ("show", _) => format!("/{collection}/{id}"),
                (_, "flexible_assets") => "/flexible_assets?filter[flexible-asset-type-id]=33".into(),
                (_, "flexible_asset_fields") => "/flexible_asset_types/33/relationships/flexible_asset_fields".into(),
                (_, "configuration_interfaces") => "/configurations/457/relationships/configuration_interfaces".into(),
                (_, "models") => "/manufacturers/60/relationships/models".into(),
                _ => format!("/{collection}"),
            };
            let (status, body) = world.get(&path).await;
            assert_eq!(status, 200, "{path}: {body}");
            let shown = resources(&body)[0]["attributes"].clone();
            let shown: BTreeSet<String> = shown.as_object().unwrap().keys().cloned().collect();
            let differ: BTreeSet<&str> = shown.symmetric_difference(&wanted).map(String::as_str).collect();
            let excused = BESIDE_THE_SAMPLES.iter().find(|(of, name, _)| *of == action && *name == resource);
            let excused: BTreeSet<&str> = excused.into_iter().flat_map(|(_, _, names)| names.iter().copied()).collect();
            if differ != excused {
                wrong.push(format!("{action} {resource}: {differ:?} instead of {excused:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_query_parameters_are_those_of_the_tables() {
    let documented = plumb::sandbox::documented_parameters("itglue");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds/itglue/params.json");
    let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["endpoint"].as_str().unwrap().starts_with("GET ")) {
        let name = row["param"].as_str().unwrap();
        let set = wanted.entry(row["resource"].as_str().unwrap().to_owned()).or_default();
        let words = row["allowed"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(inner) = name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']')) {
            // Ranges and exclusions are not simulated: no client of this project uses them.
            if !inner.contains('[') && !matches!(inner, "exclude" | "range") {
                set.insert(format!("filter {inner}"));
            }
        } else if matches!(name, "sort" | "include") {
            set.extend(words.map(|word| format!("{name} {word}")));
        }
    }
    let catalog = plumb::apis::builtin();
    for kind in catalog.api("itglue").unwrap().kinds.values() {
        let collection = kind.spec.path.rsplit('/').next().unwrap();
        if let Some(shown) = documented.get(&kind.name) {
            assert_eq!(Some(shown), wanted.get(collection), "{}", kind.name);
        } else {
            assert!(matches!(kind.name.as_str(), "Attachment" | "RelatedItem"), "{} has no table", kind.name);
        }
    }
}

#[tokio::test]
async fn every_sample_request_of_the_plain_api_is_taken() {
    let world = World::new("rest").await;
    for (kind, object) in [
        ("Resource", json!({"id": "res_123", "name": "Example Resource"})),
        ("Organization", json!({"id": "org_1", "name": "Mine", "slug": "mine"})),
    ] {
        world.sandbox.add("rest", kind, &object).unwrap();
    }
    let mut refresh = Value::Null;
    for (id, endpoint, mut body) in samples("rest") {
        let (method, path) = endpoint.split_once(' ').unwrap();
        let known = if path.starts_with("/organizations") { "org_1" } else { "res_123" };
        if id == "auth-refresh-1" {
            body["refresh_token"] = refresh.clone();
        }
        let (status, answer) = world.send(method, &path.replace("{id}", known), &body).await;
        assert!((200..300).contains(&status), "{id}: {status} {answer}");
        if id == "auth-login-1" {
            refresh = answer["refresh_token"].clone();
        }
    }
}
