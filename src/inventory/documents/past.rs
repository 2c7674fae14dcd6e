//! What runs did, as documents beside the record: it stands in the journal first, and goes into a part of its run's
//! history whenever the record is written whole, so that no more of it is kept in memory than of the journal.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Documents, Refusal};
use crate::inventory::{Change, Edit, End, InventoryError};

/// The most parts that are asked for at once.
const AT_ONCE: usize = 8;

/// A part of what a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part {
    changes: Vec<(u32, Change)>,
    ends: Vec<(u32, End)>,
}

impl Part {
    fn add(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.ends.extend(other.ends);
    }

    /// Each change with its end.
    fn whole(mut self) -> Vec<Change> {
        self.changes.sort_by_key(|(number, _)| *number);
        // What was cut off while it went from the journal into a part is in both.
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

/// What commits say of runs that is in no part yet, by run.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(BTreeMap<String, Part>);

impl Past {
    /// Takes what commits say.
    pub(super) fn take(&mut self, commits: &[Vec<Edit>]) {
        for edit in commits.iter().flatten() {
            match edit {
                Edit::Keep(run, number, change) => {
                    self.part(run).changes.push((*number, change.as_ref().clone()));
                }
                Edit::Kept(run, number, end) => self.part(run).ends.push((*number, end.as_ref().clone())),
                _ => {}
            }
        }
    }

    fn part(&mut self, run: &str) -> &mut Part {
        self.0.entry(run.to_owned()).or_default()
    }

    /// Makes it durable, in parts with a number that no others of these runs have.
    pub(super) async fn write(&self, documents: &Documents, stack: &str, number: u64) -> Result<(), InventoryError> {
        for (run, part) in &self.0 {
            put(documents, &format!("{}/{number:09}.json", folder(stack, run)), part).await?;
        }
        Ok(())
    }
}

/// What a run did, where `since` is what is in no part yet.
pub(super) async fn changes(
    documents: &Documents,
    stack: &str,
    run: &str,
    mut since: Past,
) -> Result<Vec<Change>, InventoryError> {
    let mut names = documents.keeper.list(&folder(stack, run)).await?;
    names.sort();
    let reads = names.into_iter().map(|name| async move { documents.get::<Part>(&name).await });
    let parts: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let mut all = Part::default();
    for (part, _) in parts.into_iter().flatten() {
        all.add(part);
    }
    all.add(since.0.remove(run).unwrap_or_default());
    Ok(all.whole())
}

/// Removes what runs did that are kept no longer.
pub(super) async fn forget(documents: &Documents, stack: &str, runs: &[String]) -> Result<(), InventoryError> {
    let mut names = Vec::new();
    for run in runs {
        names.extend(documents.keeper.list(&folder(stack, run)).await?);
    }
    documents.keeper.remove(names).await
}

/// A document that nobody else writes: where it is there already, its writer lost the answer or was cut off.
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
