//! Verdicts → the API server: statuses that say something new, Events, finalizers.

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use serde_json::json;

use super::{
    lease::Right,
    verdict::Happening,
    world::{FINALIZER, Resource, World},
};
use crate::{description::compiled::VERSION, operator::status::Status};

/// Who writes.
const MANAGER: &str = "plumb-operator";

/// Writes to the API server.
#[derive(Clone)]
pub(super) struct Teller {
    client: Client,
    recorder: Recorder,
    world: World,
    right: Right,
}

/// Why nothing is written.
fn lost() -> kube::Error {
    kube::Error::Service("this replica's lease is over, and another one may work".into())
}

impl Teller {
    pub(super) fn new(client: Client, world: World, right: Right, instance: &str) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance.to_owned()) };
        Self { recorder: Recorder::new(client.clone(), reporter), client, world, right }
    }

    fn api(&self, resource: &Resource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &resource.key.namespace, &kind(resource))
    }

    /// Writes a status, where it is not what the resource has.
    pub(super) async fn status(&self, resource: &Resource, status: &Status) -> Result<bool, kube::Error> {
        if resource.status == *status {
            return Ok(false);
        }
        if !self.right.is_held() {
            return Err(lost());
        }
        let body = json!({
            "apiVersion": format!("{}/{VERSION}", resource.key.group),
            "kind": resource.key.kind,
            "metadata": {"name": resource.key.name, "uid": resource.uid},
            "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        match self.api(resource).patch_status(&resource.key.name, &params, &Patch::Apply(&body)).await {
            Ok(written) => {
                self.learn(resource, &written);
                Ok(true)
            }
            // It went meanwhile, or is another one of the same name.
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds or takes away the finalizer; whether the resource is still there.
    pub(super) async fn hold(&self, resource: &Resource, hold: bool) -> Result<bool, kube::Error> {
        if resource.is_held() == hold {
            return Ok(true);
        }
        if !self.right.is_held() {
            return Err(lost());
        }
        let mut finalizers: Vec<&str> =
            resource.finalizers.iter().map(String::as_str).filter(|name| *name != FINALIZER).collect();
        if hold {
            finalizers.push(FINALIZER);
        }
        let body = json!({"metadata": {"finalizers": finalizers, "resourceVersion": resource.version}});
        let patched = self.api(resource).patch(&resource.key.name, &PatchParams::default(), &Patch::Merge(&body)).await;
        match patched {
            Ok(written) => {
                if hold {
                    self.learn(resource, &written);
                }
                Ok(true)
            }
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Publishes an Event. One that cannot be published is only logged: it is no reason to stop.
    pub(super) async fn event(&self, resource: &Resource, happening: &Happening) {
        if !self.right.is_held() {
            return;
        }
        let event = Event {
            type_: if happening.warning { EventType::Warning } else { EventType::Normal },
            reason: happening.reason.to_owned(),
            note: Some(happening.note.clone()),
            action: happening.action.to_owned(),
            secondary: None,
        };
        let reference = ObjectReference {
            api_version: Some(format!("{}/{VERSION}", resource.key.group)),
            kind: Some(resource.key.kind.clone()),
            name: Some(resource.key.name.clone()),
            namespace: Some(resource.key.namespace.clone()),
            uid: Some(resource.uid.clone()),
            ..ObjectReference::default()
        };
        if let Err(error) = self.recorder.publish(&event, &reference).await {
            tracing::debug!("an Event about `{}` could not be published: {error}", resource.key.path());
        }
    }

    /// Writes a `ConfigMap`.
    pub(super) async fn config_map(&self, namespace: &str, map: &ConfigMap) -> Result<(), kube::Error> {
        if !self.right.is_held() {
            return Err(lost());
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams::apply(MANAGER).force();
        api.patch(map.metadata.name.as_deref().unwrap_or_default(), &params, &Patch::Apply(map)).await.map(|_| ())
    }

    /// Takes in what was just written, so that it is not written again before the watch tells of it.
    fn learn(&self, resource: &Resource, written: &DynamicObject) {
        let Ok(mut value) = serde_json::to_value(written) else { return };
        value["apiVersion"] = format!("{}/{VERSION}", resource.key.group).into();
        value["kind"] = resource.key.kind.clone().into();
        let key = &resource.key;
        if let Some(read) = Resource::read(&key.group, &key.kind, &resource.plural, &value) {
            self.world.refresh(read);
        }
    }
}

/// The kind of a resource, for the API server.
pub(super) fn kind(resource: &Resource) -> ApiResource {
    ApiResource {
        group: resource.key.group.clone(),
        version: VERSION.to_owned(),
        api_version: format!("{}/{VERSION}", resource.key.group),
        kind: resource.key.kind.clone(),
        plural: resource.plural.clone(),
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || (status.code == 409 && status.message.contains("UID")))
}
