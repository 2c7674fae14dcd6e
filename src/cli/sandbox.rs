//! `plumb sandbox`: simulated APIs on loopback, until interrupted.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueHint};

/// Serve simulated APIs on loopback
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb sandbox                                 every described API, until Ctrl-C
  plumb sandbox --api itglue --port 8080
  plumb sandbox --latency 200 --rate 10/1       200 ms an answer, 10 requests a second
  plumb sandbox --faults 503=5%,lost@POST=1x    5 % of the answers, and the first answer to a POST
  plumb sandbox --seed live.yaml                objects as manifests write them, by API and kind

The key that every API takes is `sandbox`.")]
pub struct SandboxArgs {
    /// Port on 127.0.0.1; 0 takes a free one [default: 8700]
    #[arg(long, value_name = "PORT", env = "PLUMB_PORT")]
    pub port: Option<u16>,

    /// Milliseconds that every answer takes
    #[arg(long, value_name = "MS", env = "PLUMB_LATENCY", default_value_t = 0)]
    pub latency: u64,

    /// Requests allowed in a number of seconds (one unless given); more are answered with 429
    #[arg(long, value_name = "N[/SECONDS]", env = "PLUMB_RATE")]
    pub rate: Option<Rate>,

    /// What goes wrong: KIND[@METHOD[:PATH]]=N%|Nx, where KIND is a status, `reset`, `lost`, `truncate` or `slow`
    #[arg(long, value_name = "FAULTS", env = "PLUMB_FAULTS")]
    pub faults: Option<String>,

    /// File of objects that are there from the start
    #[arg(long, value_name = "FILE", env = "PLUMB_SEED", value_hint = ValueHint::FilePath)]
    pub seed: Option<PathBuf>,

    /// Serve only this API; may be repeated
    #[arg(long, value_name = "NAME", env = "PLUMB_API")]
    pub api: Vec<String>,
}

/// Requests allowed in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: u32,
    /// In how many seconds.
    pub seconds: u32,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (requests, seconds) = text.split_once('/').unwrap_or((text, "1"));
        let number = |part: &str| part.trim().parse().ok().filter(|number| *number > 0);
        match (number(requests), number(seconds)) {
            (Some(requests), Some(seconds)) => Ok(Self { requests, seconds }),
            _ => Err("expected a number of requests, and of seconds after a `/`, such as `10/1`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_requests_by_seconds() {
        assert_eq!("10".parse(), Ok(Rate { requests: 10, seconds: 1 }));
        assert_eq!("3000/300".parse(), Ok(Rate { requests: 3000, seconds: 300 }));
        for bad in ["", "0", "5/0", "5/", "x/1", "1/2/3", "-1"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
