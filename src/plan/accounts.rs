//! Refuses to delete, adopt or forget where a connection leads to another account than the one that the inventory knows:
//! its URL is another, or nothing that the stack owns is there.

use std::collections::{BTreeMap, HashMap};

use super::{
    ActionKind, Mode,
    build::Inputs,
    step::{Operation, Step},
};
use crate::{address::Address, diagnostic::Diagnostic, live::shown_key};

/// So many owned objects at least have to be missing, all of them, before an account is taken for another one.
const TELLING: usize = 3;

/// What is known of the owned objects of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    /// Owned objects.
    pub owned: usize,
    /// Those of which it is known whether they are there.
    pub looked_at: usize,
    /// Those that are there.
    pub there: usize,
    /// Those whose ids lead to objects of other keys.
    pub strangers: usize,
}

/// What is known of the owned objects of each connection; entries inside others aside.
pub fn presence(inputs: &Inputs<'_>) -> HashMap<String, Presence> {
    let mut out: HashMap<String, Presence> = HashMap::new();
    for (address, record) in inputs.state.objects.iter().filter(|(address, _)| !address.contains('#')) {
        let Ok(address) = address.parse::<Address>() else { continue };
        let seen = out.entry(record.connection.clone()).or_default();
        seen.owned += 1;
        let connection: std::sync::Arc<str> = record.connection.as_str().into();
        let kind = address.kind.to_string();
        if let Some(live) = inputs.observed.by_id(&connection, &kind, &record.id) {
            let key = shown_key(&live.kind, &live.fields, &|_, _| None);
            seen.looked_at += 1;
            seen.there += 1;
            seen.strangers += usize::from(!record.key.is_empty() && !key.is_empty() && key != record.key);
        } else if inputs.observed.complete.contains(&(connection.clone(), kind.clone()))
            || inputs.observed.gone.contains(&(connection, kind, record.id.clone()))
        {
            seen.looked_at += 1;
        }
    }
    out
}

/// Whether a connection leads to another place than the inventory knows.
pub fn leads_elsewhere(inputs: &Inputs<'_>, connection: &str, url: &str) -> bool {
    let known = inputs.state.accounts.get(connection);
    known.is_some_and(|known| known.url.trim_end_matches('/') != url.trim_end_matches('/'))
}

/// Refusals for the connections that do. `urls` has the base URL that each leads to now.
#[expect(clippy::implicit_hasher, reason = "the program has one kind of map")]
pub fn refusals(
    inputs: &Inputs<'_>,
    steps: &[Step],
    urls: &HashMap<String, String>,
    presence: &HashMap<String, Presence>,
) -> Vec<Diagnostic> {
    if inputs.mode == Mode::Drift {
        return Vec::new();
    }
    let mut wanted: BTreeMap<&str, [usize; 4]> = urls.keys().map(|name| (name.as_str(), [0; 4])).collect();
    for step in steps {
        let counts = wanted.entry(&step.action.connection).or_default();
        match step.action.action {
            ActionKind::Delete => counts[0] += 1,
            ActionKind::Replace if step.operation == Operation::Replace => counts[0] += 1,
            // What an earlier run began is its own.
            ActionKind::Adopt if !step.ours => counts[1] += 1,
            ActionKind::Forget => counts[2] += 1,
            // What is owned elsewhere would be made here, and its record be lost.
            ActionKind::Create if step.record.is_some() => counts[3] += 1,
            _ => {}
        }
    }
    let mut out = Vec::new();
    for (connection, [deletes, adopts, forgets, remakes]) in wanted {
        let (Some(seen), Some(url)) = (presence.get(connection), urls.get(connection)) else { continue };
        let would = format!(
            "The plan would delete {deletes}, adopt {adopts}, forget {forgets} and make again {remakes} objects there"
        );
        let touches = deletes + adopts + forgets > 0;
        let message = if leads_elsewhere(inputs, connection, url) && (touches || remakes > 0 || seen.strangers > 0) {
            let known = inputs.state.accounts.get(connection).map(|known| known.url.as_str()).unwrap_or_default();
            format!(
                "Connection `{connection}` leads to `{url}`, and the {} objects that the stack owns through it were \
                 applied to `{known}`; {} of them were found. {would}.",
                seen.owned,
                seen.there - seen.strangers
            )
        } else if touches && seen.there == 0 && seen.looked_at >= TELLING {
            format!(
                "None of the {} objects that the stack owns through connection `{connection}` was found: this looks like \
                 another account. {would}.",
                seen.looked_at
            )
        } else {
            continue;
        };
        out.push(Diagnostic::refusal("PL0620", message).hint(
            "Check the connection's `url` and credential. If this is the account that is meant, give `--adopt-accounts`.",
        ));
    }
    out
}
