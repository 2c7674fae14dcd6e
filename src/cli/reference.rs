//! The flags' own definitions → `docs/reference/cli.md`.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::{
    command::{Environment, command},
    exit::Exit,
};

/// The page about every verb and flag.
pub(super) fn page() -> String {
    let mut root = command(Environment::Named).disable_help_subcommand(true);
    root.build();
    let mut out =
        "# The command line\n\n<!-- Made by `plumb generate` from the flags' definitions; edit those. -->\n\n"
            .to_owned();
    out.push_str("Every flag with a variable can be set by it; flags that may be repeated take a comma-separated list from theirs.\n\n");
    out.push_str("## Global options\n\n");
    table(&mut out, root.get_arguments().filter(|arg| arg.is_global_set()));
    let _ = write!(
        out,
        "Exit codes, {} to {}, are explained in [their own page](../exit-codes.md).\n\n",
        Exit::Done.code(),
        Exit::Interrupted.code()
    );
    for sub in root.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        verb(&mut out, sub, "##");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn verb(out: &mut String, command: &Command, level: &str) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let _ = write!(out, "{level} {name}\n\n");
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    let also = if aliases.is_empty() { String::new() } else { format!(" (also {})", aliases.join(", ")) };
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(out, "{about}{also}.\n\n");
    let usage = command.clone().render_usage().to_string();
    let _ = write!(out, "```\n{}\n```\n\n", usage.trim_start_matches("Usage: "));
    table(out, command.get_arguments().filter(|arg| !is_global(arg)));
    if let Some(examples) = command.get_after_help() {
        let (code, rest) = split(&examples.to_string());
        let _ = write!(out, "```sh\n{code}\n```\n\n");
        if !rest.is_empty() {
            let _ = write!(out, "{rest}\n\n");
        }
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        verb(out, sub, &format!("{level}#"));
    }
}

/// A flag that every verb has; a verb's own `-o` is none.
fn is_global(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Global options")
        || arg.is_hide_set()
        || matches!(arg.get_id().as_str(), "help" | "version")
}

/// The examples without their heading and margin, and what stands below them.
fn split(text: &str) -> (String, String) {
    let text = text.strip_prefix("Examples:\n").unwrap_or(text);
    let (code, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let code: Vec<&str> = code.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    (code.join("\n"), rest.to_owned())
}

fn table<'a>(out: &mut String, args: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<String> = args.filter(|arg| !arg.is_hide_set()).map(row).collect();
    if rows.is_empty() {
        return;
    }
    out.push_str("| | variable | what it does |\n| --- | --- | --- |\n");
    out.push_str(&rows.concat());
    out.push('\n');
}

fn row(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .and_then(<[_]>::first)
        .map(|name| if arg.is_positional() { format!("{name}") } else { format!(" {name}") })
        .unwrap_or_default();
    let names: Vec<String> =
        [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))]
            .into_iter()
            .flatten()
            .collect();
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = if arg.get_action().takes_values() {
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect()
    } else {
        Vec::new()
    };
    if !values.is_empty() {
        let _ = write!(help, ": {}", values.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(help, " [default: {}]", defaults.join(", "));
    }
    let flag = format!("{}{value}", names.join(", "));
    format!("| `{}` | {variable} | {}. |\n", flag.replace('|', "\\|"), help.replace('|', "\\|"))
}
