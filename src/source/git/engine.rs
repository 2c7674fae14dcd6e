//! Remote repository → objects in the bare cache, by libgit2, which is behind a trait so that it can be replaced here.
//! It speaks to loopback only: [`super::gateway`] and [`super::tunnel`] carry what it says to the server.

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, ErrorCode, FetchOptions, Oid,
    RemoteCallbacks, RemoteRedirect, Repository,
};
use secrecy::ExposeSecret;

use super::{
    Access, Gateway, GitError, Location, Scheme, SshKey, Trouble,
    gateway::{self, Route},
    tunnel::Tunnel,
};

/// One name that a remote lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its whole name, such as `refs/heads/main`; `refs/tags/v1^{}` for what an annotated tag is for.
    pub name: String,
    /// The object.
    pub id: Oid,
    /// The branch that a symbolic name such as `HEAD` stands for.
    pub target: Option<String>,
}

/// One thing to bring from a remote into a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The remote's name for it, where it has one.
    pub name: Option<String>,
    /// The commit.
    pub commit: Oid,
}

impl Want {
    /// The name that it gets in the cache.
    pub(super) fn kept_as(&self) -> String {
        format!("refs/plumb/{}", self.commit)
    }

    fn refspec(&self) -> String {
        match &self.name {
            Some(name) => format!("+{name}:{}", self.kept_as()),
            None => format!("+{}:{}", self.commit, self.kept_as()),
        }
    }
}

/// What is done with the remote's names: which of them are wanted. None ends the connection without a fetch.
pub(super) type Choose<'c> = dyn FnMut(&[Head]) -> Vec<Want> + 'c;

/// A remote repository.
pub trait GitRemote: Send + Sync {
    /// Lists the names, and brings what is chosen of them into a bare repository, in one connection where it can. Gives
    /// how many bytes came. Where it has to connect again, it asks again what is chosen.
    fn sync(&self, cache: &Repository, choose: &mut Choose<'_>) -> Result<u64, GitError>;
}

/// A remote repository by libgit2.
pub struct Libgit2 {
    location: Location,
    access: Access,
    gateway: Arc<Gateway>,
    client: OnceLock<reqwest::Client>,
}

/// How the engine gets to the server.
enum Way {
    Http(Route),
    Ssh(Tunnel),
    File,
}

impl Way {
    fn fault(&self) -> Option<GitError> {
        match self {
            Self::Http(route) => route.fault(),
            Self::Ssh(tunnel) => tunnel.fault(),
            Self::File => None,
        }
    }
}

/// How much of the history is asked for, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Tip,
    Whole,
    Everything,
}

impl Libgit2 {
    /// Makes the remote of a location, which is not asked anything yet.
    pub fn new(location: Location, access: Access, gateway: Arc<Gateway>) -> Self {
        Self { location, access, gateway, client: OnceLock::new() }
    }

    fn way(&self) -> Result<(Way, String), GitError> {
        let location = &self.location;
        match location.scheme {
            Scheme::Http | Scheme::Https => {
                let client = match self.client.get() {
                    Some(client) => client.clone(),
                    None => {
                        let client = gateway::client(&self.access)?;
                        self.client.get_or_init(|| client).clone()
                    }
                };
                let route = self.gateway.route(location, &self.access, client)?;
                let url = route.url.clone();
                Ok((Way::Http(route), url))
            }
            Scheme::Ssh => {
                let port = location.port.unwrap_or(22);
                let tunnel = Tunnel::open(&self.gateway, &location.host, port, self.access.limits)?;
                let url = format!("[{}@127.0.0.1:{}]:{}", self.user(), tunnel.port, location.repository);
                Ok((Way::Ssh(tunnel), url))
            }
            Scheme::File => Ok((Way::File, location.url())),
        }
    }

    fn user(&self) -> &str {
        self.location.user.as_deref().unwrap_or("git")
    }

