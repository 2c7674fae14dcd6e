//! Connections → clients, against the real APIs or simulated ones.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;
use serde_json::Value;

use super::{Loaded, Options};
use crate::{
    description::{Api, format::Check},
    diagnostic::Diagnostic,
    failure::Failure,
    http::{self, Board, Call, Client, ClientSpec, HostPolicy, HttpError, Naming, Pace, Quota, ResolvedAuth},
    inventory::State,
    live::{Observed, Remote},
    manifest::{Auth, Connection, Manifests},
    progress::ProgressEvent,
    sandbox::{Sandbox, SandboxOptions},
    secret::Vault,
    value::{get_path, secret_hash, text},
};

/// Where machines share budgets, and the names that these have there.
type Shared = (Arc<dyn Board>, Naming);

/// The connections of a run.
pub struct Connected {
    /// By name.
    pub remotes: HashMap<String, Remote>,
    /// The simulated APIs, for as long as the run goes on.
    pub sandbox: Option<Sandbox>,
}

impl Connected {
    /// What is left of each connection's limit, as its last answer told it.
    pub fn quotas(&self) -> BTreeMap<String, Quota> {
        self.remotes.iter().map(|(name, remote)| (name.clone(), remote.client.quota())).collect()
    }

    /// Requests sent so far, over all connections.
    pub fn sent(&self) -> u64 {
        self.remotes.values().map(|remote| remote.client.sent()).sum()
    }
}

