//! What is live is compared once more with what the plan saw, where some time has gone by since: an object that somebody
//! else changed meanwhile is left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Shared,
    write::{Done, Trouble},
};
use crate::{
    description::{
        Kind,
        format::{FieldSpec, Verb},
    },
    dialect::Decoded,
    diff::{Sides, diff},
    live::{Remote, item_vars},
    plan::{Batch, Operation, Step},
    value::{Fields, has_secret},
};

/// What was observed longer ago than this is looked at again.
const OLD: Duration = Duration::from_secs(10);
/// A list of many pages counts as new for so long for each.
const PAGE: Duration = Duration::from_secs(1);
/// Objects of one collection from which on it is listed instead of each being read.
const MANY: usize = 3;

const GONE: &str = "it is gone since the plan: plan again";

/// A collection as it was read again: when, and its objects by id; none where it could not be read.
type Look = (Instant, Option<HashMap<String, Decoded>>);
/// One collection, read by one step at a time.
type Cell = Arc<tokio::sync::Mutex<Option<Arc<Look>>>>;
/// By connection, kind and parent.
type Place = (String, String, Option<String>);

/// Collections that were read again.
#[derive(Default)]
pub(super) struct Looks {
    seen: Mutex<HashMap<Place, Cell>>,
    /// How many steps there are for live objects of each kind.
    counts: OnceLock<HashMap<String, usize>>,
}

impl Shared<'_> {
    /// The steps of a batch whose objects are as the plan saw them, and what became of the others.
    pub(super) async fn unmoved(
        &self,
        remote: &Remote,
        batch: &Batch,
        steps: &[usize],
    ) -> (Vec<usize>, Vec<(usize, Result<Done, Trouble>)>) {
        let changes =
            matches!(batch.operation, Operation::Update | Operation::Delete | Operation::Replace | Operation::Apply);
        let is_new = self.context.observed.is_some_and(|from| from.elapsed() < OLD);
        if !changes || is_new {
            return (steps.to_vec(), Vec::new());
        }
        let (mut unmoved, mut stopped) = (Vec::new(), Vec::new());
        for index in steps {
            match self.look_again(remote, &self.plan.steps[*index]).await {
                Ok(()) => unmoved.push(*index),
                Err(why) => stopped.push((*index, Err(Trouble::known(why)))),
            }
        }
        (unmoved, stopped)
    }

    /// Looks at a step's object again; says why nothing may be done to it.
    async fn look_again(&self, remote: &Remote, step: &Step) -> Result<(), String> {
        let (Some(_), Some(id)) = (&step.live, &step.action.id) else { return Ok(()) };
        let parent = self.former_parent(step);
        let place = (step.action.connection.clone(), step.kind.name.clone(), parent.clone());
        let pages = self.pages(&step.kind);
        // A list costs a read for each of its pages, however few of its objects are changed.
        let many = step.kind.inside().is_some() || self.steps_of(&step.kind.name) > MANY.max(2 * pages);
        if !many && step.kind.can(Verb::Get) {
            let vars = item_vars(&step.kind, id, step.parent.as_deref(), step.live.as_ref().map(|live| &live.fields));
            return match remote.get(&step.kind, &vars, &[]).await {
                Ok(None) if step.operation == Operation::Delete => Ok(()),
                Ok(None) => Err(GONE.to_owned()),
                Ok(Some((row, _))) => match self.as_read(step, parent.as_deref(), &row) {
                    Some(now) => self.moved(step, &now.fields).map_or(Ok(()), Err),
                    None => Ok(()),
                },
                // Who may write, and not read, goes by the plan.
                Err(error) if error.status() == Some(403) => Ok(()),
                Err(error) => Err(format!("it could not be looked at again before it is changed: {error}")),
            };
        }
        let cell = self.looks.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default().clone();
        let look = {
            let mut known = cell.lock().await;
            match &*known {
                Some(look) if look.0.elapsed() < OLD.max(PAGE * u32::try_from(pages).unwrap_or(u32::MAX)) => {
                    look.clone()
                }
                _ => {
                    let at = Instant::now();
                    let rows = match self.collection(remote, step, parent.as_deref()).await {
                        Ok(rows) => rows,
                        Err(error) if error.status() == Some(403) => None,
                        Err(error) => {
                            return Err(format!("it could not be looked at again before it is changed: {error}"));
                        }
                    };
                    let objects = rows.map(|rows| {
                        let read = rows.iter().filter_map(|row| self.as_read(step, parent.as_deref(), row));
                        read.map(|object| (object.id.clone(), object)).collect()
                    });
                    known.insert(Arc::new((at, objects))).clone()
                }
            }
        };
        match look.1.as_ref().map(|objects| objects.get(id)) {
            None => Ok(()),
            Some(Some(now)) => self.moved(step, &now.fields).map_or(Ok(()), Err),
            Some(None) if step.operation == Operation::Delete => Ok(()),
            Some(None) => Err(GONE.to_owned()),
        }
    }

    /// Pages that a list of a kind has.
    fn pages(&self, kind: &Kind) -> usize {
        let api = self.context.remotes.values().map(|remote| &remote.api).find(|api| api.name == kind.api);
        let paging = kind.spec.list.paging.as_ref().or(api.map(|api| &api.spec.paging));
        let size = paging.and_then(|paging| paging.max_size).unwrap_or(100).max(1);
        let objects = self.context.live.get(&(kind.api.clone(), kind.name.clone())).copied().unwrap_or_default();
        objects.div_ceil(usize::try_from(size).unwrap_or(usize::MAX))
    }

    fn steps_of(&self, kind: &str) -> usize {
        let counts = self.looks.counts.get_or_init(|| {
            let mut counts = HashMap::new();
            for step in self.plan.steps.iter().filter(|step| step.live.is_some()) {
                *counts.entry(step.kind.name.clone()).or_insert(0) += 1;
            }
            counts
        });
        counts.get(kind).copied().unwrap_or_default()
    }

    /// Says what of an object is neither as the plan saw it nor as it is to be.
    pub(super) fn moved(&self, step: &Step, now: &Fields) -> Option<String> {
        let then = &step.live.as_ref()?.fields;
        let whole = matches!(step.operation, Operation::Delete | Operation::Replace);
        let free = FieldSpec::default();
        let seen: Fields = then
            .iter()
            .filter(|(name, value)| {
                let spec = step.specs().get(*name).unwrap_or(&free);
                let told =
                    !spec.write_only && !spec.on_get_only && spec.list_cuts_at.is_none() && spec.read_by.is_none();
                let meant = step.send.contains(*name) || (whole && !spec.read_only);
                told && meant && !value.is_null() && !has_secret(value) && now.contains_key(*name)
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let sides = |desired: &Fields| {
            diff(Sides {
                specs: step.specs(),
                desired,
                applied: None,
                live: Some(now),
                ignore_drift: &[],
                prune: false,
            })
        };
        let mut moved = sides(&seen).changes;
        // What was to be changed and has its new value already is no contradiction: it may be our own doing.
        let desired = self.made.resolve(&step.desired);
        moved.retain(|change| {
            let Some(wanted) = desired.get(&change.field) else { return true };
            let one: Fields = [(change.field.clone(), wanted.clone())].into_iter().collect();
            !sides(&one).changes.is_empty()
        });
        let first = moved.first()?;
        Some(format!(
            "it was changed by somebody else since the plan: `{}` is not what it was then; plan again",
            first.path
        ))
    }
}
