//! One stack's inventory as the rest of the program sees it.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use crate::inventory::{
    Board, Change, Claim, Edit, Holder, InventoryError, LeaseTimes, Location, Owner, Owners, State,
    backend::{self, Backend, Opened},
    committer::Committer,
    standing::LeaseView,
};

/// How long a write to a remote inventory waits for those of other calls under way: little beside any of these calls, and
/// one write for many of them.
const PATIENCE: Duration = Duration::from_millis(10);

/// An opened stack record.
#[derive(Debug)]
pub struct Inventory {
    backend: Arc<dyn Backend>,
    location: Location,
    stack: String,
    times: LeaseTimes,
    state: Arc<RwLock<State>>,
    writer: Option<(Committer, Option<LeaseView>)>,
}

impl Inventory {
    /// Reads a stack's record, which is empty if there is none yet. Takes no lock and leaves nothing behind.
    pub async fn open(location: &Location, stack: &str) -> Result<Self, InventoryError> {
        let backend = backend::at(location)?;
        let state = backend.read(stack).await?;
        Ok(Self {
            backend,
            location: location.clone(),
            stack: stack.to_owned(),
            times: LeaseTimes::default(),
            state: Arc::new(RwLock::new(state)),
            writer: None,
        })
    }

    /// Sets how long the lease of a remote inventory lasts; for the next [`Self::lock`].
    #[must_use]
    pub fn with_lease(mut self, times: LeaseTimes) -> Self {
        self.times = times;
        self
    }

    /// The record: as it was read, and with every commit since then. Not to be kept across an `await`.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stack.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The file that holds the key of the hashes; `None` for a remote inventory.
    pub fn key_file(&self) -> Option<PathBuf> {
        self.location.key_file()
    }

    /// Takes the writer lock for `who` (such as `plumb apply`) and reads the record again under it. Refused at once,
    /// naming the holder, if somebody else has it.
    pub async fn lock(&mut self, who: &str) -> Result<(), InventoryError> {
        if self.writer.is_some() {
            return Ok(());
        }
        let opened = self.backend.open(&self.stack, Holder::here(who), self.times).await?;
        let Opened { writer, state, lease } = opened;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        let patience = if self.location.is_remote() { PATIENCE } else { Duration::ZERO };
        self.writer = Some((Committer::start(writer, Arc::clone(&self.state), patience), lease));
        Ok(())
    }

    /// Whether this holds the writer lock.
    pub fn is_locked(&self) -> bool {
        self.writer.is_some()
    }

    /// Applies edits, all or none, durable before it returns. Concurrent callers share one durable write. A commit whose
    /// future is dropped is carried out all the same.
    pub async fn commit(&self, edits: Vec<Edit>) -> Result<(), InventoryError> {
        let unlocked = || InventoryError::NotLocked(self.location.to_string());
        let (committer, _) = self.writer.as_ref().ok_or_else(unlocked)?;
        committer.commit(edits).await.ok_or_else(unlocked)?
    }

    /// Gives back the writer lock after what was committed is written. Dropping does the same without waiting.
    pub async fn unlock(&mut self) {
        if let Some((committer, _)) = self.writer.take() {
            committer.close().await;
        }
    }

    /// The end of a remote inventory's lease as it stands now: no call may be started that cannot end before it. `None`
    /// for a local inventory; in the past once the lease is lost.
    pub fn safe_until(&self) -> Option<Instant> {
        self.writer.as_ref()?.1.as_ref().map(LeaseView::until)
    }

    /// The same, to be asked later and again.
    pub fn safe(&self) -> impl Fn() -> Option<Instant> + Send + Sync + 'static {
        let view = self.writer.as_ref().and_then(|(_, view)| view.clone());
        move || view.as_ref().map(LeaseView::until)
    }

    /// Claims live objects that this stack is about to own, all or none; returns those that another stack claims, owns
    /// or may be making. Needs the writer lock; the claims are dropped by [`Self::unclaim`], or when the lock is next
    /// taken.
    pub async fn claim(&self, claims: &[Claim]) -> Result<Vec<(Claim, Owner)>, InventoryError> {
        let (_, lease) = self.writer.as_ref().ok_or_else(|| InventoryError::NotLocked(self.location.to_string()))?;
        if let Some(loss) = lease.as_ref().and_then(LeaseView::lost) {
            let holder = loss.holder.map(Box::new);
            return Err(InventoryError::Lost { location: self.location.to_string(), holder });
        }
        self.backend.claim(&self.stack, claims).await
    }

    /// Drops what this stack claims.
    pub async fn unclaim(&self) -> Result<(), InventoryError> {
        self.backend.unclaim(&self.stack).await
    }

    /// What a run did to each object, in order.
    pub async fn changes(&self, run: &str) -> Result<Vec<Change>, InventoryError> {
        self.backend.changes(&self.stack, run).await
    }

    /// Lifts the writer lock of somebody who died; returns who had it. A lock of the operating system cannot be lifted
    /// and needs no lifting: if it is held, its holder lives, and the error names it.
    pub async fn break_lock(location: &Location, stack: &str) -> Result<Option<Holder>, InventoryError> {
        backend::at(location)?.break_lock(stack).await
    }

    /// Who owns which live object, and who is about to, over all stacks that are kept at a place.
    pub async fn owners(location: &Location) -> Result<Owners, InventoryError> {
        backend::at(location)?.owners().await
    }

    /// The names of the stacks that are kept at a place.
    pub async fn stacks(location: &Location) -> Result<Vec<String>, InventoryError> {
        backend::at(location)?.stacks().await
    }

    /// The small documents that machines share beside the records; none where no other machine uses the place.
    pub fn notices(location: &Location) -> Option<Arc<dyn Board>> {
        backend::at(location).ok()?.notices()
    }
}
