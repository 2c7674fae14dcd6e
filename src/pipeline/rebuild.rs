//! Ownership of many objects at once: what the manifests declare and the API has by natural key is recorded as owned,
//! to take an account over or to find a lost inventory again.

use std::collections::HashSet;

use super::{
    Options,
    account::{Adopted, inventory_failure, record},
    plan,
};
use crate::{
    diagnostic::{Diagnostic, Sources},
    failure::Failure,
    inventory::{Edit, State},
    manifest::Manifest,
    plan::{ActionKind, Mode},
    value::has_unresolved,
};

/// What a rebuild found.
pub struct Rebuilt {
    /// Addresses of all that is declared.
    pub declared: Vec<String>,
    /// What is owned now and was not before.
    pub recorded: Vec<Adopted>,
    /// What is declared and neither live nor owned: an apply would make it.
    pub absent: Vec<String>,
    /// What was not recorded, because a secret of its manifest is not known.
    pub unknown: Vec<String>,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
    /// The inventory afterwards.
    pub state: State,
}

/// Which records a rebuild makes, and how.
pub struct Rebuilding<'w> {
    /// Whether an address is to be recorded.
    pub wanted: &'w (dyn Fn(&str) -> bool + Sync),
    /// Whether it counts as made by plumb, so that it may be deleted again.
    pub as_created: &'w (dyn Fn(&str) -> bool + Sync),
    /// A manifest of which a secret is not known is recorded without what that secret is for.
    pub without_secrets: bool,
}

/// Records every live object that a plan would adopt and that is wanted, without writing anything to the API.
pub async fn rebuild(options: &Options, rebuilding: &Rebuilding<'_>) -> Result<Rebuilt, Failure> {
    let Rebuilding { wanted, as_created, without_secrets } = rebuilding;
    let options = Options { keep_key: true, ..options.clone() };
    let planned = plan(&options, Mode::Plan).await?;
    let mut edits = Vec::new();
    let (mut recorded, mut absent) = (Vec::new(), Vec::new());
    // The hash of a value that nobody knows would be taken for what was written.
    let unresolved = |object: &&Manifest| object.spec.values().any(has_unresolved);
    let open = planned.manifests.objects.iter().filter(unresolved).map(|object| object.address.to_string());
    let unknown: Vec<String> =
        open.filter(|address| wanted(address) && !planned.state.objects.contains_key(address)).collect();
    let unknown = if *without_secrets { Vec::new() } else { unknown };
    let is_open: HashSet<&str> = unknown.iter().map(String::as_str).collect();
    for step in planned.plan.steps.iter().filter(|step| wanted(&step.action.address)) {
        let address = step.action.address.clone();
        if is_open.contains(address.as_str()) {
            continue;
        }
        match step.action.action {
            ActionKind::Adopt => {}
            ActionKind::Create => {
                absent.push(address);
                continue;
            }
            _ => continue,
        }
        let Some((index, live)) = step.object.and_then(|index| Some((index, planned.observed.live(index)?))) else {
            continue;
        };
        let Some(mut record) = record(&planned, index, live.id.clone(), &live.fields, live.parent.clone()) else {
            continue;
        };
        record.applied.retain(|_, value| !has_unresolved(value));
        record.adopted = !as_created(&address);
        edits.push(Edit::Put(address.clone(), Box::new(record)));
        recorded.push(Adopted { address, id: live.id.clone() });
    }
    let mut inventory = planned.inventory;
    if !edits.is_empty() {
        inventory.lock("plumb import").await.map_err(|error| inventory_failure(&error))?;
        let written = inventory.commit(edits).await;
        inventory.unlock().await;
        written.map_err(|error| inventory_failure(&error))?;
    }
    let state = inventory.state().clone();
    let declared = planned.manifests.objects.iter().map(|object| object.address.to_string()).collect();
    Ok(Rebuilt {
        declared,
        recorded,
        absent,
        unknown,
        diagnostics: planned.diagnostics,
        sources: planned.sources,
        state,
    })
}
