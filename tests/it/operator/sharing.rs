//! What reaches further than one kind of one namespace: a connection that other namespaces use, kinds that a user describes.

use std::sync::Arc;

use plumb::{
    description::{Api, Catalog, format::ApiSpec},
    sandbox::SandboxOptions,
};
use serde_json::Value;

use crate::support::{
    example::{plumb, repository},
    operator::{Operated, PATIENCE, condition},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_the_namespaces_that_it_lists_and_no_others() {
    let Some(mut operated) = Operated::prepare("shared").await else { return };
    let (listed, other) = (operated.cluster.namespace("listed"), operated.cluster.namespace("unlisted"));
    operated.with(&["--namespace", &listed, "--namespace", &other]);
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    let patch = format!(r#"{{"spec":{{"namespaces":["{listed}"]}}}}"#);
    operated.kubectl(&["patch", "connection/main", "--type=merge", "-p", &patch]);
    let organization = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: NAME}\nspec: {name: NAME, connection: main}\n";
    for (namespace, name) in [(&listed, "served"), (&other, "stranger")] {
        let text = organization.replace("NAME", name);
        let (good, said) = operated.cluster.feed(&["apply", "-n", namespace, "-f", "-"], &text);
        assert!(good, "{said}");
    }
    let wait = |namespace: &str, what: &str, status: &str| -> Value {
        operated.cluster.until(what, PATIENCE, || {
            let found = operated.cluster.get(namespace, what)?;
            condition(&found, "Ready").is_some_and(|ready| ready["status"] == status).then_some(found)
        })
    };
    wait(&listed, "itgorg/served", "True");
    let refused = wait(&other, "itgorg/stranger", "False");
    assert!(condition(&refused, "Ready").unwrap()["message"].as_str().unwrap().contains("main"), "{refused:#}");
    let rows = operated.sandbox.objects("itglue", "Organization");
    assert!(!rows.iter().any(|row| row.to_string().contains("stranger")));
    // Its Secret stays where it is.
    assert!(operated.cluster.get(&listed, "secret/main").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_a_user_describes_are_served_without_a_restart() {
    let manifest = std::fs::read_to_string(repository("examples/custom-api/api.yaml")).unwrap();
    let document: Value = serde_saphyr::from_str(&manifest).unwrap();
    let name = document["metadata"]["name"].as_str().unwrap().to_owned();
    let spec: ApiSpec = serde_json::from_value(document["spec"].clone()).unwrap();
    let mut catalog = Catalog::default();
    catalog.insert(Arc::new(Api::compile(&name, spec).unwrap()));
    let Some(mut operated) = Operated::prepare_with("described", &catalog, SandboxOptions::default()).await else {
        return;
    };
    operated.start();
    operated.cluster.until("the operator works", PATIENCE, || operated.log(0).contains("watching").then_some(()));
    let printed = plumb().args(["crds", "-f", "examples/custom-api/api.yaml"]).output().unwrap();
    let definitions = String::from_utf8(printed.stdout).unwrap();
    let (good, said) = operated.cluster.feed(&["apply", "--server-side", "-f", "-"], &definitions);
    assert!(good, "{said}");
    operated.cluster.run(&["wait", "--for=condition=Established", "--timeout=240s", "crd", "--all"]);
    operated.apply(&manifest);
    operated.connection("main", &name, "apiKey");
    let objects = std::fs::read_to_string(repository("examples/custom-api/objects.yaml")).unwrap();
    // The hook needs a variable of the machine, and the ticket a person whom the sandbox does not know.
    let objects = objects.replace("  assignee: jane@example.com\n", "");
    let objects: Vec<&str> = objects.split("---\n").filter(|text| !text.contains("kind: Hook")).collect();
    operated.apply(&objects.join("---\n"));
    operated.wait("ticket.tracker.plumb.dev/release-checklist", "Ready", "True");
    assert!(operated.wait("api.plumb.dev/tracker", "Ready", "True")["status"].is_object());
    let patch = r#"{"spec":{"title":"Another checklist"}}"#;
    operated.kubectl(&["patch", "ticket.tracker.plumb.dev/release-checklist", "--type=merge", "-p", patch]);
    operated.event("Updated", "release-checklist");
    assert!(operated.sandbox.objects(&name, "Ticket").iter().any(|row| row.to_string().contains("Another checklist")));
    operated.kubectl(&["delete", "ticket.tracker.plumb.dev/release-checklist", "--timeout=240s"]);
    operated.event("Deleted", "release-checklist");
    assert!(operated.sandbox.objects(&name, "Ticket").is_empty());
}
