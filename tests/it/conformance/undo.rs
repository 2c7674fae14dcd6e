//! Undo: every field that a run changed, and every object that it deleted or replaced, is as it was before; what cannot
//! be, because it is a secret, is told.

use plumb::{
    description::format::{FieldType, Sensitivity, Verb},
    pipeline::{self, Options, Planned, Undo},
    plan::{ActionKind, Mode},
    value::Fields,
};
use serde_json::Value;

use super::{
    Finding, Step,
    stage::{Check, Row, Stage, told},
    subject::{Case, Leaf, Meaning},
};
use crate::support::stack::lines;

/// Every field of a kind changed and set back, and the object deleted and brought back.
pub(super) async fn undo(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    for variant in case.covering() {
        let mut stage = match Stage::ready(case, &variant).await {
            Ok(stage) => stage,
            Err(wrong) => {
                out.push(Finding::new(Step::Undo, "", format!("cannot begin: {wrong}")));
                continue;
            }
        };
        for leaf in stage.leaves() {
            let is_key = case.parent.is_some() && case.kind.spec.key.contains(&leaf.field);
            let Some(other) = stage.other(&leaf).filter(|_| !is_key) else { continue };
            if !matches!(leaf.meaning(&case.kind), Meaning::Update | Meaning::Replace) {
                continue;
            }
            if let Err(wrong) = one(&mut stage, &leaf, &other).await {
                out.push(Finding::new(Step::Undo, &leaf.name(), wrong));
                match Stage::ready(case, &variant).await {
                    Ok(fresh) => stage = fresh,
                    Err(wrong) => out.push(Finding::new(Step::Undo, "", format!("cannot begin: {wrong}"))),
                }
            }
        }
        out.extend(deleted(stage).await.err().map(|wrong| Finding::new(Step::Undo, "", wrong)));
    }
    out
}

fn options(stage: &Stage) -> Options {
    Options { keep_key: true, prune: false, undo: Some(Undo::default()), ..stage.stack.options.clone() }
}

async fn planned(stage: &Stage) -> Check<Planned> {
    pipeline::plan(&options(stage), Mode::Plan).await.map_err(|failure| format!("no undo: {failure}"))
}

async fn apply(stage: &Stage, planned: Planned) -> Check {
    let applied = pipeline::apply(planned, &options(stage)).await.map_err(|failure| format!("no undo: {failure}"))?;
    let failed: Vec<String> = applied.document.actions.iter().filter_map(|action| action.error.clone()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("the undo failed: {failed:?}")) }
}

/// Whether the history has no value of a field.
fn is_withheld(leaf: &Leaf, stage: &Stage) -> bool {
    let top = stage.specs.get(&leaf.field);
    let secret = |spec: &plumb::description::format::FieldSpec| {
        spec.write_only || spec.ty == FieldType::File || spec.sensitive == Some(Sensitivity::Always)
    };
    secret(&leaf.spec) || top.is_some_and(secret)
}

async fn one(stage: &mut Stage, leaf: &Leaf, other: &Value) -> Check {
    let now = Value::Object(stage.declared().clone()).pointer(&leaf.at).cloned().unwrap_or_default();
    let before = stage.row().await?;
    stage.put(leaf, other.clone());
    stage.apply(stage.plan().await?).await?;
    let undoing = planned(stage).await?;
    let said = told(&undoing.diagnostics);
    let found = lines(&undoing.document);
    if is_withheld(leaf, stage) {
        let is_told = said.iter().any(|told| told.starts_with("PL0811"));
        // Where another manifest has the value, it is known.
        if found.is_empty() != is_told {
            return Err(format!("what is not kept is planned as {found:?}, and told is {said:?}"));
        }
    } else {
        let [action] = &undoing.document.actions[..] else {
            return Err(format!("the undo plans {found:?}, and says {said:?}"));
        };
        if action.address != stage.address() || !matches!(action.action, ActionKind::Update | ActionKind::Replace) {
            return Err(format!("the undo plans {found:?}"));
        }
        apply(stage, undoing).await?;
        let after = stage.row().await?;
        same(stage, &before, &after, Some(leaf))?;
    }
    // The manifest as it was fits what is there again.
    stage.put(leaf, now);
    if is_withheld(leaf, stage) {
        stage.apply(stage.plan().await?).await?;
    }
    stage.quiet().await
}

