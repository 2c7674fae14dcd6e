//! The Helm chart: linted, drawn, installed into the API server; and the operator under the chart's own roles.

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::{
    cluster::Cluster,
    example::{output, repository, tool},
    git::{self, Forge},
    operator::{Operated, PATIENCE},
};

fn template(helm: &Path, args: &[&str]) -> String {
    let mut all = vec!["template", "plumb", "charts/plumb", "--namespace=plumb-system", "--set=crds.install=false"];
    all.extend(args);
    let drawn = output(helm, all);
    // The key is another one each time.
    let is_key = |line: &str| line.strip_prefix("  key: ").is_some_and(|key| key.len() > 40 && !key.contains(' '));
    drawn.lines().map(|line| if is_key(line) { "  key: (random)\n".to_owned() } else { format!("{line}\n") }).collect()
}

#[test]
fn the_chart_is_clean_and_draws_what_its_values_say() {
    let Some(helm) = tool("helm") else { return };
    output(&helm, ["lint", "--strict", "charts/plumb"]);
    insta::assert_snapshot!("chart_default", template(&helm, &[]));
    let all = [
        "--set=replicaCount=2",
        "--set=operator.namespaces={team-a,team-b}",
        "--set=operator.allowSecrets={plumb-*}",
        "--set=apis.balena=false",
        "--set=extraApis={tracker}",
        "--set=inventory.url=s3://bucket/plumb",
        "--set=inventory.key.existingSecret=plumb-key",
        "--set=rbac.secretNames={plumb-itglue}",
        "--set=rbac.secretSinks=true",
        "--set=operator.allowAgeKeys={/keys/age.txt}",
        "--set=statusPage.existingSecret=plumb-status",
        "--set=webhooks.existingSecret=plumb-webhooks",
        "--set=webhooks.forges={github}",
        "--set=podDisruptionBudget.enabled=true",
        "--set=networkPolicy.enabled=true",
        "--set=ingress.enabled=true",
        "--set=metrics.serviceMonitor.enabled=true",
        "--set=metrics.prometheusRule.enabled=true",
        "--set=dashboards.enabled=true",
        "--set=extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy.example:3128",
    ];
    insta::assert_snapshot!("chart_all", template(&helm, &all));
    // Definitions come with the release, of the APIs that are on.
    let with = output(&helm, ["template", "plumb", "charts/plumb", "--set=apis.balena=false"]);
    assert!(with.contains("name: organizations.itglue.plumb.dev") && with.contains("name: connections.plumb.dev"));
    assert!(!with.contains("balena.plumb.dev"));
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let Some(helm) = tool("helm") else { return };
    for wrong in [
        "replicaCount=x",
        "operator.interval=soon",
        "apis.nobody=true",
        "image.pullPolicy=Sometimes",
        "webhooks.forges={other}",
        "typo=1",
    ] {
        let refused = Command::new(&helm)
            .args(["template", "plumb", "charts/plumb", "--set", wrong])
            .current_dir(repository(""))
            .output()
            .unwrap();
        assert!(!refused.status.success(), "{wrong} is taken");
    }
}

