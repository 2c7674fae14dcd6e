//! Updates that replace the whole object lose nothing, and creates end as they are declared.

use serde_json::{Value, json};

use plumb::plan::Outcome;

use super::{Desk, codes, console::errors};
use crate::support::wild::Reply;

const PROJECT: &str = r"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Project
metadata: {name: shop}
spec: {name: Shop, description: DESCRIPTION, configRepository: configs}
";

async fn project(description: &str) -> Desk {
    let desk = Desk::start(&PROJECT.replace("DESCRIPTION", description)).await;
    desk.put("/organizations/acme/config_repositories", json!({"canonical": "configs", "name": "C", "url": "u", "branch": "b", "default": true, "credential_canonical": "git"}));
    desk.put(
        "/organizations/acme/projects",
        json!({"canonical": "shop", "name": "Shop", "description": "old", "owner": {"username": "jane", "email": "jane@example.com", "id": 3},
            "config_repository_canonical": "configs", "color": "red", "icon": "cart", "environments": [{"canonical": "prod"}],
            "team": {"canonical": "platform"}, "favorite": false}),
    );
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_sends_back_what_nobody_declares_and_nothing_that_it_does_not_take() {
    let desk = project("new").await;
    desk.converge().await;
    let bodies = desk.bodies("PUT", "/projects/shop");
    let [body] = &bodies[..] else { panic!("{bodies:?}") };
    let mut names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["color", "config_repository_canonical", "description", "icon", "name", "owner", "updated_at"],
        "{body}"
    );
    assert_eq!((&body["owner"], &body["color"], &body["description"]), (&json!("jane"), &json!("red"), &json!("new")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_moved_is_read_again_and_tried_once() {
    let desk = project("new").await;
    // Somebody changes an environment between the read and the write, once.
    let moved = std::sync::atomic::AtomicBool::new(false);
    desk.whim(move |asked, console| {
        if asked.is("PUT /organizations/acme/projects/shop") && !moved.swap(true, std::sync::atomic::Ordering::SeqCst) {
            console.touch(&asked.path);
        }
        None
    });
    desk.converge().await;
    assert_eq!(desk.bodies("PUT", "/projects/shop").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_no_lock_explains_is_told_after_one_try() {
    let desk = project("new").await;
    desk.whim(|asked, _| asked.is("PUT /organizations/acme/projects/shop").then(|| errors(422, "The name is taken.")));
    let applied = desk.apply().await;
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Failed));
    assert!(applied.document.actions[0].error.as_ref().unwrap().contains("The name is taken."));
    assert_eq!(desk.bodies("PUT", "/projects/shop").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_needs_leave_to_move_the_files() {
    let desk = project("old").await;
    desk.converge().await;
    desk.put("/organizations/acme/config_repositories", json!({"canonical": "other", "name": "O", "url": "u", "branch": "b", "default": false, "credential_canonical": "git"}));
    let other = PROJECT.replace("DESCRIPTION", "old").replace("configRepository: configs", "configRepository: other");
    desk.write(&other);
    let planned = desk.plan().await;
    assert_eq!(codes(&planned.diagnostics), ["PL0613"]);
    desk.write(&other.replace("{name: shop}", "{name: shop, annotations: {plumb.dev/allow: migrate}}"));
    desk.converge().await;
    assert_eq!(desk.bodies("PUT", "/projects/shop").pop().unwrap()["config_repository_canonical"], "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_creates_do_not_take_follow_and_none_is_switched_off() {
    let desk = Desk::start(
        "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: labs}\nspec: {name: Labs, quotas: true}\n",
    )
    .await;
    desk.converge().await;
    assert_eq!(desk.bodies("POST", "/organizations"), [json!({"canonical": "labs", "name": "Labs"})]);
    assert_eq!(desk.bodies("PUT", "/organizations/labs"), [json!({"name": "Labs", "quotas": true})]);
    // Another name leaves the switches as they are.
    desk.console.lock().unwrap().at("/organizations/labs").unwrap()["mfa_enabled"] = true.into();
    desk.write("apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: labs}\nspec: {name: Laboratory}\n");
    desk.converge().await;
    assert_eq!(
        desk.bodies("PUT", "/organizations/labs").pop().unwrap(),
        json!({"name": "Laboratory", "quotas": true, "mfa_enabled": true})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_with_one_of_others_below_it_is_not_deleted() {
    let organization = "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: labs, \
                        annotations: {plumb.dev/deletion-policy: delete}}\nspec: {name: Labs}\n";
    let desk = Desk::start(organization).await;
    desk.converge().await;
    desk.put("/organizations/labs/children", json!({"canonical": "theirs", "name": "Theirs"}));
    desk.write(
        "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {name: default}\nspec: {prune: true}\n---\napiVersion: \
         cycloid.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: more}\nspec: {name: More}\n",
    );
    desk.whim(|asked, _| {
        let empty = asked.path.ends_with("/appearances") || asked.path.ends_with("/accounts");
        empty.then(|| Reply::json(200, &json!({"data": []})))
    });
    let planned = desk.plan().await;
    let refused = planned.diagnostics.iter().find(|told| told.code == "PL0609").expect("a refusal");
    assert!(refused.message.contains("Organization `theirs`"), "{}", refused.message);
}

const COMPONENT: &str = r"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Component
metadata: {name: web}
spec:
  project: shop
  environment: prod
  name: NAME
  useCase: default
  serviceCatalog: acme:stack
  vars: {general: {sizing: {replicas: 3}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn bare_and_wrapped_answers_say_the_same_and_variables_that_are_not_declared_stay() {
    for bare in [false, true] {
        let desk = Desk::start(&COMPONENT.replace("NAME", "Web")).await;
        desk.console.lock().unwrap().bare = bare;
        let below = "/organizations/acme/projects/shop/environments/prod/components";
        desk.put("/organizations/acme/projects", json!({"canonical": "shop", "name": "Shop"}));
        desk.put("/organizations/acme/projects/shop/environments", json!({"canonical": "prod", "name": "Production"}));
        desk.put(
            "/organizations/acme/service_catalogs",
            json!({"canonical": "stack", "name": "stack", "ref": "acme:stack", "visibility": "local"}),
        );
        desk.whim(move |asked, console| {
            let config = asked.path.strip_suffix("/config")?;
            let vars = console.at(config)?.get("vars").cloned().unwrap_or_else(|| json!({}));
            let mut vars = vars.as_object().cloned().unwrap();
            vars.insert("extra".into(), json!({"group": {"kept": 1}}));
            Some(Reply::json(200, &json!({"data": vars})))
        });
        desk.converge().await;
        desk.write(&COMPONENT.replace("NAME", "Web site"));
        desk.converge().await;
        let body = desk.bodies("PUT", &format!("{below}/web")).pop().unwrap();
        assert_eq!(
            body,
            json!({"name": "Web site", "use_case": "default",
                "vars": {"general": {"sizing": {"replicas": 3}}, "extra": {"group": {"kept": 1}}}}),
            "bare: {bare}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_read_of_one_leaves_out_and_the_list_shows_is_not_lost() {
    let desk =
        Desk::start(&COMPONENT.replace("NAME", "Web site").replace("  vars: {general: {sizing: {replicas: 3}}}\n", ""))
            .await;
    desk.put("/organizations/acme/projects", json!({"canonical": "shop", "name": "Shop"}));
    desk.put("/organizations/acme/projects/shop/environments", json!({"canonical": "prod", "name": "Production"}));
    desk.put(
        "/organizations/acme/service_catalogs",
        json!({"canonical": "stack", "name": "stack", "ref": "acme:stack"}),
    );
    desk.put(
        "/organizations/acme/projects/shop/environments/prod/components",
        json!({"canonical": "web", "name": "Web", "description": "kept", "use_case": "default", "service_catalog": {"ref": "acme:stack"}}),
    );
    // The sample of the reference has no more than this.
    desk.whim(|asked, console| {
        if asked.path.ends_with("/config") {
            return Some(Reply::json(200, &json!({"data": {}})));
        }
        let component = (asked.method == "GET" && asked.path.ends_with("/components/web")).then(|| console.at(&asked.path))??;
        let short = json!({"id": 1, "canonical": "web", "name": component["name"], "use_case": "default", "created_at": 1_503_225_026, "updated_at": 1_503_335_026});
        Some(Reply::json(200, &short))
    });
    desk.converge().await;
    let bodies = desk.bodies("PUT", "/components/web");
    assert_eq!(bodies, [json!({"name": "Web site", "description": "kept", "use_case": "default", "vars": {}})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_of_the_same_name_in_another_project_is_not_taken_for_it() {
    let environment = "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Environment\nmetadata: {name: shop-prod}\nspec: {project: \
                       \"id:shop\", canonical: prod, name: Production}\n---";
    let component = COMPONENT.replace("NAME", "Web").replace("project: shop", "project: warehouse");
    let desk = Desk::start(&(environment.to_owned() + &component)).await;
    for project in ["shop", "warehouse"] {
        desk.put("/organizations/acme/projects", json!({"canonical": project, "name": project}));
        let environments = format!("/organizations/acme/projects/{project}/environments");
        desk.put(&environments, json!({"canonical": "prod", "name": "Production"}));
    }
    desk.put(
        "/organizations/acme/service_catalogs",
        json!({"canonical": "stack", "name": "stack", "ref": "acme:stack"}),
    );
    let planned = desk.plan().await;
    assert_eq!(codes(&planned.diagnostics), ["PL0202"], "{:?}", crate::support::stack::lines(&planned.document));
    desk.write(
        &(environment.to_owned() + &component.replace("environment: prod", "environment: \"key:warehouse/prod\"")),
    );
    let planned = desk.plan().await;
    assert_eq!(
        crate::support::stack::lines(&planned.document).iter().filter(|line| line.starts_with("create")).count(),
        1
    );
    let create = planned.document.actions.iter().find(|action| action.kind == "Component").unwrap();
    let told = serde_json::to_string(&create.requests).unwrap();
    assert!(told.contains("/projects/warehouse/environments/prod/components"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn components_of_several_environments_are_one_list_unless_that_shows_less() {
    let projects = ["shop", "warehouse", "office"];
    let manifests: Vec<String> = projects
        .iter()
        .map(|project| {
            format!(
                "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Component\nmetadata: {{name: {project}-web}}\nspec: \
                 {{environment: \"key:{project}/prod\", canonical: web, name: Web, useCase: default, serviceCatalog: \
                 acme:stack}}\n"
            )
        })
        .collect();
    let row = |number: usize, project: &str| {
        json!({"id": number, "canonical": "web", "name": "Web", "use_case": "default", "service_catalog": {"ref": "acme:stack"},
            "project": {"canonical": project}, "environment": {"canonical": "prod"}})
    };
    // The list may leave out what a row has below its environment, or whose it is, or rows.
    for (wrong, once) in [("", true), ("name", false), ("project", false), ("rows", false)] {
        let desk = Desk::start(&manifests.join("---\n")).await;
        let stack = json!({"canonical": "stack", "name": "stack", "ref": "acme:stack"});
        desk.put("/organizations/acme/service_catalogs", stack);
        for (number, project) in projects.into_iter().enumerate() {
            let at = format!("/organizations/acme/projects/{project}");
            desk.put("/organizations/acme/projects", json!({"canonical": project, "name": project}));
            desk.put(&format!("{at}/environments"), json!({"canonical": "prod", "name": "Production"}));
            desk.put(&format!("{at}/environments/prod/components"), row(number, project));
        }
        desk.whim(move |asked, _| {
            let mut rows: Vec<Value> = projects.into_iter().enumerate().map(|(n, project)| row(n, project)).collect();
            for row in &mut rows {
                row.as_object_mut().unwrap().remove(wrong);
            }
            let total = if wrong == "rows" { 7 } else { rows.len() };
            let rows = json!({"data": rows, "pagination": {"index": 1, "size": 1000, "total": total}});
            asked.is("GET /organizations/acme/components").then(|| Reply::json(200, &rows))
        });
        desk.apply().await;
        desk.server.clear_log();
        let planned = desk.plan().await;
        assert_eq!(
            (crate::support::stack::lines(&planned.document), codes(&planned.diagnostics)),
            (Vec::new(), Vec::new()),
            "{wrong}"
        );
        assert_eq!(planned.document.summary.unchanged, projects.len());
        let log = desk.server.log();
        let below = log.iter().filter(|asked| asked.path.ends_with("/prod/components")).count();
        assert_eq!(below, if once { 0 } else { projects.len() }, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_keeps_what_is_declared_and_no_secret() {
    let component = COMPONENT.replace("NAME", "Web").replace(
        "{general: {sizing: {replicas: 3}}}",
        "{general: {database: {password: {valueFrom: {file: secret}}, host: db}}}",
    );
    let desk = Desk::start(&component).await;
    desk.put("/organizations/acme/projects", json!({"canonical": "shop", "name": "Shop"}));
    desk.put("/organizations/acme/projects/shop/environments", json!({"canonical": "prod", "name": "Production"}));
    desk.put(
        "/organizations/acme/service_catalogs",
        json!({"canonical": "stack", "name": "stack", "ref": "acme:stack"}),
    );
    desk.put(
        "/organizations/acme/projects/shop/environments/prod/components",
        json!({"canonical": "web", "name": "Web", "use_case": "default", "service_catalog": {"ref": "acme:stack"}}),
    );
    desk.whim(|asked, _| {
        let vars = json!({"general": {"database": {"password": "changed-by-hand", "host": "db"}}, "other": {"a": {"key": "never-declared"}}});
        asked.path.ends_with("/config").then(|| Reply::json(200, &json!({"data": vars})))
    });
    let options = plumb::pipeline::Options { keep_key: true, ..desk.options.clone() };
    let adopted = plumb::pipeline::import(&options, "cycloid/Component/web", "web").await.unwrap();
    assert_eq!(adopted.id, "acme/shop/prod/web");
    let folder = std::fs::read_dir(desk.folder.path().join(".plumb")).unwrap();
    let kept: String = folder
        .map(|file| String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned())
        .collect();
    assert!(!kept.contains("changed-by-hand") && !kept.contains("never-declared"), "a secret is in the inventory");
    let planned = desk.plan().await;
    assert_eq!(
        crate::support::stack::lines(&planned.document),
        ["update cycloid/Component/web (changed) /vars/general/database/password"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_default_is_written_first_and_the_former_not_at_all() {
    let repository = |name: &str, default: bool| {
        format!(
            "---\napiVersion: cycloid.plumb.dev/v1alpha1\nkind: ConfigRepository\nmetadata: {{name: {name}}}\nspec: {{name: \
             R, url: \"git@git.example.com:a/b.git\", branch: main, default: {default}, credential: git}}\n"
        )
    };
    let desk = Desk::start(&(repository("first", true) + &repository("second", false))).await;
    desk.put(
        "/organizations/acme/credentials",
        json!({"canonical": "git", "name": "Git", "type": "ssh", "path": "git"}),
    );
    desk.converge().await;
    desk.server.clear_log();
    desk.write(&(repository("first", false) + &repository("second", true)));
    // The console takes the flag from the former default.
    desk.whim(|asked, console| {
        if asked.method == "PUT" && asked.body["default"] == true {
            for (name, object) in console.objects.get_mut("/organizations/acme/config_repositories").unwrap() {
                object["default"] = json!(asked.path.ends_with(name.as_str()));
            }
        }
        None
    });
    desk.converge().await;
    assert_eq!(desk.server.writes(), ["PUT /organizations/acme/config_repositories/second"]);
    desk.write(&(repository("first", true) + &repository("second", true)));
    assert!(codes(&desk.plan().await.diagnostics).contains(&"PL0125"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_of_an_indicator_goes_by_the_query() {
    let desk = Desk::start(
        "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Kpi\nmetadata: {name: builds}\nspec: {project: shop, name: Builds, type: \
         build_history, widget: history, environment: prod}\n",
    )
    .await;
    desk.put("/organizations/acme/projects", json!({"canonical": "shop", "name": "Shop"}));
    desk.whim(|asked, console| {
        let (collection, environment) = (asked.path.ends_with("/kpis"), asked.query("environment_canonical"));
        if asked.method != "POST" || !collection {
            return None;
        }
        let mut object = asked.body.clone();
        object["environment_canonical"] = json!(environment);
        object["project"] = json!({"canonical": "shop"});
        console.put(&asked.path, object.clone());
        Some(Reply::json(200, &json!({"data": object})))
    });
    desk.converge().await;
    let [body] = &desk.bodies("POST", "/kpis")[..] else { panic!() };
    assert_eq!(body.get("environment_canonical"), None);
    // An answer of 422 that says so is absence, for a deletion too.
    desk.write(
        "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {name: default}\nspec: {prune: true}\n---\napiVersion: \
         cycloid.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: labs}\nspec: {name: Labs}\n",
    );
    desk.put("/organizations", json!({"canonical": "labs", "name": "Labs"}));
    desk.whim(|asked, _| (asked.method == "DELETE").then(|| errors(422, "The KPI was Not Found")));
    let applied = desk.apply().await;
    let outcomes: Vec<Option<Outcome>> = applied.document.actions.iter().map(|action| action.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Done), Some(Outcome::Done)], "{:?}", applied.document.actions);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_told_by_what_was_asked_and_rules_by_their_content() {
    let role = |order: &str| {
        format!(
            "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: Role\nmetadata: {{name: deployer}}\nspec: {{name: Deployer, rules: [{order}]}}\n"
        )
    };
    let (read, write) = (
        "{action: \"organization:read\", effect: allow, resources: [a, b]}",
        "{action: \"organization:project:**\", effect: allow}",
    );
    let desk = Desk::start(&role(&format!("{read}, {write}"))).await;
    desk.converge().await;
    {
        let mut console = desk.console.lock().unwrap();
        let rules = &mut console.at("/organizations/acme/roles/deployer").unwrap()["rules"];
        *rules = json!([
            {"id": 12, "action": "organization:project:**", "effect": "allow", "resources": []},
            {"id": 13, "action": "organization:read", "effect": "allow", "resources": ["b", "a"]}]);
    }
    assert_eq!(crate::support::stack::lines(&desk.plan().await.document), Vec::<String>::new());
    // A role that Cycloid brought along is not changed.
    desk.put(
        "/organizations/acme/roles",
        json!({"canonical": "organization-admin", "name": "Admin", "default": true, "rules": []}),
    );
    desk.write(&role(read).replace("deployer", "organization-admin"));
    assert!(codes(&desk.plan().await.diagnostics).contains(&"PL0511"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_states_of_terraform_brought_in_is_never_touched() {
    let resource = "apiVersion: cycloid.plumb.dev/v1alpha1\nkind: InventoryResource\nmetadata: {name: front}\nspec: {provider: aws, type: \
                    aws_instance, label: shop, name: front, memory: 0}\n";
    let desk = Desk::start(resource).await;
    desk.put(
        "/organizations/acme/inventory/resources",
        json!({"provider": "aws", "type": "aws_instance", "label": "shop", "name": "front", "module": "module.kapsule", "attributes": {"a": 1}}),
    );
    desk.whim(|asked, console| {
        let all = console.objects.get("/organizations/acme/inventory/resources");
        let rows: Vec<Value> = all.into_iter().flat_map(|all| all.values().cloned()).collect();
        asked.is("GET /organizations/acme/inventory").then(|| Reply::json(200, &json!({"data": rows, "filters": {}})))
    });
    desk.converge().await;
    assert_eq!(desk.server.writes(), ["POST /organizations/acme/inventory/resources"]);
    assert_eq!(desk.bodies("POST", "/resources")[0]["memory"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_appears_with_its_source_and_is_referred_to_by_its_canonical() {
    let manifests = r#"
apiVersion: cycloid.plumb.dev/v1alpha1
kind: ServiceCatalogSource
metadata: {name: stacks}
spec: {name: Stacks, url: "git@git.example.com:acme/stacks.git", branch: main}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: ServiceCatalog
metadata: {name: web-stack}
spec: {serviceCatalogSource: stacks, visibility: shared}
---
apiVersion: cycloid.plumb.dev/v1alpha1
kind: Component
metadata: {name: web}
spec: {project: shop, environment: prod, name: Web, useCase: default, serviceCatalog: web-stack}
"#;
    let start = || async {
        let desk = Desk::start(manifests).await;
        desk.put("/organizations/acme/projects", json!({"canonical": "shop", "name": "Shop"}));
        desk.put("/organizations/acme/projects/shop/environments", json!({"canonical": "prod", "name": "Production"}));
        desk
    };
    let desk = start().await;
    desk.whim(|asked, console| {
        if asked.is("POST /organizations/acme/service_catalog_sources") {
            let stack =
                json!({"canonical": "web-stack", "ref": "acme:web-stack", "name": "web-stack", "visibility": "local"});
            console.put("/organizations/acme/service_catalogs", stack);
        }
        if asked.path.ends_with("/service_catalogs/acme:web-stack") || asked.path.contains("acme%3Aweb-stack") {
            let stack = console.at("/organizations/acme/service_catalogs/web-stack")?;
            if asked.method == "PUT" {
                stack["visibility"] = asked.body["visibility"].clone();
            }
            return Some(Reply::json(200, &json!({"data": stack.clone()})));
        }
        None
    });
    let planned = desk.plan().await;
    let stack = planned.document.actions.iter().find(|action| action.kind == "ServiceCatalog").unwrap();
    assert_eq!((stack.action.word(), stack.reason.word()), ("adopt", "appears"));
    desk.converge().await;
    assert_eq!(desk.bodies("PUT", "web-stack"), [json!({"visibility": "shared"})]);
    assert_eq!(desk.bodies("POST", "/components")[0]["service_catalog_ref"], "acme:web-stack");

    // Where it does not appear, it fails, and nothing is made instead of it.
    let desk = start().await;
    let applied = desk.apply().await;
    let stack = applied.document.actions.iter().find(|action| action.kind == "ServiceCatalog").unwrap();
    assert_eq!(stack.outcome, Some(Outcome::Failed));
    assert!(
        !desk.server.writes().iter().any(|call| call.contains("service_catalogs/") || call.contains("/components"))
    );
}
