//! Bindplane's own ways: versions, ids of components, masked values, what moves along with a component, uses that forbid
//! a deletion, and rollouts.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    apply::Resource,
    behaviour::{Behaviour, Glance, View},
    desk::{Change, Desk},
    render::Renderer,
    shape::Shape,
    simulation::{Request, Simulation, time_of},
    store::{Row, Store},
};
use crate::value::{Fields, get_path, set_path, text};

/// Bindplane.
pub(super) struct Bindplane;

const CONFIGURATION: &str = "Configuration";
const MASK: &str = "(sensitive)";
/// Component lists of a resource's spec, each with the kind that its names lead to.
const LISTS: [(&str, &str); 5] = [
    ("sources", "Source"),
    ("processors", "Processor"),
    ("destinations", "Destination"),
    ("extensions", "Extension"),
    ("connectors", "Connector"),
];
/// Kinds with versions of their own.
const COMPONENTS: [&str; 9] = [
    "Source",
    "Processor",
    "Destination",
    "Extension",
    "Connector",
    "SourceType",
    "ProcessorType",
    "DestinationType",
    "ExtensionType",
];

fn bare(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// A made-up ULID.
fn ulid(number: u64) -> String {
    format!("01K{number:023X}")
}

fn version(row: &Row) -> u64 {
    row.get("metadata.version").and_then(Value::as_u64).unwrap_or(0)
}

/// Goes through the components of a spec, those inside others too: the component and the kind that its name leads to.
fn each_component(spec: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Map<String, Value>, &str)) {
    for (list, kind) in LISTS {
        let Some(Value::Array(items)) = spec.get_mut(list) else { continue };
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            visit(item, kind);
            each_component(item, visit);
        }
    }
}

/// Names of what a resource uses, by kind.
fn uses(row: &Row) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut spec = row.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    each_component(&mut spec, &mut |component, kind| {
        if let Some(name) = component.get("name").and_then(Value::as_str) {
            out.push((kind.to_owned(), bare(name).to_owned()));
        }
        if let Some(name) = component.get("type").and_then(Value::as_str) {
            out.push((format!("{kind}Type"), bare(name).to_owned()));
        }
    });
    if let Some(name) = row.get("spec.configuration").and_then(Value::as_str) {
        out.push((CONFIGURATION.to_owned(), bare(name).to_owned()));
    }
    out
}

/// Everything that uses an object, directly.
fn users(store: &Store, kind: &str, name: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for user in ["Source", "Processor", "Destination", "Extension", "Connector", CONFIGURATION, "Fleet"] {
        for row in store.rows(user) {
            let own = row.get("spec.type").and_then(Value::as_str).map(bare);
            let typed = kind == format!("{user}Type") && own == Some(name);
            if typed || uses(row).iter().any(|(known, used)| known == kind && used == name) {
                out.push((user.to_owned(), row.id.clone()));
            }
        }
    }
    out
}

/// Parameters that a type makes sensitive.
fn sensitive(store: &Store, kind: &str, name: Option<&Value>) -> Vec<String> {
    let Some(name) = name.and_then(Value::as_str) else { return Vec::new() };
    let definitions = store.get(kind, bare(name)).and_then(|row| row.get("spec.parameters")).and_then(Value::as_array);
    let is = |definition: &&Value| get_path(definition, "options.sensitive") == Some(&Value::Bool(true));
    definitions.into_iter().flatten().filter(is).filter_map(|one| one.get("name").and_then(text)).collect()
}

/// Puts what is stored in the place of placeholders.
fn unmask(parameters: Option<&mut Value>, stored: Option<&Value>) {
    for parameter in parameters.and_then(Value::as_array_mut).into_iter().flatten() {
        let known = stored.and_then(Value::as_array).into_iter().flatten();
        let kept = known.filter(|one| one.get("name") == parameter.get("name")).find_map(|one| one.get("value"));
        if let (Some(Value::String(value)), Some(kept)) = (parameter.get("value"), kept)
            && value == MASK
        {
            parameter["value"] = kept.clone();
        }
    }
}

