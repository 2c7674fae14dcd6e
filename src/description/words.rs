//! Fields in words: their types and everything else that a reader must know, for `explain`, the schemas and the
//! reference pages.

use serde_json::Value;

use super::format::{
    Condition, Encoding, FieldSpec, FieldType, Format, Immutable, InsideForm, KindSpec, RefSpec, Sensitivity, Variant,
    Verb,
};

/// The type of a field, such as `list of references to User`.
pub(super) fn type_words(field: &FieldSpec) -> String {
    if field.always_sensitive() && field.fields.is_empty() {
        return "sensitive value".into();
    }
    let words = match (field.ty, &field.reference) {
        (FieldType::Ref, Some(reference)) => format!("reference to {}", targets(reference)),
        (_, Some(reference)) if reference.wire_prefix.is_some() => {
            format!("word, or reference to {}", targets(reference))
        }
        (FieldType::List, _) => match field.items.as_deref() {
            Some(items) => format!("list of {}", plural_words(items)),
            None => "list".into(),
        },
        (FieldType::Map, _) => match field.items.as_deref() {
            Some(items) => format!("map of {}", plural_words(items)),
            None => "map".into(),
        },
        (ty, _) => type_word(ty).into(),
    };
    match field.sensitive {
        Some(Sensitivity::Allowed) if field.ty == FieldType::Map => format!("{words}, whose values may be sensitive"),
        Some(Sensitivity::Allowed) => format!("{words}, or sensitive value"),
        _ => words,
    }
}

fn type_word(ty: FieldType) -> &'static str {
    match ty {
        FieldType::String => "string",
        FieldType::Integer => "integer",
        FieldType::Number => "number",
        FieldType::Boolean => "boolean",
        FieldType::Date => "date",
        FieldType::Datetime => "timestamp",
        FieldType::Object => "object",
        FieldType::Map => "map",
        FieldType::List => "list",
        FieldType::Ref => "reference",
        FieldType::File => "file",
        FieldType::Sink => "sink",
        FieldType::Any => "any",
    }
}

/// What an object has in one of its variants.
fn variant_words(variant: &Variant) -> String {
    let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
    let mut parts: Vec<String> = Vec::new();
    if !variant.required.is_empty() {
        parts.push(list(&variant.required));
    }
    if !variant.one_of.is_empty() {
        parts.push(variant.one_of.iter().map(|group| list(group)).collect::<Vec<_>>().join(", or "));
    }
    parts.extend(variant.optional.iter().map(|name| format!("perhaps `{name}`")));
    parts.join(", ")
}

fn plural_words(field: &FieldSpec) -> String {
    match (field.ty, &field.reference) {
        (FieldType::Ref, Some(reference)) => format!("references to {}", targets(reference)),
        (FieldType::Any, _) => "any JSON".into(),
        (ty, _) => format!("{}s", type_word(ty)),
    }
}

/// The kinds that a reference may lead to, in words.
pub(super) fn targets(reference: &RefSpec) -> String {
    if let Some(kind) = &reference.kind {
        return kind.clone();
    }
    let names: Vec<&str> =
        reference.kinds.iter().map(|(word, kind)| if kind.is_empty() { word.as_str() } else { kind }).collect();
    either(&names)
}

