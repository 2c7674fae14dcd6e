//! Faults to order: `429=5%,lost@POST=1x` into a decision for every request, the same for the same seed.

use std::{collections::HashMap, str::FromStr, time::Duration};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Answered with this status, without being carried out.
    Status(u16),
    /// The same, with `Retry-After`.
    Later(u16, RetryAfter),
    /// The connection is cut before anything is done.
    Reset,
    /// Carried out, but the connection is cut before the answer.
    Lost,
    /// Carried out, but the answer breaks off in the middle.
    Truncate,
    /// Answered after this time, in addition to the latency.
    Slow(Duration),
}

/// How an answer says when to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// In so many seconds.
    Seconds(u32),
    /// At the instant that is so many seconds ahead, as an HTTP date.
    Date(u32),
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Often {
    /// With this probability.
    Share(f64),
    /// The first so many times.
    Times(u32),
}

/// One fault, when it strikes, and whom.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    kind: FaultKind,
    often: Often,
    method: Option<String>,
    path: Option<String>,
}

/// The faults that a sandbox was ordered to make.
///
/// Written `KIND[@METHOD[:PATH]]=N%|Nx`, separated by commas. `KIND` is a status (`429`; `429/2s` with a `Retry-After` of
/// two seconds, `429/2sdate` with one as a date), `reset`, `lost`, `truncate`, or `slow` (two seconds; `slow500ms`,
/// `slow3s`); `METHOD` may be `*`; a request counts whose path within the API starts with `PATH`; `Nx` strikes the first
/// N such requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    rules: Vec<Rule>,
}

/// Why an order of faults cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a fault: write KIND=N% or KIND=Nx, where KIND is a status, `reset`, `lost`, `truncate` or `slow`"
)]
pub struct BadFault(String);

impl Faults {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl FromStr for Faults {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let rules = parts.map(|part| rule(part).ok_or_else(|| BadFault(part.to_owned()))).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }
}

fn rule(part: &str) -> Option<Rule> {
    let (head, often) = part.rsplit_once('=')?;
    let (kind, target) = head.split_once('@').map_or((head, None), |(kind, target)| (kind, Some(target)));
    let often = if let Some(share) = often.strip_suffix('%') {
        let share: f64 = share.trim().parse().ok()?;
        if !(0.0..=100.0).contains(&share) {
            return None;
        }
        Often::Share(share / 100.0)
    } else {
        Often::Times(often.strip_suffix('x')?.trim().parse().ok()?)
    };
    let kind = match kind.trim() {
        "reset" => FaultKind::Reset,
        "lost" => FaultKind::Lost,
        "truncate" => FaultKind::Truncate,
        "slow" => FaultKind::Slow(Duration::from_secs(2)),
        other => match other.strip_prefix("slow") {
            Some(time) => FaultKind::Slow(duration(time)?),
            None => status(other)?,
        },
    };
    let (method, path) = match target {
        None => (None, None),
        Some(target) => {
            let (method, path) = target.split_once(':').map_or((target, None), |(method, path)| (method, Some(path)));
            (Some(method.to_ascii_uppercase()).filter(|method| method != "*"), path.map(str::to_owned))
        }
    };
    Some(Rule { kind, often, method, path })
}

fn status(text: &str) -> Option<FaultKind> {
    let (text, after) = text.split_once('/').map_or((text, None), |(text, after)| (text, Some(after)));
    let status = text.parse().ok().filter(|status| (400..600).contains(status))?;
    let Some(after) = after else { return Some(FaultKind::Status(status)) };
    let after = match after.strip_suffix("sdate") {
        Some(seconds) => RetryAfter::Date(seconds.parse().ok()?),
        None => RetryAfter::Seconds(after.strip_suffix('s')?.parse().ok()?),
    };
    Some(FaultKind::Later(status, after))
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// Decides request by request.
#[derive(Debug, Default)]
pub(super) struct Dice {
    faults: Faults,
    seed: u64,
    struck: Vec<u32>,
    seen: HashMap<String, u64>,
}

impl Dice {
    /// Dice that fall the same for the same seed, whatever the order of requests to different paths.
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        let struck = vec![0; faults.rules.len()];
        Self { faults, seed, struck, seen: HashMap::new() }
    }

    /// What goes wrong with this request: at most one fault, and any slowness.
    pub(super) fn roll(&mut self, method: &str, path: &str) -> (Option<FaultKind>, Duration) {
        if self.faults.is_empty() {
            return (None, Duration::ZERO);
        }
        let name = format!("{method} {path}");
        let mut hash = self.seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let count = self.seen.entry(name).or_default();
        *count += 1;
        let mut rng = fastrand::Rng::with_seed(hash.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let (mut fault, mut slow) = (None, Duration::ZERO);
        for (rule, struck) in self.faults.rules.iter().zip(&mut self.struck) {
            let meant = rule.method.as_deref().is_none_or(|wanted| wanted == method)
                && rule.path.as_deref().is_none_or(|wanted| path.starts_with(wanted));
            let strikes = match rule.often {
                Often::Share(share) => rng.f64() < share,
                Often::Times(times) => *struck < times,
            };
            if !meant || !strikes {
                continue;
            }
            match rule.kind {
                FaultKind::Slow(time) => slow += time,
                kind if fault.is_none() => fault = Some(kind),
                _ => continue,
            }
            *struck += 1;
        }
        (fault, slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_nonsense_is_named() {
        let faults: Faults = "429=5%, lost@POST:/organizations=1x,slow250ms=2%".parse().unwrap();
        assert_eq!(faults.rules.len(), 3);
        assert_eq!(faults.rules[1].kind, FaultKind::Lost);
        assert_eq!(faults.rules[1].method.as_deref(), Some("POST"));
        assert_eq!(faults.rules[2].kind, FaultKind::Slow(Duration::from_millis(250)));
        let faults: Faults = "429/2s=1x,503/1sdate=1x".parse().unwrap();
        assert_eq!(faults.rules[0].kind, FaultKind::Later(429, RetryAfter::Seconds(2)));
        assert_eq!(faults.rules[1].kind, FaultKind::Later(503, RetryAfter::Date(1)));
        for bad in ["429", "200=5%", "lost=101%", "explode=1x", "slow=2", "429/2=1x", "429/s=1x"] {
            assert!(bad.parse::<Faults>().is_err_and(|error| error.to_string().contains(bad)), "{bad}");
        }
    }

    #[test]
    fn counted_faults_strike_the_first_matching_requests_only() {
        let mut dice = Dice::new("500@GET:/a=2x".parse().unwrap(), 1);
        let fates: Vec<_> = [("GET", "/b"), ("GET", "/a/1"), ("POST", "/a"), ("GET", "/a"), ("GET", "/a")]
            .iter()
            .map(|(method, path)| dice.roll(method, path).0)
            .collect();
        let hit = Some(FaultKind::Status(500));
        assert_eq!(fates, [None, hit, None, hit, None]);
    }

    #[test]
    fn the_same_seed_strikes_the_same_requests() {
        let run = |seed| {
            let mut dice = Dice::new("reset=30%".parse().unwrap(), seed);
            (0..200).map(|_| dice.roll("GET", "/a").0.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let share = run(7).iter().filter(|hit| **hit).count();
        assert!((30..90).contains(&share), "{share} of 200 at 30 %");
    }
}
