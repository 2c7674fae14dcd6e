//! Checked values → settings: what refers to what, what a URL or a time zone means, and where secrets come from.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    Config, ConnectionConfig, Endpoint, ForgeConfig, ForgeKind, GitSource, Mode, NotifyConfig, Source, StackConfig,
    WebhookConfig, Window, secret, window,
};
use crate::{
    diagnostic::{Diagnostic, Sources, nearest},
    inventory::Location as Inventory,
    manifest::{DocumentRef, MaxDeletes, locate},
    secret::{AgeKeys, Cluster, ResolvePolicy},
    source::git::{Access, AllowedSigners, KnownHosts, Location, Login, Scheme, SshKey},
};

/// Turns checked values into settings.
pub(super) struct Reader<'r> {
    sources: &'r Sources,
    document: Option<DocumentRef>,
    folder: &'r Path,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What manifests may reach for, as it is written: it concerns every stack.
    reach: Value,
    /// What there is to refer to, whether or not it can be used: `forges`, `notifications` and `credentials`.
    names: [Vec<String>; 3],
}

const FORGES: usize = 0;
const NOTIFICATIONS: usize = 1;
const CREDENTIALS: usize = 2;

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let items = value.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn flag(value: &Value, name: &str) -> Option<bool> {
    value.get(name).and_then(Value::as_bool)
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn trimmed(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// Reads `1h30m`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        total = total.checked_add(match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "d" => Duration::from_secs(number.checked_mul(86_400)?),
            _ => return None,
        })?;
        rest = after;
    }
    (!total.is_zero()).then_some(total)
}

impl<'r> Reader<'r> {
    pub(super) fn new(sources: &'r Sources, document: Option<DocumentRef>, folder: &'r Path) -> Self {
        Self { sources, document, folder, diagnostics: Vec::new(), reach: Value::Null, names: Default::default() }
    }

    fn add(&mut self, diagnostic: Diagnostic, pointer: &str) {
        let place = self.document.and_then(|document| locate(self.sources, document, pointer));
        self.diagnostics.push(diagnostic.at(place));
    }

