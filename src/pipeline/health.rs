//! Connections → how they are: reachable, whose key it is, how far the clocks are apart, what quota is left.

use std::{sync::Arc, time::SystemTime};

use serde_json::Value;

use super::{Options, connect::clients, load};
use crate::{
    description::{Kind, format::Verb},
    diagnostic::{Diagnostic, Sources},
    failure::Failure,
    http::{Call, HttpError, Pace, Quota},
    inventory::HashKey,
    live::{ListQuery, Remote},
    secret::Vault,
    value::{get_path, text},
};

/// How the connections of a stack are.
pub struct Checkup {
    /// Each of them, in the order of the manifests.
    pub connections: Vec<Health>,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
}

/// How a connection is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Name of the connection.
    pub connection: String,
    /// Name of its API.
    pub api: String,
    /// Base URL with the version path; none where the connection cannot be used at all.
    pub url: Option<String>,
    /// Version of the API: its version path.
    pub version: Option<String>,
    /// Path of the read that was tried.
    pub tried: Option<String>,
    /// Why the read failed; none where it went well.
    pub error: Option<String>,
    /// Whether an answer came at all.
    pub reachable: bool,
    /// Whose the credential is, where the API tells.
    pub identity: Option<String>,
    /// Seconds that the server's clock is ahead of this machine's.
    pub skew: Option<f64>,
    /// Requests allowed in a window, where the API tells.
    pub limit: Option<u64>,
    /// Requests left of them.
    pub remaining: Option<u64>,
    /// When the window ends.
    pub reset: Option<SystemTime>,
}

impl Health {
    /// Whether a plan would get through.
    pub fn is_well(&self) -> bool {
        self.url.is_some() && self.error.is_none()
    }
}

/// Looks at every connection of a stack by one read each.
pub async fn checkup(options: &Options) -> Result<Checkup, Failure> {
    // Who asks how things are wants to know now, not after a row of repeats.
    let pace = Pace { attempts: 1, ..options.pace };
    let options = &Options { pace, ..options.clone() };
    let mut loaded = load(options)?;
    // Hashes of this run are compared with none.
    let key =
        HashKey::random().map_err(|error| Failure::config(format!("The system gives no random numbers: {error}.")))?;
    let vault = Arc::new(Vault::new(key));
    let mut diagnostics = loaded.snapshot.diagnostics.clone();
    diagnostics.extend(loaded.manifests.diagnostics.iter().cloned());
    diagnostics.extend(loaded.resolve_secrets(&vault, options).await);
    // What is wrong with an object is no matter of its connection.
    diagnostics.retain(|diagnostic| diagnostic.address.is_none());
    let names = loaded.manifests.connections.keys().map(String::as_str).collect();
    let connected = clients(names, &loaded, &vault, options, &mut diagnostics).await?;
    let healths = loaded.manifests.connections.values().map(|connection| {
        let remote = connected.remotes.get(&connection.name);
        async move {
            let health =
                Health { connection: connection.name.clone(), api: connection.api.clone(), ..Health::default() };
            match remote {
                Some(remote) => look(remote, health).await,
                None => health,
            }
        }
    });
    let connections = futures::future::join_all(healths).await;
    Ok(Checkup { connections, diagnostics, sources: loaded.snapshot.sources })
}

async fn look(remote: &Remote, mut health: Health) -> Health {
    health.url = Some(remote.client.base_url().to_owned());
    health.version = remote.api.spec.version_path.clone();
    match read(remote, &mut health).await {
        Ok(identity) => {
            health.reachable = true;
            health.identity = identity.map(|identity| remote.client.mask(&identity));
        }
        Err(error) => {
            health.reachable = error.status().is_some();
            health.error = Some(remote.client.mask(&error.to_string()));
        }
    }
    health.skew = remote.client.server_date().map(|date| date.skew_seconds());
    let Quota { limit, remaining, reset } = remote.client.quota();
    (health.limit, health.remaining, health.reset) = (limit, remaining, reset);
    health
}

/// Makes the read that the description names, or else lists a collection that needs no parent.
async fn read(remote: &Remote, health: &mut Health) -> Result<Option<String>, HttpError> {
    let Some(check) = &remote.api.spec.check else {
        let listable =
            |kind: &&Arc<Kind>| kind.can(Verb::List) && kind.inside().is_none() && !kind.spec.path.contains('{');
        let Some(kind) = remote.api.kinds.values().find(listable) else { return Ok(None) };
        health.tried = Some(kind.spec.path.clone());
        remote.list_within(kind, &ListQuery::default(), 1).await?;
        return Ok(None);
    };
    health.tried = Some(check.path.trim_start_matches('^').to_owned());
    let mut call = Call::get(check.path.clone());
    call.query.extend(check.query.iter().map(|(name, value)| (name.clone(), value.clone())));
    let answer = remote.send(&call).await.and_then(|answer| remote.successful(answer))?;
    let body = answer.json()?;
    let row = remote.api.spec.envelope.one.as_deref().and_then(|path| get_path(&body, path)).unwrap_or(&body);
    Ok(check.identity.as_deref().and_then(|path| identity(row, path)))
}

fn identity(row: &Value, path: &str) -> Option<String> {
    get_path(row, path).and_then(text)
}
