//! The rounds of observing: resolve what can be resolved, list what is missing, until nothing waits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    Found, LiveObject, Observed, Standing,
    keys::{KeyIndex, hook_key, own_key},
    remote::{ListQuery, Listing, Remote, can_list},
    resolve::{NameIndex, Narrow, fits, narrow},
};
use crate::{
    description::{
        Kind, Specs, contained_by,
        format::{UpdateStyle, Verb},
        hook::{self, Definition},
    },
    diagnostic::{Diagnostic, Sources},
    dialect::{self, decode, decode_row, included},
    graph::{Graph, Meaning, Selector, Use, map_references, uses_of},
    http::HttpError,
    inventory::{Record, State},
    manifest::{DeletionPolicy, Manifest, Manifests, Reconcile, locate},
    value::{self, Fields, Target, as_reference, is_empty, reference, secret_hash, text, value_from},
};

/// What to observe besides the declared objects.
#[derive(Debug, Clone, Default)]
pub struct ObserveOptions {
    /// Owned objects that are not declared are looked at too, because they may be deleted.
    pub undeclared: bool,
    /// Objects outside of these are not looked at: indices of declared objects.
    pub only: Option<HashSet<usize>>,
}

/// Observes the live side of a stack.
pub struct Observer<'a> {
    manifests: &'a Manifests,
    sources: &'a Sources,
    graph: &'a Graph,
    state: &'a State,
    remotes: &'a HashMap<String, Remote>,
    seal: &'a (dyn Fn(&str) -> Value + Sync),
    options: ObserveOptions,
    tell: &'a (dyn Fn(&str, &str) + Sync),
    out: Observed,
    keys: KeyIndex,
    names: NameIndex,
    /// Collections read: connection, kind, scope (none: over all parents).
    read: HashMap<Collection, Result<(), ()>>,
    /// Child kinds whose rows come along with their parents' lists, by connection and parent kind.
    along: HashMap<(Arc<str>, String), Vec<Arc<Kind>>>,
    connections: HashMap<String, Arc<str>>,
    scopes: Vec<Option<Value>>,
    hook_keys: HashMap<(Arc<str>, String, Value), HashMap<String, Vec<usize>>>,
    entries: HashMap<usize, Vec<usize>>,
}

/// One list that is, or could be, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Collection {
    connection: Arc<str>,
    kind: String,
    parent_kind: String,
    scope: Option<String>,
}

/// Something that must be read before an object can be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Need {
    /// A kind's collection, at least what is below this parent (none: all of it).
    Kind(Arc<str>, String, Option<String>),
    /// The entries inside one parent.
    Children(Arc<str>, String, String, String),
    /// One object, to be sure that it is gone.
    One(Arc<str>, String, String, Option<String>),
}

/// Where resolving an object stops.
enum Stop {
    /// Another declared object comes first.
    Wait,
    /// Something must be read.
    Read(Vec<Need>),
    /// It cannot be done; the diagnostics, if any, say why.
    Fail(Vec<Diagnostic>),
}

