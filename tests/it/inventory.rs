//! The inventory keeps what was committed, for one writer at a time, whatever dies when.

use std::{
    fs,
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

use crate::support::{
    faulty_s3::{Faults, FaultyS3},
    s3,
};

/// Runs each of the tests on both kinds of inventory.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let (_folder, location) = super::local();
                super::$test(location).await;
            })*
        }
        mod object_store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some(location) = crate::support::s3::location() {
                    super::$test(location).await;
                }
            })*
        }
    };
}

on_both! {
    an_empty_place_opens_empty_and_stays_so
    what_was_committed_is_there_again
    concurrent_commits_are_all_kept
    one_writes_at_a_time
    the_lock_is_free_when_its_holder_is_dropped
    without_the_lock_nothing_is_written
    a_killed_run_leaves_its_intent
    a_newer_record_is_refused_and_left_alone
    owners_are_known_over_all_stacks
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
    if matches!(location, Location::S3 { .. }) {
        let writes = document(&location, "default").await["write"].as_u64().unwrap();
        assert!(writes < 20, "100 commits of one wave took {writes} writes and {took:?}");
    }
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
    if matches!(location, Location::S3 { .. }) {
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
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "inventory::holds_the_lock", "--ignored", "--nocapture"]);
    command.env("PLUMB_TEST_INVENTORY", location.to_string());
    if let Location::S3 { settings, .. } = location {
        command.envs(settings.0.iter().map(|(name, value)| (name.to_uppercase(), value)));
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("has begun")), "the child took the lock");
    child
}

#[tokio::test]
#[ignore = "the process that `a_killed_run_leaves_its_intent` kills"]
async fn holds_the_lock() {
    let url = std::env::var("PLUMB_TEST_INVENTORY").unwrap();
    let location = Location::parse(Some(&url), Path::new(".")).unwrap();
    let times = LeaseTimes { length: CHILD_LEASE, renewal: CHILD_LEASE / 4 };
    let mut inventory = open(&location).await.with_lease(times);
    inventory.lock("plumb apply").await.unwrap();
    inventory.commit(vec![begin("killed")]).await.unwrap();
    println!("has begun");
    tokio::time::sleep(Duration::from_mins(2)).await;
    panic!("nobody killed this process");
}

async fn a_newer_record_is_refused_and_left_alone(location: Location) {
    let mut inventory = locked(&location).await;
    inventory.commit(vec![put(1)]).await.unwrap();
    inventory.unlock().await;
    make_newer(&location).await;
    let error = Inventory::open(&location, "default").await.unwrap_err();
    assert!(matches!(error, InventoryError::TooNew { found: 99, .. }), "{error}");
    assert_eq!(error.diagnostic().code, "PL0804");
    for _ in 0..2 {
        // The second refusal is for the same reason: the first gave back the lock.
        let error = inventory.lock("plumb apply").await.unwrap_err();
        assert!(matches!(error, InventoryError::TooNew { .. }), "{error}");
    }
}

async fn make_newer(location: &Location) {
    if let Location::Sqlite(path) = location {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'", []).unwrap();
        return;
    }
    let mut stored = document(location, "default").await;
    stored["schemaVersion"] = json!(99);
    let url = s3::url(location, "default.json");
    signed(reqwest::Client::new().put(url)).json(&stored).send().await.unwrap().error_for_status().unwrap();
}

