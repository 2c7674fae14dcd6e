//! The tutorials, done line by line: their files are written, their commands are run against a sandbox, and what they say
//! is printed is printed.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use plumb::sandbox::{Sandbox, SandboxOptions, parse_seed};
use serde_json::Value;

use crate::support::example::repository;

/// A fenced block: its language and its lines.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

impl Block<'_> {
    /// Whether it is typed in a terminal of its own, to serve the sandbox: this process has one.
    fn serves(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("plumb sandbox"))
    }
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    page.split("\n```")
        .skip(1)
        .step_by(2)
        .filter_map(|fenced| fenced.split_once('\n'))
        .map(|(language, text)| Block { language, text })
        .collect()
}

/// The commands of a block as a script: what asks is told yes, and what says `# exit code N` has to end so.
fn script(block: &str) -> String {
    let mut script = String::new();
    for line in block.replace("\\\n", " ").lines() {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let code = comment.strip_prefix("exit code ").unwrap_or("0");
        let yes =
            if command.starts_with("plumb apply") || command.starts_with("plumb destroy") { " --yes" } else { "" };
        script.push_str(&format!(
            "{command}{yes}\ncode=$?; if [ $code != {code} ]; then echo \"exit code $code: {command}\" >&2; exit 99; fi\n"
        ));
    }
    script
}

/// The objects that the page's sandboxes have from the start, of all APIs.
fn seed(page: &str) -> Option<Value> {
    let files = blocks(page).into_iter().filter(Block::serves).filter_map(|block| {
        let folder = block.text.lines().find_map(|line| line.strip_prefix("cd ")).unwrap_or_default();
        let (_, file) = block.text.trim().rsplit_once("--seed ")?;
        Some(format!("{folder}/{file}"))
    });
    let seeds = files.map(|file| parse_seed(&fs::read_to_string(repository(&file)).unwrap()).unwrap());
    seeds.reduce(|mut all, seed| {
        all.as_object_mut().unwrap().extend(seed.as_object().unwrap().clone());
        all
    })
}

/// Runs all blocks in a folder. Variables that one block sets are there for the next.
async fn follow(page: &str) {
    let text = fs::read_to_string(repository(page)).unwrap();
    let options = SandboxOptions { seed: seed(&text), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(plumb::apis::builtin(), options).await.unwrap();
    let text = text.replace("http://127.0.0.1:8700", sandbox.address());
    let folder = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_plumb")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut printed = String::new();
    let mut checked = 0;
    for block in blocks(&text) {
        match block.language {
            "yaml" => {
                let name = block.text.lines().next().unwrap().strip_prefix("# ").expect("a file's name comes first");
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, block.text).unwrap();
            }
            "sh" if block.serves() => {}
            "sh" => {
                // The next block goes on in the same folder, with the same variables.
                let run = format!(
                    "root=$PWD; test ! -e .variables || . ./.variables; test ! -e .place || cd \"$(cat .place)\"\n{}\
                     export -p > \"$root/.variables\"; pwd > \"$root/.place\"\n",
                    script(block.text)
                );
                let mut command = Command::new("bash");
                command.args(["-c", &run]).current_dir(folder.path()).env("PATH", &path).stdin(Stdio::null());
                for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLUMB_")) {
                    command.env_remove(name);
                }
                let output = command.output().unwrap();
                printed = String::from_utf8(output.stdout).unwrap();
                let told = String::from_utf8(output.stderr).unwrap();
                assert!(output.status.success(), "{page}:\n{}\n{printed}\n{told}", block.text);
            }
            "text" => {
                for line in block.text.lines() {
                    assert!(
                        printed.lines().any(|other| other.trim_end() == line),
                        "{page}: no line\n{line}\nin\n{printed}"
                    );
                    checked += 1;
                }
            }
            other => panic!("{page}: a block of `{other}`"),
        }
    }
    assert!(checked > 0, "{page} shows nothing of what is printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_it_glue_tutorial_works() {
    follow("docs/tutorial-itglue.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_tutorial_works() {
    follow("docs/tutorial-rest.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_of_an_existing_account_works() {
    follow("docs/tutorial-existing-account.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_of_the_agent_works() {
    follow("docs/tutorial-agent.md").await;
}
