//! A stack with one object to look at, against a sandbox of its own; every plan and every apply is checked.

use indexmap::IndexMap;
use plumb::{
    address::escape,
    description::{Catalog, Specs, format::FieldSpec, hook},
    diagnostic::Severity,
    inventory::{Inventory, Location, Record, State},
    pipeline::{self, Options, Planned},
    plan::{ActionKind, Mode, Outcome, PlanDocument, Reason, RequestInfo},
    sandbox::{Faults, LogEntry, SandboxOptions},
    value::Fields,
};
use serde_json::Value;

use super::{
    subject::{Case, Leaf, leaves},
    values::FILES,
    world::{Doc, Variant, World, applies, is_forced, met},
};
use crate::support::{
    leaks,
    stack::{Stack, lines},
};

/// What went wrong, in words.
pub(super) type Check<T = ()> = Result<T, String>;

/// A stack with one object to look at.
pub(super) struct Stage {
    pub(super) case: Case,
    pub(super) stack: Stack,
    pub(super) docs: IndexMap<String, Doc>,
    /// Name of the manifest that the object is, or is inside.
    pub(super) doc: String,
    /// The types of the object's fields.
    pub(super) specs: Specs,
    /// The object with another value in every field.
    pub(super) other: Fields,
    variant: Variant,
}

/// An object as the server keeps it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) attributes: Value,
}

impl Stage {
    /// Declares an object of a kind, whose fields have the values with this number, and what it needs.
    pub(super) async fn set(case: &Case, variant: &Variant, number: usize) -> Self {
        let mut catalog = Catalog::default();
        catalog.insert(case.api.clone());
        let stack = Stack::of(&catalog, &[case.api.name.as_str()], SandboxOptions::default()).await;
        if let Some(manifest) = case.manifest {
            stack.write("api.yaml", manifest);
        }
        for (name, content) in FILES {
            stack.write(name, content);
        }
        let mut world = World::new(&case.api, &stack.sandbox);
        let (doc, specs, other) = match (&case.parent, case.kind.inside()) {
            (Some(parent), Some(inside)) => {
                let doc = world.minimal(parent, super::world::SUBJECT);
                let other = world.full(&case.kind, super::world::SUBJECT, variant, number + 1);
                let entry = world.full(&case.kind, super::world::SUBJECT, variant, number);
                let mut parent = world.docs.shift_remove(&doc).unwrap();
                parent.entries.entry(inside.field.clone()).or_default().push((case.kind.clone(), entry));
                world.docs.insert(doc.clone(), parent);
                (doc, case.kind.spec.fields.clone(), other)
            }
            _ => {
                world.subject(&case.kind, variant, number + 1);
                let doc = format!("{}-{}", case.kind.name.to_lowercase(), super::world::SUBJECT.word);
                let other = world.docs[&doc].spec.clone();
                let doc = world.subject(&case.kind, variant, number);
                let mut specs = case.kind.spec.fields.clone();
                if let Some(refined) = world.refined(&case.kind, &world.docs[&doc].spec)
                    && let Some(hook) = case.kind.spec.hook.as_deref().and_then(hook::find)
                {
                    specs.insert(hook.field().to_owned(), FieldSpec { whole: true, ..refined });
                }
                (doc, specs, other)
            }
        };
        world.bystander(&case.kind);
        let docs = std::mem::take(&mut world.docs);
        let stage = Self { case: case.clone(), stack, docs, doc, specs, other, variant: variant.clone() };
        stage.write();
        stage
    }

    /// The same with nothing declared that the object can be without.
    pub(super) async fn set_minimal(case: &Case, variant: &Variant) -> Self {
        let mut stage = Self::set(case, variant, 0).await;
        let mut world = World::new(&case.api, &stage.stack.sandbox);
        world.docs.clone_from(&stage.docs);
        let needed = world.needed(&case.kind, super::world::SUBJECT, variant);
        stage.docs = world.docs;
        let spec = stage.spec();
        spec.retain(|name, _| needed.contains_key(name));
        stage.write();
        stage
    }

    /// Sets the stage and creates everything. What is made anew only with leave has it.
    pub(super) async fn ready(case: &Case, variant: &Variant) -> Check<Self> {
        let mut stage = Self::set(case, variant, 0).await;
        if case.parent.is_none() && case.kind.spared(false).is_some() {
            let doc = stage.doc.clone();
            stage.docs[&doc].annotations.insert("plumb.dev/deletion-policy".into(), "delete".into());
            stage.write();
        }
        let planned = stage.plan().await?;
        stage.apply(planned).await?;
        Ok(stage)
    }

