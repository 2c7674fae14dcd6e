//! What well-formed manifests become.

use serde_json::{Value, json};

use super::*;
use crate::{description::Catalog, source::Snapshot};

const SHOP: &str = include_str!("../../tests/cases/shop.yaml");
const CONNECTION: &str = "
apiVersion: plumb.dev/v1alpha1
kind: Connection
metadata: {name: shop}
spec:
  api: shop
  auth: {apiKey: {valueFrom: {env: SHOP_KEY}}}
";

fn load_with(texts: &[&str], options: &LoadOptions) -> (Snapshot, Manifests) {
    let mut snapshot = Snapshot::of(texts.iter().enumerate().map(|(index, text)| (format!("{index}.yaml"), *text)));
    let manifests = load(&mut snapshot, &Catalog::default(), options);
    (snapshot, manifests)
}

fn load_all(texts: &[&str]) -> Manifests {
    load_with(texts, &LoadOptions::default()).1
}

fn good(text: &str) -> Manifests {
    let manifests = load_all(&[SHOP, CONNECTION, text]);
    assert!(manifests.diagnostics.is_empty(), "{:#?}", manifests.diagnostics);
    manifests
}

fn messages(manifests: &Manifests) -> Vec<String> {
    manifests.diagnostics.iter().map(|diagnostic| format!("{} {}", diagnostic.code, diagnostic.message)).collect()
}

fn document(kind: &str, spec: &str) -> String {
    let spec: Vec<String> = spec.trim_matches('\n').lines().map(|line| format!("  {line}\n")).collect();
    let spec = spec.concat();
    format!("apiVersion: shop.plumb.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: one}}\nspec:\n{spec}")
}

fn spec(kind: &str, text: &str) -> Value {
    let manifests = good(&document(kind, text));
    Value::Object(manifests.objects[0].spec.clone())
}

#[test]
fn the_test_description_has_no_faults() {
    let manifests = load_all(&[SHOP]);
    assert_eq!(messages(&manifests), Vec::<String>::new());
    assert!(manifests.catalog.api("shop").is_some());
    assert!(manifests.described.contains_key("shop"));
}

#[test]
fn text_fields_take_scalars_as_they_are_written() {
    let fields = "name: 1.10\nalert: true\ncode: ABC-0755\ncountry: 8080\nregions: [0x1F, no, 1e3]\n";
    assert_eq!(
        spec("Customer", fields),
        json!({"name": "1.10", "alert": "true", "code": "ABC-0755", "country": "8080", "regions": ["0x1F", "no", "1e3"]})
    );
}

#[test]
fn typed_fields_keep_their_types_and_free_maps_are_verbatim() {
    let fields = "
employees: 12
discount: 0.25
active: false
since: 2026-01-31
seen: 2026-01-31T10:00:00Z
metadata: {version: 1.10, flag: yes, on: true, 'q': '7', deep: [{a: null}]}
limits: {a: 1, b: null}
";
    assert_eq!(
        spec("Customer", fields),
        json!({
            "employees": 12, "discount": 0.25, "active": false, "since": "2026-01-31", "seen": "2026-01-31T10:00:00Z",
            "metadata": {"version": 1.1, "flag": "yes", "on": true, "q": "7", "deep": [{"a": null}]},
            "limits": {"a": 1, "b": null}, "name": "one",
        })
    );
}

#[test]
fn null_stays_and_clear_makes_it() {
    let text = document("Customer", "alert: null\naddress: {city: Ulm}\n")
        .replace("{name: one}", "{name: one, annotations: {plumb.dev/clear: 'parent, address.street'}}");
    let manifests = good(&text);
    assert_eq!(
        Value::Object(manifests.objects[0].spec.clone()),
        json!({"alert": null, "address": {"city": "Ulm", "street": null}, "parent": null, "name": "one"})
    );
}

