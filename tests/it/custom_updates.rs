//! Updates of described APIs: what no manifest says stays as it is, whatever an update sends whole, and what the API never
//! shows is not lost.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use plumb::{
    pipeline::{self, Options, Planned},
    plan::{Mode, Outcome},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    leaks,
    stack::lines,
    wild::{Asked, Reply, Wild},
};

/// Objects by path.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// Attributes that the server never shows.
const NEVER_SHOWN: [&str; 2] = ["secret", "token"];

fn shown(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !NEVER_SHOWN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect(),
        Value::Array(items) => items.iter().map(shown).collect(),
        other => other.clone(),
    }
}

/// Collections at any path: PUT replaces an object, PATCH its attributes.
fn serve(objects: &Objects, asked: &Asked) -> Reply {
    let mut objects = objects.lock().unwrap();
    let is_one = objects.contains_key(&asked.path);
    match asked.method.as_str() {
        "GET" if is_one => Reply::json(200, &shown(&objects[&asked.path])),
        "GET" if asked.path.split('/').count() % 2 == 1 => Reply::empty(404),
        "GET" => {
            let below = format!("{}/", asked.path);
            let rows = objects.iter().filter(|(path, _)| path.strip_prefix(&below).is_some_and(|id| !id.contains('/')));
            Reply::json(200, &rows.map(|(_, row)| shown(row)).collect())
        }
        "POST" => {
            let id = (objects.len() + 1).to_string();
            let mut row = asked.body.clone();
            row["id"] = id.clone().into();
            objects.insert(format!("{}/{id}", asked.path), row.clone());
            Reply::json(201, &shown(&row))
        }
        "PUT" | "PATCH" if is_one => {
            let row = objects.get_mut(&asked.path).unwrap();
            let id = row["id"].clone();
            if asked.method == "PUT" {
                *row = json!({});
            }
            for (name, value) in asked.body.as_object().unwrap() {
                row[name] = value.clone();
            }
            row["id"] = id;
            Reply::json(200, &shown(row))
        }
        "DELETE" if is_one => {
            let below = format!("{}/", asked.path);
            objects.retain(|path, _| *path != asked.path && !path.starts_with(&below));
            Reply::empty(204)
        }
        _ => Reply::empty(404),
    }
}

/// A folder with a description, against a server with these objects.
struct Shelf {
    folder: TempDir,
    server: Wild,
    objects: Objects,
    options: Options,
}

impl Shelf {
    async fn start(kinds: &str, objects: &[(&str, Value)]) -> Self {
        let objects: Objects =
            Arc::new(Mutex::new(objects.iter().map(|(path, row)| ((*path).to_owned(), row.clone())).collect()));
        let kept = objects.clone();
        let server = Wild::start(move |asked| serve(&kept, asked)).await;
        Self::at(server, kinds, objects)
    }

