//! Documents in Kubernetes: a Secret or `ConfigMap` for each, compressed; what is too long for one goes into further ones.
//! A write names the `resourceVersion` that it replaces.

use std::{
    collections::{BTreeMap, HashSet},
    io::{Read as _, Write as _},
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::ApiResource,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Keeper, Refusal, Version};
use crate::inventory::{ClusterPlace, Form, InventoryError};

/// The most that goes into one object; Kubernetes allows 1 MiB.
const CHUNK: usize = 900 * 1024;

/// The longest document that is read.
const LONGEST: u64 = 1 << 30;

/// How often a document is read whose further objects are being replaced.
const ATTEMPTS: u32 = 5;

/// The most objects that are deleted at once.
const AT_ONCE: usize = 8;

const INVENTORY: &str = "plumb.dev/inventory";
const DOCUMENT: &str = "plumb.dev/document";
const PART_OF: &str = "plumb.dev/part-of";
const PARTS: &str = "plumb.dev/parts";
const GENERATION: &str = "plumb.dev/generation";

/// Objects of one namespace.
pub(in crate::inventory) struct Cluster {
    place: ClusterPlace,
    client: OnceCell<Client>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cluster").field(&self.place).finish()
    }
}

impl Cluster {
    /// Prepares; talks to nobody.
    pub(in crate::inventory) fn at(place: &ClusterPlace) -> Self {
        Self { place: place.clone(), client: OnceCell::new() }
    }

    async fn api(&self) -> Result<Api<DynamicObject>, InventoryError> {
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        let resource = match self.place.form {
            Form::Secret => ApiResource::erase::<Secret>(&()),
            Form::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
        };
        Ok(Api::namespaced_with(client.clone(), &self.place.namespace, &resource))
    }

    async fn connect(&self) -> Result<Client, InventoryError> {
        let mut config = match self.place.settings.get("kubeconfig") {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| self.unreadable(&error))?;
                let chosen = KubeConfigOptions::default();
                Config::from_custom_kubeconfig(file, &chosen).await.map_err(|error| self.unreadable(&error))?
            }
            None => Config::infer().await.map_err(|error| self.unreadable(&error))?,
        };
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(Duration::from_secs(30));
        config.write_timeout = Some(Duration::from_secs(30));
        Client::try_from(config).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> InventoryError {
        InventoryError::Read { location: self.place.to_string(), message: error.to_string() }
    }

    fn unwritable(&self, error: &dyn std::fmt::Display) -> InventoryError {
        InventoryError::Write { location: self.place.to_string(), message: error.to_string() }
    }

    fn damaged(&self, name: &str, why: &str) -> InventoryError {
        InventoryError::Damaged { location: self.place.to_string(), message: format!("`{name}`: {why}") }
    }

    /// The name of the object that has a document.
    fn name(&self, document: &str) -> String {
        let name = format!("{}.{}", self.place.name, document.trim_end_matches(".json").replace('/', "."));
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-".contains(letter);
        let fits = name.len() <= 200
            && name.chars().all(plain)
            && name.split('.').all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-'));
        if fits { name } else { format!("{}.x{}", self.place.name, short_hash(document)) }
    }

    /// An object with a piece of a document.
    fn object(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        annotations: &[(&str, &str)],
        piece: Option<&[u8]>,
    ) -> DynamicObject {
        let resource = match self.place.form {
            Form::Secret => ApiResource::erase::<Secret>(&()),
            Form::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
        };
        let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut object = DynamicObject::new(name, &resource);
        let mut all = own(labels);
        all.insert(INVENTORY.into(), label(&self.place.name));
        all.insert("app.kubernetes.io/managed-by".into(), "plumb".into());
        object.metadata.labels = Some(all);
        object.metadata.annotations = Some(own(annotations));
        let data = piece.map_or(json!({}), |piece| json!({ "document": STANDARD.encode(piece) }));
        object.data = match self.place.form {
            Form::Secret => json!({ "type": "plumb.dev/inventory", "data": data }),
            Form::ConfigMap => json!({ "binaryData": data }),
        };
        object
    }

    /// The piece of a document that an object has.
    fn piece(&self, object: &DynamicObject) -> Result<Vec<u8>, InventoryError> {
        let name = object.name_any();
        let field = match self.place.form {
            Form::Secret => "data",
            Form::ConfigMap => "binaryData",
        };
        let text = object.data.get(field).and_then(|data| data.get("document")).and_then(Value::as_str);
        let text = text.ok_or_else(|| self.damaged(&name, "it has no `document`"))?;
        STANDARD.decode(text).map_err(|error| self.damaged(&name, &error.to_string()))
    }

    /// The compressed bytes of a document; `None` if some of its objects are gone, because it is being replaced.
    async fn bytes(&self, api: &Api<DynamicObject>, object: &DynamicObject) -> Result<Option<Vec<u8>>, InventoryError> {
        let Some(parts) = object.annotations().get(PARTS) else { return self.piece(object).map(Some) };
        let count: usize =
            parts.parse().map_err(|_| self.damaged(&object.name_any(), "its parts cannot be counted"))?;
        let generation = object.annotations().get(GENERATION).cloned().unwrap_or_default();
        let own = object.name_any();
        let names: Vec<String> = (0..count).map(|number| part(&own, &generation, number)).collect();
        let found = try_join_all(names.iter().map(|name| api.get_opt(name))).await;
        let mut bytes = Vec::new();
        for found in found.map_err(|error| self.unreadable(&error))? {
            let Some(found) = found else { return Ok(None) };
            bytes.extend(self.piece(&found)?);
        }
        Ok(Some(bytes))
    }

    /// Removes the further objects of a document that are not of a generation.
    async fn remove_parts(&self, api: &Api<DynamicObject>, own: &str, but: &str) -> Result<(), kube::Error> {
        let parts = ListParams::default().labels(&format!("{PART_OF}={}", label(own)));
        let listed = api.list_metadata(&parts).await?;
        let old = listed
            .items
            .iter()
            .filter(|object| object.annotations().get(GENERATION).is_none_or(|generation| generation != but));
        let names: Vec<String> = old.map(kube::ResourceExt::name_any).collect();
        try_join_all(names.iter().map(|name| delete(api, name))).await?;
        Ok(())
    }
}

