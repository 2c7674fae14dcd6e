//! A snapshot → all its manifests: APIs first, then stack and connections, then the objects that need both.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    accounts::Accounts,
    annotations,
    claims::{Claimant, Claims},
    connection,
    convert::Convert,
    faults::{Faults, listed},
    header::{self, CORE_KINDS, Header, Owner},
    model::{DocumentRef, Manifest, Manifests, Plaintexts},
    node::{Member, Node, Shape},
    object, parse,
    scalar::Patterns,
    stack,
};
use crate::{
    address::Address,
    description::{
        Api, Catalog, Kind,
        compiled::{GROUP_SUFFIX, VERSION},
    },
    diagnostic::{Diagnostic, Place, SourceId, nearest},
    source::{self, Snapshot},
};

/// What the command line says about loading.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--allow-plaintext-secrets`.
    pub allow_plaintext_secrets: bool,
    /// Names of the connections that `--connection NAME=URL` gives another address.
    pub connection_overrides: Vec<String>,
    /// From this text on, only connections, APIs and the stack count, and before it only objects: what somebody
    /// proposes may not say where a credential goes.
    pub settings_from: Option<SourceId>,
}

/// Reads and checks everything that a snapshot declares. Secrets that stand in it in plain text are struck out of its
/// texts, so that nothing that draws a source line can show one.
pub fn load(snapshot: &mut Snapshot, builtins: &Catalog, options: &LoadOptions) -> Manifests {
    let texts: Vec<(SourceId, Arc<str>, String)> = (0..)
        .map(SourceId)
        .zip(&snapshot.sources.texts)
        .map(|(id, source)| (id, source.text.clone(), source.path.clone()))
        .collect();
    let mut loader = Loader::new(builtins, options);
    loader.manifests.incomplete = !snapshot.is_complete();
    let mut documents = Vec::new();
    for (source, text, _) in &texts {
        let parsed = parse::documents(text, *source);
        loader.manifests.diagnostics.extend(parsed.diagnostics);
        loader.manifests.incomplete |= parsed.lost;
        for document in parsed.documents {
            let start = document.root.at.start;
            documents.push(Document {
                source: *source,
                text,
                broken: document.broken,
                at: DocumentRef { source: *source, index: start, item: None },
                root: document.root,
            });
        }
    }
    if documents.is_empty() && !snapshot.empty && !loader.manifests.incomplete {
        loader.manifests.diagnostics.push(source::nothing_in(&snapshot.roots));
    }
    let mut documents = loader.flatten(documents);
    if let Some(from) = options.settings_from {
        documents.retain(|document| is_setting(&document.root) == (document.source >= from));
    }
    loader.apis(&documents);
    let objects = loader.sort_out(&documents, &texts);
    let overrides = loader.accounts.check_overrides(&options.connection_overrides);
    loader.manifests.diagnostics.extend(overrides);
    for (document, api) in objects {
        loader.object(document, &api);
    }
    let Loader { mut manifests, plaintexts, accounts, .. } = loader;
    manifests.connections = accounts.connections;
    manifests.diagnostics.sort_by_key(|diagnostic| diagnostic.place);
    plaintexts.strike_out(&mut snapshot.sources);
    manifests.plaintexts = plaintexts;
    manifests
}

/// One document, or one item of a `List`.
struct Document<'t> {
    source: SourceId,
    text: &'t str,
    root: Node<'t>,
    /// Its YAML is wrong somewhere, and that is reported.
    broken: bool,
    at: DocumentRef,
}

struct Loader<'o> {
    builtins: &'o Catalog,
    options: &'o LoadOptions,
    manifests: Manifests,
    patterns: Patterns,
    plaintexts: Plaintexts,
    stack_at: Option<Place>,
    accounts: Accounts,
    /// APIs whose descriptions are wrong.
    broken_apis: HashSet<String>,
    claims: Claims,
    names: HashMap<String, Arc<str>>,
}

impl<'o> Loader<'o> {
    fn new(builtins: &'o Catalog, options: &'o LoadOptions) -> Self {
        Self {
            builtins,
            options,
            manifests: Manifests { catalog: builtins.clone(), ..Manifests::default() },
            patterns: Patterns::default(),
            plaintexts: Plaintexts::default(),
            stack_at: None,
            accounts: Accounts::default(),
            broken_apis: HashSet::new(),
            claims: Claims::default(),
            names: HashMap::new(),
        }
    }

