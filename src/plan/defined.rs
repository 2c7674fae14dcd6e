//! Entries that a type defines: what another type does not know goes with the old one, and what does not fit is told.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    build::Builder,
    step::{Operation, Step},
};
use crate::{
    address::escape,
    description::{
        Specs, equal,
        format::{DefinedBy, FieldSpec, FieldType},
    },
    diagnostic::Diagnostic,
    dialect::{attribute, decode},
    live::LiveObject,
    manifest::Manifest,
    value::{Fields, Target, as_reference, get_path, gone, is_empty, is_gone, secret_hash, text, value_from},
};

impl Builder<'_> {
    /// Declared fields with the entries marked to go that are not declared and that the new type of the object, where it
    /// gets another one, does not define.
    pub(super) fn without_undefined(
        &self,
        object: &Manifest,
        specs: &Specs,
        mut desired: Fields,
        live: &LiveObject,
    ) -> Fields {
        for (name, spec) in specs {
            let (Some(by), Some(key), Some(raw)) = (&spec.defined_by, &spec.keyed_by, &live.raw) else { continue };
            let (Some(source), Some(wanted)) = (specs.get(&by.source), desired.get(&by.source)) else { continue };
            if live.fields.get(&by.source).is_none_or(|there| there.is_null() || equal(source, wanted, there)) {
                continue;
            }
            let Some(defined) = self.defined(object, by, wanted) else { continue };
            let declared: Vec<Value> = desired.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let key_of = |entry: &Value| entry.get(key).and_then(text);
            let known: HashSet<String> = declared.iter().filter_map(key_of).chain(defined).collect();
            let there = attribute(&object.kind, raw, spec.wire_name());
            let undefined = there.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(key_of);
            let going: Vec<Value> =
                undefined.filter(|name| !known.contains(name)).map(|name| gone(key, &name)).collect();
            if !going.is_empty() {
                desired.insert(name.clone(), declared.into_iter().chain(going).collect());
            }
        }
        desired
    }

    /// Adds the live lists that nothing declares and that entries go from all the same.
    pub(super) fn show_undefined(&self, specs: &Specs, desired: &Fields, live: &LiveObject, fields: &mut Fields) {
        let going = |value: &Value| value.as_array().is_some_and(|entries| entries.iter().any(is_gone));
        for (name, spec) in specs.iter().filter(|(_, spec)| spec.defined_by.is_some()) {
            if fields.contains_key(name) || !desired.get(name).is_some_and(going) {
                continue;
            }
            if let Some(there) = live.raw.as_ref().and_then(|raw| attribute(&live.kind, raw, spec.wire_name())) {
                fields.insert(name.clone(), decode(spec, &there, self.inputs.seal));
            }
        }
    }

    /// Keys of the entries that a type defines; nothing where its definition is not known.
    fn defined(&self, object: &Manifest, by: &DefinedBy, source: &Value) -> Option<HashSet<String>> {
        let list = self.definitions(object, by, source)?;
        Some(list.iter().filter_map(|definition| definition.get(&by.key).and_then(text)).collect())
    }

    /// What a type defines; nothing where that is not known.
    fn definitions(&self, object: &Manifest, by: &DefinedBy, source: &Value) -> Option<&[Value]> {
        let inputs = self.inputs;
        let (kind, target) = as_reference(source)?;
        let list = match target {
            Target::Id(id) => {
                let connection = object.connection.as_str().into();
                inputs.observed.by_id(&connection, kind, &id)?.fields.get(&by.field)?
            }
            Target::New(address) => {
                let index = inputs.graph.names.address(&address.parse().ok()?)?;
                inputs.manifests.objects.get(index)?.spec.get(&by.field)?
            }
            Target::Field(..) => return None,
        };
        list.as_array().map(Vec::as_slice)
    }

    /// Warns of what a step sends that its type does not define or that does not fit, and of what that type requires.
    pub(super) fn warn_of_misfits(&mut self, index: usize, step: &Step) {
        let writes = matches!(step.operation, Operation::Create | Operation::Update | Operation::Replace);
        if !writes || !step.kind.spec.fields.values().any(is_defined) {
            return;
        }
        let object = &self.inputs.manifests.objects[index];
        let creates = step.operation != Operation::Update;
        let mut found = Vec::new();
        self.misfits(object, step.specs(), &step.desired, "", creates, &mut found);
        for Misfit { path, what, harmless } in found {
            let message = format!("`{}` of `{}` {what}.", path.trim_start_matches('/'), object.address);
            let told =
                if harmless { Diagnostic::note("PL0528", message) } else { Diagnostic::warning("PL0528", message) };
            self.tell(object, &path, told);
        }
    }

    fn misfits(
        &self,
        object: &Manifest,
        specs: &Specs,
        fields: &Fields,
        above: &str,
        creates: bool,
        out: &mut Vec<Misfit>,
    ) {
        for (name, spec) in specs {
            let here = format!("{above}/{name}");
            if let (Some(by), Some(key)) = (&spec.defined_by, &spec.keyed_by) {
                let definitions = fields.get(&by.source).and_then(|source| self.definitions(object, by, source));
                let entries = fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                // One that lists nothing says nothing.
                if let Some(definitions) = definitions.filter(|definitions| !definitions.is_empty()) {
                    judge(by, key, definitions, entries, &here, creates, out);
                }
                continue;
            }
            let Some(items) = spec.items.as_deref().filter(|items| items.fields.values().any(is_defined)) else {
                continue;
            };
            for (index, entry) in fields.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
                if let Value::Object(members) = entry {
                    self.misfits(object, &items.fields, members, &format!("{here}/{index}"), creates, out);
                }
            }
        }
    }
}

