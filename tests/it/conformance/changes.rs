//! Every field by itself: changed in the manifest, changed behind plumb's back, cleared.

use plumb::{
    description::{
        equal,
        format::{DialectName, UpdateStyle},
    },
    plan::{ActionKind, Reason},
    value::Fields,
};
use serde_json::Value;

use super::{
    Finding, Step,
    stage::{Check, Row, Stage, set, told},
    subject::{Case, Leaf, Meaning},
    world::Variant,
};
use crate::support::stack::lines;

/// Changes, drift and clearing of every field of a kind.
pub(super) async fn changes(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    let forms = case.covering();
    for (from, to) in forms.iter().zip(forms.iter().skip(1)) {
        out.extend(
            turned(case, from, to)
                .await
                .err()
                .map(|wrong| Finding::new(Step::Change, "", format!("from{from} to{to}: {wrong}"))),
        );
    }
    for variant in forms {
        let mut stage = match Stage::ready(case, &variant).await {
            Ok(stage) => stage,
            Err(wrong) => {
                out.push(Finding::new(Step::Change, "", format!("cannot begin: {wrong}")));
                continue;
            }
        };
        for leaf in stage.leaves() {
            if is_entry_key(case, &leaf) || (variant.fixed.contains_key(&leaf.field) && stage.other(&leaf).is_none()) {
                continue;
            }
            let before = out.len();
            one(&mut stage, &leaf, &mut out).await;
            if out.len() > before {
                match Stage::ready(case, &variant).await {
                    Ok(fresh) => stage = fresh,
                    Err(wrong) => out.push(Finding::new(Step::Change, "", format!("cannot begin: {wrong}"))),
                }
            }
        }
        out.extend(
            ignored(&mut stage).await.err().map(|wrong| Finding::new(Step::Drift, "", format!("ignored: {wrong}"))),
        );
    }
    out
}

/// Fields that conditions look at change together with those that they are conditions of, in one update.
async fn turned(case: &Case, from: &Variant, to: &Variant) -> Check {
    let mut stage = Stage::ready(case, from).await?;
    let wanted = Stage::set(case, to, 0).await;
    let spec = wanted.declared().clone();
    *stage.spec() = spec;
    stage.write();
    let planned = stage.plan().await?;
    let found = lines(&planned.document);
    if found.len() != 1 || !found[0].starts_with(&format!("update {} (changed)", stage.address())) {
        return Err(format!("planned {found:?}"));
    }
    stage.apply(planned).await?;
    stage.quiet().await
}

/// Another key makes another entry.
fn is_entry_key(case: &Case, leaf: &Leaf) -> bool {
    case.parent.is_some() && case.kind.spec.key.contains(&leaf.field)
}

async fn one(stage: &mut Stage, leaf: &Leaf, out: &mut Vec<Finding>) {
    let mut find = |step: Step, result: Check| match result {
        Ok(()) => true,
        Err(wrong) => {
            out.push(Finding::new(step, &leaf.name(), wrong));
            false
        }
    };
    let before = match stage.row().await {
        Ok(row) => row,
        Err(wrong) => {
            find(Step::Change, Err(wrong));
            return;
        }
    };
    let Some(other) = stage.other(leaf) else {
        // What it refers to is below the same parent: another parent is another object.
        if stage.decides(leaf) || leaf.spec.path_only {
            return;
        }
        find(Step::Change, Err("the suite knows no second value".into()));
        return;
    };
    if !find(Step::Change, changed(stage, leaf, &other, &before).await) {
        return;
    }
    let meaning = leaf.meaning(&stage.case.kind);
    if matches!(meaning, Meaning::Update | Meaning::Replace) && !find(Step::Drift, drifted(stage, leaf, &before).await)
    {
        return;
    }
    if stage.clears(leaf) && matches!(meaning, Meaning::Update | Meaning::Replace) {
        find(Step::Clear, cleared(stage, leaf, &other).await);
    }
}

