//! A local inventory: one SQLite file for several stacks, with a row for each object, so that people can look into it.
//!
//! Every row's JSON is the truth; the other columns are computed from it. Commits write what changed only.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::inventory::{
    Edit, Holder, InventoryError, Owners, SCHEMA_VERSION, State,
    file_lock::{FileLock, Refused},
    location::beside,
    private::{create_folder, private_file},
};

/// One step per schema version; a step, once released, never changes.
const STEPS: &[&str] = &["
    CREATE TABLE stacks (
        name TEXT NOT NULL PRIMARY KEY, serial INTEGER NOT NULL DEFAULT 0, roots TEXT NOT NULL DEFAULT '[]'
    );
    CREATE TABLE objects (
        stack TEXT NOT NULL, address TEXT NOT NULL, record TEXT NOT NULL,
        connection TEXT AS (json_extract(record, '$.connection')), id TEXT AS (json_extract(record, '$.id')),
        key TEXT AS (json_extract(record, '$.key')), at TEXT AS (json_extract(record, '$.at')),
        PRIMARY KEY (stack, address)
    ) WITHOUT ROWID;
    CREATE TABLE intents (
        stack TEXT NOT NULL, intent TEXT NOT NULL, begun TEXT NOT NULL,
        address TEXT AS (json_extract(begun, '$.address')), verb TEXT AS (json_extract(begun, '$.verb')),
        at TEXT AS (json_extract(begun, '$.at')),
        PRIMARY KEY (stack, intent)
    ) WITHOUT ROWID;
    CREATE TABLE tombstones (
        stack TEXT NOT NULL, address TEXT NOT NULL, tombstone TEXT NOT NULL, PRIMARY KEY (stack, address)
    ) WITHOUT ROWID;
    CREATE TABLE accounts (
        stack TEXT NOT NULL, connection TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (stack, connection)
    ) WITHOUT ROWID;
"];

/// How a file is opened beside others that use it.
const SHARED: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How a file is opened that nobody can be writing.
const LYING: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX).union(OpenFlags::SQLITE_OPEN_URI);

/// An inventory file that is open for writing, with the lock.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    stack: String,
    _lock: FileLock,
}

impl Database {
    /// Takes the writer lock, makes what is missing, and reads the stack.
    pub(super) fn open(path: &Path, stack: &str, holder: &Holder) -> Result<(Self, State), InventoryError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folder(folder).map_err(|error| unwritable(path, &error))?;
        }
        let lock = FileLock::take(&beside(path, "lock"), holder).map_err(|refused| match refused {
            Refused::Held(holder) => {
                InventoryError::Locked { location: path.display().to_string(), holder, local: true }
            }
            Refused::Io(error) => unwritable(path, &error),
        })?;
        let mut connection = connect(path).map_err(|error| unwritable(path, &error))?;
        upgrade(&mut connection, STEPS).map_err(|problem| problem.at(path))?;
        let state = load(&mut connection, stack).map_err(|problem| problem.at(path))?;
        Ok((Self { connection, path: path.to_owned(), stack: stack.to_owned(), _lock: lock }, state))
    }

    /// Writes commits in one transaction, durable on return.
    pub(super) fn write(&mut self, commits: &[Vec<Edit>]) -> Result<(), InventoryError> {
        let Self { connection, path, stack, .. } = self;
        let stack = stack.as_str();
        let mut write = || -> Result<(), rusqlite::Error> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.prepare_cached("INSERT OR IGNORE INTO stacks (name) VALUES (?1)")?.execute([stack])?;
            for edit in commits.iter().flatten() {
                record(&transaction, stack, edit)?;
            }
            let more = i64::try_from(commits.len()).unwrap_or(i64::MAX);
            transaction
                .prepare_cached("UPDATE stacks SET serial = serial + ?2 WHERE name = ?1")?
                .execute(params![stack, more])?;
            transaction.commit()
        };
        write().map_err(|error| unwritable(path, &error))
    }
}

/// Reads a stack without a lock; leaves nothing behind, not even where there is no inventory yet.
pub(super) fn read(path: &Path, stack: &str) -> Result<State, InventoryError> {
    reading(path, |connection| load(connection, stack))
}

/// Reads who owns what, over all stacks of the file.
pub(super) fn owners(path: &Path) -> Result<Owners, InventoryError> {
    reading(path, |connection| {
        let mut owners = Owners::default();
        if version(connection)? == 0 {
            return Ok(owners);
        }
        let mut statement = connection.prepare(
            "SELECT json_extract(account, '$.url'), objects.stack, address, id FROM objects
             JOIN accounts ON accounts.stack = objects.stack AND accounts.connection = objects.connection",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let [url, stack, address, id]: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            owners.insert(&url, &stack, &address, &id);
        }
        Ok(owners)
    })
}

