//! The documentation: its links lead somewhere, and its manifests are valid.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the repository, but for those of tests.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                if !name.starts_with('.') && !matches!(name.as_str(), "target" | "tests") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// The text without fenced blocks, and the blocks of a language.
fn fences(text: &str, language: &str) -> (String, Vec<String>) {
    let (mut plain, mut blocks, mut block) = (String::new(), Vec::new(), None::<(bool, String)>);
    for line in text.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(info)) => block = Some((info == language, String::new())),
            (Some((wanted, lines)), Some(_)) => {
                if *wanted {
                    blocks.push(std::mem::take(lines));
                }
                block = None;
            }
            (Some((_, lines)), None) => lines.extend([line, "\n"]),
            (None, None) => plain.extend([line, "\n"]),
        }
    }
    (plain, blocks)
}

/// The name that a heading is linked by.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (page, text) in pages() {
        let (plain, _) = fences(&text, "");
        for target in plain.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (file, name) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = path.exists()
                && (name.is_empty()
                    || fs::read_to_string(&path)
                        .unwrap()
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == name));
            if !found {
                wrong.push(format!("{}: {target}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(count > 40, "{count} links");
    assert_eq!(wrong, [] as [&str; 0]);
}

#[test]
fn manifests_of_the_guides_are_valid() {
    let mut count = 0;
    for page in ["README.md", "docs/manifests.md", "docs/describe-an-api.md", "examples/ci/README.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let (_, blocks) = fences(&text, "yaml");
        for block in blocks.iter().filter(|block| block.starts_with("apiVersion:") || block.contains("\napiVersion:")) {
            count += 1;
            let mut child = Command::new(env!("CARGO_BIN_EXE_plumb"))
                .args(["validate", "-f", "-", "--color", "never"])
                .current_dir(root().join("examples"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(block.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            // A guide may show a part of a stack, whose API and connection stand elsewhere; the README shows whole ones.
            let elsewhere = |line: &&str| {
                page != "README.md" && ["PL0101", "PL0302", "PL0306"].iter().any(|code| line.contains(code))
            };
            let errors: Vec<&str> =
                told.lines().filter(|line| line.starts_with("error[") && !elsewhere(line)).collect();
            assert_eq!(errors, [] as [&str; 0], "{page}:\n{block}\n{told}");
        }
    }
    assert!(count >= 6, "{count} blocks");
}

/// What costs a read for each object is named, and nothing else costs one.
#[test]
fn reads_of_single_objects_are_named() {
    let page = fs::read_to_string(root().join("docs/performance.md")).unwrap();
    let row = |api: &str, kind: &str| page.lines().find(|line| line.starts_with(&format!("| {api} {kind} |")));
    for (name, api) in &plumb::apis::builtin().apis {
        for kind in api.kinds.values() {
            let spec = &kind.spec;
            let single = spec.fields.iter().filter(|(_, field)| {
                !field.read_only && (field.on_get_only || field.read_by.is_some() || field.list_cuts_at.is_some())
            });
            let fields: Vec<&String> = single.map(|(field, _)| field).collect();
            let along = kind.inside().is_some_and(|inside| inside.include_on_get_only);
            let costs = !fields.is_empty() || spec.list.partial || along;
            let found = row(name, &kind.name);
            assert_eq!(found.is_some(), costs, "{name} {}", kind.name);
            for field in fields {
                assert!(found.unwrap().contains(&format!("`{field}`")), "{name} {} {field}", kind.name);
            }
        }
    }
}
