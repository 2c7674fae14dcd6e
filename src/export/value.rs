//! Canonical values → nodes in the natural form that manifests have, with what cannot be written said in its place.

use serde_json::Value;

use super::{
    node::{Item, Member, Node},
    reference::Site,
    stub::Stubs,
    world::World,
};
use crate::{
    description::{
        equal,
        format::{FieldSpec, FieldType, Sensitivity},
    },
    diff::holds,
    manifest::Fitting,
    value::{as_reference, file, has_secret, is_empty, secret_hash, text},
};

/// Why a value is left out, in words that follow its name.
pub(super) type Why = String;

/// Writes the values of one object or entry.
pub(super) struct Values<'w, 's> {
    pub(super) world: &'w World<'w>,
    pub(super) site: Site<'s>,
    pub(super) fitting: &'w mut Fitting,
    pub(super) stubs: &'w mut Stubs,
    /// Whether a text has a secret in it.
    pub(super) is_secret: &'w dyn Fn(&str) -> bool,
    /// What may be sensitive becomes a stub too.
    pub(super) redact: bool,
}

/// What became of a value.
pub(super) enum Written {
    /// It is written so, perhaps with a remark.
    As(Node, Option<String>),
    /// There is nothing to write.
    Nothing,
}

impl Values<'_, '_> {
    /// Writes a value; `path` names it within its object.
    pub(super) fn value(&mut self, spec: &FieldSpec, value: &Value, path: &[&str]) -> Result<Written, Why> {
        if is_empty(value) && !matches!(spec.ty, FieldType::Any) {
            return Ok(Written::Nothing);
        }
        if secret_hash(value).is_some() || spec.always_sensitive() {
            return Ok(Written::As(self.stubs.add(path, false), None));
        }
        if let Some((kind, target)) = as_reference(value) {
            let written = self.world.reference(spec, kind, &target, &self.site);
            return Ok(
                written.map_or(Written::Nothing, |written| Written::As(Node::text(written.text), written.remark))
            );
        }
        if file(value).is_some() {
            return Ok(Written::Nothing);
        }
        if spec.mask.is_some() && spec.mask.as_deref() == value.as_str() {
            return Ok(Written::As(self.stubs.add(path, false), None));
        }
        match (spec.ty, value) {
            (FieldType::Object, Value::Object(members)) if !spec.fields.is_empty() => self.object(spec, members, path),
            (FieldType::Map | FieldType::Object, Value::Object(members)) => self.map(spec, members, path),
            (FieldType::List, Value::Array(items)) => self.list(spec, items, path),
            (FieldType::Any, _) => self.free(value, spec.sensitive, path).map(|node| Written::As(node, None)),
            _ => self.scalar(spec, value, path),
        }
    }

    fn scalar(&mut self, spec: &FieldSpec, value: &Value, path: &[&str]) -> Result<Written, Why> {
        if spec.sensitive == Some(Sensitivity::Allowed) && (self.redact || is_masked(value)) {
            return Ok(Written::As(self.stubs.add(path, false), None));
        }
        let mut value = match (spec.ty, value) {
            (FieldType::String | FieldType::Date | FieldType::Datetime, other) if !other.is_string() => {
                text(other).map_or_else(|| other.clone(), Value::String)
            }
            (_, other) => other.clone(),
        };
        if spec.ty == FieldType::Datetime
            && let Value::String(words) = &value
            && words.parse::<jiff::Timestamp>().is_err()
            && words.parse::<jiff::civil::DateTime>().is_ok()
        {
            value = Value::String(format!("{words}Z"));
        }
        if let Some(why) = self.fitting.misfit(path.last().unwrap_or(&""), &value, spec) {
            return Err(format!("has a value that a manifest cannot have: {}", why.trim_end_matches('.')));
        }
        self.refuse_secrets(&value)?;
        Ok(Written::As(Node::Scalar(value), None))
    }

    fn refuse_secrets(&self, value: &Value) -> Result<(), Why> {
        match value {
            Value::String(words) if (self.is_secret)(words) => Err("has a secret in it".into()),
            _ => Ok(()),
        }
    }

