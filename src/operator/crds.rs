//! All `CustomResourceDefinitions`: those of the APIs by their descriptions, plumb's own by their types.

use std::fmt::Write as _;

use indexmap::IndexMap;
use serde_json::Value;

use super::status::Status;
use crate::{
    description::{
        Api, Catalog,
        crd::{Crd, api_crd, core_crd, declarable, kind_crd, status_schema},
    },
    failure::Failure,
    manifest::core_kind,
};

/// The schema of every status.
fn status() -> Value {
    let mut schema = status_schema(&schemars::schema_for!(Status));
    schema["description"] = "What came of it; written by the operator.".into();
    schema
}

/// Members that only a `Stack` has in its status, and those that it has not.
const OF_STACKS: [&str; 5] = ["revision", "planDigest", "planConfigMap", "appliedRevision", "plan"];
const OF_OBJECTS: [&str; 4] = ["externalId", "connection", "origin", "lastPlan"];

/// The schema of a status without some members.
fn without(status: &Value, members: &[&str]) -> Value {
    let mut status = status.clone();
    if let Some(properties) = status.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !members.contains(&name.as_str()));
    }
    status
}

/// Those of `Connection`, `Stack` and `Api`.
pub fn core() -> Vec<Crd> {
    let status = status();
    let (of_stacks, status) = (without(&status, &OF_OBJECTS), without(&status, &OF_STACKS));
    let own = ["Connection", "Stack"].into_iter().filter_map(|kind| {
        let (words, fields) = core_kind(kind)?;
        Some(core_crd(kind, words, &fields, if kind == "Stack" { &of_stacks } else { &status }))
    });
    own.chain([api_crd(&status)]).collect()
}

/// Those of the kinds of an API.
pub fn of_api(api: &Api) -> Vec<Crd> {
    let status = without(&status(), &OF_STACKS);
    declarable(api).map(|kind| kind_crd(api, kind, &status)).collect()
}

/// All of a catalog.
pub fn all(catalog: &Catalog) -> Vec<Crd> {
    core().into_iter().chain(catalog.apis.values().flat_map(|api| of_api(api))).collect()
}

/// A definition as a YAML document.
pub fn yaml(crd: &Crd) -> Result<String, Failure> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&crd.value, options)
        .map_err(|error| Failure::internal(format!("The definition `{}` cannot be written: {error}.", crd.name)))
}

/// The file that a definition is kept in.
pub fn file(crd: &Crd) -> String {
    let plural = crd.name.split('.').next().unwrap_or_default();
    format!("{}_{plural}.yaml", crd.group)
}

/// A page on every definition, and on every field that it lets through unchecked.
pub fn page(crds: &[Crd]) -> String {
    let mut out = String::from(
        "# Custom resources\n\n\
         One CustomResourceDefinition for each kind, in [`crds/`](../../crds), printed by `plumb crds`. All of them are in the\n\
         category `plumb`: `kubectl get plumb` lists everything.\n\n\
         | kind | resource | short name |\n| --- | --- | --- |\n",
    );
    for crd in crds {
        let short = crd.short_names.join("`, `");
        let _ = writeln!(out, "| {} | `{}` | `{short}` |", crd.kind, crd.name);
    }
    out.push_str(
        "\n## Fields without a type\n\n\
         A structural schema cannot say everything. These fields are let through by Kubernetes; the operator checks them like\n\
         `plumb validate` does, and answers with the condition `Stalled` and the reason `InvalidSpec`. Wherever a sensitive\n\
         value stands, its `valueFrom.sops` is untyped too: a path, or a map of `file` and `key`.\n\n\
         | kind | field | why |\n| --- | --- | --- |\n",
    );
    for crd in crds {
        let untyped = crd.untyped.iter().filter(|untyped| untyped.path.rsplit('.').next() != Some("sops"));
        // The same member in many places is one line.
        let mut lines: IndexMap<(&str, &str), Vec<&str>> = IndexMap::new();
        for field in untyped {
            let mut parts = field.path.rsplitn(3, '.');
            let end = parts.next().map_or(0, str::len) + parts.next().map_or(0, |part| part.len() + 1);
            let end = field.path.len().saturating_sub(end);
            lines.entry((&field.path[end..], field.reason)).or_default().push(&field.path);
        }
        for ((end, reason), paths) in lines {
            let path = match paths.as_slice() {
                [only] => format!("`{only}`"),
                several => format!("`…{end}` ({} places)", several.len()),
            };
            let _ = writeln!(out, "| {}/{} | {path} | {reason} |", crd.group, crd.kind);
        }
    }
    out
}
