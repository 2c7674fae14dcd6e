//! Runners of CI keep nothing: every job is the program in a fresh checkout, and the inventory is in an object store.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use plumb::{
    inventory::{Inventory, Location},
    sandbox::{Sandbox, SandboxOptions},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{example::plumb, leaks, s3};

const SECRET: &str = "correct-horse-battery-staple";
const HASH_KEY: &str = "0123456789abcdef0123456789abcdef";

const ORGANIZATION: &str = "\
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec: {name: Acme, description: A customer}
";
const SERVERS: &str = "\
apiVersion: itglue.plumb.dev/v1alpha1
kind: Configuration
metadata: {name: web}
spec: {organization: acme, name: WEB, configurationType: Managed Server}
";
const ADMIN: &str = "\
apiVersion: itglue.plumb.dev/v1alpha1
kind: Password
metadata: {name: admin}
spec:
  organization: acme
  name: Admin
  password: {valueFrom: {env: ADMIN_PASSWORD}}
";

/// A repository, the account and the object store; nothing else outlives a job.
struct Ci {
    sandbox: Sandbox,
    store: Location,
    repository: Mutex<BTreeMap<&'static str, String>>,
    artefacts: TempDir,
}

impl Ci {
    async fn start() -> Option<Self> {
        let store = s3::location()?;
        let Location::S3 { bucket, prefix, .. } = &store else { panic!("{store} is no bucket") };
        let sandbox = Sandbox::start(plumb::apis::builtin(), SandboxOptions::default()).await.unwrap();
        let connections = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {{name: customers}}\nspec: {{inventory: \
             \"s3://{bucket}/{prefix}\"}}\n---\napiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: \
             main}}\nspec:\n  api: itglue\n  url: {}\n  auth: {{apiKey: {{valueFrom: {{env: ITGLUE_API_KEY}}}}}}\n",
            sandbox.url("itglue")
        );
        let files = [
            ("connections/main.yaml", connections),
            ("objects/organization.yaml", ORGANIZATION.to_owned()),
            ("objects/servers.yaml", SERVERS.to_owned()),
            ("objects/admin.yaml", ADMIN.to_owned()),
        ];
        let artefacts = TempDir::new().unwrap();
        Some(Self { sandbox, store, repository: Mutex::new(files.into()), artefacts })
    }

    fn commit(&self, file: &'static str, text: &str) {
        self.repository.lock().unwrap().insert(file, text.to_owned());
    }

    fn remove(&self, file: &str) {
        self.repository.lock().unwrap().remove(file).unwrap();
    }

    /// A fresh checkout, with the program in it.
    fn checkout(&self, args: &[&str]) -> (TempDir, Command) {
        let folder = TempDir::new().unwrap();
        for (file, text) in &*self.repository.lock().unwrap() {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let Location::S3 { settings, .. } = &self.store else { panic!("{} is no bucket", self.store) };
        let mut command = plumb();
        command.current_dir(folder.path()).args(args).args(["-f", "connections", "-f", "objects"]);
        command.envs(settings.0.iter().map(|(name, value)| (name.to_uppercase(), value)));
        command.env("PLUMB_INVENTORY_KEY", HASH_KEY);
        command.env("ITGLUE_API_KEY", Sandbox::token()).env("ADMIN_PASSWORD", SECRET);
        (folder, command)
    }

    /// Runs a job, and insists on its exit code; it leaves nothing in the checkout.
    fn job(&self, code: i32, args: &[&str]) -> Ran {
        let (folder, command) = self.checkout(args);
        let ran = Ran::of(command);
        assert_eq!(ran.code, code, "plumb {args:?}\n{}\n{}", ran.out, ran.err);
        let files: Vec<_> = self.repository.lock().unwrap().keys().map(|file| folder.path().join(file)).collect();
        assert_eq!(left(folder.path()), files);
        ran
    }

    fn artefact(&self, name: &str) -> String {
        self.artefacts.path().join(name).display().to_string()
    }

    fn writes(&self) -> Vec<String> {
        let log = self.sandbox.log();
        let writes = log.iter().filter(|entry| entry.method != "GET");
        writes.map(|entry| format!("{} {}", entry.method, entry.path)).collect()
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let objects = self.sandbox.objects("itglue", kind);
        objects.iter().map(|object| object["attributes"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        leaks::assert_none("standard output", ran.out.as_bytes());
        leaks::assert_none("standard error", ran.err.as_bytes());
        ran
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// `ACTION ADDRESS` of each action.
    fn actions(&self) -> Vec<String> {
        let document = self.json();
        let actions = document["actions"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        actions.map(|action| format!("{} {}", word(&action["action"]), word(&action["address"]))).collect()
    }
}

/// Files below a folder.
fn left(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(left(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_job_plans_another_applies() {
    let Some(ci) = Ci::start().await else { return };
    ci.job(0, &["validate"]);
    let plan = ci.artefact("plan.json");
    let planned = ci.job(2, &["plan", "--detailed-exitcode", "--out", &plan]);
    assert!(planned.out.contains("Plan: 3 to create"), "{}", planned.out);
    assert!(!std::fs::read_to_string(&plan).unwrap().contains(SECRET));
    assert_eq!(ci.writes(), Vec::<String>::new());

    let applied = ci.job(0, &["apply", &plan, "-o", "json"]);
    assert_eq!(applied.json()["summary"]["create"], 3);
    let inventory = Inventory::open(&ci.store, "customers").await.unwrap();
    let kept = serde_json::to_string(&*inventory.state()).unwrap();
    assert!(kept.contains("itglue/Password/admin") && !kept.contains(SECRET) && !kept.contains(HASH_KEY));
    ci.job(0, &["plan", "--detailed-exitcode"]);
    ci.job(0, &["drift"]);

    let stale = ci.job(4, &["apply", &plan]);
    assert!(stale.err.contains("no longer: create itglue/Organization/acme"), "{}", stale.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_something_came_in_between_of_is_stale() {
    let Some(ci) = Ci::start().await else { return };
    ci.job(0, &["apply", "--yes"]);
    ci.commit("objects/organization.yaml", &ORGANIZATION.replace("A customer", "A good customer"));
    let plan = ci.artefact("plan.json");
    ci.job(0, &["plan", "--out", &plan]);
    let writes = ci.writes();

    let id = ci.sandbox.objects("itglue", "Configuration")[0]["id"].as_str().unwrap().to_owned();
    assert!(ci.sandbox.mutate("itglue", "Configuration", &id, &json!({"name": "WEB", "archived": true})));
    ci.commit("objects/servers.yaml", &SERVERS.replace("name: WEB", "archived: false, name: WEB"));
    let stale = ci.job(4, &["apply", &plan]);
    assert!(stale.err.contains("now: update itglue/Configuration/web"), "{}", stale.err);

    ci.commit("objects/servers.yaml", SERVERS);
    ci.commit("objects/organization.yaml", &ORGANIZATION.replace("A customer", "Another customer"));
    ci.job(4, &["apply", &plan]);
    assert_eq!(ci.writes(), writes);
    ci.commit("objects/organization.yaml", &ORGANIZATION.replace("A customer", "A good customer"));
    ci.job(0, &["apply", &plan]);
    assert_eq!(ci.writes().len(), writes.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_commit_removes_is_pruned_and_nothing_else() {
    let Some(ci) = Ci::start().await else { return };
    ci.job(0, &["apply", "--yes"]);
    ci.sandbox.add("itglue", "Configuration", &json!({"organization": "Acme", "name": "BY-HAND"})).unwrap();
    ci.remove("objects/servers.yaml");
    let plan = ci.job(0, &["plan"]);
    assert!(plan.out.contains("itglue/Configuration/web"), "it is listed although prune is off: {}", plan.out);
    assert!(ci.job(0, &["plan", "-o", "json"]).actions().is_empty());
    let saved = ci.artefact("plan.json");
    let pruned = ci.job(0, &["plan", "--prune", "--out", &saved, "-o", "json"]);
    assert_eq!(pruned.actions(), ["delete itglue/Configuration/web"]);

    // Another part of the repository alone is no reason to delete what the rest declares.
    let (_folder, mut command) = ci.checkout(&["plan", "--prune"]);
    command.args(["--target", "itglue/Organization/acme"]);
    assert!(!Ran::of(command).out.contains("1 to delete"));

    ci.job(4, &["apply", &saved]);
    ci.job(0, &["apply", &saved, "--prune"]);
    assert_eq!(ci.names("Configuration"), ["BY-HAND"]);
    assert!(ci.job(0, &["plan", "--prune", "-o", "json"]).actions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_the_key_of_the_hashes_is_told() {
    let Some(ci) = Ci::start().await else { return };
    let (_folder, mut command) = ci.checkout(&["plan"]);
    command.env_remove("PLUMB_INVENTORY_KEY");
    let ran = Ran::of(command);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("PLUMB_INVENTORY_KEY"), "{}", ran.err);
    assert!(ci.sandbox.log().is_empty());
}

/// Kills what runs on when a test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_keep_out_of_each_others_way_and_a_cancelled_one_is_made_good() {
    let Some(ci) = Ci::start().await else { return };
    ci.sandbox.set_faults("slow120s@POST:/configurations=1x,slow120s@POST:/organizations/=1x".parse().unwrap());
    let (_folder, mut command) = ci.checkout(&["apply", "--yes"]);
    let mut first = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    while !ci.writes().contains(&"POST /passwords".to_owned()) {
        assert!(begun.elapsed() < Duration::from_mins(1) && first.0.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = ci.writes();
    // Who only looks is not kept waiting.
    ci.job(0, &["plan", "-o", "json"]);
    let refused = ci.job(1, &["apply", "--yes"]);
    let told: Vec<&str> = refused.err.lines().filter(|line| line.contains("plumb apply of stack customers")).collect();
    assert!(!told.is_empty(), "{}", refused.err);

    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let refused = ci.job(1, &["apply", "--yes"]);
    assert!(refused.err.contains("plumb inventory unlock"), "{}", refused.err);
    assert_eq!(ci.writes(), before);
    ci.sandbox.set_faults("".parse().unwrap());
    ci.job(0, &["inventory", "unlock"]);
    ci.job(0, &["apply", "--yes"]);
    assert_eq!((ci.names("Configuration"), ci.names("Password")), (vec!["WEB".to_owned()], vec!["Admin".to_owned()]));
    ci.job(0, &["plan", "--detailed-exitcode"]);
}
