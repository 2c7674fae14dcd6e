//! The head of a document: whose it is (`apiVersion`, `kind`), its name, labels and annotations.

use std::collections::BTreeMap;

use super::{
    faults::{Faults, listed},
    node::{Mark, Member, Node},
};
use crate::{
    description::{
        Catalog,
        compiled::{GROUP_SUFFIX, VERSION},
    },
    diagnostic::{Diagnostic, nearest},
};

/// Group of `Connection`, `Stack` and `Api`.
pub(super) const CORE_GROUP: &str = "plumb.dev";
/// Kinds of the core group.
pub(super) const CORE_KINDS: [&str; 3] = ["Connection", "Stack", "Api"];

/// Whose a document is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owner {
    /// Somebody else's: passed over.
    Foreign,
    /// Several documents in one.
    List,
    /// The core group.
    Core,
    /// An API, by name.
    Api(String),
    /// Meant for plumb, but wrong.
    Misspelled(Box<(Diagnostic, Mark)>),
}

/// Tells whose a document is.
pub(super) fn owner(root: &Node<'_>, apis: &dyn Fn(&str) -> bool, catalog: &Catalog) -> Owner {
    let Some(members) = root.as_map() else { return Owner::Foreign };
    let Some(version) = root.member("apiVersion") else {
        return match misspelled_key(members) {
            Some(member) => {
                let message = format!("There is a key `{}` where `apiVersion` was expected.", member.key);
                let diagnostic = Diagnostic::error("PL0101", message).hint("Write `apiVersion`.");
                Owner::Misspelled(Box::new((diagnostic, member.at)))
            }
            None => unversioned(root, catalog)
                .map_or(Owner::Foreign, |diagnostic| Owner::Misspelled(Box::new((diagnostic, root.at)))),
        };
    };
    let Some(text) = version.value.as_text() else { return Owner::Foreign };
    if root.get("items").is_some_and(|items| items.as_list().is_some())
        && root.get("kind").and_then(Node::as_text).is_some_and(|kind| kind.ends_with("List"))
    {
        return Owner::List;
    }
    let (group, number) = text.split_once('/').unwrap_or((text, ""));
    let known = group == CORE_GROUP || group.strip_suffix(GROUP_SUFFIX).is_some_and(apis);
    if known && number == VERSION {
        return match group.strip_suffix(GROUP_SUFFIX) {
            Some(api) => Owner::Api(api.to_owned()),
            None => Owner::Core,
        };
    }
    let wrong = |diagnostic: Diagnostic| Owner::Misspelled(Box::new((diagnostic, version.value.best(version.at))));
    let error = |message: String| Diagnostic::error("PL0101", message);
    if known {
        return wrong(
            error(match number {
                "" => format!("`{group}` is an `apiVersion` without its version."),
                _ => format!("There is no version `{number}` of `{group}`."),
            })
            .hint(format!("Write `{group}/{VERSION}`.")),
        );
    }
    let names: Vec<&str> = catalog.apis.keys().map(String::as_str).collect();
    match near_group(group, &names) {
        Some(near) => wrong(
            error(format!("`{text}` is not an `apiVersion` of plumb.")).hint(format!("Write `{near}/{VERSION}`.")),
        ),
        None if group.split('.').any(|label| label == "plumb") => wrong(
            error(format!("No API is called `{}`.", group.split('.').next().unwrap_or_default()))
                .hint(format!("There are {}; a `kind: Api` manifest describes another.", listed(&names))),
        ),
        None => Owner::Foreign,
    }
}

/// The group that a misspelled one is near to.
fn near_group(group: &str, apis: &[&str]) -> Option<String> {
    let lower = group.to_lowercase();
    if let Some(api) = apis.iter().find(|api| **api == lower) {
        return Some(format!("{api}{GROUP_SUFFIX}"));
    }
    let (first, rest) = lower.split_once('.')?;
    let close = |a: &str, b: &str, most: usize| strsim::damerau_levenshtein(a, b) <= most;
    let plumb =
        |text: &str| close(text, CORE_GROUP, 2) || text.split('.').next().is_some_and(|label| close(label, "plumb", 1));
    if plumb(rest) {
        return nearest(first, apis.iter().copied()).map(|api| format!("{api}{GROUP_SUFFIX}"));
    }
    let whole = first == "plumb" || close(&lower, CORE_GROUP, 2);
    (whole && !apis.contains(&first)).then(|| CORE_GROUP.to_owned())
}

