//! balena's printed requests ↔ what the OData dialect builds and what plumb asks for; its fields, from a table that names
//! the section in which each was observed, ↔ the descriptions.

use std::collections::{BTreeMap, BTreeSet};

use plumb::{
    description::{Kind, format::FieldSpec},
    dialect::{
        decode_row,
        odata::{Expand, Filter, Key, Literal, Query, path},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{api, read};

#[derive(Deserialize)]
struct Printed {
    line: u32,
    method: String,
    path: String,
    query: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Observed {
    set: String,
    section: String,
    key: Vec<Vec<String>>,
    writable: Vec<String>,
    served: Vec<String>,
    limit: Option<u32>,
    name: Option<u32>,
}

fn text(words: &str) -> Literal {
    Literal::Text(words.into())
}

/// Each printed request, as the dialect builds it. The placeholders of the overview are values like any others.
fn built(line: u32) -> (String, Query) {
    let all = Query::default();
    let select = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let only = |filter: Filter| Query { filter: Some(filter), ..Query::default() };
    let any = |nav: &str, letter, inner: Filter| Filter::Any(nav.into(), letter, Some(Box::new(inner)));
    let unique = |parts: Vec<(&str, Literal)>| {
        Key::Unique(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let along = |nav: &str, query: Query| vec![Expand { nav: nav.into(), query }];
    match line {
        // All fleets.
        35 => (path("application", None), all),
        // Some properties of all fleets.
        47 => {
            let select = select(&["app_name", "slug", "is_for__device_type"]);
            (path("application", None), Query { select, ..all })
        }
        // A device by its id, by its uuid, and a tag by its device and key.
        55 => (path("device", Some(&Key::Id(Literal::Number("<ID>".into())))), all),
        63 => (path("device", Some(&unique(vec![("uuid", text("<UUID>"))]))), all),
        71 => {
            let key = unique(vec![("device", Literal::Number("<DEVICE ID>".into())), ("tag_key", text("<KEY>"))]);
            (path("device", Some(&key)), all)
        }
        // Filters: by a property, by one of a linked object, and by who may use it.
        81 => (path("device", None), only(Filter::eq("name", text("<DEVICE NAME>")))),
        92 => {
            let inner = Filter::eq("a/slug", text("<APP_SLUG>"));
            (path("device", None), only(any("belongs_to__application", "a", inner)))
        }
        101 => {
            let inner = Filter::eq("o/handle", text("<ORG_HANDLE>"));
            (path("application", None), only(any("organization", "o", inner)))
        }
        109 => {
            let filter = Filter::Any("is_directly_accessible_by__user".into(), "dau", None);
            (path("application", None), only(filter))
        }
        // Expansions, without and with options.
        119 => {
            let key = unique(vec![("uuid", text("<UUID>"))]);
            let expand = along("belongs_to__application", Query::default());
            (path("device", Some(&key)), Query { expand, ..all })
        }
        127 => {
            let inner = Query { select: select(&["id", "slug"]), ..Query::default() };
            let expand = along("is_for__device_type", inner);
            (path("application", None), Query { select: select(&["app_name", "slug"]), expand, ..all })
        }
        line => panic!("line {line} of the overview is not in this table"),
    }
}

#[test]
fn every_printed_request_is_one_that_the_dialect_builds() {
    let printed: Vec<Printed> = read("balena", "examples.json");
    assert_eq!(printed.len(), 11);
    for example in printed {
        let (path, query) = built(example.line);
        let path = percent_encoding::percent_decode_str(&path).decode_utf8().unwrap().into_owned();
        let options: Vec<(String, String)> =
            query.options().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(example.method, "GET", "line {}", example.line);
        assert_eq!(format!("/v7{path}"), example.path, "line {}", example.line);
        assert_eq!(options, example.query, "line {}", example.line);
    }
}

#[test]
fn every_printed_set_is_a_kind() {
    let api = api("balena");
    let sets: Vec<Value> = read("balena", "endpoints.json");
    for set in sets {
        let path = format!("/{}", set["set"].as_str().unwrap());
        assert!(api.kinds.values().any(|kind| kind.spec.path == path), "{path}");
    }
}

fn kind_of(set: &str) -> std::sync::Arc<Kind> {
    let path = format!("/{set}");
    let api = api("balena");
    let found = api.kinds.values().find(|kind| kind.spec.path == path);
    found.unwrap_or_else(|| panic!("`{set}` is not described")).clone()
}

#[test]
fn every_observed_field_is_described_and_no_other() {
    let sets: Vec<Observed> = read("balena", "fields.json");
    let described: BTreeSet<String> =
        api("balena").kinds.values().map(|kind| kind.spec.path.trim_matches('/').to_owned()).collect();
    // Lookups of which the table has no row: they are read only.
    let read_only = ["release", "user"];
    let known: BTreeSet<String> = sets.iter().map(|set| set.set.clone()).chain(read_only.map(String::from)).collect();
    assert_eq!(described, known);
    for set in sets {
        let kind = kind_of(&set.set);
        let spec = &kind.spec;
        let inside = kind.inside();
        let above = inside.and_then(|inside| inside.parent_wire.clone());
        let through = inside.and_then(|inside| inside.through.as_ref());
        let mine = spec.mine.as_ref().filter(|mine| mine.sent).map(|mine| mine.wire.clone());
        let declared = spec.fields.iter().filter(|(name, field)| {
            let other = through.is_some_and(|through| through.field == **name);
            !field.read_only && !field.not_sent && !field.wire_name().is_empty() && !other
        });
        let mut wires: BTreeSet<String> = declared.map(|(_, field)| field.wire_name().to_owned()).collect();
        wires.extend(above);
        wires.extend(through.map(|through| through.wire.clone()));
        wires.extend(mine);
        assert_eq!(wires, set.writable.iter().cloned().collect(), "{}, section {}", set.set, set.section);
        for name in &set.served {
            let read =
                spec.fields.values().any(|field| (field.read_only || field.not_sent) && field.wire_name() == name);
            assert!(
                read || spec.ignored.contains_key(name) || spec.excluded.contains_key(name),
                "`{name}` of {} (section {}) is neither a field nor named with a reason",
                set.set,
                set.section
            );
        }
        for key in &set.key {
            let mut key = key.clone();
            key.sort();
            assert!(keys(&kind).contains(&key) || key == ["uuid"], "{key:?} of {}", set.set);
        }
        let length = |wire: &str| {
            spec.fields.values().find(|field| field.wire_name() == wire).and_then(|field| field.max_length)
        };
        if set.limit.is_some() {
            assert_eq!(length("value"), set.limit, "{}", set.set);
        }
        if let Some(limit) = set.name {
            let name = spec.fields.values().find(|field| field.wire_name() != "value" && field.reference.is_none());
            assert_eq!(name.and_then(|field| field.max_length), Some(limit), "{}", set.set);
        }
    }
}

/// The natural keys of a kind, as properties, sorted.
fn keys(kind: &Kind) -> Vec<Vec<String>> {
    let wire = |name: &String| kind.field(name).map(FieldSpec::wire_name).unwrap_or_default().to_owned();
    let own = std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks);
    own.map(|key| {
        let mut key: Vec<String> = key.iter().map(wire).collect();
        if let Some(inside) = kind.inside() {
            if let Some(through) = &inside.through {
                key.retain(|name| *name != wire(&through.field));
                key.push(through.wire.clone());
            }
            key.extend(inside.parent_wire.clone());
        }
        if let Some(mine) = kind.spec.mine.as_ref().filter(|mine| mine.sent) {
            // The key that a manifest is told by is the title; the server's own is the key itself.
            key = vec!["public_key".into(), mine.wire.clone()];
        }
        key.sort();
        key
    })
    .collect()
}

#[test]
fn references_are_written_bare_and_read_in_every_form() {
    let kind = kind_of("device");
    let forms: BTreeMap<&str, Value> = BTreeMap::from([
        ("a link", json!({"__id": 7})),
        ("an expansion", json!([{"id": 7, "slug": "acme/f"}])),
        ("a bare id", json!(7)),
    ]);
    for (form, wire) in forms {
        let row = json!({"id": 1, "uuid": "ab", "belongs_to__application": wire, "is_pinned_on__release": []});
        let decoded = decode_row(&kind, &row, &|_| Value::Null).unwrap();
        assert_eq!(decoded.fields["application"], json!({"$ref": "Application/id:7"}), "{form}");
        assert_eq!(decoded.fields["release"], Value::Null);
    }
}
