//! A kind → the smallest stack in which an object of it can stand: what it refers to, declared or found in the sandbox.

use std::sync::Arc;

use indexmap::IndexMap;
use plumb::{
    address::escape,
    description::{
        Api, Kind,
        format::{FieldSpec, FieldType, InsideForm, RefSpec, Verb},
        hook::{self, Definition},
    },
    sandbox::Sandbox,
    value::{Fields, Target, reference},
};
use serde_json::{Map, Value, json};

/// What tells the objects of one kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) word: &'static str,
    pub(super) place: usize,
}

/// What is referred to first.
pub(super) const A: Tag = Tag { word: "a", place: 0 };
/// What is referred to instead.
pub(super) const B: Tag = Tag { word: "b", place: 1 };
/// What is looked at.
pub(super) const SUBJECT: Tag = Tag { word: "s", place: 2 };

/// Fields that no object of the suite can have, and why; tests of their own look at them.
pub(super) const LEFT_OUT: [(&str, &str, &str); 4] = [
    ("balena/Application", "release", "a fleet has a release only after a build, which the suite cannot run"),
    ("balena/Device", "release", "the fleets of the suite have no releases, which builds make"),
    ("balena/Device", "shouldBeOperatedByRelease", "releases of host systems belong to fleets of the vendor"),
    ("balena/Device", "shouldBeManagedByRelease", "releases of the supervisor belong to fleets of the vendor"),
];

/// What has nothing to do with it.
pub(super) const BYSTANDER: Tag = Tag { word: "z", place: 3 };

/// What there is many of.
pub(super) const MANY: [Tag; 3] =
    [Tag { word: "k", place: 5 }, Tag { word: "l", place: 6 }, Tag { word: "m", place: 7 }];

/// What comes later.
pub(super) const NEW: Tag = Tag { word: "n", place: 4 };

/// One manifest.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    pub(super) kind: Arc<Kind>,
    pub(super) name: String,
    pub(super) spec: Fields,
    /// Entries inside, by the field that lists them.
    pub(super) entries: IndexMap<String, Vec<(Arc<Kind>, Fields)>>,
    pub(super) annotations: IndexMap<String, String>,
}

impl Doc {
    /// The manifest as JSON.
    pub(super) fn render(&self) -> String {
        let mut spec = self.spec.clone();
        for (field, entries) in &self.entries {
            let as_map =
                entries.iter().any(|(kind, _)| kind.inside().is_some_and(|inside| inside.form == InsideForm::Map));
            let list = entries.iter().map(|(_, entry)| Value::Object(entry.clone()));
            let value = if as_map {
                entries.iter().filter_map(|(kind, entry)| pair(kind, entry)).collect::<Map<_, _>>().into()
            } else {
                list.collect()
            };
            spec.insert(field.clone(), value);
        }
        let document = json!({
            "apiVersion": format!("{}.plumb.dev/v1alpha1", self.kind.api), "kind": self.kind.name,
            "metadata": {"name": self.name, "annotations": self.annotations}, "spec": spec,
        });
        serde_json::to_string_pretty(&document).unwrap()
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        format!("{}/{}/{}", self.kind.api, self.kind.name, self.name)
    }

    /// The address of an entry inside it.
    pub(super) fn entry_address(&self, field: &str, entry: &Fields, kind: &Kind) -> String {
        format!("{}#{field}/{}", self.address(), escape(&entry_key(kind, entry)))
    }
}

fn pair(kind: &Kind, entry: &Fields) -> Option<(String, Value)> {
    let key = kind.spec.key.last()?;
    let value = entry.iter().find(|(name, _)| *name != key)?.1;
    Some((entry.get(key)?.as_str()?.to_owned(), value.clone()))
}

/// What tells an entry from its siblings, as it is written.
fn entry_key(kind: &Kind, entry: &Fields) -> String {
    let part = |name: &String| match (kind.field(name)?, entry.get(name)) {
        (_, Some(value)) => plumb::value::text(value),
        (field, None) => {
            let file = entry.get(field.from_file.as_ref()?)?;
            Some(file["file"].as_str()?.to_owned())
        }
    };
    let mut keys = std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks);
    keys.find_map(|names| names.iter().map(part).collect::<Option<Vec<String>>>()).unwrap_or_default().join("/")
}

/// The manifests of a stack under construction.
pub(super) struct World<'s> {
    pub(super) api: Arc<Api>,
    sandbox: &'s Sandbox,
    pub(super) docs: IndexMap<String, Doc>,
}

