//! Ctrl-C and SIGTERM: the first asks a run to end, the second ends the wait for it.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use crate::failure::Failure;

/// How often the run was asked to end.
#[derive(Debug, Clone)]
pub struct Interrupt {
    count: Arc<watch::Sender<u32>>,
    flag: Arc<AtomicBool>,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self { count: Arc::new(watch::Sender::new(0)), flag: Arc::default() }
    }
}

impl Interrupt {
    /// Asks the run to end.
    pub fn raise(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.count.send_modify(|count| *count = count.saturating_add(1));
    }

    /// What the pipeline looks at between calls.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Waits until the run was asked to end so many times.
    pub async fn raised(&self, times: u32) {
        let mut count = self.count.subscribe();
        if count.wait_for(|count| *count >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does something that can be cut short at any point.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.raised(1) => Err(Failure::interrupted("Interrupted; nothing was written.")),
            result = work => result,
        }
    }

    /// Listens to the process's signals from now on.
    pub(super) fn listen(&self) {
        let interrupt = self.clone();
        tokio::spawn(async move {
            while signalled().await {
                interrupt.raise();
            }
        });
    }
}

/// Waits for a signal; false where there is none to wait for.
#[cfg(unix)]
async fn signalled() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return false;
    };
    tokio::select! {
        got = interrupt.recv() => got.is_some(),
        got = terminate.recv() => got.is_some(),
    }
}

#[cfg(not(unix))]
async fn signalled() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_when_it_is_interrupted_and_not_before() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.or(async { Ok(1) }).await, Ok(1));
        let waiting = interrupt.or(std::future::pending::<Result<(), Failure>>());
        let (result, ()) = tokio::join!(waiting, async { interrupt.raise() });
        assert_eq!(result.unwrap_err().class, crate::failure::Class::Interrupted);
        assert!(interrupt.flag().load(Ordering::SeqCst));
        interrupt.raised(1).await;
    }
}
