//! What runs did, as documents beside the record: one for each wave of a run while it lasts, one for the whole run once
//! it has ended.

use serde::{Deserialize, Serialize};

use super::{Documents, Refusal};
use crate::inventory::{Change, Edit, End, InventoryError};

/// A part of what a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    changes: Vec<(u32, Change)>,
    ends: Vec<(u32, End)>,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.ends.is_empty()
    }

    fn add(&mut self, other: &Self) {
        self.changes.extend(other.changes.iter().cloned());
        self.ends.extend(other.ends.iter().cloned());
    }

    /// Each change with its end.
    fn whole(mut self) -> Vec<Change> {
        self.changes.sort_by_key(|(number, _)| *number);
        self.changes.dedup_by_key(|(number, _)| *number);
        for (number, end) in self.ends {
            if let Ok(at) = self.changes.binary_search_by_key(&number, |(number, _)| *number)
                && let Some((_, change)) = self.changes.get_mut(at)
            {
                change.end = Some(end);
            }
        }
        self.changes.into_iter().map(|(_, change)| change).collect()
    }
}

/// What the run of this writer did so far.
#[derive(Debug, Default)]
pub(super) struct Past {
    run: String,
    parts: u32,
    written: Part,
    /// Ends that go along with the next part.
    waiting: Part,
}

impl Past {
    /// Makes durable what commits say of how objects were; what came of them may wait until the run ends.
    pub(super) async fn keep(
        &mut self,
        documents: &Documents,
        stack: &str,
        commits: &[Vec<Edit>],
    ) -> Result<(), InventoryError> {
        let mut ended = false;
        let before = self.waiting.clone();
        for edit in commits.iter().flatten() {
            match edit {
                Edit::Keep(run, number, change) => {
                    self.run.clone_from(run);
                    self.waiting.changes.push((*number, change.as_ref().clone()));
                }
                Edit::Kept(run, number, end) => {
                    self.run.clone_from(run);
                    self.waiting.ends.push((*number, end.as_ref().clone()));
                }
                Edit::Run(run, head) => ended |= head.ended.is_some() && *run == self.run,
                _ => {}
            }
        }
        let written = if ended {
            self.finish(documents, stack).await
        } else if self.waiting.changes.is_empty() {
            Ok(())
        } else {
            self.write(documents, stack).await
        };
        if written.is_err() {
            self.waiting = before;
        }
        written
    }

    async fn write(&mut self, documents: &Documents, stack: &str) -> Result<(), InventoryError> {
        self.parts += 1;
        put(documents, &part(stack, &self.run, self.parts), &self.waiting).await?;
        self.written.add(&std::mem::take(&mut self.waiting));
        Ok(())
    }

    /// Puts the parts together.
    async fn finish(&mut self, documents: &Documents, stack: &str) -> Result<(), InventoryError> {
        let mut all = self.written.clone();
        all.add(&self.waiting);
        if all.is_empty() {
            return Ok(());
        }
        put(documents, &whole(stack, &self.run), &all).await?;
        let parts = (1..=self.parts).map(|number| part(stack, &self.run, number)).collect();
        *self = Self::default();
        // What is left of them is not read any more.
        if let Err(error) = documents.keeper.remove(parts).await {
            tracing::warn!("parts of a run's history could not be removed: {error}");
        }
        Ok(())
    }
}

/// What a run did.
pub(super) async fn changes(documents: &Documents, stack: &str, run: &str) -> Result<Vec<Change>, InventoryError> {
    if let Some((all, _)) = documents.get::<Part>(&whole(stack, run)).await? {
        return Ok(all.whole());
    }
    let mut names = documents.keeper.list(&folder(stack, run)).await?;
    names.sort();
    let mut all = Part::default();
    for name in names {
        if let Some((part, _)) = documents.get::<Part>(&name).await? {
            all.add(&part);
        }
    }
    Ok(all.whole())
}

/// Removes what runs did that are kept no longer.
pub(super) async fn forget(documents: &Documents, stack: &str, runs: &[String]) -> Result<(), InventoryError> {
    let mut names = Vec::new();
    for run in runs {
        names.push(whole(stack, run));
        names.extend(documents.keeper.list(&folder(stack, run)).await?);
    }
    documents.keeper.remove(names).await
}

/// A document that nobody else writes: where it is there already, this writer made it and lost the answer.
async fn put(documents: &Documents, name: &str, part: &Part) -> Result<(), InventoryError> {
    match documents.put(name, part, None).await {
        Ok(_) => Ok(()),
        Err(Refusal::Condition) => match documents.get::<Part>(name).await? {
            Some((found, _)) if found == *part => Ok(()),
            Some((_, version)) => match documents.put(name, part, Some(&version)).await {
                Ok(_) => Ok(()),
                Err(Refusal::Condition) => Err(documents.unwritable(format!("`{name}` changes under this writer"))),
                Err(Refusal::Other(error)) => Err(error),
            },
            None => Err(documents.unwritable(format!("`{name}` changes under this writer"))),
        },
        Err(Refusal::Other(error)) => Err(error),
    }
}

fn folder(stack: &str, run: &str) -> String {
    format!("history/{stack}/{run}")
}

fn whole(stack: &str, run: &str) -> String {
    format!("history/{stack}/{run}.json")
}

fn part(stack: &str, run: &str, number: u32) -> String {
    format!("history/{stack}/{run}/{number:06}.json")
}