#[test]
fn sensitive_values_are_placeholders() {
    let fields = "
customer: a
secret: {valueFrom: {env: X}}
hint: plain
keys: {a: {valueFrom: {exec: [pass, show, key]}}}
traits:
  Admin: {valueFrom: {secretKeyRef: {name: n, key: k}}}
  manual: {file: docs/m.pdf}
  many: [{valueFrom: {file: f}}, plain]
  deep: {valueFrom: x, other: 1}
manual: {file: m.pdf}
parameters:
  - {name: a, value: 1}
  - {name: b, valueFrom: {env: B}}
";
    assert_eq!(
        spec("Vault", fields),
        json!({
            "customer": "a",
            "secret": {"$valueFrom": {"env": "X"}},
            "hint": "plain",
            "keys": {"a": {"$valueFrom": {"exec": ["pass", "show", "key"]}}},
            "traits": {
                "Admin": {"$valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}},
                "manual": {"$file": {"path": "docs/m.pdf"}},
                "many": [{"$valueFrom": {"file": "f"}}, "plain"],
                "deep": {"valueFrom": "x", "other": 1},
            },
            "manual": {"$file": {"path": "m.pdf"}},
            "parameters": [{"name": "a", "value": "1"}, {"name": "b", "value": {"$valueFrom": {"env": "B"}}}],
            "name": "one",
        })
    );
}

#[test]
fn plaintext_is_struck_out_of_the_sources_and_places_stay() {
    let text = document("Vault", "customer: a\nsecret: \"hünter\\\"2\"\nhint: {value: 'hunter3', x: 1}\nnmae: x\n");
    let (snapshot, manifests) = load_with(&[SHOP, CONNECTION, &text], &LoadOptions::default());
    let drawn = &snapshot.sources.texts[2].text;
    assert!(!drawn.contains("nter"), "{drawn}");
    assert_eq!(drawn.len(), text.len());
    assert!(!format!("{manifests:?}").contains("nter"));
    assert_eq!(manifests.diagnostics.iter().map(|d| d.place.unwrap().line).collect::<Vec<_>>(), [6, 7, 8]);
}

#[test]
fn allowed_plaintext_goes_to_the_vault_alone() {
    let text = document(
        "Vault",
        "customer: a\nsecret: {value: hunter2hunter2}\nkeys:\n  k:\n    value: |\n      BEGIN\n      END\n",
    );
    let options = LoadOptions { allow_plaintext_secrets: true, ..LoadOptions::default() };
    let (snapshot, mut manifests) = load_with(&[SHOP, CONNECTION, &text], &options);
    assert_eq!(messages(&manifests), Vec::<String>::new());
    let drawn = &snapshot.sources.texts[2].text;
    assert!(!drawn.contains("hunter") && !drawn.contains("BEGIN"), "{drawn}");
    assert!(!format!("{manifests:?}").contains("hunter"));
    let key = crate::inventory::HashKey::from_text("a key for the tests, long enough").unwrap();
    let vault = crate::secret::Vault::new(key);
    let policy = crate::secret::ResolvePolicy::default();
    let said = crate::secret::resolve_with(&mut manifests, &vault, &policy, &snapshot.sources, &|_| {
        Some("sesame-open".into())
    });
    assert_eq!(said, []);
    let open = |value: &Value| {
        let hash = crate::value::secret_hash(value).unwrap();
        vault.open(hash).unwrap().to_string()
    };
    assert_eq!(open(&manifests.objects[0].spec["secret"]), "hunter2hunter2");
    assert_eq!(open(&manifests.objects[0].spec["keys"]["k"]), "BEGIN\nEND\n");
    // What was struck out still parses, so that late diagnostics find their places.
    let place = locate(&snapshot.sources, manifests.objects[0].document, "/spec/keys/k/value").unwrap();
    assert_eq!(place.line, 10);
}

#[test]
fn entries_are_objects_of_their_own_after_their_parent() {
    let fields = "
customer: a
parts:
  - {name: A/B ~, kind: Text, order: 1, shown: true}
  - {serial: s1, kind: Tag, tagType: Product/x, renamedFrom: old}
variables:
  - {name: URL, value: 8080}
  - {name: TOKEN, valueFrom: {env: T}}
tags: {colour: red, size: 4}
";
    let manifests = good(&document("Product", fields));
    let found: Vec<_> =
        manifests.objects.iter().map(|o| (o.address.to_string(), Value::Object(o.spec.clone()))).collect();
    assert_eq!(
        found,
        [
            ("shop/Product/one".to_owned(), json!({"customer": "a", "sku": "one"})),
            (
                "shop/Product/one#parts/A~1B ~0".to_owned(),
                json!({"name": "A/B ~", "kind": "Text", "order": 1, "shown": true})
            ),
            (
                "shop/Product/one#parts/s1".to_owned(),
                json!({"serial": "s1", "kind": "Tag", "tagType": "Product/x", "renamedFrom": "old"})
            ),
            ("shop/Product/one#variables/URL".to_owned(), json!({"name": "URL", "value": "8080"})),
            (
                "shop/Product/one#variables/TOKEN".to_owned(),
                json!({"name": "TOKEN", "value": {"$valueFrom": {"env": "T"}}})
            ),
            ("shop/Product/one#tags/colour".to_owned(), json!({"tagKey": "colour", "value": "red"})),
            ("shop/Product/one#tags/size".to_owned(), json!({"tagKey": "size", "value": "4"})),
        ]
    );
    assert!(manifests.objects[1..].iter().all(|object| object.parent == Some(0)));
    assert_eq!(manifests.objects[2].pointer, "/spec/parts/1");
}

#[test]
fn attachments_are_keyed_by_their_file_name() {
    let manifests = good(&document("Customer", "attachments: [{file: {file: docs/a.pdf}}, {name: b, file: a.pdf}]\n"));
    assert_eq!(manifests.objects[1].address.to_string(), "shop/Customer/one#attachments/a.pdf");
    assert_eq!(
        Value::Object(manifests.objects[1].spec.clone()),
        json!({"file": {"$file": {"path": "docs/a.pdf"}}, "name": "a.pdf"})
    );
    assert_eq!(manifests.objects[2].address.to_string(), "shop/Customer/one#attachments/b");
}

#[test]
fn what_only_a_create_needs_is_noted_and_no_error() {
    let manifests = good(&document("Vault", "customer: a\n"));
    assert_eq!(manifests.objects[0].missing, ["secret"]);
    let manifests = good(&document("Product", "customer: a\nkind: bundle\nparts: [{name: p, shown: true}]\n"));
    assert_eq!(manifests.objects[0].missing, ["bundleSize"]);
    assert_eq!(manifests.objects[1].missing, ["kind"]);
    let manifests = good(&document("Customer", "address: {street: x}\n"));
    assert_eq!(manifests.objects[0].missing, ["address.city"]);
}

#[test]
fn a_name_is_not_made_up_where_another_key_is_declared() {
    assert_eq!(spec("Product", "customer: a\nbarcode: 123\n"), json!({"customer": "a", "barcode": "123"}));
}

#[test]
fn connection_defaults_fill_what_is_left_out() {
    let connection = format!("{CONNECTION}  defaults: {{customer: main, tier: gold}}\n");
    let vault = document("Vault", "");
    let text = format!("{vault}---\n{}", document("Customer", "tier: silver\n"));
    let manifests = load_all(&[SHOP, &connection, &text]);
    assert_eq!(messages(&manifests), Vec::<String>::new());
    assert_eq!(Value::Object(manifests.objects[0].spec.clone()), json!({"customer": "main", "name": "one"}));
    assert_eq!(manifests.objects[1].spec["tier"], "silver");
}

#[test]
fn a_list_and_what_kubectl_adds_are_accepted() {
    let text = "
apiVersion: v1
kind: List
items:
- apiVersion: shop.plumb.dev/v1alpha1
  kind: Customer
  metadata:
    name: one
    namespace: team-a
    uid: 7a
    resourceVersion: \"12\"
    creationTimestamp: 2026-01-01T00:00:00Z
    managedFields: [{manager: kubectl}]
    annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}
  spec: {alert: x}
  status: {conditions: []}
- apiVersion: apps/v1
  kind: Deployment
";
    let manifests = load_all(&[SHOP, CONNECTION, text]);
    assert_eq!(messages(&manifests), ["PL0011 A document in `2.yaml` is not for plumb and was passed over."]);
    let object = &manifests.objects[0];
    assert_eq!(object.address.to_string(), "shop/Customer/team-a/one");
    let mut snapshot = Snapshot::of([("a.yaml", text)]);
    let place = locate(
        &snapshot.sources,
        DocumentRef { source: crate::diagnostic::SourceId(0), ..object.document },
        "/spec/alert",
    );
    assert_eq!(place.map(|place| (place.line, place.column)), Some((15, 17)));
    snapshot.sources.texts.clear();
    assert_eq!(locate(&snapshot.sources, object.document, "/spec"), None);
}

