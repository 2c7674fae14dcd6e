//! Texts that nobody would write: whatever is read, nothing crashes and nothing hangs.
//!
//! `FUZZ` inputs for each reader, made from real ones by mutations that follow from `FUZZ_SEED`.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use plumb::{
    apis,
    description::Api,
    dialect,
    http::Method,
    manifest::{LoadOptions, load},
    plan::PlanDocument,
    sandbox::SandboxOptions,
    source::Snapshot,
    webhook::{Provider, Secret, parse, verify},
};
use serde_json::{Value, json};

use super::{Scene, size, worlds::WORLDS};
use crate::{support::example::repository, webhooks};

/// No input takes longer.
const LONGEST: Duration = Duration::from_secs(10);

/// What means something to one of the readers.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!x ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 9.9\n",
    "#",
    "\t",
    "\r\n",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "𝕏",
    "null",
    "~",
    "true",
    "1e999",
    "-0",
    "0x7f",
    "99999999999999999999999999",
    "1.7976931348623157e308",
    "2026-13-45T99:99:99Z",
    "9999999999-01-01",
    "\\u0000",
    "\\ud800",
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "valueFrom",
    "$ref",
    "{id}",
    "{parent}",
    "..",
    "/",
    "~1",
    "__proto__",
    "id",
    "data",
    "attributes",
    "relationships",
    "included",
    "d",
    "value",
    "@odata.nextLink",
    "meta",
    "formatVersion",
    "actions",
    "path",
];

/// Makes an input out of others.
struct Mutator {
    rng: fastrand::Rng,
}

impl Mutator {
    fn text(&mut self, corpus: &[String]) -> String {
        let mut bytes = self.rng.choice(corpus).cloned().unwrap_or_default().into_bytes();
        for _ in 0..self.rng.u32(1..8) {
            self.mutate(&mut bytes, corpus);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.rng.usize(0..=length);
        let most = length.min(start + 1 + self.rng.usize(0..40));
        start..self.rng.usize(start..=most)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[String]) {
        let range = self.range(bytes.len());
        match self.rng.u32(0..8) {
            0 => drop(bytes.drain(range)),
            1 => {
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, copy);
            }
            2 | 3 => {
                let word = self.rng.choice(WORDS).copied().unwrap_or_default();
                let keep = if self.rng.bool() { range.start..range.start } else { range };
                bytes.splice(keep, word.bytes());
            }
            4 => {
                let other = self.rng.choice(corpus).map(String::as_bytes).unwrap_or_default();
                let part = self.range(other.len());
                bytes.splice(range, other[part].to_vec());
            }
            5 => {
                if let Some(byte) = bytes.get_mut(range.start) {
                    *byte ^= 1 << self.rng.u32(0..8);
                }
            }
            6 => {
                let noise: Vec<u8> = (0..self.rng.usize(1..6)).map(|_| self.rng.u8(..)).collect();
                bytes.splice(range, noise);
            }
            // Deep or long.
            _ => {
                let word =
                    self.rng.choice(&["[", "{\"a\":", "- ", "  ", "a: {", "(", "x"]).copied().unwrap_or_default();
                let many = word.repeat(self.rng.usize(1..300));
                bytes.splice(range.start..range.start, many.bytes());
            }
        }
    }

    /// Changes a document as a whole: some members are gone, some are of another type.
    fn value(&mut self, value: &mut Value) {
        if self.rng.u32(0..12) == 0 {
            *value = match self.rng.u32(0..9) {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(-1),
                3 => json!(1e300),
                4 => json!(u64::MAX),
                5 => json!(self.rng.choice(WORDS).copied().unwrap_or_default()),
                6 => json!([value.clone(), value.clone()]),
                7 => json!({ "id": value.clone(), "data": value.clone() }),
                _ => json!([]),
            };
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                if self.rng.u32(0..10) == 0
                    && let Some(gone) = self.rng.choice(members.keys().cloned().collect::<Vec<_>>())
                {
                    members.shift_remove(&gone);
                }
                members.values_mut().for_each(|member| self.value(member));
            }
            _ => {}
        }
    }
}

