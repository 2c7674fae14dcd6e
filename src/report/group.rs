//! Actions in execution order → actions by manifest: the manifest's own first, then those of the entries inside it.

use std::collections::HashMap;

use crate::plan::{Action, ActionKind};

/// The actions on one manifest.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// Address of the manifest.
    pub(super) manifest: &'a str,
    /// The manifest's own actions; none where only entries change.
    pub(super) own: Vec<&'a Action>,
    /// Actions on its entries.
    pub(super) entries: Vec<&'a Action>,
}

impl<'a> Group<'a> {
    /// All actions.
    pub(super) fn actions(&self) -> impl Iterator<Item = &'a Action> + '_ {
        self.own.iter().chain(&self.entries).copied()
    }

    /// All actions, each with whether it is on an entry.
    pub(super) fn marked(&self) -> impl Iterator<Item = (bool, &'a Action)> + '_ {
        let own = self.own.iter().map(|action| (false, *action));
        own.chain(self.entries.iter().map(|action| (true, *action)))
    }

    /// Whether anything is deleted or replaced.
    pub(super) fn destroys(&self) -> bool {
        self.actions().any(|action| matches!(action.action, ActionKind::Delete | ActionKind::Replace))
    }
}

/// The address of the manifest that an address is of or in.
pub(super) fn manifest(address: &str) -> &str {
    address.split_once('#').map_or(address, |(manifest, _)| manifest)
}

/// Groups actions, keeping their order otherwise.
pub(super) fn by_manifest<'a>(actions: impl IntoIterator<Item = &'a Action>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for action in actions {
        let manifest = manifest(&action.address);
        let place = *places.entry(manifest).or_insert_with(|| {
            groups.push(Group { manifest, own: Vec::new(), entries: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            if manifest.len() == action.address.len() { group.own.push(action) } else { group.entries.push(action) }
        }
    }
    groups
}
