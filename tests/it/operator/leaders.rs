//! Several replicas: one works at a time, the next goes on where it was killed, and nothing is made twice.

use std::fmt::Write as _;

use plumb::sandbox::SandboxOptions;
use serde_json::Value;

use crate::support::operator::{Operated, PATIENCE, condition};

const OBJECTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_finishes_what_the_killed_one_began() {
    let slow = SandboxOptions { latency: std::time::Duration::from_millis(100), ..SandboxOptions::default() };
    let Some(mut operated) = Operated::prepare_with("leaders", plumb::apis::builtin(), slow).await else { return };
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
    let ours = |operated: &Operated| {
        let rows = operated.sandbox.objects("rest", "Resource");
        rows.iter().filter(|row| row.to_string().contains("\"Resource ")).count()
    };
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
