//! An answer, and the JSON in it: what is not JSON becomes an error that says what came instead.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};
use serde_json::Value;

use super::error::{HttpError, Site};
use crate::secret::Mask;

/// The longest part of a body that is shown in a message, in characters.
const EXCERPT: usize = 240;
/// The longest explanation of an API that is shown, in characters.
const LINE: usize = 500;

/// The final answer to a call.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed.
    pub body: Bytes,
    /// Requests that were sent for it.
    pub attempts: u32,
    /// An attempt before the one that was answered had no answer, and may have been carried out.
    pub repeats_unanswered: bool,
    site: Arc<Site>,
    secrets: Arc<Mask>,
}

/// A cookie that an answer sets.
pub(super) struct Cookie {
    pub(super) value: String,
    pub(super) lifetime: Option<Duration>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} to {}, {} bytes)", self.status, self.site, self.body.len())
    }
}

impl Answer {
    /// Makes an answer by hand, for those who test what reads it.
    pub fn new(site: Site, status: u16, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self::made(Arc::new(site), Arc::default(), status, headers, body.into(), 1)
    }

    pub(super) fn made(
        site: Arc<Site>,
        secrets: Arc<Mask>,
        status: u16,
        headers: HeaderMap,
        body: Bytes,
        attempts: u32,
    ) -> Self {
        Self { status, headers, body, attempts, repeats_unanswered: false, site, secrets }
    }

    /// The call that it answers.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's text, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A cookie that the answer sets (RFC 6265 section 4.1); the last one of that name counts.
    pub(super) fn cookie(&self, name: &str) -> Option<Cookie> {
        let set = self.headers.get_all(SET_COOKIE).iter().filter_map(|header| header.to_str().ok());
        set.rev().find_map(|text| {
            let mut parts = text.split(';').map(str::trim);
            let (given, value) = parts.next()?.split_once('=')?;
            let age =
                parts.filter_map(|part| part.split_once('=')).find(|(part, _)| part.eq_ignore_ascii_case("max-age"));
            let lifetime = age.and_then(|(_, age)| age.trim().parse().ok()).map(Duration::from_secs);
            (given.trim() == name).then(|| Cookie { value: value.trim().to_owned(), lifetime })
        })
    }

    /// The body as JSON; an empty one, a page of HTML or a text that breaks off is an error.
    pub fn json(&self) -> Result<Value, HttpError> {
        match self.parse() {
            Some(Ok(value)) => Ok(value),
            Some(Err(came)) => Err(self.unusable(came, "JSON")),
            None => Err(self.unusable(format!("status {} and an empty body", self.status), "JSON")),
        }
    }

    /// The body as JSON, or nothing where it is empty.
    pub fn json_if_any(&self) -> Result<Option<Value>, HttpError> {
        self.parse().transpose().map_err(|came| self.unusable(came, "JSON or nothing"))
    }

    /// An error that says what came and what was expected, secrets masked.
    pub fn unusable(&self, came: impl Into<String>, expected: impl Into<String>) -> HttpError {
        HttpError::Unusable {
            site: self.site.clone(),
            came: self.secrets.apply(&came.into()).into_owned(),
            expected: expected.into(),
        }
    }

    /// The error of an answer that refuses the call, with what its body says, secrets masked.
    pub fn refused(self, message: impl Into<String>) -> HttpError {
        let message = self.tell(&message.into());
        HttpError::Refused { site: self.site.clone(), message, answer: Box::new(self) }
    }

    /// What the answer says, as one line that is not too long, secrets masked while they are whole.
    pub fn tell(&self, words: &str) -> String {
        let line = self.secrets.apply(words).replace(['\n', '\r'], " ");
        match line.char_indices().nth(LINE) {
            Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
            None => line,
        }
    }

    /// A message with what the body means in place of its beginning, secrets masked.
    pub(super) fn reworded(&self, message: &str, words: &dyn Fn(&[u8]) -> Option<String>) -> String {
        let excerpt = self.excerpt();
        match words(&self.body) {
            Some(words) if !excerpt.is_empty() => message.replace(&excerpt, &shorten(&self.secrets.apply(&words))),
            _ => message.to_owned(),
        }
    }

    /// What a page of HTML in the body is, in words; nothing where there is none.
    pub fn page(&self) -> Option<String> {
        if !self.is_html() || self.body.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let text = String::from_utf8_lossy(&self.body);
        Some(match title(&text) {
            Some(title) => format!("a page of HTML titled `{}`", shorten(&self.secrets.apply(title))),
            None => "a page of HTML".into(),
        })
    }

    /// The beginning of the body as one line of plain text, secrets masked; of a page of HTML its title.
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = if self.is_html() { title(&text).unwrap_or("a page of HTML") } else { &text };
        shorten(&self.secrets.apply(text))
    }

    fn parse(&self) -> Option<Result<Value, String>> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        if body.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(serde_json::from_slice(body).map_err(|error| {
            if let Some(page) = self.page() {
                page
            } else if error.is_eof() {
                format!("JSON that breaks off after {} bytes", body.len())
            } else {
                format!("`{}`", self.excerpt())
            }
        }))
    }

    fn is_html(&self) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        // A bare word (`OK`) is no page, whatever it is declared to be.
        (declared && self.body.contains(&b'<')) || self.body.trim_ascii_start().starts_with(b"<")
    }
}

fn title(html: &str) -> Option<&str> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let title = html.get(start..end)?.trim();
    (!title.is_empty()).then_some(title)
}

fn shorten(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 8 * EXCERPT {
            break;
        }
    }
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer::new(Site::new("acme", Method::GET, "/v1/things"), 200, HeaderMap::new(), body.to_owned())
    }

    #[test]
    fn what_is_not_json_is_named() {
        let text = |body: &str| answer(body).json().unwrap_err().to_string();
        assert_eq!(
            text("<html><head><TITLE>Sign in</TITLE></head>"),
            "`GET /v1/things` of connection `acme` was answered with a page of HTML titled `Sign in` where JSON was \
             expected"
        );
        assert!(text("{\"data\": [1, 2").contains("JSON that breaks off after 14 bytes"));
        assert!(text("").contains("status 200 and an empty body"));
        assert!(text("Too Many\nRequests").contains("`Too Many Requests`"));
        assert_eq!(answer("  ").json_if_any().unwrap(), None);
        assert_eq!(answer("\u{feff}{}").json().unwrap(), serde_json::json!({}));
    }

    #[test]
    fn excerpts_are_one_short_line() {
        let long = answer(&"é\n".repeat(5000)).excerpt();
        assert_eq!(long.chars().count(), EXCERPT + 1);
        assert!(!long.contains('\n'));
    }
}
