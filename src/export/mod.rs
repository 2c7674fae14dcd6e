//! Live objects → manifests that plan clean, with stubs for what cannot be read. Pure: it touches neither network nor disk.

mod cycle;
mod layout;
mod names;
mod node;
mod object;
mod reference;
mod stub;
mod value;
mod world;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;
use serde_json::Value;

pub use self::{
    layout::{File, Layout, files, stream},
    stub::Stub,
};
use self::{object::Writer, stub::Stubs, world::World};
use crate::{
    description::{
        Api, Kind, contained_by,
        format::{FieldSpec, FieldType},
    },
    live::{LiveObject, Observed, Place, Surveyed},
    manifest::Fitting,
    value::{is_empty, text},
};

/// The APIs of connections, by the connections' names.
pub type Apis = HashMap<String, Arc<Api>>;

/// Fields that connections give to all of their objects, by connection.
pub type Defaults = HashMap<String, IndexMap<String, Value>>;

/// Objects of a kind that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the API; any that has the kind, where there is none.
    pub api: Option<String>,
    /// Name of the kind.
    pub kind: String,
    /// Pattern of handles and names, with `*` and `?`; all objects, where there is none.
    pub pattern: Option<String>,
}

/// What an export is asked for.
pub struct Options<'a> {
    /// Objects that are asked for; all, where there are none.
    pub wanted: &'a [Wanted],
    /// Fields that connections give to all of their objects, by connection.
    pub defaults: &'a Defaults,
    /// Whether a text has a secret in it.
    pub is_secret: &'a dyn Fn(&str) -> bool,
    /// What may be sensitive becomes a stub too.
    pub redact: bool,
    /// Kinds (`*` for all) and fields that are left out.
    pub omit: &'a [(String, String)],
    /// APIs with several connections: their manifests name one.
    pub several: &'a BTreeSet<String>,
    /// Objects that have manifests already, and are left out: their names, by live object.
    pub declared: &'a HashMap<usize, String>,
}

impl Options<'_> {
    fn omits(&self, kind: &Kind, field: &str) -> bool {
        // What tells objects apart is in every manifest: it would be taken from `metadata.name` otherwise.
        !is_key(kind, field)
            && self.omit.iter().any(|(name, other)| (*name == kind.name || name == "*") && other == field)
    }
}

/// Whether a field is a part of what tells objects of a kind apart.
pub fn is_key(kind: &Kind, field: &str) -> bool {
    let spec = &kind.spec;
    let keys = spec.key.iter().chain(spec.key_fallbacks.iter().flatten()).chain(&spec.name_field);
    keys.into_iter().any(|name| name == field)
}

/// One manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Name of the connection.
    pub connection: String,
    /// The kind.
    pub kind: Arc<Kind>,
    /// `metadata.name`; empty where the object cannot be managed, and the text is a comment that says why.
    pub handle: String,
    /// Id of the live object.
    pub id: String,
    /// What the object is in, from the outermost: kinds and names of objects that contain others.
    pub within: Vec<(Arc<Kind>, String)>,
    /// The text.
    pub text: String,
}

/// What an export came to.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// The manifests: by connection, in the order of the kinds, by name.
    pub documents: Vec<Document>,
    /// What people have to fill in.
    pub stubs: Vec<Stub>,
    /// Objects that no manifest can stand for: kind, id, and why.
    pub left_out: Vec<(Arc<Kind>, String, String)>,
    /// How many objects of a connection and kind are below a parent that is not among the account's own.
    pub elsewhere: BTreeMap<(String, String), usize>,
}

impl Exported {
    /// The manifests that stand for objects.
    pub fn manifests(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(|document| !document.handle.is_empty())
    }
}

/// Whether an object's parent, where it has one, is among those that the API lists: lists of children may show those of
/// others, too, such as the services of fleets that are public.
fn is_below_own(observed: &Observed, live: &LiveObject) -> bool {
    let field = live.kind.spec.scope.as_ref().and_then(|scope| live.kind.field(&scope.field));
    let target = field.and_then(|field| field.ref_spec()?.kind.clone());
    let (Some(target), Some(parent)) = (target, &live.parent) else { return true };
    !observed.complete.contains(&(live.connection.clone(), target.clone()))
        || observed.by_id(&live.connection, &target, parent).is_some()
}

