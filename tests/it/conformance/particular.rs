//! What no description can be asked for in general: rules of one kind that users would trip over.

use plumb::{
    plan::{ActionKind, Reason},
    sandbox::SandboxOptions,
};
use serde_json::json;

use super::stage::told;
use crate::support::stack::{Stack, lines};

fn type_with(fields: &[(&str, u32)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, order)| {
            format!("    - {{name: {name}, kind: Text, order: {order}, useForTitle: true, showInList: true}}\n")
        })
        .collect();
    format!(
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAssetType\nmetadata: {{name: server}}\nspec:\n  name: Server\n  \
         fields:\n{}",
        fields.concat()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_exchange_their_places_in_one_call() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("type.yaml", &type_with(&[("A", 1), ("B", 2), ("C", 3)]));
    stack.apply().await;
    stack.write("type.yaml", &type_with(&[("A", 2), ("B", 3), ("C", 1)]));
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    assert_eq!(lines(&document).len(), 3);
    let writes: Vec<String> = stack
        .sandbox
        .log()
        .iter()
        .filter(|entry| entry.method != "GET")
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    assert_eq!(writes, ["PATCH /flexible_asset_fields"]);
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_exchange_their_places_where_a_strict_server_refuses_that_in_one_call() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("type.yaml", &type_with(&[("A", 1), ("B", 2), ("C", 3)]));
    stack.apply().await;
    stack.write("type.yaml", &type_with(&[("A", 2), ("B", 3), ("C", 1)]));
    stack.sandbox.set_faults("422@PATCH:/flexible_asset_fields=1x".parse().unwrap());
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_field_takes_the_place_of_a_removed_one() {
    let mut stack = Stack::start(&["itglue"]).await;
    let text = type_with(&[("A", 1), ("B", 2)]);
    let kept = text.replace("{name: server}", "{name: server, annotations: {plumb.dev/deletion-policy: delete}}");
    stack.write("type.yaml", &kept);
    stack.apply().await;
    stack.options.prune = true;
    stack.write("type.yaml", &kept.replace("name: B,", "name: C,"));
    let document = stack.apply().await;
    let found: Vec<&str> = document.actions.iter().map(|action| action.action.word()).collect();
    assert_eq!(found, ["delete", "create"]);
    stack.assert_empty().await;
}

const WEBHOOK: &str = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Webhook\nmetadata: {name: hook}\nspec:\n  url: https://hooks.example/a\n  \
                       events: [a]\n  secret: {valueFrom: {file: secret}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_rotated_where_it_comes_from_is_written_once() {
    let stack = Stack::start(&["rest"]).await;
    stack.write("secret", "the first secret");
    stack.write("hook.yaml", WEBHOOK);
    stack.apply().await;
    stack.assert_empty().await;
    stack.write("secret", "the second secret");
    stack.sandbox.clear_log();
    let document = stack.apply().await;
    assert_eq!(lines(&document), ["update rest/Webhook/hook (changed) /secret"]);
    let sent: Vec<_> = stack.sandbox.log().into_iter().filter(|entry| entry.method == "PATCH").collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body.as_ref().unwrap().as_object().unwrap().keys().collect::<Vec<_>>(), ["secret"]);
    let kept = &stack.sandbox.objects("rest", "Webhook")[0]["attributes"]["secret"];
    assert_eq!(kept, "the second secret");
    stack.assert_empty().await;
}

fn organization(members: &str) -> String {
    format!(
        "apiVersion: rest.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: acme}}\nspec:\n  name: Acme\n  slug: acme\n  \
         members: [{members}]\n---\napiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {{name: other}}\nspec: {{name: Other}}\n"
    )
}

/// The caller of the sandbox's plain REST API is `johndoe`.
#[tokio::test(flavor = "multi_thread")]
async fn neither_the_caller_nor_the_last_owner_is_taken_away() {
    let mut stack = Stack::start(&["rest"]).await;
    stack.write(
        "org.yaml",
        &organization("{user: johndoe, role: member}, {user: jane, role: owner}, {user: ops, role: member}"),
    );
    stack.apply().await;
    stack.assert_empty().await;
    stack.options.prune = true;
    for (members, code) in [
        ("{user: jane, role: owner}, {user: ops, role: member}", "PL0610"),
        ("{user: johndoe, role: admin}, {user: jane, role: owner}, {user: ops, role: member}", "PL0610"),
        ("{user: johndoe, role: member}, {user: ops, role: member}", "PL0611"),
        ("{user: johndoe, role: member}, {user: jane, role: member}, {user: ops, role: member}", "PL0611"),
    ] {
        stack.write("org.yaml", &organization(members));
        let planned = stack.plan().await;
        assert_eq!(planned.refusal().map(|told| told.code.to_string()).as_deref(), Some(code), "{members}");
    }
    // The ownership may change hands in one run.
    stack.write(
        "org.yaml",
        &organization("{user: johndoe, role: member}, {user: jane, role: member}, {user: ops, role: owner}"),
    );
    stack.apply().await;
    stack.assert_empty().await;
}

const PLACES: &str = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: o}\nspec: {name: O}\n---\n\
                      apiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {name: a}\nspec: {organization: o, name: A, primary: FIRST}\n---\n\
                      apiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {name: b}\nspec: {organization: o, name: B, primary: SECOND}\n";