async fn document(location: &Location, stack: &str) -> serde_json::Value {
    let url = s3::url(location, &format!("{stack}.json"));
    signed(reqwest::Client::new().get(url)).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

/// The server takes any signature, but wants one.
fn signed(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    request.header("authorization", "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/s3/aws4_request, x")
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

mod files {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn they_are_their_owners_alone_and_out_of_git() {
        use std::os::unix::fs::PermissionsExt;

        let (_folder, location) = local();
        let mut inventory = locked(&location).await;
        inventory.commit(vec![put(1)]).await.unwrap();
        let folder = path(&location).parent().unwrap().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for file in ["inventory.db", "inventory.db-wal", "inventory.db-shm", "inventory.lock"] {
            assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
        }
        inventory.unlock().await;
        assert_eq!(fs::read_to_string(folder.join(".gitignore")).unwrap(), "*\n");
    }

    #[tokio::test]
    async fn readers_clear_up_and_change_nothing() {
        let (_folder, location) = local();
        let mut inventory = locked(&location).await;
        inventory.commit(vec![put(1)]).await.unwrap();
        inventory.unlock().await;
        let folder = path(&location).parent().unwrap().to_owned();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = (names(), fs::read(path(&location)).unwrap());
        assert_eq!(before.0, [".gitignore", "inventory.db", "inventory.lock"]);
        read(&location).await;
        assert_eq!((names(), fs::read(path(&location)).unwrap()), before);
    }

    #[tokio::test]
    async fn people_can_look_into_it() {
        let (_folder, location) = local();
        let inventory = locked(&location).await;
        inventory.commit(vec![put(7)]).await.unwrap();
        let connection = rusqlite::Connection::open(path(&location)).unwrap();
        let sql = "SELECT stack, address, connection, id, key FROM objects";
        let row: Vec<String> = connection
            .query_row(sql, [], |row| (0..5).map(|column| row.get(column)).collect::<Result<_, _>>())
            .unwrap();
        assert_eq!(row, ["default", "x/Org/o7", "happyfrog", "7", "Happy Frog"]);
    }

    /// As a power cut after a commit leaves them: the files as they are at that moment, without their closing.
    #[tokio::test]
    async fn copies_made_after_each_commit_open_as_they_were() {
        let (_folder, location) = local();
        let inventory = locked(&location).await;
        for id in 0..20 {
            inventory.commit(vec![put(id), begin(&id.to_string())]).await.unwrap();
            let (_copy, copied) = copy(&location, None);
            assert_eq!(read(&copied).await, *inventory.state(), "after commit {id}");
            let mut writer = open(&copied).await;
            writer.lock("plumb apply").await.unwrap();
            assert_eq!(*writer.state(), *inventory.state());
        }
    }

    /// As a power cut amid a commit leaves them: the end of the log is missing. Each commit is there whole or not at all.
    #[tokio::test]
    async fn a_torn_log_opens_at_a_commit() {
        let (_folder, location) = local();
        let inventory = locked(&location).await;
        let mut states = vec![State::default()];
        for id in 0..3 {
            inventory.commit(vec![put(id), begin(&id.to_string())]).await.unwrap();
            states.push(inventory.state().clone());
        }
        let log = fs::metadata(path(&location).with_extension("db-wal")).unwrap().len();
        let mut seen = 0;
        for length in (0..=log).step_by(1537).chain([log]) {
            let (_copy, copied) = copy(&location, Some(length));
            let state = read(&copied).await;
            let serial = usize::try_from(state.serial).unwrap();
            assert!(serial >= seen, "a longer log holds no less");
            assert_eq!(state, states[serial], "{length} of {log} bytes");
            seen = serial;
        }
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    async fn a_file_that_is_no_inventory_is_told() {
        let (_folder, location) = local();
        fs::create_dir_all(path(&location).parent().unwrap()).unwrap();
        fs::write(path(&location), "something else, and more than a hundred bytes of it".repeat(4)).unwrap();
        let error = Inventory::open(&location, "default").await.unwrap_err();
        assert_eq!(error.diagnostic().code, "PL0809", "{error}");
    }

    fn copy(location: &Location, log: Option<u64>) -> (TempDir, Location) {
        let (folder, copied) = local();
        fs::create_dir(path(&copied).parent().unwrap()).unwrap();
        for extension in ["db", "db-wal"] {
            fs::copy(path(location).with_extension(extension), path(&copied).with_extension(extension)).unwrap();
        }
        if let Some(length) = log {
            let log = fs::File::options().write(true).open(path(&copied).with_extension("db-wal")).unwrap();
            log.set_len(length).unwrap();
        }
        (folder, copied)
    }
}

mod leases {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn times(length: Duration, renewal: Duration) -> LeaseTimes {
        LeaseTimes { length, renewal }
    }

    async fn held(location: &Location, times: LeaseTimes) -> Inventory {
        let mut inventory = open(location).await.with_lease(times);
        inventory.lock("plumb apply").await.unwrap();
        inventory
    }

    #[tokio::test]
    async fn a_holder_that_does_not_renew_is_followed_and_then_refused() {
        let Some(location) = s3::location() else { return };
        let late = held(&location, times(SHORT, Duration::from_mins(10))).await;
        late.commit(vec![begin("1")]).await.unwrap();
        let until = late.safe_until().unwrap();
        assert!(until > Instant::now() && until <= Instant::now() + SHORT);

        tokio::time::sleep(SHORT + Duration::from_millis(10)).await;
        let next = held(&location, LeaseTimes::default()).await;
        assert!(next.state().intents.contains_key("1"));
        assert!(late.safe_until().unwrap() <= Instant::now());

        let refused = late.commit(vec![put(1), Edit::End("1".into())]).await.unwrap_err();
        assert!(matches!(refused, InventoryError::Lost { .. }), "{refused}");
        assert_eq!(refused.diagnostic().code, "PL0807");
        next.commit(vec![put(2)]).await.unwrap();
        let state = read(&location).await;
        assert_eq!(state.objects.keys().collect::<Vec<_>>(), ["x/Org/o2"]);
        assert!(state.intents.contains_key("1"), "what the stale holder began is still to be looked up");
    }

    #[tokio::test]
    async fn a_holder_that_renews_keeps_it() {
        let Some(location) = s3::location() else { return };
        let holder = held(&location, times(SHORT * 3, SHORT / 4)).await;
        let first = holder.safe_until().unwrap();
        tokio::time::sleep(SHORT * 4).await;
        assert!(holder.safe_until().unwrap() > first);
        let refused = open(&location).await.lock("plumb apply").await;
        assert!(matches!(refused, Err(InventoryError::Locked { .. })), "{refused:?}");
        holder.commit(vec![put(1)]).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_was_lifted_is_lost_to_its_holder_and_free_for_others() {
        let Some(location) = s3::location() else { return };
        let holder = held(&location, times(SHORT * 10, SHORT / 10)).await;
        let lifted = Inventory::break_lock(&location, "default").await.unwrap().unwrap();
        assert_eq!(lifted.pid, std::process::id());
        let deadline = Instant::now() + SHORT * 10;
        while holder.safe_until().unwrap() > Instant::now() {
            assert!(Instant::now() < deadline, "the holder learns of it when it renews");
            tokio::time::sleep(SHORT / 20).await;
        }
        let refused = holder.commit(vec![put(1)]).await.unwrap_err();
        assert!(matches!(refused, InventoryError::Lost { .. }), "{refused}");
        held(&location, LeaseTimes::default()).await;
        assert!(read(&location).await.objects.is_empty());
    }

    #[tokio::test]
    async fn a_local_inventory_has_none() {
        let (_folder, location) = local();
        assert_eq!(locked(&location).await.safe_until(), None);
    }
}

mod faults {
    use super::*;

    #[tokio::test]
    async fn a_store_that_ignores_conditions_is_refused() {
        let (_store, location) = FaultyS3::serve(Faults { ignore_conditions: true, ..Faults::default() }).await;
        let refused = open(&location).await.lock("plumb apply").await.unwrap_err();
        assert!(matches!(refused, InventoryError::Unconditional(_)), "{refused}");
        assert_eq!(refused.diagnostic().code, "PL0808");
    }

    #[tokio::test]
    async fn a_write_whose_answer_was_lost_counts_once() {
        let (store, location) = FaultyS3::serve(Faults::default()).await;
        let mut inventory = locked(&location).await;
        for id in 0..3 {
            store.now(Faults { lose_answers: 1, ..Faults::default() });
            inventory.commit(vec![put(id)]).await.unwrap();
        }
        inventory.unlock().await;
        let state = read(&location).await;
        assert_eq!((state.objects.len(), state.serial), (3, 3));
    }

    #[tokio::test]
    async fn a_refused_write_leaves_the_record_as_it_was_and_the_next_one_works() {
        let (store, location) = FaultyS3::serve(Faults::default()).await;
        let inventory = locked(&location).await;
        inventory.commit(vec![put(1)]).await.unwrap();
        store.now(Faults { refuse: 100, ..Faults::default() });
        let refused = inventory.commit(vec![put(2)]).await.unwrap_err();
        assert_eq!(refused.diagnostic().code, "PL0806", "{refused}");
        assert!(!inventory.state().objects.contains_key("x/Org/o2"));
        store.now(Faults::default());
        inventory.commit(vec![put(3)]).await.unwrap();
        assert_eq!(read(&location).await.objects.keys().collect::<Vec<_>>(), ["x/Org/o1", "x/Org/o3"]);
    }
}
