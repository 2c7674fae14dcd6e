//! The sandbox over HTTP, as clients meet it.

mod described;
mod faults;
mod itglue;
mod plain;
mod samples;

use std::time::Duration;

use plumb::sandbox::{Sandbox, SandboxOptions};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// A sandbox of the built-in APIs and a client of one of them.
struct World {
    sandbox: Sandbox,
    api: &'static str,
    http: reqwest::Client,
}

/// An answer: status and body (null where there is none).
type Answer = (u16, Value);

impl World {
    async fn new(api: &'static str) -> Self {
        Self::with(api, SandboxOptions::default()).await
    }

    async fn with(api: &'static str, options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(plumb::apis::builtin(), options).await.unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { sandbox, api, http }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let version = if self.api == "rest" { "/v1" } else { "" };
        let url = format!("{}{version}{path}", self.sandbox.url(self.api));
        let request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        match self.api {
            "itglue" => request.header("x-api-key", "ITG.demo"),
            _ => request.bearer_auth(Sandbox::token()),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.request("GET", path)).await
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let media = if self.api == "itglue" { "application/vnd.api+json" } else { "application/json" };
        answer(self.request(method, path).header("content-type", media).body(body.to_string())).await
    }

    /// Sends one JSON:API resource.
    async fn resource(&self, method: &str, path: &str, kind: &str, attributes: Value) -> Answer {
        self.send(method, path, &json!({ "data": { "type": kind, "attributes": attributes } })).await
    }

    /// Creates a JSON:API resource; gives its id.
    async fn make(&self, path: &str, attributes: Value) -> String {
        let kind = path.rsplit('/').next().unwrap();
        let (status, body) = self.resource("POST", path, kind, attributes).await;
        assert_eq!(status, 201, "{body}");
        let data = &body["data"];
        let id = if data["id"].is_null() { &data["attributes"]["id"] } else { &data["id"] };
        id.as_str().map_or_else(|| id.to_string(), str::to_owned)
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Answer {
        let url = format!("{}/_sandbox/{path}", self.sandbox.address());
        let request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        answer(request.body(body.to_string())).await
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Ids of a JSON:API list.
fn ids(body: &Value) -> Vec<&str> {
    body["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// The reasons of a JSON:API refusal.
fn details(body: &Value) -> String {
    let errors = body["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["detail"].as_str()).collect::<Vec<_>>().join(" ")
}
