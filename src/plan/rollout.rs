//! New versions → the rollouts that follow them. Only a version that plumb's own writes made is rolled out, once; what
//! others moved, what waits at a gate and what failed is left to people.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    ActionKind, Change, Reason,
    build::Builder,
    step::{Follow, Operation, Step},
};
use crate::{
    description::{
        Kind,
        format::{FieldSpec, RolloutSpec},
    },
    diagnostic::Diagnostic,
    dialect::{Phase, Rollout, revision_of},
    diff::{ChangeOp, Differences, unstored},
    graph::Meaning,
    inventory::{PendingRollout, Record},
    live::LiveObject,
    manifest::Manifest,
    value::{Fields, has_secret, text},
};

/// Seconds that the end of a rollout is waited for, unless the manifest says.
const WAIT: u64 = 600;

/// What is done about new versions of an object; nothing where they are left alone.
fn policy(spec: &RolloutSpec, desired: &Fields) -> Option<Follow> {
    match desired.get(&spec.policy).and_then(Value::as_str).unwrap_or("start") {
        "none" => None,
        "wait" => {
            let limit = spec.limit.as_ref().and_then(|limit| desired.get(limit)?.as_u64());
            Some(Follow { wait: Some(limit.unwrap_or(WAIT)), begun: false })
        }
        _ => Some(Follow { wait: None, begun: false }),
    }
}

/// How far the rollout of a live object is.
fn standing(spec: &RolloutSpec, live: &LiveObject) -> Option<Rollout> {
    live.raw.as_ref().map(|raw| Rollout::of(spec, raw))
}

/// Whether the newest version is the one that a mark stands for, and nobody edited it since.
pub fn is_marked(mark: &PendingRollout, now: &Rollout) -> bool {
    let is_same = |hash: &Option<String>| hash.is_none() || now.hash.is_none() || *hash == now.hash;
    match &mark.version {
        Some(version) => now.version.as_ref() == Some(version) && is_same(&mark.hash),
        // Whether the write took effect is not known: where everything is as it was before, it did not.
        None => mark.hash.is_none() || mark.before != now.version || mark.hash != now.hash,
    }
}

/// The change that stands for a rollout.
fn change(rollout: Option<&Rollout>, to: Option<&String>) -> Change {
    let number = |version: &String| version.parse::<u64>().map_or_else(|_| json!(version), |version| json!(version));
    let before = rollout.and_then(|rollout| rollout.current.as_ref()).map(number);
    Change {
        path: "/rollout".into(),
        op: if before.is_some() { ChangeOp::Replace } else { ChangeOp::Add },
        before,
        after: to.map(number),
        sensitive: false,
        drift: false,
    }
}

/// Where a declared value stands for one that is stored, and nothing is stored.
pub(super) fn unstored_in(step: &Step) -> Option<String> {
    let live = step.live.as_ref().filter(|_| step.operation != Operation::Replace).map(|live| &live.fields);
    step.desired.iter().find_map(|(name, value)| {
        let spec = step.specs().get(name)?;
        let below = unstored(spec, value, live.and_then(|live| live.get(name)))?;
        Some(format!("/{name}/{below}"))
    })
}

