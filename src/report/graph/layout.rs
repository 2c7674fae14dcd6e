//! Boxes and links → where they stand: layers from left (dependencies) to right (dependents), in the manner of Sugiyama.
//!
//! A link that spans several layers runs through the gaps between their boxes, and all links to one box share that way,
//! so that many dependents of one box draw a tree and not a web.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::order;

const ROW_GAP: f64 = 16.0;
const LANE_GAP: f64 = 9.0;
const MIN_GAP: f64 = 56.0;
const MAX_GAP: f64 = 150.0;
/// Links beyond this many lanes in total are drawn straight.
const MAX_LANES: usize = 60_000;

/// A box to place.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A link from a dependent to what it depends on; offsets from the tops of their boxes.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) from_offset: f64,
    pub(super) to_offset: f64,
    pub(super) thin: bool,
}

/// Where a box stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
}

/// A piece of one or more links to one box, from the right to the left.
#[derive(Debug)]
pub(super) struct Piece {
    /// The box that the links lead to.
    pub(super) to: usize,
    pub(super) start: (f64, f64),
    pub(super) end: (f64, f64),
    /// Whether it ends at that box.
    pub(super) arrives: bool,
    pub(super) thin: bool,
}

/// A drawing.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) spots: Vec<Spot>,
    pub(super) pieces: Vec<Piece>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A box, or the lane of a link past other boxes.
struct Node {
    layer: usize,
    item: Option<usize>,
    height: f64,
}

/// A link between neighbouring layers, with offsets from the tops of its ends.
struct Hop {
    left: usize,
    right: usize,
    left_offset: f64,
    right_offset: f64,
    to: usize,
    thin: bool,
}

/// Places boxes and links.
pub(super) fn layout(items: &[Item], links: &[Link]) -> Layout {
    let mut dependencies = vec![Vec::new(); items.len()];
    let mut dependents = vec![Vec::new(); items.len()];
    let mut seen = HashSet::new();
    for link in links {
        if seen.insert((link.from, link.to)) {
            dependencies[link.from].push(link.to);
            dependents[link.to].push(link.from);
        }
    }
    let layer_of = order::layers(&dependencies, &dependents);
    let alone: Vec<usize> =
        (0..items.len()).filter(|item| dependencies[*item].is_empty() && dependents[*item].is_empty()).collect();
    let mut grid = Grid::new(items, &layer_of, &alone);
    let odd = grid.connect(links, &layer_of);
    grid.order();
    let y = grid.heights();
    let mut layout = grid.draw(items, links, &y, &odd);
    place_alone(&mut layout, items, &alone);
    layout
}

struct Grid {
    nodes: Vec<Node>,
    hops: Vec<Hop>,
    layers: Vec<Vec<usize>>,
    /// Node of every box.
    of_item: Vec<Option<usize>>,
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
}

impl Grid {
    fn new(items: &[Item], layer_of: &[usize], alone: &[usize]) -> Self {
        let alone: HashSet<usize> = alone.iter().copied().collect();
        let mut grid = Self {
            nodes: Vec::new(),
            hops: Vec::new(),
            layers: Vec::new(),
            of_item: vec![None; items.len()],
            left: Vec::new(),
            right: Vec::new(),
        };
        for (item, size) in items.iter().enumerate().filter(|(item, _)| !alone.contains(item)) {
            grid.of_item[item] = Some(grid.add(layer_of[item], Some(item), size.height));
        }
        grid
    }