    fn object(
        &mut self,
        spec: &FieldSpec,
        members: &serde_json::Map<String, Value>,
        path: &[&str],
    ) -> Result<Written, Why> {
        let mut out = Vec::new();
        let only = self.only_one(spec, members);
        for (name, member) in &spec.fields {
            let Some(value) = members.get(name) else { continue };
            let absent = member.when.as_ref().is_some_and(|when| !holds(&spec.fields, when, members, members));
            let said = only.is_some_and(|only| only != name && spec.one_of.contains(name));
            if absent || said || member.read_only || member.not_sent || is_default(member, value) && !member.required {
                continue;
            }
            // As in `env` of Kubernetes, a stub stands in the place of the value.
            let variable = name == "value" && member.sensitive.is_some();
            let below = if variable { path.to_vec() } else { [path, &[name.as_str()]].concat() };
            match self.value(member, value, &below) {
                Ok(Written::As(node, remark)) => out.push(match node {
                    Node::Map(mut stub) if variable && is_stub(&stub) => stub.remove(0),
                    node => Member { remark, ..Member::of(name, node) },
                }),
                Ok(Written::Nothing) => {}
                Err(why) => out.push(left_out(name, &why)),
            }
        }
        let mut more: Vec<&String> = members.keys().filter(|name| !spec.fields.contains_key(*name)).collect();
        more.sort();
        for name in more {
            let Some(value) = members.get(name).filter(|value| !value.is_null()) else { continue };
            let below = [path, &[name.as_str()]].concat();
            out.push(match self.free(value, spec.sensitive, &below) {
                Ok(node) => Member::of(name, node),
                Err(why) => left_out(name, &why),
            });
        }
        finished(out)
    }

