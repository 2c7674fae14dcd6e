//! Traits of flexible assets: checked against the fields of the type, written in one form and read in another.

use serde_json::{Map, Value, json};

use super::{
    answer::{Fault, INVALID, Refusal},
    behaviour::Glance,
    desk::{Change, Desk},
    render::stamp,
    rules::pointer,
    simulation::time_of,
    store::{Row, Store},
};
use crate::value::{Fields, is_empty, text};

/// Completes a field, and refuses another kind for one that is in use.
pub(super) fn check_field(desk: &mut Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
    let Some(old) = &change.old else {
        let name = change.row.text("name").unwrap_or_default();
        change.row.attributes.insert("name-key".into(), slug(&name).into());
        return Ok(());
    };
    if old.get("kind") != change.row.get("kind") {
        let key = old.text("name-key").unwrap_or_default();
        let used =
            assets(desk.store, old).any(|asset| asset.get("traits").is_some_and(|traits| traits.get(&key).is_some()));
        if used {
            let detail = "`kind` cannot be changed: there are traits created for the field.";
            return Err(Refusal::at(pointer(change.shape, "kind"), detail));
        }
    }
    Ok(())
}

/// The key of a field in traits: its name in lower case, words joined by hyphens.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// The assets of the type that a field belongs to.
fn assets<'a>(store: &'a Store, field: &Row) -> impl Iterator<Item = &'a Row> {
    let of = field.parent.as_ref().map(|(_, id)| id.clone()).unwrap_or_default();
    store.table("FlexibleAsset").and_then(|table| table.scoped("flexible-asset-type-id", &of)).into_iter().flatten()
}

/// The fields of an asset's type in their order.
pub(super) fn fields(store: &Store, asset: &Row) -> Vec<Row> {
    let of = asset.text("flexible-asset-type-id").unwrap_or_default();
    let mut fields: Vec<Row> = store.inside("FlexibleAssetField", ("FlexibleAssetType", &of)).cloned().collect();
    fields.sort_by_key(|field| field.get("order").and_then(Value::as_i64).unwrap_or_default());
    fields
}

/// Checks the traits of a write, lays them down in the form that is kept, and names the asset.
pub(super) fn check(desk: &mut Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
    if !change.gives("traits") {
        return Ok(());
    }
    let fields = fields(desk.store, &change.row);
    let Some(Value::Object(given)) = change.raw.get("traits").cloned() else {
        return Err(Refusal::at(pointer(change.shape, "traits"), "`traits` must be a Hash."));
    };
    let before = change.old.as_ref().and_then(|old| old.get("traits")).cloned().unwrap_or_default();
    let mut kept = Map::new();
    let mut faults = Vec::new();
    for (key, value) in &given {
        let at = format!("{}/{key}", pointer(change.shape, "traits"));
        let Some(field) = fields.iter().find(|field| field.text("name-key").as_deref() == Some(key)) else {
            let detail = format!("`{key}` is not the key of a field of this type.");
            faults.push(Fault { detail, pointer: Some(at) });
            continue;
        };
        if value.is_null() {
            continue;
        }
        match trait_value(desk.store, field, value, before.get(key)) {
            Ok(value) => {
                kept.insert(key.clone(), value);
            }
            Err(what) => faults.push(Fault { detail: format!("`{key}` {what}."), pointer: Some(at) }),
        }
    }
    for field in fields.iter().filter(|field| field.flag("required")) {
        let key = field.text("name-key").unwrap_or_default();
        if kept.get(&key).is_none_or(is_empty) {
            let at = format!("{}/{key}", pointer(change.shape, "traits"));
            faults.push(Fault { detail: format!("`{key}` is required."), pointer: Some(at) });
        }
    }
    if !faults.is_empty() {
        return Err(Refusal { status: INVALID, faults });
    }
    change.row.attributes.insert("name".into(), title(&fields, &kept));
    change.row.attributes.insert("traits".into(), kept.into());
    Ok(())
}

/// The values of the fields that are used for the title.
fn title(fields: &[Row], traits: &Fields) -> Value {
    let titles = fields.iter().filter(|field| field.flag("use-for-title"));
    let parts: Vec<String> = titles
        .filter_map(|field| traits.get(&field.text("name-key")?).and_then(text))
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() { Value::Null } else { parts.join(" ").into() }
}

/// A trait's value in the form that is kept; the error says what is wrong with it.
fn trait_value(store: &Store, field: &Row, value: &Value, before: Option<&Value>) -> Result<Value, String> {
    let right = |fits: bool, what: &str| if fits { Ok(value.clone()) } else { Err(what.to_owned()) };
    match field.text("kind").as_deref().unwrap_or_default() {
        "Header" => Err("belongs to a Header, which has no value".into()),
        "Checkbox" => right(value.is_boolean(), "must be true or false"),
        "Number" | "Percent" => right(value.is_number(), "must be a number"),
        "Date" => {
            let day = value.as_str().is_some_and(|text| text.parse::<jiff::civil::Date>().is_ok());
            right(day, "must be a date, YYYY-MM-DD")
        }
        "Select" => {
            let options = field.text("default-value").unwrap_or_default();
            let known = value.as_str().is_some_and(|text| options.lines().any(|option| option == text));
            right(known, "must be one of the options of the field")
        }
        "Tag" => tags(store, field, value),
        "Password" => match value {
            Value::String(_) => Ok(value.clone()),
            echo if before.is_some_and(|before| shown_password(store, before).as_ref() == Some(echo)) => {
                Ok(before.cloned().unwrap_or_default())
            }
            _ => Err("must be a String".into()),
        },
        "Upload" => upload(value, before),
        _ => right(value.is_string(), "must be a String"),
    }
}