fn mask(parameters: Option<&mut Value>, names: &[String]) {
    for parameter in parameters.and_then(Value::as_array_mut).into_iter().flatten() {
        let name = parameter.get("name").and_then(text).unwrap_or_default();
        if names.contains(&name) {
            parameter["sensitive"] = true.into();
            parameter["value"] = MASK.into();
        }
    }
}

/// Makes the routes that components of the second form have none of, to all destinations; those that lead nowhere are
/// refused.
fn route(spec: &mut Map<String, Value>) -> Result<(), Refusal> {
    let id_of = |item: &Value| item.get("id").and_then(text).unwrap_or_default();
    let items =
        |spec: &Map<String, Value>, list: &str| spec.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let known: Vec<String> = LISTS
        .iter()
        .flat_map(|(list, _)| {
            items(spec, list).iter().map(|item| format!("{list}/{}", id_of(item))).collect::<Vec<_>>()
        })
        .collect();
    let all: Vec<&String> = known.iter().filter(|id| id.starts_with("destinations/")).collect();
    for list in ["sources", "processors", "connectors"] {
        for item in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let id = id_of(item);
            let own = item.get("routes").and_then(Value::as_object).filter(|routes| !routes.is_empty());
            if own.is_none() && !all.is_empty() {
                item["routes"] = json!({ "logs+metrics+traces": [{ "id": format!("r-{id}"), "components": all }] });
            }
            let routes = item.get("routes").and_then(Value::as_object).into_iter().flat_map(Map::values);
            let targets =
                routes.filter_map(Value::as_array).flatten().filter_map(|route| route.get("components")?.as_array());
            if let Some(astray) = targets.flatten().filter_map(text).find(|target| !known.contains(target)) {
                return Err(Refusal::new(400, format!("route to unknown component `{astray}`")));
            }
        }
    }
    Ok(())
}

/// A hash of what is in a resource.
fn digest(row: &Row) -> String {
    let mut content = row.attributes.clone();
    content.shift_remove("status");
    for name in ["id", "version", "hash", "dateModified"] {
        super::desk::remove_path(&mut content, &format!("metadata.{name}"));
    }
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(&Value::Object(content).to_string(), &mut hasher);
    format!("{:016x}", std::hash::Hasher::finish(&hasher))
}

/// Gives a configuration a new version, or edits its draft: one that was never rolled out.
fn new_version(row: &mut Row) {
    let current = row.get("status.currentVersion").and_then(Value::as_u64).unwrap_or(0);
    let started = row.get("status.rollout.status").and_then(Value::as_u64).unwrap_or(0) > 0;
    let now = version(row);
    if now == current || started || row.get("status.rollout.stage").and_then(Value::as_u64).unwrap_or(0) > 0 {
        set_path(&mut row.attributes, "metadata.version", (now + 1).into());
    }
    draft(row);
}

/// The state of a version that was never rolled out.
fn draft(row: &mut Row) {
    let stages = stages(row);
    let rollout = json!({
        "status": 0, "phase": 0, "stage": 0, "stages": stages, "options": null,
        "progress": {"completed": 0, "errors": 0, "pending": 0, "waiting": 0},
    });
    set_path(&mut row.attributes, "status.rollout", rollout);
    set_path(&mut row.attributes, "status.latest", true.into());
}

/// The stages of a progressive rollout; none of a standard one.
fn stages(row: &Row) -> Vec<Value> {
    if row.get("spec.rollout.type").and_then(Value::as_str) != Some("progressive") {
        return Vec::new();
    }
    let parameters = row.get("spec.rollout.parameters").and_then(Value::as_array);
    let stages = parameters.into_iter().flatten().find(|one| one.get("name") == Some(&json!("stages")));
    stages.and_then(|one| one.get("value")?.as_array().cloned()).unwrap_or_default()
}