/// The chart's page, from the comments of its values. `UPDATE_EXPECTED=1` writes it anew.
#[test]
fn the_page_of_the_chart_lists_every_value() {
    let values = fs::read_to_string(repository("charts/plumb/values.yaml")).unwrap();
    let mut out = String::from(
        "# The plumb chart\n\nThe Kubernetes operator of plumb; see [Kubernetes](../../docs/kubernetes.md). Made from \
         `values.yaml`.\n\n```sh\nhelm install plumb charts/plumb --namespace plumb-system --create-namespace\n```\n\n\
         | value | default | what it is |\n| --- | --- | --- |\n",
    );
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut words = String::new();
    for line in values.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        if let Some(comment) = line.trim_start().strip_prefix('#') {
            let comment = comment.trim().trim_start_matches("-- ").trim();
            words = if words.is_empty() { comment.to_owned() } else { format!("{words} {comment}") };
            continue;
        }
        let Some((name, value)) = line.trim_start().split_once(':') else { continue };
        parents.retain(|(depth, _)| *depth < indent);
        let path = parents.iter().map(|(_, name)| format!("{name}.")).collect::<String>() + name;
        if value.trim().is_empty() && words.is_empty() {
            parents.push((indent, name.to_owned()));
            continue;
        }
        let described = parents.iter().any(|(_, parent)| parent.starts_with('\u{1}'));
        if !described {
            let value =
                if value.trim().is_empty() { "see `values.yaml`".to_owned() } else { format!("`{}`", value.trim()) };
            out.push_str(&format!("| `{path}` | {value} | {} |\n", words.replace('|', "\\|")));
        }
        if value.trim().is_empty() {
            parents.push((indent, format!("\u{1}{name}")));
        }
        words.clear();
    }
    let path = repository("charts/plumb/README.md");
    if env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &out).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), out, "UPDATE_EXPECTED=1 writes it anew");
}

