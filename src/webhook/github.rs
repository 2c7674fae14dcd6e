//! Payloads of GitHub, and of Gitea and Forgejo, which follow them.

use super::{
    Change, Event, PullRequest, Push,
    payload::{BadPayload, Payload, commit},
};

const URLS: [&str; 5] = ["clone_url", "ssh_url", "html_url", "git_url", "url"];

pub(super) fn parse(event: &str, payload: Payload<'_>) -> Result<Event, BadPayload> {
    match event {
        "push" => Ok(Event::Push(Push {
            repository: payload.repository("repository", "full_name", &URLS)?,
            reference: payload.need("ref")?,
            before: commit(payload.text("before")),
            after: if payload.is_true("deleted") { None } else { commit(payload.text("after")) },
        })),
        "pull_request" | "pull_request_sync" => pull_request(payload).map(Event::PullRequest),
        "ping" => Ok(Event::Ping),
        other => Ok(Event::Other(other.to_owned())),
    }
}

fn pull_request(payload: Payload<'_>) -> Result<PullRequest, BadPayload> {
    let number = payload.number("number").map_or_else(|| payload.need_number("pull_request.number"), Ok)?;
    let side = |side: &str| {
        let at = |member: &str| payload.text(&format!("pull_request.{side}.repo.{member}"));
        at("full_name").or_else(|| at("html_url")).map(str::to_ascii_lowercase)
    };
    let change = match payload.text("action").unwrap_or_default() {
        "opened" | "reopened" | "ready_for_review" => Change::Opened,
        "synchronize" | "synchronized" | "edited" => Change::Updated,
        "closed" if payload.is_true("pull_request.merged") => Change::Merged,
        "closed" => Change::Closed,
        _ => Change::Other,
    };
    let author = payload.text("pull_request.user.login").unwrap_or_default();
    Ok(PullRequest {
        repository: payload.repository("repository", "full_name", &URLS)?,
        number,
        change,
        title: payload.text("pull_request.title").unwrap_or_default().to_owned(),
        author: author.to_owned(),
        head: payload.need("pull_request.head.sha")?,
        head_branch: payload.need("pull_request.head.ref")?,
        head_reference: Some(format!("refs/pull/{number}/head")),
        base_branch: payload.need("pull_request.base.ref")?,
        base: commit(payload.text("pull_request.base.sha")),
        // The repository of a head that is gone was somebody else's.
        fork: side("head").is_none() || side("head") != side("base"),
    })
}
