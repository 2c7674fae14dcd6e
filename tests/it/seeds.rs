//! The built-in descriptions against the vendors' own references, which `tests/seeds/` holds as data: tables of
//! parameters, lists of endpoints and samples must say the same as the descriptions, both ways. Where they cannot, a
//! table here names the line of the reference and the reason.

mod balena;
mod bindplane;
mod cycloid;
mod endpoints;
mod examples;
mod params;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use plumb::description::{
    Api, Kind,
    format::{FieldSpec, FieldType},
};
use serde::de::DeserializeOwned;

/// A reference and the API that is described after it.
const REFERENCES: [&str; 2] = ["itglue", "rest"];

fn read<T: DeserializeOwned>(reference: &str, file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(reference).join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn api(name: &str) -> Arc<Api> {
    plumb::apis::builtin().api(name).unwrap().clone()
}

/// The kind that a resource of the reference is described as: `users-me` and `related_items` name paths.
fn kind_of<'a>(api: &'a Api, resource: &str) -> Option<&'a Arc<Kind>> {
    let words = |kind: &Kind| -> Vec<String> {
        kind.spec.path.split('/').filter(|part| !part.is_empty() && !part.starts_with('{')).map(snake).collect()
    };
    let exact = api.kinds.values().find(|kind| words(kind).join("-") == resource);
    exact.or_else(|| api.kinds.values().find(|kind| words(kind).last().is_some_and(|word| *word == snake(resource))))
}

fn snake(word: &str) -> String {
    word.replace('-', "_")
}

/// One attribute as a description has it; members of objects and of lists' objects are leaves of their own.
struct Leaf<'a> {
    /// Field, dotted.
    field: String,
    /// Attribute, dotted, as written in requests.
    wire: String,
    spec: &'a FieldSpec,
    /// It is the type word of a reference to one of several kinds.
    is_type: bool,
    /// It is the top-level field itself.
    top: bool,
}

fn leaves(kind: &Kind) -> Vec<Leaf<'_>> {
    let mut out = Vec::new();
    for (name, spec) in &kind.spec.fields {
        gather(&mut out, name, "", spec, true);
    }
    out
}

fn gather<'a>(out: &mut Vec<Leaf<'a>>, field: &str, prefix: &str, spec: &'a FieldSpec, top: bool) {
    let wire = format!("{prefix}{}", spec.wire_name());
    if let Some(type_wire) = spec.reference.as_ref().and_then(|reference| reference.type_wire.as_ref()) {
        out.push(Leaf { field: field.to_owned(), wire: type_wire.clone(), spec, is_type: true, top });
    }
    let members = match spec.ty {
        FieldType::List => spec.items.as_ref().map(|items| &items.fields),
        _ => Some(&spec.fields),
    };
    for (name, member) in members.into_iter().flatten() {
        gather(out, &format!("{field}.{name}"), &format!("{wire}."), member, false);
    }
    out.push(Leaf { field: field.to_owned(), wire, spec, is_type: false, top });
}

/// Compares what was found with a table of what is known: both what is new and what is gone are shown.
fn assert_known(found: &BTreeSet<String>, known: &[(&str, u32, &str)]) {
    let known: BTreeSet<String> = known.iter().map(|(what, _, _)| (*what).to_owned()).collect();
    let new: Vec<&String> = found.difference(&known).collect();
    let gone: Vec<&String> = known.difference(found).collect();
    assert!(new.is_empty() && gone.is_empty(), "not in the table: {new:#?}\nno longer so: {gone:#?}");
}
