//! `{"$valueFrom": …}` and `{"$file": …}` in manifests → sealed secrets and described files. What cannot be had is
//! reported, all of it at once, by the name of the source and the field, never by a value.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    cluster::{self, Asked, Secrets},
    exec,
    mask::MIN_MASKED,
    policy::{Cluster, ResolvePolicy},
    reach::Reach,
    sealed::SealedFiles,
    text::reason,
    upload,
    vault::Vault,
};
use crate::{
    address::escape,
    description::format::FieldSpec,
    diagnostic::{Diagnostic, Sources},
    manifest::{self, Auth, DocumentRef, Fitting, Manifests, Plaintexts, Transport},
    value,
};

/// Replaces every sensitive value and file of connections and objects; what is left unresolved is reported.
///
/// Kubernetes Secrets are read first, all at once; the rest is on this machine.
pub async fn resolve(
    manifests: &mut Manifests,
    vault: &Vault,
    policy: &ResolvePolicy,
    sources: &Sources,
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Vec<Diagnostic> {
    let mut asked = BTreeSet::new();
    each_value(manifests, &mut |value, owner, _| secrets_in(value, owner.namespace, &mut asked));
    let secrets = cluster::read(asked, policy).await;
    resolve_on(manifests, vault, policy, sources, &environment, &secrets)
}

/// Like [`resolve`], without a cluster.
pub fn resolve_with(
    manifests: &mut Manifests,
    vault: &Vault,
    policy: &ResolvePolicy,
    sources: &Sources,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Vec<Diagnostic> {
    resolve_on(manifests, vault, policy, sources, environment, &Secrets::default())
}

fn resolve_on(
    manifests: &mut Manifests,
    vault: &Vault,
    policy: &ResolvePolicy,
    sources: &Sources,
    environment: &dyn Fn(&str) -> Option<String>,
    secrets: &Secrets,
) -> Vec<Diagnostic> {
    let plaintexts = std::mem::take(&mut manifests.plaintexts);
    let mut resolver = Resolver {
        vault,
        policy,
        sources,
        environment,
        secrets,
        plaintexts,
        known: HashMap::new(),
        sealed: SealedFiles::default(),
        findings: IndexMap::new(),
    };
    each_value(manifests, &mut |value, owner, pointer| resolver.value(value, owner, pointer));
    for object in &mut manifests.objects {
        for (name, value) in &mut object.spec {
            if let Some(spec) = object.kind.field(name) {
                as_taken(spec, value, vault);
            }
        }
    }
    let mut found: Vec<Diagnostic> = resolver.findings.into_values().map(Finding::tell).collect();
    if !policy.stand_in {
        found.extend(misfits(manifests, vault, sources));
    }
    found
}

/// Secrets that the API would refuse: they have not the form or the length that their field asks for. They are not shown.
fn misfits(manifests: &Manifests, vault: &Vault, sources: &Sources) -> Vec<Diagnostic> {
    let mut fitting = Fitting::default();
    let mut out = Vec::new();
    for object in &manifests.objects {
        for (name, value) in &object.spec {
            let Some(spec) = object.kind.field(name) else { continue };
            let Some(text) = value::secret_hash(value).and_then(|hash| vault.open(hash)) else { continue };
            if fitting.takes(&text, spec) {
                continue;
            }
            let breaks = text.contains(['\r', '\n']) && spec.pattern.is_some();
            let why =
                if breaks { "has a line break, and may have none" } else { "has not the form that the API asks for" };
            let pointer = format!("{}/{}", object.pointer, escape(name));
            out.push(
                Diagnostic::error("PL0107", format!("The value of `{name}` of `{}` {why}.", object.address))
                    .at(manifest::locate(sources, object.document, &pointer))
                    .about(&object.address)
                    .hint(format!("`plumb explain {}.{name}` says what it may be.", object.kind.name)),
            );
        }
    }
    out
}

/// Visits every value that may be sensitive, or hold one that is.
fn each_value(manifests: &mut Manifests, visit: &mut dyn FnMut(&mut Value, &Owner<'_>, &str)) {
    for connection in manifests.connections.values_mut() {
        let title = format!("the connection `{}`", connection.name);
        let Some(document) = connection.document else { continue };
        let owner = Owner { document, address: None, title: &title, namespace: connection.namespace.as_deref() };
        if let Some(auth) = &mut connection.auth {
            for (pointer, value) in auth_values(auth) {
                visit(value, &owner, pointer);
            }
        }
        for (pointer, value) in transport_values(&mut connection.transport) {
            visit(value, &owner, pointer);
        }
        for (name, value) in &mut connection.defaults {
            visit(value, &owner, &format!("/spec/defaults/{}", escape(name)));
        }
    }
    for object in &mut manifests.objects {
        let address = object.address.to_string();
        let title = format!("`{address}`");
        let namespace = object.address.namespace.as_deref();
        let owner = Owner { document: object.document, address: Some(&address), title: &title, namespace };
        for (name, value) in &mut object.spec {
            if matches!(value, Value::Object(_) | Value::Array(_)) {
                visit(value, &owner, &format!("{}/{}", object.pointer, escape(name)));
            }
        }
    }
}

/// Collects the Kubernetes Secrets that a value names.
fn secrets_in(value: &Value, namespace: Option<&str>, asked: &mut BTreeSet<Asked>) {
    if let Some(source) = value::value_from(value) {
        if let Some((namespace, name, _)) = source.get("secretKeyRef").and_then(|place| key_ref(place, namespace)) {
            asked.insert((namespace.map(str::to_owned), name.to_owned()));
        }
        return;
    }
    match value {
        Value::Object(map) => map.values().for_each(|value| secrets_in(value, namespace, asked)),
        Value::Array(items) => items.iter().for_each(|value| secrets_in(value, namespace, asked)),
        _ => {}
    }
}

/// Namespace, name and key of a `secretKeyRef`; the namespace is its own, or else that of the manifest.
fn key_ref<'v>(place: &'v Value, namespace: Option<&'v str>) -> Option<(Option<&'v str>, &'v str, &'v str)> {
    let text = |name: &str| place.get(name).and_then(Value::as_str);
    Some((text("namespace").or(namespace), text("name")?, text("key")?))
}

/// Makes secrets what the API would take them for: without the blanks that it drops, and with the text itself where that
/// stands for a value which is stored.
fn as_taken(spec: &FieldSpec, value: &mut Value, vault: &Vault) {
    if let Some(hash) = value::secret_hash(value) {
        if !spec.trim && spec.mask.is_none() {
            return;
        }
        let Some(text) = vault.open(hash) else { return };
        if spec.mask.as_deref() == Some(text.trim()) {
            *value = Value::String(text.trim().to_owned());
        } else if spec.trim && text.trim().len() < text.len() {
            *value = vault.seal(text.trim());
        }
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Some(member) = spec.fields.get(name).or(spec.items.as_deref()) {
                    as_taken(member, value, vault);
                }
            }
        }
        Value::Array(entries) => {
            if let Some(items) = &spec.items {
                for entry in entries {
                    as_taken(items, entry, vault);
                }
            }
        }
        _ => {}
    }
}

