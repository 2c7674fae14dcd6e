//! The plain REST API's own ways, as its reference shows them: ids, summaries in lists, one user seen from two sides.

use serde_json::Value;

use super::{
    answer::Refusal,
    behaviour::{Behaviour, Glance, View},
    desk::{Change, Desk},
};
use crate::value::Fields;

/// The plain REST API.
pub(super) struct Rest;

impl Behaviour for Rest {
    fn id_prefix(&self, kind: &str) -> Option<String> {
        let prefix = match kind {
            "Resource" => "res_",
            "Organization" => "org_",
            "Webhook" => "whk_",
            "User" | "UserProfile" => "usr_",
            _ => return None,
        };
        Some(prefix.to_owned())
    }

    /// `GET /users/me` and the list of users show the same person.
    fn after_write(&self, desk: &mut Desk<'_>, change: &Change<'_>) -> Result<(), Refusal> {
        if change.shape.name() == "UserProfile"
            && let Some(mut user) = desk.store.get("User", &change.row.id).cloned()
            && let Some(profile) = change.row.get("profile")
        {
            user.attributes.insert("profile".into(), profile.clone());
            desk.store.put("User", user);
        }
        Ok(())
    }

    fn show(&self, glance: &Glance<'_>, attributes: &mut Fields) {
        // The sample of the list has neither; that of the read has both.
        if glance.shape.name() == "Resource" && glance.view == View::List {
            attributes.shift_remove("description");
            attributes.shift_remove("metadata");
        }
        if glance.shape.name() == "UserProfile" {
            let user = glance.store.get("User", &glance.row.id);
            for wire in ["email", "username"] {
                let value = user.and_then(|user| user.get(wire)).cloned().unwrap_or(Value::Null);
                attributes.insert(wire.into(), value);
            }
        }
    }
}
