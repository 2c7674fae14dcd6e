//! Rules and dashboard, checked by Prometheus itself: the rules by promtool, every query against what an agent tells.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::host::{CONNECTION, Host, resource};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether Prometheus is installed; where it is not, that is said in one line, and a failure in CI.
fn ready() -> bool {
    if ["/usr/bin/prometheus", "/usr/bin/promtool"].iter().all(|path| Path::new(path).exists()) {
        return true;
    }
    let missing = "the tests of rules and dashboard need Debian's prometheus: run `tests/run`";
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    false
}

fn promtool(arguments: &[&str], within: &Path) -> String {
    let output = Command::new("promtool").args(arguments).current_dir(within).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn the_rules_are_right_and_fire_when_they_should() {
    if !ready() {
        return;
    }
    let checked = promtool(&["check", "rules", "charts/plumb/files/rules.yaml"], &repository("."));
    assert!(checked.contains("8 rules found"), "{checked}");
    promtool(&["test", "rules", "rules.test.yaml"], &repository("tests/cases/agent"));
}

#[tokio::test]
async fn the_measures_are_as_promtool_wants_them() {
    use std::io::Write as _;
    if !ready() {
        return;
    }
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    let text = host.get("/metrics").await.unwrap();
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && told.is_empty(), "{told}\n{text}");
    // Prometheus itself asks for the newer form, and gets it.
    let client = reqwest::Client::new();
    let asked = client
        .get(format!("http://127.0.0.1:{}/metrics", host.port))
        .header("accept", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3")
        .send()
        .await
        .unwrap();
    assert!(asked.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(asked.text().await.unwrap().ends_with("# EOF\n"));
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn every_query_of_the_dashboard_finds_something() {
    if !ready() {
        return;
    }
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    let port = crate::support::git::free_port();
    host.write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  - job_name: plumb\n    \
             static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
            repository("charts/plumb/files/rules.yaml").display(),
            host.port,
        ),
    );
    let child = Command::new("prometheus")
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(host.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Prometheus(child);
    let client = reqwest::Client::new();
    let query = async |expression: &str| -> Value {
        let url = format!("http://127.0.0.1:{port}/api/v1/query");
        match client.get(url).query(&[("query", expression)]).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    };
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(repository("charts/plumb/files/stacks-dashboard.json")).unwrap())
            .unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let expressions: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() >= panels.len());
    for expression in expressions {
        let asked = expression.replace("$stack", ".*").replace("$__rate_interval", "1m");
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let answer = query(&asked).await;
            if answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty()) {
                break;
            }
            assert!(answer["status"] != "error", "{asked}: {answer}");
            assert!(Instant::now() < until, "{asked} finds nothing: {answer}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}
