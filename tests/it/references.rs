//! References that lead nowhere, to several objects, in circles or out of the account: told with their place, why, and
//! what to write instead; and nothing is planned on a guess.

use std::fmt::Write;

use plumb::{
    plan::Outcome,
    report::{self, Style},
};
use serde_json::json;

use crate::support::stack::{Stack, lines};

/// An independent object: it is planned whatever else is wrong.
const INITECH: &str = r"
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Manufacturer
metadata: {name: initech}
spec: {name: Initech}
";
const PLANNED: &str = "create itglue/Manufacturer/initech (new) /name";

/// Plans a stack in which something is wrong, and says what was told: nothing of it is planned but what is independent.
async fn wrong(stack: &Stack, manifests: &str) -> String {
    stack.write("stack.yaml", &format!("{}{INITECH}", manifests.trim_start()));
    stack.sandbox.clear_log();
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), [PLANNED]);
    let failure = stack.try_apply().await.err().unwrap();
    assert_eq!(failure.message, "Nothing was written, because there are errors.");
    assert!(stack.sandbox.log().iter().all(|entry| entry.method == "GET"));
    let style = Style { width: 100, ..Style::default() };
    let told = report::diagnostics(&planned.diagnostics, &planned.sources, style);
    told.replace(&format!("{}/", stack.folder.path().display()), "")
}

async fn stack() -> Stack {
    let stack = Stack::start(&["itglue"]).await;
    for (kind, object) in [
        ("Organization", json!({"id": 1001, "name": "Happy Frog"})),
        ("Organization", json!({"id": 1002, "name": "Happy Fox"})),
        ("Organization", json!({"id": 1003, "name": "Bright Otter"})),
        ("Organization", json!({"id": 1004, "name": "Bright Otter"})),
        ("Location", json!({"organization": "id:1001", "name": "Office"})),
        ("Location", json!({"organization": "id:1002", "name": "Office"})),
    ] {
        stack.sandbox.add("itglue", kind, &object).unwrap();
    }
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_of_nothing_is_told_with_the_nearest_one() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: happy-frog}
spec: {name: Happy Frog, description: A customer}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: office}
spec:
  organization: ref:hapy-frog
  name: Office
";
    let stack = stack().await;
    stack.write("stack.yaml", manifests.split("---").next().unwrap());
    stack.apply().await;
    insta::assert_snapshot!(wrong(&stack, manifests).await, @r"
    error[PL0201]: `ref:hapy-frog` names no Organization that is declared in this stack.
      --> stack.yaml:10:17
       |
    10 |   organization: ref:hapy-frog
       |                 ^^^^^^^^^^^^^
       |
       = object: itglue/Location/office
       = hint: Did you mean `ref:happy-frog`?
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_nothing_is_told_with_what_is_live_and_looks_like_it() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: office}
spec:
  organization: Happy Forg
  name: Office
";
    insta::assert_snapshot!(wrong(&stack().await, manifests).await, @r"
    error[PL0202]: `Happy Forg` is neither a declared Organization nor the key of a live one.
     --> stack.yaml:5:17
      |
    5 |   organization: Happy Forg
      |                 ^^^^^^^^^^
      |
      = object: itglue/Location/office
      = hint: Live objects with a similar name: `Happy Frog`, `Happy Fox`.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_like_nothing_else_is_told() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: office}
spec:
  organization: Zebra
  name: Office
";
    insta::assert_snapshot!(wrong(&stack().await, manifests).await, @r"
    error[PL0202]: `Zebra` is neither a declared Organization nor the key of a live one.
     --> stack.yaml:5:17
      |
    5 |   organization: Zebra
      |                 ^^^^^
      |
      = object: itglue/Location/office
      = hint: Declare it by a manifest of kind `Organization`, or refer to a live object by `id:ID`.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_two_live_objects_is_told_with_both() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: office}
spec:
  organization: Bright Otter
  name: Office
";
    insta::assert_snapshot!(wrong(&stack().await, manifests).await, @r"
    error[PL0209]: `Bright Otter` matches 2 live objects of kind Organization: `id:1003`, `id:1004`.
     --> stack.yaml:5:17
      |
    5 |   organization: Bright Otter
      |                 ^^^^^^^^^^^^
      |
      = object: itglue/Location/office
      = hint: Write one of these.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_two_live_objects_is_told_with_both() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: bright-otter}
spec: {name: Bright Otter}
";
    insta::assert_snapshot!(wrong(&stack().await, manifests).await, @r"
    error[PL0208]: 2 live objects have the natural key of this manifest: ids `1003`, `1004`.
     --> stack.yaml:4:1
      |
    4 | spec: {name: Bright Otter}
      | ^^^^
      |
      = object: itglue/Organization/bright-otter
      = hint: Say which one it is with the annotation `plumb.dev/external-id: ID`, or delete the others.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_drawn() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: one}