/// What is wrong with a document that is ours but for its `apiVersion`: it names a kind of ours, and has the rest of a
/// manifest.
fn unversioned(root: &Node<'_>, catalog: &Catalog) -> Option<Diagnostic> {
    let kind = root.get("kind")?.as_text()?;
    root.get("metadata")?.get("name")?.as_text()?;
    root.get("spec")?.as_map()?;
    let core = CORE_KINDS.contains(&kind).then(|| format!("{CORE_GROUP}/{VERSION}"));
    let apis = catalog.apis.values().filter(|api| api.kind(kind).is_some()).map(|api| api.api_version().clone());
    let versions: Vec<String> = core.into_iter().chain(apis).collect();
    let ways: Vec<&str> = versions.iter().map(String::as_str).collect();
    let hint = match &*ways {
        [] => return None,
        [only] => format!("Write `apiVersion: {only}`."),
        several => format!("Write `apiVersion:` with one of {}.", listed(several)),
    };
    Some(Diagnostic::error("PL0101", format!("There is no `apiVersion`, and `{kind}` is a kind of plumb.")).hint(hint))
}

/// A key that was meant to be `apiVersion`, of a document that is ours by its value.
fn misspelled_key<'n, 'a>(members: &'n [Member<'a>]) -> Option<&'n Member<'a>> {
    members.iter().find(|member| {
        nearest(&member.key.replace(['_', '-'], ""), ["apiVersion"]).is_some()
            && member.value.as_text().is_some_and(|text| text.contains(CORE_GROUP))
    })
}

/// The head of a document of ours.
#[derive(Debug)]
pub(super) struct Header<'n, 'a> {
    pub(super) kind: String,
    pub(super) kind_at: Mark,
    pub(super) name: String,
    pub(super) name_at: Mark,
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// `plumb.dev/…` annotations and others.
    pub(super) annotations: Vec<(&'n Member<'a>, &'n str)>,
    /// `spec`, where there is one.
    pub(super) spec: Option<&'n Member<'a>>,
}

/// Characters of a name at most.
const MAX_NAME: usize = 253;

/// Members of `metadata` that the Kubernetes API server adds, and those that people write.
const METADATA: [&str; 16] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
    "generateName",
    "clusterName",
];

/// Reads the head. Nothing where the document has no kind or no name to speak of.
pub(super) fn header<'n, 'a>(root: &'n Node<'a>, faults: &mut Faults<'_>) -> Option<Header<'n, 'a>> {
    for member in root.as_map()? {
        if !matches!(&*member.key, "apiVersion" | "kind" | "metadata" | "spec" | "status") {
            let mut diagnostic = Diagnostic::error("PL0104", format!("A manifest has no member `{}`.", member.key));
            if let Some(near) = nearest(&member.key, ["apiVersion", "kind", "metadata", "spec"]) {
                diagnostic = diagnostic.hint(format!("Did you mean `{near}`?"));
            } else if matches!(&*member.key, "name" | "labels" | "annotations" | "namespace") {
                diagnostic = diagnostic.hint(format!("Write it under `metadata`: `metadata: {{{}: …}}`.", member.key));
            } else {
                diagnostic = diagnostic.hint("Fields of the object go under `spec`.");
            }
            faults.add(diagnostic, member.at);
        }
    }
    let kind = root.member("kind");
    let metadata = root.member("metadata");
    let Some((kind, kind_text)) = kind.and_then(|kind| Some((kind, kind.value.as_text()?))) else {
        faults.error("PL0102", "The manifest has no `kind`.", kind.map_or(root.at, |kind| kind.at));
        return None;
    };
    let Some(metadata) = metadata else {
        let diagnostic = Diagnostic::error("PL0103", "The manifest has no `metadata`, so that it has no name.");
        faults.add(diagnostic.hint("Write `metadata: {name: NAME}`."), kind.at);
        return None;
    };
    let Some(members) = metadata.value.as_map() else {
        faults.error("PL0103", "`metadata` has to be a map, such as `metadata: {name: NAME}`.", metadata.at);
        return None;
    };
    for member in members {
        if !METADATA.contains(&&*member.key) {
            let mut diagnostic = Diagnostic::error("PL0104", format!("`metadata` has no member `{}`.", member.key));
            if let Some(near) = nearest(&member.key, METADATA) {
                diagnostic = diagnostic.hint(format!("Did you mean `{near}`?"));
            }
            faults.add(diagnostic, member.at);
        }
    }
    let (name, name_at) = name(&metadata.value, metadata.at, faults)?;
    let spec = root.member("spec").filter(|spec| !spec.value.is_null());
    Some(Header {
        kind: kind_text.to_owned(),
        kind_at: kind.value.at,
        name,
        name_at,
        namespace: namespace(&metadata.value, faults),
        labels: texts(&metadata.value, "labels", "PL0124", faults)
            .into_iter()
            .map(|(member, text)| (member.key.to_string(), text.to_owned()))
            .collect(),
        annotations: texts(&metadata.value, "annotations", "PL0119", faults),
        spec,
    })
}

