//! What the headers of answers say about limits: how much is left, until when, and how long to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::description::format::Limits;

/// Numbers from here on are instants in seconds since 1970, smaller ones are seconds from now.
const INSTANT: f64 = 1e9;
/// Numbers from here on are instants in milliseconds.
const MILLIS: f64 = 1e11;
/// What is longer than this is no sensible wait.
const LONGEST: f64 = 30.0 * 86_400.0;

/// An API's limit as its last answer told it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests allowed in a window.
    pub limit: Option<u64>,
    /// Requests left in this window.
    pub remaining: Option<u64>,
    /// When the window ends, by the local clock.
    pub reset: Option<SystemTime>,
}

impl Quota {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the limit's headers: the described ones, else the customary ones. Also gives the time to the window's end.
pub(super) fn read(limits: &Limits, headers: &HeaderMap, now: SystemTime) -> (Quota, Option<Duration>) {
    let text = |described: &Option<String>, customary: [&str; 2]| {
        let names = match described {
            Some(name) => vec![name.as_str()],
            None => customary.to_vec(),
        };
        names.into_iter().find_map(|name| headers.get(name)?.to_str().ok())
    };
    let limit = text(&limits.limit_header, ["x-ratelimit-limit", "ratelimit-limit"]).and_then(count);
    let remaining = text(&limits.remaining_header, ["x-ratelimit-remaining", "ratelimit-remaining"]).and_then(count);
    let reset = text(&limits.reset_header, ["x-ratelimit-reset", "ratelimit-reset"])
        .and_then(|text| time_left(text, server_time(headers).unwrap_or(now)));
    (Quota { limit, remaining, reset: reset.and_then(|left| now.checked_add(left)) }, reset)
}

/// The wait that `Retry-After` asks for (RFC 9110 section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    time_left(headers.get(RETRY_AFTER)?.to_str().ok()?, server_time(headers).unwrap_or(now))
}

/// The server's clock, by the answer's `Date`.
pub(super) fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

fn count(text: &str) -> Option<u64> {
    let digits = text.trim().split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Time until what a header says: seconds from now, seconds or milliseconds since 1970, an HTTP date, or an RFC 3339
/// instant.
fn time_left(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        let since_epoch = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        let seconds = if number >= MILLIS {
            number / 1000.0 - since_epoch
        } else if number >= INSTANT {
            number - since_epoch
        } else {
            number
        };
        return Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)));
    }
    let instant =
        httpdate::parse_http_date(text).ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(SystemTime::from))?;
    Some(instant.duration_since(now).unwrap_or_default().min(Duration::from_secs_f64(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_of_reset_is_understood() {
        let now = UNIX_EPOCH + Duration::from_hours(500_000);
        for (text, seconds) in [
            ("30", 30.0),
            ("1.5", 1.5),
            ("1800000030", 30.0),
            ("1800000030500", 30.5),
            ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
            ("2027-01-15T08:00:30Z", 30.0),
            ("1799999000", 0.0),
            ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ] {
            let left = time_left(text, now).unwrap().as_secs_f64();
            assert!((left - seconds).abs() < 0.001, "{text}: {left}");
        }
        for text in ["soon", "", "-5", "NaN", "inf"] {
            assert_eq!(time_left(text, now), None, "{text}");
        }
        assert!(time_left("999999999", now).unwrap().as_secs_f64() <= LONGEST);
    }

    #[test]
    fn the_servers_clock_counts_where_it_is_told() {
        let mut headers = HeaderMap::new();
        headers.insert("date", "Fri, 15 Jan 2027 08:00:00 GMT".parse().unwrap());
        headers.insert("x-ratelimit-reset", "1800000010".parse().unwrap());
        headers.insert("x-ratelimit-remaining", "7;w=60".parse().unwrap());
        headers.insert("retry-after", "Fri, 15 Jan 2027 08:00:05 GMT".parse().unwrap());
        let wrong_by_an_hour = UNIX_EPOCH + Duration::from_hours(500_001);
        let (quota, reset) = read(&Limits::default(), &headers, wrong_by_an_hour);
        assert_eq!((quota.remaining, reset), (Some(7), Some(Duration::from_secs(10))));
        assert_eq!(retry_after(&headers, wrong_by_an_hour), Some(Duration::from_secs(5)));
    }

    #[test]
    fn described_headers_replace_the_customary_ones() {
        let mut headers = HeaderMap::new();
        headers.insert("x-quota-left", "3".parse().unwrap());
        headers.insert("x-ratelimit-remaining", "9".parse().unwrap());
        let limits = Limits { remaining_header: Some("X-Quota-Left".into()), ..Limits::default() };
        assert_eq!(read(&limits, &headers, SystemTime::now()).0.remaining, Some(3));
    }
}
