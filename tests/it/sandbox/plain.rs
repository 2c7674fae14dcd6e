//! The plain REST API of the sandbox: resources, summaries, paging, members, logins.

use std::time::Duration;

use plumb::sandbox::SandboxOptions;
use serde_json::{Value, json};

use super::{World, answer};

#[tokio::test]
async fn a_resource_lives_from_create_to_delete() {
    let world = World::new("rest").await;
    let wanted = json!({"name": "db", "description": "a database", "type": "standard", "metadata": {"team": "a"}});
    let (status, made) = world.send("POST", "/resources", &wanted).await;
    assert_eq!(status, 201);
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("res_"), "{id}");
    assert_eq!(made["data"]["created_at"], made["data"]["updated_at"]);

    let (_, list) = world.get("/resources?page=1&per_page=50&sort=-created_at").await;
    assert_eq!(list["meta"], json!({"total": 1, "total_pages": 1, "per_page": 50, "page": 1}));
    assert_eq!(list["data"][0]["name"], "db");
    assert!(list["data"][0].get("description").is_none(), "list items are summaries");
    assert!(list["data"][0].get("metadata").is_none());

    let (status, changed) = world.send("PATCH", &format!("/resources/{id}"), &json!({"description": null})).await;
    assert_eq!((status, &changed["data"]["name"]), (200, &json!("db")));
    let (_, got) = world.get(&format!("/resources/{id}")).await;
    assert_eq!(got["data"]["description"], Value::Null);
    assert_eq!(got["data"]["metadata"], json!({"team": "a"}));
    assert!(got["data"]["updated_at"].as_str() > got["data"]["created_at"].as_str());

    assert_eq!(world.send("DELETE", &format!("/resources/{id}"), &Value::Null).await.0, 204);
    let (status, body) = world.get(&format!("/resources/{id}")).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("resource_not_found")));
}

#[tokio::test]
async fn pages_hold_what_was_asked_for_up_to_the_limit() {
    let world = World::new("rest").await;
    for number in 0..45 {
        let body = json!({"name": format!("r{number:02}"), "type": if number % 2 == 0 { "even" } else { "odd" }});
        assert_eq!(world.send("POST", "/resources", &body).await.0, 201);
    }
    let (_, second) = world.get("/resources?page=2&per_page=20&sort=created_at").await;
    assert_eq!(second["meta"]["total"], 45);
    assert_eq!(second["meta"]["total_pages"], 3);
    assert_eq!(second["data"][0]["name"], "r20");
    let (_, default) = world.get("/resources").await;
    assert_eq!(default["data"].as_array().unwrap().len(), 20);
    assert_eq!(world.get("/resources?per_page=101").await.0, 400);
    assert_eq!(world.get("/resources?page=0").await.0, 400);
    assert_eq!(world.get("/resources?colour=red").await.0, 400);
    let (_, odd) = world.get("/resources?filter%5Btype%5D=odd&per_page=100").await;
    assert_eq!(odd["data"].as_array().unwrap().len(), 22);
    let (_, beyond) = world.get("/resources?page=9").await;
    assert_eq!(beyond["data"], json!([]));
}

