//! How a lease stands: until when its holder may write, and whether it was lost.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use jiff::{SignedDuration, Timestamp};

use crate::inventory::Holder;

/// How long a lease lasts and how often it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long it lasts.
    pub length: Duration,
    /// After how long it is renewed.
    pub renewal: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { length: Duration::from_mins(1), renewal: Duration::from_secs(20) }
    }
}

impl LeaseTimes {
    /// Its length in whole milliseconds.
    pub(super) fn milliseconds(self) -> u64 {
        u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX)
    }

    /// When a lease that is taken now ends, RFC 3339, by this machine's clock.
    pub(super) fn end(self) -> Option<String> {
        let length = SignedDuration::try_from(self.length).ok()?;
        Some(Timestamp::now().checked_add(length).ok()?.to_string())
    }
}

/// What the holder knows of its lease.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    until: Instant,
    until_by_the_clock: SystemTime,
    lost: Option<Loss>,
}

/// That a lease was lost.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    /// Who has it now, if somebody has.
    pub(super) holder: Option<Holder>,
}

/// The instant at which a lease is asked for: it lasts from then on, since its keeper counts from later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked(Instant, SystemTime);

impl Asked {
    /// Now.
    pub(super) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// The standing of a lease that was given.
    pub(super) fn given(self, times: LeaseTimes) -> Standing {
        Standing { until: self.0 + times.length, until_by_the_clock: self.1 + times.length, lost: None }
    }
}

/// A view of a lease, for those who hold it and those who do not.
#[derive(Debug, Clone)]
pub(super) struct LeaseView(Arc<Mutex<Standing>>);

impl LeaseView {
    /// A view of a lease that was given.
    pub(super) fn new(standing: Standing) -> Self {
        Self(Arc::new(Mutex::new(standing)))
    }

    /// When the lease ends unless it is renewed; in the past if it was lost.
    pub(super) fn until(&self) -> Instant {
        let standing = self.lock();
        // A machine that slept has a clock that went on and an `Instant` that did not.
        let left = standing.until_by_the_clock.duration_since(SystemTime::now()).unwrap_or_default();
        standing.until.min(Instant::now() + left)
    }

    /// Whether it was lost, and to whom.
    pub(super) fn lost(&self) -> Option<Loss> {
        self.lock().lost.clone()
    }

    /// Notes that it was renewed.
    pub(super) fn renewed(&self, standing: Standing) {
        *self.lock() = standing;
    }

    /// Notes that it was lost.
    pub(super) fn lose(&self, holder: Option<Holder>) {
        let mut standing = self.lock();
        standing.lost = Some(Loss { holder });
        standing.until = Instant::now();
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
