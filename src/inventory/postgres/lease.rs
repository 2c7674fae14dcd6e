//! The writer lock of a stack: a row that its holder renews, and that lasts by the server's clock.

use std::time::Duration;

use tokio::{sync::oneshot, task::JoinHandle, time::sleep};
use tokio_postgres::{Client, GenericClient, types::Type};

use super::{Postgres, Trouble, parse, within};
use crate::inventory::{
    Holder, InventoryError, LeaseTimes,
    documents::session,
    standing::{Asked, LeaseView},
};

const TAKE: &str = "INSERT INTO plumb_leases (stack, session, holder, expires, released)
    VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond', false)
    ON CONFLICT (stack) DO UPDATE
    SET session = excluded.session, holder = excluded.holder, expires = excluded.expires, released = false
    WHERE plumb_leases.released OR plumb_leases.expires < clock_timestamp()
        OR plumb_leases.session = excluded.session";

const RENEW: &str = "UPDATE plumb_leases SET expires = clock_timestamp() + $3 * interval '1 millisecond'
    WHERE stack = $1 AND session = $2 AND NOT released";

const RELEASE: &str = "UPDATE plumb_leases SET released = true WHERE stack = $1 AND session = $2";

const HOLDER: &str = "SELECT holder, to_char(expires AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
    FROM plumb_leases WHERE stack = $1 AND NOT released FOR UPDATE";

/// A lease that renews itself until it is released or dropped.
#[derive(Debug)]
pub(super) struct Lease {
    view: LeaseView,
    session: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease of a stack if it is free.
    pub(super) async fn take(
        database: Postgres,
        stack: &str,
        holder: Holder,
        times: LeaseTimes,
    ) -> Result<Self, InventoryError> {
        let location = database.0.location.clone();
        let session = session(&location)?;
        let text = serde_json::to_string(&holder).unwrap_or_default();
        let length = i64::try_from(times.milliseconds()).unwrap_or(i64::MAX);
        let taken = with!(&database, |client| {
            let asked = Asked::now();
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
                [(&stack, Type::TEXT), (&session, Type::TEXT), (&text, Type::TEXT), (&length, Type::INT8)];
            match client.execute_typed(TAKE, &parameters).await? {
                0 => Ok(Err(held_by(client, stack).await?)),
                _ => Ok(Ok(asked.given(times))),
            }
        });
        let view = match taken.await.map_err(|trouble| trouble.write(&location))? {
            Ok(standing) => LeaseView::new(standing),
            Err(holder) => {
                let holder = Box::new(holder.unwrap_or_default());
                return Err(InventoryError::Locked { location, holder, local: false });
            }
        };
        let (stop, stopped) = oneshot::channel();
        let keeping =
            Keeping { database, stack: stack.to_owned(), session: session.clone(), length, times, view: view.clone() };
        Ok(Self { view, session, stop, task: tokio::spawn(keeping.keep(stopped)) })
    }

    /// What others may know of it.
    pub(super) fn view(&self) -> LeaseView {
        self.view.clone()
    }

    /// What its row is known by.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Gives it back, as far as the server can be reached.
    pub(super) async fn release(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the lease ends by itself");
        }
    }
}

/// Lifts the lease of a stack, whoever has it; returns who had it.
pub(super) async fn lift(client: &impl GenericClient, stack: &str) -> Result<Option<Holder>, Trouble> {
    let holder = held_by(client, stack).await?;
    client.execute_typed("UPDATE plumb_leases SET released = true WHERE stack = $1", &[(&stack, Type::TEXT)]).await?;
    Ok(holder)
}

/// Who has the lease of a stack, or had it last and did not give it back.
pub(super) async fn held_by(client: &impl GenericClient, stack: &str) -> Result<Option<Holder>, Trouble> {
    let found = client.query_typed(HOLDER, &[(&stack, Type::TEXT)]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let mut holder: Holder = parse(stack, row.try_get(0)?)?;
    holder.expires = row.try_get(1)?;
    Ok(Some(holder))
}

/// What renews a lease.
struct Keeping {
    database: Postgres,
    stack: String,
    session: String,
    length: i64,
    times: LeaseTimes,
    view: LeaseView,
}

impl Keeping {
    /// Renews the lease until told to stop, then gives it back. It has a connection of its own, so that it never waits
    /// for a long transaction.
    async fn keep(self, mut stopped: oneshot::Receiver<()>) {
        let mut client: Option<Client> = None;
        let mut pause = self.times.renewal;
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                () = sleep(pause) => {}
            }
            let asked = Asked::now();
            match within(self.renew(&mut client)).await {
                Ok(true) => {
                    self.view.renewed(asked.given(self.times));
                    pause = self.times.renewal;
                }
                Ok(false) => {
                    let holder = match &client {
                        Some(client) => held_by(client, &self.stack).await.ok().flatten(),
                        None => None,
                    };
                    self.view.lose(holder);
                    return;
                }
                // Nobody can take it before it ends, and perhaps nobody does then.
                Err(trouble) => {
                    tracing::warn!(?trouble, "the lease could not be renewed");
                    client = None;
                    pause = (self.times.renewal / 10).max(Duration::from_millis(10));
                }
            }
        }
        if let Err(trouble) = within(self.release(client)).await {
            tracing::warn!(?trouble, "the lease could not be given back, and ends by itself");
        }
    }

    async fn renew(&self, client: &mut Option<Client>) -> Result<bool, Trouble> {
        let connected = match client.take().filter(|client| !client.is_closed()) {
            Some(connected) => connected,
            None => self.database.connect().await?,
        };
        let connected = client.insert(connected);
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&self.stack, Type::TEXT), (&self.session, Type::TEXT), (&self.length, Type::INT8)];
        Ok(connected.execute_typed(RENEW, &parameters).await? > 0)
    }

    async fn release(&self, client: Option<Client>) -> Result<(), Trouble> {
        let connected = match client.filter(|client| !client.is_closed()) {
            Some(connected) => connected,
            None => self.database.connect().await?,
        };
        connected.execute_typed(RELEASE, &[(&self.stack, Type::TEXT), (&self.session, Type::TEXT)]).await?;
        Ok(())
    }
}
