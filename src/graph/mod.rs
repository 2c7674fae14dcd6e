//! References → order, cycles. Pure.
//!
//! A reference is a text until this stage finds what it means: a manifest of the stack, or a live object to look up.

mod order;
mod reference;
mod walk;

use std::collections::{HashMap, HashSet};

pub use self::{
    order::{ordered, topological},
    reference::{Selector, Spoken, parse_reference},
    walk::{RefSite, map_references, references},
};
use crate::{
    address::Address,
    description::{Specs, hook},
    diagnostic::{Diagnostic, Place, SUGGESTIONS, Sources, nearest},
    manifest::{Manifest, Manifests, locate},
    value::text,
};

/// Where a manifest names what else it depends on.
const DEPENDS_ON: &str = "/metadata/annotations/plumb.dev~1depends-on";

/// One use of another object by a declared one.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// JSON pointer below the object's `spec`.
    pub pointer: String,
    /// Kind of the target.
    pub kind: String,
    /// What it means.
    pub target: Meaning,
}

/// What a reference means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A declared object, by its index.
    Declared(usize),
    /// A live object.
    Live(Selector),
}

/// The references of a stack, and the order that they give.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Uses of each object, by its index.
    pub uses: Vec<Vec<Use>>,
    /// Further objects that each one depends on: its parent and those of `plumb.dev/depends-on`.
    pub extra: Vec<Vec<usize>>,
    /// Objects in an order in which each comes after what it depends on.
    pub order: Vec<usize>,
    /// Finds declared objects.
    pub names: Names,
    /// Objects that cannot be planned, because what they refer to is not there, not theirs, or refers to them.
    pub wrong: HashSet<usize>,
}

/// Finds declared objects by handle, key and address.
#[derive(Debug, Clone, Default)]
pub struct Names {
    handles_of_kinds: HashMap<(String, String, String), usize>,
    keys_of_kinds: HashMap<(String, String, String), Vec<usize>>,
    addresses: HashMap<Address, usize>,
    /// Texts of the key's fields, by object.
    keys: Vec<Vec<(String, String)>>,
    /// Objects whose manifests could not be understood.
    broken: HashSet<(String, String, String)>,
}

impl Names {
    fn new(objects: &[Manifest], broken: &[Address]) -> Self {
        let mut names = Self::default();
        for address in broken.iter().filter(|address| address.entry.is_none()) {
            names.broken.insert((address.api.to_string(), address.kind.to_string(), address.name.to_string()));
        }
        names.keys = objects.iter().map(key_texts).collect();
        for (index, object) in objects.iter().enumerate() {
            names.addresses.insert(object.address.clone(), index);
            if object.parent.is_some() {
                continue;
            }
            let name = |word: &str| (object.kind.api.clone(), object.kind.name.clone(), word.to_owned());
            names.handles_of_kinds.insert(name(&object.address.name), index);
            let key = object.kind.spec.name_field.as_ref().and_then(|field| object.spec.get(field)).and_then(text);
            if let Some(key) = key {
                names.keys_of_kinds.entry(name(&key)).or_default().push(index);
            }
        }
        names
    }

    /// The object with this address.
    pub fn address(&self, address: &Address) -> Option<usize> {
        self.addresses.get(address).copied()
    }

    /// The object of a kind with this handle.
    pub fn handle(&self, api: &str, kind: &str, name: &str) -> Option<usize> {
        self.handles_of_kinds.get(&(api.to_owned(), kind.to_owned(), name.to_owned())).copied()
    }

    /// The only object of a kind whose name-like key field has this value, and whose other key fields are what stands
    /// beside the reference: a configuration's `location: HQ` means the HQ of its own organization.
    pub fn key(&self, api: &str, kind: &str, name: &str, beside: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
        let found = self.keys_of_kinds.get(&(api.to_owned(), kind.to_owned(), name.to_owned()))?;
        let mut fitting = found.iter().copied().filter(|index| {
            self.keys.get(*index).is_some_and(|fields| {
                fields.iter().all(|(field, own)| beside(field).is_none_or(|other| self.same(api, own, &other)))
            })
        });
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Whether two texts may mean one object: equal, or both names of one declared object of any kind.
    fn same(&self, api: &str, one: &str, other: &str) -> bool {
        let plain = |text: &str| text.strip_prefix("ref:").unwrap_or(text).to_owned();
        let (one, other) = (plain(one), plain(other));
        if one == other {
            return true;
        }
        let explicit = |text: &str| text.starts_with("id:") || text.starts_with("key:");
        if explicit(&one) || explicit(&other) {
            return true;
        }
        let kinds: HashSet<&String> =
            self.handles_of_kinds.keys().filter(|(known, ..)| known == api).map(|(_, kind, _)| kind).collect();
        kinds.into_iter().any(|kind| {
            let find = |text: &str| {
                self.handle(api, kind, text).or_else(|| {
                    let slot = (api.to_owned(), kind.clone(), text.to_owned());
                    self.keys_of_kinds.get(&slot).filter(|list| list.len() == 1).map(|list| list[0])
                })
            };
            matches!((find(&one), find(&other)), (Some(a), Some(b)) if a == b)
        })
    }

    /// Handles of a kind, for suggestions.
    fn handles<'a>(&'a self, api: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.handles_of_kinds.keys().filter(move |(a, k, _)| a == api && k == kind).map(|(_, _, name)| name.as_str())
    }
}

