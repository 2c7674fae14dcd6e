//! Webhooks of forges → stacks that are looked at now. Any replica takes them: it asks by the annotation that people ask
//! by, and the one that works sees that.

use std::path::PathBuf;

use axum::Router;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    stacks::is_fed,
    tell::kind,
    world::{Resource, World},
};
use crate::{
    failure::Failure,
    source::git::Location,
    webhook::{self, Answer, Event, HookLimits, Provider, Receiver, Secret, Sink, Webhooks},
};

/// Where events go.
struct Hooks {
    world: World,
    client: Client,
}

/// The routes of webhooks: a forge's name, and the file with the secret that it signs with.
pub(super) fn router(hooks: &[(String, PathBuf)], world: World, client: Client) -> Result<Option<Router>, Failure> {
    if hooks.is_empty() {
        return Ok(None);
    }
    let mut receivers = Vec::new();
    for (name, path) in hooks {
        let provider = Provider::from_name(name).ok_or_else(|| {
            Failure::user(format!("`--webhook {name}=…` names no forge."))
                .hint("There are `github`, `gitlab`, `gitea`, `forgejo`, `bitbucket` and `generic`.")
        })?;
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::config(format!(
                "The secret of the webhook `{name}` cannot be read from `{}`: {error}.",
                path.display()
            ))
        })?;
        let secret = Secret::new(text.trim())
            .ok_or_else(|| Failure::config(format!("The secret of the webhook `{name}` is empty.")))?;
        receivers.push(Receiver { name: name.clone(), provider, secrets: vec![secret] });
    }
    let webhooks = Webhooks::new(receivers, HookLimits::default(), std::sync::Arc::new(Hooks { world, client }));
    Ok(Some(Router::new().nest("/webhooks", webhook::router(webhooks))))
}

/// Where a stack's manifests are.
fn location(stack: &Resource) -> Option<Location> {
    let text = |name: &str| stack.manifest.pointer(&format!("/spec/source/{name}")).and_then(Value::as_str);
    let git = text("git")?;
    Location::parse(&text("ref").map_or_else(|| git.to_owned(), |reference| format!("{git}?ref={reference}"))).ok()
}

impl Sink for Hooks {
    fn deliver(&self, _receiver: &str, event: &Event) -> Answer {
        let (Some(repository), Event::Push(push)) = (event.repository(), event) else { return Answer::Nothing };
        let mut answer = Answer::Unknown;
        for stack in self.world.of_core("Stack").into_iter().filter(is_fed) {
            let Some(location) = location(&stack).filter(|location| repository.is(location)) else { continue };
            if !location.reference.may_mean(&push.reference) {
                answer = if answer == Answer::Unknown { Answer::Nothing } else { answer };
                continue;
            }
            answer = Answer::Taken;
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), &stack.key.namespace, &kind(&stack));
            tokio::spawn(async move {
                let now = jiff::Timestamp::now().to_string();
                let body = json!({"metadata": {"annotations": {"plumb.dev/reconcile-requested-at": now}}});
                let patched = api.patch(&stack.key.name, &PatchParams::default(), &Patch::Merge(&body)).await;
                if let Err(error) = patched {
                    tracing::warn!("`{}` cannot be asked to look at its source: {error}", stack.key.path());
                }
            });
        }
        answer
    }
}
