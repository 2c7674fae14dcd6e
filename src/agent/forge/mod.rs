//! What a forge is told: a status for each commit and stack, and the plan of a pull request as one comment. Requests go
//! to the configured address only, follow no redirect, and are repeated a few times where that may help.

mod comment;
mod pulls;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::{
    comment::{Text, limit, marker, text},
    pulls::{Pull, Pulls},
};
use super::config::{ForgeConfig, ForgeKind};
use crate::secret::masked;

/// Attempts at a request.
const ATTEMPTS: u32 = 3;
/// Pages of a list that are read at most.
const PAGES: u32 = 20;
/// How long a request may still take once the agent ends.
const GRACE: Duration = Duration::from_secs(5);
/// For how long a forge that did not answer is not asked, so that stacks do not wait for it again and again.
const REST: Duration = Duration::from_secs(50);

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is being worked at.
    Pending,
    /// All is well.
    Success,
    /// It is not.
    Failure,
}

/// A status of a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// What it is about, such as `plumb/production`.
    pub context: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub description: String,
    /// Where more is told.
    pub link: Option<String>,
}

/// Why a forge could not be told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ForgeError {
    /// It did not answer.
    #[error("the forge does not answer: {0}")]
    Unanswered(String),
    /// It refused.
    #[error("the forge refused `{what}` with status {status}: {why}")]
    Refused {
        /// The request.
        what: String,
        /// Its status.
        status: u16,
        /// What it said.
        why: String,
    },
    /// Its answer could not be understood.
    #[error("the forge's answer to `{0}` cannot be understood")]
    Unclear(String),
}

/// A forge.
#[derive(Clone)]
pub struct Forge {
    config: Arc<ForgeConfig>,
    client: reqwest::Client,
    ending: watch::Receiver<bool>,
    /// Until when it is not asked.
    rests: Arc<Mutex<Option<Instant>>>,
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// It says the same however often it is said.
    Yes,
    /// A second comment is worse than none.
    No,
}

