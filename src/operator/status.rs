//! The `status` of custom resources: what the operator writes, and whether that says anything new.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{ActionKind, Change, Outcome, Reason};

/// Changes that a status lists at most.
pub(super) const MAX_CHANGES: usize = 20;

/// What the operator says of an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Generation of the resource that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled and Synced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Id of the live object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Connection that the object belongs to; it stays with it while there is a live object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Whether the live object was there before plumb (`adopted`) or was made by it (`created`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether the live object differs from what is declared: `Yes` or `No`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
    /// The last plan that had something to do about the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_plan: Option<LastPlan>,
    /// The last value of `plumb.dev/reconcile-requested-at` that was acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Commit that the source is at, of a Stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Digest of the last plan, of a Stack: what `approvePlan` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<String>,
    /// `ConfigMap` that has the last plan in full, of a Stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_config_map: Option<String>,
    /// Commit that something was last applied from, of a Stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_revision: Option<String>,
    /// The last plan that had something to do, of a Stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<StackPlan>,
}

/// The plan of a stack in short.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackPlan {
    /// Its digest.
    pub digest: String,
    /// Commit that it was made from.
    pub revision: String,
    /// planned, applied, failed or waiting.
    pub outcome: String,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// To create.
    pub create: u64,
    /// To adopt.
    pub adopt: u64,
    /// To update.
    pub update: u64,
    /// To replace.
    pub replace: u64,
    /// To delete.
    pub delete: u64,
    /// To forget.
    pub forget: u64,
    /// Without a change.
    pub unchanged: u64,
    /// Changed behind plumb's back.
    pub drifted: u64,
    /// The first of its actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<PlannedAction>,
}

/// One action of a stack's plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAction {
    /// create, adopt, update, replace, delete or forget.
    pub action: String,
    /// Address of the object.
    pub address: String,
    /// new, changed, drift, removed, dependency, rollout or appears.
    pub reason: String,
}

/// One condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready, Reconciling, Stalled or Synced.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub ty: String,
    /// True, False or Unknown.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// Why, in one word.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, in words.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Generation that the condition is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A plan, as far as it is about one object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastPlan {
    /// create, adopt, update, replace, delete or forget.
    pub action: String,
    /// new, changed, drift, removed, dependency, rollout or appears.
    pub reason: String,
    /// done, failed, skipped or waiting; planned where it was only looked at.
    pub outcome: String,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Differences, by their paths; values that are sensitive are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<PlanChange>,
}

/// One difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanChange {
    /// JSON pointer below `spec`.
    pub path: String,
    /// add, replace or remove.
    pub op: String,
    /// The live value as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The declared value as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The status of a condition, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Status {
    /// The status in a resource; one that cannot be read counts as none.
    pub fn of(resource: &Value) -> Self {
        resource.get("status").and_then(|status| serde_json::from_value(status.clone()).ok()).unwrap_or_default()
    }

    /// The condition with this type.
    pub fn condition(&self, ty: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.ty == ty)
    }

    /// Whether a condition is there and true.
    pub fn is(&self, ty: &str) -> bool {
        self.condition(ty).is_some_and(|condition| condition.status == "True")
    }

    /// Sets a condition; its time moves only where its status does.
    pub fn set(&mut self, ty: &str, truth: Truth, reason: &str, message: &str) {
        let status = truth.word();
        let known = self.conditions.iter_mut().find(|condition| condition.ty == ty);
        let generation = self.observed_generation;
        match known {
            Some(condition) => {
                if condition.status != status {
                    condition.last_transition_time = now();
                }
                status.clone_into(&mut condition.status);
                reason.clone_into(&mut condition.reason);
                condition.message = shortened(message);
                condition.observed_generation = generation;
            }
            None => self.conditions.push(Condition {
                ty: ty.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: shortened(message),
                last_transition_time: now(),
                observed_generation: generation,
            }),
        }
    }

    /// Drops a condition: kstatus takes one that is not there for false.
    pub fn unset(&mut self, ty: &str) {
        self.conditions.retain(|condition| condition.ty != ty);
    }

    /// Notes a plan; one that says what is known already keeps its time.
    pub fn plan(&mut self, plan: LastPlan) {
        let same =
            self.last_plan.as_ref().is_some_and(|known| LastPlan { at: known.at.clone(), ..plan.clone() } == *known);
        if !same {
            self.last_plan = Some(plan);
        }
    }

    /// Notes a stack's plan; one that says what is known already keeps its time.
    pub fn stack_plan(&mut self, plan: StackPlan) {
        let same = self.plan.as_ref().is_some_and(|known| StackPlan { at: known.at.clone(), ..plan.clone() } == *known);
        if !same {
            self.plan = Some(plan);
        }
    }
}

impl LastPlan {
    /// A plan of one action.
    pub fn new(action: ActionKind, reason: Reason, outcome: Option<Outcome>, changes: &[Change], prefix: &str) -> Self {
        let outcome = match outcome {
            None => "planned",
            Some(Outcome::Done) => "done",
            Some(Outcome::Failed) => "failed",
            Some(Outcome::Skipped) => "skipped",
            Some(Outcome::Waiting) => "waiting",
        };
        Self {
            action: action.word().to_owned(),
            reason: reason.word().to_owned(),
            outcome: outcome.to_owned(),
            at: now(),
            changes: changes.iter().take(MAX_CHANGES).map(|change| plan_change(change, prefix)).collect(),
        }
    }
}

fn plan_change(change: &Change, prefix: &str) -> PlanChange {
    let op = match serde_json::to_value(change.op) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    };
    let text = |value: &Option<Value>| value.as_ref().map(|value| clipped(&value.to_string(), 256));
    PlanChange {
        path: format!("{prefix}{}", change.path),
        op,
        before: text(&change.before),
        after: text(&change.after),
    }
}

fn shortened(text: &str) -> String {
    clipped(text, 1024)
}

/// A text of at most so many characters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}

pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_new_changes_nothing() {
        let mut status = Status { observed_generation: Some(1), ..Status::default() };
        status.set("Ready", Truth::True, "Reconciled", "It is as declared.");
        status.plan(LastPlan { action: "update".into(), at: "2026-01-01T00:00:00Z".into(), ..LastPlan::default() });
        status.conditions[0].last_transition_time = "2026-01-01T00:00:00Z".into();
        let before = status.clone();
        status.set("Ready", Truth::True, "Reconciled", "It is as declared.");
        status.plan(LastPlan { action: "update".into(), at: "2026-02-02T00:00:00Z".into(), ..LastPlan::default() });
        assert_eq!(status, before);
        status.set("Ready", Truth::False, "Failed", "No.");
        assert_ne!(status.conditions[0].last_transition_time, before.conditions[0].last_transition_time);
    }
}
