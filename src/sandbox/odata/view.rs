//! Rows as OData shows them: properties, references as `{"__id": 1}`, and what navigation properties lead to.

use serde_json::{Map, Value, json};

use crate::{
    description::format::FieldType,
    sandbox::{
        render::{made, stamp},
        shape::Shape,
        simulation::Simulation,
        simulation::time_of,
        store::{Row, Store, Table},
    },
    value::text,
};

/// A kind's rows, as one who asks sees them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) sim: &'a Simulation,
    pub(super) store: &'a Store,
    pub(super) shape: &'a Shape,
    /// Whoever asks has no valid credential.
    pub(super) stranger: bool,
}

/// Where a navigation property leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nav {
    /// To the object that an attribute names: attribute and kind.
    One(String, String),
    /// To the objects that name this one: their kind and attribute; without one, the entries inside.
    Many(String, Option<String>),
    /// To the users who may use the object.
    Users,
}

impl<'a> View<'a> {
    /// The same for another kind.
    pub(super) fn of(self, kind: &str) -> Option<Self> {
        Some(Self { shape: self.sim.shape(kind)?, ..self })
    }

    /// The name of the kind's set.
    pub(super) fn set(shape: &Shape) -> &str {
        shape.kind.spec.path.trim_matches('/')
    }

    /// The attribute that names the parent of an entry, and the parent's kind.
    fn parent(&self) -> Option<(&'a str, &'a str)> {
        let inside = self.shape.kind.inside()?;
        Some((inside.parent_wire.as_deref()?, inside.parents.keys().next()?))
    }

    /// The attribute that names the object which entries hang on, and its kind.
    fn through(&self) -> Option<(&'a str, &'a str)> {
        let through = self.shape.kind.inside()?.through.as_ref()?;
        Some((&through.wire, &through.kind))
    }

    /// Whether a name is a property, or a reference, of the kind.
    pub(super) fn has(&self, name: &str) -> bool {
        let hidden = self.hidden();
        if Some(name) == hidden {
            return false;
        }
        matches!(name, "id" | "created_at" | "modified_at")
            || self.shape.field(name).is_some()
            || self.shape.is_ignored(name)
            || self.parent().is_some_and(|(wire, _)| wire == name)
            || self.through().is_some_and(|(wire, _)| wire == name)
    }

