//! A key of a Kubernetes Secret that takes a value which an API shows once. The Secret is plumb's own, and goes with the
//! resource that it was made for.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::policy::Cluster;

/// The label of Secrets that plumb made.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "plumb");
/// What tells them from other things of plumb's.
const SINK: (&str, &str) = ("plumb.dev/secret-sink", "true");
/// Who writes.
const MANAGER: &str = "plumb-sink";

/// A key of a Secret that is there and plumb's.
pub(super) struct SecretKey {
    api: Api<Secret>,
    name: String,
    key: String,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).field("key", &self.key).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Makes sure that the Secret is there, is plumb's, and may be written.
    pub(super) async fn open(place: &Value, cluster: &Cluster) -> Result<Self, String> {
        let text = |name: &str| place.get(name).and_then(Value::as_str);
        let name = text("name").unwrap_or_default().to_owned();
        let key = text("key").unwrap_or_default().to_owned();
        let client = client(cluster, &name).await?;
        let namespace = text("namespace").map_or_else(|| client.default_namespace().to_owned(), str::to_owned);
        let owner = place.get("owner").and_then(|owner| serde_json::from_value::<OwnerReference>(owner.clone()).ok());
        let api: Api<Secret> = Api::namespaced(client, &namespace);
        let wrong = |error: kube::Error| cannot(&name, &error);
        match api.get_opt(&name).await.map_err(wrong)? {
            None => {
                api.create(&PostParams::default(), &fresh(&name, owner)).await.map_err(wrong)?;
            }
            Some(there) if there.labels().get(SINK.0).is_none_or(|label| label != SINK.1) => {
                return Err(format!(
                    "the Secret `{name}` is there already: plumb did not make it, and leaves it alone"
                ));
            }
            Some(there) => {
                // Whoever uses it too owns it too; and a write that changes nothing shows that it may be written.
                let mut owners = there.owner_references().to_vec();
                owners.extend(owner.filter(|owner| owners.iter().all(|known| known.uid != owner.uid)));
                let body = json!({
                    "metadata": {"ownerReferences": owners, "resourceVersion": there.resource_version()},
                });
                api.patch(&name, &PatchParams::default(), &Patch::Merge(&body)).await.map_err(wrong)?;
            }
        }
        Ok(Self { api, name, key })
    }

    /// Writes the value; the API server has it when this returns.
    pub(super) async fn write(self, text: &str) -> Result<(), String> {
        let data = BTreeMap::from([(&self.key, ByteString(text.as_bytes().to_vec()))]);
        let body = json!({ "data": data });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let written = self.api.patch(&self.name, &params, &Patch::Merge(&body)).await;
        written.map(|_| ()).map_err(|error| cannot(&self.name, &error))
    }
}

fn fresh(name: &str, owner: Option<OwnerReference>) -> Secret {
    let labels = [MANAGED_BY, SINK].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.into()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

async fn client(cluster: &Cluster, name: &str) -> Result<Client, String> {
    match cluster {
        Cluster::Client(client) => Ok(client.clone()),
        Cluster::Held(held) => held.client().ok_or_else(|| format!("there is no cluster for the Secret `{name}`")),
        Cluster::Usual => Client::try_default()
            .await
            .map_err(|error| format!("no Kubernetes cluster can be asked for the Secret `{name}`: {error}")),
        Cluster::Nowhere => Err(format!("there is no cluster for the Secret `{name}`")),
    }
}

fn cannot(name: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!(
                "the Secret `{name}` may not be written here: who runs plumb needs `get`, `create` and `patch` on it"
            )
        }
        kube::Error::Api(status) => {
            format!("the Secret `{name}` cannot be written: the API server answers {}", status.code)
        }
        error => format!("the Secret `{name}` cannot be written: {}", super::process::masked(&error.to_string())),
    }
}
