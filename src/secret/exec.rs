//! Runs a program and takes what it prints. It is killed when it takes too long.

use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

/// Bytes of output that are read at most.
const MAX_OUTPUT: u64 = 1024 * 1024;

/// Runs `program` with arguments and gives back its output, trimmed; or says why there is none.
pub(super) fn run(
    program: &str,
    arguments: &[&str],
    folder: &Path,
    limit: Duration,
) -> Result<Zeroizing<String>, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if !folder.as_os_str().is_empty() {
        command.current_dir(folder);
    }
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else { return Err("it has no output".to_owned()) };
    // A program that it leaves behind may keep the pipe open, so nobody waits for the reader beyond the limit.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Zeroizing::new(Vec::new());
        let read = stdout.take(MAX_OUTPUT).read_to_end(&mut output);
        let _ = sender.send(read.map(|_| output));
    });
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it was stopped, since it took longer than {} s", limit.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    if !status.success() {
        return Err(match status.code() {
            Some(code) => format!("it ended with exit code {code}"),
            None => "it was killed".to_owned(),
        });
    }
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
    let output = match receiver.recv_timeout(left) {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("its output never ended".to_owned()),
    };
    match std::str::from_utf8(&output) {
        Ok(text) => Ok(Zeroizing::new(text.trim().to_owned())),
        Err(_) => Err("its output is not UTF-8 text".to_owned()),
    }
}
