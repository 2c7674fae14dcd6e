//! Keeps the intents of calls under way young: absence counts only some time after the last of them, however long a call
//! waits for its turn or for its answer.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::Shared;
use crate::{
    http::{Leave, Terms},
    live::Remote,
};

/// The longest that an intent holds while a call is under way.
pub const RENEWAL: Duration = Duration::from_secs(5);

/// For how long intents hold while a call is under way. A remote inventory is written less often.
pub(super) fn renewal(settle: Duration, remote: bool) -> Duration {
    let most = if remote { RENEWAL } else { Duration::from_secs(2) };
    (settle / 2).clamp(Duration::from_millis(250), most)
}

/// Until when the intents of all calls under way hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Fresh(Arc<Mutex<Vec<Option<Holds>>>>);

#[derive(Debug, Clone, Copy)]
struct Holds {
    until: Instant,
    until_by_the_clock: SystemTime,
}

impl Fresh {
    fn begin(&self, time: Duration) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = all.iter().position(Option::is_none).unwrap_or_else(|| {
            all.push(None);
            all.len() - 1
        });
        all[slot] = Some(Holds::from_now(time));
        slot
    }

    fn set(&self, slot: usize, holds: Option<Holds>) {
        if let Some(place) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(slot) {
            *place = holds;
        }
    }

    /// The first instant at which an intent does not hold any more.
    fn until(&self) -> Option<Instant> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().flatten().map(Holds::until).min()
    }
}

impl Holds {
    fn from_now(time: Duration) -> Self {
        Self { until: Instant::now() + time, until_by_the_clock: SystemTime::now() + time }
    }

    /// A machine that slept has a clock that went on and an `Instant` that did not.
    fn until(&self) -> Instant {
        let left = self.until_by_the_clock.duration_since(SystemTime::now()).unwrap_or_default();
        self.until.min(Instant::now() + left)
    }
}

impl Shared<'_> {
    /// Carries out the calls of steps whose intents were just written, and writes the intents anew as long as it takes.
    pub(super) async fn keeping<T>(
        &self,
        remote: &Remote,
        steps: &[usize],
        begun: jiff::Timestamp,
        work: impl Future<Output = T>,
    ) -> T {
        let period = renewal(remote.client.settle(), self.context.inventory.safe_until().is_some());
        let slot = self.fresh.begin(period);
        let keeper = async {
            loop {
                tokio::time::sleep(period / 2).await;
                let holds = Holds::from_now(period);
                let intents = steps.iter().map(|index| self.intent(*index, begun)).collect();
                // Where it cannot be written, no further attempt starts once the last one does not hold any more.
                if self.context.inventory.commit(intents).await.is_ok() {
                    self.fresh.set(slot, Some(holds));
                }
            }
        };
        let done = tokio::select! {
            biased;
            done = work => done,
            never = keeper => never,
        };
        self.fresh.set(slot, None);
        done
    }

    /// When a write may start, and until when it has to have ended: while its intent holds, and within the lease of a
    /// remote inventory.
    pub(super) fn terms(&self) -> Leave {
        let (fresh, safe) = (self.fresh.clone(), self.context.inventory.safe());
        let until = self.context.until.clone();
        Leave::new(move || Terms { start_by: fresh.until(), end_by: super::earlier(safe(), until()) })
    }
}
