//! Finds objects again: what a lost answer made, what a silent create made, the entries that were sent along.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::Shared;
use crate::{
    description::{Kind, hook},
    dialect::{Decoded, decode, decode_row, included},
    http::HttpError,
    live::{ListQuery, Remote, can_list, natural_key},
    plan::Step,
    value::{Fields, Target, as_reference, get_path, text},
};

impl Shared<'_> {
    /// Live objects that have the natural key of a step's object, those that were there before aside. Nothing where the
    /// kind has no key or no list.
    pub(super) async fn find(&self, step: &Step) -> Result<Option<Vec<Decoded>>, HttpError> {
        let Some(remote) = self.remote(&step.action.connection) else { return Ok(None) };
        let parent = self.parent_id(step);
        let Some(rows) = self.collection(remote, step, parent.as_deref()).await? else { return Ok(None) };
        let desired = self.made.resolve(&step.desired);
        Ok(self.matching(step, &desired, parent.as_deref(), &rows))
    }

    /// Rows that have the natural key of a step's object.
    pub(super) fn matching(
        &self,
        step: &Step,
        desired: &Fields,
        parent: Option<&str>,
        rows: &[Value],
    ) -> Option<Vec<Decoded>> {
        let key = natural_key(&step.kind, step.specs(), parent, desired)?;
        let seal = self.context.seal;
        let found = rows
            .iter()
            .filter_map(|row| {
                if step
                    .kind
                    .spec
                    .not_ours
                    .iter()
                    .any(|condition| crate::dialect::wire_condition(&step.kind, row, condition))
                {
                    return None;
                }
                let mut decoded = decode_row(&step.kind, row, &seal)?;
                if let Some(scope) = &step.kind.spec.scope
                    && decoded.fields.get(&scope.field).is_none_or(Value::is_null)
                    && let Some(value) = desired.get(&scope.field)
                {
                    decoded.fields.insert(scope.field.clone(), value.clone());
                }
                if let Some(hook) = step.kind.spec.hook.as_deref().and_then(hook::find)
                    && let (Some(raw), Some(spec)) =
                        (decoded.fields.get(hook.field()).cloned(), step.specs().get(hook.field()))
                {
                    decoded.fields.insert(hook.field().to_owned(), decode(spec, &raw, &seal));
                }
                let same = natural_key(&step.kind, step.specs(), parent, &decoded.fields).as_ref() == Some(&key);
                (same && !step.seen.contains(&decoded.id)).then_some(decoded)
            })
            .collect();
        Some(found)
    }

    /// Id of the parent that a step's object is inside or scoped to.
    pub(super) fn parent_id(&self, step: &Step) -> Option<String> {
        if let Some(address) = &step.parent_new {
            return self.made.id(address);
        }
        if step.parent.is_some() {
            return step.parent.clone();
        }
        let scope = step.kind.spec.scope.as_ref()?;
        match as_reference(step.desired.get(&scope.field)?)? {
            (_, Target::Id(id)) => Some(id),
            (_, Target::New(address)) => self.made.id(&address),
            (_, Target::Field(..)) => None,
        }
    }

    async fn collection(
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
        if !can_list(kind) {
            return Ok(None);
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
        let include = inside.include.as_deref().filter(|_| !inside.include_on_get_only && can_list(&parent.kind))?;
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
            if let Some(rows) = included(&parent.kind, child, row, include, &along) {
                out.insert(id, rows.into_iter().cloned().collect());
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
        if can_list(child) {
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
        Ok(included(parent_kind, child, &row, include, &along).map(|rows| rows.into_iter().cloned().collect()))
    }
}

fn by_type_and_id(rows: &[Value]) -> HashMap<(String, String), &Value> {
    rows.iter()
        .filter_map(|row| {
            let id = row.get("id").and_then(text).or_else(|| text(get_path(row, "attributes.id")?))?;
            Some(((row.get("type").and_then(text)?.replace('_', "-"), id), row))
        })
        .collect()
}
