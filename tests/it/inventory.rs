//! The inventory keeps what was committed, for one writer at a time, whatever dies when.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use plumb::{
    address::Address,
    inventory::{
        Account, Edit, Intent, IntentVerb, Inventory, InventoryError, LeaseTimes, Location, Record, State, Tombstone,
    },
    manifest::DeletionPolicy,
};
use serde_json::json;
use tempfile::TempDir;

mod claims;
mod crashes;
mod cuts;
mod database;
mod faults;
mod files;
mod history;
mod leases;
mod versions;

/// Runs each of the tests of a module on every kind of inventory that is there: `local` where it says so, and all that
/// machines share.
macro_rules! on_all {
    (@one $name:ident, $location:expr, $($test:ident)*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some((_kept, location)) = $location {
                    super::$test(location).await;
                }
            })*
        }
    };
    (local and remote: $($test:ident)*) => {
        on_all! { @one sqlite, Some(crate::inventory::local()), $($test)* }
        on_all! { remote: $($test)* }
    };
    (remote: $($test:ident)*) => {
        on_all! { @one object_store, crate::support::s3::location().map(|at| ((), at)), $($test)* }
        on_all! { @one azure, crate::support::azure::location().map(|at| ((), at)), $($test)* }
        on_all! { @one google_stand_in, Some(((), crate::support::google::location())), $($test)* }
        on_all! { @one postgres, crate::support::postgres::location().map(|at| ((), at)), $($test)* }
        on_all! { @one kubernetes_stand_in, Some(crate::support::api_server::ApiServer::serve(plumb::inventory::Form::Secret)), $($test)* }
        on_all! { @one kubernetes, crate::inventory::cluster(plumb::inventory::Form::Secret), $($test)* }
        on_all! { @one kubernetes_config_map, crate::inventory::cluster(plumb::inventory::Form::ConfigMap), $($test)* }
    };
}

use on_all;

on_all! {
    local and remote:
    an_empty_place_opens_empty_and_stays_so
    what_was_committed_is_there_again
    concurrent_commits_are_all_kept
    one_writes_at_a_time
    the_lock_is_free_when_its_holder_is_dropped
    without_the_lock_nothing_is_written
    a_killed_run_leaves_its_intent
    owners_are_known_over_all_stacks
}

/// A namespace of a real control plane.
fn cluster(form: plumb::inventory::Form) -> Option<((), Location)> {
    let cluster = crate::support::cluster::Cluster::shared()?;
    Some(((), crate::support::api_server::place(&cluster.namespace("inventory"), form, &cluster.kubeconfig())))
}

fn local() -> (TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(None, folder.path()).unwrap();
    (folder, location)
}

fn path(location: &Location) -> PathBuf {
    let Location::Sqlite(path) = location else { panic!("{location} is no file") };
    path.clone()
}

async fn open(location: &Location) -> Inventory {
    Inventory::open(location, "default").await.unwrap()
}

async fn locked(location: &Location) -> Inventory {
    let mut inventory = open(location).await;
    inventory.lock("plumb apply").await.unwrap();
    inventory
}

async fn read(location: &Location) -> State {
    open(location).await.state().clone()
}

fn record(id: usize) -> Record {
    Record {
        connection: "happyfrog".into(),
        id: id.to_string(),
        parent: Some("33".into()),
        applied: json!({"z": 1, "a": {"$secret": "5f"}, "n": null}).as_object().unwrap().clone(),
        key: "Happy Frog".into(),
        adopted: true,
        deletion_policy: Some(DeletionPolicy::Delete),
        depends_on: vec!["x/Org/a".into()],
        at: "2026-11-25T00:00:00Z".into(),
        ..Record::default()
    }
}

fn put(id: usize) -> Edit {
    Edit::Put(format!("x/Org/o{id}"), Box::new(record(id)))
}

/// A record that is long enough for the commits of a test to go through every way of writing.
fn long(id: usize) -> Edit {
    let mut record = record(id);
    record.applied.insert("text".into(), json!("x".repeat(20_000)));
    Edit::Put(format!("x/Org/o{id}"), Box::new(record))
}

fn numbers(state: &State) -> BTreeSet<usize> {
    state.objects.keys().map(|address| address.trim_start_matches("x/Org/o").parse().unwrap()).collect()
}