    fn error(&mut self, code: &'static str, message: String, pointer: &str) {
        self.add(Diagnostic::error(code, message), pointer);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn secret(&mut self, value: &Value, name: &str, pointer: &str) -> Option<SecretString> {
        let found = value.get(name)?;
        match secret::resolve(found, self.folder) {
            Ok(text) => Some(text),
            Err(why) => {
                let path = format!("{pointer}/{name}");
                let shown = path.trim_start_matches("/spec/").replace('/', ".");
                self.add(Diagnostic::error("PL1002", format!("The secret `{shown}` cannot be had: {why}.")), &path);
                None
            }
        }
    }

    /// Reads everything; what makes no sense is left out, and reported.
    pub(super) fn config(&mut self, spec: &Value) -> Config {
        let state = self.path(text(spec, "state").unwrap_or_default());
        let allowed = spec.get("secrets").cloned().unwrap_or_default();
        self.reach = json!([allowed, spec.get("allowHosts")]);
        let policy = ResolvePolicy {
            variables: Some(texts(&allowed, "variables")),
            folders: Some(texts(&allowed, "folders").iter().map(|folder| self.path(folder)).collect()),
            secrets: Some(texts(&allowed, "kubernetesSecrets")),
            cluster: if texts(&allowed, "kubernetesSecrets").is_empty() { Cluster::Nowhere } else { Cluster::Usual },
            age_keys: AgeKeys::Listed {
                files: texts(&allowed, "ageKeys").iter().map(|file| self.path(file)).collect(),
                texts: Vec::new(),
            },
            ..ResolvePolicy::closed()
        };
        let names = |list| items(spec, list).filter_map(|(_, item)| text(item, "name").map(str::to_owned)).collect();
        self.names = ["forges", "notifications", "credentials"].map(names);
        let endpoint = spec.get("endpoint").and_then(|endpoint| self.endpoint(endpoint));
        let mut config = Config {
            change_log: text(spec, "changeLog").map_or_else(|| state.join("changes.jsonl"), |path| self.path(path)),
            state,
            name: text(spec, "name").unwrap_or("plumb").to_owned(),
            workers: spec.get("workers").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(4),
            allow_hosts: texts(spec, "allowHosts"),
            policy,
            endpoint,
            forges: BTreeMap::new(),
            notifications: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            stacks: BTreeMap::new(),
        };
        let mut credentials = BTreeMap::new();
        for (index, item) in items(spec, "credentials") {
            if let Some((name, access)) = self.credential(item, &format!("/spec/credentials/{index}")) {
                credentials.insert(name, access);
            }
        }
        for (index, item) in items(spec, "forges") {
            if let Some((name, forge)) = self.forge(item, &format!("/spec/forges/{index}")) {
                config.forges.insert(name, Arc::new(forge));
            }
        }
        for (index, item) in items(spec, "notifications") {
            if let Some(notify) = self.notify(item, &format!("/spec/notifications/{index}")) {
                config.notifications.insert(notify.name.clone(), Arc::new(notify));
            }
        }
        for (index, item) in items(spec, "webhooks") {
            let pointer = format!("/spec/webhooks/{index}");
            let secret = self.secret(item, "secret", &pointer);
            if let (Some(name), Some(provider), Some(secret)) = (text(item, "name"), text(item, "type"), secret) {
                let webhook = WebhookConfig { provider: provider.to_owned(), secret };
                config.webhooks.insert(name.to_owned(), webhook);
            }
        }
        if spec.get("endpoint").is_none() && !config.webhooks.is_empty() {
            self.error(
                "PL1003",
                "There are `webhooks`, and no `endpoint` that takes them.".to_owned(),
                "/spec/webhooks",
            );
        }
        let defaults = spec.get("defaults").cloned().unwrap_or_default();
        for (index, item) in items(spec, "stacks") {
            let pointer = format!("/spec/stacks/{index}");
            if let Some(stack) = self.stack(item, &defaults, &credentials, &pointer) {
                config.stacks.insert(stack.name.clone(), Arc::new(stack));
            }
        }
        config
    }

    fn address(&mut self, value: &Value, name: &str) -> Option<SocketAddr> {
        let written = text(value, name)?;
        let found = written.to_socket_addrs().ok().and_then(|mut found| found.next());
        if found.is_none() {
            let diagnostic = Diagnostic::error(
                "PL1003",
                format!("`endpoint.{name}` cannot be `{written}`: it is no address and port."),
            );
            self.add(diagnostic.hint("Write one such as `127.0.0.1:8080`."), &format!("/spec/endpoint/{name}"));
        }
        found
    }

    fn endpoint(&mut self, value: &Value) -> Option<Endpoint> {
        let listen = self.address(value, "listen")?;
        let webhooks = self.address(value, "webhooks");
        let token = self.secret(value, "token", "/spec/endpoint");
        let status_page = flag(value, "statusPage");
        if status_page == Some(true) && token.is_none() && value.get("token").is_none() && !listen.ip().is_loopback() {
            let message = "The status page cannot be served to other machines without a `token`.".to_owned();
            let diagnostic =
                Diagnostic::error("PL1003", message).hint("Set `endpoint.token`, or listen on `127.0.0.1`.");
            self.add(diagnostic, "/spec/endpoint/statusPage");
        }
        Some(Endpoint {
            listen,
            token,
            url: text(value, "url").map(trimmed),
            status_page: status_page.unwrap_or(true),
            webhooks,
        })
    }

    fn credential(&mut self, item: &Value, pointer: &str) -> Option<(String, Access)> {
        let name = text(item, "name")?.to_owned();
        let mut secret = |field: &str| self.secret(item, field, pointer);
        let (token, password) = (secret("token"), secret("password"));
        let (key, passphrase) = (secret("sshKey"), secret("passphrase"));
        let username = text(item, "username").map(str::to_owned);
        let login = match (token, password, username) {
            (Some(_), Some(_), _) => {
                self.error("PL1003", format!("The credential `{name}` has both `token` and `password`."), pointer);
                Login::Anonymous
            }
            (Some(password), None, Some(username)) | (None, Some(password), Some(username)) => {
                Login::Basic { username, password }
            }
            (Some(token), None, None) => Login::Token(token),
            (None, Some(_), None) => {
                self.error("PL1003", format!("The credential `{name}` has a `password` and no `username`."), pointer);
                Login::Anonymous
            }
            (None, None, _) => Login::Anonymous,
        };
        let mut access =
            Access { login, passphrase, keys: key.into_iter().map(SshKey::Text).collect(), ..Access::default() };
        if let Some(path) = text(item, "knownHosts") {
            access.known_hosts = KnownHosts::Files(vec![self.path(path)]);
        }
        if let Some(path) = text(item, "caFile") {
            let path = self.path(path);
            match std::fs::read(&path) {
                Ok(bytes) => access.ca = Some(bytes),
                Err(error) => {
                    let message = format!("`{}` cannot be read ({error}).", path.display());
                    self.error("PL1003", message, &format!("{pointer}/caFile"));
                }
            }
        }
        Some((name, access))
    }

    fn forge(&mut self, item: &Value, pointer: &str) -> Option<(String, ForgeConfig)> {
        let name = text(item, "name")?.to_owned();
        let kind = match text(item, "type")? {
            "github" => ForgeKind::Github,
            "gitlab" => ForgeKind::Gitlab,
            "bitbucket" => ForgeKind::Bitbucket,
            _ => ForgeKind::Gitea,
        };
        let usual = match kind {
            ForgeKind::Github => Some("https://api.github.com"),
            ForgeKind::Gitlab => Some("https://gitlab.com/api/v4"),
            ForgeKind::Bitbucket => Some("https://api.bitbucket.org/2.0"),
            ForgeKind::Gitea => None,
        };
        let Some(url) = text(item, "url").or(usual) else {
            let diagnostic = Diagnostic::error("PL1003", format!("The forge `{name}` needs the `url` of its API."));
            self.add(diagnostic.hint("Write one such as `https://git.example/api/v1`."), pointer);
            return None;
        };
        let parsed = url::Url::parse(url).ok();
        let plain = parsed.as_ref().is_some_and(|url| url.scheme() == "http");
        let loopback = parsed.as_ref().and_then(url::Url::host).is_some_and(|host| is_loopback(&host));
        if parsed.is_none() || (plain && !loopback) {
            let why = if plain { "its token would travel unencrypted" } else { "it is no URL" };
            self.error(
                "PL1003",
                format!("The `url` of the forge `{name}` cannot be used: {why}."),
                &format!("{pointer}/url"),
            );
            return None;
        }
        let url = trimmed(url);
        // The version is a part of the API's address, and often left out.
        let url = match kind {
            ForgeKind::Gitea if !url.contains("/api/") => format!("{url}/api/v1"),
            ForgeKind::Gitlab if !url.contains("/api/") => format!("{url}/api/v4"),
            _ => url,
        };
        let token = self.secret(item, "token", pointer)?;
        let username = text(item, "username").map(str::to_owned);
        Some((name, ForgeConfig { kind, url, token, username }))
    }

    fn notify(&mut self, item: &Value, pointer: &str) -> Option<NotifyConfig> {
        let url = self.secret(item, "url", pointer)?;
        Some(NotifyConfig {
            name: text(item, "name")?.to_owned(),
            slack: text(item, "type") == Some("slack"),
            url,
            secret: self.secret(item, "secret", pointer),
            on: texts(item, "events"),
        })
    }

    /// Reads a stack, over the settings of all.
    fn stack(
        &mut self,
        item: &Value,
        defaults: &Value,
        credentials: &BTreeMap<String, Access>,
        pointer: &str,
    ) -> Option<StackConfig> {
        let name = text(item, "name")?.to_owned();
        let mut merged = defaults.as_object().cloned().unwrap_or_default();
        merged.extend(item.as_object().cloned().unwrap_or_default());
        let value = Value::Object(merged);
        let source = item.get("source").and_then(|source| {
            let pointer = format!("{pointer}/source");
            self.source(source, credentials, &name, &pointer)
        });
        let interval = self.interval(&value, "interval", 60, pointer);
        let drift_interval = self.interval(&value, "driftInterval", 1800, pointer);
        let limits = value.get("limits").cloned().unwrap_or_default();
        let max_deletes = match text(&limits, "maxDeletes").map(MaxDeletes::from_str) {
            Some(Err(wrong)) => {
                self.error("PL0122", format!("`limits.maxDeletes`: {wrong}."), &format!("{pointer}/limits"));
                None
            }
            Some(Ok(limit)) => Some(limit),
            None => None,
        };
        let windows = items(&value, "windows").filter_map(|(index, item)| self.window(item, pointer, index)).collect();
        let pulls = value.get("pullRequests").cloned().unwrap_or_default();
        let forge = text(&value, "forge").map(str::to_owned);
        if let Some(forge) = &forge {
            self.known("forge", forge, FORGES, &format!("{pointer}/forge"));
        }
        let notify = value.get("notify").map(|_| texts(&value, "notify"));
        for name in notify.iter().flatten() {
            self.known("notification", name, NOTIFICATIONS, &format!("{pointer}/notify"));
        }
        let inventory = text(&value, "inventory").map(str::to_owned);
        if let Some(Err(diagnostic)) = inventory.as_deref().map(|url| Inventory::parse(Some(url), self.folder)) {
            self.add(diagnostic, &format!("{pointer}/inventory"));
        }
        let source = source?;
        let repository = text(&value, "repository").map(str::to_owned).or_else(|| match &source {
            Source::Git(git) => repository_of(&git.location),
            Source::Folder(_) => None,
        });
        let connections = value.get("connections").and_then(Value::as_object).into_iter().flatten();
        let connections = connections
            .map(|(name, value)| {
                let part = |part: &str| text(value, part).map(str::to_owned);
                (
                    name.clone(),
                    ConnectionConfig {
                        url: part("url").map(|url| trimmed(&url)),
                        plan_connection: part("planConnection"),
                    },
                )
            })
            .collect();
        let mode = match text(&value, "mode") {
            Some("enforce") => Mode::Enforce,
            Some("observe") => Mode::Observe,
            _ => Mode::Plan,
        };
        Some(StackConfig {
            name,
            source,
            mode,
            interval,
            drift_interval,
            prune: flag(&value, "prune").unwrap_or_default(),
            keep_going: flag(&value, "keepGoing").unwrap_or_default(),
            suspend: flag(&value, "suspend").unwrap_or_default(),
            inventory,
            max_deletes,
            windows,
            connections,
            plan_pulls: flag(&pulls, "plan").unwrap_or(forge.is_some()),
            forge,
            repository,
            plan_values: text(&pulls, "planDetail") == Some("values"),
            allow_forks: flag(&pulls, "allowForks").unwrap_or_default(),
            notify,
            text: json!([value, self.reach]).to_string(),
        })
    }

    /// A time between two looks, or `usual` seconds.
    fn interval(&mut self, value: &Value, name: &str, usual: u64, pointer: &str) -> Duration {
        let Some(written) = text(value, name) else { return Duration::from_secs(usual) };
        let Some(found) = duration(written) else {
            let message = format!("`{name}` cannot be `{written}`: it is no length of time.");
            let diagnostic = Diagnostic::error("PL1003", message).hint("Write one such as `30s`, `5m` or `1h30m`.");
            self.add(diagnostic, &format!("{pointer}/{name}"));
            return Duration::from_secs(usual);
        };
        found.max(Duration::from_millis(100))
    }

    /// Complains of a name that there is not in one of the lists.
    fn known(&mut self, what: &str, name: &str, list: usize, pointer: &str) {
        let known = self.names.get(list).map_or(&[][..], Vec::as_slice);
        if known.iter().any(|known| known == name) {
            return;
        }
        let diagnostic = Diagnostic::error("PL1003", format!("There is no {what} `{name}` in this configuration."));
        let diagnostic = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
            None => diagnostic,
        };
        self.add(diagnostic, pointer);
    }

