//! Inventories in a PostgreSQL database: rows, transactions, and a lease that lasts by the server's clock.
//!
//! A transaction of a writer reads the row of its lease for sharing, so that whoever takes the lease waits for it or makes
//! it fail: a late write of an earlier holder cannot be. Statements have no names, so that poolers do not mind.

/// Does something with a connection that is kept for the next time; tries again if the connection ended, so that it must
/// be something that may be done twice.
macro_rules! with {
    ($database:expr, |$client:ident| $work:block) => {
        async {
            let database = $database;
            let mut attempt = 1;
            loop {
                let mut link = database.link().await?;
                let done = {
                    let $client = &mut link.0;
                    $crate::inventory::postgres::within(async { $work }).await
                };
                match done {
                    Ok(done) => {
                        database.keep(link).await;
                        break Ok::<_, $crate::inventory::postgres::Trouble>(done);
                    }
                    Err(trouble) if trouble.may_pass() && attempt < $crate::inventory::postgres::ATTEMPTS => {
                        attempt += 1;
                    }
                    Err(trouble) => break Err(trouble),
                }
            }
        }
    };
}

mod connect;
mod lease;
mod schema;
mod write;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tokio::{sync::Mutex, time::timeout};
use tokio_postgres::{Client, GenericClient, Row, types::Type};

use self::{connect::Target, lease::Lease, write::Rows};
use crate::inventory::{
    Account, Change, Claim, Holder, Intent, InventoryError, LeaseTimes, Owner, Owners, PostgresUrl, State,
    backend::{Backend, Board, Opened},
};

/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often what failed because the connection ended is tried.
const ATTEMPTS: u32 = 4;

/// A database.
#[derive(Debug, Clone)]
pub(super) struct Postgres(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    location: String,
    /// Kept open between reads.
    idle: Mutex<Option<Link>>,
}

struct Link(Client);

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

/// Why something could not be done.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The connection ended: it may have been done all the same.
    Closed(String),
    /// Others were in the way: it was not done, and may be tried again.
    Again(String),
    /// What is there is not what plumb writes.
    Damaged(String),
    /// It was written by a newer plumb.
    TooNew(u32),
    /// The lease is somebody else's.
    Lost,
    /// Anything else.
    Other(String),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = match error.as_db_error() {
            Some(told) => told.message().to_owned(),
            None => std::error::Error::source(&error).map_or(error.to_string(), |source| format!("{error}: {source}")),
        };
        match error.code().map(tokio_postgres::error::SqlState::code) {
            Some("40001" | "40P01") => Self::Again(text),
            Some(code) if code.starts_with("57P") || code.starts_with("08") => Self::Closed(text),
            Some(_) => Self::Other(text),
            None => Self::Closed(text),
        }
    }
}

impl Trouble {
    fn read(self, location: &str) -> InventoryError {
        self.told(location, |location, message| InventoryError::Read { location, message })
    }

    fn write(self, location: &str) -> InventoryError {
        self.told(location, |location, message| InventoryError::Write { location, message })
    }

    fn told(self, location: &str, other: impl FnOnce(String, String) -> InventoryError) -> InventoryError {
        let location = location.to_owned();
        match self {
            Self::Closed(message) | Self::Again(message) | Self::Other(message) => other(location, message),
            Self::Damaged(message) => InventoryError::Damaged { location, message },
            Self::TooNew(found) => InventoryError::TooNew { location, found, known: crate::inventory::SCHEMA_VERSION },
            Self::Lost => InventoryError::Lost { location, holder: None },
        }
    }

    fn may_pass(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::Again(_))
    }
}

/// Whether a URL can be used, and if not why.
pub(super) fn check(url: &PostgresUrl) -> Result<(), String> {
    Target::read(url, &|_| None).map(drop)
}

/// Does something within the time that a statement may take.
async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Trouble::Closed("the server does not answer".into())))
}

/// Reads in one snapshot; what is read where there are no tables is empty.
macro_rules! reading {
    ($database:expr, |$client:ident| $work:block) => {
        with!($database, |client| {
            let snapshot = client
                .build_transaction()
                .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            if schema::version(&snapshot).await? == 0 {
                return Ok(Default::default());
            }
            let $client = &snapshot;
            let done = $work;
            snapshot.commit().await?;
            Ok(done)
        })
    };
}

impl Postgres {
    /// The database at a URL; talks to nobody yet.
    pub(super) fn at(url: &PostgresUrl) -> Result<Self, InventoryError> {
        let location = url.to_string();
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let target = Target::read(url, &variable)
            .map_err(|message| InventoryError::Read { location: location.clone(), message })?;
        Ok(Self(Arc::new(Inner { target, location, idle: Mutex::default() })))
    }

