//! What a `Stack` resource says → where its manifests are and how they are reached, with credentials from Secrets.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::{
    agent::config::{GitSource, Source},
    apis,
    manifest::{self, LoadOptions, StackFeed, StackSpec},
    operator::{
        secrets::{Name, Store, referenced},
        world::Resource,
    },
    source::{
        Snapshot,
        git::{Access, AllowedSigners, KnownHosts, Location, Login, SshKey},
    },
    value::value_from,
};

/// Why a source cannot be used, in sentences.
pub(super) struct Wrong {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Wrong {
    fn spec(message: String) -> Self {
        Self { reason: "InvalidSpec", message }
    }

    fn secret(message: String) -> Self {
        Self { reason: "SecretUnavailable", message }
    }
}

/// Whether a resource is a stack whose manifests are elsewhere.
pub(crate) fn is_fed(resource: &Resource) -> bool {
    resource.key.is_core("Stack") && resource.manifest.pointer("/spec/source").is_some()
}

/// The Secrets that a stack's source needs.
pub(super) fn secrets(resource: &Resource) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    if let Some(source) = resource.manifest.pointer("/spec/source") {
        referenced(source, &mut names);
    }
    names.into_iter().map(|name| (resource.key.namespace.clone(), name)).collect()
}

/// The Secrets that manifests refer to, in the texts of a repository and those of connections beside it.
pub(super) fn in_manifests(snapshot: &Snapshot, beside: &[(String, String)]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut read = |mut snapshot: Snapshot| {
        let manifests = manifest::load(&mut snapshot, apis::builtin(), &LoadOptions::default());
        for object in &manifests.objects {
            object.spec.values().for_each(|value| placeholders(value, &mut names));
        }
        for connection in manifests.connections.values() {
            connection.values().for_each(|value| placeholders(value, &mut names));
        }
    };
    read(snapshot.clone());
    read(Snapshot::of(beside.iter().cloned()));
    names
}

/// The names of the Secrets that a checked manifest's value refers to.
fn placeholders(value: &Value, out: &mut BTreeSet<String>) {
    if let Some(from) = value_from(value) {
        out.extend(from.pointer("/secretKeyRef/name").and_then(Value::as_str).map(str::to_owned));
        return;
    }
    match value {
        Value::Object(map) => map.values().for_each(|value| placeholders(value, out)),
        Value::Array(items) => items.iter().for_each(|value| placeholders(value, out)),
        _ => {}
    }
}

/// Reads the resource, with the words of `plumb validate` for what is wrong with it.
pub(super) fn read(resource: &Resource) -> Result<(StackSpec, StackFeed), Wrong> {
    let text = serde_json::to_string_pretty(&*resource.manifest).unwrap_or_default();
    let mut snapshot = Snapshot::of([(resource.key.path(), text)]);
    let mut manifests = manifest::load(&mut snapshot, apis::builtin(), &LoadOptions::default());
    let told = snapshot.diagnostics.iter().chain(&manifests.diagnostics);
    let wrong: Vec<String> = told
        .filter(|told| told.is_error())
        .map(|told| std::iter::once(&told.message).chain(&told.hints).cloned().collect::<Vec<_>>().join(" "))
        .collect();
    if !wrong.is_empty() {
        return Err(Wrong::spec(wrong.join(" ")));
    }
    let feed = manifests.stack.feed.take().ok_or_else(|| Wrong::spec("It names no source.".to_owned()))?;
    Ok((manifests.stack, *feed))
}

/// The source with its credentials.
pub(super) fn source(resource: &Resource, feed: &StackFeed, store: &Store) -> Result<Source, Wrong> {
    let told = |error: crate::source::git::GitError| {
        // Variables of the command line are nothing to the operator.
        let hints = error.hints.iter().filter(|hint| !hint.contains("PLUMB_GIT"));
        Wrong::spec(std::iter::once(&error.message).chain(hints).cloned().collect::<Vec<_>>().join(" "))
    };
    let url = match &feed.reference {
        Some(reference) if feed.git.contains('?') => {
            return Err(Wrong::spec(format!("`source.git` and `source.ref` both say what is meant: `{reference}`.")));
        }
        Some(reference) => {
            let reference = percent_encoding::utf8_percent_encode(reference, percent_encoding::NON_ALPHANUMERIC);
            format!("{}?ref={reference}", feed.git)
        }
        None => feed.git.clone(),
    };
    let mut location = Location::parse(&url).map_err(told)?;
    if location.scheme == crate::source::git::Scheme::File {
        return Err(Wrong::spec(
            "A repository is reached over HTTPS or ssh, not by a path of the operator.".to_owned(),
        ));
    }
    if !feed.paths.is_empty() {
        location = location.with_paths(&feed.paths).map_err(told)?;
    }
    let secret = |name: &str| -> Result<Option<String>, Wrong> {
        let Some(place) = feed.auth.get(name) else { return Ok(None) };
        let part = |word: &str| place.pointer(&format!("/secretKeyRef/{word}")).and_then(Value::as_str);
        let (Some(secret), Some(key)) = (part("name"), part("key")) else {
            return Err(Wrong::spec(format!("`source.auth.{name}` has to be `{{valueFrom: {{secretKeyRef: …}}}}`.")));
        };
        if part("namespace").is_some_and(|other| other != resource.key.namespace) {
            return Err(Wrong::spec(format!("`source.auth.{name}` has to name a Secret of this namespace.")));
        }
        let text = store.text(&(resource.key.namespace.clone(), secret.to_owned()), key);
        text.map(|text| Some(text.to_string())).map_err(|told| Wrong::secret(format!("{}.", told.message)))
    };
    let mut access = Access { known_hosts: KnownHosts::Text(String::new()), ..Access::default() };
    access.login = match (secret("token")?, secret("password")?, &feed.username) {
        (Some(token), _, None) => Login::Token(token.trim().into()),
        (Some(token), _, Some(user)) => Login::Basic { username: user.clone(), password: token.trim().into() },
        (None, Some(password), user) => {
            Login::Basic { username: user.clone().unwrap_or_else(|| "git".to_owned()), password: password.into() }
        }
        (None, None, _) => Login::Anonymous,
    };
    if let Some(key) = secret("sshKey")? {
        access.keys.push(SshKey::Text(key.into()));
        access.passphrase = secret("passphrase")?.map(Into::into);
        let known = secret("knownHosts")?.ok_or_else(|| {
            Wrong::spec("`sshKey` needs `knownHosts`, the keys of the servers that may be asked.".to_owned())
        })?;
        access.known_hosts = KnownHosts::Text(known);
    }
    access.ca = secret("ca")?.map(String::into_bytes);
    let signers = feed.allowed_signers.as_deref().map(AllowedSigners::parse).transpose().map_err(told)?;
    Ok(Source::Git(Box::new(GitSource { location, access, signers: signers.map(Arc::new) })))
}