impl Builder<'_> {
    /// Adds the rollout that follows a step's own change, and notes who else gets a new version by it.
    pub(super) fn follow(&mut self, index: usize, step: &mut Step) {
        let writes = matches!(step.operation, Operation::Create | Operation::Update | Operation::Replace);
        if writes && causes_any(self, &step.kind) {
            self.moving.entry(index).or_default().insert(index);
        }
        let Some(spec) = step.kind.spec.rollout.as_ref().filter(|_| writes) else { return };
        let Some(follow) = policy(spec, &step.desired) else { return };
        let caused = self.causes(index, spec);
        if !makes_version(spec, step) && caused.is_empty() {
            return;
        }
        self.moving.entry(index).or_default().extend(caused);
        let now = step.live.as_ref().and_then(|live| standing(spec, live));
        if step.operation == Operation::Update {
            let mark = step.record.as_ref().and_then(|(_, record)| record.rollout.as_ref());
            self.warn_of_draft(index, now.as_ref(), mark);
        }
        step.action.changes.push(change(now.as_ref().filter(|_| step.operation == Operation::Update), None));
        step.action.notes.push("Its rollout is started once it is written.".into());
        step.rollout = Some(follow);
    }

    /// The objects with steps that give an object a new version, although it does not change itself.
    fn causes(&self, index: usize, spec: &RolloutSpec) -> BTreeSet<usize> {
        let uses = self.inputs.graph.uses.get(index).into_iter().flatten();
        uses.filter_map(|found| match found.target {
            Meaning::Declared(target) if spec.caused_by.contains(&found.kind) => self.moving.get(&target),
            _ => None,
        })
        .flatten()
        .copied()
        .collect()
    }

    /// Plans the deletion of what an earlier run replaced and could not delete any more; tells whether there is any.
    pub(super) fn delete_leftover(
        &mut self,
        index: usize,
        object: &Manifest,
        live: &LiveObject,
        desired: &Fields,
        record: Option<&(String, Record)>,
    ) -> bool {
        let Some(old) = record.and_then(|(_, record)| record.replaced.as_ref()).filter(|old| **old != live.id) else {
            return false;
        };
        if self.inputs.observed.by_id(&live.connection, &object.kind.name, old).is_none() {
            return false;
        }
        let pair = Some((live, live.fields.clone()));
        let (desired, record) = (desired.clone(), record.cloned());
        let none = Differences::default();
        let mut step = self.step(index, object, ActionKind::Replace, Reason::Changed, &none, desired, pair, record);
        step.operation = Operation::Leftover;
        step.action.notes.push(format!("`{old}`, which it took the place of, is deleted."));
        self.push(index, step);
        true
    }

    /// Plans the rollout of an object that does not change itself; tells whether there is one.
    pub(super) fn roll_out(
        &mut self,
        index: usize,
        object: &Manifest,
        live: &LiveObject,
        desired: &Fields,
        record: Option<&(String, Record)>,
    ) -> bool {
        let kind = object.kind.clone();
        let Some(spec) = &kind.spec.rollout else {
            self.pass_on(index, &kind);
            return false;
        };
        let now = standing(spec, live);
        let caused = self.causes(index, spec);
        let mark = record.and_then(|(_, record)| record.rollout.as_ref());
        let open = now.as_ref().filter(|now| now.phase == Phase::Open);
        let is_ours = |open: &&Rollout| mark.is_some_and(|mark| is_marked(mark, open));
        // Where the list does not say, the object is looked at before anything is started.
        let unsaid = now.as_ref().filter(|now| now.phase == Phase::Unknown && mark.is_some());
        let ours = open.filter(is_ours).or(unsaid);
        let version = open.and_then(|open| open.version.clone()).unwrap_or_default();
        let Some(follow) = policy(spec, desired) else {
            if open.is_some() {
                let message =
                    format!("Version {version} of `{}` is not rolled out: its policy is `none`.", object.address);
                self.tell(object, "", Diagnostic::note("PL0522", message));
            }
            return false;
        };
        // Its end was to be waited for, and an earlier run did not see it.
        let goes_on = now.as_ref().filter(|now| now.phase == Phase::Started && follow.wait.is_some());
        let ours = ours.or(goes_on);
        if caused.is_empty() && ours.is_none() {
            self.tell_standing(object, now.as_ref(), &version);
            return false;
        }
        if !caused.is_empty() {
            self.warn_of_draft(index, now.as_ref(), mark);
        }
        let differences = Differences::default();
        let pair = Some((live, live.fields.clone()));
        let mut step = self.step(
            index,
            object,
            ActionKind::Update,
            Reason::Rollout,
            &differences,
            desired.clone(),
            pair,
            record.cloned(),
        );
        step.operation = Operation::Rollout;
        step.rollout = Some(Follow { begun: goes_on.is_some() && caused.is_empty(), ..follow });
        // A component that changes makes a version after this one.
        let to = ours.filter(|_| caused.is_empty()).and_then(|ours| ours.version.as_ref());
        step.action.changes.push(change(now.as_ref(), to));
        let what = match to {
            Some(version) if goes_on.is_some() => {
                format!("The rollout of version {version} goes on: its end is waited for.")
            }
            Some(version) => format!("The rollout of version {version} is started."),
            None => "The version that the change of its components makes is rolled out.".to_owned(),
        };
        step.action.notes.push(what);
        self.moving.insert(index, caused);
        self.push(index, step);
        true
    }

    /// Plans the rollout of an object that is adopted as it is: an interrupted run made it, or what it uses changes.
    pub(super) fn roll_out_adopted(&mut self, index: usize, step: &mut Step, begun: bool) {
        let (Some(spec), Some(live)) = (&step.kind.spec.rollout, &step.live) else { return };
        let now = standing(spec, live);
        let caused = self.causes(index, spec);
        let startable = |now: &&Rollout| matches!(now.phase, Phase::Open | Phase::Unknown);
        let open = now.as_ref().filter(startable).filter(|_| begun);
        let Some(follow) = policy(spec, &step.desired).filter(|_| open.is_some() || !caused.is_empty()) else { return };
        let to = open.filter(|_| caused.is_empty()).and_then(|open| open.version.as_ref());
        if open.is_none() {
            self.warn_of_draft(index, now.as_ref(), None);
        }
        step.action.changes.push(change(now.as_ref(), to));
        step.operation = Operation::Rollout;
        step.rollout = Some(follow);
        self.moving.insert(index, caused);
    }

    /// Warns of a version that others made and nobody rolled out: a change goes into it, and both are rolled out.
    fn warn_of_draft(&mut self, index: usize, now: Option<&Rollout>, mark: Option<&PendingRollout>) {
        let Some(now) = now.filter(|now| now.phase == Phase::Open) else { return };
        if mark.is_some_and(|mark| is_marked(mark, now)) {
            return;
        }
        let object = &self.inputs.manifests.objects[index];
        let version = now.version.as_deref().unwrap_or("?");
        let message = format!(
            "Version {version} of `{}` is not rolled out, and holds changes that plumb did not make: they are rolled out together with the planned ones.",
            object.address
        );
        let hint = "Look at that version first; with the policy `none` nothing is rolled out.";
        self.tell(object, "", Diagnostic::warning("PL0525", message).hint(hint));
    }

    /// An object without a step of its own gets a new version where it uses one that gets one.
    fn pass_on(&mut self, index: usize, kind: &Kind) {
        if !causes_any(self, kind) {
            return;
        }
        let uses = self.inputs.graph.uses.get(index).into_iter().flatten();
        let caused: BTreeSet<usize> = uses
            .filter_map(|found| match found.target {
                Meaning::Declared(target) => self.moving.get(&target),
                Meaning::Live(_) => None,
            })
            .flatten()
            .copied()
            .collect();
        if !caused.is_empty() {
            self.moving.insert(index, caused);
        }
    }

    /// Tells of a new version of an object that is only observed, or left alone: what it uses changes.
    pub(super) fn tell_left_alone(&mut self, index: usize, object: &Manifest) {
        let is_caused = object.kind.spec.rollout.as_ref().is_some_and(|spec| !self.causes(index, spec).is_empty());
        if is_caused {
            let message = format!(
                "The change of its components makes a new version of `{}`, which is not rolled out: its manifest says to change nothing.",
                object.address
            );
            self.tell(object, "", Diagnostic::note("PL0522", message));
        }
    }

    /// Tells of a version that is not where it is used, and that plumb does not bring there.
    fn tell_standing(&mut self, object: &Manifest, now: Option<&Rollout>, version: &str) {
        let Some(now) = now else { return };
        let shown = now.version.clone().unwrap_or_default();
        match now.phase {
            Phase::Open => {
                let message = format!(
                    "Version {version} of `{}` is not rolled out, and plumb did not make it, or others changed it since: it is left alone.",
                    object.address
                );
                self.tell(object, "", Diagnostic::note("PL0522", message));
            }
            Phase::Started => {
                let words = now.progress_words();
                let so_far = if words.is_empty() { String::new() } else { format!(" ({words})") };
                let message = format!("The rollout of version {shown} of `{}` goes on{so_far}.", object.address);
                self.tell(object, "", Diagnostic::note("PL0522", message));
            }
            Phase::Gate => {
                let message = format!(
                    "The rollout of version {shown} of `{}` waits at a gate after stage {}.",
                    object.address, now.stage
                );
                self.tell(object, "", Diagnostic::note("PL0522", message));
            }
            Phase::Failed | Phase::Paused => {
                let word = if now.phase == Phase::Failed { "failed" } else { "is paused" };
                let message = format!("The rollout of version {shown} of `{}` {word}.", object.address);
                let told = Diagnostic::warning("PL0523", message)
                    .hint("plumb goes on with no such rollout: resume it by hand, or change the manifest.");
                self.tell(object, "", told);
            }
            _ => {}
        }
    }

    /// Drops the mark of a version that is rolled out, or that somebody else's took the place of.
    pub(super) fn note_rollout(&mut self, object: &Manifest, record: &mut Record) {
        let index = self.inputs.graph.names.address(&object.address);
        let Some(live) = index.and_then(|index| self.inputs.observed.live(index)) else { return };
        if record.stamp.is_none() {
            record.stamp.clone_from(&live.stamp);
        }
        record.replaced = None;
        let revision = live.raw.as_ref().and_then(|raw| revision_of(&object.kind, raw));
        match (&record.revision, &revision) {
            (None, _) => record.revision.clone_from(&revision),
            (Some(before), Some(now)) if before != now && record.applied.values().any(has_secret) => {
                let message = format!(
                    "`{}` was changed since plumb wrote it, and the API does not show its secrets: whether those are as they \
                     were cannot be seen.",
                    object.address
                );
                self.tell(object, "", Diagnostic::note("PL0527", message));
            }
            _ => {}
        }
        let (Some(spec), Some(mark)) = (&object.kind.spec.rollout, &record.rollout) else { return };
        let Some(now) = standing(spec, live) else { return };
        let moved_on = mark.version.is_some() && !is_marked(mark, &now);
        if moved_on || !matches!(now.phase, Phase::Open | Phase::Unknown) {
            record.rollout = None;
        }
    }
}

