//! Commits as one transaction: each table is changed by two statements at most, however many edits there are.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::try_join_all;
use serde::Serialize;
use tokio_postgres::{
    Client, Transaction,
    types::{ToSql, Type},
};

use super::{ATTEMPTS, Postgres, Trouble, lease::Lease, within};
use crate::inventory::{
    Claim, Edit, InventoryError, Owner,
    backend::{Before, Writer},
};

/// A stack whose rows are open for writing.
#[derive(Debug)]
pub(super) struct Rows {
    database: Postgres,
    client: Option<Open>,
    stack: String,
    serial: u64,
    lease: Lease,
}

struct Open(Client);

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open")
    }
}

impl Rows {
    /// Takes the rows of a stack whose lease is held.
    pub(super) fn new(database: Postgres, client: Client, stack: &str, serial: u64, lease: Lease) -> Self {
        Self { database, client: Some(Open(client)), stack: stack.to_owned(), serial, lease }
    }

    async fn attempt(&mut self, changes: &Tables, after: u64) -> Result<(), Trouble> {
        let mut client = match self.client.take().filter(|client| !client.0.is_closed()) {
            Some(client) => client,
            None => Open(self.database.connect().await?),
        };
        let done = within(self.transact(&mut client.0, changes, after)).await;
        // A connection whose transaction hangs is not used again: closing it ends the transaction.
        if done.as_ref().err().is_none_or(|trouble| !matches!(trouble, Trouble::Closed(_))) {
            self.client = Some(client);
        }
        done
    }

    async fn transact(&self, client: &mut Client, changes: &Tables, after: u64) -> Result<(), Trouble> {
        let stack = self.stack.as_str();
        let transaction = client.transaction().await?;
        let sql = "SELECT 1 FROM plumb_leases WHERE stack = $1 AND session = $2 AND NOT released FOR SHARE";
        let session = self.lease.session();
        let held = transaction.query_typed(sql, &[(&stack, Type::TEXT), (&session, Type::TEXT)]).await?;
        if held.is_empty() {
            return Err(Trouble::Lost);
        }
        // A transaction whose answer was lost has this row until it has ended, this way or that.
        let sql = "SELECT serial FROM plumb_stacks WHERE stack = $1 FOR UPDATE";
        let found = transaction.query_typed(sql, &[(&stack, Type::TEXT)]).await?;
        let serial: i64 = found.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
        match u64::try_from(serial).unwrap_or_default() {
            serial if serial == after => return Ok(()),
            serial if serial == self.serial => {}
            _ => return Err(Trouble::Lost),
        }
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let sql = "UPDATE plumb_stacks SET serial = $2 WHERE stack = $1";
        transaction.execute_typed(sql, &[(&stack, Type::TEXT), (&after, Type::INT8)]).await?;
        changes.write(&transaction, stack).await?;
        Ok(transaction.commit().await?)
    }
}

#[async_trait]
impl Writer for Rows {
    async fn write(&mut self, commits: &[Vec<Edit>], _: Before<'_>) -> Result<(), InventoryError> {
        let location = self.database.0.location.clone();
        let lost = |lease: &Lease| {
            let holder = lease.view().lost().and_then(|loss| loss.holder).map(Box::new);
            InventoryError::Lost { location: location.clone(), holder }
        };
        if self.lease.view().lost().is_some() {
            return Err(lost(&self.lease));
        }
        let changes = Tables::of(commits).map_err(|trouble| trouble.write(&location))?;
        let after = self.serial + commits.len() as u64;
        for attempt in 1.. {
            match self.attempt(&changes, after).await {
                Ok(()) => {
                    self.serial = after;
                    return Ok(());
                }
                Err(trouble) if trouble.may_pass() && attempt < ATTEMPTS => {
                    tracing::info!(?trouble, "the inventory could not be written, trying again");
                    tokio::time::sleep(std::time::Duration::from_millis(100) * attempt).await;
                }
                Err(Trouble::Lost) => return Err(lost(&self.lease)),
                Err(trouble) => return Err(trouble.write(&location)),
            }
        }
        Err(lost(&self.lease))
    }

    async fn close(self: Box<Self>, _: Before<'_>) {
        self.lease.release().await;
    }
}

