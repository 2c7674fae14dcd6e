//! A stack's record as a document, with what was committed since in a [`Journal`].
//!
//! Each record carries the session that wrote it. Whoever takes the lock seals the journal of the session before, and
//! writes the record anew, so that a write of an earlier holder, however late it arrives, meets a seal or a version that is
//! no longer its own.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{
    Documents, Refusal, Version, claims,
    journal::{self, Found, Journal},
    lease::Lease,
    past::{self, Past},
};
use crate::inventory::{
    Change, Edit, InventoryError, Owners, SCHEMA_VERSION, State,
    backend::{Before, Writer},
    standing::LeaseView,
};

/// How often a write without an answer is tried.
const ATTEMPTS: u32 = 4;

/// How often a record is read that its writer changes meanwhile.
const LOOKS: u32 = 20;

/// A journal that is longer than its record goes into it, so that all that is written stays in proportion to what is
/// committed; but not one that is shorter than the first of these bytes, and surely one that is longer than the second.
const JOURNAL: (usize, usize) = (256 << 10, 8 << 20);

/// The most entries that a journal may have.
const ENTRIES: u64 = 1000;

/// For how long seals stay: by then, whoever wrote before knows that the lock is lost.
const SEALS: Duration = Duration::from_hours(24);

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
    /// Where the journal goes on, unless that session came to its end.
    journal: Option<Place>,
    /// Seals of earlier sessions.
    seals: Vec<Seal>,
    state: State,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Storing<'a> {
    schema_version: u32,
    stack: &'a str,
    session: &'a str,
    write: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Place>,
    #[serde(skip_serializing_if = "<[Seal]>::is_empty")]
    seals: &'a [Seal],
    state: &'a State,
}

/// A place in a journal.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct Place {
    /// The first entry that is not in the record.
    next: u64,
    /// The first one that may be there still.
    swept: u64,
}

/// The end of a session's journal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seal {
    session: String,
    number: u64,
    /// When it was made, RFC 3339.
    at: String,
}

impl Seal {
    fn is_needed(&self) -> bool {
        let age = self.at.parse::<Timestamp>().map(|at| Timestamp::now().duration_since(at));
        age.is_ok_and(|age| age.unsigned_abs() < SEALS)
    }
}

/// A document of which the schema version is to be seen first.
#[derive(Deserialize)]
struct Versioned(serde_json::Value);

/// A record with its journal.
struct Loaded {
    stored: Stored,
    version: Version,
    journal: Found,
}

impl Loaded {
    /// The record with all that was committed since.
    fn state(&mut self) -> State {
        let mut state = std::mem::take(&mut self.stored.state);
        for commit in self.journal.entries.iter().flat_map(|entry| &entry.commits) {
            state.apply(commit);
        }
        state
    }

    /// What the journal says of runs.
    fn past(&self) -> Past {
        let mut past = Past::default();
        self.journal.entries.iter().for_each(|entry| past.take(&entry.commits));
        past
    }
}

/// Reads a record and its journal, as they were at one instant.
async fn load(documents: &Documents, stack: &str) -> Result<Option<Loaded>, InventoryError> {
    let name = name(stack);
    for _ in 0..LOOKS {
        let Some((stored, version)) = stored(documents, &name).await? else { return Ok(None) };
        let Some(place) = stored.journal else {
            return Ok(Some(Loaded { stored, version, journal: Found::default() }));
        };
        let journal = Journal::of(stack, &stored.session).read(documents, place.next).await?;
        // Entries that were not there may have gone into the record meanwhile.
        if documents.keeper.version(&name).await?.as_ref() == Some(&version) {
            return Ok(Some(Loaded { stored, version, journal }));
        }
    }
    Err(InventoryError::Read {
        location: documents.location.clone(),
        message: format!("`{name}` changes faster than it can be read"),
    })
}

/// Reads a stack's record.
pub(super) async fn read(documents: &Documents, stack: &str) -> Result<State, InventoryError> {
    Ok(load(documents, stack).await?.map(|mut loaded| loaded.state()).unwrap_or_default())
}