fn begin(intent: &str) -> Edit {
    let intent_of = Intent {
        address: "x/Org/a".into(),
        verb: IntentVerb::Create,
        connection: "happyfrog".into(),
        kind: "Org".into(),
        id: None,
        parent: None,
        sent: json!({"name": "A"}).as_object().unwrap().clone(),
        seen: vec!["7".into()],
        at: "2026-11-25T00:00:00Z".into(),
        deadline: "2026-11-25T00:01:00Z".into(),
    };
    Edit::Begin(intent.into(), intent_of)
}

async fn an_empty_place_opens_empty_and_stays_so(location: Location) {
    assert_eq!(read(&location).await, State::default());
    assert!(Inventory::stacks(&location).await.unwrap().is_empty());
    assert!(Inventory::owners(&location).await.unwrap().owner_of("u", "x/Org", "1").is_none());
    assert_eq!(Inventory::break_lock(&location, "default").await.unwrap(), None);
    if let Location::Sqlite(path) = &location {
        assert!(!path.parent().unwrap().exists(), "a look leaves no files");
    }
}

async fn what_was_committed_is_there_again(location: Location) {
    let tombstone = Tombstone { connection: "c".into(), kind: "Org".into(), id: "9".into(), at: String::new() };
    let account = Account { url: "https://api.example.com".into(), identity: Some("me".into()) };
    let commits = [
        vec![Edit::Roots(vec!["a".into(), "b/c".into()]), Edit::Account("happyfrog".into(), account)],
        vec![begin("1"), begin("2"), put(1), put(2), put(3)],
        vec![Edit::End("1".into()), Edit::Remove("x/Org/o2".into())],
        vec![Edit::Bury("x/Org/g".into(), tombstone.clone()), Edit::Bury("x/Org/h".into(), tombstone)],
        vec![Edit::Unbury("x/Org/g".into()), Edit::Put("x/Org/o1".into(), Box::new(record(11)))],
        vec![],
    ];
    let mut expected = State::default();
    let mut inventory = locked(&location).await;
    for commit in commits {
        inventory.commit(commit.clone()).await.unwrap();
        expected.apply(&commit);
        assert_eq!(*inventory.state(), expected);
        assert_eq!(read(&location).await, expected, "a reader beside the writer sees what is durable");
    }
    inventory.unlock().await;
    let reopened = read(&location).await;
    assert_eq!(reopened, expected);
    let fields: Vec<&String> = reopened.objects["x/Org/o1"].applied.keys().collect();
    assert_eq!(fields, ["z", "a", "n"], "the order of fields is kept");
    let other = Inventory::open(&location, "other").await.unwrap();
    assert_eq!(*other.state(), State::default(), "stacks are apart");
}

async fn concurrent_commits_are_all_kept(location: Location) {
    let mut inventory = locked(&location).await;
    let started = Instant::now();
    join_all((0..100).map(|id| inventory.commit(vec![put(id), begin(&id.to_string())])))
        .await
        .into_iter()
        .collect::<Result<Vec<()>, _>>()
        .unwrap();
    let took = started.elapsed();
    let shown = inventory.state().clone();
    assert_eq!(shown, read(&location).await);
    inventory.unlock().await;
    let state = read(&location).await;
    assert_eq!((state.objects.len(), state.intents.len(), state.serial), (100, 100, 100));
    assert!(took < Duration::from_mins(1), "100 commits of one wave took {took:?}");
}

async fn one_writes_at_a_time(location: Location) {
    let mut first = locked(&location).await;
    let mut second = open(&location).await;
    let refused = second.lock("plumb destroy").await.unwrap_err();
    let InventoryError::Locked { holder, .. } = &refused else { panic!("{refused}") };
    assert_eq!((holder.who.as_str(), holder.pid), ("plumb apply", std::process::id()));
    let diagnostic = refused.diagnostic();
    assert_eq!(diagnostic.code, "PL0803");
    for part in [&holder.user, &holder.host, &holder.since] {
        assert!(diagnostic.message.contains(part.as_str()), "{diagnostic:?} does not tell {part}");
    }
    assert!(!diagnostic.hints.is_empty());

    first.commit(vec![put(1)]).await.unwrap();
    first.unlock().await;
    assert!(!first.is_locked());
    second.lock("plumb destroy").await.unwrap();
    assert!(second.state().objects.contains_key("x/Org/o1"), "the record is read again under the lock");
    second.commit(vec![put(2)]).await.unwrap();
    second.unlock().await;
    first.lock("plumb apply").await.unwrap();
    assert_eq!(first.state().objects.len(), 2);
}

