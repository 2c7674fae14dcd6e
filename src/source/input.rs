//! What `-f` was given → an input, and its one spelling.

use std::{
    env,
    path::{Component, Path, PathBuf},
};

use super::git::Location;

/// Something to read manifests from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file or a folder.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// A Git repository.
    Git(String),
}

impl Input {
    /// Tells what an argument of `-f` means: `-`, a Git URL, or else a path.
    pub fn parse(text: &str) -> Self {
        if text == "-" {
            Self::Stdin
        } else if is_git(text) {
            Self::Git(text.to_owned())
        } else {
            Self::Path(PathBuf::from(text))
        }
    }

    /// The URL of a Git repository.
    pub fn git(&self) -> Option<&str> {
        if let Self::Git(url) = self { Some(url) } else { None }
    }

    /// Its one spelling, as the inventory remembers it.
    pub fn root(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::Git(url) => match Location::parse(url) {
                Ok(location) => location.root(),
                // What is wrong with it is told when it is read.
                Err(_) => "git".to_owned(),
            },
            Self::Path(path) => {
                let absolute = absolute(path);
                let path = match env::current_dir() {
                    Ok(current) => absolute.strip_prefix(&current).map(Path::to_path_buf).unwrap_or(absolute),
                    Err(_) => absolute,
                };
                match path.to_string_lossy() {
                    text if text.is_empty() => ".".to_owned(),
                    text => text.into_owned(),
                }
            }
        }
    }
}

fn is_git(text: &str) -> bool {
    text.contains("://")
        || text.starts_with("git::")
        || text.starts_with("git@")
        || text.split_once(':').is_some_and(|(host, path)| host.contains('@') && path.contains(".git"))
}

/// A path as diagnostics show it: as it was written, without a leading `./`.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.strip_prefix("./").filter(|rest| !rest.is_empty()).unwrap_or(&text).to_owned()
}

/// An absolute path without `.` and `..`, by its letters alone.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut out = if path.is_absolute() { PathBuf::new() } else { env::current_dir().unwrap_or_default() };
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        for url in [
            "https://host.example/repo.git//path?ref=main",
            "ssh://git@host.example/repo.git",
            "git@host.example:team/repo.git//path",
        ] {
            assert_eq!(Input::parse(url), Input::Git(url.to_owned()));
        }
        assert_eq!(Input::parse("-"), Input::Stdin);
        assert_eq!(Input::parse("C:stack"), Input::Path("C:stack".into()));
    }

    #[test]
    fn roots_have_one_spelling() {
        let current = env::current_dir().unwrap();
        for path in ["stack", "./stack/", "stack/.", "other/../stack"] {
            assert_eq!(Input::parse(path).root(), "stack", "{path}");
        }
        assert_eq!(Input::Path(current.join("stack")).root(), "stack");
        assert_eq!(Input::parse(".").root(), ".");
        assert_eq!(Input::parse("/nowhere/stack/").root(), "/nowhere/stack");
    }
}
