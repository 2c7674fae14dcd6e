//! The writer lock of an inventory in an object store: a lease document that its holder renews. Each step is a
//! conditional write, so that of two takers one is refused; the inventory's own document is fenced besides
//! (`document`), so that no clock has to be right for the record to be.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use crate::inventory::{
    Holder, InventoryError,
    document::{Bucket, Refusal},
};

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

/// Object stores refuse requests whose clock is further off than this, so an end that lies longer ago is no matter of
/// clocks.
const CLOCKS_DIFFER_BY: SignedDuration = SignedDuration::from_mins(15);

/// The lease document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseDocument {
    #[serde(flatten)]
    holder: Holder,
    /// Tells two runs of one process apart.
    session: String,
    /// Counts the writes, so that no two of them are equal.
    renewals: u64,
    /// Length in milliseconds.
    milliseconds: u64,
    released: bool,
}

/// What the holder knows of its lease.
#[derive(Debug)]
struct Standing {
    version: UpdateVersion,
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

/// A lease that renews itself until it is released or dropped.
#[derive(Debug)]
pub(super) struct Lease {
    standing: Arc<Mutex<Standing>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// A view of a lease for those who do not hold it.
#[derive(Debug, Clone)]
pub(super) struct LeaseView(Arc<Mutex<Standing>>);

impl LeaseView {
    /// When the lease ends unless it is renewed; in the past if it was lost.
    pub(super) fn until(&self) -> Instant {
        let standing = lock(&self.0);
        // A machine that slept has a clock that went on and an `Instant` that did not.
        let left = standing.until_by_the_clock.duration_since(SystemTime::now()).unwrap_or_default();
        standing.until.min(Instant::now() + left)
    }

