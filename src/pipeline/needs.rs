//! Objects that need a newer server than there is: found out before anything is sent, by one read for each connection.

use std::collections::{BTreeMap, HashMap};

use super::Connected;
use crate::{
    description::format::VersionSpec,
    diagnostic::Diagnostic,
    diff::holds,
    http::Call,
    live::Remote,
    manifest::Manifests,
    value::{Fields, get_path, text},
};

/// Declared objects that the server is too old for, by index.
pub(super) async fn lacking(
    connected: &Connected,
    manifests: &Manifests,
    diagnostics: &mut Vec<Diagnostic>,
) -> HashMap<usize, Diagnostic> {
    let mut asked: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    let none = Fields::new();
    for (index, object) in manifests.objects.iter().enumerate() {
        let specs = &object.kind.spec.fields;
        for need in object.kind.spec.needs.iter().filter(|need| holds(specs, &need.when, &object.spec, &none)) {
            asked.entry(&object.connection).or_default().push((index, &need.version));
        }
    }
    let mut out = HashMap::new();
    for (connection, objects) in asked {
        let Some(remote) = connected.remotes.get(connection) else { continue };
        let Some(spec) = &remote.api.spec.version else { continue };
        let Some(there) = version(remote, spec).await else {
            let message = format!("The server of connection `{connection}` does not tell its version.");
            let needed = objects.iter().map(|(_, version)| *version).max().unwrap_or_default();
            let hint = format!("Some objects need version {needed} or newer: an older server refuses them.");
            diagnostics.push(Diagnostic::note("PL0412", message).hint(hint));
            continue;
        };
        for (index, needed) in objects {
            if parts(&there) < parts(needed) {
                let object = &manifests.objects[index];
                let message = format!(
                    "`{}` needs version {needed} of the server or newer, and that of connection `{connection}` is {there}.",
                    object.address
                );
                let hint = "Bring the server up to date, or write what the older one knows.";
                out.insert(index, Diagnostic::error("PL0520", message).hint(hint));
            }
        }
    }
    out
}

async fn version(remote: &Remote, spec: &VersionSpec) -> Option<String> {
    let answer = remote.send(&Call::get(spec.path.clone())).await.and_then(|answer| remote.successful(answer)).ok()?;
    let words = get_path(&answer.json().ok()?, &spec.at).and_then(text)?;
    (!parts(&words).is_empty()).then_some(words)
}

/// The numbers of a version such as `v1.85.0`; none where it is no such version.
fn parts(version: &str) -> Vec<u64> {
    let digits = version.trim().trim_start_matches(['v', 'V']);
    let numbers = digits.split(['.', '-', '+']).map_while(|part| part.parse().ok());
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(parts("v1.9.3") < parts("1.85"));
        assert!(parts("v1.85.0") >= parts("1.85"));
        assert!(parts("2.0.0-beta.1") > parts("1.85"));
        assert!(parts("development").is_empty());
    }
}
