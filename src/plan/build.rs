//! Declared objects and what is live → steps.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Action, ActionKind, Change, Reason, Summary,
    align::aligned,
    effects::{self, Parents},
    lockout,
    owned::{not_replaced, owned_by_another, owners},
    removed::{self, Going, Removed, list_name},
    rollout::unstored_in,
    sequence::pending,
    show::Shown,
    step::{Operation, Step, lay, operation},
    unique,
    whole::unshown_notes,
};
use crate::{
    description::{
        Specs,
        format::{Immutable, Verb},
    },
    diagnostic::{Diagnostic, Sources},
    diff::{ComposeError, Difference, Differences, Sides, diff},
    graph::{Graph, Meaning},
    inventory::{Intent, IntentVerb, Record, State},
    live::{Found, LiveObject, Observed, Standing, ignored_paths, is_another, is_as_sent, may_be_of, record_of},
    manifest::{Manifest, Manifests, MaxDeletes, Reconcile, locate},
    value::{Fields, Target, as_reference, has_unresolved, reference, without_places},
};

/// What a plan is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Bring what is live to what is declared.
    #[default]
    Plan,
    /// Only what changed behind plumb's back.
    Drift,
    /// Delete what the stack owns.
    Destroy,
}

/// Everything that a plan is made from.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the run on its own")]
pub struct Inputs<'a> {
    /// The manifests.
    pub manifests: &'a Manifests,
    /// Their texts.
    pub sources: &'a Sources,
    /// Their references.
    pub graph: &'a Graph,
    /// The inventory.
    pub state: &'a State,
    /// What is live.
    pub observed: &'a Observed,
    /// What the plan is for.
    pub mode: Mode,
    /// What is owned and not declared is deleted.
    pub prune: bool,
    /// Deletion limit that the user set.
    pub max_deletes: Option<MaxDeletes>,
    /// Declared objects that are looked at; all unless given.
    pub only: Option<&'a HashSet<usize>>,
    /// Roots of this run.
    pub roots: &'a [String],
    /// The inventory was given a place of its own, where other stacks may keep theirs.
    pub shared_inventory: bool,
    /// The source had no manifests at all.
    pub empty_source: bool,
    /// The key of secrets' hashes is kept, so that they mean something to a later run.
    pub hashes_kept: bool,
    /// Objects of which nothing may be written, by index, with the reason.
    pub barred: &'a HashMap<usize, Diagnostic>,
    /// Addresses whose resources go, in a cluster: of what is not declared, nothing else is deleted.
    pub going: Option<&'a BTreeMap<String, Going>>,
    /// In a cluster, entries that are not declared any more are deleted.
    pub prune_entries: bool,
    /// What is declared is what was live once: what came into its lists since then goes.
    pub restores: bool,
    /// Makes the placeholder of a secret's text.
    pub seal: &'a (dyn Fn(&str) -> Value + Sync),
}

/// What an apply would do to an object that is only observed.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its address.
    pub address: String,
    /// Whether there is a live object.
    pub there: bool,
    /// Differences, field by field.
    pub changes: Vec<Change>,
}

/// The steps of a plan, not in order yet.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Steps.
    pub steps: Vec<Step>,
    /// Objects without a change.
    pub unchanged: usize,
    /// Records that change without a call: (new address, record, old address).
    pub moved: Vec<(String, Record, String)>,
    /// Owned, not declared, and left: address and why.
    pub undeclared: Vec<(String, String)>,
    /// What there is to tell.
    pub diagnostics: Vec<Diagnostic>,
    /// Tombstones whose object is gone.
    pub unbury: Vec<String>,
    /// Addresses of owned objects that other manifests mean.
    pub meant: HashSet<String>,
    /// Addresses of entries that are declared by another of their keys now.
    pub taken: HashSet<String>,
    /// What was only observed and is not as declared.
    pub watched: Vec<Watched>,
}

/// Why an object that is there is made anew without a difference.
const LOST: &str = "An earlier run made it and lost what its answer had once: only another create shows that again.";

