//! Lost answers and interrupted runs: nothing is made twice, nothing is forgotten.

use plumb::{
    description::format::Verb,
    inventory::{Edit, Inventory},
    plan::{Action, ActionKind, Outcome, RequestInfo},
};

use super::{
    Finding, Step,
    stage::{Check, Stage},
    subject::{Case, Meaning},
    world::Variant,
};
use crate::support::stack::lines;

/// An answer that is lost, cut short or never sent: converged after one run, with one object.
pub(super) async fn lost(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    for variant in case.forms() {
        for fault in ["lost", "truncate", "reset", "503"] {
            let result = survive(case, &variant, fault).await;
            out.extend(result.err().map(|wrong| Finding::new(Step::Lost, "", format!("{fault}{variant}: {wrong}"))));
        }
    }
    for fault in ["lost", "truncate", "reset", "503"] {
        for what in [Write::Update, Write::Replace, Write::Delete] {
            let result = survive_later(case, what, fault).await;
            out.extend(result.err().map(|wrong| Finding::new(Step::Lost, "", format!("{fault} {what:?}: {wrong}"))));
        }
    }
    out
}

/// A call on an object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Update,
    Replace,
    Delete,
}

/// An object that is there, with a manifest that asks for the call; nothing where the kind has no such call.
async fn asking(case: &Case, what: Write) -> Check<Option<Stage>> {
    let variant = case.forms().into_iter().next().unwrap_or_default();
    let mut stage = Stage::ready(case, &variant).await?;
    if what == Write::Delete {
        let goes = case.kind.can(Verb::Delete) && !case.kind.spec.singleton;
        let doc = stage.doc.clone();
        stage.docs[&doc].annotations.insert("plumb.dev/deletion-policy".into(), "delete".into());
        stage.write();
        stage.apply(stage.plan().await?).await?;
        stage.withdraw();
        stage.stack.options.prune = true;
        return Ok(goes.then_some(stage));
    }
    let wanted = if what == Write::Update { Meaning::Update } else { Meaning::Replace };
    let key = case.kind.spec.key.clone();
    let leaves = stage
        .leaves()
        .into_iter()
        .filter(|leaf| leaf.meaning(&case.kind) == wanted && (case.parent.is_none() || !key.contains(&leaf.field)));
    let Some((leaf, other)) = leaves.into_iter().find_map(|leaf| Some((leaf.clone(), stage.other(&leaf)?))) else {
        return Ok(None);
    };
    stage.put(&leaf, other);
    Ok(Some(stage))
}

async fn survive_later(case: &Case, what: Write, fault: &str) -> Check {
    let Some(stage) = asking(case, what).await? else { return Ok(()) };
    let before = stage.count();
    let planned = stage.plan().await?;
    let [action] = planned.document.actions.as_slice() else {
        return Err(format!("planned {:?}", lines(&planned.document)));
    };
    let orders: Vec<String> =
        calls_of(action).iter().map(|(method, path)| format!("{fault}@{method}:{path}=1x")).collect();
    stage.fault(&orders.join(","));
    let applied = plumb::pipeline::apply(planned, &stage.stack.options).await.map_err(|failure| failure.to_string())?;
    stage.fault("");
    for action in &applied.document.actions {
        if action.outcome != Some(Outcome::Done) {
            return Err(format!("{}: {}", action.address, action.error.clone().unwrap_or_default()));
        }
    }
    stage.stack.sandbox.flush();
    let gone = usize::from(what == Write::Delete);
    if stage.count() + gone != before {
        return Err(format!("there were {before} objects, now there are {}", stage.count()));
    }
    stage.quiet().await
}

/// A run that ended between a call on an object and its record: the next run notices what was done.
async fn resume_later(case: &Case, what: Write) -> Check {
    let Some(stage) = asking(case, what).await? else { return Ok(()) };
    let before = stage.count();
    let planned = stage.plan().await?;
    let [action] = planned.document.actions.as_slice() else {
        return Err(format!("planned {:?}", lines(&planned.document)));
    };
    let calls = calls_of(action);
    // Of a replacement, the deletion is carried out and the rest is not.
    let orders: Vec<String> = calls
        .iter()
        .enumerate()
        .map(|(number, (method, path))| {
            let word = if number == 0 && what != Write::Replace { "lost" } else { "reset" };
            let order = format!("{word}@{method}:{path}=100%");
            if number == 0 && what == Write::Replace { String::new() } else { order }
        })
        .filter(|order| !order.is_empty())
        .collect();
    let look = if what == Write::Replace { "" } else { ",500@GET=100%" };
    stage.fault(&format!("{}{look}", orders.join(",")));
    let applied = plumb::pipeline::apply(planned, &stage.stack.options).await.map_err(|failure| failure.to_string())?;
    stage.fault("");
    if !applied.failed {
        return Err("the run did not fail".into());
    }
    stage.stack.sandbox.flush();
    expire(&stage).await;
    let planned = stage.plan().await?;
    stage.apply(planned).await?;
    stage.stack.sandbox.flush();
    let gone = usize::from(what == Write::Delete);
    if stage.count() + gone != before {
        return Err(format!("there were {before} objects, now there are {}", stage.count()));
    }
    if !stage.state().await.intents.is_empty() {
        return Err("an intent is still open".into());
    }
    stage.quiet().await
}

