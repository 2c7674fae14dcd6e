//! `plumb sandbox`: simulated APIs on loopback, until interrupted.

use std::{fs, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueHint};

use super::{
    args::Global,
    catalog::{catalog, listed},
    console::Console,
    exit::Exit,
};
use crate::{
    description::{Catalog, format::AuthScheme},
    diagnostic::nearest,
    failure::Failure,
    sandbox::{DEFAULT_PORT, Faults, Sandbox, SandboxOptions, parse_seed},
};

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

    /// What goes wrong: KIND[@METHOD[:PATH]]=N%|Nx, where KIND is a status (`429/2s` with a `Retry-After`), `reset`, `lost`, `truncate` or `slow`
    #[arg(long, value_name = "FAULTS", env = "PLUMB_FAULTS")]
    pub faults: Option<Faults>,

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

/// Serves until interrupted.
pub(super) async fn run(global: &Global, args: &SandboxArgs, console: &mut Console) -> Result<Exit, Failure> {
    let catalog = chosen(catalog(global, console)?, &args.api)?;
    let port = args.port.unwrap_or(DEFAULT_PORT);
    let options = SandboxOptions {
        latency: Duration::from_millis(args.latency),
        rate: args.rate.map(|rate| (rate.requests, Duration::from_secs(u64::from(rate.seconds)))),
        faults: args.faults.clone().unwrap_or_default(),
        seed: args.seed.as_ref().map(seed).transpose()?,
        port,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(&catalog, options).await.map_err(|error| {
        let failure = Failure::config(format!("The sandbox cannot be started on port {port}: {error}."));
        if error.kind() == std::io::ErrorKind::AddrInUse {
            failure.hint("`--port 0` takes a free one.")
        } else {
            failure
        }
    })?;
    announce(&sandbox, &catalog, console);
    console.interrupt().raised(1).await;
    sandbox.stop().await;
    Ok(Exit::Done)
}

/// The APIs that are served.
fn chosen(catalog: Catalog, names: &[String]) -> Result<Catalog, Failure> {
    if names.is_empty() {
        return Ok(catalog);
    }
    let mut out = Catalog::default();
    for name in names {
        let Some(api) = catalog.api(name) else {
            let failure = Failure::user(format!("There is no API `{name}`."));
            let known = || catalog.apis.keys().map(String::as_str);
            return Err(match nearest(name, known()) {
                Some(near) => failure.hint(format!("Did you mean `{near}`?")),
                None => failure.hint(format!("There are {}.", listed(known()))),
            });
        };
        out.insert(api.clone());
    }
    Ok(out)
}

fn seed(path: &PathBuf) -> Result<serde_json::Value, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::user(format!("The seed `{}` cannot be read: {error}.", path.display())))?;
    parse_seed(&text).map_err(|error| Failure::user(format!("`{}`: {error}.", path.display())))
}

/// Says where the APIs are: the URLs as results, how to use them as talk.
pub(super) fn announce(sandbox: &Sandbox, catalog: &Catalog, console: &mut Console) {
    for name in catalog.apis.keys() {
        console.print_line(format_args!("{name} {}", sandbox.url(name)));
    }
    if let Some((name, api)) = catalog.apis.first() {
        let auth = match api.spec.auth.first() {
            Some(AuthScheme::ApiKey(_)) => "apiKey",
            _ => "bearer",
        };
        console.say(format_args!(
            "\nEvery API takes the key `{}`. In a manifest:\n\n  apiVersion: plumb.dev/v1alpha1\n  kind: Connection\n  \
             metadata: {{name: {name}}}\n  spec:\n    api: {name}\n    url: {}\n    auth: {{{auth}: {{valueFrom: {{env: \
             SANDBOX_KEY}}}}}}\n\nCtrl-C ends it.",
            Sandbox::token(),
            sandbox.url(name),
        ));
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