/// What a run did.
pub(super) async fn changes(documents: &Documents, stack: &str, run: &str) -> Result<Vec<Change>, InventoryError> {
    let since = load(documents, stack).await?.map(|loaded| loaded.past()).unwrap_or_default();
    past::changes(documents, stack, run, since).await
}

/// Reads who owns what and who is about to, over all stacks in the folder.
pub(super) async fn owners(documents: &Documents) -> Result<Owners, InventoryError> {
    let mut owners = Owners::default();
    for stack in stacks(documents).await? {
        owners.add(&stack, &read(documents, &stack).await?);
    }
    Ok(owners)
}

/// The names of the stacks in the folder.
pub(super) async fn stacks(documents: &Documents) -> Result<Vec<String>, InventoryError> {
    let names = documents.keeper.list("").await?;
    let mut stacks: Vec<String> =
        names.iter().filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    stacks.sort();
    Ok(stacks)
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
    // Version 2 knows of runs and of journals; there were none.
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
    journal: Journal,
    /// The version of the record, and how many bytes it has.
    version: Option<Version>,
    size: usize,
    /// Counts the writes of the whole record.
    write: u64,
    /// The number of the next entry.
    next: u64,
    /// How many entries came since the record was written, and how many bytes they have.
    entries: u64,
    bytes: usize,
    /// The next write is that of the whole record: there is no journal yet, or it is not known what is in it.
    whole: bool,
    /// What is in the journal alone.
    past: Past,
    seals: Vec<Seal>,
    /// The first entry that may be there still, and what removes those that are in the record.
    swept: u64,
    sweeping: Option<JoinHandle<Option<u64>>>,
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
            journal: Journal::of(stack, session),
            version: None,
            size: 0,
            write: 0,
            next: 1,
            entries: 0,
            bytes: 0,
            whole: true,
            past: Past::default(),
            seals: Vec::new(),
            swept: 1,
            sweeping: None,
            view: lease.view(),
            lease,
            dropped: Vec::new(),
        };
        match record.mark().await {
            Ok(state) => Ok((record, state)),
            Err(error) => Err((record.lease, error)),
        }
    }

    async fn mark(&mut self) -> Result<State, InventoryError> {
        for _ in 0..LOOKS {
            let mut state = State::default();
            let mut entries = Vec::new();
            self.version = None;
            self.seals.clear();
            if let Some(mut loaded) = load(&self.documents, &self.stack).await? {
                state = loaded.state();
                self.version = Some(loaded.version.clone());
                self.seals = std::mem::take(&mut loaded.stored.seals);
                if let Some(place) = loaded.stored.journal {
                    let (before, end) = (Journal::of(&self.stack, &loaded.stored.session), loaded.journal.next);
                    let sealed = loaded.journal.sealed || before.seal(&self.documents, end, &self.session).await?;
                    if !sealed {
                        // The last write of an earlier holder came in between.
                        continue;
                    }
                    loaded.past().write(&self.documents, &self.stack, end).await?;
                    let at = Timestamp::now().to_string();
                    self.seals.push(Seal { session: loaded.stored.session, number: end, at });
                    entries.extend((place.swept..end).map(|number| before.name(number)));
                }
            }
            let old: Vec<Seal> = self.seals.extract_if(.., |seal| !seal.is_needed()).collect();
            match self.save(&state, None).await {
                Ok(()) => {
                    entries.extend(old.iter().map(|seal| Journal::of(&self.stack, &seal.session).name(seal.number)));
                    self.sweep(entries, None).await;
                    // From now on no earlier holder can own what it claimed.
                    claims::unclaim(&self.documents, &self.stack).await?;
                    return Ok(state);
                }
                // The last write of an earlier holder came in between.
                Err(InventoryError::Lost { .. }) if self.view.lost().is_none() => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.lost())
    }

    /// Writes the record whole, and where its journal goes on.
    async fn save(&mut self, state: &State, next: Option<u64>) -> Result<(), InventoryError> {
        self.write += 1;
        let stored = Storing {
            schema_version: SCHEMA_VERSION,
            stack: &self.stack,
            session: &self.session,
            write: self.write,
            journal: next.map(|next| Place { next, swept: self.swept }),
            seals: &self.seals,
            state,
        };
        let bytes: Bytes =
            serde_json::to_vec(&stored).map_err(|error| self.documents.unwritable(error.to_string()))?.into();
        let mut last = self.documents.unwritable("it changes under this writer".into());
        let name = name(&self.stack);
        for _ in 0..ATTEMPTS {
            match self.documents.keeper.put(&name, bytes.clone(), self.version.as_ref()).await {
                Ok(version) => {
                    self.version = Some(version);
                    self.size = bytes.len();
                    return Ok(());
                }
                Err(refusal) => {
                    if let Refusal::Other(error) = refusal {
                        last = error;
                    }
                    if self.look().await? {
                        self.size = bytes.len();
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

    /// Writes commits into the record, with all that the journal has; it goes on at an entry that no write had before.
    async fn fold(&mut self, commits: &[Vec<Edit>], before: Before<'_>, open: bool) -> Result<(), InventoryError> {
        self.whole = true;
        self.next += 1;
        let mut past = self.past.clone();
        past.take(commits);
        past.write(&self.documents, &self.stack, self.next).await?;
        let mut state = before();
        for commit in commits {
            state.apply(commit);
        }
        self.save(&state, open.then_some(self.next)).await?;
        (self.past, self.entries, self.bytes, self.whole) = (Past::default(), 0, 0, false);
        let old = (self.swept..self.next).map(|number| self.journal.name(number)).collect();
        self.sweep(old, Some(self.next)).await;
        Ok(())
    }

    /// Removes entries beside what goes on; all below `swept` are gone then.
    async fn sweep(&mut self, names: Vec<String>, swept: Option<u64>) {
        self.swept_up().await;
        if names.is_empty() {
            return;
        }
        let keeper = self.documents.keeper.clone();
        self.sweeping = Some(tokio::spawn(async move {
            match keeper.remove(names).await {
                Ok(()) => swept,
                Err(error) => {
                    // They take up room and nothing else.
                    tracing::debug!(%error, "entries of a journal stay behind");
                    None
                }
            }
        }));
    }

    async fn swept_up(&mut self) {
        if let Some(sweeping) = self.sweeping.take()
            && let Ok(Some(swept)) = sweeping.await
        {
            self.swept = swept;
        }
    }

    fn lost(&self) -> InventoryError {
        let holder = self.view.lost().and_then(|loss| loss.holder).map(Box::new);
        InventoryError::Lost { location: self.documents.location.clone(), holder }
    }
}

#[async_trait]
impl Writer for Record {
    /// Writes commits with one put, into the journal or, where that would become too long, into the record.
    async fn write(&mut self, commits: &[Vec<Edit>], before: Before<'_>) -> Result<(), InventoryError> {
        if self.view.lost().is_some() {
            return Err(self.lost());
        }
        let entry = journal::bytes(&self.documents, commits)?;
        let most = self.size.clamp(JOURNAL.0, JOURNAL.1);
        if self.whole || self.entries >= ENTRIES || self.bytes + entry.len() > most {
            self.fold(commits, before, true).await?;
        } else {
            let length = entry.len();
            // Until it is known to be there it may come to be there.
            self.whole = true;
            if !self.journal.add(&self.documents, self.next, entry).await? {
                return Err(self.lost());
            }
            self.whole = false;
            self.past.take(commits);
            self.next += 1;
            self.entries += 1;
            self.bytes += length;
        }
        self.dropped.extend(commits.iter().flatten().filter_map(|edit| match edit {
            Edit::DropRun(run) => Some(run.clone()),
            _ => None,
        }));
        Ok(())
    }

    async fn close(mut self: Box<Self>, last: Before<'_>) {
        if self.view.lost().is_none() {
            // Where it fails, whoever takes the lock next finds the journal.
            if self.write > 1
                && let Err(error) = self.fold(&[], last, false).await
            {
                tracing::warn!("the journal of the inventory stays open: {error}");
            }
            // What is left behind if this fails takes up room and nothing else.
            if !self.dropped.is_empty()
                && let Err(error) = past::forget(&self.documents, &self.stack, &self.dropped).await
            {
                tracing::warn!("old runs could not be removed: {error}");
            }
        }
        self.swept_up().await;
        self.lease.release().await;
    }
}
