//! Topological order, and the cycle that prevents one.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Puts nodes after what they depend on, lowest index first where there is a choice; `edges[n]` lists what `n` depends
/// on. Gives one cycle where there is no such order.
pub fn topological(edges: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (node, to) in edges.iter().enumerate() {
        for target in to {
            if let Some(list) = dependents.get_mut(*target) {
                list.push(node);
            }
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(node, _)| Reverse(node)).collect();
    let mut order = Vec::with_capacity(edges.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for dependent in &dependents[node] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.push(Reverse(*dependent));
            }
        }
    }
    if order.len() == edges.len() {
        return Ok(order);
    }
    let start = waiting.iter().position(|count| *count > 0).unwrap_or_default();
    Err(cycle_through(edges, &|node| waiting[node] > 0, start))
}

/// Follows unfinished nodes from `start` until one repeats, and gives the circle.
pub fn cycle_through(edges: &[Vec<usize>], unfinished: &dyn Fn(usize) -> bool, start: usize) -> Vec<usize> {
    let mut path = vec![start];
    let mut position = vec![usize::MAX; edges.len()];
    let mut node = start;
    loop {
        position[node] = path.len() - 1;
        let Some(next) = edges[node].iter().copied().find(|next| unfinished(*next)) else { return path };
        if position[next] != usize::MAX {
            return path.split_off(position[next]);
        }
        path.push(next);
        node = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_circle_is_found_and_only_it() {
        let edges = vec![vec![], vec![2, 0], vec![3], vec![1], vec![1]];
        let mut cycle = topological(&edges).unwrap_err();
        cycle.sort_unstable();
        assert_eq!(cycle, [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn every_edge_is_respected(picks in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40)) {
            let edges: Vec<Vec<usize>> = picks
                .iter()
                .enumerate()
                .map(|(node, to)| {
                    let mut to: Vec<usize> = if node == 0 { vec![] } else { to.iter().map(|pick| pick.index(node)).collect() };
                    to.sort_unstable();
                    to.dedup();
                    to
                })
                .collect();
            let order = topological(&edges).unwrap();
            let mut at = vec![0; edges.len()];
            for (position, node) in order.iter().enumerate() {
                at[*node] = position;
            }
            for (node, to) in edges.iter().enumerate() {
                for target in to {
                    prop_assert!(at[*target] < at[node]);
                }
            }
        }
    }
}