spec:
  name: One
  parent: two
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: two, annotations: {plumb.dev/depends-on: itglue/Organization/three}}
spec: {name: Two}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: three}
spec:
  name: Three
  parent: one
";
    insta::assert_snapshot!(wrong(&stack().await, manifests).await, @r"
    error[PL0203]: These objects depend on one another in a circle: itglue/Organization/one → itglue/Organization/two → itglue/Organization/three → itglue/Organization/one.
      --> stack.yaml:6:11
       |
     6 |   parent: two
       |           ^^^
       |
       = hint: Take one of these references out, or make it in the other direction.
    note: here `itglue/Organization/two` depends on `itglue/Organization/three`
      --> stack.yaml:10:59
       |
    10 | metadata: {name: two, annotations: {plumb.dev/depends-on: itglue/Organization/three}}
       |                                                           ^^^^^^^^^^^^^^^^^^^^^^^^^
    note: here `itglue/Organization/three` depends on `itglue/Organization/one`
      --> stack.yaml:18:11
       |
    18 |   parent: one
       |           ^^^
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_on_nothing_is_told() {
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata:
  name: one
  annotations:
    plumb.dev/depends-on: itglue/Organization/happy-frog
spec: {name: One}
";
    insta::assert_snapshot!(wrong(&stack().await, manifests).await, @r"
    error[PL0205]: `plumb.dev/depends-on` names `itglue/Organization/happy-frog`, which is not declared.
     --> stack.yaml:6:27
      |
    6 |     plumb.dev/depends-on: itglue/Organization/happy-frog
      |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = object: itglue/Organization/one
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_into_another_account_is_told() {
    let stack = stack().await;
    let text = std::fs::read_to_string(stack.path("connections.yaml")).unwrap();
    let other = text.replace("{name: itglue}", "{name: other}");
    let url = stack.sandbox.url("itglue");
    let other = other.replace("api: itglue\n", &format!("api: itglue\n  url: {url}\n"));
    stack.write("connections.yaml", &(text + &other));
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: one}
spec: {connection: other, name: Happy Frog}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: office}
spec:
  connection: itglue
  organization: one
  name: Office
";
    stack.write("stack.yaml", &manifests.split("---").next().unwrap().replace("spec: {", "spec: {description: x, "));
    stack.apply().await;
    let other = INITECH.replace("spec: {", "spec: {connection: itglue, ");
    stack.write("stack.yaml", &format!("{}{other}", manifests.trim_start()));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), [PLANNED]);
    let style = Style { width: 100, ..Style::default() };
    let told = report::diagnostics(&planned.diagnostics, &planned.sources, style);
    insta::assert_snapshot!(told.replace(&format!("{}/", stack.folder.path().display()), ""), @r"
    note[PL0505]: `/description` of `itglue/Organization/one` is no longer declared: it stays as it is and is no longer managed.
     --> stack.yaml:4:1
      |
    4 | spec: {connection: other, name: Happy Frog}
      | ^^^^

    error[PL0206]: `itglue/Organization/one` is of connection `other`, and this manifest of `itglue`: a reference cannot lead from one account to another.
      --> stack.yaml:11:17
       |
    11 |   organization: one
       |                 ^^^
       |
       = object: itglue/Location/office
       = hint: Refer to an object of the same connection, or move one of the two manifests to the other's.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_thousands_of_bad_names_each_is_told_and_the_first_with_suggestions() {
    let stack = stack().await;
    let manifests = (0..2000).fold(String::new(), |mut out, number| {
        let spec = format!("{{organization: Happy Forg {number}, name: Office}}");
        write!(out, "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Location\n").unwrap();
        write!(out, "metadata: {{name: l{number}}}\nspec: {spec}\n").unwrap();
        out
    });
    stack.write("stack.yaml", &format!("{manifests}{INITECH}"));
    let planned = stack.plan().await;
    assert_eq!(lines(&planned.document), [PLANNED]);
    let told: Vec<_> = planned.diagnostics.iter().filter(|told| told.code == "PL0202").collect();
    assert_eq!(told.len(), 2000);
    let suggests = |hints: &[String]| hints.iter().any(|hint| hint.contains("`Happy Frog`"));
    let count = told.iter().filter(|told| suggests(&told.hints)).count();
    assert!((50..=100).contains(&count), "{count} suggestions");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_depend_on_a_bad_reference_can_go_on() {
    let mut stack = stack().await;
    let manifests = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Location
metadata: {name: office}
spec: {organization: Nobody, name: Office}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Contact
metadata: {name: jane}
spec: {organization: Happy Frog, firstName: Jane, location: ref:office}
";
    wrong(&stack, manifests).await;
    stack.options.keep_going = true;
    let applied = stack.try_apply().await.unwrap();
    let outcomes: Vec<_> =
        applied.document.actions.iter().map(|action| (action.address.as_str(), action.outcome)).collect();
    assert_eq!(outcomes, [("itglue/Manufacturer/initech", Some(Outcome::Done))]);
}
