//! How a repository is reached: credentials, keys, certificates, and how much and how long a fetch may take. What is
//! secret in it prints nowhere.

use std::{fmt, path::PathBuf, time::Duration};

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};

use super::KnownHosts;

/// Who is at the door of a server that speaks HTTP.
#[derive(Clone, Default)]
pub enum Login {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A token, as the password of a user whom most forges do not look at.
    Token(SecretString),
    /// A user and a password, or a token that belongs to this user name.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
}

/// A private key for ssh.
#[derive(Clone)]
pub enum SshKey {
    /// In a file.
    File(PathBuf),
    /// Its text.
    Text(SecretString),
}

/// How much and how long a fetch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a server may say nothing.
    pub idle: Duration,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long everything may take.
    pub total: Duration,
    /// How many bytes may come.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            total: Duration::from_mins(10),
            bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

/// How a repository is reached.
#[derive(Clone, Default)]
pub struct Access {
    /// Who asks, over HTTP. It goes to the URL's own host and to no other.
    pub login: Login,
    /// Certificates in PEM form that are trusted besides the machine's own.
    pub ca: Option<Vec<u8>>,
    /// Keys for ssh, tried in this order.
    pub keys: Vec<SshKey>,
    /// What opens those keys.
    pub passphrase: Option<SecretString>,
    /// Whether the keys of `ssh-agent` are tried before.
    pub agent: bool,
    /// The keys of the servers.
    pub known_hosts: KnownHosts,
    /// How much and how long.
    pub limits: Limits,
}

impl Access {
    /// Whether another is the same in every respect.
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }

    /// Tells one credential from another, for sharing what was fetched with it. It is kept in memory only.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        match &self.login {
            Login::Anonymous => part(b"none"),
            Login::Token(token) => {
                part(b"token");
                part(token.expose_secret().as_bytes());
            }
            Login::Basic { username, password } => {
                part(b"basic");
                part(username.as_bytes());
                part(password.expose_secret().as_bytes());
            }
        }
        part(self.ca.as_deref().unwrap_or_default());
        for key in &self.keys {
            match key {
                SshKey::File(path) => part(path.as_os_str().as_encoded_bytes()),
                SshKey::Text(text) => part(text.expose_secret().as_bytes()),
            }
        }
        part(self.passphrase.as_ref().map(|text| text.expose_secret().as_bytes()).unwrap_or_default());
        part(&[u8::from(self.agent)]);
        part(format!("{:?} {:?}", self.known_hosts, self.limits).as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        out
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match self.login {
            Login::Anonymous => "anonymous",
            Login::Token(_) => "token",
            Login::Basic { .. } => "basic",
        };
        f.debug_struct("Access").field("login", &login).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_told_apart_and_never_printed() {
        let token = |text: &str| Access { login: Login::Token(text.into()), ..Access::default() };
        assert_ne!(token("one-secret").fingerprint(), token("two-secret").fingerprint());
        assert_eq!(token("one-secret").fingerprint(), token("one-secret").fingerprint());
        assert!(!format!("{:?}", token("one-secret")).contains("one-secret"));
    }
}