/// Writes the manifests of what is live.
pub fn export(surveyed: &Surveyed, apis: &Apis, places: &BTreeSet<Place>, options: &Options<'_>) -> Exported {
    let stems = names::stems(surveyed, options.defaults);
    let mut world = World::new(surveyed, apis, stems);
    let mut elsewhere: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut chosen: Vec<usize> = surveyed
        .observed
        .objects
        .iter()
        .enumerate()
        .filter(|(index, live)| {
            live.kind.is_declarable()
                && !options.declared.contains_key(index)
                && !surveyed.parts.contains(index)
                && places.contains(&(live.connection.to_string(), live.kind.name.clone()))
                && is_wanted(&world, *index, options.wanted)
        })
        .filter(|(_, live)| {
            let own = is_below_own(&surveyed.observed, live);
            if !own {
                *elsewhere.entry((live.connection.to_string(), live.kind.name.clone())).or_default() += 1;
            }
            own
        })
        .map(|(index, _)| index)
        .collect();
    let mut fitting = Fitting::default();
    let nameless: HashMap<usize, String> =
        chosen.iter().filter_map(|index| Some((*index, nameless(&world, *index, options, &mut fitting)?))).collect();
    let named: Vec<usize> = chosen.iter().copied().filter(|index| !nameless.contains_key(index)).collect();
    let handles = names::handles(surveyed, &world.stems, &named, options.declared);
    world.name(handles);
    let order = |index: &usize| {
        let live = world.object(*index);
        let place = apis.get(&*live.connection).and_then(|api| api.kinds.get_index_of(&live.kind.name));
        (live.connection.clone(), place, world.handles.get(index).cloned(), live.id.clone())
    };
    chosen.sort_by_cached_key(order);
    let named: Vec<usize> = chosen.iter().copied().filter(|index| !nameless.contains_key(index)).collect();
    let cut = circles(&world, apis, options, &named);
    let mut writer = Writer { world: &world, options, cut: &cut, fitting, stubs: Stubs::default() };
    let mut left_out = Vec::new();
    let mut documents = Vec::with_capacity(chosen.len());
    for index in chosen {
        let live = world.object(index);
        let Some(api) = apis.get(&*live.connection) else { continue };
        let text = if let Some(why) = nameless.get(&index) {
            left_out.push((live.kind.clone(), live.id.clone(), why.clone()));
            yaml::remark(&format!("The {} `{}` cannot be managed: {why}.", live.kind.name, live.id))
        } else {
            yaml::document(&writer.object(api, index, options.several.contains(&api.name)))
        };
        documents.push(Document {
            connection: live.connection.to_string(),
            kind: live.kind.clone(),
            handle: world.handles.get(&index).cloned().unwrap_or_default(),
            id: live.id.clone(),
            within: within(&world, api, index),
            text,
        });
    }
    Exported { documents, stubs: writer.stubs.list, left_out, elsewhere }
}

/// Why no manifest could name an object: what tells it from others is not there, or no manifest can have it.
fn nameless(world: &World<'_>, index: usize, options: &Options<'_>, fitting: &mut Fitting) -> Option<String> {
    let live = world.object(index);
    let spec = &live.kind.spec;
    if spec.singleton {
        return None;
    }
    let given = options.defaults.get(&*live.connection);
    let mut why = None;
    let whole = |names: &Vec<String>| {
        let mut told = false;
        for name in names {
            let Some(field) = live.kind.field(name).filter(|field| !field.read_only) else {
                told = true;
                continue;
            };
            let value = live.fields.get(name).filter(|value| !is_empty(value));
            let plain = field.reference.is_none();
            match value {
                Some(Value::String(words)) if plain && (options.is_secret)(words) => {
                    why = Some(format!("its `{name}` has a secret in it"));
                    return false;
                }
                Some(value) if plain && field.encode.is_none() && !value.is_object() && !value.is_array() => {
                    if let Some(misfit) = fitting.misfit(name, &as_written(field, value), field) {
                        why = Some(misfit.trim_end_matches('.').to_owned());
                        return false;
                    }
                    told = true;
                }
                Some(_) => told |= plain,
                None if spec.key_optional.contains(name)
                    || field.default.is_some()
                    || given.is_some_and(|given| given.contains_key(name)) => {}
                None => {
                    why = why.take().or_else(|| Some(format!("it has no `{name}`")));
                    return false;
                }
            }
        }
        // References alone may do, where there is nothing else.
        told || !names.iter().any(|name| live.kind.field(name).is_some_and(|field| field.reference.is_none()))
    };
    if std::iter::once(&spec.key).chain(&spec.key_fallbacks).any(whole) {
        return None;
    }
    Some(why.unwrap_or_else(|| "it has nothing that tells it from others".to_owned()))
}

