//! Reads of single objects, where a list leaves out or cuts what a manifest declares.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    LiveObject, Standing,
    observe::{Observer, item_vars},
    remote::Remote,
    rows::{goes_back, qualify},
};
use crate::{
    description::format::FieldSpec,
    description::{
        format::Verb,
        hook::{self},
    },
    diagnostic::Diagnostic,
    dialect::{decode_row, fill_omitted},
    http::HttpError,
    manifest::{Manifest, Reconcile},
    value::{Fields, has_secret},
};

/// What reading one live object for one declared one gave: its row, where that was needed, and fields with a read of
/// their own.
type Detail = (usize, usize, Result<Option<(Option<Value>, Fields)>, HttpError>);

impl Observer<'_> {
    /// Reads object by object where a declared field is not in the list's items, or cut there.
    pub(super) async fn read_details(&mut self) {
        let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            if object.annotations.reconcile == Reconcile::Disabled {
                continue;
            }
            if let Standing::Known(Some(live)) = self.out.standing[index]
                && let Some(there) = self.out.objects.get(live)
                && (needs_detail(object, &self.out.canonical[index], there)
                    || needs_more(object, &self.out.canonical[index]))
            {
                wanted.insert(live, index);
            }
        }
        let this = &*self;
        let results: Vec<Detail> = stream::iter(wanted)
            .map(|(live, index)| async move {
                let object = &this.out.objects[live];
                let Some(remote) = this.remotes.get(&*object.connection) else { return (live, index, Ok(None)) };
                (this.tell)(&object.connection, &object.kind.name, None);
                (live, index, this.read_detail(remote, object, index).await)
            })
            .buffer_unordered(16)
            .collect()
            .await;
        let mut results = results;
        results.sort_by_key(|(live, ..)| *live);
        for (live, index, result) in results {
            match result {
                Ok(Some((row, more))) => {
                    let seal = self.seal;
                    if let Some(object) = self.out.objects.get_mut(live) {
                        if let Some(row) = row
                            && let Some(mut decoded) = decode_row(&object.kind, &row, &seal)
                        {
                            qualify(&object.kind, object.parent.as_deref(), &mut decoded.fields);
                            object.fields.extend(decoded.fields);
                            fill_omitted(&object.kind, true, &mut object.fields);
                            object.detailed = true;
                            if object.raw.is_some() || goes_back(&object.kind, &row, &self.wanted) {
                                object.raw = Some(row);
                            }
                        }
                        object.fields.extend(more);
                    }
                    let specs = self.out.refined.get(&index).cloned();
                    let hook = self.manifests.objects[index].kind.spec.hook.as_deref().and_then(hook::find);
                    if let (Some(specs), Some(hook)) = (specs, hook) {
                        self.redecode(live, hook.field(), &specs);
                    }
                }
                // It went while we looked: it is gone.
                Ok(None) => self.set(index, Standing::Known(None)),
                // Only secrets could not be read: what was applied stands in for them.
                Err(error) if error.status() == Some(403) && self.only_secrets(index, live) => {
                    if let Some(object) = self.out.objects.get_mut(live) {
                        object.detailed = true;
                    }
                }
                Err(error) => {
                    self.out.diagnostics.push(Diagnostic::from(error).about(&self.manifests.objects[index].address));
                    self.set(index, Standing::Blocked);
                }
            }
        }
        self.unreadable_secrets();
    }

    /// Reads one object, and what has a read of its own, as far as a declared one needs them.
    async fn read_detail(
        &self,
        remote: &Remote,
        object: &LiveObject,
        index: usize,
    ) -> Result<Option<(Option<Value>, Fields)>, HttpError> {
        let (declared, canonical) = (&self.manifests.objects[index], &self.out.canonical[index]);
        let vars = item_vars(&object.kind, &object.id, object.parent.as_deref(), Some(&object.fields));
        let mut row = None;
        if needs_detail(declared, canonical, object) {
            match remote.get(&object.kind, &vars, &[]).await? {
                Some((read, _)) => row = Some(read),
                None => return Ok(None),
            }
        }
        let wanted = |name: &str| canonical.contains_key(name);
        let more = remote.read_by(&object.kind, &vars, &wanted, self.seal).await?;
        Ok(Some((row, more)))
    }

    /// Whether all that an object was read for by itself is sensitive.
    fn only_secrets(&self, index: usize, live: usize) -> bool {
        let (object, there) = (&self.manifests.objects[index], &self.out.objects[live]);
        let open: Fields = self.out.canonical[index]
            .iter()
            .filter(|(name, _)| !object.kind.field(name).is_some_and(is_secret))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        !needs_detail(object, &open, there) && !needs_more(object, &open)
    }

    /// Tells of sensitive fields that the API did not show although it can: their hash stands in.
    pub(super) fn unreadable_secrets(&mut self) {
        let mut told: HashSet<(Arc<str>, String, String)> = HashSet::new();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            let Some(live) = self.out.live(index) else { continue };
            for (name, value) in &self.out.canonical[index] {
                let Some(spec) = object.kind.field(name) else { continue };
                let hidden = (has_secret(value) && spec.on_get_only && !spec.write_only) || spec.read_by.is_some();
                if hidden && live.detailed && !live.fields.contains_key(name) {
                    told.insert((live.connection.clone(), object.kind.name.clone(), name.clone()));
                }
            }
        }
        let mut told: Vec<_> = told.into_iter().collect();
        told.sort();
        for (connection, kind, field) in told {
            self.out.diagnostics.push(
                Diagnostic::warning("PL0411", format!("The credential of connection `{connection}` cannot read `{field}` of {kind} objects: changes made behind plumb's back are not seen."))
                    .hint("What plumb wrote last stands in by its keyed hash. Give the credential the right to read secrets to see drift."),
            );
        }
    }
}

/// Whether a field is secret, or what a read of its own shows may have secrets in it.
fn is_secret(field: &FieldSpec) -> bool {
    fn may_be(field: &FieldSpec) -> bool {
        field.sensitive.is_some() || field.items.as_deref().is_some_and(may_be) || field.fields.values().any(may_be)
    }
    field.always_sensitive() || (field.read_by.is_some() && may_be(field))
}

/// Whether a declared field has a read of its own.
fn needs_more(object: &Manifest, canonical: &Fields) -> bool {
    canonical.keys().any(|name| object.kind.field(name).is_some_and(|field| field.read_by.is_some()))
}

fn needs_detail(object: &Manifest, canonical: &Fields, live: &LiveObject) -> bool {
    let kind = &live.kind;
    if live.detailed || !kind.can(Verb::Get) {
        return false;
    }
    canonical.iter().any(|(name, value)| {
        let Some(spec) = object.kind.field(name) else { return false };
        if spec.write_only || spec.not_sent || spec.path_only || spec.read_by.is_some() {
            return false;
        }
        let there = live.fields.get(name);
        if (kind.spec.list.partial || spec.on_get_only) && there.is_none() {
            return true;
        }
        spec.list_cuts_at.is_some_and(|limit| {
            let length = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, |words| words.chars().count());
            let (declared, shown) = (length(Some(value)), length(there));
            shown >= limit as usize || (declared >= limit as usize && shown > 0 && shown + 3 >= limit as usize)
        })
    })
}
