//! The command line as a process: what it prints, where, and with which exit code.

use std::{
    ffi::OsStr,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A run of `plumb` in a folder of its own, with none of this process's `PLUMB_…` variables.
struct Plumb {
    command: Command,
    _folder: tempfile::TempDir,
}

fn plumb<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Plumb {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
    command.args(args).current_dir(folder.path()).stdin(Stdio::null()).env_remove("COLUMNS");
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("PLUMB_") || matches!(&*name_text, "NO_COLOR" | "CLICOLOR" | "CLICOLOR_FORCE") {
            command.env_remove(&name);
        }
    }
    Plumb { command, _folder: folder }
}

impl Plumb {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn run(mut self) -> Ran {
        Ran(self.command.output().unwrap())
    }
}

struct Ran(Output);

impl Ran {
    fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

#[test]
fn help_lists_the_verbs_and_goes_to_standard_output() {
    let ran = plumb(["--help"]).run();
    assert_eq!((ran.code(), ran.err()), (0, String::new()));
    insta::assert_snapshot!("help", ran.out());
    let short = plumb(["-h"]).run();
    assert!(short.out().contains("Exit codes:"));
}

#[test]
fn help_of_a_verb_shows_flags_variables_and_examples_but_no_values() {
    let ran = plumb(["plan", "--help"]).env("PLUMB_INVENTORY", "s3://somewhere/secret").run();
    assert_eq!(ran.code(), 0);
    assert!(!ran.out().contains("somewhere"));
    insta::assert_snapshot!("help-plan", ran.out());
    insta::assert_snapshot!("help-apply", plumb(["apply", "--help"]).run().out());
}

#[test]
fn diff_is_plan() {
    assert!(plumb(["diff", "--help"]).run().out().contains("--detailed-exitcode"));
}

#[test]
fn the_version_is_a_result() {
    let ran = plumb(["--version"]).run();
    assert_eq!((ran.code(), ran.out()), (0, format!("plumb {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn usage_errors_exit_with_1_and_propose_the_right_word() {
    for (args, said) in [
        (&["aply"][..], "'apply'"),
        (&["plan", "--taget", "x"], "'--target'"),
        (&["plan", "-o", "jsn"], "'json'"),
        (&["-o", "jsn", "plan"], "'json'"),
        (&["plan", "-o", "svg"], "[possible values: text, json, markdown, html]"),
        (&["graph", "-o", "html"], "[possible values: dot, mermaid, svg]"),
        (&["plan", "--max-deletes", "some"], "neither a number"),
        (&["plan", "-l", "a in (b"], "parentheses"),
        (&["completions", "bsh"], "'bash'"),
        (&["completions"], "<SHELL>"),
        (&["forget"], "<ADDRESS>"),
        (&["completions", "bash", "-o", "json"], "one form of output"),
        (&["sandbox", "--rate", "fast"], "expected a number of requests"),
    ] {
        let ran = plumb(args).run();
        assert_eq!((ran.code(), ran.out()), (1, String::new()), "{args:?}");
        assert!(ran.err().contains(said), "{args:?}: {}", ran.err());
    }
}

#[test]
fn no_arguments_show_the_help_as_an_error() {
    let ran = plumb([] as [&str; 0]).run();
    assert_eq!((ran.code(), ran.out()), (1, String::new()));
    assert!(ran.err().contains("Usage: plumb"));
}

#[test]
fn variables_stand_for_flags_and_flags_win() {
    let bad = plumb(["plan"]).env("PLUMB_OUTPUT", "jsn").run();
    assert_eq!(bad.code(), 1);
    assert!(bad.err().contains("'json'"), "{}", bad.err());
    let empty = plumb(["man"]).env("PLUMB_COLOR", "").env("PLUMB_QUIET", "").run();
    assert_eq!(empty.code(), 0, "{}", empty.err());
    let ignored = plumb(["man"]).env("PLUMB_OUTPUT", "json").run();
    assert_eq!(ignored.code(), 0, "{}", ignored.err());
    let wordy = plumb(["man"]).env("PLUMB_VERBOSE", "2").run();
    assert_eq!(wordy.code(), 0, "{}", wordy.err());
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let to = other.path().to_str().unwrap();
    let ran = plumb(["man", "--to", to]).env("PLUMB_TO", folder.path().to_str().unwrap()).run();
    assert_eq!(ran.code(), 0, "{}", ran.err());
    assert!(other.path().join("plumb-plan.1").exists() && !folder.path().join("plumb-plan.1").exists());
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let colored = |ran: &Ran| ran.err().contains('\u{1b}');
    assert!(!colored(&plumb(["aply"]).run()));
    assert!(colored(&plumb(["aply"]).env("CLICOLOR_FORCE", "1").run()));
    assert!(!colored(&plumb(["aply"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").run()));
    assert!(colored(&plumb(["man", "x", "--color", "always"]).run()));
    assert!(!colored(&plumb(["man", "x", "--color", "never"]).env("CLICOLOR_FORCE", "1").run()));
    assert!(colored(&plumb(["man", "x"]).env("PLUMB_COLOR", "always").run()));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut plumb = plumb(["completions", "zsh"]);
    let mut child = plumb.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn a_full_disk_is_an_error() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let mut plumb = plumb(["completions", "zsh"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = plumb.command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot be written"));
}

#[test]
fn completions_are_scripts_that_their_shells_take() {
    for (shell, binary) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        let script = plumb(["completions", shell]).run();
        assert_eq!(script.code(), 0);
        assert!(script.out().contains("detailed-exitcode"), "{shell}");
        assert!(!script.out().contains("generate"), "{shell} completes a hidden verb");
        // Only the shells that this machine has can check their script.
        let Ok(mut child) = Command::new(binary).arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
            continue;
        };
        child.stdin.take().unwrap().write_all(script.out().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn manual_pages_exist_for_every_verb() {
    let main = plumb(["man"]).run().out();
    assert!(main.contains(".TH plumb 1"), "{main}");
    assert!(plumb(["man", "inventory", "list"]).run().out().contains(".TH plumb-inventory-list 1"));
    let unknown = plumb(["man", "pla"]).run();
    assert_eq!(unknown.code(), 1);
    assert_eq!(unknown.err(), "error: There is no manual page for `pla`.\n\nhint: Did you mean `plumb man plan`?\n");
}

#[test]
fn failures_are_json_lines_where_the_log_is() {
    let ran = plumb(["man", "pla", "--log-format", "json"]).run();
    let line: serde_json::Value = serde_json::from_str(ran.err().trim()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["fields"]["class"], "user");
    assert_eq!(line["fields"]["hints"][0], "Did you mean `plumb man plan`?");
}

#[test]
fn derived_files_are_fresh() {
    let root = env!("CARGO_MANIFEST_DIR");
    let ran = plumb(["generate", "--check", "--root", root]).run();
    assert_eq!((ran.code(), ran.out().as_str()), (0, ""), "run `cargo run -- generate`\n{}", ran.err());
}

#[test]
fn stale_missing_and_left_over_files_are_listed_then_mended() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    assert_eq!(plumb(["generate", "--root", root]).run().code(), 0);
    std::fs::remove_file(folder.path().join("man/plumb-plan.1")).unwrap();
    std::fs::write(folder.path().join("completions/_plumb"), "old").unwrap();
    std::fs::write(folder.path().join("man/plumb-gone.1"), "old").unwrap();
    let check = plumb(["generate", "--check", "--root", root]).run();
    assert_eq!((check.code(), check.out().as_str()), (1, "completions/_plumb\nman/plumb-plan.1\nman/plumb-gone.1\n"));
    assert_eq!(plumb(["generate", "--root", root]).run().code(), 0);
    assert_eq!(plumb(["generate", "--check", "--root", root]).run().code(), 0);
}
