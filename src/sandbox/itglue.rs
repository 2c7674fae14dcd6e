//! IT Glue's own ways, as its reference (<https://api.itglue.com/developer>) tells them: what follows from what, and
//! what its samples leave out.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    answer::Refusal,
    behaviour::{Behaviour, Documented, Glance, View},
    desk::{Change, Desk},
    documented, interfaces, links,
    render::stamp,
    rules::pointer,
    shape::Shape,
    simulation::time_of,
    store::{Row, Store},
    traits,
};
use crate::value::Fields;

/// IT Glue.
pub(super) struct ItGlue;

/// Host in the addresses of pages.
const SITE: &str = "https://mycompany.itglue.example";

/// Writable attributes that no sample answer has.
fn unseen(kind: &str) -> &'static [&'static str] {
    match kind {
        "Configuration" => {
            &["contact-id", "default-gateway", "restricted", "mitp-device-expiration-date", "mitp-end-of-life-date"]
        }
        "Contact" | "Location" => &["restricted"],
        "Password" => &["archived", "generated-password-type", "shareable"],
        "FlexibleAssetType" => &["enabled"],
        "Model" => &["manufacturer-id"],
        _ => &[],
    }
}

impl Behaviour for ItGlue {
    /// "Trying to access the API with an incorrect key will result in an HTTP 403 error."
    fn wrong_credential(&self) -> u16 {
        403
    }

    /// The reference has no rule for names except those of fields.
    fn keys_are_unique(&self) -> bool {
        false
    }

    fn documented(&self, kind: &str) -> Option<Documented> {
        documented::itglue(kind)
    }

    fn takes_query(&self, kind: &str, name: &str) -> bool {
        kind == "Password" && matches!(name, "show_password" | "version_id")
    }

    fn takes_relationship(&self, kind: &str, name: &str) -> bool {
        matches!((kind, name), ("Group", "my-glue-account") | ("Password", "password-category"))
    }

