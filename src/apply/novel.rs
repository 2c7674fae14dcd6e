//! Whether what the answer to a create shows is new: what was there before is somebody else's, and was not made.

use std::sync::PoisonError;

use super::{
    Shared,
    write::{Done, Trouble},
};
use crate::{
    plan::{Operation, Step},
    value::text,
};

impl Shared<'_> {
    /// Refuses the answer to a create that shows an object which was listed before, or which this run made for another
    /// manifest. Where names are ids, the natural key has told that already.
    pub(super) fn is_new(&self, step: &Step, done: Done) -> Result<Done, Trouble> {
        let Done::Present(decoded) = &done else { return Ok(done) };
        let makes = matches!(step.operation, Operation::Create | Operation::Replace);
        let named = step.desired.values().any(|value| text(value).as_ref() == Some(&decoded.id));
        if !makes || step.kind.inside().is_some() || step.kind.spec.id.client.is_some() || named {
            return Ok(done);
        }
        let own = step.action.id.iter().chain(step.record.iter().map(|(_, record)| &record.id));
        if own.into_iter().any(|own| *own == decoded.id) {
            return Ok(done);
        }
        let slot = (step.action.connection.clone(), step.kind.name.clone(), decoded.id.clone());
        if self.plan.there.contains(&slot) {
            return Err(Trouble::unknown(format!(
                "the API answered the create with `{}`, which was there before: it is left alone, and whether something \
                 was made is not known",
                decoded.id
            )));
        }
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let made_for = new.entry(slot).or_insert_with(|| step.address().to_owned());
        if made_for != step.address() {
            return Err(Trouble::unknown(format!(
                "the API answered the create with `{}`, which it gave for `{made_for}` too: whether something was made is \
                 not known",
                decoded.id
            )));
        }
        drop(new);
        Ok(done)
    }
}
