//! `plumb demo`: the guided tour against simulated APIs. Every command of it is run in this process, on the same console.

mod folder;

use anstyle::{AnsiColor, Style};
use clap::{Args, builder::FalseyValueParser};
use serde_json::json;

use self::folder::{Folder, OBJECTS};
use super::{Environment, command::parse, console::Console, exit::Exit, finish, sandbox::announce};
use crate::{
    apis,
    description::Catalog,
    failure::Failure,
    sandbox::{Sandbox, SandboxOptions},
};

/// Take the guided tour: plan, apply and drift repair against simulated APIs
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb demo            needs no account and no network
  plumb demo --serve    keep the simulated APIs running afterwards, to try things by hand")]
pub struct DemoArgs {
    /// Keep the simulated APIs and the tour's folder until interrupted
    #[arg(long, env = "PLUMB_SERVE", value_parser = FalseyValueParser::new())]
    pub serve: bool,
}

/// How headings are marked.
const HEADING: Style = AnsiColor::Cyan.on_default().bold();
/// How commands are marked.
const COMMAND: Style = Style::new().bold();
/// The API that most of the tour is about.
const API: &str = "itglue";
/// The other one.
const FLEETS: &str = "balena";

/// Takes the tour.
pub(super) async fn run(args: &DemoArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut catalog = Catalog::default();
    for api in [API, FLEETS].into_iter().filter_map(|name| apis::builtin().api(name)) {
        catalog.insert(api.clone());
    }
    let sandbox = Sandbox::start(&catalog, SandboxOptions::default())
        .await
        .map_err(|error| Failure::config(format!("The simulated API cannot be started: {error}.")))?;
    let folder = Folder::new(&sandbox.url(API), &sandbox.url(FLEETS))?;
    let interrupt = console.interrupt();
    let mut tour = Tour { sandbox: &sandbox, folder: &folder, console, step: 0 };
    tour.take().await?;
    if args.serve {
        announce(&sandbox, &catalog, console);
        console.say(format_args!("The tour's manifests are in {}.", folder.path().display()));
        interrupt.raised(1).await;
    }
    sandbox.stop().await;
    Ok(Exit::Done)
}

/// The tour under way.
struct Tour<'a> {
    sandbox: &'a Sandbox,
    folder: &'a Folder,
    console: &'a mut Console,
    step: u32,
}

impl Tour<'_> {
    async fn take(&mut self) -> Result<(), Failure> {
        self.seed()?;
        self.heading(
            "Accounts of IT Glue and balena, simulated in this process",
            "Somebody has entered the organization `Happy Frog` into IT Glue by hand. These manifests declare it, four objects \
             more, and a fleet of balena:",
        );
        self.console.print_line(indented(OBJECTS));

        self.heading(
            "What would change",
            "`plan` reads both accounts and compares. The organization is there already: it is adopted, not made twice. \
             The password comes from a file, and is never shown.",
        );
        let saved = self.folder.path().join("plan").display().to_string();
        self.plumb(&["plan", "--out", &saved], Exit::Done).await?;

        self.heading(
            "Change it",
            "`apply` carries out that very plan, or nothing if it no longer holds, and records what it owns in \
             `.plumb/inventory.db`. The next plan is empty.",
        );
        self.plumb(&["apply", &saved], Exit::Done).await?;
        self.plumb(&["plan", "--detailed-exitcode"], Exit::Done).await?;

        self.heading(
            "Drift",
            "Now somebody changes the firewall's host name by hand, deletes the password, and has the fleet log more. `drift` \
             tells, with exit code 2.",
        );
        self.meddle()?;
        self.plumb(&["drift"], Exit::Pending).await?;

        self.heading("Repair", "`apply` puts right what drifted, and touches nothing else.");
        self.plumb(&["apply", "--yes"], Exit::Done).await?;

        self.heading(
            "Change the manifests",
            "The notes of the organization change, and the firewall's manifest is taken out. Without `--prune` it would only be listed.",
        );
        self.edit()?;
        self.plumb(&["plan", "--prune"], Exit::Done).await?;
        self.plumb(&["apply", "--prune", "--yes"], Exit::Done).await?;

        self.heading(
            "What plumb owns now",
            "The organization was there before plumb, so it will never be deleted by it.",
        );
        self.plumb(&["inventory", "list"], Exit::Done).await?;

        let calls = self.sandbox.log().len();
        self.console.print_line(format_args!(
            "\nThe whole tour took {calls} calls. Go on with `plumb apis`, `plumb explain itglue.Password`, \
             and README.md; `plumb demo --serve` keeps the simulated API for you to try things."
        ));
        Ok(())
    }

    fn heading(&mut self, title: &str, text: &str) {
        self.step += 1;
        let step = self.step;
        let text = super::prose::wrap(text, 0, self.console.width().min(100));
        self.console.print(format!("\n{HEADING}{step}. {title}{HEADING:#}\n{text}\n"));
    }

    /// Runs a command, and makes sure that it ends as the tour says.
    async fn plumb(&mut self, words: &[&str], expected: Exit) -> Result<(), Failure> {
        let folder = self.folder.path().display().to_string();
        let args: Vec<&str> = words.iter().copied().chain(["-f", &folder]).collect();
        let line = format!("$ plumb {}", args.join(" "));
        self.console.print(format!("{COMMAND}{line}{COMMAND:#}\n"));
        let cli = parse(["plumb"].iter().chain(&args).map(Into::into), Environment::Empty)
            .map_err(|error| Failure::internal(format!("The tour's command is wrong: {error}")))?;
        let exit = Box::pin(finish(&cli, self.console)).await;
        self.console.print("\n");
        if exit != expected {
            return Err(Failure::internal(format!(
                "The tour's `{line}` ended with exit code {}, and {} was expected.",
                exit.code(),
                expected.code()
            )));
        }
        Ok(())
    }

    /// Enters what is there before plumb comes.
    fn seed(&self) -> Result<(), Failure> {
        let organization =
            json!({"name": "Happy Frog", "organizationType": "Customer", "organizationStatus": "Active"});
        self.sandbox
            .add(API, "Organization", &organization)
            .map(drop)
            .map_err(|error| Failure::internal(format!("The simulated account cannot be filled: {error}.")))
    }

    /// Changes the account behind plumb's back.
    fn meddle(&self) -> Result<(), Failure> {
        let id = |api: &str, kind: &str| {
            let objects = self.sandbox.objects(api, kind);
            let id = objects.first().and_then(|object| object.get("id")).and_then(crate::value::text);
            id.ok_or_else(|| Failure::internal(format!("The simulated account has no {kind}.")))
        };
        self.sandbox.mutate(API, "Configuration", &id(API, "Configuration")?, &json!({"hostname": "old-firewall"}));
        self.sandbox.remove(API, "Password", &id(API, "Password")?);
        let variable = "ApplicationEnvironmentVariable";
        self.sandbox.mutate(FLEETS, variable, &id(FLEETS, variable)?, &json!({"value": "debug"}));
        Ok(())
    }

    /// Changes the manifests: other notes, and no firewall.
    fn edit(&self) -> Result<(), Failure> {
        let kept: Vec<String> = OBJECTS
            .split("---\n")
            .filter(|document| !document.contains("kind: Configuration\n"))
            .map(|document| document.replace("Prefers to be called after ten.", "Prefers e-mail."))
            .collect();
        self.folder.write("objects.yaml", &kept.join("---\n"))
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect()
}