/// Something that is not as a type has it.
struct Misfit {
    path: String,
    what: String,
    /// Servers keep it and make no use of it.
    harmless: bool,
}

/// Whether definitions say anything of a field.
fn is_defined(spec: &FieldSpec) -> bool {
    spec.defined_by.is_some() || spec.items.as_deref().is_some_and(|items| items.fields.values().any(is_defined))
}

fn judge(
    by: &DefinedBy,
    key: &str,
    definitions: &[Value],
    entries: &[Value],
    here: &str,
    creates: bool,
    out: &mut Vec<Misfit>,
) {
    let key_of = |entry: &Value| entry.get(key).and_then(text);
    let name_of = |definition: &Value| definition.get(&by.key).and_then(text);
    for entry in entries.iter().filter(|entry| !is_gone(entry)) {
        let Some(name) = key_of(entry) else { continue };
        let path = format!("{here}/{}", escape(&name));
        let Some(definition) = definitions.iter().find(|definition| name_of(definition).as_ref() == Some(&name)) else {
            let names: Vec<String> = definitions.iter().filter_map(name_of).collect();
            let near = crate::diagnostic::nearest(&name, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; there is `{near}`")).unwrap_or_default();
            out.push(Misfit { path, what: format!("is not among what its type defines{near}"), harmless: true });
            continue;
        };
        let ty = by.ty.as_ref().and_then(|at| get_path(definition, at)).and_then(text);
        let (Some(wanted), Some(value)) = (ty.and_then(|ty| by.types.get(&ty)), entry.get(&by.member)) else {
            continue;
        };
        if !fits(*wanted, value) {
            out.push(Misfit { path, what: format!("has to be {} by its type", words(*wanted)), harmless: false });
        }
    }
    let Some(required) = by.required.as_ref().filter(|_| creates) else { return };
    for definition in definitions {
        let needed = get_path(definition, required).and_then(text).as_deref() == Some("true")
            && !by.unless.iter().any(|at| get_path(definition, at).is_some_and(|value| !is_empty(value)));
        let Some(name) = name_of(definition).filter(|_| needed) else { continue };
        if !entries.iter().any(|entry| key_of(entry).as_ref() == Some(&name)) {
            let what = format!("lacks `{name}`, which its type requires");
            out.push(Misfit { path: here.to_owned(), what, harmless: false });
        }
    }
}

/// Whether a value is of a type, as text or not.
fn fits(ty: FieldType, value: &Value) -> bool {
    if value.is_null() || secret_hash(value).is_some() || value_from(value).is_some() {
        return true;
    }
    match ty {
        FieldType::Integer => {
            text(value).is_some_and(|words| words.trim().parse::<f64>().is_ok_and(|number| number.fract() == 0.0))
        }
        FieldType::Boolean => text(value).is_some_and(|words| matches!(words.as_str(), "true" | "false")),
        FieldType::List => value.is_array(),
        FieldType::Map | FieldType::Object => value.is_object(),
        _ => true,
    }
}

fn words(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Integer => "a whole number",
        FieldType::Boolean => "`true` or `false`",
        FieldType::List => "a list",
        _ => "a map",
    }
}
