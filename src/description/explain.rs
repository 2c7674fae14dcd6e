//! Descriptions → what `explain KIND[.field]` prints, as data.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::{
    compiled::{Api, CORE_VERSION, Kind},
    format::FieldSpec,
    words::{form_words, kind_notes, notes, targets, type_words},
};
use crate::diagnostic::nearest;

/// What there is to know of a kind, or of one of its fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `itglue.plumb.dev/v1alpha1 FlexibleAssetType`, with the path of the field after it (`.fields.kind`).
    pub title: String,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// Section of the vendor's reference; of kinds.
    pub docs: Option<String>,
    /// Facts, each under a word or two (`Natural key`).
    pub facts: Vec<(String, String)>,
    /// The fields, or the members of the field.
    pub fields: Vec<Explained>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Its type in words, such as `list of references to User`.
    #[serde(rename = "type")]
    pub ty: String,
    /// Kind of the entries that are written in it, and how many kinds have such entries.
    pub entries: Option<(String, usize)>,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// It is needed to create.
    pub required: bool,
    /// The server owns it: references and conditions may use it, manifests cannot.
    pub read_only: bool,
    /// The values that are allowed.
    pub allowed: Vec<Value>,
    /// What the server fills in.
    pub default: Option<Value>,
    /// The kinds that it refers to, in words.
    pub target: Option<String>,
    /// Everything else, one fact each; the allowed values and the default among them.
    pub notes: Vec<String>,
    /// Members of an object, of a list's objects, or of the entries inside.
    pub fields: Vec<Explained>,
}

/// A path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{of}` has no field `{name}`")]
pub struct NoField {
    /// What was looked into.
    pub of: String,
    /// What was looked for.
    pub name: String,
    /// The nearest name that there is.
    pub nearest: Option<String>,
    /// All names that there are.
    pub known: Vec<String>,
}

/// Explains a kind, or what is at a path of field names below its `spec`.
pub fn explain(api: &Api, kind: &Kind, path: &[&str]) -> Result<Explanation, NoField> {
    let whole = Explanation {
        title: format!("{} {}", api.api_version(), kind.name),
        description: kind.spec.description.clone(),
        docs: kind.spec.docs.clone(),
        facts: kind_notes(&kind.spec).into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect(),
        fields: kind_fields(api, kind, 0),
    };
    follow(whole, &kind.name, path)
}

/// Explains a kind of plumb's own, or what is at a path of field names below its `spec`.
pub fn explain_core(
    kind: &str,
    description: &str,
    fields: &IndexMap<String, FieldSpec>,
    path: &[&str],
) -> Result<Explanation, NoField> {
    let whole = Explanation {
        title: format!("{CORE_VERSION} {kind}"),
        description: Some(description.to_owned()),
        docs: None,
        facts: Vec::new(),
        fields: fields.iter().map(|(name, field)| explained(name, field)).collect(),
    };
    follow(whole, kind, path)
}

/// Goes from a whole kind to what is at a path of field names.
fn follow(whole: Explanation, kind: &str, path: &[&str]) -> Result<Explanation, NoField> {
    if path.is_empty() {
        return Ok(whole);
    }
    let Explanation { mut title, mut fields, .. } = whole;
    let mut of = kind.to_owned();
    let mut found: Option<Explained> = None;
    for name in path {
        let Some(at) = fields.iter().position(|field| field.name == *name) else {
            let known: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
            return Err(NoField { of, name: (*name).to_owned(), nearest: near, known });
        };
        let mut field = fields.swap_remove(at);
        of = format!("{of}.{name}");
        title = format!("{title}.{name}");
        fields = std::mem::take(&mut field.fields);
        found = Some(field);
    }
    let mut facts = Vec::new();
    let mut description = None;
    if let Some(field) = found {
        description = field.description;
        facts.push(("Type".to_owned(), field.ty));
        facts.extend(field.notes.into_iter().map(|note| (String::new(), note)));
    }
    Ok(Explanation { title, description, docs: None, facts, fields })
}

/// The fields of a kind, then the entries inside it.
fn kind_fields(api: &Api, kind: &Kind, depth: usize) -> Vec<Explained> {
    let mut out: Vec<Explained> = kind.spec.fields.iter().map(|(name, field)| explained(name, field)).collect();
    // An entry cannot be inside an entry of its own kind.
    for child in api.children(&kind.name).filter(|_| depth < 4) {
        let Some(inside) = child.inside() else { continue };
        out.push(Explained {
            name: inside.field.clone(),
            ty: form_words(inside.form).into(),
            entries: Some((child.name.clone(), inside.parents.len())),
            description: child.spec.description.clone(),
            required: inside.embed_required,
            read_only: false,
            allowed: Vec::new(),
            default: None,
            target: None,
            notes: kind_notes(&child.spec)
                .into_iter()
                .map(|(name, fact)| if name == "Natural key" { format!("keyed by {fact}") } else { fact })
                .collect(),
            fields: kind_fields(api, child, depth + 1),
        });
    }
    out
}

fn explained(name: &str, field: &FieldSpec) -> Explained {
    let items = field.items.as_deref();
    let members = if field.fields.is_empty() { items.map(|items| &items.fields) } else { Some(&field.fields) };
    Explained {
        name: name.to_owned(),
        ty: type_words(field),
        entries: None,
        description: field.description.clone(),
        required: field.required,
        read_only: field.read_only,
        allowed: field.allowed.clone(),
        default: field.default.clone(),
        target: field.ref_spec().map(targets),
        notes: notes(field),
        fields: members.into_iter().flatten().map(|(name, member)| explained(name, member)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_a_field_and_an_entry_are_explained() {
        let api = crate::apis::builtin().api("itglue").unwrap();
        let kind = api.kind("FlexibleAssetType").unwrap();
        let whole = explain(api, kind, &[]).unwrap();
        assert_eq!(whole.title, "itglue.plumb.dev/v1alpha1 FlexibleAssetType");
        assert!(whole.fields.iter().any(|field| field.name == "fields" && field.required));
        let decimals = explain(api, kind, &["fields", "decimals"]).unwrap();
        let facts: Vec<&str> = decimals.facts.iter().map(|(_, fact)| fact.as_str()).collect();
        assert_eq!(
            facts,
            [
                "integer",
                "needed to create where `kind` is `Number` or `Percent`",
                "null clears it",
                "0 or more",
                "the server's default is `0`"
            ]
        );
    }

    #[test]
    fn a_wrong_path_proposes_the_nearest_name() {
        let api = crate::apis::builtin().api("itglue").unwrap();
        let kind = api.kind("FlexibleAssetType").unwrap();
        let error = explain(api, kind, &["fields", "decimal"]).unwrap_err();
        assert_eq!(error.to_string(), "`FlexibleAssetType.fields` has no field `decimal`");
        assert_eq!(error.nearest.as_deref(), Some("decimals"));
    }
}
