//! What a run found → commit statuses, comments of pull requests, and messages. Whatever is wrong with a forge is told
//! in the log and counted; it never keeps a stack from being reconciled.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use super::{
    forge::{self, Forge, ForgeError, Pull, Status, Verdict},
    notify::{self, Notice},
    reconcile::{self, Found, Gate, told},
    source::{Newest, SourceError},
    view::{PullView, RevisionView, StackState},
    worker::{Worker, stand_ins},
};
use crate::{pipeline::Options, secret::masked};

/// Statuses go to one commit, of a repository in a forge.
struct Desk {
    forge: Forge,
    repository: String,
}

fn desk(worker: &Worker) -> Option<Desk> {
    let forge = worker.shared.forge(worker.config.forge.as_ref()?)?;
    Some(Desk { forge, repository: worker.config.repository.clone()? })
}

fn trouble(worker: &Worker, what: &str, result: Result<(), ForgeError>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            worker.shared.metrics.feedback_failed();
            tracing::warn!(stack = worker.config.name, %error, "{what} could not be written");
            false
        }
    }
}

fn link(worker: &Worker, rest: &str) -> Option<String> {
    let settings = worker.shared.settings();
    let endpoint = settings.endpoint.as_ref().filter(|endpoint| endpoint.status_page)?;
    Some(format!("{}/stacks/{}{rest}", endpoint.url.as_ref()?, worker.config.name))
}

/// Sets a status, unless the commit has the very same.
async fn status(worker: &mut Worker, commit: &str, verdict: Verdict, description: &str) {
    if let Some(begun) = worker.begun.take() {
        // What became of it was told in the log.
        let _ = begun.await;
    }
    let Some(desk) = desk(worker) else { return };
    let name = worker.shared.settings().name.clone();
    let mark = (commit.to_owned(), format!("{verdict:?} {description}"));
    if worker.memory.status.as_ref() == Some(&mark) {
        return;
    }
    let status = Status {
        context: format!("{name}/{}", worker.config.name),
        verdict,
        description: description.to_owned(),
        link: link(worker, ""),
    };
    let result = desk.forge.set_status(&desk.repository, commit, &status).await;
    if trouble(worker, "a commit status", result) {
        worker.memory.status = Some(mark);
        worker.untold = None;
    } else {
        worker.untold = Some((commit.to_owned(), verdict, description.to_owned()));
    }
}

/// Sets the status that could not be set before.
pub(super) async fn tell_again(worker: &mut Worker) {
    if let Some((commit, verdict, description)) = worker.untold.take() {
        status(worker, &commit, verdict, &description).await;
        worker.save();
    }
}

/// Tells that a commit is being worked at.
///
/// Nobody waits for the forge: the first call to an API is more urgent.
pub(super) fn begun(worker: &mut Worker, revision: &RevisionView) {
    let Some(desk) = desk(worker) else { return };
    let status = Status {
        context: format!("{}/{}", worker.shared.settings().name, worker.config.name),
        verdict: Verdict::Pending,
        description: "Comparing with the APIs.".to_owned(),
        link: link(worker, ""),
    };
    worker.memory.status = None;
    let (commit, stack, metrics) = (revision.commit.clone(), worker.config.name.clone(), worker.shared.metrics.clone());
    worker.begun = Some(tokio::spawn(async move {
        if let Err(error) = desk.forge.set_status(&desk.repository, &commit, &status).await {
            metrics.feedback_failed();
            tracing::warn!(stack, %error, "a commit status could not be written");
        }
    }));
}

/// Tells what became of a commit, and whom it concerns where that is news.
pub(super) async fn ended(worker: &mut Worker, revision: &RevisionView, found: &Found) {
    let verdict = if found.state == StackState::Failed { Verdict::Failure } else { Verdict::Success };
    let counts = found.document.as_ref().map(told).unwrap_or_default();
    let description = match verdict {
        Verdict::Success if found.applied => counts,
        _ => found.message.clone(),
    };
    // A later commit that changed nothing of the stack is none of its business.
    let commit = worker.memory.concerned.clone().unwrap_or_else(|| revision.commit.clone());
    status(worker, &commit, verdict, &description).await;
    // As long as the source is lost, that is what people know; what is kept true meanwhile is no recovery.
    if !worker.is_without_source() {
        notices(worker, found.state, &found.message, &revision.commit);
    }
}