    fn add(&mut self, layer: usize, item: Option<usize>, height: f64) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node { layer, item, height });
        if self.layers.len() <= layer {
            self.layers.resize_with(layer + 1, Vec::new);
        }
        self.layers[layer].push(node);
        self.left.push(Vec::new());
        self.right.push(Vec::new());
        node
    }

    /// Cuts links into hops; returns those that go against the layers or are too many, by their place in `links`.
    fn connect(&mut self, links: &[Link], layer_of: &[usize]) -> Vec<usize> {
        let mut lanes: HashMap<(usize, usize), usize> = HashMap::new();
        let mut hops: HashMap<(usize, usize, u64), usize> = HashMap::new();
        let mut odd = Vec::new();
        for (number, link) in links.iter().enumerate() {
            let (Some(start), Some(end)) = (self.of_item[link.from], self.of_item[link.to]) else { continue };
            let (low, high) = (layer_of[link.to], layer_of[link.from]);
            if low >= high || lanes.len() + (high - low) > MAX_LANES {
                odd.push(number);
                continue;
            }
            let (mut left, mut left_offset) = (end, link.to_offset);
            for layer in low + 1..=high {
                let last = layer == high;
                let right = if last {
                    start
                } else {
                    *lanes.entry((link.to, layer)).or_insert_with(|| self.add(layer, None, 0.0))
                };
                let right_offset = if last { link.from_offset } else { 0.0 };
                let hop = *hops.entry((left, right, right_offset.to_bits())).or_insert_with(|| {
                    self.hops.push(Hop { left, right, left_offset, right_offset, to: link.to, thin: true });
                    self.left[right].push(left);
                    self.right[left].push(right);
                    self.hops.len() - 1
                });
                self.hops[hop].thin &= link.thin;
                (left, left_offset) = (right, 0.0);
            }
        }
        odd
    }

    fn order(&mut self) {
        order::untangle(&mut self.layers, &self.left, &self.right);
    }

    /// The tops of all nodes: as near to their neighbours as order and gaps allow.
    fn heights(&self) -> Vec<f64> {
        const PASSES: usize = 24;
        let mut y = vec![0.0; self.nodes.len()];
        for layer in &self.layers {
            let mut at = 0.0;
            for (place, node) in layer.iter().enumerate() {
                if place > 0 {
                    at += self.gap(layer[place - 1], *node);
                }
                y[*node] = at;
                at += self.nodes[*node].height;
            }
        }
        let mut pull: Vec<(Vec<usize>, Vec<usize>)> = vec![(Vec::new(), Vec::new()); self.nodes.len()];
        for (number, hop) in self.hops.iter().enumerate() {
            pull[hop.right].0.push(number);
            pull[hop.left].1.push(number);
        }
        for pass in 0..PASSES {
            let both = pass + 4 >= PASSES;
            let forward = pass % 2 == 0;
            let numbers: Box<dyn Iterator<Item = usize>> =
                if forward { Box::new(0..self.layers.len()) } else { Box::new((0..self.layers.len()).rev()) };
            for number in numbers {
                let layer = &self.layers[number];
                let wanted: Vec<(f64, f64)> = layer
                    .iter()
                    .map(|node| {
                        let (lefts, rights) = &pull[*node];
                        let use_left = forward || both || rights.is_empty();
                        let use_right = !forward || both || lefts.is_empty();
                        let from_left = lefts.iter().filter(|_| use_left).map(|hop| {
                            let hop = &self.hops[*hop];
                            (y[hop.left] + hop.left_offset - hop.right_offset, self.weight(hop))
                        });
                        let from_right = rights.iter().filter(|_| use_right).map(|hop| {
                            let hop = &self.hops[*hop];
                            (y[hop.right] + hop.right_offset - hop.left_offset, self.weight(hop))
                        });
                        let (sum, weight) = from_left
                            .chain(from_right)
                            .fold((0.0, 0.0), |(sum, total), (at, weight)| (sum + at * weight, total + weight));
                        if weight > 0.0 { (sum / weight, weight) } else { (y[*node], 0.1) }
                    })
                    .collect();
                self.settle(layer, &wanted, &mut y);
            }
        }
        let top = y.iter().copied().fold(f64::INFINITY, f64::min);
        y.iter().map(|at| at - top).collect()
    }

    /// Lanes that go on as lanes want to be straight most of all.
    fn weight(&self, hop: &Hop) -> f64 {
        match (self.nodes[hop.left].item, self.nodes[hop.right].item) {
            (None, None) => 8.0,
            (Some(_), Some(_)) => 1.0,
            _ => 2.0,
        }
    }

    fn gap(&self, above: usize, below: usize) -> f64 {
        if self.nodes[above].item.is_some() && self.nodes[below].item.is_some() { ROW_GAP } else { LANE_GAP }
    }

    /// Puts the nodes of a layer as near to the wanted tops as their order and gaps allow: least squares, by pooling
    /// neighbours that get in each other's way.
    fn settle(&self, layer: &[usize], wanted: &[(f64, f64)], y: &mut [f64]) {
        struct Pool {
            sum: f64,
            weight: f64,
            from: usize,
        }
        let mut offsets = Vec::with_capacity(layer.len());
        let mut offset = 0.0;
        for (place, node) in layer.iter().enumerate() {
            if place > 0 {
                offset += self.nodes[layer[place - 1]].height + self.gap(layer[place - 1], *node);
            }
            offsets.push(offset);
        }
        let mut pools: Vec<Pool> = Vec::new();
        for (place, (at, weight)) in wanted.iter().enumerate() {
            let mut pool = Pool { sum: (at - offsets[place]) * weight, weight: *weight, from: place };
            while let Some(last) = pools.pop_if(|last| last.sum / last.weight >= pool.sum / pool.weight) {
                pool = Pool { sum: last.sum + pool.sum, weight: last.weight + pool.weight, from: last.from };
            }
            pools.push(pool);
        }
        for (number, pool) in pools.iter().enumerate() {
            let end = pools.get(number + 1).map_or(layer.len(), |next| next.from);
            for place in pool.from..end {
                y[layer[place]] = (pool.sum / pool.weight + offsets[place]).round();
            }
        }
    }

    fn draw(&self, items: &[Item], links: &[Link], y: &[f64], odd: &[usize]) -> Layout {
        let widths: Vec<f64> = self
            .layers
            .iter()
            .map(|layer| {
                let boxes = layer.iter().filter_map(|node| self.nodes[*node].item);
                boxes.map(|item| items[item].width).fold(0.0, f64::max)
            })
            .collect();
        let gaps = self.gaps(y);
        let mut columns = Vec::with_capacity(widths.len());
        let mut x = 0.0;
        for (layer, width) in widths.iter().enumerate() {
            columns.push(x);
            x += width + gaps.get(layer).copied().unwrap_or(0.0);
        }
        let mut layout = Layout { spots: vec![Spot::default(); items.len()], ..Layout::default() };
        for (node, at) in self.nodes.iter().zip(y) {
            let (x, width) = (columns[node.layer], widths[node.layer]);
            if let Some(item) = node.item {
                layout.spots[item] = Spot { x, y: *at, width };
            }
            layout.width = layout.width.max(x + width);
            layout.height = layout.height.max(at + node.height);
        }
        for hop in &self.hops {
            let (left, right) = (&self.nodes[hop.left], &self.nodes[hop.right]);
            let end = (columns[left.layer] + widths[left.layer], y[hop.left] + hop.left_offset);
            let start = (columns[right.layer], y[hop.right] + hop.right_offset);
            let piece = |start, end, arrives| Piece { to: hop.to, start, end, arrives, thin: hop.thin };
            layout.pieces.push(piece(start, end, left.item.is_some()));
        }
        self.lanes(&mut layout, &columns, &widths, y);
        for link in odd.iter().map(|number| &links[*number]) {
            let (from, to) = (layout.spots[link.from], layout.spots[link.to]);
            let start = (from.x, from.y + link.from_offset);
            let end = (to.x + to.width, to.y + link.to_offset);
            layout.pieces.push(Piece { to: link.to, start, end, arrives: true, thin: link.thin });
        }
        layout
    }

    /// The straight parts of lanes, past the boxes of their layers.
    fn lanes(&self, layout: &mut Layout, columns: &[f64], widths: &[f64], y: &[f64]) {
        let mut lanes: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
        for hop in self.hops.iter().filter(|hop| self.nodes[hop.left].item.is_none()) {
            lanes.entry(hop.left).or_insert((hop.to, true)).1 &= hop.thin;
        }
        for (lane, (to, thin)) in lanes {
            let layer = self.nodes[lane].layer;
            let (x, at) = (columns[layer], y[lane]);
            layout.pieces.push(Piece { to, start: (x + widths[layer], at), end: (x, at), arrives: false, thin });
        }
    }

    /// Room between the layers: more where links climb far.
    fn gaps(&self, y: &[f64]) -> Vec<f64> {
        let mut gaps = vec![MIN_GAP; self.layers.len().saturating_sub(1)];
        for hop in &self.hops {
            let rise = (y[hop.left] + hop.left_offset - y[hop.right] - hop.right_offset).abs();
            if let Some(gap) = gaps.get_mut(self.nodes[hop.left].layer) {
                *gap = gap.max((MIN_GAP + rise * 0.16).min(MAX_GAP)).round();
            }
        }
        gaps
    }
}

