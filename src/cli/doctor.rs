//! `plumb doctor`: whether each connection is reachable, its key valid, the clock right, and what quota is left.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    args::Global,
    console::Console,
    exit::Exit,
    options,
    output::{Output, TextOrJson},
    show,
};
use crate::{
    diagnostic::Diagnostic,
    failure::Failure,
    pipeline::{self, Health},
};

/// Check each connection: reachable, key valid, clock, quota left
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb doctor -f stack/
  plumb doctor -o json

Exit codes: 0 all is well, 1 something is not.")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,
}

/// Seconds that clocks may be apart before tokens and time stamps suffer.
const SKEW: f64 = 30.0;
/// How what is well is marked.
const GOOD: Style = AnsiColor::Green.on_default().bold();
/// How what is not is marked.
const BAD: Style = AnsiColor::Red.on_default().bold();
/// How what may go wrong is marked.
const WARN: Style = AnsiColor::Yellow.on_default().bold();

/// Looks at every connection.
pub(super) async fn run(global: &Global, args: &DoctorArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::base(global, console)?;
    let checkup = console.interrupt().or(Box::pin(pipeline::checkup(&options))).await?;
    show::diagnostics(&checkup.diagnostics, &checkup.sources, console);
    match args.output.format {
        TextOrJson::Json => {
            let list: Vec<_> = checkup.connections.iter().map(value).collect();
            console.print_json(&json!({ "connections": list }))?;
        }
        TextOrJson::Text => {
            if checkup.connections.is_empty() {
                console.say("There is no connection among the manifests.");
            }
            for health in &checkup.connections {
                console.print(text(health));
            }
        }
    }
    let errors = checkup.diagnostics.iter().any(Diagnostic::is_error);
    let well = !errors && checkup.connections.iter().all(Health::is_well);
    Ok(if well { Exit::Done } else { Exit::Error })
}

fn value(health: &Health) -> Value {
    json!({
        "connection": health.connection,
        "api": health.api,
        "url": health.url,
        "version": health.version,
        "ok": health.is_well(),
        "reachable": health.reachable,
        "error": health.error,
        "identity": health.identity,
        "clockSkewSeconds": health.skew,
        "quota": {"limit": health.limit, "remaining": health.remaining, "reset": health.reset.and_then(time)},
    })
}

fn time(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn text(health: &Health) -> String {
    let mut lines = vec![format!("{} ({})", health.connection, health.api)];
    let mut line = |style: Style, mark: &str, text: String| lines.push(format!("  {style}{mark:<5}{style:#} {text}"));
    let Some(url) = &health.url else {
        line(BAD, "fail", "cannot be used: see the errors".to_owned());
        return lines.join("\n") + "\n";
    };
    match (&health.error, health.reachable) {
        (None, _) => line(GOOD, "ok", format!("reachable at {url}")),
        (Some(_), true) => line(WARN, "ok", format!("answers at {url}, but not as it should")),
        (Some(_), false) => line(BAD, "fail", format!("no answer from {url}")),
    }
    match (&health.error, &health.identity) {
        (Some(error), _) => line(BAD, "fail", error.clone()),
        (None, Some(identity)) => line(GOOD, "ok", format!("the key is valid and belongs to {identity}")),
        (None, None) => {
            let tried = health.tried.as_deref().unwrap_or_default();
            line(GOOD, "ok", format!("the key is valid and may read `{tried}`; the API does not say whose it is"));
        }
    }
    if let Some(version) = health.version.as_deref().filter(|version| !version.is_empty()) {
        line(GOOD, "ok", format!("API version {}", version.trim_start_matches('/')));
    }
    if let Some(skew) = health.skew {
        let (style, mark) = if skew.abs() > SKEW { (WARN, "warn") } else { (GOOD, "ok") };
        let apart = if skew.abs() < 1.5 {
            "the clocks agree".to_owned()
        } else {
            let way = if skew > 0.0 { "ahead of" } else { "behind" };
            format!("the server's clock is {:.0} s {way} this machine's", skew.abs())
        };
        line(style, mark, apart);
    }
    if let Some(remaining) = health.remaining {
        let low = health.limit.is_some_and(|limit| remaining * 10 < limit);
        let (style, mark) = if low { (WARN, "warn") } else { (GOOD, "ok") };
        let of = health.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        let until = health.reset.and_then(time).map(|reset| format!(" until {reset}")).unwrap_or_default();
        line(style, mark, format!("{remaining}{of} requests left{until}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_and_what_is_not_is_told_apart() {
        let well = Health {
            connection: "main".into(),
            api: "rest".into(),
            url: Some("https://api.example.com/v1".into()),
            version: Some("/v1".into()),
            reachable: true,
            identity: Some("ops@example.com".into()),
            skew: Some(-42.0),
            limit: Some(600),
            remaining: Some(59),
            ..Health::default()
        };
        assert!(well.is_well());
        let plain = anstream::adapter::strip_str(&text(&well)).to_string();
        insta::assert_snapshot!(plain, @r"
        main (rest)
          ok    reachable at https://api.example.com/v1
          ok    the key is valid and belongs to ops@example.com
          ok    API version v1
          warn  the server's clock is 42 s behind this machine's
          warn  59 of 600 requests left
        ");
        let failed = Health { error: Some("401: no such key".into()), ..well };
        assert!(!failed.is_well());
        assert!(text(&failed).contains("401: no such key"));
        assert!(!text(&failed).contains("the key is valid"));
    }
}
