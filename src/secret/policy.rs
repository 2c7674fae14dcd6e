//! What manifests may reach for: whoever can write a manifest must not thereby read the machine. The command line lets
//! them reach for what its user can; the agent and the operator begin with nothing, and add what their own
//! configuration lists.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::held::Secrets;

/// How long a program may take.
const EXEC_TIME: Duration = Duration::from_secs(30);

/// What manifests may reach for on this machine, and beyond it.
#[derive(Debug, Clone)]
pub struct ResolvePolicy {
    /// Programs may be run: `--allow-exec`, for the command line alone.
    pub allow_exec: bool,
    /// Variables that may be read; any where this is nothing. `PREFIX_*` stands for all that start so.
    pub variables: Option<Vec<String>>,
    /// Folders whose files may be read; any where this is nothing.
    pub folders: Option<Vec<PathBuf>>,
    /// Kubernetes Secrets that may be read, as `NAMESPACE/NAME`, either of which may end in `*`; any where this is
    /// nothing.
    pub secrets: Option<Vec<String>>,
    /// The cluster that Secrets are read from.
    pub cluster: Cluster,
    /// The age keys that open SOPS files.
    pub age_keys: AgeKeys,
    /// How long a program may take.
    pub exec_time: Duration,
    /// What has no secret gets a made-up one, and nothing but this machine is asked: for simulated APIs, which take any.
    pub stand_in: bool,
}

/// A cluster, and how it is reached.
#[derive(Clone)]
pub enum Cluster {
    /// There is none.
    Nowhere,
    /// That of `KUBECONFIG`, of `~/.kube/config`, or the one that this process runs in.
    Usual,
    /// That of a client, whose own namespace is the default one.
    Client(kube::Client),
    /// That of somebody who holds its Secrets already, and says himself who may have which.
    Held(Arc<dyn Secrets>),
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "Nowhere",
            Self::Usual => "Usual",
            Self::Client(_) => "Client",
            Self::Held(_) => "Held",
        })
    }
}

/// Where age keys come from.
#[derive(Clone)]
pub enum AgeKeys {
    /// From where `sops` looks: `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE`, and `sops/age/keys.txt` in the user's configuration.
    Usual,
    /// From these alone; none where both are empty.
    Listed {
        /// Files as `age-keygen` writes them.
        files: Vec<PathBuf>,
        /// Their texts, for keys that come from elsewhere.
        texts: Vec<Zeroizing<String>>,
    },
}

impl fmt::Debug for AgeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("Usual"),
            Self::Listed { files, texts } => write!(f, "Listed({files:?}, {} texts)", texts.len()),
        }
    }
}

impl Default for ResolvePolicy {
    /// What the command line lets manifests reach for: all that its user can, but for programs.
    fn default() -> Self {
        Self {
            allow_exec: false,
            variables: None,
            folders: None,
            secrets: None,
            cluster: Cluster::Usual,
            age_keys: AgeKeys::Usual,
            exec_time: EXEC_TIME,
            stand_in: false,
        }
    }
}

impl ResolvePolicy {
    /// Nothing: what the agent and the operator begin with.
    pub fn closed() -> Self {
        Self {
            variables: Some(Vec::new()),
            folders: Some(Vec::new()),
            secrets: Some(Vec::new()),
            cluster: Cluster::Nowhere,
            age_keys: AgeKeys::Listed { files: Vec::new(), texts: Vec::new() },
            ..Self::default()
        }
    }

    /// Whether a variable may be read.
    pub(super) fn lets_variable(&self, name: &str) -> bool {
        self.variables.as_ref().is_none_or(|allowed| allowed.iter().any(|word| fits(word, name)))
    }

    /// Whether a Kubernetes Secret may be read.
    pub(super) fn lets_secret(&self, namespace: &str, name: &str) -> bool {
        let fit =
            |word: &String| word.split_once('/').is_some_and(|(own, word)| fits(own, namespace) && fits(word, name));
        self.secrets.as_ref().is_none_or(|allowed| allowed.iter().any(fit))
    }
}

fn fits(word: &str, name: &str) -> bool {
    match word.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => word == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_may_not_be_read() {
        let closed = ResolvePolicy::closed();
        assert!(!closed.lets_variable("HOME") && !closed.lets_secret("team-a", "key") && !closed.allow_exec);
        let some = ResolvePolicy {
            variables: Some(vec!["PLUMB_*".into()]),
            secrets: Some(vec!["team-a/*".into(), "team-b/shared-*".into(), "no-slash".into()]),
            ..ResolvePolicy::closed()
        };
        assert!(some.lets_variable("PLUMB_X") && !some.lets_variable("XPLUMB_X"));
        assert!(some.lets_secret("team-a", "any") && some.lets_secret("team-b", "shared-1"));
        assert!(!some.lets_secret("team-ab", "any") && !some.lets_secret("team-b", "own"));
        assert!(ResolvePolicy::default().lets_secret("kube-system", "any"));
    }
}