/// A combination of values that conditions of other fields look at, and fields that are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Variant {
    pub(super) fixed: Fields,
    pub(super) omit: Vec<String>,
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.fixed.is_empty() {
            write!(f, " with {}", Value::Object(self.fixed.clone()))?;
        }
        if !self.omit.is_empty() {
            write!(f, " without {}", self.omit.join(", "))?;
        }
        Ok(())
    }
}

impl<'s> World<'s> {
    /// An empty one.
    pub(super) fn new(api: &Arc<Api>, sandbox: &'s Sandbox) -> Self {
        Self { api: api.clone(), sandbox, docs: IndexMap::new() }
    }

    /// Declares an object with as little as it needs; gives its name.
    pub(super) fn minimal(&mut self, kind: &Arc<Kind>, tag: Tag) -> String {
        let name = format!("{}-{}", kind.name.to_lowercase(), tag.word);
        if self.docs.contains_key(&name) {
            return name;
        }
        self.put(kind, &name, Fields::new());
        let spec = self.needed(kind, tag, &Variant::default());
        let mut entries = IndexMap::new();
        let api = self.api.clone();
        for child in api.children(&kind.name) {
            let Some(inside) = child.inside().filter(|inside| inside.embed_required) else { continue };
            let variant = variants(child).into_iter().next().unwrap_or_default();
            let entry = self.full(child, A, &variant, 0);
            entries.insert(inside.field.clone(), vec![(child.clone(), entry)]);
        }
        let doc = &mut self.docs[&name];
        doc.spec = spec;
        doc.entries = entries;
        name
    }

    /// Declares an object whose entries have every variant of their kind; gives its name.
    fn rich(&mut self, kind: &Arc<Kind>, child: &Arc<Kind>, tag: Tag) -> String {
        let name = format!("{}-rich-{}", kind.name.to_lowercase(), tag.word);
        if self.docs.contains_key(&name) {
            return name;
        }
        let own = self.minimal(kind, tag);
        let mut spec = self.docs[&own].spec.clone();
        for key in &kind.spec.key {
            if let Some(Value::String(text)) = spec.get_mut(key) {
                text.push_str(" rich");
            }
        }
        self.put(kind, &name, spec);
        let Some(inside) = child.inside() else { return name };
        let mut entries: Vec<(Arc<Kind>, Fields)> = Vec::new();
        for variant in variants(child) {
            // Fields that take a word or a reference type what is tagged: one entry for each.
            for number in 0.. {
                let typing = |field: &FieldSpec| field.reference.is_some() && !field.allowed.is_empty();
                let words = child.spec.fields.iter().filter(|(_, field)| typing(field));
                let words: Vec<_> = words.filter(|(_, field)| applies(field, &variant.fixed)).collect();
                // Once with every switch on, then with every switch off.
                let mut entry = self.full(child, A, &variant, number.min(1));
                let mut more = number < 2;
                for (name, field) in words {
                    // Every word, and one reference.
                    if let Some(value) = self.sample(field, name, A, number).filter(|_| number <= field.allowed.len()) {
                        entry.insert(name.clone(), value);
                        more = true;
                    }
                }
                if !more || number > 50 {
                    break;
                }
                let place = entries.len();
                for name in child.spec.key.iter().chain(&inside.unique) {
                    entry.insert(
                        name.clone(),
                        match entry.get(name) {
                            Some(Value::Number(_)) => Value::from(place + 1),
                            _ => format!("{name} {place}").into(),
                        },
                    );
                }
                entries.push((child.clone(), entry));
            }
        }
        self.docs[&name].entries.insert(inside.field.clone(), entries);
        name
    }

    /// Declares an object that has nothing to do with a kind, so that the stack is never empty.
    pub(super) fn bystander(&mut self, kind: &Kind) {
        let api = self.api.clone();
        let parents = kind.inside().map(|inside| &inside.parents);
        let strange = |other: &&Arc<Kind>| {
            let apart = other.name != kind.name && parents.is_none_or(|parents| !parents.contains_key(&other.name));
            other.is_declarable() && !other.spec.singleton && apart
        };
        if let Some(other) = api.kinds.values().find(strange) {
            self.minimal(other, BYSTANDER);
        }
    }

    fn put(&mut self, kind: &Arc<Kind>, name: &str, spec: Fields) {
        // What does more than it says is allowed.
        let words = kind.spec.fields.values().filter_map(|field| field.consent.as_ref());
        let annotations = words.map(|consent| ("plumb.dev/allow".to_owned(), consent.word.clone())).collect();
        let doc = Doc { kind: kind.clone(), name: name.to_owned(), spec, entries: IndexMap::new(), annotations };
        self.docs.insert(name.to_owned(), doc);
    }

