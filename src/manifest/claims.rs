//! What only one manifest may have: an address, a live object, a place that the API gives to one object of several.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};

use super::{condition::describe, faults::Faults, node::Mark};
use crate::{
    address::Address,
    description::Kind,
    diagnostic::{Diagnostic, Place},
};

/// By connection, kind, and what is claimed: who has it, and where.
type Owners = HashMap<(String, Arc<str>, String), (Address, Place)>;

/// What manifests have claimed so far.
#[derive(Default)]
pub(super) struct Claims {
    addresses: HashMap<Address, Place>,
    objects: Owners,
    places: Owners,
}

/// A manifest that claims something.
pub(super) struct Claimant<'c> {
    pub(super) address: &'c Address,
    pub(super) kind: &'c Kind,
    pub(super) connection: &'c str,
    /// Where its name stands.
    pub(super) at: Mark,
}

impl Claims {
    /// Claims an address; whether it was free. A second manifest is told where the first one is.
    pub(super) fn address(&mut self, address: &Address, at: Mark, faults: &mut Faults<'_>) -> bool {
        match self.addresses.entry(address.clone()) {
            Slot::Occupied(first) => {
                let message = format!("There are two manifests `{address}`.");
                let diagnostic = Diagnostic::error("PL0110", message).see(Some(*first.get()), "the other one is here");
                faults.add(diagnostic.hint("Give one of them another `metadata.name`."), at);
                false
            }
            Slot::Vacant(slot) => {
                slot.insert(faults.place(at));
                true
            }
        }
    }

    /// Claims a live object, by its id or else by its natural key.
    pub(super) fn object(
        &mut self,
        claimant: &Claimant<'_>,
        external_id: Option<&str>,
        key: Option<String>,
        faults: &mut Faults<'_>,
    ) {
        let key = match (external_id, key) {
            (Some(id), _) => format!("id\u{1f}{id}"),
            (None, Some(key)) if !claimant.kind.spec.key_not_unique => key,
            _ => return,
        };
        let Some((other, place)) = claim(&mut self.objects, claimant, key, faults) else { return };
        let message = format!("`{}` and `{other}` are the same object of the API: it has one owner.", claimant.address);
        let diagnostic = Diagnostic::error("PL0111", message).see(Some(place), "the other one is here");
        let hint = "Two objects that share a key are told apart by `plumb.dev/external-id`.";
        faults.add(diagnostic.hint(hint), claimant.at);
    }

    /// Claims what only one object of a scope may be.
    pub(super) fn place(&mut self, claimant: &Claimant<'_>, scope: String, faults: &mut Faults<'_>) {
        let Some((other, place)) = claim(&mut self.places, claimant, scope, faults) else { return };
        let condition = claimant.kind.spec.at_most_one.as_ref().map(|rule| describe(&rule.condition));
        let message = format!(
            "Only one `{}` can be such that {}: `{}` and `{other}` both are.",
            claimant.kind.name,
            condition.unwrap_or_default(),
            claimant.address,
        );
        faults.add(Diagnostic::error("PL0125", message).see(Some(place), "the other one is here"), claimant.at);
    }
}

/// Who has it already, if somebody has.
fn claim(owners: &mut Owners, claimant: &Claimant<'_>, what: String, faults: &Faults<'_>) -> Option<(Address, Place)> {
    match owners.entry((claimant.connection.to_owned(), claimant.address.kind.clone(), what)) {
        Slot::Occupied(first) => Some(first.get().clone()),
        Slot::Vacant(slot) => {
            slot.insert((claimant.address.clone(), faults.place(claimant.at)));
            None
        }
    }
}
