//! The connections of a stack: which one an object belongs to, and what it gives the object.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;

use super::{
    connection::Defaults,
    faults::{Faults, listed},
    model::Connection,
    node::{Mark, Member},
};
use crate::{
    description::{Api, Catalog, compiled::VERSION, format::AuthScheme},
    diagnostic::{Diagnostic, Place, nearest},
    value::Fields,
};

/// The connections so far.
#[derive(Default)]
pub(super) struct Accounts {
    /// Those whose API is known.
    pub(super) connections: IndexMap<String, Connection>,
    /// Names of connections, by their API.
    by_api: HashMap<String, Vec<String>>,
    /// Connections whose manifests are wrong: what uses them is not told off for it.
    broken: HashSet<String>,
    places: HashMap<String, Place>,
    /// APIs of which it was said that they have no connection: once is enough, however many manifests there are.
    missed: HashSet<String>,
    defaults: HashMap<String, Defaults>,
}

impl Accounts {
    /// Takes a name for a connection; the place of the one that has it already otherwise.
    pub(super) fn claim(&mut self, name: &str, place: Place) -> Result<(), Place> {
        if let Some(first) = self.places.get(name) {
            return Err(*first);
        }
        self.places.insert(name.to_owned(), place);
        Ok(())
    }

    /// Adds a connection.
    pub(super) fn add(&mut self, connection: Connection, defaults: Defaults, broken: bool) {
        if broken {
            self.broken.insert(connection.name.clone());
        }
        if !connection.api.is_empty() {
            self.by_api.entry(connection.api.clone()).or_default().push(connection.name.clone());
            self.defaults.insert(connection.name.clone(), defaults);
            self.connections.insert(connection.name.clone(), connection);
        }
    }

    /// Says which of the names to override are no connection's.
    pub(super) fn check_overrides(&self, names: &[String]) -> Vec<Diagnostic> {
        let unknown = names.iter().filter(|name| !self.places.contains_key(*name));
        unknown
            .map(|name| {
                let diagnostic = Diagnostic::error("PL0301", format!("There is no connection `{name}` to override."));
                unknown_connection(diagnostic, name, self.places.keys())
            })
            .collect()
    }

    /// What the connection of an object gives it.
    pub(super) fn defaults(&self, api: &str, kind: &str, named: Option<&Member<'_>>) -> Option<Fields> {
        let only = match self.by_api.get(api).map(Vec::as_slice) {
            Some([only]) => Some(only.as_str()),
            _ => None,
        };
        let name = named.and_then(|member| member.value.as_text()).or(only)?;
        self.defaults.get(name)?.get(kind).cloned()
    }

    /// The connection of an object: the one that it names, or the only one of its API.
    pub(super) fn choose(
        &mut self,
        api: &str,
        catalog: &Catalog,
        named: Option<&Member<'_>>,
        at: Mark,
        faults: &mut Faults<'_>,
    ) -> Option<String> {
        let of_api = self.by_api.get(api).map(Vec::as_slice).unwrap_or_default();
        let Some(member) = named.filter(|member| !member.value.is_null()) else {
            return match of_api {
                [only] => Some(only.clone()),
                [] if !self.broken.is_empty() || !self.missed.insert(api.to_owned()) => None,
                [] => {
                    let example = format!("Write one:\n{}", connection_example(api, catalog.api(api)));
                    let message = format!("There is no connection for the API `{api}`.");
                    faults.add(Diagnostic::error("PL0302", message).hint(example), at);
                    None
                }
                several => {
                    let message = format!(
                        "The API `{api}` has {} connections, {}: the manifest has to name one.",
                        several.len(),
                        listed(several)
                    );
                    let hint = format!("Write `connection: {}` under `spec`.", several.first().map_or("", |s| s));
                    faults.add(Diagnostic::error("PL0303", message).hint(hint), at);
                    None
                }
            };
        };
        let at = member.value.best(member.at);
        let Some(name) = member.value.as_text() else {
            faults.error("PL0301", "`connection` has to be the name of a connection.", at);
            return None;
        };
        match self.connections.get(name) {
            Some(connection) if connection.api == api => Some(name.to_owned()),
            Some(connection) => {
                let message =
                    format!("The connection `{name}` is one of the API `{}`, not of `{api}`.", connection.api);
                let diagnostic = Diagnostic::error("PL0301", message);
                faults.add(
                    if of_api.is_empty() {
                        diagnostic
                    } else {
                        diagnostic.hint(format!("`{api}` has {}.", listed(of_api)))
                    },
                    at,
                );
                None
            }
            None if self.broken.contains(name) => None,
            None => {
                let diagnostic = Diagnostic::error("PL0301", format!("There is no connection `{name}`."));
                faults.add(unknown_connection(diagnostic, name, of_api), at);
                None
            }
        }
    }
}

fn unknown_connection<'n>(
    diagnostic: Diagnostic,
    name: &str,
    names: impl IntoIterator<Item = &'n String>,
) -> Diagnostic {
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.sort_unstable();
    match nearest(name, names.iter().copied()) {
        Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
        None if names.is_empty() => diagnostic,
        None => diagnostic.hint(format!("There are {}.", listed(names))),
    }
}

/// A manifest of a connection to an API, whose credential comes from the usual variable.
pub fn connection_example(name: &str, api: Option<&Arc<Api>>) -> String {
    let auth = auth_example(api);
    format!("apiVersion: plumb.dev/{VERSION}\nkind: Connection\nmetadata: {{name: {name}}}\nspec:\n  api: {name}{auth}")
}

fn auth_example(api: Option<&Arc<Api>>) -> String {
    let Some(api) = api else { return String::new() };
    let variable = api.name.to_uppercase().replace('-', "_");
    let secret = |name: &str| format!("{{valueFrom: {{env: {variable}_{name}}}}}");
    let url = if api.spec.url.is_none() { "\n  url: https://HOST" } else { "" };
    let auth = match api.spec.auth.first() {
        None => return url.to_owned(),
        Some(AuthScheme::ApiKey(_)) => format!("{{apiKey: {}}}", secret("API_KEY")),
        Some(AuthScheme::Bearer(_)) => format!("{{bearer: {}}}", secret("TOKEN")),
        Some(AuthScheme::Basic(_)) => format!("{{basic: {{username: NAME, password: {}}}}}", secret("PASSWORD")),
        Some(AuthScheme::Login(_)) => format!("{{login: {{email: EMAIL, password: {}}}}}", secret("PASSWORD")),
        Some(AuthScheme::Oauth2(_)) => {
            format!("{{oauth2: {{clientId: ID, clientSecret: {}}}}}", secret("CLIENT_SECRET"))
        }
    };
    format!("{url}\n  auth: {auth}")
}
