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
    object["created_at"] = json!(jiff::Timestamp::now().as_second());
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
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    assert_eq!(desk.server.writes(), Vec::<String>::new());
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

/// A create that failed made nothing, and a person makes a key of that name afterwards.
async fn a_person_makes_the_key(rules: &str, later: i64) -> (Desk, plumb::pipeline::Planned) {
    let desk = Desk::start(KEY).await;
    desk.whim(|asked, _| {
        asked.is("POST /organizations/acme/api_keys").then(|| Reply::html(502, "<h1>Bad gateway</h1>"))
    });
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    let made = jiff::Timestamp::now().as_second() + later;
    let key = json!({
        "canonical": "ci-key", "name": "Continuous integration", "last_seven": "ofsomeo", "created_at": made,
        "rules": [{"action": rules, "effect": "allow", "resources": []}],
    });
    desk.console.lock().unwrap().put("/organizations/acme/api_keys", key);
    desk.whim(issue);
    desk.server.clear_log();
    let planned = desk.plan().await;
    (desk, planned)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_made_after_a_create_that_failed_is_not_deleted() {
    // Other rules than were sent, at once.
    let (_, planned) = a_person_makes_the_key("organization:**", 0).await;
    assert_eq!(codes(&planned.diagnostics), ["PL0514"], "{:?}", lines(&planned.document));
    assert_eq!(planned.document.actions, []);
    assert!(planned.diagnostics[0].message.contains("not as it was sent"), "{}", planned.diagnostics[0].message);
    // The same rules, when the request could not take effect any more: it may be taken over, and its token stays.
    let (desk, planned) = a_person_makes_the_key("organization:read", 120).await;
    assert_eq!(planned.document.summary.replace, 0, "{:?}", lines(&planned.document));
    desk.apply().await;
    assert!(desk.server.writes().iter().all(|call| !call.starts_with("DELETE")), "{:?}", desk.server.writes());
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
