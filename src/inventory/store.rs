//! What a writer writes to, and the lock that comes with it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::inventory::{Edit, InventoryError, State, document::Document, lease::Lease, sqlite::Database};

/// A stack that is open for writing; dropping it gives back the lock.
#[derive(Debug)]
pub(super) enum Store {
    /// A local file.
    Sqlite(Arc<Mutex<Database>>),
    /// A document in a bucket.
    Document(Box<Document>, Lease),
}

impl Store {
    /// Makes commits durable, all or none.
    pub(super) async fn write(
        &mut self,
        commits: &Arc<Vec<Vec<Edit>>>,
        state: &RwLock<State>,
    ) -> Result<(), InventoryError> {
        match self {
            Self::Sqlite(database) => {
                let (database, commits) = (Arc::clone(database), Arc::clone(commits));
                blocking(move || database.lock().unwrap_or_else(PoisonError::into_inner).write(&commits)).await
            }
            Self::Document(document, _) => {
                let before = || state.read().unwrap_or_else(PoisonError::into_inner).clone();
                document.write(commits, before).await
            }
        }
    }

    /// Gives back the lock.
    pub(super) async fn close(self) {
        match self {
            // Closing clears up the log, which takes a while.
            Self::Sqlite(database) => drop(tokio::task::spawn_blocking(move || drop(database)).await),
            Self::Document(_, lease) => lease.release().await,
        }
    }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InventoryError> + Send + 'static,
) -> Result<T, InventoryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(InventoryError::Write { location: "inventory".into(), message: format!("a task was cut off: {error}") })
        }
    }
}
