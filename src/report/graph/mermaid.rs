//! The graph for Mermaid, which forges draw in Markdown.

use std::fmt::Write;

use super::{
    super::{safe, words},
    GraphNode, GraphView, colors, containers, edges, present,
};

/// Writes the graph as a Mermaid flowchart; a manifest with entries is a subgraph.
pub fn mermaid(view: &GraphView) -> String {
    let (containers, of) = containers(view);
    let mut out = String::from("flowchart RL\n");
    for (number, container) in containers.iter().enumerate() {
        let Some(node) = view.nodes.get(container.node) else { continue };
        if container.entries.is_empty() {
            let _ = writeln!(out, "  n{}{}", container.node, shape(node));
            continue;
        }
        let _ = writeln!(out, "  subgraph s{number}[\"{}\"]", escaped(&node.address));
        let _ = writeln!(out, "    n{}{}", container.node, shape(node));
        for entry in &container.entries {
            if let Some(node) = view.nodes.get(*entry) {
                let _ = writeln!(out, "    n{entry}{}", shape(node));
            }
        }
        out.push_str("  end\n");
    }
    for edge in edges(view, &of) {
        let arrow = if edge.thin { "-.->" } else { "-->" };
        let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    for kind in present(view) {
        let (paper, ink) = colors(Some(kind));
        let _ = writeln!(out, "  classDef {}Action fill:{paper},stroke:{ink},color:#1c2128", kind.word());
    }
    out
}

fn shape(node: &GraphNode) -> String {
    let (label, group) = (escaped(&node.label), escaped(&node.group));
    match node.action {
        Some(action) => {
            let (sign, word) = (escaped(words::sign(action)), action.word());
            format!("[\"{sign} {word}<br/>{label}<br/>{group}\"]:::{word}Action")
        }
        None => format!("[\"{label}<br/>{group}\"]"),
    }
}

/// Writes everything that Mermaid, its Markdown or its HTML could act on as a character code; `1. a` and `- a` would
/// be lists, so dots and dashes are kept after letters only.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut previous = ' ';
    for c in safe::line(text).chars() {
        let kept = match c {
            ' ' | '/' | ',' => true,
            '.' | '-' => previous.is_alphabetic(),
            c => c.is_alphanumeric(),
        };
        if kept {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
        previous = c;
    }
    out
}