/// Gives a reader its inputs; a crash and a hang name the input by its number.
fn run(target: &str, corpus: &[String], read: impl Fn(&mut Mutator, String)) {
    assert!(!corpus.is_empty(), "{target} has no corpus");
    let (inputs, seed) = (size("FUZZ", 300), size("FUZZ_SEED", 1) as u64);
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    for number in 0..inputs {
        let mut mutator =
            Mutator { rng: fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number as u64)) };
        let text = mutator.text(corpus);
        let begun = Instant::now();
        let shown = text.clone();
        let result = catch_unwind(AssertUnwindSafe(|| read(&mut mutator, text)));
        assert!(result.is_ok(), "{target}: input {number} of seed {seed} crashes it:\n{shown:?}");
        longest = longest.max(begun.elapsed());
        assert!(longest < LONGEST, "{target}: input {number} of seed {seed} takes {longest:?}:\n{shown:?}");
    }
    println!(
        "{target}: {inputs} inputs of {} texts in {:.1} s, the longest took {} ms, no crash",
        corpus.len(),
        start.elapsed().as_secs_f64(),
        longest.as_millis()
    );
}

fn texts(folder: &Path, out: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            texts(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            out.extend(fs::read_to_string(path));
        }
    }
}

fn manifests(text: &str) {
    let mut snapshot = Snapshot::of([("fuzz.yaml", text)]);
    let options = LoadOptions { allow_plaintext_secrets: true, ..LoadOptions::default() };
    let manifests = load(&mut snapshot, apis::builtin(), &options);
    let (graph, _) = plumb::graph::build(&manifests, &snapshot.sources);
    let documents = plumb::report::to_documents(&manifests.diagnostics, &snapshot.sources);
    assert!(serde_json::to_string(&documents).is_ok() && graph.order.len() <= manifests.objects.len());
}

#[test]
fn no_manifest_crashes_its_reader() {
    let mut corpus = Vec::new();
    texts(&repository("examples"), &mut corpus);
    // One document at a time is read faster, and breaks more often.
    let parts: Vec<String> = corpus.iter().flat_map(|text| text.split("\n---\n")).map(str::to_owned).collect();
    corpus.extend(parts);
    run("manifests", &corpus, |_, text| manifests(&text));
}

#[test]
fn no_description_crashes_its_reader() {
    let mut corpus = vec![fs::read_to_string(repository("examples/custom-api/api.yaml")).unwrap()];
    for api in apis::builtin().apis.values() {
        for kind in api.kinds.values() {
            let spec = plumb::description::format::ApiSpec { kinds: vec![kind.spec.clone()], ..api.spec.clone() };
            let mut spec = serde_json::to_value(spec).unwrap();
            prune(&mut spec);
            let document = json!({
                "apiVersion": "plumb.dev/v1alpha1", "kind": "Api", "metadata": {"name": "fuzzed"}, "spec": spec,
            });
            corpus.push(document.to_string());
        }
    }
    run("descriptions", &corpus, |mutator, text| {
        manifests(&text);
        if let Ok(mut value) = serde_json::from_str::<Value>(&text) {
            mutator.value(&mut value);
            manifests(&value.to_string());
        }
    });
}

/// Drops what says nothing.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(prune);
        members.retain(|_, member| {
            !member.is_null() && *member != json!({}) && *member != json!([]) && *member != json!(false)
        });
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(prune);
    }
}

/// What the simulated API answers to the reads of a run.
async fn answers(name: &str) -> Vec<String> {
    let world = WORLDS.iter().find(|world| world.api == name).unwrap();
    let scene = Scene::start(world, SandboxOptions::default()).await;
    scene.declare(20, false);
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
    scene.sandbox.clear_log();
    assert_eq!(scene.run(&["plan"]).code, Some(0));
    let client = reqwest::Client::new();
    let mut out = Vec::new();
    for entry in scene.sandbox.log().iter().filter(|entry| entry.method == "GET") {
        let url = format!("{}{}?{}", scene.sandbox.url(name), entry.path, entry.query);
        let request = client.request(Method::GET, url).header("x-api-key", "key").bearer_auth("key");
        out.push(request.send().await.unwrap().text().await.unwrap());
    }
    out
}

