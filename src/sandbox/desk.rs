//! Creates, updates and deletes: bodies to rows, with all that the description asks of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{
    answer::{Fault, Refusal},
    body::Item,
    field::{Checker, exists},
    patch,
    rules::{self, pointer},
    shape::Shape,
    simulation::Simulation,
    store::{Row, Store},
};
use crate::{
    description::format::{FieldSpec, IdWire, UpdateStyle},
    value::{set_path, text},
};

/// Works on the rows of one API for the time of one call.
pub(super) struct Desk<'a> {
    pub(super) sim: &'a Simulation,
    pub(super) store: &'a mut Store,
    /// Parents whose entries changed: kind of the entries, kind and id of the parent.
    touched: BTreeSet<(String, String, String)>,
}

/// A row about to be stored, or just stored.
pub(super) struct Change<'a> {
    pub(super) shape: &'a Shape,
    pub(super) row: Row,
    /// The row as it was; none for a create.
    pub(super) old: Option<Row>,
    /// Attributes that the body gave, normalised.
    pub(super) given: HashSet<String>,
    /// The attributes as the body gave them, by their normalised name.
    pub(super) raw: HashMap<String, Value>,
}

impl Change<'_> {
    /// Whether the body gave this attribute.
    pub(super) fn gives(&self, wire: &str) -> bool {
        self.given.contains(&self.shape.normal(wire))
    }

    /// Whether an attribute has another value than before.
    pub(super) fn moves(&self, wire: &str) -> bool {
        self.old.as_ref().is_none_or(|old| old.get(wire) != self.row.get(wire))
    }
}

impl<'a> Desk<'a> {
    /// Starts a call.
    pub(super) fn new(sim: &'a Simulation, store: &'a mut Store) -> Self {
        Self { sim, store, touched: BTreeSet::new() }
    }

    /// Ends a call: checks what only the whole of its changes can break.
    pub(super) fn finish(&mut self) -> Result<(), Refusal> {
        for (kind, parent, id) in std::mem::take(&mut self.touched) {
            if let Some(shape) = self.sim.shape(&kind) {
                rules::entries(self.store, shape, (&parent, &id))?;
            }
        }
        Ok(())
    }

    /// Creates an object; gives its key.
    pub(super) fn create(
        &mut self,
        shape: &Shape,
        mut item: Item,
        ids: &HashMap<String, String>,
    ) -> Result<String, Refusal> {
        let mut row = Row { parent: self.parent(shape, &mut item, ids)?, ..Row::default() };
        self.place(shape, &mut row, ids)?;
        let entries = self.entries_of(shape, &mut item);
        let mut faults = Vec::new();
        let (given, raw) = self.lay_down(shape, &mut row, &item, true, &mut faults);
        self.relate(shape, &mut row, &item, &mut faults);
        self.check_type(shape, &row, &mut faults);
        rules::complete(shape, &mut row, true);
        faults.extend(rules::missing(shape, &row));
        refuse(faults)?;
        let mut change = Change { shape, row, old: None, given, raw };
        self.sim.behaviour.before_write(self, &mut change)?;
        rules::complete(shape, &mut change.row, false);
        self.name(shape, &mut change.row, ids)?;
        rules::unique_key(self.sim, self.store, shape, &change.row)?;
        change.row.seq = self.store.put(shape.name(), change.row.clone());
        self.touch(shape, &change.row);
        self.write_entries(shape, &change.row, entries)?;
        self.sim.behaviour.after_write(self, &change)?;
        Ok(change.row.key)
    }

