//! When each call of a credential may go.
//!
//! A token bucket whose tokens come back one window after they were taken, so that no window of any position sees more
//! calls than the budget; besides, what the server says: no call before `Retry-After` is over, none once the limit
//! that its headers tell is used up, until it comes back.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{budget::Model, ledger::Ledger, quota::Quota, retry, shares::Share, spec::Pace};

/// How often it is looked whether another process was told that the limit came back.
const ELSEWHERE: Duration = Duration::from_millis(250);
/// Waits from here on are told of.
const TOLD: Duration = Duration::from_secs(1);

/// Told of a wait for the budget, in seconds.
pub(super) type Tell<'a> = &'a (dyn Fn(f64) + Sync);

/// The turns of one credential's calls.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Notify,
    /// What other processes of this machine do.
    ledger: Option<Arc<Ledger>>,
    /// What other machines leave.
    share: Option<Share>,
}

#[derive(Debug)]
struct State {
    requests: Option<usize>,
    /// Those of them that other machines leave.
    own: Option<u32>,
    window: Duration,
    patience: Duration,
    /// When the latest calls went or will go, at most `requests` of them, oldest first.
    taken: VecDeque<Instant>,
    /// No call goes before this.
    gate: Option<Instant>,
    /// What the server's headers leave.
    left: Option<Left>,
    /// Calls on the wire.
    flying: u32,
    quota: Quota,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    calls: i64,
    until: Instant,
}

/// A call on the wire; over when dropped.
#[derive(Debug)]
pub(super) struct Flight<'a>(&'a Turns);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.flying = state.flying.saturating_sub(1);
        drop(state);
        if let Some(ledger) = &self.0.ledger {
            ledger.land();
        }
    }
}

/// The API's limit is used up for longer than anybody waits: for this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedUp(pub(super) Duration);

impl Turns {
    pub(super) fn new(model: Model, pace: &Pace, ledger: Option<Arc<Ledger>>, share: Option<Share>) -> Self {
        let state = State {
            requests: None,
            own: None,
            window: Duration::ZERO,
            patience: Duration::ZERO,
            taken: VecDeque::new(),
            gate: None,
            left: None,
            flying: 0,
            quota: Quota::default(),
        };
        let turns = Self { state: Mutex::new(state), changed: Notify::new(), ledger, share };
        turns.configure(model, pace);
        turns
    }

    pub(super) fn configure(&self, model: Model, pace: &Pace) {
        let mut state = self.state();
        state.requests = model.requests.map(|requests| usize::try_from(requests).unwrap_or(usize::MAX));
        state.window = pace.scaled(model.window);
        state.patience = retry::patience(pace, state.window);
    }

    /// Length of the window, at the client's pace.
    pub(super) fn window(&self) -> Duration {
        self.state().window
    }

