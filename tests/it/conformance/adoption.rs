//! Objects that are there already are taken over, never made twice.

use std::collections::BTreeSet;

use plumb::plan::{ActionKind, Reason};
use serde_json::Value;

use super::{
    Finding, Step,
    stage::{Check, Stage, told},
    subject::{Case, Leaf, Meaning},
};
use crate::support::stack::lines;

/// Equal objects without a call, different ones with one update, never a second object.
pub(super) async fn adopt(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    for variant in case.forms() {
        let equal = async {
            let stage = Stage::ready(case, &variant).await?;
            equal(&stage).await
        };
        out.extend(equal.await.err().map(|wrong| Finding::new(Step::Adopt, "", format!("equal{variant}: {wrong}"))));
        let different = async {
            let mut stage = Stage::ready(case, &variant).await?;
            different(&mut stage).await
        };
        out.extend(
            different.await.err().map(|wrong| Finding::new(Step::Adopt, "", format!("different{variant}: {wrong}"))),
        );
    }
    out
}

/// The paths of what adoption has to write because nobody can tell whether it is there.
async fn unseen(stage: &Stage) -> Check<Vec<String>> {
    let row = stage.row().await?;
    let of = |leaf: &Leaf| leaf.meaning(&stage.case.kind) == Meaning::Update && !leaf.spec.not_sent;
    let hidden = |leaf: &Leaf| !leaf.is_described_readable(&stage.case.kind) || !stage.shows(&row, leaf);
    let leaves = stage.leaves();
    // What a list is limited to is known even where its items do not say it.
    let scope = stage.case.kind.spec.scope.as_ref().map(|scope| scope.field.clone());
    let leaves = leaves.iter().filter(|leaf| of(leaf) && hidden(leaf) && scope.as_ref() != Some(&leaf.field));
    let by_default = |leaf: &&Leaf| {
        let value = Value::Object(stage.declared().clone()).pointer(&leaf.at).cloned().unwrap_or_default();
        leaf.spec.default.as_ref().is_some_and(|default| plumb::description::equal(&leaf.spec, &value, default))
    };
    Ok(leaves.filter(|leaf| !by_default(leaf)).map(|leaf| leaf.path.clone()).collect())
}

async fn equal(stage: &Stage) -> Check {
    let unseen = unseen(stage).await?;
    let counts = counts(stage);
    stage.lose_inventory();
    let planned = stage.plan().await?;
    let address = stage.address();
    for action in &planned.document.actions {
        if action.action != ActionKind::Adopt {
            return Err(format!("planned {:?}", lines(&planned.document)));
        }
    }
    let action = planned.document.actions.iter().find(|action| action.address == address);
    let action = action.ok_or_else(|| format!("`{address}` is not adopted"))?;
    let paths: Vec<&String> = action.changes.iter().map(|change| &change.path).collect();
    if paths != unseen.iter().collect::<Vec<_>>() {
        return Err(format!("adopts with {paths:?} instead of {unseen:?}"));
    }
    let calls = usize::from(!unseen.is_empty());
    if action.requests.len() != calls {
        return Err(format!("{} calls are announced instead of {calls}", action.requests.len()));
    }
    stage.apply(planned).await?;
    if !stage.record().await.is_some_and(|record| record.adopted) {
        return Err("it is not recorded as adopted".into());
    }
    if counts != self::counts(stage) {
        return Err(format!("there were {counts:?} objects, now there are {:?}", self::counts(stage)));
    }
    stage.quiet().await
}

async fn different(stage: &mut Stage) -> Check {
    let kind = stage.case.kind.clone();
    let key: Vec<&String> =
        kind.spec.key.iter().chain(kind.spec.key_fallbacks.iter().flatten()).chain(&kind.spec.key_extra).collect();
    let hook = kind.spec.hook.as_deref().and_then(plumb::description::hook::find);
    let is_key = |leaf: &Leaf| {
        key.contains(&&leaf.field)
            || hook.as_ref().is_some_and(|hook| leaf.field == hook.field() && leaf.spec.immutable.is_some())
    };
    let mut paths = unseen(stage).await?;
    let mut changed = false;
    for leaf in stage.leaves() {
        let decides = stage.variant().fixed.contains_key(&leaf.field);
        if leaf.meaning(&kind) != Meaning::Update || is_key(&leaf) || decides {
            continue;
        }
        if let Some(other) = stage.other(&leaf) {
            stage.put(&leaf, other);
            changed = true;
            if !paths.contains(&leaf.path) {
                paths.push(leaf.path.clone());
            }
        }
    }
    let unless =
        |condition: &plumb::description::format::Condition| super::world::met(condition, &stage.variant().fixed);
    if !changed || kind.spec.update.unless.iter().any(unless) {
        return Ok(());
    }
    let counts = counts(stage);
    stage.lose_inventory();
    let planned = stage.plan().await?;
    let address = stage.address();
    let action = planned.document.actions.iter().find(|action| action.address == address);
    let action = action.ok_or_else(|| format!("`{address}` is not adopted: {:?}", lines(&planned.document)))?;
    if (action.action, action.reason) != (ActionKind::Adopt, Reason::New) {
        return Err(format!("planned {:?}", lines(&planned.document)));
    }
    let mut found: Vec<&String> = action.changes.iter().map(|change| &change.path).collect();
    found.sort();
    paths.sort();
    if found != paths.iter().collect::<Vec<_>>() {
        return Err(format!("adopts with {found:?} instead of {paths:?}"));
    }
    if action.requests.len() != 1 {
        return Err(format!("{} calls are announced", action.requests.len()));
    }
    stage.apply(planned).await?;
    if counts != self::counts(stage) {
        return Err(format!("there were {counts:?} objects, now there are {:?}", self::counts(stage)));
    }
    stage.quiet().await?;
    frozen(stage).await
}

/// What differs in what cannot be changed is not adopted at all.
async fn frozen(stage: &mut Stage) -> Check {
    let kind = stage.case.kind.clone();
    for leaf in stage.leaves() {
        let (meaning, is_key) = (leaf.meaning(&kind), kind.spec.key.contains(&leaf.field));
        let code = match meaning {
            Meaning::Replace if !is_key => "PL0514",
            Meaning::Refused(code) if !is_key => code,
            _ => continue,
        };
        let Some(other) = stage.other(&leaf) else { continue };
        let now = Value::Object(stage.declared().clone()).pointer(&leaf.at).cloned().unwrap_or_default();
        stage.put(&leaf, other);
        let folder = stage.stack.path(".plumb");
        let aside = stage.stack.path(".plumb-aside");
        std::fs::rename(&folder, &aside).unwrap();
        let planned = stage.try_plan().await?;
        let said = told(&planned.diagnostics);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::rename(&aside, &folder).unwrap();
        stage.put(&leaf, now);
        if !said.iter().any(|said| said.starts_with(code)) {
            return Err(format!("`{}` differs, and the plan says {said:?} instead of {code}", leaf.name()));
        }
    }
    Ok(())
}

/// Objects of all kinds that are declared.
fn counts(stage: &Stage) -> Vec<(String, usize)> {
    let api = &stage.case.api;
    let docs = stage.docs.values();
    let kinds: BTreeSet<&String> = docs
        .flat_map(|doc| doc.entries.values().flatten().map(|(kind, _)| kind).chain([&doc.kind]))
        .map(|kind| &kind.name)
        .collect();
    kinds.into_iter().map(|kind| (kind.clone(), stage.stack.sandbox.objects(&api.name, kind).len())).collect()
}
