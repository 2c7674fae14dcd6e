//! Requests counted: how many calls a plan and an apply make, and that nothing is written where nothing changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use plumb::{
    inventory::{Inventory, Location},
    pipeline::{self, Options},
    plan::Mode,
    sandbox::{LogEntry, SandboxOptions},
};
use serde_json::{Value, json};

use crate::support::stack::{Stack, lines, told};

/// Manifests of configurations of one organization, named by their numbers.
fn configurations(organization: &str, numbers: std::ops::Range<usize>, notes: impl Fn(usize) -> String) -> String {
    numbers.fold(String::new(), |mut out, number| {
        write!(
            out,
            "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: c{number}}}\nspec:\n  \
             organization: {organization}\n  name: C{number}\n  configurationType: Managed Server\n  notes: {}\n",
            notes(number)
        )
        .unwrap();
        out
    })
}

fn organization(name: &str) -> String {
    format!(
        "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: {name}}}\nspec: {{name: \
         {name}}}\n"
    )
}

/// Live organizations, each with so many configurations.
fn seed(organizations: &[(&str, std::ops::Range<usize>)]) -> Value {
    let mut objects = json!({"itglue": {"Organization": [], "Configuration": []}});
    for (number, (name, configurations)) in organizations.iter().enumerate() {
        let id = 1000 + number;
        objects["itglue"]["Organization"].as_array_mut().unwrap().push(json!({ "id": id, "name": name }));
        let list = objects["itglue"]["Configuration"].as_array_mut().unwrap();
        list.extend(configurations.clone().map(|number| {
            json!({"organization": format!("id:{id}"), "name": format!("C{number}"), "notes": "as it was",
                "configurationType": "Managed Server"})
        }));
    }
    objects
}

/// `METHOD PATH` of each request, with how often it came.
fn calls(log: &[LogEntry]) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for entry in log {
        *out.entry(format!("{} {}", entry.method, entry.path)).or_default() += 1;
    }
    out
}

fn writes(log: &[LogEntry]) -> usize {
    log.iter().filter(|entry| entry.method != "GET").count()
}

/// Queries of the reads of a path, without what is the same in all of them.
fn scopes(log: &[LogEntry], path: &str) -> Vec<String> {
    let own = |query: &str| {
        let parts = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| !matches!(&**name, "page[size]" | "sort" | "include") && name != "page[number]");
        parts.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    log.iter().filter(|entry| entry.method == "GET" && entry.path == path).map(|entry| own(&entry.query)).collect()
}

