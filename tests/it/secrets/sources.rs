//! Every source of sensitive values, through the program: a cluster behind TLS, files that `sops` encrypted, and what is
//! told where one cannot be had.

use std::{fs, process::Output};

use plumb::{
    pipeline::{self, Options},
    plan::Mode,
    secret::{AgeKeys, Cluster as From, ResolvePolicy},
};
use serde_json::json;

use crate::support::{
    example::{plumb, repository},
    leaks,
    secret_server::Cluster,
    stack::Stack,
};

/// A stack of webhooks, each with its secret from somewhere else.
async fn stack(sources: &[&str]) -> Stack {
    let stack = Stack::start(&["rest"]).await;
    let mut text = String::new();
    for (number, source) in sources.iter().enumerate() {
        text.push_str(&format!(
            "---\napiVersion: rest.plumb.dev/v1alpha1\nkind: Webhook\nmetadata: {{name: hook-{number}, namespace: {}}}\n\
             spec: {{url: 'https://hooks.example.com/{number}', events: [resource.created], secret: {{valueFrom: {source}}}}}\n",
            if source.contains("home") { "home" } else { "''" }
        ).replace(", namespace: ''", ""));
    }
    stack.write("hooks.yaml", &text);
    stack
}

fn run(stack: &Stack, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = plumb();
    command.args(args).current_dir(stack.folder.path());
    for (name, url) in &stack.options.connections {
        command.arg(format!("--connection={name}={url}"));
    }
    for name in ["KUBECONFIG", "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "XDG_CONFIG_HOME", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(name);
    }
    command.env("HOME", stack.folder.path()).envs(variables.iter().copied());
    let output = command.output().unwrap();
    leaks::assert_none("standard output", &output.stdout);
    leaks::assert_none("standard error", &output.stderr);
    output
}