    /// One connection: names, choice, fetch.
    fn attempt(&self, cache: &Repository, depth: Depth, choose: &mut Choose<'_>) -> Result<u64, Failed> {
        let (way, url) = self.way()?;
        let identity: RefCell<Option<GitError>> = RefCell::new(None);
        let bytes = Cell::new(0u64);
        let talk = Talk { remote: self, identity: &identity, bytes: &bytes, keys: self.keys(), until: self.until() };
        let known = |error: &git2::Error, talk: &Talk<'_>| {
            let kept = identity.borrow_mut().take();
            kept.or_else(|| way.fault()).or_else(|| talk.refused(error))
        };
        let mut remote = cache.remote_anonymous(&url).map_err(|error| self.setting(&error))?;
        let connected = remote.connect_auth(Direction::Fetch, Some(talk.callbacks()), None);
        let failed = |error: git2::Error, connecting: bool| match known(&error, &talk) {
            Some(known) => Failed::Known(known),
            None if connecting => Failed::Known(self.unconnected(&error)),
            None => Failed::Engine(self.broken(&error)),
        };
        let mut connection = connected.map_err(|error| failed(error, true))?;
        let heads = connection.list().map_err(|error| failed(error, true))?;
        let heads: Vec<Head> = heads
            .iter()
            .map(|head| Head {
                name: head.name().to_owned(),
                id: head.oid(),
                target: head.symref_target().map(str::to_owned),
            })
            .collect();
        let wants = choose(&heads);
        if wants.is_empty() {
            return Ok(0);
        }
        let refspecs: Vec<String> = if depth == Depth::Everything {
            vec!["+refs/heads/*:refs/plumb/heads/*".to_owned(), "+refs/tags/*:refs/plumb/tags/*".to_owned()]
        } else {
            wants.iter().map(Want::refspec).collect()
        };
        let mut options = FetchOptions::new();
        options.remote_callbacks(talk.callbacks());
        options.download_tags(AutotagOption::None).update_fetchhead(false).follow_redirects(RemoteRedirect::None);
        if depth == Depth::Tip {
            options.depth(1);
        }
        let fetched = connection.remote().fetch(&refspecs, Some(&mut options), None);
        drop(connection);
        fetched.map_err(|error| failed(error, false))?;
        for want in &wants {
            if cache.find_commit(want.commit).is_err() && !cache.odb().is_ok_and(|odb| odb.exists(want.commit)) {
                return Err(Failed::Engine(GitError::new(
                    Trouble::NoReference,
                    format!("The repository `{}` has no commit `{}`.", self.location.url(), want.commit),
                )));
            }
        }
        Ok(bytes.get())
    }

    fn until(&self) -> Instant {
        Instant::now() + self.access.limits.total + Duration::from_secs(1)
    }

    fn keys(&self) -> Vec<Option<&SshKey>> {
        let agent = self.access.agent.then_some(None);
        agent.into_iter().chain(self.access.keys.iter().map(Some)).collect()
    }

    fn setting(&self, error: &git2::Error) -> GitError {
        GitError::new(Trouble::Setting, format!("`{}` cannot be used ({}).", self.location.url(), said(error)))
    }

    /// No connection came about.
    fn unconnected(&self, error: &git2::Error) -> GitError {
        let url = self.location.url();
        let text = said(error);
        match self.location.scheme {
            Scheme::File if error.code() == ErrorCode::NotFound => {
                GitError::new(Trouble::NoRepository, format!("There is no repository at `{url}`."))
                    .hint("Check the path; it starts from the root of the file system.")
            }
            Scheme::File if error.code() == ErrorCode::Owner => GitError::new(
                Trouble::Denied,
                format!("The repository `{url}` belongs to another user of this machine."),
            )
            .hint("Run plumb as its owner, or serve it over ssh or https."),
            Scheme::Ssh if text.contains("handshake") || text.contains("session") => {
                GitError::new(Trouble::Unreachable, format!("`{url}` could not agree on a connection ({text})."))
            }
            Scheme::Ssh => {
                let message = format!(
                    "`{url}` closed the connection: there is no such repository, or the key may not read it ({text})."
                );
                GitError::new(Trouble::NoRepository, message).hint("Check the path, and who the key belongs to.")
            }
            _ => GitError::new(Trouble::Unreachable, format!("`{url}` cannot be read ({text}).")),
        }
    }

    fn broken(&self, error: &git2::Error) -> GitError {
        let message = format!("The fetch from `{}` failed ({}).", self.location.url(), said(error));
        GitError::new(Trouble::Broken, message)
    }
}

/// Why an attempt failed: for good, or in a way that asking for more may help.
enum Failed {
    Known(GitError),
    Engine(GitError),
}

impl From<GitError> for Failed {
    fn from(error: GitError) -> Self {
        Self::Known(error)
    }
}

