//! `plumb sandbox`: simulated APIs on loopback, until interrupted.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Serve simulated APIs on loopback
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  plumb sandbox                                 every described API, until Ctrl-C
  plumb sandbox --api itglue --port 8080
  plumb sandbox --latency 200 --rate 10/1       200 ms an answer, 10 requests a second
  plumb sandbox --faults 503=0.1 --seed live.yaml")]
pub struct SandboxArgs {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", env = "PLUMB_PORT", default_value_t = 8377)]
    pub port: u16,

    /// Milliseconds that every answer takes
    #[arg(long, value_name = "MS", env = "PLUMB_LATENCY", default_value_t = 0)]
    pub latency: u64,

    /// Requests allowed in a window of seconds, beyond which the answer is 429
    #[arg(long, value_name = "N[/SECONDS]", env = "PLUMB_RATE")]
    pub rate: Option<String>,

    /// Faults to make
    #[arg(long, value_name = "FAULTS", env = "PLUMB_FAULTS")]
    pub faults: Option<String>,

    /// File of objects that are there from the start
    #[arg(long, value_name = "FILE", env = "PLUMB_SEED", value_hint = ValueHint::FilePath)]
    pub seed: Option<PathBuf>,

    /// Serve only this API; may be repeated
    #[arg(long, value_name = "NAME", env = "PLUMB_API")]
    pub api: Vec<String>,
}
