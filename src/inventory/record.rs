//! One stack's inventory as the rest of the program sees it.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Instant,
};

use aws_lc_rs::rand;

use crate::inventory::{
    Edit, Holder, InventoryError, LeaseTimes, Location, Owners, State,
    committer::Committer,
    document::{self, Bucket, Document},
    lease::{self, Lease, LeaseView},
    sqlite::{self, Database},
    store::{Store, blocking},
};

/// An opened stack record.
#[derive(Debug)]
pub struct Inventory {
    location: Location,
    stack: String,
    times: LeaseTimes,
    state: Arc<RwLock<State>>,
    writer: Option<(Committer, Option<LeaseView>)>,
}

impl Inventory {
    /// Reads a stack's record, which is empty if there is none yet. Takes no lock and leaves nothing behind.
    pub async fn open(location: &Location, stack: &str) -> Result<Self, InventoryError> {
        let state = match location {
            Location::Sqlite(path) => {
                let (path, stack) = (path.clone(), stack.to_owned());
                blocking(move || sqlite::read(&path, &stack)).await?
            }
            Location::S3 { .. } => document::read(&bucket(location)?, stack).await?,
        };
        Ok(Self {
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
        let holder = Holder::here(who);
        let (store, state, view) = match &self.location {
            Location::Sqlite(path) => {
                let (path, stack) = (path.clone(), self.stack.clone());
                let (database, state) = blocking(move || Database::open(&path, &stack, &holder)).await?;
                (Store::Sqlite(Arc::new(database.into())), state, None)
            }
            Location::S3 { .. } => {
                let bucket = bucket(&self.location)?;
                let session = session(&self.location)?;
                let lease = Lease::take(&bucket, &self.stack, &session, holder, self.times).await?;
                let view = lease.view();
                match Document::open(bucket, &self.stack, &session, view.clone()).await {
                    Ok((document, state)) => (Store::Document(Box::new(document), lease), state, Some(view)),
                    Err(error) => {
                        lease.release().await;
                        return Err(error);
                    }
                }
            }
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.writer = Some((Committer::start(store, Arc::clone(&self.state)), view));
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

    /// Lifts the writer lock of somebody who died; returns who had it. A lock of the operating system cannot be lifted
    /// and needs no lifting: if it is held, its holder lives, and the error names it.
    pub async fn break_lock(location: &Location, stack: &str) -> Result<Option<Holder>, InventoryError> {
        match location {
            Location::Sqlite(path) => {
                let at = path.clone();
                match blocking(move || sqlite::holder(&at)).await? {
                    None => Ok(None),
                    Some(holder) => Err(InventoryError::Locked {
                        location: location.to_string(),
                        holder: Box::new(holder),
                        local: true,
                    }),
                }
            }
            Location::S3 { .. } => lease::lift(&bucket(location)?, stack).await,
        }
    }

    /// Who owns which live object, over all stacks that are kept at a place.
    pub async fn owners(location: &Location) -> Result<Owners, InventoryError> {
        match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                blocking(move || sqlite::owners(&path)).await
            }
            Location::S3 { .. } => document::owners(&bucket(location)?).await,
        }
    }

    /// The names of the stacks that are kept at a place.
    pub async fn stacks(location: &Location) -> Result<Vec<String>, InventoryError> {
        match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                blocking(move || sqlite::stacks(&path)).await
            }
            Location::S3 { .. } => document::stacks(&bucket(location)?).await,
        }
    }
}

fn bucket(location: &Location) -> Result<Bucket, InventoryError> {
    match location {
        Location::S3 { bucket, prefix, settings } => Bucket::open(bucket, prefix, settings),
        Location::Sqlite(_) => {
            Err(InventoryError::Read { location: location.to_string(), message: "it is no object store".into() })
        }
    }
}

fn session(location: &Location) -> Result<String, InventoryError> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| InventoryError::Write {
        location: location.to_string(),
        message: "the system gave no random bytes".into(),
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}
