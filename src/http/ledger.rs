//! What the processes of one machine that use the same credential tell each other, in a small file that only one of them
//! writes at a time: the calls of the last window, the waits that the server asked for, who has how many calls under way.
//!
//! The file is named by a hash and never has the credential. A process that cannot get at it for a moment (another one is
//! stopped with the lock in its hand) goes on by what it knows itself.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

/// Parts that a window is counted in.
const SLICES: u64 = 100;
/// Tries at the lock, and the time in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);
/// For how long a file that could not be locked is not tried again.
const SULK: Duration = Duration::from_secs(5);
/// Files that nobody has used for so long are removed.
const OLD: Duration = Duration::from_hours(24);
/// The longest that a call may be late, in milliseconds.
const MARGIN: u64 = 250;
/// The longest file that is read.
const LONGEST: u64 = 1 << 20;

/// The shared file of one credential.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Mutex<File>,
    folder: PathBuf,
    hash: String,
    /// Name of this process among those of the credential.
    token: String,
    /// Locked while this process lives.
    _alive: File,
    sulking: Mutex<Option<Instant>>,
    own: Mutex<Share>,
}

/// The calls of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
    /// With leave to go.
    busy: u32,
    /// On the wire.
    flying: u32,
}

/// What the file says; times are milliseconds since 1970.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Page {
    /// Calls that went or will go, by the start of the slice of time that they go in.
    taken: Vec<(u64, u32)>,
    /// No call goes before this.
    gate: u64,
    /// Calls that the server's headers leave, and until when.
    left: Option<(i64, u64)>,
    /// Calls at the same time, after push-back.
    limit: Option<f64>,
    shrunk: u64,
    processes: BTreeMap<String, Share>,
}

impl Ledger {
    /// Opens the file of a credential, and makes it where there is none.
    pub(super) fn open(folder: &Path, fingerprint: &[u8]) -> io::Result<Self> {
        private_folder(folder)?;
        sweep(folder);
        let hash = keyed(folder, fingerprint)?;
        let file = private_file(&folder.join(format!("{hash}.budget")))?;
        let token = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        let alive = private_file(&alive_path(folder, &hash, &token))?;
        alive.try_lock().map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        Ok(Self {
            file: Mutex::new(file),
            folder: folder.to_owned(),
            hash,
            token,
            _alive: alive,
            sulking: Mutex::default(),
            own: Mutex::default(),
        })
    }

    /// Calls of the last window, all processes together.
    pub(super) fn recent(&self, window: Duration) -> Option<(u32, Duration)> {
        self.with(|page, now| {
            page.prune(millis(window), now);
            let wait = page.is_open(now).err().unwrap_or_default();
            (page.taken.iter().map(|(_, count)| count).sum(), wait)
        })
    }

    /// Takes leave to have one more call under way, if fewer than `most` are, all processes together.
    pub(super) fn enter(&self, most: f64) -> bool {
        let entered = self.with(|page, _| {
            let limit = page.limit.unwrap_or(most).min(most);
            if page.busy() + 1.0 > limit {
                page.bury_the_dead(&self.folder, &self.hash, &self.token);
            }
            let room = page.busy() + 1.0 <= limit;
            if room {
                self.count(page, |own| own.busy += 1);
            }
            room
        });
        entered.unwrap_or_else(|| {
            self.own().busy += 1;
            true
        })
    }

    /// Gives the leave back.
    pub(super) fn leave(&self) {
        if self.with(|page, _| self.count(page, |own| own.busy = own.busy.saturating_sub(1))).is_none() {
            let mut own = self.own();
            own.busy = own.busy.saturating_sub(1);
        }
    }

    /// Lets a call go on the wire, within a budget of `requests` in a window where there is one, and while the server lets
    /// calls through; or says after how long to ask again.
    pub(super) fn depart(&self, budget: Option<(u32, Duration)>) -> Result<(), Duration> {
        let went = self.with(|page, now| {
            page.is_open(now)?;
            if let Some((requests, window)) = budget {
                page.take(requests, millis(window), now)?;
            }
            if let Some((calls, _)) = &mut page.left {
                *calls -= 1;
            }
            self.count(page, |own| own.flying += 1);
            Ok(())
        });
        went.unwrap_or_else(|| {
            self.own().flying += 1;
            Ok(())
        })
    }

    /// A call is not on the wire any more.
    pub(super) fn land(&self) {
        if self.with(|page, _| self.count(page, |own| own.flying = own.flying.saturating_sub(1))).is_none() {
            let mut own = self.own();
            own.flying = own.flying.saturating_sub(1);
        }
    }

    /// No call goes before this time is over.
    pub(super) fn pause(&self, time: Duration) {
        self.with(|page, now| page.gate = page.gate.max(now + millis(time)));
    }

