//! `plumb export`: writes manifests of what is live, on standard output or into a folder.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum, ValueHint, builder::FalseyValueParser};

use super::{args::Global, console::Console, exit::Exit, options, prose::columns, show};
use crate::{
    diagnostic::Diagnostic,
    export::{File, Layout, Stub, Wanted, files, stream},
    failure::Failure,
    pipeline::{self, Export, ExportOptions},
};

/// What lists the variables to fill in, beside the manifests.
const VARIABLES: &str = ".env.example";

/// Write manifests of what is live in the accounts of the connections
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb export --to stack/                         everything, one file a kind
  plumb export --to stack/ --layout tree           a folder for each customer, project and the like
  plumb export Organization 'Location/happy-*'     some kinds and names, on standard output
  plumb export --unmanaged --to stack/new/         what no manifest declares yet
  plumb export --api itglue --to stack/            with no connection yet: the key is in ITGLUE_API_KEY

Nothing is written to the API. Set the variables that stand for secrets, then take the objects over: `plumb import`
records them as owned, and the next plan is empty.")]
pub struct ExportArgs {
    /// Kinds to export, each with a pattern of names or without one; all kinds where none is given
    #[arg(value_name = "KIND[/PATTERN]")]
    pub wanted: Vec<String>,

    /// Folder to write the manifests to; standard output where there is none
    #[arg(long, value_name = "DIR", env = "PLUMB_TO", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,

    /// How the manifests are laid out in files
    #[arg(long, value_name = "LAYOUT", env = "PLUMB_LAYOUT", default_value = "kind", requires = "to")]
    pub layout: LayoutName,

    /// Read the account of this connection only; may be repeated
    #[arg(long, value_name = "CONNECTION", env = "PLUMB_FROM")]
    pub from: Vec<String>,

    /// Read an account of this API, with a connection made for it where the manifests have none
    #[arg(long, value_name = "API", env = "PLUMB_API")]
    pub api: Option<String>,

    /// Leave a field out, or the entries of a field; may be repeated
    #[arg(long, value_name = "KIND.FIELD", env = "PLUMB_OMIT")]
    pub omit: Vec<String>,

    /// Leave out what the manifests declare already
    #[arg(long, env = "PLUMB_UNMANAGED", value_parser = FalseyValueParser::new())]
    pub unmanaged: bool,

    /// Write variables in place of values that may be sensitive, such as parameters, too
    #[arg(long, env = "PLUMB_REDACT", value_parser = FalseyValueParser::new())]
    pub redact: bool,

    /// Overwrite files that are there with something else in them
    #[arg(long)]
    pub force: bool,
}

/// How manifests are laid out in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// One file a kind
    #[default]
    Kind,
    /// A folder for each object that contains others, with a file a kind in it
    Tree,
}

/// Exports.
pub(super) async fn run(global: &Global, args: &ExportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::base(global, console)?;
    let asked = ExportOptions {
        wanted: args.wanted.iter().map(|text| wanted(text)).collect::<Result<_, _>>()?,
        from: args.from.clone(),
        api: args.api.clone(),
        redact: args.redact,
        unmanaged: args.unmanaged,
        omit: args.omit.iter().map(|text| omitted(text)).collect::<Result<_, _>>()?,
    };
    let export = console.interrupt().or(Box::pin(pipeline::export(&options, &asked))).await?;
    show::diagnostics(&export.diagnostics, &export.sources, console);
    let failed = export.diagnostics.iter().any(Diagnostic::is_error);
    if failed && export.exported.documents.is_empty() {
        return Ok(Exit::Error);
    }
    match &args.to {
        Some(folder) => {
            let layout = match args.layout {
                LayoutName::Kind => Layout::Kind,
                LayoutName::Tree => Layout::Tree,
            };
            write(folder, layout, args.force, &export, console)?;
        }
        None => print(&export, console),
    }
    tell_stubs(&export.exported.stubs, args.to.as_deref(), console);
    Ok(if failed { Exit::Error } else { Exit::Done })
}

/// Reads `KIND`, `KIND/PATTERN`, `API/KIND` or `API/KIND/PATTERN`: kinds begin with a capital.
pub(super) fn wanted(text: &str) -> Result<Wanted, Failure> {
    let is_kind = |word: &str| word.starts_with(|letter: char| letter.is_ascii_uppercase());
    // `API.KIND`, as other verbs write it.
    let dotted = text.split_once('.').filter(|(api, kind)| !api.contains('/') && is_kind(kind));
    let text = &dotted.map_or_else(|| text.to_owned(), |(api, kind)| format!("{api}/{kind}"));
    let parts: Vec<&str> = text.splitn(3, '/').collect();
    let bad = || {
        Failure::user(format!("`{text}` names no kind."))
            .hint("Write `KIND`, `KIND/PATTERN` or `API/KIND/PATTERN`, such as `Organization/happy-*`.")
    };
    let (api, kind, pattern) = match parts.as_slice() {
        [kind] if !kind.is_empty() => (None, *kind, None),
        [kind, rest @ ..] if is_kind(kind) => (None, *kind, Some(rest.join("/"))),
        [api, kind] if is_kind(kind) => (Some(*api), *kind, None),
        [api, kind, pattern] if is_kind(kind) => (Some(*api), *kind, Some((*pattern).to_owned())),
        _ => return Err(bad()),
    };
    let pattern = pattern.filter(|pattern| !pattern.is_empty());
    Ok(Wanted { api: api.map(str::to_owned), kind: kind.to_owned(), pattern })
}

