//! APIs that users describe: other conventions than the built-in ones.

use std::{sync::Arc, time::Duration};

use plumb::{
    description::{Api, Catalog},
    sandbox::{Sandbox, SandboxOptions},
};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

struct Described {
    sandbox: Sandbox,
    http: reqwest::Client,
}

impl Described {
    async fn new(description: &str) -> Self {
        let api = Api::compile("desk", serde_saphyr::from_str(description).unwrap()).unwrap();
        let mut catalog = Catalog::default();
        catalog.insert(Arc::new(api));
        let sandbox = Sandbox::start(&catalog, SandboxOptions::default()).await.unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { sandbox, http }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, HeaderMap, Value) {
        self.call_with(method, path, body, "if-none-match", "x").await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        header: &str,
        value: &str,
    ) -> (u16, HeaderMap, Value) {
        let url =
            if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.sandbox.url("desk")) };
        let mut request = self.http.request(method.parse().unwrap(), url).header(header, value);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }
}

fn kind(extra: &str, more: &str) -> String {
    format!(
        "{extra}
kinds:
  - kind: Ticket
    path: /tickets
    key: [title]
{more}
    fields:
      title: {{required: true, maxLength: 10, pattern: '[a-z0-9 ]+'}}
      state: {{enum: [open, closed], default: open}}
      details: {{type: map, nullable: true}}
"
    )
}

#[tokio::test]
async fn a_replaced_object_loses_what_is_left_out_and_a_stale_tag_is_refused() {
    let desk = Described::new(&kind("", "    update: {style: replace, lock: etag}")).await;
    let (_, _, made) =
        desk.call("POST", "/tickets", Some(json!({"title": "a", "state": "closed", "details": {"x": 1}}))).await;
    let path = format!("/tickets/{}", made["id"].as_str().unwrap());
    let (_, headers, _) = desk.call("GET", &path, None).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (status, _, replaced) = desk.call_with("PUT", &path, Some(json!({"title": "b"})), "if-match", &tag).await;
    assert_eq!((status, replaced), (200, json!({"id": made["id"], "title": "b", "state": "open"})));
    assert_eq!(desk.call_with("PUT", &path, Some(json!({"title": "c"})), "if-match", &tag).await.0, 412);
    assert_eq!(desk.call("PUT", &path, Some(json!({"state": "open"}))).await.0, 400, "a title is required");
}

#[tokio::test]
async fn a_merge_patch_changes_members_and_a_json_patch_carries_out_operations() {
    let desk = Described::new(&kind("", "    update: {style: mergePatch}")).await;
    let (_, _, made) = desk.call("POST", "/tickets", Some(json!({"title": "a", "details": {"x": 1, "y": 2}}))).await;
    let path = format!("/tickets/{}", made["id"].as_str().unwrap());
    let (_, _, merged) = desk.call("PATCH", &path, Some(json!({"details": {"x": null, "z": 3}}))).await;
    assert_eq!(merged["details"], json!({"y": 2, "z": 3}));

    let desk = Described::new(&kind("", "    update: {style: jsonPatch}")).await;
    let (_, _, made) = desk.call("POST", "/tickets", Some(json!({"title": "a", "details": {"x": 1}}))).await;
    let path = format!("/tickets/{}", made["id"].as_str().unwrap());
    let operations = json!([{"op": "add", "path": "/details/y", "value": 2}, {"op": "replace", "path": "/state", "value": "closed"}]);
    let (status, _, patched) = desk.call("PATCH", &path, Some(operations)).await;
    assert_eq!((status, &patched["details"], &patched["state"]), (200, &json!({"x": 1, "y": 2}), &json!("closed")));
}

#[tokio::test]
async fn values_are_checked_against_their_field() {
    let desk = Described::new(&kind("", "")).await;
    for bad in [
        json!({"title": "far too long a title"}),
        json!({"title": "UPPER"}),
        json!({"title": "a", "state": "lost"}),
        json!({"title": null}),
        json!({"title": ""}),
    ] {
        assert_eq!(desk.call("POST", "/tickets", Some(bad.clone())).await.0, 400, "{bad}");
    }
    assert_eq!(desk.call("POST", "/tickets", Some(json!({"title": "a"}))).await.0, 201);
    assert_eq!(desk.call("POST", "/tickets", Some(json!({"title": "a"}))).await.0, 409, "a key is unique unless said");
}