    /// Declares the object that is looked at, with all of its fields; gives its name.
    pub(super) fn subject(&mut self, kind: &Arc<Kind>, variant: &Variant, number: usize) -> String {
        let name = self.minimal(kind, SUBJECT);
        // What it refers to is declared before it.
        let spec = self.full(kind, SUBJECT, variant, number);
        let mut doc = self.docs.shift_remove(&name).unwrap();
        doc.spec = spec;
        self.docs.insert(name.clone(), doc);
        name
    }

    /// The fields that an object cannot be without.
    pub(super) fn needed(&mut self, kind: &Arc<Kind>, tag: Tag, variant: &Variant) -> Fields {
        let spec = &kind.spec;
        let optional = |name: &String| spec.key_optional.contains(name) || variant.omit.contains(name);
        let first_key =
            spec.key_fallbacks.iter().fold(&spec.key, |key, other| if key.iter().any(optional) { other } else { key });
        let mut key: Vec<&String> = first_key.iter().filter(|name| !optional(name)).collect();
        // Of a key whose parts may all be left out, one is needed.
        let own = |name: &&String| kind.field(name).is_some_and(|field| field.reference.is_none());
        if !key.iter().any(&own) {
            key.extend(first_key.iter().rfind(own));
        }
        let mut out = variant.fixed.clone();
        for (name, field) in &spec.fields {
            let required = field.required && field.from_file.is_none();
            let when = field.required_when.as_ref().is_some_and(|when| met(when, &out));
            let own = field.create_wire.as_deref() == Some("");
            if !field.read_only && !own && (required || when || key.contains(&name)) && !out.contains_key(name) {
                // What only one may be, what is merely needed is not.
                let only = spec.at_most_one.as_ref().is_some_and(|rule| rule.condition.field.as_ref() == Some(name));
                let value =
                    if only { Some(false.into()) } else { self.field_value(kind, name, field, tag, 0, &out, true) };
                out.extend(value.map(|value| (name.clone(), of_variant(field, value, &out))));
            }
        }
        out
    }

    /// All fields that an object of a variant can have.
    pub(super) fn full(&mut self, kind: &Arc<Kind>, tag: Tag, variant: &Variant, number: usize) -> Fields {
        let mut out = Fields::new();
        for (name, field) in &kind.spec.fields {
            let fixed = variant.fixed.contains_key(name);
            let told = field.not_sent && field.ty != FieldType::Sink && !fixed;
            // What the server makes by itself is not declared, nor one attribute by two of its fields.
            let own = field.create_wire.as_deref() == Some("");
            let same = |other: &String| kind.field(other).is_some_and(|other| other.wire_name() == field.wire_name());
            if field.read_only
                || told
                || own
                || variant.omit.contains(name)
                || !applies(field, &variant.fixed)
                || out.keys().any(same)
            {
                continue;
            }
            if LEFT_OUT.iter().any(|(left, own, _)| *left == format!("{}/{}", kind.api, kind.name) && own == name) {
                continue;
            }
            let value = match variant.fixed.get(name) {
                Some(value) => Some(value.clone()),
                // References to what is local are to the same parent's.
                None if field.path_only && self.has_local(kind) => {
                    self.field_value(kind, name, field, tag, 0, &out, false)
                }
                None => self.field_value(kind, name, field, tag, number, &out, false),
            };
            out.extend(value.map(|value| (name.clone(), of_variant(field, value, &out))));
        }
        out
    }

    /// Whether a kind refers to objects that have to be below the parent that it has itself.
    fn has_local(&self, kind: &Kind) -> bool {
        let own = kind.spec.fields.values().filter(|field| !field.path_only && !field.not_sent);
        let mut targets = own.filter_map(FieldSpec::ref_spec).filter(|target| target.depth > 0);
        targets.any(|target| {
            target
                .kind
                .as_ref()
                .and_then(|name| self.api.kind(name))
                .is_some_and(|kind| !kind.spec.lookup && is_made(kind))
        })
    }

    #[expect(clippy::too_many_arguments, reason = "which value of which field of which object")]
    fn field_value(
        &mut self,
        kind: &Arc<Kind>,
        name: &str,
        field: &FieldSpec,
        tag: Tag,
        number: usize,
        beside: &Fields,
        minimal: bool,
    ) -> Option<Value> {
        let Some(hook) = kind.spec.hook.as_deref().and_then(hook::find) else {
            return self.sample_up_to(field, name, tag, number);
        };
        let (source, child) = hook.source();
        if name == source && !minimal {
            let target = self.api.kind(field.reference.as_ref()?.kind.as_deref()?)?.clone();
            let child = self.api.kind(child)?.clone();
            return Some(self.rich(&target, &child, [A, B][number.min(1)]).into());
        }
        if name != hook.field() {
            return self.sample_up_to(field, name, tag, number);
        }
        let refined = self.refined(kind, beside)?;
        let mut out = Fields::new();
        for (key, member) in refined.fields.iter().filter(|(_, member)| !minimal || member.immutable.is_some()) {
            out.extend(self.sample_up_to(member, key, tag, number).map(|value| (key.clone(), value)));
        }
        Some(out.into())
    }