    /// Notes what the server's headers leave; the call that they came with is still on the wire.
    pub(super) fn told(&self, remaining: u64, reset: Duration) {
        self.with(|page, now| {
            let until = now + millis(reset);
            let flying: i64 = page.processes.values().map(|share| i64::from(share.flying)).sum();
            let calls = i64::try_from(remaining).unwrap_or(i64::MAX) - (flying - 1).max(0);
            let same = page.left.filter(|(_, known)| *known > now && known.abs_diff(until) < 1500);
            page.left = Some((same.map_or(calls, |(known, _)| calls.min(known)), until));
        });
    }

    /// The server pushes back: half as many calls at the same time. Calls that were sent together count once.
    pub(super) fn shrink(&self, most: f64, sent: Duration) {
        self.with(|page, now| {
            if now.saturating_sub(millis(sent)) >= page.shrunk {
                page.limit = Some((page.limit.unwrap_or(most).min(most) / 2.0).floor().max(1.0));
                page.shrunk = now;
            }
        });
    }

    /// A call went well: one more at the same time after as many such calls as there may be.
    pub(super) fn grow(&self, most: f64) {
        self.with(|page, _| {
            if let Some(limit) = page.limit {
                let grown = limit + 1.0 / limit.max(1.0);
                page.limit = (grown < most).then_some(grown);
            }
        });
    }

    fn count(&self, page: &mut Page, change: impl FnOnce(&mut Share)) {
        let mut own = self.own();
        change(&mut own);
        page.processes.insert(self.token.clone(), *own);
    }

    fn own(&self) -> std::sync::MutexGuard<'_, Share> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the page, lets it be changed, and writes it again.
    fn with<T>(&self, change: impl FnOnce(&mut Page, u64) -> T) -> Option<T> {
        let mut sulking = self.sulking.lock().unwrap_or_else(PoisonError::into_inner);
        if sulking.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match locked(&mut file, change) {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::debug!(%error, "what other processes use of the budget is not known");
                *sulking = Some(Instant::now() + SULK);
                None
            }
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.with(|page, _| page.processes.remove(&self.token));
        let _ = fs::remove_file(alive_path(&self.folder, &self.hash, &self.token));
    }
}

/// Locks a file, but waits no longer than a moment for whoever has it.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn locked<T>(file: &mut File, change: impl FnOnce(&mut Page, u64) -> T) -> io::Result<T> {
    lock(file)?;
    let done = rewritten(file, change);
    file.unlock()?;
    done
}

fn rewritten<T>(file: &mut File, change: impl FnOnce(&mut Page, u64) -> T) -> io::Result<T> {
    let mut text = Vec::new();
    file.rewind()?;
    Read::by_ref(file).take(LONGEST).read_to_end(&mut text)?;
    // What cannot be read is of no use to anybody.
    let mut page: Page = serde_json::from_slice(&text).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
    let value = change(&mut page, now);
    let new = serde_json::to_vec(&page).map_err(io::Error::other)?;
    if new != text {
        file.rewind()?;
        file.write_all(&new)?;
        file.set_len(u64::try_from(new.len()).unwrap_or(u64::MAX))?;
    }
    Ok(value)
}

impl Page {
    fn busy(&self) -> f64 {
        self.processes.values().map(|share| f64::from(share.busy)).sum()
    }

    fn is_open(&self, now: u64) -> Result<(), Duration> {
        let closed = self.left.filter(|(calls, _)| *calls <= 0).map_or(0, |(_, until)| until);
        match self.gate.max(closed) {
            until if until > now => Err(Duration::from_millis(until - now)),
            _ => Ok(()),
        }
    }

    /// Drops what lies before the window, and what a clock that was set back left in the future.
    fn prune(&mut self, window: u64, now: u64) {
        self.taken.retain(|(start, _)| end(*start, window) > now && *start <= now + 2 * window);
    }

    /// Takes a call of a budget, or says after how long there is one again.
    fn take(&mut self, requests: u32, window: u64, now: u64) -> Result<(), Duration> {
        self.prune(window, now);
        let slice = slice(window);
        let total: u64 = self.taken.iter().map(|(_, count)| u64::from(*count)).sum();
        let mut over = (total + 1).saturating_sub(u64::from(requests.max(1)));
        let mut free = now;
        for (start, count) in self.taken.iter().take_while(|_| over > 0).collect::<Vec<_>>() {
            free = free.max(end(*start, window));
            over = over.saturating_sub(u64::from(*count));
        }
        if free > now {
            return Err(Duration::from_millis(free - now));
        }
        let start = now - now % slice;
        if let Some((_, count)) = self.taken.iter_mut().find(|(known, _)| *known == start) {
            *count += 1;
        } else {
            self.taken.push((start, 1));
            self.taken.sort_unstable();
        }
        Ok(())
    }

