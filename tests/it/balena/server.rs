//! A small server that behaves as the public one was observed to: public rows for bad tokens, silent successes, bare
//! words for answers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use plumb::{http::Pace, pipeline::Options};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::wild::{Asked, Reply, Wild};

/// The text of the variable that comes from elsewhere.
pub(super) const SECRET: &str = "correct-horse-battery";

/// What the server has, and how it behaves.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) sets: BTreeMap<String, Vec<Map<String, Value>>>,
    next: u64,
    pub(super) token_is_good: bool,
    pub(super) is_read_only: bool,
    pub(super) has_v7: bool,
    pub(super) has_whoami: bool,
    pub(super) repeats_bodies: bool,
    /// What it says of a refusal is a bare text, and no JSON.
    pub(super) plain_errors: bool,
    /// It has variables of builds.
    pub(super) builds: bool,
}

/// Attributes that are references.
const REFERENCES: [&str; 9] = [
    "organization",
    "is_for__device_type",
    "belongs_to__organization",
    "belongs_to__application",
    "is_of__device_type",
    "application",
    "device",
    "release",
    "service",
];
/// Sets that are there, each with its unique attributes.
const SETS: [(&str, &[&str]); 11] = [
    ("organization", &["handle"]),
    ("device_type", &["slug"]),
    ("application", &["slug"]),
    ("application_environment_variable", &["application", "name"]),
    ("application_config_variable", &["application", "name"]),
    ("application_tag", &["application", "tag_key"]),
    ("service", &["application", "service_name"]),
    ("device", &["uuid"]),
    ("device_tag", &["device", "tag_key"]),
    ("release", &["id"]),
    ("release_tag", &["release", "tag_key"]),
];
/// Properties that only other servers have.
const ELSEWHERE: [&str; 2] = ["custom_latitude", "custom_longitude"];

impl Shelf {
    fn new() -> Self {
        let mut shelf =
            Self { builds: true, token_is_good: true, has_v7: true, has_whoami: true, next: 100, ..Self::default() };
        shelf.put("organization", 1, &json!({"name": "Acme", "handle": "acme"}));
        shelf.put("organization", 9, &json!({"name": "Others", "handle": "others"}));
        shelf.put("device_type", 10, &json!({"slug": "nuc", "name": "NUC"}));
        shelf.put(
            "application",
            90,
            &json!({
                "app_name": "weather", "slug": "others/weather", "organization": 9, "is_for__device_type": 10,
                "is_public": true,
            }),
        );
        shelf
    }

    fn put(&mut self, set: &str, id: u64, row: &Value) {
        let mut row = row.as_object().unwrap().clone();
        row.insert("id".into(), id.into());
        self.sets.entry(set.into()).or_default().push(row);
    }

    pub(super) fn add(&mut self, set: &str, row: &Value) -> u64 {
        self.next += 1;
        self.put(set, self.next, row);
        self.next
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        let text = |status, words: &str| Reply::json(status, &words.into());
        if asked.path == "/actor/v1/whoami" {
            return match (self.has_whoami, self.token_is_good) {
                (false, _) => Reply::html(404, "Not found"),
                (true, false) => Reply::empty(401),
                (true, true) => {
                    Reply::json(200, &json!({"id": 5, "actorType": "user", "actorTypeId": 2, "username": "jane"}))
                }
            };
        }
        let Some(rest) = asked.path.strip_prefix("/v7/").filter(|_| self.has_v7) else {
            return Reply::html(404, "Not found");
        };
        let (set, key) = match rest.split_once('(') {
            Some((set, key)) => (set.to_owned(), key.strip_suffix(')').unwrap().parse::<u64>().ok()),
            None => (rest.to_owned(), None),
        };
        let Some((_, unique)) = SETS.iter().find(|(known, _)| *known == set) else { return Reply::empty(401) };
        let public = matches!(&*set, "application" | "device_type");
        if !self.token_is_good && (asked.method != "GET" || !public) {
            return Reply::empty(401);
        }
        if asked.method == "GET" {
            return self.list(&set, key, asked);
        }
        if self.is_read_only {
            return Reply::empty(401);
        }
        if self.repeats_bodies {
            return text(400, &format!("It is necessary that each row is right: {}", asked.body));
        }
        let body = asked.body.as_object().cloned().unwrap_or_default();
        if body.iter().any(|(name, value)| REFERENCES.contains(&&**name) && value.is_object()) {
            return Reply::empty(400);
        }
        match &*asked.method {
            "POST" => {
                let mut row = body;
                if set == "application" {
                    let name = row["app_name"].as_str().unwrap().to_lowercase();
                    row.insert("slug".into(), format!("acme/{name}").into());
                    row.insert("should_track_latest_release".into(), true.into());
                }
                let twin = |other: &Map<String, Value>| unique.iter().all(|name| other.get(*name) == row.get(*name));
                if self.sets.get(&set).is_some_and(|rows| rows.iter().any(twin)) {
                    let words = "\"application\" and \"name\" must be unique.";
                    let json = [("content-type", "application/json".into())].to_vec();
                    return if self.plain_errors { Reply::Answer(409, json, words.into()) } else { text(409, words) };
                }
                let id = self.add(&set, &row.into());
                let row = self.sets[&set].last().unwrap().clone();
                Reply::Answer(
                    201,
                    vec![("content-type", "application/json".into()), ("location", format!("/v7/{set}(@id)?@id={id}"))],
                    shown(&row).to_string(),
                )
            }
            "PATCH" => {
                let rows = self.sets.entry(set).or_default();
                for row in rows.iter_mut().filter(|row| key.is_none() || row["id"].as_u64() == key) {
                    row.extend(body.clone());
                }
                // What older deployments send.
                Reply::Answer(200, vec![("content-type", "text/html; charset=utf-8".into())], "OK".into())
            }
            "DELETE" => {
                let rows = self.sets.entry(set).or_default();
                rows.retain(|row| key.is_some() && row["id"].as_u64() != key);
                Reply::empty(200)
            }
            _ => Reply::empty(500),
        }
    }

