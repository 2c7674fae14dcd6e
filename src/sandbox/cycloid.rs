//! Cycloid's own ways, as its reference and its public clients tell them: answers that show objects where requests name
//! them, what the server makes of names, defaults that move, stacks that appear.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    answer::Refusal,
    behaviour::{Behaviour, Glance, View},
    desk::{Change, Desk, local_key},
    shape::Shape,
    store::{Row, Store},
};
use crate::value::{Fields, set_path};

/// Cycloid.
pub(super) struct Cycloid;

/// Attribute of requests, member of answers, and the kind and attribute that it names its target by.
const SHOWN_AS_OBJECTS: &[(&str, &str, &str, &str)] = &[
    ("owner", "owner", "User", "username"),
    ("team_canonical", "team", "Team", "canonical"),
    ("role_canonical", "role", "Role", "canonical"),
    ("resource_pool_canonical", "resource_pool", "ResourcePool", "canonical"),
    ("service_catalog_ref", "service_catalog", "ServiceCatalog", "ref"),
    ("cloud_provider_canonical", "cloud_provider", "CloudProvider", "canonical"),
];

/// Kinds of which no object is a refusal that says so, and no 404.
const NOT_FOUND: &[&str] = &["ConfigRepository", "ServiceCatalogSource", "ExternalBackend", "Kpi"];

impl Behaviour for Cycloid {
    fn created(&self) -> u16 {
        200
    }

    fn absent(&self, kind: &str) -> Option<(u16, String)> {
        NOT_FOUND.contains(&kind).then(|| (422, format!("The {kind} was not found.")))
    }

    fn stamp(&self, at: Timestamp) -> Option<Value> {
        Some(at.as_second().into())
    }

    /// The reference shows these answers without an envelope.
    fn is_bare(&self, kind: &str, view: View) -> bool {
        match kind {
            "Component" => matches!(view, View::Get | View::Written),
            "InventoryResource" => view == View::Get,
            _ => false,
        }
    }

