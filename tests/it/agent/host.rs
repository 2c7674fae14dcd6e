//! An agent as a process, in a folder of its own, before a sandbox.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plumb::{
    apis,
    sandbox::{Sandbox, SandboxOptions},
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "the-token-of-this-agent";
pub(crate) const KEY: &str = "sandbox-credential-of-the-agent";

/// An agent with its surroundings.
pub(crate) struct Host {
    pub(crate) folder: TempDir,
    pub(crate) sandbox: Sandbox,
    pub(crate) port: u16,
    /// Further variables of its environment.
    pub(crate) variables: Vec<(String, String)>,
    child: Option<Child>,
    client: reqwest::Client,
}

/// The connection that every stack has, by which the sandbox's plain REST API is reached.
pub(crate) const CONNECTION: &str = "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {name: rest}\nspec:\n  api: rest\n  \
     url: http://127.0.0.1:9/nowhere\n  auth: {bearer: {valueFrom: {env: AGENT_KEY}}}\n";

/// A resource's manifest.
pub(crate) fn resource(name: &str, owner: &str) -> String {
    format!(
        "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {{name: {name}}}\nspec:\n  name: {name}\n  \
         metadata: {{owner: {owner}}}\n"
    )
}

impl Host {
    pub(crate) async fn new() -> Self {
        Self::with(SandboxOptions::default()).await
    }

    /// A host before a sandbox that is not the usual one.
    pub(crate) async fn with(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(apis::builtin(), options).await.unwrap();
        let port = crate::support::git::free_port();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { folder: TempDir::new().unwrap(), sandbox, port, variables: Vec::new(), child: None, client }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the configuration: the usual head, then what a test adds.
    pub(crate) fn configure(&self, rest: &str) {
        let (port, url) = (self.port, self.sandbox.url("rest"));
        let head = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Agent\nspec:\n  state: state\n  secrets: {{variables: [AGENT_KEY]}}\n  \
             endpoint:\n    listen: 127.0.0.1:{port}\n    token: {{valueFrom: {{env: AGENT_TOKEN}}}}\n    \
             url: https://plumb.example\n  defaults:\n    mode: enforce\n    interval: 300ms\n    driftInterval: 1s\n    \
             connections: {{rest: {{url: '{url}'}}}}\n"
        );
        self.write("agent.yaml", &format!("{head}{rest}"));
    }

    /// The configuration's stacks, each a folder below `stacks/`.
    pub(crate) fn stacks(names: &[&str]) -> String {
        let mut text = String::from("  stacks:\n");
        for name in names {
            text.push_str(&format!("    - {{name: {name}, source: {{folder: stacks/{name}}}}}\n"));
        }
        text
    }

    /// Changes the configuration's text, as somebody edits it.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("agent.yaml")).unwrap();
        assert!(text.contains(from), "{text}");
        self.write("agent.yaml", &text.replace(from, to));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command.args(arguments).current_dir(self.folder.path()).env("AGENT_KEY", KEY).env("AGENT_TOKEN", TOKEN);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the agent and waits until it listens.
    pub(crate) async fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["agent", "--config", "agent.yaml", "--log-format", "json"]);
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let alive = async |host: &mut Self| {
            assert!(host.child.as_mut().unwrap().try_wait().unwrap().is_none(), "{}", host.log());
            host.get("/healthz").await.is_some()
        };
        let until = Instant::now() + Duration::from_secs(30);
        while !alive(self).await {
            assert!(Instant::now() < until, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends the agent and gives its exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        self.signal("-TERM");
        let mut child = self.child.take().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn answer(&self, method: reqwest::Method, path: &str, token: Option<&str>) -> reqwest::Response {
        let mut request = self.client.request(method, format!("http://127.0.0.1:{}{path}", self.port));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Option<String> {
        let request = self.client.get(format!("http://127.0.0.1:{}{path}", self.port)).bearer_auth(TOKEN);
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.text().await.ok()
    }

    pub(crate) async fn post(&self, path: &str) -> u16 {
        self.answer(reqwest::Method::POST, path, Some(TOKEN)).await.status().as_u16()
    }

    /// What the agent tells of a stack.
    pub(crate) async fn stack(&self, name: &str) -> Value {
        let text = self.get(&format!("/api/v1/stacks/{name}")).await.unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Waits until a stack is as it should be.
    pub(crate) async fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let stack = self.stack(name).await;
            if is(&stack) {
                return stack;
            }
            assert!(Instant::now() < end, "`{name}` is never {what}: {stack:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    pub(crate) async fn until_state(&self, name: &str, state: &str) -> Value {
        self.until(name, state, |stack| stack["state"] == state && stack["busy"] == false).await
    }

    /// Waits until something holds.
    pub(crate) async fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(90);
        while !holds() {
            assert!(Instant::now() < end, "{what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The names of the live resources.
    pub(crate) fn live(&self) -> Vec<String> {
        let objects = self.sandbox.objects("rest", "Resource");
        let name = |object: &Value| object["attributes"]["name"].as_str().map(str::to_owned);
        let mut names: Vec<String> = objects.iter().filter_map(name).collect();
        names.sort();
        names
    }

    /// The owner of a live resource, as its metadata has it.
    pub(crate) fn owner(&self, name: &str) -> Option<String> {
        let objects = self.sandbox.objects("rest", "Resource");
        let object = objects.iter().find(|object| object["attributes"]["name"] == name)?;
        object["attributes"]["metadata"]["owner"].as_str().map(str::to_owned)
    }

    /// Changes the owner of a live resource behind plumb's back.
    pub(crate) fn meddle(&self, name: &str, owner: &str) {
        let objects = self.sandbox.objects("rest", "Resource");
        let object = objects.iter().find(|object| object["attributes"]["name"] == name).unwrap();
        let id = object["id"].as_str().unwrap();
        assert!(self.sandbox.mutate("rest", "Resource", id, &serde_json::json!({"metadata": {"owner": owner}})));
    }

    /// The change log's lines.
    pub(crate) fn changes(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("state/changes.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