impl<'a> Observer<'a> {
    /// Prepares the observation of a stack.
    #[expect(clippy::too_many_arguments, reason = "each is a different part of the stack")]
    pub fn new(
        manifests: &'a Manifests,
        sources: &'a Sources,
        graph: &'a Graph,
        state: &'a State,
        remotes: &'a HashMap<String, Remote>,
        seal: &'a (dyn Fn(&str) -> Value + Sync),
        options: ObserveOptions,
        tell: &'a (dyn Fn(&str, &str) + Sync),
    ) -> Self {
        let count = manifests.objects.len();
        let mut entries: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, object) in manifests.objects.iter().enumerate() {
            if let Some(parent) = object.parent {
                entries.entry(parent).or_default().push(index);
            }
        }
        let connections = remotes.keys().map(|name| (name.clone(), Arc::from(name.as_str()))).collect();
        let mut observer = Self {
            manifests,
            sources,
            graph,
            state,
            remotes,
            seal,
            options,
            tell,
            out: Observed {
                standing: vec![Standing::Waiting; count],
                found: vec![None; count],
                canonical: vec![Fields::new(); count],
                parents: vec![None; count],
                ..Observed::default()
            },
            keys: KeyIndex::default(),
            names: NameIndex::default(),
            read: HashMap::new(),
            along: HashMap::new(),
            connections,
            scopes: vec![None; count],
            hook_keys: HashMap::new(),
            entries,
        };
        observer.find_along();
        observer
    }

    /// Child kinds in use, by the parents that bring them along.
    fn find_along(&mut self) {
        let mut used: BTreeSet<(String, String, String)> = BTreeSet::new();
        for object in &self.manifests.objects {
            if let Some(parent) = object.parent.and_then(|parent| self.manifests.objects.get(parent)) {
                used.insert((parent.connection.clone(), parent.kind.name.clone(), object.kind.name.clone()));
            }
            if let Some(hook) = object.kind.spec.hook.as_deref().and_then(hook::find) {
                let (field, child) = hook.source();
                let source = object.kind.field(field).and_then(|field| field.ref_spec()?.kind.clone());
                used.insert((object.connection.clone(), source.unwrap_or_default(), child.to_owned()));
            }
        }
        for (address, record) in &self.state.objects {
            if record.inside.is_some()
                && let Ok(address) = address.parse::<crate::address::Address>()
                && let Some((field, _)) = &address.entry
                && let Some(api) = self.manifests.catalog.api(&address.api)
                && let Some(child) = api.inside(&address.kind, field)
            {
                used.insert((record.connection.clone(), address.kind.to_string(), child.name.clone()));
            }
        }
        for (connection, parent, child) in used {
            let Some(remote) = self.remotes.get(&connection) else { continue };
            let Some(child) = remote.api.kind(&child) else { continue };
            if child.inside().is_some_and(|inside| inside.include.is_some()) {
                let connection = self.connection(&connection);
                self.along.entry((connection, parent)).or_default().push(child.clone());
            }
        }
    }

    fn connection(&self, name: &str) -> Arc<str> {
        self.connections.get(name).cloned().unwrap_or_else(|| Arc::from(name))
    }

    /// Observes until nothing waits.
    pub async fn run(mut self) -> Observed {
        if let Some(only) = self.options.only.clone() {
            for (index, standing) in self.out.standing.iter_mut().enumerate() {
                if !only.contains(&index) {
                    *standing = Standing::Blocked;
                }
            }
        }
        loop {
            let mut needs: BTreeSet<Need> = BTreeSet::new();
            let mut progress = false;
            let order = self.graph.order.clone();
            for index in order {
                if self.out.standing.get(index) != Some(&Standing::Waiting) {
                    continue;
                }
                match self.resolve(index) {
                    Ok(()) => progress = true,
                    Err(Stop::Wait) => {}
                    Err(Stop::Read(more)) => needs.extend(more),
                    Err(Stop::Fail(diagnostics)) => {
                        self.out.diagnostics.extend(diagnostics);
                        self.set(index, Standing::Blocked);
                        progress = true;
                    }
                }
            }
            needs.extend(self.undeclared());
            let forced = !progress;
            let read = self.fetch(needs, forced).await;
            if !read && !progress {
                break;
            }
        }
        self.give_up();
        self.read_details().await;
        self.out
    }

    fn set(&mut self, index: usize, standing: Standing) {
        if let Some(slot) = self.out.standing.get_mut(index) {
            *slot = standing;
        }
    }

    /// What still waits goes round in a circle of late references.
    fn give_up(&mut self) {
        for index in 0..self.out.standing.len() {
            if self.out.standing[index] == Standing::Waiting {
                let object = &self.manifests.objects[index];
                self.out.diagnostics.push(
                    Diagnostic::error("PL0203", format!("`{}` waits for objects that wait for it, or for one that cannot be resolved.", object.address))
                        .at(locate(self.sources, object.document, &object.pointer))
                        .about(&object.address),
                );
                self.set(index, Standing::Blocked);
            }
        }
    }

    /// Collections of owned objects that no manifest declares.
    fn undeclared(&self) -> Vec<Need> {
        if !self.options.undeclared {
            return Vec::new();
        }
        let declared: HashSet<String> =
            self.manifests.objects.iter().map(|object| object.address.to_string()).collect();
        let mut needs = Vec::new();
        for (address, record) in &self.state.objects {
            if declared.contains(address) || !self.remotes.contains_key(&record.connection) {
                continue;
            }
            let Some((kind, parent_kind)) = self.record_kind(address) else { continue };
            let connection = self.connection(&record.connection);
            if kind.spec.contains && record.deletion_policy == Some(DeletionPolicy::Delete) {
                self.contents(&connection, &kind, &record.id, &mut needs);
            }
            if let (Some(_), Some(parent)) = (kind.inside(), &record.parent) {
                needs.push(Need::Children(connection, kind.name.clone(), parent_kind, parent.clone()));
            } else if can_list(&kind) {
                needs.push(Need::Kind(connection, kind.name.clone(), record.parent.clone()));
            } else {
                needs.push(Need::One(connection, kind.name.clone(), record.id.clone(), record.parent.clone()));
            }
        }
        needs
    }

    /// Collections of what an object that may be deleted contains.
    fn contents(&self, connection: &Arc<str>, container: &Kind, id: &str, needs: &mut Vec<Need>) {
        let Some(remote) = self.remotes.get(&**connection) else { return };
        for kind in remote.api.kinds.values().filter(|kind| kind.is_declarable() && can_list(kind)) {
            let Some(field) = contained_by(kind, &container.name) else { continue };
            let need = |scope: Option<String>| Need::Kind(connection.clone(), kind.name.clone(), scope);
            match &kind.spec.scope {
                Some(scope) if scope.field == field => needs.push(need(Some(id.to_owned()))),
                Some(scope) if scope.required => {
                    // It is listed below something else only: below each of those, then.
                    let below = kind.field(&scope.field).and_then(|field| field.reference.as_ref()?.kind.clone());
                    let Some(below) = below.and_then(|below| remote.api.kind(&below)) else { continue };
                    needs.push(Need::Kind(connection.clone(), below.name.clone(), None));
                    needs.extend(
                        self.out
                            .objects
                            .iter()
                            .filter(|live| live.connection == *connection && live.kind == *below)
                            .map(|live| need(Some(live.id.clone()))),
                    );
                }
                _ => needs.push(need(None)),
            }
        }
    }

    /// Kind of a recorded object, and its parent's kind where it is an entry.
    fn record_kind(&self, address: &str) -> Option<(Arc<Kind>, String)> {
        let address: crate::address::Address = address.parse().ok()?;
        let api = self.manifests.catalog.api(&address.api)?;
        match &address.entry {
            Some((field, _)) => Some((api.inside(&address.kind, field)?.clone(), address.kind.to_string())),
            None => Some((api.kind(&address.kind)?.clone(), String::new())),
        }
    }

    fn resolve(&mut self, index: usize) -> Result<(), Stop> {
        let object = &self.manifests.objects[index];
        let kind = object.kind.clone();
        let connection = self.connection(&object.connection);
        if !self.remotes.contains_key(&object.connection) {
            return Err(Stop::Fail(Vec::new()));
        }
        // The parent first: an entry of a new object is new itself.
        let mut parent_id = None;
        let mut parent_new = false;
        if let Some(parent) = object.parent {
            match self.out.standing.get(parent) {
                Some(Standing::Known(Some(live))) => {
                    parent_id = self.out.objects.get(*live).map(|live| live.id.clone());
                }
                Some(Standing::Known(None)) => parent_new = true,
                Some(Standing::Waiting) => return Err(Stop::Wait),
                _ => return Err(Stop::Fail(Vec::new())),
            }
        }
        let uses = self.graph.uses.get(index).cloned().unwrap_or_default();
        let mut canonical = self.put_references(index, &kind.spec.fields, &object.spec, &uses, &Fields::new())?;
        let mut specs: Option<Arc<Specs>> = None;
        if let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find) {
            let definitions = self.definitions(object, &connection, hook.as_ref(), &canonical)?;
            let refined = hook.refine(&definitions);
            let (fields, late) = self.refine(index, hook.as_ref(), refined, canonical)?;
            canonical = fields.0;
            specs = Some(fields.1);
            self.out.late.insert(index, late);
        }
        let scope = kind.spec.scope.as_ref().and_then(|scope| canonical.get(&scope.field)).cloned();
        let scope_id = scope.as_ref().and_then(as_reference).and_then(|(_, target)| match target {
            Target::Id(id) => Some(id),
            _ => None,
        });
        let scope_new = scope.is_some() && scope_id.is_none() && kind.spec.scope.as_ref().is_some_and(|scope| {
            canonical.get(&scope.field).is_some_and(|value| matches!(as_reference(value), Some((_, Target::New(_)))))
        });
        self.scopes[index] = Some(scope.clone().unwrap_or(Value::Null));
        let record = self.record(object).cloned();
        let paths_parent = parent_id.clone().or_else(|| scope_id.clone());
        // Nothing can be below a parent that is not there yet.
        let known = if (parent_new || scope_new) && record.is_none() && object.annotations.external_id.is_none() {
            None
        } else {
            self.collection_of(index, &kind, &connection, parent_id.as_deref(), scope_id.as_deref(), record.as_ref())?;
            self.find_live(index, &kind, &connection, &canonical, specs.as_deref(), parent_id.as_deref(), record.as_ref())?
        };
        if let Some(live) = known
            && let Some(specs) = &specs
            && let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find)
        {
            self.redecode(live, hook.field(), specs);
        }
        if let Some(specs) = specs {
            self.out.refined.insert(index, specs);
        }
        self.out.parents[index] = paths_parent;
        self.out.canonical[index] = canonical;
        self.set(index, Standing::Known(known));
        Ok(())
    }

    /// The inventory's record of an object, under its address or the one that it moved from.
    fn record(&self, object: &Manifest) -> Option<&Record> {
        record_of(self.state, object, self.manifests).map(|(_, record)| record)
    }

    /// Makes sure that the object's collection is read.
    fn collection_of(
        &self,
        index: usize,
        kind: &Arc<Kind>,
        connection: &Arc<str>,
        parent: Option<&str>,
        scope: Option<&str>,
        record: Option<&Record>,
    ) -> Result<(), Stop> {
        let object = &self.manifests.objects[index];
        if let Some(parent_index) = object.parent {
            let parent_kind = self.manifests.objects[parent_index].kind.name.clone();
            let parent = parent.or(record.and_then(|record| record.parent.as_deref())).unwrap_or_default().to_owned();
            return self.children_read(connection, &kind.name, &parent_kind, &parent);
        }
        if kind.spec.singleton {
            let id = kind.name.clone();
            return self.one_read(connection, kind, &id, None);
        }
        if !can_list(kind) {
            return match record {
                Some(record) => self.one_read(connection, kind, &record.id, record.parent.as_deref()),
                None => Ok(()),
            };
        }
        self.kind_read(connection, kind, scope)
    }

    fn kind_read(&self, connection: &Arc<str>, kind: &Kind, scope: Option<&str>) -> Result<(), Stop> {
        let of = |scope: Option<&str>| Collection {
            connection: connection.clone(),
            kind: kind.name.clone(),
            parent_kind: String::new(),
            scope: scope.map(str::to_owned),
        };
        let found = self.read.get(&of(None)).or_else(|| scope.and_then(|scope| self.read.get(&of(Some(scope)))));
        match found {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Stop::Fail(Vec::new())),
            None => Err(Stop::Read(vec![Need::Kind(connection.clone(), kind.name.clone(), scope.map(str::to_owned))])),
        }
    }

    fn children_read(&self, connection: &Arc<str>, kind: &str, parent_kind: &str, parent: &str) -> Result<(), Stop> {
        let collection = children_of(connection, kind, parent_kind, parent);
        match self.read.get(&collection) {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Stop::Fail(Vec::new())),
            None => Err(Stop::Read(vec![Need::Children(
                connection.clone(),
                kind.to_owned(),
                parent_kind.to_owned(),
                parent.to_owned(),
            )])),
        }
    }

    fn one_read(&self, connection: &Arc<str>, kind: &Kind, id: &str, parent: Option<&str>) -> Result<(), Stop> {
        let key = (connection.clone(), kind.name.clone(), id.to_owned());
        if self.out.by_id.contains_key(&key) || self.out.gone.contains(&key) {
            return Ok(());
        }
        let collection = one_of(connection, &kind.name, id);
        match self.read.get(&collection) {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Stop::Fail(Vec::new())),
            None => Err(Stop::Read(vec![Need::One(
                connection.clone(),
                kind.name.clone(),
                id.to_owned(),
                parent.map(str::to_owned),
            )])),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one object")]
    fn find_live(
        &mut self,
        index: usize,
        kind: &Arc<Kind>,
        connection: &Arc<str>,
        canonical: &Fields,
        specs: Option<&Specs>,
        parent: Option<&str>,
        record: Option<&Record>,
    ) -> Result<Option<usize>, Stop> {
        let object = &self.manifests.objects[index];
        let id_of = |id: &str| slot_of(connection, kind, parent, id);
        if let Some(record) = record {
            if record.connection != object.connection {
                return Err(Stop::Fail(vec![
                    self.about(object, "", "PL0506", format!("It is owned through connection `{}`, and now names `{}`.", record.connection, object.connection))
                        .hint("An object cannot move between accounts: `plumb forget` it first, or give the manifest another name."),
                ]));
            }
            let id = if kind.spec.singleton { &kind.name } else { &record.id };
            if let Some(live) = self.out.by_id.get(&id_of(id)).copied().or_else(|| self.singleton(kind, connection)) {
                self.out.found[index] = Some(Found::Owned);
                return Ok(Some(live));
            }
            // A list below one parent does not show an object that was moved to another: ask for it by its id.
            let limited = object.parent.is_none() && kind.spec.scope.is_some();
            if limited && kind.can(Verb::Get) && can_list(kind) {
                self.one_read(connection, kind, &record.id, record.parent.as_deref())?;
                if let Some(live) = self.out.by_id.get(&id_of(&record.id)) {
                    self.out.found[index] = Some(Found::Owned);
                    return Ok(Some(*live));
                }
            }
        }
        if let Some(id) = object.annotations.external_id.as_deref().filter(|_| object.parent.is_none() && record.is_none()) {
            if let Some(live) = self.out.by_id.get(&id_of(id)) {
                self.out.found[index] = Some(Found::ExternalId);
                return Ok(Some(*live));
            }
            if kind.can(Verb::Get) {
                self.one_read(connection, kind, id, parent)?;
                if let Some(live) = self.out.by_id.get(&id_of(id)) {
                    self.out.found[index] = Some(Found::ExternalId);
                    return Ok(Some(*live));
                }
            }
            let mut place = self.about(object, "", "PL0207", format!("`plumb.dev/external-id` is `{id}`, and there is no {} with that id.", kind.name));
            place.place = locate(self.sources, object.document, "/metadata/annotations/plumb.dev~1external-id").or(place.place);
            return Err(Stop::Fail(vec![place]));
        }
        if kind.spec.singleton {
            self.out.found[index] = Some(Found::Key);
            return Ok(self.singleton(kind, connection));
        }
        let candidates = self.candidates(object, kind, connection, canonical, specs, parent);
        let free: Vec<usize> = self.narrow_extra(kind, canonical, candidates);
        if !free.is_empty() {
            let ids = free.iter().filter_map(|index| self.out.objects.get(*index)).map(|live| live.id.clone()).collect();
            self.out.same_key.insert(index, ids);
        }
        if free.len() == 1 {
            self.out.found[index] = Some(Found::Key);
        }
        match free[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => {
                // Which of several it is, the intent of an unfinished create may know; else a person must say.
                let intent = self.state.intents.values().find(|intent| intent.address == object.address.to_string());
                if let Some(intent) = intent {
                    let fresh: Vec<usize> = free
                        .iter()
                        .copied()
                        .filter(|index| self.out.objects.get(*index).is_some_and(|live| !intent.seen.contains(&live.id)))
                        .collect();
                    if let [only] = fresh[..] {
                        self.out.found[index] = Some(Found::Key);
                        return Ok(Some(only));
                    }
                    if fresh.is_empty() {
                        return Ok(None);
                    }
                }
                let ids: Vec<String> = free
                    .iter()
                    .filter_map(|index| self.out.objects.get(*index))
                    .map(|live| format!("`{}`", live.id))
                    .take(10)
                    .collect();
                Err(Stop::Fail(vec![
                    self.about(object, "", "PL0208", format!("{} live objects have the natural key of this manifest: ids {}.", free.len(), ids.join(", ")))
                        .hint("Say which one it is with the annotation `plumb.dev/external-id: ID`, or delete the others."),
                ]))
            }
        }
    }

    fn singleton(&self, kind: &Kind, connection: &Arc<str>) -> Option<usize> {
        if !kind.spec.singleton {
            return None;
        }
        self.out.objects.iter().position(|live| live.connection == *connection && *live.kind == *kind)
    }

    fn candidates(
        &mut self,
        object: &Manifest,
        kind: &Arc<Kind>,
        connection: &Arc<str>,
        canonical: &Fields,
        specs: Option<&Specs>,
        parent: Option<&str>,
    ) -> Vec<usize> {
        if let (Some(specs), Some(hook)) = (specs, kind.spec.hook.as_deref().and_then(hook::find)) {
            let (source, _) = hook.source();
            let (Some(of), Some(refined)) = (canonical.get(source), specs.get(hook.field())) else { return Vec::new() };
            let null = Value::Null;
            let own = hook.key(refined, canonical.get(hook.field()).unwrap_or(&null));
            let Some(own) = own.and_then(|parts| hook_key(kind, canonical, &parts)) else { return Vec::new() };
            let slot = (connection.clone(), kind.name.clone(), of.clone());
            if !self.hook_keys.contains_key(&slot) {
                let mut index: HashMap<String, Vec<usize>> = HashMap::new();
                for (number, live) in self.out.objects.iter().enumerate() {
                    if live.connection == *connection && live.kind == *kind && live.fields.get(source) == Some(of) {
                        let raw = live.fields.get(hook.field()).unwrap_or(&null);
                        let key = hook.key(refined, raw).and_then(|parts| hook_key(kind, &live.fields, &parts));
                        if let Some(key) = key {
                            index.entry(key).or_default().push(number);
                        }
                    }
                }
                self.hook_keys.insert(slot.clone(), index);
            }
            return self.hook_keys.get(&slot).and_then(|index| index.get(&own)).cloned().unwrap_or_default();
        }
        let mut fields = canonical.clone();
        if let Some(inside) = kind.inside()
            && let Some(field) = &inside.renamed_from
            && let Some(old) = object.spec.get(field).filter(|old| !old.is_null())
            && let Some(name) = kind.spec.key.first()
        {
            let now = own_key(kind, &kind.spec.fields, parent, &fields);
            if now.is_some_and(|key| self.keys.get(connection, &kind.name, &key).is_empty()) {
                fields.insert(name.clone(), old.clone());
            }
        }
        let Some(key) = own_key(kind, &kind.spec.fields, parent, &fields) else { return Vec::new() };
        self.keys.get(connection, &kind.name, &key).to_vec()
    }

    /// Of several objects with one key, those that fit what else tells them apart.
    fn narrow_extra(&self, kind: &Kind, canonical: &Fields, candidates: Vec<usize>) -> Vec<usize> {
        if candidates.len() < 2 {
            return candidates;
        }
        let mut left = candidates;
        for field in &kind.spec.key_extra {
            let (Some(spec), Some(value)) = (kind.field(field), canonical.get(field).filter(|value| !is_empty(value))) else {
                continue;
            };
            let null = Value::Null;
            left.retain(|index| {
                self.out
                    .objects
                    .get(*index)
                    .is_some_and(|live| crate::diff::equal(spec, value, live.fields.get(field).unwrap_or(&null)))
            });
        }
        left
    }

    fn about(&self, object: &Manifest, pointer: &str, code: &'static str, message: String) -> Diagnostic {
        Diagnostic::error(code, message)
            .at(locate(self.sources, object.document, &format!("{}{pointer}", object.pointer)))
            .about(&object.address)
    }

    /// Resolves the references of an object.
    fn put_references(
        &mut self,
        index: usize,
        specs: &Specs,
        spec: &Fields,
        uses: &[Use],
        beside: &Fields,
    ) -> Result<Fields, Stop> {
        let mut found: HashMap<String, Value> = HashMap::new();
        let mut needs = Vec::new();
        let mut wait = false;
        let mut wrong = Vec::new();
        let mut failed = false;
        // Full references first: a short key may be completed from them.
        let mut later: Vec<&Use> = Vec::new();
        for found_use in uses {
            match &found_use.target {
                Meaning::Live(Selector::Plain(_) | Selector::Key(_)) => later.push(found_use),
                _ => match self.resolve_use(index, specs, found_use, &Fields::new()) {
                    Ok(value) => {
                        found.insert(found_use.pointer.clone(), value);
                    }
                    Err(stop) => note(stop, &mut needs, &mut wait, &mut wrong, &mut failed),
                },
            }
        }
        // Some short keys complete others (`region` needs `country`): go over them until nothing more is found.
        let mut open = later;
        loop {
            let mut siblings = beside.clone();
            siblings.extend(map_references(specs, spec, &|pointer| found.get(pointer).cloned()));
            let before = open.len();
            let mut left = Vec::new();
            let (mut more, mut wait_more, mut wrong_more, mut failed_more) = (Vec::new(), false, Vec::new(), false);
            for found_use in open {
                match self.resolve_use(index, specs, found_use, &siblings) {
                    Ok(value) => {
                        found.insert(found_use.pointer.clone(), value);
                    }
                    Err(stop) => {
                        note(stop, &mut more, &mut wait_more, &mut wrong_more, &mut failed_more);
                        left.push(found_use);
                    }
                }
            }
            if left.is_empty() || left.len() == before {
                needs.extend(more);
                wait |= wait_more;
                failed |= failed_more;
                wrong.extend(wrong_more);
                break;
            }
            open = left;
        }
        if !needs.is_empty() {
            return Err(Stop::Read(needs));
        }
        if wait {
            return Err(Stop::Wait);
        }
        if failed || !wrong.is_empty() {
            return Err(Stop::Fail(wrong));
        }
        Ok(map_references(specs, spec, &|pointer| found.get(pointer).cloned()))
    }

    fn resolve_use(&mut self, index: usize, specs: &Specs, found: &Use, siblings: &Fields) -> Result<Value, Stop> {
        let object = &self.manifests.objects[index];
        let connection = self.connection(&object.connection);
        let by = field_at(specs, &found.pointer).and_then(|field| field.reference.as_ref()?.by.clone());
        match &found.target {
            Meaning::Declared(target) => {
                let other = &self.manifests.objects[*target];
                if other.connection != object.connection {
                    return Err(Stop::Fail(vec![self.about(
                        object,
                        &found.pointer,
                        "PL0206",
                        format!("`{}` is of connection `{}`: a reference cannot lead from one account to another.", other.address, other.connection),
                    )]));
                }
                if let Some(field) = by
                    && let Some(words) = other.spec.get(&field).and_then(text)
                {
                    return Ok(reference(&found.kind, &Target::Field(field, words)));
                }
                match self.out.standing.get(*target) {
                    Some(Standing::Known(Some(live))) => {
                        let id = self.out.objects.get(*live).map(|live| live.id.clone()).unwrap_or_default();
                        Ok(reference(&found.kind, &Target::Id(id)))
                    }
                    Some(Standing::Known(None)) => Ok(reference(&found.kind, &Target::New(other.address.to_string()))),
                    Some(Standing::Waiting) => Err(Stop::Wait),
                    _ => Err(Stop::Fail(Vec::new())),
                }
            }
            Meaning::Live(Selector::Id(id)) => match by {
                None => Ok(reference(&found.kind, &Target::Id(id.clone()))),
                Some(field) => Ok(reference(&found.kind, &Target::Field(field, id.clone()))),
            },
            Meaning::Live(selector) => {
                let parts = match selector {
                    Selector::Key(parts) => parts.clone(),
                    Selector::Plain(name) | Selector::Handle(name) | Selector::Id(name) => vec![name.clone()],
                };
                let live = self.look_up(object, &connection, specs, found, &parts, siblings)?;
                let live = &self.out.objects[live];
                match by {
                    Some(field) => {
                        let words = live.fields.get(&field).and_then(text).unwrap_or_else(|| live.id.clone());
                        Ok(reference(&found.kind, &Target::Field(field, words)))
                    }
                    None => Ok(reference(&found.kind, &Target::Id(live.id.clone()))),
                }
            }
        }
    }

    /// Finds the live object that a spoken key names.
    fn look_up(
        &mut self,
        object: &Manifest,
        connection: &Arc<str>,
        specs: &Specs,
        found: &Use,
        parts: &[String],
        siblings: &Fields,
    ) -> Result<usize, Stop> {
        let Some(remote) = self.remotes.get(object.connection.as_str()) else { return Err(Stop::Fail(Vec::new())) };
        let Some(kind) = remote.api.kind(&found.kind).cloned() else {
            return Err(Stop::Fail(vec![
                self.about(object, &found.pointer, "PL0202", format!("A `{}` can only be referred to by its id here.", found.kind))
                    .hint(format!("Write `{}/id:NUMBER`.", found.kind)),
            ]));
        };
        let field = field_at(specs, &found.pointer);
        let whole = parts.len() > kind.spec.key.len().max(1);
        let (name, narrows) = narrow(&kind, field, parts, siblings);
        // What the list must be limited to, where the API demands it or it is known anyway.
        let mut scope = None;
        if let Some(scoped) = &kind.spec.scope {
            for narrow in &narrows {
                match narrow {
                    Narrow::Same(field, value) if *field == scoped.field => match as_reference(value) {
                        Some((_, Target::Id(id))) => scope = Some(id),
                        Some((_, Target::New(_))) => {
                            return Err(Stop::Fail(vec![self.no_match(object, found, &kind, connection, parts)]));
                        }
                        _ => {}
                    },
                    Narrow::Text(field, words) if *field == scoped.field => {
                        scope = self.named_id(&kind, connection, field, words, object, found)?;
                    }
                    _ => {}
                }
            }
            if scope.is_none() && scoped.required {
                return Err(Stop::Fail(vec![
                    self.about(object, &found.pointer, "PL0204", format!("A {} is found only below its {}.", kind.name, scoped.field))
                        .hint(format!("Write `key:{}/{}`, or declare `{}` beside it.", scoped.field, parts.join("/"), scoped.field)),
                ]));
            }
        }
        if can_list(&kind) {
            self.kind_read(connection, &kind, scope.as_deref())?;
        }
        // Keys of the parts that are references need their kinds too.
        for narrow in &narrows {
            if let Narrow::Text(field, _) = narrow
                && let Some(target) = kind.field(field).and_then(|field| field.ref_spec()?.kind.clone())
                && let Some(target) = remote_kind(self.remotes, object, &target)
                && can_list(&target)
                && target.spec.scope.as_ref().is_none_or(|scope| !scope.required)
            {
                self.kind_read(connection, &target, None)?;
            }
        }
        let named = |target_kind: &str, target: &Target, words: &str| match target {
            Target::Id(id) => self
                .out
                .by_id
                .get(&(connection.clone(), target_kind.to_owned(), id.clone()))
                .and_then(|index| self.out.objects.get(*index))
                .is_some_and(|live| {
                    let names = live.kind.spec.key.last().into_iter().chain(&live.kind.spec.aliases);
                    names.filter_map(|field| live.fields.get(field)).any(|value| text(value).as_deref() == Some(words))
                }),
            Target::Field(_, value) => value == words,
            Target::New(_) => false,
        };
        let matching: Vec<usize> = if whole {
            Vec::new()
        } else {
            self.names
                .find(connection, &kind, &name)
                .into_iter()
                .filter(|index| self.out.objects.get(*index).is_some_and(|live| fits(live, &narrows, &named)))
                .collect()
        };
        match matching[..] {
            [only] => Ok(only),
            [] => Err(Stop::Fail(vec![self.no_match(object, found, &kind, connection, parts)])),
            _ => {
                let ids: Vec<String> =
                    matching.iter().take(10).map(|index| format!("`id:{}`", self.out.objects[*index].id)).collect();
                let needed = kind.spec.key.join("/");
                Err(Stop::Fail(vec![
                    self.about(object, &found.pointer, "PL0209", format!("`{}` matches {} live objects of kind {}: {}.", parts.join("/"), matching.len(), kind.name, ids.join(", ")))
                        .hint(format!("Write one of these, or the whole key `key:{needed}`.")),
                ]))
            }
        }
    }

    /// The id of the object that a part of a key names.
    fn named_id(
        &mut self,
        kind: &Kind,
        connection: &Arc<str>,
        field: &str,
        words: &str,
        object: &Manifest,
        found: &Use,
    ) -> Result<Option<String>, Stop> {
        let Some(target) = kind.field(field).and_then(|field| field.ref_spec()?.kind.clone()) else { return Ok(None) };
        let Some(target) = remote_kind(self.remotes, object, &target) else { return Ok(None) };
        if let Some(index) = self.graph.names.handle(&target.api, &target.name, words)
            && let Some(Standing::Known(Some(live))) = self.out.standing.get(index)
        {
            return Ok(self.out.objects.get(*live).map(|live| live.id.clone()));
        }
        self.kind_read(connection, &target, None)?;
        match self.names.find(connection, &target, words)[..] {
            [only] => Ok(self.out.objects.get(only).map(|live| live.id.clone())),
            _ => Err(Stop::Fail(vec![self.no_match(object, found, &target, connection, &[words.to_owned()])])),
        }
    }

    fn no_match(&self, object: &Manifest, found: &Use, kind: &Kind, connection: &Arc<str>, parts: &[String]) -> Diagnostic {
        let name = parts.last().map(String::as_str).unwrap_or_default();
        let shown = parts.join("/");
        let mut wrong = self.about(
            object,
            &found.pointer,
            "PL0202",
            format!("`{shown}` is neither a declared {kind} nor the key of a live one.", kind = kind.name),
        );
        let near = self.names.near(connection, kind, name);
        if near.is_empty() {
            let declared = if kind.is_declarable() { format!("Declare a {} with that name, or ", kind.name) } else { String::new() };
            wrong = wrong.hint(format!("{declared}refer to a live object by `id:ID`."));
        } else {
            let list: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
            wrong = wrong.hint(format!("Live objects with a similar name: {}.", list.join(", ")));
        }
        wrong
    }

    /// The definitions that a hook needs for one object.
    fn definitions(
        &mut self,
        object: &Manifest,
        connection: &Arc<str>,
        hook: &dyn hook::Hook,
        canonical: &Fields,
    ) -> Result<Vec<Definition>, Stop> {
        let (field, child) = hook.source();
        let Some((source_kind, target)) = canonical.get(field).and_then(as_reference) else {
            return Err(Stop::Fail(vec![self.about(object, "", "PL0110", format!("`{field}` is needed to know the fields of `{}`.", hook.field()))]));
        };
        let source_kind = source_kind.to_owned();
        let mut definitions: Vec<Definition> = Vec::new();
        if let Target::Id(id) = &target {
            self.children_read(connection, child, &source_kind, id)?;
            for live in self.out.objects.iter().filter(|live| {
                live.connection == *connection && live.kind.name == child && live.parent.as_deref() == Some(id)
            }) {
                definitions.push(Definition { fields: live.fields.clone(), live: true });
            }
        }
        // What is declared is laid over what is live.
        let declared = self.graph.uses.iter().zip(&self.manifests.objects).position(|(_, other)| std::ptr::eq(other, object));
        let source = declared
            .and_then(|index| self.graph.uses.get(index))
            .and_then(|uses| uses.iter().find(|found| found.pointer == format!("/{field}")))
            .and_then(|found| match found.target {
                Meaning::Declared(index) => Some(index),
                Meaning::Live(_) => None,
            });
        let entries = source.and_then(|source| self.entries.get(&source)).cloned().unwrap_or_default();
        for entry in entries {
            let declared = &self.manifests.objects[entry];
            if declared.kind.name != child {
                continue;
            }
            let known = match self.out.standing.get(entry) {
                Some(Standing::Known(known)) => *known,
                Some(Standing::Waiting) => return Err(Stop::Wait),
                _ => return Err(Stop::Fail(Vec::new())),
            };
            let fields = self.out.canonical.get(entry).cloned().unwrap_or_default();
            match known.and_then(|live| self.out.objects.get(live)) {
                Some(live) => {
                    let key = live.kind.spec.key.first().cloned().unwrap_or_default();
                    let name = live.fields.get(&key);
                    if let Some(there) = definitions.iter_mut().find(|there| there.fields.get(&key) == name) {
                        there.fields.extend(fields);
                    }
                }
                None => definitions.push(Definition { fields, live: false }),
            }
        }
        Ok(definitions)
    }

    /// Types an object's hook field and resolves the references in it.
    #[expect(clippy::type_complexity, reason = "fields, types and late uses of one object")]
    fn refine(
        &mut self,
        index: usize,
        hook: &dyn hook::Hook,
        refined: crate::description::format::FieldSpec,
        canonical: Fields,
    ) -> Result<((Fields, Arc<Specs>), Vec<usize>), Stop> {
        let object = &self.manifests.objects[index];
        let mut specs = object.kind.spec.fields.clone();
        let mut own = Fields::new();
        let mut wrong = Vec::new();
        if let Some(Value::Object(members)) = object.spec.get(hook.field()) {
            let (named, unknown) = rename_members(&refined, members);
            for name in unknown {
                let mut bad = self.about(
                    object,
                    &format!("/{}/{}", hook.field(), crate::address::escape(&name)),
                    "PL0111",
                    format!("`{name}` is no field of this object's type."),
                );
                if let Some(near) = crate::diagnostic::nearest(&name, refined.fields.keys().map(String::as_str)) {
                    bad = bad.hint(format!("Did you mean `{near}`?"));
                } else {
                    let known: Vec<String> = refined.fields.keys().map(|name| format!("`{name}`")).collect();
                    bad = bad.hint(format!("It has {}.", known.join(", ")));
                }
                wrong.push(bad);
            }
            for (name, value) in &named {
                if let Some(member) = refined.fields.get(name)
                    && let Some(why) = misfit(member, value)
                {
                    wrong.push(self.about(object, &format!("/{}", hook.field()), "PL0103", format!("`{name}` {why}.")));
                }
            }
            own.insert(hook.field().to_owned(), Value::Object(typed_members(&refined, named)));
        }
        if !wrong.is_empty() {
            return Err(Stop::Fail(wrong));
        }
        specs.insert(hook.field().to_owned(), refined);
        let only: Specs = specs.get_key_value(hook.field()).map(|(name, spec)| (name.clone(), spec.clone())).into_iter().collect();
        let mut diagnostics = Vec::new();
        let as_manifest = Manifest { spec: own.clone(), ..object.clone() };
        let uses = uses_of(&as_manifest, &only, &self.graph.names, self.sources, &mut diagnostics);
        if !diagnostics.is_empty() {
            return Err(Stop::Fail(diagnostics));
        }
        let resolved = self.put_references(index, &only, &own, &uses, &canonical)?;
        let late = uses
            .iter()
            .filter_map(|found| match found.target {
                Meaning::Declared(target) => Some(target),
                Meaning::Live(_) => None,
            })
            .collect();
        let mut canonical = canonical;
        canonical.extend(resolved);
        Ok(((canonical, Arc::new(specs)), late))
    }

    /// Reads a live object's hook field again, with its types.
    fn redecode(&mut self, live: usize, field: &str, specs: &Specs) {
        let seal = self.seal;
        if let Some(object) = self.out.objects.get_mut(live)
            && let Some(spec) = specs.get(field)
            && let Some(raw) = &object.raw
        {
            let wire = object.kind.field(field).and_then(|own| dialect::attribute(&object.kind, raw, own.wire_name()));
            if let Some(wire) = wire {
                object.fields.insert(field.to_owned(), decode(spec, &wire, &seal));
            }
        }
    }

    /// Reads what is needed; tells whether anything was read. `forced`: nothing else can go on, so that scopes which
    /// are not known yet are not waited for.
    async fn fetch(&mut self, needs: BTreeSet<Need>, forced: bool) -> bool {
        let mut kinds: BTreeMap<(Arc<str>, String), BTreeSet<Option<String>>> = BTreeMap::new();
        let mut jobs: Vec<Job> = Vec::new();
        for need in needs {
            match need {
                Need::Kind(connection, kind, scope) => {
                    kinds.entry((connection, kind)).or_default().insert(scope);
                }
                Need::Children(connection, kind, parent_kind, parent) => {
                    // It may come along with the parents' list, which is then read first.
                    jobs.push(Job::Children { connection, kind, parent_kind, parent });
                }
                Need::One(connection, kind, id, parent) => jobs.push(Job::One { connection, kind, id, parent }),
            }
        }
        for ((connection, kind), scopes) in kinds {
            let Some(kind) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(&kind)).cloned() else { continue };
            match self.choose(&connection, &kind, scopes, forced) {
                Some(Choice::All { parents }) => jobs.push(Job::Kind { connection, kind, scope: None, parents }),
                Some(Choice::Each(scopes)) => {
                    for scope in scopes {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        jobs.push(Job::Kind { connection, kind, scope: Some(scope), parents: Vec::new() });
                    }
                }
                None => {}
            }
        }
        jobs.retain(|job| !self.read.contains_key(&job.collection()));
        if jobs.is_empty() {
            return false;
        }
        let results: Vec<(Job, Result<Answers, HttpError>)> = {
            let this = &*self;
            stream::iter(jobs).map(|job| async move {
                let answers = this.run_job(&job).await;
                (job, answers)
            })
            .buffer_unordered(16)
            .collect()
            .await
        };
        let mut results = results;
        results.sort_by(|(a, _), (b, _)| a.collection().cmp(&b.collection()));
        for (job, answers) in results {
            self.take(&job, answers);
        }
        true
    }

    /// Whether to list a kind over all parents or parent by parent; nothing while too little is known.
    fn choose(&self, connection: &Arc<str>, kind: &Arc<Kind>, asked: BTreeSet<Option<String>>, forced: bool) -> Option<Choice> {
        let Some(scope) = &kind.spec.scope else { return Some(Choice::All { parents: Vec::new() }) };
        if scope.required {
            return Some(Choice::Each(asked.into_iter().flatten().collect()));
        }
        if scope.filter.is_none() || asked.contains(&None) {
            return Some(Choice::All { parents: Vec::new() });
        }
        let mut parents: BTreeSet<String> = asked.into_iter().flatten().collect();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            if object.kind != *kind || object.connection != **connection || self.out.standing[index] == Standing::Blocked {
                continue;
            }
            match &self.scopes[index] {
                None if !forced => return None,
                Some(value) => {
                    if let Some((_, Target::Id(id))) = as_reference(value) {
                        parents.insert(id);
                    }
                }
                None => {}
            }
        }
        let parents: Vec<String> = parents.into_iter().collect();
        if parents.len() == 1 { Some(Choice::Each(parents)) } else { Some(Choice::All { parents }) }
    }

    async fn run_job(&self, job: &Job) -> Result<Answers, HttpError> {
        let connection = job.connection();
        let Some(remote) = self.remotes.get(&**connection) else { return Ok(Answers::default()) };
        (self.tell)(connection, job.kind());
        match job {
            Job::Kind { connection, kind, scope, parents } => {
                let include = self.includes(connection, &kind.name, false);
                let below = |id: Option<&String>| {
                    let mut asked = ListQuery { include: include.clone(), ..ListQuery::default() };
                    if let (Some(scoped), Some(id)) = (&kind.spec.scope, id) {
                        match &scoped.filter {
                            Some(filter) => asked.query.push((filter.clone(), id.clone())),
                            None => asked.vars.push((scoped.field.clone(), id.clone())),
                        }
                    }
                    asked
                };
                let limit = if parents.is_empty() { usize::MAX } else { parents.len().saturating_add(1) };
                if let Some(listing) = remote.list_within(kind, &below(scope.as_ref()), limit).await? {
                    return Ok(Answers { listing, ..Answers::default() });
                }
                // The whole is longer than the parents in use are many: read it below each of them instead.
                let mut answers = Answers { scopes: parents.clone(), ..Answers::default() };
                let mut parts = stream::iter(parents)
                    .map(|parent| {
                        let asked = below(Some(parent));
                        async move { remote.list(kind, &asked).await }
                    })
                    .buffered(8);
                while let Some(part) = parts.next().await {
                    let part = part?;
                    answers.listing.rows.extend(part.rows);
                    answers.listing.included.extend(part.included);
                }
                Ok(answers)
            }
            Job::Children { connection, kind, parent_kind, parent } => {
                let Some(child) = remote.api.kind(kind) else { return Ok(Answers::default()) };
                let Some(inside) = child.inside() else { return Ok(Answers::default()) };
                let parent_path = inside.parents.get(parent_kind).cloned().unwrap_or_default();
                if can_list(child) {
                    let asked = ListQuery {
                        vars: vec![("parent".into(), parent.clone()), ("parentPath".into(), parent_path)],
                        ..ListQuery::default()
                    };
                    return remote.list(child, &asked).await.map(|listing| Answers { listing, ..Answers::default() });
                }
                let Some(parent_kind) = remote.api.kind(parent_kind) else { return Ok(Answers::default()) };
                let vars = |name: &str| (name == "id").then(|| parent.clone());
                let include = self.includes(connection, &parent_kind.name, true);
                let found = remote.get(parent_kind, &vars, &include).await?;
                Ok(Answers { one: found, ..Answers::default() })
            }
            Job::One { kind, id, parent, .. } => {
                let Some(kind) = remote.api.kind(kind) else { return Ok(Answers::default()) };
                let found = remote.get(kind, &item_vars(kind, id, parent.as_deref(), None), &[]).await?;
                Ok(Answers { one: found, ..Answers::default() })
            }
        }
    }

    fn includes(&self, connection: &Arc<str>, kind: &str, on_get: bool) -> Vec<String> {
        let children = self.along.get(&(connection.clone(), kind.to_owned()));
        children
            .into_iter()
            .flatten()
            .filter_map(|child| {
                let inside = child.inside()?;
                (on_get || !inside.include_on_get_only).then(|| inside.include.clone())?
            })
            .collect()
    }

    fn take(&mut self, job: &Job, answers: Result<Answers, HttpError>) {
        let connection = job.connection().clone();
        let collection = job.collection();
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.read.insert(collection, Err(()));
                self.out.failed.push((connection, job.kind().to_owned()));
                let mut diagnostic: Diagnostic = error.into();
                diagnostic = diagnostic.hint(format!(
                    "Nothing that depends on the {} of this connection is planned: a read that failed is not taken for absence.",
                    job.kind()
                ));
                if !self.out.diagnostics.contains(&diagnostic) {
                    self.out.diagnostics.push(diagnostic);
                }
                return;
            }
        };
        for scope in &answers.scopes {
            self.read.insert(Collection { scope: Some(scope.clone()), ..collection.clone() }, Ok(()));
        }
        if answers.scopes.is_empty() {
            self.read.insert(collection, Ok(()));
        }
        match job {
            Job::Kind { kind, scope, .. } => {
                if scope.is_none() && answers.scopes.is_empty() {
                    self.out.complete.insert((connection.clone(), kind.name.clone()));
                }
                self.add_rows(&connection, kind, scope.as_deref(), &answers.listing);
            }
            Job::Children { kind, parent_kind, parent, .. } => {
                let Some(remote) = self.remotes.get(&*connection) else { return };
                let Some(child) = remote.api.kind(kind).cloned() else { return };
                match answers.one {
                    Some((row, more)) => {
                        let Some(parent_kind) = remote.api.kind(parent_kind).cloned() else { return };
                        self.add_children(&connection, &parent_kind, parent, &row, &index_included(&more), true);
                    }
                    None => {
                        for row in &answers.listing.rows {
                            self.add_row(&connection, &child, row, Some(parent));
                        }
                    }
                }
            }
            Job::One { kind, id, parent, .. } => {
                let Some(kind) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(kind)).cloned() else { return };
                match answers.one {
                    Some((row, _)) => {
                        if let Some(index) = self.add_row(&connection, &kind, &row, parent.as_deref())
                            && let Some(object) = self.out.objects.get_mut(index)
                        {
                            object.detailed = true;
                        }
                    }
                    None => {
                        self.out.gone.insert((connection, kind.name.clone(), id.clone()));
                    }
                }
            }
        }
    }

    fn add_rows(&mut self, connection: &Arc<str>, kind: &Arc<Kind>, scope: Option<&str>, listing: &Listing) {
        let included = index_included(&listing.included);
        for row in &listing.rows {
            let added = self.add_row(connection, kind, row, scope);
            let Some(id) = added.and_then(|index| self.out.objects.get(index)).map(|object| object.id.clone()) else { continue };
            self.add_children(connection, kind, &id, row, &included, false);
        }
    }

    /// Adds the entries that came along with a parent, where the answer really has them.
    fn add_children(
        &mut self,
        connection: &Arc<str>,
        parent_kind: &Arc<Kind>,
        parent: &str,
        row: &Value,
        along: &HashMap<(String, String), &Value>,
        by_get: bool,
    ) {
        let children = self.along.get(&(connection.clone(), parent_kind.name.clone())).cloned().unwrap_or_default();
        for child in children {
            let Some(inside) = child.inside() else { continue };
            let Some(include) = inside.include.as_deref() else { continue };
            if inside.include_on_get_only && !by_get {
                continue;
            }
            if let Some(rows) = included(parent_kind, &child, row, include, along) {
                let rows: Vec<Value> = rows.into_iter().cloned().collect();
                for row in &rows {
                    self.add_row(connection, &child, row, Some(parent));
                }
                self.read.insert(children_of(connection, &child.name, &parent_kind.name, parent), Ok(()));
            }
        }
    }

    /// Adds one row, unless it is no object of the kind or there already.
    fn add_row(&mut self, connection: &Arc<str>, kind: &Arc<Kind>, row: &Value, parent: Option<&str>) -> Option<usize> {
        if kind.spec.not_ours.iter().any(|condition| dialect::wire_condition(kind, row, condition)) {
            return None;
        }
        let seal = self.seal;
        let mut decoded = decode_row(kind, row, &seal)?;
        // A kind that is listed below its parent may not say which parent that is.
        if let (Some(scope), Some(parent)) = (&kind.spec.scope, parent)
            && decoded.fields.get(&scope.field).is_none_or(Value::is_null)
            && let Some(target) = kind.field(&scope.field).and_then(|field| field.reference.as_ref()?.kind.clone())
        {
            decoded.fields.insert(scope.field.clone(), reference(&target, &Target::Id(parent.to_owned())));
        }
        let slot = slot_of(connection, kind, parent, &decoded.id);
        if let Some(known) = self.out.by_id.get(&slot) {
            return Some(*known);
        }
        let keep = kind.spec.hook.is_some() || kind.spec.update.style == UpdateStyle::Replace;
        let object = LiveObject {
            kind: kind.clone(),
            connection: connection.clone(),
            id: decoded.id,
            raw: keep.then(|| row.clone()),
            parent: parent.map(str::to_owned).or_else(|| self.scope_id(kind, &decoded.fields)),
            synced: kind.spec.synced.as_ref().is_some_and(|synced| {
                synced.detect.iter().any(|condition| dialect::wire_condition(kind, row, condition))
            }),
            never_delete: kind.spec.never_delete.iter().any(|condition| dialect::wire_condition(kind, row, condition)),
            detailed: false,
            fields: decoded.fields,
        };
        let index = self.out.objects.len();
        self.names.add(&object, index);
        self.keys.add(connection, kind, object.parent.as_deref(), &object.fields, index);
        self.out.by_id.insert(slot, index);
        self.out.objects.push(object);
        Some(index)
    }

    fn scope_id(&self, kind: &Kind, fields: &Fields) -> Option<String> {
        let scope = kind.spec.scope.as_ref()?;
        match as_reference(fields.get(&scope.field)?)? {
            (_, Target::Id(id)) => Some(id),
            _ => None,
        }
    }

    /// Reads object by object where a declared field is not in the list's items, or cut there.
    async fn read_details(&mut self) {
        let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            if object.annotations.reconcile == Reconcile::Disabled {
                continue;
            }
            if let Standing::Known(Some(live)) = self.out.standing[index]
                && let Some(there) = self.out.objects.get(live)
                && needs_detail(object, &self.out.canonical[index], there)
            {
                wanted.insert(live, index);
            }
        }
        let this = &*self;
        let results: Vec<(usize, usize, Result<Option<(Value, Vec<Value>)>, HttpError>)> = stream::iter(wanted)
            .map(|(live, index)| async move {
                let object = &this.out.objects[live];
                let Some(remote) = this.remotes.get(&*object.connection) else { return (live, index, Ok(None)) };
                (this.tell)(&object.connection, &object.kind.name);
                let vars = item_vars(&object.kind, &object.id, object.parent.as_deref(), Some(&object.fields));
                (live, index, remote.get(&object.kind, &vars, &[]).await)
            })
            .buffer_unordered(16)
            .collect()
            .await;
        let mut results = results;
        results.sort_by_key(|(live, ..)| *live);
        for (live, index, result) in results {
            match result {
                Ok(Some((row, _))) => {
                    let seal = self.seal;
                    if let Some(object) = self.out.objects.get_mut(live)
                        && let Some(decoded) = decode_row(&object.kind, &row, &seal)
                    {
                        object.fields.extend(decoded.fields);
                        object.detailed = true;
                        if object.raw.is_some() {
                            object.raw = Some(row);
                        }
                    }
                    let specs = self.out.refined.get(&index).cloned();
                    let hook = self.manifests.objects[index].kind.spec.hook.as_deref().and_then(hook::find);
                    if let (Some(specs), Some(hook)) = (specs, hook) {
                        self.redecode(live, hook.field(), &specs);
                    }
                }
                // It went while we looked: it is gone.
                Ok(None) => self.set(index, Standing::Known(None)),
                Err(error) => {
                    self.out.diagnostics.push(Diagnostic::from(error).about(&self.manifests.objects[index].address));
                    self.set(index, Standing::Blocked);
                }
            }
        }
        self.unreadable_secrets();
    }

    /// Tells of sensitive fields that the API did not show although it can: their hash stands in.
    fn unreadable_secrets(&mut self) {
        let mut told: HashSet<(Arc<str>, String, String)> = HashSet::new();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            let Some(live) = self.out.live(index) else { continue };
            for (name, value) in &self.out.canonical[index] {
                let Some(spec) = object.kind.field(name) else { continue };
                if (secret_hash(value).is_some() || value_from(value).is_some())
                    && spec.on_get_only
                    && !spec.write_only
                    && live.detailed
                    && !live.fields.contains_key(name)
                {
                    told.insert((live.connection.clone(), object.kind.name.clone(), name.clone()));
                }
            }
        }
        let mut told: Vec<_> = told.into_iter().collect();
        told.sort();
        for (connection, kind, field) in told {
            self.out.diagnostics.push(
                Diagnostic::warning("PL0411", format!("The credential of connection `{connection}` cannot read `{field}` of {kind} objects: changes made behind plumb's back are not seen."))
                    .hint("What plumb wrote last stands in by its keyed hash. Give the credential the right to read secrets to see drift."),
            );
        }
    }
}

