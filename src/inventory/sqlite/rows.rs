//! The rows of an inventory file: reads a stack from them, and does to them what commits say.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{Problem, version};
use crate::inventory::{Change, Edit, Intent, Owners, State};

/// Writes commits in one transaction, durable on return.
pub(super) fn write(connection: &mut Connection, stack: &str, commits: &[Vec<Edit>]) -> Result<(), rusqlite::Error> {
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
}

/// Who owns what and who is about to, over all stacks of the file.
pub(super) fn owners(connection: &mut Connection) -> Result<Owners, Problem> {
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
    let mut statement = connection.prepare(
        "SELECT json_extract(account, '$.url'), intents.stack, begun FROM intents
         JOIN accounts ON accounts.stack = intents.stack
         AND accounts.connection = json_extract(begun, '$.connection')",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let [url, stack, begun]: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        owners.begin(&url, &stack, &parse::<Intent>(&stack, &begun)?);
    }
    Ok(owners)
}

/// The names of the stacks in the file.
pub(super) fn stacks(connection: &mut Connection) -> Result<Vec<String>, Problem> {
    if version(connection)? == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT name FROM stacks ORDER BY name")?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// What a run did, in order.
pub(super) fn changes(connection: &mut Connection, stack: &str, run: &str) -> Result<Vec<Change>, Problem> {
    let mut out = Vec::new();
    if version(connection)? < 2 {
        return Ok(out);
    }
    let sql = "SELECT change, end FROM changes WHERE stack = ?1 AND run = ?2 ORDER BY number";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([stack, run])?;
    while let Some(row) = rows.next()? {
        let (change, end): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let mut change: Change = parse(run, &change)?;
        change.end = end.map(|end| parse(run, &end)).transpose()?;
        out.push(change);
    }
    Ok(out)
}

/// Reads a stack.
pub(super) fn load(connection: &mut Connection, stack: &str) -> Result<State, Problem> {
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
    if version(&transaction)? >= 2 {
        state.runs = rows(&transaction, "SELECT run, head FROM runs WHERE stack = ?1", stack)?;
    }
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
        Edit::Run(run, head) => {
            ("INSERT OR REPLACE INTO runs (stack, run, head) VALUES (?1, ?2, ?3)", run, Some(json(head.as_ref())?))
        }
        Edit::DropRun(run) => {
            let sql = "DELETE FROM changes WHERE stack = ?1 AND run = ?2";
            transaction.prepare_cached(sql)?.execute(params![stack, run])?;
            ("DELETE FROM runs WHERE stack = ?1 AND run = ?2", run, None)
        }
        Edit::Keep(run, number, change) => {
            let sql = "INSERT OR REPLACE INTO changes (stack, run, number, change) VALUES (?1, ?2, ?3, ?4)";
            let json = json(change.as_ref())?;
            return transaction.prepare_cached(sql)?.execute(params![stack, run, number, json]).map(drop);
        }
        Edit::Kept(run, number, end) => {
            let sql = "UPDATE changes SET end = ?4 WHERE stack = ?1 AND run = ?2 AND number = ?3";
            let json = json(end.as_ref())?;
            return transaction.prepare_cached(sql)?.execute(params![stack, run, number, json]).map(drop);
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
