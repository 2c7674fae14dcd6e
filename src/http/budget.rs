//! The budget of one credential: how many calls at the same time, and how many in a window.
//!
//! The number of calls at the same time adapts: it is halved when the server pushes back and grows slowly again. When
//! each may go is the business of [`super::turns`].

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    ledger::Ledger,
    shares::{Board, Share},
    spec::Pace,
    turns::Turns,
};
use crate::{description::format::Limits, manifest::ConnectionLimits};

/// Requests at the same time, where nothing says how many.
const CONCURRENCY: u32 = 8;
/// Share of the budget that is left for people, in percent, where nothing says how much.
const RESERVE: u32 = 20;
/// What a request is reckoned to take in estimates, in seconds.
const NOMINAL: f64 = 0.2;
/// How often it is looked whether another process made room.
const ELSEWHERE: Duration = Duration::from_millis(30);

/// Makes a name from the hash of a credential, from which that cannot be guessed.
pub type Naming = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// The budgets of all credentials that are in use; clones share them.
#[derive(Clone, Default)]
pub struct Budgets {
    known: Arc<Mutex<HashMap<Vec<u8>, Arc<Budget>>>>,
    folder: Option<PathBuf>,
}

impl Budgets {
    /// Budgets that all processes of this machine share which use the same folder.
    pub fn shared(folder: Option<PathBuf>) -> Self {
        Self { known: Arc::default(), folder }
    }

    /// Gives the shares that were leased back to other machines, as far as they can be reached.
    pub async fn release(&self) {
        let all: Vec<Arc<Budget>> =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        futures::future::join_all(all.iter().map(|budget| budget.turns.release())).await;
    }

    /// The budget of a credential, by its fingerprint, with the newest model. Machines share it by way of a board, under a
    /// name that is made from the fingerprint.
    pub(super) fn of(
        &self,
        fingerprint: Vec<u8>,
        model: Model,
        pace: &Pace,
        board: Option<&(Arc<dyn Board>, Naming)>,
    ) -> Arc<Budget> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |key: &Vec<u8>| board.map(|(board, name)| Share::new(board.clone(), name(key)));
        let made = |key: &Vec<u8>| Arc::new(Budget::new(model, pace, self.ledger(key), share(key)));
        let budget = all.entry(fingerprint).or_insert_with_key(made).clone();
        drop(all);
        budget.configure(model, pace);
        budget
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budgets").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Budgets {
    fn ledger(&self, fingerprint: &[u8]) -> Option<Arc<Ledger>> {
        let folder = self.folder.as_ref()?;
        match Ledger::open(folder, fingerprint) {
            Ok(ledger) => Some(Arc::new(ledger)),
            Err(error) => {
                tracing::debug!(%error, "the budget is not shared with other processes");
                None
            }
        }
    }
}

/// What is known beforehand about a credential's limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// Requests that plumb may send in a window, the share for people taken off.
    pub(super) requests: Option<u32>,
    /// Length of the window.
    pub(super) window: Duration,
    /// Most requests at the same time.
    pub(super) concurrency: u32,
}

impl Model {
    /// The API's limits, as a connection overrides them.
    pub(super) fn new(api: &Limits, own: &ConnectionLimits) -> Self {
        let reserve = own.reserve.unwrap_or(RESERVE).min(99);
        let requests = own.requests.or(api.requests).map(|all| {
            let usable = u64::from(all) * u64::from(100 - reserve) / 100;
            u32::try_from(usable).unwrap_or(u32::MAX).max(1)
        });
        let window = own.window.or(api.window).unwrap_or(60).max(1);
        let concurrency = own.concurrency.or(api.concurrency).unwrap_or(CONCURRENCY).max(1);
        Self { requests, window: Duration::from_secs(u64::from(window)), concurrency }
    }

    /// Seconds that this many calls need where the budget has `free` calls at once; a fresh one has all.
    pub(super) fn seconds_for(&self, calls: u64, free: Option<u32>) -> f64 {
        let requests = self.requests.map(u64::from);
        let at_once = requests.map(|requests| free.map_or(requests, u64::from).min(requests));
        let (windows, rest) = match (requests, at_once) {
            (Some(requests), Some(at_once)) if calls > at_once => {
                ((calls - at_once - 1) / requests + 1, (calls - at_once - 1) % requests + 1)
            }
            _ => (0, calls),
        };
        float(windows) * self.window.as_secs_f64() + float(rest.div_ceil(u64::from(self.concurrency))) * NOMINAL
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate of seconds bears it")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The budget of one credential.
#[derive(Debug)]
pub(super) struct Budget {
    crowd: Mutex<Crowd>,
    freed: Notify,
    /// When each call may go.
    pub(super) turns: Turns,
    ledger: Option<Arc<Ledger>>,
}

/// A place among the calls of this process, given back when dropped.
#[derive(Debug)]
struct Place(Option<Arc<Budget>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(budget) = &self.0 {
            let mut crowd = budget.crowd();
            crowd.busy = crowd.busy.saturating_sub(1);
            drop(crowd);
            budget.freed.notify_one();
        }
    }
}

/// How many calls are under way, and how many may be.
#[derive(Debug)]
struct Crowd {
    most: f64,
    limit: f64,
    busy: u32,
    shrunk: Option<Instant>,
}

impl Crowd {
    fn has_room(&self) -> bool {
        f64::from(self.busy) + 1.0 <= self.limit
    }
}

/// Leave to have one call under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Budget>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut crowd = self.0.crowd();
        crowd.busy = crowd.busy.saturating_sub(1);
        let room = crowd.has_room();
        drop(crowd);
        if let Some(ledger) = &self.0.ledger {
            ledger.leave();
        }
        if room {
            self.0.freed.notify_one();
        }
    }
}