#[test]
fn annotations_say_what_they_say() {
    let text = document("Customer", "alert: x\n").replace(
        "{name: one}",
        r#"{name: one, labels: {team: a}, annotations: {
  plumb.dev/external-id: "33", plumb.dev/deletion-policy: retain, plumb.dev/reconcile: observe,
  plumb.dev/depends-on: "shop/Customer/a, shop/Product/b#parts/x", plumb.dev/ignore-drift: "alert, metadata.x.y",
  plumb.dev/moved-from: old, plumb.dev/protect: "true", plumb.dev/allow: migrate, other/x: "1"}}"#,
    );
    let manifests = good(&text);
    let object = &manifests.objects[0];
    assert_eq!(object.labels["team"], "a");
    assert_eq!(
        object.annotations,
        Annotations {
            external_id: Some("33".into()),
            deletion_policy: Some(DeletionPolicy::Retain),
            reconcile: Reconcile::Observe,
            depends_on: vec!["shop/Customer/a".parse().unwrap(), "shop/Product/b#parts/x".parse().unwrap()],
            stacks: vec![],
            ignore_drift: vec!["alert".into(), "metadata.x.y".into()],
            clear: vec![],
            moved_from: Some("old".into()),
            protect: true,
            allow: vec!["migrate".into()],
        }
    );
}

