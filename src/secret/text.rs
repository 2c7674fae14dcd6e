//! Files with secrets → texts, read whole and overwritten when they are dropped.

use std::{fs, io, path::Path};

use zeroize::Zeroizing;

use crate::diagnostic::Diagnostic;

/// Bytes that a file with a secret may have at most.
const MAX_SECRET: u64 = 1024 * 1024;

/// The text of a file, which is of a modest size.
pub(super) fn read_text(path: &Path) -> Result<Zeroizing<String>, Diagnostic> {
    let shown = path.display();
    let read = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_SECRET {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        fs::read(path).map(Zeroizing::new)
    });
    let bytes = read.map_err(|error| {
        Diagnostic::error("PL0309", format!("The file `{shown}` cannot be read ({})", reason(&error)))
            .hint("The path starts from the folder of the manifest.")
    })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Diagnostic::error("PL0309", format!("The file `{shown}` is not UTF-8 text")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Why a file cannot be had, in words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        _ => error.to_string(),
    }
}
