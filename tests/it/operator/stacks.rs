//! Stacks from Git in the cluster: planned, approved, applied, pruned; what cannot be read or used changes nothing.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    git::{self, Forge},
    operator::{Operated, PATIENCE, condition},
};

const TOKEN_OF_ADMIN: &str = "a-password-that-nobody-may-see";

fn connection(operated: &Operated) -> String {
    format!(
        "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: main}}\nspec:\n  api: itglue\n  url: {}\n  \
         auth: {{apiKey: {{valueFrom: {{secretKeyRef: {{name: main, key: token}}}}}}}}\n",
        operated.sandbox.url("itglue")
    )
}

fn organization(name: &str, notes: &str) -> String {
    format!(
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata:\n  name: {name}\n  \
         annotations: {{plumb.dev/deletion-policy: delete}}\nspec: {{name: {name}, quickNotes: {notes}}}\n"
    )
}

const PASSWORD: &str = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Password\nmetadata: {name: admin}\nspec:\n  organization: frog\n  \
                        name: Admin\n  password: {valueFrom: {secretKeyRef: {name: admin, key: password}}}\n";

fn live(operated: &Operated, name: &str) -> usize {
    let rows = operated.sandbox.objects("itglue", "Organization");
    rows.iter().filter(|row| row.to_string().contains(&format!("\"{name}\""))).count()
}

/// Puts a text under a key of a Secret.
fn secret(operated: &Operated, name: &str, pairs: &[(&str, &str)]) {
    let data: serde_json::Map<String, Value> =
        pairs.iter().map(|(key, text)| ((*key).to_owned(), STANDARD.encode(text).into())).collect();
    operated
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}).to_string());
}

