//! Rows of answers → live objects, found by id, key and name.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    LiveObject,
    observe::{Observer, slot_of},
    reads::children_of,
    remote::Listing,
};
use crate::{
    description::{
        Kind,
        format::{Condition, DialectName, FieldSpec, Inside, UpdateStyle, Verb},
    },
    dialect::{self, decode_row, odata},
    manifest::Manifests,
    value::{self, Fields, Target, as_reference, reference, text},
};

impl Observer<'_> {
    pub(super) fn add_rows(&mut self, connection: &Arc<str>, kind: &Arc<Kind>, scope: Option<&str>, listing: Listing) {
        let included = index_included(&listing.included);
        // Each row goes as soon as it is read: there may be very many.
        for row in listing.rows {
            let added = self.add_row(connection, kind, &row, scope, "");
            let Some(id) = added.and_then(|index| self.out.objects.get(index)).map(|object| object.id.clone()) else {
                continue;
            };
            self.add_children(connection, kind, &id, &row, &included, false);
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
            if inside.include_on_get_only && !by_get {
                continue;
            }
            let other = self.other_side(connection, inside);
            if let Some(rows) = dialect::entries(parent_kind, &child, row, other.as_deref(), along) {
                for row in &rows {
                    let added = self.add_row(connection, &child, row, Some(parent), &parent_kind.name);
                    self.note_parent(added, &parent_kind.name);
                }
                self.note_joins(connection, parent_kind, parent, &child, row, other.as_deref());
                self.read.insert(children_of(connection, &child.name, &parent_kind.name, parent), Ok(()));
            }
        }
    }

    /// The attribute of the objects that entries hang on which names the other side.
    fn other_side(&self, connection: &str, inside: &Inside) -> Option<String> {
        let through = inside.through.as_ref()?;
        let field = self.remotes.get(connection)?.api.kind(&through.kind)?.field(&through.field)?;
        Some(field.wire_name().to_owned())
    }

    /// Notes the objects that a parent's entries hang on, or can.
    fn note_joins(
        &mut self,
        connection: &Arc<str>,
        parent_kind: &Kind,
        parent: &str,
        child: &Kind,
        row: &Value,
        other: Option<&str>,
    ) {
        let (Some(through), Some(other)) = (child.inside().and_then(|inside| inside.through.as_ref()), other) else {
            return;
        };
        let slot = slot_of(connection, parent_kind, None, parent);
        let Some(object) = self.out.by_id.get(&slot).and_then(|index| self.out.objects.get_mut(*index)) else { return };
        for join in row.get(&through.include).and_then(Value::as_array).into_iter().flatten() {
            let id = join.get("id").and_then(text);
            if let (Some(id), Some(other)) = (id, join.get(other).and_then(odata::reference_id)) {
                object.joins.insert((child.name.clone(), other), id);
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
        parent_kind: &str,
    ) -> Option<usize> {
        if kind.spec.not_ours.iter().any(|condition| dialect::wire_condition(kind, row, condition)) {
            *self.noted.foreign.entry((connection.clone(), kind.name.clone())).or_default() += 1;
            if self.options.survey {
                self.note_hidden(connection, kind, row);
            }
            return None;
        }
        let seal = self.seal;
        let mut decoded = decode_row(kind, row, &seal)?;
        let above = parent.map(str::to_owned).or_else(|| Self::scope_id(kind, &decoded.fields));
        decoded.id = kind.full_id(above.as_deref(), &decoded.id);
        qualify(kind, above.as_deref(), &mut decoded.fields);
        // A kind that is listed below its parent may not say which parent that is.
        if let (Some(scope), Some(parent)) = (&kind.spec.scope, parent)
            && decoded.fields.get(&scope.field).is_none_or(Value::is_null)
            && let Some(target) = kind.field(&scope.field).and_then(|field| field.reference.as_ref()?.kind.clone())
        {
            decoded.fields.insert(scope.field.clone(), reference(&target, &Target::Id(parent.to_owned())));
        }
        dialect::fill_omitted(kind, false, &mut decoded.fields);
        if let Some(wanted) = self.wanted.get(&(kind.api.clone(), kind.name.clone())) {
            decoded.fields.retain(|name, _| wanted.contains(name));
            // Whole resources show all that they have.
            if kind.dialect == DialectName::Apply {
                let shown = |name: &&String| kind.field(name).is_some_and(|field| !field.write_only && !field.not_sent);
                for name in wanted.iter().filter(shown) {
                    decoded.fields.entry(name.clone()).or_insert(Value::Null);
                }
            }
        }
        let place = parent.map(|parent| kind.among(parent_kind, parent));
        let slot = slot_of(connection, kind, place.as_deref(), &decoded.id);
        if let Some(known) = self.out.by_id.get(&slot) {
            return Some(*known);
        }
        let object = LiveObject {
            kind: kind.clone(),
            connection: connection.clone(),
            id: decoded.id,
            stamp: dialect::stamp_of(kind, row),
            made: dialect::made_at(kind, row),
            raw: (keeps_raw(kind) || (!self.options.survey && goes_back(kind, row, &self.wanted))).then(|| row.clone()),
            parent: parent.map(str::to_owned).or_else(|| Self::scope_id(kind, &decoded.fields)),
            synced: kind.spec.synced.as_ref().is_some_and(|synced| {
                let detects = |condition: &Condition| {
                    dialect::wire_condition(kind, row, condition) && is_another(kind, row, condition, &decoded.fields)
                };
                synced.detect.iter().any(detects)
            }),
            never_delete: kind.spec.never_delete.iter().any(|condition| dialect::wire_condition(kind, row, condition)),
            detailed: false,
            joins: HashMap::new(),
            fields: decoded.fields,
        };
        let index = self.out.objects.len();
        self.names.add(&object, index);
        let place = place.or_else(|| object.parent.clone());
        self.keys.add(connection, kind, place.as_deref(), &object.fields, index);
        if let Some(place) = place.filter(|_| kind.inside().is_some()) {
            self.children.entry((connection.clone(), kind.name.clone(), place)).or_default().push(index);
        }
        self.out.by_id.insert(slot, index);
        self.out.objects.push(object);
        Some(index)
    }

    /// Notes the kind of the parent that an entry is inside.
    pub(super) fn note_parent(&mut self, entry: Option<usize>, parent_kind: &str) {
        if let Some(entry) = entry.filter(|_| self.options.survey) {
            self.out.parent_kinds.insert(entry, Arc::from(parent_kind));
        }
    }

    /// The attributes that are kept of a kind's rows while they are read; nothing where all are.
    pub(super) fn kept(&self, connection: &Arc<str>, kind: &Kind) -> Option<Arc<HashSet<String>>> {
        let along = self.along.contains_key(&(connection.clone(), kind.name.clone()));
        if keeps_raw(kind) || (along && kind.dialect == DialectName::Rest) || kind.dialect == DialectName::Odata {
            return None;
        }
        let wanted = self.wanted.get(&(kind.api.clone(), kind.name.clone()))?;
        Some(Arc::new(dialect::read_from(kind, wanted)))
    }

    fn scope_id(kind: &Kind, fields: &Fields) -> Option<String> {
        let scope = kind.spec.scope.as_ref()?;
        match as_reference(fields.get(&scope.field)?)? {
            (_, Target::Id(id)) => Some(id),
            _ => None,
        }
    }
}

/// Puts the parents' ids before those of references, where those are local and the row is below the same parents.
pub fn qualify(kind: &Kind, parent: Option<&str>, fields: &mut Fields) {
    let Some(parent) = parent else { return };
    for (name, value) in fields.iter_mut() {
        let Some(target) = kind.field(name).and_then(|field| field.reference.as_ref()) else { continue };
        let above: Vec<&str> = parent.split('/').take(target.depth).collect();
        if target.depth == 0 || above.len() < target.depth {
            continue;
        }
        if let Some((kind, Target::Id(id))) = as_reference(value)
            && id.split('/').count() <= target.depth
        {
            *value = reference(kind, &Target::Id(format!("{}/{}", above.join("/"), id)));
        }
    }
}

/// Whether what a condition looks at is not what a reference of the object names.
fn is_another(kind: &Kind, row: &Value, condition: &Condition, fields: &Fields) -> bool {
    let (Some(field), Some(wire)) = (&condition.other_than, &condition.wire) else { return true };
    let there = dialect::attribute(kind, row, wire).as_ref().and_then(text).filter(|words| !words.is_empty());
    let named = fields.get(field).and_then(as_reference).map(|(_, target)| match target {
        Target::Id(words) | Target::New(words) | Target::Field(_, words) => words,
    });
    matches!((there, named), (Some(there), Some(named)) if there != named)
}

/// Whether rows of a kind are kept as they came.
fn keeps_raw(kind: &Kind) -> bool {
    let update = &kind.spec.update;
    let whole = matches!(update.style, UpdateStyle::Replace | UpdateStyle::ReplaceFields)
        && (kind.apply.is_none() || !kind.spec.lookup);
    kind.spec.hook.is_some() || whole || update.lock.is_some()
}

/// Whether a row has something that goes back with an update and that its fields do not say.
pub(super) fn goes_back(kind: &Kind, row: &Value, wanted: &HashMap<(String, String), HashSet<String>>) -> bool {
    kind.can(Verb::Update) && dialect::has_beyond(kind, row, wanted.get(&(kind.api.clone(), kind.name.clone())))
}

/// The fields of each kind that a run can ask for: those that manifests declare, and those that objects are found,
/// reached and judged by. The rest of the rows is not kept, since there may be very many. Kinds that are not here are
/// kept whole.
pub fn wanted(manifests: &Manifests) -> HashMap<(String, String), HashSet<String>> {
    let mut out: HashMap<(String, String), HashSet<String>> = HashMap::new();
    for api in manifests.catalog.apis.values() {
        for kind in api.kinds.values().filter(|kind| kind.inside().is_none() && kind.spec.hook.is_none()) {
            let spec = &kind.spec;
            let mut names: HashSet<String> = ["name".to_owned()].into();
            names.extend(spec.key.iter().chain(&spec.key_extra).chain(&spec.aliases).cloned());
            names.extend(spec.key_fallbacks.iter().flatten().cloned());
            names.extend(spec.scope.iter().map(|scope| scope.field.clone()));
            names.extend(spec.pending.iter().filter_map(|pending| pending.when.field.clone()));
            names.extend(spec.update.unless.iter().filter_map(|unless| unless.field.clone()));
            names.extend(spec.appears.iter().map(|appears| appears.through.clone()));
            names.extend(spec.at_most_one.iter().filter_map(|rule| rule.condition.field.clone()));
            names.extend(spec.archive.iter().map(|archive| archive.field.clone()));
            names.extend(spec.id.client.iter().cloned());
            for field in spec.fields.values() {
                let conditions =
                    field.when.iter().chain(&field.required_when).chain(field.forced.iter().map(|rule| &rule.when));
                names.extend(conditions.filter_map(|condition| condition.field.clone()));
            }
            names.extend(spec.lockout.iter().flat_map(|lockout| {
                lockout
                    .key_end
                    .iter()
                    .chain(&lockout.caller)
                    .cloned()
                    .chain(lockout.last.iter().filter_map(|last| last.field.clone()))
            }));
            names.extend(spec.fields.values().flat_map(|field| &field.effect).flat_map(|effect| effect.clears.clone()));
            let paths =
                [Some(&spec.path), spec.get.path.as_ref(), spec.update.path.as_ref(), spec.delete.path.as_ref()];
            for path in paths.into_iter().flatten() {
                names.extend(path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())));
            }
            // What defines the entries of another kind's lists.
            let kinds = api.kinds.values();
            let defined = kinds.flat_map(|other| {
                let fields = &other.spec.fields;
                fields.values().flat_map(|field| defined_by(field, Some(fields)))
            });
            names.extend(defined.filter(|(target, _)| target == &kind.name).map(|(_, field)| field));
            let kept = api.kinds.values().flat_map(|other| other.spec.fields.values());
            names.extend(kept.filter_map(|field| {
                let target = field.ref_spec().filter(|target| target.kind.as_deref() == Some(&*kind.name))?;
                target.keeps.clone()
            }));
            // What another kind is referred to by may be any field.
            let referred = api.kinds.values().flat_map(|other| other.spec.fields.values());
            names.extend(referred.filter_map(|field| {
                let target = field.ref_spec().filter(|target| target.kind.as_deref() == Some(&*kind.name))?;
                target.by.clone()
            }));
            out.insert((api.name.clone(), kind.name.clone()), names);
        }
    }
    for object in &manifests.objects {
        if let Some(names) = out.get_mut(&(object.kind.api.clone(), object.kind.name.clone())) {
            for name in object.spec.keys() {
                if !names.contains(name) {
                    names.insert(name.clone());
                }
            }
        }
    }
    out
}

/// The kinds and fields that define the entries of lists in a field; `beside` are the fields that it stands among.
fn defined_by(field: &FieldSpec, beside: Option<&indexmap::IndexMap<String, FieldSpec>>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let (Some(by), Some(beside)) = (&field.defined_by, beside)
        && let Some(kind) = beside.get(&by.source).and_then(|source| source.ref_spec()?.kind.clone())
    {
        out.push((kind, by.field.clone()));
    }
    out.extend(field.items.iter().flat_map(|items| defined_by(items, None)));
    out.extend(field.fields.values().flat_map(|member| defined_by(member, Some(&field.fields))));
    out
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
