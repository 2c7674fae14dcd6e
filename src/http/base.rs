//! Base URLs: where calls go, with the version path exactly once; and next links turned back into paths below it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::hosts;
use crate::{
    description::{Api, compiled::full_path},
    diagnostic::Diagnostic,
};

/// What is encoded in query parameters: spaces as `%20`, which servers that take `+` literally understand too.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b',')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'!')
    .remove(b'*')
    .remove(b'(')
    .remove(b')');

/// Where a connection's calls go.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// Origin and the user's own prefix, without a slash at the end.
    root: String,
    /// The user's own prefix, without a slash at the end; mostly empty.
    prefix: String,
    /// The version path with a slash before and none after it, or nothing.
    version: String,
    /// `root` and `version`.
    text: String,
    url: Url,
}

impl Base {
    /// Reads a connection's URL, with or without the version path.
    pub(super) fn new(connection: &str, api: &Api, text: &str) -> Result<Self, Diagnostic> {
        let url = parse(connection, "url", text)?;
        let version = match api.spec.version_path.as_deref().unwrap_or_default().trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        let path = url.path().trim_end_matches('/');
        let prefix = path.strip_suffix(version.as_str()).unwrap_or(path).trim_end_matches('/').to_owned();
        let root = format!("{}{prefix}", url.origin().ascii_serialization());
        let text = format!("{root}{version}");
        Ok(Self { root, prefix, version, text, url })
    }

    /// The base URL with the version path, without a slash at the end.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// A path as the API's reference writes it: with the version path, without prefix.
    pub(super) fn shown(&self, path: &str) -> String {
        full_path(&self.version, path)
    }

    /// The URL of a path below the version path, or below the base URL where it starts with `^`.
    pub(super) fn join<'a>(
        &self,
        path: &str,
        query: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Url, String> {
        match path.strip_prefix('^') {
            Some(path) => join(&self.root, path, query),
            None => join(&self.text, path, query),
        }
    }

    /// The URL of a path below the base URL, without the version path.
    pub(super) fn join_root(&self, path: &str) -> Result<Url, String> {
        join(&self.root, path, [])
    }