    /// The type that a kind's hook gives its field.
    pub(super) fn refined(&self, kind: &Kind, spec: &Fields) -> Option<FieldSpec> {
        let hook = kind.spec.hook.as_deref().and_then(hook::find)?;
        let (source, child) = hook.source();
        let doc = self.docs.get(spec.get(source)?.as_str()?)?;
        let child = self.api.kind(child)?;
        let entries = doc.entries.get(&child.inside()?.field)?;
        let definitions: Vec<Definition> =
            entries.iter().map(|(_, entry)| Definition { fields: canonical(child, entry), live: false }).collect();
        Some(hook.refine(&definitions))
    }

    /// A reference to the object with this number that it may lead to.
    pub(super) fn reference(&mut self, spec: &RefSpec, number: usize) -> Option<String> {
        if spec.kinds.is_empty() {
            let kind = spec.kind.as_deref()?;
            let name = self.name_of(kind, number)?;
            return Some(if spec.wire_prefix.is_some() { format!("{kind}/{name}") } else { name });
        }
        let (word, kind) = spec.kinds.get_index(number)?;
        if kind.is_empty() { Some(format!("{word}/id:7")) } else { Some(format!("{kind}/{}", self.name_of(kind, 0)?)) }
    }

    fn name_of(&mut self, kind: &str, number: usize) -> Option<String> {
        let tag = [A, B].get(number).copied()?;
        match self.api.kind(kind).cloned() {
            None => Some(format!("id:{}", 7 + number)),
            Some(kind) if kind.spec.lookup || !is_made(&kind) => Some(self.lookup(&kind, number)),
            Some(kind) => Some(self.minimal(&kind, tag)),
        }
    }

    /// The whole key of an object of the sandbox. The first ones of a seed may be the caller's own: the last are taken.
    fn lookup(&mut self, kind: &Arc<Kind>, number: usize) -> String {
        let mut rows = self.sandbox.objects(&self.api.name, &kind.name);
        while rows.len() < 2 {
            let mut object = Fields::new();
            for (name, field) in kind.spec.fields.clone() {
                let target = field.reference.as_ref().and_then(|reference| reference.kind.clone());
                let value = match target {
                    Some(target) => self
                        .sandbox
                        .objects(&self.api.name, &target)
                        .first()
                        .map(|row| json!(format!("id:{}", row["id"].as_str().unwrap()))),
                    None => self.sample(&FieldSpec { read_only: false, ..field }, &name, SUBJECT, rows.len()),
                };
                object.extend(value.map(|value| (name, value)));
            }
            self.sandbox.add(&self.api.name, &kind.name, &object.into()).unwrap();
            rows = self.sandbox.objects(&self.api.name, &kind.name);
        }
        let row = &rows[rows.len() - 1 - number];
        let parts: Vec<String> = kind.spec.key.iter().map(|name| self.key_part(kind, name, row)).collect();
        format!("key:{}", parts.join("/"))
    }

    fn key_part(&self, kind: &Kind, name: &str, row: &Value) -> String {
        let field = kind.field(name).unwrap();
        let value = plumb::value::get_path(&row["attributes"], field.wire_name())
            .and_then(plumb::value::text)
            .unwrap_or_default();
        let Some(target) = field.reference.as_ref().and_then(|reference| self.api.kind(reference.kind.as_deref()?))
        else {
            return value.replace('\\', "\\\\").replace('/', "\\/");
        };
        let rows = self.sandbox.objects(&self.api.name, &target.name);
        let row = rows.iter().find(|row| row["id"] == value.as_str()).unwrap();
        self.key_part(target, target.spec.key.last().unwrap(), row)
    }
}

/// Whether plumb can make objects of a kind, or there is one from the beginning.
pub(super) fn is_made(kind: &Kind) -> bool {
    kind.spec.singleton || kind.can(Verb::Create)
}