    /// The declared fields of the object.
    pub(super) fn spec(&mut self) -> &mut Fields {
        let doc = &mut self.docs[&self.doc];
        match self.case.kind.inside() {
            Some(inside) if self.case.parent.is_some() => {
                &mut doc.entries.get_mut(&inside.field).unwrap().last_mut().unwrap().1
            }
            _ => &mut doc.spec,
        }
    }

    /// The declared fields of the object.
    pub(super) fn declared(&self) -> &Fields {
        let doc = &self.docs[&self.doc];
        match self.case.kind.inside() {
            Some(inside) if self.case.parent.is_some() => &doc.entries[&inside.field].last().unwrap().1,
            _ => &doc.spec,
        }
    }

    /// The object's address.
    pub(super) fn address(&self) -> String {
        let doc = &self.docs[&self.doc];
        match self.case.kind.inside() {
            Some(inside) if self.case.parent.is_some() => {
                doc.entry_address(&inside.field, self.declared(), &self.case.kind)
            }
            _ => doc.address(),
        }
    }

    /// The form that the object has.
    pub(super) fn variant(&self) -> &Variant {
        &self.variant
    }

    /// The values that can be declared by themselves.
    pub(super) fn leaves(&self) -> Vec<Leaf> {
        leaves(&self.specs, self.declared(), &self.variant.fixed)
    }

    /// Puts another value at a leaf.
    pub(super) fn put(&mut self, leaf: &Leaf, value: Value) {
        let mut spec = Value::Object(self.spec().clone());
        *spec.pointer_mut(&leaf.at).unwrap() = value;
        self.spec().clone_from(spec.as_object().unwrap());
        self.write();
    }

    /// The other value of a leaf; nothing where its field allows no two beside the other fields.
    pub(super) fn other(&self, leaf: &Leaf) -> Option<Value> {
        if self.decides(leaf) {
            return None;
        }
        if self.variant.fixed.contains_key(&leaf.field) {
            let mut fixed = self.variant.fixed.clone();
            let fits = |value: &&Value| {
                fixed.insert(leaf.field.clone(), (*value).clone());
                *value != &self.variant.fixed[&leaf.field] && self.can_be(&fixed)
            };
            return leaf.spec.allowed.iter().find(fits).cloned();
        }
        let now = Value::Object(self.declared().clone());
        let other = Value::Object(self.other.clone());
        let other = other.pointer(&leaf.at)?;
        (Some(other) != now.pointer(&leaf.at)).then(|| other.clone())
    }

    /// Whether the members of an object follow from a leaf: another word of it is other members.
    pub(super) fn decides(&self, leaf: &Leaf) -> bool {
        self.specs.values().any(|spec| {
            let own = spec.variants.iter().chain(spec.fields.values().filter_map(|member| member.variants.as_ref()));
            own.into_iter().any(|variants| match (&variants.field, &variants.member) {
                (Some(field), _) => leaf.at == format!("/{field}"),
                (None, Some(member)) => leaf.at.ends_with(&format!("/{member}")),
                _ => false,
            })
        })
    }

    /// Whether the declared fields fit other values of those that conditions look at.
    fn can_be(&self, fixed: &Fields) -> bool {
        self.specs.iter().all(|(name, field)| {
            let declared = self.declared().get(name).is_some_and(|value| !value.is_null());
            let needed = field.required || field.required_when.as_ref().is_some_and(|when| met(when, fixed));
            if declared { applies(field, fixed) && !is_forced(field, fixed) } else { !needed }
        })
    }

    /// Whether null is a value of a leaf.
    pub(super) fn clears(&self, leaf: &Leaf) -> bool {
        let needed = leaf.spec.required_when.as_ref().is_some_and(|when| met(when, &self.variant.fixed));
        // Something has to be left of the key.
        let key = &self.case.kind.spec.key;
        let own = |name: &&String| self.specs.get(*name).is_some_and(|field| field.reference.is_none());
        let named = |name: &&String| self.declared().get(*name).is_some_and(|value| !value.is_null());
        let last = key.contains(&leaf.field) && key.iter().filter(own).filter(named).count() < 2;
        leaf.spec.nullable && !needed && !last
    }

    /// Writes the manifests.
    pub(super) fn write(&self) {
        for doc in self.docs.values() {
            self.stack.write(&format!("{}.json", doc.name), &doc.render());
        }
    }

    /// Takes the object out of the manifests.
    pub(super) fn withdraw(&mut self) {
        match self.case.kind.inside() {
            Some(inside) if self.case.parent.is_some() => {
                let entries = &mut self.docs[&self.doc].entries;
                entries.get_mut(&inside.field).unwrap().pop();
                entries.retain(|_, list| !list.is_empty());
                self.write();
            }
            _ => {
                self.docs.shift_remove(&self.doc);
                self.stack.remove(&format!("{}.json", self.doc));
            }
        }
    }