    /// The attribute of an entry that only the object which it hangs on has.
    fn hidden(&self) -> Option<&'a str> {
        let through = self.shape.kind.inside()?.through.as_ref()?;
        Some(self.shape.kind.field(&through.field)?.wire_name())
    }

    /// The value of a property as filters see it: a reference is an id. Nothing where there is no such property.
    pub(super) fn property(&self, row: &Row, name: &str) -> Option<Value> {
        if !self.has(name) {
            return None;
        }
        let number = |id: &str| id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from);
        Some(match name {
            "id" => number(&row.id),
            "created_at" => stamp(made(self.shape, row), true).into(),
            "modified_at" => stamp(time_of(row.updated), true).into(),
            _ => {
                if let Some((wire, _)) = self.parent()
                    && wire == name
                {
                    return Some(row.parent.as_ref().map_or(Value::Null, |(_, id)| number(id)));
                }
                let default = self.shape.field(name).and_then(|(_, field)| field.default.clone());
                row.get(name).cloned().or(default).unwrap_or_default()
            }
        })
    }

    /// A property as answers show it.
    fn shown(&self, row: &Row, name: &str) -> Option<Value> {
        let value = self.property(row, name)?;
        let refers = matches!(self.nav(name), Some(Nav::One(..)))
            || self.shape.kind.spec.mine.as_ref().is_some_and(|mine| mine.wire == name);
        Some(if refers && !value.is_null() { json!({ "__id": value }) } else { value })
    }

    /// The row with these properties, or with all.
    pub(super) fn entity(&self, row: &Row, select: Option<&[String]>) -> Map<String, Value> {
        let mut out = Map::new();
        let names: Vec<String> = if let Some(names) = select {
            names.to_vec()
        } else {
            let spec = &self.shape.kind.spec;
            let fields = spec.fields.values().map(|field| field.wire_name().to_owned());
            let own = ["created_at", "modified_at", "id"].map(str::to_owned);
            let above = self.parent().into_iter().chain(self.through()).map(|(wire, _)| wire.to_owned());
            own.into_iter().chain(above).chain(fields).chain(self.shape.ignored.iter().cloned()).collect()
        };
        for name in names {
            if let Some(value) = self.shown(row, &name) {
                out.insert(name, value);
            }
        }
        out
    }

    /// Where a navigation property leads; nothing where there is none of that name.
    pub(super) fn nav(&self, name: &str) -> Option<Nav> {
        if name == "is_directly_accessible_by__user" && self.sim.behaviour.knows_users(self.shape.name()) {
            return Some(Nav::Users);
        }
        let above = self.parent().into_iter().chain(self.through()).find(|(wire, _)| *wire == name);
        if let Some((wire, kind)) = above {
            return Some(Nav::One(wire.to_owned(), kind.to_owned()));
        }
        if Some(name) == self.hidden() {
            return None;
        }
        if let Some((_, field)) = self.shape.field(name).filter(|(_, field)| field.ty == FieldType::Ref) {
            let kind = field.reference.as_ref()?.kind.clone()?;
            return Some(Nav::One(field.wire_name().to_owned(), kind));
        }
        let own = self.shape.name();
        self.sim.api.kinds.values().find_map(|kind| {
            let other = self.sim.shape(&kind.name)?;
            let named = self.sim.behaviour.nav(own, &kind.name).unwrap_or_else(|| Self::set(other));
            if named != name {
                return None;
            }
            if kind.inside().is_some_and(|inside| inside.through.is_none() && inside.parents.contains_key(own)) {
                return Some(Nav::Many(kind.name.clone(), None));
            }
            let through = kind.inside().and_then(|inside| inside.through.as_ref());
            if let Some(through) = through.filter(|through| through.kind == own) {
                return Some(Nav::Many(kind.name.clone(), Some(through.wire.clone())));
            }
            let field = kind
                .spec
                .fields
                .values()
                .find(|field| field.reference.as_ref().is_some_and(|target| target.kind.as_deref() == Some(own)))?;
            kind.inside().is_none().then(|| Nav::Many(kind.name.clone(), Some(field.wire_name().to_owned())))
        })
    }

    /// The rows that a navigation property of a row leads to.
    pub(super) fn follow(self, nav: &Nav, row: &Row) -> Vec<(Self, &'a Row)> {
        let (kind, rows): (&str, Vec<&'a Row>) = match nav {
            Nav::Users => return Vec::new(),
            Nav::One(wire, kind) => {
                let id = self.property(row, wire).as_ref().and_then(text);
                (kind, id.and_then(|id| self.store.get(kind, &id)).into_iter().collect())
            }
            Nav::Many(kind, None) => (kind, self.store.inside(kind, (self.shape.name(), &row.id)).collect()),
            Nav::Many(kind, Some(wire)) => {
                let scoped = self.store.table(kind).and_then(|table| table.scoped(wire, &row.id));
                let rows = match scoped {
                    Some(rows) => rows.collect(),
                    None => self
                        .store
                        .table(kind)
                        .into_iter()
                        .flat_map(Table::rows)
                        .filter(|other| other.text(wire).as_deref() == Some(&*row.id))
                        .collect(),
                };
                (kind, rows)
            }
        };
        let Some(view) = self.of(kind) else { return Vec::new() };
        rows.into_iter().filter(|row| view.is_visible(row)).map(|row| (view, row)).collect()
    }

    /// Whether whoever asks may see a row.
    pub(super) fn is_visible(&self, row: &Row) -> bool {
        !self.stranger || self.sim.behaviour.is_public(self.store, self.shape.name(), row)
    }

    /// Whether the caller may use a row, and does not only see it because everybody does.
    pub(super) fn is_accessible(&self, row: &Row) -> bool {
        !self.stranger && self.sim.behaviour.is_accessible(self.store, self.shape.name(), row)
    }
}
