//! The tables, and how those of an older version are brought up.

use tokio_postgres::{Client, GenericClient};

use super::Trouble;
use crate::inventory::SCHEMA_VERSION;

/// One step per schema version; a step, once released, never changes.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE plumb_stacks (
        stack text PRIMARY KEY, serial bigint NOT NULL DEFAULT 0, roots text NOT NULL DEFAULT '[]'
    );
    CREATE TABLE plumb_leases (
        stack text PRIMARY KEY, session text NOT NULL, holder text NOT NULL, expires timestamptz NOT NULL,
        released boolean NOT NULL
    );
    CREATE TABLE plumb_objects (
        stack text NOT NULL, name text NOT NULL, value text NOT NULL, connection text NOT NULL, id text NOT NULL,
        PRIMARY KEY (stack, name)
    );
    CREATE TABLE plumb_intents (
        stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name)
    );
    CREATE TABLE plumb_tombstones (
        stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name)
    );
    CREATE TABLE plumb_accounts (
        stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name)
    );
    ",
    "
    CREATE TABLE plumb_runs (
        stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name)
    );
    CREATE TABLE plumb_changes (
        stack text NOT NULL, run text NOT NULL, number integer NOT NULL, value text NOT NULL, \"end\" text,
        PRIMARY KEY (stack, run, number)
    );
    CREATE TABLE plumb_claims (
        account text NOT NULL, kind text NOT NULL, id text NOT NULL, stack text NOT NULL, address text NOT NULL,
        PRIMARY KEY (account, kind, id)
    );
    CREATE TABLE plumb_notices (
        name text PRIMARY KEY, value text NOT NULL, version bigint NOT NULL
    );
    ",
];

/// The lock that whoever changes tables holds meanwhile.
const LOCK: &str = "SELECT pg_advisory_xact_lock(x'706c756d62'::bigint)";

/// The schema version; 0 where there are no tables.
pub(super) async fn version(client: &impl GenericClient) -> Result<u32, Trouble> {
    let made = client.query_typed("SELECT to_regclass('plumb_meta') IS NOT NULL", &[]).await?;
    if !made.first().is_some_and(|row| row.try_get(0).unwrap_or_default()) {
        return Ok(0);
    }
    let found = client.query_typed("SELECT value FROM plumb_meta WHERE name = 'schema_version'", &[]).await?;
    let text: Option<&str> = found.first().map(|row| row.try_get(0)).transpose()?;
    match text.and_then(|text| text.parse().ok()) {
        Some(found) if found > SCHEMA_VERSION => Err(Trouble::TooNew(found)),
        Some(found) => Ok(found),
        None => Err(Trouble::Damaged("the table `plumb_meta` has no `schema_version`".into())),
    }
}

/// Brings the tables up to the last step.
pub(super) async fn upgrade(client: &mut Client, steps: &[&str]) -> Result<(), Trouble> {
    if version(client).await? as usize == steps.len() {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    let found = version(&transaction).await? as usize;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS plumb_meta (name text PRIMARY KEY, value text NOT NULL)")
        .await?;
    for step in steps.iter().skip(found) {
        transaction.batch_execute(step).await?;
    }
    let note = format!(
        "INSERT INTO plumb_meta VALUES ('schema_version', '{}') ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        steps.len()
    );
    transaction.batch_execute(&note).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_step_for_every_version() {
        assert_eq!(STEPS.len(), SCHEMA_VERSION as usize);
    }
}
