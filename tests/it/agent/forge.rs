//! A forge that records what it is told, with the face of one of four, as its documents have it: GitHub, GitLab, Gitea
//! and Forgejo, Bitbucket Cloud. What the documents do not allow is refused, and remembered as wrong.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Face {
    #[default]
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
}

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) body: String,
    /// Written by somebody else, who alone may change it.
    pub(crate) foreign: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    face: Face,
    /// Statuses as they were sent, with their commits.
    pub(crate) statuses: Vec<(String, Value)>,
    /// Comments; their ids count from 1.
    pub(crate) comments: Vec<Comment>,
    /// How often a comment was changed.
    pub(crate) edits: usize,
    /// How often pull requests were listed.
    pub(crate) lists: usize,
    /// Open pull requests as the forge lists them.
    pub(crate) pulls: Vec<Value>,
    /// Messages that were posted, with their signature.
    pub(crate) messages: Vec<(String, Value)>,
    /// Credentials that came.
    pub(crate) tokens: Vec<String>,
    /// What no document allows.
    pub(crate) wrong: Vec<String>,
    /// No credential is good enough.
    pub(crate) locked: bool,
}

type Shared = Arc<Mutex<Record>>;

/// A forge that runs until the test ends.
pub(crate) struct Recorder {
    face: Face,
    /// What the configuration calls it.
    pub(crate) url: String,
    pub(crate) record: Shared,
}

struct Call<'c> {
    method: Method,
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: Value,
    headers: &'c HeaderMap,
}

impl Call<'_> {
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

type Answer = Result<(u16, Value), (u16, String)>;

fn wrong<T>(why: impl Into<String>) -> Result<T, (u16, String)> {
    Err((422, why.into()))
}

/// The part of a path that an item of a page takes, as all of these forges cut their lists.
fn page(call: &Call<'_>, size: &str, items: Vec<Value>) -> Answer {
    let number = |name: &str, usual: usize| call.asked(name).map_or(Some(usual), |text| text.parse().ok());
    let (Some(size), Some(page)) = (number(size, 30), number("page", 1)) else { return wrong("no number") };
    if !(1..=100).contains(&size) || page == 0 {
        return wrong("a page that does not exist");
    }
    Ok((200, items.into_iter().skip((page - 1) * size).take(size).collect()))
}

