//! Bindplane against a project of its own: what the answers inside a 202 mean, ids and secrets that must not be lost,
//! and rollouts that are started once, by whoever caused them, and never pushed.

mod lists;
mod project;
mod rollouts;
mod routes;
mod writes;

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use plumb::{
    diagnostic::{Diagnostic, Severity},
    http::Pace,
    inventory::{Edit, Intent, Inventory, Location, Record},
    pipeline::{self, Applied, Options, Planned},
    plan::{Mode, Outcome},
};
use tempfile::TempDir;

use self::project::Project;
use crate::support::{
    stack::lines,
    wild::{Asked, Reply, Wild},
};

const KEY: &str = "key-0123456789";
const TOKEN: &str = "splunk-token-0123456789";

/// What goes wrong with a request; nothing where it is answered as it should be.
type Fault = Box<dyn Fn(&Asked, &mut Project) -> Option<Reply> + Send>;

/// A stack in a temporary folder, against a project of its own.
struct Bed {
    folder: TempDir,
    options: Options,
    server: Wild,
    project: Arc<Mutex<Project>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Bed {
    async fn start() -> Self {
        let project = Arc::new(Mutex::new(Project::new()));
        let fault: Arc<Mutex<Option<Fault>>> = Arc::default();
        let (store, spoiler) = (project.clone(), fault.clone());
        let server = Wild::start(move |asked| {
            let mut project = store.lock().unwrap();
            let spoiled = spoiler.lock().unwrap().as_ref().and_then(|fault| fault(asked, &mut project));
            spoiled.unwrap_or_else(|| project.answer(asked))
        })
        .await;
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("key"), KEY).unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        let connection = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: bp}}\nspec:\n  api: bindplane\n  url: \
             {}\n  auth: {{apiKey: {{valueFrom: {{file: key}}}}}}\n",
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
        let inputs = vec![folder.path().display().to_string()];
        let options = Options { inputs, pace, keep_key: true, ..Options::default() };
        Self { folder, options, server, project, fault }
    }

    /// Declares objects: kind, name, and the spec as YAML in one line.
    fn declare(&self, kind: &str, name: &str, spec: &str) {
        let text = format!(
            "apiVersion: bindplane.plumb.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        );
        std::fs::write(self.folder.path().join(format!("{kind}-{name}.yaml")), text).unwrap();
    }

    fn withdraw(&self, kind: &str, name: &str) {
        std::fs::remove_file(self.folder.path().join(format!("{kind}-{name}.yaml"))).unwrap();
    }

    fn spoil(&self, fault: impl Fn(&Asked, &mut Project) -> Option<Reply> + Send + 'static) {
        *self.fault.lock().unwrap() = Some(Box::new(fault));
    }

    fn mend(&self) {
        *self.fault.lock().unwrap() = None;
    }

    fn project<T>(&self, work: impl FnOnce(&mut Project) -> T) -> T {
        work(&mut self.project.lock().unwrap())
    }

    async fn plan(&self) -> Planned {
        pipeline::plan(&self.options, Mode::Plan).await.unwrap()
    }

    /// What a plan does.
    async fn planned(&self) -> Vec<String> {
        let planned = self.plan().await;
        assert_eq!(problems(&planned.diagnostics), "");
        lines(&planned.document)
    }

    async fn apply(&self) -> Applied {
        let announced = self.plan().await.document.requests.apply;
        let applied = self.apply_uncounted().await;
        if !applied.failed {
            assert_eq!(applied.document.requests.apply, announced, "{:?}", self.server.writes());
        }
        applied
    }

    /// Applies where calls are repeated or looked for, so that their number is not the announced one.
    async fn apply_uncounted(&self) -> Applied {
        let planned = self.plan().await;
        self.server.clear_log();
        let applied = pipeline::apply(planned, &self.options).await.unwrap();
        let shown = serde_json::to_string(&applied.document).unwrap();
        assert!(!shown.contains(KEY) && !shown.contains(TOKEN), "{shown}");
        applied
    }

    /// Lets the time pass in which what was sent may still take effect.
    async fn expire_intents(&self) {
        let location = Location::parse(None, self.folder.path()).unwrap();
        let mut inventory = Inventory::open(&location, "default").await.unwrap();
        // The lock of a run that was dropped is free once what it committed is written.
        while inventory.lock("the test").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let intents = inventory.state().intents.clone();
        let past = |mut intent: Intent| {
            intent.deadline = "2020-01-01T00:00:00Z".into();
            intent
        };
        inventory
            .commit(intents.into_iter().map(|(id, intent)| Edit::Begin(id, past(intent))).collect())
            .await
            .unwrap();
        inventory.unlock().await;
    }

    /// Applies; everything must be done, and nothing be left.
    async fn converge(&self) -> Vec<String> {
        let applied = self.apply().await;
        for action in &applied.document.actions {
            assert_eq!(action.outcome, Some(Outcome::Done), "{}: {:?}", action.address, action.error);
        }
        let writes = self.server.writes();
        assert_eq!(self.planned().await, Vec::<String>::new());
        writes
    }

    async fn record(&self, address: &str) -> Option<Record> {
        let location = Location::parse(None, self.folder.path()).unwrap();
        let inventory = Inventory::open(&location, "default").await.unwrap();
        inventory.state().objects.get(address).map(|record| Record::clone(record))
    }
}

/// What came of each action.
fn outcomes(applied: &Applied) -> String {
    let mut out = String::new();
    for action in &applied.document.actions {
        let outcome = format!("{:?}", action.outcome.unwrap()).to_lowercase();
        let error = action.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(out, "{outcome} {}{error}", action.address).unwrap();
    }
    out
}

/// What there is to tell, but for notes.
fn problems(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for told in diagnostics.iter().filter(|told| told.severity > Severity::Note) {
        writeln!(out, "{} {}", told.code, told.message).unwrap();
    }
    out
}