/// Where a live object is found. An entry that is known by its key has an id of its own only together with its
/// parent's.
pub(super) fn slot_of(connection: &Arc<str>, kind: &Kind, parent: Option<&str>, id: &str) -> (Arc<str>, String, String) {
    let id = if kind.inside().is_some() { format!("{}/{id}", parent.unwrap_or_default()) } else { id.to_owned() };
    (connection.clone(), kind.name.clone(), id)
}

/// The inventory's record of an object: under its address, or the one that it moved from.
pub fn record_of<'s>(state: &'s State, object: &Manifest, manifests: &Manifests) -> Option<(String, &'s Record)> {
    let own = object.address.to_string();
    if let Some(record) = state.objects.get(&own) {
        return Some((own, record));
    }
    record_sources(object, manifests)
        .into_iter()
        .find_map(|address| state.objects.get(&address).map(|record| (address, record)))
}

/// Addresses that an object may have had before, by `plumb.dev/moved-from` and the entry's own former key.
pub fn record_sources(object: &Manifest, manifests: &Manifests) -> Vec<String> {
    let mut candidates = Vec::new();
    let manifest = object.parent.and_then(|parent| manifests.objects.get(parent)).unwrap_or(object);
    let base = match &manifest.annotations.moved_from {
        Some(name) => crate::address::Address { name: name.as_str().into(), ..object.address.clone() },
        None => object.address.clone(),
    };
    if base != object.address {
        candidates.push(base.to_string());
    }
    if let Some(inside) = object.kind.inside()
        && let Some(field) = &inside.renamed_from
        && let Some(old) = object.spec.get(field).and_then(text)
        && let Some((list, _)) = &object.address.entry
    {
        candidates.push(object.address.entry(list, &old).to_string());
        candidates.push(base.entry(list, &old).to_string());
    }
    candidates
}