async fn serial(stack: &Stack) -> u64 {
    let location = Location::parse(None, stack.folder.path()).unwrap();
    Inventory::open(&location, "default").await.unwrap().state().serial
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_objects_cost_ten_pages_and_a_thousand_changes_ten_calls() {
    const MANY: usize = 10_000;
    let options = SandboxOptions { seed: Some(seed(&[("acme", 0..MANY)])), ..SandboxOptions::default() };
    let stack = Stack::with(&["itglue"], options).await;
    let as_it_was = |_| "as it was".to_owned();
    stack.write("stack.yaml", &(organization("acme") + &configurations("acme", 0..MANY, as_it_was)));
    let document = stack.apply().await;
    assert_eq!((document.summary.adopt, document.requests.apply), (MANY + 1, 0));
    assert_eq!(serial(&stack).await, 4 + 10, "ten thousand records are ten writes");

    stack.sandbox.clear_log();
    let before = serial(&stack).await;
    let planned = stack.plan().await;
    assert_eq!((lines(&planned.document), told(&planned)), (Vec::new(), Vec::new()));
    assert_eq!(planned.document.summary.unchanged, MANY + 1);
    let log = stack.sandbox.log();
    let expected = [("GET /configuration_types", 1), ("GET /configurations", 10), ("GET /organizations", 1)];
    assert_eq!(calls(&log), expected.map(|(call, count)| (call.to_owned(), count)).into());
    assert_eq!(planned.document.requests.observe, 12);
    assert_eq!(serial(&stack).await, before);

    let changed = |number| if number % 10 == 7 { "changed".to_owned() } else { "as it was".to_owned() };
    stack.write("stack.yaml", &(organization("acme") + &configurations("acme", 0..MANY, changed)));
    stack.sandbox.clear_log();
    let options = Options { keep_key: true, ..stack.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!((planned.document.summary.update, planned.document.requests.apply), (MANY / 10, 10));
    let document = pipeline::apply(planned, &options).await.unwrap().document;
    let log = stack.sandbox.log();
    assert_eq!((writes(&log), document.requests.apply), (10, 10));
    assert_eq!(calls(&log)["PATCH /configurations"], 10);
    let notes = |object: &Value| object["attributes"]["notes"] == "changed";
    assert_eq!(stack.sandbox.objects("itglue", "Configuration").iter().filter(|object| notes(object)).count(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_and_deletes_go_by_the_hundred() {
    let mut stack = Stack::with(&["itglue"], SandboxOptions::default()).await;
    let notes = |number: usize| format!("number {number}");
    stack.write("organization.yaml", &organization("acme"));
    stack.write("many.yaml", &configurations("acme", 0..250, notes));
    let planned = stack.plan().await;
    assert_eq!(planned.document.requests.apply, 4);
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    assert_eq!(document.requests.apply, 4);
    assert_eq!(writes(&stack.sandbox.log()), 4);
    stack.assert_empty().await;

    stack.remove("many.yaml");
    stack.options.prune = true;
    stack.options.max_deletes = Some(plumb::manifest::MaxDeletes::Count(250));
    assert_eq!(stack.plan().await.document.requests.apply, 3);
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    assert_eq!((document.summary.delete, document.requests.apply), (250, 3));
    assert_eq!(writes(&stack.sandbox.log()), 3);
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_lists_no_collection_twice_and_counts_what_it_sends() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", crate::flow::ITGLUE);
    for applied in [false, true] {
        stack.sandbox.clear_log();
        let planned = stack.plan().await;
        let log = stack.sandbox.log();
        assert_eq!(planned.document.requests.observe, log.len() as u64);
        assert_eq!(writes(&log), 0);
        let mut seen = BTreeSet::new();
        for entry in &log {
            assert!(seen.insert((&entry.path, &entry.query)), "{} {} twice", entry.path, entry.query);
        }
        // One page each: a collection that is read below one parent is not read as a whole besides.
        assert!(calls(&log).values().all(|count| *count == 1), "{:?}", calls(&log));
        if applied {
            assert_eq!(lines(&planned.document), Vec::<String>::new());
            continue;
        }
        stack.sandbox.clear_log();
        let document = stack.apply().await;
        let log = stack.sandbox.log();
        assert_eq!(document.requests.observe, planned.document.requests.observe);
        let sent = log.len() as u64 - document.requests.observe;
        assert_eq!((planned.document.requests.apply, document.requests.apply), (sent, sent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_send_what_they_announce() {
    let stack = Stack::start(&["itglue", "rest"]).await;
    stack.write("itglue.yaml", crate::flow::ITGLUE);
    stack.write("rest.yaml", crate::flow::REST);
    stack.apply().await;
    let change = |text: &str| {
        let text = text.replace("A customer", "A good customer").replace("icon: envelope", "icon: at");
        let text = text.replace("10.0.0.1", "10.0.0.2").replace("type: Office 365", "type: Exchange 2016");
        text.replace("Office 365 admin", "The admin of it all").replace("The first one", "Still the first one")
    };
    stack.write("itglue.yaml", &change(crate::flow::ITGLUE));
    stack.write("rest.yaml", &change(crate::flow::REST));
    let planned = stack.plan().await;
    assert!(planned.document.summary.update >= 5, "{:?}", lines(&planned.document));
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    let sent = stack.sandbox.log().len() as u64 - document.requests.observe;
    assert_eq!((planned.document.requests.apply, document.requests.apply), (sent, sent));
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_with_nothing_to_do_writes_nothing() {
    let stack = Stack::start(&["itglue", "rest"]).await;
    stack.write("itglue.yaml", crate::flow::ITGLUE);
    stack.write("rest.yaml", crate::flow::REST);
    stack.apply().await;
    let before = serial(&stack).await;
    stack.sandbox.clear_log();
    assert_eq!(lines(&stack.apply().await), Vec::<String>::new());
    assert_eq!(writes(&stack.sandbox.log()), 0);
    assert_eq!(serial(&stack).await, before);
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        out.insert(path.display().to_string());
        if path.is_dir() {
            out.extend(files(&path));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_a_fresh_checkout_leaves_no_file() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", crate::flow::ITGLUE);
    let before = files(stack.folder.path());
    stack.plan().await;
    for mode in [Mode::Drift, Mode::Destroy] {
        stack.try_plan(mode).await.unwrap();
    }
    pipeline::check(&stack.options).unwrap();
    assert_eq!(files(stack.folder.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_one_organization_are_asked_for_by_it() {
    let seed = seed(&[("acme", 0..30), ("other", 30..60)]);
    let options = SandboxOptions { seed: Some(seed), page_size_cap: Some(10), ..SandboxOptions::default() };
    let stack = Stack::with(&["itglue"], options).await;
    stack.write("stack.yaml", &configurations("acme", 0..5, |_| "as it was".into()));
    assert_eq!(stack.plan().await.document.summary.adopt, 5);
    let asked = scopes(&stack.sandbox.log(), "/configurations");
    assert_eq!(asked, ["filter[organization_id]=1000"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_many_organizations_are_listed_as_a_whole() {
    let names: Vec<String> = (0..12).map(|number| format!("org{number}")).collect();
    let live: Vec<(&str, std::ops::Range<usize>)> =
        names.iter().enumerate().map(|(number, name)| (name.as_str(), number * 5..number * 5 + 5)).collect();
    let options = SandboxOptions { seed: Some(seed(&live)), page_size_cap: Some(10), ..SandboxOptions::default() };
    let stack = Stack::with(&["itglue"], options).await;
    let text = live.iter().fold(String::new(), |out, (name, numbers)| {
        out + &configurations(name, numbers.start..numbers.start + 2, |_| "as it was".into())
    });
    stack.write("stack.yaml", &text);
    assert_eq!(stack.plan().await.document.summary.adopt, 24);
    assert_eq!(scopes(&stack.sandbox.log(), "/configurations"), [""; 6], "six pages are fewer than twelve lists");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_few_organizations_of_a_huge_account_are_asked_for_by_them() {
    let seed = seed(&[("acme", 0..5), ("small", 5..10), ("huge", 10..200)]);
    let options = SandboxOptions { seed: Some(seed), page_size_cap: Some(10), ..SandboxOptions::default() };
    let stack = Stack::with(&["itglue"], options).await;
    let as_it_was = |_| "as it was".to_owned();
    stack.write("stack.yaml", &(configurations("acme", 0..5, as_it_was) + &configurations("small", 5..10, as_it_was)));
    assert_eq!(stack.plan().await.document.summary.adopt, 10);
    let mut asked = scopes(&stack.sandbox.log(), "/configurations");
    asked.sort();
    let expected = ["", "filter[organization_id]=1000", "filter[organization_id]=1001"];
    assert_eq!(asked, expected, "one page tells how many there are");
}

/// As many organizations, each with a location of the same name, that configurations refer to by that name alone.
#[tokio::test(flavor = "multi_thread")]
async fn short_names_are_found_among_thousands_of_namesakes() {
    const MANY: usize = 2_000;
    for declared in [false, true] {
        let mut objects = json!({"itglue": {"Organization": [], "Location": []}});
        let mut text = String::new();
        for number in 0..MANY {
            let id = 1000 + number;
            let live = objects["itglue"].as_object_mut().unwrap();
            let organization = json!({"id": id, "name": format!("Org {number}")});
            live["Organization"].as_array_mut().unwrap().push(organization);
            if declared {
                write!(
                    text,
                    "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {{name: l{number}}}\n\
                     spec: {{organization: Org {number}, name: Main Office}}\n"
                )
                .unwrap();
            } else {
                let location = json!({"organization": format!("id:{id}"), "name": "Main Office"});
                live["Location"].as_array_mut().unwrap().push(location);
            }
            let location = if declared || number % 2 == 0 { "Main Office" } else { "MAIN OFFICE" };
            write!(
                text,
                "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: c{number}}}\nspec: \
                 {{organization: Org {number}, name: C, configurationType: Managed Server, location: {location}}}\n"
            )
            .unwrap();
        }
        let options = SandboxOptions { seed: Some(objects), ..SandboxOptions::default() };
        let stack = Stack::with(&["itglue"], options).await;
        stack.write("many.yaml", &text);
        let planned = stack.plan().await;
        assert_eq!(told(&planned), Vec::<String>::new());
        assert_eq!(planned.document.summary.create, if declared { 2 * MANY } else { MANY });
        let calls = calls(&stack.sandbox.log());
        assert_eq!((calls["GET /organizations"], calls["GET /locations"]), (3, if declared { 1 } else { 2 }));
    }
}

/// A thousand objects of Cycloid: repositories and roles of an organization, projects with environments and components.
fn console(description: &str) -> String {
    let head = |kind: &str, name: &str| {
        format!("---\napiVersion: cycloid.plumb.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  ")
    };
    let mut out = head("Credential", "git")
        + "organization: acme\n  name: Git\n  type: ssh\n  path: git\n  raw: {sshKey: {valueFrom: {file: key}}}\n"
        + &head("ConfigRepository", "configs")
        + "{organization: acme, name: C, url: \"git@git.example.com:a/b.git\", branch: main, default: true, credential: git}\n";
    out += &head("Member", "jane");
    out += "{organization: acme, email: jane@example.com, role: organization-admin}\n";
    for number in 0..398 {
        out += &head("Role", &format!("role-{number}"));
        let words = if number < 10 { description } else { "as it was" };
        out += &format!(
            "{{organization: acme, name: Role, description: {words}, rules: [{{action: \"organization:read\", effect: allow}}]}}\n"
        );
    }
    for project in 0..20 {
        out += &head("Project", &format!("project-{project}"));
        out += "{organization: acme, name: P, owner: jane, configRepository: configs}\n";
        for environment in 0..4 {
            out += &head("Environment", &format!("e-{project}-{environment}"));
            out += &format!("{{project: project-{project}, canonical: env-{environment}, name: E}}\n");
            for component in 0..6 {
                out += &head("Component", &format!("c-{project}-{environment}-{component}"));
                out += &format!(
                    "{{environment: e-{project}-{environment}, canonical: component-{component}, name: C, useCase: default, \
                     serviceCatalog: acme:stack}}\n"
                );
            }
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_objects_of_a_console_cost_a_list_for_each_collection_in_use() {
    let seed = json!({"cycloid": {
        "Organization": [{"canonical": "acme", "name": "Acme"}],
        "ServiceCatalog": [{"organization": "acme", "ref": "acme:stack", "canonical": "stack", "visibility": "local"}]}});
    let options = SandboxOptions { seed: Some(seed), ..SandboxOptions::default() };
    let stack = Stack::with(&["cycloid"], options).await;
    stack.write("key", "a-private-key");
    stack.write("stack.yaml", &console("as it was"));
    let document = stack.apply().await;
    assert_eq!((document.summary.create, document.summary.adopt, document.requests.apply), (980, 1, 980));

    stack.sandbox.clear_log();
    let planned = stack.plan().await;
    assert_eq!((lines(&planned.document), told(&planned)), (Vec::new(), Vec::new()));
    assert_eq!(planned.document.summary.unchanged, 981);
    let lists = calls(&stack.sandbox.log());
    assert!(lists.values().all(|count| *count == 1), "{lists:?}");
    let single = ["GET /organizations/acme/credentials/git"];
    let found: Vec<&String> = lists.keys().filter(|call| single.contains(&call.as_str())).collect();
    assert_eq!(found.len(), 1, "secrets are in no list: {lists:?}");
    // Credentials, repositories, roles, stacks, projects, and the members, who are the users too; environments of 20
    // projects, and one list of the components of 80 environments.
    assert_eq!(lists.len(), 6 + 20 + 1 + single.len(), "{lists:?}");
    assert_eq!(planned.document.requests.observe, 28);

    // An update replaces the whole object: it is read just before.
    stack.write("stack.yaml", &console("changed"));
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    assert_eq!((document.summary.update, document.requests.apply), (10, 20));
    assert_eq!(writes(&stack.sandbox.log()), 10);
}

/// A thousand objects of balena: fleets with variables and tags, services, devices with tags and variables of services.
fn fleets(level: &str) -> String {
    let head = |kind: &str, name: &str| {
        format!("---\napiVersion: balena.plumb.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  ")
    };
    let mut out = String::new();
    for fleet in 0..10 {
        out += &head("Application", &format!("fleet-{fleet}"));
        out += &format!(
            "organization: acme\n  deviceType: raspberrypi4-64\n  environmentVariables: [{{name: LOG, value: {level}}}]\n  \
             tags: {{owner: ops}}\n"
        );
        out += &head("Service", &format!("main-{fleet}"));
        out += &format!("{{application: fleet-{fleet}, serviceName: main, labels: {{tier: one}}}}\n");
        for device in 0..24 {
            out += &head("Device", &format!("device-{fleet}-{device}"));
            out += &format!(
                "uuid: \"{:032x}\"\n  application: fleet-{fleet}\n  deviceType: raspberrypi4-64\n  tags: {{site: north}}\n  \
                 configVariables: [{{name: BALENA_X, value: \"1\"}}]\n  serviceEnvironmentVariables: [{{service: \
                 main-{fleet}, name: LOG, value: debug}}]\n",
                fleet * 100 + device + 1
            );
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_objects_of_fleets_cost_one_query_for_each_set() {
    let stack = Stack::with(&["balena"], SandboxOptions::default()).await;
    stack.write("stack.yaml", &fleets("info"));
    let document = stack.apply().await;
    // 10 fleets with 2 entries, 10 services with 1, 240 devices with 3; each variable of a service needs an installation.
    assert_eq!((document.summary.create, document.requests.apply), (1010, 1010 + 240));

    stack.sandbox.clear_log();
    let planned = stack.plan().await;
    assert_eq!((lines(&planned.document), told(&planned)), (Vec::new(), Vec::new()));
    assert_eq!(planned.document.summary.unchanged, 1010);
    let found = calls(&stack.sandbox.log());
    let expected = [
        "GET /actor/v1/whoami",
        "GET /v7/application",
        "GET /v7/device",
        "GET /v7/device_type",
        "GET /v7/organization",
        "GET /v7/service",
    ];
    let named: Vec<String> = expected.iter().map(|call| call.replace("/v7", "")).collect();
    let shown: Vec<String> = found.keys().map(|call| call.replace("/v7", "")).collect();
    assert_eq!(shown, named, "{found:?}");
    assert!(found.values().all(|count| *count == 1), "{found:?}");
    assert_eq!(planned.document.requests.observe, 6);

    stack.write("stack.yaml", &fleets("debug"));
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    assert_eq!((document.summary.update, document.requests.apply), (10, 10));
    assert_eq!(writes(&stack.sandbox.log()), 10);
}
