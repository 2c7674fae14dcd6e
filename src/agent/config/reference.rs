//! The configuration's fields → their page of the reference, in Markdown.

use std::fmt::Write as _;

use indexmap::IndexMap;

use super::fields;
use crate::description::format::{FieldSpec, FieldType, Sensitivity};

/// The page about every field of a configuration.
pub fn page() -> String {
    let mut out = "# The agent's configuration\n\n<!-- Made by `plumb generate` from the fields' definitions; edit those. -->\n\n\
        A document with `apiVersion: plumb.dev/v1alpha1`, `kind: Agent`, and these fields under `spec`. Relative paths start from the \
        file's folder; sensitive fields take `{valueFrom: {env: NAME}}` or `{valueFrom: {file: PATH}}`.\n\n"
        .to_owned();
    table(&mut out, fields(), "");
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn table(out: &mut String, fields: &IndexMap<String, FieldSpec>, path: &str) {
    let _ = writeln!(out, "| field | type | what it is |\n| --- | --- | --- |");
    let mut below = Vec::new();
    for (name, field) in fields {
        let required = if field.required { ", required" } else { "" };
        let what = field.description.as_deref().unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(out, "| `{name}` | {}{required} | {what} |", kind(field));
        let inner = if field.fields.is_empty() {
            field.items.as_deref().map(|items| &items.fields)
        } else {
            Some(&field.fields)
        };
        // What stacks and `defaults` share is told once.
        if let Some(inner) = inner.filter(|inner| !inner.is_empty() && name != "defaults") {
            let mark = match field.ty {
                FieldType::List => "[]",
                FieldType::Map => ".NAME",
                _ => "",
            };
            below.push((format!("{path}{name}{mark}"), inner));
        }
    }
    let _ = writeln!(out);
    for (name, inner) in below {
        let _ = writeln!(out, "## `{name}`\n");
        table(out, inner, &format!("{name}."));
    }
}

fn kind(field: &FieldSpec) -> String {
    let words =
        field.allowed.iter().map(|value| format!("`{}`", value.as_str().unwrap_or_default())).collect::<Vec<_>>();
    if !words.is_empty() {
        return words.join(", ");
    }
    match (field.sensitive, field.ty) {
        (Some(Sensitivity::Always), _) => "sensitive".to_owned(),
        (_, FieldType::List) => match field.items.as_deref() {
            Some(items) if items.fields.is_empty() => format!("list of {}", kind(items)),
            _ => "list".to_owned(),
        },
        (_, FieldType::Map) => "map by name".to_owned(),
        (_, FieldType::Object) => "map".to_owned(),
        (_, FieldType::Integer) => "whole number".to_owned(),
        (_, FieldType::Boolean) => "`true` or `false`".to_owned(),
        _ => "text".to_owned(),
    }
}
