//! Inventories as documents: one JSON document per stack, replaced by conditional writes, in whatever can do those.
//!
//! `STACK.json` is the record, `STACK.lock` its lease, `journal/STACK/` what was committed since, `history/STACK/` what its
//! runs did, and `shared/` what all stacks have in common.

mod bucket;
mod claims;
mod cluster;
mod journal;
mod lease;
mod past;
mod record;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::rand;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub(super) use self::{bucket::Bucket, cluster::Cluster};
use crate::inventory::{
    Change, Claim, Holder, InventoryError, LeaseTimes, Location, Owner, Owners, State,
    backend::{Backend, Board, Opened},
};

/// What version a document has: a write names the one that it replaces. Only its keeper can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(pub(super) String);

/// Why a write did not happen.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The document is not the version that it was thought to be.
    Condition,
    /// Anything else.
    Other(InventoryError),
}

/// Keeps documents by name, and replaces one only if it is still the version that the writer read.
#[async_trait]
pub(super) trait Keeper: fmt::Debug + Send + Sync {
    /// Reads a document with its version.
    async fn get(&self, name: &str) -> Result<Option<(Bytes, Version)>, InventoryError>;

    /// The version of a document.
    async fn version(&self, name: &str) -> Result<Option<Version>, InventoryError>;

    /// Replaces the document of a version, or makes it where none is given and none is there.
    async fn put(&self, name: &str, bytes: Bytes, version: Option<&Version>) -> Result<Version, Refusal>;

    /// Removes documents; what is gone already is gone.
    async fn remove(&self, names: Vec<String>) -> Result<(), InventoryError>;

    /// The names of the documents in a folder, without those in folders below it; `""` is the outermost.
    async fn list(&self, folder: &str) -> Result<Vec<String>, InventoryError>;

    /// A version that no document has, if it has to be seen that conditions are honoured.
    fn never(&self) -> Option<Version>;
}

/// A place that keeps documents.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    keeper: Arc<dyn Keeper>,
    location: String,
}

impl fmt::Display for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location)
    }
}

impl Documents {
    /// The documents that a keeper has.
    pub(super) fn new(keeper: Arc<dyn Keeper>, location: &Location) -> Self {
        Self { keeper, location: location.to_string() }
    }

    async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<(T, Version)>, InventoryError> {
        let Some((bytes, version)) = self.keeper.get(name).await? else { return Ok(None) };
        let object = serde_json::from_slice(&bytes).map_err(|error| self.damaged(format!("`{name}`: {error}")))?;
        Ok(Some((object, version)))
    }

    async fn put<T: Serialize + Sync>(
        &self,
        name: &str,
        object: &T,
        version: Option<&Version>,
    ) -> Result<Version, Refusal> {
        let bytes = serde_json::to_vec(object).map_err(|error| Refusal::Other(self.unwritable(error.to_string())))?;
        self.keeper.put(name, bytes.into(), version).await
    }

    /// Makes sure that a write whose condition does not hold is refused, by two that would change nothing.
    async fn check_conditions<T: Serialize + Sync>(&self, name: &str, object: &T) -> Result<(), InventoryError> {
        let Some(never) = self.keeper.never() else { return Ok(()) };
        for version in [None, Some(&never)] {
            match self.put(name, object, version).await {
                Err(Refusal::Condition) => {}
                Ok(_) => return Err(InventoryError::Unconditional(self.location.clone())),
                Err(Refusal::Other(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn damaged(&self, message: String) -> InventoryError {
        InventoryError::Damaged { location: self.location.clone(), message }
    }

    fn unwritable(&self, message: String) -> InventoryError {
        InventoryError::Write { location: self.location.clone(), message }
    }
}

#[async_trait]
impl Backend for Documents {
    async fn read(&self, stack: &str) -> Result<State, InventoryError> {
        record::read(self, stack).await
    }

    async fn open(&self, stack: &str, holder: Holder, times: LeaseTimes) -> Result<Opened, InventoryError> {
        let session = session(&self.location)?;
        let lease = lease::Lease::take(self, stack, &session, holder, times).await?;
        let view = lease.view();
        match record::Record::open(self.clone(), stack, &session, lease).await {
            Ok((record, state)) => Ok(Opened { writer: Box::new(record), state, lease: Some(view) }),
            Err((lease, error)) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    /// What a dead holder claimed is dropped as well, once no write of its can come through any more.
    async fn break_lock(&self, stack: &str) -> Result<Option<Holder>, InventoryError> {
        let holder = lease::lift(self, stack).await?;
        if claims::read(self).await?.stacks.contains_key(stack) {
            let opened = self.open(stack, Holder::here("plumb inventory unlock"), LeaseTimes::default()).await?;
            let state = opened.state;
            opened.writer.close(&|| state.clone()).await;
        }
        Ok(holder)
    }

    async fn owners(&self) -> Result<Owners, InventoryError> {
        record::owners(self).await
    }

    async fn stacks(&self) -> Result<Vec<String>, InventoryError> {
        record::stacks(self).await
    }

    async fn changes(&self, stack: &str, run: &str) -> Result<Vec<Change>, InventoryError> {
        record::changes(self, stack, run).await
    }

    async fn claim(&self, stack: &str, claims: &[Claim]) -> Result<Vec<(Claim, Owner)>, InventoryError> {
        claims::claim(self, stack, claims).await
    }

    async fn unclaim(&self, stack: &str) -> Result<(), InventoryError> {
        claims::unclaim(self, stack).await
    }

    fn notices(&self) -> Option<Arc<dyn Board>> {
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Board for Documents {
    async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, InventoryError> {
        let found = self.keeper.get(&shared(name)).await?;
        Ok(found.map(|(bytes, version)| (bytes.to_vec(), version.0)))
    }

    async fn replace(&self, name: &str, text: &[u8], version: Option<&str>) -> Result<bool, InventoryError> {
        let version = version.map(|version| Version(version.to_owned()));
        match self.keeper.put(&shared(name), text.to_vec().into(), version.as_ref()).await {
            Ok(_) => Ok(true),
            Err(Refusal::Condition) => Ok(false),
            Err(Refusal::Other(error)) => Err(error),
        }
    }
}

/// Where a document is that all stacks have in common; below a folder, so that it is not taken for a record.
fn shared(name: &str) -> String {
    format!("shared/{name}.json")
}

/// Tells two runs of one process apart.
pub(super) fn session(location: &str) -> Result<String, InventoryError> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| InventoryError::Write {
        location: location.to_owned(),
        message: "the system gave no random bytes".into(),
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}