/// A part of a path.
fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A repository in a path: its slashes stay, everything else is encoded.
fn path(repository: &str) -> String {
    repository
        .split('/')
        .map(|piece| part(piece).replace("%2E", ".").replace("%2D", "-").replace("%5F", "_"))
        .collect::<Vec<_>>()
        .join("/")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

impl Forge {
    /// Prepares a forge; once `ending` says so, it is not waited for much longer.
    pub fn new(config: Arc<ForgeConfig>, ending: watch::Receiver<bool>) -> Result<Self, ForgeError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("plumb/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(15))
            .build()
            .map_err(|error| ForgeError::Unanswered(error.to_string()))?;
        Ok(Self { config, client, ending, rests: Arc::default() })
    }

    /// What it is.
    pub fn kind(&self) -> ForgeKind {
        self.config.kind
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let config = &self.config;
        let token = config.token.expose_secret();
        let request = self.client.request(method, format!("{}{path}", config.url));
        match (config.kind, &config.username) {
            (ForgeKind::Github, _) => request
                .bearer_auth(token)
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28"),
            (ForgeKind::Gitlab, _) => request.header("private-token", token),
            (ForgeKind::Gitea, _) => request.header("authorization", format!("token {token}")),
            (ForgeKind::Bitbucket, Some(username)) => request.basic_auth(username, Some(token)),
            (ForgeKind::Bitbucket, None) => request.bearer_auth(token),
        }
    }

    /// Sends a request until it is answered, and gives the answer's body.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        repeats: Repeats,
    ) -> Result<Value, ForgeError> {
        if self.rests().is_some_and(|until| until > Instant::now()) {
            return Err(ForgeError::Unanswered("it did not answer a moment ago, and is asked again soon".to_owned()));
        }
        let mut ending = self.ending.clone();
        let patience = async {
            // Where nobody can say that the agent ends, it does not.
            if ending.wait_for(|ending| *ending).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            answer = self.insist(method, path, body, repeats) => {
                let lost = matches!(answer, Err(ForgeError::Unanswered(_)));
                *self.rests() = lost.then(|| Instant::now() + REST);
                answer
            }
            () = patience => Err(ForgeError::Unanswered("the agent ends".to_owned())),
        }
    }

    fn rests(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn insist(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        repeats: Repeats,
    ) -> Result<Value, ForgeError> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let mut delay = Duration::from_millis(500);
        let mut attempt = 1;
        loop {
            let mut request = self.request(method.clone(), path);
            if let Some(body) = body {
                request = request.json(body);
            }
            let repeats = repeats == Repeats::Yes;
            let error = match request.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    let wait =
                        answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
                    let text = answer.text().await.unwrap_or_default();
                    if status.is_success() {
                        return Ok(serde_json::from_str(&text).unwrap_or(Value::Null));
                    }
                    // GitHub answers 403 as well to whoever is too quick, and tells when to come back.
                    let limited =
                        status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && wait.is_some());
                    let again = limited || (status.is_server_error() && repeats);
                    if let Some(wait) = wait {
                        delay = Duration::from_secs(wait.min(30));
                    }
                    let error =
                        ForgeError::Refused { what: what.clone(), status: status.as_u16(), why: Self::why(&text) };
                    if !again {
                        return Err(error);
                    }
                    error
                }
                Err(error) => {
                    let (connect, slow) = (error.is_connect(), error.is_timeout());
                    let error = ForgeError::Unanswered(error.without_url().to_string());
                    // One that hangs is not waited for again.
                    if slow || (!repeats && !connect) {
                        return Err(error);
                    }
                    error
                }
            };
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(delay).await;
            delay *= 2;
        }
    }

    /// What a refusal says, without the token.
    fn why(text: &str) -> String {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let said = value
            .get("message")
            .or_else(|| value.get("error"))
            .map_or_else(|| text.to_owned(), |said| said.as_str().map_or_else(|| said.to_string(), str::to_owned));
        cut(&masked(&said).replace(['\n', '\r'], " "), 200)
    }

    /// Sets the status of a commit.
    pub async fn set_status(&self, repository: &str, commit: &str, status: &Status) -> Result<(), ForgeError> {
        let word = |pending: &'static str, success: &'static str, failure: &'static str| match status.verdict {
            Verdict::Pending => pending,
            Verdict::Success => success,
            Verdict::Failure => failure,
        };
        let description = masked(&status.description);
        let mut body = json!({ "context": status.context, "description": cut(&description, 140) });
        let target = match self.config.kind {
            ForgeKind::Github | ForgeKind::Gitea => {
                body["state"] = word("pending", "success", "failure").into();
                if let Some(link) = &status.link {
                    body["target_url"] = link.as_str().into();
                }
                format!("/repos/{}/statuses/{commit}", path(repository))
            }
            ForgeKind::Gitlab => {
                body = json!({
                    "state": word("running", "success", "failed"),
                    "name": status.context,
                    "description": cut(&description, 255),
                });
                if let Some(link) = &status.link {
                    body["target_url"] = link.as_str().into();
                }
                format!("/projects/{}/statuses/{commit}", part(repository))
            }
            ForgeKind::Bitbucket => {
                let link = status
                    .link
                    .clone()
                    .unwrap_or_else(|| format!("https://bitbucket.org/{repository}/commits/{commit}"));
                body = json!({
                    "state": word("INPROGRESS", "SUCCESSFUL", "FAILED"),
                    "key": key(&status.context),
                    "name": cut(&status.context, 255),
                    "description": cut(&description, 255),
                    "url": link,
                });
                format!("/repositories/{}/commit/{commit}/statuses/build", path(repository))
            }
        };
        match self.send(Method::POST, &target, Some(&body), Repeats::Yes).await {
            // A pipeline that is in that state already is no trouble.
            Err(ForgeError::Refused { status: 400, why, .. })
                if self.config.kind == ForgeKind::Gitlab && why.contains("Cannot transition status") =>
            {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Writes the comment of a pull request that starts with a marker, in place of the one that is there.
    pub async fn comment(&self, repository: &str, number: u64, marker: &str, text: &str) -> Result<(), ForgeError> {
        let (list, one) = match self.config.kind {
            ForgeKind::Github | ForgeKind::Gitea => {
                let repository = path(repository);
                (
                    format!("/repos/{repository}/issues/{number}/comments"),
                    format!("/repos/{repository}/issues/comments"),
                )
            }
            ForgeKind::Gitlab => {
                let notes = format!("/projects/{}/merge_requests/{number}/notes", part(repository));
                (notes.clone(), notes)
            }
            // It tells statuses only.
            ForgeKind::Bitbucket => return Ok(()),
        };
        let text = masked(text);
        let body = json!({ "body": text });
        let method = if self.config.kind == ForgeKind::Gitlab { Method::PUT } else { Method::PATCH };
        for (id, before) in self.marked_comments(&list, marker).await? {
            if same_text(&before, &text) {
                return Ok(());
            }
            match self.send(method.clone(), &format!("{one}/{id}"), Some(&body), Repeats::Yes).await {
                Ok(_) => return Ok(()),
                // Somebody else's, who copied ours; or gone since.
                Err(ForgeError::Refused { status: 403 | 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.send(Method::POST, &list, Some(&body), Repeats::No).await.map(|_| ())
    }

    /// The comments that start with a marker, the oldest first: their ids and texts.
    async fn marked_comments(&self, list: &str, marker: &str) -> Result<Vec<(u64, String)>, ForgeError> {
        let mut marked = Vec::new();
        for page in 1..=PAGES {
            let (answer, full) = self.page(list, "", page).await?;
            for comment in &answer {
                let body = comment.get("body").and_then(Value::as_str).unwrap_or_default();
                if body.starts_with(marker)
                    && let Some(id) = comment.get("id").and_then(Value::as_u64)
                {
                    marked.push((id, body.to_owned()));
                }
            }
            // Gitea and Forgejo give all comments at once, whatever page is asked for.
            if !full || self.config.kind == ForgeKind::Gitea {
                break;
            }
        }
        marked.sort_unstable();
        Ok(marked)
    }

    /// One page of a list, and whether there may be another.
    async fn page(&self, list: &str, query: &str, page: u32) -> Result<(Vec<Value>, bool), ForgeError> {
        let size = if self.config.kind == ForgeKind::Gitea { 50 } else { 100 };
        let name = if self.config.kind == ForgeKind::Gitea { "limit" } else { "per_page" };
        let path = format!("{list}?{query}{name}={size}&page={page}");
        let answer = self.send(Method::GET, &path, None, Repeats::Yes).await?;
        let Value::Array(items) = answer else { return Err(ForgeError::Unclear(format!("GET {list}"))) };
        let full = items.len() >= size;
        Ok((items, full))
    }
}

/// Whether a forge has a text already: some give it back with other line ends, or none at its end.
fn same_text(kept: &str, text: &str) -> bool {
    kept.trim_end().replace("\r\n", "\n") == text.trim_end()
}

/// A key of 40 characters at most that tells one context from another.
fn key(context: &str) -> String {
    if context.len() <= 40 {
        return context.to_owned();
    }
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, context.as_bytes());
    hash.as_ref().iter().take(20).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
