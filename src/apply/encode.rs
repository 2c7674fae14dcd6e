//! Steps → wire attributes: only what differs, or the whole where the API replaces.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Shared,
    carry::{carry, together},
};
use crate::{
    description::{
        Kind, Specs, equal,
        format::{FieldType, UpdateStyle},
        hook,
    },
    dialect::{self, Encoder, encode_fields},
    diff::compose,
    live::LiveObject,
    plan::{Operation, Step},
    value::{Fields, Target, as_reference, get_path, set_path, text},
};

impl Shared<'_> {
    /// Attributes of a create.
    pub(super) fn create_attributes(&self, step: &Step) -> Result<Fields, String> {
        let specs = self.specs(step);
        let mut fields = Fields::new();
        for (name, value) in &step.desired {
            // A null that nothing is there to clear is not sent.
            let later = step.kind.field(name).is_some_and(|spec| spec.update_only);
            if value.is_null() || later || in_path(&step.kind, name) {
                continue;
            }
            // The object that the entry hangs on says it.
            if step.kind.inside().and_then(|inside| inside.through.as_ref()).is_some_and(|by| by.field == *name) {
                continue;
            }
            fields.insert(name.clone(), value.clone());
        }
        let mut attributes = self.encode(&specs, &fields, true)?;
        self.add_parent(step, &mut attributes)?;
        self.add_caller(step, &mut attributes)?;
        for (name, value) in &step.kind.spec.create.body {
            if !attributes.contains_key(name) {
                attributes.insert(name.clone(), value.clone());
            }
        }
        Ok(attributes)
    }

    /// Objects of the caller's own name the caller.
    fn add_caller(&self, step: &Step, attributes: &mut Fields) -> Result<(), String> {
        let Some(mine) = step.kind.spec.mine.as_ref().filter(|mine| mine.sent) else { return Ok(()) };
        let caller = self.remote(&step.action.connection).and_then(|remote| remote.caller.as_deref());
        let value = caller
            .and_then(|caller| get_path(caller, &mine.caller))
            .filter(|value| !value.is_null())
            .ok_or_else(|| format!("the API does not say whose the credential is (`{}`)", mine.caller))?;
        set_path(attributes, &mine.wire, value.clone());
        Ok(())
    }

    /// Attributes of an update: the fields that differ, each as the API wants it.
    pub(super) fn update_attributes(&self, step: &Step) -> Result<Fields, String> {
        let specs = self.specs(step);
        let style = step.kind.spec.update.style;
        let mut fields = Fields::new();
        // What the server would move with these is declared otherwise: it goes along.
        let moved = |name: &&String| {
            let by = specs.get(*name).map(|spec| &spec.moved_by);
            !step.send.contains(name) && by.is_some_and(|by| by.iter().any(|field| step.send.contains(field)))
        };
        for name in step.send.iter().chain(step.desired.keys().filter(moved)) {
            let Some(spec) = specs.get(name) else { continue };
            let desired = step.desired.get(name).cloned().unwrap_or(Value::Null);
            let live = step.live.as_ref();
            let raw = live
                .and_then(|live| live.raw.as_ref())
                .and_then(|raw| dialect::attribute(&step.kind, raw, spec.wire_name()));
            let applied = step.record.as_ref().and_then(|(_, record)| record.applied.get(name));
            let there = live.and_then(|live| live.fields.get(name));
            let mut value = compose(spec, style, &desired, applied, there, raw.as_ref(), step.prune)
                .map_err(|error| error.to_string())?;
            if style == UpdateStyle::MergePatch && spec.ty == FieldType::Object {
                value = only_changed(spec, &value, there);
            }
            fields.insert(name.clone(), value);
        }
        for (name, value) in together(step, &fields) {
            fields.insert(name.clone(), value.clone());
        }
        let mut attributes = self.encode(&specs, &fields, false)?;
        if let Some(row) = step.live.as_ref().and_then(|live| live.raw.as_ref()) {
            carry(&step.kind, style, &mut attributes, fields.keys().filter_map(|name| specs.get(name)), row);
        }
        if let Some(lock) = step.kind.spec.update.lock.as_deref().filter(|lock| *lock != "etag")
            && let Some(value) =
                step.live.as_ref().and_then(|live| dialect::attribute(&step.kind, live.raw.as_ref()?, lock))
        {
            set_path(&mut attributes, lock, value);
        }
        Ok(attributes)
    }

    /// What an update sends without another look at the object: all of it where the API replaces.
    pub(super) fn known_attributes(&self, step: &Step) -> Result<Fields, String> {
        match step.live.as_ref().and_then(|live| live.raw.as_ref()) {
            Some(row) if step.kind.spec.update.style == UpdateStyle::Replace => self.whole(step, row),
            _ => self.update_attributes(step),
        }
    }

    /// The whole object for an API that replaces: the live row with the declared fields laid over.
    pub(super) fn whole(&self, step: &Step, row: &Value) -> Result<Fields, String> {
        let mut out = row.as_object().cloned().unwrap_or_default();
        for spec in step.kind.spec.fields.values().filter(|spec| spec.read_only) {
            if !spec.wire_name().contains('.') && step.kind.spec.update.lock.as_deref() != Some(spec.wire_name()) {
                out.shift_remove(spec.wire_name());
            }
        }
        for path in &step.kind.spec.id.path {
            out.shift_remove(path);
        }
        for name in step.kind.spec.ignored.keys() {
            if step.kind.spec.update.lock.as_deref() != Some(name) {
                out.shift_remove(name);
            }
        }
        // The object as it is now, wherever the list was read before.
        let live = step.live.as_ref().map(|live| {
            let mut fields = live.fields.clone();
            fields.extend(self.decoded(step, row).map(|decoded| decoded.fields).unwrap_or_default());
            Arc::new(LiveObject { fields, raw: Some(row.clone()), ..(**live).clone() })
        });
        let send = step.desired.keys().cloned().collect();
        for (name, value) in self.update_attributes(&Step { send, live, ..step.clone() })? {
            set_path(&mut out, &name, value);
        }
        Ok(out)
    }

    /// The query parameters that a create takes fields by.
    pub(super) fn create_query(&self, step: &Step) -> Vec<(String, String)> {
        let kind = &step.kind;
        let mut out: Vec<(String, String)> =
            kind.spec.create.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, spec) in &kind.spec.fields {
            let (Some(query), Some(value)) = (&spec.query, step.desired.get(name).filter(|value| !value.is_null()))
            else {
                continue;
            };
            let one: Fields = [(name.clone(), value.clone())].into_iter().collect();
            let plain = crate::description::format::FieldSpec { query: None, ..spec.clone() };
            let specs: Specs = [(name.clone(), plain)].into_iter().collect();
            let encoded = self.encode(&specs, &one, true).ok();
            let sent =
                encoded.and_then(|fields| text(&dialect::attribute(kind, &Value::Object(fields), spec.wire_name())?));
            out.extend(sent.map(|sent| (query.clone(), sent)));
        }
        out
    }

    pub(super) fn encode(&self, specs: &Specs, fields: &Fields, creating: bool) -> Result<Fields, String> {
        let encoder =
            Encoder { id: &|address| self.made.id(address), open: self.context.open, read: self.context.read };
        encode_fields(specs, fields, creating, &encoder).map_err(|error| error.to_string())
    }

    /// The flat route of an entry names the parent in the body.
    fn add_parent(&self, step: &Step, attributes: &mut Fields) -> Result<(), String> {
        if let Some(through) = step.kind.inside().and_then(|inside| inside.through.as_ref()) {
            let id = self.joined(step).ok_or_else(|| format!("its {} is not known", through.kind))?;
            set_path(attributes, &through.wire, id.parse::<u64>().map_or(Value::String(id), Value::from));
            return Ok(());
        }
        let Some(wire) = step.kind.inside().and_then(|inside| inside.parent_wire.as_deref()) else { return Ok(()) };
        let path = step.kind.spec.create.path.as_deref().unwrap_or(&step.kind.spec.path);
        if step.embedded || path.contains("{parent}") {
            return Ok(());
        }
        let id = match &step.parent_new {
            Some(address) => self.made.id(address).ok_or_else(|| format!("`{address}` does not exist yet"))?,
            None => step.parent.clone().unwrap_or_default(),
        };
        set_path(attributes, wire, id.parse::<u64>().map_or(Value::String(id), Value::from));
        Ok(())
    }

    /// Types of a step's fields; what a hook typed from definitions that this run made goes by their real attributes.
    fn specs(&self, step: &Step) -> Specs {
        let mut specs = step.specs().clone();
        let Some(hook) = step.kind.spec.hook.as_deref().and_then(hook::find) else { return specs };
        let (source, child) = hook.source();
        let Some((_, target)) = step.desired.get(source).and_then(as_reference) else { return specs };
        let Some(refined) = specs.get_mut(hook.field()) else { return specs };
        let parent = match target {
            Target::New(parent) | Target::Id(parent) => parent,
            Target::Field(..) => return specs,
        };
        for other in self.entries_of.get(&parent).into_iter().flatten().map(|index| &self.plan.steps[*index]) {
            if other.kind.name != child || !matches!(other.operation, Operation::Create | Operation::Update) {
                continue;
            }
            if let Some(fields) = self.made.fields(other.address()) {
                hook.correct(refined, &fields);
            }
        }
        specs
    }
}

/// Whether a field is a part of the create's path, and so not of its body.
fn in_path(kind: &Kind, name: &str) -> bool {
    let path = kind.spec.create.path.as_deref().unwrap_or(&kind.spec.path);
    path.contains(&format!("{{{name}}}"))
}

/// Only the members that differ from what is live.
fn only_changed(spec: &crate::description::format::FieldSpec, value: &Value, live: Option<&Value>) -> Value {
    let (Value::Object(members), Some(Value::Object(there))) = (value, live) else { return value.clone() };
    let null = Value::Null;
    Value::Object(
        members
            .iter()
            .filter(|(name, value)| {
                let free = crate::description::format::FieldSpec { ty: FieldType::Any, ..Default::default() };
                let member = spec.fields.get(*name).unwrap_or(&free);
                !equal(member, value, there.get(*name).unwrap_or(&null))
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// The value that makes a change in between be refused, from a row.
pub(super) fn lock_value(kind: &Kind, row: &Value) -> Option<String> {
    let lock = kind.spec.update.lock.as_deref().filter(|lock| *lock != "etag")?;
    text(&dialect::attribute(kind, row, lock)?)
}