    fn list(&self, set: &str, key: Option<u64>, asked: &Asked) -> Reply {
        let select = asked.query("$select").unwrap_or_default();
        if select.split(',').any(|name| ELSEWHERE.contains(&name)) {
            return Reply::empty(500);
        }
        if !self.builds && asked.query("$expand").is_some_and(|expand| expand.contains("build_environment_variable")) {
            return Reply::empty(500);
        }
        let filter = asked.query("$filter").unwrap_or_default();
        let all = self.sets.get(set).cloned().unwrap_or_default();
        let mut rows: Vec<&Map<String, Value>> = all
            .iter()
            .filter(|row| key.is_none() || row["id"].as_u64() == key)
            .filter(|row| self.token_is_good || row.get("is_public") == Some(&true.into()))
            .filter(|row| filter.is_empty() || fits(row, filter))
            .collect();
        rows.sort_by_key(|row| row["id"].as_u64());
        let top = asked.query("$top").map_or(usize::MAX, |top| top.parse().unwrap());
        let expand = asked.query("$expand").unwrap_or_default();
        let shown: Vec<Value> = rows.into_iter().take(top).map(|row| self.along(set, row, expand)).collect();
        Reply::json(200, &json!({ "d": shown }))
    }

    fn along(&self, set: &str, row: &Map<String, Value>, expand: &str) -> Value {
        let mut out = shown(row);
        for nav in expand.split("),").map(|part| part.split('(').next().unwrap()).filter(|nav| !nav.is_empty()) {
            let rows = self.sets.get(nav).into_iter().flatten();
            let own = rows.filter(|other| other.get(set) == row.get("id")).map(shown);
            out[nav] = own.collect();
        }
        out
    }
}

fn shown(row: &Map<String, Value>) -> Value {
    row.iter()
        .map(|(name, value)| {
            let refers = REFERENCES.contains(&&**name) && value.is_number();
            (name.clone(), if refers { json!({ "__id": value }) } else { value.clone() })
        })
        .collect::<Map<_, _>>()
        .into()
}

/// `a eq 1 and b in (1,2) and id gt 3`, as plumb writes it.
fn fits(row: &Map<String, Value>, filter: &str) -> bool {
    filter.replace(['(', ')'], " ").split(" and ").all(|part| {
        let part = part.trim();
        if part.contains("/any") {
            return row.get("organization") != Some(&9.into());
        }
        let (name, rest) = part.split_once(' ').unwrap();
        let (op, rest) = rest.split_once(' ').unwrap();
        let value = row.get(name).cloned().unwrap_or_default();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let literal = |word: &str| word.trim().trim_matches('\'').replace("''", "'");
        match op {
            "eq" => literal(rest) == text,
            "in" => rest.split(',').any(|word| literal(word) == text),
            "gt" => value.as_u64().unwrap() > literal(rest).parse::<u64>().unwrap(),
            other => panic!("`{other}` in `{filter}`"),
        }
    })
}

/// A stack in a temporary folder, with a connection to such a server.
pub(super) struct Balena {
    pub(super) folder: TempDir,
    pub(super) options: Options,
    pub(super) server: Wild,
    shelf: Arc<Mutex<Shelf>>,
}

impl Balena {
    pub(super) async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::new()));
        let kept = shelf.clone();
        let server = Wild::start(move |asked| kept.lock().unwrap().answer(asked)).await;
        let folder = TempDir::new().unwrap();
        let connection = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: main}}\nspec:\n  api: balena\n  url: {}\n  \
             auth: {{bearer: {{valueFrom: {{file: key}}}}}}\n",
            server.url
        );
        for (file, text) in [("key", "token-0123456789"), ("token", SECRET), ("connection.yaml", &connection)] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let pace = Pace {
            first_delay: Duration::from_millis(1),
            settle: Duration::from_millis(30),
            longest_delay: Duration::from_millis(5),
            total: Duration::from_secs(5),
            ..Pace::default()
        };
        let options = Options { inputs: vec![folder.path().display().to_string()], pace, ..Options::default() };
        Self { folder, options, server, shelf }
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    pub(super) fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).unwrap();
    }

    pub(super) fn shelf(&self, change: impl FnOnce(&mut Shelf)) {
        change(&mut self.shelf.lock().unwrap());
    }

    pub(super) fn clear(&self) {
        self.server.clear_log();
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.server.writes()
    }

    pub(super) fn reads(&self) -> Vec<String> {
        self.server.log().into_iter().filter(|asked| asked.method == "GET").map(|asked| asked.path).collect()
    }

    /// The body of the first such call.
    pub(super) fn asked(&self, call: &str) -> Value {
        self.server.log().into_iter().find(|asked| asked.is(call)).unwrap().body
    }

    /// The queries of the reads of a path.
    pub(super) fn queries(&self, path: &str) -> Vec<String> {
        let log = self.server.log();
        let reads = log.iter().filter(|asked| asked.method == "GET" && asked.path == path);
        let shown = |asked: &Asked| {
            let pairs: Vec<String> = asked.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join("&")
        };
        reads.map(shown).collect()
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.server.log().into_iter().map(|asked| format!("{} {:?}", asked.path, asked.query)).collect()
    }

    pub(super) fn id_of(&self, set: &str, name: &str, value: &str) -> u64 {
        let shelf = self.shelf.lock().unwrap();
        shelf.sets[set].iter().find(|row| row[name] == value).unwrap()["id"].as_u64().unwrap()
    }
}
