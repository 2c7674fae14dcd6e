//! Live objects of the connections → manifests, which are read back before anybody sees them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use super::{Options, connect::connect_to, load::Loaded};
use crate::{
    description::{Api, Kind, compiled::CORE_VERSION},
    diagnostic::{Diagnostic, Sources, nearest},
    export::{self, Exported, Layout, Wanted, files, is_key},
    failure::Failure,
    inventory::{HashKey, State},
    live::{Depth, ObserveOptions, Observer, Place, Remote, Standing, Surveyed},
    manifest::{self, LoadOptions, connection_example},
    progress::ProgressEvent,
    secret::Vault,
    source::Snapshot,
};

/// What an export is asked for.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Objects that are asked for; all, where there are none.
    pub wanted: Vec<Wanted>,
    /// Connections to read; all, where there are none.
    pub from: Vec<String>,
    /// An API to make a connection for, where the manifests have none.
    pub api: Option<String>,
    /// What may be sensitive becomes a stub too.
    pub redact: bool,
    /// Kinds and fields that are left out.
    pub omit: Vec<(String, String)>,
    /// What manifests declare is left out, and named as they name it.
    pub unmanaged: bool,
}

/// What an export came to.
pub struct Export {
    /// The manifests, and what people have to fill in.
    pub exported: Exported,
    /// The manifest of the connection that was made for it.
    pub connection: Option<String>,
    /// Requests that were sent.
    pub requests: u64,
    /// Everything that there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
}

/// Reads what is live and writes manifests of it. Nothing is written to the API.
pub async fn export(options: &Options, asked: &ExportOptions) -> Result<Export, Failure> {
    let (mut loaded, connection) = with_connection(options, asked)?;
    // Hashes of this run are compared with none.
    let key =
        HashKey::random().map_err(|error| Failure::config(format!("The system gives no random numbers: {error}.")))?;
    let vault = Arc::new(Vault::new(key));
    let mut diagnostics = loaded.snapshot.diagnostics.clone();
    diagnostics.extend(loaded.manifests.diagnostics.iter().cloned());
    // Of objects, only the names matter; but what they keep secret is secret in an export, too.
    let secrets = loaded.resolve_secrets(&vault, options).await;
    if !asked.unmanaged {
        loaded.manifests.objects.clear();
        // What is wrong with an object that is declared already is no matter here.
        diagnostics.retain(|diagnostic| diagnostic.address.is_none());
    }
    diagnostics.extend(secrets.into_iter().filter(|diagnostic| diagnostic.address.is_none()));
    diagnostics.retain(Diagnostic::is_error);
    let names = chosen(&loaded, asked)?;
    let wanted = spelled(&loaded, &names, &asked.wanted);
    let places = places(&loaded, &names, &wanted)?;
    check_omitted(&loaded, &asked.omit)?;
    let mut connected =
        connect_to(names.iter().map(String::as_str).collect(), &loaded, &vault, options, &mut diagnostics).await?;
    for remote in connected.remotes.values_mut() {
        // An export writes no secret, and so it asks for none.
        remote.secrets = false;
        // Nor does any manifest say which fields matter: all do.
        remote.wanted = Arc::default();
    }
    let state = if asked.unmanaged { loaded.open_inventory(options).await?.state().clone() } else { State::default() };
    let depth = Depth::Whole { omit: &asked.omit };
    let surveyed = survey(&loaded, &state, &connected.remotes, &vault, options, &places, depth, &mut diagnostics).await;
    diagnostics.extend(surveyed.observed.diagnostics.iter().cloned());
    diagnostics.extend(told(&surveyed, &wanted));
    if wanted.is_empty() {
        diagnostics.extend(connected.remotes.iter().filter_map(|(name, remote)| by_name(name, &remote.api)));
    }
    let apis: HashMap<String, Arc<Api>> =
        connected.remotes.iter().map(|(name, remote)| (name.clone(), remote.api.clone())).collect();
    let defaults = loaded.manifests.connections.values().map(|one| (one.name.clone(), one.defaults.clone())).collect();
    let secret_vault = vault.clone();
    let is_secret = move |text: &str| matches!(secret_vault.mask(text), std::borrow::Cow::Owned(_));
    let exported = export::export(
        &surveyed,
        &apis,
        &places,
        &export::Options {
            wanted: &wanted,
            defaults: &defaults,
            is_secret: &is_secret,
            redact: asked.redact,
            omit: &asked.omit,
            several: &several(&loaded),
            declared: &declared(&loaded, &surveyed),
        },
    );
    diagnostics.extend(exported.elsewhere.iter().map(|((connection, kind), count)| {
        let message = format!(
            "Not exported: {count} of what the API lists as {kind} of connection `{connection}`, because what they are in is not among the account's own."
        );
        Diagnostic::note("PL0712", message)
    }));
    options.progress.event(&ProgressEvent::Finished);
    diagnostics.extend(exported.left_out.iter().map(|(kind, id, why)| {
        Diagnostic::warning("PL0713", format!("The {} `{id}` cannot be managed: {why}.", kind.name))
            .hint("A comment stands in its place, and references name it by its id.")
    }));
    diagnostics.extend(read_back(&loaded, &exported));
    super::veil::diagnostics(&mut diagnostics, &vault);
    Ok(Export { exported, connection, requests: connected.sent(), diagnostics, sources: loaded.snapshot.sources })
}

