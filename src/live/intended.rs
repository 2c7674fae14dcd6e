//! Whether a live object is what a create made whose answer is not known.

use jiff::{SignedDuration, Timestamp};

use super::LiveObject;
use crate::{description::equal, inventory::Intent, value::has_secret};

/// By how much a server's clock may differ from this machine's.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// Whether a live object may be what an unfinished create made: it was not there before, and was made between the
/// request and its deadline, where its kind says when.
pub fn may_be_of(intent: &Intent, live: &LiveObject) -> bool {
    !intent.seen.contains(&live.id) && live.made.is_none_or(|made| was_open(intent, made))
}

/// Whether a live object is as an unfinished create sent it, as far as that is shown.
pub fn is_as_sent(intent: &Intent, live: &LiveObject) -> bool {
    intent.sent.iter().all(|(name, sent)| match (live.kind.field(name), live.fields.get(name)) {
        (Some(spec), Some(there)) if !has_secret(sent) && !spec.update_only => equal(spec, sent, there),
        _ => true,
    })
}

/// Whether a create could take effect at an instant.
fn was_open(intent: &Intent, at: Timestamp) -> bool {
    let (Ok(from), Ok(until)) = (intent.at.parse::<Timestamp>(), intent.deadline.parse::<Timestamp>()) else {
        return false;
    };
    at.duration_since(from) >= -SKEW && at.duration_since(until) <= SKEW
}
