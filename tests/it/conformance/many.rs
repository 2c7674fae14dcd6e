//! Several objects of a kind at once: bulk calls where the API has them, their parts alone where one is refused, and
//! nothing twice where an answer is lost.

use plumb::{
    description::format::{Bulk, BulkSpec, FieldSpec, FieldType},
    pipeline,
    plan::{ActionKind, Outcome, RequestInfo},
    value::Fields,
};

use super::{
    Finding, Step,
    stage::{Check, Stage},
    subject::{Case, Leaf, Meaning},
    world::{MANY, Tag, World},
};
use crate::support::stack::lines;

/// Creates, updates and deletes many objects of a kind.
pub(super) async fn many(case: &Case) -> Vec<Finding> {
    let bulk = &bulk_of(case);
    let mut out = Vec::new();
    if case.kind.spec.singleton {
        return out;
    }
    let mut note = |what: &str, result: Check| {
        out.extend(result.err().map(|wrong| Finding::new(Step::Many, "", format!("{what}: {wrong}"))));
    };
    note("plain", plain(case).await);
    if bulk.create.is_some() {
        note("lost create", troubled(case, "lost", ActionKind::Create).await);
        note("refused create", troubled(case, "422", ActionKind::Create).await);
    }
    if bulk.update.is_some() {
        note("lost update", troubled(case, "lost", ActionKind::Update).await);
        note("refused update", troubled(case, "422", ActionKind::Update).await);
    }
    if bulk.delete.is_some() {
        note("lost delete", troubled(case, "lost", ActionKind::Delete).await);
        note("refused delete", troubled(case, "422", ActionKind::Delete).await);
    }
    out
}

/// A stage without the objects, and these.
async fn set(case: &Case) -> Check<(Stage, Vec<Fields>)> {
    let variant = case.forms().into_iter().next().unwrap_or_default();
    let mut stage = Stage::set(case, &variant, 0).await;
    let mut world = World::new(&case.api, &stage.stack.sandbox);
    world.docs = stage.docs.clone();
    let mut specs: Vec<Fields> = Vec::new();
    for (number, tag) in MANY.iter().enumerate() {
        let mut spec = world.needed(&case.kind, *tag, &variant);
        // Entries that are told apart by what they refer to refer to different objects.
        let mut known = true;
        for name in case.kind.spec.key.iter().filter(|_| case.parent.is_some()) {
            let field = case.kind.field(name).unwrap();
            if field.reference.is_some() {
                let value = world.sample(field, name, *tag, number);
                known &= value.is_some();
                spec.extend(value.map(|value| (name.clone(), value)));
            }
        }
        if known {
            specs.push(spec);
        }
    }
    stage.docs = std::mem::take(&mut world.docs);
    let docs = stage.docs.clone();
    stage.withdraw();
    stage.write();
    stage.apply(stage.plan().await?).await?;
    if case.parent.is_none() {
        // The subject's manifest stays as a mould.
        stage.docs = docs;
        stage.docs.shift_remove(&stage.doc.clone());
    }
    Ok((stage, specs))
}

/// Declares the objects.
fn declare(stage: &mut Stage, specs: &[Fields]) {
    let case = stage.case.clone();
    for (tag, spec) in MANY.iter().zip(specs) {
        match case.kind.inside().filter(|_| case.parent.is_some()) {
            Some(inside) => {
                let entries = stage.docs[&stage.doc.clone()].entries.entry(inside.field.clone()).or_default();
                entries.retain(|(_, entry)| !same_key(&case, entry, spec));
                entries.push((case.kind.clone(), spec.clone()));
            }
            None => {
                let name = name_of(&case, *tag);
                let mut doc = super::world::Doc {
                    kind: case.kind.clone(),
                    name: name.clone(),
                    spec: spec.clone(),
                    entries: indexmap::IndexMap::new(),
                    annotations: indexmap::IndexMap::new(),
                };
                doc.annotations.insert("plumb.dev/deletion-policy".into(), "delete".into());
                if let Some(old) = stage.docs.get(&name) {
                    doc.entries.clone_from(&old.entries);
                } else {
                    let mut world = World::new(&case.api, &stage.stack.sandbox);
                    let made = world.minimal(&case.kind, *tag);
                    doc.entries.clone_from(&world.docs[&made].entries);
                }
                stage.docs.insert(name, doc);
            }
        }
    }
    if case.parent.is_some() {
        let doc = stage.doc.clone();
        stage.docs[&doc].annotations.insert("plumb.dev/deletion-policy".into(), "delete".into());
    }
    stage.write();
}

