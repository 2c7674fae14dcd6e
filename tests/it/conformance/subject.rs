//! What is looked at: a kind on its own or inside a parent, and the places of its fields.

use std::sync::Arc;

use plumb::{
    address::escape,
    description::{
        Api, Kind, Specs,
        format::{FieldSpec, FieldType, Immutable, Verb},
    },
    value::{Fields, text},
};
use serde_json::Value;

use super::world::{Variant, applies, is_forced, is_made, variants};

/// A kind in one of the places where it can be declared.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) api: Arc<Api>,
    /// The manifest that describes the API, where it is not built in.
    pub(super) manifest: Option<&'static str>,
    pub(super) kind: Arc<Kind>,
    /// Kind of the manifest that it is inside.
    pub(super) parent: Option<Arc<Kind>>,
}

impl Case {
    /// All declarable kinds of an API; an entry inside each of its parents.
    pub(super) fn all(api: &Arc<Api>, manifest: Option<&'static str>) -> Vec<Self> {
        let mut out = Vec::new();
        for kind in api.kinds.values() {
            let of = |parent: Option<&Arc<Kind>>| Self {
                api: api.clone(),
                manifest,
                kind: kind.clone(),
                parent: parent.cloned(),
            };
            match kind.inside() {
                None if kind.is_declarable() && is_made(kind) => out.push(of(None)),
                None => {}
                Some(inside) => out.extend(inside.parents.keys().map(|parent| of(api.kind(parent)))),
            }
        }
        out
    }

    /// The kind as exemptions name it.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.api.name, self.kind.name)
    }

    /// The case in words.
    pub(super) fn title(&self) -> String {
        match &self.parent {
            Some(parent) => format!("{} in {}", self.name(), parent.name),
            None => self.name(),
        }
    }

    /// Every form in which an object of the kind can be created: what conditions look at, and each key.
    pub(super) fn forms(&self) -> Vec<Variant> {
        let mut out = variants(&self.kind);
        let keys: Vec<&Vec<String>> =
            std::iter::once(&self.kind.spec.key).chain(&self.kind.spec.key_fallbacks).collect();
        let named =
            |key: &Vec<String>| key.iter().all(|name| !self.kind.field(name).is_some_and(|field| field.not_sent));
        for number in (1..keys.len()).filter(|number| named(keys[*number])) {
            let other = |name: &&String| !keys[number].contains(name);
            let omit: Vec<String> = keys[..number].iter().flat_map(|key| key.iter().filter(other).cloned()).collect();
            // By a key that stands for what a create needs, objects are found only.
            if !omit.iter().any(|name| self.kind.field(name).is_some_and(|field| field.required)) {
                out.push(Variant { omit, ..Variant::default() });
            }
        }
        out
    }

    /// As few forms as have every field, freely chosen, in at least one of them.
    pub(super) fn covering(&self) -> Vec<Variant> {
        let mut left: Vec<&String> = self.kind.spec.fields.keys().collect();
        let mut out = Vec::new();
        for variant in variants(&self.kind) {
            let free = |name: &&String| {
                !variant.omit.contains(name)
                    && self
                        .kind
                        .field(name)
                        .is_some_and(|field| applies(field, &variant.fixed) && !is_forced(field, &variant.fixed))
            };
            let before = left.len();
            left.retain(|name| !free(name));
            if left.len() < before {
                out.push(variant);
            }
        }
        out
    }
}

/// One value below `spec` that can be declared by itself.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Name of the field that it is in.
    pub(crate) field: String,
    /// Where it is, as a JSON pointer.
    pub(crate) at: String,
    /// What a plan calls a change of it: an entry of a keyed list changes as a whole.
    pub(crate) path: String,
    pub(crate) spec: FieldSpec,
    pub(crate) immutable: Option<Immutable>,
    /// Where the server keeps it, as a JSON pointer below the attributes; an entry of a list is kept with the list.
    pub(crate) kept: String,
}

/// What a change of a leaf means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Update,
    Replace,
    Refused(&'static str),
    Nothing,
}

impl Leaf {
    /// The leaf as exemptions name it.
    pub(crate) fn name(&self) -> String {
        self.at.trim_start_matches('/').replace('/', ".")
    }

