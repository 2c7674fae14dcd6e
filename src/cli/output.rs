//! `-o`: the formats of a verb's result. The flag is global, its values are each verb's own.

use clap::{
    Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum,
    builder::PossibleValuesParser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::diagnostic::nearest;

/// Id of the flag.
pub(super) const ID: &str = "output";

/// How a verb's result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<F> {
    /// The format that was asked for, or the verb's first.
    pub format: F,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one versioned object
    Json,
    /// For a comment on a pull request
    Markdown,
    /// One self-contained page
    Html,
}

/// How other results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How a dependency graph is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz
    #[default]
    Dot,
    /// For Markdown
    Mermaid,
    /// A picture
    Svg,
}

impl<F: Default> Default for Output<F> {
    fn default() -> Self {
        Self { format: F::default() }
    }
}

impl<F: ValueEnum + Default + Send + Sync + 'static> Args for Output<F> {
    fn augment_args(command: Command) -> Command {
        let values = F::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        command.arg(flag().help("How to print the result").global(true).value_parser(PossibleValuesParser::new(values)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: ValueEnum + Default> FromArgMatches for Output<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some(text) = matches.get_one::<String>(ID) else { return Ok(Self { format: F::default() }) };
        match F::from_str(text, false) {
            Ok(format) => Ok(Self { format }),
            Err(_) => Err(unknown::<F>(text)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag itself.
fn flag() -> Arg {
    Arg::new(ID).short('o').long(ID).value_name("FORMAT").env("PLUMB_OUTPUT")
}

/// Gives a verb that has one form of output a hidden flag in place of the global one.
pub(super) fn hide(command: Command) -> Command {
    if command.get_arguments().any(|arg| arg.get_id() == ID) {
        return command;
    }
    command.arg(flag().help("This verb has one form of output").hide(true))
}

/// What clap says of a value that it knows to be wrong, for a flag that stands before the verb.
fn unknown<F: ValueEnum>(text: &str) -> clap::Error {
    let names: Vec<String> = F::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|value| value.get_name().to_owned())
        .collect();
    let mut error = clap::Error::new(ErrorKind::InvalidValue);
    error.insert(ContextKind::InvalidArg, ContextValue::String("--output <FORMAT>".to_owned()));
    error.insert(ContextKind::InvalidValue, ContextValue::String(text.to_owned()));
    if let Some(near) = nearest(text, names.iter().map(String::as_str)) {
        error.insert(ContextKind::SuggestedValue, ContextValue::String(near.to_owned()));
    }
    error.insert(ContextKind::ValidValue, ContextValue::Strings(names));
    error
}
