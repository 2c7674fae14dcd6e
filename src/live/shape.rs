//! Fields whose types a hook gives, object by object: typed, renamed, resolved, read again.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Standing,
    observe::{Observer, Stop},
};
use crate::{
    description::{
        Specs,
        format::FieldSpec,
        hook::{self, Definition},
    },
    dialect::{self, decode},
    graph::{Meaning, uses_of},
    manifest::Manifest,
    value::{self, Fields, Target, as_reference, secret_hash, text, value_from},
};

impl Observer<'_> {
    /// The types of an object's fields, with those that a hook gives.
    pub(super) fn types(
        &mut self,
        index: usize,
        connection: &Arc<str>,
        hook: &dyn hook::Hook,
        canonical: &Fields,
    ) -> Result<Arc<Specs>, Stop> {
        let kind = &self.manifests.objects[index].kind;
        let (field, _) = hook.source();
        let source = self
            .graph
            .uses
            .get(index)
            .and_then(|uses| uses.iter().find(|found| found.pointer == format!("/{field}")))
            .and_then(|found| match found.target {
                Meaning::Declared(index) => Some(index),
                Meaning::Live(_) => None,
            });
        let by = (connection.clone(), kind.name.clone(), canonical.get(field).cloned().unwrap_or_default(), source);
        if let Some(known) = self.typed.get(&by) {
            return Ok(known.clone());
        }
        let mut specs = kind.spec.fields.clone();
        let definitions = self.definitions(index, connection, hook, canonical, source)?;
        specs.insert(hook.field().to_owned(), hook.refine(&definitions));
        let specs = Arc::new(specs);
        self.typed.insert(by, specs.clone());
        Ok(specs)
    }

    /// The definitions that a hook needs for one object.
    fn definitions(
        &self,
        index: usize,
        connection: &Arc<str>,
        hook: &dyn hook::Hook,
        canonical: &Fields,
        source: Option<usize>,
    ) -> Result<Vec<Definition>, Stop> {
        let object = &self.manifests.objects[index];
        let (field, child) = hook.source();
        let Some((source_kind, target)) = canonical.get(field).and_then(as_reference) else {
            return Err(Stop::Fail(vec![self.about(
                object,
                "",
                "PL0110",
                format!("`{field}` is needed to know the fields of `{}`.", hook.field()),
            )]));
        };
        let source_kind = source_kind.to_owned();
        let mut definitions: Vec<Definition> = Vec::new();
        if let Target::Id(id) = &target {
            self.children_read(connection, child, &source_kind, id)?;
            let slot = (connection.clone(), child.to_owned(), id.clone());
            let entries = self.children.get(&slot).into_iter().flatten();
            definitions.extend(
                entries
                    .filter_map(|entry| self.out.objects.get(*entry))
                    .map(|live| Definition { fields: live.fields.clone(), live: true }),
            );
        }
        // What is declared is laid over what is live.
        let entries = source.and_then(|source| self.entries.get(&source)).cloned().unwrap_or_default();
        for entry in entries {
            let declared = &self.manifests.objects[entry];
            if declared.kind.name != child {
                continue;
            }
            let known = match self.out.standing.get(entry) {
                Some(Standing::Known(known)) => *known,
                Some(Standing::Waiting) => return Err(Stop::Wait),
                _ => return Err(Stop::Fail(Vec::new())),
            };
            let fields = self.out.canonical.get(entry).cloned().unwrap_or_default();
            match known.and_then(|live| self.out.objects.get(live)) {
                Some(live) => {
                    let key = live.kind.spec.key.first().cloned().unwrap_or_default();
                    let name = live.fields.get(&key);
                    if let Some(there) = definitions.iter_mut().find(|there| there.fields.get(&key) == name) {
                        there.fields.extend(fields);
                    }
                }
                None => definitions.push(Definition { fields, live: false }),
            }
        }
        Ok(definitions)
    }

    /// Types an object's hook field and resolves the references in it.
    pub(super) fn refine(
        &mut self,
        index: usize,
        hook: &dyn hook::Hook,
        specs: &Specs,
        canonical: Fields,
    ) -> Result<(Fields, Vec<usize>), Stop> {
        let object = &self.manifests.objects[index];
        let Some(refined) = specs.get(hook.field()) else { return Ok((canonical, Vec::new())) };
        let mut own = Fields::new();
        let mut wrong = Vec::new();
        if let Some(Value::Object(members)) = object.spec.get(hook.field()) {
            let (named, unknown) = rename_members(refined, members);
            for name in unknown {
                let mut bad = self.about(
                    object,
                    &format!("/{}/{}", hook.field(), crate::address::escape(&name)),
                    "PL0111",
                    format!("`{name}` is no field of this object's type."),
                );
                if let Some(near) = crate::diagnostic::nearest(&name, refined.fields.keys().map(String::as_str)) {
                    bad = bad.hint(format!("Did you mean `{near}`?"));
                } else {
                    let known: Vec<String> = refined.fields.keys().map(|name| format!("`{name}`")).collect();
                    bad = bad.hint(format!("It has {}.", known.join(", ")));
                }
                wrong.push(bad);
            }
            for (name, value) in &named {
                if let Some(member) = refined.fields.get(name)
                    && let Some(why) = misfit(member, value)
                {
                    wrong.push(self.about(object, &format!("/{}", hook.field()), "PL0103", format!("`{name}` {why}.")));
                }
            }
            own.insert(hook.field().to_owned(), Value::Object(typed_members(refined, named)));
        }
        for name in ignored_members(object, hook) {
            if member_named(refined, name).is_none() {
                let known: Vec<String> = refined.fields.keys().map(|name| format!("`{name}`")).collect();
                let message =
                    format!("`{name}`, whose drift is to be ignored, is no field of `{}`'s type.", object.address);
                wrong.push(self.about(object, "", "PL0119", message).hint(format!("It has {}.", known.join(", "))));
            }
        }
        if !wrong.is_empty() {
            return Err(Stop::Fail(wrong));
        }
        let mut diagnostics = Vec::new();
        let only = Manifest { spec: own.clone(), ..object.clone() };
        let uses = uses_of(&only, None, specs, &self.graph.names, self.sources, &mut diagnostics);
        if !diagnostics.is_empty() {
            return Err(Stop::Fail(diagnostics));
        }
        let resolved = self.put_references(index, specs, &own, &uses, &canonical)?;
        let late = uses
            .iter()
            .filter_map(|found| match found.target {
                Meaning::Declared(target) => Some(target),
                Meaning::Live(_) => None,
            })
            .collect();
        let mut canonical = canonical;
        canonical.extend(resolved);
        Ok((canonical, late))
    }

    /// Reads a live object's hook field again, with its types.
    pub(super) fn redecode(&mut self, live: usize, field: &str, specs: &Specs) {
        let seal = self.seal;
        if let Some(object) = self.out.objects.get_mut(live)
            && let Some(spec) = specs.get(field)
            && let Some(raw) = &object.raw
        {
            let wire = object.kind.field(field).and_then(|own| dialect::attribute(&object.kind, raw, own.wire_name()));
            if let Some(wire) = wire {
                object.fields.insert(field.to_owned(), decode(spec, &wire, &seal));
            }
        }
    }
}

