//! When the stack of each namespace is looked at: soon after a change, once the changes pause; each connection again
//! after its interval; and what failed once it may pass. Pure: it is told what time it is.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// What a run looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// The objects of these connections.
    Connections(BTreeSet<String>),
}

/// How long changes are gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Debounce {
    /// Until nothing changes for so long.
    pub(super) quiet: Duration,
    /// But no longer than this.
    pub(super) most: Duration,
}

#[derive(Debug, Default)]
struct Space {
    /// The first and the last change that no run has seen yet.
    changed: Option<(Instant, Instant)>,
    /// When something that failed is tried again.
    retry: Option<Instant>,
    /// When each connection is swept.
    sweeps: HashMap<String, Instant>,
    running: bool,
}

/// The schedule of all namespaces.
#[derive(Debug)]
pub(super) struct Schedule {
    debounce: Debounce,
    spaces: HashMap<String, Space>,
}

impl Schedule {
    pub(super) fn new(debounce: Debounce) -> Self {
        Self { debounce, spaces: HashMap::new() }
    }

    /// Something changed that a run depends on.
    pub(super) fn changed(&mut self, namespace: &str, now: Instant) {
        let space = self.spaces.entry(namespace.to_owned()).or_default();
        space.changed = Some((space.changed.map_or(now, |(first, _)| first), now));
    }

    /// Something failed and may pass.
    pub(super) fn retry(&mut self, namespace: &str, at: Instant) {
        let space = self.spaces.entry(namespace.to_owned()).or_default();
        space.retry = Some(space.retry.map_or(at, |known| known.min(at)));
    }

    /// A connection is swept again at an instant.
    pub(super) fn sweep(&mut self, namespace: &str, connection: &str, at: Instant) {
        self.spaces.entry(namespace.to_owned()).or_default().sweeps.insert(connection.to_owned(), at);
    }

    /// A namespace's run came to its end.
    pub(super) fn done(&mut self, namespace: &str) {
        if let Some(space) = self.spaces.get_mut(namespace) {
            space.running = false;
        }
    }

    /// A namespace whose time has come, which then counts as running.
    pub(super) fn take(&mut self, now: Instant) -> Option<(String, Scope)> {
        let debounce = self.debounce;
        let (name, space) = self
            .spaces
            .iter_mut()
            .find(|(_, space)| !space.running && next(space, debounce).is_some_and(|at| at <= now))?;
        space.running = true;
        let changed = space.changed.is_some_and(|change| settled(change, debounce) <= now);
        let retried = space.retry.is_some_and(|at| at <= now);
        if changed || retried {
            space.changed = space.changed.filter(|_| !changed);
            space.retry = None;
            space.sweeps.clear();
            return Some((name.clone(), Scope::All));
        }
        let due: BTreeSet<String> =
            space.sweeps.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        space.sweeps.retain(|name, _| !due.contains(name));
        Some((name.clone(), Scope::Connections(due)))
    }

    /// When the next namespace's time comes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.spaces.values().filter(|space| !space.running).filter_map(|space| next(space, self.debounce)).min()
    }
}

fn settled((first, last): (Instant, Instant), debounce: Debounce) -> Instant {
    (last + debounce.quiet).min(first + debounce.most)
}

fn next(space: &Space, debounce: Debounce) -> Option<Instant> {
    let changed = space.changed.map(|change| settled(change, debounce));
    changed.into_iter().chain(space.retry).chain(space.sweeps.values().copied()).min()
}

/// A span with up to a tenth more or less, so that what began together does not go on together.
pub(super) fn jittered(span: Duration) -> Duration {
    span.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// How long to wait after so many failures in a row: twice as long each time, within limits, with jitter.
pub(super) fn back_off(failures: u32, least: Duration, most: Duration) -> Duration {
    let span = least.saturating_mul(1_u32 << failures.saturating_sub(1).min(16)).min(most);
    span.mul_f64(0.5 + 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(1);

    fn schedule() -> (Schedule, Instant) {
        (Schedule::new(Debounce { quiet: QUIET, most: QUIET * 5 }), Instant::now())
    }

    #[test]
    fn changes_are_gathered_until_they_pause_but_not_for_ever() {
        let (mut schedule, start) = schedule();
        schedule.changed("a", start);
        schedule.changed("a", start + QUIET / 2);
        assert_eq!(schedule.take(start + QUIET), None);
        assert_eq!(schedule.take(start + QUIET * 2), Some(("a".into(), Scope::All)));
        schedule.done("a");
        for step in 0..20 {
            schedule.changed("a", start + QUIET * 10 + QUIET * step / 2);
        }
        assert_eq!(schedule.next(), Some(start + QUIET * 15));
    }

    #[test]
    fn a_namespace_runs_once_at_a_time_and_sees_later_what_changed_meanwhile() {
        let (mut schedule, start) = schedule();
        schedule.changed("a", start);
        assert!(schedule.take(start + QUIET).is_some());
        schedule.changed("a", start + QUIET);
        assert_eq!(schedule.take(start + QUIET * 9), None);
        schedule.done("a");
        assert!(schedule.take(start + QUIET * 9).is_some());
    }

    #[test]
    fn each_connection_has_its_own_time() {
        let (mut schedule, start) = schedule();
        schedule.sweep("a", "fast", start + QUIET);
        schedule.sweep("a", "slow", start + QUIET * 4);
        let fast: BTreeSet<String> = ["fast".to_owned()].into();
        assert_eq!(schedule.take(start + QUIET * 2), Some(("a".into(), Scope::Connections(fast))));
        schedule.done("a");
        assert_eq!(schedule.next(), Some(start + QUIET * 4));
    }

    #[test]
    fn waits_grow_and_end() {
        let (least, most) = (Duration::from_secs(1), Duration::from_mins(1));
        assert!(back_off(1, least, most) <= least);
        assert!((Duration::from_secs(30)..=most).contains(&back_off(40, least, most)));
    }
}