/// Tells that a commit cannot be read.
pub(super) async fn unreadable(worker: &mut Worker, revision: &RevisionView, error: &SourceError) {
    status(worker, &revision.commit, Verdict::Failure, &error.message).await;
}

/// Tells that the source cannot be read.
pub(super) fn source_lost(worker: &mut Worker, error: &SourceError) {
    notices(worker, StackState::Failed, &format!("The source cannot be read: {}", error.message), "");
    worker.save();
}

/// Tells that the source can be read again: the stack is as it was last found.
pub(super) fn source_found(worker: &mut Worker) {
    let (state, message) = (worker.memory.view.state, worker.memory.view.message.clone());
    if state != StackState::Unknown {
        let commit = worker.memory.view.revision.as_ref().map(|revision| revision.commit.clone());
        notices(worker, state, &message, &commit.unwrap_or_default());
        worker.save();
    }
}

/// Sends messages where the state is another than what was told last.
fn notices(worker: &mut Worker, state: StackState, message: &str, commit: &str) {
    let previous = worker.memory.notified.unwrap_or_default();
    worker.memory.notified = Some(state);
    let Some(event) = notify::event(previous, state) else { return };
    let settings = worker.shared.settings();
    let notice = Arc::new(Notice {
        event,
        agent: settings.name.clone(),
        stack: worker.config.name.clone(),
        state,
        previous,
        message: masked(message).into_owned(),
        commit: commit.to_owned(),
        link: link(worker, ""),
        time: jiff::Timestamp::now().to_string(),
    });
    for (name, whom) in &settings.notifications {
        if worker.config.notify.as_ref().is_none_or(|named| named.contains(name)) {
            let (notifier, whom, notice) = (worker.shared.notifier.clone(), whom.clone(), notice.clone());
            worker.shared.tasks.spawn(async move { notifier.tell(&whom, &notice).await });
        }
    }
}

/// Plans the pull requests that are open and were not planned as they are now.
pub(super) async fn pulls(worker: &mut Worker, target: &Newest, since: Instant) {
    let (Some(desk), Some(branch)) = (desk(worker), worker.branch(target)) else { return };
    let name = worker.config.forge.clone().unwrap_or_default();
    let open = match worker.shared.pulls.of(&name, &desk.forge, &desk.repository, since).await {
        Ok(open) => open,
        Err(error) => {
            trouble(worker, "the list of pull requests", Err(error));
            return;
        }
    };
    let numbers: Vec<u64> = open.iter().map(|pull| pull.number).collect();
    worker.memory.pulls.retain(|number, _| numbers.contains(number));
    worker.memory.commented.retain(|number| numbers.contains(number));
    let name = worker.config.name.clone();
    worker.shared.board.change(&name, |stack| stack.pulls.retain(|pull| numbers.contains(&pull.number)));
    for pull in open.iter() {
        let mark = (pull.head.clone(), target.tree.clone());
        let known = worker.memory.pulls.get(&pull.number);
        if pull.base != branch || known == Some(&mark) {
            continue;
        }
        if pull.fork && !worker.config.allow_forks {
            tracing::info!(stack = name, number = pull.number, "a pull request from a fork is not planned");
            worker.memory.pulls.insert(pull.number, mark);
            continue;
        }
        let planned_before = worker.memory.commented.contains(&pull.number);
        if one(worker, &desk, pull, target, planned_before).await {
            worker.memory.pulls.insert(pull.number, mark);
        }
        worker.save();
    }
}

