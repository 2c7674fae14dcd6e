//! Changes → ordered actions, limits, cost. Pure: it touches no network and is tested by values alone.

mod accounts;
mod align;
mod batch;
mod build;
mod defined;
mod effects;
mod judge;
mod lockout;
mod model;
mod owned;
mod removed;
mod rollout;
mod saved;
mod sequence;
mod show;
mod step;
mod unique;
mod whole;

use std::collections::{BTreeMap, HashSet};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

pub use self::{
    accounts::{Presence, leads_elsewhere, presence, refusals as strange_accounts},
    batch::{
        Route, apply_route, bulk_of, bulk_route, create_route, delete_route, follows, guarded, reads_before_update,
        replace_routes, update_route, var,
    },
    build::{Inputs, Mode, Watched, stored},
    lockout::{needs_caller, refusals as lockouts},
    model::*,
    removed::{Going, MAX_DELETES, MAX_SHARE, emptied},
    rollout::{is_marked, makes_version, start_path},
    show::Shown,
    step::{Batch, Follow, Operation, Step},
    whole::whole,
};
use crate::{
    diagnostic::Diagnostic,
    inventory::Record,
    value::{secret, secret_hash, without_places},
};

/// A whole plan: what people see and what apply carries out.
#[derive(Debug, Default)]
pub struct Plan {
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Calls, in an order in which each comes after those that it depends on.
    pub batches: Vec<Batch>,
    /// Counts.
    pub summary: Summary,
    /// Records that change without a call: new address, record, old address.
    pub moved: Vec<(String, Record, String)>,
    /// Tombstones whose object is gone.
    pub unbury: Vec<String>,
    /// What is owned, not declared and left: address and why.
    pub undeclared: Vec<(String, String)>,
    /// What was only observed and is not as declared.
    pub watched: Vec<Watched>,
    /// What there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// Live objects of the kinds that it makes, by connection, kind and id.
    pub there: HashSet<(String, String, String)>,
    /// Calls that carrying it out takes, by connection.
    pub calls: BTreeMap<String, u64>,
    /// Covers actions, hashes of sensitive values and the inventory's serial.
    pub digest: String,
}

/// Makes a plan.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let draft = build::draft(inputs);
    let mut diagnostics = draft.diagnostics;
    let names: Vec<String> = draft.steps.iter().map(|step| step.action.address.clone()).collect();
    let mut steps = match batch::order(draft.steps) {
        Ok(steps) => steps,
        Err(cycle) => {
            let list: Vec<&str> = cycle.iter().filter_map(|index| names.get(*index)).map(String::as_str).collect();
            diagnostics.push(
                Diagnostic::error(
                    "PL0203",
                    format!("These changes wait for one another in a circle: {}.", list.join(" → ")),
                )
                .hint("Take one of the references between them out, apply, and add it again."),
            );
            Vec::new()
        }
    };
    if inputs.mode == Mode::Drift {
        steps = only_drifted(steps);
    }
    let batches = batch::batches(&mut steps);
    let embeds: HashSet<String> =
        steps.iter().filter(|step| step.embedded).filter_map(|step| step.parent_new.clone()).collect();
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    for batch in &batches {
        let mut looked = false;
        for step in batch.steps.iter().map(|index| &steps[*index]) {
            let own = step.action.requests.iter().filter(|request| matches!(request, RequestInfo::Call { .. })).count()
                as u64;
            let mut extra = batch::lookups(step);
            if embeds.contains(&step.action.address) && !looked {
                // Entries that were sent along are looked up once for all parents of a call.
                extra += 1;
                looked = true;
            }
            if own + extra > 0 {
                *calls.entry(step.action.connection.clone()).or_default() += own + extra;
            }
        }
    }
    let summary = build::summarise(&steps, draft.unchanged);
    let digest = digest(inputs, &steps, &draft.moved);
    let there = there(inputs, &steps);
    Plan {
        steps,
        there,
        batches,
        summary,
        moved: draft.moved,
        unbury: draft.unbury,
        undeclared: draft.undeclared,
        watched: draft.watched,
        diagnostics,
        calls,
        digest,
    }
}

