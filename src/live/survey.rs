//! Observing without manifests: whole kinds, with what is inside their objects and what they refer to.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    LiveObject, Observed,
    along::definitions_of,
    observe::{Need, Observer, item_vars},
    reads::children_of,
    remote::{Remote, can_list},
    rows::{goes_back, qualify},
};
use crate::{
    description::{
        Kind, Specs,
        format::{FieldSpec, Verb},
        hook::{self, Definition},
    },
    diagnostic::Diagnostic,
    dialect::{attribute, decode_row, fill_omitted},
    http::HttpError,
    value::{Fields, Target, as_reference, get_path, text},
};

/// What is live in whole kinds.
#[derive(Debug, Default)]
pub struct Surveyed {
    /// The objects, and those that they refer to.
    pub observed: Observed,
    /// Types of the fields of objects whose kind has a hook, by live object.
    pub refined: HashMap<usize, Arc<Specs>>,
    /// Kinds that the API can neither list nor show as the one object that there is, by connection.
    pub unlisted: Vec<(Arc<str>, String)>,
    /// Objects that have a value which only rows of another kind's list tell of: connection, id and name.
    pub hidden: HashSet<(Arc<str>, Option<String>, Option<String>)>,
    /// Objects that are a part of one of another kind.
    pub parts: HashSet<usize>,
    /// Rows that are no objects of their kind, by connection and kind.
    pub foreign: Vec<(Arc<str>, String, usize)>,
}

/// What reading one live object gave: its row, where that was needed, and fields with a read of their own.
type Read = (usize, Result<Option<(Option<Value>, Fields)>, HttpError>);

/// What is noted while reading: of the credential, and of rows that are no objects.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Diagnostics of reads that were refused because of the credential, by connection.
    pub(super) denied: HashMap<Arc<str>, Vec<usize>>,
    /// Connections of which a read went well.
    pub(super) answered: HashSet<Arc<str>>,
    /// How many there are, by connection and kind.
    pub(super) foreign: HashMap<(Arc<str>, String), usize>,
    /// Objects that have a value which only such rows tell of: connection, id and name.
    pub(super) hidden: HashSet<(Arc<str>, Option<String>, Option<String>)>,
}

/// How much of each object a survey reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth<'a> {
    /// What tells it from others.
    Names,
    /// Every field that the API shows but for secrets, the entries inside it, and the names of what it refers to.
    Whole {
        /// Kinds (`*` for all) and fields of entries that are not read.
        omit: &'a [(String, String)],
    },
}

impl Depth<'_> {
    pub(super) fn omits(self, parent: &str, child: &Kind) -> bool {
        let Self::Whole { omit } = self else { return true };
        let field = child.inside().map(|inside| inside.field.as_str());
        omit.iter().any(|(kind, other)| (kind == parent || kind == "*") && Some(other.as_str()) == field)
    }
}

/// A kind of a connection.
pub type Place = (String, String);

