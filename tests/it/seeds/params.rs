//! Tables of parameters ↔ fields.

use std::collections::{BTreeMap, BTreeSet};

use plumb::description::{
    Api, Kind,
    format::{Equality, FieldType, Format},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Leaf, REFERENCES, api, assert_known, kind_of, leaves, read, snake};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    endpoint: String,
    line: u32,
    resource: String,
    attribute: Option<String>,
    relationship: Option<String>,
    place: String,
    required: Option<bool>,
    nullable: Option<bool>,
    allowed: Option<Vec<Value>>,
    #[serde(rename = "type")]
    ty: String,
    note: Option<String>,
}

/// Resources with writable attributes that are no kinds.
const NO_KINDS: &[(&str, u32, &str)] = &[
    ("itglue documents", 3256, "documents can be changed by id only: no call lists, reads or makes one"),
    ("itglue exports", 3618, "an export is an action, not a state that could be kept"),
    ("rest auth", 246, "logging in is the connection's matter"),
];

/// Attributes that address an object instead of describing it.
const ADDRESSING: &str = "id";

/// Where the descriptions differ from the tables: what differs, the table's line, and why.
const DIFFERENCES: &[(&str, u32, &str)] = &[
    (
        "itglue Model manufacturer_id: required is false in the table, true in the description",
        6599,
        "a model is unique only within its manufacturer and can be listed only by it (line 6443)",
    ),
    (
        "itglue Model manufacturer_id: nullable is true in the table, false in the description",
        6599,
        "a model without a manufacturer could not be found again",
    ),
    (
        "itglue FlexibleAssetType show-in-menu: no row in the tables",
        4633,
        "the samples of requests and answers have it",
    ),
    ("itglue Group organizations: no row in the tables", 5480, "the sample of the create sends it as a relationship"),
    (
        "itglue RelatedItem via_copilot: a string in the table, Boolean in the description",
        3156,
        "the samples send true (line 3101)",
    ),
    (
        "itglue RelatedItem id: a writable attribute of the create",
        3152,
        "the sample of the create has none: the row was copied from the update",
    ),
    (
        "rest UserProfile profile.avatar_url: no row in the tables",
        167,
        "the sample of the answer has it inside the profile, all of which an update may send",
    ),
];

fn rows_of<'a>(rows: &'a [Row], api: &Api, kind: &Kind, verb: &str, bulk: Option<bool>) -> Vec<&'a Row> {
    rows.iter()
        .filter(|row| row.place != "query" && row.attribute.is_some())
        .filter(|row| row.endpoint.starts_with(verb))
        .filter(|row| {
            bulk.is_none_or(|bulk| bulk != row.endpoint.ends_with(['d', '}']) || row.endpoint.ends_with("/me"))
        })
        .filter(|row| kind_of(api, &row.resource).is_some_and(|known| known.name == kind.name))
        .collect()
}

#[test]
fn every_resource_with_writable_attributes_is_a_kind() {
    let mut found = BTreeSet::new();
    for reference in REFERENCES {
        let api = api(reference);
        for row in read::<Row>(reference, "params.json") {
            if row.place == "body" && row.attribute.is_some() && kind_of(&api, &row.resource).is_none() {
                found.insert(format!("{reference} {}", row.resource));
            }
        }
    }
    assert_known(&found, NO_KINDS);
}

