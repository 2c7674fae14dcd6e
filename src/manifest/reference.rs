//! The syntax of references: `NAME`, `ref:NAME`, `id:33`, `key:Happy Frog/Email`, and `Kind/…` where the field may
//! refer to several kinds. Whether they lead anywhere is the graph's to say.

use serde_json::Value;

use super::faults::listed;
use crate::{
    description::format::FieldSpec,
    diagnostic::{Diagnostic, nearest},
    value,
};

/// Checks how a reference is written.
pub(super) fn check(name: &str, text: &str, field: &FieldSpec) -> Result<(), Diagnostic> {
    let Some(reference) = &field.reference else { return Ok(()) };
    if field.allowed.iter().filter_map(value::text).any(|allowed| allowed == text) {
        return Ok(());
    }
    if reference.kinds.is_empty() && reference.wire_prefix.is_none() {
        return bare(name, text);
    }
    let kinds: Vec<&str> = if reference.kinds.is_empty() {
        reference.kind.iter().map(String::as_str).collect()
    } else {
        let mut kinds: Vec<&str> = Vec::new();
        for (word, kind) in &reference.kinds {
            let kind = if kind.is_empty() { word } else { kind };
            if !kinds.contains(&kind.as_str()) {
                kinds.push(kind);
            }
        }
        kinds
    };
    let expected = || {
        let words: Vec<String> = field.allowed.iter().filter_map(value::text).collect();
        if words.is_empty() {
            format!("`Kind/NAME` with one of the kinds {}", listed(&kinds))
        } else {
            format!("one of {}, or `{}/NAME`", listed(&words), kinds.join("|"))
        }
    };
    let Some((kind, rest)) = text.split_once('/') else {
        let diagnostic = bad(name, text, &format!("expected {}", expected()));
        let words = field.allowed.iter().filter_map(Value::as_str);
        return Err(match nearest(text, words) {
            Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
            None => match kinds.as_slice() {
                [only] => diagnostic.hint(format!("Write `{only}/{text}`.")),
                _ => diagnostic,
            },
        });
    };
    if !kinds.contains(&kind) && !reference.kinds.contains_key(kind) {
        let diagnostic = bad(name, text, &format!("`{kind}` is no kind that it takes; expected {}", expected()));
        return Err(match nearest(kind, kinds.iter().copied()) {
            Some(near) => diagnostic.hint(format!("Did you mean `{near}/{rest}`?")),
            None => diagnostic,
        });
    }
    if reference.kinds.get(kind).is_some_and(String::is_empty) && !rest.starts_with("id:") {
        let why = format!("a `{kind}` has no kind here and is named by its id");
        return Err(bad(name, text, &why).hint(format!("Write `{kind}/id:NUMBER`.")));
    }
    bare(name, rest)
}

/// Checks a reference without a kind.
fn bare(name: &str, text: &str) -> Result<(), Diagnostic> {
    if text.trim().is_empty() {
        return Err(bad(name, text, "it is empty").hint("Leave the field out, or write `null` to clear it."));
    }
    if let Some(rest) = text.strip_prefix("ref:").or_else(|| text.strip_prefix("id:")) {
        if rest.trim().is_empty() {
            return Err(bad(name, text, "something has to follow the colon"));
        }
    } else if let Some(rest) = text.strip_prefix("key:")
        && parts(rest).iter().any(|part| part.trim().is_empty())
    {
        return Err(bad(name, text, "a part of the key is empty").hint("Write a slash within a part as `\\/`."));
    }
    Ok(())
}

fn bad(name: &str, text: &str, why: &str) -> Diagnostic {
    Diagnostic::error("PL0120", format!("`{name}: {text}` is not a reference: {why}."))
}

/// The parts of a key, separated by `/`; `\/` is a slash within a part and `\\` a backslash.
fn parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = key.chars();
    while let Some(letter) = letters.next() {
        let part = match letter {
            '/' => {
                parts.push(String::new());
                continue;
            }
            '\\' => letters.next().unwrap_or('\\'),
            letter => letter,
        };
        if let Some(last) = parts.last_mut() {
            last.push(part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::format::RefSpec;

    fn field(kinds: &[(&str, &str)]) -> FieldSpec {
        let kinds = kinds.iter().map(|(word, kind)| ((*word).to_owned(), (*kind).to_owned())).collect();
        FieldSpec { reference: Some(RefSpec { kinds, ..RefSpec::default() }), ..FieldSpec::default() }
    }

    #[test]
    fn keys_split_at_slashes_that_are_not_escaped() {
        assert_eq!(parts("Happy Frog/Email"), ["Happy Frog", "Email"]);
        assert_eq!(parts(r"AC\/DC/a\\b"), ["AC/DC", r"a\b"]);
        assert_eq!(parts("one"), ["one"]);
    }

    #[test]
    fn explicit_forms_need_something_after_the_colon() {
        for good in ["happy-frog", "ref:x", "id:33", "key:a/b", "Server: main", "33"] {
            assert!(check("x", good, &field(&[])).is_ok(), "{good}");
        }
        for bad in ["", " ", "ref:", "id: ", "key:", "key:a/", "key:/a"] {
            assert!(check("x", bad, &field(&[])).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_of_several_kinds_is_named() {
        let field = field(&[("contact", "Contact"), ("ticket", "")]);
        for good in ["Contact/jane", "Contact/id:3", "ticket/id:7"] {
            assert!(check("x", good, &field).is_ok(), "{good}");
        }
        assert!(check("x", "jane", &field).is_err());
        assert!(check("x", "Contact/", &field).is_err());
        assert!(check("x", "ticket/broken-printer", &field).is_err());
        let wrong = check("x", "Contat/jane", &field).unwrap_err();
        assert_eq!(wrong.hints, ["Did you mean `Contact/jane`?"]);
    }
}
