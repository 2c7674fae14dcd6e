//! The ownership record: a stack's [`State`], kept in a local SQLite file, as documents in an object store or in
//! Kubernetes, or in a PostgreSQL database; and what its runs did.
//!
//! Reading takes no lock and leaves nothing behind. Writing needs the writer lock, and a commit is durable before it
//! returns; commits of concurrent callers share one durable write.

mod backend;
mod claims;
mod committer;
mod documents;
mod error;
mod history;
mod holder;
mod key;
mod location;
mod model;
mod owners;
mod postgres;
mod private;
mod record;
mod sqlite;
mod standing;

pub use backend::Board;
pub use claims::Claim;
pub use error::InventoryError;
pub use history::*;
pub use holder::Holder;
pub use key::{HASH_KEY_LENGTH, HashKey};
pub use location::{ClusterPlace, Form, Location, PostgresUrl, Settings};
pub use model::*;
pub use owners::{Begun, Owner, Owners};
pub use record::Inventory;
pub use standing::LeaseTimes;
