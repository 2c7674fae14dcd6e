//! Bindplane's description against the vendor's list of calls and samples, and against the digest's table of fields.

use std::collections::BTreeSet;

use plumb::{
    description::{
        Kind,
        format::{AuthScheme, DialectName, FieldSpec, Verb},
    },
    dialect::error_text,
};
use serde::Deserialize;
use serde_json::Value;

use super::{api, read};

#[derive(Deserialize)]
struct Endpoint {
    endpoint: String,
    section: String,
}

#[derive(Deserialize)]
struct Example {
    id: String,
    json: Value,
    text: String,
}

#[derive(Deserialize)]
struct Field {
    kind: String,
    attribute: String,
    is: String,
}

/// Sections of the reference, or calls of one, that the description leaves out, and why.
const UNUSED: &[(&str, &str)] = &[
    ("Accounts", "an account is a project by another name"),
    ("Agent Types", "types of agents are the vendor's: they are referred to"),
    ("Agent Versions", "versions of agents are the vendor's: they are referred to"),
    ("Agents", "agents are counted; what else is done to them is an action"),
    ("Audit Events", "events are no state that could be kept"),
    ("Available Components", "components of agents are the vendor's"),
    ("POST /v1/configurations/{name}/copy", "a copy is a manifest of its own"),
    ("PUT /v1/configurations/{name}/revert", "reverting is applying the old manifest"),
    ("Organizations", "an organization is an account with the vendor: it is referred to"),
    ("PATCH /v1/projects/current", "the project is named by its id"),
    ("PATCH /v1/projects/next-login", "a setting of one person's browser"),
    ("Recommendation Types", "recommendations are the vendor's"),
    ("GET /v1/resources/{kind}", "kinds that have a list of their own are read there"),
    ("GET /v1/rollouts", "it lists all configurations, which are listed already"),
    ("POST /v1/rollouts", "it moves on every rollout there is"),
    ("GET /v1/rollouts/{name}", "the status says the same"),
    ("POST /v1/rollouts/{name}/update", "it moves a rollout on: gates are pushed by people"),
    ("PUT /v1/rollouts/{name}/pause", "pausing is a person's decision"),
    ("PUT /v1/rollouts/{name}/resume", "gates are pushed by people"),
    ("POST /v1/secret-keys/{key}/default", "which key is the default is a person's decision"),
    ("GET /v1/{kind}/{name}/history", "the history is not needed to reconcile"),
    ("PUT /v1/accept-eula", "contracts are for people"),
    ("PUT /v1/system/v1/license-key", "licences are for people"),
    ("PUT /v1/organization-license", "licences are for people"),
    ("POST /v1/offline-agent-version/{version}", "uploads of agents are an action"),
    ("POST /v1/offline-agent-version/{version}/stream", "uploads of agents are an action"),
];

/// Every call that the engine may make.
fn calls() -> Vec<String> {
    let api = api("bindplane");
    let mut out = vec![format!("GET {}", api.spec.version.as_ref().unwrap().path)];
    out.push(format!("POST {}", api.spec.apply.path));
    out.push(format!("POST {}", api.spec.apply.delete.as_ref().unwrap().path));
    for kind in api.kinds.values() {
        out.extend(calls_of(kind));
    }
    out.iter().map(|call| call.replacen(" /", " /v1/", 1)).collect()
}

fn calls_of(kind: &Kind) -> Vec<String> {
    let spec = &kind.spec;
    let own = |path: &Option<String>| path.clone().unwrap_or_else(|| format!("{}/{{id}}", spec.path));
    let mut out = vec![format!("GET {}", spec.path)];
    if kind.can(Verb::Get) {
        out.push(format!("GET {}", own(&spec.get.path)));
    }
    if spec.lookup {
        return out;
    }
    if kind.can(Verb::Delete) {
        out.push(format!("DELETE {}", own(&spec.delete.path)));
    }
    if kind.dialect == DialectName::Rest {
        out.push(format!("POST {}", spec.path));
        if kind.can(Verb::Update) {
            out.push(format!("PATCH {}", own(&spec.update.path)));
        }
    }
    if let Some(rollout) = &spec.rollout {
        out.push(format!("POST {}", rollout.start.path.as_ref().unwrap()));
        out.push(format!("GET {}", rollout.status.path.as_ref().unwrap()));
    }
    out
}

