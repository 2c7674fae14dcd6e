//! The law of export: what is exported, filled in and imported plans clean, nothing is written on the way, and it can be
//! managed from then on.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use plumb::{
    description::{
        Kind,
        format::{FieldType, Immutable, InsideForm, Verb},
    },
    export::{Document, Layout, Stub, Wanted, files},
    inventory::Record,
    pipeline::{self, Export, ExportOptions, Options},
    plan::{ActionKind, Mode, Outcome},
    value::text,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Finding, Step,
    stage::{Check, Stage, told},
    subject::{Case, Leaf, Meaning},
    values::FILES,
    world::is_forced,
};
use crate::support::stack::lines;

/// Every form of a kind goes out and comes back.
pub(super) async fn export(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    // What the API cannot list, nobody can find.
    let found = case.parent.as_ref().unwrap_or(&case.kind);
    if !found.can(Verb::List) && !found.spec.singleton {
        return out;
    }
    for variant in case.forms() {
        for layout in [Layout::Kind, Layout::Tree] {
            let result = async {
                let stage = Stage::ready(case, &variant).await?;
                round_trip(&stage, layout).await
            };
            let what = |wrong: String| Finding::new(Step::Export, "", format!("{layout:?}{variant}: {wrong}"));
            out.extend(result.await.err().map(what));
        }
    }
    out
}

async fn round_trip(stage: &Stage, layout: Layout) -> Check {
    stage.stack.sandbox.clear_log();
    let exported = exported(stage).await?;
    listed_once(stage)?;
    let texts = files(&exported.exported.documents, layout);
    if texts.iter().any(|file| file.text.contains("correct-horse-secret")) {
        return Err("the export shows a secret".into());
    }
    let again = self::exported(stage).await?;
    if again.exported.documents != exported.exported.documents || again.exported.stubs != exported.exported.stubs {
        return Err("a second export differs from the first".into());
    }
    let document = subject(stage, &exported).await?;
    complete(stage, &document).await?;
    // A folder of its own, with nothing but the connection.
    let folder = TempDir::new().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for name in ["connections.yaml", "key", "api.yaml"].iter().filter(|name| stage.stack.path(name).exists()) {
        put(name, &std::fs::read_to_string(stage.stack.path(name)).unwrap());
    }
    for file in &texts {
        // Relative to the manifest's own folder.
        let up = "../".repeat(file.path.matches('/').count());
        put(&file.path, &filled(stage, &file.text, &exported, &up).await);
    }
    for (number, text) in plain(stage, &exported).await.iter().enumerate() {
        put(&format!("plain-{number}"), text);
    }
    for (name, content) in FILES {
        put(name, content);
    }
    let options =
        Options { inputs: vec![folder.path().display().to_string()], keep_key: true, ..stage.stack.options.clone() };
    let rebuilt = pipeline::rebuild(
        &options,
        &pipeline::Rebuilding { wanted: &|_| true, as_created: &|_| false, without_secrets: false },
    )
    .await
    .map_err(|failure| failure.to_string())?;
    let wrong = told(&rebuilt.diagnostics);
    if !wrong.is_empty() || !rebuilt.absent.is_empty() || !rebuilt.unknown.is_empty() {
        return Err(format!("import: {wrong:?}, absent {:?}, unknown {:?}", rebuilt.absent, rebuilt.unknown));
    }
    quiet(&options).await?;
    let writes = stage.writes();
    if !writes.is_empty() {
        return Err(format!("something was written: {writes:?}"));
    }
    edited(stage, &options, folder.path(), document).await
}

async fn exported(stage: &Stage) -> Check<Export> {
    // What is exported only where it is named is named together with all else.
    let named = stage.case.kind.spec.exported_by_name;
    let kinds = stage.case.api.kinds.values().filter(|kind| named && kind.is_declarable() && kind.inside().is_none());
    let wanted = kinds.map(|kind| Wanted { api: None, kind: kind.name.clone(), pattern: None }).collect();
    let asked = ExportOptions { wanted, ..ExportOptions::default() };
    let export = pipeline::export(&stage.stack.options, &asked).await;
    let export = export.map_err(|failure| format!("no export: {failure}"))?;
    let wrong = told(&export.diagnostics);
    if wrong.is_empty() { Ok(export) } else { Err(format!("the export says: {}", wrong.join(" | "))) }
}

/// Nothing was read twice, and nothing written.
fn listed_once(stage: &Stage) -> Check {
    let mut reads: BTreeMap<String, usize> = BTreeMap::new();
    for entry in stage.stack.sandbox.log().into_iter().filter(|entry| !entry.path.contains("/auth/")) {
        if entry.method != "GET" && entry.status < 400 && !entry.path.contains("login") && !entry.path.contains("token")
        {
            return Err(format!("it sent {} {}", entry.method, entry.path));
        }
        *reads.entry(format!("{} {}?{}", entry.method, entry.path, entry.query)).or_default() += 1;
    }
    // Two kinds may be two views of one collection.
    let views = |read: &str| {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let path = read.split(['?', ' ']).nth(1).unwrap_or_default();
        let of = |kind: &&Arc<Kind>| last(kind.spec.list.path.as_deref().unwrap_or(&kind.spec.path)) == last(path);
        stage.case.api.kinds.values().filter(of).count().max(1)
    };
    match reads.iter().find(|(read, count)| **count > views(read)) {
        Some((read, count)) => Err(format!("{read} was read {count} times")),
        None => Ok(()),
    }
}

