//! References among exported objects → those that go by id, because a circle of manifests could not be put in order.

use std::collections::HashSet;

/// A node of the graph: an exported object or an entry, by live object.
pub(super) type Edge = (usize, usize);

/// The edges without which there is no circle: the last of each circle that a walk in order meets. Without recursion,
/// since a chain may be as long as an account is large.
pub(super) fn cut(nodes: &[usize], edges: &dyn Fn(usize) -> Vec<usize>) -> HashSet<Edge> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Open,
        Done,
    }
    let mut states: std::collections::HashMap<usize, State> = std::collections::HashMap::with_capacity(nodes.len());
    let mut out = HashSet::new();
    for start in nodes {
        if states.contains_key(start) {
            continue;
        }
        let mut path: Vec<(usize, std::vec::IntoIter<usize>)> = vec![(*start, edges(*start).into_iter())];
        states.insert(*start, State::Open);
        while let Some((node, rest)) = path.last_mut() {
            let node = *node;
            let Some(next) = rest.next() else {
                states.insert(node, State::Done);
                path.pop();
                continue;
            };
            match states.get(&next) {
                Some(State::Open) => {
                    out.insert((node, next));
                }
                Some(State::Done) => {}
                None => {
                    states.insert(next, State::Open);
                    path.push((next, edges(next).into_iter()));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_cut_once_and_nothing_else_is() {
        let edges = |node: usize| match node {
            0 => vec![1, 3],
            1 => vec![2],
            2 => vec![0],
            3 => vec![3, 2],
            _ => Vec::new(),
        };
        let cut = cut(&[0, 1, 2, 3, 4], &edges);
        assert_eq!(cut, HashSet::from([(2, 0), (3, 3)]));
    }
}
