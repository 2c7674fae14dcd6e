//! The walls between the stages: an earlier one knows nothing of a later one, and the pure ones do no I/O.

use std::{collections::BTreeMap, fs, path::Path};

/// Modules in the order in which they may use one another. Those on one line may use each other.
const ORDER: &[&[&str]] = &[
    &["address", "description", "diagnostic", "failure", "value", "apis"],
    &["source"],
    &["manifest"],
    &["inventory"],
    &["secret"],
    &["graph"],
    &["dialect"],
    &["http"],
    &["live"],
    &["diff"],
    &["export"],
    &["plan"],
    &["progress"],
    &["apply"],
    &["report"],
    &["sandbox"],
    &["webhook"],
    &["pipeline"],
    &["agent"],
    &["operator"],
    &["cli"],
];

/// Modules that touch no file, no network, no clock of their own and no environment.
const PURE: &[&str] = &["manifest", "graph", "diff", "plan", "report", "dialect", "export"];

/// What I/O looks like.
const IO: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "tokio::",
    "reqwest",
    "rusqlite",
    "object_store",
    "fs::",
    "env::var",
];

fn files(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Source texts by module, without their test modules.
fn modules() -> BTreeMap<String, Vec<(String, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&root, &mut all);
    let mut out: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (path, text) in all {
        let below = path.strip_prefix(&format!("{}/", root.display())).unwrap().to_owned();
        let module = below.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if below.ends_with("/tests.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        // Comments may name whom they like.
        let comment = |line: &str| ["///", "//!"].iter().any(|start| line.trim_start().starts_with(start));
        let text: String = code
            .lines()
            .map(|line| if comment(line) { line.replace("crate::", "") } else { line.to_owned() } + "\n")
            .collect();
        out.entry(module).or_default().push((below, text));
    }
    out
}

/// Modules that a text uses: `crate::NAME` in code, and names in `use crate::{…}`.
fn used(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("crate::") {
        rest = &rest[at + 7..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut word = String::new();
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 1 && (letter.is_alphanumeric() || letter == '_') {
                    word.push(letter);
                } else if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                if depth == 0 {
                    break;
                }
                // Only the first name of a path is a module.
                if depth == 1 && letter == ':' {
                    word.clear();
                }
            }
        } else {
            out.push(rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect());
        }
    }
    out
}

fn level(module: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&module))
}

#[test]
fn no_stage_uses_a_later_one() {
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        let Some(own) = level(&module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "`{module}` has no place in the order");
            continue;
        };
        for (path, text) in files {
            for name in used(&text) {
                if level(&name).is_some_and(|other| other > own) {
                    wrong.push(format!("{path} uses {name}"));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn pure_stages_do_no_io() {
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        if !PURE.contains(&module.as_str()) {
            continue;
        }
        for (path, text) in files {
            for word in IO {
                if text.lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//")) {
                    wrong.push(format!("{path} has `{word}`"));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_file_outgrows_its_room() {
    let mut long = Vec::new();
    for files in modules().into_values() {
        for (path, text) in files {
            let on_purpose =
                text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("long on purpose"));
            if text.lines().count() > 800 && !on_purpose {
                long.push(path);
            }
        }
    }
    assert_eq!(long, Vec::<String>::new());
}
