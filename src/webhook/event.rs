//! What a webhook tells: the same for all forges.

use crate::source::git::Location;

/// Something that happened in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A branch or tag moved.
    Push(Push),
    /// A pull or merge request changed.
    PullRequest(PullRequest),
    /// The forge tries the webhook out.
    Ping,
    /// Something that is of no interest, by the forge's word for it.
    Other(String),
}

impl Event {
    /// The repository that it is about.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Push(push) => Some(&push.repository),
            Self::PullRequest(request) => Some(&request.repository),
            Self::Ping | Self::Other(_) => None,
        }
    }
}

/// How a forge names a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryName {
    /// Owner and name, such as `acme/infrastructure`.
    pub full_name: String,
    /// Every URL that it may be cloned from or looked at.
    pub urls: Vec<String>,
}

impl RepositoryName {
    /// Whether a source reads this repository. Scheme, user, port and a `.git` at the end do not matter: a webhook names
    /// the web address, and a source may use ssh.
    pub fn is(&self, location: &Location) -> bool {
        let own = key(location);
        self.urls.iter().filter_map(|url| Location::parse(url).ok()).any(|other| key(&other) == own)
    }
}

fn key(location: &Location) -> (String, String) {
    let path = location.repository.trim_matches('/').to_ascii_lowercase();
    let path = path.strip_suffix(".git").unwrap_or(&path).to_owned();
    (location.host.clone(), path.strip_prefix("~/").map(str::to_owned).unwrap_or(path))
}

/// A branch or tag moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Where.
    pub repository: RepositoryName,
    /// Its whole name, such as `refs/heads/main`; empty where the forge does not say.
    pub reference: String,
    /// The commit before; none for a new branch or tag.
    pub before: Option<String>,
    /// The commit now; none for one that was deleted.
    pub after: Option<String>,
}

/// What became of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was opened, or opened again.
    Opened,
    /// Its head moved, or its title or target changed.
    Updated,
    /// It was merged.
    Merged,
    /// It was closed without being merged.
    Closed,
    /// Something else, such as a label.
    Other,
}

/// A pull or merge request changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The repository that it is to be merged into.
    pub repository: RepositoryName,
    /// Its number there.
    pub number: u64,
    /// What became of it.
    pub change: Change,
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub author: String,
    /// The commit to be merged. Bitbucket gives its first digits only.
    pub head: String,
    /// The branch that it is on.
    pub head_branch: String,
    /// The name under which the target repository has the head, where it has one.
    pub head_reference: Option<String>,
    /// The branch that it is to be merged into.
    pub base_branch: String,
    /// The commit that this branch was at.
    pub base: Option<String>,
    /// The head is in another repository: whoever opened it need not be able to push to this one.
    pub fork: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_found_by_any_of_its_addresses() {
        let urls = ["https://Git.example:3000/Acme/infra.git", "ssh://git@git.example:2222/acme/infra.git"];
        let name = RepositoryName { full_name: "acme/infra".into(), urls: urls.map(str::to_owned).to_vec() };
        for (url, same) in [
            ("https://git.example/acme/infra", true),
            ("git@git.example:acme/infra.git//stacks/a?ref=main", true),
            ("https://git.example/acme/infra2", false),
            ("https://other.example/acme/infra", false),
            ("file:///acme/infra", false),
        ] {
            assert_eq!(name.is(&Location::parse(url).unwrap()), same, "{url}");
        }
    }
}
