//! Whole resources: what is live with the declared fields laid over it, and what of it is not sent back.

use serde_json::Value;

use super::{
    build::Builder,
    step::{Operation, Step},
};
use crate::{
    description::format::{FieldSpec, UpdateStyle},
    diagnostic::Diagnostic,
    dialect::{self, decode_row},
    diff::{ComposeError, Lead, astray, compose, relead, unshown},
    value::Fields,
};

/// The fields of the whole resource that a step sends, and what became of that in it which leads to other parts of it.
pub fn whole(step: &Step, seal: &dyn Fn(&str) -> Value) -> Result<(Fields, Vec<Lead>), ComposeError> {
    let kind = &step.kind;
    let live = step.live.as_ref().filter(|_| step.operation == Operation::Update);
    let raw = live.and_then(|live| live.raw.as_ref());
    let there = raw.and_then(|raw| decode_row(kind, raw, seal)).map(|decoded| decoded.fields);
    let mut fields = there.clone().unwrap_or_default();
    fields.retain(|name, value| !value.is_null() && kind.field(name).is_some_and(|field| !field.read_only));
    for (name, desired) in &step.desired {
        let Some(spec) = kind.field(name) else { continue };
        let applied = step.record.as_ref().and_then(|(_, record)| record.applied.get(name));
        let now = there.as_ref().and_then(|there| there.get(name));
        let wire = raw.and_then(|raw| dialect::attribute(kind, raw, spec.wire_name()));
        let value = compose(spec, UpdateStyle::Replace, desired, applied, now, wire.as_ref(), step.prune)?;
        fields.insert(name.clone(), value);
    }
    let leads = there.map(|there| relead(&kind.spec.fields, &step.desired, &there, &mut fields)).unwrap_or_default();
    Ok((fields, leads))
}

/// What an update may take away without anybody seeing it: values that the API never shows and the manifest leaves out.
/// Sensitive ones are looked for elsewhere before anything is sent.
pub(super) fn unshown_notes(step: &Step) -> Vec<String> {
    let mut notes = Vec::new();
    for field in step.send.iter().filter(|_| step.operation == Operation::Update) {
        let (Some(spec), Some(live)) = (step.specs().get(field), &step.live) else { continue };
        let Some(members) = step.desired.get(field).and_then(Value::as_object) else { continue };
        let raw = live.raw.as_ref().and_then(|raw| crate::dialect::attribute(&step.kind, raw, spec.wire_name()));
        for name in unshown(spec, members, raw.as_ref()) {
            if !spec.fields.get(name).is_some_and(crate::description::format::FieldSpec::always_sensitive) {
                notes.push(format!(
                    "`{field}` is sent whole, and the API shows no `{name}`: if there is one all the same, this takes it away."
                ));
            }
        }
    }
    notes
}

impl Builder<'_> {
    /// Tells what a step does to that in its object which leads to other parts of it and is not declared; whether what is
    /// declared of it leads to parts that are there.
    pub(super) fn tell_leads(&mut self, index: usize, step: &mut Step) -> bool {
        let has_leads = |spec: &FieldSpec| {
            spec.items.as_ref().is_some_and(|items| items.fields.values().any(|member| member.leads.is_some()))
        };
        let written = matches!(step.operation, Operation::Create | Operation::Update | Operation::Replace);
        if !written || step.kind.apply.is_none() || !step.kind.spec.fields.values().any(has_leads) {
            return true;
        }
        let Ok((fields, leads)) = whole(step, self.inputs.seal) else { return true };
        let lost = astray(&step.kind.spec.fields, &step.desired, &fields);
        for (path, gone) in &lost {
            let object = &self.inputs.manifests.objects[index];
            let names: Vec<String> = gone.iter().map(|gone| format!("`{gone}`")).collect();
            let message = format!(
                "`{path}` of `{}` leads to {}, and there is no such item, declared or live.",
                object.address,
                names.join(", ")
            );
            let told = Diagnostic::error("PL0118", message)
                .hint("Declare the list with an item of that `id`, or lead to one that is there.");
            self.tell(object, &format!("/{path}"), told);
        }
        if !lost.is_empty() {
            return false;
        }
        for lead in leads {
            match lead {
                Lead::Anew(path) => {
                    step.action.notes.push(format!("`{path}` is not declared: the server makes it anew."));
                }
                Lead::Without(path, gone) => {
                    let gone: Vec<String> = gone.iter().map(|gone| format!("`{gone}`")).collect();
                    step.action.notes.push(format!("`{path}` leads to {} no more.", gone.join(", ")));
                }
                Lead::Nowhere(path) => {
                    let object = &self.inputs.manifests.objects[index];
                    let message = format!(
                        "Nothing leads to `{path}` of `{}`: what there is leads to others by choice, and stays so.",
                        object.address
                    );
                    let told = Diagnostic::warning("PL0526", message);
                    self.tell(object, "", told.hint("Declare what leads to it."));
                }
            }
        }
        true
    }
}
