//! Payloads of GitLab.

use super::{
    Change, Event, PullRequest, Push,
    payload::{BadPayload, Payload, commit},
};

const URLS: [&str; 5] = ["git_http_url", "git_ssh_url", "web_url", "http_url", "ssh_url"];

pub(super) fn parse(event: &str, payload: Payload<'_>) -> Result<Event, BadPayload> {
    let kind = payload.text("object_kind").or_else(|| payload.text("event_name")).unwrap_or(event);
    match kind {
        "push" | "tag_push" => Ok(Event::Push(Push {
            repository: payload.repository("project", "path_with_namespace", &URLS)?,
            reference: payload.need("ref")?,
            before: commit(payload.text("before")),
            after: commit(payload.text("after")),
        })),
        "merge_request" => merge_request(payload).map(Event::PullRequest),
        other => Ok(Event::Other(other.to_owned())),
    }
}

fn merge_request(payload: Payload<'_>) -> Result<PullRequest, BadPayload> {
    let at = |member: &str| format!("object_attributes.{member}");
    let number = payload.need_number(&at("iid"))?;
    let change = match payload.text(&at("action")).unwrap_or_default() {
        "open" | "reopen" => Change::Opened,
        "update" => Change::Updated,
        "merge" => Change::Merged,
        "close" => Change::Closed,
        _ => Change::Other,
    };
    let (source, target) = (payload.number(&at("source_project_id")), payload.number(&at("target_project_id")));
    Ok(PullRequest {
        repository: payload.repository("project", "path_with_namespace", &URLS)?,
        number,
        change,
        title: payload.text(&at("title")).unwrap_or_default().to_owned(),
        author: payload.text("user.username").unwrap_or_default().to_owned(),
        head: payload.need(&at("last_commit.id"))?,
        head_branch: payload.need(&at("source_branch"))?,
        head_reference: Some(format!("refs/merge-requests/{number}/head")),
        base_branch: payload.need(&at("target_branch"))?,
        base: None,
        fork: source.is_none() || source != target,
    })
}