impl Behaviour for Bindplane {
    fn before_write(&self, desk: &mut Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
        if change.shape.name() == "SecretKey" && change.old.is_none() {
            let number = desk.store.next_number("SecretKey");
            change.row.attributes.insert("key".into(), ulid(number).into());
        }
        let Some(kind) = change.shape.kind.apply.as_ref().map(|_| change.shape.name().to_owned()) else {
            return Ok(());
        };
        let old = change.old.as_ref();
        if old.is_none() {
            let number = desk.store.next_number(&kind);
            set_path(&mut change.row.attributes, "metadata.id", ulid(number).into());
        }
        let stored = old.and_then(|old| old.get("spec")).cloned().unwrap_or_default();
        if let Some(Value::Object(spec)) = change.row.attributes.get_mut("spec") {
            unmask(spec.get_mut("parameters"), stored.get("parameters"));
            let mut known: Vec<(Value, Value)> = Vec::new();
            let mut before = stored.as_object().cloned().unwrap_or_default();
            each_component(&mut before, &mut |component, _| {
                known.push((
                    component.get("id").cloned().unwrap_or_default(),
                    component.get("parameters").cloned().unwrap_or_default(),
                ));
            });
            each_component(spec, &mut |component, kind| {
                let id = component.get("id").filter(|id| !id.is_null() && **id != json!("")).cloned();
                let id = id.unwrap_or_else(|| {
                    let named = component.get("name").and_then(Value::as_str).map(|name| {
                        let letter = kind.chars().next().unwrap_or('c').to_ascii_lowercase();
                        format!("{letter}-{}", bare(name))
                    });
                    Value::from(named.unwrap_or_else(|| ulid(desk.store.next_number(CONFIGURATION))))
                });
                component.insert("id".into(), id.clone());
                let kept = known.iter().find(|(known, _)| *known == id).map(|(_, parameters)| parameters);
                unmask(component.get_mut("parameters"), kept);
            });
        }
        let form = change.row.get("apiVersion").and_then(text).unwrap_or_default();
        if kind == CONFIGURATION
            && !form.ends_with("/v1")
            && !form.is_empty()
            && let Some(Value::Object(spec)) = change.row.attributes.get_mut("spec")
        {
            route(spec)?;
        }
        Ok(())
    }

    fn after_write(&self, desk: &mut Desk<'_>, change: &Change<'_>) -> Result<(), Refusal> {
        if change.shape.kind.apply.is_none() {
            return Ok(());
        }
        let kind = change.shape.name();
        let Some(mut row) = desk.store.get(kind, &change.row.key).cloned() else { return Ok(()) };
        let same = change.old.as_ref().is_some_and(|old| old.attributes == row.attributes);
        if same {
            return Ok(());
        }
        set_path(&mut row.attributes, "metadata.dateModified", time_of(row.updated).to_string().into());
        let digest = digest(&row);
        set_path(&mut row.attributes, "metadata.hash", digest.into());
        match &change.old {
            None => {
                set_path(&mut row.attributes, "metadata.version", 1.into());
                if kind == CONFIGURATION {
                    draft(&mut row);
                }
            }
            Some(_) if COMPONENTS.contains(&kind) => {
                let next = version(&row) + 1;
                set_path(&mut row.attributes, "metadata.version", next.into());
            }
            Some(old) if kind == CONFIGURATION => {
                if old.get("spec") != row.get("spec") || old.get("apiVersion") != row.get("apiVersion") {
                    new_version(&mut row);
                }
            }
            Some(_) => {}
        }
        desk.store.put(kind, row);
        Ok(())
    }

