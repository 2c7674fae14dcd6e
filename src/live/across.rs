//! Lists over many parents, whose rows say which parent is theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;

use super::{
    observe::{Collection, Observer},
    remote::{ListQuery, Listing, Remote, lists_below},
};
use crate::{
    description::Kind,
    dialect::attribute,
    http::{Call, HttpError, Site},
    value::text,
};

/// The rows of such a list, each with its parent's id.
pub(super) type Placed = Vec<(String, Value)>;

/// The id of the parent further up that a list over many parents of a kind is below.
pub(super) fn ancestor(kind: &Kind, parent: &str) -> Option<String> {
    let across = kind.spec.list.across.as_ref()?;
    let parts: Vec<&str> = parent.split('/').collect();
    let above = parts.len().checked_sub(across.parents.len()).filter(|above| *above > 0)?;
    Some(parts[..above].join("/"))
}

/// The list over many parents that one parent's objects are in.
pub(super) fn across_of(connection: &Arc<str>, kind: &Kind, parent: &str) -> Option<Collection> {
    Some(Collection {
        connection: connection.clone(),
        kind: kind.name.clone(),
        parent_kind: "^".into(),
        scope: Some(ancestor(kind, parent)?),
    })
}

/// Sorts parents into those whose objects are read by one list, by what they are below, and those that are read one by
/// one.
pub(super) fn grouped(kind: &Kind, parents: BTreeSet<String>) -> (BTreeMap<String, Vec<String>>, Vec<String>) {
    let (mut groups, mut single): (BTreeMap<String, Vec<String>>, Vec<String>) = (BTreeMap::new(), Vec::new());
    for parent in parents {
        match ancestor(kind, &parent) {
            Some(above) => groups.entry(above).or_default().push(parent),
            None => single.push(parent),
        }
    }
    if lists_below(kind) {
        groups.retain(|_, parents| {
            let few = parents.len() < 2;
            if few {
                single.append(parents);
            }
            !few
        });
    }
    (groups, single)
}

/// The id of the parent that a row says is its own.
pub(super) fn parent_of(kind: &Kind, above: &str, row: &Value) -> Option<String> {
    let mut out = above.to_owned();
    for paths in &kind.spec.list.across.as_ref()?.parents {
        let part = paths.iter().find_map(|path| text(&attribute(kind, row, path)?)).filter(|part| !part.is_empty())?;
        out.push('/');
        out.push_str(&part.replace('%', "%25").replace('/', "%2F"));
    }
    Some(out)
}

impl Observer<'_> {
    /// Reads a list over many parents; nothing where those in use are read with fewer calls one by one, or where the
    /// list does not show what theirs show.
    pub(super) async fn list_across(
        &self,
        remote: &Remote,
        connection: &Arc<str>,
        kind: &Arc<Kind>,
        above: &str,
        parents: usize,
    ) -> Result<Option<Placed>, HttpError> {
        let own = lists_below(kind);
        let part = |part: &str| part.replace("%2F", "/").replace("%25", "%");
        let asked = ListQuery {
            vars: kind.chain.iter().cloned().zip(above.split('/').map(part)).collect(),
            include: self.includes(connection, &kind.name, false),
            across: true,
            ..ListQuery::default()
        };
        let limit = if own { parents.max(1) } else { usize::MAX };
        let listing = match remote.list_within(kind, &asked, limit).await {
            Ok(Some(listing)) => listing,
            Ok(None) => return Ok(None),
            // What is read below each parent as well need not be there, nor be whole.
            Err(error) if own && (remote.is_absent(&error) || error.status() == Some(403)) => return Ok(None),
            Err(HttpError::Unusable { .. }) if own => return Ok(None),
            Err(error) => return Err(error),
        };
        let needed = || kind.spec.fields.values().filter(|field| field.required && !field.path_only);
        let shows = |row: &Value| {
            !own || needed().all(|field| {
                let read = std::iter::once(field.wire_name()).chain(field.read.iter().map(String::as_str));
                field.on_get_only || read.into_iter().any(|path| attribute(kind, row, path).is_some())
            })
        };
        let Listing { rows, .. } = listing;
        let mut out = Placed::with_capacity(rows.len());
        for row in rows {
            match parent_of(kind, above, &row).filter(|_| shows(&row)) {
                Some(parent) => out.push((parent, row)),
                None if own => return Ok(None),
                None => {
                    let path = kind.spec.list.across.as_ref().map(|across| across.path.clone()).unwrap_or_default();
                    let scope = kind.spec.scope.as_ref().map(|scope| scope.field.clone()).unwrap_or_default();
                    return Err(HttpError::Unusable {
                        site: Arc::new(Site::new(remote.client.connection(), Call::get(String::new()).method, &*path)),
                        came: format!("a row that does not say which {scope} it is of"),
                        expected: format!("rows that name their {scope}"),
                    });
                }
            }
        }
        Ok(Some(out))
    }

    /// Reads the objects below many parents: by one list, or by one for each of them, which is told besides.
    pub(super) async fn list_placed(
        &self,
        remote: &Remote,
        connection: &Arc<str>,
        kind: &Arc<Kind>,
        above: &str,
        parents: &[String],
    ) -> Result<(Placed, bool), HttpError> {
        if let Some(placed) = self.list_across(remote, connection, kind, above, parents.len()).await? {
            return Ok((placed, false));
        }
        let scoped = kind.spec.scope.as_ref().map(|scope| scope.field.clone()).unwrap_or_default();
        let lists: Vec<_> = parents
            .iter()
            .map(|parent| {
                let asked = ListQuery {
                    vars: vec![(scoped.clone(), parent.clone())],
                    include: self.includes(connection, &kind.name, false),
                    ..ListQuery::default()
                };
                async move { (parent, remote.list(kind, &asked).await) }.boxed()
            })
            .collect();
        let mut placed = Placed::new();
        let mut parts = stream::iter(lists).buffered(8);
        while let Some((parent, part)) = parts.next().await {
            match part {
                Ok(part) => placed.extend(part.rows.into_iter().map(|row| (parent.clone(), row))),
                // Below a parent that is gone, there is nothing.
                Err(error) if remote.is_absent(&error) && !self.has_parent(kind, connection, Some(parent)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((placed, true))
    }

    /// Adds the rows of a list over many parents.
    pub(super) fn add_placed(&mut self, connection: &Arc<str>, kind: &Arc<Kind>, rows: Placed) {
        for (parent, row) in rows {
            self.add_row(connection, kind, &row, Some(&parent), "");
        }
    }
}
