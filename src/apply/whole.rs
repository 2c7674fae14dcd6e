//! Updates that send all described fields: the object as it is live just then, with the declared fields laid over.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Shared,
    write::{Done, Trouble},
};
use crate::{
    description::format::FieldType,
    dialect::{self, Decoded, decode_row},
    diff::{Sides, compose, diff},
    live::{LiveObject, Remote, item_vars, qualify},
    plan::{Operation, Step},
    value::{Fields, is_empty, set_path},
};

impl Shared<'_> {
    /// A row as plumb knows objects of a step's kind: ids with those of parents before them.
    pub(super) fn decoded(&self, step: &Step, row: &Value) -> Option<Decoded> {
        let mut decoded = decode_row(&step.kind, row, &self.context.seal)?;
        self.complete(step, &mut decoded);
        Some(decoded)
    }

    /// Puts the parents' ids before local ones.
    pub(super) fn complete(&self, step: &Step, decoded: &mut Decoded) {
        let parent = self.parent_id(step);
        decoded.id = step.kind.full_id(parent.as_deref(), &decoded.id);
        qualify(&step.kind, parent.as_deref(), &mut decoded.fields);
    }

    /// The live fields of a row, with those that have a read of their own.
    pub(super) async fn all_fields(&self, remote: &Remote, step: &Step, row: &Value) -> Result<Fields, Trouble> {
        // What the list showed and the read of one object leaves out is not gone: it is kept, not lost.
        let listed = step.live.as_ref().and_then(|live| self.decoded(step, live.raw.as_ref()?));
        let mut fields = listed.map(|listed| listed.fields).unwrap_or_default();
        fields.extend(self.decoded(step, row).map(|decoded| decoded.fields).unwrap_or_default());
        let id = step.action.id.clone().unwrap_or_default();
        let live = step.live.as_ref().map(|live| &live.fields);
        let vars = item_vars(&step.kind, &id, step.parent.as_deref(), live);
        let wanted = |_: &str| true;
        let more = remote.read_by(&step.kind, &vars, &wanted, self.context.seal).await;
        fields.extend(more.map_err(|error| Trouble::known(error.to_string()))?);
        Ok(fields)
    }

    /// Whether an object is as an update is to make it: the update is then not needed any more.
    pub(super) fn is_as_declared(&self, step: &Step, fields: &Fields) -> bool {
        let desired = self.made.resolve(&step.desired);
        let sent: Fields = desired.into_iter().filter(|(name, _)| step.send.contains(name)).collect();
        let mut there = fields.clone();
        dialect::fill_omitted(&step.kind, true, &mut there);
        let sides = Sides {
            specs: step.specs(),
            desired: &sent,
            applied: step.record.as_ref().map(|(_, record)| &record.applied),
            live: Some(&there),
            ignore_drift: &[],
            prune: step.prune,
        };
        step.send.iter().all(|name| sent.contains_key(name)) && diff(sides).changes.is_empty()
    }

    /// The body of an update that sends all described fields. `row` is the object as it is now, `live` its fields.
    pub(super) fn described(&self, step: &Step, row: &Value, live: &Fields) -> Result<Fields, String> {
        let specs = step.specs();
        let update = &step.kind.spec.update;
        let mut fields = Fields::new();
        for (name, spec) in specs {
            let fixed = spec.immutable.is_some() && !update.also.contains(name);
            if fixed || spec.read_only || spec.not_sent || spec.path_only || spec.query.is_some() {
                continue;
            }
            let there = live.get(name).filter(|value| !value.is_null());
            let value = match step.desired.get(name).filter(|_| spec.immutable.is_none()) {
                Some(desired) => {
                    let raw = dialect::attribute(&step.kind, row, spec.wire_name());
                    let applied = step.record.as_ref().and_then(|(_, record)| record.applied.get(name));
                    let composed = compose(spec, update.style, desired, applied, there, raw.as_ref(), step.prune);
                    Some(composed.map_err(|error| error.to_string())?)
                }
                None => there.cloned(),
            };
            match value.filter(|value| !value.is_null()).or_else(|| spec.fill.clone()) {
                Some(value) if spec.ty == FieldType::Object && is_empty(&value) => {}
                Some(value) => {
                    fields.insert(name.clone(), value);
                }
                None if spec.required => {
                    return Err(format!(
                        "the API does not show `{name}`, and every update must send it again: declare it, or it would be lost"
                    ));
                }
                None => {}
            }
        }
        let mut attributes = self.encode(specs, &fields, false)?;
        if let Some(lock) = update.lock.as_deref().filter(|lock| *lock != "etag")
            && let Some(value) = dialect::attribute(&step.kind, row, lock)
        {
            set_path(&mut attributes, lock, value);
        }
        Ok(attributes)
    }

    /// Sends what a create does not take, by an update of the object that it made.
    pub(super) async fn follow(
        &self,
        remote: &Remote,
        step: &Step,
        done: Done,
        fields: Vec<String>,
    ) -> Result<Done, Trouble> {
        let Done::Present(decoded) = &done else { return Ok(done) };
        let live = LiveObject {
            kind: step.kind.clone(),
            connection: Arc::from(step.action.connection.as_str()),
            id: decoded.id.clone(),
            fields: decoded.fields.clone(),
            stamp: decoded.stamp.clone(),
            made: None,
            raw: None,
            parent: self.parent_id(step),
            synced: false,
            never_delete: false,
            detailed: false,
            joins: std::collections::HashMap::new(),
        };
        let mut next = Step { send: fields, live: Some(Arc::new(live)), operation: Operation::Update, ..step.clone() };
        next.parent = self.parent_id(step);
        next.action.id = Some(decoded.id.clone());
        match self.update_one(remote, &next, None).await {
            Ok(Done::Present(mut after)) => {
                // What the update's answer leaves out is as the create's said.
                let mut fields = decoded.fields.clone();
                fields.extend(std::mem::take(&mut after.fields));
                after.fields = fields;
                Ok(Done::Present(after))
            }
            // An answer without a body accepts what was sent.
            Ok(Done::Accepted) => {
                let mut after = decoded.clone();
                let sent = next.desired.iter().filter(|(name, _)| next.send.contains(name));
                after.fields.extend(sent.map(|(name, value)| (name.clone(), value.clone())));
                Ok(Done::Present(after))
            }
            Ok(_) => Ok(done),
            // It was made: the next run finds it, and goes on from there.
            Err(Trouble { message, .. }) => {
                Err(Trouble::unknown(format!("it was made, and not brought to its end: {message}")))
            }
        }
    }
}
