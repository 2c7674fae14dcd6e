//! Kubernetes Secrets: all that manifests name are read before the first value is resolved, each once, some at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use kube::{Client, Config, config::InferConfigError};
use serde_json::Value;
use zeroize::Zeroizing;

use super::policy::{Cluster, ResolvePolicy};
use crate::diagnostic::{Diagnostic, nearest};

/// Secrets that are read at the same time.
const AT_ONCE: usize = 8;
/// How long reading one may take, repeats included.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long connecting to the API server may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Name of a Secret, and its namespace where one is given.
pub(super) type Asked = (Option<String>, String);

type Data = BTreeMap<String, Zeroizing<String>>;

/// The Secrets that were read, or why they were not.
#[derive(Default)]
pub(super) struct Secrets {
    namespace: String,
    read: HashMap<(String, String), Result<Data, Diagnostic>>,
    /// Why no cluster can be asked.
    trouble: Option<Diagnostic>,
}

/// Reads Secrets, as far as the policy lets it.
pub(super) async fn read(asked: BTreeSet<Asked>, policy: &ResolvePolicy) -> Secrets {
    // A simulated API is content with what is made up: no cluster is asked for it.
    if asked.is_empty() || policy.stand_in || matches!(policy.cluster, Cluster::Held(_)) {
        return Secrets::default();
    }
    let client = match client(&policy.cluster).await {
        Ok(client) => client,
        Err(trouble) => return Secrets { trouble: Some(trouble), ..Secrets::default() },
    };
    let namespace = client.default_namespace().to_owned();
    let named: BTreeSet<(String, String)> =
        asked.into_iter().map(|(own, name)| (own.unwrap_or_else(|| namespace.clone()), name)).collect();
    let allowed = named.into_iter().filter(|(namespace, name)| policy.lets_secret(namespace, name));
    let reads = futures::stream::iter(allowed.map(|(namespace, name)| {
        let client = &client;
        async move {
            let read = fetch(client, &namespace, &name).await;
            ((namespace, name), read)
        }
    }));
    let read = reads.buffer_unordered(AT_ONCE).collect().await;
    Secrets { namespace, read, trouble: None }
}

impl Secrets {
    /// The value of a Secret's key.
    pub(super) fn get(
        &self,
        policy: &ResolvePolicy,
        namespace: Option<&str>,
        name: &str,
        key: &str,
    ) -> Result<Zeroizing<String>, Diagnostic> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let namespace = namespace.unwrap_or(&self.namespace);
        if !policy.lets_secret(namespace, name) {
            return Err(Diagnostic::error("PL0310", format!("The Secret `{namespace}/{name}` may not be read here"))
                .hint("The configuration of the agent or the operator lists the Secrets that manifests may read."));
        }
        let data = match self.read.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Ok(data)) => data,
            Some(Err(wrong)) => return Err(wrong.clone()),
            None => return Err(unread(namespace, name, "nobody asked for it")),
        };
        match data.get(key) {
            Some(text) if !text.is_empty() => Ok(text.clone()),
            Some(_) => {
                Err(Diagnostic::error("PL0316", format!("The key `{key}` of the Secret `{namespace}/{name}` is empty")))
            }
            None => {
                let told = format!("The Secret `{namespace}/{name}` has no key `{key}` that is text");
                let keys: Vec<&str> = data.keys().map(String::as_str).collect();
                Err(Diagnostic::error("PL0316", told).hint(match nearest(key, keys.iter().copied()) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None if keys.is_empty() => "It has no keys.".to_owned(),
                    None => format!("It has `{}`.", keys.join("`, `")),
                }))
            }
        }
    }
}

async fn client(cluster: &Cluster) -> Result<Client, Diagnostic> {
    let none = |why: &str| Diagnostic::error("PL0315", format!("No Kubernetes cluster can be asked ({why})"));
    match cluster {
        Cluster::Nowhere | Cluster::Held(_) => Err(none("none is configured here")),
        Cluster::Client(client) => Ok(client.clone()),
        Cluster::Usual => {
            let hint = "Point `KUBECONFIG` at a kubeconfig file, or look at `kubectl config view`.";
            let mut config = Config::infer().await.map_err(|error| none(&reason(&error)).hint(hint))?;
            config.connect_timeout = Some(CONNECT);
            Client::try_from(config).map_err(|error| none(&chain(&error)).hint(hint))
        }
    }
}

/// What is wrong with the kubeconfig; that the process is in no cluster either goes without saying.
fn reason(error: &InferConfigError) -> String {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<kube::config::KubeconfigError>() {
            return chain(inner);
        }
        source = inner.source();
    }
    chain(error)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text
}

fn unread(namespace: &str, name: &str, why: &str) -> Diagnostic {
    Diagnostic::error("PL0315", format!("The Secret `{namespace}/{name}` cannot be read ({why})"))
}

/// Reads one Secret. Its JSON is parsed here and not by the client, which would log a body that it cannot read.
async fn fetch(client: &Client, namespace: &str, name: &str) -> Result<Data, Diagnostic> {
    let wrong = |why: &str| unread(namespace, name, why);
    let request = axum::http::Request::get(format!("/api/v1/namespaces/{namespace}/secrets/{name}"))
        .header("Accept", "application/json")
        .body(Vec::new())
        .map_err(|error| wrong(&error.to_string()))?;
    let answer = match tokio::time::timeout(PATIENCE, client.request_text(request)).await {
        Err(_) => return Err(wrong(&format!("the API server gave no answer within {} s", PATIENCE.as_secs()))),
        Ok(Ok(text)) => Zeroizing::new(text),
        Ok(Err(kube::Error::Api(status))) => {
            return Err(match status.code {
                404 if status.reason == "NotFound" => {
                    Diagnostic::error("PL0316", format!("There is no Secret `{namespace}/{name}`"))
                        .hint(format!("`kubectl -n {namespace} get secrets` lists those that there are."))
                }
                401 => wrong("the API server does not take the credential of the kubeconfig"),
                403 => wrong("it is forbidden").hint(format!(
                    "Whom the kubeconfig logs in as needs `get` on this Secret: `kubectl auth can-i get secrets/{name} -n {namespace}`."
                )),
                code => wrong(&format!("the API server answers {code}: {}", shorten(&super::process::masked(&status.message)))),
            });
        }
        Ok(Err(error)) => return Err(wrong(&chain(&error))),
    };
    let secret: Value =
        serde_json::from_str(&answer).map_err(|_| wrong("the API server's answer is not a Secret in JSON"))?;
    if secret.get("kind").and_then(Value::as_str).is_some_and(|kind| kind != "Secret") {
        return Err(wrong("the API server's answer is not a Secret"));
    }
    let Some(data) = secret.get("data").and_then(Value::as_object) else { return Ok(Data::new()) };
    let decode = |(key, value): (&String, &Value)| {
        let bytes = Zeroizing::new(STANDARD.decode(value.as_str()?).ok()?);
        Some((key.clone(), Zeroizing::new(std::str::from_utf8(&bytes).ok()?.to_owned())))
    };
    Ok(data.iter().filter_map(decode).collect())
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(200).collect()
}