/// Finds what every reference means and puts the objects in order; reports references to nothing and cycles.
pub fn build(manifests: &Manifests, sources: &Sources) -> (Graph, Vec<Diagnostic>) {
    let objects = &manifests.objects;
    let mut diagnostics = Vec::new();
    let names = Names::new(objects, &manifests.broken);
    let mut uses = Vec::with_capacity(objects.len());
    let mut extra = Vec::with_capacity(objects.len());
    let mut wrong = HashSet::new();
    for (index, object) in objects.iter().enumerate() {
        let told = diagnostics.len();
        let found = uses_of(object, &object.kind.spec.fields, &names, sources, &mut diagnostics);
        diagnostics.extend(found.iter().filter_map(|found| foreign(manifests, sources, object, found)));
        uses.push(found);
        let mut more: Vec<usize> = object.parent.into_iter().collect();
        if object.parent.is_none() {
            for address in &object.annotations.depends_on {
                if let Some(index) = names.address(address) {
                    more.push(index);
                } else {
                    let told = nothing_to_depend_on(manifests, sources, object, address, diagnostics.len());
                    diagnostics.push(told);
                }
            }
        }
        extra.push(more);
        if diagnostics.len() > told {
            wrong.insert(index);
        }
    }
    after_definitions(objects, &uses, &mut extra);
    let mut graph = Graph { uses, extra, order: Vec::new(), names, wrong };
    let (order, cycles) = ordered(&graph.edges());
    for cycle in cycles {
        diagnostics.push(cycle_diagnostic(manifests, &graph, sources, &cycle));
        graph.wrong.extend(cycle);
    }
    graph.order = order;
    (graph, diagnostics)
}

/// What is wrong with a use of an object that belongs to another account.
fn foreign(manifests: &Manifests, sources: &Sources, object: &Manifest, found: &Use) -> Option<Diagnostic> {
    let Meaning::Declared(target) = found.target else { return None };
    let other = manifests.objects.get(target).filter(|other| other.connection != object.connection)?;
    Some(another_account(sources, object, &found.pointer, other))
}

/// A reference leads to an object of another connection.
pub fn another_account(sources: &Sources, object: &Manifest, pointer: &str, other: &Manifest) -> Diagnostic {
    let message = format!(
        "`{}` is of connection `{}`, and this manifest of `{}`: a reference cannot lead from one account to another.",
        other.address, other.connection, object.connection
    );
    Diagnostic::error("PL0206", message)
        .at(locate(sources, object.document, &format!("{}{pointer}", object.pointer)))
        .about(&object.address)
        .hint("Refer to an object of the same connection, or move one of the two manifests to the other's.")
}

/// `plumb.dev/depends-on` names what is not there.
fn nothing_to_depend_on(
    manifests: &Manifests,
    sources: &Sources,
    object: &Manifest,
    address: &Address,
    told: usize,
) -> Diagnostic {
    let message = format!("`plumb.dev/depends-on` names `{address}`, which is not declared.");
    let found =
        Diagnostic::error("PL0205", message).at(locate(sources, object.document, DEPENDS_ON)).about(&object.address);
    if told >= SUGGESTIONS {
        return found;
    }
    let known: Vec<String> = manifests.objects.iter().map(|object| object.address.to_string()).collect();
    match nearest(&address.to_string(), known.iter().map(String::as_str)) {
        Some(near) => found.hint(format!("Did you mean `{near}`?")),
        None => found,
    }
}

/// Objects whose fields are defined by the entries of another come after those entries.
fn after_definitions(objects: &[Manifest], uses: &[Vec<Use>], extra: &mut [Vec<usize>]) {
    let mut entries: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, object) in objects.iter().enumerate() {
        if let Some(parent) = object.parent {
            entries.entry(parent).or_default().push(index);
        }
    }
    for (index, object) in objects.iter().enumerate() {
        let Some(hook) = object.kind.spec.hook.as_deref().and_then(hook::find) else { continue };
        let (field, child) = hook.source();
        let source = uses[index].iter().find(|found| found.pointer == format!("/{field}"));
        let Some(Meaning::Declared(source)) = source.map(|found| &found.target) else { continue };
        let definitions = entries.get(source).into_iter().flatten();
        extra[index].extend(definitions.filter(|entry| objects[**entry].kind.name == child));
    }
}

