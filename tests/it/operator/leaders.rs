//! Several replicas: one works at a time, the next goes on where it was killed, and nothing is made twice.

use std::fmt::Write as _;

use plumb::sandbox::SandboxOptions;
use serde_json::Value;

use crate::support::operator::{Operated, PATIENCE, condition};

const OBJECTS: usize = 200;

/// A namespace with many resources for an API that is slow, before an operator sees them.
async fn crowd(name: &str) -> Option<Operated> {
    let slow = SandboxOptions { latency: std::time::Duration::from_millis(100), ..SandboxOptions::default() };
    let mut operated = Operated::prepare_with(name, plumb::apis::builtin(), slow).await?;
    let lease = format!("--lease={}/plumb", operated.namespace);
    operated.with(&[&lease]);
    let system = operated.cluster.namespace("system");
    operated.inventory_in(&system);
    operated.connection("platform", "rest", "bearer");
    let mut manifests = String::new();
    for number in 0..OBJECTS {
        let _ = write!(
            manifests,
            "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {{name: r-{number:03}}}\n\
             spec: {{name: Resource {number:03}, type: standard}}\n---\n"
        );
    }
    let (good, said) = operated.cluster.feed(&["create", "-n", &operated.namespace, "-f", "-"], &manifests);
    assert!(good, "{said}");
    Some(operated)
}

/// How many of them are made.
fn ours(operated: &Operated) -> usize {
    let rows = operated.sandbox.objects("rest", "Resource");
    rows.iter().filter(|row| row.to_string().contains("\"Resource ")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_finishes_what_the_killed_one_began() {
    let Some(mut operated) = crowd("leaders").await else { return };
    operated.start();
    operated.start();
    operated.cluster.until("the run is under way", PATIENCE, || (ours(&operated) > 20).then_some(()));
    let first = usize::from(!operated.log(0).contains("holds the lease"));
    let holder = operated.get("lease/plumb").unwrap();
    assert!(holder["spec"]["holderIdentity"].is_string(), "{holder:#}");
    let leader = if operated.log(first).contains("this replica holds the lease") { first } else { 1 - first };
    operated.kill(leader);
    let at_kill = ours(&operated);
    assert!(at_kill < OBJECTS, "the run was over already");
    operated.cluster.until("all are ready", PATIENCE * 4, || {
        let (_, text) = operated.cluster.kubectl(&["get", "restres", "-n", &operated.namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).ok()?;
        let ready = |item: &&Value| condition(item, "Ready").is_some_and(|ready| ready["status"] == "True");
        (list["items"].as_array()?.iter().filter(ready).count() == OBJECTS).then_some(())
    });
    assert_eq!(ours(&operated), OBJECTS, "made twice or lost");
    // Asked to end, it gives the lease back.
    assert_eq!(operated.end(1 - leader), 0, "{}", operated.log(1 - leader));
    let lease = operated.get("lease/plumb").unwrap();
    assert!(lease["spec"].get("holderIdentity").is_none_or(Value::is_null), "{lease:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_paused_past_its_lease_writes_nothing_more() {
    let Some(mut operated) = crowd("paused").await else { return };
    operated.start();
    operated.cluster.until("it leads", PATIENCE, || operated.log(0).contains("holds the lease").then_some(()));
    operated.start();
    operated.cluster.until("the run is under way", PATIENCE, || (ours(&operated) > 20).then_some(()));
    operated.signal(0, "-STOP");
    let at_pause = ours(&operated);
    assert!(at_pause < OBJECTS, "the run was over already");
    let list = || {
        let (_, text) = operated.cluster.kubectl(&["get", "restres", "-n", &operated.namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    };
    operated.cluster.until("the other one finished", PATIENCE * 4, || {
        let ready = |item: &&Value| condition(item, "Ready").is_some_and(|ready| ready["status"] == "True");
        (list().iter().filter(ready).count() == OBJECTS).then_some(())
    });
    assert_eq!(ours(&operated), OBJECTS, "made twice or lost");
    std::thread::sleep(std::time::Duration::from_secs(3));
    operated.sandbox.clear_log();
    let versions = || list().iter().map(|item| item["metadata"]["resourceVersion"].to_string()).collect::<Vec<_>>();
    let before = versions();
    operated.signal(0, "-CONT");
    let code = operated.cluster.until("the paused one ends", PATIENCE, || operated.ended(0));
    assert_ne!(code, 0, "{}", operated.log(0));
    assert!(operated.log(0).contains("holds the lease now"), "{}", operated.log(0));
    assert_eq!(operated.writes().len(), 0, "{:#?}", operated.writes());
    let list = |operated: &Operated| {
        let (_, text) = operated.cluster.kubectl(&["get", "restres", "-n", &operated.namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["metadata"]["resourceVersion"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(&operated), before, "a status was written by the paused one");
    assert_eq!(ours(&operated), OBJECTS, "made twice or lost");
}
