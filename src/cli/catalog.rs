//! What verbs that explain speak of: the built-in APIs and those that manifests describe, and kinds by the names that
//! people give them (`[API.]KIND[.FIELD]`, or `API/KIND` as in addresses).

use std::sync::Arc;

use super::{args::Global, console::Console, options, show};
use crate::{
    apis,
    description::{Api, Catalog, Kind},
    diagnostic::{Diagnostic, nearest},
    failure::Failure,
    pipeline,
};

/// The built-in APIs, and those of `kind: Api` documents among the inputs. What is wrong with those is told, and they
/// are left out.
pub(super) fn catalog(global: &Global, console: &mut Console) -> Result<Catalog, Failure> {
    let loaded = pipeline::load(&options::base(global, console)?)?;
    let mut about_apis: Vec<Diagnostic> = loaded
        .manifests
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error() && diagnostic.code.starts_with("PL09"))
        .cloned()
        .collect();
    // Nobody named the folder that one happens to be in: its faults are another command's to tell.
    if global.file.is_empty() && !about_apis.is_empty() {
        let message = "Descriptions of APIs in this folder cannot be used.";
        about_apis =
            vec![Diagnostic::warning("PL0901", message).hint("`plumb validate` tells what is wrong with them.")];
    }
    show::diagnostics(&about_apis, &loaded.snapshot.sources, console);
    Ok(loaded.manifests.catalog)
}

/// The same, but the inputs are read only where they are given, or where no built-in API has what is asked for.
pub(super) fn catalog_with(subject: &str, global: &Global, console: &mut Console) -> Result<Catalog, Failure> {
    if global.file.is_empty() && find(apis::builtin(), subject).is_ok() {
        return Ok(apis::builtin().clone());
    }
    catalog(global, console)
}

/// The kinds of plumb's own, but for `Api`.
pub(super) const CORE: [&str; 2] = ["Connection", "Stack"];

/// The name of a kind of plumb's own, however its letters are written.
pub(super) fn core(name: &str) -> Option<&'static str> {
    CORE.into_iter().find(|kind| kind.eq_ignore_ascii_case(name))
}

/// A kind, and the field of it that a name goes on to.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) api: &'a Arc<Api>,
    pub(super) kind: &'a Arc<Kind>,
    /// Names of fields, from the outermost.
    pub(super) path: Vec<&'a str>,
}

/// Finds what `[API.]KIND[.FIELD]...` names. Case counts for nothing in a kind's name.
pub(super) fn find<'a>(catalog: &'a Catalog, text: &'a str) -> Result<Subject<'a>, Failure> {
    let mut parts: Vec<&str> = text.split(['.', '/']).collect();
    // The group of an `apiVersion` names the API too.
    if parts.get(1..3) == Some(&["plumb", "dev"]) {
        let version = usize::from(parts.get(3).is_some_and(|part| part.starts_with("v1")));
        parts.drain(1..3 + version);
    }
    let (first, rest) = parts.split_first().ok_or_else(|| unknown(catalog, None, text))?;
    if let Some(api) = catalog.api(first) {
        let Some((name, path)) = rest.split_first() else {
            return Err(Failure::user(format!("`{text}` names an API, not a kind of it."))
                .hint(format!("Its kinds are {}.", listed(names(api).iter().map(String::as_str)))));
        };
        let kind = kind(api, name).ok_or_else(|| unknown(catalog, Some(api), name))?;
        return Ok(Subject { api, kind, path: path.to_vec() });
    }
    let found: Vec<_> = catalog.apis.values().filter_map(|api| Some((api, kind(api, first)?))).collect();
    match found[..] {
        [(api, kind)] => Ok(Subject { api, kind, path: rest.to_vec() }),
        [] => Err(unknown(catalog, None, first)),
        _ => {
            let full: Vec<String> = found.iter().map(|(api, kind)| format!("{}.{}", api.name, kind.name)).collect();
            Err(Failure::user(format!("Several APIs have a kind `{first}`."))
                .hint(format!("Say which: {}.", listed(full.iter().map(String::as_str)))))
        }
    }
}

fn kind<'a>(api: &'a Api, name: &str) -> Option<&'a Arc<Kind>> {
    let named = |kind: &&Arc<Kind>| {
        kind.name.eq_ignore_ascii_case(name) || kind.spec.short_names.iter().any(|short| short == name)
    };
    api.kind(name).or_else(|| api.kinds.values().find(named))
}

fn names(api: &Api) -> Vec<String> {
    api.kinds.keys().cloned().collect()
}

fn unknown(catalog: &Catalog, api: Option<&Arc<Api>>, name: &str) -> Failure {
    let candidates: Vec<String> = match api {
        Some(api) => names(api).iter().map(|kind| format!("{}.{kind}", api.name)).collect(),
        None => catalog.apis.values().flat_map(|api| names(api)).chain(catalog.apis.keys().cloned()).collect(),
    };
    let (message, asked) = match api {
        Some(api) => (format!("`{}` has no kind `{name}`.", api.name), format!("{}.{name}", api.name)),
        None => (format!("There is no API and no kind `{name}`."), name.to_owned()),
    };
    let failure = Failure::user(message);
    match nearest(&asked, candidates.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("Did you mean `{near}`?")),
        None => failure.hint("`plumb apis` lists the APIs and their kinds."),
    }
}

/// Joins names as prose: `a`, `b`, `c`.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<String, Failure> {
        let subject = find(apis::builtin(), text)?;
        Ok(format!("{}/{}:{}", subject.api.name, subject.kind.name, subject.path.join("/")))
    }

    #[test]
    fn kinds_are_found_by_the_names_that_people_give() {
        assert_eq!(named("itglue.Password").unwrap(), "itglue/Password:");
        assert_eq!(named("itglue/Password").unwrap(), "itglue/Password:");
        assert_eq!(named("cycloid/Team.owner").unwrap(), "cycloid/Team:owner");
        assert_eq!(named("password.organization").unwrap(), "itglue/Password:organization");
        assert_eq!(named("itglue.plumb.dev/v1alpha1/Password.organization").unwrap(), "itglue/Password:organization");
        assert_eq!(named("itglue.plumb.dev/Password").unwrap(), "itglue/Password:");
        assert_eq!(named("itgpw").unwrap(), "itglue/Password:");
        assert_eq!(named("itglue.FlexibleAssetType.fields.kind").unwrap(), "itglue/FlexibleAssetType:fields/kind");
    }

    #[test]
    fn what_is_not_found_gets_the_nearest_name_or_the_candidates() {
        for (text, message, hint) in [
            ("itglue.Pasword", "`itglue` has no kind `Pasword`.", "Did you mean `itglue.Password`?"),
            ("Pasword", "There is no API and no kind `Pasword`.", "Did you mean `Password`?"),
            ("itglu", "There is no API and no kind `itglu`.", "Did you mean `itglue`?"),
            ("Xyzzy", "There is no API and no kind `Xyzzy`.", "`plumb apis` lists the APIs and their kinds."),
            (
                "Organization",
                "Several APIs have a kind `Organization`.",
                "Say which: `bindplane.Organization`, `itglue.Organization`, `balena.Organization`, `rest.Organization`, `cycloid.Organization`.",
            ),
        ] {
            let failure = named(text).unwrap_err();
            assert_eq!((failure.message.as_str(), failure.hints[0].as_str()), (message, hint));
        }
    }
}
