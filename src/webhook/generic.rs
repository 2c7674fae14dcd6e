//! The payload of anybody else: `{"repository": URL, "ref": "refs/heads/main", "commit": "…"}`.

use super::{
    Event, Push, RepositoryName,
    payload::{BadPayload, Payload, commit},
};

pub(super) fn parse(payload: Payload<'_>) -> Result<Event, BadPayload> {
    let url = payload.need("repository")?;
    let name = payload.text("ref").or_else(|| payload.text("branch")).unwrap_or_default();
    let reference = match name {
        "" => String::new(),
        name if name.starts_with("refs/") => name.to_owned(),
        branch => format!("refs/heads/{branch}"),
    };
    Ok(Event::Push(Push {
        repository: RepositoryName { full_name: String::new(), urls: vec![url] },
        reference,
        before: commit(payload.text("before")),
        after: commit(payload.text("commit").or_else(|| payload.text("after"))),
    }))
}