/// The calls of the object's own action, by method and path.
async fn own_calls(stage: &Stage) -> Check<Vec<(String, String)>> {
    let planned = stage.plan().await?;
    let address = stage.address();
    let action = planned.document.actions.iter().find(|action| action.address == address);
    let action = action.ok_or_else(|| format!("no action for `{address}`"))?;
    Ok(calls_of(action))
}

fn calls_of(action: &Action) -> Vec<(String, String)> {
    let calls = action.requests.iter().filter_map(|request| match request {
        // Of a path that no plan knows the whole of, the beginning.
        RequestInfo::Call { method, path } => {
            Some((method.clone(), path.split("{id}").next().unwrap_or_default().to_owned()))
        }
        RequestInfo::Shared { .. } => None,
    });
    calls.collect()
}

/// Everything but the object is there.
async fn alone(case: &Case, variant: &Variant) -> Check<Stage> {
    let whole = Stage::set(case, variant, 0).await;
    let mut stage = whole;
    let docs = stage.docs.clone();
    stage.withdraw();
    stage.apply(stage.plan().await?).await?;
    stage.docs = docs;
    stage.write();
    Ok(stage)
}

async fn survive(case: &Case, variant: &Variant, fault: &str) -> Check {
    let stage = alone(case, variant).await?;
    let calls = own_calls(&stage).await?;
    let before = stage.count();
    let orders: Vec<String> = calls.iter().map(|(method, path)| format!("{fault}@{method}:{path}=1x")).collect();
    stage.fault(&orders.join(","));
    let planned = stage.plan().await?;
    let applied = plumb::pipeline::apply(planned, &stage.stack.options).await.map_err(|failure| failure.to_string())?;
    stage.fault("");
    for action in &applied.document.actions {
        if action.outcome != Some(Outcome::Done) {
            return Err(format!("{}: {}", action.address, action.error.clone().unwrap_or_default()));
        }
    }
    one_more(&stage, before)?;
    stage.row().await?;
    stage.quiet().await
}

fn one_more(stage: &Stage, before: usize) -> Check {
    let kind = &stage.case.kind;
    let more = usize::from(!kind.spec.singleton || kind.can(Verb::Create));
    let now = stage.count();
    if now == before + more { Ok(()) } else { Err(format!("there were {before} objects, now there are {now}")) }
}

/// A run that ended between a call and its record.
pub(super) async fn crash(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    for variant in case.forms() {
        for carried_out in [true, false] {
            let result = resume(case, &variant, carried_out).await;
            out.extend(
                result
                    .err()
                    .map(|wrong| Finding::new(Step::Crash, "", format!("carried out {carried_out}{variant}: {wrong}"))),
            );
        }
    }
    for what in [Write::Update, Write::Replace, Write::Delete] {
        let result = resume_later(case, what).await;
        out.extend(result.err().map(|wrong| Finding::new(Step::Crash, "", format!("{what:?}: {wrong}"))));
    }
    out
}

async fn resume(case: &Case, variant: &Variant, carried_out: bool) -> Check {
    if case.kind.spec.singleton {
        return Ok(());
    }
    let stage = alone(case, variant).await?;
    let calls = own_calls(&stage).await?;
    let before = stage.count();
    // The answer is lost and no look can be had: the intent stays open, as it does when the process dies.
    let word = if carried_out { "lost" } else { "reset" };
    let orders: Vec<String> = calls.iter().map(|(method, path)| format!("{word}@{method}:{path}=100%")).collect();
    let planned = stage.plan().await?;
    stage.fault(&format!("{},500@GET=100%", orders.join(",")));
    let applied = plumb::pipeline::apply(planned, &stage.stack.options).await.map_err(|failure| failure.to_string())?;
    stage.fault("");
    let address = stage.address();
    let action = applied.document.actions.iter().find(|action| action.address == address);
    if action.and_then(|action| action.outcome) != Some(Outcome::Failed) {
        return Err("the run did not fail".into());
    }
    let intents = stage.state().await.intents;
    if carried_out && intents.values().all(|intent| intent.address != address) {
        return Err(format!("no intent is open: {:?}", action.and_then(|action| action.error.clone())));
    }
    expire(&stage).await;
    if !carried_out && stage.count() != before {
        return Err("the reset call was carried out".into());
    }
    let planned = stage.plan().await?;
    let action = planned.document.actions.iter().find(|action| action.address == address);
    let wanted = if carried_out { ActionKind::Adopt } else { ActionKind::Create };
    if action.map(|action| action.action) != Some(wanted) {
        return Err(format!("planned {:?}", lines(&planned.document)));
    }
    stage.apply(planned).await?;
    one_more(&stage, before)?;
    let record = stage.record().await.ok_or("there is no record")?;
    if record.adopted {
        return Err("its own object is recorded as adopted".into());
    }
    if !stage.state().await.intents.is_empty() {
        return Err("an intent is still open".into());
    }
    stage.quiet().await
}

/// Lets the time pass that calls of a dead process may take.
async fn expire(stage: &Stage) {
    let mut inventory = Inventory::open(&stage.location(), "default").await.unwrap();
    inventory.lock("the suite").await.unwrap();
    let intents = inventory.state().intents.clone();
    let edits = intents.into_iter().map(|(id, mut intent)| {
        intent.deadline.clone_from(&intent.at);
        Edit::Begin(id, intent)
    });
    let edits = edits.collect();
    inventory.commit(edits).await.unwrap();
    inventory.unlock().await;
}