/// Loads the manifests, and makes a connection where there is none and an API is named.
fn with_connection(options: &Options, asked: &ExportOptions) -> Result<(Loaded, Option<String>), Failure> {
    let builtin = crate::apis::builtin();
    let Some(api) = &asked.api else {
        let loaded = super::load(options)?;
        if loaded.manifests.connections.is_empty() && !loaded.manifests.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(no_connection(options, &loaded));
        }
        return Ok((loaded, None));
    };
    // An override may be of the connection that is about to be made.
    let overrides = options.connections.iter().filter(|(name, _)| name != api).cloned().collect();
    let loaded = super::load(&Options { connections: overrides, ..options.clone() })?;
    if loaded.manifests.connections.values().any(|connection| connection.api == *api) {
        return Ok((super::load(options)?, None));
    }
    let Some(known) = loaded.manifests.catalog.api(api).or_else(|| builtin.api(api)) else {
        let names = loaded.manifests.catalog.apis.keys().map(String::as_str);
        let failure = Failure::user(format!("There is no API `{api}`."));
        return Err(match nearest(api, names) {
            Some(near) => failure.hint(format!("Did you mean `{near}`?")),
            None => failure.hint("`plumb apis` lists them."),
        });
    };
    let text = format!("{}\n", connection_example(api, Some(known)));
    let beside = vec![("connection.yaml".to_owned(), text.clone())];
    Ok((super::load(&Options { beside, ..options.clone() })?, Some(text)))
}

/// Says what to write where there is nothing to read by.
fn no_connection(options: &Options, loaded: &Loaded) -> Failure {
    let apis = &loaded.manifests.catalog.apis;
    let set: Vec<(&String, String)> = apis
        .iter()
        .filter_map(|(name, api)| {
            let example = connection_example(name, Some(api));
            let variable = example.split("{env: ").nth(1)?.split('}').next()?;
            std::env::var_os(variable).filter(|value| !value.is_empty())?;
            Some((name, variable.to_owned()))
        })
        .collect();
    let failure = Failure::user(format!(
        "There is no connection in `{}`, so that there is no account to export.",
        options.inputs.join("`, `")
    ));
    let Some((name, variable)) = set.first() else {
        let names: Vec<String> = apis.keys().map(|name| format!("`{name}`")).collect();
        let example = apis
            .get_key_value("itglue")
            .or_else(|| apis.first())
            .map(|(name, api)| connection_example(name, Some(api)));
        return failure
            .hint(format!(
                "Name the API with `--api NAME`, one of {}: it says which variable it takes the credential from.",
                names.join(", ")
            ))
            .hint(format!(
                "Or write a connection, and set the variable that it names:\n{}",
                example.unwrap_or_default()
            ));
    };
    failure.hint(format!(
        "`{variable}` is set: `plumb export --api {name}` reads that account, and writes its connection too."
    ))
}

/// The connections to read.
fn chosen(loaded: &Loaded, asked: &ExportOptions) -> Result<BTreeSet<String>, Failure> {
    let connections = &loaded.manifests.connections;
    for name in &asked.from {
        if !connections.contains_key(name) {
            let failure = Failure::user(format!("There is no connection `{name}`."));
            return Err(match nearest(name, connections.keys().map(String::as_str)) {
                Some(near) => failure.hint(format!("Did you mean `{near}`?")),
                None => failure,
            });
        }
    }
    let by_api = |api: &String| asked.api.as_ref().is_none_or(|wanted| wanted == api);
    Ok(connections
        .values()
        .filter(|connection| asked.from.is_empty() || asked.from.contains(&connection.name))
        .filter(|connection| by_api(&connection.api))
        .map(|connection| connection.name.clone())
        .collect())
}

/// APIs that have several connections.
fn several(loaded: &Loaded) -> BTreeSet<String> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for connection in loaded.manifests.connections.values() {
        *count.entry(&connection.api).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(api, _)| api.to_owned()).collect()
}

