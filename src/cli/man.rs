//! `plumb man`: manual pages, from the flags' own definitions.

use std::path::PathBuf;

use clap::{Args, Command, ValueHint};

use super::{
    command::{Environment, command},
    console::Console,
    exit::Exit,
    generate,
};
use crate::{diagnostic::nearest, failure::Failure};

/// Print a manual page, or write them all to a folder
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb man | man -l -
  plumb man plan | man -l -
  plumb man --to ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The verb, and a verb of it: `inventory list`; the whole program otherwise
    #[arg(value_name = "VERB", conflicts_with = "to")]
    pub verb: Vec<String>,

    /// Write the pages of every verb to this folder
    #[arg(long, value_name = "DIR", env = "PLUMB_TO", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
}

/// What stands at the foot of every page.
const SOURCE: &str = concat!("plumb ", env!("CARGO_PKG_VERSION"));

/// Prints a page, or writes them all.
pub(super) fn run(args: &ManArgs, console: &mut Console) -> Result<Exit, Failure> {
    let pages = pages()?;
    if let Some(folder) = &args.to {
        for (name, text) in &pages {
            generate::write(&folder.join(name), text)?;
        }
        console.say(format_args!("Wrote {} pages to `{}`.", pages.len(), folder.display()));
        return Ok(Exit::Done);
    }
    let mut name = "plumb".to_owned();
    for word in &args.verb {
        name = format!("{name}-{word}");
    }
    let file = format!("{name}.1");
    let Some((_, text)) = pages.iter().find(|(page, _)| *page == file) else {
        let asked = args.verb.join(" ");
        let verbs = pages.iter().filter_map(|(page, _)| page.strip_prefix("plumb-")?.strip_suffix(".1"));
        let failure = Failure::user(format!("There is no manual page for `{asked}`."));
        return Err(match nearest(&asked.replace(' ', "-"), verbs) {
            Some(near) => failure.hint(format!("Did you mean `plumb man {}`?", near.replace('-', " "))),
            None => failure.hint("`plumb --help` lists the verbs."),
        });
    };
    console.print(text);
    Ok(Exit::Done)
}

/// Every page, by file name.
pub(super) fn pages() -> Result<Vec<(String, String)>, Failure> {
    let mut root = command(Environment::Named).disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let page = clap_mangen::Man::new(command.clone()).source(SOURCE).manual("plumb manual");
    let name = page.get_filename();
    let bad = |_| Failure::internal(format!("The manual page `{name}` cannot be written."));
    let mut bytes = Vec::new();
    page.render(&mut bytes).map_err(|error| bad(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| bad(error.to_string()))?;
    pages.push((name, text));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, pages)?;
    }
    Ok(())
}
