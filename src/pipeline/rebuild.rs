//! A lost inventory, found again: what the manifests declare and the API has by natural key is recorded as owned.

use super::{
    Options,
    account::{Adopted, inventory_failure, record},
    plan,
};
use crate::{
    diagnostic::{Diagnostic, Sources},
    failure::Failure,
    inventory::Edit,
    plan::{ActionKind, Mode},
};

/// What a rebuild found.
pub struct Rebuilt {
    /// What is owned now and was not before.
    pub recorded: Vec<Adopted>,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
}

/// Records every live object that a plan would adopt, without writing anything to the API; as made by plumb, so that it
/// may be deleted again, where `as_created` says so.
pub async fn rebuild(options: &Options, as_created: bool) -> Result<Rebuilt, Failure> {
    let options = Options { keep_key: true, ..options.clone() };
    let planned = plan(&options, Mode::Plan).await?;
    let mut edits = Vec::new();
    let mut recorded = Vec::new();
    for step in planned.plan.steps.iter().filter(|step| step.action.action == ActionKind::Adopt) {
        let Some((index, live)) = step.object.and_then(|index| Some((index, planned.observed.live(index)?))) else {
            continue;
        };
        let Some(mut record) = record(&planned, index, live.id.clone(), &live.fields, live.parent.clone()) else {
            continue;
        };
        record.adopted = !as_created;
        let address = step.action.address.clone();
        edits.push(Edit::Put(address.clone(), Box::new(record)));
        recorded.push(Adopted { address, id: live.id.clone() });
    }
    let mut inventory = planned.inventory;
    if !edits.is_empty() {
        inventory.lock("plumb inventory rebuild").await.map_err(|error| inventory_failure(&error))?;
        let written = inventory.commit(edits).await;
        inventory.unlock().await;
        written.map_err(|error| inventory_failure(&error))?;
    }
    Ok(Rebuilt { recorded, diagnostics: planned.diagnostics, sources: planned.sources })
}
