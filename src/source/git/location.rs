//! What `-f` or a configuration says → which repository, which paths of it, and which commit.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::{GitError, Reference, Trouble};

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://`, or `git@host:path`
    Ssh,
    /// `file://`
    File,
}

/// A repository, and what of it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// How it is reached.
    pub scheme: Scheme,
    /// User name in the URL.
    pub user: Option<String>,
    /// Host; empty for `file://`.
    pub host: String,
    /// Port, where the URL names one.
    pub port: Option<u16>,
    /// Path of the repository on that host.
    pub repository: String,
    /// Paths within the repository; none stands for all of it.
    pub paths: Vec<String>,
    /// Which commit.
    pub reference: Reference,
}

fn wrong(text: &str, why: &str) -> GitError {
    GitError::new(Trouble::Setting, format!("The Git source `{}` {why}.", shown(text)))
        .hint("Write `https://HOST/REPOSITORY.git//PATH?ref=BRANCH`, or the same with `ssh://` or `file://`.")
}

/// A URL without what may be a password in it.
pub(super) fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((login, host)) => {
            let login = login.split_once(':').map_or(login, |(user, _)| user);
            format!("{scheme}://{login}@{host}{path}")
        }
        None => text.to_owned(),
    }
}

impl Location {
    /// Reads `https://host/repo.git//path?ref=main`, the same with `ssh://`, `http://` or `file://`, or
    /// `git@host:repo.git//path?tag=v1`; `git::` may stand before it.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let text = text.trim().strip_prefix("git::").unwrap_or(text.trim());
        if text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err(wrong(text, "has blanks or control characters in it"));
        }
        let (before, query) = text.split_once('?').map_or((text, ""), |(before, query)| (before, query));
        let (scheme, authority, path) = match before.split_once("://") {
            Some((scheme, rest)) => {
                let scheme = match scheme {
                    "https" => Scheme::Https,
                    "http" => Scheme::Http,
                    "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
                    "file" => Scheme::File,
                    _ => return Err(wrong(text, &format!("has the scheme `{scheme}`, which plumb does not read"))),
                };
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                (scheme, authority, path.to_owned())
            }
            None if before.starts_with('/') => (Scheme::File, "", before.to_owned()),
            None => match before.split_once(':') {
                Some((authority, path)) if !authority.contains('/') => (Scheme::Ssh, authority, path.to_owned()),
                _ => return Err(wrong(text, "is no URL")),
            },
        };
        let (login, address) =
            authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        if login.is_some_and(|login| login.contains(':')) {
            return Err(wrong(text, "has a password in it, which would be shown and stored with the URL")
                .hint("Give it as `PLUMB_GIT_USERNAME` and `PLUMB_GIT_PASSWORD`, or `PLUMB_GIT_TOKEN`."));
        }
        let (host, port) = address_of(address).ok_or_else(|| wrong(text, "has no valid host and port"))?;
        if host.is_empty() != (scheme == Scheme::File) {
            let why = if scheme == Scheme::File { "names a host: write `file:///PATH`" } else { "names no host" };
            return Err(wrong(text, why));
        }
        let scp = !before.contains("://") && scheme == Scheme::Ssh;
        let start = path.len() - path.trim_start_matches('/').len();
        let cut = path.get(start..).and_then(|rest| rest.find("//")).map(|at| at + start);
        let (repository, below) = match cut {
            Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 2..).unwrap_or_default()),
            None => (path.as_str(), ""),
        };
        let repository = repository.trim_end_matches('/');
        if repository.trim_matches('/').is_empty() {
            return Err(wrong(text, "names no repository"));
        }
        let repository = match scheme {
            Scheme::File | Scheme::Ssh => decoded(text, repository)?,
            Scheme::Http | Scheme::Https => repository.to_owned(),
        };
        let repository = if scp { repository } else { format!("/{}", repository.trim_start_matches('/')) };
        let mut paths = Vec::new();
        if !below.trim_matches('/').is_empty() {
            paths.push(tree_path(text, &decoded(text, below)?)?);
        }
        let mut reference = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(text, value)?;
            if name == "path" {
                paths.push(tree_path(text, &value)?);
                continue;
            }
            let read = Reference::from_query(name, &value).map_err(|why| wrong(text, &why))?;
            if reference.replace(read).is_some() {
                return Err(wrong(text, "says twice which commit is meant"));
            }
        }
        paths.sort();
        paths.dedup();
        if paths.iter().any(String::is_empty) {
            paths.clear();
        }
        Ok(Self {
            scheme,
            user: login.map(str::to_owned),
            host: host.to_ascii_lowercase(),
            port,
            repository,
            paths,
            reference: reference.unwrap_or_default(),
        })
    }

    /// The repository alone, without path and reference: what a remote, a cache and a credential are for.
    pub fn url(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.scheme {
            Scheme::Https => format!("https://{user}{host}{port}{}", self.repository),
            Scheme::Http => format!("http://{user}{host}{port}{}", self.repository),
            Scheme::File => format!("file://{}", self.repository),
            Scheme::Ssh if self.repository.starts_with('/') => format!("ssh://{user}{host}{port}{}", self.repository),
            Scheme::Ssh => format!("{user}{host}:{}", self.repository),
        }
    }

    /// The repository and its paths, as the inventory remembers where a stack comes from. Which commit is no part of
    /// it, so that a stack stays the same when its tag moves on.
    pub fn root(&self) -> String {
        match &self.paths[..] {
            [] => self.url(),
            [path] => format!("{}//{path}", self.url()),
            paths => format!("{}?path={}", self.url(), paths.join("&path=")),
        }
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Host and port, as a credential is bound to them.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// A path of the repository: relative, without `.`, `..` and empty parts.
    pub fn with_paths<P: AsRef<str>>(mut self, paths: impl IntoIterator<Item = P>) -> Result<Self, GitError> {
        let url = self.url();
        self.paths = paths.into_iter().map(|path| tree_path(&url, path.as_ref())).collect::<Result<_, _>>()?;
        self.paths.sort();
        self.paths.dedup();
        if self.paths.iter().any(String::is_empty) {
            self.paths.clear();
        }
        Ok(self)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root())
    }
}