fn needs_detail(object: &Manifest, canonical: &Fields, live: &LiveObject) -> bool {
    let kind = &live.kind;
    if live.detailed || !kind.can(Verb::Get) {
        return false;
    }
    canonical.iter().any(|(name, value)| {
        let Some(spec) = object.kind.field(name) else { return false };
        if spec.write_only || spec.not_sent {
            return false;
        }
        let there = live.fields.get(name);
        if (kind.spec.list.partial || spec.on_get_only) && there.is_none() {
            return true;
        }
        spec.list_cuts_at.is_some_and(|limit| {
            let length = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, |words| words.chars().count());
            let (declared, shown) = (length(Some(value)), length(there));
            shown >= limit as usize || (declared >= limit as usize && shown > 0 && shown + 3 >= limit as usize)
        })
    })
}

/// Values of the templates in a path of one object.
pub fn item_vars<'v>(
    kind: &'v Kind,
    id: &'v str,
    parent: Option<&'v str>,
    fields: Option<&'v Fields>,
) -> impl Fn(&str) -> Option<String> + 'v {
    move |name: &str| match name {
        "id" => Some(id.to_owned()),
        "parent" => parent.map(str::to_owned),
        field => {
            let value = fields.and_then(|fields| fields.get(field));
            match value.map(|value| as_reference(value).ok_or(value)) {
                Some(Ok((_, Target::Id(id) | Target::Field(_, id)))) => Some(id),
                Some(Ok(_)) => None,
                Some(Err(value)) => text(value),
                None => kind.spec.scope.as_ref().filter(|scope| scope.field == field).and(parent).map(str::to_owned),
            }
        }
    }
}

