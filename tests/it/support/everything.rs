//! `examples/everything` in a folder of its own: one stack over simulated accounts at all five APIs, run by the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use plumb::sandbox::{LogEntry, Sandbox, SandboxOptions};
use tempfile::TempDir;

use super::{
    example::{plumb, repository},
    leaks,
};

/// The connections, and whose API each is.
pub(crate) const CONNECTIONS: [(&str, &str); 5] = [
    ("documentation", "itglue"),
    ("delivery", "cycloid"),
    ("telemetry", "bindplane"),
    ("devices", "balena"),
    ("portal", "rest"),
];

/// The stack and its accounts.
pub(crate) struct Everything {
    /// The accounts.
    pub(crate) sandbox: Sandbox,
    /// The folder; `secrets/` and `more.yaml` have the secrets, and what is called `.sink` is one that an API gave.
    pub(crate) folder: TempDir,
    /// Where the accounts are reached: the sandbox, unless something stands before it.
    pub(crate) origin: String,
    /// Variables of every run.
    pub(crate) variables: Vec<(String, String)>,
}

/// What a run came to.
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Everything {
    /// Copies the example and starts the accounts.
    pub(crate) async fn start(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(plumb::apis::builtin(), options).await.unwrap();
        let folder = TempDir::new().unwrap();
        copy(&repository("examples/everything"), folder.path());
        let origin = sandbox.url("rest").trim_end_matches("/rest").to_owned();
        Self { sandbox, folder, origin, variables: Vec::new() }
    }

    /// Path of a file of the stack.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the stack.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A verb, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = plumb();
        command.args(args).current_dir(self.folder.path());
        for (name, api) in CONNECTIONS {
            command.arg(format!("--connection={name}={}/{api}", self.origin));
        }
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.env("XDG_RUNTIME_DIR", self.path(".runtime")).envs(variables);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a verb. No secret may be in what it prints.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        leaks::assert_none(&format!("what `plumb {args:?}` prints"), &output.stdout);
        leaks::assert_none(&format!("what `plumb {args:?}` tells"), &output.stderr);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a verb, and insists on its exit code.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "plumb {args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Writes that the accounts were asked for, logins aside.
    pub(crate) fn writes(&self) -> Vec<LogEntry> {
        let log = self.sandbox.log().into_iter();
        log.filter(|entry| entry.method != "GET" && !entry.path.contains("/auth/")).collect()
    }

    /// Insists that no file of the folder has a secret, but for the secrets' own; gives how many were looked into.
    pub(crate) fn assert_no_file_has_a_secret(&self) -> usize {
        leaks::assert_none_below(self.folder.path(), &|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            matches!(&*name, "secrets" | "kubeconfig" | "sops" | "more.yaml") || name.ends_with(".sink")
        })
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}
