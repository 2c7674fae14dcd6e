//! Hooks: code for what data cannot say about one kind. Each names the vendor rule that forces it.

use std::sync::Arc;

use crate::{description::format::FieldSpec, value::Fields};

/// What a kind's hook does. All of it is pure: the engine brings what it needs.
pub trait Hook: Send + Sync {
    /// The vendor's rule that no description can state.
    fn rule(&self) -> &'static str;

    /// The field whose members this hook describes.
    fn field(&self) -> &'static str;

    /// The reference field that names the object which has the members' definitions, and the kind of the entries
    /// inside it that are those definitions.
    fn source(&self) -> (&'static str, &'static str);

    /// Types the field for one object, from the definitions.
    fn refine(&self, definitions: &[Definition]) -> FieldSpec;

    /// Puts right what was typed from a definition that was not live yet, once it is.
    fn correct(&self, refined: &mut FieldSpec, definition: &Fields);

    /// Where values of members are seen that the object itself does not show, if anywhere.
    fn hidden(&self) -> Option<Hidden>;

    /// Key parts that come from the field's members, in order; nothing where the object has no natural key.
    fn key(&self, refined: &FieldSpec, value: &serde_json::Value) -> Option<Vec<String>>;
}

/// Where values of members are seen that the object itself does not show: rows of another kind's list.
#[derive(Debug, Clone, Copy)]
pub struct Hidden {
    /// The kind whose list has them.
    pub kind: &'static str,
    /// Attribute that tells such rows from others, and its value.
    pub marked: (&'static str, &'static str),
    /// Attribute with the object's id.
    pub id: &'static str,
    /// Attribute with the object's name.
    pub name: &'static str,
    /// Field of both kinds that the list is limited by.
    pub scope: &'static str,
}

/// One definition of a member: the fields of an entry.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// Canonical fields, live ones overlaid by declared ones.
    pub fields: Fields,
    /// It is live, so that its server-made attributes are there.
    pub live: bool,
}

/// The hook with this name, as a description's `hook` gives it.
pub fn find(name: &str) -> Option<Arc<dyn Hook>> {
    crate::apis::hook(name)
}
