//! `history` and `undo` on the command line.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(stack: &Stack, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_plumb"))
        .args(args)
        .arg(format!("--connection=rest={}", stack.sandbox.url("rest")))
        .current_dir(stack.folder.path())
        .env("USER", "jane")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn expect(code: i32, stack: &Stack, args: &[&str]) -> Ran {
    let ran = run(stack, args);
    assert_eq!(ran.code, code, "plumb {args:?}\n{}\n{}", ran.out, ran.err);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_shown_and_undone() {
    let stack = Stack::start(&["rest"]).await;
    stack.write("stack.yaml", REST);
    assert!(expect(0, &stack, &["history"]).err.contains("No run"));
    expect(1, &stack, &["undo", "--yes"]);
    expect(0, &stack, &["apply", "--yes"]);
    stack.write("stack.yaml", &REST.replace("The first one", "Another"));
    expect(0, &stack, &["apply", "--yes"]);

    let listed = expect(0, &stack, &["history"]);
    let rows: Vec<&str> = listed.out.lines().collect();
    assert_eq!(rows.len(), 3, "{}", listed.out);
    assert!(
        rows[0].starts_with("RUN") && rows[1].contains("1 update") && rows[2].contains("3 create"),
        "{}",
        listed.out
    );
    assert!(rows[1].contains("jane@"), "{}", listed.out);
    let json: Value = serde_json::from_str(&expect(0, &stack, &["history", "-o", "json"]).out).unwrap();
    assert_eq!(json["stack"], "default");
    assert_eq!(json["runs"][0]["done"]["update"], 1);
    let id = json["runs"][0]["id"].as_str().unwrap().to_owned();

    let shown = expect(0, &stack, &["history", &id]);
    assert!(shown.out.contains("update rest/Resource/first"), "{}", shown.out);
    assert!(shown.out.contains(r#"/description: "The first one" → "Another""#), "{}", shown.out);
    assert!(shown.out.contains(": 200"), "the calls are told: {}", shown.out);
    let json: Value = serde_json::from_str(&expect(0, &stack, &["history", &id, "-o", "json"]).out).unwrap();
    let change = &json["changes"][0];
    assert_eq!(change["before"]["description"], "The first one");
    assert_eq!(change["fields"][0]["path"], "/description");
    assert_eq!(change["end"]["outcome"], "done");
    assert!(change["end"]["requests"][0]["method"].is_string());
    assert!(expect(1, &stack, &["history", "1999"]).err.contains("There is no run `1999`"));

    // No terminal, no question.
    assert!(expect(1, &stack, &["undo"]).err.contains("--yes"));
    let writes = || stack.sandbox.log().iter().filter(|entry| entry.method != "GET").count();
    let before = writes();
    let dry = expect(0, &stack, &["undo", &id, "--dry-run"]);
    assert!(dry.out.contains("Plan: 0 to create, 0 to adopt, 1 to update"), "{}", dry.out);
    assert_eq!(writes(), before, "a dry run writes nothing");
    let plan: Value = serde_json::from_str(&expect(0, &stack, &["undo", "--dry-run", "-o", "json"]).out).unwrap();
    assert_eq!(plan["actions"][0]["address"], "rest/Resource/first");
    expect(0, &stack, &["undo", &id, "--yes"]);
    assert_eq!(stack.sandbox.objects("rest", "Resource")[0]["attributes"]["description"], "The first one");
    let listed = expect(0, &stack, &["history"]);
    assert!(listed.out.lines().nth(1).unwrap().contains(&format!("undo of {id}")), "{}", listed.out);
    // What a run made is told and left alone.
    let first = listed.out.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    let nothing = expect(0, &stack, &["undo", &first, "--yes"]);
    assert!(nothing.err.contains("PL0812") || nothing.err.contains("also made"), "{}", nothing.err);
    assert_eq!(stack.sandbox.objects("rest", "Resource").len(), 1);
}
