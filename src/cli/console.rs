//! Where a verb's words go: results to one writer, talk to another, answers from a reader. A verb sees nothing else of
//! the terminal, so that a test or the guided tour can run it and read what it said.

use std::{
    fmt::{self, Write as _},
    io::{self, BufRead, IsTerminal, Read, Write},
    path::PathBuf,
    sync::Arc,
};

use anstream::{AutoStream, adapter::strip_str};
use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::{
    args::{ColorWhen, Global, LogFormat},
    interrupt::Interrupt,
    progress::Bars,
};
use crate::{
    failure::Failure,
    http::Budgets,
    plan::DiagnosticDocument,
    progress::{Progress, Silent},
    secret::masked,
};

/// Columns where there is no terminal.
const WIDTH: usize = 100;
/// How errors are marked.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How hints are marked.
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Writers and the reader of a verb.
pub struct Console {
    out: Channel,
    talk: Channel,
    input: Box<dyn BufRead + Send>,
    /// Columns of results.
    width: usize,
    /// Whether somebody is there to answer a question.
    interactive: bool,
    /// Whether bars can be drawn on the process's standard error.
    bars: bool,
    quiet: bool,
    log_format: LogFormat,
    interrupt: Interrupt,
    budgets: Budgets,
}

/// A writer, and whether it takes colour.
struct Channel {
    writer: Box<dyn Write + Send>,
    auto: bool,
    color: bool,
    /// Nobody reads any more.
    closed: bool,
    /// The first trouble other than that.
    trouble: Option<String>,
}

impl Channel {
    fn new(writer: Box<dyn Write + Send>, auto: bool) -> Self {
        Self { writer, auto, color: auto, closed: false, trouble: None }
    }

    fn write(&mut self, text: &str) {
        if self.closed || self.trouble.is_some() {
            return;
        }
        let written = if self.color {
            self.writer.write_all(text.as_bytes())
        } else {
            strip_str(text).try_for_each(|part| self.writer.write_all(part.as_bytes()))
        };
        match written.and_then(|()| self.writer.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

impl Console {
    /// The process's own standard streams.
    pub fn process() -> Self {
        let (out, talk) = (io::stdout(), io::stderr());
        let auto = |choice| !matches!(choice, anstream::ColorChoice::Never);
        let interactive = io::stdin().is_terminal() && talk.is_terminal();
        let bars = talk.is_terminal();
        let (out_color, talk_color) = (auto(AutoStream::choice(&out)), auto(AutoStream::choice(&talk)));
        let width = terminal_size::terminal_size_of(&out).map_or(WIDTH, |(width, _)| usize::from(width.0));
        Self {
            width,
            out: Channel::new(Box::new(out), out_color),
            talk: Channel::new(Box::new(talk), talk_color),
            input: Box::new(io::BufReader::new(io::stdin())),
            interactive,
            bars,
            quiet: false,
            log_format: LogFormat::Text,
            interrupt: Interrupt::default(),
            budgets: Budgets::shared(budgets()),
        }
    }

    /// Other writers and another reader; no colour unless asked for, no bars, and nobody to answer.
    pub fn new(
        out: impl Write + Send + 'static,
        talk: impl Write + Send + 'static,
        input: impl Read + Send + 'static,
    ) -> Self {
        Self {
            width: WIDTH,
            out: Channel::new(Box::new(out), false),
            talk: Channel::new(Box::new(talk), false),
            input: Box::new(io::BufReader::new(input)),
            interactive: false,
            bars: false,
            quiet: false,
            log_format: LogFormat::Text,
            interrupt: Interrupt::default(),
            budgets: Budgets::default(),
        }
    }

    /// Makes questions possible: the reader is taken for a person.
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Follows `--color`, `-q` and `--log-format`.
    pub fn configure(&mut self, global: &Global) {
        self.color(global.color);
        self.quiet = global.quiet;
        self.log_format = global.log_format;
        self.bars &= global.verbose == 0 && global.log_format == LogFormat::Text;
    }

    /// Follows `--color`.
    pub fn color(&mut self, when: ColorWhen) {
        for channel in [&mut self.out, &mut self.talk] {
            channel.color = match when {
                ColorWhen::Auto => channel.auto,
                ColorWhen::Always => true,
                ColorWhen::Never => false,
            };
        }
    }

    /// Whether results may have colour.
    pub fn is_colored(&self) -> bool {
        self.out.color
    }

    /// Columns of results: the terminal's, or 100.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether talk may have colour.
    pub fn is_talk_colored(&self) -> bool {
        self.talk.color
    }

    /// Whether somebody is there to answer a question.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// The budgets of credentials, which all runs of the process share.
    pub(super) fn budgets(&self) -> Budgets {
        self.budgets.clone()
    }

    /// What the person interrupts a run by.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Whether talk is one JSON object a line.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Whether only results and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes a part of the result.
    pub fn print(&mut self, text: impl AsRef<str>) {
        self.out.write(text.as_ref());
    }

    /// Writes a part of the result and ends the line.
    pub fn print_line(&mut self, text: impl fmt::Display) {
        self.out.write(&format!("{text}\n"));
    }

    /// Writes a result as indented JSON.
    pub fn print_json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::internal(format!("The result cannot be written as JSON: {error}.")))?;
        self.print_line(text);
        Ok(())
    }

    /// Says something to the person, unless `-q`.
    pub fn say(&mut self, text: impl fmt::Display) {
        if !self.quiet {
            self.tell(text);
        }
    }

    /// Says something to the person, even with `-q`.
    pub fn tell(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        match self.log_format {
            LogFormat::Text => self.talk.write(&format!("{text}\n")),
            LogFormat::Json => {
                let text = strip_str(&text).to_string();
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    self.log("INFO", &json!({ "message": line }));
                }
            }
        }
    }

