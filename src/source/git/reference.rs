//! Which commit is meant: a branch, a tag, a commit, a range of versions, or the remote's own default.

use semver::{Version, VersionReq};

use super::{GitError, Head, Trouble};
use crate::diagnostic::nearest;

/// Which commit of a repository is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The remote's `HEAD`.
    #[default]
    Default,
    /// A branch.
    Branch(String),
    /// A tag, annotated or not.
    Tag(String),
    /// A commit by its whole id.
    Commit(String),
    /// The highest version among the tags that fits a range, such as `^1.2` or `>=1.0, <3`.
    Semver(VersionReq),
    /// A branch, else a tag, else a commit; or a whole name such as `refs/pull/7/head`.
    Name(String),
}

/// A reference that was found: which name to fetch, or which commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The remote's name for it; nothing for a commit that no name is known of.
    pub name: Option<String>,
    /// What it was called, for people: `main`, `v1.2.0`.
    pub called: String,
    /// The commit.
    pub commit: git2::Oid,
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Reference {
    /// Reads one of the parameters of a URL: `ref`, `branch`, `tag`, `commit` or `semver`.
    pub(super) fn from_query(name: &str, value: &str) -> Result<Self, String> {
        if value.is_empty() {
            return Err(format!("has an empty `{name}`"));
        }
        let plain = |value: &str| {
            if value.starts_with(['-', '/', ':', '+']) || value.contains([':', '*', '^', '~', '\\', ' ']) {
                return Err(format!("has `{value}` as `{name}`, which no branch or tag can be called"));
            }
            Ok(value.to_owned())
        };
        match name {
            "ref" => plain(value).map(Self::Name),
            "branch" => plain(value).map(Self::Branch),
            "tag" => plain(value).map(Self::Tag),
            "commit" if is_commit(value) => Ok(Self::Commit(value.to_ascii_lowercase())),
            "commit" => Err(format!("has `{value}` as `commit`: expected all 40 digits of a commit's id")),
            "semver" => VersionReq::parse(value)
                .map(Self::Semver)
                .map_err(|why| format!("has `{value}` as `semver`, which is no range of versions ({why})")),
            _ => Err(format!(
                "has the parameter `{name}`: expected `ref`, `branch`, `tag`, `commit`, `semver` or `path`"
            )),
        }
    }

    /// Whether a push to a branch or tag of this whole name may change what it means; true where nobody can tell.
    pub fn may_mean(&self, pushed: &str) -> bool {
        let is = |kind: &str, name: &str| pushed.strip_prefix(kind) == Some(name);
        match self {
            _ if pushed.is_empty() => true,
            Self::Default => pushed.starts_with("refs/heads/"),
            Self::Branch(name) => is("refs/heads/", name),
            Self::Tag(name) => is("refs/tags/", name),
            Self::Commit(_) => false,
            Self::Semver(_) => pushed.starts_with("refs/tags/"),
            Self::Name(name) => name == pushed || is("refs/heads/", name) || is("refs/tags/", name),
        }
    }

    /// How it is called, for people.
    pub fn called(&self) -> String {
        match self {
            Self::Default => "the default branch".to_owned(),
            Self::Branch(name) | Self::Tag(name) | Self::Commit(name) | Self::Name(name) => format!("`{name}`"),
            Self::Semver(range) => format!("the versions `{range}`"),
        }
    }

    /// Finds the commit among the names of a remote.
    pub(super) fn find(&self, heads: &[Head], url: &str) -> Result<Found, GitError> {
        let head = |name: &str| heads.iter().find(|head| head.name == name);
        let found = |name: String, called: &str| {
            let first = head(&name)?;
            // An annotated tag is an object of its own; the commit that it is for is listed behind it.
            let commit = head(&format!("{name}^{{}}")).unwrap_or(first).id;
            Some(Found { name: Some(name), called: called.to_owned(), commit })
        };
        let by_id = |id: &str| {
            let commit = git2::Oid::from_str(id).ok()?;
            let name = heads.iter().find(|head| head.id == commit && !head.name.ends_with("^{}"));
            Some(Found { name: name.map(|head| head.name.clone()), called: id.to_owned(), commit })
        };
        let answer = match self {
            Self::Default => match head("HEAD").and_then(|head| head.target.clone()) {
                Some(branch) => found(branch.clone(), branch.strip_prefix("refs/heads/").unwrap_or(&branch)),
                None => found("HEAD".to_owned(), "HEAD"),
            },
            Self::Branch(name) => found(format!("refs/heads/{name}"), name),
            Self::Tag(name) => found(format!("refs/tags/{name}"), name),
            Self::Commit(id) => by_id(id),
            Self::Name(name) if name.starts_with("refs/") || name == "HEAD" => found(name.clone(), name),
            Self::Name(name) => found(format!("refs/heads/{name}"), name)
                .or_else(|| found(format!("refs/tags/{name}"), name))
                .or_else(|| is_commit(name).then(|| by_id(name)).flatten()),
            Self::Semver(range) => {
                let tags = heads.iter().filter_map(|head| head.name.strip_prefix("refs/tags/"));
                let versions = tags.filter(|tag| !tag.ends_with("^{}")).filter_map(|tag| Some((version(tag)?, tag)));
                let best = versions.filter(|(version, _)| range.matches(version)).max();
                best.and_then(|(_, tag)| found(format!("refs/tags/{tag}"), tag))
            }
        };
        answer.ok_or_else(|| self.missing(heads, url))
    }

    fn missing(&self, heads: &[Head], url: &str) -> GitError {
        if !heads.iter().any(|head| head.name != "HEAD") {
            return GitError::new(Trouble::Empty, format!("The repository `{url}` is empty: it has no commit."))
                .hint("Push a first commit.");
        }
        let names = |kind: &'static str| {
            heads.iter().filter_map(move |head| head.name.strip_prefix(kind)).filter(|name| !name.ends_with("^{}"))
        };
        let (what, name, known): (_, _, Vec<&str>) = match self {
            Self::Default => ("branch that its `HEAD` names", "", names("refs/heads/").collect()),
            Self::Branch(name) => ("branch", name.as_str(), names("refs/heads/").collect()),
            Self::Tag(name) => ("tag", name.as_str(), names("refs/tags/").collect()),
            Self::Commit(name) => ("commit", name.as_str(), Vec::new()),
            Self::Name(name) => {
                ("branch, tag or commit", name.as_str(), names("refs/heads/").chain(names("refs/tags/")).collect())
            }
            Self::Semver(range) => {
                let message = format!("No tag of `{url}` is a version in `{range}`.");
                return GitError::new(Trouble::NoReference, message).hint(
                    "Tags such as `v1.2.3` and `1.2.3` are versions; pre-releases count where the range names one.",
                );
            }
        };
        let named = if name.is_empty() { String::new() } else { format!(" `{name}`") };
        let message = format!("The repository `{url}` has no {what}{named}. It may have been deleted or renamed.");
        let error = GitError::new(Trouble::NoReference, message);
        match nearest(name, known.iter().copied()) {
            Some(near) => error.hint(format!("Is `{near}` meant?")),
            None if known.is_empty() => error,
            None => {
                let some: Vec<String> = known.iter().take(8).map(|name| format!("`{name}`")).collect();
                error.hint(format!("There are {}{}.", some.join(", "), if known.len() > 8 { " and more" } else { "" }))
            }
        }
    }
}

