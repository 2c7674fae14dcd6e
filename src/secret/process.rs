//! What a process does so that its secrets stay in it: no core dump, no reading of its memory by others of the same
//! user, panics and log lines without them.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, Write},
    panic::{self, PanicHookInfo},
};

use serde_json::Value;

use super::mask;

/// Guards this process: its memory is in no core dump, and what a panic says has no secret. What the system does not
/// offer is left out.
pub fn guard() {
    no_dumps();
    panic::set_hook(Box::new(say));
}

#[cfg(unix)]
fn no_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    // Nothing can be done where this fails, and nothing worse follows than before.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(not(unix))]
fn no_dumps() {}

/// Says where a panic was and why, secrets masked.
fn say(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let why = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let why = mask::at_once(why.unwrap_or("no reason is given"));
    let why = why.as_deref().unwrap_or("the reason is withheld, since it may hold a secret");
    let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    let trace = Backtrace::capture();
    let mut text = format!("internal error{place}: {why}\n");
    if trace.status() == BacktraceStatus::Captured {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{trace}\n"));
    }
    // Where standard error is gone, nobody is there to be told.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Has a secret masked that is no manifest's, in all that this process says.
pub fn learn(secret: &str) {
    mask::of_process().learn(secret);
}

/// A text with every secret of this process masked.
pub fn masked(text: &str) -> std::borrow::Cow<'_, str> {
    mask::of_process().apply(text)
}

/// Masks every secret of this process in the string leaves of a value.
pub fn mask_leaves(value: &mut Value) {
    mask::of_process().apply_to_leaves(value);
}

/// A writer that masks every secret of this process in what passes, line by line: the string leaves of a line that is
/// JSON, the text of any other.
#[derive(Debug)]
pub struct Masked<W>(pub W);

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let secrets = mask::of_process();
        let json = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Value>(&text)).transpose();
        match json {
            Ok(Some(mut line)) => {
                secrets.apply_to_leaves(&mut line);
                self.0.write_all(format!("{line}\n").as_bytes())?;
            }
            _ => self.0.write_all(secrets.apply(&text).as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_masked_and_json_stays_json() {
        let secret = "\"message\":\"x";
        mask::of_process().learn(secret);
        let mut out = Masked(Vec::new());
        let line = serde_json::json!({"message": "x", "said": format!("it was {secret} in here")});
        out.write_all(format!("{line}\n").as_bytes()).unwrap();
        out.write_all(format!("it was {secret} in here\n").as_bytes()).unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text, "{\"message\":\"x\",\"said\":\"it was *** in here\"}\nit was *** in here\n");
    }
}
