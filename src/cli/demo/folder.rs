//! The folder of the guided tour: manifests and the secrets that they name, gone when the tour ends.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// The manifests that the tour is about.
pub(super) const OBJECTS: &str = include_str!("objects.yaml");

/// A folder that is deleted with this value.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, with a connection to each simulated API.
    pub(super) fn new(documentation: &str, fleets: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("plumb-demo-{}", std::process::id()));
        create(&path).map_err(|error| cannot("made", &path, &error))?;
        let folder = Self { path };
        let connection = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: happyfrog}}\nspec:\n  api: itglue\n  \
             url: {documentation}\n  auth:\n    apiKey: {{valueFrom: {{file: key.txt}}}}\n---\n\
             apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: fleets}}\nspec:\n  api: balena\n  \
             url: {fleets}\n  auth:\n    bearer: {{valueFrom: {{file: token.txt}}}}\n"
        );
        folder.write("connections.yaml", &connection)?;
        folder.write("objects.yaml", OBJECTS)?;
        folder.write("key.txt", "demo-key-of-the-sandbox")?;
        folder.write("token.txt", "demo-token-of-the-sandbox")?;
        folder.write("admin-password.txt", "correct-horse-battery-staple")?;
        Ok(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one of its files.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(|error| cannot("written", &path, &error))
    }
}

/// Makes a folder that nobody else made and nobody else can look into.
fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_dir_all(path)?;
            builder.create(path)
        }
        other => other,
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::config(format!("`{}` cannot be {what}: {error}.", path.display()))
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(%error, "the folder of the demo stays");
        }
    }
}