    /// Updates the object with this key.
    pub(super) fn update(
        &mut self,
        shape: &Shape,
        key: &str,
        mut item: Item,
        style: UpdateStyle,
    ) -> Result<(), Refusal> {
        let old = self.store.get(shape.name(), key).cloned().ok_or_else(Refusal::absent)?;
        if !item.relationships.is_empty() {
            return Err(Refusal::at("/data/relationships", "Relationships are not permitted in an update."));
        }
        let mut row = old.clone();
        match style {
            UpdateStyle::Fields | UpdateStyle::JsonPatch => {}
            UpdateStyle::MergePatch => patch::merge_items(shape, &old, &mut item.attributes),
            UpdateStyle::Replace | UpdateStyle::ReplaceFields => keep_server_owned(shape, &mut row),
        }
        let mut faults = Vec::new();
        let (given, raw) = self.lay_down(shape, &mut row, &item, false, &mut faults);
        self.check_type(shape, &row, &mut faults);
        if matches!(style, UpdateStyle::Replace | UpdateStyle::ReplaceFields) {
            rules::complete(shape, &mut row, true);
            faults.extend(rules::missing(shape, &row));
        }
        refuse(faults)?;
        let parent = row.parent.as_ref().and_then(|(kind, id)| self.store.get(kind, id));
        check_frozen(shape, &old, &row, parent)?;
        let mut change = Change { shape, row, old: Some(old), given, raw };
        self.sim.behaviour.before_write(self, &mut change)?;
        rules::complete(shape, &mut change.row, false);
        // What the object lacked before is not asked of an update.
        let lacked = change.old.as_ref().map(|old| rules::missing(shape, old)).unwrap_or_default();
        refuse(rules::missing(shape, &change.row).into_iter().filter(|fault| !lacked.contains(fault)).collect())?;
        Self::rename(shape, &mut change.row);
        rules::unique_key(self.sim, self.store, shape, &change.row)?;
        if change.old.as_ref().is_some_and(|old| old.attributes != change.row.attributes) {
            self.store.put(shape.name(), change.row.clone());
        }
        self.touch(shape, &change.row);
        self.sim.behaviour.after_write(self, &change)
    }

    /// The object that a new one is inside.
    fn parent(
        &self,
        shape: &Shape,
        item: &mut Item,
        ids: &HashMap<String, String>,
    ) -> Result<Option<(String, String)>, Refusal> {
        let Some(inside) = shape.kind.inside() else { return Ok(None) };
        let kind = match ids.get("parentPath") {
            Some(path) => inside.parents.iter().find(|(_, text)| *text == path).map(|(kind, _)| kind),
            None => inside.parents.keys().next(),
        };
        let kind = kind.cloned().ok_or_else(Refusal::absent)?;
        if let Some(id) = ids.get("parent") {
            let found = self.store.get(&kind, id).is_some();
            return if found { Ok(Some((kind, id.clone()))) } else { Err(Refusal::absent()) };
        }
        let Some(wire) = &inside.parent_wire else {
            return Err(Refusal::invalid("The object needs a parent in the path."));
        };
        let id = item.take(shape, wire).as_ref().and_then(text);
        match id {
            Some(id) if self.store.get(&kind, &id).is_some() => Ok(Some((kind, id))),
            Some(_) => Err(Refusal::at(pointer(shape, wire), format!("`{wire}` refers to no existing {kind}."))),
            None => Err(Refusal::at(pointer(shape, wire), format!("`{wire}` is required."))),
        }
    }

    /// Takes the references that the path names.
    fn place(&self, shape: &Shape, row: &mut Row, ids: &HashMap<String, String>) -> Result<(), Refusal> {
        for (name, id) in ids {
            let Some(field) = shape.kind.field(name) else { continue };
            if field.path_only && shape.scope.as_deref() == Some(field.wire_name()) {
                let kind = field.reference.as_ref().and_then(|reference| reference.kind.as_deref()).unwrap_or_default();
                if self.store.get(kind, id).is_none() {
                    return Err(Refusal::absent());
                }
                set_path(&mut row.attributes, field.wire_name(), id.clone().into());
            } else if let Some(reference) = &field.reference
                && let Some(kind) = &reference.kind
            {
                if !exists(self.store, kind, reference, id) {
                    return Err(Refusal::absent());
                }
                let number = reference.wire.unwrap_or(self.sim.id_wire(kind)) == IdWire::Number;
                let value = if number {
                    id.parse::<u64>().map_or_else(|_| id.clone().into(), Value::from)
                } else {
                    id.clone().into()
                };
                set_path(&mut row.attributes, field.wire_name(), value);
            } else {
                set_path(&mut row.attributes, field.wire_name(), id.clone().into());
            }
        }
        Ok(())
    }

