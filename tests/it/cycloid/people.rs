//! People who have not accepted yet, or go by another address; accounts of several organizations; credentials in use.

use serde_json::{Value, json};

use plumb::{
    export::Wanted,
    pipeline::{self, ExportOptions, Options},
    plan::{Mode, Outcome},
};

use super::{Desk, codes, console::errors};
use crate::support::{stack::lines, wild::Reply};

const TEAM: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Role
metadata: {name: deployer}
spec: {name: Deployer, rules: [{action: "organization:read", effect: allow}]}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Team
metadata: {name: platform}
spec: {name: Platform, owner: OWNER, roles: [deployer]}
"#;

fn member(desk: &Desk, row: Value) {
    let mut row = row;
    row["role"] = json!({"canonical": "organization-member"});
    desk.put("/organizations/acme/members", row);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_has_not_accepted_yet_is_waited_for_and_the_rest_goes_on() {
    for owner in ["alice@example.com", "alice"] {
        let desk = Desk::start(&TEAM.replace("OWNER", owner)).await;
        member(&desk, json!({"invitation_email": "alice@example.com", "invitation_state": "pending"}));
        let options = Options { keep_key: true, ..desk.options.clone() };
        let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
        assert_eq!(codes(&planned.diagnostics), ["PL0531"], "{owner}");
        let applied = pipeline::apply(planned, &options).await.unwrap();
        assert!(applied.document.actions.iter().all(|action| action.outcome == Some(Outcome::Done)));
        let made = desk.bodies("POST", "/teams").pop().unwrap();
        assert_eq!(made, json!({"name": "Platform", "canonical": "platform", "roles_canonical": ["deployer"]}));
        // Nothing is left to do but to wait.
        let planned = desk.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new());
        assert_eq!(codes(&planned.diagnostics), ["PL0531"]);
    }
    // Where nobody is to come, it is a mistake.
    let desk = Desk::start(&TEAM.replace("OWNER", "alcie")).await;
    member(&desk, json!({"username": "alice", "email": "alice@example.com", "invitation_state": "accepted"}));
    assert_eq!(codes(&desk.plan().await.diagnostics), ["PL0202"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepted_with_another_address_is_found_by_the_one_that_was_invited() {
    let members = format!(
        "{}  members: [{{email: alice@example.com}}]\n",
        TEAM.replace("{name: Platform, owner: OWNER, roles: [deployer]}", "\n  name: Platform\n  roles: [deployer]")
    );
    let desk = Desk::start(&members).await;
    member(
        &desk,
        json!({"username": "eve1", "email": "eve@example.com", "invitation_email": "alice@example.com", "invitation_state": "accepted"}),
    );
    desk.whim(|asked, console| {
        let post = asked.is("POST /organizations/acme/teams/platform/members");
        let known = asked.body["username"] == "eve1";
        if post && known {
            console.put(&asked.path, json!({"username": "eve1", "email": "eve@example.com"}));
            let made = console.objects[&asked.path].values().next().unwrap().clone();
            return Some(Reply::json(200, &json!({ "data": made })));
        }
        post.then(|| errors(422, "Nobody has that name."))
    });
    desk.converge().await;
    let sent = desk.bodies("POST", "/teams/platform/members");
    assert_eq!(sent, [json!({"username": "eve1"})]);
}

/// A team with one member.
fn team_of(member: &str) -> String {
    let spec = "\n  name: Platform\n  roles: [deployer]\n  members: [{MEMBER}]";
    TEAM.replace(" {name: Platform, owner: OWNER, roles: [deployer]}", &spec.replace("MEMBER", member))
}

/// Adds members of the team by their usernames, and refuses whoever is no member of the organization.
fn takes_members(desk: &Desk) {
    desk.whim(|asked, console| {
        if !asked.is("POST /organizations/acme/teams/platform/members") {
            return None;
        }
        let known = console.objects.get("/organizations/acme/members").into_iter().flatten();
        let Some(who) = known.map(|(_, row)| row).find(|row| row["username"] == asked.body["username"]).cloned() else {
            return Some(errors(422, "Nobody has that name."));
        };
        console.put(&asked.path, json!({"username": who["username"], "email": who["email"]}));
        let made = console.objects[&asked.path].values().next().unwrap().clone();
        Some(Reply::json(200, &json!({ "data": made })))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_still_is_waited_for_without_a_call() {
    for named in ["email: Alice@example.com", "username: alice"] {
        let desk = Desk::start(&team_of(named)).await;
        takes_members(&desk);
        member(&desk, json!({"invitation_email": "alice@example.com", "invitation_state": "pending"}));
        for first in [true, false] {
            desk.server.clear_log();
            let applied = desk.apply().await;
            let last = applied.document.actions.last().unwrap();
            assert_eq!((last.outcome, last.requests.len()), (Some(Outcome::Waiting), 0), "{named}");
            assert!(last.notes[0].contains("not been accepted"), "{:?}", last.notes);
            assert_eq!(desk.server.writes().is_empty(), !first, "{:?}", desk.server.writes());
            assert!(desk.bodies("POST", "/members").is_empty());
        }
        let console = desk.console.lock().unwrap().objects.remove("/organizations/acme/members").unwrap();
        assert_eq!(console.len(), 1);
        member(
            &desk,
            json!({"username": "alice", "email": "alice@example.com", "invitation_email": "alice@example.com", "invitation_state": "accepted"}),
        );
        desk.converge().await;
        assert_eq!(desk.bodies("POST", "/teams/platform/members"), [json!({"username": "alice"})]);
    }
    // Where nobody is invited, it is a mistake that the API is asked about.
    let desk = Desk::start(&team_of("username: alcie")).await;
    takes_members(&desk);
    member(&desk, json!({"username": "alice", "email": "alice@example.com", "invitation_state": "accepted"}));
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions.last().unwrap().outcome, Some(Outcome::Failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_named_by_another_of_their_names_is_the_same_member() {
    let desk = Desk::start(&team_of("username: bob")).await;
    takes_members(&desk);
    member(&desk, json!({"username": "bob", "email": "bob@example.com", "invitation_state": "accepted"}));
    desk.converge().await;
    desk.write(&team_of("email: bob@example.com"));
    let options = Options { keep_key: true, prune: true, ..desk.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!((lines(&planned.document), codes(&planned.diagnostics)), (Vec::new(), Vec::new()));
    desk.server.clear_log();
    pipeline::apply(planned, &options).await.unwrap();
    assert_eq!(desk.server.writes(), Vec::<String>::new());
    // It is owned under its new name, and goes with it.
    desk.write(&team_of("username: bob").replace("  members: [{username: bob}]", ""));
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), ["delete cycloid/Team/platform#members/bob@example.com (removed)"]);
    // Named twice, they are told apart by nobody.
    desk.write(&team_of("username: bob}, {email: bob@example.com"));
    assert_eq!(codes(&desk.plan().await.diagnostics), ["PL0507", "PL0508"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_several_organizations_names_the_roles_of_each() {
    let desk = Desk::start("").await;
    for organization in ["acme", "labs"] {
        desk.put("/organizations", json!({"canonical": organization, "name": organization}));
        let role = json!({"canonical": "admin", "name": "Admin", "description": "", "default": true, "rules": [{"id": 1, "action": "organization:**", "effect": "allow"}]});
        desk.put(&format!("/organizations/{organization}/roles"), role);
        let member = json!({"username": "jane", "email": "jane@example.com", "invitation_state": "accepted", "role": {"canonical": "admin"}});
        desk.put(&format!("/organizations/{organization}/members"), member);
    }
    desk.whim(|asked, _| asked.path.ends_with("/children").then(|| Reply::json(200, &json!({"data": []}))));
    let wanted = ["Role", "Member"].map(|kind| Wanted { api: None, kind: kind.to_owned(), pattern: None });
    let asked = ExportOptions { wanted: wanted.to_vec(), ..ExportOptions::default() };
    let found = pipeline::export(&desk.options, &asked).await.unwrap();
    let texts: Vec<String> = found.exported.documents.iter().map(|document| document.text.clone()).collect();
    let text = texts.join("---\n");
    assert!(text.contains("role: admin\n") && text.contains("role: labs-admin\n"), "{text}");
    desk.write(&text);
    let planned = desk.plan().await;
    assert_eq!(codes(&planned.diagnostics), Vec::<&str>::new());
    assert!(planned.document.actions.iter().all(|action| action.changes.is_empty()), "{:?}", lines(&planned.document));
    assert_eq!(planned.document.actions.len(), 4);
}

const CREDENTIAL: &str = r"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Credential
metadata: {name: git}
spec: {name: Git, type: basic_auth, path: PATH, raw: {username: robot, password: {valueFrom: {file: secret}}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_a_credential_in_use_is_changed_in_place_with_a_warning() {
    let desk = Desk::start(&CREDENTIAL.replace("PATH", "git/one")).await;
    desk.converge().await;
    desk.whim(|asked, _| (asked.method == "DELETE").then(|| errors(409, "The credential is in use.")));
    desk.write(&CREDENTIAL.replace("PATH", "git/two"));
    let planned = desk.plan().await;
    assert_eq!(lines(&planned.document), ["update cycloid/Credential/git (changed) /path"]);
    assert!(planned.document.actions[0].notes[0].contains("former path"), "{:?}", planned.document.actions[0].notes);
    desk.converge().await;
    assert_eq!(desk.bodies("PUT", "/credentials/git").pop().unwrap()["path"], "git/two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_once() {
    let desk = Desk::start(&format!("{TEAM}---{CREDENTIAL}").replace("OWNER", "jane").replace("PATH", "git")).await;
    desk.whim(|_, _| Some(errors(401, "The token is not valid.")));
    let planned = desk.plan().await;
    assert_eq!(codes(&planned.diagnostics), ["PL0422"]);
    assert!(
        planned.diagnostics.iter().any(|told| told.hints.iter().any(|hint| hint.contains("refused in the same way")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_ones_own_are_stubs_by_their_names_and_parts_of_accounts_are_not_exported_twice() {
    let desk = Desk::start("").await;
    desk.put("/organizations", json!({"canonical": "acme", "name": "Acme"}));
    desk.put(
        "/organizations/acme/credentials",
        json!({"canonical": "chat", "name": "Chat", "type": "custom", "path": "chat", "keys": ["channel", "token"], "raw": {"raw": {"channel": "x", "token": "y"}}}),
    );
    let backend = json!({"purpose": "cost_explorer", "default": false, "credential_canonical": "chat", "configuration": {"engine": "AWSStorage", "bucket": "b", "region": "eu"}});
    desk.put("/organizations/acme/external_backends", backend.clone());
    let mut named = backend;
    named["id"] =
        desk.console.lock().unwrap().objects["/organizations/acme/external_backends"].values().next().unwrap()["id"]
            .clone();
    let account = json!({"canonical": "awscosts", "name": "AWS", "enabled": true, "external_backend": named});
    desk.whim(move |asked, _| {
        let empty = asked.path.ends_with("/children");
        let accounts = asked.is("GET /organizations/acme/cloud_cost_management/accounts");
        let rows = if accounts { json!([account]) } else { json!([]) };
        (empty || accounts).then(|| Reply::json(200, &json!({ "data": rows })))
    });
    let wanted = ["Credential", "ExternalBackend", "CloudCostManagementAccount"];
    let wanted = wanted.map(|kind| Wanted { api: None, kind: kind.to_owned(), pattern: None });
    let asked = ExportOptions { wanted: wanted.to_vec(), ..ExportOptions::default() };
    let found = pipeline::export(&desk.options, &asked).await.unwrap();
    let texts: Vec<String> = found.exported.documents.iter().map(|document| document.text.clone()).collect();
    let text = texts.join("---\n");
    assert!(!text.contains("kind: ExternalBackend") && !text.contains("id:"), "{text}");
    let stubs: Vec<&str> = found.exported.stubs.iter().map(|stub| stub.variable.as_str()).collect();
    assert_eq!(stubs, ["PLUMB_CREDENTIAL_CHAT_RAW_RAW_CHANNEL", "PLUMB_CREDENTIAL_CHAT_RAW_RAW_TOKEN"]);
}
