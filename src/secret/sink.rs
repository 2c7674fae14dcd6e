//! Where a value goes that an API shows once: a file that is its owner's alone, whole and durable before it has its
//! name, or a key of a Kubernetes Secret.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{policy::Cluster, sink_secret::SecretKey};
use crate::value;

/// A sink that was made ready before the value is asked for, so that it cannot be lost for want of a place.
#[derive(Debug)]
pub struct Sink(Place);

#[derive(Debug)]
enum Place {
    File(Own),
    Secret(Box<SecretKey>),
    /// A simulated API's value is worth nothing.
    Nowhere,
}

impl Sink {
    /// Makes the sink of a field ready; the error says in words why it cannot be.
    pub async fn open(place: &Value, cluster: &Cluster) -> Result<Self, String> {
        let place = value::sink(place).unwrap_or(&Value::Null);
        if let Some(secret) = place.get("secretRef") {
            if secret.get("standIn").is_some() {
                return Ok(Self(Place::Nowhere));
            }
            return Ok(Self(Place::Secret(Box::new(SecretKey::open(secret, cluster).await?))));
        }
        let path = place.get("file").and_then(Value::as_str).unwrap_or_default();
        Own::open(PathBuf::from(path)).map(|file| Self(Place::File(file)))
    }

    /// Writes the value; it is kept when this returns.
    pub async fn write(self, text: &str) -> Result<(), String> {
        match self.0 {
            Place::File(file) => file.write(text),
            Place::Secret(secret) => secret.write(text).await,
            Place::Nowhere => Ok(()),
        }
    }
}

/// A file that is its owner's alone.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    /// The file under its passing name; gone once it has its own.
    passing: PathBuf,
    file: File,
}

impl Own {
    fn open(path: PathBuf) -> Result<Self, String> {
        let shown = path.display();
        taken(&path)?;
        let wrong = |error: io::Error| format!("`{shown}` cannot be written: {error}");
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(wrong)?;
        }
        let name = path.file_name().ok_or_else(|| format!("`{shown}` is no name of a file"))?;
        let passing = folder.join(format!(".{}.{:016x}", name.to_string_lossy(), fastrand::u64(..)));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&passing).map_err(wrong)?;
        Ok(Self { path, passing, file })
    }

    /// Writes the value; it is on the disk when this returns.
    fn write(mut self, text: &str) -> Result<(), String> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let named = written.and_then(|()| fs::rename(&self.passing, &self.path)).and_then(|()| {
            #[cfg(unix)]
            if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        });
        named.map_err(|error| format!("`{}` cannot be written: {error}", self.path.display()))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nothing is there any more where the file got its name.
        let _ = fs::remove_file(&self.passing);
    }
}

/// Refuses to write over what plumb did not write: what it wrote is a file that is its owner's alone.
fn taken(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("`{shown}` cannot be written: {error}")),
        Ok(there) if !there.is_file() => Err(format!("`{shown}` is there, and is no plain file")),
        Ok(there) if there.len() > 0 && !is_private(&there) => Err(format!(
            "`{shown}` is there already and others may read it: plumb did not write it, and leaves it alone"
        )),
        Ok(_) => Ok(()),
    }
}

#[cfg(unix)]
fn is_private(there: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&there.permissions()) & 0o777 == 0o600
}

#[cfg(not(unix))]
fn is_private(_: &fs::Metadata) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use serde_json::json;

    use super::*;

    async fn open(path: &Path) -> Result<Sink, String> {
        let place = json!({ "$sink": { "file": path.to_string_lossy() } });
        Sink::open(&place, &Cluster::Nowhere).await
    }

    #[tokio::test]
    async fn a_value_is_written_whole_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/ci.token");
        open(&path).await.unwrap().write("s3cret").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A new value replaces the one that plumb wrote before, and nothing passing stays.
        open(&path).await.unwrap().write("s3cret 2").await.unwrap();
        drop(open(&path).await.unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cret 2");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_somebody_else_wrote_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("profile");
        fs::write(&own, "export PATH").unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open(&own).await.unwrap_err().contains("leaves it alone"));
        let link = folder.path().join("link");
        symlink(&own, &link).unwrap();
        assert!(open(&link).await.unwrap_err().contains("no plain file"));
        assert!(open(folder.path()).await.unwrap_err().contains("no plain file"));
        assert_eq!(fs::read_to_string(&own).unwrap(), "export PATH");
    }
}