/// What else is to know of a field, one fact each: when it is needed, what may be written, what changes mean.
pub(super) fn notes(field: &FieldSpec) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |words: String| out.push(words);
    if field.read_only {
        say("read only".into());
    }
    if field.required {
        say("needed to create".into());
    }
    if let Some(condition) = &field.required_when {
        say(format!("needed to create where {}", condition_words(condition)));
    }
    if let Some(condition) = &field.when {
        say(format!("only where {}", condition_words(condition)));
    }
    if field.nullable {
        say("null clears it".into());
    }
    if !field.allowed.is_empty() {
        say(format!("one of {}", values(&field.allowed)));
    }
    if let Some(format) = field.format {
        say(match format {
            Format::Email => "an e-mail address",
            Format::Ip => "an IP address",
            Format::Mac => "a MAC address",
            Format::Url => "an absolute URL",
        }
        .into());
    }
    if let Some(pattern) = &field.pattern {
        say(format!("matches `{pattern}`"));
    }
    if let Some(pattern) = &field.not_pattern {
        say(format!("does not match `{pattern}`"));
    }
    if let Some(length) = field.max_length {
        say(format!("{length} characters at most"));
    }
    if let Some(minimum) = field.minimum {
        say(format!("{minimum} or more"));
    }
    if let Some(maximum) = field.maximum {
        say(format!("{maximum} at most"));
    }
    if let Some(default) = &field.default {
        say(format!("the server's default is {}", value_words(default)));
    }
    for forced in &field.forced {
        say(format!("the server makes it {} where {}", value_words(&forced.value), condition_words(&forced.when)));
    }
    match field.immutable {
        Some(Immutable::Replace) => say("a change makes a new object".into()),
        Some(Immutable::Refuse) => say("cannot be changed".into()),
        Some(Immutable::CreateOnly) => say("sent when creating, not compared after".into()),
        None => {}
    }
    if let Some(variants) = &field.variants {
        let decides = variants.field.as_ref().or(variants.member.as_ref()).cloned().unwrap_or_default();
        let each = variants.of.iter().map(|(word, variant)| format!("`{word}`: {}", variant_words(variant)));
        say(format!("its members follow from `{decides}` ({})", each.collect::<Vec<_>>().join("; ")));
    }
    if let Some(consent) = &field.consent {
        say(format!("a change needs `plumb.dev/allow: {}`", consent.word));
    }
    if field.write_only && field.ty != FieldType::Sink {
        say("never read back".into());
    }
    if field.set {
        say("order does not matter".into());
    }
    if let Some(key) = &field.keyed_by {
        say(format!("keyed by `{key}`"));
    }
    if let Some(effect) = &field.effect {
        if !effect.clears.is_empty() {
            say(format!("a change clears {}", fields(&effect.clears, " and ")));
        }
        if !effect.destroys.is_empty() {
            say(format!(
                "a change deletes {}, and what is declared of it is made anew",
                fields(&effect.destroys, " and ")
            ));
        }
    }
    if let Some(file) = &field.from_file {
        say(format!("the name of `{file}` unless given"));
    }
    if field.encode == Some(Encoding::JsonString) {
        say("written as JSON, sent as text".into());
    }
    out
}

/// What to know of a kind: how objects are told apart, what the API cannot do, what happens on deletion.
pub(super) fn kind_notes(kind: &KindSpec) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if !kind.key.is_empty() {
        let mut key = vec![fields(&kind.key, " + ")];
        if !kind.key_extra.is_empty() {
            key.push(format!(" (+ {} where names repeat)", fields(&kind.key_extra, " or ")));
        }
        key.extend(kind.key_fallbacks.iter().map(|other| format!(", else {}", fields(other, " + "))));
        if kind.key_not_unique {
            key.push("; not promised to be unique".into());
        }
        out.push(("Natural key", key.concat()));
    }
    if !kind.aliases.is_empty() {
        out.push(("Also referred to by", fields(&kind.aliases, ", ")));
    }
    if kind.singleton {
        out.push(("Singleton", "there is exactly one; it is adopted, changed and forgotten".into()));
    }
    if kind.contains {
        out.push(("Contains others", "never deleted without `plumb.dev/deletion-policy: delete`".into()));
    }
    if let Some(loss) = &kind.delete_loses {
        out.push((
            "Deletion loses data",
            format!("deleting one destroys {loss}; it is retained without `plumb.dev/deletion-policy: delete`"),
        ));
    }
    if !kind.lookup && kind.lacks.contains(&Verb::Delete) && kind.bulk.delete.is_none() && !kind.singleton {
        out.push(("No deletion", "the API cannot delete it; what goes from the manifests is retained".into()));
    }
    if kind.deferred_delete {
        out.push(("Deferred deletion", "the API deletes later; the object stays listed meanwhile".into()));
    }
    if let Some(synced) = &kind.synced {
        let by = synced.by.as_deref().unwrap_or("another system");
        let allowed = if synced.allow.is_empty() { "nothing".into() } else { fields(&synced.allow, ", ") };
        out.push(("Synced records", format!("of a record that {by} owns, the API lets {allowed} be changed")));
    }
    if let Some(archive) = &kind.archive {
        out.push(("Archiving", format!("`plumb.dev/deletion-policy: archive` sets `{}`", archive.field)));
    }
    out
}

/// How entries inside a parent are written, in words.
pub(super) fn form_words(form: InsideForm) -> &'static str {
    match form {
        InsideForm::List => "list of entries",
        InsideForm::Variables => "list of variables, `{name, value}` or `{name, valueFrom}`",
        InsideForm::Map => "map of strings",
    }
}

pub(super) fn condition_words(condition: &Condition) -> String {
    let what = condition.field.as_deref().or(condition.wire.as_deref()).unwrap_or_default();
    if !condition.one_of.is_empty() {
        return format!("`{what}` is {}", values(&condition.one_of));
    }
    if !condition.not_in.is_empty() {
        return format!("`{what}` is not {}", values(&condition.not_in));
    }
    format!("`{what}` is there")
}

fn fields(names: &[String], between: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}

fn values(list: &[Value]) -> String {
    let words: Vec<String> = list.iter().map(value_words).collect();
    either(&words)
}

/// `a, b or c`
fn either<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} or {end}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn value_words(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}
