//! Observe: lists → live objects, completeness proven.
//!
//! Declared objects are matched with live ones in rounds: what can be resolved is, what is missing is listed (each
//! collection once), until nothing waits. A read that failed blocks what depends on it; it never means absence.

mod across;
mod along;
mod defined;
mod detail;
mod fetch;
mod intended;
mod keys;
mod observe;
mod query;
mod reads;
mod records;
mod references;
mod remote;
mod resolve;
mod rows;
mod shape;
mod survey;
mod waits;

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

pub use self::{
    intended::{is_as_sent, may_be_of},
    keys::{KeyIndex, natural_key, natural_keys, shown_key},
    observe::{Container, ObserveOptions, Observer, is_another, item_vars},
    query::Wanted,
    records::{record_of, record_sources},
    remote::{ListQuery, Listing, Remote, can_list, fill_path, item_path, lists_below, own_headers},
    rows::qualify,
    rows::wanted,
    shape::ignored_paths,
    survey::{Depth, Place, Surveyed, each_reference},
    waits::is_waited_for,
};
use crate::{
    description::{Kind, Specs},
    diagnostic::Diagnostic,
    value::Fields,
};

/// One object as the API reports it.
#[derive(Debug, Clone)]
pub struct LiveObject {
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Connection that it was read by.
    pub connection: Arc<str>,
    /// Its id.
    pub id: String,
    /// Its fields, canonical; what the API does not say at all is not here.
    pub fields: Fields,
    /// The row as the API sent it, where its kind needs that.
    pub raw: Option<Value>,
    /// What tells it from another that had its id before, where its kind has that.
    pub stamp: Option<String>,
    /// When it was made, where its kind says so.
    pub made: Option<jiff::Timestamp>,
    /// Id of the parent that the list was limited to, or that the object is inside.
    pub parent: Option<String>,
    /// Another system owns it.
    pub synced: bool,
    /// It must never be deleted, whoever asks.
    pub never_delete: bool,
    /// It was read by itself, so that all its fields are here.
    pub detailed: bool,
    /// Ids of the objects that join it with others, and that entries inside it hang on: by the entries' kind and the
    /// other side's id.
    pub joins: HashMap<(String, String), String>,
}

/// What became of a declared object.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Not looked at yet.
    Waiting,
    /// Known: its live object (an index of [`Observed::objects`]), or none.
    Known(Option<usize>),
    /// A read that it needs failed, or it contradicts what is live: diagnostics tell.
    Blocked,
}

/// How a declared object found its live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The inventory knows its id.
    Owned,
    /// `plumb.dev/external-id`.
    ExternalId,
    /// Its natural key.
    Key,
}

/// Everything that was learnt about the live side.
#[derive(Debug, Default)]
pub struct Observed {
    /// Live objects.
    pub objects: Vec<LiveObject>,
    /// Live objects by connection, kind and id.
    pub by_id: HashMap<(Arc<str>, String, String), usize>,
    /// Kind of the parent that each live entry is inside, by live object.
    pub parent_kinds: HashMap<usize, Arc<str>>,
    /// What became of each declared object, by index.
    pub standing: Vec<Standing>,
    /// How each found its live object.
    pub found: Vec<Option<Found>>,
    /// Declared fields of each, references resolved.
    pub canonical: Vec<Fields>,
    /// Types of the fields of those whose kind has a hook.
    pub refined: HashMap<usize, Arc<Specs>>,
    /// Uses that only became known with the hook's types: declared objects by index.
    pub late: HashMap<usize, Vec<usize>>,
    /// Id of the parent in the paths of each, where it is live.
    pub parents: Vec<Option<String>>,
    /// Live ids of each kind that have the key of a declared object without owning record.
    pub same_key: HashMap<usize, Vec<String>>,
    /// Reads that failed, by connection and kind: what would be deleted there is not.
    pub failed: Vec<(Arc<str>, String)>,
    /// Collections that were read whole, by connection and kind, so that absence means something.
    pub complete: std::collections::HashSet<(Arc<str>, String)>,
    /// What there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// Declared objects that cannot be made before a person acts, by index, and who has to do what.
    pub waiting: HashMap<usize, String>,
    /// Ids that were looked for one by one and are gone.
    pub gone: std::collections::HashSet<(Arc<str>, String, String)>,
}

impl Observed {
    /// The live object of a declared one.
    pub fn live(&self, index: usize) -> Option<&LiveObject> {
        match self.standing.get(index)? {
            Standing::Known(Some(live)) => self.objects.get(*live),
            _ => None,
        }
    }

    /// The live object with this id.
    pub fn by_id(&self, connection: &Arc<str>, kind: &str, id: &str) -> Option<&LiveObject> {
        let index = self.by_id.get(&(connection.clone(), kind.to_owned(), id.to_owned()))?;
        self.objects.get(*index)
    }

    /// The field types of a declared object.
    pub fn specs<'a>(&'a self, index: usize, kind: &'a Kind) -> &'a Specs {
        self.refined.get(&index).map_or(&kind.spec.fields, |specs| specs)
    }
}
