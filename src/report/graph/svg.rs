//! The graph as one SVG: boxes with signs and colours, entries as rows of their manifest, curves, a legend.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::plan::ActionKind;

use super::{
    super::{safe, words},
    GraphNode, GraphView, colors, containers, edges,
    layout::{Item, Layout, Link, Piece, Spot, layout},
    present,
};

const CHARACTER: f64 = 7.3;
const SMALL_CHARACTER: f64 = 6.1;
const TITLE: f64 = 42.0;
const ROW: f64 = 19.0;
const TAB: f64 = 30.0;
const MARGIN: f64 = 24.0;
const LEGEND: f64 = 46.0;
/// Characters of a label; its tooltip has all of them.
const LABEL: usize = 44;
/// Rows of a manifest; entries beyond that are counted.
const ROWS: usize = 14;

/// Inks for curves, by what they lead to: apart from each other for colour-blind eyes too.
const CURVES: [&str; 6] = ["#0072b2", "#b35c00", "#4c7a34", "#8f3a71", "#57606a", "#8a6d00"];

/// What dark pages change; the attributes alone draw a light picture.
pub const DARK: &str = "@media (prefers-color-scheme: dark) { .plumb-graph .page { fill: #14181d } \
    .plumb-graph .none { fill: #1c2229 } .plumb-graph .on-page { fill: #e3e7ec } .plumb-graph .soft-page { fill: #9aa5b1 } \
    .plumb-graph .none-text { fill: #e3e7ec } .plumb-graph .curve { filter: brightness(1.5) } }";

/// One manifest, as it is drawn.
struct Shape<'a> {
    node: &'a GraphNode,
    entries: Vec<&'a GraphNode>,
    more: usize,
    /// Place among the rows of every entry's node; those that are not drawn have none.
    rows: Vec<(usize, Option<usize>)>,
}

/// Draws the graph, dependencies to the left of what depends on them.
pub fn svg(view: &GraphView) -> String {
    let (containers, of) = containers(view);
    let shapes: Vec<Shape<'_>> = containers
        .iter()
        .filter_map(|container| Some(shape(view, view.nodes.get(container.node)?, &container.entries)))
        .collect();
    let items: Vec<Item> = shapes.iter().map(size).collect();
    let mut row_of = vec![None; view.nodes.len()];
    for (node, row) in shapes.iter().flat_map(|shape| &shape.rows) {
        row_of[*node] = *row;
    }
    let offset = |node: usize| row_of[node].map_or(TITLE / 2.0, |row| TITLE + ROW * (f64_of(row) + 0.5));
    let links: Vec<Link> = edges(view, &of)
        .into_iter()
        .map(|edge| Link {
            from: of[edge.from],
            to: of[edge.to],
            from_offset: offset(edge.from),
            to_offset: offset(edge.to),
            thin: edge.thin,
        })
        .collect();
    let layout = layout(&items, &links);
    render(view, &shapes, &items, &layout)
}

fn render(view: &GraphView, shapes: &[Shape<'_>], items: &[Item], layout: &Layout) -> String {
    let width = (layout.width + 2.0 * MARGIN).max(640.0);
    let height = layout.height + 2.0 * MARGIN + LEGEND;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plumb-graph\" role=\"img\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', \
         monospace\" font-size=\"12\">\n<title>Dependencies of {}</title>\n<style>{DARK}</style>\n\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        words::plural(view.nodes.len(), "object")
    );
    legend(&mut out, &present(view));
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {})\">", MARGIN + LEGEND);
    let mut pieces: Vec<&Piece> = layout.pieces.iter().collect();
    pieces.sort_by_key(|piece| !piece.thin);
    let inks = inks(layout);
    for piece in pieces {
        curve(&mut out, piece, inks.get(piece.to).copied().unwrap_or(CURVES[0]));
    }
    for ((shape, item), spot) in shapes.iter().zip(items).zip(&layout.spots) {
        draw(&mut out, shape, item, *spot);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// An ink for every box that curves lead to: neighbours in a column get different ones.
fn inks(layout: &Layout) -> Vec<&'static str> {
    let mut targets: Vec<usize> = layout.pieces.iter().filter(|piece| piece.arrives).map(|piece| piece.to).collect();
    targets.sort_unstable();
    targets.dedup();
    targets.sort_by(|a, b| {
        let (a, b) = (layout.spots[*a], layout.spots[*b]);
        a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y))
    });
    let mut inks = vec![CURVES[0]; layout.spots.len()];
    for (target, ink) in targets.into_iter().zip(CURVES.iter().cycle()) {
        inks[target] = ink;
    }
    inks
}

