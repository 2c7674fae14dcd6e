//! Kinds as the simulated API needs them: attributes found by any spelling that the vendor takes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use regex::Regex;

use super::store::Row;
use crate::description::{
    Api, Kind,
    compiled::respell,
    format::{DialectName, FieldSpec, FieldType, Naming},
};

/// A kind, and what is derived from its description once.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Arc<Kind>,
    /// Field by the normalised name of its attribute.
    by_wire: HashMap<String, String>,
    /// Attributes that the server owns, as described: passed over in bodies, null in answers.
    pub(super) ignored: Vec<String>,
    ignored_names: HashSet<String>,
    /// Attributes that carry the type of a reference, each with its field.
    pub(super) type_wires: HashMap<String, String>,
    /// Fields served by a relationship, each with the relationship's name.
    pub(super) relations: Vec<(String, String)>,
    /// Attributes that answers name a reference's target in, each with the reference's field.
    pub(super) names: Vec<(String, String)>,
    /// Field whose value is the id, unique within the container only.
    pub(super) local_id: Option<String>,
    /// Attribute that the rows are indexed by.
    pub(super) scope: Option<String>,
    pub(super) naming: Naming,
    /// Regular expressions of the fields, by their text.
    pub(super) patterns: HashMap<String, Regex>,
}

impl Shape {
    fn new(kind: &Arc<Kind>, naming: Naming) -> Self {
        let spec = &kind.spec;
        let mut by_wire = HashMap::new();
        let (mut type_wires, mut relations, mut names) = (HashMap::new(), Vec::new(), Vec::new());
        let ignored: Vec<String> = spec.ignored.keys().cloned().collect();
        let ignored_names: HashSet<String> = ignored.iter().map(|name| normal(name, naming)).collect();
        for (name, field) in &spec.fields {
            by_wire.entry(normal(field.wire_name(), naming)).or_insert_with(|| name.clone());
            if let Some(wire) = &field.create_wire {
                by_wire.insert(normal(wire, naming), name.clone());
            }
            if let Some(reference) = &field.reference {
                if let Some(wire) = &reference.type_wire {
                    type_wires.insert(normal(wire, naming), name.clone());
                }
                let stem = ["-id", "_id", "Id"].iter().find_map(|ending| field.wire_name().strip_suffix(ending));
                if let Some(named) = stem.map(|stem| format!("{stem}{}", respell("Name", naming)))
                    && (ignored_names.contains(&normal(&named, naming)) || is_read_only(kind, &named, naming))
                {
                    names.push((named, name.clone()));
                }
            }
            let relation = field.read.iter().find_map(|path| {
                let rest = path.strip_prefix("relationships.")?;
                rest.strip_suffix(".data[*].id").or_else(|| rest.strip_suffix(".data.id"))
            });
            if let Some(relation) = relation {
                relations.push((relation.to_owned(), name.clone()));
            }
        }
        let local_id = spec
            .id
            .path
            .iter()
            .find_map(|path| by_wire.get(&normal(path, naming)).cloned())
            .filter(|name| spec.fields.get(name).is_some_and(|field| !field.read_only || kind.spec.id.local))
            .or_else(|| spec.id.client.clone());
        let scope = spec
            .scope
            .as_ref()
            .map(|scope| scope.field.clone())
            .and_then(|field| spec.fields.get(&field))
            .map(|field| field.wire_name().to_owned());
        Self {
            kind: kind.clone(),
            by_wire,
            ignored,
            ignored_names,
            type_wires,
            relations,
            names,
            local_id,
            scope,
            naming,
            patterns: patterns(spec.fields.values().collect::<Vec<_>>().as_slice()),
        }
    }

    /// The field that an attribute of a body means.
    pub(super) fn field(&self, wire: &str) -> Option<(&str, &FieldSpec)> {
        let name = self.by_wire.get(&self.normal(wire))?;
        Some((name.as_str(), self.kind.spec.fields.get(name)?))
    }

    /// Whether fields are nested below a member of this name.
    pub(super) fn leads_on(&self, path: &str) -> bool {
        let before = format!("{}.", self.normal(path));
        self.by_wire.keys().any(|wire| wire.starts_with(&before))
    }