/// The addresses of connections where others speak for some of them: a credential goes where its own connection leads.
fn addresses(own: &[(String, String)], stand_ins: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let url = |name: &str| own.iter().find(|(known, _)| known == name).map(|(_, url)| url.clone());
    let others = stand_ins.iter().filter_map(|(name, other)| Some((name.clone(), url(other)?)));
    own.iter().filter(|(name, _)| !stand_ins.contains_key(name)).cloned().chain(others).collect()
}

/// Plans one pull request, and tells whether that is done.
async fn one(worker: &mut Worker, desk: &Desk, pull: &Pull, target: &Newest, planned_before: bool) -> bool {
    let (feed, commit, reference) = (worker.feed.clone(), pull.head.clone(), pull.reference.clone());
    let target = target.clone();
    let untouched = target.tree.clone();
    let read = worker.read(move || {
        let head = feed.head(&commit, reference.as_deref())?;
        if head.tree == untouched && !planned_before {
            return Ok(None);
        }
        Ok::<_, SourceError>(Some((feed.snapshot(&head)?, feed.snapshot(&target)?, head)))
    });
    let context = format!("{}/{}/plan", worker.shared.settings().name, worker.config.name);
    let url = link(worker, &format!("/pulls/{}", pull.number));
    let status = |verdict: Verdict, description: String| Status {
        context: context.clone(),
        verdict,
        description,
        link: url.clone(),
    };
    let (head, settings) = match read.await {
        Some(Ok(None)) => return true,
        Some(Ok(Some((snapshot, settings, _)))) => (snapshot, settings),
        Some(Err(error)) => {
            tracing::warn!(stack = worker.config.name, number = pull.number, %error, "a pull request cannot be read");
            if error.passes {
                return false;
            }
            let ended = status(Verdict::Failure, error.message.clone());
            return trouble(
                worker,
                "a commit status",
                desk.forge.set_status(&desk.repository, &pull.head, &ended).await,
            );
        }
        None => return false,
    };
    let begun = status(Verdict::Pending, "Planning.".to_owned());
    trouble(worker, "a commit status", desk.forge.set_status(&desk.repository, &pull.head, &begun).await);
    let stand_ins = stand_ins(&worker.config);
    let own = worker.options(head);
    let connections = addresses(&own.connections, &stand_ins);
    let options = Options { settings: Some(settings), stand_ins, connections, keep_key: false, ..own };
    let found = {
        let Ok(_turn) = worker.shared.runs.acquire().await else { return false };
        reconcile::step(&options, &Gate::Show, &BTreeMap::new()).await
    };
    if found.interrupted {
        return false;
    }
    worker.shared.metrics.ran(&worker.config.name, &found);
    let verdict = if found.state == StackState::Failed { Verdict::Failure } else { Verdict::Success };
    let description = match (&found.document, verdict) {
        (Some(document), Verdict::Success) => told(document),
        _ => found.message.clone(),
    };
    let text = if let Some(document) = &found.document {
        let text = forge::Text {
            stack: &worker.config.name,
            values: worker.config.plan_values,
            link: url.as_deref(),
            kind: desk.forge.kind(),
        };
        forge::text(document, &found.notes, &text)
    } else {
        let message = masked(&found.message).replace('`', "'");
        format!(
            "{}\n## plumb plan for `{}`\n\n```text\n{message}\n```\n",
            forge::marker(&worker.config.name),
            worker.config.name
        )
    };
    if let Some(document) = found.document {
        let view = PullView { number: pull.number, head: pull.head.clone(), plan: Arc::new(document) };
        worker.shared.board.change(&worker.config.name, |stack| {
            stack.pulls.retain(|known| known.number != view.number);
            stack.pulls.push(view);
        });
    }
    let marker = forge::marker(&worker.config.name);
    worker.memory.commented.insert(pull.number);
    let comment = desk.forge.comment(&desk.repository, pull.number, &marker, &text).await;
    let told = trouble(worker, "the comment of a pull request", comment);
    let ended = status(verdict, description);
    trouble(worker, "a commit status", desk.forge.set_status(&desk.repository, &pull.head, &ended).await) && told
}