    fn window(&mut self, item: &Value, pointer: &str, index: usize) -> Option<Window> {
        let zone = text(item, "timezone").unwrap_or("UTC");
        let Ok(zone) = TimeZone::get(zone) else {
            let diagnostic = Diagnostic::error("PL1003", format!("There is no time zone `{zone}`."));
            let hint = "Write a name such as `Europe/Berlin`; on a small machine, the package `tzdata` may be missing.";
            self.add(diagnostic.hint(hint), &format!("{pointer}/windows/{index}/timezone"));
            return None;
        };
        Some(Window {
            days: texts(item, "days").iter().filter_map(|day| window::day(day)).collect(),
            from: window::minutes(text(item, "from")?)?,
            to: window::minutes(text(item, "to")?)?,
            zone,
        })
    }

    fn source(
        &mut self,
        value: &Value,
        credentials: &BTreeMap<String, Access>,
        stack: &str,
        pointer: &str,
    ) -> Option<Source> {
        let (url, folder) = match (text(value, "git"), text(value, "folder")) {
            (Some(url), None) => (url, None),
            (None, Some(folder)) => ("", Some(folder)),
            _ => {
                let diagnostic =
                    Diagnostic::error("PL1003", format!("The source of stack `{stack}` is either `git` or `folder`."));
                self.add(diagnostic.hint("Write `source: {git: URL}` or `source: {folder: PATH}`."), pointer);
                return None;
            }
        };
        if let Some(folder) = folder {
            for name in ["paths", "credential", "allowedSigners"].into_iter().filter(|name| value.get(name).is_some()) {
                let message = format!("`{name}` is for sources in Git; this one is a folder.");
                self.error("PL1003", message, &format!("{pointer}/{name}"));
            }
            return Some(Source::Folder(self.path(folder)));
        }
        let mut location = match Location::parse(url) {
            Ok(location) => location,
            Err(error) => {
                // The command line's variables are nothing to an agent.
                let (own, others): (Vec<_>, Vec<_>) = error.hints.iter().partition(|hint| !hint.contains("PLUMB_GIT"));
                let mut diagnostic =
                    own.into_iter().fold(Diagnostic::error("PL1003", error.message.clone()), Diagnostic::hint);
                if !others.is_empty() {
                    diagnostic = diagnostic.hint("Give it under `credentials`, and name that as `credential`.");
                }
                self.add(diagnostic, &format!("{pointer}/git"));
                return None;
            }
        };
        let paths = texts(value, "paths");
        if !paths.is_empty() {
            location.paths = paths.iter().map(|path| path.trim_matches('/').to_owned()).collect();
            location.paths.sort();
            location.paths.dedup();
            if location.paths.iter().any(|path| path.split('/').any(|part| part == "..")) {
                self.error(
                    "PL1003",
                    "A path in a repository has no `..` in it.".to_owned(),
                    &format!("{pointer}/paths"),
                );
                return None;
            }
            if location.paths.iter().any(|path| path.is_empty() || path == ".") {
                location.paths.clear();
            }
        }
        let mut access = Access::default();
        if let Some(name) = text(value, "credential") {
            match credentials.get(name) {
                Some(known) => access = known.clone(),
                None => self.known("credential", name, CREDENTIALS, &format!("{pointer}/credential")),
            }
        } else if location.scheme == Scheme::Ssh {
            access.agent = true;
        }
        let signers = match text(value, "allowedSigners").map(|path| self.path(path)) {
            None => None,
            Some(path) => {
                let read = std::fs::read_to_string(&path)
                    .map_err(|error| format!("`{}` cannot be read ({error}).", path.display()));
                match read.and_then(|text| AllowedSigners::parse(&text).map_err(|error| error.message)) {
                    Ok(signers) => Some(Arc::new(signers)),
                    Err(why) => {
                        self.error("PL1003", why, &format!("{pointer}/allowedSigners"));
                        None
                    }
                }
            }
        };
        Some(Source::Git(Box::new(GitSource { location, access, signers })))
    }
}

fn is_loopback(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => *name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The repository that a URL names, such as `team/infrastructure`.
fn repository_of(location: &Location) -> Option<String> {
    let path = location.repository.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty() && location.scheme != Scheme::File).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "5", "m", "1w", "0s", "1h x"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
