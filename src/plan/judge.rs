//! What speaks against a step, or holds it up: rules of the API that are known before anything is sent.

use serde_json::Value;

use super::build::{Builder, Mode};
use crate::{
    description::{
        Kind, Specs,
        format::{Adoption, FieldType, Immutable},
    },
    diagnostic::Diagnostic,
    diff::{Difference, Differences},
    graph::Meaning,
    inventory::Record,
    live::{Found, LiveObject},
    manifest::{DeletionPolicy, Manifest},
    value::{Fields, Target, as_reference},
};

impl Builder<'_> {
    /// Leaves files alone that were there before plumb and cannot be changed in place: they may be another content of
    /// the same thing. `adopted` says whether an owned object was adopted; nothing where it is not owned yet.
    pub(super) fn keep_files(
        &mut self,
        object: &Manifest,
        specs: &Specs,
        differences: &mut Differences,
        adopted: Option<bool>,
    ) {
        if adopted == Some(false) {
            return;
        }
        let is_kept = |change: &Difference| {
            let file = specs.get(&change.field).is_some_and(|spec| spec.ty == FieldType::File && spec.replaces());
            file && (adopted.is_none() || change.unchanged_manifest)
        };
        let (kept, changes) = std::mem::take(&mut differences.changes).into_iter().partition(is_kept);
        differences.changes = changes;
        let kept: Vec<Difference> = kept;
        for change in kept {
            let message = format!(
                "The live `{}` of `{}` is another file than the declared one. It was there before plumb, and is kept.",
                change.path, object.address
            );
            let told = if adopted.is_none() {
                Diagnostic::warning("PL0519", message)
            } else {
                Diagnostic::note("PL0519", message)
            };
            self.tell(
                object,
                &change.path,
                told.hint("Delete the live one by hand to have the declared one uploaded."),
            );
        }
    }

    /// Whether a manifest may take a live object over that nothing owns; tells why not.
    pub(super) fn may_adopt(&mut self, index: usize, object: &Manifest, live: &LiveObject) -> bool {
        let kind = &object.kind;
        let named = self.inputs.observed.found[index] == Some(Found::ExternalId);
        let ways = match kind.spec.adopt {
            Adoption::ByKey => return true,
            Adoption::ById if named => return true,
            Adoption::ById => format!("Add the annotation `plumb.dev/external-id: \"{}\"` if it is meant.", live.id),
            Adoption::Never => format!("`plumb import {} {}` takes it over.", object.address, live.id),
        };
        let message =
            format!("There is a live {} like it, `{}`, and such objects are not adopted.", kind.name, live.id);
        self.tell(object, "", Diagnostic::error("PL0524", message).hint(ways));
        false
    }

    /// Changes that the API would refuse, told before anything is sent.
    pub(super) fn refused(&mut self, object: &Manifest, live: &LiveObject, changes: &[Difference]) -> bool {
        let kind = &object.kind;
        let mut refused = false;
        let parent = object.parent.and_then(|parent| self.inputs.observed.live(parent));
        if live.synced
            && let Some(synced) = &kind.spec.synced
            && (!synced.with_parent || parent.is_some_and(|parent| parent.synced))
        {
            let by = synced.by.as_deref().unwrap_or("another system");
            for change in changes.iter().filter(|change| synced.refuses(&change.field)) {
                let mut told = Diagnostic::error(
                    "PL0511",
                    format!(
                        "The live {} `{}` is synchronised by {by}: the API refuses a change of `{}`.",
                        kind.name, live.id, change.path
                    ),
                );
                told = if synced.allow.is_empty() {
                    told.hint("Change it there, or leave the field out here.")
                } else {
                    told.hint(format!("Only {} can be changed here.", synced.allow.join(", ")))
                };
                self.tell(object, &change.path, told);
                refused = true;
            }
        }
        for change in changes.iter().filter(|change| change.immutable == Some(Immutable::Refuse)) {
            let told = Diagnostic::error(
                "PL0515",
                format!("`{}` cannot be changed once the {} exists.", change.path, kind.name),
            )
            .hint("Declare it as it is live, or give the object another name to make a new one.");
            self.tell(object, &change.path, told);
            refused = true;
        }
        for change in changes {
            let Some((keeps, target)) = self.unkept(object, live, change) else { continue };
            let told = Diagnostic::error(
                "PL0529",
                format!(
                    "`{}` of the live {} `{}` can be changed only to a {target} with the same `{keeps}`.",
                    change.path, kind.name, live.id
                ),
            )
            .hint("Name another one, or give the object another name to make a new one.");
            self.tell(object, &change.path, told);
            refused = true;
        }
        refused
    }

    /// Refuses to make an object anew whose live one would not be deleted if its manifest went.
    pub(super) fn keep_from_replacing(&mut self, object: &Manifest, record: Option<&Record>, path: &str) {
        // A policy that was applied is not lifted by leaving it out; an annotation says otherwise beforehand.
        let kept = record.and_then(|record| record.deletion_policy).filter(|policy| *policy != DeletionPolicy::Delete);
        let why = match object.annotations.deletion_policy.or(kept) {
            Some(DeletionPolicy::Delete) => return,
            Some(DeletionPolicy::Retain) => Some("its deletion policy is `retain`".to_owned()),
            Some(DeletionPolicy::Archive) => Some("its deletion policy is `archive`".to_owned()),
            None => {
                // An entry has no annotations of its own, and holds nothing but what is declared.
                let adopted = record.is_some_and(|record| record.adopted) && object.address.entry.is_none();
                object.kind.spared(adopted)
            }
        };
        let Some(why) = why else { return };
        let told = Diagnostic::refusal(
            "PL0615",
            format!("`{}` would be deleted and made anew, and is not to be deleted: {why}.", object.address),
        )
        .hint(
            "Undo the change; or add the annotation `plumb.dev/deletion-policy: delete` if the live one, and what is \
             in it, may go.",
        );
        self.tell(object, path, told);
    }

    /// What a changed reference has to keep and does not: the field, and the kind of the target.
    fn unkept(&self, object: &Manifest, live: &LiveObject, change: &Difference) -> Option<(String, String)> {
        let reference = object.kind.field(&change.field)?.reference.as_ref()?;
        let keeps = reference.keeps.as_ref()?;
        let value = |side: &Value| {
            let (kind, Target::Id(id)) = as_reference(side)? else { return None };
            let target = self.inputs.observed.by_id(&live.connection, kind, &id)?;
            target.fields.get(keeps).filter(|value| !value.is_null()).cloned()
        };
        let (now, then) = (value(live.fields.get(&change.field)?)?, value(change.after.as_ref()?)?);
        (now != then).then(|| (keeps.clone(), reference.kind.clone().unwrap_or_default()))
    }

    /// Changes that do more than they say, and that the manifest does not allow.
    pub(super) fn unallowed(&mut self, object: &Manifest, specs: &Specs, changes: &[Difference]) {
        for change in changes {
            let Some(consent) = specs.get(&change.field).and_then(|spec| spec.consent.as_ref()) else { continue };
            if !object.annotations.allow.contains(&consent.word) {
                let told = Diagnostic::refusal("PL0613", format!("{} `{}`.", consent.message, object.address))
                    .hint(format!("If that is what you want, add the annotation `plumb.dev/allow: {}`.", consent.word));
                self.tell(object, &change.path, told);
            }
        }
    }

    /// Address of the declared object that brings this one along, where this run makes it or changes it.
    pub(super) fn appears(&self, index: usize, object: &Manifest) -> Option<String> {
        let through = format!("/{}", object.kind.spec.appears.as_ref()?.through);
        let uses = self.inputs.graph.uses.get(index)?;
        let source = uses.iter().find(|found| found.pointer == through)?;
        let Meaning::Declared(source) = source.target else { return None };
        self.step_of.contains_key(&source).then(|| self.inputs.manifests.objects[source].address.to_string())
    }

    /// Whether an object waits for a person: it is listed until that person acts.
    pub(super) fn pends(&self, kind: &Kind, fields: &Fields) -> bool {
        let pending = kind.spec.pending.as_ref().filter(|_| self.inputs.mode == Mode::Plan);
        pending.is_some_and(|pending| crate::diff::holds(&kind.spec.fields, &pending.when, &Fields::new(), fields))
    }

    /// The field of entries that the object cannot be made without, and has none of.
    pub(super) fn lacks_entry(&self, index: usize, object: &Manifest) -> Option<(String, String)> {
        let manifests = self.inputs.manifests;
        let api = manifests.catalog.api(&object.kind.api)?;
        // Entries follow their parent.
        let own = || manifests.objects.iter().skip(index + 1).take_while(|other| other.parent == Some(index));
        api.children(&object.kind.name)
            .filter(|child| child.inside().is_some_and(|inside| inside.embed_required))
            .find(|child| !own().any(|entry| entry.kind == **child))
            .and_then(|child| Some((child.inside()?.field.clone(), child.name.clone())))
    }
}