/// Whether a new version of an object of a kind gives one to those that use it.
fn causes_any(builder: &Builder<'_>, kind: &Kind) -> bool {
    let api = builder.inputs.manifests.catalog.api(&kind.api);
    api.into_iter()
        .flat_map(|api| api.kinds.values())
        .any(|other| other.spec.rollout.as_ref().is_some_and(|rollout| rollout.caused_by.contains(&kind.name)))
}

/// Whether the write of a step makes a new version of its object.
pub fn makes_version(spec: &RolloutSpec, step: &Step) -> bool {
    let versioned = |field: &String| {
        let wire = step.specs().get(field).map(FieldSpec::wire_name).unwrap_or_default();
        let under = |under: &str| wire == under || wire.strip_prefix(under).is_some_and(|rest| rest.starts_with('.'));
        // What says which form the resource has changes what it is.
        spec.under.as_deref().is_none_or(under) || wire == "apiVersion"
    };
    match step.operation {
        Operation::Create | Operation::Replace => true,
        _ => step.send.iter().any(versioned),
    }
}

/// The calls that a rollout takes: path of its start.
pub fn start_path(step: &Step) -> Option<String> {
    let spec = step.kind.spec.rollout.as_ref()?;
    let id = step.action.id.clone().or_else(|| {
        let field = step.kind.spec.id.client.as_ref()?;
        step.desired.get(field).and_then(text)
    });
    let vars = |name: &str| (name == "id").then(|| id.clone()).flatten();
    crate::live::fill_path(spec.start.path.as_deref()?, &vars).ok()
}