fn decode(api: &Api, number: usize, body: Value) {
    let kinds: Vec<_> = api.kinds.values().collect();
    let kind = kinds[number % kinds.len()];
    let paging = kind.spec.list.paging.as_ref().unwrap_or(&api.spec.paging);
    let seal = |text: &str| json!({ "$secret": text.len() });
    let _ = dialect::one(api, kind, &body).map(|row| dialect::decode_row(kind, &row, &seal));
    let _ = dialect::error_text(api, body.to_string().as_bytes());
    if let Ok(page) = dialect::page(api, kind, paging, body) {
        for row in &page.rows {
            let _ = (dialect::id_of(kind, row), dialect::decode_row(kind, row, &seal));
            for child in kinds.iter().filter(|child| child.inside().is_some()) {
                let _ = dialect::entries(kind, child, row, None, &std::collections::HashMap::new());
            }
        }
    }
}

async fn decoder(name: &str, target: &str) {
    let corpus = answers(name).await;
    let api = apis::builtin().api(name).unwrap();
    run(target, &corpus, |mutator, text| {
        let number = mutator.rng.usize(0..1000);
        if let Ok(body) = serde_json::from_str::<Value>(&text) {
            decode(api, number, body);
        }
        // Most mutations of the text are no JSON any more: the other half changes what it says.
        if let Some(mut body) = mutator.rng.choice(&corpus).and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            mutator.value(&mut body);
            decode(api, number, body);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_crashes_the_reader_of_odata() {
    decoder("balena", "OData answers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_crashes_the_reader_of_json_api() {
    decoder("itglue", "JSON:API answers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_crashes_the_readers_of_other_dialects() {
    decoder("cycloid", "answers in envelopes").await;
    decoder("bindplane", "answers of the apply style").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_saved_plan_crashes_its_reader() {
    let mut corpus = Vec::new();
    for world in &WORLDS {
        let scene = Scene::start(world, SandboxOptions::default()).await;
        scene.declare(12, false);
        let plan = scene.run(&["plan", "-o", "json"]);
        assert_eq!(plan.code, Some(0), "{}", plan.err);
        corpus.push(plan.out);
    }
    let whole = PlanDocument::from_saved(&corpus[0]).unwrap();
    run("saved plans", &corpus, |mutator, text| {
        let read = |text: &str| {
            if let Ok(plan) = PlanDocument::from_saved(text) {
                let _ = (whole.moved_since(&plan), plan.moved_since(&whole));
            }
        };
        read(&text);
        if let Some(mut value) = mutator.rng.choice(&corpus).and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            mutator.value(&mut value);
            read(&value.to_string());
        }
    });
}

#[test]
fn no_request_of_a_webhook_crashes_its_reader() {
    // The bodies that forges print in their documents, as the tests of webhooks have them.
    let source = fs::read_to_string(repository("tests/it/webhooks.rs")).unwrap();
    let bodies = source.split("r#\"").skip(1).filter_map(|rest| rest.split("\"#").next());
    let corpus: Vec<String> = bodies.filter(|body| body.starts_with('{')).map(str::to_owned).collect();
    let events = ["push", "pull_request", "Push Hook", "Merge Request Hook", "repo:push", "pullrequest:created", ""];
    let providers = [Provider::GitHub, Provider::GitLab, Provider::Gitea, Provider::Bitbucket, Provider::Generic];
    let secret = [Secret::new(webhooks::SECRET).unwrap()];
    let read = |mutator: &mut Mutator, body: &str| {
        let provider = mutator.rng.choice(providers).unwrap_or(Provider::Generic);
        let event = mutator.rng.choice(events).unwrap_or_default();
        let mut headers = webhooks::headers(provider, event, body);
        let bytes = bytes::Bytes::copy_from_slice(body.as_bytes());
        let verified = verify(provider, &secret, &headers, &bytes, 0).expect("it is signed");
        let _ = parse(&verified);
        // Headers that somebody made up.
        for value in headers.values_mut() {
            let noise = mutator.text(&[value.to_str().unwrap_or_default().to_owned()]);
            if let Ok(noise) = axum::http::HeaderValue::from_bytes(noise.as_bytes()) {
                *value = noise;
            }
        }
        let _ = verify(provider, &secret, &headers, &bytes, 0).map(|verified| parse(&verified));
    };
    run("webhooks", &corpus, |mutator, text| {
        read(mutator, &text);
        if let Some(mut value) = mutator.rng.choice(&corpus).and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            mutator.value(&mut value);
            read(mutator, &value.to_string());
        }
    });
}
