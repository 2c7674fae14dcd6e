//! SQLite's write-ahead log, kept from being folded into the database, so that every commit can be gone back to.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Size of the log's header, and of the one before each page.
const HEADER: usize = 32;
const FRAME: usize = 24;

/// The log of a database while it is held.
pub(super) struct Log {
    database: PathBuf,
    start: Vec<u8>,
    _reader: rusqlite::Connection,
}

/// A database as it was after one commit.
pub(super) struct Commit {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Log {
    /// From now on every commit stays in the log.
    pub(super) fn hold(database: &Path) -> Self {
        let reader = rusqlite::Connection::open(database).unwrap();
        reader.pragma_update(None, "journal_mode", "WAL").unwrap();
        // A reader that has seen an early state keeps the log from being reset.
        reader.execute_batch("BEGIN").unwrap();
        let _: i64 = reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        Self { database: database.to_owned(), start: fs::read(database).unwrap(), _reader: reader }
    }

    /// The commits since then, oldest first.
    pub(super) fn commits(&self) -> Vec<Commit> {
        let log = fs::read(beside(&self.database, "-wal")).unwrap();
        let word = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
        let frame = FRAME + word(8) as usize;
        let mut commits = Vec::new();
        let mut at = HEADER;
        while at + frame <= log.len() {
            // The second word of a frame is the size of the database where the frame ends a commit.
            if word(at + 4) != 0 {
                commits.push(Commit { database: self.start.clone(), log: log[..at + frame].to_vec() });
            }
            at += frame;
        }
        commits
    }
}

impl Commit {
    /// Puts the database back to what it was after this commit.
    pub(super) fn restore(&self, database: &Path) {
        let _ = fs::remove_file(beside(database, "-shm"));
        fs::write(database, &self.database).unwrap();
        fs::write(beside(database, "-wal"), &self.log).unwrap();
    }
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
