//! Group commit: edits of concurrent callers become one durable write.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::inventory::{Edit, InventoryError, State, backend::Writer};

type Reply = oneshot::Sender<Result<(), InventoryError>>;

/// Takes commits, until it is closed or dropped; what was taken is written even then.
#[derive(Debug)]
pub(super) struct Committer {
    commits: mpsc::UnboundedSender<(Vec<Edit>, Reply)>,
    task: JoinHandle<()>,
}

impl Committer {
    /// Starts to write to `writer` and to show in `state` what is durable. Each write waits for `patience`, so that
    /// others come along.
    pub(super) fn start(writer: Box<dyn Writer>, state: Arc<RwLock<State>>, patience: Duration) -> Self {
        let (commits, taken) = mpsc::unbounded_channel();
        Self { commits, task: tokio::spawn(run(writer, state, taken, patience)) }
    }

    /// Returns once the edits are durable; `None` if the writer is gone.
    pub(super) async fn commit(&self, edits: Vec<Edit>) -> Option<Result<(), InventoryError>> {
        let (reply, done) = oneshot::channel();
        self.commits.send((edits, reply)).ok()?;
        done.await.ok()
    }

    /// Writes what was taken and gives back the lock.
    pub(super) async fn close(self) {
        drop(self.commits);
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the writer of the inventory was cut off");
        }
    }
}

async fn run(
    mut writer: Box<dyn Writer>,
    state: Arc<RwLock<State>>,
    mut taken: mpsc::UnboundedReceiver<(Vec<Edit>, Reply)>,
    patience: Duration,
) {
    let before = || state.read().unwrap_or_else(PoisonError::into_inner).clone();
    while let Some((edits, reply)) = taken.recv().await {
        let (mut commits, mut replies) = (vec![edits], vec![reply]);
        // Callers that were woken by the same answer get the chance to come along.
        if patience.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(patience).await;
        }
        while let Ok((edits, reply)) = taken.try_recv() {
            commits.push(edits);
            replies.push(reply);
        }
        let result = writer.write(&commits, &before).await;
        if result.is_ok() {
            let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
            for edits in &commits {
                state.apply(edits);
            }
        }
        for reply in replies {
            // A caller that no longer waits needs no answer.
            drop(reply.send(result.clone()));
        }
    }
    writer.close(&before).await;
}
