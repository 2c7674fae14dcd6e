//! What is live, as an export needs to find it: by id, by name, by key, by parent, and what each object is called.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Apis, names};
use crate::{
    description::{Kind, Specs, format::FieldSpec, hook, plain},
    live::{KeyIndex, LiveObject, Surveyed, each_reference, natural_key},
    value::{Fields, Target, as_reference, text},
};

/// Connection, kind and a text.
type Named = (Arc<str>, String, String);

/// The live side of an export.
pub(super) struct World<'a> {
    pub(super) surveyed: &'a Surveyed,
    /// What each live object would be called if it were alone.
    pub(super) stems: Vec<String>,
    /// The objects that are exported, and what they are called.
    pub(super) handles: HashMap<usize, String>,
    /// Handles by API and kind.
    taken: HashSet<(String, String, String)>,
    /// Names of exported objects, by API and kind: plain references to them mean those.
    declared: HashSet<(String, String, String)>,
    by_name: HashMap<Named, Vec<usize>>,
    /// Fields that references name objects by on the wire, by API and kind.
    named_by: HashMap<(String, String), HashSet<String>>,
    by_field: HashMap<(Arc<str>, String, String, String), Vec<usize>>,
    children: HashMap<(Arc<str>, String, String, String), Vec<usize>>,
    keys: KeyIndex,
    hook_keys: HashMap<Named, Vec<usize>>,
    /// What fields with a hook refer to: the API may make links of its own of it.
    tags: HashSet<(usize, usize)>,
    /// Ids and names of objects that have a value which they do not show.
    hidden: HashSet<(Arc<str>, bool, String)>,
}

impl<'a> World<'a> {
    pub(super) fn new(surveyed: &'a Surveyed, apis: &Apis, stems: Vec<String>) -> Self {
        let mut world = Self {
            surveyed,
            stems,
            handles: HashMap::new(),
            taken: HashSet::new(),
            declared: HashSet::new(),
            by_name: HashMap::new(),
            named_by: named_by(apis),
            by_field: HashMap::new(),
            children: HashMap::new(),
            keys: KeyIndex::default(),
            hook_keys: HashMap::new(),
            tags: HashSet::new(),
            hidden: HashSet::new(),
        };
        for (connection, id, name) in &surveyed.hidden {
            world.hidden.extend(id.iter().map(|id| (connection.clone(), true, id.clone())));
            world.hidden.extend(name.iter().map(|name| (connection.clone(), false, name.clone())));
        }
        for (index, live) in surveyed.observed.objects.iter().enumerate() {
            world.add(index, live);
        }
        for (index, live) in surveyed.observed.objects.iter().enumerate() {
            let Some(hook) = live.kind.spec.hook.as_deref().and_then(hook::find) else { continue };
            if let Some(value) = live.fields.get(hook.field()) {
                each_reference(value, &mut |kind, target| {
                    world.tags.extend(world.target(index, kind, &target).map(|target| (index, target)));
                });
            }
        }
        for list in world.children.values_mut() {
            list.sort_by(|a, b| {
                let id = |index: &usize| names::id_order(&surveyed.observed.objects[*index].id);
                id(a).cmp(&id(b))
            });
        }
        world
    }

    fn add(&mut self, index: usize, live: &LiveObject) {
        let kind = &live.kind;
        if let (Some(parent), Some(parent_kind)) = (&live.parent, self.surveyed.observed.parent_kinds.get(&index)) {
            let slot = (live.connection.clone(), kind.name.clone(), parent_kind.to_string(), parent.clone());
            self.children.entry(slot).or_default().push(index);
            return;
        }
        for field in kind.spec.key.last().into_iter().chain(&kind.spec.aliases) {
            if let Some(words) = live.fields.get(field).and_then(text) {
                let words = plain(&kind.field(field).cloned().unwrap_or_default(), &words);
                let list = self.by_name.entry((live.connection.clone(), kind.name.clone(), words)).or_default();
                if list.last() != Some(&index) {
                    list.push(index);
                }
            }
        }
        let named_by = self.named_by.get(&(kind.api.clone(), kind.name.clone())).cloned().unwrap_or_default();
        for name in &named_by {
            if let Some(words) = live.fields.get(name).and_then(text) {
                let slot = (live.connection.clone(), kind.name.clone(), name.clone(), words);
                self.by_field.entry(slot).or_default().push(index);
            }
        }
        if kind.spec.hook.is_none() {
            self.keys.add(&live.connection, kind, None, &live.fields, index);
        } else if let Some(specs) = self.surveyed.refined.get(&index)
            && let Some(key) = natural_key(kind, specs, None, &live.fields)
        {
            self.hook_keys.entry((live.connection.clone(), kind.name.clone(), key)).or_default().push(index);
        }
    }

    /// Names the objects that are exported.
    pub(super) fn name(&mut self, handles: HashMap<usize, String>) {
        for (index, handle) in &handles {
            let kind = &self.object(*index).kind.clone();
            let slot = |words: String| (kind.api.clone(), kind.name.clone(), words);
            self.taken.insert(slot(handle.clone()));
            let name = kind.spec.name_field.as_ref().and_then(|name| self.object(*index).fields.get(name));
            if let Some(words) = name.and_then(text) {
                self.declared.insert(slot(words));
            }
        }
        self.handles = handles;
    }