fn patch(operated: &Operated, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    operated.kubectl(&["patch", "stack/prod", "--type=merge", "-p", &patch]);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one stack from its first plan to its end")]
async fn a_plan_waits_for_its_approval_and_git_is_kept_true() {
    if !git::ready() {
        return;
    }
    let Some(mut operated) = Operated::prepare("stacks").await else { return };
    let forge = Forge::new();
    let files = [
        ("saas/connection.yaml", connection(&operated)),
        ("saas/frog.yaml", organization("frog", "first")),
        ("saas/admin.yaml", PASSWORD.to_owned()),
        ("other/broken.yaml", "kind: [".to_owned()),
    ];
    forge.repository("team", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let (server, _, certificate) = forge.https();
    secret(&operated, "main", &[("token", plumb::sandbox::Sandbox::token())]);
    secret(&operated, "admin", &[("password", TOKEN_OF_ADMIN)]);
    let certificate = String::from_utf8(certificate).unwrap();
    secret(&operated, "git", &[("password", "hunter2-hunter2"), ("ca", &certificate)]);
    operated.start();
    let from = |key: &str| json!({"valueFrom": {"secretKeyRef": {"name": "git", "key": key}}});
    let stack = json!({
        "apiVersion": "plumb.dev/v1alpha1", "kind": "Stack", "metadata": {"name": "prod"},
        "spec": {
            "source": {
                "git": format!("https://127.0.0.1:{}/team.git", server.port),
                "path": "saas",
                "auth": {"username": "jane", "password": from("password"), "ca": from("ca")},
            },
            "interval": "2s", "mode": "plan", "prune": true,
        },
    });
    operated.apply(&stack.to_string());

    // A plan changes nothing; it is in the status in short and in a ConfigMap in full, without what is secret.
    let planned = operated.wait("stack/prod", "Ready", "True");
    assert_eq!(condition(&planned, "Ready").unwrap()["reason"], "Planned", "{planned:#}");
    assert_eq!(planned["status"]["plan"]["create"], 2);
    let digest = planned["status"]["planDigest"].as_str().unwrap().to_owned();
    assert_eq!(live(&operated, "frog"), 0);
    assert_eq!(operated.writes().len(), 0);
    let map = operated.get("configmap/prod-plan").unwrap();
    let plan: Value = serde_json::from_str(map["data"]["plan.json"].as_str().unwrap()).unwrap();
    assert_eq!(plan["digest"], digest.as_str());
    assert!(map["data"]["plan.txt"].as_str().unwrap().contains("2 to create"), "{map:#}");
    assert!(!map.to_string().contains(TOKEN_OF_ADMIN) && !planned.to_string().contains(TOKEN_OF_ADMIN));
    let version = |what: &str| operated.get(what).unwrap()["metadata"]["resourceVersion"].clone();
    let before = (version("stack/prod"), version("configmap/prod-plan"));
    operated.sandbox.clear_log();
    operated.cluster.until("three looks", PATIENCE, || (operated.sandbox.log().len() >= 6).then_some(()));
    assert_eq!(
        (version("stack/prod"), version("configmap/prod-plan")),
        before,
        "something was written although nothing changed"
    );

    // Another plan than the approved one is not carried out; the approved one is.
    patch(&operated, &json!({"mode": "enforce", "approvePlan": "sha256:0000"}));
    let waiting = operated.wait("stack/prod", "Ready", "False");
    assert_eq!(condition(&waiting, "Ready").unwrap()["reason"], "ApprovalNeeded", "{waiting:#}");
    assert_eq!(live(&operated, "frog"), 0);
    patch(&operated, &json!({"approvePlan": digest}));
    let applied = operated.wait("stack/prod", "Ready", "True");
    assert_eq!(condition(&applied, "Ready").unwrap()["reason"], "Reconciled");
    assert_eq!(live(&operated, "frog"), 1);
    operated.event("Applied", "prod");
    assert_eq!(applied["status"]["appliedRevision"], applied["status"]["revision"]);
    assert!(!operated.log(0).contains(TOKEN_OF_ADMIN) && !operated.log(0).contains("hunter2-hunter2"));

    // News are not approved by an old digest, and are applied by themselves once that is allowed.
    let commit = forge.push(
        "team",
        &[("saas/frog.yaml", &organization("frog", "second")), ("saas/toad.yaml", &organization("toad", "x"))],
    );
    let waiting = operated.wait_for("stack/prod", |stack| stack["status"]["revision"] == commit.as_str());
    assert_eq!(condition(&waiting, "Ready").unwrap()["reason"], "ApprovalNeeded", "{waiting:#}");
    assert_eq!(live(&operated, "toad"), 0);
    patch(&operated, &json!({"approvePlan": "auto"}));
    operated.wait("stack/prod", "Ready", "True");
    assert_eq!(live(&operated, "toad"), 1);

    // Drift is repaired; a broken commit changes nothing and is told of; what is taken out of Git goes.
    let id = operated
        .sandbox
        .objects("itglue", "Organization")
        .iter()
        .find(|row| row.to_string().contains("\"toad\""))
        .unwrap()["id"]
        .clone();
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    assert!(operated.sandbox.mutate("itglue", "Organization", &id, &json!({"quick-notes": "by hand"})));
    operated.cluster.until("drift is repaired", PATIENCE, || {
        let rows = operated.sandbox.objects("itglue", "Organization");
        (!rows.iter().any(|row| row.to_string().contains("by hand"))).then_some(())
    });
    let broken = forge.push(
        "team",
        &[(
            "saas/toad.yaml",
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organisation\nmetadata: {name: toad}\nspec: {}\n",
        )],
    );
    let stalled = operated.wait_for("stack/prod", |stack| {
        stack["status"]["revision"] == broken.as_str() && condition(stack, "Stalled").is_some()
    });
    assert_eq!(condition(&stalled, "Ready").unwrap()["reason"], "InvalidManifests", "{stalled:#}");
    assert_eq!(live(&operated, "toad"), 1);
    fs::remove_file(forge.path("team/saas/toad.yaml")).unwrap();
    let removed = forge.commit("team", "Take the toad out");
    operated.wait_for("stack/prod", |stack| {
        stack["status"]["revision"] == removed.as_str() && condition(stack, "Ready").unwrap()["status"] == "True"
    });
    // The API deletes organizations some time later.
    operated.cluster.until("the toad goes", PATIENCE, || (live(&operated, "toad") == 0).then_some(()));
    assert_eq!(live(&operated, "frog"), 1);

    // Suspended, nothing is done; and deleting the resource leaves the live objects alone.
    patch(&operated, &json!({"suspend": true}));
    operated.wait("stack/prod", "Ready", "Unknown");
    operated.sandbox.clear_log();
    forge.push("team", &[("saas/frog.yaml", &organization("frog", "third"))]);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(operated.sandbox.log().len(), 0);
    operated.kubectl(&["delete", "stack/prod", "--timeout=240s"]);
    assert_eq!(live(&operated, "frog"), 1);

    // One that says so takes its objects with it; what the first one left is found by its name.
    let mut stack = stack;
    stack["metadata"]["annotations"] = json!({"plumb.dev/deletion-policy": "delete"});
    stack["spec"]["mode"] = "enforce".into();
    operated.apply(&stack.to_string());
    operated.wait("stack/prod", "Ready", "True");
    operated.kubectl(&["delete", "stack/prod", "--timeout=240s"]);
    let deleted = operated.event("Deleted", "prod");
    assert!(deleted["note"].as_str().unwrap().contains("2 deleted"), "{deleted:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_the_server_has_to_be_known_and_stacks_wait_for_each_other() {
    if !git::ready() {
        return;
    }
    let Some(mut operated) = Operated::prepare("ssh").await else { return };
    let forge = Forge::new();
    let files = [("connection.yaml", connection(&operated)), ("frog.yaml", organization("frog", "first"))];
    forge.repository("team", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let server = forge.ssh();
    let read = |name: &str| fs::read_to_string(forge.path("ssh").join(name)).unwrap();
    secret(&operated, "main", &[("token", plumb::sandbox::Sandbox::token())]);
    secret(&operated, "git", &[("key", &read("client")), ("hosts", "[127.0.0.1]:1 ssh-ed25519 AAAA\n")]);
    operated.start();
    let from = |key: &str| json!({"valueFrom": {"secretKeyRef": {"name": "git", "key": key}}});
    let user = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let url = format!("ssh://{}@127.0.0.1:{}{}", user.trim(), server.port, forge.path("team.git").display());
    let stack = |name: &str, more: Value| {
        let mut stack = json!({
            "apiVersion": "plumb.dev/v1alpha1", "kind": "Stack", "metadata": {"name": name},
            "spec": {
                "source": {"git": url, "auth": {"sshKey": from("key"), "knownHosts": from("hosts")}},
                "interval": "2s", "mode": "enforce", "prune": false,
            },
        });
        for (key, value) in more.as_object().unwrap() {
            stack["spec"][key] = value.clone();
        }
        stack.to_string()
    };
    operated.apply(&stack("later", json!({"dependsOn": ["prod"], "mode": "observe"})));
    operated.apply(&stack("prod", json!({})));
    let unknown = operated.wait("stack/prod", "Ready", "False");
    assert_eq!(condition(&unknown, "Ready").unwrap()["reason"], "SourceUnavailable", "{unknown:#}");
    let later = operated.wait("stack/later", "Ready", "False");
    assert_eq!(condition(&later, "Ready").unwrap()["reason"], "DependencyNotReady");
    // The Secret is mended: that is seen at once.
    secret(&operated, "git", &[("key", &read("client")), ("hosts", &forge.known_host(server.port))]);
    operated.wait("stack/prod", "Ready", "True");
    assert_eq!(live(&operated, "frog"), 1);
    // It looks at what the other one owns, and observing, takes nothing.
    operated.wait("stack/later", "Ready", "True");
    // An annotation says the same as the field.
    operated.apply(
        &stack("last", json!({"mode": "observe"})).replace(
            "\"name\":\"last\"",
            "\"name\":\"last\",\"annotations\":{\"plumb.dev/depends-on\":\"Stack/nobody\"}",
        ),
    );
    let last = operated.wait("stack/last", "Ready", "False");
    let ready = condition(&last, "Ready").unwrap();
    assert!(ready["message"].as_str().unwrap().contains("`nobody`"), "{ready}");
    operated.kubectl(&["annotate", "--overwrite", "stack/last", "plumb.dev/depends-on=prod"]);
    operated.wait("stack/last", "Ready", "True");
    // What the schema refuses is refused when it is applied, and in the same words by the command line.
    let without = stack("bad", json!({})).replace("\"prune\":false", "\"suspend\":false");
    let (good, said) = operated.cluster.feed(&["apply", "-n", &operated.namespace, "-f", "-"], &without);
    assert!(!good && said.contains("`prune` has to be written beside `source`"), "{said}");
}

/// Signs a text as GitHub does.
fn signature(secret: &str, body: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, body.as_bytes());
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_seen_at_once_and_the_page_and_the_measures_tell_of_stacks_and_namespaces() {
    if !git::ready() {
        return;
    }
    let Some(mut operated) = Operated::prepare("page").await else { return };
    let forge = Forge::new();
    forge.repository("team", &[("frog.yaml", &organization("frog", "first"))]);
    let (server, plain, _) = forge.https();
    let secret = "a secret of the forge";
    let file = operated.folder.path().join("github");
    fs::write(&file, secret).unwrap();
    let port = git::free_port();
    let webhook = format!("github={}", file.display());
    operated.with(&["--listen", &format!("127.0.0.1:{port}"), "--webhook", &webhook]);
    operated.start();
    // The connection is a resource of the namespace; the repository has none.
    operated.connection("main", "itglue", "apiKey");
    operated.apply(&organization("toad", "by hand"));
    let url = format!("http://127.0.0.1:{plain}/team.git");
    let stack = json!({
        "apiVersion": "plumb.dev/v1alpha1", "kind": "Stack", "metadata": {"name": "prod"},
        "spec": {"source": {"git": url}, "interval": "1h", "mode": "enforce", "prune": false},
    });
    operated.apply(&stack.to_string());
    operated.wait("stack/prod", "Ready", "True");
    operated.wait("itgorg/toad", "Ready", "True");
    let commit = forge.push("team", &[("frog.yaml", &organization("frog", "second"))]);
    let body =
        json!({"ref": "refs/heads/main", "after": commit, "repository": {"full_name": "team", "clone_url": url}});
    let client = reqwest::Client::new();
    let post = |signature: String| {
        let request = client.post(format!("http://127.0.0.1:{port}/webhooks/github")).header("X-GitHub-Event", "push");
        request
            .header("X-GitHub-Delivery", format!("{:x}", fastrand::u64(..)))
            .header("X-Hub-Signature-256", signature)
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
    };
    assert!(post(signature("another", &body.to_string())).await.unwrap().status().is_client_error());
    assert!(post(signature(secret, &body.to_string())).await.unwrap().status().is_success());
    operated.wait_for("stack/prod", |stack| stack["status"]["appliedRevision"] == commit.as_str());
    drop(server);

    let get = |path: &str| client.get(format!("http://127.0.0.1:{port}{path}")).send();
    for path in ["/healthz", "/readyz", "/"] {
        assert!(get(path).await.unwrap().status().is_success(), "{path}");
    }
    let (namespace, prod) = (operated.namespace.clone(), format!("{}.prod", operated.namespace));
    let synced = |stack: &str| format!("plumb_stack_state{{stack=\"{stack}\",state=\"synced\"}} 1");
    let began = std::time::Instant::now();
    loop {
        // A status is written before the page and the measures tell of it.
        let metrics = get("/metrics").await.unwrap().text().await.unwrap();
        assert!(metrics.contains("plumb_operator_leader 1"), "{metrics}");
        if metrics.contains(&synced(&namespace)) && metrics.contains(&synced(&prod)) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{metrics}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let overview: Value = serde_json::from_str(&get("/api/v1/stacks").await.unwrap().text().await.unwrap()).unwrap();
    let names: Vec<&str> =
        overview["stacks"].as_array().unwrap().iter().filter_map(|stack| stack["name"].as_str()).collect();
    assert!(names.contains(&namespace.as_str()) && names.contains(&prod.as_str()), "{overview:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_manifests_in_git_name_counts_as_soon_as_it_changes() {
    if !git::ready() {
        return;
    }
    let Some(mut operated) = Operated::prepare("rotated").await else { return };
    let forge = Forge::new();
    let files = [
        ("connection.yaml", connection(&operated)),
        ("frog.yaml", organization("frog", "first")),
        ("admin.yaml", PASSWORD.to_owned()),
    ];
    forge.repository("team", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let (_server, plain, _) = forge.https();
    secret(&operated, "main", &[("token", plumb::sandbox::Sandbox::token())]);
    secret(&operated, "admin", &[("password", "first-password")]);
    operated.start();
    let stack = json!({
        "apiVersion": "plumb.dev/v1alpha1", "kind": "Stack", "metadata": {"name": "prod"},
        "spec": {
            "source": {"git": format!("http://127.0.0.1:{plain}/team.git")},
            "interval": "1h", "mode": "enforce", "prune": false,
        },
    });
    operated.apply(&stack.to_string());
    operated.wait("stack/prod", "Ready", "True");
    let live = |text: &str| {
        operated.cluster.until(text, PATIENCE, || {
            let rows = operated.sandbox.objects("itglue", "Password");
            rows.iter().any(|row| row["attributes"]["password"] == text).then_some(())
        });
    };
    live("first-password");
    secret(&operated, "admin", &[("password", "second-password")]);
    live("second-password");
    // One that is gone stops the stack at once, and its return sets it going again.
    operated.kubectl(&["delete", "secret/admin"]);
    operated.wait("stack/prod", "Ready", "False");
    secret(&operated, "admin", &[("password", "third-password")]);
    operated.wait("stack/prod", "Ready", "True");
    live("third-password");
    let seen = operated.log(0) + &operated.get("stack/prod").unwrap().to_string();
    assert!(!["first-password", "second-password", "third-password"].iter().any(|secret| seen.contains(secret)));
}
