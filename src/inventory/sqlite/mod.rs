//! A local inventory: one SQLite file for several stacks, with a row for each object, so that people can look into it.
//!
//! Every row's JSON is the truth; the other columns are computed from it. Commits write what changed only.

mod file_lock;
mod rows;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use self::file_lock::{FileLock, Refused};
use crate::inventory::{
    Change, Claim, Edit, Holder, InventoryError, LeaseTimes, Owner, Owners, SCHEMA_VERSION, State,
    backend::{Backend, Before, Board, Opened, Writer},
    location::beside,
    private::{create_folder, private_file},
};

/// One step per schema version; a step, once released, never changes.
const STEPS: &[&str] = &[
    "
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
    ",
    "
    CREATE TABLE runs (
        stack TEXT NOT NULL, run TEXT NOT NULL, head TEXT NOT NULL,
        at TEXT AS (json_extract(head, '$.at')), who TEXT AS (json_extract(head, '$.who')),
        PRIMARY KEY (stack, run)
    ) WITHOUT ROWID;
    CREATE TABLE changes (
        stack TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, change TEXT NOT NULL, end TEXT,
        address TEXT AS (json_extract(change, '$.address')), action TEXT AS (json_extract(change, '$.action')),
        PRIMARY KEY (stack, run, number)
    ) WITHOUT ROWID;
    ",
];

/// How a file is opened beside others that use it.
const SHARED: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How a file is opened that nobody can be writing.
const LYING: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX).union(OpenFlags::SQLITE_OPEN_URI);

/// A file that has inventories.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
}

impl File {
    /// The file at a path, whether it is there or not.
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Does something with the file on a thread that may wait.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, InventoryError> + Send + 'static,
    ) -> Result<T, InventoryError> {
        let path = self.path.clone();
        blocking(move || work(&path)).await
    }
}

#[async_trait]
impl Backend for File {
    async fn read(&self, stack: &str) -> Result<State, InventoryError> {
        let stack = stack.to_owned();
        self.with(move |path| reading(path, |connection| rows::load(connection, &stack))).await
    }

    async fn open(&self, stack: &str, holder: Holder, _: LeaseTimes) -> Result<Opened, InventoryError> {
        let stack = stack.to_owned();
        let (database, state) = self.with(move |path| Database::open(path, &stack, &holder)).await?;
        let writer = Local(Arc::new(Mutex::new(database)));
        Ok(Opened { writer: Box::new(writer), state, lease: None })
    }

    /// A lock of the operating system cannot be lifted and needs no lifting: if it is held, its holder lives.
    async fn break_lock(&self, _: &str) -> Result<Option<Holder>, InventoryError> {
        match self.with(holder).await? {
            None => Ok(None),
            Some(holder) => Err(InventoryError::Locked {
                location: self.path.display().to_string(),
                holder: Box::new(holder),
                local: true,
            }),
        }
    }

    async fn owners(&self) -> Result<Owners, InventoryError> {
        self.with(|path| reading(path, rows::owners)).await
    }

    async fn stacks(&self) -> Result<Vec<String>, InventoryError> {
        self.with(|path| reading(path, rows::stacks)).await
    }

    async fn changes(&self, stack: &str, run: &str) -> Result<Vec<Change>, InventoryError> {
        let (stack, run) = (stack.to_owned(), run.to_owned());
        self.with(move |path| reading(path, |connection| rows::changes(connection, &stack, &run))).await
    }

    /// The lock is one for all stacks of the file: nobody else can be about to own anything.
    async fn claim(&self, _: &str, _: &[Claim]) -> Result<Vec<(Claim, Owner)>, InventoryError> {
        Ok(Vec::new())
    }

    async fn unclaim(&self, _: &str) -> Result<(), InventoryError> {
        Ok(())
    }

    fn notices(&self) -> Option<Arc<dyn Board>> {
        None
    }
}

/// Writes to a file.
#[derive(Debug)]
struct Local(Arc<Mutex<Database>>);

#[async_trait]
impl Writer for Local {
    async fn write(&mut self, commits: &[Vec<Edit>], _: Before<'_>) -> Result<(), InventoryError> {
        let (database, commits) = (Arc::clone(&self.0), commits.to_vec());
        blocking(move || database.lock().unwrap_or_else(PoisonError::into_inner).write(&commits)).await
    }

    async fn close(self: Box<Self>, _: Before<'_>) {
        // Closing clears up the log, which takes a while.
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }
}

/// An inventory file that is open for writing, with the lock.
#[derive(Debug)]
struct Database {
    connection: Connection,
    path: PathBuf,
    stack: String,
    _lock: FileLock,
}

impl Database {
    /// Takes the writer lock, makes what is missing, and reads the stack.
    fn open(path: &Path, stack: &str, holder: &Holder) -> Result<(Self, State), InventoryError> {
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
        let state = rows::load(&mut connection, stack).map_err(|problem| problem.at(path))?;
        Ok((Self { connection, path: path.to_owned(), stack: stack.to_owned(), _lock: lock }, state))
    }

    /// Writes commits in one transaction, durable on return.
    fn write(&mut self, commits: &[Vec<Edit>]) -> Result<(), InventoryError> {
        rows::write(&mut self.connection, &self.stack, commits).map_err(|error| unwritable(&self.path, &error))
    }
}

/// Who has the lock, if somebody has it.
fn holder(path: &Path) -> Result<Option<Holder>, InventoryError> {
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

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InventoryError> + Send + 'static,
) -> Result<T, InventoryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(InventoryError::Write { location: "inventory".into(), message: format!("a task was cut off: {error}") })
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
                fs::File::open(folder)?.sync_all()?;
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
