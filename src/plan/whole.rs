//! Whole resources: what is live with the declared fields laid over it, and what of it is not sent back.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    build::Builder,
    step::{Operation, Step},
};
use crate::{
    description::{
        format::{FieldSpec, UpdateStyle},
        hook,
    },
    diagnostic::Diagnostic,
    dialect::{self, decode_row},
    diff::{ComposeError, Lead, Whole, astray, compose, hidden_losses, relead, unshown},
    live::LiveObject,
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
    let looked_after = looked_after(step);
    for field in
        step.send.iter().filter(|field| step.operation == Operation::Update && looked_after == Some(field.as_str()))
    {
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

/// The first field that an update cannot send whole, and why.
fn uncomposed<'s>(step: &'s Step, live: &LiveObject) -> Option<(&'s str, ComposeError)> {
    step.send.iter().find_map(|field| {
        let spec = step.specs().get(field)?;
        let raw = live.raw.as_ref().and_then(|raw| dialect::attribute(&step.kind, raw, spec.wire_name()));
        let desired = step.desired.get(field).cloned().unwrap_or(Value::Null);
        let applied = step.record.as_ref().and_then(|(_, record)| record.applied.get(field));
        let style = step.kind.spec.update.style;
        let there = live.fields.get(field);
        let error = compose(spec, style, &desired, applied, there, raw.as_ref(), step.prune).err()?;
        Some((field.as_str(), error))
    })
}

/// The field whose hidden values are looked for elsewhere.
fn looked_after(step: &Step) -> Option<&'static str> {
    let hook = step.kind.spec.hook.as_deref().and_then(hook::find)?;
    hook.hidden().map(|_| hook.field())
}

impl Builder<'_> {
    /// Whether an update would take away what the API never shows, which is told.
    pub(super) fn would_lose(&mut self, index: usize, step: &mut Step) -> bool {
        let Some(live) = step.live.clone().filter(|_| step.operation == Operation::Update) else { return false };
        if let Some((field, error)) = uncomposed(step, &live) {
            let object = &self.inputs.manifests.objects[index];
            let told = Diagnostic::error("PL0516", format!("`{}` cannot be updated safely: {error}.", object.address));
            self.tell(object, &format!("/{field}"), told);
            return true;
        }
        let record = step.record.as_ref().map(|(_, record)| record);
        let style = if step.kind.apply.is_some() { UpdateStyle::Replace } else { step.kind.spec.update.style };
        let losses = hidden_losses(&Whole {
            specs: step.specs(),
            style,
            send: &step.send,
            desired: &step.desired,
            applied: record.map(|record| &record.applied),
            once: record.map(|record| &record.unshown[..]).unwrap_or_default(),
            made: record.is_some_and(|record| !record.adopted) || step.ours,
            live: &live.fields,
            raw: &|wire| live.raw.as_ref().and_then(|raw| dialect::attribute(&step.kind, raw, wire)),
            except: looked_after(step),
        });
        let named = |refused: bool| {
            let paths = losses.iter().filter(|loss| loss.refused == refused);
            paths.map(|loss| format!("`{}`", loss.path.trim_start_matches('/'))).collect::<Vec<_>>()
        };
        let (refused, doubtful) = (named(true), named(false));
        if refused.is_empty() {
            step.action.notes.extend(doubtful.iter().map(|path| {
                format!("The API shows no {path}, and the update leaves it out: if there is one all the same, this takes it away.")
            }));
            return false;
        }
        let object = &self.inputs.manifests.objects[index];
        let (shown, more) = (refused.len().min(5), refused.len().saturating_sub(5));
        let mut paths = refused[..shown].join(", ");
        if more > 0 {
            let _ = write!(paths, " and {more} more");
        }
        let message = format!(
            "`{}` cannot be updated safely: the API replaces what {paths} is in, does not show what it has there, and would \
             lose it.",
            object.address
        );
        let hint = "Declare it, so that it is sent along; or write `null` there if there is none, or if it is to go. For a \
                    described API, `null` needs `nullable: true`, and `keptIfOmitted: true` says that the server keeps what \
                    an update leaves out.";
        self.tell(object, "", Diagnostic::error("PL0516", message).hint(hint));
        true
    }

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
