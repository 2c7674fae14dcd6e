//! What answers leave out: values that were cleared, parts that cannot be read, objects that only a wider list shows.

use serde_json::{Value, json};

use plumb::{
    pipeline::{self, Options},
    plan::Mode,
};

use super::{Desk, codes, console::errors};
use crate::support::{stack::lines, wild::Reply};

const OWNED: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Role
metadata: {name: deployer}
spec: {name: Deployer, rules: [{action: "organization:read", effect: allow}]}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Team
metadata: {name: platform}
spec: {name: Platform, owner: jane, roles: [deployer]}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: InfraPolicy
metadata: {name: nopub}
spec: {name: No public, description: Nothing public, owner: jane, severity: critical, enabled: true, body: package acme}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Credential
metadata: {name: git}
spec: {name: Git, description: Deploys, type: basic_auth, path: git, raw: {username: robot, password: {valueFrom: {file: secret}}}}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: ServiceCatalogSource
metadata: {name: stacks}
spec: {name: Stacks, url: "git@git.example.com:acme/s.git", branch: main, credential: git}
"#;

fn jane(desk: &Desk) {
    desk.put(
        "/organizations/acme/members",
        json!({"username": "jane", "email": "jane@example.com", "invitation_state": "accepted", "role": {"canonical": "organization-admin"}}),
    );
}

