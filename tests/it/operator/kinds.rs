//! Every kind of all five APIs: the examples, applied with kubectl as they are, become ready.

use std::collections::BTreeSet;

use plumb::{apis, sandbox::SandboxOptions};
use serde_json::Value;

use crate::support::{
    example::repository,
    operator::{Operated, PATIENCE, condition},
};

/// Applies a folder of examples as it is, and waits until everything is ready.
async fn ready(api: &'static str, connection: &str, folder: &str, variables: &[&str]) {
    let Some(mut operated) = Operated::prepare_with(api, apis::builtin(), SandboxOptions::default()).await else {
        return;
    };
    // Files are named from the folder of the manifests; what is written goes elsewhere.
    let files = operated.folder.path().join("a/b");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::create_dir_all(operated.folder.path().join("target")).unwrap();
    let uploads = repository(folder).join("customers/happy-frog/files");
    if uploads.is_dir() {
        std::fs::create_dir(files.join("files")).unwrap();
        for file in std::fs::read_dir(uploads).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), files.join("files").join(file.file_name())).unwrap();
        }
    }
    let override_url = format!("--connection={connection}={}", operated.sandbox.url(api));
    let (first, second) = (files.display().to_string(), operated.folder.path().display().to_string());
    operated.with(&[&override_url, "--allow-folder", &first, "--allow-folder", &second, "--allow-env", "*"]);
    let mut command = operated.command(&operated.cluster.kubeconfig());
    command.envs(variables.iter().map(|name| (*name, format!("correct-horse-{name}"))));
    operated.start_as(command);
    operated.kubectl(&["apply", "--server-side", "-R", "-f", folder]);

    let mut last = Vec::new();
    let began = std::time::Instant::now();
    let all: Vec<Value> = operated.cluster.until("everything is ready", PATIENCE * 3, || {
        assert!(began.elapsed() < PATIENCE * 2, "not ready: {last:#?}\n{}", operated.log(0));
        let (_, text) = operated.cluster.kubectl(&["get", "plumb", "-n", &operated.namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).ok()?;
        let items: Vec<Value> = list["items"].as_array()?.clone();
        last = items
            .iter()
            .filter(|item| item["apiVersion"] != "plumb.dev/v1alpha1")
            .filter(|item| condition(item, "Ready").is_none_or(|ready| ready["status"] != "True"))
            .map(|item| format!("{}/{}: {:#}", item["kind"], item["metadata"]["name"], item["status"]["conditions"]))
            .collect();
        if last.iter().all(|waits| waits.contains("\"Waiting\"")) { Some(items) } else { None }
    });
    let shown: BTreeSet<&str> = all.iter().filter_map(|item| item["kind"].as_str()).collect();
    for kind in apis::builtin().api(api).unwrap().kinds.values().filter(|kind| kind.is_declarable()) {
        assert!(shown.contains(kind.name.as_str()), "the example has no {}", kind.name);
    }
    // One more sweep finds nothing to do.
    operated.sandbox.clear_log();
    operated.cluster.until("another sweep", PATIENCE, || (operated.sandbox.log().len() > 5).then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let writes = operated.writes();
    assert!(writes.is_empty(), "{writes:#?}");
    for variable in variables {
        let secret = format!("correct-horse-{variable}");
        assert!(!operated.log(0).contains(&secret), "the log has {variable}");
        assert!(!all.iter().any(|item| item.to_string().contains(&secret)), "a resource has {variable}");
    }
    let table = operated.kubectl(&["get", "plumb"]);
    for column in ["READY", "SYNCED", "EXTERNAL-ID", "DRIFT", "REASON", "AGE"] {
        assert!(table.contains(column), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn itglue_examples_become_ready() {
    let variables =
        ["ITGLUE_API_KEY", "HAPPY_FROG_M365_ADMIN", "HAPPY_FROG_M365_OTP", "HAPPY_FROG_IDRAC", "BRIGHT_OTTER_WIFI"];
    ready("itglue", "itglue", "examples/itglue", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cycloid_examples_become_ready() {
    let variables = ["CYCLOID_TOKEN", "AWS_SECRET_KEY", "GIT_SSH_KEY", "CHAT_TOKEN", "SHOP_DATABASE_PASSWORD"];
    ready("cycloid", "acme", "examples/cycloid", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balena_examples_become_ready() {
    let variables = ["BALENA_TOKEN", "BROKER_PASSWORD", "PUMP_HOUSE_1_KEY", "WIFI"];
    ready("balena", "fleets", "examples/balena", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bindplane_examples_become_ready() {
    let variables = ["BINDPLANE_API_KEY", "SPLUNK_TOKEN", "TILL_PIN", "ORDERS_DB_PASSWORD"];
    ready("bindplane", "bindplane", "examples/bindplane", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_examples_become_ready() {
    let variables = ["PLATFORM_PASSWORD", "AUDIT_HOOK_SECRET", "CHAT_HOOK_SECRET"];
    ready("rest", "platform", "examples/rest", &variables).await;
}
