//! A `Stack` resource that goes and says `plumb.dev/deletion-policy: delete`: what it owns goes before it. Without that
//! word, nothing holds it and live objects stay.

use std::time::Duration;

use super::{Again, Memory, Stacks, reconcile::fetch, source, told};
use crate::{
    agent::{reconcile::told as in_numbers, source::Feed},
    failure::Failure,
    operator::{
        status::{Status, Truth, clipped},
        verdict::Happening,
        world::Resource,
    },
    pipeline::{self, Options},
    plan::{Mode, Outcome},
};

/// Why what a stack owns is still there.
struct Stays {
    why: String,
    /// It may pass by itself.
    passes: bool,
}

impl From<Failure> for Stays {
    fn from(failure: Failure) -> Self {
        Self { passes: failure.class.passes(), why: failure.to_string() }
    }
}

/// Whether a stack's objects go with it.
fn takes_all(stack: &Resource) -> bool {
    stack.annotation("deletion-policy") == Some("delete")
}

impl Stacks {
    /// Holds a stack whose objects go with it, and lets go of one whose objects stay. Whether it may be worked on.
    pub(super) async fn hold(&self, stack: &Resource) -> bool {
        let wants = takes_all(stack);
        if stack.is_going() || stack.is_held() == wants {
            return true;
        }
        match self.worker.teller.hold(stack, wants).await {
            Ok(there) => there,
            Err(error) => {
                tracing::debug!("`{}` cannot be held: {error}", stack.key.path());
                false
            }
        }
    }

    /// Deletes what a stack owns, and lets it go.
    pub(super) async fn destroy(&self, stack: &Resource, memory: &mut Memory) -> Again {
        let worker = &self.worker;
        let gone = if takes_all(stack) { self.destroyed(stack, memory).await } else { Ok(None) };
        let happening = match gone {
            Ok(note) => note.map(|note| Happening { warning: false, reason: "Deleted", action: "Delete", note }),
            Err(Stays { why, passes }) => {
                let waited = stack.going_since.map_or(Duration::ZERO, |since| {
                    let waited = jiff::Timestamp::now().duration_since(since);
                    if waited.is_negative() { Duration::ZERO } else { waited.unsigned_abs() }
                });
                if passes || waited < worker.patience {
                    let message = format!("What it owns is not deleted yet: {why}");
                    let mut status = Status { observed_generation: Some(stack.generation), ..stack.status.clone() };
                    let happening = told::warning(stack, "DeletionFailed", &message);
                    status.set("Ready", Truth::False, "DeletionFailed", &message);
                    status.set("Reconciling", Truth::True, "DeletionFailed", &message);
                    self.tell(stack, &status, happening.into_iter().collect()).await;
                    return Again::Retry(worker.interval);
                }
                let note = clipped(&format!("Live objects stay, and the resource goes: {why}"), 1000);
                Some(Happening { warning: true, reason: "Retained", action: "Delete", note })
            }
        };
        if let Some(happening) = happening {
            worker.teller.event(stack, &happening).await;
        }
        if let Err(error) = worker.teller.hold(stack, false).await {
            tracing::warn!("`{}` cannot be released: {error}", stack.key.path());
        }
        Again::Retry(worker.interval)
    }

    async fn destroyed(&self, stack: &Resource, memory: &Memory) -> Result<Option<String>, Stays> {
        let lasting = |why: String| Stays { why, passes: false };
        let names = source::secrets(stack);
        self.worker.secrets.read(&names).await;
        let (spec, feed) = source::read(stack).map_err(|wrong| lasting(wrong.message))?;
        let git = source::source(stack, &feed, &self.worker.secrets).map_err(|wrong| lasting(wrong.message))?;
        let read = fetch(Feed::new(&git, &self.repositories), memory.beside.clone()).await;
        let (_, snapshot) = read.map_err(|error| Stays { why: error.message, passes: error.passes })?;
        let options = self.options(stack, spec, &snapshot).await.map_err(lasting)?;
        let (give, take) = tokio::sync::oneshot::channel();
        let spawned = std::thread::Builder::new().name("plumb-stack".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let gone = runtime.map(|runtime| runtime.block_on(all(&options)));
            // The operator that asked may have stopped.
            let _ = give.send(gone);
        });
        let ended = |why: String| Stays { why, passes: true };
        spawned.map_err(|error| ended(error.to_string()))?;
        match take.await {
            Ok(Ok(gone)) => gone.map(Some),
            Ok(Err(error)) => Err(ended(error.to_string())),
            Err(_) => Err(ended("the run ended without a report".to_owned())),
        }
    }
}

/// Deletes all that a stack owns; what was done, in numbers.
async fn all(options: &Options) -> Result<String, Stays> {
    let planned = Box::pin(pipeline::plan(options, Mode::Destroy)).await?;
    let applied = Box::pin(pipeline::apply(planned, options)).await?;
    let failed = applied.document.actions.iter().find(|action| action.outcome == Some(Outcome::Failed));
    if let Some(action) = failed {
        let why = format!("`{}`: {}", action.address, action.error.as_deref().unwrap_or_default());
        return Err(Stays { why, passes: !applied.lasting.contains(&action.address) });
    }
    if applied.failed || applied.interrupted {
        return Err(Stays { why: "it was interrupted".to_owned(), passes: true });
    }
    Ok(in_numbers(&applied.document))
}
