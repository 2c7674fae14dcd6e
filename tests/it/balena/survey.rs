//! Exports and surveys of accounts of balena: whose they are comes first, others' objects stay out, and what is written
//! means the same on every server.

use plumb::pipeline::{self, ExportOptions};
use serde_json::json;

use super::server::Balena;

const UUID: &str = "0123456789abcdef0123456789abcdef";

/// A fleet with a pinned device, a service and a tag of a release, beside a public fleet of others with a service.
async fn account() -> Balena {
    let balena = Balena::start().await;
    balena.shelf(|shelf| {
        let fleet = shelf.add(
            "application",
            &json!({
                "app_name": "pumps", "slug": "acme/pumps", "organization": 1, "is_for__device_type": 10,
                "should_track_latest_release": false, "uuid": UUID, "is_of__class": "fleet",
            }),
        );
        let release = |commit: &str| json!({"commit": commit, "raw_version": "1.0.0", "status": "success", "belongs_to__application": fleet});
        let first = shelf.add("release", &release(&"a".repeat(40)));
        shelf.add("release_tag", &json!({"release": first, "tag_key": "ok", "value": ""}));
        shelf.sets.get_mut("application").unwrap().last_mut().unwrap().insert("should_be_running__release".into(), json!({"__id": first}));
        shelf.add(
            "device",
            &json!({
                "uuid": UUID, "device_name": "Pump", "belongs_to__application": fleet, "is_of__device_type": 10,
                "is_pinned_on__release": {"__id": first}, "is_locked_until__date": "2030-01-01T00:00:00.000Z",
            }),
        );
        shelf.add("application_environment_variable", &json!({"application": fleet, "name": "EMPTY", "value": ""}));
        shelf.add("service", &json!({"application": fleet, "service_name": "controller"}));
        shelf.add("service", &json!({"application": 90, "service_name": "theirs"}));
        // Another type of the same name for people.
        shelf.add("device_type", &json!({"slug": "nuc-2", "name": "NUC"}));
    });
    balena
}

