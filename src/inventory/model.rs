//! What the inventory knows: which live object each manifest owns, what was applied to it, and what was begun.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    inventory::{Change, End, Run},
    manifest::DeletionPolicy,
    value::Fields,
};

/// Version of the stored form.
pub const SCHEMA_VERSION: u32 = 2;

/// One stack's record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Counts the commits; part of every plan's digest.
    pub serial: u64,
    /// Owned objects by address.
    pub objects: BTreeMap<String, Arc<Record>>,
    /// Writes that were begun and whose end is not recorded, by intent id.
    pub intents: BTreeMap<String, Intent>,
    /// Objects whose deletion the API accepted and carries out later, by address.
    pub tombstones: BTreeMap<String, Tombstone>,
    /// The roots (paths as given to `-f`, made absolute-free and normalised) that the stack was applied from.
    pub roots: Vec<String>,
    /// Per connection, what account it was last seen to be: base URL and identity.
    pub accounts: BTreeMap<String, Account>,
    /// Runs that changed something, by id, which sorts by time.
    pub runs: BTreeMap<String, Run>,
}

/// One owned object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Connection.
    pub connection: String,
    /// Id of the live object.
    pub id: String,
    /// Id of the live object that this one is inside or scoped to, where its paths need it.
    pub parent: Option<String>,
    /// Address of the owner that an entry is inside.
    pub inside: Option<String>,
    /// Canonical values as last written, of the declared fields only; secrets by keyed hash.
    pub applied: Fields,
    /// Natural key as last seen, for people.
    pub key: String,
    /// It was there before plumb: forgotten rather than deleted.
    pub adopted: bool,
    /// Deletion policy as last applied.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Protected as last applied.
    pub protect: bool,
    /// Addresses that it depended on when last applied, for deletions in reverse order.
    pub depends_on: Vec<String>,
    /// When it was last written, RFC 3339.
    pub at: String,
    /// What tells the live object from another that takes its id later, where the API has that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
    /// What moves with each change of the live object, as plumb left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// A version that plumb's own writes made, or were about to make, and whose rollout is not started yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<PendingRollout>,
    /// Id of the object that this one took the place of and that is still to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// JSON pointers of values that plumb wrote, that the API never shows and that no manifest has declared since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unshown: Vec<String>,
}

/// A version that plumb's own writes made, or were about to make, and whose rollout is not started yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PendingRollout {
    /// The version that was the newest before.
    pub before: Option<String>,
    /// The version that a write made, once its answer said so.
    pub version: Option<String>,
    /// Hash of what is in that version, or in the one before where no answer said which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A write that was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Address of the object.
    pub address: String,
    /// What was begun.
    pub verb: IntentVerb,
    /// Connection.
    pub connection: String,
    /// Kind.
    pub kind: String,
    /// Id, where the object had one.
    pub id: Option<String>,
    /// Parent's id, where the paths need one.
    pub parent: Option<String>,
    /// Canonical values that were sent; secrets by keyed hash.
    pub sent: Fields,
    /// Ids that were seen with the same key before a create, for kinds whose key is not unique.
    pub seen: Vec<String>,
    /// When it began, RFC 3339.
    pub at: String,
    /// After this instant the request cannot take effect any more, RFC 3339: absence counts only then.
    pub deadline: String,
}

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntentVerb {
    /// A create.
    Create,
    /// An update.
    Update,
    /// A delete.
    Delete,
}

/// An object whose deletion the API carries out later.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tombstone {
    /// Connection.
    pub connection: String,
    /// Kind.
    pub kind: String,
    /// Id.
    pub id: String,
    /// When the deletion was accepted, RFC 3339.
    pub at: String,
}

/// What account a connection was last seen to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    /// Base URL.
    pub url: String,
    /// Who the credential belongs to, where the API tells.
    pub identity: Option<String>,
}

/// One change of the record; a commit applies a list of them at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    /// Begins a write.
    Begin(String, Intent),
    /// Ends a write, whatever came of it.
    End(String),
    /// Records an owned object.
    Put(String, Box<Record>),
    /// Forgets an object.
    Remove(String),
    /// Notes a deletion that is carried out later.
    Bury(String, Tombstone),
    /// Drops that note.
    Unbury(String),
    /// Sets the roots.
    Roots(Vec<String>),
    /// Notes what account a connection is.
    Account(String, Account),
    /// Records a run.
    Run(String, Box<Run>),
    /// Drops a run and all that is kept of it.
    DropRun(String),
    /// Keeps what a run is about to do to an object, by its number in the run, and how the object was before.
    Keep(String, u32, Box<Change>),
    /// Keeps what came of that.
    Kept(String, u32, Box<End>),
}

impl State {
    /// Applies a commit.
    pub fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            match edit.clone() {
                Edit::Begin(id, intent) => {
                    self.intents.insert(id, intent);
                }
                Edit::End(id) => {
                    self.intents.remove(&id);
                }
                Edit::Put(address, record) => {
                    self.objects.insert(address, record.into());
                }
                Edit::Remove(address) => {
                    self.objects.remove(&address);
                }
                Edit::Bury(address, tombstone) => {
                    self.tombstones.insert(address, tombstone);
                }
                Edit::Unbury(address) => {
                    self.tombstones.remove(&address);
                }
                Edit::Roots(roots) => self.roots = roots,
                Edit::Account(connection, account) => {
                    self.accounts.insert(connection, account);
                }
                Edit::Run(id, run) => {
                    self.runs.insert(id, *run);
                }
                Edit::DropRun(id) => {
                    self.runs.remove(&id);
                }
                // Nobody needs them but who asks for the history.
                Edit::Keep(..) | Edit::Kept(..) => {}
            }
        }
        self.serial += 1;
    }
}
