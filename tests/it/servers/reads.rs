//! Reads that fail: told clearly, never taken for absence, and in nobody's way who does not depend on them.

use std::time::Duration;

use plumb::{http::Pace, plan::Outcome};
use serde_json::{Value, json};

use super::{
    Bed, KEY, Manner,
    account::{Account, Totals},
    problems,
};
use crate::support::{
    stack::lines,
    wild::{Asked, Reply, Wild},
};

const BEFORE: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec: {name: Acme}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Configuration
metadata: {name: web01}
spec: {organization: acme, name: WEB01, configurationType: Server}
";
const GONE: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: gone, annotations: {plumb.dev/deletion-policy: delete}}
spec: {name: Gone}
";
const AFTER: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: newco}
spec: {name: Newco}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Configuration
metadata: {name: web02}
spec: {organization: acme, name: WEB02, configurationType: Server}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Manufacturer
metadata: {name: dell}
spec: {name: Dell}
";
const INDEPENDENT: &str = "create itglue/Manufacturer/dell (new) /name";

/// A stack that owns what is there, with something to create, something to delete and 25 further organizations.
async fn bed(manner: Manner) -> Bed {
    let mut bed = Bed::start(manner).await;
    {
        let mut account = bed.account.lock().unwrap();
        account.add("configuration_types", &json!({"name": "Server"}));
        for number in 0..25 {
            account.add("organizations", &json!({ "name": format!("Customer {number}") }));
        }
    }
    bed.write("before.yaml", BEFORE);
    bed.write("gone.yaml", GONE);
    bed.converge().await;
    bed.remove("gone.yaml");
    bed.write("after.yaml", AFTER);
    bed.options.prune = true;
    bed
}

/// Plans and applies while `GET /organizations` goes wrong, and says what was told.
async fn misread(bed: &Bed, fault: impl Fn(&Asked, &mut Account) -> Option<Reply> + Send + 'static) -> String {
    bed.spoil(fault);
    bed.server.clear_log();
    let planned = bed.plan().await;
    assert!(planned.has_errors());
    assert_eq!(lines(&planned.document), [INDEPENDENT]);
    let told = problems(&planned.diagnostics);
    assert!(told.contains("GET /organizations") && told.contains("connection `glue`"), "{told}");
    assert!(!told.contains(KEY), "{told}");
    // A read that failed stops what depends on it, and nothing else.
    let applied = bed.try_apply(false).await.unwrap();
    assert_eq!(bed.server.writes(), ["POST /manufacturers"]);
    assert_eq!(applied.document.actions[0].outcome, Some(Outcome::Done));
    bed.mend();
    bed.converge().await;
    let names = bed.names("organizations");
    let customers = names.iter().filter(|name| name.starts_with("Customer")).count();
    assert_eq!((names.len(), customers), (27, 25), "{names:?}");
    assert_eq!(bed.names("configurations"), ["WEB01", "WEB02"]);
    told
}

/// A fault of `GET /organizations`.
fn on(
    reply: impl Fn(&Asked, &mut Account) -> Reply + Send + 'static,
) -> impl Fn(&Asked, &mut Account) -> Option<Reply> {
    move |asked, account| asked.is("GET /organizations").then(|| reply(asked, account))
}

/// The good answer as JSON.
fn good(asked: &Asked, account: &mut Account) -> Value {
    let Reply::Answer(_, _, body) = account.answer(asked) else { panic!("no answer") };
    serde_json::from_str(&body).unwrap()
}

/// Paged by ten.
fn paged(totals: Totals) -> Manner {
    Manner { clamp: 10, totals, ..Manner::default() }
}

