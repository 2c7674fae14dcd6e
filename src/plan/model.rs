//! The plan as people and programs see it: the JSON of `-o json` and of saved plans (format version 1).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diff::ChangeOp;

/// Version of this format.
pub const FORMAT_VERSION: &str = "1";

/// A plan, or the report of an apply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanDocument {
    /// Version of this format; `"1"`.
    pub format_version: String,
    /// Name of the stack.
    pub stack: String,
    /// When the live objects were observed, RFC 3339.
    pub observed_at: String,
    /// Where the manifests came from.
    pub source: SourceInfo,
    /// Covers actions, keyed hashes of sensitive values and the inventory's serial; not times.
    pub digest: String,
    /// Counts of objects and entries.
    pub summary: Summary,
    /// What will be done, in order.
    pub actions: Vec<Action>,
    /// Calls made and to be made.
    pub requests: RequestCounts,
    /// Everything that the user should know.
    pub diagnostics: Vec<DiagnosticDocument>,
}

/// Where the manifests came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceInfo {
    /// Commit, or a hash of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// Counts of objects and entries inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// To create.
    pub create: usize,
    /// To adopt.
    pub adopt: usize,
    /// To update.
    pub update: usize,
    /// To replace.
    pub replace: usize,
    /// To delete.
    pub delete: usize,
    /// To forget.
    pub forget: usize,
    /// Without a change.
    pub unchanged: usize,
    /// Changed behind plumb's back.
    pub drifted: usize,
}

/// Calls made and to be made; logins and token refreshes aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestCounts {
    /// To observe.
    pub observe: u64,
    /// To apply.
    pub apply: u64,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// What.
    pub action: ActionKind,
    /// To which object.
    pub address: String,
    /// By which connection.
    pub connection: String,
    /// Of which API.
    pub api: String,
    /// Of which kind; of an entry inside, its manifest's.
    pub kind: String,
    /// `metadata.name` of the manifest.
    pub name: String,
    /// Id of the live object, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why.
    pub reason: Reason,
    /// Addresses of the actions that must come before.
    pub depends_on: Vec<String>,
    /// Differences, field by field.
    pub changes: Vec<Change>,
    /// Calls.
    pub requests: Vec<RequestInfo>,
    /// What the user should know of this action, such as what a deletion destroys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What came of it, after an apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// It changed behind plumb's back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drifted: bool,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// Made.
    Create,
    /// Taken over as it is live, with its differences written.
    Adopt,
    /// Changed in place.
    Update,
    /// Deleted and made anew.
    Replace,
    /// Deleted.
    Delete,
    /// No longer owned; the live object stays.
    Forget,
}

impl ActionKind {
    /// The word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Forget => "forget",
        }
    }
}

/// Why an action exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It is declared and not there.
    New,
    /// The manifest changed.
    Changed,
    /// The live object changed.
    Drift,
    /// The manifest, or the entry in it, is gone.
    Removed,
    /// What it depends on is replaced.
    Dependency,
    /// A configuration is rolled out.
    Rollout,
    /// It only appears through another object.
    Appears,
}

impl Reason {
    /// The word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Drift => "drift",
            Self::Removed => "removed",
            Self::Dependency => "dependency",
            Self::Rollout => "rollout",
            Self::Appears => "appears",
        }
    }
}

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done and recorded.
    Done,
    /// The API refused it, or it could not be known what became of it.
    Failed,
    /// Not tried, because something that it needs failed or the run was interrupted.
    Skipped,
    /// A person must act.
    Waiting,
}

impl Outcome {
    /// The word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Waiting => "waiting",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// JSON pointer below `spec`.
    pub path: String,
    /// `add`, `replace` or `remove`.
    pub op: ChangeOp,
    /// The live value; left out where it is sensitive or not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The declared value; left out where it is sensitive or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The values are sensitive and not shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// The live value is not what plumb last wrote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drift: bool,
}

/// One call, or the action that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequestInfo {
    /// A call of its own.
    Call {
        /// HTTP method.
        method: String,
        /// Path with the API's version path, without query; an id not known yet is `{id}`.
        path: String,
    },
    /// Part of another action's call.
    #[serde(rename_all = "camelCase")]
    Shared {
        /// Address of that action.
        shared_with: String,
    },
}

/// A diagnostic, as in JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticDocument {
    /// `error`, `warning`, `note` or `refusal`.
    pub severity: String,
    /// Stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// File.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What a plan tells about time and ownership besides the JSON; text and Markdown print it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanNotes {
    /// Seconds that the apply's calls need under the connections' limits.
    pub seconds: f64,
    /// What the stack owns and no manifest declares while prune is off: address and why it stays.
    pub undeclared: Vec<(String, String)>,
    /// Calls by connection.
    pub calls: BTreeMap<String, u64>,
}
