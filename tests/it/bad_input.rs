//! Bad input: every case below `tests/cases/bad` (a file or a folder) says what is wrong, where, and what to do about
//! it, as `*.expected.txt` beside it has it. `UPDATE_EXPECTED=1` writes those anew.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use plumb::{
    apis,
    description::Catalog,
    diagnostic::{Diagnostic, Severity, Sources},
    graph,
    manifest::{LoadOptions, Manifests, load},
    source::{Input, Snapshot, read},
};

/// The built-in APIs, and one that has everything that a description can say about manifests.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut shop = Snapshot::of([("shop.yaml", include_str!("../cases/shop.yaml"))]);
    let described = load(&mut shop, apis::builtin(), &LoadOptions::default());
    assert!(described.diagnostics.is_empty(), "{:#?}", described.diagnostics);
    let mut catalog = apis::builtin().clone();
    catalog.insert(Arc::clone(described.catalog.api("shop").unwrap()));
    catalog
});

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/bad")
}

fn check(snapshot: &mut Snapshot) -> (Manifests, Vec<Diagnostic>) {
    let mut said = snapshot.diagnostics.clone();
    let mut manifests = load(snapshot, &CATALOG, &LoadOptions::default());
    said.append(&mut manifests.diagnostics);
    let (_, wrong) = graph::build(&manifests, &snapshot.sources);
    said.extend(wrong);
    (manifests, said)
}

/// `FILE:LINE:COLUMN severity CODE message`, hints and related places below it.
fn tell(said: &[Diagnostic], sources: &Sources) -> String {
    let strip = |text: &str| text.replace(&format!("{}/", cases().display()), "");
    let at = |place: plumb::diagnostic::Place| {
        let path = sources.get(place.source).map_or("?", |source| source.path.as_str());
        format!("{}:{}:{}", strip(path), place.line, place.column)
    };
    let mut out = String::new();
    for diagnostic in said {
        let place = match (diagnostic.place, &diagnostic.file) {
            (Some(place), _) => at(place),
            (None, Some(file)) => strip(file),
            (None, None) => "-".to_owned(),
        };
        let severity = match diagnostic.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Refusal => "refusal",
        };
        let address = diagnostic.address.as_ref().map(|address| format!(" [{address}]")).unwrap_or_default();
        writeln!(out, "{place} {severity} {}{address} {}", diagnostic.code, strip(&diagnostic.message)).unwrap();
        for hint in &diagnostic.hints {
            writeln!(out, "  hint: {}", hint.replace('\n', "\n    ")).unwrap();
        }
        for (place, why) in &diagnostic.related {
            writeln!(out, "  {}: {why}", at(*place)).unwrap();
        }
        if let Some(line) = diagnostic
            .place
            .and_then(|place| sources.get(place.source)?.text.lines().nth(place.line as usize - 1))
            .map(|line| line.chars().take(100).collect::<String>())
        {
            writeln!(out, "  | {line}").unwrap();
        }
    }
    out
}

