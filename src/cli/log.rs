//! The log on standard error: plumb's own events, as much of them as `-v` and `-q` ask for, secrets masked.

use tracing_subscriber::{EnvFilter, fmt};

use super::args::{Global, LogFormat};
use crate::secret::Masked;

/// Starts the log of this process; does nothing where one is started already.
///
/// Other libraries are heard from warnings up only, since an HTTP library's details may hold a credential.
pub(super) fn start(global: &Global, color: bool) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let others = if global.quiet { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{others},plumb={level}"));
    let builder = fmt().with_env_filter(filter).with_writer(|| Masked(std::io::stderr())).with_ansi(color);
    let started = match global.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "the log is started already");
    }
}
