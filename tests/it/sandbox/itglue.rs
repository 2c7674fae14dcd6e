//! IT Glue in the sandbox: what its reference promises, and what it springs on clients.

use plumb::sandbox::SandboxOptions;
use serde_json::{Value, json};

use super::{World, answer, details, ids};

async fn organization(world: &World) -> String {
    world.make("/organizations", json!({"name": "Happy Frog", "organization-type-id": 86, "short-name": "happy"})).await
}

/// A type with a field of every interesting kind; gives its id.
async fn wiki(world: &World) -> String {
    let field = |attributes: Value| json!({"type": "flexible_asset_fields", "attributes": attributes});
    let fields = json!([
        field(
            json!({"order": 1, "name": "Page Title", "kind": "Text", "required": true, "use-for-title": true, "show-in-list": true})
        ),
        field(
            json!({"order": 2, "name": "Servers", "kind": "Tag", "tag-type": "Configurations", "use-for-title": true})
        ),
        field(
            json!({"order": 3, "name": "State", "kind": "Select", "default-value": "draft\nfinal", "use-for-title": true})
        ),
        field(json!({"order": 4, "name": "Admin Login", "kind": "Password"})),
        field(json!({"order": 5, "name": "Logo", "kind": "Upload"})),
    ]);
    let body = json!({"data": {"type": "flexible_asset_types", "attributes": {"name": "Wiki", "icon": "book"},
        "relationships": {"flexible-asset-fields": {"data": fields}}}});
    let (status, made) = world.send("POST", "/flexible_asset_types", &body).await;
    assert_eq!(status, 201, "{made}");
    made["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_organization_lives_from_create_to_delete() {
    let world = World::new("itglue").await;
    let attributes = json!({"name": "Accent Fit", "organization_type_id": 86, "quick-notes": "n".repeat(300)});
    let (status, made) = world.resource("POST", "/organizations", "organizations", attributes).await;
    assert_eq!(status, 201);
    let data = &made["data"];
    let id = data["id"].as_str().unwrap();
    assert_eq!(
        (&data["type"], &data["attributes"]["organization-type-name"]),
        (&json!("organizations"), &json!("Customer"))
    );
    assert_eq!(data["attributes"]["description"], Value::Null, "empty attributes are null");

    let (_, list) = world.get("/organizations?page[size]=1000&page[number]=1&sort=id").await;
    assert_eq!(ids(&list).last(), Some(&id));
    let notes = list["data"].as_array().unwrap().last().unwrap()["attributes"]["quick-notes"].as_str().unwrap().len();
    assert_eq!(notes, 250, "lists cut quick notes");
    let (_, got) = world.get(&format!("/organizations/{id}")).await;
    assert_eq!(got["data"]["attributes"]["quick-notes"].as_str().unwrap().len(), 300);

    let path = format!("/organizations/{id}");
    let (status, changed) =
        world.resource("PATCH", &path, "organizations", json!({"parent-id": 6, "alert": "!"})).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&changed["data"]["attributes"]["parent-id"], &changed["data"]["attributes"]["ancestor-ids"]),
        (&json!("6"), &json!("[6]"))
    );

    assert_eq!(world.send("DELETE", &path, &Value::Null).await.0, 405, "there is no single delete");
    let gone = json!({"data": [{"type": "organizations", "attributes": {"id": id}}]});
    let (status, deleted) = world.send("DELETE", "/organizations", &gone).await;
    assert_eq!((status, ids(&deleted)), (200, vec![id]));
    for there in [true, true, false] {
        let (_, list) = world.get("/organizations?sort=id").await;
        assert_eq!(ids(&list).contains(&id), there, "a deletion is carried out later");
    }
}

