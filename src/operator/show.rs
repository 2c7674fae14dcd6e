//! A namespace on the status page and in the measures: its resources, as their statuses tell of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{engine::Report, space::Worker, world::Resource};
use crate::agent::{
    reconcile::Found,
    view::{ObjectView, RunView, StackState, now},
};

impl Worker {
    /// Shows what a run over a namespace found.
    pub(super) fn show(&self, namespace: &str, report: &Report, took: Duration) {
        let mut objects: BTreeMap<String, ObjectView> = BTreeMap::new();
        for resource in self.world.space(namespace) {
            if let Some(address) = resource.key.address() {
                objects.insert(address.clone(), view(&resource, address));
            }
        }
        // Those of the graph come first, so that its edges lead to them.
        let (addresses, edges) = &report.graph;
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut list: Vec<ObjectView> = Vec::with_capacity(objects.len());
        for (index, address) in addresses.iter().enumerate() {
            if let Some(object) = objects.remove(address) {
                places.insert(index, list.len());
                list.push(object);
            }
        }
        list.extend(objects.into_values());
        let edges: Vec<(usize, usize)> =
            edges.iter().filter_map(|(from, to)| Some((*places.get(from)?, *places.get(to)?))).collect();
        let (state, message) = told(&list, report);
        let found = Found {
            state,
            class: report.failure.as_ref().map(|failure| failure.class),
            budgets: report.budgets.clone(),
            seconds: took.as_secs_f64(),
            ..Found::default()
        };
        self.metrics.ran(namespace, &found);
        let (ran, applied) = (now(), !report.actions.is_empty());
        self.board.change(namespace, |stack| {
            "enforce".clone_into(&mut stack.mode);
            stack.source = format!("custom resources of the namespace `{namespace}`");
            stack.state = state;
            stack.message.clone_from(&message);
            stack.last_run = Some(ran);
            if state == StackState::Synced {
                stack.last_success = Some(ran);
            }
            stack.budgets.extend(report.budgets.clone());
            if report.failure.is_none() {
                stack.objects = Arc::new(list);
                stack.edges = Arc::new(edges);
            }
            if applied || stack.runs.first().is_none_or(|last| last.message != message) {
                stack.remember(RunView {
                    run: format!("{:x}", jiff::Timestamp::now().as_millisecond()),
                    began: ran,
                    seconds: took.as_secs_f64(),
                    cause: "drift".to_owned(),
                    state,
                    applied,
                    commit: String::new(),
                    summary: crate::plan::Summary::default(),
                    message,
                });
            }
        });
    }
}

fn told(objects: &[ObjectView], report: &Report) -> (StackState, String) {
    if let Some(failure) = &report.failure {
        return (StackState::Failed, failure.to_string());
    }
    let count = |state: StackState| objects.iter().filter(|object| object.state == state).count();
    let failed = count(StackState::Failed);
    let state = if failed > 0 {
        StackState::Failed
    } else if count(StackState::Drifted) > 0 {
        StackState::Drifted
    } else if count(StackState::Waiting) > 0 {
        StackState::Waiting
    } else if count(StackState::Unknown) + count(StackState::Pending) > 0 {
        StackState::Pending
    } else {
        StackState::Synced
    };
    let ready = count(StackState::Synced);
    let message = match failed {
        0 if ready == objects.len() => "Everything is as declared.".to_owned(),
        0 => format!("{ready} of {} resources are as declared.", objects.len()),
        failed => format!("{failed} of {} resources failed.", objects.len()),
    };
    (state, message)
}

fn view(resource: &Resource, address: String) -> ObjectView {
    let status = &resource.status;
    let ready = status.condition("Ready");
    let state = match ready.map(|ready| (ready.status.as_str(), ready.reason.as_str())) {
        Some(("True", _)) if status.drift.as_deref() == Some("Yes") => StackState::Drifted,
        Some(("True", _)) => StackState::Synced,
        Some((_, "Waiting" | "DependencyNotReady" | "Deleting")) => StackState::Waiting,
        Some(("False", _)) => StackState::Failed,
        _ => StackState::Unknown,
    };
    let api = resource.key.group.split('.').next().unwrap_or_default();
    ObjectView {
        address,
        connection: status.connection.as_deref().unwrap_or_default().into(),
        kind: format!("{api}/{}", resource.key.kind).into(),
        state,
        action: None,
        id: status.external_id.clone(),
        since: None,
        why: ready.filter(|ready| ready.status != "True").map(|ready| ready.message.clone()),
    }
}
