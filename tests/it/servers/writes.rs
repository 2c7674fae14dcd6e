//! Writes that fail: told with their call, in nobody's way who does not depend on them, and made good by the next run
//! without making anything twice.

use std::fmt::Write;

use plumb::{
    inventory::{Edit, Inventory, Location},
    pipeline::Applied,
};
use serde_json::json;

use super::{Bed, KEY, Manner, account::Account, problems};
use crate::support::wild::{Asked, Reply};

const BEFORE: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme, annotations: {plumb.dev/deletion-policy: delete}}
spec: {name: Acme, description: A customer}
";
const AFTER: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: newco}
spec: {name: Newco}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Configuration
metadata: {name: web}
spec: {organization: newco, name: WEB, configurationType: Server}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Manufacturer
metadata: {name: dell}
spec: {name: Dell}
";

async fn bed() -> Bed {
    let bed = Bed::start(Manner::default()).await;
    bed.account.lock().unwrap().add("configuration_types", &json!({"name": "Server"}));
    bed.write("before.yaml", BEFORE);
    bed.converge().await;
    bed.server.clear_log();
    bed
}

/// What came of each action.
fn outcomes(applied: &Applied) -> String {
    let mut out = String::new();
    for action in &applied.document.actions {
        let outcome = format!("{:?}", action.outcome.unwrap()).to_lowercase();
        let error = action.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(out, "{outcome} {}{error}", action.address).unwrap();
    }
    assert!(!out.contains(KEY), "{out}");
    out
}

/// Lets the time pass in which what was sent may still take effect.
async fn later(bed: &Bed) {
    let location = Location::parse(None, bed.folder.path()).unwrap();
    let mut inventory = Inventory::open(&location, "default").await.unwrap();
    inventory.lock("the test").await.unwrap();
    let intents = inventory.state().intents.clone();
    let past = |mut intent: plumb::inventory::Intent| {
        intent.deadline = "2020-01-01T00:00:00Z".into();
        intent
    };
    let edits = intents.into_iter().map(|(id, intent)| Edit::Begin(id, past(intent))).collect();
    inventory.commit(edits).await.unwrap();
    inventory.unlock().await;
}

/// Applies while something goes wrong, and says what came of it; the next run makes it good.
async fn applied(fault: impl Fn(&Asked, &mut Account) -> Option<Reply> + Send + 'static) -> String {
    let bed = bed().await;
    bed.write("after.yaml", AFTER);
    bed.spoil(fault);
    let applied = bed.try_apply(false).await.unwrap();
    let out = outcomes(&applied);
    assert_eq!(applied.failed, out.contains("failed"));
    assert_eq!(bed.names("manufacturers"), ["Dell"]);
    later(&bed).await;
    bed.mend();
    bed.converge().await;
    assert_eq!(bed.names("organizations"), ["Acme", "Newco"]);
    assert_eq!(bed.names("configurations"), ["WEB"]);
    out
}

/// A fault of one call that is not carried out.
fn on(
    call: &'static str,
    reply: impl Fn() -> Reply + Send + 'static,
) -> impl Fn(&Asked, &mut Account) -> Option<Reply> {
    move |asked, _| asked.is(call).then(&reply)
}

/// A fault of one call that is carried out.
fn after(
    call: &'static str,
    reply: impl Fn() -> Reply + Send + 'static,
) -> impl Fn(&Asked, &mut Account) -> Option<Reply> {
    move |asked, account| {
        asked.is(call).then(|| {
            account.answer(asked);
            reply()
        })
    }
}

