//! What plumb prints for a browser, in a real one: the page of a plan and the picture of a graph need nothing from
//! outside, run into no policy, and can be used by everybody.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{
    host::{CONNECTION, Host, resource},
    page::ready,
};

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_graphs_hold_in_a_real_browser() {
    let Some(tools) = ready() else { return };
    let host = Host::new().await;
    let connection = format!("rest={}", host.sandbox.url("rest"));
    let run = |arguments: &[&str]| {
        let output = host.command(arguments).args(["-f", "stack", "--connection", &connection]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let names = ["alpha", "beta", "gamma", "delta"];
    let all = |owner: &str, names: &[&str]| {
        let resources: Vec<String> = names.iter().map(|name| resource(name, owner)).collect();
        host.write("stack/all.yaml", &format!("{CONNECTION}---\n{}", resources.join("---\n")));
    };
    all("web", &names);
    run(&["apply", "--yes"]);
    all("<script>alert(1)</script>", &["alpha", "beta", "epsilon"]);
    let (page, picture) = (host.path("plan.html"), host.path("graph.svg"));
    fs::write(&page, run(&["plan", "--prune", "--max-deletes", "50", "-o", "html"])).unwrap();
    fs::write(&picture, run(&["graph", "-o", "svg"])).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.mjs"))
            .args([page, picture])
            .env("BROWSER_TOOLS", tools)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["foreign"], json!([]));
    assert_eq!(found["violations"], json!([]), "{:#}", found["violations"]);
    assert_ne!(found["backgrounds"]["light"], found["backgrounds"]["dark"], "{found}");
    assert!(found["summaries"].as_u64().unwrap() > 0 && found["opened"] == found["summaries"], "{found}");
    for (name, drawn) in found["drawn"].as_object().unwrap() {
        assert!(drawn["root"] == "svg" && drawn["wide"] == true, "{name}: {drawn}");
        let texts = drawn["texts"].to_string();
        assert!(texts.contains("alpha") && texts.contains("epsilon"), "{name}: {drawn}");
    }
}
