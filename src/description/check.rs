//! Checks a description for contradictions: names that lead nowhere, keys of fields that do not exist.

use super::{
    compiled::Fault,
    format::{ApiSpec, FieldSpec, FieldType, KindSpec},
};
use crate::{address::escape, diagnostic::nearest};

/// Lists everything that is wrong with a description.
pub(super) fn check(spec: &ApiSpec) -> Vec<Fault> {
    let mut faults = Vec::new();
    let names: Vec<&str> = spec.kinds.iter().map(|kind| kind.kind.as_str()).collect();
    for (index, kind) in spec.kinds.iter().enumerate() {
        let at = format!("/kinds/{index}");
        if kind.kind.is_empty() || !kind.kind.starts_with(|first: char| first.is_ascii_uppercase()) {
            fault(&mut faults, format!("{at}/kind"), "a kind's name is written in UpperCamelCase");
        }
        if names.iter().filter(|name| **name == kind.kind).count() > 1 {
            fault(&mut faults, format!("{at}/kind"), format!("`{}` is described twice", kind.kind));
        }
        if !kind.path.starts_with('/') {
            fault(&mut faults, format!("{at}/path"), "a kind's path starts with `/`");
        }
        check_kind(&mut faults, &at, kind, &names);
    }
    faults
}

fn check_kind(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec, kinds: &[&str]) {
    for (list, word) in [(&kind.key, "key"), (&kind.key_extra, "keyExtra"), (&kind.aliases, "aliases")] {
        for (index, name) in list.iter().enumerate() {
            need_field(faults, &format!("{at}/{word}/{index}"), kind, name);
        }
    }
    if kind.key.is_empty() && !kind.singleton {
        fault(faults, at, format!("`{}` has no `key`: name the fields that tell one object from another", kind.kind));
    }
    if let Some(scope) = &kind.scope {
        need_field(faults, &format!("{at}/scope/field"), kind, &scope.field);
    }
    if let Some(inside) = &kind.inside {
        for parent in inside.parents.keys() {
            need_kind(faults, &format!("{at}/inside/parents/{}", escape(parent)), kinds, parent);
        }
        if inside.field.is_empty() {
            fault(faults, format!("{at}/inside"), "`inside` needs `field`, the parents' field that lists the entries");
        }
    }
    for (name, field) in &kind.fields {
        check_field(faults, &format!("{at}/fields/{}", escape(name)), field, kind, kinds);
    }
}

fn check_field(faults: &mut Vec<Fault>, at: &str, field: &FieldSpec, kind: &KindSpec, kinds: &[&str]) {
    if field.ty == FieldType::Ref && field.reference.is_none() {
        fault(faults, at, "a field of type `ref` needs `ref: {kind: …}`");
    }
    if field.ty == FieldType::List && field.items.is_none() {
        fault(faults, at, "a field of type `list` needs `items`");
    }
    if let Some(pattern) = &field.pattern
        && let Err(error) = regex::Regex::new(pattern)
    {
        fault(faults, format!("{at}/pattern"), format!("not a regular expression: {error}"));
    }
    if let Some(reference) = &field.reference {
        if let Some(target) = &reference.kind {
            need_kind(faults, &format!("{at}/ref/kind"), kinds, target);
        }
        for (word, target) in &reference.kinds {
            if !target.is_empty() {
                need_kind(faults, &format!("{at}/ref/kinds/{}", escape(word)), kinds, target);
            }
        }
    }
    if let Some(condition) = &field.when
        && let Some(name) = &condition.field
    {
        need_field(faults, &format!("{at}/when/field"), kind, name);
    }
    if let Some(items) = &field.items {
        if let Some(key) = &field.keyed_by
            && !items.fields.contains_key(key)
        {
            fault(faults, format!("{at}/keyedBy"), format!("the items have no field `{key}`"));
        }
        check_field(faults, &format!("{at}/items"), items, kind, kinds);
    }
    for (name, member) in &field.fields {
        check_field(faults, &format!("{at}/fields/{}", escape(name)), member, kind, kinds);
    }
}

fn need_field(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec, name: &str) {
    if !kind.fields.contains_key(name) {
        let mut message = format!("`{}` has no field `{name}`", kind.kind);
        if let Some(near) = nearest(name, kind.fields.keys().map(String::as_str)) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        fault(faults, at, message);
    }
}

fn need_kind(faults: &mut Vec<Fault>, at: &str, kinds: &[&str], name: &str) {
    if !kinds.contains(&name) {
        let mut message = format!("no kind `{name}` is described");
        if let Some(near) = nearest(name, kinds.iter().copied()) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        fault(faults, at, message);
    }
}

fn fault(faults: &mut Vec<Fault>, path: impl Into<String>, message: impl Into<String>) {
    faults.push(Fault { path: path.into(), message: message.into() });
}
