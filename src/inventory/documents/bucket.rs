//! Documents in an object store: Amazon S3 and what is like it, Google Cloud Storage, Azure Blob Storage.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    UpdateVersion,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
};

use super::{Keeper, Refusal, Version};
use crate::inventory::{InventoryError, Location, Settings};

/// A folder of a bucket.
#[derive(Debug)]
pub(in crate::inventory) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    location: String,
    /// Versions are numbers of generations, not tags.
    generations: bool,
}

impl Bucket {
    /// Prepares the client; talks to nobody.
    pub(in crate::inventory) fn open(location: &Location) -> Result<Self, InventoryError> {
        let name = location.to_string();
        let unusable = |message: String| InventoryError::Read { location: name.clone(), message };
        let (store, prefix, generations) = match location {
            Location::S3 { bucket, prefix, settings } => (s3(bucket, settings, &unusable)?, prefix, false),
            Location::Gs { bucket, prefix, settings } => (gs(bucket, settings, &unusable)?, prefix, true),
            Location::Az { container, prefix, settings } => (az(container, settings, &unusable)?, prefix, false),
            _ => return Err(unusable("it is no object store".into())),
        };
        Ok(Self { store, prefix: Path::from(prefix.as_str()), location: name, generations })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), Path::join)
    }

    fn version_of(&self, version: UpdateVersion) -> Result<Version, InventoryError> {
        let told = if self.generations { version.version } else { version.e_tag };
        let lacks = if self.generations { "generation" } else { "`ETag`" };
        told.map(Version).ok_or_else(|| self.unwritable(format!("the object store gives no {lacks}")))
    }

    fn unreadable(&self, error: &object_store::Error) -> InventoryError {
        InventoryError::Read { location: self.location.clone(), message: told(error) }
    }

    fn unwritable(&self, message: String) -> InventoryError {
        InventoryError::Write { location: self.location.clone(), message }
    }
}

type Unusable<'a> = &'a dyn Fn(String) -> InventoryError;

fn s3(bucket: &str, settings: &Settings, unusable: Unusable<'_>) -> Result<Arc<dyn ObjectStore>, InventoryError> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    for (setting, value) in &settings.0 {
        let key: AmazonS3ConfigKey = setting.parse().map_err(|_| unusable(no_setting(setting)))?;
        builder = builder.with_config(key, value);
    }
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key));
    let built = builder.with_client_options(client(endpoint.as_deref())).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|error| unusable(told(&error)))?))
}

fn gs(bucket: &str, settings: &Settings, unusable: Unusable<'_>) -> Result<Arc<dyn ObjectStore>, InventoryError> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    for (setting, value) in &settings.0 {
        let key: GoogleConfigKey = setting.parse().map_err(|_| unusable(no_setting(setting)))?;
        builder = builder.with_config(key, value);
    }
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let built = builder.with_client_options(client(endpoint.as_deref())).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|error| unusable(told(&error)))?))
}

fn az(container: &str, settings: &Settings, unusable: Unusable<'_>) -> Result<Arc<dyn ObjectStore>, InventoryError> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container);
    for (setting, value) in &settings.0 {
        let key: AzureConfigKey = setting.parse().map_err(|_| unusable(no_setting(setting)))?;
        builder = builder.with_config(key, value);
    }
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    let built = builder.with_client_options(client(endpoint.as_deref())).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|error| unusable(told(&error)))?))
}

fn no_setting(name: &str) -> String {
    format!("`{name}` is no setting of this object store")
}

fn client(endpoint: Option<&str>) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")))
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(30))
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
    }
}

#[async_trait]
impl Keeper for Bucket {
    async fn get(&self, name: &str) -> Result<Option<(Bytes, Version)>, InventoryError> {
        let found = match self.store.get(&self.path(name)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.unreadable(&error)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(|error| self.unreadable(&error))?;
        Ok(Some((bytes, self.version_of(version)?)))
    }

    async fn version(&self, name: &str) -> Result<Option<Version>, InventoryError> {
        match self.store.head(&self.path(name)).await {
            Ok(meta) => self.version_of(UpdateVersion { e_tag: meta.e_tag, version: meta.version }).map(Some),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes, version: Option<&Version>) -> Result<Version, Refusal> {
        let mode = match version {
            Some(Version(version)) if self.generations => {
                PutMode::Update(UpdateVersion { e_tag: None, version: Some(version.clone()) })
            }
            Some(Version(tag)) => PutMode::Update(UpdateVersion { e_tag: Some(tag.clone()), version: None }),
            None => PutMode::Create,
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path(name), PutPayload::from(bytes), options).await {
            Ok(put) => self.version_of(put.into()).map_err(Refusal::Other),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(Refusal::Condition)
            }
            Err(error) => Err(Refusal::Other(self.unwritable(told(&error)))),
        }
    }

    async fn remove(&self, names: Vec<String>) -> Result<(), InventoryError> {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let mut removed = self.store.delete_stream(futures::stream::iter(paths).boxed());
        while let Some(result) = removed.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.unwritable(told(&error))),
            }
        }
        Ok(())
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, InventoryError> {
        let folder = if folder.is_empty() { self.prefix.clone() } else { self.path(folder) };
        let prefix = Some(&folder).filter(|prefix| !prefix.as_ref().is_empty());
        let listed = self.store.list_with_delimiter(prefix).await.map_err(|error| self.unreadable(&error))?;
        let own = self.prefix.parts().count();
        Ok(listed
            .objects
            .into_iter()
            .map(|object| {
                let parts: Vec<String> =
                    object.location.parts().skip(own).map(|part| part.as_ref().to_owned()).collect();
                parts.join("/")
            })
            .collect())
    }

    fn never(&self) -> Option<Version> {
        Some(Version(if self.generations { "1".into() } else { format!("\"{}\"", "0".repeat(32)) }))
    }
}

/// A store's answer without its body, which may repeat the headers of the request: only its code and message stay.
fn told(error: &object_store::Error) -> String {
    let text = error.to_string();
    let Some((head, body)) = text.split_once('<') else { return text };
    let part = |tag: &str| {
        let (_, rest) = body.split_once(&format!("<{tag}>"))?;
        rest.split_once("</").map(|(part, _)| part)
    };
    let said: Vec<&str> = ["Code", "Message"].into_iter().filter_map(part).collect();
    format!("{} {}", head.trim_end().trim_end_matches(':'), said.join(": ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_answers_is_cut_down_to_code_and_message() {
        let body = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
                    <Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message>\
                    <CanonicalRequest>x-amz-security-token:hunter2</CanonicalRequest></Error>";
        let error = object_store::Error::Generic { store: "S3", source: body.into() };
        let text = told(&error);
        assert!(text.ends_with("403 Forbidden SignatureDoesNotMatch: It does not match."), "{text}");
        assert!(!text.contains("hunter2"));
    }
}