/// What is asked for, with kinds spelled as their APIs do: plurals, short names and other letter case are understood.
fn spelled(loaded: &Loaded, names: &BTreeSet<String>, wanted: &[Wanted]) -> Vec<Wanted> {
    let apis = names.iter().filter_map(|name| {
        let connection = loaded.manifests.connections.get(name)?;
        loaded.manifests.catalog.api(&connection.api)
    });
    let kinds: Vec<&Arc<Kind>> = apis.flat_map(|api| api.kinds.values()).collect();
    wanted
        .iter()
        .map(|one| {
            let word = one.kind.to_lowercase().replace(['-', '_'], "");
            let is = |kind: &&&Arc<Kind>| {
                kind.name.to_lowercase() == word || kind.plural() == word || kind.spec.short_names.contains(&word)
            };
            let kind = if kinds.iter().any(|kind| kind.name == one.kind) { None } else { kinds.iter().find(is) };
            Wanted { kind: kind.map_or_else(|| one.kind.clone(), |kind| kind.name.clone()), ..one.clone() }
        })
        .collect()
}

/// The kinds of each connection that are asked for.
fn places(loaded: &Loaded, names: &BTreeSet<String>, wanted: &[Wanted]) -> Result<BTreeSet<Place>, Failure> {
    let apis: Vec<(&String, &Arc<Api>)> = names
        .iter()
        .filter_map(|name| {
            let connection = loaded.manifests.connections.get(name)?;
            Some((name, loaded.manifests.catalog.api(&connection.api)?))
        })
        .collect();
    for one in wanted {
        let of_api = |api: &Api| one.api.as_ref().is_none_or(|name| *name == api.name);
        let found: Vec<&Arc<Kind>> =
            apis.iter().filter(|(_, api)| of_api(api)).filter_map(|(_, api)| api.kind(&one.kind)).collect();
        if found.iter().any(|kind| kind.is_declarable()) {
            continue;
        }
        return Err(match found.first() {
            Some(kind) if kind.inside().is_some() => {
                let parents: Vec<String> = kind
                    .inside()
                    .into_iter()
                    .flat_map(|inside| inside.parents.keys())
                    .map(|parent| format!("`{parent}`"))
                    .collect();
                Failure::user(format!("Objects of kind `{}` are written inside others.", one.kind))
                    .hint(format!("They come along with {}.", parents.join(", ")))
            }
            Some(_) => Failure::user(format!("Objects of kind `{}` cannot be declared, only referred to.", one.kind))
                .hint("An export writes what manifests can declare; `plumb apis` lists it."),
            None => {
                let failure = Failure::user(format!("The connections have no kind `{}`.", one.kind));
                let known = apis.iter().flat_map(|(_, api)| api.kinds.values()).filter(|kind| kind.is_declarable());
                match nearest(&one.kind, known.map(|kind| kind.name.as_str())) {
                    Some(near) => failure.hint(format!("Did you mean `{near}`?")),
                    None => failure.hint("`plumb apis` lists the kinds of each API."),
                }
            }
        });
    }
    let is_wanted = |api: &Api, kind: &Kind| {
        (wanted.is_empty() && !kind.spec.exported_by_name)
            || wanted.iter().any(|one| one.kind == kind.name && one.api.as_ref().is_none_or(|name| *name == api.name))
    };
    Ok(apis
        .iter()
        .flat_map(|(name, api)| api.kinds.values().map(move |kind| (*name, *api, kind)))
        .filter(|(_, api, kind)| kind.is_declarable() && is_wanted(api, kind))
        .map(|(name, _, kind)| (name.clone(), kind.name.clone()))
        .collect())
}

/// Refuses to leave out what is not there.
fn check_omitted(loaded: &Loaded, omit: &[(String, String)]) -> Result<(), Failure> {
    for (kind, field) in omit {
        let kinds =
            || loaded.manifests.catalog.apis.values().flat_map(|api| api.kinds.values().map(move |kind| (api, kind)));
        let has = |(api, known): &(&Arc<Api>, &Arc<Kind>)| {
            (known.name == *kind || kind == "*")
                && (known.field(field).is_some() || api.inside(&known.name, field).is_some())
        };
        let found: Vec<&Arc<Kind>> = kinds().filter(has).map(|(_, known)| known).collect();
        if kind != "*" && !found.is_empty() && found.iter().all(|known| is_key(known, field)) {
            return Err(Failure::user(format!(
                "`{kind}.{field}` cannot be left out: it tells one object from another."
            )));
        }
        if !found.is_empty() {
            continue;
        }
        let failure = Failure::user(format!("There is no field `{kind}.{field}` to leave out."));
        let fields = kinds().filter(|(_, known)| known.name == *kind).flat_map(|(_, known)| known.spec.fields.keys());
        return Err(match nearest(field, fields.map(String::as_str)) {
            Some(near) => failure.hint(format!("Did you mean `{kind}.{near}`?")),
            None => failure.hint(format!("`plumb explain {kind}` lists the fields.")),
        });
    }
    Ok(())
}

