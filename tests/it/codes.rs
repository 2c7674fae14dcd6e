//! Every diagnostic's code has a paragraph in the documentation, and every paragraph a code.

use std::{collections::BTreeSet, fs, path::Path};

fn codes(text: &str, before: &str) -> BTreeSet<String> {
    text.match_indices(before)
        .map(|(at, _)| text[at + before.len()..].chars().take(6).collect::<String>())
        .filter(|code| code.len() == 6 && code[2..].chars().all(|digit| digit.is_ascii_digit()))
        .collect()
}

fn read(folder: &Path, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            read(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("report/diagnostics.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            out.extend(codes(code, "\"PL").into_iter().map(|code| format!("PL{}", &code[..4])));
        }
    }
}

#[test]
fn every_code_is_documented_and_every_documented_code_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = BTreeSet::new();
    for entry in fs::read_dir(root.join("src")).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            read(&entry.path(), &mut used);
        }
    }
    let text = fs::read_to_string(root.join("docs/diagnostics.md")).unwrap();
    let documented: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("## ")).map(|line| line.chars().take(6).collect()).collect();
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(missing.is_empty(), "not in docs/diagnostics.md: {missing:?}");
}
