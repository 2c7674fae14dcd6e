//! The writer lock of an inventory that is a document: another document that its holder renews. Each step is a
//! conditional write, so that of two takers one is refused; the record itself is fenced besides (`record`), so that no
//! clock has to be right for it to be.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use super::{Documents, Refusal, Version};
use crate::inventory::{
    Holder, InventoryError, LeaseTimes,
    standing::{Asked, LeaseView, Standing},
};

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

/// A lease that renews itself until it is released or dropped.
#[derive(Debug)]
pub(super) struct Lease {
    view: LeaseView,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease of a stack, at once if it is free. One that ended lately by the clock is watched for its length
    /// first, since clocks differ: a holder that lives renews it meanwhile.
    pub(super) async fn take(
        documents: &Documents,
        stack: &str,
        session: &str,
        holder: Holder,
        times: LeaseTimes,
    ) -> Result<Self, InventoryError> {
        let mut mine = LeaseDocument {
            holder,
            session: session.to_owned(),
            milliseconds: times.milliseconds(),
            ..LeaseDocument::default()
        };
        let mut watched: Option<Version> = None;
        loop {
            let found = documents.get::<LeaseDocument>(&name(stack)).await?;
            let version = match found {
                None => None,
                Some((lease, version)) if lease.released || lease.session == session => Some(version),
                Some((lease, version)) => {
                    let ended = ended_since(&lease).ok_or_else(|| locked(documents, lease.holder.clone()))?;
                    if ended < CLOCKS_DIFFER_BY && watched.as_ref() != Some(&version) {
                        tracing::info!("the lease of {} ended; watching that nobody renews it", lease.holder);
                        watched = Some(version);
                        sleep(Duration::from_millis(lease.milliseconds)).await;
                        continue;
                    }
                    Some(version)
                }
            };
            match renew(documents, stack, &mut mine, version.as_ref(), times).await {
                Ok(Some((version, standing))) => {
                    let lease =
                        Self::start(documents.clone(), stack.to_owned(), mine.clone(), version, standing, times);
                    return match documents.check_conditions(&name(stack), &mine).await {
                        Ok(()) => Ok(lease),
                        Err(error) => {
                            lease.release().await;
                            Err(error)
                        }
                    };
                }
                // Somebody was faster: the next look says who.
                Ok(None) => {}
                Err(error) => match documents.get::<LeaseDocument>(&name(stack)).await {
                    Ok(Some((lease, _))) if lease.session == session => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// What others may know of it.
    pub(super) fn view(&self) -> LeaseView {
        self.view.clone()
    }

    /// Gives it back, as far as the store can be reached.
    pub(super) async fn release(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the lease ends by itself");
        }
    }

    fn start(
        documents: Documents,
        stack: String,
        mine: LeaseDocument,
        version: Version,
        standing: Standing,
        times: LeaseTimes,
    ) -> Self {
        let view = LeaseView::new(standing);
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeping { documents, stack, mine, version, view: view.clone(), times };
        Self { view, stop, task: tokio::spawn(keeper.keep(stopped)) }
    }
}

/// Lifts the lease of a stack, whoever has it; returns who had it.
pub(super) async fn lift(documents: &Documents, stack: &str) -> Result<Option<Holder>, InventoryError> {
    loop {
        let Some((mut lease, version)) = documents.get::<LeaseDocument>(&name(stack)).await? else {
            return Ok(None);
        };
        if lease.released {
            return Ok(None);
        }
        let holder = lease.holder.clone();
        lease.released = true;
        match documents.put(&name(stack), &lease, Some(&version)).await {
            Ok(_) => return Ok(Some(holder)),
            Err(Refusal::Condition) => {}
            Err(Refusal::Other(error)) => return Err(error),
        }
    }
}

/// What renews a lease.
struct Keeping {
    documents: Documents,
    stack: String,
    mine: LeaseDocument,
    version: Version,
    view: LeaseView,
    times: LeaseTimes,
}

impl Keeping {
    /// Renews the lease until told to stop, then gives it back.
    async fn keep(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut pause = self.times.renewal;
        while !self.mine.released {
            self.mine.released = tokio::select! {
                _ = &mut stopped => true,
                () = sleep(pause) => false,
            };
            loop {
                match renew(&self.documents, &self.stack, &mut self.mine, Some(&self.version), self.times).await {
                    Ok(Some((version, standing))) => {
                        self.version = version;
                        self.view.renewed(standing);
                        pause = self.times.renewal;
                    }
                    Ok(None) if self.look().await => continue,
                    Ok(None) => return,
                    // Nobody can take it before it ends, and perhaps nobody does then.
                    Err(error) => {
                        tracing::warn!("the lease could not be renewed: {error}");
                        pause = self.times.renewal / 10;
                    }
                }
                break;
            }
        }
    }

    /// Sees who wrote the lease when it was not what this holder wrote last: whether that was itself, by a renewal whose
    /// answer was lost, so that it can go on from there.
    async fn look(&mut self) -> bool {
        match self.documents.get::<LeaseDocument>(&name(&self.stack)).await {
            Ok(Some((found, version))) if found.session == self.mine.session && !found.released => {
                self.version = version;
                true
            }
            Ok(found) => {
                self.view.lose(found.filter(|(lease, _)| !lease.released).map(|(lease, _)| lease.holder));
                false
            }
            Err(error) => {
                tracing::warn!("the lease could not be read: {error}");
                sleep(Duration::from_millis(self.mine.milliseconds) / 30).await;
                true
            }
        }
    }
}

/// Writes the lease once more; `None` if it is no longer the version that it was.
async fn renew(
    documents: &Documents,
    stack: &str,
    mine: &mut LeaseDocument,
    version: Option<&Version>,
    times: LeaseTimes,
) -> Result<Option<(Version, Standing)>, InventoryError> {
    let asked = Asked::now();
    mine.renewals += 1;
    mine.holder.expires = times.end();
    match documents.put(&name(stack), mine, version).await {
        Ok(version) => Ok(Some((version, asked.given(times)))),
        Err(Refusal::Condition) => Ok(None),
        Err(Refusal::Other(error)) => Err(error),
    }
}

/// Where a stack's lease is.
fn name(stack: &str) -> String {
    format!("{stack}.lock")
}

/// How long ago a lease ended, by this machine's clock; `None` if it lasts. One whose end cannot be read ended long ago.
fn ended_since(lease: &LeaseDocument) -> Option<SignedDuration> {
    let Some(end) = lease.holder.expires.as_ref().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return Some(SignedDuration::MAX);
    };
    let since = Timestamp::now().duration_since(end);
    since.is_positive().then_some(since)
}

fn locked(documents: &Documents, holder: Holder) -> InventoryError {
    InventoryError::Locked { location: documents.to_string(), holder: Box::new(holder), local: false }
}
