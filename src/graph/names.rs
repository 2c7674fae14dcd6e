//! Texts of references → declared objects: by handle, by natural key, by address.

use std::collections::{HashMap, HashSet};

use crate::{address::Address, manifest::Manifest, value::text};

/// API, kind, and a handle or the text of a name-like key field.
type Name = (String, String, String);

/// Finds declared objects by handle, key and address.
#[derive(Debug, Clone, Default)]
pub struct Names {
    handles_of_kinds: HashMap<Name, usize>,
    namesakes: HashMap<Name, Namesakes>,
    /// What the keys of a kind have besides the name, by API and kind.
    parts: HashMap<(String, String), Vec<Part>>,
    addresses: HashMap<Address, usize>,
    /// Objects whose manifests could not be understood.
    broken: HashSet<Name>,
}

/// A field of a key besides the name, and the kind that it refers to.
#[derive(Debug, Clone)]
struct Part {
    field: String,
    target: Option<String>,
}

/// What a part of a key is known to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Known {
    /// Nothing is known: it may be anything.
    Any,
    /// A declared object.
    Declared(usize),
    /// What no declared object goes by.
    Text(String),
}

/// Objects of one kind that have the same name, told apart by the other parts of their keys.
#[derive(Debug, Clone, Default)]
struct Namesakes {
    all: Vec<usize>,
    exact: HashMap<Vec<Known>, Vec<usize>>,
    /// Those of which not every part is known.
    loose: Vec<(usize, Vec<Known>)>,
}

impl Names {
    pub(super) fn new(objects: &[Manifest], broken: &[Address]) -> Self {
        let mut names = Self::default();
        for address in broken.iter().filter(|address| address.entry.is_none()) {
            names.broken.insert(name(&address.api, &address.kind, &address.name));
        }
        for (index, object) in objects.iter().enumerate() {
            names.addresses.insert(object.address.clone(), index);
            if object.parent.is_some() {
                continue;
            }
            let kind = &object.kind;
            names.handles_of_kinds.insert(name(&kind.api, &kind.name, &object.address.name), index);
            names.parts.entry((kind.api.clone(), kind.name.clone())).or_insert_with(|| parts(object));
            if let Some(key) = named(object) {
                names.namesakes.entry(name(&kind.api, &kind.name, &key)).or_default().all.push(index);
            }
        }
        // What a part means is known once all names are.
        for (index, object) in objects.iter().enumerate().filter(|(_, object)| object.parent.is_none()) {
            let kind = &object.kind;
            let Some(key) = named(object) else { continue };
            let known = names.known(&kind.api, &kind.name, &|field| object.spec.get(field).and_then(text));
            let Some(namesakes) = names.namesakes.get_mut(&name(&kind.api, &kind.name, &key)) else { continue };
            if known.contains(&Known::Any) {
                namesakes.loose.push((index, known));
            } else {
                namesakes.exact.entry(known).or_default().push(index);
            }
        }
        names
    }

    /// The object with this address.
    pub fn address(&self, address: &Address) -> Option<usize> {
        self.addresses.get(address).copied()
    }

    /// The object of a kind with this handle.
    pub fn handle(&self, api: &str, kind: &str, handle: &str) -> Option<usize> {
        self.handles_of_kinds.get(&name(api, kind, handle)).copied()
    }

    /// The only object of a kind whose name-like key field has this value, and whose other key fields are what stands
    /// beside the reference: a configuration's `location: HQ` means the HQ of its own organization.
    pub fn key(&self, api: &str, kind: &str, key: &str, beside: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
        let namesakes = self.namesakes.get(&name(api, kind, key))?;
        let wanted = self.known(api, kind, beside);
        let exact: Vec<usize> = if wanted.contains(&Known::Any) {
            let fitting = namesakes.exact.iter().filter(|(known, _)| fits(known, &wanted));
            fitting.flat_map(|(_, list)| list).take(2).copied().collect()
        } else {
            namesakes.exact.get(&wanted).into_iter().flatten().take(2).copied().collect()
        };
        let loose = namesakes.loose.iter().filter(|(_, known)| fits(known, &wanted)).map(|(index, _)| *index);
        let mut found = exact.into_iter().chain(loose);
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Whether an object of a kind goes by this handle, and its manifest could not be understood.
    pub(super) fn is_broken(&self, api: &str, kind: &str, handle: &str) -> bool {
        self.broken.contains(&name(api, kind, handle))
    }

    /// Handles of a kind, for suggestions.
    pub(super) fn handles<'a>(&'a self, api: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.handles_of_kinds.keys().filter(move |(a, k, _)| a == api && k == kind).map(|(_, _, name)| name.as_str())
    }

    /// What the parts of a key are known to be; `own` gives their texts.
    fn known(&self, api: &str, kind: &str, own: &dyn Fn(&str) -> Option<String>) -> Vec<Known> {
        let parts = self.parts.get(&(api.to_owned(), kind.to_owned())).into_iter().flatten();
        parts
            .map(|part| match own(&part.field) {
                None => Known::Any,
                Some(text) if text.starts_with("id:") || text.starts_with("key:") => Known::Any,
                Some(text) => {
                    let text = text.strip_prefix("ref:").unwrap_or(&text);
                    let declared = part.target.as_deref().and_then(|target| self.declared(api, target, text));
                    declared.map_or_else(|| Known::Text(text.to_owned()), Known::Declared)
                }
            })
            .collect()
    }

    /// The object that a plain reference to a kind names, by its handle or as the only one with that name.
    fn declared(&self, api: &str, kind: &str, text: &str) -> Option<usize> {
        self.handle(api, kind, text).or_else(|| match self.namesakes.get(&name(api, kind, text))?.all[..] {
            [only] => Some(only),
            _ => None,
        })
    }
}

fn name(api: &str, kind: &str, name: &str) -> Name {
    (api.to_owned(), kind.to_owned(), name.to_owned())
}

/// The text of an object's name-like key field.
fn named(object: &Manifest) -> Option<String> {
    let spec = &object.kind.spec;
    let plain = |field: &&String| object.kind.field(field).is_some_and(|field| field.reference.is_none());
    let fields = spec.name_field.iter().chain(spec.key.last().filter(plain));
    fields.filter_map(|field| object.spec.get(field)).find(|name| name.is_string()).and_then(text)
}

/// The fields that an object's key has besides its name.
fn parts(object: &Manifest) -> Vec<Part> {
    let spec = &object.kind.spec;
    let scope = spec.scope.as_ref().map(|scope| &scope.field);
    let mut out: Vec<Part> = Vec::new();
    for field in spec
        .key
        .iter()
        .chain(scope)
        .filter(|field| spec.name_field.as_ref() != Some(field) && spec.key.last() != Some(field))
    {
        if !out.iter().any(|part| part.field == *field) {
            let target = object.kind.field(field).and_then(|field| field.reference.as_ref()?.kind.clone());
            out.push(Part { field: field.clone(), target });
        }
    }
    out
}

/// Whether two keys may be the same.
fn fits(one: &[Known], other: &[Known]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other || *one == Known::Any || *other == Known::Any)
}