impl Observer<'_> {
    /// Lists kinds whole, each once, and finds the live objects of what is declared among them.
    pub async fn survey(mut self, asked: &BTreeSet<Place>, depth: Depth<'_>) -> Surveyed {
        self.options.survey = true;
        let mut out = Surveyed::default();
        let asked: Vec<(Arc<str>, Arc<Kind>)> = asked
            .iter()
            .filter_map(|(connection, kind)| {
                let kind = self.remotes.get(connection)?.api.kind(kind)?.clone();
                Some((self.connection(connection), kind))
            })
            .collect();
        for (connection, kind) in &asked {
            if !kind.spec.singleton && !can_list(kind) {
                out.unlisted.push((connection.clone(), kind.name.clone()));
            }
        }
        let whole = depth != Depth::Names;
        if whole {
            self.wanted.clear();
            let whole = asked.iter().map(|(connection, kind)| (connection.to_string(), kind.name.clone()));
            self.options.whole = whole.collect();
            self.bring_along(&asked, depth);
        }
        while self.fetch(self.survey_needs(&asked, depth), true).await {}
        if whole {
            out.refined = self.read_all(&asked).await;
        }
        self.rounds().await;
        self.fold_denied();
        out.parts = self.parts(&asked);
        let foreign = self.noted.foreign.iter();
        out.foreign = foreign.map(|((connection, kind), count)| (connection.clone(), kind.clone(), *count)).collect();
        out.foreign.sort();
        out.hidden = std::mem::take(&mut self.noted.hidden);
        out.observed = self.out;
        out
    }

    /// Reads every field, and the names of what objects refer to. Gives the types of fields that hooks make.
    async fn read_all(&mut self, asked: &[(Arc<str>, Arc<Kind>)]) -> HashMap<usize, Arc<Specs>> {
        self.read_whole(asked).await;
        let kinds: HashSet<(Arc<str>, String)> =
            asked.iter().map(|(connection, kind)| (connection.clone(), kind.name.clone())).collect();
        // What hooks type has references of its own.
        let refined = self.type_all(&kinds);
        let mut named: HashSet<(Arc<str>, String)> = self.hiding(asked, &refined);
        let mut seen = 0;
        loop {
            named.extend(self.referred(&mut seen, &kinds));
            let needs = self.name_needs(&named);
            if !self.fetch(needs, true).await && seen == self.out.objects.len() {
                return refined;
            }
        }
    }

    /// What is still to be read of some kinds, as far as their parents are known.
    fn survey_needs(&self, asked: &[(Arc<str>, Arc<Kind>)], depth: Depth<'_>) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        for (connection, kind) in asked {
            self.list_needs(connection, kind, &mut needs, 0);
            if let Some(whole) = kind.spec.part_of.as_ref()
                && let Some(whole) = self.remotes.get(&**connection).and_then(|remote| remote.api.kind(&whole.kind))
            {
                self.list_needs(connection, whole, &mut needs, 0);
            }
            if depth == Depth::Names {
                continue;
            }
            let Some(remote) = self.remotes.get(&**connection) else { continue };
            let offered = |child: &&Arc<Kind>| !self.unlisted.contains(&(connection.clone(), child.name.clone()));
            let children =
                remote.api.children(&kind.name).filter(|child| !depth.omits(&kind.name, child)).filter(offered);
            let mut parents: Vec<(String, Arc<Kind>)> =
                children.map(|child| (kind.name.clone(), child.clone())).collect();
            if let Some((source, child)) = definitions_of(kind)
                && let Some(child) = remote.api.kind(&child)
            {
                parents.push((source, child.clone()));
            }
            for (parent_kind, child) in parents {
                for live in self
                    .out
                    .objects
                    .iter()
                    .filter(|live| live.connection == *connection && live.kind.name == parent_kind)
                {
                    let collection = children_of(connection, &child.name, &parent_kind, &live.id);
                    if !self.read.contains_key(&collection) {
                        needs.insert(Need::Children(
                            connection.clone(),
                            child.name.clone(),
                            parent_kind.clone(),
                            live.id.clone(),
                        ));
                    }
                }
            }
        }
        needs
    }

    /// The list of a kind, or those below each of its parents, whose own come first.
    fn list_needs(&self, connection: &Arc<str>, kind: &Arc<Kind>, needs: &mut BTreeSet<Need>, depth: usize) {
        let whole = || Need::Kind(connection.clone(), kind.name.clone(), None);
        let one = |id: String, parent: Option<String>| Need::One(connection.clone(), kind.name.clone(), id, parent);
        let apart = kind.spec.scope.as_ref().is_some_and(|scope| scope.path.is_some());
        let below = kind.spec.scope.as_ref().filter(|scope| scope.required || scope.public || apart);
        if (!kind.spec.singleton && !can_list(kind)) || depth > 8 {
            return;
        }
        let Some(scope) = below.filter(|_| !kind.spec.singleton || kind.spec.id.local) else {
            needs.insert(if kind.spec.singleton { one(kind.name.clone(), None) } else { whole() });
            return;
        };
        if apart {
            needs.insert(whole());
        }
        let parent = kind.field(&scope.field).and_then(|field| field.ref_spec()?.kind.clone());
        let Some(parent) = parent.and_then(|parent| self.remotes.get(&**connection)?.api.kind(&parent).cloned()) else {
            return;
        };
        if parent != *kind {
            self.list_needs(connection, &parent, needs, depth + 1);
        }
        for live in self.out.objects.iter().filter(|live| live.connection == *connection && live.kind == parent) {
            needs.insert(if kind.spec.singleton {
                one(kind.full_id(Some(&live.id), &kind.name), Some(live.id.clone()))
            } else {
                Need::Kind(connection.clone(), kind.name.clone(), Some(live.id.clone()))
            });
        }
    }

    /// The objects that are a part of one of another kind.
    fn parts(&self, asked: &[(Arc<str>, Arc<Kind>)]) -> HashSet<usize> {
        let mut out = HashSet::new();
        for (connection, kind) in asked {
            let Some(whole) = &kind.spec.part_of else { continue };
            let named = |live: &LiveObject| {
                let id = get_path(live.raw.as_ref()?, &whole.at).and_then(text)?;
                Some((connection.clone(), kind.name.clone(), kind.full_id(live.parent.as_deref(), &id)))
            };
            let wholes =
                self.out.objects.iter().filter(|live| live.connection == *connection && live.kind.name == whole.kind);
            out.extend(wholes.filter_map(named).filter_map(|slot| self.out.by_id.get(&slot)));
        }
        out
    }

    /// Reads object by object what lists leave out or cut, but for secrets.
    async fn read_whole(&mut self, asked: &[(Arc<str>, Arc<Kind>)]) {
        let kinds: HashSet<(&str, &str)> =
            asked.iter().map(|(connection, kind)| (&**connection, &*kind.name)).collect();
        let wanted: Vec<usize> = self
            .out
            .objects
            .iter()
            .enumerate()
            .filter(|(_, live)| kinds.contains(&(&*live.connection, &*live.kind.name)))
            .filter(|(_, live)| lacks_fields(live) || live.kind.spec.fields.values().any(is_read_apart))
            .map(|(index, _)| index)
            .collect();
        let this = &*self;
        let mut results: Vec<Read> = stream::iter(wanted)
            .map(|index| async move {
                let object = &this.out.objects[index];
                let Some(remote) = this.remotes.get(&*object.connection) else { return (index, Ok(None)) };
                (this.tell)(&object.connection, &object.kind.name, None);
                (index, this.read_one(remote, object).await)
            })
            .buffer_unordered(16)
            .collect()
            .await;
        results.sort_by_key(|(index, _)| *index);
        for (index, result) in results {
            let object = &self.out.objects[index];
            match result {
                Ok(Some((row, more))) => {
                    let (connection, kind, id) = (object.connection.clone(), object.kind.clone(), object.id.clone());
                    if let Some(row) = row {
                        self.note_whole(&connection, &kind, &id, &row);
                    }
                    self.out.objects[index].fields.extend(more);
                }
                // It went while we looked.
                Ok(None) => {}
                Err(error) => {
                    let about = format!("{} `{}`", object.kind.name, object.id);
                    let told = Diagnostic::from(error);
                    self.out.diagnostics.push(Diagnostic { message: format!("{about}: {}", told.message), ..told });
                    self.out.failed.push((object.connection.clone(), object.kind.name.clone()));
                }
            }
        }
    }

    /// Reads one object, and what has a read of its own, as far as its list leaves that out.
    async fn read_one(
        &self,
        remote: &Remote,
        object: &LiveObject,
    ) -> Result<Option<(Option<Value>, Fields)>, HttpError> {
        let vars = item_vars(&object.kind, &object.id, object.parent.as_deref(), Some(&object.fields));
        let mut row = None;
        if lacks_fields(object) {
            match remote.get(&object.kind, &vars, &[]).await? {
                Some((read, _)) => row = Some(read),
                None => return Ok(None),
            }
        }
        let wanted = |name: &str| object.kind.field(name).is_some_and(is_read_apart);
        let more = remote.read_by(&object.kind, &vars, &wanted, self.seal).await?;
        Ok(Some((row, more)))
    }

    /// Takes every field from the read of one object.
    pub(super) fn note_whole(&mut self, connection: &Arc<str>, kind: &Kind, id: &str, row: &Value) {
        let seal = self.seal;
        let slot = (connection.clone(), kind.name.clone(), id.to_owned());
        if let Some(object) = self.out.by_id.get(&slot).and_then(|index| self.out.objects.get_mut(*index))
            && let Some(mut decoded) = decode_row(kind, row, &seal)
        {
            qualify(kind, object.parent.as_deref(), &mut decoded.fields);
            object.fields.extend(decoded.fields);
            fill_omitted(kind, true, &mut object.fields);
            object.detailed = true;
            if object.raw.is_some() || goes_back(&object.kind, row, &self.wanted) {
                object.raw = Some(row.clone());
            }
        }
    }

    /// Types the fields of all objects of kinds with a hook, and reads them again.
    fn type_all(&mut self, kinds: &HashSet<(Arc<str>, String)>) -> HashMap<usize, Arc<Specs>> {
        let mut known: HashMap<(Arc<str>, String, String), Option<Arc<Specs>>> = HashMap::new();
        let mut out = HashMap::new();
        for index in 0..self.out.objects.len() {
            let live = &self.out.objects[index];
            if !kinds.contains(&(live.connection.clone(), live.kind.name.clone())) {
                continue;
            }
            let Some(hook) = live.kind.spec.hook.as_deref().and_then(hook::find) else { continue };
            let (field, child) = hook.source();
            let Some((_, Target::Id(source))) = live.fields.get(field).and_then(as_reference) else { continue };
            let slot = (live.connection.clone(), child.to_owned(), source.clone());
            let by = (live.connection.clone(), live.kind.name.clone(), source);
            let specs = known.entry(by).or_insert_with(|| {
                let entries = self.children.get(&slot)?;
                let definitions: Vec<Definition> = entries
                    .iter()
                    .filter_map(|entry| self.out.objects.get(*entry))
                    .map(|live| Definition { fields: live.fields.clone(), live: true })
                    .collect();
                let mut specs = live.kind.spec.fields.clone();
                specs.insert(hook.field().to_owned(), hook.refine(&definitions));
                Some(Arc::new(specs))
            });
            if let Some(specs) = specs.clone() {
                self.redecode(index, hook.field(), &specs);
                out.insert(index, specs);
            }
        }
        out
    }

    /// Kinds whose lists tell of values that objects with a hook do not show.
    fn hiding(
        &self,
        asked: &[(Arc<str>, Arc<Kind>)],
        refined: &HashMap<usize, Arc<Specs>>,
    ) -> HashSet<(Arc<str>, String)> {
        let mut out = HashSet::new();
        for (connection, kind) in asked {
            let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find) else { continue };
            let Some(hidden) = hook.hidden() else { continue };
            let secret = |specs: &Arc<Specs>| {
                let members = specs.get(hook.field()).into_iter().flat_map(|field| field.fields.values());
                members.into_iter().any(|member| member.write_only && member.always_sensitive())
            };
            let own = |index: &usize| self.out.objects.get(*index).is_some_and(|live| live.kind == *kind);
            if refined.iter().any(|(index, specs)| own(index) && secret(specs)) {
                out.insert((connection.clone(), hidden.kind.to_owned()));
            }
        }
        out
    }

    /// Notes what a row that is no object tells of one that has a hook.
    pub(super) fn note_hidden(&mut self, connection: &Arc<str>, kind: &Kind, row: &Value) {
        let Some(remote) = self.remotes.get(&**connection) else { return };
        let hooks = remote.api.kinds.values().filter_map(|kind| kind.spec.hook.as_deref().and_then(hook::find));
        for hidden in hooks.filter_map(|hook| hook.hidden()).filter(|hidden| hidden.kind == kind.name) {
            let part = |wire: &str| attribute(kind, row, wire).as_ref().and_then(text);
            let plain = |word: &str| word.to_lowercase().replace(['-', '_', ' '], "");
            if part(hidden.marked.0).is_some_and(|mark| plain(&mark) == plain(hidden.marked.1)) {
                self.noted.hidden.insert((connection.clone(), part(hidden.id), part(hidden.name)));
            }
        }
    }

    /// Kinds that objects refer to which came since last time. Of those that were not asked for, only the key counts.
    fn referred(&self, seen: &mut usize, asked: &HashSet<(Arc<str>, String)>) -> HashSet<(Arc<str>, String)> {
        let mut out = HashSet::new();
        for live in self.out.objects.iter().skip(*seen) {
            let parent = live.kind.inside().is_some();
            let whole = parent || asked.contains(&(live.connection.clone(), live.kind.name.clone()));
            for (name, value) in &live.fields {
                if whole || live.kind.spec.key.contains(name) {
                    each_reference(value, &mut |kind, _| {
                        out.insert((live.connection.clone(), kind.to_owned()));
                    });
                }
            }
        }
        *seen = self.out.objects.len();
        out
    }

    /// Lists of kinds that are only referred to.
    fn name_needs(&self, kinds: &HashSet<(Arc<str>, String)>) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        for (connection, kind) in kinds {
            let kind = self.remotes.get(&**connection).and_then(|remote| remote.api.kind(kind));
            if let Some(kind) = kind.filter(|kind| kind.inside().is_none() && !kind.spec.singleton) {
                self.list_needs(connection, kind, &mut needs, 0);
            }
        }
        needs
    }
}

