//! The command line: arguments → pipeline → output and exit code. One file a verb; a verb is a function of its
//! arguments and a [`Console`], and knows nothing else of the process.

mod agent;
mod apis;
mod apply;
mod args;
mod catalog;
mod command;
mod completions;
mod console;
mod crds;
mod demo;
mod destroy;
mod doctor;
mod drift;
mod execute;
mod exit;
mod explain;
mod export;
mod forget;
mod generate;
mod graph;
mod history;
mod import;
mod interrupt;
mod inventory;
mod log;
mod man;
mod operator;
mod options;
mod output;
mod plan;
mod progress;
mod prose;
mod reference;
mod sandbox;
mod schema;
pub mod selector;
mod show;
mod trace;
mod undo;
mod unmanaged;
mod validate;

use std::ffi::OsString;

pub use self::{
    command::{Cli, Environment, Verb, command, parse},
    console::Console,
    exit::Exit,
};
use crate::failure::Failure;

/// Runs the program: reads the arguments (the program's name first), does what they say on the process's own streams,
/// and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    crate::secret::guard();
    let mut console = Console::process();
    let cli = match parse(args, Environment::Process) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &mut console).code(),
    };
    console.configure(&cli.global);
    log::start(
        &cli.global,
        matches!(&cli.verb, Verb::Agent(args) if args.command.is_none()),
        console.is_talk_colored(),
    );
    let interrupt = console.interrupt();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console.failure(&Failure::config(format!("No threads can be started: {error}.")));
            return Exit::Error.code();
        }
    };
    let exit = runtime.block_on(async {
        interrupt.listen();
        finish(&cli, &mut console).await
    });
    trace::finish();
    runtime.shutdown_background();
    exit.code()
}

/// Runs arguments (the program's name first) on a console of the caller's; the environment counts for nothing.
pub async fn run_on(args: impl IntoIterator<Item = OsString>, console: &mut Console) -> Exit {
    match parse(args, Environment::Empty) {
        Ok(cli) => {
            console.configure(&cli.global);
            finish(&cli, console).await
        }
        Err(error) => usage(&error, console),
    }
}

/// Runs a verb, and says what ended it early.
async fn finish(cli: &Cli, console: &mut Console) -> Exit {
    let result = dispatch(cli, console).await;
    console.budgets().release().await;
    let result = match console.trouble() {
        Some(trouble) => Err(trouble),
        None => result,
    };
    result.unwrap_or_else(|failure| {
        console.failure(&failure);
        failure.class.into()
    })
}

/// Prints help and versions as results, and what is wrong with the arguments as an error: 1, since 2 means that changes
/// are pending.
fn usage(error: &clap::Error, console: &mut Console) -> Exit {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        console.complain(&text);
        Exit::Error
    } else {
        console.print(&text);
        Exit::Done
    }
}

/// Does what the arguments say.
async fn dispatch(cli: &Cli, console: &mut Console) -> Result<Exit, Failure> {
    match &cli.verb {
        Verb::Validate(args) => validate::run(&cli.global, args, console),
        Verb::Plan(args) => plan::run(&cli.global, args, console).await,
        Verb::Apply(args) => apply::run(&cli.global, args, console).await,
        Verb::Destroy(args) => destroy::run(&cli.global, args, console).await,
        Verb::Drift(args) => drift::run(&cli.global, args, console).await,
        Verb::Export(args) => export::run(&cli.global, args, console).await,
        Verb::Import(args) => import::run(&cli.global, args, console).await,
        Verb::Unmanaged(args) => unmanaged::run(&cli.global, args, console).await,
        Verb::Forget(args) => forget::run(&cli.global, args, console).await,
        Verb::History(args) => history::run(&cli.global, args, console).await,
        Verb::Undo(args) => undo::run(&cli.global, args, console).await,
        Verb::Inventory(args) => inventory::run(&cli.global, args, console).await,
        Verb::Graph(args) => graph::run(&cli.global, args, console).await,
        Verb::Doctor(args) => doctor::run(&cli.global, args, console).await,
        Verb::Sandbox(args) => sandbox::run(&cli.global, args, console).await,
        Verb::Explain(args) => explain::run(&cli.global, args, console),
        Verb::Schema(args) => schema::run(&cli.global, args, console),
        Verb::Operator(args) => operator::run(&cli.global, args, console).await,
        Verb::Crds(args) => crds::run(&cli.global, args, console),
        Verb::Apis(args) => apis::run(&cli.global, args, console),
        Verb::Completions(args) => completions::run(args, console),
        Verb::Man(args) => man::run(args, console),
        Verb::Generate(args) => generate::run(args, console),
        Verb::Demo(args) => demo::run(args, console).await,
        Verb::Agent(args) => agent::run(&cli.global, args, console).await,
    }
}