    /// Which of several members a manifest has, of those that it may have one of: the one that names what is there.
    fn only_one<'n>(&self, spec: &'n FieldSpec, members: &serde_json::Map<String, Value>) -> Option<&'n String> {
        let there = |name: &&String| members.get(*name).is_some_and(|value| !is_empty(value));
        let several: Vec<&String> = spec.one_of.iter().filter(there).collect();
        let names = |name: &&&String| {
            let target = members.get(**name).and_then(as_reference);
            target.is_some_and(|(kind, target)| self.world.target(self.site.from, kind, &target).is_some())
        };
        several.iter().find(names).or_else(|| several.last()).filter(|_| several.len() > 1).copied()
    }

    fn map(
        &mut self,
        spec: &FieldSpec,
        members: &serde_json::Map<String, Value>,
        path: &[&str],
    ) -> Result<Written, Why> {
        let mut names: Vec<&String> = members.keys().collect();
        names.sort();
        let mut out = Vec::new();
        for name in names {
            let Some(value) = members.get(name).filter(|value| !value.is_null()) else { continue };
            let below = [path, &[name.as_str()]].concat();
            let written = match spec.items.as_deref() {
                Some(items) => {
                    let items = FieldSpec { sensitive: items.sensitive.or(spec.sensitive), ..items.clone() };
                    self.value(&items, value, &below)
                }
                None => self.free(value, spec.sensitive, &below).map(|node| Written::As(node, None)),
            };
            match written {
                Ok(Written::As(node, remark)) => out.push(Member { remark, ..Member::of(name, node) }),
                // A map's entry may well be an empty text.
                Ok(Written::Nothing) if value.is_string() => out.push(Member::of(name, Node::Scalar(value.clone()))),
                Ok(Written::Nothing) => {}
                Err(why) => out.push(left_out(name, &why)),
            }
        }
        if let [only] = out.as_slice() {
            refuse_marks(&only.key, spec.sensitive)?;
        }
        finished(out)
    }

    fn list(&mut self, spec: &FieldSpec, items: &[Value], path: &[&str]) -> Result<Written, Why> {
        let any = FieldSpec { ty: FieldType::Any, ..FieldSpec::default() };
        let item_spec = spec.items.as_deref().unwrap_or(&any);
        let mut out = Vec::new();
        for (place, value) in items.iter().enumerate() {
            let key = spec.keyed_by.as_ref().and_then(|key| value.get(key)).and_then(text);
            let place = key.unwrap_or_else(|| place.to_string());
            let below = [path, &[place.as_str()]].concat();
            match self.value(item_spec, value, &below)? {
                Written::As(node, remark) => out.push(Item { remark, ..Item::of(node) }),
                Written::Nothing if value.is_string() => out.push(Item::of(Node::Scalar(value.clone()))),
                Written::Nothing => {}
            }
        }
        if spec.set {
            out.sort_by_key(|item| item.value.as_ref().map(|node| node.value().to_string()));
            out.dedup();
        }
        Ok(if out.is_empty() { Written::Nothing } else { Written::As(Node::List(out), None) })
    }

    /// Any JSON, as it is.
    fn free(&mut self, value: &Value, sensitive: Option<Sensitivity>, path: &[&str]) -> Result<Node, Why> {
        if secret_hash(value).is_some() || sensitive == Some(Sensitivity::Always) && value.is_string() {
            return Ok(self.stubs.add(path, false));
        }
        match value {
            Value::Array(items) => {
                let mut out = Vec::new();
                for (place, item) in items.iter().enumerate() {
                    let place = place.to_string();
                    out.push(Item::of(self.free(item, sensitive, &[path, &[place.as_str()]].concat())?));
                }
                Ok(Node::List(out))
            }
            Value::Object(map) => {
                if let (1, Some(only)) = (map.len(), map.keys().next()) {
                    refuse_marks(only, sensitive)?;
                }
                let mut names: Vec<&String> = map.keys().collect();
                names.sort();
                let mut out = Vec::new();
                for name in names {
                    let below = [path, &[name.as_str()]].concat();
                    let value = map.get(name).unwrap_or(&Value::Null);
                    out.push(Member::of(name, self.free(value, sensitive, &below)?));
                }
                Ok(Node::Map(out))
            }
            Value::String(words) if sensitive.is_some() && (self.redact && !words.is_empty() || is_masked(value)) => {
                Ok(self.stubs.add(path, false))
            }
            scalar => {
                if has_secret(scalar) {
                    return Err("has a secret in it".into());
                }
                self.refuse_secrets(scalar)?;
                Ok(Node::Scalar(scalar.clone()))
            }
        }
    }
}

/// Whether members are those of a stub.
pub(super) fn is_stub(members: &[Member]) -> bool {
    matches!(members, [only] if only.key == "valueFrom")
}

/// Whether a value is shown as a mask: what it is has to be filled in.
fn is_masked(value: &Value) -> bool {
    let words = value.as_str().unwrap_or_default();
    words.chars().count() > 2 && words.chars().all(|letter| matches!(letter, '*' | '•'))
}

/// What stands in the place of a member that is left out.
pub(super) fn left_out(name: &str, why: &str) -> Member {
    Member::comment(format!("`{name}` is left out: it {why}."))
}

/// Members as a map; the reason where comments are all that is left.
fn finished(members: Vec<Member>) -> Result<Written, Why> {
    if members.is_empty() {
        return Ok(Written::Nothing);
    }
    if members.iter().all(|member| member.value.is_none()) {
        return Err("has nothing in it that a manifest can have".into());
    }
    Ok(Written::As(Node::Map(members), None))
}

/// Refuses maps of one member that manifests take for something else.
fn refuse_marks(only: &str, sensitive: Option<Sensitivity>) -> Result<(), Why> {
    let means_more = match only {
        "$secret" | "$valueFrom" | "$ref" | "$file" | "valueFrom" | "file" => true,
        "value" => sensitive.is_some(),
        _ => false,
    };
    if means_more {
        return Err(format!("has a map of `{only}` alone in it, which would mean something else in a manifest"));
    }
    Ok(())
}

/// Whether a value is what the server fills in anyway, or nothing.
pub(super) fn is_default(spec: &FieldSpec, value: &Value) -> bool {
    is_empty(value) || spec.default.as_ref().is_some_and(|default| equal(spec, value, default))
}
