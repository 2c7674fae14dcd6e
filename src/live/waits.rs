//! References to who has no name yet: a person has to act first, and what is declared of the rest goes on.

use super::{
    Standing,
    observe::{Observer, Stop},
};
use crate::{
    description::{Kind, format::RefWaits},
    diagnostic::Diagnostic,
    graph::Use,
    value::{Fields, text},
};

impl Observer<'_> {
    /// Notes that a reference waits.
    pub(super) fn wait(&mut self, index: usize, found: &Use, waits: &RefWaits) {
        self.waits.insert((index, found.pointer.clone()), waits.message.clone());
    }

    /// Whether a name that nobody has may yet be somebody's: of a live object that has none, or of one that is to be made.
    pub(super) fn somebody_comes(
        &self,
        index: usize,
        found: &Use,
        field: &str,
        waits: &RefWaits,
    ) -> Result<bool, Stop> {
        let object = &self.manifests.objects[index];
        let nameless = |live: &super::LiveObject| {
            *live.connection == *object.connection
                && live.kind.name == found.kind
                && live.fields.get(field).and_then(text).is_none()
        };
        if self.out.objects.iter().any(nameless) {
            return Ok(true);
        }
        for (other, standing) in self.manifests.objects.iter().zip(&self.out.standing) {
            if other.kind.name != waits.kind || other.connection != object.connection {
                continue;
            }
            match standing {
                Standing::Known(None) => return Ok(true),
                Standing::Waiting => return Err(Stop::Wait),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Leaves fields that wait as they are live, and says so; what cannot be made without one waits as a whole.
    pub(super) fn put_off(
        &mut self,
        index: usize,
        kind: &Kind,
        known: Option<usize>,
        canonical: &mut Fields,
    ) -> Result<(), Stop> {
        let of = (index, String::new())..(index + 1, String::new());
        let waiting: Vec<(String, String)> =
            self.waits.range(of).map(|((_, pointer), why)| (pointer.clone(), why.clone())).collect();
        for (pointer, why) in waiting {
            let name = pointer.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
            let object = &self.manifests.objects[index];
            let live = known.and_then(|live| self.out.objects.get(live));
            let whole = live.is_none() && kind.field(&name).is_some_and(|field| field.required);
            let what = if whole { "It".to_owned() } else { format!("`{name}`") };
            let told = Diagnostic::warning("PL0531", format!("{what} waits: {why}"))
                .at(crate::manifest::locate(self.sources, object.document, &format!("{}{pointer}", object.pointer)))
                .about(&object.address);
            if whole {
                return Err(Stop::Fail(vec![told]));
            }
            match live.map(|live| live.fields.get(&name).cloned()) {
                Some(Some(there)) => canonical.insert(name, there),
                _ => canonical.shift_remove(&name),
            };
            self.out.diagnostics.push(told);
        }
        Ok(())
    }
}
