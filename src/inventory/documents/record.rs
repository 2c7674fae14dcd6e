//! A stack's record as a document.
//!
//! Each record carries the session that wrote it. Whoever takes the lock writes the record anew first, so that a write
//! of an earlier holder, however late it arrives, meets a version that is no longer its own.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Documents, Refusal, Version, claims, lease::Lease, past};
use crate::inventory::{
    Edit, InventoryError, Owners, SCHEMA_VERSION, State,
    backend::{Before, Writer},
    standing::LeaseView,
};

/// How often a write without an answer is tried.
const ATTEMPTS: u32 = 4;

/// The document of a stack.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    schema_version: u32,
    stack: String,
    /// Who wrote it.
    session: String,
    /// Which of the writes of that session it is.
    write: u64,
    state: State,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Storing<'a> {
    schema_version: u32,
    stack: &'a str,
    session: &'a str,
    write: u64,
    state: &'a State,
}

/// A document of which the schema version is to be seen first.
#[derive(Deserialize)]
struct Versioned(serde_json::Value);

/// Reads a stack's record.
pub(super) async fn read(documents: &Documents, stack: &str) -> Result<State, InventoryError> {
    Ok(stored(documents, &name(stack)).await?.map(|(stored, _)| stored.state).unwrap_or_default())
}

/// Reads who owns what and who is about to, over all stacks in the folder.
pub(super) async fn owners(documents: &Documents) -> Result<Owners, InventoryError> {
    let mut owners = Owners::default();
    for name in names(documents).await? {
        if let Some((stored, _)) = stored(documents, &name).await? {
            owners.add(&stored.stack, &stored.state);
        }
    }
    Ok(owners)
}

/// The names of the stacks in the folder.
pub(super) async fn stacks(documents: &Documents) -> Result<Vec<String>, InventoryError> {
    let mut stacks: Vec<String> =
        names(documents).await?.iter().filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    stacks.sort();
    Ok(stacks)
}

async fn names(documents: &Documents) -> Result<Vec<String>, InventoryError> {
    let mut names = documents.keeper.list("").await?;
    names.retain(|name| name.strip_suffix(".json").is_some());
    Ok(names)
}

async fn stored(documents: &Documents, name: &str) -> Result<Option<(Stored, Version)>, InventoryError> {
    let Some((Versioned(value), version)) = documents.get::<Versioned>(name).await? else { return Ok(None) };
    let found = value.get("schemaVersion").and_then(serde_json::Value::as_u64);
    match found.and_then(|found| u32::try_from(found).ok()) {
        Some(found) if found > SCHEMA_VERSION => {
            Err(InventoryError::TooNew { location: documents.location.clone(), found, known: SCHEMA_VERSION })
        }
        Some(found) => {
            let value = upgraded(value, found);
            let stored =
                serde_json::from_value(value).map_err(|error| documents.damaged(format!("`{name}`: {error}")))?;
            Ok(Some((stored, version)))
        }
        None => Err(documents.damaged(format!("`{name}` has no `schemaVersion`"))),
    }
}

/// Brings a record of an older version to this one, step by step: one step per version; a step, once released, never
/// changes.
fn upgraded(mut stored: serde_json::Value, found: u32) -> serde_json::Value {
    for step in UPGRADES.iter().skip(found.saturating_sub(1) as usize) {
        step(&mut stored);
    }
    stored
}

/// From version 1 on, what brings a record to the next one.
const UPGRADES: &[fn(&mut serde_json::Value)] = &[
    // Version 2 knows of runs; there were none.
    |_| {},
];

/// Where a stack's record is.
fn name(stack: &str) -> String {
    format!("{stack}.json")
}

/// A stack's record that is open for writing.
#[derive(Debug)]
pub(super) struct Record {
    documents: Documents,
    stack: String,
    session: String,
    version: Option<Version>,
    write: u64,
    /// What the record will be after the write that is under way.
    state: State,
    past: past::Past,
    view: LeaseView,
    lease: Lease,
    /// Runs that are kept no longer.
    dropped: Vec<String>,
}

