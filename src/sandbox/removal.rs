//! Deletes: an object goes with all that it contains, and what referred to it refers to nothing.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    answer::Refusal,
    desk::Desk,
    shape::{Shape, holds_references},
};
use crate::value::{set_path, text};

impl Desk<'_> {
    /// Deletes objects, or marks them for deletion where the vendor does that later.
    pub(super) fn delete(&mut self, shape: &Shape, keys: &[String]) -> Result<(), Refusal> {
        for key in keys {
            let row = self.store.get(shape.name(), key).cloned().ok_or_else(Refusal::absent)?;
            self.sim.behaviour.before_delete(self, shape, &row)?;
        }
        if shape.kind.spec.deferred_delete && self.sim.deferred_lists > 0 {
            for key in keys {
                if let Some(mut row) = self.store.get(shape.name(), key).cloned() {
                    row.doomed.get_or_insert(self.sim.deferred_lists);
                    self.store.put_as_is(shape.name(), row);
                }
            }
            return Ok(());
        }
        self.remove(shape, keys);
        Ok(())
    }

    /// Removes objects with all that they contain, and the references to them.
    pub(super) fn remove(&mut self, shape: &Shape, keys: &[String]) {
        let mut gone: Vec<(String, String)> = Vec::new();
        let mut queue: Vec<(String, String)> = keys.iter().map(|key| (shape.name().to_owned(), key.clone())).collect();
        while let Some((kind, key)) = queue.pop() {
            let Some(row) = self.store.remove(&kind, &key) else { continue };
            // What is below it names it by its whole id.
            let local = self.sim.shape(&kind).is_some_and(|shape| shape.kind.spec.id.local);
            let whole = if local { row.key.clone() } else { row.id.clone() };
            for other in self.sim.shapes.values() {
                let inside = self.store.inside(other.name(), (&kind, &whole));
                queue.extend(inside.map(|row| (other.name().to_owned(), row.key.clone())).collect::<Vec<_>>());
                if let Some(wire) = scope_into(other, &kind)
                    && let Some(rows) = self.store.table(other.name()).and_then(|table| table.scoped(wire, &whole))
                {
                    queue.extend(rows.map(|row| (other.name().to_owned(), row.key.clone())));
                }
            }
            gone.push((kind.clone(), row.id.clone()));
            if let Some(shape) = self.sim.shape(&kind) {
                self.touch(shape, &row);
                self.sim.behaviour.after_delete(self, shape, &row);
            }
        }
        self.forget(&gone);
    }

    /// Clears the references to objects that are gone.
    fn forget(&mut self, gone: &[(String, String)]) {
        let gone: HashSet<(&str, &str)> = gone.iter().map(|(kind, id)| (kind.as_str(), id.as_str())).collect();
        let kinds: HashSet<&str> = gone.iter().map(|(kind, _)| *kind).collect();
        for shape in self.sim.shapes.values() {
            for field in shape.kind.spec.fields.values().filter(|field| holds_references(field)) {
                let Some(target) = field.ref_spec().and_then(|reference| reference.kind.as_deref()) else { continue };
                if !kinds.contains(target) || (shape.scope.as_deref() == Some(field.wire_name())) {
                    continue;
                }
                let wire = field.wire_name();
                let is_gone = |value: &Value| text(value).is_some_and(|id| gone.contains(&(target, id.as_str())));
                let mut changed = Vec::new();
                for row in self.store.rows(shape.name()) {
                    let kept = match row.get(wire) {
                        Some(Value::Array(items)) if items.iter().any(is_gone) => {
                            items.iter().filter(|item| !is_gone(item)).cloned().collect()
                        }
                        Some(value) if field.nullable && is_gone(value) => Value::Null,
                        _ => continue,
                    };
                    let mut row = row.clone();
                    set_path(&mut row.attributes, wire, kept);
                    changed.push(row);
                }
                for row in changed {
                    self.store.put_as_is(shape.name(), row);
                }
            }
        }
    }
}

/// The attribute by which objects of a kind belong to an object of another.
fn scope_into<'a>(shape: &'a Shape, kind: &str) -> Option<&'a str> {
    let wire = shape.scope.as_deref()?;
    let (_, field) = shape.field(wire)?;
    (field.reference.as_ref()?.kind.as_deref() == Some(kind)).then_some(wire)
}
