//! Checks a description for contradictions: names that lead nowhere, keys of fields that do not exist.

use indexmap::IndexMap;

use super::{
    compiled::Fault,
    format::{ApiSpec, Condition, DialectName, FieldSpec, FieldType, Inside, KindSpec, RolloutSpec, Variants, Verb},
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
        check_kind(&mut faults, &at, kind, &spec.kinds);
        if kind.dialect == Some(DialectName::Apply) && spec.apply.path.is_empty() {
            fault(&mut faults, "/apply/path", "an API of the dialect `apply` needs the path of its call");
        }
        for (number, need) in kind.needs.iter().enumerate() {
            check_condition(&mut faults, &format!("{at}/needs/{number}/when"), &need.when, kind);
            if spec.version.is_none() {
                let why = "to ask for a version, the description needs `version`, where the server tells it";
                fault(&mut faults, format!("{at}/needs/{number}"), why);
            }
        }
        let shapes: Vec<&str> = spec.shapes.keys().map(String::as_str).collect();
        for (name, field) in &kind.fields {
            check_shape(&mut faults, &format!("{at}/fields/{}", escape(name)), field, &shapes);
        }
    }
    for (name, shape) in &spec.shapes {
        let shapes: Vec<&str> = spec.shapes.keys().map(String::as_str).collect();
        check_shape(&mut faults, &format!("/shapes/{}", escape(name)), shape, &shapes);
    }
    super::sense::check(&mut faults, spec);
    faults
}

/// Every `shape` that a field names is described.
fn check_shape(faults: &mut Vec<Fault>, at: &str, field: &FieldSpec, shapes: &[&str]) {
    if let Some(name) = &field.shape
        && !shapes.contains(&name.as_str())
    {
        let near = did_you_mean(nearest(name, shapes.iter().copied()));
        fault(faults, format!("{at}/shape"), format!("there is no shape `{name}`{near}"));
    }
    if let Some(items) = &field.items {
        check_shape(faults, &format!("{at}/items"), items, shapes);
    }
    for (name, member) in &field.fields {
        check_shape(faults, &format!("{at}/fields/{}", escape(name)), member, shapes);
    }
}

/// A rollout names fields and kinds that there are.
fn check_rollout(faults: &mut Vec<Fault>, at: &str, rollout: &RolloutSpec, kind: &KindSpec, kinds: &[&str]) {
    need_field(faults, &format!("{at}/policy"), kind, &rollout.policy);
    if let Some(limit) = &rollout.limit {
        need_field(faults, &format!("{at}/limit"), kind, limit);
    }
    for (index, name) in rollout.caused_by.iter().enumerate() {
        need_kind(faults, &format!("{at}/causedBy/{index}"), kinds, name);
    }
    if let Some(receivers) = &rollout.receivers {
        need_kind(faults, &format!("{at}/receivers/kind"), kinds, &receivers.kind);
    }
    for (word, path) in [("start", &rollout.start.path), ("status", &rollout.status.path)] {
        if path.as_ref().is_none_or(|path| !path.starts_with('/')) {
            fault(faults, format!("{at}/{word}/path"), "a path starts with `/`");
        }
    }
    for (word, path) in [("version", &rollout.version), ("current", &rollout.current), ("state", &rollout.state)] {
        if path.is_empty() {
            fault(faults, format!("{at}/{word}"), "a rollout needs to know where an object has this");
        }
    }
}

fn check_kind(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec, kinds: &[KindSpec]) {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.kind.as_str()).collect();
    if kind.key.is_empty() && !kind.singleton {
        fault(faults, at, format!("`{}` has no `key`: name the fields that tell one object from another", kind.kind));
    }
    check_names(faults, at, kind);
    check_paths(faults, at, kind, kinds);
    if let Some(rollout) = &kind.rollout {
        check_rollout(faults, &format!("{at}/rollout"), rollout, kind, &names);
    }
    if let Some(inside) = &kind.inside {
        check_inside(faults, &format!("{at}/inside"), inside, kind, kinds);
    }
    for (index, conflict) in kind.conflicts.iter().enumerate() {
        let at = format!("{at}/conflicts/{index}");
        need_fields(faults, &format!("{at}/fields"), kind, &conflict.fields);
        let entries = kinds.iter().find(|entry| {
            entry
                .inside
                .as_ref()
                .is_some_and(|inside| inside.field == conflict.with && inside.parents.contains_key(&kind.kind))
        });
        match entries {
            Some(entries) => check_condition(faults, &format!("{at}/where"), &conflict.condition, entries),
            None if kind.fields.contains_key(&conflict.with) => {}
            None => fault(faults, format!("{at}/with"), format!("no entries are written in `{}`", conflict.with)),
        }
    }
    for (name, field) in &kind.fields {
        check_field(faults, &format!("{at}/fields/{}", escape(name)), field, None, kind, &names);
    }
}