fn shape<'a>(view: &'a GraphView, node: &'a GraphNode, entries: &[usize]) -> Shape<'a> {
    let mut shown: Vec<usize> = entries.to_vec();
    if shown.len() > ROWS {
        // What changes must be seen; the rest is counted.
        shown.sort_by_key(|entry| view.nodes.get(*entry).is_none_or(|node| node.action.is_none()));
        shown.truncate(ROWS - 1);
        shown.sort_unstable();
    }
    let mut rows: Vec<(usize, Option<usize>)> = entries.iter().map(|entry| (*entry, None)).collect();
    rows.extend(shown.iter().enumerate().map(|(row, entry)| (*entry, Some(row))));
    let more = entries.len() - shown.len();
    Shape { node, entries: shown.iter().filter_map(|entry| view.nodes.get(*entry)).collect(), more, rows }
}

fn size(shape: &Shape<'_>) -> Item {
    let title = columns(&label(&shape.node.label)) * CHARACTER;
    let group = columns(&label(&shape.node.group)) * SMALL_CHARACTER;
    let rows = shape.entries.iter().map(|entry| columns(&label(&entry.label)) * SMALL_CHARACTER + 12.0);
    let inside = rows.fold(title.max(group), f64::max);
    let count = shape.entries.len() + usize::from(shape.more > 0);
    Item { width: (inside + TAB + 20.0).ceil(), height: TITLE + ROW * f64_of(count) }
}

fn draw(out: &mut String, shape: &Shape<'_>, item: &Item, spot: Spot) {
    let (paper, ink) = colors(shape.node.action);
    let class = if shape.node.action.is_none() { "none" } else { "some" };
    let _ = writeln!(out, "<g transform=\"translate({} {})\">", spot.x, spot.y);
    let _ = writeln!(out, "<title>{}</title>", tooltip(shape.node));
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" width=\"{}\" height=\"{}\" rx=\"5\" fill=\"{paper}\" stroke=\"{ink}\" stroke-width=\"{}\"/>",
        spot.width,
        item.height,
        if shape.node.action.is_some() { 1.8 } else { 1.0 }
    );
    let mut left = 12.0;
    if let Some(action) = shape.node.action {
        let bottom = if item.height > TITLE { "H0V5" } else { "H5a5 5 0 0 1 -5 -5V5" };
        let _ = writeln!(
            out,
            "<path d=\"M5 0H{TAB}V{TITLE}{bottom}a5 5 0 0 1 5 -5z\" fill=\"{ink}\"/>\
             <text x=\"{}\" y=\"26\" text-anchor=\"middle\" font-weight=\"700\" font-size=\"{}\" fill=\"#ffffff\">{}</text>",
            TAB / 2.0,
            if action == ActionKind::Replace { 12 } else { 16 },
            xml(words::sign(action)),
        );
        left = TAB + 8.0;
    }
    let text = if shape.node.action.is_none() { "none-text" } else { "some-text" };
    let _ = writeln!(
        out,
        "<text class=\"{text}\" x=\"{left}\" y=\"18\" font-weight=\"600\" fill=\"#1c2128\">{}</text>\
         <text class=\"{text}\" x=\"{left}\" y=\"33\" font-size=\"10\" fill=\"#57606a\">{}</text>",
        xml(&label(&shape.node.label)),
        xml(&label(&shape.node.group)),
    );
    rows(out, shape, spot.width, text);
    out.push_str("</g>\n");
}

