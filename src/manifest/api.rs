//! `kind: Api` → an API description, with a place for everything that is wrong in it.

use std::{collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    faults::{Faults, listed},
    header::is_dns_name,
    node::{Mark, Node},
};
use crate::{
    address::{escape, unescape},
    description::{
        Api, Catalog, camel,
        format::{ApiSpec, FieldSpec},
        format_schema,
    },
    diagnostic::{Diagnostic, nearest},
};

/// Faults of the format that one description reports at most.
const MAX_FAULTS: usize = 50;

/// Reads a description; nothing where it is wrong, which is reported.
pub(super) fn read(
    name: &str,
    name_at: Mark,
    spec: Option<&Node<'_>>,
    builtins: &Catalog,
    faults: &mut Faults<'_>,
) -> Option<Arc<Api>> {
    if builtins.api(name).is_some() {
        let diagnostic = Diagnostic::error("PL0902", format!("The API `{name}` is built in."));
        faults.add(diagnostic.hint("Choose another name for the API that you describe."), name_at);
        return None;
    }
    if !is_dns_name(name, 63) || name.contains('.') || name == "plumb" {
        let message = format!("An API cannot be called `{name}`: its name is one part of `NAME.plumb.dev`.");
        faults.add(Diagnostic::error("PL0902", message).hint("Take small letters, digits and `-`."), name_at);
        return None;
    }
    let Some(spec) = spec else {
        faults.error("PL0901", "The description is empty: `spec` says how the API works.", name_at);
        return None;
    };
    let before = faults.list.len();
    let described = deserialize(spec, faults);
    // What does not fit the format was taken out and is missed by what names it, so that is not checked further.
    if faults.list.len() > before {
        return None;
    }
    let mut misspelled = Vec::new();
    for (index, kind) in described.kinds.iter().enumerate() {
        note_misspelled(&kind.fields, &format!("/kinds/{index}/fields"), &mut misspelled);
    }
    for (name, shape) in &described.shapes {
        note_misspelled(&shape.fields, &format!("/shapes/{}/fields", escape(name)), &mut misspelled);
    }
    for (at, name) in misspelled {
        let message = format!("The field `{name}` is not spelled in lowerCamelCase, as the fields of manifests are.");
        let hint = format!(
            "Write `{}`: the attribute's name follows from it by `naming`, or is given by `wire: {name}`.",
            camel(&name)
        );
        faults.add(Diagnostic::warning("PL0903", message).hint(hint), spec.locate(&at));
    }
    match Api::compile(name, described) {
        Ok(api) => Some(Arc::new(api)),
        Err(wrong) => {
            for fault in wrong {
                faults.error("PL0901", sentence(&fault.message), spec.locate(&fault.path));
            }
            None
        }
    }
}

/// Notes the fields, and the members in them, that are not spelled as manifests are.
fn note_misspelled(fields: &IndexMap<String, FieldSpec>, at: &str, out: &mut Vec<(String, String)>) {
    for (name, field) in fields {
        let at = format!("{at}/{}", escape(name));
        if camel(name) != *name || name.starts_with(char::is_uppercase) {
            out.push((at.clone(), name.clone()));
        }
        note_misspelled(&field.fields, &format!("{at}/fields"), out);
        if let Some(items) = &field.items {
            note_misspelled(&items.fields, &format!("{at}/items/fields"), out);
        }
    }
}

/// A fault as one sentence on one line.
fn sentence(fault: &str) -> String {
    let lines: Vec<&str> = fault.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let fault = match lines.as_slice() {
        // A regular expression's error draws it first and says what is wrong last.
        [first, .., last] => {
            let first = first.split(':').next().unwrap_or_default();
            format!("{first}: {}", last.trim_start_matches("error: "))
        }
        _ => fault.to_owned(),
    };
    let end = if fault.ends_with(['.', '?']) { "" } else { "." };
    format!("The description is wrong: {fault}{end}")
}

/// Reads as much as possible: what does not fit the format is reported and taken out, until the rest fits.
fn deserialize(spec: &Node<'_>, faults: &mut Faults<'_>) -> ApiSpec {
    let mut rest = Rest { value: spec.to_json(), removed: BTreeMap::new() };
    let mut reported: Vec<String> = Vec::new();
    for _ in 0..MAX_FAULTS {
        let error = match serde_path_to_error::deserialize::<_, ApiSpec>(&rest.value) {
            Ok(spec) => return spec,
            Err(error) => error,
        };
        let (pointer, message, hint) = explain(&pointer(error.path()), &error.inner().to_string(), &rest);
        let original = rest.original(&pointer);
        // What lacks something that was taken out is no fault of its own.
        if !reported.iter().any(|other| other.starts_with(&original)) {
            let mut diagnostic = Diagnostic::error("PL0901", message);
            if let Some(hint) = hint {
                diagnostic = diagnostic.hint(hint);
            }
            faults.add(diagnostic, spec.locate(&original));
            reported.push(original);
        }
        if !rest.remove(&pointer) {
            break;
        }
    }
    ApiSpec::default()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escape(key),
            Segment::Enum { variant } => escape(variant),
            Segment::Unknown => break,
        };
        out.push('/');
        out.push_str(&part);
    }
    out
}