async fn the_lock_is_free_when_its_holder_is_dropped(location: Location) {
    let first = locked(&location).await;
    // Cut off while it waits, as by an interrupt: it is written all the same.
    {
        let mut commit = Box::pin(first.commit(vec![put(1)]));
        let _begun = futures::poll!(&mut commit);
    }
    drop(first);
    let mut second = open(&location).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = second.lock("plumb apply").await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(second.state().objects.contains_key("x/Org/o1"));
}

async fn without_the_lock_nothing_is_written(location: Location) {
    let mut inventory = open(&location).await;
    assert!(matches!(inventory.commit(vec![put(1)]).await, Err(InventoryError::NotLocked(_))));
    inventory.lock("plumb apply").await.unwrap();
    inventory.unlock().await;
    assert!(matches!(inventory.commit(vec![put(1)]).await, Err(InventoryError::NotLocked(_))));
    assert!(inventory.state().objects.is_empty());
}

async fn a_killed_run_leaves_its_intent(location: Location) {
    let mut child = child(&location);
    let mut inventory = open(&location).await;
    let refused = inventory.lock("plumb apply").await.unwrap_err();
    let InventoryError::Locked { holder, .. } = &refused else { panic!("{refused}") };
    assert_eq!(holder.pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    if location.is_remote() {
        let refused = inventory.lock("plumb apply").await;
        assert!(matches!(refused, Err(InventoryError::Locked { .. })), "the lease outlives its holder");
        tokio::time::sleep(CHILD_LEASE).await;
    }
    inventory.lock("plumb apply").await.unwrap();
    assert_eq!(inventory.state().intents.keys().collect::<Vec<_>>(), ["killed"]);
    assert_eq!(inventory.state().serial, 1);
}

/// Long enough that the child is not late to renew it on a busy machine.
const CHILD_LEASE: Duration = Duration::from_secs(4);

/// A process that took the lock and began a write.
fn child(location: &Location) -> Child {
    let (child, mut lines) = start(location, "inventory::holds_the_lock");
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("has begun"))), "the child took the lock");
    child
}

/// A process that runs an ignored test on an inventory, and what it says.
fn start(location: &Location, test: &str) -> (Child, std::io::Lines<BufReader<std::process::ChildStdout>>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env("PLUMB_TEST_INVENTORY", location.to_string());
    command.envs(crate::support::places::variables(location));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The inventory that a child works on, locked.
async fn held_by_child() -> Inventory {
    let url = std::env::var("PLUMB_TEST_INVENTORY").unwrap();
    let location = Location::parse(Some(&url), Path::new(".")).unwrap();
    let times = LeaseTimes { length: CHILD_LEASE, renewal: CHILD_LEASE / 4 };
    let mut inventory = open(&location).await.with_lease(times);
    inventory.lock("plumb apply").await.unwrap();
    inventory
}

#[tokio::test]
#[ignore = "the process that `a_killed_run_leaves_its_intent` kills"]
async fn holds_the_lock() {
    let inventory = held_by_child().await;
    inventory.commit(vec![begin("killed")]).await.unwrap();
    println!("has begun");
    tokio::time::sleep(Duration::from_mins(2)).await;
    panic!("nobody killed this process");
}

async fn owners_are_known_over_all_stacks(location: Location) {
    let account = Account { url: "https://api.example.com/".into(), identity: None };
    for (stack, id) in [("one", 1), ("two", 2)] {
        let mut inventory = Inventory::open(&location, stack).await.unwrap();
        inventory.lock("plumb apply").await.unwrap();
        inventory.commit(vec![Edit::Account("happyfrog".into(), account.clone()), put(id)]).await.unwrap();
        inventory.unlock().await;
    }
    assert_eq!(Inventory::stacks(&location).await.unwrap(), ["one", "two"]);
    let owners = Inventory::owners(&location).await.unwrap();
    let url = "https://api.example.com";
    assert_eq!(owners.owner_of(url, "x/Org", "2").unwrap().stack, "two");
    let address: Address = "x/Org/o1".parse().unwrap();
    assert!(owners.other_than("one", &address, url, "1").is_none());
    assert_eq!(owners.other_than("two", &address, url, "1").unwrap().stack, "one");
    assert!(owners.other_than("two", &address, url, "3").is_none());
}