    fn options(&self) -> Options {
        Options { keep_key: true, ..self.stack.options.clone() }
    }

    /// Plans, whatever the plan says.
    pub(super) async fn try_plan(&self) -> Check<Planned> {
        pipeline::plan(&self.options(), Mode::Plan).await.map_err(|failure| format!("no plan: {failure}"))
    }

    /// Plans; nothing may be wrong.
    pub(super) async fn plan(&self) -> Check<Planned> {
        let planned = self.try_plan().await?;
        let wrong = told(&planned.diagnostics);
        if wrong.is_empty() { Ok(planned) } else { Err(format!("the plan says: {}", wrong.join(" | "))) }
    }

    /// Plans; there must be nothing to do and nothing wrong.
    pub(super) async fn quiet(&self) -> Check {
        let planned = self.plan().await.map_err(|wrong| format!("afterwards, {wrong}"))?;
        let left = lines(&planned.document);
        if left.is_empty() { Ok(()) } else { Err(format!("afterwards, there is something to do: {}", left.join("; "))) }
    }

    /// Carries a plan out; all of it must be done, with the calls that were announced and no others, and without a word.
    pub(super) async fn apply(&self, planned: Planned) -> Check<PlanDocument> {
        let announced: Vec<String> = announced(&planned.document);
        let requests = planned.document.requests.apply;
        let known = told(&planned.diagnostics);
        self.stack.sandbox.clear_log();
        let applied =
            pipeline::apply(planned, &self.options()).await.map_err(|failure| format!("no apply: {failure}"))?;
        for action in &applied.document.actions {
            if action.outcome != Some(Outcome::Done) {
                return Err(format!(
                    "{} {}: {}",
                    action.action.word(),
                    action.address,
                    action.error.clone().unwrap_or_default()
                ));
            }
        }
        let more: Vec<String> = told(&applied.diagnostics).into_iter().filter(|told| !known.contains(told)).collect();
        if !more.is_empty() {
            return Err(format!("the apply says: {}", more.join(" | ")));
        }
        let sent: Vec<String> = self.writes().iter().map(|entry| format!("{} {}", entry.method, entry.path)).collect();
        if sent.len() != announced.len() || !announced.iter().all(|call| sent.iter().any(|sent| is_call(call, sent))) {
            return Err(format!("announced {announced:?}, sent {sent:?}"));
        }
        // How many pages it takes to find what a silent create made depends on what there is.
        let silent = self.case.kind.spec.create.answers_nothing;
        if applied.document.requests.apply != requests && !silent {
            return Err(format!("announced {requests} requests, sent {}", applied.document.requests.apply));
        }
        let seen = serde_json::to_string(&applied.document).unwrap();
        if leaks::found(seen.as_bytes()).is_some() {
            return Err("the report shows a secret".into());
        }
        Ok(applied.document)
    }

    /// The calls since the last apply began that change something.
    pub(super) fn writes(&self) -> Vec<LogEntry> {
        self.stack.sandbox.log().into_iter().filter(|entry| entry.method != "GET").collect()
    }

    /// Orders faults.
    pub(super) fn fault(&self, order: &str) {
        self.stack.sandbox.set_faults(if order.is_empty() { Faults::default() } else { order.parse().unwrap() });
    }

    /// The object as the server keeps it.
    pub(super) async fn row(&self) -> Check<Row> {
        let record = self.record().await.ok_or_else(|| format!("`{}` has no record", self.address()))?;
        self.find(&record).ok_or_else(|| format!("`{}` is not there", self.address()))
    }

    /// What a record is of, as the server keeps it.
    pub(super) fn find(&self, record: &Record) -> Option<Row> {
        let parent = match (&self.case.parent, &record.parent) {
            (Some(kind), Some(parent)) => Some(format!("{}/{parent}", kind.name)),
            _ => None,
        };
        let rows = self.stack.sandbox.objects(&self.case.api.name, &self.case.kind.name);
        let row = rows.into_iter().filter(|row| row.get("doomed").is_none()).find(|row| {
            let key = row.get("key").unwrap_or(&row["id"]).as_str().unwrap_or_default();
            if self.case.kind.spec.singleton && self.case.kind.spec.id.local {
                let scope = self.case.kind.spec.scope.as_ref().and_then(|scope| self.case.kind.field(&scope.field));
                let wire = scope.map(FieldSpec::wire_name).unwrap_or_default();
                return row["attributes"][wire].as_str() == record.parent.as_deref();
            }
            // The parent's id before a local one is plumb's own.
            let own = record.id.rsplit('/').next() == row["id"].as_str() && (key == record.id || row["id"] == key);
            (row["id"] == record.id.as_str() || (self.case.kind.spec.id.local && own))
                && (parent.is_none() || row["parent"].as_str() == parent.as_deref())
        })?;
        let key = row.get("key").unwrap_or(&row["id"]).as_str()?.to_owned();
        Some(Row { id: record.id.clone(), key, attributes: row["attributes"].clone() })
    }