    /// A configuration cannot be rendered where something that it names is neither stored nor sent with it, and a new
    /// connector has to be there before.
    fn before_apply(&self, store: &Store, resources: &[Resource<'_>]) -> Result<(), Refusal> {
        for resource in resources.iter().filter(|resource| resource.shape.name() == CONFIGURATION) {
            let row = Row { attributes: resource.body.as_object().cloned().unwrap_or_default(), ..Row::default() };
            for (kind, name) in uses(&row).into_iter().filter(|(kind, _)| !kind.ends_with("Type")) {
                let stored = store.get(&kind, &name).is_some();
                let sent = kind != "Connector"
                    && resources.iter().any(|other| other.shape.name() == kind && other.name == name);
                if !stored && !sent {
                    return Err(Refusal::new(400, format!("unknown {kind} `{name}`")));
                }
            }
        }
        Ok(())
    }

    fn moved_along(&self, desk: &mut Desk<'_>, shape: &Shape, row: &Row) -> Vec<(String, String)> {
        if !COMPONENTS.contains(&shape.name()) || shape.name().ends_with("Type") {
            return Vec::new();
        }
        let mut open = vec![(shape.name().to_owned(), row.id.clone())];
        let mut out: Vec<(String, String)> = Vec::new();
        while let Some((kind, name)) = open.pop() {
            for user in users(desk.store, &kind, &name) {
                if user.0 == "Fleet" || out.contains(&user) {
                    continue;
                }
                let Some(mut used) = desk.store.get(&user.0, &user.1).cloned() else { continue };
                // What it is made of moved, although it says the same.
                let moved = desk.store.get(&kind, &name).map(version).unwrap_or_default();
                let hash = format!("{}{moved:04x}", digest(&used));
                set_path(&mut used.attributes, "metadata.hash", hash.into());
                if user.0 == CONFIGURATION {
                    new_version(&mut used);
                } else {
                    let next = version(&used) + 1;
                    set_path(&mut used.attributes, "metadata.version", next.into());
                    open.push(user.clone());
                }
                desk.store.put(&user.0, used);
                out.push(user);
            }
        }
        out
    }

    fn before_delete(&self, desk: &mut Desk<'_>, shape: &Shape, row: &Row) -> Result<(), Refusal> {
        let users = users(desk.store, shape.name(), &row.id);
        if users.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = users.into_iter().map(|(kind, name)| format!("{kind} {name}")).collect();
        Err(Refusal::new(409, format!("Dependent resources: {}", names.join(", "))))
    }

    fn ripen(&self, desk: &mut Desk<'_>, shape: &Shape, key: &str) -> Result<(), Refusal> {
        if shape.kind.apply.is_none() {
            return Ok(());
        }
        let Some(mut row) = desk.store.get(shape.name(), key).cloned() else { return Ok(()) };
        let by_id = shape.kind.spec.id.path.first().is_some_and(|path| path == "metadata.id");
        let id = if by_id { row.id.clone() } else { ulid(desk.store.next_number(shape.name())) };
        set_path(&mut row.attributes, "metadata.id", id.into());
        set_path(&mut row.attributes, "metadata.version", 1.into());
        if shape.name() == CONFIGURATION {
            draft(&mut row);
            finish(&mut row);
        }
        desk.store.put(shape.name(), row);
        Ok(())
    }

    fn show(&self, glance: &Glance<'_>, attributes: &mut Fields) {
        if glance.shape.kind.apply.is_none() {
            return;
        }
        let mut row = glance.row.clone();
        row.attributes.entry("apiVersion").or_insert_with(|| "bindplane.observiq.com/v1".into());
        row.attributes.insert("kind".into(), glance.shape.name().into());
        let store = glance.store;
        let own_type = row.get("spec.type").cloned();
        let named = |kind: &str, name: &str| {
            let version = store.get(kind, bare(name)).map(version).filter(|version| *version > 0);
            Value::from(version.map_or_else(|| name.to_owned(), |version| format!("{}:{version}", bare(name))))
        };
        if let Some(Value::Object(spec)) = row.attributes.get_mut("spec") {
            let kind = format!("{}Type", glance.shape.name());
            mask(spec.get_mut("parameters"), &sensitive(store, &kind, own_type.as_ref()));
            if let Some(Value::String(name)) = spec.get("type") {
                let shown = named(&kind, name);
                spec.insert("type".into(), shown);
            }
            each_component(spec, &mut |component, kind| {
                let of = format!("{kind}Type");
                let hidden = sensitive(store, &of, component.get("type"));
                mask(component.get_mut("parameters"), &hidden);
                for (member, kind) in [("name", kind), ("type", of.as_str())] {
                    if let Some(Value::String(name)) = component.get(member) {
                        let shown = named(kind, name);
                        component.insert(member.into(), shown);
                    }
                }
            });
        }
        *attributes = row.attributes;
    }

    fn own_call(&self, sim: &Simulation, store: &mut Store, request: &Request<'_>) -> Option<Result<Answer, Refusal>> {
        let parts: Vec<&str> = request.parts.iter().map(String::as_str).collect();
        match (request.method, parts.as_slice()) {
            ("GET", ["version"]) => {
                Some(Ok(Answer::new(StatusCode::OK, json!({"tag": "v1.99.0", "commit": "0000000"}))))
            }
            ("GET", ["rollouts", name, "status"]) => Some(rollout(sim, store, request, name, go_on)),
            ("POST", ["rollouts", name, "start"]) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                if !body.is_object() {
                    return Some(Err(Refusal::new(400, "The body must be JSON.")));
                }
                Some(rollout(sim, store, request, name, start))
            }
            ("PUT", ["rollouts", name, "pause"]) => Some(rollout(sim, store, request, name, |row, _| {
                set_path(&mut row.attributes, "status.rollout.status", 2.into());
            })),
            ("PUT", ["rollouts", name, "resume"]) => Some(rollout(sim, store, request, name, |row, _| {
                set_path(&mut row.attributes, "status.rollout.status", 1.into());
            })),
            _ => None,
        }
    }

