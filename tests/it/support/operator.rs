//! The operator as a process, over one namespace, against a sandbox of this process.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use plumb::{
    apis,
    description::Catalog,
    sandbox::{LogEntry, Sandbox, SandboxOptions},
};
use serde_json::Value;
use tempfile::TempDir;

use super::{cluster::Cluster, example::plumb};

/// How long a test waits for something that the operator does.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A namespace with an operator.
pub(crate) struct Operated {
    pub(crate) cluster: &'static Cluster,
    pub(crate) namespace: String,
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: TempDir,
    flags: Vec<String>,
    interval: &'static str,
    running: Vec<Child>,
}

impl Operated {
    /// Prepares a namespace and a sandbox of the built-in APIs, without an operator.
    pub(crate) async fn prepare(name: &str) -> Option<Self> {
        Self::prepare_with(name, apis::builtin(), SandboxOptions::default()).await
    }

    /// Prepares a namespace and a sandbox, without an operator.
    pub(crate) async fn prepare_with(name: &str, catalog: &Catalog, options: SandboxOptions) -> Option<Self> {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap()?;
        Some(Self::over(cluster, name, catalog, options).await)
    }

    /// Prepares a namespace of a control plane of its own.
    pub(crate) async fn prepare_alone(name: &str) -> Option<Self> {
        let cluster = tokio::task::spawn_blocking(Cluster::own).await.unwrap()?;
        Some(Self::over(cluster, name, apis::builtin(), SandboxOptions::default()).await)
    }

    async fn over(cluster: &'static Cluster, name: &str, catalog: &Catalog, options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(catalog, options).await.unwrap();
        let namespace = cluster.namespace(name);
        let folder = TempDir::new().unwrap();
        let flags = vec![
            "--namespace".to_owned(),
            namespace.clone(),
            "--release-after=2s".to_owned(),
            format!("--inventory={}/{{namespace}}.db", folder.path().display()),
        ];
        Self { cluster, namespace, sandbox, folder, flags, interval: "2s", running: Vec::new() }
    }

    /// Sets how often connections are swept.
    pub(crate) fn every(&mut self, interval: &'static str) {
        self.interval = interval;
    }

    /// Adds flags of the operator.
    pub(crate) fn with(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    }

    /// Keeps the inventory in a namespace of the cluster, where several replicas reach it.
    pub(crate) fn inventory_in(&mut self, namespace: &str) {
        self.flags.retain(|flag| !flag.starts_with("--inventory"));
        self.flags.push(format!("--inventory=kubernetes://{namespace}/plumb"));
    }

    /// The operator as a command.
    pub(crate) fn command(&self, kubeconfig: &Path) -> Command {
        let mut command = plumb();
        command.args(["operator", "-vv", "--interval", self.interval]).args(&self.flags).env("KUBECONFIG", kubeconfig);
        command.env("PLUMB_INVENTORY_KEY", "a key of hashes that is long enough for tests");
        let number = self.running.len();
        let log = std::fs::File::create(self.folder.path().join(format!("operator-{number}.log"))).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        command
    }

    /// Starts an operator.
    pub(crate) fn start(&mut self) {
        let kubeconfig = self.cluster.kubeconfig();
        let child = self.command(&kubeconfig).spawn().unwrap();
        self.running.push(child);
    }

    /// Starts an operator that was made by hand.
    pub(crate) fn start_as(&mut self, mut command: Command) {
        self.running.push(command.spawn().unwrap());
    }

    /// Kills an operator at once.
    pub(crate) fn kill(&mut self, number: usize) {
        self.running[number].kill().unwrap();
        self.running[number].wait().unwrap();
    }

    /// Asks an operator to end; its exit code.
    pub(crate) fn end(&mut self, number: usize) -> i32 {
        let id = self.running[number].id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.running[number].wait().unwrap().code().unwrap()
    }

    /// What an operator logged.
    pub(crate) fn log(&self, number: usize) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("operator-{number}.log"))).unwrap_or_default()
    }

    /// Memory of an operator at its most, in MiB.
    pub(crate) fn peak(&self, number: usize) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running[number].id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Applies a text.
    pub(crate) fn apply(&self, text: &str) {
        let (good, said) = self.cluster.feed(&["apply", "-n", &self.namespace, "-f", "-"], text);
        assert!(good, "{said}");
    }

    /// A connection to an API of the sandbox, and the Secret that it needs.
    pub(crate) fn connection(&self, name: &str, api: &str, form: &str) {
        self.apply(&format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: {name}}}\nspec:\n  api: {api}\n  \
             url: {}\n  auth: {{{form}: {{valueFrom: {{secretKeyRef: {{name: {name}, key: token}}}}}}}}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{token: {}}}\n",
            self.sandbox.url(api),
            Sandbox::token()
        ));
    }

    /// Runs kubectl in the namespace, which must succeed.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.run(&[args, &["-n", &self.namespace]].concat())
    }

    /// A resource.
    pub(crate) fn get(&self, what: &str) -> Option<Value> {
        self.cluster.get(&self.namespace, what)
    }

    /// Waits until a condition of a resource has a status.
    pub(crate) fn wait(&self, what: &str, ty: &str, status: &str) -> Value {
        let mut last = Value::Null;
        let began = std::time::Instant::now();
        loop {
            if let Some(found) = self.get(what) {
                let is = condition(&found, ty).is_some_and(|condition| condition["status"] == status);
                if is && found["status"]["observedGeneration"] == found["metadata"]["generation"] {
                    return found;
                }
                last = found["status"].clone();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{what} is never {ty}={status}: {last:#}\n{}",
                self.log(self.running.len().saturating_sub(1))
            );
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    /// Waits until a resource is as it should be.
    pub(crate) fn wait_for(&self, what: &str, mut is: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let began = std::time::Instant::now();
        loop {
            if let Some(found) = self.get(what) {
                if is(&found) {
                    return found;
                }
                last = found["status"].clone();
            }
            assert!(began.elapsed() < PATIENCE, "{what} is never so: {last:#}\n{}", self.log(self.running.len() - 1));
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    /// Sends a signal to an operator.
    pub(crate) fn signal(&self, number: usize, signal: &str) {
        let id = self.running[number].id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Whether an operator has ended; its exit code.
    pub(crate) fn ended(&mut self, number: usize) -> Option<i32> {
        self.running[number].try_wait().unwrap().and_then(|status| status.code())
    }

    /// Waits until an Event with this reason is about an object.
    pub(crate) fn event(&self, reason: &str, about: &str) -> Value {
        self.cluster.until(&format!("an Event {reason} about {about}"), PATIENCE, || {
            let (_, text) = self.cluster.kubectl(&["get", "events.events.k8s.io", "-n", &self.namespace, "-o", "json"]);
            let list: Value = serde_json::from_str(&text).ok()?;
            let found = list["items"]
                .as_array()?
                .iter()
                .find(|event| event["reason"] == reason && event["regarding"]["name"] == about)?;
            Some(found.clone())
        })
    }

    /// Calls that wrote something since the log was cleared.
    pub(crate) fn writes(&self) -> Vec<LogEntry> {
        self.sandbox.log().into_iter().filter(|entry| entry.method != "GET" && !entry.path.contains("/auth/")).collect()
    }
}

impl Drop for Operated {
    fn drop(&mut self) {
        for child in &mut self.running {
            // One that ended already needs no killing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A condition of a resource.
pub(crate) fn condition<'v>(resource: &'v Value, ty: &str) -> Option<&'v Value> {
    resource["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == ty)
}
