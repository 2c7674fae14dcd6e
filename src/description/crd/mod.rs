//! Descriptions → `CustomResourceDefinitions`: one for each kind that manifests declare, as tight as a structural schema
//! can be. What it cannot say is left untyped and listed with the reason; the operator answers for the rest.

mod derived;
mod field;
mod rules;

use indexmap::IndexMap;
use serde_json::{Value, json};

use self::field::Draft;
use super::{
    compiled::{Api, GROUP_SUFFIX, Kind, VERSION, plural},
    format::{ApiSpec, FieldSpec, FieldType},
};

/// Group of plumb's own kinds.
const CORE_GROUP: &str = "plumb.dev";
/// Category of every kind: `kubectl get plumb`.
pub const CATEGORY: &str = "plumb";

/// A `CustomResourceDefinition`, and what of it is untyped.
#[derive(Debug, Clone, PartialEq)]
pub struct Crd {
    /// `PLURAL.GROUP`, its name.
    pub name: String,
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Short names.
    pub short_names: Vec<String>,
    /// The whole resource.
    pub value: Value,
    /// Fields that the schema lets through unchecked.
    pub untyped: Vec<Untyped>,
}

/// A field that a structural schema cannot type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untyped {
    /// Its path, such as `spec.traits`.
    pub path: String,
    /// Why.
    pub reason: &'static str,
}

/// The definition of a kind of an API; `status` is the schema of its status.
pub fn kind_crd(api: &Api, kind: &Kind, status: &Value) -> Crd {
    let mut draft = Draft::new(api);
    let mut spec = draft.kind(kind, "spec");
    let connection = json!({
        "type": "string",
        "minLength": 1,
        "description": "Name of the connection, where the namespace has several for this API.",
    });
    if let Some(properties) = spec.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("connection".into(), connection);
    }
    let title = api.spec.title.as_deref().unwrap_or(&api.name);
    let words = kind.spec.description.clone().unwrap_or_else(|| format!("A {} of {title}.", kind.name));
    let short = if kind.spec.short_names.is_empty() { derived_short(api, kind) } else { kind.spec.short_names.clone() };
    assemble(Parts {
        group: format!("{}{GROUP_SUFFIX}", api.name),
        kind: &kind.name,
        plural: kind.plural(),
        short,
        words: format!("{words} ({title})"),
        spec,
        status,
        columns: object_columns(),
        untyped: draft.untyped,
    })
}

/// The definition of `Connection` or `Stack`, by the fields of its spec.
pub fn core_crd(kind: &str, words: &str, fields: &IndexMap<String, FieldSpec>, status: &Value) -> Crd {
    let mut draft = Draft::new_core();
    let mut spec = draft.object(fields, "spec", false, true);
    let required: Vec<&String> = fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
    if !required.is_empty() {
        spec["required"] = json!(required);
    }
    let (short, columns) = if kind == "Connection" {
        ("plumbconn", connection_columns())
    } else {
        rules::stack(&mut spec);
        ("plumbstack", stack_columns())
    };
    assemble(Parts {
        group: CORE_GROUP.to_owned(),
        kind,
        plural: plural(&kind.to_lowercase()),
        short: vec![short.to_owned()],
        words: words.to_owned(),
        spec,
        status,
        columns,
        untyped: draft.untyped,
    })
}

/// The definition of `Api`: its spec is the format of descriptions.
pub fn api_crd(status: &Value) -> Crd {
    let (spec, untyped) = derived::structural(&schemars::schema_for!(ApiSpec).to_value(), "spec");
    assemble(Parts {
        group: CORE_GROUP.to_owned(),
        kind: "Api",
        plural: "apis".to_owned(),
        short: vec!["plumbapi".to_owned()],
        words: "The description of an API: where it is, how it speaks, and its kinds.".to_owned(),
        spec,
        status,
        columns: json!([condition_column("Ready", "status"), reason_column(), age_column()]),
        untyped,
    })
}

/// The structural form of a schema that was derived from a Rust type.
pub fn status_schema(schema: &schemars::Schema) -> Value {
    derived::structural(&schema.clone().to_value(), "status").0
}

/// Names of kinds that stand on their own, in the order of the description.
pub fn declarable(api: &Api) -> impl Iterator<Item = &Kind> {
    api.kinds.values().filter(|kind| kind.is_declarable()).map(AsRef::as_ref)
}

struct Parts<'p> {
    group: String,
    kind: &'p str,
    plural: String,
    short: Vec<String>,
    words: String,
    spec: Value,
    status: &'p Value,
    columns: Value,
    untyped: Vec<Untyped>,
}

fn assemble(parts: Parts<'_>) -> Crd {
    // A stack may have nothing to set.
    let needed: &[&str] = if parts.kind == "Stack" && parts.group == CORE_GROUP { &[] } else { &["spec"] };
    let Parts { group, kind, plural, short, words, mut spec, status, columns, untyped } = parts;
    spec["description"] = "What is declared; a field that is left out is not managed.".into();
    let name = format!("{plural}.{group}");
    let value = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "plumb"}},
        "spec": {
            "group": group,
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_lowercase(),
                "shortNames": short,
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": {
                    "description": words,
                    "type": "object",
                    "required": needed,
                    "properties": {
                        "apiVersion": {"type": "string", "description": format!("`{group}/{VERSION}`.")},
                        "kind": {"type": "string", "description": format!("`{kind}`.")},
                        "metadata": {"type": "object"},
                        "spec": spec,
                        "status": status,
                    },
                }},
            }],
        },
    });
    Crd { name, group, kind: kind.to_owned(), short_names: short, value, untyped }
}

/// A short name with the API's own before it, for kinds whose description gives none.
fn derived_short(api: &Api, kind: &Kind) -> Vec<String> {
    let api: String = api.name.chars().filter(char::is_ascii_alphanumeric).collect();
    vec![format!("{api}{}", kind.name.to_lowercase())]
}

fn condition_column(ty: &str, member: &str) -> Value {
    json!({
        "name": ty.to_uppercase(),
        "type": "string",
        "jsonPath": format!(".status.conditions[?(@.type==\"{ty}\")].{member}"),
    })
}

fn reason_column() -> Value {
    let mut column = condition_column("Ready", "reason");
    column["name"] = "REASON".into();
    column
}

fn age_column() -> Value {
    json!({"name": "AGE", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}

fn text_column(name: &str, path: &str) -> Value {
    json!({"name": name, "type": "string", "jsonPath": path})
}

fn object_columns() -> Value {
    json!([
        condition_column("Ready", "status"),
        condition_column("Synced", "status"),
        text_column("EXTERNAL-ID", ".status.externalId"),
        text_column("DRIFT", ".status.drift"),
        reason_column(),
        age_column(),
    ])
}

fn connection_columns() -> Value {
    json!([condition_column("Ready", "status"), text_column("API", ".spec.api"), reason_column(), age_column()])
}

fn stack_columns() -> Value {
    json!([
        condition_column("Ready", "status"),
        condition_column("Synced", "status"),
        text_column("REVISION", ".status.revision"),
        text_column("DRIFT", ".status.drift"),
        reason_column(),
        age_column(),
    ])
}

/// Whether a field is text and nothing else, so that rules can look at it.
fn is_plain(field: &FieldSpec) -> bool {
    let scalar = !matches!(
        field.ty,
        FieldType::Map | FieldType::Object | FieldType::List | FieldType::Any | FieldType::File | FieldType::Sink
    );
    scalar && field.sensitive.is_none()
}
