//! `plumb completions`: a shell's completion script, from the flags' own definitions.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{
    command::{Environment, command},
    console::Console,
    exit::Exit,
};
use crate::failure::Failure;

/// Print the completion script of a shell
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  plumb completions bash > ~/.local/share/bash-completion/completions/plumb
  plumb completions zsh > ~/.zfunc/_plumb
  plumb completions fish > ~/.config/fish/completions/plumb.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs, console: &mut Console) -> Result<Exit, Failure> {
    console.print(script(args.shell)?);
    Ok(Exit::Done)
}

/// The completion script of a shell.
pub(super) fn script(shell: Shell) -> Result<String, Failure> {
    let whole = command(Environment::Empty);
    // Some shells' generators do not know of hidden verbs.
    let mut shown = Command::new("plumb")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments())
        .subcommands(whole.get_subcommands().filter(|sub| !sub.is_hide_set()));
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut shown, "plumb", &mut bytes);
    String::from_utf8(bytes).map_err(|_| Failure::internal("The completion script is not UTF-8."))
}