/// The version that a tag names: `v1.2.3` or `1.2.3`.
fn version(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(names: &[&str]) -> Vec<Head> {
        let id = |index: usize| git2::Oid::from_str(&format!("{:040x}", index + 1)).unwrap();
        let head = |(index, name): (usize, &&str)| Head { name: (*name).to_owned(), id: id(index), target: None };
        names.iter().enumerate().map(head).collect()
    }

    fn found(reference: &Reference, names: &[&str]) -> Option<String> {
        let heads = heads(names);
        let found = reference.find(&heads, "u").ok()?;
        Some(heads.iter().find(|head| head.id == found.commit)?.name.clone())
    }

    #[test]
    fn a_branch_comes_before_a_tag_and_a_tag_is_peeled() {
        let names = ["HEAD", "refs/heads/a", "refs/tags/a", "refs/tags/b", "refs/tags/b^{}", "refs/pull/7/head"];
        assert_eq!(found(&Reference::Name("a".into()), &names).unwrap(), "refs/heads/a");
        assert_eq!(found(&Reference::Tag("a".into()), &names).unwrap(), "refs/tags/a");
        assert_eq!(found(&Reference::Name("b".into()), &names).unwrap(), "refs/tags/b^{}");
        assert_eq!(found(&Reference::Name("refs/pull/7/head".into()), &names).unwrap(), "refs/pull/7/head");
        assert_eq!(found(&Reference::Name(format!("{:040x}", 2)), &names).unwrap(), "refs/heads/a");
        assert_eq!(found(&Reference::Default, &names).unwrap(), "HEAD");
    }

    #[test]
    fn the_highest_version_in_the_range_wins() {
        let names =
            ["refs/tags/v1.9.0", "refs/tags/v1.10.0", "refs/tags/1.10.1-rc.1", "refs/tags/v2.0.0", "refs/tags/x"];
        let range = |text: &str| Reference::from_query("semver", text).unwrap();
        assert_eq!(found(&range("^1.2"), &names).unwrap(), "refs/tags/v1.10.0");
        assert_eq!(found(&range(">=1.10.1-rc.0, <2"), &names).unwrap(), "refs/tags/1.10.1-rc.1");
        assert_eq!(found(&range("*"), &names).unwrap(), "refs/tags/v2.0.0");
        assert_eq!(found(&range("^3"), &names), None);
    }

    #[test]
    fn what_is_missing_is_named_with_what_is_near() {
        let error = Reference::Branch("mian".into()).find(&heads(&["refs/heads/main"]), "u").unwrap_err();
        assert_eq!((error.trouble, error.hints[0].as_str()), (Trouble::NoReference, "Is `main` meant?"));
        assert_eq!(Reference::Default.find(&[], "u").unwrap_err().trouble, Trouble::Empty);
    }
}
