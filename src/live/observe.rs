//! The rounds of observing: resolve what can be resolved, list what is missing, until nothing waits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Found, LiveObject, Observed, Standing,
    intended::{is_as_sent, may_be_of},
    keys::{KeyIndex, hook_key, own_key},
    reads::roams,
    records::record_of,
    references::{has_own, is_own},
    remote::{Remote, can_list},
    resolve::NameIndex,
    survey::Noted,
    waits::Expected,
};
use crate::{
    description::{
        Kind, Specs, contained_by,
        format::Verb,
        hook::{self},
    },
    diagnostic::{Diagnostic, Sources},
    graph::{Graph, Use},
    inventory::{Record, State},
    manifest::{DeletionPolicy, Manifest, Manifests, locate},
    value::{Fields, Target, as_reference, is_empty, text},
};

/// What to observe besides the declared objects.
#[derive(Debug, Clone, Default)]
pub struct ObserveOptions {
    /// Owned objects that are not declared are looked at too, because they may be deleted.
    pub undeclared: bool,
    /// Objects outside of these are not looked at: indices of declared objects.
    pub only: Option<HashSet<usize>>,
    /// Whole kinds are looked at, whatever is declared.
    pub survey: bool,
    /// Kinds of connections of which a survey reads every field.
    pub whole: HashSet<(String, String)>,
    /// Objects whose contents are looked at, because they are to be made anew.
    pub emptied: Vec<Container>,
}

/// An object that may contain others.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its connection.
    pub connection: Arc<str>,
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Its id.
    pub id: String,
    /// Id of its parent.
    pub parent: Option<String>,
}

/// What the types of an object's fields follow from: connection, kind, the object that defines them, and its manifest.
pub(super) type TypedBy = (Arc<str>, String, Value, Option<usize>);

/// Live objects by key.
type ByKey = HashMap<String, Vec<usize>>;

/// Observes the live side of a stack.
pub struct Observer<'a> {
    pub(super) manifests: &'a Manifests,
    pub(super) sources: &'a Sources,
    pub(super) graph: &'a Graph,
    pub(super) state: &'a State,
    pub(super) remotes: &'a HashMap<String, Remote>,
    pub(super) seal: &'a (dyn Fn(&str) -> Value + Sync),
    pub(super) options: ObserveOptions,
    pub(super) tell: &'a (dyn Fn(&str, &str, Option<usize>) + Sync),
    pub(super) out: Observed,
    pub(super) keys: KeyIndex,
    pub(super) names: NameIndex,
    /// Collections read: connection, kind, scope (none: over all parents).
    pub(super) read: HashMap<Collection, Result<(), ()>>,
    /// Fields that are kept of each kind's rows.
    pub(super) wanted: HashMap<(String, String), HashSet<String>>,
    /// Entries by connection, kind and parent.
    pub(super) children: HashMap<(Arc<str>, String, String), Vec<usize>>,
    /// Child kinds whose rows come along with their parents' lists, by connection and parent kind.
    pub(super) along: HashMap<(Arc<str>, String), Vec<Arc<Kind>>>,
    pub(super) connections: HashMap<String, Arc<str>>,
    pub(super) scopes: Vec<Option<Value>>,
    pub(super) hook_keys: HashMap<(Arc<str>, String, Value), ByKey>,
    pub(super) entries: HashMap<usize, Vec<usize>>,
    pub(super) noted: Noted,
    /// Types that a hook gave, shared by all objects that they are the same for.
    pub(super) typed: HashMap<TypedBy, Arc<Specs>>,
    /// Fields that wait for a person, and why: by declared object and pointer.
    pub(super) waits: BTreeMap<(usize, String), String>,
    /// Kinds that the API does not list at all, by connection.
    pub(super) unlisted: HashSet<(Arc<str>, String)>,
    /// Who is waited for, by connection, kind and scope.
    pub(super) expected: HashMap<(Arc<str>, String, String), Expected>,
    /// Kinds of which a list did not tell how many there are although it should, and whether one was empty.
    pub(super) untold: HashMap<(Arc<str>, String), bool>,
}

