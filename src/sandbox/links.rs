//! The related items that Tag traits make: they are listed with those that clients made, and go with the tag.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    desk::{Change, Desk},
    store::Row,
    traits::{fields, tagged},
};
use crate::value::text;

/// Marks a link that a tag made; never shown.
const MADE_BY_TAG: &str = "made-by-tag";

/// The type of a related item, as its destination's kind is called there.
fn word(kind: &str) -> &str {
    if kind == "FlexibleAsset" { "Flexible Asset" } else { kind }
}

/// Brings the links of an asset in line with its tags.
pub(super) fn follow_tags(desk: &mut Desk<'_>, change: &Change<'_>) {
    if !change.gives("traits") {
        return;
    }
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for field in fields(desk.store, &change.row).iter().filter(|field| field.text("kind").as_deref() == Some("Tag")) {
        let (Some(kind), Some(key)) = (tagged(field).0, field.text("name-key")) else { continue };
        let ids = change.row.get("traits").and_then(|traits| traits.get(&key)).and_then(Value::as_array);
        wanted.extend(ids.into_iter().flatten().filter_map(text).map(|id| (word(kind).to_owned(), id)));
    }
    let asset = ("FlexibleAsset", change.row.id.as_str());
    let there: Vec<Row> =
        desk.store.inside("RelatedItem", asset).filter(|row| row.flag(MADE_BY_TAG)).cloned().collect();
    for row in there {
        let target = (row.text("destination_type").unwrap_or_default(), row.text("destination_id").unwrap_or_default());
        if !wanted.remove(&target) {
            desk.store.remove("RelatedItem", &row.key);
        }
    }
    for (kind, id) in wanted {
        let number = desk.store.next_number("RelatedItem").to_string();
        let mut row = Row { id: number.clone(), key: number, ..Row::default() };
        row.parent = Some(("FlexibleAsset".into(), change.row.id.clone()));
        let attributes =
            [("destination_id", id.into()), ("destination_type", kind.into()), (MADE_BY_TAG, Value::from(true))];
        row.attributes.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        desk.store.put("RelatedItem", row);
    }
}