/// Every place where a kind names fields of its own.
fn check_names(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec) {
    for (list, word) in [(&kind.key, "key"), (&kind.key_extra, "keyExtra"), (&kind.aliases, "aliases")] {
        need_fields(faults, &format!("{at}/{word}"), kind, list);
    }
    for (index, list) in kind.key_fallbacks.iter().enumerate() {
        need_fields(faults, &format!("{at}/keyFallbacks/{index}"), kind, list);
    }
    if let Some(scope) = &kind.scope {
        need_field(faults, &format!("{at}/scope/field"), kind, &scope.field);
    }
    for (word, call) in [("create", &kind.bulk.create), ("update", &kind.bulk.update), ("delete", &kind.bulk.delete)] {
        if let Some(call) = call {
            need_fields(faults, &format!("{at}/bulk/{word}/except"), kind, &call.except);
        }
    }
    if let Some(name) = &kind.name_field {
        need_field(faults, &format!("{at}/nameField"), kind, name);
    }
    if let Some(name) = &kind.id.client {
        need_field(faults, &format!("{at}/id/client"), kind, name);
    }
    if let Some(archive) = &kind.archive {
        need_field(faults, &format!("{at}/archive/field"), kind, &archive.field);
    }
    if let Some(synced) = &kind.synced {
        need_fields(faults, &format!("{at}/synced/allow"), kind, &synced.allow);
        need_fields(faults, &format!("{at}/synced/refuse"), kind, &synced.refuse);
        check_conditions(faults, &format!("{at}/synced/detect"), &synced.detect, kind);
    }
    check_conditions(faults, &format!("{at}/notOurs"), &kind.not_ours, kind);
    check_conditions(faults, &format!("{at}/neverDelete"), &kind.never_delete, kind);
    if let Some(rule) = &kind.at_most_one {
        need_fields(faults, &format!("{at}/atMostOne/per"), kind, &rule.per);
        check_condition(faults, &format!("{at}/atMostOne/where"), &rule.condition, kind);
    }
    need_fields(faults, &format!("{at}/update/also"), kind, &kind.update.also);
    check_conditions(faults, &format!("{at}/update/unless"), &kind.update.unless, kind);
    for (index, instead) in kind.create.instead.iter().enumerate() {
        check_condition(faults, &format!("{at}/create/instead/{index}/when"), &instead.when, kind);
    }
    if let Some(waits) = &kind.create.waits {
        for name in waits.by.keys() {
            need_field(faults, &format!("{at}/create/waits/by"), kind, name);
        }
    }
    if let Some(pending) = &kind.pending {
        check_condition(faults, &format!("{at}/pending/when"), &pending.when, kind);
    }
    if let Some(appears) = &kind.appears {
        need_field(faults, &format!("{at}/appears/through"), kind, &appears.through);
    }
    if let Some(lockout) = &kind.lockout {
        if let Some(name) = &lockout.key_end {
            need_field(faults, &format!("{at}/lockout/keyEnd"), kind, name);
        }
        if let Some(name) = &lockout.caller {
            need_field(faults, &format!("{at}/lockout/caller"), kind, name);
        }
        if let Some(last) = &lockout.last {
            check_condition(faults, &format!("{at}/lockout/last"), last, kind);
        }
    }
}