/// What commits make of each table: rows to put and rows to drop.
#[derive(Debug, Default)]
struct Tables {
    rows: BTreeMap<&'static str, BTreeMap<String, Option<Row>>>,
    roots: Option<String>,
    dropped: Vec<String>,
    changes: BTreeMap<(String, i32), String>,
    ends: BTreeMap<(String, i32), String>,
}

#[derive(Debug)]
struct Row {
    value: String,
    connection: String,
    id: String,
}

fn json<T: Serialize>(value: &T) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::Other(error.to_string()))
}

fn plain<T: Serialize>(value: &T) -> Result<Option<Row>, Trouble> {
    Ok(Some(Row { value: json(value)?, connection: String::new(), id: String::new() }))
}

impl Tables {
    fn of(commits: &[Vec<Edit>]) -> Result<Self, Trouble> {
        let mut all = Self::default();
        for edit in commits.iter().flatten() {
            all.add(edit)?;
        }
        Ok(all)
    }

    fn add(&mut self, edit: &Edit) -> Result<(), Trouble> {
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let (table, name, row) = match edit {
            Edit::Begin(id, intent) => ("plumb_intents", id, plain(intent)?),
            Edit::End(id) => ("plumb_intents", id, None),
            Edit::Put(address, record) => {
                let row =
                    Row { value: json(record.as_ref())?, connection: record.connection.clone(), id: record.id.clone() };
                ("plumb_objects", address, Some(row))
            }
            Edit::Remove(address) => ("plumb_objects", address, None),
            Edit::Bury(address, tombstone) => ("plumb_tombstones", address, plain(tombstone)?),
            Edit::Unbury(address) => ("plumb_tombstones", address, None),
            Edit::Account(connection, account) => ("plumb_accounts", connection, plain(account)?),
            Edit::Run(run, head) => ("plumb_runs", run, plain(head.as_ref())?),
            Edit::DropRun(run) => {
                self.dropped.push(run.clone());
                ("plumb_runs", run, None)
            }
            Edit::Roots(roots) => {
                self.roots = Some(json(roots)?);
                return Ok(());
            }
            Edit::Keep(run, place, change) => {
                self.changes.insert((run.clone(), number(*place)), json(change.as_ref())?);
                return Ok(());
            }
            Edit::Kept(run, place, end) => {
                self.ends.insert((run.clone(), number(*place)), json(end.as_ref())?);
                return Ok(());
            }
        };
        self.rows.entry(table).or_default().insert(name.clone(), row);
        Ok(())
    }

    async fn write(&self, transaction: &Transaction<'_>, stack: &str) -> Result<(), Trouble> {
        if let Some(roots) = &self.roots {
            let sql = "UPDATE plumb_stacks SET roots = $2 WHERE stack = $1";
            transaction.execute_typed(sql, &[(&stack, Type::TEXT), (roots, Type::TEXT)]).await?;
        }
        if !self.dropped.is_empty() {
            let sql = "DELETE FROM plumb_changes WHERE stack = $1 AND run = ANY($2)";
            transaction.execute_typed(sql, &[(&stack, Type::TEXT), (&self.dropped, Type::TEXT_ARRAY)]).await?;
        }
        // Sent one after the other without waiting.
        try_join_all(self.rows.iter().map(|(table, rows)| put(transaction, stack, table, rows))).await?;
        self.write_changes(transaction, stack).await
    }

    async fn write_changes(&self, transaction: &Transaction<'_>, stack: &str) -> Result<(), Trouble> {
        for (values, sql) in [
            (
                &self.changes,
                "INSERT INTO plumb_changes (stack, run, number, value)
                 SELECT $1, run, number, value FROM unnest($2::text[], $3::integer[], $4::text[])
                 AS rows (run, number, value)
                 ON CONFLICT (stack, run, number) DO UPDATE SET value = excluded.value",
            ),
            (
                &self.ends,
                "UPDATE plumb_changes SET \"end\" = rows.value
                 FROM unnest($2::text[], $3::integer[], $4::text[]) AS rows (run, number, value)
                 WHERE stack = $1 AND plumb_changes.run = rows.run AND plumb_changes.number = rows.number",
            ),
        ] {
            if values.is_empty() {
                continue;
            }
            let runs: Vec<&str> = values.keys().map(|(run, _)| run.as_str()).collect();
            let numbers: Vec<i32> = values.keys().map(|(_, number)| *number).collect();
            let texts: Vec<&str> = values.values().map(String::as_str).collect();
            let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
                (&stack, Type::TEXT),
                (&runs, Type::TEXT_ARRAY),
                (&numbers, Type::INT4_ARRAY),
                (&texts, Type::TEXT_ARRAY),
            ];
            transaction.execute_typed(sql, &parameters).await?;
        }
        Ok(())
    }
}

