//! Secrets that people have to fill in: variables with names of their own.

use std::collections::HashSet;

use super::{names::apart, node::Node};

/// A secret that an export cannot know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// The variable that its value is taken from.
    pub variable: String,
    /// Address of the object.
    pub address: String,
    /// The field.
    pub field: String,
    /// Whether the object may have none: it stands in a comment.
    pub optional: bool,
}

/// The stubs of an export.
#[derive(Debug, Default)]
pub(super) struct Stubs {
    pub(super) list: Vec<Stub>,
    names: HashSet<String>,
    /// Words before the field: kind and handle; address; words that tell it from others.
    pub(super) kind: String,
    pub(super) handle: String,
    pub(super) address: String,
    pub(super) more: [String; 2],
}

impl Stubs {
    /// Makes a stub for a field.
    pub(super) fn add(&mut self, path: &[&str], optional: bool) -> Node {
        let field: Vec<String> = path.iter().map(|part| upper(part)).collect();
        let base = [upper(&self.kind), upper(&self.handle), field.join("_")].join("_");
        let [api, id] = &self.more;
        let candidates = [format!("PLUMB_{base}"), format!("PLUMB_{}_{base}", upper(api))];
        let numbered = (1..).map(|number: usize| match number {
            1 => format!("PLUMB_{base}_{}", upper(id)),
            _ => format!("PLUMB_{base}_{}_{number}", upper(id)),
        });
        let mut names = candidates.into_iter().chain(numbered);
        let variable = names.find(|name| self.names.insert(name.clone())).unwrap_or_default();
        let node = Node::pair("valueFrom", Node::pair("env", Node::text(variable.clone())));
        self.list.push(Stub { variable, address: self.address.clone(), field: path.join("."), optional });
        node
    }
}

/// Words as a part of a variable's name.
fn upper(words: &str) -> String {
    let spelled: String = super::names::slug(&apart(words, '-')).replace('-', "_").to_uppercase();
    if spelled.is_empty() { "X".into() } else { spelled }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stub_has_a_variable_of_its_own() {
        let mut stubs = Stubs {
            kind: "FlexibleAsset".into(),
            handle: "happy-frog.email".into(),
            address: "itglue/FlexibleAsset/happy-frog.email".into(),
            more: ["itglue".into(), "12".into()],
            ..Stubs::default()
        };
        for _ in 0..4 {
            stubs.add(&["traits", "adminPassword"], false);
        }
        let names: Vec<&str> = stubs.list.iter().map(|stub| stub.variable.as_str()).collect();
        let base = "FLEXIBLE_ASSET_HAPPY_FROG_EMAIL_TRAITS_ADMIN_PASSWORD";
        assert_eq!(
            names,
            [
                format!("PLUMB_{base}"),
                format!("PLUMB_ITGLUE_{base}"),
                format!("PLUMB_{base}_12"),
                format!("PLUMB_{base}_12_2"),
            ]
        );
    }
}