    /// Writes talk that is an error and ends its own lines.
    pub fn complain(&mut self, text: &str) {
        self.talk.write(text);
    }

    /// Writes a failure and its hints.
    pub fn failure(&mut self, failure: &Failure) {
        // What ended a run early may quote a server, past all that masks a report.
        let hidden = |text: &String| masked(text).into_owned();
        let (message, hints) = (hidden(&failure.message), failure.hints.iter().map(hidden).collect::<Vec<_>>());
        match self.log_format {
            LogFormat::Text => {
                let mut text = format!("{ERROR}error{ERROR:#}: {message}\n");
                if !hints.is_empty() {
                    text.push('\n');
                }
                for hint in &hints {
                    let _ = writeln!(text, "{HINT}hint{HINT:#}: {hint}");
                }
                self.talk.write(&text);
            }
            LogFormat::Json => {
                let fields = json!({ "message": message, "class": failure.class.word(), "hints": hints });
                self.log("ERROR", &fields);
            }
        }
    }

    /// Writes a diagnostic as a log line.
    pub fn log_diagnostic(&mut self, diagnostic: &DiagnosticDocument) {
        let level = match diagnostic.severity.as_str() {
            "note" => "INFO",
            "warning" => "WARN",
            _ => "ERROR",
        };
        self.log(level, &json!(diagnostic));
    }

    /// Writes one log line as JSON, shaped as the logger's.
    fn log(&mut self, level: &str, fields: &serde_json::Value) {
        let line = json!({
            "timestamp": jiff::Timestamp::now().to_string(), "level": level, "fields": fields, "target": "plumb",
        });
        self.talk.write(&format!("{line}\n"));
    }

    /// Asks a question that only `yes` says yes to.
    ///
    /// # Errors
    ///
    /// An interruption while nobody answers.
    pub async fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        self.talk.write(&format!("{question} Only `yes` goes on: "));
        let mut input = std::mem::replace(&mut self.input, Box::new(io::empty()));
        let reading = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            let read = input.read_line(&mut answer).is_ok();
            (input, read && answer.trim() == "yes")
        });
        let answered = self
            .interrupt()
            .or(async { reading.await.map_err(|error| Failure::internal(format!("The answer was lost: {error}."))) })
            .await;
        match answered {
            Ok((input, yes)) => {
                self.input = input;
                Ok(yes)
            }
            Err(failure) => {
                self.talk.write("\n");
                Err(failure)
            }
        }
    }

    /// Waits until the person presses Enter; returns whether one did.
    pub fn wait(&mut self, text: &str) -> bool {
        self.talk.write(text);
        let mut answer = String::new();
        self.input.read_line(&mut answer).is_ok_and(|length| length > 0)
    }

    /// Reads everything that is on the reader.
    pub fn read_input(&mut self) -> Result<String, Failure> {
        let mut text = String::new();
        match self.input.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(Failure::user(format!("Standard input cannot be read: {error}."))),
        }
    }

    /// Somebody who shows how a run gets on: bars on a terminal, nobody otherwise.
    pub fn progress(&self) -> Arc<dyn Progress> {
        if self.bars && !self.quiet { Arc::new(Bars::new(self.talk.color)) } else { Arc::new(Silent) }
    }

    /// Why results could not be written, such as a full disk. A reader that went away is no trouble.
    pub fn trouble(&self) -> Option<Failure> {
        let trouble = self.out.trouble.as_ref()?;
        Some(Failure::config(format!("The result cannot be written: {trouble}.")))
    }
}

/// The folder in which this user's processes share the budgets of credentials: one that goes with the session, or else
/// the one for caches.
fn budgets() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let session = folder("XDG_RUNTIME_DIR").filter(|path| path.is_dir());
    let cache = || folder("XDG_CACHE_HOME").or_else(|| folder("LOCALAPPDATA"));
    let home = || folder("HOME").map(|home| home.join(".cache"));
    Some(session.or_else(cache).or_else(home)?.join("plumb").join("budgets"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn colour_is_taken_out_unless_asked_for() {
        let out = Shared::default();
        let mut console = Console::new(out.clone(), io::sink(), io::empty());
        console.print_line("\u{1b}[31mred\u{1b}[0m");
        console.color(ColorWhen::Always);
        console.print_line("\u{1b}[31mred\u{1b}[0m");
        assert_eq!(out.text(), "red\n\u{1b}[31mred\u{1b}[0m\n");
    }

    #[test]
    fn failures_say_what_to_do_after_a_blank_line() {
        let talk = Shared::default();
        let mut console = Console::new(io::sink(), talk.clone(), io::empty());
        console.failure(&Failure::user("It is wrong.").hint("Put it right."));
        assert_eq!(talk.text(), "error: It is wrong.\n\nhint: Put it right.\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_trouble_but_a_full_disk_is() {
        let mut console = Console::new(Broken(io::ErrorKind::BrokenPipe), io::sink(), io::empty());
        console.print_line("x");
        assert_eq!(console.trouble(), None);
        let mut console = Console::new(Broken(io::ErrorKind::StorageFull), io::sink(), io::empty());
        console.print_line("x");
        assert!(console.trouble().is_some());
    }

    #[tokio::test]
    async fn only_yes_says_yes() {
        for (answer, expected) in [("yes\n", true), ("y\n", false), ("", false), ("YES\n", false)] {
            let mut console = Console::new(io::sink(), io::sink(), io::Cursor::new(answer)).interactive();
            assert_eq!(console.confirm("Go on?").await, Ok(expected), "{answer:?}");
        }
    }
}