    /// Lays the attributes of a body over a row; gives their normalised names.
    fn lay_down(
        &self,
        shape: &Shape,
        row: &mut Row,
        item: &Item,
        creates: bool,
        faults: &mut Vec<Fault>,
    ) -> (HashSet<String>, HashMap<String, Value>) {
        let (mut given, mut raw) = (HashSet::new(), HashMap::new());
        let id_wire = |kind: &str| self.sim.id_wire(kind);
        let scope = shape.scope.as_deref().and_then(|wire| row.text(wire));
        let above = row.parent.as_ref().map(|(_, id)| id.clone()).or(scope);
        let mut checker = Checker { store: self.store, shape, above, id_wire: &id_wire, faults: Vec::new() };
        for (name, value) in item.leaves(shape) {
            let at = pointer(shape, &name);
            if let Some((field_name, field)) = shape.field(&name) {
                if !takes(shape, field_name, field, &name, creates) {
                    checker
                        .faults
                        .push(Fault { detail: format!("`{name}` is not a known attribute."), pointer: Some(at) });
                    continue;
                }
                if field.read_only {
                    continue;
                }
                if field.create_wire.as_deref().is_some_and(|wire| wire.starts_with("relationships.")) {
                    let detail = format!("`{name}` is not an attribute, but a relationship of creates.");
                    checker.faults.push(Fault { detail, pointer: Some(at) });
                    continue;
                }
                let kept = checker.value(field, &value, &at);
                given.insert(shape.normal(field.wire_name()));
                raw.insert(shape.normal(field.wire_name()), value);
                set_path(&mut row.attributes, field.wire_name(), kept);
            } else if let Some(field) =
                shape.type_wires.get(&shape.normal(&name)).and_then(|name| shape.kind.field(name))
            {
                let words = field.reference.iter().flat_map(|reference| reference.kinds.keys());
                if !value.is_null() && !words.into_iter().any(|word| value.as_str() == Some(word)) {
                    checker
                        .faults
                        .push(Fault { detail: format!("`{name}` is not an allowed value."), pointer: Some(at) });
                }
                given.insert(shape.normal(&name));
                let wire = field.reference.as_ref().and_then(|reference| reference.type_wire.clone());
                set_path(&mut row.attributes, &wire.unwrap_or(name), value);
            } else if shape.is_ignored(&name) || shape.normal(&name) == "id" {
                // The server's own attributes are passed over: answers are sent back as they were.
            } else if !creates
                && shape.kind.inside().is_some_and(|inside| {
                    inside.parent_wire.as_deref().is_some_and(|wire| shape.normal(wire) == shape.normal(&name))
                })
            {
                if row.parent.as_ref().map(|(_, id)| id.as_str()) != text(&value).as_deref() {
                    checker.faults.push(Fault { detail: format!("`{name}` cannot be changed."), pointer: Some(at) });
                }
            } else {
                checker.faults.push(Fault { detail: format!("`{name}` is not a known attribute."), pointer: Some(at) });
            }
        }
        for field in shape.kind.spec.fields.values().filter(|_| creates) {
            if let Some(path) = field.create_wire.as_deref().filter(|path| path.contains('.'))
                && row.get(field.wire_name()).is_none()
                && let Some((head, rest)) = path.split_once('.')
                && let Some(value) = item.attributes.get(head).and_then(|value| crate::value::get_path(value, rest))
            {
                let kept = checker.value(field, value, &pointer(shape, path));
                set_path(&mut row.attributes, field.wire_name(), kept);
            }
        }
        faults.append(&mut checker.faults);
        (given, raw)
    }

