//! A console of Cycloid, small: collections by path, and answers in each of the ways that are documented.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::support::wild::{Asked, Reply};

/// Collections whose objects are named by a number.
const NUMBERED: &[&str] = &["external_backends", "quotas", "members", "resources"];
/// Lists without a `pagination` object.
const PLAIN: &[&str] = &["api_keys", "infra_policies", "kpis", "components", "external_backends", "inventory"];
/// Reads that document no 404.
const NOT_FOUND: &[&str] = &["config_repositories", "service_catalog_sources", "external_backends", "kpis"];

/// What there is, and how it is told.
pub(super) struct Console {
    /// Objects by collection and name, as answers show them.
    pub(super) objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Answers with one object have no envelope.
    pub(super) bare: bool,
    /// Objects on a page at most.
    pub(super) page: usize,
    next: u64,
    clock: u64,
}

impl Default for Console {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), bare: false, page: 1000, next: 100, clock: 1_700_000_000 }
    }
}

pub(super) fn errors(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"errors": [{"message": message, "code": "Invalid", "details": []}]}))
}

impl Console {
    /// Puts an object there.
    pub(super) fn put(&mut self, collection: &str, mut object: Value) {
        self.next += 1;
        self.clock += 1;
        let number = NUMBERED.contains(&last(collection));
        object["id"] = self.next.into();
        if object.get("created_at").is_none() {
            object["created_at"] = self.clock.into();
        }
        object["updated_at"] = self.clock.into();
        let name = if number { self.next.to_string() } else { name_of(&object) };
        self.objects.entry(collection.to_owned()).or_default().insert(name, object);
    }

    /// An object by the path of its item.
    pub(super) fn at(&mut self, path: &str) -> Option<&mut Value> {
        let (collection, name) = path.rsplit_once('/')?;
        self.objects.get_mut(collection)?.get_mut(name)
    }

    /// Moves the time of an object's change on.
    pub(super) fn touch(&mut self, path: &str) {
        self.clock += 1;
        let now = self.clock;
        if let Some(object) = self.at(path) {
            object["updated_at"] = now.into();
        }
    }

    fn one(&self, object: &Value) -> Reply {
        Reply::json(200, &if self.bare { object.clone() } else { json!({"data": object}) })
    }

    pub(super) fn answer(&mut self, asked: &Asked) -> Reply {
        if asked.header("authorization") != Some("Bearer token-of-the-caller") {
            return errors(401, "The token is not valid.");
        }
        match asked.method.as_str() {
            "GET" => self.get(asked),
            "POST" => self.create(asked),
            "PUT" => self.update(asked),
            "DELETE" if self.remove(&asked.path) => Reply::empty(204),
            "DELETE" => absent(&asked.path),
            _ => errors(405, "The method is not allowed."),
        }
    }