    /// Forgets the processes that died without a word.
    fn bury_the_dead(&mut self, folder: &Path, hash: &str, own: &str) {
        self.processes.retain(|token, _| {
            let path = alive_path(folder, hash, token);
            let lives = token == own
                || File::open(&path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
            if !lives {
                let _ = fs::remove_file(path);
            }
            lives
        });
    }
}

/// When the calls of a slice do not count any more: one window after its end, and a little later, since a call may take a
/// moment longer to get to the server than the next one.
fn end(start: u64, window: u64) -> u64 {
    start + slice(window) + window + (window / 50).min(MARGIN)
}

/// Length of the slices that a window is counted in.
fn slice(window: u64) -> u64 {
    (window / SLICES).max(5)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4)
}

fn alive_path(folder: &Path, hash: &str, token: &str) -> PathBuf {
    folder.join(format!("{hash}.{token}.alive"))
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The name of a credential's file: a hash that means nothing without the key beside it, so that it cannot be guessed from
/// a copy of the name.
fn keyed(folder: &Path, fingerprint: &[u8]) -> io::Result<String> {
    let mut file = private_file(&folder.join("key"))?;
    lock(&file)?;
    let mut key = Vec::new();
    Read::by_ref(&mut file).take(64).read_to_end(&mut key)?;
    if key.len() < 32 {
        key = vec![0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        file.rewind()?;
        file.write_all(&key)?;
    }
    file.unlock()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    Ok(hmac::sign(&key, fingerprint).as_ref().iter().take(16).fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    }))
}

/// Removes the files that nobody has used for long.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        if entry.file_name() != "key"
            && age.is_some_and(|age| age > OLD)
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_sees_more_calls_than_the_budget_over_all_processes() {
        let folder = tempfile::tempdir().unwrap();
        let all = [1, 2].map(|_| Ledger::open(folder.path(), b"credential").unwrap());
        let window = Duration::from_millis(400);
        let start = Instant::now();
        let mut went = Vec::new();
        while went.len() < 13 {
            match all[went.len() % 2].depart(Some((4, window))) {
                Ok(()) => went.push(Instant::now()),
                Err(wait) => thread::sleep(wait),
            }
        }
        assert!(went[3] - start < Duration::from_millis(200), "a fresh budget is used at once");
        for calls in went.windows(5) {
            assert!(calls[4] - calls[0] >= window);
        }
        assert!(went[12] - start < window * 4, "little of the budget is wasted");
    }

    #[test]
    fn a_wait_that_one_was_asked_for_is_everybodys() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [1, 2].map(|_| Ledger::open(folder.path(), b"credential").unwrap());
        let stranger = Ledger::open(folder.path(), b"another").unwrap();
        assert_eq!(one.depart(None), Ok(()));
        one.pause(Duration::from_secs(5));
        assert!(other.depart(None).is_err_and(|wait| wait > Duration::from_secs(4)));
        assert_eq!(stranger.depart(None), Ok(()));
        let third = Ledger::open(folder.path(), b"a third").unwrap();
        third.depart(None).unwrap();
        third.told(1, Duration::from_secs(9));
        let fourth = Ledger::open(folder.path(), b"a third").unwrap();
        assert_eq!(fourth.depart(None), Ok(()));
        assert!(third.depart(None).is_err_and(|wait| wait > Duration::from_secs(8)), "one was left, and is used");
    }

    #[test]
    fn calls_at_the_same_time_are_counted_over_all_processes_and_the_dead_count_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [1, 2].map(|_| Ledger::open(folder.path(), b"credential").unwrap());
        assert!(one.enter(3.0) && one.enter(3.0) && other.enter(3.0));
        assert!(!other.enter(3.0) && !one.enter(3.0));
        one.leave();
        assert!(other.enter(3.0));
        other.shrink(3.0, Duration::ZERO);
        one.leave();
        assert!(!one.enter(3.0), "after push-back one at a time may be under way, and two still are");
        // A process that dies leaves its calls behind, and its lock free.
        let dead = one.with(|page, _| page.processes.insert("1-dead".into(), Share { busy: 9, flying: 9 })).unwrap();
        assert_eq!(dead, None);
        other.leave();
        other.leave();
        assert!(one.enter(3.0));
    }

    #[test]
    fn a_stopped_process_does_not_stop_the_others_and_nothing_of_the_credential_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), b"hunter2hunter2hunter2").unwrap();
        ledger.depart(Some((5, Duration::from_secs(1)))).unwrap();
        let files: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let budget = files.iter().find(|path| path.extension().is_some_and(|end| end == "budget")).unwrap();
        assert!(!fs::read_to_string(budget).unwrap().contains("hunter"));
        let stopped = File::open(budget).unwrap();
        stopped.lock().unwrap();
        let start = Instant::now();
        assert_eq!(ledger.recent(Duration::from_secs(1)), None);
        assert_eq!(ledger.depart(Some((1, Duration::from_secs(1)))), Ok(()));
        assert!(ledger.enter(1.0));
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
