//! A file to upload → its name, size and hash, by which it is compared.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::vault::hex;

/// Describes a file in canonical form.
pub(super) fn describe(path: &Path) -> io::Result<Value> {
    let mut file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0_u64;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        size += bytes.len() as u64;
    }
    let sha256 = hex(hash.finish().as_ref());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(json!({ "$file": { "path": path.to_string_lossy(), "name": name, "size": size, "sha256": sha256 } }))
}