/// The names of the stacks in the file.
pub(super) fn stacks(path: &Path) -> Result<Vec<String>, InventoryError> {
    reading(path, |connection| {
        if version(connection)? == 0 {
            return Ok(Vec::new());
        }
        let mut statement = connection.prepare("SELECT name FROM stacks ORDER BY name")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    })
}

/// Who has the lock, if somebody has it.
pub(super) fn holder(path: &Path) -> Result<Option<Holder>, InventoryError> {
    let lock = beside(path, "lock");
    if !lock.exists() {
        return Ok(None);
    }
    match FileLock::take(&lock, &Holder::here("plumb inventory unlock")) {
        Ok(_) => Ok(None),
        Err(Refused::Held(holder)) => Ok(Some(*holder)),
        Err(Refused::Io(error)) => {
            Err(InventoryError::Read { location: path.display().to_string(), message: error.to_string() })
        }
    }
}

/// What went wrong inside the file, before its path is known.
enum Problem {
    Sql(rusqlite::Error),
    Damaged(String),
    TooNew(u32),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};

        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Sql(error),
        }
    }
}

impl Problem {
    fn at(self, path: &Path) -> InventoryError {
        let location = path.display().to_string();
        match self {
            Self::Sql(error) => InventoryError::Read { location, message: error.to_string() },
            Self::Damaged(message) => InventoryError::Damaged { location, message },
            Self::TooNew(found) => InventoryError::TooNew { location, found, known: SCHEMA_VERSION },
        }
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> InventoryError {
    InventoryError::Write { location: path.display().to_string(), message: error.to_string() }
}

fn connect(path: &Path) -> Result<Connection, Box<dyn std::error::Error>> {
    match private_file().create_new(true).write(true).open(path) {
        Ok(_) => {
            // The name of a new file is durable once its folder is.
            #[cfg(unix)]
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let connection = Connection::open_with_flags(path, SHARED)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    Ok(connection)
}

/// Opens for reading. A reader that may write beside the file shares the writers' log and clears it up when it is the
/// last; where it may not, nobody else can be writing there either, and the file is read as it lies.
fn reading<T>(path: &Path, read: impl Fn(&mut Connection) -> Result<T, Problem>) -> Result<T, InventoryError>
where
    T: Default,
{
    if !path.exists() {
        return Ok(T::default());
    }
    let attempt = |name: &Path, flags| -> Result<T, Problem> {
        let mut connection = Connection::open_with_flags(name, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "query_only", "ON")?;
        read(&mut connection)
    };
    let result = match attempt(path, SHARED) {
        Err(Problem::Sql(error)) if cannot_write(&error) => match immutable(path) {
            Some(name) => attempt(Path::new(&name), LYING),
            None => Err(Problem::Sql(error)),
        },
        other => other,
    };
    result.map_err(|problem| problem.at(path))
}

fn cannot_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};

    matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied | ReadOnly))
}

/// The name by which SQLite reads a file without its log, if there is no log to miss.
fn immutable(path: &Path) -> Option<String> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(Path::new(&log)).is_ok_and(|log| log.len() > 0) {
        return None;
    }
    let absolute = fs::canonicalize(path).ok()?;
    let name = percent_encoding::utf8_percent_encode(absolute.to_str()?, percent_encoding::NON_ALPHANUMERIC);
    Some(format!("file:{}?immutable=1", name.to_string().replace("%2F", "/")))
}

/// The schema version; 0 for an empty file.
fn version(connection: &Connection) -> Result<u32, Problem> {
    let made: bool =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    if !made {
        return Ok(0);
    }
    let found: Option<u32> = connection
        .query_row("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'schema_version'", [], |row| row.get(0))
        .optional()?;
    match found {
        Some(found) if found > SCHEMA_VERSION => Err(Problem::TooNew(found)),
        Some(found) => Ok(found),
        None => Err(Problem::Damaged("the table `meta` has no `schema_version`".into())),
    }
}

/// Brings the schema up to the last step.
fn upgrade(connection: &mut Connection, steps: &[&str]) -> Result<(), Problem> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found as usize == steps.len() {
        return Ok(());
    }
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)")?;
    for step in steps.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?1)", [steps.len().to_string()])?;
    Ok(transaction.commit()?)
}

