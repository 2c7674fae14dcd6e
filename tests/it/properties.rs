//! Laws of plans, on generated stacks: the order respects every edge, and equal inputs give equal digests.

use std::{collections::HashMap, fmt::Write as _};

use plumb::{
    apis,
    graph::{self, Meaning, map_references},
    inventory::State,
    live::{Observed, Standing},
    manifest::{self, LoadOptions, Manifests},
    plan::{self, Inputs, Mode, Plan},
    source::Snapshot,
    value::{Target, reference},
};
use proptest::prelude::*;
use serde_json::json;

/// One generated stack: organizations, each with locations and configurations that may refer to them, and explicit
/// dependencies between organizations.
#[derive(Debug, Clone)]
struct Sketch {
    organizations: usize,
    locations: Vec<prop::sample::Index>,
    configurations: Vec<(prop::sample::Index, Option<prop::sample::Index>)>,
    depends: Vec<(prop::sample::Index, prop::sample::Index)>,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    (
        1..5usize,
        proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        proptest::collection::vec(
            (any::<prop::sample::Index>(), proptest::option::of(any::<prop::sample::Index>())),
            0..8,
        ),
        proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
    )
        .prop_map(|(organizations, locations, configurations, depends)| Sketch {
            organizations,
            locations,
            configurations,
            depends,
        })
}

/// The manifests, in an order that says nothing of what depends on what; `flipped` writes the fields the other way.
fn texts(sketch: &Sketch, flipped: bool) -> Vec<String> {
    let mut out = Vec::new();
    let spec = |fields: &[String]| {
        let mut fields = fields.to_vec();
        if flipped {
            fields.reverse();
        }
        fields.iter().fold(String::new(), |mut text, field| {
            let _ = writeln!(text, "  {field}");
            text
        })
    };
    for (number, (organization, location)) in sketch.configurations.iter().enumerate() {
        let organization = organization.index(sketch.organizations);
        let mut fields = vec![
            format!("organization: org-{organization}"),
            "configurationType: server".to_owned(),
            format!("name: C{number}"),
            "interfaces: [{name: eth0, notes: first}, {name: eth1}]".to_owned(),
        ];
        if let Some(location) = location
            && !sketch.locations.is_empty()
        {
            fields.push(format!("location: loc-{}", location.index(sketch.locations.len())));
        }
        out.push(format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: conf-{number}}}\nspec:\n{}",
            spec(&fields)
        ));
    }
    for (number, organization) in sketch.locations.iter().enumerate() {
        let organization = organization.index(sketch.organizations);
        out.push(format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {{name: loc-{number}}}\nspec:\n{}",
            spec(&[format!("organization: org-{organization}"), format!("name: L{number}")])
        ));
    }
    for number in (0..sketch.organizations).rev() {
        let depends: Vec<String> = sketch
            .depends
            .iter()
            .map(|(from, to)| (from.index(sketch.organizations), to.index(sketch.organizations)))
            // Only one direction, so that there is no circle.
            .filter(|(from, to)| *from == number && to < from)
            .map(|(_, to)| format!("itglue/Organization/org-{to}"))
            .collect();
        let annotations = if depends.is_empty() {
            String::new()
        } else {
            format!("\n  annotations: {{plumb.dev/depends-on: \"{}\"}}", depends.join(","))
        };
        out.push(format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata:\n  name: org-{number}{annotations}\nspec:\n{}",
            spec(&[format!("name: O{number}"), "description: some".to_owned()])
        ));
    }
    out.push("apiVersion: itglue.plumb.dev/v1alpha1\nkind: ConfigurationType\nmetadata: {name: server}\nspec: {name: Server}\n".into());
    out.push("apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {name: main}\nspec:\n  api: itglue\n  auth: {apiKey: {valueFrom: {env: KEY}}}\n".into());
    out
}

/// Plans a stack of which nothing is live.
fn plan_of(texts: &[String]) -> (Manifests, Plan, Vec<Vec<usize>>) {
    let mut snapshot = Snapshot::of([("stack.yaml".to_owned(), texts.join("---\n"))]);
    let manifests = manifest::load(&mut snapshot, apis::builtin(), &LoadOptions::default());
    let errors: Vec<_> = manifests.diagnostics.iter().filter(|told| told.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let (graph, wrong) = graph::build(&manifests, &snapshot.sources);
    assert!(wrong.is_empty(), "{wrong:?}");
    let mut observed = Observed::default();
    for (index, object) in manifests.objects.iter().enumerate() {
        let targets: HashMap<&str, (&str, String)> = graph.uses[index]
            .iter()
            .filter_map(|found| match found.target {
                Meaning::Declared(target) => {
                    let address = manifests.objects[target].address.to_string();
                    Some((found.pointer.as_str(), (found.kind.as_str(), address)))
                }
                Meaning::Live(_) => None,
            })
            .collect();
        observed.canonical.push(map_references(&object.kind.spec.fields, &object.spec, &|pointer| {
            targets.get(pointer).map(|(kind, address)| reference(kind, &Target::New(address.clone())))
        }));
        observed.standing.push(Standing::Known(None));
        observed.found.push(None);
        observed.parents.push(None);
    }
    let edges = graph.edges();
    let state = State::default();
    let plan = plan::plan(&Inputs {
        manifests: &manifests,
        sources: &snapshot.sources,
        graph: &graph,
        state: &state,
        observed: &observed,
        mode: Mode::Plan,
        prune: false,
        max_deletes: None,
        only: None,
        roots: &[],
        shared_inventory: false,
        empty_source: false,
        hashes_kept: true,
        going: None,
        prune_entries: false,
        barred: &HashMap::new(),
        restores: false,
        seal: &|_| json!(null),
    });
    (manifests, plan, edges)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_order_respects_every_edge(sketch in sketch()) {
        let (manifests, plan, edges) = plan_of(&texts(&sketch, false));
        prop_assert_eq!(plan.steps.len(), manifests.objects.len());
        let at: HashMap<&str, usize> =
            plan.steps.iter().enumerate().map(|(place, step)| (step.action.address.as_str(), place)).collect();
        let batch: HashMap<usize, usize> = plan
            .batches
            .iter()
            .enumerate()
            .flat_map(|(number, batch)| batch.steps.iter().map(move |step| (*step, number)))
            .collect();
        for (index, to) in edges.iter().enumerate() {
            let own = at[manifests.objects[index].address.to_string().as_str()];
            for target in to {
                let other = at[manifests.objects[*target].address.to_string().as_str()];
                prop_assert!(other < own, "an action comes before what it depends on");
                if let (Some(own), Some(other)) = (batch.get(&own), batch.get(&other)) {
                    prop_assert!(other < own, "a call comes before one that it depends on");
                }
            }
        }
        for (place, step) in plan.steps.iter().enumerate() {
            for needed in &step.action.depends_on {
                prop_assert!(at[needed.as_str()] < place);
            }
        }
    }

    #[test]
    fn equal_inputs_give_equal_digests(sketch in sketch()) {
        let (_, once, _) = plan_of(&texts(&sketch, false));
        let (_, again, _) = plan_of(&texts(&sketch, false));
        prop_assert_eq!(&once.digest, &again.digest);
        // The order in which a manifest's fields are written means nothing.
        let (_, flipped, _) = plan_of(&texts(&sketch, true));
        prop_assert_eq!(once.summary, flipped.summary);
    }
}