impl Graph {
    /// Where an object says that it depends on another.
    fn place(&self, sources: &Sources, object: &Manifest, index: usize, on: usize) -> Option<Place> {
        let uses = self.uses.get(index).into_iter().flatten();
        let found = uses.into_iter().find(|found| found.target == Meaning::Declared(on));
        let told =
            found.and_then(|found| locate(sources, object.document, &format!("{}{}", object.pointer, found.pointer)));
        let annotated = || object.parent.is_none().then(|| locate(sources, object.document, DEPENDS_ON)).flatten();
        told.or_else(annotated).or_else(|| locate(sources, object.document, &object.pointer))
    }

    /// What each object depends on, by index.
    pub fn edges(&self) -> Vec<Vec<usize>> {
        self.uses
            .iter()
            .zip(&self.extra)
            .map(|(uses, extra)| {
                let mut to: Vec<usize> = uses
                    .iter()
                    .filter_map(|found| match found.target {
                        Meaning::Declared(index) => Some(index),
                        Meaning::Live(_) => None,
                    })
                    .chain(extra.iter().copied())
                    .collect();
                to.sort_unstable();
                to.dedup();
                to
            })
            .collect()
    }
}

/// Finds what the references of one object mean.
pub fn uses_of(
    object: &Manifest,
    specs: &Specs,
    names: &Names,
    sources: &Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Use> {
    let mut out = Vec::new();
    for site in references(specs, &object.spec) {
        let place = || locate(sources, object.document, &format!("{}{}", object.pointer, site.pointer));
        let spoken = match parse_reference(site.spec, &site.text) {
            Ok(Some(spoken)) => spoken,
            Ok(None) => continue,
            Err(why) => {
                diagnostics.push(Diagnostic::error("PL0204", why).at(place()).about(&object.address));
                continue;
            }
        };
        let api = object.kind.api.as_str();
        let declared = match &spoken.selector {
            Selector::Handle(name) | Selector::Plain(name) => names.handle(api, &spoken.kind, name),
            Selector::Id(_) | Selector::Key(_) => None,
        };
        let complete = site.spec.reference.as_ref().map(|target| &target.complete);
        let beside = |field: &str| {
            let own = complete.and_then(|complete| complete.get(field)).map_or(field, String::as_str);
            object.spec.get(own).and_then(text)
        };
        let by_key = || match &spoken.selector {
            Selector::Plain(name) => names.key(api, &spoken.kind, name, &beside),
            _ => None,
        };
        let target = match (declared.or_else(by_key), &spoken.selector) {
            (Some(index), _) => Meaning::Declared(index),
            (None, Selector::Handle(name) | Selector::Plain(name))
                if names.broken.contains(&(api.to_owned(), spoken.kind.clone(), name.clone())) =>
            {
                let message = format!("It refers to `{name}`, a {} whose manifest is broken.", spoken.kind);
                diagnostics.push(Diagnostic::error("PL0211", message).at(place()).about(&object.address));
                continue;
            }
            (None, Selector::Handle(name)) => {
                let mut wrong = Diagnostic::error(
                    "PL0201",
                    format!("`ref:{name}` names no {} that is declared in this stack.", spoken.kind),
                )
                .at(place())
                .about(&object.address);
                if diagnostics.len() < SUGGESTIONS
                    && let Some(near) = nearest(name, names.handles(api, &spoken.kind))
                {
                    wrong = wrong.hint(format!("Did you mean `ref:{near}`?"));
                }
                diagnostics.push(wrong);
                continue;
            }
            (None, selector) => Meaning::Live(selector.clone()),
        };
        out.push(Use { pointer: site.pointer, kind: spoken.kind, target });
    }
    out
}

/// Texts of the fields that an object's key has besides its name.
fn key_texts(object: &Manifest) -> Vec<(String, String)> {
    let spec = &object.kind.spec;
    let scope = spec.scope.as_ref().map(|scope| &scope.field);
    let mut out: Vec<(String, String)> = spec
        .key
        .iter()
        .chain(scope)
        .filter(|field| spec.name_field.as_ref() != Some(field))
        .filter_map(|field| Some((field.clone(), text(object.spec.get(field)?)?)))
        .collect();
    out.dedup();
    out
}

fn cycle_diagnostic(manifests: &Manifests, graph: &Graph, sources: &Sources, cycle: &[usize]) -> Diagnostic {
    let name =
        |index: &usize| manifests.objects.get(*index).map(|object| object.address.to_string()).unwrap_or_default();
    let mut path: Vec<String> = cycle.iter().map(name).collect();
    path.extend(cycle.first().map(name));
    let mut found =
        Diagnostic::error("PL0203", format!("These objects depend on one another in a circle: {}.", path.join(" → ")))
            .hint("Take one of these references out, or make it in the other direction.");
    let nexts = cycle.iter().skip(1).chain(cycle.first());
    for (number, (index, next)) in cycle.iter().zip(nexts).enumerate() {
        let Some(object) = manifests.objects.get(*index) else { continue };
        let place = graph.place(sources, object, *index, *next);
        found = if number == 0 {
            found.at(place).about(&object.address)
        } else {
            found.see(place, format!("here `{}` depends on `{}`", object.address, name(next)))
        };
    }
    found
}