fn transport_values(transport: &mut Transport) -> impl Iterator<Item = (&'static str, &mut Value)> {
    let Transport { ca, client_certificate, client_key, .. } = transport;
    let ca = ca.as_mut().map(|ca| ("/spec/tls/ca", ca));
    let certificate = client_certificate.as_mut().map(|value| ("/spec/tls/clientCertificate", value));
    let key = client_key.as_mut().map(|value| ("/spec/tls/clientKey", value));
    [ca, certificate, key].into_iter().flatten()
}

fn auth_values(auth: &mut Auth) -> Vec<(&'static str, &mut Value)> {
    match auth {
        Auth::ApiKey(key) => vec![("/spec/auth/apiKey", key)],
        Auth::Bearer(token) => vec![("/spec/auth/bearer", token)],
        Auth::Basic { username, password } => {
            vec![("/spec/auth/basic/username", username), ("/spec/auth/basic/password", password)]
        }
        Auth::Login { email, username, password } => {
            let mut values = vec![("/spec/auth/login/password", password)];
            values.extend(email.as_mut().map(|email| ("/spec/auth/login/email", email)));
            values.extend(username.as_mut().map(|name| ("/spec/auth/login/username", name)));
            values
        }
        Auth::OAuth2 { client_id, client_secret, .. } => {
            vec![("/spec/auth/oauth2/clientId", client_id), ("/spec/auth/oauth2/clientSecret", client_secret)]
        }
    }
}

