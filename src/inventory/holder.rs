//! Who holds the writer lock: written beside it, so that a refusal can name them.

use std::{env, fmt, fs, process};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The holder of a writer lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Holder {
    /// What it does, such as `plumb apply`.
    pub who: String,
    /// User it runs as.
    pub user: String,
    /// Machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Since when, RFC 3339.
    pub since: String,
    /// When the lock is free unless it is renewed, RFC 3339; `None` for a lock of the operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl Holder {
    /// This process, from now on.
    pub fn here(who: &str) -> Self {
        let variable =
            |names: &[&str]| names.iter().find_map(|name| env::var(name).ok().filter(|text| !text.is_empty()));
        let host = fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .or_else(|| variable(&["HOSTNAME", "COMPUTERNAME"]));
        Self {
            who: who.to_owned(),
            user: variable(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "unknown".into()),
            host: host.unwrap_or_else(|| "unknown".into()),
            pid: process::id(),
            since: Timestamp::now().to_string(),
            expires: None,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` of user `{}` on `{}` (process {}) since {}",
            self.who, self.user, self.host, self.pid, self.since
        )
    }
}
