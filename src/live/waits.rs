//! References to who has no name yet, and what cannot be made before somebody is ready: a person has to act first, and what
//! is declared of the rest goes on.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    Standing,
    observe::{Observer, Stop},
};
use crate::{
    description::{
        Kind,
        format::{RefWaits, Waits},
        holds,
    },
    diagnostic::Diagnostic,
    graph::Use,
    value::{Fields, Target, as_reference, text},
};

/// The objects of one scope that others wait for while they are not ready, by what they are known by.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Fields and values of those that are not ready.
    waiting: HashSet<(String, String)>,
    /// Fields and values of the others.
    ready: HashSet<(String, String)>,
    /// Fields that some which are not ready have no value of yet.
    unknown: HashSet<String>,
}

impl Expected {
    fn note(&mut self, waits: &Waits, kind: &Kind, fields: &Fields) {
        let waiting = holds(&kind.spec.fields, &waits.condition, &Fields::new(), fields);
        for theirs in waits.by.values() {
            match fields.get(theirs).and_then(text).filter(|words| !words.is_empty()) {
                Some(words) if waiting => self.waiting.insert((theirs.clone(), words.to_lowercase())),
                Some(words) => self.ready.insert((theirs.clone(), words.to_lowercase())),
                None if waiting => self.unknown.insert(theirs.clone()),
                None => false,
            };
        }
    }

    /// Whether it is, or may be, one of those that are not ready.
    fn has(&self, waits: &Waits, desired: &Fields) -> bool {
        waits.by.iter().any(|(own, theirs)| {
            let Some(words) = desired.get(own).and_then(spoken) else { return false };
            let named = (theirs.clone(), words);
            self.waiting.contains(&named) || (self.unknown.contains(theirs) && !self.ready.contains(&named))
        })
    }
}

/// The words that a value names somebody by.
fn spoken(value: &Value) -> Option<String> {
    let words = match as_reference(value) {
        Some((_, Target::Field(_, words))) => Some(words),
        Some(_) => None,
        None => text(value),
    };
    words.map(|words| words.to_lowercase())
}

/// Whether something waits for one of these rows, which are of the same scope.
pub fn is_waited_for<'f>(waits: &Waits, kind: &Kind, rows: impl Iterator<Item = &'f Fields>, desired: &Fields) -> bool {
    let mut expected = Expected::default();
    rows.for_each(|fields| expected.note(waits, kind, fields));
    expected.has(waits, desired)
}

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

    /// Who has to do what before an object can be made, where it names somebody who is not ready: known from what is live,
    /// so that no call is made that can only be refused.
    pub(super) fn waits_for(
        &mut self,
        index: usize,
        waits: &Waits,
        canonical: &Fields,
    ) -> Result<Option<String>, Stop> {
        let object = &self.manifests.objects[index];
        let connection = self.connection(&object.connection);
        let remote = self.remotes.get(&object.connection);
        let Some(kind) = remote.and_then(|remote| remote.api.kind(&waits.kind)).cloned() else { return Ok(None) };
        let scope = match self.scopes[object.parent.unwrap_or(index)].as_ref().and_then(as_reference) {
            Some((_, Target::Id(id))) => id,
            _ if kind.spec.scope.is_some() => return Ok(None),
            _ => String::new(),
        };
        self.kind_read(&connection, &kind, kind.spec.scope.as_ref().map(|_| &*scope))?;
        let slot = (connection.clone(), kind.name.clone(), scope.clone());
        if !self.expected.contains_key(&slot) {
            let mut expected = Expected::default();
            let scoped = kind.spec.scope.is_some();
            for live in &self.out.objects {
                let same = live.connection == connection && live.kind == kind;
                if same && (!scoped || live.parent.as_deref() == Some(&*scope)) {
                    expected.note(waits, &kind, &live.fields);
                }
            }
            self.expected.insert(slot.clone(), expected);
        }
        let waiting = self.expected.get(&slot).is_some_and(|expected| expected.has(waits, canonical));
        Ok(waiting.then(|| waits.message.clone()))
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
