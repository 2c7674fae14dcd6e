//! balena's own ways, as observed of its public server: what is public, what it computes, what moves and cascades.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    behaviour::Behaviour,
    desk::{Change, Desk},
    shape::Shape,
    simulation::{Request, Simulation},
    store::{Row, Store},
};
use crate::value::text;

/// The balena API.
pub(super) struct Balena;

/// The user that every credential belongs to.
const CALLER: u64 = 2;
/// Handle of an organization that the caller is no member of.
const FOREIGN: &str = "open-fleets";
/// Sets of which rows may be public.
const PUBLIC: [&str; 5] = ["Application", "ApplicationTag", "DeviceType", "Release", "Service"];

impl Behaviour for Balena {
    fn serves_strangers(&self) -> bool {
        true
    }

    fn outside(&self, simulation: &Simulation, request: &Request<'_>) -> Option<Answer> {
        let parts: Vec<&str> = request.parts.iter().map(String::as_str).collect();
        match (request.method, &parts[..]) {
            ("GET", ["actor", "v1", "whoami"]) if request.reader.stranger => {
                Some(Refusal::silent(401).answer(&simulation.api))
            }
            ("GET", ["actor", "v1", "whoami"]) => {
                let store = simulation.store();
                let name = store.get("User", &CALLER.to_string()).and_then(|user| user.text("username"));
                let body = json!({
                    "id": CALLER, "actorType": "user", "actorTypeId": CALLER, "username": name,
                    "email": "jane@example.com",
                });
                Some(Answer::new(StatusCode::OK, body))
            }
            ("POST", ["api-key", "user", "full"]) if request.reader.stranger || request.reader.read_only => {
                Some(Refusal::silent(401).answer(&simulation.api))
            }
            ("POST", ["api-key", "user", "full"]) => Some(make_key(simulation, request)),
            _ => None,
        }
    }

    fn has_public(&self, kind: &str) -> bool {
        PUBLIC.contains(&kind)
    }

    fn is_public(&self, store: &Store, kind: &str, row: &Row) -> bool {
        match kind {
            "DeviceType" => true,
            "Application" => row.flag("is_public"),
            _ => fleet_of(store, kind, row).is_some_and(|fleet| fleet.flag("is_public")),
        }
    }

    fn is_accessible(&self, store: &Store, _kind: &str, row: &Row) -> bool {
        let handle = row.text("organization").and_then(|id| store.get("Organization", &id)?.text("handle"));
        handle.as_deref() != Some(FOREIGN)
    }

    fn knows_users(&self, kind: &str) -> bool {
        kind == "Application"
    }

