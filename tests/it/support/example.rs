//! A folder of `examples/`, run by the program itself as its README says, against a sandbox of this process.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use plumb::{
    pipeline::{self, Options},
    plan::{Outcome, PlanDocument, RequestInfo},
    sandbox::{LogEntry, Sandbox, SandboxOptions},
};
use tempfile::TempDir;

use super::{leaks, stack::lines};

/// Path of a file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program that `tests/tools/helm.sh` brings, or the one on the path; none (said in one line) where there is neither,
/// which is a failure in CI.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let found = [tools.join(name), name.into()].into_iter().find(|program| {
        let check = Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        check.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        let missing = format!("`{name}` is not installed: run `tests/tools/helm.sh target/tools`");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
        eprintln!("skipped: {missing}");
    }
    found
}

/// What a program printed on standard output; it must succeed.
pub(crate) fn output<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(program).args(args).current_dir(repository("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The program (another build where `RELIABILITY_BIN` names one, so that long tests outlast a new one) with none of this process's `PLUMB_…` variables, in the folder that paths of the repository start from.
pub(crate) fn plumb() -> Command {
    let built = env!("CARGO_BIN_EXE_plumb");
    let mut command = Command::new(std::env::var_os("RELIABILITY_BIN").unwrap_or_else(|| built.into()));
    command.current_dir(repository("")).stdin(Stdio::null());
    // What processes share is none of the user's.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLUMB_")) {
        command.env_remove(name);
    }
    command
}

/// An example, with an account and an inventory of its own.
pub(crate) struct Example {
    /// The account.
    pub(crate) sandbox: Sandbox,
    /// What standard input has.
    pub(crate) stdin: String,
    /// The API whose account is looked into.
    pub(crate) api: &'static str,
    inputs: Vec<String>,
    flags: Vec<String>,
    secrets: BTreeMap<String, String>,
    inventory: TempDir,
}

/// What a run came to.
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Example {
    /// Prepares an example: its inputs, its one connection, and the variables that its secrets come from.
    pub(crate) async fn start(
        inputs: &[&str],
        connection: &str,
        api: &'static str,
        variables: &[&str],
        options: SandboxOptions,
    ) -> Self {
        Self::over(inputs, &[(connection, api)], variables, options).await
    }

    /// Prepares an example with several connections, each with its API.
    pub(crate) async fn over(
        inputs: &[&str],
        connections: &[(&str, &'static str)],
        variables: &[&str],
        options: SandboxOptions,
    ) -> Self {
        let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
        let on_disk = inputs.iter().filter(|input| *input != "-").map(|path| repository(path).display().to_string());
        let loaded = pipeline::load(&Options { inputs: on_disk.collect(), ..Options::default() }).unwrap();
        let sandbox = Sandbox::start(&loaded.manifests.catalog, options).await.unwrap();
        let inventory = TempDir::new().unwrap();
        let connect = |(name, api): &(&str, &str)| format!("--connection={name}={}", sandbox.url(api));
        let mut flags: Vec<String> = connections.iter().map(connect).collect();
        flags.push(format!("--inventory={}", inventory.path().join("inventory.db").display()));
        let api = connections[0].1;
        let secrets = variables.iter().map(|name| ((*name).to_owned(), format!("correct-horse-{name}"))).collect();
        Self { sandbox, stdin: String::new(), api, inputs, flags, secrets, inventory }
    }

    /// The text of a variable.
    pub(crate) fn secret(&self, variable: &str) -> &str {
        &self.secrets[variable]
    }

    /// Runs a verb. No secret may be in what it prints.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut command = plumb();
        command.args(args);
        for input in &self.inputs {
            command.args(["-f", input]);
        }
        command.args(&self.flags).envs(&self.secrets);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // What does not read its standard input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(self.stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        leaks::assert_none(&format!("what `plumb {args:?}` prints"), ran.out.as_bytes());
        leaks::assert_none(&format!("what `plumb {args:?}` tells"), ran.err.as_bytes());
        ran
    }

    /// Runs a verb, and insists on its exit code.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "plumb {args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Runs a verb that prints a plan; nothing above a note may be told.
    pub(crate) fn document(&self, code: i32, args: &[&str]) -> PlanDocument {
        let ran = self.expect(code, &[args, &["-o", "json"]].concat());
        let document: PlanDocument = serde_json::from_str(&ran.out).unwrap();
        let told: Vec<_> = document.diagnostics.iter().filter(|told| told.severity != "note").collect();
        assert!(told.is_empty(), "plumb {args:?}: {told:#?}");
        document
    }

    /// Validates, plans, applies and plans again: everything is done by the announced calls, and nothing is left to do.
    pub(crate) fn converge(&self) -> PlanDocument {
        let valid = self.expect(0, &["validate"]);
        assert_eq!(valid.err, "");
        let applied = self.apply();
        assert!(
            self.sandbox.log().iter().all(|entry| entry.status < 400 || is_absence(entry)),
            "{:#?}",
            self.sandbox.log()
        );
        self.assert_clean(applied.actions.len());
        applied
    }

    /// Applies what a plan announced, by the calls that it announced.
    pub(crate) fn apply(&self) -> PlanDocument {
        let planned = self.document(0, &["plan"]);
        self.sandbox.clear_log();
        let applied = self.document(0, &["apply", "--yes"]);
        for action in &applied.actions {
            assert_eq!(action.outcome, Some(Outcome::Done), "{}: {:?}", action.address, action.error);
        }
        assert_eq!(lines(&applied), lines(&planned));
        assert_eq!(applied.requests.apply, planned.requests.apply, "announced and sent");
        let sent: Vec<LogEntry> =
            self.sandbox.log().into_iter().filter(|entry| !entry.path.contains("/auth/")).collect();
        assert_eq!(sent.len() as u64, applied.requests.observe + applied.requests.apply, "counted and seen");
        assert_announced(&planned, &sent);
        applied
    }

    /// Plans, and insists that everything is as it is declared.
    pub(crate) fn assert_clean(&self, objects: usize) {
        let planned = self.document(0, &["plan", "--detailed-exitcode"]);
        assert_eq!(lines(&planned), Vec::<String>::new());
        assert_eq!(planned.summary.unchanged, objects);
        self.expect(0, &["drift"]);
    }

    /// Insists that just this (sorted) changed behind plumb's back, and repairs it.
    pub(crate) fn repair(&self, drift: &[&str], objects: usize) {
        self.repair_by(drift, drift, objects);
    }

    /// Insists that just this (sorted) changed behind plumb's back, and repairs it by these actions (sorted).
    pub(crate) fn repair_by(&self, drift: &[&str], actions: &[&str], objects: usize) {
        let sorted = |document: &PlanDocument| {
            let mut lines = lines(document);
            lines.sort();
            lines
        };
        assert_eq!(sorted(&self.document(2, &["drift"])), drift);
        assert_eq!(sorted(&self.apply()), actions);
        self.assert_clean(objects);
    }

    /// No secret is in any file of the inventory.
    pub(crate) fn assert_inventory_has_no_secret(&self) {
        assert!(leaks::assert_none_below(self.inventory.path(), &|_| false) > 0);
    }

    /// The id of the one object whose attribute has a value.
    pub(crate) fn id(&self, kind: &str, attribute: &str, value: &str) -> String {
        let objects = self.sandbox.objects(self.api, kind);
        let found: Vec<&str> = objects
            .iter()
            .filter(|object| object["attributes"][attribute] == value)
            .filter_map(|object| object["id"].as_str())
            .collect();
        assert_eq!(found.len(), 1, "{kind} with {attribute} {value}: {objects:#?}");
        found[0].to_owned()
    }

    /// Changes an object behind plumb's back.
    pub(crate) fn mutate(&self, kind: &str, id: &str, change: &serde_json::Value) {
        assert!(self.sandbox.mutate(self.api, kind, id, change), "there is no {kind} {id}");
    }

    /// Deletes an object behind plumb's back.
    pub(crate) fn remove(&self, kind: &str, id: &str) {
        assert!(self.sandbox.remove(self.api, kind, id), "there is no {kind} {id}");
    }

    /// An attribute as it is kept.
    pub(crate) fn attribute(&self, kind: &str, id: &str, attribute: &str) -> serde_json::Value {
        let objects = self.sandbox.objects(self.api, kind);
        let object = objects.iter().find(|object| object["id"] == id || object["key"] == id).unwrap();
        object["attributes"][attribute].clone()
    }
}

/// Whether a read found nothing, which is an answer.
fn is_absence(entry: &LogEntry) -> bool {
    entry.method == "GET" && matches!(entry.status, 404 | 422)
}

/// Every write was announced, and everything that was announced was written.
fn assert_announced(planned: &PlanDocument, sent: &[LogEntry]) {
    let mut announced: Vec<(&str, String)> = planned
        .actions
        .iter()
        .flat_map(|action| &action.requests)
        .filter_map(|request| match request {
            RequestInfo::Call { method, path } => {
                let pattern = regex::escape(path).replace(r"\{id\}", "[^/]+");
                Some((method.as_str(), format!("^{pattern}$")))
            }
            RequestInfo::Shared { .. } => None,
        })
        .filter(|(method, _)| *method != "GET")
        .collect();
    // The most definite first, so that a path with known ids is not taken for another with unknown ones.
    announced.sort_by_key(|(_, pattern)| pattern.matches("[^/]+").count());
    for entry in sent.iter().filter(|entry| entry.method != "GET") {
        let found = announced.iter().position(|(method, pattern)| {
            *method == entry.method && regex::Regex::new(pattern).unwrap().is_match(&entry.path)
        });
        let found = found.unwrap_or_else(|| panic!("{} {} was not announced", entry.method, entry.path));
        announced.remove(found);
    }
    assert!(announced.is_empty(), "announced and not sent: {announced:?}");
}