    fn get(&mut self, asked: &Asked) -> Reply {
        if let Some(object) = self.at(&asked.path).cloned() {
            return self.one(&object);
        }
        let is_collection = known(&asked.path);
        let Some(objects) = self.objects.get(&asked.path).or(is_collection.then_some(&EMPTY)) else {
            return absent(&asked.path);
        };
        let number = |name: &str, usual: usize| asked.query(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
        let size = number("page_size", 1000).min(self.page);
        let first = (number("page_index", 1) - 1) * size;
        let rows: Vec<Value> = objects
            .values()
            .skip(first)
            .take(size)
            .map(|object| {
                let mut object = object.clone();
                // Lists of credentials have no secrets.
                if last(&asked.path) == "credentials" {
                    object.as_object_mut().unwrap().remove("raw");
                }
                object
            })
            .collect();
        let mut body = json!({"data": rows});
        if !PLAIN.contains(&last(&asked.path)) {
            body["pagination"] = json!({"index": first / size + 1, "size": size, "total": objects.len()});
        }
        Reply::json(200, &body)
    }

    fn create(&mut self, asked: &Asked) -> Reply {
        let collection = asked.path.trim_end_matches('/').to_owned();
        let object = shown(&asked.body, None);
        let exists = self.objects.get(&collection).is_some_and(|known| known.contains_key(&name_of(&object)));
        if exists && !NUMBERED.contains(&last(&collection)) {
            return errors(422, "The canonical already exists.");
        }
        self.put(&collection, object);
        if last(&collection) == "resources" {
            return Reply::empty(204);
        }
        let newest = self.objects[&collection].values().max_by_key(|object| object["id"].as_u64()).cloned().unwrap();
        // The answer to a create of a role is the request.
        if last(&collection) == "roles" {
            return Reply::json(200, &json!({"data": asked.body}));
        }
        self.one(&newest)
    }

    fn update(&mut self, asked: &Asked) -> Reply {
        let Some(old) = self.at(&asked.path).cloned() else { return absent(&asked.path) };
        let collection = asked.path.rsplit_once('/').unwrap().0;
        if last(collection) == "projects" {
            match asked.body.get("updated_at") {
                None => return errors(422, "updated_at is required"),
                Some(given) if *given != old["updated_at"] => {
                    return errors(422, "The project changed since it was read.");
                }
                Some(_) => {}
            }
        }
        let object = shown(&asked.body, Some(&old));
        *self.at(&asked.path).unwrap() = object;
        self.touch(&asked.path);
        let now = self.at(&asked.path).cloned().unwrap();
        self.one(&now)
    }

    fn remove(&mut self, path: &str) -> bool {
        let Some((collection, name)) = path.rsplit_once('/') else { return false };
        self.objects.get_mut(collection).is_some_and(|objects| objects.remove(name).is_some())
    }
}

static EMPTY: BTreeMap<String, Value> = BTreeMap::new();

/// Whether a path is that of a collection; those that the console does not offer are none.
fn known(path: &str) -> bool {
    const COLLECTIONS: &[&str] = &[
        "roles",
        "teams",
        "members",
        "credentials",
        "config_repositories",
        "service_catalog_sources",
        "service_catalogs",
        "projects",
        "environments",
        "components",
        "kpis",
        "external_backends",
        "resource_pools",
        "quotas",
        "infra_policies",
        "api_keys",
        "organizations",
        "inventory",
    ];
    COLLECTIONS.contains(&last(path))
}

fn absent(path: &str) -> Reply {
    let collection = path.rsplit_once('/').map_or("", |(collection, _)| last(collection));
    if NOT_FOUND.contains(&collection) { errors(422, "The entity was not found.") } else { errors(404, "Not Found") }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn name_of(object: &Value) -> String {
    let name = object.get("canonical").or_else(|| object.get("name")).and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}

/// What a request makes of an object: what it leaves out is gone, names of others are shown as objects.
fn shown(request: &Value, old: Option<&Value>) -> Value {
    let mut out = Map::new();
    for (name, value) in request.as_object().into_iter().flatten() {
        match name.as_str() {
            "owner" => out.insert(
                "owner".into(),
                json!({"username": value, "email": format!("{}@example.com", value.as_str().unwrap_or_default())}),
            ),
            "roles_canonical" => {
                let roles =
                    value.as_array().unwrap().iter().map(|role| json!({"canonical": role, "id": 7, "name": role}));
                out.insert("roles".into(), roles.collect())
            }
            "team_canonical" => out.insert("team".into(), json!({"canonical": value})),
            "service_catalog_ref" => out.insert("service_catalog".into(), json!({"ref": value})),
            _ => out.insert(name.clone(), value.clone()),
        };
    }
    if let Some(old) = old {
        for name in ["id", "created_at", "updated_at", "canonical", "service_catalog", "in_use", "keys"] {
            if let (Some(value), false) = (old.get(name), out.contains_key(name)) {
                out.insert(name.to_owned(), value.clone());
            }
        }
        if old.get("owner").is_some() && !out.contains_key("owner") {
            out.insert("owner".into(), Value::Null);
        }
    }
    Value::Object(out)
}