/// What was declared where an export has a stub: a file with a secret, or a text.
async fn declared(stage: &Stage, exported: &Export, stub: &Stub) -> Option<Value> {
    let is = |one: &&Document| format!("{}/{}/{}", one.kind.api, one.kind.name, one.handle) == stub.address;
    let document = exported.exported.documents.iter().find(is)?;
    let kind = format!("{}/{}/", document.kind.api, document.kind.name);
    let state = stage.state().await;
    let own = |address: &str, record: &Record| {
        address.starts_with(&kind) && !address.contains('#') && record.id == document.id
    };
    let (address, _) = state.objects.iter().find(|(address, record)| own(address, record))?;
    let doc = &stage.docs[address.rsplit('/').next()?];
    Value::Object(doc.spec.clone()).pointer(&format!("/{}", stub.field.replace('.', "/"))).cloned()
}

/// Texts that an export has stubs for, although they were declared as they are.
async fn plain(stage: &Stage, exported: &Export) -> Vec<String> {
    let mut out = Vec::new();
    for stub in &exported.exported.stubs {
        out.extend(declared(stage, exported, stub).await.and_then(|value| text(&value)));
    }
    out
}

/// A text with its stubs filled in.
async fn filled(stage: &Stage, text: &str, exported: &Export, up: &str) -> String {
    let texts = plain(stage, exported).await;
    let mut out = text.to_owned();
    for stub in &exported.exported.stubs {
        let from = format!("{{env: {}}}", stub.variable);
        assert!(out.contains(&from) || !out.contains(&stub.variable) || stub.optional, "{out}");
        let file = match declared(stage, exported, stub).await {
            Some(Value::Object(secret)) => secret["valueFrom"]["file"].as_str().unwrap_or("secret-0").to_owned(),
            Some(Value::String(own)) => format!("plain-{}", texts.iter().position(|text| *text == own).unwrap()),
            _ if stub.field.ends_with(".second") => "secret-1".to_owned(),
            _ => "secret-0".to_owned(),
        };
        out = out.replace(&from, &format!("{{file: {up}{file}}}"));
    }
    out
}

/// The manifest that the object is, or is inside.
async fn subject(stage: &Stage, exported: &Export) -> Check<Value> {
    let record = stage.record().await.ok_or("there is no record")?;
    let (kind, id) = match &stage.case.parent {
        Some(parent) => (&parent.name, record.parent.clone().unwrap_or_default()),
        None => (&stage.case.kind.name, record.id.clone()),
    };
    let found = exported.exported.documents.iter().find(|one| one.kind.name == *kind && one.id == id);
    let found = found.ok_or_else(|| format!("{kind} `{id}` is not exported"))?;
    serde_saphyr::from_str(&found.text).map_err(|error| format!("{error}: {}", found.text))
}

/// Everything that the API shows and a manifest can have is there.
async fn complete(stage: &Stage, document: &Value) -> Check {
    let row = stage.row().await?;
    let kind = &stage.case.kind;
    let Some(spec) = own_spec(stage, document) else { return Err(format!("the entry is not in {document}")) };
    for (name, value) in stage.declared() {
        let Some(field) = stage.specs.get(name) else { continue };
        let leaf = Leaf {
            field: name.clone(),
            at: format!("/{name}"),
            path: format!("/{name}"),
            spec: field.clone(),
            immutable: field.immutable,
            kept: format!("/{}", field.wire_name().replace('.', "/")),
        };
        let default = field.default.as_ref().is_some_and(|default| plumb::description::equal(field, value, default));
        // What not every server has is not asked for.
        let hidden = field.write_only
            || field.on_demand
            || field.immutable == Some(Immutable::CreateOnly)
            || field.not_sent
            || field.ty == FieldType::File
            || !field.moved_by.is_empty();
        let unasked =
            field.on_get_only && kind.spec.fields.values().any(|field| field.on_get_only && field.always_sensitive());
        // Two fields may be two ways to say one thing.
        let same = |other: &String| stage.specs.get(other).is_some_and(|other| other.wire == field.wire);
        let said = spec.as_object().is_some_and(|spec| spec.keys().any(same));
        let twice = parent_conflicts(stage, name) || said;
        if default
            || hidden
            || unasked
            || twice
            || is_forced(field, &stage.variant().fixed)
            || value.is_null()
            || !stage.shows(&row, &leaf)
        {
            continue;
        }
        if spec.get(name).is_none() && !(field.always_sensitive()) {
            return Err(format!("`{name}` is not exported: {spec}"));
        }
    }
    Ok(())
}