/// Exports kinds; gives the manifests and what was told.
async fn export(balena: &Balena, kinds: &[&str]) -> (String, String) {
    let wanted = kinds.iter().map(|kind| plumb::export::Wanted { api: None, kind: (*kind).to_owned(), pattern: None });
    let asked = ExportOptions { wanted: wanted.collect(), ..ExportOptions::default() };
    let found = pipeline::export(&balena.options, &asked).await.unwrap();
    let text: Vec<String> = found.exported.documents.iter().map(|document| document.text.clone()).collect();
    let told: Vec<String> =
        found.diagnostics.iter().map(|told| format!("{:?} {} {}", told.severity, told.code, told.message)).collect();
    (text.join("---\n"), told.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_exports_nothing_and_says_so() {
    let balena = account().await;
    balena.shelf(|shelf| shelf.token_is_good = false);
    let (text, told) = export(&balena, &["Application"]).await;
    assert_eq!(text, "");
    assert!(told.contains("Error PL0422 `GET /actor/v1/whoami`"), "{told}");
    let unmanaged = pipeline::unmanaged(&balena.options, &[]).await.unwrap();
    assert_eq!(unmanaged.objects, []);
    balena.write(
        "fleet.yaml",
        "apiVersion: balena.plumb.dev/v1alpha1\nkind: Service\nmetadata: {name: s}\nspec: {application: weather, serviceName: x}\n",
    );
    let unmanaged = pipeline::unmanaged(&balena.options, &[]).await.unwrap();
    assert_eq!(unmanaged.objects, []);
    assert!(unmanaged.diagnostics.iter().any(|told| told.code == "PL0422"));
    assert!(balena.reads().iter().all(|path| path == "/actor/v1/whoami"), "{:?}", balena.reads());
}

#[tokio::test(flavor = "multi_thread")]
async fn references_hold_on_other_servers_and_settings_are_not_lost() {
    let balena = account().await;
    let (text, told) = export(&balena, &[]).await;
    let commit = "a".repeat(40);
    for line in [
        format!("  release: {commit}\n"),
        "  isLockedUntilDate: \"2030-01-01T00:00:00.000Z\"\n".into(),
        "  deviceType: nuc\n".into(),
        "    - {name: EMPTY, value: \"\"}\n".into(),
        format!("  release: key:acme-pumps/{commit}\n"),
        "  value: \"\"\n".into(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert_eq!(text.matches(&format!("  release: {commit}\n")).count(), 2, "of the fleet and of the device");
    assert!(!text.contains(": id:"), "{text}");
    assert!(!told.contains("PL0711"), "{told}");

    // Read back, it means what is live.
    balena.write("exported.yaml", &text);
    let planned = super::plan(&balena.options).await;
    let changed: Vec<_> = planned.document.actions.iter().filter(|action| !action.changes.is_empty()).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert!(planned.document.actions.iter().all(|action| action.action.word() == "adopt"));
    assert_eq!(super::problems(&planned), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_limited_to_the_accounts_own_parents() {
    let balena = account().await;
    let (text, _) = export(&balena, &[]).await;
    assert!(text.contains("serviceName: controller") && !text.contains("theirs"), "{text}");
    for (set, wire) in [("service", "application"), ("release_tag", "release"), ("device", "belongs_to__application")] {
        let queries = balena.queries(&format!("/v7/{set}"));
        assert!(!queries.is_empty());
        assert!(queries.iter().all(|query| query.contains(&format!("$filter={wire} "))), "{queries:?}");
    }
    balena.write(
        "fleet.yaml",
        "apiVersion: balena.plumb.dev/v1alpha1\nkind: Service\nmetadata: {name: other}\nspec: {application: acme-fleet, serviceName: \
         other}\n---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {name: acme-fleet}\nspec: {organization: \
         acme, appName: pumps, deviceType: nuc}\n",
    );
    let unmanaged = pipeline::unmanaged(&balena.options, &[]).await.unwrap();
    let keys: Vec<&str> = unmanaged.objects.iter().map(|stray| stray.key.as_str()).collect();
    assert_eq!(keys, ["acme\\/pumps/controller"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_have_is_left_out_with_a_note() {
    let balena = account().await;
    balena.shelf(|shelf| shelf.builds = false);
    let (text, told) = export(&balena, &["Application", "Device"]).await;
    assert!(text.contains("kind: Application") && text.contains("application: acme-pumps"), "{text}");
    assert!(text.contains("EMPTY"), "the other entries are there: {text}");
    assert!(told.contains("does not offer BuildEnvironmentVariable objects"), "{told}");
    assert!(!told.contains("Error"), "{told}");
    // Devices have no place of their own there, either.
    assert!(balena.queries("/v7/device").iter().any(|query| query.contains("custom_latitude")));
    assert_eq!(balena.queries("/v7/build_environment_variable"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_succeed_is_refused_before_any_call() {
    let balena = Balena::start().await;
    let fleet = |handle: &str, name: &str, ty: &str, more: &str| {
        format!(
            "---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {{name: {handle}}}\nspec: {{organization: acme, \
             appName: {name}, deviceType: {ty}{more}}}\n"
        )
    };
    // Two fleets cannot differ in the case of letters only.
    balena.write("fleet.yaml", &format!("{}{}", fleet("one", "Fleet1", "nuc", ""), fleet("two", "fleet1", "nuc", "")));
    let planned = super::plan(&balena.options).await;
    assert!(super::problems(&planned).contains("are the same object of the API"), "{}", super::problems(&planned));

    // A fleet keeps the architecture of its type.
    balena.shelf(|shelf| {
        for (slug, architecture) in [("arm", 2), ("arm-2", 2)] {
            shelf.add(
                "device_type",
                &json!({"slug": slug, "name": slug, "is_of__cpu_architecture": {"__id": architecture}}),
            );
        }
        shelf.sets.get_mut("device_type").unwrap()[0].insert("is_of__cpu_architecture".into(), json!({"__id": 1}));
    });
    balena.write("fleet.yaml", &fleet("one", "Fleet1", "arm", ""));
    super::converge(&balena.options).await;
    balena.write("fleet.yaml", &fleet("one", "Fleet1", "nuc", ""));
    let planned = super::plan(&balena.options).await;
    assert!(super::problems(&planned).contains("PL0529"), "{}", super::problems(&planned));
    balena.write("fleet.yaml", &fleet("one", "Fleet1", "arm-2", ""));
    super::converge(&balena.options).await;

    // A secret has the form that its variable asks for; it is not shown.
    balena.write("lines", "first line\nsecond-line");
    let more = ", environmentVariables: [{name: KEY, valueFrom: {file: lines}}]";
    balena.write("fleet.yaml", &fleet("one", "Fleet1", "arm-2", more));
    balena.clear();
    let planned = super::plan(&balena.options).await;
    let told = super::problems(&planned);
    assert!(told.contains("has a line break") && !told.contains("second-line"), "{told}");
    assert_eq!(balena.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_is_said_in_plain_text_is_followed_by_an_update() {
    let balena = Balena::start().await;
    let fleet = "apiVersion: balena.plumb.dev/v1alpha1\nkind: Application\nmetadata: {name: pumps}\nspec: {organization: acme, \
                 deviceType: nuc, environmentVariables: [{name: A, value: mine}]}\n";
    balena.write("fleet.yaml", &fleet.replace(", environmentVariables: [{name: A, value: mine}]", ""));
    super::converge(&balena.options).await;
    balena.write("fleet.yaml", fleet);
    let options = plumb::pipeline::Options { keep_key: true, ..balena.options.clone() };
    let planned = pipeline::plan(&options, plumb::plan::Mode::Plan).await.unwrap();
    // Somebody makes it after the plan.
    let id = balena.id_of("application", "app_name", "pumps");
    balena.shelf(|shelf| {
        shelf.plain_errors = true;
        shelf.add("application_environment_variable", &json!({"application": id, "name": "A", "value": "theirs"}));
    });
    let applied = pipeline::apply(planned, &options).await.unwrap();
    assert_eq!(applied.document.actions[0].error, None);
    assert!(
        balena.writes().iter().any(|call| call.starts_with("PATCH /v7/application_environment_variable(")),
        "{:?}",
        balena.writes()
    );
}