/// Reads all pages by following what the answers say; gives the titles.
async fn follow(desk: &Described, first: &str, next: impl Fn(&HeaderMap, &Value) -> Option<String>) -> Vec<String> {
    for number in 0..5 {
        desk.call("POST", "/tickets", Some(json!({"title": format!("t{number}")}))).await;
    }
    let (mut titles, mut path) = (Vec::new(), Some(first.to_owned()));
    while let Some(at) = path.take() {
        let (status, headers, body) = desk.call("GET", &at, None).await;
        assert_eq!(status, 200, "{at}: {body}");
        let items = body.as_array().or_else(|| body["items"].as_array()).unwrap();
        titles.extend(items.iter().map(|item| item["title"].as_str().unwrap().to_owned()));
        path = next(&headers, &body);
        assert!(titles.len() <= 5, "pages repeat");
    }
    titles
}

#[tokio::test]
async fn lists_are_paged_by_cursor_offset_link_and_next_address() {
    let all = ["t0", "t1", "t2", "t3", "t4"];
    let items = "envelope: {many: items}\npaging: ";
    let cursor = kind(&format!("{items}{{style: cursor, page: after, size: limit, maxSize: 2, next: [next]}}"), "");
    let desk = Described::new(&cursor).await;
    let next = |_: &HeaderMap, body: &Value| body["next"].as_str().map(|next| format!("/tickets?limit=2&after={next}"));
    assert_eq!(follow(&desk, "/tickets?limit=2", next).await, all);
    assert_eq!(desk.call("GET", "/tickets?after=cdead", None).await.0, 400);

    let offset = kind(&format!("{items}{{style: offset, page: offset, size: limit, maxSize: 2, total: [count]}}"), "");
    let desk = Described::new(&offset).await;
    let seen = std::cell::Cell::new(0);
    let next = |_: &HeaderMap, body: &Value| {
        seen.set(seen.get() + body["items"].as_array().unwrap().len());
        (seen.get() < usize::try_from(body["count"].as_u64().unwrap()).unwrap())
            .then(|| format!("/tickets?limit=2&offset={}", seen.get()))
    };
    assert_eq!(follow(&desk, "/tickets?limit=2", next).await, all);

    let desk = Described::new(&kind("paging: {style: link, page: page, size: per_page, maxSize: 2}", "")).await;
    let next = |headers: &HeaderMap, _: &Value| {
        let link = headers.get("link")?.to_str().unwrap();
        Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned())
    };
    assert_eq!(follow(&desk, "/tickets?per_page=2", next).await, all);

    let address =
        kind(&format!("{items}{{style: nextUrl, page: $skip, size: $top, maxSize: 2, next: ['@odata.nextLink']}}"), "");
    let desk = Described::new(&address).await;
    let next = |_: &HeaderMap, body: &Value| body["@odata.nextLink"].as_str().map(str::to_owned);
    assert_eq!(follow(&desk, "/tickets?$top=2", next).await, all);
}

#[tokio::test]
async fn ids_that_are_names_are_unique_within_their_parent() {
    let desk = Described::new(
        "kinds:
  - kind: Project
    path: /projects
    id: {path: [slug]}
    key: [slug]
    fields: {slug: {required: true}}
  - kind: Board
    path: /projects/{project}/boards
    id: {path: [slug]}
    key: [project, slug]
    scope: {field: project, required: true}
    fields:
      project: {type: ref, ref: {kind: Project, by: slug}, wire: project, required: true}
      slug: {required: true}
      size: {type: integer, minimum: 1}
",
    )
    .await;
    for slug in ["a", "b"] {
        desk.call("POST", "/projects", Some(json!({"slug": slug}))).await;
        let (status, _, body) =
            desk.call("POST", &format!("/projects/{slug}/boards"), Some(json!({"slug": "main"}))).await;
        assert_eq!(status, 201, "{body}");
    }
    assert_eq!(desk.call("POST", "/projects/a/boards", Some(json!({"slug": "main"}))).await.0, 409);
    assert_eq!(desk.call("POST", "/projects/none/boards", Some(json!({"slug": "x"}))).await.0, 404);
    assert_eq!(desk.call("PATCH", "/projects/a/boards/main", Some(json!({"size": 0}))).await.0, 400);
    assert_eq!(desk.call("PATCH", "/projects/a/boards/main", Some(json!({"size": 3}))).await.0, 200);
    assert_eq!(desk.call("GET", "/projects/a/boards/main", None).await.2["size"], 3);
    assert_eq!(desk.call("GET", "/projects/b/boards/main", None).await.2["size"], Value::Null);
    assert_eq!(desk.call("DELETE", "/projects/a", None).await.0, 204);
    assert_eq!(desk.sandbox.objects("desk", "Board").len(), 1, "boards go with their project");
}