fn secrets(stack: &Stack) -> Vec<String> {
    let mut found: Vec<(String, String)> = stack
        .sandbox
        .objects("rest", "Webhook")
        .iter()
        .map(|object| object["attributes"].clone())
        .map(|hook| (hook["url"].as_str().unwrap().to_owned(), hook["secret"].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    found.into_iter().map(|(_, secret)| secret).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clusters_secrets_are_read_once_each_by_the_kubeconfig() {
    let stack = stack(&[
        "{secretKeyRef: {name: hooks, key: first}}",
        "{secretKeyRef: {name: hooks, key: second.txt}}",
        "{secretKeyRef: {name: shared, key: token, namespace: other}}",
        "{secretKeyRef: {name: home, key: token}}",
    ])
    .await;
    let cluster = Cluster::start(
        stack.folder.path(),
        &[
            ("shop/hooks", &[("first", b"correct-horse-first"), ("second.txt", "correct-horse-zw\u{f6}lf".as_bytes())]),
            ("other/shared", &[("token", b"correct-horse-shared")]),
            ("home/home", &[("token", b"correct-horse-home")]),
        ],
    )
    .await;
    let config = cluster.config.display().to_string();
    let ran = run(&stack, &["apply", "--yes", "-vvv"], &[("KUBECONFIG", &config)]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(
        secrets(&stack),
        ["correct-horse-first", "correct-horse-zwölf", "correct-horse-shared", "correct-horse-home"]
    );
    let mut asked = cluster.requests();
    asked.sort();
    assert_eq!(
        asked,
        [
            "/api/v1/namespaces/home/secrets/home",
            "/api/v1/namespaces/other/secrets/shared",
            "/api/v1/namespaces/shop/secrets/hooks",
        ]
    );
    // The usual place does as well.
    fs::create_dir(stack.path(".kube")).unwrap();
    fs::copy(&cluster.config, stack.path(".kube/config")).unwrap();
    let ran = run(&stack, &["plan", "--detailed-exitcode"], &[]);
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    // Simulated APIs need no cluster.
    cluster.requests();
    let ran = run(&stack, &["plan", "--sandbox"], &[]);
    assert!(ran.status.success() && cluster.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_does_not_give_is_told() {
    let stack = stack(&[
        "{secretKeyRef: {name: hooks, key: frist}}",
        "{secretKeyRef: {name: nobody, key: a}}",
        "{secretKeyRef: {name: any, key: a, namespace: forbidden}}",
        "{secretKeyRef: {name: any, key: a, namespace: broken}}",
        "{secretKeyRef: {name: hooks, key: binary}}",
        "{secretKeyRef: {name: hooks, key: empty}}",
    ])
    .await;
    let cluster = Cluster::start(
        stack.folder.path(),
        &[
            ("shop/hooks", &[("first", b"correct-horse-first"), ("binary", b"\xff\xfe"), ("empty", b"")]),
            ("broken/any", &[("a", b"correct-horse-a")]),
        ],
    )
    .await;
    let config = cluster.config.display().to_string();
    let ran = run(&stack, &["plan", "-vvv"], &[("KUBECONFIG", &config)]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1));
    for expected in [
        "The Secret `shop/hooks` has no key `frist` that is text: `secret` of `rest/Webhook/hook-0` needs it.",
        "Did you mean `first`?",
        "There is no Secret `shop/nobody`",
        "The Secret `forbidden/any` cannot be read (it is forbidden)",
        "kubectl auth can-i get secrets/any -n forbidden",
        "The Secret `broken/any` cannot be read (the API server's answer is not a Secret in JSON)",
        "has no key `binary` that is text",
        "The key `empty` of the Secret `shop/hooks` is empty",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    let text = fs::read_to_string(&cluster.config).unwrap();
    fs::write(&cluster.config, text.replace("correct-horse-cluster-token", "correct-horse-wrong-token")).unwrap();
    let told = run(&stack, &["plan"], &[("KUBECONFIG", &config)]).stderr;
    assert!(String::from_utf8_lossy(&told).contains("does not take the credential of the kubeconfig"));
    // Another authority than the one that signed.
    let other = Stack::start(&["rest"]).await;
    let others = Cluster::start(other.folder.path(), &[]).await;
    let (own, other) = (text, fs::read_to_string(&others.config).unwrap());
    let line = |text: &str| text.lines().find(|line| line.contains("certificate-authority")).unwrap().to_owned();
    fs::write(&cluster.config, own.replace(&line(&own), &line(&other))).unwrap();
    let told = run(&stack, &["plan"], &[("KUBECONFIG", &config)]).stderr;
    assert!(String::from_utf8_lossy(&told).contains("cannot be read"), "{}", String::from_utf8_lossy(&told));
    assert!(String::from_utf8_lossy(&told).contains("certificate"), "{}", String::from_utf8_lossy(&told));
    let told = run(&stack, &["plan"], &[]).stderr;
    assert!(String::from_utf8_lossy(&told).contains("No Kubernetes cluster can be asked"));
    assert!(String::from_utf8_lossy(&told).contains("Point `KUBECONFIG` at a kubeconfig file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_sops_are_opened_by_the_keys_of_the_environment() {
    let stack = stack(&[
        "{sops: {file: sops/values.yaml, key: database.password}}",
        "{sops: 'sops/values.json#/list/1/token'}",
        "{sops: {file: sops/whole}}",
        "{sops: {file: sops/encrypted-regex.yaml, key: [stringData, password]}}",
    ])
    .await;
    fs::create_dir(stack.path("sops")).unwrap();
    for file in ["values.yaml", "values.json", "whole", "encrypted-regex.yaml", "keys.txt", "other-keys.txt"] {
        fs::copy(repository("tests/cases/sops").join(file), stack.path("sops").join(file)).unwrap();
    }
    // keys.txt is no manifest, and files that `sops` made are not ours.
    let none = run(&stack, &["plan"], &[]);
    let told = String::from_utf8_lossy(&none.stderr);
    assert!(told.contains("cannot be decrypted, since there is no age key: it is for `age1"), "{told}");
    assert!(told.contains("SOPS_AGE_KEY_FILE"), "{told}");
    let wrong = run(&stack, &["plan"], &[("SOPS_AGE_KEY_FILE", "sops/other-keys.txt")]);
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert!(told.contains("sops/values.yaml` has a data key that none of the age keys opens"), "{told}");
    let missing = run(&stack, &["plan"], &[("SOPS_AGE_KEY_FILE", "nowhere")]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("The age keys of `nowhere` cannot be used"));
    let by_file = run(&stack, &["plan"], &[("SOPS_AGE_KEY_FILE", "sops/keys.txt")]);
    assert!(by_file.status.success(), "{}", String::from_utf8_lossy(&by_file.stderr));
    let key = fs::read_to_string(stack.path("sops/keys.txt")).unwrap();
    assert!(run(&stack, &["plan"], &[("SOPS_AGE_KEY", &key)]).status.success());
    // In a configuration folder, as `sops` has it.
    fs::create_dir_all(stack.path(".config/sops/age")).unwrap();
    fs::rename(stack.path("sops/keys.txt"), stack.path(".config/sops/age/keys.txt")).unwrap();
    let applied = run(&stack, &["apply", "--yes"], &[]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let expected = [
        "correct-horse-Quai9eipha",
        "correct-horse-Zee1phiewu",
        "correct-horse-Quai9eipha\n",
        "correct-horse-Quai9eipha",
    ];
    assert_eq!(secrets(&stack), expected);
    let text = fs::read_to_string(stack.path("sops/encrypted-regex.yaml")).unwrap();
    stack.write("sops/encrypted-regex.yaml", &text.replace("kind: Secret", "kind: Other"));
    let changed = run(&stack, &["plan"], &[]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&changed.stderr).contains("MAC that does not fit"), "{changed:?}");
}

/// What the agent and the operator start from.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_policy_reads_nothing_and_an_opened_one_what_it_lists() {
    let mut stack = stack(&[
        "{env: HOME}",
        "{file: secrets/one}",
        "{exec: [cat, secrets/one]}",
        "{secretKeyRef: {name: hooks, key: first}}",
        "{sops: 'sops/values.yaml#database.password'}",
    ])
    .await;
    for folder in ["secrets", "sops"] {
        fs::create_dir(stack.path(folder)).unwrap();
    }
    stack.write("secrets/one", "correct-horse-one");
    fs::copy(repository("tests/cases/sops/values.yaml"), stack.path("sops/values.yaml")).unwrap();
    let cluster = Cluster::start(stack.folder.path(), &[("shop/hooks", &[("first", b"correct-horse-first")])]).await;
    let closed = ResolvePolicy { folders: Some(vec![stack.path("nowhere")]), ..ResolvePolicy::closed() };
    let policy = |stack: &Stack, secrets: ResolvePolicy| Options { secrets, ..stack.options.clone() };
    let told = |planned: &pipeline::Planned| -> Vec<String> {
        planned.diagnostics.iter().filter(|one| one.is_error()).map(|one| one.code.to_string()).collect()
    };
    // The connection's own key is in a file, too.
    let planned = pipeline::plan(&policy(&stack, closed), Mode::Plan).await.unwrap();
    assert_eq!(told(&planned), ["PL0310", "PL0310", "PL0310", "PL0313", "PL0315", "PL0310"]);
    assert!(cluster.requests().is_empty());
    let config = kube::config::Kubeconfig::read_from(&cluster.config).unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let opened = ResolvePolicy {
        variables: Some(vec!["HO*".into()]),
        folders: Some(vec![stack.folder.path().to_path_buf()]),
        secrets: Some(vec!["other/*".into()]),
        cluster: From::Client(client),
        age_keys: AgeKeys::Listed { files: vec![repository("tests/cases/sops/keys.txt")], texts: Vec::new() },
        ..ResolvePolicy::closed()
    };
    let planned = pipeline::plan(&policy(&stack, opened.clone()), Mode::Plan).await.unwrap();
    assert_eq!(told(&planned), ["PL0313", "PL0310"], "programs never run, and the Secret is not listed");
    assert!(cluster.requests().is_empty(), "what may not be read is not asked for");
    stack.options = policy(&stack, ResolvePolicy { secrets: Some(vec!["shop/ho*".into()]), ..opened });
    let planned = stack.plan().await;
    assert_eq!(told(&planned), ["PL0313"]);
    assert_eq!(cluster.requests(), ["/api/v1/namespaces/shop/secrets/hooks"]);
    assert!(json!(planned.document).to_string().contains("hook-3"));
}
