//! The `plumb.dev/…` annotations → what they say.

use super::{
    faults::{Faults, listed},
    header::{Header, is_dns_name},
    model::{Annotations, DeletionPolicy, Reconcile},
    node::Mark,
};
use crate::{
    description::Kind,
    diagnostic::{Diagnostic, nearest},
};

const PREFIX: &str = "plumb.dev/";
const NAMES: [&str; 10] = [
    "external-id",
    "deletion-policy",
    "reconcile",
    "depends-on",
    "ignore-drift",
    "clear",
    "moved-from",
    "protect",
    "allow",
    "reconcile-requested-at",
];
const ALLOWANCES: [&str; 1] = ["migrate"];

/// Reads the annotations of an object of a kind, or of a core document.
pub(super) fn read(header: &Header<'_, '_>, kind: Option<&Kind>, faults: &mut Faults<'_>) -> Annotations {
    let mut out = Annotations::default();
    for (member, text) in &header.annotations {
        let Some(name) = member.key.strip_prefix(PREFIX) else {
            if let Some(name) = near_prefix(&member.key) {
                let message = format!("`{}` is not an annotation of plumb.", member.key);
                let diagnostic = Diagnostic::error("PL0119", message).hint(format!("Write `{PREFIX}{name}`."));
                faults.add(diagnostic, member.at);
            }
            continue;
        };
        let of_stack = name == "depends-on" && kind.is_none() && &*header.kind == "Stack";
        let read = if of_stack { stacks(&mut out, text.trim()) } else { one(&mut out, name, text.trim(), kind) };
        if let Err(wrong) = read {
            let at = if wrong.about_name { member.at } else { member.value.best(member.at) };
            let mut diagnostic = Diagnostic::error("PL0119", wrong.message);
            if let Some(hint) = wrong.hint {
                diagnostic = diagnostic.hint(hint);
            }
            faults.add(diagnostic, at);
        }
    }
    out
}

/// Where the annotation with this name stands.
pub(super) fn mark(header: &Header<'_, '_>, name: &str) -> Mark {
    let found = header.annotations.iter().find(|(member, _)| member.key.strip_prefix(PREFIX) == Some(name));
    found.map_or(header.name_at, |(member, _)| member.value.best(member.at))
}

struct Wrong {
    message: String,
    hint: Option<String>,
    about_name: bool,
}

fn wrong(message: String) -> Wrong {
    Wrong { message, hint: None, about_name: false }
}

fn one_of<'w>(name: &str, text: &str, words: &[&'w str]) -> Result<&'w str, Wrong> {
    words.iter().find(|word| **word == text).copied().ok_or_else(|| Wrong {
        hint: nearest(text, words.iter().copied()).map(|near| format!("Did you mean `{near}`?")),
        ..wrong(format!("`{PREFIX}{name}` cannot be `{text}`: expected one of {}.", listed(words)))
    })
}

/// What a stack depends on is stacks, by their names or as `Stack/NAME`.
fn stacks(out: &mut Annotations, text: &str) -> Result<(), Wrong> {
    for part in parts(text) {
        let name = part.strip_prefix("Stack/").unwrap_or(part);
        if !is_dns_name(name, 253) {
            return Err(Wrong {
                hint: Some("Write the `metadata.name` of a `Stack` in the same namespace.".to_owned()),
                ..wrong(format!("`{PREFIX}depends-on` of a stack names stacks, and `{part}` is none."))
            });
        }
        out.stacks.push(name.to_owned());
    }
    Ok(())
}

fn one(out: &mut Annotations, name: &str, text: &str, kind: Option<&Kind>) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err(wrong(format!("`{PREFIX}{name}` is empty.")));
    }
    match name {
        "external-id" => out.external_id = Some(text.to_owned()),
        "deletion-policy" => {
            out.deletion_policy = Some(match one_of(name, text, &["delete", "retain", "archive"])? {
                "delete" => DeletionPolicy::Delete,
                "retain" => DeletionPolicy::Retain,
                _ => DeletionPolicy::Archive,
            });
            if let Some(kind) = kind
                && out.deletion_policy == Some(DeletionPolicy::Archive)
                && kind.spec.archive.is_none()
            {
                return Err(Wrong {
                    hint: Some("Write `delete` or `retain`.".to_owned()),
                    ..wrong(format!("The API cannot archive objects of kind `{}`.", kind.name))
                });
            }
        }
        "reconcile" => {
            out.reconcile = match one_of(name, text, &["enforce", "observe", "disabled"])? {
                "enforce" => Reconcile::Enforce,
                "observe" => Reconcile::Observe,
                _ => Reconcile::Disabled,
            }
        }
        "depends-on" => {
            for part in parts(text) {
                out.depends_on.push(
                    part.parse()
                        .map_err(|bad: crate::address::BadAddress| wrong(format!("`{PREFIX}{name}`: {bad}.")))?,
                );
            }
        }
        "ignore-drift" => out.ignore_drift = parts(text).map(str::to_owned).collect(),
        "clear" => out.clear = parts(text).map(str::to_owned).collect(),
        "moved-from" => {
            if !is_dns_name(text, 253) {
                return Err(Wrong {
                    hint: Some("Write the `metadata.name` that it had before.".to_owned()),
                    ..wrong(format!("`{PREFIX}{name}` cannot be `{text}`: no manifest has such a name."))
                });
            }
            out.moved_from = Some(text.to_owned());
        }
        "protect" => out.protect = one_of(name, text, &["true", "false"])? == "true",
        "allow" => {
            for part in parts(text) {
                out.allow.push(one_of(name, part, &ALLOWANCES)?.to_owned());
            }
        }
        "reconcile-requested-at" => {}
        unknown => {
            return Err(Wrong {
                message: format!("There is no annotation `{PREFIX}{unknown}`."),
                hint: Some(match nearest(unknown, NAMES) {
                    Some(near) => format!("Did you mean `{PREFIX}{near}`?"),
                    None => format!("There are {}.", listed(NAMES)),
                }),
                about_name: true,
            });
        }
    }
    Ok(())
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// The annotation that a key with a misspelled prefix was meant for.
fn near_prefix(key: &str) -> Option<&'static str> {
    let (prefix, name) = key.split_once('/')?;
    let ours = prefix.split('.').any(|label| label == "plumb") || strsim::damerau_levenshtein(prefix, "plumb.dev") <= 2;
    NAMES.iter().find(|known| **known == name && ours).copied()
}