/// An entry's fields with its references as placeholders, as a hook gets them.
fn canonical(kind: &Kind, entry: &Fields) -> Fields {
    let value = |name: &String, value: &Value| {
        let target = kind.field(name).and_then(|field| field.reference.as_ref()?.kind.clone());
        match (target, value.as_str().and_then(|text| text.split_once('/'))) {
            (Some(kind), Some((word, name))) if word == kind => reference(&kind, &Target::New(name.to_owned())),
            _ => value.clone(),
        }
    };
    entry.iter().map(|(name, given)| (name.clone(), value(name, given))).collect()
}

fn among(when: &plumb::description::format::Condition, value: Option<&Value>) -> bool {
    let value = value.unwrap_or(&Value::Null);
    (when.one_of.is_empty() || when.one_of.contains(value))
        && !when.not_in.contains(value)
        && (!when.present || !value.is_null())
}

/// Whether a condition on fields holds for these values.
pub(super) fn met(when: &plumb::description::format::Condition, fixed: &Fields) -> bool {
    when.field.as_ref().is_none_or(|by| among(when, fixed.get(by)))
}

/// Whether an object with these values has the field.
pub(super) fn applies(field: &FieldSpec, fixed: &Fields) -> bool {
    field.when.as_ref().is_none_or(|when| met(when, fixed))
}

/// Whether the server lets an object with these values have its own value in a field.
pub(super) fn is_forced(field: &FieldSpec, fixed: &Fields) -> bool {
    field.forced.iter().any(|rule| met(&rule.when, fixed))
}

/// An object with the members alone that it has beside these fields: those of the first variant where none says which.
fn of_variant(field: &FieldSpec, value: Value, beside: &Fields) -> Value {
    let nested = |value: Value| match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let spec = field.fields.get(&name).cloned().unwrap_or_default();
                let member = of_variant(&spec, member, &Fields::new());
                (name, member)
            })
            .collect(),
        other => other,
    };
    let (Some(variants), Value::Object(mut members)) = (&field.variants, value.clone()) else { return nested(value) };
    let word = variants.field.as_ref().and_then(|name| plumb::value::text(beside.get(name)?));
    let found = word.as_deref().and_then(|word| variants.of.get_key_value(word)).or(variants.of.first());
    let Some((word, variant)) = found else { return value };
    members.retain(|name, _| {
        let groups = variant.one_of.iter().flatten();
        variant.required.iter().chain(&variant.optional).chain(groups).any(|known| known == name)
    });
    if let Some(name) = &variants.member {
        members.insert(name.clone(), word.clone().into());
    }
    members.into()
}

/// The combinations of values that conditions look at: those with the most fields, freely chosen, first.
pub(super) fn variants(kind: &Kind) -> Vec<Variant> {
    let mut controllers: Vec<&String> = Vec::new();
    for field in kind.spec.fields.values() {
        let conditions =
            field.when.iter().chain(&field.required_when).chain(field.forced.iter().map(|rule| &rule.when));
        for by in conditions.filter_map(|condition| condition.field.as_ref()) {
            if !controllers.contains(&by) {
                controllers.push(by);
            }
        }
    }
    controllers.extend(kind.spec.fields.values().filter_map(|field| field.variants.as_ref()?.field.as_ref()));
    let mut out = vec![Variant::default()];
    // Rollouts have tests of their own.
    if let Some(rollout) = &kind.spec.rollout {
        out[0].fixed.insert(rollout.policy.clone(), "none".into());
    }
    // Of fields that contradict each other, one side is declared.
    let against = kind.spec.conflicts.iter().filter(|conflict| kind.field(&conflict.with).is_some());
    let sides: Vec<[Vec<String>; 2]> =
        against.map(|conflict| [conflict.fields.clone(), vec![conflict.with.clone()]]).collect();
    if !sides.is_empty() {
        let base = out.remove(0);
        for side in [0, 1] {
            let omit = sides.iter().flat_map(|sides| sides[side].clone()).collect();
            out.push(Variant { omit, ..base.clone() });
        }
    }
    for name in controllers {
        let Some(field) = kind.field(name) else { continue };
        let values =
            if field.ty == FieldType::Boolean { vec![true.into(), false.into()] } else { field.allowed.clone() };
        out = out
            .into_iter()
            .flat_map(|variant| {
                values.iter().map(move |value| {
                    let mut variant = variant.clone();
                    variant.fixed.insert(name.clone(), value.clone());
                    variant
                })
            })
            .collect();
    }
    let score = |variant: &Variant| {
        let free = |(name, field): &(&String, &FieldSpec)| {
            applies(field, &variant.fixed) && !is_forced(field, &variant.fixed) && !variant.omit.contains(name)
        };
        kind.spec.fields.iter().filter(free).count()
    };
    out.sort_by_key(|variant| std::cmp::Reverse(score(variant)));
    out
}