#[test]
fn writable_attributes_and_fields_are_the_same() {
    let mut found = BTreeSet::new();
    for reference in REFERENCES {
        let api = api(reference);
        let rows: Vec<Row> = read(reference, "params.json");
        for kind in api.kinds.values() {
            let mut by_attribute: BTreeMap<String, &Row> = BTreeMap::new();
            for verb in ["PATCH", "POST"] {
                for row in rows_of(&rows, &api, kind, verb, None) {
                    by_attribute.insert(row.attribute.clone().unwrap_or_default(), row);
                }
            }
            let leaves = leaves(kind);
            let who = format!("{reference} {}", kind.name);
            for (attribute, row) in &by_attribute {
                if attribute == ADDRESSING {
                    if row.required == Some(true) && row.endpoint.starts_with("POST") {
                        found.insert(format!("{who} id: a writable attribute of the create"));
                    }
                    continue;
                }
                if excluded(kind, attribute) {
                    continue;
                }
                let about: Vec<&Leaf> = leaves.iter().filter(|leaf| snake(&leaf.wire) == *attribute).collect();
                let in_map = leaves.iter().any(|leaf| {
                    leaf.spec.ty == FieldType::Map && attribute.starts_with(&format!("{}.", snake(&leaf.wire)))
                });
                if about.is_empty() && !in_map {
                    found.insert(format!("{who} {attribute}: no field"));
                }
                if about.iter().any(|leaf| leaf.spec.read_only || leaf.spec.not_sent) {
                    found.insert(format!("{who} {attribute}: writable, but not in the description"));
                }
                for what in differences(row, &about) {
                    found.insert(format!("{who} {attribute}: {what}"));
                }
            }
            for leaf in &leaves {
                let written = !leaf.spec.read_only && !leaf.spec.not_sent;
                if written && !by_attribute.contains_key(&snake(&leaf.wire)) {
                    found.insert(format!("{who} {}: no row in the tables", leaf.wire));
                }
            }
        }
    }
    assert_known(&found, DIFFERENCES);
}

fn excluded(kind: &Kind, attribute: &str) -> bool {
    kind.spec.excluded.keys().any(|name| {
        attribute == snake(name) || attribute.strip_prefix(&snake(name)).is_some_and(|rest| rest.starts_with('.'))
    })
}

/// What a row and the fields of its attribute (more than one where the wire form depends on another field) say
/// differently.
fn differences(row: &Row, leaves: &[&Leaf]) -> Vec<String> {
    let mut out = Vec::new();
    let note = row.note.as_deref().unwrap_or_default();
    let mut check = |what: &str, theirs: Value, ours: Value| {
        if theirs != ours {
            out.push(format!("{what} is {theirs} in the table, {ours} in the description"));
        }
    };
    for leaf in leaves {
        let spec = leaf.spec;
        if let Some(required) = row.required
            && !leaf.is_type
            && row.endpoint.starts_with("POST")
        {
            check("required", required.into(), spec.required.into());
        }
        if let Some(nullable) = row.nullable {
            check("nullable", nullable.into(), spec.nullable.into());
        }
        if let Some(allowed) = row.allowed.as_ref().filter(|_| !["boolean", "hash or file"].contains(&row.ty.as_str()))
        {
            let mut ours = spec.allowed.clone();
            if let Some(reference) = &spec.reference {
                ours.extend(reference.kinds.keys().filter(|_| leaf.is_type).map(|word| json!(word)));
                ours.extend(reference.wire_prefix.iter().map(|prefix| json!(format!("{prefix}id"))));
            }
            check("the list of values", json!(allowed), json!(ours));
        }
        if note.contains("stripped of all separators") {
            check("dropping separators", true.into(), spec.equal.contains(&Equality::Digits).into());
        }
        let format = [("valid email", Format::Email), ("IP4 and IP6", Format::Ip), ("valid MAC", Format::Mac)];
        let theirs = format.iter().find(|(words, _)| note.contains(words)).map(|(_, format)| *format);
        if row.place == "body" && theirs.is_some() {
            check("the format", json!(theirs), json!(spec.format));
        }
        if let Some(rest) = note.strip_prefix("Defaults to ") {
            let word = rest.split(' ').next().unwrap_or_default();
            let theirs = serde_json::from_str(word).unwrap_or_else(|_| json!(word));
            check("the default", theirs, spec.default.clone().unwrap_or_default());
        }
        if let Some(limit) = note.strip_suffix(" Character limit") {
            check("the longest text", limit.parse::<u32>().unwrap().into(), spec.max_length.into());
        }
        if let Some((_, kinds)) = note.split_once("set to false if the field type is ") {
            let kinds: Vec<&str> = kinds.trim_start_matches("one of: ").split(", ").collect();
            check("forcing", json!(kinds), json!(spec.forced.first().map(|forced| &forced.when.one_of)));
        }
    }
    if note.contains("equired if") || note.contains("required value if") {
        check(
            "required for some kinds",
            true.into(),
            leaves.iter().any(|leaf| leaf.spec.required_when.is_some()).into(),
        );
    }
    out.extend(
        leaves
            .iter()
            .filter(|leaf| !fits(row, leaf))
            .map(|leaf| format!("a {} in the table, {:?} in the description", row.ty, leaf.spec.ty)),
    );
    out
}

