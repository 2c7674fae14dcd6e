//! Laws and cases of the three-way comparison.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::description::format::{Equality, UpdateStyle};

fn specs() -> Specs {
    let string = FieldSpec::default;
    let of = |ty| FieldSpec { ty, ..FieldSpec::default() };
    let emails = FieldSpec {
        keyed_by: Some("value".into()),
        items: Some(Box::new(FieldSpec {
            fields: [
                ("value".to_owned(), FieldSpec { equal: vec![Equality::Case], ..string() }),
                ("primary".to_owned(), of(FieldType::Boolean)),
            ]
            .into_iter()
            .collect(),
            ..of(FieldType::Object)
        })),
        ..of(FieldType::List)
    };
    let mut specs = Specs::new();
    specs.insert("name".to_owned(), string());
    specs.insert("count".to_owned(), of(FieldType::Integer));
    specs.insert("enabled".to_owned(), of(FieldType::Boolean));
    specs.insert("metadata".to_owned(), of(FieldType::Map));
    specs.insert("events".to_owned(), FieldSpec { set: true, items: Some(Box::new(string())), ..of(FieldType::List) });
    specs.insert("emails".to_owned(), emails);
    specs.insert("secret".to_owned(), FieldSpec { write_only: true, ..string() });
    specs.insert("renamedFrom".to_owned(), FieldSpec { not_sent: true, ..string() });
    specs
}

fn fields(value: &Value) -> Fields {
    value.as_object().cloned().unwrap()
}

fn compare(desired: &Value, applied: Option<&Value>, live: Option<&Value>) -> Differences {
    let specs = specs();
    let (desired, applied, live) = (fields(desired), applied.map(fields), live.map(fields));
    diff(Sides {
        specs: &specs,
        desired: &desired,
        applied: applied.as_ref(),
        live: live.as_ref(),
        ignore_drift: &["count".to_owned()],
        prune: true,
    })
}

fn paths(differences: &Differences) -> Vec<&str> {
    differences.changes.iter().map(|change| change.path.as_str()).collect()
}

#[test]
fn only_what_is_declared_is_compared() {
    let found = compare(&json!({"name": "a"}), None, Some(&json!({"name": "a", "count": 3, "metadata": {"x": 1}})));
    assert_eq!(found, Differences::default());
}

#[test]
fn drift_is_told_from_a_changed_manifest() {
    let live = json!({"name": "c"});
    let drifted = compare(&json!({"name": "a"}), Some(&json!({"name": "a"})), Some(&live));
    assert!(drifted.changes[0].drift && drifted.changes[0].unchanged_manifest);
    let changed = compare(&json!({"name": "b"}), Some(&json!({"name": "c"})), Some(&live));
    assert!(!changed.changes[0].drift && !changed.changes[0].unchanged_manifest);
    let both = compare(&json!({"name": "b"}), Some(&json!({"name": "a"})), Some(&live));
    assert!(both.changes[0].drift && !both.changes[0].unchanged_manifest);
}

#[test]
fn ignored_drift_is_no_change_but_an_edit_is() {
    let live = json!({"count": 9});
    let ignored = compare(&json!({"count": 3}), Some(&json!({"count": 3})), Some(&live));
    assert!(ignored.changes.is_empty());
    assert_eq!(ignored.left, [("/count".to_owned(), json!(9))]);
    assert_eq!(paths(&compare(&json!({"count": 4}), Some(&json!({"count": 3})), Some(&live))), ["/count"]);
}

#[test]
fn maps_go_by_key_and_null_removes_one() {
    let live = json!({"metadata": {"a": 1, "b": 2, "c": 3}});
    let found = compare(&json!({"metadata": {"a": 1, "b": 5, "c": null}}), None, Some(&live));
    assert_eq!(paths(&found), ["/metadata/b", "/metadata/c"]);
    assert_eq!(found.changes[1].op, ChangeOp::Remove);
    let released = compare(&json!({"metadata": {"a": 1}}), Some(&json!({"metadata": {"a": 1, "b": 2}})), Some(&live));
    assert_eq!(released.released, ["/metadata/b"]);
    assert!(released.changes.is_empty());
}

