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
};
use crate::{
    description::format::FieldSpec,
    description::{
        format::Verb,
        hook::{self},
    },
    diagnostic::Diagnostic,
    dialect::decode_row,
    http::HttpError,
    manifest::{Manifest, Reconcile},
    value::{Fields, secret_hash, value_from},
};

/// What reading one live object for one declared one gave.
type Detail = (usize, usize, Result<Option<(Value, Vec<Value>)>, HttpError>);

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
                && needs_detail(object, &self.out.canonical[index], there)
            {
                wanted.insert(live, index);
            }
        }
        let this = &*self;
        let results: Vec<Detail> = stream::iter(wanted)
            .map(|(live, index)| async move {
                let object = &this.out.objects[live];
                let Some(remote) = this.remotes.get(&*object.connection) else { return (live, index, Ok(None)) };
                (this.tell)(&object.connection, &object.kind.name);
                let vars = item_vars(&object.kind, &object.id, object.parent.as_deref(), Some(&object.fields));
                (live, index, remote.get(&object.kind, &vars, &[]).await)
            })
            .buffer_unordered(16)
            .collect()
            .await;
        let mut results = results;
        results.sort_by_key(|(live, ..)| *live);
        for (live, index, result) in results {
            match result {
                Ok(Some((row, _))) => {
                    let seal = self.seal;
                    if let Some(object) = self.out.objects.get_mut(live)
                        && let Some(decoded) = decode_row(&object.kind, &row, &seal)
                    {
                        object.fields.extend(decoded.fields);
                        object.detailed = true;
                        if object.raw.is_some() {
                            object.raw = Some(row);
                        }
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

    /// Whether all that an object was read for by itself is sensitive.
    fn only_secrets(&self, index: usize, live: usize) -> bool {
        let (object, there) = (&self.manifests.objects[index], &self.out.objects[live]);
        let open: Fields = self.out.canonical[index]
            .iter()
            .filter(|(name, _)| !object.kind.field(name).is_some_and(FieldSpec::always_sensitive))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        !needs_detail(object, &open, there)
    }

    /// Tells of sensitive fields that the API did not show although it can: their hash stands in.
    pub(super) fn unreadable_secrets(&mut self) {
        let mut told: HashSet<(Arc<str>, String, String)> = HashSet::new();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            let Some(live) = self.out.live(index) else { continue };
            for (name, value) in &self.out.canonical[index] {
                let Some(spec) = object.kind.field(name) else { continue };
                if (secret_hash(value).is_some() || value_from(value).is_some())
                    && spec.on_get_only
                    && !spec.write_only
                    && live.detailed
                    && !live.fields.contains_key(name)
                {
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

fn needs_detail(object: &Manifest, canonical: &Fields, live: &LiveObject) -> bool {
    let kind = &live.kind;
    if live.detailed || !kind.can(Verb::Get) {
        return false;
    }
    canonical.iter().any(|(name, value)| {
        let Some(spec) = object.kind.field(name) else { return false };
        if spec.write_only || spec.not_sent {
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
