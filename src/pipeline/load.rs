//! Inputs → manifests, the inventory behind them, and their secrets.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use aws_lc_rs::digest::{SHA256, digest};

use super::Options;
use crate::{
    apis,
    diagnostic::{Diagnostic, SourceText, Sources},
    failure::Failure,
    inventory::{HashKey, Inventory, Location, State},
    manifest::{self, LoadOptions, Manifests},
    secret::{self, Cluster, ResolvePolicy, Vault},
    source::{self, Input, Snapshot},
};

/// Manifests, checked offline.
pub struct Loaded {
    /// Where they came from.
    pub snapshot: Snapshot,
    /// What they say.
    pub manifests: Manifests,
    /// A folder for the inventory of a run against simulated APIs.
    pub(super) scratch: OnceLock<Scratch>,
}

/// A folder that goes when the run ends.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("plumb-sandbox-{}-{:016x}", std::process::id(), fastrand::u64(..))))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind if this fails is a record of nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn location_failure(wrong: Diagnostic) -> Failure {
    let mut failure = Failure::config(wrong.message);
    failure.hints = wrong.hints;
    failure
}

/// Reads and checks the manifests.
pub fn load(options: &Options) -> Result<Loaded, Failure> {
    let inputs: Vec<Input> = options.inputs.iter().map(|input| Input::parse(input)).collect();
    let mut stdin = Cursor::new(options.stdin.clone().unwrap_or_default());
    let mut snapshot = match &options.snapshot {
        Some(snapshot) => Snapshot::clone(snapshot),
        None => source::read_with(&inputs, &mut stdin),
    };
    for (path, text) in &options.beside {
        // Files that resources of a cluster name are below the first folder that is allowed.
        let folder = options.cluster.as_ref().and_then(|cluster| cluster.policy.folders.as_ref()?.first().cloned());
        let source = SourceText { path: path.clone(), folder: folder.unwrap_or_default(), text: text.as_str().into() };
        snapshot.sources.add(source);
        snapshot.empty = false;
    }
    let settings_from = options.settings.as_ref().map(|settings| snapshot.lay_under(settings));
    let load = LoadOptions {
        allow_plaintext_secrets: options.allow_plaintext_secrets,
        connection_overrides: options.connections.iter().map(|(name, _)| name.clone()).collect(),
        settings_from,
    };
    let mut manifests = manifest::load(&mut snapshot, apis::builtin(), &load);
    for (name, other) in &options.stand_ins {
        stand_in(&mut manifests, name, other)?;
    }
    if let Some(name) = &options.stack
        && manifests.stack.name == crate::manifest::StackSpec::default().name
    {
        manifests.stack.name.clone_from(name);
    }
    if let Some(settings) = &options.stack_settings {
        manifests.stack.clone_from(settings);
    }
    if let Some(cluster) = &options.cluster {
        manifests.stack.name.clone_from(&cluster.stack);
    }
    Ok(Loaded { snapshot, manifests, scratch: OnceLock::new() })
}

/// Has one connection speak for another.
fn stand_in(manifests: &mut Manifests, name: &str, other: &str) -> Result<(), Failure> {
    let own = manifests.connections.get(name).map(|own| own.api.clone());
    let Some(stand_in) = manifests.connections.get(other).cloned() else {
        return Err(Failure::config(format!("There is no connection `{other}` to plan with in place of `{name}`."))
            .hint("Declare it beside the others, with a credential that may only read."));
    };
    if own.as_ref().is_some_and(|api| *api != stand_in.api) {
        return Err(Failure::config(format!("The connections `{name}` and `{other}` are not of the same API.")));
    }
    if let Some(own) = manifests.connections.get_mut(name) {
        *own = crate::manifest::Connection { name: name.to_owned(), defaults: own.defaults.clone(), ..stand_in };
    }
    Ok(())
}

/// What the inventory of a stack has, read without a lock.
pub async fn recorded(options: &Options) -> Result<State, Failure> {
    let loaded = load(options)?;
    let inventory = loaded.open_inventory(options).await?;
    let state = inventory.state().clone();
    Ok(state)
}

impl Loaded {
    /// Opens the stack's inventory without a lock.
    pub(super) async fn open_inventory(&self, options: &Options) -> Result<Inventory, Failure> {
        let location = self.location(options)?;
        Inventory::open(&location, &self.manifests.stack.name)
            .await
            .map_err(|error| super::account::inventory_failure(&error))
    }

