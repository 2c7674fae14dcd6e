//! What a configuration may say: `fields.yaml` and `stack.yaml`, in the format that kinds are described in.

use std::sync::LazyLock;

use indexmap::IndexMap;

use crate::description::format::{FieldSpec, FieldType};

/// The fields of a configuration's `spec`.
pub fn fields() -> &'static IndexMap<String, FieldSpec> {
    static FIELDS: LazyLock<IndexMap<String, FieldSpec>> = LazyLock::new(|| {
        // They are compiled in, and a test reads them.
        let read = |text: &str| serde_saphyr::from_str::<IndexMap<String, FieldSpec>>(text).unwrap_or_default();
        let mut fields = read(include_str!("fields.yaml"));
        let shared = read(include_str!("stack.yaml"));
        let stack = fields.get_mut("stacks").and_then(|stacks| stacks.items.as_mut());
        if let Some(stack) = stack {
            stack.fields.extend(shared.clone());
        }
        let description = Some("Settings of all stacks that do not say otherwise.".to_owned());
        fields.insert(
            "defaults".to_owned(),
            FieldSpec { ty: FieldType::Object, description, fields: shared, ..FieldSpec::default() },
        );
        fields
    });
    &FIELDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_described() {
        fn check(fields: &IndexMap<String, FieldSpec>, path: &str) {
            for (name, field) in fields {
                assert!(field.description.is_some(), "{path}.{name}");
                check(&field.fields, name);
                if let Some(items) = &field.items {
                    check(&items.fields, name);
                }
            }
        }
        assert_eq!(fields().len(), 13);
        assert!(fields()["stacks"].items.as_ref().unwrap().fields.contains_key("mode"));
        check(fields(), "spec");
    }
}
