//! The whole flow: manifests to a converged account, on both built-in APIs.

use plumb::{
    plan::Mode,
    sandbox::{SandboxOptions, parse_seed},
};
use serde_json::json;

use crate::support::stack::{Stack, lines, told};

pub(crate) const REST: &str = r"
apiVersion: rest.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec:
  name: Acme
  slug: acme
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Resource
metadata: {name: first}
spec:
  name: First
  description: The first one
  type: standard
  metadata: {team: web, size: 3}
---
apiVersion: rest.plumb.dev/v1alpha1
kind: Webhook
metadata: {name: hook}
spec:
  url: https://hooks.example/a
  events: [resource.created, resource.updated]
  secret: {valueFrom: {file: key}}
";

#[tokio::test(flavor = "multi_thread")]
async fn rest_objects_come_stay_drift_and_go() {
    let mut stack = Stack::start(&["rest"]).await;
    stack.write("stack.yaml", REST);
    let planned = stack.plan().await;
    assert_eq!(told(&planned), Vec::<String>::new());
    assert_eq!(
        lines(&planned.document),
        [
            "create rest/Organization/acme (new) /name /slug",
            "create rest/Resource/first (new) /name /description /type /metadata/team /metadata/size",
            "create rest/Webhook/hook (new) /url /events /secret",
        ]
    );
    stack.apply().await;
    stack.assert_empty().await;
    let id = stack.sandbox.objects("rest", "Resource")[0]["id"].as_str().unwrap().to_owned();
    assert!(stack.sandbox.mutate("rest", "Resource", &id, &json!({"description": "Changed by hand"})));
    let drifted = stack.plan().await;
    assert_eq!(lines(&drifted.document), ["update rest/Resource/first (drift) /description"]);
    assert!(drifted.document.actions[0].drifted);
    stack.apply().await;
    stack.assert_empty().await;
    // Without prune, what is no longer declared stays and is listed.
    stack.write("stack.yaml", REST.split("---").next().unwrap());
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert_eq!(planned.notes.undeclared.len(), 2);
    stack.options.prune = true;
    let document = stack.apply().await;
    assert_eq!(lines(&document), ["delete rest/Resource/first (removed)", "delete rest/Webhook/hook (removed)"]);
    assert!(stack.sandbox.objects("rest", "Resource").is_empty());
    stack.assert_empty().await;
}

pub(crate) const ITGLUE: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: happy-frog}
spec:
  name: Happy Frog
  description: A customer
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: email}
spec:
  name: Email
  icon: envelope
  fields:
    - {name: Type, kind: Select, order: 1, required: true, useForTitle: true, showInList: true,
       options: [Exchange 2016, Office 365]}
    - {name: Admin password, kind: Password, order: 2}
    - {name: Servers, kind: Tag, order: 3, tagType: Configurations}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: ConfigurationType
metadata: {name: server}
spec: {name: Managed Server}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Configuration
metadata: {name: hf-exch01}
spec:
  organization: happy-frog
  name: HF-EXCH01
  configurationType: server
  interfaces:
    - {name: eth0, ipAddress: 10.0.0.1, primary: true}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAsset
metadata: {name: happy-frog-email}
spec:
  organization: happy-frog
  flexibleAssetType: email
  traits:
    type: Office 365
    Servers: [hf-exch01]
    admin-password: {valueFrom: {file: key}}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Password
metadata: {name: happy-frog-admin}
spec:
  organization: happy-frog
  name: Office 365 admin
  username: admin@happyfrog.example
  password: {valueFrom: {file: key}}
";