/// Live objects of the kinds that steps make objects of.
fn there(inputs: &Inputs<'_>, steps: &[Step]) -> HashSet<(String, String, String)> {
    let makes =
        |step: &&Step| matches!(step.operation, Operation::Create | Operation::Replace) && step.kind.inside().is_none();
    let made: HashSet<(&str, &str)> =
        steps.iter().filter(makes).map(|step| (step.action.connection.as_str(), step.kind.name.as_str())).collect();
    let slots = inputs.observed.by_id.keys().filter(|(connection, kind, _)| made.contains(&(&**connection, kind)));
    slots.map(|(connection, kind, id)| (connection.to_string(), kind.clone(), id.clone())).collect()
}

/// Keeps the steps that repair drift.
fn only_drifted(steps: Vec<Step>) -> Vec<Step> {
    let mut position = vec![None; steps.len()];
    let mut kept = 0;
    for (index, step) in steps.iter().enumerate() {
        if step.action.drifted {
            position[index] = Some(kept);
            kept += 1;
        }
    }
    let addresses: HashSet<String> =
        steps.iter().filter(|step| step.action.drifted).map(|step| step.action.address.clone()).collect();
    steps
        .into_iter()
        .filter(|step| step.action.drifted)
        .map(|mut step| {
            step.after = step.after.iter().filter_map(|other| position[*other]).collect();
            step.action.depends_on.retain(|address| addresses.contains(address));
            step
        })
        .collect()
}

/// Covers what the plan does and what it starts from, so that a saved plan can be told from another.
fn digest(inputs: &Inputs<'_>, steps: &[Step], moved: &[(String, Record, String)]) -> String {
    let mut context = Context::new(&SHA256);
    let mut add = |value: &Value| {
        context.update(value.to_string().as_bytes());
        context.update(b"\n");
    };
    add(&json!([FORMAT_VERSION, inputs.manifests.stack.name, inputs.state.serial]));
    for step in steps {
        add(&json!([
            step.action.action,
            step.action.address,
            step.action.connection,
            step.action.id,
            step.action.reason,
            step.action.changes,
            step.action.requests,
            sorted(&without_places(&Value::Object(step.desired.clone())), inputs.hashes_kept),
        ]));
    }
    for (address, _, from) in moved {
        add(&json!([address, from]));
    }
    context.finish().as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A value with its members in one order, whatever order the manifest has.
fn sorted(value: &Value, hashes_kept: bool) -> Value {
    if !hashes_kept && secret_hash(value).is_some() {
        // The hash of a run that keeps no key says nothing to any other run.
        return secret("");
    }
    match value {
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort();
            Value::Object(
                names
                    .into_iter()
                    .filter_map(|name| Some((name.clone(), sorted(map.get(name)?, hashes_kept))))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| sorted(item, hashes_kept)).collect()),
        other => other.clone(),
    }
}

impl Plan {
    /// The JSON form.
    pub fn document(
        &self,
        stack: &str,
        observed_at: &str,
        revision: Option<String>,
        observe: u64,
        diagnostics: Vec<DiagnosticDocument>,
    ) -> PlanDocument {
        PlanDocument {
            format_version: FORMAT_VERSION.to_owned(),
            stack: stack.to_owned(),
            observed_at: observed_at.to_owned(),
            source: SourceInfo { revision },
            digest: self.digest.clone(),
            summary: self.summary,
            actions: self.steps.iter().map(|step| step.action.clone()).collect(),
            requests: RequestCounts { observe, apply: self.calls.values().sum() },
            diagnostics,
        }
    }

    /// Whether carrying it out changes anything, the inventory's own records aside.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
