//! What became of each request: told to whoever listens, collected for whoever asked for it, and a span of its own.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::description::Api;

/// Headers by which servers name a request.
const REQUEST_IDS: [&str; 7] =
    ["x-request-id", "request-id", "x-correlation-id", "x-amzn-requestid", "x-amzn-trace-id", "x-trace-id", "cf-ray"];
/// Characters of a request's name that are kept.
const LONGEST: usize = 128;

/// One request, once it has an answer or will have none.
#[derive(Debug, Clone, PartialEq)]
pub struct CallMade {
    /// Name of the connection.
    pub connection: String,
    /// Name of the API.
    pub api: String,
    /// HTTP method.
    pub method: String,
    /// Path in which everything but the words of the description is `{id}`: one of few.
    pub route: String,
    /// Path of the call.
    pub path: String,
    /// Status of the answer; nothing where there was none.
    pub status: Option<u16>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What the server calls the request.
    pub request_id: Option<String>,
}

/// Told of every request.
pub type Called = Arc<dyn Fn(&CallMade) + Send + Sync>;

tokio::task_local! {
    static TRAIL: Arc<Mutex<Vec<CallMade>>>;
}

/// Does something, and gives the requests that were made for it.
pub async fn trailed<T>(work: impl Future<Output = T>) -> (T, Vec<CallMade>) {
    let trail = Arc::new(Mutex::new(Vec::new()));
    let out = TRAIL.scope(trail.clone(), work).await;
    let calls = std::mem::take(&mut *trail.lock().unwrap_or_else(PoisonError::into_inner));
    (out, calls)
}

/// Adds a request to what is collected, if anybody collects.
pub(super) fn note(call: &CallMade) {
    // Nobody collects while only reading.
    let _ = TRAIL.try_with(|trail| trail.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone()));
}

/// What the server calls a request, if it says so in printable letters.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    REQUEST_IDS.iter().find_map(|name| {
        let text = headers.get(*name)?.to_str().ok()?.trim();
        (!text.is_empty()).then(|| text.chars().take(LONGEST).collect())
    })
}

/// The words that the paths of an API have of themselves.
#[derive(Debug)]
pub(super) struct Words(HashSet<String>);

impl Words {
    /// Gathers the words of all paths of a description.
    pub(super) fn of(api: &Api) -> Self {
        let mut words = HashSet::new();
        let mut learn = |text: &str| {
            words.extend(
                text.split('/').map(bare).filter(|word| !word.is_empty() && !word.contains('{')).map(str::to_owned),
            );
        };
        learn(api.spec.version_path.as_deref().unwrap_or_default());
        for kind in api.kinds.values() {
            learn(&kind.version_path);
            if let Ok(spec) = serde_json::to_value(&kind.spec) {
                gather(&spec, &mut learn);
            }
        }
        if let Ok(spec) = serde_json::to_value(&api.spec) {
            gather(&spec, &mut learn);
        }
        Self(words)
    }

    /// The path with `{id}` for everything that differs from object to object.
    pub(super) fn route(&self, path: &str) -> String {
        let mut out = String::with_capacity(path.len());
        for (index, part) in path.split('/').enumerate() {
            if index > 0 {
                out.push('/');
            }
            let word = bare(part);
            if word.is_empty() || self.0.contains(word) {
                out.push_str(word);
                out.push_str(if word.len() < part.len() { "({id})" } else { "" });
            } else {
                out.push_str("{id}");
            }
        }
        out
    }
}

/// A segment without the key that OData puts behind it.
fn bare(segment: &str) -> &str {
    segment.split_once('(').map_or(segment, |(word, _)| word)
}

/// Hands over the paths that a description has, wherever they stand.
fn gather(value: &Value, learn: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = name.to_ascii_lowercase().ends_with("path");
                match value {
                    Value::String(text) if path => learn(text),
                    Value::Object(parents) if name == "parents" => {
                        parents.values().filter_map(Value::as_str).for_each(&mut *learn);
                    }
                    value => gather(value, learn),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, learn)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_name_no_object() {
        let catalog = crate::apis::builtin();
        for (api, path, route) in [
            (
                "itglue",
                "/organizations/123/relationships/configurations",
                "/organizations/{id}/relationships/configurations",
            ),
            ("balena", "/v7/application(12)", "/v7/application({id})"),
            ("cycloid", "/organizations/acme/projects/shop", "/organizations/{id}/projects/{id}"),
        ] {
            assert_eq!(Words::of(catalog.api(api).unwrap()).route(path), route);
        }
    }

    #[tokio::test]
    async fn requests_are_collected_for_who_asked_and_for_nobody_else() {
        let call = CallMade {
            connection: "c".into(),
            api: "rest".into(),
            method: "GET".into(),
            route: "/a".into(),
            path: "/a".into(),
            status: Some(200),
            seconds: 0.0,
            request_id: None,
        };
        note(&call);
        let ((), calls) = trailed(async { note(&call) }).await;
        assert_eq!(calls, [call]);
    }
}