fn upload(value: &Value, before: Option<&Value>) -> Result<Value, String> {
    if let Some(before) = before.filter(|before| shown_upload(before) == *value) {
        return Ok(before.clone());
    }
    let content = value.get("content").and_then(Value::as_str);
    let name = value.get("file_name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let engine = &base64::engine::general_purpose::STANDARD;
    let size = content.and_then(|content| base64::Engine::decode(engine, content).ok()).map(|bytes| bytes.len());
    match (size, name) {
        (Some(size), Some(name)) => Ok(json!({ "file_name": name, "size": size })),
        _ => Err("must be a Hash of `content` (strict Base64) and `file_name`".into()),
    }
}

/// What a Tag field's values are: the kind, and the type of flexible assets where it is one.
pub(super) fn tagged(field: &Row) -> (Option<&'static str>, Option<String>) {
    let word = field.text("tag-type").unwrap_or_default();
    let kind = match word.as_str() {
        "AccountsUsers" => "User",
        "Contacts" => "Contact",
        "Configurations" => "Configuration",
        "Domains" => "Domain",
        "Passwords" => "Password",
        "Locations" => "Location",
        "Organizations" => "Organization",
        other => match other.strip_prefix("FlexibleAssetType:") {
            Some(id) => return (Some("FlexibleAsset"), Some(id.trim().to_owned())),
            None => return (None, None),
        },
    };
    (Some(kind), None)
}

/// An id or a list of ids, kept as a list of numbers.
fn tags(store: &Store, field: &Row, value: &Value) -> Result<Value, String> {
    let (kind, asset_type) = tagged(field);
    let ids = match value {
        Value::Array(ids) => ids.clone(),
        one => vec![one.clone()],
    };
    let mut kept = Vec::new();
    for id in &ids {
        let id: u64 = text(id).and_then(|id| id.parse().ok()).ok_or("must be an id or an Array of ids")?;
        let row = kind.map(|kind| store.get(kind, &id.to_string()));
        let there = match row {
            None => true,
            Some(None) => false,
            Some(Some(row)) => asset_type.is_none() || row.text("flexible-asset-type-id") == asset_type,
        };
        if !there {
            return Err(format!("tags {id}, which does not exist"));
        }
        kept.push(id);
    }
    Ok(kept.into())
}

/// The traits of a seed with ids for the names that its Tag traits may have.
pub(super) fn by_id(desk: &Desk<'_>, asset: &Row, traits: &Value) -> Value {
    let mut out = traits.clone();
    for field in fields(desk.store, asset).iter().filter(|field| field.text("kind").as_deref() == Some("Tag")) {
        let Some(value) = field.text("name-key").and_then(|key| out.get_mut(key)) else { continue };
        let Some((kind, shape)) = tagged(field).0.and_then(|kind| Some((kind, desk.sim.shape(kind)?))) else {
            continue;
        };
        let id = |name: &Value| {
            let found = desk.store.rows(kind).find(|row| shape.title_of(row) == text(name));
            found.map_or_else(|| name.clone(), |row| row.id.clone().into())
        };
        *value = match &*value {
            Value::Array(names) => names.iter().map(id).collect(),
            name => id(name),
        };
    }
    out
}

/// Turns the texts of Password traits into passwords, and removes the passwords of traits that are gone.
pub(super) fn keep_passwords(desk: &mut Desk<'_>, change: &Change<'_>) {
    if !change.gives("traits") {
        return;
    }
    let Some(mut row) = desk.store.get("FlexibleAsset", &change.row.key).cloned() else { return };
    let before = change.old.as_ref().and_then(|old| old.get("traits")).cloned().unwrap_or_default();
    let mut traits = row.get("traits").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut gone = Vec::new();
    for field in fields(desk.store, &row).iter().filter(|field| field.text("kind").as_deref() == Some("Password")) {
        let key = field.text("name-key").unwrap_or_default();
        let held = before.get(&key).and_then(password_id);
        match traits.get(&key) {
            Some(Value::String(secret)) => {
                let id = write_password(desk, &row, field, held.as_deref(), secret);
                traits.insert(key, json!({ "password": id }));
            }
            None => gone.extend(held),
            Some(_) => {}
        }
    }
    row.attributes.insert("traits".into(), traits.into());
    desk.store.put_as_is("FlexibleAsset", row);
    if let (false, Some(shape)) = (gone.is_empty(), desk.sim.shape("Password")) {
        desk.remove(shape, &gone);
    }
}

fn password_id(kept: &Value) -> Option<String> {
    kept.get("password").and_then(text)
}

fn write_password(desk: &mut Desk<'_>, asset: &Row, field: &Row, held: Option<&str>, secret: &str) -> String {
    let mut row = held.and_then(|id| desk.store.get("Password", id)).cloned().unwrap_or_default();
    if row.id.is_empty() {
        row.id = desk.store.next_number("Password").to_string();
        row.key.clone_from(&row.id);
    }
    let asset_id = asset.id.parse::<u64>().map_or_else(|_| asset.id.clone().into(), Value::from);
    let attributes = [
        ("organization-id", asset.get("organization-id").cloned().unwrap_or_default()),
        ("name", field.get("name").cloned().unwrap_or_default()),
        ("password", secret.into()),
        ("password-updated-at", stamp(time_of(desk.store.tick()), true).into()),
        ("resource-id", asset_id),
        ("resource-type", "flexible-asset-trait".into()),
        ("restricted", false.into()),
    ];
    row.attributes.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    let id = row.id.clone();
    desk.store.put("Password", row);
    id
}

/// Deletes the values of a deleted field.
pub(super) fn forget_field(desk: &mut Desk<'_>, field: &Row) {
    let key = field.text("name-key").unwrap_or_default();
    let holders: Vec<Row> = assets(desk.store, field)
        .filter(|asset| asset.get("traits").is_some_and(|traits| traits.get(&key).is_some()))
        .cloned()
        .collect();
    let mut passwords = Vec::new();
    for mut asset in holders {
        let fields = fields(desk.store, &asset);
        if let Some(Value::Object(traits)) = asset.attributes.get_mut("traits") {
            passwords.extend(traits.shift_remove(&key).as_ref().and_then(password_id));
            let name = title(&fields, traits);
            asset.attributes.insert("name".into(), name);
        }
        desk.store.put("FlexibleAsset", asset);
    }
    if let (false, Some(shape)) = (passwords.is_empty(), desk.sim.shape("Password")) {
        desk.remove(shape, &passwords);
    }
}

/// Shows traits in the form that they are read in.
pub(super) fn show(glance: &Glance<'_>, attributes: &mut Fields) {
    let mut shown = Map::new();
    let kept = glance.row.get("traits").and_then(Value::as_object);
    for field in fields(glance.store, glance.row) {
        let key = field.text("name-key").unwrap_or_default();
        let Some(value) = kept.and_then(|kept| kept.get(&key)) else { continue };
        let value = match field.text("kind").as_deref() {
            Some("Tag") => shown_tags(glance, &field, value),
            Some("Password") => shown_password(glance.store, value).unwrap_or_default(),
            Some("Upload") => shown_upload(value),
            _ => value.clone(),
        };
        shown.insert(key, value);
    }
    attributes.insert("traits".into(), shown.into());
    attributes.insert("my-glue".into(), false.into());
    let text = |wire: &str| glance.row.text(wire).unwrap_or_default();
    let url = format!(
        "https://mycompany.itglue.example/{}/assets/{}/records/{}",
        text("organization-id"),
        text("flexible-asset-type-id"),
        glance.row.id
    );
    attributes.insert("resource-url".into(), url.into());
}

fn shown_tags(glance: &Glance<'_>, field: &Row, value: &Value) -> Value {
    let (kind, asset_type) = tagged(field);
    let ids = value.as_array().into_iter().flatten();
    let values: Vec<Value> = ids
        .filter_map(|id| {
            let row = kind.zip(text(id)).and_then(|(kind, id)| glance.store.get(kind, &id));
            // A tag of something that is gone is gone too.
            if kind.is_some() && row.is_none() {
                return None;
            }
            let shape = kind.and_then(|kind| glance.simulation.shape(kind));
            let name = row.zip(shape).and_then(|(row, shape)| shape.title_of(row));
            let mut value = json!({ "id": id, "name": name });
            if let (Some(row), "Configuration", Value::Object(value)) = (row, kind.unwrap_or_default(), &mut value) {
                value.insert("hostname".into(), row.get("hostname").cloned().unwrap_or_default());
            }
            Some(value)
        })
        .collect();
    let word =
        if asset_type.is_some() { "FlexibleAssets".to_owned() } else { field.text("tag-type").unwrap_or_default() };
    json!({ "type": word, "values": values })
}

/// How a Password trait is read; the reference does not say, so that clients can do no more than send it back.
fn shown_password(store: &Store, kept: &Value) -> Option<Value> {
    let id = password_id(kept)?;
    let row = store.get("Password", &id)?;
    let number = id.parse::<u64>().ok()?;
    Some(json!({ "type": "Passwords", "values": [{ "id": number, "name": row.get("name") }] }))
}

/// How an Upload trait is read; not documented either.
fn shown_upload(kept: &Value) -> Value {
    let name = kept.get("file_name").cloned().unwrap_or_default();
    json!({ "type": "Uploads", "values": [{ "name": name }] })
}
