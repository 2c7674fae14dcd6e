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
