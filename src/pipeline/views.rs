//! What other verbs show of a stack: its graph, and its state offline.

use std::collections::HashMap;

use super::{Options, load};
use crate::{
    diagnostic::{Diagnostic, Sources},
    failure::Failure,
    graph::{self, Graph, Meaning},
    live::Observed,
    manifest::Manifests,
    plan::Plan,
    report::graph::{GraphNode, GraphView},
};

/// The stack's graph, with what is planned for each object.
pub(super) fn graph_view(manifests: &Manifests, graph: &Graph, observed: &Observed, plan: Option<&Plan>) -> GraphView {
    let actions: HashMap<&str, crate::plan::ActionKind> = plan
        .map(|plan| plan.steps.iter().map(|step| (step.action.address.as_str(), step.action.action)).collect())
        .unwrap_or_default();
    let mut nodes: Vec<GraphNode> = Vec::new();
    let mut edges = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for (index, object) in manifests.objects.iter().enumerate() {
        let address = object.address.to_string();
        let label =
            object.address.entry.as_ref().map_or_else(|| object.address.name.to_string(), |(_, key)| key.to_string());
        nodes.push(GraphNode {
            group: format!("{}/{}", object.address.api, object.address.kind),
            action: actions.get(address.as_str()).copied(),
            label,
            address: address.clone(),
        });
        known.push(address);
        let mut to: Vec<usize> = graph.extra.get(index).into_iter().flatten().copied().collect();
        to.extend(graph.uses.get(index).into_iter().flatten().filter_map(|found| match found.target {
            Meaning::Declared(target) => Some(target),
            Meaning::Live(_) => None,
        }));
        to.extend(observed.late.get(&index).into_iter().flatten());
        to.sort_unstable();
        to.dedup();
        edges.extend(to.into_iter().map(|target| (index, target)));
    }
    for step in plan.into_iter().flat_map(|plan| &plan.steps).filter(|step| step.object.is_none()) {
        nodes.push(GraphNode {
            address: step.action.address.clone(),
            label: step.action.name.clone(),
            group: format!("{}/{}", step.action.api, step.action.kind),
            action: Some(step.action.action),
        });
    }
    GraphView { nodes, edges }
}

/// A stack as it is offline.
pub struct Checked {
    /// Its manifests.
    pub manifests: Manifests,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
    /// Its graph.
    pub graph: GraphView,
}

/// Checks a stack offline: syntax, schema, references, cycles.
pub fn check(options: &Options) -> Result<Checked, Failure> {
    let loaded = load(options)?;
    let (graph, wrong) = graph::build(&loaded.manifests, &loaded.snapshot.sources);
    let mut diagnostics = loaded.snapshot.diagnostics.clone();
    diagnostics.extend(loaded.manifests.diagnostics.iter().cloned());
    diagnostics.extend(wrong);
    let view = graph_view(&loaded.manifests, &graph, &Observed::default(), None);
    Ok(Checked { manifests: loaded.manifests, diagnostics, sources: loaded.snapshot.sources, graph: view })
}

/// Objects and connections of a stack, in words.
pub fn counts(manifests: &Manifests) -> String {
    let entries = manifests.objects.iter().filter(|object| object.parent.is_some()).count();
    let objects = manifests.objects.len() - entries;
    let connections = manifests.connections.len();
    let many = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    format!(
        "{}, {} inside them, {}",
        many(objects, "object", "objects"),
        many(entries, "entry", "entries"),
        many(connections, "connection", "connections")
    )
}
