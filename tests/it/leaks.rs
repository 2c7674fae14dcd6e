//! The leak test: every verb and output, over one stack with all five APIs and every source of secrets, against servers
//! that repeat what they were sent, refuse, lead elsewhere, break off and lose answers. Then no output, log at trace
//! level, file, page of the database, or request that reached another host may have a secret in any spelling.
//!
//! `LEAK_ROUNDS` runs the list of verbs so many times in each manner.

mod proxy;

use std::{fs, time::Duration};

use plumb::{
    inventory::Location,
    sandbox::{Faults, SandboxOptions},
};
use tempfile::TempDir;

use self::proxy::{Manner, Proxy};
use crate::support::{
    api_server::ApiServer,
    everything::Everything,
    example::repository,
    leaks::{self, MARK},
    places, postgres,
    secret_server::{Cluster, TOKEN},
};

/// What stands for a folder outside of the stack's.
const ELSEWHERE: &str = "ELSEWHERE";

/// What stands for the id of the last run.
const LAST_RUN: &str = "LAST RUN";

/// Verbs that read, and how they print.
const READS: &[&[&str]] = &[
    &["validate"],
    &["validate", "-o", "json"],
    &["plan"],
    &["plan", "-o", "json"],
    &["plan", "-o", "markdown"],
    &["plan", "-o", "html"],
    &["plan", "--out", "saved.plan", "--detailed-exitcode"],
    &["plan", "--prune", "--color", "always"],
    &["drift"],
    &["drift", "-o", "json"],
    &["drift", "-o", "markdown"],
    &["drift", "-o", "html"],
    &["graph"],
    &["graph", "-o", "mermaid"],
    &["graph", "-o", "svg"],
    &["doctor"],
    &["doctor", "-o", "json"],
    &["unmanaged"],
    &["unmanaged", "-o", "json"],
    &["export"],
    &["export", "--to", ELSEWHERE, "--force"],
    &["inventory", "list"],
    &["inventory", "list", "-o", "json"],
    &["inventory", "show", "itglue/Password/log-token"],
    &["inventory", "show", "itglue/Password/log-token", "-o", "json"],
    &["history"],
    &["history", "-o", "json"],
    &["history", LAST_RUN],
    &["history", LAST_RUN, "-o", "json"],
    &["undo", "--dry-run"],
    &["undo", LAST_RUN, "--dry-run", "-o", "json"],
];

/// Verbs that write.
const WRITES: &[&[&str]] = &[
    &["apply", "--yes"],
    &["apply", "--yes", "-o", "json"],
    &["apply", "saved.plan", "--yes"],
    &["import", "itglue/Password/log-token", "1"],
    &["forget", "rest/Webhook/desk", "--yes"],
    &["undo", "--yes"],
];

/// More secrets than the example has: one from every other source, some hard to recognise.
const MORE: &str = r#"
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: from-env}
spec: {url: https://hooks.example.com/env, events: [resource.created], secret: {valueFrom: {env: HOOK_SECRET}}}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: from-exec}
spec: {url: https://hooks.example.com/exec, events: [resource.created], secret: {valueFrom: {exec: [cat, secrets/hard.txt]}}}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: from-sops}
spec:
  url: https://hooks.example.com/sops
  events: [resource.created]
  secret: {valueFrom: {sops: {file: sops/values.yaml, key: database.certificate}}}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: from-cluster}
spec:
  url: https://hooks.example.com/cluster
  events: [resource.created]
  secret: {valueFrom: {secretKeyRef: {name: hooks, key: token}}}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: from-plain}