/// One list that is, or could be, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Collection {
    pub(super) connection: Arc<str>,
    pub(super) kind: String,
    pub(super) parent_kind: String,
    pub(super) scope: Option<String>,
}

/// Something that must be read before an object can be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Need {
    /// A kind's collection, at least what is below this parent (none: all of it).
    Kind(Arc<str>, String, Option<String>),
    /// The entries inside one parent.
    Children(Arc<str>, String, String, String),
    /// An object by its natural key (connection, kind, field, value), outside of the parents in use.
    Key(Arc<str>, String, String, String),
    /// One object, to be sure that it is gone.
    One(Arc<str>, String, String, Option<String>),
}

/// Where resolving an object stops.
pub(super) enum Stop {
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
        tell: &'a (dyn Fn(&str, &str, Option<usize>) + Sync),
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
            wanted: super::rows::wanted(manifests),
            children: HashMap::new(),
            along: HashMap::new(),
            connections,
            scopes: vec![None; count],
            hook_keys: HashMap::new(),
            entries,
            noted: Noted::default(),
            typed: HashMap::new(),
            waits: BTreeMap::new(),
            unlisted: HashSet::new(),
            expected: HashMap::new(),
            untold: HashMap::new(),
        };
        observer.find_along();
        observer
    }

    pub(super) fn connection(&self, name: &str) -> Arc<str> {
        self.connections.get(name).cloned().unwrap_or_else(|| Arc::from(name))
    }

    /// Observes until nothing waits.
    pub async fn run(mut self) -> Observed {
        self.rounds().await;
        self.read_details().await;
        self.fold_denied();
        self.out
    }

    /// Finds the live object of each declared one.
    pub(super) async fn rounds(&mut self) {
        for index in &self.graph.wrong {
            if let Some(standing) = self.out.standing.get_mut(*index) {
                *standing = Standing::Blocked;
            }
        }
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
            for container in &self.options.emptied {
                let Container { connection, kind, id, parent } = container;
                self.contents(connection, kind, (id, parent.as_ref()), &mut needs);
            }
            let forced = !progress;
            let read = self.fetch(needs, forced).await;
            if !read && !progress {
                break;
            }
        }
        self.give_up();
    }

    pub(super) fn set(&mut self, index: usize, standing: Standing) {
        if let Some(slot) = self.out.standing.get_mut(index) {
            *slot = standing;
        }
    }

    /// What still waits goes round in a circle of late references.
    pub(super) fn give_up(&mut self) {
        for index in 0..self.out.standing.len() {
            if self.out.standing[index] == Standing::Waiting {
                let object = &self.manifests.objects[index];
                self.out.diagnostics.push(
                    Diagnostic::error(
                        "PL0203",
                        format!(
                            "`{}` waits for objects that wait for it, or for one that cannot be resolved.",
                            object.address
                        ),
                    )
                    .at(locate(self.sources, object.document, &object.pointer))
                    .about(&object.address),
                );
                self.set(index, Standing::Blocked);
            }
        }
    }

    /// Collections of owned objects that no manifest declares.
    pub(super) fn undeclared(&self) -> Vec<Need> {
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
            let deleted = record.deletion_policy == Some(DeletionPolicy::Delete)
                || (record.deletion_policy.is_none() && kind.spared(record.adopted).is_none());
            let there = self.out.by_id.contains_key(&slot_of(&connection, &kind, record.parent.as_deref(), &record.id));
            if deleted && there && kind.inside().is_none() && kind.can(Verb::Delete) {
                self.contents(&connection, &kind, (&record.id, record.parent.as_ref()), &mut needs);
            }
            if let (Some(_), Some(parent)) = (kind.inside(), &record.parent) {
                // Entries of a parent that is gone went with it.
                if !self.out.by_id.contains_key(&(connection.clone(), parent_kind.clone(), parent.clone())) {
                    continue;
                }
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
    fn contents(
        &self,
        connection: &Arc<str>,
        container: &Kind,
        (id, parent): (&String, Option<&String>),
        needs: &mut impl Extend<Need>,
    ) {
        let Some(remote) = self.remotes.get(&**connection) else { return };
        let scope_kind = |kind: &Kind| {
            let scope = kind.spec.scope.as_ref()?;
            kind.field(&scope.field)?.reference.as_ref()?.kind.clone()
        };
        for kind in remote.api.kinds.values().filter(|kind| kind.is_declarable() && can_list(kind)) {
            let fields = contained_by(kind, &container.name);
            if fields.is_empty() {
                continue;
            }
            let need = |scope: Option<String>| Need::Kind(connection.clone(), kind.name.clone(), scope);
            let shared = scope_kind(container).is_some() && scope_kind(container) == scope_kind(kind);
            match &kind.spec.scope {
                Some(scope) if fields.contains(&scope.field.as_str()) => needs.extend([need(Some(id.clone()))]),
                // Both are listed below the same kind of parent.
                Some(_) if shared && parent.is_some() => needs.extend([need(parent.cloned())]),
                Some(scope) if scope.required => {
                    // It is listed below something else only: below each of those, then.
                    let below = kind.field(&scope.field).and_then(|field| field.reference.as_ref()?.kind.clone());
                    let Some(below) = below.and_then(|below| remote.api.kind(&below)) else { continue };
                    needs.extend([Need::Kind(connection.clone(), below.name.clone(), None)]);
                    needs.extend(
                        self.out
                            .objects
                            .iter()
                            .filter(|live| live.connection == *connection && live.kind == *below)
                            .map(|live| need(Some(live.id.clone()))),
                    );
                }
                _ => needs.extend([need(None)]),
            }
        }
    }

    /// Kind of a recorded object, and its parent's kind where it is an entry.
    pub(super) fn record_kind(&self, address: &str) -> Option<(Arc<Kind>, String)> {
        let address: crate::address::Address = address.parse().ok()?;
        let api = self.manifests.catalog.api(&address.api)?;
        match &address.entry {
            Some((field, _)) => Some((api.inside(&address.kind, field)?.clone(), address.kind.to_string())),
            None => Some((api.kind(&address.kind)?.clone(), String::new())),
        }
    }

    pub(super) fn resolve(&mut self, index: usize) -> Result<(), Stop> {
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
        // What only the object itself completes can be resolved when it is found.
        let (own, uses): (Vec<Use>, Vec<Use>) =
            uses.into_iter().partition(|found| is_own(&kind.spec.fields, &found.pointer));
        let own_fields: Fields = object.spec.iter().filter(|(name, _)| has_own(&own, name)).map(owned).collect();
        let spec: Fields = object.spec.iter().filter(|(name, _)| !has_own(&own, name)).map(owned).collect();
        let beside = object.parent.map(|parent| self.parent_fields(parent)).unwrap_or_default();
        let mut canonical = self.put_references(index, &kind.spec.fields, &spec, &uses, &beside)?;
        let mut specs: Option<Arc<Specs>> = None;
        if let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find) {
            let types = self.types(index, &connection, hook.as_ref(), &canonical)?;
            let (fields, late) = self.refine(index, hook.as_ref(), &types, canonical)?;
            canonical = fields;
            specs = Some(types);
            self.out.late.insert(index, late);
        }
        canonical = self.seal_defined(&connection, &kind.spec.fields, canonical);
        let scope = kind.spec.scope.as_ref().and_then(|scope| canonical.get(&scope.field)).cloned();
        let scope_id = scope.as_ref().and_then(as_reference).and_then(|(_, target)| match target {
            Target::Id(id) => Some(id),
            _ => None,
        });
        let scope_new = scope.is_some()
            && scope_id.is_none()
            && kind.spec.scope.as_ref().is_some_and(|scope| {
                canonical
                    .get(&scope.field)
                    .is_some_and(|value| matches!(as_reference(value), Some((_, Target::New(_)))))
            });
        self.scopes[index] = Some(scope.clone().unwrap_or(Value::Null));
        let record = self.record(object).cloned();
        let paths_parent = parent_id.clone().or_else(|| scope_id.clone());
        // Nothing can be below a parent that is not there: what was there went with it.
        let outside = scope_new && object.annotations.external_id.is_none();
        // What is owned below another parent, which is there, is looked for there: it moves.
        let old = record.as_ref().and_then(|record| record.parent.as_deref());
        let moves = outside && old.is_some_and(|old| self.has_scope(&connection, &kind, old));
        let known = if parent_new || (outside && !moves && !roams(&kind)) {
            None
        } else {
            if outside {
                // Its key does not depend on the parent: it may be below another one.
                if let Some(old) = old {
                    self.kind_read(&connection, &kind, Some(old))?;
                }
            } else {
                let at = (parent_id.as_deref(), scope_id.as_deref());
                self.collection_of(index, &kind, &connection, at, &canonical, record.as_ref())?;
            }
            self.find_live(
                index,
                &kind,
                &connection,
                &canonical,
                specs.as_deref(),
                parent_id.as_deref(),
                scope_id.as_deref(),
                record.as_ref(),
            )?
        };
        if !own.is_empty() {
            let resolved = self.own_references(index, &kind, &own, &own_fields, known)?;
            canonical.extend(resolved);
        }
        if let Some(live) = known
            && let Some(specs) = &specs
            && let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find)
        {
            self.redecode(live, hook.field(), specs);
        }
        if let Some(specs) = specs {
            self.out.refined.insert(index, specs);
        }
        self.put_off(index, &kind, known, &mut canonical)?;
        if known.is_none()
            && let Some(waits) = kind.spec.create.waits.as_ref()
            && let Some(why) = self.waits_for(index, waits, &canonical)?
        {
            self.out.waiting.insert(index, why);
        }
        self.out.parents[index] = paths_parent;
        self.out.canonical[index] = canonical;
        self.set(index, Standing::Known(known));
        Ok(())
    }

    /// Whether there is a live object with an id that objects of a kind can be below.
    fn has_scope(&self, connection: &Arc<str>, kind: &Kind, id: &str) -> bool {
        let scope =
            kind.spec.scope.as_ref().and_then(|scope| kind.field(&scope.field)?.reference.as_ref()?.kind.clone());
        let api = self.manifests.catalog.api(&kind.api);
        let scope = scope.and_then(|scope| api?.kind(&scope));
        scope.is_some_and(|scope| self.out.by_id.contains_key(&slot_of(connection, scope, None, id)))
    }

    /// The inventory's record of an object, under its address or the one that it moved from.
    pub(super) fn record(&self, object: &Manifest) -> Option<&Record> {
        record_of(self.state, object, self.manifests).map(|(_, record)| record)
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one object")]
    #[expect(clippy::too_many_lines, reason = "one way of finding it after another")]
    pub(super) fn find_live(
        &mut self,
        index: usize,
        kind: &Arc<Kind>,
        connection: &Arc<str>,
        canonical: &Fields,
        specs: Option<&Specs>,
        parent: Option<&str>,
        scope: Option<&str>,
        record: Option<&Record>,
    ) -> Result<Option<usize>, Stop> {
        let object = &self.manifests.objects[index];
        let above = object.parent.and_then(|parent| self.manifests.objects.get(parent));
        let place = parent.map(|id| kind.among(above.map(|above| &*above.kind.name).unwrap_or_default(), id));
        let id_of = |id: &str| slot_of(connection, kind, place.as_deref(), id);
        if let Some(record) = record {
            if record.connection != object.connection {
                return Err(Stop::Fail(vec![
                    self.about(object, "", "PL0506", format!("It is owned through connection `{}`, and now names `{}`.", record.connection, object.connection))
                        .hint("An object cannot move between accounts: `plumb forget` it first, or give the manifest another name."),
                ]));
            }
            if let Some(id) = &object.annotations.external_id
                && object.parent.is_none()
                && kind.spoken_id(scope, id) != record.id
            {
                let message = format!(
                    "`plumb.dev/external-id` is `{id}`, and the inventory says that this manifest owns `{}`.",
                    record.id
                );
                return Err(Stop::Fail(vec![
                    self.about(object, "", "PL0518", message)
                        .hint(format!("Take the annotation away, or `plumb forget {}` first.", object.address)),
                ]));
            }
            let id = if kind.spec.singleton && !kind.spec.id.local { &kind.name } else { &record.id };
            let there = self.out.by_id.get(&id_of(id)).copied();
            if let Some(live) = there.or_else(|| self.singleton(kind, connection, scope)) {
                // One that was deleted and made anew under its name is somebody else's.
                let again = self.out.objects.get(live).is_some_and(|live| is_another(live, record));
                self.out.found[index] = Some(if again { Found::Key } else { Found::Owned });
                return Ok(Some(live));
            }
            // A list below one parent does not show an object that was moved to another, and one without a total may be cut
            // short: ask for it by its id.
            let untold = self.untold.get(&(connection.clone(), kind.name.clone()));
            let untold = untold.copied().filter(|_| object.parent.is_none());
            let limited = object.parent.is_none() && kind.spec.scope.is_some();
            if (limited || untold.is_some()) && kind.can(Verb::Get) && can_list(kind) {
                self.one_read(connection, kind, &record.id, record.parent.as_deref())?;
                if let Some(live) = self.out.by_id.get(&id_of(&record.id)) {
                    self.out.found[index] = Some(Found::Owned);
                    return Ok(Some(*live));
                }
            } else if untold == Some(true) {
                let message = format!(
                    "The list of {} objects is empty and does not say so by a total: that `{}` is gone is not proven.",
                    kind.name, record.id
                );
                return Err(Stop::Fail(vec![
                    self.about(object, "", "PL0427", message)
                        .hint(format!("If it was deleted, `plumb forget {}`.", object.address)),
                ]));
            }
        }
        if let Some(id) =
            object.annotations.external_id.as_deref().filter(|_| object.parent.is_none() && record.is_none())
        {
            let id = &*kind.spoken_id(scope, id);
            if let Some(live) = self.out.by_id.get(&id_of(id)) {
                self.out.found[index] = Some(Found::ExternalId);
                return Ok(Some(*live));
            }
            if kind.can(Verb::Get) {
                self.one_read(connection, kind, id, parent.or(scope.filter(|_| kind.spec.id.local)))?;
                if let Some(live) = self.out.by_id.get(&id_of(id)) {
                    self.out.found[index] = Some(Found::ExternalId);
                    return Ok(Some(*live));
                }
            }
            let mut place = self.about(
                object,
                "",
                "PL0207",
                format!("`plumb.dev/external-id` is `{id}`, and there is no {} with that id.", kind.name),
            );
            place.place =
                locate(self.sources, object.document, "/metadata/annotations/plumb.dev~1external-id").or(place.place);
            return Err(Stop::Fail(vec![place]));
        }
        if kind.spec.singleton {
            let there = self.singleton(kind, connection, scope);
            self.out.found[index] = there.map(|_| Found::Key);
            return Ok(there);
        }
        let candidates = self.candidates(object, kind, connection, canonical, specs, place.as_deref());
        let free: Vec<usize> = self.narrow_extra(kind, canonical, candidates);
        if !free.is_empty() {
            let ids =
                free.iter().filter_map(|index| self.out.objects.get(*index)).map(|live| live.id.clone()).collect();
            self.out.same_key.insert(index, ids);
        }
        if free.len() == 1 {
            self.out.found[index] = Some(Found::Key);
        }
        match free[..] {
            [] => {
                self.elsewhere(connection, kind, canonical)?;
                Ok(None)
            }
            [only] => Ok(Some(only)),
            _ => {
                // Which of several it is, the intent of an unfinished create may know; else a person must say.
                let intent = self.state.intents.values().find(|intent| intent.address == object.address.to_string());
                let mut since = None;
                if let Some(intent) = intent {
                    let fresh: Vec<usize> = free
                        .iter()
                        .copied()
                        .filter(|index| self.out.objects.get(*index).is_some_and(|live| may_be_of(intent, live)))
                        .collect();
                    if fresh.is_empty() {
                        return Ok(None);
                    }
                    let sent: Vec<usize> =
                        fresh.iter().copied().filter(|live| is_as_sent(intent, &self.out.objects[*live])).collect();
                    if let ([only], _) | (_, [only]) = (&fresh[..], &sent[..]) {
                        self.out.found[index] = Some(Found::Key);
                        return Ok(Some(*only));
                    }
                    since = Some((intent.at.clone(), fresh.len()));
                }
                let ids: Vec<String> = free
                    .iter()
                    .filter_map(|index| self.out.objects.get(*index))
                    .map(|live| format!("`{}`", live.id))
                    .take(10)
                    .collect();
                let told = self.about(
                    object,
                    "",
                    "PL0208",
                    format!(
                        "{} live objects have the natural key of this manifest: ids {}.",
                        free.len(),
                        ids.join(", ")
                    ),
                );
                let told = match since {
                    None => told,
                    Some((at, fresh)) => told
                        .hint(format!(
                            "An earlier run began to make it at {at} and lost the answer; {fresh} of them were not there \
                             before, and what was sent does not tell which is its own."
                        ))
                        .hint(format!("`plumb import {} ID` takes one of them for it.", object.address)),
                };
                Err(Stop::Fail(vec![told.hint(
                    "Say which one it is with the annotation `plumb.dev/external-id: ID`, or delete the others.",
                )]))
            }
        }
    }

    pub(super) fn singleton(&self, kind: &Kind, connection: &Arc<str>, scope: Option<&str>) -> Option<usize> {
        if !kind.spec.singleton {
            return None;
        }
        if kind.spec.id.local {
            let id = kind.full_id(scope, &kind.name);
            return self.out.by_id.get(&slot_of(connection, kind, None, &id)).copied();
        }
        self.out.objects.iter().position(|live| live.connection == *connection && *live.kind == *kind)
    }

    pub(super) fn candidates(
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
    pub(super) fn narrow_extra(&self, kind: &Kind, canonical: &Fields, candidates: Vec<usize>) -> Vec<usize> {
        if candidates.len() < 2 {
            return candidates;
        }
        let mut left = candidates;
        for field in &kind.spec.key_extra {
            let (Some(spec), Some(value)) = (kind.field(field), canonical.get(field).filter(|value| !is_empty(value)))
            else {
                continue;
            };
            let null = Value::Null;
            left.retain(|index| {
                self.out
                    .objects
                    .get(*index)
                    .is_some_and(|live| crate::description::equal(spec, value, live.fields.get(field).unwrap_or(&null)))
            });
        }
        left
    }

    pub(super) fn about(&self, object: &Manifest, pointer: &str, code: &'static str, message: String) -> Diagnostic {
        Diagnostic::error(code, message)
            .at(locate(self.sources, object.document, &format!("{}{pointer}", object.pointer)))
            .about(&object.address)
    }
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Whether a live object is not the recorded one, but another that took its id.
pub fn is_another(live: &LiveObject, record: &Record) -> bool {
    matches!((&live.stamp, &record.stamp), (Some(now), Some(then)) if now != then)
}

/// Where a live object is found. An entry that is known by its key has an id of its own only together with its
/// parent's.
pub(super) fn slot_of(
    connection: &Arc<str>,
    kind: &Kind,
    parent: Option<&str>,
    id: &str,
) -> (Arc<str>, String, String) {
    let id = if kind.inside().is_some() && !kind.spec.id.local {
        format!("{}/{id}", parent.unwrap_or_default())
    } else {
        id.to_owned()
    };
    (connection.clone(), kind.name.clone(), id)
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
