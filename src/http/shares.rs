//! A credential's budget between machines: each leases a share of the calls of a window, in a document that all can see,
//! and keeps to it as long as the lease lasts.
//!
//! What a machine holds counts for one window longer than its lease, since it may have been used up at the end. Whoever
//! comes later gets a share when the others renew their leases and make room.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

/// How long a lease lasts, after how long it is renewed, and how often somebody without a share asks again.
const LENGTH: Duration = Duration::from_secs(15);
const RENEWAL: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(700);
/// How long the end of a run waits to give its share back.
const PARTING: Duration = Duration::from_secs(2);
/// Tries at a document that others write, too.
const TRIES: u32 = 8;

/// A document's text and version, or why it cannot be had.
pub type Posted = Result<Option<(Vec<u8>, String)>, String>;

/// Small documents that machines share, each replaced only if it is still what was read.
pub trait Board: Send + Sync {
    /// Reads a document with its version.
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Posted>;

    /// Replaces the document of a version, or makes it where none is given; tells whether it still was that one.
    fn replace<'a>(
        &'a self,
        name: &'a str,
        text: Vec<u8>,
        version: Option<String>,
    ) -> BoxFuture<'a, Result<bool, String>>;
}

/// One process's share of a credential's budget.
pub(super) struct Share {
    board: Arc<dyn Board>,
    name: String,
    holder: String,
    held: Mutex<Option<Held>>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of {})", self.holder, self.name)
    }
}

#[derive(Debug, Clone, Copy)]
struct Held {
    calls: u32,
    renew: Instant,
    /// There may be more where it is used up.
    more: bool,
}

/// What all hold, by holder; times are milliseconds since 1970.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    holders: BTreeMap<String, Entry>,
}

/// What one holds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    /// Calls of any window that may be its.
    calls: u32,
    /// End of the lease.
    until: u64,
    /// Length of the window.
    window: u64,
}

impl Share {
    /// A share of the credential with this name.
    pub(super) fn new(board: Arc<dyn Board>, name: String) -> Self {
        let holder = format!("{:016x}", fastrand::u64(..));
        Self { board, name, holder, held: Mutex::default() }
    }

    /// How many calls of each window this process may make now, of `requests` that all may; none while the others have
    /// not made room yet. `used` are those that it made in the last window.
    pub(super) async fn calls(&self, requests: u32, window: Duration, used: u32) -> u32 {
        let mut held = self.held.lock().await;
        if let Some(held) = *held
            && held.renew > Instant::now()
            && (used < held.calls || !held.more)
        {
            return held.calls;
        }
        let now = Instant::now();
        match self.renew(requests, window, used, LENGTH).await {
            Ok(calls) => {
                let more = calls > used && calls < requests;
                *held = Some(Held { calls, renew: now + if calls <= used { AGAIN } else { RENEWAL }, more });
                calls
            }
            Err(error) => {
                // Who can read the inventory only can plan all the same.
                tracing::warn!("the budget is not shared with other machines: {error}");
                *held = Some(Held { calls: requests, renew: now + RENEWAL, more: false });
                requests
            }
        }
    }

    /// Gives back what was leased and not used; what was used counts until its window is over.
    pub(super) async fn release(&self, window: Duration, used: u32) {
        let held = self.held.lock().await.take();
        if held.is_none() {
            return;
        }
        let given = tokio::time::timeout(PARTING, self.renew(0, window, used, Duration::ZERO)).await;
        if !matches!(given, Ok(Ok(_))) {
            tracing::debug!("a share of the budget ends by itself");
        }
    }

    async fn renew(&self, requests: u32, window: Duration, used: u32, length: Duration) -> Result<u32, String> {
        for attempt in 0..TRIES {
            let found = self.board.read(&self.name).await?;
            let (mut document, version) = match found {
                Some((text, version)) => (serde_json::from_slice(&text).unwrap_or_default(), Some(version)),
                None => (Document::default(), None),
            };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
            let calls = document.lease(&self.holder, requests, [millis(window), millis(length)], used, now);
            let text = serde_json::to_vec(&document).map_err(|error| error.to_string())?;
            if self.board.replace(&self.name, text, version).await? {
                return Ok(calls);
            }
            tokio::time::sleep(Duration::from_millis(20 << attempt.min(5)).mul_f64(0.5 + fastrand::f64())).await;
        }
        Err("others write it all the time".into())
    }
}

impl Document {
    /// Leases a share to a holder, and gives its calls: those that it used in the last window, and some more, within what
    /// is fair and what the others leave.
    fn lease(&mut self, holder: &str, requests: u32, [window, length]: [u64; 2], used: u32, now: u64) -> u32 {
        self.holders.retain(|_, entry| entry.until + entry.window > now);
        let own = self.holders.remove(holder);
        let live = self.holders.values().filter(|entry| entry.until > now).count() + 1;
        let taken: u32 = self.holders.values().fold(0, |sum, entry| sum.saturating_add(entry.calls));
        let fair = (requests / u32::try_from(live).unwrap_or(u32::MAX)).max(1);
        // As much as the time until the next renewal is good for, but never all at once: others may come any time.
        let part = u64::from(requests) * millis(LENGTH) / window.max(1);
        let part = u32::try_from(part).unwrap_or(u32::MAX).clamp(1, requests.div_ceil(4).max(1));
        let calls = fair.min(used.saturating_add(part)).min(requests.saturating_sub(taken));
        // What was used of a larger share before counts until its window is over.
        let held = calls.max(used.min(own.map_or(used, |own| own.calls)));
        let entry = Entry { calls: held, until: now + length, window };
        self.holders.insert(holder.to_owned(), entry);
        calls
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 60_000;

    const TIMES: [u64; 2] = [WINDOW, 15_000];

    #[test]
    fn shares_never_exceed_the_budget_and_become_fair() {
        let mut document = Document::default();
        let total = |document: &Document| document.holders.values().map(|entry| entry.calls).sum::<u32>();
        assert_eq!(document.lease("a", 600, TIMES, 0, 0), 150, "a part at a time");
        let mut used = 150;
        while used < 600 {
            used = document.lease("a", 600, TIMES, used, 100);
            assert!(total(&document) <= 600);
        }
        assert_eq!(document.lease("b", 600, TIMES, 0, 1000), 0, "nothing is left for the second yet");
        assert_eq!(document.lease("a", 600, TIMES, 350, 10_000), 300, "who has more than is fair gets no more");
        assert_eq!(document.holders["a"].calls, 350, "and what was used counts");
        assert_eq!(document.lease("b", 600, TIMES, 0, 11_000), 150);
        assert_eq!(document.lease("b", 600, TIMES, 150, 12_000), 250);
        assert_eq!(total(&document), 600);
        assert_eq!(document.lease("a", 600, TIMES, 100, 20_000), 250);
        assert!(total(&document) <= 600);
    }

    #[test]
    fn what_was_used_counts_for_a_window_after_the_end_and_the_rest_does_not() {
        let mut document = Document::default();
        document.lease("a", 600, TIMES, 0, 0);
        assert_eq!(document.lease("a", 0, [WINDOW, 0], 40, 500), 0);
        assert_eq!(document.holders["a"].calls, 40);
        let most = |document: &mut Document, now| {
            let mut used = 0;
            for _ in 0..9 {
                used = document.lease("b", 600, TIMES, used, now);
            }
            used
        };
        assert_eq!(most(&mut document, 1000), 560);
        assert_eq!(most(&mut document, 500 + WINDOW + 1), 600);
    }
}