/// Puts members under the names that the hook gives them: they may be written by their definition's own name.
fn rename_members(refined: &FieldSpec, members: &Fields) -> (Fields, Vec<String>) {
    let mut named = Fields::new();
    let mut unknown = Vec::new();
    for (name, value) in members {
        match member_named(refined, name) {
            Some(key) => {
                named.insert(key.to_owned(), value.clone());
            }
            None => unknown.push(name.clone()),
        }
    }
    (named, unknown)
}

/// The name that the hook gives to a member, which may be written by its definition's own name.
fn member_named<'s>(refined: &'s FieldSpec, name: &str) -> Option<&'s str> {
    let by_key = refined.fields.get_key_value(name);
    let by_title = || refined.fields.iter().find(|(_, member)| member.description.as_deref() == Some(name));
    by_key.or_else(by_title).map(|(key, _)| key.as_str())
}

/// Members of the hook's field whose drift a manifest ignores, as it writes them.
fn ignored_members<'m>(object: &'m Manifest, hook: &dyn hook::Hook) -> impl Iterator<Item = &'m str> {
    let field = hook.field();
    object.annotations.ignore_drift.iter().filter_map(move |path| below_field(path, field))
}

fn below_field<'p>(path: &'p str, field: &str) -> Option<&'p str> {
    path.strip_prefix("spec.").unwrap_or(path).strip_prefix(field)?.strip_prefix('.')
}

/// The paths of a manifest whose drift is ignored, with members under the names that a hook gives them.
pub fn ignored_paths(object: &Manifest, specs: &Specs) -> Vec<String> {
    let own = &object.annotations.ignore_drift;
    let Some(hook) = object.kind.spec.hook.as_deref().and_then(hook::find) else { return own.clone() };
    let field = hook.field();
    let named = |path: &String| {
        let key = below_field(path, field).and_then(|name| member_named(specs.get(field)?, name));
        key.map_or_else(|| path.clone(), |key| format!("{field}.{key}"))
    };
    own.iter().map(named).collect()
}

/// What is wrong with a member's value, in words that follow its name.
fn misfit(member: &FieldSpec, value: &Value) -> Option<String> {
    use crate::description::format::FieldType;
    if value.is_null() {
        return (!member.nullable).then(|| "cannot be null: every object of this type needs it".into());
    }
    let secret = secret_hash(value).is_some() || value_from(value).is_some();
    if member.always_sensitive() && !secret {
        return Some("is a password: write it as `{valueFrom: {env: NAME}}`".into());
    }
    if !member.always_sensitive() && secret {
        return Some("is not sensitive and takes no `valueFrom`".into());
    }
    let fits = match member.ty {
        FieldType::String | FieldType::Date => !(value.is_object() || value.is_array()) || secret,
        FieldType::Number | FieldType::Integer => text(value).is_some_and(|words| words.parse::<f64>().is_ok()),
        FieldType::Boolean => matches!(text(value).as_deref(), Some("true" | "false")),
        FieldType::File => value::file(value).is_some(),
        _ => true,
    };
    if !fits {
        let wanted = match member.ty {
            FieldType::File => "a file: `{file: PATH}`",
            FieldType::Number | FieldType::Integer => "a number",
            FieldType::Boolean => "`true` or `false`",
            _ => "a text",
        };
        return Some(format!("must be {wanted}"));
    }
    if !member.allowed.is_empty() && !member.allowed.iter().any(|word| text(word) == text(value)) {
        let words: Vec<String> = member.allowed.iter().filter_map(text).map(|word| format!("`{word}`")).collect();
        return Some(format!("must be one of {}", words.join(", ")));
    }
    None
}

/// Members with their scalars in the types that the hook gives them.
fn typed_members(refined: &crate::description::format::FieldSpec, members: Fields) -> Fields {
    use crate::description::format::FieldType;
    members
        .into_iter()
        .map(|(name, value)| {
            let typed = match refined.fields.get(&name).map(|member| member.ty) {
                Some(FieldType::String | FieldType::Date) if value.is_number() || value.is_boolean() => {
                    text(&value).map_or(value, Value::String)
                }
                _ => value,
            };
            (name, typed)
        })
        .collect()
}
