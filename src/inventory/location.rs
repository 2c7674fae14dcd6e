//! `--inventory URL`, or nothing, into the place where the inventory is.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;
use zeroize::Zeroizing;

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
    /// The same in Google Cloud Storage; credentials come from the usual `GOOGLE_*` variables.
    Gs {
        /// Bucket.
        bucket: String,
        /// Folder within the bucket.
        prefix: String,
        /// Settings that go before those of the environment.
        settings: Settings,
    },
    /// The same in Azure Blob Storage; account and credentials come from the usual `AZURE_*` variables.
    Az {
        /// Container.
        container: String,
        /// Folder within the container.
        prefix: String,
        /// Settings that go before those of the environment.
        settings: Settings,
    },
    /// Tables of a PostgreSQL database.
    Postgres(PostgresUrl),
    /// Secrets or `ConfigMaps` of a Kubernetes namespace.
    Kubernetes(ClusterPlace),
}

/// The URL of a PostgreSQL database; shows itself without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// The whole URL.
    pub(super) text: Zeroizing<String>,
    shown: String,
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Where in Kubernetes an inventory is; the cluster comes from `KUBECONFIG`, or is the one that this runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlace {
    /// Namespace.
    pub namespace: String,
    /// What the names of the objects begin with.
    pub name: String,
    /// What the objects are.
    pub form: Form,
    /// `kubeconfig`: the path of a file that goes before the environment's.
    pub settings: Settings,
}

impl fmt::Display for ClusterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kubernetes://{}/{}", self.namespace, self.name)?;
        if self.form == Form::ConfigMap { f.write_str("?kind=ConfigMap") } else { Ok(()) }
    }
}

/// What the objects of an inventory in Kubernetes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Secrets.
    #[default]
    Secret,
    /// `ConfigMaps`.
    ConfigMap,
}

/// Settings of a client by their names in lowercase, such as `aws_endpoint_url`. Never prints a value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(pub Vec<(String, String)>);

impl Settings {
    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Location {
    /// Reads an inventory URL; without one it is `.plumb/inventory.db` in `default_folder`. Fails with `PL0801` for a
    /// URL that cannot be read.
    pub fn parse(url: Option<&str>, default_folder: &Path) -> Result<Self, Diagnostic> {
        let Some(text) = url else {
            return Ok(Self::Sqlite(default_folder.join(".plumb").join("inventory.db")));
        };
        match scheme(text) {
            None => file(text, text),
            Some("file") => file(text, &file_path(text)?),
            Some("s3") => {
                let (bucket, prefix) = bucket(text, "AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY")?;
                Ok(Self::S3 { bucket, prefix, settings: Settings::default() })
            }
            Some("gs") => {
                let (bucket, prefix) = bucket(text, "GOOGLE_SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS")?;
                Ok(Self::Gs { bucket, prefix, settings: Settings::default() })
            }
            Some("az") => {
                let (container, prefix) = bucket(text, "AZURE_STORAGE_ACCOUNT_NAME` and `AZURE_STORAGE_ACCOUNT_KEY")?;
                Ok(Self::Az { container, prefix, settings: Settings::default() })
            }
            Some("postgres" | "postgresql") => postgres(text),
            Some("kubernetes") => kubernetes(text),
            Some(other) => Err(unreadable(text, &format!("`{other}:` is not a scheme of inventories"))),
        }
    }

    /// The file that holds the key of the hashes, beside a local inventory; a remote one takes it from
    /// `PLUMB_INVENTORY_KEY`.
    pub fn key_file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(beside(path, "key")),
            _ => None,
        }
    }

    /// Whether other machines may use it too.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Sqlite(_))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::S3 { bucket, prefix, .. } => folder(f, "s3", bucket, prefix),
            Self::Gs { bucket, prefix, .. } => folder(f, "gs", bucket, prefix),
            Self::Az { container, prefix, .. } => folder(f, "az", container, prefix),
            Self::Postgres(url) => url.fmt(f),
            Self::Kubernetes(place) => place.fmt(f),
        }
    }
}

