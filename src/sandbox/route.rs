//! The calls that a description implies, and the one that a request means.

use std::{collections::HashMap, sync::Arc};

use super::shape::Shape;
use crate::description::{
    Api,
    format::{UpdateStyle, Verb},
};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Get,
    /// The read of fields that have one of their own.
    GetPart,
    Create,
    Update,
    Delete,
    BulkCreate,
    BulkUpdate,
    BulkDelete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    Open(String),
}

/// A call that the API offers.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) method: String,
    pub(super) shape: Arc<Shape>,
    pub(super) action: Action,
    segments: Vec<Segment>,
}

/// A call that a request means, with the ids in its path by the name that the description gives them.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) shape: Arc<Shape>,
    pub(super) action: Action,
    /// Further actions of the same method and path: one object or many is told by the body.
    pub(super) also: Option<Action>,
    pub(super) ids: HashMap<String, String>,
}

/// Why a request means no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoCall {
    /// No call has this path.
    Path,
    /// The calls of this path have other methods.
    Method(Vec<String>),
}

/// All calls that an API's description implies.
pub(super) fn routes(api: &Api, shapes: &HashMap<String, Arc<Shape>>) -> Vec<Route> {
    let mut out = Vec::new();
    for kind in api.kinds.values() {
        if let Some(shape) = shapes.get(&kind.name) {
            kind_routes(&mut out, shape);
        }
    }
    out
}

fn kind_routes(out: &mut Vec<Route>, shape: &Arc<Shape>) {
    let spec = &shape.kind.spec;
    let whole = shape.kind.apply.is_some();
    let can = |verb: Verb| !(spec.lacks.contains(&verb) || whole && matches!(verb, Verb::Create | Verb::Update));
    let lookup = spec.lookup;
    let item = if spec.singleton { spec.path.clone() } else { format!("{}/{{id}}", spec.path) };
    let path = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
    let method = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
    let mut add = |action, method: String, path: String| {
        out.push(Route {
            method: method.to_ascii_uppercase(),
            shape: shape.clone(),
            action,
            segments: segments(&path),
        });
    };
    if can(Verb::List) && !spec.singleton {
        add(Action::List, "GET".into(), path(&spec.list.path, &spec.path));
        if let Some(below) = spec.scope.as_ref().and_then(|scope| scope.path.clone()) {
            add(Action::List, "GET".into(), below);
        }
    }
    if let Some(across) = &spec.list.across {
        add(Action::List, "GET".into(), across.path.clone());
    }
    for read in spec.fields.values().filter_map(|field| field.read_by.as_ref()) {
        add(Action::GetPart, "GET".into(), read.path.clone());
    }
    if can(Verb::Get) {
        add(Action::Get, method(&spec.get.method, "GET"), path(&spec.get.path, &item));
    }
    if lookup {
        return;
    }
    if can(Verb::Create) && !spec.singleton && !spec.bulk.create.as_ref().is_some_and(|bulk| bulk.only) {
        let put = spec.create.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("PUT"));
        let usual = if put { &item } else { &spec.path };
        add(Action::Create, method(&spec.create.method, "POST"), path(&spec.create.path, usual));
        for instead in &spec.create.instead {
            add(Action::Create, method(&spec.create.method, "POST"), instead.path.clone());
        }
    }
    if can(Verb::Update) && !spec.bulk.update.as_ref().is_some_and(|bulk| bulk.only) {
        let whole = matches!(spec.update.style, UpdateStyle::Replace | UpdateStyle::ReplaceFields);
        let usual = if whole { "PUT" } else { "PATCH" };
        add(Action::Update, method(&spec.update.method, usual), path(&spec.update.path, &item));
    }
    if can(Verb::Delete) && !spec.singleton && !spec.bulk.delete.as_ref().is_some_and(|bulk| bulk.only) {
        add(Action::Delete, method(&spec.delete.method, "DELETE"), path(&spec.delete.path, &item));
    }
    if let Some(bulk) = &spec.bulk.create {
        add(Action::BulkCreate, method(&bulk.method, "POST"), path(&bulk.path, &spec.path));
    }
    if let Some(bulk) = &spec.bulk.update {
        add(Action::BulkUpdate, method(&bulk.method, "PATCH"), path(&bulk.path, &spec.path));
    }
    if let Some(bulk) = &spec.bulk.delete {
        add(Action::BulkDelete, method(&bulk.method, "DELETE"), path(&bulk.path, &spec.path));
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let path = path.split('?').next().unwrap_or_default();
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => Segment::Open(name.to_owned()),
            None => Segment::Fixed(part.to_owned()),
        })
        .collect()
}

