//! The arguments that verbs share: global flags, what limits a plan, and how outputs are named.
//!
//! Every flag has a variable `PLUMB_…` of its long name, but for those that lift a safety; a test holds us to it. A
//! flag that may be repeated takes a comma-separated list from its variable.

use clap::{ArgAction, Args, ValueEnum, ValueHint, builder::FalseyValueParser};

use super::selector::Selector;
use crate::{failure::Failure, manifest::MaxDeletes};

/// Flags of every verb.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]
    #[arg(short = 'f', long = "file", global = true, value_name = "PATH", env = "PLUMB_FILE", value_hint = ValueHint::AnyPath)]
    pub file: Vec<String>,

    /// How to print the result; the verb's help lists its formats
    #[arg(short = 'o', long = "output", global = true, value_name = "FORMAT", env = "PLUMB_OUTPUT")]
    pub output: Option<String>,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", env = "PLUMB_COLOR", default_value = "auto")]
    pub color: ColorWhen,

    /// How to write the log on standard error
    #[arg(long, global = true, value_name = "FORMAT", env = "PLUMB_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Say more on standard error: -v for steps, -vv for calls, -vvv for everything
    #[arg(short, long, global = true, action = ArgAction::Count, env = "PLUMB_VERBOSE")]
    pub verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, env = "PLUMB_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,

    /// Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]
    #[arg(long, global = true, value_name = "URL", env = "PLUMB_INVENTORY", value_hint = ValueHint::Url)]
    pub inventory: Option<String>,

    /// Override a connection's base URL, whose host is then allowed; may be repeated
    #[arg(long, global = true, value_name = "NAME=URL", env = "PLUMB_CONNECTION")]
    pub connection: Vec<String>,

    /// Allow credentials to go to a further host; may be repeated
    #[arg(long, global = true, value_name = "HOST", value_hint = ValueHint::Hostname)]
    pub allow_host: Vec<String>,

    /// Run against simulated APIs in this process
    #[arg(long, global = true, env = "PLUMB_SANDBOX", value_parser = FalseyValueParser::new())]
    pub sandbox: bool,

    /// Accept sensitive values that are written in manifests as `{value: …}`
    #[arg(long, global = true)]
    pub allow_plaintext_secrets: bool,

    /// Run the commands that sensitive values name as `{valueFrom: {exec: …}}`
    #[arg(long, global = true)]
    pub allow_exec: bool,
}

impl Global {
    /// Where manifests are read from.
    pub fn inputs(&self) -> Vec<String> {
        if self.file.is_empty() { vec![".".to_owned()] } else { self.file.clone() }
    }

    /// Whether one of the inputs is standard input.
    pub fn reads_input(&self) -> bool {
        self.file.iter().any(|file| file == "-")
    }

    /// The base URLs that replace those of connections, by name.
    pub fn connections(&self) -> Result<Vec<(String, String)>, Failure> {
        self.connection.iter().map(|text| connection(text)).collect()
    }
}

/// Reads `NAME=URL`.
fn connection(text: &str) -> Result<(String, String), Failure> {
    let bad = |why: &str| {
        Failure::user(format!("`--connection {text}` {why}."))
            .hint("Write `--connection NAME=URL`, such as `--connection happyfrog=http://127.0.0.1:8080`.")
    };
    let (name, url) = text.split_once('=').ok_or_else(|| bad("has no `=` between a connection's name and its URL"))?;
    if name.is_empty() {
        return Err(bad("names no connection"));
    }
    let parsed = url::Url::parse(url).map_err(|error| bad(&format!("has no valid URL ({error})")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
        return Err(bad("has a URL that is neither `http://…` nor `https://…`"));
    }
    Ok((name.to_owned(), url.to_owned()))
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// What a plan is limited to.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Plan only this object and what it depends on; may be repeated
    #[arg(long, value_name = "ADDRESS", env = "PLUMB_TARGET")]
    pub target: Vec<String>,

    /// Leave this object and what depends on it out; may be repeated
    #[arg(long, value_name = "ADDRESS", env = "PLUMB_EXCLUDE")]
    pub exclude: Vec<String>,

    /// Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`
    #[arg(short = 'l', long, value_name = "SELECTOR", env = "PLUMB_SELECTOR")]
    pub selector: Option<Selector>,
}

impl Selection {
    /// Checks that targets and exclusions are addresses.
    pub fn check(&self) -> Result<(), Failure> {
        for (flag, addresses) in [("--target", &self.target), ("--exclude", &self.exclude)] {
            for text in addresses {
                address(flag, text)?;
            }
        }
        Ok(())
    }
}

/// Reads an address that a flag or an argument gives.
pub(super) fn address(flag: &str, text: &str) -> Result<crate::address::Address, Failure> {
    text.parse().map_err(|error: crate::address::BadAddress| {
        Failure::user(format!("{flag}: {error}."))
            .hint("`plumb plan` prints addresses, such as `itglue/Organization/happy-frog`.")
    })
}

/// What a plan may do to objects that no manifest declares, and to the rest after an error.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Limits {
    /// Delete what the stack owns and no manifest declares
    #[arg(long)]
    pub prune: bool,

    #[command(flatten)]
    pub deletes: DeleteLimit,

    /// Make this run's paths the stack's, in place of those that it was applied from before
    #[arg(long)]
    pub adopt_roots: bool,

    /// Take the accounts that connections lead to now for the stack's, in place of those that it was applied to before
    #[arg(long)]
    pub adopt_accounts: bool,

    /// Go on with the objects that an error does not concern
    #[arg(long, env = "PLUMB_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub keep_going: bool,
}

/// How much may be deleted.
#[derive(Debug, Clone, Default, Args)]
pub struct DeleteLimit {
    /// Allow this many deletions, or this share of each kind, instead of 10 and 30 %
    #[arg(long, value_name = "N|N%")]
    pub max_deletes: Option<MaxDeletes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_a_name_and_a_url() {
        let url = "http://127.0.0.1:1/a?b=c,d";
        assert_eq!(connection(&format!("a={url}")).unwrap(), ("a".into(), url.into()));
        for bad in ["", "a", "=http://a.example", "a=", "a=b", "a=ftp://a.example", "a=http://"] {
            assert!(connection(bad).is_err(), "{bad}");
        }
    }
}
