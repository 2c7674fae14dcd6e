//! `plumb schema`: JSON Schema of manifests, for editors.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    args::Global,
    catalog::{CORE, catalog, catalog_with, core, find},
    console::Console,
    exit::Exit,
};
use crate::{
    description::{Api, Catalog, core_schema, format_schema, kind_schema},
    failure::Failure,
    manifest::core_kind,
    report,
};

/// Print the JSON Schema of manifests, for editors
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb schema > plumb.schema.json    every kind, told apart by apiVersion and kind
  plumb schema itglue.Password        one kind
  plumb schema Connection             plumb's own kinds: Connection, Stack, Api
  plumb schema plan                   the plan of `-o json`

A first line `# yaml-language-server: $schema=plumb.schema.json` makes editors check a manifest.")]
pub struct SchemaArgs {
    /// Kind, with its API before it where several have it; `plan` for the plan as JSON
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
}

/// Prints a schema.
pub(super) fn run(global: &Global, args: &SchemaArgs, console: &mut Console) -> Result<Exit, Failure> {
    let schema = match args.kind.as_deref() {
        Some("Api" | "api") => format_schema(),
        Some("plan") => report::json::plan_schema(),
        Some(name) if let Some(schema) = core(name).and_then(own) => schema,
        Some(name) => {
            let catalog = catalog_with(name, global, console)?;
            let subject = find(&catalog, name)?;
            if let Some(field) = subject.path.first() {
                return Err(Failure::user(format!("A schema is one of a kind, not of a field such as `{field}`."))
                    .hint(format!("Write `plumb schema {}.{}`.", subject.api.name, subject.kind.name)));
            }
            kind_schema(subject.api, subject.kind)
        }
        None => all(&catalog(global, console)?),
    };
    console.print_json(&schema)?;
    Ok(Exit::Done)
}

/// The schema of a kind of plumb's own.
fn own(kind: &str) -> Option<Value> {
    let (description, fields) = core_kind(kind)?;
    Some(core_schema(kind, description, &fields))
}

/// The schema of any manifest: which kind it is decides.
pub(super) fn all(catalog: &Catalog) -> Value {
    let mut schemas: Vec<_> = CORE.iter().filter_map(|kind| Some(((*kind).to_owned(), own(kind)?))).collect();
    schemas.push(("Api".to_owned(), format_schema()));
    schemas.extend(catalog.apis.values().flat_map(|api| kinds(api)));
    combined("plumb manifests", schemas)
}

/// The schema of the manifests of one API.
pub(super) fn of_api(api: &Api) -> Value {
    combined(&format!("{} manifests", api.spec.title.as_deref().unwrap_or(&api.name)), kinds(api))
}

fn kinds(api: &Api) -> Vec<(String, Value)> {
    api.kinds
        .values()
        .filter(|kind| kind.is_declarable() && kind.inside().is_none())
        .map(|kind| (format!("{}.{}", api.name, kind.name), kind_schema(api, kind)))
        .collect()
}

/// Joins schemas into one that chooses by `apiVersion` and `kind`; their definitions become its own.
fn combined(title: &str, schemas: Vec<(String, Value)>) -> Value {
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    let mut known = Vec::new();
    let mut draft = Value::Null;
    for (name, mut schema) in schemas {
        if let Value::Object(map) = &mut schema {
            draft = map.remove("$schema").unwrap_or(draft);
            if let Some(Value::Object(own)) = map.remove("$defs") {
                definitions.extend(own);
            }
        }
        let consts = json!({
            "apiVersion": schema.pointer("/properties/apiVersion"),
            "kind": schema.pointer("/properties/kind"),
        });
        known.push(json!({ "properties": consts }));
        choices.push(json!({
            "if": {"required": ["apiVersion", "kind"], "properties": consts},
            "then": {"$ref": format!("#/$defs/{name}")},
        }));
        definitions.insert(name, schema);
    }
    json!({
        "$schema": draft,
        "title": title,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "anyOf": known,
        "allOf": choices,
        "$defs": definitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apis;

    #[test]
    fn every_reference_within_the_joined_schema_leads_somewhere() {
        let schema = all(apis::builtin());
        let mut found = 0;
        each_reference(&schema, &mut |reference| {
            found += 1;
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        });
        assert!(found > 30);
    }

    fn each_reference(value: &Value, check: &mut dyn FnMut(&str)) {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    check(reference);
                }
                map.values().for_each(|value| each_reference(value, check));
            }
            Value::Array(items) => items.iter().for_each(|value| each_reference(value, check)),
            _ => {}
        }
    }
}
