//! Files with secrets → texts, read whole and overwritten when they are dropped.

use std::{io, path::Path};

use zeroize::Zeroizing;

use crate::{
    diagnostic::{Diagnostic, Sources},
    source,
};

/// Bytes that a file with a secret may have at most.
const MAX_SECRET: u64 = 1024 * 1024;

/// The text of a file, which is of a modest size.
pub(super) fn read_text(sources: &Sources, path: &Path) -> Result<Zeroizing<String>, Diagnostic> {
    let shown = path.display();
    let read = source::read_file(sources, path, MAX_SECRET).map(Zeroizing::new);
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