    /// One `Arc` for each name that many addresses share.
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        let name: Arc<str> = text.into();
        self.names.insert(text.to_owned(), name.clone());
        name
    }

    fn owner(&self, root: &Node<'_>) -> Owner {
        let known = |name: &str| self.manifests.catalog.api(name).is_some() || self.broken_apis.contains(name);
        header::owner(root, &known, &self.manifests.catalog)
    }

    fn finish(&mut self, faults: Faults<'_>) {
        self.manifests.diagnostics.extend(faults.list);
    }

    fn convert<'t>(&mut self, faults: Faults<'t>, kind: Option<&Kind>) -> Convert<'_, 't> {
        Convert {
            faults,
            patterns: &mut self.patterns,
            plaintexts: &mut self.plaintexts,
            allow_plaintext: self.options.allow_plaintext_secrets,
            files_in_maps: kind.is_some_and(|kind| kind.spec.hook.is_some()),
            missing: Vec::new(),
        }
    }

    /// Takes the items out of `List` documents.
    fn flatten<'t>(&self, documents: Vec<Document<'t>>) -> Vec<Document<'t>> {
        let mut out = Vec::with_capacity(documents.len());
        for mut document in documents {
            let Owner::List = self.owner(&document.root) else {
                out.push(document);
                continue;
            };
            let Shape::Map(members) = &mut document.root.shape else { continue };
            let items = members.iter_mut().find(|member| member.key == "items");
            let Some(Shape::List(items)) = items.map(|items| &mut items.value.shape) else { continue };
            let items = std::mem::take(items).into_iter().map(|root| Document {
                at: DocumentRef { item: Some(root.at.start), ..document.at },
                source: document.source,
                text: document.text,
                broken: document.broken,
                root,
            });
            out.extend(self.flatten(items.collect()));
        }
        out
    }

    /// Reads the APIs that documents describe.
    fn apis(&mut self, documents: &[Document<'_>]) {
        for document in documents {
            if document.root.get("kind").and_then(Node::as_text) != Some("Api")
                || self.owner(&document.root) != Owner::Core
            {
                continue;
            }
            let mut faults = Faults::new(document.source, document.text);
            let Some(header) = header::header(&document.root, &mut faults) else {
                self.manifests.incomplete = true;
                self.finish(faults);
                continue;
            };
            let spec = header.spec.map(|spec| &spec.value);
            let api = super::api::read(&header.name, header.name_at, spec, self.builtins, &mut faults);
            annotations::read(&header, None, &mut faults);
            match api {
                _ if self.manifests.described.contains_key(&header.name) => {
                    let message = format!("The API `{}` is described twice.", header.name);
                    faults.error("PL0110", message, header.name_at);
                }
                Some(api) if !faults.any_error() && !document.broken => {
                    self.manifests.described.insert(header.name.clone(), document.at);
                    self.manifests.catalog.insert(api);
                }
                _ => {
                    self.manifests.incomplete = true;
                    self.broken_apis.insert(header.name.clone());
                }
            }
            self.finish(faults);
        }
    }

    /// Reads stack and connections, passes over what is not ours, and gives back the objects.
    fn sort_out<'d, 't>(
        &mut self,
        documents: &'d [Document<'t>],
        texts: &[(SourceId, Arc<str>, String)],
    ) -> Vec<(&'d Document<'t>, String)> {
        let mut objects = Vec::new();
        let mut foreign: HashMap<SourceId, (usize, Place)> = HashMap::new();
        for document in documents {
            match self.owner(&document.root) {
                Owner::Api(api) => objects.push((document, api)),
                Owner::Core => self.core(document),
                Owner::Foreign | Owner::List => {
                    let place = document.root.at.place(document.source, document.text);
                    foreign.entry(document.source).or_insert((0, place)).0 += 1;
                }
                Owner::Misspelled(wrong) => {
                    self.manifests.incomplete = true;
                    let mut faults = Faults::new(document.source, document.text);
                    faults.add(wrong.0, wrong.1);
                    self.finish(faults);
                }
            }
        }
        for (source, (count, place)) in foreign {
            let file = texts.iter().find(|(id, ..)| *id == source).map_or("", |(.., path)| path.as_str());
            let message = match count {
                1 => format!("A document in `{file}` is not for plumb and was passed over."),
                _ => format!("{count} documents in `{file}` are not for plumb and were passed over."),
            };
            self.manifests.diagnostics.push(Diagnostic::note("PL0011", message).at(Some(place)));
        }
        objects
    }

    /// Reads a `Stack` or a `Connection`.
    fn core(&mut self, document: &Document<'_>) {
        let mut faults = Faults::new(document.source, document.text);
        let Some(header) = header::header(&document.root, &mut faults) else {
            self.manifests.incomplete = true;
            self.finish(faults);
            return;
        };
        annotations::read(&header, None, &mut faults);
        if let Some(spec) = header.spec
            && spec.value.as_map().is_none()
        {
            faults.error("PL0105", format!("`spec` has to be a map; it is {}.", spec.value.describe()), spec.at);
        }
        match &*header.kind {
            // It was read before.
            "Api" => {}
            "Stack" => self.stack(&header, faults),
            "Connection" => self.connection(document, &header, faults),
            kind => {
                self.manifests.incomplete = true;
                let diagnostic = Diagnostic::error("PL0102", format!("`plumb.dev` has no kind `{kind}`."));
                let api = self.manifests.catalog.apis.values().find(|api| api.kind(kind).is_some());
                let diagnostic = match (nearest(kind, CORE_KINDS), api) {
                    (_, Some(api)) => diagnostic.hint(format!("Write `apiVersion: {}`.", api.api_version())),
                    (Some(near), _) => diagnostic.hint(format!("Did you mean `{near}`?")),
                    _ => diagnostic.hint(format!("There are {}.", listed(CORE_KINDS))),
                };
                faults.add(diagnostic, header.kind_at);
                self.finish(faults);
            }
        }
    }

    fn stack(&mut self, header: &Header<'_, '_>, mut faults: Faults<'_>) {
        let place = faults.place(header.name_at);
        if let Some(first) = self.stack_at {
            let diagnostic = Diagnostic::error("PL0122", "There are two `Stack` manifests; a stack has one.");
            faults.add(diagnostic.see(Some(first), "the other one is here"), header.name_at);
            return self.finish(faults);
        }
        self.stack_at = Some(place);
        let mut convert = self.convert(faults, None);
        let stack = stack::read(&header.name, header.spec, header.name_at, &mut convert);
        let faults = convert.faults;
        self.manifests.stack = stack;
        self.finish(faults);
    }

    fn connection(&mut self, document: &Document<'_>, header: &Header<'_, '_>, mut faults: Faults<'_>) {
        let place = faults.place(header.name_at);
        if let Err(first) = self.accounts.claim(&header.name, place) {
            let message = format!("There are two connections `{}`.", header.name);
            let diagnostic = Diagnostic::error("PL0110", message).see(Some(first), "the other one is here");
            faults.add(diagnostic, header.name_at);
            return self.finish(faults);
        }
        let overridden = self.options.connection_overrides.contains(&header.name);
        let catalog = self.manifests.catalog.clone();
        let mut convert = self.convert(faults, None);
        let (mut connection, defaults) = connection::read(
            &header.name,
            header.spec,
            header.name_at,
            document.at,
            overridden,
            &catalog,
            &mut convert,
        );
        connection.namespace.clone_from(&header.namespace);
        let mut faults = convert.faults;
        let broken = faults.any_error() || document.broken;
        // A description that is wrong is reported where it stands.
        let api = header.spec.and_then(|spec| spec.value.get("api")).and_then(Node::as_text);
        if api.is_some_and(|api| self.broken_apis.contains(api)) {
            faults.list.retain(|fault| fault.code != "PL0306");
        }
        self.accounts.add(connection, defaults, broken);
        self.finish(faults);
    }

    /// Reads an object and the entries inside it.
    fn object(&mut self, document: &Document<'_>, api_name: &str) {
        let mut faults = Faults::new(document.source, document.text);
        let Some(header) = header::header(&document.root, &mut faults) else {
            self.manifests.incomplete = true;
            return self.finish(faults);
        };
        let address = Address {
            api: self.name(api_name),
            kind: self.name(&header.kind),
            namespace: header.namespace.as_deref().map(|namespace| self.name(namespace)),
            name: header.name.as_str().into(),
            entry: None,
        };
        faults.about(&address);
        if !self.claims.address(&address, header.name_at, &mut faults) {
            return self.finish(faults);
        }
        // A description that is wrong is reported where it stands.
        let Some(api) = self.manifests.catalog.api(api_name).cloned() else {
            self.manifests.broken.push(address);
            return self.finish(faults);
        };
        let kind = match find_kind(&api, &header.kind) {
            Ok(kind) => kind.clone(),
            Err(diagnostic) => {
                faults.add(diagnostic, header.kind_at);
                self.manifests.incomplete = true;
                self.manifests.broken.push(address);
                return self.finish(faults);
            }
        };
        let annotations = annotations::read(&header, Some(&kind), &mut faults);
        let accounts = std::mem::take(&mut self.accounts);
        let mut convert = self.convert(faults, Some(&kind));
        let defaults = |named: Option<&Member<'_>>| accounts.defaults(api_name, &kind.name, named);
        let object = object::read(&header, &api, &kind, &annotations, defaults, &mut convert);
        let Convert { mut faults, missing, .. } = convert;
        self.accounts = accounts;
        let connection =
            self.accounts.choose(api_name, &self.manifests.catalog, object.connection, header.name_at, &mut faults);
        if let Some(connection) = &connection {
            let claimant = Claimant { address: &address, kind: &kind, connection, at: header.name_at };
            self.claims.object(&claimant, annotations.external_id.as_deref(), object.key, &mut faults);
            if let Some(scope) = object.exclusive {
                self.claims.place(&claimant, scope, &mut faults);
            }
        }
        let broken = faults.any_error() || document.broken;
        self.finish(faults);
        let Some(connection) = connection.filter(|_| !broken) else {
            self.manifests.broken.push(address);
            return;
        };
        let parent = self.manifests.objects.len();
        let labels = header.labels;
        self.manifests.objects.push(Manifest {
            address: address.clone(),
            kind,
            connection: connection.clone(),
            spec: object.spec,
            parent: None,
            labels: labels.clone(),
            annotations: annotations.clone(),
            document: document.at,
            pointer: "/spec".to_owned(),
            missing,
        });
        for entry in object.entries {
            let annotations = annotations.of_entry(&entry.field, &entry.key);
            let field = self.name(&entry.field);
            self.manifests.objects.push(Manifest {
                address: Address { entry: Some((field, entry.key.into())), ..address.clone() },
                kind: entry.kind,
                connection: connection.clone(),
                spec: entry.spec,
                parent: Some(parent),
                labels: labels.clone(),
                annotations,
                document: document.at,
                pointer: entry.pointer,
                missing: entry.missing,
            });
        }
    }
}

