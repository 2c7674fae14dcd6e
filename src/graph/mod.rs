//! References → order, cycles. Pure.
//!
//! A reference is a text until this stage finds what it means: a manifest of the stack, or a live object to look up.

mod names;
mod order;
mod reference;
mod walk;

use std::collections::{HashMap, HashSet};

pub use self::{
    names::Names,
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
        let above = object.parent.and_then(|parent| objects.get(parent));
        let found = uses_of(object, above, &object.kind.spec.fields, &names, sources, &mut diagnostics);
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

/// Finds what the references of one object mean; `above` is the parent of an entry.
pub fn uses_of(
    object: &Manifest,
    above: Option<&Manifest>,
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
            match own.strip_prefix('^') {
                Some(own) => above?.spec.get(own).and_then(text),
                None => object.spec.get(own).and_then(text),
            }
        };
        let by_key = || match &spoken.selector {
            Selector::Plain(name) => names.key(api, &spoken.kind, name, &beside),
            _ => None,
        };
        let target = match (declared.or_else(by_key), &spoken.selector) {
            (Some(index), _) => Meaning::Declared(index),
            (None, Selector::Handle(name) | Selector::Plain(name)) if names.is_broken(api, &spoken.kind, name) => {
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
