//! The pull requests that are open in a repository, in one form for all forges; asked once for all stacks of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::time::Instant;

use super::{Forge, ForgeError, PAGES, part, path};
use crate::agent::config::ForgeKind;

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Commit to be merged.
    pub head: String,
    /// The name under which the target repository has that commit.
    pub reference: Option<String>,
    /// Branch that it is to be merged into.
    pub base: String,
    /// Whether it comes from another repository.
    pub fork: bool,
}

impl Forge {
    /// The pull requests that are open; none where the forge is told statuses only.
    pub async fn pulls(&self, repository: &str) -> Result<Vec<Pull>, ForgeError> {
        let (list, query) = match self.kind() {
            ForgeKind::Github | ForgeKind::Gitea => (format!("/repos/{}/pulls", path(repository)), "state=open&"),
            ForgeKind::Gitlab => (format!("/projects/{}/merge_requests", part(repository)), "state=opened&"),
            ForgeKind::Bitbucket => return Ok(Vec::new()),
        };
        let mut pulls = Vec::new();
        for page in 1..=PAGES {
            let (items, full) = self.page(&list, query, page).await?;
            pulls.extend(items.iter().filter_map(|item| read(self.kind(), item)));
            if !full {
                break;
            }
        }
        Ok(pulls)
    }
}

/// What was asked last, and when.
type Asked = Option<(Instant, Result<Arc<Vec<Pull>>, ForgeError>)>;

/// The same, for one stack at a time to ask.
type Cell = Arc<tokio::sync::Mutex<Asked>>;

/// The open pull requests of repositories: what one stack asked, others of the repository need not ask again.
#[derive(Debug, Default)]
pub struct Pulls {
    known: Mutex<HashMap<(String, String), Cell>>,
}

impl Pulls {
    /// The pull requests of a repository as they were at some time since `since`.
    pub async fn of(
        &self,
        name: &str,
        forge: &Forge,
        repository: &str,
        since: Instant,
    ) -> Result<Arc<Vec<Pull>>, ForgeError> {
        let place = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry((name.to_owned(), repository.to_owned())).or_default().clone()
        };
        let mut asked = place.lock().await;
        if let Some((at, answer)) = &*asked
            && *at >= since
        {
            return answer.clone();
        }
        let began = Instant::now();
        let answer = forge.pulls(repository).await.map(Arc::new);
        *asked = Some((began, answer.clone()));
        answer
    }

    /// Forgets everything, since forges may be others now.
    pub fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn read(kind: ForgeKind, item: &Value) -> Option<Pull> {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| item.pointer(pointer).and_then(Value::as_u64);
    Some(if kind == ForgeKind::Gitlab {
        let iid = number("/iid")?;
        Pull {
            number: iid,
            head: text("/sha")?,
            reference: Some(format!("refs/merge-requests/{iid}/head")),
            base: text("/target_branch")?,
            // What is not said is not trusted.
            fork: number("/source_project_id").is_none()
                || number("/source_project_id") != number("/target_project_id"),
        }
    } else {
        let (own, target) = (text("/head/repo/full_name"), text("/base/repo/full_name"));
        let id = number("/number")?;
        Pull {
            number: id,
            head: text("/head/sha")?,
            reference: Some(format!("refs/pull/{id}/head")),
            base: text("/base/ref")?,
            fork: own.is_none() || own.map(|name| name.to_lowercase()) != target.map(|name| name.to_lowercase()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_surely_of_the_same_repository_is_a_fork() {
        let github = |own: Value| {
            json!({
                "number": 7,
                "head": {"sha": "a".repeat(40), "ref": "change", "repo": own},
                "base": {"ref": "main", "repo": {"full_name": "Acme/infra"}},
            })
        };
        let fork = |kind, item: &Value| read(kind, item).unwrap().fork;
        assert!(!fork(ForgeKind::Github, &github(json!({"full_name": "acme/infra"}))));
        assert!(fork(ForgeKind::Github, &github(json!({"full_name": "mallory/infra"}))));
        // GitHub says null once the fork is deleted.
        assert!(fork(ForgeKind::Github, &github(Value::Null)));
        let gitlab = |source: Value| json!({"iid": 3, "sha": "b", "target_branch": "main", "source_project_id": source, "target_project_id": 5});
        assert!(!fork(ForgeKind::Gitlab, &gitlab(json!(5))));
        assert!(fork(ForgeKind::Gitlab, &gitlab(json!(6))));
        assert!(fork(ForgeKind::Gitlab, &gitlab(Value::Null)));
    }
}
