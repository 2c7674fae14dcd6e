//! Git sources of the command line: credentials from the environment, one cache for the user.

use std::{collections::BTreeSet, env, fs, path::PathBuf, time::Instant};

use secrecy::SecretString;

use super::{
    Access, AllowedSigners, GitError, KnownHosts, Location, Login, Repositories, Revision, Scheme, SshKey, Trouble,
};
use crate::source::Reading;

/// The key files that `ssh` looks for too.
const KEY_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Reads the Git sources of one run.
pub struct CommandLine {
    environment: fn(&str) -> Option<String>,
    repositories: Option<Repositories>,
    /// Hosts that `-f` names over HTTP, with their ports.
    hosts: BTreeSet<String>,
}

impl CommandLine {
    /// Prepares for the sources that a run names.
    pub(in crate::source) fn new<'u>(urls: impl Iterator<Item = &'u str>) -> Self {
        let locations = urls.filter_map(|url| Location::parse(url).ok());
        let http = locations.filter(|location| matches!(location.scheme, Scheme::Http | Scheme::Https));
        Self { environment: variable, repositories: None, hosts: http.map(|location| location.authority()).collect() }
    }

    /// Reads one source.
    pub(in crate::source) fn read(&mut self, url: &str, reading: &mut Reading) -> Result<Revision, GitError> {
        let location = Location::parse(url)?;
        let access = self.access(&location)?;
        let allowed = self.allowed_signers()?;
        if self.repositories.is_none() {
            self.repositories = Some(Repositories::new(self.cache()?)?);
        }
        let Some(repositories) = &self.repositories else {
            return Err(GitError::new(Trouble::Setting, "No Git cache can be used."));
        };
        let repository = repositories.open(&location, &access);
        let revision = repository.revision(&location.reference, Instant::now())?;
        if let Some(allowed) = &allowed {
            repository.verify(&revision, allowed)?;
        }
        repository.read_into(reading, &revision, &location.paths)?;
        tracing::info!(commit = %revision.commit, of = %location.url(), "read {}", revision.called);
        Ok(revision)
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|text| !text.trim().is_empty())
    }

    /// The credential for a location: for the one host that is named, or for the one that `PLUMB_GIT_HOST` says.
    fn access(&self, location: &Location) -> Result<Access, GitError> {
        let mut access = Access::default();
        match location.scheme {
            Scheme::Http | Scheme::Https => {
                access.login = self.login(location)?;
                if let Some(path) = self.get("PLUMB_GIT_CA_FILE") {
                    access.ca = Some(read(&path, "PLUMB_GIT_CA_FILE")?);
                }
            }
            Scheme::Ssh => self.ssh(&mut access),
            Scheme::File => {}
        }
        Ok(access)
    }

    fn login(&self, location: &Location) -> Result<Login, GitError> {
        let secret =
            |name: &str| self.get(name).map(|text| SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()));
        let user = self.get("PLUMB_GIT_USERNAME").or_else(|| location.user.clone());
        let login = match (secret("PLUMB_GIT_TOKEN"), secret("PLUMB_GIT_PASSWORD"), user) {
            (Some(_), Some(_), _) => {
                let message = "Both `PLUMB_GIT_TOKEN` and `PLUMB_GIT_PASSWORD` are set.";
                return Err(GitError::new(Trouble::Setting, message).hint("Set one of them."));
            }
            (Some(password), None, Some(username)) | (None, Some(password), Some(username)) => {
                Login::Basic { username, password }
            }
            (Some(token), None, None) => Login::Token(token),
            (None, Some(_), None) => {
                let message = "`PLUMB_GIT_PASSWORD` is set and `PLUMB_GIT_USERNAME` is not.";
                return Err(GitError::new(Trouble::Setting, message).hint("Set both, or `PLUMB_GIT_TOKEN` alone."));
            }
            (None, None, _) => return Ok(Login::Anonymous),
        };
        match self.get("PLUMB_GIT_HOST") {
            Some(host) if host == location.host || host == location.authority() => Ok(login),
            Some(_) => Ok(Login::Anonymous),
            None if self.hosts.len() <= 1 => Ok(login),
            None => {
                let message = "The Git sources are on several hosts, and one credential is given.";
                Err(GitError::new(Trouble::Setting, message)
                    .hint("Name the host that it is for: `PLUMB_GIT_HOST=git.example.com`."))
            }
        }
    }

    fn ssh(&self, access: &mut Access) {
        if let Some(file) = self.get("PLUMB_GIT_KNOWN_HOSTS") {
            access.known_hosts = KnownHosts::Files(vec![PathBuf::from(file)]);
        }
        access.passphrase = self.get("PLUMB_GIT_SSH_PASSPHRASE").map(SecretString::from);
        if let Some(file) = self.get("PLUMB_GIT_SSH_KEY") {
            access.keys = vec![SshKey::File(PathBuf::from(file))];
            return;
        }
        access.agent = self.get("SSH_AUTH_SOCK").is_some();
        if let Some(home) = env::home_dir() {
            let files = KEY_FILES.iter().map(|name| home.join(".ssh").join(name)).filter(|file| file.exists());
            access.keys = files.map(SshKey::File).collect();
        }
    }

    fn allowed_signers(&self) -> Result<Option<AllowedSigners>, GitError> {
        let Some(path) = self.get("PLUMB_GIT_ALLOWED_SIGNERS") else { return Ok(None) };
        let text = read(&path, "PLUMB_GIT_ALLOWED_SIGNERS")?;
        AllowedSigners::parse(&String::from_utf8_lossy(&text)).map(Some)
    }

    fn cache(&self) -> Result<PathBuf, GitError> {
        let home = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
        let base = self.get("XDG_CACHE_HOME").map(PathBuf::from).filter(|base| base.is_absolute()).or_else(home);
        match (self.get("PLUMB_GIT_CACHE"), base) {
            (Some(folder), _) => Ok(PathBuf::from(folder)),
            (None, Some(base)) => Ok(base.join("plumb/git")),
            (None, None) => {
                let message = "There is no folder for the Git cache: neither `HOME` nor `XDG_CACHE_HOME` is set.";
                Err(GitError::new(Trouble::Setting, message).hint("Set `PLUMB_GIT_CACHE` to a folder."))
            }
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn read(path: &str, name: &str) -> Result<Vec<u8>, GitError> {
    fs::read(path).map_err(|error| {
        GitError::new(Trouble::Setting, format!("The file `{path}`, which `{name}` names, cannot be read ({error})."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(urls: &[&str], environment: fn(&str) -> Option<String>) -> Result<Login, GitError> {
        let command = CommandLine { environment, ..CommandLine::new(urls.iter().copied()) };
        command.login(&Location::parse(urls[0]).unwrap())
    }

    #[test]
    fn a_credential_is_for_one_host() {
        let token: fn(&str) -> Option<String> = |name| (name == "PLUMB_GIT_TOKEN").then(|| "secret-token".to_owned());
        let two = ["https://a.example/r", "https://b.example/r"];
        assert!(matches!(login(&two[..1], token), Ok(Login::Token(_))));
        assert!(login(&two, token).err().unwrap().hints[0].contains("PLUMB_GIT_HOST"));
        let named: fn(&str) -> Option<String> = |name| match name {
            "PLUMB_GIT_TOKEN" => Some("secret-token".to_owned()),
            "PLUMB_GIT_HOST" => Some("b.example".to_owned()),
            _ => None,
        };
        assert!(matches!(login(&two, named), Ok(Login::Anonymous)));
        let half: fn(&str) -> Option<String> = |name| (name == "PLUMB_GIT_PASSWORD").then(|| "secret".to_owned());
        assert!(login(&two, half).is_err());
    }
}
