//! The verbs as processes, against a sandbox: what they print, leave behind and exit with.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use plumb::{
    cli::{self, Console, Exit},
    sandbox::SandboxOptions,
};
use serde_json::{Value, json};

use crate::support::{leaks, stack::Stack};

const SECRET: &str = "correct-horse-battery-staple";

const OBJECTS: &str = "\
apiVersion: rest.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme, labels: {team: web}}
spec: {name: Acme, slug: acme}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: hook, labels: {team: ops}}
spec:
  url: https://hooks.example.com/a
  events: [resource.created]
  secret: {valueFrom: {file: secret.txt}}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Resource
metadata: {name: thing, labels: {team: ops}}
spec: {type: server, metadata: {rack: 1}}
";

/// A stack, and the program in its folder.
struct Verbs {
    stack: Stack,
    flags: Vec<String>,
}

impl Verbs {
    async fn start() -> Self {
        Self::with(SandboxOptions::default()).await
    }

    async fn with(options: SandboxOptions) -> Self {
        let stack = Stack::with(&["rest"], options).await;
        stack.write("objects.yaml", OBJECTS);
        stack.write("secret.txt", SECRET);
        let flags = stack.options.connections.iter().map(|(name, url)| format!("--connection={name}={url}")).collect();
        Self { stack, flags }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command.args(args).args(&self.flags).current_dir(self.stack.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLUMB_")) {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().unwrap())
    }

    /// Runs, and insists on the exit code.
    fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "plumb {args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    fn writes(&self) -> usize {
        self.stack.sandbox.log().iter().filter(|entry| entry.method != "GET").count()
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        leaks::assert_none("standard output", ran.out.as_bytes());
        leaks::assert_none("standard error", ran.err.as_bytes());
        ran
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_stays_drifts_and_goes() {
    let verbs = Verbs::start().await;
    assert!(verbs.expect(0, &["validate"]).out.starts_with("Valid: 3 objects"));
    let plan = verbs.expect(0, &["plan"]);
    assert!(plan.out.contains("Plan: 3 to create, 0 to adopt"), "{}", plan.out);
    assert_eq!(plan.err, "");
    verbs.expect(2, &["plan", "--detailed-exitcode"]);
    assert_eq!(verbs.writes(), 0);

    let refused = verbs.expect(1, &["apply"]);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    assert_eq!(verbs.stack.sandbox.log().len(), 6, "an apply that cannot ask makes no call");

    let applied = verbs.expect(0, &["apply", "--yes", "-o", "json"]).json();
    assert_eq!(applied["actions"][0]["outcome"], "done");
    assert_eq!(applied["requests"]["apply"], json!(3));
    verbs.expect(0, &["plan", "--detailed-exitcode"]);
    verbs.expect(0, &["drift"]);

    let id = verbs.stack.sandbox.objects("rest", "Resource")[0]["id"].as_str().unwrap().to_owned();
    verbs.stack.sandbox.mutate("rest", "Resource", &id, &json!({"type": "switch"}));
    let drift = verbs.expect(2, &["drift", "-o", "json"]).json();
    assert_eq!(drift["actions"].as_array().unwrap().len(), 1);
    assert_eq!(drift["actions"][0]["reason"], "drift");
    assert!(verbs.expect(2, &["drift"]).out.contains("rest/Resource/thing"));

    let destroyed = verbs.expect(0, &["destroy", "--yes", "--max-deletes", "100%"]);
    assert!(destroyed.out.contains("Apply: 0 created"), "{}", destroyed.out);
    assert!(verbs.stack.sandbox.objects("rest", "Webhook").is_empty());
    let left = verbs.expect(0, &["inventory", "list", "-o", "json"]).json();
    assert!(!left["objects"].to_string().contains("Webhook"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_applied_only_while_it_holds() {
    let verbs = Verbs::start().await;
    let saved = verbs.expect(0, &["plan", "--out", "saved.plan"]);
    assert!(saved.err.contains("Saved the plan"));
    let text = std::fs::read_to_string(verbs.stack.path("saved.plan")).unwrap();
    assert!(!text.contains(SECRET));
    verbs.stack.write("objects.yaml", &OBJECTS.replace("rack: 1", "rack: 2"));
    let stale = verbs.expect(4, &["apply", "saved.plan"]);
    assert!(stale.err.contains("stale"), "{}", stale.err);
    assert_eq!(verbs.writes(), 0);
    verbs.stack.write("objects.yaml", OBJECTS);
    verbs.stack.write("secret.txt", "another-secret-of-today");
    verbs.expect(4, &["apply", "saved.plan"]);
    verbs.stack.write("secret.txt", SECRET);
    verbs.expect(0, &["apply", "saved.plan"]);
    assert_eq!(verbs.writes(), 3);
    verbs.expect(4, &["apply", "saved.plan"]);
    verbs.expect(1, &["apply", "objects.yaml"]);
    verbs.expect(1, &["apply", "missing.plan"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_beyond_the_limit_are_refused_before_the_first_write() {
    let verbs = Verbs::start().await;
    let resource = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: rNUMBER}\nspec: {type: a}\n";
    let many: Vec<String> = (0..12).map(|number| resource.replace("NUMBER", &number.to_string())).collect();
    verbs.stack.write("many.yaml", &many.join("---\n"));
    verbs.expect(0, &["apply", "--yes", "-q"]);
    verbs.stack.remove("many.yaml");
    let before = verbs.writes();
    let plan = verbs.run(&["plan", "--prune"]);
    assert!(plan.err.contains("refusal"), "{}", plan.err);
    let refused = verbs.expect(3, &["apply", "--prune", "--yes"]);
    assert!(refused.err.contains("--max-deletes"), "{}", refused.err);
    // The report of a run that stopped says that nothing was done.
    let report = verbs.expect(3, &["apply", "--prune", "--yes", "-o", "json"]);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert!(report["actions"].as_array().unwrap().iter().all(|action| action["outcome"] == "skipped"), "{report}");
    assert_eq!(report["requests"]["apply"], 0);
    let mut unlifted = verbs.command(&["apply", "--prune", "--yes"]);
    let ran = Ran::new(unlifted.env("PLUMB_MAX_DELETES", "100%").output().unwrap());
    assert_eq!(ran.code, 3, "a variable lifts no safety");
    assert_eq!(verbs.writes(), before);
    verbs.expect(0, &["apply", "--prune", "--yes", "--max-deletes", "12"]);
    assert_eq!(verbs.stack.sandbox.objects("rest", "Resource").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_targets_and_their_variables_choose_objects() {
    let verbs = Verbs::start().await;
    let addresses = |plan: &Value| -> Vec<String> {
        let actions = plan["actions"].as_array().unwrap();
        actions.iter().map(|action| action["address"].as_str().unwrap().to_owned()).collect()
    };
    let ops = ["rest/Webhook/hook", "rest/Resource/thing"];
    assert_eq!(addresses(&verbs.expect(0, &["plan", "-o", "json", "-l", "team in (ops)"]).json()), ops);
    assert_eq!(addresses(&verbs.expect(0, &["plan", "-o", "json", "--exclude", "rest/Organization/acme"]).json()), ops);
    let ran = Ran::new(
        verbs.command(&["plan"]).env("PLUMB_OUTPUT", "json").env("PLUMB_TARGET", ops.join(",")).output().unwrap(),
    );
    assert_eq!((ran.code, addresses(&ran.json())), (0, ops.map(str::to_owned).to_vec()));
    let wrong = verbs.expect(1, &["plan", "--target", "rest/Webhook/hok"]);
    assert!(wrong.err.contains("Did you mean `rest/Webhook/hook`?"), "{}", wrong.err);
    verbs.expect(1, &["plan", "--target", "hook"]);
    verbs.expect(1, &["plan", "--connection", "rest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_do_not_hide_the_plan_of_the_rest_and_stop_an_apply() {
    let verbs = Verbs::start().await;
    verbs.stack.write(
        "broken.yaml",
        "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: x}\nspec: {typ: a}\n",
    );
    let invalid = verbs.expect(1, &["validate", "-o", "json"]).json();
    assert_eq!(invalid["valid"], false);
    assert_eq!(invalid["diagnostics"][0]["file"], "broken.yaml");
    let plan = verbs.expect(1, &["plan"]);
    assert!(plan.out.contains("3 to create") && plan.err.contains("broken.yaml:4"), "{}{}", plan.out, plan.err);
    let stopped = verbs.expect(1, &["apply", "--yes"]);
    assert!(stopped.err.contains("--keep-going"), "{}", stopped.err);
    assert_eq!(verbs.writes(), 0);
    verbs.expect(1, &["apply", "--yes", "--keep-going"]);
    assert_eq!(verbs.writes(), 3);
    let quiet = verbs.expect(1, &["plan", "-q", "--log-format", "json"]);
    for line in quiet.err.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "ERROR");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ownership_is_given_taken_and_found_again() {
    let verbs = Verbs::start().await;
    verbs.expect(0, &["apply", "--yes", "-q"]);
    let shown = verbs.expect(0, &["inventory", "show", "rest/Webhook/hook", "-o", "json"]).json();
    assert_eq!((&shown["adopted"], &shown["applied"]["secret"]), (&json!(false), &json!({"sensitive": true})));
    let unknown = verbs.expect(1, &["inventory", "show", "rest/Webhook/hok"]);
    assert!(unknown.err.contains("Did you mean `rest/Webhook/hook`?"), "{}", unknown.err);

    verbs.expect(0, &["forget", "rest/Webhook/hook"]);
    verbs.expect(1, &["forget", "rest/Webhook/hook"]);
    let id = shown["id"].as_str().unwrap();
    verbs.expect(1, &["import", "rest/Webhook/hook", "whk_none"]);
    verbs.expect(0, &["import", "rest/Webhook/hook", &format!("id:{id}")]);
    verbs.expect(0, &["plan", "--detailed-exitcode"]);
    verbs.expect(0, &["forget", "rest/Webhook/hook"]);
    verbs.expect(0, &["import", "rest/Webhook/hook", "key:https://hooks.example.com/a"]);

    let adopted = |list: &Value| -> Vec<bool> {
        list["objects"].as_array().unwrap().iter().map(|object| object["adopted"].as_bool().unwrap()).collect()
    };
    for (flag, expected) in [(None, true), (Some("--as-created"), false)] {
        std::fs::remove_dir_all(verbs.stack.path(".plumb")).unwrap();
        let mut args = vec!["inventory", "rebuild", "-o", "json"];
        args.extend(flag);
        let rebuilt = verbs.expect(0, &args).json();
        assert_eq!(rebuilt["recorded"].as_array().unwrap().len(), 3);
        let list = verbs.expect(0, &["inventory", "list", "-o", "json"]).json();
        assert_eq!(adopted(&list), [expected; 3]);
        verbs.expect(0, &["plan", "--detailed-exitcode"]);
    }
    assert!(verbs.expect(0, &["inventory", "unlock"]).out.contains("not locked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_a_good_key_from_a_bad_one_and_from_no_answer() {
    let verbs = Verbs::start().await;
    let well = verbs.expect(0, &["doctor", "-o", "json"]).json();
    assert_eq!(
        (&well["connections"][0]["ok"], &well["connections"][0]["identity"]),
        (&json!(true), &json!("user@example.com"))
    );
    verbs.stack.write("key", "a-wrong-credential");
    let wrong = verbs.expect(1, &["doctor", "-o", "json"]).json();
    assert_eq!((&wrong["connections"][0]["ok"], &wrong["connections"][0]["reachable"]), (&json!(false), &json!(true)));
    let nowhere = Ran::new(
        Command::new(env!("CARGO_BIN_EXE_plumb"))
            .args(["doctor", "-o", "json", "--connection", "rest=http://127.0.0.1:9"])
            .current_dir(verbs.stack.folder.path())
            .output()
            .unwrap(),
    );
    assert_eq!((nowhere.code, &nowhere.json()["connections"][0]["reachable"]), (1, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn graphs_are_drawn_in_every_form() {
    let verbs = Verbs::start().await;
    assert!(verbs.expect(0, &["graph"]).out.starts_with("digraph"));
    assert!(verbs.expect(0, &["graph", "-o", "mermaid"]).out.starts_with("flowchart"));
    assert!(verbs.expect(0, &["graph", "-o", "svg"]).out.starts_with("<svg"));
    assert!(verbs.expect(0, &["plan", "-o", "html"]).out.starts_with("<!DOCTYPE html>"));
    assert!(verbs.expect(0, &["plan", "-o", "markdown"]).out.contains("rest/Webhook/hook"));
}

/// What a verb says on a console of our own.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_and_only_yes_goes_on() {
    let verbs = Verbs::start().await;
    for (answer, exit, writes) in [("y\n", Exit::Error, 0), ("", Exit::Error, 0), ("yes\n", Exit::Done, 3)] {
        let said = Said::default();
        let mut console = Console::new(std::io::sink(), said.clone(), std::io::Cursor::new(answer)).interactive();
        let folder = verbs.stack.folder.path().display().to_string();
        let args = ["plumb", "apply", "-o", "json", "-f", &folder].map(str::to_owned);
        let ended = cli::run_on(args.iter().chain(&verbs.flags).map(Into::into), &mut console).await;
        let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        assert_eq!((ended, verbs.writes()), (exit, writes), "{answer:?}: {said}");
        assert!(said.contains("3 to create") && said.contains("Only `yes` goes on"), "{said}");
    }
}

/// Sends a signal to a process of ours.
fn interrupt(process: u32) {
    assert!(Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_apply_records_the_calls_in_flight() {
    let slow = SandboxOptions { latency: Duration::from_millis(400), ..SandboxOptions::default() };
    let verbs = Verbs::with(slow).await;
    let child =
        verbs.command(&["apply", "--yes", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while verbs.stack.folder.path().join(".plumb/inventory.db").metadata().is_err() {
        assert!(begun.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(150));
    interrupt(child.id());
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}{}", ran.out, ran.err);
    let done = ran.json()["actions"].as_array().unwrap().iter().filter(|action| action["outcome"] == "done").count();
    let owned = verbs.expect(0, &["inventory", "list", "-o", "json"]).json();
    assert_eq!(owned["objects"].as_array().unwrap().len(), done);
    assert_eq!(owned["pending"], json!([]));
    verbs.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(verbs.writes(), 3, "nothing is made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_plan_ends_at_once() {
    let slow = SandboxOptions { latency: Duration::from_secs(20), ..SandboxOptions::default() };
    let verbs = Verbs::with(slow).await;
    let child = verbs.command(&["plan"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    interrupt(child.id());
    let begun = Instant::now();
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (130, ""));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_apis_are_served_until_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_plumb"))
        .args(["sandbox", "--port", "0", "--api", "rest"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    let url = line.trim().strip_prefix("rest ").unwrap();
    let answer = reqwest::Client::new().get(format!("{url}/v1/users/me")).bearer_auth("sandbox").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let unknown = Command::new(env!("CARGO_BIN_EXE_plumb"))
        .args(["sandbox", "--api", "rst"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("Did you mean `rest`?"));
}

#[test]
fn manifests_come_by_standard_input_against_simulated_apis() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_plumb"))
        .args(["plan", "-f", "-", "--sandbox"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!(
        "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: main}}\nspec:\n  api: rest\n  auth: {{bearer: \
         {{valueFrom: {{env: NOT_SET_ANYWHERE}}}}}}\n---\n{}",
        OBJECTS.replace("  secret: {valueFrom: {file: secret.txt}}\n", "")
    );
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("3 to create"), "{}", ran.out);
    assert!(Path::new(&folder.path().join(".plumb")).metadata().is_err(), "a plan leaves nothing behind");
}

#[test]
fn the_demo_takes_its_whole_tour() {
    let ran = Ran::new(Command::new(env!("CARGO_BIN_EXE_plumb")).arg("demo").stdin(Stdio::null()).output().unwrap());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for said in
        ["1 to adopt", "drift: changed behind plumb's back", "deleted behind plumb's back", "The whole tour took"]
    {
        assert!(ran.out.contains(said), "{said}");
    }
    assert!(!ran.err.contains("warning") && !ran.err.contains("error"), "{}", ran.err);
}