impl GitRemote for Libgit2 {
    fn sync(&self, cache: &Repository, choose: &mut Choose<'_>) -> Result<u64, GitError> {
        let depths: &[Depth] = match self.location.scheme {
            // A repository on this machine is copied whole: it has no server that could cut the history.
            Scheme::File => &[Depth::Whole, Depth::Everything],
            _ => &[Depth::Tip, Depth::Whole, Depth::Everything],
        };
        let mut last = None;
        for depth in depths {
            match self.attempt(cache, *depth, choose) {
                Ok(synced) => return Ok(synced),
                Err(Failed::Known(error)) => return Err(error),
                Err(Failed::Engine(error)) => {
                    tracing::debug!(?depth, %error, "a fetch failed; asking for more of the history");
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| GitError::new(Trouble::Broken, "Nothing was fetched.")))
    }
}

/// The engine's questions during one connection.
struct Talk<'t> {
    remote: &'t Libgit2,
    identity: &'t RefCell<Option<GitError>>,
    bytes: &'t Cell<u64>,
    keys: Vec<Option<&'t SshKey>>,
    until: Instant,
}

impl<'t> Talk<'t> {
    fn callbacks(&self) -> RemoteCallbacks<'t> {
        let mut callbacks = RemoteCallbacks::new();
        let (remote, identity, bytes, until) = (self.remote, self.identity, self.bytes, self.until);
        let mut keys = self.keys.clone().into_iter();
        callbacks.credentials(move |_, _, allowed| remote.credential(allowed, &mut keys));
        callbacks.certificate_check(move |certificate, _| {
            let location = &remote.location;
            let key = certificate.as_hostkey().and_then(git2::cert::CertHostkey::hostkey);
            let checked = match key {
                Some(key) => remote.access.known_hosts.check(&location.host, location.port.unwrap_or(22), key),
                None => Err(GitError::new(Trouble::Identity, format!("`{}` shows no host key.", location.host))),
            };
            checked.map(|()| CertificateCheckStatus::CertificateOk).map_err(|error| {
                let told = git2::Error::from_str(&error.message);
                *identity.borrow_mut() = Some(error);
                told
            })
        });
        callbacks.transfer_progress(move |progress| {
            bytes.set(progress.received_bytes() as u64);
            Instant::now() < until && progress.received_bytes() as u64 <= remote.access.limits.bytes
        });
        callbacks
    }

    /// Whether the engine says that a credential was not accepted.
    fn refused(&self, error: &git2::Error) -> Option<GitError> {
        let url = self.remote.location.url();
        let ssh = self.remote.location.scheme == Scheme::Ssh;
        let text = said(error);
        let refused = matches!(error.code(), ErrorCode::Auth)
            || (ssh && (text.contains("authenticat") || text.contains("no ssh key") || text.contains("public key")));
        if !refused {
            return None;
        }
        let user = self.remote.user();
        let message = format!("`{url}` does not accept a key of the user `{user}` ({text}).");
        Some(GitError::new(Trouble::Denied, message).hint(
            "Give a private key that the server knows, or put it into `ssh-agent`; `plumb` reads no `~/.ssh/config`.",
        ))
    }
}

impl Libgit2 {
    fn credential<'k>(
        &self,
        allowed: CredentialType,
        keys: &mut impl Iterator<Item = Option<&'k SshKey>>,
    ) -> Result<Cred, git2::Error> {
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(self.user());
        }
        let passphrase = self.access.passphrase.as_ref().map(|text| text.expose_secret().to_owned());
        for key in keys.by_ref() {
            match key {
                None => {
                    if let Ok(agent) = Cred::ssh_key_from_agent(self.user()) {
                        return Ok(agent);
                    }
                }
                Some(SshKey::File(path)) => return self.key_file(path, passphrase.as_deref()),
                Some(SshKey::Text(text)) => {
                    let text = text.expose_secret();
                    return Cred::ssh_key_from_memory(self.user(), None, text, passphrase.as_deref());
                }
            }
        }
        Err(git2::Error::new(ErrorCode::Auth, git2::ErrorClass::Ssh, "no ssh key is left to try"))
    }

    fn key_file(&self, path: &std::path::Path, passphrase: Option<&str>) -> Result<Cred, git2::Error> {
        if let Err(error) = std::fs::File::open(path) {
            let message = format!("the ssh key `{}` cannot be read: {error}", path.display());
            return Err(git2::Error::new(ErrorCode::Auth, git2::ErrorClass::Ssh, message));
        }
        Cred::ssh_key(self.user(), None, path, passphrase)
    }
}

/// What the engine says, in a form for the inside of a sentence.
pub(super) fn said(error: &git2::Error) -> String {
    error.message().trim().trim_end_matches('.').replace('\n', " ")
}
