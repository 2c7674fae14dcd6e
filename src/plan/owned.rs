//! Who owns what: owners of live objects, what is told of them, and records that change without a call.

use std::collections::{BTreeSet, HashMap};

use super::{
    build::{Builder, stored},
    removed::list_name,
};
use crate::{
    description::Kind,
    diagnostic::Diagnostic,
    diff::keep_hidden,
    graph::Meaning,
    inventory::{Record, State},
    live::LiveObject,
    manifest::Manifest,
    value::Fields,
};

impl Builder<'_> {
    /// The record of an entry that is declared by another of its keys now, such as a member by e-mail address in place of the
    /// username: the entry of the same parent that owned the live object, and is declared no more.
    pub(super) fn renamed_entry(&self, object: &Manifest, owner: &str) -> Option<Record> {
        object.parent?;
        let former: crate::address::Address = owner.parse().ok()?;
        let list = |address: &crate::address::Address| address.entry.as_ref().map(|(field, _)| field.clone());
        let same = former.manifest() == object.address.manifest() && list(&former) == list(&object.address);
        let free = same && self.inputs.graph.names.address(&former).is_none();
        free.then(|| self.inputs.state.objects.get(owner).map(|record| Record::clone(record)))?
    }

    /// Keeps what can change in a record without a call: address, policy, protection, what it depends on.
    pub(super) fn note_record(&mut self, object: &Manifest, address: String, record: &Record, desired: &Fields) {
        let mut now = record.clone();
        now.deletion_policy = object.annotations.deletion_policy;
        now.protect = object.annotations.protect;
        now.applied = stored(desired);
        now.unshown = keep_hidden(&object.kind.spec.fields, &record.applied, &record.unshown, &now.applied);
        self.note_rollout(object, &mut now);
        if let Some(index) = self.inputs.graph.names.address(&object.address) {
            now.depends_on = self.depends_on(index);
        }
        let own = object.address.to_string();
        if now != *record || own != address {
            self.out.moved.push((own, now, address));
        }
    }

    pub(super) fn depends_on(&self, index: usize) -> Vec<String> {
        let graph = self.inputs.graph;
        let mut to: BTreeSet<usize> = graph.extra.get(index).into_iter().flatten().copied().collect();
        for found in graph.uses.get(index).into_iter().flatten() {
            if let Meaning::Declared(target) = found.target {
                to.insert(target);
            }
        }
        to.extend(self.inputs.observed.late.get(&index).into_iter().flatten());
        to.into_iter().map(|target| self.inputs.manifests.objects[target].address.to_string()).collect()
    }
}

/// Owned live objects by connection, kind's owner address.
pub(super) fn owners(state: &State) -> HashMap<(String, String, String, Option<String>), String> {
    state
        .objects
        .iter()
        .map(|(address, record)| {
            let parent = record.parent.clone().filter(|_| record.inside.is_some());
            ((record.connection.clone(), list_name(address), record.id.clone(), parent), address.clone())
        })
        .collect()
}

/// Says that an object which the stack does not own is not replaced.
pub(super) fn not_replaced(kind: &Kind, live: &LiveObject, intended: bool) -> Diagnostic {
    let (name, id) = (&kind.name, &live.id);
    let why = if intended {
        "an earlier run began to create one whose answer it did not get, but this one is not as it was sent"
    } else {
        "plumb does not own it"
    };
    let what =
        format!("The live {name} `{id}` differs in what cannot be changed in place, and {why}: it is not replaced.");
    Diagnostic::error("PL0514", what).hint("Declare it as it is, or delete it by hand.")
}

/// Says that another manifest, or entry, owns the live object that one means.
pub(super) fn owned_by_another(object: &Manifest, id: &str, owner: &str) -> Diagnostic {
    let message = format!("The live {} `{id}` is owned by `{owner}`: one live object has one owner.", object.kind.name);
    let hint = if object.parent.is_some() {
        format!("Declare it once, under one of its names; `plumb forget {owner}` gives up the other.")
    } else {
        format!(
            "If the manifest was renamed, add the annotation `plumb.dev/moved-from: {}`; otherwise `plumb forget {owner}` first.",
            name_of(owner)
        )
    };
    Diagnostic::error("PL0507", message).hint(hint)
}

/// The name in an address.
fn name_of(address: &str) -> &str {
    address.split('#').next().unwrap_or(address).rsplit('/').next().unwrap_or(address)
}