const CREATE: &str = "POST /organizations";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_is_told_in_the_words_of_the_api() {
    let errors = json!({"errors": [
        {"title": "Unprocessable Entity", "detail": "Name has already been taken", "status": "422",
            "source": {"pointer": "/data/attributes/name"}},
        {"title": "Unprocessable Entity", "detail": "Short name is too long"},
    ]});
    insta::assert_snapshot!(applied(on(CREATE, move || Reply::json(422, &errors))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` was refused (422): Unprocessable Entity: Name has already been taken (at /data/attributes/name); Unprocessable Entity: Short name is too long
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_makes_no_sense_to_the_api_is_told() {
    insta::assert_snapshot!(applied(on(CREATE, || Reply::json(400, &json!({"error": "data is missing"})))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` was refused (400): data is missing
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_conflicts_is_told() {
    let body = json!({"errors": [{"title": "Conflict"}]});
    insta::assert_snapshot!(applied(on(CREATE, move || Reply::json(409, &body))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` was refused (409): Conflict; it exists already: plan again to adopt it
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_fails_for_ever_is_given_up() {
    insta::assert_snapshot!(applied(on(CREATE, || Reply::json(500, &json!({"error": "oops"})))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` failed with status 500 on one attempt: oops; whether it was made is not known
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_cut_off_before_it_is_carried_out_is_given_up() {
    insta::assert_snapshot!(applied(on(CREATE, || Reply::Reset)).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` got no complete answer: Connection reset by peer (os error 104); whether it was made is not known
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_is_found() {
    insta::assert_snapshot!(applied(after(CREATE, || Reply::Reset)).await, @r"
    done itglue/Organization/newco
    done itglue/Configuration/web
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_failed_and_was_carried_out_is_found() {
    insta::assert_snapshot!(applied(after(CREATE, || Reply::html(502, "Bad Gateway"))).await, @r"
    done itglue/Organization/newco
    done itglue/Configuration/web
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_answered_with_nothing_is_found() {
    insta::assert_snapshot!(applied(after(CREATE, || Reply::empty(200))).await, @r"
    done itglue/Organization/newco
    done itglue/Configuration/web
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_answered_in_another_form_is_found() {
    insta::assert_snapshot!(applied(after(CREATE, || Reply::json(200, &json!({"ok": true})))).await, @r"
    done itglue/Organization/newco
    done itglue/Configuration/web
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_only_seems_to_succeed_is_told() {
    insta::assert_snapshot!(applied(on(CREATE, || Reply::json(200, &json!({"ok": true})))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` was answered with an object with `ok` where the new object was expected, and its list does not have it either; whether it was made is not known
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_meets_a_sign_in_page_is_told() {
    insta::assert_snapshot!(applied(on(CREATE, || Reply::html(200, "Sign in"))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` was answered with a page of HTML titled `Sign in` where JSON was expected; whether it was made is not known
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_with_status_200_are_no_success() {
    let body = json!({"errors": [{"title": "Forbidden", "detail": "Organizations are read-only."}]});
    insta::assert_snapshot!(applied(on(CREATE, move || Reply::json(200, &body))).await, @r"
    failed itglue/Organization/newco: `POST /organizations` of connection `glue` was refused (200): Forbidden: Organizations are read-only.
    skipped itglue/Configuration/web: `itglue/Organization/newco` failed
    done itglue/Manufacturer/dell
    ");
}

/// Updates an organization while something goes wrong, and says what came of it; the next run makes it good.
async fn updated(fault: impl Fn(&Asked, &mut Account) -> Option<Reply> + Send + 'static) -> String {
    let bed = bed().await;
    bed.write("before.yaml", &BEFORE.replace("A customer", "A good customer"));
    bed.spoil(fault);
    let out = outcomes(&bed.try_apply(false).await.unwrap());
    later(&bed).await;
    bed.mend();
    bed.converge().await;
    let account = bed.account.lock().unwrap();
    assert_eq!(account.of("organizations")[0].attributes["description"], "A good customer");
    out
}

const UPDATE: &str = "PATCH /organizations/2";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_update_is_told_in_the_words_of_the_api() {
    let body = json!({"errors": [{"title": "Record is synchronised", "source": {"pointer": "/data/attributes/name"}}]});
    insta::assert_snapshot!(updated(on(UPDATE, move || Reply::json(422, &body))).await, @"failed itglue/Organization/acme: `PATCH /organizations/2` of connection `glue` was refused (422): Record is synchronised (at /data/attributes/name)");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_meets_a_sign_in_page_is_not_taken_for_done() {
    insta::assert_snapshot!(updated(on(UPDATE, || Reply::html(200, "Sign in"))).await, @"failed itglue/Organization/acme: `PATCH /organizations/2` of connection `glue` was answered with a page of HTML titled `Sign in` where JSON was expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_with_errors_is_not_taken_for_done() {
    let body = json!({"errors": [{"detail": "Not today."}], "data": null});
    insta::assert_snapshot!(updated(on(UPDATE, move || Reply::json(200, &body))).await, @"failed itglue/Organization/acme: `PATCH /organizations/2` of connection `glue` was refused (200): Not today.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_cut_off_is_repeated_and_then_told() {
    insta::assert_snapshot!(updated(on(UPDATE, || Reply::Reset)).await, @"failed itglue/Organization/acme: `PATCH /organizations/2` of connection `glue` got no complete answer: Connection reset by peer (os error 104)");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_answered_with_nothing_is_done() {
    insta::assert_snapshot!(updated(after(UPDATE, || Reply::empty(204))).await, @"done itglue/Organization/acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_answered_in_another_form_is_done() {
    let done = updated(after(UPDATE, || Reply::json(200, &json!({"ok": true})))).await;
    insta::assert_snapshot!(done, @"done itglue/Organization/acme");
}

/// Deletes an organization while something goes wrong, and says what came of it; the next run makes it good.
async fn deleted(fault: impl Fn(&Asked, &mut Account) -> Option<Reply> + Send + 'static) -> String {
    let mut bed = bed().await;
    bed.write("before.yaml", AFTER.split("---").last().unwrap());
    bed.options.prune = true;
    bed.spoil(fault);
    let applied = bed.try_apply(false).await.unwrap();
    let out = outcomes(&applied);
    later(&bed).await;
    bed.mend();
    let planned = bed.plan().await;
    assert_eq!(problems(&planned.diagnostics), "");
    assert_eq!(planned.document.summary.delete, 1, "what could not be deleted is still owned");
    bed.converge().await;
    assert_eq!(bed.names("organizations"), Vec::<String>::new());
    out
}

const DELETE: &str = "DELETE /organizations";

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_meets_a_sign_in_page_is_not_taken_for_done() {
    insta::assert_snapshot!(deleted(on(DELETE, || Reply::html(200, "Sign in"))).await, @r"
    done itglue/Manufacturer/dell
    failed itglue/Organization/acme: `DELETE /organizations` of connection `glue` was answered with a page of HTML titled `Sign in` where JSON was expected
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_delete_stays_owned() {
    let body = json!({"errors": [{"title": "Conflict", "detail": "It has active agreements."}]});
    insta::assert_snapshot!(deleted(on(DELETE, move || Reply::json(409, &body))).await, @r"
    done itglue/Manufacturer/dell
    failed itglue/Organization/acme: `DELETE /organizations` of connection `glue` was refused (409): Conflict: It has active agreements.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_fails_for_ever_stays_owned() {
    insta::assert_snapshot!(deleted(on(DELETE, || Reply::empty(500))).await, @r"
    done itglue/Manufacturer/dell
    failed itglue/Organization/acme: `DELETE /organizations` of connection `glue` failed with status 500 on each of 3 attempts: it gave no explanation
    ");
}

/// Forty configurations of one organization.
fn many(notes: &str) -> String {
    (0..40).fold(String::new(), |mut out, number| {
        let spec = format!("{{organization: acme, name: WEB{number}, configurationType: Server, notes: {notes}}}");
        write!(out, "---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Configuration\n").unwrap();
        write!(out, "metadata: {{name: web{number}}}\nspec: {spec}\n").unwrap();
        out
    })
}

const BULK: &str = "POST /organizations/2/relationships/configurations";

/// Refuses a call that has a name in its body.
fn refuses(name: &'static str) -> impl Fn(&Asked, &mut Account) -> Option<Reply> {
    move |asked, _| {
        let body = asked.body.to_string();
        let refused = asked.method != "GET" && body.contains(&format!("\"{name}\""));
        refused.then(|| Reply::json(422, &json!({"errors": [{"title": format!("{name} is not allowed")}]})))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_object_does_not_sink_the_others_of_its_call() {
    let bed = bed().await;
    bed.write("many.yaml", &many("first"));
    bed.spoil(refuses("WEB7"));
    let out = outcomes(&bed.try_apply(false).await.unwrap());
    insta::assert_snapshot!(out.lines().find(|line| line.starts_with("failed")).unwrap(), @"failed itglue/Configuration/web7: `POST /configurations` of connection `glue` was refused (422): WEB7 is not allowed");
    assert_eq!(out.lines().filter(|line| line.starts_with("done")).count(), 39);
    assert_eq!(bed.server.count("GET /configurations"), 2, "one to observe, one look for all of them");
    assert_eq!(bed.server.writes().len(), 41);
    bed.mend();
    bed.converge().await;
    assert_eq!(bed.names("configurations").len(), 40);
    let change = |asked: &Asked, account: &mut Account| {
        let seventh = account.of("configurations").iter().find(|row| row.attributes["name"] == "WEB7").unwrap().id;
        let refused = asked.method == "PATCH" && asked.body.to_string().contains(&format!("\"id\":{seventh},"));
        let alone = asked.path == format!("/configurations/{seventh}");
        (refused || alone && asked.method == "PATCH").then(|| Reply::json(422, &json!({"errors": [{"title": "No"}]})))
    };
    bed.write("many.yaml", &many("second"));
    bed.spoil(change);
    let out = outcomes(&bed.try_apply(false).await.unwrap());
    assert_eq!(out.lines().filter(|line| line.starts_with("done")).count(), 39, "{out}");
    bed.mend();
    bed.converge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_whose_answer_is_lost_are_found_by_one_look() {
    let bed = bed().await;
    bed.write("many.yaml", &many("first"));
    bed.server.clear_log();
    bed.spoil(after(BULK, || Reply::Reset));
    let out = outcomes(&bed.try_apply(false).await.unwrap());
    assert_eq!(out.lines().filter(|line| line.starts_with("done")).count(), 40, "{out}");
    assert_eq!(bed.server.writes(), [BULK]);
    assert_eq!(bed.server.count("GET /configurations"), 2, "one to observe, one look");
    bed.mend();
    bed.converge().await;
    assert_eq!(bed.names("configurations").len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_that_are_cut_off_before_they_are_made_are_not_sent_one_by_one() {
    let bed = bed().await;
    bed.write("many.yaml", &many("first"));
    bed.server.clear_log();
    bed.spoil(on(BULK, || Reply::Reset));
    let out = outcomes(&bed.try_apply(false).await.unwrap());
    insta::assert_snapshot!(out.lines().next().unwrap(), @"failed itglue/Configuration/web0: `POST /organizations/2/relationships/configurations` of connection `glue` got no complete answer: Connection reset by peer (os error 104); whether it was made is not known");
    assert_eq!(out.lines().filter(|line| line.starts_with("failed")).count(), 40, "{out}");
    assert!(bed.server.log().len() < 20, "{} calls", bed.server.log().len());
    later(&bed).await;
    bed.mend();
    bed.converge().await;
    assert_eq!(bed.names("configurations").len(), 40);
}
