//! A stack in a temporary folder, against a sandbox of its own.

use std::{path::PathBuf, time::Duration};

use plumb::{
    apis,
    description::{Catalog, format::AuthScheme},
    diagnostic::Severity,
    failure::Failure,
    http::Pace,
    pipeline::{self, Applied, Options, Planned},
    plan::{Mode, Outcome, PlanDocument},
    sandbox::{Sandbox, SandboxOptions},
};
use tempfile::TempDir;

use super::leaks;

/// A stack in a temporary folder, against a sandbox of its own.
pub(crate) struct Stack {
    /// The folder.
    pub(crate) folder: TempDir,
    /// The sandbox.
    pub(crate) sandbox: Sandbox,
    /// Options that every run starts from.
    pub(crate) options: Options,
}

impl Drop for Stack {
    /// No test leaves a secret in an inventory.
    fn drop(&mut self) {
        let inventory = self.path(".plumb");
        if inventory.exists() && !std::thread::panicking() {
            leaks::assert_none_below(&inventory, &|_| false);
        }
    }
}

impl Stack {
    /// Starts a sandbox with the built-in APIs; the stack has a connection `main` to each of these.
    pub(crate) async fn start(apis: &[&str]) -> Self {
        Self::with(apis, SandboxOptions::default()).await
    }

    /// The same with options.
    pub(crate) async fn with(names: &[&str], options: SandboxOptions) -> Self {
        Self::of(apis::builtin(), names, options).await
    }

    /// The same with other APIs.
    pub(crate) async fn of(catalog: &Catalog, names: &[&str], options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(catalog, options).await.unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("key"), format!("{}-sandbox-credential", leaks::MARK)).unwrap();
        let mut text = String::new();
        let mut connections = Vec::new();
        for name in names {
            let key = "{valueFrom: {file: key}}";
            let auth = match catalog.api(name).and_then(|api| api.spec.auth.first()) {
                Some(AuthScheme::ApiKey(_)) => format!("{{apiKey: {key}}}"),
                Some(AuthScheme::Login(_)) => format!("{{login: {{email: a@example.com, password: {key}}}}}"),
                Some(AuthScheme::Basic(_)) => format!("{{basic: {{username: a, password: {key}}}}}"),
                Some(AuthScheme::Oauth2(_)) => format!("{{oauth2: {{clientId: a, clientSecret: {key}}}}}"),
                Some(AuthScheme::Bearer(_)) | None => format!("{{bearer: {key}}}"),
            };
            text.push_str(&format!(
                "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: {name}}}\nspec:\n  api: {name}\n  \
                 auth: {auth}\n---\n"
            ));
            connections.push(((*name).to_owned(), sandbox.url(name)));
        }
        std::fs::write(folder.path().join("connections.yaml"), text).unwrap();
        let options = Options {
            inputs: vec![folder.path().display().to_string()],
            connections,
            pace: Pace {
                first_delay: Duration::from_millis(2),
                longest_delay: Duration::from_millis(20),
                settle: Duration::from_millis(40),
                ..Pace::default()
            },
            ..Options::default()
        };
        Self { folder, sandbox, options }
    }

    /// Path of a file of the stack.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a file of the stack.
    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    /// Removes a file of the stack.
    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).unwrap();
    }

    /// Plans.
    pub(crate) async fn plan(&self) -> Planned {
        self.try_plan(Mode::Plan).await.unwrap()
    }

    /// Plans in a mode.
    pub(crate) async fn try_plan(&self, mode: Mode) -> Result<Planned, Failure> {
        pipeline::plan(&self.options, mode).await
    }

    /// Plans and applies; every action must be done.
    pub(crate) async fn apply(&self) -> PlanDocument {
        let applied = self.try_apply().await.unwrap();
        for action in &applied.document.actions {
            assert_eq!(action.outcome, Some(Outcome::Done), "{}: {:?}", action.address, action.error);
        }
        applied.document
    }

    /// Plans and applies.
    pub(crate) async fn try_apply(&self) -> Result<Applied, Failure> {
        let options = Options { keep_key: true, ..self.options.clone() };
        let planned = pipeline::plan(&options, Mode::Plan).await?;
        pipeline::apply(planned, &options).await
    }

    /// Plans, and insists that there is nothing to do and nothing wrong.
    pub(crate) async fn assert_empty(&self) {
        let planned = self.plan().await;
        let wrong: Vec<String> = planned
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity > Severity::Note)
            .map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message))
            .collect();
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(lines(&planned.document), Vec::<String>::new());
    }
}

/// The actions of a plan in short, one line each.
pub(crate) fn lines(document: &PlanDocument) -> Vec<String> {
    document
        .actions
        .iter()
        .map(|action| {
            let paths: Vec<&str> = action.changes.iter().map(|change| change.path.as_str()).collect();
            format!("{} {} ({}) {}", action.action.word(), action.address, action.reason.word(), paths.join(" "))
                .trim_end()
                .to_owned()
        })
        .collect()
}

/// Codes and messages of a plan's diagnostics.
pub(crate) fn told(planned: &Planned) -> Vec<String> {
    planned.diagnostics.iter().map(|diagnostic| format!("{} {}", diagnostic.code, diagnostic.message)).collect()
}