impl Record {
    /// Reads the record and puts this session's mark on it, under the lease, which comes back where that fails.
    pub(super) async fn open(
        documents: Documents,
        stack: &str,
        session: &str,
        lease: Lease,
    ) -> Result<(Self, State), (Lease, InventoryError)> {
        let mut record = Self {
            documents,
            stack: stack.to_owned(),
            session: session.to_owned(),
            version: None,
            write: 0,
            state: State::default(),
            past: past::Past::default(),
            view: lease.view(),
            lease,
            dropped: Vec::new(),
        };
        match record.mark().await {
            Ok(()) => {
                let state = record.state.clone();
                Ok((record, state))
            }
            Err(error) => Err((record.lease, error)),
        }
    }

    async fn mark(&mut self) -> Result<(), InventoryError> {
        for _ in 0..ATTEMPTS {
            let found = stored(&self.documents, &name(&self.stack)).await?;
            (self.state, self.version) =
                found.map_or_else(Default::default, |(stored, version)| (stored.state, Some(version)));
            match self.save().await {
                // From now on no earlier holder can own what it claimed.
                Ok(()) => return claims::unclaim(&self.documents, &self.stack).await,
                // The last write of an earlier holder came in between.
                Err(InventoryError::Lost { .. }) if self.view.lost().is_none() => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.lost())
    }

    async fn save(&mut self) -> Result<(), InventoryError> {
        self.write += 1;
        let stored = Storing {
            schema_version: SCHEMA_VERSION,
            stack: &self.stack,
            session: &self.session,
            write: self.write,
            state: &self.state,
        };
        let bytes: Bytes =
            serde_json::to_vec(&stored).map_err(|error| self.documents.unwritable(error.to_string()))?.into();
        let mut last = self.documents.unwritable("it changes under this writer".into());
        let name = name(&self.stack);
        for _ in 0..ATTEMPTS {
            match self.documents.keeper.put(&name, bytes.clone(), self.version.as_ref()).await {
                Ok(version) => {
                    self.version = Some(version);
                    return Ok(());
                }
                Err(refusal) => {
                    if let Refusal::Other(error) = refusal {
                        last = error;
                    }
                    if self.look().await? {
                        return Ok(());
                    }
                }
            }
        }
        Err(last)
    }

    /// Sees what became of a write that was refused or not answered: whether it was carried out after all.
    async fn look(&mut self) -> Result<bool, InventoryError> {
        match stored(&self.documents, &name(&self.stack)).await? {
            Some((stored, version)) if stored.session == self.session => {
                self.version = Some(version);
                Ok(stored.write == self.write)
            }
            Some((_, version)) if self.version.as_ref() == Some(&version) => Ok(false),
            None if self.version.is_none() => Ok(false),
            _ => Err(self.lost()),
        }
    }

    fn lost(&self) -> InventoryError {
        let holder = self.view.lost().and_then(|loss| loss.holder).map(Box::new);
        InventoryError::Lost { location: self.documents.location.clone(), holder }
    }
}

#[async_trait]
impl Writer for Record {
    /// Writes commits with one put, after what they say of how objects were.
    async fn write(&mut self, commits: &[Vec<Edit>], before: Before<'_>) -> Result<(), InventoryError> {
        if self.view.lost().is_some() {
            return Err(self.lost());
        }
        self.past.keep(&self.documents, &self.stack, commits).await?;
        for commit in commits {
            self.state.apply(commit);
        }
        let saved = self.save().await;
        if saved.is_err() {
            self.state = before();
        } else {
            self.dropped.extend(commits.iter().flatten().filter_map(|edit| match edit {
                Edit::DropRun(run) => Some(run.clone()),
                _ => None,
            }));
        }
        saved
    }

    async fn close(self: Box<Self>) {
        // What is left behind if this fails takes up room and nothing else.
        if !self.dropped.is_empty()
            && self.view.lost().is_none()
            && let Err(error) = past::forget(&self.documents, &self.stack, &self.dropped).await
        {
            tracing::warn!("old runs could not be removed: {error}");
        }
        self.lease.release().await;
    }
}