    fn always_related(&self, kind: &str) -> &'static [&'static str] {
        if kind == "FlexibleAssetType" { &["flexible_asset_fields"] } else { &[] }
    }

    fn linked(&self, name: &str, row: &Row) -> Vec<Value> {
        match &row.synced {
            Some(_) if name == "adapters-resources" => {
                vec![json!({ "id": format!("9{}", row.id), "type": "adapters-resources" })]
            }
            _ => Vec::new(),
        }
    }

    fn id_among_attributes(&self, kind: &str) -> bool {
        kind == "ConfigurationInterface"
    }

    fn numeric_when_included(&self, kind: &str) -> bool {
        kind == "FlexibleAssetField"
    }

    fn before_write(&self, desk: &mut Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
        match change.shape.name() {
            "Contact" => {
                name_contact(&mut change.row);
                Ok(())
            }
            "Password" => date_password(desk, change),
            "FlexibleAssetField" => traits::check_field(desk, change),
            "FlexibleAsset" => traits::check(desk, change),
            _ => Ok(()),
        }
    }

    fn after_write(&self, desk: &mut Desk<'_>, change: &Change<'_>) -> Result<(), Refusal> {
        match change.shape.name() {
            "Configuration" => {
                interfaces::follow_configuration(desk, change);
                Ok(())
            }
            "ConfigurationInterface" => {
                interfaces::follow_interface(desk, change);
                Ok(())
            }
            "Location" => {
                one_primary(desk, change);
                Ok(())
            }
            "FlexibleAsset" => {
                traits::keep_passwords(desk, change);
                links::follow_tags(desk, change);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn before_delete(&self, _desk: &mut Desk<'_>, shape: &Shape, row: &Row) -> Result<(), Refusal> {
        if shape.name() == "Organization" && row.flag("primary") {
            return Err(Refusal::invalid("The account's own organization cannot be deleted."));
        }
        Ok(())
    }

    fn after_delete(&self, desk: &mut Desk<'_>, shape: &Shape, row: &Row) {
        match shape.name() {
            "ConfigurationInterface" => interfaces::forget_interface(desk, row),
            "FlexibleAssetField" => traits::forget_field(desk, row),
            kind => drop_embedded(desk, kind, &row.id),
        }
    }

    fn ripen(&self, desk: &mut Desk<'_>, shape: &Shape, key: &str) -> Result<(), Refusal> {
        let Some(row) = desk.store.get(shape.name(), key).cloned() else { return Ok(()) };
        let (given, mut raw) = (row.attributes.keys().cloned().collect(), HashMap::new());
        if let Some(traits) = row.get("traits") {
            raw.insert("traits".to_owned(), traits::by_id(desk, &row, traits));
        }
        let mut change = Change { shape, row, old: None, given, raw };
        match shape.name() {
            "Contact" | "FlexibleAssetField" | "FlexibleAsset" => self.before_write(desk, &mut change)?,
            "Configuration" | "ConfigurationInterface" => {}
            _ => return Ok(()),
        }
        desk.store.put_as_is(shape.name(), change.row.clone());
        self.after_write(desk, &change)
    }

    fn show(&self, glance: &Glance<'_>, attributes: &mut Fields) {
        for wire in unseen(glance.shape.name()) {
            attributes.shift_remove(*wire);
        }
        match glance.shape.name() {
            "Organization" => show_organization(glance, attributes),
            "Configuration" => show_configuration(glance, attributes),
            "Contact" => show_contact(attributes),
            "Location" => {
                for name in ["phone", "fax"] {
                    let text = attributes.get(name).and_then(Value::as_str).map(formatted);
                    attributes.insert(format!("formatted-{name}"), text.into());
                }
            }
            "Password" => show_password(glance, attributes),
            "FlexibleAsset" => traits::show(glance, attributes),
            "Attachment" => show_attachment(glance, attributes),
            "User" | "Group" => show_my_glue(glance, attributes),
            _ => {}
        }
    }

    fn secret_names(&self, store: &Store) -> Vec<String> {
        let fields = store.rows("FlexibleAssetField").filter(|row| row.text("kind").as_deref() == Some("Password"));
        fields.filter_map(|row| row.text("name-key")).collect()
    }
}

fn name_contact(row: &mut Row) {
    let parts = [row.text("first-name"), row.text("last-name")];
    let name: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    row.attributes.insert("name".into(), name.join(" ").into());
}

/// Sets the time of a password's change, and refuses values from a key without Password Access.
fn date_password(desk: &Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
    if change.row.text("password").is_some_and(|text| text.is_empty()) {
        return Err(Refusal::at(pointer(change.shape, "password"), "`password` is required."));
    }
    if change.moves("password") && !change.gives("password-updated-at") {
        let now = stamp(time_of(desk.store.tick()), true);
        change.row.attributes.insert("password-updated-at".into(), now.into());
    }
    Ok(())
}

/// An organization has one primary location.
fn one_primary(desk: &mut Desk<'_>, change: &Change<'_>) {
    if !change.row.flag("primary") {
        return;
    }
    let organization = change.row.text("organization-id").unwrap_or_default();
    let table = desk.store.table("Location");
    let rows = table.and_then(|table| table.scoped("organization-id", &organization)).into_iter().flatten();
    let others: Vec<Row> = rows.filter(|row| row.key != change.row.key && row.flag("primary")).cloned().collect();
    for mut row in others {
        row.attributes.insert("primary".into(), false.into());
        desk.store.put("Location", row);
    }
}

/// Passwords embedded in an object go with it, and so do links to it.
fn drop_embedded(desk: &mut Desk<'_>, kind: &str, id: &str) {
    let words: &[&str] = match kind {
        "Configuration" | "Contact" | "Domain" | "Location" | "Password" | "Organization" | "User" => &[kind],
        "FlexibleAsset" => &["Flexible Asset", "flexible-asset-trait"],
        _ => return,
    };
    for (entry, id_wire, type_wire) in
        [("Password", "resource-id", "resource-type"), ("RelatedItem", "destination_id", "destination_type")]
    {
        let keys: Vec<String> = desk
            .store
            .rows(entry)
            .filter(|row| row.text(id_wire).as_deref() == Some(id))
            .filter(|row| row.text(type_wire).is_some_and(|word| words.contains(&word.as_str())))
            .map(|row| row.key.clone())
            .collect();
        if let (false, Some(shape)) = (keys.is_empty(), desk.sim.shape(entry)) {
            desk.remove(shape, &keys);
        }
    }
}

fn show_organization(glance: &Glance<'_>, attributes: &mut Fields) {
    let parent = glance.row.text("parent-id");
    attributes.insert("parent-id".into(), parent.clone().into());
    let mut ancestors = Vec::new();
    let mut next = parent;
    while let Some(id) = next.filter(|id| !ancestors.contains(id)) {
        next = glance.store.get("Organization", &id).and_then(|row| row.text("parent-id"));
        ancestors.push(id);
    }
    ancestors.reverse();
    let list = if ancestors.is_empty() { Value::Null } else { format!("[{}]", ancestors.join(",")).into() };
    attributes.insert("ancestor-ids".into(), list);
    attributes.insert("primary".into(), glance.row.flag("primary").into());
    attributes.insert("logo".into(), "".into());
}

fn page(glance: &Glance<'_>, path: &str) -> Value {
    let organization = glance.row.text("organization-id").unwrap_or_default();
    format!("{SITE}/{organization}/{path}/{}", glance.row.id).into()
}

fn show_configuration(glance: &Glance<'_>, attributes: &mut Fields) {
    attributes.insert("resource-url".into(), page(glance, "configurations"));
    let organization = glance.row.text("organization-id").and_then(|id| glance.store.get("Organization", &id));
    let short = organization.and_then(|row| row.text("short-name"));
    attributes.insert("organization-short-name".into(), short.into());
    let kind = attributes.get("configuration-type-name").and_then(Value::as_str).map(|name| {
        let name = name.to_lowercase();
        ["server", "switch", "printer", "firewall", "workstation", "laptop"]
            .into_iter()
            .find(|word| name.contains(word))
            .unwrap_or("other")
    });
    attributes.insert("configuration-type-kind".into(), kind.into());
}

fn show_contact(attributes: &mut Fields) {
    attributes.shift_remove("contact-phones.formatted-value");
    for name in ["contact-emails", "contact-phones"] {
        let list = attributes.entry(name).or_insert_with(|| json!([]));
        if list.is_null() {
            *list = json!([]);
        }
    }
    if let Some(Value::Array(phones)) = attributes.get_mut("contact-phones") {
        for phone in phones {
            let text = phone.get("value").and_then(Value::as_str).map(formatted);
            if let Value::Object(phone) = phone {
                phone.entry("extension").or_insert(Value::Null);
                phone.insert("formatted-value".into(), text.into());
            }
        }
    }
}

/// A number of ten digits as it is printed in North America; others as they are.
fn formatted(digits: &str) -> String {
    match (digits.get(..3), digits.get(3..6), digits.get(6..)) {
        (Some(area), Some(middle), Some(last)) if digits.len() == 10 => format!("({area}) {middle}-{last}"),
        _ => digits.to_owned(),
    }
}

/// A read shows the value unless told otherwise, a write only when told.
fn show_password(glance: &Glance<'_>, attributes: &mut Fields) {
    let wanted = match (glance.view, glance.query("show_password")) {
        (View::List, _) | (_, Some("false")) | (View::Written | View::Created, None) => false,
        (View::Get, _) | (View::Written | View::Created, Some(_)) => true,
    };
    let value = glance.row.get("password").cloned();
    match value {
        Some(value) if wanted && glance.sees_secrets => {
            attributes.insert("password".into(), value);
        }
        _ => {
            attributes.shift_remove("password");
        }
    }
    if glance.view == View::List {
        attributes.shift_remove("is-live");
    } else if attributes.get("is-live").is_none_or(Value::is_null) {
        attributes.insert("is-live".into(), true.into());
    }
    attributes.insert("resource-url".into(), page(glance, "passwords"));
    attributes.insert("my-glue".into(), false.into());
    attributes.insert("updated-by".into(), 35.into());
    let holder = glance.row.text("resource-type").zip(glance.row.text("resource-id"));
    if let Some((word, id)) = holder {
        let kind = match word.as_str() {
            "flexible-asset-trait" | "Flexible Asset" => "FlexibleAsset",
            word => word,
        };
        let row = glance.store.get(kind, &id);
        let name = row.and_then(|row| glance.simulation.shape(kind)?.title_of(row));
        attributes.insert("cached-resource-name".into(), name.into());
        let asset_type = row
            .filter(|_| kind == "FlexibleAsset")
            .and_then(|row| glance.store.get("FlexibleAssetType", &row.text("flexible-asset-type-id")?)?.text("name"));
        attributes.insert("cached-resource-type-name".into(), asset_type.unwrap_or(word).into());
    }
}

fn show_attachment(glance: &Glance<'_>, attributes: &mut Fields) {
    let file = glance.row.get("attachment");
    let name = file.and_then(|file| file.get("file_name")).and_then(Value::as_str).unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let media = match ending {
        "png" | "gif" | "jpg" | "jpeg" => "image",
        "pdf" => "application",
        _ => "text",
    };
    let more: Map<String, Value> = [
        ("attachment-file-name", Value::from(name)),
        ("attachment-content-type", format!("{media}/{ending}").into()),
        ("attachment-file-size", file.and_then(|file| file.get("size")).cloned().unwrap_or_default()),
        ("ext", ending.into()),
        ("viewable", (media == "image").into()),
        ("download-url", format!("{SITE}/attachments/{}", glance.row.id).into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    attributes.extend(more);
}

fn show_my_glue(glance: &Glance<'_>, attributes: &mut Fields) {
    attributes.insert("my-glue".into(), glance.row.flag("my-glue").into());
    if glance.shape.name() == "User" && attributes.get("avatar").is_none_or(Value::is_null) {
        attributes.insert("avatar".into(), "".into());
    }
}
