//! `kind: Api` → an API description, with a place for everything that is wrong in it.

use std::sync::Arc;

use serde_json::Value;

use super::{
    faults::Faults,
    header::is_dns_name,
    node::{Mark, Node},
};
use crate::{
    address::escape,
    description::{Api, Catalog, format::ApiSpec},
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
        faults.add(diagnostic.hint("choose another name for the API that you describe"), name_at);
        return None;
    }
    if !is_dns_name(name, 63) || name.contains('.') || name == "plumb" {
        let message = format!("An API cannot be called `{name}`: its name is one part of `NAME.plumb.dev`.");
        faults.add(Diagnostic::error("PL0902", message).hint("take small letters, digits and `-`"), name_at);
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
    match Api::compile(name, described) {
        Ok(api) => Some(Arc::new(api)),
        Err(wrong) => {
            for fault in wrong {
                let message = format!("The description is wrong: {}.", fault.message);
                faults.error("PL0901", message, spec.locate(&fault.path));
            }
            None
        }
    }
}

/// Reads as much as possible: what does not fit the format is reported and taken out, until the rest fits.
fn deserialize(spec: &Node<'_>, faults: &mut Faults<'_>) -> ApiSpec {
    let mut value = spec.to_json();
    for _ in 0..MAX_FAULTS {
        let error = match serde_path_to_error::deserialize::<_, ApiSpec>(&value) {
            Ok(spec) => return spec,
            Err(error) => error,
        };
        let pointer = pointer(error.path());
        let message = error.inner().to_string();
        let (pointer, message, hint) = explain(&pointer, &message);
        let mut diagnostic = Diagnostic::error("PL0901", message);
        if let Some(hint) = hint {
            diagnostic = diagnostic.hint(hint);
        }
        faults.add(diagnostic, spec.locate(&pointer));
        if !remove(&mut value, &pointer) {
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
fn explain(pointer: &str, message: &str) -> (String, String, Option<String>) {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let Some((unknown, known)) = quoted.split_first()
        && (message.starts_with("unknown field") || message.starts_with("unknown variant"))
    {
        let field = message.starts_with("unknown field");
        let pointer = if field && last != *unknown { format!("{pointer}/{}", escape(unknown)) } else { pointer.into() };
        let message = if field {
            format!("A description has no `{unknown}` here.")
        } else {
            format!("`{last}` cannot be `{unknown}`.")
        };
        let hint = match nearest(unknown, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("expected one of {}", super::faults::listed(known))),
        };
        return (pointer, message, hint);
    }
    (pointer.to_owned(), format!("`{last}` does not fit the format of descriptions: {message}."), None)
}

/// Takes a value out; whether there was one.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&crate::address::unescape(last)).is_some(),
        Some(Value::Array(items)) => {
            // An empty map takes its place, so that those of the others stay right.
            match last.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                Some(item) if *item != serde_json::json!({}) => {
                    *item = serde_json::json!({});
                    true
                }
                _ => remove_parent(value, parent),
            }
        }
        // An unknown variant of an enum that is written as a map: take the whole map.
        _ => remove_parent(value, parent),
    }
}

fn remove_parent(value: &mut Value, pointer: &str) -> bool {
    !pointer.is_empty() && remove(value, pointer)
}
