//! Takes secrets out of what a run tells, where an API or a manifest quotes one. What is sensitive by origin is a
//! placeholder long before; this is for texts that repeat it.

use std::collections::BTreeSet;

use crate::{
    diagnostic::{Diagnostic, SourceId, Sources},
    plan::{PlanDocument, RequestInfo},
    secret::Vault,
};

fn veil(text: &mut String, vault: &Vault) {
    if let std::borrow::Cow::Owned(masked) = vault.mask(text) {
        *text = masked;
    }
}

/// Masks texts.
pub(super) fn texts<'t>(texts: impl IntoIterator<Item = &'t mut String>, vault: &Vault) {
    texts.into_iter().for_each(|text| veil(text, vault));
}

/// Masks messages and hints.
pub(super) fn diagnostics(diagnostics: &mut [Diagnostic], vault: &Vault) {
    for diagnostic in diagnostics {
        veil(&mut diagnostic.message, vault);
        diagnostic.hints.iter_mut().for_each(|hint| veil(hint, vault));
        diagnostic.related.iter_mut().for_each(|(_, why)| veil(why, vault));
    }
}

/// Masks the values of changes, and ids as an API gives them; what manifests call their own stays.
pub(super) fn document(document: &mut PlanDocument, vault: &Vault) {
    for action in &mut document.actions {
        for change in &mut action.changes {
            let sides = [&mut change.before, &mut change.after];
            sides.into_iter().flatten().for_each(|side| vault.secrets().apply_to_leaves(side));
        }
        action.id.iter_mut().for_each(|id| veil(id, vault));
        action.notes.iter_mut().for_each(|note| veil(note, vault));
        for request in &mut action.requests {
            if let RequestInfo::Call { path, .. } = request {
                veil(path, vault);
            }
        }
    }
}

/// Overwrites secrets in the texts that diagnostics point into, so that no place moves.
pub(super) fn sources(sources: &mut Sources, told: &[Diagnostic], vault: &Vault) {
    let places = told.iter().flat_map(|one| one.place.iter().chain(one.related.iter().map(|(place, _)| place)));
    let pointed: BTreeSet<SourceId> = places.map(|place| place.source).collect();
    for source in pointed {
        if let Some(text) = sources.texts.get_mut(source.0 as usize)
            && let Some(blank) = vault.secrets().overwrite(&text.text)
        {
            text.text = blank.into();
        }
    }
}