impl Budget {
    fn new(model: Model, pace: &Pace, ledger: Option<Arc<Ledger>>, share: Option<Share>) -> Self {
        let most = f64::from(model.concurrency);
        Self {
            crowd: Mutex::new(Crowd { most, limit: most, busy: 0, shrunk: None }),
            freed: Notify::new(),
            turns: Turns::new(model, pace, ledger.clone(), share),
            ledger,
        }
    }

    fn configure(&self, model: Model, pace: &Pace) {
        let mut crowd = self.crowd();
        let most = f64::from(model.concurrency);
        if (crowd.most - most).abs() > f64::EPSILON {
            crowd.most = most;
            crowd.limit = most;
        }
        drop(crowd);
        self.turns.configure(model, pace);
    }

    /// Waits for room among the calls under way.
    pub(super) async fn permit(self: &Arc<Self>) -> Permit {
        loop {
            let freed = self.freed.notified();
            let took = {
                let mut crowd = self.crowd();
                let took = crowd.has_room();
                crowd.busy += u32::from(took);
                took.then(|| crowd.has_room())
            };
            match took {
                Some(more) => {
                    if more {
                        self.freed.notify_one();
                    }
                    return self.among_all().await;
                }
                None => freed.await,
            }
        }
    }

    /// Waits for room among the calls that all processes have under way.
    async fn among_all(self: &Arc<Self>) -> Permit {
        let Some(ledger) = &self.ledger else { return Permit(self.clone()) };
        // Whoever gives up waiting gives its place among this process's own calls back.
        let mut place = Place(Some(self.clone()));
        while !ledger.enter(self.crowd().most) {
            tokio::time::sleep(ELSEWHERE.mul_f64(0.5 + fastrand::f64())).await;
        }
        place.0 = None;
        Permit(self.clone())
    }

    /// The server pushes back: half as many calls at the same time. `sent` is when the call that met it was sent, so
    /// that calls sent together count once.
    pub(super) fn shrink(&self, sent: Instant) {
        let mut crowd = self.crowd();
        if crowd.shrunk.is_none_or(|last| sent > last) {
            crowd.limit = (crowd.limit / 2.0).floor().max(1.0);
            crowd.shrunk = Some(Instant::now());
        }
        let most = crowd.most;
        drop(crowd);
        if let Some(ledger) = &self.ledger {
            ledger.shrink(most, sent.elapsed());
        }
    }

    /// A call went well: one more at the same time after as many such calls as there may be.
    pub(super) fn grow(&self) {
        let mut crowd = self.crowd();
        crowd.limit = (crowd.limit + 1.0 / crowd.limit).min(crowd.most);
        let (room, most) = (crowd.has_room(), crowd.most);
        drop(crowd);
        if let Some(ledger) = &self.ledger {
            ledger.grow(most);
        }
        if room {
            self.freed.notify_one();
        }
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn model(requests: u32, window: u32, reserve: Option<u32>) -> Model {
        let api = Limits { requests: Some(requests), window: Some(window), ..Limits::default() };
        Model::new(&api, &ConnectionLimits { reserve, ..ConnectionLimits::default() })
    }

    fn budget(concurrency: u32) -> Arc<Budget> {
        Arc::new(Budget::new(
            Model { requests: None, window: Duration::from_mins(1), concurrency },
            &Pace::default(),
            None,
            None,
        ))
    }

    #[test]
    fn a_share_is_left_for_people() {
        assert_eq!(model(3000, 300, None).requests, Some(2400));
        assert_eq!(model(3000, 300, Some(0)).requests, Some(3000));
        assert_eq!(model(1, 60, Some(100)).requests, Some(1));
        let own = ConnectionLimits { requests: Some(10), window: Some(1), concurrency: Some(2), reserve: Some(50) };
        let model = Model::new(&Limits { requests: Some(3000), ..Limits::default() }, &own);
        assert_eq!((model.requests, model.window.as_secs(), model.concurrency), (Some(5), 1, 2));
    }

    #[test]
    fn estimates_count_the_windows() {
        let model = model(3000, 300, None);
        assert!(model.seconds_for(0, None) < f64::EPSILON);
        assert!((model.seconds_for(16, None) - 0.4).abs() < 1e-9);
        assert!((model.seconds_for(2400, None) - 60.0).abs() < 1e-9);
        assert!((model.seconds_for(2401, None) - 300.2).abs() < 1e-9);
        assert!((model.seconds_for(4801, None) - 600.2).abs() < 1e-9);
        assert!((model.seconds_for(16, Some(10)) - 300.2).abs() < 1e-9, "what was used before is not there any more");
    }

    #[tokio::test]
    async fn no_more_calls_than_allowed_are_under_way_and_none_is_forgotten() {
        let budget = budget(3);
        let (now, peak) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let calls = (0..50).map(|_| {
            let (budget, now, peak) = (budget.clone(), now.clone(), peak.clone());
            tokio::spawn(async move {
                let _permit = budget.permit().await;
                peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                now.fetch_sub(1, Ordering::SeqCst);
            })
        });
        let all = futures::future::join_all(calls);
        tokio::time::timeout(Duration::from_secs(5), all).await.expect("every call gets its turn");
        assert_eq!(peak.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn push_back_halves_once_for_calls_sent_together_and_never_stops_all() {
        let budget = budget(8);
        let sent = Instant::now();
        budget.shrink(sent);
        budget.shrink(sent);
        assert!((budget.crowd().limit - 4.0).abs() < f64::EPSILON);
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(1));
            budget.shrink(Instant::now());
        }
        assert!((budget.crowd().limit - 1.0).abs() < f64::EPSILON);
        for _ in 0..200 {
            budget.grow();
        }
        assert!((budget.crowd().limit - 8.0).abs() < f64::EPSILON);
    }
}