fn note(stop: Stop, needs: &mut Vec<Need>, wait: &mut bool, wrong: &mut Vec<Diagnostic>, failed: &mut bool) {
    match stop {
        Stop::Wait => *wait = true,
        Stop::Read(more) => needs.extend(more),
        Stop::Fail(diagnostics) => {
            *failed = true;
            wrong.extend(diagnostics);
        }
    }
}

fn remote_kind(remotes: &HashMap<String, Remote>, object: &Manifest, kind: &str) -> Option<Arc<Kind>> {
    remotes.get(object.connection.as_str())?.api.kind(kind).cloned()
}

/// The field that a pointer leads to.
fn field_at<'s>(specs: &'s Specs, pointer: &str) -> Option<&'s crate::description::format::FieldSpec> {
    let mut parts = pointer.split('/').skip(1).map(crate::address::unescape);
    let mut field = specs.get(&parts.next()?)?;
    for part in parts {
        field = match field.fields.get(&part) {
            Some(member) => member,
            None => field.items.as_deref()?,
        };
    }
    Some(if field.reference.is_none() { field.items.as_deref().unwrap_or(field) } else { field })
}

/// Puts members under the names that the hook gives them: they may be written by their definition's own name.
fn rename_members(refined: &crate::description::format::FieldSpec, members: &Fields) -> (Fields, Vec<String>) {
    let mut named = Fields::new();
    let mut unknown = Vec::new();
    for (name, value) in members {
        if refined.fields.contains_key(name) {
            named.insert(name.clone(), value.clone());
            continue;
        }
        let by_title = refined.fields.iter().find(|(_, member)| member.description.as_deref() == Some(name.as_str()));
        match by_title {
            Some((key, _)) => {
                named.insert(key.clone(), value.clone());
            }
            None => unknown.push(name.clone()),
        }
    }
    (named, unknown)
}