    /// The attribute that answers name the parent by, of the kind with this JSON:API type.
    pub(super) fn parent_wire(&self, parent_type: &str) -> Option<String> {
        let inside = self.kind.inside()?;
        let named = format!("{}{}", singular(parent_type), self.spell("Id"));
        inside.parent_wire.clone().or_else(|| self.is_ignored(&named).then_some(named))
    }

    /// Whether an attribute is the server's own.
    pub(super) fn is_ignored(&self, wire: &str) -> bool {
        self.ignored_names.contains(&self.normal(wire))
    }

    /// Whether answers have the attribute, as a field or as one of the server's own.
    pub(super) fn has(&self, wire: &str) -> bool {
        self.is_ignored(wire) || self.field(wire).is_some()
    }

    /// An attribute's name in the spelling that all spellings are compared in.
    pub(super) fn normal(&self, wire: &str) -> String {
        normal(wire, self.naming)
    }

    /// A lowerCamelCase name as the API spells it.
    pub(super) fn spell(&self, name: &str) -> String {
        respell(name, self.naming)
    }

    /// Whether bodies and answers are JSON:API.
    pub(super) fn is_jsonapi(&self) -> bool {
        self.kind.dialect == DialectName::Jsonapi
    }

    /// JSON:API type as answers spell it.
    pub(super) fn wire_type(&self) -> String {
        kebab(self.kind.spec.wire_type.as_deref().unwrap_or_default())
    }

    /// Name of the kind.
    pub(super) fn name(&self) -> &str {
        &self.kind.name
    }

    /// What people call an object: the last field of its key.
    pub(super) fn title_of(&self, row: &Row) -> Option<String> {
        row.text(self.kind.field(self.kind.spec.key.last()?)?.wire_name())
    }

    /// Fields whose values must not be seen, each by its attribute.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.kind.spec.fields.values().filter(|field| field.sensitive.is_some()).map(FieldSpec::wire_name)
    }
}

fn patterns(fields: &[&FieldSpec]) -> HashMap<String, Regex> {
    let mut out = HashMap::new();
    for field in fields {
        for pattern in field.pattern.iter().chain(&field.not_pattern) {
            if let Ok(regex) = Regex::new(&format!("^(?:{pattern})$")) {
                out.insert(pattern.clone(), regex);
            }
        }
        let inner: Vec<&FieldSpec> = field.items.iter().map(AsRef::as_ref).chain(field.fields.values()).collect();
        out.extend(patterns(&inner));
    }
    out
}

fn is_read_only(kind: &Kind, wire: &str, naming: Naming) -> bool {
    let wanted = normal(wire, naming);
    kind.spec.fields.values().any(|field| field.read_only && normal(field.wire_name(), naming) == wanted)
}

/// One spelling for all that a vendor takes: IT Glue documents kebab and snake case side by side.
pub(super) fn normal(wire: &str, naming: Naming) -> String {
    if naming != Naming::Kebab {
        return wire.to_owned();
    }
    let mut out = String::with_capacity(wire.len() + 2);
    for (at, letter) in wire.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 && !out.ends_with('-') {
            out.push('-');
        }
        out.push(if letter == '_' { '-' } else { letter.to_ascii_lowercase() });
    }
    out
}

/// The singular of a JSON:API type.
pub(super) fn singular(plural: &str) -> String {
    match plural.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

/// The kebab-case spelling of a name in snake case.
pub(super) fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// The shapes of an API's kinds, by name.
pub(super) fn shapes(api: &Api) -> HashMap<String, Arc<Shape>> {
    let naming = api.spec.naming.unwrap_or_else(|| api.spec.dialect.naming());
    api.kinds.iter().map(|(name, kind)| (name.clone(), Arc::new(Shape::new(kind, naming)))).collect()
}

/// Whether a field holds references, one or many.
pub(super) fn holds_references(field: &FieldSpec) -> bool {
    field.ty == FieldType::Ref || field.items.as_ref().is_some_and(|items| items.ty == FieldType::Ref)
}