#[tokio::test(flavor = "multi_thread")]
async fn it_glue_objects_come_stay_drift_and_go() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", ITGLUE);
    let planned = stack.plan().await;
    assert_eq!(told(&planned), Vec::<String>::new());
    assert_eq!(
        lines(&planned.document),
        [
            "create itglue/Organization/happy-frog (new) /name /description",
            "create itglue/FlexibleAssetType/email (new) /name /icon",
            "create itglue/FlexibleAssetType/email#fields/Type (new) /name /kind /order /required /useForTitle \
             /showInList /options",
            "create itglue/FlexibleAssetType/email#fields/Admin password (new) /name /kind /order",
            "create itglue/FlexibleAssetType/email#fields/Servers (new) /name /kind /order /tagType",
            "adopt itglue/ConfigurationType/server (new)",
            "create itglue/Configuration/hf-exch01 (new) /organization /name /configurationType",
            "create itglue/Configuration/hf-exch01#interfaces/eth0 (new) /name /ipAddress /primary",
            "create itglue/FlexibleAsset/happy-frog-email (new) /organization /flexibleAssetType /traits/type \
             /traits/servers /traits/admin-password",
            "create itglue/Password/happy-frog-admin (new) /organization /name /username /password",
        ]
    );
    let applied = stack.try_apply().await.unwrap();
    for action in &applied.document.actions {
        assert_eq!(action.error, None, "{}", action.address);
    }
    assert_eq!(applied.diagnostics.iter().map(|told| &told.message).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(planned.document.requests.apply, applied.document.requests.apply, "announced and sent");
    stack.assert_empty().await;
}

const TAGS: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: aaa}
spec:
  name: Aaa
  fields:
    - {name: Title, kind: Text, order: 1, useForTitle: true, showInList: true}
    - {name: Other, kind: Tag, order: 2, tagType: FlexibleAssetType/bbb}
    - {name: Own, kind: Tag, order: 3, tagType: FlexibleAssetType/aaa}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: bbb}
spec:
  name: Bbb
  fields:
    - {name: Title, kind: Text, order: 1, useForTitle: true, showInList: true}
    - {name: Back, kind: Tag, order: 2, tagType: FlexibleAssetType/aaa}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: ccc}
spec:
  name: Ccc
  fields:
    - {name: Only, kind: Tag, order: 1, showInList: true, tagType: FlexibleAssetType/aaa}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: frog}
spec: {name: Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAsset
metadata: {name: one}
spec:
  organization: frog
  flexibleAssetType: aaa
  traits: {title: One, other: [two]}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAsset
metadata: {name: two}
spec:
  organization: frog
  flexibleAssetType: bbb
  traits: {title: Two}
";

#[tokio::test(flavor = "multi_thread")]
async fn types_that_tag_each_other_and_themselves_are_made_in_turn() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", TAGS);
    stack.apply().await;
    stack.assert_empty().await;
}

const TWO_SITES: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: a}
spec: {name: A}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: b}
spec: {name: B}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: a-hq}
spec: {organization: a, name: HQ}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: b-hq}
spec: {organization: b, name: HQ}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Contact
metadata: {name: b-front-desk}
spec: {organization: b, firstName: Desk, location: HQ}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_short_key_means_the_object_beside_which_it_stands() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", TWO_SITES);
    let document = stack.apply().await;
    let contact = document.actions.iter().find(|action| action.kind == "Contact").unwrap();
    assert!(contact.depends_on.contains(&"itglue/Location/b-hq".to_owned()), "{:?}", contact.depends_on);
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_takes_its_entries_along_and_comes_back_whole() {
    let stack = Stack::start(&["itglue", "rest"]).await;
    stack.write("stack.yaml", ITGLUE);
    stack.write(
        "rest.yaml",
        "apiVersion: rest.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: acme}\nspec:\n  name: Acme\n  slug: acme\n  \
         members: [{user: user@example.com, role: member}]\n",
    );
    stack.apply().await;
    for (api, kind) in [("itglue", "Configuration"), ("rest", "Organization")] {
        let id = stack.sandbox.objects(api, kind)[0]["id"].as_str().unwrap().to_owned();
        assert!(stack.sandbox.remove(api, kind, &id));
    }
    let planned = stack.plan().await;
    assert_eq!(told(&planned), Vec::<String>::new());
    let drifted: Vec<&str> =
        planned.document.actions.iter().filter(|action| action.drifted).map(|action| action.address.as_str()).collect();
    for address in [
        "itglue/Configuration/hf-exch01",
        "itglue/Configuration/hf-exch01#interfaces/eth0",
        "rest/Organization/acme",
        "rest/Organization/acme#members/user@example.com",
    ] {
        assert!(drifted.contains(&address), "{address} is not in {drifted:?}");
    }
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trait_that_goes_is_drift() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", ITGLUE);
    stack.apply().await;
    let id = stack.sandbox.objects("itglue", "FlexibleAsset")[0]["id"].as_str().unwrap().to_owned();
    assert!(stack.sandbox.mutate("itglue", "FlexibleAsset", &id, &json!({"traits": {"servers": null}})));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), ["update itglue/FlexibleAsset/happy-frog-email (drift) /traits/servers"]);
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_trait_that_is_not_declared_is_not_lost() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", ITGLUE);
    stack.apply().await;
    // The password is no longer declared; another trait changes.
    let without = ITGLUE
        .replace("    admin-password: {valueFrom: {file: key}}\n", "")
        .replace("type: Office 365", "type: Exchange 2016");
    stack.write("stack.yaml", &without);
    let before = stack.sandbox.objects("itglue", "FlexibleAsset")[0]["attributes"]["traits"]["admin-password"].clone();
    assert!(!before.is_null());
    let _ = stack.try_apply().await;
    let after = stack.sandbox.objects("itglue", "FlexibleAsset")[0]["attributes"]["traits"]["admin-password"].clone();
    assert_eq!(before, after, "the value is sent back as it was read, or the update is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_fields_is_refused_before_the_api_does() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write(
        "stack.yaml",
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAssetType\nmetadata: {name: empty}\nspec: {name: Empty}\n",
    );
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert_eq!(told(&planned), ["PL0501 The API makes no FlexibleAssetType without a FlexibleAssetField."]);
}

