//! The change log: one line of JSON for every action that was tried, appended and made durable before anything else
//! is done. It tells who, which commit, which object, which fields and what the server called the request; no values.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

use super::reconcile::Found;
use crate::{http::CallMade, plan::Outcome};

/// Who changed something, and why now.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// What the agent calls itself.
    pub agent: String,
    /// Author of the commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Why it ran: `push`, `drift`, `request`, …
    pub cause: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    time: String,
    who: &'l Who,
    stack: &'l str,
    run: &'l str,
    commit: &'l str,
    connection: &'l str,
    object: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'l str>,
    action: &'l str,
    reason: &'l str,
    fields: Vec<&'l str>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'l str>,
    /// Status of the last answer.
    status: Option<u16>,
    request_id: Option<&'l str>,
    requests: Vec<Request<'l>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'l> {
    method: &'l str,
    path: &'l str,
    status: Option<u16>,
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    id: Option<&'l str>,
}

/// The file. It is opened anew for each run, so that it may be renamed at any time.
#[derive(Debug)]
pub struct ChangeLog {
    path: PathBuf,
    turn: Mutex<()>,
}

impl ChangeLog {
    /// A log in a file, which is made when it is needed.
    pub fn new(path: PathBuf) -> Self {
        Self { path, turn: Mutex::new(()) }
    }

    /// Writes down what a run did; nothing where it tried nothing.
    pub fn append(&self, who: &Who, stack: &str, run: &str, found: &Found) -> io::Result<()> {
        let Some(document) = &found.document else { return Ok(()) };
        let time = jiff::Timestamp::now().to_string();
        let commit = document.source.revision.as_deref().unwrap_or_default();
        let mut text = Vec::new();
        let none: Arc<[CallMade]> = Arc::from(Vec::new());
        for action in &document.actions {
            let Some(outcome) = action.outcome else { continue };
            let calls = found.calls.get(&action.address).unwrap_or(&none);
            let writes = || calls.iter().filter(|call| call.method != "GET");
            let last = writes().next_back();
            let line = Line {
                time: time.clone(),
                who,
                stack,
                run,
                commit,
                connection: &action.connection,
                object: &action.address,
                id: action.id.as_deref(),
                action: action.action.word(),
                reason: action.reason.word(),
                fields: action.changes.iter().map(|change| change.path.as_str()).collect(),
                outcome,
                error: action.error.as_deref(),
                status: last.and_then(|call| call.status),
                request_id: last.and_then(|call| call.request_id.as_deref()),
                requests: writes().map(request).collect(),
            };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&self.path)?;
        file.write_all(&text)?;
        file.sync_data()
    }
}

fn request(call: &CallMade) -> Request<'_> {
    Request { method: &call.method, path: &call.path, status: call.status, id: call.request_id.as_deref() }
}
