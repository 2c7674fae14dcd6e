//! Saved plans: read again, and compared with what would be done now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::{Action, Change, FORMAT_VERSION, Outcome, PlanDocument};

/// The longest value that is quoted.
const QUOTED: usize = 60;

impl PlanDocument {
    /// The report of an apply that stopped before its first write.
    #[must_use]
    pub fn stopped(mut self) -> Self {
        for action in &mut self.actions {
            action.outcome = Some(Outcome::Skipped);
        }
        self.requests.apply = 0;
        self
    }

    /// Reads a saved plan; says why a text is none.
    pub fn from_saved(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match value.get("formatVersion").and_then(Value::as_str) {
            Some(FORMAT_VERSION) => {}
            Some(other) => return Err(format!("its format is `{other}`, and this plumb reads `{FORMAT_VERSION}`")),
            None => return Err("it has no `formatVersion`".to_owned()),
        }
        let plan: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if plan.actions.iter().any(|action| action.outcome.is_some()) {
            return Err("it is the report of an apply".to_owned());
        }
        Ok(plan)
    }

    /// Says what moved since a plan was saved, for the plan that would be made now.
    pub fn moved_since(&self, saved: &Self) -> Vec<String> {
        let of = |plan: &Self| -> BTreeMap<String, Action> {
            plan.actions.iter().map(|action| (name(action), action.clone())).collect()
        };
        let (before, after) = (of(saved), of(self));
        let mut out = Vec::new();
        if saved.stack != self.stack {
            out.push(format!("the stack was `{}` and is `{}`", saved.stack, self.stack));
        }
        let only = |one: &BTreeMap<String, Action>, other: &BTreeMap<String, Action>| -> Vec<String> {
            one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        out.extend(only(&after, &before).into_iter().map(|what| format!("now: {what}")));
        out.extend(only(&before, &after).into_iter().map(|what| format!("no longer: {what}")));
        for (name, now) in &after {
            if let Some(then) = before.get(name) {
                out.extend(changes_moved(then, now));
            }
        }
        if out.is_empty() {
            let secret = self.actions.iter().flat_map(|action| &action.changes).any(|change| change.sensitive);
            let or = if secret { ", or a secret has another value" } else { "" };
            let order = saved.actions.iter().map(name).ne(self.actions.iter().map(name));
            out.push(if order {
                "the order of the actions is another".to_owned()
            } else {
                format!("another run wrote the inventory since {}{or}", saved.observed_at)
            });
        }
        out
    }
}

fn name(action: &Action) -> String {
    format!("{} {}", action.action.word(), action.address)
}

fn changes_moved(then: &Action, now: &Action) -> Vec<String> {
    let address = &now.address;
    let mut out = Vec::new();
    if then.id != now.id {
        let id = |action: &Action| action.id.as_deref().map_or_else(|| "nothing".to_owned(), |id| format!("`{id}`"));
        out.push(format!("{address} is {} and was {}", id(now), id(then)));
    }
    let of = |action: &Action| -> BTreeMap<String, Change> {
        action.changes.iter().map(|change| (change.path.clone(), change.clone())).collect()
    };
    let (before, after) = (of(then), of(now));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for path in paths {
        match (before.get(path), after.get(path)) {
            (None, _) => out.push(format!("now: `{path}` of {address} as well")),
            (_, None) => out.push(format!("no longer: `{path}` of {address}")),
            (Some(then), Some(now)) if then.before != now.before => {
                out.push(format!(
                    "live `{path}` of {address} is {} and was {}",
                    said(now.before.as_ref()),
                    said(then.before.as_ref())
                ));
            }
            (Some(then), Some(now)) if then.after != now.after => {
                out.push(format!(
                    "`{path}` of {address} is to be {} and was to be {}",
                    said(now.after.as_ref()),
                    said(then.after.as_ref())
                ));
            }
            _ => {}
        }
    }
    out
}

/// A value in short.
fn said(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        diff::ChangeOp,
        plan::{ActionKind, Outcome, Reason},
    };

    fn plan(addresses: &[(&str, &str, &str)]) -> PlanDocument {
        let action = |(address, before, after): &(&str, &str, &str)| Action {
            action: ActionKind::Update,
            address: (*address).to_owned(),
            connection: "c".into(),
            api: "rest".into(),
            kind: "Webhook".into(),
            name: "a".into(),
            id: None,
            reason: Reason::Changed,
            depends_on: Vec::new(),
            changes: vec![Change {
                path: "/url".into(),
                op: ChangeOp::Replace,
                before: Some(json!(before)),
                after: Some(json!(after)),
                sensitive: false,
                drift: false,
            }],
            requests: Vec::new(),
            notes: Vec::new(),
            outcome: None,
            error: None,
            drifted: false,
        };
        PlanDocument {
            format_version: FORMAT_VERSION.into(),
            observed_at: "2026-11-25T08:00:00Z".into(),
            actions: addresses.iter().map(action).collect(),
            ..PlanDocument::default()
        }
    }

    #[test]
    fn what_moved_is_said() {
        let saved = plan(&[("rest/Webhook/a", "x", "y"), ("rest/Webhook/b", "x", "y"), ("rest/Webhook/d", "x", "y")]);
        let now = plan(&[("rest/Webhook/b", "z", "y"), ("rest/Webhook/c", "x", "y"), ("rest/Webhook/d", "x", "z")]);
        assert_eq!(
            now.moved_since(&saved),
            [
                "now: update rest/Webhook/c",
                "no longer: update rest/Webhook/a",
                "live `/url` of rest/Webhook/b is \"z\" and was \"x\"",
                "`/url` of rest/Webhook/d is to be \"z\" and was to be \"y\"",
            ]
        );
        assert_eq!(saved.moved_since(&saved), ["another run wrote the inventory since 2026-11-25T08:00:00Z"]);
    }

    #[test]
    fn only_saved_plans_are_taken() {
        let saved = plan(&[("rest/Webhook/a", "x", "y")]);
        let text = serde_json::to_string(&saved).unwrap();
        assert_eq!(PlanDocument::from_saved(&text).unwrap(), saved);
        let mut report = saved;
        report.actions[0].outcome = Some(Outcome::Done);
        for (text, why) in [
            ("{".to_owned(), "EOF"),
            ("{}".to_owned(), "no `formatVersion`"),
            (r#"{"formatVersion": "2"}"#.to_owned(), "its format is `2`"),
            (serde_json::to_string(&report).unwrap(), "report of an apply"),
        ] {
            let wrong = PlanDocument::from_saved(&text).unwrap_err();
            assert!(wrong.contains(why), "{wrong}");
        }
    }
}
