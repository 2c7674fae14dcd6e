//! A thousand resources of one connection cost as many list calls as one, and nothing at all is written once they are
//! as declared.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::Value;

use crate::support::operator::{Operated, PATIENCE, condition};

const OBJECTS: usize = 1000;
const SWEEPS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_resources_cost_the_list_calls_of_one() {
    let Some(mut operated) = Operated::prepare("scale").await else { return };
    operated.connection("main", "itglue", "apiKey");
    let mut manifests = String::new();
    for number in 0..OBJECTS {
        let _ = write!(
            manifests,
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: org-{number:04}}}\n\
             spec: {{name: Org {number:04}}}\n---\n"
        );
    }
    let (good, said) =
        operated.cluster.feed(&["create", "-n", &operated.namespace, "--validate=ignore", "-f", "-"], &manifests);
    assert!(good, "{said}");
    operated.start();
    let list = || -> Vec<Value> {
        let (_, text) = operated.cluster.kubectl(&["get", "itgorg", "-n", &operated.namespace, "-o", "json"]);
        serde_json::from_str::<Value>(&text).ok().and_then(|list| list["items"].as_array().cloned()).unwrap_or_default()
    };
    operated.cluster.until("all are ready", PATIENCE * 5, || {
        let ready = |item: &&Value| condition(item, "Ready").is_some_and(|ready| ready["status"] == "True");
        (list().iter().filter(ready).count() == OBJECTS).then_some(())
    });
    // One look before, and the calls that the plan of the command line has: the API makes them one by one.
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let log = operated.sandbox.log();
    // Sweeps may follow before the last status is seen.
    let last = log.iter().rposition(|entry| entry.method == "POST").unwrap();
    for entry in &log[..=last] {
        *calls.entry(format!("{} {}", entry.method, entry.path)).or_default() += 1;
    }
    eprintln!("first reconcile: {calls:?}");
    let creates: usize = calls.iter().filter(|(call, _)| call.starts_with("POST")).map(|(_, count)| count).sum();
    assert_eq!(
        operated
            .sandbox
            .objects("itglue", "Organization")
            .iter()
            .filter(|row| row.to_string().contains("Org 0"))
            .count(),
        OBJECTS
    );
    assert!(creates <= OBJECTS, "{creates} creates");
    assert!(calls["GET /organizations"] <= OBJECTS / 1000 + 1, "{calls:?}");

    let versions = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["metadata"]["resourceVersion"].to_string()).collect()
    };
    std::thread::sleep(Duration::from_secs(3));
    operated.sandbox.clear_log();
    let before = versions(&list());
    let pages = OBJECTS / 1000 + 1;
    operated.cluster.until("sweeps", PATIENCE * 4, || (operated.sandbox.log().len() >= SWEEPS * pages).then_some(()));
    assert_eq!(versions(&list()), before, "a status was written although nothing changed");
    assert_eq!(operated.writes().len(), 0);
    let lists = operated.sandbox.log();
    assert!(lists.len() <= (SWEEPS + 1) * pages, "{} list calls in {SWEEPS} sweeps", lists.len());
    assert!(lists.iter().all(|entry| entry.path.ends_with("/organizations")), "{lists:#?}");
    let peak = operated.peak(0);
    eprintln!("steady: {} list calls; at most {peak} MiB", lists.len());
    // A debug build is larger than a release.
    assert!(peak < 256, "{peak} MiB");
}
