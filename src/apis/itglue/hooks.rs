//! Traits of flexible assets: their types follow from the fields of the asset's type.

use serde_json::Value;

use crate::{
    description::{
        format::{FieldSpec, FieldType, IdWire, Immutable, RefSpec, Sensitivity},
        hook::{Definition, Hidden, Hook},
    },
    value::{Fields, as_reference, text},
};

/// Types the traits of a flexible asset (IT Glue reference, "Flexible Assets" and "Flexible Asset Fields").
pub(in crate::apis) struct Traits;

impl Hook for Traits {
    fn rule(&self) -> &'static str {
        "\"The key part of the key-value pair is the `name-key` for the corresponding flexible asset field\", and the \
         kinds of the values, the references among them and the asset's name follow from the fields of its type \
         (Flexible Assets; Flexible Asset Fields)."
    }

    fn field(&self) -> &'static str {
        "traits"
    }

    fn source(&self) -> (&'static str, &'static str) {
        ("flexibleAssetType", "FlexibleAssetField")
    }

    fn refine(&self, definitions: &[Definition]) -> FieldSpec {
        let mut ordered: Vec<&Definition> = definitions.iter().collect();
        ordered.sort_by_key(|definition| definition.fields.get("order").and_then(Value::as_i64).unwrap_or(i64::MAX));
        let fields = ordered
            .into_iter()
            .filter_map(|definition| {
                let name = definition.fields.get("name").and_then(text)?;
                let key = definition.fields.get("nameKey").and_then(text).unwrap_or_else(|| slug(&name));
                Some((key.clone(), member(&definition.fields, name, key)?))
            })
            .collect();
        FieldSpec {
            ty: FieldType::Object,
            wire: Some("traits".into()),
            whole: true,
            sensitive: Some(Sensitivity::Allowed),
            fields,
            ..FieldSpec::default()
        }
    }

    fn correct(&self, refined: &mut FieldSpec, definition: &Fields) {
        let (Some(name), Some(key)) = (definition.get("name").and_then(text), definition.get("nameKey").and_then(text))
        else {
            return;
        };
        if let Some((_, member)) =
            refined.fields.iter_mut().find(|(_, member)| member.description.as_deref() == Some(name.as_str()))
        {
            member.wire = Some(key);
        }
    }

    // "Any traits you don't specify will be deleted", and a Password trait may not be shown: it has a row of its own
    // among the passwords ("Passwords", `resource-type`).
    fn hidden(&self) -> Option<Hidden> {
        Some(Hidden {
            kind: "Password",
            marked: ("resource-type", "flexible-asset-trait"),
            id: "resource-id",
            name: "cached-resource-name",
            scope: "organization",
        })
    }

    fn key(&self, refined: &FieldSpec, value: &Value) -> Option<Vec<String>> {
        let titles: Vec<String> = refined
            .fields
            .iter()
            .filter(|(_, member)| member.immutable == Some(TITLE))
            .map(|(key, member)| {
                let found = value.get(key).or_else(|| value.get(member.wire_name()));
                found.and_then(text).unwrap_or_default()
            })
            .collect();
        (!titles.iter().all(String::is_empty)).then_some(titles)
    }
}

/// Marks the members that an asset's name is made of: it stands where `diff` never looks at a member.
const TITLE: Immutable = Immutable::CreateOnly;

fn member(field: &Fields, name: String, key: String) -> Option<FieldSpec> {
    let kind = field.get("kind").and_then(text)?;
    let flag = |part: &str| field.get(part).and_then(Value::as_bool).unwrap_or(false);
    let nullable = !flag("required");
    let mut spec = FieldSpec { description: Some(name), wire: Some(key), nullable, ..FieldSpec::default() };
    match kind.as_str() {
        "Checkbox" => spec.ty = FieldType::Boolean,
        "Date" => spec.ty = FieldType::Date,
        "Number" | "Percent" => spec.ty = FieldType::Number,
        "Select" => spec.allowed.clone_from(field.get("options").and_then(Value::as_array).unwrap_or(&Vec::new())),
        "Tag" => {
            spec.ty = FieldType::List;
            spec.set = true;
            spec.items = Some(Box::new(tagged(field.get("tagType").unwrap_or(&Value::Null))));
        }
        "Password" => {
            spec.sensitive = Some(Sensitivity::Always);
            spec.write_only = true;
        }
        "Upload" => {
            spec.ty = FieldType::File;
            spec.write_only = true;
        }
        "Header" => return None,
        _ => {}
    }
    let title = flag("useForTitle") && matches!(kind.as_str(), "Select" | "Text" | "Date");
    if title {
        spec.immutable = Some(TITLE);
    }
    Some(spec)
}

/// What a Tag refers to. Types that cannot be declared or listed are referred to by id.
fn tagged(tag_type: &Value) -> FieldSpec {
    let by_id = Some(IdWire::Number);
    let reference = if as_reference(tag_type).is_some() {
        RefSpec {
            kind: Some("FlexibleAsset".into()),
            wire: by_id,
            fixed: [("flexibleAssetType".to_owned(), tag_type.clone())].into_iter().collect(),
            ..RefSpec::default()
        }
    } else {
        let kind = match text(tag_type).as_deref() {
            Some("AccountsUsers") => "User",
            Some("Contacts") => "Contact",
            Some("Configurations") => "Configuration",
            Some("Domains") => "Domain",
            Some("Passwords") => "Password",
            Some("Locations") => "Location",
            Some("Organizations") => "Organization",
            Some("Checklists") => "Checklist",
            Some("ChecklistTemplates") => "Checklist Template",
            Some("Documents") => "Document",
            Some("SslCertificates") => "SSL Certificate",
            Some("Tickets") => "Ticket",
            _ => "Object",
        };
        RefSpec { kind: Some(kind.into()), wire: by_id, ..RefSpec::default() }
    };
    FieldSpec { ty: FieldType::Ref, reference: Some(reference), ..FieldSpec::default() }
}

/// The name-key that the server will probably make; corrected once the field is there.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for letter in name.to_lowercase().chars() {
        if letter.is_alphanumeric() {
            out.push(letter);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::decode;

    fn definition(value: &Value) -> Definition {
        Definition { fields: value.as_object().cloned().unwrap(), live: true }
    }

    #[test]
    fn the_vendors_example_is_typed_and_read() {
        let refined = Traits.refine(&[
            definition(
                &json!({"name": "Domains", "kind": "Tag", "tagType": "Domains", "order": 1, "nameKey": "domains"}),
            ),
            definition(&json!({"name": "Type", "kind": "Select", "order": 2, "nameKey": "type", "useForTitle": true,
                "options": ["Exchange 2013", "Office 365"]})),
            definition(&json!({"name": "Webmail URL", "kind": "Text", "order": 6})),
        ]);
        assert_eq!(refined.fields.keys().collect::<Vec<_>>(), ["domains", "type", "webmail-url"]);
        let row = json!({
            "type": "Exchange 2013",
            "domains": {"type": "Domains", "values": [{"id": 347_287, "name": "happyfrog.itglue.com"}]},
            "webmail-url": "https://email.example.com",
        });
        let read = decode(&refined, &row, &|_| Value::Null);
        assert_eq!(read["domains"], json!([{"$ref": "Domain/id:347287"}]));
        assert_eq!(Traits.key(&refined, &read), Some(vec!["Exchange 2013".to_owned()]));
        assert_eq!(Traits.key(&refined, &json!({})), None);
    }
}