    pub(super) fn object(&self, index: usize) -> &'a LiveObject {
        &self.surveyed.observed.objects[index]
    }

    /// The types of an object's fields.
    pub(super) fn specs(&self, index: usize) -> &'a Specs {
        self.surveyed.refined.get(&index).map_or(&self.object(index).kind.spec.fields, |specs| specs)
    }

    /// The live object that a reference of another one names. What names it on the wire may name others below other
    /// parents: it is then the one below a parent that the other is below, too.
    pub(super) fn target(&self, from: usize, kind: &str, target: &Target) -> Option<usize> {
        let own = self.object(from);
        match target {
            Target::Id(id) => {
                let slot = (own.connection.clone(), kind.to_owned(), id.clone());
                self.surveyed.observed.by_id.get(&slot).copied()
            }
            Target::Field(field, words) => {
                let slot = (own.connection.clone(), kind.to_owned(), field.clone(), words.clone());
                let known = self.by_field.get(&slot)?;
                let beside = |index: &&usize| {
                    let other = self.object(**index);
                    let (Some(above), true) = (&other.parent, other.kind.spec.id.local) else { return true };
                    own.parent.as_ref().is_some_and(|parent| {
                        parent.strip_prefix(above.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    })
                };
                known.iter().find(beside).copied()
            }
            Target::New(_) => None,
        }
    }

    /// The entries of a kind inside an object, in a stable order.
    pub(super) fn children(&self, parent: &LiveObject, kind: &Kind) -> &[usize] {
        let slot = (parent.connection.clone(), kind.name.clone(), parent.kind.name.clone(), parent.id.clone());
        self.children.get(&slot).map_or(&[], Vec::as_slice)
    }

    /// Whether a plain text in a reference to a kind means an exported object.
    pub(super) fn is_declared(&self, api: &str, kind: &str, words: &str) -> bool {
        let slot = (api.to_owned(), kind.to_owned(), words.to_owned());
        self.taken.contains(&slot) || self.declared.contains(&slot)
    }

    /// The objects of a kind that a plain text names.
    pub(super) fn named(&self, connection: &Arc<str>, kind: &Kind, words: &str) -> &[usize] {
        let words =
            plain(&kind.spec.key.last().and_then(|field| kind.field(field)).cloned().unwrap_or_default(), words);
        self.by_name.get(&(connection.clone(), kind.name.clone(), words)).map_or(&[], Vec::as_slice)
    }

    /// The live objects that fields of a manifest could mean by their natural key; nothing where they have none.
    pub(super) fn same_key(&self, index: usize, declared: &Fields) -> Option<&[usize]> {
        let live = self.object(index);
        let key = natural_key(&live.kind, self.specs(index), None, declared)?;
        Some(if live.kind.spec.hook.is_none() {
            self.keys.get(&live.connection, &live.kind.name, &key)
        } else {
            self.hook_keys.get(&(live.connection.clone(), live.kind.name.clone(), key)).map_or(&[], Vec::as_slice)
        })
    }

    /// The object that a field of another one refers to.
    pub(super) fn referred(&self, index: usize, field: &str) -> Option<usize> {
        let live = self.object(index);
        let (kind, target) = live.fields.get(field).and_then(as_reference)?;
        self.target(index, kind, &target)
    }

    /// Whether the API makes a link between two objects by itself, because a field with a hook refers to one of them.
    pub(super) fn is_tagged(&self, one: usize, other: usize) -> bool {
        self.tags.contains(&(one, other)) || self.tags.contains(&(other, one))
    }

    /// Whether an object has a value that it does not show.
    pub(super) fn hides(&self, live: &LiveObject) -> bool {
        let has = |id: bool, words: &str| self.hidden.contains(&(live.connection.clone(), id, words.to_owned()));
        has(true, &live.id) || live.fields.get("name").and_then(text).is_some_and(|name| has(false, &name))
    }

    /// A name for people of an object that is not exported.
    pub(super) fn title(&self, index: usize) -> Option<String> {
        let live = self.object(index);
        let whole = live.kind.spec.aliases.iter().filter(|alias| *alias == "name");
        let mut names = whole.chain(live.kind.spec.key.last()).filter_map(|field| live.fields.get(field));
        names.find_map(text).filter(|name| !name.is_empty())
    }
}

/// Fields that references name objects by on the wire, by API and kind.
fn named_by(apis: &Apis) -> HashMap<(String, String), HashSet<String>> {
    fn collect(api: &str, field: &FieldSpec, out: &mut HashMap<(String, String), HashSet<String>>) {
        if let Some(reference) = &field.reference
            && let Some(by) = &reference.by
        {
            for kind in reference.kind.iter().chain(reference.kinds.values()) {
                out.entry((api.to_owned(), kind.clone())).or_default().insert(by.clone());
            }
        }
        field.items.iter().for_each(|items| collect(api, items, out));
        field.fields.values().for_each(|member| collect(api, member, out));
    }
    let mut out = HashMap::new();
    for api in apis.values() {
        let fields = api.kinds.values().flat_map(|kind| kind.spec.fields.values());
        fields.for_each(|field| collect(&api.name, field, &mut out));
    }
    out
}