#[tokio::test]
async fn a_flush_ends_deferred_deletions_with_all_that_was_inside() {
    let options = SandboxOptions { deferred_lists: 100, ..SandboxOptions::default() };
    let world = World::with("itglue", options).await;
    let id = organization(&world).await;
    let location = json!({"organization-id": id, "name": "HQ"});
    world.make("/locations", location).await;
    let gone = json!({"data": [{"type": "organizations", "attributes": {"id": id}}]});
    world.send("DELETE", "/organizations", &gone).await;
    assert_eq!(world.get(&format!("/organizations/{id}")).await.0, 200);
    assert_eq!(world.control("POST", "flush", Value::Null).await.0, 204);
    assert_eq!(world.get(&format!("/organizations/{id}")).await.0, 404);
    assert!(world.sandbox.objects("itglue", "Location").is_empty());
    let own = json!({"data": [{"type": "organizations", "attributes": {"id": 6}}]});
    assert_eq!(world.send("DELETE", "/organizations", &own).await.0, 422, "the account's own organization stays");
}

#[tokio::test]
async fn keys_and_media_types_are_checked() {
    let world = World::new("itglue").await;
    let url = format!("{}/organizations", world.sandbox.url("itglue"));
    assert_eq!(answer(world.http.get(&url)).await.0, 401);
    assert_eq!(answer(world.http.get(&url).header("x-api-key", "ITG.wrong")).await.0, 403);
    assert_eq!(answer(world.request("POST", "/organizations").json(&json!({}))).await.0, 415);
    let typed = world.send("POST", "/organizations", &json!({"data": {"type": "locations", "attributes": {}}})).await;
    assert_eq!(typed.0, 400);
}

#[tokio::test]
async fn what_the_tables_do_not_allow_is_refused_with_a_place() {
    let world = World::new("itglue").await;
    let id = organization(&world).await;
    let path = format!("/organizations/{id}");
    for (attributes, reason) in [
        (json!({"colour": "red"}), "`colour` is not a known attribute."),
        (json!({"organization-type-id": null}), "`organization-type-id` must not be null."),
        (json!({"organization-type-id": 9999}), "`organization-type-id` refers to no existing OrganizationType."),
        (json!({"name": 5}), "`name` must be a String."),
    ] {
        let (status, body) = world.resource("PATCH", &path, "organizations", attributes).await;
        assert_eq!((status, details(&body).as_str()), (422, reason));
        assert!(body["errors"][0]["source"]["pointer"].as_str().unwrap().starts_with("/data/attributes/"));
    }
    let (status, body) = world.resource("POST", "/locations", "locations", json!({"city": "Paris"})).await;
    assert_eq!((status, details(&body).as_str()), (422, "`organization-id` is required. `name` is required."));
    let related = json!({"data": {"type": "organizations", "attributes": {}, "relationships": {"x": {"data": []}}}});
    assert_eq!(world.send("PATCH", &path, &related).await.0, 422);
    for path in [
        "/organizations?include=colours",
        "/organizations?sort=colour",
        "/organizations?filter[colour]=red",
        "/organizations?page[size]=1001",
        "/flexible_assets?filter[flexible_asset_type_id]=1",
    ] {
        assert_eq!(world.get(path).await.0, 400, "{path}");
    }
    assert_eq!(world.get("/flexible_assets").await.0, 422, "the type is needed");
    assert_eq!(
        world.get("/flexible_assets?filter[flexible-asset-type-id]=1&sort=id").await.0,
        400,
        "not a documented sort"
    );
}

#[tokio::test]
async fn filters_take_alternatives_and_so_split_a_value_with_a_comma() {
    let world = World::new("itglue").await;
    for name in ["Foo, Inc.", "Foo", "Bar"] {
        world.make("/organizations", json!({"name": name})).await;
    }
    let count = async |value: &str| {
        let (_, body) = world.get(&format!("/organizations?filter[name]={value}")).await;
        body["data"].as_array().unwrap().len()
    };
    assert_eq!(count("Foo,Bar").await, 2);
    assert_eq!(count("Foo, Inc.").await, 1, "the one named Foo, not the one that was meant");
    let (_, found) = world.get("/regions?filter[country_id]=1&filter[iso]=AB").await;
    assert_eq!(found["data"][0]["attributes"]["name"], "Alberta");
}