#[tokio::test(flavor = "multi_thread")]
async fn another_location_becomes_primary_in_one_run() {
    let stack = Stack::start(&["itglue"]).await;
    let places = |first: &str, second: &str| PLACES.replace("FIRST", first).replace("SECOND", second);
    stack.write("places.yaml", &places("true", "false"));
    stack.apply().await;
    stack.assert_empty().await;
    stack.write("places.yaml", &places("false", "true"));
    stack.apply().await;
    stack.assert_empty().await;
    stack.write("places.yaml", &places("true", "false"));
    stack.sandbox.set_faults("422@PATCH:/locations=1x".parse().unwrap());
    stack.apply().await;
    stack.assert_empty().await;
    stack.write("places.yaml", &places("true", "true"));
    let planned = stack.plan().await;
    assert!(planned.has_errors());
}

const PASSWORDS: &str = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: o}\nspec: {name: O}\n---\n\
                         apiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {name: a}\nspec: {organization: o, name: A}\n---\n\
                         apiVersion: itglue.plumb.dev/v1alpha1\nkind: Password\nmetadata: {name: general}\nspec: {organization: o, name: Admin, password: {valueFrom: {file: key}}}\n---\n\
                         apiVersion: itglue.plumb.dev/v1alpha1\nkind: Password\nmetadata: {name: embedded}\nspec: {organization: o, name: Admin, password: {valueFrom: {file: key}}, embeddedIn: Location/a}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_told_from_one_of_the_same_name_that_is_embedded() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("passwords.yaml", PASSWORDS);
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(stack.sandbox.objects("itglue", "Password").len(), 2);
    std::fs::remove_dir_all(stack.path(".plumb")).unwrap();
    let document = stack.apply().await;
    assert!(
        document.actions.iter().all(|action| action.action == ActionKind::Adopt && action.requests.is_empty()),
        "{:?}",
        lines(&document)
    );
    assert_eq!(stack.sandbox.objects("itglue", "Password").len(), 2);
    stack.assert_empty().await;
}

const ATTACHED: &str = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: o}\nspec: {name: O}\n---\n\
                        apiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {name: a}\nspec:\n  organization: o\n  name: A\n  attachments: [{attachment: {file: plan.pdf}}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_there_before_is_kept_until_another_one_is_declared() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("plan.pdf", "the plan");
    stack.write("location.yaml", ATTACHED);
    stack.apply().await;
    let live = stack.sandbox.objects("itglue", "Attachment")[0]["id"].clone();
    // Somebody else's file of the same name, of another size, is taken over as it is; the plan says so.
    std::fs::remove_dir_all(stack.path(".plumb")).unwrap();
    stack.write("plan.pdf", "another plan, and a longer one");
    let planned = stack.plan().await;
    let adopted = planned
        .document
        .actions
        .iter()
        .find(|action| action.kind == "Location" && action.address.contains('#'))
        .unwrap();
    assert_eq!((adopted.action, adopted.reason, adopted.changes.len()), (ActionKind::Adopt, Reason::New, 0));
    assert!(
        told(&planned.diagnostics).iter().any(|told| told.starts_with("PL0519")),
        "{:?}",
        told(&planned.diagnostics)
    );
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(stack.sandbox.objects("itglue", "Attachment")[0]["id"], live);
    // What is declared later replaces it.
    stack.write("plan.pdf", "the third plan");
    let document = stack.apply().await;
    assert_eq!(document.actions.iter().map(|action| action.action).collect::<Vec<_>>(), [ActionKind::Replace]);
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_are_told_apart_by_their_ids() {
    let seed = json!({"itglue": {"Organization": [{"id": 2, "name": "O"}],
        "Contact": [{"id": 5, "organization": "O", "firstName": "Jo", "lastName": "Doe"}, {"id": 7, "organization": "O", "firstName": "Jo", "lastName": "Doe"}]}});
    let stack = Stack::with(&["itglue"], SandboxOptions { seed: Some(seed), ..SandboxOptions::default() }).await;
    let contact = |annotations: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Contact\nmetadata: {{name: jo, annotations: {{{annotations}}}}}\nspec: {{organization: O, firstName: Jo, lastName: Doe, title: Boss}}\n"
        )
    };
    stack.write("contact.yaml", &contact(""));
    let planned = stack.plan().await;
    assert!(
        told(&planned.diagnostics).iter().any(|told| told.starts_with("PL0208")),
        "{:?}",
        told(&planned.diagnostics)
    );
    stack.write("contact.yaml", &contact("plumb.dev/external-id: \"7\""));
    let document = stack.apply().await;
    assert_eq!(lines(&document), ["adopt itglue/Contact/jo (new) /title"]);
    assert_eq!(document.actions[0].id.as_deref(), Some("7"));
    stack.assert_empty().await;
    // Once it is owned, the annotation has done its work.
    stack.write("contact.yaml", &contact(""));
    stack.assert_empty().await;
}

#[test]
fn links_are_read_however_the_vendor_spells_them() {
    let kind = plumb::apis::builtin().kind("itglue", "RelatedItem").unwrap();
    for (word, wanted) in [
        ("Configuration", "Configuration/id:7"),
        ("configurations", "Configuration/id:7"),
        ("flexible-assets", "FlexibleAsset/id:7"),
        ("FlexibleAsset", "FlexibleAsset/id:7"),
        ("ssl_certificate", "SSL Certificate/id:7"),
    ] {
        for attributes in [
            json!({"destination-type": word, "destination-id": 7}),
            json!({"destination_type": word, "destination_id": "7", "notes": null}),
        ] {
            let row = json!({"id": "1", "type": "related-items", "attributes": attributes});
            let read = plumb::dialect::decode_row(kind, &row, &|_| serde_json::Value::Null).unwrap();
            assert_eq!(read.fields["target"], json!({"$ref": wanted}), "{row}");
        }
    }
}
