//! `plumb generate` (hidden): writes everything in the repository that is derived from code and descriptions, so that a
//! test can see whether what is checked in is fresh.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint, builder::FalseyValueParser};
use clap_complete::Shell;
use serde_json::Value;

use super::{completions, console::Console, exit::Exit, man, reference, schema};
use crate::{apis, failure::Failure, operator::crds, report};

/// Write the files that are derived from code and descriptions
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// Write nothing; list the files that are stale, and exit with 1 if there are any
    #[arg(long, env = "PLUMB_CHECK", value_parser = FalseyValueParser::new())]
    pub check: bool,

    /// Root of the repository
    #[arg(long, value_name = "DIR", env = "PLUMB_ROOT", default_value = ".", value_hint = ValueHint::DirPath)]
    pub root: PathBuf,
}

/// Folders that hold derived files only: what is not derived any more is deleted from them.
const FOLDERS: [&str; 5] = ["completions", "crds", "man", "docs/reference", "docs/schema"];

/// Writes the derived files, or lists the stale ones.
pub(super) fn run(args: &GenerateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let files = files()?;
    let mut stale = Vec::new();
    for (path, text) in &files {
        if read(&args.root.join(path))?.as_ref() != Some(text) {
            stale.push(path.clone());
        }
    }
    let left_over = left_over(&args.root, &files)?;
    if args.check {
        for path in stale.iter().chain(&left_over) {
            console.print_line(path);
        }
        return Ok(if stale.is_empty() && left_over.is_empty() { Exit::Done } else { Exit::Error });
    }
    for path in &stale {
        if let Some(text) = files.get(path) {
            write(&args.root.join(path), text)?;
        }
    }
    for path in &left_over {
        let path = args.root.join(path);
        fs::remove_file(&path).map_err(|error| cannot("deleted", &path, &error))?;
    }
    console.say(format_args!("{} files, {} written, {} deleted.", files.len(), stale.len(), left_over.len()));
    Ok(Exit::Done)
}

/// Every derived file, by its path from the root of the repository.
fn files() -> Result<BTreeMap<String, String>, Failure> {
    let mut files = BTreeMap::new();
    for (shell, name) in [(Shell::Bash, "plumb.bash"), (Shell::Zsh, "_plumb"), (Shell::Fish, "plumb.fish")] {
        files.insert(format!("completions/{name}"), completions::script(shell)?);
    }
    files.extend(man::pages()?.into_iter().map(|(name, text)| (format!("man/{name}"), text)));
    files.extend(apis::generated_docs());
    files.insert("docs/reference/cli.md".to_owned(), reference::page());
    files.insert("docs/reference/agent.md".to_owned(), crate::agent::config::page());
    let catalog = apis::builtin();
    files.insert("docs/schema/manifests.json".to_owned(), pretty(&schema::all(catalog))?);
    files.insert("docs/schema/plan.json".to_owned(), pretty(&report::json::plan_schema())?);
    let definitions = crds::all(catalog);
    for crd in &definitions {
        files.insert(format!("crds/{}", crds::file(crd)), crds::yaml(crd)?);
    }
    files.insert("docs/reference/crds.md".to_owned(), crds::page(&definitions));
    for api in catalog.apis.values() {
        files.insert(format!("docs/schema/{}.json", api.name), pretty(&schema::of_api(api))?);
    }
    Ok(files)
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal(format!("A schema cannot be written as JSON: {error}.")))?;
    Ok(text + "\n")
}

/// Files in the derived folders that nothing is derived to.
fn left_over(root: &Path, files: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let path = root.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(cannot("listed", &path, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| cannot("listed", &path, &error))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_file() && !files.contains_key(&name) {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

/// Writes a file, making the folders on the way.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot("made", folder, &error))?;
    }
    fs::write(path, text).map_err(|error| cannot("written", path, &error))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::config(format!("`{}` cannot be {what}: {error}.", path.display()))
}
