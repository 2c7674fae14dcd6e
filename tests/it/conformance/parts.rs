//! Parts of what is live that no manifest declares stay; entries of lists and of parents come, go and are renamed by
//! themselves.

use plumb::{
    description::format::{FieldType, UpdateStyle},
    plan::{ActionKind, Reason},
    value::Fields,
};
use serde_json::Value;

use super::{
    Finding, Step,
    stage::{Check, Row, Stage, told},
    subject::{Case, Leaf, Meaning},
    world::{NEW, World},
};
use crate::support::stack::lines;

/// What is not declared stays, whatever is changed beside it; entries are managed one by one.
pub(super) async fn parts(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    for variant in case.covering() {
        let fresh = match Stage::ready(case, &variant).await {
            Ok(stage) => stage,
            Err(wrong) => {
                out.push(Finding::new(Step::Parts, "", format!("cannot begin: {wrong}")));
                continue;
            }
        };
        let mut fields: Vec<String> = fresh.leaves().iter().map(|leaf| leaf.field.clone()).collect();
        fields.dedup();
        for field in fields {
            let beside = async { undeclared(&mut Stage::ready(case, &variant).await?, &field).await };
            out.extend(
                beside.await.err().map(|wrong| Finding::new(Step::Parts, &field, format!("undeclared: {wrong}"))),
            );
            let spec = &fresh.specs[&field];
            if spec.ty == FieldType::List && spec.keyed_by.is_some() {
                let listed = async { listed(&mut Stage::ready(case, &variant).await?, &field).await };
                out.extend(
                    listed.await.err().map(|wrong| Finding::new(Step::Parts, &field, format!("entries: {wrong}"))),
                );
            }
            if spec.set {
                let turned = async { turned(&mut Stage::ready(case, &variant).await?, &field).await };
                out.extend(
                    turned.await.err().map(|wrong| Finding::new(Step::Parts, &field, format!("order: {wrong}"))),
                );
            }
        }
        let moved = async { moved(&mut Stage::ready(case, &variant).await?).await };
        out.extend(moved.await.err().map(|wrong| Finding::new(Step::Parts, "", format!("moved: {wrong}"))));
        if case.parent.is_some() {
            let other = async { other_key(&mut Stage::ready(case, &variant).await?).await };
            out.extend(other.await.err().map(|wrong| Finding::new(Step::Parts, "", format!("another key: {wrong}"))));
            let renamed = async { renamed(&mut Stage::ready(case, &variant).await?).await };
            out.extend(renamed.await.err().map(|wrong| Finding::new(Step::Parts, "", format!("renamed: {wrong}"))));
        }
    }
    out
}

