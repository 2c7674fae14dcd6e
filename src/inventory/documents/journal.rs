//! What was committed since a record was last written whole: one small document for each write, so that a commit costs
//! what it says and not what there is.
//!
//! Those of a session are numbered without a gap, and each is made only where there is none. Whoever takes the lock makes
//! the next one of the holder before, as a seal: that one, however late, can add nothing any more.

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{Documents, Refusal};
use crate::inventory::{Edit, InventoryError};

/// How often a document without an answer is tried.
const ATTEMPTS: u32 = 4;

/// The most entries that are asked for at once.
const WINDOW: u64 = 16;

/// One document: commits that became durable together, or the seal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Entry {
    /// The commits.
    pub(super) commits: Vec<Vec<Edit>>,
    /// The session that took the lock after the one whose journal this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_by: Option<String>,
}

/// The same, to be written.
#[derive(Serialize)]
struct Adding<'a> {
    commits: &'a [Vec<Edit>],
}

/// The journal of one session.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    stack: String,
    session: String,
}

/// What a journal has.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The entries in order, without the seal.
    pub(super) entries: Vec<Entry>,
    /// The number of the first one that is not there, or of the seal.
    pub(super) next: u64,
    /// Whether nothing can be added any more.
    pub(super) sealed: bool,
}

impl Journal {
    /// The journal of a session.
    pub(super) fn of(stack: &str, session: &str) -> Self {
        Self { stack: stack.to_owned(), session: session.to_owned() }
    }

    /// The name of an entry.
    pub(super) fn name(&self, number: u64) -> String {
        format!("journal/{}/{}/{number:09}.json", self.stack, self.session)
    }

    /// Reads the entries from a number on.
    pub(super) async fn read(&self, documents: &Documents, from: u64) -> Result<Found, InventoryError> {
        let mut found = Found { next: from, ..Found::default() };
        let mut window = 1;
        loop {
            let names: Vec<String> = (found.next..found.next + window).map(|number| self.name(number)).collect();
            for entry in try_join_all(names.iter().map(|name| documents.get::<Entry>(name))).await? {
                match entry {
                    None => return Ok(found),
                    Some((Entry { sealed_by: Some(_), .. }, _)) => {
                        found.sealed = true;
                        return Ok(found);
                    }
                    Some((entry, _)) => {
                        found.entries.push(entry);
                        found.next += 1;
                    }
                }
            }
            window = (window * 4).min(WINDOW);
        }
    }

    /// Adds an entry; tells whether the journal was still open.
    pub(super) async fn add(&self, documents: &Documents, number: u64, bytes: Vec<u8>) -> Result<bool, InventoryError> {
        let name = self.name(number);
        let bytes = bytes::Bytes::from(bytes);
        let mut last = documents.unwritable(format!("`{name}` is in the way"));
        for _ in 0..ATTEMPTS {
            match documents.keeper.put(&name, bytes.clone(), None).await {
                Ok(_) => return Ok(true),
                Err(Refusal::Other(error)) => last = error,
                Err(Refusal::Condition) => {
                    // Nobody else makes an entry here: it is the seal, or a write whose answer was lost.
                    match documents.get::<Entry>(&name).await? {
                        Some((Entry { sealed_by: Some(_), .. }, _)) => return Ok(false),
                        Some(_) => return Ok(true),
                        None => {}
                    }
                }
            }
        }
        Err(last)
    }

    /// Sees to it that nothing can be added from a number on; tells whether something was added there before.
    pub(super) async fn seal(&self, documents: &Documents, number: u64, by: &str) -> Result<bool, InventoryError> {
        let (name, seal) = (self.name(number), Entry { sealed_by: Some(by.to_owned()), ..Entry::default() });
        let mut last = documents.unwritable(format!("`{name}` is in the way"));
        for _ in 0..ATTEMPTS {
            match documents.put(&name, &seal, None).await {
                Ok(_) => return Ok(true),
                Err(Refusal::Other(error)) => last = error,
                Err(Refusal::Condition) => {
                    if let Some((entry, _)) = documents.get::<Entry>(&name).await? {
                        return Ok(entry.sealed_by.is_some());
                    }
                }
            }
        }
        Err(last)
    }
}

/// An entry as it is written.
pub(super) fn bytes(documents: &Documents, commits: &[Vec<Edit>]) -> Result<Vec<u8>, InventoryError> {
    serde_json::to_vec(&Adding { commits }).map_err(|error| documents.unwritable(error.to_string()))
}