#[tokio::test]
async fn synced_records_take_only_what_the_reference_names() {
    let world = World::new("itglue").await;
    let id = organization(&world).await;
    world.sandbox.mutate("itglue", "Organization", &id, &json!({"synced": "manage"}));
    let path = format!("/organizations/{id}");
    let (status, body) = world.resource("PATCH", &path, "organizations", json!({"name": "New", "alert": "a"})).await;
    assert_eq!((status, details(&body).as_str()), (422, "`name` of an externally synced record cannot be changed."));
    assert_eq!(world.resource("PATCH", &path, "organizations", json!({"alert": "a"})).await.0, 200);
    let (_, list) = world.get("/organizations?include=adapters_resources&sort=id").await;
    let linked =
        |index: usize| list["data"][index]["relationships"]["adapters-resources"]["data"].as_array().unwrap().len();
    assert_eq!((linked(0), linked(1)), (0, 1));
    let (_, synced) = world.get("/organizations?filter[psa_integration_type]=manage").await;
    assert_eq!(ids(&synced), [id]);
}

#[tokio::test]
async fn a_types_fields_come_along_and_obey_their_rules() {
    let world = World::new("itglue").await;
    let id = wiki(&world).await;
    let (_, list) = world.get("/flexible_asset_types?include=flexible_asset_fields").await;
    let fields = list["included"].as_array().unwrap();
    assert_eq!(fields.len(), 5);
    assert!(fields[0]["id"].is_number(), "included fields have numbers for ids");
    assert_eq!(fields[0]["attributes"]["name-key"], "page-title");
    assert_eq!(fields[0]["attributes"]["flexible-asset-type-id"].to_string(), id);
    assert_eq!(fields[1]["attributes"]["use-for-title"], false, "a Tag is never used for the title");
    assert_eq!(list["data"][0]["relationships"]["flexible-asset-fields"]["data"].as_array().unwrap().len(), 5);
    let (_, plain) = world.get("/flexible_asset_types").await;
    assert!(plain.get("included").is_none() && plain["data"][0]["relationships"].is_object());

    let path = |id: &Value| format!("/flexible_asset_fields/{id}");
    let change = async |id: &Value, attributes: Value| {
        world.resource("PATCH", &path(id), "flexible_asset_fields", attributes).await
    };
    let (first, second) = (&fields[0]["id"], &fields[1]["id"]);
    assert_eq!(change(first, json!({"order": 2})).await.0, 422, "orders are unique");
    let swapped = json!({"data": [
        {"type": "flexible-asset-fields", "attributes": {"id": first, "order": 2}},
        {"type": "flexible-asset-fields", "attributes": {"id": second, "order": 1}},
    ]});
    assert_eq!(world.send("PATCH", "/flexible_asset_fields", &swapped).await.0, 200, "but can be swapped at once");
    let (status, body) = change(first, json!({"show-in-list": false})).await;
    assert_eq!((status, details(&body).as_str()), (422, "At least one must have `show-in-list` set."));
    assert_eq!(world.send("DELETE", &path(first), &Value::Null).await.0, 422, "nor may the last one go");
    let none = json!({"data": {"type": "flexible_asset_types", "attributes": {"name": "Empty"}}});
    assert_eq!(world.send("POST", "/flexible_asset_types", &none).await.0, 422);
    assert_eq!(world.get("/flexible_asset_types").await.1["data"].as_array().unwrap().len(), 1);
    let nested = format!("/flexible_asset_types/{id}/relationships/flexible_asset_fields");
    let (status, body) = world
        .resource("POST", &nested, "flexible_asset_fields", json!({"name": "S", "order": 9, "kind": "Select"}))
        .await;
    assert_eq!((status, details(&body).as_str()), (422, "`default-value` is required."));
}