async fn delete(api: &Api<DynamicObject>, name: &str) -> Result<(), kube::Error> {
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) => Err(error),
    }
}

fn status(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn part(own: &str, generation: &str, number: usize) -> String {
    format!("{own}.{generation}.{number}")
}

fn short_hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().take(10).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A text as a label's value, of which Kubernetes allows 63 characters.
fn label(text: &str) -> String {
    if text.len() <= 63 { text.to_owned() } else { short_hash(text) }
}

fn compressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn decompressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).take(LONGEST).read_to_end(&mut out)?;
    Ok(out)
}

#[async_trait]
impl Keeper for Cluster {
    async fn get(&self, document: &str) -> Result<Option<(Bytes, Version)>, InventoryError> {
        let api = self.api().await?;
        let name = self.name(document);
        for _ in 0..ATTEMPTS {
            let Some(found) = api.get_opt(&name).await.map_err(|error| self.unreadable(&error))? else {
                return Ok(None);
            };
            if found.annotations().get(DOCUMENT).is_none_or(|there| there != document) {
                return Err(self.damaged(&name, "it is something else than plumb's"));
            }
            let version = found.resource_version().ok_or_else(|| self.damaged(&name, "it has no version"))?;
            if let Some(bytes) = self.bytes(&api, &found).await? {
                let bytes = decompressed(&bytes).map_err(|error| self.damaged(&name, &error.to_string()))?;
                return Ok(Some((bytes.into(), Version(version))));
            }
        }
        Err(self.damaged(&name, "some of its parts are missing"))
    }

    async fn version(&self, document: &str) -> Result<Option<Version>, InventoryError> {
        let api = self.api().await?;
        let found = api.get_metadata_opt(&self.name(document)).await.map_err(|error| self.unreadable(&error))?;
        Ok(found.and_then(|found| found.resource_version()).map(Version))
    }