    fn before_write(&self, desk: &mut Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
        let creates = change.old.is_none();
        match change.shape.name() {
            "Appearance" | "ResourcePool" if creates => {
                let name = change.row.text("name").unwrap_or_default();
                change.row.attributes.insert("canonical".into(), slug(&name).into());
            }
            "Member" if creates => {
                let email = change.row.text("invitation_email").unwrap_or_default();
                let state = if email.starts_with("pending") { "pending" } else { "accepted" };
                change.row.attributes.insert("invitation_state".into(), state.into());
            }
            "TeamMember" if creates => {
                let username = change.row.text("username").unwrap_or_default();
                let organization =
                    change.row.parent.as_ref().and_then(|(_, team)| team.split('/').next()).unwrap_or_default();
                let own = |row: &&Row| row.text("organization_id").as_deref() == Some(organization);
                let mut members = desk.store.rows("Member").filter(own).peekable();
                // Of a new organization nobody is known but who made it.
                if members.peek().is_some() && !members.any(|row| user_name(row).as_deref() == Some(&username)) {
                    return Err(Refusal::at("/username", "The user is not a member of the organization."));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn after_write(&self, desk: &mut Desk<'_>, change: &Change<'_>) -> Result<(), Refusal> {
        match change.shape.name() {
            "ConfigRepository" => only_one(desk, change, "default", &[]),
            "ExternalBackend" => only_one(desk, change, "default", &["purpose"]),
            "Appearance" => only_one(desk, change, "is_active", &[]),
            "Environment" | "Component" => touch_project(desk, &change.row),
            "Member" => learn_user(desk, &change.row),
            "ServiceCatalogSource" if change.old.is_none() => stack_of(desk, &change.row),
            _ => {}
        }
        Ok(())
    }

    fn before_delete(&self, desk: &mut Desk<'_>, shape: &Shape, row: &Row) -> Result<(), Refusal> {
        if shape.name() == "Credential" {
            let canonical = row.text("canonical");
            let uses = ["ConfigRepository", "ServiceCatalogSource", "ExternalBackend"].into_iter().any(|kind| {
                desk.store.rows(kind).any(|other| {
                    other.text("credential_canonical") == canonical
                        && other.text("organization_id") == row.text("organization_id")
                })
            });
            if uses {
                return Err(Refusal::new(409, "The credential is in use."));
            }
        }
        Ok(())
    }

    fn after_delete(&self, desk: &mut Desk<'_>, shape: &Shape, row: &Row) {
        match shape.name() {
            "Environment" | "Component" => touch_project(desk, row),
            "ServiceCatalogSource" => {
                let gone: Vec<String> = desk
                    .store
                    .rows("ServiceCatalog")
                    .filter(|stack| {
                        stack.text("service_catalog_source_canonical") == row.text("canonical")
                            && stack.text("organization_id") == row.text("organization_id")
                    })
                    .map(|stack| stack.key.clone())
                    .collect();
                for key in gone {
                    desk.store.remove("ServiceCatalog", &key);
                }
            }
            _ => {}
        }
    }

    fn show(&self, glance: &Glance<'_>, attributes: &mut Fields) {
        let kind = glance.shape.name();
        if glance.shape.is_ignored("id") && !attributes.contains_key("id") && glance.shape.local_id.is_some() {
            attributes.insert("id".into(), glance.row.seq.into());
        }
        let organization = glance.row.key.split('/').next().unwrap_or_default();
        for (wire, member, target, by) in SHOWN_AS_OBJECTS {
            let Some(value) = attributes.shift_remove(*wire) else { continue };
            attributes.insert((*member).into(), brief(glance.store, organization, target, by, &value));
        }
        if let Some(Value::Array(roles)) = attributes.shift_remove("roles_canonical") {
            let roles = roles.iter().map(|role| brief(glance.store, organization, "Role", "canonical", role));
            attributes.insert("roles".into(), roles.collect());
        }
        match kind {
            "Member" => show_member(glance.row, attributes),
            "ServiceCatalogSource" => {
                // They only seed the stacks that are found.
                attributes.shift_remove("visibility");
                attributes.shift_remove("team");
            }
            "ApiKey" => {
                let token = super::render::token(glance.shape, glance.row);
                let end: String = token.chars().rev().take(7).collect::<Vec<_>>().into_iter().rev().collect();
                attributes.insert("last_seven".into(), end.into());
            }
            "Credential" => {
                let raw = glance.row.get("raw").and_then(Value::as_object);
                let keys: Vec<Value> = raw.into_iter().flat_map(Map::keys).map(|key| key.clone().into()).collect();
                attributes.insert("keys".into(), keys.into());
                if !glance.sees_secrets {
                    attributes.shift_remove("raw");
                }
            }
            // The answer to a create is the request.
            "Role" if glance.view == View::Created => {
                for name in ["id", "created_at", "updated_at"] {
                    attributes.shift_remove(name);
                }
            }
            "Environment" | "Component" | "Pipeline" => show_parents(glance.row, kind, attributes),
            _ => {}
        }
        // Members without a value are left out, as servers written in Go do.
        attributes.retain(|_, value| !value.is_null());
    }
}

/// What an object is below, which the path of its own reads says and lists over many parents do not.
fn show_parents(row: &Row, kind: &str, attributes: &mut Fields) {
    let depth = match kind {
        "Environment" => 1,
        "Component" => 2,
        _ => 3,
    };
    let levels = ["project", "environment", "component"].into_iter().take(depth);
    for (level, canonical) in levels.zip(row.key.split('/').skip(1)) {
        attributes.insert(level.into(), json!({ "canonical": canonical.replace("%2F", "/").replace("%25", "%") }));
    }
}

/// An object as answers show it inside another one.
fn brief(store: &Store, organization: &str, kind: &str, by: &str, named: &Value) -> Value {
    if named.is_null() {
        return Value::Null;
    }
    let name = crate::value::text(named).unwrap_or_default();
    let found = store.get(kind, &format!("{organization}/{name}"));
    let mut out = Fields::new();
    set_path(&mut out, by, name.clone().into());
    if let Some(row) = found {
        out.insert("id".into(), row.seq.into());
        out.extend(row.get("name").map(|title| ("name".to_owned(), title.clone())));
    }
    if kind == "User" {
        out.insert("email".into(), format!("{name}@example.com").into());
    }
    out.into()
}

/// A canonical that the server makes of a name.
fn slug(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    let trimmed = plain.trim_matches('-');
    if trimmed.len() < 3 { format!("{trimmed}-01") } else { trimmed.to_owned() }
}

fn user_name(member: &Row) -> Option<String> {
    if member.text("invitation_state").as_deref() != Some("accepted") {
        return None;
    }
    member.text("username").or_else(|| Some(slug(member.text("invitation_email")?.split('@').next()?)))
}

/// While an invitation is pending, nothing but its address is known of the person.
fn show_member(row: &Row, attributes: &mut Fields) {
    let Some(username) = user_name(row) else { return };
    attributes.insert("email".into(), row.get("invitation_email").cloned().unwrap_or_default());
    attributes.insert("username".into(), username.into());
}

/// Who accepted an invitation is a user.
fn learn_user(desk: &mut Desk<'_>, member: &Row) {
    let (Some(username), Some(organization)) = (user_name(member), member.text("organization_id")) else { return };
    if desk.store.get("User", &format!("{organization}/{username}")).is_some() {
        return;
    }
    let mut row = Row::default();
    row.attributes.insert("organization_id".into(), organization.clone().into());
    row.attributes.insert("username".into(), username.clone().into());
    row.attributes.insert("email".into(), member.get("invitation_email").cloned().unwrap_or_default());
    row.id.clone_from(&username);
    row.key = format!("{organization}/{username}");
    desk.store.put("User", row);
}

/// What only one object is, the one that was written last is.
fn only_one(desk: &mut Desk<'_>, change: &Change<'_>, flag: &str, beside: &[&str]) {
    if !change.row.flag(flag) {
        return;
    }
    let kind = change.shape.name();
    let same = |other: &Row| {
        ["organization_id"].iter().chain(beside).all(|wire| other.text(wire) == change.row.text(wire))
            && other.seq != change.row.seq
            && other.flag(flag)
    };
    let others: Vec<Row> = desk.store.rows(kind).filter(|other| same(other)).cloned().collect();
    for mut other in others {
        other.attributes.insert(flag.to_owned(), false.into());
        desk.store.put(kind, other);
    }
}

/// What changes below a project moves its time of change.
fn touch_project(desk: &mut Desk<'_>, row: &Row) {
    let key: Vec<&str> = row.key.split('/').take(2).collect();
    if let Some(project) = desk.store.get("Project", &key.join("/")).cloned() {
        desk.store.put("Project", project);
    }
}

/// A new source brings one stack along.
fn stack_of(desk: &mut Desk<'_>, source: &Row) {
    let (Some(canonical), Some(organization)) = (source.text("canonical"), source.text("organization_id")) else {
        return;
    };
    let Some(shape) = desk.sim.shape("ServiceCatalog") else { return };
    let name = format!("{canonical}-stack");
    let mut row = Row::default();
    let visibility = source.get("visibility").cloned().unwrap_or_else(|| "local".into());
    let attributes = json!({
        "organization_id": organization,
        "ref": format!("{organization}:{name}"),
        "canonical": name,
        "name": name,
        "service_catalog_source_canonical": canonical,
        "visibility": visibility,
    });
    row.attributes = attributes.as_object().cloned().unwrap_or_default();
    row.attributes.extend(source.get("team_canonical").map(|team| ("team_canonical".to_owned(), team.clone())));
    row.id = row.text("ref").unwrap_or_default();
    row.key = local_key(shape, &row);
    if desk.store.get("ServiceCatalog", &row.key).is_none() {
        desk.store.put("ServiceCatalog", row);
    }
}