/// Every `{…}` of a path is `{id}`, a parent, or a field.
fn check_paths(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec, kinds: &[KindSpec]) {
    let above = super::compiled::chain(kind, kinds, 0);
    // Of a kind that is listed, the path of its list.
    let listed = kind.inside.is_none() && !kind.singleton && !kind.lacks.contains(&Verb::List);
    let lists = match (listed, &kind.list.path) {
        (false, _) => "",
        (true, Some(_)) => "list/path",
        (true, None) => "path",
    };
    let bulk = |call: &Option<super::format::BulkSpec>| call.as_ref().and_then(|call| call.path.clone());
    let paths = [
        ("path", Some(kind.path.clone())),
        ("list/path", kind.list.path.clone()),
        ("get/path", kind.get.path.clone()),
        ("create/path", kind.create.path.clone()),
        ("update/path", kind.update.path.clone()),
        ("delete/path", kind.delete.path.clone()),
        ("scope/path", kind.scope.as_ref().and_then(|scope| scope.path.clone())),
        ("bulk/create/path", bulk(&kind.bulk.create)),
        ("bulk/update/path", bulk(&kind.bulk.update)),
        ("bulk/delete/path", bulk(&kind.bulk.delete)),
    ];
    for (word, path) in paths {
        let Some(path) = path else { continue };
        let at = format!("{at}/{word}");
        if !path.trim_start_matches('^').starts_with('/') {
            fault(faults, &at, "a path starts with `/`");
        }
        if word == lists {
            let scope = kind.scope.as_ref().map(|scope| &scope.field);
            let known =
                |name: &&str| scope.is_some_and(|scope| scope == name) || above.iter().any(|above| above == name);
            let names = path.split('{').skip(1).filter_map(|piece| piece.split_once('}')).map(|(name, _)| name);
            if let Some(name) = names.filter(|name| kind.fields.contains_key(*name)).find(|name| !known(name)) {
                let message = match scope {
                    Some(scope) => format!(
                        "a list is read below the one parent that `{scope}` names, and `{{{name}}}` is another: it is known \
                         where the ids of that parent's kind are `id.local: true`, with those of its own parents before them"
                    ),
                    None => format!("a path below `{{{name}}}` needs `scope: {{field: {name}, required: true}}`"),
                };
                fault(faults, &at, message);
            }
        }
        for piece in path.split('{').skip(1) {
            match piece.split_once('}') {
                None => fault(faults, &at, "a `{` is not closed"),
                Some(("id", _)) => {}
                Some(("parent" | "parentPath", _)) if kind.inside.is_some() => {}
                Some(("parent", _)) if kind.fields.contains_key("parent") => {}
                Some(("parent" | "parentPath", _)) => {
                    fault(faults, &at, "`{parent}` means something only for a kind that is `inside` another");
                }
                Some((name, _)) if above.iter().any(|known| known == name) => {}
                Some((name, _)) => need_field(faults, &at, kind, name),
            }
        }
    }
}

fn check_inside(faults: &mut Vec<Fault>, at: &str, inside: &Inside, kind: &KindSpec, kinds: &[KindSpec]) {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.kind.as_str()).collect();
    for parent in inside.parents.keys() {
        let at = format!("{at}/parents/{}", escape(parent));
        need_kind(faults, &at, &names, parent);
        let taken = kinds.iter().any(|kind| kind.kind == *parent && kind.fields.contains_key(&inside.field));
        if taken {
            fault(faults, at, format!("`{parent}` has a field `{}` of its own", inside.field));
        }
    }
    if inside.field.is_empty() {
        fault(faults, at, "`inside` needs `field`, the parents' field that lists the entries");
    }
    if let Some(through) = &inside.through {
        let at = format!("{at}/through");
        need_field(faults, &format!("{at}/field"), kind, &through.field);
        match kinds.iter().find(|kind| kind.kind == through.kind) {
            None => need_kind(faults, &format!("{at}/kind"), &names, &through.kind),
            Some(joins) => {
                need_field(faults, &format!("{at}/parent"), joins, &through.parent);
                need_field(faults, &format!("{at}/field"), joins, &through.field);
            }
        }
    }
    need_fields(faults, &format!("{at}/unique"), kind, &inside.unique);
    if let Some(name) = &inside.renamed_from {
        need_field(faults, &format!("{at}/renamedFrom"), kind, name);
    }
    if let Some(condition) = &inside.at_least_one {
        check_condition(faults, &format!("{at}/atLeastOne"), condition, kind);
    }
}

