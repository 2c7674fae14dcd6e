//! `plumb operator`: keeps live objects true to custom resources.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueHint, builder::FalseyValueParser};
use zeroize::Zeroizing;

use super::{args::Global, console::Console, exit::Exit};
use crate::{
    failure::Failure,
    manifest::span,
    operator::{self, Settings},
};

/// Keep live objects true to custom resources of a Kubernetes cluster
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  plumb operator --namespace team-a                 the resources of one namespace
  plumb operator --lease plumb-system/plumb         one of several replicas
  plumb operator --allow-secret 'plumb-*'           only Secrets whose names begin so

It finds the cluster as kubectl does: by `KUBECONFIG`, or by the service account of its Pod.")]
pub struct OperatorArgs {
    /// Namespace to look at; may be repeated [default: all]
    #[arg(long, value_name = "NAME", env = "PLUMB_NAMESPACE")]
    pub namespace: Vec<String>,

    /// How often each connection's objects are looked at, where the connection has no `interval`
    #[arg(long, value_name = "SPAN", env = "PLUMB_INTERVAL", default_value = "10m", value_parser = parse_span)]
    pub interval: Duration,

    /// For how long nothing has to change before changes are planned
    #[arg(long, value_name = "SPAN", env = "PLUMB_DEBOUNCE", default_value = "1s", value_parser = parse_span)]
    pub debounce: Duration,

    /// How long a deletion waits for a credential or for what the live object contains, before it leaves the object
    #[arg(long, value_name = "SPAN", env = "PLUMB_RELEASE_AFTER", default_value = "1m", value_parser = parse_span)]
    pub release_after: Duration,

    /// Delete entries of lists inside that are not declared any more
    #[arg(long)]
    pub prune_entries: bool,

    /// Secret that resources may refer to, `*` at its end for anything; may be repeated [default: all of their namespace]
    #[arg(long, value_name = "NAME")]
    pub allow_secret: Vec<String>,

    /// Environment variable that resources may refer to, `*` at its end for anything; may be repeated
    #[arg(long, value_name = "NAME")]
    pub allow_env: Vec<String>,

    /// Folder whose files resources may refer to; may be repeated
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub allow_folder: Vec<PathBuf>,

    /// Lease by which one of several replicas is chosen
    #[arg(long, value_name = "NAMESPACE/NAME", env = "PLUMB_LEASE")]
    pub lease: Option<String>,

    /// What this replica is called [default: the host's name]
    #[arg(long, value_name = "NAME", env = "PLUMB_IDENTITY")]
    pub identity: Option<String>,

    /// File with age keys that open `valueFrom.sops`; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub allow_age_key: Vec<PathBuf>,

    /// Folder in which the repositories of stacks are kept; nothing is lost with it [default: in the system's folder for
    /// what passes]
    #[arg(long, value_name = "DIR", env = "PLUMB_GIT_CACHE", value_hint = ValueHint::DirPath)]
    pub git_cache: Option<PathBuf>,

    /// Forge whose webhooks are taken at `/webhooks/FORGE`, and the file with the secret that it signs with; may be repeated
    #[arg(
        long,
        value_name = "FORGE=FILE",
        requires = "listen",
        value_parser = parse_webhook,
        env = "PLUMB_WEBHOOK",
        value_delimiter = ','
    )]
    pub webhook: Vec<(String, PathBuf)>,

    /// Where probes, metrics and the status page are served; the page needs `PLUMB_STATUS_TOKEN` but on loopback
    #[arg(long, value_name = "ADDRESS", env = "PLUMB_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Choose no leader although there is a lease
    #[arg(long, env = "PLUMB_NO_ELECTION", value_parser = FalseyValueParser::new())]
    pub no_election: bool,
}

fn parse_span(text: &str) -> Result<Duration, String> {
    span(text)
        .filter(|span| !span.is_zero())
        .ok_or_else(|| format!("`{text}` is no span of time such as `30s`, `10m` or `1h30m`"))
}

fn parse_webhook(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once('=').filter(|(forge, file)| !forge.is_empty() && !file.is_empty());
    parts
        .map(|(forge, file)| (forge.to_owned(), PathBuf::from(file)))
        .ok_or_else(|| format!("`{text}` is no forge and file such as `github=/etc/plumb/webhooks/github`"))
}

/// Runs the operator.
pub(super) async fn run(global: &Global, args: &OperatorArgs, console: &Console) -> Result<Exit, Failure> {
    let Some(inventory) = global.inventory.clone() else {
        return Err(Failure::user("The operator needs `--inventory`, the place of its record.").hint(
            "`{namespace}` in it stands for the namespace of the resources, such as `/var/lib/plumb/{namespace}.db`.",
        ));
    };
    let lease = match args.lease.as_deref().filter(|_| !args.no_election) {
        None => None,
        Some(text) => {
            let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
            let (namespace, name) = parts.ok_or_else(|| {
                Failure::user(format!("`--lease {text}` is not a namespace and a name."))
                    .hint("Write `--lease plumb-system/plumb`.")
            })?;
            Some((namespace.to_owned(), name.to_owned()))
        }
    };
    let key = std::env::var("PLUMB_INVENTORY_KEY").ok().filter(|key| !key.trim().is_empty());
    let token = std::env::var("PLUMB_STATUS_TOKEN").ok().filter(|token| !token.trim().is_empty());
    let settings = Settings {
        namespaces: args.namespace.clone(),
        inventory,
        key: key.map(|key| Arc::new(Zeroizing::new(key))),
        allow_hosts: global.allow_host.clone(),
        connections: global.connections()?,
        variables: args.allow_env.clone(),
        folders: args.allow_folder.clone(),
        secrets: if args.allow_secret.is_empty() { vec!["*".to_owned()] } else { args.allow_secret.clone() },
        interval: args.interval,
        debounce: args.debounce,
        release_after: args.release_after,
        prune_entries: args.prune_entries,
        listen: args.listen,
        token: token.map(|token| token.trim().to_owned().into()),
        cache: args.git_cache.clone().unwrap_or_else(|| std::env::temp_dir().join("plumb-git")),
        age_keys: args.allow_age_key.clone(),
        webhooks: args.webhook.clone(),
        lease,
        identity: args.identity.clone().unwrap_or_else(host),
    };
    operator::run(settings, console.interrupt().flag()).await?;
    Ok(Exit::Done)
}

/// A name for this process that no other has.
fn host() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "plumb".to_owned());
    format!("{host}-{:08x}", fastrand::u32(..))
}