fn folder(f: &mut fmt::Formatter<'_>, scheme: &str, bucket: &str, prefix: &str) -> fmt::Result {
    write!(f, "{scheme}://{bucket}{}{prefix}", if prefix.is_empty() { "" } else { "/" })
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

/// Bucket and folder of an object store's URL.
fn bucket(text: &str, variables: &str) -> Result<(String, String), Diagnostic> {
    let url = Url::parse(text).map_err(|error| unreadable(text, &error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unreadable(text, "it holds credentials").hint(format!("give them by the variables `{variables}`")));
    }
    if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
        return Err(unreadable(text, "a bucket and a path are all that it may hold").hint(
            "give endpoint, region and account by the variables of the object store, such as `AWS_ENDPOINT_URL`",
        ));
    }
    let bucket =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| unreadable(text, "it names no bucket"))?;
    let prefix = percent_encoding::percent_decode_str(url.path().trim_matches('/'))
        .decode_utf8()
        .map_err(|_| unreadable(text, "its path is not UTF-8"))?;
    Ok((bucket.to_owned(), prefix.into()))
}

fn postgres(text: &str) -> Result<Location, Diagnostic> {
    let url = PostgresUrl { text: Zeroizing::new(text.to_owned()), shown: without_credentials(text) };
    super::postgres::check(&url).map_err(|why| unreadable(text, &why))?;
    Ok(Location::Postgres(url))
}

fn kubernetes(text: &str) -> Result<Location, Diagnostic> {
    let url = Url::parse(text).map_err(|error| unreadable(text, &error.to_string()))?;
    let shape = || unreadable(text, "expected `kubernetes://NAMESPACE/NAME`");
    let namespace = url.host_str().filter(|host| !host.is_empty()).ok_or_else(shape)?;
    let name = url.path().trim_matches('/');
    let is_label = |text: &str| {
        !text.is_empty()
            && text.len() <= 63
            && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if !is_label(namespace) || !is_label(name) {
        return Err(shape().hint("namespace and name are lowercase letters, digits and `-`, 63 at most"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() || url.fragment().is_some() {
        return Err(shape().hint("the cluster is that of `KUBECONFIG`, or the one that plumb runs in"));
    }
    let mut form = Form::default();
    for (key, value) in url.query_pairs() {
        form = match (&*key, value.to_ascii_lowercase().as_str()) {
            ("kind", "secret") => Form::Secret,
            ("kind", "configmap") => Form::ConfigMap,
            _ => return Err(shape().hint("`?kind=Secret` or `?kind=ConfigMap` is all that may follow")),
        };
    }
    Ok(Location::Kubernetes(ClusterPlace {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        form,
        settings: Settings::default(),
    }))
}

fn unreadable(text: &str, why: &str) -> Diagnostic {
    Diagnostic::error("PL0801", format!("The inventory URL `{}` cannot be used: {why}.", without_credentials(text)))
        .hint(
            "expected a path, `file:PATH`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`, \
             `postgres://HOST/DATABASE` or `kubernetes://NAMESPACE/NAME`",
        )
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
    fn every_remote_place_reads_back_as_it_is_shown() {
        for url in [
            "s3://bucket/team/a",
            "gs://bucket",
            "az://box/x",
            "postgres://host/db",
            "kubernetes://namespace/name",
            "kubernetes://namespace/name?kind=ConfigMap",
        ] {
            let location = parse(url).unwrap();
            assert_eq!(location.to_string(), url);
            assert!(location.is_remote() && location.key_file().is_none());
        }
        for url in
            ["ftp://host/x", "gs:///x", "kubernetes://namespace", "kubernetes://n/a?kind=Pod", "kubernetes://n/A.b"]
        {
            assert_eq!(parse(url).unwrap_err().code, "PL0801", "{url}");
        }
    }

    #[test]
    fn a_refused_url_is_shown_without_its_credentials() {
        for url in ["postgres://me:hunter2@host/db?sslmode=hunter2", "s3://key:hunter2@bucket/x", "ftp://u:hunter2@h"] {
            let diagnostic = parse(url).unwrap_err();
            assert!(!format!("{diagnostic:?}").contains("hunter2"), "{diagnostic:?}");
        }
        let url = "postgres://me:hunter2@host/db?password=hunter2";
        assert!(!format!("{:?} {0}", parse(url).unwrap()).contains("hunter2"));
        let settings = Settings(vec![("aws_secret_access_key".into(), "hunter2".into())]);
        assert_eq!(format!("{settings:?}"), r#"["aws_secret_access_key"]"#);
    }
}
