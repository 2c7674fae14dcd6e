//! Whether and when a failed attempt is repeated.

use std::time::Duration;

use tokio::time::Instant;

use super::spec::{Pace, Repeat};

/// What came of an attempt that is no final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setback {
    /// It surely never reached the server.
    NotSent,
    /// It was sent, and no whole answer came.
    Unanswered,
    /// An answer with a status of this kind.
    Status {
        /// The status.
        status: u16,
        /// Whether the answer says when to come back.
        dated: bool,
    },
}

impl Setback {
    /// Whether the server may have carried the call out.
    pub(super) fn maybe_processed(self) -> bool {
        match self {
            Self::NotSent => false,
            Self::Unanswered => true,
            Self::Status { status, dated } => status != 429 && !(status == 503 && dated),
        }
    }

    /// Whether the call may be repeated. `passing` are the statuses that the description calls passing faults; 500 may
    /// be one.
    pub(super) fn may_repeat(self, repeat: Repeat, passing: &[u16]) -> bool {
        let passes = match self {
            Self::NotSent | Self::Unanswered => true,
            Self::Status { status, .. } => status == 429 || status == 500 || passing.contains(&status),
        };
        passes && (repeat == Repeat::Always || !self.maybe_processed())
    }
}

/// The attempts at one call.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    pace: &'a Pace,
    overall: Duration,
    started: Instant,
    failed: u32,
}

impl<'a> Tries<'a> {
    /// Starts counting. `window` is the length of the API's window: a used-up limit comes back within it.
    pub(super) fn new(pace: &'a Pace, window: Duration) -> Self {
        Self { pace, overall: patience(pace, window), started: Instant::now(), failed: 0 }
    }

    /// Counts a failed attempt and gives the delay before the next, or nothing where it was the last. `asked` is the
    /// wait that the server asks for. A used-up limit (`limited`) ends attempts by time only.
    pub(super) fn next(&mut self, limited: bool, asked: Option<Duration>) -> Option<Duration> {
        self.failed += 1;
        if !limited && self.failed >= self.pace.attempts.max(1) {
            return None;
        }
        let delay = asked.unwrap_or_else(|| self.backoff());
        (self.started.elapsed() + delay <= self.overall).then_some(delay)
    }

    /// Exponential backoff with jitter: anything up to the doubled delay, but not nothing.
    fn backoff(&self) -> Duration {
        let doubled = self.pace.first_delay.saturating_mul(1 << self.failed.saturating_sub(1).min(16));
        let ceiling = doubled.min(self.pace.longest_delay);
        ceiling.mul_f64(0.1 + 0.9 * fastrand::f64())
    }
}

/// The longest wait for a limit to come back.
pub(super) fn patience(pace: &Pace, window: Duration) -> Duration {
    pace.overall.max(window.mul_f64(1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSING: &[u16] = &[429, 502, 503, 504];

    #[test]
    fn creates_are_repeated_only_if_surely_not_processed() {
        let create = |setback: Setback| setback.may_repeat(Repeat::IfNotProcessed, PASSING);
        assert!(create(Setback::NotSent));
        assert!(create(Setback::Status { status: 429, dated: false }));
        assert!(create(Setback::Status { status: 503, dated: true }));
        assert!(!create(Setback::Status { status: 503, dated: false }));
        assert!(!create(Setback::Status { status: 502, dated: true }));
        assert!(!create(Setback::Status { status: 500, dated: false }));
        assert!(!create(Setback::Unanswered));
    }

    #[test]
    fn what_may_be_done_twice_is_repeated_after_passing_faults_only() {
        let status = |status| Setback::Status { status, dated: false };
        assert!(status(500).may_repeat(Repeat::Always, PASSING));
        assert!(status(504).may_repeat(Repeat::Always, PASSING));
        assert!(!status(501).may_repeat(Repeat::Always, PASSING));
        assert!(Setback::Unanswered.may_repeat(Repeat::Always, PASSING));
    }

    #[test]
    fn attempts_are_bounded_by_number_and_by_time() {
        let pace = Pace::default();
        let mut tries = Tries::new(&pace, Duration::from_mins(1));
        let delays: Vec<_> = std::iter::from_fn(|| tries.next(false, None)).collect();
        assert_eq!(delays.len(), 5);
        assert!(delays.iter().enumerate().all(|(n, delay)| *delay <= pace.first_delay * (1 << n)));

        let mut tries = Tries::new(&pace, Duration::from_mins(5));
        let mut waited = Duration::ZERO;
        while let Some(delay) = tries.next(true, None) {
            tries.started -= delay;
            waited += delay;
        }
        assert!(waited > Duration::from_secs(250) && waited <= Duration::from_secs(330), "{waited:?}");
        assert_eq!(Tries::new(&pace, Duration::ZERO).next(true, Some(Duration::from_hours(1))), None);
    }
}