/// Reads kinds whole, and finds what is declared among them.
#[expect(clippy::too_many_arguments, reason = "each is a different part of the stack")]
pub(super) async fn survey(
    loaded: &Loaded,
    state: &State,
    remotes: &HashMap<String, Remote>,
    vault: &Arc<Vault>,
    options: &Options,
    places: &BTreeSet<Place>,
    depth: Depth<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Surveyed {
    let (graph, wrong) = crate::graph::build(&loaded.manifests, &loaded.snapshot.sources);
    diagnostics.extend(wrong);
    let seal_vault = vault.clone();
    let seal = move |text: &str| seal_vault.seal(text);
    let progress = options.progress.clone();
    let tell = move |connection: &str, kind: &str, found: Option<usize>| match found {
        None => progress.event(&ProgressEvent::Observing { connection, kind, pages: 0, total: None }),
        Some(objects) => progress.event(&ProgressEvent::Observed { connection, kind, objects }),
    };
    let observer = Observer::new(
        &loaded.manifests,
        &loaded.snapshot.sources,
        &graph,
        state,
        remotes,
        &seal,
        ObserveOptions::default(),
        &tell,
    );
    Box::pin(observer.survey(places, depth)).await
}

/// The live objects that have manifests, and what those are called.
fn declared(loaded: &Loaded, surveyed: &Surveyed) -> HashMap<usize, String> {
    let standing = surveyed.observed.standing.iter().enumerate();
    standing
        .filter_map(|(index, standing)| match standing {
            Standing::Known(Some(live)) => Some((*live, loaded.manifests.objects.get(index)?)),
            _ => None,
        })
        .filter(|(_, object)| object.parent.is_none())
        .map(|(live, object)| (live, object.address.name.to_string()))
        .collect()
}

/// Says which kinds are exported only where they are named.
fn by_name(connection: &str, api: &Api) -> Option<Diagnostic> {
    let kinds = api.kinds.values().filter(|kind| kind.is_declarable() && kind.spec.exported_by_name);
    let names: Vec<&str> = kinds.map(|kind| kind.name.as_str()).collect();
    let first = names.first()?;
    let message = format!(
        "Objects of the kinds {} of connection `{connection}` are not exported: most are the vendor's own, and others refer to \
         them by name.",
        names.join(", ")
    );
    Some(Diagnostic::note("PL0710", message).hint(format!("Name those that are yours: `plumb export '{first}/NAME'`.")))
}

/// What was not exported, and why.
fn told(surveyed: &Surveyed, wanted: &[Wanted]) -> Vec<Diagnostic> {
    let unlisted = surveyed.unlisted.iter().map(|(connection, kind)| {
        let asked = wanted.iter().any(|one| one.kind == *kind);
        let message =
            format!("Objects of kind {kind} of connection `{connection}` are not exported: the API cannot list them.");
        let told = if asked { Diagnostic::warning("PL0710", message) } else { Diagnostic::note("PL0710", message) };
        told.hint("Write their manifests, and `plumb import` each by its id.")
    });
    let foreign = surveyed.foreign.iter().map(|(connection, kind, count)| {
        let message = format!(
            "Not exported: {count} of what the API lists as {kind} of connection `{connection}`, because they are parts of something else."
        );
        Diagnostic::note("PL0712", message)
    });
    unlisted.chain(foreign).collect()
}

/// Reads the manifests as a plan would, and tells of those that it would refuse.
fn read_back(loaded: &Loaded, exported: &Exported) -> Vec<Diagnostic> {
    if exported.documents.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    for connection in loaded.manifests.connections.values() {
        // Only the name and the API matter: nothing is sent by it.
        let _ = write!(
            text,
            "apiVersion: {CORE_VERSION}\nkind: Connection\nmetadata: {{name: {}}}\n\
             spec: {{api: {}, url: \"https://localhost\", defaults: {}}}\n---\n",
            connection.name,
            connection.api,
            serde_json::json!(connection.defaults)
        );
    }
    let files = files(&exported.documents, Layout::Kind).into_iter().map(|file| (file.path, file.text));
    let mut snapshot = Snapshot::of(std::iter::once(("connections".to_owned(), text)).chain(files));
    let manifests = manifest::load(&mut snapshot, &loaded.manifests.catalog, &LoadOptions::default());
    let (_, wrong) = crate::graph::build(&manifests, &snapshot.sources);
    manifests
        .diagnostics
        .iter()
        .chain(&wrong)
        .filter(|diagnostic| diagnostic.is_error())
        .map(|diagnostic| {
            let whose = diagnostic.address.as_ref().map(ToString::to_string).unwrap_or_default();
            let message =
                format!("The manifest of `{whose}` needs a hand before it can be planned: {}", diagnostic.message);
            Diagnostic { hints: diagnostic.hints.clone(), ..Diagnostic::warning("PL0711", message) }
        })
        .collect()
}
