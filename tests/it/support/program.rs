//! Programs that serve tests: each ends when the test program does, however that ends.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

/// A program that ends when it is dropped, or when the test program ends.
pub(crate) struct Program {
    _input: ChildStdin,
    child: Child,
}

/// What a shell does so that its own end ends a program: the standard input ends with whoever holds its other end.
const GUARD: &str = r#""$@" <&- & program=$!; cat >/dev/null; kill -INT $program 2>/dev/null; wait $program"#;

impl Program {
    /// Starts a program, and returns the first line on its standard output in which something is found.
    pub(crate) fn start(command: &Command, mut find: impl FnMut(&str) -> Option<String>) -> (Self, String) {
        let (mut program, output) = Self::spawn(command, Stdio::piped());
        let mut lines = BufReader::new(output.unwrap()).lines();
        let mut said = Vec::new();
        let found = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let found = find(&line);
            said.push(line);
            found
        });
        // Whatever it says later goes nowhere; a pipe that nobody reads would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let found = found.unwrap_or_else(|| {
            let _ = program.child.kill();
            panic!("{command:?} did not start: {said:#?}")
        });
        (program, found)
    }

    /// Starts a program that says nothing that matters.
    pub(crate) fn silent(command: &Command) -> Self {
        Self::spawn(command, Stdio::null()).0
    }

    fn spawn(command: &Command, output: Stdio) -> (Self, Option<std::process::ChildStdout>) {
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "guard"]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        let mut child =
            shell.stdin(Stdio::piped()).stdout(output).stderr(Stdio::null()).spawn().expect("there is a shell");
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take();
        (Self { _input: input, child }, output)
    }
}

/// Says that a tool is missing; that is a failure in CI.
pub(crate) fn missing<T>(tool: &str) -> Option<T> {
    let missing = format!("{tool} is not installed: run `tests/run`");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
}