impl Record {
    fn answer(&mut self, call: &Call<'_>) -> Answer {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        let Some((root, rest)) = (match (self.face, &path[..]) {
            (Face::GitHub, rest) => Some(("", rest)),
            (Face::GitLab, ["api", "v4", rest @ ..]) => Some(("api/v4", rest)),
            (Face::Gitea, ["api", "v1", rest @ ..]) => Some(("api/v1", rest)),
            (Face::Bitbucket, ["2.0", rest @ ..]) => Some(("2.0", rest)),
            _ => None,
        }) else {
            return Err((404, "not the API".into()));
        };
        self.credential(call)?;
        if self.locked {
            return Err((401, format!("bad credentials: {}{}", call.header("authorization"), root)));
        }
        let post = call.method == Method::POST;
        match (self.face, rest) {
            (Face::GitHub | Face::Gitea, ["repos", "acme", "infra", "statuses", sha]) if post => {
                self.commit_status(call, sha, &["error", "failure", "pending", "success"], "context", 140)
            }
            (Face::GitLab, ["projects", "acme/infra", "statuses", sha]) if post => {
                let states = ["pending", "running", "success", "failed", "canceled", "skipped"];
                // One that runs cannot begin to run.
                let again =
                    self.statuses.iter().rev().find(|(of, body)| of == sha && body["name"] == call.body["name"]);
                if call.text("state") == "running" && again.is_some_and(|(_, body)| body["state"] == "running") {
                    return Err((400, "Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")".into()));
                }
                self.commit_status(call, sha, &states, "name", 255)
            }
            (Face::Bitbucket, ["repositories", "acme", "infra", "commit", sha, "statuses", "build"]) if post => {
                if !call.text("url").starts_with("http") {
                    return wrong("`url` is required");
                }
                if call.text("key").is_empty() || call.text("key").len() > 40 {
                    return wrong("`key` is required, and has 40 characters at most");
                }
                self.commit_status(call, sha, &["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"], "key", 255)
            }
            (Face::GitHub | Face::Gitea, ["repos", "acme", "infra", "pulls"])
            | (Face::GitLab, ["projects", "acme/infra", "merge_requests"]) => self.list_pulls(call),
            (Face::GitHub | Face::Gitea, ["repos", "acme", "infra", "issues", number, "comments"])
            | (Face::GitLab, ["projects", "acme/infra", "merge_requests", number, "notes"]) => {
                number.parse::<u64>().map_err(|_| (404, "no number".to_owned()))?;
                if post { self.write(call, None) } else { self.list_comments(call) }
            }
            (Face::GitHub | Face::Gitea, ["repos", "acme", "infra", "issues", "comments", id])
                if call.method == Method::PATCH =>
            {
                self.write(call, id.parse().ok())
            }
            (Face::GitLab, ["projects", "acme/infra", "merge_requests", _, "notes", id])
                if call.method == Method::PUT =>
            {
                self.write(call, id.parse().ok())
            }
            _ => Err((404, "Not Found".into())),
        }
    }

    /// Each forge takes tokens in its own way.
    fn credential(&mut self, call: &Call<'_>) -> Result<(), (u16, String)> {
        let (name, start) = match self.face {
            Face::GitHub | Face::Bitbucket => ("authorization", "Bearer "),
            Face::GitLab => ("private-token", ""),
            Face::Gitea => ("authorization", "token "),
        };
        let Some(token) = call.header(name).strip_prefix(start).filter(|token| !token.is_empty()) else {
            return Err((401, format!("no `{name}`")));
        };
        self.tokens.push(token.to_owned());
        if self.face == Face::GitHub {
            if call.header("user-agent").is_empty() {
                return Err((403, "Request forbidden by administrative rules: no User-Agent".into()));
            }
            if call.header("accept") != "application/vnd.github+json" || call.header("x-github-api-version").is_empty()
            {
                return wrong("neither media type nor version");
            }
        }
        Ok(())
    }

    fn commit_status(&mut self, call: &Call<'_>, sha: &str, states: &[&str], name: &str, most: usize) -> Answer {
        if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return wrong("no commit");
        }
        if !states.contains(&call.text("state")) {
            return wrong(format!("no state: `{}`", call.body["state"]));
        }
        if call.text(name).is_empty() || call.text("description").chars().count() > most {
            return wrong("no name, or a description that is too long");
        }
        self.statuses.push((sha.to_owned(), call.body.clone()));
        Ok((201, json!({"id": self.statuses.len()})))
    }

    fn list_pulls(&mut self, call: &Call<'_>) -> Answer {
        self.lists += 1;
        let (open, size) = match self.face {
            Face::GitLab => ("opened", "per_page"),
            Face::Gitea => ("open", "limit"),
            _ => ("open", "per_page"),
        };
        if call.asked("state") != Some(open) {
            return wrong("not the open ones");
        }
        page(call, size, self.pulls.clone())
    }

    fn list_comments(&self, call: &Call<'_>) -> Answer {
        let comment = |(id, comment): (usize, &Comment)| json!({"id": id + 1, "body": comment.body, "system": false});
        let mut items: Vec<Value> = self.comments.iter().enumerate().map(comment).collect();
        match self.face {
            // All of them, whatever is asked.
            Face::Gitea => Ok((200, items.into())),
            Face::GitLab => {
                items.reverse();
                page(call, "per_page", items)
            }
            _ => page(call, "per_page", items),
        }
    }

    fn write(&mut self, call: &Call<'_>, id: Option<usize>) -> Answer {
        let body = call.text("body").to_owned();
        let most = if self.face == Face::GitLab { 1_000_000 } else { 65_536 };
        if body.is_empty() || body.chars().count() > most {
            return wrong("no body, or one that is too long");
        }
        let Some(id) = id else {
            self.comments.push(Comment { body, foreign: false });
            return Ok((201, json!({"id": self.comments.len()})));
        };
        let known = self.comments.get_mut(id.wrapping_sub(1)).ok_or((404, "Not Found".to_owned()))?;
        if known.foreign {
            return Err((403, "403 Forbidden".into()));
        }
        known.body = body;
        self.edits += 1;
        Ok((200, json!({"id": id})))
    }
}