    async fn connect(&self) -> Result<Client, Trouble> {
        self.0.target.connect().await
    }

    /// A connection, the idle one if it still stands.
    async fn link(&self) -> Result<Link, Trouble> {
        match self.0.idle.lock().await.take().filter(|link| !link.0.is_closed()) {
            Some(link) => Ok(link),
            None => Ok(Link(self.connect().await?)),
        }
    }

    /// Keeps a connection for the next time.
    async fn keep(&self, link: Link) {
        *self.0.idle.lock().await = Some(link);
    }

    fn read_error(&self, trouble: Trouble) -> InventoryError {
        trouble.read(&self.0.location)
    }

    fn write_error(&self, trouble: Trouble) -> InventoryError {
        trouble.write(&self.0.location)
    }
}

/// The rows of a statement with a text as its parameter.
async fn rows(client: &impl GenericClient, sql: &str, stack: &str) -> Result<Vec<Row>, Trouble> {
    Ok(client.query_typed(sql, &[(&stack, Type::TEXT)]).await?)
}

async fn pairs<C, T>(client: &impl GenericClient, sql: &str, stack: &str) -> Result<C, Trouble>
where
    C: Default + Extend<(String, T)>,
    T: DeserializeOwned,
{
    let mut out = C::default();
    for row in rows(client, sql, stack).await? {
        let name: String = row.try_get(0)?;
        let value = parse(&name, row.try_get(1)?)?;
        out.extend([(name, value)]);
    }
    Ok(out)
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(|error| Trouble::Damaged(format!("the row of `{name}`: {error}")))
}

/// Reads a stack.
async fn load(client: &impl GenericClient, stack: &str) -> Result<State, Trouble> {
    let mut state = State::default();
    let found = rows(client, "SELECT serial, roots FROM plumb_stacks WHERE stack = $1", stack).await?;
    let Some(row) = found.first() else { return Ok(state) };
    let serial: i64 = row.try_get(0)?;
    state.serial = u64::try_from(serial).map_err(|_| Trouble::Damaged(format!("`{stack}` has the serial {serial}")))?;
    state.roots = parse(stack, row.try_get(1)?)?;
    state.objects = pairs(client, "SELECT name, value FROM plumb_objects WHERE stack = $1", stack).await?;
    state.intents = pairs(client, "SELECT name, value FROM plumb_intents WHERE stack = $1", stack).await?;
    state.tombstones = pairs(client, "SELECT name, value FROM plumb_tombstones WHERE stack = $1", stack).await?;
    state.accounts = pairs(client, "SELECT name, value FROM plumb_accounts WHERE stack = $1", stack).await?;
    if schema::version(client).await? >= 2 {
        state.runs = pairs(client, "SELECT name, value FROM plumb_runs WHERE stack = $1", stack).await?;
    }
    Ok(state)
}

