//! One owner per live object, across stacks that share an inventory, also where two apply at the same instant.

use std::{
    process::{Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::future::join_all;
use plumb::{inventory::Owners, sandbox::SandboxOptions};

use super::*;
use crate::support::{postgres, s3};

const TEXT: &str = "
apiVersion: plumb.dev/v1alpha1
kind: Stack
metadata: {name: NAME}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Resource
metadata: {name: first}
spec: {name: First, description: Of NAME, type: standard}
";

/// Stacks that want one live object, against one sandbox and one inventory.
async fn contend(location: &Location, stacks: usize) {
    let first = Stack::start(&["rest"]).await;
    // It is there, and nobody owns it.
    let url = format!("{}/v1/resources", first.sandbox.url("rest"));
    let made = reqwest::Client::new()
        .post(url)
        .bearer_auth("sandbox-credential")
        .json(&json!({"name": "First", "description": "There before", "type": "standard"}))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let mut all = Vec::new();
    for number in 0..stacks {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "sandbox-credential").unwrap();
        std::fs::copy(first.path("connections.yaml"), folder.path().join("connections.yaml")).unwrap();
        std::fs::write(folder.path().join("stack.yaml"), TEXT.replace("NAME", &format!("s{number}"))).unwrap();
        let options = Options {
            inputs: vec![folder.path().display().to_string()],
            inventory: Some(location.to_string()),
            keep_key: true,
            ..first.options.clone()
        };
        all.push((folder, options));
    }
    // All have planned to adopt it before the first one writes.
    let planned = join_all(all.iter().map(|(_, options)| pipeline::plan(options, Mode::Plan))).await;
    let planned: Vec<_> =
        planned.into_iter().map(|planned| planned.map_err(|failure| failure.to_string()).unwrap()).collect();
    for plan in &planned {
        let found = lines(&plan.document);
        assert!(found.len() == 1 && found[0].starts_with("adopt rest/Resource/first"), "{found:?}: {:?}", told(plan));
    }
    let won = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let applied = join_all(planned.into_iter().zip(&all).map(|(planned, (_, options))| async {
        match pipeline::apply(planned, options).await {
            Ok(applied) => {
                assert!(!applied.failed, "{:?}", applied.document.actions);
                won.fetch_add(1, Ordering::SeqCst);
                None
            }
            Err(failure) => Some(failure.to_string()),
        }
    }))
    .await;
    assert_eq!(won.load(Ordering::SeqCst), 1, "{applied:?}");
    for why in applied.into_iter().flatten() {
        assert!(why.contains("was taken by") || why.contains("is locked by") || why.contains("Another run"), "{why}");
    }
    let mut owners = 0;
    for number in 0..stacks {
        let inventory = Inventory::open(location, &format!("s{number}")).await.unwrap();
        owners += inventory.state().objects.len();
    }
    assert_eq!(owners, 1, "one live object has one owner");
    // The others say so when they plan again.
    let mut refused = 0;
    for (_, options) in &all {
        let planned = pipeline::plan(options, Mode::Plan).await.unwrap();
        refused += usize::from(told(&planned).iter().any(|told| told.starts_with("PL0507")));
    }
    assert_eq!(refused, stacks - 1);
    let _: Owners = Inventory::owners(location).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_stacks_in_one_file_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    contend(&Location::parse(None, folder.path()).unwrap(), 4).await;
}

/// Programs that all plan before one of them can have written: the server takes its time.
async fn contend_as_programs(location: &Location) {
    let options = SandboxOptions { latency: Duration::from_millis(400), ..SandboxOptions::default() };
    let first = Stack::with(&["rest"], options).await;
    let url = first.sandbox.url("rest");
    let made = reqwest::Client::new()
        .post(format!("{url}/v1/resources"))
        .bearer_auth("sandbox-credential")
        .json(&json!({"name": "First", "description": "There before", "type": "standard"}))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let variables = crate::support::places::variables(location);
    let mut folders = Vec::new();
    let mut programs = Vec::new();
    for number in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "sandbox-credential").unwrap();
        std::fs::copy(first.path("connections.yaml"), folder.path().join("connections.yaml")).unwrap();
        std::fs::write(folder.path().join("stack.yaml"), TEXT.replace("NAME", &format!("s{number}"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command.args(["apply", "--yes", &format!("--connection=rest={url}"), &format!("--inventory={location}")]);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PLUMB_INVENTORY_KEY", "a key for the tests, long enough").env("HOME", folder.path());
        command.envs(variables.iter().cloned());
        programs.push(command.spawn().unwrap());
        folders.push(folder);
    }
    let ran: Vec<_> = tokio::task::spawn_blocking(|| {
        programs.into_iter().map(|program| program.wait_with_output().unwrap()).collect()
    })
    .await
    .unwrap();
    let told: Vec<String> = ran.iter().map(|ran| String::from_utf8_lossy(&ran.stderr).into_owned()).collect();
    let won = ran.iter().filter(|ran| ran.status.success()).count();
    assert_eq!(won, 1, "{told:#?}");
    for (ran, told) in ran.iter().zip(&told).filter(|(ran, _)| !ran.status.success()) {
        assert_eq!(ran.status.code(), Some(1), "{told}");
        assert!(told.contains("was taken by") || told.contains("is owned by"), "{told}");
    }
    let mut owners = 0;
    for number in 0..5 {
        let inventory = Inventory::open(location, &format!("s{number}")).await.unwrap();
        owners += inventory.state().objects.len();
    }
    assert_eq!(owners, 1, "one live object has one owner");
    drop(folders);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_stacks_in_one_database_one_gets_it() {
    if let Some(location) = postgres::location() {
        contend_as_programs(&location).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_stacks_in_one_bucket_one_gets_it() {
    if let Some(location) = s3::location() {
        contend_as_programs(&location).await;
    }
}

/// What another stack is about to record as its own is not adopted, whatever the plan said.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_stack_is_making_is_left_to_it() {
    use plumb::inventory::{Account, Edit, Intent, IntentVerb};

    let stack = Stack::start(&["rest"]).await;
    let location = Location::parse(None, stack.folder.path()).unwrap();
    let mut other = Inventory::open(&location, "other").await.unwrap();
    other.lock("test").await.unwrap();
    let account = Account { url: format!("{}/v1", stack.sandbox.url("rest")), identity: None };
    let intent = Intent {
        address: "rest/Resource/theirs".into(),
        verb: IntentVerb::Create,
        connection: "rest".into(),
        kind: "Resource".into(),
        id: None,
        parent: None,
        sent: json!({"name": "First", "type": "standard"}).as_object().unwrap().clone(),
        seen: Vec::new(),
        at: "2026-11-25T00:00:00Z".into(),
        deadline: "2026-11-25T00:00:01Z".into(),
    };
    other.commit(vec![Edit::Account("rest".into(), account), Edit::Begin("1".into(), intent)]).await.unwrap();
    other.unlock().await;
    let made = reqwest::Client::new()
        .post(format!("{}/v1/resources", stack.sandbox.url("rest")))
        .bearer_auth("sandbox-credential")
        .json(&json!({"name": "First", "type": "standard"}))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success());
    stack.write("stack.yaml", REST);
    let planned = stack.plan().await;
    assert!(
        told(&planned).iter().any(|told| told.starts_with("PL0507") && told.contains("rest/Resource/theirs")),
        "{:?}",
        told(&planned)
    );
}
