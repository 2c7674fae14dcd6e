//! Somebody changes what is live between the plan and the write: what they changed is left alone, the rest goes on.

use plumb::{
    apis,
    pipeline::{self, Options},
    plan::{ActionKind, Mode, Outcome},
    sandbox::SandboxOptions,
};
use serde_json::json;

use super::{Scene, worlds};

fn options(scene: &Scene) -> Options {
    Options {
        inputs: vec![scene.folder.path().display().to_string()],
        connections: vec![("main".into(), scene.sandbox.url(scene.world.api))],
        keep_key: true,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_since_the_plan_is_left_alone() {
    for world in worlds() {
        let scene = Scene::start(world, SandboxOptions::default()).await;
        scene.declare(30, false);
        assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
        scene.declare(30, true);
        let options = options(&scene);
        let mut planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
        let api = apis::builtin().api(world.api).unwrap();
        // One object of each kind whose change is a text of its own.
        let mut touched: Vec<(String, String, String, String)> = Vec::new();
        for action in planned.document.actions.iter().filter(|action| action.action == ActionKind::Update) {
            let (Some(kind), Some(id)) = (api.kind(&action.kind), &action.id) else { continue };
            let known = touched.iter().any(|(_, known, ..)| *known == kind.name);
            let text =
                action.changes.iter().find(|change| change.after.as_ref().is_some_and(serde_json::Value::is_string));
            let Some(name) = text.and_then(|change| change.path.strip_prefix('/')).filter(|_| !known) else { continue };
            let Some(field) = kind.field(name).filter(|_| action.address.split('#').count() == 1) else { continue };
            if scene.sandbox.mutate(world.api, &kind.name, id, &json!({ field.wire_name(): "by somebody else" })) {
                touched.push((action.address.clone(), kind.name.clone(), id.clone(), field.wire_name().to_owned()));
            }
        }
        assert!(!touched.is_empty(), "{}: nothing to touch", world.api);
        planned.was_read();
        let applied = pipeline::apply(planned, &options).await.unwrap();
        for action in &applied.document.actions {
            let mine = touched.iter().find(|(address, ..)| *address == action.address);
            let told = action.error.clone().unwrap_or_default();
            match mine {
                Some((_, kind, id, wire)) => {
                    let stopped =
                        action.outcome == Some(Outcome::Failed) && told.contains("changed by somebody else since");
                    let behind = action.outcome == Some(Outcome::Skipped) && told.contains("failed");
                    assert!(stopped || behind, "{}: {:?} {told}", action.address, action.outcome);
                    let shown = scene.sandbox.shown(world.api, kind, id).unwrap();
                    let now = wire.split('.').try_fold(&shown, |value, part| value.get(part));
                    assert_eq!(now, Some(&json!("by somebody else")), "{}: it was overwritten", action.address);
                }
                None => assert!(
                    matches!(action.outcome, Some(Outcome::Done | Outcome::Skipped)),
                    "{}: {:?} {told}",
                    action.address,
                    action.outcome
                ),
            }
        }
        // The next run sees it, and brings it in line.
        assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
        println!("{}: {} objects changed in between, none overwritten", world.api, touched.len());
    }
}

/// Where the call can name what it replaces, a change of the last instant is noticed as well, without a look before.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_a_moment_ago_is_left_alone_where_the_call_can_tell() {
    let Some(world) = worlds().into_iter().find(|world| world.api == "balena") else { return };
    let scene = Scene::start(world, SandboxOptions::default()).await;
    scene.declare(20, false);
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
    scene.declare(20, true);
    let options = options(&scene);
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let announced = planned.document.requests.apply;
    let api = apis::builtin().api(world.api).unwrap();
    let mut touched: Vec<(String, String, String, String)> = Vec::new();
    for action in planned.document.actions.iter().filter(|action| action.action == ActionKind::Update) {
        let (Some(kind), Some(id)) = (api.kind(&action.kind), &action.id) else { continue };
        let texts =
            action.changes.iter().filter(|change| change.after.as_ref().is_some_and(serde_json::Value::is_string));
        let plain = texts
            .filter_map(|change| kind.field(change.path.strip_prefix('/')?))
            .find(|field| field.ty == plumb::description::format::FieldType::String && field.sensitive.is_none());
        let Some(field) = plain.filter(|_| kind.inside().is_none() && touched.len() < 2) else { continue };
        assert!(scene.sandbox.mutate(world.api, &kind.name, id, &json!({ field.wire_name(): "by somebody else" })));
        touched.push((action.address.clone(), kind.name.clone(), id.clone(), field.wire_name().to_owned()));
    }
    assert!(!touched.is_empty(), "nothing to touch");
    let applied = pipeline::apply(planned, &options).await.unwrap();
    for (address, kind, id, wire) in &touched {
        let action = applied.document.actions.iter().find(|action| action.address == *address).unwrap();
        let told = action.error.clone().unwrap_or_default();
        assert!(action.outcome == Some(Outcome::Failed) && told.contains("is left alone"), "{address}: {told}");
        let shown = scene.sandbox.shown(world.api, kind, id).unwrap();
        assert_eq!(shown[wire.as_str()], "by somebody else", "{address}: it was overwritten");
    }
    println!("balena: {} changed a moment before, none overwritten; {announced} calls announced", touched.len());
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0), "the next run brings it in line");
    assert_eq!(scene.run(&["plan", "--detailed-exitcode"]).code, Some(0));
}