/// Whose value it is.
struct Owner<'o> {
    document: DocumentRef,
    address: Option<&'o str>,
    title: &'o str,
    namespace: Option<&'o str>,
}

/// A diagnostic about a source, and how many more fields it is about.
struct Finding {
    diagnostic: Diagnostic,
    more: usize,
}

impl Finding {
    fn tell(self) -> Diagnostic {
        match self.more {
            0 => self.diagnostic,
            1 => self.diagnostic.hint("One more field needs it too."),
            more => self.diagnostic.hint(format!("{more} more fields need it too.")),
        }
    }
}

struct Resolver<'r> {
    vault: &'r Vault,
    policy: &'r ResolvePolicy,
    sources: &'r Sources,
    environment: &'r dyn Fn(&str) -> Option<String>,
    secrets: &'r Secrets,
    plaintexts: Plaintexts,
    /// What sources gave; each is asked once.
    known: HashMap<String, Option<Value>>,
    sealed: SealedFiles,
    findings: IndexMap<String, Finding>,
}

impl Resolver<'_> {
    fn value(&mut self, value: &mut Value, owner: &Owner<'_>, pointer: &str) {
        let resolved = if let Some(source) = value::value_from(value) {
            self.source(&source.clone(), owner, pointer)
        } else if let Some(file) = value::file(value).filter(|file| file.get("sha256").is_none()) {
            let path = file.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.file(&path, owner, pointer)
        } else if let Some(place) = value::sink(value).and_then(|place| place.get("secretRef")) {
            self.secret_sink(&place.clone(), owner, pointer)
        } else if let Some(place) = value::sink(value) {
            let path = place.get("file").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.sink(&path, owner, pointer)
        } else {
            match value {
                Value::Object(map) => {
                    for (name, value) in map {
                        self.value(value, owner, &format!("{pointer}/{}", escape(name)));
                    }
                }
                Value::Array(items) => {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.value(item, owner, &format!("{pointer}/{index}"));
                    }
                }
                _ => {}
            }
            return;
        };
        if let Some(resolved) = resolved {
            *value = resolved;
        }
    }

    /// The folder that relative paths of a document start from.
    fn folder(&self, document: DocumentRef) -> PathBuf {
        self.sources.get(document.source).map(|source| source.folder.clone()).unwrap_or_default()
    }

    /// What paths of manifests lead to.
    fn reach(&self) -> Reach<'_> {
        Reach { policy: self.policy, sources: self.sources }
    }

    /// The path that a document of a folder names.
    fn place(&self, folder: &Path, path: &str) -> PathBuf {
        self.reach().place(folder, path)
    }

    fn source(&mut self, source: &Value, owner: &Owner<'_>, pointer: &str) -> Option<Value> {
        let (word, detail) = source.as_object()?.iter().next()?;
        let folder = self.folder(owner.document);
        let name = match (word.as_str(), detail) {
            ("file" | "exec" | "sops", _) => format!("{word} {detail} {}", folder.display()),
            ("secretKeyRef", _) => {
                let namespace = match &self.policy.cluster {
                    Cluster::Held(held) => held.namespace(self.path(owner.document)),
                    _ => owner.namespace.unwrap_or_default(),
                };
                format!("{word} {detail} {namespace}")
            }
            _ => format!("{word} {detail}"),
        };
        if let Some(known) = self.known.get(&name).cloned() {
            if let Some(finding) = self.findings.get_mut(&name) {
                finding.more += 1;
            }
            return known;
        }
        let answer = match (word.as_str(), detail) {
            ("env", Value::String(variable)) => self.variable(variable),
            ("file", Value::String(path)) => self.secret_file(&self.place(&folder, path)),
            ("exec", Value::Array(argv)) => self.program(argv, &folder),
            ("sops", place) => {
                let reach = Reach { policy: self.policy, sources: self.sources };
                self.sealed.value(place, &folder, reach, self.environment)
            }
            ("secretKeyRef", place) => self.secret_key(place, owner),
            ("value", Value::Number(number)) => number
                .as_u64()
                .and_then(|number| self.plaintexts.get(number))
                .map(|text| Zeroizing::new(text.to_owned()))
                .ok_or_else(|| {
                    Diagnostic::error("PL0311", "A secret that stood in a manifest is not at hand any more")
                }),
            _ => Err(Diagnostic::error("PL0311", format!("This build of plumb cannot read secrets from `{word}`"))
                .hint("Use one of `env`, `file`, `secretKeyRef`, `sops` and `exec`.")),
        };
        let sealed = match answer {
            Ok(text) => {
                if text.chars().count() < MIN_MASKED {
                    let message = format!("The secret is shorter than {MIN_MASKED} characters");
                    let hint = "It is shown nowhere, but where an API repeats it in a message, it cannot be told from other text.";
                    self.report(&name, Diagnostic::warning("PL0312", message).hint(hint), owner, pointer);
                }
                Some(self.vault.seal(&text))
            }
            // By its source, so that it is the same in every run.
            Err(_) if self.policy.stand_in => Some(self.vault.seal(&format!("stand-in for {name}"))),
            Err(diagnostic) => {
                self.report(&name, diagnostic, owner, pointer);
                None
            }
        };
        self.known.insert(name, sealed.clone());
        sealed
    }

    /// Adds whose field it is about to a diagnostic, and where that is.
    fn report(&mut self, name: &str, diagnostic: Diagnostic, owner: &Owner<'_>, pointer: &str) {
        let field = pointer.strip_prefix("/spec/").unwrap_or(pointer).replace('/', ".");
        let message = format!("{}: `{field}` of {} needs it.", diagnostic.message, owner.title);
        let mut diagnostic = Diagnostic { message, ..diagnostic };
        diagnostic.place = manifest::locate(self.sources, owner.document, pointer);
        diagnostic.address = owner.address.map(str::to_owned);
        self.findings.insert(name.to_owned(), Finding { diagnostic, more: 0 });
    }

    /// The path of a document's text.
    fn path(&self, document: DocumentRef) -> &str {
        self.sources.get(document.source).map_or("", |source| source.path.as_str())
    }

    fn secret_key(&self, place: &Value, owner: &Owner<'_>) -> Result<Zeroizing<String>, Diagnostic> {
        let Some((namespace, name, key)) = key_ref(place, owner.namespace) else {
            return Err(Diagnostic::error("PL0311", "This `secretKeyRef` names no key of a Secret"));
        };
        let Cluster::Held(held) = &self.policy.cluster else {
            return self.secrets.get(self.policy, namespace, name, key);
        };
        let path = self.path(owner.document);
        let own = held.namespace(path);
        match namespace {
            Some(other) if other != own => {
                Err(Diagnostic::error("PL0310", format!("The Secret `{other}/{name}` may not be read here"))
                    .hint(format!("Manifests of the namespace `{own}` read its own Secrets alone.")))
            }
            _ => held.text(path, name, key),
        }
    }

    fn variable(&self, name: &str) -> Result<Zeroizing<String>, Diagnostic> {
        if !self.policy.lets_variable(name) {
            return Err(Diagnostic::error("PL0310", format!("The variable `{name}` may not be read here"))
                .hint("The configuration of the agent or the operator lists the variables that manifests may read."));
        }
        match (self.environment)(name).map(Zeroizing::new) {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(Diagnostic::error("PL0308", format!("The variable `{name}` is empty"))),
            None => Err(Diagnostic::error("PL0308", format!("The variable `{name}` is not set"))
                .hint(format!("Set it, as by `export {name}=…`."))),
        }
    }

    fn secret_file(&self, path: &Path) -> Result<Zeroizing<String>, Diagnostic> {
        let text = self.reach().read(path)?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            return Err(Diagnostic::error("PL0309", format!("The file `{}` is empty", path.display())));
        }
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn program(&self, argv: &[Value], folder: &Path) -> Result<Zeroizing<String>, Diagnostic> {
        let argv: Vec<&str> = argv.iter().filter_map(Value::as_str).collect();
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Diagnostic::error("PL0313", "There is no program to run"));
        };
        if !self.policy.allow_exec {
            return Err(Diagnostic::error("PL0313", format!("The program `{program}` may not be run"))
                .hint("`--allow-exec` lets manifests run programs; look at what they run first."));
        }
        if self.sources.tree(folder).is_some() {
            return Err(Diagnostic::error("PL0313", format!("The program `{program}` is not run for a Git source"))
                .hint("Clone the repository and pass the folder, or take the secret from a variable."));
        }
        match exec::run(program, arguments, folder, self.policy.exec_time) {
            Ok(text) if !text.is_empty() => Ok(text),
            Ok(_) => Err(Diagnostic::error("PL0313", format!("The program `{program}` printed nothing"))),
            Err(why) => Err(Diagnostic::error("PL0313", format!("The program `{program}` gave no secret ({why})"))
                .hint("Run it by hand to see what it says.")),
        }
    }

    fn file(&mut self, path: &str, owner: &Owner<'_>, pointer: &str) -> Option<Value> {
        let path = self.place(&self.folder(owner.document), path);
        let name = format!("upload {}", path.display());
        if let Some(known) = self.known.get(&name).cloned() {
            if let Some(finding) = self.findings.get_mut(&name) {
                finding.more += 1;
            }
            return known;
        }
        let described = self.reach().permit(&path).and_then(|()| {
            upload::describe(self.sources, &path).map_err(|error| {
                let message = format!("The file `{}` cannot be read ({})", path.display(), reason(&error));
                Diagnostic::error("PL0314", message).hint("The path starts from the folder of the manifest.")
            })
        });
        let described = match described {
            Ok(described) => Some(described),
            Err(diagnostic) => {
                self.report(&name, diagnostic, owner, pointer);
                None
            }
        };
        self.known.insert(name, described.clone());
        described
    }
}