    /// Takes what a create says by relationships.
    fn relate(&self, shape: &Shape, row: &mut Row, item: &Item, faults: &mut Vec<Fault>) {
        for (name, relationship) in &item.relationships {
            let wanted = shape.normal(name);
            let at = format!("/data/relationships/{name}");
            let Some(field) = shape.relations.iter().find(|(relation, _)| shape.normal(relation) == wanted) else {
                if !self.sim.behaviour.takes_relationship(shape.name(), &wanted) {
                    let detail = format!("The relationship `{name}` is not permitted.");
                    faults.push(Fault { detail, pointer: Some(at) });
                }
                continue;
            };
            let Some(field) = shape.kind.field(&field.1) else { continue };
            let data = relationship.get("data").cloned().unwrap_or_default();
            let id = |entry: &Value| {
                entry.get("id").or_else(|| entry.pointer("/attributes/id")).cloned().unwrap_or_default()
            };
            let value = match &data {
                Value::Array(entries) => Value::Array(entries.iter().map(id).collect()),
                entry => id(entry),
            };
            let id_wire = |kind: &str| self.sim.id_wire(kind);
            let mut checker = Checker { store: self.store, shape, above: None, id_wire: &id_wire, faults: Vec::new() };
            let kept = checker.value(field, &value, &at);
            faults.append(&mut checker.faults);
            set_path(&mut row.attributes, field.wire_name(), kept);
        }
    }

    /// Checks references to one of several kinds against the type beside them.
    fn check_type(&self, shape: &Shape, row: &Row, faults: &mut Vec<Fault>) {
        for field in shape.kind.spec.fields.values() {
            let Some(reference) = &field.reference else { continue };
            let Some(type_wire) = &reference.type_wire else { continue };
            let (id, word) = (row.text(field.wire_name()), row.text(type_wire));
            let fault = match (&id, word.as_deref()) {
                (None, None) => continue,
                (Some(id), Some(word)) => match reference.kinds.get(word).map(String::as_str) {
                    Some(kind) if !kind.is_empty() && self.store.get(kind, id).is_none() => {
                        format!("`{}` refers to no existing {kind}.", field.wire_name())
                    }
                    _ => continue,
                },
                _ => format!("`{}` and `{type_wire}` must be used together.", field.wire_name()),
            };
            faults.push(Fault { detail: fault, pointer: Some(pointer(shape, field.wire_name())) });
        }
    }

    /// Gives a new row its id and key.
    fn name(&mut self, shape: &Shape, row: &mut Row, ids: &HashMap<String, String>) -> Result<(), Refusal> {
        if let Some(field) = shape.local_id.as_deref().and_then(|name| shape.kind.field(name)) {
            row.id = row.text(field.wire_name()).or_else(|| ids.get("id").cloned()).unwrap_or_default();
            row.key = local_key(shape, row);
            if self.store.get(shape.name(), &row.key).is_some() {
                let status = rules::conflict_status(self.sim);
                return Err(Refusal::new(status, format!("`{}` has already been taken.", row.id)));
            }
            return Ok(());
        }
        let number = self.store.next_number(shape.name());
        row.id = match self.sim.behaviour.id_prefix(shape.name()) {
            Some(prefix) => format!("{prefix}{number}"),
            None => number.to_string(),
        };
        row.key.clone_from(&row.id);
        Ok(())
    }

    /// Gives a changed row the id that its fields make.
    fn rename(shape: &Shape, row: &mut Row) {
        if let Some(field) = shape.local_id.as_deref().and_then(|name| shape.kind.field(name))
            && let Some(id) = row.text(field.wire_name())
        {
            row.id = id;
            row.key = local_key(shape, row);
        }
    }

    /// The entries that a create carries along, by the shape of their kind.
    fn entries_of(&self, shape: &Shape, item: &mut Item) -> Vec<(std::sync::Arc<Shape>, Vec<Value>)> {
        let mut out = Vec::new();
        for kind in self.sim.api.children(shape.name()) {
            let Some(path) = kind.inside().and_then(|inside| inside.embed.as_deref()) else { continue };
            let Some(entry) = self.sim.shapes.get(&kind.name) else { continue };
            if let Some(Value::Array(entries)) = item.take_path(shape, path) {
                out.push((entry.clone(), entries));
            }
        }
        out
    }

    fn write_entries(
        &mut self,
        parent: &Shape,
        row: &Row,
        lists: Vec<(std::sync::Arc<Shape>, Vec<Value>)>,
    ) -> Result<(), Refusal> {
        for kind in self.sim.api.children(parent.name()) {
            if kind.inside().is_some_and(|inside| inside.embed_required) {
                self.touched.insert((kind.name.clone(), parent.name().to_owned(), row.id.clone()));
            }
        }
        for (shape, entries) in lists {
            let mut ids = HashMap::from([("parent".to_owned(), row.id.clone())]);
            if let Some(text) = shape.kind.inside().and_then(|inside| inside.parents.get(parent.name())) {
                ids.insert("parentPath".to_owned(), text.clone());
            }
            for entry in entries {
                let item = Item::entry(&shape, entry)?;
                self.create(&shape, item, &ids)?;
            }
        }
        Ok(())
    }