    /// Whether it was lost, and to whom.
    pub(super) fn lost(&self) -> Option<Loss> {
        lock(&self.0).lost.clone()
    }
}

impl Lease {
    /// Takes the lease of a stack, at once if it is free. One that ended lately by the clock is watched for its length
    /// first, since clocks differ: a holder that lives renews it meanwhile.
    pub(super) async fn take(
        bucket: &Bucket,
        stack: &str,
        session: &str,
        holder: Holder,
        times: LeaseTimes,
    ) -> Result<Self, InventoryError> {
        let mut mine = LeaseDocument {
            holder,
            session: session.to_owned(),
            milliseconds: u64::try_from(times.length.as_millis()).unwrap_or(u64::MAX),
            ..LeaseDocument::default()
        };
        let mut watched: Option<UpdateVersion> = None;
        loop {
            let found = bucket.get::<LeaseDocument>(&bucket.lease(stack)).await?;
            let version = match found {
                None => None,
                Some((lease, version)) if lease.released || lease.session == session => Some(version),
                Some((lease, version)) => {
                    let ended = ended_since(&lease).ok_or_else(|| locked(bucket, lease.holder.clone()))?;
                    if ended < CLOCKS_DIFFER_BY && watched.as_ref() != Some(&version) {
                        tracing::info!("the lease of {} ended; watching that nobody renews it", lease.holder);
                        watched = Some(version);
                        sleep(Duration::from_millis(lease.milliseconds)).await;
                        continue;
                    }
                    Some(version)
                }
            };
            match renew(bucket, stack, &mut mine, version, times).await {
                Ok(Some(standing)) => {
                    let lease = Self::start(bucket.clone(), stack.to_owned(), mine.clone(), standing, times);
                    return match bucket.check_conditions(&bucket.lease(stack), &mine).await {
                        Ok(()) => Ok(lease),
                        Err(error) => {
                            lease.release().await;
                            Err(error)
                        }
                    };
                }
                // Somebody was faster: the next look says who.
                Ok(None) => {}
                Err(error) => match bucket.get::<LeaseDocument>(&bucket.lease(stack)).await {
                    Ok(Some((lease, _))) if lease.session == session => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// What others may know of it.
    pub(super) fn view(&self) -> LeaseView {
        LeaseView(Arc::clone(&self.standing))
    }

    /// Gives it back, as far as the store can be reached.
    pub(super) async fn release(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the lease ends by itself");
        }
    }

    fn start(bucket: Bucket, stack: String, mine: LeaseDocument, standing: Standing, times: LeaseTimes) -> Self {
        let standing = Arc::new(Mutex::new(standing));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep(bucket, stack, mine, Arc::clone(&standing), times, stopped));
        Self { standing, stop, task }
    }
}

/// Lifts the lease of a stack, whoever has it; returns who had it.
pub(super) async fn lift(bucket: &Bucket, stack: &str) -> Result<Option<Holder>, InventoryError> {
    loop {
        let Some((mut lease, version)) = bucket.get::<LeaseDocument>(&bucket.lease(stack)).await? else {
            return Ok(None);
        };
        if lease.released {
            return Ok(None);
        }
        let holder = lease.holder.clone();
        lease.released = true;
        match bucket.put(&bucket.lease(stack), &lease, Some(version)).await {
            Ok(_) => return Ok(Some(holder)),
            Err(Refusal::Condition) => {}
            Err(Refusal::Other(error)) => return Err(error),
        }
    }
}

/// Renews the lease until told to stop, then gives it back.
async fn keep(
    bucket: Bucket,
    stack: String,
    mut mine: LeaseDocument,
    standing: Arc<Mutex<Standing>>,
    times: LeaseTimes,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut pause = times.renewal;
    while !mine.released {
        mine.released = tokio::select! {
            _ = &mut stopped => true,
            () = sleep(pause) => false,
        };
        loop {
            let version = lock(&standing).version.clone();
            match renew(&bucket, &stack, &mut mine, Some(version), times).await {
                Ok(Some(renewed)) => {
                    *lock(&standing) = renewed;
                    pause = times.renewal;
                }
                Ok(None) if look(&bucket, &stack, &mine, &standing).await => continue,
                Ok(None) => return,
                // Nobody can take it before it ends, and perhaps nobody does then.
                Err(error) => {
                    tracing::warn!("the lease could not be renewed: {error}");
                    pause = times.renewal / 10;
                }
            }
            break;
        }
    }
}

/// Sees who wrote the lease when it was not what this holder wrote last: whether that was itself, by a renewal whose
/// answer was lost, so that it can go on from there.
async fn look(bucket: &Bucket, stack: &str, mine: &LeaseDocument, standing: &Mutex<Standing>) -> bool {
    match bucket.get::<LeaseDocument>(&bucket.lease(stack)).await {
        Ok(Some((found, version))) if found.session == mine.session && !found.released => {
            lock(standing).version = version;
            true
        }
        Ok(found) => {
            let mut standing = lock(standing);
            let holder = found.filter(|(lease, _)| !lease.released).map(|(lease, _)| lease.holder);
            standing.lost = Some(Loss { holder });
            standing.until = Instant::now();
            false
        }
        Err(error) => {
            tracing::warn!("the lease could not be read: {error}");
            sleep(Duration::from_millis(mine.milliseconds) / 30).await;
            true
        }
    }
}

/// Writes the lease once more; `None` if it is no longer the version that it was.
async fn renew(
    bucket: &Bucket,
    stack: &str,
    mine: &mut LeaseDocument,
    version: Option<UpdateVersion>,
    times: LeaseTimes,
) -> Result<Option<Standing>, InventoryError> {
    let sent = (Instant::now(), SystemTime::now());
    mine.renewals += 1;
    let end = SignedDuration::try_from(times.length).ok().and_then(|length| Timestamp::now().checked_add(length).ok());
    mine.holder.expires = end.map(|end| end.to_string());
    match bucket.put(&bucket.lease(stack), mine, version).await {
        Ok(version) => Ok(Some(Standing {
            version,
            until: sent.0 + times.length,
            until_by_the_clock: sent.1 + times.length,
            lost: None,
        })),
        Err(Refusal::Condition) => Ok(None),
        Err(Refusal::Other(error)) => Err(error),
    }
}

/// How long ago a lease ended, by this machine's clock; `None` if it lasts. One whose end cannot be read ended long ago.
fn ended_since(lease: &LeaseDocument) -> Option<SignedDuration> {
    let Some(end) = lease.holder.expires.as_ref().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return Some(SignedDuration::MAX);
    };
    let since = Timestamp::now().duration_since(end);
    since.is_positive().then_some(since)
}

fn locked(bucket: &Bucket, holder: Holder) -> InventoryError {
    InventoryError::Locked { location: bucket.to_string(), holder: Box::new(holder), local: false }
}

fn lock(standing: &Mutex<Standing>) -> MutexGuard<'_, Standing> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}
