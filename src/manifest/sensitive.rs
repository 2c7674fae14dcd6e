//! Sensitive values as manifests write them: `{valueFrom: …}`, or `{value: …}` where that is allowed. Plain text never
//! leaves this stage but through [`Plaintexts`], which nothing prints.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    convert::Convert,
    faults::Path,
    node::{Mark, Member, Node, Scalar, Shape},
    place::place,
};
use crate::{
    description::format::{FieldSpec, Sensitivity},
    diagnostic::{Diagnostic, SourceId, Sources, nearest},
};

/// Where a sensitive value may come from.
const SOURCES: [&str; 5] = ["env", "file", "secretKeyRef", "sops", "exec"];

/// Whether a word names a source of sensitive values.
pub(super) fn is_source(word: &str) -> bool {
    SOURCES.contains(&word)
}

/// Secrets that manifests have in plain text, and where: for the vault alone, and to be struck out of the sources.
#[derive(Clone, Default)]
pub struct Plaintexts {
    texts: Vec<Zeroizing<String>>,
    places: BTreeMap<SourceId, Vec<Range<usize>>>,
}

impl fmt::Debug for Plaintexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plaintexts").finish_non_exhaustive()
    }
}

impl Plaintexts {
    /// The secret with this number.
    pub fn get(&self, number: u64) -> Option<&str> {
        self.texts.get(usize::try_from(number).ok()?).map(|text| text.as_str())
    }

    fn keep(&mut self, text: &str) -> usize {
        self.texts.push(Zeroizing::new(text.to_owned()));
        self.texts.len() - 1
    }

    /// Remembers to strike out the scalars of a value.
    pub(super) fn hide(&mut self, source: SourceId, node: &Node<'_>) {
        match &node.shape {
            Shape::Scalar(_) => self.hide_at(source, node.at),
            Shape::List(items) => items.iter().for_each(|item| self.hide(source, item)),
            Shape::Map(members) => members.iter().for_each(|member| self.hide(source, &member.value)),
        }
    }

    pub(super) fn hide_at(&mut self, source: SourceId, at: Mark) {
        self.places.entry(source).or_default().push(at.start as usize..at.end as usize);
    }

    /// Strikes them out of the texts, byte for byte, so that no place moves and no excerpt shows one.
    pub(super) fn strike_out(&self, sources: &mut Sources) {
        for (source, places) in &self.places {
            let Some(text) = sources.texts.get_mut(source.0 as usize) else { continue };
            let mut bytes = text.text.as_bytes().to_vec();
            for place in places {
                let Some(bytes) = bytes.get_mut(place.clone()) else { continue };
                strike_out(bytes);
            }
            text.text = Arc::from(String::from_utf8_lossy(&bytes));
        }
    }
}

/// Overwrites a scalar. Its quotes, line ends and indentation stay, so that it parses as before.
fn strike_out(bytes: &mut [u8]) {
    let quoted = matches!(bytes, [b'"', .., b'"'] | [b'\'', .., b'\'']);
    let last = bytes.len().saturating_sub(1);
    let mut indentation = false;
    for (index, byte) in bytes.iter_mut().enumerate() {
        match *byte {
            b'\n' | b'\r' => indentation = true,
            b' ' if indentation => {}
            _ if quoted && (index == 0 || index == last) => {}
            _ => {
                indentation = false;
                *byte = b'x';
            }
        }
    }
}

