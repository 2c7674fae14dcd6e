//! What a description says beyond types → rules in the Common Expression Language, and patterns.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::is_plain;
use crate::description::{
    compiled::{Api, Kind},
    format::{Condition, FieldSpec, FieldType, InsideForm, RefSpec, Variants},
    words::condition_words,
};

#[expect(clippy::needless_pass_by_value, reason = "all callers make the texts for it")]
fn rule(rule: String, message: String) -> Value {
    json!({"rule": rule, "message": message})
}

/// What a `Stack` says about where its manifests are.
pub(super) fn stack(spec: &mut Value) {
    let words = "`prune` has to be written beside `source`: whether what is taken out of Git is deleted.";
    let mut rules = vec![rule("!has(self.source) || has(self.prune)".to_owned(), words.to_owned())];
    for name in ["interval", "mode", "approvePlan", "suspend", "dependsOn"] {
        let words = format!("`{name}` is for a stack in a cluster that has a `source`.");
        rules.push(rule(format!("!has(self.{name}) || has(self.source)"), words));
    }
    spec["x-kubernetes-validations"] = rules.into();
    let one = "Of `token`, `password` and `sshKey` one is enough.";
    let hosts = "`sshKey` needs `knownHosts`, the keys of the servers that may be asked.";
    spec["properties"]["source"]["properties"]["auth"]["x-kubernetes-validations"] = json!([
        rule(
            "[has(self.token), has(self.password), has(self.sshKey)].filter(there, there).size() <= 1".into(),
            one.into()
        ),
        rule("!has(self.sshKey) || has(self.knownHosts)".into(), hosts.into()),
    ]);
}

/// A member that is there: `has(self.name)`.
fn has(of: &str, name: &str) -> String {
    format!("has({of}.{})", escaped(name))
}

/// A name as CEL takes it: what is reserved or no identifier is escaped.
fn escaped(name: &str) -> String {
    const RESERVED: [&str; 19] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "void",
    ];
    if RESERVED.contains(&name) || matches!(name, "var" | "while") {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

/// A text between quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for letter in text.chars() {
        match letter {
            '\'' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => out.push(letter),
        }
    }
    out.push('\'');
    out
}

fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn literals(values: &[Value]) -> Option<String> {
    values.iter().map(literal).collect::<Option<Vec<_>>>().map(|all| format!("[{}]", all.join(", ")))
}

/// Exactly one of two members.
pub(super) fn one_of(names: &[&str; 2]) -> Value {
    let [first, second] = names;
    rule(
        format!("{} != {}", has("self", first), has("self", second)),
        format!("It takes either `{first}` or `{second}`."),
    )
}

/// It stays as it was made.
pub(super) fn immutable(path: &str) -> Value {
    let name = path.rsplit('.').next().unwrap_or(path);
    rule("self == oldSelf".to_owned(), format!("`{name}` cannot be changed once the object exists."))
}

/// An IP address.
pub(super) fn ip() -> Value {
    rule("isIP(self)".to_owned(), "It has to be an IPv4 or IPv6 address.".to_owned())
}

/// An absolute URL.
pub(super) fn url() -> Value {
    rule(
        "isURL(self) && url(self).getHost() != ''".to_owned(),
        "It has to be an absolute URL such as `https://host.example/path`.".to_owned(),
    )
}

/// A name that is taken.
pub(super) fn reserved(pattern: &str) -> Value {
    rule(
        format!("!self.matches({})", quoted(&format!("^(?:{pattern})$"))),
        format!("What matches `{pattern}` is reserved."),
    )
}

/// A reference, which names its kind where it may be one of several.
pub(super) fn reference(field: &FieldSpec, reference: &RefSpec) -> Value {
    let mut kinds: Vec<&str> = reference
        .kinds
        .iter()
        .flat_map(|(word, kind)| [word.as_str(), kind.as_str()])
        .filter(|word| !word.is_empty())
        .collect();
    if reference.wire_prefix.is_some() {
        kinds.extend(reference.kind.as_deref());
    }
    if kinds.is_empty() {
        return json!({"type": "string", "minLength": 1});
    }
    kinds.sort_unstable();
    kinds.dedup();
    let escape = |word: &str| regex::escape(word).replace(r"\-", "-");
    let mut pattern = format!("({})/.+", kinds.iter().map(|kind| escape(kind)).collect::<Vec<_>>().join("|"));
    for word in field.allowed.iter().filter_map(Value::as_str) {
        pattern.push('|');
        pattern.push_str(&escape(word));
    }
    json!({"type": "string", "pattern": format!("^(?:{pattern})$")})
}