fn same_key(case: &Case, a: &Fields, b: &Fields) -> bool {
    let names =
        case.kind.spec.key.iter().chain(case.kind.spec.fields.values().filter_map(|field| field.from_file.as_ref()));
    names.into_iter().all(|name| a.get(name) == b.get(name))
}

fn name_of(case: &Case, tag: Tag) -> String {
    format!("{}-{}", case.kind.name.to_lowercase(), tag.word)
}

/// Takes the objects out of the manifests.
fn withdraw(stage: &mut Stage, specs: &[Fields]) {
    let case = stage.case.clone();
    for (tag, spec) in MANY.iter().zip(specs) {
        match case.kind.inside().filter(|_| case.parent.is_some()) {
            Some(inside) => {
                let entries = &mut stage.docs[&stage.doc.clone()].entries;
                if let Some(list) = entries.get_mut(&inside.field) {
                    list.retain(|(_, entry)| !same_key(&case, entry, spec));
                }
                entries.retain(|_, list| !list.is_empty());
            }
            None => {
                let name = name_of(&case, *tag);
                stage.docs.shift_remove(&name);
                stage.stack.remove(&format!("{name}.json"));
            }
        }
    }
    stage.write();
}

/// The objects with one more field each; nothing where the kind has no such field.
fn changed(stage: &Stage, specs: &[Fields]) -> Option<Vec<Fields>> {
    let case = &stage.case;
    let mut world = World::new(&case.api, &stage.stack.sandbox);
    world.docs.clone_from(&stage.docs);
    let (name, field) = case.kind.spec.fields.iter().find(|(name, field)| {
        let plain = matches!(field.ty, FieldType::String) && field.sensitive.is_none() && field.reference.is_none();
        let free = field.allowed.is_empty() && !field.required && !field.read_only && field.immutable.is_none();
        let meant = Leaf {
            field: (*name).clone(),
            at: String::new(),
            path: String::new(),
            spec: (*field).clone(),
            immutable: None,
            kept: String::new(),
        };
        plain
            && free
            && field.when.is_none()
            && !case.kind.spec.key.contains(name)
            && meant.meaning(&case.kind) == Meaning::Update
    })?;
    let field: FieldSpec = field.clone();
    MANY.iter()
        .zip(specs)
        .map(|(tag, spec)| {
            let mut spec = spec.clone();
            spec.insert(name.clone(), world.sample(&field, name, *tag, 0)?);
            Some(spec)
        })
        .collect()
}

/// Plans the same action on all objects, and says by which calls.
async fn planned(stage: &Stage, action: ActionKind, count: usize) -> Check<(pipeline::Planned, Vec<String>)> {
    let planned = stage.plan().await?;
    let own: Vec<_> = planned
        .document
        .actions
        .iter()
        .filter(|action| !action.address.contains('#') || stage.case.parent.is_some())
        .collect();
    if own.len() != count || own.iter().any(|own| own.action != action) {
        return Err(format!("planned {:?}", lines(&planned.document)));
    }
    // What sets fields after a create, and what makes the objects that entries hang on, comes besides.
    let join = stage.case.kind.inside().and_then(|inside| inside.through.as_ref()).map(|through| through.path.clone());
    let besides = |method: &str, path: &str| {
        let late = action == ActionKind::Create && method == "PATCH";
        late || join.as_ref().is_some_and(|join| path.ends_with(join.as_str()))
    };
    let calls = own.iter().flat_map(|action| &action.requests).filter_map(|request| match request {
        RequestInfo::Call { method, path } if besides(method, path) => None,
        RequestInfo::Call { method, path } => Some(format!("{method}:{path}")),
        RequestInfo::Shared { .. } => None,
    });
    let calls = calls.collect();
    Ok((planned, calls))
}

