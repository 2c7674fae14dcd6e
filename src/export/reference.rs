//! Live references → how a manifest writes them: by handle where the target is exported too, else by its name where that
//! is clear, else by its id.

use std::{collections::HashSet, sync::Arc};

use super::{cycle::Edge, world::World};
use crate::{
    description::{
        Api, Kind,
        format::{FieldSpec, RefSpec},
    },
    value::{Fields, Target, text},
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
        // What is not looked up is written as the API has it.
        let plain = matches!(target, Target::Field(..)) && reference.as_written && !is_odd(words);
        let plain = plain && !self.is_declared(&site.api.name, kind, words);
        let Some(index) = self.target(site.from, kind, target) else {
            return with(if plain { words.clone() } else { format!("id:{words}") }, None);
        };
        if let Some(handle) = self.handles.get(&index) {
            if !site.cut.contains(&(site.from, index)) {
                return with(handle.clone(), None);
            }
            return with(format!("id:{words}"), Some(format!("{handle}, which refers to this one")));
        }
        let target_kind = site.api.kind(kind).map(Arc::as_ref);
        if plain {
            return with(words.clone(), None);
        }
        // The key rather than an alias: two objects may well share that.
        let names = self.key_name(index).into_iter().chain(self.title(index));
        for name in names {
            let plain = target_kind.and_then(|kind| self.plain_name(kind, index, name, reference, site));
            if let Some(plain) = plain {
                return with(plain, None);
            }
        }
        if let Some(key) = target_kind.and_then(|kind| self.whole_key(kind, index)) {
            return with(format!("key:{key}"), None);
        }
        with(format!("id:{words}"), self.title(index))
    }

    /// What tells a live object from others of its parent.
    fn key_name(&self, index: usize) -> Option<String> {
        let live = self.object(index);
        live.fields.get(live.kind.spec.key.last()?).and_then(text).filter(|name| !name.is_empty())
    }

    /// The whole key of a live object below one that has a manifest; where it means no other.
    fn whole_key(&self, kind: &Kind, index: usize) -> Option<String> {
        let [head, _] = kind.spec.key.as_slice() else { return None };
        let parent = self.referred(index, head)?;
        let handle = self.handles.get(&parent)?;
        let name = self.key_name(index)?;
        let same = |other: &&usize| self.referred(**other, head) == Some(parent);
        let fitting: Vec<usize> =
            self.named(&self.object(index).connection, kind, &name).iter().filter(same).copied().collect();
        (fitting == [index]).then(|| format!("{handle}/{}", name.replace('\\', "\\\\").replace('/', "\\/")))
    }

    /// The name by which a manifest can mean a live object that has none: where it means no other.
    fn plain_name(
        &self,
        kind: &Kind,
        index: usize,
        name: String,
        reference: &RefSpec,
        site: &Site<'_>,
    ) -> Option<String> {
        if is_odd(&name) || kind.spec.key.is_empty() || self.is_declared(&kind.api, &kind.name, &name) {
            return None;
        }
        let heads = kind.spec.key.split_last().map_or(&[][..], |(_, heads)| heads);
        let own_object =
            crate::value::reference(&self.object(site.from).kind.name, &Target::Id(self.object(site.from).id.clone()));
        let known = |head: &String| {
            let own = reference.complete.get(head).unwrap_or(head);
            let beside = if own == "self" { Some(&own_object) } else { site.beside.get(own) };
            reference.fixed.get(head).or_else(|| beside.filter(|value| !value.is_null()))
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

/// Whether a name would be read as something else in a manifest.
fn is_odd(name: &str) -> bool {
    name.trim() != name
        || name.chars().any(char::is_control)
        || ["ref:", "id:", "key:"].iter().any(|form| name.starts_with(form))
}

/// `Kind/` where the field may refer to one of several.
fn prefix(reference: &RefSpec, kind: &str) -> String {
    if reference.kinds.is_empty() && reference.wire_prefix.is_none() { String::new() } else { format!("{kind}/") }
}