/// What is wrong with a member's value, in words that follow its name.
fn misfit(member: &crate::description::format::FieldSpec, value: &Value) -> Option<String> {
    use crate::description::format::FieldType;
    if value.is_null() {
        return None;
    }
    let secret = secret_hash(value).is_some() || value_from(value).is_some();
    if member.always_sensitive() && !secret {
        return Some("is a password: write it as `{valueFrom: {env: NAME}}`".into());
    }
    if !member.always_sensitive() && secret {
        return Some("is not sensitive and takes no `valueFrom`".into());
    }
    let fits = match member.ty {
        FieldType::String | FieldType::Date => !(value.is_object() || value.is_array()) || secret,
        FieldType::Number | FieldType::Integer => text(value).is_some_and(|words| words.parse::<f64>().is_ok()),
        FieldType::Boolean => matches!(text(value).as_deref(), Some("true" | "false")),
        FieldType::File => value::file(value).is_some(),
        _ => true,
    };
    if !fits {
        let wanted = match member.ty {
            FieldType::File => "a file: `{file: PATH}`",
            FieldType::Number | FieldType::Integer => "a number",
            FieldType::Boolean => "`true` or `false`",
            _ => "a text",
        };
        return Some(format!("must be {wanted}"));
    }
    if !member.allowed.is_empty() && !member.allowed.iter().any(|word| text(word) == text(value)) {
        let words: Vec<String> = member.allowed.iter().filter_map(text).map(|word| format!("`{word}`")).collect();
        return Some(format!("must be one of {}", words.join(", ")));
    }
    None
}

