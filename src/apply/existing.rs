//! Creates of what turned out to exist: it is brought in line.

use serde_json::Value;

use super::{
    Shared,
    write::{Done, Trouble},
};
use crate::{
    description::equal,
    dialect::Decoded,
    live::Remote,
    plan::Step,
    value::{Fields, secret_hash, text},
};

impl Shared<'_> {
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
            !spec.update_only && spec.immutable.is_none() && !equal(spec, value, &there)
        };
        let send: Vec<String> = desired.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        if send.is_empty() {
            return Ok(Done::Present(decoded));
        }
        let done = self.set(remote, step, &decoded, send.clone()).await?;
        if matches!(done, Done::Present(_)) {
            return Ok(done);
        }
        let mut decoded = decoded;
        let set: Fields = desired.into_iter().filter(|(name, _)| send.contains(name)).collect();
        decoded.fields.extend(set);
        Ok(Done::Present(decoded))
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
