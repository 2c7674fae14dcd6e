//! The objects that entries hang on: found, or made, once for all entries of one parent and one other side.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    Shared,
    create::{CREATE_TRIES, pauses},
    write::Trouble,
};
use crate::{
    description::{Kind, format::Through},
    dialect::{self, odata},
    http::{Answer, Call, HttpError, Method, Processed, Repeat},
    live::{ListQuery, Remote},
    plan::Step,
    value::{Fields, Target, as_reference, set_path},
};

/// By connection, kind, parent's id and other side's id.
type Slot = (String, String, String, String);

/// The ids of such objects, as far as they are known.
#[derive(Default)]
pub(super) struct Joins(Mutex<HashMap<Slot, Arc<OnceCell<String>>>>);

impl Joins {
    fn cell(&self, slot: Slot) -> Arc<OnceCell<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(slot).or_default().clone()
    }
}

impl Shared<'_> {
    /// Finds or makes the object that a step's entry hangs on, where it hangs on one.
    pub(super) async fn join(&self, remote: &Remote, step: &Step) -> Result<(), Trouble> {
        let Some(through) = through(step) else { return Ok(()) };
        let unknown = || Trouble::known(format!("what its {} joins is not known", through.kind));
        let slot = self.slot(step, through).ok_or_else(unknown)?;
        let (parent, other) = (slot.2.clone(), slot.3.clone());
        let cell = self.joins.cell(slot);
        cell.get_or_try_init(|| async {
            match &step.join {
                Some(id) => Ok(id.clone()),
                None => self.make_join(remote, through, &parent, &other).await,
            }
        })
        .await
        .map(|_| ())
    }

    /// The id of the object that a step's entry hangs on.
    pub(super) fn joined(&self, step: &Step) -> Option<String> {
        let through = through(step)?;
        self.joins.cell(self.slot(step, through)?).get().cloned()
    }

    fn slot(&self, step: &Step, through: &Through) -> Option<Slot> {
        let other = self.made.resolve_value(step.desired.get(&through.field)?);
        let other = match as_reference(&other)? {
            (_, Target::Id(id) | Target::Field(_, id)) => id,
            (_, Target::New(_)) => return None,
        };
        Some((step.action.connection.clone(), through.kind.clone(), self.parent_id(step)?, other))
    }

    /// Makes such an object; the server may have made it meanwhile.
    async fn make_join(
        &self,
        remote: &Remote,
        through: &Through,
        parent: &str,
        other: &str,
    ) -> Result<String, Trouble> {
        let Some(kind) = remote.api.kind(&through.kind).cloned() else {
            return Err(Trouble::known(format!("`{}` is not described", through.kind)));
        };
        let wire = |field: &str| kind.field(field).map(|field| field.wire_name().to_owned()).unwrap_or_default();
        let sides = [(wire(&through.parent), parent), (wire(&through.field), other)];
        let mut body = Fields::new();
        for (wire, id) in &sides {
            set_path(&mut body, wire, id.parse::<u64>().map_or_else(|_| Value::from(*id), Value::from));
        }
        let call =
            Call::new(Method::POST, kind.spec.path.clone()).repeat(Repeat::IfNotProcessed).body(Value::Object(body));
        for attempt in 1..=CREATE_TRIES {
            let refused = match self.send_call(remote, call.clone(), &[]).await {
                Ok(answer) => match id_in(remote, &kind, &answer) {
                    Some(id) => return Ok(id),
                    None => answer.unusable("an answer without an id", "the new object"),
                },
                Err(error) => error,
            };
            let lost = refused.processed() == Processed::Maybe;
            let exists = match &refused {
                HttpError::Refused { answer, .. } => dialect::is_conflict(&remote.api, answer.status, &answer.body),
                _ => lost,
            };
            if exists && let Some(id) = find(remote, &kind, &sides).await {
                return Ok(id);
            }
            if !lost || self.stopped() || attempt == CREATE_TRIES {
                return Err(Trouble { unknown: lost, ..Trouble::known(refused.to_string()) });
            }
            // The server may still be at it: it is given time before absence counts.
            for pause in pauses(remote, &refused) {
                self.pause(pause).await;
                if let Some(id) = find(remote, &kind, &sides).await {
                    return Ok(id);
                }
            }
        }
        Err(Trouble::unknown(format!("whether its {} was made is not known", through.kind)))
    }
}

/// The id of a new object in the answer to its create.
fn id_in(remote: &Remote, kind: &Kind, answer: &Answer) -> Option<String> {
    let body = answer.json_if_any().ok().flatten();
    let row = body.and_then(|body| dialect::one(&remote.api, kind, &body).ok());
    row.and_then(|row| dialect::id_of(kind, &row)).or_else(|| dialect::located(kind, answer.header("location")?))
}

/// Looks for the object that joins two others.
async fn find(remote: &Remote, kind: &Kind, sides: &[(String, &str)]) -> Option<String> {
    let query = sides.iter().map(|(wire, id)| (wire.clone(), (*id).to_owned())).collect();
    let listing = remote.list(kind, &ListQuery { query, ..ListQuery::default() }).await.ok()?;
    let fits = |row: &&Value| {
        sides.iter().all(|(wire, id)| {
            dialect::attribute(kind, row, wire)
                .and_then(|value| odata::reference_id(&value))
                .is_none_or(|there| there == *id)
        })
    };
    listing.rows.iter().find(fits).and_then(|row| dialect::id_of(kind, row))
}

fn through(step: &Step) -> Option<&Through> {
    step.kind.inside()?.through.as_ref()
}
