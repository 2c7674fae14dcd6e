//! One object from kubectl to the live object and back: apply, edit, drift, observe, secrets, references, mistakes.

use std::time::Duration;

use serde_json::json;

use crate::support::operator::{Operated, PATIENCE, condition};

const ORGANIZATION: &str = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: happy-frog}\nspec: {name: Happy Frog, quickNotes: a}\n";

fn attribute(operated: &Operated, kind: &str, id: &str, name: &str) -> serde_json::Value {
    let shown = operated.sandbox.shown("itglue", kind, id).unwrap();
    [&shown, &shown["attributes"], &shown["data"]["attributes"]]
        .into_iter()
        .find_map(|at| at.get(name))
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_made_changed_once_repaired_and_told_of() {
    let Some(mut operated) = Operated::prepare("lifecycle").await else { return };
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(ORGANIZATION);
    operated.kubectl(&["wait", "--for=condition=Ready", "--timeout=240s", "itgorg/happy-frog"]);
    let made = operated.get("itgorg/happy-frog").unwrap();
    let id = made["status"]["externalId"].as_str().unwrap().to_owned();
    assert_eq!(made["status"]["connection"], "main");
    operated.event("Created", "happy-frog");

    operated.sandbox.clear_log();
    operated.kubectl(&["patch", "itgorg/happy-frog", "--type=merge", "-p", r#"{"spec":{"quickNotes":"b"}}"#]);
    let changed = operated.wait("itgorg/happy-frog", "Ready", "True");
    let plan = &changed["status"]["lastPlan"];
    assert_eq!((plan["action"].as_str(), plan["outcome"].as_str()), (Some("update"), Some("done")));
    assert_eq!(plan["changes"][0]["path"], "/quickNotes");
    assert_eq!(operated.writes().len(), 1, "{:#?}", operated.writes());
    assert_eq!(attribute(&operated, "Organization", &id, "quick-notes"), "b");
    operated.event("Updated", "happy-frog");

    assert!(operated.sandbox.mutate("itglue", "Organization", &id, &json!({"quick-notes": "by hand"})));
    let drifted = operated.event("DriftRepaired", "happy-frog");
    assert!(drifted["note"].as_str().unwrap().contains("/quickNotes"), "{drifted}");
    assert_eq!(attribute(&operated, "Organization", &id, "quick-notes"), "b");

    // Nothing changes: nothing is written anywhere.
    let version = || operated.get("itgorg/happy-frog").unwrap()["metadata"]["resourceVersion"].clone();
    operated.sandbox.clear_log();
    let before = version();
    operated.cluster.until("three sweeps", PATIENCE, || (operated.sandbox.log().len() >= 3).then_some(()));
    assert_eq!(operated.writes().len(), 0);
    assert_eq!(version(), before, "a status was written although nothing changed");

    operated.kubectl(&["annotate", "itgorg/happy-frog", "plumb.dev/reconcile-requested-at=now"]);
    operated.cluster.until("the request is handled", PATIENCE, || {
        let found = operated.get("itgorg/happy-frog")?;
        (found["status"]["lastHandledReconcileAt"] == "now").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_is_shown_and_not_touched() {
    let Some(mut operated) = Operated::prepare("observe").await else { return };
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(ORGANIZATION);
    let id = operated.wait("itgorg/happy-frog", "Ready", "True")["status"]["externalId"].as_str().unwrap().to_owned();
    operated.kubectl(&["annotate", "itgorg/happy-frog", "plumb.dev/reconcile=observe"]);
    operated.kubectl(&["patch", "itgorg/happy-frog", "--type=merge", "-p", r#"{"spec":{"quickNotes":"b"}}"#]);
    let observed = operated.wait("itgorg/happy-frog", "Synced", "False");
    assert_eq!(condition(&observed, "Synced").unwrap()["reason"], "OutOfSync");
    assert_eq!(observed["status"]["drift"], "Yes");
    let plan = &observed["status"]["lastPlan"];
    assert_eq!(plan["outcome"], "planned");
    let change = json!({"path": "/quickNotes", "op": "replace", "before": "\"a\"", "after": "\"b\""});
    assert_eq!(plan["changes"], json!([change]));
    assert_eq!(attribute(&operated, "Organization", &id, "quick-notes"), "a");
    // It is brought in line by hand.
    assert!(operated.sandbox.mutate("itglue", "Organization", &id, &json!({"quick-notes": "b"})));
    assert!(operated.wait("itgorg/happy-frog", "Synced", "True")["status"].get("lastPlan").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_rotated_lost_or_restored_counts_at_once() {
    let Some(mut operated) = Operated::prepare("secrets").await else { return };
    operated.every("1h");
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(ORGANIZATION);
    operated.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: admin}\nstringData: {password: first-password}\n---\n\
         apiVersion: itglue.plumb.dev/v1alpha1\nkind: Password\nmetadata: {name: admin}\nspec:\n  \
         organization: happy-frog\n  name: Admin\n  password: {valueFrom: {secretKeyRef: {name: admin, key: password}}}\n",
    );
    let made = operated.wait("itgpw/admin", "Ready", "True");
    let id = made["status"]["externalId"].as_str().unwrap().to_owned();
    assert_eq!(attribute(&operated, "Password", &id, "password"), "first-password");
    assert!(!made.to_string().contains("first-password"));

    operated.kubectl(&["patch", "secret/admin", "-p", r#"{"stringData":{"password":"second-password"}}"#]);
    operated.cluster.until("the new password is there", PATIENCE, || {
        (attribute(&operated, "Password", &id, "password") == "second-password").then_some(())
    });

    operated.kubectl(&["delete", "secret/admin"]);
    let stalled = operated.wait("itgpw/admin", "Stalled", "True");
    assert_eq!(condition(&stalled, "Ready").unwrap()["reason"], "SecretUnavailable");
    // The others go on.
    operated.kubectl(&["patch", "itgorg/happy-frog", "--type=merge", "-p", r#"{"spec":{"quickNotes":"c"}}"#]);
    operated.wait("itgorg/happy-frog", "Ready", "True");
    operated.kubectl(&["create", "secret", "generic", "admin", "--from-literal=password=third-password"]);
    operated.wait("itgpw/admin", "Ready", "True");
    assert_eq!(attribute(&operated, "Password", &id, "password"), "third-password");
    let logs = operated.log(0);
    assert!(!["first-password", "second-password", "third-password"].iter().any(|secret| logs.contains(secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_shows_once_goes_to_a_secret_of_plumbs_own_and_nowhere_else() {
    let Some(mut operated) = Operated::prepare("sink").await else { return };
    operated.start();
    operated.connection("console", "cycloid", "bearer");
    let defaults = r#"{"spec":{"defaults":{"organization":"acme"}}}"#;
    operated.kubectl(&["patch", "connection/console", "--type=merge", "-p", defaults]);
    let key = |name: &str, secret: &str| {
        format!(
            "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: ApiKey\nmetadata: {{name: {name}}}\nspec:\n  \
             name: key {name}\n  \
             rules: [{{action: \"organization:read\", effect: allow}}]\n  \
             secretSink: {{secretRef: {{name: {secret}, key: token}}}}\n"
        )
    };
    operated.apply(&key("ci-key", "ci-token"));
    let ready = operated.wait("cykey/ci-key", "Ready", "True");
    let secret = operated.get("secret/ci-token").unwrap();
    let token =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, secret["data"]["token"].as_str().unwrap());
    let token = String::from_utf8(token.unwrap()).unwrap();
    assert!(token.len() > 8, "{token}");
    assert_eq!(secret["metadata"]["labels"]["app.kubernetes.io/managed-by"], "plumb");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], ready["metadata"]["uid"]);
    let (_, events) = operated.cluster.kubectl(&["get", "events", "-n", &operated.namespace, "-o", "json"]);
    assert!(![operated.log(0), events, ready.to_string()].iter().any(|text| text.contains(&token)));

    // What somebody else made is left alone, and the key is not made: its value would be lost.
    operated.kubectl(&["create", "secret", "generic", "own", "--from-literal=token=mine"]);
    operated.apply(&key("other", "own"));
    let refused = operated.wait("cykey/other", "Ready", "False");
    let message = condition(&refused, "Ready").unwrap()["message"].to_string();
    assert!(message.contains("leaves it alone"), "{message}");
    assert!(!operated.sandbox.log().iter().any(|call| call.method == "POST" && call.path.contains("other")));
    assert_eq!(operated.get("secret/own").unwrap()["data"]["token"], "bWluZQ==");
    // The Secret goes with its resource.
    operated.kubectl(&["delete", "cykey/ci-key", "--timeout=240s"]);
    operated.cluster.until("its Secret goes", PATIENCE, || operated.get("secret/ci-token").is_none().then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_stands_for_itself() {
    let Some(mut operated) = Operated::prepare("alone").await else { return };
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(ORGANIZATION);
    operated.apply(
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAssetType\nmetadata: {name: email}\nspec:\n  name: Email\n  \
         icon: envelope\n  fields:\n    - {name: Title, kind: Text, order: 1, required: true, useForTitle: true, showInList: true}\n---\n\
         apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAsset\nmetadata: {name: wrong}\nspec:\n  \
         organization: happy-frog\n  flexibleAssetType: email\n  traits: {titel: x}\n---\n\
         apiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {name: nowhere}\nspec:\n  \
         organization: no-such-organization\n  name: HQ\n",
    );
    operated.wait("itgorg/happy-frog", "Ready", "True");
    operated.wait("itgfat/email", "Ready", "True");
    // Traits are not in the schema: the operator answers, with the words of `plumb validate`.
    let wrong = operated.wait("itgfa/wrong", "Ready", "False");
    let ready = condition(&wrong, "Ready").unwrap();
    assert!(ready["message"].as_str().unwrap().contains("titel"), "{ready}");
    let nowhere = operated.wait("itgloc/nowhere", "Ready", "False");
    assert_eq!(condition(&nowhere, "Ready").unwrap()["reason"], "ReferenceNotFound", "{nowhere:#}");
    operated.kubectl(&["patch", "itgloc/nowhere", "--type=merge", "-p", r#"{"spec":{"organization":"happy-frog"}}"#]);
    operated.wait("itgloc/nowhere", "Ready", "True");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_refuses_for_good_is_not_sent_again_until_it_changes() {
    let Some(mut operated) = Operated::prepare("refused").await else { return };
    operated.sandbox.set_faults("422@POST=100%".parse().unwrap());
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(ORGANIZATION);
    let stalled = operated.wait("itgorg/happy-frog", "Stalled", "True");
    assert_eq!(condition(&stalled, "Ready").unwrap()["reason"], "Refused", "{stalled:#}");
    operated.event("Refused", "happy-frog");
    operated.sandbox.clear_log();
    operated.cluster.until("three sweeps", PATIENCE, || (operated.sandbox.log().len() >= 3).then_some(()));
    assert_eq!(operated.writes().len(), 0, "{:#?}", operated.writes());
    operated.sandbox.set_faults(plumb::sandbox::Faults::default());
    operated.kubectl(&["patch", "itgorg/happy-frog", "--type=merge", "-p", r#"{"spec":{"quickNotes":"b"}}"#]);
    operated.wait("itgorg/happy-frog", "Ready", "True");
    assert_eq!(operated.writes().len(), 1);

    // What may pass is tried again.
    operated.sandbox.set_faults("503@PATCH=6x".parse().unwrap());
    operated.kubectl(&["patch", "itgorg/happy-frog", "--type=merge", "-p", r#"{"spec":{"quickNotes":"c"}}"#]);
    std::thread::sleep(Duration::from_secs(1));
    operated.wait("itgorg/happy-frog", "Ready", "True");
    assert_eq!(
        operated
            .sandbox
            .objects("itglue", "Organization")
            .iter()
            .filter(|row| row.to_string().contains("Happy Frog"))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_may_be_restarted_and_kinds_installed_while_it_works() {
    let Some(mut operated) = Operated::prepare_alone("restart").await else { return };
    operated.start();
    operated.connection("main", "itglue", "apiKey");
    operated.apply(ORGANIZATION);
    operated.wait("itgorg/happy-frog", "Ready", "True");
    operated.cluster.restart();
    operated.cluster.until("the API server is back", PATIENCE, || {
        let patch = r#"{"spec":{"quickNotes":"after"}}"#;
        let args = ["patch", "itgorg/happy-frog", "--type=merge", "-p", patch, "-n", &operated.namespace];
        operated.cluster.kubectl(&args).0.then_some(())
    });
    let id = operated.wait("itgorg/happy-frog", "Ready", "True")["status"]["externalId"].as_str().unwrap().to_owned();
    operated.cluster.until("the change arrives", PATIENCE, || {
        (attribute(&operated, "Organization", &id, "quick-notes") == "after").then_some(())
    });
}
