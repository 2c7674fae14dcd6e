//! Rows of answers → live objects, found by id, key and name.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{
    LiveObject,
    observe::{Observer, children_of, slot_of},
    remote::Listing,
};
use crate::{
    description::{Kind, format::UpdateStyle},
    dialect::{self, decode_row, included},
    value::{self, Fields, Target, as_reference, reference, text},
};

impl Observer<'_> {
    pub(super) fn add_rows(&mut self, connection: &Arc<str>, kind: &Arc<Kind>, scope: Option<&str>, listing: &Listing) {
        let included = index_included(&listing.included);
        for row in &listing.rows {
            let added = self.add_row(connection, kind, row, scope);
            let Some(id) = added.and_then(|index| self.out.objects.get(index)).map(|object| object.id.clone()) else {
                continue;
            };
            self.add_children(connection, kind, &id, row, &included, false);
        }
    }

    /// Adds the entries that came along with a parent, where the answer really has them.
    pub(super) fn add_children(
        &mut self,
        connection: &Arc<str>,
        parent_kind: &Arc<Kind>,
        parent: &str,
        row: &Value,
        along: &HashMap<(String, String), &Value>,
        by_get: bool,
    ) {
        let children = self.along.get(&(connection.clone(), parent_kind.name.clone())).cloned().unwrap_or_default();
        for child in children {
            let Some(inside) = child.inside() else { continue };
            let Some(include) = inside.include.as_deref() else { continue };
            if inside.include_on_get_only && !by_get {
                continue;
            }
            if let Some(rows) = included(parent_kind, &child, row, include, along) {
                let rows: Vec<Value> = rows.into_iter().cloned().collect();
                for row in &rows {
                    self.add_row(connection, &child, row, Some(parent));
                }
                self.read.insert(children_of(connection, &child.name, &parent_kind.name, parent), Ok(()));
            }
        }
    }

    /// Adds one row, unless it is no object of the kind or there already.
    pub(super) fn add_row(
        &mut self,
        connection: &Arc<str>,
        kind: &Arc<Kind>,
        row: &Value,
        parent: Option<&str>,
    ) -> Option<usize> {
        if kind.spec.not_ours.iter().any(|condition| dialect::wire_condition(kind, row, condition)) {
            return None;
        }
        let seal = self.seal;
        let mut decoded = decode_row(kind, row, &seal)?;
        // A kind that is listed below its parent may not say which parent that is.
        if let (Some(scope), Some(parent)) = (&kind.spec.scope, parent)
            && decoded.fields.get(&scope.field).is_none_or(Value::is_null)
            && let Some(target) = kind.field(&scope.field).and_then(|field| field.reference.as_ref()?.kind.clone())
        {
            decoded.fields.insert(scope.field.clone(), reference(&target, &Target::Id(parent.to_owned())));
        }
        let slot = slot_of(connection, kind, parent, &decoded.id);
        if let Some(known) = self.out.by_id.get(&slot) {
            return Some(*known);
        }
        let keep = kind.spec.hook.is_some() || kind.spec.update.style == UpdateStyle::Replace;
        let object = LiveObject {
            kind: kind.clone(),
            connection: connection.clone(),
            id: decoded.id,
            raw: keep.then(|| row.clone()),
            parent: parent.map(str::to_owned).or_else(|| Self::scope_id(kind, &decoded.fields)),
            synced: kind.spec.synced.as_ref().is_some_and(|synced| {
                synced.detect.iter().any(|condition| dialect::wire_condition(kind, row, condition))
            }),
            never_delete: kind.spec.never_delete.iter().any(|condition| dialect::wire_condition(kind, row, condition)),
            detailed: false,
            fields: decoded.fields,
        };
        let index = self.out.objects.len();
        self.names.add(&object, index);
        self.keys.add(connection, kind, object.parent.as_deref(), &object.fields, index);
        if let Some(parent) = object.parent.clone().filter(|_| kind.inside().is_some()) {
            self.children.entry((connection.clone(), kind.name.clone(), parent)).or_default().push(index);
        }
        self.out.by_id.insert(slot, index);
        self.out.objects.push(object);
        Some(index)
    }

    fn scope_id(kind: &Kind, fields: &Fields) -> Option<String> {
        let scope = kind.spec.scope.as_ref()?;
        match as_reference(fields.get(&scope.field)?)? {
            (_, Target::Id(id)) => Some(id),
            _ => None,
        }
    }
}

pub(super) fn index_included(rows: &[Value]) -> HashMap<(String, String), &Value> {
    rows.iter()
        .filter_map(|row| {
            let word = row.get("type").and_then(text)?.replace('_', "-");
            let id = row.get("id").and_then(text).or_else(|| text(value::get_path(row, "attributes.id")?))?;
            Some(((word, id), row))
        })
        .collect()
}