    fn nav(&self, from: &str, to: &str) -> Option<&'static str> {
        match (from, to) {
            ("Application", "Device") => Some("owns__device"),
            ("Application", "Release") => Some("owns__release"),
            _ => None,
        }
    }

    fn is_caller(&self, _kind: &str, value: &Value) -> bool {
        text(value) == Some(CALLER.to_string())
    }

    fn is_made_elsewhere(&self, kind: &str) -> bool {
        matches!(kind, "DeviceType" | "Release" | "User" | "ApiKey")
    }

    fn nothing_deleted(&self, kind: &str) -> Option<Refusal> {
        (kind == "Application").then(|| Refusal::new(404, "Application(s) not found."))
    }

    fn before_write(&self, desk: &mut Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
        match change.shape.name() {
            "Application" => fleet(desk, change),
            "Device" => device(desk, change),
            "SshKey" => {
                let key = change.row.text("public_key");
                let taken = desk
                    .store
                    .rows("SshKey")
                    .any(|other| other.seq != change.row.seq && other.text("public_key") == key);
                if taken {
                    return Err(Refusal::new(409, "\"user\" and \"public key\" must be unique."));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn after_write(&self, desk: &mut Desk<'_>, change: &Change<'_>) -> Result<(), Refusal> {
        match change.shape.name() {
            "Device" if change.moves("belongs_to__application") => {
                // The installs of the old fleet go, and with them the variables that hang on them.
                let device = change.row.id.clone();
                let old: Vec<String> = installs(desk.store, &device).map(|row| row.key.clone()).collect();
                if let Some(shape) = desk.sim.shape("ServiceInstall") {
                    desk.remove(shape, &old);
                }
                install(desk, &change.row);
            }
            "Organization" if change.old.is_some() && change.moves("handle") => {
                let fleets: Vec<Row> = desk
                    .store
                    .rows("Application")
                    .filter(|row| row.text("organization").as_deref() == Some(&*change.row.id))
                    .cloned()
                    .collect();
                for mut row in fleets {
                    row.attributes.insert("slug".into(), slug(desk.store, &row).into());
                    desk.store.put("Application", row);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn after_delete(&self, desk: &mut Desk<'_>, shape: &Shape, row: &Row) {
        let (kind, wire) = match shape.name() {
            "ServiceInstall" => ("DeviceServiceEnvironmentVariable", "service_install"),
            "Service" => ("ServiceInstall", "installs__service"),
            _ => return,
        };
        let gone: Vec<String> = desk
            .store
            .rows(kind)
            .filter(|other| other.text(wire).as_deref() == Some(&*row.id))
            .map(|other| other.key.clone())
            .collect();
        if let Some(shape) = desk.sim.shape(kind) {
            desk.remove(shape, &gone);
        }
    }

    fn ripen(&self, desk: &mut Desk<'_>, shape: &Shape, key: &str) -> Result<(), Refusal> {
        let Some(mut row) = desk.store.get(shape.name(), key).cloned() else { return Ok(()) };
        match shape.name() {
            "Application" => {
                row.attributes.insert("slug".into(), slug(desk.store, &row).into());
                if row.text("uuid").is_none() {
                    row.attributes.insert("uuid".into(), format!("{:032x}", row.seq).into());
                }
                desk.store.put_as_is(shape.name(), row);
            }
            "Device" => install(desk, &row),
            "SshKey" => {
                row.attributes.insert("user".into(), CALLER.into());
                desk.store.put_as_is(shape.name(), row);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Makes a named key of the caller; the answer is its text.
fn make_key(simulation: &Simulation, request: &Request<'_>) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let name = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty() && name.len() <= 50);
    // The time of its end has to be there, if only as null.
    let (Some(name), Some(end)) = (name, body.get("expiryDate")) else {
        return Refusal::silent(400).answer(&simulation.api);
    };
    let mut store = simulation.store();
    store.advance();
    let number = store.next_number("ApiKey").to_string();
    let mut row = Row { id: number.clone(), key: number.clone(), ..Row::default() };
    row.attributes.insert("name".into(), name.into());
    row.attributes.insert("description".into(), body.get("description").cloned().unwrap_or_default());
    row.attributes.insert("expiry_date".into(), end.clone());
    row.attributes.insert("is_of__actor".into(), CALLER.into());
    store.put("ApiKey", row);
    store.commit();
    Answer::new(StatusCode::OK, format!("sandbox-key-{number}-{:08x}", store.tick()).into())
}

/// The fleet that a row is of.
fn fleet_of<'s>(store: &'s Store, kind: &str, row: &Row) -> Option<&'s Row> {
    let id = match kind {
        "Release" => row.text("belongs_to__application")?,
        "Service" => row.text("application")?,
        _ => row.parent.as_ref().filter(|(kind, _)| kind == "Application")?.1.clone(),
    };
    store.get("Application", &id)
}

/// `HANDLE/NAME` in lower case.
fn slug(store: &Store, fleet: &Row) -> String {
    let handle = fleet.text("organization").and_then(|id| store.get("Organization", &id)?.text("handle"));
    let name = fleet.text("app_name").unwrap_or_default().to_lowercase();
    format!("{}/{name}", handle.unwrap_or_default())
}

fn fleet(desk: &Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
    let store = &*desk.store;
    let slug = slug(store, &change.row);
    let taken = store
        .rows("Application")
        .any(|other| other.seq != change.row.seq && other.text("slug").as_deref() == Some(&*slug));
    if taken {
        return Err(Refusal::new(409, "\"slug\" must be unique."));
    }
    change.row.attributes.insert("slug".into(), slug.into());
    match &change.old {
        None => {
            // A create forces it, whatever the body says.
            change.row.attributes.insert("should_track_latest_release".into(), true.into());
            if change.row.text("uuid").is_none() {
                let uuid = format!("{:032x}", 0xba1e_0000_u64 + store.tick());
                change.row.attributes.insert("uuid".into(), uuid.into());
            }
        }
        Some(old) => {
            let architecture = |row: &Row| {
                let id = row.text("is_for__device_type")?;
                store.get("DeviceType", &id)?.text("is_of__cpu_architecture")
            };
            if architecture(old) != architecture(&change.row) {
                return Err(Refusal::new(
                    400,
                    "It is necessary that each application is for a device type of the same cpu architecture.",
                ));
            }
        }
    }
    runs(store, &change.row, "should_be_running__release", &change.row.id)
}

fn device(desk: &Desk<'_>, change: &mut Change<'_>) -> Result<(), Refusal> {
    if change.old.is_some() && change.moves("belongs_to__application") && !change.gives("is_pinned_on__release") {
        change.row.attributes.insert("is_pinned_on__release".into(), Value::Null);
    }
    if change.row.text("device_name").is_none_or(|name| name.is_empty()) {
        change.row.attributes.insert("device_name".into(), format!("falling-leaf-{}", desk.store.tick()).into());
    }
    let fleet = change.row.text("belongs_to__application").unwrap_or_default();
    runs(&*desk.store, &change.row, "is_pinned_on__release", &fleet)
}

/// A release that is to run is a successful one of the same fleet.
fn runs(store: &Store, row: &Row, wire: &str, fleet: &str) -> Result<(), Refusal> {
    let Some(release) = row.text(wire) else { return Ok(()) };
    let fits = store.get("Release", &release).is_some_and(|release| {
        release.text("status").as_deref() == Some("success")
            && release.text("belongs_to__application").as_deref() == Some(fleet)
    });
    if fits {
        return Ok(());
    }
    Err(Refusal::new(
        400,
        "It is necessary that each release that should be running is successful and of the same fleet.",
    ))
}

fn installs<'s>(store: &'s Store, device: &str) -> impl Iterator<Item = &'s Row> {
    store.table("ServiceInstall").and_then(|table| table.scoped("device", device)).into_iter().flatten()
}

/// Installs the services of a fleet that has a release on a device.
fn install(desk: &mut Desk<'_>, device: &Row) {
    let Some(fleet) = device.text("belongs_to__application") else { return };
    let of = |row: &&Row, wire: &str| row.text(wire).as_deref() == Some(&*fleet);
    let released = desk
        .store
        .rows("Release")
        .any(|row| of(&row, "belongs_to__application") && row.text("status").as_deref() == Some("success"));
    if !released {
        return;
    }
    let services: Vec<String> =
        desk.store.rows("Service").filter(|row| of(row, "application")).map(|row| row.id.clone()).collect();
    for service in services {
        let there =
            installs(desk.store, &device.id).any(|row| row.text("installs__service").as_deref() == Some(&service));
        if there {
            continue;
        }
        let number = desk.store.next_number("ServiceInstall").to_string();
        let mut row = Row { id: number.clone(), key: number, ..Row::default() };
        let numbered = |id: &str| id.parse::<u64>().map_or(Value::Null, Value::from);
        row.attributes.insert("device".into(), numbered(&device.id));
        row.attributes.insert("installs__service".into(), numbered(&service));
        desk.store.put("ServiceInstall", row);
    }
}