    /// Whether a URL has this base's scheme, host and port.
    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    /// Turns the next page's link, found in the answer to `from`, into path and query below the version path.
    pub(super) fn next(&self, api: &Api, from: &str, link: &str) -> Result<NextPage, (String, &'static str)> {
        let shown = |url: &Url| format!("{}{}", url.origin().ascii_serialization(), url.path());
        let here = Url::parse(&format!("{}{from}", self.text)).unwrap_or_else(|_| self.url.clone());
        let url = here
            .join(link.trim())
            .map_err(|_| (link.split(['?', '#']).next().unwrap_or_default().to_owned(), "which is no URL"))?;
        if !self.is_home(api, &url) {
            return Err((shown(&url), "which is another host than the connection's"));
        }
        let path = url.path();
        let inside = path.strip_prefix(self.prefix.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        let below = inside.strip_prefix(self.version.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let below = below.ok_or_else(|| (shown(&url), "which is outside the API's version path"))?;
        Ok((below.to_owned(), url.query_pairs().into_owned().collect()))
    }

    /// Whether a link is meant to lead to this API: the same place, or, as a server behind a proxy writes it, another
    /// scheme of the same host or a documented host. It is only ever followed at this base.
    fn is_home(&self, api: &Api, url: &Url) -> bool {
        if self.is_origin_of(url) {
            return true;
        }
        if !matches!(url.scheme(), "http" | "https") || url.port().is_some() {
            return false;
        }
        let same_host = url.host() == self.url.host() && self.url.port().is_none();
        same_host || (!hosts::is_loopback(url) && hosts::is_described(api, url))
    }
}

/// Path and query of a next page.
type NextPage = (String, Vec<(String, String)>);

/// Reads a URL that calls go to.
pub(super) fn parse(connection: &str, what: &str, text: &str) -> Result<Url, Diagnostic> {
    let fault = |problem: &str, hint: &str| {
        Err(Diagnostic::error("PL0323", format!("`{what}` of connection `{connection}` {problem}.")).hint(hint))
    };
    let Ok(url) = Url::parse(text.trim()) else {
        return fault("is no absolute URL", "Write it with its scheme, such as `https://api.example.com`.");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return fault("is neither an `https://` nor an `http://` URL", "Write it as `https://api.example.com`.");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fault("has a user name or password in it", "Credentials go into `auth`.");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return fault("has a query or fragment", "Write it up to the path.");
    }
    Ok(url)
}

fn join<'a>(base: &str, path: &str, query: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Url, String> {
    let (path, own_query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() && !path.starts_with('/') {
        return Err(format!("its path `{path}` does not start with `/`"));
    }
    if path.contains(['#', '\\']) {
        return Err(format!("its path `{path}` has a character that is not percent-encoded"));
    }
    // A name or id that is empty, `.` or `..` would turn the call into one to another object.
    let segments = path.split('/').skip(1);
    let count = segments.clone().count();
    for (index, segment) in segments.enumerate() {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if matches!(&*decoded, "." | "..") || (decoded.is_empty() && index + 1 < count) {
            return Err(format!("its path `{path}` has the segment `{decoded}`, which names no object"));
        }
    }
    let mut text = format!("{base}{path}");
    let mut separator = '?';
    if let Some(query) = own_query {
        text.push(separator);
        text.push_str(query);
        separator = '&';
    }
    for (name, value) in query {
        text.push(separator);
        text.extend(utf8_percent_encode(name, QUERY));
        text.push('=');
        text.extend(utf8_percent_encode(value, QUERY));
        separator = '&';
    }
    Url::parse(&text).map_err(|error| format!("its URL is not valid: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::format::ApiSpec;

    fn api(version: &str) -> Api {
        let spec = ApiSpec {
            url: Some("https://api.example.com".into()),
            version_path: Some(version.into()),
            ..ApiSpec::default()
        };
        Api::compile("acme", spec).unwrap()
    }

    fn base(url: &str) -> Base {
        Base::new("prod", &api("/v7"), url).unwrap()
    }

    #[test]
    fn the_version_path_is_there_exactly_once() {
        for (url, expected) in [
            ("https://api.example.com", "https://api.example.com/v7/a"),
            ("https://api.example.com/", "https://api.example.com/v7/a"),
            ("https://api.example.com/v7", "https://api.example.com/v7/a"),
            ("https://api.example.com/v7/", "https://api.example.com/v7/a"),
            ("http://127.0.0.1:8080/proxy", "http://127.0.0.1:8080/proxy/v7/a"),
            ("http://127.0.0.1:8080/proxy/v7/", "http://127.0.0.1:8080/proxy/v7/a"),
            ("http://127.0.0.1:8080/nv7", "http://127.0.0.1:8080/nv7/v7/a"),
        ] {
            assert_eq!(base(url).join("/a", []).unwrap().as_str(), expected, "{url}");
        }
        assert_eq!(
            Base::new("prod", &api(""), "http://h/x/").unwrap().join("/a", []).unwrap().as_str(),
            "http://h/x/a"
        );
    }

    #[test]
    fn queries_are_encoded() {
        let url = base("http://h").join("/a?b=1", [("filter[name]", "A & B+C"), ("$top", "5")]).unwrap();
        assert_eq!(url.as_str(), "http://h/v7/a?b=1&filter%5Bname%5D=A%20%26%20B%2BC&$top=5");
    }

    #[test]
    fn paths_that_would_name_another_object_are_refused() {
        for path in ["/things/..", "/things/%2e%2E/x", "/things//x", "/things/.", "things", "/a#b", "/a\\..\\b"] {
            assert!(base("http://h").join(path, []).is_err(), "{path}");
        }
        assert!(base("http://h").join("/things/", []).is_ok());
    }

    #[test]
    fn next_links_come_back_below_the_base() {
        let api = api("/v7");
        let base = Base::new("prod", &api, "http://127.0.0.1:8080/proxy").unwrap();
        let page = |n: &str| Ok(("/things".to_owned(), vec![("page[n]".to_owned(), n.to_owned())]));
        for link in [
            "http://127.0.0.1:8080/proxy/v7/things?page%5Bn%5D=2",
            "/proxy/v7/things?page[n]=2",
            "/v7/things?page[n]=2",
            "?page[n]=2",
            "https://api.example.com/v7/things?page[n]=2",
        ] {
            assert_eq!(base.next(&api, "/things", link), page("2"), "{link}");
        }
        for link in [
            "http://127.0.0.1:9090/proxy/v7/things?page=2",
            "https://evil.example/v7/things",
            "//evil.example/v7/things",
            "https://api.example.com:444/v7/things",
            "file:///v7/things",
            "/v8/things",
            "/v77/things",
        ] {
            assert!(base.next(&api, "/things", link).is_err(), "{link}");
        }
    }

    #[test]
    fn urls_that_hold_credentials_or_no_scheme_are_refused() {
        for url in ["api.example.com", "localhost:8080", "https://me:pw@h", "https://h?a=1", "ftp://h", ""] {
            assert_eq!(Base::new("prod", &api(""), url).unwrap_err().code, "PL0323", "{url}");
        }
    }
}
