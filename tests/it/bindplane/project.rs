//! A project of Bindplane, small, written from the vendor's documents and public clients and not from plumb's
//! description.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::support::wild::{Asked, Reply};

const LISTS: [(&str, &str); 5] = [
    ("sources", "Source"),
    ("processors", "Processor"),
    ("destinations", "Destination"),
    ("extensions", "Extension"),
    ("connectors", "Connector"),
];

/// What is stored, and how the server is.
pub(super) struct Project {
    pub(super) stored: BTreeMap<(String, String), Value>,
    pub(super) tag: &'static str,
    pub(super) agents: Vec<Value>,
    /// How many agents are given at a time.
    pub(super) agents_at_once: usize,
    pub(super) users: Vec<Value>,
    /// Components that are meant by name are shown without their ids.
    pub(super) hides_ids: bool,
    /// Names that nothing is stored under: they are `invalid`.
    pub(super) invalid: Vec<&'static str>,
    /// Names that do not parse: the whole call is refused.
    pub(super) unparsable: Vec<&'static str>,
    /// Updates are answered in another order, and with what moved along.
    pub(super) shuffled: bool,
    /// Updates are answered without a word.
    pub(super) silent: bool,
    /// How rollouts go on when they are looked at: status and stage.
    pub(super) goes_on: Vec<(u64, u64)>,
    ids: u64,
}