async fn put(
    transaction: &Transaction<'_>,
    stack: &str,
    table: &str,
    rows: &BTreeMap<String, Option<Row>>,
) -> Result<(), Trouble> {
    let dropped: Vec<&str> = rows.iter().filter(|(_, row)| row.is_none()).map(|(name, _)| name.as_str()).collect();
    let kept: Vec<(&str, &Row)> = rows.iter().filter_map(|(name, row)| Some((name.as_str(), row.as_ref()?))).collect();
    if !dropped.is_empty() {
        let sql = format!("DELETE FROM {table} WHERE stack = $1 AND name = ANY($2)");
        transaction.execute_typed(&sql, &[(&stack, Type::TEXT), (&dropped, Type::TEXT_ARRAY)]).await?;
    }
    if kept.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = kept.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = kept.iter().map(|(_, row)| row.value.as_str()).collect();
    if table == "plumb_objects" {
        let connections: Vec<&str> = kept.iter().map(|(_, row)| row.connection.as_str()).collect();
        let ids: Vec<&str> = kept.iter().map(|(_, row)| row.id.as_str()).collect();
        let sql = "INSERT INTO plumb_objects (stack, name, value, connection, id)
            SELECT $1, name, value, connection, id
            FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS rows (name, value, connection, id)
            ON CONFLICT (stack, name) DO UPDATE
            SET value = excluded.value, connection = excluded.connection, id = excluded.id";
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&stack, Type::TEXT),
            (&names, Type::TEXT_ARRAY),
            (&values, Type::TEXT_ARRAY),
            (&connections, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
        ];
        transaction.execute_typed(sql, &parameters).await?;
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO {table} (stack, name, value)
         SELECT $1, name, value FROM unnest($2::text[], $3::text[]) AS rows (name, value)
         ON CONFLICT (stack, name) DO UPDATE SET value = excluded.value"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&stack, Type::TEXT), (&names, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY)];
    transaction.execute_typed(&sql, &parameters).await?;
    Ok(())
}

/// Claims objects for a stack, all or none; returns those that others claim.
pub(super) async fn claim(client: &mut Client, stack: &str, claims: &[Claim]) -> Result<Vec<(Claim, Owner)>, Trouble> {
    let transaction = client.transaction().await?;
    let column = |text: fn(&Claim) -> &str| -> Vec<&str> { claims.iter().map(text).collect() };
    let (accounts, kinds) = (column(|claim| &claim.account), column(|claim| &claim.kind));
    let (ids, addresses) = (column(|claim| &claim.id), column(|claim| &claim.address));
    let keys: [(&(dyn ToSql + Sync), Type); 4] =
        [(&stack, Type::TEXT), (&accounts, Type::TEXT_ARRAY), (&kinds, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)];
    let with_addresses: Vec<_> = keys.iter().cloned().chain([(&addresses as _, Type::TEXT_ARRAY)]).collect();
    let sql = "INSERT INTO plumb_claims (account, kind, id, stack, address)
        SELECT account, kind, id, $1, address
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS rows (account, kind, id, address)
        ON CONFLICT DO NOTHING";
    transaction.execute_typed(sql, &with_addresses).await?;
    let sql = "SELECT account, kind, id, plumb_claims.stack, address FROM plumb_claims
        JOIN unnest($2::text[], $3::text[], $4::text[]) AS rows (account, kind, id) USING (account, kind, id)
        WHERE plumb_claims.stack <> $1";
    let mut taken = Vec::new();
    for row in transaction.query_typed(sql, &keys).await? {
        let found =
            Claim { account: row.try_get(0)?, kind: row.try_get(1)?, id: row.try_get(2)?, address: row.try_get(4)? };
        let own = claims.iter().find(|claim| claim.is_same(&found)).cloned();
        taken.extend(own.map(|own| (own, Owner { stack: row.get(3), address: found.address })));
    }
    if taken.is_empty() {
        transaction.commit().await?;
    }
    Ok(taken)
}