fn omitted(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('.') {
        Some((kind, field)) if !kind.is_empty() && !field.is_empty() => Ok((kind.to_owned(), field.to_owned())),
        _ => Err(Failure::user(format!("`--omit {text}` names no field."))
            .hint("Write `--omit KIND.FIELD`, such as `--omit Password.notes`.")),
    }
}

fn print(export: &Export, console: &mut Console) {
    let mut text = String::new();
    if let Some(connection) = &export.connection {
        text.push_str(connection);
        if !export.exported.documents.is_empty() {
            text.push_str("---\n");
        }
    }
    text.push_str(&stream(&export.exported.documents));
    console.print(text);
    console.say(format_args!("{}.", summary(export)));
}

fn summary(export: &Export) -> String {
    let documents: Vec<_> = export.exported.manifests().collect();
    let kinds: BTreeSet<(&str, &str)> =
        documents.iter().map(|one| (one.kind.api.as_str(), one.kind.name.as_str())).collect();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "Exported {} object{} of {} kind{} ({} requests)",
        documents.len(),
        plural(documents.len()),
        kinds.len(),
        plural(kinds.len()),
        export.requests
    )
}

/// Writes the files, unless one of them is there and says something else.
fn write(folder: &Path, layout: Layout, force: bool, export: &Export, console: &mut Console) -> Result<(), Failure> {
    let mut all = Vec::new();
    if let Some(connection) = &export.connection {
        all.push(File { path: "connection.yaml".into(), text: connection.clone() });
    }
    all.extend(files(&export.exported.documents, layout));
    if !export.exported.stubs.is_empty() {
        all.push(File { path: VARIABLES.into(), text: variables(&export.exported.stubs) });
    }
    let unwritable =
        |path: &Path, error: &io::Error| Failure::config(format!("`{}` cannot be written: {error}.", path.display()));
    let mut changed = Vec::new();
    let mut others = Vec::new();
    for file in &all {
        let path = if folder == Path::new(".") { PathBuf::from(&file.path) } else { folder.join(&file.path) };
        match fs::read(&path) {
            Ok(text) if text == file.text.as_bytes() => {}
            Ok(_) => {
                others.push(path.display().to_string());
                changed.push((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => changed.push((path, file)),
            Err(error) => return Err(unwritable(&path, &error)),
        }
    }
    if !others.is_empty() && !force {
        return Err(Failure::user(format!(
            "Nothing was written: {} there already, with something else in {}: `{}`.",
            if others.len() == 1 { "one file is".to_owned() } else { format!("{} files are", others.len()) },
            if others.len() == 1 { "it" } else { "them" },
            others.join("`, `")
        ))
        .hint("Choose another folder with `--to`, or overwrite them with `--force`."));
    }
    let written = changed.len();
    for (path, file) in changed {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
        }
        fs::write(&path, &file.text).map_err(|error| unwritable(&path, &error))?;
        console.print_line(format_args!("wrote {}", path.display()));
    }
    let same = all.len() - written;
    let unchanged = if same == 0 { String::new() } else { format!(", {same} files unchanged") };
    console.say(format_args!("{} to `{}`{unchanged}.", summary(export), folder.display()));
    Ok(())
}

/// The variables to fill in, as a file that a shell can read once it is filled in.
fn variables(stubs: &[Stub]) -> String {
    let mut text = String::from(
        "# What `plumb export` could not read: fill the values in, keep them out of Git, and set them where plumb runs.\n",
    );
    let mut about = "";
    for stub in stubs {
        if about != stub.address {
            let _ = writeln!(text, "\n# {}", stub.address);
            about = &stub.address;
        }
        let _ = writeln!(text, "{}{}=", if stub.optional { "# " } else { "" }, stub.variable);
    }
    text
}

fn tell_stubs(stubs: &[Stub], folder: Option<&Path>, console: &mut Console) {
    let needed: Vec<&Stub> = stubs.iter().filter(|stub| !stub.optional).collect();
    if needed.is_empty() {
        return;
    }
    let count = needed.len();
    console.say(format_args!(
        "\n{} cannot be read and {} to be filled in:",
        if count == 1 { "One secret".to_owned() } else { format!("{count} secrets") },
        if count == 1 { "has" } else { "have" }
    ));
    let rows: Vec<Vec<String>> = needed
        .iter()
        .take(50)
        .map(|stub| vec![format!("  {}", stub.variable), format!("`{}` of {}", stub.field, stub.address)])
        .collect();
    console.say(columns(&rows).trim_end());
    if count > 50 {
        console.say(format_args!("  and {} more", count - 50));
    }
    if let Some(folder) = folder {
        let folder = if folder == Path::new(".") { Path::new("") } else { folder };
        console.say(format_args!("`{}` lists them.", folder.join(VARIABLES).display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_with_an_api_and_a_pattern_or_without() {
        let read = |text: &str| {
            let wanted = wanted(text).unwrap();
            (wanted.api, wanted.kind, wanted.pattern)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("Organization"), (None, "Organization".into(), None));
        assert_eq!(read("Organization/happy*"), (None, "Organization".into(), some("happy*")));
        assert_eq!(read("itglue/Organization"), (some("itglue"), "Organization".into(), None));
        assert_eq!(read("itglue.Organization/a*"), (some("itglue"), "Organization".into(), some("a*")));
        assert_eq!(read("itglue/Organization/a*"), (some("itglue"), "Organization".into(), some("a*")));
        assert_eq!(read("Webhook/https://a/b"), (None, "Webhook".into(), some("https://a/b")));
        for bad in ["", "/", "a/b/c", "itglue/"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