    /// What the description says about a change.
    pub(crate) fn meaning(&self, kind: &Kind) -> Meaning {
        let anew = kind.can(Verb::Delete) && kind.can(Verb::Create);
        match self.immutable {
            Some(Immutable::CreateOnly) => Meaning::Nothing,
            Some(Immutable::Refuse) => Meaning::Refused("PL0515"),
            _ if self.spec.not_sent => Meaning::Nothing,
            Some(Immutable::Replace) if anew => Meaning::Replace,
            None if kind.can(Verb::Update) => Meaning::Update,
            None if anew => Meaning::Replace,
            _ => Meaning::Refused("PL0513"),
        }
    }

    /// Whether answers have the field at all, as far as its description says.
    pub(crate) fn is_described_readable(&self, kind: &Kind) -> bool {
        !self.spec.write_only && !self.spec.path_only && !self.is_id(kind)
    }

    /// Whether it is what the object goes by: another one is another object.
    pub(crate) fn is_id(&self, kind: &Kind) -> bool {
        kind.spec.id.local && kind.spec.id.path.iter().any(|path| path == self.spec.wire_name())
    }
}

/// The leaves of an object that declares these fields.
pub(crate) fn leaves(specs: &Specs, spec: &Fields, fixed: &Fields) -> Vec<Leaf> {
    let mut out = Vec::new();
    for (name, field) in specs {
        if let Some(value) = spec.get(name)
            && !is_forced(field, fixed)
        {
            let kept = format!("/{}", field.wire_name().replace('.', "/"));
            let leaf = Leaf {
                field: name.clone(),
                at: format!("/{}", escape(name)),
                path: format!("/{}", escape(name)),
                spec: field.clone(),
                immutable: field.immutable,
                kept,
            };
            collect(leaf, value, &mut out);
        }
    }
    out
}

fn collect(leaf: Leaf, value: &Value, out: &mut Vec<Leaf>) {
    let spec = leaf.spec.clone();
    let any = FieldSpec {
        ty: FieldType::Any,
        nullable: spec.nullable,
        write_only: spec.write_only,
        sensitive: spec.sensitive,
        ..FieldSpec::default()
    };
    match (spec.ty, value) {
        (FieldType::Object, Value::Object(members)) => {
            for (name, value) in members {
                let member = spec.fields.get(name).unwrap_or(&any);
                let wire = if spec.fields.contains_key(name) { member.wire_name() } else { name };
                // The members of a hook's field are marked by what is no rule about changes.
                let immutable = member.immutable.filter(|_| spec.sensitive.is_none()).or(leaf.immutable);
                let below = Leaf {
                    at: format!("{}/{}", leaf.at, escape(name)),
                    path: format!("{}/{}", leaf.path, escape(name)),
                    kept: format!("{}/{}", leaf.kept, escape(wire)),
                    spec: member.clone(),
                    immutable,
                    ..leaf.clone()
                };
                collect(below, value, out);
            }
        }
        (FieldType::Map, Value::Object(members)) => {
            let items = spec.items.as_deref().unwrap_or(&any);
            for (name, value) in members {
                let below = Leaf {
                    at: format!("{}/{}", leaf.at, escape(name)),
                    path: format!("{}/{}", leaf.path, escape(name)),
                    kept: format!("{}/{}", leaf.kept, escape(name)),
                    spec: items.clone(),
                    ..leaf.clone()
                };
                collect(below, value, out);
            }
        }
        (FieldType::List, Value::Array(entries)) if spec.keyed_by.is_some() => {
            let Some(items) = spec.items.as_deref() else { return };
            for (place, entry) in entries.iter().enumerate() {
                let key = spec.keyed_by.as_ref().and_then(|key| text(&entry[key])).unwrap_or_default();
                for (name, member) in items.fields.iter().filter(|(name, _)| Some(*name) != spec.keyed_by.as_ref()) {
                    if entry.get(name).is_some() {
                        out.push(Leaf {
                            at: format!("{}/{place}/{}", leaf.at, escape(name)),
                            path: format!("{}/{}", leaf.path, escape(&key)),
                            kept: leaf.kept.clone(),
                            spec: member.clone(),
                            ..leaf.clone()
                        });
                    }
                }
            }
        }
        _ => out.push(leaf),
    }
}
