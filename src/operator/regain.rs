//! What the inventory has lost and statuses still name is owned again, before anything is planned: a lost record must not
//! leave live objects behind, nor turn what plumb made into something that it merely found.

use std::collections::HashMap;

use super::{
    gather::{Purpose, gather},
    schedule::Scope,
    space::Worker,
};
use crate::inventory::State;

impl Worker {
    /// Finds lost records again by the ids in statuses. Returns what could not be found and why, by address; `first` is
    /// whether this is the first look at the namespace: later, only objects that go are worth the calls.
    pub(super) async fn regain(&self, namespace: &str, state: &mut State, first: bool) -> HashMap<String, String> {
        let gathered = gather(&self.world, namespace, state, Purpose::Regain);
        let goes = |address: &String| {
            gathered
                .resources
                .iter()
                .any(|resource| resource.is_going() && resource.key.address().as_deref() == Some(address))
        };
        if gathered.lost.is_empty() || (!first && !gathered.lost.keys().any(goes)) {
            return HashMap::new();
        }
        tracing::info!(
            "namespace `{namespace}`: {} objects are not in the inventory: looking for them by the ids in their statuses",
            gathered.lost.len()
        );
        self.secrets.read(&gathered.secrets).await;
        let cluster = self.cluster(namespace, &gathered, &Scope::All);
        let report = self.frame.regain(namespace, gathered.texts, cluster, gathered.lost.clone()).await;
        if let Some(failure) = report.failure {
            tracing::warn!("namespace `{namespace}`: what was lost cannot be found again: {failure}");
            return gathered.lost.into_keys().map(|address| (address, failure.to_string())).collect();
        }
        *state = report.state;
        report.lost
    }
}
