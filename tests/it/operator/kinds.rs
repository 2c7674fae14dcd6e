//! Every kind of all five APIs: the examples, applied with kubectl as they are, become ready; an object of each kind is
//! edited, drifts and is repaired; all go as their descriptions say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plumb::{apis, description::Kind, sandbox::SandboxOptions};
use serde_json::{Value, json};

use super::edits::{Edit, FIXED, Fate, about, choose, fate, row};
use crate::{
    conformance::stage::set,
    support::{
        example::repository,
        operator::{Operated, PATIENCE, condition},
    },
};

/// Applies a folder of examples as it is, and waits until everything is ready.
async fn ready(api: &'static str, connection: &str, folder: &str, variables: &[&str]) {
    let Some(mut operated) = Operated::prepare_with(api, apis::builtin(), SandboxOptions::default()).await else {
        return;
    };
    // Files are named from the folder of the manifests; what is written goes elsewhere.
    let files = operated.folder.path().join("a/b");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::create_dir_all(operated.folder.path().join("target")).unwrap();
    let uploads = repository(folder).join("customers/happy-frog/files");
    if uploads.is_dir() {
        std::fs::create_dir(files.join("files")).unwrap();
        for file in std::fs::read_dir(uploads).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), files.join("files").join(file.file_name())).unwrap();
        }
    }
    let override_url = format!("--connection={connection}={}", operated.sandbox.url(api));
    let (first, second) = (files.display().to_string(), operated.folder.path().display().to_string());
    operated.with(&[&override_url, "--allow-folder", &first, "--allow-folder", &second, "--allow-env", "*"]);
    let mut command = operated.command(&operated.cluster.kubeconfig());
    command.envs(variables.iter().map(|name| (*name, format!("correct-horse-{name}"))));
    operated.start_as(command);
    operated.kubectl(&["apply", "--server-side", "-R", "-f", folder]);

    let mut last = Vec::new();
    let began = std::time::Instant::now();
    let all: Vec<Value> = operated.cluster.until("everything is ready", PATIENCE * 3, || {
        assert!(began.elapsed() < PATIENCE * 2, "not ready: {last:#?}\n{}", operated.log(0));
        let (_, text) = operated.cluster.kubectl(&["get", "plumb", "-n", &operated.namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).ok()?;
        let items: Vec<Value> = list["items"].as_array()?.clone();
        last = items
            .iter()
            .filter(|item| item["apiVersion"] != "plumb.dev/v1alpha1")
            .filter(|item| condition(item, "Ready").is_none_or(|ready| ready["status"] != "True"))
            .map(|item| format!("{}/{}: {:#}", item["kind"], item["metadata"]["name"], item["status"]["conditions"]))
            .collect();
        if last.iter().all(|waits| waits.contains("\"Waiting\"")) { Some(items) } else { None }
    });
    let shown: BTreeSet<&str> = all.iter().filter_map(|item| item["kind"].as_str()).collect();
    for kind in apis::builtin().api(api).unwrap().kinds.values().filter(|kind| kind.is_declarable()) {
        assert!(shown.contains(kind.name.as_str()), "the example has no {}", kind.name);
    }
    // One more sweep finds nothing to do.
    operated.sandbox.clear_log();
    operated.cluster.until("another sweep", PATIENCE, || (operated.sandbox.log().len() > 5).then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let writes = operated.writes();
    assert!(writes.is_empty(), "{writes:#?}");
    for variable in variables {
        let secret = format!("correct-horse-{variable}");
        assert!(!operated.log(0).contains(&secret), "the log has {variable}");
        assert!(!all.iter().any(|item| item.to_string().contains(&secret)), "a resource has {variable}");
    }
    let table = operated.kubectl(&["get", "plumb"]);
    for column in ["READY", "SYNCED", "EXTERNAL-ID", "DRIFT", "REASON", "AGE"] {
        assert!(table.contains(column), "{table}");
    }
    let kinds: Vec<Arc<Kind>> =
        apis::builtin().api(api).unwrap().kinds.values().filter(|kind| kind.is_declarable()).cloned().collect();
    let whole = Whole { operated: &operated, api, kinds };
    whole.settle();
    let edits = whole.edited(&whole.resources());
    whole.drifted(&edits);
    whole.gone();
}

/// What kubectl calls a resource.
fn path(api: &str, resource: &Value) -> String {
    let (kind, name) = about(resource);
    format!("{}.{api}.plumb.dev/{name}", kind.to_lowercase())
}

/// All resources of an API.
struct Whole<'o> {
    operated: &'o Operated,
    api: &'static str,
    kinds: Vec<Arc<Kind>>,
}

