//! History and undo as a user sees them, and the one owner of a live object across stacks.

mod cli;
mod figures;
mod owners;
mod places;

use plumb::{
    inventory::{Change, Inventory, Location, Run, State},
    pipeline::{self, Options, Undo},
    plan::{Mode, Outcome, PlanDocument},
};
use serde_json::json;

use crate::{
    flow::REST,
    support::stack::{Stack, lines, told},
};

async fn inventory(stack: &Stack) -> Inventory {
    let location = Location::parse(stack.options.inventory.as_deref(), stack.folder.path()).unwrap();
    Inventory::open(&location, "default").await.unwrap()
}

async fn state(stack: &Stack) -> State {
    inventory(stack).await.state().clone()
}

async fn last(stack: &Stack) -> (String, Run, Vec<Change>) {
    let inventory = inventory(stack).await;
    let (id, run) = inventory.state().runs.iter().next_back().map(|(id, run)| (id.clone(), run.clone())).unwrap();
    let changes = inventory.changes(&id).await.unwrap();
    (id, run, changes)
}

async fn undo(stack: &Stack, run: Option<&str>) -> (PlanDocument, Vec<String>) {
    let undo = Undo { run: run.map(str::to_owned), targets: Vec::new() };
    let options = Options { keep_key: true, undo: Some(undo), ..stack.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    let told = told(&planned);
    let applied = pipeline::apply(planned, &options).await.unwrap();
    for action in &applied.document.actions {
        assert_eq!(action.outcome, Some(Outcome::Done), "{}: {:?}", action.address, action.error);
    }
    (applied.document, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_kept_with_who_what_and_how_it_was_before() {
    let mut stack = Stack::start(&["rest"]).await;
    stack.options.who = Some("Jane Doe <jane@example.com>".into());
    stack.write("stack.yaml", REST);
    stack.apply().await;
    let (first, run, changes) = last(&stack).await;
    assert_eq!((run.command.as_str(), run.who.as_str()), ("apply", "Jane Doe <jane@example.com>"));
    assert!(run.revision.is_some() && run.ended.is_some() && run.undoes.is_none());
    assert_eq!((run.done["create"], run.failed), (3, 0));
    assert!(changes.iter().all(|change| change.action == "create" && change.before.is_none()));

    stack.write("stack.yaml", &REST.replace("The first one", "Another").replace("size: 3", "size: 4"));
    stack.apply().await;
    let (second, _, changes) = last(&stack).await;
    assert!(second > first, "ids sort by time: {first}, {second}");
    let [change] = &changes[..] else { panic!("{changes:#?}") };
    assert_eq!((change.address.as_str(), change.action.as_str()), ("rest/Resource/first", "update"));
    let before = change.before.as_ref().unwrap();
    assert_eq!(before["description"], "The first one");
    let fields: Vec<_> = change.fields.iter().map(|field| (field.path.as_str(), &field.before, &field.after)).collect();
    assert!(fields.contains(&("/description", &Some(json!("The first one")), &Some(json!("Another")))), "{fields:?}");
    let end = change.end.as_ref().unwrap();
    assert_eq!(end.outcome, "done");
    let id = change.id.clone().unwrap();
    assert!(end.requests.iter().any(|sent| sent.path.ends_with(&id) && sent.status == Some(200)), "{end:?}");

    // A run that does nothing is none.
    stack.apply().await;
    assert_eq!(state(&stack).await.runs.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_sets_back_what_was_changed_and_nothing_else() {
    let mut stack = Stack::start(&["rest"]).await;
    stack.write("stack.yaml", REST);
    stack.apply().await;
    stack.write("stack.yaml", &REST.replace("The first one", "Another").replace("name: Acme", "name: Acme Ltd"));
    stack.apply().await;
    // What is not the run's stays: a pending change of the manifest, and what somebody else changed.
    let pending = REST.replace("The first one", "Another").replace("hooks.example/a", "hooks.example/b");
    stack.write("stack.yaml", &pending);
    let id = stack.sandbox.objects("rest", "Resource")[0]["id"].as_str().unwrap().to_owned();
    assert!(stack.sandbox.mutate("rest", "Resource", &id, &json!({"name": "By hand"})));
    stack.options.selection.targets.clear();
    let (document, told) = undo(&stack, None).await;
    assert_eq!(told, Vec::<String>::new());
    let mut found = lines(&document);
    found.sort();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("update rest/Organization/acme") && found[0].ends_with("/name"), "{found:?}");
    assert!(found[1].starts_with("update rest/Resource/first"), "{found:?}");
    let row = &stack.sandbox.objects("rest", "Resource")[0]["attributes"];
    assert_eq!(row["description"], "The first one");
    assert_eq!(stack.sandbox.objects("rest", "Organization")[0]["attributes"]["name"], "Acme");
    assert_eq!(stack.sandbox.objects("rest", "Webhook")[0]["attributes"]["url"], "https://hooks.example/a");
    let (id, run, _) = last(&stack).await;
    assert_eq!(run.command, "undo");
    assert!(run.undoes.is_some_and(|undone| undone < id));
    // The manifests say otherwise, and the next plan does it again.
    let planned = stack.plan().await;
    assert!(lines(&planned.document).iter().any(|line| line.contains("/description")));
    // An undo is a run, and can be undone.
    let (document, _) = undo(&stack, None).await;
    assert_eq!(document.actions.len(), 2);
    assert_eq!(stack.sandbox.objects("rest", "Resource")[0]["attributes"]["description"], "Another");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_comes_back_with_what_refers_to_it_and_is_owned() {
    let mut stack = Stack::start(&["itglue"]).await;
    let text = "
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: happy-frog, annotations: {plumb.dev/deletion-policy: delete}}
spec: {name: Happy Frog, quickNotes: Lives by the pond}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: email}
spec:
  name: Email
  icon: envelope
  fields:
    - {name: Domain, kind: Text, order: 1, required: true, useForTitle: true, showInList: true}
    - {name: Notes, kind: Textbox, order: 2, hint: Whatever}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAsset
metadata: {name: mail}
spec:
  organization: happy-frog
  flexibleAssetType: email
  traits: {domain: frog.example, notes: Green}
";
    let kept = "
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: other}
spec: {name: Other}
";
    stack.write("stack.yaml", &format!("{text}---{kept}"));
    stack.apply().await;
    stack.options.prune = true;
    stack.options.max_deletes = Some("100%".parse().unwrap());
    stack.write("stack.yaml", kept);
    let deleted = stack.apply().await;
    assert_eq!(deleted.summary.delete, 2, "{:?} {:?}", lines(&deleted), deleted.diagnostics);
    stack.sandbox.flush();
    let gone = |kind: &str, name: &str| {
        !stack.sandbox.objects("itglue", kind).iter().any(|row| row["attributes"]["name"] == name)
    };
    assert!(gone("Organization", "Happy Frog"));
    stack.options.prune = false;
    let (document, told) = undo(&stack, None).await;
    let found = lines(&document);
    for address in ["itglue/Organization/happy-frog", "itglue/FlexibleAsset/mail"] {
        assert!(
            found.iter().any(|line| line.starts_with(&format!("create {address} "))),
            "{address}: {found:#?} {told:?}"
        );
    }
    let organizations = stack.sandbox.objects("itglue", "Organization");
    let back = organizations.iter().find(|row| row["attributes"]["name"] == "Happy Frog").unwrap();
    assert_eq!(back["attributes"]["quick-notes"], "Lives by the pond");
    let assets = stack.sandbox.objects("itglue", "FlexibleAsset");
    let back_id = back["id"].as_str().unwrap();
    assert!(assets.iter().any(|row| row["attributes"]["organization-id"].to_string().trim_matches('"') == back_id));
    // The manifests as they were fit what is there: nothing is left to do.
    stack.write("stack.yaml", &format!("{text}---{kept}"));
    stack.assert_empty().await;
    assert!(!state(&stack).await.objects["itglue/Organization/happy-frog"].adopted);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_kept_and_what_needs_them_is_told() {
    let stack = Stack::start(&["itglue"]).await;
    std::fs::write(stack.path("password"), "correct-horse-battery").unwrap();
    std::fs::write(stack.path("password-2"), "another-horse-battery").unwrap();
    let text = "
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: happy-frog}
spec: {name: Happy Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Password
metadata: {name: admin}
spec:
  organization: happy-frog
  name: Admin
  username: root
  password: {valueFrom: {file: password}}
";
    stack.write("stack.yaml", text);
    stack.apply().await;
    stack.write("stack.yaml", &text.replace("file: password}", "file: password-2}").replace("root", "toor"));
    stack.apply().await;
    let (_, _, changes) = last(&stack).await;
    let change = changes.iter().find(|change| change.address == "itglue/Password/admin").unwrap();
    assert!(change.fields.iter().any(|field| field.path == "/password" && field.sensitive));
    let database = std::fs::read(stack.path(".plumb/inventory.db")).unwrap();
    let log = std::fs::read(stack.path(".plumb/inventory.db-wal")).unwrap_or_default();
    for secret in ["correct-horse-battery", "another-horse-battery"] {
        for bytes in [&database, &log] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is kept");
        }
    }
    let undo_options = Options { keep_key: true, undo: Some(Undo::default()), ..stack.options.clone() };
    let planned = pipeline::plan(&undo_options, Mode::Plan).await.unwrap();
    let said = told(&planned);
    assert!(said.iter().any(|told| told.starts_with("PL0811") && told.contains("`password`")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_pruned_as_the_stack_says() {
    let stack = Stack::start(&["rest"]).await;
    let head = |runs: usize| {
        format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {{name: default}}\nspec: {{history: {{runs: {runs}}}}}\n---"
        )
    };
    for number in 0..4 {
        let text = REST.replace("The first one", &format!("Number {number}"));
        stack.write("stack.yaml", &format!("{}{text}", head(2)));
        stack.apply().await;
    }
    let inventory = inventory(&stack).await;
    let runs: Vec<String> = inventory.state().runs.keys().cloned().collect();
    assert_eq!(runs.len(), 2);
    for run in &runs {
        assert_eq!(inventory.changes(run).await.unwrap().len(), 1);
    }
    stack.write("stack.yaml", &format!("{}{}", head(0), REST.replace("The first one", "Not kept")));
    stack.apply().await;
    assert_eq!(state(&stack).await.runs.len(), 2, "with 0 nothing more is kept");
}

/// A run that was cut off has what it was about to change, and an undo of it sets back what came of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_can_be_undone() {
    let stack = Stack::start(&["rest"]).await;
    stack.write("stack.yaml", REST);
    stack.apply().await;
    stack.write("stack.yaml", &REST.replace("The first one", "Another"));
    stack.apply().await;
    let (id, run, _) = last(&stack).await;
    // As a kill after the call leaves it: the run has no end.
    let location = Location::parse(None, stack.folder.path()).unwrap();
    let mut open = Inventory::open(&location, "default").await.unwrap();
    open.lock("test").await.unwrap();
    let cut = Run { ended: None, done: std::collections::BTreeMap::new(), ..run };
    open.commit(vec![plumb::inventory::Edit::Run(id.clone(), Box::new(cut))]).await.unwrap();
    open.unlock().await;
    let (document, _) = undo(&stack, Some(&id[..])).await;
    assert_eq!(document.actions.len(), 1);
    assert_eq!(stack.sandbox.objects("rest", "Resource")[0]["attributes"]["description"], "The first one");
}

/// Entries that go with their parent are no actions of the run, and come back with it.
#[tokio::test(flavor = "multi_thread")]
async fn entries_that_vanished_with_their_parent_come_back_with_it() {
    let mut stack = Stack::start(&["balena"]).await;
    let organization = "
apiVersion: balena.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec: {name: Acme Pumps}
";
    let fleet = "---
apiVersion: balena.plumb.dev/v1alpha1
kind: Application
metadata: {name: pumps, annotations: {plumb.dev/deletion-policy: delete}}
spec:
  organization: acme
  deviceType: raspberrypi4-64
  environmentVariables:
    - {name: LOG_LEVEL, value: info}
    - {name: PORT, value: '8080'}
  tags: {owner: field-service}
";
    stack.write("stack.yaml", &format!("{organization}{fleet}"));
    stack.apply().await;
    stack.write("stack.yaml", organization);
    stack.options.prune = true;
    stack.options.max_deletes = Some("100%".parse().unwrap());
    let deleted = stack.apply().await;
    assert_eq!(lines(&deleted), ["delete balena/Application/pumps (removed)"]);
    assert!(stack.sandbox.objects("balena", "ApplicationEnvironmentVariable").is_empty());
    stack.options.prune = false;
    let (document, told) = undo(&stack, None).await;
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(document.summary.create, 4, "{:?}", lines(&document));
    let mut variables: Vec<String> = stack
        .sandbox
        .objects("balena", "ApplicationEnvironmentVariable")
        .iter()
        .map(|row| format!("{}={}", row["attributes"]["name"], row["attributes"]["value"]))
        .collect();
    variables.sort();
    assert_eq!(variables, [r#""LOG_LEVEL"="info""#, r#""PORT"="8080""#]);
    stack.write("stack.yaml", &format!("{organization}{fleet}"));
    stack.assert_empty().await;
}
