//! Answers that do not add up: nothing is made, deleted or owned because of them.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use plumb::{
    failure::Failure,
    pipeline::{self, Applied, Options, Planned},
    plan::{Mode, Outcome},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    stack::{lines, told},
    wild::{Reply, Wild},
};

const API: &str = "apiVersion: plumb.dev/v1alpha1
kind: Api
metadata: {name: depot}
spec:
  dialect: rest
  url: URL
  auth: [{bearer: {}}]
  envelope: {many: items}
  paging: {style: none, total: [total]}
  kinds:
    - kind: Server
      path: /servers
      key: [name]
      fields:
        name: {required: true}
        size: {nullable: true}
---
apiVersion: plumb.dev/v1alpha1
kind: Connection
metadata: {name: main}
spec: {api: depot, url: URL, auth: {bearer: {valueFrom: {file: key}}}}
";

fn server(name: &str) -> String {
    format!(
        "---\napiVersion: depot.plumb.dev/v1alpha1\nkind: Server\nmetadata: {{name: {name}}}\nspec: {{name: {name}}}\n"
    )
}

struct Depot {
    folder: TempDir,
    server: Wild,
    options: Options,
    listed: Arc<Mutex<Value>>,
    answer: Arc<Mutex<Value>>,
}

impl Depot {
    /// A server that lists one thing, and answers every create with another.
    async fn start(listed: Value, answer: Value) -> Self {
        let (listed, answer) = (Arc::new(Mutex::new(listed)), Arc::new(Mutex::new(answer)));
        let (list, made) = (listed.clone(), answer.clone());
        let server = Wild::start(move |asked| match asked.method.as_str() {
            "GET" if asked.path == "/servers" => Reply::json(200, &list.lock().unwrap()),
            "POST" => Reply::json(201, &made.lock().unwrap()),
            "DELETE" => Reply::empty(204),
            _ => Reply::json(404, &json!({})),
        })
        .await;
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("api.yaml"), API.replace("URL", &server.url)).unwrap();
        fs::write(folder.path().join("key"), "a-key-of-the-depot").unwrap();
        let options = Options { inputs: vec![folder.path().display().to_string()], prune: true, ..Options::default() };
        Self { folder, server, options, listed, answer }
    }

    fn declare(&self, names: &[&str]) {
        let text: String = names.iter().map(|name| server(name)).collect();
        fs::write(self.folder.path().join("servers.yaml"), text).unwrap();
    }

    async fn plan(&self) -> Planned {
        pipeline::plan(&self.options, Mode::Plan).await.unwrap()
    }

    async fn apply(&self) -> Result<Applied, Failure> {
        pipeline::apply(self.plan().await, &self.options).await
    }

    fn list(&self, rows: &Value) {
        let total = rows.as_array().map_or(0, Vec::len);
        *self.listed.lock().unwrap() = json!({"items": rows, "total": total});
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_create_is_answered_with_and_was_there_before_is_not_owned() {
    let theirs = json!({"id": "res_1", "name": "theirs"});
    let depot = Depot::start(json!({"items": [theirs], "total": 1}), theirs).await;
    depot.declare(&["one"]);
    let applied = depot.apply().await.unwrap();
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    let error = applied.document.actions[0].error.clone().unwrap();
    assert!(error.contains("`res_1`, which was there before"), "{error}");
    // So nothing of it is touched, whatever the manifests say.
    depot.declare(&[]);
    fs::write(
        depot.folder.path().join("stack.yaml"),
        "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {name: default}\nspec: {prune: true}\n",
    )
    .unwrap();
    let _ = depot.apply().await;
    assert_eq!(depot.server.writes(), ["POST /servers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_does_not_do_for_two_creates() {
    let depot = Depot::start(json!({"items": [], "total": 0}), json!({"id": "res_2", "name": "new"})).await;
    depot.declare(&["one", "two"]);
    let applied = depot.apply().await.unwrap();
    let outcomes: Vec<Option<Outcome>> = applied.document.actions.iter().map(|action| action.outcome).collect();
    assert!(outcomes.contains(&Some(Outcome::Failed)), "{outcomes:?}");
    assert_eq!(depot.answer.lock().unwrap()["id"], "res_2");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_show_what_they_are_known_by_are_no_absence() {
    let depot = Depot::start(json!({}), json!({"id": "res_2", "name": "one"})).await;
    depot.declare(&["one"]);
    for row in [
        json!({"id": "a"}),
        json!({"id": "a", "Name": "one"}),
        json!({"id": "a", "name": ["one"]}),
        json!({"id": "a", "name": {"en": "one"}}),
    ] {
        depot.list(&json!([row]));
        let planned = depot.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new(), "{row}");
        let said = told(&planned);
        assert!(said.len() == 1 && said[0].contains("PL0427") && said[0].contains("shows no `name`"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_below_the_rows_is_no_list() {
    let depot = Depot::start(
        json!({"items": [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}], "total": 1}),
        json!({"id": "res_2", "name": "one"}),
    )
    .await;
    depot.declare(&["one"]);
    let planned = depot.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert!(told(&planned)[0].contains("2 objects, more than its total of 1"), "{:?}", told(&planned));
}
