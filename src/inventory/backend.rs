//! What every kind of inventory can do: the one trait behind [`super::Inventory`].

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;

use crate::inventory::{
    Change, Claim, Edit, Holder, InventoryError, LeaseTimes, Location, Owner, Owners, State,
    documents::{Bucket, Cluster, Documents},
    postgres::Postgres,
    sqlite::File,
    standing::LeaseView,
};

/// A place where inventories are kept, one for each stack.
#[async_trait]
pub(super) trait Backend: Debug + Send + Sync {
    /// Reads a stack's record, which is empty if there is none. Takes no lock and leaves nothing behind.
    async fn read(&self, stack: &str) -> Result<State, InventoryError>;

    /// Takes the writer lock of a stack, makes what is missing, and reads the record under it.
    async fn open(&self, stack: &str, holder: Holder, times: LeaseTimes) -> Result<Opened, InventoryError>;

    /// Lifts the writer lock of a stack, whoever has it; returns who had it.
    async fn break_lock(&self, stack: &str) -> Result<Option<Holder>, InventoryError>;

    /// Who owns what, and who is about to own it, over all stacks.
    async fn owners(&self) -> Result<Owners, InventoryError>;

    /// The names of the stacks.
    async fn stacks(&self) -> Result<Vec<String>, InventoryError>;

    /// What a run of a stack did to each object, in order.
    async fn changes(&self, stack: &str, run: &str) -> Result<Vec<Change>, InventoryError>;

    /// Claims live objects for a stack whose lock is held, all or none; returns those that another stack claims.
    async fn claim(&self, stack: &str, claims: &[Claim]) -> Result<Vec<(Claim, Owner)>, InventoryError>;

    /// Drops the claims of a stack whose lock is held.
    async fn unclaim(&self, stack: &str) -> Result<(), InventoryError>;

    /// The small documents that machines share beside the records; none where no other machine uses the place.
    fn notices(&self) -> Option<Arc<dyn Board>>;
}

/// A stack that was opened for writing.
pub(super) struct Opened {
    /// Writes to it.
    pub(super) writer: Box<dyn Writer>,
    /// The record under the lock.
    pub(super) state: State,
    /// Its lease, where the lock is one.
    pub(super) lease: Option<LeaseView>,
}

/// What a stack's only writer writes to; closing it gives back the lock.
#[async_trait]
pub(super) trait Writer: Debug + Send {
    /// Makes commits durable, all or none; `before` gives the record without them.
    async fn write(&mut self, commits: &[Vec<Edit>], before: Before<'_>) -> Result<(), InventoryError>;

    /// Gives back the lock; `last` gives the record as it is.
    async fn close(self: Box<Self>, last: Before<'_>);
}

/// Gives the record without the commits that are being written.
pub(super) type Before<'a> = &'a (dyn Fn() -> State + Send + Sync);

/// Small documents that machines share beside the records of a remote inventory, each replaced only if it is still what
/// was read. They are no part of any record, and nothing is lost with them.
#[async_trait]
pub trait Board: Debug + Send + Sync {
    /// Reads a document with its version.
    async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, InventoryError>;

    /// Replaces the document of a version, or makes it where none is given; tells whether it still was that one.
    async fn replace(&self, name: &str, text: &[u8], version: Option<&str>) -> Result<bool, InventoryError>;
}

/// The backend of a place; talks to nobody yet.
pub(super) fn at(location: &Location) -> Result<Arc<dyn Backend>, InventoryError> {
    Ok(match location {
        Location::Sqlite(path) => Arc::new(File::at(path)),
        Location::S3 { .. } | Location::Gs { .. } | Location::Az { .. } => {
            Arc::new(Documents::new(Arc::new(Bucket::open(location)?), location))
        }
        Location::Kubernetes(place) => Arc::new(Documents::new(Arc::new(Cluster::at(place)), location)),
        Location::Postgres(server) => Arc::new(Postgres::at(server)?),
    })
}