    /// Waits for a call's turn under the budget, then for the server's leave.
    pub(super) async fn take(&self) -> Result<Flight<'_>, UsedUp> {
        self.slot_comes(&|_| ()).await;
        self.depart(&|_| ()).await
    }

    /// Takes a slot of the budget and waits for it.
    pub(super) async fn slot_comes(&self, tell: Tell<'_>) {
        let (requests, window) = {
            let state = self.state();
            let Some(requests) = state.requests else { return };
            (saturated(requests), state.window)
        };
        let mut own = requests;
        if let Some(share) = &self.share {
            loop {
                own = share.calls(requests, window, self.used(window)).await;
                if own > 0 {
                    break;
                }
                tell(TOLD.as_secs_f64());
                tokio::time::sleep(ELSEWHERE).await;
            }
        }
        let slot = self.slot(own);
        self.state().own = Some(own);
        let wait = slot.duration_since(Instant::now());
        if wait >= TOLD {
            tell(wait.as_secs_f64());
        }
        sleep_until(slot).await;
    }

    /// Gives what was leased and not used back.
    pub(super) async fn release(&self) {
        let window = self.state().window;
        if let Some(share) = &self.share {
            share.release(window, self.used(window)).await;
        }
    }

    /// Calls of this process in the last window.
    fn used(&self, window: Duration) -> u32 {
        let now = Instant::now();
        let state = self.state();
        let recent = state.taken.iter().rev().take_while(|taken| **taken + window > now).count();
        saturated(recent)
    }

    /// Calls that the budget has at once, and how long it is until the first of them may go.
    pub(super) fn at_hand(&self) -> (Option<u32>, Duration) {
        let (requests, window, closed) = {
            let state = self.state();
            let now = Instant::now();
            let closed = state.closed_until(now).map_or(Duration::ZERO, |until| until.duration_since(now));
            (state.requests, state.window, closed)
        };
        let shared = self.ledger.as_ref().and_then(|ledger| ledger.recent(window));
        let used = shared.map_or(0, |(used, _)| used).max(self.used(window));
        let free = requests.map(|requests| saturated(requests).saturating_sub(used));
        (free, closed.max(shared.map_or(Duration::ZERO, |(_, wait)| wait)))
    }

    /// Waits until the server lets calls through.
    pub(super) async fn depart(&self, tell: Tell<'_>) -> Result<Flight<'_>, UsedUp> {
        let mut told = false;
        let mut tell = |wait: Duration| {
            if wait >= TOLD && !std::mem::replace(&mut told, true) {
                tell(wait.as_secs_f64());
            }
        };
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let until = {
                let mut state = self.state();
                let now = Instant::now();
                let budget = state.requests.map(|all| (state.own.unwrap_or_else(|| saturated(all)), state.window));
                let elsewhere = || self.ledger.as_ref().map_or(Ok(()), |ledger| ledger.depart(budget));
                match state.closed_until(now) {
                    None => match elsewhere() {
                        Ok(()) => {
                            if let Some(left) = &mut state.left {
                                left.calls -= 1;
                            }
                            state.flying += 1;
                            return Ok(Flight(self));
                        }
                        Err(wait) if wait > state.patience => return Err(UsedUp(wait)),
                        Err(wait) => {
                            tell(wait);
                            now + wait.min(ELSEWHERE)
                        }
                    },
                    Some(until) if until.duration_since(now) > state.patience => {
                        return Err(UsedUp(until.duration_since(now)));
                    }
                    Some(until) => until,
                }
            };
            tell(until.duration_since(Instant::now()));
            tokio::select! {
                () = sleep_until(until) => {}
                () = changed => {}
            }
        }
    }

    /// Reserves the next slot of a budget of so many requests in a window, and says when it is.
    fn slot(&self, requests: u32) -> Instant {
        let mut state = self.state();
        let most = state.requests.unwrap_or(usize::MAX);
        let requests = usize::try_from(requests).unwrap_or(usize::MAX).clamp(1, most);
        let now = Instant::now();
        let slot = match state.taken.len().checked_sub(requests).and_then(|index| state.taken.get(index)) {
            Some(taken) => (*taken + state.window).max(now),
            None => now,
        };
        let slot = state.taken.back().map_or(slot, |last| slot.max(*last));
        state.taken.push_back(slot);
        while state.taken.len() > most {
            state.taken.pop_front();
        }
        slot
    }

    /// No call goes before this time is over.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state();
        state.gate = Some(state.gate.map_or(until, |gate| gate.max(until)));
        drop(state);
        if let Some(ledger) = &self.ledger {
            ledger.pause(time);
        }
        self.changed.notify_waiters();
    }

    /// Notes what an answer's headers say of the limit; `reset` is the time until it comes back. The answer's own call
    /// is still on the wire.
    pub(super) fn told(&self, quota: Quota, reset: Option<Duration>) {
        if quota.is_empty() {
            return;
        }
        let mut state = self.state();
        state.quota = quota;
        let Some(remaining) = quota.remaining else { return };
        let now = Instant::now();
        let until = now + reset.unwrap_or(state.window);
        // Calls that are under way besides this one may not be counted yet.
        let calls = i64::try_from(remaining).unwrap_or(i64::MAX) - i64::from(state.flying.saturating_sub(1));
        let calls = match state.left {
            Some(left) if left.until > now && is_same_window(left.until, until) => calls.min(left.calls),
            _ => calls,
        };
        state.left = Some(Left { calls, until });
        drop(state);
        if let Some(ledger) = &self.ledger {
            ledger.told(remaining, until.duration_since(now));
        }
        self.changed.notify_waiters();
    }

    pub(super) fn quota(&self) -> Quota {
        self.state().quota
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn closed_until(&self, now: Instant) -> Option<Instant> {
        let used_up = self.left.filter(|left| left.calls <= 0).map(|left| left.until);
        self.gate.into_iter().chain(used_up).filter(|until| *until > now).max()
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether two ends of a window, told in whole seconds, are the same one.
fn is_same_window(one: Instant, other: Instant) -> bool {
    one.max(other) - one.min(other) < Duration::from_millis(1500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(requests: Option<u32>, window: u64, second: f64) -> Turns {
        let model = Model { requests, window: Duration::from_secs(window), concurrency: 8 };
        Turns::new(model, &Pace { second, ..Pace::default() }, None, None)
    }

    fn quota(remaining: u64) -> Quota {
        Quota { remaining: Some(remaining), ..Quota::default() }
    }

    #[test]
    fn no_window_sees_more_calls_than_the_budget() {
        let turns = turns(Some(5), 10, 1.0);
        let slots: Vec<Instant> = (0..23).map(|_| turns.slot(5)).collect();
        assert!(slots[4] - slots[0] < Duration::from_millis(100), "a fresh budget is used at once");
        for pair in slots.windows(6) {
            assert!(pair[5] - pair[0] >= Duration::from_secs(10));
        }
        assert!(slots[22] - slots[0] < Duration::from_millis(40_100), "nothing of the budget is wasted");
    }

    #[tokio::test]
    async fn calls_wait_before_the_servers_limit_is_used_up() {
        let turns = turns(None, 60, 1.0);
        let first = turns.take().await.unwrap();
        let other = turns.take().await.unwrap();
        turns.told(quota(2), Some(Duration::from_millis(80)));
        drop(first);
        let start = Instant::now();
        let third = turns.take().await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(40), "one is left: two, less the other on its way");
        let _fourth = turns.take().await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(75));
        drop((other, third));
    }

    #[tokio::test]
    async fn nothing_goes_before_a_pause_is_over_and_nobody_waits_for_ever() {
        let turns = turns(None, 60, 1.0);
        turns.pause(Duration::from_millis(50));
        turns.pause(Duration::from_millis(10));
        let start = Instant::now();
        drop(turns.take().await.unwrap());
        assert!(start.elapsed() >= Duration::from_millis(50));
        turns.pause(Duration::from_hours(1));
        let UsedUp(wait) = turns.take().await.unwrap_err();
        assert!(wait > Duration::from_secs(3500));
    }

    #[tokio::test]
    async fn a_limit_that_comes_back_early_lets_waiting_calls_through() {
        let turns = turns(None, 60, 1.0);
        turns.told(quota(0), Some(Duration::from_secs(20)));
        let waiting = turns.take();
        let telling = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            turns.told(quota(9), Some(Duration::from_mins(1)));
        };
        let both = futures::future::join(waiting, telling);
        let (flight, ()) = tokio::time::timeout(Duration::from_secs(2), both).await.unwrap();
        assert!(flight.is_ok());
    }
}