const UPLOAD: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: frog}
spec: {name: Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: doc}
spec:
  name: Doc
  fields:
    - {name: Title, kind: Text, order: 1, useForTitle: true, showInList: true}
    - {name: Notes, kind: Textbox, order: 2}
    - {name: Scan, kind: Upload, order: 3}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAsset
metadata: {name: one}
spec:
  organization: frog
  flexibleAssetType: doc
  traits: {title: One, notes: first}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_not_shown_is_spoken_of() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", UPLOAD);
    stack.apply().await;
    stack.write("stack.yaml", &UPLOAD.replace("notes: first", "notes: second"));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), ["update itglue/FlexibleAsset/one (changed) /traits/notes"]);
    assert_eq!(
        planned.document.actions[0].notes,
        ["`traits` is sent whole, and the API shows no `scan`: if there is one all the same, this takes it away."]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kind_of_a_field_is_frozen_once_an_asset_has_a_value_in_it() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", UPLOAD);
    stack.apply().await;
    stack.write("stack.yaml", &UPLOAD.replace("kind: Textbox", "kind: Text"));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    let address = "itglue/FlexibleAssetType/doc#fields/Notes";
    assert_eq!(
        told(&planned),
        [format!("PL0515 `kind` of `{address}` cannot be changed any more: a FlexibleAsset makes use of it.")]
    );
    // Nobody has uploaded anything.
    stack.write("stack.yaml", &UPLOAD.replace("kind: Upload", "kind: Text"));
    assert_eq!(
        lines(&stack.plan().await.document),
        ["update itglue/FlexibleAssetType/doc#fields/Scan (changed) /kind"]
    );
    assert_eq!(lines(&stack.apply().await), ["update itglue/FlexibleAssetType/doc#fields/Scan (changed) /kind"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_made_anew_by_hand_is_drift() {
    let stack = Stack::start(&["rest"]).await;
    stack.write("stack.yaml", REST);
    stack.apply().await;
    let old = stack.sandbox.objects("rest", "Organization")[0].clone();
    assert!(stack.sandbox.remove("rest", "Organization", old["id"].as_str().unwrap()));
    stack.sandbox.add("rest", "Organization", &old["attributes"]).unwrap();
    let drifted = stack.try_plan(Mode::Drift).await.unwrap();
    assert_eq!(lines(&drifted.document), ["adopt rest/Organization/acme (drift)"]);
    assert_eq!(drifted.document.summary.drifted, 1);
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_parents_with_equal_ids_are_not_taken_for_each_other() {
    // Ids are those of their kinds: a contact and a location may have the same.
    let seed = parse_seed(
        "itglue:
  Organization:
    - {id: 1, name: Happy Frog}
  Contact:
    - {id: 7, organization: Happy Frog, firstName: Ann}
  Location:
    - {id: 7, organization: Happy Frog, name: Pond}
  Configuration:
    - {id: 9, organization: Happy Frog, name: FW-01}
",
    );
    let options = SandboxOptions { seed: Some(seed.unwrap()), ..SandboxOptions::default() };
    let stack = Stack::with(&["itglue"], options).await;
    let link = "relatedItems: [{target: Configuration/fw}]";
    let manifests = |contact: &str, location: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: frog}}\nspec: {{name: Happy Frog}}\n\
             ---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: fw}}\nspec: {{organization: frog, name: FW-01}}\n\
             ---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Contact\nmetadata: {{name: ann}}\nspec: {{organization: frog, firstName: Ann{contact}}}\n\
             ---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\nmetadata: {{name: pond}}\nspec: {{organization: frog, name: Pond{location}}}\n"
        )
    };
    stack.write("stack.yaml", &manifests(&format!(", {link}"), ""));
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(stack.sandbox.objects("itglue", "RelatedItem").len(), 1);
    stack.write("stack.yaml", &manifests(&format!(", {link}"), &format!(", {link}")));
    let planned = stack.plan().await;
    let created: Vec<String> = lines(&planned.document).into_iter().filter(|line| line.starts_with("create")).collect();
    assert_eq!(created.len(), 1, "{created:?}");
    assert!(created[0].starts_with("create itglue/Location/pond#relatedItems/"), "{created:?}");
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(stack.sandbox.objects("itglue", "RelatedItem").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_address_of_what_a_psa_owns_is_left_to_it() {
    let seed = parse_seed(
        "itglue:
  Organization:
    - {id: 1, name: Happy Frog}
  Configuration:
    - {id: 9, organization: Happy Frog, name: FW-01, synced: manage, interfaces: [{name: e0, ipAddress: 10.0.0.1, primary: true}, {name: e1, ipAddress: 10.0.0.2}]}
",
    );
    let options = SandboxOptions { seed: Some(seed.unwrap()), ..SandboxOptions::default() };
    let stack = Stack::with(&["itglue"], options).await;
    let manifests = |first: &str, second: &str, notes: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: fw}}\nspec:\n  organization: Happy Frog\n  name: FW-01\n  \
             interfaces:\n    - {{name: e0, ipAddress: {first}, notes: {notes}}}\n    - {{name: e1, ipAddress: {second}}}\n"
        )
    };
    stack.write("stack.yaml", &manifests("10.0.0.1", "10.0.0.2", "uplink"));
    stack.apply().await;
    stack.assert_empty().await;
    stack.write("stack.yaml", &manifests("10.0.0.9", "10.0.0.8", "changed"));
    let planned = stack.plan().await;
    assert_eq!(
        told(&planned),
        [
            "PL0511 The live ConfigurationInterface `8001` is synchronised by a PSA or RMM: the API refuses a change of `/ipAddress`."
        ]
    );
    assert_eq!(lines(&planned.document), ["update itglue/Configuration/fw#interfaces/e1 (changed) /ipAddress"]);
    // The rest can be changed.
    stack.write("stack.yaml", &manifests("10.0.0.1", "10.0.0.8", "changed"));
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_exchange_their_names_stay_who_they_are() {
    let stack = Stack::start(&["itglue"]).await;
    let with = |fields: &str| {
        let head = "apiVersion: itglue.plumb.dev/v1alpha1\nkind: FlexibleAssetType\nmetadata: {name: t}\nspec:\n  name: T\n  icon: x\n";
        format!("{head}  fields:\n{fields}")
    };
    let field = |name: &str, order: u32, from: &str| {
        let from = if from.is_empty() { String::new() } else { format!(", renamedFrom: {from}") };
        format!("    - {{name: {name}, kind: Text, order: {order}, showInList: true, useForTitle: true{from}}}\n")
    };
    let names = || {
        let rows = stack.sandbox.objects("itglue", "FlexibleAssetField");
        let pair = |row: &serde_json::Value| {
            (row["id"].as_str().unwrap().to_owned(), row["attributes"]["name"].as_str().unwrap().to_owned())
        };
        rows.iter().map(pair).collect::<std::collections::BTreeMap<_, _>>()
    };
    stack.write("stack.yaml", &with(&(field("One", 1, "") + &field("Two", 2, "") + &field("Three", 3, ""))));
    assert_eq!(told(&stack.plan().await), Vec::<String>::new());
    stack.apply().await;
    let before = names();
    let id = |name: &str| before.iter().find(|(_, known)| *known == name).unwrap().0.clone();
    stack.write("stack.yaml", &with(&(field("Two", 1, "One") + &field("One", 2, "Two") + &field("Three", 3, ""))));
    assert_eq!(told(&stack.plan().await), Vec::<String>::new());
    stack.apply().await;
    let after = names();
    assert_eq!((after[&id("One")].as_str(), after[&id("Two")].as_str()), ("Two", "One"));
    assert_eq!(after.len(), 3);
    stack.assert_empty().await;
    // Each takes the next one's name.
    let text = field("Three", 1, "Two") + &field("Two", 2, "One") + &field("Four", 3, "Three");
    stack.write("stack.yaml", &with(&text));
    assert_eq!(told(&stack.plan().await), Vec::<String>::new());
    stack.apply().await;
    let now = names();
    assert_eq!(now.len(), 3);
    assert_eq!(
        [now[&id("One")].as_str(), now[&id("Two")].as_str(), now[&id("Three")].as_str()],
        ["Three", "Two", "Four"]
    );
    stack.assert_empty().await;
}

