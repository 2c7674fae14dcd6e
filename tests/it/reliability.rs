//! What is promised under faults, kills, several writers and mistakes, each shown by breaking something on purpose.
//!
//! Sizes come from the environment, with defaults that fit every run: `docs/reliability.md` has the figures of the full
//! ones and the commands that give them.

mod faults;
mod fuzz;
mod kills;
mod limits;
mod mistakes;
mod races;
mod wal;
mod worlds;
mod writers;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plumb::{
    apis,
    description::Catalog,
    sandbox::{Sandbox, SandboxOptions},
};
use tempfile::TempDir;

use self::worlds::World;
use crate::support::leaks;

/// A number from the environment.
pub(crate) fn size(name: &str, usual: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => usual,
    }
}

/// The worlds that a test goes over: all, or those that `RELIABILITY_APIS` names.
fn worlds() -> Vec<&'static World> {
    let chosen = std::env::var("RELIABILITY_APIS").ok();
    let is_chosen = |world: &&World| chosen.as_ref().is_none_or(|names| names.split(',').any(|name| name == world.api));
    worlds::WORLDS.iter().filter(is_chosen).collect()
}

/// A stack in a folder, and the server that it is applied to.
struct Scene {
    world: &'static World,
    folder: TempDir,
    sandbox: Sandbox,
}

impl Scene {
    async fn start(world: &'static World, options: SandboxOptions) -> Self {
        let mut catalog = Catalog::default();
        catalog.insert(apis::builtin().api(world.api).unwrap().clone());
        let sandbox = Sandbox::start(&catalog, options).await.unwrap();
        let folder = TempDir::new().unwrap();
        let scene = Self { world, folder, sandbox };
        std::fs::create_dir_all(scene.folder.path().join(".runtime")).unwrap();
        scene.write("connection.yaml", &world.connection());
        scene.write("key", "sandbox-key-of-the-stack");
        scene.write("secret", "correct-horse-of-the-stack");
        scene
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn declare(&self, objects: usize, changed: bool) {
        self.write("objects.yaml", &self.world.manifests(objects, changed));
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join(".plumb/inventory.db")
    }

    /// The program on this stack.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = crate::support::example::plumb();
        command.args(args).arg("-f").arg(self.folder.path());
        command.arg(format!("--connection=main={}", self.sandbox.url(self.world.api)));
        command.env("XDG_RUNTIME_DIR", self.folder.path().join(".runtime"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end: exit code, output and messages.
    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).spawn().unwrap())
    }

    /// How many objects there are of each kind, those aside whose deletion the API puts off.
    fn counts(&self) -> BTreeMap<String, usize> {
        let api = apis::builtin().api(self.world.api).unwrap();
        let count = |kind: &String| {
            let rows = self.sandbox.objects(self.world.api, kind);
            rows.iter().filter(|row| row.get("doomed").is_none()).count()
        };
        api.kinds.keys().map(|kind| (kind.clone(), count(kind))).filter(|(_, count)| *count > 0).collect()
    }

    /// Insists that nothing is left to do.
    fn assert_quiet(&self, when: &str) {
        let plan = self.run(&["plan", "--detailed-exitcode", "--prune", "--max-deletes=100%"]);
        assert_eq!(plan.code, Some(0), "{}, {when}: {}\n{}", self.world.api, plan.out, plan.err);
    }
}

/// What a run came to; no code where it was killed.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// What it said, and of what it printed the lines that tell what went wrong.
    fn told(&self) -> String {
        let wrong = |line: &&str| !line.trim_start().starts_with(['+', '~', '-']) && !line.starts_with("done");
        let lines: Vec<&str> = self.out.lines().filter(wrong).take(40).collect();
        format!("{}\n{}", self.err, lines.join("\n"))
    }

    fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        leaks::assert_none("standard output", &output.stdout);
        leaks::assert_none("standard error", &output.stderr);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Waits for a child, but no longer than this; tells whether it ended.
fn ends_within(child: &mut Child, time: Duration) -> bool {
    let until = Instant::now() + time;
    ends_before(child, || Instant::now() >= until)
}

/// Waits for a child, but only until something is so; tells whether it ended.
fn ends_before(child: &mut Child, so: impl Fn() -> bool) -> bool {
    loop {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        if so() {
            return false;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}
