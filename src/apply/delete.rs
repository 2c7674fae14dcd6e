//! Deletions, one or many at a time; what is gone already counts as deleted.

use std::sync::Arc;

use super::Shared;
use crate::{
    description::format::Verb,
    dialect::bulk_delete_body,
    http::{Call, HttpError, Processed, Repeat},
    live::{Remote, item_vars, own_headers},
    plan::{Operation, Step, bulk_of, bulk_route, delete_route},
    value::secret_hash,
};

use super::write::{Done, Trouble, method};

/// How often a deletion is sent that is refused because the object is in use.
const BUSY_TRIES: u32 = 3;

impl Shared<'_> {
    pub(super) async fn delete(
        &self,
        remote: &Remote,
        bulk: bool,
        steps: &[usize],
    ) -> Vec<(usize, Result<Done, Trouble>)> {
        if bulk && steps.iter().any(|index| self.plan.steps[*index].kind.apply.is_some()) {
            return self.delete_resources(remote, steps).await;
        }
        if bulk {
            return self.delete_bulk(remote, steps).await;
        }
        let mut out = Vec::new();
        for index in steps {
            out.push((*index, self.delete_one(remote, &self.plan.steps[*index]).await.map(|()| Done::Gone)));
        }
        out
    }

    pub(super) async fn delete_bulk(&self, remote: &Remote, steps: &[usize]) -> Vec<(usize, Result<Done, Trouble>)> {
        let Some(first) = steps.first().map(|index| &self.plan.steps[*index]) else { return Vec::new() };
        match self.delete_many(remote, first, steps).await {
            Ok(()) => steps.iter().map(|index| (*index, Ok(Done::Gone))).collect(),
            Err(trouble) if steps.len() == 1 => vec![(steps[0], Err(trouble))],
            Err(_) => {
                // One of them may be the culprit: each goes alone.
                let mut out = Vec::new();
                for index in steps {
                    let step = &self.plan.steps[*index];
                    out.push((*index, self.delete_many(remote, step, &[*index]).await.map(|()| Done::Gone)));
                }
                out
            }
        }
    }

    pub(super) async fn delete_many(&self, remote: &Remote, first: &Step, steps: &[usize]) -> Result<(), Trouble> {
        let Some(bulk) = bulk_of(&first.kind, Operation::Delete) else {
            return Err(Trouble::known("the API cannot delete it".into()));
        };
        let route = bulk_route(first, bulk, Operation::Delete, &|address| self.made.id(address));
        let ids: Vec<String> = steps.iter().filter_map(|index| self.plan.steps[*index].action.id.clone()).collect();
        let body = bulk_delete_body(&remote.api, &first.kind, &ids);
        let query = bulk.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        match self.send(remote, &route, query, Some(body), Repeat::Always, &[]).await {
            Ok(_) => Ok(()),
            Err(error) if gone(remote, &error) && ids.len() == 1 => Ok(()),
            Err(error) => {
                // A repeated bulk delete is refused for what is gone already: look.
                if ids.len() == 1 && self.is_gone(remote, &self.plan.steps[steps[0]]).await {
                    return Ok(());
                }
                Err(Trouble { unknown: error.processed() == Processed::Maybe, ..Trouble::known(error.to_string()) })
            }
        }
    }

    pub(super) async fn is_gone(&self, remote: &Remote, step: &Step) -> bool {
        if !step.kind.can(Verb::Get) || step.kind.spec.deferred_delete {
            return false;
        }
        let id = step.action.id.clone().unwrap_or_default();
        let fields = step.live.as_ref().map(|live| &live.fields);
        let vars = item_vars(&step.kind, &id, step.parent.as_deref(), fields);
        matches!(remote.get(&step.kind, &vars, &[]).await, Ok(None))
    }

    pub(super) async fn delete_one(&self, remote: &Remote, step: &Step) -> Result<(), Trouble> {
        if let Some(bulk) = bulk_of(&step.kind, Operation::Delete)
            && (bulk.only || step.kind.spec.lacks.contains(&Verb::Delete))
        {
            let ids: Vec<String> = step.action.id.clone().into_iter().collect();
            let route = bulk_route(step, bulk, Operation::Delete, &|address| self.made.id(address));
            let body = bulk_delete_body(&remote.api, &step.kind, &ids);
            return match self.send(remote, &route, Vec::new(), Some(body), Repeat::Always, &[]).await {
                Ok(_) => Ok(()),
                Err(error) if gone(remote, &error) => Ok(()),
                Err(error) => {
                    Err(Trouble { unknown: error.processed() == Processed::Maybe, ..Trouble::known(error.to_string()) })
                }
            };
        }
        let route = delete_route(&self.opened(step), &|address| self.made.id(address));
        let query = step.kind.spec.delete.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let spec = &step.kind.spec.delete;
        let query: Vec<(String, String)> = query;
        let mut tried = 1;
        let sent = loop {
            let mut call = Call::new(method(&route.method), route.path.clone()).repeat(Repeat::Always);
            call.query.clone_from(&query);
            call.headers = own_headers(&spec.headers);
            match self.send_call(remote, call, &spec.success).await {
                Ok(answer) if spec.poll => break remote.settled(&route.path, answer).await,
                Err(error)
                    if tried < BUSY_TRIES && error.status().is_some_and(|status| spec.busy.contains(&status)) =>
                {
                    tokio::time::sleep(remote.client.first_delay() * tried).await;
                    tried += 1;
                }
                other => break other,
            }
        };
        match sent {
            Ok(_) => Ok(()),
            Err(error) if gone(remote, &error) => Ok(()),
            Err(error) => {
                Err(Trouble { unknown: error.processed() == Processed::Maybe, ..Trouble::known(error.to_string()) })
            }
        }
    }
}

impl Shared<'_> {
    /// A step whose live object shows the secrets that its paths have in them, which no plan does.
    fn opened(&self, step: &Step) -> Step {
        let mut step = step.clone();
        let Some(live) = &step.live else { return step };
        let path = step.kind.spec.delete.path.as_deref().unwrap_or_default();
        let mut open = (**live).clone();
        for (name, value) in &mut open.fields {
            let text = secret_hash(value).filter(|_| path.contains(&format!("{{{name}}}"))).and_then(self.context.open);
            if let Some(text) = text {
                *value = text.into();
            }
        }
        step.live = Some(Arc::new(open));
        step
    }
}

pub(super) fn gone(remote: &Remote, error: &HttpError) -> bool {
    remote.is_absent(error)
}
