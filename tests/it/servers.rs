//! A stack against servers that answer otherwise than they should, and in every way that they may.

mod account;
mod reads;
mod tolerance;
mod writes;

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use plumb::{
    diagnostic::{Diagnostic, Severity},
    failure::Failure,
    http::Pace,
    pipeline::{self, Applied, Options, Planned},
    plan::{Mode, Outcome},
};
use tempfile::TempDir;

use self::account::{Account, Manner};
use crate::support::{
    stack::lines,
    wild::{Asked, Reply, Wild},
};

const KEY: &str = "key-0123456789";

/// What goes wrong with a request; nothing where it is answered as it should be.
type Fault = Box<dyn Fn(&Asked, &mut Account) -> Option<Reply> + Send>;

/// A stack in a temporary folder, against an account of its own whose answers a test can spoil.
struct Bed {
    folder: TempDir,
    options: Options,
    server: Wild,
    account: Arc<Mutex<Account>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Bed {
    /// A stack with the connection `glue`.
    async fn start(manner: Manner) -> Self {
        let account = Arc::new(Mutex::new(Account::new(manner)));
        let fault: Arc<Mutex<Option<Fault>>> = Arc::default();
        let (store, spoiler) = (account.clone(), fault.clone());
        let server = Wild::start(move |asked| {
            let mut account = store.lock().unwrap();
            let spoiled = spoiler.lock().unwrap().as_ref().and_then(|fault| fault(asked, &mut account));
            spoiled.unwrap_or_else(|| account.answer(asked))
        })
        .await;
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("key"), KEY).unwrap();
        let connection = format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: glue}}\nspec:\n  api: itglue\n  url: \
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
        let options = Options { inputs: vec![folder.path().display().to_string()], pace, ..Options::default() };
        Self { folder, options, server, account, fault }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).unwrap();
    }

    fn spoil(&self, fault: impl Fn(&Asked, &mut Account) -> Option<Reply> + Send + 'static) {
        *self.fault.lock().unwrap() = Some(Box::new(fault));
    }

    fn mend(&self) {
        *self.fault.lock().unwrap() = None;
        self.server.clear_log();
    }

    async fn plan(&self) -> Planned {
        pipeline::plan(&self.options, Mode::Plan).await.unwrap()
    }

    async fn try_apply(&self, keep_going: bool) -> Result<Applied, Failure> {
        let options = Options { keep_key: true, keep_going, ..self.options.clone() };
        let planned = pipeline::plan(&options, Mode::Plan).await?;
        pipeline::apply(planned, &options).await
    }

    /// Applies; every action must be done, and nothing be left.
    async fn converge(&self) {
        let applied = self.try_apply(false).await.unwrap();
        for action in &applied.document.actions {
            assert_eq!(action.outcome, Some(Outcome::Done), "{}: {:?}", action.address, action.error);
        }
        let planned = self.plan().await;
        assert_eq!(problems(&planned.diagnostics), "");
        assert_eq!(lines(&planned.document), Vec::<String>::new());
    }

    fn names(&self, kind: &str) -> Vec<String> {
        self.account.lock().unwrap().names(kind).into_iter().map(str::to_owned).collect()
    }
}

/// What there is to tell, but for notes.
fn problems(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for told in diagnostics.iter().filter(|told| told.severity > Severity::Note) {
        writeln!(out, "{} {}", told.code, told.message).unwrap();
        for hint in &told.hints {
            writeln!(out, "  hint: {hint}").unwrap();
        }
    }
    out
}