/// Calls for every reference in a value, with its kind and target.
pub fn each_reference(value: &Value, found: &mut dyn FnMut(&str, Target)) {
    if let Some((kind, target)) = as_reference(value) {
        found(kind, target);
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, found)),
        Value::Object(map) => map.values().for_each(|item| each_reference(item, found)),
        _ => {}
    }
}

/// Whether a field has a read of its own, which an export makes.
fn is_read_apart(field: &FieldSpec) -> bool {
    field.read_by.is_some() && !field.always_sensitive()
}

/// Whether the read of one object shows more than the list did. Where it would show secrets too, it is not asked.
fn lacks_fields(live: &LiveObject) -> bool {
    let kind = &live.kind;
    if live.detailed || !kind.can(Verb::Get) {
        return false;
    }
    let readable =
        |field: &FieldSpec| !(field.write_only || field.read_by.is_some() || field.read_only || field.not_sent);
    let fields = || kind.spec.fields.iter().filter(|(_, field)| readable(field));
    if kind.spec.list.partial && fields().any(|(name, _)| !live.fields.contains_key(name)) {
        return true;
    }
    let shows_secrets = kind.spec.get.without_secrets.is_empty()
        && fields().any(|(_, field)| field.on_get_only && field.always_sensitive());
    let cut = |name: &str, field: &FieldSpec| {
        let length = live.fields.get(name).and_then(Value::as_str).map_or(0, |words| words.chars().count());
        field.list_cuts_at.is_some_and(|limit| length >= limit as usize)
    };
    fields().any(|(name, field)| {
        (field.on_get_only
            && field.read_by.is_none()
            && !shows_secrets
            && !field.always_sensitive()
            && !live.fields.contains_key(name))
            || cut(name, field)
    })
}
