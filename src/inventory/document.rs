//! An inventory in an object store: one JSON document per stack, replaced by conditional writes.
//!
//! Each document carries the session that wrote it. Whoever takes the lock writes the document anew first, so that a
//! write of an earlier holder, however late it arrives, meets a version that is no longer its own.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    UpdateVersion, aws::AmazonS3Builder, aws::AmazonS3ConfigKey, path::Path,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::inventory::{Edit, InventoryError, Owners, SCHEMA_VERSION, Settings, State, lease::LeaseView};

/// How often a write without an answer is tried.
const ATTEMPTS: u32 = 4;

/// A folder of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    name: String,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a write did not happen.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The object is not the version that it was thought to be.
    Condition,
    /// Anything else.
    Other(InventoryError),
}

impl Bucket {
    /// Prepares the client; talks to nobody.
    pub(super) fn open(bucket: &str, prefix: &str, settings: &Settings) -> Result<Self, InventoryError> {
        let name = format!("s3://{bucket}/{prefix}");
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        for (setting, value) in &settings.0 {
            let key: AmazonS3ConfigKey = setting.parse().map_err(|_| InventoryError::Read {
                location: name.clone(),
                message: format!("`{setting}` is no setting of an object store"),
            })?;
            builder = builder.with_config(key, value);
        }
        let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
            .iter()
            .find_map(|key| builder.get_config_value(key));
        let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(30));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.,
            },
            max_retries: 5,
            retry_timeout: Duration::from_secs(30),
        };
        let store = builder
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .map_err(|error| InventoryError::Read { location: name.clone(), message: told(&error) })?;
        Ok(Self { store: Arc::new(store), prefix: Path::from(prefix), name })
    }

    /// Where a stack's document is.
    pub(super) fn document(&self, stack: &str) -> Path {
        self.prefix.clone().join(format!("{stack}.json"))
    }

    /// Where a stack's lease is.
    pub(super) fn lease(&self, stack: &str) -> Path {
        self.prefix.clone().join(format!("{stack}.lock"))
    }

    /// Where a document is that is no record; below a folder, so that it is not taken for one.
    pub(super) fn notice(&self, name: &str) -> Path {
        self.prefix.clone().join("shared").join(format!("{name}.json"))
    }

    /// Reads an object with its version.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<(T, UpdateVersion)>, InventoryError> {
        let found = match self.store.get(path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.unreadable(&error)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(|error| self.unreadable(&error))?;
        let object = serde_json::from_slice(&bytes).map_err(|error| InventoryError::Damaged {
            location: self.name.clone(),
            message: format!("`{path}`: {error}"),
        })?;
        Ok(Some((object, version)))
    }

    /// Writes an object if it is still the given version, or not there if none is given.
    pub(super) async fn put<T: Serialize>(
        &self,
        path: &Path,
        object: &T,
        version: Option<UpdateVersion>,
    ) -> Result<UpdateVersion, Refusal> {
        let bytes = serde_json::to_vec(object).map_err(|error| Refusal::Other(self.unwritable(error.to_string())))?;
        self.put_bytes(path, bytes.into(), version).await
    }

    async fn put_bytes(
        &self,
        path: &Path,
        bytes: Bytes,
        version: Option<UpdateVersion>,
    ) -> Result<UpdateVersion, Refusal> {
        let mode = version.map_or(PutMode::Create, PutMode::Update);
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(path, PutPayload::from(bytes), options).await {
            Ok(put) if put.e_tag.is_none() => {
                Err(Refusal::Other(self.unwritable("the object store gives no `ETag`".into())))
            }
            Ok(put) => Ok(put.into()),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(Refusal::Condition)
            }
            Err(error) => Err(Refusal::Other(self.unwritable(told(&error)))),
        }
    }

    /// Makes sure that the store refuses a write whose condition does not hold, by two that would change nothing.
    pub(super) async fn check_conditions<T: Serialize>(&self, path: &Path, object: &T) -> Result<(), InventoryError> {
        let nothing = UpdateVersion { e_tag: Some(format!("\"{}\"", "0".repeat(32))), version: None };
        for version in [None, Some(nothing)] {
            match self.put(path, object, version).await {
                Err(Refusal::Condition) => {}
                Ok(_) => return Err(InventoryError::Unconditional(self.name.clone())),
                Err(Refusal::Other(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn unreadable(&self, error: &object_store::Error) -> InventoryError {
        InventoryError::Read { location: self.name.clone(), message: told(error) }
    }

    fn unwritable(&self, message: String) -> InventoryError {
        InventoryError::Write { location: self.name.clone(), message }
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

/// Reads a stack's document.
pub(super) async fn read(bucket: &Bucket, stack: &str) -> Result<State, InventoryError> {
    Ok(stored(bucket, &bucket.document(stack)).await?.map(|(stored, _)| stored.state).unwrap_or_default())
}

/// Reads who owns what, over all stacks in the folder.
pub(super) async fn owners(bucket: &Bucket) -> Result<Owners, InventoryError> {
    let mut owners = Owners::default();
    for path in documents(bucket).await? {
        if let Some((stored, _)) = stored(bucket, &path).await? {
            owners.add(&stored.stack, &stored.state);
        }
    }
    Ok(owners)
}

/// The names of the stacks in the folder.
pub(super) async fn stacks(bucket: &Bucket) -> Result<Vec<String>, InventoryError> {
    let mut stacks: Vec<String> = documents(bucket)
        .await?
        .iter()
        .filter_map(|path| path.filename()?.strip_suffix(".json").map(str::to_owned))
        .collect();
    stacks.sort();
    Ok(stacks)
}

async fn documents(bucket: &Bucket) -> Result<Vec<Path>, InventoryError> {
    let prefix = Some(&bucket.prefix).filter(|prefix| !prefix.as_ref().is_empty());
    let listed = bucket.store.list_with_delimiter(prefix).await.map_err(|error| bucket.unreadable(&error))?;
    Ok(listed
        .objects
        .into_iter()
        .map(|object| object.location)
        .filter(|path| path.extension() == Some("json"))
        .collect())
}

async fn stored(bucket: &Bucket, path: &Path) -> Result<Option<(Stored, UpdateVersion)>, InventoryError> {
    let Some((Versioned(value), version)) = bucket.get::<Versioned>(path).await? else { return Ok(None) };
    let damaged = |message: String| InventoryError::Damaged { location: bucket.name.clone(), message };
    let found = value.get("schemaVersion").and_then(serde_json::Value::as_u64);
    match found.and_then(|found| u32::try_from(found).ok()) {
        Some(found) if found > SCHEMA_VERSION => {
            Err(InventoryError::TooNew { location: bucket.name.clone(), found, known: SCHEMA_VERSION })
        }
        Some(_) => {
            let stored = serde_json::from_value(value).map_err(|error| damaged(format!("`{path}`: {error}")))?;
            Ok(Some((stored, version)))
        }
        None => Err(damaged(format!("`{path}` has no `schemaVersion`"))),
    }
}

/// A stack's document that is open for writing.
#[derive(Debug)]
pub(super) struct Document {
    bucket: Bucket,
    stack: String,
    session: String,
    version: Option<UpdateVersion>,
    write: u64,
    /// What the document will hold after the write that is under way.
    state: State,
    lease: LeaseView,
}

impl Document {
    /// Reads the document and puts this session's mark on it, under the lease.
    pub(super) async fn open(
        bucket: Bucket,
        stack: &str,
        session: &str,
        lease: LeaseView,
    ) -> Result<(Self, State), InventoryError> {
        let mut document = Self {
            bucket,
            stack: stack.to_owned(),
            session: session.to_owned(),
            version: None,
            write: 0,
            state: State::default(),
            lease,
        };
        for _ in 0..ATTEMPTS {
            let found = stored(&document.bucket, &document.path()).await?;
            (document.state, document.version) =
                found.map_or_else(Default::default, |(stored, version)| (stored.state, Some(version)));
            match document.save().await {
                Ok(()) => {
                    let state = document.state.clone();
                    return Ok((document, state));
                }
                // The last write of an earlier holder came in between.
                Err(InventoryError::Lost { .. }) if document.lease.lost().is_none() => {}
                Err(error) => return Err(error),
            }
        }
        Err(document.lost())
    }

    /// Writes commits with one put, durable on return; `before` is the state without them.
    pub(super) async fn write(
        &mut self,
        commits: &[Vec<Edit>],
        before: impl FnOnce() -> State,
    ) -> Result<(), InventoryError> {
        if self.lease.lost().is_some() {
            return Err(self.lost());
        }
        for commit in commits {
            self.state.apply(commit);
        }
        let saved = self.save().await;
        if saved.is_err() {
            self.state = before();
        }
        saved
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
            serde_json::to_vec(&stored).map_err(|error| self.bucket.unwritable(error.to_string()))?.into();
        let mut last = self.bucket.unwritable("it changes under this writer".into());
        for _ in 0..ATTEMPTS {
            match self.bucket.put_bytes(&self.path(), bytes.clone(), self.version.clone()).await {
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
        match stored(&self.bucket, &self.path()).await? {
            Some((stored, version)) if stored.session == self.session => {
                self.version = Some(version);
                Ok(stored.write == self.write)
            }
            Some((_, version)) if self.version.as_ref() == Some(&version) => Ok(false),
            None if self.version.is_none() => Ok(false),
            _ => Err(self.lost()),
        }
    }

    fn path(&self) -> Path {
        self.bucket.document(&self.stack)
    }

    fn lost(&self) -> InventoryError {
        let holder = self.lease.lost().and_then(|loss| loss.holder).map(Box::new);
        InventoryError::Lost { location: self.bucket.name.clone(), holder }
    }
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