fn name(metadata: &Node<'_>, at: Mark, faults: &mut Faults<'_>) -> Option<(String, Mark)> {
    let Some(member) = metadata.member("name") else {
        let mut diagnostic = Diagnostic::error("PL0103", "`metadata` has no `name`.");
        if metadata.get("generateName").is_some() {
            diagnostic = diagnostic.hint("`generateName` makes a new object each time; write a `name`.");
        }
        faults.add(diagnostic, at);
        return None;
    };
    let text = member.value.as_text().unwrap_or_default();
    if is_dns_name(text, MAX_NAME) {
        return Some((text.to_owned(), member.value.at));
    }
    let shown: String = text.chars().take(60).collect();
    let message = format!(
        "`metadata.name` cannot be `{shown}`: it takes small letters, digits, `-` and `.`, {MAX_NAME} of them at most."
    );
    let mut diagnostic = Diagnostic::error("PL0103", message);
    let slug = slug(text);
    if !slug.is_empty() {
        diagnostic =
            diagnostic.hint(format!("Write `name: {slug}` here; the name within the API is a field of `spec`."));
    }
    faults.add(diagnostic, member.value.best(member.at));
    None
}

fn namespace(metadata: &Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let member = metadata.member("namespace").filter(|member| !member.value.is_null())?;
    match member.value.as_text() {
        Some(text) if is_dns_name(text, 63) && !text.contains('.') => Some(text.to_owned()),
        _ => {
            let message = "`metadata.namespace` takes small letters, digits and `-`.";
            faults.error("PL0103", message, member.value.best(member.at));
            None
        }
    }
}

/// The members of a map of strings, as Kubernetes wants labels and annotations to be.
fn texts<'n, 'a>(
    metadata: &'n Node<'a>,
    name: &str,
    code: &'static str,
    faults: &mut Faults<'_>,
) -> Vec<(&'n Member<'a>, &'n str)> {
    let Some(member) = metadata.member(name).filter(|member| !member.value.is_null()) else { return Vec::new() };
    let Some(members) = member.value.as_map() else {
        faults.error(code, format!("`metadata.{name}` has to be a map of texts."), member.at);
        return Vec::new();
    };
    let mut out = Vec::with_capacity(members.len());
    for member in members {
        if let Some(text) = member.value.as_string() {
            out.push((member, text));
        } else {
            let message = format!("The value of `{}` has to be text; it is {}.", member.key, member.value.describe());
            let mut diagnostic = Diagnostic::error(code, message);
            if let Some(text) = member.value.as_text() {
                diagnostic = diagnostic.hint(format!("Write it in quotes: `\"{text}\"`."));
            }
            faults.add(diagnostic, member.value.best(member.at));
        }
    }
    out
}

/// Whether a text is a DNS-1123 subdomain of at most so many characters.
pub(super) fn is_dns_name(text: &str, most: usize) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= most && text.split('.').all(label)
}

/// A text as a DNS-1123 name.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            out.push(letter);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.truncate(63);
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_of_groups_are_told_from_foreign_ones() {
        let apis = ["itglue", "rest"];
        for (wrong, right) in [
            ("itglue.plum.dev", "itglue.plumb.dev"),
            ("itglu.plumb.dev", "itglue.plumb.dev"),
            ("ITGlue.plumb.dev", "itglue.plumb.dev"),
            ("itglue.plumb.io", "itglue.plumb.dev"),
            ("itglue", "itglue.plumb.dev"),
            ("plumb.de", "plumb.dev"),
            ("plumb.io", "plumb.dev"),
            ("plumb.sh", "plumb.dev"),
        ] {
            assert_eq!(near_group(wrong, &apis).as_deref(), Some(right), "{wrong}");
        }
        for foreign in ["apps", "v1", "kustomize.config.k8s.io", "source.toolkit.fluxcd.io", "example.dev", "k8s.dev"] {
            assert_eq!(near_group(foreign, &apis), None, "{foreign}");
        }
    }

    #[test]
    fn names_are_dns_names_and_slugs_are_names() {
        assert!(is_dns_name("happy-frog.eu", 253));
        for bad in ["", "Happy", "a_b", "-a", "a-", "a..b", "ü"] {
            assert!(!is_dns_name(bad, 253), "{bad}");
        }
        assert_eq!(slug("Happy Frog (EU)"), "happy-frog-eu");
    }
}