    /// How many objects of the kind there are.
    pub(super) fn count(&self) -> usize {
        let rows = self.stack.sandbox.objects(&self.case.api.name, &self.case.kind.name);
        rows.into_iter().filter(|row| row.get("doomed").is_none()).count()
    }

    /// What the inventory knows.
    pub(super) async fn state(&self) -> State {
        Inventory::open(&self.location(), "default").await.unwrap().state().clone()
    }

    /// Where the inventory is.
    pub(super) fn location(&self) -> Location {
        Location::parse(None, self.stack.folder.path()).unwrap()
    }

    /// What the inventory knows of the object.
    pub(super) async fn record(&self) -> Option<Record> {
        self.state().await.objects.get(&self.address()).map(|record| Record::clone(record))
    }

    /// Forgets everything that was recorded.
    pub(super) fn lose_inventory(&self) {
        std::fs::remove_dir_all(self.stack.path(".plumb")).unwrap();
    }

    /// Changes where the server keeps a leaf, behind everybody's back.
    pub(super) fn mutate(&self, row: &Row, leaf: &Leaf, as_in: &Row) {
        let mut change = Value::Object(Fields::new());
        let mut wires = vec![leaf.kept.clone()];
        wires.extend(
            leaf.spec
                .reference
                .as_ref()
                .and_then(|reference| reference.type_wire.clone())
                .map(|wire| format!("/{}", escape(&wire))),
        );
        for wire in wires {
            let value = as_in.attributes.pointer(&wire).cloned().unwrap_or_default();
            set(&mut change, &wire, value);
        }
        assert!(self.stack.sandbox.mutate(&self.case.api.name, &self.case.kind.name, &row.key, &change));
    }

    /// Whether reads of the object show a leaf.
    pub(super) fn shows(&self, row: &Row, leaf: &Leaf) -> bool {
        let shown = self.stack.sandbox.shown(&self.case.api.name, &self.case.kind.name, &row.key).unwrap_or_default();
        let apart = self.specs.get(&leaf.field).is_some_and(|field| field.read_by.is_some());
        apart || shown.pointer(&leaf.kept).is_some() || !leaf.spec.read.is_empty() || leaf.spec.file.is_some()
    }

    /// A plan of one action on the object, with this change and for this reason.
    pub(super) fn expect(&self, planned: &Planned, action: ActionKind, reason: Reason, paths: &[&str]) -> Check {
        let wanted = format!("{} {} ({}) {}", action.word(), self.address(), reason.word(), paths.join(" "));
        let found = lines(&planned.document);
        if found == [wanted.trim_end()] { Ok(()) } else { Err(format!("planned {found:?} instead of `{wanted}`")) }
    }
}

/// Takes out what is at dotted paths, and what is null there.
pub(super) fn without(value: &mut Value, paths: &[String]) {
    for path in paths.iter().filter(|path| path.contains('.')) {
        let (above, last) = path.rsplit_once('.').unwrap();
        let place = value.pointer_mut(&format!("/{}", above.replace('.', "/")));
        if let Some(Value::Object(map)) = place {
            map.shift_remove(last);
            map.retain(|_, value| !value.is_null());
        }
    }
}

/// Puts a value at a pointer, making the objects on the way.
pub(crate) fn set(target: &mut Value, pointer: &str, value: Value) {
    let mut place = target;
    for part in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(Fields::new());
        }
        place = place.as_object_mut().unwrap().entry(plumb::address::unescape(part)).or_insert(Value::Null);
    }
    *place = value;
}

/// What is worse than a note; that a deletion may take away what plumb's own key belongs to is as it should be.
pub(super) fn told(diagnostics: &[plumb::diagnostic::Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity > Severity::Note && diagnostic.code != "PL0614")
        .map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message))
        .collect()
}

fn announced(document: &PlanDocument) -> Vec<String> {
    let calls = document.actions.iter().flat_map(|action| &action.requests);
    calls
        .filter_map(|request| match request {
            RequestInfo::Call { method, path } => Some(format!("{method} {path}")),
            RequestInfo::Shared { .. } => None,
        })
        .collect()
}

/// Whether a call is the announced one, whose ids may not have been known.
fn is_call(announced: &str, sent: &str) -> bool {
    let (mut a, mut b) = (announced.split('/'), sent.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y || x == "{id}" => {}
            // OData: `set({id})`.
            (Some(x), Some(y)) if x.strip_suffix("({id})").is_some_and(|set| y.starts_with(&format!("{set}("))) => {}
            _ => return false,
        }
    }
}
