//! Live references → how a manifest writes them: by handle where the target is exported too, else by its name where that
//! is clear, else by its id.

use std::{collections::HashSet, sync::Arc};

use super::{cycle::Edge, world::World};
use crate::{
    description::{
        Api, Kind,
        format::{FieldSpec, RefSpec},
    },
    value::{Fields, Target},
};

/// Where a reference stands.
pub(super) struct Site<'s> {
    pub(super) api: &'s Api,
    pub(super) connection: &'s Arc<str>,
    /// The object or entry that refers.
    pub(super) from: usize,
    /// The canonical fields beside the reference.
    pub(super) beside: &'s Fields,
    /// References that go by id.
    pub(super) cut: &'s HashSet<Edge>,
}

/// A reference as it is written, and what a reader may want to know besides.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) remark: Option<String>,
}

impl World<'_> {
    /// Writes a reference.
    pub(super) fn reference(&self, spec: &FieldSpec, kind: &str, target: &Target, site: &Site<'_>) -> Option<Written> {
        let reference = spec.reference.as_ref()?;
        let prefix = prefix(reference, kind);
        let with = |rest: String, remark: Option<String>| Some(Written { text: format!("{prefix}{rest}"), remark });
        let words = match target {
            Target::Id(words) | Target::Field(_, words) => words,
            Target::New(_) => return None,
        };
        let Some(index) = self.target(site.connection, kind, target) else { return with(format!("id:{words}"), None) };
        if let Some(handle) = self.handles.get(&index) {
            if !site.cut.contains(&(site.from, index)) {
                return with(handle.clone(), None);
            }
            return with(format!("id:{words}"), Some(format!("{handle}, which refers to this one")));
        }
        let target_kind = site.api.kind(kind).map(Arc::as_ref);
        if let Some(name) = target_kind.and_then(|kind| self.plain_name(kind, index, reference, site)) {
            return with(name, None);
        }
        with(format!("id:{words}"), self.title(index))
    }

    /// The name by which a manifest can mean a live object that has none: where it means no other.
    fn plain_name(&self, kind: &Kind, index: usize, reference: &RefSpec, site: &Site<'_>) -> Option<String> {
        let name = self.title(index)?;
        let odd = name.trim() != name
            || name.chars().any(char::is_control)
            || ["ref:", "id:", "key:"].iter().any(|form| name.starts_with(form))
            || kind.spec.key.is_empty();
        if odd || self.is_declared(&kind.api, &kind.name, &name) {
            return None;
        }
        let heads = kind.spec.key.split_last().map_or(&[][..], |(_, heads)| heads);
        let known = |head: &String| {
            let own = reference.complete.get(head).unwrap_or(head);
            reference.fixed.get(head).or_else(|| site.beside.get(own).filter(|value| !value.is_null()))
        };
        if let Some(scope) = kind.spec.scope.as_ref().filter(|scope| scope.required)
            && (!heads.contains(&scope.field) || known(&scope.field).is_none())
        {
            return None;
        }
        let fitting = self.named(site.connection, kind, &name).iter().filter(|other| {
            heads.iter().all(|head| match (known(head), self.object(**other).fields.get(head)) {
                (Some(wanted), Some(there)) => wanted == there,
                _ => true,
            })
        });
        let fitting: Vec<&usize> = fitting.take(2).collect();
        (fitting == [&index]).then_some(name)
    }
}

/// `Kind/` where the field may refer to one of several.
fn prefix(reference: &RefSpec, kind: &str) -> String {
    if reference.kinds.is_empty() && reference.wire_prefix.is_none() { String::new() } else { format!("{kind}/") }
}
