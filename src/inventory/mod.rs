//! The ownership record: a stack's [`State`], kept in a local SQLite file or as a document in an object store.
//!
//! Reading takes no lock and leaves nothing behind. Writing needs the writer lock, and a commit is durable before it
//! returns; commits of concurrent callers share one durable write.

mod committer;
mod document;
mod error;
mod file_lock;
mod holder;
mod key;
mod lease;
mod location;
mod model;
mod notices;
mod owners;
mod private;
mod record;
mod sqlite;
mod store;

pub use error::InventoryError;
pub use holder::Holder;
pub use key::{HASH_KEY_LENGTH, HashKey};
pub use lease::LeaseTimes;
pub use location::{Location, Settings};
pub use model::*;
pub use notices::Notices;
pub use owners::{Owner, Owners};
pub use record::Inventory;