spec: {url: https://hooks.example.com/plain, events: [resource.created], secret: {value: "correct-horse plain & 'quoted'"}}
---
apiVersion: balena.plumb.dev/v1alpha1
kind: ApiKey
metadata: {name: ci}
spec: {name: ci, secretSink: {file: ci.sink}}
"#;

/// A secret that every spelling writes differently.
const HARD: &str = "correct-horse/+&<\"'%ä🐸\\ \u{7f}=?end";

struct Leaks {
    stack: Everything,
    proxy: Proxy,
    exported: TempDir,
    _cluster: Cluster,
}

impl Leaks {
    async fn start(faults: &str) -> Self {
        let faults: Faults = faults.parse().unwrap();
        let mut stack = Everything::start(SandboxOptions { faults, ..SandboxOptions::default() }).await;
        stack.write("more.yaml", MORE);
        stack.write("secrets/hard.txt", HARD);
        fs::create_dir(stack.path("sops")).unwrap();
        fs::copy(repository("tests/cases/sops/values.yaml"), stack.path("sops/values.yaml")).unwrap();
        let keys = repository("tests/cases/sops/keys.txt").display().to_string();
        let cluster =
            Cluster::start(stack.folder.path(), &[("shop/hooks", &[("token", b"correct-horse-in-a-cluster")])]).await;
        stack.variables = vec![
            ("HOOK_SECRET".into(), format!("{MARK}-in-a-variable")),
            ("KUBECONFIG".into(), cluster.config.display().to_string()),
            ("SOPS_AGE_KEY_FILE".into(), keys),
        ];
        let mut known: Vec<String> = fs::read_dir(stack.path("secrets"))
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap().trim_end_matches('\n').to_owned())
            .collect();
        known.extend([
            format!("{MARK}-in-a-variable"),
            format!("{MARK}-in-a-cluster"),
            "correct-horse plain & 'quoted'".to_owned(),
            "-----BEGIN-----\ncorrect-horse-Eev7ooshie\n-----END-----\n".to_owned(),
        ]);
        let proxy = Proxy::start(&stack.origin, known).await;
        stack.origin.clone_from(&proxy.origin);
        Self { stack, proxy, exported: TempDir::new().unwrap(), _cluster: cluster }
    }

    fn run(&self, verb: &[&'static str], log: &str) -> Option<i32> {
        let flags = ["--allow-plaintext-secrets", "--allow-exec", "-vvv", "--log-format", log];
        let exported = self.exported.path().display().to_string();
        let last = if verb.contains(&LAST_RUN) { self.last_run() } else { String::new() };
        let meant = |word: &&'static str| match *word {
            ELSEWHERE => exported.clone(),
            LAST_RUN => last.clone(),
            word => word.to_owned(),
        };
        let verb: Vec<String> = verb.iter().map(meant).collect();
        let verb: Vec<&str> = verb.iter().map(String::as_str).collect();
        let ran = self.stack.run(&[&verb, &flags[..]].concat());
        // What panics says so.
        assert!(!ran.err.contains("internal error"), "plumb {verb:?}\n{}", ran.err);
        assert!(ran.code.is_some(), "plumb {verb:?} was killed");
        ran.code
    }

    /// The id of the last run.
    fn last_run(&self) -> String {
        let listed = self.stack.run(&["history", "-o", "json", "-q"]).out;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        listed["runs"][0]["id"].as_str().unwrap_or("none").to_owned()
    }

    /// Everything that is left behind, and what reached another host.
    fn look(&self) -> usize {
        let elsewhere: Vec<_> = self.proxy.elsewhere().into_iter().collect();
        assert!(elsewhere.is_empty(), "another host was called: {}", elsewhere[0]);
        leaks::assert_none_below(self.exported.path(), &|_| false) + self.stack.assert_no_file_has_a_secret()
    }
}