#[tokio::test]
async fn wrong_bodies_are_refused_with_reasons_and_leave_nothing_behind() {
    let world = World::new("rest").await;
    for (body, reason) in [
        (json!({}), "`name` is required."),
        (json!({"name": 5}), "`name` must be a String."),
        (json!({"name": "a", "colour": "red"}), "`colour` is not a known attribute."),
        (json!({"name": "a", "metadata": "x"}), "`metadata` must be a Hash."),
        (json!([{"name": "a"}]), "The body must be one object, not an Array."),
    ] {
        let (status, answer) = world.send("POST", "/resources", &body).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(answer["error"], json!({"code": "invalid_request", "message": reason}));
    }
    assert!(world.sandbox.objects("rest", "Resource").is_empty());
    let text = answer(world.request("POST", "/resources").header("content-type", "text/plain").body("{}")).await;
    assert_eq!(text.0, 415);
    assert_eq!(world.send("PUT", "/resources", &json!({"name": "a"})).await.0, 405);
    assert_eq!(world.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn slugs_are_unique_and_members_are_found_by_their_user() {
    let world = World::new("rest").await;
    let (_, made) = world.send("POST", "/organizations", &json!({"name": "Mine", "slug": "mine"})).await;
    let id = made["data"]["id"].as_str().unwrap();
    assert_eq!(world.send("POST", "/organizations", &json!({"name": "Again", "slug": "mine"})).await.0, 409);

    let members = format!("/organizations/{id}/members");
    let member = json!({"user_id": "usr_789", "role": "owner"});
    let (status, made) = world.send("POST", &members, &member).await;
    assert_eq!((status, &made["data"]["user_id"]), (201, &json!("usr_789")));
    assert_eq!(world.send("POST", &members, &member).await.0, 409);
    assert_eq!(world.send("POST", &members, &json!({"user_id": "usr_0", "role": "owner"})).await.0, 400);
    assert_eq!(world.send("POST", "/organizations/org_0/members", &member).await.0, 404);
    assert_eq!(world.get(&members).await.1["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.send("PATCH", &format!("{members}/usr_789"), &json!({"role": "member"})).await.0, 405);
    assert_eq!(world.send("DELETE", &format!("{members}/usr_789"), &Value::Null).await.0, 204);
    assert_eq!(world.get(&members).await.1["data"], json!([]));
    world.send("POST", &members, &member).await;
    assert_eq!(world.send("DELETE", &format!("/organizations/{id}"), &Value::Null).await.0, 204);
    assert!(world.sandbox.objects("rest", "OrganizationMember").is_empty(), "members go with their organization");
}

#[tokio::test]
async fn a_secret_is_kept_but_never_shown_or_logged() {
    let world = World::new("rest").await;
    let hook = json!({"url": "https://a.example/hook", "events": ["resource.created"], "secret": "s3cret-value"});
    let (_, made) = world.send("POST", "/webhooks", &hook).await;
    let (_, list) = world.get("/webhooks").await;
    assert!(!made.to_string().contains("s3cret") && !list.to_string().contains("s3cret"));
    assert_eq!(world.sandbox.objects("rest", "Webhook")[0]["attributes"]["secret"], "s3cret-value");
    let log = world.sandbox.log();
    assert_eq!(log[0].body.as_ref().unwrap()["secret"], "********");
    assert_eq!((log[0].path.as_str(), log[0].status), ("/v1/webhooks", 201));
    let (_, control) = world.control("GET", "objects/rest/Webhook", Value::Null).await;
    assert!(!control.to_string().contains("s3cret"));
    let id = made["data"]["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/webhooks/{id}")).await.0, 405, "there is no read of one webhook");
}

#[tokio::test]
async fn the_caller_has_a_profile_that_the_list_of_users_shows_too() {
    let world = World::new("rest").await;
    let (_, me) = world.get("/users/me").await;
    assert_eq!((&me["data"]["id"], &me["data"]["email"]), (&json!("usr_789"), &json!("user@example.com")));
    let change = json!({"profile": {"first_name": "Jane", "last_name": "Smith"}});
    assert_eq!(world.send("PATCH", "/users/me", &change).await.0, 200);
    let (_, users) = world.get("/users?search=johndoe").await;
    assert_eq!(users["data"][0]["profile"]["first_name"], "Jane");
    assert_eq!(users["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.send("DELETE", "/users/me", &Value::Null).await.0, 405);
}

#[tokio::test]
async fn logins_give_tokens_that_expire_and_refresh_once() {
    let options = SandboxOptions { token_lifetime: Duration::from_millis(300), ..SandboxOptions::default() };
    let world = World::with("rest", options).await;
    let login = json!({"email": "user@example.com", "password": "password"});
    let (status, tokens) = world.send("POST", "/auth/login", &login).await;
    assert_eq!((status, &tokens["token_type"]), (200, &json!("Bearer")));
    let url = format!("{}/v1/users/me", world.sandbox.url("rest"));
    let with = |token: &Value| world.http.get(&url).bearer_auth(token.as_str().unwrap());
    assert_eq!(answer(with(&tokens["access_token"])).await.0, 200);
    tokio::time::sleep(Duration::from_millis(350)).await;
    let (status, body) = answer(with(&tokens["access_token"])).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("authentication_required")));

    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    let (status, renewed) = world.send("POST", "/auth/refresh", &refresh).await;
    assert_eq!(status, 200);
    assert_eq!(answer(with(&renewed["access_token"])).await.0, 200);
    assert_eq!(world.send("POST", "/auth/refresh", &refresh).await.0, 401, "a refresh token is good for one use");
    assert_eq!(world.send("POST", "/auth/login", &json!({"email": "a@example.com"})).await.0, 400);
    assert_eq!(answer(world.http.get(&url)).await.0, 401);
}

#[tokio::test]
async fn client_credentials_keys_and_basic_authentication_are_taken() {
    let world = World::new("rest").await;
    let base = world.sandbox.url("rest");
    let form = [("grant_type", "client_credentials"), ("client_id", "plumb"), ("client_secret", "s")];
    let (status, token) = answer(world.http.post(format!("{base}/oauth/token")).form(&form)).await;
    assert_eq!(status, 200);
    let me = format!("{base}/v1/users/me");
    assert_eq!(answer(world.http.get(&me).bearer_auth(token["access_token"].as_str().unwrap())).await.0, 200);
    assert_eq!(answer(world.http.get(&me).header("X-API-Key", "k")).await.0, 200);
    assert_eq!(answer(world.http.get(&me).basic_auth("user", Some("pass"))).await.0, 200);
    assert_eq!(answer(world.http.get(&me).bearer_auth("wrong")).await.0, 401);
}
