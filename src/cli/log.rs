//! The log on standard error: plumb's own events, as much of them as `-v` and `-q` ask for, secrets masked.

use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{
    args::{Global, LogFormat},
    trace,
};
use crate::secret::Masked;

/// Starts the log of this process; does nothing where one is started already.
///
/// What serves says what it does, since nobody sits before it. Other libraries are heard from warnings up only, since an HTTP library's details may hold a credential.
pub(super) fn start(global: &Global, serves: bool, color: bool) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) if !serves => "warn",
        (false, 0 | 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let others = if global.quiet { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{others},plumb={level}"));
    let lines = fmt::layer().with_writer(|| Masked(std::io::stderr())).with_ansi(color);
    let lines = match global.log_format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let started = tracing_subscriber::registry().with(trace::layer()).with(lines.with_filter(filter)).try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "the log is started already");
    }
}