fn rounds() -> usize {
    std::env::var("LEAK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_a_secret() {
    assert!(TOKEN.contains(MARK) && HARD.contains(MARK));
    let leaks = Leaks::start("").await;
    let (mut runs, mut files) = (0, 0);
    for _ in 0..rounds() {
        leaks.proxy.set(Manner::Honest);
        assert_eq!(leaks.run(&["apply", "--yes"], "json"), Some(0), "an honest server is one to work with");
        for manner in
            [Manner::Honest, Manner::Repeats, Manner::Refuses, Manner::Denies, Manner::LeadsAway, Manner::Garbles]
        {
            leaks.proxy.set(manner);
            for (number, verb) in READS.iter().chain(WRITES).enumerate() {
                leaks.run(verb, if number % 2 == 0 { "text" } else { "json" });
                runs += 1;
            }
            files = leaks.look();
        }
    }
    let echoed = leaks.proxy.repeated();
    assert!(echoed > 100, "the servers repeated secrets {echoed} times only");
    leaks.proxy.set(Manner::Honest);
    leaks.run(&["destroy", "--yes", "--max-deletes", "100%"], "text");
    leaks.look();
    println!("{runs} runs, {echoed} answers with secrets, {files} files looked into: no secret");
}

/// The database as it is while a run writes, and as a kill leaves it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_leaves_no_secret() {
    let leaks = Leaks::start("lost@POST=10%,500@GET=5%,truncate=2%").await;
    leaks.proxy.set(Manner::Repeats);
    let mut pages = 0;
    for millis in [400, 900, 1500] {
        let flags = ["apply", "--yes", "--allow-plaintext-secrets", "--allow-exec", "-vvv"];
        let mut child = leaks.stack.command(&flags).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        pages += leaks.look();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        leaks::assert_none("standard output", &output.stdout);
        leaks::assert_none("standard error", &output.stderr);
        pages += leaks.look();
    }
    leaks.proxy.set(Manner::Honest);
    leaks.run(&["apply", "--yes"], "text");
    leaks.look();
    assert!(pages > 0 && leaks.stack.path(".plumb/inventory.db").exists());
}

/// What is kept of runs that change and undo secrets, wherever it is kept.
#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_elsewhere_has_no_secret() {
    let (server, cluster) = ApiServer::serve(plumb::inventory::Form::Secret);
    for location in postgres::location().into_iter().chain([cluster]) {
        let mut leaks = Leaks::start("").await;
        leaks.stack.variables.push(("PLUMB_INVENTORY".into(), location.to_string()));
        leaks.stack.variables.push(("PLUMB_INVENTORY_KEY".into(), "a key for the tests, long enough".into()));
        let elsewhere: Vec<(String, String)> = places::variables(&location);
        if let Some((_, own)) = elsewhere.first() {
            // One file for both clusters: that of the secrets and that of the inventory.
            let both = leaks.stack.path("kubeconfig");
            let variables = &mut leaks.stack.variables;
            variables.retain(|(name, _)| name != "KUBECONFIG");
            variables.push(("KUBECONFIG".into(), own.clone()));
            fs::remove_file(both).unwrap();
            leaks.stack.write("more.yaml", "");
        }
        leaks.proxy.set(Manner::Repeats);
        leaks.run(&["apply", "--yes"], "text");
        for entry in fs::read_dir(leaks.stack.path("secrets")).unwrap().map(|entry| entry.unwrap().path()) {
            let old = fs::read_to_string(&entry).unwrap();
            fs::write(&entry, format!("{}-and-more", old.trim_end())).unwrap();
        }
        // It would repeat the old ones, which nobody knows any more.
        leaks.proxy.set(Manner::Honest);
        leaks.run(&["apply", "--yes"], "json");
        leaks.run(&["history", LAST_RUN, "-o", "json"], "text");
        leaks.run(&["undo", "--yes"], "text");
        let runs = plumb::inventory::Inventory::open(&location, "happy-frog").await.unwrap().state().runs.len();
        assert!(runs >= 2, "{location} keeps {runs} runs");
        leaks.look();
        if let Location::Postgres(url) = &location {
            let database = url.to_string().rsplit('/').next().unwrap().to_owned();
            let tables = ["stacks", "objects", "intents", "accounts", "runs", "changes", "claims", "notices"];
            for table in tables {
                let rows = postgres::shared().unwrap().sql(&database, &format!("SELECT * FROM plumb_{table}"));
                leaks::assert_none(&format!("the table {table}"), rows.as_bytes());
            }
        } else {
            let contents = server.contents();
            assert!(contents.len() > 2);
            for document in &contents {
                leaks::assert_none("a document of the inventory", document);
            }
        }
    }
}