#[test]
fn a_stack_in_a_cluster_says_where_its_manifests_are() {
    let stack =
        |spec: &str| format!("apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {{name: prod}}\nspec: {spec}\n");
    let spec = "{prune: false, interval: 5m, mode: enforce, approvePlan: auto, dependsOn: [base], source: {git: 'https://git.example/a.git', \
                path: saas, auth: {token: {valueFrom: {secretKeyRef: {name: git, key: token}}}}}}";
    let annotated = |names: &str| {
        stack(spec).replace("name: prod", &format!("name: prod, annotations: {{plumb.dev/depends-on: '{names}'}}"))
    };
    let others = load_all(&[&annotated("Stack/first, second")]).stack.feed.unwrap().depends_on;
    assert_eq!(others, ["base", "first", "second"]);
    let told = messages(&load_all(&[&annotated("shop/Customer/a")]));
    assert!(told.iter().any(|told| told.contains("of a stack names stacks")), "{told:?}");
    let manifests = load_all(&[&stack(spec)]);
    assert_eq!(messages(&manifests), Vec::<String>::new());
    let feed = manifests.stack.feed.unwrap();
    assert_eq!((feed.git.as_str(), feed.paths[0].as_str()), ("https://git.example/a.git", "saas"));
    assert_eq!(feed.auth["token"], json!({"secretKeyRef": {"name": "git", "key": "token"}}));
    assert_eq!((feed.mode, feed.interval), (StackMode::Enforce, Some(std::time::Duration::from_mins(5))));
    let wrong = |spec: &str| messages(&load_all(&[&stack(spec)])).join(" ");
    assert!(wrong("{source: {git: 'https://git.example/a.git'}}").contains("`prune` has to be written"));
    assert!(wrong("{mode: plan}").contains("has a `source`"));
    assert!(wrong("{prune: true, source: {path: x}}").contains("git"));
}