fn check_field(
    faults: &mut Vec<Fault>,
    at: &str,
    field: &FieldSpec,
    within: Option<&IndexMap<String, FieldSpec>>,
    kind: &KindSpec,
    kinds: &[&str],
) {
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
    if let Some(pattern) = &field.not_pattern
        && let Err(error) = regex::Regex::new(pattern)
    {
        fault(faults, format!("{at}/notPattern"), format!("not a regular expression: {error}"));
    }
    if let Some(effect) = &field.effect {
        need_fields(faults, &format!("{at}/effect/clears"), kind, &effect.clears);
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
    for (word, condition) in [("when", &field.when), ("requiredWhen", &field.required_when)] {
        let at = format!("{at}/{word}");
        // Within an object, a condition looks at what is beside the member.
        let near = condition.as_ref().and_then(|condition| condition.field.as_ref());
        match condition {
            Some(_) if within.is_some_and(|beside| near.is_some_and(|name| beside.contains_key(name))) => {}
            Some(condition) => check_condition(faults, &at, condition, kind),
            None => {}
        }
    }
    for (index, forced) in field.forced.iter().enumerate() {
        check_condition(faults, &format!("{at}/forced/{index}/when"), &forced.when, kind);
    }
    need_fields(faults, &format!("{at}/movedBy"), kind, &field.moved_by);
    if let Some(frozen) = &field.frozen_by {
        need_kind(faults, &format!("{at}/frozenBy/kind"), kinds, &frozen.kind);
        if let Some(member) = &frozen.member {
            need_field(faults, &format!("{at}/frozenBy/member"), kind, member);
        }
    }
    if let Some(name) = &field.from_file {
        let at = format!("{at}/fromFile");
        need_field(faults, &at, kind, name);
        if kind.fields.get(name).is_some_and(|file| file.ty != FieldType::File) {
            fault(faults, at, format!("`{name}` is no field of type `file`"));
        }
    }
    if field.file.is_some() && field.ty != FieldType::File {
        fault(faults, format!("{at}/file"), "only a field of type `file` has a `file`");
    }
    if field.ty == FieldType::Sink && kind.bulk.create.is_some() {
        fault(faults, at, "what a create shows once cannot be told apart in the answer of a bulk call");
    }
    if let Some(variants) = &field.variants {
        check_variants(faults, &format!("{at}/variants"), variants, field, kind);
    }
    if field.leads.as_ref().is_some_and(|leads| leads.by.is_empty() || leads.all.is_empty()) {
        fault(faults, format!("{at}/leads"), "it needs `by` and `all`");
    }
    for (index, name) in field.one_of.iter().enumerate() {
        if !field.fields.contains_key(name) {
            fault(faults, format!("{at}/oneOf/{index}"), format!("there is no member `{name}`"));
        }
    }
    if let Some(items) = &field.items {
        for (index, name) in field.match_by.iter().flatten().enumerate() {
            if !items.fields.contains_key(name) {
                fault(faults, format!("{at}/matchBy/{index}"), format!("the items have no field `{name}`"));
            }
        }
        if let Some(key) = &field.keyed_by
            && !items.fields.contains_key(key)
        {
            fault(faults, format!("{at}/keyedBy"), format!("the items have no field `{key}`"));
        }
        check_field(faults, &format!("{at}/items"), items, within, kind, kinds);
    }
    for (name, member) in &field.fields {
        check_field(faults, &format!("{at}/fields/{}", escape(name)), member, Some(&field.fields), kind, kinds);
    }
}

fn check_variants(faults: &mut Vec<Fault>, at: &str, variants: &Variants, field: &FieldSpec, kind: &KindSpec) {
    match (&variants.field, &variants.member) {
        (Some(name), None) => need_field(faults, &format!("{at}/field"), kind, name),
        (None, Some(name)) if field.fields.contains_key(name) => {}
        (None, Some(name)) => fault(faults, format!("{at}/member"), format!("the object has no member `{name}`")),
        _ => fault(faults, at, "variants are told by either a `field` or a `member`"),
    }
    for (word, variant) in &variants.of {
        let names = variant.required.iter().chain(&variant.optional).chain(variant.one_of.iter().flatten());
        for name in names.filter(|name| !field.fields.contains_key(*name)) {
            fault(faults, format!("{at}/of/{}", escape(word)), format!("the object has no member `{name}`"));
        }
    }
}

fn check_conditions(faults: &mut Vec<Fault>, at: &str, conditions: &[Condition], kind: &KindSpec) {
    for (index, condition) in conditions.iter().enumerate() {
        check_condition(faults, &format!("{at}/{index}"), condition, kind);
    }
}

fn check_condition(faults: &mut Vec<Fault>, at: &str, condition: &Condition, kind: &KindSpec) {
    match (&condition.field, &condition.wire) {
        (Some(name), None) => need_field(faults, &format!("{at}/field"), kind, name),
        (None, Some(_)) => {}
        _ => fault(faults, at, "a condition looks at either a `field` or a `wire` path"),
    }
    if let Some(other) = &condition.other_than {
        need_field(faults, &format!("{at}/otherThan"), kind, other);
    } else if condition.one_of.is_empty() && condition.not_in.is_empty() && !condition.present {
        fault(faults, at, "a condition needs `in`, `notIn` or `present: true`");
    }
}

fn need_fields(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        need_field(faults, &format!("{at}/{index}"), kind, name);
    }
}

