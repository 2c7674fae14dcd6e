//! `--inventory URL`, or nothing, into the place where the inventory is.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use crate::diagnostic::Diagnostic;

/// Where an inventory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file on this machine.
    Sqlite(PathBuf),
    /// One document per stack in a bucket of an S3-compatible object store; endpoint and credentials come from the
    /// usual `AWS_*` variables.
    S3 {
        /// Bucket.
        bucket: String,
        /// Folder within the bucket, without slashes at its ends; may be empty.
        prefix: String,
        /// Settings that go before those of the environment.
        settings: Settings,
    },
}

/// Settings of an object store by their `AWS_*` names in lowercase, such as `aws_endpoint_url`. Never prints a value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(pub Vec<(String, String)>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Location {
    /// Reads an inventory URL; without one it is `.plumb/inventory.db` in `default_folder`. Fails with `PL0801` for a
    /// URL that cannot be read and `PL0802` for a place that this build cannot use.
    pub fn parse(url: Option<&str>, default_folder: &Path) -> Result<Self, Diagnostic> {
        let Some(text) = url else {
            return Ok(Self::Sqlite(default_folder.join(".plumb").join("inventory.db")));
        };
        match scheme(text) {
            None => file(text, text),
            Some("file") => file(text, &file_path(text)?),
            Some("s3") => s3(text),
            Some("gs" | "az" | "postgres" | "postgresql" | "kubernetes") => Err(Diagnostic::error(
                "PL0802",
                format!("This build cannot keep an inventory at `{}`.", without_credentials(text)),
            )
            .hint("it can keep one in a file (`file:PATH`) or in an S3-compatible object store (`s3://BUCKET/PATH`)")),
            Some(other) => Err(unreadable(text, &format!("`{other}:` is not a scheme of inventories"))),
        }
    }

    /// The file that holds the key of the hashes, beside a local inventory; a remote one takes it from
    /// `PLUMB_INVENTORY_KEY`.
    pub fn key_file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(beside(path, "key")),
            Self::S3 { .. } => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::S3 { bucket, prefix, .. } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix, .. } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// A file that belongs to a SQLite file: `inventory.key` beside `inventory.db`.
pub(super) fn beside(database: &Path, extension: &str) -> PathBuf {
    if let Some("db" | "sqlite" | "sqlite3") = database.extension().and_then(|found| found.to_str()) {
        return database.with_extension(extension);
    }
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// The part before the first colon, if it can be a scheme: one letter would be a drive.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let plausible = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    plausible.then_some(scheme)
}

fn file_path(text: &str) -> Result<String, Diagnostic> {
    let rest = text.strip_prefix("file:").unwrap_or(text);
    let Some(authority) = rest.strip_prefix("//") else {
        return Ok(rest.to_owned());
    };
    let path = authority.strip_prefix("localhost").unwrap_or(authority);
    if !path.starts_with('/') {
        return Err(unreadable(text, "a `file:` URL names no host").hint("write `file:PATH` or `file:///PATH`"));
    }
    percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| unreadable(text, "its path is not UTF-8"))
}

fn file(text: &str, path: &str) -> Result<Location, Diagnostic> {
    if path.is_empty() {
        return Err(unreadable(text, "it names no file"));
    }
    let file = PathBuf::from(path);
    let folder = path.ends_with('/') || file.is_dir();
    Ok(Location::Sqlite(if folder { file.join("inventory.db") } else { file }))
}

fn s3(text: &str) -> Result<Location, Diagnostic> {
    let url = Url::parse(text).map_err(|error| unreadable(text, &error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unreadable(text, "it holds credentials")
            .hint("give them by the variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`"));
    }
    if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
        return Err(unreadable(text, "a bucket and a path are all that it may hold")
            .hint("give the endpoint and the region by the variables `AWS_ENDPOINT_URL` and `AWS_REGION`"));
    }
    let bucket =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| unreadable(text, "it names no bucket"))?;
    let prefix = percent_encoding::percent_decode_str(url.path().trim_matches('/'))
        .decode_utf8()
        .map_err(|_| unreadable(text, "its path is not UTF-8"))?;
    Ok(Location::S3 { bucket: bucket.to_owned(), prefix: prefix.into(), settings: Settings::default() })
}

fn unreadable(text: &str, why: &str) -> Diagnostic {
    Diagnostic::error("PL0801", format!("The inventory URL `{}` cannot be used: {why}.", without_credentials(text)))
        .hint("expected a path, `file:PATH` or `s3://BUCKET/PATH`")
}

/// The URL without what stands before an `@` in its authority, and without its query.
fn without_credentials(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or(authority))
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Location, Diagnostic> {
        Location::parse(Some(url), Path::new("stack"))
    }

    #[test]
    fn without_a_url_it_is_a_file_in_the_stack() {
        let location = Location::parse(None, Path::new("stack")).unwrap();
        assert_eq!(location, Location::Sqlite("stack/.plumb/inventory.db".into()));
        assert_eq!(location.key_file(), Some("stack/.plumb/inventory.key".into()));
    }

    #[test]
    fn paths_and_file_urls_are_files() {
        for (url, path) in [
            ("state.db", "state.db"),
            ("/var/lib/x/", "/var/lib/x/inventory.db"),
            ("file:state.db", "state.db"),
            ("file:///var/my%20state.db", "/var/my state.db"),
            ("file://localhost/state.db", "/state.db"),
            ("C:/state.db", "C:/state.db"),
        ] {
            assert_eq!(parse(url).unwrap(), Location::Sqlite(path.into()), "{url}");
        }
        assert_eq!(parse("file://host/state.db").unwrap_err().code, "PL0801");
        assert_eq!(parse("").unwrap_err().code, "PL0801");
    }

    #[test]
    fn lock_and_key_never_take_the_name_of_the_database() {
        assert_eq!(beside(Path::new("a/team.db"), "lock"), Path::new("a/team.lock"));
        assert_eq!(beside(Path::new("a/team.lock"), "lock"), Path::new("a/team.lock.lock"));
        assert_eq!(beside(Path::new("a/team"), "key"), Path::new("a/team.key"));
    }

    #[test]
    fn buckets_have_a_prefix_or_none() {
        let Location::S3 { bucket, prefix, .. } = parse("s3://bucket/team/a b/").unwrap() else { panic!() };
        assert_eq!((bucket.as_str(), prefix.as_str()), ("bucket", "team/a b"));
        assert_eq!(parse("s3://bucket").unwrap().to_string(), "s3://bucket");
        assert_eq!(parse("s3://bucket/x").unwrap().key_file(), None);
        assert_eq!(parse("s3:///x").unwrap_err().code, "PL0801");
    }

    #[test]
    fn places_of_other_builds_are_named_as_such() {
        for url in ["gs://bucket", "az://box/x", "postgres://host/db", "kubernetes://namespace/name"] {
            assert_eq!(parse(url).unwrap_err().code, "PL0802", "{url}");
        }
        assert_eq!(parse("ftp://host/x").unwrap_err().code, "PL0801");
    }

    #[test]
    fn a_refused_url_is_shown_without_its_credentials() {
        for url in ["postgres://me:hunter2@host/db?password=hunter2", "s3://key:hunter2@bucket/x", "ftp://u:hunter2@h"]
        {
            let diagnostic = parse(url).unwrap_err();
            assert!(!format!("{diagnostic:?}").contains("hunter2"), "{diagnostic:?}");
        }
        let settings = Settings(vec![("aws_secret_access_key".into(), "hunter2".into())]);
        assert_eq!(format!("{settings:?}"), r#"["aws_secret_access_key"]"#);
    }
}