fn load(connection: &mut Connection, stack: &str) -> Result<State, Problem> {
    let transaction = connection.transaction()?;
    let mut state = State::default();
    if version(&transaction)? == 0 {
        return Ok(state);
    }
    let row: Option<(i64, String)> = transaction
        .query_row("SELECT serial, roots FROM stacks WHERE name = ?1", [stack], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((serial, roots)) = row else { return Ok(state) };
    state.serial = u64::try_from(serial).map_err(|_| Problem::Damaged(format!("`{stack}` has the serial {serial}")))?;
    state.roots = parse(stack, &roots)?;
    state.objects = rows(&transaction, "SELECT address, record FROM objects WHERE stack = ?1", stack)?;
    state.intents = rows(&transaction, "SELECT intent, begun FROM intents WHERE stack = ?1", stack)?;
    state.tombstones = rows(&transaction, "SELECT address, tombstone FROM tombstones WHERE stack = ?1", stack)?;
    state.accounts = rows(&transaction, "SELECT connection, account FROM accounts WHERE stack = ?1", stack)?;
    Ok(state)
}

fn rows<C, T>(transaction: &Transaction<'_>, sql: &str, stack: &str) -> Result<C, Problem>
where
    C: Default + Extend<(String, T)>,
    T: DeserializeOwned,
{
    let mut found = C::default();
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([stack])?;
    while let Some(row) = rows.next()? {
        let (name, text): (String, String) = (row.get(0)?, row.get(1)?);
        let value = parse(&name, &text)?;
        found.extend([(name, value)]);
    }
    Ok(found)
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::Damaged(format!("the row of `{name}`: {error}")))
}

/// Does to the rows what [`State::apply`] does to the state.
fn record(transaction: &Transaction<'_>, stack: &str, edit: &Edit) -> Result<(), rusqlite::Error> {
    let (sql, name, json) = match edit {
        Edit::Begin(id, intent) => ("INSERT OR REPLACE INTO intents VALUES (?1, ?2, ?3)", id, Some(json(intent)?)),
        Edit::End(id) => ("DELETE FROM intents WHERE stack = ?1 AND intent = ?2", id, None),
        Edit::Put(address, record) => {
            ("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3)", address, Some(json(record.as_ref())?))
        }
        Edit::Remove(address) => ("DELETE FROM objects WHERE stack = ?1 AND address = ?2", address, None),
        Edit::Bury(address, tombstone) => {
            ("INSERT OR REPLACE INTO tombstones VALUES (?1, ?2, ?3)", address, Some(json(tombstone)?))
        }
        Edit::Unbury(address) => ("DELETE FROM tombstones WHERE stack = ?1 AND address = ?2", address, None),
        Edit::Roots(roots) => {
            let mut statement = transaction.prepare_cached("UPDATE stacks SET roots = ?2 WHERE name = ?1")?;
            return statement.execute(params![stack, json(roots)?]).map(drop);
        }
        Edit::Account(connection, account) => {
            ("INSERT OR REPLACE INTO accounts VALUES (?1, ?2, ?3)", connection, Some(json(account)?))
        }
    };
    let mut statement = transaction.prepare_cached(sql)?;
    match json {
        Some(json) => statement.execute(params![stack, name, json]),
        None => statement.execute(params![stack, name]),
    }
    .map(drop)
}

fn json<T: Serialize>(value: &T) -> Result<String, rusqlite::Error> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn there_is_a_step_for_every_version() {
        assert_eq!(STEPS.len(), SCHEMA_VERSION as usize);
    }

    #[test]
    fn a_file_is_read_as_it_lies_if_there_is_no_log_to_miss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd #name? 100%.db");
        let writer = connect(&path).unwrap();
        writer.execute_batch("CREATE TABLE a (x); INSERT INTO a VALUES (7)").unwrap();
        assert_eq!(immutable(&path), None, "what was written is in the log");
        drop(writer);
        let reader = Connection::open_with_flags(immutable(&path).unwrap(), LYING).unwrap();
        assert_eq!(reader.query_row("SELECT x FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made beside it");
    }

    #[test]
    fn an_older_file_is_brought_up_step_by_step() {
        let mut connection = memory();
        upgrade(&mut connection, &["CREATE TABLE a (x)"]).map_err(|problem| problem.at(Path::new("m"))).unwrap();
        connection.execute("INSERT INTO a VALUES (7)", []).unwrap();
        let two = ["not run again", "ALTER TABLE a RENAME TO b"];
        let transaction = connection.transaction().unwrap();
        transaction.execute("UPDATE meta SET value = '1'", []).unwrap();
        transaction.commit().unwrap();
        upgrade(&mut connection, &two).map_err(|problem| problem.at(Path::new("m"))).unwrap();
        let kept: i64 = connection.query_row("SELECT x FROM b", [], |row| row.get(0)).unwrap();
        let version: String = connection.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
        assert_eq!((kept, version.as_str()), (7, "2"));
    }

    #[test]
    fn a_failed_step_leaves_the_file_as_it_was() {
        let mut connection = memory();
        assert!(upgrade(&mut connection, &["CREATE TABLE a (x)", "nonsense"]).is_err());
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }
}