    async fn put(&self, document: &str, bytes: Bytes, version: Option<&Version>) -> Result<Version, Refusal> {
        let api = self.api().await.map_err(Refusal::Other)?;
        let name = self.name(document);
        let fail = |error: &dyn std::fmt::Display| Refusal::Other(self.unwritable(error));
        let bytes = compressed(&bytes).map_err(|error| fail(&error))?;
        let pieces: Vec<&[u8]> = bytes.chunks(CHUNK).collect();
        let generation = format!("{:012x}", fastrand::u64(..) >> 16);
        let post = PostParams::default();
        let mut own = if pieces.len() > 1 {
            // The further objects are there before the first one names them; nobody looks at them until then.
            for (number, piece) in pieces.iter().enumerate() {
                let labels = [(PART_OF, label(&name))];
                let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
                let annotations = [(GENERATION, generation.as_str())];
                let object = self.object(&part(&name, &generation, number), &labels, &annotations, Some(piece));
                api.create(&post, &object).await.map_err(|error| fail(&error))?;
            }
            let count = pieces.len().to_string();
            let annotations = [(DOCUMENT, document), (PARTS, count.as_str()), (GENERATION, generation.as_str())];
            self.object(&name, &[], &annotations, None)
        } else {
            self.object(&name, &[], &[(DOCUMENT, document)], Some(&bytes))
        };
        let written = match version {
            None => api.create(&post, &own).await,
            Some(version) => {
                own.metadata.resource_version = Some(version.0.clone());
                api.replace(&name, &post, &own).await
            }
        };
        let in_parts = pieces.len() > 1;
        let result = match written {
            Ok(object) => object
                .resource_version()
                .map(Version)
                .ok_or_else(|| Refusal::Other(self.damaged(&name, "it has no version"))),
            Err(error) if matches!(status(&error), Some(404 | 409)) && !is_missing_namespace(&error) => {
                Err(Refusal::Condition)
            }
            Err(error) => Err(fail(&error)),
        };
        // Of a write that was refused its own parts go; of one that was done, all others. What stays behind is not read.
        let tidied = match &result {
            Ok(_) if in_parts => self.remove_parts(&api, &name, &generation).await,
            Err(Refusal::Condition) if in_parts => {
                let names: Vec<String> = (0..pieces.len()).map(|number| part(&name, &generation, number)).collect();
                try_join_all(names.iter().map(|name| delete(&api, name))).await.map(drop)
            }
            _ => Ok(()),
        };
        if let Err(error) = tidied {
            tracing::debug!(%error, "parts of a document stay behind");
        }
        result
    }

    async fn remove(&self, documents: Vec<String>) -> Result<(), InventoryError> {
        let api = self.api().await?;
        let own: Vec<String> = documents.iter().map(|document| self.name(document)).collect();
        let labels: HashSet<String> = own.iter().map(|name| label(name)).collect();
        // All further objects are listed once, however many documents go.
        let parts = ListParams::default().labels(&format!("{INVENTORY}={},{PART_OF}", label(&self.place.name)));
        let listed = api.list_metadata(&parts).await.map_err(|error| self.unwritable(&error))?;
        let parts = listed.items.iter().filter(|part| part.labels().get(PART_OF).is_some_and(|of| labels.contains(of)));
        let names: Vec<String> = own.into_iter().chain(parts.map(kube::ResourceExt::name_any)).collect();
        let api = &api;
        let deletions = names.into_iter().map(|name| async move { delete(api, &name).await });
        let deleted = stream::iter(deletions).buffer_unordered(AT_ONCE);
        deleted.try_collect::<()>().await.map_err(|error| self.unwritable(&error))
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, InventoryError> {
        let api = self.api().await?;
        let own = ListParams::default().labels(&format!("{INVENTORY}={}", label(&self.place.name)));
        let listed = api.list_metadata(&own).await.map_err(|error| self.unreadable(&error))?;
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let documents = listed.items.iter().filter_map(|object| object.annotations().get(DOCUMENT));
        let here = |document: &&String| {
            document.strip_prefix(&prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        };
        Ok(documents.filter(here).cloned().collect())
    }

    fn never(&self) -> Option<Version> {
        // Kubernetes has no other way to replace an object.
        None
    }
}

/// Whether what is not there is the namespace: no version of a document would help.
fn is_missing_namespace(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => {
            status.code == 404 && status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Settings;

    #[test]
    fn every_document_has_a_name_that_kubernetes_takes() {
        let place = ClusterPlace {
            namespace: "team".into(),
            name: "plumb".into(),
            form: Form::Secret,
            settings: Settings::default(),
        };
        let cluster = Cluster::at(&place);
        assert_eq!(cluster.name("default.json"), "plumb.default");
        assert_eq!(cluster.name("default.lock"), "plumb.default.lock");
        assert_eq!(cluster.name("history/a/1/000001.json"), "plumb.history.a.1.000001");
        for odd in ["Team A.json", "a..b.json", &format!("{}.json", "a".repeat(250)), "-a.json"] {
            let name = cluster.name(odd);
            assert!(name.starts_with("plumb.x") && name.len() < 60, "{name}");
        }
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = compressed(&bytes).unwrap();
        assert!(packed.len() < bytes.len());
        assert_eq!(decompressed(&packed).unwrap(), bytes);
    }
}