/// Whether a field says the same as an entry, and is left to it.
fn parent_conflicts(stage: &Stage, name: &str) -> bool {
    stage.case.kind.spec.conflicts.iter().any(|conflict| conflict.fields.iter().any(|field| field == name))
}

/// The fields of the object, or of the entry inside it.
fn own_spec(stage: &Stage, document: &Value) -> Option<Value> {
    let spec = &document["spec"];
    let (Some(_), Some(inside)) = (&stage.case.parent, stage.case.kind.inside()) else { return Some(spec.clone()) };
    let kind: &Kind = &stage.case.kind;
    match (&spec[&inside.field], inside.form) {
        (Value::Object(map), InsideForm::Map) => {
            let key = stage.declared().get(kind.spec.key.last()?).and_then(text)?;
            let value = map.get(&key)?;
            let other = kind.spec.fields.keys().find(|name| Some(*name) != kind.spec.key.last())?;
            Some(json!({ (kind.spec.key.last()?): key, (other): value }))
        }
        // References and files have other names in an export: the last entry is the one that was made last.
        (Value::Array(entries), _) => {
            let key = kind.spec.key.last().and_then(|key| Some((key, stage.declared().get(key)?)));
            let same = |entry: &&Value| key.is_some_and(|(key, value)| text(&entry[key]) == text(value));
            entries.iter().find(same).or(entries.last()).cloned()
        }
        _ => None,
    }
}

async fn quiet(options: &Options) -> Check {
    let planned = pipeline::plan(options, Mode::Plan).await.map_err(|failure| failure.to_string())?;
    let wrong = told(&planned.diagnostics);
    let left = lines(&planned.document);
    if wrong.is_empty() && left.is_empty() {
        return Ok(());
    }
    Err(format!("the plan is not empty: {} {}", left.join("; "), wrong.join(" | ")))
}

/// One field is changed in the exported manifest, planned and applied.
async fn edited(stage: &Stage, options: &Options, folder: &Path, document: Value) -> Check {
    if stage.case.parent.is_some() {
        return Ok(());
    }
    let kind = &stage.case.kind;
    let fits = |leaf: &Leaf| {
        let plain = leaf.spec.reference.is_none() && leaf.spec.sensitive.is_none() && leaf.spec.moved_by.is_empty();
        let top = leaf.at.matches('/').count() == 1 && document["spec"].get(&leaf.field).is_some();
        let key = kind.spec.key.contains(&leaf.field) || kind.spec.key_extra.contains(&leaf.field);
        let taken = kind.spec.update.unless.is_empty();
        leaf.spec.ty == FieldType::String && plain && top && !key && taken && leaf.meaning(kind) == Meaning::Update
    };
    let leaves = stage.leaves();
    let Some((leaf, other)) = leaves.iter().filter(|leaf| fits(leaf)).find_map(|leaf| Some((leaf, stage.other(leaf)?)))
    else {
        return Ok(());
    };
    let name = document["metadata"]["name"].as_str().unwrap().to_owned();
    let mut changed = 0;
    for entry in walk(folder) {
        if entry.extension().is_none_or(|ending| ending != "yaml")
            || entry.ends_with("connections.yaml")
            || entry.ends_with("api.yaml")
        {
            continue;
        }
        let file = std::fs::read_to_string(&entry).unwrap();
        let mut documents: Vec<Value> = file
            .split("---\n")
            .filter(|text| !text.trim().is_empty())
            .map(|text| serde_saphyr::from_str(text).unwrap())
            .collect();
        for one in &mut documents {
            if one["kind"] == kind.name.as_str() && one["metadata"]["name"] == name.as_str() {
                one["spec"][&leaf.field] = other.clone();
                changed += 1;
            }
        }
        let texts: Vec<String> = documents.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
        std::fs::write(&entry, texts.join("\n---\n")).unwrap();
    }
    if changed != 1 {
        return Err(format!("{changed} manifests `{name}`"));
    }
    let planned = pipeline::plan(options, Mode::Plan).await.map_err(|failure| failure.to_string())?;
    let wanted = format!("{} {}/{}/{name} (changed) /{}", ActionKind::Update.word(), kind.api, kind.name, leaf.field);
    if lines(&planned.document) != [wanted.clone()] {
        return Err(format!("planned {:?} instead of {wanted}", lines(&planned.document)));
    }
    let applied = pipeline::apply(planned, options).await.map_err(|failure| failure.to_string())?;
    if applied.document.actions.iter().any(|action| action.outcome != Some(Outcome::Done)) {
        return Err(format!("not applied: {:?}", applied.document.actions));
    }
    quiet(options).await.map_err(|why| format!("after {wanted}: {why}"))
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            out.extend(walk(&path));
        } else {
            out.push(path);
        }
    }
    out.sort();
    out
}