fn decoded(text: &str, part: &str) -> Result<String, GitError> {
    let decoded = percent_decode_str(part).decode_utf8().map_err(|_| wrong(text, "has an escape that is no UTF-8"))?;
    if decoded.contains(['\0', '\n', '\r']) {
        return Err(wrong(text, "has an escape for a control character"));
    }
    Ok(decoded.into_owned())
}

fn address_of(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let at = text.find(':').unwrap_or(text.len());
        text.split_at(at)
    };
    let port = match port {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse().ok()?),
    };
    let plain = host.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':'));
    (plain && !host.starts_with('-')).then(|| (host.to_owned(), port))
}

fn tree_path(text: &str, path: &str) -> Result<String, GitError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(wrong(text, "has a path that leads out of the repository"));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Location {
        Location::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_spelling_is_taken_apart() {
        let location = read("https://Host.example:8443/team/repo.git//stacks/a?ref=main");
        assert_eq!((location.scheme, location.port), (Scheme::Https, Some(8443)));
        assert_eq!(location.url(), "https://host.example:8443/team/repo.git");
        assert_eq!(location.paths, ["stacks/a"]);
        assert_eq!(location.reference, Reference::Name("main".into()));
        assert_eq!(location.root(), "https://host.example:8443/team/repo.git//stacks/a");

        let location = read("git@host.example:team/repo.git//a/./b/?tag=v1");
        assert_eq!((location.scheme, location.user.as_deref()), (Scheme::Ssh, Some("git")));
        assert_eq!((location.repository.as_str(), location.paths[0].as_str()), ("team/repo.git", "a/b"));
        assert_eq!(location.url(), "git@host.example:team/repo.git");

        let location = read("ssh://git@[::1]:2222/srv/repo.git?semver=%5E1.2");
        assert_eq!((location.host.as_str(), location.port), ("::1", Some(2222)));
        assert_eq!(location.url(), "ssh://git@[::1]:2222/srv/repo.git");
        assert!(matches!(location.reference, Reference::Semver(_)));

        let location = read("file:///srv/git/repo.git//x?path=z&path=y");
        assert_eq!((location.repository.as_str(), location.paths.len()), ("/srv/git/repo.git", 3));
        assert_eq!(read("git::file:///srv/repo").url(), "file:///srv/repo");
        assert_eq!(read("https://host.example/repo//").paths, Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_said_without_a_password() {
        for text in [
            "https://",
            "https://host.example",
            "ftp://host.example/repo",
            "https://host.example/repo//../x",
            "https://host.example/repo//a%2f..%2f..",
            "https://host.example/repo?branch=a&tag=b",
            "https://host.example/repo?what=a",
            "https://host.example/repo?commit=xyz",
            "https://host.example/repo?semver=nonsense",
            "https://host.example/repo?ref=",
            "https://host.example:x/repo",
            "ssh://-oProxyCommand=x/repo",
            "file://host.example/repo",
            "git@host.example",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        let error = Location::parse("https://jane:hunter2hunter2@host.example/repo").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
