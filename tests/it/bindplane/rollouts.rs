//! Rollouts: started once, by whoever caused the version; gates, failures and other people's versions are left alone.

use plumb::{plan::Reason, plan::RequestInfo};
use serde_json::json;

use super::{Bed, outcomes, problems};
use crate::support::{stack::lines, wild::Reply};

const START: &str = "POST /v1/rollouts/c/start";

/// A project with a configuration that is rolled out.
async fn rolled_out(policy: &str) -> Bed {
    let bed = Bed::start().await;
    bed.declare("Source", "s", "{type: host}");
    bed.declare("Configuration", "c", &format!("{{{policy}sources: [{{name: s}}]}}"));
    let writes = bed.converge().await;
    if !policy.contains("none") {
        assert_eq!(writes, ["POST /v1/apply", "POST /v1/apply", START]);
    }
    bed.project(|project| {
        let row = project.get_mut("Configuration", "c");
        row["status"]["rollout"]["status"] = 4.into();
        row["status"]["currentVersion"] = row["metadata"]["version"].clone();
    });
    assert_eq!(bed.planned().await, Vec::<String>::new());
    bed
}

fn with_other_source(bed: &Bed) {
    bed.declare("Source", "s", "{type: host, displayName: S}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_its_own_is_rolled_out_with_it() {
    let bed = rolled_out("").await;
    bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m}");
    let planned = bed.plan().await;
    assert_eq!(lines(&planned.document), ["update bindplane/Configuration/c (changed) /measurementInterval /rollout"]);
    let calls: Vec<String> = planned.document.actions[0]
        .requests
        .iter()
        .map(|request| match request {
            RequestInfo::Call { method, path } => format!("{method} {path}"),
            RequestInfo::Shared { .. } => "shared".into(),
        })
        .collect();
    assert_eq!(calls, ["POST /v1/apply", START]);
    drop(planned);
    assert_eq!(bed.converge().await, ["POST /v1/apply", START]);
    // What is no part of the spec makes no version.
    bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m, labels: {a: b}}");
    assert_eq!(bed.converge().await, ["POST /v1/apply"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_component_is_rolled_out_by_an_action_of_the_configuration() {
    let bed = rolled_out("").await;
    bed.project(|project| {
        project.agents = vec![
            json!({"id": "1", "name": "a", "labels": {"configuration": "c"}}),
            json!({"id": "2", "name": "b", "labels": {"configuration": "other"}}),
            json!({"id": "3", "name": "d", "labels": {"configuration": "c"}}),
        ];
    });
    with_other_source(&bed);
    let planned = bed.plan().await;
    assert_eq!(
        lines(&planned.document),
        ["update bindplane/Source/s (changed) /displayName", "update bindplane/Configuration/c (rollout) /rollout"]
    );
    let action = &planned.document.actions[1];
    assert_eq!(
        (action.reason, action.depends_on.as_slice()),
        (Reason::Rollout, &["bindplane/Source/s".to_owned()][..])
    );
    assert!(action.notes.contains(&"It reaches 2 agents.".to_owned()), "{:?}", action.notes);
    drop(planned);
    assert_eq!(bed.converge().await, ["POST /v1/apply", START]);
    assert!(bed.record("bindplane/Configuration/c").await.unwrap().rollout.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_a_component_counts_too() {
    let bed = Bed::start().await;
    bed.declare("Processor", "p", "{type: filter}");
    bed.declare("Source", "s", "{type: host, processors: [{name: p}]}");
    bed.declare("Configuration", "c", "{sources: [{name: s}]}");
    bed.converge().await;
    bed.declare("Processor", "p", "{type: filter, displayName: P}");
    assert_eq!(
        bed.planned().await,
        ["update bindplane/Processor/p (changed) /displayName", "update bindplane/Configuration/c (rollout) /rollout"]
    );
    assert_eq!(bed.converge().await, ["POST /v1/apply", START]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_others_moved_is_no_change_and_is_not_started() {
    let bed = rolled_out("").await;
    bed.project(|project| project.move_on("c"));
    let planned = bed.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    let note = planned.diagnostics.iter().find(|told| told.code == "PL0522").unwrap();
    assert!(note.message.contains("plumb did not make it"), "{}", note.message);
    drop(planned);
    assert_eq!(bed.converge().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_made_good_by_the_next_run() {
    for own in [true, false] {
        let bed = rolled_out("").await;
        if own {
            bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m}");
        } else {
            with_other_source(&bed);
        }
        bed.spoil(|asked, _| asked.is(START).then(|| Reply::json(500, &json!({"error": "oops"}))));
        let text = outcomes(&bed.apply().await);
        assert!(text.contains("failed bindplane/Configuration/c: "), "{text}");
        assert!(text.contains("rollout was"), "{text}");
        bed.mend();
        assert_eq!(bed.planned().await, ["update bindplane/Configuration/c (rollout) /rollout"]);
        assert_eq!(bed.converge().await, [START]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_before_the_start_loses_no_rollout() {
    for what in ["new", "own", "component"] {
        let bed = if what == "new" { Bed::start().await } else { rolled_out("").await };
        match what {
            "new" => {
                bed.declare("Source", "s", "{type: host}");
                bed.declare("Configuration", "c", "{sources: [{name: s}]}");
            }
            "own" => bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m}"),
            _ => with_other_source(&bed),
        }
        // The server does what the last apply asks for, and the run dies before it hears of it.
        let (tell, told) = std::sync::mpsc::channel();
        let last = if what == "component" { "Source" } else { "Configuration" };
        bed.spoil(move |asked, project| {
            let is_last = asked.is("POST /v1/apply") && asked.body["resources"][0]["kind"] == last;
            is_last.then(|| {
                project.answer(asked);
                tell.send(()).unwrap();
                Reply::Drip("{}".into(), std::time::Duration::from_mins(1))
            })
        });
        let planned = bed.plan().await;
        let died = tokio::task::spawn_blocking(move || told.recv().unwrap());
        tokio::select! {
            _ = plumb::pipeline::apply(planned, &bed.options) => panic!("{what}: the run did not die"),
            _ = died => {}
        }
        bed.mend();
        bed.expire_intents().await;
        let wanted = if what == "new" { "adopt" } else { "update" };
        let planned = bed.planned().await;
        assert_eq!(planned.len(), 1, "{what}: {planned:?}");
        assert!(planned[0].starts_with(wanted) && planned[0].ends_with("/rollout"), "{what}: {planned:?}");
        let writes = bed.converge().await;
        assert_eq!(writes, [START], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_leaves_no_right_to_roll_others_versions_out() {
    let bed = rolled_out("").await;
    bed.project(|project| {
        project.move_on("c");
        project.invalid = vec!["c", "s"];
    });
    bed.declare("Configuration", "c", "{sources: [{name: s}], contentType: text/yaml}");
    assert!(bed.apply().await.failed);
    with_other_source(&bed);
    bed.declare("Configuration", "c", "{sources: [{name: s}]}");
    assert!(bed.apply().await.failed);
    bed.declare("Source", "s", "{type: host}");
    assert_eq!(bed.planned().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_never_pushed() {
    let bed = rolled_out("rolloutPolicy: wait, ").await;
    bed.project(|project| project.goes_on = vec![(1, 0), (0, 1)]);
    with_other_source(&bed);
    let applied = bed.apply_uncounted().await;
    assert!(!applied.failed, "{}", outcomes(&applied));
    assert!(applied.diagnostics.iter().any(|told| told.code == "PL0705"));
    assert_eq!(bed.server.count(START), 1);
    // The gate is no change, for any policy.
    for policy in ["rolloutPolicy: wait, ", "", "rolloutPolicy: none, "] {
        bed.declare("Configuration", "c", &format!("{{{policy}sources: [{{name: s}}]}}"));
        assert_eq!(bed.converge().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_start_is_looked_for_before_it_is_sent_again() {
    let bed = rolled_out("").await;
    bed.project(|project| project.goes_on = vec![(0, 1)]);
    with_other_source(&bed);
    bed.spoil(|asked, project| {
        asked.is(START).then(|| {
            project.answer(asked);
            Reply::Reset
        })
    });
    let applied = bed.apply_uncounted().await;
    assert!(!applied.failed, "{}", outcomes(&applied));
    assert_eq!(bed.server.count(START), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_the_rollout() {
    for (states, wanted) in [
        (vec![(1, 0), (4, 0)], ""),
        (vec![(1, 0), (3, 0)], "the rollout of version 2 failed"),
        (vec![(2, 0)], "the rollout of version 2 is paused"),
        (vec![(5, 0)], "the rollout of version 2 was replaced by a newer one"),
        (vec![(1, 0)], "its rollout is not done after 1 s; it goes on"),
    ] {
        let bed = rolled_out("rolloutPolicy: wait, rolloutTimeoutSeconds: 1, ").await;
        bed.project(|project| project.goes_on = states);
        with_other_source(&bed);
        let text = outcomes(&bed.apply_uncounted().await);
        let failed = format!("failed bindplane/Configuration/c: {wanted}\n");
        let last = if wanted.is_empty() { "done bindplane/Configuration/c\n" } else { failed.as_str() };
        assert_eq!(text, format!("done bindplane/Source/s\n{last}"));
        // It is not started again, whatever came of it.
        let planned = bed.plan().await;
        let told = problems(&planned.diagnostics);
        if wanted.contains("it goes on") {
            // The next run waits on, and does not start it either.
            assert_eq!(lines(&planned.document), ["update bindplane/Configuration/c (rollout) /rollout"]);
            bed.project(|project| project.goes_on = vec![(4, 0)]);
            let applied = bed.apply_uncounted().await;
            assert_eq!((outcomes(&applied).as_str(), bed.server.count(START)), ("done bindplane/Configuration/c\n", 0));
            assert_eq!(bed.planned().await, Vec::<String>::new());
            continue;
        }
        assert_eq!(lines(&planned.document), Vec::<String>::new());
        assert_eq!(told.contains("PL0523"), wanted.contains("failed") || wanted.contains("paused"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_policy_none_nothing_is_started_until_it_is_another() {
    let bed = rolled_out("rolloutPolicy: none, ").await;
    with_other_source(&bed);
    assert_eq!(bed.planned().await, ["update bindplane/Source/s (changed) /displayName"]);
    assert_eq!(bed.converge().await, ["POST /v1/apply"]);
    let planned = bed.plan().await;
    assert!(
        planned.diagnostics.iter().any(|told| told.code == "PL0522" && told.message.contains("its policy is `none`"))
    );
    drop(planned);
    // The version is plumb's own, and stays so.
    bed.declare("Configuration", "c", "{sources: [{name: s}]}");
    assert_eq!(bed.planned().await, ["update bindplane/Configuration/c (rollout) /rollout"]);
    assert_eq!(bed.converge().await, [START]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_not_started() {
    let bed = rolled_out("").await;
    // The server finds that it is the same after all.
    bed.declare("Configuration", "c", "{sources: [{name: s}], contentType: text/yaml}");
    bed.spoil(|asked, project| {
        asked.is("POST /v1/apply").then(|| {
            let row = project.get_mut("Configuration", "c");
            row["spec"]["contentType"] = "text/yaml".into();
            let row = row.clone();
            Reply::json(202, &json!({"updates": [{"resource": row, "status": "unchanged"}]}))
        })
    });
    let applied = bed.apply_uncounted().await;
    assert!(!applied.failed);
    assert_eq!(bed.server.count(START), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_say_nothing_of_rollouts_are_enough() {
    // Neither the list nor the answer to the apply has a status.
    let bed = rolled_out("").await;
    bed.spoil(|asked, project| {
        let writes = asked.is("POST /v1/apply");
        if !writes && !asked.is("GET /v1/configurations") {
            return None;
        }
        let Reply::Answer(code, _, body) = project.answer(asked) else { return None };
        let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let list = if writes { &mut body["updates"] } else { &mut body["configurations"] };
        for row in list.as_array_mut().unwrap() {
            let row = if writes { &mut row["resource"] } else { row };
            row.as_object_mut().unwrap().remove("status");
        }
        Some(Reply::json(code, &body))
    });
    with_other_source(&bed);
    assert_eq!(bed.converge().await, ["POST /v1/apply", START]);
    bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m}");
    assert_eq!(bed.converge().await, ["POST /v1/apply", START]);
    bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m, labels: {a: b}}");
    assert_eq!(bed.converge().await, ["POST /v1/apply"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_somebody_else_is_not_rolled_out_where_nothing_of_ours_is_new() {
    for hashes in [true, false] {
        let bed = rolled_out("").await;
        bed.project(|project| project.move_on("c"));
        with_other_source(&bed);
        let planned = bed.plan().await;
        // That its change would go out with the draft is said.
        let told = problems(&planned.diagnostics);
        assert!(told.contains("PL0525") && told.contains("changes that plumb did not make"), "{told}");
        drop(planned);
        // The server finds that the source is the same after all.
        bed.spoil(move |asked, project| {
            if !hashes && asked.is("GET /v1/configurations") {
                let Reply::Answer(code, _, body) = project.answer(asked) else { return None };
                let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
                body["configurations"][0]["metadata"].as_object_mut().unwrap().remove("hash");
                return Some(Reply::json(code, &body));
            }
            asked.is("POST /v1/apply").then(|| {
                let row = project.get_mut("Source", "s").clone();
                Reply::json(202, &json!({"updates": [{"resource": row, "status": "unchanged"}]}))
            })
        });
        let applied = bed.apply_uncounted().await;
        assert!(!applied.failed, "{}", outcomes(&applied));
        assert_eq!(bed.server.count(START), 0);
        assert!(bed.record("bindplane/Configuration/c").await.unwrap().rollout.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_answer_was_lost_is_rolled_out() {
    let bed = rolled_out("").await;
    bed.declare("Configuration", "c", "{sources: [{name: s}], measurementInterval: 1m}");
    let lost = std::sync::atomic::AtomicBool::new(false);
    bed.spoil(move |asked, project| {
        if !asked.is("POST /v1/apply") || lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return None;
        }
        project.answer(asked);
        Some(Reply::Reset)
    });
    let applied = bed.apply_uncounted().await;
    assert!(!applied.failed, "{}", outcomes(&applied));
    assert_eq!(bed.server.writes(), ["POST /v1/apply", "POST /v1/apply", START]);
    assert_eq!(bed.planned().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_into_our_draft_is_not_rolled_out_unsaid() {
    let bed = rolled_out("rolloutPolicy: none, ").await;
    with_other_source(&bed);
    bed.converge().await;
    bed.project(|project| project.edit_draft("c"));
    bed.declare("Configuration", "c", "{sources: [{name: s}]}");
    let planned = bed.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    let note = planned.diagnostics.iter().find(|told| told.code == "PL0522").unwrap();
    assert!(note.message.contains("plumb did not make it"), "{}", note.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_what_is_left_alone_is_told_and_not_rolled_out() {
    for reconcile in ["observe", "disabled"] {
        let bed = rolled_out("").await;
        let text = format!(
            "apiVersion: bindplane.plumb.dev/v1alpha1\nkind: Configuration\nmetadata:\n  name: c\n  annotations: \
             {{plumb.dev/reconcile: {reconcile}}}\nspec: {{sources: [{{name: s}}]}}\n"
        );
        std::fs::write(bed.folder.path().join("Configuration-c.yaml"), text).unwrap();
        with_other_source(&bed);
        let planned = bed.plan().await;
        assert!(planned.diagnostics.iter().any(|told| told.code == "PL0522"), "{reconcile}");
        drop(planned);
        assert_eq!(bed.apply().await.document.actions.len(), 1);
        assert_eq!(bed.server.count(START), 0);
    }
}