    /// Where the stack's inventory is.
    pub fn location(&self, options: &Options) -> Result<Location, Failure> {
        if options.sandbox && options.inventory.is_none() {
            // What simulated APIs hold is gone with this process, and so is the record of it.
            let folder = self.scratch.get_or_init(Scratch::new);
            return Location::parse(None, &folder.0).map_err(location_failure);
        }
        let url = options.inventory.as_deref().or(self.manifests.stack.inventory.as_deref());
        let folder = default_folder(options);
        Location::parse(url, &folder).map_err(location_failure)
    }

    /// The key of the inventory's hashes: beside a local inventory, from the environment for a remote one.
    pub(super) fn hash_key(inventory: &Inventory, options: &Options) -> Result<HashKey, Failure> {
        if let Some(key) = options.cluster.as_ref().and_then(|cluster| cluster.key.as_ref()) {
            return HashKey::from_text(key)
                .ok_or_else(|| Failure::config("The key of the inventory's hashes is shorter than 32 characters."));
        }
        let wrong = |error: &crate::inventory::InventoryError| super::account::inventory_failure(error);
        if let Ok(text) = std::env::var("PLUMB_INVENTORY_KEY")
            && !text.trim().is_empty()
        {
            return HashKey::from_text(&text).ok_or_else(|| {
                Failure::config("`PLUMB_INVENTORY_KEY` is too short to be a key.")
                    .hint("Give it 32 characters or more.")
            });
        }
        match inventory.key_file() {
            Some(file) if options.keep_key => HashKey::read_or_create(&file).map_err(|error| wrong(&error)),
            Some(file) => match HashKey::read(&file).map_err(|error| wrong(&error))? {
                Some(key) => Ok(key),
                // Nothing was applied yet: hashes of this run are compared with none.
                None => HashKey::random().map_err(|error| Failure::config(format!("{error}."))),
            },
            None => Err(Failure::config("A remote inventory needs `PLUMB_INVENTORY_KEY`, the key of its hashes.")
                .hint(
                    "Set it to the same secret text (32 characters or more) wherever this stack is planned or applied.",
                )),
        }
    }

    /// Finds the texts of sensitive values and the hashes of files.
    pub(super) async fn resolve_secrets(&mut self, vault: &Vault, options: &Options) -> Vec<Diagnostic> {
        let mut policy = match &options.cluster {
            Some(cluster) => {
                ResolvePolicy { allow_exec: false, cluster: cluster_of(options), ..cluster.policy.clone() }
            }
            None => options.secrets.clone(),
        };
        policy.stand_in |= options.sandbox;
        // Simulated APIs take any credential: whoever tries plumb out needs none.
        let environment = |name: &str| {
            std::env::var(name).ok().or_else(|| options.sandbox.then(|| format!("sandbox value of {name}")))
        };
        secret::resolve(&mut self.manifests, vault, &policy, &self.snapshot.sources, &environment).await
    }
}

/// The cluster that Secrets are read from and written to.
pub(super) fn cluster_of(options: &Options) -> Cluster {
    match &options.cluster {
        Some(cluster) => Cluster::Held(cluster.secrets.clone()),
        None => options.secrets.cluster.clone(),
    }
}

/// The folder of a local inventory: the first `-f` folder, a file's folder, the current one otherwise.
fn default_folder(options: &Options) -> PathBuf {
    let Input::Path(path) = Input::parse(options.inputs.first().map_or(".", String::as_str)) else {
        return PathBuf::from(".");
    };
    if path.is_dir() {
        return path.clone();
    }
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// What reads the files that texts refer to.
pub(super) fn reader(sources: &Sources) -> impl Fn(&str, &str) -> Result<Vec<u8>, String> + Sync + use<> {
    let sources = sources.clone();
    move |path, sha256| read_file(&sources, path, sha256)
}

/// Reads a file that is to be uploaded, and makes sure that it is the one which was planned.
fn read_file(sources: &Sources, path: &str, sha256: &str) -> Result<Vec<u8>, String> {
    let content = source::read_file(sources, Path::new(path), u64::MAX)
        .map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let now: String =
        digest(&SHA256, &content).as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    if !sha256.is_empty() && now != sha256 {
        return Err(format!("`{path}` changed since the plan was made"));
    }
    Ok(content)
}