/// The calls on many objects of a kind; whole resources go by one call, whatever is done to them.
fn bulk_of(case: &Case) -> Bulk {
    let Some(apply) = &case.kind.apply else { return case.kind.spec.bulk.clone() };
    let call = Some(BulkSpec { max: apply.max, ..BulkSpec::default() });
    let delete = apply.delete.as_ref().and(call.clone());
    Bulk { create: call.clone(), update: call, delete }
}

fn expected(bulk: Option<&BulkSpec>, many: usize) -> usize {
    bulk.map_or(many, |bulk| many.div_ceil(bulk.max.unwrap_or(100) as usize))
}

async fn plain(case: &Case) -> Check {
    let (mut stage, specs) = set(case).await?;
    let (before, many) = (stage.count(), specs.len());
    let bulk = bulk_of(case);
    declare(&mut stage, &specs);
    let (plan, calls) = planned(&stage, ActionKind::Create, many).await?;
    // What is sent along with objects goes alone.
    let along =
        case.api.children(&case.kind.name).any(|child| child.inside().is_some_and(|inside| inside.embed_required));
    if calls.len() != expected(bulk.create.as_ref().filter(|_| !along), many) {
        return Err(format!("creates by {calls:?}"));
    }
    stage.apply(plan).await?;
    if stage.count() != before + many {
        return Err(format!("there were {before} objects, now there are {}", stage.count()));
    }
    stage.quiet().await?;
    if let Some(changed) = changed(&stage, &specs) {
        declare(&mut stage, &changed);
        let (plan, calls) = planned(&stage, ActionKind::Update, many).await?;
        if calls.len() != expected(bulk.update.as_ref(), many) {
            return Err(format!("updates by {calls:?}"));
        }
        stage.apply(plan).await?;
        stage.quiet().await?;
    }
    withdraw(&mut stage, &specs);
    stage.stack.options.prune = true;
    if !case.kind.can(plumb::description::format::Verb::Delete) {
        return stage.quiet().await;
    }
    let (plan, calls) = planned(&stage, ActionKind::Delete, many).await?;
    if calls.len() != expected(bulk.delete.as_ref(), many) {
        return Err(format!("deletes by {calls:?}"));
    }
    stage.apply(plan).await?;
    stage.stack.sandbox.flush();
    if stage.count() != before {
        return Err(format!("there were {before} objects, now there are {}", stage.count()));
    }
    stage.quiet().await
}

/// The same with a first call that is refused, or whose answer is lost.
async fn troubled(case: &Case, fault: &str, action: ActionKind) -> Check {
    let (mut stage, specs) = set(case).await?;
    let (before, many) = (stage.count(), specs.len());
    declare(&mut stage, &specs);
    if action != ActionKind::Create {
        stage.apply(stage.plan().await?).await?;
    }
    match action {
        ActionKind::Update => {
            let Some(changed) = changed(&stage, &specs) else { return Ok(()) };
            declare(&mut stage, &changed);
        }
        ActionKind::Delete => {
            withdraw(&mut stage, &specs);
            stage.stack.options.prune = true;
        }
        _ => {}
    }
    let (plan, calls) = planned(&stage, action, many).await?;
    let Some(first) = calls.first() else { return Err("no call".into()) };
    stage.fault(&format!("{fault}@{first}=1x"));
    let applied = pipeline::apply(plan, &stage.stack.options).await.map_err(|failure| failure.to_string())?;
    stage.fault("");
    // A call on one object that is refused is refused.
    let alone = fault == "422" && calls.len() == many;
    for action in applied.document.actions.iter().filter(|_| !alone) {
        if action.outcome != Some(Outcome::Done) {
            return Err(format!("{}: {}", action.address, action.error.clone().unwrap_or_default()));
        }
    }
    stage.stack.sandbox.flush();
    if alone {
        stage.apply(stage.plan().await?).await?;
        stage.stack.sandbox.flush();
    }
    let wanted = if action == ActionKind::Delete { before } else { before + many };
    if stage.count() != wanted {
        return Err(format!("there should be {wanted} objects, and are {}", stage.count()));
    }
    stage.quiet().await
}
