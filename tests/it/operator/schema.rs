//! The definitions in a real API server: what `plumb validate` refuses is refused there, where the schema can say it;
//! and a manifest is the same file everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    cluster::Cluster,
    example::{plumb, repository},
};

/// Codes of mistakes that a structural schema can see.
const SEEN: [&str; 15] = [
    "PL0102", "PL0104", "PL0105", "PL0106", "PL0107", "PL0108", "PL0109", "PL0112", "PL0113", "PL0114", "PL0115",
    "PL0116", "PL0118", "PL0121", "PL0141",
];

/// Cases that Kubernetes lets through although their mistake is of such a kind, each with the reason.
const LET_THROUGH: &[(&str, &str)] = &[
    ("key-missing", "the connection's defaults may have what the key needs"),
    ("value-null-where-needed", "Kubernetes drops a null where nothing says that it means something"),
];

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_refuses_what_validate_refuses_where_the_schema_can_say_it() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else { return };
    let namespace = cluster.namespace("schema");
    let mut refused = 0;
    let mut passed: BTreeMap<String, String> = BTreeMap::new();
    let mut cases: Vec<_> =
        fs::read_dir(repository("tests/cases/bad")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for case in cases.iter().filter(|path| path.extension().is_some_and(|ending| ending == "yaml")) {
        let name = case.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = String::from_utf8_lossy(&fs::read(case.with_extension("expected.txt")).unwrap()).into_owned();
        let codes: Vec<&str> = expected.split_whitespace().filter(|word| word.starts_with("PL0")).collect();
        let Ok(text) = fs::read_to_string(case) else { continue };
        let ours = !text.contains("shop.plumb.dev") && text.contains(".plumb.dev/v1alpha1");
        if !ours || codes.is_empty() || !codes.iter().all(|code| SEEN.contains(code)) {
            continue;
        }
        let path = case.display().to_string();
        let (good, said) = cluster.kubectl(&[
            "apply",
            "-n",
            &namespace,
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            &path,
        ]);
        if good {
            passed.insert(name, codes.join(" "));
        } else {
            refused += 1;
            assert!(!said.contains("refused - did you"), "{said}");
        }
    }
    for (name, why) in LET_THROUGH {
        assert!(passed.remove(*name).is_some(), "`{name}` is refused after all ({why})");
    }
    assert!(passed.is_empty(), "let through: {passed:#?}");
    assert!(refused >= 10, "{refused} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_prints_is_a_manifest() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else { return };
    let namespace = cluster.namespace("printed");
    cluster.run(&["apply", "-n", &namespace, "-R", "-f", "examples/itglue"]);
    let printed = cluster.run(&["get", "plumb", "-n", &namespace, "-o", "yaml"]);
    let from_files = validated(&["-f", "examples/itglue"], "");
    let from_cluster = validated(&["-f", "-"], &printed);
    assert_eq!(from_files, "", "{from_files}");
    assert_eq!(from_cluster, "", "{from_cluster}");
    // And the plan is the same.
    cluster.run(&["apply", "-n", &namespace, "-f", "examples/rest"]);
    let printed = cluster.run(&["get", "plumb", "-n", &namespace, "-o", "yaml"]);
    let of_rest: Vec<&str> = printed.split("\n- ").filter(|item| !item.contains("itglue")).collect();
    let from_files = planned(&["-f", "examples/rest"], "");
    let from_cluster = planned(&["-f", "-"], &of_rest.join("\n- "));
    assert!(from_files.0["create"].as_u64() > Some(3), "{from_files:?}");
    // Addresses have the namespace in them.
    let plain: BTreeSet<String> =
        from_cluster.1.iter().map(|address| address.replace(&format!("{namespace}/"), "")).collect();
    assert_eq!((&from_files.0, &from_files.1), (&from_cluster.0, &plain));
}

/// The summary of `plumb plan`, and what it would do to what.
fn planned(args: &[&str], input: &str) -> (Value, BTreeSet<String>) {
    let folder = tempfile::TempDir::new().unwrap();
    let inventory = format!("--inventory={}", folder.path().join("inventory.db").display());
    let mut command = plumb();
    command.args(["plan", "--sandbox", "-o", "json", &inventory]).args(args);
    for variable in ["PLATFORM_PASSWORD", "AUDIT_HOOK_SECRET", "CHAT_HOOK_SECRET"] {
        command.env(variable, "correct-horse");
    }
    let (out, err) = fed(command, input);
    let plan: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    let actions = plan["actions"].as_array().unwrap().iter();
    let lines = actions.map(|action| format!("{} {}", action["action"], action["address"])).collect();
    (plan["summary"].clone(), lines)
}

/// What `plumb validate` says.
fn validated(args: &[&str], input: &str) -> String {
    let mut command = plumb();
    command.arg("validate").args(args);
    fed(command, input).1
}

/// What a command prints, and what it says.
fn fed(mut command: Command, input: &str) -> (String, String) {
    use std::io::Write as _;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_is_kept_and_of_two_ways_one_is_written() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else { return };
    let namespace = cluster.namespace("rules");
    let service = |name: &str| {
        format!(
            "apiVersion: balena.plumb.dev/v1alpha1\nkind: Service\nmetadata: {{name: main}}\nspec: {{application: pumps, serviceName: {name}}}\n"
        )
    };
    assert!(cluster.feed(&["apply", "-n", &namespace, "-f", "-"], &service("main")).0);
    let (good, said) = cluster.feed(&["apply", "-n", &namespace, "-f", "-"], &service("other"));
    assert!(!good && said.contains("spec.serviceName") && said.contains("cannot be changed"), "{said}");
    let password = |given: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Password\nmetadata: {{name: admin}}\nspec:\n  organization: frog\n  \
             name: Admin\n  password: {{{given}}}\n"
        )
    };
    let from = "valueFrom: {secretKeyRef: {name: a, key: b}}";
    assert!(cluster.feed(&["apply", "-n", &namespace, "-f", "-"], &password(from)).0);
    for wrong in [format!("value: x, {from}"), "valueFrom: {env: A, file: b}".to_owned()] {
        let (good, said) = cluster.feed(&["apply", "-n", &namespace, "-f", "-"], &password(&wrong));
        assert!(!good, "{wrong} is taken: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_explained_and_have_no_defaults() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else { return };
    let namespace = cluster.namespace("explain");
    let told = cluster.run(&["explain", "flexibleassettypes.itglue.plumb.dev.spec.fields.kind"]);
    assert!(told.contains("DESCRIPTION") && told.contains("Select"), "{told}");
    let field = |kind: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAssetType\nmetadata: {{name: email}}\nspec:\n  name: Email\n  \
             icon: envelope\n  fields:\n    - {{name: Title, kind: {kind}, order: 1, useForTitle: true, showInList: true}}\n"
        )
    };
    assert!(cluster.feed(&["apply", "-n", &namespace, "-f", "-"], &field("Text")).0);
    let (good, said) = cluster.feed(&["apply", "-n", &namespace, "-f", "-"], &field("Nonsense"));
    assert!(!good && said.contains("Unsupported value"), "{said}");
    for crd in plumb::operator::crds::all(plumb::apis::builtin()) {
        let versions = crd.value["spec"]["versions"].as_array().unwrap();
        let schema = &versions[0]["schema"]["openAPIV3Schema"]["properties"];
        assert!(!has_default(&schema["spec"]), "{} has a default", crd.name);
        assert!(!crd.short_names.is_empty() && crd.value["spec"]["names"]["categories"][0] == "plumb");
    }
}

fn has_default(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.iter().any(|(name, value)| (name == "default" && !value.is_object()) || has_default(value))
        }
        Value::Array(items) => items.iter().any(has_default),
        _ => false,
    }
}