/// References and the entries inside are named as well.
#[tokio::test(flavor = "multi_thread")]
async fn references_and_entries_of_a_moment_ago_are_left_alone_too() {
    let Some(world) = worlds().into_iter().find(|world| world.api == "balena") else { return };
    let scene = Scene::start(world, SandboxOptions::default()).await;
    let device = |number: usize, fleet: &str, street: &str| {
        format!(
            "---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Device\nmetadata: {{name: device-{number}}}\nspec: {{uuid: \
             {number:032x}, application: {fleet}, deviceType: raspberrypi4-64, tags: {{street: {street}}}}}\n"
        )
    };
    let declare = |changed: bool| {
        let mut text = String::new();
        for fleet in ["a", "b", "c"] {
            text += "---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Application\n";
            text += &format!(
                "metadata: {{name: fleet-{fleet}}}\nspec: {{organization: acme, deviceType: raspberrypi4-64}}\n"
            );
        }
        text += &device(1, if changed { "fleet-b" } else { "fleet-a" }, "Main");
        text += &device(2, "fleet-a", if changed { "High" } else { "Main" });
        text += &device(3, if changed { "fleet-b" } else { "fleet-a" }, if changed { "High" } else { "Main" });
        scene.write("objects.yaml", &text);
    };
    declare(false);
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
    declare(true);
    let options = options(&scene);
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let id_of = |address: &str| {
        let found = planned.document.actions.iter().find(|action| action.address == address);
        found.and_then(|action| action.id.clone()).unwrap_or_else(|| panic!("no change of {address}"))
    };
    let (moved, tagged) = ("balena/Device/device-1", "balena/Device/device-2#tags/street");
    let (device, tag) = (id_of(moved), id_of(tagged));
    let fleets = scene.sandbox.objects("balena", "Application");
    let fleet = fleets.iter().find(|row| row["attributes"]["app_name"] == "fleet-c").unwrap();
    let third: u64 = fleet["id"].as_str().unwrap().parse().unwrap();
    assert!(scene.sandbox.mutate("balena", "Device", &device, &json!({"belongs_to__application": third})));
    assert!(scene.sandbox.mutate("balena", "DeviceTag", &tag, &json!({"value": "by somebody else"})));
    let applied = pipeline::apply(planned, &options).await.unwrap();
    for action in &applied.document.actions {
        let told = action.error.clone().unwrap_or_default();
        if action.address == moved || action.address == tagged {
            assert!(action.outcome == Some(Outcome::Failed) && told.contains("is left alone"), "{action:?}");
        } else {
            assert_eq!(action.outcome, Some(Outcome::Done), "{action:?}");
        }
    }
    let shown = |kind: &str, id: &str| scene.sandbox.shown("balena", kind, id).unwrap();
    let fleet = &shown("Device", &device)["belongs_to__application"];
    assert!(*fleet == third || fleet["__id"] == third, "it was moved: {fleet}");
    assert_eq!(shown("DeviceTag", &tag)["value"], "by somebody else", "it was overwritten");
    let sent = applied.document.requests.apply;
    println!("{sent} calls");
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0), "the next run brings it in line");
    assert_eq!(scene.run(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_since_the_plan_is_not_deleted() {
    let world = worlds().into_iter().find(|world| world.api == "rest");
    let Some(world) = world else { return };
    let scene = Scene::start(world, SandboxOptions::default()).await;
    scene.declare(20, false);
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
    let text = world.manifests(20, false);
    let less: Vec<&str> =
        text.split("---\n").filter(|part| !part.contains("resource-1}") && !part.contains("resource-2}")).collect();
    scene.write("objects.yaml", &less.join("---\n"));
    let options = Options { prune: true, ..options(&scene) };
    let mut planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!(planned.document.summary.delete, 2);
    let gone = planned.document.actions[0].clone();
    assert!(scene.sandbox.mutate("rest", "Resource", gone.id.as_ref().unwrap(), &json!({"name": "Ours now"})));
    planned.was_read();
    let applied = pipeline::apply(planned, &options).await.unwrap();
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    assert_eq!(applied.document.actions[1].outcome, Some(Outcome::Done));
    assert!(scene.sandbox.shown("rest", "Resource", gone.id.as_ref().unwrap()).is_some());
}

/// An answer was lost, no look could be had, and then somebody made the same by hand: nobody can tell which is ours.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_stops_at_that_object_and_says_how_to_settle_it() {
    let world = &super::worlds::WORLDS[0];
    let scene = Scene::start(world, SandboxOptions::default()).await;
    let resource =
        "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: first}\nspec: {name: First, type: a}\n";
    let hook = "---\napiVersion: rest.plumb.dev/v1alpha1\nkind: Webhook\nmetadata: {name: hook}\nspec: {url: \"https://h.example\", events: [a]}\n";
    scene.write("objects.yaml", resource);
    let options = options(&scene);
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    scene.sandbox.set_faults("lost@POST:/v1/resources=1x,403@GET:/v1/resources=100%".parse().unwrap());
    let applied = pipeline::apply(planned, &options).await.unwrap();
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    scene.sandbox.set_faults(plumb::sandbox::Faults::default());
    let twin = scene.sandbox.add("rest", "Resource", &json!({"name": "First", "type": "a"})).unwrap();
    scene.write("objects.yaml", &format!("{resource}{hook}"));
    let ran = scene.run(&["apply", "--yes"]);
    assert_eq!(ran.code, Some(1));
    for words in ["PL0208", &twin, "An earlier run began to make it", "plumb import rest/Resource/first ID"] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert_eq!(scene.sandbox.objects("rest", "Resource").len(), 2);
    // Everything independent goes on, and the command settles the rest.
    assert_eq!(scene.run(&["apply", "--yes", "--keep-going"]).code, Some(1));
    assert_eq!(scene.sandbox.objects("rest", "Webhook").len(), 1);
    let imported = scene.run(&["import", "rest/Resource/first", &twin]);
    assert_eq!(imported.code, Some(0), "{}", imported.told());
    assert_eq!(scene.run(&["apply", "--yes"]).code, Some(0));
    assert_eq!(scene.sandbox.objects("rest", "Resource").len(), 2);
}
