//! Times of the engine without any network: manifests in memory against live values in memory.
//!
//! `cargo bench` prints them; `docs/performance.md` has the figures. Nothing here is asserted.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use divan::{Bencher, black_box, counter::ItemsCount};
use plumb::{
    apis,
    graph::{self, Graph},
    inventory::{Record, State},
    live::{Found, LiveObject, Observed, Standing},
    manifest::{self, LoadOptions, Manifests},
    plan::{self, Inputs, Mode},
    source::Snapshot,
    value::{Target, reference},
};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// Configurations a file: a file has a budget.
const A_FILE: usize = 1_000;

/// One organization with many configurations, as files.
fn texts(count: usize) -> Vec<(String, String)> {
    let head = String::from(
        "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {name: main}\nspec:\n  api: itglue\n  auth: {apiKey: {valueFrom: {env: KEY}}}\n\
         ---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: happy-frog}\nspec: {name: Happy Frog}\n\
         ---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: ConfigurationType\nmetadata: {name: server}\nspec: {name: Managed Server}\n",
    );
    let mut out = vec![("stack.yaml".to_owned(), head)];
    for number in 0..count {
        if number % A_FILE == 0 {
            out.push((format!("part-{:03}.yaml", number / A_FILE), String::new()));
        }
        let Some((_, text)) = out.last_mut() else { continue };
        let _ = write!(
            text,
            "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: server-{number}}}\nspec:\n  \
             organization: happy-frog\n  configurationType: server\n  name: SERVER-{number}\n  hostname: server-{number}.example\n  \
             serialNumber: SN{number}\n  notes: Rack {number}\n  primaryIp: 10.{}.{}.{}\n",
            number / 65536,
            number / 256 % 256,
            number % 256
        );
    }
    out
}

struct World {
    snapshot: Snapshot,
    manifests: Manifests,
    graph: Graph,
    observed: Observed,
    state: State,
}

/// Reads and checks files; none of them may be refused.
fn load(texts: &[(String, String)], count: usize) -> (Snapshot, Manifests) {
    let mut snapshot = Snapshot::of(texts.iter().cloned());
    let manifests = manifest::load(&mut snapshot, apis::builtin(), &LoadOptions::default());
    // The organization and the type are objects too.
    assert_eq!(manifests.objects.len(), count + 2, "manifests were refused");
    (snapshot, manifests)
}

/// Manifests with equal live objects, all owned.
fn world(count: usize) -> World {
    let (snapshot, manifests) = load(&texts(count), count);
    let (graph, _) = graph::build(&manifests, &snapshot.sources);
    let connection: Arc<str> = "main".into();
    let mut observed = Observed::default();
    let mut state = State::default();
    let mut by_id = HashMap::new();
    for (index, object) in manifests.objects.iter().enumerate() {
        let id = (index + 1).to_string();
        let mut fields = object.spec.clone();
        if object.kind.name == "Configuration" {
            fields.insert("organization".into(), reference("Organization", &Target::Id("1".into())));
            fields.insert("configurationType".into(), reference("ConfigurationType", &Target::Id("2".into())));
        }
        by_id.insert((connection.clone(), object.kind.name.clone(), id.clone()), index);
        observed.objects.push(LiveObject {
            kind: object.kind.clone(),
            connection: connection.clone(),
            id: id.clone(),
            fields: fields.clone(),
            raw: None,
            stamp: None,
            made: None,
            parent: None,
            synced: false,
            never_delete: false,
            detailed: false,
            joins: std::collections::HashMap::new(),
        });
        observed.standing.push(Standing::Known(Some(index)));
        observed.found.push(Some(Found::Owned));
        observed.canonical.push(fields.clone());
        observed.parents.push(None);
        let record = Record { connection: "main".into(), id, applied: fields, ..Record::default() };
        state.objects.insert(object.address.to_string(), record.into());
    }
    observed.by_id = by_id;
    World { snapshot, manifests, graph, observed, state }
}

fn make_plan(world: &World) -> plan::Plan {
    let seal = |_: &str| -> Value { json!(null) };
    plan::plan(&Inputs {
        manifests: &world.manifests,
        sources: &world.snapshot.sources,
        graph: &world.graph,
        state: &world.state,
        observed: &world.observed,
        mode: Mode::Plan,
        prune: false,
        restores: false,
        max_deletes: None,
        only: None,
        roots: &[],
        shared_inventory: false,
        empty_source: false,
        going: None,
        prune_entries: false,
        hashes_kept: true,
        barred: &HashMap::new(),
        seal: &seal,
    })
}

/// Parse and check.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn validate(bencher: Bencher<'_, '_>, count: usize) {
    let texts = texts(count);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let (snapshot, manifests) = load(&texts, count);
        let (graph, _) = graph::build(&manifests, &snapshot.sources);
        black_box((manifests.objects.len(), graph.order.len()))
    });
}

/// Compare and plan, nothing changed.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn plan_unchanged(bencher: Bencher<'_, '_>, count: usize) {
    let world = world(count);
    assert_eq!(make_plan(&world).summary.unchanged, count + 2);
    bencher.counter(ItemsCount::new(count)).bench(|| black_box(make_plan(&world).steps.len()));
}

/// Compare and plan, every object changed.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn plan_all_changed(bencher: Bencher<'_, '_>, count: usize) {
    let mut world = world(count);
    for live in &mut world.observed.objects {
        if let Some(notes) = live.fields.get_mut("notes") {
            *notes = json!("changed by hand");
        }
    }
    assert_eq!(make_plan(&world).summary.update, count);
    bencher.counter(ItemsCount::new(count)).bench(|| black_box(make_plan(&world).steps.len()));
}

/// Validate, compare and plan in one, as one run does.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn validate_diff_plan(bencher: Bencher<'_, '_>, count: usize) {
    let world = world(count);
    let texts = texts(count);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let (snapshot, manifests) = load(&texts, count);
        let (graph, _) = graph::build(&manifests, &snapshot.sources);
        black_box((graph.order.len(), make_plan(&world).steps.len()))
    });
}
