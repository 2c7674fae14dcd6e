//! What descriptions cannot say about an API, and its simulation needs: one implementation an API at most.

use jiff::Timestamp;

use super::{
    answer::{Answer, Refusal},
    apply::Resource,
    desk::{Change, Desk},
    shape::Shape,
    simulation::{Request, Simulation},
    store::{Row, Store},
};
use crate::value::Fields;

/// Which call an object is shown by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// One of a list.
    List,
    /// The read of one object.
    Get,
    /// The answer to a create or an update.
    Written,
    /// The answer to a create that shows what no other answer does.
    Created,
}

/// Query parameters that a vendor documents for a kind; names without `filter[…]`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Documented {
    /// Filters of the list.
    pub(super) filters: &'static [&'static str],
    /// Sort keys of the list.
    pub(super) sorts: &'static [&'static str],
    /// Includes of the list and of the read of one object.
    pub(super) includes: &'static [&'static str],
    /// Includes of the read of one object only.
    pub(super) get_includes: &'static [&'static str],
}

/// An API's own ways. Every method has a default that adds nothing.
pub(super) trait Behaviour: Send + Sync {
    /// Status for a credential that is not valid.
    fn wrong_credential(&self) -> u16 {
        401
    }

    /// Whether two objects may not have the same key, where the description does not deny it.
    fn keys_are_unique(&self) -> bool {
        true
    }

    /// Status of the answer to a create.
    fn created(&self) -> u16 {
        201
    }

    /// Status and message for an object of a kind that is not there, where they are not the usual ones.
    fn absent(&self, _kind: &str) -> Option<(u16, String)> {
        None
    }

    /// Whether an answer with one object has no envelope.
    fn is_bare(&self, _kind: &str, _view: View) -> bool {
        false
    }

    /// A time as answers show it, where that is not a text.
    fn stamp(&self, _at: Timestamp) -> Option<serde_json::Value> {
        None
    }

    /// What the ids of a kind start with; none for bare numbers.
    fn id_prefix(&self, _kind: &str) -> Option<String> {
        None
    }

    /// The documented query parameters of a kind; none where the vendor lists none.
    fn documented(&self, _kind: &str) -> Option<Documented> {
        None
    }

    /// Whether the calls on one object take this query parameter.
    fn takes_query(&self, _kind: &str, _name: &str) -> bool {
        false
    }

    /// Pointers of a documented relationship that no kind describes.
    fn linked(&self, _name: &str, _row: &Row) -> Vec<serde_json::Value> {
        Vec::new()
    }

    /// Whether a create may carry this relationship besides the described ones.
    fn takes_relationship(&self, _kind: &str, _name: &str) -> bool {
        false
    }

    /// Relationships that answers have whether or not they are asked for, by the name of their include.
    fn always_related(&self, _kind: &str) -> &'static [&'static str] {
        &[]
    }

    /// Whether JSON:API objects of a kind carry their id among the attributes, and nowhere else.
    fn id_among_attributes(&self, _kind: &str) -> bool {
        false
    }

    /// Whether included JSON:API objects of a kind have a number for an id.
    fn numeric_when_included(&self, _kind: &str) -> bool {
        false
    }

    /// Checks and completes a row before it is stored.
    fn before_write(&self, _desk: &mut Desk<'_>, _change: &mut Change<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// Does what else a write brings about.
    fn after_write(&self, _desk: &mut Desk<'_>, _change: &Change<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// Checks a deletion.
    fn before_delete(&self, _desk: &mut Desk<'_>, _shape: &Shape, _row: &Row) -> Result<(), Refusal> {
        Ok(())
    }

    /// Does what else a deletion brings about.
    fn after_delete(&self, _desk: &mut Desk<'_>, _shape: &Shape, _row: &Row) {}

    /// Completes an object of a seed, whose references are found.
    fn ripen(&self, _desk: &mut Desk<'_>, _shape: &Shape, _key: &str) -> Result<(), Refusal> {
        Ok(())
    }

    /// Whether the API answers those without a valid credential too, with what is public.
    fn serves_strangers(&self) -> bool {
        false
    }

    /// Answers calls outside of the version path; nothing where there is no such call.
    fn outside(&self, _simulation: &Simulation, _request: &Request<'_>) -> Option<Answer> {
        None
    }

    /// Whether the set of a kind has public rows.
    fn has_public(&self, _kind: &str) -> bool {
        false
    }

    /// Whether everybody sees a row.
    fn is_public(&self, _store: &Store, _kind: &str, _row: &Row) -> bool {
        true
    }

    /// Whether the caller may use a row, and does not only see it because everybody does.
    fn is_accessible(&self, _store: &Store, _kind: &str, _row: &Row) -> bool {
        true
    }

    /// Whether objects of a kind lead to the users who may use them.
    fn knows_users(&self, _kind: &str) -> bool {
        false
    }

    /// The navigation property from a kind to another, where it is not called as the other's set.
    fn nav(&self, _from: &str, _to: &str) -> Option<&'static str> {
        None
    }

    /// Whether a value names the caller, in objects that are the caller's own.
    fn is_caller(&self, _kind: &str, _value: &serde_json::Value) -> bool {
        true
    }

    /// Whether a POST on the set of a kind is refused, because others make its rows.
    fn is_made_elsewhere(&self, _kind: &str) -> bool {
        false
    }

    /// The refusal of the deletion of what is not there; nothing where that is no error.
    fn nothing_deleted(&self, _kind: &str) -> Option<Refusal> {
        None
    }

    /// Completes the attributes of an answer.
    fn show(&self, _glance: &Glance<'_>, _attributes: &mut Fields) {}

    /// Checks the whole of the resources that one call makes or changes.
    fn before_apply(&self, _store: &Store, _resources: &[Resource<'_>]) -> Result<(), Refusal> {
        Ok(())
    }

    /// Changes what uses a changed resource along with it: kind and name of each.
    fn moved_along(&self, _desk: &mut Desk<'_>, _shape: &Shape, _row: &Row) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Carries out a call that no description has; nothing where the request is another one.
    fn own_call(
        &self,
        _sim: &Simulation,
        _store: &mut Store,
        _request: &Request<'_>,
    ) -> Option<Result<Answer, Refusal>> {
        None
    }

    /// Names of trait-like attributes that must not be seen in the log.
    fn secret_names(&self, _store: &Store) -> Vec<String> {
        Vec::new()
    }
}

/// An object about to be shown.
pub(super) struct Glance<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) store: &'a Store,
    pub(super) shape: &'a Shape,
    pub(super) row: &'a Row,
    pub(super) view: View,
    /// Query parameters of the call.
    pub(super) query: &'a [(String, String)],
    /// Whether the credential may see sensitive values.
    pub(super) sees_secrets: bool,
}

impl Glance<'_> {
    /// The value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// An API without ways of its own.
pub(super) struct Plain;

impl Behaviour for Plain {}

/// The behaviour of an API.
pub(super) fn of(api: &str) -> &'static dyn Behaviour {
    match api {
        "balena" => &super::balena::Balena,
        "cycloid" => &super::cycloid::Cycloid,
        "bindplane" => &super::bindplane::Bindplane,
        "itglue" => &super::itglue::ItGlue,
        "rest" => &super::rest::Rest,
        _ => &Plain,
    }
}