    fn secret_names(&self, _: &Store) -> Vec<String> {
        vec!["value".to_owned()]
    }
}

/// Changes the rollout of a configuration, and shows it.
fn rollout(
    sim: &Simulation,
    store: &mut Store,
    request: &Request<'_>,
    name: &str,
    change: fn(&mut Row, u64),
) -> Result<Answer, Refusal> {
    let mut row = store.get(CONFIGURATION, bare(name)).cloned().ok_or_else(Refusal::absent)?;
    let agents = agents(store, &row);
    change(&mut row, agents);
    store.put(CONFIGURATION, row.clone());
    let shape = sim.shape(CONFIGURATION).ok_or_else(Refusal::absent)?;
    let renderer = Renderer { sim, store, reader: &request.reader, query: &request.query };
    let shown = Value::Object(renderer.attributes(shape, &row, View::Written));
    Ok(Answer::new(StatusCode::ACCEPTED, json!({ "configuration": shown })))
}

/// How many agents a configuration has.
fn agents(store: &Store, row: &Row) -> u64 {
    let selector = row.get("spec.selector.matchLabels").and_then(Value::as_object);
    let is_its = |agent: &&Row| {
        let labels = agent.get("labels");
        let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(text);
        match label("configuration") {
            Some(name) => name == row.id,
            None => selector.is_some_and(|selector| {
                !selector.is_empty() && selector.iter().all(|(name, value)| label(name) == text(value))
            }),
        }
    };
    store.rows("Agent").filter(is_its).count() as u64
}

fn start(row: &mut Row, agents: u64) {
    let state = row.get("status.rollout.status").and_then(Value::as_u64).unwrap_or(0);
    if state > 2 || row.get("status.currentVersion").and_then(Value::as_u64) == Some(version(row)) {
        return;
    }
    set_path(&mut row.attributes, "status.rollout.status", 1.into());
    let pending = version(row);
    set_path(&mut row.attributes, "status.pendingVersion", pending.into());
    set_path(&mut row.attributes, "status.rollout.progress.waiting", agents.into());
    if agents == 0 && stages(row).is_empty() {
        finish(row);
    }
}

/// What is under way is done with the next look; of a progressive rollout, one stage.
fn go_on(row: &mut Row, agents: u64) {
    if row.get("status.rollout.status").and_then(Value::as_u64) != Some(1) {
        return;
    }
    let last = stages(row).len() as u64;
    let stage = row.get("status.rollout.stage").and_then(Value::as_u64).unwrap_or(0) + 1;
    if stage < last {
        set_path(&mut row.attributes, "status.rollout.status", 0.into());
        set_path(&mut row.attributes, "status.rollout.stage", stage.into());
        return;
    }
    set_path(&mut row.attributes, "status.rollout.progress.waiting", 0.into());
    set_path(&mut row.attributes, "status.rollout.progress.completed", agents.into());
    finish(row);
}

fn finish(row: &mut Row) {
    let now = version(row);
    set_path(&mut row.attributes, "status.rollout.status", 4.into());
    set_path(&mut row.attributes, "status.currentVersion", now.into());
    if let Some(Value::Object(status)) = row.attributes.get_mut("status") {
        status.shift_remove("pendingVersion");
    }
}