fn need_field(faults: &mut Vec<Fault>, at: &str, kind: &KindSpec, name: &str) {
    if !kind.fields.contains_key(name) {
        let near = did_you_mean(nearest(name, kind.fields.keys().map(String::as_str)));
        fault(faults, at, format!("`{}` has no field `{name}`{near}", kind.kind));
    }
}

fn need_kind(faults: &mut Vec<Fault>, at: &str, kinds: &[&str], name: &str) {
    if !kinds.contains(&name) {
        let near = did_you_mean(nearest(name, kinds.iter().copied()));
        fault(faults, at, format!("no kind `{name}` is described{near}"));
    }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

fn fault(faults: &mut Vec<Fault>, path: impl Into<String>, message: impl Into<String>) {
    faults.push(Fault { path: path.into(), message: message.into() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(kinds: &str) -> Vec<String> {
        let spec: ApiSpec = serde_saphyr::from_str(kinds).unwrap();
        check(&spec).into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
    }

    #[test]
    fn names_that_lead_nowhere_are_listed_with_their_places() {
        let found = faults(
            "kinds:
  - kind: Ticket
    path: /projects/{projekt}/tickets
    key: [titel]
    archive: {field: closed, value: true}
    fields:
      title: {}
      project: {type: ref, ref: {kind: Projekt}}
      state: {when: {field: titel, present: true}}
  - kind: comment
    path: comments
    key: [text]
    inside: {parents: {Ticket: \"\"}, field: title}
    fields:
      text: {}
",
        );
        let expected = [
            "/kinds/0/key/0: `Ticket` has no field `titel`; did you mean `title`?",
            "/kinds/0/archive/field: `Ticket` has no field `closed`",
            "/kinds/0/path: `Ticket` has no field `projekt`; did you mean `project`?",
            "/kinds/0/fields/project/ref/kind: no kind `Projekt` is described",
            "/kinds/0/fields/state/when/field: `Ticket` has no field `titel`; did you mean `title`?",
            "/kinds/1/kind: a kind's name is written in UpperCamelCase",
            "/kinds/1/path: a path starts with `/`",
            "/kinds/1/inside/parents/Ticket: `Ticket` has a field `title` of its own",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_condition_says_what_it_looks_at_and_what_for() {
        let found = faults(
            "kinds:
  - kind: Ticket
    path: /tickets
    key: [title]
    notOurs: [{present: true}, {wire: type}]
    fields: {title: {}}
",
        );
        assert_eq!(
            found,
            [
                "/kinds/0/notOurs/0: a condition looks at either a `field` or a `wire` path",
                "/kinds/0/notOurs/1: a condition needs `in`, `notIn` or `present: true`",
            ]
        );
    }
}