impl Whole<'_> {
    fn kind(&self, resource: &Value) -> &Arc<Kind> {
        self.kinds.iter().find(|kind| resource["kind"] == kind.name.as_str()).unwrap()
    }

    /// The resources as they are now.
    fn resources(&self) -> Vec<Value> {
        let (_, text) = self.operated.cluster.kubectl(&["get", "plumb", "-n", &self.operated.namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().filter(|item| item["apiVersion"] != "plumb.dev/v1alpha1").collect()
    }

    /// The live object that a resource is of.
    fn live(&self, resource: &Value) -> Option<Value> {
        let kind = self.kind(resource);
        let rows = self.operated.sandbox.objects(self.api, &kind.name);
        row(rows, kind, resource["status"]["externalId"].as_str()?)
    }

    /// Somebody does what is waited for, so that everything is ready.
    fn settle(&self) {
        for resource in self.resources() {
            let Some(pending) = &self.kind(&resource).spec.pending else { continue };
            let kind = self.kind(&resource);
            let field = pending.when.field.as_deref().and_then(|name| kind.field(name)).unwrap();
            let live = self.live(&resource).unwrap();
            let key = live.get("key").unwrap_or(&live["id"]).as_str().unwrap();
            let accepted = json!({field.wire_name(): "accepted"});
            assert!(self.operated.sandbox.mutate(self.api, &kind.name, key, &accepted));
            self.operated.wait(&path(self.api, &resource), "Ready", "True");
        }
    }

    /// Waits until Events of one of these reasons are about all of these resources.
    fn events(&self, reasons: &[&str], mut about: BTreeSet<(String, String)>) {
        let began = std::time::Instant::now();
        while !about.is_empty() {
            let (_, text) = self.operated.cluster.kubectl(&[
                "get",
                "events.events.k8s.io",
                "-n",
                &self.operated.namespace,
                "-o",
                "json",
            ]);
            let list: Value = serde_json::from_str(&text).unwrap_or_default();
            for event in list["items"].as_array().into_iter().flatten() {
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                if reasons.contains(&word(&event["reason"]).as_str()) {
                    about.remove(&(word(&event["regarding"]["kind"]), word(&event["regarding"]["name"])));
                }
            }
            let waited = began.elapsed();
            let others = || -> Vec<String> {
                let events = list["items"].as_array().into_iter().flatten();
                let these = events.filter(|event| about.iter().any(|(_, name)| event["regarding"]["name"] == **name));
                let told = |event: &Value| format!("{} {}: {}", event["regarding"], event["reason"], event["note"]);
                these.map(told).collect()
            };
            assert!(about.is_empty() || waited < PATIENCE, "no Event {reasons:?}: {about:?}, but {:#?}", others());
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
    }

    /// One field of an object of every kind is changed with kubectl, all at once: one update each.
    fn edited(&self, resources: &[Value]) -> Vec<(Edit, Value)> {
        let edits = choose(resources, &self.kinds);
        let before: Vec<Value> = edits.iter().map(|edit| self.kept(edit)).collect();
        let mut wrong = Vec::new();
        for kind in &self.kinds {
            let title = format!("{}/{}", self.api, kind.name);
            let fixed = FIXED.iter().any(|(fixed, why)| *fixed == title && !why.is_empty());
            let edited = edits.iter().any(|edit| edit.resource["kind"] == kind.name.as_str());
            if fixed == edited {
                wrong.push(format!(
                    "{title}: it is {}in the list of kinds without a change",
                    if fixed { "" } else { "not " }
                ));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        self.operated.sandbox.clear_log();
        let list: Vec<Value> = edits.iter().map(Edit::manifest).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": list}).to_string();
        let args = ["apply", "--server-side", "-n", &self.operated.namespace, "-f", "-"];
        let (good, said) = self.operated.cluster.feed(&args, &list);
        assert!(good, "{said}");
        let mut last = Vec::new();
        let began = std::time::Instant::now();
        loop {
            let now = self.resources();
            last.clear();
            for edit in &edits {
                let found = now.iter().find(|resource| about(resource) == edit.about());
                let wrong = found.map_or_else(|| "it is gone".to_owned(), |found| Self::unlike(edit, found));
                if !wrong.is_empty() {
                    last.push(format!("{:?} {}: {wrong}", edit.about(), edit.leaf.at));
                }
            }
            if last.is_empty() {
                break;
            }
            assert!(began.elapsed() < PATIENCE * 2, "not updated: {last:#?}\n{}", self.operated.log(0));
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        self.one_each(&edits);
        self.events(&["Updated"], edits.iter().map(Edit::about).collect());
        edits.into_iter().zip(before).collect()
    }

    /// Where the server keeps the field of an edit.
    fn kept(&self, edit: &Edit) -> Value {
        let live = self.live(&edit.resource).unwrap_or_else(|| panic!("{:?} is not there", edit.about()));
        live["attributes"].pointer(&edit.leaf.kept).cloned().unwrap_or_default()
    }

    /// The edits are undone behind plumb's back, all at once: each is repaired by one call, and told of.
    fn drifted(&self, edits: &[(Edit, Value)]) {
        let wanted: Vec<Value> = edits.iter().map(|(edit, _)| self.kept(edit)).collect();
        self.operated.sandbox.clear_log();
        for ((edit, before), wanted) in edits.iter().zip(&wanted) {
            assert_ne!(before, wanted, "{:?} {}: the server kept no change", edit.about(), edit.leaf.kept);
            let live = self.live(&edit.resource).unwrap();
            let key = live.get("key").unwrap_or(&live["id"]).as_str().unwrap();
            let mut change = json!({});
            set(&mut change, &edit.leaf.kept, before.clone());
            let kind = &self.kind(&edit.resource).name;
            assert!(self.operated.sandbox.mutate(self.api, kind, key, &change), "{:?}", edit.about());
        }
        self.events(&["DriftRepaired"], edits.iter().map(|(edit, _)| edit.about()).collect());
        for ((edit, _), wanted) in edits.iter().zip(wanted) {
            assert_eq!(self.kept(edit), wanted, "{:?} {}", edit.about(), edit.leaf.kept);
        }
        self.one_each(&edits.iter().map(|(edit, _)| edit.clone()).collect::<Vec<_>>());
    }

    /// All resources go at once, in no order: what is live goes or stays as the descriptions say, and that is told.
    fn gone(&self) {
        let resources = self.resources();
        let names: Vec<String> = resources.iter().map(|resource| path(self.api, resource)).collect();
        let mut args = vec!["delete", "--wait=false"];
        args.extend(names.iter().map(String::as_str));
        self.operated.kubectl(&args);
        let began = std::time::Instant::now();
        loop {
            let left = self.resources();
            if left.is_empty() {
                break;
            }
            let left: Vec<String> =
                left.iter().map(|item| format!("{:?}: {:#}", about(item), item["status"]["conditions"])).collect();
            assert!(began.elapsed() < PATIENCE * 2, "they do not go: {left:#?}\n{}", self.operated.log(0));
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        self.operated.sandbox.flush();
        let mut told: BTreeMap<&[&str], BTreeSet<(String, String)>> = BTreeMap::new();
        let mut wrong = Vec::new();
        for resource in &resources {
            let live = self.live(resource).is_some();
            let fate = match fate(self.kind(resource), resource) {
                // What is used by an object that is forgotten stays with it.
                Fate::Deleted if live && self.kind(resource).spec.kept_while_used => Fate::Forgotten,
                fate => fate,
            };
            if live == (fate == Fate::Deleted) {
                wrong.push(format!(
                    "{:?}: {fate:?}, and it is {}there",
                    about(resource),
                    if live { "" } else { "not " }
                ));
            }
            let reasons: &[&str] = match fate {
                // It may have gone with what it was in.
                Fate::Deleted => &["Deleted", "Forgotten"],
                Fate::Forgotten => &["Forgotten"],
                Fate::Retained => &["Retained"],
            };
            told.entry(reasons).or_default().insert(about(resource));
        }
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", self.operated.log(0));
        for (reasons, about) in told {
            self.events(reasons, about);
        }
    }

    /// Each object was written once, by a call of its own or in one with others; a rollout is what the API does with it.
    fn one_each(&self, edits: &[Edit]) {
        let writes = self.operated.writes();
        let written = writes.iter().filter(|call| !call.path.contains("/rollouts/")).map(|call| {
            let many = call.body.as_ref().and_then(|body| body.get("resources").or(body.get("data"))?.as_array());
            many.map_or(1, Vec::len)
        });
        let told: Vec<String> =
            writes.iter().map(|call| format!("{} {}: {:?}", call.method, call.path, call.body)).collect();
        let about: Vec<_> = edits.iter().map(Edit::about).collect();
        assert_eq!(written.sum::<usize>(), edits.len(), "{told:#?} for {about:#?}");
    }

    /// What is not as it should be after an edit, in words.
    fn unlike(edit: &Edit, found: &Value) -> String {
        let plan = &found["status"]["lastPlan"];
        let ready = condition(found, "Ready").is_some_and(|ready| ready["status"] == "True");
        let seen = found["status"]["observedGeneration"] == found["metadata"]["generation"];
        let paths: Vec<&str> =
            plan["changes"].as_array().into_iter().flatten().filter_map(|change| change["path"].as_str()).collect();
        if ready
            && seen
            && plan["action"] == "update"
            && plan["outcome"] == "done"
            && paths == [edit.leaf.path.as_str()]
        {
            return String::new();
        }
        format!("{:#}", found["status"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn itglue_examples_become_ready() {
    let variables =
        ["ITGLUE_API_KEY", "HAPPY_FROG_M365_ADMIN", "HAPPY_FROG_M365_OTP", "HAPPY_FROG_IDRAC", "BRIGHT_OTTER_WIFI"];
    ready("itglue", "itglue", "examples/itglue", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cycloid_examples_become_ready() {
    let variables = ["CYCLOID_TOKEN", "AWS_SECRET_KEY", "GIT_SSH_KEY", "CHAT_TOKEN", "SHOP_DATABASE_PASSWORD"];
    ready("cycloid", "acme", "examples/cycloid", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balena_examples_become_ready() {
    let variables = ["BALENA_TOKEN", "BROKER_PASSWORD", "PUMP_HOUSE_1_KEY", "WIFI"];
    ready("balena", "fleets", "examples/balena", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bindplane_examples_become_ready() {
    let variables = ["BINDPLANE_API_KEY", "SPLUNK_TOKEN", "TILL_PIN", "ORDERS_DB_PASSWORD"];
    ready("bindplane", "bindplane", "examples/bindplane", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_examples_become_ready() {
    let variables = ["PLATFORM_PASSWORD", "AUDIT_HOOK_SECRET", "CHAT_HOOK_SECRET"];
    ready("rest", "platform", "examples/rest", &variables).await;
}
