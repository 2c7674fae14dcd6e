//! A file to upload → its name, size and hash, by which it is compared.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::vault::hex;
use crate::diagnostic::Sources;

/// Bytes that a file of a commit may have, which is read into memory.
const MAX_OF_COMMIT: u64 = 256 * 1024 * 1024;

/// Describes a file in canonical form.
pub(super) fn describe(sources: &Sources, path: &Path) -> io::Result<Value> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut size = 0_u64;
    let mut take = |bytes: &[u8]| {
        hash.update(bytes);
        size += bytes.len() as u64;
    };
    if let Some(tree) = sources.tree(path) {
        take(&tree.read(path, MAX_OF_COMMIT)?);
    } else {
        let mut file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            take(bytes);
        }
    }
    let sha256 = hex(hash.finish().as_ref());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(json!({ "$file": { "path": path.to_string_lossy(), "name": name, "size": size, "sha256": sha256 } }))
}
