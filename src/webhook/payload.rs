//! The body of a verified request → events. Forges differ in words; whatever is missing is an error, not a guess.

use serde_json::Value;

use super::{Event, Provider, RepositoryName, Verified, bitbucket, generic, github, gitlab};

/// What was signed says too little.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPayload {
    /// The body is no JSON.
    #[error("the body is no JSON")]
    NotJson,
    /// A member is missing.
    #[error("the payload has no `{0}`")]
    Missing(String),
}

/// Reads the events of a verified request: several where a forge tells of several branches at once.
pub fn parse(verified: &Verified) -> Result<Vec<Event>, BadPayload> {
    let body = form(&verified.body);
    let payload: Value = serde_json::from_slice(&body).map_err(|_| BadPayload::NotJson)?;
    let payload = Payload(&payload);
    match verified.provider {
        Provider::GitHub | Provider::Gitea => github::parse(&verified.event, payload).map(|event| vec![event]),
        Provider::GitLab => gitlab::parse(&verified.event, payload).map(|event| vec![event]),
        Provider::Bitbucket => bitbucket::parse(&verified.event, payload),
        Provider::Generic => generic::parse(payload).map(|event| vec![event]),
    }
}

/// The JSON in a body that may be a form with one field, `payload`.
fn form(body: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !body.starts_with(b"payload=") {
        return body.into();
    }
    let field = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    field.map_or_else(|| body.into(), |(_, value)| value.into_owned().into_bytes().into())
}

/// A payload, read by paths.
#[derive(Clone, Copy)]
pub(super) struct Payload<'p>(&'p Value);

impl<'p> Payload<'p> {
    pub(super) fn at(self, path: &str) -> Option<Payload<'p>> {
        let found = path.split('.').try_fold(self.0, |value, name| value.get(name))?;
        (!found.is_null()).then_some(Payload(found))
    }

    pub(super) fn items(self, path: &str) -> impl Iterator<Item = Payload<'p>> + use<'p> {
        self.at(path).and_then(|found| found.0.as_array()).into_iter().flatten().map(Payload)
    }

    pub(super) fn text(self, path: &str) -> Option<&'p str> {
        self.at(path)?.0.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn number(self, path: &str) -> Option<u64> {
        self.at(path)?.0.as_u64()
    }

    pub(super) fn is_true(self, path: &str) -> bool {
        self.at(path).is_some_and(|found| found.0.as_bool() == Some(true))
    }

    pub(super) fn need(self, path: &str) -> Result<String, BadPayload> {
        self.text(path).map(str::to_owned).ok_or_else(|| BadPayload::Missing(path.to_owned()))
    }

    pub(super) fn need_number(self, path: &str) -> Result<u64, BadPayload> {
        self.number(path).ok_or_else(|| BadPayload::Missing(path.to_owned()))
    }

    /// A repository by the members that name it.
    pub(super) fn repository(self, path: &str, name: &str, urls: &[&str]) -> Result<RepositoryName, BadPayload> {
        let found = self.at(path).ok_or_else(|| BadPayload::Missing(path.to_owned()))?;
        let urls: Vec<String> = urls.iter().filter_map(|url| found.text(url)).map(str::to_owned).collect();
        let full_name = found.text(name).unwrap_or_default().to_owned();
        if urls.is_empty() && full_name.is_empty() {
            return Err(BadPayload::Missing(format!("{path}.{name}")));
        }
        Ok(RepositoryName { full_name, urls })
    }
}

/// A commit's id; none for the one of zeros that stands for no commit.
pub(super) fn commit(text: Option<&str>) -> Option<String> {
    text.filter(|text| text.bytes().any(|byte| byte != b'0')).map(str::to_owned)
}