/// Whether a call is the documented one: `/resources/Connector/{id}` is `/resources/{kind}/{name}`.
fn is(documented: &str, call: &str) -> bool {
    let (mut a, mut b) = (documented.split('/'), call.split('/'));
    let open = |part: &str| part.starts_with('{') || part.starts_with(':');
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y || open(x) => {}
            _ => return false,
        }
    }
}

#[test]
fn every_call_is_documented_and_every_documented_call_used_or_left_out_for_a_reason() {
    let documented: Vec<Endpoint> = read("bindplane", "endpoints.json");
    assert_eq!(documented.len(), 108);
    let calls = calls();
    for call in &calls {
        assert!(documented.iter().any(|one| is(&one.endpoint, call)), "`{call}` is not documented");
    }
    let mut left: BTreeSet<&str> = UNUSED.iter().map(|(what, _)| *what).collect();
    for one in &documented {
        let reason = UNUSED.iter().find(|(what, _)| *what == one.endpoint || *what == one.section);
        match reason {
            Some((what, why)) => {
                assert!(!why.is_empty());
                left.remove(what);
            }
            None => assert!(calls.iter().any(|call| is(&one.endpoint, call)), "`{}` is left out", one.endpoint),
        }
    }
    assert!(left.is_empty(), "nothing is left out by {left:?}");
}

#[test]
fn every_sample_is_understood() {
    let api = api("bindplane");
    for example in read::<Example>("bindplane", "examples.json") {
        match example.id.as_str() {
            "authentication-17" => {
                let Some(AuthScheme::ApiKey(key)) = api.spec.auth.first() else { panic!("no key") };
                let header = format!("-H \"{}: your-api-key\"", key.header.as_ref().unwrap());
                assert!(example.text.contains(&header), "{}", example.text);
                let url = format!("{}{}/", api.spec.url.as_ref().unwrap(), api.spec.version_path.as_ref().unwrap());
                assert!(example.text.contains(&url), "{}", example.text);
            }
            "error-handling-233" => {
                let text = error_text(&api, example.json.to_string().as_bytes());
                assert_eq!(text.as_deref(), Some("Error message; code `ERROR_CODE`"));
                // What the server really sends.
                let text = error_text(&api, br#"{"errors": ["one", "two"]}"#);
                assert_eq!(text.as_deref(), Some("one; two"));
            }
            other => panic!("{other} is not tested"),
        }
    }
}

/// The field at a dotted path of a resource, lists without a sign.
fn find<'k>(kind: &'k Kind, attribute: &str) -> Option<&'k FieldSpec> {
    let top = kind.spec.fields.values().filter(|field| {
        let rest = attribute.strip_prefix(field.wire_name());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let mut field = top.max_by_key(|field| field.wire_name().len())?;
    for part in attribute[field.wire_name().len()..].split('.').filter(|part| !part.is_empty()) {
        while field.fields.is_empty() {
            field = field.items.as_deref()?;
        }
        field = field.fields.values().find(|member| member.wire_name() == part)?;
    }
    Some(field)
}

#[test]
fn the_digest_and_the_description_have_the_same_fields() {
    let api = api("bindplane");
    let rows: Vec<Field> = read("bindplane", "fields.json");
    for row in &rows {
        let kind = api.kind(&row.kind).unwrap();
        let known = match row.is.as_str() {
            "ignored" => kind.spec.ignored.contains_key(&row.attribute),
            _ => find(kind, &row.attribute).is_some(),
        };
        assert!(known, "{} has no {} `{}`", row.kind, row.is, row.attribute);
    }
    // The other way round: what the digest does not list is plumb's own, or of types, whose members it leaves open.
    for kind in api.kinds.values().filter(|kind| kind.apply.is_some() && !kind.spec.lookup) {
        let typed = kind.name.ends_with("Type");
        for (name, field) in kind.spec.fields.iter().filter(|(_, field)| !field.not_sent) {
            let head = |row: &Field| {
                let rest = row.attribute.strip_prefix(field.wire_name());
                row.kind == kind.name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let open = typed && field.wire_name().starts_with("spec.");
            assert!(open || rows.iter().any(head), "{}: the digest has no `{name}`", kind.name);
        }
    }
}