impl<'t> Convert<'_, 't> {
    /// A map in the place of a scalar: a sensitive value, or a mistake.
    pub(super) fn sensitive(
        &mut self,
        members: &[Member<'t>],
        key: Mark,
        field: &FieldSpec,
        sensitive: Option<Sensitivity>,
        path: &Path<'_>,
    ) -> Option<Value> {
        let from = members.iter().find(|member| member.key == "valueFrom");
        let plain = members.iter().find(|member| member.key == "value");
        if sensitive.is_none() {
            match from {
                Some(from) => self.not_sensitive(path, from.at),
                None => self.wrong_map(key, field, path),
            }
            return None;
        }
        match (members, from, plain) {
            ([_], Some(from), _) => {
                self.value_from(&from.value, from.at, path).map(|source| json!({ "$valueFrom": source }))
            }
            ([_], _, Some(Member { value: Node { shape: Shape::Scalar(scalar), at }, .. })) => {
                self.plaintext(scalar, *at, path, false)
            }
            _ => {
                for member in members {
                    self.plaintexts.hide(self.faults.source, &member.value);
                }
                let message = format!("`{path}` takes a sensitive value: a map of `valueFrom` alone.");
                let near = match members {
                    [only] => nearest(&only.key, ["valueFrom"]).or(nearest(&only.key, SOURCES)),
                    _ => None,
                };
                let hint = match near {
                    Some("valueFrom") => "Did you mean `valueFrom`?".to_owned(),
                    Some(source) => format!("Write `{}: {{valueFrom: {{{source}: …}}}}`.", path.name()),
                    None => right_form(path),
                };
                self.faults.add(Diagnostic::error("PL0114", message).hint(hint), key);
                None
            }
        }
    }

    fn wrong_map(&mut self, key: Mark, field: &FieldSpec, path: &Path<'_>) {
        let expected = if field.reference.is_some() {
            "a reference: the name of a manifest, or the natural key of an object"
        } else {
            "one value"
        };
        self.faults.error("PL0105", format!("`{path}` has to be {expected}; it is a map."), key);
    }

    /// Refuses `valueFrom` in a field that is not sensitive.
    pub(super) fn not_sensitive(&mut self, path: &Path<'_>, at: Mark) {
        let message = format!("`{path}` takes no sensitive values.");
        let hint = "Write the value itself; what has to stay secret belongs into a field that is marked for it.";
        self.faults.add(Diagnostic::error("PL0113", message).hint(hint), at);
    }

    /// Plain text where a secret belongs: kept for the vault where that is allowed, else refused without showing it.
    pub(super) fn plaintext(&mut self, scalar: &Scalar<'t>, at: Mark, path: &Path<'_>, bare: bool) -> Option<Value> {
        self.plaintexts.hide_at(self.faults.source, at);
        if self.allow_plaintext && !bare && !scalar.is_null() {
            let number = self.plaintexts.keep(&scalar.text);
            return Some(json!({ "$valueFrom": { "value": number } }));
        }
        let message = format!("`{path}` is sensitive: its value must not stand in a manifest.");
        let mut diagnostic = Diagnostic::error("PL0112", message).hint(right_form(path));
        if !bare {
            diagnostic = diagnostic.hint("`--allow-plaintext-secrets` takes it all the same.");
        }
        self.faults.add(diagnostic, at);
        None
    }

    /// Checks what `valueFrom` names: exactly one source, in its form.
    pub(super) fn value_from(&mut self, node: &Node<'t>, key: Mark, path: &Path<'_>) -> Option<Value> {
        let Some([source]) = node.as_map() else {
            let message = format!("The `valueFrom` of `{path}` names exactly one source.");
            self.plaintexts.hide(self.faults.source, node);
            self.faults.add(Diagnostic::error("PL0114", message).hint(right_form(path)), key);
            return None;
        };
        if !is_source(&source.key) {
            let message = format!("A sensitive value cannot come from `{}`.", source.key);
            let diagnostic = Diagnostic::error("PL0114", message).hint(match nearest(&source.key, SOURCES) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => right_form(path),
            });
            self.plaintexts.hide(self.faults.source, &source.value);
            self.faults.add(diagnostic, source.at);
            return None;
        }
        let good = match place(&source.key, &source.value) {
            Ok(good) => good,
            Err(form) => {
                let message = format!("The `{}` of `{path}` has to be {form}.", source.key);
                self.faults.error("PL0114", message, source.at);
                return None;
            }
        };
        let mut map = Map::new();
        map.insert(source.key.to_string(), good);
        Some(Value::Object(map))
    }
}

fn right_form(path: &Path<'_>) -> String {
    let name = path.name();
    let mut variable = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            variable.push('_');
        }
        if letter.is_ascii_alphanumeric() {
            variable.push(letter.to_ascii_uppercase());
        }
    }
    format!("Write `{name}: {{valueFrom: {{env: {variable}}}}}` and put the value into that variable.")
}