/// Whether a document is a kind of plumb's own, well written or not.
fn is_setting(root: &Node<'_>) -> bool {
    let group = root.get("apiVersion").and_then(Node::as_text).unwrap_or_default();
    let group = group.split_once('/').map_or(group, |(group, _)| group);
    let kind = root.get("kind").and_then(Node::as_text).unwrap_or_default();
    !group.ends_with(GROUP_SUFFIX) || CORE_KINDS.contains(&kind)
}

/// The kind of an object that stands on its own.
fn find_kind<'a>(api: &'a Api, name: &str) -> Result<&'a Arc<Kind>, Diagnostic> {
    let group = format!("{}{GROUP_SUFFIX}", api.name);
    match api.kind(name) {
        Some(kind) if kind.is_declarable() => Ok(kind),
        Some(kind) => Err(if let Some(inside) = kind.inside() {
            let message = format!("An object of kind `{name}` has no manifest of its own.");
            let hint = format!("Write it under `spec.{}` of {}.", inside.field, listed(inside.parents.keys()));
            Diagnostic::error("PL0123", message).hint(hint)
        } else {
            let message = format!("`{name}` can be referred to, but not declared: the API does not let it be made.");
            Diagnostic::error("PL0123", message)
        }),
        None => {
            let kinds = api.kinds.values().filter(|kind| kind.is_declarable()).map(|kind| kind.name.as_str());
            let diagnostic = Diagnostic::error("PL0102", format!("`{group}` has no kind `{name}`."));
            Err(match nearest(name, kinds.clone()) {
                Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
                None if CORE_KINDS.contains(&name) => {
                    diagnostic.hint(format!("Write `apiVersion: plumb.dev/{VERSION}`."))
                }
                None => diagnostic.hint(format!("There are {}.", listed(kinds))),
            })
        }
    }
}
