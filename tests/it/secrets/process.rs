//! What a process does not give away: panics without secrets, no core dump, no memory for others.

use std::os::unix::process::ExitStatusExt as _;
use std::{
    fs,
    process::{Command, Stdio},
};

use plumb::{inventory::HashKey, secret::Vault};

use crate::support::leaks;

const CHILD: &str = "TEST_CHILD";

/// Runs one of the tests below in a process of its own, as a child.
fn child(test: &str, how: &str) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("secrets::process::{test}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, how)
        .env("RUST_BACKTRACE", "1")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    leaks::assert_none("standard output", &output.stdout);
    leaks::assert_none("standard error", &output.stderr);
    output
}

#[test]
fn a_panic_has_no_secret() {
    if std::env::var_os(CHILD).is_some() {
        plumb::secret::guard();
        let vault = Vault::new(HashKey::from_text("a key for the tests, long enough").unwrap());
        let secret = format!("{}/+ panics\"ä", leaks::MARK);
        vault.seal(&secret);
        let body = serde_json::json!({ "it": { "was": secret } });
        panic!("an answer of {body} in a task with {secret:?}");
    }
    let output = child("a_panic_has_no_secret", "panic");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(told.contains("internal error at tests/it/secrets/process.rs:"), "{told}");
    assert!(told.contains("an answer of {\"it\":{\"was\":\"***\"}} in a task with"), "{told}");
    assert!(told.contains("std::panicking") || told.contains("begin_unwind"), "a backtrace was asked for: {told}");
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_dumped() {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    if std::env::var_os(CHILD).is_some() {
        plumb::secret::guard();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        println!("guarded");
        std::process::abort();
    }
    let output = child("nothing_is_dumped", "abort");
    assert!(String::from_utf8_lossy(&output.stdout).contains("guarded"), "{output:?}");
    assert_eq!((output.status.signal(), output.status.core_dumped()), (Some(6), false));
}

#[test]
#[cfg(target_os = "linux")]
fn the_program_guards_itself() {
    let mut program = crate::support::example::plumb();
    let mut running =
        program.args(["sandbox", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let path = format!("/proc/{}/limits", running.id());
    let guarded = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let limits = fs::read_to_string(&path).unwrap_or_default();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default().to_owned();
        core.split_whitespace().filter(|word| *word == "0").count() == 2
    });
    let _ = running.kill();
    let _ = running.wait();
    assert!(guarded);
}
