//! Cycloid's traps, each against a console that answers as its reference and its public clients tell, written by hand:
//! what the simulated API agrees to by construction proves nothing.

mod absent;
mod console;
mod degraded;
mod people;
mod sinks;
mod whole;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plumb::{
    diagnostic::Diagnostic,
    http::Pace,
    pipeline::{self, Applied, Options, Planned},
    plan::{Mode, Outcome},
};
use tempfile::TempDir;

use self::console::Console;
use crate::support::{
    stack::lines,
    wild::{Asked, Reply, Wild},
};

/// What a test answers in place of the console; nothing where the console answers.
type Whim = Box<dyn Fn(&Asked, &mut Console) -> Option<Reply> + Send>;

/// A stack in a temporary folder, against a console of its own.
struct Desk {
    folder: TempDir,
    options: Options,
    server: Wild,
    console: Arc<Mutex<Console>>,
    whim: Arc<Mutex<Option<Whim>>>,
}

impl Desk {
    async fn start(manifests: &str) -> Self {
        let console = Arc::new(Mutex::new(Console::default()));
        let whim: Arc<Mutex<Option<Whim>>> = Arc::default();
        let (store, own) = (console.clone(), whim.clone());
        let server = Wild::start(move |asked| {
            let mut console = store.lock().unwrap();
            let spoiled = own.lock().unwrap().as_ref().and_then(|whim| whim(asked, &mut console));
            spoiled.unwrap_or_else(|| console.answer(asked))
        })
        .await;
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("token"), "token-of-the-caller").unwrap();
        std::fs::write(folder.path().join("secret"), "a-secret-value").unwrap();
        let connection = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: acme}}\nspec:\n  api: cycloid\n  url: {}\n  \
             auth: {{bearer: {{valueFrom: {{file: token}}}}}}\n  defaults: {{organization: acme}}\n",
            server.url
        );
        std::fs::write(folder.path().join("connection.yaml"), connection).unwrap();
        let pace = Pace {
            first_delay: Duration::from_millis(1),
            settle: Duration::from_millis(30),
            longest_delay: Duration::from_millis(5),
            total: Duration::from_secs(5),
            ..Pace::default()
        };
        let options = Options { inputs: vec![folder.path().display().to_string()], pace, ..Options::default() };
        let desk = Self { folder, options, server, console, whim };
        desk.write(manifests);
        desk
    }

    fn write(&self, manifests: &str) {
        std::fs::write(self.folder.path().join("objects.yaml"), manifests).unwrap();
    }

    /// Puts an object there, past all calls.
    fn put(&self, collection: &str, object: serde_json::Value) {
        self.console.lock().unwrap().put(collection, object);
    }

    fn whim(&self, whim: impl Fn(&Asked, &mut Console) -> Option<Reply> + Send + 'static) {
        *self.whim.lock().unwrap() = Some(Box::new(whim));
    }

    async fn plan(&self) -> Planned {
        pipeline::plan(&self.options, Mode::Plan).await.unwrap()
    }

    async fn apply(&self) -> Applied {
        let options = Options { keep_key: true, ..self.options.clone() };
        let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
        assert_eq!(problems(&planned.diagnostics), Vec::<&str>::new());
        pipeline::apply(planned, &options).await.unwrap()
    }

    /// Applies; every action must be done, and nothing be left.
    async fn converge(&self) {
        let applied = self.apply().await;
        for action in &applied.document.actions {
            assert_eq!(action.outcome, Some(Outcome::Done), "{}: {:?}", action.address, action.error);
        }
        let planned = self.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new());
        assert_eq!(codes(&planned.diagnostics), Vec::<&str>::new());
    }

    /// Bodies of the writes with this method and a path that ends so.
    fn bodies(&self, method: &str, end: &str) -> Vec<serde_json::Value> {
        let log = self.server.log();
        let sent = log.iter().filter(|asked| asked.method == method && asked.path.ends_with(end));
        sent.map(|asked| asked.body.clone()).collect()
    }
}

/// What keeps an apply from being begun.
fn problems(diagnostics: &[Diagnostic]) -> Vec<&str> {
    let wrong = diagnostics.iter().filter(|told| told.severity > plumb::diagnostic::Severity::Warning);
    wrong.map(|told| told.message.as_str()).collect()
}

/// Codes of what is told, but for notes.
fn codes(diagnostics: &[Diagnostic]) -> Vec<&str> {
    let told = diagnostics.iter().filter(|told| told.severity > plumb::diagnostic::Severity::Note);
    told.map(|told| &*told.code).collect()
}