impl Route {
    /// The ids in a path that this route has, and how many of its parts are fixed.
    fn fit(&self, parts: &[String]) -> Option<(usize, HashMap<String, String>)> {
        if parts.len() != self.segments.len() {
            return None;
        }
        let (mut fixed, mut ids) = (0, HashMap::new());
        for (segment, part) in self.segments.iter().zip(parts) {
            match segment {
                Segment::Fixed(text) if text == part => fixed += 1,
                Segment::Fixed(_) => return None,
                Segment::Open(name) if name == "parentPath" => {
                    let inside = self.shape.kind.inside()?;
                    if !inside.parents.values().any(|text| text == part) {
                        return None;
                    }
                    fixed += 1;
                    ids.insert(name.clone(), part.clone());
                }
                Segment::Open(name) => {
                    ids.insert(name.clone(), part.clone());
                }
            }
        }
        Some((fixed, ids))
    }
}

impl Route {
    /// Puts the ids of parents together where those of a kind are local: what is kept is the nearest one, whole.
    fn join(&self, ids: &mut HashMap<String, String>) {
        let chain = &self.shape.kind.chain;
        let Some((nearest, above)) = chain.split_last().filter(|(nearest, _)| ids.contains_key(*nearest)) else {
            return;
        };
        let parts: Vec<String> = chain
            .iter()
            .filter_map(|name| ids.get(name))
            .map(|id| id.replace('%', "%25").replace('/', "%2F"))
            .collect();
        if parts.len() == chain.len() {
            ids.insert(nearest.clone(), parts.join("/"));
            for name in above {
                ids.remove(name);
            }
        }
    }
}

/// Finds the call that a request means.
pub(super) fn find(routes: &[Route], method: &str, parts: &[String]) -> Result<Call, NoCall> {
    let mut best: Option<(usize, &Route, HashMap<String, String>)> = None;
    let mut also = None;
    let mut methods: Vec<(usize, String)> = Vec::new();
    for route in routes {
        let Some((fixed, ids)) = route.fit(parts) else { continue };
        if route.method != method {
            methods.push((fixed, route.method.clone()));
            continue;
        }
        match &best {
            Some((found, ..)) if fixed < *found => {}
            Some((found, first, _)) if fixed == *found => {
                if first.shape.name() == route.shape.name() {
                    also = Some(route.action);
                }
            }
            _ => {
                also = None;
                best = Some((fixed, route, ids));
            }
        }
    }
    let most = methods.iter().map(|(fixed, _)| *fixed).max().unwrap_or(0);
    match best {
        // `/users/me` is not the user `me`: a path with more fixed parts hides the others.
        Some((fixed, route, mut ids)) if fixed >= most => {
            route.join(&mut ids);
            Ok(Call { shape: route.shape.clone(), action: route.action, also, ids })
        }
        _ if methods.is_empty() => Err(NoCall::Path),
        _ => {
            let mut methods: Vec<String> =
                methods.into_iter().filter(|(fixed, _)| *fixed == most).map(|(_, method)| method).collect();
            methods.sort();
            methods.dedup();
            Err(NoCall::Method(methods))
        }
    }
}