async fn answer(State(record): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let query = uri.query().unwrap_or_default();
    let call = Call {
        path: uri.path().split('/').skip(1).map(decode).collect(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        method,
        headers: &headers,
    };
    let mut record = record.lock().unwrap();
    if call.path == ["message"] {
        record.messages.push((call.header("x-plumb-signature-256").to_owned(), call.body));
        return "ok".into_response();
    }
    let json = call.header(header::CONTENT_TYPE.as_str()).starts_with("application/json");
    let answered = if call.method == Method::GET || json { record.answer(&call) } else { wrong("no JSON") };
    let (status, value) = match answered {
        Ok((status, value)) => (status, value),
        Err((status, why)) => {
            // What is refused by right is no mistake of whoever asks.
            if !record.locked && status != 400 && !why.starts_with("403") {
                record.wrong.push(format!("{} {uri}: {why}", call.method));
            }
            (status, json!({"message": why}))
        }
    };
    (StatusCode::from_u16(status).unwrap(), axum::Json(value)).into_response()
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        Self::with(Face::GitHub).await
    }

    pub(crate) async fn with(face: Face) -> Self {
        let record = Arc::new(Mutex::new(Record { face, ..Record::default() }));
        let router = Router::new().fallback(answer).with_state(record.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = if face == Face::Bitbucket { format!("{root}/2.0") } else { root };
        Self { face, url, record }
    }

    /// Where messages are posted.
    pub(crate) fn messages(&self) -> String {
        format!("{}/message", self.url.trim_end_matches("/2.0"))
    }

    /// The states of a commit, in the order in which they came, in the words of GitHub.
    pub(crate) fn states(&self, sha: &str, context: &str) -> Vec<(String, String)> {
        let record = self.record.lock().unwrap();
        let name = match self.face {
            Face::GitHub | Face::Gitea => "context",
            Face::GitLab => "name",
            Face::Bitbucket => "key",
        };
        let own = record.statuses.iter().filter(|(commit, body)| commit == sha && body[name] == context);
        own.map(|(_, body)| {
            let state = match body["state"].as_str().unwrap() {
                "pending" | "running" | "INPROGRESS" => "pending",
                "success" | "SUCCESSFUL" => "success",
                "failure" | "failed" | "FAILED" => "failure",
                other => other,
            };
            (state.to_owned(), body["description"].as_str().unwrap().into())
        })
        .collect()
    }

    /// The comments that are plumb's own.
    pub(crate) fn comments(&self) -> Vec<String> {
        let record = self.record.lock().unwrap();
        record.comments.iter().filter(|comment| !comment.foreign).map(|comment| comment.body.clone()).collect()
    }

    /// What no document allows.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.record.lock().unwrap().wrong.clone()
    }

    /// Opens a pull request, or moves it.
    pub(crate) fn pull(&self, number: u64, head: &str, repository: &str) {
        let mut record = self.record.lock().unwrap();
        record.pulls.retain(|pull| pull["number"] != number && pull["iid"] != number);
        record.pulls.push(match self.face {
            Face::GitLab => json!({
                "id": 1000 + number, "iid": number, "state": "opened", "sha": head,
                "source_branch": "change", "target_branch": "main", "project_id": 15, "target_project_id": 15,
                "source_project_id": if repository == "acme/infra" { 15 } else { 99 },
            }),
            _ => json!({
                "id": 1000 + number, "number": number, "state": "open",
                "head": {"sha": head, "ref": "change", "repo": {"full_name": repository}},
                "base": {"sha": "0".repeat(40), "ref": "main", "repo": {"full_name": "acme/infra"}},
            }),
        });
    }

    /// The name under which the repository has the head of a pull request.
    pub(crate) fn head(&self, number: u64) -> String {
        match self.face {
            Face::GitLab => format!("refs/merge-requests/{number}/head"),
            _ => format!("refs/pull/{number}/head"),
        }
    }

    /// The events of messages about a stack, in their order.
    pub(crate) fn events(&self, stack: &str) -> Vec<String> {
        let record = self.record.lock().unwrap();
        let own = record.messages.iter().filter(|(_, body)| body["stack"] == stack);
        own.map(|(_, body)| body["event"].as_str().unwrap().to_owned()).collect()
    }
}

/// A way to an API that remembers which credentials go by it.
pub(crate) struct Mirror {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    pub(crate) async fn start(to: &str) -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (to, log) = (to.to_owned(), seen.clone());
        let root = url::Url::parse(&to).unwrap();
        let path = root.path().to_owned();
        let client = reqwest::Client::new();
        let forward = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (client, url) = (client.clone(), root.join(&uri.to_string()).unwrap());
            let credential = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            log.lock().unwrap().push(credential.unwrap_or_default().to_owned());
            let mut headers = headers;
            headers.remove(header::HOST);
            async move {
                let answer = client.request(method, url).headers(headers).body(body).send().await.unwrap();
                let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
                let mut out = (answer.status(), answer.bytes().await.unwrap()).into_response();
                if let Some(kind) = kind {
                    out.headers_mut().insert(header::CONTENT_TYPE, kind);
                }
                out
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(forward)).await });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}