#[test]
fn stack_and_connections_are_read() {
    let text = "
apiVersion: plumb.dev/v1alpha1
kind: Stack
metadata: {name: prod}
spec: {inventory: 's3://bucket/x', prune: true, limits: {maxDeletes: 50%}, history: {runs: 7}}
---
apiVersion: plumb.dev/v1alpha1
kind: Connection
metadata: {name: other}
spec:
  api: shop
  url: http://127.0.0.1:8080/
  auth: {login: {email: a@b.example, password: {valueFrom: {env: P}}}}
  limits: {requests: 10, window: 60, concurrency: 2, reserve: 0}
---
apiVersion: shop.plumb.dev/v1alpha1
kind: Customer
metadata: {name: one}
spec: {connection: other}
";
    let manifests = load_all(&[SHOP, CONNECTION, text]);
    assert_eq!(messages(&manifests), Vec::<String>::new());
    assert_eq!(
        manifests.stack,
        StackSpec {
            name: "prod".into(),
            inventory: Some("s3://bucket/x".into()),
            prune: true,
            max_deletes: Some(MaxDeletes::Percent(50.0)),
            history: Retention { runs: 7, days: 90 },
            feed: None,
        }
    );
    let connection = &manifests.connections["other"];
    assert_eq!(connection.url.as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(connection.limits.reserve, Some(0));
    let password = json!({"$valueFrom": {"env": "P"}});
    assert_eq!(connection.auth, Some(Auth::Login { email: Some(json!("a@b.example")), username: None, password }));
    assert_eq!(manifests.objects[0].connection, "other");
}

#[test]
fn a_broken_manifest_is_named_and_does_not_hide_the_rest() {
    let text = format!(
        "{}---\n{}",
        document("Customer", "tier: tin\n"),
        document("Customer", "alert: x\n").replace("name: one", "name: two")
    );
    let manifests = load_all(&[SHOP, CONNECTION, &text]);
    assert_eq!(manifests.objects.len(), 1);
    assert_eq!(manifests.broken.iter().map(ToString::to_string).collect::<Vec<_>>(), ["shop/Customer/one"]);
    assert!(!manifests.incomplete);
    assert!(load_all(&["a: [\n"]).incomplete);
}

#[test]
fn open_objects_take_members_of_the_users_own() {
    assert_eq!(
        spec("Customer", "profile: {motto: 8, favourite_colour: [1, {x: true}]}\n"),
        json!({"profile": {"motto": "8", "favourite_colour": [1, {"x": true}]}, "name": "one"})
    );
}

#[test]
fn windows_line_ends_change_nothing() {
    let text =
        document("Customer", "alert: a\nmetadata:\n  note: |\n    one\n    two\ntier: tin\n").replace('\n', "\r\n");
    let manifests = load_all(&[SHOP, CONNECTION, &text]);
    let places: Vec<_> = manifests.diagnostics.iter().map(|d| d.place.map(|p| (p.line, p.column, p.length))).collect();
    assert_eq!(places, [Some((10, 9, 3))]);
    let manifests = good(&text.replace("tin", "gold"));
    assert_eq!(manifests.objects[0].spec["metadata"], json!({"note": "one\ntwo\n"}));
    let place = locate(
        &Snapshot::of([("a.yaml", text)]).sources,
        DocumentRef { source: crate::diagnostic::SourceId(0), ..manifests.objects[0].document },
        "/spec/tier",
    );
    assert_eq!(place.map(|place| (place.line, place.column, place.length)), Some((10, 9, 3)));
}

#[test]
fn a_missing_connection_is_told_once_and_everything_that_needs_it_is_broken() {
    let text = format!("{}---\n{}", document("Customer", "alert: a\n"), document("CustomerType", "name: b\n"));
    let manifests = load_all(&[SHOP, &text]);
    assert_eq!(messages(&manifests), ["PL0302 There is no connection for the API `shop`."]);
    assert_eq!((manifests.objects.len(), manifests.broken.len()), (0, 2));
}

#[test]
fn overrides_of_unknown_connections_are_errors() {
    let options = LoadOptions { connection_overrides: vec!["shpo".into()], ..LoadOptions::default() };
    let (_, manifests) = load_with(&[SHOP, CONNECTION], &options);
    assert_eq!(messages(&manifests), ["PL0301 There is no connection `shpo` to override."]);
    assert_eq!(manifests.diagnostics[0].hints, ["Did you mean `shop`?"]);
}

#[test]
fn one_external_id_has_one_owner_and_twins_have_two() {
    let twin = |name: &str, id: &str| {
        let annotations = format!("{{name: {name}, annotations: {{plumb.dev/external-id: '{id}'}}}}");
        document("Customer", "name: Same\n").replace("{name: one}", &annotations)
    };
    assert_eq!(good(&format!("{}---\n{}", twin("a", "1"), twin("b", "2"))).objects.len(), 2);
    let manifests = load_all(&[SHOP, CONNECTION, &format!("{}---\n{}", twin("a", "1"), twin("b", "1"))]);
    assert!(messages(&manifests)[0].starts_with("PL0111"), "{:?}", messages(&manifests));
}
