//! What runs did: a head for each run, and each object as it was before it was changed. Secrets are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{inventory::Record, manifest::Retention, value::Fields};

/// One run that changed something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Run {
    /// When it began, RFC 3339.
    pub at: String,
    /// When it ended, RFC 3339; nothing if it runs or was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Who ran it: `user@host`, or the author of the commit where an agent did.
    pub who: String,
    /// What was run, such as `apply`.
    pub command: String,
    /// Where the manifests came from: a commit, or a hash of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The run that it undid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// How many actions were done, by what they are.
    pub done: BTreeMap<String, usize>,
    /// How many actions failed or were not tried.
    pub failed: usize,
}

/// What a run did to one object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Change {
    /// Address of the object.
    pub address: String,
    /// What was done: `create`, `adopt`, `update`, `replace`, `delete` or `forget`.
    pub action: String,
    /// Why.
    pub reason: String,
    /// Connection.
    pub connection: String,
    /// Kind; of an entry inside, its own.
    pub kind: String,
    /// Id of the live object before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Id of the live object that it is inside or scoped to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The live object as it was before, canonical, secrets left out; nothing if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Fields>,
    /// Paths of what was left out of it because it is a secret or may be one, or a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// The differences, field by field.
    pub fields: Vec<FieldChange>,
    /// The record that the object had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// What came of it; nothing if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// One difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldChange {
    /// JSON pointer below `spec`.
    pub path: String,
    /// `add`, `replace` or `remove`.
    pub op: String,
    /// The value before; left out where it is sensitive or was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; left out where it is sensitive or was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The values are sensitive and not kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

/// What came of an action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct End {
    /// `done`, `failed`, `skipped` or `waiting`.
    pub outcome: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Id of the live object after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Sent>,
}

/// A call that was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sent {
    /// HTTP method.
    pub method: String,
    /// Path.
    pub path: String,
    /// HTTP status; nothing if no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The id that the API gave the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The runs that are kept no longer, where one more is about to begin.
pub fn outdated(kept: Retention, runs: &BTreeMap<String, Run>, now: jiff::Timestamp) -> Vec<String> {
    let excess = (runs.len() + 1).saturating_sub(kept.runs.max(1));
    let oldest = now.checked_sub(jiff::SignedDuration::from_hours(24 * i64::from(kept.days))).ok();
    let is_old = |run: &Run| run.at.parse::<jiff::Timestamp>().is_ok_and(|at| oldest.is_some_and(|oldest| at < oldest));
    runs.iter()
        .enumerate()
        .filter(|(place, (_, run))| *place < excess || is_old(run))
        .map(|(_, (id, _))| id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_are_kept_while_they_are_young() {
        let run = |at: &str| Run { at: at.into(), ..Run::default() };
        let runs: BTreeMap<String, Run> = [
            ("20260801-000000-a".to_owned(), run("2026-08-01T00:00:00Z")),
            ("20261101-000000-a".to_owned(), run("2026-11-01T00:00:00Z")),
            ("20261102-000000-a".to_owned(), run("2026-11-02T00:00:00Z")),
        ]
        .into();
        let now = "2026-11-25T00:00:00Z".parse().unwrap();
        assert_eq!(outdated(Retention::default(), &runs, now), ["20260801-000000-a"]);
        assert_eq!(outdated(Retention { runs: 2, days: 1000 }, &runs, now).len(), 2);
        assert_eq!(outdated(Retention { runs: 100, days: 1000 }, &runs, now), Vec::<String>::new());
    }
}
