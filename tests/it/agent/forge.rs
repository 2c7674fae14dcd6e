//! A forge that records what it is told: statuses and comments, in the form of GitHub's and Gitea's API.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::{get, patch, post},
};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Commit, context, state, description, link.
    pub(crate) statuses: Vec<(String, Value)>,
    /// Comments by their ids.
    pub(crate) comments: Vec<String>,
    /// How often a comment was changed.
    pub(crate) edits: usize,
    /// Open pull requests as the forge lists them.
    pub(crate) pulls: Vec<Value>,
    /// Messages that were posted, with their signature.
    pub(crate) messages: Vec<(String, Value)>,
    /// Credentials that came.
    pub(crate) tokens: Vec<String>,
}

type Shared = Arc<Mutex<Record>>;

/// A forge that runs until the test ends.
pub(crate) struct Recorder {
    pub(crate) url: String,
    pub(crate) record: Shared,
}

fn token(headers: &HeaderMap, record: &Shared) {
    if let Some(token) = headers.get("authorization").and_then(|value| value.to_str().ok()) {
        record.lock().unwrap().tokens.push(token.to_owned());
    }
}

async fn status(
    State(record): State<Shared>,
    Path((_, _, sha)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Json<Value> {
    token(&headers, &record);
    record.lock().unwrap().statuses.push((sha, body));
    Json(json!({"id": 1}))
}

async fn comments(State(record): State<Shared>) -> Json<Value> {
    let record = record.lock().unwrap();
    let list = record.comments.iter().enumerate().map(|(id, body)| json!({"id": id + 1, "body": body})).collect();
    Json(Value::Array(list))
}

async fn comment(State(record): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    record.lock().unwrap().comments.push(body["body"].as_str().unwrap().to_owned());
    Json(json!({"id": 1}))
}

async fn edit(
    State(record): State<Shared>,
    Path((_, _, id)): Path<(String, String, usize)>,
    Json(body): Json<Value>,
) -> Json<Value> {
    let mut record = record.lock().unwrap();
    record.edits += 1;
    body["body"].as_str().unwrap().clone_into(&mut record.comments[id - 1]);
    Json(json!({"id": id}))
}

async fn message(State(record): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> &'static str {
    let signature = headers.get("x-plumb-signature-256").and_then(|value| value.to_str().ok()).unwrap_or_default();
    record.lock().unwrap().messages.push((signature.to_owned(), body));
    "ok"
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let record = Shared::default();
        let pulls =
            |State(record): State<Shared>| async move { Json(Value::Array(record.lock().unwrap().pulls.clone())) };
        let router = Router::new()
            .route("/repos/{owner}/{name}/statuses/{sha}", post(status))
            .route("/repos/{owner}/{name}/issues/{number}/comments", get(comments).post(comment))
            .route("/repos/{owner}/{name}/issues/comments/{id}", patch(edit))
            .route("/repos/{owner}/{name}/pulls", get(pulls))
            .route("/message", post(message))
            .with_state(record.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, record }
    }

    /// The states of a commit, in the order in which they came.
    pub(crate) fn states(&self, sha: &str, context: &str) -> Vec<(String, String)> {
        let record = self.record.lock().unwrap();
        let own = record.statuses.iter().filter(|(commit, body)| commit == sha && body["context"] == context);
        own.map(|(_, body)| (body["state"].as_str().unwrap().into(), body["description"].as_str().unwrap().into()))
            .collect()
    }

    pub(crate) fn comments(&self) -> Vec<String> {
        self.record.lock().unwrap().comments.clone()
    }

    pub(crate) fn pull(&self, number: u64, head: &str, repository: &str) {
        let mut record = self.record.lock().unwrap();
        record.pulls.retain(|pull| pull["number"] != number);
        record.pulls.push(json!({
            "number": number,
            "head": {"sha": head, "ref": "change", "repo": {"full_name": repository}},
            "base": {"ref": "main", "repo": {"full_name": "acme/infra"}},
        }));
    }

    /// The events of messages about a stack, in their order.
    pub(crate) fn events(&self, stack: &str) -> Vec<String> {
        let record = self.record.lock().unwrap();
        let own = record.messages.iter().filter(|(_, body)| body["stack"] == stack);
        own.map(|(_, body)| body["event"].as_str().unwrap().to_owned()).collect()
    }
}