#[test]
fn every_case_says_what_is_wrong() {
    let update = env::var_os("UPDATE_EXPECTED").is_some();
    let mut names: Vec<PathBuf> = fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| !path.to_string_lossy().ends_with(".expected.txt"));
    names.sort();
    assert!(names.len() >= 60, "{} cases", names.len());
    let mut wrong = String::new();
    let mut codes = BTreeSet::new();
    for case in names {
        let mut snapshot = read(&[Input::Path(case.clone())]);
        let (manifests, said) = check(&mut snapshot);
        assert!(!said.is_empty(), "{} says nothing", case.display());
        for diagnostic in &said {
            codes.insert(diagnostic.code.to_string());
            let placed = diagnostic.place.is_some() || diagnostic.file.is_some();
            assert!(placed || diagnostic.code == "PL0005", "{}: no place: {diagnostic:?}", case.display());
            assert!(diagnostic.address.is_none() || diagnostic.place.is_some(), "{}: {diagnostic:?}", case.display());
        }
        let told = tell(&said, &snapshot.sources);
        for secret in ["hunter2", "JBSWY3DPEHPK3PXP", "ITG.0123456789abcdef", "jane:secret"] {
            assert!(!told.contains(secret), "{} shows a secret:\n{told}", case.display());
            assert!(!format!("{manifests:?}").contains(secret), "{} keeps a secret", case.display());
        }
        let expected = PathBuf::from(format!("{}.expected.txt", case.with_extension("").display()));
        if update {
            fs::write(&expected, &told).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            write!(wrong, "--- {} ---\n{told}\n", expected.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as expected (UPDATE_EXPECTED=1 takes these):\n{wrong}");
    assert!(codes.len() >= 40, "{codes:?}");
}

#[test]
fn bombs_are_refused_before_they_cost_anything() {
    let brackets = "[".repeat(100_000);
    let braces = "{a: ".repeat(100_000);
    let dashes = "- ".repeat(100_000);
    let indented = (0..2_000).map(|depth| format!("{}a:", " ".repeat(depth))).collect::<Vec<_>>().join("\n");
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..60 {
        writeln!(aliases, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(", ")).unwrap();
    }
    for bomb in [brackets, braces, dashes, indented, aliases] {
        let begun = Instant::now();
        let mut snapshot = Snapshot::of([("bomb.yaml", bomb)]);
        let (manifests, said) = check(&mut snapshot);
        assert_eq!(said.iter().map(|one| one.code.as_ref()).collect::<Vec<_>>(), ["PL0009"]);
        assert!(manifests.incomplete);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[test]
fn what_cannot_be_read_is_named_and_never_taken_for_empty() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere");
    let mut snapshot = read(&[Input::Path(missing.clone())]);
    let (manifests, said) = check(&mut snapshot);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].file.as_deref(), Some(&*missing.to_string_lossy()));
    assert!(manifests.incomplete);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let stack = folder.path().join("stack");
        fs::create_dir_all(stack.join("closed")).unwrap();
        symlink("gone.yaml", stack.join("dangling.yaml")).unwrap();
        fs::set_permissions(stack.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        let closed = fs::read_dir(stack.join("closed")).is_err();
        let mut snapshot = read(&[Input::Path(stack.clone())]);
        let (manifests, said) = check(&mut snapshot);
        fs::set_permissions(stack.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(said.iter().filter(|one| one.code == "PL0001").count(), 1 + usize::from(closed), "{said:#?}");
        assert!(manifests.incomplete);
    }
}

#[test]
fn no_text_makes_loading_panic() {
    let seeds = [
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAssetType\nmetadata: {name: a}\nspec: {fields: [{name: A}]}\n",
        "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {name: a}\nspec: {api: itglue, auth: {apiKey: {valueFrom: {env: K}}}}\n",
        "apiVersion: plumb.dev/v1alpha1\nkind: Api\nmetadata: {name: a}\nspec: {kinds: [{kind: T, path: /t, key: [n], fields: {n: {}}}]}\n",
        "kind: List\napiVersion: v1\nitems: [{apiVersion: shop.plumb.dev/v1alpha1, kind: Vault, metadata: {name: a}, spec: {secret: ü}}]\n",
    ];
    let tokens = [
        "", "{", "}", "[", "]", ": ", "- ", "\n", "\"", "'", "&a ", "*a", "!x ", "|\n", "ü", "\t", "null", "<<: ",
        "---\n", "? ", "#", ", ",
    ];
    let mut random = fastrand(7);
    for seed in seeds {
        for _ in 0..400 {
            let mut letters: Vec<char> = seed.chars().collect();
            for _ in 0..=random(3) {
                let at = random(letters.len());
                let cut = random(6).min(letters.len() - at);
                letters.splice(at..at + cut, tokens[random(tokens.len())].chars());
            }
            let text: String = letters.into_iter().collect();
            let (_, said) = check(&mut Snapshot::of([("mutant.yaml", text.as_str())]));
            for diagnostic in said {
                assert!(
                    diagnostic.place.is_none_or(|place| place.line > 0 && place.column > 0),
                    "{text}\n{diagnostic:?}"
                );
            }
        }
    }
}

/// A small generator of numbers, the same in every run.
fn fastrand(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    }
}
