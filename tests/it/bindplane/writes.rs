//! Writes: every status inside a 202 is read, whole resources lose nothing, and the order is the API's.

use std::fmt::Write;

use plumb::{pipeline, plan::Mode};
use serde_json::{Value, json};

use super::{Bed, TOKEN, outcomes, problems};
use crate::support::{stack::lines, wild::Reply};

const SPLUNK: &str = "{type: splunkhec, parameters: [{name: hostname, value: splunk.example.com}, {name: token, valueFrom: {file: token}}]}";

/// The resources of each apply call so far.
fn bodies(bed: &Bed) -> Vec<Vec<Value>> {
    let log = bed.server.log();
    let calls = log.iter().filter(|asked| asked.is("POST /v1/apply"));
    calls.map(|asked| asked.body["resources"].as_array().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_202_says_nothing_and_the_statuses_in_it_everything() {
    let bed = Bed::start().await;
    bed.declare("Source", "good", "{type: host}");
    bed.declare("Source", "bad", "{type: host}");
    bed.declare("Configuration", "uses-bad", "{sources: [{name: bad}], rolloutPolicy: none}");
    bed.project(|project| project.invalid = vec!["bad"]);
    insta::assert_snapshot!(outcomes(&bed.apply().await), @r"
    failed bindplane/Source/bad: the API answered `invalid`: value out of range
    skipped bindplane/Configuration/uses-bad: `bindplane/Source/bad` failed
    done bindplane/Source/good
    ");
    assert_eq!(bed.project(|project| project.names("Source").len()), 1);
    bed.project(|project| project.invalid = Vec::new());
    bed.converge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_nobody_knows_is_a_failure() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host}");
    for status in ["forbidden", "error", "deprecated", "brand-new"] {
        let update =
            json!({"updates": [{"resource": {"kind": "Source", "metadata": {"name": "s"}}, "status": status}]});
        bed.spoil(move |asked, _| asked.is("POST /v1/apply").then(|| Reply::json(202, &update)));
        let applied = bed.apply().await;
        assert_eq!(outcomes(&applied), format!("failed bindplane/Source/s: the API answered `{status}`\n"));
    }
    bed.mend();
    bed.converge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_on_a_success_is_told() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host, parameters: [{name: odd, value: 1}]}");
    bed.spoil(|asked, project| {
        asked.is("POST /v1/apply").then(|| {
            project.answer(asked);
            let resource = project.get("Source", "s").clone();
            let reason = "ignoring parameter odd not defined in type host";
            Reply::json(202, &json!({"updates": [{"resource": resource, "status": "created", "reason": reason}]}))
        })
    });
    let applied = bed.apply().await;
    assert!(!applied.failed);
    assert_eq!(
        problems(&applied.diagnostics),
        "PL0704 The API took `bindplane/Source/s` and says: ignoring parameter odd not defined in type host\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_another_order_with_more_in_them_or_nothing_are_understood() {
    let bed = Bed::start().await;
    bed.project(|project| project.shuffled = true);
    bed.declare("Source", "a", "{type: host}");
    bed.declare("Source", "b", "{type: host}");
    bed.declare("Configuration", "c", "{sources: [{name: a}], rolloutPolicy: none}");
    bed.converge().await;
    bed.declare("Source", "a", "{type: host, displayName: A}");
    bed.declare("Source", "b", "{type: host, displayName: B}");
    bed.converge().await;
    // An answer without a word proves nothing: each is read.
    bed.project(|project| project.silent = true);
    bed.declare("Source", "a", "{type: host, displayName: A again}");
    let applied = bed.apply_uncounted().await;
    assert_eq!(outcomes(&applied), "done bindplane/Source/a\n");
    assert_eq!(bed.server.count("GET /v1/sources/a"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_split_until_the_culprit_is_alone() {
    let bed = Bed::start().await;
    for number in 0..8 {
        bed.declare("Source", &format!("s{number}"), "{type: host}");
    }
    bed.project(|project| project.unparsable = vec!["s5"]);
    let applied = bed.apply_uncounted().await;
    let text = outcomes(&applied);
    assert_eq!(text.matches("done").count(), 7, "{text}");
    assert!(
        text.contains(
            "failed bindplane/Source/s5: `POST /v1/apply` of connection `bp` was refused (400): cannot parse"
        )
    );
    assert_eq!(bodies(&bed).len(), 7);
    bed.project(|project| project.unparsable = Vec::new());
    bed.converge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_go_in_order_and_each_by_one_call() {
    let bed = Bed::start().await;
    bed.declare(
        "Configuration",
        "c",
        "{version: v2, sources: [{name: s}], connectors: [{name: n}], rolloutPolicy: none}",
    );
    bed.declare("Connector", "n", "{type: routing}");
    bed.declare("Source", "s", "{type: host, processors: [{name: bundle}]}");
    bed.declare("Processor", "bundle", "{type: processor_bundle, processors: [{name: p}]}");
    bed.declare("Processor", "p", "{type: filter}");
    bed.declare("Fleet", "f", "{configuration: c}");
    bed.project(|project| {
        for (kind, name) in [("ProcessorType", "processor_bundle"), ("ConnectorType", "routing")] {
            let row = json!({"kind": kind, "metadata": {"name": name}, "spec": {}});
            project.stored.insert((kind.into(), name.into()), row);
        }
    });
    assert_eq!(bed.converge().await, ["POST /v1/apply"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_components_keep_their_ids_and_their_secrets() {
    let bed = Bed::start().await;
    let inline = "{type: splunkhec, displayName: Inline, parameters: [{name: hostname, value: a}, {name: token, valueFrom: {file: token}}]}";
    let with = |bed: &Bed, sources: &str, more: &str| {
        let spec = format!("{{rolloutPolicy: none, sources: [{sources}], destinations: [{inline}]{more}}}");
        bed.declare("Configuration", "c", &spec);
    };
    with(&bed, "{type: host}, {type: filelog, displayName: Log, processors: [{type: filter}, {type: batch}]}", "");
    bed.converge().await;
    let ids = |bed: &Bed| -> Vec<String> {
        bed.project(|project| {
            let spec = &project.get("Configuration", "c")["spec"];
            let of = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
            let nested = spec["sources"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| one["processors"].as_array().into_iter().flatten());
            let all = spec["sources"].as_array().unwrap().iter().chain(nested);
            all.chain(spec["destinations"].as_array().unwrap()).map(of).collect()
        })
    };
    let before = ids(&bed);
    assert_eq!(before.len(), 5);
    // Another field: all components go back with their ids, and the secret stays what it is.
    with(
        &bed,
        "{type: host}, {type: filelog, displayName: Log, processors: [{type: filter}, {type: batch}]}",
        ", measurementInterval: 1m",
    );
    bed.converge().await;
    assert_eq!(ids(&bed), before);
    // A new one before them, and one of them gone: what is as it was keeps its id.
    with(&bed, "{type: filelog, displayName: New}, {type: filelog, displayName: Log, processors: [{type: batch}]}", "");
    bed.converge().await;
    let after = ids(&bed);
    assert!(!before.contains(&after[0]));
    assert_eq!((&after[1], &after[2], &after[3]), (&before[1], &before[3], &before[4]));
    let token = bed.project(|project| {
        project.get("Configuration", "c")["spec"]["destinations"][0]["parameters"][1]["value"].clone()
    });
    assert_eq!(token, TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_parameters_are_compared_by_hash_and_sent_when_they_change() {
    let bed = Bed::start().await;
    bed.declare("Destination", "d", SPLUNK);
    bed.converge().await;
    assert_eq!(bed.project(|project| project.get("Destination", "d")["spec"]["parameters"][1]["value"].clone()), TOKEN);
    let record = serde_json::to_string(&bed.record("bindplane/Destination/d").await.unwrap()).unwrap();
    assert!(record.contains("$secret") && !record.contains(TOKEN), "{record}");
    std::fs::write(bed.folder.path().join("token"), "another-token-9876543210").unwrap();
    let planned = bed.plan().await;
    let change = &planned.document.actions[0].changes[0];
    assert_eq!((change.path.as_str(), change.sensitive, &change.after), ("/parameters/token", true, &None));
    bed.converge().await;
    let now = bed.project(|project| project.get("Destination", "d")["spec"]["parameters"][1]["value"].clone());
    assert_eq!(now, "another-token-9876543210");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_value_is_as_secret_as_its_type_says() {
    let bed = Bed::start().await;
    bed.declare("Destination", "d", "{type: splunkhec, parameters: [{name: token, value: plain-text-token}]}");
    let planned = bed.plan().await;
    let shown = serde_json::to_string(&planned.document).unwrap();
    assert!(!shown.contains("plain-text-token"), "{shown}");
    drop(planned);
    bed.converge().await;
    let record = serde_json::to_string(&bed.record("bindplane/Destination/d").await.unwrap()).unwrap();
    assert!(!record.contains("plain-text-token"), "{record}");
    let stored = bed.project(|project| project.get("Destination", "d")["spec"]["parameters"][0]["value"].clone());
    assert_eq!(stored, "plain-text-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_spelled_otherwise_are_no_drift() {
    let bed = Bed::start().await;
    bed.declare(
        "Source",
        "s",
        "{type: host, parameters: [{name: a, value: 5}, {name: b, value: true}, {name: c, value: [1]}]}",
    );
    bed.converge().await;
    bed.project(|project| {
        let parameters = project.get_mut("Source", "s")["spec"]["parameters"].as_array_mut().unwrap();
        parameters[0]["value"] = "5.0".into();
        parameters[1]["value"] = "true".into();
        parameters.reverse();
        project.get_mut("Source", "s")["spec"]["processors"] = json!([]);
        project.get_mut("Source", "s")["spec"]["disabled"] = false.into();
    });
    assert_eq!(bed.planned().await, Vec::<String>::new());
    bed.project(|project| project.get_mut("Source", "s")["spec"]["parameters"][2]["value"] = 6.into());
    assert_eq!(bed.planned().await, ["update bindplane/Source/s (drift) /parameters/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_placeholder_is_never_stored_as_a_secret() {
    let bed = Bed::start().await;
    bed.declare("Destination", "d", "{type: splunkhec, parameters: [{name: token, value: (sensitive)}]}");
    let planned = bed.plan().await;
    assert_eq!(
        problems(&planned.diagnostics),
        "PL0516 `bindplane/Destination/d` cannot be written safely: `parameters/token/value` stands for a value that is \
         stored, and none is stored there: declare the value itself.\n"
    );
    assert!(planned.document.actions.is_empty());
    drop(planned);
    // Where something is stored, it means that it stays, and goes along with a change of something else.
    bed.declare("Destination", "d", "{type: splunkhec, parameters: [{name: token, valueFrom: {file: token}}]}");
    bed.converge().await;
    bed.declare(
        "Destination",
        "d",
        "{type: splunkhec, displayName: D, parameters: [{name: token, value: (sensitive)}]}",
    );
    bed.converge().await;
    let stored = bed.project(|project| project.get("Destination", "d").clone());
    assert_eq!(stored["spec"]["parameters"][0]["value"], TOKEN);
    assert_eq!(stored["metadata"]["displayName"], "D");
    assert_eq!(bodies(&bed)[0][0]["spec"]["parameters"][0]["value"], "(sensitive)");
    // An inline component that is new has nothing stored.
    bed.declare(
        "Configuration",
        "c",
        "{rolloutPolicy: none, destinations: [{type: splunkhec, parameters: [{name: token, value: (sensitive)}]}]}",
    );
    let planned = bed.plan().await;
    assert!(
        problems(&planned.diagnostics).contains("`destinations/0/parameters/token/value` stands for"),
        "{}",
        problems(&planned.diagnostics)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_declared_goes_back_as_it_is() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host, labels: {a: b}, parameters: [{name: one, value: 1}]}");
    bed.converge().await;
    bed.project(|project| {
        let row = project.get_mut("Source", "s");
        row["metadata"]["description"] = "by hand".into();
        row["metadata"]["labels"]["c"] = "d".into();
        row["spec"]["parameters"].as_array_mut().unwrap().push(json!({"name": "two", "value": [2]}));
        row["spec"]["somethingNew"] = json!({"kept": true});
    });
    assert_eq!(bed.planned().await, Vec::<String>::new());
    bed.declare("Source", "s", "{type: host, labels: {a: x}, parameters: [{name: one, value: 1}]}");
    assert_eq!(bed.planned().await, ["update bindplane/Source/s (changed) /labels/a"]);
    bed.converge().await;
    let row = bed.project(|project| project.get("Source", "s").clone());
    assert_eq!(row["metadata"]["description"], "by hand");
    assert_eq!(row["metadata"]["labels"], json!({"a": "x", "c": "d"}));
    assert_eq!(row["spec"]["parameters"], json!([{"name": "one", "value": 1}, {"name": "two", "value": [2]}]));
    assert_eq!(row["spec"]["somethingNew"], json!({"kept": true}));
    let sent = &bodies(&bed)[0][0];
    assert_eq!((&sent["metadata"]["id"], sent.get("status")), (&row["metadata"]["id"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_taken_away_before_what_they_use_is_deleted() {
    let mut bed = Bed::start().await;
    bed.declare("Source", "old", "{type: host, processors: [{name: p}]}");
    bed.declare("Source", "new", "{type: host}");
    bed.declare("Processor", "p", "{type: filter}");
    bed.declare("Processor", "q", "{type: filter}");
    bed.declare("Configuration", "c", "{rolloutPolicy: none, sources: [{name: old}]}");
    bed.converge().await;
    bed.declare("Configuration", "c", "{rolloutPolicy: none, sources: [{name: new}]}");
    for (kind, name) in [("Source", "old"), ("Processor", "p"), ("Processor", "q")] {
        bed.withdraw(kind, name);
    }
    bed.options.prune = true;
    let writes = bed.converge().await;
    assert_eq!(writes.len(), 4, "{writes:?}");
    assert_eq!(bed.project(|project| project.names("Processor").len() + project.names("Source").len()), 1);
    // Somebody else's use stands in the way: told, and nothing is forgotten.
    bed.declare("Source", "used", "{type: host}");
    bed.converge().await;
    bed.project(|project| {
        let row =
            json!({"kind": "Configuration", "metadata": {"name": "theirs"}, "spec": {"sources": [{"name": "used"}]}});
        project.stored.insert(("Configuration".into(), "theirs".into()), row);
    });
    bed.withdraw("Source", "used");
    insta::assert_snapshot!(outcomes(&bed.apply().await), @"failed bindplane/Source/used: `DELETE /v1/sources/used` of connection `bp` was refused (409): Dependent resources: Configuration theirs");
    assert!(bed.record("bindplane/Source/used").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_is_made_before_the_old_one_goes() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{name: first, type: host}");
    bed.declare("Configuration", "c", "{rolloutPolicy: none, sources: [{name: s}]}");
    bed.converge().await;
    bed.declare("Source", "s", "{name: second, type: host}");
    assert_eq!(
        bed.planned().await,
        ["replace bindplane/Source/s (changed) /name", "update bindplane/Configuration/c (dependency) /sources"]
    );
    let writes = bed.converge().await;
    assert_eq!(writes, ["POST /v1/apply", "POST /v1/apply", "DELETE /v1/sources/first"]);
    assert_eq!(bed.project(|project| project.names("Source").join(" ")), "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_made_anew_under_a_name_is_somebody_elses() {
    let mut bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host}");
    bed.converge().await;
    bed.project(|project| project.get_mut("Source", "s")["metadata"]["id"] = "another".into());
    assert_eq!(bed.planned().await, ["adopt bindplane/Source/s (drift)"]);
    bed.declare("Source", "t", "{type: host}");
    bed.withdraw("Source", "s");
    bed.options.prune = true;
    let text = outcomes(&bed.apply().await);
    assert!(text.contains("done bindplane/Source/s"), "{text}");
    assert_eq!(bed.project(|project| project.names("Source").join(" ")), "s t");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_cannot_is_told_and_nothing_is_made_or_deleted_for_it() {
    let mut told = String::new();
    for (what, status, path) in
        [("wrong key", 401, ""), ("read-only key, reads", 403, "/v1/sources"), ("no fleets", 404, "/v1/fleets")]
    {
        let mut bed = Bed::start().await;
        bed.declare("Source", "kept", "{type: host}");
        bed.declare("Fleet", "kept", "{}");
        bed.declare("Source", "stays", "{type: host}");
        bed.converge().await;
        bed.declare("Source", "s", "{type: host}");
        bed.declare("Fleet", "f", "{}");
        bed.withdraw("Fleet", "kept");
        bed.withdraw("Source", "kept");
        bed.options.prune = true;
        bed.spoil(move |asked, _| {
            let hit = path.is_empty() || asked.path == path;
            hit.then(|| Reply::json(status, &json!({"error": "no", "code": "NO"})))
        });
        let planned = pipeline::plan(&bed.options, Mode::Plan).await;
        let (lines, problems) = match &planned {
            Ok(planned) => (crate::support::stack::lines(&planned.document), problems(&planned.diagnostics)),
            Err(failure) => (Vec::new(), failure.to_string()),
        };
        writeln!(told, "{what}: {lines:?}\n{problems}").unwrap();
    }
    insta::assert_snapshot!(told, @r#"
    wrong key: []
    PL0422 `GET /v1/fleets` of connection `bp` was refused: status 401: no; code `NO`.

    read-only key, reads: ["create bindplane/Fleet/f (new) /name", "delete bindplane/Fleet/kept (removed)"]
    PL0423 `GET /v1/sources` of connection `bp` was refused (403): no; code `NO`.

    no fleets: ["create bindplane/Source/s (new) /type /name", "delete bindplane/Source/kept (removed)"]
    PL0423 `GET /v1/fleets` of connection `bp` was refused (404): no; code `NO`.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_write_fails_each_action_and_says_so() {
    let bed = Bed::start().await;
    bed.declare("Source", "a", "{type: host}");
    bed.declare("Source", "b", "{type: host}");
    bed.spoil(|asked, _| (asked.method == "POST").then(|| Reply::json(403, &json!({"errors": ["read only"]}))));
    insta::assert_snapshot!(outcomes(&bed.apply().await), @r"
    failed bindplane/Source/a: `POST /v1/apply` of connection `bp` was refused (403): read only
    failed bindplane/Source/b: `POST /v1/apply` of connection `bp` was refused (403): read only
    ");
    assert_eq!(bed.server.count("POST /v1/apply"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_form_needs_a_newer_server() {
    let bed = Bed::start().await;
    bed.project(|project| project.tag = "v1.80.2");
    bed.declare("Configuration", "first", "{rolloutPolicy: none}");
    bed.declare("Configuration", "second", "{version: v2, rolloutPolicy: none}");
    let planned = bed.plan().await;
    assert_eq!(crate::support::stack::lines(&planned.document).len(), 1);
    assert_eq!(
        problems(&planned.diagnostics),
        "PL0520 `bindplane/Configuration/second` needs version 1.85 of the server or newer, and that of connection `bp` is \
         v1.80.2.\n"
    );
    drop(planned);
    bed.project(|project| project.tag = "v1.85.0");
    bed.converge().await;
    assert_eq!(
        bed.project(|project| project.get("Configuration", "second")["apiVersion"].clone()),
        "bindplane.observiq.com/v2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_types_takes_names_as_they_are() {
    let bed = Bed::start().await;
    bed.project(|project| project.stored.clear());
    bed.declare("Source", "s", "{type: \"host:3\"}");
    bed.spoil(|asked, _| {
        if asked.path == "/v1/source-types" {
            return Some(Reply::json(404, &json!({"error": "not found"})));
        }
        let row = json!({"kind": "Source", "metadata": {"name": "s"}});
        asked
            .is("POST /v1/apply")
            .then(|| Reply::json(202, &json!({"updates": [{"resource": row, "status": "created"}]})))
    });
    let applied = bed.apply().await;
    assert!(!applied.failed);
    assert!(
        problems(&applied.diagnostics).starts_with("PL0423 `GET /v1/source-types`"),
        "{}",
        problems(&applied.diagnostics)
    );
    assert_eq!(bodies(&bed)[0][0]["spec"]["type"], "host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_objects_take_a_list_a_kind_and_a_call_a_batch() {
    let bed = Bed::start().await;
    for number in 0..250 {
        bed.declare("Processor", &format!("p{number}"), "{type: filter}");
        bed.declare("Source", &format!("s{number}"), &format!("{{type: host, processors: [{{name: p{number}}}]}}"));
        bed.declare("Destination", &format!("d{number}"), "{type: logging}");
        let spec =
            format!("{{rolloutPolicy: none, sources: [{{name: s{number}}}], destinations: [{{name: d{number}}}]}}");
        bed.declare("Configuration", &format!("c{number}"), &spec);
    }
    let applied = bed.apply().await;
    assert!(!applied.failed);
    // Four kinds and the types of three of them.
    assert_eq!(applied.document.requests.observe, 7);
    // 500 processors and destinations, then 250 sources, then 250 configurations, a hundred at a time.
    assert_eq!(applied.document.requests.apply, 5 + 3 + 3);
    let planned = bed.plan().await;
    assert_eq!((planned.document.requests.observe, planned.document.summary.unchanged), (7, 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_takes_along_nothing_that_it_does_not_define() {
    let bed = Bed::start().await;
    bed.declare("Destination", "d", SPLUNK);
    bed.converge().await;
    // Nothing but the type is declared now; one parameter is, for no type's sake.
    bed.declare("Destination", "d", "{type: logging, parameters: [{name: own, value: 1}]}");
    assert_eq!(
        bed.planned().await,
        ["update bindplane/Destination/d (changed) /type /parameters/own /parameters/hostname /parameters/token",]
    );
    bed.converge().await;
    let stored = || bed.project(|project| project.get("Destination", "d")["spec"].clone());
    assert_eq!(stored(), json!({"type": "logging", "parameters": [{"name": "own", "value": 1}]}));
    // So it is where no parameter is declared.
    bed.project(|project| {
        project.get_mut("DestinationType", "logging")["spec"]["parameters"] = json!([{"name": "own"}]);
    });
    bed.declare("Destination", "d", "{type: splunkhec}");
    assert_eq!(bed.planned().await, ["update bindplane/Destination/d (changed) /type /parameters/own"]);
    bed.converge().await;
    assert_eq!(stored(), json!({"type": "splunkhec", "parameters": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_under_another_display_name_keeps_what_is_not_declared() {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host, processors: [{type: filter, displayName: x}, {type: batch}]}");
    bed.converge().await;
    let before = bed.project(|project| {
        let one = &mut project.get_mut("Source", "s")["spec"]["processors"][0];
        one["parameters"] = json!([{"name": "token", "value": "from the browser"}]);
        one.clone()
    });
    bed.declare("Source", "s", "{type: host, processors: [{type: filter, displayName: y}, {type: batch}]}");
    assert_eq!(bed.planned().await, ["update bindplane/Source/s (changed) /processors/0/displayName"]);
    bed.converge().await;
    let after = bed.project(|project| project.get("Source", "s")["spec"]["processors"][0].clone());
    assert_eq!((&after["id"], &after["parameters"]), (&before["id"], &before["parameters"]));
    assert_eq!(after["displayName"], "y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_somebody_may_have_changed_is_told_of() {
    let bed = Bed::start().await;
    bed.declare("Processor", "p", "{type: filter}");
    let spec = SPLUNK.replace("{type: splunkhec", "{type: splunkhec, processors: [{name: p}]");
    bed.declare("Destination", "d", &spec);
    bed.converge().await;
    let unseen = async || {
        let planned = bed.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new());
        planned.diagnostics.iter().any(|told| told.code == "PL0527")
    };
    assert!(!unseen().await);
    // What plumb itself moves is no news.
    bed.declare("Processor", "p", "{type: filter, displayName: P}");
    bed.converge().await;
    assert_eq!(bed.project(|project| project.get("Destination", "d")["metadata"]["version"].clone()), 2);
    assert!(!unseen().await);
    bed.project(|project| {
        let row = project.get_mut("Destination", "d");
        row["metadata"]["version"] = 3.into();
        row["spec"]["parameters"][1]["value"] = "another-token".into();
    });
    assert!(unseen().await);
    // The next write takes it as it then is.
    bed.declare("Destination", "d", &spec.replace("{type", "{displayName: D, type"));
    bed.converge().await;
    assert!(!unseen().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_is_shown_for_the_old_one_where_it_is_used() {
    let bed = Bed::start().await;
    bed.declare("Destination", "d", "{name: d1, type: logging}");
    bed.declare("Configuration", "c", "{destinations: [{name: d}], rolloutPolicy: none}");
    bed.converge().await;
    bed.declare("Destination", "d", "{name: d2, type: logging}");
    let planned = bed.plan().await;
    let change =
        planned.document.actions.iter().find(|action| action.kind == "Configuration").unwrap().changes[0].clone();
    assert_eq!(change.before, Some(json!([{"id": "d-d1", "name": "d1"}])));
    assert_eq!(change.after, Some(json!([{"name": "d2"}])));
}