/// Members with their scalars in the types that the hook gives them.
fn typed_members(refined: &crate::description::format::FieldSpec, members: Fields) -> Fields {
    use crate::description::format::FieldType;
    members
        .into_iter()
        .map(|(name, value)| {
            let typed = match refined.fields.get(&name).map(|member| member.ty) {
                Some(FieldType::String | FieldType::Date) if value.is_number() || value.is_boolean() => {
                    text(&value).map_or(value, Value::String)
                }
                _ => value,
            };
            (name, typed)
        })
        .collect()
}

fn children_of(connection: &Arc<str>, kind: &str, parent_kind: &str, parent: &str) -> Collection {
    Collection {
        connection: connection.clone(),
        kind: kind.to_owned(),
        parent_kind: parent_kind.to_owned(),
        scope: Some(parent.to_owned()),
    }
}

fn one_of(connection: &Arc<str>, kind: &str, id: &str) -> Collection {
    Collection { connection: connection.clone(), kind: kind.to_owned(), parent_kind: "=".into(), scope: Some(id.to_owned()) }
}

fn index_included(rows: &[Value]) -> HashMap<(String, String), &Value> {
    rows.iter()
        .filter_map(|row| {
            let word = row.get("type").and_then(text)?.replace('_', "-");
            let id = row.get("id").and_then(text).or_else(|| text(value::get_path(row, "attributes.id")?))?;
            Some(((word, id), row))
        })
        .collect()
}

