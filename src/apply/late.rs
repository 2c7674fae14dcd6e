//! What follows a create: fields that creates do not take, and objects that turned out to exist.

use serde_json::Value;

use super::{
    Shared,
    write::{Done, Trouble},
};
use crate::{
    description::equal,
    dialect::Decoded,
    live::Remote,
    plan::{Step, late_fields},
    value::{Fields, secret_hash, text},
};

impl Shared<'_> {
    /// Sets on each new object what its create did not take.
    pub(super) async fn complete_all(
        &self,
        remote: &Remote,
        made: Vec<(usize, Result<Done, Trouble>)>,
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        let mut out = Vec::with_capacity(made.len());
        for (index, result) in made {
            let result = match result {
                Ok(Done::Present(decoded)) if !late_fields(&self.plan.steps[index]).is_empty() => {
                    self.complete(remote, index, *decoded).await
                }
                other => other,
            };
            out.push((index, result));
        }
        out
    }

    async fn complete(&self, remote: &Remote, index: usize, made: Decoded) -> Result<Done, Trouble> {
        let step = &self.plan.steps[index];
        let late = late_fields(step);
        match self.set(remote, step, &made, late.clone()).await {
            Ok(Done::Present(decoded)) => Ok(Done::Present(decoded)),
            Ok(_) => {
                let mut made = made;
                let set = step.desired.iter().filter(|(name, _)| late.contains(name));
                made.fields.extend(set.map(|(name, value)| (name.clone(), value.clone())));
                Ok(Done::Present(Box::new(made)))
            }
            // The intent stays: the next run finds the object, knows it for plumb's own, and goes on.
            Err(trouble) => {
                let names: Vec<String> = late.iter().map(|name| format!("`{name}`")).collect();
                let message = format!("it was made, and {} could not be set: {}", names.join(", "), trouble.message);
                Err(Trouble::unknown(message))
            }
        }
    }

    /// Makes an object that was there after all as it is declared.
    pub(super) async fn bring_in_line(&self, remote: &Remote, index: usize, found: Done) -> Result<Done, Trouble> {
        let Done::Present(decoded) = found else { return Ok(found) };
        let step = &self.plan.steps[index];
        let desired = self.made.resolve(&step.desired);
        let differs = |(name, value): &(&String, &Value)| {
            let Some(spec) = step.specs().get(*name) else { return false };
            let there = decoded.fields.get(*name).cloned().unwrap_or(Value::Null);
            let there = match text(&there) {
                Some(words) if secret_hash(value).is_some() => (self.context.seal)(&words),
                _ => there,
            };
            !spec.after_create && spec.immutable.is_none() && !equal(spec, value, &there)
        };
        let send: Vec<String> = desired.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        if send.is_empty() {
            return Ok(Done::Present(decoded));
        }
        match self.set(remote, step, &decoded, send.clone()).await? {
            Done::Present(decoded) => Ok(Done::Present(decoded)),
            _ => {
                let mut decoded = decoded;
                let set: Fields = desired.into_iter().filter(|(name, _)| send.contains(name)).collect();
                decoded.fields.extend(set);
                Ok(Done::Present(decoded))
            }
        }
    }

    /// Updates some fields of an object that is just made or found.
    async fn set(&self, remote: &Remote, step: &Step, made: &Decoded, send: Vec<String>) -> Result<Done, Trouble> {
        let mut step = step.clone();
        step.live = None;
        step.record = None;
        step.action.id = Some(made.id.clone());
        step.send = send;
        self.update_one(remote, &step, None).await
    }
}