/// What the server keeps is what it was, but for what it owns.
fn same(stage: &Stage, before: &Row, after: &Row, leaf: Option<&Leaf>) -> Check {
    if let Some(leaf) = leaf {
        let (was, is) = (before.attributes.pointer(&leaf.kept), after.attributes.pointer(&leaf.kept));
        let none = |value: Option<&Value>| value.is_none_or(plumb::value::is_empty);
        if was != is && !(none(was) && none(is)) {
            return Err(format!("it was {was:?}, and is {is:?} after the undo"));
        }
        return Ok(());
    }
    let kind = &stage.case.kind;
    let differing: Vec<&String> = stage
        .declared()
        .keys()
        .filter(|name| {
            let Some(field) = stage.specs.get(*name) else { return false };
            let kept = !(field.write_only
                || field.sensitive.is_some()
                || field.read_only
                || field.ty == FieldType::File
                || field.path_only
                || has_sensitive(field));
            let wire = format!("/{}", field.wire_name().replace('.', "/"));
            kept && before.attributes.pointer(&wire) != after.attributes.pointer(&wire)
                && !(field.reference.is_some() && kind.inside().is_some())
        })
        .collect();
    if differing.is_empty() { Ok(()) } else { Err(format!("{differing:?} differ after the undo")) }
}

fn has_sensitive(field: &plumb::description::format::FieldSpec) -> bool {
    field.fields.values().chain(field.items.as_deref()).any(|inner| {
        inner.sensitive.is_some() || inner.ty == FieldType::File || inner.mask.is_some() || has_sensitive(inner)
    })
}

/// What a run deleted comes back, with what was inside it.
async fn deleted(mut stage: Stage) -> Check {
    let case = stage.case.clone();
    if !case.kind.can(Verb::Delete) || !case.kind.can(Verb::Create) || case.kind.spec.singleton {
        return Ok(());
    }
    let (docs, doc) = (stage.docs.clone(), stage.doc.clone());
    stage.docs[&doc].annotations.insert("plumb.dev/deletion-policy".into(), "delete".into());
    stage.write();
    stage.apply(stage.plan().await?).await?;
    let (address, before, count) = (stage.address(), stage.row().await?, stage.count());
    let declared: Fields = stage.declared().clone();
    stage.withdraw();
    stage.stack.options.prune = true;
    let planned_deletion = stage.try_plan().await?;
    if lines(&planned_deletion.document) != [format!("delete {address} (removed)")] {
        return Ok(());
    }
    stage.apply(planned_deletion).await?;
    stage.stack.sandbox.flush();
    stage.stack.options.prune = false;
    let undoing = planned(&stage).await?;
    let found = lines(&undoing.document);
    let said = told(&undoing.diagnostics);
    if !undoing.document.actions.iter().any(|action| action.address == address) {
        // What the API cannot make without a secret or a file is told.
        let needs = declared.keys().any(|name| {
            stage.specs.get(name).is_some_and(|field| {
                field.write_only || field.ty == FieldType::File || field.sensitive.is_some() || has_sensitive(field)
            })
        });
        return if needs && said.iter().any(|told| told.starts_with("PL0811")) {
            Ok(())
        } else {
            Err(format!("the undo of a deletion plans {found:?}, and says {said:?}"))
        };
    }
    apply(&stage, undoing).await?;
    stage.docs = docs;
    stage.doc = doc;
    if stage.count() != count {
        return Err(format!("there were {count} objects, and are {} after the undo", stage.count()));
    }
    let record = stage.state().await.objects.get(&address).cloned().ok_or("what is restored is not owned")?;
    let after = stage.find(&record).ok_or("what is restored is not there")?;
    same(&stage, &before, &after, None)
}