/// With nothing else declared than what is needed and one leaf of a field, that leaf is all that changes.
async fn undeclared(stage: &mut Stage, field: &str) -> Check {
    let kind = stage.case.kind.clone();
    let leaves = stage.leaves();
    let leaf = leaves
        .into_iter()
        .find(|leaf| leaf.field == field && leaf.meaning(&kind) == Meaning::Update && stage.other(leaf).is_some());
    let Some(leaf) = leaf.filter(|leaf| stage.case.parent.is_none() || !kind.spec.key.contains(&leaf.field)) else {
        return Ok(());
    };
    let other = stage.other(&leaf).unwrap();
    let before = stage.row().await?;
    let variant = stage.variant().clone();
    let mut world = World::new(&stage.case.api, &stage.stack.sandbox);
    world.docs = stage.docs.clone();
    let needed = world.needed(&kind, super::world::SUBJECT, &variant);
    let now = stage.declared().clone();
    let mut spec: Fields = now
        .iter()
        .filter(|(name, _)| needed.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // What the server would move with the leaf stays declared with it, and so does what goes with a type.
    let partners = stage.specs.iter().filter(|(_, spec)| {
        spec.moved_by.iter().any(|by| by == field) || spec.defined_by.as_ref().is_some_and(|by| by.source == field)
    });
    spec.extend(partners.filter_map(|(name, _)| Some((name.clone(), now.get(name)?.clone()))));
    let alone = part(&Value::Object(now.clone()), &leaf, other)?;
    spec.insert(field.to_owned(), alone);
    *stage.spec() = spec;
    stage.write();
    // What nobody can send back is not left to chance.
    if leaf.spec.write_only && leaf.at.matches('/').count() > 1 && kind.spec.update.style != UpdateStyle::MergePatch {
        let said = told(&stage.try_plan().await?.diagnostics);
        return if said.len() == 1 && said[0].starts_with("PL0516") {
            Ok(())
        } else {
            Err(format!("the plan says {said:?}"))
        };
    }
    let planned = stage.plan().await?;
    stage.expect(&planned, ActionKind::Update, Reason::Changed, &[&leaf.path])?;
    stage.apply(planned).await?;
    stays(stage, &leaf, &before, &stage.row().await?)?;
    stage.quiet().await
}

/// The value of a leaf's field with nothing in it but the leaf, and what tells the list's entry that it is in.
fn part(spec: &Value, leaf: &Leaf, other: Value) -> Check<Value> {
    let steps: Vec<&str> = leaf.at.split('/').skip(2).collect();
    let mut out = other;
    for (depth, step) in steps.iter().enumerate().rev() {
        let above = format!("/{}", leaf.at.split('/').skip(1).take(depth + 1).collect::<Vec<_>>().join("/"));
        out = match spec.pointer(&above) {
            Some(Value::Array(entries)) => {
                // An entry is declared with all that it needs.
                let mut entry = entries[step.parse::<usize>().map_err(|error| error.to_string())?].clone();
                for (name, value) in out.as_object().into_iter().flatten() {
                    entry[name] = value.clone();
                }
                Value::Array(vec![entry])
            }
            _ => Value::Object([(plumb::address::unescape(step), out)].into_iter().collect()),
        };
    }
    Ok(out)
}

/// Everything that the server keeps is as before, but for a leaf and what it owns itself.
fn stays(stage: &Stage, leaf: &Leaf, before: &Row, after: &Row) -> Check {
    let kind = &stage.case.kind;
    let types = leaf.spec.reference.as_ref().and_then(|reference| reference.type_wire.clone());
    let owned = super::changes::owned_by_server(kind, leaf);
    let owned: Vec<String> = owned.into_iter().chain(kind.spec.ignored.keys().cloned()).chain(types).collect();
    let cut = |row: &Row| {
        let mut value = row.attributes.clone();
        if let Some(place) = value.pointer_mut(&leaf.kept) {
            *place = Value::Null;
        }
        if let Value::Object(map) = &mut value {
            map.retain(|name, value| !owned.contains(name) && !value.is_null());
        }
        super::stage::without(&mut value, &owned);
        value
    };
    let (old, new) = (cut(before), cut(after));
    if old != new {
        return Err(format!("what is not declared changed: {old} became {new}"));
    }
    let lists = (before.attributes.pointer(&leaf.kept), after.attributes.pointer(&leaf.kept));
    if let (Some(Value::Array(old)), Some(Value::Array(new))) = lists
        && leaf.at.matches('/').count() > 1
    {
        let changed = old.iter().zip(new).filter(|(old, new)| old != new).count();
        if old.len() != new.len() || changed != 1 {
            return Err(format!("entries that are not declared changed: {old:?} became {new:?}"));
        }
    }
    Ok(())
}

/// An entry of a keyed list comes, and goes with prune.
async fn listed(stage: &mut Stage, field: &str) -> Check {
    let spec = stage.specs[field].clone();
    let (Some(items), Some(key)) = (spec.items.clone(), spec.keyed_by.clone()) else { return Ok(()) };
    let mut world = World::new(&stage.case.api, &stage.stack.sandbox);
    world.docs = stage.docs.clone();
    let entry = world.sample(&items, field, NEW, 0).ok_or("no entry")?;
    let word = plumb::address::escape(&plumb::value::text(&entry[&key]).unwrap_or_default());
    let before = stage.declared()[field].clone();
    let mut more = before.clone();
    more.as_array_mut().unwrap().push(entry);
    stage.spec().insert(field.to_owned(), more.clone());
    stage.write();
    let path = format!("/{field}/{word}");
    let planned = stage.plan().await?;
    stage.expect(&planned, ActionKind::Update, Reason::Changed, &[&path])?;
    stage.apply(planned).await?;
    stage.quiet().await?;
    // The order of entries that are managed one by one means nothing.
    let turned: Value = more.as_array().unwrap().iter().rev().cloned().collect();
    stage.spec().insert(field.to_owned(), turned);
    stage.write();
    stage.quiet().await.map_err(|wrong| format!("in another order, {wrong}"))?;
    stage.spec().insert(field.to_owned(), before);
    stage.write();
    stage.quiet().await.map_err(|wrong| format!("without prune, {wrong}"))?;
    stage.spec().insert(field.to_owned(), more.clone());
    stage.write();
    stage.apply(stage.plan().await?).await?;
    more.as_array_mut().unwrap().pop();
    stage.spec().insert(field.to_owned(), more);
    stage.write();
    stage.stack.options.prune = true;
    let planned = stage.plan().await?;
    stage.expect(&planned, ActionKind::Update, Reason::Changed, &[&path])?;
    stage.apply(planned).await?;
    stage.quiet().await
}

/// The order of a set means nothing.
async fn turned(stage: &mut Stage, field: &str) -> Check {
    if let Some(Value::Array(items)) = stage.spec().get_mut(field) {
        items.reverse();
    }
    stage.write();
    stage.quiet().await
}

/// A manifest that has another name is still the owner of its object.
async fn moved(stage: &mut Stage) -> Check {
    let record = stage.record().await.ok_or("there is no record")?;
    let old = stage.doc.clone();
    let mut doc = stage.docs.shift_remove(&old).unwrap();
    stage.stack.remove(&format!("{old}.json"));
    doc.name = format!("{old}-moved");
    doc.annotations.insert("plumb.dev/moved-from".into(), old);
    stage.doc.clone_from(&doc.name);
    stage.docs.insert(doc.name.clone(), doc);
    stage.write();
    stage.quiet().await?;
    stage.apply(stage.plan().await?).await?;
    if stage.record().await.map(|record| record.id) != Some(record.id) {
        return Err("the record did not move".into());
    }
    let doc = stage.doc.clone();
    stage.docs[&doc].annotations.clear();
    stage.write();
    stage.quiet().await
}

/// Another key is another entry; the old one goes with prune.
async fn other_key(stage: &mut Stage) -> Check {
    let kind = stage.case.kind.clone();
    let key =
        stage.leaves().into_iter().find(|leaf| kind.spec.key.contains(&leaf.field) && stage.other(leaf).is_some());
    let Some(leaf) = key else { return Ok(()) };
    let doc = stage.doc.clone();
    stage.docs[&doc].annotations.insert("plumb.dev/deletion-policy".into(), "delete".into());
    stage.write();
    stage.apply(stage.plan().await?).await?;
    let (count, old) = (stage.count(), stage.address());
    let other = stage.other(&leaf).unwrap();
    stage.put(&leaf, other);
    stage.stack.options.prune = true;
    let planned = stage.plan().await?;
    let mut found: Vec<String> =
        lines(&planned.document).iter().map(|line| line.split(" /").next().unwrap_or_default().to_owned()).collect();
    found.sort();
    let wanted = [format!("create {} (new)", stage.address()), format!("delete {old} (removed)")];
    if found != wanted {
        return Err(format!("planned {found:?} instead of {wanted:?}"));
    }
    stage.apply(planned).await?;
    if stage.count() != count {
        return Err(format!("there were {count} entries, now there are {}", stage.count()));
    }
    stage.quiet().await
}

/// An entry that says what it was called before is renamed in place.
async fn renamed(stage: &mut Stage) -> Check {
    let kind = stage.case.kind.clone();
    let Some(field) = kind.inside().and_then(|inside| inside.renamed_from.clone()) else { return Ok(()) };
    let Some(key) = kind.spec.key.first().cloned() else { return Ok(()) };
    let before = stage.row().await?;
    let was = stage.declared()[&key].clone();
    let other = stage.other[&key].clone();
    stage.spec().insert(key.clone(), other);
    stage.spec().insert(field.clone(), was);
    stage.write();
    let planned = stage.plan().await?;
    stage.expect(&planned, ActionKind::Update, Reason::Changed, &[&format!("/{key}")])?;
    stage.apply(planned).await?;
    if stage.row().await?.id != before.id {
        return Err("it is another object".into());
    }
    stage.quiet().await?;
    stage.spec().shift_remove(&field);
    stage.write();
    stage.quiet().await
}