/// A scalar as a manifest has it: a text field takes other scalars as their texts.
fn as_written(field: &FieldSpec, value: &Value) -> Value {
    match field.ty {
        FieldType::String => text(value).map_or_else(|| value.clone(), Value::String),
        _ => value.clone(),
    }
}

/// References that would make a circle of manifests.
fn circles(world: &World<'_>, apis: &Apis, options: &Options<'_>, chosen: &[usize]) -> HashSet<cycle::Edge> {
    let mut nodes = Vec::new();
    for index in chosen {
        nodes.push(*index);
        let live = world.object(*index);
        let Some(api) = apis.get(&*live.connection) else { continue };
        for child in api.children(&live.kind.name) {
            nodes.extend(world.children(live, child));
        }
    }
    let exported = |index: &usize| world.handles.contains_key(index) && !options.declared.contains_key(index);
    cycle::cut(&nodes, &|index| {
        let mut to = object::references_of(world, options, index);
        to.retain(exported);
        to
    })
}

/// Whether an object is asked for.
fn is_wanted(world: &World<'_>, index: usize, wanted: &[Wanted]) -> bool {
    let live = world.object(index);
    let of_kind =
        |one: &&Wanted| one.kind == live.kind.name && one.api.as_ref().is_none_or(|api| *api == live.kind.api);
    let fits = |one: &Wanted| {
        one.pattern.as_ref().is_none_or(|pattern| {
            matches(pattern, &world.stems[index]) || world.title(index).is_some_and(|title| matches(pattern, &title))
        })
    };
    wanted.is_empty() || wanted.iter().filter(of_kind).any(fits)
}

/// Whether a text fits a pattern in which `*` stands for anything and `?` for one letter, whatever the case.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((back, from)) => {
                    *from += 1;
                    at = *back + 1;
                    place = *from;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|letter| *letter == '*')
}

/// What an object is in, from the outermost.
fn within(world: &World<'_>, api: &Api, index: usize) -> Vec<(Arc<Kind>, String)> {
    let mut out = Vec::new();
    let mut now = index;
    for _ in 0..8 {
        let live = world.object(now);
        if live.kind.spec.contains && !out.iter().any(|(_, place)| *place == now) {
            out.push((live.kind.clone(), now));
        }
        let containers = api.kinds.values().rev().filter(|kind| kind.spec.contains && **kind != live.kind);
        let next = containers
            .flat_map(|container| contained_by(&live.kind, &container.name))
            .find_map(|field| world.referred(now, field))
            .filter(|next| *next != now && world.object(*next).kind.spec.contains);
        let Some(next) = next else { break };
        now = next;
    }
    let name = |index: usize| world.handles.get(&index).unwrap_or(&world.stems[index]).clone();
    out.into_iter().rev().map(|(kind, index)| (kind, name(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("happy*", "happy-frog", true),
            ("HAPPY*", "Happy Frog", true),
            ("*frog", "happy-frog", true),
            ("h?ppy-frog", "happy-frog", true),
            ("*a*b*", "xaxxbx", true),
            ("happy", "happy-frog", false),
            ("", "x", false),
            ("*", "", true),
            ("a*b", "ab-c", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
