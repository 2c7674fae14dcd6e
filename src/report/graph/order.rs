//! Which layer a box stands in, and in which order within it: longest paths, then barycentre sweeps.

/// Gives every box a layer, dependencies before dependents. Where edges form a cycle, the box that comes first breaks
/// it. `dependencies` and `dependents` are lists by box.
pub(super) fn layers(dependencies: &[Vec<usize>], dependents: &[Vec<usize>]) -> Vec<usize> {
    let order = topological(dependencies, dependents);
    let mut rank = vec![0; order.len()];
    for (place, node) in order.iter().enumerate() {
        rank[*node] = place;
    }
    let mut layer = vec![0; order.len()];
    for &node in &order {
        let before = dependencies[node].iter().filter(|other| rank[**other] < rank[node]);
        layer[node] = before.map(|other| layer[*other] + 1).max().unwrap_or(0);
    }
    // What few need and nothing holds back stands next to those that need it.
    for &node in order.iter().rev() {
        let after = dependents[node].iter().filter(|other| rank[**other] > rank[node]);
        if let Some(next) = after.map(|other| layer[*other]).min()
            && dependencies[node].len() <= dependents[node].len()
        {
            layer[node] = layer[node].max(next - 1);
        }
    }
    layer
}

fn topological(dependencies: &[Vec<usize>], dependents: &[Vec<usize>]) -> Vec<usize> {
    let mut missing: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut done = vec![false; missing.len()];
    let mut ready: std::collections::VecDeque<usize> = (0..missing.len()).filter(|node| missing[*node] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    let mut forced = 0;
    while order.len() < missing.len() {
        let Some(node) = ready.pop_front() else {
            while forced < done.len() && done[forced] {
                forced += 1;
            }
            if forced == done.len() {
                break;
            }
            ready.push_back(forced);
            continue;
        };
        if std::mem::replace(&mut done[node], true) {
            continue;
        }
        order.push(node);
        for &next in &dependents[node] {
            missing[next] = missing[next].saturating_sub(1);
            if missing[next] == 0 && !done[next] {
                ready.push_back(next);
            }
        }
    }
    order
}

/// Orders the nodes of each layer so that few edges cross. `left` and `right` are each node's neighbours in the layer
/// before and after.
pub(super) fn untangle(layers: &mut [Vec<usize>], left: &[Vec<usize>], right: &[Vec<usize>]) {
    const SWEEPS: usize = 16;
    let mut best = layers.to_vec();
    let mut fewest = crossings(layers, right);
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        let mut place = places(layers, left.len());
        let forward = sweep % 2 == 0;
        let mut numbers: Vec<usize> = (0..layers.len()).collect();
        if !forward {
            numbers.reverse();
        }
        for number in numbers {
            let neighbours = if forward { left } else { right };
            sort(&mut layers[number], neighbours, &mut place);
        }
        let count = crossings(layers, right);
        if count < fewest {
            fewest = count;
            best = layers.to_vec();
        }
    }
    layers.clone_from_slice(&best);
}

fn places(layers: &[Vec<usize>], count: usize) -> Vec<f64> {
    let mut place = vec![0.0; count];
    for layer in layers {
        for (at, node) in (0_u32..).zip(layer) {
            place[*node] = f64::from(at);
        }
    }
    place
}

/// Sorts a layer by the mean place of its nodes' neighbours; those without any stay about where they are.
fn sort(layer: &mut [usize], neighbours: &[Vec<usize>], place: &mut [f64]) {
    let mut keyed: Vec<(f64, usize)> = layer
        .iter()
        .map(|node| {
            let list = &neighbours[*node];
            let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
            let sum: f64 = list.iter().map(|other| place[*other]).sum();
            (if count == 0 { place[*node] } else { sum / f64::from(count) }, *node)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for ((at, slot), (_, node)) in (0_u32..).zip(layer.iter_mut()).zip(keyed) {
        *slot = node;
        place[node] = f64::from(at);
    }
}

/// Counts crossings between neighbouring layers with a Fenwick tree.
fn crossings(layers: &[Vec<usize>], right: &[Vec<usize>]) -> usize {
    let mut place = vec![0; right.len()];
    for layer in layers {
        for (at, node) in layer.iter().enumerate() {
            place[*node] = at;
        }
    }
    let mut total = 0;
    for pair in layers.windows(2) {
        let [before, after] = pair else { continue };
        let mut tree = vec![0_usize; after.len() + 1];
        let mut seen = 0;
        for node in before {
            let mut ends: Vec<usize> = right[*node].iter().map(|other| place[*other]).collect();
            ends.sort_unstable();
            for end in &ends {
                let mut at = end + 1;
                let mut not_after = 0;
                while at > 0 {
                    not_after += tree[at];
                    at &= at - 1;
                }
                total += seen - not_after;
            }
            for end in ends {
                seen += 1;
                let mut at = end + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_respect_every_edge_and_survive_cycles() {
        let dependencies = vec![vec![], vec![0], vec![1, 0], vec![4], vec![3]];
        let dependents = vec![vec![1, 2], vec![2], vec![], vec![4], vec![3]];
        let layer = layers(&dependencies, &dependents);
        assert_eq!(&layer[..3], [0, 1, 2]);
        assert_ne!(layer[3], layer[4]);
    }

    #[test]
    fn crossings_are_counted_and_removed() {
        let right = vec![vec![3], vec![2], vec![], vec![]];
        let left = vec![vec![], vec![], vec![1], vec![0]];
        let mut layers = vec![vec![0, 1], vec![2, 3]];
        assert_eq!(crossings(&layers, &right), 1);
        untangle(&mut layers, &left, &right);
        assert_eq!(crossings(&layers, &right), 0);
    }
}
