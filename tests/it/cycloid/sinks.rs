//! The token of a new key is shown once: it goes to its sink, and nowhere else.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use plumb::plan::{ActionKind, Outcome};

use super::{Desk, codes};
use crate::support::{
    stack::lines,
    wild::{Asked, Reply},
};

const KEY: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: ApiKey
metadata: {name: ci-key}
spec:
  name: Continuous integration
  rules: [{action: "organization:read", effect: allow}]
  secretSink: {file: keys/ci.token}
"#;
const TOKEN: &str = "token-that-is-shown-once";

/// The answer to a create has the token, and no other answer has.
fn issue(asked: &Asked, console: &mut super::Console) -> Option<Reply> {
    if !asked.is("POST /organizations/acme/api_keys") {
        return None;
    }
    let mut object = asked.body.clone();
    object["last_seven"] = json!(&TOKEN[TOKEN.len() - 7..]);
    console.put(&asked.path, object.clone());
    object["token"] = TOKEN.into();
    Some(Reply::json(200, &json!({"data": object})))
}

fn inventory(desk: &Desk) -> String {
    let folder = fs::read_dir(desk.folder.path().join(".plumb")).unwrap();
    folder.map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_to_a_file_of_its_owner_alone_and_nowhere_else() {
    let desk = Desk::start(KEY).await;
    desk.whim(issue);
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Done), "{:?}", applied.document.actions[0].error);
    let file = desk.folder.path().join("keys/ci.token");
    assert_eq!(fs::read_to_string(&file).unwrap(), TOKEN);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!serde_json::to_string(&applied.document).unwrap().contains(TOKEN));
    assert!(!inventory(&desk).contains(TOKEN));
    assert_eq!(desk.bodies("POST", "/api_keys")[0].get("secret_sink"), None);
    desk.converge().await;
    assert_eq!(fs::read_to_string(&file).unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sink_that_can_be_written_no_key_is_made() {
    let desk = Desk::start(&KEY.replace("  secretSink: {file: keys/ci.token}\n", "")).await;
    desk.whim(issue);
    assert_eq!(codes(&desk.plan().await.diagnostics), ["PL0501"]);
    desk.write(KEY);
    fs::write(desk.folder.path().join("keys"), "a file where a folder should be").unwrap();
    let applied = desk.apply().await;
    let error = applied.document.actions[0].error.clone().unwrap();
    assert!(error.contains("ci.token` cannot be written"), "{error}");
    assert_eq!(desk.server.writes(), Vec::<String>::new());
    // Where there is no cluster, there is no Secret to put it into.
    desk.write(&KEY.replace("{file: keys/ci.token}", "{secretRef: {name: ci, key: token}}"));
    assert_eq!(codes(&desk.plan().await.diagnostics), ["PL0140"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_lost_with_the_answer_is_made_anew() {
    let desk = Desk::start(KEY).await;
    desk.whim(|asked, console| issue(asked, console).map(|_| Reply::Reset));
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    desk.whim(issue);
    let planned = desk.plan().await;
    assert_eq!(planned.document.actions[0].action, ActionKind::Replace, "{:?}", lines(&planned.document));
    desk.server.clear_log();
    desk.converge().await;
    assert_eq!(
        desk.server.writes(),
        ["DELETE /organizations/acme/api_keys/ci-key", "POST /organizations/acme/api_keys"]
    );
    assert_eq!(fs::read_to_string(desk.folder.path().join("keys/ci.token")).unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_are_another_key_and_the_callers_own_stays() {
    let desk = Desk::start(KEY).await;
    desk.whim(issue);
    desk.converge().await;
    let other = KEY.replace("organization:read", "organization:**");
    desk.write(&other);
    let planned = desk.plan().await;
    assert_eq!(planned.document.actions[0].action, ActionKind::Replace);
    // The key that plumb runs with: its end is that of the connection's token.
    let mut end = "token-of-the-caller".to_owned();
    let end = end.split_off(end.len() - 7);
    desk.console.lock().unwrap().at("/organizations/acme/api_keys/ci-key").unwrap()["last_seven"] = json!(end);
    assert_eq!(codes(&desk.plan().await.diagnostics), ["PL0610"]);
}
