//! Every folder of `examples/` does what its README says: it converges by the calls that were announced, drift is found
//! and repaired, and `destroy` tells what goes and what stays.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio};

use plumb::{
    plan::{ActionKind, PlanDocument, Reason},
    sandbox::{Sandbox, SandboxOptions, parse_seed},
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    example::{Example, output, plumb, repository, tool},
    stack::lines,
};

const ITGLUE: [&str; 5] =
    ["ITGLUE_API_KEY", "HAPPY_FROG_M365_ADMIN", "HAPPY_FROG_M365_OTP", "HAPPY_FROG_IDRAC", "BRIGHT_OTTER_WIFI"];

/// Addresses that a plan does something to.
fn addresses(document: &PlanDocument, action: ActionKind) -> BTreeSet<&str> {
    document.actions.iter().filter(|found| found.action == action).map(|found| found.address.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn itglue_shows_every_kind_and_is_kept_true() {
    let example = Example::start(&["examples/itglue"], "itglue", "itglue", &ITGLUE, SandboxOptions::default()).await;
    let applied = example.converge();
    let shown: BTreeSet<&str> = applied.actions.iter().map(|action| action.kind.as_str()).collect();
    let api = plumb::apis::builtin().api("itglue").unwrap();
    for kind in api.kinds.values().filter(|kind| !kind.spec.lookup && kind.inside().is_none()) {
        assert!(shown.contains(kind.name.as_str()), "the example has no {}", kind.name);
    }
    let general = example.id("Password", "name", "Office 365 global admin");
    assert_eq!(example.attribute("Password", &general, "otp-secret"), example.secret("HAPPY_FROG_M365_OTP"));

    let password = example.id("Password", "name", "iDRAC root");
    let organization = example.id("Organization", "name", "Happy Frog");
    let contact = example.id("Contact", "name", "Jackie Tilds");
    let asset = example.id("FlexibleAsset", "name", "Servers to the cloud");
    example.mutate("Password", &password, &json!({"password": "guessed"}));
    example.mutate("Organization", &organization, &json!({"quick-notes": "No patch window."}));
    example.mutate(
        "Contact",
        &contact,
        &json!({"contact-emails": [
        {"value": "jackie@happyfrog.example", "label-name": "Work", "primary": true},
        {"value": "jackie.tilds@home.example", "label-name": "Private", "primary": false}]}),
    );
    example.mutate("FlexibleAsset", &asset, &json!({"traits": {"schedule": "Weekly"}}));
    example.mutate("Group", &example.id("Group", "name", "Service Desk"), &json!({"accounts_user_ids": [35]}));
    let field = example.id("FlexibleAssetField", "name", "Spam filter");
    example.mutate("FlexibleAssetField", &field, &json!({"required": true, "hint": "Not declared, so left alone."}));
    example.remove("ConfigurationInterface", &example.id("ConfigurationInterface", "name", "iDRAC"));
    example.remove("Attachment", &example.id("Attachment", "name", "rack.txt"));
    example.repair(
        &[
            "create itglue/Configuration/hf-exch01#attachments/rack.txt (drift) /attachment /name",
            "create itglue/Configuration/hf-exch01#interfaces/iDRAC (drift) /name /ipAddress /notes",
            "update itglue/Contact/jackie-tilds (drift) /contactEmails/jackie.tilds@home.example",
            "update itglue/FlexibleAsset/happy-frog-backup (drift) /traits/schedule",
            "update itglue/Group/service-desk (drift) /accountsUsers",
            "update itglue/Organization/happy-frog (drift) /quickNotes",
            "update itglue/Password/hf-exch01-idrac (drift) /password",
        ],
        applied.actions.len(),
    );
    assert_eq!(example.attribute("Password", &password, "password"), example.secret("HAPPY_FROG_IDRAC"));
    let traits = example.attribute("FlexibleAsset", &asset, "traits");
    assert_eq!((&traits["schedule"], &traits["keeps-days"]), (&json!("Daily"), &json!(90)));
    example.assert_inventory_has_no_secret();

    let refused = example.expect(3, &["destroy", "--yes"]);
    assert!(refused.err.contains("--max-deletes 15"), "{}", refused.err);
    let destroyed = example.document(0, &["destroy", "--yes", "--max-deletes", "15"]);
    assert!(addresses(&destroyed, ActionKind::Delete).contains("itglue/Password/hf-exch01-idrac"));
    let forgotten = addresses(&destroyed, ActionKind::Forget);
    assert!(forgotten.contains("itglue/Organization/happy-frog"));
    // The entries of what stays stay with it.
    assert!(!forgotten.contains("itglue/FlexibleAssetType/email#fields/Type"));
    // What the API cannot delete stays owned, and is listed; with only such objects left, there is nothing to do.
    let rest = example.expect(0, &["destroy", "--yes"]);
    assert!(rest.out.contains("itglue/FlexibleAssetType/email (the API cannot delete it)"), "{}", rest.out);
    example.id("Organization", "name", "Happy Frog");
}

#[tokio::test(flavor = "multi_thread")]
async fn balena_shows_every_kind_and_is_kept_true() {
    let sink = repository("target/balena-dashboards.key");
    let _ = fs::remove_file(&sink);
    let variables = ["BALENA_TOKEN", "BROKER_PASSWORD", "PUMP_HOUSE_1_KEY"];
    let example = Example::start(&["examples/balena"], "fleets", "balena", &variables, SandboxOptions::default()).await;
    let applied = example.converge();
    let shown: BTreeSet<&str> = applied.actions.iter().map(|action| action.kind.as_str()).collect();
    let api = plumb::apis::builtin().api("balena").unwrap();
    for kind in api.kinds.values().filter(|kind| !kind.spec.lookup && kind.inside().is_none()) {
        assert!(shown.contains(kind.name.as_str()), "the example has no {}", kind.name);
    }
    for kind in api.kinds.values().filter(|kind| kind.inside().is_some()) {
        assert!(!example.sandbox.objects("balena", &kind.name).is_empty(), "the example has no {}", kind.name);
    }
    assert!(fs::read_to_string(&sink).unwrap().starts_with("sandbox-key-"));
    fs::remove_file(&sink).unwrap();

    let fleet = example.id("Application", "app_name", "pumps");
    let variable = example.id("ApplicationEnvironmentVariable", "name", "BROKER_PASSWORD");
    example.mutate("ApplicationEnvironmentVariable", &variable, &json!({"value": "guessed"}));
    example.mutate("Application", &fleet, &json!({"should_track_latest_release": true, "is_public": true}));
    example.mutate("Device", &example.id("Device", "device_name", "Pump house 1"), &json!({"note": "Moved"}));
    example.remove("DeviceTag", &example.id("DeviceTag", "tag_key", "street"));
    example.repair(
        &[
            "create balena/Device/pump-house-1#tags/street (drift) /tagKey /value",
            "update balena/Application/pumps (drift) /shouldTrackLatestRelease",
            "update balena/Application/pumps#environmentVariables/BROKER_PASSWORD (drift) /value",
            "update balena/Device/pump-house-1 (drift) /note",
        ],
        applied.actions.len(),
    );
    let password = example.attribute("ApplicationEnvironmentVariable", &variable, "value");
    assert_eq!(password, example.secret("BROKER_PASSWORD"));
    assert_eq!(example.attribute("Application", &fleet, "is_public"), json!(true));
    example.assert_inventory_has_no_secret();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stack_over_all_five_is_kept_true() {
    // A copy, since a secret of it is rotated.
    let folder = TempDir::new().unwrap();
    let from = repository("examples/everything");
    fs::create_dir(folder.path().join("secrets")).unwrap();
    for place in ["", "secrets"] {
        for entry in fs::read_dir(from.join(place)).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file())
        {
            fs::copy(entry.path(), folder.path().join(place).join(entry.file_name())).unwrap();
        }
    }
    let connections = [
        ("documentation", "itglue"),
        ("delivery", "cycloid"),
        ("telemetry", "bindplane"),
        ("devices", "balena"),
        ("portal", "rest"),
    ];
    let path = folder.path().display().to_string();
    let mut example = Example::over(&[&path], &connections, &[], SandboxOptions::default()).await;
    let applied = example.converge();
    let apis: BTreeSet<&str> = applied.actions.iter().map(|action| action.api.as_str()).collect();
    assert_eq!(apis.len(), 5);
    let place = |address: &str| applied.actions.iter().position(|action| action.address == address).unwrap();
    assert!(place("bindplane/Configuration/gateways") < place("balena/Device/pump-house"));
    assert!(place("balena/Device/pump-house") < place("itglue/Configuration/pump-house-gateway"));

    // Each account drifts, and one plan repairs them all.
    example.mutate("Password", &example.id("Password", "name", "Log collector token"), &json!({"username": "by hand"}));
    example.mutate(
        "Configuration",
        &example.id("Configuration", "name", "Pump house gateway"),
        &json!({"hostname": "x"}),
    );
    example.api = "cycloid";
    example.mutate("Project", "acme/portal", &json!({"description": "changed"}));
    example.api = "balena";
    example.remove("Device", &example.id("Device", "device_name", "Pump house"));
    example.api = "rest";
    example.mutate("Organization", &example.id("Organization", "slug", "happy-frog"), &json!({"name": "Sad Frog"}));
    example.repair(
        &[
            "create balena/Device/pump-house (drift) /uuid /application /deviceType /deviceName",
            "update cycloid/Project/portal (drift) /description",
            "update itglue/Configuration/pump-house-gateway (drift) /hostname",
            "update rest/Organization/happy-frog (drift) /name",
        ],
        applied.actions.len(),
    );

    // A new value of a secret goes to those that use it, and to nobody else.
    let rotated = "battery-staple-of-the-second-year";
    fs::write(folder.path().join("secrets/log.token"), rotated).unwrap();
    let planned = example.document(0, &["plan"]);
    assert_eq!(
        lines(&planned),
        [
            "update balena/Application/pumps#environmentVariables/LOG_TOKEN (changed) /value",
            "update itglue/Password/log-token (changed) /password",
            "update bindplane/Destination/collector (changed) /parameters/token",
            "update bindplane/Configuration/gateways (rollout) /rollout",
        ]
    );
    let shown = example.expect(0, &["plan"]);
    let applied = example.expect(0, &["apply", "--yes"]);
    for text in [&shown.out, &shown.err, &applied.out, &applied.err] {
        assert!(!text.contains(rotated) && !text.contains("correct-horse"), "{text}");
    }
    assert_eq!(example.document(0, &["plan"]).actions.len(), 0);
    let variable = example.sandbox.objects("balena", "ApplicationEnvironmentVariable");
    assert_eq!(variable[0]["attributes"]["value"], rotated);
}

#[tokio::test(flavor = "multi_thread")]
async fn cycloid_shows_every_kind_and_is_kept_true() {
    let variables = ["CYCLOID_TOKEN", "GIT_SSH_KEY", "AWS_SECRET_KEY", "CHAT_TOKEN", "SHOP_DATABASE_PASSWORD"];
    let example = Example::start(&["examples/cycloid"], "acme", "cycloid", &variables, SandboxOptions::default()).await;
    let applied = example.converge();
    let shown: BTreeSet<&str> = applied.actions.iter().map(|action| action.kind.as_str()).collect();
    let api = plumb::apis::builtin().api("cycloid").unwrap();
    for kind in api.kinds.values().filter(|kind| !kind.spec.lookup && kind.inside().is_none()) {
        assert!(shown.contains(kind.name.as_str()), "the example has no {}", kind.name);
    }
    let stack = applied.actions.iter().find(|action| action.kind == "ServiceCatalog").unwrap();
    assert_eq!((stack.action, stack.reason), (ActionKind::Adopt, Reason::Appears));

    // What nobody declares is sent back as it is; what is declared is put right.
    example.mutate("Credential", "acme/git", &json!({"owner": "jane", "description": "changed"}));
    example.mutate("Project", "acme/shop", &json!({"owner": "bob", "color": "blue"}));
    example.mutate(
        "Component",
        "acme/shop/production/web",
        &json!({"vars": {"general": {"sizing": {"replicas": 9, "cpu": 2}}}}),
    );
    example.remove("Kpi", "acme/shop/shop-builds");
    example.repair(
        &[
            "create cycloid/Kpi/shop-builds (drift) /project /name /type /widget /environment /canonical",
            "update cycloid/Component/shop-production-web (drift) /vars/general/sizing/replicas",
            "update cycloid/Credential/git (drift) /description",
            "update cycloid/Project/shop (drift) /owner",
        ],
        applied.actions.len(),
    );
    assert_eq!(example.attribute("Credential", "git", "owner"), json!("jane"));
    assert_eq!(example.attribute("Credential", "git", "raw")["ssh_key"], example.secret("GIT_SSH_KEY"));
    assert_eq!(example.attribute("Project", "shop", "color"), json!("blue"));
    let vars = example.attribute("Component", "acme/shop/production/web", "vars");
    assert_eq!((&vars["general"]["sizing"]["replicas"], &vars["general"]["sizing"]["cpu"]), (&json!(3), &json!(2)));
    example.assert_inventory_has_no_secret();
}

#[tokio::test(flavor = "multi_thread")]
async fn bindplane_shows_every_kind_and_is_kept_true() {
    let variables = ["BINDPLANE_API_KEY", "ORDERS_DB_PASSWORD", "SPLUNK_TOKEN", "TILL_PIN"];
    let example =
        Example::start(&["examples/bindplane"], "bindplane", "bindplane", &variables, SandboxOptions::default()).await;
    let applied = example.converge();
    let shown: BTreeSet<&str> = applied.actions.iter().map(|action| action.kind.as_str()).collect();
    let api = plumb::apis::builtin().api("bindplane").unwrap();
    for kind in api.kinds.values().filter(|kind| kind.is_declarable()) {
        assert!(shown.contains(kind.name.as_str()), "the example has no {}", kind.name);
    }
    let spec = |kind: &str, name: &str| example.attribute(kind, name, "spec");
    assert_eq!(spec("Destination", "splunk")["parameters"][1]["value"], example.secret("SPLUNK_TOKEN"));
    assert_eq!(example.attribute("Configuration", "linux-hosts", "status")["currentVersion"], 1);
    // The gate of the progressive one is not pushed.
    assert_eq!(example.attribute("Configuration", "lab", "status").get("currentVersion"), None);

    let mut parameters = spec("Source", "host-metrics")["parameters"].clone();
    parameters[0]["value"] = json!(60);
    example.mutate("Source", "host-metrics", &json!({"spec.parameters": parameters}));
    example.mutate("Processor", "standard", &json!({"metadata.displayName": "Something else"}));
    example.repair_by(
        &[
            "update bindplane/Processor/standard (drift) /displayName",
            "update bindplane/Source/host-metrics (drift) /parameters/collection_interval",
        ],
        &[
            "update bindplane/Configuration/databases (rollout) /rollout",
            "update bindplane/Configuration/lab (rollout) /rollout",
            "update bindplane/Configuration/linux-hosts (rollout) /rollout",
            "update bindplane/Processor/standard (drift) /displayName",
            "update bindplane/Source/host-metrics (drift) /parameters/collection_interval",
        ],
        applied.actions.len(),
    );
    example.assert_inventory_has_no_secret();

    let destroyed = example.document(0, &["destroy", "--yes", "--max-deletes", "30"]);
    assert!(addresses(&destroyed, ActionKind::Delete).contains("bindplane/Processor/drop-debug"));
    let kept = BTreeSet::from(["bindplane/Project/staging", "bindplane/SecretKey/laboratory", "bindplane/User/jane"]);
    assert_eq!(addresses(&destroyed, ActionKind::Forget), kept);
    assert!(example.sandbox.objects("bindplane", "Configuration").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_shows_every_kind_and_is_kept_true() {
    let variables = ["PLATFORM_PASSWORD", "CHAT_HOOK_SECRET", "AUDIT_HOOK_SECRET"];
    let example = Example::start(&["examples/rest"], "platform", "rest", &variables, SandboxOptions::default()).await;
    let applied = example.converge();
    let shown: BTreeSet<&str> = applied.actions.iter().map(|action| action.kind.as_str()).collect();
    assert_eq!(shown, BTreeSet::from(["Organization", "Resource", "UserProfile", "Webhook"]));

    let website = example.id("Resource", "name", "Website");
    let audit = example.id("Webhook", "url", "https://audit.example.com/in");
    example.mutate("Resource", &website, &json!({"metadata": {"tier": 2, "added": "by hand"}}));
    example.mutate("Webhook", &audit, &json!({"events": ["resource.created"]}));
    example.mutate("UserProfile", "usr_789", &json!({"profile": {"last_name": "Doe"}}));
    example.remove("Webhook", &example.id("Webhook", "url", "https://chat.example.com/hooks/platform"));
    example.repair(
        &[
            "create rest/Webhook/chat (drift) /url /events /secret",
            "update rest/Resource/website (drift) /metadata/tier",
            "update rest/UserProfile/me (drift) /profile/lastName",
            "update rest/Webhook/audit (drift) /events",
        ],
        applied.actions.len(),
    );
    // The map is written whole, with the keys that no manifest declares.
    let metadata = example.attribute("Resource", &website, "metadata");
    assert_eq!(
        (&metadata["tier"], &metadata["added"], &metadata["team"]),
        (&json!(1), &json!("by hand"), &json!("web"))
    );
    example.assert_inventory_has_no_secret();

    let destroyed = example.document(0, &["destroy", "--yes"]);
    let deleted = ["rest/Resource/warehouse", "rest/Resource/website", "rest/Webhook/audit", "rest/Webhook/chat"];
    assert_eq!(addresses(&destroyed, ActionKind::Delete), BTreeSet::from(deleted));
    // Organizations contain others, and so stay with their members; the profile can only be forgotten.
    assert_eq!(addresses(&destroyed, ActionKind::Forget).len(), 7);
    assert!(example.sandbox.objects("rest", "Webhook").is_empty());
    assert_eq!(example.sandbox.objects("rest", "OrganizationMember").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_described_api_is_kept_true() {
    let seed = fs::read_to_string(repository("examples/custom-api/sandbox.seed")).unwrap();
    let options = SandboxOptions { seed: Some(parse_seed(&seed).unwrap()), ..SandboxOptions::default() };
    let variables = ["TRACKER_TOKEN", "TRACKER_HOOK_SECRET"];
    let example = Example::start(&["examples/custom-api"], "tracker", "tracker", &variables, options).await;
    let applied = example.converge();
    assert_eq!(applied.actions.len(), 5);

    let ticket = example.id("Ticket", "title", "Release checklist");
    example.mutate("Ticket", &ticket, &json!({"labels": ["release"], "state": "blocked"}));
    example.remove("Comment", &example.id("Comment", "topic", "Rollback"));
    example.repair(
        &[
            "create tracker/Ticket/release-checklist#comments/Rollback (drift) /topic /text",
            "update tracker/Ticket/release-checklist (drift) /labels",
        ],
        applied.actions.len(),
    );
    // The whole ticket went back, with the state that no manifest declares.
    assert_eq!(example.attribute("Ticket", &ticket, "state"), "blocked");
    example.assert_inventory_has_no_secret();

    let destroyed = example.document(0, &["destroy", "--yes"]);
    assert_eq!(addresses(&destroyed, ActionKind::Forget), BTreeSet::from(["tracker/Project/releases"]));
    assert!(example.sandbox.objects("tracker", "Ticket").is_empty());
}

const CUSTOMERS: [&str; 3] = ["happy-frog", "bright-otter", "quiet-heron"];

fn rendered(helm: &Path, customers: &[&str]) -> String {
    let mut args = vec!["template".to_owned(), "customers".to_owned(), "examples/msp/chart".to_owned()];
    args.extend(customers.iter().map(|customer| format!("--values=examples/msp/customers/{customer}.yaml")));
    output(helm, args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_makes_the_manifests_of_every_customer() {
    let Some(helm) = tool("helm") else { return };
    let mut lint: Vec<String> = ["lint", "--strict", "examples/msp/chart"].map(str::to_owned).to_vec();
    lint.extend(CUSTOMERS.iter().map(|customer| format!("--values=examples/msp/customers/{customer}.yaml")));
    output(&helm, lint);
    let variables = ["ITGLUE_API_KEY", "HAPPY_FROG_EXCH01", "HAPPY_FROG_WEB01", "QUIET_HERON_NAS01"];
    let inputs = ["examples/msp/shared", "-"];
    let mut example = Example::start(&inputs, "itglue", "itglue", &variables, SandboxOptions::default()).await;
    let shared = example.apply().actions.len();

    // One customer first, as long as nobody else is to be touched.
    example.stdin = rendered(&helm, &CUSTOMERS);
    let frog = example.document(0, &["apply", "--yes", "-l", "customer=happy-frog"]);
    assert!(frog.actions.iter().any(|action| action.name == "happy-frog-email"));
    assert!(frog.actions.iter().all(|action| !action.name.contains("otter") && !action.name.contains("heron")));
    let others = example.apply();
    let objects = shared + frog.actions.len() + others.actions.len();
    example.assert_clean(objects);

    let server = example.id("Configuration", "name", "FROG-EXCH01");
    example.mutate("Configuration", &server, &json!({"name": "RENAMED"}));
    example.repair(&["update itglue/Configuration/happy-frog-exch01 (drift) /name"], objects);

    // A customer leaves: nothing is done until it is asked for, and then only to that customer.
    example.stdin = rendered(&helm, &CUSTOMERS[..2]);
    let kept = example.expect(0, &["plan"]);
    assert!(kept.out.contains("itglue/Password/quiet-heron-nas01"), "{}", kept.out);
    assert!(kept.out.contains("0 to delete, 0 to forget"), "{}", kept.out);
    let pruned = example.document(0, &["apply", "--yes", "--prune"]);
    assert!(!pruned.actions.is_empty());
    assert!(pruned.actions.iter().all(|action| action.name.starts_with("quiet-heron")), "{:?}", lines(&pruned));
    assert_eq!(addresses(&pruned, ActionKind::Forget), BTreeSet::from(["itglue/Organization/quiet-heron"]));
    let left = others.actions.iter().filter(|action| action.name.starts_with("quiet-heron")).count();
    example.assert_clean(objects - left);
}

#[tokio::test(flavor = "multi_thread")]
async fn overlays_make_the_manifests_of_every_customer() {
    let Some(kubectl) = tool("kubectl") else { return };
    let variables = ["ITGLUE_API_KEY", "HAPPY_FROG_WIFI", "BRIGHT_OTTER_WIFI", "QUIET_HERON_WIFI"];
    let inputs = ["examples/msp/shared", "-"];
    let mut example = Example::start(&inputs, "itglue", "itglue", &variables, SandboxOptions::default()).await;
    example.stdin = output(&kubectl, ["kustomize", "examples/msp/kustomize"]);
    let applied = example.converge();
    for customer in CUSTOMERS {
        for (kind, name) in [("Organization", "customer"), ("Location", "office"), ("Password", "wifi")] {
            let address = format!("itglue/{kind}/{customer}-{name}");
            assert!(applied.actions.iter().any(|action| action.address == address), "{address}");
        }
    }
}

/// Commands of a text that call plumb, as a shell would split them.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let calls = joined.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches(['-', '$', ' ']).trim_start_matches("run: ");
        let start = if line.starts_with("plumb ") { 0 } else { line.find("| plumb ")? + 2 };
        line[start..].split([';', '|', '>', '#', '&']).next()
    });
    calls
        .map(|call| call.split_whitespace().skip(1).map(|word| word.trim_matches(['"', '\'']).to_owned()).collect())
        .collect()
}

/// Files of a folder and below.
fn files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

#[test]
fn every_command_that_is_shown_exists() {
    let mut texts = Vec::new();
    files(&repository("examples"), &mut texts);
    texts.extend(["docs/tutorial-itglue.md", "docs/tutorial-rest.md"].map(repository));
    let mut seen = 0;
    for path in texts.iter().filter(|path| path.extension().is_some_and(|end| end == "md" || end == "yml")) {
        let text = fs::read_to_string(path).unwrap();
        let shown: Vec<String> = if path.extension().is_some_and(|end| end == "md") {
            text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).map(str::to_owned).collect()
        } else {
            vec![text]
        };
        for call in shown.iter().flat_map(|text| commands(text)) {
            // Whatever does not exist is told before the help is shown.
            let output = plumb().args(&call).arg("--help").stderr(Stdio::piped()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: plumb {}\n{told}", path.display(), call.join(" "));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} commands are too few to be all");
}

/// The commands of a pipeline that read the repository as it lays it out.
fn pipeline(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(repository(file)).unwrap();
    commands(&text).into_iter().filter(|call| call.iter().any(|word| word == "connections")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_show_what_they_will_apply() {
    for file in ["examples/ci/github-actions.yml", "examples/ci/gitlab-ci.yml"] {
        let sandbox = Sandbox::start(plumb::apis::builtin(), SandboxOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "connections/main.yaml",
            &format!(
                "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: main}}\nspec:\n  api: rest\n  \
                 url: {}\n  auth: {{bearer: {{valueFrom: {{env: TOKEN}}}}}}\n",
                sandbox.url("rest")
            ),
        );
        for name in ["one", "two"] {
            write(
                &format!("objects/{name}.yaml"),
                &format!(
                    "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {{name: {name}}}\nspec: {{}}\n"
                ),
            );
        }
        let run = |verb: &str| {
            let calls = pipeline(file);
            let call = calls.iter().find(|call| call[0] == verb).unwrap_or_else(|| panic!("{file} has no {verb}"));
            let mut command = plumb();
            command.args(call).current_dir(folder.path()).env("TOKEN", "correct-horse-battery");
            command.env("PLUMB_INVENTORY", folder.path().join("inventory.db"));
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
        };
        for verb in ["validate", "plan", "apply", "drift"] {
            let (code, out, err) = run(verb);
            assert_eq!(code, Some(0), "{file}: {verb}\n{out}\n{err}");
        }
        assert_eq!(sandbox.objects("rest", "Resource").len(), 2);

        fs::remove_file(folder.path().join("objects/two.yaml")).unwrap();
        let (_, planned, _) = run("plan");
        assert!(planned.contains("rest/Resource/two") && planned.contains("1 to delete"), "{file}: {planned}");
        assert_eq!(run("apply").0, Some(0));
        assert_eq!(sandbox.objects("rest", "Resource").len(), 1);

        let left = sandbox.objects("rest", "Resource")[0]["id"].as_str().unwrap().to_owned();
        assert!(sandbox.mutate("rest", "Resource", &left, &json!({"name": "by hand"})));
        assert_eq!(run("drift").0, Some(2), "{file}: drift is a red run");
    }
}
