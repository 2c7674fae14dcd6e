//! Which hosts a connection's calls may go to: the API's documented ones, loopback, and those that the user allows.

use url::{Host, Url};

use crate::{description::Api, description::format::AuthScheme, diagnostic::Diagnostic};

/// Hosts that a credential may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPolicy {
    /// Hosts that the user allows: `HOST`, `HOST:PORT`, `*.DOMAIN`, or a URL, of which the host and any port count.
    pub extra: Vec<String>,
    /// Whether the hosts that the API's description names count; not for a description that anybody may have written.
    pub described: bool,
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self { extra: Vec::new(), described: true }
    }
}

impl HostPolicy {
    /// The description's hosts, and these.
    pub fn new(extra: impl IntoIterator<Item = String>) -> Self {
        Self { extra: extra.into_iter().collect(), described: true }
    }

    /// Checks a URL that calls with a credential will go to; `what` names it (`url`, `auth.oauth2.tokenUrl`).
    pub(super) fn check(&self, connection: &str, api: &Api, what: &str, url: &Url) -> Result<(), Diagnostic> {
        let host = url.host_str().unwrap_or_default();
        let extra = self.extra.iter().any(|pattern| covers(pattern, url));
        if extra || is_loopback(url) {
            return Ok(());
        }
        if !(self.described && is_described(api, url)) {
            let known = if self.described { described(api) } else { Vec::new() };
            let why = if self.described {
                format!("which is no documented host of API `{}`", api.name)
            } else {
                format!("and API `{}` is described by a manifest, which cannot say whom to trust", api.name)
            };
            let diagnostic = Diagnostic::error(
                "PL0321",
                format!(
                    "`{what}` of connection `{connection}` is on host `{host}`, {why}: no credential is sent there."
                ),
            );
            let diagnostic = if known.is_empty() {
                diagnostic
            } else {
                diagnostic.hint(format!("Its documented hosts are `{}`.", known.join("`, `")))
            };
            return Err(diagnostic.hint(format!("If the host is yours, allow it: `--allow-host {host}`.")));
        }
        if url.scheme() != "https" {
            return Err(Diagnostic::error(
                "PL0322",
                format!("`{what}` of connection `{connection}` would send a credential to `{host}` unencrypted."),
            )
            .hint(format!(
                "Write `https://{host}`; plain HTTP goes to loopback, and to hosts named by `--allow-host`."
            )));
        }
        Ok(())
    }
}

/// Whether a URL's host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the description names a URL's host.
pub(super) fn is_described(api: &Api, url: &Url) -> bool {
    described(api).iter().any(|pattern| covers(pattern, url))
}

fn described(api: &Api) -> Vec<String> {
    let tokens = api.spec.auth.iter().filter_map(|scheme| match scheme {
        AuthScheme::Oauth2(scheme) => scheme.token_url.as_deref(),
        _ => None,
    });
    let urls = api.spec.url.as_deref().into_iter().chain(tokens).filter_map(|url| Url::parse(url).ok());
    let mut hosts: Vec<String> = urls.filter_map(|url| url.host_str().map(str::to_owned)).collect();
    hosts.extend(api.spec.hosts.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

fn covers(pattern: &str, url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let pattern = pattern.trim();
    if let Some(domain) = pattern.strip_prefix("*.") {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        return host.strip_suffix(&domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
    }
    let parsed = if pattern.contains("://") { Url::parse(pattern) } else { Url::parse(&format!("https://{pattern}")) };
    let Ok(parsed) = parsed else { return false };
    let Some(wanted) = parsed.host_str() else { return false };
    let port = explicit_port(pattern).or(parsed.port());
    wanted.trim_end_matches('.').eq_ignore_ascii_case(&host)
        && port.is_none_or(|port| Some(port) == url.port_or_known_default())
}

/// The port that a pattern spells out, which [`Url::port`] hides where it is the scheme's own.
fn explicit_port(pattern: &str) -> Option<u16> {
    let authority = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let authority = authority.split('/').next()?;
    let (_, port) = authority.rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::format::ApiSpec;

    fn api() -> Api {
        let spec = ApiSpec {
            url: Some("https://api.example.com".into()),
            hosts: vec!["api.eu.example.com".into(), "*.hosted.example".into()],
            ..ApiSpec::default()
        };
        Api::compile("acme", spec).unwrap()
    }

    fn code(policy: &HostPolicy, url: &str) -> Option<String> {
        policy.check("prod", &api(), "url", &Url::parse(url).unwrap()).err().map(|fault| fault.code.into_owned())
    }

    #[test]
    fn credentials_go_to_documented_hosts_loopback_and_allowed_hosts() {
        let policy = HostPolicy::new(["vault.internal:8443".to_owned(), "https://ok.internal/api".to_owned()]);
        for url in [
            "https://api.example.com/v1",
            "https://API.EU.example.com./",
            "https://a.hosted.example",
            "http://127.0.0.1:8080",
            "http://[::1]:80",
            "http://localhost:9",
            "https://vault.internal:8443",
            "http://ok.internal",
        ] {
            assert_eq!(code(&policy, url), None, "{url}");
        }
        for url in [
            "https://evil.example",
            "https://hosted.example",
            "https://evilhosted.example",
            "https://api.example.com.evil.example",
            "https://vault.internal",
            "https://127.0.0.1.evil.example",
            "http://10.0.0.1",
        ] {
            assert_eq!(code(&policy, url).as_deref(), Some("PL0321"), "{url}");
        }
        assert_eq!(code(&policy, "http://api.example.com").as_deref(), Some("PL0322"));
    }

    #[test]
    fn hosts_of_an_untrusted_description_do_not_count() {
        let policy = HostPolicy { extra: Vec::new(), described: false };
        assert_eq!(code(&policy, "https://api.example.com").as_deref(), Some("PL0321"));
    }
}