const ASSET: &str = "apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: frog}
spec: {name: Happy Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: mail}
spec: {name: Mail, fields: [{name: Title, kind: Text, order: 1, showInList: true, useForTitle: true}]}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAssetType
metadata: {name: post}
spec: {name: Post, fields: [{name: Title, kind: Text, order: 1, showInList: true, useForTitle: true}]}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: FlexibleAsset
metadata: {name: a}
spec: {organization: frog, flexibleAssetType: mail, traits: {title: A}}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_objects_of_others_is_not_made_anew() {
    let stack = Stack::start(&["itglue"]).await;
    stack.write("stack.yaml", ASSET);
    stack.apply().await;
    let id = |kind: &str| stack.sandbox.objects("itglue", kind)[0]["id"].clone();
    let password = json!({"data": {"type": "passwords", "attributes": {
        "organization-id": id("Organization"), "name": "Of somebody", "password": "x",
        "resource-id": id("FlexibleAsset"), "resource-type": "Flexible Asset",
    }}});
    let call =
        reqwest::Client::new().post(format!("{}/passwords", stack.sandbox.url("itglue"))).header("x-api-key", "key");
    let call = call.header("content-type", "application/vnd.api+json").body(password.to_string());
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    stack.write("stack.yaml", &ASSET.replace("flexibleAssetType: mail", "flexibleAssetType: post"));
    let planned = stack.try_plan(Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document).len(), 1, "{:?}", lines(&planned.document));
    let told = told(&planned);
    assert!(told.len() == 1 && told[0].contains("PL0609") && told[0].contains("Of somebody"), "{told:?}");
    // Without that password it is made anew.
    let passwords = stack.sandbox.objects("itglue", "Password");
    assert!(stack.sandbox.remove("itglue", "Password", passwords[0]["id"].as_str().unwrap()));
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_be_deleted_is_not_made_anew_either() {
    let stack = Stack::start(&["itglue"]).await;
    let with = |policy: &str, kind: &str| {
        let annotations = if policy.is_empty() {
            String::new()
        } else {
            format!(", annotations: {{plumb.dev/deletion-policy: {policy}}}")
        };
        ASSET
            .replace("{name: a}", &format!("{{name: a{annotations}}}"))
            .replace("flexibleAssetType: mail", &format!("flexibleAssetType: {kind}"))
    };
    stack.write("stack.yaml", &with("retain", "mail"));
    stack.apply().await;
    stack.write("stack.yaml", &with("retain", "post"));
    let planned = stack.try_plan(Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document).len(), 1, "{:?}", lines(&planned.document));
    assert!(told(&planned).len() == 1 && told(&planned)[0].contains("PL0615"), "{:?}", told(&planned));
    assert!(stack.try_apply().await.is_err());
    // Leaving the policy out together with the change lifts nothing; doing so beforehand does.
    stack.write("stack.yaml", &with("", "post"));
    let planned = stack.try_plan(Mode::Plan).await.unwrap();
    assert!(told(&planned).len() == 1 && told(&planned)[0].contains("PL0615"), "{:?}", told(&planned));
    stack.write("stack.yaml", &with("", "mail"));
    stack.apply().await;
    stack.write("stack.yaml", &with("", "post"));
    stack.apply().await;
    // What was there before plumb needs leave in writing.
    let old = stack.sandbox.objects("itglue", "FlexibleAsset")[0]["id"].clone();
    std::fs::remove_dir_all(stack.path(".plumb")).unwrap();
    stack.apply().await;
    stack.write("stack.yaml", &with("", "mail"));
    let planned = stack.try_plan(Mode::Plan).await.unwrap();
    assert!(told(&planned).len() == 1 && told(&planned)[0].contains("before plumb"), "{:?}", told(&planned));
    stack.write("stack.yaml", &with("delete", "mail"));
    stack.apply().await;
    stack.assert_empty().await;
    assert_ne!(stack.sandbox.objects("itglue", "FlexibleAsset")[0]["id"], old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_live_entry_keeps_is_not_given_to_another() {
    let stack = Stack::start(&["itglue"]).await;
    let with = |more: &str| ASSET.replacen("useForTitle: true}]", &format!("useForTitle: true}}{more}]"), 1);
    stack.write("stack.yaml", &with(", {name: Edition, kind: Text, order: 2}, {name: Note, kind: Text, order: 3}"));
    stack.apply().await;
    // A field that is no longer declared stays, and keeps its place.
    stack.write("stack.yaml", &with(", {name: Release, kind: Text, order: 2}, {name: Note, kind: Text, order: 3}"));
    let planned = stack.try_plan(Mode::Plan).await.unwrap();
    let said = told(&planned);
    assert!(said.iter().any(|told| told.contains("PL0532") && told.contains("`Edition`")), "{said:?}");
    // Those that are declared exchange theirs.
    stack.write(
        "stack.yaml",
        &with(
            ", {name: Edition, kind: Text, order: 3}, {name: Release, kind: Text, order: 4}, \
             {name: Note, kind: Text, order: 2}",
        ),
    );
    stack.apply().await;
    stack.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_below_what_is_being_deleted() {
    let options = SandboxOptions { deferred_lists: 100, ..SandboxOptions::default() };
    let mut stack = Stack::with(&["itglue"], options).await;
    let text = "apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: frog, annotations: {plumb.dev/deletion-policy: delete}}
spec: {name: Happy Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: pond}
spec: {organization: frog, name: Pond}
";
    stack.write("stack.yaml", text);
    stack.apply().await;
    stack.write(
        "stack.yaml",
        "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: other}\nspec: {name: Other}\n",
    );
    stack.apply().await;
    stack.options.prune = true;
    stack.apply().await;
    stack.options.prune = false;
    stack.write("stack.yaml", text);
    let planned = stack.try_plan(Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    let told = told(&planned);
    assert!(told.len() == 2 && told.iter().all(|told| told.contains("PL0509")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_to_a_parent_that_is_new_is_not_made_twice() {
    let stack = Stack::start(&["itglue"]).await;
    let text = "apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: frog}
spec: {name: Happy Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: pond}
spec: {organization: frog, name: Pond}
";
    stack.write("stack.yaml", text);
    stack.apply().await;
    let other = "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: toad}\nspec: {name: Sad Toad}\n";
    stack.write("stack.yaml", &format!("{}{other}", text.replace("organization: frog", "organization: toad")));
    let planned = stack.plan().await;
    assert_eq!(
        lines(&planned.document),
        ["create itglue/Organization/toad (new) /name", "update itglue/Location/pond (changed) /organization"]
    );
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(stack.sandbox.objects("itglue", "Location").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_manifest_means_is_not_pruned_whatever_else_goes_on() {
    let mut stack = Stack::start(&["rest"]).await;
    stack.write("stack.yaml", REST);
    stack.apply().await;
    stack.write("stack.yaml", &REST.replace("metadata: {name: first}", "metadata: {name: renamed}"));
    stack.options.prune = true;
    stack.options.keep_going = true;
    let applied = stack.try_apply().await.unwrap();
    assert!(applied.document.actions.is_empty(), "{:?}", lines(&applied.document));
    assert_eq!(stack.sandbox.objects("rest", "Resource").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_left_alone_goes_back_as_it_is_with_what_changes_beside_it() {
    let stack = Stack::start(&["rest", "itglue"]).await;
    let text = |size: u32, body: &str| {
        format!(
            "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {{name: r, annotations: {{plumb.dev/ignore-drift: metadata.team}}}}\n\
             spec: {{name: R, metadata: {{team: web, size: {size}}}}}\n---\n{}",
            ASSET
                .replace("kind: Text, order: 1, showInList: true, useForTitle: true}]", "kind: Text, order: 1, showInList: true, useForTitle: true}, {name: Our Note, kind: Text, order: 2}, {name: Body, kind: Text, order: 3}]")
                .replace("metadata: {name: a}", "metadata: {name: a, annotations: {plumb.dev/ignore-drift: traits.Our Note}}")
                .replace("traits: {title: A}", &format!("traits: {{title: A, Our Note: ours, body: {body}}}"))
        )
    };
    stack.write("stack.yaml", &text(1, "one"));
    stack.apply().await;
    let id = |api: &str, kind: &str| stack.sandbox.objects(api, kind)[0]["id"].as_str().unwrap().to_owned();
    let metadata = json!({"metadata": {"team": "theirs", "size": 1}});
    assert!(stack.sandbox.mutate("rest", "Resource", &id("rest", "Resource"), &metadata));
    let traits = json!({"traits": {"title": "A", "our-note": "theirs", "body": "one"}});
    assert!(stack.sandbox.mutate("itglue", "FlexibleAsset", &id("itglue", "FlexibleAsset"), &traits));
    stack.assert_empty().await;
    stack.write("stack.yaml", &text(2, "two"));
    let planned = stack.plan().await;
    assert_eq!(
        lines(&planned.document),
        ["update rest/Resource/r (changed) /metadata/size", "update itglue/FlexibleAsset/a (changed) /traits/body"]
    );
    stack.apply().await;
    stack.assert_empty().await;
    assert_eq!(
        stack.sandbox.objects("rest", "Resource")[0]["attributes"]["metadata"],
        json!({"team": "theirs", "size": 2})
    );
    let traits = &stack.sandbox.objects("itglue", "FlexibleAsset")[0]["attributes"]["traits"];
    assert_eq!((&traits["our-note"], &traits["body"]), (&json!("theirs"), &json!("two")));
    // An edit of the manifest is a change like any other.
    stack.write("stack.yaml", &text(2, "two").replace("team: web", "team: ops"));
    stack.apply().await;
    assert_eq!(stack.sandbox.objects("rest", "Resource")[0]["attributes"]["metadata"]["team"], "ops");
    // What is no field of the type is told, with what there is.
    stack.write("stack.yaml", &text(2, "two").replace("traits.Our Note", "traits.Their Note"));
    let told = told(&stack.try_plan(Mode::Plan).await.unwrap());
    assert!(told.len() == 1 && told[0].contains("PL0119") && told[0].contains("Their Note"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_list_are_left_alone_beside_those_that_change() {
    let stack = Stack::start(&["itglue"]).await;
    let text = |more: &str| {
        format!(
            "apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: frog}}\nspec: {{name: Happy Frog}}\n---\n\
             apiVersion: itglue.plumb.dev/v1alpha1\nkind: Contact\n\
             metadata: {{name: c, annotations: {{plumb.dev/ignore-drift: 'contactEmails.a@frog.example.labelName, contactEmails.b@frog.example'}}}}\n\
             spec: {{organization: frog, firstName: C, contactEmails: [{{value: a@frog.example, labelName: Work}}, {{value: b@frog.example, labelName: Work}}{more}]}}\n"
        )
    };
    stack.write("stack.yaml", &text(""));
    stack.apply().await;
    let id = stack.sandbox.objects("itglue", "Contact")[0]["id"].as_str().unwrap().to_owned();
    let theirs = json!({"contact-emails": [{"value": "a@frog.example", "label-name": "Home", "primary": true}]});
    assert!(stack.sandbox.mutate("itglue", "Contact", &id, &theirs));
    stack.assert_empty().await;
    stack.write("stack.yaml", &text(", {value: c@frog.example, labelName: Work}"));
    assert_eq!(
        lines(&stack.plan().await.document),
        ["update itglue/Contact/c (changed) /contactEmails/c@frog.example"]
    );
    stack.apply().await;
    stack.assert_empty().await;
    let emails = stack.sandbox.objects("itglue", "Contact")[0]["attributes"]["contact-emails"].clone();
    let told: Vec<(&str, &str)> = emails
        .as_array()
        .unwrap()
        .iter()
        .map(|email| (email["value"].as_str().unwrap(), email["label-name"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(told, [("a@frog.example", "Home"), ("c@frog.example", "Work")]);
}
