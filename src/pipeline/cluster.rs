//! What a run in a cluster knows besides: which resources are going, which objects must wait, where Secrets are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use zeroize::Zeroizing;

use crate::{
    apply::Until,
    diagnostic::{Diagnostic, Severity},
    manifest::Manifests,
    plan::{Going, Plan},
    secret::{ResolvePolicy, Secrets},
};

/// What a run in a cluster knows besides.
#[derive(Clone)]
pub struct Cluster {
    /// Name of the stack.
    pub stack: String,
    /// Addresses of resources that are being deleted. Nothing else is ever deleted, but for entries where
    /// `prune_entries` is set.
    pub going: BTreeMap<String, Going>,
    /// Entries inside that are owned and not declared any more are deleted.
    pub prune_entries: bool,
    /// Objects of which nothing is written now, by address, and why.
    pub held: HashMap<String, String>,
    /// Connections whose objects are looked at; all unless given.
    pub connections: Option<BTreeSet<String>>,
    /// Where Secrets are.
    pub secrets: Arc<dyn Secrets>,
    /// What manifests may reach for besides.
    pub policy: ResolvePolicy,
    /// The end of the right to write, as it stands now.
    pub until: Until,
    /// Key of the hashes of a remote inventory.
    pub key: Option<Arc<Zeroizing<String>>>,
}

impl Cluster {
    /// The declared objects that must wait, by index.
    pub(super) fn held(&self, manifests: &Manifests) -> HashMap<usize, Diagnostic> {
        if self.held.is_empty() {
            return HashMap::new();
        }
        let objects = manifests.objects.iter().enumerate();
        objects
            .filter_map(|(index, object)| {
                let why = self.held.get(&object.address.manifest().to_string())?;
                Some((index, Diagnostic::note("PL0530", why.clone())))
            })
            .collect()
    }

    /// The declared objects that a run looks at, by index; nothing where that is all.
    pub(super) fn chosen(&self, manifests: &Manifests) -> Option<HashSet<usize>> {
        let connections = self.connections.as_ref()?;
        let objects = manifests.objects.iter().enumerate();
        let own = objects.filter(|(_, object)| connections.contains(&object.connection)).map(|(index, _)| index);
        Some(own.collect())
    }

    /// Objects that a plan refuses something of, by index: each stands for itself.
    pub(super) fn refused(plan: &Plan, manifests: &Manifests) -> HashMap<usize, Diagnostic> {
        let refusals: HashMap<&str, &Diagnostic> = plan
            .diagnostics
            .iter()
            .filter(|told| told.severity == Severity::Refusal)
            .filter_map(|told| Some((told.address.as_deref()?, told)))
            .collect();
        if refusals.is_empty() {
            return HashMap::new();
        }
        let objects = manifests.objects.iter().enumerate();
        objects
            .filter_map(|(index, object)| {
                let told = refusals.get(object.address.to_string().as_str())?;
                Some((index, Diagnostic::clone(told)))
            })
            .collect()
    }
}