/// Rules between the members of an object. In a list, a rule on a text of any length would cost more than Kubernetes allows:
/// what it would refuse is let through.
pub(super) fn of_fields(fields: &IndexMap<String, FieldSpec>, listed: bool) -> Vec<Value> {
    let mut rules = Vec::new();
    for (name, field) in fields.iter().filter(|(_, field)| field.is_declarable()) {
        // What is untyped cannot be seen.
        let seen = is_plain(field) || field.always_sensitive() || !field.fields.is_empty() || field.items.is_some();
        let long = |condition: &&Condition| {
            let decides = condition.field.as_ref().and_then(|name| fields.get(name));
            decides
                .is_some_and(|field| field.allowed.is_empty() && matches!(field.ty, FieldType::String | FieldType::Ref))
        };
        if let Some(condition) = field.when.as_ref().filter(|condition| seen && !(listed && long(condition))) {
            rules.extend(exists_only(name, condition, fields));
        }
        if let Some(variants) = &field.variants {
            rules.extend(variants_of(name, field, variants, fields));
        }
    }
    rules
}

fn exists_only(name: &str, condition: &Condition, fields: &IndexMap<String, FieldSpec>) -> Option<Value> {
    let other = condition.field.as_ref()?;
    let decides = fields.get(other).filter(|field| is_plain(field) && field.is_declarable())?;
    let own = |list: &[Value]| literals(&as_declared(list, decides));
    let open = if !condition.not_in.is_empty() {
        format!("!(self.{} in {})", escaped(other), own(&condition.not_in)?)
    } else if !condition.one_of.is_empty() {
        format!("self.{} in {}", escaped(other), own(&condition.one_of)?)
    } else {
        return None;
    };
    // A null there decides nothing.
    let known = if decides.nullable {
        format!("!{} || self.{} == null", has("self", other), escaped(other))
    } else {
        format!("!{}", has("self", other))
    };
    Some(rule(
        format!("!{} || {known} || {open}", has("self", name)),
        format!("`{name}` exists only where {}.", condition_words(condition)),
    ))
}

/// Values in the type that the schema gives the field.
fn as_declared(values: &[Value], field: &FieldSpec) -> Vec<Value> {
    values
        .iter()
        .map(|value| match field.ty {
            FieldType::String | FieldType::Ref => {
                crate::value::text(value).map_or_else(|| value.clone(), Value::String)
            }
            _ => value.clone(),
        })
        .collect()
}

/// Members that an object has no use for by the value of another field.
fn variants_of(name: &str, field: &FieldSpec, variants: &Variants, fields: &IndexMap<String, FieldSpec>) -> Vec<Value> {
    let (decides, word) = match (&variants.field, &variants.member) {
        (Some(other), _) if fields.get(other).is_some_and(is_plain) => {
            (has("self", other), format!("self.{}", escaped(other)))
        }
        (None, Some(member)) if field.fields.get(member).is_some_and(is_plain) => {
            let of = format!("self.{}", escaped(name));
            (has(&of, member), format!("{of}.{}", escaped(member)))
        }
        _ => return Vec::new(),
    };
    let of = format!("self.{}", escaped(name));
    variants
        .of
        .iter()
        .filter_map(|(value, variant)| {
            let known = |member: &String| {
                variant.required.contains(member)
                    || variant.optional.contains(member)
                    || variant.one_of.iter().flatten().any(|other| other == member)
                    || variants.member.as_ref() == Some(member)
            };
            let foreign: Vec<String> = field
                .fields
                .iter()
                .filter(|(member, spec)| !known(member) && (is_plain(spec) || spec.always_sensitive()))
                .map(|(member, _)| format!("!{}", has(&of, member)))
                .collect();
            (!foreign.is_empty()).then(|| {
                rule(
                    format!(
                        "!{} || !{decides} || {word} != {} || ({})",
                        has("self", name),
                        quoted(value),
                        foreign.join(" && ")
                    ),
                    format!("`{name}` has a member that `{value}` does not have."),
                )
            })
        })
        .collect()
}

/// Rules of a kind: declarations that contradict each other.
pub(super) fn of_kind(api: &Api, kind: &Kind) -> Vec<Value> {
    kind.spec
        .conflicts
        .iter()
        .filter_map(|conflict| {
            let child = api.inside(&kind.name, &conflict.with)?;
            let member = conflict.condition.field.as_ref()?;
            child.inside().filter(|inside| inside.form == InsideForm::List)?;
            child.field(member).filter(|field| is_plain(field))?;
            let values = literals(&conflict.condition.one_of).filter(|_| !conflict.condition.one_of.is_empty())?;
            let absent: Vec<String> = conflict.fields.iter().map(|name| format!("!{}", has("self", name))).collect();
            Some(rule(
                format!(
                    "({}) || !{} || !self.{}.exists(entry, {} && entry.{} in {values})",
                    absent.join(" && "),
                    has("self", &conflict.with),
                    escaped(&conflict.with),
                    has("entry", member),
                    escaped(member),
                ),
                conflict.message.trim().to_owned(),
            ))
        })
        .collect()
}
