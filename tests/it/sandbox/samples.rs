//! The vendors' own sample requests, carried out against the sandbox.

use std::{collections::BTreeSet, fs, path::Path};

use plumb::description::{Kind, format::FieldType};
use serde_json::{Map, Value, json};

use super::World;

/// Samples that cannot be carried out, and why.
const UNDESCRIBED: &[&str] = &["users", "documents", "exports", "auth-register"];

fn samples(api: &str) -> Vec<(String, String, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(api).join("examples.json");
    let all: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let wanted = all.into_iter().filter(|sample| sample["direction"] == "request" && sample["elided"] == false);
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
                Some(word) if *name != "kind" => word.clone(),
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
    ensure(&world, catalog.kind("itglue", "Organization").unwrap(), "2");
    let configuration = world.sandbox.add(
        "itglue",
        "Configuration",
        &json!({"id": 1, "organization": "id:2", "name": "SRV", "configurationType": "Switch"}),
    );
    assert_eq!(configuration.unwrap(), "1");
    email_type(&world).await;
    let mut refused = BTreeSet::new();
    let mut count = 0;
    for (id, endpoint, body) in samples("itglue") {
        let (method, path) = endpoint.split_once(' ').unwrap();
        let collection = path.split('/').filter(|part| !part.starts_with(':')).next_back().unwrap();
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
                "flexible_asset_fields" => format!("/flexible_asset_types/33/relationships/{collection}"),
                _ => format!("/configurations/1/relationships/{collection}"),
            };
        }
        if method == "POST" && collection == "models" {
            path = format!("/manufacturers/60/relationships/{collection}");
        }
        for resource in resources(&body) {
            ensure_targets(&world, kind, &resource["attributes"]);
            let id = &resource["attributes"]["id"];
            if !id.is_null() {
                prepare(&world, kind, id.as_str().map_or_else(|| id.to_string(), str::to_owned).as_str());
            }
        }
        if path.ends_with("/:id") {
            prepare(&world, kind, "777");
            path = path.replace(":id", "777");
        }
        let one_by_post = method == "POST" && !bulk && path.contains("/relationships/");
        let (status, answer) = if one_by_post && kind.spec.bulk.create.is_some() {
            // Creates of one object on the nested route are described as bulk creates of one.
            let body = json!({ "data": [body["data"]] });
            world.send(method, &path, &body).await
        } else {
            world.send(method, &path, &body).await
        };
        count += 1;
        if !(200..300).contains(&status) {
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
async fn email_type(world: &World) {
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
    let other =
        json!({"id": 900, "name": "Other", "fields": [{"name": "a", "kind": "Text", "order": 1, "showInList": true}]});
    world.sandbox.add("itglue", "FlexibleAssetType", &other).unwrap();
    world.sandbox.add("itglue", "Domain", &json!({"id": 569, "organization": "id:2", "name": "a.example"})).unwrap();
    for id in [457, 676] {
        let server = json!({"id": id, "organization": "id:2", "name": format!("S{id}"), "configurationType": "Switch"});
        world.sandbox.add("itglue", "Configuration", &server).unwrap();
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
