//! Topological order, and the cycle that prevents one.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Puts nodes after what they depend on, lowest index first where there is a choice; `edges[n]` lists what `n` depends
/// on. Gives one cycle where there is no such order.
pub fn topological(edges: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let (order, cycles) = ordered(edges);
    cycles.into_iter().next().map_or(Ok(order), Err)
}

/// The order of all nodes, each after what it depends on but within a cycle, and the cycles.
pub fn ordered(edges: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
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
    let mut cycles = Vec::new();
    let mut start = 0;
    loop {
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for dependent in &dependents[node] {
                // What is in a cycle waits for nothing more.
                if waiting[*dependent] > 0 {
                    waiting[*dependent] -= 1;
                    if waiting[*dependent] == 0 {
                        ready.push(Reverse(*dependent));
                    }
                }
            }
        }
        while waiting.get(start).is_some_and(|count| *count == 0) {
            start += 1;
        }
        if start == waiting.len() {
            return (order, cycles);
        }
        let cycle = cycle_through(edges, &|node| waiting[node] > 0, start);
        for node in &cycle {
            waiting[*node] = 0;
            ready.push(Reverse(*node));
        }
        cycles.push(cycle);
    }
}

/// Follows unfinished nodes from `start` until one repeats, and gives the circle.
fn cycle_through(edges: &[Vec<usize>], unfinished: &dyn Fn(usize) -> bool, start: usize) -> Vec<usize> {
    let mut path = vec![start];
    let mut position: HashMap<usize, usize> = HashMap::new();
    let mut node = start;
    loop {
        position.insert(node, path.len() - 1);
        let Some(next) = edges[node].iter().copied().find(|next| unfinished(*next)) else { return path };
        if let Some(position) = position.get(&next) {
            return path.split_off(*position);
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

    #[test]
    fn every_circle_is_found_and_the_rest_keeps_its_order() {
        let edges = vec![vec![5], vec![2], vec![1], vec![3], vec![1, 3], vec![], vec![4, 0]];
        let (order, cycles) = ordered(&edges);
        assert_eq!(cycles, [vec![1, 2], vec![3]]);
        assert_eq!(order, [5, 0, 1, 2, 3, 4, 6]);
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