#[tokio::test]
async fn traits_are_written_in_one_form_and_read_in_another() {
    let world = World::new("itglue").await;
    let (organization, kind) = (organization(&world).await, wiki(&world).await);
    let server = json!({"organization-id": organization, "name": "SRV", "configuration-type-id": 65});
    let server = world.make("/configurations", server).await;
    let traits = json!({"page-title": "Home", "servers": server, "state": "draft", "admin-login": "p4ssw0rd",
        "logo": {"content": "R0lGODlh", "file_name": "logo.gif"}});
    let asset = json!({"organization-id": organization, "flexible-asset-type-id": kind, "traits": traits});
    let id = world.make("/flexible_assets", asset).await;
    let path = format!("/flexible_assets/{id}");
    let (_, got) = world.get(&path).await;
    let attributes = &got["data"]["attributes"];
    assert_eq!(attributes["name"], "Home draft");
    assert_eq!(attributes["flexible-asset-type-name"], "Wiki");
    assert_eq!(attributes["traits"]["servers"]["type"], "Configurations");
    assert_eq!(attributes["traits"]["servers"]["values"][0]["name"], "SRV");
    assert!(!got.to_string().contains("p4ssw0rd"));
    let log = world.sandbox.log();
    assert!(!format!("{log:?}").contains("p4ssw0rd"), "the log masks Password traits");

    let links = async || {
        let (_, got) = world.get(&format!("{path}?include=related_items")).await;
        let links = got["included"].as_array().unwrap().iter();
        links.map(|link| link["attributes"]["destination-id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(links().await, [json!(server)], "a tag makes a link");

    let (_, passwords) = world.get("/passwords").await;
    let password = &passwords["data"][0]["attributes"];
    assert_eq!(
        (&password["resource-type"], &password["name"]),
        (&json!("flexible-asset-trait"), &json!("Admin Login"))
    );

    let update =
        async |traits: Value| world.resource("PATCH", &path, "flexible_assets", json!({"traits": traits})).await;
    let echo = attributes["traits"]["admin-login"].clone();
    let (status, changed) = update(json!({"page-title": "Start", "admin-login": echo})).await;
    assert_eq!((status, &changed["data"]["attributes"]["name"]), (200, &json!("Start")));
    assert!(changed["data"]["attributes"]["traits"].get("servers").is_none(), "traits left out are deleted");
    assert!(links().await.is_empty());
    assert_eq!(world.sandbox.objects("itglue", "Password").len(), 1);
    update(json!({"page-title": "Start"})).await;
    assert!(world.sandbox.objects("itglue", "Password").is_empty(), "and so is the password of one");

    for (traits, reason) in [
        (json!({"state": "draft"}), "`page-title` is required."),
        (json!({"page-title": "a", "colour": "red"}), "`colour` is not the key of a field of this type."),
        (json!({"page-title": "a", "state": "lost"}), "`state` must be one of the options of the field."),
        (json!({"page-title": "a", "servers": [99]}), "`servers` tags 99, which does not exist."),
        (
            json!({"page-title": "a", "servers": attributes["traits"]["servers"]}),
            "`servers` must be an id or an Array of ids.",
        ),
    ] {
        let (status, body) = update(traits).await;
        assert_eq!((status, details(&body).as_str()), (422, reason));
    }
    let (status, _) = world.resource("PATCH", &path, "flexible_assets", json!({"flexible-asset-type-id": 1})).await;
    assert_eq!(status, 422, "the type cannot be changed");
    let archived = world.resource("PATCH", &path, "flexible_assets", json!({"archived": true})).await.1;
    assert_eq!(archived["data"]["attributes"]["traits"]["page-title"], "Start", "traits stay where none are sent");
}

#[tokio::test]
async fn a_field_in_use_keeps_its_kind_and_takes_its_values_along() {
    let world = World::new("itglue").await;
    let (organization, kind) = (organization(&world).await, wiki(&world).await);
    let traits = json!({"page-title": "Home", "state": "final"});
    let asset = json!({"organization-id": organization, "flexible-asset-type-id": kind, "traits": traits});
    let id = world.make("/flexible_assets", asset).await;
    let field = |key: &str| {
        let all = world.sandbox.objects("itglue", "FlexibleAssetField");
        let found = all.iter().find(|field| field["attributes"]["name-key"] == *key).unwrap();
        format!("/flexible_asset_fields/{}", found["id"].as_str().unwrap())
    };
    let (status, body) =
        world.resource("PATCH", &field("state"), "flexible_asset_fields", json!({"kind": "Text"})).await;
    assert_eq!(status, 422, "{body}");
    assert_eq!(world.resource("PATCH", &field("logo"), "flexible_asset_fields", json!({"kind": "Text"})).await.0, 200);
    assert_eq!(world.send("DELETE", &field("state"), &Value::Null).await.0, 204);
    let (_, got) = world.get(&format!("/flexible_assets/{id}")).await;
    assert_eq!(got["data"]["attributes"]["traits"], json!({"page-title": "Home"}));
    assert_eq!(got["data"]["attributes"]["name"], "Home");
}

#[tokio::test]
async fn a_configuration_and_its_primary_interface_are_one_thing() {
    let world = World::new("itglue").await;
    let organization = organization(&world).await;
    let interface =
        json!({"type": "configuration_interfaces", "attributes": {"name": "LAN", "ip-address": "10.0.0.1"}});
    let body = json!({"data": {"type": "configurations",
        "attributes": {"organization-id": organization, "name": "SRV", "configuration-type-id": 65},
        "relationships": {"configuration_interfaces": {"data": [interface]}}}});
    let (status, made) = world.send("POST", "/configurations", &body).await;
    assert_eq!((status, &made["data"]["attributes"]["primary-ip"]), (201, &json!("10.0.0.1")), "{made}");
    let id = made["data"]["id"].as_str().unwrap();
    let nested = format!("/configurations/{id}/relationships/configuration_interfaces");
    let (_, list) = world.get(&nested).await;
    let first = &list["data"][0];
    assert!(first.get("id").is_none(), "the id is among the attributes");
    assert_eq!((&first["attributes"]["name"], &first["attributes"]["primary"]), (&json!("LAN"), &json!(true)));

    let change = json!({"primary-ip": "10.0.0.2", "mac-address": "aa-bb-cc-dd-ee-ff"});
    let (_, changed) = world.resource("PATCH", &format!("/configurations/{id}"), "configurations", change).await;
    assert_eq!(changed["data"]["attributes"]["mac-address"], "AA:BB:CC:DD:EE:FF");
    let (_, list) = world.get(&nested).await;
    assert_eq!(list["data"][0]["attributes"]["ip-address"], "10.0.0.2");

    let wlan = json!({"name": "WLAN", "ip-address": "10.0.1.1", "primary": true});
    assert_eq!(world.resource("POST", &nested, "configuration-interfaces", wlan).await.0, 201);
    let (_, list) = world.get("/configurations?include=configuration_interfaces&sort=id").await;
    assert_eq!(list["data"][0]["attributes"]["primary-ip"], "10.0.1.1");
    let flags: Vec<&Value> =
        list["included"].as_array().unwrap().iter().map(|one| &one["attributes"]["primary"]).collect();
    assert_eq!(flags, [false, true]);
    let primary = list["included"][1]["attributes"]["id"].to_string();
    assert_eq!(world.send("DELETE", &format!("/configuration_interfaces/{primary}"), &Value::Null).await.0, 405);
    assert_eq!(world.send("DELETE", &format!("{nested}/{primary}"), &Value::Null).await.0, 204);
    assert_eq!(world.get(&format!("/configurations/{id}")).await.1["data"]["attributes"]["primary-ip"], Value::Null);
}

#[tokio::test]
async fn many_objects_are_written_at_once_or_not_at_all() {
    let world = World::new("itglue").await;
    let organization = organization(&world).await;
    let nested = format!("/organizations/{organization}/relationships/locations");
    let location = |attributes: Value| json!({"type": "locations", "attributes": attributes});
    let two = json!({"data": [location(json!({"name": "A", "primary": true})), location(json!({"name": "B"}))]});
    let (status, made) = world.send("POST", &nested, &two).await;
    assert_eq!(status, 201, "{made}");
    let made = ids(&made).into_iter().map(str::to_owned).collect::<Vec<_>>();

    let update = |second: &str, name: Value| json!({"data": [location(json!({"id": made[0], "city": "Paris"})), location(json!({"id": second, "name": name}))]});
    assert_eq!(world.send("PATCH", "/locations", &update(&made[1], Value::Null)).await.0, 422);
    assert_eq!(world.send("PATCH", "/locations", &update("99", json!("C"))).await.0, 404);
    let cities = |objects: Vec<Value>| objects.iter().filter(|one| one["attributes"]["city"] == "Paris").count();
    assert_eq!(cities(world.sandbox.objects("itglue", "Location")), 0, "a refused call changes nothing");
    assert_eq!(world.send("PATCH", "/locations", &update(&made[1], json!("C"))).await.0, 200);
    assert_eq!(cities(world.sandbox.objects("itglue", "Location")), 1);

    world.resource("PATCH", &format!("/locations/{}", made[1]), "locations", json!({"primary": true})).await;
    let (_, first) = world.get(&format!("/locations/{}", made[0])).await;
    assert_eq!(first["data"]["attributes"]["primary"], false, "an organization has one primary location");
    assert_eq!(world.send("POST", "/locations", &two).await.0, 400, "the flat route takes one object");
    let gone = json!({"data": [location(json!({"id": made[0]})), location(json!({"id": made[1]}))]});
    assert_eq!(world.send("DELETE", "/locations?filter[name]=A", &gone).await.0, 400);
    assert_eq!(world.send("DELETE", "/locations", &gone).await.0, 200);
    assert!(world.sandbox.objects("itglue", "Location").is_empty());
}

#[tokio::test]
async fn phones_lose_their_separators_and_gain_a_spelling() {
    let world = World::new("itglue").await;
    let organization = organization(&world).await;
    let phones = json!([{"value": "(313) 555-2015", "label-name": "Work", "extension": null}]);
    let contact = json!({"organization-id": organization, "first-name": "Jackie", "last-name": "Tilds", "contact-phones": phones});
    let (_, made) = world.resource("POST", "/contacts", "contacts", contact).await;
    let attributes = &made["data"]["attributes"];
    assert_eq!(attributes["name"], "Jackie Tilds");
    let expected = json!([{"value": "3135552015", "label-name": "Work", "primary": false, "label-type": "phone",
        "extension": null, "formatted-value": "(313) 555-2015"}]);
    assert_eq!(attributes["contact-phones"], expected);
    assert_eq!(attributes["contact-emails"], json!([]));
    let bad = json!({"organization-id": organization, "contact-emails": [{"value": "no mail", "label-name": "Work"}]});
    let (status, body) = world.resource("POST", "/contacts", "contacts", bad).await;
    assert_eq!((status, details(&body).as_str()), (422, "`value` must be a valid email address."));
}

#[tokio::test]
async fn a_passwords_value_is_shown_by_the_read_alone() {
    let world = World::new("itglue").await;
    let organization = organization(&world).await;
    let wanted =
        json!({"organization-id": organization, "name": "Admin", "password": "p4ssw0rd", "otp_secret": "OTPOTP"});
    let (_, made) = world.resource("POST", "/passwords", "passwords", wanted).await;
    let id = made["data"]["id"].as_str().unwrap();
    let path = format!("/passwords/{id}");
    let shown = async |path: &str| world.get(path).await.1["data"]["attributes"].get("password").cloned();
    assert!(made["data"]["attributes"].get("password").is_none());
    assert_eq!(shown(&path).await, Some(json!("p4ssw0rd")));
    assert_eq!(shown(&format!("{path}?show_password=false")).await, None);
    assert!(!world.get("/passwords").await.1.to_string().contains("p4ssw0rd"));
    assert!(!world.get(&path).await.1.to_string().contains("OTPOTP"));
    let (_, changed) =
        world.resource("PATCH", &format!("{path}?show_password=true"), "passwords", json!({"password": "n3w"})).await;
    assert_eq!(changed["data"]["attributes"]["password"], "n3w");
    assert_ne!(changed["data"]["attributes"]["password-updated-at"], made["data"]["attributes"]["password-updated-at"]);
    let request =
        world.http.get(format!("{}{path}", world.sandbox.url("itglue"))).header("x-api-key", "ITG.nopasswords");
    assert!(answer(request).await.1["data"]["attributes"].get("password").is_none(), "the key has no Password Access");

    let half = json!({"organization-id": organization, "name": "x", "password": "y", "resource-id": 1});
    let (status, body) = world.resource("POST", "/passwords", "passwords", half).await;
    assert_eq!((status, details(&body).as_str()), (422, "`resource-id` and `resource-type` must be used together."));
    let lost = json!({"organization-id": organization, "name": "x", "password": "y", "resource-id": 1, "resource-type": "Contact"});
    let (status, body) = world.resource("POST", "/passwords", "passwords", lost).await;
    assert_eq!((status, details(&body).as_str()), (422, "`resource-id` refers to no existing Contact."));
    assert_eq!(world.send("DELETE", &path, &Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_groups_members_come_by_an_include() {
    let world = World::new("itglue").await;
    let (_, group) = world.get("/groups/42?include=users").await;
    assert_eq!(group["data"]["relationships"]["users"]["data"], json!([{"id": "35", "type": "users"}]));
    assert_eq!(group["included"][0]["attributes"]["email"], "carl.beck@krakentechs.example");
    assert!(group["data"]["attributes"].get("accounts-user-ids").is_none());
    let (status, _) = world.resource("PATCH", "/groups/42", "groups", json!({"accounts_user_ids": [36, 37]})).await;
    assert_eq!(status, 200);
    let (_, list) = world.get("/groups?include=users").await;
    assert_eq!(list["data"][0]["relationships"]["users"]["data"].as_array().unwrap().len(), 2);
    let relationships = json!({"organizations": {"data": [{"type": "organizations", "attributes": {"id": 6}}]}});
    let body = json!({"data": {"type": "groups", "attributes": {"name": "New"}, "relationships": relationships}});
    let (status, made) = world.send("POST", "/groups?include=organizations", &body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["data"]["relationships"]["organizations"]["data"][0]["id"], "6");
}

#[tokio::test]
async fn attachments_and_links_come_along_with_their_parent() {
    let world = World::new("itglue").await;
    let organization = organization(&world).await;
    let location = world.make("/locations", json!({"organization-id": organization, "name": "HQ"})).await;
    let file = json!({"attachment": {"content": "R0lGODlh", "file_name": "plan.png"}});
    let (status, made) =
        world.resource("POST", &format!("/locations/{location}/relationships/attachments"), "attachments", file).await;
    assert_eq!((status, &made["data"]["attributes"]["name"]), (201, &json!("plan.png")), "{made}");
    let link = json!({"destination_id": organization, "destination_type": "Organization", "notes": "n"});
    let (status, made) = world
        .resource("POST", &format!("/locations/{location}/relationships/related_items"), "related_items", link)
        .await;
    assert_eq!(status, 201, "{made}");

    let (_, list) = world.get("/locations?include=attachments").await;
    assert_eq!(list["included"][0]["attributes"]["attachment-file-size"], 6);
    assert_eq!(world.get("/locations?include=related_items").await.0, 400, "links come with one read only");
    let (_, got) = world.get(&format!("/locations/{location}?include=related_items")).await;
    assert_eq!(got["included"][0]["attributes"]["destination-id"], json!(organization));
    let id = got["included"][0]["id"].as_str().unwrap();
    let path = format!("/locations/{location}/relationships/related_items");
    assert_eq!(world.resource("PATCH", &format!("{path}/{id}"), "related_items", json!({"notes": "m"})).await.0, 200);
    let bad = json!({"destination_id": "9", "destination_type": "Location"});
    assert_eq!(world.resource("PATCH", &format!("{path}/{id}"), "related_items", bad).await.0, 422);
    let gone = json!({"data": [{"type": "related_items", "attributes": {"id": id}}]});
    assert_eq!(world.send("DELETE", &path, &gone).await.0, 200);
    assert!(world.sandbox.objects("itglue", "RelatedItem").is_empty());
    let orphan = "/locations/99/relationships/attachments";
    assert_eq!(
        world.resource("POST", orphan, "attachments", json!({"attachment": {"content": "", "file_name": "a"}})).await.0,
        404
    );
    let elsewhere = format!("/organizations/{organization}/relationships/attachments");
    assert_eq!(world.resource("POST", &elsewhere, "attachments", json!({})).await.0, 404, "organizations take none");
}