/// Takes members of an object away, or makes them null.
fn clear(desk: &Desk, path: &str, names: &[&str], null: bool) {
    let mut console = desk.console.lock().unwrap();
    let object = console.at(path).unwrap().as_object_mut().unwrap();
    for name in names {
        object.remove(*name);
        if null {
            object.insert((*name).to_owned(), Value::Null);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cleared_by_hand_is_drift_however_answers_say_so() {
    for null in [false, true] {
        let desk = Desk::start(OWNED).await;
        jane(&desk);
        desk.converge().await;
        clear(&desk, "/organizations/acme/teams/platform", &["owner"], null);
        clear(&desk, "/organizations/acme/infra_policies/nopub", &["owner", "description", "enabled"], null);
        clear(&desk, "/organizations/acme/credentials/git", &["description"], null);
        clear(&desk, "/organizations/acme/service_catalog_sources/stacks", &["credential_canonical"], null);
        let drifted = pipeline::plan(&desk.options, Mode::Drift).await.unwrap();
        let paths: Vec<String> = drifted
            .document
            .actions
            .iter()
            .flat_map(|action| action.changes.iter().map(|change| format!("{} {}", action.name, change.path)))
            .collect();
        assert_eq!(
            paths,
            [
                "platform /owner",
                "nopub /description",
                "nopub /owner",
                "nopub /enabled",
                "git /description",
                "stacks /credential"
            ],
            "null: {null}"
        );
        desk.converge().await;
        let owner = desk.console.lock().unwrap().at("/organizations/acme/teams/platform").unwrap()["owner"].clone();
        assert_eq!(owner["username"], "jane");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_cleared_and_read_as_zero_converges() {
    let desk = Desk::start(
        "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: InventoryResource\nmetadata: {name: rack}\nspec: {provider: onprem, type: \
         server, label: racks, name: rack-1, memory: null, cpu: 2}\n",
    )
    .await;
    desk.whim(|asked, console| {
        let list = asked.is("GET /organizations/acme/inventory");
        let objects = console.objects.get("/organizations/acme/inventory/resources").filter(|_| list)?;
        let rows: Vec<Value> = objects
            .values()
            .map(|row| {
                let mut row = row.clone();
                for name in ["memory", "storage"] {
                    row[name] = row.get(name).cloned().unwrap_or_else(|| 0.into());
                }
                row
            })
            .collect();
        Some(Reply::json(200, &json!({ "data": rows })))
    });
    desk.converge().await;
    assert_eq!(desk.bodies("PUT", "/inventory/resources/101"), Vec::<Value>::new());
}

const COMPONENT: &str = r"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Component
metadata: {name: web}
spec: {project: shop, environment: prod, name: NAME, useCase: default, serviceCatalog: acme:stack, vars: {general: {sizing: {replicas: 3}}}}
";

/// A project with an environment, and a stack.
fn shop(desk: &Desk) {
    desk.put("/organizations/acme/projects", json!({"canonical": "shop", "name": "Shop"}));
    desk.put("/organizations/acme/projects/shop/environments", json!({"canonical": "prod", "name": "Production"}));
    desk.put(
        "/organizations/acme/service_catalogs",
        json!({"canonical": "stack", "name": "stack", "ref": "acme:stack", "visibility": "local"}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_cannot_be_read_are_not_taken_for_none() {
    for status in [403, 404] {
        let desk = Desk::start(&COMPONENT.replace("NAME", "Web")).await;
        shop(&desk);
        let hide = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let hidden = hide.clone();
        desk.whim(move |asked, console| {
            let config = asked.path.strip_suffix("/config")?;
            if hidden.load(std::sync::atomic::Ordering::Relaxed) {
                return Some(errors(status, "No, said the server."));
            }
            let vars = console.at(config)?.get("vars").cloned().unwrap_or_else(|| json!({}));
            Some(Reply::json(200, &json!({ "data": vars })))
        });
        desk.converge().await;
        let path = "/organizations/acme/projects/shop/environments/prod/components/web";
        let byhand = json!({"general": {"sizing": {"replicas": 3, "byhand": "keep"}}, "other": {"g": {"x": 1}}});
        desk.console.lock().unwrap().at(path).unwrap()["vars"] = byhand.clone();
        hide.store(true, std::sync::atomic::Ordering::Relaxed);
        let planned = desk.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new(), "{status}");
        let expected: &[&str] = if status == 403 { &["PL0411"] } else { &["PL0423"] };
        assert_eq!(codes(&planned.diagnostics), expected, "{status}");

        desk.write(&COMPONENT.replace("NAME", "Web site"));
        let options = Options { keep_key: true, keep_going: true, ..desk.options.clone() };
        let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
        pipeline::apply(planned, &options).await.unwrap();
        assert_eq!(desk.bodies("PUT", "/components/web"), Vec::<Value>::new(), "{status}");
        assert_eq!(desk.console.lock().unwrap().at(path).unwrap()["vars"], byhand, "{status}");
    }
}

const PIPELINES: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Component
metadata: {name: web, annotations: {plumb.dev/deletion-policy: delete}}
spec: {project: shop, environment: prod, name: Web, useCase: default, serviceCatalog: acme:stack}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Component
metadata: {name: api, annotations: {plumb.dev/deletion-policy: delete}}
spec: {project: shop, environment: prod, name: Api, useCase: default, serviceCatalog: acme:stack}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Pipeline
metadata: {name: web-nightly}
spec: {component: web, name: nightly, passedConfig: "{}"}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Pipeline
metadata: {name: api-nightly}
spec: {component: api, name: nightly, passedConfig: "{}"}
"#;

const ROLE: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Role
metadata: {name: deployer}
spec: {name: Deployer, rules: [{action: "organization:read", effect: allow}]}
"#;

/// A console that keeps pipelines: they are listed for the whole organization, each with what it is below.
fn pipelines(desk: &Desk) {
    desk.whim(|asked, console| {
        if asked.is("GET /organizations/acme/pipelines") {
            let rows: Vec<Value> = console
                .objects
                .iter()
                .filter(|(path, _)| path.ends_with("/pipelines"))
                .flat_map(|(path, rows)| {
                    let part = |place: usize| json!({ "canonical": path.split('/').nth(place).unwrap() });
                    let above = json!({"project": part(4), "environment": part(6), "component": part(8)});
                    rows.values().map(move |row| {
                        let mut row = row.clone();
                        row.as_object_mut().unwrap().extend(above.as_object().unwrap().clone());
                        row
                    })
                })
                .collect();
            let page = json!({"index": 1, "size": 1000, "total": rows.len()});
            return Some(Reply::json(200, &json!({"data": rows, "pagination": page})));
        }
        if asked.path.ends_with("/config") {
            return Some(Reply::json(200, &json!({"data": "{}"})));
        }
        if asked.method == "POST" && asked.path.ends_with("/pipelines") {
            let row = json!({"name": asked.body["pipeline_name"]});
            console.put(&asked.path, row.clone());
            return Some(Reply::json(200, &json!({ "data": row })));
        }
        None
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_are_one_list_and_those_of_others_keep_their_component() {
    let desk = Desk::start(&format!("{PIPELINES}---{ROLE}")).await;
    shop(&desk);
    pipelines(&desk);
    desk.converge().await;
    desk.server.clear_log();
    assert_eq!(lines(&desk.plan().await.document), Vec::<String>::new());
    let reads: Vec<String> = desk.server.log().iter().map(|asked| asked.path.clone()).collect();
    let lists = reads.iter().filter(|path| path.ends_with("/pipelines"));
    assert_eq!(lists.collect::<Vec<_>>(), ["/organizations/acme/pipelines"]);
    assert!(!reads.iter().any(|path| path.ends_with("/nightly")), "{reads:?}");

    // One that is gone is made anew.
    desk.console.lock().unwrap().objects.retain(|path, _| !path.ends_with("/components/api/pipelines"));
    assert_eq!(
        lines(&desk.plan().await.document),
        ["create cycloid/Pipeline/api-nightly (drift) /component /name /passedConfig"]
    );
    desk.converge().await;

    let below = "/organizations/acme/projects/shop/environments/prod/components/web/pipelines";
    desk.put(below, json!({"name": "theirs"}));
    desk.write(ROLE);
    let options = Options { prune: true, ..desk.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let refused = planned.diagnostics.iter().find(|told| told.code == "PL0609").expect("a refusal");
    assert!(refused.message.contains("Pipeline `theirs`"), "{}", refused.message);
    assert!(refused.message.contains("cycloid/Component/web"), "{}", refused.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_say_whose_its_rows_are_is_an_error() {
    let desk = Desk::start(PIPELINES).await;
    shop(&desk);
    pipelines(&desk);
    desk.converge().await;
    desk.whim(|asked, _| {
        let row = json!({"data": [{"name": "nightly"}], "pagination": {"index": 1, "size": 1000, "total": 1}});
        let config = asked.path.ends_with("/config").then(|| Reply::json(200, &json!({"data": "{}"})));
        asked.is("GET /organizations/acme/pipelines").then(|| Reply::json(200, &row)).or(config)
    });
    let planned = desk.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    let told: Vec<&str> = planned.diagnostics.iter().map(|told| told.message.as_str()).collect();
    assert!(told.iter().any(|words| words.contains("does not say which component")), "{told:?}");
}

const USED: &str = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Credential
metadata: {name: git}
spec: {name: Git, type: basic_auth, path: git, raw: {username: robot, password: {valueFrom: {file: secret}}}}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Credential
metadata: {name: unused}
spec: {name: Unused, type: basic_auth, path: unused, raw: {username: robot, password: {valueFrom: {file: secret}}}}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: ConfigRepository
metadata: {name: configs}
spec: {name: Configs, url: "git@git.example.com:acme/c.git", branch: main, default: true, credential: git}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Project
metadata: {name: shop}
spec: {name: Shop, configRepository: configs}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_project_that_lives_on_uses_is_kept_with_it() {
    // Something of the stack stays declared, or nothing would be pruned.
    let desk = Desk::start(&format!("{USED}---{ROLE}")).await;
    desk.converge().await;
    desk.write(ROLE);
    let options = Options { prune: true, ..desk.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let mut found: Vec<String> =
        planned.document.actions.iter().map(|action| format!("{} {}", action.action.word(), action.address)).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "delete cycloid/Credential/unused",
            "forget cycloid/ConfigRepository/configs",
            "forget cycloid/Credential/git",
            "forget cycloid/Project/shop",
        ]
    );
    let repository = planned.document.actions.iter().find(|action| action.name == "configs").unwrap();
    assert_eq!(repository.notes, ["The live object stays: `cycloid/Project/shop`, which stays, uses it."]);
    // With the project itself, all of it goes.
    let all = USED
        .replace("metadata: {name: shop}", "metadata: {name: shop, annotations: {plumb.dev/deletion-policy: delete}}");
    desk.write(&format!("{all}---{ROLE}"));
    desk.converge().await;
    desk.write(ROLE);
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let deleted = lines(&planned.document).iter().filter(|line| line.starts_with("delete")).count();
    assert_eq!(deleted, 4, "{:?}", lines(&planned.document));
}
