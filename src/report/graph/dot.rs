//! The graph for Graphviz.

use std::fmt::Write;

use super::{
    super::{safe, words},
    GraphNode, GraphView, colors, containers, edges,
};

/// Writes the graph in the DOT language; a manifest with entries is a cluster.
pub fn dot(view: &GraphView) -> String {
    let (containers, of) = containers(view);
    let mut out = String::from(
        "digraph plumb {\n  rankdir=RL;\n  node [shape=box, style=\"rounded,filled\", fontname=\"monospace\", fontsize=11];\n  \
         edge [color=\"#57606a\"];\n",
    );
    for (number, container) in containers.iter().enumerate() {
        let Some(node) = view.nodes.get(container.node) else { continue };
        if container.entries.is_empty() {
            let _ = writeln!(out, "  n{} {};", container.node, attributes(node));
            continue;
        }
        let _ =
            writeln!(out, "  subgraph cluster_{number} {{\n    label={}; color=\"#8b949e\";", quoted(&node.address));
        let _ = writeln!(out, "    n{} {};", container.node, attributes(node));
        for entry in &container.entries {
            if let Some(node) = view.nodes.get(*entry) {
                let _ = writeln!(out, "    n{entry} {};", attributes(node));
            }
        }
        out.push_str("  }\n");
    }
    for edge in edges(view, &of) {
        let style = if edge.thin { " [style=dotted, constraint=false]" } else { "" };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}

fn attributes(node: &GraphNode) -> String {
    let (paper, ink) = colors(node.action);
    let mut lines = Vec::new();
    if let Some(action) = node.action {
        lines.push(format!("{} {}", words::sign(action), action.word()));
    }
    lines.push(safe::line(&node.label).into_owned());
    lines.push(safe::line(&node.group).into_owned());
    let label: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    format!(
        "[label=\"{}\", tooltip={}, fillcolor=\"{paper}\", color=\"{ink}\"]",
        label.join("\\n"),
        quoted(&node.address)
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(&safe::line(text)))
}

/// Graphviz reads `\` as the start of an escape and `&` as that of an HTML entity.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;")
}