impl Project {
    pub(super) fn new() -> Self {
        let sensitive = json!([{"name": "hostname", "type": "string"},
            {"name": "token", "type": "string", "options": {"sensitive": true}}]);
        let mut stored = BTreeMap::new();
        for (kind, name, parameters) in [
            ("SourceType", "host", json!([])),
            ("SourceType", "filelog", json!([])),
            ("ProcessorType", "filter", json!([])),
            ("ProcessorType", "batch", json!([])),
            ("DestinationType", "splunkhec", sensitive),
            ("DestinationType", "logging", json!([])),
        ] {
            stored.insert(
                (kind.into(), name.into()),
                json!({"apiVersion": "bindplane.observiq.com/v1", "kind": kind,
                    "metadata": {"id": name, "name": name, "version": 3}, "spec": {"parameters": parameters}}),
            );
        }
        Self {
            stored,
            tag: "v1.99.1",
            agents: Vec::new(),
            agents_at_once: 1000,
            users: Vec::new(),
            hides_ids: false,
            invalid: Vec::new(),
            unparsable: Vec::new(),
            shuffled: false,
            silent: false,
            goes_on: vec![(4, 0)],
            ids: 0,
        }
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> &Value {
        &self.stored[&(kind.to_owned(), name.to_owned())]
    }

    pub(super) fn get_mut(&mut self, kind: &str, name: &str) -> &mut Value {
        self.stored.get_mut(&(kind.to_owned(), name.to_owned())).unwrap()
    }

    pub(super) fn names(&self, kind: &str) -> Vec<&str> {
        self.stored.keys().filter(|(own, _)| own == kind).map(|(_, name)| name.as_str()).collect()
    }

    /// A new version that somebody else made, in the browser.
    pub(super) fn move_on(&mut self, name: &str) {
        let row = self.get_mut("Configuration", name);
        row["spec"]["measurementInterval"] = "1m".into();
        let version = row["metadata"]["version"].as_u64().unwrap() + 1;
        row["metadata"]["version"] = version.into();
        row["status"]["rollout"] = json!({"status": 0, "stage": 0, "progress": {}});
        other_content(row);
    }

    /// Somebody edits the newest version, which nobody rolled out, in place.
    pub(super) fn edit_draft(&mut self, name: &str) {
        let row = self.get_mut("Configuration", name);
        row["spec"]["measurementInterval"] = "15m".into();
        other_content(row);
    }

    fn ulid(&mut self) -> String {
        self.ids += 1;
        format!("01HZ{:022}", self.ids)
    }

    pub(super) fn answer(&mut self, asked: &Asked) -> Reply {
        assert_eq!(asked.header("x-bindplane-api-key"), Some(super::KEY));
        let path = asked.path.strip_prefix("/v1/").unwrap_or_else(|| panic!("{}", asked.path)).to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["version"]) => Reply::json(200, &json!({"tag": self.tag, "commit": "abc"})),
            ("GET", ["agents"]) => {
                let number = |name: &str| asked.query(name).and_then(|words| words.parse::<usize>().ok());
                let (from, most) = (number("offset").unwrap_or(0), number("limit").unwrap_or(1000));
                let agents = self.agents.iter().skip(from).take(most.min(self.agents_at_once));
                Reply::json(200, &json!({"agents": agents.collect::<Vec<_>>()}))
            }
            ("GET", ["users"]) => Reply::json(200, &json!({"users": self.users})),
            ("POST", ["users"]) => {
                let user = json!({"id": self.ulid(), "email": asked.body["email"]});
                self.users.push(user.clone());
                Reply::json(201, &json!({"user": user}))
            }
            ("DELETE", ["users", id]) => {
                self.users.retain(|user| user["id"] != *id);
                Reply::empty(204)
            }
            ("POST", ["apply"]) => self.apply(&asked.body),
            ("POST", ["delete"]) => self.delete_many(&asked.body),
            ("POST", ["rollouts", name, "start"]) => {
                assert!(asked.body.is_object(), "an empty body is refused");
                self.start(name)
            }
            ("GET", ["rollouts", name, "status"]) => self.status(name),
            ("GET", ["resources", kind]) => self.list(kind, "resources"),
            ("GET", [list]) => match kind_of(list) {
                Some(kind) => self.list(&kind, &camel(list)),
                None => Reply::json(404, &json!({"errors": ["not found"]})),
            },
            ("GET", [list, name]) => self.one(&kind_of(list).unwrap(), name),
            ("DELETE", [list, name]) => self.delete(&kind_of(list).unwrap(), name),
            ("DELETE", ["resources", kind, name]) => self.delete(kind, name),
            (method, _) => panic!("{method} {path}"),
        }
    }

    fn list(&self, kind: &str, member: &str) -> Reply {
        let rows: Vec<Value> =
            self.stored.iter().filter(|((own, _), _)| own == kind).map(|(_, row)| self.shown(row)).collect();
        let rows = if rows.is_empty() { Value::Null } else { rows.into() };
        Reply::json(200, &json!({ member: rows }))
    }

    fn one(&self, kind: &str, name: &str) -> Reply {
        match self.stored.get(&(kind.to_owned(), name.to_owned())) {
            Some(row) => Reply::json(200, &json!({ lower(kind): self.shown(row) })),
            None => Reply::json(404, &json!({"error": "not found", "code": "NOT_FOUND"})),
        }
    }

    /// A resource as answers have it: names with their versions, sensitive values masked.
    fn shown(&self, row: &Value) -> Value {
        let mut row = row.clone();
        let kind = row["kind"].as_str().unwrap().to_owned();
        let versioned = |kind: &str, name: &Value| -> Value {
            let name = name.as_str().unwrap();
            let version = self
                .stored
                .get(&(kind.to_owned(), name.to_owned()))
                .map_or(1, |row| row["metadata"]["version"].as_u64().unwrap_or(1));
            format!("{name}:{version}").into()
        };
        let hidden = |kind: &str, name: &Value| -> Vec<String> {
            let row = name.as_str().and_then(|name| self.stored.get(&(kind.to_owned(), name.to_owned())));
            let parameters = row.and_then(|row| row["spec"]["parameters"].as_array().cloned()).unwrap_or_default();
            let sensitive = parameters.iter().filter(|one| one["options"]["sensitive"] == true);
            sensitive.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        let mask = |owner: &mut Map<String, Value>, hidden: &[String]| {
            for one in owner.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                if hidden.iter().any(|name| one["name"] == name.as_str()) {
                    one["value"] = "(sensitive)".into();
                    one["sensitive"] = true.into();
                }
            }
        };
        let spec = row["spec"].as_object_mut().unwrap();
        if let Some(name) = spec.get("type").cloned() {
            let of = format!("{kind}Type");
            mask(spec, &hidden(&of, &name));
            spec.insert("type".into(), versioned(&of, &name));
        }
        components(spec, &mut |component, kind| {
            let of = format!("{kind}Type");
            if let Some(name) = component.get("type").cloned() {
                mask(component, &hidden(&of, &name));
                component.insert("type".into(), versioned(&of, &name));
            }
            if let Some(name) = component.get("name").cloned() {
                component.insert("name".into(), versioned(kind, &name));
                if self.hides_ids {
                    component.remove("id");
                }
            }
        });
        row
    }

    fn apply(&mut self, body: &Value) -> Reply {
        let resources = body["resources"].as_array().unwrap().clone();
        for resource in &resources {
            let members: Vec<&str> = resource.as_object().unwrap().keys().map(String::as_str).collect();
            let known = ["apiVersion", "kind", "metadata", "spec", "status"];
            assert!(members.iter().all(|member| known.contains(member)), "{members:?}");
            assert!(resource["apiVersion"].as_str().unwrap().starts_with("bindplane.observiq.com/v"));
            if self.unparsable.contains(&resource["metadata"]["name"].as_str().unwrap()) {
                return Reply::json(400, &json!({"errors": ["cannot parse"]}));
            }
            for (kind, name) in uses(resource).into_iter().filter(|(kind, _)| !kind.ends_with("Type")) {
                let sent = kind != "Connector"
                    && resources.iter().any(|one| one["kind"] == *kind && one["metadata"]["name"] == *name);
                if !sent && !self.stored.contains_key(&(kind.clone(), name.clone())) {
                    return Reply::json(400, &json!({"errors": [format!("unknown {kind} {name}")]}));
                }
            }
        }
        let mut updates = Vec::new();
        for resource in resources {
            updates.extend(self.take(resource));
        }
        if self.shuffled {
            updates.reverse();
        }
        if self.silent {
            return Reply::json(202, &json!({}));
        }
        Reply::json(202, &json!({ "updates": updates }))
    }

    fn take(&mut self, mut resource: Value) -> Vec<Value> {
        let kind = resource["kind"].as_str().unwrap().to_owned();
        let name = resource["metadata"]["name"].as_str().unwrap().to_owned();
        let key = (kind.clone(), name.clone());
        let update = |status: &str, resource: Value, reason: Option<&str>| {
            let mut update = json!({"resource": resource, "status": status});
            if let Some(reason) = reason {
                update["reason"] = reason.into();
            }
            update
        };
        // Processed in the order of the payload: what is not stored yet is not known.
        let missing = uses(&resource).into_iter().find(|used| !self.stored.contains_key(used));
        if self.invalid.contains(&name.as_str()) || missing.is_some() {
            let reason =
                missing.map_or("value out of range".to_owned(), |(kind, name)| format!("unknown {kind}: {name}"));
            return vec![update("invalid", json!({"kind": kind, "metadata": {"name": name}}), Some(&reason))];
        }
        let old = self.stored.get(&key).cloned();
        let stored = old.as_ref().map(|old| old["spec"].clone()).unwrap_or_default();
        let mut known = Vec::new();
        let mut before = stored.as_object().cloned().unwrap_or_default();
        components(&mut before, &mut |component, _| known.push(component.clone()));
        let spec = resource["spec"].as_object_mut().unwrap();
        keep(spec, stored["parameters"].as_array());
        let mut fresh = self.ids;
        components(spec, &mut |component, kind| {
            let named = component
                .get("name")
                .and_then(Value::as_str)
                .map(|name| format!("{}-{name}", &kind[..1].to_lowercase()));
            let id = component.get("id").and_then(Value::as_str).map(str::to_owned).or(named).unwrap_or_else(|| {
                fresh += 1;
                format!("01HZ{fresh:022}")
            });
            let old = known.iter().find(|old| old["id"] == id.as_str());
            keep(component, old.and_then(|old| old.get("parameters")?.as_array()));
            component.insert("id".into(), id.into());
        });
        self.ids = fresh;
        if let Err(reason) = lead(&mut resource) {
            return vec![update("invalid", json!({"kind": kind, "metadata": {"name": name}}), Some(&reason))];
        }
        resource.as_object_mut().unwrap().remove("status");
        for member in ["hash", "dateModified", "version", "id"] {
            resource["metadata"].as_object_mut().unwrap().remove(member);
        }
        let Some(old) = old else {
            resource["metadata"]["id"] = self.ulid().into();
            resource["metadata"]["version"] = 1.into();
            if kind == "Configuration" {
                resource["metadata"]["hash"] = "h1".into();
                resource["status"] = json!({"rollout": {"status": 0, "stage": 0, "progress": {}}, "latest": true});
            }
            self.stored.insert(key, resource.clone());
            return vec![update("created", self.shown(&resource), None)];
        };
        let mut plain = old.clone();
        plain.as_object_mut().unwrap().remove("status");
        for member in ["id", "version", "hash"] {
            plain["metadata"].as_object_mut().unwrap().remove(member);
        }
        if plain == resource {
            return vec![update("unchanged", self.shown(&old), None)];
        }
        resource["metadata"]["id"] = old["metadata"]["id"].clone();
        resource["metadata"]["version"] = old["metadata"]["version"].clone();
        if kind == "Configuration" {
            resource["metadata"]["hash"] = old["metadata"]["hash"].clone();
            resource["status"] = old["status"].clone();
            if old["spec"] != resource["spec"] || old["apiVersion"] != resource["apiVersion"] {
                next_version(&mut resource);
            }
        } else {
            resource["metadata"]["version"] = (old["metadata"]["version"].as_u64().unwrap() + 1).into();
        }
        self.stored.insert(key, resource.clone());
        let mut out = vec![update("configured", self.shown(&resource), None)];
        for moved in self.move_along(&kind, &name) {
            out.push(update("configured", moved, None));
        }
        out
    }

    /// What uses a changed component is applied again.
    fn move_along(&mut self, kind: &str, name: &str) -> Vec<Value> {
        let users: Vec<(String, String)> = self
            .stored
            .iter()
            .filter(|(_, row)| uses(row).iter().any(|(used, own)| used == kind && own == name))
            .map(|(key, _)| key.clone())
            .collect();
        let mut out = Vec::new();
        for key in users {
            let row = self.stored.get_mut(&key).unwrap();
            if key.0 == "Configuration" {
                next_version(row);
            } else {
                row["metadata"]["version"] = (row["metadata"]["version"].as_u64().unwrap() + 1).into();
            }
            let row = row.clone();
            out.push(self.shown(&row));
            out.extend(self.move_along(&key.0, &key.1));
        }
        out
    }

    fn users(&self, kind: &str, name: &str) -> Vec<String> {
        let used = |row: &&Value| uses(row).iter().any(|(used, own)| used == kind && own == name);
        self.stored
            .values()
            .filter(used)
            .map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["metadata"]["name"].as_str().unwrap()))
            .collect()
    }

    fn delete(&mut self, kind: &str, name: &str) -> Reply {
        let users = self.users(kind, name);
        if !users.is_empty() {
            return Reply::json(409, &json!({"errors": [format!("Dependent resources: {}", users.join(", "))]}));
        }
        match self.stored.remove(&(kind.to_owned(), name.to_owned())) {
            Some(_) => Reply::empty(204),
            None => Reply::json(404, &json!({"errors": ["not found"]})),
        }
    }

    fn delete_many(&mut self, body: &Value) -> Reply {
        let mut updates = Vec::new();
        for resource in body["resources"].as_array().unwrap() {
            let (kind, name) = (resource["kind"].as_str().unwrap(), resource["metadata"]["name"].as_str().unwrap());
            let users = self.users(kind, name);
            if users.is_empty() {
                if self.stored.remove(&(kind.to_owned(), name.to_owned())).is_some() {
                    updates.push(json!({"resource": resource, "status": "deleted"}));
                }
            } else {
                updates.push(json!({"resource": resource, "status": "in-use", "reason": users.join(", ")}));
            }
        }
        Reply::json(202, &json!({"updates": updates}))
    }

    fn start(&mut self, name: &str) -> Reply {
        let row = self.get_mut("Configuration", name);
        let state = row["status"]["rollout"]["status"].as_u64().unwrap_or(0);
        assert!(state <= 2, "a rollout that ended is not started again");
        row["status"]["rollout"]["status"] = 1.into();
        let row = row.clone();
        Reply::json(202, &json!({"configuration": self.shown(&row)}))
    }

    fn status(&mut self, name: &str) -> Reply {
        let next = if self.goes_on.len() > 1 { self.goes_on.remove(0) } else { self.goes_on[0] };
        let row = self.get_mut("Configuration", name);
        if row["status"]["rollout"]["status"] == 1 {
            row["status"]["rollout"]["status"] = next.0.into();
            row["status"]["rollout"]["stage"] = next.1.into();
            if next.0 == 4 {
                row["status"]["currentVersion"] = row["metadata"]["version"].clone();
            }
        }
        let row = row.clone();
        Reply::json(202, &json!({"configuration": self.shown(&row)}))
    }
}