/// Puts boxes without a link below the rest, in rows.
fn place_alone(layout: &mut Layout, items: &[Item], alone: &[usize]) {
    let width = alone.iter().map(|item| items[*item].width).fold(0.0, f64::max);
    let limit = layout.width.max(900.0);
    let (mut x, mut row, mut tallest) =
        (0.0, if layout.height > 0.0 { layout.height + 2.0 * ROW_GAP } else { 0.0 }, 0.0_f64);
    for item in alone {
        if x > 0.0 && x + width > limit {
            (x, row, tallest) = (0.0, row + tallest + ROW_GAP, 0.0);
        }
        layout.spots[*item] = Spot { x, y: row, width };
        tallest = tallest.max(items[*item].height);
        layout.width = layout.width.max(x + width);
        layout.height = layout.height.max(row + tallest);
        x += width + ROW_GAP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: usize, to: usize) -> Link {
        Link { from, to, from_offset: 10.0, to_offset: 10.0, thin: false }
    }

    #[test]
    fn boxes_never_overlap_and_dependencies_stand_to_the_left() {
        let items: Vec<Item> = (0..60_u32).map(|n| Item { width: 100.0, height: f64::from(20 + n % 7 * 10) }).collect();
        let links: Vec<Link> =
            (1..50).flat_map(|n: usize| [link(n, n / 3), link(n, n / 7)]).filter(|link| link.from != link.to).collect();
        let layout = layout(&items, &links);
        for link in &links {
            assert!(layout.spots[link.to].x + layout.spots[link.to].width < layout.spots[link.from].x);
        }
        for (a, spot) in layout.spots.iter().enumerate() {
            for (b, other) in layout.spots.iter().enumerate().skip(a + 1) {
                let beside = spot.x + spot.width <= other.x || other.x + other.width <= spot.x;
                let apart = spot.y + items[a].height <= other.y || other.y + items[b].height <= spot.y;
                assert!(beside || apart, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_cycle_is_drawn_too() {
        let items = vec![Item { width: 10.0, height: 10.0 }; 3];
        let layout = layout(&items, &[link(0, 1), link(1, 2), link(2, 0)]);
        assert_eq!(layout.pieces.iter().filter(|piece| piece.arrives).count(), 3);
    }
}
