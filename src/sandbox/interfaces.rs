//! A configuration's addresses and its primary interface are one thing to IT Glue: writing either writes the other.

use serde_json::Value;

use super::{
    desk::{Change, Desk},
    store::Row,
};

const PAIRS: [(&str, &str); 2] = [("primary-ip", "ip-address"), ("mac-address", "mac-address")];

/// Writes a configuration's addresses to its primary interface, which is made where there is none.
pub(super) fn follow_configuration(desk: &mut Desk<'_>, change: &Change<'_>) {
    let written: Vec<(&str, Value)> = PAIRS
        .iter()
        .filter(|(ours, _)| change.gives(ours))
        .map(|(ours, theirs)| (*theirs, change.row.get(ours).cloned().unwrap_or_default()))
        .collect();
    if written.is_empty() {
        return;
    }
    let mut row = match primary(desk, &change.row.id) {
        Some(row) => row,
        None if written.iter().all(|(_, value)| value.is_null()) => return,
        None => {
            let number = desk.store.next_number("ConfigurationInterface").to_string();
            let mut row = Row { id: number.clone(), key: number, ..Row::default() };
            row.parent = Some(("Configuration".into(), change.row.id.clone()));
            row.attributes.insert("primary".into(), true.into());
            row
        }
    };
    for (wire, value) in written {
        row.attributes.insert(wire.to_owned(), value);
    }
    desk.store.put("ConfigurationInterface", row);
}

/// Keeps one interface primary, and writes its addresses to the configuration.
pub(super) fn follow_interface(desk: &mut Desk<'_>, change: &Change<'_>) {
    let Some((_, configuration)) = &change.row.parent else { return };
    let mut row = change.row.clone();
    let first = change.old.is_none() && !change.gives("primary");
    if first && !row.flag("primary") && primary(desk, configuration).is_none() {
        row.attributes.insert("primary".into(), true.into());
        desk.store.put("ConfigurationInterface", row.clone());
    }
    if !row.flag("primary") {
        return;
    }
    let inside = desk.store.inside("ConfigurationInterface", ("Configuration", configuration));
    let others: Vec<Row> = inside.filter(|other| other.key != row.key && other.flag("primary")).cloned().collect();
    for mut other in others {
        other.attributes.insert("primary".into(), false.into());
        desk.store.put("ConfigurationInterface", other);
    }
    copy_up(desk, configuration, Some(&row));
}

/// Clears a configuration's addresses with its primary interface.
pub(super) fn forget_interface(desk: &mut Desk<'_>, row: &Row) {
    if let (Some((_, configuration)), true) = (&row.parent, row.flag("primary")) {
        copy_up(desk, configuration, None);
    }
}

fn copy_up(desk: &mut Desk<'_>, configuration: &str, interface: Option<&Row>) {
    let Some(mut row) = desk.store.get("Configuration", configuration).cloned() else { return };
    let before = row.attributes.clone();
    for (ours, theirs) in PAIRS {
        let value = interface.and_then(|interface| interface.get(theirs)).cloned().unwrap_or_default();
        row.attributes.insert(ours.to_owned(), value);
    }
    if row.attributes != before {
        desk.store.put("Configuration", row);
    }
}

fn primary(desk: &Desk<'_>, configuration: &str) -> Option<Row> {
    let mut rows = desk.store.inside("ConfigurationInterface", ("Configuration", configuration));
    rows.find(|row| row.flag("primary")).cloned()
}