async fn owners(client: &impl GenericClient) -> Result<Owners, Trouble> {
    let mut owners = Owners::default();
    let mut urls: HashMap<(String, String), String> = HashMap::new();
    for row in client.query_typed("SELECT stack, name, value FROM plumb_accounts", &[]).await? {
        let name: String = row.try_get(1)?;
        let account: Account = parse(&name, row.try_get(2)?)?;
        urls.insert((row.try_get(0)?, name), account.url);
    }
    for row in client.query_typed("SELECT stack, connection, name, id FROM plumb_objects", &[]).await? {
        let key: (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(url) = urls.get(&key) {
            owners.insert(url, &key.0, row.try_get(2)?, row.try_get(3)?);
        }
    }
    for row in client.query_typed("SELECT stack, name, value FROM plumb_intents", &[]).await? {
        let stack: String = row.try_get(0)?;
        let intent: Intent = parse(row.try_get(1)?, row.try_get(2)?)?;
        let key = (stack, intent.connection.clone());
        if let Some(url) = urls.get(&key) {
            owners.begin(url, &key.0, &intent);
        }
    }
    Ok(owners)
}

#[async_trait]
impl Backend for Postgres {
    async fn read(&self, stack: &str) -> Result<State, InventoryError> {
        reading!(self, |client| { load(client, stack).await? }).await.map_err(|trouble| self.read_error(trouble))
    }

    async fn open(&self, stack: &str, holder: Holder, times: LeaseTimes) -> Result<Opened, InventoryError> {
        with!(self, |client| { schema::upgrade(client, schema::STEPS).await })
            .await
            .map_err(|trouble| self.write_error(trouble))?;
        let lease = Lease::take(self.clone(), stack, holder, times).await?;
        let view = lease.view();
        let opened = async {
            let client = self.connect().await?;
            // What an earlier holder claimed it cannot own any more.
            client.execute_typed("DELETE FROM plumb_claims WHERE stack = $1", &[(&stack, Type::TEXT)]).await?;
            client
                .execute_typed(
                    "INSERT INTO plumb_stacks (stack) VALUES ($1) ON CONFLICT DO NOTHING",
                    &[(&stack, Type::TEXT)],
                )
                .await?;
            let state = load(&client, stack).await?;
            Ok::<_, Trouble>((client, state))
        };
        match within(opened).await {
            Ok((client, state)) => {
                let writer = Rows::new(self.clone(), client, stack, state.serial, lease);
                Ok(Opened { writer: Box::new(writer), state, lease: Some(view) })
            }
            Err(trouble) => {
                lease.release().await;
                Err(self.write_error(trouble))
            }
        }
    }

    async fn break_lock(&self, stack: &str) -> Result<Option<Holder>, InventoryError> {
        let lifted = with!(self, |client| {
            let snapshot = client.transaction().await?;
            if schema::version(&snapshot).await? == 0 {
                return Ok(None);
            }
            let holder = lease::lift(&snapshot, stack).await?;
            snapshot.execute_typed("DELETE FROM plumb_claims WHERE stack = $1", &[(&stack, Type::TEXT)]).await?;
            snapshot.commit().await?;
            Ok(holder)
        });
        lifted.await.map_err(|trouble| self.write_error(trouble))
    }

    async fn owners(&self) -> Result<Owners, InventoryError> {
        reading!(self, |client| { owners(client).await? }).await.map_err(|trouble| self.read_error(trouble))
    }

    async fn stacks(&self) -> Result<Vec<String>, InventoryError> {
        let read = reading!(self, |client| {
            let found = client.query_typed("SELECT stack FROM plumb_stacks ORDER BY stack COLLATE \"C\"", &[]).await?;
            found.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?
        });
        read.await.map_err(|trouble| self.read_error(trouble))
    }

    async fn changes(&self, stack: &str, run: &str) -> Result<Vec<Change>, InventoryError> {
        let read = reading!(self, |client| {
            let sql = "SELECT value, \"end\" FROM plumb_changes WHERE stack = $1 AND run = $2 ORDER BY number";
            let found = client.query_typed(sql, &[(&stack, Type::TEXT), (&run, Type::TEXT)]).await?;
            let mut out = Vec::with_capacity(found.len());
            for row in found {
                let mut change: Change = parse(run, row.try_get(0)?)?;
                change.end = row.try_get::<_, Option<&str>>(1)?.map(|end| parse(run, end)).transpose()?;
                out.push(change);
            }
            out
        });
        read.await.map_err(|trouble| self.read_error(trouble))
    }

    async fn claim(&self, stack: &str, claims: &[Claim]) -> Result<Vec<(Claim, Owner)>, InventoryError> {
        let mut sorted = claims.to_vec();
        // Two that claim the same objects wait for each other in one order.
        sorted.sort();
        let made = with!(self, |client| { write::claim(client, stack, &sorted).await });
        made.await.map_err(|trouble| self.write_error(trouble))
    }

    async fn unclaim(&self, stack: &str) -> Result<(), InventoryError> {
        let dropped = with!(self, |client| {
            client.execute_typed("DELETE FROM plumb_claims WHERE stack = $1", &[(&stack, Type::TEXT)]).await?;
            Ok(())
        });
        dropped.await.map_err(|trouble| self.write_error(trouble))
    }

    fn notices(&self) -> Option<Arc<dyn Board>> {
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Board for Postgres {
    async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, InventoryError> {
        let read = reading!(self, |client| {
            let found = rows(client, "SELECT value, version FROM plumb_notices WHERE name = $1", name).await?;
            let Some(row) = found.first() else { return Ok(None) };
            let (text, version): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            Some((text.into_bytes(), version.to_string()))
        });
        read.await.map_err(|trouble| self.read_error(trouble))
    }

    async fn replace(&self, name: &str, text: &[u8], version: Option<&str>) -> Result<bool, InventoryError> {
        let text = String::from_utf8_lossy(text);
        let version: Option<i64> = version.and_then(|version| version.parse().ok());
        let written = with!(self, |client| {
            schema::upgrade(client, schema::STEPS).await?;
            let (name, text) = ((&name as &_, Type::TEXT), (&text as &_, Type::TEXT));
            let changed = match version {
                None => {
                    let sql =
                        "INSERT INTO plumb_notices (name, value, version) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING";
                    client.execute_typed(sql, &[name, text]).await?
                }
                Some(version) => {
                    let sql =
                        "UPDATE plumb_notices SET value = $2, version = version + 1 WHERE name = $1 AND version = $3";
                    client.execute_typed(sql, &[name, text, (&version, Type::INT8)]).await?
                }
            };
            Ok(changed > 0)
        });
        written.await.map_err(|trouble| self.write_error(trouble))
    }
}