/// Another value in the manifest is one change, sent by itself.
async fn changed(stage: &mut Stage, leaf: &Leaf, other: &Value, before: &Row) -> Check {
    let kind = stage.case.kind.clone();
    let now = Value::Object(stage.declared().clone()).pointer(&leaf.at).cloned().unwrap_or_default();
    let count = stage.count();
    stage.put(leaf, other.clone());
    match leaf.meaning(&kind) {
        Meaning::Nothing => return stage.quiet().await,
        Meaning::Refused(code) => {
            let planned = stage.try_plan().await?;
            let said = told(&planned.diagnostics);
            if said.len() != 1 || !said[0].starts_with(code) || !lines(&planned.document).is_empty() {
                return Err(format!("planned {:?} and said {said:?} instead of {code}", lines(&planned.document)));
            }
            stage.put(leaf, now);
            return stage.quiet().await;
        }
        meaning => {
            let action = if meaning == Meaning::Replace { ActionKind::Replace } else { ActionKind::Update };
            let planned = stage.plan().await?;
            stage.expect(&planned, action, Reason::Changed, &[&leaf.path])?;
            stage.apply(planned).await?;
        }
    }
    let after = stage.row().await?;
    if leaf.meaning(&kind) == Meaning::Replace {
        let is_chosen = kind.spec.id.local
            && kind.spec.fields.values().any(|field| kind.spec.id.path.iter().any(|path| path == field.wire_name()));
        if after.id == before.id && !is_chosen && kind.spec.key.last() != Some(&leaf.field) && kind.inside().is_none() {
            return Err("the object is the same as before".into());
        }
    } else {
        sent(stage, leaf, other)?;
        only(stage, leaf, before, &after)?;
    }
    if stage.count() != count {
        return Err(format!("there were {count} objects, now there are {}", stage.count()));
    }
    stage.quiet().await
}

/// The one call of an update sends this field and nothing else, or the whole where the API replaces.
fn sent(stage: &Stage, leaf: &Leaf, other: &Value) -> Check {
    let kind = &stage.case.kind;
    let writes = stage.writes();
    let [call] = writes.as_slice() else { return Err(format!("{} calls were made", writes.len())) };
    let body = call.body.clone().unwrap_or_default();
    let style = kind.spec.update.style;
    let attributes = attributes(stage, &body).ok_or_else(|| format!("the body says nothing: {body}"))?;
    let top = leaf.kept.split('/').nth(1).unwrap_or_default().to_owned();
    let mut wanted = vec![top];
    wanted.extend(leaf.spec.reference.as_ref().and_then(|reference| reference.type_wire.clone()));
    let moved = stage
        .specs
        .iter()
        .filter(|(name, field)| field.moved_by.contains(&leaf.field) && stage.declared().contains_key(*name));
    wanted.extend(moved.map(|(_, field)| field.wire_name().to_owned()));
    wanted.extend(kind.spec.update.id_in_body.clone());
    wanted.extend(kind.spec.update.lock.clone().filter(|lock| lock != "etag"));
    let names: Vec<&String> = attributes.keys().collect();
    let fits = match style {
        UpdateStyle::Replace | UpdateStyle::ReplaceFields => wanted.iter().all(|name| names.contains(&name)),
        _ => names.len() == wanted.len() && wanted.iter().all(|name| names.contains(&name)),
    };
    if !fits {
        return Err(format!("the call sends {names:?} instead of {wanted:?}"));
    }
    let encoded = leaf.spec.encode.is_some() || leaf.spec.prefix.is_some();
    let plain = leaf.spec.sensitive.is_none() && leaf.spec.reference.is_none() && !encoded;
    if plain && !leaf.at[1..].contains('/') && (other.is_number() || other.is_boolean() || other.is_string()) {
        let value = Value::Object(attributes).pointer(&leaf.kept).cloned().unwrap_or_default();
        if value != *other && value != "********" {
            return Err(format!("the call sends {value} instead of {other}"));
        }
    }
    Ok(())
}

/// The attributes in the body of an update.
fn attributes(stage: &Stage, body: &Value) -> Option<Fields> {
    let kind = &stage.case.kind;
    if kind.dialect == DialectName::Jsonapi {
        let data = body.get("data")?;
        let bulk = data.as_array().map(|list| list.len() == 1);
        let mut out = data.get(0).unwrap_or(data).get("attributes")?.as_object()?.clone();
        if bulk == Some(true) {
            out.shift_remove("id");
        }
        return Some(out);
    }
    if let Some(operations) = body.as_array() {
        let mut out = Value::Object(Fields::new());
        for operation in operations {
            set(&mut out, operation["path"].as_str()?, operation["value"].clone());
        }
        return out.as_object().cloned();
    }
    if kind.apply.is_some() {
        let mut out = body.get("resources")?.get(0)?.as_object()?.clone();
        out.shift_remove("kind");
        return Some(out);
    }
    let envelope = kind.spec.update.envelope.as_deref().or(stage.case.api.spec.envelope.request.as_deref());
    let inner = envelope.filter(|path| !path.is_empty()).map_or(Some(body), |path| plumb::value::get_path(body, path));
    inner?.as_object().cloned()
}

/// The attributes that the server owns, and those that it clears when a leaf changes.
pub(super) fn owned_by_server(kind: &plumb::description::Kind, leaf: &Leaf) -> Vec<String> {
    let fields = kind.spec.fields.values();
    let own = fields.filter(|field| field.read_only || field.not_sent).map(|field| field.wire_name().to_owned());
    let cleared = leaf.spec.effect.iter().flat_map(|effect| &effect.clears);
    own.chain(cleared.filter_map(|name| Some(kind.field(name)?.wire_name().to_owned()))).collect()
}