    fn at(server: Wild, kinds: &str, objects: Objects) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { inputs: vec![folder.path().display().to_string()], ..Options::default() };
        let shelf = Self { folder, server, objects, options };
        shelf.write("key", &format!("{}-key-of-the-shelf", leaks::MARK));
        shelf.write("secret", &format!("{}-secret-of-the-shelf", leaks::MARK));
        shelf.describe(kinds);
        shelf
    }

    fn describe(&self, kinds: &str) {
        let url = &self.server.url;
        self.write(
            "api.yaml",
            &format!(
                "apiVersion: plumb.dev/v1alpha1\nkind: Api\nmetadata: {{name: shelf}}\nspec:\n  url: {url}\n  auth: [{{bearer: {{}}}}]\n  kinds:\n{kinds}---\n\
                 apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: shelf}}\n\
                 spec: {{api: shelf, auth: {{bearer: {{valueFrom: {{file: key}}}}}}, timeouts: {{settle: 1}}}}\n"
            ),
        );
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn declare(&self, objects: &[(&str, &str, &str)]) {
        let objects = objects.iter().map(|(kind, name, spec)| {
            format!("apiVersion: shelf.plumb.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
        });
        self.write("objects.yaml", &objects.collect::<Vec<_>>().join("---\n"));
    }

    async fn plan(&self) -> Planned {
        pipeline::plan(&self.options, Mode::Plan).await.unwrap()
    }

    /// Applies, and gives what writes sent.
    async fn apply(&self) -> Vec<(String, Value)> {
        let planned = self.plan().await;
        self.server.clear_log();
        let done = pipeline::apply(planned, &self.options).await.unwrap().document;
        let failed: Vec<_> = done.actions.iter().filter(|action| action.outcome == Some(Outcome::Failed)).collect();
        assert!(failed.is_empty(), "{failed:?}");
        let log = self.server.log();
        let writes = log.iter().filter(|asked| asked.method != "GET");
        writes.map(|asked| (format!("{} {}", asked.method, asked.path), asked.body.clone())).collect()
    }

    fn live(&self, path: &str) -> Value {
        self.objects.lock().unwrap()[path].clone()
    }
}

fn codes(planned: &Planned) -> Vec<String> {
    planned.diagnostics.iter().map(|told| told.code.to_string()).collect()
}

/// A kind with an object, a keyed list, a list of its own order, and attributes below another one.
fn vault(update: &str, more: &str) -> String {
    format!(
        "    - kind: Vault\n      path: /vaults\n      key: [name]\n      update: {{{update}}}\n      fields:\n        name: {{required: true}}\n        \
         kind: {{}}\n        size: {{type: integer, wire: box.size}}\n        colour: {{wire: box.colour}}\n        \
         quota: {{type: object, fields: {{cpu: {{type: integer}}, used: {{type: integer, readOnly: true}}, sub: {{type: object, fields: {{a: {{}}, b: {{}}}}}}}}}}\n        \
         parts: {{type: list, keyedBy: k, items: {{type: object, fields: {{k: {{required: true}}, v: {{}}, sub: {{type: object, fields: {{a: {{}}, b: {{}}}}}}}}}}}}\n        \
         steps: {{type: list, items: {{type: object, fields: {{run: {{}}}}}}}}\n{more}      ignored: {{quota.asOf: Moves by itself.}}\n"
    )
}

fn there() -> Value {
    json!({
        "id": "1", "name": "w", "kind": "a", "extra": "kept",
        "box": {"size": 1, "colour": "red", "shape": "round"},
        "quota": {"cpu": 1, "gpu": 8, "used": 3, "asOf": "now", "sub": {"a": "1", "b": "2", "c": "3"}},
        "parts": [
            {"k": "one", "v": "1", "weight": 5, "sub": {"a": "1", "b": "2", "c": "3"}},
            {"k": "theirs", "v": "2", "weight": 6},
        ],
        "steps": [{"run": "x", "at": 1}, {"run": "y", "at": 2}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_description_names_goes_back_with_what_an_update_sends_whole() {
    let shelf = Shelf::start(&vault("style: replace", ""), &[("/vaults/1", there())]).await;
    shelf.declare(&[(
        "Vault",
        "w",
        "{kind: z, size: 2, quota: {cpu: 2, sub: {a: '9'}}, parts: [{k: one, v: '1b', sub: {a: '9'}}, {k: new}], steps: [{run: y}, {run: x}]}",
    )]);
    let changed = json!({
        "size": 2, "colour": "red", "shape": "round",
    });
    let parts = json!([
        {"k": "one", "v": "1b", "weight": 5, "sub": {"a": "9", "b": "2", "c": "3"}},
        {"k": "theirs", "v": "2", "weight": 6},
        {"k": "new"},
    ]);
    let quota = json!({"cpu": 2, "gpu": 8, "sub": {"a": "9", "b": "2", "c": "3"}});
    let steps = json!([{"run": "y", "at": 2}, {"run": "x", "at": 1}]);
    assert_eq!(
        shelf.apply().await,
        [(
            "PUT /vaults/1".to_owned(),
            json!({"name": "w", "kind": "z", "extra": "kept", "box": changed, "quota": quota, "parts": parts, "steps": steps})
        )]
    );
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());

    let shelf = Shelf::start(&vault("style: fields", ""), &[("/vaults/1", there())]).await;
    shelf.declare(&[(
        "Vault",
        "w",
        "{size: 2, quota: {cpu: 2, sub: {a: '9'}}, parts: [{k: one, v: '1b', sub: {a: '9'}}, {k: new}], steps: [{run: y}, {run: x}]}",
    )]);
    assert_eq!(
        shelf.apply().await,
        [("PATCH /vaults/1".to_owned(), json!({"box": changed, "quota": quota, "parts": parts, "steps": steps}))]
    );
    assert_eq!(shelf.live("/vaults/1")["kind"], "a");
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());

    // A merge patch leaves objects as they are, and replaces lists.
    let shelf = Shelf::start(&vault("style: mergePatch", ""), &[("/vaults/1", there())]).await;
    shelf.declare(&[("Vault", "w", "{size: 2, quota: {cpu: 2}, parts: [{k: one, v: '1b'}]}")]);
    let parts = json!([
        {"k": "one", "v": "1b", "weight": 5, "sub": {"a": "1", "b": "2", "c": "3"}},
        {"k": "theirs", "v": "2", "weight": 6},
    ]);
    assert_eq!(
        shelf.apply().await,
        [("PATCH /vaults/1".to_owned(), json!({"box": {"size": 2}, "quota": {"cpu": 2}, "parts": parts}))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_may_leave_out_what_it_does_not_name() {
    let kinds = vault("style: fields", "").replace("fields: {cpu:", "carries: false, fields: {cpu:");
    let shelf = Shelf::start(&kinds, &[("/vaults/1", there())]).await;
    shelf.declare(&[("Vault", "w", "{quota: {cpu: 2}}")]);
    let quota = json!({"cpu": 2, "sub": {"a": "1", "b": "2", "c": "3"}});
    assert_eq!(shelf.apply().await, [("PATCH /vaults/1".to_owned(), json!({"quota": quota}))]);
}

const SECRET: &str = "        secret: {sensitive: always, writeOnly: true, nullable: true}\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_would_lose_what_is_never_shown_is_refused() {
    let shelf = Shelf::start(
        &vault("style: replace", SECRET),
        &[("/vaults/1", json!({"id": "1", "name": "w", "kind": "a", "secret": "theirs"}))],
    )
    .await;
    // Somebody else may have put a secret there.
    shelf.declare(&[("Vault", "w", "{kind: z}")]);
    let planned = shelf.plan().await;
    assert_eq!(codes(&planned), ["PL0516"]);
    assert!(planned.diagnostics[0].message.contains("`secret`"), "{:?}", planned.diagnostics);
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    shelf.declare(&[("Vault", "w", "{kind: z, secret: null}")]);
    assert_eq!(shelf.apply().await, [("PUT /vaults/1".to_owned(), json!({"name": "w", "kind": "z", "secret": null}))]);
    shelf.declare(&[("Vault", "w", "{kind: y}")]);
    assert_eq!(shelf.apply().await.len(), 1, "what plumb cleared is not there");

    // What plumb wrote is there, whether or not a manifest still says so.
    shelf.declare(&[("Vault", "own", "{kind: a, secret: {valueFrom: {file: secret}}}")]);
    shelf.apply().await;
    shelf.declare(&[("Vault", "own", "{kind: a}")]);
    assert_eq!(codes(&shelf.plan().await), ["PL0505"]);
    assert_eq!(shelf.apply().await, []);
    shelf.declare(&[("Vault", "own", "{kind: b}")]);
    assert_eq!(codes(&shelf.plan().await), ["PL0516"]);
    shelf.declare(&[("Vault", "own", "{kind: b, secret: {valueFrom: {file: secret}}}")]);
    let sent = shelf.apply().await;
    assert_eq!(sent[0].1["secret"], format!("{}-secret-of-the-shelf", leaks::MARK));

    // What plumb made without one has none; the plan says what the update would do to one all the same.
    shelf.declare(&[("Vault", "bare", "{kind: a}")]);
    shelf.apply().await;
    shelf.declare(&[("Vault", "bare", "{kind: b}")]);
    let planned = shelf.plan().await;
    assert_eq!(codes(&planned), Vec::<String>::new());
    assert!(planned.document.actions[0].notes[0].contains("`secret`"), "{:?}", planned.document.actions[0].notes);

    // The server may keep what an update leaves out.
    shelf.describe(&vault("style: replace", &SECRET.replace("nullable", "keptIfOmitted: true, nullable")));
    shelf.declare(&[("Vault", "own", "{kind: c}")]);
    assert_eq!(codes(&shelf.plan().await), ["PL0505"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_list_keep_what_is_never_shown() {
    let kinds = vault("style: fields", "").replace(
        "{k: {required: true},",
        "{k: {required: true}, token: {sensitive: always, writeOnly: true, nullable: true},",
    );
    let live = json!({"id": "1", "name": "w", "parts": [{"k": "one", "v": "1", "token": "t1"}, {"k": "theirs", "token": "t2"}]});
    let shelf = Shelf::start(&kinds, &[("/vaults/1", live)]).await;
    let token = "token: {valueFrom: {file: secret}}";
    shelf.declare(&[("Vault", "w", &format!("{{parts: [{{k: one, v: '1b', {token}}}]}}"))]);
    let planned = shelf.plan().await;
    assert_eq!(codes(&planned), ["PL0516"]);
    assert!(planned.diagnostics[0].message.contains("`parts/theirs/token`"), "{:?}", planned.diagnostics);
    assert!(!planned.diagnostics[0].message.contains("`parts/one/token`"), "{:?}", planned.diagnostics);
    shelf.declare(&[("Vault", "w", &format!("{{parts: [{{k: one, v: '1b', {token}}}, {{k: theirs, token: null}}]}}"))]);
    assert_eq!(shelf.apply().await.len(), 1);
    // Nothing of the list goes with a change of something else.
    shelf.declare(&[("Vault", "w", "{kind: z}")]);
    assert_eq!(shelf.apply().await, [("PATCH /vaults/1".to_owned(), json!({"kind": "z"}))]);
}

const TEAMS: &str = "    - kind: Team\n      path: /teams\n      key: [name]\n      fields:\n        name: {required: true, immutable: replace}\n    \
    - kind: Rule\n      path: /teams/{team}/rules\n      key: [team, title]\n      id: {local: true}\n      scope: {field: team, required: true}\n      \
    fields:\n        team: {type: ref, ref: {kind: Team}, required: true, immutable: replace, pathOnly: true}\n        title: {required: true}\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_anew_with_its_parent_is_known_below_the_new_one() {
    let shelf = Shelf::start(TEAMS, &[]).await;
    shelf.declare(&[("Team", "t", "{name: T}"), ("Rule", "r", "{team: t, title: R}")]);
    shelf.apply().await;
    shelf.declare(&[("Team", "t", "{name: T2}"), ("Rule", "r", "{team: t, title: R}")]);
    shelf.apply().await;
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());
    shelf.write(
        "objects.yaml",
        "apiVersion: shelf.plumb.dev/v1alpha1\nkind: Team\nmetadata: {name: t}\nspec: {name: T2}\n",
    );
    let options = Options { prune: true, ..shelf.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let deleted: Vec<_> = lines(&planned.document);
    assert_eq!(deleted.len(), 1);
    assert!(deleted[0].starts_with("delete shelf/Rule/r"), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_the_total_that_it_should_have_proves_no_absence() {
    // What the server's list says: all of it, nothing and no total, or nothing and a total.
    let (list, gone) = (Arc::new(Mutex::new("all")), Arc::new(Mutex::new(false)));
    let (said, deleted) = (list.clone(), gone.clone());
    let row = || json!({"id": "1", "name": "one"});
    let server = Wild::start(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/items") => Reply::json(
            200,
            &match *said.lock().unwrap() {
                "all" => json!({"data": [row()], "meta": {"total": 1}}),
                "none" => json!({"data": []}),
                _ => json!({"data": [], "meta": {"total": 0}}),
            },
        ),
        ("GET", "/items/1") if !*deleted.lock().unwrap() => Reply::json(200, &row()),
        ("POST", "/items") => Reply::json(201, &row()),
        _ => Reply::empty(404),
    })
    .await;
    let kinds = "    - kind: Item\n      path: /items\n      key: [name]\n      keyNotUnique: true\n      \
                 list: {items: data, paging: {style: page, page: page, size: per_page, maxSize: 100, total: [meta.total]}}\n      \
                 fields:\n        name: {required: true}\n";
    let shelf = Shelf::at(server, kinds, Objects::default());
    *list.lock().unwrap() = "told";
    shelf.declare(&[("Item", "one", "{name: one}")]);
    shelf.apply().await;
    *list.lock().unwrap() = "all";
    shelf.server.clear_log();
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());
    assert_eq!(shelf.server.count("GET /items/1"), 0, "a list that says how much there is needs no proof");
    *list.lock().unwrap() = "none";
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());
    assert_eq!(shelf.server.count("GET /items/1"), 1);
    *gone.lock().unwrap() = true;
    let made = ["create shelf/Item/one (drift) /name"];
    assert_eq!(lines(&shelf.plan().await.document), made);
    *list.lock().unwrap() = "told";
    assert_eq!(lines(&shelf.plan().await.document), made);
    // Where one object cannot be read by itself, nothing tells.
    shelf.describe(&kinds.replace("keyNotUnique", "lacks: [get]\n      keyNotUnique"));
    assert_eq!(lines(&shelf.plan().await.document), made);
    *list.lock().unwrap() = "none";
    let planned = shelf.plan().await;
    assert_eq!((lines(&planned.document), codes(&planned)), (vec![], vec!["PL0427".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_is_told_of_what_would_not_work() {
    let shelf = Shelf::start(
        "    - kind: Doc\n      path: /docs\n      key: [title]\n      paging: {style: none}\n      fields: {title: {required: true}}\n",
        &[],
    )
    .await;
    shelf.declare(&[("Doc", "d", "{title: D}")]);
    let wrong = |planned: &Planned| {
        let told = planned.diagnostics.iter();
        told.map(|told| format!("{} {} {}", told.code, told.message, told.hints.join(" "))).collect::<Vec<_>>()
    };
    let told = wrong(&shelf.plan().await);
    assert_eq!(told, ["PL0901 A description has no `paging` here. It is written inside: `list.paging`."]);

    let parents = "        doc: {type: ref, ref: {kind: Doc}, required: true, immutable: replace, pathOnly: true}\n        title: {required: true}\n";
    let kinds = format!(
        "    - kind: Doc\n      path: /docs\n      key: [title]\n      fields: {{title: {{required: true}}}}\n    \
         - kind: Page\n      path: /docs/{{doc}}/pages\n      key: [doc, title]\n      scope: {{field: doc, required: true}}\n      fields:\n{parents}    \
         - kind: Note\n      path: /docs/{{doc}}/pages/{{page}}/notes\n      key: [doc, page, title]\n      scope: {{field: page, required: true}}\n      fields:\n{parents}        \
         page: {{type: ref, ref: {{kind: Page, complete: {{doc: doc}}}}, required: true, immutable: replace, pathOnly: true}}\n"
    );
    shelf.describe(&kinds);
    let told = wrong(&shelf.plan().await);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`{doc}` is another") && told[0].contains("id.local: true"), "{told:?}");
    // With the ids of pages below their documents, notes are known to be below both.
    shelf.describe(&kinds.replace("key: [doc, title]", "key: [doc, title]\n      id: {local: true}"));
    shelf.declare(&[
        ("Doc", "d", "{title: D}"),
        ("Page", "p", "{doc: d, title: P}"),
        ("Note", "n", "{doc: d, page: p, title: N}"),
    ]);
    shelf.apply().await;
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());

    shelf.describe(
        "    - kind: Doc\n      path: /docs\n      key: [title]\n      fields: {title: {required: true}, meta_data: {type: object, fields: {long-name: {}}}}\n",
    );
    shelf.declare(&[("Doc", "d", "{title: D}")]);
    let told = wrong(&shelf.plan().await);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("PL0903") && told[0].contains("`metaData`") && told[0].contains("wire: meta_data"));
    assert!(told[1].contains("`longName`"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_anew_under_the_same_id_is_found_when_its_answer_is_lost() {
    let (seat, lose) = (Mutex::new(None::<Value>), Arc::new(Mutex::new(false)));
    let lost = lose.clone();
    let server = Wild::start(move |asked| {
        let mut seat = seat.lock().unwrap();
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/seats") => Reply::json(200, &seat.iter().cloned().collect()),
            ("DELETE", "/seats/jane") => {
                *seat = None;
                Reply::empty(204)
            }
            ("POST", "/seats") if seat.is_some() => Reply::json(400, &json!({"message": "taken"})),
            ("POST", "/seats") => {
                *seat = Some(asked.body.clone());
                let answer = Reply::json(201, &asked.body);
                if std::mem::take(&mut *lost.lock().unwrap()) { Reply::Reset } else { answer }
            }
            _ => Reply::empty(404),
        }
    })
    .await;
    let kinds = "    - kind: Seat\n      path: /seats\n      key: [user]\n      id: {path: [user]}\n      lacks: [get, update]\n      \
                 fields:\n        user: {required: true}\n        role: {}\n";
    let shelf = Shelf::at(server, kinds, Objects::default());
    shelf.declare(&[("Seat", "jane", "{role: member}")]);
    shelf.apply().await;
    *lose.lock().unwrap() = true;
    shelf.declare(&[("Seat", "jane", "{role: admin}")]);
    shelf.apply().await;
    assert!(!*lose.lock().unwrap());
    assert_eq!(shelf.server.writes(), ["DELETE /seats/jane", "POST /seats"]);
    assert_eq!(lines(&shelf.plan().await.document), Vec::<String>::new());
}