#[test]
fn keyed_lists_go_by_entry_and_leave_strangers_alone() {
    let live = json!({"emails": [{"value": "A@x", "primary": true}, {"value": "stranger@x"}, {"value": "old@x"}]});
    let applied = json!({"emails": [{"value": "a@x", "primary": true}, {"value": "old@x"}]});
    let desired = json!({"emails": [{"value": "a@x", "primary": false}, {"value": "new@x"}]});
    let found = compare(&desired, Some(&applied), Some(&live));
    assert_eq!(paths(&found), ["/emails/a@x", "/emails/new@x", "/emails/old@x"]);
    assert_eq!(found.changes[2].op, ChangeOp::Remove);
    let specs = specs();
    let sent = compose(
        &specs["emails"],
        UpdateStyle::Fields,
        &desired["emails"],
        applied.get("emails"),
        live.get("emails"),
        None,
        true,
    );
    assert_eq!(sent, Ok(json!([{"value": "a@x", "primary": false}, {"value": "stranger@x"}, {"value": "new@x"}])));
}

#[test]
fn what_is_never_sent_is_no_change() {
    let renamed = json!({"name": "new", "renamedFrom": "old"});
    assert_eq!(paths(&compare(&renamed, None, None)), ["/name"]);
    assert_eq!(paths(&compare(&renamed, Some(&json!({"name": "old"})), Some(&json!({"name": "old"})))), ["/name"]);
    let new = json!({"name": "new"});
    assert!(compare(&renamed, Some(&new), Some(&new)).changes.is_empty());
    assert!(compare(&new, Some(&renamed), Some(&new)).released.is_empty());
}

#[test]
fn write_only_values_are_compared_with_what_was_applied() {
    let secret = |hash: &str| json!({"secret": {"$secret": hash}});
    assert!(compare(&secret("h"), Some(&secret("h")), Some(&json!({}))).changes.is_empty());
    let rotated = compare(&secret("new"), Some(&secret("h")), Some(&json!({})));
    assert!(rotated.changes[0].sensitive && rotated.changes[0].after.is_none());
    assert_eq!(rotated.changes[0].op, ChangeOp::Replace);
    let first = compare(&secret("h"), None, Some(&json!({})));
    assert_eq!((paths(&first), first.changes[0].op), (vec!["/secret"], ChangeOp::Add));
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0i64..5).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ]
}

fn object() -> impl Strategy<Value = Value> {
    let metadata = proptest::collection::btree_map("[abc]", scalar(), 0..3)
        .prop_map(|map| Value::Object(map.into_iter().collect()));
    let events = proptest::collection::vec("[ab]{1,2}".prop_map(Value::from), 0..3).prop_map(Value::Array);
    let emails = proptest::collection::btree_map("[ab]", any::<bool>(), 0..3).prop_map(|map| {
        Value::Array(map.into_iter().map(|(value, primary)| json!({"value": value, "primary": primary})).collect())
    });
    (
        proptest::option::of("[ab]{0,2}"),
        proptest::option::of(0i64..4),
        proptest::option::of(any::<bool>()),
        proptest::option::of(metadata),
        proptest::option::of(events),
        proptest::option::of(emails),
    )
        .prop_map(|(name, count, enabled, metadata, events, emails)| {
            let mut out = Fields::new();
            let mut put = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    out.insert(key.into(), value);
                }
            };
            put("name", name.map(Value::from));
            put("count", count.map(Value::from));
            put("enabled", enabled.map(Value::from));
            put("metadata", metadata);
            put("events", events);
            put("emails", emails);
            Value::Object(out)
        })
}

proptest! {
    /// What is sent to bring an object to what is declared does bring it there.
    #[test]
    fn an_applied_difference_is_gone(desired in object(), live in object(), applied in proptest::option::of(object())) {
        let specs = specs();
        let found = compare(&desired, applied.as_ref(), Some(&live));
        let mut after = fields(&live);
        for change in &found.changes {
            let part = |side: Option<&Value>| side.and_then(|side| side.get(&change.field)).cloned();
            let sent = compose(
                &specs[&change.field],
                UpdateStyle::Fields,
                &desired.get(&change.field).cloned().unwrap_or(Value::Null),
                part(applied.as_ref()).as_ref(),
                part(Some(&live)).as_ref(),
                None,
                true,
            ).unwrap();
            after.insert(change.field.clone(), sent);
        }
        let again = compare(&desired, Some(&desired), Some(&Value::Object(after)));
        prop_assert_eq!(again.changes, vec![]);
    }

    /// Comparing twice gives the same.
    #[test]
    fn a_comparison_repeats(desired in object(), live in object()) {
        prop_assert_eq!(compare(&desired, None, Some(&live)), compare(&desired, None, Some(&live)));
    }
}
