//! The guide to describing an API: its example compiles, is shown as it is, and fits its own manifests.

use std::{collections::BTreeSet, fs, path::Path};

use plumb::{
    description::{Api, explain, format::ApiSpec, format_schema, kind_schema},
    pipeline::{self, Options},
    plan::Mode,
};
use serde_json::{Value, json};

use crate::support::{
    stack::lines,
    wild::{Reply, Wild},
};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn compile(manifest: &str) -> Api {
    let document: Value = serde_saphyr::from_str(manifest).unwrap();
    let spec: ApiSpec = serde_json::from_value(document["spec"].clone()).unwrap();
    Api::compile(document["metadata"]["name"].as_str().unwrap(), spec).unwrap()
}

fn objects() -> Vec<Value> {
    serde_saphyr::from_multiple(&text("examples/custom-api/objects.yaml")).unwrap()
}

#[test]
fn the_guide_shows_the_example_as_it_is() {
    let guide = text("docs/describe-an-api.md");
    for file in ["api.yaml", "objects.yaml"] {
        let shown = format!("```yaml\n{}```\n", text(&format!("examples/custom-api/{file}")));
        assert!(guide.contains(&shown), "docs/describe-an-api.md does not show examples/custom-api/{file}");
    }
    let short = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let server = compile(short);
    assert_eq!(server.kind("Server").unwrap().spec.name_field.as_deref(), Some("name"));
}

#[test]
fn the_guide_names_nothing_that_the_format_does_not_have() {
    let schema = format_schema().to_string();
    let guide = text("docs/describe-an-api.md");
    let tables = guide.split("## The API").nth(1).unwrap();
    for words in tables.split('`').skip(1).step_by(2) {
        let name = words.split([':', ' ', '.', '=']).next().unwrap();
        let is_member = name.starts_with(|first: char| first.is_ascii_lowercase()) && words.contains(": ");
        if is_member && name != "plumb" {
            assert!(schema.contains(&format!("\"{name}\"")), "`{words}`: the format has no `{name}`");
        }
    }
}

/// What a guide for users has no use for.
const NOT_IN_THE_GUIDE: [&str; 2] = ["docs", "hook"];

#[test]
fn the_guide_shows_everything_that_the_format_has() {
    let guide = text("docs/describe-an-api.md");
    let schema = format_schema();
    let definitions = schema["$defs"].as_object().unwrap().values();
    let missing: BTreeSet<&String> = definitions
        .chain([&schema["properties"]["spec"]])
        .filter_map(|definition| definition["properties"].as_object())
        .flat_map(|members| members.keys())
        .filter(|name| !NOT_IN_THE_GUIDE.contains(&name.as_str()))
        .filter(|name| {
            let word = regex::Regex::new(&format!(r"\b{name}\b")).unwrap();
            !guide.split('`').skip(1).step_by(2).any(|code| word.is_match(code)) && !guide.contains(&format!("{name}:"))
        })
        .collect();
    assert!(missing.is_empty(), "the guide does not show {missing:?}");
}

#[test]
fn the_example_fits_its_own_manifests() {
    let api = compile(&text("examples/custom-api/api.yaml"));
    let objects = objects();
    assert_eq!(objects.len(), 3);
    for object in &objects {
        assert_eq!(object["apiVersion"], api.api_version());
        let kind = api.kind(object["kind"].as_str().unwrap()).unwrap();
        let schema = kind_schema(&api, kind);
        for (name, value) in object["spec"].as_object().unwrap() {
            let field = &schema["properties"]["spec"]["properties"][name];
            assert!(field.is_object(), "{} has no {name}", kind.name);
            for entry in value.as_array().into_iter().flatten().filter_map(Value::as_object) {
                for member in entry.keys() {
                    explain(&api, kind, &[name, member]).unwrap();
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_have_headers_and_bodies_of_their_own_and_adoption_is_the_descriptions_to_say() {
    let server = Wild::start(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/items") => Reply::json(200, &json!([{"id": "1", "name": "there", "wait": "PT1M"}])),
        ("POST", "/items") => Reply::json(201, &json!({"id": "2", "name": "new", "wait": "2m"})),
        ("PATCH" | "DELETE", "/items/1") => Reply::json(200, &json!({"id": "1", "name": "there", "wait": "3m"})),
        _ => Reply::empty(404),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let describe = |adopt: &str| {
        format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Api\nmetadata: {{name: depot}}\nspec:\n  dialect: rest\n  url: {0}\n  auth: [{{bearer: {{}}}}]\n  \
             kinds:\n    - kind: Item\n      path: /items\n      key: [name]\n      adopt: {adopt}\n      list: {{headers: {{X-View: all}}}}\n      \
             create: {{headers: {{X-Reason: new}}, body: {{source: plumb}}}}\n      \
             update: {{headers: {{X-Reason: change}}, body: {{source: plumb}}}}\n      delete: {{headers: {{X-Reason: gone}}}}\n      \
             fields:\n        name: {{required: true}}\n        wait: {{equal: [duration]}}\n      ignored: {{source: Who wrote it.}}\n\
             ---\napiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: depot}}\nspec: {{api: depot, url: {0}, auth: {{bearer: {{valueFrom: {{file: key}}}}}}}}\n",
            server.url
        )
    };
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let item = |name: &str, wait: &str| {
        format!(
            "apiVersion: depot.plumb.dev/v1alpha1\nkind: Item\nmetadata: {{name: {name}}}\nspec: {{wait: {wait}}}\n"
        )
    };
    let options = Options { inputs: vec![folder.path().display().to_string()], ..Options::default() };
    put("key", "a-key-of-the-depot");
    put("api.yaml", &describe("never"));
    put("item.yaml", &format!("{}---\n{}", item("there", "60s"), item("new", "2m")));

    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), ["create depot/Item/new (new) /wait /name"]);
    let refused: Vec<_> = planned.diagnostics.iter().filter(|told| told.is_error()).collect();
    assert_eq!((refused.len(), &*refused[0].code), (1, "PL0524"));
    assert_eq!(refused[0].hints, ["`plumb import depot/Item/there 1` takes it over."]);
    put("api.yaml", &describe("byId"));
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert!(planned.diagnostics.iter().any(|told| told.code == "PL0524"));
    assert!(server.log().iter().all(|asked| asked.header("x-view") == Some("all")));

    // A minute is a minute, however it is written.
    pipeline::import(&options, "depot/Item/there", "1").await.unwrap();
    put("item.yaml", &item("there", "60s"));
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    put("item.yaml", &item("there", "3m"));
    server.clear_log();
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    pipeline::apply(planned, &options).await.unwrap();
    let sent = server.log().into_iter().find(|asked| asked.method == "PATCH").unwrap();
    assert_eq!(sent.header("x-reason"), Some("change"));
    assert_eq!(sent.body, json!({"wait": "3m", "source": "plumb"}));
}
