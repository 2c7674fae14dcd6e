//! A local inventory: what is in its folder, and what a power cut leaves.

use std::fs;

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
    let row: Vec<String> =
        connection.query_row(sql, [], |row| (0..5).map(|column| row.get(column)).collect::<Result<_, _>>()).unwrap();
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
