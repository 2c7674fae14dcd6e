//! What is wrong with a configuration is told like what is wrong with a manifest: all of it, each with its place.

use std::path::Path;

use plumb::{agent::config, report};

fn diagnostics(text: &str) -> String {
    let read = config::parse("agent.yaml", Path::new("/nowhere"), text);
    assert!(read.config.is_none(), "{text}");
    let style = report::Style { color: false, width: 100, verbose: false };
    report::diagnostics(&read.diagnostics, &read.sources, style)
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "\
apiVersion: plumb.dev/v1alpha1
kind: Agent
spec:
  state: /var/lib/plumb
  worker: 4
  stacks:
    - name: prod
      source: {folder: /srv/prod}
      mode: enforced
      interval: 5 minutes
    - name: prod
      source: {folder: /srv/other}
";
    insta::assert_snapshot!("config_mistakes", diagnostics(text));
}

#[test]
fn what_refers_to_nothing_is_told_with_what_is_near() {
    let text = "\
apiVersion: plumb.dev/v1alpha1
kind: Agent
spec:
  state: /var/lib/plumb
  endpoint: {listen: 'nowhere:port:1'}
  forges:
    - {name: github, type: github, token: {valueFrom: {exec: [cat, token]}}}
  stacks:
    - name: prod
      source: {git: 'https://git.example/infra.git', folder: /srv}
    - name: test
      source: {git: 'https://jane:hunter2-hunter2@git.example/infra.git'}
    - name: dev
      source: {git: 'https://git.example/infra.git', credential: depoy}
      forge: githb
      windows: [{from: '22:00', to: '06:00', timezone: Europe/Berlon}]
";
    let told = diagnostics(text);
    insta::assert_snapshot!("config_references", told);
    assert!(!told.contains("hunter2"), "{told}");
}

/// Errors of every sort are told in one go, and none that only follows from another.
#[test]
fn what_is_wrong_in_one_place_hides_nothing_elsewhere() {
    let text = "\
apiVersion: plumb.dev/v1alpha1
kind: Agent
spec:
  state: /var/lib/plumb
  workers: none
  endpoint: {listen: '127.0.0.1:70000'}
  forges:
    - {name: git, type: gitlabb, token: {valueFrom: {env: PLUMB_TEST_NOWHERE}}}
    - {name: hub, type: github, token: {valueFrom: {env: PLUMB_TEST_NOWHERE}}}
  webhooks:
    - {name: hook, type: github, secret: {valueFrom: {envv: PLUMB_TEST_NOWHERE}}}
  stacks:
    - name: prod
      source: {git: 'https://git.example/infra.git?reff=main', credential: deploy}
      mode: enforced
      windows: [{from: '25:00', to: '06:00', timezone: Europe/Berlon}]
      forge: git
      notify: [chat]
    - name: prod
      source: {folder: /srv/prod}
      interval: 0s
      forge: hup
      limits: {maxDeletes: five}
      inventory: s4://bucket
    - name: test
      source: {folder: /srv/test, path: test}
";
    let read = config::parse("agent.yaml", Path::new("/nowhere"), text);
    let told: Vec<String> = read
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let line = diagnostic.place.map(|place| place.line);
            format!("{}: {} {}", line.unwrap_or_default(), diagnostic.code, diagnostic.message)
        })
        .collect();
    insta::assert_snapshot!("config_all_at_once", told.join("\n"));
}

#[test]
fn secrets_in_plain_text_are_refused_and_not_shown() {
    let text = "\
apiVersion: plumb.dev/v1alpha1
kind: Agent
spec:
  state: /var/lib/plumb
  endpoint: {listen: '127.0.0.1:8080', token: a-token-in-plain-text}
  stacks:
    - name: prod
      source: {folder: /srv/prod}
";
    let told = diagnostics(text);
    assert!(told.contains("endpoint.token") && !told.contains("a-token-in-plain-text"), "{told}");
}

#[test]
fn a_page_for_others_needs_a_token() {
    let text = "\
apiVersion: plumb.dev/v1alpha1
kind: Agent
spec:
  state: /var/lib/plumb
  endpoint: {listen: '0.0.0.0:8080', statusPage: true}
  stacks:
    - name: prod
      source: {folder: /srv/prod}
";
    let told = diagnostics(text);
    assert!(told.contains("The status page cannot be served to other machines without a `token`."), "{told}");
}

#[test]
fn the_example_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agent");
    let variables = std::fs::read_to_string(folder.join("agent.env")).unwrap();
    let pairs = variables.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_plumb"))
        .args(["agent", "check", "--config", "agent.yaml"])
        .envs(pairs)
        .current_dir(&folder)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    // The unit starts what the command line takes.
    let unit = std::fs::read_to_string(folder.join("plumb-agent.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let arguments = start.split(' ').map(std::ffi::OsString::from);
    assert!(plumb::cli::parse(arguments, plumb::cli::Environment::Empty).is_ok(), "{start}");
}

/// Follows the page that tells how the agent becomes a service, in a folder that stands for the machine's root, and has
/// systemd look at what is there then.
#[test]
fn the_service_is_as_systemd_wants_it() {
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        let missing = "the test of the agent's unit needs systemd-analyze: run `tests/run`";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(repository.join("docs/agent.md")).unwrap();
    let commands = page.split("```text\n").find(|block| block.starts_with("install ")).unwrap();
    let commands = commands.split("```").next().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut installed = 0;
    for line in commands.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let ["install", options @ .., from, to] = &words[..] else {
            assert!(["useradd", "systemctl"].contains(&words[0]), "{line}");
            continue;
        };
        let from = match *from {
            "plumb" => Path::new(env!("CARGO_BIN_EXE_plumb")).to_path_buf(),
            name => repository.join("examples/agent").join(name),
        };
        let to = root.path().join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("install").args(options).arg(from).arg(to).status().unwrap().success());
        installed += 1;
    }
    assert_eq!(installed, 4, "{commands}");
    let unit = root.path().join("etc/systemd/system/plumb-agent.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    for path in ["/usr/local/bin/plumb", "/etc/plumb/agent.yaml", "/etc/plumb/agent.env"] {
        assert!(text.contains(path) && root.path().join(&path[1..]).exists(), "{path}");
    }
    let analyze = |arguments: &[&str]| {
        let output = std::process::Command::new("systemd-analyze").args(arguments).arg(&unit).output().unwrap();
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{told}");
        told
    };
    // The machine that looks has no plumb where the unit starts one.
    let here = root.path().join("usr/local/bin/plumb");
    std::fs::write(&unit, text.replace("/usr/local/bin/plumb", &here.display().to_string())).unwrap();
    assert_eq!(analyze(&["verify", "--man=no"]), "");
    // Exposure in tenths: what it may do is little.
    analyze(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
}
