//! Entries that come along with the lists of their parents: those of kinds in use, and those of a survey.

use std::{collections::BTreeSet, sync::Arc};

use super::{observe::Observer, survey::Depth};
use crate::description::{Kind, hook};

impl Observer<'_> {
    /// Child kinds in use, by the parents that bring them along.
    pub(super) fn find_along(&mut self) {
        let mut used: BTreeSet<(String, String, String)> = BTreeSet::new();
        for object in &self.manifests.objects {
            if let Some(parent) = object.parent.and_then(|parent| self.manifests.objects.get(parent)) {
                used.insert((parent.connection.clone(), parent.kind.name.clone(), object.kind.name.clone()));
            }
            if let Some(hook) = object.kind.spec.hook.as_deref().and_then(hook::find) {
                let (field, child) = hook.source();
                let source = object.kind.field(field).and_then(|field| field.ref_spec()?.kind.clone());
                used.insert((object.connection.clone(), source.unwrap_or_default(), child.to_owned()));
            }
        }
        for (address, record) in &self.state.objects {
            if record.inside.is_some()
                && let Ok(address) = address.parse::<crate::address::Address>()
                && let Some((field, _)) = &address.entry
                && let Some(api) = self.manifests.catalog.api(&address.api)
                && let Some(child) = api.inside(&address.kind, field)
            {
                used.insert((record.connection.clone(), address.kind.to_string(), child.name.clone()));
            }
        }
        for (connection, parent, child) in used {
            let Some(remote) = self.remotes.get(&connection) else { continue };
            let Some(child) = remote.api.kind(&child) else { continue };
            if child.inside().is_some_and(|inside| inside.include.is_some()) {
                let connection = self.connection(&connection);
                self.along.entry((connection, parent)).or_default().push(child.clone());
            }
        }
    }

    /// Entries that lists of their parents can bring.
    pub(super) fn bring_along(&mut self, asked: &[(Arc<str>, Arc<Kind>)], depth: Depth<'_>) {
        let mut used: BTreeSet<(Arc<str>, String, String)> = BTreeSet::new();
        for (connection, kind) in asked {
            let Some(remote) = self.remotes.get(&**connection) else { continue };
            for child in remote.api.children(&kind.name).filter(|child| !depth.omits(&kind.name, child)) {
                used.insert((connection.clone(), kind.name.clone(), child.name.clone()));
            }
            if let Some((source, child)) = definitions_of(kind) {
                used.insert((connection.clone(), source, child));
            }
        }
        for (connection, parent, child) in used {
            let Some(child) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(&child)) else {
                continue;
            };
            if child.inside().is_some_and(|inside| inside.include.is_some()) {
                let list = self.along.entry((connection, parent)).or_default();
                if !list.contains(child) {
                    list.push(child.clone());
                }
            }
        }
    }
}

/// The kind whose entries define the fields of a kind with a hook, and the kind of those entries.
pub(super) fn definitions_of(kind: &Kind) -> Option<(String, String)> {
    let hook = kind.spec.hook.as_deref().and_then(hook::find)?;
    let (field, child) = hook.source();
    Some((kind.field(field)?.ref_spec()?.kind.clone()?, child.to_owned()))
}