async fn told(reply: impl Fn(&Asked, &mut Account) -> Reply + Send + 'static) -> String {
    misread(&bed(Manner::default()).await, on(reply)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_no_list() {
    let told = told(|_, _| Reply::Answer(200, vec![("content-type", "text/plain".into())], "Welcome!".into())).await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with `Welcome!` where JSON was expected.
      hint: A proxy or a sign-in page may stand before the API; check `url` of connection `glue`.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_envelope_is_no_list() {
    insta::assert_snapshot!(told(|_, _| Reply::json(200, &json!({"organizations": [], "count": 0}))).await, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with an object with `organizations`, `count` where a list under `data` was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_place_of_the_list_is_none() {
    insta::assert_snapshot!(told(|_, _| Reply::json(200, &json!({"data": {"organizations": []}}))).await, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with an object with `organizations` under `data` where a list under `data` was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_under_data_is_not_an_empty_list() {
    insta::assert_snapshot!(told(|_, _| Reply::json(200, &json!({"data": null, "meta": {}}))).await, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with null under `data` where a list under `data` was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_texts_is_no_list_of_objects() {
    insta::assert_snapshot!(told(|_, _| Reply::json(200, &json!({"data": ["Acme", "Newco"]}))).await, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with a list with a text in it where a list of objects was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_with_status_200_are_no_list() {
    let body = json!({"errors": [{"title": "Forbidden", "detail": "The key has no access to organizations."}]});
    insta::assert_snapshot!(told(move |_, _| Reply::json(200, &body)).await, @r"
    PL0423 `GET /organizations` of connection `glue` was refused (200): Forbidden: The key has no access to organizations.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_is_no_list() {
    insta::assert_snapshot!(told(|_, _| Reply::empty(200)).await, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with status 200 and an empty body where JSON was expected.
      hint: A proxy or a sign-in page may stand before the API; check `url` of connection `glue`.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_page_is_named_as_what_it_is() {
    insta::assert_snapshot!(told(|_, _| Reply::html(200, "Sign in")).await, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with a page of HTML titled `Sign in` where JSON was expected.
      hint: A proxy or a sign-in page may stand before the API; check `url` of connection `glue`.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_fails_is_asked_a_few_times() {
    insta::assert_snapshot!(told(|_, _| Reply::html(502, "Bad Gateway")).await, @r"
    PL0424 `GET /organizations` of connection `glue` failed with status 502 on each of 6 attempts: Bad Gateway.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_breaks_off_is_not_read_as_far_as_it_goes() {
    let told = told(|asked, account| {
        let body = good(asked, account).to_string();
        Reply::Answer(200, vec![("content-type", "application/json".into())], body[..body.len() / 2].to_owned())
    })
    .await;
    let told = regex::Regex::new(r"after \d+ bytes").unwrap().replace_all(&told, "after N bytes").into_owned();
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with JSON that breaks off after N bytes where JSON was expected.
      hint: A proxy or a sign-in page may stand before the API; check `url` of connection `glue`.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_is_repeated_and_then_told() {
    let told = told(|asked, account| Reply::Broken(good(asked, account).to_string(), 100)).await;
    insta::assert_snapshot!(told, @r"
    PL0421 `GET /organizations` of connection `glue` got no complete answer: it broke off after 100 bytes (Connection reset by peer (os error 104)).
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_missing_rows_is_told() {
    let told = told(|asked, account| {
        let mut body = good(asked, account);
        body["data"].as_array_mut().unwrap().truncate(20);
        Reply::json(200, &body)
    })
    .await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with 20 objects of a total of 27 where a list as long as its total was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_grows_from_page_to_page_is_told() {
    let bed = bed(paged(Totals::All)).await;
    let told = misread(
        &bed,
        on(|asked, account| {
            let mut body = good(asked, account);
            let page: u64 = asked.query("page[number]").unwrap().parse().unwrap();
            body["meta"]["total-count"] = json!(26 + page);
            Reply::json(200, &body)
        }),
    )
    .await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with 27 objects of a total of 29 where a list as long as its total was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_repeat_do_not_make_a_list() {
    let bed = bed(paged(Totals::All)).await;
    let first = |asked: &Asked, account: &mut Account| {
        let mut asked = asked.clone();
        asked.query.retain(|(name, _)| name != "page[number]");
        good(&asked, account)
    };
    let told = misread(&bed, on(move |asked, account| Reply::json(200, &first(asked, account)))).await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with 10 objects of a total of 27 where a list as long as its total was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_repeat_for_ever_are_noticed_without_a_total() {
    let bed = bed(paged(Totals::Next)).await;
    let told = misread(
        &bed,
        on(|asked, account| {
            let mut asked = asked.clone();
            asked.query.retain(|(name, _)| name != "page[number]");
            Reply::json(200, &good(&asked, account))
        }),
    )
    .await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with the same page again where the next page was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_twice_count_once() {
    let bed = bed(paged(Totals::All)).await;
    let told = misread(
        &bed,
        on(|asked, account| {
            let mut body = good(asked, account);
            if asked.query("page[number]") == Some("2") {
                let mut first = asked.clone();
                first.query.retain(|(name, _)| name != "page[number]");
                body["data"][0] = good(&first, account)["data"][9].clone();
            }
            Reply::json(200, &body)
        }),
    )
    .await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with 26 objects of a total of 27 where a list as long as its total was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_an_id_are_told() {
    let told = told(|asked, account| {
        let mut body = good(asked, account);
        body["data"][3].as_object_mut().unwrap().remove("id");
        Reply::json(200, &body)
    })
    .await;
    insta::assert_snapshot!(told, @r"
    PL0427 `GET /organizations` of connection `glue` was answered with an object without an id where a list of objects with ids was expected.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_accepted_is_told() {
    let body = json!({"errors": [{"title": "Unauthorized", "status": "401"}]});
    insta::assert_snapshot!(told(move |_, _| Reply::json(401, &body)).await, @r"
    PL0422 `GET /organizations` of connection `glue` was refused: status 401: Unauthorized.
      hint: Check `auth` of connection `glue`: the credential may be wrong, expired or revoked; `plumb doctor` tests it.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_right_is_told() {
    let body = json!({"errors": [{"title": "Forbidden", "detail": "Organizations are not shared with you."}]});
    insta::assert_snapshot!(told(move |_, _| Reply::json(403, &body)).await, @r"
    PL0423 `GET /organizations` of connection `glue` was refused (403): Forbidden: Organizations are not shared with you.
      hint: The credential of connection `glue` lacks a permission, or belongs to another account or region than `url`.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_not_found_is_not_an_empty_one() {
    insta::assert_snapshot!(told(|_, _| Reply::json(404, &json!({"error": "no route matches"}))).await, @r"
    PL0423 `GET /organizations` of connection `glue` was refused (404): no route matches.
      hint: This server offers no Organization objects: it may be too old for them, or of another edition.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_for_ever_is_given_up() {
    let bed = bed(Manner::default()).await;
    let told = misread(&bed, on(|_, _| Reply::json(500, &json!({"errors": [{"title": "Internal"}]})))).await;
    insta::assert_snapshot!(told, @r"
    PL0424 `GET /organizations` of connection `glue` failed with status 500 on each of 6 attempts: Internal.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_used_up_for_long_is_not_waited_for() {
    let bed = bed(Manner::default()).await;
    bed.spoil(|_, _| Some(Reply::Answer(429, vec![("retry-after", "3600".into())], "{}".into())));
    bed.server.clear_log();
    let planned = bed.plan().await;
    // The limit is the credential's: nothing else has a turn either.
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    let told = problems(&planned.diagnostics);
    let first = told.split("PL0425").find(|part| part.contains("GET /organizations`")).unwrap();
    insta::assert_snapshot!(first, @r"
    `GET /organizations` of connection `glue` got no turn: the API's limit is used up for the next 3600 s.
     hint: Wait, or lower `limits.requests` of connection `glue` so that others who use the same credential find something left.
     hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
    bed.try_apply(true).await.unwrap();
    assert_eq!(bed.server.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drips_is_not_waited_for() {
    let mut bed = bed(Manner::default()).await;
    let patient = bed.options.pace;
    bed.options.pace = Pace { total: Duration::from_millis(300), attempts: 2, ..patient };
    let drip = on(|asked, account| Reply::Drip(good(asked, account).to_string(), Duration::from_millis(30)));
    let told = misread(&bed, drip).await;
    let told =
        regex::Regex::new(r"after [\d.]+ s, with \d+ bytes").unwrap().replace_all(&told, "after T s, with N bytes");
    insta::assert_snapshot!(told, @r"
    PL0421 `GET /organizations` of connection `glue` got no complete answer: it was not complete after T s, with N bytes of its body read.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_does_not_follow_a_redirect_to_another_host() {
    let other = Wild::start(|_| Reply::json(200, &json!({"data": []}))).await;
    let url = other.url.clone();
    let to = format!("{url}/organizations?x={KEY}");
    let told = told(move |_, _| Reply::Answer(302, vec![("location", to.clone())], String::new())).await;
    assert_eq!(other.connections(), 0);
    insta::assert_snapshot!(told.replace(&url, "http://elsewhere"), @r"
    PL0426 `GET /organizations` of connection `glue` was answered with status 302 and a redirect to `http://elsewhere/organizations`, which is not followed.
      hint: Set `url` of connection `glue` to where the API is now, if `http://elsewhere/organizations` is right: a credential is never sent after a redirect to another place.
      hint: Nothing that depends on Organization objects of this connection is planned: a read that failed is not taken for absence.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contains_objects_that_could_not_be_read_is_not_deleted() {
    let bed = bed(Manner::default()).await;
    bed.spoil(|asked, _| {
        let body = json!({"errors": [{"title": "Forbidden"}]});
        asked.is("GET /configurations").then(|| Reply::json(403, &body))
    });
    let planned = bed.plan().await;
    assert_eq!(lines(&planned.document), ["create itglue/Organization/newco (new) /name", INDEPENDENT]);
    insta::assert_snapshot!(problems(&planned.diagnostics), @r"
    PL0423 `GET /configurations` of connection `glue` was refused (403): Forbidden.
      hint: The credential of connection `glue` lacks a permission, or belongs to another account or region than `url`.
      hint: Nothing that depends on Configuration objects of this connection is planned: a read that failed is not taken for absence.
    ");
    bed.server.clear_log();
    bed.try_apply(true).await.unwrap();
    assert_eq!(bed.server.writes().len(), 2, "{:?}", bed.server.writes());
    bed.mend();
    bed.converge().await;
    assert!(!bed.names("organizations").contains(&"Gone".to_owned()));
}

const API: &str = r"
apiVersion: plumb.dev/v1alpha1
kind: Api
metadata: {name: shop}
spec:
  envelope: {many: items}
  paging: {style: STYLE, next: [next]}
  auth: [bearer: {}]
  kinds:
    - {kind: Thing, path: /things, key: [name], fields: {name: {}}}
---
apiVersion: plumb.dev/v1alpha1
kind: Connection
metadata: {name: shop}
spec: {api: shop, url: URL, auth: {bearer: {valueFrom: {file: key}}}}
---
apiVersion: shop.plumb.dev/v1alpha1
kind: Thing
metadata: {name: lamp}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_key_does_not_follow_a_next_link_to_another_host() {
    for style in ["nextUrl", "link"] {
        let other = Wild::start(|_| Reply::json(200, &json!({"items": []}))).await;
        let next = format!("{}/things?page=2&token={KEY}", other.url);
        let server = Wild::start(move |_| {
            let link = vec![("link", format!("<{next}>; rel=\"next\""))];
            Reply::Answer(200, link, json!({"items": [{"id": 1, "name": "table"}], "next": next}).to_string())
        })
        .await;
        let bed = Bed::start(Manner::default()).await;
        bed.write("shop.yaml", &API.replace("STYLE", style).replace("URL", &server.url));
        let planned = bed.plan().await;
        assert_eq!(lines(&planned.document), Vec::<String>::new());
        let told = problems(&planned.diagnostics).replace(&other.url, "http://elsewhere");
        insta::allow_duplicates! {
            insta::assert_snapshot!(told, @r"
            PL0428 `GET /things` of connection `shop` was answered with a link to the next page at `http://elsewhere/things`, which is another host than the connection's.
              hint: Nothing that depends on Thing objects of this connection is planned: a read that failed is not taken for absence.
            ");
        }
        assert_eq!((other.connections(), server.count("GET /things")), (0, 1));
        assert_eq!(server.log()[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
    }
}