impl Resolver<'_> {
    /// The Secret that a sink writes to: one of the manifest's own namespace.
    fn secret_sink(&mut self, place: &Value, owner: &Owner<'_>, pointer: &str) -> Option<Value> {
        let part = |name: &str| place.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, key) = (part("name"), part("key"));
        if self.policy.stand_in {
            return Some(json!({ "$sink": { "secretRef": { "name": name, "key": key, "standIn": true } } }));
        }
        let mut resolved = json!({ "name": name, "key": key });
        let wrong = match &self.policy.cluster {
            Cluster::Held(held) => {
                let path = self.path(owner.document);
                match held.sink(path, name) {
                    Ok(own) => {
                        resolved["namespace"] = held.namespace(path).into();
                        if let Some(own) = own {
                            resolved["owner"] = own;
                        }
                        None
                    }
                    Err(told) => Some(told),
                }
            }
            Cluster::Usual | Cluster::Client(_) if self.policy.secrets.is_none() => {
                if let Some(namespace) = owner.namespace {
                    resolved["namespace"] = namespace.into();
                }
                None
            }
            _ => Some(
                Diagnostic::error("PL0310", format!("The Secret `{name}` may not be written here"))
                    .hint("The agent puts values into files of the folders that its configuration lists."),
            ),
        };
        if let Some(told) = wrong {
            self.report(&format!("sink secret {name}"), told, owner, pointer);
            return None;
        }
        Some(json!({ "$sink": { "secretRef": resolved } }))
    }

    /// Where a sink writes: the path from the folder of the manifest.
    fn sink(&mut self, path: &str, owner: &Owner<'_>, pointer: &str) -> Option<Value> {
        let path = self.place(&self.folder(owner.document), path);
        let folder = path.parent().unwrap_or(&path);
        if self.sources.tree(&path).is_some() {
            let message = format!("The file `{}` cannot be written: it would be in a Git repository", path.display());
            let told = Diagnostic::error("PL0310", message).hint("Clone the repository and pass the folder.");
            self.report(&format!("sink {}", path.display()), told, owner, pointer);
            return None;
        }
        match self.reach().permit(folder) {
            Ok(()) => Some(json!({ "$sink": { "file": path.to_string_lossy() } })),
            Err(diagnostic) => {
                let message = format!("The file `{}` may not be written here", path.display());
                let hint = "The configuration of the agent or the operator lists the folders that manifests may use.";
                let told = Diagnostic { message, hints: Vec::new(), ..diagnostic }.hint(hint);
                self.report(&format!("sink {}", path.display()), told, owner, pointer);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::{
        description::Catalog,
        inventory::HashKey,
        manifest::{LoadOptions, load},
        source::{Input, Snapshot, read},
    };

    const STACK: &str = "
apiVersion: plumb.dev/v1alpha1
kind: Connection
metadata: {name: main}
spec:
  api: shop
  auth: {basic: {username: {valueFrom: {env: USER_NAME}}, password: {valueFrom: {file: secrets/key}}}}
---
apiVersion: shop.plumb.dev/v1alpha1
kind: Vault
metadata: {name: one}
spec:
  customer: a
  secret: {valueFrom: {env: SECRET}}
  hint: {valueFrom: {exec: [sh, -c, 'echo  said aloud']}}
  keys: {a: {valueFrom: {env: SECRET}}}
  traits: {plan: {file: plan.txt}, deep: [{valueFrom: {env: OTHER}}]}
---
apiVersion: shop.plumb.dev/v1alpha1
kind: Product
metadata: {name: two}
spec:
  customer: a
  sku: abc
  variables: [{name: TOKEN, valueFrom: {env: TOKEN}}]
";

    struct World {
        _folder: tempfile::TempDir,
        snapshot: Snapshot,
        manifests: Manifests,
        vault: Vault,
    }

    fn world(text: &str) -> World {
        let mut shop = Snapshot::of([("shop.yaml", include_str!("../../tests/cases/shop.yaml"))]);
        let catalog = load(&mut shop, &Catalog::default(), &LoadOptions::default()).catalog;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("stack/secrets")).unwrap();
        fs::write(folder.path().join("stack/secrets/key"), "from a file\r\n").unwrap();
        fs::write(folder.path().join("stack/plan.txt"), "abc").unwrap();
        fs::write(folder.path().join("stack/all.yaml"), text).unwrap();
        let mut snapshot = read(&[Input::Path(folder.path().join("stack"))]);
        let manifests = load(&mut snapshot, &catalog, &LoadOptions::default());
        assert!(manifests.diagnostics.is_empty(), "{:#?}", manifests.diagnostics);
        let vault = Vault::new(HashKey::from_text("a key for the tests, long enough").unwrap());
        World { _folder: folder, snapshot, manifests, vault }
    }

    impl World {
        fn resolve(&mut self, policy: &ResolvePolicy, variables: &[(&str, &str)]) -> Vec<Diagnostic> {
            let environment =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            resolve_with(&mut self.manifests, &self.vault, policy, &self.snapshot.sources, &environment)
        }

        fn text(&self, value: &Value) -> String {
            self.vault.open(value::secret_hash(value).unwrap()).unwrap().to_string()
        }
    }

    fn codes(said: &[Diagnostic]) -> Vec<&str> {
        said.iter().map(|one| one.code.as_ref()).collect()
    }

    #[test]
    fn every_source_is_sealed_wherever_it_stands() {
        let mut world = world(STACK);
        let policy = ResolvePolicy { allow_exec: true, ..ResolvePolicy::default() };
        let variables =
            [("USER_NAME", "jane.doe@x"), ("SECRET", "swordfish"), ("OTHER", "other-one"), ("TOKEN", "token-one")];
        assert_eq!(world.resolve(&policy, &variables), []);
        let Some(Auth::Basic { username, password }) = &world.manifests.connections["main"].auth else { panic!() };
        assert_eq!(world.text(username), "jane.doe@x");
        assert_eq!(world.text(password), "from a file");
        let spec = &world.manifests.objects[0].spec;
        assert_eq!(world.text(&spec["secret"]), "swordfish");
        assert_eq!(spec["secret"], spec["keys"]["a"]);
        assert_eq!(world.text(&spec["hint"]), "said aloud");
        assert_eq!(world.text(&spec["traits"]["deep"][0]), "other-one");
        let plan = value::file(&spec["traits"]["plan"]).unwrap();
        assert_eq!((plan["name"].as_str(), plan["size"].as_u64()), (Some("plan.txt"), Some(3)));
        assert_eq!(plan["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(Path::new(plan["path"].as_str().unwrap()).exists());
        assert_eq!(world.text(&world.manifests.objects[2].spec["value"]), "token-one");
        assert!(!value::has_secret(&Value::Null));
        assert!(!format!("{:?}", world.manifests).contains("swordfish"));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once_and_each_source_once() {
        let mut world = world(STACK);
        let said = world.resolve(&ResolvePolicy::default(), &[("TOKEN", "")]);
        assert_eq!(codes(&said), ["PL0308", "PL0308", "PL0313", "PL0308", "PL0308"]);
        assert!(
            said[1].message.contains("`SECRET` is not set") && said[1].message.contains("`secret` of `shop/Vault/one`")
        );
        assert_eq!(said[1].hints.last().unwrap(), "One more field needs it too.");
        assert_eq!(said[1].place.map(|place| place.line), Some(14));
        assert!(said[4].message.contains("`TOKEN` is empty"));
        let value = &world.manifests.objects[0].spec["secret"];
        assert!(value::value_from(value).is_some(), "what could not be had stays what it is");
    }

    #[test]
    fn a_sandbox_takes_made_up_secrets() {
        let mut world = world(STACK);
        let policy = ResolvePolicy { stand_in: true, ..ResolvePolicy::default() };
        assert_eq!(world.resolve(&policy, &[]), []);
        assert!(value::secret_hash(&world.manifests.objects[0].spec["secret"]).is_some());
    }

    #[test]
    fn what_the_policy_does_not_list_is_not_read() {
        let mut world = world(STACK);
        let policy = ResolvePolicy {
            variables: Some(vec!["PLUMB_*".into(), "OTHER".into()]),
            folders: Some(vec![PathBuf::from("/nowhere")]),
            ..ResolvePolicy::default()
        };
        let variables =
            [("SECRET", "swordfish"), ("OTHER", "other-one"), ("USER_NAME", "jane.doe@x"), ("TOKEN", "token-one")];
        let said = world.resolve(&policy, &variables);
        assert_eq!(codes(&said), ["PL0310", "PL0310", "PL0310", "PL0313", "PL0310", "PL0310"]);
        assert!(said.iter().all(|one| !one.message.contains("OTHER")), "{said:?}");
    }

    #[test]
    fn a_short_secret_is_warned_of_without_showing_it() {
        let mut world = world(
            &STACK
                .replace("{env: OTHER}", "{env: SECRET}")
                .replace("{exec: [sh, -c, 'echo  said aloud']}", "{env: SECRET}"),
        );
        let said = world.resolve(&ResolvePolicy { stand_in: true, ..ResolvePolicy::default() }, &[("SECRET", "fish")]);
        assert_eq!(codes(&said), ["PL0312"]);
        assert!(!format!("{said:?}").contains("\"fish") && !said[0].message.contains("fish"));
    }

    #[test]
    fn programs_that_fail_or_hang_give_no_secret() {
        for (program, reason) in [
            ("[sh, -c, 'echo secret; exit 3']", "exit code 3"),
            ("[sh, -c, 'sleep 60']", "took longer"),
            ("[/nowhere/program]", "cannot be started"),
            ("['true']", "printed nothing"),
        ] {
            let text = STACK.replace("[sh, -c, 'echo  said aloud']", program);
            let mut world = world(&text);
            let policy =
                ResolvePolicy { allow_exec: true, exec_time: Duration::from_millis(300), ..ResolvePolicy::default() };
            let variables =
                [("SECRET", "swordfish"), ("OTHER", "other-one"), ("USER_NAME", "jane.doe@x"), ("TOKEN", "token-one")];
            let said = world.resolve(&policy, &variables);
            assert_eq!(codes(&said), ["PL0313"], "{program}: {said:?}");
            assert!(said[0].message.contains(reason), "{said:?}");
        }
    }
}