/// Installs or upgrades the chart in a namespace of the system.
fn installed(helm: &Path, operated: &Operated, system: &str, verb: &str, values: &[&str]) {
    let out = Command::new(helm)
        .args([verb, "plumb", "charts/plumb", "--namespace", system, "--set=crds.install=false"])
        .args(values)
        .env("KUBECONFIG", operated.cluster.kubeconfig())
        .env("HOME", operated.folder.path())
        .current_dir(repository(""))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_shows_once_goes_to_a_secret_only_where_the_chart_allows_it() {
    let Some(mut operated) = Operated::prepare("sinks").await else { return };
    let Some(helm) = tool("helm") else { return };
    let system = operated.cluster.namespace("system");
    let namespaces = format!("--set=operator.namespaces={{{}}}", operated.namespace);
    installed(&helm, &operated, &system, "install", &[&namespaces]);
    let token = operated.cluster.run(&["create", "token", "plumb", "-n", &system]);
    let kubeconfig = operated.cluster.kubeconfig_of(&format!("of-{system}"), token.trim());
    let command = operated.command(&kubeconfig);
    operated.start_as(command);
    operated.connection("console", "cycloid", "bearer");
    operated.kubectl(&[
        "patch",
        "connection/console",
        "--type=merge",
        "-p",
        r#"{"spec":{"defaults":{"organization":"acme"}}}"#,
    ]);
    operated.apply(
        "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: ci-key}\nspec:\n  name: ci key\n  \
         rules: [{action: \"organization:read\", effect: allow}]\n  secretSink: {secretRef: {name: ci-token, key: token}}\n",
    );
    // Without leave to write the Secret the key is not made: its value would be lost.
    operated.wait("cykey/ci-key", "Ready", "False");
    assert!(!operated.sandbox.log().iter().any(|call| call.method == "POST"), "{:#?}", operated.sandbox.log());
    assert!(operated.get("secret/ci-token").is_none());
    installed(&helm, &operated, &system, "upgrade", &[&namespaces, "--set=rbac.secretSinks=true"]);
    operated.wait("cykey/ci-key", "Ready", "True");
    assert!(operated.get("secret/ci-token").unwrap()["data"]["token"].as_str().unwrap().len() > 8);
    let account = format!("system:serviceaccount:{system}:plumb");
    let may = |verb: &str| {
        operated.cluster.kubectl(&["auth", "can-i", verb, "secrets", "-n", &operated.namespace, "--as", &account]).0
    };
    assert!(may("create") && may("patch") && !may("update") && !may("delete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_works_under_the_roles_of_the_chart_and_may_do_nothing_else() {
    let Some(mut operated) = Operated::prepare("roles").await else { return };
    let Some(helm) = tool("helm") else { return };
    let system = operated.cluster.namespace("system");
    let namespaces = format!("--set=operator.namespaces={{{}}}", operated.namespace);
    installed(&helm, &operated, &system, "install", &[&namespaces]);
    installed(&helm, &operated, &system, "upgrade", &[&namespaces]);
    let token = operated.cluster.run(&["create", "token", "plumb", "-n", &system]);
    let kubeconfig = operated.cluster.kubeconfig_of(&format!("of-{system}"), token.trim());
    let lease = format!("--lease={system}/plumb");
    operated.with(&[&lease]);
    operated.inventory_in(&system);
    let command = operated.command(&kubeconfig);
    operated.start_as(command);
    operated.connection("platform", "rest", "bearer");
    operated.apply("apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: one}\nspec: {name: One, type: standard}\n");
    operated.wait("restres/one", "Ready", "True");
    operated.event("Created", "one");
    operated.kubectl(&["delete", "restres/one", "--timeout=240s"]);
    operated.event("Deleted", "one");
    if git::ready() {
        let forge = Forge::new();
        let resource = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: two}\nspec: {name: Two, type: standard}\n";
        forge.repository("team", &[("two.yaml", resource)]);
        let (_server, plain, _) = forge.https();
        operated.apply(&format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {{name: prod}}\nspec:\n  \
             source: {{git: 'http://127.0.0.1:{plain}/team.git'}}\n  mode: enforce\n  prune: false\n"
        ));
        operated.wait("stack/prod", "Ready", "True");
        assert!(operated.get("configmap/prod-plan").is_some());
    }
    let log = operated.log(0);
    assert!(!log.contains("orbidden") && !log.contains(" 403"), "{log}");

    let account = format!("system:serviceaccount:{system}:plumb");
    let other = operated.cluster.namespace("other");
    let may = |verb: &str, what: &str, namespace: &str| {
        operated.cluster.kubectl(&["auth", "can-i", verb, what, "-n", namespace, "--as", &account]).0
    };
    assert!(
        may("get", "secrets", &operated.namespace)
            && may("patch", "resources.rest.plumb.dev/status", &operated.namespace)
    );
    for (verb, what) in [
        ("create", "secrets"),
        ("update", "secrets"),
        ("delete", "secrets"),
        ("delete", "resources.rest.plumb.dev"),
        ("create", "resources.rest.plumb.dev"),
        ("get", "configmaps"),
        ("delete", "configmaps"),
        ("list", "pods"),
        ("create", "pods"),
        ("create", "customresourcedefinitions"),
        ("get", "leases"),
    ] {
        assert!(!may(verb, what, &operated.namespace), "it may {verb} {what}");
    }
    // The record is in the operator's namespace, and nothing else there is its business.
    assert!(
        may("create", "secrets", &system) && !may("create", "configmaps", &system) && !may("list", "pods", &system)
    );
    assert!(!may("get", "secrets", &other) && !may("list", "resources.rest.plumb.dev", &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_installs_definitions_and_keeps_them() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::empty).await.unwrap() else { return };
    let Some(helm) = tool("helm") else { return };
    let run = |args: &[&str]| {
        let out = Command::new(&helm)
            .args(args)
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HOME", cluster.folder.path())
            .current_dir(repository(""))
            .output()
            .unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let notes = run(&["install", "plumb", "charts/plumb", "--namespace=plumb-system", "--create-namespace"]);
    assert!(notes.contains("kubectl get plumb"), "{notes}");
    let names = |cluster: &Cluster| -> BTreeSet<String> {
        let list: Value = serde_json::from_str(&cluster.run(&["get", "crd", "-o", "json"])).unwrap();
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|crd| crd["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let installed = names(cluster);
    let expected: BTreeSet<String> =
        plumb::operator::crds::all(plumb::apis::builtin()).into_iter().map(|crd| crd.name).collect();
    assert_eq!(installed, expected);
    cluster.until("they are established", PATIENCE, || {
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).0.then_some(())
    });
    run(&["upgrade", "plumb", "charts/plumb", "--namespace=plumb-system", "--set=replicaCount=2"]);
    run(&["uninstall", "plumb", "--namespace=plumb-system"]);
    assert_eq!(names(cluster), expected, "uninstalling takes the resources of users away");
}
