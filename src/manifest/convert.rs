//! Nodes + field descriptions → typed values in canonical form.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    condition,
    faults::{Faults, Path, listed},
    node::{Mark, Member, Node, Scalar, Shape},
    reference,
    scalar::{self, Patterns},
    sensitive::{Plaintexts, is_source},
};
use crate::{
    description::{
        compiled::camel,
        format::{FieldSpec, FieldType, Sensitivity},
    },
    diagnostic::{Diagnostic, nearest},
    value::{self, Fields},
};

/// Turns the nodes of one document into values.
pub(super) struct Convert<'c, 't> {
    pub(super) faults: Faults<'t>,
    pub(super) patterns: &'c mut Patterns,
    pub(super) plaintexts: &'c mut Plaintexts,
    /// `--allow-plaintext-secrets`.
    pub(super) allow_plaintext: bool,
    /// `{file: PATH}` is a file wherever it stands in a free map: the kind has a hook that uploads it.
    pub(super) files_in_maps: bool,
    /// Fields that a create needs and that are not declared.
    pub(super) missing: Vec<String>,
}

/// What surrounds a value.
#[derive(Clone, Copy, Default)]
struct Around {
    /// Sensitivity of the collection that it is in.
    sensitive: Option<Sensitivity>,
    /// It is an item or a map's value: null needs no leave.
    inner: bool,
    /// It is in a list that is sent whole, so that what is required has to be there.
    whole: bool,
}

/// What a map of one member in a free map means.
enum Marked {
    /// A placeholder.
    As(Value),
    /// One that is wrong, and reported.
    Wrong,
    /// Nothing but itself.
    Not,
}

/// The fields that members may name.
#[derive(Clone, Copy)]
pub(super) struct Known<'s> {
    /// By name.
    pub(super) fields: &'s IndexMap<String, FieldSpec>,
    /// Attributes that are no fields, each with the reason.
    pub(super) not_fields: Option<[&'s IndexMap<String, String>; 2]>,
}

impl<'s> From<&'s IndexMap<String, FieldSpec>> for Known<'s> {
    fn from(fields: &'s IndexMap<String, FieldSpec>) -> Self {
        Self { fields, not_fields: None }
    }
}