/// Makes the steps.
pub(super) fn draft(inputs: &Inputs<'_>) -> Draft {
    let mut builder = Builder {
        inputs,
        shown: Shown::new(inputs.manifests, inputs.observed),
        out: Draft::default(),
        step_of: HashMap::new(),
        replaced: HashMap::new(),
        live_owner: HashMap::new(),
        owners: owners(inputs.state),
        buried: inputs
            .state
            .tombstones
            .values()
            .map(|stone| (stone.connection.as_str(), stone.kind.as_str(), stone.id.as_str()))
            .collect(),
        begun: HashMap::new(),
        going_down: HashSet::new(),
        moving: HashMap::new(),
    };
    for intent in inputs.state.intents.values().filter(|intent| intent.verb == IntentVerb::Create) {
        builder.begun.entry(&intent.address).or_default().push(intent);
    }
    if inputs.mode != Mode::Destroy {
        for index in &inputs.graph.order {
            builder.declared(*index);
        }
        builder.drop_dangling();
        builder.order_declared();
    }
    let Builder { mut out, shown, step_of, .. } = builder;
    let parents = Parents { manifests: inputs.manifests, observed: inputs.observed, step_of: &step_of };
    effects::join(&mut out, &parents);
    removed::draft(inputs, &shown, &step_of, &mut Removed { out: &mut out });
    unique::taken(inputs, &mut out);
    lockout::order(&mut out.steps);
    for (address, tombstone) in &inputs.state.tombstones {
        let connection: Arc<str> = tombstone.connection.as_str().into();
        let listed = inputs.observed.by_id(&connection, &tombstone.kind, &tombstone.id).is_some();
        if !listed && inputs.observed.complete.contains(&(connection, tombstone.kind.clone())) {
            out.unbury.push(address.clone());
        }
    }
    out
}

pub(super) struct Builder<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) shown: Shown,
    pub(super) out: Draft,
    pub(super) step_of: HashMap<usize, usize>,
    /// Objects that are replaced, by kind and old id.
    pub(super) replaced: HashMap<(String, String), String>,
    pub(super) live_owner: HashMap<(String, String, String, Option<String>), usize>,
    pub(super) owners: HashMap<(String, String, String, Option<String>), String>,
    /// Objects whose deletion the API carries out later: connection, kind, id.
    buried: HashSet<(&'a str, &'a str, &'a str)>,
    /// Declared objects that are being deleted by the API still, and those that are below one.
    going_down: HashSet<usize>,
    /// Creates that an earlier run began, by address.
    begun: HashMap<&'a str, Vec<&'a Intent>>,
    /// Objects that get a new version, each with those whose steps cause it.
    pub(super) moving: HashMap<usize, BTreeSet<usize>>,
}

