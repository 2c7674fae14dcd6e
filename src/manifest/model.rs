//! What manifests are once they are checked: typed fields, with places for late diagnostics.

use std::{collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;
use serde_json::Value;

pub use super::sensitive::Plaintexts;
use crate::{
    address::Address,
    description::{Catalog, Kind, format::Timeouts},
    diagnostic::{Diagnostic, SourceId},
    value::Fields,
};

/// Everything that a stack's documents say.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// The built-in APIs and those of `kind: Api` documents.
    pub catalog: Catalog,
    /// The `Stack` document, or its defaults.
    pub stack: StackSpec,
    /// The `Connection` documents, by name.
    pub connections: IndexMap<String, Connection>,
    /// The declared objects, in source order, each followed by the entries inside it.
    pub objects: Vec<Manifest>,
    /// Everything that is wrong or noteworthy.
    pub diagnostics: Vec<Diagnostic>,
    /// Objects whose manifests could not be understood, by address where one could be read: they exist, so nothing of
    /// them is pruned.
    pub broken: Vec<Address>,
    /// Whether any document could not be read at all, so that something may be declared that is not listed here.
    pub incomplete: bool,
    /// APIs that `kind: Api` documents describe, and where: whoever wrote them chose their hosts.
    pub described: IndexMap<String, DocumentRef>,
    /// Secrets that manifests have in plain text, where that is allowed.
    pub plaintexts: Plaintexts,
}

/// Where a document stands: enough to find the place of any of its fields again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentRef {
    /// The text.
    pub source: SourceId,
    /// Byte at which the document starts in its text.
    pub index: u32,
    /// Byte at which the item starts, where the document is a `List`.
    pub item: Option<u32>,
}

/// One declared object: a manifest, or an entry inside one.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Name of its connection; set for every object once loading ends without an error about it.
    pub connection: String,
    /// Its fields, typed: references are still the strings that were written, sensitive values are `{"$valueFrom": …}`
    /// (or `{"$secret": …}` once resolved), files `{"$file": …}`, an explicit null is null, entries inside are taken
    /// out. The natural key's name field is filled in from `metadata.name`.
    pub spec: Fields,
    /// Index in [`Manifests::objects`] of the manifest that this entry is inside.
    pub parent: Option<usize>,
    /// Labels, of the manifest.
    pub labels: BTreeMap<String, String>,
    /// What the annotations say, of the manifest.
    pub annotations: Annotations,
    /// Where it stands.
    pub document: DocumentRef,
    /// JSON pointer to `spec`, or to the entry (`/spec/fields/0`).
    pub pointer: String,
    /// Fields that the API needs to create the object and that are not declared, as dotted paths: an error only where
    /// the object turns out to be created.
    pub missing: Vec<String>,
}

/// The `plumb.dev/…` annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `external-id`.
    pub external_id: Option<String>,
    /// `deletion-policy`.
    pub deletion_policy: Option<DeletionPolicy>,
    /// `reconcile`.
    pub reconcile: Reconcile,
    /// `depends-on`.
    pub depends_on: Vec<Address>,
    /// `depends-on` of a stack: names of others.
    pub stacks: Vec<String>,
    /// `ignore-drift`: dotted paths below `spec`, or below the entry; an empty one is all of it.
    pub ignore_drift: Vec<String>,
    /// `clear`: dotted paths below `spec`; these fields are null in [`Manifest::spec`] already.
    pub clear: Vec<String>,
    /// `moved-from`.
    pub moved_from: Option<String>,
    /// `protect`.
    pub protect: bool,
    /// `allow`: words.
    pub allow: Vec<String>,
}

impl Annotations {
    /// What a manifest's annotations say of an entry inside it: paths such as `fields.Type.hint` are the entry's own.
    pub(super) fn of_entry(&self, list: &str, key: &str) -> Self {
        let below = |path: &String| {
            let path = path.strip_prefix("spec.").unwrap_or(path).strip_prefix(list)?;
            let Some(path) = path.strip_prefix('.') else { return path.is_empty().then(String::new) };
            let path = path.strip_prefix(key)?;
            if path.is_empty() { Some(String::new()) } else { path.strip_prefix('.').map(str::to_owned) }
        };
        Self { ignore_drift: self.ignore_drift.iter().filter_map(below).collect(), ..self.clone() }
    }
}

/// What becomes of the live object when its manifest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionPolicy {
    /// It is deleted.
    Delete,
    /// It stays, and stays owned.
    Retain,
    /// It is archived.
    Archive,
}

/// What plumb does about an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reconcile {
    /// Brings it to what is declared.
    #[default]
    Enforce,
    /// Reports differences, changes nothing.
    Observe,
    /// Leaves it alone altogether; it stays owned.
    Disabled,
}

/// What a `Stack` document sets.
#[derive(Debug, Clone, PartialEq)]
pub struct StackSpec {
    /// Name of the stack.
    pub name: String,
    /// Inventory URL.
    pub inventory: Option<String>,
    /// Whether what is owned and no longer declared is deleted.
    pub prune: bool,
    /// `limits.maxDeletes`: `N` or `N%`.
    pub max_deletes: Option<MaxDeletes>,
    /// `history`: how long runs are kept.
    pub history: Retention,
    /// What the operator is to do with it: where its manifests are, and when and how they are applied.
    pub feed: Option<Box<StackFeed>>,
}

