//! The verbs and their flags as clap knows them; help, completions and man pages come from here.

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind, parser::ValueSource};

use super::{
    agent::AgentArgs, apis::ApisArgs, apply::ApplyArgs, args::Global, completions::CompletionsArgs, crds::CrdsArgs,
    demo::DemoArgs, destroy::DestroyArgs, doctor::DoctorArgs, drift::DriftArgs, explain::ExplainArgs,
    export::ExportArgs, forget::ForgetArgs, generate::GenerateArgs, graph::GraphArgs, history::HistoryArgs,
    import::ImportArgs, inventory::InventoryArgs, man::ManArgs, operator::OperatorArgs, output, plan::PlanArgs,
    sandbox::SandboxArgs, schema::SchemaArgs, undo::UndoArgs, unmanaged::UnmanagedArgs, validate::ValidateArgs,
};

/// The arguments of the program.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "plumb",
    version,
    about = "plumb keeps SaaS accounts true to Git: it shows exactly what would change, and makes the fewest calls that get there",
    arg_required_else_help = true,
    after_help = "\
Examples:
  plumb demo                          see plan, apply and drift repair, with no account
  plumb plan -f stack/                show what would change
  plumb apply -f stack/               change it, after a question
  plumb explain itglue.Organization   what can be declared

Exit codes:
  0 done or nothing to do    1 error         2 changes pending
  3 refused for safety       4 stale plan    130 interrupted"
)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    Validate(ValidateArgs),
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Destroy(DestroyArgs),
    Drift(DriftArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    Unmanaged(UnmanagedArgs),
    Forget(ForgetArgs),
    Inventory(InventoryArgs),
    History(HistoryArgs),
    Undo(UndoArgs),
    Graph(GraphArgs),
    Doctor(DoctorArgs),
    Explain(ExplainArgs),
    Schema(SchemaArgs),
    Apis(ApisArgs),
    Operator(OperatorArgs),
    Crds(CrdsArgs),
    Sandbox(SandboxArgs),
    Demo(DemoArgs),
    Agent(AgentArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// Where flags that are not given are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// The process's `PLUMB_…` variables; an empty one is none.
    Process,
    /// Nowhere: only the arguments count.
    Empty,
    /// Nowhere, but help names the variables.
    Named,
}

/// The whole command, as clap knows it.
pub fn command(environment: Environment) -> clap::Command {
    adjust(Cli::command().mut_subcommands(output::hide), environment)
}

/// Hides the values of variables from help, and drops the variables that are not to count.
fn adjust(command: clap::Command, environment: Environment) -> clap::Command {
    command
        .mut_args(|arg| {
            let drop = match (environment, arg.get_env()) {
                (Environment::Empty, _) => true,
                (Environment::Process, Some(name)) => std::env::var_os(name).is_some_and(|value| value.is_empty()),
                (Environment::Process, None) | (Environment::Named, _) => false,
            };
            let arg = arg.hide_env_values(true);
            if drop { arg.env(clap::builder::Resettable::<clap::builder::OsStr>::Reset) } else { arg }
        })
        .mut_subcommands(|sub| adjust(sub, environment))
}

/// Reads arguments, the program's name first.
pub fn parse(args: impl IntoIterator<Item = OsString>, environment: Environment) -> Result<Cli, clap::Error> {
    let mut command = command(environment);
    let matches = command.try_get_matches_from_mut(args)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.with_cmd(&command))?;
    let Some((name, sub)) = matches.subcommand() else { return Ok(cli) };
    split(sub, "file", &mut cli.global.file);
    split(sub, "connection", &mut cli.global.connection);
    if let Some(selection) = cli.verb.selection_mut() {
        split(sub, "target", &mut selection.target);
        split(sub, "exclude", &mut selection.exclude);
    }
    if let Verb::Undo(args) = &mut cli.verb {
        split(sub, "target", &mut args.target);
    }
    if let Verb::Export(args) = &mut cli.verb {
        split(sub, "from", &mut args.from);
        split(sub, "omit", &mut args.omit);
    }
    if let Verb::Operator(args) = &mut cli.verb {
        split(sub, "namespace", &mut args.namespace);
    }
    if let Verb::Sandbox(args) = &mut cli.verb {
        split(sub, "api", &mut args.api);
    }
    let one_format = command
        .find_subcommand(name)
        .is_some_and(|sub| sub.get_arguments().any(|arg| arg.get_id() == output::ID && arg.is_hide_set()));
    if one_format && sub.value_source(output::ID) == Some(ValueSource::CommandLine) {
        let message = format!("`plumb {name}` has one form of output and takes no `--output`");
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    Ok(cli)
}

/// Splits at commas what a variable gave for a flag that may be repeated.
fn split(matches: &ArgMatches, id: &str, values: &mut Vec<String>) {
    if matches.value_source(id) == Some(ValueSource::EnvVariable) {
        *values = values
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect();
    }
}

impl Verb {
    fn selection_mut(&mut self) -> Option<&mut super::args::Selection> {
        match self {
            Self::Plan(args) => Some(&mut args.selection),
            Self::Apply(args) => Some(&mut args.selection),
            Self::Destroy(args) => Some(&mut args.selection),
            Self::Drift(args) => Some(&mut args.selection),
            Self::Graph(args) => Some(&mut args.selection),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags that lift a safety.
    const SAFETY: [&str; 15] = [
        "prune-entries",
        "allow-secret",
        "allow-age-key",
        "allow-env",
        "allow-folder",
        "yes",
        "allow-host",
        "allow-exec",
        "allow-plaintext-secrets",
        "max-deletes",
        "prune",
        "as-created",
        "force",
        "adopt-roots",
        "adopt-accounts",
    ];

    fn every_flag(command: &clap::Command, check: &mut dyn FnMut(&clap::Command, &clap::Arg)) {
        for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
            check(command, arg);
        }
        command.get_subcommands().for_each(|sub| every_flag(sub, check));
    }

    #[test]
    fn the_definitions_hold_together() {
        command(Environment::Empty).debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable_unless_it_lifts_a_safety() {
        every_flag(&Cli::command(), &mut |command, arg| {
            let long = arg.get_long().unwrap();
            if matches!(long, "help" | "version") {
                return;
            }
            let expected = format!("PLUMB_{}", long.to_uppercase().replace('-', "_"));
            let expected = (!SAFETY.contains(&long)).then_some(expected);
            let actual = arg.get_env().map(|name| name.to_str().unwrap().to_owned());
            assert_eq!(actual, expected, "{} --{long}", command.get_name());
        });
    }

    #[test]
    fn every_flag_and_verb_has_a_help_text() {
        every_flag(&Cli::command(), &mut |command, arg| {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        });
        for sub in Cli::command().get_subcommands() {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
            assert!(sub.is_hide_set() || sub.get_after_help().is_some(), "{} has no examples", sub.get_name());
        }
    }
}