/// A new version where the latest one had a rollout; a draft is edited in place.
fn next_version(row: &mut Value) {
    let version = row["metadata"]["version"].as_u64().unwrap();
    let begun = row["status"]["rollout"]["status"].as_u64().unwrap_or(0) > 0
        || row["status"]["rollout"]["stage"].as_u64().unwrap_or(0) > 0
        || row["status"]["currentVersion"].as_u64() == Some(version);
    if begun {
        row["metadata"]["version"] = (version + 1).into();
    }
    row["status"]["rollout"] = json!({"status": 0, "stage": 0, "progress": {}});
    other_content(row);
}

/// Makes the routes that a configuration of the second form has none of, and refuses those that lead nowhere.
fn lead(resource: &mut Value) -> Result<(), String> {
    if resource["kind"] != "Configuration" || !resource["apiVersion"].as_str().unwrap().ends_with("v2") {
        return Ok(());
    }
    let spec = resource["spec"].as_object_mut().unwrap();
    let mut known = Vec::new();
    for (list, _) in LISTS {
        for item in spec.get(list).and_then(Value::as_array).into_iter().flatten() {
            known.push(format!("{list}/{}", item["id"].as_str().unwrap()));
        }
    }
    let destinations: Vec<&String> = known.iter().filter(|id| id.starts_with("destinations/")).collect();
    for list in ["sources", "processors", "connectors"] {
        for item in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if item.get("routes").is_none() && !destinations.is_empty() {
                let id = item["id"].as_str().unwrap();
                let routes = json!({"logs": [{"id": format!("r-{id}"), "components": destinations}]});
                item["routes"] = routes;
            }
            let routes = item["routes"].as_object().into_iter().flat_map(Map::values);
            for target in
                routes.flat_map(|one| one.as_array().unwrap()).flat_map(|one| one["components"].as_array().unwrap())
            {
                if !known.iter().any(|id| target == id.as_str()) {
                    return Err(format!("route to unknown component {target}"));
                }
            }
        }
    }
    Ok(())
}

