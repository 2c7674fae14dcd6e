//! Actions → calls, written ahead → outcome.
//!
//! Before a call its intent is durable, after it its result is. A failure stops only what depends on it. An answer that
//! was lost is looked for before anything is sent again.

mod carry;
mod compare;
mod create;
mod delete;
mod encode;
mod existing;
mod find;

mod join;
mod keep;
mod novel;
mod past;
mod record;
mod rollout;
mod run;
mod update;
mod upsert;
mod whole;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::Value;

pub use self::{
    keep::RENEWAL,
    past::RunInfo,
    run::{Policies, apply},
};
use crate::{
    diagnostic::Diagnostic,
    dialect::ReadFile,
    http::CallMade,
    inventory::Inventory,
    live::Remote,
    plan::Outcome,
    value::{Fields, Target, as_reference, reference},
};

/// Tells the end of the right to write, as it stands now.
pub type Until = Arc<dyn Fn() -> Option<Instant> + Send + Sync>;

/// What carrying out a plan needs.
pub struct Context<'a> {
    /// Connections by name.
    pub remotes: &'a HashMap<String, Remote>,
    /// The inventory, locked.
    pub inventory: &'a Inventory,
    /// When what is live was read: later than some seconds after it, objects are looked at again before they are changed.
    /// At once where none is given, because a person read the plan meanwhile.
    pub observed: Option<std::time::Instant>,
    /// How many live objects were read, by API and kind.
    pub live: &'a HashMap<(String, String), usize>,
    /// The text of a secret, by hash.
    pub open: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Makes the placeholder of a secret.
    pub seal: &'a (dyn Fn(&str) -> Value + Sync),
    /// The content of a file, by path and expected SHA-256.
    pub read: &'a ReadFile,
    /// Set by Ctrl-C: what is in flight is finished and recorded, nothing new is started.
    pub stop: &'a AtomicBool,
    /// Told of each action when it starts (no outcome) and ends.
    pub tell: &'a (dyn Fn(&str, Option<Outcome>) + Sync),
    /// Told of each rollout that is waited for: address, and how far it is in words.
    pub rolling: &'a (dyn Fn(&str, &str) + Sync),
    /// The end of the right to write, as it stands now; besides that of the inventory's lease.
    pub until: Until,
    /// The run whose history is kept.
    pub run: Option<&'a RunInfo>,
    /// The keyed hash of a text, which is not kept.
    pub hash: &'a (dyn Fn(&str) -> String + Sync),
    /// Takes secrets out of a text.
    pub mask: &'a (dyn Fn(&str) -> String + Sync),
    /// The cluster whose Secrets take what an API shows once.
    pub cluster: &'a crate::secret::Cluster,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// Outcome and error of each step, and the id that its object has now.
    pub results: Vec<StepResult>,
    /// What there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// It was interrupted.
    pub interrupted: bool,
    /// What the API said where it refused for good.
    pub lasting: Vec<String>,
    /// The requests that were made for each step; a call for several is told of each.
    pub calls: HashMap<usize, Arc<[CallMade]>>,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// The outcome.
    pub outcome: Outcome,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// Id of the object.
    pub id: Option<String>,
}

/// What was made in this run.
#[derive(Debug, Default)]
struct Made {
    ids: Mutex<HashMap<String, String>>,
    fields: Mutex<BTreeMap<String, Fields>>,
}

impl Made {
    fn id(&self, address: &str) -> Option<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    fn put(&self, address: &str, id: &str, fields: Fields) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), id.to_owned());
        self.fields.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), fields);
    }

    fn fields(&self, address: &str) -> Option<Fields> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    /// Fields with references to what was made in this run as references to live objects.
    fn resolve(&self, fields: &Fields) -> Fields {
        fields.iter().map(|(name, value)| (name.clone(), self.resolve_value(value))).collect()
    }

    fn resolve_value(&self, value: &Value) -> Value {
        if let Some((kind, Target::New(address))) = as_reference(value)
            && let Some(id) = self.id(&address)
        {
            return reference(kind, &Target::Id(id));
        }
        match value {
            Value::Object(map) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), self.resolve_value(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.resolve_value(item)).collect()),
            other => other.clone(),
        }
    }
}

/// State that the tasks of one apply share.
struct Shared<'a> {
    context: &'a Context<'a>,
    plan: &'a crate::plan::Plan,
    policies: &'a Policies,
    made: Made,
    diagnostics: Mutex<Vec<Diagnostic>>,
    /// What the API said where it refused for good.
    lasting: Mutex<Vec<String>>,
    /// The requests that were made for each step.
    calls: Mutex<HashMap<usize, Arc<[CallMade]>>>,
    /// Intents of earlier runs, by address: closed when their object's step ends.
    old_intents: HashMap<String, Vec<String>>,
    /// Steps that are sent along in the create of their parent, by its address.
    embedded_in: HashMap<String, Vec<usize>>,
    /// Objects that entries hang on, found or made in this run.
    joins: join::Joins,
    /// Steps of entries, by the parent's id or address.
    entries_of: HashMap<String, Vec<usize>>,
    /// What answers said of objects with rollouts, by connection, kind and id: moved along with what they use.
    moved: Mutex<HashMap<(String, String, String), Value>>,
    /// What moves with each change of an object, as answers to this run's writes have it.
    revisions: Mutex<HashMap<upsert::Key, String>>,
    /// Objects that the API says a write of this run did not change.
    still: Mutex<std::collections::HashSet<upsert::Key>>,
    /// Objects whose rollouts this plan starts.
    rolled_out: std::collections::HashSet<upsert::Key>,
    /// Owned objects of kinds with rollouts, by what they are.
    owned: HashMap<upsert::Key, String>,
    /// Objects that a replacement left, to be deleted once nothing uses them: step and id.
    leftovers: Mutex<Vec<(usize, String)>>,
    run: String,
    /// Addresses of all steps.
    by_address: std::collections::HashSet<&'a str>,
    /// Collections that were read again before their objects were changed.
    looks: compare::Looks,
    /// Until when the intents of calls under way hold.
    fresh: keep::Fresh,
    /// Addresses of the steps.
    addresses: std::sync::OnceLock<past::Addresses>,
    /// How many entries vanished with their parents.
    vanished: std::sync::atomic::AtomicUsize,
    /// Objects that this run made, by connection, kind and id, and for which address.
    new: Mutex<HashMap<(String, String, String), String>>,
}

impl Shared<'_> {
    /// The instant after which no call may be under way.
    fn until(&self) -> Option<Instant> {
        earlier(self.context.inventory.safe_until(), (self.context.until)())
    }

    fn note_calls(&self, steps: &[usize], calls: Vec<CallMade>) {
        if calls.is_empty() {
            return;
        }
        let calls: Arc<[CallMade]> = calls.into();
        let mut all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(steps.iter().map(|step| (*step, calls.clone())));
    }

    fn stopped(&self) -> bool {
        self.context.stop.load(Ordering::SeqCst)
    }

    fn tell(&self, diagnostic: Diagnostic) {
        self.diagnostics.lock().unwrap_or_else(PoisonError::into_inner).push(diagnostic);
    }

    fn remote(&self, connection: &str) -> Option<&Remote> {
        self.context.remotes.get(connection)
    }
}

/// The earlier of two instants that may be given.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Now, RFC 3339, in whole seconds.
pub fn now() -> String {
    format_instant(jiff::Timestamp::now())
}

fn format_instant(instant: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(instant.as_second()).unwrap_or(instant).to_string()
}
