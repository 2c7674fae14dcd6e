//! Small documents that machines share beside the records of a remote inventory, each replaced only if it is still what
//! was read. They are no part of any record, and nothing is lost with them.

use object_store::{UpdateVersion, path::Path};
use serde_json::Value;

use crate::inventory::{
    InventoryError, Location,
    document::{Bucket, Refusal},
};

/// The documents of an inventory.
#[derive(Debug, Clone)]
pub struct Notices(Bucket);

impl Notices {
    /// Those of a remote inventory; a local one has none, since no other machine uses it.
    pub fn at(location: &Location) -> Option<Self> {
        match location {
            Location::S3 { bucket, prefix, settings } => Bucket::open(bucket, prefix, settings).ok().map(Self),
            Location::Sqlite(_) => None,
        }
    }

    /// Reads a document with its version.
    pub async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, InventoryError> {
        let found = self.0.get::<Value>(&self.path(name)).await?;
        Ok(found.map(|(document, version)| {
            let version = serde_json::json!([version.e_tag, version.version]);
            (document.to_string().into_bytes(), version.to_string())
        }))
    }

    /// Replaces the document of a version, or makes it where none is given; tells whether it still was that one.
    pub async fn replace(&self, name: &str, text: &[u8], version: Option<&str>) -> Result<bool, InventoryError> {
        let version = version.and_then(|text| serde_json::from_str::<(Option<String>, Option<String>)>(text).ok());
        let version = version.map(|(e_tag, version)| UpdateVersion { e_tag, version });
        let document: Value = serde_json::from_slice(text).unwrap_or_default();
        match self.0.put(&self.path(name), &document, version).await {
            Ok(_) => Ok(true),
            Err(Refusal::Condition) => Ok(false),
            Err(Refusal::Other(error)) => Err(error),
        }
    }

    fn path(&self, name: &str) -> Path {
        self.0.notice(name)
    }
}