/// A hash of what is in the newest version.
fn other_content(row: &mut Value) {
    let count: u64 = row["metadata"]["hash"].as_str().and_then(|hash| hash[1..].parse().ok()).unwrap_or_default();
    row["metadata"]["hash"] = format!("h{}", count + 1).into();
}

/// Stored values in the place of placeholders, by the parameter's name.
fn keep(owner: &mut Map<String, Value>, stored: Option<&Vec<Value>>) {
    for one in owner.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        one.as_object_mut().unwrap().remove("sensitive");
        let kept = stored.into_iter().flatten().find(|old| old["name"] == one["name"]);
        if let (Some("(sensitive)"), Some(kept)) = (one["value"].as_str(), kept) {
            one["value"] = kept["value"].clone();
        }
    }
}

fn components(owner: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Map<String, Value>, &str)) {
    for (list, kind) in LISTS {
        for item in owner.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let item = item.as_object_mut().unwrap();
            visit(item, kind);
            components(item, visit);
        }
    }
}

/// Kind and name of what a resource uses.
fn uses(resource: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut spec = resource["spec"].as_object().cloned().unwrap_or_default();
    let kind = resource["kind"].as_str().unwrap();
    if let Some(name) = spec.get("type").and_then(Value::as_str) {
        assert!(!name.contains(':'), "versions are trimmed: {name}");
        out.push((format!("{kind}Type"), name.to_owned()));
    }
    if let Some(name) = spec.get("configuration").and_then(Value::as_str) {
        out.push(("Configuration".into(), name.to_owned()));
    }
    components(&mut spec, &mut |component, kind| {
        for (member, kind) in [("name", kind.to_owned()), ("type", format!("{kind}Type"))] {
            if let Some(name) = component.get(member).and_then(Value::as_str) {
                assert!(!name.contains(':'), "versions are trimmed: {name}");
                out.push((kind, name.to_owned()));
            }
        }
    });
    out
}

fn kind_of(list: &str) -> Option<String> {
    let kinds = [
        ("sources", "Source"),
        ("processors", "Processor"),
        ("destinations", "Destination"),
        ("extensions", "Extension"),
        ("configurations", "Configuration"),
        ("fleets", "Fleet"),
        ("source-types", "SourceType"),
        ("processor-types", "ProcessorType"),
        ("destination-types", "DestinationType"),
        ("extension-types", "ExtensionType"),
    ];
    kinds.iter().find(|(path, _)| *path == list).map(|(_, kind)| (*kind).to_owned())
}

fn camel(list: &str) -> String {
    list.replace("-types", "Types")
}

fn lower(kind: &str) -> String {
    kind[..1].to_lowercase() + &kind[1..]
}
