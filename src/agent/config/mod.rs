//! A configuration file → the agent's settings: checked like manifests, with a place for everything that is wrong.

mod fields;
mod read;
mod reference;
mod secret;
mod window;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;

pub use self::{
    fields::fields,
    reference::page,
    window::{Window, gate},
};
use crate::{
    diagnostic::{Diagnostic, SourceText, Sources},
    manifest::{MaxDeletes, settings},
    secret::ResolvePolicy,
    source::git,
};

/// What the configuration's `kind` is.
pub const KIND: &str = "Agent";

/// An agent's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of what survives a restart.
    pub state: PathBuf,
    /// What it calls itself.
    pub name: String,
    /// Stacks at work at the same time.
    pub workers: usize,
    /// Where every change is written down.
    pub change_log: PathBuf,
    /// Further hosts that credentials may go to.
    pub allow_hosts: Vec<String>,
    /// What manifests may reach for on this machine.
    pub policy: ResolvePolicy,
    /// Where it listens.
    pub endpoint: Option<Endpoint>,
    /// Where statuses and comments go, by name.
    pub forges: BTreeMap<String, Arc<ForgeConfig>>,
    /// Who is told, by name.
    pub notifications: BTreeMap<String, Arc<NotifyConfig>>,
    /// What may be posted, by the last part of the path.
    pub webhooks: BTreeMap<String, WebhookConfig>,
    /// The stacks, by name.
    pub stacks: BTreeMap<String, Arc<StackConfig>>,
}

/// Where the agent listens.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address.
    pub listen: SocketAddr,
    /// What commands and the status page ask for.
    pub token: Option<SecretString>,
    /// Where people reach it, without a slash at the end.
    pub url: Option<String>,
    /// Whether the status page is served.
    pub status_page: bool,
    /// An address of its own for webhooks.
    pub webhooks: Option<SocketAddr>,
}

/// What a forge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
    /// Bitbucket Cloud.
    Bitbucket,
}

/// A forge's API.
#[derive(Debug, Clone)]
pub struct ForgeConfig {
    /// What it is.
    pub kind: ForgeKind,
    /// Address of its API, without a slash at the end.
    pub url: String,
    /// The token.
    pub token: SecretString,
    /// The user of an app password.
    pub username: Option<String>,
}

/// Somebody who is told of changes of state.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// What it is called.
    pub name: String,
    /// Whether the message is `{"text": …}`.
    pub slack: bool,
    /// Where it is posted.
    pub url: SecretString,
    /// Key of the signature.
    pub secret: Option<SecretString>,
    /// Of which changes it is told; of all where there is none.
    pub on: Vec<String>,
}

/// A webhook that is taken.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Whose it is.
    pub provider: String,
    /// The secret that it is signed with.
    pub secret: SecretString,
}

/// What is done with a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is carried out.
    Enforce,
    /// It is shown.
    #[default]
    Plan,
    /// Only what changed behind plumb's back is shown.
    Observe,
}

impl Mode {
    /// The word, as in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Plan => "plan",
            Self::Observe => "observe",
        }
    }
}

/// Where manifests are.
#[derive(Debug, Clone)]
pub enum Source {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A Git repository.
    Git(Box<GitSource>),
}

/// A Git repository, and how it is reached.
#[derive(Debug, Clone)]
pub struct GitSource {
    /// Repository, paths and reference.
    pub location: git::Location,
    /// Credentials.
    pub access: git::Access,
    /// Who has to have signed its commits.
    pub signers: Option<Arc<git::AllowedSigners>>,
}

/// What is kept true.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct StackConfig {
    /// Its name.
    pub name: String,
    /// Where its manifests are.
    pub source: Source,
    /// What is done with its plan.
    pub mode: Mode,
    /// How often the source is asked for news.
    pub interval: Duration,
    /// How often live objects are compared although nothing is new.
    pub drift_interval: Duration,
    /// What is owned and not declared is deleted.
    pub prune: bool,
    /// Objects that an error does not concern are written.
    pub keep_going: bool,
    /// Nothing is done.
    pub suspend: bool,
    /// Where the ownership record is.
    pub inventory: Option<String>,
    /// How much a run may delete.
    pub max_deletes: Option<MaxDeletes>,
    /// When it may apply.
    pub windows: Vec<Window>,
    /// Base URLs that replace those of connections, and the connections that plan for pull requests.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// The forge, by name.
    pub forge: Option<String>,
    /// The repository there.
    pub repository: Option<String>,
    /// Whether pull requests are planned.
    pub plan_pulls: bool,
    /// Whether their comments tell values.
    pub plan_values: bool,
    /// Whether those from forks are planned.
    pub allow_forks: bool,
    /// Who is told, by name; all where nothing is said.
    pub notify: Option<Vec<String>>,
    /// What the configuration says of it, to see whether that changed.
    pub text: String,
}

/// What the agent says of a connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionConfig {
    /// Another base URL.
    pub url: Option<String>,
    /// The connection that plans for pull requests.
    pub plan_connection: Option<String>,
}

/// What came of reading a configuration.
pub struct Read {
    /// The settings; nothing where there is an error.
    pub config: Option<Config>,
    /// What there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The text, without secrets that stand in it.
    pub sources: Sources,
}

/// A text in which passwords within URLs are struck out, so that no line that is shown has one. They are not taken
/// anyway.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/?#'\"".contains(c)).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@').and_then(|(login, host)| Some((login.split_once(':')?, host))) {
            Some(((user, password), host)) => {
                let stars = "*".repeat(password.chars().count());
                out.extend([user, ":", &stars, "@", host]);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Reads a configuration file.
pub fn read(path: &Path) -> Read {
    let shown = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&shown, path.parent().unwrap_or(Path::new("")), &text),
        Err(error) => {
            let message = format!("The configuration `{shown}` cannot be read: {error}.");
            let diagnostic = Diagnostic::error("PL1001", message).hint("Name it with `--config FILE`.").in_file(shown);
            Read { config: None, diagnostics: vec![diagnostic], sources: Sources::default() }
        }
    }
}

/// Reads a configuration; relative paths in it start from a folder.
pub fn parse(path: &str, folder: &Path, text: &str) -> Read {
    let mut sources = Sources::default();
    let text = without_passwords(text);
    let source = sources.add(SourceText { path: path.to_owned(), folder: folder.to_path_buf(), text: text.into() });
    let settings = settings(&mut sources, source, KIND, fields());
    let mut diagnostics = settings.diagnostics.clone();
    // What is right is read on beside what is wrong, so that everything is told at once.
    let mut reader = read::Reader::new(&sources, settings.document, folder);
    let config = reader.config(&settings.into_value());
    diagnostics.append(&mut reader.diagnostics);
    let config = (!diagnostics.iter().any(Diagnostic::is_error)).then_some(config);
    diagnostics.sort_by_key(|diagnostic| diagnostic.place);
    Read { config, diagnostics, sources }
}
