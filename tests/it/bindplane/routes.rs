//! Configurations of the second form: groups of processors, and routes that the server makes and plumb does not keep alive.

use serde_json::{Value, json};

use super::{Bed, outcomes, problems};
use crate::support::stack::lines;

/// What the routes of the configuration's sources lead to.
fn led_to(bed: &Bed) -> Vec<Value> {
    bed.project(|project| {
        let sources = project.get("Configuration", "c")["spec"]["sources"].as_array().unwrap().clone();
        sources.iter().map(|source| source["routes"]["logs"][0]["components"].clone()).collect()
    })
}

async fn with(destinations: &str) -> Bed {
    let bed = Bed::start().await;
    for name in ["l1", "l2", "l3"] {
        bed.declare("Destination", name, "{type: logging}");
    }
    lead(&bed, destinations);
    bed.converge().await;
    bed
}

fn lead(bed: &Bed, destinations: &str) {
    let spec =
        format!("{{version: v2, rolloutPolicy: none, sources: [{{type: host}}], destinations: [{destinations}]}}");
    bed.declare("Configuration", "c", &spec);
}

async fn notes(bed: &Bed) -> Vec<String> {
    let planned = bed.plan().await;
    assert_eq!(problems(&planned.diagnostics), "");
    planned.document.actions.iter().flat_map(|action| action.notes.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_the_server_follow_the_destinations() {
    let bed = with("{name: l1}").await;
    assert_eq!(led_to(&bed), [json!(["destinations/d-l1"])]);
    // Another one in its place.
    lead(&bed, "{name: l2}");
    assert_eq!(notes(&bed).await, ["`sources/0/routes` is not declared: the server makes it anew."]);
    bed.converge().await;
    assert_eq!(led_to(&bed), [json!(["destinations/d-l2"])]);
    // One more.
    lead(&bed, "{name: l2}, {name: l3}");
    assert_eq!(notes(&bed).await, ["`sources/0/routes` is not declared: the server makes it anew."]);
    bed.converge().await;
    assert_eq!(led_to(&bed), [json!(["destinations/d-l2", "destinations/d-l3"])]);
    // One less.
    lead(&bed, "{name: l3}");
    assert_eq!(notes(&bed).await, ["`sources/0/routes` leads to `destinations/d-l2` no more."]);
    bed.converge().await;
    assert_eq!(led_to(&bed), [json!(["destinations/d-l3"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_somebody_chose_are_kept_and_what_they_leave_out_is_told() {
    let bed = with("{name: l1}, {name: l2}").await;
    bed.project(|project| {
        let source = &mut project.get_mut("Configuration", "c")["spec"]["sources"][0];
        source["routes"] = json!({"logs": [{"id": "mine", "components": ["destinations/d-l2"]}]});
    });
    lead(&bed, "{name: l1}, {name: l2}, {name: l3}");
    let planned = bed.plan().await;
    assert_eq!(
        problems(&planned.diagnostics),
        "PL0526 Nothing leads to `destinations/2` of `bindplane/Configuration/c`: what there is leads to others by choice, \
         and stays so.\n"
    );
    drop(planned);
    let applied = bed.apply().await;
    assert_eq!(outcomes(&applied), "done bindplane/Configuration/c\n");
    assert_eq!(led_to(&bed), [json!(["destinations/d-l2"])]);
    assert_eq!(bed.planned().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_not_kept_where_nobody_knows_the_ids_that_they_name() {
    let bed = with("{name: l1}").await;
    bed.project(|project| project.hides_ids = true);
    lead(&bed, "{name: l2}");
    bed.converge().await;
    assert_eq!(led_to(&bed), [json!(["destinations/d-l2"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_routes_are_sent_as_they_are() {
    let bed = with("{name: l1}").await;
    let spec = "{version: v2, rolloutPolicy: none, sources: [{type: host, routes: {logs: [{id: r, components: [destinations/two]}]}}], \
                destinations: [{name: l1}, {id: two, name: l2}]}";
    bed.declare("Configuration", "c", spec);
    bed.converge().await;
    assert_eq!(led_to(&bed), [json!(["destinations/two"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_processors_needs_no_name_and_no_type() {
    let bed = with("{name: l1}").await;
    bed.declare("Processor", "p", "{type: batch}");
    let spec = |more: &str| {
        format!(
            "{{version: v2, rolloutPolicy: none, sources: [{{type: host, routes: {{logs: [{{id: r, components: [processors/g]}}]}}}}], \
             processors: [{{id: g, processors: [{{name: p}}{more}]}}], destinations: [{{name: l1}}]}}"
        )
    };
    bed.declare("Configuration", "c", &spec(""));
    bed.converge().await;
    assert_eq!(led_to(&bed), [json!(["processors/g"])]);
    bed.declare("Configuration", "c", &spec(", {type: filter}"));
    let planned = bed.plan().await;
    assert_eq!(
        lines(&planned.document),
        ["update bindplane/Configuration/c (changed) /processors/0/processors"],
        "{}",
        problems(&planned.diagnostics)
    );
    drop(planned);
    bed.converge().await;
    // Inside a group each is one or the other.
    bed.declare("Configuration", "c", &spec(", {displayName: neither}"));
    assert!(problems(&bed.plan().await.diagnostics).starts_with("PL0108"));
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_lead_to_what_is_declared_or_live_and_nowhere_else() {
    let bed = with("{name: l1}").await;
    let spec = |group: &str| {
        format!(
            "{{version: v2, rolloutPolicy: none, sources: [{{type: host, routes: {{logs: [{{id: r, components: [processors/g]}}]}}}}], \
             {group}destinations: [{{name: l1}}]}}"
        )
    };
    let told = "PL0118 `sources/0/routes` of `bindplane/Configuration/NAME` leads to `processors/g`, and there is no such item, \
                declared or live.\n";
    // Of one that is there, and of a new one.
    for name in ["c", "d"] {
        bed.declare("Configuration", name, &spec(""));
        let planned = bed.plan().await;
        assert_eq!(problems(&planned.diagnostics), told.replace("NAME", name));
        assert_eq!(lines(&planned.document), Vec::<String>::new());
        bed.declare("Configuration", name, &spec("processors: [{id: g, processors: [{type: filter}]}], "));
        bed.converge().await;
        // What is live and not declared is led to as well.
        bed.declare("Configuration", name, &spec("").replace("id: r", "id: r2"));
        bed.converge().await;
    }
    assert_eq!(led_to(&bed), [json!(["processors/g"])]);
}
