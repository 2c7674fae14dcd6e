//! Finds objects again: what a lost answer made, what a silent create made, the entries that were sent along.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::Value;

use super::Shared;
use crate::{
    description::{Kind, format::Verb, hook},
    dialect::{Decoded, decode, decode_row, entries},
    http::HttpError,
    live::{ListQuery, Remote, item_vars, lists_below, natural_key, natural_keys, qualify},
    plan::{Operation, Step},
    value::{Target, as_reference, get_path, text},
};

/// Rows of one collection by natural key, as steps of one parent and one set of types read them.
pub(super) type Shelf = HashMap<String, Vec<Decoded>>;

impl Shared<'_> {
    /// Looks for the objects of steps by their natural keys, with one read for each collection that they are in.
    pub(super) async fn find(&self, steps: &[usize]) -> Vec<(usize, Result<Vec<Decoded>, Arc<HttpError>>)> {
        let mut groups: BTreeMap<(Option<String>, usize), Vec<usize>> = BTreeMap::new();
        for index in steps {
            let step = &self.plan.steps[*index];
            groups.entry((self.parent_id(step), types_of(step))).or_default().push(*index);
        }
        let mut out = Vec::with_capacity(steps.len());
        for ((parent, _), steps) in groups {
            let Some(first) = steps.first().map(|index| &self.plan.steps[*index]) else { continue };
            let shelf = match self.remote(&first.action.connection) {
                None => Ok(Shelf::new()),
                Some(remote) => match self.collection(remote, first, parent.as_deref()).await {
                    Ok(rows) => Ok(self.shelve(first, parent.as_deref(), &rows.unwrap_or_default())),
                    Err(error) => Err(Arc::new(error)),
                },
            };
            for index in steps {
                let found = match &shelf {
                    Ok(shelf) => Ok(self.on_shelf(shelf, &self.plan.steps[index], parent.as_deref())),
                    Err(error) => Err(error.clone()),
                };
                out.push((index, found));
            }
        }
        out
    }

    /// Puts the rows of a collection in order, as a step and others of its parent and types read them.
    pub(super) fn shelve(&self, step: &Step, parent: Option<&str>, rows: &[Value]) -> Shelf {
        let mut shelf = Shelf::new();
        for decoded in rows.iter().filter_map(|row| self.as_read(step, parent, row)) {
            for key in natural_keys(&step.kind, step.specs(), parent, &decoded.fields) {
                shelf.entry(key).or_default().push(decoded.clone());
            }
        }
        shelf
    }

    /// A row of a collection, as a step and others of its parent and types read it; nothing where it is none of theirs.
    pub(super) fn as_read(&self, step: &Step, parent: Option<&str>, row: &Value) -> Option<Decoded> {
        let (kind, seal) = (&step.kind, self.context.seal);
        if kind.spec.not_ours.iter().any(|condition| crate::dialect::wire_condition(kind, row, condition)) {
            return None;
        }
        let mut decoded = decode_row(kind, row, &seal)?;
        decoded.id = kind.full_id(parent, &decoded.id);
        qualify(kind, parent, &mut decoded.fields);
        let scope = kind.spec.scope.as_ref().map(|scope| &scope.field);
        if let Some(field) = scope
            && decoded.fields.get(field).is_none_or(Value::is_null)
            && let Some(value) = step.desired.get(field)
        {
            decoded.fields.insert(field.clone(), self.made.resolve_value(value));
        }
        if let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find)
            && let (Some(raw), Some(spec)) = (decoded.fields.get(hook.field()).cloned(), step.specs().get(hook.field()))
        {
            decoded.fields.insert(hook.field().to_owned(), decode(spec, &raw, &seal));
        }
        Some(decoded)
    }

    /// What has the natural key of a step's object, those that were there before aside.
    pub(super) fn on_shelf(&self, shelf: &Shelf, step: &Step, parent: Option<&str>) -> Vec<Decoded> {
        let desired = self.made.resolve(&step.desired);
        let key = natural_key(&step.kind, step.specs(), parent, &desired);
        let found = key.and_then(|key| shelf.get(&key)).into_iter().flatten();
        found.filter(|decoded| !step.seen.contains(&decoded.id)).cloned().collect()
    }

    /// Id of the parent that a step's object is inside or scoped to.
    pub(super) fn parent_id(&self, step: &Step) -> Option<String> {
        if let Some(address) = &step.parent_new {
            return self.made.id(address);
        }
        let scope = step.kind.spec.scope.as_ref();
        let declared = || match as_reference(step.desired.get(&scope?.field)?)? {
            (_, Target::Id(id)) => Some(id),
            (_, Target::New(address)) => self.made.id(&address),
            (_, Target::Field(..)) => None,
        };
        // What is made anew goes below the parent that is declared, which this run may have made anew, too.
        if matches!(step.operation, Operation::Create | Operation::Replace) {
            return declared().or_else(|| step.parent.clone());
        }
        step.parent.clone().or_else(declared)
    }

    /// Id of the parent that a step's object is below before anything is done to it.
    pub(super) fn former_parent(&self, step: &Step) -> Option<String> {
        step.parent.clone().or_else(|| self.parent_id(step))
    }

    pub(super) async fn collection(
        &self,
        remote: &Remote,
        step: &Step,
        parent: Option<&str>,
    ) -> Result<Option<Vec<Value>>, HttpError> {
        let kind = &step.kind;
        if kind.inside().is_some() {
            let Some(parent) = parent else { return Ok(None) };
            return self.children(remote, kind, &step.action.kind, parent).await;
        }
        if !lists_below(kind) {
            // What cannot be listed is asked for by the id that its fields make.
            let Some(id) = kind.id_by_fields(parent, &step.desired).filter(|_| kind.can(Verb::Get)) else {
                return Ok(None);
            };
            let vars = item_vars(kind, &id, parent, None);
            return Ok(remote.get(kind, &vars, &[]).await?.map(|(row, _)| vec![row]));
        }
        let mut asked = ListQuery::default();
        if let (Some(scope), Some(parent)) = (&kind.spec.scope, parent) {
            match &scope.filter {
                Some(filter) => asked.query.push((filter.clone(), parent.to_owned())),
                None => asked.vars.push((scope.field.clone(), parent.to_owned())),
            }
        }
        remote.list(kind, &asked).await.map(|listing| Some(listing.rows))
    }

    /// The rows of the entries inside all parents of a kind, by parent's id, where the parents' list brings them along.
    pub(super) async fn all_children(
        &self,
        remote: &Remote,
        parent: &Step,
        child: &Arc<Kind>,
    ) -> Option<HashMap<String, Vec<Value>>> {
        let inside = child.inside()?;
        let include = inside.include.as_deref().filter(|_| !inside.include_on_get_only && lists_below(&parent.kind))?;
        let mut asked = ListQuery { include: vec![include.to_owned()], ..ListQuery::default() };
        if let (Some(scope), Some(id)) = (&parent.kind.spec.scope, self.parent_id(parent)) {
            match &scope.filter {
                Some(filter) => asked.query.push((filter.clone(), id)),
                None => asked.vars.push((scope.field.clone(), id)),
            }
        }
        // If it cannot be had this way, each parent is asked.
        let listing = remote.list(&parent.kind, &asked).await.ok()?;
        let along = by_type_and_id(&listing.included);
        let mut out = HashMap::new();
        for row in &listing.rows {
            let id = crate::dialect::id_of(&parent.kind, row)?;
            if let Some(rows) = entries(&parent.kind, child, row, other_side(remote, child).as_deref(), &along) {
                out.insert(id, rows);
            }
        }
        Some(out)
    }

    /// The rows of the entries inside a parent.
    pub(super) async fn children(
        &self,
        remote: &Remote,
        child: &Arc<Kind>,
        parent_kind: &str,
        parent: &str,
    ) -> Result<Option<Vec<Value>>, HttpError> {
        let Some(inside) = child.inside() else { return Ok(None) };
        if lists_below(child) {
            let path = inside.parents.get(parent_kind).cloned().unwrap_or_default();
            let asked = ListQuery {
                vars: vec![("parent".into(), parent.to_owned()), ("parentPath".into(), path)],
                ..ListQuery::default()
            };
            return remote.list(child, &asked).await.map(|listing| Some(listing.rows));
        }
        let (Some(parent_kind), Some(include)) = (remote.api.kind(parent_kind), inside.include.as_deref()) else {
            return Ok(None);
        };
        let vars = |name: &str| (name == "id").then(|| parent.to_owned());
        let Some((row, more)) = remote.get(parent_kind, &vars, &[include.to_owned()]).await? else { return Ok(None) };
        let along = by_type_and_id(&more);
        Ok(entries(parent_kind, child, &row, other_side(remote, child).as_deref(), &along))
    }
}

/// The attribute of the objects that entries hang on which names the other side.
fn other_side(remote: &Remote, child: &Kind) -> Option<String> {
    let through = child.inside()?.through.as_ref()?;
    Some(remote.api.kind(&through.kind)?.field(&through.field)?.wire_name().to_owned())
}

fn by_type_and_id(rows: &[Value]) -> HashMap<(String, String), &Value> {
    rows.iter()
        .filter_map(|row| {
            let id = row.get("id").and_then(text).or_else(|| text(get_path(row, "attributes.id")?))?;
            Some(((row.get("type").and_then(text)?.replace('_', "-"), id), row))
        })
        .collect()
}

/// What tells the types of a step's fields from those of others.
pub(super) fn types_of(step: &Step) -> usize {
    step.specs.as_ref().map_or(0, |specs| Arc::as_ptr(specs).addr())
}
