//! The guide to describing an API: its example compiles, is shown as it is, and fits its own manifests.

use std::{collections::BTreeSet, fs, path::Path};

use plumb::description::{Api, explain, format::ApiSpec, format_schema, kind_schema};
use serde_json::Value;

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