fn rows(out: &mut String, shape: &Shape<'_>, width: f64, text: &str) {
    for (row, entry) in shape.entries.iter().enumerate() {
        let top = TITLE + ROW * f64_of(row);
        let _ = writeln!(out, "<g><title>{}</title>", tooltip(entry));
        if entry.action != shape.node.action {
            let (paper, _) = colors(entry.action);
            let class = if entry.action.is_none() { "none" } else { "some" };
            let (wide, high) = (width - 2.0, ROW - 1.0);
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" x=\"1\" y=\"{top}\" width=\"{wide}\" height=\"{high}\" rx=\"2\" fill=\"{paper}\"/>"
            );
        }
        let _ = writeln!(out, "<path d=\"M1 {top}H{}\" stroke=\"#8b949e\" stroke-opacity=\".45\"/>", width - 1.0);
        if let Some(action) = entry.action {
            let (_, ink) = colors(entry.action);
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"700\" fill=\"{ink}\">{}</text>",
                TAB / 2.0,
                top + 14.0,
                xml(words::sign(action)),
            );
        }
        let class = if entry.action.is_some() { "some-text" } else { "none-text" };
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" font-size=\"10\" fill=\"#1c2128\">{}</text></g>",
            TAB + 8.0,
            top + 13.5,
            xml(&label(&entry.label)),
        );
    }
    if shape.more > 0 {
        let top = TITLE + ROW * f64_of(shape.entries.len());
        let _ = writeln!(
            out,
            "<text class=\"{text}\" x=\"{}\" y=\"{}\" font-size=\"10\" fill=\"#57606a\">… {} more</text>",
            TAB + 8.0,
            top + 13.5,
            shape.more
        );
    }
}

fn curve(out: &mut String, piece: &Piece, ink: &str) {
    let ((x1, y1), (mut x2, y2)) = (piece.start, piece.end);
    let arrow = if piece.arrives { 6.0 } else { 0.0 };
    x2 += arrow;
    let bend = if x1 > x2 { (x1 - x2) * 0.5 } else { 60.0 };
    let dash = if piece.thin {
        " stroke-width=\"1\" stroke-dasharray=\"3 4\" stroke-opacity=\".55\""
    } else {
        " stroke-width=\"1.5\""
    };
    let _ = writeln!(
        out,
        "<path class=\"curve\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\" fill=\"none\" stroke=\"{ink}\"{dash}/>",
        x1 - bend,
        x2 + bend,
    );
    if piece.arrives {
        let _ = writeln!(out, "<path class=\"curve\" d=\"M{} {y2}l8 -4v8z\" fill=\"{ink}\"/>", x2 - arrow);
    }
}

fn legend(out: &mut String, present: &[ActionKind]) {
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} 16)\">");
    let mut x = 0.0;
    for kind in present {
        let (paper, ink) = colors(Some(*kind));
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" width=\"28\" height=\"20\" rx=\"4\" fill=\"{paper}\" stroke=\"{ink}\" stroke-width=\"1.8\"/>\
             <text x=\"{}\" y=\"14.5\" text-anchor=\"middle\" font-weight=\"700\" fill=\"{ink}\">{}</text>\
             <text class=\"on-page\" x=\"{}\" y=\"14.5\" fill=\"#1c2128\">{}</text>",
            x + 14.0,
            xml(words::sign(*kind)),
            x + 34.0,
            kind.word(),
        );
        x += 34.0 + columns(kind.word()) * CHARACTER + 22.0;
    }
    let _ = writeln!(
        out,
        "<text class=\"on-page\" x=\"{x}\" y=\"14.5\" fill=\"#1c2128\">no sign: unchanged</text>\
         <text class=\"soft-page\" x=\"0\" y=\"38\" font-size=\"10\" fill=\"#57606a\">An arrow leads to what is needed first. \
         Dotted: needed anyway, by way of another.</text>\n</g>"
    );
}

/// A label of limited length: the middle goes first, since names of one family differ at their ends.
fn label(text: &str) -> String {
    const TAIL: usize = LABEL / 2;
    let safe = safe::line(text);
    let count = safe.chars().count();
    if count <= LABEL {
        return safe.into_owned();
    }
    let head = safe.chars().take(LABEL - TAIL - 1);
    head.chain(std::iter::once('…')).chain(safe.chars().skip(count - TAIL)).collect()
}

fn tooltip(node: &GraphNode) -> String {
    let what = node.action.map_or("unchanged", ActionKind::word);
    xml(&format!("{}: {what}", safe::line(&node.address)))
}

fn columns(text: &str) -> f64 {
    f64_of(text.width())
}

fn f64_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
