//! What goes wrong around the operator: watches that expire, a leader that was paused, definitions that are upgraded,
//! stored objects that cannot be read; and values that `sops` encrypted.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    example::repository,
    operator::{Operated, PATIENCE, condition},
};

fn organization(name: &str, notes: &str) -> String {
    format!(
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: {name}}}\n\
         spec: {{name: {name}, quickNotes: {notes}}}\n"
    )
}

fn live(operated: &Operated, text: &str) -> usize {
    operated.sandbox.objects("itglue", "Organization").iter().filter(|row| row.to_string().contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_too_old_lists_anew_and_misses_nothing() {
    let Some(mut operated) = Operated::prepare_alone("expired").await else { return };
    operated.every("1h");
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(&organization("frog", "first"));
    operated.apply(&organization("newt", "first"));
    operated.wait("itgorg/frog", "Ready", "True");
    operated.wait("itgorg/newt", "Ready", "True");
    // What changes while it sleeps is not in the history any more when it wakes.
    operated.signal(0, "-STOP");
    operated.apply(&organization("frog", "second"));
    operated.apply(&organization("toad", "new"));
    operated.kubectl(&["delete", "itgorg/newt", "--wait=false"]);
    operated.cluster.compact();
    operated.cluster.restart();
    operated.cluster.until("the API server is back", PATIENCE, || {
        operated.cluster.kubectl(&["get", "--raw", "/readyz"]).0.then_some(())
    });
    operated.apply(&organization("after", "new"));
    operated.signal(0, "-CONT");
    operated.wait("itgorg/toad", "Ready", "True");
    operated.wait("itgorg/after", "Ready", "True");
    operated.wait_for("itgorg/frog", |frog| {
        frog["status"]["observedGeneration"] == frog["metadata"]["generation"] && live(&operated, "second") == 1
    });
    operated
        .cluster
        .until("the newt's resource goes", PATIENCE, || operated.get("itgorg/newt").is_none().then_some(()));
    let log = operated.log(0);
    assert!(log.contains("too old resource version") || log.contains("410") || log.contains("Expired"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_definition_keeps_old_objects_and_what_cannot_be_read_stops_nothing_else() {
    let Some(mut operated) = Operated::prepare_alone("upgrade").await else { return };
    // An older definition: without a field, and with one more that today's does not know.
    let (_, text) = operated.cluster.kubectl(&["get", "crd", "organizations.itglue.plumb.dev", "-o", "json"]);
    let today: Value = serde_json::from_str(&text).unwrap();
    let mut old = today.clone();
    let spec = old.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    spec.as_object_mut().unwrap().remove("quickNotes");
    spec["shortName"] = json!({"x-kubernetes-preserve-unknown-fields": true});
    spec["nickname"] = json!({"type": "string"});
    let replace = |definition: &Value| {
        let mut definition = definition.clone();
        for member in ["resourceVersion", "uid", "managedFields", "creationTimestamp", "generation"] {
            definition["metadata"].as_object_mut().unwrap().remove(member);
        }
        definition.as_object_mut().unwrap().remove("status");
        let patch = json!({"spec": {"versions": definition["spec"]["versions"]}}).to_string();
        operated.cluster.run(&["patch", "crd", "organizations.itglue.plumb.dev", "--type=merge", "-p", &patch]);
    };
    replace(&old);
    operated.cluster.until("the old definition is served", PATIENCE, || {
        operated.cluster.kubectl(&["explain", "organizations.itglue.plumb.dev.spec.nickname"]).0.then_some(())
    });
    let manifest = |name: &str, more: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: {name}}}\nspec: {{name: {name}{more}}}\n"
        )
    };
    operated.apply(&manifest("old", ""));
    // These were stored when their fields were allowed; today's words are others.
    operated.apply(&manifest("stray", ", nickname: strange"));
    operated.apply(&manifest("wrong", ", shortName: [1, 2]"));
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.wait("itgorg/old", "Ready", "True");
    let id = operated.get("itgorg/old").unwrap()["status"]["externalId"].clone();
    let wrong = operated.wait("itgorg/wrong", "Stalled", "True");
    assert_eq!(condition(&wrong, "Ready").unwrap()["reason"], "InvalidSpec", "{wrong:#}");

    replace(&today);
    operated.cluster.until("the new definition is served", PATIENCE, || {
        operated.cluster.kubectl(&["explain", "organizations.itglue.plumb.dev.spec.quickNotes"]).0.then_some(())
    });
    operated.cluster.until("the new field is taken", PATIENCE, || {
        let patch = r#"{"spec":{"quickNotes":"since the upgrade"}}"#;
        let args = ["patch", "itgorg/old", "--type=merge", "-p", patch, "-n", &operated.namespace];
        operated.cluster.kubectl(&args).0.then_some(())
    });
    operated
        .cluster
        .until("the new field arrives", PATIENCE, || (live(&operated, "since the upgrade") == 1).then_some(()));
    let old = operated.wait("itgorg/old", "Ready", "True");
    assert_eq!(old["status"]["externalId"], id, "made anew");
    // It is mended, or goes, like any other.
    operated.kubectl(&["delete", "itgorg/wrong", "itgorg/stray", "--timeout=240s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_sops_encrypted_are_opened_by_the_allowed_keys_alone() {
    let Some(mut operated) = Operated::prepare("sops").await else { return };
    for file in ["values.yaml", "keys.txt"] {
        fs::copy(repository("tests/cases/sops").join(file), operated.folder.path().join(file)).unwrap();
    }
    let folder = operated.folder.path().display().to_string();
    operated.with(&["--allow-folder", &folder]);
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(&organization("frog", "first"));
    operated.apply(
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Password\nmetadata: {name: admin}\nspec:\n  organization: frog\n  \
         name: Admin\n  password: {valueFrom: {sops: {file: values.yaml, key: database.password}}}\n",
    );
    let closed = operated.wait("itgpw/admin", "Stalled", "True");
    assert_eq!(condition(&closed, "Ready").unwrap()["reason"], "SecretUnavailable", "{closed:#}");
    operated.end(0);
    operated.with(&["--allow-age-key", &format!("{folder}/keys.txt")]);
    operated.start();
    let made = operated.wait("itgpw/admin", "Ready", "True");
    assert!(made["status"]["externalId"].is_string());
}
