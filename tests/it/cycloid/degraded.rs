//! Credentials that may not do everything, servers that do not offer everything: each is told, and nothing is made or
//! deleted because of it.

use serde_json::json;

use plumb::plan::Outcome;

use super::{Desk, codes, console::errors};
use crate::support::{stack::lines, wild::Reply};

const ROLES: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Role
metadata: {name: deployer}
spec: {name: Deployer, rules: [{action: "organization:read", effect: allow}]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_missing_right_are_told_and_nothing_is_planned() {
    for status in [401, 403, 404, 500] {
        let desk = Desk::start(ROLES).await;
        desk.whim(move |asked, _| {
            asked.is("GET /organizations/acme/roles").then(|| errors(status, "No, said the server."))
        });
        let planned = desk.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new(), "{status}");
        let told = planned.diagnostics.iter().find(|told| told.severity > plumb::diagnostic::Severity::Warning);
        let told = told.unwrap_or_else(|| panic!("{status} is not told"));
        assert!(told.message.contains("/organizations/acme/roles"), "{}", told.message);
        assert!(
            told.message.contains("No, said the server.") || told.hints.iter().any(|hint| hint.contains("No, said")),
            "{told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_only_read_plans_and_fails_at_the_first_write() {
    let desk = Desk::start(ROLES).await;
    desk.whim(|asked, _| (asked.method != "GET").then(|| errors(403, "The token may only read.")));
    assert_eq!(lines(&desk.plan().await.document).len(), 1);
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    assert!(applied.document.actions[0].error.as_ref().unwrap().contains("The token may only read."));
}

const CREDENTIAL: &str = r"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Credential
metadata: {name: git}
spec: {name: Git, description: DESCRIPTION, type: basic_auth, path: git, raw: {username: robot, password: {valueFrom: {file: secret}}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_may_not_be_read_stand_by_their_hash_and_are_sent_whole() {
    let desk = Desk::start(&CREDENTIAL.replace("DESCRIPTION", "old")).await;
    desk.converge().await;
    // From now on, secrets may be listed by their names only.
    desk.whim(|asked, _| {
        asked.is("GET /organizations/acme/credentials/git").then(|| errors(403, "credential:read is missing"))
    });
    let planned = desk.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert_eq!(codes(&planned.diagnostics), ["PL0411"]);
    desk.write(&CREDENTIAL.replace("DESCRIPTION", "new"));
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Done), "{:?}", applied.document.actions[0].error);
    assert_eq!(
        desk.bodies("PUT", "/credentials/git"),
        [json!({"canonical": "git", "name": "Git", "description": "new", "type": "basic_auth", "path": "git",
            "raw": {"username": "robot", "password": "a-secret-value"}})]
    );
    // Another secret is seen, because it is not what was written last.
    std::fs::write(desk.folder.path().join("secret"), "another-secret").unwrap();
    assert_eq!(lines(&desk.plan().await.document), ["update cycloid/Credential/git (changed) /raw/password"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_changed_behind_is_seen_and_never_shown() {
    let desk = Desk::start(&CREDENTIAL.replace("DESCRIPTION", "old")).await;
    desk.converge().await;
    desk.console.lock().unwrap().at("/organizations/acme/credentials/git").unwrap()["raw"]["password"] =
        json!("stolen-and-changed");
    let planned = desk.plan().await;
    assert_eq!(lines(&planned.document), ["update cycloid/Credential/git (drift) /raw/password"]);
    let told = serde_json::to_string(&planned.document).unwrap();
    assert!(!told.contains("stolen") && !told.contains("a-secret-value"), "{told}");
    desk.converge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_was_in_use_a_moment_ago_is_deleted_all_the_same() {
    let prune = "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {name: default}\nspec: {prune: true}\n---\n";
    let credential = CREDENTIAL.replace("DESCRIPTION", "old");
    let desk = Desk::start(&(prune.to_owned() + ROLES + "---" + &credential)).await;
    desk.converge().await;
    desk.write(&(prune.to_owned() + ROLES));
    let refused = std::sync::atomic::AtomicU32::new(0);
    desk.whim(move |asked, _| {
        let first = || refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2;
        (asked.method == "DELETE" && first()).then(|| errors(409, "The credential is in use."))
    });
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Done), "{:?}", applied.document.actions[0].error);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_credential_follow_from_its_type() {
    let credential = |kind: &str, raw: &str| {
        format!(
            "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Credential\nmetadata: {{name: c-1}}\nspec: {{name: C, type: {kind}, \
             path: c, raw: {{{raw}}}}}\n"
        )
    };
    let secret = "{valueFrom: {file: secret}}";
    let right = [
        ("ssh", format!("sshKey: {secret}")),
        ("aws", format!("accessKey: AKIA, secretKey: {secret}")),
        ("gcp", format!("jsonKey: {secret}")),
        ("azure", format!("clientId: a, clientSecret: {secret}, subscriptionId: b, tenantId: c")),
        ("azure_storage", format!("accountName: a, accessKey: {secret}")),
        ("basic_auth", format!("username: a, password: {secret}")),
        ("elasticsearch", format!("username: a, password: {secret}")),
        ("elasticsearch", "caCert: a".to_owned()),
        ("swift", format!("authUrl: a, username: b, password: {secret}, domainId: c, tenantId: d")),
        ("vmware", format!("username: a, password: {secret}")),
        ("custom", format!("raw: {{a: plain, b: {secret}}}")),
    ];
    for (kind, raw) in &right {
        let desk = Desk::start(&credential(kind, raw)).await;
        assert_eq!(codes(&desk.plan().await.diagnostics), Vec::<&str>::new(), "{kind}");
        desk.apply().await;
        let body = desk.bodies("POST", "/credentials").pop().unwrap();
        assert!(body["raw"].as_object().is_some_and(|raw| !raw.is_empty()), "{body}");
    }
    let wrong = [
        ("ssh", String::new(), "PL0108"),
        ("ssh", format!("sshKey: {secret}, username: a"), "PL0141"),
        ("aws", format!("accessKey: a, secret_key: {secret}"), "PL0104"),
        ("basic_auth", "username: a, password: plain".to_owned(), "PL0112"),
        ("elasticsearch", "username: a".to_owned(), "PL0108"),
    ];
    for (kind, raw, code) in &wrong {
        let desk = Desk::start(&credential(kind, raw)).await;
        let planned = desk.plan().await;
        assert!(codes(&planned.diagnostics).contains(code), "{kind} {raw}: {:?}", codes(&planned.diagnostics));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_ssh_goes_without_blanks_around_it_and_everything_else_byte_for_byte() {
    let desk = Desk::start(
        "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Credential\nmetadata: {name: git}\nspec: {name: Git, type: ssh, path: git, raw: \
         {sshKey: {valueFrom: {file: ssh}}}}\n---\napiVersion: cycloid.plumb.dev/v1alpha1\nkind: Credential\nmetadata: {name: web}\nspec: \
         {name: Web, type: basic_auth, path: web, raw: {username: w, password: {valueFrom: {file: spaced}}}}\n",
    )
    .await;
    std::fs::write(desk.folder.path().join("ssh"), "\n-----BEGIN KEY-----\nabc\n-----END KEY-----\n\n").unwrap();
    std::fs::write(desk.folder.path().join("spaced"), "  with blanks \n").unwrap();
    desk.converge().await;
    let raw: Vec<serde_json::Value> =
        desk.bodies("POST", "/credentials").iter().map(|body| body["raw"].clone()).collect();
    assert!(raw.contains(&json!({"ssh_key": "-----BEGIN KEY-----\nabc\n-----END KEY-----"})), "{raw:?}");
    assert!(raw.contains(&json!({"username": "w", "password": "  with blanks "})), "{raw:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_without_a_pagination_are_read_to_their_short_page_and_shorter_pages_are_followed() {
    // The lists of keys say nothing about their length; those of roles say it, on pages shorter than asked for.
    let desk = Desk::start(ROLES).await;
    desk.console.lock().unwrap().page = 2;
    for number in 0..5 {
        desk.put("/organizations/acme/roles", json!({"canonical": format!("role-{number}"), "name": "R", "rules": []}));
    }
    desk.put("/organizations/acme/roles", json!({"canonical": "deployer", "name": "Deployer", "rules": [{"action": "organization:read", "effect": "allow"}]}));
    let planned = desk.plan().await;
    assert_eq!(lines(&planned.document), ["adopt cycloid/Role/deployer (new)"]);
    let desk = Desk::start(
        "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: InfraPolicy\nmetadata: {name: zz-last}\nspec: {name: Last}\n",
    )
    .await;
    for number in 0..1000 {
        desk.put("/organizations/acme/infra_policies", json!({"canonical": format!("policy-{number}"), "name": "P"}));
    }
    desk.put("/organizations/acme/infra_policies", json!({"canonical": "zz-last", "name": "Last"}));
    let planned = desk.plan().await;
    assert_eq!(lines(&planned.document), ["adopt cycloid/InfraPolicy/zz-last (new)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_waits_for_a_person_and_is_listed_until_it_is_accepted() {
    let manifests = r"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Member
metadata: {name: alice}
spec: {email: alice@example.com, role: deployer}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Team
metadata: {name: platform}
spec: {name: Platform, roles: [deployer], members: [{email: Alice@example.com}]}
";
    let desk = Desk::start(&(ROLES.to_owned() + "---" + manifests)).await;
    desk.whim(|asked, console| match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/organizations/acme/members") => {
            let member = json!({"invitation_email": asked.body["email"], "invitation_state": "pending", "role": {"canonical": asked.body["role_canonical"]}});
            console.put(&asked.path, member.clone());
            let there = console.objects[&asked.path].values().next().unwrap().clone();
            Some(Reply::json(200, &json!({"data": there})))
        }
        ("POST", "/organizations/acme/teams/platform/members") => Some(errors(422, "The user does not exist.")),
        _ => None,
    });
    let applied = desk.apply().await;
    let outcomes: Vec<(&str, Option<Outcome>)> =
        applied.document.actions.iter().map(|action| (action.kind.as_str(), action.outcome)).collect();
    assert!(outcomes.contains(&("Member", Some(Outcome::Waiting))), "{:?}", applied.document.actions);
    let member = applied
        .document
        .actions
        .iter()
        .find(|action| action.address.contains("#members/"))
        .map(|action| action.outcome);
    assert!(matches!(member, None | Some(Some(Outcome::Waiting))), "{:?}", applied.document.actions);
    desk.server.clear_log();
    // The next plan lists it again, and its apply invites nobody twice.
    let planned = desk.plan().await;
    assert!(
        lines(&planned.document).iter().any(|line| line.starts_with("create cycloid/Member/alice")),
        "{:?}",
        lines(&planned.document)
    );
    desk.apply().await;
    assert!(desk.bodies("POST", "/acme/members").is_empty());
    // She accepts.
    {
        let mut console = desk.console.lock().unwrap();
        for member in console.objects.get_mut("/organizations/acme/members").unwrap().values_mut() {
            member["invitation_state"] = "accepted".into();
            member["email"] = "alice@example.com".into();
            member["username"] = "alice".into();
        }
    }
    desk.whim(|asked, console| {
        (asked.method == "POST" && asked.path.ends_with("/teams/platform/members")).then(|| {
            assert_eq!(asked.body, json!({"username": "alice"}));
            let member = json!({"username": "alice", "email": "alice@example.com"});
            console.put(&asked.path, member.clone());
            let there = console.objects[&asked.path].values().next().unwrap().clone();
            Reply::json(200, &json!({"data": there}))
        })
    });
    desk.converge().await;
}