    /// Has the entries of a row's parent checked at the end of the call.
    pub(super) fn touch(&mut self, shape: &Shape, row: &Row) {
        if let Some((kind, id)) = &row.parent {
            self.touched.insert((shape.name().to_owned(), kind.clone(), id.clone()));
        }
    }
}

fn refuse(faults: Vec<Fault>) -> Result<(), Refusal> {
    if faults.is_empty() { Ok(()) } else { Err(Refusal { status: super::answer::INVALID, faults }) }
}

/// The key of a row whose id is unique within its container only.
pub(super) fn local_key(shape: &Shape, row: &Row) -> String {
    // Where the lists below parents are apart, ids are everybody's.
    let apart = shape.kind.spec.scope.as_ref().is_some_and(|scope| scope.path.is_some());
    let scope = shape.scope.as_deref().filter(|_| !apart).and_then(|wire| row.text(wire));
    let container = row.parent.as_ref().map(|(_, id)| id.clone()).or(scope);
    container.map_or_else(|| row.id.clone(), |container| format!("{container}/{}", row.id))
}

/// Whether the body of a create or an update has a field. Kinds whose updates send the described fields say which.
fn takes(shape: &Shape, name: &str, field: &FieldSpec, wire: &str, creates: bool) -> bool {
    if field.path_only || field.query.is_some() {
        return false;
    }
    if creates {
        let own = field.create_wire.as_deref().unwrap_or(field.wire_name());
        return !field.update_only && (own == wire || shape.is_jsonapi());
    }
    let update = &shape.kind.spec.update;
    update.style != UpdateStyle::ReplaceFields
        || field.immutable.is_none()
        || update.also.iter().any(|also| also == name)
}

/// What a replacement leaves: the server's own attributes, and what never comes back.
fn keep_server_owned(shape: &Shape, row: &mut Row) {
    let update = &shape.kind.spec.update;
    for (name, field) in &shape.kind.spec.fields {
        let fixed = update.style == UpdateStyle::ReplaceFields
            && (!takes(shape, name, field, field.wire_name(), false) || field.not_sent);
        if !field.read_only && !field.write_only && !fixed && shape.scope.as_deref() != Some(field.wire_name()) {
            remove_path(&mut row.attributes, field.wire_name());
        }
    }
}

/// Removes what is at a dotted path.
pub(super) fn remove_path(target: &mut crate::value::Fields, path: &str) {
    if target.shift_remove(path).is_none()
        && let Some((head, rest)) = path.split_once('.')
        && let Some(Value::Object(inner)) = target.get_mut(head)
    {
        remove_path(inner, rest);
    }
}

/// Refuses changes of what cannot change.
fn check_frozen(shape: &Shape, old: &Row, new: &Row, parent: Option<&Row>) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    let synced = shape.kind.spec.synced.as_ref().filter(|synced| {
        let signs = || synced.detect.iter().any(|sign| rules::holds(shape, old, sign));
        if synced.with_parent {
            parent.is_some_and(|parent| parent.synced.is_some()) && signs()
        } else {
            old.synced.is_some()
        }
    });
    for (name, field) in &shape.kind.spec.fields {
        let wire = field.wire_name();
        let unset = |value: Option<&Value>| value.is_none_or(Value::is_null);
        if old.get(wire) == new.get(wire) || (unset(old.get(wire)) && unset(new.get(wire))) {
            continue;
        }
        let detail = if field.immutable.is_some() {
            format!("`{wire}` cannot be changed.")
        } else if synced.is_some_and(|synced| synced.refuses(name)) {
            format!("`{wire}` of an externally synced record cannot be changed.")
        } else {
            continue;
        };
        faults.push(Fault { detail, pointer: Some(pointer(shape, wire)) });
    }
    refuse(faults)
}
