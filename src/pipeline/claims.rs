//! One live object has one owner, across stacks that share an inventory: what a plan would take over is looked for among
//! what others own or began to make, and claimed before anything is sent.

use std::collections::HashMap;

use super::{Connected, Planned, account};
use crate::{
    address::Address,
    diagnostic::Diagnostic,
    failure::{Class, Failure},
    inventory::{Claim, Inventory, Owner, Owners},
    live::natural_key,
    plan::{ActionKind, Operation, Plan, Step},
};

/// Objects that a plan would take over although another stack owns or makes them, by index.
pub(super) async fn owned_elsewhere(
    plan: &Plan,
    connected: &Connected,
    inventory: &Inventory,
) -> Result<HashMap<usize, Diagnostic>, Failure> {
    let mut out = HashMap::new();
    if !plan.steps.iter().any(takes) {
        return Ok(out);
    }
    let owners = Inventory::owners(inventory.location()).await.map_err(|error| account::inventory_failure(&error))?;
    for step in plan.steps.iter().filter(|step| takes(step)) {
        let Some(index) = step.object else { continue };
        if let Some(owner) = owner(step, connected, inventory.stack(), &owners) {
            out.insert(index, told(step, &owner));
        }
    }
    Ok(out)
}

/// Claims what a plan takes over, under the lock of its stack, and makes sure that nobody else came to own it since.
pub(super) async fn claim(planned: &Planned) -> Result<bool, Failure> {
    let inventory = &planned.inventory;
    let claims: Vec<Claim> = planned
        .plan
        .steps
        .iter()
        .filter(|step| takes(step))
        .filter_map(|step| claim_of(step, &planned.connected))
        .collect();
    if claims.is_empty() {
        return Ok(false);
    }
    let taken = inventory.claim(&claims).await.map_err(|error| account::inventory_failure(&error))?;
    if let Some((claim, owner)) = taken.first() {
        return Err(lost(&claim.address, owner));
    }
    // What is claimed now nobody else can come to own: whoever owns it does so already.
    let owners = Inventory::owners(inventory.location()).await.map_err(|error| account::inventory_failure(&error))?;
    for step in planned.plan.steps.iter().filter(|step| takes(step)) {
        if let Some(owner) = owner(step, &planned.connected, inventory.stack(), &owners) {
            return Err(lost(step.address(), &owner));
        }
    }
    Ok(true)
}

fn lost(address: &str, owner: &Owner) -> Failure {
    let message = format!(
        "The live object that `{address}` means was taken by `{}` of stack `{}` since this plan was made. Nothing was written.",
        owner.address, owner.stack
    );
    Failure::new(Class::Conflict, message).hint("Plan and apply again.").hint(format!(
        "If the run of stack `{0}` died meanwhile, apply that stack again, or run `plumb inventory unlock` for it.",
        owner.stack
    ))
}

/// Whether a step may come to own what is there already. Entries go with their parent, whose owner is asked anyway.
fn takes(step: &Step) -> bool {
    let upserts = step.operation == Operation::Create && (step.kind.apply.is_some() || step.kind.spec.create.upsert);
    (step.action.action == ActionKind::Adopt || upserts) && step.kind.inside().is_none()
}

fn claim_of(step: &Step, connected: &Connected) -> Option<Claim> {
    let remote = connected.remotes.get(&step.action.connection)?;
    let id = match (&step.action.id, step.action.action) {
        (Some(id), _) => id.clone(),
        // What a create finds is told by its key.
        (None, _) => format!("key {}", key(step)?),
    };
    Some(Claim::new(remote.client.base_url(), step.address(), &id))
}

fn key(step: &Step) -> Option<String> {
    natural_key(&step.kind, step.specs(), step.parent.as_deref(), &step.desired)
}

/// Which other stack owns what a step takes over, or began to make something with its key.
fn owner(step: &Step, connected: &Connected, stack: &str, owners: &Owners) -> Option<Owner> {
    let remote = connected.remotes.get(&step.action.connection)?;
    let url = remote.client.base_url();
    let address: Address = step.action.address.parse().ok()?;
    if let Some(id) = &step.action.id
        && let Some(owner) = owners.other_than(stack, &address, url, id)
    {
        return Some(owner.clone());
    }
    // What the plan knows by its live object may be what another stack makes at this very moment.
    let own = key(step)?;
    let same = |begun: &&crate::inventory::Begun| {
        natural_key(&step.kind, step.specs(), begun.parent.as_deref().or(step.parent.as_deref()), &begun.sent)
            .is_none_or(|key| key == own)
    };
    owners.begun_by_others(stack, step.address(), url).find(same).map(|begun| begun.owner.clone())
}

fn told(step: &Step, owner: &Owner) -> Diagnostic {
    let id = step.action.id.as_deref().unwrap_or("{id}");
    let message = format!(
        "The live {} `{id}` is owned by `{}` of stack `{}`, or being made by it: one live object has one owner.",
        step.kind.name, owner.address, owner.stack
    );
    let hint = format!("`plumb forget {}` in that stack first, or take the manifest out here.", owner.address);
    Diagnostic::error("PL0507", message).hint(hint)
}