impl Default for StackSpec {
    fn default() -> Self {
        Self {
            name: "default".into(),
            inventory: None,
            prune: false,
            max_deletes: None,
            history: Retention::default(),
            feed: None,
        }
    }
}

/// Where the manifests of a stack in a cluster come from, and when and how they are applied.
#[derive(Debug, Clone, PartialEq)]
pub struct StackFeed {
    /// URL of the repository.
    pub git: String,
    /// Branch, tag or commit; the URL's own otherwise.
    pub reference: Option<String>,
    /// Paths in the repository; those of the URL where there are none.
    pub paths: Vec<String>,
    /// How the repository is reached: `token`, `password`, `sshKey`, `passphrase`, `knownHosts`, `ca`, each by its
    /// source.
    pub auth: IndexMap<String, Value>,
    /// The user of the token or password.
    pub username: Option<String>,
    /// ssh keys that commits must be signed by.
    pub allowed_signers: Option<String>,
    /// How often the repository is asked and live objects are compared.
    pub interval: Option<std::time::Duration>,
    /// What is done with the plan.
    pub mode: StackMode,
    /// Digest of the plan that may be carried out; `auto` for each.
    pub approve_plan: Option<String>,
    /// Nothing is done.
    pub suspend: bool,
    /// Stacks that have to be ready before.
    pub depends_on: Vec<String>,
}

/// What is done with a stack's plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StackMode {
    /// It is carried out.
    Enforce,
    /// It is shown.
    #[default]
    Plan,
    /// Only what changed behind plumb's back is shown.
    Observe,
}

/// How long runs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How many of the last runs; none are kept where it is 0.
    pub runs: usize,
    /// How many days.
    pub days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs: 100, days: 90 }
    }
}

/// A deletion limit that somebody set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxDeletes {
    /// This many objects.
    Count(usize),
    /// This share of each kind, in percent.
    Percent(f64),
}

impl std::str::FromStr for MaxDeletes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is neither a number (`20`) nor a share (`50%`)");
        match text.trim().strip_suffix('%') {
            Some(number) => {
                let share: f64 = number.trim().parse().map_err(|_| bad())?;
                if (0.0..=100.0).contains(&share) { Ok(Self::Percent(share)) } else { Err(bad()) }
            }
            None => text.trim().parse().map(Self::Count).map_err(|_| bad()),
        }
    }
}

/// One account of one API.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// The namespace of its manifest.
    pub namespace: Option<String>,
    /// Name of the API.
    pub api: String,
    /// Base URL, where the manifest gives one.
    pub url: Option<String>,
    /// How to authenticate; sensitive values are `{"$valueFrom": …}` until resolved, `{"$secret": …}` after.
    pub auth: Option<Auth>,
    /// Limits that replace the API's.
    pub limits: ConnectionLimits,
    /// How the API is reached, where the usual way does not do.
    pub transport: Transport,
    /// Fields of every manifest of this connection.
    pub defaults: IndexMap<String, Value>,
    /// Something is wrong with it: nothing is sent by it.
    pub broken: bool,
    /// Where it stands.
    pub document: Option<DocumentRef>,
}

impl Connection {
    /// The values that may be secret: credentials, certificates and defaults.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let auth = match &self.auth {
            Some(Auth::ApiKey(value) | Auth::Bearer(value)) => [Some(value), None, None],
            Some(Auth::Basic { username, password }) => [Some(username), Some(password), None],
            Some(Auth::Login { email, username, password }) => [email.as_ref(), username.as_ref(), Some(password)],
            Some(Auth::OAuth2 { client_id, client_secret, .. }) => [Some(client_id), Some(client_secret), None],
            None => [None, None, None],
        };
        let Transport { ca, client_certificate, client_key, .. } = &self.transport;
        auth.into_iter().flatten().chain(ca).chain(client_certificate).chain(client_key).chain(self.defaults.values())
    }
}

/// How a connection authenticates. Values are placeholders of secrets, or plain text where that is no secret.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// A key.
    ApiKey(Value),
    /// A bearer token.
    Bearer(Value),
    /// HTTP basic authentication.
    Basic {
        /// User name.
        username: Value,
        /// Password.
        password: Value,
    },
    /// A login.
    Login {
        /// E-mail address.
        email: Option<Value>,
        /// User name, where the API logs in by that.
        username: Option<Value>,
        /// Password.
        password: Value,
    },
    /// OAuth 2.0 client credentials.
    OAuth2 {
        /// Client id.
        client_id: Value,
        /// Client secret.
        client_secret: Value,
        /// Token URL, where it is not the API's.
        token_url: Option<String>,
        /// Scopes, where they are not the API's.
        scopes: Vec<String>,
    },
}

/// How an API is reached. Values are placeholders of secrets, or plain text where that is no secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transport {
    /// Certificates (PEM) that servers may be signed by, besides the machine's.
    pub ca: Option<Value>,
    /// The client's certificate (PEM), with those it is signed by.
    pub client_certificate: Option<Value>,
    /// The key of the client's certificate (PEM).
    pub client_key: Option<Value>,
    /// Server certificates are not checked.
    pub insecure_skip_verify: Option<bool>,
    /// URL of the HTTP proxy.
    pub proxy: Option<String>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// Limits of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConnectionLimits {
    /// Requests allowed in a window.
    pub requests: Option<u32>,
    /// Length of the window in seconds.
    pub window: Option<u32>,
    /// Requests at the same time.
    pub concurrency: Option<u32>,
    /// Share of the budget left for people, in percent; 20 unless given.
    pub reserve: Option<u32>,
}