/// Says in our words what serde says in its own, and which value it is about.
fn explain(pointer: &str, message: &str, rest: &Rest) -> (String, String, Option<String>) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let Some((unknown, known)) = quoted.split_first()
        && (message.starts_with("unknown field") || message.starts_with("unknown variant"))
    {
        let field = message.starts_with("unknown field");
        let named = pointer.rsplit('/').next() == Some(escape(unknown).as_str());
        let pointer = if field && !named { format!("{pointer}/{}", escape(unknown)) } else { pointer.to_owned() };
        let message = if field {
            format!("A description has no `{unknown}` here.")
        } else {
            format!("`{}` cannot be `{unknown}`.", dotted(&rest.original(&pointer)))
        };
        let hint = match nearest(unknown, known.iter().copied()) {
            Some(near) => Some(format!("Did you mean `{near}`?")),
            None if known.is_empty() => None,
            None if unknown.len() > 2 && known.iter().any(|word| word.starts_with(unknown)) => {
                let longer =
                    known.iter().copied().filter(|word| word.starts_with(unknown)).map(|word| format!("`{word}`"));
                Some(format!("Did you mean {}?", longer.collect::<Vec<_>>().join(" or ")))
            }
            None => Some(match inner(unknown, known, &format_schema()) {
                Some(inner) => format!("It is written inside: `{inner}.{unknown}`."),
                None => format!("Expected one of {}.", listed(known)),
            }),
        };
        return (pointer, message, hint);
    }
    let mut message = message.to_owned();
    for (theirs, ours) in [("a sequence", "a list"), ("u16", "a whole number"), ("u32", "a whole number")] {
        message = message.replace(&format!("expected {theirs}"), &format!("expected {ours}"));
    }
    if let Some((start, _)) = message.split_once("expected struct ") {
        message = format!("{start}expected a map");
    }
    let name = dotted(&rest.original(pointer));
    (pointer.to_owned(), format!("`{name}` does not fit the format of descriptions: {message}."), None)
}

/// The member of a kind or an API that has a member of this name.
fn inner<'k>(unknown: &str, known: &[&'k str], schema: &Value) -> Option<&'k str> {
    let definitions = schema.get("$defs")?.as_object()?;
    let of = |name: &str| definitions.get(name.rsplit('/').next()?)?.get("properties")?.as_object();
    // The definition that has all that is known here is the one that the word was written in.
    let here = definitions
        .keys()
        .filter_map(|name| of(name))
        .find(|members| members.len() == known.len() && known.iter().all(|name| members.contains_key(*name)));
    let here = here.or_else(|| schema.pointer("/properties/spec/properties")?.as_object())?;
    known.iter().copied().find(|name| {
        let member = here.get(*name);
        let target = member.and_then(|member| {
            let one = member.get("anyOf").or_else(|| member.get("allOf")).and_then(|any| any.get(0));
            one.unwrap_or(member).get("$ref")?.as_str()
        });
        target.and_then(of).is_some_and(|members| members.contains_key(unknown))
    })
}

/// A pointer as messages write it: `errors.absent[0]`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            out.extend(["[", part, "]"]);
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&unescape(part));
        }
    }
    if out.is_empty() { "spec".to_owned() } else { out }
}

/// What is left of a description, and which items of its lists were taken out.
struct Rest {
    value: Value,
    /// By the list's pointer in the whole description: indices there, sorted.
    removed: BTreeMap<String, Vec<usize>>,
}

impl Rest {
    /// The pointer in the whole description of what is at a pointer in the rest.
    fn original(&self, pointer: &str) -> String {
        let mut out = String::new();
        for part in pointer.split('/').skip(1) {
            let mut part = part.to_owned();
            if let (Some(removed), Ok(index)) = (self.removed.get(&out), part.parse::<usize>()) {
                part = removed.iter().fold(index, |index, gone| index + usize::from(*gone <= index)).to_string();
            }
            out.push('/');
            out.push_str(&part);
        }
        out
    }

    /// Takes a value out, or else what it is in; whether there was one.
    fn remove(&mut self, pointer: &str) -> bool {
        let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
        let (in_list, original) = (self.original(parent), self.original(pointer));
        match self.value.pointer_mut(parent) {
            Some(Value::Object(map)) => map.shift_remove(&unescape(last)).is_some() || self.remove(parent),
            Some(Value::Array(items)) => match last.parse() {
                Ok(index) if index < items.len() => {
                    items.remove(index);
                    let number = original.rsplit('/').next().and_then(|number| number.parse::<usize>().ok());
                    let removed = self.removed.entry(in_list).or_default();
                    removed.extend(number);
                    removed.sort_unstable();
                    true
                }
                _ => self.remove(parent),
            },
            _ => self.remove(parent),
        }
    }
}