/// Makes a client for every connection that the stack uses; what is wrong with one is told, and its objects wait.
pub async fn connect(
    loaded: &Loaded,
    state: &State,
    vault: &Arc<Vault>,
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Connected, Failure> {
    let used: BTreeSet<&str> = loaded
        .manifests
        .objects
        .iter()
        .map(|object| object.connection.as_str())
        .chain(state.objects.values().map(|record| record.connection.as_str()))
        .filter(|name| !name.is_empty())
        .collect();
    connect_to(used, loaded, vault, options, diagnostics).await
}

/// Makes a client for each of these connections, and asks whose their credentials are where the API has to be asked.
pub(super) async fn connect_to(
    names: BTreeSet<&str>,
    loaded: &Loaded,
    vault: &Arc<Vault>,
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Connected, Failure> {
    let mut connected = clients(names, loaded, vault, options, diagnostics).await?;
    identify(&mut connected, diagnostics).await;
    Ok(connected)
}

/// Asks the APIs whose descriptions demand it whose the credential is, before anything else is read; a connection that
/// gets no answer is not used.
async fn identify(connected: &mut Connected, diagnostics: &mut Vec<Diagnostic>) {
    let asked = connected.remotes.iter().filter_map(|(name, remote)| {
        let check = remote.api.spec.check.as_ref().filter(|check| check.required)?;
        Some(async move { (name.clone(), check.path.clone(), ask(remote, check).await) })
    });
    let mut answers = futures::future::join_all(asked).await;
    answers.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    for (name, path, answer) in answers {
        match answer {
            Ok(caller) => {
                if let Some(remote) = connected.remotes.get_mut(&name) {
                    remote.caller = Some(Arc::new(caller));
                }
            }
            Err(error) => {
                let absent = error.status() == Some(404);
                let mut told = Diagnostic::from(error);
                told = told.hint(
                    "Nothing of this connection is read or planned: to a credential that it does not know, this API \
                     answers with public objects only, which would look like an account whose objects are gone.",
                );
                if absent {
                    let path = path.trim_start_matches('^');
                    told = told.hint(format!(
                        "The server has no `{path}`, by which it tells whose a credential is; check `url`."
                    ));
                }
                diagnostics.push(told);
                connected.remotes.remove(&name);
            }
        }
    }
}

/// Makes the read that tells whose the credential is.
async fn ask(remote: &Remote, check: &Check) -> Result<Value, HttpError> {
    let mut call = Call::get(check.path.clone());
    call.query.extend(check.query.iter().map(|(name, value)| (name.clone(), value.clone())));
    let answer = remote.send(&call).await.and_then(|answer| remote.successful(answer))?;
    let body = answer.json()?;
    let row = remote.api.spec.envelope.one.as_deref().and_then(|path| get_path(&body, path)).unwrap_or(&body).clone();
    if row.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(answer.unusable("an answer that names nobody", "whose the credential is"));
    }
    Ok(row)
}

/// Makes a client for each of these connections; nothing is sent yet.
pub(super) async fn clients(
    names: BTreeSet<&str>,
    loaded: &Loaded,
    vault: &Arc<Vault>,
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Connected, Failure> {
    let manifests = &loaded.manifests;
    // An override that names no connection was meant for one: none is called at its usual address instead.
    if options.connections.iter().any(|(name, _)| !manifests.connections.contains_key(name)) {
        return Ok(Connected { remotes: HashMap::new(), sandbox: None });
    }
    let mut remotes = HashMap::new();
    let sandbox = if options.sandbox {
        let sandbox = Sandbox::start(&manifests.catalog, SandboxOptions::default()).await;
        Some(sandbox.map_err(|error| Failure::config(format!("The sandbox cannot be started: {error}.")))?)
    } else {
        None
    };
    let board = super::budgets::board(loaded, vault, options);
    let wanted = Arc::new(crate::live::wanted(manifests));
    for name in names {
        let Some(connection) = manifests.connections.get(name) else { continue };
        let made = client(loaded, connection, vault, options, sandbox.as_ref(), board.as_ref(), diagnostics);
        match made.map(|remote| remote.map(|remote| Remote { wanted: wanted.clone(), ..remote })) {
            Ok(Some(remote)) => {
                remotes.insert(name.to_owned(), remote);
            }
            Ok(None) => {}
            Err(wrong) => {
                let place = connection
                    .document
                    .and_then(|document| crate::manifest::locate(&loaded.snapshot.sources, document, "/spec"));
                let placed = if wrong.place.is_none() { wrong.at(place) } else { *wrong };
                diagnostics.push(placed);
            }
        }
    }
    Ok(Connected { remotes, sandbox })
}

fn client(
    loaded: &Loaded,
    connection: &Connection,
    vault: &Arc<Vault>,
    options: &Options,
    sandbox: Option<&Sandbox>,
    board: Option<&Shared>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Option<Remote>, Box<Diagnostic>> {
    // What is wrong with it was told; nothing goes anywhere else instead.
    if connection.broken {
        return Ok(None);
    }
    let Some(api) = loaded.manifests.catalog.api(&connection.api).cloned() else { return Ok(None) };
    let overridden = options.connections.iter().find(|(name, _)| *name == connection.name).map(|(_, url)| url.clone());
    let url = match sandbox {
        Some(sandbox) => Some(sandbox.url(&api.name)),
        None => overridden.clone().or_else(|| connection.url.clone()).or_else(|| api.spec.url.clone()),
    };
    let Some(url) = url else {
        return Err(Box::new(
            Diagnostic::error(
                "PL0301",
                format!("Connection `{}` has no `url`, and its API has no usual one.", connection.name),
            )
            .hint("Write `spec.url: https://…`."),
        ));
    };
    let auth = match &connection.auth {
        // What could not be resolved was told already.
        Some(auth) => match resolved(auth, vault) {
            Some(auth) => Some(auth),
            None => return Ok(None),
        },
        None => None,
    };
    let mut hosts = options.allow_hosts.clone();
    hosts.extend(overridden.iter().filter_map(|url| {
        let url = url::Url::parse(url).ok()?;
        url.host_str().map(str::to_owned)
    }));
    let mut spec = ClientSpec::new(connection.name.clone(), api.clone(), url);
    spec.auth = auth;
    spec.limits = connection.limits;
    // What a manifest describes is not to be trusted with where a credential goes.
    let described = crate::apis::builtin().api(&api.name).is_some_and(|builtin| Arc::ptr_eq(builtin, &api));
    spec.allowed_hosts = HostPolicy { described, ..HostPolicy::new(hosts) };
    spec.secrets = vault.secrets().clone();
    // Simulated APIs of this process are nobody else's.
    if sandbox.is_none() {
        spec.budgets = options.budgets.clone();
        spec.board = board.cloned();
    }
    let (progress, name) = (options.progress.clone(), connection.name.clone());
    spec.throttled = Arc::new(move |seconds| progress.event(&ProgressEvent::Throttled { connection: &name, seconds }));
    let progress = options.progress.clone();
    spec.called = Some(Arc::new(move |call| progress.event(&ProgressEvent::Called(call))));
    spec.pace = paced(options.pace, &api, connection);
    let Some(transport) = transport(&api, connection, vault) else { return Ok(None) };
    spec.transport = transport;
    if spec.transport.insecure_skip_verify && sandbox.is_none() {
        let message = format!(
            "Connection `{name}` does not check the server's certificate: whoever answers gets the credential.",
            name = connection.name
        );
        let hint = "Give the certificate that the server is signed by as `tls.caFile` instead of `insecureSkipVerify`.";
        diagnostics.push(Diagnostic::warning("PL0326", message).hint(hint));
    }
    let client = Client::new(&spec).map_err(Box::new)?;
    Ok(Some(Remote::new(client, api)))
}

/// For how long the server of a connection may still be at a call that it did not answer.
pub(super) fn settles(loaded: &Loaded, connection: &str, pace: Pace) -> Duration {
    let connection = loaded.manifests.connections.get(connection);
    let api = connection.and_then(|connection| loaded.manifests.catalog.api(&connection.api));
    connection.zip(api).map_or(pace.settle, |(connection, api)| paced(pace, api, connection).settle)
}

/// The time-outs that connection and description ask for, in this order.
fn paced(pace: Pace, api: &Api, connection: &Connection) -> Pace {
    let (own, described) = (&connection.transport.timeouts, &api.spec.timeouts);
    let seconds = |own: Option<u32>, described: Option<u32>, usual: Duration| {
        own.or(described).map_or(usual, |seconds| Duration::from_secs(seconds.into()))
    };
    let total = seconds(own.total, described.total, pace.total);
    Pace {
        connect: seconds(own.connect, described.connect, pace.connect),
        silence: seconds(own.silence, described.silence, pace.silence),
        total,
        settle: seconds(own.settle, described.settle, pace.settle),
        ..pace
    }
}

/// TLS and proxy with their texts; nothing where one could not be resolved.
fn transport(api: &Api, connection: &Connection, vault: &Vault) -> Option<http::Transport> {
    let own = &connection.transport;
    let described = api.spec.tls.ca.as_deref().map(SecretString::from);
    let ca = match &own.ca {
        Some(ca) => Some(open(ca, vault)?),
        None => described,
    };
    let identity = match (&own.client_certificate, &own.client_key) {
        (Some(certificate), Some(key)) => Some((open(certificate, vault)?, open(key, vault)?)),
        _ => None,
    };
    Some(http::Transport {
        ca: ca.into_iter().collect(),
        identity,
        insecure_skip_verify: own.insecure_skip_verify.unwrap_or(api.spec.tls.insecure_skip_verify),
        proxy: own.proxy.clone().or_else(|| api.spec.proxy.clone()),
    })
}

/// The text of a value; nothing where it could not be resolved.
fn open(value: &Value, vault: &Vault) -> Option<SecretString> {
    match secret_hash(value) {
        Some(hash) => vault.open(hash).map(|text| SecretString::from(text.as_str())),
        None => text(value).map(SecretString::from),
    }
}

/// A connection's credential with its texts; nothing where one could not be resolved.
fn resolved(auth: &Auth, vault: &Vault) -> Option<ResolvedAuth> {
    let open = |value: &Value| open(value, vault);
    Some(match auth {
        Auth::ApiKey(value) => ResolvedAuth::ApiKey(open(value)?),
        Auth::Bearer(value) => ResolvedAuth::Bearer(open(value)?),
        Auth::Basic { username, password } => {
            ResolvedAuth::Basic { username: open(username)?, password: open(password)? }
        }
        Auth::Login { email, username, password } => ResolvedAuth::Login {
            email: match email {
                Some(email) => Some(open(email)?),
                None => None,
            },
            username: match username {
                Some(username) => Some(open(username)?),
                None => None,
            },
            password: open(password)?,
        },
        Auth::OAuth2 { client_id, client_secret, token_url, scopes } => ResolvedAuth::OAuth2 {
            client_id: open(client_id)?,
            client_secret: open(client_secret)?,
            token_url: token_url.clone(),
            scopes: scopes.clone(),
        },
    })
}

/// The ids of connections' callers, where the API tells.
pub(super) async fn callers(
    connected: &Connected,
    wanted: &BTreeSet<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> HashMap<String, String> {
    let mut callers = HashMap::new();
    for name in wanted {
        let Some(remote) = connected.remotes.get(name) else { continue };
        let Some(check) = &remote.api.spec.check else { continue };
        let answer = match (&remote.caller, &check.caller_path) {
            (Some(known), None) => Ok(Value::clone(known)),
            (_, None) => ask(remote, check).await,
            (_, Some(path)) => {
                ask(remote, &Check { path: path.clone(), query: indexmap::IndexMap::new(), ..check.clone() }).await
            }
        };
        match answer {
            Ok(row) => {
                if let Some(id) = get_path(&row, check.caller.as_deref().unwrap_or("id")).and_then(text) {
                    callers.insert(name.to_owned(), id);
                }
            }
            // A key that belongs to nobody has no membership to lose.
            Err(error) if check.caller_path.is_some() && matches!(error.status(), Some(401 | 403 | 404 | 422)) => {}
            Err(error) => diagnostics.push(Diagnostic::from(error)),
        }
    }
    callers
}

/// Notes that what a connection that cannot be used has was not looked at, whatever the inventory knows of it.
pub(super) fn fail_unusable(manifests: &Manifests, connected: &Connected, observed: &mut Observed) {
    for connection in manifests.connections.values() {
        if !connected.remotes.contains_key(&connection.name)
            && let Some(api) = manifests.catalog.api(&connection.api)
        {
            let name: Arc<str> = connection.name.as_str().into();
            observed.failed.extend(api.kinds.keys().map(|kind| (name.clone(), kind.clone())));
        }
    }
}