/// Nothing else changed on the server, but for what it owns.
fn only(stage: &Stage, leaf: &Leaf, before: &Row, after: &Row) -> Check {
    let kind = &stage.case.kind;
    let owned: Vec<String> = kind.spec.ignored.keys().cloned().collect();
    let (mut old, mut new) = (before.attributes.clone(), after.attributes.clone());
    for side in [&mut old, &mut new] {
        super::stage::without(side, &owned);
    }
    let (Value::Object(old), Value::Object(new)) = (&old, &new) else { return Ok(()) };
    let types = leaf.spec.reference.as_ref().and_then(|reference| reference.type_wire.as_deref());
    let moved: Vec<&String> = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)))
        .filter(|name| old.get(*name) != new.get(*name))
        .filter(|name| leaf.kept.split('/').nth(1) != Some(name) && types != Some(name))
        .filter(|name| !kind.spec.ignored.contains_key(*name))
        .filter(|name| !owned_by_server(kind, leaf).iter().any(|owned| owned == *name))
        .collect();
    if moved.is_empty() { Ok(()) } else { Err(format!("it changed {moved:?} too")) }
}

/// A change behind plumb's back is seen where answers show the field, and repaired.
async fn drifted(stage: &Stage, leaf: &Leaf, before: &Row) -> Check {
    let row = stage.row().await?;
    if before.attributes.pointer(&leaf.kept) == row.attributes.pointer(&leaf.kept) {
        return Ok(());
    }
    if leaf.spec.path_only || leaf.is_id(&stage.case.kind) {
        return Ok(());
    }
    stage.mutate(&row, leaf, before);
    if !leaf.is_described_readable(&stage.case.kind) || !stage.shows(&row, leaf) {
        let result = stage.quiet().await;
        stage.mutate(&row, leaf, &row);
        return if leaf.is_described_readable(&stage.case.kind) { Err("no answer shows it".into()) } else { result };
    }
    let replaces = leaf.meaning(&stage.case.kind) == Meaning::Replace;
    let action = if replaces { ActionKind::Replace } else { ActionKind::Update };
    let planned = stage.plan().await?;
    stage.expect(&planned, action, Reason::Drift, &[&leaf.path])?;
    if !planned.document.actions[0].drifted {
        return Err("the action is not marked as drift".into());
    }
    stage.apply(planned).await?;
    let repaired = stage.row().await?;
    if repaired.attributes.pointer(&leaf.kept) != row.attributes.pointer(&leaf.kept) {
        return Err("it is not repaired".into());
    }
    stage.quiet().await
}

/// Null clears, unless nothing is the same.
async fn cleared(stage: &mut Stage, leaf: &Leaf, now: &Value) -> Check {
    stage.put(leaf, Value::Null);
    let planned = stage.plan().await?;
    if equal(&leaf.spec, &Value::Null, now) {
        let found = lines(&planned.document);
        return if found.is_empty() { Ok(()) } else { Err(format!("planned {found:?} for nothing")) };
    }
    let replaces = leaf.meaning(&stage.case.kind) == Meaning::Replace;
    let action = if replaces { ActionKind::Replace } else { ActionKind::Update };
    stage.expect(&planned, action, Reason::Changed, &[&leaf.path])?;
    stage.apply(planned).await?;
    stage.quiet().await
}

/// Drift of fields that `plumb.dev/ignore-drift` names is left.
async fn ignored(stage: &mut Stage) -> Check {
    let case = stage.case.clone();
    let row = stage.row().await?;
    let fresh = Stage::ready(&case, stage.variant()).await?;
    let other = fresh.row().await?;
    let leaves: Vec<Leaf> = stage
        .leaves()
        .into_iter()
        .filter(|leaf| {
            leaf.meaning(&case.kind) == Meaning::Update
                && !is_entry_key(&case, leaf)
                && !case.kind.spec.key.contains(&leaf.field)
        })
        .collect();
    let mut names: Vec<String> = leaves.iter().map(|leaf| leaf.field.clone()).collect();
    names.dedup();
    if let Some((_, entry)) = stage.address().split_once('#') {
        let (list, key) = entry.split_once('/').unwrap();
        let key = plumb::address::unescape(key);
        names = names.into_iter().map(|name| format!("{list}.{key}.{name}")).collect();
    }
    if names.is_empty() {
        return Ok(());
    }
    let doc = stage.doc.clone();
    stage.docs[&doc].annotations.insert("plumb.dev/ignore-drift".into(), names.join(", "));
    stage.write();
    for leaf in &leaves {
        stage.mutate(&row, leaf, &other);
    }
    stage.quiet().await
}
