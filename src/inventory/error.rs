//! What can go wrong with an inventory, and what a user is told about it.

use crate::{diagnostic::Diagnostic, inventory::Holder};

/// Why an inventory could not be read, locked or written. Texts hold no credentials: answers of a store are cut down to
/// their code and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// Somebody else is writing.
    #[error("the inventory `{location}` is locked by {holder}")]
    Locked {
        /// Where the inventory is.
        location: String,
        /// Who has it.
        holder: Box<Holder>,
        /// Whether the lock is the operating system's, which nobody else can lift.
        local: bool,
    },
    /// Somebody else took the writer lock of this process.
    #[error("the lock of the inventory `{location}` was lost{}", .holder.as_ref().map(|h| format!(" to {h}")).unwrap_or_default())]
    Lost {
        /// Where the inventory is.
        location: String,
        /// Who has it now, if that is known.
        holder: Option<Box<Holder>>,
    },
    /// A commit without the writer lock.
    #[error("the inventory `{0}` is not locked for writing")]
    NotLocked(String),
    /// It was written by a newer plumb.
    #[error("the inventory `{location}` has schema version {found}, and this plumb knows versions up to {known}")]
    TooNew {
        /// Where the inventory is.
        location: String,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Something in it is not what plumb writes.
    #[error("the inventory `{location}` is damaged: {message}")]
    Damaged {
        /// Where the inventory is.
        location: String,
        /// What is wrong.
        message: String,
    },
    /// It cannot be read.
    #[error("the inventory `{location}` cannot be read: {message}")]
    Read {
        /// Where the inventory is.
        location: String,
        /// Why.
        message: String,
    },
    /// It cannot be written.
    #[error("the inventory `{location}` cannot be written: {message}")]
    Write {
        /// Where the inventory is.
        location: String,
        /// Why.
        message: String,
    },
    /// The object store does not refuse a write whose condition does not hold, so that two writers could not be kept apart.
    #[error("the object store of the inventory `{0}` ignores the conditions of a write (`If-Match`, `If-None-Match`)")]
    Unconditional(String),
    /// The file that holds the key of the hashes is not usable.
    #[error("the key file `{path}` cannot be used: {message}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
}

impl InventoryError {
    /// The same as something to tell the user.
    /// Whether somebody else is at work on the same stack.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }

    /// What to tell of it.
    pub fn diagnostic(&self) -> Diagnostic {
        let message = format!("{}.", capitalised(&self.to_string()));
        match self {
            Self::Locked { local: true, holder, .. } => Diagnostic::error("PL0803", message).hint(format!(
                "wait until it has finished, or end process {} on `{}`: the lock is free when its holder ends",
                holder.pid, holder.host
            )),
            Self::Locked { local: false, holder, .. } => Diagnostic::error("PL0803", message)
                .hint(match &holder.expires {
                    Some(expires) => {
                        format!("wait until it has finished; if it died, the lock is free after {expires}")
                    }
                    None => "wait until it has finished".to_owned(),
                })
                .hint("`plumb inventory unlock` lifts the lock at once; make sure that its holder is gone"),
            Self::Lost { .. } => Diagnostic::error("PL0807", message)
                .hint("nothing more was written; run again: what was begun is looked up first"),
            Self::TooNew { .. } => {
                Diagnostic::error("PL0804", message).hint("use the plumb that wrote it last, or a newer one")
            }
            Self::Damaged { .. } => Diagnostic::error("PL0809", message)
                .hint("restore it from a backup, or move it away and run `plumb inventory rebuild`"),
            Self::Read { .. } => Diagnostic::error("PL0805", message),
            Self::NotLocked(_) | Self::Write { .. } => Diagnostic::error("PL0806", message),
            Self::Unconditional(_) => Diagnostic::error("PL0808", message)
                .hint("use a store that honours conditional writes, as Amazon S3, Cloudflare R2 and current MinIO do"),
            Self::Key { .. } => Diagnostic::error("PL0810", message),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
