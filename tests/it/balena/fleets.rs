//! Fleets, devices and releases in the sandbox: moves, pins, rows that others write, names.

use plumb::{pipeline::Options, plan::ActionKind, sandbox::SandboxOptions};
use serde_json::{Value, json};

use crate::support::stack::{Stack, lines, told};

const OBJECTS: &str = "apiVersion: balena.plumb.dev/v1alpha1
kind: Application
metadata: {name: old}
spec: {organization: acme, appName: old-fleet, deviceType: raspberrypi4-64}
---
apiVersion: balena.plumb.dev/v1alpha1
kind: Service
metadata: {name: old-main}
spec: {application: old, serviceName: main}
---
apiVersion: balena.plumb.dev/v1alpha1
kind: Device
metadata: {name: pump}
spec:
  uuid: 0123456789abcdef0123456789abcdef
  application: old
  deviceType: raspberrypi4-64
  tags: {site: north}
  configVariables: [{name: BALENA_X, value: \"1\"}]
  serviceEnvironmentVariables:
    - {service: old-main, name: LOG, value: debug}
    - {service: old-main, name: KEY, valueFrom: {file: secret}}
";

async fn stack() -> Stack {
    let stack = Stack::with(&["balena"], SandboxOptions::default()).await;
    stack.write("secret", "correct-horse-battery");
    stack
}

fn device(spec: &str) -> String {
    format!(
        "apiVersion: balena.plumb.dev/v1alpha1\nkind: Device\nmetadata: {{name: pump}}\nspec:\n  uuid: \
         0123456789abcdef0123456789abcdef\n  deviceType: raspberrypi4-64\n{spec}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_shows_what_it_destroys_and_makes_the_rest_anew() {
    let stack = stack().await;
    stack.write("objects.yaml", OBJECTS);
    let made = stack.apply().await;
    assert_eq!(made.requests.apply, 8, "one installation for two variables");
    stack.assert_empty().await;
    let install = stack.sandbox.objects("balena", "ServiceInstall");
    assert_eq!(install.len(), 1);
    // Somebody else sets a variable too.
    let other = json!({"parent": format!("Device/{}", id(&stack, "Device")), "service": "id:30", "name": "THEIRS", "value": "x"});
    let entry = stack.sandbox.add("balena", "DeviceServiceEnvironmentVariable", &other).unwrap();
    let change = json!({"service_install": install[0]["id"].as_str().unwrap().parse::<u64>().unwrap()});
    stack.sandbox.mutate("balena", "DeviceServiceEnvironmentVariable", &entry, &change);

    // Into the fleet that has releases; the variables are declared for its own service.
    let text = OBJECTS.replace("  application: old\n  deviceType", "  application: seeded\n  deviceType");
    let text = text.replace("service: old-main", "service: main");
    stack.write("objects.yaml", &text);
    let planned = stack.plan().await;
    let shown = lines(&planned.document);
    assert_eq!(shown[0], "update balena/Device/pump (changed) /application");
    let notes = planned.document.actions[0].notes.join("\n");
    assert!(notes.contains("deletes the serviceEnvironmentVariables"), "{notes}");
    for name in ["LOG", "KEY", "THEIRS"] {
        assert!(notes.contains(&format!("/{name}`")), "{name} in {notes}");
    }
    let entries = planned.document.actions.iter().filter(|action| action.address.contains("#serviceEnvironment"));
    assert_eq!(entries.map(|action| action.action).collect::<Vec<_>>(), [ActionKind::Create, ActionKind::Create]);
    stack.apply().await;
    stack.assert_empty().await;
    // The server made the installation of the new fleet's service itself.
    let installs = stack.sandbox.objects("balena", "ServiceInstall");
    assert_eq!(installs.len(), 1, "{installs:?}");
    let kept = stack.sandbox.objects("balena", "DeviceTag").len()
        + stack.sandbox.objects("balena", "DeviceConfigVariable").len();
    assert_eq!(kept, 2);
}

fn id(stack: &Stack, kind: &str) -> String {
    stack.sandbox.objects("balena", kind).last().unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_stay_declared_are_replaced_by_a_move() {
    let stack = stack().await;
    let both = OBJECTS.replace("service: old-main", "service: main")
        + "---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {name: new}\nspec: {organization: acme, \
           appName: new-fleet, deviceType: raspberrypi4-64}\n---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Service\nmetadata: \
           {name: new-main}\nspec: {application: new, serviceName: main}\n";
    stack.write("objects.yaml", &both);
    stack.apply().await;
    let text = both.replace("  application: old\n  deviceType", "  application: new\n  deviceType");
    stack.write("objects.yaml", &text);
    let planned = stack.plan().await;
    let replaced: Vec<&String> = planned
        .document
        .actions
        .iter()
        .filter(|action| action.action == ActionKind::Replace)
        .map(|action| &action.address)
        .collect();
    assert_eq!(replaced.len(), 2, "{:?}", lines(&planned.document));
    let change = &planned.document.actions.iter().find(|action| action.address.ends_with("KEY")).unwrap().changes;
    assert!(change.iter().any(|change| change.path == "/value" && change.sensitive && change.after.is_none()));
    stack.apply().await;
    stack.assert_empty().await;
    // One that stays with a service of the fleet that was left is a mistake.
    stack.write("objects.yaml", &text.replace("service: main", "service: old-main"));
    let told = told(&stack.plan().await);
    assert!(told.iter().any(|told| told.contains("below another application than the one beside it")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_is_neither_shown_nor_pruned() {
    let mut stack = stack().await;
    stack.write("objects.yaml", OBJECTS);
    stack.apply().await;
    let parent = format!("Device/{}", id(&stack, "Device"));
    let theirs = json!({"parent": parent, "name": "BALENA_HOST_CONFIG_gpu_mem", "value": "16"});
    stack.sandbox.add("balena", "DeviceConfigVariable", &theirs).unwrap();
    stack.options = Options { prune: true, ..stack.options.clone() };
    stack.assert_empty().await;
    // Only what plumb set goes when it is no longer declared.
    stack.write("objects.yaml", &OBJECTS.replace("[{name: BALENA_X, value: \"1\"}]", "[]"));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), ["delete balena/Device/pump#configVariables/BALENA_X (removed)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_are_pinned_by_commit_or_version_of_the_fleet_itself() {
    let stack = stack().await;
    let fleet = |pin: &str| {
        format!(
            "apiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {{name: seeded}}\nspec: {{organization: acme, \
             deviceType: raspberrypi4-64, shouldTrackLatestRelease: false, release: {pin}}}\n---\n{}",
            device(&format!("  application: seeded\n  release: {pin}\n"))
        )
    };
    for (pin, release) in [("1.0.0", 41), ("9b2c4d6e8fa0b1c2d3e4f5a6b7c8d9e0f1a2b3c4", 42)] {
        stack.write("objects.yaml", &fleet(pin));
        stack.apply().await;
        stack.assert_empty().await;
        let objects = stack.sandbox.objects("balena", "Application");
        let fleet = objects.iter().find(|object| object["id"] == "20").unwrap();
        assert_eq!(fleet["attributes"]["should_be_running__release"], json!(release));
        let device = &stack.sandbox.objects("balena", "Device")[0];
        assert_eq!(device["attributes"]["is_pinned_on__release"], json!(release));
    }
    // One that failed, and one of another fleet, are none.
    for pin in ["0.9.0", "5f0c1e2d3b4a59687786a5b4c3d2e1f0aabbccdd"] {
        stack.write("objects.yaml", &fleet(pin));
        let planned = stack.plan().await;
        assert!(told(&planned).iter().any(|told| told.starts_with("PL0202")), "{:?}", told(&planned));
    }
    // The latest release is tracked where nothing else is said: a pin beside that is a mistake.
    stack.write("objects.yaml", &fleet("1.0.0").replace("shouldTrackLatestRelease: false, ", ""));
    assert!(!told(&stack.plan().await).is_empty());
    // A new fleet has none.
    let new = fleet("1.0.0").replace("name: seeded", "name: brand-new");
    stack.write("objects.yaml", &new);
    let planned = stack.plan().await;
    assert!(told(&planned).iter().any(|told| told.contains("does not exist yet")), "{:?}", told(&planned));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_in_another_fleet_is_adopted_and_moved() {
    let stack = stack().await;
    let there = json!({"uuid": "0123456789abcdef0123456789abcdef", "application": "id:20", "deviceType": "raspberrypi4-64", "release": "id:41"});
    let live = stack.sandbox.add("balena", "Device", &there).unwrap();
    let text = format!(
        "apiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {{name: other-fleet}}\nspec: {{organization: acme, \
         deviceType: raspberrypi4-64}}\n---\n{}",
        device("  application: other-fleet\n")
    );
    stack.write("objects.yaml", &text);
    let planned = stack.plan().await;
    assert_eq!(
        lines(&planned.document),
        [
            "create balena/Application/other-fleet (new) /organization /deviceType /appName",
            "adopt balena/Device/pump (new) /application"
        ]
    );
    let action = &planned.document.actions[1];
    assert_eq!(action.id.as_deref(), Some(&*live));
    assert!(action.notes.iter().any(|note| note.contains("clears `release`")), "{:?}", action.notes);
    stack.apply().await;
    stack.assert_empty().await;
    let device = &stack.sandbox.objects("balena", "Device")[0];
    assert_eq!(device["attributes"]["is_pinned_on__release"], Value::Null);
    // An owned one that moves into a fleet which is made in the same run is no new one, either.
    let third = text.replace("other-fleet", "third-fleet");
    stack.write("more.yaml", third.split("---").next().unwrap());
    stack.write("objects.yaml", &text.replace("  application: other-fleet", "  application: third-fleet"));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document)[1], "update balena/Device/pump (changed) /application");
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(stack.sandbox.objects("balena", "Device").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fleets_are_told_apart_whatever_the_case_of_their_names() {
    let stack = stack().await;
    let fleet = |name: &str| {
        format!(
            "apiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {{name: pumps}}\nspec: {{organization: acme, \
             appName: {name}, deviceType: raspberrypi4-64}}\n"
        )
    };
    stack.write("objects.yaml", &fleet("Pumps"));
    stack.apply().await;
    std::fs::remove_dir_all(stack.path(".plumb")).unwrap();
    stack.write("objects.yaml", &fleet("pumps"));
    // It is found without a record, and renamed.
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), ["adopt balena/Application/pumps (new) /appName"]);
    assert!(planned.document.actions[0].notes.iter().any(|note| note.contains("slug")));
    stack.apply().await;
    stack.assert_empty().await;
    // By its slug alone it is found, too, and keeps the name that it has.
    std::fs::remove_dir_all(stack.path(".plumb")).unwrap();
    let by_slug = "apiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {name: any}\nspec: {slug: acme/pumps, isArchived: true}\n";
    stack.write("objects.yaml", by_slug);
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), ["adopt balena/Application/any (new) /isArchived"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_the_server_reserves_are_refused_before_any_call() {
    let stack = stack().await;
    let text = OBJECTS.replace(
        "tags: {site: north}",
        "tags: {io.balena.features: x}\n  environmentVariables: [{name: BALENA_HOST, value: x}]",
    );
    stack.write("objects.yaml", &text);
    stack.sandbox.clear_log();
    let told = told(&stack.plan().await);
    assert_eq!(
        told.iter().filter(|told| told.starts_with("PL0107") && told.contains("is reserved")).count(),
        2,
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_value_and_one_with_quotes_are_values() {
    let stack = stack().await;
    let text = OBJECTS.replace("tags: {site: north}", "tags: {site: \"\", \"it's/here&now\": \"it's\"}\n  environmentVariables: [{name: EMPTY, value: \"\"}, {name: FLAG, value: true}]");
    stack.write("objects.yaml", &text);
    stack.apply().await;
    stack.assert_empty().await;
    let values: Vec<Value> = ["DeviceEnvironmentVariable", "DeviceTag"]
        .iter()
        .flat_map(|kind| stack.sandbox.objects("balena", kind))
        .map(|object| object["attributes"]["value"].clone())
        .collect();
    let mut values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    values.sort_unstable();
    assert_eq!(values, ["", "", "it's", "true"]);
}
