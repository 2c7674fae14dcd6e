//! A configuration file → its values, checked against field descriptions in the way that manifests are.

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    convert::{Convert, Known},
    faults::{Faults, Path, listed},
    model::DocumentRef,
    node::Node,
    parse,
    scalar::Patterns,
    sensitive::Plaintexts,
};
use crate::{
    description::{compiled::VERSION, format::FieldSpec},
    diagnostic::{Diagnostic, SourceId, Sources, nearest},
    value::Fields,
};

/// What a configuration file says.
#[derive(Debug, Default)]
pub struct Settings {
    /// The values of `spec`, as far as they are right.
    pub values: Fields,
    /// The document, for finding places.
    pub document: Option<DocumentRef>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the one document of a kind that a text has to hold. Secrets in it that stand in plain text are refused, and
/// struck out of the text.
pub fn settings(sources: &mut Sources, source: SourceId, kind: &str, fields: &IndexMap<String, FieldSpec>) -> Settings {
    let Some(text) = sources.get(source).map(|source| source.text.clone()) else { return Settings::default() };
    let parsed = parse::documents(&text, source);
    let mut out = Settings { diagnostics: parsed.diagnostics, ..Settings::default() };
    let mut faults = Faults::new(source, &text);
    let mut plaintexts = Plaintexts::default();
    match parsed.documents.as_slice() {
        [] if out.diagnostics.is_empty() => {
            out.diagnostics.push(
                Diagnostic::error("PL1001", "The configuration is empty.")
                    .hint(format!("It starts with `apiVersion: plumb.dev/{VERSION}` and `kind: {kind}`.")),
            );
        }
        [] => {}
        [document, rest @ ..] => {
            if let Some(second) = rest.first() {
                faults.error("PL1001", "A configuration is one document; this is a second one.", second.root.at);
            }
            let root = &document.root;
            out.document = Some(DocumentRef { source, index: root.at.start, item: None });
            head(root, kind, &mut faults);
            let mut patterns = Patterns::default();
            let mut convert = Convert {
                faults,
                patterns: &mut patterns,
                plaintexts: &mut plaintexts,
                allow_plaintext: false,
                files_in_maps: false,
                missing: Vec::new(),
            };
            match root.member("spec") {
                Some(spec) if spec.value.as_map().is_some() => {
                    let members = spec.value.as_map().unwrap_or_default();
                    out.values = convert.fields(members, Known::from(fields), &Path::Root, &mut |_, _| false);
                    convert.requirements(&out.values, members, fields, &Path::Root, Some(spec.at));
                }
                Some(spec) => {
                    let message = format!("`spec` has to be a map; it is {}.", spec.value.describe());
                    convert.faults.error("PL0105", message, spec.at);
                }
                None => convert.faults.error("PL0108", "`spec` is required.", root.at),
            }
            for name in std::mem::take(&mut convert.missing) {
                let pointer = name.replace(['.', '['], "/").replace(']', "");
                let at = root.locate(&format!("/spec/{pointer}"));
                convert.faults.error("PL0108", format!("`{name}` is required."), at);
            }
            faults = convert.faults;
        }
    }
    out.diagnostics.append(&mut faults.list);
    out.diagnostics.sort_by_key(|diagnostic| diagnostic.place);
    plaintexts.strike_out(sources);
    out
}

/// Checks `apiVersion`, `kind` and that nothing else stands beside `metadata` and `spec`.
fn head(root: &Node<'_>, kind: &str, faults: &mut Faults<'_>) {
    const KEYS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
    let Some(members) = root.as_map() else {
        faults.error("PL1001", format!("A configuration is a map; this is {}.", root.describe()), root.at);
        return;
    };
    for member in members.iter().filter(|member| !KEYS.contains(&&*member.key)) {
        let diagnostic = Diagnostic::error("PL0103", format!("There is no `{}` in a configuration.", member.key));
        let diagnostic = match nearest(&member.key, KEYS) {
            Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
            None => diagnostic.hint(format!("There are {}.", listed(KEYS))),
        };
        faults.add(diagnostic, member.at);
    }
    let version = format!("plumb.dev/{VERSION}");
    for (key, wanted) in [("apiVersion", version.as_str()), ("kind", kind)] {
        let found = root.member(key);
        if found.and_then(|member| member.value.as_text()) != Some(wanted) {
            let at = found.map_or(root.at, |member| member.value.best(member.at));
            let diagnostic =
                Diagnostic::error("PL1001", format!("`{key}` of this configuration has to be `{wanted}`."));
            faults.add(diagnostic.hint(format!("Write `{key}: {wanted}`.")), at);
        }
    }
}

impl Settings {
    /// Whether anything is wrong that must not be.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The values as one object.
    pub fn into_value(self) -> Value {
        Value::Object(self.values)
    }
}