fn fits(row: &Row, leaf: &Leaf) -> bool {
    let ty = leaf.spec.ty;
    match row.ty.as_str() {
        "number" | "integer" => matches!(ty, FieldType::Integer | FieldType::Number | FieldType::Ref),
        "boolean" => ty == FieldType::Boolean,
        "array" => ty == FieldType::List,
        "hash" => matches!(ty, FieldType::Object | FieldType::Map),
        "hash or file" => ty == FieldType::File,
        "string" => {
            matches!(ty, FieldType::String | FieldType::Date | FieldType::Datetime | FieldType::Ref)
                || (ty == FieldType::List && leaf.spec.encode.is_some())
        }
        _ => false,
    }
}

#[test]
fn what_updates_take_is_mutable_and_what_they_lack_is_not() {
    let api = api("itglue");
    let rows: Vec<Row> = read("itglue", "params.json");
    for kind in api.kinds.values().filter(|kind| !kind.spec.lookup) {
        let attributes = |verb, bulk| -> BTreeSet<String> {
            rows_of(&rows, &api, kind, verb, bulk).iter().filter_map(|row| row.attribute.clone()).collect()
        };
        let (patch, bulk) = (attributes("PATCH", Some(false)), attributes("PATCH", Some(true)));
        for leaf in leaves(kind).iter().filter(|leaf| leaf.top && !leaf.spec.read_only && !leaf.spec.not_sent) {
            let (who, wire) = (format!("{} {}", kind.name, leaf.field), snake(&leaf.wire));
            let in_sample = ["show_in_menu"].contains(&wire.as_str());
            assert_eq!(leaf.spec.immutable.is_none(), patch.contains(&wire) || in_sample, "{who}");
            if let Some(call) = &kind.spec.bulk.update
                && leaf.spec.immutable.is_none()
            {
                assert_eq!(call.except.contains(&leaf.field), !bulk.contains(&wire), "{who} in bulk");
            }
        }
    }
}

#[test]
fn what_is_excluded_is_writable() {
    // The sample of a group's create has these two, its table does not.
    let samples_only = ["Group users", "Group my-glue-account"];
    for reference in REFERENCES {
        let api = api(reference);
        let rows: Vec<Row> = read(reference, "params.json");
        for kind in api.kinds.values() {
            for name in kind.spec.excluded.keys() {
                let who = format!("{} {name}", kind.name);
                let listed = rows
                    .iter()
                    .filter(|row| kind_of(&api, &row.resource).is_some_and(|known| known == kind))
                    .any(|row| row.attribute.as_deref() == Some(name) || row.relationship.as_deref() == Some(name));
                assert!(listed || samples_only.contains(&who.as_str()), "{who} is not writable");
            }
        }
    }
}

#[test]
fn what_creates_take_along_is_a_kind_inside() {
    let api = api("itglue");
    let rows: Vec<Row> = read("itglue", "params.json");
    let mut seen = 0;
    for row in rows.iter().filter(|row| row.relationship.as_ref().is_some_and(|path| path.contains('.'))) {
        let (name, attribute) = row.relationship.as_deref().and_then(|path| path.split_once('.')).unwrap();
        let parent = kind_of(&api, &row.resource).unwrap();
        if parent.spec.excluded.contains_key(name) {
            continue;
        }
        let child = api.children(&parent.name).find(|child| {
            let embed = child.spec.inside.as_ref().and_then(|inside| inside.embed.as_deref()).unwrap_or_default();
            snake(embed) == format!("relationships.{name}.data")
        });
        let child = child.unwrap_or_else(|| panic!("line {}: nothing is sent along as `{name}`", row.line));
        assert!(
            leaves(child).iter().any(|leaf| snake(&leaf.wire) == attribute),
            "line {}: {} has no {attribute}",
            row.line,
            child.name
        );
        seen += 1;
    }
    assert!(seen > 10);
}