/// How a kind is listed.
enum Choice {
    /// Over all parents, unless reading it below each of these takes fewer pages.
    All { parents: Vec<String> },
    /// Parent by parent.
    Each(Vec<String>),
}

/// One read.
enum Job {
    Kind { connection: Arc<str>, kind: Arc<Kind>, scope: Option<String>, parents: Vec<String> },
    Children { connection: Arc<str>, kind: String, parent_kind: String, parent: String },
    One { connection: Arc<str>, kind: String, id: String, parent: Option<String> },
}

#[derive(Default)]
struct Answers {
    listing: Listing,
    /// The parents that the listing is limited to, where it is not what was asked for.
    scopes: Vec<String>,
    one: Option<(Value, Vec<Value>)>,
}

impl Job {
    fn connection(&self) -> &Arc<str> {
        match self {
            Self::Kind { connection, .. } | Self::Children { connection, .. } | Self::One { connection, .. } => connection,
        }
    }

    fn kind(&self) -> &str {
        match self {
            Self::Kind { kind, .. } => &kind.name,
            Self::Children { kind, .. } | Self::One { kind, .. } => kind,
        }
    }

    fn collection(&self) -> Collection {
        match self {
            Self::Kind { connection, kind, scope, .. } => Collection {
                connection: connection.clone(),
                kind: kind.name.clone(),
                parent_kind: String::new(),
                scope: scope.clone(),
            },
            Self::Children { connection, kind, parent_kind, parent } => children_of(connection, kind, parent_kind, parent),
            Self::One { connection, kind, id, .. } => one_of(connection, kind, id),
        }
    }
}
