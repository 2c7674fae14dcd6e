//! History and undo of a program whose inventory is elsewhere: whatever keeps it, they tell and do the same.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;
use crate::support::places;

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_kept_and_undone_wherever_the_inventory_is() {
    for location in places::all() {
        kept_and_undone(&location).await;
    }
}

async fn kept_and_undone(location: &Location) {
    let stack = Stack::start(&["rest"]).await;
    let run = |code: i32, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command.args(args).arg(format!("--connection=rest={}", stack.sandbox.url("rest")));
        command.arg(format!("--inventory={location}")).current_dir(stack.folder.path()).stdin(Stdio::null());
        command.env("PLUMB_INVENTORY_KEY", "a key for the tests, long enough").env("HOME", stack.folder.path());
        let ran = command.envs(places::variables(location)).output().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{location}: plumb {args:?}: {told}");
        (String::from_utf8(ran.stdout).unwrap(), told)
    };
    let json = |args: &[&str]| -> Value { serde_json::from_str(&run(0, args).0).unwrap() };
    stack.write("stack.yaml", REST);
    run(0, &["apply", "--yes"]);
    stack.write("stack.yaml", &REST.replace("The first one", "Another"));
    run(0, &["apply", "--yes"]);
    let runs = json(&["history", "-o", "json"]);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "{location}: {runs}");
    let id = runs["runs"][0]["id"].as_str().unwrap();
    let shown = json(&["history", id, "-o", "json"]);
    let change = &shown["changes"][0];
    assert_eq!(change["before"]["description"], "The first one", "{location}: {shown}");
    assert_eq!(change["end"]["outcome"], "done", "{location}: {shown}");
    run(0, &["undo", id, "--yes"]);
    let row = &stack.sandbox.objects("rest", "Resource")[0]["attributes"];
    assert_eq!(row["description"], "The first one", "{location}");
    assert_eq!(json(&["history", "-o", "json"])["runs"][0]["undoes"], id, "{location}");
}
