//! Requests as IT Glue's own samples have them: what the description and the dialect make of canonical values.

use plumb::{
    description::Kind,
    dialect::{Encoder, create_body, decode_row, encode_fields, update_body},
    value::{Fields, secret},
};
use serde_json::{Value, json};

fn kind(name: &str) -> &'static Kind {
    plumb::apis::builtin().kind("itglue", name).unwrap()
}

fn encode(kind: &Kind, fields: Value, creating: bool) -> Fields {
    let Value::Object(fields) = fields else { panic!("not an object") };
    let encoder = Encoder { id: &|_| None, open: &|_| Some("p4ssw0rd".into()), read: &|_, _| Ok(b"hi".to_vec()) };
    encode_fields(&kind.spec.fields, &fields, creating, &encoder).unwrap()
}

fn create(name: &str, fields: Value) -> Value {
    let api = plumb::apis::builtin().api("itglue").unwrap();
    create_body(api, kind(name), encode(kind(name), fields, true), &[])
}

#[test]
fn a_field_is_written_as_in_the_sample() {
    let body = create(
        "FlexibleAssetField",
        json!({"name": "Type", "order": 2, "kind": "Select", "required": true, "hint": "Select the email platform",
            "options": ["Office 365", "POP/IMAP"], "useForTitle": true, "showInList": true}),
    );
    let expected = json!({"data": {"type": "flexible-asset-fields", "attributes": {"name": "Type", "order": 2,
        "kind": "Select", "required": true, "hint": "Select the email platform",
        "default-value": "Office 365\nPOP/IMAP", "use-for-title": true, "show-in-list": true}}});
    assert_eq!(body, expected);
    let tag = create("FlexibleAssetField", json!({"tagType": {"$ref": "FlexibleAssetType/id:33"}}));
    assert_eq!(tag["data"]["attributes"]["tag-type"], "FlexibleAssetType: 33");
}

#[test]
fn fields_travel_along_with_a_new_type_as_in_the_sample() {
    let api = plumb::apis::builtin().api("itglue").unwrap();
    let field = kind("FlexibleAssetField");
    let path = field.spec.inside.as_ref().unwrap().embed.as_deref().unwrap();
    let rows = vec![encode(field, json!({"order": 6, "name": "Webmail URL", "kind": "Text"}), true)];
    let attributes = encode(kind("FlexibleAssetType"), json!({"name": "Email", "showInMenu": true}), true);
    let body = create_body(api, kind("FlexibleAssetType"), attributes, &[(field, path, rows)]);
    let expected = json!({"data": {"type": "flexible_asset_types",
        "attributes": {"name": "Email", "show-in-menu": true},
        "relationships": {"flexible-asset-fields": {"data": [{"type": "flexible_asset_fields",
            "attributes": {"order": 6, "name": "Webmail URL", "kind": "Text"}}]}}}});
    assert_eq!(body, expected);
}

#[test]
fn a_password_is_embedded_by_type_and_number() {
    let body = create(
        "Password",
        json!({"organization": {"$ref": "Organization/id:2"}, "name": "UPS", "password": {"$secret": "h"},
            "embeddedIn": {"$ref": "FlexibleAsset/id:9"}}),
    );
    let expected = json!({"organization-id": 2, "name": "UPS", "password": "p4ssw0rd", "resource-id": 9,
        "resource-type": "Flexible Asset"});
    assert_eq!(body["data"]["attributes"], expected);
}

#[test]
fn a_group_is_made_with_organizations_and_updated_with_members() {
    let fields = json!({"name": "my group", "organizations": [{"$ref": "Organization/id:998356"}]});
    let made = create("Group", fields);
    let organizations = json!({"data": [{"type": "organizations", "attributes": {"id": 998_356}}]});
    assert_eq!(made["data"]["relationships"], json!({"organizations": organizations}));
    assert_eq!(made["data"]["attributes"], json!({"name": "my group"}));
    let members = json!({"accountsUsers": [{"$ref": "User/id:1"}, {"$ref": "User/id:2"}]});
    let api = plumb::apis::builtin().api("itglue").unwrap();
    let body = update_body(api, kind("Group"), encode(kind("Group"), members, false));
    assert_eq!(body, json!({"data": {"type": "groups", "attributes": {"accounts_user_ids": [1, 2]}}}));
}

#[test]
fn a_related_item_names_its_target_by_text() {
    let body = create("RelatedItem", json!({"target": {"$ref": "SSL Certificate/id:1"}, "notes": "some notes"}));
    let expected = json!({"data": {"type": "related_items", "attributes": {"destination_type": "SSL Certificate",
        "destination_id": "1", "notes": "some notes"}}});
    assert_eq!(body, expected);
}

#[test]
fn an_attachment_is_sent_under_its_name_and_read_back_by_size() {
    let file = json!({"$file": {"path": "a/x.png", "name": "x.png", "size": 2, "sha256": "…"}});
    for fields in [json!({"name": "test.png", "attachment": file}), json!({"attachment": file, "name": "test.png"})] {
        let expected = json!({"data": {"type": "attachments",
            "attributes": {"attachment": {"content": "aGk=", "file_name": "test.png"}}}});
        assert_eq!(create("Attachment", fields), expected);
    }
    let row = json!({"id": "1", "type": "attachments", "attributes": {"name": "test.png",
        "attachment-file-name": "test.png", "attachment-file-size": 2}});
    let live = decode_row(kind("Attachment"), &row, &|_| secret("h")).unwrap();
    let spec = kind("Attachment").field("attachment").unwrap();
    assert!(plumb::description::equal(spec, &file, &live.fields["attachment"]));
    let other = json!({"$file": {"path": "a/x.png", "name": "x.png", "size": 3, "sha256": "…"}});
    assert!(!plumb::description::equal(spec, &other, &live.fields["attachment"]));
}

#[test]
fn contacts_are_written_as_in_the_sample() {
    let body = create(
        "Contact",
        json!({"organization": {"$ref": "Organization/id:2"}, "firstName": "Jackie",
            "contactPhones": [{"value": "3135552015", "labelName": "Work", "labelType": "phone"}]}),
    );
    let expected = json!({"organization-id": 2, "first-name": "Jackie",
        "contact-phones": [{"value": "3135552015", "label-name": "Work", "label-type": "phone"}]});
    assert_eq!(body["data"]["attributes"], expected);
}
