//! Faults, limits, and what happens behind the clients' back.

use std::time::{Duration, Instant};

use plumb::sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use super::{World, ids};

fn faulty(order: &str) -> SandboxOptions {
    SandboxOptions { faults: order.parse().unwrap(), ..SandboxOptions::default() }
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_reset_request_was_not() {
    let world = World::with("rest", faulty("lost@POST:/v1/resources=1x,reset@POST:/v1/webhooks=1x")).await;
    let create = |path: &'static str, body: Value| world.request("POST", path).json(&body).send();
    assert!(create("/resources", json!({"name": "a"})).await.is_err());
    assert_eq!(world.sandbox.objects("rest", "Resource").len(), 1);
    let hook = json!({"url": "https://a.example", "events": ["e"]});
    assert!(create("/webhooks", hook.clone()).await.is_err());
    assert!(world.sandbox.objects("rest", "Webhook").is_empty());
    assert_eq!(create("/webhooks", hook).await.unwrap().status(), 201);
    let log = world.sandbox.log();
    let statuses: Vec<u16> = log.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [0, 0, 201]);
    assert_eq!(log[0].fault.as_deref(), Some("Lost"));
}

#[tokio::test]
async fn a_truncated_answer_breaks_off_and_an_ordered_status_changes_nothing() {
    let world = World::with("rest", faulty("truncate@GET=1x,503@POST=1x")).await;
    let response = world.request("GET", "/users").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
    assert_eq!(world.send("POST", "/resources", &json!({"name": "a"})).await.0, 503);
    assert!(world.sandbox.objects("rest", "Resource").is_empty());
    assert_eq!(world.control("POST", "faults", json!({"faults": "500@GET=1x"})).await.0, 204);
    assert_eq!(world.get("/users").await.0, 500);
    assert_eq!(world.get("/users").await.0, 200);
    assert_eq!(world.control("POST", "faults", json!({"faults": "boom"})).await.0, 400);
}

#[tokio::test]
async fn beyond_the_limit_requests_are_refused_until_the_window_ends() {
    let rate = Some((3, Duration::from_millis(1500)));
    let options = SandboxOptions { rate, retry_after: true, ..SandboxOptions::default() };
    let world = World::with("rest", options).await;
    let start = Instant::now();
    let mut left = Vec::new();
    for _ in 0..3 {
        let response = world.request("GET", "/users").send().await.unwrap();
        left.push(response.headers()["x-ratelimit-remaining"].to_str().unwrap().to_owned());
    }
    assert_eq!(left, ["2", "1", "0"]);
    let response = world.request("GET", "/users").send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 2);
    let reset: u64 = response.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(reset >= now && reset <= now + 3);
    tokio::time::sleep(Duration::from_millis(1600).saturating_sub(start.elapsed())).await;
    assert_eq!(world.get("/users").await.0, 200);
}

#[tokio::test]
async fn latency_delays_every_answer() {
    let latency = Duration::from_millis(120);
    let world = World::with("rest", SandboxOptions { latency, ..SandboxOptions::default() }).await;
    let start = Instant::now();
    world.get("/users").await;
    assert!(start.elapsed() >= latency);
}

#[tokio::test]
async fn objects_change_and_vanish_behind_the_back_of_clients() {
    let world = World::new("itglue").await;
    let id = world.make("/organizations", json!({"name": "Happy Frog"})).await;
    let change = json!({"description": "changed by hand"});
    assert_eq!(world.control("PATCH", &format!("objects/itglue/Organization/{id}"), change).await.0, 204);
    let (_, got) = world.get(&format!("/organizations/{id}")).await;
    assert_eq!(got["data"]["attributes"]["description"], "changed by hand");
    assert!(got["data"]["attributes"]["updated-at"].as_str() > got["data"]["attributes"]["created-at"].as_str());
    assert!(world.sandbox.remove("itglue", "Organization", &id));
    assert_eq!(world.get(&format!("/organizations/{id}")).await.0, 404);
    assert!(!world.sandbox.mutate("itglue", "Organization", &id, &json!({})));
    let added = world.sandbox.add("itglue", "Organization", &json!({"name": "New", "organizationType": "Vendor"}));
    let (_, got) = world.get(&format!("/organizations/{}", added.unwrap())).await;
    assert_eq!(got["data"]["attributes"]["organization-type-name"], "Vendor");
    assert!(world.sandbox.add("itglue", "Organization", &json!({"nome": "x"})).unwrap_err().contains("nome"));
}

#[tokio::test]
async fn seeds_are_written_like_manifests_and_errors_name_what_is_wrong() {
    let seed = plumb::sandbox::parse_seed(
        "itglue:
  credentials: [ITG.only]
  Organization:
    - {id: 2, name: Happy Frog, organizationType: Customer}
  Location:
    - {id: 795, organization: Happy Frog, name: HQ, country: US, region: CA, phone: '4152132000'}
  FlexibleAssetType:
    - name: Email
      fields:
        - {name: Type, kind: Select, order: 1, options: [Office 365, Exchange], showInList: true}
",
    )
    .unwrap();
    let world = World::with("itglue", SandboxOptions { seed: Some(seed), ..SandboxOptions::default() }).await;
    assert_eq!(world.get("/locations").await.0, 403, "only the listed credential is valid");
    let request =
        world.http.get(format!("{}/locations/795", world.sandbox.url("itglue"))).header("x-api-key", "ITG.only");
    let (_, location) = super::answer(request).await;
    let attributes = &location["data"]["attributes"];
    assert_eq!(attributes["organization-id"], 2);
    assert_eq!(
        (&attributes["region-name"], &attributes["country-name"]),
        (&json!("California"), &json!("United States"))
    );
    assert_eq!(
        world.sandbox.objects("itglue", "FlexibleAssetField")[0]["attributes"]["default-value"],
        "Office 365\nExchange"
    );

    for (text, named) in [
        ("itglue: {Organisation: []}", "Organisation"),
        ("itglue: {Organization: [{nam: x}]}", "nam"),
        ("itglue: {Organization: [{name: x, organizationType: Kunde}]}", "Kunde"),
    ] {
        let seed = Some(plumb::sandbox::parse_seed(text).unwrap());
        let started =
            Sandbox::start(plumb::apis::builtin(), SandboxOptions { seed, ..SandboxOptions::default() }).await;
        assert!(started.err().unwrap().to_string().contains(named), "{text}");
    }
}

#[tokio::test]
async fn ten_thousand_objects_are_listed_in_pages_of_a_thousand_quickly() {
    let organizations: Vec<Value> = (0..10_000).map(|number| json!({"name": format!("org {number}")})).collect();
    let seed = Some(json!({"itglue": {"Organization": organizations}}));
    let world = World::with("itglue", SandboxOptions { seed, ..SandboxOptions::default() }).await;
    let start = Instant::now();
    let mut listed = std::collections::BTreeSet::new();
    for page in 1..=11 {
        let (_, body) = world.get(&format!("/organizations?page[size]=1000&page[number]={page}&sort=id")).await;
        assert_eq!(body["meta"]["total-count"], 10_001);
        listed.extend(ids(&body).into_iter().map(str::to_owned));
    }
    assert_eq!(listed.len(), 10_001);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