impl Builder<'_> {
    fn about(&self, object: &Manifest, pointer: &str, diagnostic: Diagnostic) -> Diagnostic {
        diagnostic
            .at(locate(self.inputs.sources, object.document, &format!("{}{pointer}", object.pointer)))
            .about(&object.address)
    }

    pub(super) fn tell(&mut self, object: &Manifest, pointer: &str, diagnostic: Diagnostic) {
        let told = self.about(object, pointer, diagnostic);
        self.out.diagnostics.push(told);
    }

    fn declared(&mut self, index: usize) {
        let inputs = self.inputs;
        let object = &inputs.manifests.objects[index];
        if inputs.only.is_some_and(|only| !only.contains(&index)) {
            return;
        }
        let Some(Standing::Known(known)) = inputs.observed.standing.get(index) else { return };
        let reconcile = object.annotations.reconcile;
        if reconcile != Reconcile::Enforce {
            self.tell_left_alone(index, object);
        }
        if reconcile == Reconcile::Disabled {
            self.out.unchanged += 1;
            return;
        }
        let uses = inputs.graph.uses.get(index).into_iter().flatten();
        let targets = uses.filter_map(|found| match found.target {
            Meaning::Declared(target) => Some(target),
            Meaning::Live(_) => None,
        });
        if let Some(grave) = targets.chain(object.parent).find(|target| self.going_down.contains(target)) {
            self.going_down.insert(index);
            let grave = &inputs.manifests.objects[grave].address;
            let told = format!("`{}` waits: `{grave}` is being deleted by the API and still there.", object.address);
            self.tell(object, "", Diagnostic::warning("PL0509", told));
            return;
        }
        let parent_step =
            object.parent.and_then(|parent| self.step_of.get(&parent)).and_then(|step| self.out.steps.get(*step));
        let parent_replaced = parent_step.is_some_and(|step| step.operation == Operation::Replace);
        let destroyed = effects::is_destroyed(parent_step, object);
        let live = known.filter(|_| !parent_replaced).and_then(|live| inputs.observed.objects.get(live));
        let record =
            record_of(inputs.state, object, inputs.manifests).map(|(address, record)| (address, record.clone()));
        // A secret that could not be had was told already: nothing can be said of the object.
        if inputs.observed.canonical[index].values().any(has_unresolved) {
            return;
        }
        let specs = inputs.observed.specs(index, &object.kind);
        let desired = self.with_replaced(&inputs.observed.canonical[index]);
        match live {
            Some(live) if destroyed => self.recreated(index, object, specs, desired, live, record),
            None => self.absent(index, object, specs, desired, record, parent_replaced),
            Some(live) => self.present(index, object, specs, desired, live, record),
        }
    }

    /// References to objects that are replaced lead to the new ones.
    fn with_replaced(&self, fields: &Fields) -> Fields {
        if self.replaced.is_empty() {
            return fields.clone();
        }
        fields.iter().map(|(name, value)| (name.clone(), self.replace_in(value))).collect()
    }

    fn replace_in(&self, value: &Value) -> Value {
        if let Some((kind, Target::Id(id))) = as_reference(value)
            && let Some(address) = self.replaced.get(&(kind.to_owned(), id))
        {
            return reference(kind, &Target::New(address.clone()));
        }
        match value {
            Value::Object(map) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), self.replace_in(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.replace_in(item)).collect()),
            other => other.clone(),
        }
    }

    fn absent(
        &mut self,
        index: usize,
        object: &Manifest,
        specs: &Specs,
        desired: Fields,
        record: Option<(String, Record)>,
        parent_replaced: bool,
    ) {
        let inputs = self.inputs;
        let kind = &object.kind;
        if object.annotations.reconcile == Reconcile::Observe {
            let told =
                Diagnostic::warning("PL0512", format!("`{}` is not there, and is only observed.", object.address));
            self.tell(object, "", told);
            self.out.unchanged += 1;
            let address = object.address.to_string();
            self.out.watched.push(Watched { address, there: false, changes: Vec::new() });
            return;
        }
        if !kind.can(Verb::Create)
            && let Some(through) = self.appears(index, object)
        {
            let differences =
                diff(Sides { specs, desired: &desired, applied: None, live: None, ignore_drift: &[], prune: false });
            let mut step =
                self.step(index, object, ActionKind::Adopt, Reason::Appears, &differences, desired, None, record);
            step.operation = Operation::Update;
            step.action.notes.push(format!("It is looked for once `{through}` is made, and has to be there then."));
            self.push(index, step);
            return;
        }
        if !kind.can(Verb::Create) {
            let told =
                Diagnostic::error("PL0510", format!("There is no such {} and the API cannot create one.", kind.name))
                    .hint("Check its key, or create it by hand and name it here.");
            self.tell(object, "", told);
            return;
        }
        if let Some((field, child)) = self.lacks_entry(index, object) {
            let told = Diagnostic::error("PL0501", format!("The API makes no {} without a {child}.", kind.name))
                .hint(format!("Declare at least one under `{field}`."));
            self.tell(object, "", told);
            return;
        }
        if !object.missing.is_empty() {
            let names: Vec<String> = object.missing.iter().map(|name| format!("`{name}`")).collect();
            let told = Diagnostic::error(
                "PL0501",
                format!("To create this {}, the API needs {}.", kind.name, names.join(", ")),
            )
            .hint("Declare it: it may be left out only where the object exists already.");
            self.tell(object, "", told);
            return;
        }
        let differences =
            diff(Sides { specs, desired: &desired, applied: None, live: None, ignore_drift: &[], prune: false });
        let gone = record.is_some() && !parent_replaced;
        let reason = if parent_replaced {
            Reason::Dependency
        } else if gone {
            Reason::Drift
        } else {
            Reason::New
        };
        let mut step = self.step(index, object, ActionKind::Create, reason, &differences, desired, None, record);
        step.action.drifted = gone;
        step.action.id = None;
        if let Some(parent) = object.parent
            && let Some(at) = self.step_of.get(&parent)
            && let Some(parent_step) = self.out.steps.get(*at)
            && matches!(parent_step.operation, Operation::Create | Operation::Replace)
        {
            step.parent_new = Some(inputs.manifests.objects[parent].address.to_string());
            step.parent = None;
            let embeds = kind.inside().is_some_and(|inside| inside.embed.is_some());
            // What it refers to may be made later, even by this very parent: it then follows on its own.
            step.embedded = embeds && parent_step.operation == Operation::Create && pending(&step.desired).is_empty();
        }
        if let Some(why) = inputs.observed.waiting.get(&index) {
            step.operation = Operation::Record;
            step.embedded = false;
            step.action.notes.push(why.clone());
            step.waits = Some(why.clone());
        }
        self.push(index, step);
    }

    #[expect(clippy::too_many_lines, reason = "one case after another, each a rule of its own")]
    fn present(
        &mut self,
        index: usize,
        object: &Manifest,
        specs: &Specs,
        desired: Fields,
        live: &LiveObject,
        mut record: Option<(String, Record)>,
    ) {
        let inputs = self.inputs;
        let kind = &object.kind;
        if self.buried.contains(&(&*object.connection, kind.name.as_str(), live.id.as_str())) {
            self.going_down.insert(index);
            let told = Diagnostic::warning(
                "PL0509",
                format!(
                    "{} `{}` is being deleted by the API and still listed: nothing is made in its place until it is gone.",
                    kind.name, live.id
                ),
            );
            self.tell(object, "", told);
            return;
        }
        let slot = (
            object.connection.clone(),
            list_name(&object.address.to_string()),
            live.id.clone(),
            live.parent.clone().filter(|_| object.parent.is_some()),
        );
        if let Some(other) = self.live_owner.insert(slot.clone(), index) {
            let other = &inputs.manifests.objects[other];
            let told = Diagnostic::error(
                "PL0508",
                format!(
                    "`{}` and this manifest both mean the live {} `{}`: one live object has one owner.",
                    other.address, kind.name, live.id
                ),
            )
            .see(locate(inputs.sources, other.document, &other.pointer), "the other one");
            self.tell(object, "", told);
            return;
        }
        if let Some(owner) = self.owners.get(&slot).cloned()
            && record.as_ref().is_none_or(|(address, _)| *address != owner)
        {
            let Some(former) = self.renamed_entry(object, &owner).filter(|_| record.is_none()) else {
                let told = owned_by_another(object, &live.id, &owner);
                self.out.meant.insert(owner);
                self.tell(object, "", told);
                return;
            };
            self.out.taken.insert(owner.clone());
            record = Some((owner, former));
        }
        let another = record.as_ref().is_some_and(|(_, record)| is_another(live, record));
        let owned = !another
            && (inputs.observed.found[index] == Some(Found::Owned)
                || record.as_ref().is_some_and(|(_, record)| record.id == live.id));
        let begun = self.begun.get(&*object.address.to_string());
        let intent = begun.into_iter().flatten().copied().find(|intent| may_be_of(intent, live));
        let intended = intent.is_some();
        if !owned && !intended && !self.may_adopt(index, object, live) {
            return;
        }
        let desired = self.without_undefined(object, specs, desired, live);
        let mut fields = aligned(specs, &desired, &live.fields, inputs.seal);
        self.show_undefined(specs, &desired, live, &mut fields);
        // The read of one object shows all that it has, where lists are known to show less.
        if live.detailed && kind.spec.list.partial {
            for name in desired.keys() {
                let shown = kind.field(name).is_some_and(|field| !field.write_only);
                if shown && !fields.contains_key(name) {
                    fields.insert(name.clone(), Value::Null);
                }
            }
        }
        // What an interrupted run sent is what was applied, if it made the object.
        let sent = intent.filter(|_| !owned).map(|intent| &intent.sent);
        let applied = record.as_ref().filter(|_| owned).map(|(_, record)| &record.applied).or(sent);
        let mut differences = diff(Sides {
            specs,
            desired: &desired,
            applied,
            live: Some(&fields),
            ignore_drift: &ignored_paths(object, specs),
            prune: inputs.prune || inputs.restores,
        });
        for path in std::mem::take(&mut differences.released) {
            let told = Diagnostic::note(
                "PL0505",
                format!(
                    "`{path}` of `{}` is no longer declared: it stays as it is and is no longer managed.",
                    object.address
                ),
            );
            self.tell(object, "", told);
        }
        if object.annotations.reconcile == Reconcile::Observe {
            for change in &differences.changes {
                let told = Diagnostic::warning(
                    "PL0512",
                    format!("`{}` of `{}` is not as declared, and is only observed.", change.path, object.address),
                );
                self.tell(object, &change.path, told);
            }
            self.out.unchanged += 1;
            if !differences.changes.is_empty() {
                let changes = differences.changes.iter().map(|change| self.change(change)).collect();
                self.out.watched.push(Watched { address: object.address.to_string(), there: true, changes });
            }
            return;
        }
        if !intended {
            let adopted = owned.then(|| record.as_ref().is_some_and(|(_, record)| record.adopted));
            self.keep_files(object, specs, &mut differences, adopted);
        }
        if self.refused(object, live, &differences.changes) {
            return;
        }
        self.unallowed(object, specs, &differences.changes);
        // What the answer to a create has once is lost with the answer: only another create shows it again.
        let lost = intended && desired.values().any(|value| crate::value::sink(value).is_some());
        let replaced = lost
            || differences.changes.iter().any(|change| change.immutable == Some(Immutable::Replace))
            || (!differences.changes.is_empty() && !kind.can(Verb::Update))
            || (!differences.changes.is_empty()
                && kind.spec.update.unless.iter().any(|unless| crate::diff::holds(specs, unless, &desired, &fields)));
        let changed = lost || !differences.changes.is_empty();
        if replaced && !(kind.can(Verb::Delete) && kind.can(Verb::Create)) {
            let told = Diagnostic::error(
                "PL0513",
                format!("The API cannot change this {} in place, and cannot delete it to make it anew.", kind.name),
            );
            self.tell(object, &first_path(&differences), told);
            return;
        }
        if !owned {
            for path in std::mem::take(&mut differences.unknown) {
                let told = Diagnostic::note(
                    "PL0519",
                    format!(
                        "The API neither shows `{path}` of `{}` nor changes it in place: it is taken to be as declared.",
                        object.address
                    ),
                );
                self.tell(object, &path, told);
            }
            let action = if replaced { ActionKind::Replace } else { ActionKind::Adopt };
            // Only what an unfinished create of this stack made is deleted.
            if replaced && !intent.is_some_and(|intent| is_as_sent(intent, live)) {
                let told = not_replaced(kind, live, intended);
                self.tell(object, &first_path(&differences), told);
                return;
            }
            // What was owned is gone, and somebody made another in its place.
            let remade = another || record.as_ref().is_some_and(|(_, record)| record.id != live.id);
            let remade = remade && !intended;
            let reason = if remade { Reason::Drift } else { Reason::New };
            let mut step =
                self.step(index, object, action, reason, &differences, desired, Some((live, fields)), record);
            step.ours = intended;
            step.action.drifted |= reason == Reason::Drift;
            step.action.notes.extend(lost.then(|| LOST.to_owned()));
            if !changed {
                self.roll_out_adopted(index, &mut step, intended);
            }
            self.push(index, step);
            return;
        }
        if !changed && self.pends(kind, &fields) {
            let fields = (live, fields);
            let step =
                self.step(index, object, ActionKind::Create, Reason::New, &differences, desired, Some(fields), record);
            self.push(index, Step { operation: Operation::Record, ..step });
            return;
        }
        if !changed && self.delete_leftover(index, object, live, &desired, record.as_ref()) {
            return;
        }
        if !changed && self.roll_out(index, object, live, &desired, record.as_ref()) {
            return;
        }
        if !changed {
            self.out.unchanged += 1;
            if let Some((address, record)) = record {
                self.note_record(object, address, &record, &desired);
            }
            return;
        }
        let protected = object.annotations.protect || record.as_ref().is_some_and(|(_, record)| record.protect);
        if replaced && (protected || live.never_delete) {
            let told =
                Diagnostic::refusal("PL0601", format!("`{}` would be replaced, and is protected.", object.address))
                    .hint("Undo the change, or take `plumb.dev/protect` away and apply that first.");
            self.tell(object, &first_path(&differences), told);
        } else if replaced && !lost {
            self.keep_from_replacing(object, record.as_ref().map(|(_, record)| record), &first_path(&differences));
        }
        let dependency = differences.changes.iter().all(|change| only_dependency(change, &desired, inputs, index));
        let reason = if dependency {
            Reason::Dependency
        } else if differences.changes.iter().all(|change| change.drift && change.unchanged_manifest) {
            Reason::Drift
        } else {
            Reason::Changed
        };
        let action = if replaced { ActionKind::Replace } else { ActionKind::Update };
        if replaced {
            self.replaced.insert((kind.name.clone(), live.id.clone()), object.address.to_string());
        }
        let mut step = self.step(index, object, action, reason, &differences, desired, Some((live, fields)), record);
        step.action.notes.extend(lost.then(|| LOST.to_owned()));
        self.push(index, step);
    }

    #[expect(clippy::too_many_arguments, reason = "what a step consists of")]
    pub(super) fn step(
        &self,
        index: usize,
        object: &Manifest,
        action: ActionKind,
        reason: Reason,
        differences: &Differences,
        desired: Fields,
        live: Option<(&LiveObject, Fields)>,
        record: Option<(String, Record)>,
    ) -> Step {
        let inputs = self.inputs;
        let changes: Vec<Change> = differences.changes.iter().map(|change| self.change(change)).collect();
        let send: BTreeSet<String> = differences.changes.iter().map(|change| change.field.clone()).collect();
        let send: Vec<String> = desired
            .keys()
            .filter(|name| send.contains(*name))
            .cloned()
            .chain(send.iter().filter(|name| !desired.contains_key(*name)).cloned())
            .collect();
        let mut notes = Vec::new();
        if action == ActionKind::Replace
            && let Some(loses) = &object.kind.spec.delete_loses
        {
            notes.push(format!("Deleting it destroys {loses}."));
        }
        let id = live.as_ref().map(|(live, _)| live.id.clone());
        let operation = operation(action, !differences.changes.is_empty());
        let mut desired = desired;
        // What is sent along with a change goes back as it is where its drift is ignored.
        let left = if operation == Operation::Update { &differences.left[..] } else { &[] };
        let declared = lay(&mut desired, left);
        Step {
            action: Action {
                action,
                address: object.address.to_string(),
                connection: object.connection.clone(),
                api: object.address.api.to_string(),
                kind: object.address.kind.to_string(),
                name: object.address.name.to_string(),
                id,
                reason,
                depends_on: Vec::new(),
                drifted: differences.changes.iter().any(|change| change.drift),
                changes,
                requests: Vec::new(),
                notes,
                outcome: None,
                error: None,
            },
            operation,
            waits: None,
            object: Some(index),
            kind: object.kind.clone(),
            specs: inputs.observed.refined.get(&index).cloned(),
            desired,
            send,
            parent: inputs.observed.parents[index].clone(),
            live: live.map(|(live, fields)| Arc::new(LiveObject { fields, ..live.clone() })),
            record,
            parent_new: None,
            prune: inputs.prune || inputs.restores,
            archive: false,
            embedded: false,
            join: None,
            makes_join: false,
            seen: inputs.observed.same_key.get(&index).cloned().unwrap_or_default(),
            after: Vec::new(),
            level: 0,
            ours: false,
            rollout: None,
            declared,
        }
    }

    fn change(&self, change: &Difference) -> Change {
        Change {
            path: change.path.clone(),
            op: change.op,
            before: change.before.as_ref().map(|value| self.shown.value(value)),
            after: change.after.as_ref().map(|value| self.shown.value(value)),
            sensitive: change.sensitive,
            drift: change.drift,
        }
    }

    pub(super) fn push(&mut self, index: usize, mut step: Step) {
        if let Some(why) = self.inputs.barred.get(&index) {
            let object = &self.inputs.manifests.objects[index];
            self.tell(object, "", why.clone());
            return;
        }
        if let Some(path) = unstored_in(&step) {
            let object = &self.inputs.manifests.objects[index];
            let why = ComposeError::Unstored(path.trim_start_matches('/').to_owned());
            let told = Diagnostic::error("PL0516", format!("`{}` cannot be written safely: {why}.", object.address));
            self.tell(object, &path, told);
            return;
        }
        self.follow(index, &mut step);
        // What cannot be sent without losing something is no step.
        if self.would_lose(index, &mut step) {
            return;
        }
        if !self.tell_leads(index, &mut step) {
            return;
        }
        self.warn_of_misfits(index, &step);
        let mut notes = unshown_notes(&step);
        notes.extend(effects::notes(&step, self.inputs.observed, &self.shown));
        step.action.notes.extend(notes);
        if step.operation == Operation::Replace
            && let Some(live) = &step.live
        {
            self.replaced.insert((step.kind.name.clone(), live.id.clone()), step.action.address.clone());
            self.shown.note_rename(&step);
            // Once the old one is deleted, whatever has its key is the new one, even under the same id.
            if step.kind.spec.deferred_delete {
                step.seen.push(live.id.clone());
            } else {
                let old = live.id.clone();
                step.seen.retain(|id| *id != old);
            }
        }
        self.step_of.insert(index, self.out.steps.len());
        self.out.steps.push(step);
    }
}

/// Where the first difference is; nothing where there is none.
fn first_path(differences: &Differences) -> String {
    differences.changes.first().map(|change| change.path.clone()).unwrap_or_default()
}

/// Whether a change exists only because something else is replaced.
fn only_dependency(change: &Difference, desired: &Fields, inputs: &Inputs<'_>, index: usize) -> bool {
    let before = inputs.observed.canonical[index].get(&change.field);
    before != desired.get(&change.field) && !change.drift
}

/// Fields as the inventory keeps them.
pub fn stored(fields: &Fields) -> Fields {
    fields.iter().map(|(name, value)| (name.clone(), without_places(value))).collect()
}

/// Counts the actions of a plan.
pub(super) fn summarise(steps: &[Step], unchanged: usize) -> Summary {
    let mut summary = Summary { unchanged, ..Summary::default() };
    for step in steps {
        match step.action.action {
            ActionKind::Create => summary.create += 1,
            ActionKind::Adopt => summary.adopt += 1,
            ActionKind::Update => summary.update += 1,
            ActionKind::Replace => summary.replace += 1,
            ActionKind::Delete => summary.delete += 1,
            ActionKind::Forget => summary.forget += 1,
        }
        summary.drifted += usize::from(step.action.drifted);
    }
    summary
}
