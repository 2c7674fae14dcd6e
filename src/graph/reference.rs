//! The text of a reference → what it asks for: `happy-frog`, `ref:happy-frog`, `id:33`, `key:Happy Frog/Email`,
//! and `Kind/…` where a field may refer to one of several kinds.

use crate::{
    description::{
        format::{FieldSpec, RefSpec},
        without_version,
    },
    diagnostic::nearest,
};

/// How a reference selects its target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// `ref:NAME`: a manifest.
    Handle(String),
    /// `id:33`: a live object.
    Id(String),
    /// `key:A/B`: a live object by the parts of its key.
    Key(Vec<String>),
    /// A manifest's name, or the (short) key of a live object.
    Plain(String),
}

/// A reference as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Kind of the target; a type's word on the wire where no kind is described for it.
    pub kind: String,
    /// What selects it.
    pub selector: Selector,
}

/// Reads a reference. Gives nothing where the text is one of the field's own words (`tagType: Configurations`).
pub fn parse_reference(field: &FieldSpec, words: &str) -> Result<Option<Spoken>, String> {
    let Some(spec) = &field.reference else { return Ok(None) };
    if field.allowed.iter().any(|word| word.as_str() == Some(words)) {
        return Ok(None);
    }
    let (kind, rest) = if spec.kinds.is_empty() && spec.wire_prefix.is_none() {
        (spec.kind.clone().unwrap_or_default(), words)
    } else {
        let Some((kind, rest)) = words.split_once('/') else {
            return Err(format!(
                "`{words}` does not say of which kind it is: write `Kind/NAME`, one of {}.",
                kinds(spec)
            ));
        };
        (known_kind(spec, kind)?, rest)
    };
    let bare = |name: &str| without_version(spec.version_mark.as_deref(), name).to_owned();
    let selector = if let Some(name) = rest.strip_prefix("ref:") {
        Selector::Handle(bare(name))
    } else if let Some(id) = rest.strip_prefix("id:") {
        Selector::Id(bare(id.trim()))
    } else if let Some(key) = rest.strip_prefix("key:") {
        Selector::Key(split_key(&bare(key)))
    } else {
        Selector::Plain(bare(rest))
    };
    let empty = match &selector {
        Selector::Handle(text) | Selector::Id(text) | Selector::Plain(text) => text.is_empty(),
        Selector::Key(parts) => parts.iter().all(String::is_empty),
    };
    if empty {
        return Err(format!("`{words}` names nothing."));
    }
    Ok(Some(Spoken { kind, selector }))
}

fn kinds(spec: &RefSpec) -> String {
    let mut names: Vec<String> = spec
        .kinds
        .iter()
        .map(|(word, kind)| if kind.is_empty() { word.clone() } else { kind.clone() })
        .chain(spec.kind.clone())
        .map(|name| format!("`{name}`"))
        .collect();
    names.dedup();
    names.join(", ")
}

fn known_kind(spec: &RefSpec, kind: &str) -> Result<String, String> {
    if spec.kind.as_deref() == Some(kind) || spec.kinds.values().any(|known| known == kind) {
        return Ok(kind.to_owned());
    }
    match spec.kinds.get(kind).map(String::as_str) {
        Some("") => return Ok(kind.to_owned()),
        Some(known) => return Ok(known.to_owned()),
        None => {}
    }
    let names = spec.kinds.iter().map(|(word, known)| if known.is_empty() { word } else { known });
    let near = nearest(kind, names.map(String::as_str).chain(spec.kind.as_deref()));
    let hint = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    Err(format!("`{kind}` cannot be referred to here: it is one of {}.{hint}", kinds(spec)))
}

/// Splits a key at slashes; `\/` is a slash.
fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if matches!(letters.peek(), Some('/' | '\\')) => {
                if let (Some(part), Some(next)) = (parts.last_mut(), letters.next()) {
                    part.push(next);
                }
            }
            '/' => parts.push(String::new()),
            other => {
                if let Some(part) = parts.last_mut() {
                    part.push(other);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_reference_are_told_apart() {
        let field = FieldSpec {
            reference: Some(RefSpec { kind: Some("Organization".into()), ..RefSpec::default() }),
            ..FieldSpec::default()
        };
        let read = |words| parse_reference(&field, words).unwrap().unwrap().selector;
        assert_eq!(read("happy-frog"), Selector::Plain("happy-frog".into()));
        assert_eq!(read("ref:x"), Selector::Handle("x".into()));
        assert_eq!(read("id:33"), Selector::Id("33".into()));
        assert_eq!(read(r"key:A\/B/C"), Selector::Key(vec!["A/B".into(), "C".into()]));
        assert!(parse_reference(&field, "id:").is_err());
    }

    #[test]
    fn a_reference_to_one_of_several_kinds_says_which() {
        let kinds =
            [("Configuration".to_owned(), "Configuration".to_owned()), ("SSL Certificate".into(), String::new())];
        let field = FieldSpec {
            reference: Some(RefSpec { kinds: kinds.into_iter().collect(), ..RefSpec::default() }),
            ..FieldSpec::default()
        };
        let spoken = parse_reference(&field, "Configuration/web-1").unwrap().unwrap();
        assert_eq!((spoken.kind.as_str(), spoken.selector), ("Configuration", Selector::Plain("web-1".into())));
        let spoken = parse_reference(&field, "SSL Certificate/id:5").unwrap().unwrap();
        assert_eq!((spoken.kind.as_str(), spoken.selector), ("SSL Certificate", Selector::Id("5".into())));
        let wrong = parse_reference(&field, "Configurations/web-1").unwrap_err();
        assert!(wrong.contains("Did you mean `Configuration`?"), "{wrong}");
    }
}
