//! The deliveries that were taken in last: a bounded memory, so that a replay is recognised and costs nothing.

use std::collections::{HashSet, VecDeque};

/// Names of the last deliveries.
#[derive(Debug)]
pub(super) struct Recent {
    room: usize,
    order: VecDeque<String>,
    known: HashSet<String>,
}

impl Recent {
    pub(super) fn new(room: usize) -> Self {
        Self { room, order: VecDeque::new(), known: HashSet::new() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Remembers a name, and forgets the oldest where there is no more room.
    pub(super) fn add(&mut self, name: String) {
        if !self.known.insert(name.clone()) {
            return;
        }
        self.order.push_back(name);
        while self.order.len() > self.room {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::new(2);
        for name in ["a", "b", "a", "c"] {
            recent.add(name.to_owned());
        }
        assert!(!recent.has("a") && recent.has("b") && recent.has("c"));
    }
}
