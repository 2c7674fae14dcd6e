//! The dependency graph of a stack → DOT, Mermaid, or an SVG with a layered layout of its own, coloured by planned action.
//!
//! Entries are drawn inside the manifest that they are in. Edges go from a dependent to what it depends on; those that a
//! longer way makes needless are drawn thin. The same view always gives the same text.

mod dot;
mod layout;
mod mermaid;
mod order;
mod svg;

use std::collections::{HashMap, HashSet};

use crate::plan::ActionKind;

use super::group;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::{DARK as SVG_STYLE, svg};

/// What is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphView {
    /// Objects and entries inside.
    pub nodes: Vec<GraphNode>,
    /// Indices into `nodes`: a dependent and what it depends on. Those that point nowhere are left out.
    pub edges: Vec<(usize, usize)>,
}

/// One object, or entry inside one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// Its address; an entry is drawn inside the node with its manifest's address.
    pub address: String,
    /// What is written on it.
    pub label: String,
    /// API and kind, such as `itglue/Organization`.
    pub group: String,
    /// What the plan does to it; nothing where it is unchanged or there is no plan.
    pub action: Option<ActionKind>,
}

/// A manifest with its entries, as indices of nodes.
#[derive(Debug)]
struct Container {
    node: usize,
    entries: Vec<usize>,
}

/// Puts entries into their manifests; an entry without its manifest stands for itself. Also returns the container of
/// every node.
fn containers(view: &GraphView) -> (Vec<Container>, Vec<usize>) {
    let mut containers = Vec::new();
    let mut by_address: HashMap<&str, usize> = HashMap::new();
    let mut of = vec![0; view.nodes.len()];
    for (index, node) in view.nodes.iter().enumerate().filter(|(_, node)| !node.address.contains('#')) {
        by_address.entry(&node.address).or_insert(containers.len());
        of[index] = containers.len();
        containers.push(Container { node: index, entries: Vec::new() });
    }
    for (index, node) in view.nodes.iter().enumerate().filter(|(_, node)| node.address.contains('#')) {
        let parent = by_address.get(group::manifest(&node.address)).copied();
        of[index] = parent.unwrap_or(containers.len());
        match parent.and_then(|parent| containers.get_mut(parent)) {
            Some(parent) => parent.entries.push(index),
            None => containers.push(Container { node: index, entries: Vec::new() }),
        }
    }
    (containers, of)
}

/// An edge that is drawn, and whether a longer way makes it needless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    from: usize,
    to: usize,
    thin: bool,
}

/// The edges to draw: each once, without those inside one manifest.
fn edges(view: &GraphView, of: &[usize]) -> Vec<Edge> {
    /// How many nodes are looked at per dependent in search of longer ways.
    const REACH: usize = 400;
    let mut seen = HashSet::new();
    let mut list: Vec<Edge> = view
        .edges
        .iter()
        .filter(|(from, to)| matches!((of.get(*from), of.get(*to)), (Some(from), Some(to)) if from != to))
        .filter(|edge| seen.insert(**edge))
        .map(|&(from, to)| Edge { from, to, thin: false })
        .collect();
    let mut dependencies: HashMap<usize, Vec<usize>> = HashMap::new();
    for edge in &list {
        dependencies.entry(of[edge.from]).or_default().push(of[edge.to]);
    }
    let mut needless: HashSet<(usize, usize)> = HashSet::new();
    for (from, direct) in &dependencies {
        let mut reached: HashSet<usize> = HashSet::new();
        let mut open: Vec<usize> = direct.clone();
        while let Some(node) = open.pop()
            && reached.len() < REACH
        {
            for next in dependencies.get(&node).into_iter().flatten() {
                if next != from && reached.insert(*next) {
                    open.push(*next);
                }
            }
        }
        needless.extend(direct.iter().filter(|to| reached.contains(to)).map(|to| (*from, *to)));
    }
    for edge in &mut list {
        edge.thin = needless.contains(&(of[edge.from], of[edge.to]));
    }
    list
}

/// Colours of an action: paper and ink.
fn colors(action: Option<ActionKind>) -> (&'static str, &'static str) {
    match action {
        Some(ActionKind::Create) => ("#ddf3ec", "#00735a"),
        Some(ActionKind::Adopt) => ("#dcebfa", "#0b5cad"),
        Some(ActionKind::Update) => ("#fbefcf", "#855c00"),
        Some(ActionKind::Replace) => ("#f6e0ee", "#8f3a71"),
        Some(ActionKind::Delete) => ("#fbe0d3", "#b23c00"),
        Some(ActionKind::Forget) => ("#e9ecef", "#57606a"),
        None => ("#ffffff", "#8b949e"),
    }
}

/// The actions that occur, for a legend.
fn present(view: &GraphView) -> Vec<ActionKind> {
    let found: HashSet<ActionKind> = view.nodes.iter().filter_map(|node| node.action).collect();
    super::words::IN_ORDER.into_iter().filter(|kind| found.contains(kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(address: &str) -> GraphNode {
        GraphNode { address: address.into(), label: address.into(), group: "a/K".into(), action: None }
    }

    #[test]
    fn edges_that_a_longer_way_makes_needless_are_thin() {
        let view = GraphView {
            nodes: vec![node("a/K/a"), node("a/K/b"), node("a/K/c"), node("a/K/c#f/x")],
            edges: vec![(1, 0), (2, 1), (2, 0), (3, 2), (3, 0), (2, 9), (1, 0)],
        };
        let (containers, of) = containers(&view);
        assert_eq!(containers.len(), 3);
        let drawn: Vec<_> = edges(&view, &of).iter().map(|edge| (edge.from, edge.to, edge.thin)).collect();
        assert_eq!(drawn, [(1, 0, false), (2, 1, false), (2, 0, true), (3, 0, true)]);
    }
}
