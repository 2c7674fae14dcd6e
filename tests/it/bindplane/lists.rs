//! Lists that are not what they should be, values that must not be stored, and what must not be taken away.

use plumb::{
    export::Wanted,
    pipeline::{self, ExportOptions, Options},
    plan::Mode,
};
use serde_json::{Value, json};

use super::{Bed, outcomes, problems};
use crate::support::{stack::lines, wild::Reply};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_another_shape_is_no_empty_list() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host}");
    bed.declare("Connector", "n", "{type: routing}");
    for (call, body, right) in [
        ("GET /v1/sources", json!({"items": []}), false),
        ("GET /v1/sources", json!([]), false),
        ("GET /v1/sources", json!({"sources": {}}), false),
        ("GET /v1/sources", json!({"sources": "none"}), false),
        ("GET /v1/sources", json!({"Sources": [], "total": 0}), false),
        ("GET /v1/resources/Connector", json!({"connectors": {}}), false),
        ("GET /v1/sources", json!({"sources": []}), true),
        ("GET /v1/sources", json!({"sources": null}), true),
        ("GET /v1/sources", json!({"resources": []}), true),
    ] {
        let answer = body.clone();
        bed.spoil(move |asked, _| asked.is(call).then(|| Reply::json(200, &answer)));
        let planned = bed.plan().await;
        let told = problems(&planned.diagnostics);
        let kind = if call.ends_with("sources") { "Source/s" } else { "Connector/n" };
        let made = lines(&planned.document).iter().any(|line| line.starts_with(&format!("create bindplane/{kind}")));
        assert_eq!((made, told.contains("PL0427")), (right, !right), "{body}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_under_another_name_is_read_where_its_rows_say_what_they_are() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host}");
    bed.converge().await;
    bed.spoil(|asked, project| {
        asked.is("GET /v1/sources").then(|| Reply::json(200, &json!({"items": [project.get("Source", "s")]})))
    });
    assert_eq!(bed.planned().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_placeholder_is_never_stored_as_the_secret_wherever_it_comes_from() {
    let bed = Bed::start().await;
    std::fs::write(bed.folder.path().join("token"), "(sensitive)\n").unwrap();
    let spec = "{type: splunkhec, parameters: [{name: token, valueFrom: {file: token}}]}";
    bed.declare("Destination", "d", spec);
    let planned = bed.plan().await;
    assert!(problems(&planned.diagnostics).starts_with("PL0516"), "{}", problems(&planned.diagnostics));
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    bed.server.clear_log();
    assert!(pipeline::apply(planned, &bed.options).await.is_err());
    assert_eq!(bed.server.writes(), Vec::<String>::new());
    // Where something is stored, it stands for that.
    std::fs::write(bed.folder.path().join("token"), super::TOKEN).unwrap();
    bed.converge().await;
    std::fs::write(bed.folder.path().join("token"), "(sensitive)\n").unwrap();
    assert_eq!(bed.planned().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_is_taken_away_by_its_name() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host, parameters: [{name: interval, value: 5}, {name: process, value: false}]}");
    bed.converge().await;
    let clear = |path: &str, spec: &str| {
        let text = format!(
            "apiVersion: bindplane.plumb.dev/v1alpha1\nkind: Source\nmetadata:\n  name: s\n  annotations: \
             {{plumb.dev/clear: {path}}}\nspec: {spec}\n"
        );
        std::fs::write(bed.folder.path().join("Source-s.yaml"), text).unwrap();
    };
    let stored = || bed.project(|project| project.get("Source", "s")["spec"]["parameters"].clone());
    clear("parameters.process", "{type: host, parameters: [{name: interval, value: 5}]}");
    assert_eq!(bed.planned().await, ["update bindplane/Source/s (changed) /parameters/process"]);
    bed.converge().await;
    assert_eq!(stored(), json!([{"name": "interval", "value": 5}]));
    // It stays away.
    bed.project(|project| {
        let parameters = project.get_mut("Source", "s")["spec"]["parameters"].as_array_mut().unwrap();
        parameters.push(json!({"name": "process", "value": true}));
    });
    assert_eq!(bed.planned().await, ["update bindplane/Source/s (drift) /parameters/process"]);
    bed.converge().await;
    // A new object has nothing to take away.
    bed.project(|project| project.stored.remove(&("Source".into(), "s".into())));
    clear("parameters.process", "{type: host}");
    let writes = bed.converge().await;
    assert_eq!(writes, ["POST /v1/apply"]);
    assert_eq!(stored(), json!([]));
    // What is declared is not cleared, and items without names are not found by any.
    for (path, spec) in [
        ("parameters.process", "{type: host, parameters: [{name: process, value: 1}]}"),
        ("processors.0", "{type: host}"),
    ] {
        clear(path, spec);
        assert!(problems(&bed.plan().await.diagnostics).starts_with("PL0119"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_user_stays_and_others_go_with_a_warning() {
    let bed = Bed::start().await;
    bed.declare("Destination", "keep", "{type: logging}");
    let user = |name: &str| {
        let text = format!(
            "apiVersion: bindplane.plumb.dev/v1alpha1\nkind: User\nmetadata:\n  name: {name}\n  annotations: \
             {{plumb.dev/deletion-policy: delete}}\nspec: {{email: {name}@example.com}}\n"
        );
        std::fs::write(bed.folder.path().join(format!("User-{name}.yaml")), text).unwrap();
    };
    user("one");
    user("two");
    bed.converge().await;
    bed.withdraw("User", "one");
    let prune = Options { prune: true, ..bed.options.clone() };
    let planned = pipeline::plan(&prune, Mode::Plan).await.unwrap();
    let told = problems(&planned.diagnostics);
    assert!(told.starts_with("PL0614 `bindplane/User/one` is taken away, and plumb's own key may be"), "{told}");
    let applied = pipeline::apply(planned, &prune).await.unwrap();
    assert_eq!(outcomes(&applied), "done bindplane/User/one\n");
    bed.withdraw("User", "two");
    let planned = pipeline::plan(&prune, Mode::Plan).await.unwrap();
    assert!(problems(&planned.diagnostics).contains("PL0611"), "{}", problems(&planned.diagnostics));
    bed.server.clear_log();
    let Err(refused) = pipeline::apply(planned, &prune).await else { panic!("the last user went") };
    assert!(refused.message.contains("the last one that there is"), "{refused:?}");
    assert_eq!(bed.server.writes(), Vec::<String>::new());
    // Nor is it made anew: it would go first.
    user("two");
    let text = std::fs::read_to_string(bed.folder.path().join("User-two.yaml")).unwrap();
    std::fs::write(bed.folder.path().join("User-two.yaml"), text.replace("two@", "other@")).unwrap();
    assert!(problems(&bed.plan().await.diagnostics).contains("PL0611"));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_counted_to_the_last_however_few_come_at_a_time() {
    let bed = Bed::start().await;
    bed.project(|project| {
        let agent =
            |number: usize| json!({"id": number, "name": format!("a{number}"), "labels": {"configuration": "c"}});
        project.agents = (0..5).map(agent).collect();
        project.agents_at_once = 2;
    });
    bed.declare("Configuration", "c", "{sources: [{type: host}]}");
    for total in [false, true] {
        bed.spoil(move |asked, project| {
            let Reply::Answer(code, _, body) = project.answer(asked) else { return None };
            let mut body: Value = serde_json::from_str(&body).unwrap();
            if total && asked.is("GET /v1/agents") {
                body["total"] = 5.into();
            }
            Some(Reply::json(code, &body))
        });
        bed.server.clear_log();
        let planned = bed.plan().await;
        let notes = &planned.document.actions[0].notes;
        assert!(notes.contains(&"It reaches 5 agents.".to_owned()), "{notes:?}");
        assert_eq!(bed.server.count("GET /v1/agents"), if total { 3 } else { 4 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_right_is_refused_before_anything_is_asked() {
    let bed = Bed::start().await;
    let source = |routes: &str| {
        format!(
            "{{version: v2, sources: [{{id: a, type: host, routes: {{logs: [{{components: [{routes}]}}]}}}}], destinations: [{{id: d, name: l}}]}}"
        )
    };
    for (kind, spec, wanted) in [
        ("Source", "{type: host, labels: {a b: c}}".to_owned(), "PL0107 Keys of `labels` have to match"),
        ("Source", "{type: host, labels: {a: c d!}}".to_owned(), "PL0107 `labels.a` has to match"),
        (
            "Processor",
            "{type: processor_bundle, parameters: [{name: a, value: 1}]}".to_owned(),
            "PL0115 `parameters` is only there where `type`",
        ),
        (
            "Source",
            "{type: host, processors: [{type: processor_bundle, parameters: [{name: a, value: 1}]}]}".to_owned(),
            "PL0115 `parameters` is only there where `type`",
        ),
        (
            "Configuration",
            "{version: v2, processors: [{type: processor_bundle, parameters: [{name: a, value: 1}]}]}".to_owned(),
            "PL0115 `parameters` is only there where `type`",
        ),
        (
            "Configuration",
            "{sources: [{name: x, type: host}]}".to_owned(),
            "PL0118 `sources[0]` has `name` and `type`: one of them is enough.",
        ),
        (
            "Configuration",
            "{sources: [{id: a, type: host}, {id: a, type: host}]}".to_owned(),
            "PL0118 Two items of `sources`",
        ),
        (
            "Configuration",
            source("destinations/other"),
            "PL0118 `sources[0].routes` leads to `destinations/other`, and no item",
        ),
        ("Configuration", source("nowhere/d"), "PL0118 `sources[0].routes` leads to `nowhere/d`, and there is no list"),
        ("Configuration", source("d"), "PL0118 `sources[0].routes` leads to `d`, and that names no list"),
        (
            "Configuration",
            source("destinations/d").replace("version: v2, ", ""),
            "PL0115 `sources[0].routes` is only there where `version`",
        ),
    ] {
        bed.declare(kind, "x", &spec);
        bed.server.clear_log();
        let told = problems(&bed.plan().await.diagnostics);
        assert!(told.starts_with(wanted), "{spec}: {told}");
        bed.withdraw(kind, "x");
    }
    bed.declare("Source", "x", "{type: host, labels: {example.com/team-1: A_b.c, empty: \"\"}}");
    bed.declare("Destination", "l", "{type: logging}");
    bed.declare("Configuration", "c", &source("destinations/d"));
    bed.converge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_its_type_is_told_in_the_plan() {
    let bed = Bed::start().await;
    bed.project(|project| {
        let defined = json!([
            {"name": "interval", "type": "int", "required": true, "default": 60},
            {"name": "paths", "type": "strings", "required": true},
            {"name": "user", "type": "string", "required": true, "relevantIf": [{"name": "auth"}]},
            {"name": "tls", "type": "bool"}
        ]);
        for kind in ["SourceType", "ProcessorType"] {
            let name = if kind == "SourceType" { "host" } else { "filter" };
            project.get_mut(kind, name)["spec"]["parameters"] = defined.clone();
        }
    });
    let right = "parameters: [{name: interval, value: \"5\"}, {name: paths, value: [/a]}, {name: tls, value: true}]";
    bed.declare("Source", "s", &format!("{{type: host, {right}, processors: [{{type: filter, {right}}}]}}"));
    bed.converge().await;
    let wrong = "parameters: [{name: interval, value: abc}, {name: path, value: [/a]}, {name: tls, value: 3}]";
    bed.declare("Source", "t", &format!("{{type: host, {wrong}, processors: [{{type: filter, {wrong}}}]}}"));
    let planned = bed.plan().await;
    insta::assert_snapshot!(problems(&planned.diagnostics), @r"
    PL0528 `parameters/interval` of `bindplane/Source/t` has to be a whole number by its type.
    PL0528 `parameters/tls` of `bindplane/Source/t` has to be `true` or `false` by its type.
    PL0528 `parameters` of `bindplane/Source/t` lacks `paths`, which its type requires.
    PL0528 `processors/0/parameters/interval` of `bindplane/Source/t` has to be a whole number by its type.
    PL0528 `processors/0/parameters/tls` of `bindplane/Source/t` has to be `true` or `false` by its type.
    PL0528 `processors/0/parameters` of `bindplane/Source/t` lacks `paths`, which its type requires.
    ");
    let notes = planned
        .diagnostics
        .iter()
        .filter(|told| told.code == "PL0528" && told.message.ends_with("; there is `paths`."));
    assert_eq!(notes.count(), 2);
    assert_eq!(planned.document.actions.len(), 1);
}

/// What an export of these kinds writes, and the codes and messages of what it tells.
async fn exported(bed: &Bed, kinds: &[&str]) -> (String, Vec<String>) {
    let wanted = kinds.iter().map(|kind| Wanted { api: None, kind: (*kind).to_owned(), pattern: None });
    let asked = ExportOptions { wanted: wanted.collect(), ..ExportOptions::default() };
    let found = pipeline::export(&bed.options, &asked).await.unwrap();
    let texts: Vec<String> = found.exported.documents.iter().map(|document| document.text.clone()).collect();
    (texts.join("---\n"), found.diagnostics.iter().map(|told| format!("{} {}", told.code, told.message)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_exported_where_they_are_named() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host}");
    bed.converge().await;
    bed.withdraw("Source", "s");
    bed.spoil(|asked, _| asked.path.ends_with("/projects").then(|| Reply::json(200, &json!({"projects": []}))));
    let (text, told) = exported(&bed, &[]).await;
    assert!(
        text.contains("kind: Source\n") && text.contains("type: host\n") && !text.contains("kind: SourceType"),
        "{text}"
    );
    let said =
        "PL0710 Objects of the kinds SourceType, ProcessorType, DestinationType, ExtensionType of connection `bp`";
    assert!(told.iter().any(|told| told.starts_with(said)), "{told:?}");
    let (text, told) = exported(&bed, &["SourceType"]).await;
    assert!(text.contains("kind: SourceType") && text.contains("name: host\n"), "{text}");
    assert!(!told.iter().any(|told| told.contains("vendor's own")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn components_with_a_name_and_a_type_are_exported_by_what_the_name_means() {
    let bed = Bed::start().await;
    bed.declare("Source", "stored", "{type: host}");
    bed.declare("Destination", "l", "{type: logging}");
    let spec = "{rolloutPolicy: none, sources: [{name: stored}, {type: host, processors: [{type: filter}]}], destinations: [{name: l}]}";
    bed.declare("Configuration", "c", spec);
    bed.converge().await;
    bed.project(|project| {
        let spec = &mut project.get_mut("Configuration", "c")["spec"];
        spec["sources"][0]["type"] = "host:3".into();
        // A name that nothing is stored under is a name for people.
        spec["sources"][1]["processors"][0]["name"] = "mine".into();
    });
    let (text, _) = exported(&bed, &["Configuration"]).await;
    assert!(text.contains("- id: s-stored\n      name: stored\n    - id:"), "{text}");
    assert!(text.contains("type: filter}\n") && !text.contains("mine"), "{text}");
    let text = text.replace("spec:\n", "spec:\n  rolloutPolicy: none\n");
    std::fs::write(bed.folder.path().join("Configuration-c.yaml"), &text).unwrap();
    assert_eq!(bed.planned().await, Vec::<String>::new());
    // What is not declared goes back as it is.
    bed.project(|project| {
        let spec = &mut project.get_mut("Configuration", "c")["spec"];
        spec["sources"][1]["processors"][0].as_object_mut().unwrap().remove("name");
    });
    std::fs::write(
        bed.folder.path().join("Configuration-c.yaml"),
        text.replace("spec:\n", "spec:\n  measurementInterval: 1m\n"),
    )
    .unwrap();
    bed.converge().await;
    bed.project(|project| {
        let sources = &project.get("Configuration", "c")["spec"]["sources"];
        assert!(sources[0]["type"].as_str().unwrap().starts_with("host"), "{sources}");
    });
}
