//! What of the API has been read, and what must be read next.

use std::sync::Arc;

use super::{
    across::across_of,
    observe::{Collection, Need, Observer, Stop},
    remote::can_list,
};
use crate::{
    description::{
        Kind,
        format::{DialectName, Verb},
    },
    inventory::Record,
    value::{Fields, text},
};

impl Observer<'_> {
    /// Makes sure that the object's collection is read.
    pub(super) fn collection_of(
        &self,
        index: usize,
        kind: &Arc<Kind>,
        connection: &Arc<str>,
        (parent, scope): (Option<&str>, Option<&str>),
        canonical: &Fields,
        record: Option<&Record>,
    ) -> Result<(), Stop> {
        let object = &self.manifests.objects[index];
        if let Some(parent_index) = object.parent {
            let parent_kind = self.manifests.objects[parent_index].kind.name.clone();
            let parent = parent.or(record.and_then(|record| record.parent.as_deref())).unwrap_or_default().to_owned();
            return self.children_read(connection, &kind.name, &parent_kind, &parent);
        }
        if kind.spec.singleton {
            let id = kind.full_id(scope, &kind.name);
            return self.one_read(connection, kind, &id, scope);
        }
        if !can_list(kind) {
            let known = kind.id_by_fields(scope, canonical).filter(|_| kind.can(Verb::Get));
            return match (record, known) {
                (Some(record), _) => self.one_read(connection, kind, &record.id, record.parent.as_deref()),
                (None, Some(id)) => self.one_read(connection, kind, &id, scope),
                (None, None) => Ok(()),
            };
        }
        // Where one list can be limited to many parents, what was moved to another one is looked for where it was.
        let old = record.and_then(|record| record.parent.as_deref()).filter(|old| {
            kind.dialect == DialectName::Odata && kind.spec.scope.is_some() && scope.is_some() && scope != Some(old)
        });
        let Some(old) = old else { return self.kind_read(connection, kind, scope) };
        let mut needs = Vec::new();
        for scope in [scope, Some(old)] {
            match self.kind_read(connection, kind, scope) {
                Err(Stop::Read(more)) => needs.extend(more),
                other => other?,
            }
        }
        if needs.is_empty() { Ok(()) } else { Err(Stop::Read(needs)) }
    }

    /// Looks for an object outside of the parents in use, where its key does not depend on them.
    pub(super) fn elsewhere(&self, connection: &Arc<str>, kind: &Kind, canonical: &Fields) -> Result<(), Stop> {
        let Some(name) = kind.spec.key.first().filter(|_| roams(kind)) else { return Ok(()) };
        let Some(value) = canonical.get(name).and_then(text) else { return Ok(()) };
        if self.out.complete.contains(&(connection.clone(), kind.name.clone())) {
            return Ok(());
        }
        match self.read.get(&key_of(connection, &kind.name, &value)) {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Stop::Fail(Vec::new())),
            None => Err(Stop::Read(vec![Need::Key(connection.clone(), kind.name.clone(), name.clone(), value)])),
        }
    }

    pub(super) fn kind_read(&self, connection: &Arc<str>, kind: &Kind, scope: Option<&str>) -> Result<(), Stop> {
        let of = |scope: Option<&str>| Collection {
            connection: connection.clone(),
            kind: kind.name.clone(),
            parent_kind: String::new(),
            scope: scope.map(str::to_owned),
        };
        let across = || scope.and_then(|scope| self.read.get(&across_of(connection, kind, scope)?));
        let apart = kind.spec.scope.as_ref().is_some_and(|scope| scope.path.is_some());
        let whole = self.read.get(&of(None)).filter(|_| !apart || scope.is_none());
        let found = whole.or_else(|| scope.and_then(|scope| self.read.get(&of(Some(scope))))).or_else(across);
        match found {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Stop::Fail(Vec::new())),
            None => Err(Stop::Read(vec![Need::Kind(connection.clone(), kind.name.clone(), scope.map(str::to_owned))])),
        }
    }

    pub(super) fn children_read(
        &self,
        connection: &Arc<str>,
        kind: &str,
        parent_kind: &str,
        parent: &str,
    ) -> Result<(), Stop> {
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

    pub(super) fn one_read(
        &self,
        connection: &Arc<str>,
        kind: &Kind,
        id: &str,
        parent: Option<&str>,
    ) -> Result<(), Stop> {
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
}

pub(super) fn kind_of(connection: &Arc<str>, kind: &Kind, parent: &str) -> Collection {
    Collection {
        connection: connection.clone(),
        kind: kind.name.clone(),
        parent_kind: String::new(),
        scope: Some(parent.to_owned()),
    }
}

pub(super) fn children_of(connection: &Arc<str>, kind: &str, parent_kind: &str, parent: &str) -> Collection {
    Collection {
        connection: connection.clone(),
        kind: kind.to_owned(),
        parent_kind: parent_kind.to_owned(),
        scope: Some(parent.to_owned()),
    }
}

pub(super) fn key_of(connection: &Arc<str>, kind: &str, key: &str) -> Collection {
    Collection {
        connection: connection.clone(),
        kind: kind.to_owned(),
        parent_kind: "#".into(),
        scope: Some(key.to_owned()),
    }
}

pub(super) fn one_of(connection: &Arc<str>, kind: &str, id: &str) -> Collection {
    Collection {
        connection: connection.clone(),
        kind: kind.to_owned(),
        parent_kind: "=".into(),
        scope: Some(id.to_owned()),
    }
}

/// Whether objects of a kind are told apart whatever parent they are below, and can be found there by their keys.
pub(super) fn roams(kind: &Kind) -> bool {
    let scope = kind.spec.scope.as_ref().filter(|_| kind.dialect == DialectName::Odata);
    scope.is_some_and(|scope| kind.spec.key.len() == 1 && kind.spec.key[0] != scope.field)
}
