//! Payloads of Bitbucket Cloud.

use super::{
    Change, Event, PullRequest, Push, RepositoryName,
    payload::{BadPayload, Payload},
};

pub(super) fn parse(event: &str, payload: Payload<'_>) -> Result<Vec<Event>, BadPayload> {
    match event {
        "repo:push" => {
            let repository = repository(payload, "repository")?;
            let changes = payload.items("push.changes");
            Ok(changes.filter_map(|change| push(change, &repository)).map(Event::Push).collect())
        }
        event if event.starts_with("pullrequest:") => Ok(vec![pull_request(event, payload).map(Event::PullRequest)?]),
        other => Ok(vec![Event::Other(other.to_owned())]),
    }
}

/// The repository; its clone URLs follow from its web address, which is all that the payload has.
fn repository(payload: Payload<'_>, path: &str) -> Result<RepositoryName, BadPayload> {
    let mut name = payload.repository(path, "full_name", &["links.html.href"])?;
    if name.urls.is_empty() {
        name.urls.push(format!("https://bitbucket.org/{}", name.full_name));
    }
    for link in payload.items(&format!("{path}.links.clone")) {
        name.urls.extend(link.text("href").map(str::to_owned));
    }
    Ok(name)
}

fn push(change: Payload<'_>, repository: &RepositoryName) -> Option<Push> {
    let side = change.at("new").or_else(|| change.at("old"))?;
    let folder = if side.text("type") == Some("tag") { "tags" } else { "heads" };
    let hash = |side: &str| change.text(&format!("{side}.target.hash")).map(str::to_owned);
    Some(Push {
        repository: repository.clone(),
        reference: format!("refs/{folder}/{}", side.text("name")?),
        before: hash("old"),
        after: hash("new"),
    })
}

fn pull_request(event: &str, payload: Payload<'_>) -> Result<PullRequest, BadPayload> {
    let change = match event {
        "pullrequest:created" => Change::Opened,
        "pullrequest:updated" => Change::Updated,
        "pullrequest:fulfilled" => Change::Merged,
        "pullrequest:rejected" => Change::Closed,
        _ => Change::Other,
    };
    let side = |side: &str| payload.text(&format!("pullrequest.{side}.repository.full_name"));
    let fork = side("source").is_none() || side("source") != side("destination");
    let head_branch = payload.need("pullrequest.source.branch.name")?;
    let author =
        payload.text("pullrequest.author.nickname").or_else(|| payload.text("pullrequest.author.display_name"));
    Ok(PullRequest {
        repository: repository(payload, "repository")?,
        number: payload.need_number("pullrequest.id")?,
        change,
        title: payload.text("pullrequest.title").unwrap_or_default().to_owned(),
        author: author.unwrap_or_default().to_owned(),
        head: payload.need("pullrequest.source.commit.hash")?,
        head_reference: (!fork).then(|| format!("refs/heads/{head_branch}")),
        head_branch,
        base_branch: payload.need("pullrequest.destination.branch.name")?,
        base: payload.text("pullrequest.destination.commit.hash").map(str::to_owned),
        fork,
    })
}