impl<'t> Convert<'_, 't> {
    /// Converts the members of a map. `other` gets those that are no fields, and says whether it knows them.
    pub(super) fn fields<'n>(
        &mut self,
        members: &'n [Member<'t>],
        known: Known<'_>,
        path: &Path<'_>,
        other: &mut dyn FnMut(&mut Self, &'n Member<'t>) -> bool,
    ) -> Fields {
        self.members(members, known, path, Around::default(), other)
    }

    fn members<'n>(
        &mut self,
        members: &'n [Member<'t>],
        known: Known<'_>,
        path: &Path<'_>,
        around: Around,
        other: &mut dyn FnMut(&mut Self, &'n Member<'t>) -> bool,
    ) -> Fields {
        let mut out = Fields::with_capacity(members.len());
        for member in members {
            let here = Path::Field(path, &member.key);
            match known.fields.get(&*member.key) {
                Some(field) if field.read_only => {
                    let message = format!("`{here}` is set by the API; a manifest cannot declare it.");
                    self.faults.add(Diagnostic::error("PL0109", message).hint("Leave it out."), member.at);
                }
                Some(field) => {
                    if let Some(value) = self.value(&member.value, member.at, field, &here, around) {
                        out.insert(member.key.to_string(), value);
                    }
                }
                None if &*member.key == "valueFrom" && is_variable(known.fields) => {
                    if known.fields.contains_key("value") && members.iter().any(|other| other.key == "value") {
                        let message = format!("`{path}` has both `value` and `valueFrom`.");
                        self.faults.add(Diagnostic::error("PL0114", message).hint("Keep one of the two."), member.at);
                    } else if let Some(source) = self.value_from(&member.value, member.at, &here) {
                        out.insert("value".to_owned(), json!({ "$valueFrom": source }));
                    }
                }
                None => {
                    if !other(self, member) {
                        self.unknown_field(member, known, path);
                    }
                }
            }
        }
        out
    }

    /// Converts one value; nothing where it is wrong, which is reported.
    pub(super) fn field(&mut self, node: &Node<'t>, key: Mark, field: &FieldSpec, path: &Path<'_>) -> Option<Value> {
        self.value(node, key, field, path, Around::default())
    }

    fn value(
        &mut self,
        node: &Node<'t>,
        key: Mark,
        field: &FieldSpec,
        path: &Path<'_>,
        around: Around,
    ) -> Option<Value> {
        let sensitive = field.sensitive.or(around.sensitive);
        if node.is_null() {
            if around.inner || field.nullable || field.ty == FieldType::Any {
                return Some(Value::Null);
            }
            let message = format!("`{path}` cannot be null: the API does not let it be cleared.");
            let hint = "Leave the field out to leave it as it is.";
            self.faults.add(Diagnostic::error("PL0105", message).hint(hint), node.best(key));
            return None;
        }
        let inner = Around { sensitive, inner: true, whole: around.whole };
        match (&node.shape, field.ty) {
            (Shape::Scalar(scalar), ty) if sensitive == Some(Sensitivity::Always) => {
                if is_collection(ty) {
                    self.plaintexts.hide(self.faults.source, node);
                    self.wrong_type(node, key, ty, path);
                } else {
                    self.plaintext(scalar, node.at, path, true);
                }
                None
            }
            (Shape::Scalar(scalar), FieldType::File) if !scalar.text.is_empty() => {
                Some(json!({ "$file": { "path": scalar.text } }))
            }
            (Shape::Scalar(scalar), ty) => self.scalar(scalar, node.best(key), ty, field, path),
            (Shape::List(items), FieldType::List) => self.list(items, field, path, inner),
            (Shape::Map(members), FieldType::Object) if !field.fields.is_empty() => {
                let around = Around { sensitive, inner: false, whole: around.whole };
                let known = Known::from(&field.fields);
                let mut open = Vec::new();
                let mut fields = self.members(members, known, path, around, &mut |_, member| {
                    // The wire's spelling of a field that is described is a mistake, not a member of its own.
                    let free = field.open && !field.fields.values().any(|known| known.wire_name() == member.key);
                    if free {
                        open.push(member);
                    }
                    free
                });
                for member in open {
                    let here = Path::Field(path, &member.key);
                    if let Some(value) = self.verbatim(&member.value, member.at, &here, sensitive) {
                        fields.insert(member.key.to_string(), value);
                    }
                }
                self.requirements(&fields, members, &field.fields, path, around.whole.then_some(key));
                self.one_of(&fields, field, path, node.best(key));
                check_conditions(&fields, &field.fields, members, self);
                Some(Value::Object(fields))
            }
            (Shape::Map(members), FieldType::Map) if field.items.is_some() => {
                let items = field.items.as_deref()?;
                let mut out = Map::with_capacity(members.len());
                for member in members {
                    let here = Path::Field(path, &member.key);
                    if let Some(pattern) = &field.key_pattern
                        && !self.patterns.matches(pattern, &member.key)
                    {
                        let message =
                            format!("Keys of `{path}` have to match `{pattern}`; `{}` does not.", &member.key);
                        self.faults.error("PL0107", message, member.at);
                    }
                    if let Some(value) = self.value(&member.value, member.at, items, &here, inner) {
                        out.insert(member.key.to_string(), value);
                    }
                }
                Some(Value::Object(out))
            }
            (Shape::Map(_), FieldType::Map | FieldType::Object) | (Shape::Map(_) | Shape::List(_), FieldType::Any) => {
                self.verbatim(node, key, path, sensitive)
            }
            (Shape::Map(members), FieldType::File) => self.file(members, key, path),
            (Shape::Map(members), FieldType::Sink) => self.sink(members, key, path),
            (Shape::Map(members), ty) if !is_collection(ty) => self.sensitive(members, key, field, sensitive, path),
            (_, ty) => {
                self.wrong_type(node, key, ty, path);
                None
            }
        }
    }

    fn scalar(
        &mut self,
        scalar: &Scalar<'t>,
        at: Mark,
        ty: FieldType,
        field: &FieldSpec,
        path: &Path<'_>,
    ) -> Option<Value> {
        let value = match scalar::convert(scalar, ty) {
            Ok(value) => value,
            Err(expected) => {
                self.unexpected(scalar, at, expected, path);
                return None;
            }
        };
        let wrong = match (&value, &field.reference) {
            (Value::String(text), Some(_)) => reference::check(&path.to_string(), text, field).err(),
            _ => scalar::check(&path.to_string(), &value, field, self.patterns),
        };
        match wrong {
            None => Some(value),
            Some(diagnostic) => {
                self.faults.add(diagnostic, at);
                None
            }
        }
    }

    fn unexpected(&mut self, scalar: &Scalar<'_>, at: Mark, expected: &str, path: &Path<'_>) {
        let text: String = scalar.text.chars().take(40).collect();
        let found = if text.is_empty() { "empty text".to_owned() } else { format!("`{text}`") };
        let mut diagnostic = Diagnostic::error("PL0105", format!("`{path}` has to be {expected}; it is {found}."));
        let lower = text.to_lowercase();
        if expected.starts_with("`true`") {
            match lower.as_str() {
                "yes" | "on" | "y" | "true" => diagnostic = diagnostic.hint(format!("Write `{}: true`.", path.name())),
                "no" | "off" | "n" | "false" => {
                    diagnostic = diagnostic.hint(format!("Write `{}: false`.", path.name()));
                }
                _ => {}
            }
        } else if !scalar.plain && expected.contains("number") && text.parse::<f64>().is_ok() {
            diagnostic = diagnostic.hint("Leave the quotes out.");
        } else if expected == "a list" {
            diagnostic = diagnostic.hint(format!("Write `{}: [{text}]`.", path.name()));
        }
        self.faults.add(diagnostic, at);
    }

    fn wrong_type(&mut self, node: &Node<'_>, key: Mark, ty: FieldType, path: &Path<'_>) {
        let expected = match ty {
            FieldType::String => "text",
            FieldType::Integer => "a whole number",
            FieldType::Number => "a number",
            FieldType::Boolean => "`true` or `false`",
            FieldType::Date => "a day such as `2026-03-31`",
            FieldType::Datetime => "an instant such as `2026-03-31T12:00:00Z`",
            FieldType::Object | FieldType::Map => "a map",
            FieldType::List => "a list",
            FieldType::Ref => "a reference: the name of a manifest, or the natural key of an object",
            FieldType::File => "a file such as `{file: PATH}`",
            FieldType::Sink => "where to put it, such as `{file: PATH}`",
            FieldType::Any => "a value",
        };
        let message = format!("`{path}` has to be {expected}; it is {}.", node.describe());
        self.faults.error("PL0105", message, node.best(key));
    }

    fn list(&mut self, items: &[Node<'t>], field: &FieldSpec, path: &Path<'_>, around: Around) -> Option<Value> {
        let spec = field.items.as_deref()?;
        let around = Around { whole: field.keyed_by.is_none(), ..around };
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if let Some(value) = self.value(item, item.at, spec, &Path::Item(path, index), around) {
                out.push(value);
            }
        }
        if let Some(key) = &field.keyed_by
            && out.len() == items.len()
        {
            self.unique_items(items, &out, key, path);
        }
        Some(Value::Array(out))
    }

    /// Every item of a keyed list has its key, and no two have the same.
    fn unique_items(&mut self, items: &[Node<'t>], values: &[Value], key: &str, path: &Path<'_>) {
        let mut seen: IndexMap<String, Mark> = IndexMap::with_capacity(items.len());
        for (index, (item, value)) in items.iter().zip(values).enumerate() {
            let at = item.member(key).map_or(item.at, |member| member.value.best(member.at));
            let Some(text) = value.get(key).and_then(value::text) else {
                // One that is there and wrong is reported already.
                if is_written(item.as_map().unwrap_or_default(), key) {
                    continue;
                }
                let message = format!("`{path}[{index}]` needs `{key}`: it tells one entry from another.");
                self.faults.error("PL0108", message, item.at);
                continue;
            };
            if let Some(first) = seen.get(&text) {
                let first = self.faults.place(*first);
                let message = format!("`{path}` has two entries with the {key} `{text}`.");
                self.faults.add(Diagnostic::error("PL0116", message).see(Some(first), "it is here first"), at);
            } else {
                seen.insert(text, at);
            }
        }
    }

    /// Notes what a create needs and is not declared; an error at `whole` where it has to be there in any case. What is
    /// written and wrong is reported already.
    pub(super) fn requirements(
        &mut self,
        declared: &Fields,
        written: &[Member<'t>],
        fields: &IndexMap<String, FieldSpec>,
        path: &Path<'_>,
        whole: Option<Mark>,
    ) {
        for (name, field) in fields {
            let required = field.required
                || field
                    .required_when
                    .as_ref()
                    .is_some_and(|condition| condition::holds(condition, declared, fields) == Some(true));
            let wrong = || is_written(written, name);
            if required && !field.read_only && declared.get(name).is_none_or(Value::is_null) && !wrong() {
                let here = Path::Field(path, name).to_string();
                match whole {
                    Some(at) => self.faults.error("PL0108", format!("`{here}` is required."), at),
                    None => self.missing.push(here),
                }
            }
        }
    }

    /// Of some members of an object, one is declared and no more.
    fn one_of(&mut self, declared: &Fields, field: &FieldSpec, path: &Path<'_>, at: Mark) {
        let (names, fields) = (&field.one_of, &field.fields);
        let there = names.iter().filter(|name| declared.get(*name).is_some_and(|value| !value.is_null()));
        let count = there.count();
        if names.is_empty() || count == 1 {
            return;
        }
        let words: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let message = if count == 0 {
            format!("`{path}` needs {}.", words.join(" or "))
        } else {
            format!("`{path}` has {}: one of them is enough.", words.join(" and "))
        };
        let told = Diagnostic::error(if count == 0 { "PL0108" } else { "PL0118" }, message);
        // A reference among them takes what there is already; the others say what it is.
        let taken = names.iter().find(|name| fields.get(*name).is_some_and(|field| field.reference.is_some()));
        self.faults.add(
            match taken.filter(|_| count > 1) {
                Some(name) => told.hint(format!("`{name}` takes one that is there; leave it out to write one here.")),
                None => told,
            },
            at,
        );
    }

    fn file(&mut self, members: &[Member<'t>], key: Mark, path: &Path<'_>) -> Option<Value> {
        match members {
            [Member { key: word, value, .. }]
                if &**word == "file" && value.as_text().is_some_and(|p| !p.is_empty()) =>
            {
                Some(json!({ "$file": { "path": value.as_text() } }))
            }
            _ => {
                let message = format!("`{path}` has to be a file such as `{{file: PATH}}`.");
                let hint = "The path starts from the folder of the manifest.";
                self.faults.add(Diagnostic::error("PL0121", message).hint(hint), key);
                None
            }
        }
    }

    fn sink(&mut self, members: &[Member<'t>], key: Mark, path: &Path<'_>) -> Option<Value> {
        let message = match members {
            [Member { key: word, value, .. }]
                if &**word == "file" && value.as_text().is_some_and(|p| !p.is_empty()) =>
            {
                return Some(json!({ "$sink": { "file": value.as_text() } }));
            }
            [Member { key: word, value, .. }] if &**word == "secretRef" => {
                let part = |name: &str| {
                    value.member(name).and_then(|member| member.value.as_text()).filter(|text| !text.is_empty())
                };
                match (part("name"), part("key"), value.as_map().map(<[_]>::len)) {
                    (Some(name), Some(key), Some(2)) => {
                        return Some(json!({ "$sink": { "secretRef": { "name": name, "key": key } } }));
                    }
                    _ => {
                        format!("`{path}` has to name a Secret and its key: `{{secretRef: {{name: NAME, key: KEY}}}}`.")
                    }
                }
            }
            _ => format!("`{path}` has to say where the value goes, such as `{{file: PATH}}`."),
        };
        let hint = "Write `{file: PATH}`, whose path starts from the folder of the manifest, or \
                    `{secretRef: {name: NAME, key: KEY}}` for a Kubernetes Secret.";
        self.faults.add(Diagnostic::error("PL0140", message).hint(hint), key);
        None
    }

    /// Takes a value as it is, but for sensitive values and files in it.
    fn verbatim(
        &mut self,
        node: &Node<'t>,
        key: Mark,
        path: &Path<'_>,
        sensitive: Option<Sensitivity>,
    ) -> Option<Value> {
        match &node.shape {
            Shape::Scalar(scalar) => {
                if sensitive == Some(Sensitivity::Always) && !scalar.is_null() {
                    self.plaintext(scalar, node.at, path, true);
                    return None;
                }
                match scalar::convert(scalar, FieldType::Any) {
                    Ok(value) => Some(value),
                    Err(expected) => {
                        self.unexpected(scalar, node.best(key), expected, path);
                        None
                    }
                }
            }
            Shape::List(items) => Some(Value::Array(
                items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| self.verbatim(item, item.at, &Path::Item(path, index), sensitive))
                    .collect(),
            )),
            Shape::Map(members) => {
                if let [only] = members.as_slice() {
                    match self.marked(only, path, sensitive) {
                        Marked::As(value) => return Some(value),
                        Marked::Wrong => return None,
                        Marked::Not => {}
                    }
                }
                let mut out = Map::with_capacity(members.len());
                for member in members {
                    let here = Path::Field(path, &member.key);
                    if let Some(value) = self.verbatim(&member.value, member.at, &here, sensitive) {
                        out.insert(member.key.to_string(), value);
                    }
                }
                Some(Value::Object(out))
            }
        }
    }

    /// The meaning of a map of one member in a free map.
    fn marked(&mut self, only: &Member<'t>, path: &Path<'_>, sensitive: Option<Sensitivity>) -> Marked {
        let or_wrong = |value: Option<Value>| value.map_or(Marked::Wrong, Marked::As);
        match (&*only.key, &only.value.shape) {
            ("valueFrom", _) if sensitive.is_some() => {
                let source = self.value_from(&only.value, only.at, path);
                or_wrong(source.map(|source| json!({ "$valueFrom": source })))
            }
            ("valueFrom", Shape::Map(source)) if source.iter().any(|member| is_source(&member.key)) => {
                self.not_sensitive(path, only.at);
                Marked::Wrong
            }
            ("value", Shape::Scalar(scalar)) if sensitive.is_some() => {
                or_wrong(self.plaintext(scalar, only.value.at, path, false))
            }
            ("file", Shape::Scalar(scalar)) if self.files_in_maps && !scalar.text.is_empty() => {
                Marked::As(json!({ "$file": { "path": scalar.text } }))
            }
            ("$secret" | "$valueFrom" | "$ref" | "$file" | "$sink", _) => {
                let message = format!("`{path}` cannot be a map of `{}` alone: plumb uses that itself.", only.key);
                self.faults.error("PL0105", message, only.at);
                Marked::Wrong
            }
            _ => Marked::Not,
        }
    }

    fn unknown_field(&mut self, member: &Member<'t>, known: Known<'_>, path: &Path<'_>) {
        let name = &*member.key;
        let message = match path {
            Path::Root => format!("There is no field `{name}`."),
            path => format!("`{path}` has no field `{name}`."),
        };
        let mut diagnostic = Diagnostic::error("PL0104", message);
        let declarable = || known.fields.iter().filter(|(_, field)| !field.read_only);
        let by_wire = declarable().find(|(field_name, field)| {
            let camel = camel(name);
            field.wire_name() == name
                || field.create_wire.as_deref() == Some(name)
                || camel == **field_name
                || camel == camel_of(field)
                || camel.strip_suffix("Id").or(camel.strip_suffix("Ids")) == Some(field_name.as_str())
        });
        let near = by_wire
            .map(|(field_name, _)| field_name.as_str())
            .or_else(|| nearest(name, declarable().map(|(field_name, _)| field_name.as_str())));
        let reason = known.not_fields.and_then(|lists| {
            lists.iter().find_map(|list| list.iter().find(|(word, _)| *word == name || camel(word) == name))
        });
        if let Some((_, reason)) = reason {
            diagnostic = diagnostic.hint(format!("It is left out on purpose: {}.", reason.trim_end_matches('.')));
        } else if by_wire.is_some() {
            diagnostic = diagnostic.hint(format!("Write `{}`.", near.unwrap_or_default()));
        } else if let Some(near) = near {
            diagnostic = diagnostic.hint(format!("Did you mean `{near}`?"));
        } else if known.fields.len() <= 40 {
            diagnostic = diagnostic.hint(format!("It has {}.", listed(declarable().map(|(name, _)| name))));
        }
        // What may have been meant for a sensitive field is not shown either.
        if known.fields.values().any(FieldSpec::always_sensitive) {
            self.plaintexts.hide(self.faults.source, &member.value);
        }
        self.faults.add(diagnostic, member.at);
    }
}

/// Refuses fields that exist only where a condition holds, and it does not, and null where one is needed.
pub(super) fn check_conditions(
    declared: &Fields,
    fields: &IndexMap<String, FieldSpec>,
    members: &[Member<'_>],
    convert: &mut Convert<'_, '_>,
) {
    for member in members {
        if let Some(condition) = fields.get(&*member.key).and_then(|field| field.when.as_ref())
            && declared.get(&*member.key).is_some_and(|value| !value.is_null())
            && condition::holds(condition, declared, fields) == Some(false)
        {
            let message = format!("`{}` is only there where {}.", member.key, condition::describe(condition));
            convert.faults.error("PL0115", message, member.at);
        }
        if let Some(condition) = fields.get(&*member.key).and_then(|field| field.required_when.as_ref())
            && declared.get(&*member.key).is_some_and(Value::is_null)
            && condition::holds(condition, declared, fields) == Some(true)
        {
            let message = format!("`{}` cannot be null where {}.", member.key, condition::describe(condition));
            convert.faults.error("PL0105", message, member.at);
        }
    }
}

/// Whether an object is `{name, value}` whose value may be sensitive, so that `valueFrom` may stand in its place.
/// Whether a member is there and says something.
fn is_written(members: &[Member<'_>], name: &str) -> bool {
    members.iter().any(|member| member.key == name && !member.value.is_null())
}

fn is_variable(fields: &IndexMap<String, FieldSpec>) -> bool {
    fields.get("value").is_some_and(|field| field.sensitive.is_some())
}

fn is_collection(ty: FieldType) -> bool {
    matches!(ty, FieldType::Object | FieldType::Map | FieldType::List)
}

fn camel_of(field: &FieldSpec) -> String {
    camel(field.wire_name())
}
