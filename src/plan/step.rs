//! A step: an action with everything that carrying it out needs.

use std::sync::Arc;

use serde_json::Value;

use super::{Action, ActionKind};
use crate::{
    address::unescape,
    description::{Kind, Specs},
    inventory::Record,
    live::LiveObject,
    value::Fields,
};

/// What a step does by calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// One create.
    Create,
    /// One update.
    Update,
    /// A delete and a create.
    Replace,
    /// One delete.
    Delete,
    /// Nothing but the record.
    Record,
    /// The start of a rollout, and nothing else.
    Rollout,
    /// The deletion of an object that an earlier run replaced.
    Leftover,
    /// Creates and updates of whole resources, whatever their kind: of batches only.
    Apply,
}

/// A rollout that follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// Its end is waited for, so many seconds at most.
    pub wait: Option<u64>,
    /// It is under way: nothing is started.
    pub begun: bool,
}

/// One action with everything that carrying it out needs.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one step")]
pub struct Step {
    /// What people see of it.
    pub action: Action,
    /// What it does by calls.
    pub operation: Operation,
    /// Who has to do what before it can be done: nothing is sent before.
    pub waits: Option<String>,
    /// Index of the declared object.
    pub object: Option<usize>,
    /// Kind of the object; of an entry, the entry's own.
    pub kind: Arc<Kind>,
    /// Types of the fields, where a hook refined them.
    pub specs: Option<Arc<Specs>>,
    /// Declared fields, canonical.
    pub desired: Fields,
    /// Top-level fields that an update sends.
    pub send: Vec<String>,
    /// The live object.
    pub live: Option<Arc<LiveObject>>,
    /// The record that it had, and under which address.
    pub record: Option<(String, Record)>,
    /// Id of the live parent.
    pub parent: Option<String>,
    /// Address of the parent that this run makes.
    pub parent_new: Option<String>,
    /// Entries of keyed lists that are no longer declared are removed.
    pub prune: bool,
    /// The update archives the object.
    pub archive: bool,
    /// Sent along in the create of its parent.
    pub embedded: bool,
    /// Live ids that have the same key and are not it.
    pub seen: Vec<String>,
    /// Id of the object that it hangs on, where there is one already.
    pub join: Option<String>,
    /// The create makes the object that it hangs on first; others that hang on the same one wait for that.
    pub makes_join: bool,
    /// Indices of the steps that must come before.
    pub after: Vec<usize>,
    /// Longest way through `after`.
    pub level: usize,
    /// The create was begun by an earlier run: what is found was made by plumb.
    pub ours: bool,
    /// The rollout that follows it.
    pub rollout: Option<Follow>,
    /// What the manifest says where `desired` has what is live, because drift there is ignored: paths and values.
    pub declared: Vec<(String, Value)>,
}

impl Step {
    /// What the manifest says, to be recorded as applied.
    pub fn as_declared(&self) -> Fields {
        let mut out = self.desired.clone();
        lay(&mut out, &self.declared);
        out
    }

    /// The types of the fields.
    pub fn specs(&self) -> &Specs {
        self.specs.as_deref().unwrap_or(&self.kind.spec.fields)
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.action.address
    }

    /// Whether a call is made for it.
    pub fn calls(&self) -> bool {
        self.operation != Operation::Record
    }
}

/// Puts values at JSON pointers below `spec`, null for none, and gives those that were there.
pub(super) fn lay(fields: &mut Fields, values: &[(String, Value)]) -> Vec<(String, Value)> {
    let lay = |(path, value): &(String, Value)| {
        let (above, last) = path.rsplit_once('/')?;
        let members = match above.strip_prefix('/') {
            None => Some(&mut *fields),
            Some(inner) => {
                let (name, below) = inner.split_at(inner.find('/').unwrap_or(inner.len()));
                match fields.get_mut(&unescape(name))?.pointer_mut(below)? {
                    Value::Object(members) => Some(members),
                    Value::Array(items) => {
                        let slot = items.get_mut(last.parse::<usize>().ok()?)?;
                        return Some((path.clone(), std::mem::replace(slot, value.clone())));
                    }
                    _ => None,
                }
            }
        }?;
        let name = unescape(last);
        let before = if value.is_null() { members.shift_remove(&name) } else { members.insert(name, value.clone()) };
        Some((path.clone(), before.unwrap_or(Value::Null)))
    };
    values.iter().filter_map(lay).collect()
}

/// What an action does by calls, where it has changes or not.
pub(super) fn operation(action: ActionKind, changes: bool) -> Operation {
    match action {
        ActionKind::Create => Operation::Create,
        ActionKind::Update => Operation::Update,
        ActionKind::Adopt if changes => Operation::Update,
        ActionKind::Replace => Operation::Replace,
        ActionKind::Delete => Operation::Delete,
        ActionKind::Adopt | ActionKind::Forget => Operation::Record,
    }
}

/// Steps that share one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Indices of the steps, in order.
    pub steps: Vec<usize>,
    /// What they do.
    pub operation: Operation,
    /// The call takes many objects.
    pub bulk: bool,
    /// Level of the steps.
    pub level: usize,
}
