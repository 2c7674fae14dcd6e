//! Claims as one document that all stacks share: whoever adds to it sees what the others claim.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Documents, Refusal, shared};
use crate::inventory::{Claim, InventoryError, Owner};

/// How often a document that others change too is tried.
const ATTEMPTS: u32 = 20;

/// The claims of all stacks.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Claims {
    pub(super) stacks: BTreeMap<String, Vec<Claim>>,
}

/// Claims objects for a stack, all or none; returns those that others claim.
pub(super) async fn claim(
    documents: &Documents,
    stack: &str,
    claims: &[Claim],
) -> Result<Vec<(Claim, Owner)>, InventoryError> {
    let mut taken = Vec::new();
    change(documents, |all| {
        taken = taken_by_others(all, stack, claims);
        if taken.is_empty() {
            let own = all.stacks.entry(stack.to_owned()).or_default();
            own.extend(claims.iter().cloned());
            own.sort();
            own.dedup();
        }
    })
    .await?;
    Ok(taken)
}

/// Drops what a stack claims.
pub(super) async fn unclaim(documents: &Documents, stack: &str) -> Result<(), InventoryError> {
    change(documents, |all| {
        all.stacks.remove(stack);
    })
    .await
}

/// What all stacks claim.
pub(super) async fn read(documents: &Documents) -> Result<Claims, InventoryError> {
    Ok(documents.get(&shared("claims")).await?.map(|(claims, _)| claims).unwrap_or_default())
}

/// Changes the document; it is not written where that changes nothing.
async fn change(documents: &Documents, mut edit: impl FnMut(&mut Claims)) -> Result<(), InventoryError> {
    let name = shared("claims");
    for _ in 0..ATTEMPTS {
        let (before, version) = match documents.get::<Claims>(&name).await? {
            Some((claims, version)) => (claims, Some(version)),
            None => (Claims::default(), None),
        };
        let mut after = Claims { stacks: before.stacks.clone() };
        edit(&mut after);
        if after == before {
            return Ok(());
        }
        match documents.put(&name, &after, version.as_ref()).await {
            Ok(_) => return Ok(()),
            // Whether a write without an answer was carried out, the next look says: it changes nothing again.
            Err(Refusal::Condition) => {}
            Err(Refusal::Other(error)) => tracing::debug!(%error, "the claims could not be written, looking again"),
        }
    }
    Err(documents.unwritable(format!("`{name}` changes under this writer")))
}

fn taken_by_others(all: &Claims, stack: &str, claims: &[Claim]) -> Vec<(Claim, Owner)> {
    let mut taken = Vec::new();
    for (other, theirs) in all.stacks.iter().filter(|(other, _)| *other != stack) {
        for claim in claims {
            if let Some(found) = theirs.iter().find(|found| found.is_same(claim)) {
                taken.push((claim.clone(), Owner { stack: other.clone(), address: found.address.clone() }));
            }
        }
    }
    taken
}
